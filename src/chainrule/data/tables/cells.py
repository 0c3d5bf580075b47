"""The cells of a text, column by column: by Arrow where the text is long and regular, else row by row.

Arrow reads 29 MB of 20 columns in 0.1 s, Python's csv in 1.3 s; but it names no line of a fault, takes what
stands between a closing quote and the next delimiter for a part of the cell, and its loading takes time and
memory.  So what is short, irregular or wrong is read by csv, which is exact and gives the line.
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
from chainrule.data.tables.decimals import MOST_EXACT, ONE_POINT_GROUP, PLAIN
from chainrule.data.tables.dialect import BLANKS, SAMPLE_LINES, Dialect, lines_of, rows_of

SAMPLE_CELLS = 50_000  # that the header is told by
LONG = 2**20  # characters from which on Arrow is worth its loading


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

    def points(self) -> tuple[bool, bool]:
        """Of a column of plain numbers: whether any has a point, and whether as a decimal sign for sure."""
        raise NotImplementedError

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
        self._numbers: Array | bool | None = False  # not yet asked

    def __len__(self) -> int:
        return len(self.column)

    def __getitem__(self, row: int) -> str:
        return str(self.column[row].as_py())

    def plain_numbers(self) -> Array | None:
        if self._numbers is False:
            self._numbers = self._plain_numbers()
        return self._numbers  # type: ignore[return-value]

    def _plain_numbers(self) -> Array | None:
        import pyarrow as arrow
        import pyarrow.compute as compute

        if not compute.all(compute.match_substring_regex(self.column, f"^{PLAIN}$")).as_py():
            return None
        plain = compute.replace_substring_regex(self.column, r"^\+", "")
        values: Array = np.array(compute.cast(plain, arrow.float64()).to_numpy(), dtype=np.float64)
        return values if (np.abs(values) < MOST_EXACT).all() else None

    def points(self) -> tuple[bool, bool]:
        import pyarrow.compute as compute

        with_point = self.column.filter(compute.match_substring(self.column, "."))
        groups = compute.match_substring_regex(with_point, f"^{ONE_POINT_GROUP.pattern}$")
        return len(with_point) > 0, len(with_point) > 0 and not compute.all(groups).as_py()

    def coded(self) -> tuple[Array, list[str]]:
        encoded = self.column.dictionary_encode().combine_chunks()
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
        walk = self._walk()
        rows = list(islice(walk, 2))
        if not rows:
            raise FileError(f"{self.path}: holds no line of values")
        rows += islice(walk, min(SAMPLE_LINES, max(50, SAMPLE_CELLS // len(rows[0][1]))))
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

    def blank_lines(self) -> int:
        """Lines with nothing on them between those of a table of one column."""
        lines = list(lines_of(self.text, self.dialect.skipped))
        while lines and not lines[-1].strip():
            lines.pop()
        return sum(not line.strip() for line in lines)

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
        if not body.strip() or not self._is_regular(body):
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

    def _is_regular(self, body: bytes) -> bool:
        """Whether each quoted cell stands alone between two delimiters: what Arrow and csv read alike."""
        quote, delimiter = self.dialect.quote.encode(), self.dialect.delimiter.encode()
        if b"\r" in body:  # a line's end to Arrow
            return False
        if quote not in body:
            return True
        q, d = re.escape(quote), re.escape(delimiter)
        bare = re.sub(b"%s(?:[^%s]|%s%s)*+%s" % (q, q, q, q, q), b"\0", body)
        if quote in bare:
            return False
        after = re.compile(
            b"\0[^%s\n]" % d
        )  # searched from both sides: a literal first is found 20 times as fast
        return not after.search(bare) and not after.search(bare[::-1])


def counted(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"
