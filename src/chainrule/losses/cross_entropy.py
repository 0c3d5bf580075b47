"""The cross-entropies, each one formula with its output activation: the residual is a - y (Dezeming)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chainrule.base.keywords import teach
from chainrule.base.scalars import check_number
from chainrule.formulas import (
    count_features,
    exp,
    largest_feature,
    log1p,
    max_features,
    maximum,
    named,
    sum_features,
    sum_outputs,
    xlogy,
)
from chainrule.layers import Sigmoid, Softmax
from chainrule.losses.base import PAIRS, Loss


@teach()
@dataclass(frozen=True, repr=False)
class BinaryCrossEntropy(Loss):
    """-Σ_k (y log a + (1 - y) log(1 - a)), summed over the outputs (Dezeming); y in [0, 1].

    label_smoothing = ε trains towards y' = (1 - ε) y + ε/2 instead of y: the residual is a - y'.
    """

    label_smoothing: float = 0.0

    output = Sigmoid
    targets = (0.0, 1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_smoothing(self)

    def prepared(self, y: Any) -> Any:
        return (1 - self.label_smoothing) * y + self.label_smoothing / 2 if self.label_smoothing else y

    def value(self, a: Any, y: Any) -> Any:
        return -sum_outputs(xlogy(y, a) + xlogy(1 - y, 1 - a))

    def gradient(self, a: Any, y: Any) -> Any:
        return (1 - y) / (1 - a) - y / a

    def residual(self, a: Any, y: Any) -> Any:
        return a - y

    def value_from_z(self, z: Any, y: Any) -> Any:
        # Terms of one sign: max(z, 0) - z y would lose the digits of a certain and right prediction.
        return sum_outputs(maximum(z, 0) * (1 - y) + maximum(-z, 0) * y + log1p(exp(-abs(z))))


@teach()
@dataclass(frozen=True, repr=False)
class CrossEntropy(Loss):
    """-Σ_k y_k log a_k, categorical; every column of y sums to 1 (one-hot or soft).

    label_smoothing = ε trains towards y' = (1 - ε) y + ε/K, K the number of classes (Szegedy et al. 2016),
    instead of y: the residual is a - y'.
    """

    label_smoothing: float = 0.0

    output = Softmax

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_smoothing(self)

    def prepared(self, y: Any) -> Any:
        if not self.label_smoothing:
            return y
        return (1 - self.label_smoothing) * y + self.label_smoothing / count_features(y)

    def value(self, a: Any, y: Any) -> Any:
        return -sum_outputs(xlogy(y, a))

    def gradient(self, a: Any, y: Any) -> Any:
        return -(y / a)

    def residual(self, a: Any, y: Any) -> Any:
        return a - y

    def value_from_z(self, z: Any, y: Any) -> Any:
        # log Σ e^s = log(1 + r): the largest z has e^s = 1, which would swallow an r below a rounding.
        s = named("s", z - max_features(z))
        r = sum_features((1 - largest_feature(z)) * exp(s))
        return sum_outputs(y * (log1p(r) - s))


def _check_smoothing(loss: Any) -> None:
    name = f"{type(loss).__name__} label_smoothing"
    check_number(name, loss.label_smoothing, 0, 1, include_low=True, hint="write 0.1")


PAIRS.update({Sigmoid: BinaryCrossEntropy, Softmax: CrossEntropy})
