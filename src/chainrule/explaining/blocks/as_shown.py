"""What a worked line comes to when it is computed with the numbers it shows: whether "=" or "≈" follows.

Sums, products and quotients of printed numbers are exact fractions; where a root, a logarithm or an
exponential function leaves the fractions the outcome is a float.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from chainrule.base.numbers import DIGITS, equality, printed_value, short
from chainrule.formulas.elements.entry import Element

Outcome = Fraction | float
SHOWN = 3  # terms of a sum written out in a line; the table has more of them
MOST_DIGITS = 12  # of a number in a line: what cancels more is left as it is


@dataclass(frozen=True)
class Line:
    """An element as a line of numbers: with so many digits, the sum `main` as its printed total."""

    element: Element
    digits: int = DIGITS
    main: Element | None = None
    total: str = ""

    def outcome(self) -> Outcome:
        """What the shown numbers give; NaN where the line leaves out terms."""
        try:
            return self._of(self.element)
        except (ArithmeticError, ValueError):
            return math.nan

    def is_exact(self) -> bool:
        """Whether every shown number is the value it stands for, to its last digit."""
        return self._all_exact(self.element)

    def _of(self, element: Element) -> Outcome:
        if element is self.main:
            return _printed(self.total, element.value)
        if element.kind in ("entry", "number"):
            return _printed(short(element.value, self.digits), element.value)
        if element.kind == "sum" and hides_terms(element):
            return math.nan
        of = [self._of(part) for part in element.of]
        match element.kind:
            case "sum":
                return sum(of, Fraction(0))
            case "product":
                return math.prod(of, start=Fraction(1))
            case "negative":
                return -of[0]
        return FUNCTIONS[element.name](*of) if element.name in FUNCTIONS else math.nan

    def _all_exact(self, element: Element) -> bool:
        if element is self.main:
            return equality(self.total, element.value) == "="
        if element.kind in ("entry", "number"):
            return equality(short(element.value, self.digits), element.value) == "="
        return all(map(self._all_exact, element.of[:SHOWN] if element.kind == "sum" else element.of))


def line_of(element: Element, main: Element | None = None, total: str = "") -> Line:
    """The line with the fewest digits, at least four, of which the reader gets the printed result.

    One unit of its last digit is what rounded numbers may cost: 0.1482 − 1 is −0.8518 with four digits, while
    0.9999 − 1 needs more where it stands for 0.99994 − 1.
    """
    value = element.value
    if not value or not math.isfinite(value):
        return Line(element, DIGITS, main, total)
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - DIGITS + 1)
    for digits in range(DIGITS, MOST_DIGITS + 1):
        line = Line(element, digits, main, total)
        outcome = float(line.outcome())
        if math.isnan(outcome) or abs(outcome - float(_printed(short(value), value))) <= 1.0001 * unit:
            return line
    return Line(element, DIGITS, main, total)


def hides_terms(element: Element) -> bool:
    """Whether a line ends a sum in "⋯"."""
    return len(element.of) + element.count > SHOWN


def _printed(text: str, value: float) -> Outcome:
    shown = printed_value(text)
    return value if shown is None else shown


def _root(x: Outcome) -> Outcome:
    if isinstance(x, Fraction) and x >= 0:
        top, bottom = math.isqrt(x.numerator), math.isqrt(x.denominator)
        if top * top == x.numerator and bottom * bottom == x.denominator:
            return Fraction(top, bottom)
    return math.sqrt(x)


def _power(x: Outcome, exponent: Outcome) -> Outcome:
    if exponent == Fraction(1, 2):
        return _root(x)
    whole = isinstance(exponent, Fraction) and exponent.denominator == 1
    return x ** int(exponent) if whole else float(x) ** float(exponent)


def _fixed(f: Callable[[float], float], at: int, value: int) -> Callable[[Outcome], Outcome]:
    """A function that leaves the fractions everywhere but at one of them."""
    return lambda x: Fraction(value) if x == at else f(float(x))


def _times_log(x: Outcome, y: Outcome) -> Outcome:
    return Fraction(0) if x == 0 else x * _LOG(y)


_LOG = _fixed(math.log, 1, 0)
FUNCTIONS: dict[str, Callable[..., Outcome]] = {
    "divide": lambda a, b: a / b,
    "ratio": lambda a, b: a / b,
    "sqrt": _root,
    "power": _power,
    "raised": _power,
    "floor": lambda x: Fraction(math.floor(x)),
    "absolute": abs,
    "greater": lambda a, b: Fraction(a > b),
    "max": max,
    "min": min,
    "maximum": max,
    "minimum": min,
    "exp": _fixed(math.exp, 0, 1),
    "expm1": _fixed(math.expm1, 0, 0),
    "log": _LOG,
    "log1p": _fixed(math.log1p, 0, 0),
    "tanh": _fixed(math.tanh, 0, 0),
    "cos": _fixed(math.cos, 0, 1),
    "sin": _fixed(math.sin, 0, 0),
    "erf": _fixed(math.erf, 0, 0),
    "xlogy": _times_log,
}
