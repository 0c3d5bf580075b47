"""An ONNX model as a network: its nodes as layers, and its constants as their weights.

Models of networks are taken, as PyTorch, Keras and others export them: nodes that are layers. The network
takes images with their channels last, (N, rows, columns, channels), where the model has them first.
"""

from __future__ import annotations

import copy
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, FileError, MissingExtraError
from chainrule.base.scalars import check_choice, text_path
from chainrule.base.types import Array
from chainrule.layers import Floor, RMSNorm, Wrap
from chainrule.networks.network import Network
from chainrule.networks.taking.onnx import arithmetic, elements, moving, norms, sequences, shapes, windows
from chainrule.networks.taking.onnx.attending import Attending, attentions
from chainrule.networks.taking.onnx.fusing import Fused, constants_of, fused, pruned
from chainrule.networks.taking.onnx.reading import (
    Attributes,
    Known,
    Reading,
    SamplesAt,
    behind,
    opened,
    refuse,
    value_of,
)
from chainrule.networks.taking.onnx.sequences import ORDERS
from chainrule.networks.taking.onnx.shapes import samples_behind
from chainrule.networks.taking.values import Flags, Value

NODES: dict[str, Callable[..., Any]] = {
    **arithmetic.NODES,
    **elements.NODES,
    **moving.NODES,
    **norms.NODES,
    **shapes.NODES,
    **windows.NODES,
    **sequences.NODES,
}
MOVING = {"Transpose", "Reshape", "Identity", "Cast", *ORDERS}  # see to the axis of samples themselves
ENTRYWISE = {
    *("Relu", "LeakyRelu", "Elu", "Selu", "Gelu", "Mish", "Sigmoid", "Tanh", "Softplus", "Softsign"),
    *("HardSigmoid", "HardSwish", "Clip", "Dropout", "Celu", "ThresholdedRelu", "Shrink", "Swish", "SwiGLU"),
    *("Neg", "Pow", "Max", "Min", "Floor"),
}
# Of whole numbers: what is rounded, and what goes on at the other end where their type has no more.
ROUNDED = {"Div", "ReduceMean"}
ROUND = {"Add", "Sub", "Mul", "Sum", "Pow", "Neg", "ReduceSum", "MatMul", "Gemm"}
EXACT = 53  # bits: whole numbers of a float64
FROM_AXIS = {"LayerNormalization", "RMSNormalization"}  # over all axes from one on
# What asks where an axis is, and so knows of samples that are not on the first.
OVER_AXES = {
    *("Add", "Sub", "Mul", "Div", "Sum", "Concat", "Slice", "Gather", "Squeeze", "Unsqueeze"),
    *("Softmax", "LogSoftmax", "ReduceMean", "ReduceMax", "ReduceSum"),
    *("LayerNormalization", "RMSNormalization"),
}


def from_onnx(
    model: Any, input_shape: Any = None, *, output: str | Sequence[str] | None = None,
    samples: int | None = 0, channels: str | None = None, dtype: str | None = None,
) -> Network:  # fmt: skip
    """A network that computes what an ONNX model computes, with its weights; train it on from there.

    model: the path of a file, or an onnx.ModelProto.
    input_shape: of one sample as the model takes it, (channels, rows, columns) of images, where the model
        leaves sizes open. The network itself takes (rows, columns, channels). Of several inputs their shapes
        by name, {"image": (3, 32, 32), "age": 4}.
    output: which of several outputs, a name or a list of them; by default all of real numbers. Several inputs
        or outputs, and values that cross, make a `Graph`.
    dtype: by default that of the model's input.
    samples: which axis of the model's input has the samples: 0, 1 of sequences whose steps stand in front,
        or None for a model that takes one sample and has no such axis.
    channels: "first" or "last", where the model's inputs have theirs. None: what the first layer tells that
        reads channels; where none does images have them in front, and a warning says so.
    Raises ArgumentError that names the node and the attribute that have no layer here, FileError for a file
    that is no model, and MissingExtraError without the extra `onnx`.
    """
    try:
        import onnx
    except ImportError:
        raise MissingExtraError("onnx", "onnx", "from_onnx") from None
    if not isinstance(model, onnx.ModelProto):
        model = _loaded(onnx, text_path(model, "model"))
    reading = Nodes(onnx, model, input_shape, samples)
    names = reading.chosen(output)
    if channels is not None:
        first = check_choice("from_onnx channels", channels, ("first", "last")) == "first"
        for value in reading.building.inputs.values():
            value.layout.settle(first)
    outputs = reading.read(names)
    network = reading.building.network(outputs, dtype or reading.dtype)
    for name in reading.building.supposed_first():
        value = reading.building.inputs[name]
        warnings.warn(
            f"from_onnx: nothing in the model tells where the channels of its input {name!r}, "
            f"{value.theirs}, are: they are taken to stand in front, and the network takes {value.ours}; "
            "write channels='first' to say so, or channels='last'",
            stacklevel=2,
        )
    return network


def _loaded(onnx: Any, path: str) -> Any:
    try:
        model = onnx.load(path)
        onnx.checker.check_model(path)
    except OSError as error:
        raise FileError(f"{path}: cannot be read ({error.strerror or error})") from error
    except Exception as error:  # protobuf's and the checker's own
        raise FileError(f"{path}: is no ONNX model ({str(error).splitlines()[0]})") from error
    return model


class Nodes(Reading):
    """The nodes of a model, in their order."""

    def read(self, outputs: Sequence[str]) -> dict[str, Value]:
        """The values that the model puts out, by name."""
        needed = self._needed(outputs)
        numbers = constants_of(needed, self.known, self.onnx)
        attending = list(attentions(self.onnx, self.opset, needed, numbers, self._sample()))
        within = {number for _, _, region in attending for number in region}
        self.fused = {
            **fused(needed, numbers, self.inputs, within),
            **{name: held for name, held, _ in attending},
        }
        needed = pruned(needed, self.fused, outputs)
        self.readers = Counter([*outputs, *(name for node in needed for name in self._reads(node))])
        for node in needed:
            self.node = node
            self.building.calls.begin(self._weights(node))
            for name, value in zip(node.output, self._outputs(node), strict=False):
                if name:
                    self.known[name] = value
        made: dict[str, Value] = {}
        for name in outputs:
            value = self.known.get(name)
            if not isinstance(value, Value):
                raise ArgumentError(f"the output {name!r} is not made of the input")
            made[name], self.made_at = opened(value)  # and the axis on which the model has its samples there
        return made

    def chosen(self, given: str | Sequence[str] | None) -> list[str]:
        """The names of the outputs that are to be taken: those that are told, or all of real numbers."""
        names = [held.name for held in self.graph.output]
        if given is None:
            return [name for name in names if not self.whole(name)] or names[:1]
        told = [given] if isinstance(given, str) else list(given)
        made = {name for node in self.graph.node for name in node.output} | set(names)
        for name in told:
            if name not in made:
                raise ArgumentError(f"the model has no output {name!r}; it has {', '.join(names)}")
        return told

    def _sample(self) -> dict[str, Array]:
        """A batch of one sample, of numbers as good as any, by the names of the inputs."""
        rng, made = np.random.default_rng(0), {}
        for name, value in self.inputs.items():
            numbers = rng.normal(size=(1,) * self.lead + value.theirs)
            kind = bool if self.kind(name) == self.onnx.TensorProto.BOOL else np.int64
            made[name] = (numbers * 0).astype(kind) if self.whole(name) else numbers
        return made

    def _weights(self, node: Any) -> Any:
        """What tells a node with weights from others: nodes that have the same tensors are one layer."""
        arrays = [name for name in node.input if isinstance(self.known.get(name), np.ndarray)]
        if not any(self.known[name].ndim > 1 for name in arrays):  # type: ignore[union-attr]
            return None
        return node.op_type, *arrays, *sorted(held.SerializeToString() for held in node.attribute)

    def _reads(self, node: Any) -> list[str]:
        held = self.fused.get(node.output[0])
        return list(node.input if held is None else held.roots)

    def _needed(self, outputs: Sequence[str]) -> list[Any]:
        """The nodes that outputs are made by."""
        wanted, needed = set(outputs), []
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
        if node.op_type == "Shape" and isinstance(inputs[0], Value | Flags):
            of = inputs[0].of if isinstance(inputs[0], Flags) else inputs[0]
            return [self._sizes(of)[slice(attributes.get("start", 0), attributes.get("end"))]]
        if node.op_type == "Constant":
            return [np.asarray(next(iter(attributes.values())))]
        if all(given is None or isinstance(given, np.ndarray) for given in inputs):
            return self._computed(node, inputs)
        name = node.name or next(output for output in node.output if output)
        reader = NODES.get(node.op_type, arithmetic.FLAGS.get(node.op_type))
        if any(isinstance(given, Flags) for given in inputs):
            reader = arithmetic.OF_FLAGS.get(node.op_type)
            if reader is None:
                raise refuse(name, f"{node.op_type} of a comparison of ids")
        if reader is None or node.domain not in ("", "ai.onnx"):
            raise ArgumentError(f"node {name}: the operator {node.op_type} has no layer in chainrule")
        if node.op_type not in MOVING and any(isinstance(given, SamplesAt) for given in inputs):
            return (self._elsewhere(node, name, attributes, inputs),)
        made = reader(self, name, attributes, *inputs)
        if isinstance(made, tuple | Flags):
            return made if isinstance(made, tuple) else (made,)
        return (self._as_whole(node, name, made) if self.whole(node.output[0]) else made,)

    def _as_whole(self, node: Any, name: str, made: Value) -> Value:
        """What arithmetic of real numbers made, as that of whole numbers has it: rounded to 0, and where
        their type has no more it goes on at the other end. They are right up to 2^53, those of a float64.
        """
        if node.op_type not in ROUNDED | ROUND:
            return made
        held = self.onnx.helper.tensor_dtype_to_np_dtype(self.kind(node.output[0]))
        if node.op_type == "ReduceMean":  # a sum of n-ths, which may lie below the whole number that it is
            raise refuse(name, "ReduceMean of whole numbers, which is rounded,")
        if node.op_type in ROUNDED:
            made = self.building.entrywise(f"{name}_whole", made, Floor(toward_zero=True))
        elif held.itemsize * 8 < EXACT:
            low, high = np.iinfo(held).min, int(np.iinfo(held).max) + 1
            made = self.building.entrywise(f"{name}_round", made, Wrap(low, high))
        elif held.kind == "u" and node.op_type in ("Sub", "Neg"):
            raise refuse(name, f"{node.op_type} of uint64, whose numbers below 0 are those near 2^64,")
        if held.itemsize * 8 > 24:  # the bits of a float32
            self.dtype = "float64"
        return made

    def _one(self, node: Any, held: Fused | Attending) -> Value:
        """Several nodes that are one layer."""
        name, value = node.name or node.output[0], self.known[held.roots[0]]
        if isinstance(held, Attending):
            told = held.roots[: len(held.roots) - (held.padding is not None)]
            read = [value_of(name, self.known[root]) for root in told]
            if held.padding is not None:
                hides, table = held.padding
                padding = self.known[held.roots[-1]]
                if not isinstance(padding, Flags):
                    padding = value_of(name, padding)
                elif not hides:
                    raise refuse(name, "a mask that hides all ids but one")
                read.append(self.building.seen(name, padding, table, hides))
            return self.building.attention(name, read, copy.copy(held.layer), held.weights)
        layer = copy.copy(held.layer)
        if held.axis is None:
            one, at = opened(value)
            return behind(self.building.entrywise(name, value_of(name, one), layer), at)
        one = value_of(name, value)
        if isinstance(value, SamplesAt) or self.place(name, one, held.axis) != len(one.theirs) - 1:
            raise refuse(name, f"a norm over axis {held.axis}")
        kind = "rms" if isinstance(layer, RMSNorm) else "layer"
        return self.building.last_norm(name, one, kind, {}, layer.epsilon)  # type: ignore[attr-defined]

    def _sizes(self, value: Value) -> Array:
        """What Shape gives, with a number of its own for the samples."""
        held, at = opened(value)
        return np.array([*held.theirs[:at], *(self.samples,)[: self.lead], *held.theirs[at:]])

    def _elsewhere(self, node: Any, name: str, attributes: Attributes, inputs: Sequence[Any]) -> Value:
        """What acts on values whose samples are on another axis than the first."""
        told = {opened(given)[1] for given in inputs if isinstance(given, Value)}
        by_matrix = node.op_type == "MatMul" and isinstance(inputs[1], np.ndarray) and inputs[1].ndim == 2
        known = by_matrix or node.op_type in ENTRYWISE or node.op_type in OVER_AXES
        if len(told) != 1 or not known:
            raise refuse(name, f"{node.op_type} of a value whose samples are not on the first axis")
        (self.at,) = told
        if node.op_type in FROM_AXIS or (self.opset < 13 and node.op_type.endswith("Softmax")):
            first = attributes.get("axis", 1 if node.op_type.endswith("Softmax") else -1)
            if first % (len(opened(inputs[0])[0].theirs) + 1) < self.at:
                raise refuse(name, f"{node.op_type} over axis {first} and all behind it, the samples too,")
        try:
            made: Value = NODES[node.op_type](self, name, attributes, *(opened(given)[0] for given in inputs))
            return behind(made, self.at + self._more_in_front(node, attributes, inputs))
        finally:
            self.at = 0

    def _more_in_front(self, node: Any, attributes: Attributes, inputs: Sequence[Any]) -> int:
        """How many axes more there are in front of the samples than before."""
        rank = len(opened(inputs[0])[0].theirs) + 1 if isinstance(inputs[0], Value) else 0
        axes = attributes.get("axes", inputs[1] if len(inputs) > 1 else None)
        if node.op_type == "Gather":
            return int(np.ndim(inputs[1])) - 1 if attributes.get("axis", 0) % rank < self.at else 0
        if node.op_type == "Unsqueeze":
            made = sorted(int(axis) % (rank + len(axes)) for axis in axes)
            return samples_behind(made, self.at) - self.at
        reduced = node.op_type.startswith("Reduce") and not attributes.get("keepdims", 1)
        if node.op_type != "Squeeze" and not reduced:
            return 0
        if axes is None:
            sizes: Sequence[int] = opened(inputs[0])[0].theirs
            return -sum(1 for size in sizes[: self.at] if size == 1)
        return -sum(1 for axis in axes if int(axis) % rank < self.at)

    def _missing(self, node: Any, name: str) -> Known:
        raise ArgumentError(f"node {node.name}: reads {name!r}, which no node before it puts out")

    def _computed(self, node: Any, inputs: Sequence[Known]) -> Sequence[Known]:
        """What is constant is computed by onnx itself, in the model's version of the operators."""
        from onnx.reference import ReferenceEvaluator

        if node.op_type == "Transpose" and isinstance(inputs[0], np.ndarray):
            perm = next((self._attribute(held) for held in node.attribute), None)
            return [np.transpose(inputs[0], perm)]  # the same memory, by which shared weights are known
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
