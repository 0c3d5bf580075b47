"""Values whose axes are put in another order, cut anew, or mixed along one of them.

Where two layers want the channels at different places, or an operation goes over an axis that no layer of
ours goes over, a Permute, Reshape or Resample stands between.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

import numpy as np

from chainrule.base.types import Array, Shape
from chainrule.formulas.primitives.axes import Taps
from chainrule.layers import Bias, Layer, Permute, Resample, Reshape, Scale
from chainrule.networks.architecture import INPUT
from chainrule.networks.taking.sharing import Calls
from chainrule.networks.taking.values import Layout, Node, Value, with_numbers


class Names:
    """Names of ours, of letters, digits and _, of which none is given twice."""

    def __init__(self, *taken: str) -> None:
        self._given = set(taken)

    def __call__(self, wanted: str) -> str:
        plain = re.sub(r"\W+", "_", wanted).strip("_") or "layer"
        plain = f"layer_{plain}" if plain[0].isdigit() else plain
        name, number = plain, 1
        while name in self._given:
            number += 1
            name = f"{plain}_{number}"
        self._given.add(name)
        return name


class Axes:
    """Nodes, and values that are read with their channels in front or behind."""

    def __init__(self, shapes: Mapping[str, Shape]) -> None:
        """shapes: of one sample of every input, by its name there."""
        self.name = Names(INPUT)  # by which a graph calls what comes in
        self.inputs = {self.name(name): Value(shape) for name, shape in shapes.items()}
        self.calls = Calls()
        self.supposed: list[Layout] = []
        self.apart = True  # whether the samples are an axis of theirs, in front of all that are told

    @property
    def input(self) -> Value:
        """The first of them."""
        return next(iter(self.inputs.values()))

    def node(self, name: str, x: Value, *layers: Layer, beside: Sequence[Value] = ()) -> Node:
        """Layers in order behind a value; beside: what the first reads, too."""
        for layer in layers:
            layer.name = self.name(name)
        self.calls.add(layers)
        return Node(name, (x, *beside), layers)

    def suppose(self, x: Value, first: bool) -> None:
        """Where nothing has told yet where the channels of a value are, they are there."""
        if x.layout.first is None:
            x.layout.settle(first)
            self.supposed.append(x.layout)

    def supposed_first(self) -> list[str]:
        """The inputs whose channels are taken to stand in front, and nothing in the model tells."""
        held = [(name, value.layout) for name, value in self.inputs.items() if len(value.theirs) > 1]
        return [name for name, own in held if own.first and any(own is guess for guess in self.supposed)]

    # -- where the channels are ------------------------------------------------------------------------------
    def read(self, name: str, x: Value, first: bool) -> Value:
        """The value with its channels in front or behind as a layer reads it, by a Permute if need be."""
        if len(x.theirs) < 2 or x.ones:
            return x
        if x.layout.first is None:
            x.layout.settle(first)
        if x.layout.first is first:
            return x
        last = len(x.theirs) - 1
        order = (*range(1, last + 1), 0) if first else (last, *range(last))
        if x.node and len(x.node.layers) == 1 and isinstance(x.node.layers[0], Permute):
            before, turned = x.node.inputs[0], x.node.layers[0].order
            if before.layout.first is first and [turned[axis] for axis in order] == [*range(last + 1)]:
                return before if before.theirs == x.theirs else Value(x.theirs, Layout(first), before.node)
        return Value(x.theirs, Layout(first), self.node(f"{name}_channels", x, Permute(order)))

    def image(self, name: str, x: Value) -> Value:
        """The value with the axes of length 1 that it has there, behind a pooling over all positions."""
        if not x.ones:
            return x
        layer = Reshape((*x.theirs[1:], x.theirs[0]))
        return Value(x.theirs, Layout(True), self.node(f"{name}_image", x, layer))

    def plain(self, name: str, x: Value) -> Value:
        """The value with its entries in the order in which they stand there, whatever it went through."""
        if x.ones:
            return Value(x.theirs, Layout(False), self.node(f"{name}_axes", x, Reshape(x.theirs)))
        if x.columns is not None:
            places = np.argsort(x.columns)
            taps = [((int(place), 1.0),) for place in places]
            return Value(x.theirs, Layout(False), self.node(f"{name}_order", x, Resample(0, taps, len(taps))))
        return self.read(name, x, False)

    def as_before(self, name: str, made: Value, x: Value) -> Value:
        """What was made of a value, with its channels where that has them."""
        if x.layout.first and len(made.theirs) == len(x.theirs) > 1:
            return self.read(name, made, True)
        return made

    # -- axes that move --------------------------------------------------------------------------------------
    def permuted(self, name: str, x: Value, order: Sequence[int]) -> Value:
        """The axes of a sample, as they stand there, in another order."""
        if tuple(order) == tuple(range(len(x.theirs))):
            return x
        x = self.plain(name, x)
        theirs = tuple(x.theirs[axis] for axis in order)
        return Value(theirs, Layout(False), self.node(name, x, Permute(order)))

    def reshaped(self, name: str, x: Value, shape: Shape) -> Value:
        """The entries of a sample, as they stand there, in another shape."""
        if tuple(shape) == x.theirs:
            return x
        x = self.plain(name, x)
        cut = x.node and len(x.node.layers) == 1 and isinstance(x.node.layers[0], Reshape)
        if x.node and cut and not x.node.inputs[0].ones:  # whose axes are a Reshape
            return self.reshaped(name, x.node.inputs[0], shape)  # what it was cut from
        made = shape or (1,)
        layers = () if x.ours == made else (Reshape(made),)
        return Value(tuple(shape), Layout(False), self.node(name, x, *layers))

    def along(self, name: str, x: Value, axis: int, taps: Taps) -> Value:
        """Every place along an axis as a sum of others; the axis as it stands there, from 0."""
        size = x.theirs[axis]
        if [*taps] == [((place, 1.0),) for place in range(size)]:
            return x
        if x.ones or x.columns is not None:
            x = self.plain(name, x)
        self.suppose(x, len(x.theirs) > 2)
        ours = axis
        if x.layout.first and len(x.theirs) > 1:
            ours = len(x.theirs) - 1 if axis == 0 else axis - 1
        theirs = (*x.theirs[:axis], len(taps), *x.theirs[axis + 1 :])
        layer = Resample(ours, taps, size)
        return Value(theirs, Layout(x.layout.first), self.node(name, x, layer))

    # -- constants -------------------------------------------------------------------------------------------
    def plus(self, name: str, x: Value, constant: Array) -> Value:
        """A constant added, of a sample's shape or what NumPy makes one of: a bias that is learned on."""
        return self._with_constant(name, x, constant, "b")

    def times(self, name: str, x: Value, constant: Array) -> Value:
        """A constant that is a factor."""
        return self._with_constant(name, x, constant, "s")

    def _with_constant(self, name: str, x: Value, constant: Array, key: str) -> Value:
        shape = (1,) * (len(x.theirs) - constant.ndim) + constant.shape
        wide = [axis for axis, size in enumerate(shape) if size > 1]
        if len(x.theirs) > 1 and not x.ones and (not wide or wide == [0]):
            x = self.read(name, x, x.layout.first is not False if not wide else True)
        elif wide and wide != [len(shape) - 1]:
            flat = self.reshaped(f"{name}_entries", x, (math.prod(x.theirs),))
            made = self._with_constant(name, flat, np.broadcast_to(constant, x.theirs).ravel(), key)
            return self.as_before(f"{name}_like", self.reshaped(f"{name}_shape", made, x.theirs), x)
        elif x.columns is None:
            x = self.plain(name, x)
        numbers = np.broadcast_to(constant.ravel(), x.ours[-1:]).copy()
        if x.columns is not None:
            numbers = numbers[x.columns]
        layer = with_numbers(Bias() if key == "b" else Scale(), {key: numbers})
        return x.like(self.node(name, x, layer))
