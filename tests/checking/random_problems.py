"""Random networks with data far from 0, tiny, large, constant or of wildly different scales; and mistakes
planted in their formulas.

The layers are those of tests/oracles/random_networks.py: every layer, activation, loss and branch there is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import chainrule as cr
from chainrule import reference
from chainrule.checking import GradientReport
from chainrule.layers import Layer
from chainrule.networks.architecture import leaves
from chainrule.reference import passes
from tests.oracles.random_networks import random_layers, random_loss
from tests.oracles.stored import layer

Array = NDArray[Any]
Random = np.random.Generator

SHIFTS = (1e2, 1e4, 1e6, 1e8, 1e10)
DATA = ("ordinary", "shifted", "shifted", "tiny", "large", "mixed", "constant", "ties", "sparse")
WEIGHTS = ("ordinary", "ordinary", "ordinary", "tiny", "huge", "shifted")


@dataclass(frozen=True)
class Problem:
    """What check_gradients takes, and how it was made."""

    seed: int
    data: str
    weights: str
    network: cr.Network
    X: Array
    y: Array
    options: dict[str, Any]

    @property
    def ordinary(self) -> bool:
        return self.data == self.weights == "ordinary"

    def check(self, **options: Any) -> GradientReport:
        with np.errstate(all="ignore"):
            return cr.check_gradients(self.network, self.X, self.y, **{**self.options, **options})


def generator(*seed: int) -> Random:
    return np.random.Generator(np.random.PCG64(seed))


def data_of(kind: str, r: Random, shape: tuple[int, ...]) -> Array:
    """Samples of a shape; a feature (the last axis) has one shift and one scale."""
    x = r.standard_normal(shape)
    scale = 10.0 ** r.uniform(-2, 2)
    if kind == "shifted":
        return float(r.choice(SHIFTS)) * r.choice([-1.0, 1.0]) + scale * x
    if kind == "tiny":
        return 10.0 ** r.uniform(-12, -3) * x
    if kind == "large":
        return 10.0 ** r.uniform(3, 12) * x
    if kind == "mixed":
        return x * 10.0 ** r.uniform(-8, 8, shape[-1:])
    if kind == "constant":
        return np.broadcast_to(x[:1, ..., :1], shape) + 0.0
    if kind == "ties":
        return r.integers(-2, 3, shape) / 2
    if kind == "sparse":
        return x * (r.random(shape) < 0.3)
    return x


def change_weights(kind: str, r: Random, network: cr.Network) -> None:
    for name, array in network.parameters.items():
        if not network.parameter_specs[name].learned:
            continue
        changed = array.astype(np.float64) + 0.1 * r.standard_normal(array.shape)
        if kind == "tiny":
            changed *= 10.0 ** r.uniform(-9, -2)
        elif kind == "huge":
            changed *= 10.0 ** r.uniform(1, 5)
        elif kind == "shifted":
            changed += 10.0 ** r.uniform(0, 4)
        network.parameters[name] = changed.astype(array.dtype)


def targets(r: Random, network: cr.Network, loss: cr.Loss, samples: int) -> Array:
    shape = (samples, *network.output_shape)
    if isinstance(loss, cr.CrossEntropy):
        return r.integers(0, shape[-1], shape[:-1])
    if isinstance(loss, cr.BinaryCrossEntropy):
        return r.integers(0, 2, shape).astype(np.float64)
    if isinstance(loss, cr.CategoricalHinge):
        return r.integers(0, shape[-1], shape[:-1])
    if isinstance(loss, cr.Poisson):
        return r.integers(0, 6, shape).astype(np.float64)
    if isinstance(loss, cr.Hinge):
        return np.sign(r.standard_normal(shape))
    return float(r.choice([0.0, 0.0, 1e3])) + r.standard_normal(shape)


def problem(seed: int, ordinary: bool = False) -> Problem:
    """The network, data and options of a seed."""
    r = generator(seed, int(ordinary))
    words: list[Any] = []
    while not words:
        words, start = random_layers(r)
    for one in words:
        _whole_recurrences(one)
    made = [layer(one) for one in words]
    shape = cr.Network(made, input_shape=start).output_shape
    last, loss_words = random_loss(r, shape)
    loss = getattr(cr, loss_words[0])(**loss_words[1])
    network = cr.Network(
        [*map(layer, words), *map(layer, last)],
        input_shape=start,
        seed=int(r.integers(1000)),
        dtype=str(r.choice(["float32", "float64"])),
    )
    data = "ordinary" if ordinary else str(r.choice(DATA))
    weights = "ordinary" if ordinary else str(r.choice(WEIGHTS))
    samples = int(r.integers(2, 7))
    ids = network.vocabulary
    X = data_of(data, r, (samples, *start)) if ids is None else r.integers(0, ids, (samples, *start))
    change_weights(weights, r, network)
    options: dict[str, Any] = {"loss": loss, "seed": seed}
    options["penalty"] = [None, None, cr.L2(0.1), cr.L1(0.01), cr.ElasticNet(0.1, 0.01)][r.integers(5)]
    if r.random() < 0.3:
        options["sample_weight"] = r.random(samples) + 0.1
    if r.random() < 0.2:
        options["engine"] = "reference"
    return Problem(seed, data, weights, network, X, targets(r, network, loss, samples), options)


def _whole_recurrences(words: list[Any]) -> None:
    """Without `truncate`: a δ that is cut is no derivative."""
    arguments = words[1]
    arguments.pop("truncate", None)
    for inner in arguments.get("layers", []):
        _whole_recurrences(inner)
    for chain in arguments.get("chains", []):
        for inner in chain:
            _whole_recurrences(inner)


# -- planted mistakes ----------------------------------------------------------------------------------------


def _one_entry(g: Array) -> Array:
    """Wrong by a tenth in the entry that is largest."""
    changed = np.array(g)
    changed.flat[int(np.abs(changed).argmax())] *= 1.1
    return changed


MISTAKES: dict[str, Callable[[Array], Array]] = {
    "sign": lambda g: -g,
    "1/m": lambda g: g / 3,
    "factor 2": lambda g: 2 * g,
    "a thousandth": lambda g: g * 1.001,
    "zero": lambda g: 0 * g,
    "one entry": _one_entry,
    "off by one": lambda g: np.roll(g.ravel(), 1).reshape(g.shape),
    "transposed": lambda g: g.T.reshape(g.shape),
}
DROPPED = "f' dropped"  # d handed down as it came; of activations


@dataclass(frozen=True)
class Planted:
    """A mistake in one array that a layer's formulas return: "delta", or a parameter's gradient."""

    mistake: str
    layer: str
    array: str

    @contextmanager
    def made(self) -> Iterator[None]:
        """Whoever asks this layer for its formulas gets the mistake."""
        right = passes.layer_backward

        def wrong(one: Layer, d: Array, x: Array, output: Array, given: Any, **options: Any) -> Any:
            below, gradients = right(one, d, x, output, given, **options)
            if one.name != self.layer:
                return below, gradients
            if self.mistake == DROPPED:
                return d, gradients
            change = MISTAKES[self.mistake]
            if self.array == "delta":
                return change(below), gradients
            return below, {**gradients, self.array: change(gradients[self.array])}

        passes.layer_backward = wrong
        try:
            yield
        finally:
            passes.layer_backward = right


def gradients_of(of: Problem) -> dict[str, Array]:
    """By the formulas, in float64, with ∂J/∂x as "input"."""
    network = of.network.copy(dtype="float64")
    network.set_executor(reference.ReferenceExecutor())
    options = {name: value for name, value in of.options.items() if name not in ("seed", "engine")}
    with np.errstate(all="ignore"):
        step = network.backpropagate(of.X, of.y, **options)
    inputs = {"input": step.deltas["input"]} if network.differentiable else {}
    return {**step.gradients, **inputs}


def plant(of: Problem) -> tuple[Planted, dict[str, float]] | None:
    """A mistake, and by how much it changes which gradients, relative to the largest entry of each; None
    where nothing that was drawn changes one by more than a ten-thousandth.
    """
    r = generator(of.seed, 77)
    right = gradients_of(of)
    seen = 1e-12 * max(float(np.abs(g).max(initial=0.0)) for g in right.values())  # smaller ones are rounding
    layers = list(leaves(of.network.layers))
    for _ in range(20):
        one = layers[int(r.integers(len(layers)))]
        array = str(r.choice(["delta", *of.network.layer_parameters(one)]))
        dropped = array == "delta" and isinstance(one, cr.layers.Activation) and r.random() < 0.4
        planted = Planted(DROPPED if dropped else str(r.choice(list(MISTAKES))), str(one.name), array)
        specs = one.parameters(of.network.shapes[str(one.name)])
        if array != "delta" and not (array in specs and specs[array].learned):
            continue
        with planted.made():
            wrong = gradients_of(of)
        changes = {}
        for name, g in right.items():
            largest = max(np.abs(g).max(initial=0.0), np.abs(wrong[name]).max(initial=0.0))
            change = np.abs(wrong[name] - g).max(initial=0.0)
            if largest > seen and change > 1e-4 * largest:
                changes[name] = float(change / largest)
        if changes:
            return planted, changes
    return None
