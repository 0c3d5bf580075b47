"""Which cells say that a value is missing.

Of a column of numbers, truth values or dates every usual mark is one.  In a column of words `None` and `NA`
may be a level (no basement, Namibia): they count as missing only where a column of numbers of the same file
has that mark, too, as R and pandas write it throughout.  Empty cells, `?` and marks that are no word are
always.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from chainrule.base.errors import FileError, describe

USUAL = {"", "?", "na", "n/a", "#n/a", "nan", "null", "none", "<na>", "nat", "-nan"}
# In a column of words: what nobody calls a level.
NEVER_WORDS = {"", "?", "nan", "NaN", "NAN", "-nan", "null", "NULL", "N/A", "n/a", "#N/A", "<NA>", "NaT"}


class Marks:
    """The marks of a file: the usual ones, or those that were told."""

    def __init__(self, told: str | Sequence[str] | None = None) -> None:
        self.told = None if told is None else told_marks(told)
        self.of_numbers: set[str] = set()  # as they stand in columns of numbers

    def in_numbers(self, cell: str) -> bool:
        return cell in self.told if self.told is not None else cell.lower() in USUAL

    def in_words(self, cell: str) -> bool:
        if self.told is not None:
            return cell in self.told
        return cell in NEVER_WORDS or (cell in self.of_numbers and cell.lower() in USUAL)

    def notice(self, cells: Iterable[str]) -> None:
        """The marks that a column of numbers has."""
        self.of_numbers.update(cells)


def told_marks(told: str | Sequence[str]) -> frozenset[str]:
    """Marks from a text with commas between them, or from several; an empty cell is always one."""
    parts = told.split(",") if isinstance(told, str) else list(told)
    if not all(isinstance(part, str) for part in parts):
        raise FileError(f"missing is {describe(told)}: write the marks as texts, such as missing='?,NA'")
    return frozenset({"", *(part.strip() for part in parts)})
