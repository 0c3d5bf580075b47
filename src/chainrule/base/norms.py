"""Euclidean norms that neither overflow nor vanish where the numbers do not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray


def norm(array: Any) -> float:
    """‖·‖ over all entries, as a float; NaN and infinity in, NaN and infinity out."""
    flat = np.asarray(array, dtype=np.float64).ravel()
    return float(row_norms(flat[None])[0])


def row_norms(rows: Any) -> NDArray[np.float64]:
    """‖·‖ of every row, (N, ...) -> (N,) float64.

    A row whose squares float64 does not hold, above 1e154 or below 1e-145, is divided by its largest entry
    first.
    """
    matrix = np.asarray(rows, dtype=np.float64)
    matrix = matrix.reshape(len(matrix), -1)
    with np.errstate(over="ignore", under="ignore"):
        squares = np.sum(matrix**2, axis=1)
    norms: NDArray[np.float64] = np.sqrt(squares)
    for i in np.flatnonzero((squares < 1e-290) | (squares > 1e307)):
        largest = float(np.abs(matrix[i]).max(initial=0.0))
        if 0 < largest < np.inf:
            norms[i] = largest * float(np.sqrt(np.sum((matrix[i] / largest) ** 2)))
    return norms


def norm_of_all(arrays: Iterable[Any]) -> float:
    """‖·‖ over the entries of several arrays together."""
    return norm([norm(array) for array in arrays])
