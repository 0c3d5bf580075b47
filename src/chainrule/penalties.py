"""Penalties on the weights.  Biases are never penalised (seeds 001, 002)."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Any

from chainrule.errors import describe
from chainrule.formulas import sum_entries
from chainrule.scalars import finite_number


@dataclass(frozen=True)
class Penalty:
    """Base of all penalties: `value` and `gradient` of one weight array, m = size of the training set."""

    def value(self, W: Any, training_size: Any) -> Any:
        """What is added to J for W, a number."""
        raise NotImplementedError(f"{type(self).__name__} must define value(self, W, training_size)")

    def gradient(self, W: Any, training_size: Any) -> Any:
        """∂(value)/∂W, of W's shape."""
        raise NotImplementedError(f"{type(self).__name__} must define gradient(self, W, training_size)")


@dataclass(frozen=True)
class L2(Penalty):
    """λ/2 · ΣW² with gradient λ W (seed 001); per_sample=True: λ/(2m) · ΣW², (λ/m) W (seed 002, Nielsen).

    m is the size of the whole training set, whatever the batch.
    """

    lam: float
    per_sample: bool = False

    def __post_init__(self) -> None:
        if not finite_number(self.lam) or self.lam < 0:
            raise ValueError(f"L2 lam must be a finite number of at least 0, received {describe(self.lam)}")

    def value(self, W: Any, training_size: Any) -> Any:
        return (self.lam / (2 * training_size) if self.per_sample else self.lam / 2) * sum_entries(W**2)

    def gradient(self, W: Any, training_size: Any) -> Any:
        return (self.lam / training_size if self.per_sample else self.lam) * W


def penalty_from(value: Any) -> Penalty | None:
    """The penalty itself; TypeError if it is not one: a bare λ does not say whether it is divided by m."""
    if value is None or isinstance(value, Penalty):
        return value
    raise TypeError(
        f"penalty must be L2(1e-4), L2(1e-4, per_sample=True) or None, received {describe(value)}"
    )


def training_size_from(value: Any, samples: int) -> int:
    """m as an int of at least 1; None: the number of samples at hand."""
    if value is None:
        return samples
    if isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 1:
        return int(value)
    raise ValueError(
        "training_size must be the number of samples of the training set, at least 1, or None, received "
        f"{describe(value)}"
    )
