"""Networks as PyTorch's modules, with the real library: `python -m tests.exchange.torch_there [networks]`.

The suite has no PyTorch. Every layer's cases and random networks in float64: predictions, and in training
mode the gradients of a squared error, beside those of the formulas, to 1e-9 of their size.
"""

# mypy: ignore-errors

from __future__ import annotations

import contextlib
import copy
import sys
from typing import Any

import numpy as np
import torch

import chainrule as cr
from chainrule.base.errors import ArgumentError
from tests.cases import LAYER_CASES, inputs, parameters
from tests.checking.random_problems import problem

TOLERANCE = 1e-9


def apart(a: Any, b: Any) -> float:
    scale = max(1.0, float(np.abs(b).max(initial=0)))
    return float(np.abs(a - b).max(initial=0)) / scale if a.shape == b.shape else np.inf


def difference(network: cr.Network, X: Any, first: bool = False) -> float:
    """The largest difference of predictions and gradients from those of the formulas."""
    X = X.astype(np.int64) if network.vocabulary else X
    module = network.to_torch(channels="first" if first else "last")
    moved = first and len(network.input_shape) > 1
    x = torch.tensor(np.moveaxis(X, -1, 1).copy() if moved else X)
    back = (lambda a: np.moveaxis(a, 1, -1)) if first and len(network.output_shape) > 1 else (lambda a: a)
    with torch.no_grad():
        found = apart(back(module.eval()(x).numpy()), network.predict(X))
    y = np.random.default_rng(5).standard_normal((len(X), *network.output_shape))
    if any(isinstance(layer, cr.Dropout) for layer in every(network.layers)):  # draws other numbers
        return found
    step = network.backpropagate(X, y, loss=cr.SquaredError())
    module.train()
    if x.is_floating_point():
        x.requires_grad_()
    a = module(x)
    target = torch.tensor(np.moveaxis(y, -1, 1).copy() if first and y.ndim > 2 else y)
    (0.5 * ((a - target) ** 2).sum() / len(X)).backward()
    gradients = module.by_name(gradients=True)
    found = max(found, *(apart(gradients[name], step.gradients[name]) for name in step.gradients), 0.0)
    assert {*step.gradients} <= {*gradients}, {*step.gradients} - {*gradients}
    kept = module.by_name()
    assert {*kept} == {*network.parameters}
    return found


def there_and_back(network: cr.Network, X: Any, first: bool) -> float:
    """Of the network that its own module is: infinite where a layer is another, or a tensor has not come
    along; a module that has been changed is read as any other.
    """
    module = network.to_torch(channels="first" if first else "last")
    with torch.no_grad():
        for tensor in module.parameters():
            tensor += 0.5
    back = cr.from_torch(module)
    expected = network.copy()
    expected.set_parameters(module.by_name())
    X = X.astype(np.int64) if network.vocabulary else X
    same = repr(back) == repr(network) and (back.predict(X) == expected.predict(X)).all()
    assert repr(cr.from_torch(copy.deepcopy(module))) == repr(network)
    module.add_module("more", torch.nn.Tanh())
    with contextlib.suppress(ArgumentError):
        same &= repr(cr.from_torch(module, module.takes)) != repr(network)
    return 0.0 if same else np.inf


def every(layers: Any) -> Any:
    for layer in layers:
        yield layer
        for chain in getattr(layer, "chains", ()):
            yield from every(chain)


def cases() -> Any:
    """(name, network, X, channels first?)"""
    for case in LAYER_CASES:
        network = cr.Network([case.make()], input_shape=case.input_shape, dtype="float64")
        name = network.layers[0].name
        network.set_parameters({f"{name}.{key}": value for key, value in parameters(case).items()})
        for first in (False, True)[: 1 + (len(case.input_shape) > 1 and not case.ids)]:
            yield case.id, network, inputs(case), first


def shared_networks() -> Any:
    """One layer at several places, and a tied matrix."""
    rng = np.random.default_rng(0)
    conv, norm, lstm = cr.Conv2D(2, 3, padding="same"), cr.BatchNorm(), cr.LSTM(4, outputs="all")
    look, dense, table = cr.MultiHeadAttention(2), cr.Dense(4), cr.Embedding(7, 5)
    for layers, shape in (
        ([conv, norm, cr.ReLU(), conv, norm, cr.Flatten(), cr.Dense(2)], (4, 5, 2)),
        ([dense, lstm, look, lstm, look, dense, cr.Residual([dense, cr.Tanh()])], (5, 4)),
        ([table, cr.GRU(5), cr.Dense(7, tied=table)], (3,)),
        ([dense, cr.Tanh(), cr.DenseTranspose(6, tied=dense)], (6,)),
    ):
        network = cr.Network(layers, input_shape=shape, dtype="float64")
        X = rng.integers(0, 7, (6, *shape)) if network.vocabulary else rng.standard_normal((6, *shape))
        assert network.shares
        for first in (False, True)[: 1 + (len(shape) == 3)]:
            yield "shared", network, X, first


def recurrences(count: int) -> Any:
    """LSTMs with and without projections and peepholes, of any other options."""
    for seed in range(count):
        r = np.random.default_rng(seed)
        units, both = int(r.integers(2, 7)), bool(r.integers(2))
        projection = [None, 1, units - 1, units + 2][int(r.integers(4))]
        options = {"bias": bool(r.integers(2)), "layers": int(r.integers(1, 4)), "bidirectional": both}
        options |= {"outputs": ["all", "last"][int(r.integers(2))], "peepholes": bool(r.integers(2))}
        options |= {} if both else {"reverse": bool(r.integers(2))}
        layers = [cr.LSTM(units, projection=projection, **options), cr.Dense(2)]
        shape = tuple(int(n) for n in r.integers(1, 6, 2))
        network = cr.Network(layers, input_shape=shape, dtype="float64", seed=seed)
        for name in network.parameters:
            network.parameters[name] = r.standard_normal(network.parameters[name].shape)
        yield f"recurrence {seed}", network, r.standard_normal((int(r.integers(1, 5)), *shape)), False


def random_networks(count: int) -> Any:
    for seed in range(count):
        of = problem(seed, ordinary=True)
        network = of.network.copy(dtype="float64")
        X = of.X if network.vocabulary else of.X.astype(np.float64)
        yield f"network {seed}", network, X, False


def ctc(count: int) -> float:
    """The largest difference of CTC's value and δ from F.ctc_loss behind log_softmax, of random lengths."""
    worst = 0.0
    for seed in range(count):
        r = np.random.default_rng(seed)
        steps, classes, samples = r.integers(1, 9), r.integers(2, 6), r.integers(1, 6)
        loss = cr.CTC(int(r.integers(0, classes)), mean_labels=bool(seed % 2), zero_infinity=True)
        there = r.integers(1, steps + 1, samples)
        counts = r.integers(0, np.minimum(there, 4) + 1)
        labels = r.choice([k for k in range(classes) if k != loss.blank], (samples, max(1, counts.max())))
        z = torch.tensor(r.normal(size=(steps, samples, classes)), requires_grad=True)
        told = (torch.tensor(given) for given in (labels, there, counts))
        how = {"reduction": "mean" if loss.mean_labels else "sum", "zero_infinity": True}
        theirs = torch.nn.functional.ctc_loss(z.log_softmax(-1), *told, loss.blank, **how)
        theirs.backward()
        share = 1 / samples if loss.mean_labels else 1.0
        rows = loss.rows(labels, (steps, classes), label_lengths=counts, input_lengths=there)
        y, x = np.moveaxis(rows, 0, -1), np.moveaxis(z.detach().numpy(), 1, -1)
        a = cr.LogSoftmax().forward(x)
        delta = share * cr.LogSoftmax().delta(loss.gradient(a, y), a)
        found = apart(np.array(share * loss.value(a, y).sum()), theirs.detach().numpy())
        worst = max(worst, found, apart(delta, np.moveaxis(z.grad.numpy(), 1, -1)))
    return worst


def apart_of_graph(network: Any, X: Any) -> float:
    """Of a graph of several inputs, each by itself, predictions and gradients."""
    given = [torch.tensor(array) for array in X.values()]
    module, expected = network.to_torch(), network.predict(X)
    y = np.random.default_rng(5).standard_normal(expected.shape)
    step, a = network.backpropagate(X, y, loss=cr.SquaredError()), module(*given)
    (0.5 * ((a - torch.tensor(y)) ** 2).sum() / len(y)).backward()
    gradients = module.by_name(gradients=True)
    differences = [apart(gradients[name], step.gradients[name]) for name in step.gradients]
    return max(apart(a.detach().numpy(), expected), *differences)


def graphs() -> Any:
    """(name, difference) of graphs whose nodes read several values, and of PyTorch's modules as graphs."""
    nn, r = torch.nn, np.random.default_rng(0)
    shapes = {"target": (5, 8), "memory": (7, 8)}
    X = {name: r.standard_normal((3, *shape)) for name, shape in shapes.items()}
    read = cr.MultiHeadAttention(4, key_value_heads=2, rotary=True, causal=True)
    rows: dict[str, Any] = {"key_value_bias": True, "zero_key_value": True}
    more = [
        cr.MultiHeadAttention(4, **rows, causal=True),
        cr.MultiHeadAttention(4, **rows, key_value_heads=2, relative_positions="t5"),
        cr.MultiHeadAttention(4, zero_key_value=True, rotary=True, relative_positions="alibi"),
        cr.MultiHeadAttention(2, bias=False, key_value_bias=True, relative_positions="learned"),
    ]
    decoders = cr.TransformerDecoder(2, 7), cr.TransformerDecoder(2, 7, norm_first=True)
    for node in (*decoders, read, *more):
        net = cr.Graph(
            {"n": (node, *shapes), "e": [cr.Flatten(), cr.Dense(2)]}, inputs=shapes, dtype="float64"
        )
        yield repr(node), apart_of_graph(net, X)
    states = {
        "e": (cr.LSTM(4, outputs="all"), "target"),
        "d": (cr.LSTM(4, outputs="all"), "memory", "e.h", "e.c"),
        "r": ([cr.MultiHeadAttention(2), cr.Flatten(), cr.Dense(2)], "d", "e"),
    }
    yield "states", apart_of_graph(cr.Graph(states, inputs=shapes, dtype="float64"), X)
    states["e"] = (cr.LSTM(6, projection=4, outputs="all"), "target")
    states["d"] = (cr.LSTM(6, projection=4, peepholes=True, outputs="all"), *states["d"][1:])
    yield "projected states", apart_of_graph(cr.Graph(states, inputs=shapes, dtype="float64"), X)
    layer = nn.TransformerDecoderLayer(8, 4, 16, dropout=0.0, batch_first=True, dtype=torch.float64)
    for module in (
        nn.TransformerDecoder(layer, 2, norm=nn.LayerNorm(8, dtype=torch.float64)),
        nn.MultiheadAttention(8, 4, batch_first=True, dtype=torch.float64),
        nn.MultiheadAttention(8, 4, 0.0, True, True, True, batch_first=True, dtype=torch.float64),
    ):
        for parameter in module.parameters():
            nn.init.normal_(parameter, std=0.4)
        given = [torch.tensor(array) for array in X.values()]
        several = isinstance(module, nn.MultiheadAttention)
        a = module(*given, given[1])[0] if several else module(*given)
        net = cr.from_torch(module, shapes)
        yield type(module).__name__, max(apart(net.predict(X), a.detach().numpy()), apart_of_graph(net, X))


def main(count: int) -> int:
    done, wrong, refused = 0, 0, {}
    for name, found in graphs():
        done += 1
        if not found <= TOLERANCE:
            wrong += 1
            print(f"WRONG {name} {found:.1e}")
    for source in (cases(), shared_networks(), recurrences(count), random_networks(count)):
        for name, network, X, first in source:
            try:
                found = max(difference(network, X, first), there_and_back(network, X, first))
            except (ArgumentError, cr.base.errors.DataError) as error:
                refused[str(error).split(":")[0][:70]] = str(error)
                continue
            done += 1
            if not found <= TOLERANCE:
                wrong += 1
                print(f"WRONG {name} {'first' if first else 'last'} {found:.1e} {network.layers}")
    for said in refused.values():
        print("refused:", said)
    print(f"{done} networks equal to {TOLERANCE}, {wrong} wrong, {len(refused)} kinds refused")
    print(f"CTC of {count} random batches: {(apart_there := ctc(count)):.1e}")
    return int(wrong > 0 or not apart_there <= TOLERANCE)


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100))
