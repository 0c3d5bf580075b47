"""Losses that are none of ours and that people write backwards of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.formulas import log, sum_features, sum_outputs, xlogy
from chainrule.losses import CrossEntropy, Loss


@dataclass(frozen=True, repr=False)
class CountedCrossEntropy(CrossEntropy):
    """Cross-entropy of classes that have weights, and without the samples of the class `ignore_index`: y is
    the weight at the class, 0 everywhere for what is ignored.
    """

    weight: Sequence[float] | None = None
    ignore_index: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.weight is not None:
            object.__setattr__(self, "weight", tuple(float(value) for value in self.weight))

    def prepared(self, y: Any) -> Any:
        y = super().prepared(y)
        return y if self.weight is None else y * np.reshape(self.weight, (-1, *(1,) * (y.ndim - 1)))

    def gradient(self, a: Any, y: Any) -> Any:
        return -(y / a)

    def residual(self, a: Any, y: Any) -> Any:
        return sum_features(y) * a - y


@dataclass(frozen=True)
class Focal(Loss):
    """-Σ_k y_k (1 - a_k)^γ log a_k (Lin et al. 2017), y one-hot."""

    gamma: float = 2.0

    def value(self, a: Any, y: Any) -> Any:
        return -sum_outputs((1 - a) ** self.gamma * xlogy(y, a))

    def gradient(self, a: Any, y: Any) -> Any:
        slope = self.gamma * (1 - a) ** (self.gamma - 1) * log(a)
        return y * (slope - (1 - a) ** self.gamma / a)


@dataclass(frozen=True)
class BinaryFocal(Loss):
    """The same of yes and no."""

    gamma: float = 2.0

    def value(self, a: Any, y: Any) -> Any:
        return -sum_outputs((1 - a) ** self.gamma * xlogy(y, a) + a**self.gamma * xlogy(1 - y, 1 - a))

    def gradient(self, a: Any, y: Any) -> Any:
        g = self.gamma
        yes = y * (g * (1 - a) ** (g - 1) * log(a) - (1 - a) ** g / a)
        return yes + (1 - y) * (a**g / (1 - a) - g * a ** (g - 1) * log(1 - a))


@dataclass(frozen=True)
class Divergence(Loss):
    """Σ_k y_k log(y_k / a_k), Kullback and Leibler's, of probabilities a; `logs`: a are their logarithms."""

    logs: bool = False

    def value(self, a: Any, y: Any) -> Any:
        return sum_outputs(xlogy(y, y) - (y * a if self.logs else xlogy(y, a)))

    def gradient(self, a: Any, y: Any) -> Any:
        return -y if self.logs else -(y / a)
