"""The cards of the derivation as blocks: a layer forward, a layer backward.

Each formula in the same order: general (layer l), with this network's numbers, what its names mean, the
shapes of its factors, and elements worked out; then the pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import inf

from chainrule.base.languages import SEMICOLON, Say, same, say_from
from chainrule.base.numbers import short
from chainrule.explaining.blocks.kinds import Block, Card, Formula, Paragraph
from chainrule.explaining.blocks.worked import First, element_from, worked_block
from chainrule.explaining.outline.counts import counted
from chainrule.explaining.outline.pictures import picture_blocks
from chainrule.explaining.outline.shapes import shape_box
from chainrule.explaining.schema import (
    CardRecord,
    Document,
    LayerCard,
    Meta,
    PackedEquation,
    PartRecord,
    RepeatCard,
)
from chainrule.explaining.theta.outline import first_indices, theta_blocks
from chainrule.explaining.words.catalogues import CARDS
from chainrule.formulas import Equation, Expression, Operation, Symbol, walk
from chainrule.formulas.exchange import unpack
from chainrule.formulas.expression import Named
from chainrule.formulas.primitives.distances import slopes
from chainrule.formulas.primitives.grid import Grid, letters_of
from chainrule.formulas.printing import compose
from chainrule.formulas.printing.boxes import Box
from chainrule.formulas.printing.compose import Composer, definitions
from chainrule.formulas.printing.notation import Notation

MOST_SLOPES = 8  # that are printed


@dataclass(frozen=True)
class Layout:
    """How formulas of a document are laid out.  last: the number of the last layer."""

    document: Document
    notation: Notation
    linear: bool
    last: int
    _trees: dict[int, list[Expression]] = field(default_factory=dict)

    def trees(self, packed: PackedEquation) -> list[Expression]:
        """The expressions of a part's nodes."""
        if id(packed) not in self._trees:
            self._trees[id(packed)] = unpack(packed["nodes"])
        return self._trees[id(packed)]

    def equation(self, packed: PackedEquation) -> Equation:
        """A part's equation."""
        trees = self.trees(packed)
        left = trees[packed["left"]]
        assert isinstance(left, Symbol)
        return Equation(left, trees[packed["right"]])

    def composer(self, number: int | None = None, tensors: Mapping[str, str] | None = None) -> Composer:
        """Letters of layer l, or of layer `number`; with references to the tensors that symbols stand for."""
        notation = self.notation if number is None else self.notation.at(number, self.last)

        def refers(node: Expression) -> str | None:
            tensor = tensors.get(node.name) if tensors and isinstance(node, Symbol) else None
            return None if tensor is None or tensor.startswith("data ") else tensor

        return Composer(notation, self.linear, refers if tensors and not self.linear else None)

    def first(self, card: CardRecord | None) -> First:
        """Where the indices of a card's symbols begin; card None: of the loss."""
        return first_indices(self.document, card)

    def equation_box(self, packed: PackedEquation, *, general: bool, number: int | None = None) -> Box:
        """A part's equation as boxes."""
        return compose(self.equation(packed), self.composer(None if general else number))

    @cached_property
    def positions(self) -> dict[str, int]:
        """Layer name -> the place of its card, from 1."""
        return {card["layer"]: number + 1 for number, card in enumerate(self.document["cards"])}


def told_apart(notation: Notation, meta: Meta) -> Notation:
    """The notation with a letter of its own for the size of the training set, m_train, where it has m for
    that of the batch as well and the two differ.
    """
    letters = notation.letters
    if letters["training size"] != letters["batch size"] or meta["training_size"] == meta["samples"]:
        return notation
    return replace(
        notation, letters={**letters, "training size": replace(letters["batch size"], sub="train")}
    )


def forward_card(layout: Layout, card: CardRecord) -> Card:
    """F of a layer."""
    if "repeats" in card:
        return _repeat(layout, card, "F")
    blocks = [block for part in card["forward"] for block in part_blocks(layout, card, part, "F")]
    if not blocks:
        blocks = [Paragraph(CARDS["untraced"])]
    blocks += picture_blocks(layout.document, card, ("forward",), letters(layout, card))
    return _card(layout, card, "F", blocks)


def backward_card(layout: Layout, card: CardRecord) -> Card | None:
    """B of a layer; None for the output activation of a pair, which the loss has taken in."""
    if f"delta:{card['layer']}" not in layout.document["tensors"]:
        return None
    if "repeats" in card:
        return _repeat(layout, card, "B")
    blocks = [block for part in card["backward"] for block in part_blocks(layout, card, part, "B")]
    if not blocks:
        blocks = [Paragraph(CARDS["untraced"])]
    passes = ("backward", "gradients")
    blocks += picture_blocks(layout.document, card, passes, letters(layout, card))
    return _card(layout, card, "B", blocks)


def _repeat(layout: Layout, card: RepeatCard, direction: str) -> Card:
    """A layer like one before it: its formulas are there."""
    other = next(earlier for earlier in layout.document["cards"] if earlier["layer"] == card["repeats"])
    step = f"{direction}{_position(layout, other)}"
    said = CARDS.say("repeats", step=step, layer=card["repeats"])
    return _card(layout, card, direction, [Paragraph(said)])


def _card(layout: Layout, card: CardRecord, direction: str, blocks: list[Block]) -> Card:
    sizes = ["×".join(map(str, card[key])) or "1" for key in ("input_shape", "shape")]
    arrow = "→" if direction == "F" else "←"
    step = f"{direction}{_position(layout, card)}"
    number = f"{layout.notation.output_number} = {_shown_number(layout, card)}"
    return Card(
        step=step,
        title=same(f"{step}  {card['layer']}"),
        head=f"{number}   {card['title']}   {sizes[0]} {arrow} {sizes[1]}",
        layer=card["layer"],
        blocks=tuple(blocks),
        reference=card["reference"],
        folded="repeats" in card,
        id=f"card-{step}",
    )


def _position(layout: Layout, card: CardRecord) -> int:
    """The step's number: the place of the layer in the forward pass, from 1."""
    return layout.positions[card["layer"]]


def _shown_number(layout: Layout, card: CardRecord) -> int:
    number: int = card["number"]
    return number + layout.notation.input_number


def letters(layout: Layout, card: LayerCard) -> Callable[[str], Box]:
    """The letters of a layer's tensors, by their ids: a^4 of "relu2", δ^4 of "delta:conv2"."""
    composer = layout.composer(card["number"])
    role, read = "output", "input"
    if card["forward"]:
        equation = layout.equation(card["forward"][0])
        role = equation.left.role if isinstance(equation.left, Symbol) else role
        read = next((symbol.role for symbol in equation.right.symbols if symbol.name == "x"), read)

    def letter(quantity: str) -> Box:
        kind, _, name = quantity.rpartition(":")
        name = name.removeprefix(card["layer"]).removeprefix(".")
        meaning = read if name in ("input", "input of") else f"parameter {name}" if name else role
        asked = f"gradient of {meaning}" if kind else meaning
        return composer.letter(composer.notation.letter(Symbol(name, asked)))

    return letter


def part_blocks(layout: Layout, card: LayerCard, part: PartRecord, direction: str) -> Iterator[Block]:
    """A formula, general and with this layer's numbers, its definitions, shapes and worked elements."""
    equation = layout.equation(part)
    number, tensors = card["number"], card["tensors"]
    prefix = f"{direction}{_position(layout, card)}-{part['part'].replace(' ', '-')}"
    yield Paragraph(say_from(part["why"]))
    general = equation
    if "general" in part:
        general = replace(equation, right=unpack(part["general"]["nodes"])[part["general"]["right"]])
    yield Formula(compose(general, layout.composer()), "general", part["reference"], id=f"{prefix}-general")
    sized = layout.composer(number, tensors)
    shapes = part["shapes"]
    note = joined(_ranges(part), outside(equation), _paddings(equation, shapes), counted(equation, shapes))
    yield Formula(compose(equation, sized), "sized", note=note, id=f"{prefix}-sized")
    for named in definitions(equation.right):
        note = _distances(named.value, equation)
        yield Formula(compose(Equation(named, named.value), sized), "definition", note=note)
    yield from theta_blocks(layout.document, part, equation, sized)
    yield from shape_blocks(layout, equation, part)
    left = Symbol(*part["worked_left"]) if "worked_left" in part else equation.left
    assert isinstance(left, Symbol)
    for count, worked in enumerate(part["worked"]):
        yield worked_block(
            left,
            tuple(worked["index"]),
            element_from(worked["element"]),
            sized,
            layout.first(card),
            why=say_from(worked["why"]),
            quantity=part["quantity"],
            id=f"{prefix}-worked{count + 1}",
        )


def shape_blocks(layout: Layout, equation: Equation, part: PartRecord) -> Iterator[Block]:
    """The line of shapes, where there is more than one factor to be seen."""
    box = shape_box(equation, part["shapes"], layout.notation, layout.linear)
    if box is not None:
        yield Formula(box, "shape")


def _ranges(part: PartRecord) -> Say | None:
    """m = 0 … 4, n = 0 … 4."""
    ranges = [f"{letter} = 0 … {count - 1}" for letter, count in part["ranges"].items()]
    return same(", ".join(ranges)) if ranges else None


def joined(*notes: Say | None) -> Say | None:
    """Notes one behind the other; None where there is none."""
    there = [note for note in notes if note is not None]
    return SEMICOLON.join(there) if there else None


def _grids(equation: Equation, name: str) -> list[tuple[Operation, Grid]]:
    """The windows of a formula: ("window") read, or ("place") written back."""
    windows = [
        node for _, node in walk(equation.right) if isinstance(node, Operation) and node.rule.name == name
    ]
    return [(node, node.options["grid"]) for node in windows]


def outside(equation: Equation, *, general: bool = False) -> Say | None:
    """What the terms of a formula are whose indices lead nowhere: without it, an index such as (u − m)/2 has
    no meaning at every second pixel.  general: of any stride, which is a letter.
    """
    if any(general or max(grid.stride) > 1 for _, grid in _grids(equation, "place")):
        return CARDS["outside.no_whole_number"]
    if _grids(equation, "place"):
        return CARDS["outside.of_map"]
    read = [node for node, grid in _grids(equation, "window") if grid.padded]
    if not read:
        return None
    fill = "−∞" if any(node.options.get("fill") == -inf for node in read) else "0"
    return CARDS.say("outside.of_image", fill=fill)


def _distances(value: Expression, equation: Equation) -> Say | None:
    """What a score has for the distance of query and key: ALiBi's slopes, and which number of P it is."""
    if isinstance(value, Named) or not isinstance(value, Operation):
        return None
    options = value.options
    if value.rule.name == "sloped":
        nodes = (node for _, node in walk(equation.right) if isinstance(node, Operation))
        heads = max((node.options["heads"] for node in nodes if "heads" in node.options), default=1)
        shown = [short(slope, 6) for slope in slopes(heads)]
        values = ", ".join(shown if heads <= MOST_SLOPES else [*shown[: MOST_SLOPES - 1], "…", shown[-1]])
        return CARDS.say("distances.slopes", values=values)
    if value.rule.name == "by_distance" and options["grid"] is not None:
        height, width = options["grid"]
        return CARDS.say("distances.grid", height=height, width=width)
    if value.rule.name == "by_distance" and options["logarithmic"]:
        return CARDS.say("distances.buckets", far=options["logarithmic"])
    return joined(*(_distances(operand, equation) for operand in value.operands))


def _paddings(equation: Equation, shapes: Mapping[str, list[int]]) -> Say | None:
    """p and q of a formula that has them as letters: "same" under a stride leaves them to the size."""
    for name, like in (("window", 0), ("place", 1)):
        for node, grid in _grids(equation, name):
            image = node.operands[like]
            if isinstance(grid.padding, str) and max(grid.stride) > 1 and isinstance(image, Symbol):
                axes = len(grid.kernel)
                pads = grid.pads(tuple(shapes.get(image.name, [0] * axes)[:axes]))
                told = zip(letters_of("before", axes), pads, strict=False)
                values = ", ".join(f"{letter} = {before}" for letter, (before, _) in told)
                return CARDS.say("padding_before", values=values)
    return None
