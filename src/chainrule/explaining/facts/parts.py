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
from chainrule.explaining.facts.shares import (
    NO_PENALTY,
    NOTHING,
    PENALTY,
    PENALTY_REFERENCE,
    USES,
    USES_REFERENCE,
    Penalised,
    Shared,
    data_gradient,
)
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

    layer_pass: Pass
    delta: Array | None
    before: Pass | None
    sample: int
    first: bool
    below: str = ""  # the tensor that `before` reads
    asked: tuple[int, ...] | None = None
    branch: int = 0
    penalised: Penalised = NO_PENALTY
    shared: Shared = NOTHING

    @property
    def bindings(self) -> dict[str, Any]:
        layer_pass = self.layer_pass
        bound = {"x": layer_pass.x, "z": layer_pass.output, "a": layer_pass.output, **layer_pass.given}
        return bound if self.delta is None else {**bound, "d": self.delta}


def leaf_parts(leaf: LeafDerivation) -> dict[Way, list[PartRecord]]:
    """{"forward": [part], "backward": [δ, gradients...]} of a layer that computes; {} where it cannot be
    traced.
    """
    layer, name = leaf.layer_pass.layer, leaf.layer_pass.name
    formulas = traced(layer, leaf.layer_pass.given)
    if formulas is None:
        return {}
    reader = Reader(leaf.bindings)
    forward = part("forward", layer, formulas.equations["forward"], reader, name, _forward_choices(leaf))
    if leaf.delta is None:
        return {"forward": [forward], "backward": []}
    parts = [_delta_part(leaf, formulas.equations["delta"], reader)]
    for key, equation in formulas.equations.items():
        if key in ("forward", "delta"):
            continue
        parts += gradient_parts(layer, key, equation, reader, leaf.shared, leaf.penalised)
    return {"forward": [forward], "backward": parts}


def gradient_parts(
    layer: Layer,
    key: str,
    equation: Equation,
    reader: Reader,
    shared: Shared,
    penalised: Penalised,
    share: tuple[Symbol, Chosen] | None = None,
) -> list[PartRecord]:
    """The formula of a gradient; of a parameter that several layers share that of what this one gives, and in
    the first of them their sum; of a penalised one that of the data's share, and then that of ∂J/∂W.

    share: of a sum over steps of which one is worked out, the letter of what that step gives and the entry.
    """
    layer_name, name = str(layer.name), shared.full(str(layer.name), key)
    if name not in shared.shares:
        return _whole_gradient(layer, key, key, equation, reader, name, penalised, share)
    left, choice = share or (None, choose.largest(np.asarray(reader.value(equation.right)), None))
    record = part(key, layer, shared.of_layer(equation, layer_name, key), reader, "", [choice])
    if left is not None:
        record["worked_left"] = [left.name, left.role, left.kind]
    first, *others = shared.shares[name]
    if layer_name != first:
        why = DERIVATIONS.say("shared_share", name=name, first=first)
        return [record | {"why": say_json(why), "reference": USES_REFERENCE}]
    total, numbers = shared.total(name, key)
    why = DERIVATIONS.say("shared_sum", name=name, layers=", ".join((first, *others)))
    whole = _whole_gradient(layer, key, f"{key}{USES}", total, numbers, name, penalised, None, why)
    whole[0] |= {"reference": USES_REFERENCE}
    return [record, *whole]


def _whole_gradient(
    layer: Layer,
    key: str,
    called: str,
    equation: Equation,
    reader: Reader,
    name: str,
    penalised: Penalised,
    share: tuple[Symbol, Chosen] | None,
    why: Say | None = None,
) -> list[PartRecord]:
    penalised_part = penalised.part(name, key)
    quantity, choice = f"gradient:{name}", choose.largest(np.asarray(reader.value(equation.right)), None)
    if penalised_part is not None:
        quantity, choice = f"data {quantity}", (penalised_part[2][0], ELEMENTS["largest_of_sum"])
        equation = data_gradient(equation)
    left, choice = (None, choice) if share is None else share
    record = part(called, layer, equation, reader, quantity if share is None else "", [choice], why)
    if left is not None:
        record["worked_left"] = [left.name, left.role, left.kind]
    if penalised_part is None:
        return [record]
    whole, values, largest = penalised_part
    added = part(
        f"{key}{PENALTY}", layer, whole, values, f"gradient:{name}", [largest], DERIVATIONS["penalty_added"]
    )
    return [record, added | {"reference": PENALTY_REFERENCE}]


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
    worked: dict[tuple[int, ...], WorkedElement] = {}
    for index, why in choices:
        place = tuple(index[len(index) - value.ndim :])
        if place in worked or terms_of(tree, reader) > MOST_TERMS or not np.isfinite(value[place]):
            continue
        element = reader.element(tree, place).shortened()
        worked[place] = {
            "index": list(place),
            "element": element_json(element),
            "value": float(value[place]),
            "why": say_json(why),
        }
    return list(worked.values())


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
    shapes: dict[str, list[int]] = {}
    for _, node in walk(tree):
        if isinstance(node, Symbol | Named) and not node.free_indices:
            shapes[node.name] = list(np.shape(reader.value(node)))
    return {**shapes, "=": list(np.shape(reader.value(tree)))}


def ranges_of(tree: Expression) -> dict[str, int]:
    """Index letter -> how many values it takes."""
    ranges: dict[str, int] = {}
    for _, node in walk(tree):
        if isinstance(node, Over):
            ranges |= dict(zip(node.indices, node.ranges, strict=True))
    return ranges


def _forward_choices(leaf: LeafDerivation) -> list[Chosen]:
    output, sample = leaf.layer_pass.output, leaf.sample
    if leaf.asked is not None:
        return [((*leaf.asked, sample), ELEMENTS["asked"])]
    choices = [choose.largest(output, sample)]
    if hasattr(leaf.layer_pass.layer, "filters") and hasattr(leaf.layer_pass.layer, "grid"):
        contrast = choose.border(leaf.layer_pass.layer, output, sample)
        choices += [contrast] if contrast else []
    return choices


def _delta_part(leaf: LeafDerivation, equation: Equation, reader: Reader) -> PartRecord:
    """∂J/∂x of the layer; behind an elementwise activation times its f', the δ of the layer below in one
    line.
    """
    layer, sample = leaf.layer_pass.layer, leaf.sample
    before, why = leaf.before, DERIVATIONS["input_gradient"] if leaf.first else None
    below = "input" if leaf.first else "" if before is None else before.name
    if leaf.branch:
        # Another reads the same: this is a share of ∂J/∂x, with the letter of the composite's card.
        equation = handed_down(equation, leaf.branch)
        share = DERIVATIONS.say("of_branch", number=leaf.branch)
        why = texts.why(layer, "delta") + SPACE + share
    joined = None if before is None or isinstance(layer, Activation) else _joined(leaf, equation)
    arriving = np.asarray(reader.value(equation.right))
    choices = [choose.largest(arriving, sample)]
    if joined is not None:
        equation, reader, factor = joined
        choices = [choose.largest(np.asarray(reader.value(equation.right)), sample)]
        contrast = choose.factor_contrast(factor, arriving, sample)
        choices += [contrast] if contrast else []
        below = leaf.below
        why = texts.why(layer, "delta") + SPACE + DERIVATIONS["hadamard"]
    elif hasattr(layer, "window") and hasattr(layer, "grid"):
        contrast = choose.window_contrast(layer, leaf.layer_pass.x, sample)
        choices += [contrast] if contrast else []
    quantity = "" if leaf.branch or not below else f"delta:{below}"
    record = part("delta", layer, equation, reader, quantity, choices, why)
    if joined is not None:
        record["general"] = _general(leaf, equation)
    return record


def handed_down(equation: Equation, branch: int) -> Equation:
    """∂J/∂x of the first layer of a branch as what that branch hands down: δ_1, δ_2, ..."""
    kind = equation.left.kind if isinstance(equation.left, Symbol) else "array"
    return replace(equation, left=Symbol(f"δ{branch}", f"δ_{branch}", kind))


def _general(leaf: LeafDerivation, joined: Equation) -> PackedSide:
    """③ as the tutorials write it, with the letter f' for whatever the activation below is."""
    plain = traced(leaf.layer_pass.layer, leaf.layer_pass.given).equations["delta"]
    left = joined.left
    slope = Symbol(
        "slope", "slope of preactivation below", left.kind if isinstance(left, Symbol) else "array"
    )
    nodes, (root,) = pack([plain.right * slope])
    return {"nodes": nodes, "right": root}


def _joined(leaf: LeafDerivation, equation: Equation) -> tuple[Equation, Reader, Array] | None:
    """The Tutorial's ③ whole: δ^{l-1} = (what the layer hands down) ⊙ f'(z^{l-1}), and the values of f'."""
    before = leaf.before
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
    bindings = {**leaf.bindings, **given, "z below": before.x, "a below": before.output}
    factor = np.asarray(before.layer.delta(np.ones_like(before.x), before.x, **_arguments(before)))
    return Equation(left, tree), Reader(bindings), factor


def _arguments(before: Pass) -> dict[str, Any]:
    """What the δ of an activation takes beside d and x."""
    from chainrule.formulas.calling import declared

    available = {**before.given, "z": before.output, "a": before.output}
    return {name: available[name] for name, _ in declared(before.layer.delta) if name in available}
