"""The same gradient by the seeds' other way: one sample after the other (seed 002 §3.1; Nielsen, chapter 2).

    Δ ← Δ + ∂J_i/∂θ  for every sample i,  D = Δ/m,  ∂J/∂θ = D + ∂(penalty)/∂θ.

Here 1/m enters at the end; in the full matrix (seed 004) it enters once, in the δ of the output.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.base.errors import ArgumentError
from chainrule.base.scalars import check_choice, check_flag
from chainrule.layers import Layer
from chainrule.losses import Loss
from chainrule.losses.penalties import Penalty
from chainrule.networks.architecture import leaves, told_apart
from chainrule.networks.executor import Executor, suspected
from chainrule.networks.finite import check_inside, check_samples, quiet
from chainrule.networks.model import Model
from chainrule.networks.step import Step

Array = NDArray[Any]
Pass = Callable[..., Step]


def pass_of(mode: Any, backpropagate: Pass) -> Pass:
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


@dataclass(frozen=True, eq=False)
class Samples:
    """The batch behind a step: gradients of its samples one by one, g_i = ∂(w_i · value_i)/∂θ.

    Their mean is the gradient of the data's loss. The parameters must still be those of the step.
    """

    network: Model
    executor: Executor[Any]
    X: Array
    y: Array
    loss: Loss
    weights: Array | None
    mark: tuple[float, ...]

    @classmethod
    def of(
        cls, network: Model, executor: Executor[Any], X: Array, y: Array, loss: Loss, weights: Array | None
    ) -> Samples:
        return cls(network, executor, X, y, loss, weights, _mark(network))

    def norms(self, allow_nonfinite: bool = False) -> Array:
        """‖g_i‖ over all parameters together, (N,) float64."""
        allowed = check_flag("allow_nonfinite", allow_nonfinite)
        self._check()
        with quiet(), suspected() as parts:
            norms = self.executor.sample_norms(self.network, self.X, self.y, self.loss, self.weights)
        if not allowed:
            check_samples("per_sample_norms", norms, "the norm of the gradient")
            self._check_inside("per_sample_norms", parts)
        return norms

    def gradients(self, allow_nonfinite: bool = False) -> dict[str, Array]:
        """g_i of every parameter, name -> (N, *shape)."""
        allowed = check_flag("allow_nonfinite", allow_nonfinite)
        self._check()
        with quiet(), suspected() as parts:
            found = self._one_by_one()
        if not allowed:
            for name, gradients in found.items():
                check_samples("per_sample_gradients", gradients, f"the gradient of {name}")
            self._check_inside("per_sample_gradients", parts)
        return found

    def _check_inside(self, call: str, suspects: list[slice]) -> None:
        if suspects:
            run = self.executor.backpropagate
            with quiet():
                step = run(self.network, self.X, self.y, self.loss, None, self.weights, len(self.X))
            check_inside(self.network, self.X, [slice(0, len(self.X))], call, step.activations)

    def _one_by_one(self) -> dict[str, Array]:
        run, rows = self.executor.backpropagate, []
        drawn = any(type(layer).draw is not Layer.draw for layer in leaves(self.network.layers))
        w = np.ones(len(self.X)) if self.weights is None else self.weights
        for i in range(len(self.X)):
            if drawn:  # random numbers belong to a sample's place in the batch: the others weigh nothing
                batch, weights = slice(None), np.where(np.arange(len(self.X)) == i, w * len(self.X), 0.0)
            else:
                batch, weights = slice(i, i + 1), w[i : i + 1]
            step = run(self.network, self.X[batch], self.y[batch], self.loss, None, weights, 1)
            rows.append(step.gradients)
        return {name: np.stack([row[name] for row in rows]) for name in rows[0]}

    def _check(self) -> None:
        refuse_mixing(self.network)
        if _mark(self.network) != self.mark:
            raise ArgumentError(
                "the network's parameters have changed since this step: call network.backpropagate(X, y) anew"
            )


def _mark(network: Model) -> tuple[float, ...]:
    """Numbers that change with the parameters; much cheaper than a copy of them."""
    return tuple(float(np.vdot(array, array)) for array in network.parameters.values())


def accumulated(
    backpropagate: Pass,
    network: Model,
    X: Array,
    y: Array,
    loss: Loss,
    penalty: Penalty | None,
    weights: Array | None,
    training_size: int,
) -> Step:
    """`backpropagate` of an executor, called for one sample at a time; Δ is a float64 sum in their order.

    The step's δ are those of the single samples, ∂J_i/∂z: without 1/m.  Raises ValueError where samples are
    not by themselves (batch normalisation) or draw by their place in the batch (dropout).
    """
    noisy = told_apart(network.layers)
    if noisy is not None:
        raise ArgumentError(
            "mode='per_sample' passes every sample by itself, where the training pass of "
            f"{noisy!r} is another than in the batch: write mode='matrix'"
        )
    steps = []
    specs = network.parameter_specs
    sums = {name: np.zeros(spec.shape) for name, spec in specs.items()}
    for i in range(len(X)):
        weight = None if weights is None else weights[i : i + 1]
        step = backpropagate(network, X[i : i + 1], y[i : i + 1], loss, None, weight, training_size)
        for name, gradient in step.gradients.items():
            sums[name] += gradient
        steps.append(step)
    data_loss = float(sum(step.data_loss for step in steps)) / len(X)
    of_penalty = 0.0
    for name, spec in specs.items():
        sums[name] /= len(X)
        if penalty is not None and spec.penalised:
            W = network.parameters[name].astype(np.float64)
            of_penalty += float(penalty.value(W, training_size))
            sums[name] += penalty.gradient(W, training_size)
    first = steps[0]
    dtypes = {name: gradient.dtype for name, gradient in first.gradients.items()}
    return Step(
        loss=data_loss + of_penalty,
        data_loss=data_loss,
        activations={n: np.concatenate([step.activations[n] for step in steps]) for n in first.activations},
        deltas={n: np.concatenate([step.deltas[n] for step in steps]) for n in first.deltas},
        gradients={name: sums[name].astype(dtype) for name, dtype in dtypes.items()},
    )
