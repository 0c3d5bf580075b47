"""Numbers in print: four significant digits, columns of products that add up exactly as printed, and whether
"=" or "≈" stands before a number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Literal

DIGITS = 4
MOST_DECIMALS = 12
# Of a column whose printed terms do not add up to their rounded sum.
MORE_DECIMALS = 6

Relation = Literal["=", "≈", "←"]


def short(value: float, digits: int = DIGITS) -> str:
    """A number with so many significant digits, with the typographic minus: 0.5204, −12.3, 2.1e−07."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    text = f"{value:.{digits}g}"
    if "e" in text and 1e-4 <= abs(value) < 1e7:
        text = f"{value:.0f}"
    mantissa, mark, exponent = text.partition("e")
    return (mantissa + (f"e{int(exponent)}" if mark else "")).replace("-", "−")


def printed_value(text: str) -> Fraction | None:
    """The number that a text shows, to its last digit; None for NaN and the infinities."""
    try:
        return Fraction(text.replace("−", "-"))
    except ValueError:
        return None


def equality(text: str, value: float | Fraction) -> Literal["=", "≈"]:
    """The sign before a printed number: "=" where its digits are the value itself, "≈" where rounded.

    A Fraction is compared as it is; a float is the number it is read from, so that 0.1 is 0.1.
    """
    shown = printed_value(text)
    if shown is None:
        return "="
    return "=" if (shown if isinstance(value, Fraction) else float(shown)) == value else "≈"


def equals(value: float, digits: int = DIGITS) -> str:
    """A number behind its sign: "= 0.5", "≈ 0.3333"."""
    text = short(value, digits)
    return f"{equality(text, value)} {text}"


def decimals(terms: Sequence[float], total: float, digits: int = DIGITS) -> int:
    """How many decimals a column of terms needs: so many digits of the largest and of their sum, and one
    more.
    """
    sizes = [abs(value) for value in (*terms, total) if value and math.isfinite(value)]
    if not sizes:
        return DIGITS
    needed = max(_decimals(max(sizes)), _decimals(abs(total)) if total else 0) + 1 + digits - DIGITS
    return max(0, min(needed, MOST_DECIMALS))


def _decimals(size: float) -> int:
    return DIGITS - 1 - math.floor(math.log10(size))


def column(terms: Sequence[float], total: float, digits: int = DIGITS) -> tuple[list[str], str]:
    """(the terms as printed, their sum as printed): every number rounded as it is, with as many decimals as
    let the printed terms add up exactly to the printed sum.

    Where one decimal less and six more do not (`adds_up` tells), each is still its own number rounded.
    """
    if not all(map(math.isfinite, (*terms, total))):
        return [short(term) for term in terms], short(total)
    least = decimals(terms, total, digits)
    fewer = (least - 1,) if 0 < least < MOST_DECIMALS else ()
    for places in (least, *fewer, *range(least + 1, least + MORE_DECIMALS + 1), least):
        printed = [Decimal(f"{term:.{places}f}") for term in terms]
        rounded = Decimal(f"{total:.{places}f}")
        if sum(printed, Decimal(0)) == rounded:
            break
    return [_text(entry) for entry in printed], _text(rounded)


def adds_up(terms: Sequence[str], total: str) -> bool:
    """Whether the printed terms add up to the printed total."""
    values = [printed_value(text) for text in (*terms, total)]
    return all(value is not None for value in values) and sum(values[:-1]) == values[-1]  # type: ignore[arg-type]


def _text(entry: Decimal) -> str:
    return ("0" if entry == 0 else f"{entry:f}").replace("-", "−")
