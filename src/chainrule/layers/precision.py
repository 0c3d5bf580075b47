"""What the factors of products are rounded to, and in which layers: docs/decisions/0021-bfloat16.md.

Of a dense layer or a convolution, in z = W x + b, ∂J/∂x = Wᵀ δ and ∂J/∂W = δ xᵀ, every one of x, W and δ is
rounded to bfloat16 (the nearest, ties to even) before it is multiplied; sums are float32, and b, ∂J/∂b and
all other layers as ever.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, describe
from chainrule.layers.base import Layer
from chainrule.layers.dense import Dense
from chainrule.layers.windows.convolution import Conv1D, Conv2D, Conv3D, DepthwiseConv2D
from chainrule.layers.windows.transposed import ConvTranspose1D, ConvTranspose2D, ConvTranspose3D

BFLOAT16 = "bfloat16"
PRECISIONS = ("float32", BFLOAT16)
DIGITS = 8  # binary ones of a bfloat16

_WINDOWS = (
    *(Conv1D, Conv2D, Conv3D, DepthwiseConv2D),
    *(ConvTranspose1D, ConvTranspose2D, ConvTranspose3D),
)


def precision_from(value: Any, dtype: Any) -> str:
    """The precision of a network of this dtype, its own without a value; ArgumentError."""
    own = str(np.dtype(dtype))
    if value is None:
        return own
    if not isinstance(value, str) or value not in PRECISIONS:
        raise ArgumentError(f"precision must be 'float32' or 'bfloat16', received {describe(value)}")
    if own != "float32":
        raise ArgumentError(
            f"precision={value!r} is for networks of dtype='float32', and this one is of dtype={own!r}: "
            "leave precision out, or write dtype='float32'"
        )
    return value


def is_rounded(layer: Layer) -> bool:
    """Whether precision="bfloat16" rounds a layer's factors: dense layers, but for ntk, and convolutions.

    By the exact class, for a subclass may have other formulas.
    """
    return type(layer) in _WINDOWS or (type(layer) is Dense and not layer.ntk)


def rounded(array: Any) -> Any:
    """Numbers rounded to bfloat16's digits, in their own dtype and its range."""
    fractions, exponents = np.frexp(array)
    scale = float(2**DIGITS)
    return np.ldexp(np.rint(fractions * scale) / scale, exponents).astype(np.asarray(array).dtype, copy=False)
