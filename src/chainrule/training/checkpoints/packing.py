"""State as plain JSON and arrays: what callbacks keep, generators of random numbers, moments, histories.

Numbers come back to the bit, tuples as tuples, keys of any plain kind as they were; nothing is unpickled.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, describe
from chainrule.base.types import Array

FORMS = "None, truth values, numbers, texts, NumPy arrays, and lists, tuples and dicts of these"
_PLAIN = (type(None), bool, int, str)
_DEEPEST = 50


def pack(value: Any, place: str, arrays: dict[str, Array], depth: int = 0) -> Any:
    """The value as JSON; its arrays are added to `arrays` under their place, "callbacks/0/losses".

    Raises ArgumentError for what is none of FORMS, with its place.
    """
    if depth > _DEEPEST:
        raise ArgumentError(f"{place} is nested deeper than {_DEEPEST} times")
    if type(value) in _PLAIN:
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {"float": repr(value)}
    if isinstance(value, (np.ndarray, np.generic)) and not np.asarray(value).dtype.hasobject:
        array = np.asarray(value)
        if array.dtype.names is None and array.dtype.itemsize:
            arrays[place] = np.array(array, order="C")
            return {"scalar" if isinstance(value, np.generic) else "array": place}
    if isinstance(value, (list, tuple)):
        entries = [pack(entry, f"{place}/{i}", arrays, depth + 1) for i, entry in enumerate(value)]
        return {"tuple": entries} if isinstance(value, tuple) else entries
    if isinstance(value, Mapping):
        return {
            "dict": [
                [
                    pack(key, f"{place}/key {i}", arrays, depth + 1),
                    pack(entry, f"{place}/{i}", arrays, depth + 1),
                ]
                for i, (key, entry) in enumerate(value.items())
            ]
        }
    raise ArgumentError(f"{place} is {describe(value)}, and a checkpoint holds {FORMS}")


def unpack(value: Any, arrays: Mapping[str, Array]) -> Any:
    """What `pack` was given.  ValueError, KeyError or TypeError where it did not make the value."""
    if isinstance(value, list):
        return [unpack(entry, arrays) for entry in value]
    if not isinstance(value, dict):
        return value
    ((kind, held),) = value.items()
    if kind == "float":
        return {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[held]
    if kind == "array":
        return arrays[held]
    if kind == "scalar":
        return arrays[held][()]
    if kind == "tuple":
        return tuple(unpack(held, arrays))
    if kind == "dict":
        return {unpack(key, arrays): unpack(entry, arrays) for key, entry in held}
    raise ValueError(f"there is no {kind!r} in a checkpoint")


def check_packs(value: Any, place: str) -> None:
    """ArgumentError unless it is a dict that a checkpoint holds, or None."""
    if value is not None and not isinstance(value, Mapping):
        raise ArgumentError(f"{place} must return a dict or None, it returned {describe(value)}")
    pack(value, place, {})
