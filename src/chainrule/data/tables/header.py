"""Whether the first line holds the columns' names: by what stands below it, never by its look alone.

Names do not fit the columns below them: a word stands above numbers, a word above levels that it is none of.
Where the first line fits, it holds values; but for 0, 1, 2, ... (pandas' own names) and for years.  Where
some of it fits and some does not, the question is asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from chainrule.base.errors import FileError
from chainrule.base.shown import quoted
from chainrule.data.tables.dates import read_dates
from chainrule.data.tables.decimals import number_like
from chainrule.data.tables.missing import USUAL

# Of words above columns of words: the chance that they, were they levels, occur nowhere below.
CHANCE = 0.05
FEW_LEVELS = 0.25  # from here on, beside values, a word found nowhere below is no sign of names
MANY_CODES = 5  # different cells, all with a digit (A11, 5 %), above which a word without is a name
# Marks as programs write them: Na is sodium, and Nat a party.
MARKS = {"?", "NA", "N/A", "#N/A", "NaN", "nan", "null", "NULL", "None"}
SAY = "say which it is: --header yes or --header no (header=True or header=False)"


@dataclass(frozen=True)
class Decision:
    header: bool
    why: str


def header_of(
    path: Path,
    line: int,
    first: list[str],
    head: list[list[str]],
    told: bool | None,
    asked: tuple[str, ...],
    known: tuple[str, ...] = (),
) -> Decision:
    """The decision, with its reason; `asked` are names that the caller takes for columns of the file, `known`
    names that a model was trained on, which are names even where they are numbers.

    Raises FileError that names --header where the lines do not tell.
    """
    if told is not None:
        return Decision(told, "as told")
    cells = [cell for cell in first if cell]
    asked = tuple(name for name in asked if not number_like(name))  # which may be a column's number
    if asked and all(name in cells for name in asked) and not all(map(number_like, cells)):
        return Decision(True, "among them are those asked for")
    if all(name in cells for name in known) and (len(known) > 1 or not all(map(number_like, known))):
        return Decision(True, "the first line holds the names that the model knows")
    if not head:
        if any(map(number_like, cells)):
            if all(map(number_like, cells)):
                return Decision(False, "a single line, of numbers")
            raise FileError(f"{path}: a single line, which may be names or values: {SAY}")
        raise FileError(f"{path}: has a header but no line of values")
    columns = [[row[i] for row in head if i < len(row)] for i in range(len(head[0]))]
    return _by_columns(path, line, first, columns[len(columns) - len(first) :] or columns)


@dataclass
class _Seen:
    """What the cells of the first line are, each against the cells below it, by the columns' numbers."""

    misfits: list[int] = field(default_factory=list)  # unlike the cells below
    fits: list[int] = field(default_factory=list)  # of their kind
    pattern: list[int] = field(default_factory=list)  # numbers
    among: list[int] = field(default_factory=list)  # words that are levels
    fresh: list[tuple[int, list[str]]] = field(default_factory=list)  # words that are no level below


def _seen(first: list[str], columns: list[list[str]]) -> _Seen:
    """Each cell of the first line against the cells below it; one that is empty, or alone, tells nothing."""
    seen = _Seen()
    for index, (cell, column) in enumerate(zip(first, columns, strict=False)):
        present = [other for other in column if other.lower() not in USUAL]
        if not present or not cell:
            continue
        measured = _measured(present)
        number = number_like(cell)
        if number:
            seen.pattern.append(index)
        if cell in MARKS:  # no names
            seen.fits.append(index)
        elif measured == "number":
            (seen.fits if number else seen.misfits).append(index)
        elif measured == "date":
            (seen.fits if _fits_dates(cell, present) else seen.misfits).append(index)
        elif measured == "truth":
            (seen.fits if _truth(cell) else seen.misfits).append(index)
        elif measured == "digits":
            if not any(sign.isdigit() for sign in cell):
                seen.misfits.append(index)
        elif number:
            (seen.fits if any(map(number_like, present)) else seen.misfits).append(index)
        elif cell in present:
            seen.among.append(index)
        else:
            seen.fresh.append((index, present))
    return seen


def _by_columns(path: Path, line: int, first: list[str], columns: list[list[str]]) -> Decision:
    """By what its cells are, against those below: names where some do not fit and none does, values where all
    fit; FileError where they do not tell.
    """
    seen = _seen(first, columns)
    misfits, fits, among, fresh = seen.misfits, seen.fits, seen.among, seen.fresh

    def at(index: int) -> str:
        return f"'{quoted(first[index], 40)}'"

    if misfits and not fits:
        index = misfits[0]
        below = f"{_words(columns[index])} as '{_example(columns[index])}'"
        return Decision(True, f"{at(index)} stands above {below}")
    unnamed = not first[0] and len(first) > 1 and all(first[1:]) and "" not in columns[0]
    if unnamed and not among and not set(first) & MARKS and len(set(columns[0])) == len(columns[0]):
        return Decision(True, "the first cell is empty, above cells that are all different")
    twice = any(count > 1 for cell, count in Counter(first).items() if cell)
    numbered = _numbering(first, seen.pattern, columns, misfits=bool(misfits)) if seen.pattern else None
    if numbered and not twice and not among and set(seen.pattern) >= set(fits):
        return Decision(True, numbered)
    place = f"{path}, line {line}"
    if misfits:
        raise _in_two_minds(place, at, columns, misfits[0], fits[0])
    if not fits:
        return _of_words(path, line, first, among, fresh, twice)
    if numbered == "" and not among:
        start = ", ".join(first[:3])
        raise FileError(f"{place}: {quoted(start, 60)}, … may be the columns' names or values: {SAY}")
    if not fresh or among or _chance(fresh) >= FEW_LEVELS:
        return Decision(False, f"{at(fits[0])} is of the same kind as the cells below it")
    raise FileError(
        f"{place}: may be the columns' names or values: {at(fresh[0][0])} is none of the levels below, "
        f"but {at(fits[0])} is of the same kind as the cells below: {SAY}"
    )


def _in_two_minds(
    place: str, at: Callable[[int], str], columns: list[list[str]], index: int, other: int
) -> FileError:
    """What to raise where the cell of one column is unlike those below it, and that of another like them."""
    if _words(columns[index]) == "numbers":
        return FileError(
            f"{place}, column {index + 1}: {at(index)} is not a number: where the first line holds the "
            f"columns' names, say so: --header yes, or header=True; where it holds values, as "
            f"{at(other)} in column {other + 1} suggests, --header no, or header=False"
        )
    return FileError(
        f"{place}: {at(index)} is unlike the {_words(columns[index])} below it, {at(other)} is like the "
        f"cells below it: {SAY}"
    )


def _measured(present: list[str]) -> str:
    """number, date or truth where (almost) all cells are; a stray word does not make it a column of words."""
    numbers = sum(map(number_like, present))
    if numbers == len(present) or (numbers > 0.5 * len(present) and numbers >= 1):
        return "number"
    if all(map(_truth, present)):
        return "truth"
    dates, remark = read_dates(present[:200])
    if dates is not None or remark:
        return "date"
    digits = len(set(present)) >= MANY_CODES and all(any(map(str.isdigit, cell)) for cell in present)
    return "digits" if digits else ""


def _truth(cell: str) -> bool:
    return cell.lower() in ("true", "false", "yes", "no")


def _fits_dates(cell: str, present: list[str]) -> bool:
    dates, remark = read_dates([cell, *present[:200]])
    return dates is not None or bool(remark)


def _words(below: list[str]) -> str:
    present = [cell for cell in below if cell.lower() not in USUAL]
    names = {"number": "numbers", "date": "dates", "truth": "truth values", "digits": "codes with digits"}
    return names.get(_measured(present), "words")


def _example(below: list[str]) -> str:
    return quoted(next(cell for cell in below if cell.lower() not in USUAL), 30)


def _numbering(
    first: list[str], pattern: list[int], columns: list[list[str]], *, misfits: bool
) -> str | None:
    """Why numbers in the first line are names; "" where they may be; None where they are values."""
    cells = [first[index] for index in pattern]
    if not all(cell.isascii() and cell.isdecimal() for cell in cells):
        return None
    numbers = [int(cell) for cell in cells]
    second = [columns[index][0] for index in pattern]
    whole_below = all(other.isdecimal() for other in second)
    counting = len(numbers) > 1 and all(b - a == 1 for a, b in pairwise(numbers))
    if counting and numbers[0] in (0, 1) and pattern == [*range(pattern[0], pattern[-1] + 1)]:
        goes_on = whole_below and all(int(b) - int(a) == 1 for a, b in pairwise(second))
        fractions = all(any("." in cell or "," in cell for cell in columns[index][:50]) for index in pattern)
        recurs = all(first[index] in columns[index] for index in pattern)
        sure = (2, 3 if len(pattern) < len(first) else 4) if numbers[0] == 0 else (3, 9)
        if not goes_on and len(numbers) >= (sure[0] if fractions else sure[1]):
            return f"{numbers[0]}, {numbers[1]}, … number the columns"
        doubtful = 3 if numbers[0] == 0 else 4
        return "" if len(numbers) >= doubtful or (numbers[0] == 0 and not recurs) else None
    if all(1800 <= number <= 2100 for number in numbers) and len(set(numbers)) == len(numbers):
        years_below = any(
            other.isdecimal() and 1800 <= int(other) <= 2100
            for index in pattern
            for other in columns[index][:200]
        )
        up = all(0 < b - a <= 10 for a, b in pairwise(numbers))
        down = all(0 < a - b <= 10 for a, b in pairwise(numbers))
        if not years_below:
            certain = misfits or (len(numbers) > 1 and (up or down))
            several = f"{cells[0]}, {cells[1]}, … are years" if len(cells) > 1 else f"{cells[0]} is a year"
            return f"{several}, and no number below is one" if certain else ""
        return "" if len(numbers) > 1 and (up or down) else None
    return None


def _chance(fresh: list[tuple[int, list[str]]]) -> float:
    """That a row's words occur nowhere else: by Good and Turing, the share of words that occur once."""
    chance = 1.0
    for _, present in fresh:
        once = sum(count == 1 for count in Counter(present).values())
        chance *= min(1.0, (once + 1) / (len(present) + 1))
    return chance


def _of_words(
    path: Path,
    line: int,
    first: list[str],
    among: list[int],
    fresh: list[tuple[int, list[str]]],
    doubles: bool,
) -> Decision:
    """A first line of words above columns of words."""
    chance = _chance(fresh)
    if among and (len(among) > 1 or len(first) == 1 or chance > CHANCE):
        return Decision(False, f"'{quoted(first[among[0]], 40)}' is a level of its column")
    if not among and not doubles and chance < CHANCE:
        return Decision(True, f"'{quoted(first[fresh[0][0]], 40)}' is none of the levels below it")
    raise FileError(
        f"{path}, line {line}: '{quoted(', '.join(first), 60)}' may be the columns' names or values, all of "
        f"which are words: {SAY}"
    )
