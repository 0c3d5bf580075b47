"""Numbers as they are written: which cells are numbers, and whether a comma is their decimal sign."""

from __future__ import annotations

import re
from collections.abc import Iterable
from math import isfinite

from chainrule.base.errors import FileError, describe
from chainrule.base.shown import quoted

# With a leading zero (01, 007) it is a code: as a number it would not print back as it was written.
PLAIN = r"[+-]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
PLAIN_COMMA = PLAIN.replace(r"\.", ",")
POINT = re.compile(PLAIN)
COMMA = re.compile(PLAIN_COMMA)
LOOSE = re.compile(r"[+-]?(?:[0-9]+[.,]?[0-9]*|[.,][0-9]+)(?:[eE][+-]?[0-9]+)?")
INFINITE = re.compile(r"[+-]?inf(?:inity)?", re.IGNORECASE)
GROUPED = re.compile(r"[+-]?[1-9][0-9]{0,2}(?:,[0-9]{3})+(?:\.[0-9]*)?")  # 1,684 and 1,234,567.5
ONE_GROUP = re.compile(r"[+-]?[1-9][0-9]{0,2},[0-9]{3}")
POINT_GROUPED = re.compile(r"[+-]?[1-9][0-9]{0,2}(?:\.[0-9]{3})+(?:,[0-9]*)?")
MOST_EXACT = 2**53


def is_number(cell: str) -> bool:
    """Whether a cell is a finite decimal number, with a point."""
    if "_" in cell or not cell.isascii():
        return False
    try:
        return isfinite(float(cell))
    except ValueError:
        return False


def number_like(cell: str) -> bool:
    """Whether a cell reads as a number with either decimal sign."""
    return bool(LOOSE.fullmatch(cell) or INFINITE.fullmatch(cell) or GROUPED.fullmatch(cell))


def check_decimal(decimal: str | None) -> str | None:
    if decimal not in (None, ".", ","):
        raise FileError(f"decimal is {describe(decimal)}: write '.' or ','")
    return decimal


class Evidence:
    """What the cells of a file say about its decimal sign."""

    def __init__(self) -> None:
        self.points = False  # a cell such as 1.5
        self.comma = ""  # such as 1,5: no group of thousands has one digit
        self.doubtful: tuple[int, str] | None = None  # such as 1,684, and the column it is in
        self.comma_columns: set[int] = set()

    def see(self, column: int, cells: Iterable[str]) -> None:
        """The cells of a column all of whose present values read as numbers with one of the signs."""
        for cell in cells:
            if "," in cell and "." not in cell:
                if ONE_GROUP.fullmatch(cell):
                    self.doubtful = self.doubtful or (column, cell)
                elif COMMA.fullmatch(cell):
                    self.comma = self.comma or cell
            elif "." in cell and "," not in cell:
                self.points = True

    def sign(self, place: str) -> str:
        """The decimal sign, or FileError that names --decimal."""
        if self.comma and self.points:
            return "."  # columns with commas stay texts, with a remark
        if self.comma:
            return ","
        if self.doubtful and not self.points:
            cell = self.doubtful[1]
            raise FileError(
                f"{place}: '{quoted(cell)}' may be a decimal number or thousands, and nothing in the file "
                "tells: --decimal , reads a decimal comma, --decimal . thousands (decimal=',' or decimal='.')"
            )
        return "."
