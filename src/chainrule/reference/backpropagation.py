"""J and its gradient by the formulas: the passes between the loss head and the penalty."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.base.types import Array
from chainrule.losses import Loss, Losses
from chainrule.networks.architecture import INPUT
from chainrule.networks.batch import Batch
from chainrule.networks.model import Model
from chainrule.networks.objective import Objective
from chainrule.networks.step import Step
from chainrule.reference.passes import (
    Backward,
    Pass,
    PassContext,
    Values,
    all_passes,
    network_values,
    run_backward,
    run_forward,
    target_columns,
    to_columns,
    to_rows,
)


@dataclass(frozen=True, eq=False)
class Head:
    """Where the backward pass begins: the loss behind the last layer, on targets y, samples last.

    share: w_i / m of every sample, or of every output and sample.  1/m enters here, once, in δ^L (Matrix
    notes); all else is sums over samples.
    """

    loss: Loss
    last: Pass
    y: Array
    share: Array

    @property
    def pair(self) -> bool:
        """Whether activation and loss are one formula, δ = (a - y)/m: no division by a (Dezeming, 2.4.6)."""
        return self.loss.pairs_with(self.last.layer)

    @property
    def values(self) -> Array:
        """The loss of every sample, (m,); where outputs have weights of their own, of each, (outputs, m)."""
        if (losses := self._by_output) is not None:
            return np.asarray(losses.weighted_values(self.last.x, self.y))
        if self.pair:
            return np.asarray(self.loss.value_from_z(self.last.x, self.y))
        return np.asarray(self.loss.value(self.last.output, self.y))

    @property
    def data_loss(self) -> Any:
        """(1/m) Σ_i w_i value_i."""
        return np.sum(self.share * self.values)

    @property
    def residual(self) -> Array:
        """∂(value of the sample)/∂z of a pair, ∂(value of the sample)/∂a else; without w_i / m."""
        a = self.last.output
        return np.asarray(self.loss.residual(a, self.y) if self.pair else self.loss.gradient(a, self.y))

    @property
    def d(self) -> Array:
        """∂J/∂z of a pair, ∂J/∂a else."""
        losses = self._by_output
        return (self.share if losses is None else losses.spread(self.share)) * self.residual

    @property
    def _by_output(self) -> Losses | None:
        """The losses of several outputs, where the samples have weights for each."""
        return self.loss if isinstance(self.loss, Losses) and self.share.ndim > 1 else None

    def below(self, passes: Sequence[Pass]) -> Sequence[Pass]:
        """The passes that d goes through: a pair's activation is in the head."""
        return passes[:-1] if self.pair else passes


def head_of(network: Model, batch: Batch, loss: Loss, last: Pass, dtype: Any = np.float64) -> Head:
    """The loss head of a batch, behind the pass of the last layer."""
    y = loss.prepared(target_columns(batch.targets, network, dtype))
    return Head(loss, last, y, batch.shares(dtype))


@dataclass(frozen=True, eq=False)
class Derivation:
    """All of one forward and backward pass, samples last.

    backward: of every layer, the last one first.  below: ∂J/∂(input of the network).  data_gradients,
    gradients: by parameter, without and with the penalty.  penalty: what it adds to J.
    """

    passes: Sequence[Pass]
    head: Head
    backward: Sequence[Backward]
    below: Array
    data_loss: float
    penalty: float
    data_gradients: dict[str, Array]
    gradients: dict[str, Array]

    @property
    def loss(self) -> float:
        """J."""
        return self.data_loss + self.penalty

    @property
    def activations(self) -> dict[str, Array]:
        """Layer name -> its output; "input" is what the network was given, as numbers."""
        outputs = {layer_pass.name: layer_pass.output for layer_pass in all_passes(self.passes)}
        return {INPUT: self.passes[0].x, **outputs}

    @property
    def deltas(self) -> dict[str, Array]:
        """Layer name -> ∂J/∂(its output), the last one first; "input" is ∂J/∂x."""
        deltas = {layer.forward.name: layer.d for layer in self.backward}
        names = [layer_pass.name for layer_pass in all_passes(self.passes) if layer_pass.name in deltas]
        return {**{name: deltas[name] for name in reversed(names)}, INPUT: self.below}

    @property
    def step(self) -> Step:
        """The same as `Network.backpropagate` returns it: samples first, layers as they are computed."""
        activations, deltas = self.activations, self.deltas
        return Step(
            loss=self.loss,
            data_loss=self.data_loss,
            activations={name: to_rows(value) for name, value in activations.items()},
            deltas={name: to_rows(deltas[name]) for name in activations if name in deltas},
            gradients=self.gradients,
        )


def summed(network: Model, backward: Iterable[Backward]) -> dict[str, Array]:
    """∂J/∂θ by parameter: the sum over the layers that use it, by the multivariate chain rule."""
    gradients: dict[str, Array] = {}
    for layer in backward:
        names = network.parameter_names(layer.forward.layer)
        for key, gradient in layer.gradients.items():
            before = gradients.get(names[key])
            gradients[names[key]] = gradient if before is None else gradient + before
    return gradients


def derive(
    network: Model,
    batch: Batch,
    objective: Objective,
    parameters: Values | None = None,
    dtype: Any = np.float64,
) -> Derivation:
    """One forward and backward pass, as in training.  parameters: instead of the network's own."""
    passes = run_forward(network, to_columns(batch.inputs, dtype), parameters, dtype)
    head = head_of(network, batch, objective.loss, passes[-1], dtype)
    backward: list[Backward] = []
    below = run_backward(head.below(passes), head.d, backward.append)
    gradients = summed(network, backward)
    values, specs = network_values(network, parameters, dtype), network.parameter_specs
    data_gradients = {name: gradients[name] for name, spec in specs.items() if spec.learned}
    return Derivation(
        passes,
        head,
        backward,
        below,
        float(head.data_loss),
        objective.penalty_value(values, specs),
        data_gradients,
        objective.with_penalty(data_gradients, values, specs),
    )


def backpropagate(
    network: Model,
    batch: Batch,
    objective: Objective,
    parameters: Values | None = None,
    dtype: Any = np.float64,
) -> Step:
    """The step of `derive`."""
    return derive(network, batch, objective, parameters, dtype).step


def data_loss(
    network: Model,
    batch: Batch,
    loss: Loss,
    parameters: Values | None = None,
    dtype: Any = np.float64,
    *,
    training: bool = False,
) -> float:
    """(1/m) Σ_i w_i value_i by the forward pass alone; arguments as for `backpropagate`."""
    x = to_columns(batch.inputs, dtype)
    last = run_forward(network, x, parameters, dtype, PassContext(training))[-1]
    return float(head_of(network, batch, loss, last, dtype).data_loss)


def forward(network: Model, X: Array, parameters: Values | None = None, dtype: Any = np.float64) -> Array:
    """a^L of a prediction: (N, *input_shape) -> (N, *output_shape)."""
    x = to_columns(X, dtype)
    return to_rows(run_forward(network, x, parameters, dtype, PassContext(training=False))[-1].output)
