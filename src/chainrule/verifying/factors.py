"""Factors by the names that people know them by: 2, 1/m, m, 1/(mn), with the numbers of a probe."""

from __future__ import annotations

import math
from collections.abc import Mapping

CONSTANTS = range(3, 13)  # a kernel's entries, a window's, a number of ids


def factor_names(sizes: Mapping[str, int]) -> list[str]:
    """Numbers by which everything is multiplied by mistake."""
    return ["-1", "2", "1/2", *(form for name in sizes for form in (name, f"1/{name}"))]


def rare_factor_names(sizes: Mapping[str, int]) -> list[str]:
    """Numbers that two mistakes at once multiply by: 1/m twice, 2/m, 1/(mn)."""
    names = [form for name in sizes for form in (f"{name}^2", f"1/{name}^2", f"2/{name}", f"{name}/2")]
    pair = "".join(name for name in sizes if name in "mn")
    both = [pair, f"1/{pair}", f"2/{pair}", "n/m", "m/n"] if len(pair) == 2 else []
    others = [name for name in sizes if name not in "mn"] if "m" in sizes else []
    places = [form for name in others for form in (f"m{name}", f"1/m{name}")]
    constants = [form for n in CONSTANTS for form in (str(n), f"1/{n}")]
    return ["-2", "-1/2", *names, *both, *places, *constants]


def factor(name: str, sizes: Mapping[str, int]) -> float:
    """The value of "2/m", "1/mn", "-1", with the sizes by their letters."""
    upper, _, lower = name.partition("/")
    return _product(upper, sizes) / _product(lower, sizes)


def _product(text: str, sizes: Mapping[str, int]) -> float:
    """Of "", "2", "m^2", "2mn"."""
    if not text:
        return 1.0
    letters = text.lstrip("-0123456789")
    number = float(text[: len(text) - len(letters)] or 1)
    value = math.prod(float(sizes[letter]) for letter in letters.replace("^2", ""))
    return number * (value**2 if letters.endswith("^2") else value)
