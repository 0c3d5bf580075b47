"""What an oracle is: a number somebody published, the recipe that gives ours, and how close they must be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.networks.executor import Executor

Measured = Mapping[str, Any]
Recipe = Callable[[Executor[Any]], Measured]


@dataclass(frozen=True)
class Row:
    """One number, or a few that belong together.

    item: the name under which the recipe returns ours. expected: as published. tolerance: largest accepted
    |ours - expected|, half a unit of the last published digit where rounding is all that may differ; None:
    ours must be below `expected`, which is a published bound.
    """

    item: str
    expected: float | tuple[float, ...]
    tolerance: float | None

    def difference(self, ours: Any) -> float:
        """max |ours - expected|; of a bound the largest of ours. NaN where the shapes differ."""
        values, expected = np.atleast_1d(np.asarray(ours, dtype=np.float64)), np.atleast_1d(self.expected)
        if self.tolerance is None:
            return float(np.abs(values).max())
        if values.shape != expected.shape:
            return float("nan")
        return float(np.abs(values - expected).max())

    def holds(self, ours: Any) -> bool:
        """Whether ours is within the tolerance, or below the bound; NaN never is."""
        if self.tolerance is None:
            return self.difference(ours) < float(np.min(self.expected))
        return self.difference(ours) <= self.tolerance


@dataclass(frozen=True)
class Source:
    """A text, the recipe that computes its numbers with a given executor, and the numbers."""

    name: str
    reference: str
    recipe: Recipe
    rows: tuple[Row, ...]
