"""Boxes as LaTeX in which letters with a layer are macros, so that a reader's own notation can win.

W^{l} is written \\bpW{l} and \\odot \\bphad; a document provides the macros that it uses (\\providecommand).
Whoever redefines \\bpd as \\varepsilon^{(#1)} before or after has the derivation in that notation.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, fields, replace
from typing import Any

from chainrule.explaining.render.latex import text as latex_text
from chainrule.formulas.printing import render_latex
from chainrule.formulas.printing.boxes import (
    POWER,
    Box,
    Cases,
    Fence,
    Fraction,
    Hat,
    Numeral,
    Root,
    Row,
    Scripts,
    Sign,
    Tagged,
    Under,
    Word,
    bare,
    is_tall,
)

# Letters that carry a layer.  TeX's names have letters only and tell x from X.
_LETTERS = {"δ": "d", "Θ": "T", **{letter: letter for letter in "xXzZaAWwbyY"}}
_NOT_LAYERS = ("⊤", "T")
# What render_latex knows itself.
_KNOWN_SIGNS = ("⊙", ".*", "·", "∑", "∂", "⊤", "≤", "≥", "∈", "•", "−", ",")
_KNOWN_WORDS = ("log", "exp", "tanh", "max", "min", "arg max")
# A place of a worksheet: it goes through every printer as it is, and is then replaced by what stands there.
BLANK = re.compile(r"⟦(\d+)⟧")
_SMALL = 0.7  # the size of a script


@dataclass
class LatexFormulas:
    """Prints boxes, and remembers which macros they need.  used: "d" for \\bpd, "had" for \\bphad."""

    used: set[str] = field(default_factory=set)

    def latex(self, box: Box) -> str:
        """The content of a formula."""
        return render_latex.render(self._box(box))

    def fitted(self, box: Box, room: int) -> str:
        """The formula, in lines and made to fit where it may be wider than `room`."""
        if width(box) <= room:
            return self.latex(box)
        lines = self.broken(box, room)
        body = lines[0]
        if len(lines) > 1:
            body = r"\begin{aligned} &" + r" \\ &\quad ".join(lines) + r" \end{aligned}"
        return rf"\bpfit{{$\displaystyle {body}$}}"

    def broken(self, box: Box, room: int) -> list[str]:
        """The formula in lines of about `room` characters, broken before + and −, in parentheses too."""
        if width(box) <= room:
            return [self.latex(box)]
        lines, filled = [""], 0
        for latex, size in _pieces(bare(self._box(box))):
            if filled and filled + size > room:
                lines.append("{}")  # a sign at the start of a line stands between two quantities
                filled = 0
            lines[-1] += (" " if lines[-1] else "") + latex
            filled += size
        return lines

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
                return replace(
                    box,
                    **{attribute.name: self._box(getattr(box, attribute.name)) for attribute in fields(box)},
                )
            case tuple():
                return tuple(map(self._box, box))
        return box

    @staticmethod
    def _carries(base: Box, sup: Box) -> bool:
        letter = bare(base)
        top = getattr(bare(sup), "text", "")
        return isinstance(letter, Word) and letter.text in _LETTERS and top not in _NOT_LAYERS


def _pieces(box: Box) -> list[tuple[str, int]]:
    """(LaTeX, characters) of the parts of a sum, of the sums in its parentheses, and of their factors."""
    if not isinstance(box, Row) or box.tight or is_tall(box):
        return [(render_latex.render(box), width(box))]
    pieces: list[tuple[str, int]] = []
    open_ = ""  # what the next piece begins with
    for part, before in zip(box.parts, (None, *box.parts), strict=False):
        plain = bare(part)
        if isinstance(plain, Sign) and plain.text in "+−·" and before is not None:
            open_ += render_latex.render(plain) + " "
            continue
        space = r"\, " if isinstance(plain, Fence) and before is not None and not open_ else ""
        inner = [(render_latex.render(part), width(part))]
        if isinstance(plain, Row):
            inner = _pieces(plain)
        if isinstance(plain, Fence):
            inner = _pieces(bare(plain.body))
            inner[0] = (plain.left + inner[0][0], inner[0][1] + 1)
            inner[-1] = (inner[-1][0] + plain.right, inner[-1][1] + 1)
        inner[0] = (open_ + space + inner[0][0], inner[0][1] + 3)
        pieces += inner
        open_ = ""
    return pieces


def width(box: Box) -> int:
    """About how many characters wide a formula is in print: scripts are small, one above the other."""
    return math.ceil(_width(box))


def _width(box: Box) -> float:
    match box:
        case Word(text) | Numeral(text):
            return len(text)
        case Sign(text):
            return 0.5 if text == "," else 2.0
        case Row(parts, _, tight):
            between = sum(not isinstance(part, Sign) for part in parts) - 1
            return sum(map(_width, parts)) + (0.0 if tight else 0.3 * between)
        case Scripts(base, sub, sup):
            return _width(base) + _SMALL * max(_width(script) for script in (sub, sup, Sign(",")) if script)
        case Fraction(top, bottom):
            return max(_width(top), _width(bottom)) + 0.5
        case Under(operator, below):
            return max(_width(operator), _SMALL * _width(below))
        case Cases(rows):
            return max(sum(map(_width, filter(None, line))) for line in rows) + 10
        case Hat(body) | Tagged(body):
            return _width(body)
        case Root(body) | Fence(body):
            return _width(body) + 1.5
    raise TypeError(f"no width for {type(box).__name__}")


RELATIONS = {"=": "=", "≈": r"\approx", "←": r"\leftarrow"}


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
