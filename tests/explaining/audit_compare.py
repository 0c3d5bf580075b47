"""Printed numbers beside values, and what of a block is text."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from chainrule.explaining.blocks.kinds import Block, Listing, Paragraph, Table
from chainrule.formulas.printing import render_text
from chainrule.formulas.printing.boxes import Box


def number(text: str) -> Decimal:
    return Decimal(text.replace("−", "-").replace(",", ""))


def shows(text: str, value: float) -> bool:
    """Whether a printed number is the value, rounded to its last digit."""
    if not math.isfinite(value):
        return text == ("NaN" if math.isnan(value) else "∞" if value > 0 else "−∞")
    shown = number(text)
    # Zeros behind the last digit of 0.5 are not printed: four digits are at least meant.
    exponent = int(shown.as_tuple().exponent)
    unit = Decimal(10) ** min(exponent, _last_digit(value)) if "e" not in text else Decimal(10) ** exponent
    return abs(shown - Decimal(value)) <= Decimal("0.5001") * unit + Decimal(abs(value)) * Decimal("1e-9")


def _last_digit(value: float, digits: int = 3) -> int:
    """The power of ten of the third digit: of fewer digits nothing is printed but what ends in zeros."""
    return 99 if value == 0 else math.floor(math.log10(abs(value))) - digits + 1


def floats(found: Any) -> Iterator[float]:
    if isinstance(found, dict):
        for value in found.values():
            yield from floats(value)
    elif isinstance(found, list):
        for value in found:
            yield from floats(value)
    elif isinstance(found, (int, float)) and not isinstance(found, bool):
        yield float(found)


def unit(text: str) -> float:
    return 10.0 ** int(number(text).as_tuple().exponent)


def close(printed: str, result: str) -> bool:
    """Whether a line of digits and signs alone comes to the result; a line with functions is left out."""
    if not re.fullmatch(r"[\d.()+·/ −]+", printed):
        return True
    value = eval(printed.replace("−", "-").replace("·", "*"))  # digits and signs alone
    return math.isclose(value, float(number(result)), rel_tol=1e-12)


def letter_fits(symbol: Box, quantity: str) -> bool:
    """∂J/∂W over a gradient, W over weights: not the data's share over either."""
    text = render_text.render(symbol)
    return "data" not in text and (text.startswith("∂") or not quantity.startswith("gradient:"))


def text_of(cell: Any) -> str:
    return cell if isinstance(cell, str) else render_text.render(cell) if isinstance(cell, Box) else cell.en


def text_in(block: Block) -> str:
    match block:
        case Paragraph():
            return block.text.en
        case Listing():
            return " ".join(item.en for item in block.items)
        case Table():
            return " ".join(text_of(cell) for row in block.rows for cell in row)
    return ""
