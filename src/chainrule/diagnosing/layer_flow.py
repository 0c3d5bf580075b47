"""How δ flows through every layer: sizes, gains, saturation, dead units; one record per layer.

δ is per sample here, ∂J_i/∂(output) without 1/m, so that its size does not depend on the batch.  A gain is
‖δ of the input‖ / ‖δ of the output‖ over the whole batch; of a layer with weights it is ρ_W, of an activation
ρ_f′; which it is the layer says (`passage`).
"""

from __future__ import annotations

import math

import numpy as np

from chainrule.base.norms import norm, norm_of_all
from chainrule.base.types import Array
from chainrule.diagnosing.schema import DeadUnits, DeltaFlow, Faults, LayerFlow, ThroughTime
from chainrule.formulas import call_formula
from chainrule.layers import Composite, Layer, Recurrent
from chainrule.reference import Backward, Pass

# log10|δ| from here on in steps of one: what is smaller counts in the first bin, larger in the last.
LOWEST, HIGHEST = -12, 4
ENOUGH = 1000  # samples on which a unit must be inactive to be called dead
SMALLEST_NORMAL = {"float32": float(np.finfo(np.float32).tiny), "float64": float(np.finfo(np.float64).tiny)}
SMALLEST = {"float32": 2.0**-149, "float64": 2.0**-1074}


def layer_record(flow: Backward, top: float, samples: int, dtype: str) -> LayerFlow:
    """The record of one layer; top: ‖δ‖ where the backward pass starts."""
    layer_pass, layer = flow.forward, flow.forward.layer
    slope = derivative(layer_pass)
    above, below = norm(flow.d), norm(flow.below)
    return {
        "name": layer_pass.name,
        "class": type(layer).__name__,
        "kind": layer.passage,
        "families": list(layer.families),
        "place": flow.place,
        "output": {"rms": rms(layer_pass.output), **faults(layer_pass.output, dtype)},
        "delta": delta_record(flow.d, samples, dtype),
        "relative": ratio(above, top),
        "gain": ratio(below, above) if layer.differentiable_input else None,
        "saturated": saturated(layer, slope),
        "saturated_below": layer.saturated_below,
        "slope": None if slope is None else number(float(np.abs(slope).max(initial=0.0))),
        "dead": dead_units(slope, samples),
        "through_time": through_time(layer, layer_pass, flow.d),
        "identity_beside": isinstance(layer, Composite) and not all(layer_pass.inside),
    }


def output_record(layer_pass: Pass, dtype: str) -> LayerFlow:
    """The record of an output activation that is one formula with the loss: it has no δ of its own."""
    return {
        "name": layer_pass.name,
        "class": type(layer_pass.layer).__name__,
        "kind": "output",
        "families": list(layer_pass.layer.families),
        "place": "",
        "output": {"rms": rms(layer_pass.output), **faults(layer_pass.output, dtype)},
        "delta": None,
        "relative": None,
        "gain": None,
        "saturated": None,
        "saturated_below": None,
        "slope": None,
        "dead": None,
        "through_time": None,
        "identity_beside": False,
    }


def delta_record(d: Array, samples: int, dtype: str) -> DeltaFlow:
    """RMS per entry and sample, norm, histogram, and what δ/m loses in the network's own type."""
    size = np.abs(d)
    finite = size[np.isfinite(size)]
    logs = np.log10(finite[finite > 0])
    edges = np.arange(LOWEST, HIGHEST + 1)
    counts = np.histogram(np.clip(logs, LOWEST, np.nextafter(HIGHEST, 0)), bins=edges)[0]
    trained = finite / samples
    denormal = (trained < SMALLEST_NORMAL[dtype]) & (trained >= SMALLEST[dtype])
    return {
        "rms": rms(d),
        "norm": number(norm(d)),
        "histogram": {"lowest": LOWEST, "counts": [int(count) for count in counts]},
        "entries": int(size.size),
        "zeros": int(np.count_nonzero(size == 0)),
        "denormals": int(np.count_nonzero(denormal)),
        "lost": int(np.count_nonzero((trained > 0) & (trained < SMALLEST[dtype]))),
        **faults(d, dtype),
    }


def derivative(layer_pass: Pass) -> Array | None:
    """f'(z) of an activation, (…, units, m); of an RNN at every step."""
    slope = call_formula(layer_pass.layer.entry_derivative, {"x": layer_pass.x, **layer_pass.given})
    return None if slope is None else np.asarray(slope)


def saturated(layer: Layer, slope: Array | None) -> float | None:
    """The share of entries of a bounded activation whose f' is next to nothing."""
    if slope is None or not slope.size or layer.saturated_below is None:
        return None
    return float(np.mean(np.abs(slope) < layer.saturated_below))


def dead_units(slope: Array | None, samples: int) -> DeadUnits | None:
    """How many units have f' = 0 at every sample and position; None for what cannot die.

    A unit is an entry of a vector, a channel of an image, a feature of a sequence.
    """
    if slope is None or slope.ndim < 2:
        return None
    if slope.all() and slope.size:  # f' is never 0: a leaky one
        return {"units": 0, "of": int(slope.shape[-2]), "certain": samples >= ENOUGH}
    other = tuple(axis for axis in range(slope.ndim) if axis != slope.ndim - 2)
    inactive = (slope == 0).all(axis=other)
    return {
        "units": int(inactive.sum()),
        "of": int(inactive.size),
        "certain": samples >= ENOUGH,
        "which": [int(unit) for unit in np.flatnonzero(inactive)[:20]],
    }


def through_time(layer: Layer, layer_pass: Pass, d: Array) -> ThroughTime | None:
    """What is left at the first step of the passage of a δ that arrives at its last: ‖δ_1‖ / ‖δ_T‖.

    A mask makes sequences of different lengths; then nothing is said.
    """
    if not isinstance(layer, Recurrent) or "mask" in layer_pass.given or layer.ends:
        return None
    arriving = d if layer.outputs == "last" else d[0] if layer.reverse else d[-1]
    sequence, states = layer.read(layer_pass.x)
    befores = []
    for x in sequence[::-1] if layer.reverse else sequence:
        befores.append({**layer_pass.given, "x": x, **states})
        states = dict(zip(layer.states, call_formula(layer.step, befores[-1]), strict=True))
    arrived = {name: np.zeros_like(state) for name, state in states.items()} | {layer.states[0]: arriving}
    steps = len(befores)
    if layer.truncate is not None:  # the last piece of the sequence, which may be shorter
        steps = (steps - 1) % layer.truncate + 1
    for before in befores[: len(befores) - steps : -1]:  # from the last step to the one behind the first
        handed = {f"d{name}": value for name, value in arrived.items()}
        below = call_formula(layer.step_delta, {**before, **handed})
        arrived = {name: below[name] for name in layer.states}
    left = norm_of_all(arrived.values())
    return {"steps": steps, "gain": ratio(left, norm(arriving))}


def faults(array: Array, dtype: str) -> Faults:
    """How many entries are NaN, or infinite in the network's own type."""
    largest = float(np.finfo(dtype).max)
    return {"nan": int(np.isnan(array).sum()), "inf": int(np.count_nonzero(np.abs(array) > largest))}


def rms(array: Array) -> float | None:
    """The root of the mean square per entry."""
    return number(norm(array) / math.sqrt(array.size)) if array.size else 0.0


def ratio(a: float, b: float) -> float | None:
    """a / b where it says something."""
    return number(a / b) if b and math.isfinite(b) else None


def number(value: float) -> float | None:
    """The number, None where JSON has none: NaN and infinity."""
    return float(value) if math.isfinite(value) else None
