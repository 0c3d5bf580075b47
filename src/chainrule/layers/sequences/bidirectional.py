r"""Bidirectional: a recurrence and its like that goes from the last step to the first, on the same sequence.

z = (F→(x) ; F←(x))     or     z = F→(x) + F←(x)
"""

from __future__ import annotations

import copy
from typing import Any, Self

from chainrule.base.errors import ArgumentError, describe
from chainrule.base.keywords import teach
from chainrule.base.scalars import check_choice
from chainrule.layers.base import Layer
from chainrule.layers.structure import JOINS, Chain, Composite


class Bidirectional(Composite):
    """(T, F) -> the features of both ways in a row, (2 · units,), of outputs="all" (T, 2 · units).

    layer: an RNN, LSTM or GRU. backward: what goes the other way, by default a copy of the layer with
    weights of its own. join: "concat", or "sum" for F→ + F←, of as many features as one way. "last" is of
    either way the state after all steps, which for the way back is that of step 1.
    Source: Schuster and Paliwal, Bidirectional recurrent neural networks, 1997.
    """

    kind = "bidirectional"
    family = "bidirectional"

    @teach("Bidirectional(LSTM(10))")
    def __init__(
        self, layer: Layer, *, backward: Layer | None = None, join: str = "concat", name: str | None = None
    ) -> None:
        self.layer = _single(layer, "layer")
        self.backward = _back(self.layer) if backward is None else _single(backward, "backward")
        if self.backward.reverse == self.layer.reverse or self.backward.outputs != self.layer.outputs:
            raise ArgumentError(
                f"Bidirectional backward={backward!r} must go the other way and put out as many steps: write "
                f"{_back(self.layer)!r} with its units, or leave it out"
            )
        self.join = check_choice("join", join, JOINS, meaning="'concat' or 'sum'")
        self.name = name

    @property
    def chains(self) -> tuple[Chain, ...]:
        return (self.layer,), (self.backward,)

    def with_chains(self, chains: tuple[Chain, ...]) -> Self:
        made = copy.copy(self)
        (made.layer,), (made.backward,) = chains
        return made

    def title(self) -> str:
        return f"Bidirectional, both ways, {self.join}"


def _single(layer: Any, argument: str) -> Any:
    """A recurrence that is one layer."""
    if isinstance(layer, Layer) and "recurrent" in layer.families:
        if layer.unfolded() == (layer,):
            return layer
        raise ArgumentError(
            f"Bidirectional {argument} must be one layer that goes one way, received {layer!r}: write "
            f"{type(layer).__name__}(units, layers=..., bidirectional=True) without Bidirectional, which "
            "makes every layer go both ways"
        )
    raise ArgumentError(
        f"Bidirectional {argument} must be a layer such as LSTM(10), GRU(10) or RNN(10), "
        f"received {describe(layer)}"
    )


def _back(layer: Any) -> Any:
    """Its like the other way."""
    back = layer.another()
    back.reverse, back.name = not layer.reverse, None if layer.name is None else f"{layer.name}_back"
    return back
