"""Where a quantity is looked at in a formula, and the table of what lays it out there.

A layout is a small function from a node to boxes.  It receives the composer, which lays out operands, the
node, and `at`: the subscripts that are pushed down to letters.  `@layout` enters it under its name, which is
what a primitive's declaration says.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from chainrule.formulas.expression import Expression, Over
from chainrule.formulas.primitives.grid import letters_of
from chainrule.formulas.printing.boxes import Box, Word
from chainrule.formulas.printing.kinds import axes
from chainrule.formulas.printing.notation import Letter, Notation
from chainrule.formulas.rules import LayoutName


@dataclass(frozen=True)
class At:
    """Subscripts under which a quantity is looked at: a position (a coordinate per axis) and a feature."""

    position: tuple[Box, ...] | None = None
    feature: Box | None = None


NOWHERE = At()


def window_at(node: Expression) -> At:
    """A window: (i, j), (i) in a sequence, or (h, i, j)."""
    return At(tuple(map(Word, letters_of("window", axes(node)))))


def pixel(node: Expression) -> At:
    """A pixel: (u, v), (u) in a sequence, or (t, u, v)."""
    return At(tuple(map(Word, letters_of("pixel", axes(node)))))


class Composing(Protocol):
    """What layouts know of the composer (compose.py, which says what each of these is)."""

    @property
    def notation(self) -> Notation: ...
    @property
    def linear(self) -> bool: ...
    def box(self, node: Expression, at: At = ...) -> Box: ...
    def tagged(self, node: Expression, box: Box) -> Box: ...
    def letter(self, letter: Letter, sub: Box | None = ...) -> Box: ...
    def indices(self, node: Over) -> Box: ...
    def fraction(self, top: Box, bottom: Box) -> Box: ...


Layout = Callable[[Composing, Any, At], Box]
Function = TypeVar("Function", bound=Callable[..., Box])

layouts: dict[str, Callable[..., Box]] = {}


def layout(function: Function) -> Function:
    """Enter a layout; one that needs a word, as f needs its name, takes it as a fourth argument."""
    layouts[function.__name__] = function
    return function


def layout_of(named: LayoutName) -> Layout:
    """The layout that a rule names: "matmul", or ("function", "tanh") for one that takes a word."""
    if isinstance(named, str):
        return layouts[named]
    name, word = named
    return functools.partial(layouts[name], word=word)
