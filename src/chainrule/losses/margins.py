"""Margins: nothing to gain beyond a margin of 1.  Given targets 0 and 1 become -1 and +1 where a margin needs
a sign.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from chainrule.base.errors import PairError
from chainrule.base.keywords import teach
from chainrule.base.scalars import check_number
from chainrule.formulas import (
    count_features,
    count_outputs,
    exp,
    greater,
    largest_feature,
    log1p,
    max_features,
    maximum,
    named,
    sum_features,
    sum_outputs,
)
from chainrule.layers import Layer, Sigmoid, Softmax
from chainrule.losses.base import Loss, Takes


@dataclass(frozen=True, repr=False)
class _Margin(Loss):
    squared: bool = False

    def check_output(self, network_layers: Sequence[Layer]) -> None:
        super().check_output(network_layers)
        _check_unbounded(self, network_layers[-1])


@teach()
@dataclass(frozen=True)
class Hinge(_Margin):
    """Σ_k max(0, 1 - y_k a_k) with y = ±1; squared=True: the square of each term.

    For two classes the network ends in Dense(1); labels may be any two, -1 and +1 among them. Several outputs
    are one-vs-rest. The derivative where y a = 1 is 0. For one sum over all classes see CategoricalHinge.
    """

    targets = (0.0, 1.0)
    takes: ClassVar[Takes] = "signs"

    def prepared(self, y: Any) -> Any:
        return 2 * y - 1

    def value(self, a: Any, y: Any) -> Any:
        lack = maximum(1 - y * a, 0)
        return sum_outputs(lack**2 if self.squared else lack)

    def gradient(self, a: Any, y: Any) -> Any:
        return -2 * (y * maximum(1 - y * a, 0)) if self.squared else -(y * greater(1, y * a))

    def branches(self, a: Any, y: Any) -> Any:
        return y * a < 1


@teach()
@dataclass(frozen=True)
class CategoricalHinge(_Margin):
    """max(0, 1 + max_{k≠t} a_k - a_t), t the class of the sample (Crammer, Singer 2001); squared=True: its
    square.

    In one formula: max_k (a_k + 1 - y_k) - Σ_k y_k a_k with one-hot y. At a tie the first class has the
    gradient.
    """

    takes: ClassVar[Takes] = "classes"

    def _lack(self, a: Any, y: Any) -> Any:
        return named("κ", max_features(a + 1 - y) - sum_features(y * a))

    def value(self, a: Any, y: Any) -> Any:
        lack = self._lack(a, y)
        return sum_outputs(lack**2 if self.squared else lack)

    def gradient(self, a: Any, y: Any) -> Any:
        step = largest_feature(a + 1 - y) - y
        return 2 * self._lack(a, y) * step if self.squared else step

    def branches(self, a: Any, y: Any) -> Any:
        return (a + 1 - y).argmax(axis=-2)


@teach()
@dataclass(frozen=True, repr=False)
class MultiMargin(_Margin):
    """Σ_{k≠t} max(0, margin + a_k - a_t), t the class of the sample (Weston, Watkins 1999; the SVM of
    CS231n); squared=True: the square of each term; mean_outputs=True: divided by the number of classes, as
    PyTorch does.

    In one formula: the class itself has max(0, a_t - a_t) = 0. The derivative at the margin is 0.
    """

    margin: float = 1.0
    mean_outputs: bool = False

    takes: ClassVar[Takes] = "classes"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("MultiMargin margin", self.margin)

    def _lack(self, a: Any, y: Any) -> Any:
        return named("κ", a - sum_features(y * a) + self.margin * (1 - y))

    def value(self, a: Any, y: Any) -> Any:
        lack = maximum(self._lack(a, y), 0)
        total = sum_outputs(lack**2 if self.squared else lack)
        return total / count_features(a) if self.mean_outputs else total

    def gradient(self, a: Any, y: Any) -> Any:
        lack = self._lack(a, y)
        over = named("I", 2 * maximum(lack, 0) if self.squared else greater(lack, 0))
        step = over - y * sum_features(over)
        return step / count_features(a) if self.mean_outputs else step

    def branches(self, a: Any, y: Any) -> Any:
        return self._lack(a, y) > 0


@teach()
@dataclass(frozen=True, repr=False)
class SoftMargin(Loss):
    """Σ_k log(1 + e^{-y_k a_k}) with y = ±1: the logistic loss of outputs that are no probabilities.

    Labels as of `Hinge`. mean_outputs=True divides by the number of outputs, as PyTorch does.
    """

    mean_outputs: bool = False

    targets = (0.0, 1.0)
    takes: ClassVar[Takes] = "signs"

    def check_output(self, network_layers: Sequence[Layer]) -> None:
        super().check_output(network_layers)
        _check_unbounded(self, network_layers[-1])

    def prepared(self, y: Any) -> Any:
        return 2 * y - 1

    def value(self, a: Any, y: Any) -> Any:
        m = named("m", y * a)
        total = sum_outputs(maximum(-m, 0) + log1p(exp(-abs(m))))
        return total / count_outputs(a) if self.mean_outputs else total

    def gradient(self, a: Any, y: Any) -> Any:
        slope = -(y / (1 + exp(y * a)))
        return slope / count_outputs(a) if self.mean_outputs else slope


def _check_unbounded(loss: Loss, last: Layer) -> None:
    if isinstance(last, (Sigmoid, Softmax)):
        raise PairError(
            f"{type(loss).__name__} wants outputs of any size, and those of {last!r} lie "
            "between 0 and 1: end the network in its last Dense layer"
        )
