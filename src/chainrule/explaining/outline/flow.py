"""The gradient flow as blocks: a row per layer, how large δ is along the network, a row per parameter,
findings.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from chainrule.base.languages import NOTHING, SPACE, Say, same, say_from
from chainrule.base.numbers import equals, short
from chainrule.diagnosing.schema import FindingRecord, FlowRecord, LayerFlow, ParameterFlow
from chainrule.explaining.blocks.kinds import Bars, Block, Cell, Finding, Paragraph, Table
from chainrule.explaining.schema import Document
from chainrule.explaining.words.catalogues import FLOW, TABLES
from chainrule.formulas.printing.boxes import Sign, Word, tight

FOLDED_ABOVE = 40  # rows


def flow_blocks(document: Document, m: str = "m", w: str = "w_i") -> tuple[Block, ...]:
    """The section's blocks.  m, w: the letters of the batch's size and of the weight of a sample."""
    flow, findings = document["flow"], document["findings"]
    times = FLOW.say("times_weight", w=w) if document["loss"].get("weights") else NOTHING
    said = SPACE.join([FLOW.say("about", m=m, times=times), *_limits(flow)])
    chart = _chart(flow, m)
    drawn = (chart,) if chart.labels else ()  # one layer whose δ is that of the loss, or zeros alone
    blocks: list[Block] = [Paragraph(said, id="flow-text"), *drawn, _layers(flow, m), _parameters(flow)]
    if not findings:
        blocks.append(Paragraph(FLOW["nothing_found"]))
    return (*blocks, *map(finding_block, findings))


def finding_block(finding: FindingRecord) -> Finding:
    """A finding of the doctor as a block."""
    what, why, cure = (say_from(finding[part]) for part in ("what", "why", "cure"))
    return Finding(finding["level"], what, why, cure)


def _limits(flow: FlowRecord) -> Iterator[Say]:
    """Below which f′ an entry counts as saturated, for the activations that there are."""
    limits = dict.fromkeys(
        f"{layer['class']} {short(layer['saturated_below'])}"
        for layer in flow["layers"]
        if layer["saturated"] is not None and layer["saturated_below"] is not None
    )
    if limits:
        yield FLOW.say("saturated_below", limits=", ".join(limits))


def _chart(flow: FlowRecord, m: str) -> Bars:
    """log10 of the RMS of m·δ, from the first layer to the last."""
    deltas = {layer["name"]: layer["delta"] for layer in flow["layers"]}
    sizes = {name: delta["rms"] for name, delta in deltas.items() if delta and delta["rms"]}
    values = np.array([[math.log10(size)] for size in sizes.values()]).reshape(-1, 1)
    title = FLOW.say("chart", m=m)
    symbol = tight(Word(m), Sign("·"), Word("δ"))
    return Bars(symbol, title, tuple(sizes), values, id="flow-chart")


def _layers(flow: FlowRecord, m: str) -> Table:
    head: tuple[Cell, ...] = (
        TABLES["layer"], FLOW["rms_of_output"], FLOW.say("rms_of_delta", m=m), FLOW["relative_to_top"],
        FLOW["gain"], FLOW["saturated"], FLOW["dead"], FLOW["zeros_of_delta"], same("NaN, ∞"),
    )  # fmt: skip
    rows = tuple(_layer_row(layer) for layer in flow["layers"])
    right, folded = tuple(range(1, len(head))), len(rows) > FOLDED_ABOVE
    return Table(head, rows, right, FLOW["by_layer"], folded=folded, id="flow-layers")


def _layer_row(layer: LayerFlow) -> tuple[Cell, ...]:
    delta, dead = layer["delta"], layer["dead"]
    ratio = {"weights": "ρ_W ", "activation": "ρ_f′ "}.get(layer["kind"], "")
    broken = sum(part["nan"] + part["inf"] for part in (layer["output"], delta) if part)
    return (
        "  " * layer["place"].count("/") + layer["name"],
        _number(layer["output"]["rms"]),
        _number(delta["rms"]) if delta else TABLES["in_the_loss"],
        _number(layer["relative"]),
        "" if layer["gain"] is None else ratio + _number(layer["gain"]),
        "" if layer["saturated"] is None else f"{100 * layer['saturated']:.0f} %",
        f"{dead['units']}/{dead['of']}" if dead else "",
        f"{100 * delta['zeros'] / delta['entries']:.0f} %" if delta and delta["entries"] else "",
        str(broken or ""),
    )


def _parameters(flow: FlowRecord) -> Table:
    head: tuple[Cell, ...] = (
        TABLES["parameter"], FLOW["step_ratio"], FLOW["penalty_share"], FLOW["signal_to_noise"]
    )  # fmt: skip
    rows = tuple(_parameter_row(parameter) for parameter in flow["parameters"])
    optimizer = flow["optimizer"]
    told = f"{optimizer['name']}, η {equals(float(optimizer['rate']), 3)}"
    caption = FLOW.say("by_parameter", optimizer=told)
    return Table(head, rows, (1, 2, 3), caption, folded=len(rows) > FOLDED_ABOVE, id="flow-parameters")


def _parameter_row(parameter: ParameterFlow) -> tuple[Cell, ...]:
    name = parameter["name"]
    return (
        name if "." in name else f"{parameter['layer']}.{name}",
        _number(parameter["step_ratio"]),
        _number(parameter["penalty_share"]),
        _noise(parameter.get("snr")),
    )


def _noise(snr: float | None) -> Cell:
    """‖mean‖² over the variance; its estimate without bias is at most 0 where the batches show no mean."""
    return FLOW["not_above_0"] if snr == 0 else _number(snr)


def _number(value: float | None) -> str:
    return "" if value is None else short(float(value), 3)
