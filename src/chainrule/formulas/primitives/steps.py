"""Primitives of attention: within every sample, the steps of a sequence (T, features, m) as a matrix.

With heads the features are divided among them: (heads, T, features / heads, m), and a matrix of every step
with every step is (heads, T, T, m).
"""

# mypy: disable-error-code="has-type"
# (mypy infers a primitive after its decorator's arguments, which name primitives further down; all are Any)

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.formulas.primitives.declaring import primitive
from chainrule.formulas.rules import Trait


@primitive(
    wrong="unmoved", layout=("function", "heads"), entry="split_heads",
    adjoint=lambda d, y, x, heads: (join_heads(d, heads=heads),),
)
def split_heads(x: Any, *, heads: int) -> Any:
    """(T, F, m) -> (heads, T, F / heads, m): the first F / heads features are those of head 1."""
    steps, features, samples = x.shape
    return np.moveaxis(x.reshape(steps, heads, features // heads, samples), 1, 0)


@primitive(
    wrong="unmoved", layout=("inverse_function", "heads"), entry="join_heads",
    adjoint=lambda d, y, x, heads: (split_heads(d, heads=heads),),
)
def join_heads(x: Any, *, heads: int) -> Any:
    """(heads, T, F / heads, m) -> (T, F, m): the adjoint of split_heads."""
    return np.moveaxis(x, 0, 1).reshape(x.shape[1], heads * x.shape[2], x.shape[-1])


@primitive(
    wrong="swapped unit:0 unit:1", layout="step_products", entry="step_products", traits={Trait.PRODUCT},
    adjoint=lambda d, y, a, b: (mix_steps(d, b), mix_steps(swap_steps(d), a)),
)
def step_products(a: Any, b: Any) -> Any:
    """Every step of a with every step of b, a bᵀ: (..., T, n, m), (..., S, n, m) -> (..., T, S, m)."""
    return np.einsum("...tnm,...snm->...tsm", a, b)


@primitive(
    layout="matmul", entry="mix_steps", traits={Trait.PRODUCT},
    adjoint=lambda d, y, a, x: (step_products(d, x), mix_steps(swap_steps(a), d)),
)
def mix_steps(a: Any, x: Any) -> Any:
    """Sums of the steps of x with weights a: (..., T, S, m), (..., S, n, m) -> (..., T, n, m)."""
    return np.einsum("...tsm,...snm->...tnm", a, x)


@primitive(wrong="only:0", layout="transpose", entry="swap_steps", adjoint=lambda d, y, a: (swap_steps(d),))
def swap_steps(a: Any) -> Any:
    """The transpose of every sample's matrix: (..., T, S, m) -> (..., S, T, m)."""
    return np.swapaxes(a, -3, -2)


@primitive(wrong="strictly one_more aligned", layout="not_later", adjoint=lambda d, y, s: (None,))
def not_later(s: Any) -> Any:
    """[k ≤ i] for step i and key k, (T, T, 1): a step sees itself and those before it."""
    steps, keys = np.shape(s)[-3:-1]
    return (np.arange(keys) <= np.arange(steps)[:, None]).astype(s.dtype)[..., None]


@primitive(layout="seen_by", adjoint=lambda d, y, s, mask: (None,))
def seen_by(s: Any, *, mask: tuple[tuple[bool, ...], ...]) -> Any:
    """[query i sees key k] of every sample, (T, S, 1), as the rows of `mask` say."""
    return np.array(mask).astype(s.dtype)[..., None]


@primitive(
    layout=("function", "repeat"), entry="repeat_heads",
    adjoint=lambda d, y, x, times: (sum_heads(d, times=times),),
)
def repeat_heads(x: Any, *, times: int) -> Any:
    """(heads, T, n, m) -> (heads · times, T, n, m): every head so often, one behind the other."""
    return np.repeat(x, times, axis=0)


@primitive(
    layout=("function", "sum"), entry="sum_heads",
    adjoint=lambda d, y, x, times: (repeat_heads(d, times=times),),
)
def sum_heads(x: Any, *, times: int) -> Any:
    """(heads · times, T, n, m) -> (heads, T, n, m): the adjoint of repeat_heads."""
    return x.reshape(-1, times, *x.shape[1:]).sum(axis=1)


@primitive(
    layout="turned", entry="turned",
    adjoint=lambda d, y, x, base, back=False: (turned(d, base=base, back=not back),),
)
def turned(x: Any, *, base: float, back: bool = False) -> Any:
    """Rotary positions: features k and k + n/2 of step t, from 0, turned by the angle t / base^(2k/n) as a
    point of a plane; (..., T, n, m). back: by as much the other way, which is the adjoint.
    """
    cosine, sine = turns(x.shape[-3], x.shape[-2], base, back)
    first, second = np.split(x, 2, axis=-2)
    cosine, sine = (part.astype(x.dtype)[..., None] for part in (cosine, sine))
    return np.concatenate([first * cosine - second * sine, second * cosine + first * sine], axis=-2)


def turns(steps: int, features: int, base: float, back: bool = False) -> tuple[Any, Any]:
    """(cosine, sine) of the angles of `turned`: (steps, features / 2)."""
    angles = np.arange(steps)[:, None] * base ** (-np.arange(0, features, 2) / features)
    return np.cos(angles), (-1 if back else 1) * np.sin(angles)
