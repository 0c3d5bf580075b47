"""`chainrule verify --mutants`: every wrong neighbour of every formula, and what verify calls it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

from chainrule.cli.given.progress import Line
from chainrule.explaining.render.terminal.wrapping import fitted_table
from chainrule.training.progress import duration
from chainrule.verifying.mutants.table import DRAWS, Mutant, counts, judged, planned, sampled

HEAD = ("layer", "array", "mistake", "at", "is")


def run_mutants(arguments: argparse.Namespace) -> dict[str, Any]:
    """Exit code 1 where a mistake is not named that computes something else."""
    plans, of = sampled(planned(arguments.mutants))
    line, mutants = Line(), list[Mutant]()
    for done, plan in enumerate(plans, 1):
        mutants.append(judged(plan))
        left = duration(line.seconds / done * (len(plans) - done))
        line.show(f"{done}/{len(plans)} mistakes, {left} left, {mutants[-1].layer}")
    line.close()
    asked = arguments.json or str(arguments.output).lower().endswith(".json")
    total = counts(mutants)
    if asked:
        listed = [mutant.json() for mutant in mutants]
        record = {"mutants": listed, "counts": total, "sampled": of, "draws": DRAWS}
        output = json.dumps(record, allow_nan=False)
    else:
        output = "\n".join([_table(mutants, arguments.width), _summary(total), *_sampled(of)])
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


def _sampled(of: dict[str, int]) -> list[str]:
    said = "Of the {} mistakes of {} some were looked at, of every kind."
    return [said.format(count, layer) for layer, count in of.items()]


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


