"""Boxes as LaTeX (amsmath only)."""

from __future__ import annotations

import re

from chainrule.formulas.printing.boxes import (
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
    condition_words,
    is_tall,
)

_GREEK = {
    "α": r"\alpha", "β": r"\beta", "γ": r"\gamma", "δ": r"\delta", "ε": r"\varepsilon", "η": r"\eta", "θ":
    r"\theta", "λ": r"\lambda", "μ": r"\mu", "π": r"\pi", "ρ": r"\rho", "σ": r"\sigma", "τ": r"\tau", "φ":
    r"\varphi", "ψ": r"\psi", "ω": r"\omega", "Δ": r"\Delta", "Θ": r"\Theta", "Φ": r"\Phi", "Ω": r"\Omega",
}  # fmt: skip
_OPERATORS = {
    "log": r"\log",
    "exp": r"\exp",
    "tanh": r"\tanh",
    "cos": r"\cos",
    "sin": r"\sin",
    "max": r"\max",
    "min": r"\min",
    "arg max": r"\operatorname*{arg\,max}",
}
_COMMAND = re.compile(r"\\[A-Za-z]+$")
_SIGNS = {
    "−": "-",
    "⊙": r"\odot",
    "•": r"\bullet",
    ".*": r"\mathbin{.*}",
    "·": r"\cdot",
    "∑": r"\sum",
    "∂": r"\partial",
    "⊤": r"\top",
    "≤": r"\le",
    "≥": r"\ge",
    "∈": r"\in",
    ",": ",",
}


def render(box: Box) -> str:
    """The LaTeX of a box, without $."""
    match box:
        case Word(text):
            letter = text.rstrip("'")
            if len(letter) == 1:
                return _GREEK.get(letter, letter) + text[1:]
            return _OPERATORS.get(text, rf"\operatorname{{{text}}}")
        case Numeral(text):
            return r"\mathbf{1}" if text == "𝟏" else text.replace("…", r"\ldots").replace("∞", r"\infty")
        case Sign(text):
            return _SIGNS.get(text, text)
        case Row(parts, _, tight):
            return _join(parts, tight)
        case Scripts(base, sub, sup):
            base = bare(base)
            letter = render(base)
            compound = isinstance(base, Scripts | Fraction | Root) or (
                isinstance(base, Row) and not base.tight
            )
            scripts = ("" if sup is None else f"^{{{render(sup)}}}") + (
                "" if sub is None else f"_{{{render(sub)}}}"
            )
            return (f"{{{letter}}}" if compound else letter) + scripts
        case Hat(base):
            wide = not isinstance(base, Word)
            return rf"\{'widehat' if wide else 'hat'}{{{render(base)}}}"
        case Fraction(top, bottom):
            return rf"\frac{{{render(top)}}}{{{render(bottom)}}}"
        case Root(body):
            return rf"\sqrt{{{render(body)}}}"
        case Fence(body, left, right):
            if is_tall(body):
                return rf"\left{left} {render(body)} \right{right}"
            return f"{left}{render(body)}{right}"
        case Under(operator, below):
            return f"{render(operator)}_{{{render(below)}}}"
        case Cases(rows):
            lines = (rf"{render(value)} & {_condition(condition)}" for value, condition in rows)
            return r"\begin{cases} " + r" \\ ".join(lines) + r" \end{cases}"
        case Tagged(body):
            return render(body)
    raise TypeError(f"no LaTeX for {type(box).__name__}")


def _condition(condition: Box | None) -> str:
    before, last = condition_words()
    return rf"\text{{{last}}}" if condition is None else rf"\text{{{before} }} {render(condition)}"


def _join(parts: tuple[Box, ...], tight: bool) -> str:
    """Side by side: commas glued to the left, a thin space before a fenced factor, a blank after commands."""
    text = ""
    for part, before in zip(parts, (None, *parts), strict=False):
        latex = render(part)
        blank = not tight and before is not None and latex != ","
        if blank and isinstance(bare(part), Fence) and not isinstance(before, Sign | Under):
            text += r" \, "
        elif blank or (latex[0].isalpha() and _COMMAND.search(text)):
            text += " "
        text += latex
    return text
