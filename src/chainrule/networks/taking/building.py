"""What PyTorch's modules and ONNX's nodes have in common: one method per layer, in their terms.

Weights come as they lie there: (filters, channels, rows, columns) of a convolution, gates in the order that
is told. Every method gives the value that the layer puts out.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, ShapeError, describe
from chainrule.base.types import Array
from chainrule.formulas.primitives.grid import Grid
from chainrule.layers import (
    GRU,
    LSTM,
    RNN,
    AveragePool1D,
    AveragePool2D,
    AveragePool3D,
    BatchNorm,
    Bidirectional,
    Conv1D,
    Conv2D,
    Conv3D,
    ConvTranspose1D,
    ConvTranspose2D,
    ConvTranspose3D,
    Crop1D,
    Crop2D,
    Crop3D,
    Dense,
    DenseTranspose,
    Embedding,
    Flatten,
    GlobalAveragePool,
    GlobalMaxPool,
    GroupNorm,
    HardSigmoid,
    HardTanh,
    Identity,
    InstanceNorm,
    L2Pool1D,
    L2Pool2D,
    L2Pool3D,
    Layer,
    LayerNorm,
    LocalResponseNorm,
    LpPool1D,
    LpPool2D,
    LpPool3D,
    MaxPool1D,
    MaxPool2D,
    MaxPool3D,
    MaxUnpool1D,
    MaxUnpool2D,
    MaxUnpool3D,
    MultiHeadAttention,
    Pad1D,
    Pad2D,
    Pad3D,
    PixelShuffle,
    PReLU,
    ReLU,
    ReLU6,
    RMSNorm,
    Softmax,
    UpSample1D,
    UpSample2D,
    UpSample3D,
)
from chainrule.layers.windows.adaptive import ADAPTIVE_POOLS
from chainrule.networks.architecture import INPUT
from chainrule.networks.forms.written import gates_in_order
from chainrule.networks.graphs.graph import Graph
from chainrule.networks.network import Network
from chainrule.networks.taking.axes import Axes, Names
from chainrule.networks.taking.graphs import nodes_between, only_last, values_before
from chainrule.networks.taking.structure import NoChainError, layers_between
from chainrule.networks.taking.values import (
    Flags,
    Layout,
    Node,
    Places,
    Value,
    flattened,
    pairs,
    with_numbers,
)

Pads = Sequence[tuple[int, int]] | str  # of every axis, or "same"
CONVOLUTIONS: Mapping[int, Any] = {1: Conv1D, 2: Conv2D, 3: Conv3D}
TRANSPOSED: Mapping[int, Any] = {1: ConvTranspose1D, 2: ConvTranspose2D, 3: ConvTranspose3D}
POOLS: Mapping[str, Mapping[int, Any]] = {
    "max": {1: MaxPool1D, 2: MaxPool2D, 3: MaxPool3D},
    "average": {1: AveragePool1D, 2: AveragePool2D, 3: AveragePool3D},
    "l2": {1: L2Pool1D, 2: L2Pool2D, 3: L2Pool3D},
}
ADAPTIVE: Mapping[str, Mapping[int, Any]] = {
    kind: {layer.axes: layer for layer in ADAPTIVE_POOLS if layer.pool_class is POOLS[kind][layer.axes]}
    for kind in ("average", "max")
}
LP_POOLS: Mapping[int, Any] = {1: LpPool1D, 2: LpPool2D, 3: LpPool3D}
UNPOOLS: Mapping[int, Any] = {1: MaxUnpool1D, 2: MaxUnpool2D, 3: MaxUnpool3D}
PADS: Mapping[int, Any] = {1: Pad1D, 2: Pad2D, 3: Pad3D}
CROPS: Mapping[int, Any] = {1: Crop1D, 2: Crop2D, 3: Crop3D}
UPSAMPLES: Mapping[int, Any] = {1: UpSample1D, 2: UpSample2D, 3: UpSample3D}
CELLS = {"RNN": (RNN, "h"), "LSTM": (LSTM, "ifgo"), "GRU": (GRU, "run")}


class Building(Axes):
    """Values and nodes from an input; `network` makes a network of what lies before an output."""

    def network(self, outputs: Mapping[str, Value], dtype: str) -> Network:
        """The network that makes the outputs of the inputs: a chain of layers if it is one, or a Graph."""
        named = Names()
        outputs = {
            named(name): value if value.columns is None else self.plain(name, value)
            for name, value in outputs.items()
        }
        self.calls.unite()
        values = values_before(outputs.values())
        only_last(values)
        inputs = {name: value for name, value in self.inputs.items() if value in values}
        for value in inputs.values():
            self.suppose(value, len(value.theirs) > 2)  # images have their channels in front
        if len(inputs) == 1:
            ((_, x),) = inputs.items()
            inputs = {INPUT: x}
            with contextlib.suppress(NoChainError):
                layers = layers_between(x, list(outputs.values()))
                with _told(inputs):
                    return Network(layers or [Identity()], input_shape=x.ours, dtype=dtype)
        nodes = nodes_between(inputs, outputs)
        shapes = {name: value.ours for name, value in inputs.items()}
        with _told(inputs):
            return Graph(nodes, inputs=shapes, outputs=list(outputs), dtype=dtype)

    # -- nodes -----------------------------------------------------------------------------------------------
    def entrywise(self, name: str, x: Value, layer: Layer) -> Value:
        """An activation, a dropout: the shape and the layout stay."""
        return x.like(self.node(name, x, layer))

    def over_features(self, name: str, x: Value, layer: Layer, first: bool) -> Value:
        """A layer that reads the features of every position; where they stand is told by `first`."""
        x = self.read(name, x, first)
        return x.like(self.node(name, x, layer))

    def over_axis(self, name: str, x: Value, axis: int, layer: Layer) -> Value:
        """A layer that reads features, along any axis of a sample as it stands there, from 0."""
        axes = len(x.theirs) - x.ones
        if x.columns is None and axis in (0, axes - 1):
            return self.over_features(name, x, layer, axis == 0 and axes > 1)
        last = [*(place for place in range(axes) if place != axis), axis]
        turned = self.permuted(f"{name}_last", self.plain(name, x), last)
        made = self.permuted(f"{name}_back", self.over_features(name, turned, layer, False), _back(last))
        return self.as_before(f"{name}_like", made, x)

    def softmax(self, name: str, x: Value, axis: int) -> Value:
        """axis: of a sample, from 0."""
        return self.over_axis(name, x, axis, Softmax())

    def join(self, name: str, values: Sequence[Value], how: str, axis: int = 0) -> Value:
        """Values joined entry by entry, by a "sum", "maximum", ..., their axes of length 1 repeated where
        others are longer, or one after the other, "concat", along an axis of a sample, from 0.
        """
        if how != "concat" and len({value.theirs for value in values}) > 1:
            values = self._repeated(name, values)
        if any(value.columns is not None or value.ones for value in values):
            values = [self.plain(name, value) for value in values]
        first = values[0]
        if how != "concat":
            theirs = first.theirs
            if len(theirs) > 1 and len({value.layout.first for value in values} - {None}) > 1:
                values = [self.read(name, value, True) for value in values]
        else:
            axes = len(first.theirs)
            if axis not in (0, axes - 1):
                last = [*(place for place in range(axes) if place != axis), axis]
                turned = [self.permuted(f"{name}_last", self.plain(name, value), last) for value in values]
                return self.permuted(f"{name}_back", self.join(name, turned, how, axes - 1), _back(last))
            values = [self.read(name, value, axis == 0) for value in values]
            sizes = [value.theirs[axis] for value in values]
            theirs = (*first.theirs[:axis], sum(sizes), *first.theirs[axis + 1 :])
        return Value(theirs, values[0].layout, Node(self.name(name), tuple(values), join=how))

    def _repeated(self, name: str, values: Sequence[Value]) -> list[Value]:
        """Values as NumPy has them beside each other, those that are smaller repeated."""
        try:
            shape = np.broadcast_shapes(*(value.theirs for value in values))
            if self.apart and len({len(value.theirs) for value in values}) > 1:
                raise ValueError  # the samples of one would be beside another axis
        except ValueError:
            shapes = " and ".join(str(value.theirs) for value in values)
            raise ArgumentError(f"{name} joins values of the shapes {shapes}, which do not fit") from None
        made = []
        for value in values:
            value = self.image(name, value)
            more = (1,) * (len(shape) - len(value.theirs))
            value = self.reshaped(f"{name}_axes", value, more + value.theirs)
            for axis, (there, wanted) in enumerate(zip(value.theirs, shape, strict=True)):
                if there < wanted:
                    value = self.along(f"{name}_{axis}", value, axis, (((0, 1.0),),) * wanted)
            made.append(value)
        return made

    def difference(self, name: str, a: Value, b: Value) -> Value:
        """A sum with the other one's negative."""
        return self.join(name, [a, self.times(f"{name}_negative", b, np.array(-1.0))], "sum")

    def power(self, name: str, x: Value, exponent: float) -> Value:
        """Of exponent 1, 2, 3 or 4 a product with itself, else a `Raise`, whose exponent is learned on."""
        if not isinstance(exponent, int | float) or isinstance(exponent, bool):
            raise ArgumentError(f"{name}: a power's exponent is a number, received {describe(exponent)}")
        if exponent in (1, 2, 3, 4):
            return x if exponent == 1 else self.join(name, [x] * int(exponent), "product")
        return self.join(name, [x, self.constant(f"{name}_exponent", x, np.array(exponent))], "power")

    def constant(
        self, name: str, like: Value, array: Array, axis: int = 0, count: int | None = None
    ) -> Value:
        """A constant as a value of a sample's shape, beside another one: nothing of that, with a bias; of
        another count along an axis where one is told.
        """
        if len(like.theirs) > 1 and not like.ones:
            self.suppose(like, len(like.theirs) > 2)
        places = like.theirs[axis] if count is None else count
        nothing = self.along(f"{name}_nothing", like, axis, ((),) * places)
        return self.plus(name, nothing, array)

    def beside_each_other(
        self, name: str, given: Sequence[Any], array_of: Callable[[Value, Any], Array]
    ) -> list[Value]:
        """Values and constants as values, of which one at least is one; array_of: a constant as an array
        beside a sample of a value.
        """
        like = next((value for value in given if isinstance(value, Value)), None)
        if like is None:
            raise ArgumentError(f"{name} combines constants alone, which no layer does")
        return [
            value
            if isinstance(value, Value)
            else self.constant(f"{name}_constant", like, array_of(like, value))
            for value in given
        ]

    def clipped(self, name: str, x: Value, low: float, high: float, dtype: str) -> Value:
        """No entry below `low`, and then none above `high`; either may be infinite."""
        layers: dict[tuple[float, float], Layer] = {(0.0, np.inf): ReLU(), (0.0, 6.0): ReLU6()}
        layer = layers.get((low, high))
        if low == -np.inf and high == np.inf:
            return x
        if layer is None and low < high:  # without a limit up to the largest number of the type
            most = float(np.finfo(dtype).max)
            layer = HardTanh(max(low, -most), min(high, most))
        if layer is None:  # every number is the highest
            nothing = self.times(f"{name}_nothing", x, np.zeros(()))
            return self.plus(name, nothing, np.full((), high))
        return self.entrywise(name, x, layer)

    def split(self, name: str, x: Value, axis: int, sizes: Sequence[int]) -> tuple[Value, ...]:
        """Parts one after the other along an axis of a sample, from 0."""
        if sum(sizes) != x.theirs[axis]:
            raise ArgumentError(f"{name}: parts of {list(sizes)} are not the {x.theirs[axis]} of the axis")
        stops = [0, *itertools.accumulate(map(int, sizes))]
        return tuple(
            self.along(f"{name}_{number}", x, axis, tuple(((place, 1.0),) for place in range(*ends)))
            for number, ends in enumerate(itertools.pairwise(stops))
        )

    # -- dense -----------------------------------------------------------------------------------------------
    def dense(self, name: str, x: Value, W: Array, b: Array | None) -> Value:
        """W (units, inputs)."""
        x = self.read(name, x, False)
        x = self.plain(name, x) if x.ones else x
        if x.columns is not None:
            W = W[:, x.columns]
        numbers = {} if b is None else {"b": b}
        other = self.calls.turned(W)
        made = Dense(len(W)) if other is None else DenseTranspose(len(W), tied=other)
        made.bias = b is not None
        layer = with_numbers(made, {"W": W if other is None else W.T, **numbers})
        node = self.node(name, x, layer)
        return Value((*x.theirs[:-1], len(W)), x.layout, node)

    def shifted(self, name: str, x: Value, constant: Array, alone: bool = True) -> Value:
        """A constant added: the bias of the dense layer or the convolution in front of it, which nothing else
        reads (`alone`), or else a Bias.
        """
        layer = x.node.layers[-1] if x.node and x.node.layers else None
        by_feature = constant.ndim <= 1 or (x.layout.first and constant.size == constant.shape[0])
        if x.layout.first and len(x.theirs) > 1:
            by_feature = constant.shape[: 1 - len(x.theirs)] == (constant.size,) or constant.size == 1
        biased = (Dense, DenseTranspose, Conv1D, Conv2D, Conv3D)
        if not isinstance(layer, biased) or layer.bias or not by_feature or not alone:
            return self.plus(name, x, constant)
        b = np.broadcast_to(constant.ravel(), (x.ours[-1],))
        layer.bias, layer.given = True, {**layer.given, "b": b}
        return x

    def flatten(self, name: str, x: Value) -> Value:
        if x.ones or len(x.theirs) == 1:
            return Value(x.theirs[:1], Layout(), x.node, x.columns, of=x)
        self.suppose(x, len(x.theirs) > 2)
        size = int(np.prod(x.theirs))
        return Value((size,), Layout(), self.node(name, x, Flatten()), flattened(x))

    def transpose(self, name: str, x: Value, perm: Sequence[int]) -> Value:
        """Axes in another order: from channels in front to channels behind, or back."""
        axes = len(x.theirs)
        back, front = (0, *range(2, axes + 1), 1), (0, axes, *range(1, axes))
        if tuple(perm) == tuple(range(axes + 1)):
            return x
        known = x.layout.first is None or x.layout.first is (tuple(perm) == back)
        if tuple(perm) not in (back, front) or x.ones or (axes > 2 and not known):
            return self.permuted(name, x, [axis - 1 for axis in perm[1:]])
        theirs = tuple(x.theirs[place - 1] for place in perm[1:])
        if axes > 2:
            x = self.read(name, x, tuple(perm) == back)
        return Value(theirs, Layout(of=x.layout), x.node, of=x)

    # -- windows ---------------------------------------------------------------------------------------------
    def convolution(
        self, name: str, x: Value, W: Array, b: Array | None, *, stride: Sequence[int], pads: Pads,
        dilation: Sequence[int], groups: int,
    ) -> Value:  # fmt: skip
        """W (filters, channels / groups, rows, columns)."""
        axes = W.ndim - 2
        options = {"stride": pairs(stride), "dilation": pairs(dilation), "groups": groups}
        layer = self._window(name, CONVOLUTIONS, axes)(
            len(W), pairs(W.shape[2:]), padding=_padding(pads) or "valid", bias=b is not None, **options
        )
        return self._slide(name, x, with_numbers(layer, _kernel(W, b)))

    def transposed_convolution(
        self, name: str, x: Value, W: Array, b: Array | None, *, stride: Sequence[int], pads: Pads,
        dilation: Sequence[int], groups: int, output_padding: Sequence[int],
    ) -> Value:  # fmt: skip
        """W (channels, filters / groups, rows, columns)."""
        axes = W.ndim - 2
        options = {"stride": pairs(stride), "dilation": pairs(dilation), "groups": groups}
        layer = self._window(name, TRANSPOSED, axes)(
            W.shape[1] * groups,
            pairs(W.shape[2:]),
            padding=_padding(pads) or "valid",
            output_padding=pairs(output_padding),
            bias=b is not None,
            **options,
        )
        return self._slide(name, x, with_numbers(layer, _kernel(W, b)))

    def pool(
        self, name: str, x: Value, kind: str, kernel: Sequence[int], stride: Sequence[int], pads: Pads,
        dilation: Sequence[int] = (), ceil_mode: bool = False, count_padding: bool = False, norm: float = 2.0,
        divisor: float | None = None,
    ) -> Value:  # fmt: skip
        """count_padding: of means.  ceil_mode: what counts in a window over the edge is what is there.
        divisor: of a mean, what the sum of a window is divided by in place of how many count.
        """
        apart = tuple(dilation) or (1,) * len(kernel)
        if kind == "average" and divisor is None and ceil_mode and count_padding:
            return self._means(
                name, x, Grid(tuple(kernel), tuple(stride), _frame(pads), apart, ceil=ceil_mode)
            )
        options: dict[str, Any] = {"ceil_mode": True} if ceil_mode and not isinstance(pads, str) else {}
        if kind == "average" and divisor is not None:
            options["divisor"] = divisor
        elif count_padding and kind == "average":
            options["count_padding"] = True
        made: Any = LP_POOLS if kind == "l2" and norm != 2 else POOLS[kind]
        first = (norm,) if made is LP_POOLS else ()
        step = None if tuple(stride) == tuple(kernel) else pairs(stride)
        layer = self._window(name, made, len(kernel))(
            *first, pairs(kernel), step, padding=_padding(pads) or "valid", dilation=pairs(apart), **options
        )
        return self._slide(name, x, layer)

    def unpool(
        self, name: str, x: Value, places: Places, kernel: Sequence[int], stride: Sequence[int], pads: Pads
    ) -> Value:
        """Values put back where the maxima were."""
        read = [self.read(name, value, True) for value in (x, places.pooled)]
        rows = [
            Value((math.prod(value.ours),), Layout(False), self.node(f"{name}_row", value, Flatten()))
            for value in read
        ]
        step = None if tuple(stride) == tuple(kernel) else pairs(stride)
        sources = tuple(value.ours for value in read)
        layer = self._window(name, UNPOOLS, len(kernel))(
            pairs(kernel), step, padding=_padding(pads) or "valid", sources=sources
        )
        node = self.node(name, self.join(f"{name}_read", rows, "concat"), layer)
        return Value(read[1].theirs, Layout(True), node)

    def _means(self, name: str, x: Value, g: Grid) -> Value:
        """Means of windows that count the padding, but not what lies over the edge behind it: along one axis
        after the other.
        """
        x = self.read(name, x, True)
        for axis, size in enumerate(x.theirs[1:]):
            (before, _), after = (
                g.pads_along(axis, size),
                0 if isinstance(g.padding, str) else g.padding[axis][1],
            )
            taps = []
            for i in range(g.positions_along(axis, size)):
                first = i * g.stride[axis] - before
                places = [first + m * g.dilation[axis] for m in range(g.kernel[axis])]
                share = 1 / sum(u < size + after for u in places)
                taps.append(tuple((u, share) for u in places if 0 <= u < size))
            x = self.along(f"{name}_{axis}", x, axis + 1, tuple(taps))
        return x

    def adaptive(self, name: str, x: Value, kind: str, sizes: Sequence[int | str]) -> Value:
        """So many windows along every axis, or "same"; channels in front."""
        one = sizes[0] if len(sizes) == 1 else tuple(sizes)
        return self._slide(name, x, self._window(name, ADAPTIVE[kind], len(sizes))(one))

    def framed(self, name: str, x: Value, sides: Mapping[int, tuple[int, int]], number: float) -> Value:
        """A frame of a number around the axes that are told: one of zeros, and a bias that is the number."""
        made, inside = x, np.ones((1,) * len(x.theirs), bool)
        for axis, (before, after) in sides.items():
            size = x.theirs[axis]
            there = np.array([0 <= place < size for place in range(-before, size + after)])
            taps = tuple(((n - before, 1.0),) if is_there else () for n, is_there in enumerate(there))
            made = self.along(f"{name}_{axis}", made, axis, taps)
            inside = inside & np.expand_dims(there, [other for other in range(inside.ndim) if other != axis])
        return self.plus(f"{name}_value", made, np.where(inside, 0.0, number))

    def channel_shuffle(self, name: str, x: Value, groups: int) -> Value:
        """Channels by turns of every group."""
        axis_size = x.theirs[0]
        order = np.arange(axis_size).reshape(groups, -1).T.ravel()
        return self.along(name, self.read(name, x, True), 0, tuple(((int(c), 1.0),) for c in order))

    def unshuffle(self, name: str, x: Value, block: int) -> Value:
        """Blocks of pixels as channels, the opposite of PixelShuffle."""
        channels, height, width = x.theirs
        rows, columns = height // block, width // block
        parts = self.reshaped(f"{name}_blocks", x, (channels, rows, block, columns, block))
        turned = self.permuted(name, parts, (0, 2, 4, 1, 3))
        return self.reshaped(f"{name}_image", turned, (channels * block**2, rows, columns))

    def global_pool(self, name: str, x: Value, kind: str, keep: bool) -> Value:
        """Over all positions; keep: whether their axes stay, with length 1."""
        layer = GlobalMaxPool() if kind == "max" else GlobalAveragePool()
        x = self.read(name, x, True)
        ones = len(x.theirs) - 1 if keep else 0
        return Value((x.ours[-1], *(1,) * ones), Layout(), self.node(name, x, layer), None, ones)

    def pad(self, name: str, x: Value, pads: Sequence[tuple[int, int]], mode: str) -> Value:
        """mode: "zeros", which may cut off as well, or as Pad2D has it."""
        if mode == "zeros" and min(map(min, pads)) < 0:
            crops = [(max(-before, 0), max(-after, 0)) for before, after in pads]
            x = self._moved(f"{name}_crop", x, self._window(name, CROPS, len(pads))(_padding(crops)))
            pads = [(max(before, 0), max(after, 0)) for before, after in pads]
            if not any(map(any, pads)):
                return x
        return self._moved(name, x, self._window(name, PADS, len(pads))(_padding(pads), mode=mode))

    def upsample(self, name: str, x: Value, factors: Sequence[int], between: bool = False) -> Value:
        """between: in straight lines from pixel to pixel, or each pixel again."""
        mode = {1: "linear", 2: "bilinear", 3: "trilinear"}[len(factors)] if between else "nearest"
        return self._moved(name, x, self._window(name, UPSAMPLES, len(factors))(pairs(factors), mode=mode))

    def shuffle(self, name: str, x: Value, block: int) -> Value:
        x = self.read(name, x, True)
        return self._moved(name, x, PixelShuffle(block))

    def _moved(self, name: str, x: Value, layer: Layer) -> Value:
        """A layer that moves pixels, wherever the channels are."""
        x = self.image(name, x)
        first = x.layout.first is not False
        x = self.read(name, x, first)
        *positions, channels = layer.output_shape(x.ours)
        theirs = (channels, *positions) if first else (*positions, channels)
        return Value(theirs, x.layout, self.node(name, x, layer))

    def _window(self, name: str, classes: Mapping[int, Any], axes: int) -> Any:
        if axes not in classes:
            raise ArgumentError(f"{name} slides along {axes} axes; chainrule has 1, 2 and 3")
        return classes[axes]

    def _slide(self, name: str, x: Value, layer: Layer) -> Value:
        x = self.read(name, self.image(name, x), True)
        *positions, channels = layer.output_shape(x.ours)
        return Value((channels, *positions), Layout(True), self.node(name, x, layer))

    # -- normalisation ---------------------------------------------------------------------------------------
    def batch_norm(
        self, name: str, x: Value, numbers: dict[str, Array], epsilon: float, momentum: float | None = 0.1
    ) -> Value:
        """numbers: where there are, gamma, beta, mean and variance; of momentum None, batches so far."""
        if x.columns is not None:
            numbers = {key: array if key == "batches" else array[x.columns] for key, array in numbers.items()}
        layer = with_numbers(
            BatchNorm(momentum, epsilon=epsilon, tracked="mean" in numbers, **_with(numbers)), numbers
        )
        return self.over_features(name, x, layer, True)

    def norm(
        self,
        name: str,
        x: Value,
        kind: str,
        numbers: dict[str, Array],
        epsilon: float,
        groups: int = 1,
        momentum: float = 0.1,
    ) -> Value:
        """kind: "group" or "instance", of channels in front. numbers: gamma and beta where there are, and of
        the latter mean and variance.
        """
        x = self.plain(name, x) if x.columns is not None else x
        kept: dict[str, Any] = {"tracked": True, "momentum": momentum} if "mean" in numbers else {}
        instance = partial(InstanceNorm, **kept)
        made: Any = partial(GroupNorm, groups) if kind == "group" else instance
        layer = with_numbers(made(epsilon=epsilon, **_with(numbers)), numbers)
        return self.over_features(name, x, layer, True)

    def last_norm(
        self, name: str, x: Value, kind: str, numbers: dict[str, Array], epsilon: float, axes: int = 1
    ) -> Value:
        """kind: "layer" or "rms", of the last axes together, as they stand there; numbers: of their shape."""
        whole = axes == len(x.theirs) > 1 and not x.ones
        if whole:
            self.suppose(x, axes > 2)
        if whole and x.layout.first:
            numbers = {key: np.moveaxis(array, 0, -1) for key, array in numbers.items()}
            read = x
        else:
            read = self.plain(name, x)
        options = _with(numbers)
        layer: Layer
        if kind == "layer":
            layer = LayerNorm(axes=axes, epsilon=epsilon, **options)
        else:
            layer = RMSNorm(axes=axes, epsilon=epsilon, scale=options["scale"])
        made = read.like(self.node(name, read, with_numbers(layer, numbers)))
        return made if axes == 1 or whole else self.as_before(f"{name}_like", made, x)

    def local_norm(
        self, name: str, x: Value, size: Any, alpha: float, beta: float, k: float, first: bool = True
    ) -> Value:
        if not isinstance(size, int) and size[0] == size[1]:
            size = sum(size) + 1
        x = self.plain(name, x) if x.columns is not None else x
        return self.over_features(name, x, LocalResponseNorm(size, alpha=alpha, beta=beta, k=k), first)

    def prelu(self, name: str, x: Value, alpha: Array, first: bool) -> Value:
        x = self.read(name, x, first)
        slopes = np.broadcast_to(np.ravel(alpha), x.ours[-1:])
        if x.columns is not None and alpha.size > 1:
            slopes = slopes[x.columns]
        return x.like(self.node(name, x, with_numbers(PReLU(), {"alpha": slopes})))

    # -- sequences -------------------------------------------------------------------------------------------
    def embedding(self, name: str, x: Value, E: Array, padding: int | None = None) -> Value:
        layer = with_numbers(Embedding(*E.shape, padding=padding), {"E": E})
        return Value((*x.theirs, E.shape[1]), Layout(False), self.node(name, x, layer))

    def recurrent(
        self, name: str, x: Value, kind: str, directions: Sequence[Mapping[str, Array]], order: str, *,
        every: bool, states: Sequence[Value] = (), reverse: bool = False, **options: Any,
    ) -> Value:  # fmt: skip
        """W, U, b (and v, V, P) of every direction, gates in the `order` in which they lie there. states: the
        first ones, where there are.
        """
        options["outputs"] = "all" if every else "last"
        made = [
            _cell(kind, given, order, reverse=bool(number) or reverse, **options)
            for number, given in enumerate(directions)
        ]
        x = self.read(name, x, False)
        units = sum(layer.state_sizes[0] for layer in made)
        layer = made[0] if len(made) == 1 else Bidirectional(made[0], backward=made[1])
        node = self.node(name, x, layer, beside=states)
        return Value((x.theirs[0], units) if every else (units,), Layout(False), node)

    def last_state(self, name: str, x: Value, state: str) -> Value:
        """What a recurrence of one direction holds behind its last step."""
        layer = x.node.layers[-1] if x.node and x.node.layers else None
        if not isinstance(layer, RNN | LSTM | GRU):
            raise ArgumentError(f"{name}: states are read of a recurrence of one direction")
        size = layer.state_sizes[layer.states.index(state)]
        return Value((size,), Layout(False), x.node, state=state)

    def recurrent_with_states(
        self, name: str, x: Value, kind: str, directions: Sequence[Mapping[str, Array]], order: str, *,
        every: bool, first: Sequence[Any] = (), reverse: bool = False, **options: Any,
    ) -> list[Value]:  # fmt: skip
        """Of a recurrence that begins with states, or puts them out: what it puts out at every step, (steps,
        directions, units), and every state behind the last, (directions, units).

        first: of every state what the directions begin with, a value or an array (directions, units), or None
        for zeros; of none there are zeros all.
        """
        x, made = self.read(name, x, False), []
        for number, given in enumerate(directions):
            units = given["U"].shape[1]
            states = [self._state(f"{name}_first", x, state, number, units) for state in first]
            options |= {"every": every, "states": states, "reverse": bool(number) or reverse}
            value = self.recurrent(name, x, kind, [given], order, **options)
            rows = (*value.theirs[:-1], 1) if every else (1, 1)
            steps = self.reshaped(f"{name}_axes", value, (*rows, units))
            ends = [self.last_state(name, value, state) for state in ("hc" if kind == "LSTM" else "h")]
            made.append([steps, *(self.reshaped(f"{name}_state", end, (1, units)) for end in ends)])
        if len(made) == 1:
            return made[0]
        return [
            self.join(f"{name}_ways", [*both], "concat", len(both[0].theirs) - 2)
            for both in zip(*made, strict=True)
        ]

    def _state(self, name: str, x: Value, state: Any, number: int, units: int) -> Value:
        """What a direction begins with, as a value: numbers that are the same for all are a bias."""
        if isinstance(state, Value):
            return self.reshaped(f"{name}_units", self.along(name, state, 0, (((number, 1.0),),)), (units,))
        row = self.reshaped(f"{name}_row", x, (math.prod(x.theirs),))
        nothing = self.along(f"{name}_nothing", row, 0, ((),) * units)
        return self.plus(name, nothing, np.zeros(units) if state is None else np.asarray(state)[number])

    def attention(
        self, name: str, values: Sequence[Value], layer: MultiHeadAttention, weights: Mapping[str, Array]
    ) -> Value:
        """W_q, W_k, W_v, W_o and b_q, b_v, b_o; a bias of the keys cancels in softmax and is left out. One
        value reads itself, two are queries and keys, three these and values.
        """
        x, *others = (self.read(name, value, False) for value in values)
        return x.like(self.node(name, x, with_numbers(layer, dict(weights)), beside=others))

    def _step(self, name: str, what: str, x: Value, times: int, sign: float, shift: float) -> Value:
        """2 · sign · x + shift, from 0 to 1, so many times one behind the other; no kink lies at a whole
        number.
        """
        taps = (*(((place, sign),) for place in range(x.theirs[0])),) * times
        return self.entrywise(
            f"{name}_there", self.along(f"{name}_{what}", x, 0, taps), HardSigmoid(2.0, shift)
        )

    def _others(self, name: str, number: int, part: Callable[[float, float], Value]) -> Value:
        """1 for ids below a number and above it: part(sign, shift) is 2 · sign · id + shift from 0 to 1."""
        sides = [part(sign, -sign * 2 * number - 0.5) for sign in (-1.0, 1.0)]
        return self.join(f"{name}_other", sides, "sum")

    def told(self, name: str, flags: Flags) -> Value:
        """1 where ids are one of them or, as the flags say, are not, and 0 elsewhere; nothing is learned."""
        there = self._others(name, flags.number, partial(self._step, name, "ids", flags.of, 1))
        if not flags.equal:
            return there
        taps = tuple(((place, -1.0),) for place in range(flags.of.theirs[0]))
        return self.entrywise(name, self.along(f"{name}_negative", there, 0, taps), HardSigmoid(2.0, 1.5))

    def seen(self, name: str, padding: Value | Flags, table: Array, hides: bool = True) -> Value:
        """Which keys a query of a sample sees, (steps, keys), 0 where it does not: those that `padding`,
        (keys,), does not hide, by 1 (`hides`, or else by 0) or by an id, and the table leaves. Nothing in it
        is learned.
        """
        number = padding.number if isinstance(padding, Flags) else None
        padding = padding.of if isinstance(padding, Flags) else padding
        part = partial(self._step, name, "padding", padding, len(table))
        if number is None:
            there = part(-1.0, 1.5) if hides else part(1.0, -0.5)
        else:
            there = self._others(name, number, part)
        taps = tuple(((place, 1.0),) if left else () for place, left in enumerate(table.ravel()))
        return self.reshaped(f"{name}_seen", self.along(f"{name}_mask", there, 0, taps), table.shape)


@contextlib.contextmanager
def _told(inputs: Mapping[str, Value]) -> Iterator[None]:
    """ShapeError that says of which samples it is, where weights do not fit them."""
    try:
        yield
    except ShapeError as error:
        shapes = {name: tuple(value.theirs) for name, value in inputs.items()}
        shown = next(iter(shapes.values())) if len(shapes) == 1 else shapes
        raise ShapeError(
            f"{str(error).partition(';')[0]}: the model's weights are for samples of another shape than "
            f"{shown}; write input_shape as the model takes one sample, of images mostly (channels, rows, "
            "columns)"
        ) from error


def _back(order: Sequence[int]) -> list[int]:
    """The order that puts axes back."""
    return [int(axis) for axis in np.argsort(order)]


def _with(numbers: Mapping[str, Array]) -> dict[str, Any]:
    """The options of a norm that has these."""
    return {"scale": "gamma" in numbers, "shift": "beta" in numbers}


def _padding(pads: Pads) -> Any:
    """((top, bottom), (left, right)), or (before, after), or "same"; an integer where all are the same."""
    if isinstance(pads, str):
        return pads
    given = tuple((int(before), int(after)) for before, after in pads)
    if len(sizes := {size for pair in given for size in pair}) == 1:
        return sizes.pop()
    return given[0] if len(given) == 1 else given


def _frame(pads: Pads) -> Any:
    return pads if isinstance(pads, str) else tuple((int(before), int(after)) for before, after in pads)


def _cell(kind: str, given: Mapping[str, Array], order: str, **options: Any) -> Any:
    """A recurrence with its numbers, of W, U, b whose gates lie in `order`, and v, V and P as ours are."""
    cls, ours = CELLS[kind]
    numbers = {
        key: gates_in_order(array, order, ours) if key in ("W", "U", "b") else array
        for key, array in given.items()
    }
    if "V" in given:
        options["projection"] = len(given["V"])
    if "P" in given:
        options["peepholes"] = True
    units = len(given["U"]) // len(ours)
    return with_numbers(cls(units, bias="b" in given, **options), numbers)


def _kernel(W: Array, b: Array | None) -> dict[str, Array]:
    """The channels, which stand in front of rows and columns there, behind them."""
    numbers = {"W": np.moveaxis(W, 1, -1)}
    return numbers if b is None else {**numbers, "b": b}


def cell(kind: str, W: Array, U: Array, b: Array, c: Array, within: bool = True) -> dict[str, Array]:
    """The parameters of a recurrence that has two biases, b beside W and c beside U: ours is their sum, but
    of the last gate of a GRU that resets behind U (`within`), whose c stands within the reset.
    """
    if kind != "GRU" or not within:
        return {"W": W, "U": U, "b": b + c}
    n = len(c) // len(CELLS[kind][1])
    return {"W": W, "U": U, "b": b + np.concatenate([c[:-n], np.zeros(n)]), "v": c[-n:]}
