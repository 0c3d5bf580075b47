"""An ONNX model as a network: its nodes as layers, and its constants as their weights.

Models of networks are taken, as PyTorch, Keras and others export them: one input of samples, one output,
nodes that are layers. The network takes images with their channels last, (N, rows, columns, channels), where
the model has them first.
"""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, FileError, MissingExtraError, describe
from chainrule.base.scalars import text_path
from chainrule.base.types import Array
from chainrule.formulas.primitives.axes import Taps
from chainrule.formulas.primitives.edges import source
from chainrule.layers import (
    CELU,
    ELU,
    GELU,
    SELU,
    Dropout,
    HardShrink,
    HardSigmoid,
    HardSwish,
    HardTanh,
    Layer,
    LeakyReLU,
    LogSoftmax,
    Mish,
    ReLU,
    ReLU6,
    RMSNorm,
    Sigmoid,
    Softmax,
    Softplus,
    SoftShrink,
    Softsign,
    Tanh,
    Threshold,
)
from chainrule.layers.activations.rectifiers import SELU_ALPHA, SELU_SCALE
from chainrule.networks.forms.onnx.sequences import OPERATORS
from chainrule.networks.network import Network
from chainrule.networks.taking.building import Building, cell
from chainrule.networks.taking.fusing import Fused, constants_of, fused, pruned
from chainrule.networks.taking.resizing import COORDINATES, REACH, Resizing
from chainrule.networks.taking.values import Value

Known = Value | Array | None
SAMPLES = 7919  # how many samples a model is told there are, that counts them; they are never so many here
Attributes = Mapping[str, Any]


def from_onnx(
    model: Any, input_shape: Any = None, *, output: str | None = None, samples: int | None = 0,
    dtype: str | None = None,
) -> Network:  # fmt: skip
    """A network that computes what an ONNX model computes, with its weights; train it on from there.

    model: the path of a file, or an onnx.ModelProto.
    input_shape: of one sample as the model takes it, (channels, rows, columns) of images, where the model
        leaves sizes open. The network itself takes (rows, columns, channels).
    output: which of several outputs, by default the first. dtype: by default that of the model's input.
    samples: which axis of the model's input has the samples: 0, 1 of sequences whose steps stand in front,
        or None for a model that takes one sample and has no such axis.
    Raises ArgumentError that names the node and the attribute that have no layer here, FileError for a file
    that is no model, and MissingExtraError without the extra `onnx`.
    """
    try:
        import onnx
    except ImportError:
        raise MissingExtraError("onnx", "onnx", "from_onnx") from None
    if not isinstance(model, onnx.ModelProto):
        model = _loaded(onnx, text_path(model, "model"))
    reading = _Reading(onnx, model, input_shape, samples)
    value = reading.read(output)
    return reading.building.network(value, dtype or reading.dtype)


def _loaded(onnx: Any, path: str) -> Any:
    try:
        model = onnx.load(path)
        onnx.checker.check_model(path)
    except OSError as error:
        raise FileError(f"{path}: cannot be read ({error.strerror or error})") from error
    except Exception as error:  # protobuf's and the checker's own
        raise FileError(f"{path}: is no ONNX model ({str(error).splitlines()[0]})") from error
    return model


class _Reading:
    """The nodes of a model, in their order."""

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
        for tensor in self.graph.initializer:
            self.known[tensor.name] = onnx.numpy_helper.to_array(tensor)
        inputs = [given for given in self.graph.input if given.name not in self.known]
        if len(inputs) != 1:
            raise ArgumentError(f"the model has {len(inputs)} inputs; a network of chainrule has one")
        self.lead = 0 if samples is None else 1  # axes in front of those of a sample
        self.building = Building(self._shape(inputs[0], input_shape, samples))
        given, self.input_name = self.building.input, inputs[0].name
        self.fused: dict[str, Fused] = {}
        self.known[inputs[0].name] = _StepsFirst(given) if samples else given
        kind = inputs[0].type.tensor_type.elem_type
        self.whole = kind not in (onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)
        self.dtype = "float64" if kind == onnx.TensorProto.DOUBLE else "float32"

    def _shape(self, given: Any, chosen: Any, samples: int | None) -> tuple[int, ...]:
        if chosen is not None:
            return (int(chosen),) if isinstance(chosen, (int, np.integer)) else tuple(map(int, chosen))
        sizes = [axis.dim_value for axis in given.type.tensor_type.shape.dim]
        if samples and len(sizes) != 3:
            raise ArgumentError(
                "from_onnx samples=1 is of sequences (steps, samples, features); the input has "
                f"{len(sizes)} axes"
            )
        if samples is not None:
            del sizes[samples : samples + 1]
        if not sizes or 0 in sizes:
            raise ArgumentError(
                "from_onnx needs input_shape, the shape of one sample as the model takes it: the model "
                f"leaves sizes of its input {given.name!r} open"
            )
        return tuple(sizes)

    def read(self, output: str | None) -> Value:
        """The value that the model puts out."""
        names = [held.name for held in self.graph.output]
        needed = self._needed(output or names[0])
        numbers = constants_of(needed, self.known, self.onnx)
        self.fused = fused(needed, numbers, self.input_name)
        needed = pruned(needed, self.fused, output or names[0])
        read = [name for node in needed for name in self._reads(node)]
        self.readers = Counter([output or names[0], *read])
        for node in needed:
            self.node = node
            self.building.calls.begin(self._weights(node))
            outputs = self._outputs(node)
            for name, value in zip(node.output, outputs, strict=False):
                if name:
                    self.known[name] = value
        if output is not None and output not in self.known:
            raise ArgumentError(f"the model has no output {output!r}; it has {', '.join(names)}")
        value = self.known.get(output or names[0])
        if not isinstance(value, Value):
            raise ArgumentError(f"the output {output or names[0]!r} is not made of the input")
        self.steps_first = isinstance(value, _StepsFirst)  # the model has its samples elsewhere
        return value.held if isinstance(value, _StepsFirst) else value

    def place(self, name: str, value: Value, axis: int) -> int:
        """Which axis of a sample an axis of the model is."""
        rank = len(value.theirs) + self.lead
        if not -rank <= axis < rank or axis % rank < self.lead:
            raise _refuse(name, f"what goes over axis {axis}, of the samples,")
        return axis % rank - self.lead

    def places(self, name: str, value: Value, axes: Sequence[int] | None) -> list[int]:
        """The axes of a sample that are told, in order; by default all, the samples among them."""
        told = range(len(value.theirs) + self.lead) if axes is None else axes
        return sorted(self.place(name, value, axis) for axis in told)

    def of_sample(self, name: str, value: Value, constant: Array) -> Array:
        """A constant beside a value, without the axis of samples."""
        if self.lead and constant.ndim == len(value.theirs) + 1 and constant.shape[0] == 1:
            constant = constant[0]
        try:
            fits = np.broadcast_shapes(constant.shape, value.theirs) == value.theirs
        except ValueError:
            fits = False
        if not fits:
            raise _refuse(name, f"a constant of the shape {constant.shape} beside samples of {value.theirs}")
        return constant

    def _weights(self, node: Any) -> Any:
        """What tells a node with weights from others: nodes that have the same tensors are one layer."""
        arrays = [name for name in node.input if isinstance(self.known.get(name), np.ndarray)]
        if not any(self.known[name].ndim > 1 for name in arrays):  # type: ignore[union-attr]
            return None
        return node.op_type, *arrays, *sorted(held.SerializeToString() for held in node.attribute)

    def _reads(self, node: Any) -> list[str]:
        held = self.fused.get(node.output[0])
        return list(node.input) if held is None else [held.root]

    def _needed(self, output: str) -> list[Any]:
        """The nodes that an output is made by."""
        wanted, needed = {output}, []
        for node in reversed(self.graph.node):
            if wanted & {name for name in node.output if name}:
                needed.append(node)
                wanted |= set(node.input)
        return needed[::-1]

    def _outputs(self, node: Any) -> Sequence[Known]:
        if node.output[0] in self.fused:
            return (self._one(node, self.fused[node.output[0]]),)
        attributes = {held.name: self._attribute(held) for held in node.attribute}
        inputs = [
            self.known[name] if name in self.known else self._missing(node, name) for name in node.input
        ]
        if node.op_type == "Shape" and isinstance(inputs[0], Value):
            return [self._sizes(inputs[0])[slice(attributes.get("start", 0), attributes.get("end"))]]
        if node.op_type == "Constant":
            return [np.asarray(next(iter(attributes.values())))]
        if all(given is None or isinstance(given, np.ndarray) for given in inputs):
            return self._computed(node, inputs)
        name = node.name or next(output for output in node.output if output)
        if node.op_type not in NODES or node.domain not in ("", "ai.onnx"):
            raise ArgumentError(f"node {name}: the operator {node.op_type} has no layer in chainrule")
        if node.op_type not in STEPS_FIRST and any(isinstance(given, _StepsFirst) for given in inputs):
            return (_StepsFirst(self._of_steps(node, name, attributes, inputs)),)
        made = NODES[node.op_type](self, name, attributes, *inputs)
        return made if isinstance(made, tuple) else (made,)

    def _one(self, node: Any, held: Fused) -> Value:
        """Several nodes that are one layer."""
        name, value, layer = node.name or node.output[0], self.known[held.root], copy.copy(held.layer)
        if held.axis is None:
            if isinstance(value, _StepsFirst):
                return _StepsFirst(self.building.entrywise(name, value.held, layer))
            return self.building.entrywise(name, _value(name, value), layer)
        one = _value(name, value)
        if isinstance(value, _StepsFirst) or self.place(name, one, held.axis) != len(one.theirs) - 1:
            raise _refuse(name, f"a norm over axis {held.axis}")
        kind = "rms" if isinstance(layer, RMSNorm) else "layer"
        return self.building.last_norm(name, one, kind, {}, layer.epsilon)  # type: ignore[attr-defined]

    def _sizes(self, value: Value) -> Array:
        """What Shape gives, with a number of its own for the samples."""
        if isinstance(value, _StepsFirst):
            return np.array([value.held.theirs[0], SAMPLES, *value.held.theirs[1:]])
        return np.array([*(SAMPLES,)[: self.lead], *value.theirs])

    def _of_steps(self, node: Any, name: str, attributes: Attributes, inputs: Sequence[Any]) -> Value:
        """What acts on every entry, or every step, alone, of a sequence with its steps in front."""
        x, *others = inputs
        alone = node.op_type in ENTRYWISE or (
            node.op_type == "MatMul" and isinstance(others[0], np.ndarray) and others[0].ndim == 2
        )
        if type(x) is not _StepsFirst or not alone:
            raise _refuse(name, f"{node.op_type} of a sequence with its steps in front of the samples")
        made: Value = NODES[node.op_type](self, name, attributes, x.held, *others)
        return made

    def wanted(self, output: int) -> bool:
        """Whether anything reads an output of the node at hand."""
        return len(self.node.output) > output and self.readers[self.node.output[output]] > 0

    def _missing(self, node: Any, name: str) -> Known:
        raise ArgumentError(f"node {node.name}: reads {name!r}, which no node before it puts out")

    def _computed(self, node: Any, inputs: Sequence[Known]) -> Sequence[Known]:
        """What is constant is computed by onnx itself, in the model's version of the operators."""
        from onnx.reference import ReferenceEvaluator

        names = [name for name in node.input if name]
        kinds = self.onnx.helper
        given: dict[str, Any] = {
            name: value for name, value in zip(node.input, inputs, strict=True) if name
        }
        described = [
            kinds.make_tensor_value_info(name, kinds.np_dtype_to_tensor_dtype(given[name].dtype), None)
            for name in dict.fromkeys(names)
        ]
        made = [kinds.make_empty_tensor_value_info(name) for name in node.output if name]
        graph = kinds.make_graph([node], "constants", described, made)
        model = kinds.make_model(graph, opset_imports=[kinds.make_operatorsetid("", self.opset)])
        return list(ReferenceEvaluator(model).run(None, given))

    def _attribute(self, held: Any) -> Any:
        value = self.onnx.helper.get_attribute_value(held)
        if isinstance(value, bytes):
            return value.decode()
        if isinstance(value, self.onnx.TensorProto):
            return self.onnx.numpy_helper.to_array(value)
        return (
            [entry.decode() if isinstance(entry, bytes) else entry for entry in value]
            if isinstance(value, list)
            else value
        )


def _refuse(name: str, what: str) -> ArgumentError:
    return ArgumentError(f"node {name}: {what} has no layer in chainrule")


def _only(name: str, attributes: Attributes, **meant: Any) -> None:
    """Refuse an attribute of another value."""
    for key, value in meant.items():
        if attributes.get(key, value) != value:
            raise _refuse(name, f"{key}={attributes[key]!r}")


def _constant(name: str, value: Known, what: str) -> Array:
    if not isinstance(value, np.ndarray):
        raise ArgumentError(f"node {name}: its {what} must be a constant of the model")
    return value


def _value(name: str, value: Known) -> Value:
    if not isinstance(value, Value):
        raise _refuse(name, "a constant as the input")
    return value


# -- dense -------------------------------------------------------------------------------------------------
def _gemm(r: _Reading, name: str, at: Attributes, x: Known, W: Known, b: Known = None) -> Value:
    value = _value(name, x)
    if at.get("transA", 0):
        if r.lead or len(value.theirs) != 2:
            raise _refuse(name, "transA=1, which turns samples and features about,")
        value = r.building.permuted(f"{name}_transA", value, (1, 0))
    matrix, alpha = _constant(name, W, "matrix"), at.get("alpha", 1.0)
    matrix = matrix if alpha == 1 else matrix * alpha  # the same memory: another node may have it
    matrix = matrix if at.get("transB", 0) else matrix.T
    if b is None:
        return r.building.dense(name, value, matrix, None)
    bias = _constant(name, b, "bias") * at.get("beta", 1.0)
    if bias.shape in ((), (1,), (len(matrix),), (1, 1), (1, len(matrix))):
        return r.building.dense(name, value, matrix, np.broadcast_to(bias, (1, len(matrix)))[0])
    made = r.building.dense(name, value, matrix, None)
    return r.building.plus(f"{name}_bias", made, r.of_sample(name, made, bias))


def _matmul(r: _Reading, name: str, at: Attributes, x: Known, W: Known) -> Value:
    value, matrix = _value(name, x), _constant(name, W, "matrix")
    if matrix.ndim == 1:
        made = _matmul(r, name, at, value, matrix[:, None])
        return r.building.reshaped(f"{name}_axes", made, made.theirs[:-1])
    if matrix.ndim != 2:
        return _products(r, name, value, matrix)
    if len(value.theirs) > 2:
        *front, features = value.theirs
        rows = r.building.reshaped(f"{name}_rows", value, (int(np.prod(front)), features))
        made = r.building.dense(name, rows, matrix.T, None)
        return r.building.reshaped(f"{name}_axes", made, (*front, matrix.shape[1]))
    return r.building.dense(name, value, matrix.T, None)


def _products(r: _Reading, name: str, x: Value, matrices: Array) -> Value:
    """A matrix of its own for every place of the axes in front: branches side by side."""
    matrices = (
        matrices[0] if r.lead and matrices.ndim == len(x.theirs) + 1 and len(matrices) == 1 else matrices
    )
    front, inner = matrices.shape[:-2], matrices.shape[-2:]
    rows = x.theirs if len(x.theirs) > 1 else (1, *x.theirs)
    try:
        fits = np.broadcast_shapes(front, rows[:-2]) and matrices.ndim <= len(rows) + (not r.lead)
    except ValueError:
        fits = False
    if not fits or rows[-1] != inner[0] or (r.lead and matrices.ndim > len(rows)):
        raise _refuse(name, f"a product by an array of the shape {matrices.shape}")
    places = np.broadcast_shapes(front, rows[:-2])
    count, (steps, features) = int(np.prod(places)), rows[-2:]
    numbers = np.broadcast_to(np.arange(int(np.prod(rows[:-2]))).reshape(rows[:-2]), places).ravel()
    every = np.broadcast_to(matrices, (*places, *inner)).reshape(count, *inner)
    flat = r.building.reshaped(f"{name}_rows", x, (int(np.prod(rows[:-2])) * steps, features))
    made = []
    for place, (number, matrix) in enumerate(zip(numbers, every, strict=True)):
        taps = tuple(((int(number) * steps + step, 1.0),) for step in range(steps))
        part = r.building.along(f"{name}_part_{place}", flat, 0, taps)
        made.append(r.building.dense(f"{name}_{place}", part, matrix.T, None))
    joined = r.building.join(f"{name}_joined", made, "concat", 0) if len(made) > 1 else made[0]
    shape = (*places, *(rows[-2:-1] if len(x.theirs) > 1 else ()), inner[1])
    return r.building.reshaped(f"{name}_axes", joined, shape)


def _add(r: _Reading, name: str, at: Attributes, *given: Known) -> Value:
    values = [value for value in given if isinstance(value, Value)]
    if not values:
        raise _refuse(name, "a sum of constants")
    made = r.building.join(name, values, "sum") if len(values) > 1 else values[0]
    for number, value in enumerate(given):
        if isinstance(value, np.ndarray):
            read = next(place for place, held in enumerate(given) if held is values[0])
            alone = len(values) == 1 and r.readers[r.node.input[read]] == 1
            made = r.building.shifted(
                f"{name}_{number}" if len(given) > 2 else name, made, r.of_sample(name, made, value), alone
            )
    return made


def _subtract(r: _Reading, name: str, at: Attributes, a: Known, b: Known) -> Value:
    if isinstance(a, Value) and isinstance(b, Value):
        raise _refuse(name, "a difference of two values")
    if any(isinstance(given, np.ndarray) and given.dtype.kind == "u" for given in (a, b)):
        raise _refuse(name, "a difference of unsigned numbers, which is never below 0,")
    if isinstance(a, Value):
        return _add(r, name, at, a, -_constant(name, b, "constant"))
    value = _value(name, b)
    made = r.building.times(f"{name}_negative", value, np.array(-1.0))
    return r.building.plus(name, made, r.of_sample(name, made, _constant(name, a, "constant")))


def _times(r: _Reading, name: str, at: Attributes, a: Known, b: Known) -> Value:
    value, constant = (a, b) if isinstance(a, Value) else (b, a)
    if isinstance(constant, Value):
        raise _refuse(name, "a product of two values")
    held = _value(name, value)
    return r.building.times(name, held, r.of_sample(name, held, _constant(name, constant, "constant")))


def _divided(r: _Reading, name: str, at: Attributes, a: Known, b: Known) -> Value:
    if not isinstance(a, Value) or isinstance(b, Value):
        raise _refuse(name, "a division by a value")
    if r.whole:
        raise _refuse(name, "a division of whole numbers, which is rounded,")
    return _times(r, name, at, a, 1 / _constant(name, b, "constant").astype(np.float64))


def _concat(r: _Reading, name: str, at: Attributes, *given: Known) -> Value:
    values = [value for value in given if isinstance(value, Value)]
    if not values:
        raise _refuse(name, "constants one after the other")
    axis = r.place(name, values[0], at["axis"])
    made = [
        value if isinstance(value, Value) else _beside(r, f"{name}_{number}", values[0], value, axis)
        for number, value in enumerate(given)
    ]
    return r.building.join(name, made, "concat", axis) if len(made) > 1 else made[0]


def _beside(r: _Reading, name: str, like: Value, constant: Known, axis: int) -> Value:
    """A constant as a value: nothing of another one, with a bias."""
    array = _constant(name, constant, "value")
    if r.lead and array.ndim == len(like.theirs) + 1 and array.shape[0] == 1:
        array = array[0]
    if array.ndim != len(like.theirs) or 0 in array.shape:
        raise _refuse(name, f"a constant of the shape {array.shape} beside samples of {like.theirs}")
    nothing = r.building.along(f"{name}_nothing", like, axis, ((),) * array.shape[axis])
    return r.building.plus(name, nothing, r.of_sample(name, nothing, array))


# -- windows -----------------------------------------------------------------------------------------------
def _window(
    value: Value, at: Attributes, kernel: Sequence[int]
) -> tuple[list[int], list[tuple[int, int]] | str, list[int]]:
    """(strides, pads, dilations) of every axis."""
    axes = len(kernel)
    strides, dilations = at.get("strides", [1] * axes), at.get("dilations", [1] * axes)
    auto = at.get("auto_pad", "NOTSET")
    if auto == "SAME_UPPER":
        return strides, "same", dilations
    if auto == "SAME_LOWER":  # as many, an odd one in front
        told = zip(value.theirs[1:], kernel, strides, dilations, strict=True)
        totals = [max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0) for n, k, s, d in told]
        return strides, [(total - total // 2, total // 2) for total in totals], dilations
    pads = at.get("pads", [0] * 2 * axes) if auto == "NOTSET" else [0] * 2 * axes
    return strides, list(zip(pads[:axes], pads[axes:], strict=True)), dilations


def _conv(r: _Reading, name: str, at: Attributes, x: Known, W: Known, b: Known = None) -> Value:
    kernel = _constant(name, W, "kernel")
    strides, pads, dilations = _window(_value(name, x), at, kernel.shape[2:])
    bias = None if b is None else _constant(name, b, "bias")
    options: dict[str, Any] = {
        "stride": strides,
        "pads": pads,
        "dilation": dilations,
        "groups": at.get("group", 1),
    }
    return r.building.convolution(name, _value(name, x), kernel, bias, **options)


def _conv_transposed(r: _Reading, name: str, at: Attributes, x: Known, W: Known, b: Known = None) -> Value:
    kernel = _constant(name, W, "kernel")
    value = _value(name, x)
    strides, pads, dilations = _window(value, at, kernel.shape[2:])
    bias = None if b is None else _constant(name, b, "bias")
    more = at.get("output_padding", [0] * len(strides))
    auto = at.get("auto_pad", "NOTSET")
    if "output_shape" in at or auto.startswith("SAME"):
        told = zip(value.theirs[1:], kernel.shape[2:], strides, dilations, strict=True)
        whole = [s * (n - 1) + (k - 1) * d + 1 for n, k, s, d in told]
        sizes = at.get("output_shape", [n * s for n, s in zip(value.theirs[1:], strides, strict=True)])
        totals = [w + o - n for w, o, n in zip(whole, more, sizes[-len(whole) :], strict=True)]
        more = [o - min(total, 0) for o, total in zip(more, totals, strict=True)]
        halves = [(max(total, 0) // 2, max(total, 0) - max(total, 0) // 2) for total in totals]
        pads = halves if auto == "SAME_UPPER" else [(after, before) for before, after in halves]
    options: dict[str, Any] = {
        "stride": strides,
        "pads": pads,
        "dilation": dilations,
        "groups": at.get("group", 1),
    }
    return r.building.transposed_convolution(
        name, _value(name, x), kernel, bias, output_padding=more, **options
    )


def _pool(kind: str) -> Callable[..., Value]:
    def read(r: _Reading, name: str, at: Attributes, x: Known) -> Value:
        kernel, value = at["kernel_shape"], _value(name, x)
        if len(value.theirs) != len(kernel) + 1:
            raise _refuse(name, f"kernel_shape={list(kernel)} of samples of {value.theirs}")
        strides, pads, dilations = _window(value, at, kernel)
        _only(name, at, storage_order=0)
        options: dict[str, Any] = {
            "ceil_mode": bool(at.get("ceil_mode", 0)),
            "count_padding": bool(at.get("count_include_pad", 0)),
            "norm": float(at.get("p", 2)) if kind == "l2" else 2.0,
        }
        return r.building.pool(name, value, kind, kernel, strides, pads, dilation=dilations, **options)

    return read


PADDINGS = {"constant": "zeros", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}


def _of_positions(r: _Reading, value: Value, of_axes: Mapping[int, Any], none: Any) -> list[Any] | None:
    """What is told of rows and columns, from what is told of a sample's axes; None where it is of others."""
    count = len(value.theirs)
    if value.ones or value.columns is not None or count not in (2, 3) or not r.lead:
        return None
    if value.layout.first is None:
        value.layout.settle(of_axes.get(0, none) == none)
    places = range(1, count) if value.layout.first else range(count - 1)
    if any(told != none for axis, told in of_axes.items() if axis not in places):
        return None
    return [of_axes.get(axis, none) for axis in places]


def _along(r: _Reading, name: str, value: Value, of_axes: Mapping[int, Taps]) -> Value:
    """Sums along several axes."""
    for axis, taps in sorted(of_axes.items()):
        value = r.building.along(f"{name}_{axis}" if len(of_axes) > 1 else name, value, axis, taps)
    return value


def _pad(
    r: _Reading, name: str, at: Attributes, x: Known, pads: Known = None, value: Known = None,
    axes: Known = None,
) -> Value:  # fmt: skip
    held, mode = _value(name, x), at.get("mode", "constant")
    given = at["pads"] if pads is None else _constant(name, pads, "pads").tolist()
    number = at.get("value", 0.0) if value is None else float(_constant(name, value, "value").ravel()[0])
    if mode not in PADDINGS:
        raise _refuse(name, f"mode={mode!r}")
    half = len(given) // 2
    told = range(half) if axes is None else _constant(name, axes, "axes").tolist()
    sides = zip(given[:half], given[half:], strict=True)
    by_axis = {r.place(name, held, axis): side for axis, side in zip(told, sides, strict=True) if any(side)}
    if number and mode == "constant":
        return r.building.framed(name, held, by_axis, number)
    wanted = _of_positions(r, held, by_axis, (0, 0))
    if wanted is None or (mode != "constant" and min(map(min, wanted), default=0) < 0):
        return _along(r, name, held, _pad_taps(held, by_axis, PADDINGS[mode]))
    return r.building.pad(name, held, wanted, PADDINGS[mode]) if by_axis else held


def _pad_taps(held: Value, by_axis: Mapping[int, tuple[int, int]], mode: str) -> dict[int, Taps]:
    made: dict[int, Taps] = {}
    for axis, (before, after) in by_axis.items():
        size = held.theirs[axis]
        places = range(-before, size + after)
        inside = [0 <= place < size for place in places]
        where = list(places) if mode == "zeros" else [int(source(place, size, mode)) for place in places]
        there = [mode != "zeros" or held_ for held_ in inside]
        made[axis] = tuple(
            ((place, 1.0),) if is_there else () for place, is_there in zip(where, there, strict=True)
        )
    return made


def _slice(
    r: _Reading, name: str, at: Attributes, x: Known, starts: Known = None, ends: Known = None,
    axes: Known = None, steps: Known = None,
) -> Value:  # fmt: skip
    held = _value(name, x)
    first, last = (
        at[word] if given is None else _constant(name, given, word).tolist()
        for word, given in (("starts", starts), ("ends", ends))
    )
    told = at.get("axes", range(len(first))) if axes is None else _constant(name, axes, "axes").tolist()
    by = [1] * len(first) if steps is None else _constant(name, steps, "steps").tolist()
    sides, taps = {}, {}
    for axis, start, end, step in zip(told, first, last, by, strict=True):
        rank = len(held.theirs) + r.lead
        if axis % rank < r.lead and (start, step) == (0, 1) and end >= 2**31 - 1:
            continue  # all of the samples
        place = r.place(name, held, axis)
        size = held.theirs[place]
        kept = range(*slice(start, end, step).indices(size))
        if not kept:
            raise _refuse(name, "a slice of nothing")
        taps[place] = tuple(((i, 1.0),) for i in kept)
        sides[place] = (-kept[0], kept[-1] + 1 - size)
    wanted = _of_positions(r, held, sides, (0, 0)) if set(by) == {1} else None
    if wanted is None or not any(map(any, wanted)):
        return _along(r, name, held, taps)
    return r.building.pad(name, held, wanted, "zeros")


def _resize(
    r: _Reading, name: str, at: Attributes, x: Known, roi: Known = None, scales: Known = None,
    sizes: Known = None,
) -> Value:  # fmt: skip
    held = _value(name, x)
    how = Resizing(
        at.get("mode", "nearest"),
        at.get("coordinate_transformation_mode", "half_pixel"),
        at.get("nearest_mode", "round_prefer_floor"),
        at.get("cubic_coeff_a", -0.75),
        bool(at.get("exclude_outside", 0)),
        bool(at.get("antialias", 0)),
    )
    if r.node.op_type == "Upsample" or (r.opset < 11 and r.node.op_type == "Resize"):
        given = roi if "scales" not in at else np.asarray(at["scales"])
        roi, scales = None, given
        how = replace(how, mode=how.mode, coordinates="asymmetric", nearest="floor")
    if how.mode not in ("nearest", *REACH) or how.coordinates not in COORDINATES:
        raise _refuse(name, f"mode={how.mode!r} with {how.coordinates}")
    rank = len(held.theirs) + r.lead
    told = [axis % rank for axis in at.get("axes", range(rank))]
    factors, made = _new_sizes(r, name, at, held, told, scales, sizes)
    whole = {
        r.place(name, held, axis): factor
        for axis, factor in factors.items()
        if factor != 1.0 or axis >= r.lead
    }
    grows = {axis: int(factor) for axis, factor in whole.items() if factor >= 1 and factor == int(factor)}
    wanted = _of_positions(r, held, grows, 1) if len(grows) == len(whole) else None
    if wanted is not None and _as_upsample(how):
        between = how.mode == "linear"
        return r.building.upsample(name, held, wanted, between) if set(wanted) != {1} else held
    if roi is not None and how.coordinates == "tf_crop_and_resize":
        region = _constant(name, roi, "roi").astype(float).tolist()
        regions = dict(zip(told, zip(region[: len(told)], region[len(told) :], strict=True), strict=True))
    else:
        regions = dict.fromkeys(told, (0.0, 1.0))
    taps = {}
    for axis, factor in factors.items():
        if axis >= r.lead:
            place = axis - r.lead
            one = replace(how, region=regions[axis])
            taps[place] = one.taps(held.theirs[place], made[axis], factor)
    done = _along(r, name, held, taps)
    beyond = float(at.get("extrapolation_value", 0.0))
    if how.coordinates != "tf_crop_and_resize" or not beyond:
        return done
    inside = np.ones(done.theirs, bool)
    for axis, of_axis in taps.items():
        there = np.array([bool(row) for row in of_axis])
        inside &= np.expand_dims(there, [other for other in range(inside.ndim) if other != axis])
    return r.building.plus(f"{name}_beyond", done, np.where(inside, 0.0, beyond))


def _as_upsample(how: Resizing) -> bool:
    """Whether UpSample2D computes it, images being a whole number of times as large."""
    half = how.coordinates.endswith(("half_pixel", "half_pixel_symmetric"))
    if how.antialias or how.exclude_outside:
        return False
    if how.mode == "linear":
        return half
    right = (how.coordinates, how.nearest) == ("asymmetric", "floor")
    return how.mode == "nearest" and (right or (half and how.nearest.startswith("round")))


def _new_sizes(
    r: _Reading, name: str, at: Attributes, held: Value, told: Sequence[int], scales: Known, sizes: Known
) -> tuple[dict[int, float], dict[int, int]]:
    """(how many times larger, how large) of every axis of the model that is told; that of samples stays."""
    old = {axis: held.theirs[axis - r.lead] if axis >= r.lead else 1 for axis in told}
    if scales is not None and np.size(_constant(name, scales, "scales")):
        factors = dict(zip(told, _constant(name, scales, "scales").astype(float).tolist(), strict=True))
        return factors, {axis: math.floor(factors[axis] * old[axis]) for axis in told}
    made = dict(zip(told, _constant(name, sizes, "sizes").tolist(), strict=True))
    if r.lead and 0 in made:
        made[0] = 1
    factors = {axis: made[axis] / old[axis] for axis in told}
    policy = at.get("keep_aspect_ratio_policy", "stretch")
    if policy != "stretch":
        given = [factor for axis, factor in factors.items() if axis >= r.lead]
        one = min(given) if policy == "not_larger" else max(given)
        factors = {axis: one if axis >= r.lead else 1.0 for axis in told}
        made = {axis: math.floor(factors[axis] * old[axis] + 0.5) for axis in told}
    return factors, made


def _depth_to_space(r: _Reading, name: str, at: Attributes, x: Known) -> Value:
    value, block = _value(name, x), at["blocksize"]
    if at.get("mode", "DCR") == "CRD" and r.lead:
        return r.building.shuffle(name, value, block)
    *front, channels, height, width = value.theirs
    kept = channels // block**2
    crd = at.get("mode", "DCR") == "CRD"
    cut = (kept, block, block) if crd else (block, block, kept)
    parts = r.building.reshaped(f"{name}_blocks", value, (*front, *cut, height, width))
    order = (0, 3, 1, 4, 2) if crd else (2, 3, 0, 4, 1)
    turned = r.building.permuted(name, parts, [*range(len(front)), *(axis + len(front) for axis in order)])
    return r.building.reshaped(f"{name}_image", turned, (*front, kept, height * block, width * block))


def _global_pool(kind: str) -> Callable[..., Value]:
    return lambda r, name, at, x: r.building.global_pool(name, _value(name, x), kind, keep=True)


def _reduced_to(mean: bool) -> Callable[..., Value]:
    return lambda r, name, at, x, axes=None: _reduced(r, name, at, x, axes, mean)


def _reduced(
    r: _Reading, name: str, at: Attributes, x: Known, axes: Known = None, mean: bool = True
) -> Value:
    value = _value(name, x)
    given = at.get("axes") if axes is None else _constant(name, axes, "axes").tolist()
    count, keep = len(value.theirs), bool(at.get("keepdims", 1))
    if not given and at.get("noop_with_empty_axes", 0):
        return value
    places = r.places(name, value, given or None)
    sizes = value.theirs
    if not mean:
        taps = {axis: (tuple((i, 1.0) for i in range(sizes[axis])),) for axis in places}
        return _without(r, name, _along(r, name, value, taps), places, keep)
    if count > 1 and places == [*range(1, count)] and value.layout.first is not False and not value.ones:
        return r.building.global_pool(name, value, "average", keep)
    if count == 2 and places == [0] and value.layout.first is not True and not keep and not value.ones:
        return r.building.global_pool(
            name, r.building.transpose(name, value, (0, 2, 1)), "average", keep=False
        )
    taps = {axis: (tuple((i, 1 / sizes[axis]) for i in range(sizes[axis])),) for axis in places}
    return _without(r, name, _along(r, name, value, taps), places, keep)


def _without(r: _Reading, name: str, made: Value, places: Sequence[int], keep: bool) -> Value:
    """A value whose axes at these places are 1, with them or not."""
    if keep:
        return made
    kept = tuple(size for axis, size in enumerate(made.theirs) if axis not in places)
    return r.building.reshaped(f"{name}_axes", made, kept)


# -- normalisation -----------------------------------------------------------------------------------------
def _batch_norm(r: _Reading, name: str, at: Attributes, x: Known, *given: Known) -> Value:
    _only(name, at, training_mode=0, spatial=1)
    names = ("gamma", "beta", "mean", "variance")
    numbers = {key: _constant(name, array, "statistics") for key, array in zip(names, given, strict=True)}
    momentum = round(1 - at.get("momentum", 0.9), 7)
    epsilon = at.get("epsilon", 1e-5)
    return r.building.batch_norm(name, _value(name, x), numbers, epsilon, momentum)


def _layer_norm(r: _Reading, name: str, at: Attributes, x: Known, gamma: Known, beta: Known = None) -> Any:
    if r.wanted(1) or r.wanted(2):
        made = [
            _statistic(r, name, at, _value(name, x), which) if r.wanted(which) else None for which in (1, 2)
        ]
        if r.wanted(0):
            raise _refuse(name, "a norm that is read together with its mean or deviation")
        return (None, *made)
    return _norm_from(r, name, at, "layer", _value(name, x), _scales(name, gamma, beta))


def _statistic(r: _Reading, name: str, at: Attributes, value: Value, which: int) -> Value:
    """1: the mean over all axes of a sample from one on; 2: 1 / √(v + ε), which is what RMSNorm makes of √ε
    beside the numbers without their mean.
    """
    epsilon, first = at.get("epsilon", 1e-5), r.place(name, value, at.get("axis", -1))
    n, kept = int(np.prod(value.theirs[first:])), value.theirs[:first]
    rows = r.building.reshaped(f"{name}_rows", value, (*kept, n))
    if which == 1:
        mean = r.building.along(f"{name}_mean", rows, first, (tuple((i, 1 / n) for i in range(n)),))
        return r.building.reshaped(f"{name}_axes", mean, (*kept, *(1,) * (len(value.theirs) - first)))
    centred = tuple(tuple((i, (i == u) - 1 / n) for i in range(n)) for u in range(n))
    beside = r.building.along(f"{name}_centred", rows, first, (*centred, ()))
    beside = r.building.plus(f"{name}_epsilon", beside, np.array([*(0.0,) * n, math.sqrt(n * epsilon)]))
    made = r.building.last_norm(f"{name}_norm", beside, "rms", {}, 1e-30)
    last = (((n, 1 / math.sqrt((n + 1) * epsilon)),),)
    made = r.building.along(f"{name}_deviation", made, first, last)
    return r.building.reshaped(f"{name}_axes", made, (*kept, *(1,) * (len(value.theirs) - first)))


def _rms_norm(r: _Reading, name: str, at: Attributes, x: Known, gamma: Known) -> Value:
    return _norm_from(r, name, at, "rms", _value(name, x), _scales(name, gamma))


def _norm_from(
    r: _Reading, name: str, at: Attributes, kind: str, value: Value, numbers: dict[str, Array]
) -> Value:
    """A norm over all axes of a sample from one on."""
    first = r.place(name, value, at.get("axis", -1))
    normed = value.theirs[first:]
    numbers = {key: np.broadcast_to(array, normed) for key, array in numbers.items()}
    return r.building.last_norm(name, value, kind, numbers, at.get("epsilon", 1e-5), len(normed))


def _scales(name: str, gamma: Known, beta: Known = None) -> dict[str, Array]:
    shift = {} if beta is None else {"beta": _constant(name, beta, "shift")}
    return {"gamma": _constant(name, gamma, "scale"), **shift}


def _instance_norm(r: _Reading, name: str, at: Attributes, x: Known, gamma: Known, beta: Known) -> Value:
    numbers = _scales(name, gamma, beta)
    return r.building.norm(name, _value(name, x), "instance", numbers, at.get("epsilon", 1e-5))


def _group_norm(r: _Reading, name: str, at: Attributes, x: Known, gamma: Known, beta: Known) -> Value:
    value = _value(name, x)
    numbers, groups, channels = _scales(name, gamma, beta), at["num_groups"], value.theirs[0]
    if len(numbers["gamma"]) == groups:  # up to version 20 there is one number per group
        numbers = {key: np.repeat(array, channels // groups) for key, array in numbers.items()}
    return r.building.norm(name, value, "group", numbers, at.get("epsilon", 1e-5), groups)


def _local_norm(r: _Reading, name: str, at: Attributes, x: Known) -> Value:
    size = at["size"]
    alpha, beta, k = at.get("alpha", 1e-4), at.get("beta", 0.75), at.get("bias", 1.0)
    return r.building.local_norm(name, _value(name, x), ((size - 1) // 2, size // 2), alpha, beta, k)


# -- shapes ------------------------------------------------------------------------------------------------
def _flatten(r: _Reading, name: str, at: Attributes, x: Known) -> Value:
    value, axis = _value(name, x), at.get("axis", 1)
    rank = len(value.theirs) + r.lead
    axis = axis + rank if axis < 0 else axis
    if r.lead and axis == 1:
        return r.building.flatten(name, value)
    if r.lead:
        raise _refuse(name, f"axis={at['axis']}, which puts samples together,")
    sizes = int(np.prod(value.theirs[:axis])), int(np.prod(value.theirs[axis:]))
    return r.building.reshaped(name, value, sizes)


def _reshape(r: _Reading, name: str, at: Attributes, x: Known, shape: Known = None) -> Value:
    value = _value(name, x)
    sizes = [*at["shape"]] if shape is None else _constant(name, shape, "shape").tolist()
    if isinstance(x, _BesideDirections) and len(sizes) == 3 and sizes[2] in (-1, x.held.theirs[-1]):
        return _StepsFirst(x.held)
    whole, zero = int(np.prod(value.theirs)), not at.get("allowzero", 0)
    rest = [
        value.theirs[axis - r.lead] if size == 0 and zero and axis >= r.lead else size
        for axis, size in enumerate(sizes)
    ][r.lead :]
    known = int(np.prod([size for size in rest if size != -1]))
    fits = whole % known == 0 if -1 in rest and known else known == whole
    if (
        not fits
        or (-1 in rest and r.lead and sizes[:1] not in ([0], [1], [-1], [SAMPLES]))
        or (r.lead and not sizes)
    ):
        raise _refuse(name, f"the shape {sizes} of samples of {value.theirs}")
    made = tuple(whole // known if size == -1 else size for size in rest)
    if len(made) == 1 and r.lead:
        return r.building.flatten(name, value)
    return r.building.reshaped(name, value, made)


def _squeeze(r: _Reading, name: str, at: Attributes, x: Known, axes: Known = None) -> Value:
    value = _value(name, x)
    given = at.get("axes") if axes is None else _constant(name, axes, "axes").tolist()
    if given is None:
        places = [axis for axis, size in enumerate(value.theirs) if size == 1]
    else:
        places = r.places(name, value, given)
    if value.ones and places == [*range(len(value.theirs) - value.ones, len(value.theirs))]:
        return r.building.flatten(name, value)
    if any(value.theirs[axis] != 1 for axis in places):
        raise _refuse(name, f"the axes {given}")
    return r.building.reshaped(
        name, value, tuple(size for axis, size in enumerate(value.theirs) if axis not in places)
    )


def _unsqueeze(r: _Reading, name: str, at: Attributes, x: Known, axes: Known = None) -> Value:
    value = _value(name, x)
    given = at["axes"] if axes is None else _constant(name, axes, "axes").tolist()
    rank = len(value.theirs) + r.lead + len(given)
    places = sorted(axis % rank - r.lead for axis in given)
    if places[0] < 0:
        raise _refuse(name, f"the axes {given}")
    sizes = list(value.theirs)
    for place in places:
        sizes.insert(place, 1)
    return r.building.reshaped(name, value, tuple(sizes))


def _transpose(r: _Reading, name: str, at: Attributes, x: Known) -> Any:
    value = x
    if isinstance(value, _StepsFirst):
        return value.turned(r, name, at.get("perm", (2, 1, 0)))
    value = _value(name, value)
    perm = at.get("perm", [*range(len(value.theirs) + r.lead)][::-1])
    if not r.lead:
        return r.building.permuted(name, value, perm)
    if list(perm) == [1, 0, 2] and len(value.theirs) == 2:
        return _StepsFirst(value)
    if perm[0]:
        raise _refuse(name, f"perm={list(perm)}, which moves the samples,")
    return r.building.transpose(name, value, perm)


class _StepsFirst(Value):
    """A sequence with its steps in front of the samples, as RNN, LSTM and GRU want it."""

    def __init__(self, held: Value, axis: bool = False) -> None:
        super().__init__(held.theirs, held.layout, held.node)
        self.held, self.axis = held, axis

    def turned(self, r: _Reading, name: str, perm: Sequence[int]) -> Value:
        if list(perm) != [1, 0, 2] or self.axis:
            raise _refuse(name, f"perm={list(perm)} of a recurrence's output")
        return self.held


def _dropout(
    r: _Reading, name: str, at: Attributes, x: Known, ratio: Known = None, training: Known = None
) -> Any:
    rate = float(at.get("ratio", 0.5)) if ratio is None else float(_constant(name, ratio, "ratio"))
    if training is not None and np.any(_constant(name, training, "training_mode")) and rate:
        raise _refuse(name, "training_mode=1, in which predictions are drawn,")
    if r.wanted(1):  # the mask of a prediction: nothing is left out
        if r.wanted(0):
            raise _refuse(name, "a dropout that is read together with its mask")
        nothing = r.building.times(f"{name}_nothing", _value(name, x), np.zeros(()))
        return (None, r.building.plus(name, nothing, np.ones(())))
    return r.building.entrywise(name, _value(name, x), Dropout(rate)) if 0 < rate < 1 else _value(name, x)


# -- activations -------------------------------------------------------------------------------------------
def _entrywise(make: Callable[[str, Attributes], Layer]) -> Callable[..., Value]:
    return lambda r, name, at, x: r.building.entrywise(name, _value(name, x), make(name, at))


def _selu(name: str, at: Attributes) -> Layer:
    alpha, scale = at.get("alpha", SELU_ALPHA), at.get("gamma", SELU_SCALE)
    return SELU() if np.allclose((alpha, scale), (SELU_ALPHA, SELU_SCALE)) else SELU(alpha, scale)


def _hard_sigmoid(name: str, at: Attributes) -> Layer:
    alpha, beta = at.get("alpha", 0.2), at.get("beta", 0.5)
    return HardSigmoid() if np.allclose((alpha, beta), (1 / 6, 0.5)) else HardSigmoid(alpha, beta)


def _shrink(name: str, at: Attributes) -> Layer:
    limit, bias = at.get("lambd", 0.5), at.get("bias", 0.0)
    if bias not in (0.0, limit):
        raise _refuse(name, f"bias={bias} with lambd={limit}")
    return HardShrink(limit) if bias == 0 else SoftShrink(limit)


def _gelu(name: str, at: Attributes) -> Layer:
    return GELU(approximate=at.get("approximate", "none"))


def _clip(r: _Reading, name: str, at: Attributes, x: Known, low: Known = None, high: Known = None) -> Value:
    lowest = at.get("min", -np.inf) if low is None else float(_constant(name, low, "limit"))
    highest = at.get("max", np.inf) if high is None else float(_constant(name, high, "limit"))
    layers: dict[tuple[float, float], Layer] = {(0.0, np.inf): ReLU(), (0.0, 6.0): ReLU6()}
    layer = layers.get((lowest, highest))
    if lowest == -np.inf and highest == np.inf:
        return _value(name, x)
    if layer is None and lowest < highest:  # without a limit up to the largest number of the type
        most = float(np.finfo(r.dtype).max)
        layer = HardTanh(max(lowest, -most), min(highest, most))
    if layer is None:  # every number is the highest
        nothing = r.building.times(f"{name}_nothing", _value(name, x), np.zeros(()))
        return r.building.plus(name, nothing, np.full((), highest))
    return r.building.entrywise(name, _value(name, x), layer)


def _prelu(r: _Reading, name: str, at: Attributes, x: Known, slope: Known) -> Value:
    value = _value(name, x)
    alpha = r.of_sample(name, value, _constant(name, slope, "slope"))
    wide = [axis - alpha.ndim for axis, size in enumerate(alpha.shape) if size > 1]
    if not wide:
        return r.building.prelu(name, value, alpha, value.layout.first is not False)
    if wide in ([-1], [-len(value.theirs)]):
        return r.building.prelu(name, value, alpha, wide != [-1])
    flat = r.building.reshaped(f"{name}_entries", value, (int(np.prod(value.theirs)),))
    made = r.building.prelu(name, flat, np.broadcast_to(alpha, value.theirs).ravel(), False)
    return r.building.reshaped(f"{name}_shape", made, value.theirs)


def _softmax(r: _Reading, name: str, at: Attributes, x: Known) -> Value:
    value, layer = _value(name, x), LogSoftmax() if r.node.op_type == "LogSoftmax" else Softmax()
    axis = r.place(name, value, at.get("axis", -1 if r.opset >= 13 else 1))
    if r.opset >= 13 or axis == len(value.theirs) - 1:
        return r.building.over_axis(name, value, axis, layer)
    sizes = value.theirs  # up to version 12 over all axes from this one on
    rows = r.building.reshaped(f"{name}_rows", value, (*sizes[:axis], int(np.prod(sizes[axis:]))))
    return r.building.reshaped(f"{name}_axes", r.building.over_axis(name, rows, axis, layer), sizes)


# -- sequences ---------------------------------------------------------------------------------------------
def _gather(r: _Reading, name: str, at: Attributes, E: Known, x: Known) -> Value:
    if isinstance(E, Value):
        places = _constant(name, x, "places")
        axis = r.place(name, E, at.get("axis", 0))
        size = E.theirs[axis]
        taps = tuple(((int(place) % size, 1.0),) for place in places.ravel())
        made = r.building.along(name, E, axis, taps)
        return r.building.reshaped(
            f"{name}_axes", made, (*E.theirs[:axis], *places.shape, *E.theirs[axis + 1 :])
        )
    _only(name, at, axis=0)
    return r.building.embedding(name, _value(name, x), _constant(name, E, "table"))


ORDERS = dict(OPERATORS.values())  # in which the gates lie


def _recurrent(kind: str) -> Callable[..., Any]:
    def read(
        r: _Reading, name: str, at: Attributes, x: Known, W: Known, U: Known, B: Known = None,
        lengths: Known = None, *states: Known,
    ) -> Any:  # fmt: skip
        _only(name, at, clip=None, input_forget=0)
        batchwise = bool(at.get("layout", 0)) and isinstance(x, Value) and not isinstance(x, _StepsFirst)
        if batchwise:
            x = _StepsFirst(_value(name, x))
        if not isinstance(x, _StepsFirst) or (at.get("layout", 0) and not batchwise):
            raise _refuse(
                name, f"{kind} of a sequence that no Transpose has brought to (steps, samples, features)"
            )
        zeros = all(state is None or not np.any(state) for state in states if not isinstance(state, Value))
        short = lengths is not None and (
            isinstance(lengths, Value) or set(np.ravel(lengths).tolist()) != {x.held.theirs[0]}
        )
        if short or any(isinstance(state, Value) for state in states) or not zeros:
            raise _refuse(name, "a recurrence with lengths, states or peepholes")
        direction = at.get("direction", "forward")
        options: dict[str, Any] = {"reverse": direction == "reverse"}
        wanted = ["Tanh"] if kind == "RNN" else ["Sigmoid", "Tanh", "Tanh"][: 3 if kind == "LSTM" else 2]
        functions = at.get("activations", wanted * (2 if direction == "bidirectional" else 1))
        if kind == "RNN" and set(functions) <= {"Tanh", "Relu", "Sigmoid"}:
            options["activation"] = functions[0].lower()
        elif functions[: len(wanted)] != wanted:
            raise _refuse(name, f"activations={functions}")
        if kind == "GRU":
            options["reset_after"] = bool(at.get("linear_before_reset", 0))
        arrays = [_constant(name, array, "weights") for array in (W, U)]
        given = [{"W": w, "U": u} for w, u in zip(*arrays, strict=True)]
        if B is not None:
            after, biases = options.get("reset_after", False), _constant(name, B, "bias")
            halves = (np.split(b, 2) for b in biases)
            given = [cell(kind, w, u, b, c, after) for w, u, (b, c) in zip(*arrays, halves, strict=True)]
        every, last = r.wanted(0), r.wanted(1)
        if (every and last) or r.wanted(2):
            raise _refuse(name, "a recurrence whose steps and last states are both read")
        value = r.building.recurrent(name, x.held, kind, given, ORDERS[kind], every=every, **options)
        if batchwise:
            shape = (*value.theirs[:-1], len(given), value.theirs[-1] // len(given))
            value = r.building.reshaped(f"{name}_directions", value, shape)
            return (value, None, None) if every else (None, value, None)
        return (_Recurred(value, 1), None, None) if every else (None, _Recurred(value, 0), None)

    return read


class _Recurred(_StepsFirst):
    """Y or Y_h of a recurrence, with an axis of directions that a Squeeze leaves out."""

    def __init__(self, held: Value, directions: int) -> None:
        super().__init__(held, axis=True)
        self.directions = directions

    def turned(self, r: _Reading, name: str, perm: Sequence[int]) -> Value:
        if list(perm) == [0, 2, 1, 3] and self.directions == 1:  # both directions go beside the features
            return _BesideDirections(self.held)
        return super().turned(r, name, perm)


class _BesideDirections(_StepsFirst):
    """Y with the axis of directions in front of the features, with which a Reshape puts it together."""

    def __init__(self, held: Value) -> None:
        super().__init__(held, axis=True)


def _squeeze_steps(r: _Reading, name: str, at: Attributes, x: Known, axes: Known = None) -> Value:
    if not isinstance(x, _Recurred):
        return _squeeze(r, name, at, x, axes)
    given = at.get("axes") if axes is None else _constant(name, axes, "axes").tolist()
    if given != [x.directions]:
        raise _refuse(name, f"the axes {given} of a recurrence's output")
    return _StepsFirst(x.held) if x.directions else x.held


NODES: dict[str, Callable[..., Any]] = {
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Add": _add,
    "Sum": _add,
    "Sub": _subtract,
    "Mul": _times,
    "Div": _divided,
    "Concat": _concat,
    "Conv": _conv,
    "ConvTranspose": _conv_transposed,
    "MaxPool": _pool("max"),
    "AveragePool": _pool("average"),
    "LpPool": _pool("l2"),
    "Pad": _pad,
    "Slice": _slice,
    **dict.fromkeys(("Resize", "Upsample"), _resize),
    "DepthToSpace": _depth_to_space,
    "GlobalAveragePool": _global_pool("average"),
    "GlobalMaxPool": _global_pool("max"),
    "ReduceMean": _reduced_to(mean=True),
    "ReduceSum": _reduced_to(mean=False),
    "BatchNormalization": _batch_norm,
    "LayerNormalization": _layer_norm,
    "InstanceNormalization": _instance_norm,
    "GroupNormalization": _group_norm,
    "LRN": _local_norm,
    "RMSNormalization": _rms_norm,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Squeeze": _squeeze_steps,
    "Unsqueeze": _unsqueeze,
    "Transpose": _transpose,
    "Identity": lambda r, name, at, x: x,
    "Cast": lambda r, name, at, x: x,
    "Dropout": _dropout,
    **dict.fromkeys(("Softmax", "LogSoftmax"), _softmax),
    "PRelu": _prelu,
    "Clip": _clip,
    "Gather": _gather,
    "Relu": _entrywise(lambda name, at: ReLU()),
    "LeakyRelu": _entrywise(lambda name, at: LeakyReLU(at.get("alpha", 0.01))),
    "Elu": _entrywise(lambda name, at: ELU(at.get("alpha", 1.0))),
    "Selu": _entrywise(_selu),
    "Gelu": _entrywise(_gelu),
    "Mish": _entrywise(lambda name, at: Mish()),
    "Celu": _entrywise(lambda name, at: CELU(at.get("alpha", 1.0))),
    "ThresholdedRelu": _entrywise(lambda name, at: Threshold(at.get("alpha", 1.0), 0.0)),
    "Shrink": _entrywise(_shrink),
    "Sigmoid": _entrywise(lambda name, at: Sigmoid()),
    "Tanh": _entrywise(lambda name, at: Tanh()),
    "Softplus": _entrywise(lambda name, at: Softplus()),
    "Softsign": _entrywise(lambda name, at: Softsign()),
    "HardSigmoid": _entrywise(_hard_sigmoid),
    "HardSwish": _entrywise(lambda name, at: HardSwish()),
    **{kind: _recurrent(kind) for kind in ORDERS},
}
STEPS_FIRST = {
    "Transpose",
    "Squeeze",
    "Reshape",
    "Identity",
    "Cast",
    *ORDERS,
}  # know steps in front of samples
ENTRYWISE = {
    *("Relu", "LeakyRelu", "Elu", "Selu", "Gelu", "Mish", "Sigmoid", "Tanh", "Softplus", "Softsign"),
    *("HardSigmoid", "HardSwish", "Clip", "Dropout", "Celu", "ThresholdedRelu", "Shrink"),
}
