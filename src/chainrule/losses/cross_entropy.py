"""The cross-entropies, each one formula with its output activation: the residual is a - y (Dezeming)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from chainrule.base.errors import ArgumentError, describe
from chainrule.base.keywords import teach
from chainrule.base.scalars import check_number, finite_number
from chainrule.formulas import (
    count_outputs,
    exp,
    largest_feature,
    log1p,
    max_features,
    maximum,
    named,
    per_feature,
    sum_features,
    sum_outputs,
    xlogy,
)
from chainrule.layers import Sigmoid, Softmax
from chainrule.losses.base import PAIRS, Loss, Takes
from chainrule.losses.weighing import OfClasses, check_length, check_weights_of


@teach()
@dataclass(frozen=True, repr=False)
class BinaryCrossEntropy(Loss):
    """-Σ_k (y log a + (1 - y) log(1 - a)), summed over the outputs (Dezeming); y in [0, 1].

    label_smoothing = ε trains towards y' = (1 - ε) y + ε/2 instead of y: the residual is a - y'.
    pos_weight: p, a number, or one for every output: p y log a, as if what is there were there p times; the
    residual is (1 - y) a - p y (1 - a).  output_weight: w, a number for every output, which multiplies its
    term. mean_outputs=True divides by the number of outputs.
    """

    label_smoothing: float = 0.0
    pos_weight: Any = None
    output_weight: Any = None
    mean_outputs: bool = False

    output = Sigmoid
    targets = (0.0, 1.0)
    takes: ClassVar[Takes] = "levels"

    def __post_init__(self) -> None:
        super().__post_init__()
        name = f"{type(self).__name__} label_smoothing"
        check_number(name, self.label_smoothing, 0, 1, include_low=True, hint="write 0.1")
        if finite_number(self.pos_weight):
            check_number(f"{type(self).__name__} pos_weight", self.pos_weight)
            object.__setattr__(self, "pos_weight", float(self.pos_weight))
        elif isinstance(self.pos_weight, (str, bool, float)):
            raise ArgumentError(
                f"{type(self).__name__} pos_weight must be a number, such as 5.0, or one for every output, "
                f"received {describe(self.pos_weight)}"
            )
        else:
            check_weights_of(self, "pos_weight")
        check_weights_of(self, "output_weight")

    def prepared(self, y: Any) -> Any:
        if self.pos_weight is not None or self.output_weight is not None:
            check_length(self, "pos_weight", y.shape[-2])
            check_length(self, "output_weight", y.shape[-2])
        return (1 - self.label_smoothing) * y + self.label_smoothing / 2 if self.label_smoothing else y

    @property
    def weighs(self) -> bool:
        """Whether terms count differently."""
        return self.pos_weight is not None or self.output_weight is not None

    def shares(self, outputs: int) -> tuple[Any, Any]:
        """What y and 1 - y of every output are multiplied by, (outputs,) each: what kernels take."""
        share = np.ones(outputs) if self.output_weight is None else np.asarray(self.output_weight)
        return share * (1.0 if self.pos_weight is None else np.asarray(self.pos_weight)), share

    def value(self, a: Any, y: Any) -> Any:
        there, other = self._positive(xlogy(y, a)), xlogy(1 - y, 1 - a)
        return -self._total(self._weighed(there + other), a)

    def gradient(self, a: Any, y: Any) -> Any:
        return self._averaged(self._weighed((1 - y) / (1 - a) - self._positive(y / a)), a)

    def residual(self, a: Any, y: Any) -> Any:
        if self.pos_weight is None:
            return self._averaged(self._weighed(a - y), a)
        return self._averaged(self._weighed((1 - y) * a - self._positive(y * (1 - a))), a)

    def value_from_z(self, z: Any, y: Any) -> Any:
        # Terms of one sign: max(z, 0) - z y would lose the digits of a certain and right prediction.
        if self.pos_weight is None:
            terms = maximum(z, 0) * (1 - y) + maximum(-z, 0) * y + log1p(exp(-abs(z)))
        else:
            p = named("p", self._positive(y))
            terms = maximum(z, 0) * (1 - y) + maximum(-z, 0) * p + (1 - y + p) * log1p(exp(-abs(z)))
        return self._total(self._weighed(terms), z)

    def _positive(self, terms: Any) -> Any:
        if self.pos_weight is None:
            return terms
        if isinstance(self.pos_weight, float):
            return self.pos_weight * terms
        return per_feature(terms, weights=self.pos_weight, letter="p") * terms

    def _weighed(self, terms: Any) -> Any:
        if self.output_weight is None:
            return terms
        return per_feature(terms, weights=self.output_weight, letter="w") * terms

    def _total(self, terms: Any, a: Any) -> Any:
        return self._averaged(sum_outputs(terms), a)

    def _averaged(self, value: Any, a: Any) -> Any:
        return value / count_outputs(a) if self.mean_outputs else value


@teach()
@dataclass(frozen=True, repr=False)
class CrossEntropy(OfClasses):
    """-Σ_k y_k log a_k, categorical; every column of y sums to 1 (one-hot or soft).

    label_smoothing = ε trains towards y' = (1 - ε) y + ε/K, K the number of classes (Szegedy et al. 2016),
    instead of y: the residual is a - y'.
    class_weight: a number for every class, in the order of the outputs: y'_k = w_k y_k, also of soft targets
    and at every step; it is not scaled to mean 1. ignore_index: the label of samples or steps that do not
    count (-100, say): their row of y' is 0. mean_steps=True divides by the number of steps of the sample that
    count. With any of these the residual is a Σ_k y'_k - y'.
    """

    output = Softmax

    def value(self, a: Any, y: Any) -> Any:
        return -sum_outputs(xlogy(y, a))

    def gradient(self, a: Any, y: Any) -> Any:
        return -(y / a)

    def residual(self, a: Any, y: Any) -> Any:
        return a - y if self.affine else a * sum_features(y) - y

    def value_from_z(self, z: Any, y: Any) -> Any:
        # log Σ e^s = log(1 + r): the largest z has e^s = 1, which would swallow an r below a rounding.
        s = named("s", z - max_features(z))
        r = sum_features((1 - largest_feature(z)) * exp(s))
        return sum_outputs(y * (log1p(r) - s))


PAIRS.update({Sigmoid: BinaryCrossEntropy, Softmax: CrossEntropy})
