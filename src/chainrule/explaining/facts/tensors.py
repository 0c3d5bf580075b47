"""Arrays in a document, within a budget: base64 in the smaller type that loses nothing, always statistics.

What does not fit is "frozen": the page shows its statistics and says that it computes nothing with it.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np

from chainrule.base.norms import norm
from chainrule.base.types import Array
from chainrule.explaining.schema import Statistics, Tensor
from chainrule.formulas.exchange import plain

PARAMETER_BYTES = 1_500_000  # of all parameters: what a page loads without a pause
_TYPES = {"float32": "<f4", "float64": "<f8"}


def encode(array: Any) -> Tensor:
    """A tensor with its numbers: float32 where every one is the same in float32, else float64; row-major."""
    values = np.asarray(array, np.float64)
    name = _storage(values)
    raw = np.ascontiguousarray(values, _TYPES[name]).tobytes()
    return {**frozen(values), "dtype": name, "data": base64.b64encode(raw).decode("ascii")}


def frozen(array: Any) -> Tensor:
    """A tensor without its numbers: shape, type and statistics."""
    values = np.asarray(array, np.float64)
    return {"shape": list(values.shape), "dtype": _storage(values), "stats": statistics(values)}


def decode(tensor: Tensor) -> Array | None:
    """The numbers of a tensor in float64; None where it is frozen."""
    if "data" not in tensor:
        return None
    flat = np.frombuffer(base64.b64decode(tensor["data"]), _TYPES[tensor["dtype"]])
    return flat.astype(np.float64).reshape(tensor["shape"])


def statistics(array: Array) -> Statistics:
    """Smallest, mean and largest value, and Euclidean norm; NaN and infinity, which JSON lacks, as text."""
    if not array.size:
        return {"min": 0.0, "mean": 0.0, "max": 0.0, "norm": 0.0}
    with np.errstate(all="ignore"):
        low, mean, high = (plain(float(value)) for value in (array.min(), array.mean(), array.max()))
        return {"min": low, "mean": mean, "max": high, "norm": plain(norm(array))}


def within(groups: Iterable[tuple[Mapping[str, Array], int]], budget_bytes: int) -> dict[str, Tensor]:
    """The arrays of every group as tensors, all together in `budget_bytes` of base64.

    groups: (arrays by id, the most bytes of the group) in the order in which they are served. Of a group that
    does not fit the largest arrays are frozen first; of equally large ones the first.
    """
    left = budget_bytes
    tensors: dict[str, Tensor] = {}
    for arrays, most in groups:
        sizes = {name: _encoded_bytes(array) for name, array in arrays.items()}
        room, used = min(left, most), sum(sizes.values())
        for name in sorted(sizes, key=lambda name: -sizes[name]):
            if used <= room:
                break
            used -= sizes.pop(name)
        left -= used
        tensors |= {name: encode(array) if name in sizes else frozen(array) for name, array in arrays.items()}
    return tensors


def _storage(values: Array) -> Literal["float32", "float64"]:
    with np.errstate(all="ignore"):  # what is too large for float32 becomes inf, and is not the same
        same = np.array_equal(values.astype(np.float32), values, equal_nan=True)
    return "float32" if same else "float64"


def _encoded_bytes(array: Array) -> int:
    raw = array.size * (4 if _storage(array) == "float32" else 8)
    return -(-raw // 3) * 4
