"""The loss with the output residual, and the update, as blocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from chainrule.base.languages import Say, same, say_from
from chainrule.base.norms import norm
from chainrule.base.numbers import adds_up, column, equality, equals, short
from chainrule.explaining.blocks.as_shown import line_of
from chainrule.explaining.blocks.kinds import Block, Card, Cell, Formula, Matrix, Paragraph, Table, Worked
from chainrule.explaining.blocks.worked import Printer, element_from, worked_block
from chainrule.explaining.facts.equations import SAMPLE_WEIGHT
from chainrule.explaining.outline.cards import Layout, shape_blocks
from chainrule.explaining.outline.counts import counted
from chainrule.explaining.schema import (
    Jacobian,
    LossCard,
    OutputTable,
    PartRecord,
    PenaltyCard,
    PenaltyFormula,
    UpdateRow,
    WorkedStep,
)
from chainrule.explaining.theta.outline import theta_entry
from chainrule.formulas import Notation, Symbol
from chainrule.formulas.elements.entry import minus, number, times, total
from chainrule.formulas.printing import Equation, compose, render_text
from chainrule.formulas.printing.boxes import (
    BIG,
    PRODUCT,
    Box,
    Numeral,
    Scripts,
    Sign,
    Under,
    Word,
    fenced,
    row,
    tight,
)
from chainrule.formulas.printing.compose import definitions

Column = Literal["z", "a", "y", "by_a", "residual", "delta", "literal"]  # of OutputTable
MOST_NAMES = 8  # of weight arrays in a sentence


def loss_blocks(layout: Layout) -> tuple[Block, ...]:
    """J of the batch, the losses of its samples, the Jacobian and δ at the output."""
    card = layout.document["loss_card"]
    title = same(f"L  {card['title']}")
    pair = f"{card['pair']} + {card['class']}" if card["pair"] else f"{card['output']} → {card['class']}"
    blocks: list[Block] = [*_objective(layout)]
    for one in card["parts"]:
        blocks += _part(layout, one)
        if one["part"] == "value":
            blocks.append(_losses(card, bool(layout.document["loss"].get("weights"))))
        if one["part"] == "gradient" and card["jacobian"]:
            blocks += _jacobian(card["jacobian"])
    if card["outputs"]:
        blocks.append(_outputs(layout, card, card["outputs"]))
        if "literal" in card["outputs"]:
            blocks.append(Paragraph(LITERAL, quiet=True))
    return (Card("L", title, pair, card["output"], tuple(blocks), "S1 · S2 2.4 · S4 §4", id="card-L"),)


def _objective(layout: Layout) -> Iterator[Block]:
    """J = (1/m) Σ J_i, under a penalty J_data, and J = J_data + Ω; with the numbers of this batch."""
    document, letter = layout.document, layout.notation.loss
    J, m = Word(letter), layout.composer().letter(layout.notation.letter(Symbol("m", "batch size", "scalar")))
    one = layout.composer().fraction(Numeral("1"), m)
    of_one = layout.notation.letter(_OF_A_SAMPLE["value"])
    index = Word(of_one.sub)
    weights, defined = [], None
    if document["loss"].get("weights"):
        weights = [layout.composer().letter(layout.notation.letter(SAMPLE_WEIGHT), index)]
        w = weight_of_sample(layout.notation)
        defined = Say(
            f"{w} is the weight of sample {of_one.sub}; their mean is 1",
            f"{w} 是样本 {of_one.sub} 的权重，均值为 1",
        )
    below = Under(Sign("∑"), index)
    mean = row(one, below, *weights, layout.composer().letter(of_one))
    reference = "S1 · S2 1.2 · S4 §2"
    loss, J_total = document["loss"], float(document["loss"]["J"])
    if not document["penalty"]:
        yield Formula(row(J, Sign("="), mean), "general", reference, defined)
        yield Paragraph(same(f"{letter} {equals(J_total, 8)}"), id="objective")
        return
    data = layout.composer().letter(layout.notation.letter(Symbol("J data", "data loss", "scalar")))
    yield Formula(row(data, Sign("="), mean), "general", reference, defined)
    yield Formula(row(J, Sign("="), data, Sign("+"), Word("Ω")), "general", reference)
    shares = [float(loss["data"]), float(loss["penalty"])]
    parts, total = column(shares, J_total, 8)
    given = all(equality(text, value) == "=" for text, value in zip(parts, shares, strict=True))
    sum_ = f"{'=' if given else '≈'} {parts[0]} + {parts[1]} {'=' if adds_up(parts, total) else '≈'} {total}"
    yield Paragraph(same(f"{letter} {sum_}"), id="objective")


LITERAL = Say(
    "Seed 000's ④ read entry by entry (the last column) is not δ here: softmax is not elementwise, the "
    "whole Jacobian "
    "counts.",
    "把种子 000 的 ④ 逐元素地用在这里（最后一列）并不是 δ：softmax 不是逐元素的，要用整个雅可比矩阵。",
)


# The loss of one sample is not J of the batch: the two are told apart by the sample's number.
_OF_A_SAMPLE = {
    "value": Symbol("J_i", "loss of a sample", "scalar"),
    "gradient": Symbol("dJ_i", "gradient of a sample"),
}


def loss_equation(layout: Layout, one: PartRecord) -> Equation:
    """The equation of a part of the loss."""
    equation = layout.equation(one)
    return replace(equation, left=_OF_A_SAMPLE.get(one["part"], equation.left))


def weight_of_sample(notation: Notation) -> str:
    """The weight of a sample, with the letter that counts samples: w_i."""
    return f"{notation.letter(SAMPLE_WEIGHT).base}_{notation.letter(_OF_A_SAMPLE['value']).sub}"


def _part(layout: Layout, one: PartRecord) -> Iterator[Block]:
    equation = loss_equation(layout, one)
    yield Paragraph(say_from(one["why"]))
    if "said" in one:
        yield Paragraph(say_from(one["said"]))
    identifier = f"L-{one['part']}"
    composer = layout.composer()
    note = counted(equation, one["shapes"])
    yield Formula(compose(equation, composer), "general", one["reference"], note, id=f"{identifier}-general")
    for named in definitions(equation.right):
        yield Formula(compose(Equation(named, named.value), composer), "definition")
    yield from shape_blocks(layout, equation, one)
    left = equation.left
    assert isinstance(left, Symbol)
    for count, found in enumerate(one["worked"]):
        yield worked_block(
            Symbol("J", "loss", "scalar") if one["part"] == "value" else left,  # J_1: the index is the sample
            tuple(found["index"]),
            element_from(found["element"]),
            layout.composer(layout.last),
            layout.first(None),
            why=say_from(found["why"]),
            id=f"{identifier}-worked{count + 1}",
        )


def _losses(card: LossCard, weighted: bool) -> Table:
    rows = tuple((str(one["sample"]), short(one["loss"], 6)) for one in card["losses"])
    more = card["samples"] - len(rows)
    caption = Say(
        f"The loss of every sample, largest first{f'; {more} more' if more else ''}; their "
        f"{'weighted ' if weighted else ''}mean is {short(card['mean'], 8)}",
        f"各样本的损失，从大到小{f'；另有 {more} 个' if more else ''}；{'加权' if weighted else ''}平均值为 "
        f"{short(card['mean'], 8)}",
    )
    return Table((Say("sample", "样本"), Say("loss", "损失")), rows, (0, 1), caption, id="losses")


def _jacobian(jacobian: Jacobian) -> list[Block]:
    values = np.array([[float(v) for v in line] for line in jacobian["values"]])
    size = norm(values)
    stats = (float(values.min()), float(values.mean()), float(values.max()), size)
    said = (
        Say(
            "Jacobian ∂a_k/∂z_j of the sample in focus: diagonal.", "所选样本的雅可比矩阵 ∂a_k/∂z_j：对角阵。"
        )
        if jacobian["diagonal"]
        else Say(
            "Jacobian ∂a_k/∂z_j of the sample in focus, diag(a) − a aᵀ; every row adds up to 0.",
            "所选样本的雅可比矩阵 ∂a_k/∂z_j，即 diag(a) − a aᵀ；每行之和为 0。",
        )
    )
    symbol = tight(Sign("∂"), Word("a"), Sign("/"), Sign("∂"), Word("z"), binds=PRODUCT)
    return [Paragraph(said), Matrix(symbol, values, values.shape, stats=stats, id="jacobian")]


def _outputs(layout: Layout, card: LossCard, table: OutputTable) -> Table:
    m = layout.notation.letters["batch size"].base
    weighted = bool(layout.document["loss"].get("weights"))
    weight = f"{weight_of_sample(layout.notation)} " if weighted else ""
    delta = "δ" if card["pair"] else f"∂{layout.notation.loss}/∂a"
    head: list[Cell] = [same("k")]
    columns: list[list[Any]] = []
    labels: tuple[tuple[Column, Say], ...] = (
        ("z", same("z_k")), ("a", same("a_k")), ("y", same("y_k")), ("by_a", same("∂/∂a_k")),
        ("residual", same("a_k − y_k") if card["pair"] else Say("∂/∂a_k of the loss", "损失的 ∂/∂a_k")),
        ("delta", same(f"{delta}_k = {weight}(…)/{m}")),
        ("literal", Say("④ entry by entry (wrong)", "④ 逐元素（错误）")),
    )  # fmt: skip
    for key, label in labels:
        if key in table and not (key == "by_a" and not card["pair"]):
            head.append(label)
            columns.append(table[key])
    rows = tuple(
        (str(k), *(short(float(column[place]), 5) for column in columns))
        for place, k in enumerate(table["rows"])
    )
    more = table["of"] - len(rows)
    sample = layout.document["meta"]["sample"]
    caption = Say(
        f"Output by output, sample {sample}{f'; {more} smaller ones left out' if more else ''}",
        f"逐输出，样本 {sample}{f'；省略 {more} 个较小的' if more else ''}",
    )
    return Table(tuple(head), rows, tuple(range(len(head))), caption, id="outputs")


def update_blocks(layout: Layout) -> tuple[Block, ...]:
    """The penalty, a row per parameter, one entry's step, and J before and after."""
    card = layout.document["update"]
    blocks: list[Block] = []
    if "penalty" in card:
        blocks += _penalty(layout, card["penalty"])
    said = Say(
        "A step of gradient descent: every parameter moves against its gradient, η is the learning rate.",
        "梯度下降的一步：每个参数沿梯度的反方向移动，η 是学习率。",
    )
    theta, grad = Word("θ"), tight(Sign("∂"), Word(layout.notation.loss), Sign("/"), Sign("∂"), Word("θ"))
    step = row(theta, Sign("←"), theta, Sign("−"), Word("η"), grad)
    blocks += [Paragraph(said), Formula(step, "general", "S2 1.3 · S4", id="U-general")]
    if card["worked"]:
        blocks.append(_step(card["worked"], card["eta"], layout))
    head: tuple[Cell, ...] = (
        Say("parameter", "参数"), same("‖θ‖"), Say("‖∇‖ of the data", "数据项 ‖∇‖"),
        Say("‖∇‖ of the penalty", "惩罚项 ‖∇‖"), same("η‖∇‖"), same("η‖∇‖/‖θ‖"),
    )  # fmt: skip
    rows = tuple(_update_row(one) for one in card["rows"])
    blocks.append(Table(head, rows, (1, 2, 3, 4, 5), folded=len(rows) > 40, id="update-table"))
    before, after, letter = card["J_before"], float(card["J_after"]), layout.notation.loss
    eta = equals(card["eta"])
    blocks.append(
        Paragraph(
            Say(
                f"{letter} before: {short(before, 8)}. {letter} after one step with η {eta}: "
                f"{short(after, 8)}, a change of {short(after - before, 4)}.",
                f"更新前 {letter} {equals(before, 8)}。以 η {eta} 走一步后 {letter} {equals(after, 8)}，变化 "
                f"{short(after - before, 4)}。",
            ),
            id="update-loss",
        )
    )
    title = Say("U  gradients and update", "U  梯度与更新")
    return (Card("U", title, f"η {eta}", "", tuple(blocks), "S2 1.3 · S4", id="card-U"),)


def _update_row(one: UpdateRow) -> tuple[Cell, ...]:
    theta, data, added, step = (float(one[name]) for name in ("theta", "data", "penalty", "step"))
    ratio = short(step / theta, 3) if theta else ""
    penalty = short(added, 3) if added else ""
    return one["name"], short(theta), short(data), penalty, short(step, 3), ratio


def _step(worked: WorkedStep, eta: float, layout: Layout) -> Worked:
    sub = Word(f"{worked['name']}[{', '.join(map(str, worked['index']))}]")
    composer = layout.composer(_number_of(layout, worked))
    own = theta_entry(layout.document, composer, worked["name"], worked["index"])
    theta: Box = own or Scripts(Word("θ"), sub=sub)
    grad = tight(Sign("∂"), Word(layout.notation.loss), Sign("/"), Sign("∂"), theta)
    symbols = row(theta, Sign("−"), Word("η"), grad)
    step = times(number(eta), number(worked["gradient"]))
    after = float(worked["after"])
    line = line_of(replace(total((number(worked["theta"]), minus(step))), value=after))
    result = short(after)
    return Worked(
        left=theta,
        symbols=symbols,
        numbers=Printer(layout.composer(), samples=False, digits=line.digits).numbers(line.element),
        result=result,
        exact=equality(result, line.outcome()) == "=",
        as_given=line.is_exact(),
        relation="←",
        why=Say(
            "of the parameter that moves most the entry whose gradient is largest in magnitude",
            "移动最多的参数中，梯度绝对值最大的元素",
        ),
        quantity=worked["name"],
        index=tuple(worked["index"]),
        id="U-worked",
    )


def _number_of(layout: Layout, worked: WorkedStep) -> int:
    """The number of the layer whose parameter is worked out."""
    layer = worked["name"].rpartition(".")[0]
    return int(next(card["number"] for card in layout.document["cards"] if card["layer"] == layer))


def _penalty(layout: Layout, card: PenaltyCard) -> Iterator[Block]:
    m, letter = card["training_size"], render_text.render(_letter(layout, "training size"))
    scale = (
        Say(
            f"It is divided by {letter} = {m}, the size of the training set (seed 002).",
            f"除以训练集大小 {letter} = {m}（种子 002）。",
        )
        if card["per_sample"]
        else Say(f"It is not divided by {letter} (seed 001).", f"不除以 {letter}（种子 001）。")
    )
    said = Say(
        f"The penalty {card['title']} adds {short(card['adds'], 6)} to {layout.notation.loss}, and its own "
        "gradient to that of every weight; biases are free. ",
        f"惩罚项 {card['title']} 使 {layout.notation.loss} 增加 {short(card['adds'], 6)}，"
        "并把自己的梯度加到每个权重的梯度上；偏置不受惩罚。",
    )
    yield Paragraph(said + scale, id="update-penalty")
    for one in card["parts"]:
        reference = "S1 · S2 1.2.3" if one["part"] == "value" else "S1 · S2 2.6.1"
        box, note = layout.equation_box(one, general=True), None
        if one["part"] == "value":
            box, note = _over_all_weights(layout, one)
        yield Formula(box, "general", reference, note, id=f"penalty-{one['part']}")


def _letter(layout: Layout, role: str) -> Box:
    return layout.composer().letter(layout.notation.letter(Symbol(role, role, "scalar")))


def _over_all_weights(layout: Layout, one: PenaltyFormula) -> tuple[Box, Say]:
    """Ω as the sum over the weight arrays, and which they are."""
    composer, penalty = layout.composer(), layout.document["penalty"]
    names = penalty["on"] if penalty else []
    own = next(s for s in layout.equation(one).right.symbols if s.role.startswith("parameter "))
    W = composer.letter(layout.notation.letter(own))
    inner = fenced(composer.box(layout.equation(one).right), BIG)
    box = row(Word("Ω"), Sign("="), Under(Sign("∑"), W), inner, binds=BIG)
    shown = ", ".join(names[:MOST_NAMES]) + (", …" if len(names) > MOST_NAMES else "")
    return box, Say(
        f"The sum is over the {len(names)} weight arrays {shown}." if len(names) > 1 else
        f"The network has one weight array, {shown}.",
        f"对 {len(names)} 个权重数组求和：{shown}。",
    )  # fmt: skip
