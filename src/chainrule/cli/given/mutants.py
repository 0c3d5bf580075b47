"""`chainrule verify --mutants`: every wrong neighbour of every formula, and what verify calls it."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from chainrule.explaining.render.terminal.wrapping import fitted_table
from chainrule.training.progress import duration, line_width
from chainrule.verifying.mutants.table import DRAWS, Mutant, counts, judged, planned

HEAD = ("layer", "array", "mistake", "at", "is")
SECONDS_BETWEEN = 0.2


def run_mutants(arguments: argparse.Namespace) -> dict[str, Any]:
    """Exit code 1 where a mistake is not named that computes something else."""
    plans = planned(arguments.mutants)
    progress = _Progress(len(plans))
    mutants = []
    for plan in plans:
        mutants.append(judged(plan))
        progress.step(len(mutants), mutants[-1].layer)
    progress.close()
    asked = arguments.json or str(arguments.output).lower().endswith(".json")
    total = counts(mutants)
    if asked:
        record = {"mutants": [mutant.json() for mutant in mutants], "counts": total, "draws": DRAWS}
        output = json.dumps(record, allow_nan=False)
    else:
        output = f"{_table(mutants, arguments.width)}\n{_summary(total)}"
    return {"code": 1 if total["unnamed"] else 0, "output": output, "complaint": ""}


def _table(mutants: Sequence[Mutant], width: int) -> str:
    rows: list[Sequence[str]] = [HEAD]
    for mutant in mutants:
        missing = mutant.kind.endswith(" only") and mutant.part != mutant.at
        at = mutant.at + (f", without {mutant.part}" if missing else "")
        named = " + ".join(word or "?" for word in mutant.words)
        answer = named if mutant.answer == "named" else mutant.answer
        rows.append((mutant.layer, mutant.array, mutant.kind, at, answer))
    return fitted_table(rows, width, text=(0, 3, 4))


def _summary(total: dict[Any, int]) -> str:
    said = {
        "named": "named",
        "the same function": f"the same function (on {DRAWS} draws)",
        "no function": "of another shape, or not to be computed",
        "unnamed": "UNNAMED",
    }
    parts = [
        f"{total[answer]} {words}" for answer, words in said.items() if total[answer] or answer == "named"
    ]
    return f"{sum(total.values())} mistakes: {', '.join(parts)}"


class _Progress:
    """How many are done and the time that is left, on a line of a terminal that is written again."""

    def __init__(self, count: int) -> None:
        self.count, self.started, self.shown = count, time.perf_counter(), 0.0
        self.on = sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"

    def step(self, done: int, layer: str) -> None:
        now = time.perf_counter()
        if not self.on or (now - self.shown < SECONDS_BETWEEN and done < self.count):
            return
        self.shown = now
        left = duration((now - self.started) / done * (self.count - done))
        self._write(f"{done}/{self.count} mistakes, {left} left, {layer}")

    def close(self) -> None:
        if self.on:
            self._write("")

    def _write(self, line: str) -> None:
        with suppress(OSError):
            sys.stderr.write("\r\x1b[K" + line[: line_width()])
            sys.stderr.flush()
