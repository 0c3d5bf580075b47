"""Counts: the negative log-likelihood of a Poisson distribution with mean a, without the terms that hold no
a.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chainrule.base.errors import PairError
from chainrule.base.keywords import teach
from chainrule.formulas import exp, greater, sum_outputs, where, xlogy
from chainrule.layers import Dense, Identity, Layer, Tanh
from chainrule.losses.base import Loss


@teach()
@dataclass(frozen=True)
class Poisson(Loss):
    """Σ_k a_k - y_k log a_k, with 0 log 0 = 0; y ≥ 0, and a > 0: end the network in Softplus().

    log_input=True: the network gives the logarithm of the mean, Σ_k e^{a_k} - y_k a_k, and may end in Dense.
    """

    log_input: bool = False

    targets = (0.0, math.inf)

    def value(self, a: Any, y: Any) -> Any:
        return sum_outputs(exp(a) - y * a if self.log_input else a - xlogy(y, a))

    def gradient(self, a: Any, y: Any) -> Any:
        # Where y is 0, a may be 0 too.
        return exp(a) - y if self.log_input else 1 - y / where(greater(y, 0), a, 1)

    def check_output(self, network_layers: Sequence[Layer]) -> None:
        super().check_output(network_layers)
        last = network_layers[-1]
        if not self.log_input and type(last) in (Dense, Identity, Tanh):
            raise PairError(
                f"Poisson takes the logarithm of the outputs, and those of {last!r} may be negative: end the "
                "network in Softplus(), or write Poisson(log_input=True)"
            )
