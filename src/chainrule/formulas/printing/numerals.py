"""How a constant of a formula is printed."""

from __future__ import annotations

import math

from chainrule.formulas.printing.boxes import (
    POWER,
    PRODUCT,
    SUM,
    Box,
    Fence,
    Fraction,
    Numeral,
    Root,
    Scripts,
    Sign,
    Word,
    row,
    tight,
)

_MOST_DIGITS = 6
_CONSTANTS: dict[float, Box] = {
    0.5: Fraction(Numeral("1"), Numeral("2")),
    2**0.5: Root(Numeral("2")),
    2.5066282746310002: Root(row(Numeral("2"), Word("π"))),
    1.1283791670955126: Fraction(Numeral("2"), Root(Word("π"))),
}
_LINEAR = _CONSTANTS | {
    0.5: Numeral("½"),
    1.1283791670955126: Fence(row(Numeral("2"), Sign("/"), Root(Word("π")))),
}


def number(value: float, linear: bool = False) -> Box:
    """A constant; ½, √2, √(2π), 2/√π and powers of ten are recognised.

    1.0507… stands for more than six digits; large and small ones are 2.5·10⁷.
    """
    if value < 0:
        return tight(Sign("−"), number(-value, linear), binds=SUM)
    constants = _LINEAR if linear else _CONSTANTS
    if value in constants:
        return constants[value]
    if not math.isfinite(value):
        return Numeral("∞" if value > 0 else "NaN")
    digits, _, exponent = f"{value:.11e}".partition("e")  # the last digits of 0.1 + 0.2 are no one's
    digits = digits.rstrip("0").rstrip(".")
    if value == 0 or 1e-4 <= value < 1e7:
        return Numeral(_digits(f"{value:.12g}"))
    power = Scripts(Numeral("10"), sup=number(int(exponent)), binds=POWER)
    return power if digits == "1" else row(Numeral(_digits(digits)), Sign("·"), power, binds=PRODUCT)


def _digits(text: str) -> str:
    """A number's digits, at most six and "…" where there are more behind the point."""
    head = text.lstrip("0.")
    more = len(head.replace(".", "")) - _MOST_DIGITS
    if more <= 0 or "." not in text:
        return text
    kept = max(len(text) - more, text.index(".") + 2)
    return f"{text[:kept].rstrip('0')}…" if kept < len(text) else text
