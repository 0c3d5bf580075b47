"""The parts of a layer's derivation as JSON: every formula with what it says of this network and its numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from chainrule.base.languages import SPACE, Say, say_json
from chainrule.base.types import Array
from chainrule.explaining.blocks.worked import element_json
from chainrule.explaining.facts import choose
from chainrule.explaining.facts.choose import Chosen
from chainrule.explaining.facts.penalised import NO_PENALTY, PART, REFERENCE, Penalised, data_gradient
from chainrule.explaining.schema import PackedSide, PartRecord, WorkedElement
from chainrule.explaining.words import derivations as texts
from chainrule.explaining.words.catalogues import DERIVATIONS, ELEMENTS
from chainrule.formulas import Equation, Expression, Named, Over, Symbol, substitute, trace, walk
from chainrule.formulas.elements.reader import Reader
from chainrule.formulas.exchange import pack
from chainrule.formulas.rules import Trait
from chainrule.layers import Activation, Layer
from chainrule.reference import Pass

Way = Literal["forward", "backward"]
# An element that is made of more terms is not worked out: reading 20 000 of them takes about 0.2 s.
MOST_TERMS = 20_000


@dataclass(frozen=True)
class LeafDerivation:
    """What the parts of one layer are made of: its pass, what arrives at its output, the pass before it in
    its chain (None at the start), the sample in focus, and whether it is the first layer of the network.
    asked: an entry of the output that is worked out instead of the largest.  branch: the number, from 1, of
    the branch of a composite that the layer begins, else 0.  penalised: what the penalty acts on.
    """

    one: Pass
    delta: Array | None
    before: Pass | None
    sample: int
    first: bool
    below: str = ""  # the tensor that `before` reads
    asked: tuple[int, ...] | None = None
    branch: int = 0
    penalised: Penalised = NO_PENALTY

    @property
    def bindings(self) -> dict[str, Any]:
        one = self.one
        found = {"x": one.x, "z": one.output, "a": one.output, **one.given}
        return found if self.delta is None else {**found, "d": self.delta}


def leaf_parts(own: LeafDerivation) -> dict[Way, list[PartRecord]]:
    """{"forward": [part], "backward": [δ, gradients...]} of a layer that computes; {} where it cannot be
    traced.
    """
    layer, name = own.one.layer, own.one.name
    formulas = traced(layer, own.one.given)
    if formulas is None:
        return {}
    reader = Reader(own.bindings)
    forward = part("forward", layer, formulas.equations["forward"], reader, name, _forward_choices(own))
    if own.delta is None:
        return {"forward": [forward], "backward": []}
    parts = [_delta_part(own, formulas.equations["delta"], reader)]
    for key, equation in formulas.equations.items():
        if key in ("forward", "delta"):
            continue
        parts += gradient_parts(layer, key, equation, reader, f"{name}.{key}", own.penalised)
    return {"forward": [forward], "backward": parts}


def gradient_parts(
    layer: Layer,
    key: str,
    equation: Equation,
    reader: Reader,
    name: str,
    penalised: Penalised,
    share: tuple[Symbol, Chosen] | None = None,
) -> list[PartRecord]:
    """The formula of a gradient; of a penalised parameter that of the data's share, and then that of ∂J/∂W.

    share: of a sum over steps of which one is worked out, the letter of what that step gives and the entry.
    """
    found = penalised.part(name, key)
    quantity, choice = f"gradient:{name}", choose.largest(np.asarray(reader.value(equation.right)), None)
    if found is not None:
        quantity, choice = f"data {quantity}", (found[2][0], ELEMENTS["largest_of_sum"])
        equation = data_gradient(equation)
    left, choice = (None, choice) if share is None else share
    own = part(key, layer, equation, reader, quantity if share is None else "", [choice])
    if left is not None:
        own["worked_left"] = [left.name, left.role, left.kind]
    if found is None:
        return [own]
    whole, values, largest = found
    why = DERIVATIONS["penalty_added"]
    added = part(f"{key}{PART}", layer, whole, values, f"gradient:{name}", [largest], why)
    return [own, added | {"reference": REFERENCE}]


def traced(layer: Layer, given: Mapping[str, Any]) -> Any:
    """The formulas of a layer with what its pass was given; None where its own code takes no symbols."""
    try:
        return trace(layer, given)
    except (TypeError, ValueError, AttributeError, IndexError, KeyError):
        return None


def part(
    name: str,
    layer: Layer | None,
    equation: Equation,
    reader: Reader,
    quantity: str,
    choices: Iterable[Chosen],
    why: Say | None = None,
) -> PartRecord:
    """One formula as JSON; layer None: of a loss, whose sentence `why` is."""
    nodes, (left, right) = pack([equation.left, equation.right])
    said = why or texts.why(layer, name)
    return {
        "part": name,
        "reference": texts.reference(layer, name),
        "why": say_json(said),
        "nodes": nodes,
        "left": left,
        "right": right,
        "shapes": shapes_of(equation.right, reader),
        "ranges": ranges_of(equation.right),
        "quantity": quantity,
        "worked": _worked(equation.right, reader, choices),
    }


def _worked(tree: Expression, reader: Reader, choices: Iterable[Chosen]) -> list[WorkedElement]:
    value = np.asarray(reader.value(tree))
    found: dict[tuple[int, ...], WorkedElement] = {}
    for index, why in choices:
        place = tuple(index[len(index) - value.ndim :])
        if place in found or terms_of(tree, reader) > MOST_TERMS or not np.isfinite(value[place]):
            continue
        element = reader.element(tree, place).shortened()
        found[place] = {
            "index": list(place),
            "element": element_json(element),
            "value": float(value[place]),
            "why": say_json(why),
        }
    return list(found.values())


def terms_of(tree: Expression, reader: Reader) -> int:
    """At least how many terms an element of the tree is a sum of."""
    most = 1
    for _, node in walk(tree):
        if Trait.ADDS_MANY in node.traits:
            x = np.asarray(reader.value(node.children[0])) if not node.free_indices else None
            most = max(most, 1 if x is None else x.size // x.shape[-2 if x.ndim > 1 else 0])
    return most


def shapes_of(tree: Expression, reader: Reader) -> dict[str, list[int]]:
    """Name -> shape of the symbols and named intermediates, "=" that of the result."""
    found: dict[str, list[int]] = {}
    for _, node in walk(tree):
        if isinstance(node, Symbol | Named) and not node.free_indices:
            found[node.name] = list(np.shape(reader.value(node)))
    return {**found, "=": list(np.shape(reader.value(tree)))}


def ranges_of(tree: Expression) -> dict[str, int]:
    """Index letter -> how many values it takes."""
    found: dict[str, int] = {}
    for _, node in walk(tree):
        if isinstance(node, Over):
            found |= dict(zip(node.indices, node.ranges, strict=True))
    return found


def _forward_choices(own: LeafDerivation) -> list[Chosen]:
    output, sample = own.one.output, own.sample
    if own.asked is not None:
        return [((*own.asked, sample), ELEMENTS["asked"])]
    choices = [choose.largest(output, sample)]
    if hasattr(own.one.layer, "filters") and hasattr(own.one.layer, "grid"):
        contrast = choose.border(own.one.layer, output, sample)
        choices += [contrast] if contrast else []
    return choices


def _delta_part(own: LeafDerivation, equation: Equation, reader: Reader) -> PartRecord:
    """∂J/∂x of the layer; behind an elementwise activation times its f', the δ of the layer below in one
    line.
    """
    layer, sample = own.one.layer, own.sample
    before, why = own.before, DERIVATIONS["input_gradient"] if own.first else None
    below = "input" if own.first else "" if before is None else before.name
    if (
        own.branch
    ):  # another reads the same: this is a share of ∂J/∂x, with the letter of the composite's card
        equation = handed_down(equation, own.branch)
        share = DERIVATIONS.say("of_branch", number=own.branch)
        why = texts.why(layer, "delta") + SPACE + share
    joined = None if before is None or isinstance(layer, Activation) else _joined(own, equation)
    arriving = np.asarray(reader.value(equation.right))
    choices = [choose.largest(arriving, sample)]
    if joined is not None:
        equation, reader, factor = joined
        choices = [choose.largest(np.asarray(reader.value(equation.right)), sample)]
        contrast = choose.factor_contrast(factor, arriving, sample)
        choices += [contrast] if contrast else []
        below = own.below
        why = texts.why(layer, "delta") + SPACE + DERIVATIONS["hadamard"]
    elif hasattr(layer, "window") and hasattr(layer, "grid"):
        contrast = choose.window_contrast(layer, own.one.x, sample)
        choices += [contrast] if contrast else []
    quantity = "" if own.branch or not below else f"delta:{below}"
    found = part("delta", layer, equation, reader, quantity, choices, why)
    if joined is not None:
        found["general"] = _general(own, equation)
    return found


def handed_down(equation: Equation, branch: int) -> Equation:
    """∂J/∂x of the first layer of a branch as what that branch hands down: δ_1, δ_2, ..."""
    kind = equation.left.kind if isinstance(equation.left, Symbol) else "array"
    return replace(equation, left=Symbol(f"δ{branch}", f"δ_{branch}", kind))


def _general(own: LeafDerivation, joined: Equation) -> PackedSide:
    """③ as the tutorials write it, with the letter f' for whatever the activation below is."""
    plain = traced(own.one.layer, own.one.given).equations["delta"]
    left = joined.left
    slope = Symbol(
        "slope", "slope of preactivation below", left.kind if isinstance(left, Symbol) else "array"
    )
    nodes, (root,) = pack([plain.right * slope])
    return {"nodes": nodes, "right": root}


def _joined(own: LeafDerivation, equation: Equation) -> tuple[Equation, Reader, Array] | None:
    """The Tutorial's ③ whole: δ^{l-1} = (what the layer hands down) ⊙ f'(z^{l-1}), and the values of f'."""
    before = own.before
    if before is None or not isinstance(before.layer, Activation):
        return None
    factors = traced(before.layer, before.given)
    if factors is None:
        return None
    x = next(iter(s for s in (equation.left,) if isinstance(s, Symbol)))
    z = Symbol("z below", "preactivation below", x.kind)
    a = Symbol("a below", "activation below", x.kind)
    learned = {
        symbol: replace(symbol, name=f"{symbol.name} below", role=f"{symbol.role} below")
        for name, symbol in factors.symbols.items()
        if name not in ("x", "z", "a", "d")
    }
    tree = substitute(
        factors.delta,
        {
            factors.symbols["d"]: equation.right,
            factors.symbols["x"]: z,
            factors.symbols["z"]: a,
            **learned,
        },
    )
    if "a" in factors.symbols:
        tree = substitute(tree, {factors.symbols["a"]: a})
    left = Symbol("dz below", "gradient of preactivation below", x.kind)
    given = {f"{name} below": value for name, value in before.given.items()}
    bindings = {**own.bindings, **given, "z below": before.x, "a below": before.output}
    factor = np.asarray(before.layer.delta(np.ones_like(before.x), before.x, **_arguments(before)))
    return Equation(left, tree), Reader(bindings), factor


def _arguments(before: Pass) -> dict[str, Any]:
    """What the δ of an activation takes beside d and x."""
    from chainrule.formulas.calling import declared

    available = {**before.given, "z": before.output, "a": before.output}
    return {name: available[name] for name, _ in declared(before.layer.delta) if name in available}
