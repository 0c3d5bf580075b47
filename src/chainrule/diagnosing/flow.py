"""The gradient flow of a network on a batch, as a dict that JSON holds: the "flow" of an explain document.

Everything is computed by the formulas in float64, the pass as in training (batch statistics, dropout).

    {"samples", "batch_size", "training_size", "dtype", "history", "has_penalty",
     "optimizer": {"name", "rate"} | null,
     "loss": {"class", "J", "data", "penalty", "start", "constant", "after", "predicted"},
     "input": {...}, "targets": {...} | null, "top": ‖δ‖ where the backward pass starts,
     "layers": [record of flow_layers.layer_record, ...],         in the order of computation
     "parameters": [record of flow_parameters.parameter_record, ...],
     "snr": of the whole gradient of a training batch,
     "sample_norms": {"min", "median", "max", "largest": [...]} | null}

Loss: `start`: of an output that knows nothing (softmax 1/K: ln K); `constant`: of the best output that is the
same for every sample; `after`: J on this batch behind one step, the first or a later one, whichever is lower;
`predicted`: the change of J to first order, gᵀΔθ. What is not finite or not known is None.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule import reference
from chainrule.base.errors import NonFiniteError, describe
from chainrule.base.norms import norm, row_norms
from chainrule.base.scalars import check_count
from chainrule.data.door import check_inputs, check_weights, encode_targets
from chainrule.diagnosing.layer_flow import Flow, faults, flows, layer_record, number, output_record, ratio
from chainrule.diagnosing.parameter_flow import (
    Groups,
    grouped,
    noise,
    parameter_record,
    penalty_gradients,
    steps,
    suited_deviations,
)
from chainrule.layers import Layer, Sigmoid, Softmax
from chainrule.losses import BinaryCrossEntropy, CrossEntropy, Loss, SquaredError, loss_from
from chainrule.losses.penalties import Penalty, penalty_from, penalty_value, training_size_from
from chainrule.networks.architecture import leaves
from chainrule.networks.network import Network
from chainrule.training.history import History
from chainrule.training.optimizers import Optimizer, optimizer_from

Array = NDArray[Any]
SAMPLES = 1000  # on which a unit may be called dead
NORMS = 256  # samples whose single gradients are measured
LARGEST = 5  # samples that are named


@dataclass(frozen=True, eq=False)
class Batch:
    """What is diagnosed on: a random part of the data where there is much of it, samples first.

    The samples stand in the order of the data, so that dropout, which draws by a sample's place, masks them
    as `backpropagate` does; `mixed` are the places in random order, for groups that data sorted by class
    would make alike.
    """

    X: Array
    targets: Array
    loss: Loss
    weights: Array | None
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
) -> dict[str, Any]:
    """The gradient flow; arguments as of `fit`.

    history: of the training so far; its optimizer is taken where none is given, and its last rate.  Without
    either the optimizer is Adam(1e-3), as in `fit`.  training_size: m of a penalty that is divided by it, by
    default the number of samples in X.  samples: at most so many of X are used, chosen at random. Raises what
    `fit` raises for arguments that do not fit.
    """
    if not isinstance(network, Network):
        raise TypeError(f"diagnose takes the network first, (network, X, y): received {describe(network)}")
    penalty = penalty_from(penalty)
    if history is not None and not isinstance(history, History):
        raise TypeError(f"history must be what fit returned, or None, received {describe(history)}")
    batch_size = check_count("batch_size", batch_size)
    if optimizer is None and history is not None and isinstance(history.optimizer, Optimizer):
        optimizer = history.optimizer
    chosen = optimizer_from(optimizer)
    rate = rate_of(chosen, history)
    batch = batch_of(network, X, y, loss, sample_weight, check_count("samples", samples))
    training_size = training_size_from(training_size, len(np.asarray(X)))
    with np.errstate(all="ignore"):  # what overflows is what is looked for
        return _measured(network, batch, penalty, chosen, rate, history, training_size, batch_size)


def _measured(
    network: Network,
    batch: Batch,
    penalty: Penalty | None,
    optimizer: Optimizer,
    rate: float,
    history: History | None,
    training_size: int,
    batch_size: int,
) -> dict[str, Any]:
    m = len(batch.X)
    x = reference.to_columns(batch.X, np.float64)
    passes = reference.run_forward(network, x, None, np.float64)
    y = batch.loss.prepared(reference.target_columns(batch.targets, network, np.float64))
    weights = np.ones(m) if batch.weights is None else batch.weights
    pair = reference.is_pair(network.layers[-1], batch.loss)
    a = passes[-1].output
    d = weights * (batch.loss.residual(a, y) if pair else batch.loss.gradient(a, y))
    values = batch.loss.value_from_z(passes[-1].x, y) if pair else batch.loss.value(a, y)
    found: list[Flow] = []
    flows(passes[:-1] if pair else passes, d, "", found)
    places = {name: place for place, name in enumerate(network.shapes)}
    found.sort(key=lambda flow: places[flow.one.name])
    groups = grouped(found, batch.mixed, batch_size)
    of_penalty = penalty_gradients(network, penalty, training_size)
    trained_on = groups if batch_size < m else grouped(found, batch.mixed, m, least=1)
    first, moves, sizes = steps(network, trained_on, of_penalty, optimizer, rate)
    data = float(np.sum(weights * values)) / m
    of_weights = penalty_value(network.parameters, network.parameter_specs, penalty, training_size)
    top, dtype = norm(d), str(network.dtype)
    records = [layer_record(flow, top, m, dtype) for flow in found]
    parameters = _parameters(network, found, of_penalty, sizes, groups, m)
    square, spread = noise(groups)
    after = [_after(network, batch, move, penalty, training_size) for move in (first, moves)]
    return {
        "samples": m,
        "batch_size": groups.size,
        "training_size": training_size,
        "dtype": dtype,
        "history": history_record(history),
        "has_penalty": penalty is not None,
        "optimizer": {"name": type(optimizer).__name__, "rate": rate},
        "loss": {
            "class": type(batch.loss).__name__,
            "J": number(data + of_weights),
            "data": number(data),
            "penalty": number(of_weights),
            "start": _of_ignorance(network.layers[-1], batch.loss, a, y, weights),
            "constant": _of_constant(batch.loss, y, weights),
            "after": min((J for J in after if J is not None), default=None),
            "predicted": _predicted(found, moves, of_penalty, m),
        },
        "input": input_record(x, network),
        "targets": None if isinstance(batch.loss, (CrossEntropy, BinaryCrossEntropy)) else spread_record(y),
        "top": number(top),
        "layers": [*records, *([output_record(passes[-1], dtype)] if pair else [])],
        "parameters": parameters,
        "snr": ratio(square, spread),
        "sample_norms": _sample_norms(network, batch),
    }


def batch_of(
    network: Network, X: Any, y: Any, loss: Loss | str | None, sample_weight: Any, samples: int
) -> Batch:
    """The samples, checked; at most `samples` of them, always the same ones, in the order of the data."""
    chosen = loss_from(loss, network.layers[-1])
    chosen.check_output(network.layers)
    X = check_inputs(X, network.input_shape, dtype=network.dtype, vocabulary=network.vocabulary)
    targets, _ = encode_targets(y, network, chosen, len(X))
    weights = None if sample_weight is None else check_weights(sample_weight, len(X))
    drawn = np.random.Generator(np.random.PCG64(0)).permutation(len(X))[:samples]
    rows, mixed = np.sort(drawn), np.argsort(np.argsort(drawn))
    if weights is not None:
        weights = check_weights(weights[rows], len(rows)) if weights[rows].any() else np.ones(len(rows))
    return Batch(X[rows], targets[rows], chosen, weights, rows, mixed)


def rate_of(optimizer: Optimizer, history: History | None) -> float:
    """η: of the last epoch trained, else where the schedule starts."""
    if history is not None and len(history) and np.isfinite(history.last.rate):
        return float(history.last.rate)
    return float(optimizer.schedule.rate)


def history_record(history: History | None) -> dict[str, Any] | None:
    """The loss of every epoch so far."""
    if history is None or not len(history):
        return None
    return {
        "epochs": len(history),
        "loss": [number(loss) for loss in history.loss],
        "stopped": history.stopped,
    }


def input_record(x: Array, network: Network) -> dict[str, Any]:
    """The scale of the inputs, feature by feature where a sample is a vector; ids have none."""
    return {"ids": True} if network.vocabulary is not None else {"ids": False, **spread_record(x)}


def spread_record(x: Array) -> dict[str, Any]:
    """RMS, mean, deviation, and the features' RMS (of vectors, (features, m)): largest and median."""
    record = {
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
    found: list[Flow],
    of_penalty: dict[str, Array],
    sizes: dict[str, float],
    groups: Groups,
    samples: int,
) -> list[dict[str, Any]]:
    suited = suited_deviations(network.layers, network.parameter_specs)
    records = []
    for flow in found:
        for name, gradient in flow.gradients.items():
            full = f"{flow.one.name}.{name}"
            value = network.parameters[full].astype(np.float64)
            own = (of_penalty.get(full), sizes.get(full), groups, suited.get(full))
            records.append(parameter_record(flow, name, value, gradient / samples, *own))
    return records


def _after(
    network: Network, batch: Batch, moves: dict[str, Array], penalty: Penalty | None, training_size: int
) -> float | None:
    """J on the same batch behind the step."""
    if not moves:
        return None
    values = {name: array.astype(np.float64) for name, array in network.parameters.items()}
    moved = {**values, **{name: values[name] + move for name, move in moves.items()}}
    own = (batch.X, batch.targets, batch.loss, batch.weights, moved)
    data = reference.data_loss(network, *own, training=True)
    return number(data + penalty_value(moved, network.parameter_specs, penalty, training_size))


def _predicted(
    found: list[Flow], moves: dict[str, Array], of_penalty: dict[str, Array], samples: int
) -> float | None:
    """gᵀΔθ, g the gradient of J on the batch."""
    total = 0.0
    for flow in found:
        for name, gradient in flow.gradients.items():
            full = f"{flow.one.name}.{name}"
            whole = gradient / samples + of_penalty.get(full, 0.0)
            total += float(np.sum(whole * moves[full])) if full in moves else 0.0
    return number(total)


def _of_ignorance(last: Layer, loss: Loss, a: Array, y: Array, weights: Array) -> float | None:
    """J of a classifier whose outputs are all the same: 1/K of a softmax, 1/2 of a sigmoid."""
    if isinstance(last, Softmax) and isinstance(loss, CrossEntropy):
        even = 1.0 / a.shape[-2]
    elif isinstance(last, Sigmoid) and isinstance(loss, BinaryCrossEntropy):
        even = 0.5
    else:
        return None
    return number(float(np.mean(weights * loss.value(np.full_like(a, even), y))))


def _of_constant(loss: Loss, y: Array, weights: Array) -> float | None:
    """J of the best output that is the same for every sample, where that is the mean of the targets."""
    if not isinstance(loss, (CrossEntropy, BinaryCrossEntropy, SquaredError)):
        return None
    mean = np.average(y, axis=-1, weights=weights)[..., None]
    return number(float(np.mean(weights * loss.value(np.broadcast_to(mean, y.shape), y))))


def _sample_norms(network: Network, batch: Batch) -> dict[str, Any] | None:
    """‖g_i‖ of single samples; None where samples have no gradient of their own, or draw random numbers."""
    if any(layer.mixes_samples or type(layer).draw is not Layer.draw for layer in leaves(network.layers)):
        return None
    part = np.sort(batch.mixed[:NORMS])
    weights = None if batch.weights is None else batch.weights[part]
    try:
        norms = network.executor().sample_norms(
            network, batch.X[part], batch.targets[part], batch.loss, weights
        )
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
        "largest": [int(batch.rows[part[place]]) for place in order],
        **faults(norms, "float64"),
    }
