"""The doctor's rules: each a test of the gradient flow (flow.py) with thresholds that may be changed.

A test returns the cases it found: numbers and names, which the sentences of texts.py are filled with;
and "level" where a case is another than the rule's.  How often the rules are right was measured on networks
with planted faults: docs/guide/doctor.rst has the table, benchmarks/doctor.py makes it.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from chainrule.diagnosing import reading
from chainrule.diagnosing.reading import Case
from chainrule.diagnosing.schema import FlowRecord, LayerFlow, Level

Test = Callable[[FlowRecord, Mapping[str, float]], list[Case]]


@dataclass(frozen=True)
class FlowRule:
    """One line of the table.  thresholds: name -> default; a test reads them by these names."""

    name: str
    level: Level
    test: Test
    thresholds: Mapping[str, float] = field(default_factory=dict)


def non_finite(flow: FlowRecord, limits: Mapping[str, float]) -> list[Case]:
    """NaN or infinity: in a parameter, else the first layer whose output has it, else the first one (from the
    loss) whose δ has it.
    """
    dtype = {"dtype": flow["dtype"]}
    for parameter in flow["parameters"]:
        if parameter["broken"]["nan"] or parameter["broken"]["inf"]:
            return [{"layer": parameter["name"], "text": "value", **reading.counts(parameter["broken"])}]
    for layer in flow["layers"]:
        if layer["output"]["nan"] or layer["output"]["inf"]:
            return [{"layer": layer["name"], "text": "output", **dtype, **reading.counts(layer["output"])}]
    for layer in reversed(flow["layers"]):
        if layer["delta"] and (layer["delta"]["nan"] or layer["delta"]["inf"]):
            return [{"layer": layer["name"], "what": "δ", **dtype, **reading.counts(layer["delta"])}]
    for parameter in flow["parameters"]:
        if parameter["nan"] or parameter["inf"]:
            return [{"layer": parameter["name"], "what": "∂J/∂θ", **dtype, **reading.counts(parameter)}]
    return []


def exploding(flow: FlowRecord, limits: Mapping[str, float]) -> list[Case]:
    """δ grows from one layer with weights to the next one below, from the loss down, or from step to step.

    In front of a normalisation the size of δ is 1/σ, whatever the weights: there δ is taken behind it.
    """
    learns = ("weights", "recurrent", "composite")
    learned = [layer for layer in reading.chain_of(flow, "") if layer["kind"] in learns]
    cases: list[Case] = []
    for above, below in zip(learned[:0:-1], learned[-2::-1], strict=True):
        total = reading.behind_norm(flow, below)["relative"] or 0.0
        grown = reading.quotient(total, reading.behind_norm(flow, above)["relative"])
        if (grown > limits["gain"] and total > limits["gain"]) or total > limits["total"]:
            cases.append({"layer": above["name"], "below": below["name"], "gain": grown, "total": total})
            break
    for layer in flow["layers"]:
        in_time = layer["through_time"]
        if in_time and (in_time["gain"] is None or in_time["gain"] > limits["in_time"]):
            gain = in_time["gain"] if in_time["gain"] is not None else math.inf
            cases.append(
                {"layer": layer["name"], "steps": in_time["steps"], "total": gain, "text": "in_time"}
            )
    return cases


def vanishing_by_activations(flow: FlowRecord, limits: Mapping[str, float]) -> list[Case]:
    """δ is lost on the way down, most of it in the factors f′."""
    return [case for case in _lost(flow, limits) if case["share"] >= limits["share"]]


def vanishing_by_weights(flow: FlowRecord, limits: Mapping[str, float]) -> list[Case]:
    """δ is lost on the way down, most of it in the factors Wᵀ."""
    return [case for case in _lost(flow, limits) if case["share"] < limits["share"]]


def vanishing_in_time(flow: FlowRecord, limits: Mapping[str, float]) -> list[Case]:
    """A plain recurrence hands too little down to its first step."""
    cases: list[Case] = []
    for layer in flow["layers"]:
        in_time = layer["through_time"]
        if (
            "rnn" in layer["families"]
            and in_time
            and in_time["gain"] is not None
            and in_time["gain"] < limits["gain"]
        ):
            cases.append({"layer": layer["name"], "steps": in_time["steps"], "total": in_time["gain"]})
    return cases


def saturated(flow: FlowRecord, limits: Mapping[str, float]) -> list[Case]:
    """Layers most of whose entries sit where a bounded activation is flat; an output may, if it is right."""
    last = flow["layers"][-1]["name"]
    poor = reading.quotient(flow["loss"]["data"], flow["loss"]["constant"]) > limits["poor"]
    worst = [
        layer
        for layer in flow["layers"]
        if layer["saturated"] is not None
        and layer["saturated"] > limits["share"]
        and (layer["name"] != last or poor)
    ]
    if not worst:
        return []
    layer = max(worst, key=lambda candidate: candidate["saturated"] or 0.0)
    return [
        {
            "layer": layer["name"],
            "share": layer["saturated"],
            "limit": layer["saturated_below"],
            "layers": reading.names(worst),
            "rms": reading.rms_below(flow, layer),
        }
    ]


def dead_units(flow: FlowRecord, limits: Mapping[str, float]) -> list[Case]:
    """Layers most of whose units are inactive at every sample: one case for all of them."""
    inactive = [layer for layer in flow["layers"] if _is_dead(flow, layer, limits["share"])]
    if not inactive:
        return []
    biases = [bias for bias in (reading.bias_below(flow, layer) for layer in inactive) if bias is not None]
    drifted = min(biases, default=0.0)
    lowest, layers = inactive[-1]["name"], reading.names(inactive)
    case: Case = {"layer": lowest, "layers": layers, "samples": flow["samples"]}
    dead = [layer["dead"] for layer in inactive if layer["dead"]]
    case |= {"units": sum(count["units"] for count in dead), "of": sum(count["of"] for count in dead)}
    certain, caused = dead[0]["certain"], drifted < -limits["bias"]
    case |= {"bias": drifted, "text": "drifted" if caused else "" if certain else "few"}
    return [case if certain else {**case, "level": "warning" if caused else "note"}]


def _is_dead(flow: FlowRecord, layer: LayerFlow, share: float) -> bool:
    dead = layer["dead"]
    if not dead or layer["saturated"] is not None or dead["units"] <= share * dead["of"]:
        return False
    # z = 0 everywhere: weights that are 0, which is another rule's case.
    return layer["kind"] != "activation" or reading.rms_below(flow, layer) != 0


def step_too_large(flow: FlowRecord, limits: Mapping[str, float]) -> list[Case]:
    """A step of the optimizer raises J on the very batch, or moves the weights too far."""
    before, after = flow["loss"]["J"], flow["loss"]["after"]
    scale = max(flow["loss"]["constant"] or 0.0, limits["of_loss"] * (before or 0.0))
    weights = reading.weights(flow)
    moved = [weight for weight in weights if weight["step_ratio"] is not None]
    if before is None or not moved:
        return []
    largest = max(moved, key=lambda weight: weight["step_ratio"] or 0.0)
    ratio = largest["step_ratio"] or 0.0
    case: Case = {"parameter": largest["name"], "ratio": ratio, "before": before}
    case |= {"after": math.inf if after is None else after, **reading.optimizer(flow)}
    if after is None or after - before > limits["rise"] * scale:
        return [{**case, "text": "rises"}]
    if ratio > limits["ratio"]:
        return [{**case, "level": "warning"}]
    return []


def step_too_small(flow: FlowRecord, limits: Mapping[str, float]) -> list[Case]:
    """The weights hardly move while there is much to learn; after training only if the loss is still that of
    a constant output, for at the end of a schedule steps are short.
    """
    loss = flow["loss"]
    ratios = [weight["step_ratio"] for weight in reading.weights(flow) if weight["step_ratio"] is not None]
    if not ratios or reading.still(flow):
        return []
    if loss["J"] is None or loss["data"] is None or loss["predicted"] is None:
        return []
    if flow["history"] and loss["constant"] is None:
        return []
    poor = limits["stuck"] if flow["history"] else limits["poor"]
    if loss["constant"] is not None and loss["data"] < poor * loss["constant"]:
        return []
    gained = abs(loss["predicted"]) / loss["J"] if loss["J"] > 0 else 0.0
    if statistics.median(ratios) < limits["ratio"] and gained < limits["gained"]:
        return [{"ratio": statistics.median(ratios), "gained": gained, **reading.optimizer(flow)}]
    return []


def symmetry(flow: FlowRecord, limits: Mapping[str, float]) -> list[Case]:
    """Units that have the same weights and the same gradients: they stay the same for ever."""
    cases: list[Case] = []
    for parameter in flow["parameters"]:
        units = parameter["equal_units"]
        if units and units["of"] > 1 and units["equal"] > limits["share"] * units["of"]:
            name, layer = parameter["name"], parameter["layer"]
            cases.append({"parameter": name, "layer": layer, **units, "std": parameter["std"]})
    return (
        cases[:1]
        if not cases
        else [{**cases[0], "parameters": ", ".join(case["parameter"] for case in cases)}]
    )


def loss_at_start(flow: FlowRecord, limits: Mapping[str, float]) -> list[Case]:
    """A classifier that does worse than one that knows nothing."""
    start, data = flow["loss"]["start"], flow["loss"]["data"]
    if start is None or data is None or data <= (1 + limits["above"]) * start:
        return []
    return [{"data": data, "start": start, "rms": reading.rms_of_logits(flow)}]


def no_progress(flow: FlowRecord, limits: Mapping[str, float]) -> list[Case]:
    """After some epochs the loss is still that of a constant output; where that is not known: it has not
    fallen.
    """
    history = flow["history"]
    if history is None or history["epochs"] < limits["epochs"] or flow["loss"]["data"] is None:
        return []
    losses = [loss for loss in history["loss"] if loss is not None]
    constant = flow["loss"]["constant"]
    if len(losses) < 2:
        return []
    if constant is None:
        stuck = losses[-1] > (1 - limits["fall"]) * losses[0]
    else:
        stuck = flow["loss"]["data"] > limits["poor"] * constant
    if not stuck:
        return []
    return [
        {
            "epochs": history["epochs"],
            "first": losses[0],
            "last": losses[-1],
            "constant": constant or losses[0],
        }
    ]


def penalty_dominates(flow: FlowRecord, limits: Mapping[str, float]) -> list[Case]:
    """The penalty pulls harder than the data; at a minimum of both the two pulls are equal."""
    pulls = [
        (parameter["penalty"], parameter["gradient"])
        for parameter in flow["parameters"]
        if parameter["penalty"] is not None and parameter["gradient"] is not None
    ]
    of_penalty = math.hypot(*(penalty for penalty, _ in pulls))
    of_data = math.hypot(*(gradient for _, gradient in pulls))
    if not of_penalty or reading.still(flow):
        return []
    share = reading.quotient(of_penalty, of_data)
    loss = flow["loss"]
    crushed = loss["constant"] is not None and (loss["data"] or 0.0) > limits["poor"] * loss["constant"]
    case: Case = {"share": share, "penalty": of_penalty, "data": of_data}
    if loss["constant"] is not None and loss["data"] is not None:
        # Where the data are fitted their gradient is small, and a penalty that does no harm outweighs it.
        case |= {"level": "note"} if loss["data"] < limits["fitted"] * loss["constant"] else {}
    return [case] if share > limits["share"] or (crushed and share > limits["crushed"]) else []


def unlearnable(flow: FlowRecord, limits: Mapping[str, float]) -> list[Case]:
    """Weights whose gradient is exactly 0 on every sample: no δ arrives, or no input."""
    places = {layer["name"]: layer for layer in flow["layers"]}
    spared = {layer["name"] for layer in flow["layers"] if layer["identity_beside"]}
    still = [
        parameter
        for parameter in reading.still(flow)
        if places[parameter["layer"]]["place"].partition("/")[0] not in spared
    ]
    if not flow["top"]:
        return []
    without = [parameter for parameter in still if not reading.size_of_delta(places[parameter["layer"]])]
    unread = [parameter for parameter in still if parameter not in without]
    cases: list[Case] = []
    if without:
        blocking = reading.blocking(flow, places[without[-1]["layer"]])
        text = places[blocking]["kind"] if blocking in places else ""
        case = {"parameters": reading.names(without), "layer": without[-1]["layer"], "blocking": blocking}
        cases.append({**case, "text": text})
    elif unread:  # else it is what follows from the δ that is lost: a dead layer puts out 0
        cases.append({"parameters": reading.names(unread), "layer": unread[0]["layer"], "text": "no_input"})
    return cases


def noisy(flow: FlowRecord, limits: Mapping[str, float]) -> list[Case]:
    """Between batches the gradient differs more than it has in common."""
    snr = flow["snr"]
    poor = reading.quotient(flow["loss"]["data"], flow["loss"]["constant"]) > limits["poor"]
    if snr is None or snr >= limits["snr"] or not poor or reading.still(flow):
        return []
    case: Case = {"snr": snr, "batch": flow["batch_size"]}
    return [case if snr else {**case, "text": "none"}]


def inputs_not_scaled(flow: FlowRecord, limits: Mapping[str, float]) -> list[Case]:
    """Inputs, or targets of a regression, far from a size of 1, or features of different sizes."""
    cases: list[Case] = []
    given = [*flow["inputs"].items()]
    inputs = [(f"X[{name!r}]", record) for name, record in given] if given else [("X", flow["input"])]
    for what, record in (*inputs, ("y", flow["targets"])):
        if record is None or "rms" not in record or not record["rms"]:
            continue
        if not limits["smallest"] <= record["rms"] <= limits["largest"]:
            cases.append({"what": what, "rms": record["rms"], "mean": record["mean"], "std": record["std"]})
            continue
        if what == "y":
            continue
        spread = reading.quotient(record.get("largest_feature"), record.get("median_feature"))
        if record.get("largest_feature") is not None and spread > limits["spread"]:
            case = {"what": what, "feature": record["largest_at"], "spread": spread, "text": "spread"}
            cases.append(case | {"rms": record["largest_feature"], "median": record["median_feature"]})
        elif (record.get("median_offset") or 0.0) > limits["offset"]:
            cases.append(
                {"what": what, "offset": record["median_offset"], "mean": record["mean"], "text": "offset"}
            )
    return cases


RULES: tuple[FlowRule, ...] = (
    FlowRule("non_finite", "bad", non_finite),
    FlowRule("exploding", "bad", exploding, {"gain": 10.0, "total": 30.0, "in_time": 10.0}),
    FlowRule("vanishing_by_activations", "bad", vanishing_by_activations, {"gain": 1e-3, "share": 0.5}),
    FlowRule("vanishing_by_weights", "bad", vanishing_by_weights, {"gain": 1e-2, "share": 0.5}),
    FlowRule("vanishing_in_time", "warning", vanishing_in_time, {"gain": 1e-4}),
    FlowRule("symmetry", "bad", symmetry, {"share": 0.25}),
    FlowRule("unlearnable", "bad", unlearnable),
    FlowRule("dead_units", "bad", dead_units, {"share": 0.5, "bias": 0.1}),
    FlowRule("saturated", "warning", saturated, {"share": 0.5, "poor": 0.5}),
    FlowRule("step_too_large", "bad", step_too_large, {"rise": 0.1, "of_loss": 0.1, "ratio": 0.5}),
    FlowRule(
        "step_too_small",
        "warning",
        step_too_small,
        {"ratio": 1e-4, "gained": 1e-4, "poor": 0.5, "stuck": 0.9},
    ),
    FlowRule("no_progress", "bad", no_progress, {"epochs": 3, "fall": 0.02, "poor": 0.9}),
    FlowRule(
        "penalty_dominates",
        "warning",
        penalty_dominates,
        {"share": 2.0, "crushed": 0.5, "poor": 0.9, "fitted": 0.25},
    ),
    FlowRule("loss_at_start", "warning", loss_at_start, {"above": 2.0}),
    FlowRule(
        "inputs_not_scaled",
        "warning",
        inputs_not_scaled,
        {"largest": 10.0, "smallest": 0.01, "spread": 30.0, "offset": 10.0},
    ),
    FlowRule("noisy", "note", noisy, {"snr": 0.1, "poor": 0.5}),
)


def _lost(flow: FlowRecord, limits: Mapping[str, float]) -> list[Case]:
    """Chains whose lowest layer with weights gets less than `gain` of the δ at their end.

    What a pool or a mean over positions takes is not counted: it spreads δ over more entries.  A chain that
    ends in δ = 0 is another rule's case.
    """
    cases: list[Case] = []
    names = {parameter["layer"] for parameter in flow["parameters"] if len(parameter["shape"]) > 1}
    for place in dict.fromkeys(layer["place"] for layer in flow["layers"]):
        chain = [layer for layer in reading.chain_of(flow, place) if layer["delta"]]
        lowest = next((number for number, layer in enumerate(chain) if layer["name"] in names), None)
        if lowest is None:
            continue
        way = [layer for layer in chain[lowest + 1 :] if layer["kind"] != "other" and layer["gain"]]
        if not way or not reading.size_of_delta(chain[lowest]):
            continue
        gains = {kind: reading.gains(way, kind) for kind in ("activation", "weights")}
        total = sum(map(math.log10, reading.gains(way)))
        if total >= math.log10(limits["gain"]):
            continue
        medians = {kind: statistics.median(values) if values else 1.0 for kind, values in gains.items()}
        case: Case = {"layer": chain[lowest]["name"], "top": way[-1]["name"], "total": 10**total}
        case |= {
            "share": min(1.0, sum(map(math.log10, gains["activation"])) / total),
            "slope": medians["activation"],
            "weights": medians["weights"],
        }
        smallest = min(
            (layer for layer in way if layer["kind"] == "weights"),
            key=lambda layer: layer["gain"] or 0.0,
            default=None,
        )
        cases.append(case | reading.deviation(flow, smallest, case))
    return cases
