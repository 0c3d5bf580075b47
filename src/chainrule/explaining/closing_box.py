"""The closing box: the whole backward pass in a few formulas, seed 004's four for dense layers and the same
for whatever else the network has.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from chainrule.architecture import leaves
from chainrule.explaining.blocks import Say
from chainrule.explaining.equations import dense, output_delta, recursion, recursion_above
from chainrule.explaining.penalised import data_gradient, with_penalty
from chainrule.explaining.texts import kinds
from chainrule.formulas import Equation, Notation, notation_from, trace
from chainrule.layers import Layer
from chainrule.losses import Loss
from chainrule.network import Network
from chainrule.penalties import Penalty

# What is boxed beside dense layers: kind, title, the gradients' names.  The first layer of a kind stands for
# all.
_KINDS: tuple[tuple[str, Say, tuple[str, ...]], ...] = (
    ("ConvTranspose", Say("Transposed convolution", "转置卷积层"), ("W", "b")),
    ("Convolution", Say("Convolution ①②③", "卷积层 ①②③"), ("W", "b")),
    ("MaxPool2D", Say("Max pooling", "最大池化层"), ()),
    ("AveragePool2D", Say("Average pooling", "平均池化层"), ()),
    ("L2Pool2D", Say("L2 pooling", "L2 池化层"), ()),
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


def closing_boxes(
    network: Network, loss: Loss, notation: str | Notation = "seed000", penalty: Penalty | None = None
) -> list[ClosingBox]:
    """The boxes of a network: dense layers first (δ at the output, δ handed down, ∂W, ∂b), then the other
    kinds that have a formula for it, in a fixed order; ∂W with what the penalty adds.  Raises ValueError for
    an unknown notation.
    """
    upward = notation_from(notation).name in _UPWARD
    last = network.layers[-1]
    own = list(leaves(network.layers))
    boxes = []
    title = Say("The backward pass of the dense layers", "全连接层的反向传播")
    has_dense = [layer for layer in own if "Dense" in kinds(layer)]
    output = output_delta(last, loss)
    if has_dense:
        down = recursion_above() if upward else recursion()
        biased = any(getattr(layer, "bias", True) for layer in has_dense)
        weights = [*_gradient(dense("W"), "W", penalty), *([dense("b")] if biased else [])]
        boxes.append(ClosingBox(title, (output, down, *weights)))
    else:
        boxes.append(ClosingBox(Say("At the output", "输出层"), (output,)))
    return [*boxes, *_others(own, penalty)]


def _gradient(equation: Equation, name: str, penalty: Penalty | None) -> tuple[Equation, ...]:
    """A gradient; of weights under a penalty the data's share of it, and the whole."""
    if penalty is None or name == "b":
        return (equation,)
    return data_gradient(equation), with_penalty(penalty, name)


def _others(layers: list[Layer], penalty: Penalty | None) -> Iterator[ClosingBox]:
    seen: set[str] = set()
    for kind, title, gradients in _KINDS:
        first = next((layer for layer in layers if kind in kinds(layer) and layer.name not in seen), None)
        if first is None:
            continue
        if kind == "ConvTranspose":  # these are convolutions too
            seen |= {str(layer.name) for layer in layers if kind in kinds(layer)}
        equations = trace(first).equations
        found = [
            one
            for name in gradients
            if name in equations
            for one in _gradient(equations[name], name, penalty)
        ]
        yield ClosingBox(title, (recursion(first), *found))
