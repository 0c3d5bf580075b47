"""Weights and gradients from PyTorch's tensors, under our names and in our shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.base.types import Shape


def read_back(
    readings: Sequence[Any], array: Callable[[str], Any], gradients: bool, shapes: Mapping[str, Shape]
) -> dict[str, Any]:
    """Arrays by our names from what `array(name)` gives of PyTorch's tensors, without those that are None."""
    made = {}
    for name, how, tensors in readings:
        arrays = [array(tensor) for tensor in tensors]
        if not any(held is None for held in arrays):
            made[name] = _read(how, arrays, gradients).reshape(shapes[name])
    return made


def _read(how: str, arrays: Sequence[Any], gradients: bool) -> Any:
    """Of two biases, beside W and beside U, ours is the sum, and its gradient that of either."""
    first = arrays[0]
    if how == "kernel":
        return np.moveaxis(first, 1, -1)
    if how.startswith("part "):
        return np.split(first, 3)[int(how[-1])]
    if how == "same" or gradients:
        return first
    beside = arrays[1].copy()
    if how == "bias of gru":
        beside[2 * (len(beside) // 3) :] = 0  # that of the new state stands within the reset
    return first + beside
