"""From a network and a batch to the document of a report: JSON, schema 1, all that a report knows (decision
0008).
"""

from __future__ import annotations

import copy
import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np

from chainrule import reference
from chainrule.base.errors import ArgumentError, NonFiniteError, describe
from chainrule.base.languages import say_json
from chainrule.base.shown import quoted
from chainrule.checking import GradientReport, check_gradients
from chainrule.data.arrays import all_finite, plain_array, prepared
from chainrule.data.door import one_column
from chainrule.diagnosing.doctor import Diagnosis, diagnosis_of
from chainrule.diagnosing.flow import measured, rate_of, selected
from chainrule.explaining.facts.cards import Walk, cards_of, repeats_of
from chainrule.explaining.facts.ends import loss_card, update_card
from chainrule.explaining.facts.equations import equation_json
from chainrule.explaining.facts.model import PassFacts, model_of
from chainrule.explaining.facts.numbering import layer_numbers
from chainrule.explaining.facts.shares import Penalised, Shared
from chainrule.explaining.references.closing_box import ClosingBox, closing_boxes
from chainrule.explaining.references.conventions import conventions_of
from chainrule.explaining.references.notation_rows import notation_rows
from chainrule.explaining.references.slips import slips_of
from chainrule.explaining.references.sources import with_present_names
from chainrule.explaining.schema import (
    SCHEMA,
    BoxRecord,
    CardRecord,
    CheckRecord,
    Document,
    Kernels,
    Meta,
    NoCheck,
)
from chainrule.explaining.theta.form import in_form_of
from chainrule.formulas.exchange import plain
from chainrule.formulas.printing.notation import notation_from
from chainrule.layers import Composite, Layer
from chainrule.networks.batch import Batch
from chainrule.networks.network import Network
from chainrule.networks.objective import Objective
from chainrule.networks.step import Step
from chainrule.training.history import History
from chainrule.training.optimizers import SGD
from chainrule.version import __version__

CHECKED_ENTRIES = 80_000  # of all layers and samples that the sampled check computes
# Of the page's budget for the tensors' numbers; a page of LeNet has as much again in formulas, tables and
# pictures.
SHARE_OF_NUMBERS = 0.36


@dataclass(frozen=True)
class Task:
    """What is explained: a network and a batch, as an executor takes them.

    eta: of the step that the update card shows. check: how many entries of every parameter are compared with
    finite differences; None: no check. sample: the one in focus. budget: bytes of the page.
    """

    network: Network
    batch: Batch
    objective: Objective
    sample: int
    eta: float
    check: int | str | None
    notation: str
    language: str
    labels: Any  # y as it was given: the check reads it itself
    budget: int
    history: History | None = None
    elements: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    errata: bool = False  # whether those of every text are shown


def _told_apart(network: Network) -> Network:
    """The network, of which no layer is called as the targets or the weights of the samples are here."""
    names: dict[str, str] = {name: f"{name}_" for name in ("y", "weights") if name in network.shapes}
    if not names:
        return network
    while any(name in network.shapes for name in names.values()):
        names = {name: f"{other}_" for name, other in names.items()}

    def called(name: str) -> str:
        first, dot, rest = name.partition(".")
        return f"{names.get(first, first)}{dot}{rest}"

    def renamed(layers: Sequence[Layer]) -> tuple[Layer, ...]:
        made = []
        for layer in layers:
            copied = copy.copy(layer)
            if isinstance(copied, Composite):
                copied = copied.with_chains(tuple(map(renamed, copied.chains)))
            copied.name = called(str(layer.name))
            made.append(copied)
        return tuple(made)

    options: dict[str, Any] = {
        "name": network.name,
        "preparation": network.preparation,
        "precision": network.precision if network.dtype == np.float32 else None,
    }
    made = Network(renamed(network.layers), input_shape=network.input_shape, dtype=network.dtype, **options)
    made.set_parameters({called(name): array for name, array in network.parameters.items()})
    made.classes, made.history = network.classes, network.history
    made.several_labels, made.output_labels = network.several_labels, network.output_labels
    return made


def document_of(task: Task) -> Document:
    """The document.  Raises NonFiniteError where J, a δ or a gradient is NaN or infinite."""
    task = replace(task, network=_told_apart(task.network))
    network = task.network.copy(dtype="float64")
    batch, objective = task.batch, task.objective
    if batch.weights is not None and batch.weights.ndim > 1:
        raise ArgumentError(
            "explain takes sample_weight as one number for every sample, (N,): weights by output have no "
            "place in the report; Losses({...}, weights={...}) has those of whole outputs"
        )
    weighted, of_network = batch.weights is not None, (network, objective.loss, objective.penalty)
    with np.errstate(all="ignore"):  # what overflows is refused below, with its name
        derived = reference.derive(network, batch, objective)
    step = derived.step
    _refuse_what_is_not_finite(step)
    budget = int(task.budget * SHARE_OF_NUMBERS)
    facts = model_of(network, batch, objective, derived, budget_bytes=budget)
    diagnosis = _diagnosis(task, derived)
    document: Document = {
        "schema": SCHEMA,
        "meta": _meta(task),
        "graph": facts.document["graph"],
        "tensors": facts.document["tensors"],
        "loss": facts.document["loss"],
        "penalty": facts.document["penalty"],
        "cards": _cards(task, facts, derived),
        "loss_card": loss_card(derived.head, task.sample, weighted=weighted),
        "update": update_card(network, batch, objective, derived, task.eta),
        "check": _check(task, network),
        "kernels": _kernels(task, network, step),
        "flow": diagnosis.flow,
        "findings": list(diagnosis.findings),
        "boxes": [
            _box(box)
            for box in closing_boxes(network, objective.loss, task.notation, objective.penalty, weighted)
        ],
        "notation": notation_rows(*of_network, weighted),
        "conventions": conventions_of(*of_network),
        "slips": slips_of(*of_network),
    }
    return in_form_of(document, notation_from(task.notation))


def _diagnosis(task: Task, derived: reference.Derivation) -> Diagnosis:
    """The doctor's, on the passes that there are."""
    selection = selected(task.batch, len(task.batch))
    optimizer = SGD(task.eta)
    rate = rate_of(optimizer, task.history)
    with np.errstate(all="ignore"):  # what overflows is what is looked for
        return diagnosis_of(
            measured(
                task.network,
                selection,
                task.objective,
                derived,
                optimizer,
                rate,
                task.history,
                batch_size=len(task.batch),
            )
        )


def _refuse_what_is_not_finite(step: Any) -> None:
    arrays = {"J": step.loss, **{f"δ of {name}": value for name, value in step.deltas.items()}}
    arrays |= {f"∂J/∂{name}": value for name, value in step.gradients.items()}
    bad = next((name for name, value in arrays.items() if not all_finite(np.asarray(value))), None)
    if bad is not None:
        raise NonFiniteError(
            f"{bad} is infinite or NaN on this batch, and a derivation in numbers needs finite ones: "
            "diagnose(net, X, y) says where it begins; scale X, y or the weights"
        )


def _cards(task: Task, facts: PassFacts, derived: reference.Derivation) -> list[CardRecord]:
    below = {layer.forward.name: layer.below for layer in derived.backward}
    untraced = frozenset(name for name, trees in facts.trees.items() if trees is None)
    numbers = layer_numbers(task.network)
    repeats, penalised = repeats_of(facts.passes), _penalised(task, facts)
    walk = Walk(
        derived.deltas, below, numbers, task.sample, facts.document["tensors"], facts.arrays,
        repeats, untraced, task.elements, penalised, Shared.of(task.network, derived),
    )  # fmt: skip
    return cards_of(facts.passes, walk)


def _penalised(task: Task, facts: PassFacts) -> Penalised:
    penalty = facts.document["penalty"]
    names = penalty["on"] if penalty else ()
    weights, data = ({name: facts.arrays[f"{of}{name}"] for name in names} for of in ("", "data gradient:"))
    return Penalised(task.objective.penalty, task.objective.training_size, weights, data)


def _box(box: ClosingBox) -> BoxRecord:
    made: BoxRecord = {
        "title": say_json(box.title),
        "equations": [equation_json(equation) for equation in box.equations],
    }
    if box.letters is not None:
        made["letters"] = say_json(box.letters)
    return made


def _meta(task: Task) -> Meta:
    network, penalty = task.network, task.objective.penalty
    return {
        "chainrule": __version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "dtype": str(network.dtype),
        "precision": network.precision,
        "seed": network.seed,
        "title": quoted(network.name or ""),
        "network": repr(network),
        "loss": repr(task.objective.loss),
        "penalty": None if penalty is None else repr(penalty),
        "parameters": network.count_parameters(),
        "sample": task.sample,
        "samples": len(task.batch),
        "label": quoted(plain_array(one_column(task.labels), "y").tolist()[task.sample]),
        "training_size": task.objective.training_size,
        "budget": task.budget,
        "eta": task.eta,
        "notation": task.notation,
        "errata": task.errata,
        "language": task.language,
    }


def _kernels(task: Task, network: Network, step: Step) -> Kernels:
    """How far the compiled kernels in float64 are from the formulas: by layer, the largest relative
    difference; of a gradient whose terms cancel, as of a bias that a batch normalisation takes away, relative
    to a thousandth of the terms of δ.
    """
    compiled = network.executor().backpropagate(network, task.batch, task.objective)
    differences: dict[str, float] = {}
    pairs = [
        (name, compiled.deltas[name], value, 0.0)
        for name, value in step.deltas.items()
        if name in compiled.deltas
    ]
    for name, value in step.gradients.items():
        layer = name.rpartition(".")[0]
        d = np.abs(step.deltas.get(layer, np.zeros(1)))
        terms = 1e-3 * float(d.sum(axis=tuple(range(d.ndim - 1))).max())
        pairs.append((layer, compiled.gradients[name], value, terms))
    for name, kernel_value, value, terms in pairs:
        size = max(float(np.abs(value).max(initial=0.0)), terms)
        error = float(np.abs(kernel_value - value).max(initial=0.0)) / size if size else 0.0
        differences[name] = max(differences.get(name, 0.0), error)
    return {"layers": {name: plain(error) for name, error in differences.items()}, "loss": compiled.loss}


def _check(task: Task, network: Network) -> CheckRecord | NoCheck | None:
    """The gradient check of the batch's first samples as JSON; {"reason"} where it cannot be made."""
    if task.check is None:
        return None
    objective, weights = task.objective, task.batch.weights
    heavy = np.arange(len(task.batch)) if weights is None else np.flatnonzero(weights)
    few = np.sort(heavy[: _checked_samples(task)])  # of samples that weigh nothing there is nothing to check
    batch = task.batch[few]
    try:
        report = check_gradients(
            network,
            prepared(batch.inputs),
            plain_array(one_column(task.labels), "y")[few],
            objective.loss,
            objective.penalty,
            entries=task.check,  # type: ignore[arg-type]
            training_size=objective.training_size,
            sample_weight=batch.weights,
        )
    except ArgumentError as error:  # a recurrence that cuts δ has no finite difference
        return {"reason": str(error)}
    if not report.ok and not report.wrong:
        reasons = dict.fromkeys(record.reason for record in report.parameters if record.reason)
        return {"reason": "; ".join(reasons) or "there is nothing to compare"}
    return _check_json(report, len(batch))


def _checked_samples(task: Task) -> int:
    """As many as 8; fewer of a network with many entries, whose kinks take four passes each to be told."""
    if task.check == "all":
        return 8
    entries = sum(math.prod(shape) for shape in task.network.shapes.values())
    return max(2, min(8, CHECKED_ENTRIES // max(entries, 1)))


def _check_json(report: GradientReport, samples: int) -> CheckRecord:
    return {
        "ok": report.ok,
        "samples": samples,
        "relative_difference": plain(report.relative_difference),
        "tolerance": report.tolerance,
        "computed_by": report.computed_by,
        "rows": [
            {
                "name": record.name,
                "shape": list(record.shape),
                "kind": record.kind,
                "entries": record.entries,
                "max_error": plain(record.max_error),
                "step": plain(record.step if math.isfinite(record.step) else 0.0),
                "kinks": record.kinks,
                "direction_error": None if record.direction_error is None else plain(record.direction_error),
                "reason": record.reason,
                "worst": None
                if record.worst is None
                else {
                    "index": list(record.worst.index),
                    "analytic": record.worst.analytic,
                    "numeric": record.worst.numeric,
                },
            }
            for record in report.parameters
        ],
        "diagnosis": list(report.diagnosis),
    }


def read(document: Mapping[str, Any]) -> Document:
    """The document itself, if it is one that this version reads, with the names that texts have now.

    Raises ValueError that says which schema it has.
    """
    if not isinstance(document, Mapping) or document.get("schema") != SCHEMA:
        received = document.get("schema") if isinstance(document, Mapping) else type(document).__name__
        raise ArgumentError(f"a report's document has schema {SCHEMA}; this one has {describe(received)}")
    parts = {"meta": Mapping, "slips": list, "cards": list, "graph": Mapping, "tensors": Mapping}
    for part, kind in parts.items():
        if not isinstance(document.get(part), kind):
            raise ArgumentError(f"a report's document has {part!r}, this one {describe(document.get(part))}")
    return cast(Document, dict(document) if "errata" in document["meta"] else with_present_names(document))
