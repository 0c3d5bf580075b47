"""`read_table`: a file as a Frame, with what was understood of it.

Containers, encoding, dialect, header, decimal sign and the kinds of the columns are asked in this order; each
can be told instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.base.errors import DataError, FileError, describe
from chainrule.base.shown import quoted
from chainrule.base.types import Array
from chainrule.data.frames import Column, Frame, frame_of, listed
from chainrule.data.tables.cells import Cells, Rows
from chainrule.data.tables.containers import Content, content_of
from chainrule.data.tables.decimals import Evidence, check_decimal, number_like
from chainrule.data.tables.dialect import NAMES, dialect_of, rows_of
from chainrule.data.tables.encoding import text_of
from chainrule.data.tables.header import Decision, header_of
from chainrule.data.tables.kinds import Read, Texts, as_trained, column_of_numbers, column_of_texts
from chainrule.data.tables.missing import Marks
from chainrule.data.tables.understood import NAMELESS, Note, Reading

Names = Sequence[str | int]
INDEX_NAMES = ("", "Unnamed: 0", "__index_level_0__")  # as spreadsheets, pandas and pandas' Parquet write it


def read_table(
    path: str | Path,
    *,
    delimiter: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
    header: bool | None = None,
    missing: str | Sequence[str] | None = None,
    columns: Names | None = None,
    drop: Names | None = None,
    asked: Sequence[str] = (),
    known: Mapping[str, Sequence[str]] | None = None,
    beside: Sequence[str] | None = None,
    target: str | int | None = None,
) -> Reading:
    """Read a table from a text file (CSV and its kin, packed or not), Parquet or Feather.

    What is None is recognised. delimiter: a character, or "tab", "blanks" (any run of them), "none" (a
    single column). decimal: "." or ",". encoding: as Python names it. header: whether the first line holds
    the names. missing: the marks of missing cells, with commas between, "?,NA"; "" are empty cells only.
    columns: read these alone, in this order, by name, or by number from 0; drop: read all but these.
    asked: names that the first line holds if it is a header, such as the target's. known: the names that a
    model was trained on, which are names even where they are numbers, each with its levels, none of numbers
    and dates: a column is read with the levels it had. beside: where all of `known` are there, read these
    alone, and of the others `beside`; None: all. target: a column that is read last where
    `columns` are told, whether they name it or not.

    Raises FileError with file, line and column for what cannot be read, and for what may be understood in
    two ways, with the option that decides it; MissingExtraError where a package is needed.
    """
    path = Path(path)
    check_decimal(decimal)
    if header not in (None, True, False):
        raise FileError(f"header is {describe(header)}: write True, False or None")
    marks = Marks(missing)
    content = content_of(path)
    if content.arrow is not None:
        return _columnar(path, content, columns, drop, target, _together(known, beside))
    text, encoded, guess = text_of(path, content.data, encoding)
    if not text.strip():
        raise FileError(f"{path}: holds no line of values")
    dialect = dialect_of(path, text, delimiter)
    rows = Rows(path, text, dialect)
    hints = (*asked, *(name for name in _as_names(columns or (), "columns") if isinstance(name, str)))
    first = rows.sheet.first
    named = tuple(known or ())
    decision = header_of(path, rows.sheet.first_line, first, rows.sheet.head, header, hints, named)
    names = first if decision.header else None
    commented = None if decision.header or header is False else _names_in_comment(rows)
    if commented is not None:
        names, decision = commented, Decision(True, "the comment above the table holds a name per column")
    sheet = _Sheet(path, rows, names, with_first=commented is not None or names is None)
    kept = sheet.choice().of(columns, drop, target, _together(known, beside))
    reads, sign = sheet.read(kept, decimal, marks, known or {})
    frame = Frame(tuple(read.column for read in reads), named=decision.header)
    notes = tuple(
        Note(index + 1, (*read.remarks, *sheet.notes.get(index, ())), read.marks)
        for index, read in zip(kept, reads, strict=True)
    )
    remarks = (*((guess,) if guess else ()), *dialect.remarks, *sheet.remarks)
    name = NAMES.get(dialect.delimiter, f"'{dialect.delimiter}'")
    return Reading(
        path, frame, notes, content.container, encoded, name, sign, decision.header, decision.why, remarks,
        sheet.locate,
    )  # fmt: skip


def _names_in_comment(rows: Rows) -> list[str] | None:
    """The words of the comment above the table, as numpy.savetxt writes names, where they are as many."""
    comment, dialect = rows.dialect.comment, rows.dialect
    if comment is None:
        return None
    split = rows_of(iter([comment.lstrip("# ")]), replace(dialect, skipped=0))
    cells = next((row for _, row in split), [])
    words = all(cell and not number_like(cell) for cell in cells)
    return cells if len(cells) == rows.sheet.width > 1 and words and len(set(cells)) == len(cells) else None


class _Sheet:
    """The columns of a text: which there are, which are read, and their rows."""

    def __init__(self, path: Path, rows: Rows, names: list[str] | None, *, with_first: bool) -> None:
        self.path = path
        self.rows = rows
        self.remarks: list[str] = []
        self.notes: dict[int, tuple[str, ...]] = {}
        self.with_first = with_first
        if rows.shorter and self.with_first:
            raise FileError(
                f"{path}, line {rows.sheet.first_line}: the first line has {len(rows.sheet.first)} cells, "
                f"the others {rows.sheet.width}; where it holds the columns' names, say so: --header yes, or "
                "header=True"
            )
        self.cells = rows.columns(with_first=self.with_first)
        if not len(self.cells[0]):
            raise FileError(f"{path}: has a header but no line of values")
        self.kept_rows = self._rows_with_values()
        self._check_repeated(names)
        blank = rows.blank_lines() if len(self.cells) == 1 else 0
        if blank:
            self.remarks.append(
                f"{blank:,} blank line{'s' * (blank > 1)}: passed over, not taken for missing values"
            )
        empty = [i for i in range(len(self.cells)) if self._empty(i)]
        self.named = names is not None
        self.names = self._names(names, empty)
        self.left_out = self._left_out(names, empty)

    # -- rows ---------------------------------------------------------------------------------------------
    def _rows_with_values(self) -> Array | None:
        """Indices of rows with any value, None where all have: spreadsheets leave rows of delimiters."""
        count = len(self.cells[0])
        if len(self.cells) == 1 or not any(
            self._has_empty(cells) for cells in (self.cells[0], self.cells[-1])
        ):
            return None
        empty = np.ones(count, dtype=bool)
        for cells in self.cells:
            codes, texts = cells.coded()
            empty &= np.array([not text for text in texts], dtype=bool)[codes]
            if not empty.any():
                return None
        many = int(empty.sum())
        self.remarks.append(f"{many:,} row{'s' * (many > 1)} without any value: passed over")
        if empty.all():
            raise FileError(f"{self.path}: holds no line of values")
        return np.flatnonzero(~empty)

    def _check_repeated(self, names: list[str] | None) -> None:
        """Files that were joined hold their first line again."""
        if names is None or len(names) != len(self.cells) or self.cells[0].plain_numbers() is not None:
            return
        codes, texts = self.cells[0].coded()
        if names[0] in texts:
            for row in np.flatnonzero(codes == texts.index(names[0]))[:1000].tolist():
                if all(cells[row] == name for cells, name in zip(self.cells, names, strict=True)):
                    line = self.rows.locate(row, with_first=self.with_first)[0]
                    raise FileError(
                        f"{self.path}, line {line}: holds the columns' names again: delete the line"
                    )

    @staticmethod
    def _has_empty(cells: Cells) -> bool:
        return "" in cells.coded()[1] if cells.plain_numbers() is None else False

    def _empty(self, index: int) -> bool:
        cells = self.cells[index]
        return cells[0] == "" and cells.plain_numbers() is None and cells.coded()[1] == [""]

    def locate(self, row: int) -> tuple[int, list[str]]:
        """The line in the file of a row of the frame, and its cells."""
        row = row if self.kept_rows is None else int(self.kept_rows[row])
        return self.rows.locate(row, with_first=self.with_first)

    # -- names --------------------------------------------------------------------------------------------
    def _names(self, names: list[str] | None, empty: list[int]) -> list[str]:
        width = len(self.cells)
        if names is None:
            return [f"column {i + 1}" for i in range(width)]
        names = list(names)
        if len(names) < width:
            if width - 1 in empty:
                names.append("")
                self.remarks.append("every line ends with a delimiter, which begins no column")
            else:
                names.insert(0, "")
                self.remarks.append("the first line has a cell less: its names begin with the second column")
        called: list[str] = []
        for index, name in enumerate(names):
            if name and name in called:
                raise FileError(
                    f"{self.path}: two columns are called '{quoted(name)}'; give every column its own name"
                )
            made_up = f"column {index + 1}"
            while not name and made_up in names:
                made_up += " (unnamed)"
            called.append(name or made_up)
            if not name and index not in empty:
                self.notes[index] = (NAMELESS,)
        return called

    def _left_out(self, names: list[str] | None, empty: list[int]) -> dict[int, str]:
        """The columns that are read only when they are asked for, with the reason."""
        out = {}
        for index in empty:
            if names is None or index >= len(names) or not names[index]:
                out[index] = "has neither name nor value"
        if names is None:
            return out
        width_last = len(self.cells) - 1
        first = "" if len(names) < len(self.cells) and width_last not in empty else names[0]
        if first in INDEX_NAMES and len(self.cells) > 1 and self._counts(0):
            out[0] = "numbers the rows"
        for index, why in out.items():
            if why == "numbers the rows":
                self.remarks.append(
                    f"'{quoted(self.names[index])}' numbers the rows and is left out: --columns reads it too"
                )
        skipped = sum(why != "numbers the rows" for why in out.values())
        if skipped and len(names) == len(self.cells):
            self.remarks.append(
                f"{skipped} column{'s' * (skipped > 1)} with neither name nor value: left out"
            )
        return out

    def _counts(self, index: int) -> bool:
        """Whether a column's values are whole numbers, all different: row numbers, in order or shuffled."""
        cells = self.cells[index]
        texts = [cells[row] for row in self._row_numbers()[:1000]]
        if not all(text.isascii() and text.isdecimal() for text in texts):
            return False
        codes, different = cells.coded()
        kept = len(codes) if self.kept_rows is None else len(self.kept_rows)
        return len([text for text in different if text]) == kept

    def _row_numbers(self) -> list[int]:
        return list(range(len(self.cells[0]))) if self.kept_rows is None else self.kept_rows.tolist()

    # -- columns ------------------------------------------------------------------------------------------
    def choice(self) -> _Choice:
        usual = tuple(i for i in range(len(self.names)) if i not in self.left_out)
        return _Choice(self.path, tuple(self.names), usual, self.named)

    def read(
        self, kept: list[int], decimal: str | None, marks: Marks, known: Mapping[str, Sequence[str]]
    ) -> tuple[list[Read], str]:
        """The columns, and the decimal sign of the file."""
        evidence = Evidence()
        numbers: dict[int, Array] = {}
        texts: dict[int, Texts] = {}
        for index in kept:
            cells = self._cells(index)
            values = cells.plain_numbers() if decimal != "," else None
            if values is not None:
                numbers[index] = values
                evidence.points |= cells.points()[1]
                continue
            texts[index] = Texts(cells, marks)
            if texts[index].numeric:
                evidence.see(index, texts[index].present)
        column = evidence.doubtful[0] if evidence.doubtful else 0
        sign = decimal or evidence.sign(f"{self.path}, column {column + 1} ({self.names[column]})")
        if sign == ",":
            for index in [i for i in numbers if self._cells(i).points()[0]]:
                del numbers[index]
                texts[index] = Texts(self._cells(index), marks)
        reads: dict[int, Read] = {}
        # Columns of numbers first: their marks say what is missing in columns of words.
        for index in sorted(kept, key=lambda i: (i in texts, i in texts and not texts[i].numeric)):
            if index in numbers:
                reads[index] = column_of_numbers(self.names[index], numbers[index], marks)
            else:
                reads[index] = column_of_texts(
                    self.names[index], texts[index], sign, decimal is not None, _Place(self, index)
                )
        for index in kept:
            levels = known.get(self.names[index]) if self.named or set(known) <= set(self.names) else None
            if levels:
                written = texts[index] if index in texts else Texts(self._cells(index), marks)
                reads[index] = as_trained(reads[index], written, tuple(levels))
        return [reads[index] for index in kept], sign

    def _cells(self, index: int) -> Cells:
        cells = self.cells[index]
        if self.kept_rows is None:
            return cells
        codes, texts = cells.coded()
        return Cells([texts[code] for code in codes[self.kept_rows]])


@dataclass(frozen=True, eq=False)
class _Place:
    """Where the rows of a column stand in the file, as of `kinds.Place`."""

    sheet: _Sheet
    index: int

    def line(self, row: int) -> int:
        return self.sheet.locate(row)[0]

    def __call__(self, row: int) -> str:
        sheet = self.sheet
        called = f" ({quoted(sheet.names[self.index])})" if sheet.named else ""
        return f"{sheet.path}, line {self.line(row)}, column {self.index + 1}{called}: "


@dataclass(frozen=True)
class _Choice:
    """The columns of a file, of which some are to be read.  usual: indices of those read if none is told."""

    path: Path
    names: tuple[str, ...]
    usual: tuple[int, ...]
    named: bool = True

    def of(
        self,
        columns: Names | None,
        drop: Names | None,
        target: str | int | None,
        only: tuple[set[str], set[str]] | None = None,
    ) -> list[int]:
        """Indices of the columns to read: `columns`, then the target, or the usual ones; without `drop`.

        only: names of which, where the first are all there, no others are read.
        """
        dropped = {self.index(column) for column in _as_names(drop or (), "drop")}
        chosen = list(self.usual)
        if columns is not None:
            chosen = [self.index(column) for column in _as_names(columns, "columns")]
            if len(set(chosen)) < len(chosen):
                raise FileError(
                    f"{self.path}: columns names a column twice: {listed([str(c) for c in columns])}"
                )
        if target is not None:
            index = self._target(target, [i for i in self.usual if i not in dropped])
            if index in dropped:
                raise FileError(
                    f"{self.path}: the target '{quoted(self.names[index])}' is among the columns to leave "
                    "out: take it from --drop, or drop="
                )
            if columns is not None:
                chosen = [*(i for i in chosen if i != index), index]
        chosen = [i for i in chosen if i not in dropped]
        if only is not None and only[0] <= {self.names[i] for i in chosen}:
            chosen = [i for i in chosen if self.names[i] in only[0] | only[1]]
        if not chosen:
            raise FileError(f"{self.path}: no column is left to read")
        return chosen

    def _target(self, target: str | int, read: list[int]) -> int:
        """Numbers below 0 count from the last column that is read."""
        number = None if target in self.names else _number(target)
        if number is not None and -len(read) <= number < 0:
            return read[number]
        return self.index(target)

    def index(self, column: str | int) -> int:
        """The index of a column from its name or its number."""
        width = len(self.names)
        if isinstance(column, str):
            if column in self.names:
                return self.names.index(column)
            number = _number(column)
            if number is not None:
                return self.index(number)
            if not self.named:
                raise FileError(
                    f"{self.path}: '{quoted(column)}' is a column's name but the file is read without a "
                    "header"
                )
            raise FileError(
                f"{self.path}: has no column '{quoted(column)}'; its columns are {listed(self.names)}"
            )
        if not -width <= column < width:
            raise FileError(f"{self.path}: has no column {column}; it has {width} columns, 0 to {width - 1}")
        return column % width


def _together(
    known: Mapping[str, Sequence[str]] | None, beside: Sequence[str] | None
) -> tuple[set[str], set[str]] | None:
    return None if not known or beside is None else (set(known), set(beside))


def _number(column: str | int) -> int | None:
    """The number that a column is told by, None for a name."""
    if isinstance(column, int):
        return column
    digits = column.removeprefix("-")
    return int(column) if digits.isascii() and digits.isdecimal() and len(digits) < 10 else None


def _as_names(names: Any, argument: str) -> list[str | int]:
    if isinstance(names, str | int):
        names = [names]
    for name in names:
        if not isinstance(name, str | int | np.integer) or isinstance(name, bool):
            raise FileError(f"{argument} holds {describe(name)}: write names, or numbers from 0")
    return [name if isinstance(name, str) else int(name) for name in names]


def _columnar(
    path: Path,
    content: Content,
    columns: Names | None,
    drop: Names | None,
    target: str | int | None,
    only: tuple[set[str], set[str]] | None,
) -> Reading:
    """A table of Arrow's, which has names and types of its own."""
    table = content.arrow
    remarks = []
    names = list(table.column_names)
    usual = tuple(i for i, name in enumerate(names) if name != "__index_level_0__")
    if len(usual) < len(names) and columns is None:
        remarks.append("'__index_level_0__' is pandas' index and is left out: --columns reads it too")
    chosen = [names[i] for i in _Choice(path, tuple(names), usual).of(columns, drop, target, only)]
    if not table.num_rows:
        raise FileError(f"{path}: holds no row")
    frame, notes = [], []
    for name in chosen:
        column, remark = _typed(path, table.select([name]), name)
        frame.append(column)
        notes.append(Note(names.index(name) + 1, (remark,) if remark else ()))
    return Reading(path, Frame(tuple(frame)), tuple(notes), content.container, remarks=tuple(remarks))


def _typed(path: Path, table: Any, name: str) -> tuple[Column, str]:
    import pyarrow

    column = table.column(0)
    remark = ""
    kind = column.type
    if pyarrow.types.is_dictionary(kind) and not pyarrow.types.is_string(kind.value_type):
        column = column.cast(kind.value_type)
    if pyarrow.types.is_integer(column.type) and column.null_count < len(column):
        import pyarrow.compute as compute

        ends = compute.min_max(column).as_py()
        if max(ends["max"], -ends["min"]) > 2**53:
            column = column.cast(pyarrow.string())
            remark = f"codes, kept as text: a number of float64 cannot hold '{ends['max']}'"
    if pyarrow.types.is_null(column.type):
        column = column.cast(pyarrow.float64())
        remark = "no value at all"
    if pyarrow.types.is_time(column.type):
        column = column.cast(pyarrow.time64("us")).cast(pyarrow.int64()).cast(pyarrow.timestamp("us"))
        remark = "times of day, on 1970-01-01"
    if pyarrow.types.is_decimal(column.type):
        column = column.cast(pyarrow.float64())
    try:
        frame = frame_of(pyarrow.table({name: column}), str(path))
    except DataError as error:
        raise FileError(
            f"{error}, or leave it out: --drop '{quoted(name)}', or drop=['{quoted(name)}']"
        ) from None
    assert frame is not None
    result = frame.columns[0]
    if result.kind == "number" and np.isinf(result.values).any():
        row = int(np.isinf(result.values).argmax())
        raise FileError(
            f"{path}, row {row}, column '{quoted(name)}': the value is infinite: fill it in, or delete it"
        )
    return replace(result, name=name), remark
