"""The closing box: the whole backward pass in a few formulas, those of Matrix notes for dense layers and the
same for whatever else the network has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from chainrule.base.languages import SEMICOLON, Catalogue, Say, same
from chainrule.explaining.facts.equations import dense, output_delta, recursion, recursion_above
from chainrule.explaining.facts.shares import data_gradient, with_penalty
from chainrule.formulas import Equation, Notation, notation_from, trace
from chainrule.formulas.primitives.grid import Grid, letters_of
from chainrule.layers import Layer
from chainrule.losses import Loss
from chainrule.losses.penalties import Penalty
from chainrule.networks.architecture import leaves
from chainrule.networks.network import Network

_TEXTS = Catalogue("chainrule.explaining.references", "boxes")
# What is boxed beside dense layers: family, its title's key, the gradients' names.  One layer stands for all
# of a family.
_KINDS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("transposed conv", "title.transposed_convolution", ("W", "b")),
    ("conv", "title.convolution", ("W", "b")),
    ("max pool", "title.max_pool", ()),
    ("average pool", "title.average_pool", ()),
    ("l2 pool", "title.l2_pool", ()),
)
# These write the recursion one layer up, the others one layer down.
_UPWARD = ("matrix", "nielsen")


@dataclass(frozen=True)
class ClosingBox:
    """Formulas that belong together, in the order of the backward pass.  Print them with sizes=False: they
    are general, and a stride reads s.
    """

    title: Say
    equations: tuple[Equation, ...]
    letters: Say | None = None  # what s, d, p and q are in the layers of the kind


def closing_boxes(
    network: Network,
    loss: Loss,
    notation: str | Notation = "tutorial",
    penalty: Penalty | None = None,
    weighted: bool = False,
) -> list[ClosingBox]:
    """The boxes of a network: dense layers first (δ at the output, δ handed down, ∂W, ∂b), then the other
    kinds that have a formula for it, in a fixed order; ∂W with what the penalty adds.
    weighted: whether samples have weights.  Raises ValueError for
    an unknown notation.
    """
    upward = notation_from(notation).name in _UPWARD
    last = network.layers[-1]
    layers = list(leaves(network.layers))
    boxes = []
    has_dense = [layer for layer in layers if "dense" in layer.families]
    output = output_delta(last, loss, weighted)
    if has_dense:
        down = recursion_above() if upward else recursion()
        biased = any(getattr(layer, "bias", True) for layer in has_dense)
        weights = [*_gradient(dense("W"), "W", penalty), *([dense("b")] if biased else [])]
        boxes.append(ClosingBox(_TEXTS["title.dense"], (output, down, *weights)))
    else:
        boxes.append(ClosingBox(_TEXTS["title.output"], (output,)))
    return [*boxes, *_others(layers, penalty)]


def _gradient(equation: Equation, name: str, penalty: Penalty | None) -> tuple[Equation, ...]:
    """A gradient; of weights under a penalty the data's share of it, and the whole."""
    if penalty is None or name == "b":
        return (equation,)
    return data_gradient(equation), with_penalty(penalty, name)


def _others(layers: list[Layer], penalty: Penalty | None) -> Iterator[ClosingBox]:
    seen: set[str] = set()
    for kind, title, gradients in _KINDS:
        of_kind = [layer for layer in layers if kind in layer.families and layer.name not in seen]
        if not of_kind:
            continue
        if kind == "transposed conv":  # these are convolutions too
            seen |= {str(layer.name) for layer in of_kind}
        first = max(of_kind, key=_generality)
        equations = trace(first).equations
        of_parameters = [
            equation
            for name in gradients
            if name in equations
            for equation in _gradient(equations[name], name, penalty)
        ]
        yield ClosingBox(_TEXTS[title], (recursion(first), *of_parameters), _letters_of(of_kind, first))


def _generality(layer: Any) -> tuple[bool, ...]:
    """A layer stands for the others of its kind where its formulas have the letters that theirs need."""
    grid = layer.grid
    unequal = any(len(set(sizes)) > 1 for sizes in (grid.stride, grid.dilation))
    return unequal, max(grid.dilation) > 1, grid.padded, getattr(layer, "groups", 1) > 1


def _letters_of(layers: Sequence[Any], first: Any) -> Say:
    """What the letters of the windows are in every layer of a kind: "s: the stride. conv1: s = 2."

    first: the layer whose formulas are printed.
    """
    dilated, padded = max(first.grid.dilation) > 1, first.grid.padded
    letters = [_TEXTS["letter.strides" if len(set(first.grid.stride)) > 1 else "letter.stride"]]
    if dilated:
        letters.append(_TEXTS["letter.dilation"])
    if padded:
        letters.append(_TEXTS.say("letter.padding", letters=", ".join(_before(first.grid))))
    values = [same(f"{layer.name}: {', '.join(_values(layer.grid, dilated, padded))}") for layer in layers]
    return _TEXTS.say("letters", letters=SEMICOLON.join(letters), values=SEMICOLON.join(values))


def _before(grid: Grid) -> str:
    """The letters of the padding before every axis."""
    return letters_of("before", len(grid.kernel))


def _values(grid: Grid, dilated: bool, padded: bool) -> Iterator[str]:
    for letter, sizes in (("s", grid.stride), *((("d", grid.dilation),) if dilated else ())):
        listed = ", ".join(map(str, sizes))
        yield f"{letter} = {sizes[0]}" if len(set(sizes)) == 1 else f"{letter} = ({listed})"
    if padded and isinstance(grid.padding, str):
        yield f"padding “{grid.padding}”"
    elif padded:
        told = zip(_before(grid), grid.padding, strict=False)
        yield from (f"{letter} = {before}" for letter, (before, _) in told)
