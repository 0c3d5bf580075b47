"""Pooling where windows overlap: δ of a position that several windows chose adds up; L2 pooling, where δ of a
window of zeros is 0 and not NaN, and √Σ and √mean are two operations.

Libraries have shipped it wrong, overwriting instead of adding: NNlib.jl #205 (2×2, stride 1) and tangermeme
#95 (3×3, stride 1).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.base.types import Array
from chainrule.layers import L2Pool2D, Layer, MaxPool2D
from chainrule.losses import SquaredError
from chainrule.networks.executor import Executor
from chainrule.oracles.numeric import network
from chainrule.oracles.rows import Measured, Row, Source


def delta_below(executor: Executor[Any], layer: Layer, image: Array) -> Array:
    """δ of the input, as a picture, where δ of every output is 1."""
    net = network(executor, [layer], (*image.shape, 1))
    X = image[np.newaxis, :, :, np.newaxis]
    step = net.backpropagate(X, net.predict(X) - 1, loss=SquaredError())
    return step.deltas["input"][0, :, :, 0]


def peak(size: int) -> Array:
    """A picture of zeros with a 1 in the middle, which every window that sees it chooses."""
    image = np.zeros((size, size))
    image[size // 2, size // 2] = 1.0
    return image


def measure(executor: Executor[Any]) -> Measured:
    measured: dict[str, Any] = {}
    for window, size in ((2, 3), (3, 5)):
        below = delta_below(executor, MaxPool2D(window, 1), peak(size))
        measured[f"max {window}×{window}, stride 1: δ of a shared maximum"] = below[size // 2, size // 2]
    zeros = delta_below(executor, L2Pool2D(2), np.zeros((2, 2)))
    measured["L2 2×2: δ where the window is all 0"] = zeros.ravel()
    image = np.array([[3.0, 0.0], [4.0, 0.0]])
    for title, mean in (("√Σ", False), ("√mean", True)):
        layer = L2Pool2D(2, mean=mean)
        output = network(executor, [layer], (2, 2, 1)).predict(image[np.newaxis, :, :, np.newaxis])
        measured[f"L2 2×2 of 3 0 4 0 by {title}: output, δ"] = [
            float(output[0, 0, 0, 0]),
            *delta_below(executor, layer, image).ravel(),
        ]
    return measured


SOURCE = Source(
    "pooling",
    "Intel DAAL, backward max-pooling; NNlib.jl issue 205; tangermeme issue 95",
    measure,
    (
        Row("max 2×2, stride 1: δ of a shared maximum", 4.0, 0.0),
        Row("max 3×3, stride 1: δ of a shared maximum", 9.0, 0.0),
        Row("L2 2×2: δ where the window is all 0", (0.0,) * 4, 0.0),
        Row("L2 2×2 of 3 0 4 0 by √Σ: output, δ", (5.0, 0.6, 0.0, 0.8, 0.0), 1e-15),
        Row("L2 2×2 of 3 0 4 0 by √mean: output, δ", (2.5, 0.3, 0.0, 0.4, 0.0), 1e-15),
    ),
)
