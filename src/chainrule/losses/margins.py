"""Margins: nothing to gain beyond a margin of 1.  Given targets 0 and 1 become -1 and +1 where a margin needs
a sign.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chainrule.base.errors import PairError
from chainrule.base.keywords import teach
from chainrule.formulas import (
    greater,
    largest_feature,
    max_features,
    maximum,
    named,
    sum_features,
    sum_outputs,
)
from chainrule.layers import Layer, Sigmoid, Softmax
from chainrule.losses.base import Loss


@dataclass(frozen=True)
class _Margin(Loss):
    squared: bool = False

    def check_output(self, network_layers: Sequence[Layer]) -> None:
        super().check_output(network_layers)
        if isinstance(network_layers[-1], (Sigmoid, Softmax)):
            raise PairError(
                f"{type(self).__name__} wants outputs of any size, and those of {network_layers[-1]!r} lie "
                "between 0 and 1: end the network in its last Dense layer"
            )


@teach()
@dataclass(frozen=True)
class Hinge(_Margin):
    """Σ_k max(0, 1 - y_k a_k) with y = ±1; squared=True: the square of each term.

    For two classes the network ends in Dense(1); labels may be any two, -1 and +1 among them. Several outputs
    are one-vs-rest. The derivative where y a = 1 is 0. For one sum over all classes see CategoricalHinge.
    """

    targets = (0.0, 1.0)

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
