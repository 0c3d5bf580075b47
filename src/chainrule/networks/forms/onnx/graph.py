"""The graph that is being written: nodes, constants, and values in the layouts that operators want.

A value of ours has the samples first and the channels last, (N, rows, columns, channels); convolutions and
pools of ONNX want (N, channels, rows, columns). A value is kept in the layout it was made in, and the other
one is made by a Transpose where somebody asks for it, once.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.base.types import Array, Shape

# Operators are written in the form of this version: ReduceSum, Squeeze and Softmax have had their present
# form since, and every runtime since 2020 reads it.
OLDEST, NEWEST = 13, 22
SAMPLES = "N"  # the name of the axis of samples


@dataclass(eq=False)
class Value:
    """A value of the graph: `shape` of one sample, channels last, and its names in either layout. parts: of
    values side by side each by its places, (first, one behind the last).
    """

    shape: Shape
    last: str | None = None
    first: str | None = None
    parts: Mapping[tuple[int, int], Value] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """In the layout it was made in, which operators on single entries may take."""
        return str(self.last or self.first)

    @property
    def channels_first(self) -> bool:
        return self.last is None

    def like(self, name: str) -> Value:
        """A value of the same shape and layout."""
        return Value(self.shape, None, name) if self.channels_first else Value(self.shape, name)


class Graph:
    """Nodes in order, and constants by content."""

    def __init__(self, dtype: Any, opset: int) -> None:
        import onnx

        self.onnx = onnx
        self.dtype, self.opset = np.dtype(dtype), opset
        self.nodes: list[Any] = []
        self.constants: dict[tuple[Any, ...], tuple[str, Array]] = {}
        self.whole_inputs: dict[str, str] = {}  # an input of ids as numbers -> the input itself
        self._used: dict[str, int] = {}

    @property
    def real(self) -> int:
        """ONNX's number of the network's dtype."""
        return int(self.onnx.helper.np_dtype_to_tensor_dtype(self.dtype))

    def fresh(self, base: str) -> str:
        """A name that nothing has yet."""
        self._used[base] = self._used.get(base, 0) + 1
        count = self._used[base]
        return base if count == 1 else f"{base}_{count}"

    def add(self, operator: str, *inputs: str, outputs: int | str = 1, **attributes: Any) -> str:
        """A node; the name of its first output. outputs: how many, or the name of the only one."""
        return self.several(operator, *inputs, outputs=outputs, **attributes)[0]

    def several(self, operator: str, *inputs: str, outputs: int | str = 1, **attributes: Any) -> list[str]:
        """A node; the names of its outputs."""
        if isinstance(outputs, str):
            names = [outputs]
        else:
            names = [self.fresh(operator.lower()) for _ in range(outputs)]
        given = {key: value for key, value in attributes.items() if value is not None}
        name = self.fresh(f"node_{names[0]}")
        self.nodes.append(self.onnx.helper.make_node(operator, [*inputs], names, name=name, **given))
        return names

    def inner(self) -> Graph:
        """The graph of a loop's body, whose names are its own."""
        body = Graph(self.dtype, self.opset)
        body._used = self._used
        return body

    def tensors(self) -> list[Any]:
        """The constants as ONNX has them."""
        return [self.onnx.numpy_helper.from_array(array, name) for name, array in self.constants.values()]

    def used(self, outputs: Sequence[str]) -> None:
        """Leave out the nodes and constants that none of the outputs needs."""
        wanted, kept = set(outputs), []
        for node in reversed(self.nodes):
            if wanted & set(node.output):
                kept.append(node)
                wanted |= set(node.input)
        self.nodes = kept[::-1]
        self.constants = {key: held for key, held in self.constants.items() if held[0] in wanted}

    def ids(self, x: Value) -> str:
        """x as whole numbers."""
        name = self.last(x)
        return self.whole_inputs.get(name) or self.add("Cast", name, to=self.onnx.TensorProto.INT64)

    def constant(self, value: Any, name: str = "constant", dtype: Any = None) -> str:
        """The name of a constant, in the network's dtype unless another is given."""
        key, array = self._key(value, dtype)
        if key not in self.constants:
            self.constants[key] = (self.fresh(name), array)
        return self.constants[key][0]

    def _key(self, value: Any, dtype: Any = None) -> tuple[tuple[str, Any, bytes], Array]:
        array = np.asarray(value, self.dtype if dtype is None else dtype)
        array = np.ascontiguousarray(array).reshape(array.shape)
        return (array.dtype.str, array.shape, array.tobytes()), array

    def matrix(self, W: Array, name: str = "W") -> str:
        """The name of a matrix; one whose transpose is there already is that, turned by a node: layers that
        share their weights have one tensor, whichever way each of them reads it.
        """
        key, _ = self._key(W.T)
        if key in self.constants and self._key(W)[0] not in self.constants:
            return self.add("Transpose", self.constants[key][0], perm=[1, 0])
        return self.constant(W, name)

    def texts(self, values: Sequence[str]) -> str:
        """The name of a constant list of texts."""
        array = np.array(values, dtype=object)
        self.constants["texts", *values] = (self.fresh("classes"), array)
        return self.constants["texts", *values][0]

    def whole(self, *values: int) -> str:
        """A constant list of whole numbers, as shapes and axes are given."""
        return self.constant(values, "sizes", np.int64)

    # -- layouts ---------------------------------------------------------------------------------------------
    def last(self, x: Value) -> str:
        """x with its channels last."""
        if x.last is None:
            axes = len(x.shape)
            x.last = self.add("Transpose", str(x.first), perm=[0, *range(2, axes + 1), 1])
        return x.last

    def first(self, x: Value) -> str:
        """x with its channels in front of rows and columns."""
        if len(x.shape) == 1:
            return self.last(x)
        if x.first is None:
            axes = len(x.shape)
            x.first = self.add("Transpose", str(x.last), perm=[0, axes, *range(1, axes)])
        return x.first

    def beside(self, values: Sequence[Value], shape: Shape) -> Value:
        """Values side by side, each as a row of numbers."""
        stops = [0, *itertools.accumulate(math.prod(value.shape) for value in values)]
        parts = dict(zip(itertools.pairwise(stops), values, strict=True))
        rows = [value if len(value.shape) == 1 else self.row(value) for value in values]
        return Value(shape, self.add("Concat", *map(self.last, rows), axis=-1), parts=parts)

    def row(self, x: Value) -> Value:
        """x as a vector."""
        size = math.prod(x.shape)
        return Value((size,), self.reshape(self.last(x), size), parts={(0, size): x})

    def part(self, x: Value, start: int, stop: int, shape: Sequence[int]) -> Value:
        """One of several values side by side, in its own shape."""
        held = x.parts.get((start, stop))
        while held is not None and held.shape != tuple(shape):
            held = held.parts.get((0, stop - start))
        if held is not None:
            return held
        part = self.add("Slice", self.last(x), *map(self.whole, (start, stop, -1)))
        return Value(tuple(shape), self.reshape(part, *shape))

    # -- what many layers need -------------------------------------------------------------------------------
    def reshape(self, x: str, *shape: int) -> str:
        """x (N, ...) with the samples kept and the rest of this shape."""
        return self.add("Reshape", x, self.whole(0, *shape))

    def reduce(self, operator: str, x: str, axes: Sequence[int], keep: bool = True) -> str:
        """ReduceMean and its like: the axes are an attribute before version 18, an input from there on."""
        if self.opset >= 18 or operator == "ReduceSum":
            return self.add(operator, x, self.whole(*axes), keepdims=int(keep))
        return self.add(operator, x, axes=[*axes], keepdims=int(keep))

    def axes(self, operator: str, x: str, *axes: int) -> str:
        """Squeeze or Unsqueeze."""
        return self.add(operator, x, self.whole(*axes))

    def holds(self, x: str) -> str:
        """Numbers as truth values: whether they are not 0."""
        return self.add("Cast", x, to=self.onnx.TensorProto.BOOL)

    def number(self, x: str) -> str:
        """Truth values or whole numbers as numbers of the network's dtype."""
        return self.add("Cast", x, to=self.real)
