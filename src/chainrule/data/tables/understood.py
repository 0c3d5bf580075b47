"""Reading: a table from a file, and in words what was understood of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from chainrule.base.shown import quoted
from chainrule.base.tables import text_table
from chainrule.data.frames import Column, Frame

MOST_COLUMNS = 60  # that are shown; of a table with more, the first and the last
LONGEST_LEVELS = 44  # characters of levels in a line
NAMELESS = "has no name in the file"


@dataclass(frozen=True)
class Note:
    """What is said about a column.  position: in the file, from 1; marks: of its missing cells."""

    position: int
    remarks: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False, repr=False)
class Reading:
    """A table from a file.

    frame: its columns.  notes: one per column of the frame.  delimiter, encoding and decimal are None where
    the file has none (Parquet).  header: whether the first line held the names, and why.  remarks: what
    was done, or left out, and how to say otherwise.
    """

    path: Path
    frame: Frame
    notes: tuple[Note, ...]
    container: str
    encoding: str | None = None
    delimiter: str | None = None
    decimal: str | None = None
    header: bool | None = None
    why: str = ""
    remarks: tuple[str, ...] = ()
    locate: Callable[[int], tuple[int, list[str]]] | None = None

    def line(self, row: int) -> int | None:
        """The line in the file that row `row` of the frame ends in; None where the file has no lines."""
        return None if self.locate is None else self.locate(row)[0]

    def cell(self, row: int, name: str) -> str | None:
        """The value as it is written in the file; None where it has no texts."""
        if self.locate is None:
            return None
        return self.locate(row)[1][self.notes[self.frame.names.index(name)].position - 1]

    def place(self, row: int, name: str) -> str:
        """Where a value stands, as errors begin."""
        index = self.frame.names.index(name)
        where = f"line {self.line(row)}" if self.locate is not None else f"row {row}"
        called = f" ({quoted(name)})" if self.frame.named else ""
        return f"{self.path}, {where}, column {self.notes[index].position}{called}: "

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        rows = [("column", "kind", "missing", "range or levels", "remark")]
        columns = list(zip(self.frame.columns, self.notes, strict=True))
        left = len(columns) - MOST_COLUMNS
        shown = columns if left <= 0 else [*columns[: MOST_COLUMNS - 5], *columns[-5:]]
        for column, note in shown:
            rows.append(
                (
                    quoted(column.name, 40),
                    column.kind,
                    _missing(column, note),
                    spread(column),
                    "; ".join(note.remarks),
                )
            )
        if left > 0:
            rows.insert(MOST_COLUMNS - 4, (f"… {left:,} more", "", "", "", ""))
        return "\n".join([*self.summary(), "", text_table(rows, right=(2,))])

    def summary(self) -> list[str]:
        """How the file was read, a line each."""
        size = f"{_counted(len(self.frame), 'row')}, {_counted(len(self.frame.columns), 'column')}"
        packed = "" if self.container == "text" else f" ({self.container})"
        lines = [f"{self.path}{packed}: {size}"]
        if self.delimiter is not None:
            header = "the first line holds the names" if self.header else "no header"
            lines.append(
                f"{self.encoding}, delimiter {self.delimiter}, decimal sign '{self.decimal}', "
                f"{header}: {self.why}"
            )
        return [*lines, *self.remarks]


def spread(column: Column) -> str:
    """The range of numbers and dates, the levels of texts and how many they are."""
    present = column.values[~column.missing]
    if not len(present):
        return ""
    if column.kind == "number":
        low, high = float(present.min()), float(present.max())
        return (
            _number(low, column.whole)
            if low == high
            else " … ".join(_number(v, column.whole) for v in (low, high))
        )
    if column.kind == "date":
        return f"{_moment(present.min())} … {_moment(present.max())}"
    if column.kind == "truth":
        no, yes = column.words
        return f"{no} {int((~present).sum()):,}, {yes} {int(present.sum()):,}"
    levels = Counter(present.tolist()).most_common()
    shown: list[str] = []
    room = LONGEST_LEVELS
    for level, _ in levels[:8]:
        text = quoted(level, 90) if len(level) > 24 else quoted(level)
        text = text if len(text) <= 24 else f"{text[:23]}…"
        if len(text) + 2 > room and shown:
            break
        shown.append(text)
        room -= len(text) + 2
    more = ", …" if len(shown) < len(levels) else ""
    return f"{_counted(len(levels), 'level')}: {', '.join(shown)}{more}"


def _missing(column: Column, note: Note) -> str:
    count = int(column.missing.sum())
    if not count:
        return ""
    marks = f" ({', '.join(quoted(mark, 12) for mark in note.marks[:3])})" if note.marks else ""
    return f"{count:,}{marks}"


def _number(value: float, whole: bool) -> str:
    return f"{value:.0f}" if whole and abs(value) < 1e15 else f"{value:.6g}"


def _moment(value: np.datetime64) -> str:
    text = str(value.astype("datetime64[s]")).replace("T", " ")
    return text.removesuffix(" 00:00:00").removeprefix("1970-01-01 ")


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
