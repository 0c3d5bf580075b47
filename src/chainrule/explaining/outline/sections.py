"""From the document of a report to its sections, in reading order: a pure function.

Sections: verdict, network, notation and conventions, loss and output residual, forward, backward, gradients
and update, gradient check, gradient flow, the algorithm's steps, slips of the seeds, how to reproduce it.
The cards of layers are laid out in cards.py, what is looked up in reference.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, cast

from chainrule.base.languages import Say, same
from chainrule.base.numbers import short
from chainrule.base.scalars import check_choice
from chainrule.base.shown import shown_tree
from chainrule.checking.compare import REASONS
from chainrule.diagnosing.schema import Level
from chainrule.explaining import document as documents
from chainrule.explaining.blocks.kinds import (
    Badge,
    Block,
    Cell,
    Chain,
    ChainNode,
    Code,
    Outline,
    Paragraph,
    Section,
    Strip,
    Table,
)
from chainrule.explaining.outline.cards import Layout, backward_card, forward_card, told_apart
from chainrule.explaining.outline.ends import loss_blocks, update_blocks, weight_of_sample
from chainrule.explaining.outline.flow import finding_block, flow_blocks
from chainrule.explaining.outline.lettered import in_letters
from chainrule.explaining.outline.reference import algorithm_section, notation_section, slips_section
from chainrule.explaining.schema import (
    CheckRecord,
    CheckRow,
    Document,
    LayerRecord,
    Meta,
    NoCheck,
    Tensor,
)
from chainrule.explaining.theta.form import in_form_of
from chainrule.explaining.words.theta import INDICES
from chainrule.formulas.printing.notation import notation_from

Language = Literal["en", "zh", "en+zh"]
LANGUAGES = {"en": "en", "zh": "zh", "en+zh": "en+zh", "zh+en": "en+zh", "both": "en+zh"}
FOLDED_ABOVE = 40  # layers: equal neighbours in the picture of the network become one with a count


def outline(
    document: Mapping[str, Any],
    *,
    language: str | None = None,
    notation: str | None = None,
    linear: bool = False,
) -> Outline:
    """The report's sections.  language, notation: instead of the document's own.

    linear: formulas are laid out for lines of text (the terminal), fractions with a slash.
    Raises ValueError for a document of another schema, an unknown language or notation.
    """
    found = cast(Document, shown_tree(documents.read(document)))
    meta = found["meta"]
    spoken = language_from(language or meta["language"])
    name = notation or meta["notation"]
    found = in_form_of(found, notation_from(name))
    last = max((card["number"] for card in found["cards"]), default=1)
    layout = Layout(found, told_apart(notation_from(name), meta), linear, last)
    sections = (
        _verdict(found),
        _network(found, layout),
        notation_section(layout),
        Section(Say("Loss and output residual", "损失与输出层残差"), loss_blocks(layout), id="loss"),
        Section(
            Say("Forward", "前向传播"),
            tuple(forward_card(layout, card) for card in found["cards"]),
            id="forward",
        ),
        Section(
            Say("Backward", "反向传播"),
            tuple(
                made for card in reversed(found["cards"]) if (made := backward_card(layout, card)) is not None
            ),
            id="backward",
        ),
        Section(Say("Gradients and update", "梯度与参数更新"), update_blocks(layout), id="update"),
        _check(found, layout.notation.loss),
        Section(
            Say("Gradient flow", "梯度流"),
            flow_blocks(
                found, layout.notation.letters["batch size"].base, weight_of_sample(layout.notation)
            ),
            id="flow",
        ),
        algorithm_section(layout),
        slips_section(layout),
        _reproduce(found),
    )
    lettered = tuple(in_letters(section, layout.notation) for section in sections)
    return Outline(_title(meta), lettered, spoken, name, dict(found))


def language_from(language: str) -> Language:
    """ "en", "zh" or "en+zh"; ValueError for another."""
    check_choice("language", language, LANGUAGES, meaning="'en', 'zh' or 'en+zh' (both)")
    return cast(Language, LANGUAGES[language])


def _title(meta: Meta) -> Say:
    name = f"{meta['title']}: " if meta["title"] else ""
    english = "the derivation, with its numbers" if name else "The derivation, with its numbers"
    return Say(name + english, f"{name}带数值的推导")


def _verdict(found: Document) -> Section:
    meta, check, kernels = found["meta"], found["check"], found["kernels"]
    worst = max((float(error) for error in kernels["layers"].values()), default=0.0)
    level: Level = "note" if check is None or "ok" not in check else "good" if check["ok"] else "bad"
    badges = [
        Badge(Say("loss J", "损失 J"), same(short(float(found["loss"]["J"]), 6)), "note"),
        Badge(Say("parameters", "参数个数"), same(f"{meta['parameters']:,}"), "note"),
        Badge(Say("gradient check", "梯度检验"), check_text(check), level),
        Badge(
            Say("kernel = formula", "内核 = 公式"), same(f"{worst:.0e}"), "good" if worst < 1e-9 else "bad"
        ),
    ]  # fmt: skip
    counted = INDICES if "theta" in found else Say("Indices count from 0.", "下标从 0 开始。")
    counted = counted + Say(" The one behind a semicolon is the sample.", "分号后的下标是样本。")
    bad = [finding for finding in found["findings"] if finding["level"] in ("bad", "warning")]
    blocks: list[Block] = [Strip(tuple(badges), id="strip")]
    blocks += [finding_block(finding) for finding in bad[:3]]
    blocks.append(
        Paragraph(
            Say(
                f"Everything below is the derivation of this network on a batch of {_samples(meta)}; "
                f"numbers of single samples are those of sample {meta['sample']}. Formulas that are printed "
                f"are those that were executed. {counted.en} Factors are "
                "printed with four digits, but products are those of the unrounded factors: their last "
                "digit may differ. ≈ stands where digits are rounded off, = where none are.",
                f"以下是这个网络在一个含 {meta['samples']} 个样本的批量上的推导；单个样本的数值取自样本 "
                f"{meta['sample']}。"
                f"打印的公式就是执行的公式。{counted.zh}因子打印四位有效数字，"
                "乘积由未舍入的因子算得，末位可能不同。≈ 表示经过舍入，= 表示没有舍入。",
            ),
            quiet=True,
        )
    )
    blocks.append(Paragraph(_CITED, quiet=True))
    return Section(Say("Verdict", "结论"), tuple(blocks), id="verdict")


def _samples(meta: Meta) -> str:
    return "1 sample" if meta["samples"] == 1 else f"{meta['samples']} samples"


def check_text(check: CheckRecord | NoCheck | None) -> Say:
    """The gradient check in two words."""
    if not check:
        return Say("not made", "未做")
    if "ok" not in check:
        return Say("not possible", "无法进行")
    difference = f"{float(check['relative_difference']):.1e}"
    return Say(f"ok, {difference}", f"通过，{difference}") if check["ok"] else Say("WRONG", "错误")


def _network(found: Document, layout: Layout) -> Section:
    nodes = _folded([_node(layer, found) for layer in found["graph"]["layers"]])
    head: tuple[Cell, ...] = (
        same(layout.notation.output_number), Say("name", "名称"), Say("layer", "层"),
        Say("output", "输出形状"), Say("parameters", "参数"),
        same(f"‖{layout.notation.letters['output'].base}‖"), same("‖δ‖"), Say("check", "检验"),
    )  # fmt: skip
    counts = _counts(found["graph"]["layers"], found["tensors"])
    rows, levels = [], []
    for card in found["cards"]:
        level, mark = layer_verdict(card["layer"], found)
        tensors = found["tensors"]
        norm = short(float(tensors[card["layer"]]["stats"]["norm"]))
        delta = tensors.get(f"delta:{card['layer']}")
        rows.append(
            (
                str(card["number"] + layout.notation.input_number),
                "  " * card["depth"] + card["layer"],
                card["title"],
                "×".join(map(str, card["shape"])),
                f"{counts[card['layer']]:,}" if counts[card["layer"]] else "",
                norm,
                Say("in the loss", "在损失中") if delta is None else short(float(delta["stats"]["norm"])),
                mark,
            )
        )  # fmt: skip
        levels.append(level)
    table = Table(head, tuple(rows), right=(0, 4, 5, 6), levels=tuple(levels), id="layers")
    return Section(Say("The network", "网络"), (Chain(tuple(nodes), id="chain"), table), id="network")


def _counts(layers: list[LayerRecord], tensors: Mapping[str, Tensor]) -> dict[str, int]:
    """Layer name -> how many numbers it learns, branches included."""
    found = {}
    for layer in layers:
        found[layer["name"]] = _learned(layer, tensors)
        for branch in layer.get("branches", ()):
            found |= _counts(branch, tensors)
    return found


def _learned(layer: LayerRecord, tensors: Mapping[str, Tensor]) -> int:
    """How many numbers a layer learns: running means and variances are not among them."""
    own = layer.get("parameters", {})
    return sum(math.prod(tensors[own[name]]["shape"]) for name in layer.get("learned", own))


_CITED = Say(
    "S0 to S4 beside a formula are five tutorials that derive it: S0 numbers its formulas ① to ④, S1 has the "
    "letters of UFLDL, S2 those of Andrew Ng's course, S3 is a small convolutional network, S4 writes "
    "batches as matrices. “Notation and conventions” has their letters side by side.",
    "公式旁的 S0 到 S4 指推导过它的五篇教程：S0 的公式编号为 ① 到 ④，S1 用 UFLDL 的记号，S2 用 Andrew Ng "
    "课程的记号，S3 是一个小卷积网络，S4 用矩阵写整个批量。“记号与约定”一节把它们并列。",
)


def layer_verdict(name: str, found: Document) -> tuple[Level, Say]:
    """formula = code = difference for one layer."""
    error = float(found["kernels"]["layers"].get(name, 0.0))
    if error > 1e-9:
        return "bad", Say(f"kernel differs by {error:.0e}", f"内核相差 {error:.0e}")
    check = found["check"]
    checked = check["rows"] if check is not None and "rows" in check else []
    rows = [row for row in checked if row["name"].rpartition(".")[0] == name]
    if any(row["kind"] == "WRONG" for row in rows):
        return "bad", Say("gradient WRONG", "梯度错误")
    if rows:
        return "good", Say("formula = code = difference", "公式 = 代码 = 差分")
    return "good", Say("formula = code", "公式 = 代码")


def _node(layer: LayerRecord, found: Document) -> ChainNode:
    tensors = found["tensors"]
    samples = found["meta"]["samples"]
    stats = tensors[layer["name"]]["stats"]
    size = max(math.prod(tensors[layer["name"]]["shape"]), 1)
    delta = tensors.get(f"delta:{layer['name']}")
    level, _ = layer_verdict(layer["name"], found)
    return ChainNode(
        name=layer["name"],
        title=layer["title"],
        shape="×".join(map(str, layer["shape"])),
        parameters=_learned(layer, tensors),
        size_x=float(stats["norm"]) / size**0.5,
        size_delta=float("nan") if delta is None else float(delta["stats"]["norm"]) * samples / size**0.5,
        level=level,
        branches=tuple(tuple(_node(one, found) for one in branch) for branch in layer.get("branches", ())),
        join=layer.get("join", ""),
    )


def _folded(nodes: list[ChainNode]) -> list[ChainNode]:
    """In a long network runs of equal pairs of layers as one, with a count."""
    if len(nodes) <= FOLDED_ABOVE:
        return nodes
    folded: list[list[ChainNode]] = []
    counts: list[int] = []
    at = 0
    while at < len(nodes):
        period, times = _repeat(nodes, at)
        folded.append(nodes[at : at + period])
        counts.append(times)
        at += period * times
    return [
        ChainNode(**{**vars(node), "times": times})
        for group, times in zip(folded, counts, strict=True)
        for node in group
    ]


def _repeat(nodes: list[ChainNode], at: int) -> tuple[int, int]:
    """(length of the block that starts here and repeats most, how often it stands)."""
    best = (1, 1)
    for period in range(1, 9):
        block = [(node.title, node.shape) for node in nodes[at : at + period]]
        times = 1
        while [(n.title, n.shape) for n in nodes[at + times * period : at + (times + 1) * period]] == block:
            times += 1
        if times > 1 and period * times > best[0] * best[1]:
            best = (period, times)
    return best


def _check(found: Document, J: str) -> Section:
    title = Say("Gradient check", "梯度检验")
    check = found["check"]
    if check is None:
        return Section(title, (Paragraph(Say("It was not asked for.", "未要求检验。")),), id="check")
    if "ok" not in check:
        return Section(title, (Paragraph(same(check["reason"])),), id="check")
    head: tuple[Cell, ...] = (
        Say("gradient", "梯度"), Say("shape", "形状"), Say("entries", "检查个数"),
        Say("max. rel. error", "最大相对误差"), Say("worst entry", "最差元素"), Say("formula", "公式"),
        Say("difference", "差分"), same("h"),
        Say("kinks", "折点"), Say("verdict", "结论"),
    )  # fmt: skip
    together = Say("all along one direction", "全部，沿一个方向")
    rows: list[tuple[Cell, ...]] = []
    levels: list[Level] = []
    for row in check["rows"]:
        worst = row["worst"]
        together_error = row["direction_error"] if row["entries"] == 0 else None
        along = together_error is not None
        error = row["max_error"] if together_error is None else together_error
        rows.append(
            (
                together if row["name"] == "everything" else f"∂{J}/∂{row['name']}",
                "×".join(map(str, row["shape"])), str(row["entries"] or ""),
                f"{float(error):.1e}" if math.isfinite(float(error)) else "",
                "" if worst is None or along else ",".join(map(str, worst["index"])),
                "" if worst is None else short(worst["analytic"], 6),
                "" if worst is None else short(worst["numeric"], 6),
                f"{float(row['step']):.0e}", str(row["kinks"] or ""), _verdict_of(row),
            )
        )  # fmt: skip
        kinds: dict[str, Level] = {"ok": "good", "WRONG": "bad"}
        levels.append(kinds.get(row["kind"], "note"))
    relative, tolerance = f"{float(check['relative_difference']):.1e}", f"{check['tolerance']:.0e}"
    few, all_ = check["samples"], found["meta"]["samples"]
    part = Say("", "") if few == all_ else Say(
        f"of the batch's first {few} samples ", f"（只取批量的前 {few} 个样本）"
    )  # fmt: skip
    said = Say(
        f"Every gradient {part.en}beside the difference quotient (J(θ+h) − J(θ−h)) / 2h, in float64. "
        f"‖q − g‖ / ‖q + g‖ ≈ {relative} over all entries compared, g the gradient and q the quotient; "
        f"accepted is a relative error of {tolerance}, "
        "or what rounding of J hides. A kink (ReLU at 0, a tie) within h has no derivative to compare "
        "with: such "
        "entries are passed over and counted.",
        f"每个梯度{part.zh}与差商 (J(θ+h) − J(θ−h)) / 2h 比较，float64。"
        f"所有比较过的元素 ‖q − g‖ / ‖q + g‖ ≈ {relative}（g 为梯度，q 为差商）；"
        f"允许的相对误差为 {tolerance}，或 J 的舍入误差所掩"
        f"盖的部分。"
        "若 h 之内有折点（ReLU 在 0 处、并列的最大值），那里没有可比较的导数：这些元素跳过并计数。",
    )
    right: tuple[int, ...] = (2, 3, 5, 6, 7, 8)
    if not any(row["kinks"] for row in check["rows"]):  # a column that says nothing
        kinks = 8
        head, rows = head[:kinks] + head[kinks + 1 :], [row[:kinks] + row[kinks + 1 :] for row in rows]
        right = right[:-1]
    table = Table(head, tuple(rows), right, levels=tuple(levels), id="check-table")
    return Section(title, (Paragraph(said, id="check-text"), table), id="check")


_REASONS = {
    "flat": "损失在此处与它无关：比较过的导数都为 0",
    "rounding": "舍入：在这个量级上，J 之差的有效数字太少",
    "kink": "试过的元素都在折点上",
    "overflow": "溢出：J 在该点附近不是有限数",
    "rough": "步长变小时，J 的差商不趋于定值",
    "nothing": "没有可比较的元素",
}
_IN_CHINESE = {REASONS[key]: text for key, text in _REASONS.items()}


def _verdict_of(row: CheckRow) -> Say:
    if row["kind"] == "ok":
        return Say("ok", "通过")
    if row["kind"] == "WRONG":
        return Say("WRONG", "错误")
    reason = row["reason"]
    kind = "无法检验" if row["kind"] == "not checkable" else "无法判断"
    return Say(f"{row['kind']}: {reason}", f"{kind}：{_IN_CHINESE.get(reason, reason)}")


def _reproduce(found: Document) -> Section:
    meta = found["meta"]
    arguments = [f"loss=cr.{meta['loss']}"]
    if meta["penalty"]:
        arguments.append(f"penalty=cr.{meta['penalty']}")
        if meta["training_size"] != meta["samples"]:
            arguments.append(f"training_size={meta['training_size']}")
    if found["loss"]["weights"]:
        arguments.append("sample_weight=sample_weight")
    arguments += [
        f"sample={meta['sample']}",
        f"learning_rate={meta['eta']}",
        f"notation={meta['notation']!r}",
        f"language={meta['language']!r}",
    ]
    code = "\n".join(
        [
            "import chainrule as cr",
            "",
            f'network = cr.load("network.npz")  # seed {meta["seed"]}, {meta["dtype"]}',
            "report = cr.explain(",
            "    network,",
            "    X,",
            "    y,",
            *(f"    {argument}," for argument in arguments),
            ")",
            'report.html("report.html")',
        ]
    )
    versions = f"chainrule {meta['chainrule']}, NumPy {meta['numpy']}, Python {meta['python']}"
    said = Say(
        f"Made with {versions}; the numbers are float64, computed from the network's {meta['dtype']} "
        f"parameters.",
        f"由 {versions} 生成；数值为 float64，由网络的 {meta['dtype']} 参数计算。",
    )
    return Section(
        Say("How to reproduce it", "如何重现"), (Paragraph(said, id="versions"), Code(code)), id="reproduce"
    )
