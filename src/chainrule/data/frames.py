"""Frame: a table as columns of one kind each, with their names, before it is made into numbers for a network.

Readers make it of files, `frame_of` of data frames of any library; a preparation learns from it and applies
itself to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from chainrule.base.errors import DataError, MissingExtraError, describe
from chainrule.base.types import Array
from chainrule.data.arrays import plain_array

Kind = Literal["number", "truth", "text", "date"]
Mask = NDArray[np.bool_]

_FORMS = "give numbers, truth values, texts, dates or durations"
# What makes one of them of objects that are none, by their type.
_OTHER_FORMS = {
    "Period": ".dt.to_timestamp()",
    "time": ".astype(str)",
    "bytes": ".str.decode('utf-8')",
}
_EXTRA = ("narwhals", "tables", "a frame of texts, truth values or dates")


@dataclass(frozen=True, eq=False)
class Column:
    """N values of one kind.

    values: (N,) float64 of numbers, of which durations are seconds, bool of truth values, objects (all str)
        of texts, datetime64[us] of dates; where `missing` (N,) is True they hold NaN, False, "" or NaT, which
        says nothing.
    whole: of numbers: every one is whole, and was written or kept as such.
    levels: of texts: all that may occur, in their order, where the source says so (an ordered categorical);
        of truth values: the words for false and true, where the source has words.
    categorical: of texts: the source says that they are levels, whatever they look like.
    """

    name: str
    kind: Kind
    values: Array
    missing: Mask
    whole: bool = False
    levels: tuple[str, ...] | None = None
    categorical: bool = False

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows: slice | Array) -> Column:
        return replace(self, values=self.values[rows], missing=self.missing[rows])

    @property
    def words(self) -> tuple[str, ...]:
        """Of truth values: what stands for false, and for true."""
        return self.levels or ("False", "True")

    def labels(self) -> Array:
        """The values as a network takes them for a target: int64 where whole, float64, bool or strings,
        truth values as the source writes them.

        Raises DataError where one is missing, or for dates.
        """
        if self.missing.any():
            count, row = int(self.missing.sum()), int(self.missing.argmax())
            raise DataError(f"the column '{self.name}' has {count:,} missing values, the first in row {row}")
        if self.kind == "date":
            raise DataError(f"the column '{self.name}' holds dates, which are no target")
        if self.kind == "text":
            return self.values.astype(str)
        if self.kind == "truth" and self.levels is not None:
            return np.where(self.values, self.levels[1], self.levels[0])
        return self.values.astype(np.int64) if self.whole else self.values


@dataclass(frozen=True, eq=False)
class Frame:
    """Columns of one length.  named: whether their names come from the source; else they are made up."""

    columns: tuple[Column, ...]
    named: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    def __len__(self) -> int:
        return len(self.columns[0])

    def __getitem__(self, rows: slice | Array) -> Frame:
        """Some of the rows."""
        return replace(self, columns=tuple(column[rows] for column in self.columns))

    def column(self, name: str) -> Column:
        """The column of this name.  Raises DataError with the names there are."""
        for column in self.columns:
            if column.name == name:
                return column
        raise DataError(f"has no column '{name}'; its columns are {listed(self.names)}")

    def select(self, names: Sequence[str]) -> Frame:
        """These columns, in this order."""
        return replace(self, columns=tuple(self.column(name) for name in names))

    def without(self, names: Sequence[str]) -> Frame:
        """All other columns, in their order."""
        kept = tuple(column for column in self.columns if column.name not in names)
        return replace(self, columns=kept)


def listed(names: Sequence[str]) -> str:
    """Names for an error, at most twenty."""
    shown = ", ".join(names[:20])
    return shown if len(names) <= 20 else f"{shown} and {len(names) - 20} more"


def frame_of(value: Any, argument: str) -> Frame | None:
    """`value` as a Frame if it is a data frame (of pandas, Polars, Arrow, ...), a mapping of columns, or an
    array with named fields; None for anything else.

    Raises DataError where a column holds what is no number, truth value, text or date, or where two have one
    name; MissingExtraError where narwhals is needed and not installed.
    """
    if isinstance(value, Frame):
        return value
    if isinstance(getattr(value, "frame", None), Frame):  # what read_table returned
        return value.frame  # type: ignore[no-any-return]
    if isinstance(value, Mapping):
        _different(map(str, value), argument)
        arrays = {str(name): plain_array(entries, f"{argument}[{name!r}]") for name, entries in value.items()}
        return _of_arrays(arrays, argument)
    if isinstance(value, np.ndarray):
        fields = value.dtype.names
        return None if fields is None else _of_arrays({name: value[name] for name in fields}, argument)
    if hasattr(value, "collect_schema") and hasattr(value, "collect") and not hasattr(value, "shape"):
        kind = type(value).__name__
        raise DataError(f"{argument} is a {kind}, which has not been read: write {argument}.collect()")
    if not (hasattr(value, "columns") or hasattr(value, "column_names")) or not hasattr(value, "shape"):
        return None
    return _of_frame(value, argument)


def _of_arrays(columns: Mapping[str, Array], argument: str) -> Frame:
    if not columns:
        raise DataError(f"{argument} has no columns")
    lengths = {name: len(values) if values.ndim else 0 for name, values in columns.items()}
    if len(set(lengths.values())) > 1 or 0 in lengths.values():
        raise DataError(f"the columns of {argument} must have one length of at least 1, received {lengths}")
    ((name, first), *others) = columns.items()
    if first.ndim > 1 and not others:
        raise DataError(
            f"the column '{name}' of {argument} has shape {first.shape}, and a column is one value per row: "
            f"where there is one input, write the array itself, {argument}[{name!r}]"
        )
    return Frame(tuple(column_of(name, values, argument) for name, values in columns.items()))


def _of_frame(value: Any, argument: str) -> Frame:
    try:
        import narwhals.stable.v2 as nw
    except ImportError:
        return _of_plain_frame(value, argument)
    _different(map(str, getattr(value, "column_names", None) or value.columns), argument)
    try:
        frame = nw.from_native(value, eager_only=True)
    except TypeError:
        batch = hasattr(value, "to_struct_array")  # of Arrow
        hint = f": write pyarrow.Table.from_batches([{argument}])" if batch else ""
        raise DataError(
            f"{argument} is a {type(value).__name__}, no data frame of pandas, Polars or Arrow{hint}"
        ) from None
    if 0 in frame.shape:
        raise DataError(f"{argument} is empty: its shape is {tuple(frame.shape)}")
    # Not by name: pandas' names may be numbers, which would choose rows, or tuples.
    return Frame(tuple(_of_series(series.name, series, argument) for series in frame.iter_columns()))


def _different(names: Iterable[str], argument: str) -> None:
    """DataError where two columns have one name, as text."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise DataError(f"{argument} has two columns called '{name}': give every column its own name")
        seen.add(name)


def _of_plain_frame(value: Any, argument: str) -> Frame:
    """A frame of numbers without narwhals: NumPy understands it."""
    names = tuple(str(name) for name in getattr(value, "column_names", None) or value.columns)
    _different(names, argument)
    array = np.asarray(value)
    if array.dtype.kind not in "fiub" or array.ndim != 2 or not hasattr(value, "columns"):
        raise MissingExtraError(*_EXTRA)
    columns = (column_of(name, array[:, index], argument) for index, name in enumerate(names))
    return Frame(tuple(columns))


def _of_series(name: Any, series: Any, argument: str) -> Column:
    """A column of a frame; `series` is narwhals'."""
    import narwhals.stable.v2 as nw

    dtype, label = series.dtype, str(name)
    if dtype in (nw.Object, nw.Unknown, nw.Duration):  # a sparse column of pandas is unknown to narwhals
        return column_of(label, series.to_numpy(), argument)
    missing = np.asarray(series.is_null().to_numpy(), dtype=bool)
    if dtype.is_numeric():
        whole = bool(dtype.is_integer())
        if whole:  # first: Arrow refuses the cast in its own words
            _exact(label, series.drop_nulls().to_numpy(), argument)
        values = np.asarray(series.cast(nw.Float64).to_numpy(), dtype=np.float64).copy()
        missing = missing | np.isnan(values)
        values[missing] = np.nan
        return _number(label, values, missing, argument, whole)
    if dtype == nw.Boolean:
        truth = np.zeros(len(series), dtype=bool)
        truth[~missing] = series.drop_nulls().to_numpy().astype(bool)
        return Column(label, "truth", truth, missing)
    if dtype in (nw.Date, nw.Datetime):
        kept = series if dtype == nw.Date or not dtype.time_zone else series.dt.convert_time_zone("UTC")
        dates = np.full(len(series), np.datetime64("NaT"), dtype="datetime64[us]")
        moments = kept.drop_nulls().to_list()
        plain = moments if dtype == nw.Date else [moment.replace(tzinfo=None) for moment in moments]
        dates[~missing] = np.array(plain, dtype="datetime64[us]")
        return Column(label, "date", dates, missing)
    if dtype in (nw.String, nw.Categorical, nw.Enum):
        levels = tuple(map(str, series.cat.get_categories().to_list())) if _ordered(series, dtype) else None
        texts = np.array(series.cast(nw.String).to_list(), dtype=object)
        texts[missing] = ""  # pandas has NaN there
        return Column(label, "text", texts, missing, levels=levels, categorical=dtype != nw.String)
    raise DataError(f"the column '{label}' of {argument} is of type {dtype}: {_FORMS}")


def _ordered(series: Any, dtype: Any) -> bool:
    """Whether a categorical says that its levels have an order."""
    import narwhals.stable.v2 as nw

    if dtype == nw.Enum:
        return True
    native = series.to_native()
    return dtype == nw.Categorical and bool(getattr(getattr(native, "cat", None), "ordered", False))


def column_of(name: str, values: Array, argument: str) -> Column:
    """A column of an array (N,) of numbers, truth values, strings, dates or durations, or of objects that are
    all of one of these; None and NaN are missing.
    """
    if values.ndim != 1:
        raise DataError(f"the column '{name}' of {argument} has shape {values.shape}: give one value per row")
    kind = values.dtype.kind
    if kind in "fiu":
        if kind != "f":
            _exact(name, values, argument)
        numbers = values.astype(np.float64)
        return _number(name, numbers, np.isnan(numbers), argument, kind != "f")
    if kind == "b":
        return Column(name, "truth", values, np.zeros(len(values), dtype=bool))
    if kind == "M":
        return Column(name, "date", values.astype("datetime64[us]"), np.isnat(values))
    if kind == "m":
        seconds = values / np.timedelta64(1, "s")
        return Column(name, "number", seconds, np.isnan(seconds))
    if kind == "U":
        return Column(name, "text", values.astype(object), np.zeros(len(values), dtype=bool))
    if kind == "O":
        return _of_objects(name, values, argument)
    raise DataError(f"the column '{name}' of {argument} is of type {values.dtype}: {_FORMS}")


def _of_objects(name: str, values: Array, argument: str) -> Column:
    missing = np.array([says_nothing(entry) for entry in values], dtype=bool)
    present = values[~missing]
    kinds = {type(entry) for entry in present}
    if kinds and all(issubclass(kind, str) for kind in kinds):
        texts = np.where(missing, "", values)
        return Column(name, "text", texts.astype(object), missing)
    if kinds <= {bool, np.bool_}:
        return Column(name, "truth", np.where(missing, False, values).astype(bool), missing)
    from datetime import date, timedelta
    from decimal import Decimal

    if all(issubclass(kind, int | float | np.number | Decimal) and kind is not bool for kind in kinds):
        whole = all(issubclass(kind, int | np.integer) for kind in kinds)
        if whole:
            _exact(name, present, argument)
        return _number(name, np.where(missing, np.nan, values).astype(np.float64), missing, argument, whole)
    if all(issubclass(kind, timedelta | np.timedelta64) for kind in kinds):
        durations = np.full(len(values), np.timedelta64("NaT"), dtype="timedelta64[us]")
        durations[~missing] = present.astype("timedelta64[us]")
        return column_of(name, durations, argument)
    if all(issubclass(kind, date) for kind in kinds):
        dates = np.full(len(values), np.datetime64("NaT"), dtype="datetime64[us]")
        dates[~missing] = present.astype("datetime64[us]")
        return Column(name, "date", dates, missing)
    odd = next((entry for entry in present if type(entry) is not type(present[0])), None)
    what = describe(present[0]) if odd is None else f"both {describe(present[0])} and {describe(odd)}"
    instead = None if odd is not None else _OTHER_FORMS.get(type(present[0]).__name__)
    advice = f"write {argument}[{name!r}]{instead}" if instead else f"{_FORMS}, all of one kind"
    raise DataError(f"the column '{name}' of {argument} holds {what}: {advice}")


def _number(name: str, values: Array, missing: Mask, argument: str, whole: bool) -> Column:
    """A column of numbers, none of them infinite."""
    infinite = np.isinf(values)
    if infinite.any():
        row = int(infinite.argmax())
        raise DataError(
            f"the column '{name}' of {argument} holds {values[row]} in row {row}: write a number, or NaN "
            "where the value is missing"
        )
    return Column(name, "number", values, missing, whole)


def says_nothing(entry: Any) -> bool:
    """Whether an object is None, NaN, NaT or pandas' NA, which cannot be compared."""
    return entry is None or type(entry).__name__ == "NAType" or bool(entry != entry)


def _exact(name: str, values: Array, argument: str) -> None:
    """Refuse whole numbers that float64 would round: such a column is a code, not a quantity."""
    if not len(values):
        return
    largest = max(int(values.max()), -int(values.min()))
    if largest > 2**53:
        raise DataError(
            f"the column '{name}' of {argument} holds {largest}, which float64 cannot tell from its "
            "neighbours: as a code write it as text, else scale it or leave it out"
        )
