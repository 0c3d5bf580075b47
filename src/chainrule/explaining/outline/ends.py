"""The loss with the output residual, and the update, as blocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from chainrule.base.languages import NOTHING, SPACE, Say, same, say_from
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
from chainrule.explaining.words.catalogues import ELEMENTS, ENDS, TABLES
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
    for part in card["parts"]:
        blocks += _part(layout, part)
        if part["part"] == "value":
            blocks.append(_losses(card, bool(layout.document["loss"].get("weights"))))
        if part["part"] == "gradient" and card["jacobian"]:
            blocks += _jacobian(card["jacobian"])
    if card["outputs"]:
        blocks.append(_outputs(layout, card, card["outputs"]))
        if "literal" in card["outputs"]:
            blocks.append(Paragraph(ENDS["literal"], quiet=True))
    reference = "Ning Yu · Dezeming 2.4 · Matrix notes §4"
    return (Card("L", title, pair, card["output"], tuple(blocks), reference, id="card-L"),)


def _objective(layout: Layout) -> Iterator[Block]:
    """J = (1/m) Σ J_i, under a penalty J_data, and J = J_data + Ω; with the numbers of this batch."""
    document, letter = layout.document, layout.notation.loss
    J, m = Word(letter), layout.composer().letter(layout.notation.letter(Symbol("m", "batch size", "scalar")))
    reciprocal = layout.composer().fraction(Numeral("1"), m)
    of_one = layout.notation.letter(_OF_A_SAMPLE["value"])
    index = Word(of_one.sub)
    weights, defined = [], None
    if document["loss"].get("weights"):
        weights = [layout.composer().letter(layout.notation.letter(SAMPLE_WEIGHT), index)]
        w = weight_of_sample(layout.notation)
        defined = ENDS.say("weight_of_sample", w=w, sample=of_one.sub)
    below = Under(Sign("∑"), index)
    mean = row(reciprocal, below, *weights, layout.composer().letter(of_one))
    reference = "Ning Yu · Dezeming 1.2 · Matrix notes §2"
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


# The loss of one sample is not J of the batch: the two are told apart by the sample's number.
_OF_A_SAMPLE = {
    "value": Symbol("J_i", "loss of a sample", "scalar"),
    "gradient": Symbol("dJ_i", "gradient of a sample"),
}


def loss_equation(layout: Layout, part: PartRecord) -> Equation:
    """The equation of a part of the loss."""
    equation = layout.equation(part)
    return replace(equation, left=_OF_A_SAMPLE.get(part["part"], equation.left))


def weight_of_sample(notation: Notation) -> str:
    """The weight of a sample, with the letter that counts samples: w_i."""
    return f"{notation.letter(SAMPLE_WEIGHT).base}_{notation.letter(_OF_A_SAMPLE['value']).sub}"


def _part(layout: Layout, part: PartRecord) -> Iterator[Block]:
    equation = loss_equation(layout, part)
    yield Paragraph(say_from(part["why"]))
    if "said" in part:
        yield Paragraph(say_from(part["said"]))
    identifier = f"L-{part['part']}"
    composer = layout.composer()
    note = counted(equation, part["shapes"])
    yield Formula(compose(equation, composer), "general", part["reference"], note, id=f"{identifier}-general")
    for named in definitions(equation.right):
        yield Formula(compose(Equation(named, named.value), composer), "definition")
    yield from shape_blocks(layout, equation, part)
    left = equation.left
    assert isinstance(left, Symbol)
    if part["part"] == "value":
        left = Symbol("J", "loss", "scalar")  # J_1: the index is the sample
    for count, worked in enumerate(part["worked"]):
        yield worked_block(
            left,
            tuple(worked["index"]),
            element_from(worked["element"]),
            layout.composer(layout.last),
            layout.first(None),
            why=say_from(worked["why"]),
            id=f"{identifier}-worked{count + 1}",
        )


def _losses(card: LossCard, weighted: bool) -> Table:
    rows = tuple((str(sample["sample"]), short(sample["loss"], 6)) for sample in card["losses"])
    more = card["samples"] - len(rows)
    caption = ENDS.say(
        "losses.weighted_mean" if weighted else "losses.mean",
        more=ENDS.say("losses.more", count=more) if more else NOTHING,
        mean=short(card["mean"], 8),
    )
    return Table((TABLES["sample"], TABLES["loss"]), rows, (0, 1), caption, id="losses")


def _jacobian(jacobian: Jacobian) -> list[Block]:
    values = np.array([[float(v) for v in line] for line in jacobian["values"]])
    size = norm(values)
    stats = (float(values.min()), float(values.mean()), float(values.max()), size)
    said = ENDS["jacobian.diagonal" if jacobian["diagonal"] else "jacobian.softmax"]
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
        ("residual", same(_residual(table)) if card["pair"] else ENDS["by_output_of_loss"]),
        ("delta", same(f"{delta}_k = {weight}(…)/{m}")),
        ("literal", ENDS["literal_head"]),
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
    left_out = ENDS.say("outputs.left_out", count=more) if more else NOTHING
    caption = ENDS.say("outputs.caption", sample=sample, left_out=left_out)
    return Table(tuple(head), rows, tuple(range(len(head))), caption, id="outputs")


def _residual(table: OutputTable) -> str:
    """What the residual of a pair is: a - y, unless targets or outputs are weighted."""
    plain = np.subtract(table["a"], table["y"])
    same_numbers = np.allclose(plain, np.asarray(table["residual"]), rtol=1e-9, atol=1e-12)
    return "a_k − y_k" if same_numbers else "∂/∂z_k"


def update_blocks(layout: Layout) -> tuple[Block, ...]:
    """The penalty, a row per parameter, one entry's step, and J before and after."""
    card = layout.document["update"]
    blocks: list[Block] = []
    if "penalty" in card:
        blocks += _penalty(layout, card["penalty"])
    theta, grad = Word("θ"), tight(Sign("∂"), Word(layout.notation.loss), Sign("/"), Sign("∂"), Word("θ"))
    step = row(theta, Sign("←"), theta, Sign("−"), Word("η"), grad)
    source = "Dezeming 1.3 · Matrix notes"
    blocks += [Paragraph(ENDS["step"]), Formula(step, "general", source, id="U-general")]
    if card["worked"]:
        blocks.append(_step(card["worked"], card["eta"], layout))
    head: tuple[Cell, ...] = (
        TABLES["parameter"], same("‖θ‖"), ENDS["gradient_of_data"],
        ENDS["gradient_of_penalty"], same("η‖∇‖"), same("η‖∇‖/‖θ‖"),
    )  # fmt: skip
    rows = tuple(_update_row(record) for record in card["rows"])
    blocks.append(Table(head, rows, (1, 2, 3, 4, 5), folded=len(rows) > 40, id="update-table"))
    before, after, eta = card["J_before"], float(card["J_after"]), equals(card["eta"])
    moved = ENDS.say(
        "before_and_after",
        J=layout.notation.loss,
        before=Say(short(before, 8), equals(before, 8)),
        eta=eta,
        after=Say(short(after, 8), equals(after, 8)),
        change=short(after - before, 4),
    )
    blocks.append(Paragraph(moved, id="update-loss"))
    return (Card("U", ENDS["update"], f"η {eta}", "", tuple(blocks), source, id="card-U"),)


def _update_row(record: UpdateRow) -> tuple[Cell, ...]:
    theta, data, added, step = (float(record[name]) for name in ("theta", "data", "penalty", "step"))
    ratio = short(step / theta, 3) if theta else ""
    penalty = short(added, 3) if added else ""
    return record["name"], short(theta), short(data), penalty, short(step, 3), ratio


def _step(worked: WorkedStep, eta: float, layout: Layout) -> Worked:
    sub = Word(f"{worked['name']}[{', '.join(map(str, worked['index']))}]")
    composer = layout.composer(_number_of(layout, worked))
    theta_box = theta_entry(layout.document, composer, worked["name"], worked["index"])
    theta: Box = theta_box or Scripts(Word("θ"), sub=sub)
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
        why=ELEMENTS["moves_most"],
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
    scale = ENDS.say("penalty.not_per_sample", letter=letter)
    if card["per_sample"]:
        scale = ENDS.say("penalty.per_sample", letter=letter, m=m)
    J, share = layout.notation.loss, short(card["adds"], 6)
    adds = ENDS.say("penalty.adds", penalty=card["title"], share=share, J=J)
    yield Paragraph(adds + SPACE + scale, id="update-penalty")
    for part in card["parts"]:
        reference = "Ning Yu · Dezeming 1.2.3" if part["part"] == "value" else "Ning Yu · Dezeming 2.6.1"
        box, note = layout.equation_box(part, general=True), None
        if part["part"] == "value":
            box, note = _over_all_weights(layout, part)
        yield Formula(box, "general", reference, note, id=f"penalty-{part['part']}")


def _letter(layout: Layout, role: str) -> Box:
    return layout.composer().letter(layout.notation.letter(Symbol(role, role, "scalar")))


def _over_all_weights(layout: Layout, part: PenaltyFormula) -> tuple[Box, Say]:
    """Ω as the sum over the weight arrays, and which they are."""
    composer, penalty = layout.composer(), layout.document["penalty"]
    names = penalty["on"] if penalty else []
    symbol = next(s for s in layout.equation(part).right.symbols if s.role.startswith("parameter "))
    W = composer.letter(layout.notation.letter(symbol))
    inner = fenced(composer.box(layout.equation(part).right), BIG)
    box = row(Word("Ω"), Sign("="), Under(Sign("∑"), W), inner, binds=BIG)
    shown = ", ".join(names[:MOST_NAMES]) + (", …" if len(names) > MOST_NAMES else "")
    if len(names) == 1:
        return box, ENDS.say("penalty.on_one", names=shown)
    return box, ENDS.say("penalty.on_several", count=len(names), names=shown)
