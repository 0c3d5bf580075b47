"""What every parameter gets: its gradient, the penalty's share, the noise of it over batches, and the
optimizer's step.

The batch is cut into groups of the size of a training batch.  Their gradients are what training would see at
these parameters: their spread is the noise, and the optimizer is fed with them, at fixed parameters, until
its moments have settled.  So the step is that of a running training, not the first one of Adam, which moves
every entry by η.  Where a training batch is all there is, the step is that of the whole gradient.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from chainrule.base.norms import norm, norm_of_all
from chainrule.base.types import Array
from chainrule.diagnosing.layer_flow import number, ratio, rms
from chainrule.diagnosing.schema import EqualUnits, ParameterFlow
from chainrule.layers import Composite, Layer, Parameter
from chainrule.layers.initializers import Glorot
from chainrule.networks.network import Network
from chainrule.reference import Backward, layer_backward, summed
from chainrule.training.optimizers import Optimizer

MOST_GROUPS = 16
LEAST_GROUPS = 4
SETTLED = 40  # steps: 0.9^40 = 0.015 of a momentum of 0.9 is missing
MANY = 2_000_000  # entries of all parameters, beyond which fewer steps are taken
EQUAL = 1e-12  # rows that differ by less, relative to their size, are the same


@dataclass(frozen=True, eq=False)
class Groups:
    """Gradients of the data's loss, the mean over a group each; size: samples of a group."""

    size: int
    gradients: list[dict[str, Array]]


def grouped(
    network: Network, flows: Sequence[Backward], mixed: Array, batch_size: int, least: int = LEAST_GROUPS
) -> Groups:
    """The gradients of batches of `batch_size` samples, smaller ones where there are too few samples for
    `least` of them.

    mixed: the samples' places in a random order, from which the batches are cut.
    """
    samples = len(mixed)
    size = max(1, min(batch_size, samples // least))
    count = min(MOST_GROUPS, samples // size)
    gradients: list[dict[str, Array]] = []
    for number_ in range(count):
        part = mixed[number_ * size : (number_ + 1) * size]
        of_part = [
            replace(
                flow, gradients={name: share / size for name, share in _of_samples(flow, part).items()}
            )
            for flow in flows
            if flow.gradients
        ]
        gradients.append(summed(network, of_part))
    return Groups(size, gradients)


def _of_samples(flow: Backward, part: Array) -> dict[str, Array]:
    """A layer's gradients from some samples: the formulas on some places of the last axis.

    A layer that mixes samples needs all of them in its formulas: there δ of the others is set to 0.
    """
    layer_pass = flow.forward
    if layer_pass.layer.mixes_samples:
        alone = np.zeros_like(flow.d)
        alone[..., part] = flow.d[..., part]
        return layer_backward(layer_pass.layer, alone, layer_pass.x, layer_pass.output, layer_pass.given)[1]
    parameters = set(layer_pass.layer.parameters(layer_pass.x.shape[:-1]))
    given = {
        name: value if name in parameters else value[..., part] for name, value in layer_pass.given.items()
    }
    d, x, output = (array[..., part] for array in (flow.d, layer_pass.x, layer_pass.output))
    return layer_backward(layer_pass.layer, d, x, output, given, rounds=layer_pass.rounded)[1]


def noise(groups: Groups, name: str | None = None) -> tuple[float, float]:
    """(‖mean‖², tr cov / B) of the gradient of a batch: its square is an estimate without bias, at least
    0.
    """
    if len(groups.gradients) < LEAST_GROUPS:  # of two or three a spread says nothing
        return math.nan, math.nan
    names = list(groups.gradients[0]) if name is None else [name]
    square = spread = 0.0
    for parameter in names:
        stack = np.stack([gradients[parameter] for gradients in groups.gradients])
        mean = stack.mean(axis=0)
        square += float(np.sum(mean**2))
        spread += float(np.sum((stack - mean) ** 2)) / (len(stack) - 1)
    return max(square - spread / len(groups.gradients), 0.0), spread


def steps(
    network: Network, groups: Groups, of_penalty: Mapping[str, Array], optimizer: Optimizer, rate: float
) -> tuple[dict[str, Array], dict[str, Array], dict[str, float]]:
    """Δθ of the very first step, Δθ and the mean ‖Δθ‖ once the moments have settled; by name."""
    specs = network.parameter_specs
    values = {name: network.parameters[name].astype(np.float64) for name in groups.gradients[0]}
    state = {name: {slot: np.zeros_like(value) for slot in optimizer.slots} for name, value in values.items()}
    size = sum(value.size for value in values.values())
    count = SETTLED if size <= MANY else len(groups.gradients)
    sizes: dict[str, list[float]] = {name: [] for name in values}
    first: dict[str, Array] = {}
    moves: dict[str, Array] = {}
    for step in range(1, count + 1):
        gradients = groups.gradients[(step - 1) % len(groups.gradients)]
        whole = {name: gradients[name] + of_penalty.get(name, 0.0) for name in values}
        if optimizer.clip_norm is not None:
            length = norm_of_all(whole.values())
            factor = min(1.0, optimizer.clip_norm / length) if length else 1.0
            whole = {name: gradient * factor for name, gradient in whole.items()}
        for name, value in values.items():
            penalised = specs[name].penalised
            after = optimizer.update(value, whole[name], state[name], rate, step, penalised=penalised)
            moves[name] = after - value
            if step > count // 2:
                sizes[name].append(norm(moves[name]))
        first = first or dict(moves)
    return first, moves, {name: float(np.mean(lengths)) for name, lengths in sizes.items()}


def parameter_record(
    flow: Backward,
    name: str,
    full: str,
    value: Array,
    gradient: Array,
    of_penalty: Array | None,
    typical_step: float | None,
    groups: Groups,
    suited: float | None,
) -> ParameterFlow:
    """The record of one parameter, `full`, which the layer calls `name`.  gradient: of the data's loss, over
    all layers that use it; suited: the standard deviation to start with.
    """
    square, spread = noise(groups, full)
    of_data = norm(gradient)
    return {
        "name": full,
        "layer": flow.forward.name,
        "shape": list(value.shape),
        "norm": number(norm(value)),
        "mean": number(float(value.mean())),
        "std": number(float(value.std())),
        "broken": {"nan": int(np.isnan(value).sum()), "inf": int(np.isinf(value).sum())},
        "gradient": number(of_data),
        "gradient_rms": rms(gradient),
        "penalty": None if of_penalty is None else number(norm(of_penalty)),
        "penalty_share": None if of_penalty is None else ratio(norm(of_penalty), of_data),
        "step": None if typical_step is None else number(typical_step),
        "step_ratio": None if typical_step is None else ratio(typical_step, norm(value)),
        "snr": ratio(square, spread),
        "zeros": int(np.count_nonzero(gradient == 0)),
        "entries": int(value.size),
        "nan": int(np.isnan(gradient).sum()),
        "inf": int(np.isinf(gradient).sum()),
        "equal_units": equal_units(flow, name, value, gradient),
        "suited_std": suited,
    }


def equal_units(flow: Backward, name: str, value: Array, gradient: Array) -> EqualUnits | None:
    """How many units have incoming weights and a gradient of them in common with another: they stay the same.

    None for what has no units: biases, scales, tables of ids and positions.
    """
    layer = flow.forward.layer
    if layer.passage not in ("weights", "recurrent") or value.ndim < 2:
        return None
    spec: Parameter = layer.parameters(flow.forward.x.shape[:-1])[name]
    rows, slopes = (
        np.moveaxis(a.reshape(spec.units), 1, -1).reshape(-1, spec.units[1]) for a in (value, gradient)
    )
    if not (np.isfinite(rows).all() and np.isfinite(slopes).all()) or not rows.size:
        return None
    both = np.hstack([rows / (np.abs(rows).max() or 1.0), slopes / (np.abs(slopes).max() or 1.0)])
    _, counts = np.unique(np.round(both / EQUAL) * EQUAL, axis=0, return_counts=True)
    return {"equal": int(counts[counts > 1].sum()), "of": len(rows)}


def suited_deviations(layers: Sequence[Layer], specs: Mapping[str, Parameter]) -> dict[str, float]:
    """The standard deviation that the weights start with where the layer leaves that open, by what follows:
    He √(2/n) or Glorot √(2/(n + n_out)).
    """
    deviations: dict[str, float] = {}

    def chain(members: Sequence[Layer], behind: tuple[Layer, ...]) -> None:
        for place, layer in enumerate(members):
            rest = (*members[place + 1 :], *behind)
            if isinstance(layer, Composite):
                for branch, follow in zip(layer.chains, layer.following(rest), strict=True):
                    chain(branch, follow)
            name = f"{layer.name}.W"
            if name in specs and layer.passage == "weights":
                suited = next((follower.suits for follower in rest if follower.suits is not None), Glorot())
                deviation = suited.deviation(specs[name].fan_in, specs[name].fan_out)
                if deviation is not None:
                    deviations[name] = deviation

    chain(layers, ())
    return deviations
