"""What a report has in the form z = Θ a of Dezeming alone: where indices begin, a_0 = 1, Δ and D."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from chainrule.base.languages import AND, SPACE, same
from chainrule.explaining.blocks.kinds import Block, Formula, Paragraph
from chainrule.explaining.blocks.worked import First, from_zero, has_samples
from chainrule.explaining.facts.equations import SAMPLE_WEIGHT
from chainrule.explaining.schema import CardRecord, Document, LayerRecord, PartRecord
from chainrule.explaining.theta.formulas import DATA, THETA
from chainrule.explaining.words.catalogues import THETA_FORM
from chainrule.formulas import Equation, Operation, Symbol, walk
from chainrule.formulas.elements.entry_rules import ONES
from chainrule.formulas.printing.boxes import (
    Box,
    Fence,
    Numeral,
    Scripts,
    Sign,
    Under,
    Word,
    listed,
    phrase,
    row,
    tight,
)
from chainrule.formulas.printing.compose import Composer
from chainrule.formulas.printing.layouts import transposed


def first_indices(document: Document, card: CardRecord | None) -> First:
    """Where the indices of a card's symbols begin: what is a vector counts from 1, Θ has a column 0."""
    if "theta" not in document:
        return from_zero
    tensors = document["tensors"]
    names = {} if card is None or "repeats" in card else card["tensors"]
    shapes = (tensors["y"]["shape"][:-1],) if card is None else (card["input_shape"], card["shape"])
    vectors = all(len(shape) <= 1 for shape in shapes) or (card is not None and _is_recurrent(document, card))

    biased_from = 0 if _is_biased(document, card) else 1

    def first(symbol: Symbol | None, axes: int) -> Sequence[int]:
        if symbol is not None and symbol.name == ONES:
            return (0,) * axes
        tensor = tensors.get(names.get(symbol.name, "")) if symbol is not None else None
        if tensor is not None and len(tensor["shape"]) == axes:
            return tuple(tensor.get("origin", (0,) * axes))
        if not vectors or axes == 0 or (symbol is not None and symbol.kind == "scalar"):
            return (0,) * axes
        if symbol is None and axes == 1:  # an intermediate with a number per unit
            return (1,)
        if symbol is None or has_samples(symbol):
            return (0,) if axes == 1 else (*(0,) * (axes - 2), 1, 0)
        return (1, biased_from) if symbol.role.endswith("Θ") or " Θ of " in symbol.role else (1,) * axes

    return first


def _is_recurrent(document: Document, card: CardRecord) -> bool:
    layers = all_layers(document["graph"]["layers"])
    return any(layer["kind"] == "recurrent" and layer["name"] == card["layer"] for layer in layers)


def all_layers(layers: Sequence[LayerRecord]) -> Iterator[LayerRecord]:
    for layer in layers:
        yield layer
        for branch in layer.get("branches", ()):
            yield from all_layers(branch)


def _is_biased(document: Document, card: CardRecord | None) -> bool:
    return any(
        layer["bias"] for layer in document["theta"] if card is not None and layer["layer"] == card["layer"]
    )


# -- a_0, Δ and D --------------------------------------------------------------------------------------------


def theta_blocks(
    document: Document, part: PartRecord, equation: Equation, composer: Composer
) -> Iterator[Block]:
    """Under a formula with Θ: a_0 = 1, and what D is of the single samples' Δ."""
    if part["part"] == "theta":
        yield Formula(_one_sample(composer), "definition", "Dezeming 3.1.1")
        yield Formula(_mean(composer, bool(document["loss"].get("weights"))), "definition", "Dezeming 3.1.2")
    for _, node in walk(equation.right):
        if isinstance(node, Operation) and node.rule.name == "with_ones":
            (a,) = node.operands
            assert isinstance(a, Symbol)
            yield Formula(a_0(composer, a), "definition", "Dezeming 1.1.3")


def _delta(composer: Composer) -> Any:
    """Δ^(l)(x^(b))"""
    letter = composer.letter(composer.notation.letter(Symbol("Δ", "gradient of parameter Θ of a sample")))
    return tight(letter, Fence(Scripts(Word("x"), sup=phrase("(b)"))))


def _one_sample(composer: Composer) -> Any:
    """Δ^(l)(x^(b)) = ∂J_b/∂z^(l+1) (a^(l))^T"""
    notation = composer.notation
    z, a = (notation.letter(Symbol(name, role)) for name, role in (("z", "preactivation"), ("a", "input")))
    by = composer.letter(replace(notation.letter(Symbol("J", "gradient of a sample")), by=z))
    return row(_delta(composer), Sign("="), by, transposed(composer, composer.letter(a)))


def _mean(composer: Composer, weighted: bool) -> Any:
    """D^(l) = (1/m) Σ_b Δ^(l)(x^(b)), each sample with its weight where it has one."""
    notation = composer.notation
    D = composer.letter(notation.letter(DATA))
    m = composer.letter(notation.letter(Symbol("m", "batch size", "scalar")))
    w = composer.letter(notation.letter(SAMPLE_WEIGHT), Word("b"))
    body = row(Under(Sign("∑"), Word("b")), *([w] if weighted else []), _delta(composer))
    return row(D, Sign("="), composer.fraction(Numeral("1"), m), body)


def theta_entry(document: Document, composer: Composer, name: str, index: Sequence[int]) -> Box | None:
    """The letter of an entry of Θ; None where the array is no Θ."""
    if "theta" not in document or not name.endswith(".Θ"):
        return None
    origin = document["tensors"][name]["origin"]
    places = (Numeral(str(i + start)) for i, start in zip(index, origin, strict=True))
    return composer.letter(composer.notation.letter(THETA), listed(*places))


# -- notation and what has no Θ ------------------------------------------------------------------------------


def theta_letter(role: str, composer: Composer, others: bool) -> Box | None:
    """What stands for W, b and b-hat in a table of letters; None for another role.  others: whether layers
    without Θ have the letter too.
    """
    column = {"parameter W": "j≥1", "parameter b": "j=0"}
    if role not in column:
        return None
    theta = composer.letter(composer.notation.letter(THETA), phrase(column[role]))
    plain = composer.letter(composer.notation.letter(Symbol(role[-1], role)))
    return listed(theta, plain, spaced=True) if others else theta


def a_0(composer: Composer, a: Symbol | None = None) -> Box:
    """a_0 = 1"""
    letter = composer.notation.letter(Symbol("x", "input") if a is None else a)
    return row(composer.letter(letter, Numeral("0")), Sign("="), Numeral("1"))


def about_theta(document: Document) -> Iterator[Block]:
    """Which layers are written with Θ, and what is done with the others."""
    if "theta" not in document:
        return
    biases = {layer["layer"]: layer["bias"] for layer in document["theta"]}
    unbiased = [name for name, bias in biases.items() if not bias]
    others = [
        layer["name"]
        for layer in all_layers(document["graph"]["layers"])
        if layer.get("parameters") and layer["name"] not in biases
    ]
    yield Paragraph(SPACE.join([THETA_FORM["form"], THETA_FORM["indices"]]))
    if unbiased:
        yield Paragraph(THETA_FORM.say("unbiased_layers", layers=AND.join(map(same, unbiased))))
    if others:
        yield Paragraph(THETA_FORM.say("beyond", layers=AND.join(map(same, others))))
