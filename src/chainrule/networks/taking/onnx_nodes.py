"""An ONNX model as a network: its nodes as layers, and its constants as their weights.

Models of networks are taken, as PyTorch, Keras and others export them: one input of samples, one output,
nodes that are layers. The network takes images with their channels last, (N, rows, columns, channels), where
the model has them first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, FileError, MissingExtraError
from chainrule.base.scalars import text_path
from chainrule.base.types import Array
from chainrule.layers import (
    ELU,
    GELU,
    SELU,
    Dropout,
    HardSigmoid,
    HardSwish,
    HardTanh,
    Layer,
    LeakyReLU,
    Mish,
    ReLU,
    ReLU6,
    Sigmoid,
    Softplus,
    Softsign,
    Tanh,
)
from chainrule.layers.activations.rectifiers import SELU_ALPHA, SELU_SCALE
from chainrule.networks.forms.onnx.sequences import OPERATORS
from chainrule.networks.network import Network
from chainrule.networks.taking.building import Building, cell
from chainrule.networks.taking.values import Value

Known = Value | Array | None
Attributes = Mapping[str, Any]


def from_onnx(
    model: Any, input_shape: Any = None, *, output: str | None = None, dtype: str | None = None
) -> Network:
    """A network that computes what an ONNX model computes, with its weights; train it on from there.

    model: the path of a file, or an onnx.ModelProto.
    input_shape: of one sample as the model takes it, (channels, rows, columns) of images, where the model
        leaves sizes open. The network itself takes (rows, columns, channels).
    output: which of several outputs, by default the first. dtype: by default that of the model's input.
    Raises ArgumentError that names the node and the attribute that have no layer here, FileError for a file
    that is no model, and MissingExtraError without the extra `onnx`.
    """
    try:
        import onnx
    except ImportError:
        raise MissingExtraError("onnx", "onnx", "from_onnx") from None
    if not isinstance(model, onnx.ModelProto):
        model = _loaded(onnx, text_path(model, "model"))
    reading = _Reading(onnx, model, input_shape)
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

    def __init__(self, onnx: Any, model: Any, input_shape: Any) -> None:
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
        self.building = Building(self._shape(inputs[0], input_shape))
        self.known[inputs[0].name] = self.building.input
        kind = inputs[0].type.tensor_type.elem_type
        self.dtype = "float64" if kind == onnx.TensorProto.DOUBLE else "float32"

    def _shape(self, given: Any, chosen: Any) -> tuple[int, ...]:
        if chosen is not None:
            return (int(chosen),) if isinstance(chosen, (int, np.integer)) else tuple(map(int, chosen))
        sizes = [axis.dim_value for axis in given.type.tensor_type.shape.dim][1:]
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
        self.readers = Counter([output or names[0], *(name for node in needed for name in node.input)])
        for node in needed:
            self.node = node
            outputs = self._outputs(node)
            for name, value in zip(node.output, outputs, strict=False):
                if name:
                    self.known[name] = value
        if output is not None and output not in self.known:
            raise ArgumentError(f"the model has no output {output!r}; it has {', '.join(names)}")
        value = self.known.get(output or names[0])
        if not isinstance(value, Value):
            raise ArgumentError(f"the output {output or names[0]!r} is not made of the input")
        return value

    def _needed(self, output: str) -> list[Any]:
        """The nodes that an output is made by."""
        wanted, needed = {output}, []
        for node in reversed(self.graph.node):
            if wanted & {name for name in node.output if name}:
                needed.append(node)
                wanted |= set(node.input)
        return needed[::-1]

    def _outputs(self, node: Any) -> Sequence[Known]:
        attributes = {held.name: self._attribute(held) for held in node.attribute}
        inputs = [
            self.known[name] if name in self.known else self._missing(node, name) for name in node.input
        ]
        if node.op_type == "Constant":
            return [np.asarray(next(iter(attributes.values())))]
        if all(given is None or isinstance(given, np.ndarray) for given in inputs):
            return self._computed(node, inputs)
        name = node.name or node.output[0]
        if node.op_type not in NODES or node.domain not in ("", "ai.onnx"):
            raise ArgumentError(f"node {name}: the operator {node.op_type} has no layer in chainrule")
        made = NODES[node.op_type](self, name, attributes, *inputs)
        return made if isinstance(made, tuple) else (made,)

    def wanted(self, output: int) -> bool:
        """Whether anything reads an output of the node at hand."""
        return len(self.node.output) > output and self.readers[self.node.output[output]] > 0

    def _missing(self, node: Any, name: str) -> Known:
        raise ArgumentError(f"node {node.name}: reads {name!r}, which no node before it puts out")

    def _computed(self, node: Any, inputs: Sequence[Known]) -> Sequence[Known]:
        """What is constant is computed by onnx itself."""
        from onnx.reference import ReferenceEvaluator

        return list(ReferenceEvaluator(node).run(None, dict(zip(node.input, inputs, strict=True))))

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
    _only(name, at, transA=0)
    matrix = _constant(name, W, "matrix") * at.get("alpha", 1.0)
    matrix = matrix if at.get("transB", 0) else matrix.T
    if b is None:
        return r.building.dense(name, _value(name, x), matrix, None)
    bias = _constant(name, b, "bias") * at.get("beta", 1.0)
    return r.building.dense(name, _value(name, x), matrix, np.broadcast_to(bias, (1, len(matrix)))[0])


def _matmul(r: _Reading, name: str, at: Attributes, x: Known, W: Known) -> Value:
    matrix = _constant(name, W, "matrix")
    if matrix.ndim != 2:
        raise _refuse(name, f"a product by an array of the shape {matrix.shape}")
    return r.building.dense(name, _value(name, x), matrix.T, None)


def _add(r: _Reading, name: str, at: Attributes, *given: Known) -> Value:
    values = [value for value in given if isinstance(value, Value)]
    if len(values) == len(given):
        return r.building.join(name, values, "sum") if len(values) > 1 else values[0]
    constant = next(value for value in given if isinstance(value, np.ndarray))
    read = r.node.input[0 if given[0] is values[0] else 1]
    if r.readers[read] > 1:
        raise _refuse(name, "a constant added to what others read, too,")
    return r.building.shifted(name, values[0], constant)


def _concat(r: _Reading, name: str, at: Attributes, *given: Known) -> Value:
    return r.building.join(name, [_value(name, value) for value in given], "concat", at["axis"])


# -- windows -----------------------------------------------------------------------------------------------
def _window(
    name: str, at: Attributes, kernel: Sequence[int]
) -> tuple[list[int], list[tuple[int, int]] | str, list[int]]:
    axes = len(kernel)
    strides, dilations = at.get("strides", [1] * axes), at.get("dilations", [1] * axes)
    auto = at.get("auto_pad", "NOTSET")
    if auto == "SAME_UPPER":
        return strides, "same", dilations
    if auto == "SAME_LOWER":
        raise _refuse(name, "auto_pad='SAME_LOWER'")
    pads = at.get("pads", [0] * 2 * axes) if auto == "NOTSET" else [0] * 2 * axes
    return strides, list(zip(pads[:axes], pads[axes:], strict=True)), dilations


def _conv(r: _Reading, name: str, at: Attributes, x: Known, W: Known, b: Known = None) -> Value:
    kernel = _constant(name, W, "kernel")
    strides, pads, dilations = _window(name, at, kernel.shape[2:])
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
    if "output_shape" in at:
        raise _refuse(name, f"output_shape={at['output_shape']}")
    strides, pads, dilations = _window(name, at, kernel.shape[2:])
    bias = None if b is None else _constant(name, b, "bias")
    more = at.get("output_padding", [0] * len(strides))
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
        kernel = at["kernel_shape"]
        strides, pads, dilations = _window(name, at, kernel)
        _only(name, at, storage_order=0, p=2)
        if set(dilations) != {1}:
            raise _refuse(name, f"dilations={dilations}")
        over, counts = bool(at.get("ceil_mode", 0)), bool(at.get("count_include_pad", 0))
        return r.building.pool(
            name, _value(name, x), kind, kernel, strides, pads, ceil_mode=over, count_padding=counts
        )

    return read


PADDINGS = {"constant": "zeros", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}


def _of_positions(r: _Reading, name: str, value: Value, of_axes: Mapping[int, Any], none: Any) -> list[Any]:
    """What is told of rows and columns, from what is told of axes; refused where it is told of others."""
    count = len(value.theirs)
    if value.layout.first is None and count > 1:
        value.layout.settle(of_axes.get(1, none) == none)
    places = range(2, count + 1) if value.layout.first else range(1, count)
    others = {axis for axis, told in of_axes.items() if told != none} - set(places)
    if others or count not in (2, 3):
        raise _refuse(name, f"what it does to the axes {sorted(others) or count}")
    return [of_axes.get(axis, none) for axis in places]


def _pad(
    r: _Reading, name: str, at: Attributes, x: Known, pads: Known = None, value: Known = None,
    axes: Known = None,
) -> Value:  # fmt: skip
    held, mode = _value(name, x), at.get("mode", "constant")
    given = at["pads"] if pads is None else _constant(name, pads, "pads").tolist()
    number = at.get("value", 0) if value is None else float(_constant(name, value, "value"))
    if mode not in PADDINGS or (mode == "constant" and number):
        raise _refuse(name, f"mode={mode!r} with the value {number}")
    half = len(given) // 2
    told = range(half) if axes is None else _constant(name, axes, "axes").tolist()
    sides = zip(given[:half], given[half:], strict=True)
    by_axis = {axis % (len(held.theirs) + 1): side for axis, side in zip(told, sides, strict=True)}
    return r.building.pad(name, held, _of_positions(r, name, held, by_axis, (0, 0)), PADDINGS[mode])


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
    if steps is not None and set(_constant(name, steps, "steps").tolist()) != {1}:
        raise _refuse(name, "a slice with steps")
    by_axis = {}
    for axis, start, end in zip(told, first, last, strict=True):
        place = axis % (len(held.theirs) + 1)
        if not place:
            raise _refuse(name, "a slice of the samples")
        kept = range(*slice(start, end).indices(held.theirs[place - 1]))
        if not kept:
            raise _refuse(name, "a slice of nothing")
        by_axis[place] = (-kept[0], kept[-1] + 1 - held.theirs[place - 1])
    return r.building.pad(name, held, _of_positions(r, name, held, by_axis, (0, 0)), "zeros")


def _resize(
    r: _Reading, name: str, at: Attributes, x: Known, roi: Known = None, scales: Known = None,
    sizes: Known = None,
) -> Value:  # fmt: skip
    held = _value(name, x)
    if r.node.op_type == "Upsample":
        roi, scales = None, np.asarray(at["scales"]) if "scales" in at else roi
    how = at.get("coordinate_transformation_mode", "half_pixel"), at.get("nearest_mode", "round_prefer_floor")
    between, half = at.get("mode", "nearest") == "linear", how[0].endswith("half_pixel")
    right = how == ("asymmetric", "floor") or (half and how[1].startswith("round"))
    right = half if between else right or r.node.op_type == "Upsample"
    if at.get("mode", "nearest") not in ("nearest", "linear") or not right:
        raise _refuse(name, f"mode={at.get('mode')!r} with {' and '.join(how)}")
    _only(name, at, keep_aspect_ratio_policy="stretch")
    old = [1.0, *held.theirs]
    told = [axis % len(old) for axis in at.get("axes", range(len(old)))]
    if scales is None or (isinstance(scales, np.ndarray) and not scales.size):
        made = _constant(name, sizes, "sizes").tolist()
        factors = [size / old[axis] if axis else 1.0 for axis, size in zip(told, made, strict=True)]
    else:
        factors = _constant(name, scales, "scales").astype(float).tolist()
    by_axis = dict(zip(told, factors, strict=True))
    wanted = _of_positions(r, name, held, by_axis, 1.0)
    if any(factor < 1 or factor != int(factor) for factor in wanted):
        raise _refuse(name, f"an image {wanted} times as large")
    return r.building.upsample(name, held, [int(factor) for factor in wanted], between)


def _depth_to_space(r: _Reading, name: str, at: Attributes, x: Known) -> Value:
    if at.get("mode", "DCR") != "CRD" and at["blocksize"] > 1:
        raise _refuse(name, "mode='DCR'")
    return r.building.shuffle(name, _value(name, x), at["blocksize"])


def _global_pool(kind: str) -> Callable[..., Value]:
    return lambda r, name, at, x: r.building.global_pool(name, _value(name, x), kind, keep=True)


def _reduced(r: _Reading, name: str, at: Attributes, x: Known, axes: Known = None) -> Value:
    value = _value(name, x)
    given = at.get("axes") if axes is None else _constant(name, axes, "axes").tolist()
    count, keep = len(value.theirs), bool(at.get("keepdims", 1))
    places = sorted(axis % (count + 1) for axis in given or [])
    if count > 1 and places == [*range(2, count + 1)] and value.layout.first is not False:
        return r.building.global_pool(name, value, "average", keep)
    if count == 2 and places == [1] and value.layout.first is not True and not keep:
        return r.building.global_pool(
            name, r.building.transpose(name, value, (0, 2, 1)), "average", keep=False
        )
    raise _refuse(name, f"a mean over the axes {given}")


# -- normalisation -----------------------------------------------------------------------------------------
def _batch_norm(r: _Reading, name: str, at: Attributes, x: Known, *given: Known) -> Value:
    _only(name, at, training_mode=0, spatial=1)
    names = ("gamma", "beta", "mean", "variance")
    numbers = {key: _constant(name, array, "statistics") for key, array in zip(names, given, strict=True)}
    momentum = round(1 - at.get("momentum", 0.9), 7)
    epsilon = at.get("epsilon", 1e-5)
    return r.building.batch_norm(name, _value(name, x), numbers, epsilon, momentum)


def _layer_norm(r: _Reading, name: str, at: Attributes, x: Known, gamma: Known, beta: Known = None) -> Value:
    value = _value(name, x)
    if at.get("axis", -1) not in (-1, len(value.theirs)):
        raise _refuse(name, f"axis={at['axis']}")
    numbers = _scales(name, gamma, beta)
    return r.building.norm(name, value, "layer", numbers, at.get("epsilon", 1e-5))


def _rms_norm(r: _Reading, name: str, at: Attributes, x: Known, gamma: Known) -> Value:
    value = _value(name, x)
    if at.get("axis", -1) not in (-1, len(value.theirs)):
        raise _refuse(name, f"axis={at['axis']}")
    return r.building.norm(name, value, "rms", _scales(name, gamma), at.get("epsilon", 1e-5))


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


# -- shapes ------------------------------------------------------------------------------------------------
def _flatten(r: _Reading, name: str, at: Attributes, x: Known) -> Value:
    _only(name, at, axis=1)
    return r.building.flatten(name, _value(name, x))


def _reshape(r: _Reading, name: str, at: Attributes, x: Known, shape: Known) -> Value:
    value, sizes = _value(name, x), _constant(name, shape, "shape").tolist()
    if isinstance(x, _BesideDirections) and len(sizes) == 3 and sizes[2] in (-1, x.held.theirs[-1]):
        return _StepsFirst(x.held)
    whole = int(np.prod(value.theirs))
    if len(sizes) == 2 and sizes[1] in (-1, whole):
        return r.building.flatten(name, value)
    if [*sizes[1:]] == [*value.theirs]:
        return value
    raise _refuse(name, f"the shape {sizes}")


def _squeeze(r: _Reading, name: str, at: Attributes, x: Known, axes: Known = None) -> Value:
    value = _value(name, x)
    given = at.get("axes") if axes is None else _constant(name, axes, "axes").tolist()
    places = sorted(axis % (len(value.theirs) + 1) for axis in given or [])
    if value.ones and places == [*range(len(value.theirs) - value.ones + 1, len(value.theirs) + 1)]:
        return r.building.flatten(name, value)
    raise _refuse(name, f"the axes {given}")


def _transpose(r: _Reading, name: str, at: Attributes, x: Known) -> Any:
    value = x
    if isinstance(value, _StepsFirst):
        return value.turned(r, name, at["perm"])
    value = _value(name, value)
    if list(at["perm"]) == [1, 0, 2] and len(value.theirs) == 2:
        return _StepsFirst(value)
    return r.building.transpose(name, value, at["perm"])


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
) -> Value:
    rate = float(at.get("ratio", 0.5)) if ratio is None else float(_constant(name, ratio, "ratio"))
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


def _gelu(name: str, at: Attributes) -> Layer:
    return GELU(approximate=at.get("approximate", "none"))


def _clip(r: _Reading, name: str, at: Attributes, x: Known, low: Known = None, high: Known = None) -> Value:
    lowest = at.get("min", -np.inf) if low is None else float(_constant(name, low, "limit"))
    highest = at.get("max", np.inf) if high is None else float(_constant(name, high, "limit"))
    layers: dict[tuple[float, float], Layer] = {(0.0, np.inf): ReLU(), (0.0, 6.0): ReLU6()}
    layer = layers.get((lowest, highest))
    if layer is None and np.isfinite((lowest, highest)).all() and lowest < highest:
        layer = HardTanh(lowest, highest)
    if layer is None:
        raise _refuse(name, f"the range from {lowest} to {highest}")
    return r.building.entrywise(name, _value(name, x), layer)


def _prelu(r: _Reading, name: str, at: Attributes, x: Known, slope: Known) -> Value:
    value, alpha = _value(name, x), _constant(name, slope, "slope")
    front = alpha.ndim < len(value.theirs) or alpha.shape[-1] == 1
    return r.building.prelu(
        name,
        value,
        alpha,
        (len(value.theirs) > 1 and front and alpha.size > 1) or value.layout.first is not False,
    )


def _softmax(r: _Reading, name: str, at: Attributes, x: Known) -> Value:
    value = _value(name, x)
    axis = at.get("axis", -1 if r.opset >= 13 else 1)
    if r.opset < 13 and len(value.theirs) > 1 and axis not in (-1, len(value.theirs)):
        raise _refuse(name, f"Softmax of version {r.opset}, over several axes")
    return r.building.softmax(name, value, axis)


# -- sequences ---------------------------------------------------------------------------------------------
def _gather(r: _Reading, name: str, at: Attributes, E: Known, x: Known) -> Value:
    _only(name, at, axis=0)
    return r.building.embedding(name, _value(name, x), _constant(name, E, "table"))


ORDERS = dict(OPERATORS.values())  # in which the gates lie


def _recurrent(kind: str) -> Callable[..., Any]:
    def read(
        r: _Reading, name: str, at: Attributes, x: Known, W: Known, U: Known, B: Known = None,
        lengths: Known = None, *states: Known,
    ) -> Any:  # fmt: skip
        _only(name, at, layout=0, clip=None, input_forget=0)
        if not isinstance(x, _StepsFirst):
            raise _refuse(
                name, f"{kind} of a sequence that no Transpose has brought to (steps, samples, features)"
            )
        zeros = all(state is None or not np.any(state) for state in states if not isinstance(state, Value))
        if lengths is not None or any(isinstance(state, Value) for state in states) or not zeros:
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
    "ReduceMean": _reduced,
    "BatchNormalization": _batch_norm,
    "LayerNormalization": _layer_norm,
    "InstanceNormalization": _instance_norm,
    "GroupNormalization": _group_norm,
    "RMSNormalization": _rms_norm,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Squeeze": _squeeze_steps,
    "Transpose": _transpose,
    "Identity": lambda r, name, at, x: x,
    "Cast": lambda r, name, at, x: x,
    "Dropout": _dropout,
    "Softmax": _softmax,
    "PRelu": _prelu,
    "Clip": _clip,
    "Gather": _gather,
    "Relu": _entrywise(lambda name, at: ReLU()),
    "LeakyRelu": _entrywise(lambda name, at: LeakyReLU(at.get("alpha", 0.01))),
    "Elu": _entrywise(lambda name, at: ELU(at.get("alpha", 1.0))),
    "Selu": _entrywise(_selu),
    "Gelu": _entrywise(_gelu),
    "Mish": _entrywise(lambda name, at: Mish()),
    "Sigmoid": _entrywise(lambda name, at: Sigmoid()),
    "Tanh": _entrywise(lambda name, at: Tanh()),
    "Softplus": _entrywise(lambda name, at: Softplus()),
    "Softsign": _entrywise(lambda name, at: Softsign()),
    "HardSigmoid": _entrywise(_hard_sigmoid),
    "HardSwish": _entrywise(lambda name, at: HardSwish()),
    **{kind: _recurrent(kind) for kind in ORDERS},
}
