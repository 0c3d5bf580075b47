"""Layers that share weights: a module called twice, nodes with the same tensors, a matrix in two layers."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.base.types import Array
from chainrule.layers import Dense, Embedding, Layer
from chainrule.networks.architecture import leaves


class Calls:
    """What was made of each call of a module, or of each node: of a key that comes again, the same layers."""

    def __init__(self) -> None:
        self.made: list[tuple[Hashable, list[Layer]]] = []

    def begin(self, key: Hashable) -> None:
        """What is made from now on belongs to a call; key None: whose weights nobody shares."""
        self.made.append((key, []))

    def add(self, layers: Iterable[Layer]) -> None:
        if self.made:
            self.made[-1][1].extend(layers)

    def turned(self, W: Array) -> Dense | None:
        """The dense layer made before whose matrix is Wᵀ, where both are one array."""
        made = (layer for _, layers in self.made for layer in leaves(layers))
        return next((one for one in made if isinstance(one, Dense) and _is(W.T, one.given["W"])), None)

    def unite(self) -> None:
        """Make one layer of those that are one there; ArgumentError where weights lie otherwise here."""
        first: dict[Hashable, list[Layer]] = {}
        held: list[Layer] = []  # with a matrix that a Dense may take
        for key, layers in self.made:
            own = [layer for layer in leaves(layers) if layer.given]
            if key is not None and (known := first.setdefault(key, own)) is not own:
                _one(known, own)
            for layer in own:
                same = next((other for other in held if layer.identity is other.identity), None)
                if same is None and isinstance(layer, Dense):
                    _tie(layer, held)
                if same is None and isinstance(layer, Dense | Embedding):
                    held.append(layer)
        for _, layers in self.made:
            for layer in leaves(layers):
                layer.given = {name: np.array(array) for name, array in layer.given.items()}


def _one(known: Sequence[Layer], layers: Sequence[Layer]) -> None:
    if [type(layer) for layer in layers] != [type(layer) for layer in known]:
        raise _unlike(layers or known)
    for layer, before in zip(layers, known, strict=True):
        if layer.given.keys() != before.given.keys():
            if isinstance(layer, Dense):
                continue  # each with a bias of its own: the matrix alone is one
            raise _unlike([layer])
        if not all(np.array_equal(layer.given[key], before.given[key]) for key in layer.given):
            if isinstance(layer, Dense) and np.array_equal(layer.given["W"], before.given["W"]):
                continue
            raise _unlike([layer])
        layer.identity = before.identity


def _tie(layer: Dense, held: Sequence[Layer]) -> None:
    """Its W is that of a layer before it, where both have one matrix; all of it where b is one, too."""
    W = layer.given["W"]
    other = next((other for other in held if _is(W, _matrix(other))), None)
    same = isinstance(other, Dense) and layer.given.keys() == other.given.keys()
    if other and same and all(_is(array, other.given[key]) for key, array in layer.given.items()):
        layer.identity, other = other.identity, None
    layer.tied = other


def _unlike(layers: Sequence[Layer]) -> ArgumentError:
    return ArgumentError(
        f"{layers[0].name} has the weights of a layer before it, which are read in another order here: "
        "behind a Flatten of images, or along another axis"
    )


def _matrix(layer: Layer) -> Any:
    return layer.given["E" if isinstance(layer, Embedding) else "W"]


def _is(one: Array, other: Array) -> bool:
    """Whether two arrays are one: the same numbers in the same memory."""
    a, b = one.__array_interface__, other.__array_interface__
    return one.size > 0 and (a["data"], one.shape, one.strides) == (b["data"], other.shape, other.strides)
