"""Likelihoods of log-probabilities, and of a normal distribution whose variance the network gives too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from chainrule.base.errors import PairError
from chainrule.base.keywords import teach
from chainrule.formulas import beside, exp, gate, named, sum_outputs, xlogy
from chainrule.layers import Layer, LogSoftmax, Sigmoid, Softmax
from chainrule.losses.base import PAIRS, Loss, Takes
from chainrule.losses.weighing import OfClasses

HALVES = "12"  # the mean and the logarithm of the variance, one above the other


def check_log_probabilities(loss: Loss, last: Layer) -> None:
    if not isinstance(last, LogSoftmax):
        raise PairError(
            f"{type(loss).__name__} takes logarithms of probabilities, and the network ends in {last!r}: "
            "end it "
            "in LogSoftmax(), or write CrossEntropy() for a network that ends in Softmax()"
        )


@teach()
@dataclass(frozen=True, repr=False)
class NegativeLogLikelihood(OfClasses):
    """-Σ_k y_k a_k of log-probabilities a: end the network in LogSoftmax(). Options as of CrossEntropy."""

    def check_output(self, network_layers: Sequence[Layer]) -> None:
        check_log_probabilities(self, network_layers[-1])

    def value(self, a: Any, y: Any) -> Any:
        return -sum_outputs(y * a)

    def gradient(self, a: Any, y: Any) -> Any:
        return -y


@teach()
@dataclass(frozen=True, repr=False)
class KLDivergence(OfClasses):
    """Σ_k y_k (log y_k - a_k) of log-probabilities a, with 0 log 0 = 0: end the network in LogSoftmax().

    y: rows of probabilities, or labels. Options as of CrossEntropy.
    """

    def check_output(self, network_layers: Sequence[Layer]) -> None:
        check_log_probabilities(self, network_layers[-1])

    def value(self, a: Any, y: Any) -> Any:
        return sum_outputs(xlogy(y, y) - y * a)

    def gradient(self, a: Any, y: Any) -> Any:
        return -y


@teach()
@dataclass(frozen=True, repr=False)
class GaussianNLL(Loss):
    """½ Σ_k (s_k + (μ_k - y_k)² / e^{s_k}): the first half of the outputs are means μ, the second logarithms
    s of variances (Nix, Weigend 1994). End the network in Dense(2 K) for K numbers per sample.
    """

    outputs_per_target: ClassVar[int] = 2
    takes: ClassVar[Takes] = "numbers"

    def check_output(self, network_layers: Sequence[Layer]) -> None:
        super().check_output(network_layers)
        if isinstance(network_layers[-1], (Sigmoid, Softmax, LogSoftmax)):
            raise PairError(
                "GaussianNLL takes means and logarithms of variances, which may be any numbers, and the "
                "network "
                f"ends in {network_layers[-1]!r}: end it in its last Dense layer"
            )

    def _parts(self, a: Any, y: Any) -> tuple[Any, Any]:
        """(μ - y, s)"""
        mean, target = gate(a, gate="1", gates=HALVES), gate(y, gate="1", gates=HALVES)
        return mean - target, gate(a, gate="2", gates=HALVES)

    def value(self, a: Any, y: Any) -> Any:
        e, s = self._parts(a, y)
        return 0.5 * sum_outputs(s + e**2 * exp(-s))

    def gradient(self, a: Any, y: Any) -> Any:
        e, s = self._parts(a, y)
        share = named("q", e * exp(-s))
        return beside(share, named("h", 0.5 * (1 - share * e)))


PAIRS[LogSoftmax] = NegativeLogLikelihood
