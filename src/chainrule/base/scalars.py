"""Single values as arguments, rates and counts, flags and choices: an error says what is allowed."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from dataclasses import fields
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, describe


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
    """Raise ArgumentError unless `value` is a finite number between low and high (open unless included);
    low=-math.inf: any finite number.
    """
    if finite_number(value):
        above = value > low or (include_low and value == low)
        if above and (value < high or (include_high and value == high)):
            return
    interval = f"a number {'at least' if include_low else 'greater than'} {low:g}"
    if low == -math.inf:
        interval = "a finite number"
    if high < math.inf:
        interval += f" and {'at most' if include_high else 'less than'} {high:g}"
    end = f": {hint}" if hint else ""
    raise ArgumentError(f"{name} must be {interval}, received {describe(value)}{end}")


def check_count(
    name: str, value: int, minimum: int = 1, maximum: float = 2**63 - 1, *, hint: str = ""
) -> int:
    """`value` as an int; raise ArgumentError unless it is a whole number from `minimum` to `maximum`."""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if whole and minimum <= value <= maximum:
        return int(value)
    allowed = f"a whole number of at least {minimum}"
    allowed += f", at most {maximum}" if whole and value > maximum else ""
    raise ArgumentError(f"{name} must be {allowed}, received {describe(value)}{hint and f': {hint}'}")


def check_flag(name: str, value: bool) -> bool:
    """`value`; raise ArgumentError unless it is True or False: "false" and 5000 would both be true."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    raise ArgumentError(f"{name} must be True or False, received {describe(value)}")


def check_choice(name: str, value: Any, choices: Iterable[str], *, meaning: str = "") -> str:
    """`value`; raise ArgumentError unless it is one of the names; `meaning` takes the place of their list."""
    names = list(choices)
    if isinstance(value, str) and value in names:
        return value
    allowed = meaning or f"one of {', '.join(map(repr, names))}"
    raise ArgumentError(f"{name} must be {allowed}, received {describe(value)}")


def check_held(what: str, value: float, dtype: Any, owner: object, *, positive: bool = False) -> None:
    """Raise ArgumentError where `dtype` makes infinity of a finite number, or 0 of one that must not be 0;
    `what`: "a slope". The native plan refuses the same (native/plan/building.cpp, `held`), without
    knowing whose it is.
    """
    with np.errstate(over="ignore", under="ignore"):
        held = np.dtype(dtype).type(value)
    if not np.isfinite(held) or (positive and value > 0 and held == 0):
        raise ArgumentError(
            f"{owner}: {what} of {float(value):g} becomes {float(held):g} in {np.dtype(dtype)}; "
            "write dtype='float64' in Network, or --precision float64 on the command line"
        )


def entries(value: Any) -> list[Any] | None:
    """What a list, or another iterable that is no text, holds; None for anything else."""
    if isinstance(value, (str, bytes)):
        return None
    try:
        return list(value)
    except TypeError:  # also an array without axes
        return None


def text_path(path: Any, argument: str = "path") -> str:
    """The path of a file as text; TypeError for anything but text and a pathlib.Path."""
    try:
        text = os.fspath(path)
    except TypeError:
        text = None
    if not text or not isinstance(text, str):
        raise TypeError(f"{argument} must be the path of a file, received {describe(path)}")
    return text


def check_flags(options: Any) -> None:
    """`check_flag` for every field of a dataclass whose default is True or False."""
    for field in fields(options):
        if isinstance(field.default, bool):
            check_flag(f"{type(options).__name__} {field.name}", getattr(options, field.name))
