"""The model part of a document: layers with their formulas, every number of one pass, loss and penalty.

All numbers come from the formulas in float64 (reference/passes.py), as in a training step.  What a page
needs to compute them again is in there too: docs/decisions/0008-explain.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from chainrule.base.types import Array
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
from chainrule.explaining.schema import LayerRecord, LossPart, ModelPart, Passage, PenaltyPart
from chainrule.formulas.exchange import plain
from chainrule.layers import Composite, Wiring
from chainrule.layers.parts import places_of
from chainrule.networks.batch import Batch
from chainrule.networks.network import Network
from chainrule.networks.objective import Objective
from chainrule.reference import Derivation, Pass, all_passes


@dataclass(frozen=True, eq=False)
class PassFacts:
    """document: "graph", "tensors", "loss" and "penalty" of a document. arrays: every array of the pass by
    its id, float64, samples last, and "data gradient:<parameter>", without the penalty.  passes: of
    the layers in order.  trees: a layer's formulas by its name, None
    where its code cannot be traced; those of loss and penalty are under "loss" and "penalty".
    """

    document: ModelPart
    arrays: Mapping[str, Array]
    passes: Sequence[Pass]
    trees: Mapping[str, Trees | None]

    def bindings(self, name: str) -> dict[str, Array]:
        """What the formulas of a leaf are evaluated with: x, its output as z and a, d, parameters, what is
        given. The last layer of a pair has no d.
        """
        layer_pass = next(layer_pass for layer_pass in all_passes(self.passes) if layer_pass.name == name)
        bound = {"x": layer_pass.x, "z": layer_pass.output, "a": layer_pass.output, **layer_pass.given}
        delta = self.arrays.get(f"delta:{name}")
        return bound if delta is None else {**bound, "d": delta}


def model_of(
    network: Network, batch: Batch, objective: Objective, derived: Derivation, *, budget_bytes: int
) -> PassFacts:
    """The model part of the document of a batch, whose passes have been derived.

    budget_bytes: of all numbers as base64. Parameters come first, up to 1.5 MB, then what else the passes
    start from (the batch, masks), then outputs, δ and gradients; what does not fit has statistics alone.
    """
    passes, head, deltas = derived.passes, derived.head, derived.deltas
    parameters = {name: array.astype(np.float64) for name, array in network.parameters.items()}
    starts = {"input": passes[0].x, "y": head.y, **_given(passes)}
    if batch.weights is not None:
        starts["weights"] = batch.weights.astype(np.float64)
    outputs = {layer_pass.name: layer_pass.output for layer_pass in all_passes(passes)}
    values = {
        **{f"gradient:{name}": array for name, array in derived.gradients.items()},
        **{f"delta:{name}": array for name, array in deltas.items()},
    }
    groups = (parameters, PARAMETER_BYTES), (starts, budget_bytes), ({**outputs, **values}, budget_bytes)
    trees: dict[str, Trees | None] = {
        layer_pass.name: layer_trees(layer_pass, deltas.get(layer_pass.name))
        for layer_pass in all_passes(passes)
    }
    trees["loss"] = loss_trees(head.loss, head.pair)
    if objective.penalty is not None:
        trees["penalty"] = penalty_trees(objective.penalty)
    layers = _Graph(network, layer_numbers(network), trees).chain(passes)
    document: ModelPart = {
        "graph": {"input_shape": list(network.input_shape), "layers": layers},
        "tensors": within(groups, budget_bytes),
        "loss": _loss(batch, derived, trees["loss"]),
        "penalty": _penalty(network, objective, trees.get("penalty")),
    }
    shares = {f"data gradient:{name}": array for name, array in derived.data_gradients.items()}
    return PassFacts(document, {**starts, **parameters, **outputs, **values, **shares}, passes, trees)


def _loss(batch: Batch, derived: Derivation, trees: Trees | None) -> LossPart:
    """The document's "loss"."""
    head = derived.head
    return {
        "class": type(head.loss).__name__,
        "title": repr(head.loss),
        "pair": head.pair,
        "J": plain(derived.loss),
        "data": plain(derived.data_loss),
        "penalty": plain(derived.penalty),
        "per_sample": [plain(float(value)) for value in head.values],
        "weights": None if batch.weights is None else "weights",
        "formulas": None if trees is None else packed(trees),
    }


def _penalty(network: Network, objective: Objective, trees: Trees | None) -> PenaltyPart | None:
    """The document's "penalty"; constants are the numbers of its fields."""
    penalty = objective.penalty
    if penalty is None:
        return None
    values = {field.name: getattr(penalty, field.name) for field in fields(penalty)}
    numbers = {
        name: value
        for name, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    return {
        "class": type(penalty).__name__,
        "title": repr(penalty),
        "formulas": None if trees is None else packed(trees),
        "constants": {**numbers, "training_size": objective.training_size},
        "on": [name for name, spec in network.parameter_specs.items() if spec.penalised],
    }


def _given(passes: Sequence[Pass]) -> dict[str, Array]:
    """What the formulas were given beside parameters, by id, in float64."""
    return {
        f"given:{layer_pass.name}.{name}": np.asarray(array, np.float64)
        for layer_pass in all_passes(passes)
        for name, array in layer_pass.given.items()
        if not _is_parameter(layer_pass, name)
    }


def _is_parameter(layer_pass: Pass, name: str) -> bool:
    return name in layer_pass.layer.parameters(layer_pass.x.shape[:-1])


@dataclass(frozen=True)
class _Graph:
    """The layers as JSON."""

    network: Network
    numbers: Mapping[str, int]
    trees: Mapping[str, Trees | None]

    def chain(self, passes: Iterable[Pass]) -> list[LayerRecord]:
        return [self.layer(layer_pass) for layer_pass in passes]

    def layer(self, layer_pass: Pass) -> LayerRecord:
        layer, specs = layer_pass.layer, self.network.parameter_specs
        trees = self.trees[layer_pass.name]
        parameters = {
            name: full
            for name, full in self.network.parameter_names(layer).items()
            if _is_parameter(layer_pass, name)
        }
        record: LayerRecord = {
            "name": layer_pass.name,
            "title": layer.title() if isinstance(layer, Composite) else repr(layer),
            "class": type(layer).__name__,
            "number": self.numbers[layer_pass.name],
            "activation": layer.output == "activation",
            "input_shape": list(layer_pass.x.shape[:-1]),
            "shape": list(layer_pass.output.shape[:-1]),
            "parameters": parameters,
            "learned": [name for name, key in parameters.items() if specs[key].learned],
            "given": {
                name: f"given:{layer_pass.name}.{name}" for name in layer_pass.given if name not in parameters
            },
            "formulas": None if trees is None else packed(trees),
            "kind": "leaf",
        }
        if isinstance(layer, Composite):
            record["kind"], record["join"] = "composite", layer.join
            record["branches"] = list(map(self.chain, layer_pass.inside))
            if layer.several:
                record["several"] = True
            if isinstance(layer, Wiring):
                record["reads"] = plain(layer.reads)
        elif is_recurrent(layer):
            record["kind"], record["recurrent"] = "recurrent", _passage(layer)
        return record


def _passage(layer: Any) -> Passage:
    return {
        "states": plain(layer.states),
        "outputs": layer.outputs,
        "reverse": layer.reverse,
        "truncate": plain(layer.truncate),
        "sizes": plain(layer.state_sizes),
        "sources": plain(places_of(layer.sources)),
        "ends": layer.ends,
    }
