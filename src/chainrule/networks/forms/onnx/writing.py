"""The whole model: inputs, layers in order, outputs; onnx's own checker reads it before it is written."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, DataError, MissingExtraError
from chainrule.base.files.disk import write_whole
from chainrule.base.scalars import check_choice, check_count, check_flag
from chainrule.data.preparation import Preparation
from chainrule.data.preparation.scales import Numbers, Pixels, Standardizer
from chainrule.formulas.calling import declared
from chainrule.layers import Composite, Heads, Layer, Part, Sigmoid
from chainrule.layers.activations.softmax import LogSoftmax, Softmax
from chainrule.layers.structure import Masks, mask_behind, mask_for, run_branches
from chainrule.networks.forms.onnx.graph import NEWEST, OLDEST, SAMPLES, Graph, Value
from chainrule.networks.forms.onnx.layers import LAYERS, Arrays, by_formula
from chainrule.networks.forms.onnx.sequences import SEQUENCES, mask_of
from chainrule.networks.forms.written import Unwritable
from chainrule.networks.model import Model
from chainrule.version import __version__

WRITERS = {**LAYERS, **SEQUENCES}
# Joined entry by entry: operators of as many values as there are, and of two.
SEVERAL = {"sum": "Sum", "maximum": "Max", "minimum": "Min"}
OF_TWO = {"product": "Mul", "quotient": "Div", "power": "Pow"}
LARGEST = 2**31 - 2**20  # bytes: a protobuf message ends at 2 GiB


def onnx_model(
    network: Model,
    path: str | os.PathLike[str] | None,
    *,
    preparation: bool,
    labels: bool,
    channels: str,
    dtype: str,
    opset: int,
) -> Any:
    """The ONNX model of a network; arguments and errors as of `Network.to_onnx`."""
    try:
        import onnx
    except ImportError:
        raise MissingExtraError("onnx", "onnx", "to_onnx") from None
    check_flag("to_onnx preparation", preparation)
    check_flag("to_onnx labels", labels)
    check_choice("to_onnx channels", channels, ("last", "first"))
    check_choice("to_onnx dtype", dtype, ("float32", "float64"))
    check_count("to_onnx opset", opset, OLDEST, NEWEST)
    size = network.count_parameters() * np.dtype(dtype).itemsize
    if size > LARGEST:
        raise ArgumentError(f"an ONNX file holds at most 2 GiB, the parameters take {size:,} bytes")

    known = (network.preparation if preparation else None) or Preparation()
    writing = Writing(network, Graph(dtype, opset), known)
    outputs = writing.outputs(writing.input(channels), channels, labels)
    model = writing.model(outputs)
    onnx.checker.check_model(model, full_check=True)
    if path is not None:
        write_whole(path, lambda stream: stream.write(model.SerializeToString()))
    return model


class Writing:
    """A network on its way into a graph."""

    def __init__(self, network: Model, graph: Graph, preparation: Preparation) -> None:
        """preparation: what the model itself does to inputs and outputs."""
        self.network, self.graph, self.preparation = network, graph, preparation
        self.inputs: list[Any] = []
        self.mask: Any = None  # the name of what says which steps are there, or Masks

    # -- the ends --------------------------------------------------------------------------------------------
    def input(self, channels: str) -> Value:
        """X: numbers, or whole numbers where an embedding reads them; several inputs are described one by one
        where a Part reads them.
        """
        shape = self.network.input_shape
        if self.network.input_parts:
            return Value(shape, "X")
        ids = self.network.vocabulary is not None
        moved = channels == "first" and len(shape) > 1 and not ids
        outside = (shape[-1], *shape[:-1]) if moved else shape
        name = self.graph.fresh("X")
        kind = self.graph.onnx.TensorProto.INT64 if ids else self.graph.real
        self.inputs.append(self._described(name, kind, outside))
        if ids:
            number = self.graph.number(name)
            self.graph.whole_inputs[number] = name
            return self.prepared(Value(shape, number), self.preparation)
        return self.prepared(Value(shape, None, name) if moved else Value(shape, name), self.preparation)

    def outputs(self, x: Value, channels: str, labels: bool) -> list[Any]:
        """Everything between the input and the outputs, which are described."""
        graph, shape = self.graph, self.network.output_shape
        if self.network.heads:
            return self.several_outputs(self.chain(self.network.layers[:-1], x), self.network.heads, labels)
        a = self._unscaled(self.chain(self.network.layers, x), self.preparation.targets)
        moved = channels == "first" and len(shape) > 1
        outside = (shape[-1], *shape[:-1]) if moved else shape
        name = graph.add("Identity", graph.first(a) if moved else graph.last(a), outputs=graph.fresh("a"))
        described = [self._described(name, graph.real, outside)]
        if labels:
            network, several = self.network, bool(getattr(self.network, "several_labels", False))
            described.append(self._label(a, network.layers[-1], network.classes, several=several))
        graph.used([output.name for output in described])
        return described

    def several_outputs(self, z: Value, heads: Heads, labels: bool) -> list[Any]:
        """Every output by its name, behind its activation; labels: those of classes, "kind_label"."""
        graph, described, told = self.graph, [], []
        for name, shape, f, (start, stop) in zip(
            heads.names, heads.shapes, heads.activations, heads.places, strict=True
        ):
            a = self._written(f, graph.part(z, start, stop, shape), {})
            if labels and isinstance(f, (Softmax, LogSoftmax, Sigmoid)):
                classes = self.network.output_labels.get(name)
                several = isinstance(f, Sigmoid) and shape[-1] > 1
                told.append(self._label(a, f, classes, several=several, name=f"{name}_label"))
            a = self._unscaled(a, self.preparation.part(name).targets)
            written = graph.add("Identity", graph.last(a), outputs=graph.fresh(name))
            described.append(self._described(written, graph.real, shape))
        if labels and not told:
            raise DataError(
                "to_onnx(labels=True) needs an output with Softmax or Sigmoid at its end; these are numbers: "
                "leave labels out"
            )
        described += told
        graph.used([output.name for output in described])
        return described

    def part(self, layer: Part) -> Value:
        """One of several inputs, of its own name and shape."""
        shape, vocabulary = self.network.input_parts[str(layer.name)]
        name, ids = self.graph.fresh(str(layer.name)), vocabulary is not None
        self.inputs.append(
            self._described(name, self.graph.onnx.TensorProto.INT64 if ids else self.graph.real, shape)
        )
        number = self.graph.number(name) if ids else name
        if ids:
            self.graph.whole_inputs[number] = name
        return self.prepared(Value(shape, number), self.preparation.part(str(layer.name)), str(layer.name))

    def prepared(self, x: Value, known: Preparation, name: str | None = None) -> Value:
        """An input brought to the network's scale.  name: which of several."""
        scale = known.inputs
        if scale is None or isinstance(scale, Numbers):
            return x
        graph = self.graph
        if isinstance(scale, Pixels):
            return x.like(graph.add("Div", x.name, graph.constant(255)))
        if isinstance(scale, Standardizer):
            centred = graph.add("Sub", graph.last(x), graph.constant(scale.mean))
            return Value(x.shape, graph.add("Div", centred, graph.constant(scale.scale)))
        inputs = "this network's inputs are" if name is None else f"the input {name!r} is"
        made = "network.preparation(table)" if name is None else f"network.preparation.part({name!r})(table)"
        raise DataError(
            f"to_onnx(preparation=True) writes pixels and (x - mean) / scale, and {inputs} made of a table "
            f"({scale.title}): write to_onnx(path) and give the model {made}, its prepared numbers"
        )

    def _unscaled(self, a: Value, targets: Standardizer | None) -> Value:
        if targets is None:
            return a
        size = a.shape if targets.mean.size not in (1, a.shape[-1]) else targets.mean.shape
        graph = self.graph
        scaled = graph.add("Mul", graph.last(a), graph.constant(targets.scale.reshape(size)))
        return Value(a.shape, graph.add("Add", scaled, graph.constant(targets.mean.reshape(size))))

    def _label(self, a: Value, last: Layer, classes: Any, *, several: bool, name: str = "label") -> Any:
        """The label of an output as `classify` gives it.  several: a sample may have several of them."""
        graph, numbers = self.graph, self.graph.last(a)
        single = a.shape[-1] == 1
        if single and classes is None and not isinstance(last, Sigmoid):
            raise DataError(
                "to_onnx(labels=True) needs several outputs or a Sigmoid at the end; this network predicts "
                "one number: leave labels out"
            )
        whole = graph.onnx.TensorProto.INT64
        if several or single:
            middle = 0.5 if several or isinstance(last, Sigmoid) else 0.0
            chosen = graph.add("Cast", graph.add("Greater", numbers, graph.constant(middle)), to=whole)
            chosen = chosen if several else graph.axes("Squeeze", chosen, -1)
        else:
            if classes is not None and len(classes) < a.shape[-1]:
                ends = graph.whole(0), graph.whole(len(classes)), graph.whole(-1)
                numbers = graph.add("Slice", numbers, *ends)
            chosen = graph.add("ArgMax", numbers, axis=-1, keepdims=0)
        shape = a.shape if several else a.shape[:-1]
        kind = whole
        if classes is not None and not several:
            table, kind = self._classes(classes)
            chosen = graph.add("Gather", table, chosen)
        return self._described(graph.add("Identity", chosen, outputs=graph.fresh(name)), kind, shape)

    def _classes(self, classes: Any) -> tuple[str, int]:
        """The classes as a constant: texts, whole numbers, or numbers."""
        kind, types = classes.dtype.kind, self.graph.onnx.TensorProto
        if kind in "iub":
            return self.graph.constant(classes, "classes", np.int64), int(types.INT64)
        if kind == "f":
            return self.graph.constant(classes, "classes", np.float64), int(types.DOUBLE)
        return self.graph.texts([str(label) for label in classes]), int(types.STRING)

    def _described(self, name: str, kind: int, shape: Sequence[int]) -> Any:
        return self.graph.onnx.helper.make_tensor_value_info(name, kind, [SAMPLES, *shape])

    # -- the layers ------------------------------------------------------------------------------------------
    def chain(self, layers: Sequence[Layer], *given: Value) -> Value:
        """The layers in order, and the mask of the steps that goes with them."""
        for layer in layers:
            x = self.composite(layer, *given) if isinstance(layer, Composite) else self.leaf(layer, *given)
            given = (x,)
            if len(x.shape) != 2 and not isinstance(self.mask, Masks):
                self.mask = None  # the steps end here
        return given[0]

    def composite(self, layer: Composite, *given: Value) -> Value:
        ends = run_branches(self, layer, given, lambda _, branch, on: self.chain(branch, *on))
        shape = self.network.shapes[str(layer.name)]
        if len(ends) == 1:
            return ends[0]
        first = all(end.channels_first for end in ends)
        if layer.join == "row" or (layer.join == "concat" and len(shape) == 1):
            return self.graph.beside(ends, shape)
        names = [self.graph.first(end) if first else self.graph.last(end) for end in ends]
        if layer.join == "concat":
            joined = self.graph.add("Concat", *names, axis=1 if first else -1)
        elif layer.join in SEVERAL:
            joined = self.graph.add(SEVERAL[layer.join], *names)
        else:
            joined = functools.reduce(functools.partial(self.graph.add, OF_TWO[layer.join]), names)
        return Value(shape, None, joined) if first else Value(shape, joined)

    def leaf(self, layer: Layer, x: Value) -> Value:
        if isinstance(layer, Part) and str(layer.name) in self.network.input_parts:
            return self.part(layer)
        graph, shape = self.graph, self.network.shapes[str(layer.name)]
        if type(layer).mask is not Layer.mask and type(layer) not in SEQUENCES:
            raise ArgumentError(
                f"to_onnx cannot write {layer.name}, {layer!r}: a mask of a layer of your own has no operator"
            )
        if (mask := mask_of(graph, layer, x)) is not None:
            self.mask = mask
        several = isinstance(self.mask, Masks)
        read, behind = mask_for(layer, self.mask), mask_behind(layer, self.mask)
        given: Arrays = self.network.layer_parameters(layer)
        steps = x.shape[0]
        self.mask = read
        y = self._written(layer, x, given)
        y.shape, self.mask = shape, behind
        ends = len(shape) != 2 or (shape[0] != steps and not several)
        if ends and not isinstance(self.mask, Masks):
            self.mask = None
        return y

    def _written(self, layer: Layer, x: Value, given: Arrays) -> Value:
        written = WRITERS.get(type(layer))
        if written is not None:
            return written(self.graph, layer, x, given, self.mask)
        if self.mask is not None and "mask" in {name for name, _ in declared(layer.forward)}:
            raise ArgumentError(
                f"to_onnx cannot write {layer.name}, {layer!r}, behind a mask: it reads the mask itself"
            )
        try:
            return by_formula(self.graph, layer, x, given, self.mask)
        except Unwritable as error:
            raise ArgumentError(
                f"to_onnx cannot write {layer.name}, {layer!r}: its formula uses {error}; write it with "
                "products by parameters, sums over features and functions of single entries, or use one of "
                "chainrule's layers"
            ) from None

    # -- the file --------------------------------------------------------------------------------------------
    def model(self, outputs: Sequence[Any]) -> Any:
        graph, onnx = self.graph, self.graph.onnx
        held = onnx.helper.make_graph(
            graph.nodes, self.network.name or "network", self.inputs, outputs, graph.tensors()
        )
        opsets = [onnx.helper.make_operatorsetid("", graph.opset)]
        model = onnx.helper.make_model(
            held,
            producer_name="chainrule",
            producer_version=__version__,
            opset_imports=opsets,
            ir_version=onnx.helper.find_min_ir_version_for(opsets),
        )
        if self.network.classes is not None:
            classes = json.dumps(self.network.classes.tolist(), ensure_ascii=False)
            onnx.helper.set_model_props(model, {"classes": classes})
        return model
