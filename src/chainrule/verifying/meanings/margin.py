"""The multi-class margin, which is no loss of ours and which people write backwards of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chainrule.formulas import greater, maximum, named, sum_features, sum_outputs
from chainrule.losses import Loss


@dataclass(frozen=True)
class MultiMargin(Loss):
    """Σ_{j≠t} max(0, margin + a_j - a_t), t the class of the sample (Weston, Watkins 1999; CS231n's SVM)."""

    margin: float = 1.0

    def _lack(self, a: Any, y: Any) -> Any:
        return named("κ", a - sum_features(y * a) + self.margin * (1 - y))

    def value(self, a: Any, y: Any) -> Any:
        return sum_outputs(maximum(self._lack(a, y), 0))

    def gradient(self, a: Any, y: Any) -> Any:
        over = named("I", greater(self._lack(a, y), 0))
        return over - y * sum_features(over)

    def branches(self, a: Any, y: Any) -> Any:
        return self._lack(a, y) > 0
