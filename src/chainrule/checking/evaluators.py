"""What a gradient check asks of the thing it checks: J at given values, its gradients by formula, the
branches taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from chainrule import reference
from chainrule.base.types import Array
from chainrule.losses.penalties import L1, L2, ElasticNet, Penalty
from chainrule.networks.batch import Batch
from chainrule.networks.network import Network
from chainrule.networks.objective import Objective

Values = Mapping[str, Array]
INPUT = "input"


class Evaluator(Protocol):
    """J as a function of named float64 arrays."""

    values: dict[str, Array]  # the point to check at

    def loss(self, values: Values) -> float:
        """J."""

    def loss_and_gradients(self, values: Values) -> tuple[float, dict[str, Array]]:
        """J and the formulas' ∂J/∂(value) for every name."""

    def branches(self, values: Values) -> list[Array]:
        """Which branches the piecewise formulas take; equal lists: no kink has been crossed."""


class FunctionEvaluator:
    """J given as functions, for a single layer or loss."""

    def __init__(
        self,
        values: dict[str, Array],
        loss: Callable[[Values], Any],
        gradients: Callable[[Values], dict[str, Array]],
        branches: Callable[[Values], Array | None] = lambda values: None,
    ) -> None:
        self.values = values
        self._loss, self._gradients, self._branches = loss, gradients, branches

    def loss(self, values: Values) -> float:
        return float(self._loss(values))

    def loss_and_gradients(self, values: Values) -> tuple[float, dict[str, Array]]:
        return self.loss(values), self._gradients(values)

    def branches(self, values: Values) -> list[Array]:
        pattern = self._branches(values)
        return [] if pattern is None else [np.asarray(pattern)]


class ReferenceEvaluator:
    """A network's J by the formulas.  The values are the parameters by name and "input", X as float64, unless
    it holds ids.
    """

    def __init__(self, network: Network, batch: Batch, objective: Objective) -> None:
        self.network, self.objective = network, objective
        inputs = reference.to_rows(reference.to_columns(batch.inputs, np.float64))
        self.batch = replace(batch, inputs=inputs)
        specs = network.parameter_specs
        learned = {name: array for name, array in network.parameters.items() if specs[name].learned}
        self.fixed = {name: array for name, array in network.parameters.items() if not specs[name].learned}
        # Ids have no neighbours: they are not among what is compared.
        self.values: dict[str, Array] = {**learned, INPUT: inputs} if network.differentiable else learned

    def loss(self, values: Values) -> float:
        parameters = {**self.fixed, **values}
        batch, loss = self._at(values), self.objective.loss
        data_loss = reference.data_loss(self.network, batch, loss, parameters, training=True)
        return data_loss + self._penalty(values)

    def loss_and_gradients(self, values: Values) -> tuple[float, dict[str, Array]]:
        parameters = {**self.fixed, **values}
        step = reference.backpropagate(self.network, self._at(values), self.objective, parameters)
        return step.loss, {**step.gradients, INPUT: step.deltas[INPUT]}

    def branches(self, values: Values) -> list[Array]:
        batch, penalty = self._at(values), self.objective.penalty
        x = reference.to_columns(batch.inputs, np.float64)
        passes = reference.run_forward(self.network, x, {**self.fixed, **values}, np.float64)
        patterns = [layer_pass.layer.branches(layer_pass.x) for layer_pass in reference.leaf_passes(passes)]
        head = reference.head_of(self.network, batch, self.objective.loss, passes[-1])
        patterns.append(head.loss.branches(head.last.output, head.y))
        if penalty is not None:
            specs = self.network.parameter_specs
            patterns += [penalty.branches(values[name]) for name in values if name in specs]
        return [np.asarray(pattern) for pattern in patterns if pattern is not None]

    def _at(self, values: Values) -> Batch:
        return replace(self.batch, inputs=values.get(INPUT, self.batch.inputs))

    def _penalty(self, values: Values) -> float:
        parameters = {name: array for name, array in values.items() if name != INPUT}
        return self.objective.penalty_value(parameters, self.network.parameter_specs)


class NativeEvaluator(ReferenceEvaluator):
    """The same J by the compiled kernels in float64: the ones that train, in the arrangement that trains.

    ∂J/∂x is not needed for training; it comes from a second plan that keeps every δ.  Branches come from the
    formulas.
    """

    def __init__(self, network: Network, batch: Batch, objective: Objective) -> None:
        super().__init__(network, batch, objective)
        from chainrule.engine import Plan

        options: dict[str, Any] = {"batch_size": len(batch), "dtype": "float64", **vars(objective)}
        self._plan = Plan(network, **options)
        self._keeping = Plan(network, keep=True, **options)
        self._loaded: dict[str, Array] = {}

    def loss(self, values: Values) -> float:
        self._load(values)
        batch = self._at(values)
        data = self._plan.evaluate(batch.inputs, batch.targets, batch.weights, training=True).loss
        return float(data) + self._penalty(values)

    def loss_and_gradients(self, values: Values) -> tuple[float, dict[str, Array]]:
        self._load(values)
        batch = self._at(values)
        loss, gradients = self._plan.gradients(batch.inputs, batch.targets, batch.weights)
        self._keeping.load(self._loaded)
        deltas = self._keeping.inspect(batch.inputs, batch.targets, batch.weights)[2]
        return float(loss), {**gradients, INPUT: deltas[INPUT]}

    def _load(self, values: Values) -> None:
        """Put the arrays that are not those of before into the plan; a probe changes one or two of many."""
        wanted = {name: array for name, array in {**self.fixed, **values}.items() if name != INPUT}
        self._plan.load({name: a for name, a in wanted.items() if self._loaded.get(name) is not a})
        self._loaded = wanted


def native_available(penalty: Penalty | None) -> str | None:
    """None if the compiled kernels can compute this J, otherwise the reason why not."""
    try:
        import chainrule.engine  # noqa: F401
    except ImportError as error:
        return f"the compiled engine cannot be imported ({error})"
    if penalty is not None and type(penalty) not in (L2, L1, ElasticNet):
        return f"the engine has no kernel for the penalty {penalty!r}"
    return None
