"""Convolution arithmetic (Dumoulin & Visin 2016, Theano's tutorial): output sizes, and a convolution as a
sparse matrix C whose backward pass is Cᵀ.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.base.types import Array
from chainrule.layers import Conv2D, ConvTranspose2D, Layer
from chainrule.losses import SquaredError
from chainrule.networks.executor import Executor
from chainrule.oracles.numeric import network
from chainrule.oracles.rows import Measured, Row, Source


def conv(kernel: int, **options: Any) -> Layer:
    return Conv2D(1, kernel, **options)


def transposed(kernel: int, **options: Any) -> Layer:
    return ConvTranspose2D(1, kernel, **options)


# item, input size, layer, output size by the formula in the item
SIZES: tuple[tuple[str, int, Layer, int], ...] = (
    ("i - k + 1: i4 k3", 4, conv(3), 2),
    ("i - k + 2p + 1: i5 k4 p2", 5, conv(4, padding=2), 6),
    ("half padding, i: i5 k3", 5, conv(3, padding="same"), 5),
    ("full padding, i + k - 1: i5 k3", 5, conv(3, padding=2), 7),
    ("⌊(i - k)/s⌋ + 1: i5 k3 s2", 5, conv(3, stride=2), 2),
    ("⌊(i + 2p - k)/s⌋ + 1: i5 k3 s2 p1", 5, conv(3, stride=2, padding=1), 3),
    ("⌊(i + 2p - k)/s⌋ + 1: i6 k3 s2 p1", 6, conv(3, stride=2, padding=1), 3),
    ("i - k - (k-1)(d-1) + 1: i7 k3 d2", 7, conv(3, dilation=2), 3),
    ("the same with s2 p1: i7 k3 d2", 7, conv(3, dilation=2, stride=2, padding=1), 3),
    ("transposed, i' + k - 1: i'2 k3", 2, transposed(3), 4),
    ("transposed, i' + k - 1 - 2p: i'6 k4 p2", 6, transposed(4, padding=2), 5),
    ("transposed half, i': i'5 k3 p1", 5, transposed(3, padding=1), 5),
    ("transposed full, i' - (k - 1): i'7 k3 p2", 7, transposed(3, padding=2), 5),
    ("transposed, s(i' - 1) + k: i'2 k3 s2", 2, transposed(3, stride=2), 5),
    ("transposed, s(i' - 1) + k - 2p: i'3 k3 s2 p1", 3, transposed(3, stride=2, padding=1), 5),
    ("… + a: i'3 k3 s2 p1 a1", 3, transposed(3, stride=2, padding=1, output_padding=1), 6),
    ("… + a: i'3 k4 s2 p0 a1", 3, transposed(4, stride=2, output_padding=1), 9),
)


def pass_through(
    executor: Executor[Any], layer: Layer, size: int, delta: float | Array = 1.0
) -> tuple[Array, Array]:
    """An image of ones through a layer of ones: the output (1, H, W, 1), and δ of the input for a given δ."""
    net = network(executor, [layer], (size, size, 1))
    net.set_parameters({name: np.ones(array.shape) for name, array in net.parameters.items()})
    image = np.ones((1, size, size, 1))
    output = net.predict(image)
    # With y = a - δ the squared error sends that δ into the layer.
    step = net.backpropagate(image, output - delta, loss=SquaredError())
    return output, step.deltas["input"][0, :, :, 0]


def as_matrix(kernel: Array, size: int) -> Array:
    """C of a k×k kernel on a size×size image: row = output pixel, column = input pixel, both row by row."""
    k, out = len(kernel), size - len(kernel) + 1
    C = np.zeros((out, out, size, size))
    for i in range(out):
        for j in range(out):
            C[i, j, i : i + k, j : j + k] = kernel
    return C.reshape(out * out, size * size)


def measure(executor: Executor[Any]) -> Measured:
    measured: dict[str, Any] = {
        item: pass_through(executor, layer, size)[0].shape[1:3] for item, size, layer, _ in SIZES
    }
    left_over = pass_through(executor, conv(3, stride=2), 6)[1]
    measured["strided δ: left-over row, i6 k3 s2"] = left_over[5]
    # δ = (1, 2, 3, 4) on a grid of stride 2 is zero-stuffed to 3×3, and a kernel of ones spreads it.
    stuffed = pass_through(executor, conv(2, stride=2), 4, np.array([[1.0, 2], [3, 4]])[None, :, :, None])[1]
    measured["strided δ: zero-stuffed, i4 k2 s2"] = stuffed.ravel()

    rng = np.random.Generator(np.random.PCG64(0))
    kernel, image, delta = rng.random((3, 3)), rng.random((4, 4)), rng.random((2, 2))
    C = as_matrix(kernel, 4)
    net = network(executor, [Conv2D(1, 3, bias=False)], (4, 4, 1), {"conv1.W": kernel[None, :, :, None]})
    output = net.predict(image[None, :, :, None])
    step = net.backpropagate(image[None, :, :, None], output - delta[None, :, :, None], loss=SquaredError())
    measured["16-vector → 4-vector: |conv - C x|"] = np.abs(output.ravel() - C @ image.ravel()).max()
    below = step.deltas["input"].ravel()
    measured["4-vector → 16-vector: |δ below - Cᵀ δ|"] = np.abs(below - C.T @ delta.ravel()).max()
    up = network(
        executor,
        [ConvTranspose2D(1, 3, bias=False)],
        (2, 2, 1),
        {"convtranspose1.W": kernel[None, :, :, None]},
    )
    measured["transposed, 4 → 16: |its output - Cᵀ x|"] = np.abs(
        up.predict(delta[None, :, :, None]).ravel() - C.T @ delta.ravel()
    ).max()
    return measured


SOURCE = Source(
    "convolution arithmetic",
    "V. Dumoulin and F. Visin, A guide to convolution arithmetic for deep learning (2016)",
    measure,
    (
        *(Row(item, (expected, expected), 0.0) for item, _, _, expected in SIZES),
        Row("strided δ: left-over row, i6 k3 s2", (0.0,) * 6, 0.0),
        Row(
            "strided δ: zero-stuffed, i4 k2 s2",
            (1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4),
            0.0,
        ),
        Row("16-vector → 4-vector: |conv - C x|", 0.0, 2e-15),
        Row("4-vector → 16-vector: |δ below - Cᵀ δ|", 0.0, 2e-15),
        Row("transposed, 4 → 16: |its output - Cᵀ x|", 0.0, 2e-15),
    ),
)
