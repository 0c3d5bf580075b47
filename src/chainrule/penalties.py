"""Penalties on the weights.  Biases are never penalised (seeds 001, 002)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from chainrule.formulas import sum_entries


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
        bad = isinstance(self.lam, bool) or not isinstance(self.lam, (int, float))
        if bad or not math.isfinite(self.lam) or self.lam < 0:
            raise ValueError(f"L2 lam must be a finite number of at least 0, received {self.lam!r}")

    def value(self, W: Any, training_size: Any) -> Any:
        return (self.lam / (2 * training_size) if self.per_sample else self.lam / 2) * sum_entries(W**2)

    def gradient(self, W: Any, training_size: Any) -> Any:
        return (self.lam / training_size if self.per_sample else self.lam) * W
