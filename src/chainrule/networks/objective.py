"""Objective: what is minimised, J = (1/m) Σ_i w_i value_i + Σ_W penalty(W)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from chainrule.base.types import Array
from chainrule.layers import Parameter
from chainrule.losses import Loss
from chainrule.losses.penalties import Penalty

Specs = Mapping[str, Parameter]


@dataclass(frozen=True)
class Objective:
    """A loss of samples and a penalty on weights; biases are free.  training_size: m of a penalty that is
    divided by it.
    """

    loss: Loss
    penalty: Penalty | None = None
    training_size: int = 1

    @property
    def of_data(self) -> Objective:
        """The same without the penalty."""
        return replace(self, penalty=None)

    def penalty_value(self, parameters: Mapping[str, Array], specs: Specs) -> float:
        """What the penalty adds to J, in float64."""
        if self.penalty is None:
            return 0.0
        weights = (
            array.astype(np.float64, copy=False)
            for name, array in parameters.items()
            if specs[name].penalised
        )
        return float(sum(self.penalty.value(W, self.training_size) for W in weights))

    def penalty_gradients(self, parameters: Mapping[str, Array], specs: Specs) -> dict[str, Array]:
        """What the penalty adds to ∂J/∂W, by the names of the weights it is on, in float64 at the least."""
        if self.penalty is None:
            return {}
        added = {}
        for name, array in parameters.items():
            if specs[name].penalised:
                W = array.astype(np.promote_types(array.dtype, np.float64), copy=False)
                added[name] = self.penalty.gradient(W, self.training_size)
        return added

    def with_penalty(
        self, gradients: Mapping[str, Array], parameters: Mapping[str, Array], specs: Specs
    ) -> dict[str, Array]:
        """∂J/∂θ from the gradients of the data's loss, in their types."""
        added = self.penalty_gradients(parameters, specs)
        return {
            name: (gradient + added[name]).astype(gradient.dtype) if name in added else gradient
            for name, gradient in gradients.items()
        }
