"""The cells of a text, column by column: by Arrow where the text is long and regular, else row by row.

Arrow reads 29 MB of 20 columns in 0.1 s, Python's csv in 1.3 s; but it names no line of a fault, takes
what stands between a closing quote and the next delimiter for a part of the cell, and loading it takes 60 ms
and 40 MB.  So what is short, irregular or wrong is read by csv, which is exact and gives the line.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.base.errors import FileError
from chainrule.base.types import Array
from chainrule.data.tables.decimals import MOST_EXACT, PLAIN
from chainrule.data.tables.dialect import BLANKS, SAMPLE_LINES, Dialect, lines_of, rows_of

LONG = 2**22  # characters from which on Arrow is worth its loading


class Cells:
    """A column: its cells as texts, stripped."""

    def __init__(self, cells: Sequence[str]) -> None:
        self.cells = cells

    def __len__(self) -> int:
        return len(self.cells)

    def __getitem__(self, row: int) -> str:
        return self.cells[row]

    def plain_numbers(self) -> Array | None:
        """The values (N,) where every cell is a number with a point that float64 holds, else None."""
        return None

    def coded(self) -> tuple[Array, list[str]]:
        """For every row the number of its text, and the texts in the order of their first rows."""
        numbers: dict[str, int] = {}
        codes = np.fromiter(
            (numbers.setdefault(cell, len(numbers)) for cell in self.cells), np.int64, len(self.cells)
        )
        return codes, list(numbers)


class ArrowCells(Cells):
    """A column of Arrow's, whose numbers never become Python's."""

    def __init__(self, column: Any) -> None:
        import pyarrow.compute as compute

        self.column = compute.utf8_trim_whitespace(column)

    def __len__(self) -> int:
        return len(self.column)

    def __getitem__(self, row: int) -> str:
        return str(self.column[row].as_py())

    def plain_numbers(self) -> Array | None:
        import pyarrow as arrow
        import pyarrow.compute as compute

        if not compute.all(compute.match_substring_regex(self.column, f"^{PLAIN}$")).as_py():
            return None
        plain = compute.replace_substring_regex(self.column, r"^\+", "")
        values: Array = np.array(compute.cast(plain, arrow.float64()).to_numpy(), dtype=np.float64)
        return values if (np.abs(values) <= MOST_EXACT).all() else None

    def coded(self) -> tuple[Array, list[str]]:
        encoded = self.column.combine_chunks().dictionary_encode()
        return encoded.indices.to_numpy().astype(np.int64), encoded.dictionary.to_pylist()


@dataclass(frozen=True, eq=False)
class Sheet:
    """How a table begins: its first row, and up to a thousand of those after it; width: their cells."""

    first: list[str]
    first_line: int
    head: list[list[str]]
    width: int


class Rows:
    """A text with its dialect."""

    def __init__(self, path: Path, text: str, dialect: Dialect) -> None:
        self.path = path
        self.text = text
        self.dialect = dialect
        self.shorter = False  # the first row has a cell less: a delimiter ends the others, or R's row names
        self.sheet = self._begin()

    def _walk(self) -> Iterator[tuple[int, list[str]]]:
        try:
            yield from rows_of(lines_of(self.text, self.dialect.skipped), self.dialect)
        except csv.Error as error:
            what, line = error.args
            advice = " (an opening quote without its end is somewhere above)" if "end of data" in what else ""
            raise FileError(f"{self.path}, line {line}: not CSV ({what}){advice}") from None

    def _begin(self) -> Sheet:
        """The first rows, which say how many cells a row has."""
        rows = list(islice(self._walk(), SAMPLE_LINES))
        if not rows:
            raise FileError(f"{self.path}: holds no line of values")
        (first_line, first), after = rows[0], rows[1:]
        self.shorter = {len(row) for _, row in after} == {len(first) + 1} and len(after) > 1
        width = len(first) + self.shorter
        for line, row in after:
            if len(row) != width:
                raise self._ragged(line, row, width)
        return Sheet(first, first_line, [row for _, row in after], width)

    def _ragged(self, line: int, row: list[str], width: int) -> FileError:
        others = f"the lines before have {width}" if self.shorter else f"the first line has {width}"
        return FileError(
            f"{self.path}, line {line}: {counted(len(row))}, but {others} (delimiter: {self.dialect.name}; "
            "another: --delimiter, or delimiter=)"
        )

    def columns(self, *, with_first: bool) -> list[Cells]:
        """Every column, with or without the cells of the first row."""
        arrow = self._by_arrow(with_first)
        if arrow is not None:
            return arrow
        rows = self._walk()
        first = next(rows)[1]
        kept = [first] if with_first else []
        width = self.sheet.width
        for line, row in rows:
            if len(row) != width:
                raise self._ragged(line, row, width)
            kept.append(row)
        if not kept:
            return [Cells([]) for _ in range(width)]
        if with_first and self.shorter:
            kept[0] = [*first, ""]
        return [Cells(column) for column in zip(*kept, strict=True)]

    def locate(self, row: int, *, with_first: bool) -> tuple[int, list[str]]:
        """The line in the file of a row of `columns`, and its cells."""
        return next(islice(self._walk(), row + (not with_first), None))

    def _by_arrow(self, with_first: bool) -> list[Cells] | None:
        """None where Arrow is not there, not worth it, or might read other than csv."""
        if len(self.text) < LONG or self.dialect.delimiter in ("", BLANKS) or (with_first and self.shorter):
            return None
        if self.dialect.delimiter == "," and len(self.sheet.first) == 1:
            return None
        try:
            import pyarrow as arrow
            import pyarrow.csv as arrow_csv
        except ImportError:
            return None
        lines = self.dialect.skipped if with_first else self.sheet.first_line
        start = 0
        for _ in range(lines):
            start = self.text.find("\n", start) + 1
            if not start:
                return None
        body = self.text[start:].encode("utf-8", "surrogatepass")
        if not body.strip() or not self._quotes_are_regular(body):
            return None
        width, quote = self.sheet.width, self.dialect.quote
        names = [f"{i}" for i in range(width)]
        try:
            table = arrow_csv.read_csv(
                arrow.BufferReader(body),
                read_options=arrow_csv.ReadOptions(column_names=names, block_size=min(len(body) + 1, 2**25)),
                parse_options=arrow_csv.ParseOptions(
                    delimiter=self.dialect.delimiter, quote_char=quote, newlines_in_values=True
                ),
                convert_options=arrow_csv.ConvertOptions(
                    column_types=dict.fromkeys(names, arrow.string()), strings_can_be_null=False
                ),
            )
        except arrow.ArrowException:
            return None
        return [ArrowCells(column) for column in table.columns]

    def _quotes_are_regular(self, body: bytes) -> bool:
        """Whether each quoted cell stands alone between two delimiters: what Arrow and csv read alike."""
        quote, delimiter = self.dialect.quote.encode(), self.dialect.delimiter.encode()
        if quote not in body:
            return True
        q, d = re.escape(quote), re.escape(delimiter)
        bare = re.sub(b"%s(?:[^%s]|%s%s)*+%s" % (q, q, q, q, q), b"\0", body)
        return quote not in bare and not re.search(b"[^%s\n]\0|\0[^%s\n]" % (d, d), bare)


def counted(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"

