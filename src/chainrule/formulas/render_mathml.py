"""Boxes as MathML Core: mrow, mi, mn, mo, mfrac, msqrt, scripts, munder, mover, mtable."""

from __future__ import annotations

from chainrule.formulas.boxes import (
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
    is_tall,
)

NAMESPACE = "http://www.w3.org/1998/Math/MathML"
_APPLY = "<mo>&#x2061;</mo>"  # invisible: function application
_TIMES = "<mo>&#x2062;</mo>"  # invisible: product by juxtaposition


def render(box: Box) -> str:
    """The MathML element of a box."""
    match box:
        case Word(text):
            letter, primes = text.rstrip("'"), text.count("'")
            name = f"<mi>{escape(letter)}</mi>"
            return f"<msup>{name}<mo>{'′' * primes}</mo></msup>" if primes else name
        case Numeral(text):
            return f"<mn>{escape(text)}</mn>"
        case Sign(text):
            return f"<mo>{escape(text)}</mo>"
        case Row(parts, _, tight):
            return _row(_joined(parts, tight))
        case Scripts(base, None, None):
            return render(base)
        case Scripts(base, None, Box() as sup):
            return f"<msup>{render(base)}{render(sup)}</msup>"
        case Scripts(base, Box() as sub, None):
            return f"<msub>{render(base)}{render(sub)}</msub>"
        case Scripts(base, Box() as sub, Box() as sup):
            return f"<msubsup>{render(base)}{render(sub)}{render(sup)}</msubsup>"
        case Hat(base):
            return f'<mover accent="true">{render(base)}<mo>^</mo></mover>'
        case Fraction(top, bottom):
            return f"<mfrac>{render(top)}{render(bottom)}</mfrac>"
        case Root(body):
            return f"<msqrt>{render(body)}</msqrt>"
        case Fence(body, left, right):
            grow = "true" if is_tall(body) else "false"
            return _row(_delimiter(left, "prefix", grow) + render(body) + _delimiter(right, "postfix", grow))
        case Under(operator, below):
            return f"<munder>{render(operator)}{render(below)}</munder>"
        case Cases(rows):
            cells = "".join(
                f"<mtr><mtd>{render(value)}</mtd><mtd>{_condition(on)}</mtd></mtr>" for value, on in rows
            )
            return _row(f"{_delimiter('{', 'prefix', 'true')}<mtable>{cells}</mtable>")
        case Tagged(body, reference):
            return f'<mrow data-ref="{escape(reference)}">{render(body)}</mrow>'
    raise TypeError(f"no MathML for {type(box).__name__}")


def escape(text: str) -> str:
    """Text as XML content or attribute; xml.sax would cost as much to import as all of the formulas."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def math(body: str, display: str = "inline") -> str:
    """A whole <math> element."""
    return f'<math xmlns="{NAMESPACE}" display="{display}">{body}</math>'


def _row(content: str) -> str:
    return f"<mrow>{content}</mrow>"


def _delimiter(sign: str, form: str, stretchy: str) -> str:
    return f'<mo form="{form}" fence="true" stretchy="{stretchy}">{escape(sign)}</mo>'


def _condition(condition: Box | None) -> str:
    return "<mtext>otherwise</mtext>" if condition is None else f"<mtext>if&#xa0;</mtext>{render(condition)}"


def _joined(parts: tuple[Box, ...], tight: bool) -> str:
    """Parts side by side; between two quantities the invisible operator that a reader hears."""
    elements = ""
    before: Box | None = None
    for part in parts:
        if before is not None and not isinstance(before, Sign | Under) and not isinstance(part, Sign):
            elements += _APPLY if tight and isinstance(part, Fence) else _TIMES
        elements += render(part)
        before = part
    return elements
