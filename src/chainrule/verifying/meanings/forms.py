"""How somebody's arrays lie beside ours: which axis is the samples', whether channels come first, W
transposed.

Nothing is asked: of all orders of the axes the one is taken under which our formula gives their output.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from chainrule.base.types import Array
from chainrule.verifying.precision import computed_in

Axes = tuple[int, ...]
# Relative to the largest output: forwards that agree so far are the same function.
AGREE = {"float64": 1e-7, "float32": 1e-4, "float16": 3e-2, "bfloat16": 6e-2}
LOOSELY = 1e-3  # those that are the same but for a guard, log(a + 10⁻⁷)


def agreement(arrays: Sequence[Array], precision: str | None = None, loosely: bool = False) -> float:
    """How far forwards that computed these arrays may be apart.  loosely: but for a small constant."""
    return max(AGREE[computed_in(arrays, precision)], LOOSELY if loosely else 0.0)


@dataclass(frozen=True)
class Form:
    """Their array as ours: transposed by `axes`, then of the shape `ours`; theirs: its own shape."""

    axes: Axes
    ours: tuple[int, ...]
    theirs: tuple[int, ...]

    @property
    def turned(self) -> bool:
        """Whether rows, columns and what else comes before the features are in another order than theirs."""
        return list(self.axes[:-2]) != sorted(self.axes[:-2])

    def to_ours(self, array: Array) -> Array:
        return array.transpose(self.axes).reshape(self.ours)

    def to_theirs(self, array: Array) -> Array:
        if array.shape != self.ours and array.ndim == len(self.axes):  # of a wrong formula
            return array.transpose(np.argsort(self.axes))
        moved = [self.theirs[axis] for axis in self.axes]
        return array.reshape(moved).transpose(np.argsort(self.axes))

    def of_shape(self, theirs: Sequence[int], ours: tuple[int, ...] | None = None) -> Form:
        """The same order of the axes for an array of another shape."""
        moved = tuple(theirs[axis] for axis in self.axes)
        return Form(self.axes, moved if ours is None else ours, tuple(theirs))

    def delta(self, delta: Array, z: Array) -> Array:
        """δ of an output of this form, as our z lies."""
        return self.of_shape(delta.shape, z.shape).to_ours(delta.astype(np.float64))


def input_forms(x: Array) -> Iterator[Form]:
    """Orders of x's axes with the samples last; the usual ones first: samples first, then last."""
    if not x.ndim:
        yield Form((), (1, 1), ())
        return
    axes = range(x.ndim)
    usual = (*axes[1:], 0)
    others = sorted(permutations(axes), key=lambda order: order[-1:] != (0,))
    for order in dict.fromkeys([usual, tuple(axes), *others]):
        yield Form(order, tuple(x.shape[axis] for axis in order), x.shape)
    if x.ndim < 2:  # one sample of several numbers, or several samples of one
        yield Form((0,), (1, *x.shape), x.shape)
        yield Form((0,), (*x.shape, 1), x.shape)


def parameter_forms(array: Array, shape: Sequence[int]) -> Iterator[Form]:
    """Orders of the axes that give a parameter's shape; (1, n) and (n, 1) count as (n,)."""
    if array.size != math.prod(shape):
        return
    wanted = _long(shape)
    seen = set()
    for order in _orders(array.shape, shape):
        long = tuple(axis for axis in order if array.shape[axis] != 1)
        if [array.shape[axis] for axis in long] == wanted and long not in seen:
            seen.add(long)
            yield Form(order, tuple(shape), array.shape)


def output_form(out: Array, z: Array, tolerance: float, like: Axes = ()) -> Form | None:
    """The order of out's axes under which it is z, samples last; None where there is none.

    like: the input's order, tried first.
    """
    if z.size != out.size:
        return None
    scale = float(np.abs(z).max(initial=0.0)) or 1.0
    if not np.isfinite(scale):  # anything would be near it
        return None
    for order in _orders(out.shape, z.shape, like):
        if _long([out.shape[axis] for axis in order]) != _long(z.shape):
            continue
        form = Form(order, z.shape, out.shape)
        with np.errstate(invalid="ignore"):
            if np.abs(form.to_ours(out.astype(np.float64)) - z).max(initial=0.0) <= tolerance * scale:
                return form
    return None


def _orders(theirs: Sequence[int], ours: Sequence[int], like: Axes = ()) -> Iterator[Axes]:
    """Orders of theirs, first `like`, then the samples first, then any; of as many axes only those that give
    our shape, so that an axis of size 1 stands where it may grow.
    """
    axes = range(len(theirs))
    usual = [like] if len(like) == len(theirs) else []
    for order in dict.fromkeys([*usual, (*axes[1:], *axes[:1]), *permutations(axes)]):
        if len(theirs) != len(ours) or [theirs[axis] for axis in order] == list(ours):
            yield order


def _long(shape: Sequence[int]) -> list[int]:
    return [size for size in shape if size != 1]
