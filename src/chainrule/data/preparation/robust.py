"""What becomes of a column for a network with embeddings: numbers by median and quartiles, softly clipped;
few levels as ±1 or one column each; many as an id for an `Embedding`.

Figures of RealMLP (Holzmüller, Grinsztajn & Steinwart, Better by Default, 2024).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from chainrule.base.errors import DataError
from chainrule.base.scalars import finite_number
from chainrule.base.shown import quoted
from chainrule.base.types import Array
from chainrule.data.frames import Column
from chainrule.data.preparation.columns import (
    Filled,
    quantities,
    stored_number,
    stored_text,
    stored_texts,
    tell_new,
    texts_of,
    ways,
)

MOST_COLUMNS = 8  # levels, up to which each is a column of its own; with the missing one they are nine
MOST = 3.0  # a clipped number lies between ±3


def clipped(values: Array) -> Array:
    """x / √(1 + (x / 3)²): the identity near 0, never beyond ±3."""
    return np.asarray(values / np.sqrt(1 + (values / MOST) ** 2))


def center_and_factor(values: Array) -> tuple[float, float]:
    """(median, 1 / distance of the quartiles); where that is 0 half of the range takes its place, and where
    that is 0 the factor is 0.  Raises DataError for numbers whose distances are beyond the range.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        low, center, high = np.quantile(values, [0.25, 0.5, 0.75])
        spread = high - low
        if spread == 0:
            spread = (values.max() - values.min()) / 2
        factor = 1 / spread if spread > 0 else 0.0
    if not (np.isfinite(center) and np.isfinite(spread) and np.isfinite(factor)):
        raise DataError("these numbers are too large, or too near to each other, to be brought to one scale")
    return float(center), float(factor)


@dataclass(frozen=True)
class Robust(Filled):
    """A number as (x - median) · factor, softly clipped."""

    name: str
    median: float
    factor: float
    indicator: bool = False
    lenient: bool = False
    kind: ClassVar[str] = "robust"

    @classmethod
    def learn(cls, column: Column) -> Robust:
        values = quantities(column, "the training data")
        try:
            center, factor = center_and_factor(values[~column.missing])
        except DataError as error:
            raise DataError(f"the column '{column.name}': {error}") from None
        return cls(column.name, center, factor, bool(column.missing.any()))

    @property
    def title(self) -> str:
        return f"number, (x - {self.median:.6g}) · {self.factor:.6g}, softly clipped to ±{MOST:g}{self.gaps}"

    def scaled(self, values: Array) -> Array:
        # The largest float64 is where it is clipped to: far beyond nothing changes any more.
        return clipped(np.clip((values - self.median) * self.factor, -1e100, 1e100))

    def to_json(self) -> dict[str, Any]:
        stored: dict[str, Any] = {"kind": self.kind, "name": self.name}
        stored |= {"median": self.median, "factor": self.factor}
        return stored | {"indicator": self.indicator, "lenient": self.lenient}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Robust:
        median, factor = (stored_number(stored, key) for key in ("median", "factor"))
        indicator, lenient = (stored.get(key) is True for key in ("indicator", "lenient"))
        return cls(stored_text(stored, "name"), median, factor, indicator, lenient)


@dataclass(frozen=True)
class Signs:
    """A text of few levels: of two one column, +1 and -1, of more a column of 1 and 0 each; what is missing
    or new is 0 in all. Every column is centred, scaled and clipped as a number is.

    scales: (median, factor) of every column.
    """

    name: str
    levels: tuple[str, ...]
    scales: tuple[tuple[float, float], ...]
    kind: ClassVar[str] = "signs"

    @classmethod
    def learn(cls, column: Column, levels: tuple[str, ...]) -> Signs:
        made = _hot(texts_of(column), column.missing, levels)
        return cls(column.name, levels, tuple(center_and_factor(part) for part in made.T))

    @property
    def names(self) -> tuple[str, ...]:
        shown = self.levels[:1] if len(self.levels) == 2 else self.levels
        return tuple(f"{self.name}={level}" for level in shown)

    @property
    def sorts(self) -> tuple[str, ...]:
        return ("level",) * len(self.names)

    @property
    def title(self) -> str:
        shown = ", ".join(quoted(level, 20) for level in self.levels)
        form = "+1 or -1" if len(self.levels) == 2 else f"{len(self.levels)} columns of 0 and 1"
        return f"levels {shown}: {form}, missing and new ones 0, brought to the scale of numbers"

    def __call__(self, column: Column, argument: str) -> Array:
        texts = texts_of(column)
        tell_new(column, _new(column, texts, self.levels), "none of its levels")
        centers, factors = np.array(self.scales).T
        return clipped((_hot(texts, column.missing, self.levels) - centers) * factors)

    def to_json(self) -> dict[str, Any]:
        scales = [list(pair) for pair in self.scales]
        return {"kind": self.kind, "name": self.name, "levels": list(self.levels), "scales": scales}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Signs:
        levels, scales = stored_texts(stored, "levels"), stored.get("scales")
        made = cls(stored_text(stored, "name"), levels, ())
        pairs = scales if isinstance(scales, list) else []
        fine = all(
            isinstance(pair, list) and len(pair) == 2 and all(map(finite_number, pair)) for pair in pairs
        )
        if not fine or len(pairs) != len(made.names):
            raise DataError(
                "a column's 'scales' is damaged: there must be two numbers for each of its columns"
            )
        return cls(made.name, levels, tuple((float(center), float(factor)) for center, factor in pairs))


@dataclass(frozen=True)
class Ids:
    """A text of many levels as a number for an `Embedding`: 0 for what is missing or new, then its levels."""

    name: str
    levels: tuple[str, ...]
    kind: ClassVar[str] = "ids"

    @property
    def vocabulary(self) -> int:
        return len(self.levels) + 1

    @property
    def names(self) -> tuple[str, ...]:
        return (f"{self.name} id",)

    @property
    def sorts(self) -> tuple[str, ...]:
        return ("id",)

    @property
    def title(self) -> str:
        shown = ", ".join(quoted(level, 20) for level in self.levels[:6])
        return f"levels {shown}, … ({len(self.levels)} levels): an id, 0 for missing and new ones"

    def __call__(self, column: Column, argument: str) -> Array:
        texts = texts_of(column)
        tell_new(column, _new(column, texts, self.levels), "missing")
        places = {level: place for place, level in enumerate(self.levels, 1)}
        ids = np.fromiter((places.get(text, 0) for text in texts), np.float64, len(texts))
        ids[column.missing] = 0
        return ids[:, np.newaxis]

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "name": self.name, "levels": list(self.levels)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Ids:
        return cls(stored_text(stored, "name"), stored_texts(stored, "levels"))


ways |= {way.kind: way for way in (Robust, Signs, Ids)}


def levels_way(column: Column) -> Signs | Ids:
    """What becomes of a text: columns of few levels, an id of many."""
    levels = tuple(sorted(set(texts_of(column)[~column.missing].tolist())))
    return Signs.learn(column, levels) if len(levels) <= MOST_COLUMNS else Ids(column.name, levels)


def _hot(texts: Array, missing: Array, levels: tuple[str, ...]) -> Array:
    places = {level: place for place, level in enumerate(levels)}
    place = np.fromiter((places.get(text, -1) for text in texts), np.int64, len(texts))
    place[missing] = -1
    hot = (place[:, np.newaxis] == np.arange(len(levels))).astype(np.float64)
    return np.asarray(hot[:, :1] - hot[:, 1:] if len(levels) == 2 else hot)


def _new(column: Column, texts: Array, levels: tuple[str, ...]) -> Array:
    """The entries that are none of the levels."""
    known = set(levels)
    new = np.array([text not in known for text in texts], dtype=bool)
    return np.asarray(texts[new & ~column.missing])
