"""The model part of a document: layers with their formulas, every number of one pass, loss and penalty.

All numbers come from the formulas in float64 (reference/formulas.py), as in a training step.  What a page
needs to compute them again is in there too: docs/decisions/0008-explain.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.explaining.facts.numbering import layer_numbers
from chainrule.explaining.facts.tensors import PARAMETER_BYTES, within
from chainrule.explaining.facts.traced import (
    Trees,
    is_recurrent,
    layer_trees,
    loss_trees,
    packed,
    penalty_trees,
)
from chainrule.formulas.exchange import plain
from chainrule.layers import Composite
from chainrule.losses import Loss
from chainrule.losses.penalties import Penalty, penalty_value
from chainrule.networks.architecture import INPUT
from chainrule.networks.network import Network
from chainrule.reference import (
    Pass,
    all_passes,
    is_pair,
    run_backward,
    run_forward,
    target_columns,
    to_columns,
)

Array = NDArray[Any]
Json = dict[str, Any]


@dataclass(frozen=True, eq=False)
class _Task:
    """What is explained: a network and a batch, checked and encoded as `Network.encoded` does it.

    X: (N, *input_shape). targets: as `encode_targets` returns them. weights: (N,) with mean 1, or None.
    training_size: m of the penalty.
    """

    network: Network
    X: Array
    targets: Array
    loss: Loss
    penalty: Penalty | None
    weights: Array | None
    training_size: int

    @property
    def pair(self) -> bool:
        """Whether output activation and loss are one formula."""
        return is_pair(self.network.layers[-1], self.loss)


@dataclass(frozen=True, eq=False)
class Model:
    """document: "graph", "tensors", "loss" and "penalty" of a document. arrays: every array of the pass by
    its id, float64, samples last, and "data gradient:<parameter>", without the penalty.  passes: of
    the layers in order.  trees: a layer's formulas by its name, None
    where its code cannot be traced; those of loss and penalty are under "loss" and "penalty".
    """

    document: Json
    arrays: Mapping[str, Array]
    passes: Sequence[Pass]
    trees: Mapping[str, Trees | None]

    def bindings(self, name: str) -> dict[str, Array]:
        """What the formulas of a leaf are evaluated with: x, its output as z and a, d, parameters, what is
        given. The last layer of a pair has no d.
        """
        one = next(one for one in all_passes(self.passes) if one.name == name)
        bound = {"x": one.x, "z": one.output, "a": one.output, **one.given}
        delta = self.arrays.get(f"delta:{name}")
        return bound if delta is None else {**bound, "d": delta}


def model_of(
    network: Network,
    X: Array,
    targets: Array,
    loss: Loss,
    penalty: Penalty | None,
    weights: Array | None,
    training_size: int,
    *,
    budget_bytes: int,
) -> Model:
    """The model part of the document of a batch; XX

    budget_bytes: of all numbers as base64. Parameters come first, up to 1.5 MB, then what else the passes
    start from (the batch, masks), then outputs, δ and gradients; what does not fit has statistics alone.
    """
    task = _Task(network, X, targets, loss, penalty, weights, training_size)
    passes = run_forward(network, to_columns(X, np.float64), None, np.float64)
    value = _loss_values(task, passes)
    deltas, of_data = _backward(task, passes)
    gradients = _with_penalty(task, of_data)
    given = _given(passes)
    parameters = {name: array.astype(np.float64) for name, array in network.parameters.items()}
    starts = {"input": passes[0].x, "y": _prepared(task), **given}
    if weights is not None:
        starts["weights"] = weights.astype(np.float64)
    outputs = {one.name: one.output for one in all_passes(passes)}
    values = {
        **{f"gradient:{name}": array for name, array in gradients.items()},
        **{f"delta:{name}": array for name, array in deltas.items()},
    }
    groups = (parameters, PARAMETER_BYTES), (starts, budget_bytes), ({**outputs, **values}, budget_bytes)
    trees: dict[str, Trees | None] = {
        one.name: layer_trees(one, deltas.get(one.name)) for one in all_passes(passes)
    }
    trees["loss"] = loss_trees(loss, task.pair)
    if penalty is not None:
        trees["penalty"] = penalty_trees(penalty)
    layers = _Graph(network, layer_numbers(network), trees).chain(passes)
    document: Json = {
        "graph": {"input_shape": list(network.input_shape), "layers": layers},
        "tensors": within(groups, budget_bytes),
        "loss": {**value, "formulas": packed(trees["loss"])},
        "penalty": _penalty(task, trees.get("penalty")),
    }
    shares = {f"data gradient:{name}": array for name, array in of_data.items()}
    return Model(document, {**starts, **parameters, **outputs, **values, **shares}, passes, trees)


def _prepared(task: _Task) -> Array:
    return np.asarray(task.loss.prepared(target_columns(task.targets, task.network, np.float64)))


def _scale(task: _Task) -> Array:
    """weights / m, (m,)."""
    weights = np.ones(len(task.X)) if task.weights is None else task.weights
    return np.asarray(weights, np.float64) / len(task.X)


def _loss_values(task: _Task, passes: Sequence[Pass]) -> Json:
    """The document's "loss" without formulas."""
    last, y = passes[-1], _prepared(task)
    values = task.loss.value_from_z(last.x, y) if task.pair else task.loss.value(last.output, y)
    per_sample = np.asarray(values, np.float64)
    data = float(np.sum(_scale(task) * per_sample))
    network = task.network
    added = penalty_value(network.parameters, network.parameter_specs, task.penalty, task.training_size)
    return {
        "class": type(task.loss).__name__,
        "title": repr(task.loss),
        "pair": task.pair,
        "J": plain(data + added),
        "data": plain(data),
        "penalty": plain(added),
        "per_sample": [plain(float(value)) for value in per_sample],
        "weights": None if task.weights is None else "weights",
    }


def _backward(task: _Task, passes: Sequence[Pass]) -> tuple[dict[str, Array], dict[str, Array]]:
    """(δ by layer, gradients of the data's loss by parameter)."""
    a, y, network = passes[-1].output, _prepared(task), task.network
    d = _scale(task) * (task.loss.residual(a, y) if task.pair else task.loss.gradient(a, y))
    deltas: dict[str, Array] = {}
    gradients: dict[str, Array] = {}
    deltas[INPUT] = run_backward(passes[:-1] if task.pair else passes, d, deltas, gradients)
    return deltas, {name: gradients[name] for name, spec in network.parameter_specs.items() if spec.learned}


def _with_penalty(task: _Task, gradients: Mapping[str, Array]) -> dict[str, Array]:
    """Gradients by parameter, penalty included, as `reference.backpropagate` has them."""
    found = dict(gradients)
    if task.penalty is not None:
        for name in _penalised(task.network):
            W = task.network.parameters[name].astype(np.float64)
            found[name] = found[name] + task.penalty.gradient(W, task.training_size)
    return found


def _penalised(network: Network) -> list[str]:
    return [name for name, spec in network.parameter_specs.items() if spec.penalised]


def _penalty(task: _Task, trees: Trees | None) -> Json | None:
    """The document's "penalty"; constants are the numbers of its fields."""
    if task.penalty is None:
        return None
    values = {field.name: getattr(task.penalty, field.name) for field in fields(task.penalty)}
    numbers = {
        name: value
        for name, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    return {
        "class": type(task.penalty).__name__,
        "title": repr(task.penalty),
        "formulas": packed(trees),
        "constants": {**numbers, "training_size": task.training_size},
        "on": _penalised(task.network),
    }


def _given(passes: Sequence[Pass]) -> dict[str, Array]:
    """What the formulas were given beside parameters, by id, in float64."""
    return {
        f"given:{one.name}.{name}": np.asarray(array, np.float64)
        for one in all_passes(passes)
        for name, array in one.given.items()
        if not _is_parameter(one, name)
    }


def _is_parameter(one: Pass, name: str) -> bool:
    return name in one.layer.parameters(one.x.shape[:-1])


@dataclass(frozen=True)
class _Graph:
    """The layers as JSON."""

    network: Network
    numbers: Mapping[str, int]
    trees: Mapping[str, Trees | None]

    def chain(self, passes: Iterable[Pass]) -> list[Json]:
        return [self.layer(one) for one in passes]

    def layer(self, one: Pass) -> Json:
        layer, specs = one.layer, self.network.parameter_specs
        more: Json = {"kind": "leaf"}
        if isinstance(layer, Composite):
            more = {"kind": "composite", "join": layer.join, "branches": list(map(self.chain, one.inside))}
        elif is_recurrent(layer):
            own = {name: plain(getattr(layer, name)) for name in ("states", "outputs", "reverse", "truncate")}
            more = {"kind": "recurrent", "recurrent": own}
        parameters = {name: f"{one.name}.{name}" for name in one.given if _is_parameter(one, name)}
        return {
            "name": one.name,
            "title": layer.title() if isinstance(layer, Composite) else repr(layer),
            "class": type(layer).__name__,
            "number": self.numbers[one.name],
            "activation": layer.output == "activation",
            "input_shape": list(one.x.shape[:-1]),
            "shape": list(one.output.shape[:-1]),
            "parameters": parameters,
            "learned": [name for name, key in parameters.items() if specs[key].learned],
            "given": {name: f"given:{one.name}.{name}" for name in one.given if name not in parameters},
            "formulas": packed(self.trees[one.name]),
            **more,
        }
