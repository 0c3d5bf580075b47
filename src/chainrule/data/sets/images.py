"""More training images from the ones there are."""

from __future__ import annotations

import numpy as np

from chainrule.base.errors import DataError
from chainrule.base.types import Array


def shifted(X: Array, y: Array, pixels: int = 1) -> tuple[Array, Array]:
    """The images X (N, H, W, C) and copies shifted down, up, right and left: (5N, H, W, C), and their y.

    What is shifted out is lost; zeros come in from the other side. For the training part alone: hold
    validation and test samples out before.
    """
    if X.ndim != 4:
        raise DataError(f"X has shape {X.shape}: only images (N, H, W, C) can be shifted")
    if not 0 < pixels < min(X.shape[1:3]):
        raise DataError(f"pixels is {pixels}: write a number from 1 to {min(X.shape[1:3]) - 1}")
    copies = np.zeros((5, *X.shape), dtype=X.dtype)
    copies[0] = X
    copies[1, :, pixels:] = X[:, :-pixels]
    copies[2, :, :-pixels] = X[:, pixels:]
    copies[3, :, :, pixels:] = X[:, :, :-pixels]
    copies[4, :, :, :-pixels] = X[:, :, pixels:]
    return copies.reshape(-1, *X.shape[1:]), np.concatenate([y] * 5)
