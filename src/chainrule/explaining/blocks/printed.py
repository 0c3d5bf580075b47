"""Printed numbers: found in texts and formulas, and compared as far as both are printed.

0.5204 in one place and 0.52043 in another are the same number: each is told by the other.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Generic, TypeVar

import numpy as np

from chainrule.base.types import Array
from chainrule.explaining.blocks.kinds import Worked
from chainrule.formulas.printing.boxes import Box, Numeral, Row, Scripts, Sign, bare

T = TypeVar("T")
LEAST_DIGITS = 4  # fewer say nothing: of three every sheet has some by chance
# A number that is no part of a name, an index or a power.
TOKEN = re.compile(r"(?<![\w.⟦])[−-]?\d[\d,]*(?:\.\d+)?(?:e[−-]?\d+)?(?![\w.]*\w)")


@dataclass(frozen=True)
class Printed:
    """A number as it is printed: its value, and how many significant digits are seen."""

    value: float
    digits: int

    @classmethod
    def of(cls, text: str) -> Printed | None:
        """None where the text is no number."""
        plain = text.strip().replace("−", "-").replace(",", "")
        try:
            value = float(plain)
        except ValueError:
            return None
        if not math.isfinite(value):
            return None
        mantissa = plain.lstrip("-").partition("e")[0].replace(".", "").lstrip("0")
        return cls(value, len(mantissa.rstrip("0")))

    def within(self, values: Array) -> np.ndarray:
        """Which of the values are this number as far as it is printed, but for their sign."""
        unit = 10.0 ** (math.floor(math.log10(abs(self.value))) - self.digits + 1)
        same: np.ndarray = np.abs(np.abs(values) - abs(self.value)) <= 0.5000001 * unit
        return same


    def rounded(self, digits: int) -> set[str]:
        """What the number may be with fewer digits, without its sign: it is rounded itself already."""
        half = 0.5 * 10.0 ** (math.floor(math.log10(abs(self.value))) - self.digits + 1)
        sizes = (abs(self.value), abs(self.value) - half, abs(self.value) + half)
        return {f"{size:.{digits - 1}e}" for size in (sizes if digits < self.digits else sizes[:1])}


class Told(Generic[T]):
    """Numbers told somewhere: who reads one knows whatever is the same as far as both are printed."""

    def __init__(self) -> None:
        self._whole: dict[tuple[int, str], T] = {}
        self._shorter: dict[tuple[int, str], T] = {}

    def add(self, number: Printed, what: T) -> None:
        """One number more; `what` comes back with it.  One of too few digits says nothing."""
        if number.digits < LEAST_DIGITS:
            return
        for text in number.rounded(number.digits):
            self._whole.setdefault((number.digits, text), what)
        for digits in range(LEAST_DIGITS, number.digits):
            for text in number.rounded(digits):
                self._shorter.setdefault((digits, text), what)

    def find(self, number: Printed) -> T | None:
        """What was added with a number that is the same, but for its sign; None without one."""
        if number.digits < LEAST_DIGITS:
            return None
        (printed,) = number.rounded(number.digits)
        key = (number.digits, printed)
        added = self._whole.get(key, self._shorter.get(key))
        for digits in range(LEAST_DIGITS, number.digits):
            for text in number.rounded(digits):
                added = self._whole.get((digits, text)) if added is None else added
        return added


def ends_in_numbers(block: Worked) -> bool:
    """Whether the line of numbers is the result alone, which is then not printed once more."""
    return number_of(block.numbers) == block.result


def number_of(box: Box) -> str | None:
    """The text of a box that is a printed number, 0.52, −0.52 or 5.2·10^{−7}; None for another."""
    box = bare(box)
    if isinstance(box, Numeral):
        return box.text
    if not isinstance(box, Row):
        return None
    parts = tuple(map(bare, box.parts))
    if box.tight and len(parts) == 2 and parts[0] == Sign("−"):
        inner = number_of(parts[1])
        return None if inner is None or inner.startswith("−") else "−" + inner
    if len(parts) == 3 and parts[1] == Sign("·") and isinstance(parts[0], Numeral):
        power = parts[2]
        if isinstance(power, Scripts) and power.base == Numeral("10") and power.sup is not None:
            return f"{parts[0].text}e{number_of(power.sup)}"
    return None


def numbers_in(box: Box) -> Iterator[str]:
    """The printed numbers of a formula, indices left out."""
    text = number_of(box)
    if text is not None:
        yield text
        return
    for part in children(box):
        yield from numbers_in(part)


def children(box: Box) -> Iterator[Box]:
    """The boxes within a box, but for what stands below a letter."""
    for attribute in fields(box):
        if attribute.name != "sub":
            yield from _boxes(getattr(box, attribute.name))


def _boxes(value: object) -> Iterator[Box]:
    if isinstance(value, Box):
        yield value
    elif isinstance(value, tuple):
        for inner in value:
            yield from _boxes(inner)
