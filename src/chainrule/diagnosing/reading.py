"""What the doctor's rules read from a gradient flow (flow.py): chains of layers, what is in front of one."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from chainrule.diagnosing.schema import Faults, FlowRecord, LayerFlow, ParameterFlow

Case = dict[str, Any]  # what the sentences of a rule are filled with, by the names that stand in them


def deviation(flow: FlowRecord, layer: LayerFlow | None, case: Case) -> Case:
    """What the weights of a layer are spread by, and by how much they would start; and which text says it."""
    suited = [
        parameter
        for parameter in flow["parameters"]
        if layer and parameter["layer"] == layer["name"] and parameter["suited_std"]
    ]
    text = "" if case["slope"] < 0.1 else "bounded"
    if not suited or not layer:
        return {"text": text, "weight": "W", "std": 0.0, "suited": 0.0}
    return {
        "text": text,
        "weight": suited[0]["name"],
        "std": suited[0]["std"],
        "suited": suited[0]["suited_std"],
    }


def chain_of(flow: FlowRecord, place: str) -> list[LayerFlow]:
    return [layer for layer in flow["layers"] if layer["place"] == place]


def quotient(a: float | None, b: float | None) -> float:
    """a / b; infinite where it is not known, so that what is not known passes for large."""
    return math.inf if a is None or b is None or b == 0 else a / b


def size_of_delta(layer: LayerFlow) -> float | None:
    """‖δ‖ at the output of a layer; None where it has none of its own."""
    return layer["delta"]["norm"] if layer["delta"] else None


def gains(layers: Iterable[LayerFlow], kind: str = "") -> list[float]:
    """The gains of layers, or of those of a kind."""
    return [layer["gain"] for layer in layers if layer["gain"] and kind in ("", layer["kind"])]


def counts(record: Faults | ParameterFlow) -> Case:
    return {"nan": record["nan"], "inf": record["inf"]}


def names(records: Iterable[LayerFlow | ParameterFlow]) -> str:
    return ", ".join(str(record["name"]) for record in records)


def weights(flow: FlowRecord) -> list[ParameterFlow]:
    """The matrices and kernels; a bias that starts at 0 has no relative step."""
    return [parameter for parameter in flow["parameters"] if len(parameter["shape"]) > 1]


def still(flow: FlowRecord) -> list[ParameterFlow]:
    """The matrices and kernels whose gradient is exactly 0."""
    return [parameter for parameter in weights(flow) if parameter["zeros"] == parameter["entries"]]


def optimizer(flow: FlowRecord) -> Case:
    return {"optimizer": flow["optimizer"]["name"], "rate": flow["optimizer"]["rate"]}


def layers_below(flow: FlowRecord, layer: LayerFlow) -> list[LayerFlow]:
    """The layers of the same chain in front of this one, the nearest first."""
    chain = chain_of(flow, layer["place"])
    place = next(number for number, member in enumerate(chain) if member["name"] == layer["name"])
    return chain[:place][::-1]


def behind_norm(flow: FlowRecord, layer: LayerFlow) -> LayerFlow:
    """The normalisation that follows a layer directly, else the layer."""
    chain = chain_of(flow, layer["place"])
    place = next(number for number, member in enumerate(chain) if member["name"] == layer["name"])
    behind = chain[place + 1] if place + 1 < len(chain) else layer
    return behind if behind["kind"] == "norm" and behind["delta"] else layer


def rms_below(flow: FlowRecord, layer: LayerFlow) -> float:
    """RMS of z, what goes into an activation; of a recurrence, of what it reads."""
    below = next(iter(layers_below(flow, layer)), None)
    if below:
        return below["output"]["rms"] or 0.0
    given = flow["input"]
    return (given["rms"] or 0.0) if "rms" in given else 0.0


def rms_of_logits(flow: FlowRecord) -> float:
    return rms_below(flow, flow["layers"][-1])


def bias_below(flow: FlowRecord, layer: LayerFlow) -> float | None:
    """The mean bias of the layer with weights in front of an activation."""
    below = next((lower for lower in layers_below(flow, layer) if lower["kind"] in ("weights", "norm")), None)
    names = {f"{below['name']}.b", f"{below['name']}.beta"} if below else set()
    return next((parameter["mean"] for parameter in flow["parameters"] if parameter["name"] in names), None)


def blocking(flow: FlowRecord, layer: LayerFlow) -> str:
    """The first layer above this one that gets a δ and hands none down."""
    seen = False
    for candidate in flow["layers"]:
        seen = seen or candidate["name"] == layer["name"]
        if seen and size_of_delta(candidate):
            return str(candidate["name"])
    return ""
