"""Whether the first line holds the columns' names: by what stands below it, never by its look alone.

Names do not fit the columns below them: a word stands above numbers, a word above levels that it is none of.
Where the first line fits, it holds values; but for 0, 1, 2, ... (pandas' own names) and for years.  Where
some of it fits and some does not, the question is asked.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from chainrule.base.errors import FileError
from chainrule.base.shown import quoted
from chainrule.data.tables.dates import read_dates
from chainrule.data.tables.decimals import number_like
from chainrule.data.tables.missing import USUAL

# A first line of words above columns of words: the chance that its words, were they levels, occur nowhere
# below.
CHANCE = 0.05
SAY = "say which it is: --header yes or --header no (header=True or header=False)"


@dataclass(frozen=True)
class Decision:
    header: bool
    why: str


def header_of(
    path: Path, line: int, first: list[str], head: list[list[str]], told: bool | None, asked: tuple[str, ...]
) -> Decision:
    """The decision, with its reason; `asked` are names that the caller takes for columns of the file.

    Raises FileError that names --header where the lines do not tell.
    """
    if told is not None:
        return Decision(told, "as told")
    cells = [cell for cell in first if cell]
    if asked and all(name in cells for name in asked) and not all(map(number_like, cells)):
        return Decision(True, "the first line holds the names asked for")
    if not head:
        if any(map(number_like, cells)):
            if all(map(number_like, cells)):
                return Decision(False, "a single line, of numbers")
            raise FileError(f"{path}: a single line, which may be names or values: {SAY}")
        raise FileError(f"{path}: has a header but no line of values")
    columns = [[row[i] for row in head if i < len(row)] for i in range(len(head[0]))]
    return _by_columns(path, line, first, columns[len(columns) - len(first) :] or columns)


def _by_columns(path: Path, line: int, first: list[str], columns: list[list[str]]) -> Decision:
    """Each cell of the first line against the cells below it."""
    misfits, fits, pattern, among, fresh = [], [], [], [], []
    for index, (cell, below) in enumerate(zip(first, columns, strict=False)):
        present = [other for other in below if other.lower() not in USUAL]
        if not present:
            continue  # nothing below: whatever stands here tells nothing
        measured = _measured(present)
        number = number_like(cell)
        if number:
            pattern.append(index)
        if cell.lower() in USUAL:
            if cell:  # NA or ? is no name
                fits.append(index)
        elif measured == "number":
            (fits if number else misfits).append(index)
        elif measured == "date":
            (fits if _fits_dates(cell, present) else misfits).append(index)
        elif measured == "truth":
            (fits if _truth(cell) else misfits).append(index)
        elif number:
            (fits if any(map(number_like, present)) else misfits).append(index)
        elif cell in present:
            among.append(index)
        else:
            fresh.append((index, present))
    doubles = [cell for cell, count in Counter(cell for cell in first if cell).items() if count > 1]
    if misfits and not fits:
        where = misfits[0]
        return Decision(
            True, f"'{quoted(first[where], 40)}' stands above {_words(columns[where])} as '{_example(columns[where])}'"
        )
    numbered = _numbering(first, pattern, columns) if pattern else None
    if numbered and not doubles and not among and set(pattern) >= set(fits):
        return Decision(True, numbered)
    if fits and not misfits:
        if numbered == "" and not among:
            raise FileError(
                f"{path}, line {line}: {', '.join(first[:3])}, … may be the columns' names or values: {SAY}"
            )
        if fresh and not among and not _levels(fresh):
            return Decision(False, f"'{quoted(first[fits[0]], 40)}' is of the same kind as the cells below it")
        if fresh and not among:
            index = fresh[0][0]
            raise FileError(
                f"{path}, line {line}: may be the columns' names or values: '{quoted(first[index], 40)}' is "
                f"none of the levels below it, but '{quoted(first[fits[0]], 40)}' is of the same kind as the "
                f"cells below: {SAY}"
            )
        return Decision(False, f"'{quoted(first[fits[0]], 40)}' is of the same kind as the cells below it")
    if misfits:
        index = misfits[0]
        below = _words(columns[index])
        raise FileError(
            f"{path}, line {line}, column {index + 1}: '{quoted(first[index], 40)}' is not a number: where "
            "the first line holds the columns' names, say so: --header yes, or header=True; but "
            f"'{quoted(first[fits[0]], 40)}' in column {fits[0] + 1} is of the same kind as the cells below "
            "it: where the first line holds values, --header no, or header=False"
            if below == "numbers"
            else f"{path}, line {line}: '{quoted(first[index], 40)}' is unlike the {below} below it, "
            f"'{quoted(first[fits[0]], 40)}' is like the cells below it: {SAY}"
        )
    return _of_words(path, line, first, among, fresh, bool(doubles))


def _measured(present: list[str]) -> str:
    """number, date or truth where (almost) all cells are; a stray word does not make it a column of words."""
    numbers = sum(map(number_like, present))
    if numbers == len(present) or (numbers > 0.5 * len(present) and numbers >= 1):
        return "number"
    if all(map(_truth, present)):
        return "truth"
    dates, remark = read_dates(present[:200])
    return "date" if dates is not None or remark else ""


def _truth(cell: str) -> bool:
    return cell.lower() in ("true", "false", "yes", "no")


def _fits_dates(cell: str, present: list[str]) -> bool:
    dates, remark = read_dates([cell, *present[:200]])
    return dates is not None or bool(remark)


def _words(below: list[str]) -> str:
    present = [cell for cell in below if cell.lower() not in USUAL]
    return {"number": "numbers", "date": "dates", "truth": "truth values"}.get(_measured(present), "words")


def _example(below: list[str]) -> str:
    return quoted(next(cell for cell in below if cell.lower() not in USUAL), 30)


def _numbering(first: list[str], pattern: list[int], columns: list[list[str]]) -> str | None:
    """Why numbers in the first line are names; "" where they may be; None where they are values."""
    cells = [first[index] for index in pattern]
    if not all(cell.isascii() and cell.isdecimal() for cell in cells):
        return None
    numbers = [int(cell) for cell in cells]
    second = [columns[index][0] for index in pattern]
    whole_below = all(other.isdecimal() for other in second)
    counting = len(numbers) > 1 and all(b - a == 1 for a, b in zip(numbers, numbers[1:], strict=False))
    if counting and numbers[0] in (0, 1) and pattern == [*range(pattern[0], pattern[-1] + 1)]:
        goes_on = whole_below and all(int(b) - int(a) == 1 for a, b in zip(second, second[1:], strict=False))
        fractions = all(any("." in cell or "," in cell for cell in columns[index][:50]) for index in pattern)
        recurs = all(first[index] in columns[index] for index in pattern)
        sure = (2, 3 if len(pattern) < len(first) else 4) if numbers[0] == 0 else (3, 9)
        if not goes_on and len(numbers) >= (sure[0] if fractions else sure[1]):
            return f"{numbers[0]}, {numbers[1]}, … number the columns"
        doubtful = 3 if numbers[0] == 0 else 4
        return "" if len(numbers) >= doubtful or (numbers[0] == 0 and not recurs) else None
    if all(1800 <= number <= 2100 for number in numbers) and len(set(numbers)) == len(numbers):
        years_below = any(
            other.isdecimal() and 1800 <= int(other) <= 2100 for index in pattern for other in columns[index][:200]
        )
        steps = {b - a for a, b in zip(numbers, numbers[1:], strict=False)}
        if not years_below:
            if len(numbers) > 1 and len(steps) == 1 and abs(steps.pop()) <= 10:
                return f"{numbers[0]}, {numbers[1]}, … are years, and no number below is one"
            return ""
        return "" if len(numbers) > 1 and steps == {1} else None
    return None


def _levels(fresh: list[tuple[int, list[str]]]) -> bool:
    """Whether words of the first line are above columns of few, repeated levels that they are none of."""
    return _chance(fresh) < 0.25


def _chance(fresh: list[tuple[int, list[str]]]) -> float:
    """That a row's words occur nowhere else: by Good and Turing, the share of words that occur once."""
    chance = 1.0
    for _, present in fresh:
        once = sum(count == 1 for count in Counter(present).values())
        chance *= min(1.0, (once + 1) / (len(present) + 1))
    return chance


def _of_words(
    path: Path, line: int, first: list[str], among: list[int], fresh: list[tuple[int, list[str]]], doubles: bool
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
