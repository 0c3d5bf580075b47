"""What is being taken in: values and the nodes between them.

Elsewhere an image is (N, channels, rows, columns), here (N, rows, columns, channels). A value knows the shape
that it has there and whether its channels stand in front; that is known only once a layer reads it, hence
values that must agree share a `Layout`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.base.types import Array, Shape
from chainrule.layers import Layer


class Layout:
    """Whether channels stand in front of the positions: yes, no, or not known yet; the opposite of `of`."""

    def __init__(self, first: bool | None = None, of: Layout | None = None) -> None:
        self._first, self._of = first, of

    @property
    def first(self) -> bool | None:
        if self._of is None:
            return self._first
        return None if self._of.first is None else not self._of.first

    def settle(self, first: bool) -> None:
        """From now on it is known."""
        if self._of is not None:
            self._of.settle(not first)
        else:
            self._first = first


@dataclass(eq=False)
class Value:
    """One value of the network: `theirs`, the shape of a sample there, without the axis of samples.

    of: the value of which it is another view, its axes in another order.
    columns: where it is a flattened image, which of their entries is each of ours. ones: how many axes of
    length 1 follow the features, as behind a pooling over all positions. state: of a recurrence which one it
    is behind the last step, "h" or "c".
    """

    theirs: Shape
    layout: Layout = field(default_factory=Layout)
    node: Node | None = None
    columns: Array | None = None
    ones: int = 0
    of: Value | None = None
    state: str = ""

    def holds(self, constant: Array) -> bool:
        """Whether a constant beside a sample, as NumPy repeats it, leaves the sample its shape."""
        try:
            return np.broadcast_shapes(constant.shape, self.theirs) == self.theirs
        except ValueError:
            return False

    @property
    def root(self) -> Value:
        """The value itself, of which this may be a view."""
        return self if self.of is None else self.of.root

    @property
    def ours(self) -> Shape:
        """The shape of a sample here."""
        if self.ones:
            return self.theirs[: -self.ones]
        if len(self.theirs) > 1 and self.layout.first:
            return (*self.theirs[1:], self.theirs[0])
        return self.theirs

    def settled(self, first: bool, what: str) -> Value:
        """The value, read with its channels in front or behind; ArgumentError where it is known otherwise."""
        if len(self.theirs) > 1 and not self.ones:
            if self.layout.first is None:
                self.layout.settle(first)
            elif self.layout.first is not first:
                raise ArgumentError(
                    f"{what} reads {self.theirs} with its channels elsewhere than the layers before it"
                )
        return self

    def like(self, node: Node) -> Value:
        """What a function of single entries makes of it."""
        return Value(self.theirs, self.layout, node, self.columns, self.ones)


@dataclass(eq=False)
class Node:
    """A layer, or several in order, between values; without layers it joins several: "sum", "product" or
    "concat".
    """

    name: str
    inputs: tuple[Value, ...]
    layers: tuple[Layer, ...] = ()
    join: str = ""


@dataclass(frozen=True)
class Flags:
    """Where whole numbers are, or are not, one of them: ids == 0, which a padding mask is made of; with so
    many axes of one entry behind.
    """

    of: Value
    number: int
    equal: bool
    axes: int = 0

    def turned(self) -> Flags:
        return Flags(self.of, self.number, not self.equal, self.axes)


HIDDEN = -1e30  # a score below, or what a mask adds, is of a key that is not seen


@dataclass(eq=False)
class Places:
    """Where the maxima of a max pool are: told by what it read."""

    pooled: Value


def flattened(value: Value) -> Array | None:
    """Which of their entries is each of ours once an image with its channels in front is a vector."""
    if not value.layout.first:
        return None
    places = np.arange(int(np.prod(value.theirs))).reshape(value.theirs)
    return np.moveaxis(places, 0, -1).ravel()


def with_numbers(layer: Layer, numbers: dict[str, Any]) -> Layer:
    """The layer, whose parameters start with these: in their own memory, by which shared ones are known."""
    layer.given = {name: np.asarray(array) for name, array in numbers.items()}
    return layer


def pairs(values: Sequence[int]) -> Any:
    """A size for each axis as our layers take it, a single number where all are the same."""
    return tuple(int(value) for value in values) if len(set(values)) > 1 else int(values[0])
