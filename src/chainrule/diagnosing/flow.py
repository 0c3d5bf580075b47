"""The gradient flow of a network on a batch, as JSON: the "flow" of an explain document (schema.py).

Everything is computed by the formulas in float64, the pass as in training (batch statistics, dropout).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chainrule import reference
from chainrule.base.errors import NonFiniteError, describe
from chainrule.base.norms import norm, row_norms
from chainrule.base.scalars import check_count
from chainrule.base.types import Array
from chainrule.data.door import check_weights
from chainrule.diagnosing.layer_flow import faults, layer_record, number, output_record, ratio
from chainrule.diagnosing.parameter_flow import (
    Groups,
    grouped,
    noise,
    parameter_record,
    steps,
    suited_deviations,
)
from chainrule.diagnosing.schema import (
    FlowRecord,
    HistoryFlow,
    IdsFlow,
    InputFlow,
    ParameterFlow,
    SampleNorms,
    Spread,
)
from chainrule.layers import Layer, LogSoftmax, Sigmoid, Softmax
from chainrule.losses import (
    BinaryCrossEntropy,
    CrossEntropy,
    KLDivergence,
    Loss,
    NegativeLogLikelihood,
    SquaredError,
)
from chainrule.losses.penalties import Penalty
from chainrule.networks.architecture import leaves
from chainrule.networks.batch import Batch
from chainrule.networks.network import Network
from chainrule.networks.objective import Objective
from chainrule.training.history import History
from chainrule.training.optimizers import Optimizer, optimizer_from

SAMPLES = 1000  # on which a unit may be called dead
NORMS = 256  # samples whose single gradients are measured
LARGEST = 5  # samples that are named


@dataclass(frozen=True, eq=False)
class Selection:
    """What is diagnosed on: a random part of the data where there is much of it.

    The samples stand in the order of the data, so that dropout, which draws by a sample's place, masks them
    as `backpropagate` does; `mixed` are the places in random order, for groups that data sorted by class
    would make alike.
    """

    batch: Batch
    rows: Array  # which samples of the data these are, ascending
    mixed: Array  # places 0, …, len(rows) - 1, in a random order


def flow_of(
    network: Network,
    X: Any,
    y: Any,
    *,
    loss: Loss | str | None = None,
    penalty: Penalty | None = None,
    optimizer: Optimizer | str | None = None,
    history: History | None = None,
    sample_weight: Any = None,
    training_size: int | None = None,
    batch_size: int = 32,
    samples: int = SAMPLES,
) -> FlowRecord:
    """The gradient flow; arguments as of `fit`.

    history: of the training so far; its optimizer is taken where none is given, and its last rate.  Without
    either the optimizer is Adam(1e-3), as in `fit`.  training_size: m of a penalty that is divided by it, by
    default the number of samples in X.  samples: at most so many of X are used, chosen at random. Raises what
    `fit` raises for arguments that do not fit.
    """
    if not isinstance(network, Network):
        raise TypeError(f"diagnose takes the network first, (network, X, y): received {describe(network)}")
    check_history(history)
    batch_size = check_count("batch_size", batch_size)
    if optimizer is None and history is not None and isinstance(history.optimizer, Optimizer):
        optimizer = history.optimizer
    chosen = optimizer_from(optimizer)
    rate = rate_of(chosen, history)
    batch, objective = network.problem(X, y, loss, penalty, sample_weight, training_size)
    selection = selected(batch, check_count("samples", samples))
    with np.errstate(all="ignore"):  # what overflows is what is looked for
        derived = reference.derive(network, selection.batch, objective)
        return measured(network, selection, objective, derived, chosen, rate, history, batch_size)


def measured(
    network: Network,
    selection: Selection,
    objective: Objective,
    derived: reference.Derivation,
    optimizer: Optimizer,
    rate: float,
    history: History | None,
    batch_size: int,
) -> FlowRecord:
    """The gradient flow in one forward and backward pass on the selection, which has been made."""
    batch, passes, head = selection.batch, derived.passes, derived.head
    m, y = len(batch), head.y
    flows = [_summed(layer, m) for layer in derived.backward]
    places = {name: place for place, name in enumerate(network.shapes)}
    flows.sort(key=lambda flow: places[flow.forward.name])
    groups = grouped(network, flows, selection.mixed, batch_size)
    of_penalty = objective.penalty_gradients(network.parameters, network.parameter_specs)
    trained_on = groups if batch_size < m else grouped(network, flows, selection.mixed, m, least=1)
    first, moves, sizes = steps(network, trained_on, of_penalty, optimizer, rate)
    top, dtype = m * norm(head.d), str(network.dtype)
    records = [layer_record(flow, top, m, dtype) for flow in flows]
    parameters = _parameters(network, flows, of_penalty, sizes, groups, m)
    square, spread = noise(groups)
    after = [_after(network, batch, objective, move) for move in (first, moves)]
    return {
        "samples": m,
        "batch_size": groups.size,
        "training_size": objective.training_size,
        "dtype": dtype,
        "history": history_record(history),
        "has_penalty": objective.penalty is not None,
        "optimizer": {"name": type(optimizer).__name__, "rate": rate},
        "loss": {
            "class": type(head.loss).__name__,
            "J": number(derived.loss),
            "data": number(derived.data_loss),
            "penalty": number(derived.penalty),
            "start": _of_ignorance(head, m),
            "constant": _of_constant(head, m),
            "after": min((J for J in after if J is not None), default=None),
            "predicted": _predicted(derived.data_gradients, moves, of_penalty),
        },
        "input": input_record(passes[0].x, network),
        "inputs": input_records(passes[0].x, network),
        "targets": None if isinstance(head.loss, (CrossEntropy, BinaryCrossEntropy)) else spread_record(y),
        "top": number(top),
        "layers": [*records, *([output_record(passes[-1], dtype)] if head.pair else [])],
        "parameters": parameters,
        "snr": ratio(square, spread),
        "sample_norms": _sample_norms(network, selection, head.loss),
    }


def selected(batch: Batch, samples: int) -> Selection:
    """At most `samples` of them, always the same ones, in the order of the data."""
    drawn = np.random.Generator(np.random.PCG64(0)).permutation(len(batch))[:samples]
    rows, mixed = np.sort(drawn), np.argsort(np.argsort(drawn))
    part = batch[rows]
    if part.weights is not None:
        even = np.ones(len(rows))
        columns = part.weights if part.weights.ndim > 1 else part.weights[:, None]
        made = [check_weights(w, len(rows)) if w.any() else even for w in columns.T]
        part = replace(part, weights=np.stack(made, axis=1).reshape(part.weights.shape))
    return Selection(part, rows, mixed)


def _summed(layer: reference.Backward, m: int) -> reference.Backward:
    """δ of the samples by themselves, without 1/m, and the sums of their gradients."""
    gradients = {name: gradient * m for name, gradient in layer.gradients.items()}
    return replace(layer, d=layer.d * m, below=layer.below * m, gradients=gradients)


def check_history(history: Any) -> None:
    """TypeError for what no fit returned."""
    if history is not None and not isinstance(history, History):
        raise TypeError(f"history must be what fit returned, or None, received {describe(history)}")


def rate_of(optimizer: Optimizer, history: History | None) -> float:
    """η: of the last epoch trained, else where the schedule starts."""
    if history is not None and len(history) and np.isfinite(history.last.rate):
        return float(history.last.rate)
    return float(optimizer.schedule.rate)


def history_record(history: History | None) -> HistoryFlow | None:
    """The loss of every epoch so far."""
    if history is None or not len(history):
        return None
    return {
        "epochs": len(history),
        "loss": [number(loss) for loss in history.loss],
        "stopped": history.stopped,
    }


def input_record(x: Array, network: Network) -> IdsFlow | InputFlow:
    """The scale of the inputs, feature by feature where a sample is a vector; ids have none, also those that
    are one of several inputs.
    """
    if network.vocabulary is not None:
        return {"ids": True}
    parts = network.input_parts.values()
    if not parts:
        return {"ids": False, **spread_record(x)}
    numbers = [np.full(math.prod(shape), vocabulary is None) for shape, vocabulary in parts]
    places = np.flatnonzero(np.concatenate(numbers))
    if not places.size:
        return {"ids": True}
    record = spread_record(x[places])
    if "largest_at" in record:
        record["largest_at"] = int(places[record["largest_at"]])
    return {"ids": False, **record}


def input_records(x: Array, network: Network) -> dict[str, InputFlow]:
    """The scale of each of several inputs that holds numbers."""
    records: dict[str, InputFlow] = {}
    start = 0
    for name, (shape, vocabulary) in network.input_parts.items():
        stop = start + math.prod(shape)
        if vocabulary is None:
            records[name] = {"ids": False, **spread_record(x[start:stop].reshape(*shape, -1))}
        start = stop
    return records


def spread_record(x: Array) -> Spread:
    """RMS, mean, deviation, and the features' RMS (of vectors, (features, m)): largest and median."""
    record: Spread = {
        "rms": ratio(norm(x), np.sqrt(x.size)),
        "mean": number(float(x.mean())),
        "std": number(float(x.std())),
    }
    if x.ndim == 2:
        sizes = row_norms(x) / math.sqrt(x.shape[1])
        deviations = x.std(axis=1)
        offsets = np.abs(x.mean(axis=1))[deviations > 0] / deviations[deviations > 0]
        used = sizes[sizes > 0]
        record["largest_feature"] = number(float(used.max())) if used.size else 0.0
        record["largest_at"] = int(sizes.argmax())
        record["median_feature"] = number(float(np.median(used))) if used.size else 0.0
        record["median_offset"] = number(float(np.median(offsets))) if offsets.size else 0.0
    return record


def _parameters(
    network: Network,
    flows: list[reference.Backward],
    of_penalty: dict[str, Array],
    sizes: dict[str, float],
    groups: Groups,
    samples: int,
) -> list[ParameterFlow]:
    suited = suited_deviations(network.layers, network.parameter_specs)
    records, gradients = [], reference.summed(network, flows)
    for flow in flows:
        names = network.parameter_names(flow.forward.layer)
        for name in flow.gradients:
            full = names[name]
            if full not in gradients:
                continue  # another use of what has been told
            value = network.parameters[full].astype(np.float64)
            arguments = (of_penalty.get(full), sizes.get(full), groups, suited.get(full))
            gradient = gradients.pop(full) / samples
            records.append(parameter_record(flow, name, full, value, gradient, *arguments))
    return records


def _after(network: Network, batch: Batch, objective: Objective, moves: dict[str, Array]) -> float | None:
    """J on the same batch behind the step."""
    if not moves:
        return None
    values = {name: array.astype(np.float64) for name, array in network.parameters.items()}
    moved = {**values, **{name: values[name] + move for name, move in moves.items()}}
    data = reference.data_loss(network, batch, objective.loss, moved, training=True)
    return number(data + objective.penalty_value(moved, network.parameter_specs))


def _predicted(
    gradients: dict[str, Array], moves: dict[str, Array], of_penalty: dict[str, Array]
) -> float | None:
    """gᵀΔθ, g the gradient of J on the batch; gradients: of the data's loss."""
    total = 0.0
    for name, gradient in gradients.items():
        whole = gradient + of_penalty.get(name, 0.0)
        total += float(np.sum(whole * moves[name])) if name in moves else 0.0
    return number(total)


def _of_ignorance(head: reference.Head, m: int) -> float | None:
    """J of a classifier whose outputs are all the same: 1/K of a softmax, 1/2 of a sigmoid."""
    last, loss, a = head.last.layer, head.loss, head.last.output
    if isinstance(last, Softmax) and isinstance(loss, CrossEntropy):
        even = 1.0 / a.shape[-2]
    elif isinstance(last, LogSoftmax) and isinstance(loss, (NegativeLogLikelihood, KLDivergence)):
        even = -math.log(a.shape[-2])
    elif isinstance(last, Sigmoid) and isinstance(loss, BinaryCrossEntropy):
        even = 0.5
    else:
        return None
    return number(float(np.mean(head.share * m * loss.value(np.full_like(a, even), head.y))))


def _of_constant(head: reference.Head, m: int) -> float | None:
    """J of the best output that is the same for every sample, where that is the mean of the targets."""
    if not isinstance(head.loss, (CrossEntropy, BinaryCrossEntropy, SquaredError)):
        return None
    if not head.loss.affine or getattr(head.loss, "weighs", False):
        return None  # of weighted targets it is another
    y = head.y
    mean = np.average(y, axis=-1, weights=head.share)[..., None]
    return number(float(np.mean(head.share * m * head.loss.value(np.broadcast_to(mean, y.shape), y))))


def _sample_norms(network: Network, selection: Selection, loss: Loss) -> SampleNorms | None:
    """‖g_i‖ of single samples; None where samples have no gradient of their own, or draw random numbers."""
    if any(layer.mixes_samples or type(layer).draw is not Layer.draw for layer in leaves(network.layers)):
        return None
    part = np.sort(selection.mixed[:NORMS])
    try:
        norms = network.executor().sample_norms(network, selection.batch[part], loss)
    except NonFiniteError:
        return None
    finite = norms[np.isfinite(norms)]
    if not finite.size:
        return None
    order = np.argsort(-np.where(np.isfinite(norms), norms, np.inf), kind="stable")[:LARGEST]
    return {
        "min": float(finite.min()),
        "median": float(np.median(finite)),
        "max": float(finite.max()),
        "largest": [int(selection.rows[part[place]]) for place in order],
        **faults(norms, "float64"),
    }
