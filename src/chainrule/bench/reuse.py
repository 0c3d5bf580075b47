"""`chainrule bench reuse`: what the recursion of backpropagation saves, counted and measured.

Dezeming §2.3 says that differentiating from the front repeats work which the way back does once. The same
gradients of a chain of dense sigmoid layers in three ways, all by matrix products in NumPy:

    recursion     one pass from the output down; every δ is made of the one above it (③)
    layer anew    for every layer the whole chain from the output down to it, nothing kept
    from front    for every parameter a pass forward from its layer to J: ∂z by this parameter alone
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.base.tables import text_table
from chainrule.base.types import Array
from chainrule.bench import figures, machine
from chainrule.bench.per_sample import seconds
from chainrule.layers import Dense, Sigmoid
from chainrule.networks.network import Network

DEPTHS = (1, 2, 4, 8, 16)  # layers with weights
UNITS, SAMPLES = 12, 10


@dataclass(frozen=True)
class Chain:
    """Weights (outputs, inputs) of every layer, what came into it (inputs, samples), f'(z) behind it, and
    ∂J/∂a at the output; samples are columns (Matrix notes).
    """

    weights: tuple[Array, ...]
    inputs: tuple[Array, ...]
    slopes: tuple[Array, ...]
    by_output: Array


@dataclass(frozen=True)
class Row:
    """A way: multiplications and seconds per gradient, as multiples of the recursion's too, and how far its
    gradients are from `backpropagate`'s.
    """

    way: str
    layers: int
    multiplications: int
    times_multiplications: float
    seconds: float
    times_seconds: float
    largest_difference: float


def problem(layers: int) -> tuple[Network, Array, Array]:
    """A chain of sigmoids, inputs and targets, samples in rows."""
    chain = [layer for _ in range(layers) for layer in (Dense(UNITS), Sigmoid())]
    network = Network(chain, input_shape=UNITS, dtype="float64", seed=0)
    rng = np.random.Generator(np.random.PCG64(0))
    return network, rng.standard_normal((SAMPLES, UNITS)), rng.random((SAMPLES, UNITS))


def chain_of(network: Network, X: Array, y: Array) -> Chain:
    """The forward pass, which all ways have in common, and ∂J/∂a of the squared error."""
    step = network.backpropagate(X, y, loss="squared_error")
    names = [name for name in network.shapes if name.startswith("dense")]
    weights = tuple(np.asarray(network.parameters[f"{name}.W"], np.float64) for name in names)
    outputs = [step.activations[name.replace("dense", "sigmoid")].T for name in names]
    inputs = (X.T, *outputs[:-1])
    return Chain(weights, inputs, tuple(a * (1 - a) for a in outputs), (outputs[-1] - y.T) / len(X))


def recursion(c: Chain) -> list[Array]:
    """∂J/∂[W, b] of every layer, a δ from the one above it."""
    d = c.by_output * c.slopes[-1]
    gradients = [_gradient(d, c.inputs[-1])]
    for layer in range(len(c.weights) - 1, 0, -1):
        d = (c.weights[layer].T @ d) * c.slopes[layer - 1]
        gradients.append(_gradient(d, c.inputs[layer - 1]))
    return gradients[::-1]


def layer_anew(c: Chain) -> list[Array]:
    """The same, and for every layer δ is fetched from the output again."""
    gradients = []
    for layer in range(len(c.weights)):
        d = c.by_output * c.slopes[-1]
        for above in range(len(c.weights) - 1, layer, -1):
            d = (c.weights[above].T @ d) * c.slopes[above - 1]
        gradients.append(_gradient(d, c.inputs[layer]))
    return gradients


def from_front(c: Chain) -> list[Array]:
    """The same, a pass per parameter: ∂z of its layer is x_j in row i, or 1 for b_i, and goes on to J."""
    gradients = []
    for layer, W in enumerate(c.weights):
        gradient = np.empty((len(W), 1 + W.shape[1]))
        ones = np.ones_like(c.inputs[layer][0])
        for i, j in np.ndindex(*gradient.shape):
            dz = np.zeros((len(W), SAMPLES))
            dz[i] = c.inputs[layer][j - 1] if j else ones
            for above in range(layer + 1, len(c.weights)):
                dz = c.weights[above] @ (c.slopes[above - 1] * dz)
            gradient[i, j] = np.sum(c.by_output * c.slopes[-1] * dz)
        gradients.append(gradient)
    return gradients


def _gradient(d: Array, x: Array) -> Array:
    """∂J/∂[b, W] = δ [1, x]ᵀ, Θ's order (Dezeming)."""
    return np.hstack([d.sum(axis=1, keepdims=True), d @ x.T])


WAYS: dict[str, Callable[[Chain], list[Array]]] = {
    "recursion": recursion,
    "layer anew": layer_anew,
    "from front": from_front,
}


def multiplications(way: str, layers: int) -> int:
    """Products of two numbers in all, forward pass left out: a δ through W costs units² · samples, a f'
    units · samples, a ∂W units² · samples.
    """
    units, samples = UNITS, SAMPLES
    through, slope, gradient = units * units * samples, units * samples, units * units * samples
    if way == "recursion":
        return layers * (slope + gradient) + (layers - 1) * through
    if way == "layer anew":
        steps = layers * (layers - 1) // 2
        return steps * (through + slope) + layers * (slope + gradient)
    # Of a layer with k above it: k products and f', then ∂J/∂a, f' and ∂z are multiplied entry by entry.
    parameters = units * (units + 1)
    return parameters * sum(k * (through + slope) + 2 * slope for k in range(layers))


def measure(layers: int, least: float) -> list[Row]:
    network, X, y = problem(layers)
    chain = chain_of(network, X, y)
    gradients = network.backpropagate(X, y, loss="squared_error").gradients
    names = [name for name in network.shapes if name.startswith("dense")]
    expected = [np.column_stack([gradients[f"{name}.b"], gradients[f"{name}.W"]]) for name in names]
    rows: list[Row] = []
    for way, function in WAYS.items():
        difference = max(float(np.abs(a - b).max()) for a, b in zip(function(chain), expected, strict=True))
        time, count = seconds(lambda f=function: f(chain), least), multiplications(way, layers)  # type: ignore[misc]
        first = rows[0] if rows else None
        rows.append(
            Row(
                way, layers, count, count / first.multiplications if first else 1.0,
                time, time / first.seconds if first else 1.0, difference,
            )
        )  # fmt: skip
    return rows


def table(rows: Iterable[Row]) -> str:
    head = ["layers", "way", "multiplications", "×", "µs", "×", "largest difference"]
    lines = [
        [
            str(row.layers) if row.way == "recursion" else "", row.way,
            f"{row.multiplications:,}", f"{row.times_multiplications:,.1f}",
            f"{row.seconds * 1e6:,.0f}", f"{row.times_seconds:,.1f}", f"{row.largest_difference:.0e}",
        ]
        for row in rows
    ]  # fmt: skip
    return text_table([head, *lines], right=(0, 2, 3, 4, 5, 6))


def run(
    *,
    quick: bool = False,
    json_file: str | Path | None = None,
    show: Callable[[str], object] = print,
) -> dict[str, Any]:
    """Measure, show the table, and return (and write) everything as plain data."""
    figures.reserve(json_file)
    about = machine.describe()
    show(
        f"all gradients of sigmoid layers of {UNITS} units, {SAMPLES} samples, by NumPy in float64, "
        f"{about['processor']}; largest difference from backpropagate"
    )
    rows = [row for layers in DEPTHS for row in measure(layers, 0.0 if quick else 0.2)]
    show(table(rows))
    results = {"machine": about, "rows": [asdict(row) for row in rows]}
    figures.write(json_file, results)
    return results
