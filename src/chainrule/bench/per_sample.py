"""`chainrule bench per-sample`: a loop over samples against the full matrix, for one and the same gradient.

The Matrix notes (§8) and Nielsen say that the full matrix is faster (about 2× in his Python); here is by how
much: by the formulas in NumPy, and by the compiled kernels, where a plan of batch 1 is called from a loop in
Python.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from chainrule.base.tables import text_table
from chainrule.bench import figures, machine
from chainrule.engine.plan import Plan
from chainrule.layers import Dense, Sigmoid
from chainrule.losses import BinaryCrossEntropy
from chainrule.networks.network import Network
from chainrule.reference import ReferenceExecutor

UNITS = (784, 30, 10)  # Nielsen's first network
BATCHES = (10, 100, 1000)


@dataclass(frozen=True)
class Pair:
    """Seconds per gradient of one batch, both ways, and the largest difference between their entries."""

    by: str
    batch: int
    loop: float
    matrix: float
    largest_difference: float

    @property
    def ratio(self) -> float:
        return self.loop / self.matrix


def nielsens() -> Network:
    """[784, 30, 10] of sigmoids, in float64."""
    layers = [layer for units in UNITS[1:] for layer in (Dense(units), Sigmoid())]
    return Network(layers, input_shape=UNITS[0], dtype="float64")


def batch_of(size: int) -> tuple[Any, Any]:
    rng = np.random.Generator(np.random.PCG64(0))
    return rng.random((size, UNITS[0])), np.eye(UNITS[-1])[rng.integers(0, UNITS[-1], size)]


Gradients = dict[str, Any]


def ways(by: str, size: int) -> tuple[Callable[[], Gradients], Callable[[], Gradients]]:
    """(loop over samples, full matrix): functions that give the same gradients."""
    network, (X, y) = nielsens(), batch_of(size)
    if by == "formulas (NumPy)":
        network.set_executor(ReferenceExecutor())
        return (
            lambda: dict(network.backpropagate(X, y, mode="per_sample").gradients),
            lambda: dict(network.backpropagate(X, y).gradients),
        )
    loss = BinaryCrossEntropy()
    single, whole = Plan(network, loss, batch_size=1), Plan(network, loss, batch_size=size)

    def loop() -> Gradients:
        sums = {name: np.zeros_like(array) for name, array in network.parameters.items()}
        for i in range(size):
            for name, gradient in single.gradients(X[i : i + 1], y[i : i + 1])[1].items():
                sums[name] += gradient
        return {name: total / size for name, total in sums.items()}

    return loop, lambda: whole.gradients(X, y)[1]


def seconds(function: Callable[[], Any], least: float) -> float:
    """The median time of a call, over at least three calls and `least` seconds, after one to warm up."""
    function()
    times: list[float] = []
    while len(times) < 3 or sum(times) < least:
        begin = time.perf_counter()
        function()
        times.append(time.perf_counter() - begin)
    return median(times)


def measure(by: str, size: int, least: float) -> Pair:
    loop, matrix = ways(by, size)
    ours, theirs = loop(), matrix()
    difference = max(float(np.abs(ours[name] - theirs[name]).max()) for name in theirs)
    return Pair(by, size, seconds(loop, least), seconds(matrix, least), difference)


def table(pairs: list[Pair]) -> str:
    rows = [["by", "batch", "loop over samples µs", "full matrix µs", "ratio", "largest difference"]]
    for pair in pairs:
        times = (f"{pair.loop * 1e6:,.0f}", f"{pair.matrix * 1e6:,.0f}", f"{pair.ratio:.1f}")
        rows.append([pair.by, str(pair.batch), *times, f"{pair.largest_difference:.0e}"])
    return text_table(rows, right=(1, 2, 3, 4, 5))


def run(
    *,
    quick: bool = False,
    json_file: str | Path | None = None,
    show: Callable[[str], object] = print,
) -> dict[str, Any]:
    """Measure, show the table, and return (and write) everything as plain data."""
    figures.reserve(json_file)
    about = machine.describe()
    least = 0.02 if quick else 0.5
    show(
        f"{'-'.join(map(str, UNITS))} of sigmoids, float64, {about['processor']}, {about['threads']} threads"
    )
    pairs = [measure(by, size, least) for by in ("formulas (NumPy)", "kernels (native)") for size in BATCHES]
    show(table(pairs))
    results = {"machine": about, "pairs": [asdict(pair) | {"ratio": pair.ratio} for pair in pairs]}
    figures.write(json_file, results)
    return results
