"""The gradient of somebody's own forward, Σ δ·out with respect to every entry, by differences in float64.

Two steps, h and 2h, give a value of fourth order and an estimate of its error. Where the slopes on both sides
differ by more than that the entry stands at a kink, where there is no derivative to compare with.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from chainrule.base.types import Array

# Of x's size: the cube root of a rounding, which balances rounding against the term of third order.
STEP = 3e-4
# Noise is measured by differences of order 6 over so small steps that of a smooth function nothing is left
# (Moré & Wild, Estimating computational noise, 2011); steps wide enough to see 1 - a of a saturated sigmoid
# in its few digits move. A kink spoils 7 of the 18: the lower third is looked at.
NOISE_STEP, NOISE_ORDER, NOISE_POINTS, NOISE_QUANTILE = 1e-4, 6, 24, 0.3
WIDER = (30, 900)  # steps, where nothing moves
# Where it begins to move is looked for in so many halvings; a stair moves there at once, by more than this
# share of all that it moves by in the wider step, and what is flat up to a kink by nothing.
HALVINGS, AT_ONCE = 40, 1e-6
MOST_ENTRIES = 400  # of an argument; of a larger one so many, spread evenly
LEAST_ENTRIES = 6  # of what is slow, whose noise is measured on as few points as tell
FEW_ENTRIES = 40  # where all are known to be right on other numbers


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


Known = dict[tuple[Any, ...], "Differences"]  # of a forward, arguments and δ


def measured(
    forward: Callable[[Sequence[Array]], Array],
    args: Sequence[Array],
    number: int,
    delta: Array,
    known: Known,
    most: int = MOST_ENTRIES,
) -> Differences:
    """`differences`, once of the same forward, arguments and δ."""
    key = (forward, number, most, *((v.tobytes(), v.shape, v.dtype.str) for v in (*args, delta)))
    if key not in known:
        known[key] = differences(forward, args, number, delta, most)
    return known[key]


def differences(
    forward: Callable[[Sequence[Array]], Array],
    args: Sequence[Array],
    number: int,
    delta: Array,
    most: int = MOST_ENTRIES,
) -> Differences:
    """The derivatives with respect to argument `number`, of at most so many entries."""
    args = [np.array(value, dtype=np.float64 if value.dtype.kind == "f" else None) for value in args]
    terms = delta.astype(np.float64)

    def J(entry: int, step: float) -> float:
        moved = [value.copy() for value in args]
        moved[number].flat[entry] += step
        return at(moved)

    def at(moved: Sequence[Array]) -> float:
        with np.errstate(all="ignore"):
            each = terms * np.asarray(forward(moved), dtype=np.float64)
            return math.fsum(each.ravel().tolist()) if np.isfinite(each).all() else math.nan

    size = args[number].size
    entries = np.unique(np.linspace(0, size - 1, min(size, most)).astype(np.int64))
    middle = J(0, 0.0) if size else 0.0
    scale = abs(middle) + float(np.abs(terms).sum())
    count = NOISE_POINTS if most > LEAST_ENTRIES else NOISE_ORDER + 2
    noise = max(4 * np.finfo(np.float64).eps * scale, _noise(at, args, number, count))
    values, errors, left, right = (np.zeros(len(entries)) for _ in range(4))
    kinks = np.zeros(len(entries), dtype=bool)
    step = max(STEP, (noise / scale) ** (1 / 3)) if scale and math.isfinite(noise / scale) else STEP
    for place, entry in enumerate(entries.tolist()):
        h, stair = step * max(1.0, abs(float(args[number].flat[entry]))), 0.0
        up, down, far_up, far_down = points = [J(entry, n * h) for n in (1, -1, 2, -2)]
        for wider in WIDER:  # nothing moves: no derivative, or a stair of the few digits that are left
            if any(point != middle for point in points):
                break
            wide = [J(entry, n * h * wider) for n in (1, -1, 2, -2)]
            if _flat(partial(J, entry), middle, h, h * wider):
                break
            if any(point != middle for point in wide):
                up, down, far_up, far_down = points = wide
                h, stair = h * wider, min(abs(point - middle) for point in wide if point != middle)
        near, far = (up - down) / (2 * h), (far_up - far_down) / (4 * h)
        values[place] = (4 * near - far) / 3
        left[place], right[place] = (middle - down) / h, (up - middle) / h
        errors[place] = abs(near - far) / 3 + (noise + stair) / h
        bend, far_bend = (up + down - 2 * middle) / h, (far_up + far_down - 2 * middle) / (2 * h)
        # Of a smooth function the bend halves with the step; at a kink it stays.
        kinks[place] = abs(bend) > 1e-5 * (1 + abs(near)) + 8 * noise / h and abs(bend) > 0.75 * abs(far_bend)
    return Differences(entries, values, errors, kinks, left, right)


def _flat(J: Callable[[float], float], middle: float, near: float, far: float) -> bool:
    """Whether it stands still from here to a kink between the two steps, on every side on which it moves."""
    found = False
    for sign in (1, -1):
        still, moved = sign * near, sign * 2 * far
        most = abs(J(moved) - middle)
        if not most:
            continue
        for _ in range(HALVINGS):
            between = (still + moved) / 2
            still, moved = (between, moved) if J(between) == middle else (still, between)
        if not abs(J(moved) - middle) <= AT_ONCE * most:
            return False
        found = True
    return found


def _noise(
    at: Callable[[Sequence[Array]], float], args: Sequence[Array], number: int, count: int
) -> float:
    """By how much J is off from a smooth function of the argument; 0 where it has no value."""
    x = args[number]
    signs = np.where(np.arange(x.size).reshape(x.shape) % 3 == 0, -1.0, 1.0)
    apart = NOISE_STEP * np.maximum(1.0, np.abs(x)) * signs
    points = [at([*args[:number], x + n * apart, *args[number + 1 :]]) for n in range(count)]
    share = math.factorial(NOISE_ORDER) ** 2 / math.factorial(2 * NOISE_ORDER)
    jumps = np.diff(points, NOISE_ORDER)
    found = float(np.quantile(np.abs(jumps), NOISE_QUANTILE)) * math.sqrt(share)
    return 8 * found if math.isfinite(found) else 0.0  # 3 standard deviations
