"""The gradient of somebody's own forward, Σ δ·out with respect to every entry, by differences in float64.

Two steps, h and 2h, give a value of fourth order and an estimate of its error. Where the slopes on both sides
differ by more than that the entry stands at a kink, where there is no derivative to compare with.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from chainrule.base.types import Array

# Of x's size: the cube root of a rounding, which balances rounding against the term of third order.
STEP = 3e-4
MOST_ENTRIES = 400  # of an argument; of a larger one so many, spread evenly


@dataclass(frozen=True, eq=False)
class Differences:
    """Of one argument: entries (n,) flat indices, values (n,), errors (n,), kinks (n,) where there is none;
    left, right (n,): the slopes on both sides.
    """

    entries: Array
    values: Array
    errors: Array
    kinks: Array
    left: Array
    right: Array


def differences(
    forward: Callable[[Sequence[Array]], Array], args: Sequence[Array], number: int, delta: Array
) -> Differences:
    """The derivatives with respect to argument `number`."""
    args = [np.array(value, dtype=np.float64 if value.dtype.kind == "f" else None) for value in args]
    size = args[number].size
    entries = np.unique(np.linspace(0, size - 1, min(size, MOST_ENTRIES)).astype(np.int64))
    terms = delta.astype(np.float64)

    def J(entry: int, step: float) -> float:
        moved = [value.copy() for value in args]
        moved[number].flat[entry] += step
        with np.errstate(all="ignore"):
            each = terms * np.asarray(forward(moved), dtype=np.float64)
            return math.fsum(each.ravel().tolist()) if np.isfinite(each).all() else math.nan

    values, errors, left, right = (np.zeros(len(entries)) for _ in range(4))
    kinks = np.zeros(len(entries), dtype=bool)
    middle = J(0, 0.0) if len(entries) else 0.0
    noise = 4 * np.finfo(np.float64).eps * (abs(middle) + float(np.abs(terms).sum()))
    for place, entry in enumerate(entries.tolist()):
        h = STEP * max(1.0, abs(float(args[number].flat[entry])))
        up, down, far_up, far_down = J(entry, h), J(entry, -h), J(entry, 2 * h), J(entry, -2 * h)
        near, far = (up - down) / (2 * h), (far_up - far_down) / (4 * h)
        values[place] = (4 * near - far) / 3
        left[place], right[place] = (middle - down) / h, (up - middle) / h
        errors[place] = abs(near - far) / 3 + noise / h
        bend, far_bend = (up + down - 2 * middle) / h, (far_up + far_down - 2 * middle) / (2 * h)
        # Of a smooth function the bend halves with the step; at a kink it stays.
        kinks[place] = abs(bend) > 1e-5 * (1 + abs(near)) + 8 * noise / h and abs(bend) > 0.75 * abs(far_bend)
    return Differences(entries, values, errors, kinks, left, right)
