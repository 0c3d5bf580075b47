"""Boxes as one line of Unicode text.  Trees are composed with linear=True for it."""

from __future__ import annotations

from chainrule.formulas.printing.boxes import (
    BRACKETS,
    MARKED,
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
    condition_words,
)

_RAISED = dict(zip("0123456789+−()lLnimbT⊤", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ˡᴸⁿⁱᵐᵇᵀᵀ", strict=True))
_SIGNS = {"∑": "Σ"}


def render(box: Box) -> str:
    """The text of a box."""
    match box:
        case Word(text) | Numeral(text):
            return text
        case Sign(text):
            return _SIGNS.get(text, text)
        case Row(parts, _, tight):
            joined = ("" if tight else " ").join(map(render, parts))
            return joined.replace(" ,", ",")
        case Scripts(base, sub, sup):
            return (
                render(base)
                + ("" if sup is None else _raised(render(sup)))
                + ("" if sub is None else _lowered(sub))
            )
        case Hat(base):
            return render(base) + "\u0302" if isinstance(base, Word) else f"hat({render(base)})"
        case Root(body):
            return f"√{render(body)}" if isinstance(body, Numeral) else f"√({render(body)})"
        case Fence(body, left, right):
            return left + render(body) + right
        case Under(operator, below):
            return render(operator) + _lowered(below)
        case Cases(rows):
            before, last = condition_words()
            texts = (
                f"{render(value)} {last if condition is None else f'{before} {render(condition)}'}"
                for value, condition in rows
            )
            return "{" + "; ".join(texts) + "}"
        case Fraction(top, bottom):
            return f"({render(top)})/({render(bottom)})"
        case Tagged(body, reference):
            return render(body).join(BRACKETS if reference == MARKED else ("", ""))
    raise TypeError(f"no text for {type(box).__name__}")


def _raised(text: str) -> str:
    """Unicode superscripts where all characters have one, ^(…) otherwise."""
    if all(character in _RAISED for character in text):
        return "".join(_RAISED[character] for character in text)
    return f"^({text})"


def _lowered(sub: Box) -> str:
    text = render(sub)
    return f"_{text}" if len(text) == 1 else f"_{{{text}}}"
