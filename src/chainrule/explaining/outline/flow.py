"""The gradient flow as blocks: a row per layer, how large δ is along the network, a row per parameter,
findings.
"""

from __future__ import annotations

import math

import numpy as np

from chainrule.base.languages import Say, same, say_from
from chainrule.base.numbers import equals, short
from chainrule.diagnosing.schema import FindingRecord, FlowRecord, LayerFlow
from chainrule.explaining.blocks.kinds import Bars, Block, Cell, Finding, Paragraph, Table
from chainrule.explaining.schema import Document
from chainrule.formulas.printing.boxes import Sign, Word, tight

FOLDED_ABOVE = 40  # rows


def flow_blocks(document: Document, m: str = "m", w: str = "w_i") -> tuple[Block, ...]:
    """The section's blocks.  m, w: the letters of the batch's size and of the weight of a sample."""
    flow, findings = document["flow"], document["findings"]
    limits = _limits(flow)
    times = same("")
    if document["loss"].get("weights"):
        times = Say(f", each times its sample weight {w}", f"（各乘以样本权重 {w}）")
    said = Say(
        f"{m}·δ is δ of single samples{times.en}: 1/{m} is taken out, so that its size does "
        "not depend on the batch. Gain: ‖δ of the input‖ / ‖δ of the output‖ of the layer; of a layer "
        f"with weights it is ρ_W, of an activation ρ_f′, and along a chain they multiply.{limits.en}",
        f"{m}·δ 是单个样本的 δ{times.zh}：去掉了 1/{m}，大小与批量无关。"
        f"增益：该层“输入处 ‖δ‖ / 输出处 ‖δ‖”；对带权重的"
        f"层记作 ρ_W，对激活层记作 ρ_f′，沿链相乘。{limits.zh}",
    )
    chart = _chart(flow, m)
    drawn = (chart,) if chart.labels else ()  # one layer whose δ is that of the loss, or zeros alone
    blocks: list[Block] = [Paragraph(said, id="flow-text"), *drawn, _layers(flow, m), _parameters(flow)]
    if not findings:
        blocks.append(Paragraph(Say("No rule of the doctor found anything.", "诊断规则没有发现问题。")))
    return (*blocks, *map(finding_block, findings))


def finding_block(finding: FindingRecord) -> Finding:
    """A finding of the doctor as a block."""
    what, why, cure = (say_from(finding[part]) for part in ("what", "why", "cure"))
    return Finding(finding["level"], what, why, cure)


def _limits(flow: FlowRecord) -> Say:
    """Below which f′ an entry counts as saturated, for the activations that there are."""
    found = {
        f"{one['class']} {short(one['saturated_below'])}": None
        for one in flow["layers"]
        if one["saturated"] is not None and one["saturated_below"] is not None
    }
    if not found:
        return same("")
    listed = ", ".join(found)
    return Say(
        f" Saturated: the share of entries with f′ below a limit: {listed}.",
        f"饱和：f′ 小于界限的元素所占比例；界限：{listed}。",
    )


def _chart(flow: FlowRecord, m: str) -> Bars:
    """log10 of the RMS of m·δ, from the first layer to the last."""
    deltas = {one["name"]: one["delta"] for one in flow["layers"]}
    sizes = {name: delta["rms"] for name, delta in deltas.items() if delta and delta["rms"]}
    values = np.array([[math.log10(size)] for size in sizes.values()]).reshape(-1, 1)
    title = Say(f"log₁₀ of the RMS of {m}·δ, layer by layer", f"各层 {m}·δ 的均方根的 log₁₀")
    symbol = tight(Word(m), Sign("·"), Word("δ"))
    return Bars(symbol, title, tuple(sizes), values, id="flow-chart")


def _layers(flow: FlowRecord, m: str) -> Table:
    head: tuple[Cell, ...] = (
        Say("layer", "层"), Say("RMS of output", "输出均方根"), Say(f"RMS of {m}·δ", f"{m}·δ 的均方根"),
        Say("relative to the top", "相对顶层"), Say("gain", "增益"), Say("saturated", "饱和"),
        Say("dead", "死亡"), Say("zeros of δ", "δ 为零"), same("NaN, ∞"),
    )  # fmt: skip
    rows = tuple(_layer_row(one) for one in flow["layers"])
    caption = Say("Layer by layer", "逐层")
    return Table(
        head, rows, tuple(range(1, len(head))), caption, folded=len(rows) > FOLDED_ABOVE, id="flow-layers"
    )


def _layer_row(one: LayerFlow) -> tuple[Cell, ...]:
    delta, dead = one["delta"], one["dead"]
    ratio = {"weights": "ρ_W ", "activation": "ρ_f′ "}.get(one["kind"], "")
    broken = sum(part["nan"] + part["inf"] for part in (one["output"], delta) if part)
    return (
        "  " * one["place"].count("/") + one["name"],
        _number(one["output"]["rms"]),
        _number(delta["rms"]) if delta else Say("in the loss", "在损失中"),
        _number(one["relative"]),
        "" if one["gain"] is None else ratio + _number(one["gain"]),
        "" if one["saturated"] is None else f"{100 * one['saturated']:.0f} %",
        f"{dead['units']}/{dead['of']}" if dead else "",
        f"{100 * delta['zeros'] / delta['entries']:.0f} %" if delta and delta["entries"] else "",
        str(broken or ""),
    )


def _parameters(flow: FlowRecord) -> Table:
    head: tuple[Cell, ...] = (
        Say("parameter", "参数"), Say("step ratio ‖Δθ‖/‖θ‖", "步长比 ‖Δθ‖/‖θ‖"),
        Say("penalty ‖∇Ω‖/‖∇data‖", "惩罚 ‖∇Ω‖/‖∇数据‖"), Say("signal to noise", "信噪比"),
    )  # fmt: skip
    rows = tuple(
        (
            f"{one['layer']}.{one['name']}" if "." not in one["name"] else one["name"],
            _number(one["step_ratio"]), _number(one["penalty_share"]), _noise(one.get("snr")),
        )
        for one in flow["parameters"]
    )  # fmt: skip
    optimizer = flow["optimizer"]
    told = f"{optimizer['name']}, η {equals(float(optimizer['rate']), 3)}"
    caption = Say(f"Parameter by parameter; the step is one of {told}", f"逐参数；步长取自 {told}")
    return Table(head, rows, (1, 2, 3), caption, folded=len(rows) > FOLDED_ABOVE, id="flow-parameters")


def _noise(snr: float | None) -> Cell:
    """‖mean‖² over the variance; its estimate without bias is at most 0 where the batches show no mean."""
    return Say("not above 0", "不大于 0") if snr == 0 else _number(snr)


def _number(value: float | None) -> str:
    return "" if value is None else short(float(value), 3)
