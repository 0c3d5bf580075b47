"""Distances of a from y: squared, absolute, and Huber's mixture of the two, summed over the outputs; of
directions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, describe
from chainrule.base.keywords import teach
from chainrule.base.scalars import finite_number
from chainrule.formulas import (
    count_outputs,
    greater,
    max_features,
    maximum,
    minimum,
    named,
    ratio,
    sqrt,
    sum_features,
    sum_outputs,
)
from chainrule.losses.base import Loss


@teach()
@dataclass(frozen=True)
class SquaredError(Loss):
    """½ ‖a - y‖², summed over the outputs (Ning Yu, Matrix notes); mean_outputs=True: over their number."""

    mean_outputs: bool = False

    def value(self, a: Any, y: Any) -> Any:
        total = sum_outputs((a - y) ** 2)
        return total / (2 * count_outputs(a)) if self.mean_outputs else 0.5 * total

    def gradient(self, a: Any, y: Any) -> Any:
        return (a - y) / count_outputs(a) if self.mean_outputs else a - y


@teach()
@dataclass(frozen=True)
class MeanAbsoluteError(Loss):
    """Σ_k |a_k - y_k|, summed over the outputs, mean over the samples; mean_outputs=True divides by the
    number of outputs. The derivative at a = y is 0.
    """

    mean_outputs: bool = False

    def value(self, a: Any, y: Any) -> Any:
        total = sum_outputs(abs(a - y))
        return total / count_outputs(a) if self.mean_outputs else total

    def gradient(self, a: Any, y: Any) -> Any:
        sign = greater(a, y) - greater(y, a)
        return sign / count_outputs(a) if self.mean_outputs else sign

    def branches(self, a: Any, y: Any) -> Any:
        return a > y


@teach()
@dataclass(frozen=True)
class Huber(Loss):
    """½ e² where |e| ≤ δ, δ |e| - ½ δ² beyond, e = a - y (Huber 1964); mean_outputs as in SquaredError.

    In one formula: κ (e - κ/2) with κ = e cut off at ±δ, which is also the gradient.
    """

    delta: float = 1.0
    mean_outputs: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not finite_number(self.delta) or self.delta <= 0:
            raise ArgumentError(f"Huber delta must be a positive number, received {describe(self.delta)}")

    def _cut(self, a: Any, y: Any) -> Any:
        return named("κ", minimum(maximum(a - y, -self.delta), self.delta))

    def value(self, a: Any, y: Any) -> Any:
        cut = self._cut(a, y)
        total = sum_outputs(cut * (a - y - cut / 2))
        return total / count_outputs(a) if self.mean_outputs else total

    def gradient(self, a: Any, y: Any) -> Any:
        cut = self._cut(a, y)
        return cut / count_outputs(a) if self.mean_outputs else cut

    def branches(self, a: Any, y: Any) -> Any:
        return np.stack([a - y > self.delta, y - a > self.delta])


@teach()
@dataclass(frozen=True, repr=False)
class CosineDistance(Loss):
    """1 - cos of the angle between a and y, (Σ a y) / (‖a‖ ‖y‖) over the outputs of a sample, or of every
    step, whose distances are added up. Where a or y is 0 the cosine and its derivative are 0.

    Both are divided by their largest magnitude first, against squares beyond the range: u and v.
    """

    def value(self, a: Any, y: Any) -> Any:
        return sum_outputs(1 - self._cosine(a, y)[0])

    def gradient(self, a: Any, y: Any) -> Any:
        cosine, e, f, length = self._cosine(a, y)
        return ratio(ratio(cosine * e - f, length), max_features(abs(a)))

    def _cosine(self, a: Any, y: Any) -> tuple[Any, Any, Any, Any]:
        """The cosine, a and y of length 1, and the length of u."""
        u, v = (named(name, ratio(x, max_features(abs(x)))) for name, x in (("u", a), ("v", y)))
        r, s = named("r", sqrt(sum_features(u**2))), named("s", sqrt(sum_features(v**2)))
        e, f = named("e", ratio(u, r)), named("f", ratio(v, s))
        return named("c", sum_features(e * f)), e, f, r
