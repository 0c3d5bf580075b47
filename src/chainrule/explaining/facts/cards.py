"""The cards of a derivation as JSON: a card per layer in the order of the forward pass, branches within
composites.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule import reference
from chainrule.base.types import Array
from chainrule.explaining.facts import choose
from chainrule.explaining.facts.parts import (
    LeafDerivation,
    Way,
    gradient_parts,
    handed_down,
    leaf_parts,
    part,
    traced,
)
from chainrule.explaining.facts.pictures import pictures_of
from chainrule.explaining.facts.shares import NO_PENALTY, NOTHING, Penalised, Shared
from chainrule.explaining.facts.traced import is_recurrent
from chainrule.explaining.schema import CardHead, CardRecord, PartRecord, Tensor
from chainrule.explaining.words import derivations as texts
from chainrule.explaining.words.catalogues import ELEMENTS
from chainrule.formulas import Symbol
from chainrule.formulas.elements.reader import Reader
from chainrule.layers import Composite
from chainrule.reference import Pass

Parts = dict[Way, list[PartRecord]]
# In a network of more layers than this, a layer like one before it is folded: its card has formulas, no
# elements.
FOLD_ABOVE = 40


@dataclass(frozen=True)
class Walk:
    """What all cards share: δ of a layer's output and of its input by its name (samples last), the layers'
    numbers, the sample in focus, the document's tensors and the arrays they are made of, which layers are
    repeats and which cannot be traced, elements asked for: layer name -> an entry of its output, and what the
    penalty acts on.
    """

    deltas: Mapping[str, Array]
    below: Mapping[str, Array]
    numbers: Mapping[str, int]
    sample: int
    tensors: Mapping[str, Tensor]
    arrays: Mapping[str, Array]
    repeats: Mapping[str, str] = field(default_factory=dict)
    untraced: frozenset[str] = frozenset()
    elements: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    penalised: Penalised = NO_PENALTY
    shared: Shared = NOTHING


def cards_of(passes: Sequence[Pass], walk: Walk) -> list[CardRecord]:
    """The cards of a network's passes."""
    return list(_chain(passes, walk, 0, True, ["input"]))


def repeats_of(passes: Sequence[Pass]) -> dict[str, str]:
    """In a network of many layers: the layers that repeat one before them, of equal options and shapes, and
    which.
    """
    every = list(reference.all_passes(passes))
    if len(every) <= FOLD_ABOVE:
        return {}
    first: dict[tuple[str, Any, Any], str] = {}
    repeats = {}
    for layer_pass in every:
        key = (repr(layer_pass.layer), layer_pass.x.shape, layer_pass.output.shape)
        if key in first:
            repeats[layer_pass.name] = first[key]
        first.setdefault(key, layer_pass.name)
    return repeats


def _chain(
    passes: Sequence[Pass], walk: Walk, depth: int, first: bool, given: Sequence[str], branch: int = 0
) -> Iterator[CardRecord]:
    """given: the tensors that come into the chain.  branch: of a composite, from 1; 0 for the main chain."""
    before: Pass | None = None
    below = given[0]
    for layer_pass in passes:
        first = first and before is None
        yield _card(layer_pass, before, walk, depth, first, given, below, branch)
        if isinstance(layer := layer_pass.layer, Composite):
            names = layer.named(given)
            for number, (inside, sources) in enumerate(zip(layer_pass.inside, layer.reads, strict=True), 1):
                inner = [names[source] for source in sources]
                shared = any(layer.uses(source) > 1 for source in sources)
                begins = first and sources == (0,)
                yield from _chain(inside, walk, depth + 1, begins, inner, number if shared else 0)
        before, below, given, branch = layer_pass, given[0], [layer_pass.name], 0


def _card(
    layer_pass: Pass,
    before: Pass | None,
    walk: Walk,
    depth: int,
    first: bool,
    given: Sequence[str],
    below: str,
    branch: int,
) -> CardRecord:
    layer, reads = layer_pass.layer, given[0]
    head: CardHead = {
        "layer": layer_pass.name,
        "number": walk.numbers[layer_pass.name],
        "class": type(layer).__name__,
        "title": layer.title() if isinstance(layer, Composite) else repr(layer),
        "input_shape": list(layer_pass.x.shape[:-1]),
        "shape": list(layer_pass.output.shape[:-1]),
        "reference": texts.reference(layer, "forward") or texts.reference(layer, "delta"),
        "depth": depth,
    }
    if layer_pass.name in walk.repeats:
        return {**head, "repeats": walk.repeats[layer_pass.name]}
    if isinstance(layer, Composite):
        parts = _composite(layer_pass, layer, walk, reads, branch)
    elif is_recurrent(layer):
        parts = _recurrent(layer_pass, walk)
    else:
        parts = _leaf(layer_pass, before, walk, first, below, branch)
    return {
        **head,
        "tensors": _tensors(layer_pass, given, below, walk.shared),
        "forward": parts.get("forward", []),
        "backward": parts.get("backward", []),
        "pictures": pictures_of(
            layer_pass, walk.sample, walk.tensors, walk.arrays, walk.shared.full, first=first
        ),
    }


def _tensors(layer_pass: Pass, given: Sequence[str], below: str, shared: Shared) -> dict[str, str]:
    """Symbol -> tensor of the document: what a symbol of the layer's formulas stands for."""
    layer, reads = layer_pass.name, given[0]
    own = layer_pass.layer.parameters(layer_pass.x.shape[:-1])
    operands = {name: shared.full(layer, name) for name in own}
    operands |= {name: f"given:{layer}.{name}" for name in layer_pass.given if name not in operands}
    ends = {"x": reads, "z": layer, "a": layer, "d": f"delta:{layer}", "dx": f"delta:{reads}"}
    if isinstance(layer_pass.layer, Composite):
        made = enumerate(layer_pass.layer.named(given))
        operands |= {f"F{number}": name for number, name in made if number}
    gradients = {f"d{name}": f"gradient:{shared.full(layer, name)}" for name in operands}
    shares = {f"data {name}": f"data {quantity}" for name, quantity in gradients.items()}
    return {**operands, **gradients, **shares, **ends} | {
        "z below": below, "a below": reads, "dz below": f"delta:{below}"
    }  # fmt: skip


def _leaf(layer_pass: Pass, before: Pass | None, walk: Walk, first: bool, below: str, branch: int) -> Parts:
    if layer_pass.name in walk.untraced:
        return {}
    if before is not None and before.name in walk.untraced:
        before = None
    asked = walk.elements.get(layer_pass.name)
    delta = walk.deltas.get(layer_pass.name)
    leaf = LeafDerivation(
        *(layer_pass, delta, before, walk.sample, first, below, asked, branch, walk.penalised), walk.shared
    )
    return leaf_parts(leaf)


def _composite(layer_pass: Pass, layer: Composite, walk: Walk, reads: str, branch: int) -> Parts:
    """Forward: the branches joined; backward: what every branch gets, and of every value that several read
    the sum of what they hand down.
    """
    formulas = traced(layer, {})
    bindings: dict[str, Any] = {"x": layer_pass.x, "z": layer_pass.output}
    bindings |= {f"F{end}": value for end, value in zip(layer.ends, layer_pass.ends, strict=True)}
    d = walk.deltas.get(layer_pass.name)
    forward = [
        part(
            "forward",
            layer,
            formulas.equations["forward"],
            Reader(bindings),
            layer_pass.name,
            [choose.largest(layer_pass.output, walk.sample)],
        )
    ]
    if d is None:
        return {"forward": forward, "backward": []}
    bindings["d"] = d
    backward = []
    for key, equation in formulas.equations.items():
        if key == "forward":
            continue
        value = int(key.removeprefix("delta of F")) if key != "delta" else 0
        reader = Reader(bindings | _handed(layer_pass, layer, value, d, walk))
        choices = [choose.largest(np.asarray(reader.value(equation.right)), walk.sample)]
        quantity = ""
        if key == "delta":
            equation, quantity = (
                (handed_down(equation, branch), "") if branch else (equation, f"delta:{reads}")
            )
        backward.append(part(key, layer, equation, reader, quantity, choices))
    return {"forward": forward, "backward": backward}


def _handed(
    layer_pass: Pass, layer: Composite, value: int, d: Array, walk: Walk
) -> dict[str, Array]:
    """What every branch of a composite hands down to a value that it reads."""
    ends = dict(zip(layer.ends, layer.delta(d, *layer_pass.ends), strict=True))
    handed: dict[str, Array] = {}
    for number, (inside, sources) in enumerate(zip(layer_pass.inside, layer.reads, strict=True), 1):
        if value not in sources:
            continue
        share = walk.below[inside[0].name] if inside else np.asarray(ends[number])
        if inside and len(sources) > 1:  # a join hands every source its own
            join = inside[0]
            shares = join.layer.delta(walk.deltas[join.name], *join.ends)
            share = sum(part for part, source in zip(shares, sources, strict=True) if source == value)
        handed[f"δ{number}"] = share
    return handed


def _recurrent(layer_pass: Pass, walk: Walk) -> Parts:
    """The equations of one step of the passage, with the numbers of the step at which most δ arrives."""
    formulas = traced(layer_pass.layer, {})
    layer: Any = layer_pass.layer
    d = walk.deltas.get(layer_pass.name)
    if d is None:
        d = np.zeros_like(layer_pass.output)
    given = {"v": None, **layer_pass.given}
    mask = given.pop("mask", None)
    steps = list(layer.backward_steps(d, layer_pass.x, given, mask))
    state = f"d{layer.states[0]}"
    t, bindings = max(steps, key=lambda step: float(np.abs(step[1][state][..., walk.sample]).max()))
    reader = Reader({name: value for name, value in bindings.items() if value is not None})
    share = ELEMENTS.say("share_of_step", t=t)
    here = ELEMENTS.say("at_step", t=t)
    forward: list[PartRecord] = []
    backward: list[PartRecord] = []
    for key, equation in formulas.equations.items():
        value = np.asarray(reader.value(equation.right))
        forwards = key == "forward" or key in layer.states
        learned = not forwards and not key.startswith("delta")
        index, _ = choose.largest(value, None if learned else walk.sample)
        if learned:
            # What is worked out is the derivative by the weights as step t uses them, a term of the sum.
            left = Symbol(f"d{key} at t", f"gradient of parameter {key} at t={t}")
            of_step = (left, (index, share))
            parts = gradient_parts(layer, key, equation, reader, walk.shared, walk.penalised, of_step)
        else:
            parts = [part(key, layer, equation, reader, "", [(index, here)])]
        (forward if forwards else backward).extend(made | {"step": t} for made in parts)
    return {"forward": forward, "backward": backward if walk.deltas.get(layer_pass.name) is not None else []}
