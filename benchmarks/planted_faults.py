"""Networks that learn, and networks with a planted fault: what the doctor's rules are measured on.

Every case is drawn from a seed: data, kind of network, depth, widths, batch size, and how ill it is.  A
healthy case has proved itself: from where it is diagnosed, or on the way there, training brought the loss
well below that of the best constant output.  A faulty case has its fault by construction, and where training
would show it, that was tried.  The data are drawn too, so nothing is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

import chainrule as cr
from chainrule.base.errors import NonFiniteError

Array = NDArray[Any]
Rng = np.random.Generator
CLASSES = 5
SAMPLES = 1000
LEARNED = 0.7  # of the loss of the best constant output: below it a network counts as one that learns
TRIES = 20


@dataclass
class Case:
    """A network and what it is diagnosed with; options: further arguments of `diagnose`."""

    network: cr.Network
    X: Array
    y: Array
    options: dict[str, Any] = field(default_factory=dict)


def data(kind: str, rng: Rng) -> tuple[Array, Array]:
    """Classes of vectors (20,), images (8, 8, 1) or sequences (10, 4), or "numbers": two targets."""
    shape = {"vectors": (20,), "numbers": (20,), "images": (8, 8, 1), "sequences": (10, 4)}[kind]
    labels = rng.integers(CLASSES, size=SAMPLES)
    if kind == "numbers":
        X = rng.standard_normal((SAMPLES, *shape))
        y = np.tanh(X[:, :2] * X[:, 2:4]) + X[:, 4:6]
        return X.astype(np.float32), ((y - y.mean(axis=0)) / y.std(axis=0)).astype(np.float32)
    centres = rng.standard_normal((CLASSES, *shape))
    X = centres[labels] + rng.uniform(0.7, 1.2) * rng.standard_normal((SAMPLES, *shape))
    if kind == "images":
        X = 1 / (1 + np.exp(-X))
    return X.astype(np.float32), labels


def layers(kind: str, rng: Rng, activation: Any = None, depth: int | None = None, **start: Any) -> list[Any]:
    """Hidden layers for this kind of data.  start: initializers of every layer with weights."""
    f = activation or rng.choice(
        np.array([cr.ReLU, cr.Tanh, cr.LeakyReLU, cr.GELU, cr.SiLU, cr.ELU], dtype=object)
    )
    width = int(rng.choice([16, 32, 64]))
    depth = int(rng.integers(1, 5)) if depth is None else depth
    chain: list[Any] = []
    if kind == "images":
        for number in range(max(1, depth // 2)):
            chain += [cr.Conv2D(8, 3, padding="same", **start), f()]
            chain += [cr.MaxPool2D(2)] if number == 0 else []
        chain.append(cr.Flatten())
    elif kind == "sequences":
        chain.append(cr.Flatten())
    for _ in range(depth - depth // 2 if kind == "images" else depth):
        chain += [cr.Dense(width, **start), f()]
    return chain


def head(kind: str, **start: Any) -> list[Any]:
    return [cr.Dense(2, **start)] if kind == "numbers" else [cr.Dense(CLASSES, **start), cr.Softmax()]


def network(chain: list[Any], X: Array, rng: Rng) -> cr.Network:
    return cr.Network(chain, input_shape=X.shape[1:], seed=int(rng.integers(1000)))


def pick(rng: Rng, *kinds: str) -> str:
    return str(rng.choice(kinds or ("vectors", "images", "sequences", "numbers")))


# -- healthy -------------------------------------------------------------------------------------------------
def healthy(rng: Rng) -> Case:
    """A network that learns, as it starts or after some epochs."""
    for _ in range(TRIES):
        kind = pick(rng)
        X, y = data(kind, rng)
        own = network([*_body(kind, rng), *head(kind)], X, rng)
        settings = _settings(rng)
        trained = own.copy()
        epochs = int(rng.integers(3, 16))
        try:
            history = cr.fit(trained, X, y, epochs=epochs, **settings)
        except NonFiniteError:
            continue
        if history.loss[-1] > LEARNED * constant_loss(y):
            continue
        if rng.random() < 0.5:
            return Case(own, X, y, settings)
        return Case(trained, X, y, {**settings, "history": history})
    raise RuntimeError("none of the networks drawn learns")


def _settings(rng: Rng) -> dict[str, Any]:
    optimizers = (cr.Adam(1e-3), cr.Adam(3e-3), cr.SGD(0.05), cr.SGD(0.02, momentum=0.9), cr.RMSProp(1e-3))
    penalties = (None, None, cr.L2(1e-4), cr.L2(1e-3), cr.L2(1.0, per_sample=True), cr.L1(1e-5))
    return {
        "optimizer": optimizers[rng.integers(len(optimizers))],
        "penalty": penalties[rng.integers(len(penalties))],
        "batch_size": int(rng.choice([16, 32, 64, 128])),
    }


def _body(kind: str, rng: Rng) -> list[Any]:
    """Plain, sigmoid, deep, normalised, residual, dropout, recurrent, attention."""
    way = int(rng.integers(7))
    width = int(rng.choice([16, 32, 64]))
    flat = [] if kind in ("vectors", "numbers") else [cr.Flatten()]
    if kind == "sequences" and way < 4:
        cell = (cr.LSTM(width), cr.GRU(width), cr.RNN(width), cr.RNN(width, outputs="all"))[way]
        return [cell, cr.Flatten()] if way == 3 else [cell]
    if kind == "sequences" and way == 4:
        return [cr.Dense(16), cr.Residual([cr.LayerNorm(), cr.MultiHeadAttention(4)]), cr.GlobalAveragePool()]
    if way == 1:
        return [
            *flat,
            cr.Dense(width),
            cr.Sigmoid(),
            *([cr.Dense(width), cr.Sigmoid()] if width > 16 else []),
        ]
    if way == 2:
        return layers(kind, rng, depth=int(rng.integers(5, 9)))
    if way == 3 and kind == "images":
        block = [cr.Conv2D(8, 3, padding="same"), cr.BatchNorm(), cr.ReLU()]
        return [*block, cr.Residual(block), cr.AveragePool2D(2), cr.Residual(block), cr.GlobalAveragePool()]
    if way == 3:
        block = [cr.Dense(width), cr.BatchNorm(), cr.ReLU()]
        return [*flat, *block, *block, *block]
    if way == 4:
        block = [cr.LayerNorm(), cr.Dense(width), cr.ReLU(), cr.Dense(width)]
        return [*flat, cr.Dense(width), *[cr.Residual(block)] * int(rng.integers(2, 6))]
    if way == 5:
        return [*layers(kind, rng), cr.Dropout(0.2)]
    return layers(kind, rng)


def constant_loss(y: Array) -> float:
    """The loss of the best output that is the same for every sample."""
    if y.dtype.kind == "f":
        return float(0.5 * np.sum(np.var(y, axis=0)))
    share = np.bincount(y) / len(y)
    return float(-np.sum(share * np.log(share)))


# -- faults --------------------------------------------------------------------------------------------------
def exploding(rng: Rng) -> Case:
    """Weights 3 to 8 times too large in a deep network; a recurrence whose U stretches by 1.3 to 2."""
    if rng.random() < 0.25:
        X = rng.standard_normal((SAMPLES, int(rng.integers(20, 40)), 4)).astype(np.float32)
        start = _Stretched(float(rng.uniform(1.3, 2)))
        chain = [cr.RNN(16, activation=str(rng.choice(["relu", "identity"])), recurrent_initializer=start)]
        return Case(network([*chain, *head("vectors")], X, rng), X, rng.integers(CLASSES, size=SAMPLES))
    kind = pick(rng)
    X, y = data(kind, rng)
    f = (cr.ReLU, cr.LeakyReLU, cr.Softplus, cr.Identity)[rng.integers(4)]
    chain = layers(kind, rng, f, depth=int(rng.integers(4, 9)), initializer=_Times(float(rng.uniform(3, 8))))
    return Case(network([*chain, *head(kind)], X, rng), X, y)


def vanishing_by_activations(rng: Rng) -> Case:
    """Six to ten sigmoids, or three to six tanh or sigmoids whose biases push z off centre."""
    kind = pick(rng, "vectors", "numbers", "sequences")
    X, y = data(kind, rng)
    if rng.random() < 0.5:
        chain = layers(kind, rng, cr.Sigmoid, depth=int(rng.integers(6, 11)))
    else:
        f = (cr.Tanh, cr.Sigmoid)[rng.integers(2)]
        off = float(rng.uniform(4, 7) if f is cr.Sigmoid else rng.uniform(3, 5)) * float(rng.choice([-1, 1]))
        start = {"bias_initializer": cr.Constant(off)}
        chain = layers(kind, rng, f, depth=int(rng.integers(3, 7)), **start)
    return Case(network([*chain, *head(kind)], X, rng), X, y)


def vanishing_by_weights(rng: Rng) -> Case:
    """Four to eight layers that start with a deviation of 0.005 to 0.03."""
    kind = pick(rng)
    X, y = data(kind, rng)
    f = (cr.ReLU, cr.Tanh, cr.LeakyReLU, cr.ELU)[rng.integers(4)]
    start = cr.Normal(float(rng.uniform(0.005, 0.03)))
    chain = layers(kind, rng, f, depth=int(rng.integers(4, 9)), initializer=start)
    return Case(network([*chain, *head(kind)], X, rng), X, y)


def vanishing_in_time(rng: Rng) -> Case:
    """A recurrence over 20 to 50 steps whose U shrinks δ, or with sigmoids."""
    X = rng.standard_normal((300, int(rng.integers(20, 51)), 3)).astype(np.float32)
    kind = str(rng.choice(["tanh", "sigmoid", "relu"]))
    start = None if kind == "sigmoid" else _Stretched(float(rng.uniform(0.1, 0.5)))
    outputs = str(rng.choice(["last", "all"]))
    cell = cr.RNN(int(rng.choice([8, 16])), activation=kind, recurrent_initializer=start, outputs=outputs)
    chain = [cell, cr.Flatten()] if outputs == "all" else [cell]
    return Case(network([*chain, *head("vectors")], X, rng), X, rng.integers(CLASSES, size=len(X)))


def symmetry(rng: Rng) -> Case:
    """Weights that start as one constant, in every layer or in all hidden ones of several."""
    kind = pick(rng)
    X, y = data(kind, rng)
    start = cr.Zeros() if rng.random() < 0.4 else cr.Constant(float(rng.uniform(0.01, 0.3)))
    if kind == "sequences" and rng.random() < 0.5:
        cell = cr.RNN(16, initializer=start, recurrent_initializer=start)
        return Case(network([cell, *head(kind, initializer=start)], X, rng), X, y)
    f = (cr.ReLU, cr.Tanh, cr.Sigmoid)[rng.integers(3)]
    own = rng.random() < 0.5  # a last layer that is drawn breaks the symmetry of the layer before it alone
    chain = layers(kind, rng, f, depth=int(rng.integers(3, 5)) if own else None, initializer=start)
    return Case(network([*chain, *head(kind, **({} if own else {"initializer": start}))], X, rng), X, y)


def unlearnable(rng: Rng) -> Case:
    """A layer that lets no δ through (all dead, weights 0, flat) or reads nothing but 0."""
    kind = pick(rng)
    X, y = data(kind, rng)
    way = int(rng.integers(4))
    block = [
        [cr.Dense(16, bias_initializer=cr.Constant(-100.0)), cr.ReLU()],
        [cr.Dense(16, bias_initializer=cr.Constant(100.0)), cr.HardTanh()],
        [cr.Dense(16, initializer=cr.Zeros()), cr.Tanh()],
        [],
    ][way]
    if way == 3:
        X = np.zeros_like(X)
    return Case(network([*layers(kind, rng, cr.Tanh), *block, *head(kind)], X, rng), X, y)


def dead_units(rng: Rng) -> Case:
    """Most ReLU units pushed under 0 by their biases, or by steps that were far too long."""
    for _ in range(TRIES):
        kind = pick(rng)
        X, y = data(kind, rng)
        if rng.random() < 0.5:
            chain = layers(kind, rng, cr.ReLU, depth=int(rng.integers(1, 4)))
            ill = network([*chain, *head(kind)], X, rng)
            for name in [name for name in ill.parameters if name.endswith(".b")][:-1]:
                bias = ill.parameters[name].copy()
                bias[: int(np.ceil(rng.uniform(0.6, 1.0) * len(bias)))] = -rng.uniform(20, 60)
                ill.parameters[name] = bias
        else:
            ill = network([*layers(kind, rng, cr.ReLU, depth=2), *head(kind)], X, rng)
            finite = _trained(ill, X, y, cr.SGD(float(rng.uniform(0.5, 5))), epochs=1)
            if not finite or max(float(np.abs(array).max()) for array in ill.parameters.values()) > 1e3:
                continue  # blown up: another fault
        if _dead(ill, X):
            return Case(ill, X, y)
    raise RuntimeError("none of the networks drawn died")


def saturated(rng: Rng) -> Case:
    """Sigmoids and tanh whose weights are 10 to 30 times too large, or whose inputs are."""
    kind = pick(rng)
    X, y = data(kind, rng)
    f = (cr.Tanh, cr.Sigmoid)[rng.integers(2)]
    times = float(rng.uniform(10, 30))
    if rng.random() < 0.5:
        chain = layers(kind, rng, f, initializer=_Times(times))
    else:
        chain, X = layers(kind, rng, f, depth=1), X * np.float32(3 * times)
    return Case(network([*chain, *head(kind)], X, rng), X, y)


def step_too_large(rng: Rng) -> Case:
    """A rate far too high: an epoch with it ends above where it began."""
    for _ in range(TRIES):
        kind = pick(rng)
        X, y = data(kind, rng)
        own = network([*layers(kind, rng), *head(kind)], X, rng)
        rate = 10 ** float(rng.uniform(0, 2))
        optimizer = (cr.SGD(rate), cr.SGD(rate / 3, momentum=0.9), cr.Adam(rate / 3), cr.RMSProp(rate / 3))[
            rng.integers(4)
        ]
        before, trained = own.loss(X, y), own.copy()
        if not _trained(trained, X, y, optimizer, epochs=1) or trained.loss(X, y) > before:
            return Case(own, X, y, {"optimizer": optimizer})
    raise RuntimeError("none of the rates drawn was too high")


def step_too_small(rng: Rng) -> Case:
    """A rate far too low: an epoch with it changes the loss by less than a hundredth."""
    for _ in range(TRIES):
        kind = pick(rng)
        X, y = data(kind, rng)
        own = network([*layers(kind, rng), *head(kind)], X, rng)
        rate = 10 ** float(rng.uniform(-9, -6))
        optimizer = (cr.SGD(rate), cr.SGD(rate / 10, momentum=0.9), cr.Adam(rate / 3), cr.RMSProp(rate / 3))[
            rng.integers(4)
        ]
        before, trained = own.loss(X, y), own.copy()
        _trained(trained, X, y, optimizer, epochs=1)
        if abs(trained.loss(X, y) - before) < 0.01 * before:
            return Case(own, X, y, {"optimizer": optimizer})
    raise RuntimeError("none of the rates drawn was too low")


def no_progress(rng: Rng) -> Case:
    """Epochs that changed nothing: a rate far too low, labels at random, or a network that is dead."""
    for _ in range(TRIES):
        kind = pick(rng, "vectors", "images", "sequences")
        X, y = data(kind, rng)
        way, optimizer = int(rng.integers(3)), cr.Adam(1e-3)
        start: dict[str, Any] = {}
        if way == 0:
            optimizer = cr.Adam(1e-7)
        elif way == 1:
            y = rng.permutation(y)
        else:
            start = {"bias_initializer": cr.Constant(-100.0)}
        own = network([*layers(kind, rng, cr.ReLU, depth=1, **start), *head(kind)], X, rng)
        epochs = int(rng.integers(3, 6))
        history = cr.fit(own, X, y, epochs=epochs, optimizer=optimizer)
        if own.loss(X, y) > 0.95 * constant_loss(y):
            return Case(own, X, y, {"optimizer": optimizer, "history": history})
    raise RuntimeError("all of the networks drawn learn")


def penalty_dominates(rng: Rng) -> Case:
    """λ so large that training with it ends at the loss of a constant output."""
    for _ in range(TRIES):
        kind = pick(rng)
        X, y = data(kind, rng)
        own = network([*layers(kind, rng, depth=int(rng.integers(1, 3))), *head(kind)], X, rng)
        lam = 10 ** float(rng.uniform(-0.3, 1.5))
        penalty = (cr.L2(lam), cr.L2(lam * SAMPLES, per_sample=True), cr.L1(lam / 3))[rng.integers(3)]
        trained = own.copy()
        if not _trained(trained, X, y, cr.Adam(3e-3), epochs=10, penalty=penalty):
            continue
        if trained.loss(X, y) > 0.95 * constant_loss(y):
            late = rng.random() < 0.5
            return Case(trained if late else own, X, y, {"penalty": penalty})
    raise RuntimeError("none of the penalties drawn was too large")


def loss_at_start(rng: Rng) -> Case:
    """A last layer that starts too large, or inputs that are."""
    kind = pick(rng, "vectors", "images", "sequences")
    X, y = data(kind, rng)
    if rng.random() < 0.5:
        last = head(kind, initializer=_Times(float(rng.uniform(8, 20))))
    else:
        last, X = head(kind), X * np.float32(rng.uniform(20, 100))
    f = (cr.ReLU, cr.LeakyReLU, cr.GELU)[rng.integers(3)]
    return Case(network([*layers(kind, rng, f, depth=int(rng.integers(1, 4))), *last], X, rng), X, y)


def inputs_not_scaled(rng: Rng) -> Case:
    """Inputs too large or too small by far, or far from 0, one feature alone, or the targets."""
    way = int(rng.integers(5))
    kind = pick(rng, "vectors", "numbers") if way in (2, 3) else "numbers" if way == 4 else pick(rng)
    X, y = data(kind, rng)
    if way == 0:
        X = X * np.float32(10 ** rng.uniform(1.5, 3))
    elif way == 1:
        X = X * np.float32(10 ** rng.uniform(-5, -3))
    elif way == 2:
        X[:, int(rng.integers(X.shape[1]))] *= np.float32(10 ** rng.uniform(2, 3.5))
    elif way == 3:
        X = X + np.float32(10 ** rng.uniform(1.5, 3))
    else:
        y = y * np.float32(10 ** rng.uniform(1.5, 4))
    return Case(network([*layers(kind, rng), *head(kind)], X, rng), X, y)


def noisy(rng: Rng) -> Case:
    """Labels without any relation to the inputs, in batches of 1 to 4."""
    kind = pick(rng, "vectors", "sequences", "numbers")
    X, y = data(kind, rng)
    y = rng.permutation(y)
    own = network([*layers(kind, rng, depth=1), *head(kind, initializer=cr.Normal(0.01))], X, rng)
    return Case(own, X, y, {"batch_size": int(rng.integers(1, 5))})


def non_finite(rng: Rng) -> Case:
    """Weights or inputs so large that float32 overflows."""
    kind = pick(rng)
    X, y = data(kind, rng)
    f = (cr.ReLU, cr.LeakyReLU)[rng.integers(2)]
    start = cr.Normal(10 ** float(rng.uniform(20, 30)))
    return Case(network([*layers(kind, rng, f, depth=2, initializer=start), *head(kind)], X, rng), X, y)


FAULTS: Mapping[str, Callable[[Rng], Case]] = {
    own.__name__: own
    for own in (
        *(non_finite, exploding, vanishing_by_activations, vanishing_by_weights, vanishing_in_time, symmetry),
        *(unlearnable, dead_units, saturated, step_too_large, step_too_small, no_progress, penalty_dominates),
        *(loss_at_start, inputs_not_scaled, noisy),
    )
}


class _Times(cr.Initializer):
    """He's start, so many times too large."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def __call__(self, shape: Any, fan_in: int, fan_out: int, rng: Rng) -> Any:
        return self.factor * cr.He()(shape, fan_in, fan_out, rng)


class _Stretched(_Times):
    """A rotation that also stretches."""

    def __call__(self, shape: Any, fan_in: int, fan_out: int, rng: Rng) -> Any:
        return self.factor * cr.Orthogonal()(shape, fan_in, fan_out, rng)


def _trained(own: cr.Network, X: Array, y: Array, optimizer: Any, epochs: int, penalty: Any = None) -> bool:
    """Whether training stayed finite; either way the network keeps finite parameters."""
    try:
        cr.fit(own, X, y, optimizer=optimizer, epochs=epochs, penalty=penalty)
    except NonFiniteError:
        return False
    return True


def _dead(own: cr.Network, X: Array) -> bool:
    """Whether a ReLU layer puts out 0 alone for more than 60 % of its units."""
    activations = own.backpropagate(
        X, np.zeros((len(X), *own.output_shape)), loss=cr.SquaredError()
    ).activations
    for layer in own.layers:
        if isinstance(layer, cr.ReLU):
            a = activations[str(layer.name)]
            if np.mean(~a.reshape(-1, a.shape[-1]).any(axis=0)) > 0.6:
                return True
    return False
