"""The same gradient by the other way: one sample after the other (Dezeming §3.1; Nielsen, chapter 2).

    Δ ← Δ + ∂J_i/∂θ  for every sample i,  D = Δ/m,  ∂J/∂θ = D + ∂(penalty)/∂θ.

Here 1/m enters at the end; in the full matrix (Matrix notes) it enters once, in the δ of the output.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.base.norms import row_norms
from chainrule.base.scalars import check_choice, check_flag
from chainrule.base.types import Array
from chainrule.layers import Layer, layer_classes
from chainrule.losses import Loss
from chainrule.networks.architecture import all_layers, leaves
from chainrule.networks.batch import Batch
from chainrule.networks.executor import Executor, suspected
from chainrule.networks.finite import check_inside, check_samples, quiet
from chainrule.networks.model import Model
from chainrule.networks.objective import Objective
from chainrule.networks.step import Step

BackwardPass = Callable[..., Step]


def pass_of(mode: Any, backpropagate: BackwardPass) -> BackwardPass:
    """An executor's `backpropagate` in the mode "matrix" (as it is) or "per_sample". Raises ValueError."""
    check_choice("mode", mode, ("matrix", "per_sample"), meaning="'matrix' or 'per_sample'")
    return backpropagate if mode == "matrix" else partial(accumulated, backpropagate)


def refuse_mixing(network: Model) -> None:
    """ValueError where a layer computes with all samples of a batch together."""
    for layer in leaves(network.layers):
        if layer.mixes_samples:
            raise ArgumentError(
                f"{layer.name} = {layer!r} computes with all samples of a batch together, so that no sample "
                "has a gradient of its own; use a layer that keeps samples apart, such as LayerNorm() or "
                "GroupNorm()"
            )


def refuse_shared(network: Model) -> None:
    """ValueError where layers share parameters: the kernels measure a sample's gradient layer by layer."""
    shared = next(((name, uses) for name, uses in network.parameter_uses().items() if len(uses) > 1), None)
    if shared is not None:
        name, uses = shared
        raise ArgumentError(
            f"gradients of single samples are measured layer by layer, and {name} is shared by "
            f"{', '.join(uses)}: train without clip_sample_norm, or give every layer weights of its own"
        )


@dataclass(frozen=True, eq=False)
class Samples:
    """The batch behind a step: gradients of its samples one by one, g_i = ∂(w_i · value_i)/∂θ.

    Their mean is the gradient of the data's loss. The parameters must still be those of the step.
    """

    network: Model
    executor: Executor[Any]
    batch: Batch
    loss: Loss
    mark: tuple[float, ...]

    @classmethod
    def of(cls, network: Model, executor: Executor[Any], batch: Batch, loss: Loss) -> Samples:
        return cls(network, executor, batch, loss, _mark(network))

    def norms(self, allow_nonfinite: bool = False) -> Array:
        """‖g_i‖ over all parameters together, (N,) float64."""
        allowed = check_flag("allow_nonfinite", allow_nonfinite)
        self._check()
        with quiet(), suspected() as parts:
            norms = self.executor.sample_norms(self.network, self.batch, self.loss)
        if not allowed:
            check_samples(self.network, "per_sample_norms", norms, "the norm of the gradient")
            self._check_inside("per_sample_norms", parts)
        return norms

    def gradients(self, allow_nonfinite: bool = False) -> dict[str, Array]:
        """g_i of every parameter, name -> (N, *shape)."""
        allowed = check_flag("allow_nonfinite", allow_nonfinite)
        self._check()
        with quiet(), suspected() as parts:
            by_parameter = self._one_by_one()
        if not allowed:
            for name, gradients in by_parameter.items():
                check_samples(self.network, "per_sample_gradients", gradients, f"the gradient of {name}")
            self._check_inside("per_sample_gradients", parts)
        return by_parameter

    def _check_inside(self, call: str, suspects: list[slice]) -> None:
        if suspects:
            with quiet():
                step = self.executor.backpropagate(self.network, self.batch, Objective(self.loss))
            every = [slice(0, len(self.batch))]
            check_inside(self.network, self.batch.inputs, every, call, step.activations)

    def _one_by_one(self) -> dict[str, Array]:
        batch, alone, rows = self.batch, Objective(self.loss), []
        drawn = any(type(layer).draw is not Layer.draw for layer in leaves(self.network.layers))
        w = np.ones(len(batch)) if batch.weights is None else batch.weights
        for i in range(len(batch)):
            if drawn:  # random numbers belong to a sample's place in the batch: the others weigh nothing
                only = np.where(np.arange(len(batch)) == i, w.T * len(batch), 0.0).T
                part = Batch(batch.inputs, batch.targets, only)
            else:
                part = batch[i : i + 1]
            rows.append(self.executor.backpropagate(self.network, part, alone).gradients)
        return {name: np.stack([row[name] for row in rows]) for name in rows[0]}

    def _check(self) -> None:
        refuse_mixing(self.network)
        if _mark(self.network) != self.mark:
            raise ArgumentError(
                "the network's parameters have changed since this step: call network.backpropagate(X, y) anew"
            )


def norms_of_gradients(network: Model, executor: Executor[Any], batch: Batch, loss: Loss) -> Array:
    """‖g_i‖ of every sample by the gradients themselves, (N,) float64."""
    gradients = Samples.of(network, executor, batch, loss).gradients(allow_nonfinite=True).values()
    return row_norms(np.stack([np.zeros(len(batch)), *map(row_norms, gradients)], axis=1))


def _mark(network: Model) -> tuple[float, ...]:
    """Numbers that change with the parameters; much cheaper than a copy of them."""
    return tuple(float(np.vdot(array, array)) for array in network.parameters.values())


def _beside_others(layer: Layer) -> bool:
    """Whether a sample's training pass depends on the others of its batch, or on its place among them; of a
    stranger's layer, whose prediction is another, that is not known.
    """
    if type(layer) in layer_classes.values():
        return layer.mixes_samples or type(layer).draw is not Layer.draw
    return layer.infer is not None


def accumulated(backpropagate: BackwardPass, network: Model, batch: Batch, objective: Objective) -> Step:
    """`backpropagate` of an executor, called for one sample at a time; Δ is a float64 sum in their order.

    The step's δ are those of the single samples, ∂J_i/∂z: without 1/m.  Raises ValueError where samples are
    not by themselves (batch normalisation) or draw by their place in the batch (dropout).
    """
    noisy = next(filter(_beside_others, all_layers(network.layers)), None)
    if noisy is not None:
        raise ArgumentError(
            "mode='per_sample' passes every sample by itself, where the training pass of "
            f"{noisy!r} is another than in the batch: write mode='matrix'"
        )
    m, specs = len(batch), network.parameter_specs
    steps = [backpropagate(network, batch[i : i + 1], objective.of_data) for i in range(m)]
    sums = {name: np.zeros(spec.shape) for name, spec in specs.items() if spec.learned}
    for step in steps:
        for name, gradient in step.gradients.items():
            sums[name] += gradient
    means = {name: total / m for name, total in sums.items()}
    gradients = objective.with_penalty(means, network.parameters, specs)
    data_loss = float(sum(step.data_loss for step in steps)) / m
    first = steps[0]
    return Step(
        loss=data_loss + objective.penalty_value(network.parameters, specs),
        data_loss=data_loss,
        activations={n: np.concatenate([step.activations[n] for step in steps]) for n in first.activations},
        deltas={n: np.concatenate([step.deltas[n] for step in steps]) for n in first.deltas},
        gradients={name: gradients[name].astype(g.dtype) for name, g in first.gradients.items()},
    )
