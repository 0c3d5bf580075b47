"""A network of the user's own: its training step, its predictions, and where their time goes."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.base.tables import text_table
from chainrule.bench import (
    Given,
    StepTime,
    Trainer,
    figures,
    operations_by_layer,
    peak,
    percent,
    profile_table,
)
from chainrule.bench.workloads import Workload
from chainrule.engine import isa

if TYPE_CHECKING:
    from collections.abc import Callable

    from chainrule.networks.network import Network

IN_MEMORY, MOST_STEPS = 1_700, 64  # samples, and batches of them
RATE = 1e-6  # of gradient descent: the targets are random, and nothing is to diverge


def samples_for(batch: int) -> int:
    """Samples that one measurement passes over: whole batches."""
    return batch * max(1, min(MOST_STEPS, IN_MEMORY // batch))


def run(
    network: Network,
    X: np.ndarray,
    y: np.ndarray,
    batch: int,
    title: str,
    *,
    quick: bool = False,
    profile: bool = False,
    json_file: str | Path | None = None,
    show: Callable[[str], object] = print,
) -> dict[str, Any]:
    """Measure steps of `batch` samples and predictions of as many, show them, and return (and write) all.

    X, y: samples and targets as the network takes them; whole batches of them are used.
    """
    figures.reserve(json_file)
    rounds, least = (3, 0.02) if quick else (15, 0.05)
    given, objective = network.problem(X, y)
    inputs, steps = np.ascontiguousarray(given.inputs, dtype=network.dtype), len(X) // batch
    workload = Workload(title, title, network.input_shape, batch, steps, ())
    used = slice(0, steps * batch)
    trainer = Trainer(workload, RATE, Given(network, objective.loss, inputs[used], given.targets[used]))
    before = peak()
    trainer.epoch()
    times = [trainer.seconds(least) for _ in range(rounds)]
    parts = trainer.profile(epochs=rounds) if profile else ()
    predicted = _prediction(network, inputs[:batch], rounds, least)
    highest = max(before, peak())
    first, *others = (n for _, n in operations_by_layer(network.layers, network.input_shape, network.shapes))
    passes = {"a training step": 2 * first + 3 * sum(others), "predict": first + sum(others)}
    rows: list[tuple[str, ...]] = [(title, "median µs", "fastest µs", "samples/s", "of peak")]
    for (name, products), seconds in zip(passes.items(), (times, predicted), strict=True):
        share = percent(batch * products / median(seconds) * 1e-9, highest) if products else ""
        microseconds = (f"{1e6 * value:.1f}" for value in (median(seconds), min(seconds)))
        rows.append((f"{name}, batch {batch}", *microseconds, f"{batch / median(seconds):.0f}", share))
    show(f"peak {highest:.0f} GFLOP/s, float32, {isa.threads()} threads; the network is {network.dtype}\n")
    show(text_table(rows, right=range(1, 5)))
    if profile:
        show("\n" + profile_table(parts, highest))
    step = StepTime(title, median(times), min(times), rounds, parts)
    results = {"step": asdict(step), "batch": batch, "predict": median(predicted), "peak_gflops": highest}
    figures.write(json_file, results)
    return results


def _prediction(network: Network, X: np.ndarray, rounds: int, least: float) -> list[float]:
    """Seconds of a call of `predict`, in rounds of at least `least` seconds, after one to warm up."""
    network.predict(X)
    seconds = []
    for _ in range(rounds):
        calls, begin = 0, perf_counter()
        while (passed := perf_counter() - begin) < least or not calls:
            network.predict(X)
            calls += 1
        seconds.append(passed / calls)
    return seconds
