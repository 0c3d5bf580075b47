"""What a reader looks up: notation and conventions in force, the algorithm's steps, slips of the seeds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from chainrule.base.languages import Say, same, say_from
from chainrule.explaining.blocks.kinds import Block, Cell, Formula, Listing, Paragraph, Section, Table
from chainrule.explaining.facts.parts import Way
from chainrule.explaining.outline.cards import Layout, outside, told_apart
from chainrule.explaining.outline.ends import loss_equation
from chainrule.explaining.references.notation_rows import symbols_in_order
from chainrule.explaining.schema import (
    CardRecord,
    ChoiceRecord,
    ConventionRecord,
    LetterRow,
    PackedEquation,
    PartRecord,
)
from chainrule.explaining.theta.form import theta_layers
from chainrule.explaining.theta.formulas import TOTAL, in_general
from chainrule.explaining.theta.outline import a_0, about_theta, all_layers, theta_letter
from chainrule.formulas import NOTATIONS, Equation, Expression, Notation, Symbol, broadcast_samples
from chainrule.formulas.exchange import unpack
from chainrule.formulas.printing import compose
from chainrule.formulas.printing.boxes import Box, Numeral, Sign, Word, listed, phrase, row, tight
from chainrule.formulas.printing.places import NOWHERE

LONG = 40  # rows: a longer table is shown on demand
MOST_LETTERS = 8  # of what a step is computed from
SOURCES = {"seed000": "S0", "ufldl": "S1 (UFLDL)", "ng": "S2 (Ng)", "matrix": "S4", "nielsen": "Nielsen"}


# -- notation and conventions --------------------------------------------------------------------------------


def notation_section(layout: Layout) -> Section:
    """Letters in every notation, this report's first; the same formulas; the conventions in force."""
    own = layout.notation
    meta = layout.document["meta"]
    others = [told_apart(notation, meta) for name, notation in NOTATIONS.items() if name != own.name]
    layouts = [replace(layout, notation=notation, _trees={}) for notation in (own, *others)]
    rows = layout.document["notation"]
    with_theta = frozenset(one.name for one in theta_layers(layout.document))
    blocks: list[Block] = [_letters(layouts, rows["letters"], with_theta)]
    blocks += about_theta(layout.document)
    if rows["formulas"]:
        blocks.append(_formulas(layouts, rows["formulas"], with_theta))
    blocks.append(_conventions(layout.document["conventions"]))
    return Section(Say("Notation and conventions", "记号与约定"), tuple(blocks), id="notation")


def _letters(layouts: list[Layout], rows: list[LetterRow], own: frozenset[str]) -> Table:
    """own: the layers that a notation may write with Θ."""
    head: tuple[Cell, ...] = (
        Say("meaning", "含义"),
        *(_source(layout.notation, own=place == 0) for place, layout in enumerate(layouts)),
    )
    body: list[tuple[Cell, ...]] = [
        (
            say_from(row["meaning"]),
            *(_letter(layout, unpack(row["nodes"])[row["root"]], own) for layout in layouts),
        )
        for row in rows
    ]
    first: tuple[Cell, ...] = (
        Say("number of the input layer", "输入层的编号"),
        *(same(str(layout.notation.input_number)) for layout in layouts),
    )
    sign: tuple[Cell, ...] = (
        Say("product entry by entry", "逐元素相乘"),
        *(same(layout.notation.hadamard) for layout in layouts),
    )
    symbols = [unpack(row["nodes"])[row["root"]] for row in rows]
    spread = [row for symbol in symbols if _is_bias(symbol) for row in _over_samples(layouts, symbol, own)]
    caption = Say("Letters here and in other texts", "本文与其他文献的记号")
    return Table(head, (*body, *spread, first, sign), caption=caption, id="letters")


def _is_bias(symbol: Expression) -> bool:
    return isinstance(symbol, Symbol) and symbol.role == "parameter b"


def _over_samples(
    layouts: list[Layout], bias: Expression, own: frozenset[str]
) -> Iterator[tuple[Cell, ...]]:
    """What seed 004 writes for a vector that all samples have, and for a sum over them."""
    hat = broadcast_samples(bias)

    def copied(layout: Layout) -> Box:
        composer = layout.composer()
        if not own or not layout.notation.bias_column:
            return composer.box(hat, NOWHERE)
        one = a_0(composer)
        return listed(one, composer.box(hat, NOWHERE), spaced=True) if _has_others(layout, "b", own) else one

    yield (
        Say("the bias, copied into every column (sample)", "偏置，复制到每一列（每个样本）"),
        *map(copied, layouts),
    )
    yield (
        Say(
            "a column of ones, one per sample: a matrix times 𝟏 is the sum of its columns",
            "全 1 列向量，每个样本一个 1：矩阵乘以 𝟏 就是它的各列之和",
        ),
        *(Numeral("𝟏") for _ in layouts),
    )


def _source(notation: Notation, *, own: bool) -> Say:
    name = SOURCES.get(notation.name, notation.name)
    return Say(f"{name}, here", f"{name}，本文") if own else same(name)


def _letter(layout: Layout, symbol: Expression, own: frozenset[str]) -> Box:
    assert isinstance(symbol, Symbol)
    if own and layout.notation.bias_column:
        found = theta_letter(symbol.role, layout.composer(), _has_others(layout, symbol.name, own))
        if found is not None:
            return found
    return layout.composer().letter(layout.notation.letter(symbol))


def _has_others(layout: Layout, name: str, own: frozenset[str]) -> bool:
    """Whether a layer without Θ has a parameter of this name."""
    layers = all_layers(layout.document["graph"]["layers"])
    return any(name in layer.get("parameters", ()) and layer["name"] not in own for layer in layers)


def _formulas(layouts: list[Layout], formulas: list[PackedEquation], own: frozenset[str]) -> Table:
    """One step per row, a notation per column."""
    head: tuple[Cell, ...] = tuple(
        _source(layout.notation, own=place == 0) for place, layout in enumerate(layouts)
    )
    rows = tuple(tuple(_formula(layout, one, own) for layout in layouts) for one in formulas)
    caption = Say("The same formulas of a dense layer", "全连接层的同一组公式")
    return Table(head, rows, caption=caption, id="same-formulas")


def _formula(layout: Layout, one: PackedEquation, own: frozenset[str]) -> Cell:
    """The formula; "" where a notation has one letter for both sides, as Ng has for δ, or one formula for
    two, as Ng has for ∂J/∂W and ∂J/∂b.
    """
    equation, composer = layout.equation(one), layout.composer()
    if own and layout.notation.bias_column and not isinstance(equation.right, Symbol):
        augmented = in_general(equation)
        if augmented is None:
            return ""
        box = compose(augmented, composer)
        return row(box, Sign(","), phrase("j≥1")) if augmented.left == TOTAL else box
    assert isinstance(equation.left, Symbol)
    if isinstance(equation.right, Symbol):
        letters = {composer.letter(layout.notation.letter(side)) for side in (equation.left, equation.right)}
        if len(letters) == 1:
            return ""
    return layout.equation_box(one, general=True)


def _conventions(conventions: list[ConventionRecord]) -> Table:
    head = (Say("convention", "约定"), Say("in force here", "本文采用"), Say("elsewhere", "其他做法"))
    rows = tuple(
        (say_from(one["option"]), _choices([one["choice"]]), _choices(one["others"])) for one in conventions
    )
    caption = Say("Conventions in force for this network", "本网络采用的约定")
    return Table(head, rows, caption=caption, id="conventions")


def _choices(choices: list[ChoiceRecord]) -> Say:
    """The choices as sentences, each with who has it and how it is asked for."""
    texts = [say_from(choice["text"]) + _behind(choice) for choice in choices]
    return Say(" ".join(text.en for text in texts), "".join(text.zh for text in texts))


def _behind(choice: ChoiceRecord) -> Say:
    found = [part for part in (choice["source"], choice["write"]) if part]
    return Say(f" ({'; '.join(found)})", f"（{'；'.join(found)}）") if found else same("")


# -- the algorithm -------------------------------------------------------------------------------------------


def algorithm_section(layout: Layout) -> Section:
    """The seeds' steps with this network's layers, what each computes of what, and the closing boxes."""
    blocks: list[Block] = [Listing(tuple(_steps(layout)), ordered=True, id="steps"), _trace(layout)]
    general = replace(layout, notation=replace(layout.notation, sizes=False))
    for number, box in enumerate(layout.document["boxes"]):
        blocks.append(Paragraph(say_from(box["title"])))
        blocks += [
            Formula(
                general.equation_box(one, general=True), "boxed",
                note=outside(general.equation(one), general=True),
                id=f"box{number + 1}-{place + 1}",
            )
            for place, one in enumerate(box["equations"])
        ]  # fmt: skip
        if "letters" in box:
            blocks.append(Paragraph(say_from(box["letters"]), quiet=True))
    title = Say("The algorithm, with this network's layers", "算法步骤（本网络的层号）")
    return Section(title, tuple(blocks), id="algorithm")


def _steps(layout: Layout) -> Iterator[Say]:
    """Seed 000's steps 1) to 4) and the update, in the count of the notation."""
    document = layout.document
    meta, cards = document["meta"], document["cards"]
    first = layout.notation.input_number
    last, lowest = layout.last + first, 1 + first
    count = len(cards)
    shape = "×".join(map(str, document["graph"]["input_shape"])) or "1"
    yield Say(
        f"Give the network the {meta['samples']} samples X, each of shape {shape}, as layer {first}, and "
        "their targets Y.",
        f"把 {meta['samples']} 个样本 X（形状均为 {shape}）作为第 {first} 层输入网络，并给出目标 Y。",
    )
    yield Say(
        f"Forward, from layer {lowest} to layer {last}: steps F1 to F{count}.",
        f"前向：从第 {lowest} 层到第 {last} 层，即步骤 F1 到 F{count}。",
    )
    yield Say(
        f"J, and δ of layer {last} at the output: step L. 1/m enters here, and only here.",
        f"计算 J 与输出层（第 {last} 层）的 δ：步骤 L。1/m 只在这里出现一次。",
    )
    back = [card for card in cards if f"delta:{card['layer']}" in document["tensors"]]
    if back:
        top, bottom = layout.positions[back[-1]["layer"]], layout.positions[back[0]["layer"]]
        yield Say(
            f"Backward, from layer {last} to layer {lowest}: steps B{top} to B{bottom}. With δ of a layer "
            "first the gradients of its parameters, then δ of the layer below; below layer "
            f"{lowest} there is the input, which has no f′.",
            f"反向：从第 {last} 层到第 {lowest} 层，即步骤 B{top} 到 B{bottom}。"
            f"由一层的 δ 先求本层参数的梯度，再求下面一层的 δ；第 {lowest} 层之下是输入，没有 f′。",
        )
    if any(row for row in document["update"]["rows"]):
        penalty = Say("the penalty's part is added, then ", "加上惩罚项的部分，然后")
        added = penalty if document["penalty"] else same("")
        yield Say("Update: ", "更新：") + added + Say(
            f"every parameter minus η = {meta['eta']:g} times its gradient: step U.",
            f"每个参数减去 η = {meta['eta']:g} 乘以它的梯度：步骤 U。",
        )


def _trace(layout: Layout) -> Table:
    """Every step of this network: what it computes, of what, by which formula of the seeds."""
    head: tuple[Cell, ...] = (
        Say("step", "步骤"), same(layout.notation.output_number), Say("layer", "层"),
        Say("computes", "计算"), Say("from", "依据"), Say("derived in", "推导见"),
    )  # fmt: skip
    cards = layout.document["cards"]
    rows = []
    for card in cards:
        made = [_trace_row(layout, card, "F", one) for one in _parts(layout, card, "forward")]
        rows += made or [_untraced_row(layout, card, "F")]
    rows += [
        ("L", str(layout.last + layout.notation.input_number), layout.document["loss_card"]["class"],
         *_loss_quantities(layout, one), one["reference"])
        for one in layout.document["loss_card"]["parts"]
    ]  # fmt: skip
    for card in reversed(cards):
        if f"delta:{card['layer']}" in layout.document["tensors"]:
            made = [_trace_row(layout, card, "B", one) for one in _gradients_first(layout, card)]
            rows += made or [_untraced_row(layout, card, "B")]
    rows += list(_update_rows(layout))
    for at in range(len(rows) - 1, 0, -1):  # a step is named once
        if rows[at][0] == rows[at - 1][0]:
            rows[at] = ("", "", "", *rows[at][3:])
    caption = Say("Every step, and what it is computed from", "每一步计算什么、依据什么")
    return Table(head, tuple(rows), right=(1,), caption=caption, folded=len(rows) > LONG, id="trace")


def _untraced_row(layout: Layout, card: CardRecord, direction: str) -> tuple[Cell, ...]:
    """A step that is computed by code without formulas."""
    step = f"{direction}{layout.positions[card['layer']]}"
    number = str(card["number"] + layout.notation.input_number)
    return (step, number, card["layer"], Say("by code of its own", "由自己的代码计算"), "", "")


def _update_rows(layout: Layout) -> Iterator[tuple[Cell, ...]]:
    """Step U."""
    if layout.document["update"]["rows"]:
        grad = tight(Sign("∂"), Word(layout.notation.loss), Sign("/"), Sign("∂"), Word("θ"))
        of = listed(Word("θ"), Word("η"), grad, spaced=True)
        yield ("U", "", Say("every parameter", "每个参数"), Word("θ"), of, "S2 1.3 · S4")


def _gradients_first(layout: Layout, card: CardRecord) -> list[PartRecord]:
    """The backward parts in the seeds' order: of a layer's δ its gradients, then what is handed down."""
    parts = _parts(layout, card, "backward")
    return [one for one in parts if one["part"] != "delta"] + [
        one for one in parts if one["part"] == "delta"
    ]


def _parts(layout: Layout, card: CardRecord, direction: Way) -> list[PartRecord]:
    """A card's parts; of a repeat those of the card it repeats."""
    if "repeats" in card:
        repeated = card["repeats"]
        card = next(one for one in layout.document["cards"] if one["layer"] == repeated)
    return [] if "repeats" in card else card[direction]


def _trace_row(layout: Layout, card: CardRecord, direction: str, one: PartRecord) -> tuple[Cell, ...]:
    number: int = card["number"]
    return (
        f"{direction}{layout.positions[card['layer']]}",
        str(number + layout.notation.input_number),
        card["layer"],
        *(_handed_down(layout, card, one) or _quantities(layout, layout.equation(one), number)),
        one["reference"],
    )


def _loss_quantities(layout: Layout, one: PartRecord) -> tuple[Cell, Cell]:
    """What a part of the loss computes, δ by the name that the last layer reads, and of what."""
    own, of = _quantities(layout, loss_equation(layout, one), layout.last)
    top = [card for card in layout.document["cards"] if card["depth"] == 0][-1]
    pair = layout.document["loss_card"]["pair"]
    read = None if one["part"] != "residual" or pair else _read_by(layout, top)
    return (own if read is None else read), of


def _handed_down(layout: Layout, card: CardRecord, one: PartRecord) -> tuple[Cell, Cell] | None:
    """What a layer hands down, by the name that the layer below reads, and of what; None for another part, at
    the input, and for a branch's share.

    Behind an activation the card has its f′ in the same line, ③ as the seeds write it; here that is the step
    of the activation, so that every quantity is computed once.
    """
    equation = layout.equation(one)
    below = _below(layout, card)
    assert isinstance(equation.left, Symbol)
    if one["part"] != "delta" or below is None or not equation.left.role.startswith("gradient of "):
        return None
    read = _read_by(layout, below)
    if read is None:
        return None
    if "general" in one:
        general = unpack(one["general"]["nodes"])[one["general"]["right"]]
        equation = Equation(equation.left, general)
    return read, _from(layout, equation, card["number"])


def _below(layout: Layout, card: CardRecord) -> CardRecord | None:
    """The card of the layer whose output a layer reads; None at the input of the network or of a branch."""
    cards = layout.document["cards"]
    for other in reversed(cards[: layout.positions[card["layer"]] - 1]):
        if other["depth"] <= card["depth"]:
            return other if other["depth"] == card["depth"] else None
    return None


def _read_by(layout: Layout, card: CardRecord) -> Box | None:
    """The letter of δ in the formulas of a layer's backward pass; None where it has none of its own."""
    for one in _parts(layout, card, "backward"):
        for symbol in symbols_in_order(layout.equation(one).right):
            if symbol.name == "d":
                composer = layout.composer(card["number"])
                return composer.letter(composer.notation.letter(symbol))
    return None


def _quantities(layout: Layout, equation: Equation, number: int) -> tuple[Cell, Cell]:
    """(the letter of what a formula computes, the letters of what it is computed from)."""
    composer = layout.composer(number)
    assert isinstance(equation.left, Symbol)
    return composer.letter(composer.notation.letter(equation.left)), _from(layout, equation, number)


def _from(layout: Layout, equation: Equation, number: int) -> Box:
    """The letters of what a formula is computed from, without f′ of an activation that has its own step."""
    composer = layout.composer(number)
    symbols = [one for one in symbols_in_order(equation.right) if not one.role.startswith("slope of ")]
    letters = list(dict.fromkeys(composer.letter(composer.notation.letter(one)) for one in symbols))
    return listed(*letters[:MOST_LETTERS], spaced=True)


# -- slips ---------------------------------------------------------------------------------------------------

_KINDS = {
    "slip": Say("printed wrong", "印错"),
    "limit": Say("limit not stated", "未写明条件"),
    "overclaim": Say("says too much", "说过头了"),
}


def slips_section(layout: Layout) -> Section:
    """Where the seeds are to be read otherwise, as far as this network meets it."""
    title = Say("Slips of the seeds", "种子文献中的笔误")
    slips = layout.document["slips"]
    said = Say(
        "Places in the five tutorials S0 to S4 which a reader of this derivation meets, and how they are "
        "read here.",
        "读本推导时会遇到的、五篇教程（S0 到 S4）中的若干处，以及这里的读法。",
    )
    rows = tuple(
        (
            same(f"{one['seed']} ") + say_from(one["where"]),
            _KINDS[one["kind"]],
            say_from(one["printed"]),
            say_from(one["read_as"]),
        )
        for one in slips
    )
    head = (Say("where", "位置"), Say("kind", "类别"), Say("printed", "原文"), Say("read as", "应读作"))
    table = Table(head, rows, folded=len(rows) > LONG, id="slip-table")
    return Section(title, (Paragraph(said), table), id="slips")
