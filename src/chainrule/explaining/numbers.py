"""Numbers in print: four significant digits, and columns of products that add up exactly as printed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal

DIGITS = 4
MOST_DECIMALS = 12


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


def is_exact(value: float, digits: int = DIGITS) -> bool:
    """Whether `short` prints the number itself."""
    return not math.isfinite(value) or float(f"{value:.{digits}g}") == value


def decimals(terms: Sequence[float], total: float) -> int:
    """How many decimals a column of terms needs: four digits of the largest and of their sum, and one
    more.
    """
    sizes = [abs(value) for value in (*terms, total) if value and math.isfinite(value)]
    if not sizes:
        return DIGITS
    needed = max(_decimals(max(sizes)), _decimals(abs(total)) if total else 0) + 1
    return max(0, min(needed, MOST_DECIMALS))


def _decimals(size: float) -> int:
    return DIGITS - 1 - math.floor(math.log10(size))


def column(terms: Sequence[float], total: float) -> tuple[list[str], str]:
    """(the terms as printed, their sum as printed): the printed terms add up exactly to the printed sum.

    The sum is that of the printed terms, so it may differ from `total` behind the fourth digit.
    """
    places = decimals(terms, total)
    if not all(map(math.isfinite, (*terms, total))):
        return [short(term) for term in terms], short(total)
    printed = [Decimal(f"{term:.{places}f}") for term in terms]
    return [_text(entry) for entry in printed], _text(sum(printed, Decimal(0).scaleb(-places)))


def _text(entry: Decimal) -> str:
    return ("0" if entry == 0 else f"{entry:f}").replace("-", "−")
