"""What is known of an ONNX model while its nodes are read, and what every node asks of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, describe
from chainrule.base.types import Array
from chainrule.networks.taking.building import Building
from chainrule.networks.taking.onnx.attending import Attending
from chainrule.networks.taking.onnx.fusing import Fused
from chainrule.networks.taking.values import Value

Known = Value | Array | None


# How many samples a model is told there are that counts them and leaves open how many: never so many.
SAMPLES = 7919


Attributes = Mapping[str, Any]


class Reading:
    """What is known of a model while its nodes are read, and what a node asks of it."""

    def __init__(self, onnx: Any, model: Any, input_shape: Any, samples: int | None = 0) -> None:
        if samples not in (0, 1, None) or isinstance(samples, bool):
            raise ArgumentError(
                f"from_onnx samples must be 0, 1 or None, which axis holds them, received {describe(samples)}"
            )
        self.onnx, self.graph = onnx, model.graph
        self.opset = next((held.version for held in model.opset_import if held.domain in ("", "ai.onnx")), 1)
        self.known: dict[str, Known] = {"": None}
        self.readers: Counter[str] = Counter()  # how many nodes that are needed read a value
        self.node: Any = None
        self.joined: dict[Value, tuple[int, list[Value]]] = {}  # what several are one after the other
        for tensor in self.graph.initializer:
            self.known[tensor.name] = onnx.numpy_helper.to_array(tensor)
        inputs = {held.name: held for held in self.graph.input if held.name not in self.known}
        if not inputs:
            raise ArgumentError("the model has no inputs")
        self.lead = 0 if samples is None else 1  # axes in front of those of a sample
        self.at = 0  # which axis has the samples in what the node at hand reads
        self.samples = SAMPLES
        chosen = _by_input(input_shape, list(inputs))
        shapes = {name: self._shape(held, chosen.get(name), samples) for name, held in inputs.items()}
        self.building = Building(shapes)
        self.building.apart = samples is not None
        self.fused: dict[str, Fused | Attending] = {}
        self.inputs = dict(zip(inputs, self.building.inputs.values(), strict=True))
        for name, value in self.inputs.items():
            self.known[name] = behind(value, samples or 0)
        self.kinds = kinds_of(onnx, model)
        self.dtype = "float64" if onnx.TensorProto.DOUBLE in map(self.kind, inputs) else "float32"

    def kind(self, name: str) -> int:
        """ONNX's number of the type of a value's entries, 0 where it is not known."""
        return self.kinds.get(name, 0)

    def whole(self, name: str) -> bool:
        """Whether a value's entries are whole numbers."""
        types = self.onnx.TensorProto
        return self.kind(name) not in (0, types.DOUBLE, types.FLOAT, types.FLOAT16, types.BFLOAT16)

    def _shape(self, given: Any, chosen: Any, samples: int | None) -> tuple[int, ...]:
        if chosen is not None:
            return (int(chosen),) if isinstance(chosen, (int, np.integer)) else tuple(map(int, chosen))
        sizes = [axis.dim_value for axis in given.type.tensor_type.shape.dim]
        if samples and len(sizes) != 3:
            raise ArgumentError(
                "from_onnx samples=1 is of sequences (steps, samples, features); the input has "
                f"{len(sizes)} axes"
            )
        if samples is not None and sizes:
            self.samples = sizes.pop(samples) or SAMPLES
        if not sizes or 0 in sizes:
            raise ArgumentError(
                "from_onnx needs input_shape, the shape of one sample as the model takes it: the model "
                f"leaves sizes of its input {given.name!r} open"
            )
        return tuple(sizes)

    def place(self, name: str, value: Value, axis: int) -> int:
        """Which axis of a sample an axis of the model is."""
        rank = len(value.theirs) + self.lead
        if not -rank <= axis < rank or (self.lead and axis % rank == self.at):
            raise refuse(name, f"what goes over axis {axis}, of the samples,")
        return axis % rank - (self.lead if axis % rank > self.at else 0)

    def places(self, name: str, value: Value, axes: Sequence[int] | None) -> list[int]:
        """The axes of a sample that are told, in order; by default all, the samples among them."""
        told = range(len(value.theirs) + self.lead) if axes is None else axes
        return sorted(self.place(name, value, axis) for axis in told)

    def of_sample(self, name: str, value: Value, constant: Array) -> Array:
        """A constant beside a value, without the axis of samples."""
        place = constant.ndim - 1 - (len(value.theirs) - self.at)  # of the samples
        if self.lead and place >= 0 and constant.shape[place] == 1:
            constant = constant.squeeze(place)
        if not value.holds(constant):
            raise refuse(name, f"a constant of the shape {constant.shape} beside samples of {value.theirs}")
        return constant

    def from_one(self, value: Value, axis: int, places: Array) -> tuple[Value, Array]:
        """The one of several values one after the other that has all these places, and where; or itself."""
        along, parts = self.joined.get(value, (axis, []))
        for part in parts if along == axis else []:
            size = part.theirs[axis]
            if places.size and 0 <= places.min() <= places.max() < size:
                return part, places
            places = places - size
        return value, places + (sum(part.theirs[axis] for part in parts) if along == axis else 0)

    def embedded(self, ids: Value) -> bool:
        """Whether an embedding reads an input."""
        names = {name for name, value in self.inputs.items() if value is ids}
        for node in self.graph.node:
            if node.op_type in ("Cast", "Identity") and names & {*node.input}:
                names |= {*node.output}
        return any(node.op_type == "Gather" and node.input[1] in names for node in self.graph.node)

    def wanted(self, output: int) -> bool:
        """Whether anything reads an output of the node at hand."""
        return len(self.node.output) > output and self.readers[self.node.output[output]] > 0


def kinds_of(onnx: Any, model: Any) -> dict[str, int]:
    """The type of the entries of every value, as far as the model tells."""
    try:
        graph = onnx.shape_inference.infer_shapes(model).graph
    except Exception:  # of a model of more than 2 GiB, or of operators that onnx does not know
        graph = model.graph
    held = (*graph.input, *graph.value_info, *graph.output)
    return {value.name: value.type.tensor_type.elem_type for value in held}


def _by_input(given: Any, names: Sequence[str]) -> Mapping[str, Any]:
    """The shapes that are told, by the name of the input."""
    if not isinstance(given, Mapping):
        if given is not None and len(names) > 1:
            raise ArgumentError(
                f"the model has {len(names)} inputs: write from_onnx(..., input_shape="
                f"{{{', '.join(f'{name!r}: (...)' for name in names)}}}), received {describe(given)}"
            )
        return {} if given is None else {names[0]: given}
    unknown = [name for name in given if name not in names]
    if unknown:
        raise ArgumentError(
            f"from_onnx input_shape names {describe(unknown[0])}, and the model's inputs are "
            f"{', '.join(map(repr, names))}"
        )
    return given


def refuse(name: str, what: str) -> ArgumentError:
    return ArgumentError(f"node {name}: {what} has no layer in chainrule")


def only_with(name: str, attributes: Attributes, **meant: Any) -> None:
    """Refuse an attribute of another value."""
    for key, value in meant.items():
        if attributes.get(key, value) != value:
            raise refuse(name, f"{key}={attributes[key]!r}")


def constant_of(name: str, value: Known, what: str) -> Array:
    if not isinstance(value, np.ndarray):
        raise ArgumentError(f"node {name}: its {what} must be a constant of the model")
    return value


def value_of(name: str, value: Known) -> Value:
    if not isinstance(value, Value):
        raise refuse(name, "a constant as the input")
    return value


class SamplesAt(Value):
    """A value whose samples are on axis `at` of the model, not the first: a sequence with its steps in front
    of them has 1. held: the value, of whose axes they are none.
    """

    def __init__(self, held: Value, at: int) -> None:
        super().__init__(held.theirs, held.layout, held.node)
        self.held, self.at = held, at


def opened(value: Known) -> Any:
    """(a value without the axis of samples, which axis that is)."""
    return (value.held, value.at) if isinstance(value, SamplesAt) else (value, 0)


def behind(held: Value, at: int) -> Value:
    """A value whose samples are on that axis."""
    return SamplesAt(held, at) if at else held
