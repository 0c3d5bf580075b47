"""CSV files: numeric features, one target column, and errors that name line and column.

Values are read by Python's float() row by row into one growing array of doubles: about 10 million cells a
second, 8 bytes a cell. What float() would let through although nobody means it (1_000, nan, inf) is
refused.
"""

from __future__ import annotations

import csv
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from itertools import chain
from math import isfinite
from pathlib import Path
from typing import TextIO

import numpy as np

from chainrule.base.errors import FileError, describe
from chainrule.base.files.disk import opened
from chainrule.base.types import Array

missing_marks = {"", "na", "n/a", "nan", "null", "none", "?"}
fill_in = ": fill it in, or delete the line"
delimiters = (",", ";", "\t")
most_label_bytes = 2**28  # of labels as an array, unless they are all of some length


@dataclass(frozen=True, eq=False)
class Table:
    """What a CSV file holds.

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
) -> Table:
    """Read a CSV file in UTF-8 with numeric features.

    target: the column to learn, by its name in the header or by its index (0 is the first, -1 the last);
    None reads features only. header: None takes the first line as a header when none of its feature cells
    is a number. delimiter: None takes whichever of comma, semicolon and tab occurs most in the first
    line. columns: read only these features, by name, in this order; without it every column but the
    target is a feature. Raises FileError with line and column for missing, ragged or non-numeric cells.
    """
    return read_table(path, lambda cells: target, header=header, delimiter=delimiter, columns=columns)


def read_table(
    path: str | Path,
    choose: Callable[[list[str]], str | int | None],
    *,
    header: bool | None = None,
    delimiter: str | None = None,
    columns: Sequence[str] | None = None,
) -> Table:
    """As `load_csv`, with the target that `choose` names when it sees the cells of the first line."""
    path = Path(path)
    with text_of(path) as file:
        return CsvReader(path, file, delimiter).table(choose, header, columns)


@contextmanager
def text_of(path: Path) -> Iterator[TextIO]:
    """The file as text, a pipe too; what cannot be opened or decoded raises FileError."""
    try:
        with opened(path, pipes=True) as (stream, _), TextIOWrapper(stream, "utf-8-sig", newline="") as file:
            yield file
    except UnicodeDecodeError as error:
        raise FileError(
            f"{path}: not a text file in UTF-8 (byte 0x{error.object[error.start]:02x})"
        ) from None


class CsvReader:
    """One open CSV file: its rows, the choice of columns, the conversion of cells."""

    def __init__(self, path: Path, file: TextIO, delimiter: str | None) -> None:
        self.path = path
        lines: Iterator[str] = iter(file)
        if delimiter is None:
            first = next(lines, "")
            lines = chain([first], lines)
            delimiter = max(delimiters, key=first.count)
        elif len(delimiter) != 1:
            raise FileError(f"delimiter is {describe(delimiter)}: write a single character, such as ','")
        self.suspicious = False  # the row now read holds an underscore, which float() ignores between digits
        self.reader = csv.reader(self.watched(lines), delimiter=delimiter, strict=True, skipinitialspace=True)
        self.line = 0
        self.width = 0
        self.names: list[str] | None = None

    def watched(self, lines: Iterator[str]) -> Iterator[str]:
        for line in lines:
            self.suspicious = self.suspicious or "_" in line
            yield line

    def rows(self) -> Iterator[list[str]]:
        """The rows that are not blank; the first sets the number of cells that every other must have."""
        try:
            while True:
                self.suspicious = False
                row = next(self.reader, None)
                if row is None:
                    return
                if not row or (len(row) == 1 and not row[0].strip() and self.width != 1):
                    continue
                self.line = self.reader.line_num
                if not self.width:
                    self.width = len(row)
                elif len(row) != self.width:
                    raise FileError(
                        f"{self.path}, line {self.line}: {cells(len(row))}, "
                        f"but the first line has {self.width}"
                    )
                yield row
        except csv.Error as error:
            raise FileError(f"{self.path}, line {self.reader.line_num}: not CSV ({error})") from None

    def table(
        self,
        choose: Callable[[list[str]], str | int | None],
        header: bool | None,
        columns: Sequence[str] | None,
    ) -> Table:
        """Read the whole file."""
        rows = self.rows()
        first = next(rows, None)
        if first is None:
            raise FileError(f"{self.path}: holds no line of values")
        target = choose([cell.strip() for cell in first])
        self.names = self.header(first, target, header, columns)
        if self.names is None:
            rows = chain([first], rows)
        target_index = None if target is None else self.column_index(target)
        indices = self.feature_indices(target_index, columns)
        values, target_cells, lines = array("d"), [], array("q")
        for row in rows:
            lines.append(self.line)
            if target_index is not None:
                target_cells.append(row[target_index])
            if self.suspicious:
                self.check_numbers(row, indices)
            try:
                values.extend([float(row[i]) for i in indices])
            except ValueError:
                self.check_numbers(row, indices)
                raise
        if not lines:
            raise FileError(f"{self.path}: has a header but no line of values")
        features = np.frombuffer(values, dtype=np.float64).reshape(len(lines), len(indices))
        self.check_finite(features, indices, lines)
        names = self.names
        return Table(
            features,
            None if names is None else tuple(names[i] for i in indices),
            None if target_index is None else self.target_values(target_cells, target_index, lines),
            None if names is None or target_index is None else names[target_index],
        )

    def header(
        self, first: list[str], target: str | int | None, header: bool | None, columns: Sequence[str] | None
    ) -> list[str] | None:
        """The names in the first line, or None when it is a line of values."""
        if header is None:
            by_name = columns is not None or isinstance(target, str)
            index = target if isinstance(target, int) else len(first)
            feature_cells = [cell for i, cell in enumerate(first) if i not in (index, index + len(first))]
            header = by_name or not any(is_number(cell) or not cell.strip() for cell in feature_cells)
        if not header:
            return None
        names = [cell.strip() for cell in first]
        seen: set[str] = set()
        for name in names:
            if name in seen:
                raise FileError(
                    f"{self.path}: two columns are called '{name}'; give every column its own name"
                )
            seen.add(name)
        return names

    def column_index(self, column: str | int) -> int:
        """The index of a column, 0-based, from its name or index."""
        if isinstance(column, str):
            if self.names is None:
                raise FileError(
                    f"{self.path}: '{column}' is a column's name but the file is read without a header"
                )
            if column not in self.names:
                raise FileError(
                    f"{self.path}: has no column '{column}'; its columns are {listed(self.names)}"
                )
            return self.names.index(column)
        if not -self.width <= column < self.width:
            raise FileError(
                f"{self.path}: has no column {column}; it has {self.width} columns, 0 to {self.width - 1}"
            )
        return column % self.width

    def feature_indices(self, target_index: int | None, columns: Sequence[str] | None) -> list[int]:
        if columns is not None:
            return [self.column_index(column) for column in columns]
        indices = [i for i in range(self.width) if i != target_index]
        if not indices:
            raise FileError(f"{self.path}: has no column beside the target, so nothing to learn from")
        return indices

    def check_numbers(self, row: list[str], indices: list[int]) -> None:
        """Raise FileError at the first of the cells that is no number."""
        for index in indices:
            if not is_number(row[index]):
                raise FileError(self.place(self.line, index) + self.complaint(row[index]))

    def complaint(self, cell: str) -> str:
        text = cell.strip()
        if text.lower() in missing_marks:
            return "the value is missing" + (f" ('{text}')" if text else "") + fill_in
        if self.line == 1:
            advice = "where the first line holds the columns' names, say so: --header yes, or header=True"
        elif is_number(text.replace(",", ".", 1)):
            advice = f"write it with a decimal point, {text.replace(',', '.', 1)}"
        elif is_number(text.replace("_", "")):
            advice = f"write it without the underscore, {text.replace('_', '')}"
        else:
            advice = "features are numbers; write names as columns of 0 and 1, or delete this column"
        return f"'{shortened(cell)}' is not a number: {advice}"

    def check_finite(self, features: Array, indices: list[int], lines: array[int]) -> None:
        """nan, inf and 1e999 are numbers to float(), not to us."""
        finite = np.isfinite(features)
        if finite.all():
            return
        row, column = (int(i) for i in np.argwhere(~finite)[0])
        what = "the value is missing ('nan')" if np.isnan(features[row, column]) else "the value is infinite"
        raise FileError(self.place(lines[row], indices[column]) + what + fill_in)

    def target_values(self, target_cells: list[str], index: int, lines: array[int]) -> Array:
        """The target column: int64, float64 or strings; a column that mixes numbers and names is refused."""
        stripped = [cell.strip() for cell in target_cells]
        numeric = is_number(stripped[0])
        for line, cell in zip(lines, stripped, strict=True):
            if cell.lower() in missing_marks:
                raise FileError(self.place(line, index) + "the target is missing" + fill_in)
            if is_number(cell) != numeric:
                other = "a number" if is_number(cell) else "no number"
                raise FileError(
                    self.place(line, index)
                    + f"the target '{shortened(cell)}' is {other}, unlike the target in line {lines[0]}"
                )
        if not numeric:
            self.check_lengths(stripped, index, lines)
            return np.array(stripped)
        values = np.fromiter(map(float, stripped), np.float64, len(stripped))
        whole = bool((np.abs(values) < 2**53).all()) and bool((values == np.rint(values)).all())
        return values.astype(np.int64) if whole else values

    def check_lengths(self, labels: list[str], index: int, lines: array[int]) -> None:
        """An array of texts keeps as much room for each as the longest takes."""
        row = max(range(len(labels)), key=lambda row: len(labels[row]))
        longest, total = len(labels[row]), sum(map(len, labels))
        if 4 * longest * len(labels) > most_label_bytes and longest * len(labels) > 100 * total:
            raise FileError(
                f"{self.place(lines[row], index)}the target has {longest:,} characters, and "
                f"{len(labels):,} labels as long would need {4e-9 * longest * len(labels):.1f} GB: shorten it"
            )

    def place(self, line: int, index: int) -> str:
        name = f" ({self.names[index]})" if self.names is not None and self.names[index] else ""
        return f"{self.path}, line {line}, column {index + 1}{name}: "


def is_number(cell: str) -> bool:
    """Whether a cell is a finite decimal number."""
    if "_" in cell:
        return False
    try:
        return isfinite(float(cell))
    except ValueError:
        return False


def cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"


def shortened(cell: str) -> str:
    return cell if len(cell) <= 40 else cell[:37] + "..."


def listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:20])
    return shown if len(names) <= 20 else f"{shown} and {len(names) - 20} more"
