r"""Part and Heads: several inputs of a graph, which lie side by side in a sample, and several outputs.

Part: z = x_{a:b}, in the input's own shape        ∂J/∂x = δ at these features, 0 at the others
Heads: a = (f_1(z_1) ; f_2(z_2) ; …)               ∂J/∂z = (δ_1 ; δ_2 ; …), δ_k is ∂J/∂a_k back through f_k
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from chainrule.base.errors import ShapeError
from chainrule.base.keywords import teach
from chainrule.formulas import arranged, beside, features_between, features_placed, flatten
from chainrule.layers.activations.smooth import Identity, Sigmoid
from chainrule.layers.activations.softmax import LogSoftmax, Softmax
from chainrule.layers.base import Layer, Shape, Value
from chainrule.layers.checks import whole

_INPUTS = "Graph({...}, inputs={'image': (28, 28, 1), 'age': 4})"
_OUTPUTS = "Graph({...}, outputs=['kind', 'price'])"


class Part(Layer):
    """One of several inputs: the numbers from `start` on, in its own shape. A `Graph` makes it."""

    kind = "part"
    family = "part"
    output: ClassVar[str] = "output"

    @teach(_INPUTS)
    def __init__(self, start: int, shape: Any, *, name: str | None = None) -> None:
        self.start = whole(start, "Part start", 0)
        self.shape = tuple(whole(size, "Part shape") for size in shape)
        self.name = name

    @property
    def stop(self) -> int:
        return self.start + math.prod(self.shape)

    def output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 1 or self.stop > input_shape[0]:
            raise ShapeError(
                f"{self!r} reads numbers {self.start} to {self.stop - 1} of a vector, received {input_shape}"
            )
        return self.shape

    def forward(self, x: Value) -> Value:
        return part_of(x, self.start, self.stop, self.shape)

    def delta(self, d: Value, x: Value) -> Value:
        part = d if len(self.shape) == 1 else flatten(d)
        return features_placed(part, x, start=self.start, stop=self.stop)


class Heads(Layer):
    """Several outputs, side by side, each behind its own activation. A `Graph` makes it.

    names: of the outputs. shapes: of each for one sample. activations: of each Softmax(), LogSoftmax(),
    Sigmoid(), or Identity() for any other, which is a layer in front then.
    """

    kind = "heads"
    passage = "activation"
    family = "heads"
    output: ClassVar[str] = "activation"
    roles: ClassVar = {"x": "preactivation"}

    @teach(_OUTPUTS)
    def __init__(self, names: Any, shapes: Any, activations: Any, *, name: str | None = None) -> None:
        self.names = tuple(names)
        self.shapes = tuple(tuple(whole(size, "Heads shapes") for size in shape) for shape in shapes)
        self.activations: tuple[Layer, ...] = tuple(activations)
        self.name = name
        if any(type(f) not in (*TAKEN, Identity) for f in self.activations):
            raise ShapeError(f"Heads activations are Softmax, LogSoftmax, Sigmoid or Identity: {activations}")
        if not len(self.names) == len(self.shapes) == len(self.activations):
            raise ShapeError(f"Heads takes a shape and an activation for every name, received {self.names}")

    def __repr__(self) -> str:
        ends = zip(self.names, self.shapes, self.activations, strict=True)
        return f"Heads({', '.join(f'{name} {shape} {f!r}' for name, shape, f in ends)})"

    @property
    def places(self) -> tuple[tuple[int, int], ...]:
        """Of every output the first of its numbers and the one behind its last."""
        stops = [0]
        for shape in self.shapes:
            stops.append(stops[-1] + math.prod(shape))
        return tuple(itertools.pairwise(stops))

    def output_shape(self, input_shape: Shape) -> Shape:
        if input_shape != (self.places[-1][1],):
            raise ShapeError(f"{self!r} takes {self.places[-1][1]} numbers, received {input_shape}")
        return input_shape

    def constant(self, input_shape: Shape) -> str | None:
        reasons = (f.constant(shape) for f, shape in zip(self.activations, self.shapes, strict=True))
        return next((reason for reason in reasons if reason is not None), None)

    def each(self, made: Callable[..., Value], *values: Value) -> Value:
        """What `made` makes of every output's activation and that output of these values, side by side."""
        rows = []
        for f, shape, (start, stop) in zip(self.activations, self.shapes, self.places, strict=True):
            part = made(f, *(part_of(value, start, stop, shape) for value in values))
            rows.append(flatten(part) if len(shape) > 1 else part)
        return functools.reduce(beside, rows)

    def forward(self, x: Value) -> Value:
        return self.each(lambda f, z: f.forward(z), x)

    def delta(self, d: Value, a: Value) -> Value:
        return self.each(activation_delta, d, a)


def part_of(x: Value, start: int, stop: int, shape: Shape) -> Value:
    """Some numbers of a vector, in a shape of their own."""
    part = features_between(x, start=start, stop=stop)
    return part if len(shape) == 1 else arranged(part, shape=shape)


def places_of(shapes: Sequence[Shape]) -> list[tuple[int, int, Shape]]:
    """Of values of these shapes side by side, each the first of its numbers, the one behind its last, and its
    shape.
    """
    stops = [0, *itertools.accumulate(map(math.prod, shapes))]
    return list(zip(stops, stops[1:], shapes, strict=False))


def activation_delta(f: Layer, d: Value, a: Value) -> Value:
    """∂J/∂z from d = ∂J/∂a of an output's activation and its output."""
    if isinstance(f, Sigmoid):
        return d * (a * (1 - a))
    return d if isinstance(f, Identity) else f.delta(d, a)


TAKEN: tuple[type[Layer], ...] = (Softmax, LogSoftmax, Sigmoid)  # activations of outputs
