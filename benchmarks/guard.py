"""What became slower: `python -m benchmarks.guard BEFORE` trains and predicts with chainrule as it is in
another tree, BEFORE, whose compiled part lies in its src/ too, and as it is installed here.

Both have a process of one thread and take turns, whose order changes each time; the processor's time counts,
the least of several measurements, so that a busy machine can be used. What is slower by more than 3 % is
measured again, longer. Ends with status 1 where that does not make it go away.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median

from benchmarks import harness, sweep
from benchmarks.workloads import write
from chainrule.bench.workloads import PREDICTIONS, WORKLOADS, Description, Workload

WORSE = 1.03
AGAIN = 3  # times as many rounds for what looks slower
PATIENCE, WIDTH = 600.0, 160
CHAINRULE = harness.Configuration("chainrule", "")


def _dense(inputs: int, batch: int, activation: str, *widths: int) -> Workload:
    hidden = tuple(part for width in widths[:-1] for part in (("dense", width), (activation,)))
    layers: tuple[Description, ...] = (*hidden, ("dense", widths[-1]), ("softmax",))
    name = f"{inputs}-{'-'.join(map(str, widths))}, {activation}"
    return Workload(name, f"{name}, batch {batch}", (inputs,), batch, 200, layers)


def _small(name: str, shape: tuple[int, ...], batch: int, *layers: Description) -> Workload:
    return Workload(name, f"{name}, batch {batch}", shape, batch, 200, (*layers, ("dense", 3), ("softmax",)))


SMALL: tuple[Workload, ...] = (
    _dense(24, 2, "sigmoid", 8, 2),
    _dense(4, 32, "tanh", 32, 16, 4),
    _dense(28, 100, "relu", 300, 300, 300, 2),
    _dense(2, 4, "tanh", 3, 2),
    _dense(10, 16, "gelu", 20, 20, 3),
    _dense(64, 32, "relu", 32, 10),
    _dense(13, 8, "relu", 50, 2),
    _dense(100, 7, "sigmoid", 30, 5),
    _small("tiny-conv", (8, 8, 1), 4, ("conv", 4, 3, 1), ("relu",), ("pool", 2), ("flatten",)),
    _small("tiny-lstm", (12, 3), 5, ("lstm", 8)),
    _small("tiny-gru", (12, 3), 16, ("gru", 6)),
    _small("tiny-conv1d", (20, 4), 8, ("conv1d", 6, 3), ("relu",), ("largest",)),
    _small("tiny-attention", (9, 16), 6, ("residual", ("layernorm",), ("attention", 2)), ("average",)),
    _small("tiny-norm", (6, 6, 2), 16, ("conv", 8, 3, 1), ("batchnorm",), ("relu",), ("average",)),
    _small("tiny-batchnorm", (30,), 20, ("dense", 16), ("batchnorm",), ("relu",)),
)


def workloads(drawn: int, seed: int, names: list[str]) -> Iterator[Workload]:
    """The named ones, or all steps, small networks and `drawn` random ones, with predictions of these two."""
    if names:
        yield from (one for one in (*WORKLOADS, *SMALL, *PREDICTIONS) if one.name in names)
        return
    yield from (one for one in WORKLOADS if one.task == "train")
    for one in (*SMALL, *sweep.networks(drawn, seed)):
        yield one
        yield replace(one, name=f"predict-{one.name}", steps=1, task="predict")


def compared(before: harness.Worker, after: harness.Worker, rounds: int, least: float) -> tuple[float, float]:
    """Seconds of a step before and after, of what both have prepared."""
    times: dict[harness.Worker, float] = {before: math.inf, after: math.inf}
    for turn in range(rounds):
        for worker in (after, before) if turn % 2 else (before, after):
            answer = worker.ask("measure", least=least, processor=True)
            times[worker] = min(times[worker], answer["seconds"])
    return times[before], times[after]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.guard", description=__doc__, allow_abbrev=False
    )
    parser.add_argument("before", type=Path, metavar="BEFORE", help="another tree, with its src/chainrule")
    parser.add_argument("--workloads", nargs="+", default=[], metavar="NAME", help="these alone")
    parser.add_argument("--sweep", type=int, default=60, metavar="N", help="random networks (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of these (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--least", type=float, default=0.01, help="seconds of a measurement (%(default)s)")
    arguments = parser.parse_args()
    if not (arguments.before / "src" / "chainrule").is_dir():
        parser.error(f"BEFORE: {arguments.before} has no src/chainrule")
    source = arguments.before.resolve() / "src"
    ratios: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        before, after = workers = [harness.Worker(CHAINRULE, 1, PATIENCE, of) for of in (source, None)]
        try:
            found = Path(before.ask("source")["source"])
            if found.parent != source / "chainrule":  # an editable installation goes before PYTHONPATH
                parser.error(f"BEFORE: Python finds {found} instead of what lies in {source}")
            for one in workloads(arguments.sweep, arguments.seed, arguments.workloads):
                problem = write(one, Path(folder))
                for worker in workers:
                    worker.ask("prepare", problem=str(problem))
                times = compared(before, after, arguments.rounds, arguments.least)
                if times[1] > WORSE * times[0]:
                    times = compared(before, after, AGAIN * arguments.rounds, arguments.least)
                problem.unlink()
                ratio = ratios[one.name] = times[1] / times[0]
                mark = "slower" if ratio > WORSE else ""
                first, second = (f"{1e6 * seconds:10.1f}" for seconds in times)
                print(f"{ratio:.3f}{first}{second} µs {mark:6} {one.name}: {one.title}"[:WIDTH], flush=True)
        finally:
            for worker in workers:
                worker.end()
    slower = [name for name, ratio in ratios.items() if ratio > WORSE]
    print(f"{len(ratios)} rows, median {median(ratios.values()):.3f}; slower: {', '.join(slower) or 'none'}")
    sys.exit(bool(slower))
