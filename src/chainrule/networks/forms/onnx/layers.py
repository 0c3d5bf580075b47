"""Which layer is which operator: one function per family, and the table.

A layer without an entry is written by its formula (formulas.py); the entry is looked up by the exact class,
because a subclass may have other formulas. Layers over the steps of a sequence are in sequences.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from chainrule.base.types import Array
from chainrule.formulas import block_diagonal
from chainrule.formulas.calling import call_formula
from chainrule.formulas.expression import Symbol
from chainrule.formulas.primitives.edges import source
from chainrule.layers import (
    ELU,
    SELU,
    AveragePool1D,
    AveragePool2D,
    AveragePool3D,
    BatchNorm,
    Clamp,
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
    DepthwiseConv2D,
    Dropout,
    Features,
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
    LeakyReLU,
    LocalResponseNorm,
    LogSoftmax,
    LpPool1D,
    LpPool2D,
    LpPool3D,
    MaxPool1D,
    MaxPool2D,
    MaxPool3D,
    MaxUnpool1D,
    MaxUnpool2D,
    MaxUnpool3D,
    Pad1D,
    Pad2D,
    Pad3D,
    PeriodicEmbedding,
    Permute,
    PixelShuffle,
    PReLU,
    ReLU,
    ReLU6,
    Resample,
    Reshape,
    RMSNorm,
    Sigmoid,
    Softmax,
    Softplus,
    Softsign,
    Tanh,
    UpSample1D,
    UpSample2D,
    UpSample3D,
)
from chainrule.layers.columns.periodic import TURN
from chainrule.layers.parts import places_of
from chainrule.layers.sequences.masking import UNSEEN
from chainrule.layers.windows.adaptive import ADAPTIVE_POOLS, AdaptivePool
from chainrule.networks.forms.onnx.formulas import Formula, Term
from chainrule.networks.forms.onnx.graph import Graph, Value
from chainrule.networks.forms.written import positions, traced

Arrays = Mapping[str, Array]
Writer = Callable[[Graph, Any, Value, Arrays, str | None], Value]


def by_formula(graph: Graph, layer: Layer, x: Value, given: Arrays, mask: str | None) -> Value:
    """What a prediction computes, by the layer's own formula."""
    infer = layer.infer
    formula = layer.forward if infer is None else infer
    symbols = {name: Symbol(name) for name in ("x", *given)}
    tree = traced(lambda: call_formula(formula, symbols))
    bindings: dict[str, Term] = {"x": graph.last(x), **given}
    name = Formula(graph, bindings, {"x": x.shape}).value(tree)
    return Value(layer.output_shape(x.shape), name)


# -- dense -------------------------------------------------------------------------------------------------
def product(graph: Graph, x: str, W: Array, b: Array | None) -> str:
    """W x + b of the last axis of x, whatever stands before it."""
    z = graph.add("MatMul", x, graph.matrix(W.T))
    return z if b is None else graph.add("Add", z, graph.constant(b, "b"))


def _dense(graph: Graph, layer: Dense, x: Value, given: Arrays, mask: str | None) -> Value:
    W, b = given["W"] / layer.divisor(x.shape), given.get("b")
    shape = layer.output_shape(x.shape)
    if len(x.shape) > 1:
        return Value(shape, product(graph, graph.last(x), W, b))
    names = [graph.matrix(W), *([] if b is None else [graph.constant(b, "b")])]
    return Value(shape, graph.add("Gemm", graph.last(x), *names, transB=1))


def _dense_transposed(
    graph: Graph, layer: DenseTranspose, x: Value, given: Arrays, mask: str | None
) -> Value:
    return Value(layer.output_shape(x.shape), product(graph, graph.last(x), given["W"].T, given.get("b")))


def _flatten(graph: Graph, layer: Flatten, x: Value, given: Arrays, mask: str | None) -> Value:
    (size,) = shape = layer.output_shape(x.shape)
    return Value(shape, graph.add("Flatten", graph.last(x), axis=1), parts={(0, size): x})


def _same(graph: Graph, layer: Layer, x: Value, given: Arrays, mask: str | None) -> Value:
    return x


# -- windows -----------------------------------------------------------------------------------------------
def _sides(pads: Any) -> list[int]:
    """((top, bottom), (left, right)) as ONNX has it: top, left, bottom, right."""
    return [side[0] for side in pads] + [side[1] for side in pads]


def _kernel(W: Array) -> Array:
    """(K, rows, columns, C) with the channels in front."""
    return np.moveaxis(W, -1, 1)


def _conv(graph: Graph, layer: Any, x: Value, given: Arrays, mask: str | None) -> Value:
    g = layer.grid
    names = [graph.constant(_kernel(given["W"]), "W")]
    names += [graph.constant(given["b"], "b")] if layer.bias else []
    z = graph.add(
        "Conv",
        graph.first(x),
        *names,
        kernel_shape=[*g.kernel],
        strides=[*g.stride],
        dilations=[*g.dilation],
        group=layer.groups_of(x.shape[-1]),
        pads=_sides(layer.pads(x.shape)),
    )
    return Value(layer.output_shape(x.shape), None, z)


def _conv_transposed(graph: Graph, layer: Any, x: Value, given: Arrays, mask: str | None) -> Value:
    g, shape = layer.grid, layer.output_shape(x.shape)
    names = [graph.constant(_kernel(given["W"]), "W")]
    names += [graph.constant(given["b"], "b")] if layer.bias else []
    pads = layer.pads(shape)
    # What the windows leave over at the end, beyond what the padding takes away.
    spans = [s * (n - 1) + e for s, n, e in zip(g.stride, x.shape[:-1], g.extent, strict=True)]
    more = [n + a + b - span for n, (a, b), span in zip(shape[:-1], pads, spans, strict=True)]
    ends = [(a, b - m) if m < 0 else (a, b) for (a, b), m in zip(pads, more, strict=True)]
    z = graph.add(
        "ConvTranspose",
        graph.first(x),
        *names,
        kernel_shape=[*g.kernel],
        strides=[*g.stride],
        dilations=[*g.dilation],
        group=layer.groups,
        pads=_sides(ends),
        output_padding=[max(m, 0) for m in more],
    )
    return Value(shape, None, z)


def _pool(graph: Graph, layer: Any, x: Value, given: Arrays, mask: str | None) -> Value:
    g = layer.grid
    window: dict[str, Any] = {
        "kernel_shape": [*g.kernel],
        "strides": [*g.stride],
        "pads": _sides(layer.pads(x.shape)),
    }
    shape, name = layer.output_shape(x.shape), graph.first(x)
    apart = {"dilations": [*g.dilation]} if max(g.dilation) > 1 else {}
    if isinstance(layer, LpPool2D):
        powers = graph.add("Pow", graph.add("Abs", name), graph.constant(layer.p))
        total = _window_sums(graph, layer, x, powers, count_padding=True)
        total = graph.add("Mul", total, graph.constant(math.prod(g.kernel)))
        return Value(shape, None, graph.add("Pow", total, graph.constant(1 / layer.p)))
    if apart and not isinstance(layer, MaxPool2D):
        root, name = (
            isinstance(layer, L2Pool2D),
            graph.add("Mul", name, name) if isinstance(layer, L2Pool2D) else name,
        )
        sums = (root and not layer.mean) or layer.divisor is not None
        total = _window_sums(graph, layer, x, name, layer.count_padding or sums)
        if sums:
            total = graph.add("Mul", total, graph.constant(math.prod(g.kernel) / (layer.divisor or 1)))
        return Value(shape, None, graph.add("Sqrt", total) if root else total)
    window |= apart
    if isinstance(layer, MaxPool2D):
        return Value(shape, None, graph.add("MaxPool", name, **window))
    if isinstance(layer, AveragePool2D):
        counted = layer.count_padding or layer.divisor is not None
        average = graph.add("AveragePool", name, count_include_pad=int(counted), **window)
        if layer.divisor is not None:
            average = graph.add("Mul", average, graph.constant(math.prod(g.kernel) / layer.divisor))
        return Value(shape, None, average)
    if not layer.mean:
        return Value(shape, None, graph.add("LpPool", name, p=2, **window))
    squares = graph.add("AveragePool", graph.add("Mul", name, name), count_include_pad=0, **window)
    return Value(shape, None, graph.add("Sqrt", squares))


def _window_sums(graph: Graph, layer: Any, x: Value, name: str, count_padding: bool) -> str:
    """Means of windows along every axis, by a product with the shares of its pixels; channels in front."""
    g = layer.grid
    for axis, size in enumerate(x.shape[:-1]):
        (before, _), made = g.pads_along(axis, size), g.positions_along(axis, size)
        A = np.zeros((size, made))
        for i in range(made):
            places = i * g.stride[axis] - before + g.dilation[axis] * np.arange(g.kernel[axis])
            there = places[(places >= 0) & (places < size)]
            A[there, i] = 1 / (g.kernel[axis] if count_padding else len(there))
        name = _mixed(graph, x, name, axis, A)
    return name


def _mixed(graph: Graph, x: Value, name: str, axis: int, A: Array) -> str:
    """A product with A (places there are, places made) along an axis, with the channels in front."""
    axes = [*range(len(x.shape) + 1)]
    axes[-1], axes[axis + 2] = axes[axis + 2], axes[-1]
    name = graph.add("Transpose", name, perm=axes)
    return graph.add("Transpose", graph.add("MatMul", name, graph.constant(A, "A")), perm=axes)


def _adaptive(graph: Graph, layer: AdaptivePool, x: Value, given: Arrays, mask: str | None) -> Value:
    """A pool where its windows are equal; else means by a product along every axis, and for maxima the
    pixels of all windows side by side, of shorter ones the last once more.
    """
    shape, name, largest = layer.output_shape(x.shape), graph.first(x), layer.pool_class.kind == "maxpool"
    if {*layer.sizes} == {1}:
        return Value(shape, None, graph.add("GlobalMaxPool" if largest else "GlobalAveragePool", name))
    plain = layer.plain(x.shape)
    if plain is not None:
        return _pool(graph, plain, x, given, mask)
    kernel = []
    for axis, (size, windows) in enumerate(zip(x.shape, layer.windows(x.shape), strict=False)):
        kernel.append(max(map(len, windows)))
        if largest:
            places = [min(w[0] + m, w[-1]) for w in windows for m in range(kernel[-1])]
            name = graph.add("Gather", name, graph.whole(*places), axis=axis + 2)
            continue
        A = np.zeros((size, len(windows)))
        for i, window in enumerate(windows):
            A[window, i] = 1 / len(window)
        name = _mixed(graph, x, name, axis, A)
    if largest:
        name = graph.add("MaxPool", name, kernel_shape=kernel, strides=kernel)
    return Value(shape, None, name)


def _unpool(graph: Graph, layer: Any, x: Value, given: Arrays, mask: str | None) -> Value:
    """Back to the places of a pool of what the pool read: without what its windows leave out, and with a
    frame, so that both agree on the size that places are counted in.
    """
    g, (small, pooled) = layer.pool.grid, layer.sources
    values, read = (
        graph.first(graph.part(x, start, stop, shape)) for start, stop, shape in places_of(layer.sources)
    )
    told = zip(pooled, layer.pool.pads(pooled), small, g.stride, g.kernel, strict=False)
    frame = [(before, (n - 1) * s + k - size - before) for size, (before, _), n, s, k in told]
    window: dict[str, Any] = {"kernel_shape": [*g.kernel], "strides": [*g.stride]}
    sides = _sides([(0, 0), (0, 0), *frame])
    if any(sides):
        least = graph.constant(np.finfo(np.float32).min)
        read = graph.add("Pad", read, graph.whole(*sides), least, mode="constant")
    z = graph.add("MaxUnpool", values, graph.several("MaxPool", read, outputs=2, **window)[1], **window)
    if any(sides):
        z = graph.add("Pad", z, graph.whole(*(-side for side in sides)), mode="constant")
    return Value(pooled, None, z)


def _zeros_or(mode: str) -> str:
    """What ONNX calls a padding of ours; of before version 19 it has none that is circular."""
    return {"zeros": "constant", "replicate": "edge", "circular": "wrap"}.get(mode, mode)


def _pad(graph: Graph, layer: Any, x: Value, given: Arrays, mask: str | None) -> Value:
    shape, name, frame = layer.output_shape(x.shape), graph.last(x), ((0, 0), *layer.frame, (0, 0))
    if layer.mode == "circular" and graph.opset < 19:
        for axis, (size, (before, after)) in enumerate(zip(x.shape, layer.frame, strict=False), 1):
            sources = source(np.arange(-before, size + after), size, layer.mode)
            name = graph.add("Gather", name, graph.whole(*sources.tolist()), axis=axis)
        return Value(shape, name)
    return Value(shape, graph.add("Pad", name, graph.whole(*_sides(frame)), mode=_zeros_or(layer.mode)))


def _crop(graph: Graph, layer: Any, x: Value, given: Arrays, mask: str | None) -> Value:
    axes = range(1, len(layer.frame) + 1)
    starts = [-before for before, _ in layer.frame]
    ends = [size + after for size, (_, after) in zip(x.shape, layer.frame, strict=False)]
    name = graph.add("Slice", graph.last(x), *(graph.whole(*sizes) for sizes in (starts, ends, axes)))
    return Value(layer.output_shape(x.shape), name)


def _upsample(graph: Graph, layer: Any, x: Value, given: Arrays, mask: str | None) -> Value:
    scales = graph.constant([1, 1, *layer.factors], "scales", np.float32)
    how = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor", "mode": "nearest"}
    if layer.mode != "nearest":
        how = {"coordinate_transformation_mode": "half_pixel", "mode": "linear"}
    z = graph.add("Resize", graph.first(x), "", scales, **how)
    return Value(layer.output_shape(x.shape), None, z)


def _shuffle(graph: Graph, layer: PixelShuffle, x: Value, given: Arrays, mask: str | None) -> Value:
    z = graph.add("DepthToSpace", graph.first(x), blocksize=layer.block, mode="CRD")
    return Value(layer.output_shape(x.shape), None, z)


def _permute(graph: Graph, layer: Permute, x: Value, given: Arrays, mask: str | None) -> Value:
    z = graph.add("Transpose", graph.last(x), perm=[0, *(axis + 1 for axis in layer.order)])
    return Value(layer.output_shape(x.shape), z)


def _reshape(graph: Graph, layer: Reshape, x: Value, given: Arrays, mask: str | None) -> Value:
    shape = layer.output_shape(x.shape)
    return Value(shape, graph.reshape(graph.last(x), *shape))


def _resample(graph: Graph, layer: Resample, x: Value, given: Arrays, mask: str | None) -> Value:
    """A product by Aᵀ, with the axis as the last one."""
    A = np.zeros((layer.size, len(layer.weights)))
    for made, row in enumerate(layer.weights):
        for place, weight in row:
            A[place, made] += weight
    axes = [*range(len(x.shape) + 1)]
    axes[-1], axes[layer.axis + 1] = axes[layer.axis + 1], axes[-1]
    name, last = graph.last(x), layer.axis == len(x.shape) - 1
    name = graph.add(
        "MatMul", name if last else graph.add("Transpose", name, perm=axes), graph.constant(A, "A")
    )
    return Value(layer.output_shape(x.shape), name if last else graph.add("Transpose", name, perm=axes))


def _global_pool(graph: Graph, layer: Layer, x: Value, given: Arrays, mask: str | None) -> Value:
    shape, largest = layer.output_shape(x.shape), isinstance(layer, GlobalMaxPool)
    if mask is None:
        pooled = graph.add("GlobalMaxPool" if largest else "GlobalAveragePool", graph.first(x))
        return Value(shape, graph.reshape(pooled, *shape))
    there, name = graph.axes("Unsqueeze", mask, 2), graph.last(x)  # (N, T, 1)
    count = graph.reduce("ReduceSum", there, [1], keep=False)
    if not largest:
        total = graph.reduce("ReduceSum", graph.add("Mul", name, there), [1], keep=False)
        return Value(shape, graph.add("Div", total, graph.add("Max", count, graph.constant(1))))
    seen = graph.add("Where", graph.holds(there), name, graph.constant(UNSEEN))
    some = graph.holds(count)
    return Value(
        shape, graph.add("Where", some, graph.reduce("ReduceMax", seen, [1], keep=False), graph.constant(0))
    )


# -- normalisation -----------------------------------------------------------------------------------------
def _scales(x: Value, axes: int = 1) -> dict[str, Array]:
    """γ and β where there are none."""
    return {"gamma": np.ones(x.shape[-axes:]), "beta": np.zeros(x.shape[-axes:])}


def _batch_norm(
    graph: Graph, layer: BatchNorm | InstanceNorm, x: Value, given: Arrays, mask: str | None
) -> Value:
    whole = {**_scales(x), **given}
    if not layer.tracked:
        return _by_batch(graph, x, whole, layer.epsilon)
    names = [graph.constant(whole[name], name) for name in ("gamma", "beta", "mean", "variance")]
    z = graph.add("BatchNormalization", graph.first(x), *names, epsilon=layer.epsilon)
    return Value(x.shape, None if len(x.shape) > 1 else z, z)


def _by_batch(graph: Graph, x: Value, scales: Arrays, epsilon: float) -> Value:
    """By the mean and variance of what the model is given together, channels last."""
    axes = list(range(len(x.shape)))  # samples and positions
    centred = graph.add("Sub", graph.last(x), graph.reduce("ReduceMean", graph.last(x), axes))
    variance = graph.reduce("ReduceMean", graph.add("Mul", centred, centred), axes)
    root = graph.add("Sqrt", graph.add("Add", variance, graph.constant(epsilon, "epsilon")))
    scaled = graph.add("Mul", graph.add("Div", centred, root), graph.constant(scales["gamma"], "gamma"))
    return Value(x.shape, graph.add("Add", scaled, graph.constant(scales["beta"], "beta")))


def _layer_norm(graph: Graph, layer: LayerNorm, x: Value, given: Arrays, mask: str | None) -> Value:
    if graph.opset < 17:
        return _norm_by_formula(graph, layer, x, given, mask)
    scales = {**_scales(x, layer.axes), **given}
    wanted = ("gamma", "beta") if layer.shift else ("gamma",)
    names = [graph.constant(scales[name], name) for name in wanted]
    z = graph.add("LayerNormalization", graph.last(x), *names, axis=-layer.axes, epsilon=layer.epsilon)
    return Value(x.shape, z)


def _norm_by_formula(
    graph: Graph, layer: LayerNorm | RMSNorm, x: Value, given: Arrays, mask: str | None
) -> Value:
    """Over several axes as over those of rows."""
    if layer.axes == 1:
        return by_formula(graph, layer, x, given, mask)
    shape = layer.rows_of(x.shape)
    rows = Value(shape, graph.reshape(graph.last(x), *shape))
    over_rows = type(layer)(**{**layer.config(), "axes": 1})
    flat = {name: array.ravel() for name, array in given.items()}
    z = by_formula(graph, over_rows, rows, flat, mask)
    return Value(x.shape, graph.reshape(graph.last(z), *x.shape))


def _group_norm(graph: Graph, layer: GroupNorm, x: Value, given: Arrays, mask: str | None) -> Value:
    """Instance normalisation of groups as channels, one long row each; then γ and β of every channel."""
    channels, count = x.shape[-1], positions(x.shape)
    rows = graph.reshape(graph.first(x), layer.groups, channels // layer.groups * count)
    plain = graph.constant(np.ones(layer.groups)), graph.constant(np.zeros(layer.groups))
    normal = graph.add("InstanceNormalization", rows, *plain, epsilon=layer.epsilon)
    back = graph.reshape(normal, channels, *x.shape[:-1])
    thin = (channels, *(1 for _ in x.shape[:-1]))
    z = graph.add("Mul", back, graph.constant(given["gamma"].reshape(thin))) if layer.scale else back
    if layer.shift:
        z = graph.add("Add", z, graph.constant(given["beta"].reshape(thin)))
    return Value(x.shape, None if len(x.shape) > 1 else z, z)


def _instance_norm(graph: Graph, layer: InstanceNorm, x: Value, given: Arrays, mask: str | None) -> Value:
    if layer.tracked:
        return _batch_norm(graph, layer, x, given, mask)
    scales = {**_scales(x), **given}
    names = [graph.constant(scales[name], name) for name in ("gamma", "beta")]
    z = graph.add("InstanceNormalization", graph.first(x), *names, epsilon=layer.epsilon)
    return Value(x.shape, None, z)


def _local_norm(graph: Graph, layer: LocalResponseNorm, x: Value, given: Arrays, mask: str | None) -> Value:
    """LRN is of images, and has the larger half of an even number behind the channel."""
    count = sum(layer.sides) + 1
    if len(x.shape) == 3 and layer.sides[0] == (count - 1) // 2:
        options: dict[str, Any] = {"alpha": layer.alpha, "beta": layer.beta, "bias": layer.k}
        return Value(x.shape, None, graph.add("LRN", graph.first(x), size=count, **options))
    band = np.zeros((x.shape[-1], x.shape[-1]))
    for c, row in enumerate(layer.taps(x.shape)):
        for j, weight in row:
            band[j, c] = weight * layer.share
    last = graph.last(x)
    sums = graph.add("MatMul", graph.add("Mul", last, last), graph.constant(band))
    root = graph.add("Pow", graph.add("Add", sums, graph.constant(layer.k)), graph.constant(-layer.beta))
    return Value(x.shape, graph.add("Mul", last, root))


# -- activations -------------------------------------------------------------------------------------------
def _entrywise(operator: str, *options: Callable[[Any], tuple[str, float]]) -> Writer:
    def write(graph: Graph, layer: Layer, x: Value, given: Arrays, mask: str | None) -> Value:
        attributes: dict[str, Any] = dict(option(layer) for option in options)
        return x.like(graph.add(operator, x.name, **attributes))

    return write


def _hard_tanh(graph: Graph, layer: HardTanh, x: Value, given: Arrays, mask: str | None) -> Value:
    return x.like(graph.add("Clip", x.name, graph.constant(layer.low), graph.constant(layer.high)))


def _relu6(graph: Graph, layer: ReLU6, x: Value, given: Arrays, mask: str | None) -> Value:
    return x.like(graph.add("Clip", x.name, graph.constant(0), graph.constant(6)))


def _softplus(graph: Graph, layer: Softplus, x: Value, given: Arrays, mask: str | None) -> Value:
    """The operator has β 1 and no threshold."""
    if layer.beta != 1 or layer.threshold is not None:
        return by_formula(graph, layer, x, given, mask)
    return x.like(graph.add("Softplus", x.name))


def _prelu(graph: Graph, layer: PReLU, x: Value, given: Arrays, mask: str | None) -> Value:
    return Value(x.shape, graph.add("PRelu", graph.last(x), graph.constant(given["alpha"])))


def _softmax(graph: Graph, layer: Softmax, x: Value, given: Arrays, mask: str | None) -> Value:
    return Value(x.shape, graph.add("Softmax", graph.last(x), axis=-1))


def _features(graph: Graph, layer: Features, x: Value, given: Arrays, mask: str | None) -> Value:
    chosen = np.arange(layer.start, layer.stop)
    ids = graph.constant(chosen, dtype=np.int64)
    return Value(layer.output_shape(x.shape), graph.add("Gather", graph.last(x), ids, axis=-1))


def _clamp(graph: Graph, layer: Clamp, x: Value, given: Arrays, mask: str | None) -> Value:
    low, high = graph.constant(layer.low), graph.constant(layer.high)
    return Value(x.shape, graph.add("Clip", graph.last(x), low, high))


def _periodic(graph: Graph, layer: PeriodicEmbedding, x: Value, given: Arrays, mask: str | None) -> Value:
    """The blocks of both products as whole matrices."""
    n = x.shape[0]
    W = block_diagonal(given["W"] * TURN, np.empty((n, 1)))
    V = block_diagonal(given["V"], np.empty((n * layer.hidden, 1)))
    waves = graph.add("Cos", product(graph, graph.last(x), W, given["b"]))
    made = product(graph, waves, V, given["c"])
    return Value(layer.output_shape(x.shape), graph.add("Concat", graph.last(x), made, axis=-1))


def _log_softmax(graph: Graph, layer: LogSoftmax, x: Value, given: Arrays, mask: str | None) -> Value:
    return Value(x.shape, graph.add("LogSoftmax", graph.last(x), axis=-1))


LAYERS: dict[type[Layer], Writer] = {
    Dense: _dense,
    DenseTranspose: _dense_transposed,
    Features: _features,
    Clamp: _clamp,
    PeriodicEmbedding: _periodic,
    Flatten: _flatten,
    Identity: _same,
    Dropout: _same,
    Conv1D: _conv,
    Conv2D: _conv,
    Conv3D: _conv,
    DepthwiseConv2D: _conv,
    ConvTranspose1D: _conv_transposed,
    ConvTranspose2D: _conv_transposed,
    ConvTranspose3D: _conv_transposed,
    MaxPool1D: _pool,
    MaxPool2D: _pool,
    MaxPool3D: _pool,
    AveragePool1D: _pool,
    AveragePool2D: _pool,
    AveragePool3D: _pool,
    L2Pool1D: _pool,
    L2Pool2D: _pool,
    L2Pool3D: _pool,
    LpPool1D: _pool,
    LpPool2D: _pool,
    LpPool3D: _pool,
    **dict.fromkeys((MaxUnpool1D, MaxUnpool2D, MaxUnpool3D), _unpool),
    **dict.fromkeys((Pad1D, Pad2D, Pad3D), _pad),
    **dict.fromkeys((Crop1D, Crop2D, Crop3D), _crop),
    **dict.fromkeys((UpSample1D, UpSample2D, UpSample3D), _upsample),
    PixelShuffle: _shuffle,
    Permute: _permute,
    Reshape: _reshape,
    Resample: _resample,
    **dict.fromkeys(ADAPTIVE_POOLS, _adaptive),
    GlobalAveragePool: _global_pool,
    GlobalMaxPool: _global_pool,
    BatchNorm: _batch_norm,
    LayerNorm: _layer_norm,
    RMSNorm: _norm_by_formula,
    GroupNorm: _group_norm,
    InstanceNorm: _instance_norm,
    LocalResponseNorm: _local_norm,
    ReLU: _entrywise("Relu"),
    Sigmoid: _entrywise("Sigmoid"),
    Tanh: _entrywise("Tanh"),
    Softplus: _softplus,
    Softsign: _entrywise("Softsign"),
    LeakyReLU: _entrywise("LeakyRelu", lambda layer: ("alpha", layer.slope)),
    ELU: _entrywise("Elu", lambda layer: ("alpha", layer.alpha)),
    SELU: _entrywise("Selu", lambda layer: ("alpha", layer.alpha), lambda layer: ("gamma", layer.scale)),
    HardSigmoid: _entrywise(
        "HardSigmoid", lambda layer: ("alpha", layer.slope), lambda layer: ("beta", layer.shift)
    ),
    HardTanh: _hard_tanh,
    ReLU6: _relu6,
    PReLU: _prelu,
    Softmax: _softmax,
    LogSoftmax: _log_softmax,
}
