"""`load_csv`: a table whose features are numbers, with one target column, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from chainrule.base.errors import FileError
from chainrule.base.shown import quoted
from chainrule.base.types import Array
from chainrule.data.frames import Column, listed
from chainrule.data.tables.decimals import COMMA, ONE_GROUP, is_number
from chainrule.data.tables.reader import read_table
from chainrule.data.tables.understood import Reading

fill_in = ": fill it in, or delete the line"
most_label_bytes = 2**28  # of labels as an array, unless they are all of some length


@dataclass(frozen=True, eq=False)
class Table:
    """What a CSV file of numbers holds.

    `features` (N, columns) float64; `names` of these columns, None where the file has no header; `target`
    (N,) int64 where every cell is a whole number, float64 where every cell is a number, strings
    otherwise, None where no target was asked for.
    """

    features: Array
    names: tuple[str, ...] | None
    target: Array | None
    target_name: str | None


def load_csv(
    path: str | Path,
    target: str | int | None = None,
    *,
    header: bool | None = None,
    delimiter: str | None = None,
    columns: Sequence[str] | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
    missing: str | Sequence[str] | None = None,
) -> Table:
    """Read a table whose features are numbers; `chainrule.read_table` reads texts and missing values, too.

    target: the column to learn, by its name in the header or by its number (0 is the first, -1 the last);
    None reads features only. columns: read only these features, by name, in this order; without it every
    column but the target is a feature. The others are told to `chainrule.read_table`, and recognised where
    they are None.  Raises FileError with line and column for what is missing or no number.
    """
    reading = read_table(
        path,
        header=header,
        delimiter=delimiter,
        decimal=decimal,
        encoding=encoding,
        missing=missing,
        columns=columns,
        asked=(target,) if isinstance(target, str) else (),
        target=target,
    )
    if target is None:
        return numbers_of(reading, None)
    return numbers_of(reading, column_name(reading, target) if columns is None else reading.frame.names[-1])


def column_name(reading: Reading, column: str | int) -> str:
    """The name of a column of the frame: by its name, its number in the file from 0, or from the end.

    Raises FileError with the columns there are.
    """
    names = reading.frame.names
    if isinstance(column, str):
        if column in names:
            return column
        if not reading.frame.named:
            raise FileError(
                f"{reading.path}: '{quoted(column)}' is a column's name but the file is read without a header"
            )
        raise FileError(f"{reading.path}: has no column '{quoted(column)}'; its columns are {listed(names)}")
    if -len(names) <= column < 0:
        return names[column]
    for name, note in zip(names, reading.notes, strict=True):
        if note.position == column + 1:
            return name
    last = reading.notes[-1].position
    raise FileError(f"{reading.path}: has no column {column}; it has {len(names)} columns, 0 to {last - 1}")


def numbers_of(reading: Reading, target: str | None, features: Sequence[str] | None = None) -> Table:
    """The frame's columns as an array of numbers, but the target's, which is given beside it.

    Raises FileError with line and column for what is missing or no number.
    """
    frame = reading.frame
    names = [name for name in frame.names if name != target] if features is None else list(features)
    if not names:
        raise FileError(f"{reading.path}: has no column beside the target, so nothing to learn from")
    columns = [frame.column(name) for name in names]
    faults = [(row, i) for i, column in enumerate(columns) if (row := _first_fault(column)) is not None]
    if faults:
        row, index = min(faults)
        raise FileError(_complaint(reading, row, columns[index]))
    features_array = np.stack([column.values for column in columns], axis=1).astype(np.float64)
    return Table(
        features_array,
        tuple(names) if frame.named else None,
        None if target is None else _target(reading, frame.column(target)),
        target if frame.named else None,
    )


def _first_fault(column: Column) -> int | None:
    """The first row whose value is missing or no number."""
    if column.kind == "number":
        return int(column.missing.argmax()) if column.missing.any() else None
    if column.kind != "text":
        return 0
    wrong = (i for i, text in enumerate(column.values) if column.missing[i] or not is_number(text))
    return next(wrong, 0)  # all are numbers: codes


def _complaint(reading: Reading, row: int, column: Column) -> str:
    place, cell = reading.place(row, column.name), reading.cell(row, column.name)
    if column.missing[row]:
        mark = f" ('{quoted(cell, 40)}')" if cell else ""
        return f"{place}the value is missing{mark}{fill_in}"
    text = "" if cell is None else cell
    if column.kind == "text" and is_number(text):
        return (
            f"{place}'{quoted(text, 40)}' is a code, which a number would not keep as it is written: leave "
            "the column out with columns=, read it with chainrule.read_table, or delete this column"
        )
    if reading.line(row) == 1 and reading.why != "as told":
        advice = "where the first line holds the columns' names, say so: --header yes, or header=True"
    elif COMMA.fullmatch(text) and not ONE_GROUP.fullmatch(text):
        advice = f"write it with a decimal point, {text.replace(',', '.', 1)}"
    elif is_number(text.replace("_", "")):
        advice = f"write it without the underscore, {text.replace('_', '')}"
    else:
        advice = (
            "features are numbers here: leave the column out with columns=, read it with "
            "chainrule.read_table, or delete this column"
        )
    return f"{place}'{quoted(text, 40)}' is not a number: {advice}"


def _target(reading: Reading, column: Column) -> Array:
    """The target column: int64, float64 or strings; a column that mixes numbers and names is refused."""
    if column.missing.any():
        row = int(column.missing.argmax())
        raise FileError(f"{reading.place(row, column.name)}the target is missing{fill_in}")
    if column.kind == "number":
        return column.values.astype(np.int64) if column.whole else column.values
    if column.kind == "truth":
        return np.where(column.values, column.words[1], column.words[0])
    if column.kind == "date":
        raise FileError(f"{reading.place(0, column.name)}the target is a date: a target is numbers or names")
    texts = column.values.tolist()
    numeric = is_number(texts[0])
    for row, text in enumerate(texts):
        if is_number(text) != numeric:
            other = "a number" if is_number(text) else "no number"
            raise FileError(
                f"{reading.place(row, column.name)}the target '{quoted(text, 40)}' is {other}, unlike the "
                f"target in line {reading.line(0)}"
            )
    _check_lengths(reading, column.name, texts)
    return np.array(texts)


def _check_lengths(reading: Reading, name: str, labels: list[str]) -> None:
    """An array of texts keeps as much room for each as the longest takes."""
    row = max(range(len(labels)), key=lambda row: len(labels[row]))
    longest, total = len(labels[row]), sum(map(len, labels))
    if 4 * longest * len(labels) > most_label_bytes and longest * len(labels) > 100 * total:
        raise FileError(
            f"{reading.place(row, name)}the target has {longest:,} characters, and "
            f"{len(labels):,} labels as long would need {4e-9 * longest * len(labels):.1f} GB: shorten it"
        )
