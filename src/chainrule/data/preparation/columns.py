"""What becomes of one column of a table: one class per way, each learned from training data and plain JSON.

`learn` takes the training part's column. `names` are those of the columns of numbers it gives, `sorts` what
each of them is, "number", "level" (0, 1 and the like) or "id"; `title` says what it does, and a call makes
(N, len(names)) float64 of a column of new data.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from chainrule.base.errors import DataError
from chainrule.base.scalars import finite_number
from chainrule.base.shown import quoted
from chainrule.base.types import Array
from chainrule.data.frames import Column
from chainrule.data.tables.decimals import is_number

TRUTH = ("False", "True")
OTHER = "other"
MISSING = "missing"
_DAY = np.timedelta64(1, "D") / np.timedelta64(1, "us")


class Way(Protocol):
    """What becomes of the column `name`."""

    @property
    def name(self) -> str: ...

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def sorts(self) -> tuple[str, ...]: ...

    @property
    def title(self) -> str: ...

    def __call__(self, column: Column, argument: str) -> Array: ...

    def to_json(self) -> dict[str, Any]: ...


class Scale(Way, Protocol):
    """What becomes of a number; a missing one is the median, told by a column of its own: `indicator`."""

    @property
    def median(self) -> float: ...

    @property
    def indicator(self) -> bool: ...

    @classmethod
    def learn(cls, column: Column) -> Scale: ...


@dataclass(frozen=True)
class Dropped:
    """The column is left out; `reason` says why."""

    name: str
    reason: str
    kind: ClassVar[str] = "dropped"
    names: ClassVar[tuple[str, ...]] = ()
    sorts: ClassVar[tuple[str, ...]] = ()

    @property
    def title(self) -> str:
        return f"left out: {self.reason}"

    def __call__(self, column: Column, argument: str) -> Array:
        return np.empty((len(column), 0))

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "name": self.name, "reason": self.reason}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Dropped:
        return cls(stored_text(stored, "name"), stored_text(stored, "reason"))


class Filled:
    """What columns of numbers share: a missing one is the median of the training data, told by a column of
    its own, the `indicator`, where these had some. lenient: a text that is no number counts as missing.
    """

    name: str
    median: float
    indicator: bool
    lenient: bool

    def scaled(self, values: Array) -> Array:
        """Numbers, none missing, as the network takes them."""
        raise NotImplementedError(f"{type(self).__name__} must define scaled(self, values)")

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name, f"{self.name} {MISSING}") if self.indicator else (self.name,)

    @property
    def sorts(self) -> tuple[str, ...]:
        return ("number", "level") if self.indicator else ("number",)

    @property
    def gaps(self) -> str:
        """The end of a title."""
        return f"; missing: {self.median:g}, and a column that says so" if self.indicator else ""

    def __call__(self, column: Column, argument: str) -> Array:
        if self.lenient and column.kind == "text":
            column = as_numbers(column) or Column(
                column.name, "number", np.full(len(column), np.nan), np.ones(len(column), dtype=bool)
            )
        values = quantities(column, argument)
        if column.missing.any() and not self.indicator:
            tell_missing(column, f"the median of the training data, {self.median:g}")
        scaled = self.scaled(np.where(column.missing, self.median, values))
        parts = [scaled, column.missing.astype(np.float64)] if self.indicator else [scaled]
        return np.stack(parts, axis=1)


@dataclass(frozen=True)
class Quantity(Filled):
    """A number as (x - mean) / scale."""

    name: str
    mean: float
    scale: float
    median: float
    indicator: bool = False
    lenient: bool = False
    kind: ClassVar[str] = "quantity"

    @classmethod
    def learn(cls, column: Column) -> Quantity:
        """Median of what is there, then mean and deviation with the gaps filled by it."""
        values = quantities(column, "the training data")
        median = float(np.median(values[~column.missing]))
        filled = np.where(column.missing, median, values)
        mean, scale = _moments(filled, column.name)
        return cls(column.name, mean, scale, median, bool(column.missing.any()))

    @property
    def title(self) -> str:
        return f"number, (x - {self.mean:.6g}) / {self.scale:.6g}{self.gaps}"

    def scaled(self, values: Array) -> Array:
        return (values - self.mean) / self.scale

    def to_json(self) -> dict[str, Any]:
        stored: dict[str, Any] = {
            "kind": self.kind,
            "name": self.name,
            "mean": self.mean,
            "scale": self.scale,
        }
        return stored | {"median": self.median, "indicator": self.indicator, "lenient": self.lenient}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Quantity:
        mean, scale, median = (stored_number(stored, key) for key in ("mean", "scale", "median"))
        indicator, lenient = (stored.get(key) is True for key in ("indicator", "lenient"))
        return cls(stored_text(stored, "name"), mean, _positive(scale), median, indicator, lenient)


@dataclass(frozen=True)
class Gap:
    """Whether a column is missing, which is all that it says; `reason` says why."""

    name: str
    reason: str
    kind: ClassVar[str] = "gap"
    sorts: ClassVar[tuple[str, ...]] = ("level",)

    @property
    def names(self) -> tuple[str, ...]:
        return (f"{self.name} {MISSING}",)

    @property
    def title(self) -> str:
        return f"whether it is missing, for {self.reason}"

    def __call__(self, column: Column, argument: str) -> Array:
        return column.missing.astype(np.float64)[:, np.newaxis]

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "name": self.name, "reason": self.reason}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Gap:
        return cls(stored_text(stored, "name"), stored_text(stored, "reason"))


@dataclass(frozen=True)
class Levels:
    """A text as a column of 0 and 1 per level; two levels are one column. What is missing is a level of its
    own where the training data had gaps, rare levels together are one.

    levels: as written, in their order; `other`: everything beyond these counts as one more.
    """

    name: str
    levels: tuple[str, ...]
    other: bool = False
    gaps: bool = False
    kind: ClassVar[str] = "levels"

    @classmethod
    def learn(cls, column: Column, most: int) -> Levels:
        """The levels of a column; beyond `most` the most frequent are kept, the rest is one."""
        texts = texts_of(column)
        counts: dict[str, int] = {}
        for text in texts[~column.missing]:
            counts[text] = counts.get(text, 0) + 1
        frequent = sorted(counts, key=lambda level: (-counts[level], level))[:most]
        kept = tuple(sorted(frequent if len(counts) > most else counts))
        return cls(column.name, kept, len(counts) > most, bool(column.missing.any()))

    @property
    def names(self) -> tuple[str, ...]:
        every = [*self.levels, *([OTHER] if self.other else []), *([MISSING] if self.gaps else [])]
        return tuple(f"{self.name}={level}" for level in (every[1:] if len(every) == 2 else every))

    @property
    def sorts(self) -> tuple[str, ...]:
        return ("level",) * len(self.names)

    @property
    def title(self) -> str:
        shown = ", ".join(quoted(level, 20) for level in self.levels[:6])
        more = f", … ({len(self.levels)} levels)" if len(self.levels) > 6 else ""
        rare = "; rarer ones together" if self.other else ""
        gaps = "; missing is a level" if self.gaps else ""
        form = "0 or 1" if len(self.names) == 1 else f"{len(self.names)} columns of 0 and 1"
        return f"levels {shown}{more}{rare}{gaps}: {form}"

    def __call__(self, column: Column, argument: str) -> Array:
        places = {level: place for place, level in enumerate(self.levels)}
        rest = len(self.levels)
        truth = (
            self.levels == TRUTH and column.kind == "number"
        )  # 0 and 1 where the training had False and True
        texts = texts_of(column)
        width = rest + self.other + self.gaps
        instead = f"'{quoted(self.levels[0], 40)}'" if width == 2 else "none of its levels"
        if truth:
            texts = np.array(
                [TRUTH[int(text)] if text in ("0", "1") else text for text in texts], dtype=object
            )
        unknown = rest if self.other else -1
        place = np.fromiter((places.get(text, unknown) for text in texts), np.int64, len(texts))
        tell_new(column, texts[(place == -1) & ~column.missing], instead)
        place[column.missing] = rest + self.other if self.gaps else -1
        if column.missing.any() and not self.gaps:
            tell_missing(column, instead)
        hot = np.zeros((len(texts), width))
        known = place >= 0
        hot[np.flatnonzero(known), place[known]] = 1.0
        return hot[:, 1:] if width == 2 else hot

    def to_json(self) -> dict[str, Any]:
        stored: dict[str, Any] = {"kind": self.kind, "name": self.name, "levels": list(self.levels)}
        return stored | {"other": self.other, "gaps": self.gaps}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Levels:
        name, levels = stored_text(stored, "name"), stored_texts(stored, "levels")
        return cls(name, levels, stored.get("other") is True, stored.get("gaps") is True)


@dataclass(frozen=True)
class Ordered:
    """A text whose levels have an order, as its place among them, brought to one scale."""

    name: str
    levels: tuple[str, ...]
    scale: Scale
    kind: ClassVar[str] = "ordered"

    @classmethod
    def learn(cls, column: Column, levels: tuple[str, ...], scale: type[Scale] = Quantity) -> Ordered:
        """`levels` from the lowest to the highest; all that occur must be among them."""
        texts = texts_of(column)
        new = sorted(set(texts[~column.missing]) - set(levels))
        if new:
            raise DataError(
                f"the column '{column.name}' holds {quoted(new[0], 40)}, which is none of its levels: "
                f"{', '.join(levels)}"
            )
        return cls(column.name, levels, scale.learn(_ranks(column, texts, levels)))

    @property
    def names(self) -> tuple[str, ...]:
        return self.scale.names

    @property
    def sorts(self) -> tuple[str, ...]:
        return self.scale.sorts

    @property
    def title(self) -> str:
        shown = " < ".join(quoted(level, 20) for level in self.levels)
        return f"place in {shown}, brought to one scale"

    def __call__(self, column: Column, argument: str) -> Array:
        texts = texts_of(column)
        new = [text not in self.levels for text in texts] & ~column.missing
        if new.any():
            raise DataError(
                f"the column '{self.name}' of {argument} holds {quoted(str(texts[new][0]), 40)}, which has "
                f"no place in {' < '.join(self.levels)}"
            )
        return self.scale(_ranks(column, texts, self.levels), argument)

    def to_json(self) -> dict[str, Any]:
        scale = self.scale.to_json()
        return {"kind": self.kind, "name": self.name, "levels": list(self.levels), "scale": scale}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Ordered:
        return cls(stored_text(stored, "name"), stored_texts(stored, "levels"), _scale(stored, "scale"))


# The parts of a date that repeat: name, period in days, and the time within it, in days.
def _day_of_year(dates: Array) -> Array:
    start = dates.astype("datetime64[Y]").astype("datetime64[us]")
    return np.asarray((dates - start).astype(np.float64) / _DAY)


def _day_of_week(dates: Array) -> Array:
    return (dates.astype("datetime64[D]").astype(np.int64) + 3) % 7 + _time_of_day(dates)  # Monday is 0


def _time_of_day(dates: Array) -> Array:
    start = dates.astype("datetime64[D]").astype("datetime64[us]")
    return np.asarray((dates - start).astype(np.float64) / _DAY)


_cycles: dict[str, tuple[float, Callable[[Array], Array]]] = {
    "year": (365.25, _day_of_year),
    "week": (7.0, _day_of_week),
    "day": (1.0, _time_of_day),
}


@dataclass(frozen=True)
class Date:
    """A date as the days elapsed, brought to one scale, and sine and cosine of its place in each cycle: the
    year, the week, the day.
    """

    name: str
    elapsed: Scale
    cycles: tuple[str, ...]
    kind: ClassVar[str] = "date"

    @classmethod
    def learn(cls, column: Column, scale: type[Scale] = Quantity) -> Date:
        """The cycles of which the training data see more than one place: of a year's more than a month."""
        days = _days(column)
        there = column.values[~column.missing]
        seen = {name: np.ptp(part(there)) for name, (_, part) in _cycles.items()}
        cycles = [
            name for name, least in (("year", 31.0), ("week", 0.99), ("day", 1e-5)) if seen[name] > least
        ]
        return cls(column.name, scale.learn(days), tuple(cycles))

    @property
    def names(self) -> tuple[str, ...]:
        waves = [f"{self.name} {wave} of {cycle}" for cycle in self.cycles for wave in ("sin", "cos")]
        return (*self.elapsed.names, *waves)

    @property
    def sorts(self) -> tuple[str, ...]:
        return (*self.elapsed.sorts, *("level",) * 2 * len(self.cycles))

    @property
    def title(self) -> str:
        cycles = (
            f", and its place in the {' and the '.join(self.cycles)} (sine, cosine)" if self.cycles else ""
        )
        gaps = "; missing: the median, and a column that says so" if self.elapsed.indicator else ""
        return f"date: days elapsed, brought to one scale{cycles}{gaps}"

    def __call__(self, column: Column, argument: str) -> Array:
        if column.kind == "text":
            column = as_dates(column) or column
        if column.kind != "date" and not column.missing.all():
            raise _not(column, argument, "a date")
        parts = [self.elapsed(_days(column), argument)]
        median = np.datetime64(0, "us") + np.timedelta64(round(self.elapsed.median * _DAY), "us")
        dates = column.values if column.kind == "date" else np.full(len(column), median)
        dates = np.where(column.missing, median, dates).astype("datetime64[us]")
        for cycle in self.cycles:
            period, part = _cycles[cycle]
            angle = 2 * np.pi * part(dates) / period
            parts.append(np.stack([np.sin(angle), np.cos(angle)], axis=1))
        return np.concatenate(parts, axis=1)

    def to_json(self) -> dict[str, Any]:
        elapsed = self.elapsed.to_json()
        return {"kind": self.kind, "name": self.name, "elapsed": elapsed, "cycles": list(self.cycles)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Date:
        cycles = stored_texts(stored, "cycles")
        if not set(cycles) <= _cycles.keys():
            raise DataError("a column's 'cycles' is damaged")
        return cls(stored_text(stored, "name"), _scale(stored, "elapsed"), cycles)


def quantities(column: Column, argument: str) -> Array:
    """The numbers of a column; truth values are 0 and 1, texts that are all numbers these."""
    if column.kind == "number":
        return column.values
    numbers = as_numbers(column) if column.kind == "text" else None
    if numbers is not None and (numbers.missing == column.missing).all():
        return numbers.values
    if column.kind == "truth" or column.missing.all():
        return np.where(column.missing, np.nan, column.values == True).astype(np.float64)  # noqa: E712
    raise _not(column, argument, "a number")


def _not(column: Column, argument: str, what: str) -> DataError:
    """The error for a column of another kind than in training, with the first entry that does not fit."""
    entries = column.values.tolist()
    fits = is_number if what == "a number" and column.kind == "text" else lambda _: False
    there = [row for row in range(len(entries)) if not column.missing[row]]
    row = next((row for row in there if not fits(entries[row])), there[0])
    shown = f"'{quoted(entries[row], 40)}'" if column.kind == "text" else str(entries[row])
    return DataError(
        f"the column '{column.name}' of {argument} holds {shown} in row {row}, but was {what} in training"
    )


def as_numbers(column: Column) -> Column | None:
    """A column of texts as numbers, what is none of them as missing; None where nothing is a number."""
    texts = column.values.tolist()
    fits = np.array([is_number(text) for text in texts], dtype=bool) & ~column.missing
    if not fits.any():
        return None
    values = np.array([float(text) if fit else np.nan for text, fit in zip(texts, fits, strict=True)])
    return Column(column.name, "number", values, ~fits)


def as_dates(column: Column) -> Column | None:
    """A column of texts as dates, where all that are there are dates in one form; else None."""
    from chainrule.data.tables.dates import read_dates

    there = ~column.missing
    moments, _ = read_dates([str(text).strip() for text in column.values[there]])
    if moments is None:
        return None
    dates = np.full(len(column), np.datetime64("NaT"), dtype="datetime64[us]")
    dates[there] = np.array([moment.replace(tzinfo=None) for moment in moments], dtype="datetime64[us]")
    return Column(column.name, "date", dates, column.missing)


def texts_of(column: Column) -> Array:
    """The values as they would be written; a whole number without a point."""
    if column.kind == "text":
        return column.values
    if column.kind == "number":
        return np.array([_written(entry) for entry in column.values.tolist()], dtype=object)
    return np.array([str(entry) for entry in column.values], dtype=object)


def _written(entry: float) -> str:
    """The shortest text that reads as the number; zero has no sign, and NaN no text."""
    return "" if entry != entry else repr(entry + 0.0).removesuffix(".0")


def level_text(level: Any) -> str:
    """A level that was told, as `texts_of` writes it."""
    number = isinstance(level, (int, float, np.number)) and not isinstance(level, (bool, np.bool_))
    return _written(float(level)) if number else str(level)


def _ranks(column: Column, texts: Array, levels: tuple[str, ...]) -> Column:
    places = {level: float(place) for place, level in enumerate(levels)}
    ranks = np.array([places.get(text, np.nan) for text in texts])
    return Column(column.name, "number", ranks, column.missing, True)


def _days(column: Column) -> Column:
    """Days since 1970 as a column of numbers."""
    days = np.full(len(column), np.nan)
    if column.kind == "date":
        there = ~column.missing
        days[there] = column.values[there].astype("datetime64[us]").astype(np.int64) / _DAY
    return Column(column.name, "number", days, column.missing)


def _moments(values: Array, name: str) -> tuple[float, float]:
    with np.errstate(over="ignore", invalid="ignore"):
        mean, deviation = float(values.mean()), float(values.std())
    if not (np.isfinite(mean) and np.isfinite(deviation)):
        raise DataError(
            f"the values of the column '{name}' are too large to be brought to one scale: rescale them"
        )
    # A constant column leaves a deviation of a few rounding errors of its mean, not always exactly 0.
    return mean, deviation if deviation > 1e-12 * float(np.abs(values).max()) else 1.0


def tell(message: str) -> None:
    warnings.warn(message, stacklevel=2)


def tell_new(column: Column, texts: Array, instead: str) -> None:
    """Warn of the entries that are no level of the training data, where there are any."""
    if len(texts):
        names = sorted(set(map(str, texts)))
        shown = ", ".join(quoted(name, 40) for name in names[:5]) + (", …" if len(names) > 5 else "")
        tell(
            f"the column '{column.name}' holds {shown} in {rows_shown(len(texts))}, which the training data "
            f"did not: there it counts as {instead}"
        )


def tell_missing(column: Column, instead: str) -> None:
    rows = rows_shown(int(column.missing.sum()))
    tell(
        f"the column '{column.name}' is missing in {rows}, in training it never was: there it counts as "
        f"{instead}"
    )


def rows_shown(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


# -- JSON ----------------------------------------------------------------------------------------------------
def stored_text(stored: Mapping[str, Any], key: str) -> str:
    value = stored.get(key)
    if not isinstance(value, str):
        raise DataError(f"a column's {key!r} is damaged: it must be a text")
    return value


def stored_texts(stored: Mapping[str, Any], key: str) -> tuple[str, ...]:
    values = stored.get(key)
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise DataError(f"a column's {key!r} is damaged: it must be a list of texts")
    return tuple(values)


def stored_number(stored: Mapping[str, Any], key: str) -> float:
    value = stored.get(key)
    if not finite_number(value):
        raise DataError(f"a column's {key!r} is damaged: it must be a finite number")
    return float(value)  # type: ignore[arg-type]


def _scale(stored: Mapping[str, Any], key: str) -> Scale:
    """What brings a column's places or days to one scale."""
    scale = stored.get(key)
    way = ways.get(str(scale.get("kind"))) if isinstance(scale, Mapping) else None
    if way is None or "median" not in way.__dataclass_fields__:
        raise DataError(f"a column's {key!r} is damaged")
    made: Scale = way.from_json(scale)
    return made


def _positive(value: float) -> float:
    if not value > 0:
        raise DataError("a column's 'scale' is damaged: it must be positive")
    return value


ways: dict[str, Any] = {way.kind: way for way in (Dropped, Quantity, Gap, Levels, Ordered, Date)}
