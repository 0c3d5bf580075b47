"""What a reader looks up: notation, conventions in force, the algorithm's steps, references, their errata."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

from chainrule.base.languages import NOTHING, SEMICOLON, SPACE, Say, same, say_from
from chainrule.explaining.blocks.kinds import (
    Block,
    Cell,
    Chain,
    Code,
    Formula,
    Listing,
    Paragraph,
    Section,
    Table,
)
from chainrule.explaining.facts.parts import Way
from chainrule.explaining.outline.cards import Layout, outside, told_apart
from chainrule.explaining.outline.ends import loss_equation
from chainrule.explaining.references.notation_rows import symbols_in_order
from chainrule.explaining.references.sources import OF_NOTATION, cited
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
from chainrule.explaining.words.catalogues import LOOKUP, TABLES
from chainrule.formulas import NOTATIONS, TUTORIAL, Equation, Expression, Notation, Symbol, broadcast_samples
from chainrule.formulas.exchange import unpack
from chainrule.formulas.printing import compose
from chainrule.formulas.printing.boxes import Box, Numeral, Sign, Word, listed, phrase, row, tight
from chainrule.formulas.printing.places import NOWHERE

LONG = 40  # rows: a longer table is shown on demand
MOST_LETTERS = 8  # of what a step is computed from


# -- notation and conventions --------------------------------------------------------------------------------


def notation_section(layout: Layout) -> Section:
    """Letters in every notation, this report's first; the same formulas; the conventions in force."""
    chosen = layout.notation
    meta = layout.document["meta"]
    others = [told_apart(notation, meta) for name, notation in NOTATIONS.items() if name != chosen.name]
    layouts = [replace(layout, notation=notation, _trees={}) for notation in (chosen, *others)]
    rows = layout.document["notation"]
    with_theta = frozenset(layer.name for layer in theta_layers(layout.document))
    blocks: list[Block] = [_letters(layouts, rows["letters"], with_theta)]
    blocks += about_theta(layout.document)
    if rows["formulas"]:
        blocks.append(_formulas(layouts, rows["formulas"], with_theta))
    blocks.append(_conventions(layout.document["conventions"]))
    return Section(LOOKUP["notation"], tuple(blocks), id="notation")


def _letters(layouts: list[Layout], rows: list[LetterRow], with_theta: frozenset[str]) -> Table:
    """with_theta: the layers that a notation may write with Θ."""
    head: tuple[Cell, ...] = (
        LOOKUP["letters.meaning"],
        *(_source(layout.notation, here=place == 0) for place, layout in enumerate(layouts)),
    )
    body: list[tuple[Cell, ...]] = [
        (
            say_from(row["meaning"]),
            *(_letter(layout, unpack(row["nodes"])[row["root"]], with_theta) for layout in layouts),
        )
        for row in rows
    ]
    numbers = (same(str(layout.notation.input_number)) for layout in layouts)
    signs = (same(layout.notation.hadamard) for layout in layouts)
    first: tuple[Cell, ...] = (LOOKUP["letters.input_number"], *numbers)
    sign: tuple[Cell, ...] = (LOOKUP["letters.hadamard"], *signs)
    symbols = [unpack(row["nodes"])[row["root"]] for row in rows]
    biases = filter(_is_bias, symbols)
    spread = [row for bias in biases for row in _over_samples(layouts, bias, with_theta)]
    caption = LOOKUP["letters.caption"]
    return Table(head, (*body, *spread, first, sign), caption=caption, id="letters")


def _is_bias(symbol: Expression) -> bool:
    return isinstance(symbol, Symbol) and symbol.role == "parameter b"


def _over_samples(
    layouts: list[Layout], bias: Expression, with_theta: frozenset[str]
) -> Iterator[tuple[Cell, ...]]:
    """What the Matrix notes write for a vector that all samples have, and for a sum over them."""
    hat = broadcast_samples(bias)

    def copied(layout: Layout) -> Box:
        composer = layout.composer()
        if not with_theta or not layout.notation.bias_column:
            return composer.box(hat, NOWHERE)
        bias_unit = a_0(composer)
        if not _has_others(layout, "b", with_theta):
            return bias_unit
        return listed(bias_unit, composer.box(hat, NOWHERE), spaced=True)

    yield LOOKUP["letters.copied_bias"], *map(copied, layouts)
    yield LOOKUP["letters.ones"], *(Numeral("𝟏") for _ in layouts)


def _source(notation: Notation, *, here: bool) -> Say:
    name = OF_NOTATION[notation.name].heading
    return LOOKUP.say("letters.here", name=name) if here else same(name)


def _letter(layout: Layout, symbol: Expression, with_theta: frozenset[str]) -> Box:
    assert isinstance(symbol, Symbol)
    if with_theta and layout.notation.bias_column:
        letter = theta_letter(symbol.role, layout.composer(), _has_others(layout, symbol.name, with_theta))
        if letter is not None:
            return letter
    return layout.composer().letter(layout.notation.letter(symbol))


def _has_others(layout: Layout, name: str, with_theta: frozenset[str]) -> bool:
    """Whether a layer without Θ has a parameter of this name."""
    layers = all_layers(layout.document["graph"]["layers"])
    return any(name in layer.get("parameters", ()) and layer["name"] not in with_theta for layer in layers)


def _formulas(layouts: list[Layout], formulas: list[PackedEquation], with_theta: frozenset[str]) -> Table:
    """One step per row, a notation per column."""
    head: tuple[Cell, ...] = tuple(
        _source(layout.notation, here=place == 0) for place, layout in enumerate(layouts)
    )
    rows = tuple(tuple(_formula(layout, equation, with_theta) for layout in layouts) for equation in formulas)
    return Table(head, rows, caption=LOOKUP["same_formulas"], id="same-formulas")


def _formula(layout: Layout, packed: PackedEquation, with_theta: frozenset[str]) -> Cell:
    """The formula; "" where a notation has one letter for both sides, as Ng has for δ, or one formula for
    two, as Ng has for ∂J/∂W and ∂J/∂b.
    """
    equation, composer = layout.equation(packed), layout.composer()
    if with_theta and layout.notation.bias_column and not isinstance(equation.right, Symbol):
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
    return layout.equation_box(packed, general=True)


def _conventions(conventions: list[ConventionRecord]) -> Table:
    head = (LOOKUP["conventions.option"], LOOKUP["conventions.choice"], LOOKUP["conventions.others"])
    rows = tuple(
        (say_from(convention["option"]), _choices([convention["choice"]]), _choices(convention["others"]))
        for convention in conventions
    )
    return Table(head, rows, caption=LOOKUP["conventions.caption"], id="conventions")


def _choices(choices: list[ChoiceRecord]) -> Say:
    """The choices as sentences, each with who has it and how it is asked for."""
    return SPACE.join(say_from(choice["text"]) + _behind(choice) for choice in choices)


def _behind(choice: ChoiceRecord) -> Say:
    parts = [same(part) for part in (choice["source"], choice["write"]) if part]
    return SPACE + LOOKUP.say("conventions.of", sources=SEMICOLON.join(parts)) if parts else NOTHING


# -- the algorithm -------------------------------------------------------------------------------------------


def algorithm_section(layout: Layout) -> Section:
    """The tutorials' steps with this network's layers, what each computes of what, and the closing boxes."""
    blocks: list[Block] = [Listing(tuple(_steps(layout)), ordered=True, id="steps"), _trace(layout)]
    general = replace(layout, notation=replace(layout.notation, sizes=False))
    for number, box in enumerate(layout.document["boxes"]):
        blocks.append(Paragraph(say_from(box["title"])))
        blocks += [
            Formula(
                general.equation_box(equation, general=True), "boxed",
                note=outside(general.equation(equation), general=True),
                id=f"box{number + 1}-{place + 1}",
            )
            for place, equation in enumerate(box["equations"])
        ]  # fmt: skip
        if "letters" in box:
            blocks.append(Paragraph(say_from(box["letters"]), quiet=True))
    return Section(LOOKUP["algorithm"], tuple(blocks), id="algorithm")


def _steps(layout: Layout) -> Iterator[Say]:
    """The Tutorial's steps 1) to 4) and the update, in the count of the notation."""
    document = layout.document
    meta, cards = document["meta"], document["cards"]
    first = layout.notation.input_number
    last, lowest = layout.last + first, 1 + first
    count = len(cards)
    shape = "×".join(map(str, document["graph"]["input_shape"])) or "1"
    yield LOOKUP.say("steps.input", samples=meta["samples"], shape=shape, first=first)
    yield LOOKUP.say("steps.forward", lowest=lowest, last=last, count=count)
    yield LOOKUP.say("steps.loss", last=last)
    back = [card for card in cards if f"delta:{card['layer']}" in document["tensors"]]
    if back:
        top, bottom = layout.positions[back[-1]["layer"]], layout.positions[back[0]["layer"]]
        yield LOOKUP.say("steps.backward", last=last, lowest=lowest, top=top, bottom=bottom)
    if any(row for row in document["update"]["rows"]):
        eta = f"{meta['eta']:g}"
        yield LOOKUP.say("steps.update_with_penalty" if document["penalty"] else "steps.update", eta=eta)


def _trace(layout: Layout) -> Table:
    """Every step of this network: what it computes, of what, by which formula of a text."""
    head: tuple[Cell, ...] = (
        TABLES["step"], same(layout.notation.output_number), TABLES["layer"],
        LOOKUP["trace.computes"], LOOKUP["trace.of"], LOOKUP["trace.derived_in"],
    )  # fmt: skip
    cards = layout.document["cards"]
    rows = []
    for card in cards:
        made = [_trace_row(layout, card, "F", part) for part in _parts(layout, card, "forward")]
        rows += made or [_untraced_row(layout, card, "F")]
    rows += [
        ("L", str(layout.last + layout.notation.input_number), layout.document["loss_card"]["class"],
         *_loss_quantities(layout, part), part["reference"])
        for part in layout.document["loss_card"]["parts"]
    ]  # fmt: skip
    for card in reversed(cards):
        if f"delta:{card['layer']}" in layout.document["tensors"]:
            made = [_trace_row(layout, card, "B", part) for part in _gradients_first(layout, card)]
            rows += made or [_untraced_row(layout, card, "B")]
    rows += list(_update_rows(layout))
    for at in range(len(rows) - 1, 0, -1):  # a step is named once
        if rows[at][0] == rows[at - 1][0]:
            rows[at] = ("", "", "", *rows[at][3:])
    caption = LOOKUP["trace.caption"]
    return Table(head, tuple(rows), right=(1,), caption=caption, folded=len(rows) > LONG, id="trace")


def _untraced_row(layout: Layout, card: CardRecord, direction: str) -> tuple[Cell, ...]:
    """A step that is computed by code without formulas."""
    step = f"{direction}{layout.positions[card['layer']]}"
    number = str(card["number"] + layout.notation.input_number)
    return (step, number, card["layer"], LOOKUP["trace.by_own_code"], "", "")


def _update_rows(layout: Layout) -> Iterator[tuple[Cell, ...]]:
    """Step U."""
    if layout.document["update"]["rows"]:
        grad = tight(Sign("∂"), Word(layout.notation.loss), Sign("/"), Sign("∂"), Word("θ"))
        of = listed(Word("θ"), Word("η"), grad, spaced=True)
        yield ("U", "", LOOKUP["trace.every_parameter"], Word("θ"), of, "Dezeming 1.3 · Matrix notes")


def _gradients_first(layout: Layout, card: CardRecord) -> list[PartRecord]:
    """The backward parts in the tutorials' order: of a layer's δ its gradients, then what is handed down."""
    parts = _parts(layout, card, "backward")
    return [part for part in parts if part["part"] != "delta"] + [
        part for part in parts if part["part"] == "delta"
    ]


def _parts(layout: Layout, card: CardRecord, direction: Way) -> list[PartRecord]:
    """A card's parts; of a repeat those of the card it repeats."""
    if "repeats" in card:
        repeated = card["repeats"]
        card = next(earlier for earlier in layout.document["cards"] if earlier["layer"] == repeated)
    return [] if "repeats" in card else card[direction]


def _trace_row(layout: Layout, card: CardRecord, direction: str, part: PartRecord) -> tuple[Cell, ...]:
    number: int = card["number"]
    return (
        f"{direction}{layout.positions[card['layer']]}",
        str(number + layout.notation.input_number),
        card["layer"],
        *(_handed_down(layout, card, part) or _quantities(layout, layout.equation(part), number)),
        part["reference"],
    )


def _loss_quantities(layout: Layout, part: PartRecord) -> tuple[Cell, Cell]:
    """What a part of the loss computes, δ by the name that the last layer reads, and of what."""
    computed, of = _quantities(layout, loss_equation(layout, part), layout.last)
    top = [card for card in layout.document["cards"] if card["depth"] == 0][-1]
    pair = layout.document["loss_card"]["pair"]
    read = None if part["part"] != "residual" or pair else _read_by(layout, top)
    return (computed if read is None else read), of


def _handed_down(layout: Layout, card: CardRecord, part: PartRecord) -> tuple[Cell, Cell] | None:
    """What a layer hands down, by the name that the layer below reads, and of what; None for another part, at
    the input, and for a branch's share.

    Behind an activation the card has its f′ in the same line, ③ as the tutorials write it; here that is the
    step of the activation, so that every quantity is computed once.
    """
    equation = layout.equation(part)
    below = _below(layout, card)
    assert isinstance(equation.left, Symbol)
    if part["part"] != "delta" or below is None or not equation.left.role.startswith("gradient of "):
        return None
    read = _read_by(layout, below)
    if read is None:
        return None
    if "general" in part:
        general = unpack(part["general"]["nodes"])[part["general"]["right"]]
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
    for part in _parts(layout, card, "backward"):
        for symbol in symbols_in_order(layout.equation(part).right):
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
    symbols = symbols_in_order(equation.right)
    symbols = tuple(symbol for symbol in symbols if not symbol.role.startswith("slope of "))
    letters = list(dict.fromkeys(composer.letter(composer.notation.letter(symbol)) for symbol in symbols))
    return listed(*letters[:MOST_LETTERS], spaced=True)


# -- references and their errata -----------------------------------------------------------------------------


def errata_section(layout: Layout) -> Section | None:
    """Where the texts that are cited are to be read otherwise, as far as this network meets it: of all where
    the report was asked for them, else of the text whose notation it has, but for the notation that a report
    has unless told otherwise.
    """
    document, notation = layout.document, layout.notation.name
    text = None if notation == TUTORIAL.name else OF_NOTATION[notation].name
    kinds = LOOKUP.within("errata.kind")
    rows = tuple(
        (
            same(f"{slip['reference']} ") + say_from(slip["where"]),
            kinds[slip["kind"]],
            say_from(slip["printed"]),
            say_from(slip["read_as"]),
        )
        for slip in document["slips"]
        if document["meta"]["errata"] or slip["reference"] == text
    )
    if not rows:
        return None
    head = tuple(LOOKUP[f"errata.{column}"] for column in ("where", "kind_of", "printed", "read_as"))
    table = Table(head, rows, folded=len(rows) > LONG, id="errata-table")
    return Section(LOOKUP["errata.title"], (Paragraph(LOOKUP["errata.about"]), table), id="errata")


def references_section(sections: Iterable[Section]) -> Section:
    """The texts that sections cite."""
    items = tuple(source.entry for source in cited(_texts(tuple(sections))))
    return Section(LOOKUP["references.title"], (Listing(items, id="reference-list"),), id="references")


def _texts(value: Any) -> Iterator[str]:
    """The words of blocks, in English."""
    if isinstance(value, Say):
        yield value.en
    elif isinstance(value, str):
        yield value
    elif isinstance(value, tuple):
        for inner in value:
            yield from _texts(inner)
    elif is_dataclass(value) and not isinstance(value, Box | Code | Chain):
        for attribute in fields(value):
            yield from _texts(getattr(value, attribute.name))
