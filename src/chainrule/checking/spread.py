"""On what scale a function of an array may vary: the first steps of the differences follow from it."""

from __future__ import annotations

import math

import numpy as np

from chainrule.base.types import Array

SMALLEST_SIZE = 2.0**-6  # arrays of zeros (biases at the start) move as if they were of this size
ROUNDING = 2.0**-44  # relative spreads below this are rounding, not a spread


def size(array: Array) -> float:
    """A typical magnitude of the entries."""
    largest = float(np.abs(array).max(initial=0.0))
    if not largest or not math.isfinite(largest):
        return SMALLEST_SIZE
    return largest * float(np.sqrt(np.mean((array / largest) ** 2)))  # whose squares stay in range


def spread(array: Array) -> Array:
    """For every entry, how far its neighbours lie apart: the least standard deviation along an axis.

    Along the samples it is what batch normalisation divides by, along the features what layer normalisation
    does, and neither knows how far from 0 the numbers are: 10⁶ + N(0, 1) varies on the scale 1. Features of
    10⁻⁸ beside features of 10⁸ have each their own. Where nothing varies: the entry's own magnitude, or the
    array's.
    """
    typical = size(array)
    least = np.full(array.shape, np.inf)
    for axis in range(array.ndim):
        if array.shape[axis] < 2:
            continue
        largest = np.abs(array).max(axis=axis, keepdims=True)
        scaled = array / np.where(largest > 0, largest, 1.0)
        deviation = scaled.std(axis=axis, keepdims=True)
        deviation = np.where(deviation > ROUNDING, deviation * largest, np.inf)
        least = np.minimum(least, deviation)
    magnitude = np.abs(array)
    return np.where(np.isfinite(least), least, np.where(magnitude > 0, magnitude, typical))
