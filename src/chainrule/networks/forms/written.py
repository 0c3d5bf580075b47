"""What files have in common that others run: a layer's own formula as a tree, and the order of gates."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.base.types import Array, Shape


class Unwritable(Exception):
    """What of a formula cannot be written."""


def traced(formula: Callable[[], Any]) -> Any:
    """The tree of a formula that is called with symbols; Unwritable where it is none."""
    try:
        return formula()
    except Exception as error:  # a stranger's code, on symbols: NumPy's functions raise there
        raise Unwritable(f"what is no primitive of chainrule.formulas ({error})") from error


def positions(shape: Shape) -> int:
    """How many positions a sample has."""
    return math.prod(shape[:-1])


def gates_in_order(array: Array, given: str, wanted: str) -> Array:
    """The rows of every gate, which lie one above the other in the order `given`, in another order."""
    parts = dict(zip(given, np.split(array, len(given)), strict=True))
    return np.concatenate([parts[gate] for gate in wanted])
