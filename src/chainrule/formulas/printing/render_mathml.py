"""Boxes as MathML Core: mrow, mi, mn, mo, mfrac, msqrt, scripts, munder, mover, mpadded, mtable.

Spaces are TeX's where MathML's own differ: none around signs in scripts, a thin one before functions.
"""

from __future__ import annotations

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

NAMESPACE = "http://www.w3.org/1998/Math/MathML"
_APPLY = "<mo>&#x2061;</mo>"  # invisible: function application
_TIMES = "<mo>&#x2062;</mo>"  # invisible: product by juxtaposition
_THIN = "0.167em"
_SPACED_TIMES = f'<mo lspace="{_THIN}" rspace="0em">&#x2062;</mo>'
_TRANSPOSED = '<mo lspace="0.1em" rspace="0em">⊤</mo>'
_LIMITS = f'<mo lspace="0em" rspace="{_THIN}" movablelimits="true">'  # of max, arg max: as those of a sum


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
            return _sign(text)
        case Row(parts, _, tight):
            return _row(_joined(parts, tight))
        case Scripts(base, sub, sup):
            return _scripts(base, sub, sup)
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
            match operator:
                case Word(text):
                    return f"<munder>{_LIMITS}{escape(text)}</mo>{render(below)}</munder>"
            return f"<munder>{render(operator)}{render(below)}</munder>"
        case Cases(rows):
            cells = "".join(
                f"<mtr><mtd>{render(value)}</mtd><mtd>{_condition(on)}</mtd></mtr>" for value, on in rows
            )
            brace = _delimiter("{", "prefix", "true")
            return _row(f'{brace}<mtable class="cases">{cells}</mtable>')
        case Tagged(body, reference):
            return _tagged(reference, render(body))
    raise TypeError(f"no MathML for {type(box).__name__}")


def escape(text: str) -> str:
    """Text as XML content or attribute; xml.sax would cost as much to import as all of the formulas."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def math(body: str, display: str = "inline") -> str:
    """A whole <math> element."""
    return f'<math xmlns="{NAMESPACE}" display="{display}">{body}</math>'


def _row(content: str) -> str:
    return f"<mrow>{content}</mrow>"


def _tagged(reference: str, content: str) -> str:
    return f'<mrow data-ref="{escape(reference)}">{content}</mrow>'


def _delimiter(sign: str, form: str, stretchy: str) -> str:
    return f'<mo form="{form}" fence="true" stretchy="{stretchy}">{escape(sign)}</mo>'


def _condition(condition: Box | None) -> str:
    before, last = condition_words()
    if condition is None:
        return f"<mtext>{last}</mtext>"
    return f"<mtext>{before}&#xa0;</mtext>{render(condition)}"


def _sign(text: str, tight: bool = False) -> str:
    """An operator; `tight` without the spaces that belong to it between quantities."""
    space = ' lspace="0em" rspace="0em"' if tight else ""
    return f"<mo{space}>{escape(text)}</mo>"


def _scripts(base: Box, sub: Box | None, sup: Box | None) -> str:
    """msub, msup or msubsup; a hat does not raise the superscript, as it does not in TeX."""
    letter = bare(base)
    if sub is None and sup == Sign("⊤") and isinstance(letter, Scripts) and letter.sub is not None:
        shown = _transposed(letter.base, letter.sub, letter.sup)
        return _tagged(base.reference, shown) if isinstance(base, Tagged) else shown
    shown = render(base)
    if sub is sup is None:
        return shown
    if sup is not None and isinstance(letter, Hat):
        shown = f'<mpadded height="0.7em">{shown}</mpadded>'  # the height of a b
    for script in (sub, sup):
        if script is not None:
            shown += _sign(script.text, tight=True) if isinstance(script, Sign) else render(script)
    name = "m" + "sub" * (sub is not None) + "sup" * (sup is not None)
    return f"<{name}>{shown}</{name}>"


def _transposed(letter: Box, sub: Box, sup: Box | None) -> str:
    """W^l_{m,n} transposed: the ⊤ stands behind the l, for behind the subscript it would stand alone."""
    top = _TRANSPOSED if sup is None else _row(render(sup) + _TRANSPOSED)
    return f"<msubsup>{render(letter)}{render(sub)}{top}</msubsup>"


def _joined(parts: tuple[Box, ...], tight: bool) -> str:
    """Parts side by side; between two quantities the invisible operator that a reader hears."""
    elements = ""
    before: Box | None = None
    for part in parts:
        if before is not None and not isinstance(before, Sign | Under) and not isinstance(part, Sign):
            spaced = not tight and (_stands_off(part) or _is_name(before))
            apply = tight and isinstance(part, Fence)
            elements += _APPLY if apply else _SPACED_TIMES if spaced else _TIMES
        elements += _sign(part.text, tight) if isinstance(part, Sign) else render(part)
        before = part
    return elements


def _stands_off(factor: Box) -> bool:
    """Whether a factor wants a thin space before it: log(z), (a - b), cases."""
    match factor:
        case Word():
            return _is_name(factor)
        case Fence() | Cases():
            return True
        case Under(operator):
            return isinstance(operator, Word)
        case Row((first, *_)) | Scripts(first) | Tagged(first):
            return _stands_off(first)
        case _:
            return False


def _is_name(box: Box) -> bool:
    """Whether a box is a word of several letters, which are set upright, with scripts or without."""
    match box:
        case Word(text):
            return len(text.rstrip("'")) > 1
        case Scripts(base):
            return _is_name(base)
        case Tagged(body):
            return _is_name(body)
        case _:
            return False
