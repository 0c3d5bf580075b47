"""Oracles: numbers from the literature, computed here by the compiled kernels and by the formulas in float64.

In: an executor.  Out: rows of published and computed numbers.
Knows: everything up to training.

A source is a recipe and a table of rows (see `rows`); the command `chainrule oracles` prints the comparison
and the tests walk the same list.  No oracle needs a download; Ng's own data is read where the user has it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.base.errors import MissingExtraError
from chainrule.base.tables import text_table
from chainrule.engine.executor import NativeExecutor
from chainrule.networks.executor import Executor
from chainrule.oracles import convolution, mazur, ng, nielsen, pooling, scikit_learn, ufldl
from chainrule.oracles.rows import Measured, Row, Source
from chainrule.reference import ReferenceExecutor

__all__ = ["ENGINES", "SOURCES", "Comparison", "Row", "Source", "compare", "exercise", "table"]

SOURCES: tuple[Source, ...] = (
    ng.SOURCE,
    mazur.SOURCE,
    ufldl.SOURCE,
    convolution.SOURCE,
    pooling.SOURCE,
    nielsen.SOURCE,
    scikit_learn.SOURCE,
)
ENGINES: dict[str, Callable[[], Executor[Any]]] = {"kernels": NativeExecutor, "formulas": ReferenceExecutor}
exercise = ng.exercise


@dataclass(frozen=True, eq=False)
class Comparison:
    """One row of a source with ours by every engine; `missing` says why it could not be computed."""

    source: Source
    row: Row
    ours: Measured  # engine -> value
    missing: str | None = None

    @property
    def ok(self) -> bool:
        """Whether every engine agrees with the source."""
        return bool(self.ours) and all(self.row.holds(value) for value in self.ours.values())

    @property
    def verdict(self) -> str:
        if self.missing:
            return "not run"
        wrong = [engine for engine, value in self.ours.items() if not self.row.holds(value)]
        return f"WRONG by the {' and the '.join(wrong)}" if wrong else "ok"

    def worst(self) -> tuple[Any, float]:
        """Ours and the difference by the engine that is further off; NaN is further than anything."""
        pairs = [(value, self.row.difference(value)) for value in self.ours.values()]
        return max(pairs, key=lambda pair: (np.isnan(pair[1]), pair[1]))


def compare(sources: Iterable[Source] = SOURCES) -> Iterator[Comparison]:
    """Every row of the sources, computed by both engines."""
    for source in sources:
        measured: dict[str, Measured] = {}
        missing = None
        for engine, executor in ENGINES.items():
            try:
                measured[engine] = source.recipe(executor())
            except MissingExtraError as error:
                missing = str(error)
                break
        for row in source.rows:
            ours = {} if missing else {engine: results[row.item] for engine, results in measured.items()}
            yield Comparison(source, row, ours, missing)


def table(comparisons: Iterable[Comparison]) -> str:
    """source, item, expected, ours, difference, tolerance, verdict; a line between the sources."""
    rows = [["source", "item", "expected", "ours", "difference", "tolerance", "verdict"]]
    rules = [0]
    last: Source | None = None
    for comparison in comparisons:
        name = "" if comparison.source is last else comparison.source.name
        if name and last is not None:
            rules.append(len(rows) - 1)
        last = comparison.source
        bound = comparison.row.tolerance is None
        expected = ("< " if bound else "") + written(comparison.row.expected, "{:.13g}")
        if comparison.missing:
            rows.append([name, comparison.row.item, expected, "", "", "", f"not run: {comparison.missing}"])
            continue
        ours, difference = comparison.worst()
        shown = written(ours, digits(comparison.row.tolerance))
        distances = ["", ""] if bound else [distance(difference), distance(comparison.row.tolerance or 0.0)]
        rows.append([name, comparison.row.item, expected, shown, *distances, comparison.verdict])
    return text_table(rows, rule_after=rules)


def distance(number: float) -> str:
    """A difference or a tolerance: its order where it is rounding, two digits where it is more."""
    return f"{number:.0e}" if number < 0.01 else f"{number:.2g}"


def digits(tolerance: float | None) -> str:
    """How to print ours: the decimals that the source has, where it says so."""
    if tolerance is None:
        return "{:.1e}"
    return f"{{:.{math.ceil(-math.log10(tolerance))}f}}" if 1e-13 < tolerance < 0.1 else "{:.4g}"


def written(value: Any, form: str) -> str:
    """Numbers as the sources print them; of more than two the first two."""
    values = np.atleast_1d(np.asarray(value, dtype=np.float64))
    text = " ".join(form.format(number) for number in values[:2])
    return f"{text} …" if len(values) > 2 else text
