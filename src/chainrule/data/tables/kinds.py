"""Of what kind a column is: numbers, truth values, dates or texts, and what is to be said about it.

A column is of a kind when all of its present cells are; what would not print back as it was written (01, a
code of 17 digits) or may be read in two ways stays text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from chainrule.base.errors import FileError
from chainrule.base.shown import quoted
from chainrule.base.types import Array
from chainrule.data.frames import Column
from chainrule.data.tables.cells import Cells
from chainrule.data.tables.dates import read_dates
from chainrule.data.tables.decimals import (
    COMMA,
    GROUPED,
    INFINITE,
    LOOSE,
    MOST_EXACT,
    POINT,
    POINT_GROUPED,
)
from chainrule.data.tables.missing import Marks

TRUTH = {"true": True, "false": False, "yes": True, "no": False}
LETTERS = {"t": True, "f": False, "y": True, "n": False}
UNIT = re.compile(r"([^\w+\-.,]*)([+-]?[0-9][0-9.,]*)([^0-9.,]*)")  # $5, 5 %, 5 kg; C5 and 2-4 are names


class Place(Protocol):
    """Where a row of a column stands in the file."""

    def line(self, row: int) -> int: ...

    def __call__(self, row: int) -> str:
        """As errors begin: "FILE, line 3, column 2 (girth): "."""


@dataclass(frozen=True, eq=False)
class Read:
    """A column, and what is said about it.  marks: of its missing cells."""

    column: Column
    remarks: tuple[str, ...]
    marks: tuple[str, ...] = ()


class Texts:
    """A column whose cells are not all plain numbers: its different texts, and which row has which."""

    def __init__(self, cells: Cells, marks: Marks) -> None:
        self.codes, self.texts = cells.coded()
        self.marks = marks
        self.present = [text for text in self.texts if not marks.in_numbers(text)]
        self.gaps = [text for text in self.texts if marks.in_numbers(text)]

    @cached_property
    def numeric(self) -> bool:
        """Whether every present cell reads as a number, with a point, a comma or groups of thousands."""
        return bool(self.present) and all(
            LOOSE.fullmatch(text)
            or GROUPED.fullmatch(text)
            or POINT_GROUPED.fullmatch(text)
            or INFINITE.fullmatch(text)
            for text in self.present
        )

    def spread(self, values: dict[str, object], gap: object, dtype: str) -> tuple[Array, Array]:
        """The value of every row's text, and where it is missing."""
        per_text = np.array([values.get(text, gap) for text in self.texts], dtype=dtype)
        absent = np.array([text not in values for text in self.texts], dtype=bool)
        return per_text[self.codes], absent[self.codes]

    def first_row(self, text: str) -> int:
        return int((self.codes == self.texts.index(text)).argmax())


def column_of_numbers(name: str, values: Array, marks: Marks) -> Read:
    """A column whose cells are all plain numbers; some may be marks that were told."""
    missing = np.isin(values, marks.told_numbers)
    present = values[~missing]
    whole = bool((present == np.rint(present)).all()) and present.size > 0
    seen = tuple(f"{value:g}" for value in np.unique(values[missing]))
    remarks = () if present.size else ("no value at all",)
    return Read(Column(name, "number", np.where(missing, np.nan, values), missing, whole), remarks, seen)


def column_of_texts(name: str, texts: Texts, sign: str, told: bool, place: Place) -> Read:
    """The column, from its different texts; told: whether the decimal sign is.

    Raises FileError for an infinite number.
    """
    if not texts.present:
        values = np.full(len(texts.codes), np.nan)
        column = Column(name, "number", values, np.ones(len(values), bool))
        return Read(column, ("no value at all",), tuple(text for text in texts.gaps if text))
    if texts.numeric:
        read_numbers = _numbers(name, texts, sign, told, place)
        if read_numbers is not None:
            return read_numbers
        return _words(name, texts, _why_no_numbers(texts, sign))
    truth = _truth(name, texts)
    if truth is not None:
        return truth
    moments, remark = read_dates(texts.present)
    if moments is not None:
        stamps = dict(zip(texts.present, np.array(moments, dtype="datetime64[us]"), strict=True))
        values, missing = texts.spread(stamps, np.datetime64("NaT"), "datetime64[us]")
        return Read(Column(name, "date", values, missing), (remark,) if remark else (), _seen(texts))
    return _words(name, texts, remark or _mixture(texts, place))


def as_trained(read: Read, texts: Texts, levels: tuple[str, ...]) -> Read:
    """The column with the levels that a model knows: a part of a table may look of another kind.

    t alone is a truth value where the training had t and f; 01, yes and 10:30 are texts where they were. The
    reading under which more rows have a known level is taken, the usual one where both have as many.
    """
    column = read.column
    if levels == ("False", "True"):
        low = {text: text.lower() for text in texts.present}
        words = {**TRUTH, **LETTERS}
        if column.kind != "text" or not all(word in words for word in low.values()):
            return read
        values, missing = texts.spread({text: words[word] for text, word in low.items()}, False, "bool")
        return Read(Column(column.name, "truth", values, missing), read.remarks, _seen(texts))
    known = set(levels)
    often = np.bincount(texts.codes, minlength=len(texts.texts))
    rows = [int(row) for row in np.unique(texts.codes, return_index=True)[1]]
    usual = sum(
        often[code]
        for code, row in enumerate(rows)
        if not column.missing[row] and _written(column, row) in known
    )
    if sum(often[code] for code, text in enumerate(texts.texts) if text in known) <= usual:
        return read
    kept: dict[str, object] = {
        text: text for text in texts.texts if text in known or not texts.marks.in_numbers(text)
    }
    values, missing = texts.spread(kept, "", "object")
    gaps = tuple(text for text in texts.texts if text and text not in kept)
    return Read(Column(column.name, "text", values, missing), ("levels as in training",), gaps)


def _written(column: Column, row: int) -> str:
    """A value as a level is named: a whole number without a point."""
    value = column.values[row]
    return f"{value:.17g}" if column.kind == "number" else str(value)


def _seen(texts: Texts) -> tuple[str, ...]:
    return tuple(text for text in texts.gaps if text)


def _numbers(name: str, texts: Texts, sign: str, told: bool, place: Place) -> Read | None:
    """A column of numbers with this decimal sign; None where they are to stay texts."""
    pattern = COMMA if sign == "," else POINT
    remark = ""
    values: dict[str, object] = {}
    groups = {".": (GROUPED, ","), ",": (POINT_GROUPED, ".")}[sign]
    for text in texts.present:
        if pattern.fullmatch(text):
            value = float(text.replace(",", "."))
        elif INFINITE.fullmatch(text):
            raise FileError(
                f"{place(texts.first_row(text))}the value is infinite: fill it in, or delete the line"
            )
        elif told and groups[0].fullmatch(text):
            value = float(text.replace(groups[1], "").replace(",", "."))
            remark = f"'{groups[1]}' between thousands is taken out"
        else:
            return None
        if np.isinf(value):
            raise FileError(
                f"{place(texts.first_row(text))}the value is infinite: fill it in, or delete the line"
            )
        if text.lstrip("+-").isdigit() and abs(int(text)) > MOST_EXACT:
            return None
        values[text] = value
    numbers, missing = texts.spread(values, np.nan, "float64")
    texts.marks.notice(texts.gaps)
    present = numbers[~missing]
    whole = bool((np.abs(present) <= MOST_EXACT).all() and (present == np.rint(present)).all())
    return Read(Column(name, "number", numbers, missing, whole), (remark,) if remark else (), _seen(texts))


def _why_no_numbers(texts: Texts, sign: str) -> str:
    """Why a column of what reads as numbers stays text."""
    zero = re.compile(r"[+-]?0[0-9]")
    for text in texts.present:
        if zero.match(text):
            return f"codes, kept as text: '{quoted(text, 40)}' would lose its leading zero as a number"
    for text in texts.present:
        if text.lstrip("+-").isdigit() and abs(int(text)) > MOST_EXACT:
            return f"codes, kept as text: a number of float64 cannot hold '{quoted(text, 40)}'"
    for text in texts.present:
        if (GROUPED if sign == "." else POINT_GROUPED).fullmatch(text) and not (
            POINT if sign == "." else COMMA
        ).fullmatch(text):
            shown = quoted(text, 40)
            return f"text: '{shown}' has signs between thousands: --decimal {sign} reads it as a number"
    other = "," if sign == "." else "."
    odd = next((text for text in texts.present if other in text), texts.present[0])
    return f"text: '{quoted(odd, 40)}' has another decimal sign than the file, '{sign}': --decimal says which"


def _truth(name: str, texts: Texts) -> Read | None:
    """True and false, yes and no; of single letters both must be there, each with its partner."""
    low = {text: text.lower() for text in texts.present}
    forms = set(low.values())
    if forms <= {"true", "false"} or forms <= {"yes", "no"}:
        known = TRUTH
    elif forms in ({"t", "f"}, {"y", "n"}):
        known = LETTERS
    else:
        return None
    values, missing = texts.spread({text: known[word] for text, word in low.items()}, False, "bool")
    written = {known[word]: text for text, word in reversed(low.items())}
    levels = (written.get(False, "False"), written.get(True, "True"))
    if len(written) == 1:  # the other is written likewise
        word = next(iter(low.values()))
        other = {"true": "false", "false": "true", "yes": "no", "no": "yes"}[word]
        text = next(iter(low))
        like = other.upper() if text.isupper() else other.title() if text.istitle() else other
        levels = (like, text) if known[word] else (text, like)
    return Read(Column(name, "truth", values, missing, levels=levels), (), _seen(texts))


def _words(name: str, texts: Texts, remark: str) -> Read:
    """A column of texts; which marks are missing is another question than in numbers."""
    remarks = [remark] if remark else []
    gaps = [text for text in texts.texts if texts.marks.in_words(text)]
    words: dict[str, object] = {text: text for text in texts.texts if text not in set(gaps)}
    for text in texts.texts:
        if text in words and texts.marks.told is None and texts.marks.in_numbers(text):
            count = int((texts.codes == texts.texts.index(text)).sum())
            remarks.append(
                f"'{quoted(text)}' ({count:,}) is a level: --missing {quoted(text)} says it is missing"
            )
    values, missing = texts.spread(words, "", "object")
    seen = tuple(text for text in gaps if text)
    if any(text in ("NA", "None", "na", "none") for text in seen) and texts.marks.told is None:
        mark = next(text for text in seen if text in ("NA", "None", "na", "none"))
        remarks.append(
            f"'{mark}' counts as missing, as in the columns of numbers: --missing '' makes it a level"
        )
    return Read(Column(name, "text", values, missing), tuple(remarks), seen)


def _mixture(texts: Texts, place: Place) -> str:
    """What a column of texts has of numbers."""
    affixes = [UNIT.fullmatch(text) for text in texts.present]
    both = {(match[1].strip(), match[3].strip()) for match in affixes if match}
    if all(affixes) and len(both) == 1 and both != {("", "")}:
        before, after = both.pop()
        sign = quoted(f"{before} … {after}".strip() if before and after else before or after, 20)
        if len(sign) <= 8:
            return f"text: numbers with '{sign}': take it out to have them read as numbers"
    dated = sum(read_dates([text])[0] is not None for text in texts.present[:200])
    if 2 * dated > len(texts.present[:200]):
        odd = [text for text in texts.present if read_dates([text])[0] is None]
        what = f"the first other cell '{quoted(odd[0], 30)}'" if odd else "written in several ways"
        return f"dates but for some: {what}{_line(texts, odd, place)}"
    odd = [text for text in texts.present if not (LOOSE.fullmatch(text) or GROUPED.fullmatch(text))]
    if len(odd) < 0.5 * len(texts.present) or (len(odd) <= 3 and len(texts.present) > 3 * len(odd)):
        rows = int(np.isin(texts.codes, [texts.texts.index(text) for text in odd]).sum())
        many = f"{rows:,} cells are no numbers" if rows > 1 else "1 cell is no number"
        told = f"numbers but for some: {many}, the first '{quoted(odd[0], 30)}'{_line(texts, odd, place)}"
        return f"{told}, so text: --missing names those that are marks"
    return ""


def _line(texts: Texts, odd: list[str], place: Place) -> str:
    """in line N, where the first of these texts stands."""
    if not odd:
        return ""
    return f" in line {place.line(texts.first_row(odd[0]))}"
