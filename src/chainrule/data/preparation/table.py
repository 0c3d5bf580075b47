"""Columns: what becomes of every column of a table, learned from the training part."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, DataError, ShapeError, describe
from chainrule.base.scalars import check_count, entries
from chainrule.base.shown import quoted
from chainrule.base.tables import text_table
from chainrule.base.types import Array
from chainrule.data.arrays import Prepared, all_finite, first_nonfinite, plain_array, prepared
from chainrule.data.frames import Column, Frame, column_of, frame_of, listed
from chainrule.data.preparation.columns import (
    Date,
    Dropped,
    Gap,
    Levels,
    Ordered,
    Quantity,
    Scale,
    Way,
    as_dates,
    as_numbers,
    level_text,
    ways,
)
from chainrule.data.preparation.robust import Ids, Robust, levels_way
from chainrule.data.tables.decimals import MOST_EXACT, ONE_POINT_GROUP, is_number

MOST_LEVELS = 50  # columns of 0 and 1 per text; the first Dense layer makes of them what an Embedding would
FEW = 20  # rows, up to which numbers and texts that all differ say nothing about the column
_ID = re.compile(
    r"(^|[^a-zA-Z])([iI][dD]|[iI]ndex|INDEX|[kK]ey|[nN]umber|[nN]o|NO|[nN]r|[oO]bs|OBS|[cC]ase|[rR]ow)$|[a-z](Id|ID)$"
    r"|^(id|ID|Id)[^a-z]|^Unnamed: [0-9]+$",
    re.ASCII,
)
_SURE = re.compile(r"(^|[^a-zA-Z])[iI][dD]$|[a-z](Id|ID)$", re.ASCII)
_TIME = re.compile(r"year|time|date|day|month|week|hour|minute|second|quarter|period|epoch|step|age", re.I)
_CODE = re.compile(r"[-+]?0[0-9]")  # a number that is written so is a code, or a number of fixed width
KINDS = ("number", "levels", "date", "drop")
SORTS = ("number", "level", "id")  # in this order where a preparation groups them


@dataclass(frozen=True, eq=False)
class Columns:
    """A way for every column, in the order of the training data.

    grouped: numbers come first, then columns of levels, then ids; otherwise all in the order of the columns.
    """

    ways: tuple[Way, ...]
    grouped: bool = False

    @classmethod
    def learn(
        cls,
        frame: Frame,
        kinds: Mapping[str, str] | None = None,
        levels: Mapping[str, Sequence[str]] | None = None,
        most_levels: int = MOST_LEVELS,
        robust: bool = False,
    ) -> Columns:
        """The ways for the columns of `frame`; `kinds` and `levels` decide for those that they name.

        kinds: column -> "number", "levels", "date" or "drop". levels: column -> its levels from the lowest
        to the highest. robust: the ways of robust.py, grouped. Raises DataError where nothing is left to
        learn from.
        """
        chosen, orders = _for_columns("kinds", kinds, frame), _for_columns("levels", levels, frame)
        for name, kind in chosen.items():
            if kind not in KINDS:
                raise ArgumentError(
                    f"kinds[{name!r}] is {describe(kind)}: write {', '.join(map(repr, KINDS))}"
                )
        for name, order in orders.items():
            given = entries(order)
            texts = [] if given is None else [*map(level_text, given)]
            if not texts or len(set(texts)) < len(texts):
                raise ArgumentError(
                    f"levels[{name!r}] is {describe(order)}: write its levels from the lowest to the "
                    "highest, each once, ['S', 'M', 'L']"
                )
            if name in chosen:
                raise ArgumentError(f"both kinds and levels name the column {name!r}: leave it out of kinds")
        check_count("most_levels", most_levels)
        made = [_way(column, chosen, orders, most_levels, robust) for column in frame.columns]
        if not any(way.names for way in made):
            reasons = "; ".join(f"{way.name}: {way.title}" for way in made[:5])
            told = next((way.name for way in made if way.name not in chosen), made[0].name)
            kind = "levels" if frame.column(told).kind in ("text", "truth") else frame.column(told).kind
            raise DataError(
                f"no column is left to learn from ({reasons}). Where one is meant all the same, write "
                f"kinds={{{told!r}: {kind!r}}}, or --kind '{told}={kind}'"
            )
        return cls(tuple(made), robust)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns that are read, in order."""
        return tuple(way.name for way in self.ways)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Of the numbers that the network gets, in order."""
        names = [name for way in self.ways for name in way.names]
        return tuple(names[place] for place in self._places)

    @property
    def sorts(self) -> tuple[str, ...]:
        """What each of these numbers is: "number", "level" or "id"."""
        sorts = [sort for way in self.ways for sort in way.sorts]
        return tuple(sorts[place] for place in self._places)

    @property
    def vocabularies(self) -> tuple[int, ...]:
        """Of the ids among them: how many there may be."""
        return tuple(way.vocabulary for way in self.ways if isinstance(way, Ids))

    @property
    def _places(self) -> list[int]:
        """Where the numbers come from, among those that the ways give one after another."""
        sorts = [sort for way in self.ways for sort in way.sorts]
        places = range(len(sorts))
        return sorted(places, key=lambda place: SORTS.index(sorts[place])) if self.grouped else [*places]

    @property
    def needed(self) -> tuple[str, ...]:
        """The columns that new data must have: all but those left out."""
        return tuple(way.name for way in self.ways if way.names)

    @property
    def title(self) -> str:
        count = len(self.needed)
        dropped = [way.name for way in self.ways if not way.names]
        out = f"; left out: {listed(dropped)}" if dropped else ""
        many = "1 column" if count == 1 else f"{count} columns"
        made = "1 number" if len(self.outputs) == 1 else f"{len(self.outputs)} numbers"
        return f"{many} of a table as {made}{out}"

    def __str__(self) -> str:
        rows = [["column", "becomes", "numbers"]]
        rows += [[way.name, way.title, str(len(way.names))] for way in self.ways]
        return text_table(rows, right=(2,), rule_after=(0,))

    def __call__(self, X: Any, argument: str = "X", known: Sequence[str] = ()) -> Prepared:
        """(N, len(outputs)) float64 of a frame, or of an array with a column for each of `names` or `needed`.

        known: columns that may be there and are not read, such as the target.

        Raises ShapeError and DataError for other columns, and values that the training data exclude; warns
        where levels are new or values are missing that never were.
        """
        frame = frame_of(X, argument)
        frame = self._of_array(plain_array(X, argument), argument) if frame is None else frame
        if not frame.named:
            frame = self._by_position(frame, argument)
        frame = by_name(frame, self.needed, argument, (*self.names, *known))
        parts = [way(frame.column(way.name), argument) for way in self.ways if way.names]
        with np.errstate(over="ignore"):
            made = np.concatenate(parts, axis=1)
        if self.grouped:
            made = made[:, self._places]
        if not all_finite(made):
            row = first_nonfinite(made)
            raise DataError(
                f"sample {row} of {argument} is so far from the training data that float64 cannot hold it: "
                "look at its values, or leave it out"
            )
        return prepared(made)

    def _of_array(self, array: Array, argument: str) -> Frame:
        if array.ndim == 1 and len(self.needed) == 1:
            array = array[:, np.newaxis]
        if array.ndim != 2:
            raise ShapeError(
                f"{argument} must have a row per sample and a column per feature, (N, {len(self.names)}), "
                f"received {array.shape}"
            )
        columns = (column_of(f"{index}", array[:, index], argument) for index in range(array.shape[1]))
        return self._by_position(Frame(tuple(columns), named=False), argument)

    def _by_position(self, frame: Frame, argument: str) -> Frame:
        """The columns under the names that they had in training."""
        count = len(frame.columns)
        for names in (self.names, self.needed):
            if count == len(names):
                renamed = (
                    replace(column, name=name) for column, name in zip(frame.columns, names, strict=True)
                )
                return Frame(tuple(renamed))
        raise ShapeError(
            f"{argument} has {count} columns, the training data had {len(self.names)}: {listed(self.names)}"
        )

    def to_json(self) -> dict[str, Any]:
        stored = {"kind": "columns", "columns": [way.to_json() for way in self.ways]}
        return stored | ({"grouped": True} if self.grouped else {})

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Columns:
        """As `to_json` wrote it. Raises DataError when it is damaged."""
        records = stored.get("columns")
        if not isinstance(records, list) or not records:
            raise DataError("the stored columns are damaged: there must be a list of them")
        made = []
        for record in records:
            kind = ways.get(str(record.get("kind"))) if isinstance(record, Mapping) else None
            if kind is None:
                raise DataError("the stored columns are damaged: one is of an unknown kind")
            made.append(kind.from_json(record))
        return cls(tuple(made), stored.get("grouped") is True)


def by_name(frame: Frame, names: Sequence[str], argument: str, known: Sequence[str] = ()) -> Frame:
    """The columns `names` of a frame, in this order.

    Raises DataError that names what is missing, or what is new: a column neither of `names` nor `known`.
    """
    missing = [name for name in names if name not in frame.names]
    new = [name for name in frame.names if name not in names and name not in known]
    if missing:
        also = f"; new are {listed(new)}" if new else ""
        raise DataError(
            f"{argument} lacks the columns {listed(missing)} that the network was trained on{also}"
        )
    if new:
        kept = [*names] if len(names) <= 8 else "list(network.preparation.needed)"
        raise DataError(
            f"{argument} has the columns {listed(new)}, which the network was not trained on: leave them "
            f"out, {argument}[{kept}]"
        )
    return frame.select(names)


def _for_columns(argument: str, given: Mapping[str, Any] | None, frame: Frame) -> Mapping[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise ArgumentError(f"{argument} is {describe(given)}: write {{column: ...}}")
    given = {str(name): value for name, value in given.items()}  # pandas' names may be numbers
    for name in given:
        if name not in frame.names:
            raise ArgumentError(
                f"{argument} names the column {name!r}, but the columns are {listed(frame.names)}"
            )
    return given


def _way(
    column: Column, kinds: Mapping[str, str], levels: Mapping[str, Sequence[str]], most: int, robust: bool
) -> Way:
    """What becomes of a column, by its kind and by what it holds."""
    scale: type[Scale] = Robust if robust else Quantity
    name, kind = column.name, kinds.get(column.name)
    there = column[~column.missing]
    if kind == "drop":
        return Dropped(name, "as told")
    if not len(there):
        return Dropped(name, "it holds nothing")
    if name in levels:
        return Ordered.learn(column, tuple(map(level_text, levels[name])), scale)
    if column.kind == "text" and column.levels is None and kind in (None, "date"):
        dates = as_dates(column)
        if dates is not None:
            return _way(dates, kinds, levels, most, robust)
        if kind is None and (numbers := _as_measured(column, there)) is not None:
            return _way(numbers, kinds, levels, most, robust)
    if kind is None and (reason := _useless(column, there)) is not None:
        return Dropped(name, reason) if len(there) == len(column) else Gap(name, reason)
    if kind == "levels" or (kind is None and column.kind == "truth"):
        return levels_way(column) if robust else Levels.learn(column, most)
    if kind == "number" and column.kind == "text" and (numbers := as_numbers(column)) is not None:
        return replace(scale.learn(numbers), lenient=True)  # type: ignore[type-var]
    if kind in ("number", "date") and column.kind not in (kind, "truth"):
        what = f"'{there.values[0]}'" if column.kind == "text" else str(there.values[0])
        raise ArgumentError(f"kinds[{name!r}] is {kind!r}, but the column holds {what}")
    if column.kind in ("number", "truth"):
        return scale.learn(column)
    if column.kind == "date":
        return Date.learn(column, scale)
    if column.levels is not None:
        return Ordered.learn(column, column.levels, scale)
    return levels_way(column) if robust else Levels.learn(column, most)


def _as_measured(column: Column, there: Column) -> Column | None:
    """A column of texts as numbers, where all are numbers and as levels would say nothing: fractions, or
    different in most rows.  Raises DataError where only some texts among them are none.
    """
    texts = there.values.tolist()
    numbers = {text for text in texts if is_number(text)}
    odd = [text for text in texts if not is_number(text)]
    if len(numbers) <= FEW or any(_CODE.match(text) for text in numbers):
        return None
    if not odd:
        made = as_numbers(column)
        if made is None or all(map(ONE_POINT_GROUP.fullmatch, numbers)):  # 1.684 may be thousands
            return None
        values = made.values[~made.missing]
        whole = bool((values % 1 == 0).all())
        if whole and (len(numbers) <= 0.5 * len(texts) or np.abs(values).max() > MOST_EXACT):
            return None
        return replace(made, whole=whole)
    if len(odd) <= 0.2 * len(texts):
        name, shown = there.name, quoted(odd[0], 40)
        others = f" ({len(odd):,} such cells)" if len(odd) > 1 else ""
        raise DataError(
            f"the column '{name}' holds numbers, but also '{shown}'{others}: say what that is. Where it "
            f"marks what is missing, --missing '{shown}', or read_table(missing='{shown}'); where everything "
            f"that is no number is missing, --kind '{name}=number', or kinds={{'{name}': 'number'}}; where "
            f"these are names and no quantities, --kind '{name}=levels'"
        )
    return None


def _useless(column: Column, there: Column) -> str | None:
    """Why nothing can be learned from the values of a column, None where something can."""
    distinct, count = len(set(there.values.tolist())), len(there)
    if distinct == 1:
        value = there.values[0]
        if column.kind == "truth" and column.levels is not None:
            value = column.levels[int(value)]
        return f"it always holds {value:g}" if column.kind == "number" else f"it always holds {value}"
    if column.kind == "number" and column.whole and count > 2:
        named = _ID.search(column.name) is not None
        if distinct == count:
            low, high, steps = there.values.min(), there.values.max(), np.diff(there.values)
            dense = (steps == 1).all() or (count > FEW and high - low < 2 * count)
            # In any order these are places by size, as likely as numbers of rows: the name decides.
            ordered = (steps > 0).all() or (steps < 0).all()
            if dense and (ordered or named) and not _TIME.search(column.name):
                return f"it numbers the rows, {low:g} to {high:g}"
            if count > FEW and named:
                return "it holds a different number in every row, as ids are"
        elif distinct > FEW and 2 * distinct > count and _SURE.search(column.name):
            return f"it holds {distinct:,} different numbers in {count:,} rows, as ids are"
    if column.kind == "text" and column.levels is None and distinct > FEW and distinct > 0.5 * count:
        return f"it holds {distinct:,} different texts in {count:,} rows, as names or ids are"
    return None
