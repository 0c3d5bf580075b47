"""`python -m benchmarks.doctor`: how often the doctor's rules are right, on networks with planted faults.

Recall: the share of networks with the fault that the rule finds.  Precision: of all networks that the rule
speaks up on, the share that has the fault, at as many healthy networks as faulty ones.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.planted_faults import FAULTS, Case, healthy
from chainrule.base.tables import text_table
from chainrule.diagnosing.doctor import Diagnosis, diagnose


@dataclass(frozen=True)
class Score:
    """One rule: the faulty networks, those found among them, the healthy ones, those accused."""

    rule: str
    faulty: int
    found: int
    healthy: int
    accused: int

    @property
    def recall(self) -> float:
        return self.found / self.faulty

    @property
    def precision(self) -> float:
        false = self.accused * self.faulty / self.healthy
        return self.found / (self.found + false) if self.found else 0.0


class Progress:
    """A line per network on stderr, with the time left."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.start = total, 0, time.monotonic()

    def add(self, text: str) -> None:
        self.done += 1
        left = (time.monotonic() - self.start) / self.done * (self.total - self.done)
        print(f"{self.done}/{self.total}  {left / 60:.0f} min left  {text}", file=sys.stderr, flush=True)


def examine(case: Case) -> Diagnosis:
    return diagnose(case.network, case.X, case.y, **case.options)


def generator(name: str, seed: int) -> np.random.Generator:
    """Every case has random numbers of its own."""
    return np.random.Generator(np.random.PCG64([*name.encode(), seed]))


def measure(seeds: Sequence[int], healthy_seeds: Sequence[int], rules: Sequence[str] = ()) -> list[Score]:
    """The scores of the rules, of all by default."""
    rules = rules or tuple(FAULTS)
    told = Progress(len(healthy_seeds) + len(rules) * len(seeds))
    accused = []
    for seed in healthy_seeds:
        accused.append(examine(healthy(generator("healthy", seed))).rules)
        told.add(f"healthy {seed}: {', '.join(accused[-1]) or 'nothing found'}")
    scores = []
    for name in rules:
        found = 0
        for seed in seeds:
            right = name in examine(FAULTS[name](generator(name, seed))).rules
            found += right
            told.add(f"{name} {seed}: {'found' if right else 'MISSED'}")
        wrongly = sum(name in own for own in accused)
        scores.append(Score(name, len(seeds), found, len(healthy_seeds), wrongly))
    return scores


def table(scores: Sequence[Score]) -> str:
    rows = [["rule", "faulty", "found", "healthy", "accused", "precision", "recall"]]
    rows += [
        [
            one.rule,
            *map(str, (one.faulty, one.found, one.healthy, one.accused)),
            f"{one.precision:.2f}",
            f"{one.recall:.2f}",
        ]
        for one in scores
    ]
    return text_table(rows, right=range(1, 7))


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.doctor", description=__doc__, allow_abbrev=False
    )
    parser.add_argument(
        "--seeds", type=int, default=40, help="faulty networks per rule (default: %(default)s)"
    )
    parser.add_argument("--healthy", type=int, default=120, help="healthy networks (default: %(default)s)")
    parser.add_argument(
        "--first", type=int, default=80000, help="seed; rules saw smaller ones (default: %(default)s)"
    )
    parser.add_argument("--rules", nargs="+", choices=list(FAULTS), default=list(FAULTS))
    chosen = parser.parse_args()
    seeds, own = (range(chosen.first, chosen.first + count) for count in (chosen.seeds, chosen.healthy))
    print(table(measure(seeds, own, chosen.rules)))


if __name__ == "__main__":
    main()
