"""Which layer is layer l: the tutorials' layers are a product with weights and the activation behind it.

Here an activation is a layer of its own, so the two share a number.  The input is 0; a notation prints the
number in its own count (`Notation.at`).
"""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.layers import Composite, Layer
from chainrule.networks.network import Network


def layer_numbers(network: Network) -> dict[str, int]:
    """Layer name -> its number l, 1, 2, ...; a branch of a composite counts on from what it reads.

    An activation directly behind what makes its z has the number of that; every other layer counts one.  A
    composite is one layer for those behind it, a wiring as many as lie on the longest way through it.
    """
    numbers: dict[str, int] = {}
    _count(network.layers, 0, numbers)
    return numbers


def shares_number(layer: Layer, before: Layer | None) -> bool:
    """Whether a layer is the activation of the one before it."""
    return before is not None and layer.output == "activation" and before.output == "preactivation"


def _count(layers: Sequence[Layer], start: int, numbers: dict[str, int]) -> None:
    number, before = start, None
    for layer in layers:
        if isinstance(layer, Composite):
            ends = [number]  # of what comes in, and of every branch
            for chain, sources in zip(layer.chains, layer.reads, strict=True):
                highest = max(ends[source] for source in sources)
                _count(chain, highest, numbers)
                ends.append(numbers[str(chain[-1].name)] if chain else highest)
        number += 0 if shares_number(layer, before) else 1
        numbers[str(layer.name)] = number
        before = layer
