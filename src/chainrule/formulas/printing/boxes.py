"""The vocabulary of print: a dozen boxes between a formula and its notation as LaTeX, MathML or text.

A primitive lays itself out once, in boxes; each of the three printers renders boxes and knows nothing of
mathematics. Every box says how tightly it binds, so that whoever contains it knows whether it needs
parentheses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache

# How tightly a box binds; an operand that binds less than its place demands is fenced.
SUM = 1  # a + b, -a
SLASH = 2  # a / b in a line of text
BIG = 3  # Σ body: open to the right (see is_open), so it may stand last in a product but not first
HADAMARD = 4  # a ⊙ b
PRODUCT = 5  # A B, 2 a
POWER = 6  # a², a fraction with a bar, e^z: may be a factor, not the base of another script
LETTER = 7  # x^{l-1}: may be transposed as it is, is fenced before it is squared
ATOM = 8  # x, f(x), (…)


@dataclass(frozen=True)
class Box:
    """Base of all boxes."""

    @property
    def binding(self) -> int:
        return ATOM


@dataclass(frozen=True)
class Word(Box):
    """An identifier: one letter (italic) or a name such as log (upright)."""

    text: str


@dataclass(frozen=True)
class Numeral(Box):
    """A number."""

    text: str


@dataclass(frozen=True)
class Sign(Box):
    """An operator or separator between boxes: + - ⊙ · / , = > ∂."""

    text: str


@dataclass(frozen=True)
class Row(Box):
    """Boxes side by side, with spaces between; `tight` without: a call, a subscript, a leading minus."""

    parts: tuple[Box, ...]
    binds: int = ATOM
    tight: bool = False

    @property
    def binding(self) -> int:
        return self.binds


@dataclass(frozen=True)
class Scripts(Box):
    """A base with a subscript, a superscript or both; `binds` LETTER for x^{l-1}, POWER for x²."""

    base: Box
    sub: Box | None = None
    sup: Box | None = None
    binds: int = ATOM

    @property
    def binding(self) -> int:
        return self.binds


@dataclass(frozen=True)
class Hat(Box):
    """A hat over the base: a vector repeated for every sample."""

    base: Box


@dataclass(frozen=True)
class Fraction(Box):
    """A fraction with a bar."""

    top: Box
    bottom: Box

    @property
    def binding(self) -> int:
        return POWER


@dataclass(frozen=True)
class Root(Box):
    """A square root."""

    body: Box


@dataclass(frozen=True)
class Fence(Box):
    """Something between delimiters: ( ), [ ], | |."""

    body: Box
    left: str = "("
    right: str = ")"


@dataclass(frozen=True)
class Under(Box):
    """A big operator with its range below: Σ, max, arg max."""

    operator: Box
    below: Box


@dataclass(frozen=True)
class Cases(Box):
    """Alternatives: (value, condition) pairs, the last condition None for "otherwise"."""

    rows: tuple[tuple[Box, Box | None], ...]


_spoken: ContextVar[str] = ContextVar("spoken", default="en")


@contextmanager
def spoken(language: str) -> Iterator[None]:
    """The conditions of cases are printed in this language within it; in English where there are two."""
    token = _spoken.set(language)
    try:
        yield
    finally:
        _spoken.reset(token)


def condition_words() -> tuple[str, str]:
    """What stands before a condition, and in place of the last."""
    return ("若", "其他") if _spoken.get() == "zh" else ("if", "otherwise")


MARKED = "marked"  # the reference of what differs between two formulas: text has brackets around it
BRACKETS = "\ue000", "\ue001"  # which no formula has


@dataclass(frozen=True)
class Tagged(Box):
    """A box that remembers which quantity it shows; MathML prints the reference, others drop it."""

    body: Box
    reference: str

    @property
    def binding(self) -> int:
        return self.body.binding


def bare(box: Box) -> Box:
    """The box without its tags."""
    while isinstance(box, Tagged):
        box = box.body
    return box


def fenced(box: Box, minimum: int) -> Box:
    """The box, in parentheses if it binds less tightly than `minimum`."""
    return box if box.binding >= minimum else Fence(box)


def row(*parts: Box, binds: int = ATOM) -> Box:
    """Boxes side by side; a single box stays what it is."""
    return Row(parts, binds) if len(parts) != 1 else parts[0]


def tight(*parts: Box, binds: int = ATOM) -> Box:
    """Boxes side by side without spaces."""
    return Row(parts, binds, tight=True) if len(parts) != 1 else parts[0]


def listed(*boxes: Box, spaced: bool = False) -> Box:
    """i,j,k"""
    parts: list[Box] = []
    for box in boxes:
        parts += [Sign(","), box] if parts else [box]
    return row(*parts) if spaced else tight(*parts)


@lru_cache(maxsize=1024)
def phrase(text: str) -> Box:
    """A box for a short literal such as "l-1", "m,n", "(l)"."""
    parts = tuple(
        Numeral(token) if token[0].isdigit() else Word(token) if token[0].isalpha() else Sign(token)
        for token in re.findall(r"\d+|[^\W\d_]+|\S", text.replace("-", "−"))
    )
    return tight(*parts, binds=SUM)


def is_open(box: Box) -> bool:
    """Whether the box ends in a Σ without parentheses, which would swallow a factor written behind it."""
    box = bare(box)
    return isinstance(box, Row) and (isinstance(box.parts[0], Under) or is_open(box.parts[-1]))


def is_tall(box: Box) -> bool:
    """Whether delimiters around the box must grow."""
    match box:
        case Fraction() | Under() | Cases():
            return True
        case Row(parts):
            return any(map(is_tall, parts))
        case Scripts(base):
            return is_tall(base)
        case Fence(body) | Hat(body) | Root(body) | Tagged(body):
            return is_tall(body)
        case _:
            return False
