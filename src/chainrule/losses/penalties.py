"""Penalties on the weights.  Biases are never penalised (Ning Yu, Dezeming)."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Any

from chainrule.base.errors import ArgumentError, describe
from chainrule.base.keywords import teach
from chainrule.base.scalars import check_flags, check_number
from chainrule.formulas import greater, sum_entries


@dataclass(frozen=True)
class Penalty:
    """Base of all penalties: `value` and `gradient` of one weight array, m = size of the training set."""

    def __post_init__(self) -> None:
        check_flags(self)

    def value(self, W: Any, training_size: Any) -> Any:
        """What is added to J for W, a number."""
        raise NotImplementedError(f"{type(self).__name__} must define value(self, W, training_size)")

    def gradient(self, W: Any, training_size: Any) -> Any:
        """∂(value)/∂W, of W's shape."""
        raise NotImplementedError(f"{type(self).__name__} must define gradient(self, W, training_size)")

    def branches(self, W: Any) -> Any:
        """Which branch of a piecewise formula is taken, as `Layer.branches`; None if it is smooth."""
        return None


@teach()
@dataclass(frozen=True)
class L2(Penalty):
    """λ/2 · ΣW² with gradient λ W (Ning Yu); per_sample=True: λ/(2m) · ΣW², (λ/m) W (Dezeming, Nielsen).

    m is the size of the whole training set, whatever the batch.
    """

    lam: float
    per_sample: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        _check(self, "lam")

    def value(self, W: Any, training_size: Any) -> Any:
        return (self.lam / (2 * training_size) if self.per_sample else self.lam / 2) * sum_entries(W**2)

    def gradient(self, W: Any, training_size: Any) -> Any:
        return (self.lam / training_size if self.per_sample else self.lam) * W


@teach()
@dataclass(frozen=True)
class L1(Penalty):
    """λ · Σ|W| with gradient λ sign W, 0 at 0; per_sample=True: both divided by m, as L2 has it."""

    lam: float
    per_sample: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        _check(self, "lam")

    def value(self, W: Any, training_size: Any) -> Any:
        return (self.lam / training_size if self.per_sample else self.lam) * sum_entries(abs(W))

    def gradient(self, W: Any, training_size: Any) -> Any:
        return (self.lam / training_size if self.per_sample else self.lam) * (greater(W, 0) - greater(0, W))

    def branches(self, W: Any) -> Any:
        return W > 0


@teach()
@dataclass(frozen=True)
class ElasticNet(Penalty):
    """L1(l1) and L2(l2) together (Zou, Hastie 2005): l1 · Σ|W| + l2/2 · ΣW²; per_sample=True: divided by m.

    scikit-learn's alpha and l1_ratio are l1 = alpha · l1_ratio and l2 = alpha · (1 - l1_ratio).
    """

    l1: float
    l2: float
    per_sample: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        _check(self, "l1", "l2")

    def value(self, W: Any, training_size: Any) -> Any:
        total = self.l1 * sum_entries(abs(W)) + self.l2 / 2 * sum_entries(W**2)
        return total / training_size if self.per_sample else total

    def gradient(self, W: Any, training_size: Any) -> Any:
        total = self.l1 * (greater(W, 0) - greater(0, W)) + self.l2 * W
        return total / training_size if self.per_sample else total

    def branches(self, W: Any) -> Any:
        return W > 0


def _check(penalty: Any, *names: str) -> None:
    for name in names:
        check_number(f"{type(penalty).__name__} {name}", getattr(penalty, name), include_low=True)


def penalty_from(value: Any) -> Penalty | None:
    """The penalty itself; TypeError if it is not one: a bare λ does not say whether it is divided by m."""
    if value is None or isinstance(value, Penalty):
        return value
    raise TypeError(
        "penalty must be L2(1e-4), L2(1e-4, per_sample=True), L1(1e-5), ElasticNet(1e-5, 1e-4) or None, "
        f"received {describe(value)}"
    )


def training_size_from(value: Any, samples: int) -> int:
    """m as an int of at least 1; None: the number of samples at hand."""
    if value is None:
        return samples
    if isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 1:
        return int(value)
    raise ArgumentError(
        "training_size must be the number of samples of the training set, at least 1, or None, received "
        f"{describe(value)}"
    )


def __getattr__(name: str) -> Any:
    from chainrule.base.attributes import absent

    raise absent(__name__, name, (key for key in globals() if key[:1].isupper()))
