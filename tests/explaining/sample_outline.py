"""A hand-made outline with every kind of block, for the renderers' tests: realistic texts, honest numbers.

`sample_outline(language)` is a report on the network of sample_network.py.  `hostile_outline()` has names
that try to break out of markup.  `block_kinds(outline)` tells which kinds of blocks an outline uses.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np

from chainrule.base.languages import Say, same
from chainrule.explaining.blocks.kinds import (
    Badge,
    Bars,
    Block,
    Card,
    Chain,
    ChainNode,
    Code,
    Finding,
    Formula,
    Listing,
    Maps,
    Mark,
    Matrix,
    Outline,
    Panel,
    Paragraph,
    Section,
    Strip,
    Table,
)
from chainrule.formulas.printing.boxes import Tagged, Word
from tests.explaining.sample_cards import backward_cards, forward_cards, loss_cards, number, update_cards
from tests.explaining.sample_network import sample_network

Language = Literal["en", "zh", "en+zh"]
n = sample_network()


def _strip() -> Strip:
    return Strip(
        (
            Badge(Say("loss J", "损失 J"), same(number(n.J)), "note"),
            Badge(Say("parameters", "参数"), same("568"), "good"),
            Badge(Say("gradient check", "梯度检验"), Say("ok, 4.5e-11", "通过, 4.5e-11"), "good"),
            Badge(Say("dead units", "死亡单元"), Say("12 % of `relu1`", "`relu1` 的 12 %"), "warning"),
            Badge(
                Say("formula = code = differences", "公式 = 代码 = 差分"),
                Say("568 of 568", "568/568"),
                "good",
            ),
        ),
        id="strip",
    )


def _network() -> tuple[Block, ...]:
    dense = ChainNode("dense1", "Dense(10)", "48 → 10", 490, 0.61, 0.31)
    side = (
        (ChainNode("left", "Conv2D(3, 1)", "(4, 4, 3)", 12, 0.4, 0.02),),
        (ChainNode("right", "MaxPool2D(3)", "(4, 4, 3)", 0, 0.5, 0.01),),
    )
    join = ChainNode("sum1", "Sum", "(4, 4, 3)", 12, 0.42, 0.02, "note", 1, side, "sum")
    block = ChainNode("block1", "Dense(48)", "48 → 48", 2352, 0.5, float("nan"), "warning", 6)
    nodes = (
        ChainNode("conv1", "Conv2D(3, 5)", "(12, 12, 1) → (8, 8, 3)", 78, 0.52, 0.013),
        ChainNode("relu1", "ReLU", "(8, 8, 3)", 0, 0.4, 0.013, "warning"),
        ChainNode("pool1", "MaxPool2D(2)", "(8, 8, 3) → (4, 4, 3)", 0, 0.6, 0.026),
        join,
        ChainNode("flatten1", "Flatten", "(4, 4, 3) → 48", 0, 0.6, 0.026),
        block,
        dense,
        ChainNode("softmax1", "Softmax", "10", 0, 0.31, float("nan"), "bad"),
    )
    rows = tuple(
        (str(number), node.name, node.title, node.shape, str(node.parameters), f"{node.size_x:.2f}")
        for number, node in enumerate(nodes, 1)
    )
    levels = tuple(node.level if node.level != "good" else None for node in nodes)
    head = (
        "l",
        Say("name", "名称"),
        Say("layer", "层"),
        Say("shape", "形状"),
        Say("parameters", "参数"),
        "‖x‖",
    )
    return (
        Paragraph(
            Say(
                "What flows forward is `x`, what flows back is `δ`.",
                "向前流动的是 `x`，向后流动的是 `δ`。",
            )
        ),
        Chain(nodes, id="chain"),
        Table(head, rows, (0, 4, 5), Say("All layers", "所有的层"), levels, id="layers"),
    )


def _document() -> dict[str, Any]:
    def tensor(values: Any) -> dict[str, Any]:
        data = base64.b64encode(np.ascontiguousarray(values, "<f4").tobytes()).decode()
        return {"shape": list(values.shape), "dtype": "float32", "data": data}

    tensors = {
        "input": tensor(n.x), "y": tensor(n.y), "conv1": tensor(n.z1), "delta:dense1": tensor(n.d2),
        "dense1.W": tensor(n.W2), "gradient:dense1.W": tensor(n.dW2), "conv1.W": tensor(n.W1),
    }  # fmt: skip
    return {"schema": 1, "meta": {"version": "0.4", "sample": 0, "samples": 2}, "tensors": tensors}


def sample_outline(language: Language = "en+zh") -> Outline:
    """A report with every kind of block."""
    finding = Finding(
        "warning",
        Say("12 % of `relu1` is inactive in this batch", "`relu1` 有 12 % 在这一批中不活动"),
        Say(
            "23 of 192 units have z < 0 for both samples.",
            "192 个单元中有 23 个对两个样本都有 z < 0。",
        ),
        Say("Look at 1 000 samples before calling them dead.", "先看 1 000 个样本再判断是否死亡。"),
    )
    steps = (
        Say("Forward: compute `z` and `x` for l = 2 … 6.", "前向：对 l = 2 … 6 计算 `z` 和 `x`。"),
        Say("Loss: `δ⁶ = a − y`.", "损失：`δ⁶ = a − y`。"),
        Say("Backward: l = 5 … 2.", "反向：l = 5 … 2。"),
    )
    check = Table(
        (
            Say("parameter", "参数"),
            Say("checked", "已检验"),
            Say("largest relative error", "最大相对误差"),
        ),
        (("conv1.W", "75", "4.5e-11"), ("dense1.W", "480", "1.2e-10")),
        (1, 2),
        folded=True,
        caption=Say("Every parameter", "每个参数"),
    )
    doctor = (finding, Finding("bad", Say("loss", "损失"), Say("why", "原因"), Say("cure", "办法")))
    sections = (
        Section(Say("Verdict", "结论"), (_strip(), Listing(steps[:1])), id="verdict"),
        Section(Say("Network", "网络"), _network(), id="network"),
        Section(Say("Forward", "前向传播"), forward_cards(), id="forward"),
        Section(Say("Loss", "损失"), loss_cards(), id="loss"),
        Section(Say("Backward", "反向传播"), backward_cards(), id="backward"),
        Section(Say("Gradients and update", "梯度与更新"), update_cards(), id="update"),
        Section(Say("Gradient check", "梯度检验"), (check,), id="check"),
        Section(Say("Gradient flow", "梯度流"), doctor, id="flow"),
        Section(Say("Algorithm", "算法"), (Listing(steps, ordered=True),), id="algorithm"),
    )
    title = Say("Backpropagation of a small network", "一个小网络的反向传播")
    return Outline(title, sections, language, "Tutorial", _document())


def hostile_outline() -> Outline:
    """Names and texts that would break out of HTML, LaTeX, Markdown or JSON if they were not escaped."""
    bad = "</script><script>alert('1')</script>\"'&<b>_^#$%{}\\|`x`"
    node = ChainNode(bad, bad, bad, 1, 1.0, 1.0)
    card = Card(
        "F2",
        same(bad),
        bad,
        bad,
        (
            Paragraph(same(bad)),
            Formula(Tagged(Word(bad), bad), tag=bad, note=same(bad)),
            Table((bad,), ((bad,), (same(bad),)), caption=same(bad)),
            Matrix(Word(bad), np.zeros((1, 1)), (1, 1), quantity=bad),
            Maps(
                Word(bad),
                same(bad),
                (Panel(bad, np.zeros((2, 2)), (Mark(0, 0, "tie", bad),)),),
                1.0,
                quantity=bad,
            ),
            Bars(Word(bad), same(bad), (bad,), np.ones((1, 1)), (bad,), quantity=bad),
            Code(bad),
            Chain((node,)),
        ),
        bad,
        id=bad,
    )
    strip = Strip((Badge(same(bad), same(bad), "good"),))
    return Outline(same(bad), (Section(same(bad), (strip, card)),), "en+zh", bad, {"names": [bad]})


def block_kinds(outline: Outline) -> set[str]:
    """The names of the classes of all blocks of an outline."""

    def kinds(blocks: tuple[Block, ...]) -> Iterator[str]:
        for block in blocks:
            yield type(block).__name__
            if isinstance(block, Card | Section):
                yield from kinds(block.blocks)

    return set(kinds(outline.sections))
