"""Single numbers as arguments, rates and penalties and counts: an error says what is allowed."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

import numpy as np

from chainrule.errors import describe


def finite_number(value: Any) -> bool:
    """Whether `value` is a number (no bool) that a float holds: 10**400 is none, nor are NaN and infinity."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def check_number(
    name: str,
    value: float,
    low: float = 0.0,
    high: float = math.inf,
    *,
    include_low: bool = False,
    include_high: bool = False,
    hint: str = "",
) -> None:
    """Raise ValueError unless `value` is a finite number between low and high (open ends unless included)."""
    if finite_number(value):
        above = value > low or (include_low and value == low)
        if above and (value < high or (include_high and value == high)):
            return
    interval = f"{'at least' if include_low else 'greater than'} {low:g}"
    if high < math.inf:
        interval += f" and {'at most' if include_high else 'less than'} {high:g}"
    raise ValueError(f"{name} must be a number {interval}, received {describe(value)}{hint and f': {hint}'}")


def check_count(
    name: str, value: int, minimum: int = 1, maximum: float = 2**63 - 1, *, hint: str = ""
) -> int:
    """`value` as an int; raise ValueError unless it is a whole number from `minimum` to `maximum`."""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if whole and minimum <= value <= maximum:
        return int(value)
    allowed = f"a whole number of at least {minimum}"
    allowed += f", at most {maximum}" if whole and value > maximum else ""
    raise ValueError(f"{name} must be {allowed}, received {describe(value)}{hint and f': {hint}'}")


def check_flag(name: str, value: bool) -> bool:
    """`value`; raise ValueError unless it is True or False: "false" and 5000 would both be true."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    raise ValueError(f"{name} must be True or False, received {describe(value)}")


def check_flags(options: Any) -> None:
    """`check_flag` for every field of a dataclass whose default is True or False."""
    for field in fields(options):
        if isinstance(field.default, bool):
            check_flag(f"{type(options).__name__} {field.name}", getattr(options, field.name))
