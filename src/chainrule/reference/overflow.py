"""Where a number went beyond the range within a pass whose result is finite: every layer's output beside that
of its formulas in a wider type, each on the input that the pass itself gave the layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from chainrule.base.types import Array
from chainrule.layers import Dense
from chainrule.layers.windows.convolution import Convolution
from chainrule.networks.architecture import INPUT
from chainrule.networks.model import Model
from chainrule.reference.passes import Pass, PassContext, run_forward, to_columns

# Of a layer's largest output. Rounding within one layer is below it: 1.6% were seen of a LayerNorm of
# values around 1e6 in float32, where one beyond the range changes outputs by their own size.
_APART = 0.05


def wider(dtype: Any) -> Any:
    """The type whose range holds what overflows in `dtype`: float64, and long double where it is wider."""
    return np.float64 if np.dtype(dtype) == np.float32 else np.longdouble


def first_overflow(
    network: Model, X: Array, outputs: Mapping[str, Array], dtype: Any, *, training: bool = False
) -> tuple[int, str, str] | None:
    """The first sample of X for which an output is not what the layer's formula gives, the layer, and what
    the output is; None where all are right, however the overflow came about.

    outputs: of every layer by name, (N, *shape), as a pass in `dtype` has computed them.
    """
    wide = wider(dtype)
    holds = np.finfo(wide).max > np.finfo(dtype).max
    overflowed: dict[int, tuple[str, str]] = {}

    def follow(layer_pass: Pass) -> Array:
        a = to_columns(outputs[layer_pass.name], wide)
        right = np.asarray(layer_pass.output, dtype=wide)
        apart = (a != right) & (~np.isfinite(a) if holds and _linear(layer_pass) else _far(a, right, dtype))
        if not holds:  # long double is float64 here: what is infinite in both may be finite in truth
            apart = ~np.isfinite(a)
        for i in np.flatnonzero(apart.reshape(-1, apart.shape[-1]).any(axis=0)):
            place = np.unravel_index(int(np.argmax(apart[..., i])), apart.shape[:-1])
            said = _said(a[..., i][place], right[..., i][place])
            overflowed.setdefault(int(i), (layer_pass.name, said))
        return a

    with np.errstate(all="ignore"):
        x = to_columns(outputs.get(INPUT, X), wide)
        run_forward(network, x, None, wide, PassContext(training=training, follow=follow))
    first = min(overflowed, default=None)
    return None if first is None else (first, *overflowed[first])


def _linear(layer_pass: Pass) -> bool:
    """Whether a number beyond the range shows in the output: a product or sum of it is never finite."""
    return isinstance(layer_pass.layer, Dense | Convolution)


def _far(a: Array, right: Array, dtype: Any) -> Array:
    largest = np.abs(np.where(np.isfinite(right), right, 0)).max(axis=tuple(range(right.ndim - 1)))
    both_none = np.isnan(a) & np.isnan(right)
    far: Array = ~(np.abs(a - right) <= _APART * largest + np.finfo(dtype).tiny) & ~both_none
    return far


def _said(seen: Any, right: Any) -> str:
    """Format strings know no long double beyond float64."""
    if np.isfinite(seen):
        return f"{seen:.3g} where the formula gives {right:.3g}"
    return "NaN" if np.isnan(seen) else f"{seen:.3g}"
