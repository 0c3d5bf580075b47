"""A convolution is a sparse matrix C: its forward pass is C x, its backward pass Cᵀ δ.

Transposed it is Cᵀ x.  The matrix is built here from the definition, entry by entry, not from the layer.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import layers as L

RNG = np.random.default_rng(5)


def sparse_matrix(
    W: Any, size: tuple[int, int], stride: int = 1, pad: int = 0, dilation: int = 1, groups: int = 1
) -> Any:
    """C of a kernel W (K, k1, k2, C/groups): rows and columns in the order (i, j, channel)."""
    filters, k1, k2, own = W.shape
    channels = own * groups
    out = tuple(
        (n + 2 * pad - dilation * (k - 1) - 1) // stride + 1 for n, k in zip(size, (k1, k2), strict=True)
    )
    C = np.zeros((*out, filters, *size, channels))
    for i, j, k, m, n, c in product(*map(range, (*out, filters, k1, k2, own))):
        u, v = stride * i + dilation * m - pad, stride * j + dilation * n - pad
        if 0 <= u < size[0] and 0 <= v < size[1]:
            C[i, j, k, u, v, k // (filters // groups) * own + c] = W[k, m, n, c]
    return C.reshape(np.prod(out) * filters, -1)


def test_the_example_of_the_convolution_arithmetic() -> None:
    """A 3x3 kernel on 4x4 is a 4 x 16 matrix; transposed it takes a 4-vector to a 16-vector."""
    W = np.arange(1.0, 10).reshape(1, 3, 3, 1)
    C = sparse_matrix(W, (4, 4))
    assert C.shape == (4, 16)
    np.testing.assert_array_equal(C[0], [1, 2, 3, 0, 4, 5, 6, 0, 7, 8, 9, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(C[3], [0, 0, 0, 0, 0, 1, 2, 3, 0, 4, 5, 6, 0, 7, 8, 9])
    y = np.array([1.0, -2.0, 3.0, 0.5])
    back = L.ConvTranspose2D(1, 3, bias=False).forward(y.reshape(2, 2, 1, 1), W)
    assert back.shape == (4, 4, 1, 1)
    np.testing.assert_array_equal(back.ravel(), C.T @ y)
    delta = L.Conv2D(1, 3, bias=False).delta(y.reshape(2, 2, 1, 1), W, np.zeros((4, 4, 1, 1)))
    np.testing.assert_array_equal(delta.ravel(), C.T @ y)


GEOMETRIES: list[dict[str, int]] = [
    {},
    {"stride": 2},
    {"pad": 1},
    {"stride": 2, "pad": 2},
    {"dilation": 2, "pad": 1},
    {"groups": 3, "stride": 2, "pad": 1},
    {"groups": 3, "dilation": 2, "pad": 2},
]


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("size", [(5, 6), (7, 5)])
def test_forward_is_C_and_backward_its_transpose(geometry: dict[str, int], size: tuple[int, int]) -> None:
    """By the kernels that train: the gradient of ⟨C x, δ⟩ by x is Cᵀ δ."""
    channels, groups = 3, geometry.get("groups", 1)
    layer = cr.Conv2D(
        6,
        3,
        stride=geometry.get("stride", 1),
        padding=geometry.get("pad", 0),
        dilation=geometry.get("dilation", 1),
        groups=groups,
        bias=False,
    )
    network = cr.Network([layer], input_shape=(*size, channels), dtype="float64", seed=3)
    W = network.parameters["conv1.W"]
    C = sparse_matrix(W, size, **geometry)
    x, target = RNG.standard_normal((2, *size, channels)), RNG.standard_normal((2, *network.output_shape))
    z = network.predict(x)
    np.testing.assert_allclose(z.reshape(2, -1), x.reshape(2, -1) @ C.T, atol=1e-13)
    step = network.backpropagate(x, target, loss=cr.SquaredError())
    d = (z - target).reshape(2, -1) / 2
    np.testing.assert_allclose(step.deltas["input"].reshape(2, -1), d @ C, atol=1e-13)


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("more", [0, 1])
def test_a_transposed_convolution_is_the_transpose(geometry: dict[str, int], more: int) -> None:
    stride, groups = geometry.get("stride", 1), geometry.get("groups", 1)
    if more >= stride:
        more = 0
    layer = cr.ConvTranspose2D(
        3,
        3,
        stride=stride,
        padding=geometry.get("pad", 0),
        output_padding=more,
        dilation=geometry.get("dilation", 1),
        groups=groups,
        bias=False,
    )
    network = cr.Network([layer], input_shape=(4, 3, 6), dtype="float64", seed=4)
    C = sparse_matrix(network.parameters["convtranspose1.W"], network.output_shape[:2], **geometry)
    x = RNG.standard_normal((2, 4, 3, 6))
    target = RNG.standard_normal((2, *network.output_shape))
    z = network.predict(x)
    np.testing.assert_allclose(z.reshape(2, -1), x.reshape(2, -1) @ C, atol=1e-13)
    step = network.backpropagate(x, target, loss=cr.SquaredError())
    d = (z - target).reshape(2, -1) / 2
    np.testing.assert_allclose(step.deltas["input"].reshape(2, -1), d @ C.T, atol=1e-13)


def test_left_over_rows_of_a_strided_convolution_get_no_delta() -> None:
    """i = 6, k = 3, s = 2: row and column 5 are seen by no window (a = 1)."""
    layer = cr.Conv2D(2, 3, stride=2)
    network = cr.Network([layer], input_shape=(6, 6, 2), dtype="float64", seed=1)
    x = RNG.standard_normal((3, 6, 6, 2))
    step = network.backpropagate(x, np.zeros((3, 2, 2, 2)), loss=cr.SquaredError())
    delta = step.deltas["input"]
    assert not delta[:, 5].any()
    assert not delta[:, :, 5].any()
    assert delta[:, :5, :5].all()
