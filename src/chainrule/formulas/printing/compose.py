"""From a tree to boxes: the walk that all printers share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from chainrule.formulas.expression import Expression, Index, Named, Number, Operation, Over, Symbol, walk
from chainrule.formulas.printing import layouts, window_layouts  # noqa: F401 (they fill the table of layouts)
from chainrule.formulas.printing.boxes import (
    HADAMARD,
    LETTER,
    POWER,
    SLASH,
    Box,
    Fence,
    Fraction,
    Hat,
    Numeral,
    Scripts,
    Sign,
    Tagged,
    Word,
    fenced,
    is_open,
    listed,
    phrase,
    row,
    tight,
)
from chainrule.formulas.printing.kinds import is_image
from chainrule.formulas.printing.notation import TUTORIAL, Letter, Notation
from chainrule.formulas.printing.numerals import number
from chainrule.formulas.printing.places import NOWHERE, At, layout_of, pixel, window_at

Reference = Callable[[Expression], "str | None"]


@dataclass(frozen=True)
class Composer:
    """Lays out trees in a notation.  `linear`: for a line of text, where fractions need parentheses.

    `reference` names the quantity that a node shows, for printers that can point at it.
    """

    notation: Notation = TUTORIAL
    linear: bool = False
    reference: Reference | None = None

    def box(self, node: Expression, at: At = NOWHERE) -> Box:
        """The boxes of a node, looked at under the subscripts `at`."""
        return self.tagged(node, self._layout(node, at))

    def tagged(self, node: Expression, box: Box) -> Box:
        """The box of a node with the reference of what it shows."""
        reference = self.reference(node) if self.reference else None
        return box if reference is None else Tagged(box, reference)

    def _layout(self, node: Expression, at: At) -> Box:
        match node:
            case Symbol():
                here = at if is_image(node) else At(feature=at.feature)
                return self.letter(self.notation.letter(node), self.subscripts(here))
            case Number(value):
                return number(value, self.linear)
            case Index(name):
                return Word(name)
            case Named(name, value):
                return self.name(name, self.subscripts(at if is_image(value) else replace(at, position=None)))
            case Operation(rule) | Over(rule):
                return layout_of(rule.layout)(self, node, at)
        raise TypeError(f"no layout for {type(node).__name__}")

    def letter(self, letter: Letter, sub: Box | None = None) -> Box:
        """A letter with its layer above and subscripts below; a derivative as a fraction, f(z) as a call."""
        if letter.by is not None:
            top = self.letter(Letter(letter.base, sub=letter.sub))
            above, below = tight(Sign("∂"), top), tight(Sign("∂"), self.letter(letter.by, sub))
            return tight(above, Sign("/"), below, binds=POWER) if self.linear else Fraction(above, below)
        if letter.of is not None:
            name = Scripts(Word(letter.base), sup=phrase(letter.layer)) if letter.layer else Word(letter.base)
            return tight(name, Fence(self.letter(letter.of, sub)))
        if letter.step:
            sub = phrase(letter.step) if sub is None else listed(phrase(letter.step), sub)
        if letter.sub:
            sub = phrase(letter.sub) if sub is None else listed(phrase(letter.sub), sub)
        sup = phrase(letter.layer) if letter.layer else None
        if sub is None and sup is None:
            return Word(letter.base)
        return Scripts(Word(letter.base), sub, sup, LETTER)

    def subscripts(self, at: At) -> Box | None:
        """The subscript "i,j,k" of a place, as far as it is given."""
        indices = [*(at.position or ()), *((at.feature,) if at.feature else ())]
        return listed(*indices) if indices else None

    def name(self, name: str, sub: Box | None = None) -> Box:
        """An intermediate's name with subscripts; x̂ is an x with a hat."""
        word: Box = Hat(Word(name[0])) if name[1:] == "\N{COMBINING CIRCUMFLEX ACCENT}" else Word(name)
        return word if sub is None else Scripts(word, sub)

    def indices(self, node: Over) -> Box:
        """The index letters of a reduction: m,n."""
        return phrase(",".join(node.indices))

    def fraction(self, top: Box, bottom: Box) -> Box:
        """top / bottom: with a bar, or in a line of text with a slash."""
        if not self.linear:
            return Fraction(top, bottom)
        join = tight if isinstance(top, Numeral) and isinstance(bottom, Numeral | Word) else row
        top = Fence(top) if is_open(top) else fenced(top, HADAMARD)
        return join(top, Sign("/"), fenced(bottom, POWER), binds=SLASH)


def place_of(tree: Expression) -> At:
    """Where an image-valued formula is looked at: pixel (u, v) if values are placed, else window (i, j)."""
    if not is_image(tree):
        return NOWHERE
    names = {node.rule.name for _, node in walk(tree) if isinstance(node, Operation)}
    if names & {"place", "unframed", "spread_parts", "placed_parts"}:
        return pixel(tree)
    return window_at(tree) if names & {"window", "framed", "mean_parts", "largest_parts"} else NOWHERE


def definitions(tree: Expression) -> list[Named]:
    """The named intermediates of a formula, in the order in which they are needed."""
    named: dict[Named, None] = {}

    def collect(node: Expression) -> None:
        for child in node.children:
            collect(child)
        if isinstance(node, Named):
            named[node] = None

    collect(tree)
    return list(named)
