"""A network small enough to be computed by loops: the real numbers of the sample outline.

Image 12 x 12 -> Conv2D(3, 5) -> ReLU -> MaxPool2D(2) -> Flatten -> Dense(10) -> softmax, cross-entropy, two
samples, samples last.  The renderers' tests need honest numbers and no network of the library.
"""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def _windows(image: Array, size: int) -> Array:
    """(rows, columns, size, size, features, samples) of an image (rows, columns, features, samples)."""
    windows = np.lib.stride_tricks.sliding_window_view(image, (size, size), axis=(0, 1))
    return np.moveaxis(windows, (4, 5), (2, 3))


def _digit() -> Array:
    """A slanted 7 and a 1 of soft strokes, (12, 12, 1, 2)."""
    rows, columns = np.mgrid[:12, :12]
    bar = np.exp(-((rows - 2.5) ** 2)) * (columns > 2) * (columns < 10)
    leg = np.exp(-((columns - 9 + (rows - 3) * 0.6) ** 2)) * (rows > 2)
    one = np.exp(-((columns - 6.0) ** 2)) * (rows > 1) * (rows < 11)
    return np.stack([np.minimum(bar + leg, 1), one], axis=-1)[:, :, None, :]


@cache
def sample_network() -> SimpleNamespace:
    """x, W1, b1, z1, a1, p, h, W2, b2, z2, a2, y; d2, dW2, db2, dh, dp, da1, d1, dW1, db1; J, losses, eta."""
    random = np.random.default_rng(7)
    n = SimpleNamespace(x=_digit(), eta=0.1)
    n.W1, n.b1 = random.normal(0, 0.3, (3, 1, 5, 5)), random.normal(0, 0.1, 3)
    n.W2, n.b2 = random.normal(0, 0.2, (10, 48)), np.zeros(10)
    windows = _windows(n.x, 5)
    n.z1 = np.einsum("kcmn,ijmncs->ijks", n.W1, windows) + n.b1[:, None]
    n.a1 = np.maximum(n.z1, 0)
    blocks = n.a1.reshape(4, 2, 4, 2, 3, 2)
    n.p = blocks.max(axis=(1, 3))
    n.h = n.p.reshape(48, 2)
    n.z2 = n.W2 @ n.h + n.b2[:, None]
    e = np.exp(n.z2 - n.z2.max(axis=0))
    n.a2 = e / e.sum(axis=0)
    n.y = np.zeros((10, 2))
    n.y[7, 0] = n.y[1, 1] = 1
    n.losses = -np.log(n.a2[n.y == 1][::-1])
    n.J = float(n.losses.mean())
    n.d2 = (n.a2 - n.y) / 2
    n.dW2, n.db2, n.dh = n.d2 @ n.h.T, n.d2.sum(axis=1), n.W2.T @ n.d2
    n.dp = n.dh.reshape(n.p.shape)
    winner = (blocks == n.p[:, None, :, None]) & (blocks > 0)
    n.da1 = (n.dp[:, None, :, None] * winner).reshape(n.a1.shape)
    n.d1 = n.da1 * (n.z1 > 0)
    n.dW1 = np.einsum("ijks,ijmncs->kcmn", n.d1, windows)
    n.db1 = n.d1.sum(axis=(0, 1, 3))
    return n
