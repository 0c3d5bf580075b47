"""Boxes as LaTeX in which letters with a layer are macros, so that a reader's own notation can win.

W^{l} is written \\bpW{l} and \\odot \\bphad; a document provides the macros that it uses (\\providecommand).
Whoever redefines \\bpd as \\varepsilon^{(#1)} before or after has the derivation in that notation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields, replace
from typing import Any

from chainrule.explaining import latex_text
from chainrule.formulas import render_latex, render_text
from chainrule.formulas.boxes import POWER, Box, Fence, Numeral, Scripts, Sign, Word, bare

# Letters that carry a layer.  TeX's names have letters only and tell x from X.
_LETTERS = {"δ": "d", "Θ": "T", **{letter: letter for letter in "xXzZaAWwbyY"}}
_NOT_LAYERS = ("⊤", "T")
# What render_latex knows itself.
_KNOWN_SIGNS = ("⊙", ".*", "·", "∑", "∂", "⊤", "≤", "∈", "•", "−", ",")
_KNOWN_WORDS = ("log", "exp", "tanh", "max", "min", "arg max")
# A place of a worksheet: it goes through every printer as it is, and is then replaced by what stands there.
BLANK = re.compile(r"⟦(\d+)⟧")
WIDE = 62  # characters of a formula's text: above, it may be wider than a line and is made to fit


@dataclass
class Formulas:
    """Prints boxes, and remembers which macros they need.  used: "d" for \\bpd, "had" for \\bphad."""

    used: set[str] = field(default_factory=set)

    def latex(self, box: Box) -> str:
        """The content of a formula."""
        return render_latex.render(self._box(box))

    def fitted(self, latex: str, box: Box) -> str:
        """The formula, made to fit the line where it may be too wide."""
        return rf"\bpfit{{$\displaystyle {latex}$}}" if width(box) > WIDE else latex

    def definitions(self) -> list[str]:
        """The macros in use, as \\providecommand."""
        letters = {name: letter for letter, name in _LETTERS.items()}
        lines = [
            rf"\providecommand\bp{name}[1]{{{render_latex.render(Word(letters[name]))}^{{#1}}}}"
            for name in sorted(self.used & set(letters))
        ]
        return [*lines, *([r"\providecommand\bphad{\odot}"] if "had" in self.used else [])]

    def _box(self, box: Any) -> Any:
        match box:
            case Scripts(base, sub, Box() as sup, binds) if binds != POWER and self._carries(base, sup):
                name = _LETTERS[bare(base).text]  # type: ignore[attr-defined]
                self.used.add(name)
                macro = Sign(rf"\bp{name}{{{render_latex.render(self._box(sup))}}}")
                return macro if sub is None else Scripts(macro, self._box(sub))
            case Scripts(base, sub, sup, binds):
                inner = self._box(base)
                if isinstance(bare(inner), Sign):  # it may carry scripts itself, of which TeX takes one each
                    inner = Sign(f"{{{render_latex.render(inner)}}}")
                return Scripts(inner, self._box(sub), self._box(sup), binds)
            case Sign("⊙"):
                self.used.add("had")
                return Sign(r"\bphad")
            case Sign(text):
                return box if text in _KNOWN_SIGNS else Sign(latex_text.math(text))
            case Word(text):
                return _word(text)
            case Numeral(text):
                return box if text == "𝟏" or BLANK.fullmatch(text) else Sign(number(text))
            case Fence(body, left, right):
                return Fence(self._box(body), latex_text.math(left), latex_text.math(right))
            case Box():
                return replace(box, **{one.name: self._box(getattr(box, one.name)) for one in fields(box)})
            case tuple():
                return tuple(map(self._box, box))
        return box

    @staticmethod
    def _carries(base: Box, sup: Box) -> bool:
        letter = bare(base)
        top = getattr(bare(sup), "text", "")
        return isinstance(letter, Word) and letter.text in _LETTERS and top not in _NOT_LAYERS


def width(box: Box) -> int:
    """About how many characters wide a formula is."""
    return len(render_text.render(box))


def number(text: str) -> str:
    """A printed number in a formula: −2.1e−07 as -2.1\\cdot 10^{-7}.  A BLANK stays as it is."""
    if BLANK.fullmatch(text):
        return text
    mantissa, mark, exponent = text.partition("e")
    if mark and re.fullmatch(r"[−+-]?\d+", exponent):
        return rf"{latex_text.math(mantissa)}\cdot 10^{{{int(exponent.replace('−', '-'))}}}"
    return latex_text.math(text) if not text.isalpha() else rf"\mathrm{{{latex_text.plain(text, False)}}}"


def _word(text: str) -> Box:
    letter = text.rstrip("'")
    if text in _KNOWN_WORDS or (letter.isascii() and letter.isalnum()):
        return Word(text)
    if len(letter) == 1 and not letter.isascii():
        return Sign(latex_text.math(letter) + text[1:])
    return Word(latex_text.math(text) if len(letter) > 1 else latex_text.math(text) + "{}")
