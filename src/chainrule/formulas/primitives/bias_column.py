"""Primitives of the form z = Θ a: the bias is column 0 of Θ = [b, W], and a has a_0 = 1 in front (Dezeming).

A layer that has no bias has neither the column nor the 1.
"""

# mypy: disable-error-code="has-type"
# (mypy infers a primitive after its decorator's arguments, which name primitives further down; all are Any)

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.formulas.primitives.arrays import transpose
from chainrule.formulas.primitives.declaring import primitive
from chainrule.formulas.rules import Trait


@primitive(
    layout="first_operand", entry="with_ones", traits={Trait.AUGMENTED},
    adjoint=lambda d, y, x: (transpose(without_bias(transpose(d))),),
)
def with_ones(x: Any) -> Any:
    """a_0 = 1 in front of the features of every sample: (n, m) -> (n + 1, m)."""
    return np.concatenate((np.ones((1, x.shape[-1]), x.dtype), x))


@primitive(
    layout="without_bias", entry="without_bias", traits={Trait.AUGMENTED},
    adjoint=lambda d, y, theta: (with_zero_bias(d),),
)
def without_bias(theta: Any) -> Any:
    """Θ without column 0, what the inputs are multiplied by: (K, n + 1) -> (K, n)."""
    return theta[:, 1:]


@primitive(layout="with_zero_bias", entry="with_zero_bias", adjoint=lambda d, y, w: (without_bias(d),))
def with_zero_bias(w: Any) -> Any:
    """w with a column 0 of zeros in front, where the bias has its place: (K, n) -> (K, n + 1)."""
    return np.concatenate((np.zeros((len(w), 1), w.dtype), w), axis=1)
