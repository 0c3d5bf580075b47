"""Which layer is which native operation: one function per family, and the table.

A layer without an entry has its formulas compiled to programs (programs.py); where they are no programs it
becomes a host operation: its formulas are evaluated on NumPy arrays for its part of the plan. The entry is
looked up by the exact class, because a subclass may have other formulas.
"""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule._native import EACH_POSITION, OVER_BATCH, Act, Cell, ConvMethod, InLanes, JoinKind
from chainrule.base.types import Shape
from chainrule.engine.lowering.builder import WHOLE, Bands, Builder
from chainrule.engine.lowering.convolutions import CONVOLUTIONS, TRANSPOSED, image_pads, two, winograd_applies
from chainrule.engine.lowering.pools import GLOBAL_POOLS, POOLS, adaptive_pool, global_pool, pool
from chainrule.engine.lowering.unpooling import unpooled
from chainrule.engine.lowering.values import (
    ACTIVATIONS,
    CELLS,
    NO_HALO,
    Hosted,
    Value,
    as_image,
    cell,
    slope,
)
from chainrule.engine.programs import Formula, entry_programs, layer_programs
from chainrule.formulas import cos, sin
from chainrule.formulas.primitives.axes import runs
from chainrule.formulas.primitives.steps import turns
from chainrule.layers import (
    RNN,
    BatchNorm,
    Crop1D,
    Crop2D,
    Crop3D,
    Dense,
    DenseTranspose,
    Dropout,
    Embedding,
    Features,
    Flatten,
    GroupNorm,
    Heads,
    Identity,
    InstanceNorm,
    Layer,
    LayerNorm,
    LocalResponseNorm,
    LogSoftmax,
    Masking,
    MaxUnpool1D,
    MaxUnpool2D,
    MaxUnpool3D,
    MultiHeadAttention,
    Pad1D,
    Pad2D,
    Pad3D,
    Part,
    PeriodicEmbedding,
    Permute,
    PixelShuffle,
    PositionalEncoding,
    Recurrent,
    Resample,
    Reshape,
    RMSNorm,
    Softmax,
    UpSample1D,
    UpSample2D,
    UpSample3D,
)
from chainrule.layers.columns.periodic import TURN
from chainrule.layers.parts import places_of
from chainrule.layers.sequences.attention import GIVEN
from chainrule.layers.windows.adaptive import ADAPTIVE_POOLS
from chainrule.layers.windows.convolution import Convolution

ONE_PIXEL = ((1, 1), (1, 1), (1, 1), (0, 0))  # kernel, stride, dilation, padding


def _dense(low: Builder, layer: Dense, x: Value, z: Value, parameters: list[int]) -> None:
    if layer.ntk:  # one product less for every input than for every weight
        x = _entrywise(low, layer, lambda entry: entry / layer.divisor(x.shape), x)
        parameters = [low.parameter_of(layer, name, x.shape) for name in layer.parameters(x.shape)]
    bias = parameters[1] if layer.bias else -1
    if len(x.shape) == 1:
        low.native.add_dense(x.number, z.number, parameters[0], bias, low.rounds(layer))
    else:
        _at_every_step(low, x, z, parameters[0], bias, low.rounds(layer))


def _dense_transposed(low: Builder, layer: DenseTranspose, x: Value, z: Value, parameters: list[int]) -> None:
    """A transposed convolution of one pixel, whose kernel is W as it lies."""
    bias = parameters[1] if layer.bias else -1
    direct = ConvMethod.direct
    low.native.add_convolution(x.number, z.number, parameters[0], bias, *ONE_PIXEL, 1, direct, True)


def _entrywise(low: Builder, layer: Layer, f: Formula, x: Value, df: Formula | None = None) -> Value:
    """A value f(x) within a layer; df: f', where f is not a product with a number."""
    made = low.value(x.shape, NO_HALO, NO_HALO, x.with_delta, cut=x.cut)
    forward, backward = entry_programs(f, df, x.lane_shape, delta=x.with_delta)
    low.native.add_program(x.number, made.number, forward.native(), backward.native(), [])
    low.parts[made.number] = str(layer.name)
    return made


def _at_every_step(low: Builder, x: Value, z: Value, W: int, bias: int, rounded: bool = False) -> None:
    """A dense layer on a sequence: every step is a row of it, or it is a convolution of one pixel."""
    if W in low.panels:
        low.native.add_dense(x.number, z.number, W, bias, rounded)
        return
    method = ConvMethod.direct
    low.native.add_convolution(x.number, z.number, W, bias, *ONE_PIXEL, 1, method, False, rounded)


def _conv(low: Builder, layer: Convolution, x: Value, z: Value, parameters: list[int]) -> None:
    channels = x.shape[-1]
    if z.lanes == InLanes.samples and parameters[0] in low.panels:
        bias = parameters[1] if layer.bias else -1
        low.native.add_dense(x.number, z.number, parameters[0], bias, low.rounds(layer))
        return
    groups = layer.groups_of(channels)
    method = ConvMethod.depthwise if groups == channels > 1 else ConvMethod.direct
    if winograd_applies(layer, x.shape, z.shape, *low.size(layer)):
        by_gradient = winograd_applies(layer, x.shape, z.shape, *low.size(layer), gradient=True)
        method = ConvMethod.winograd_gradient if by_gradient else ConvMethod.winograd
    _add_convolution(low, layer, x, z, parameters, x.shape, groups, method)


def _conv_transposed(low: Builder, layer: Convolution, x: Value, z: Value, parameters: list[int]) -> None:
    """The geometry of the convolution whose image is z and whose windows are the pixels of x."""
    method = ConvMethod.depthwise if layer.groups == layer.filters > 1 else ConvMethod.direct
    _add_convolution(low, layer, x, z, parameters, z.shape, layer.groups, method, True)


def _add_convolution(
    low: Builder,
    layer: Convolution,
    x: Value,
    z: Value,
    parameters: list[int],
    image: Shape,
    groups: int,
    method: ConvMethod,
    transposed: bool = False,
) -> None:
    g, cut = layer.grid, x.bands > 1
    (top, _), (left, _) = image_pads(layer, image, cut)
    geometry = (*(two(sizes, cut=cut) for sizes in (g.kernel, g.stride, g.dilation)), (top, left))
    bias = parameters[1] if layer.bias else -1
    how = (groups, method, transposed, low.rounds(layer))
    depth = None
    if layer.axes == 3:
        (front, _), *_ = layer.pads(image)
        planes = (x.lane_shape[0], z.lane_shape[0])
        depth = (g.kernel[0], g.stride[0], g.dilation[0], front, *(planes[::-1] if transposed else planes))
    low.native.add_convolution(x.number, z.number, parameters[0], bias, *geometry, *how, depth)


def _unpool(low: Builder, layer: Any, x: Value, z: Value, parameters: list[int]) -> None:
    small, pooled = parts_read(low, layer, x, layer.sources)
    unpooled(low, layer, small, pooled, z)


def _flatten(low: Builder, layer: Flatten, x: Value, z: Value, parameters: list[int]) -> None:
    low.native.add_flatten(x.number, z.number)


def _activation(low: Builder, layer: Layer, x: Value, z: Value, parameters: list[int]) -> None:
    low.native.add_activation(x.number, z.number, ACTIVATIONS[type(layer)], slope(layer))


def _recurrent(low: Builder, layer: Recurrent, x: Value, z: Value, parameters: list[int]) -> None:
    first, shape = -1, x.shape
    if layer.sources:
        steps, states = layer.sources[0], (sum(layer.state_sizes),)
        x, given = parts_read(low, layer, x, [steps, states])
        first = given.number
    names = layer.parameters(shape)
    if not parameters:
        parameters = [low.parameter_of(layer, name, shape) for name in names]
    known = dict(zip(names, parameters, strict=True))
    wanted = ("W", "U", "b", *(["v"] if cell(layer) == Cell.gru else []))
    activation = ACTIVATIONS[type(layer.f)] if isinstance(layer, RNN) else Act.identity
    cell_ = (cell(layer), len(layer.gates), layer.units, activation)
    mask = low.mask.number if low.mask else -1
    way = (layer.outputs == "all", layer.reverse, layer.truncate or 0)
    of_lstm = (layer.state_sizes[0], known.get("V", -1), known.get("P", -1))
    numbers = [known.get(name, -1) for name in wanted]
    low.native.add_recurrent(x.number, z.number, numbers, mask, *cell_, *way, first, layer.ends, *of_lstm)


def _masking(low: Builder, layer: Masking, x: Value, z: Value, parameters: list[int]) -> None:
    low.mask = low.steps_mask(x.shape[0])
    low.native.add_masking(x.number, z.number, low.mask.number, layer.value)


def _softmax(low: Builder, layer: Softmax, x: Value, z: Value, parameters: list[int]) -> None:
    low.native.add_softmax(x.number, z.number)


def _norm(low: Builder, layer: Any, x: Value, z: Value, parameters: list[int]) -> None:
    if over_axes(layer):  # one over rows, between two copies
        rows, made = (low.value(layer.rows_of(x.shape), NO_HALO, NO_HALO, v.with_delta) for v in (x, z))
        _moved(low, Reshape(rows.shape), x, rows, [])
        parameters = [low.parameter_of(layer, name, x.shape) for name in layer.parameters(x.shape)]
        _norm_of(low, layer, rows, made, parameters)
        _moved(low, Reshape(x.shape), made, z, [])
        low.parts.update({value.number: str(layer.name) for value in (rows, made)})
        return
    _norm_of(low, layer, x, z, parameters)


def _norm_of(low: Builder, layer: Any, x: Value, z: Value, parameters: list[int]) -> None:
    groups, momentum = vars(layer).get("groups", EACH_POSITION), 0.0
    wanted = ["gamma", "beta"]
    over_batch = isinstance(layer, BatchNorm)
    if over_batch or isinstance(layer, InstanceNorm):
        groups = OVER_BATCH if over_batch else x.shape[-1]
    if layer.tracked:
        momentum = layer.momentum or 0.0
        wanted += ["mean", "variance", *(["batches"] if over_batch else [])]
    known = dict(zip(layer.parameters(x.shape), parameters, strict=True))
    numbers = [known.get(name, -1) for name in wanted]
    centred = not isinstance(layer, RMSNorm)
    low.native.add_norm(x.number, z.number, groups, layer.epsilon, momentum, numbers, centred)


def _local_norm(low: Builder, layer: LocalResponseNorm, x: Value, z: Value, parameters: list[int]) -> None:
    """x times r^{-β}, r from the sums of the squares beside each other."""
    itself, read = low.readers(x, 2)
    squares = _entrywise(low, layer, lambda entry: entry**2, read, lambda entry: 2 * entry)
    sums = low.value(x.shape, NO_HALO, NO_HALO, x.with_delta, cut=x.cut)
    band = Resample(len(x.shape) - 1, layer.taps(x.shape), x.shape[-1])
    _resample(low, band, squares, sums, [])
    k, share, power = layer.k, layer.share, layer.beta
    shrunk = _entrywise(
        low,
        layer,
        lambda entry: (k + share * entry) ** -power,
        sums,
        lambda entry: (-power * (k + share * entry) ** -power, share / (k + share * entry)),
    )
    low.parts.update({value.number: str(layer.name) for value in (itself, read, sums)})
    ends = [itself.number, shrunk.number]
    low.native.add_join(ends, [Act.identity] * 2, [0.0] * 2, [-1] * 2, z.number, JoinKind.product)


def _dropout(low: Builder, layer: Dropout, x: Value, z: Value, parameters: list[int]) -> None:
    low.native.add_dropout(x.number, z.number, zlib.crc32(layer.stream.encode()), layer.rate)


def _features(low: Builder, layer: Features, x: Value, z: Value, parameters: list[int]) -> None:
    low.native.add_slice(x.number, z.number, layer.start)


def _moved(low: Builder, layer: Layer, x: Value, z: Value, parameters: list[int]) -> None:
    """Numbers that move: where each comes from is told by the formula itself, of an image of their places."""
    if getattr(layer, "mode", "").endswith("linear"):
        _between(low, layer, x, z)
        return
    count = math.prod(x.lane_shape)
    places = np.arange(1.0, count + 1).reshape(*x.lane_shape, 1)  # 0: from nowhere
    came_from = np.asarray(layer.forward(places)).astype(np.int64).ravel() - 1
    to = np.flatnonzero(came_from >= 0)
    origin = came_from[to]
    begins = np.arange(len(to)) == 0  # a run ends where either jumps, or begins a row
    for value, at in ((z, to), (x, origin)):
        row = math.prod(value.lane_image[1:])
        begins[1:] |= (np.diff(at) != 1) | (at[1:] % row == 0)
    first = np.flatnonzero(begins)
    counts = np.diff([*first, len(to)])
    runs = (to[first].tolist(), origin[first].tolist(), counts.tolist())
    low.native.add_gather(x.number, z.number, *runs, [])


def _between(low: Builder, layer: Any, x: Value, z: Value) -> None:
    """Pixels between pixels: every one of two along each axis, with their shares."""
    *sizes, width, channels = x.shape

    def taps_of(axis: int, size: int) -> list[tuple[tuple[int, float], tuple[int, float]]]:
        both = zip(layer.sources(axis, size), layer.shares(axis, size), strict=True)
        return [((first, 1 - share), (second, share)) for first, (second, share) in both]

    taps = [taps_of(axis, size) for axis, size in enumerate((*sizes, width))]
    if x.bands > 1:  # every band as one between two others, whose rows it reads
        own, made = x.rows, x.rows * layer.factors[0]
        taps[0] = [
            ((first - own, one), (second - own, other))
            for (first, one), (second, other) in taps_of(0, 3 * own)[made : 2 * made]
        ]
    rows: Any = [((0, 1.0),)]
    for size, of_axis in zip(sizes, taps[:-1], strict=True):  # rows of planes one below the other
        rows = [
            [(at * size + u, a * b) for at, a in row for u, b in pair] for row in rows for pair in of_axis
        ]
    columns = taps[-1]
    places = [
        (i * len(columns) + j, u * width + v, of_row * of_column)
        for i, row in enumerate(rows)
        for j, column in enumerate(columns)
        for u, of_row in row
        for v, of_column in column
        if of_row * of_column
    ]
    to, origin, weights = ([*told] for told in zip(*places, strict=True))
    runs = ([channels * place for place in to], [channels * place for place in origin], [channels] * len(to))
    low.native.add_gather(x.number, z.number, *runs, weights, repeats_edges=True)


def _resample(low: Builder, layer: Resample, x: Value, z: Value, parameters: list[int]) -> None:
    made = [*zip(*runs(x.lane_shape, layer.axis, layer.weights), strict=True)] or [()] * 4  # all may be 0
    to, origin, count, weights = ([*told] for told in made)
    low.native.add_gather(x.number, z.number, to, origin, count, weights)


def _periodic(low: Builder, layer: PeriodicEmbedding, x: Value, z: Value, parameters: list[int]) -> None:
    """Blocks of weights are convolutions in groups, of one pixel."""

    def blocks(weights: str, bias: str, x_: Value, units: int) -> Value:
        made = low.value((units,), NO_HALO, NO_HALO, z.with_delta)
        W, b = low.parameter_of(layer, weights, x.shape), low.parameter_of(layer, bias, x.shape)
        method = ConvMethod.depthwise if x_.shape == (n,) and n > 1 else ConvMethod.direct
        low.native.add_convolution(x_.number, made.number, W, b, *ONE_PIXEL, n, method, False)
        low.parts[made.number] = str(layer.name)
        return made

    n = x.shape[0]
    itself, read = low.readers(x, 2)
    low.parts.update({reader.number: str(layer.name) for reader in (itself, read)})
    turns = _entrywise(low, layer, lambda entry: TURN * entry, read)
    angles = blocks("W", "b", turns, n * layer.hidden)
    waves = _entrywise(low, layer, cos, angles, lambda entry: -sin(entry))
    made = blocks("V", "c", waves, n * (layer.features - 1))
    ends = [itself.number, made.number]
    low.native.add_join(ends, [Act.identity] * 2, [0.0] * 2, [-1] * 2, z.number, JoinKind.concat)


def _part(low: Builder, layer: Part, x: Value, z: Value, parameters: list[int]) -> None:
    """A row of z is so many numbers of x side by side."""
    height, width, channels = as_image(z.shape)
    row = width * channels
    to = [row * h for h in range(height)]
    low.native.add_gather(x.number, z.number, to, [layer.start + at for at in to], [row] * height, [])


def _heads(low: Builder, layer: Heads, x: Value, z: Value, parameters: list[int]) -> None:
    """Slices, each through its activation, side by side again."""
    ends = []
    readers = low.readers(x, len(layer.names))
    ends_of = zip(readers, layer.activations, layer.shapes, layer.places, strict=True)
    for reader, f, shape, (start, _) in ends_of:
        end = low.value(shape, NO_HALO, NO_HALO, z.with_delta)
        _part(low, Part(start, shape), reader, end, [])
        low.parts.update({value.number: str(layer.name) for value in (reader, end)})
        if type(f) is not Identity:
            made = low.value(end.shape, NO_HALO, NO_HALO, z.with_delta)
            if type(f) is Softmax:
                low.native.add_softmax(end.number, made.number)
            elif type(f) is LogSoftmax:
                by_formulas(low, f, end, made, [])
            else:
                low.native.add_activation(end.number, made.number, ACTIVATIONS[type(f)], slope(f))
            low.parts[made.number] = str(layer.name)
            end = made
        ends.append(low.native.add_view(end.number) if len(shape) > 1 else end.number)
        low.parts[ends[-1]] = str(layer.name)
    count = len(ends)
    low.native.add_join(ends, [Act.identity] * count, [0.0] * count, [-1] * count, z.number, JoinKind.concat)


def by_formulas(low: Builder, layer: Layer, x: Value, z: Value, parameters: list[int]) -> None:
    specs = layer.parameters(x.shape)
    shapes = {name: spec.shape for name, spec in specs.items()}
    programs = layer_programs(layer, x.shape, z.shape, shapes, delta=x.with_delta, gradients=z.with_delta)
    if programs is None or not all(spec.learned for spec in specs.values()):
        _host(low, layer, x, z, parameters)
    else:
        low.native.add_program(
            x.number,
            z.number,
            *(program.native() for program in programs[:2]),
            parameters,
            programs[2].native(),
        )


def _embedding(low: Builder, layer: Embedding, x: Value, z: Value, parameters: list[int]) -> None:
    padding = -1 if layer.padding is None else layer.padding
    mask = -1
    if padding >= 0 and len(x.shape) == 1:
        low.mask = low.steps_mask(x.shape[0])
        mask = low.mask.number
    low.native.add_embedding(x.number, z.number, parameters[0], mask, layer.vocabulary, padding)


def _attention(low: Builder, layer: MultiHeadAttention, x: Value, z: Value, parameters: list[int]) -> None:
    """Dense layers for queries, keys and values, what lies between, and a dense layer."""
    specs, shape = layer.parameters(x.shape), x.shape

    def dense(key: str, x: Value, z: Value) -> None:
        panels = z.lanes == InLanes.channels or low.has_rows(x, z.halo)
        number = low.parameter_of(layer, f"W_{key}", shape, panels=panels)
        bias = low.parameter_of(layer, f"b_{key}", shape) if key in layer.biased else -1
        _at_every_step(low, x, z, number, bias)

    def made(shape: Shape, lanes: InLanes, cut: Bands = WHOLE) -> Value:
        value = low.value(shape, NO_HALO, NO_HALO, z.with_delta, lanes, cut)
        low.parts[value.number] = str(layer.name)
        return value

    reads, seen = _sources(low, layer, x, z)
    inner = []
    for key, read in zip("qkv", reads, strict=True):
        inner.append(made((read.shape[0], specs[f"W_{key}"].shape[0]), z.lanes, read.cut))
        low.consume(read)
        dense(key, read, inner[-1])
    if z.by_steps:
        inner = [low.brought(value, InLanes.positions, NO_HALO, str(layer.name)) for value in inner]
    if layer.rotary:
        size, base = inner[0].shape[-1] // layer.heads, layer.rotary_base
        inner[:2] = [_turned(low, value, made(value.shape, value.lanes), size, base) for value in inner[:2]]
    o = made(inner[0].shape, inner[0].lanes)
    low.native.add_attention(
        *(value.number for value in (*inner, o)),
        low.mask.number if low.mask else -1,
        seen.number if seen else -1,
        [*itertools.chain(*layer.seen)] if isinstance(layer.seen, tuple) else [],
        layer.heads,
        layer.heads // layer.shared,
        layer.causal,
        [low.parameter_of(layer, name, shape) for name in ("k_0", "v_0")] if layer.key_value_bias else [],
        layer.zero_key_value,
        *_distances(low, layer, inner[0].shape[0], inner[1].shape[0], shape),
    )
    dense("o", low.brought(o, z.lanes, NO_HALO, str(layer.name), z.cut) if z.by_steps else o, z)


def _distances(
    low: Builder, layer: MultiHeadAttention, steps: int, keys: int, shape: Shape
) -> tuple[list[int], int, list[float]]:
    """Of every query and key which number is added to their score; the parameter of these, or they."""
    if layer.relative_positions is None:
        return [], -1, []
    at, numbers = layer.of_pairs(steps, keys)
    if layer.learned_positions:
        return at.ravel().tolist(), low.parameter_of(layer, "P", shape), []
    return at.ravel().tolist(), -1, numbers.ravel().tolist()


def _sources(low: Builder, layer: Any, x: Value, z: Value) -> tuple[list[Value], Value | None]:
    """What queries, keys and values of an attention are made of, and what says which keys are seen."""
    if not layer.sources:
        readers = low.readers(x, 3)
        low.parts.update({value.number: str(layer.name) for value in readers})
        return readers, None
    parts = low.apart.pop(str(layer.name), None) or parts_read(low, layer, x, layer.sources)
    seen = parts.pop() if layer.seen == GIVEN else None
    if seen and (z.lanes == InLanes.positions or z.by_steps):  # queries in its lanes
        seen = low.brought(seen, InLanes.positions, NO_HALO, str(layer.name))
    if z.lanes != InLanes.samples or z.by_steps:
        for number, part in enumerate(parts):
            cut = (part.shape[0], 1) if z.by_steps else WHOLE
            if (part.lanes, part.cut) != (z.lanes, cut):
                parts[number] = low.brought(part, z.lanes, NO_HALO, str(layer.name), cut)
    if len(parts) == 2:
        parts[1:] = low.readers(parts[1], 2)
        low.parts.update({value.number: str(layer.name) for value in parts[1:]})
    return parts, seen


def parts_read(low: Builder, layer: Layer, x: Value, shapes: Sequence[Shape]) -> list[Value]:
    """The values that lie side by side in what a layer of several sources reads."""
    made = []
    readers = low.readers(x, len(shapes))
    for reader, (start, _, shape) in zip(readers, places_of(shapes), strict=True):
        part = low.value(shape, NO_HALO, NO_HALO, x.with_delta)
        low.parts.update({value.number: str(layer.name) for value in (reader, part)})
        _part(low, Part(start, shape), reader, part, [])
        made.append(part)
    return made


def _turned(low: Builder, x: Value, z: Value, size: int, base: float) -> Value:
    """Every pair of features of a head of so many, turned by the angle of its step."""
    steps, features = x.shape
    cosine, sine = turns(steps, size, base)
    low.native.add_turned(
        x.number, z.number, features // size, cosine.ravel().tolist(), sine.ravel().tolist()
    )
    return z


def _positions(low: Builder, layer: PositionalEncoding, x: Value, z: Value, parameters: list[int]) -> None:
    table = layer.forward(np.zeros((*x.shape, 1)))
    low.native.add_table(x.number, z.number, table.ravel().tolist())


def _host(low: Builder, layer: Layer, x: Value, z: Value, parameters: list[int]) -> None:
    made = low.steps_mask(z.shape[0]) if type(layer).mask is not Layer.mask else None
    own = dict(zip(layer.parameters(x.shape), parameters, strict=True))
    low.hosts.append(Hosted(layer, x, z, low.mask, made, own))
    low.mask = made or low.mask
    low.native.add_host(len(low.hosts) - 1, x.number, z.number)


MOVING = (
    *(Pad1D, Pad2D, Pad3D, Crop1D, Crop2D, Crop3D, UpSample1D, UpSample2D, UpSample3D),
    *(PixelShuffle, Permute, Reshape),
)
NORMALIZATIONS = (BatchNorm, GroupNorm, InstanceNorm, LayerNorm, RMSNorm)

OPERATIONS: dict[type[Layer], Callable[[Builder, Any, Value, Value, list[int]], None]] = {
    Dense: _dense,
    DenseTranspose: _dense_transposed,
    **dict.fromkeys(CONVOLUTIONS, _conv),
    **dict.fromkeys(TRANSPOSED, _conv_transposed),
    **dict.fromkeys(POOLS, pool),
    **dict.fromkeys(ADAPTIVE_POOLS, adaptive_pool),
    **dict.fromkeys((MaxUnpool1D, MaxUnpool2D, MaxUnpool3D), _unpool),
    **dict.fromkeys(GLOBAL_POOLS, global_pool),
    **dict.fromkeys(NORMALIZATIONS, _norm),
    LocalResponseNorm: _local_norm,
    Dropout: _dropout,
    Flatten: _flatten,
    Features: _features,
    Part: _part,
    Heads: _heads,
    **dict.fromkeys(MOVING, _moved),
    Resample: _resample,
    PeriodicEmbedding: _periodic,
    Masking: _masking,
    **dict.fromkeys(CELLS, _recurrent),
    Softmax: _softmax,
    Embedding: _embedding,
    PositionalEncoding: _positions,
    MultiHeadAttention: _attention,
    **dict.fromkeys(ACTIVATIONS, _activation),
}

# Layers of several operations, each of which takes its parameters.
IN_PARTS: tuple[type[Layer], ...] = (MultiHeadAttention, PeriodicEmbedding, Heads)


def over_axes(layer: Layer) -> bool:
    """Whether it normalises several axes of a sample together, in rows that are copied."""
    return isinstance(layer, LayerNorm | RMSNorm) and layer.axes > 1


def of_made_input(layer: Layer) -> bool:
    """Whether its kernel reads what another operation makes of its input: divided, or copied in rows."""
    return (isinstance(layer, Dense) and layer.ntk) or over_axes(layer)


def in_parts(layer: Layer) -> bool:
    """Whether several operations make it, which ask for its parameters themselves, each for its own."""
    if isinstance(layer, Recurrent):
        return not layer.plain
    return type(layer) in IN_PARTS or of_made_input(layer)


FUSING: tuple[type[Layer], ...] = (Dense, DenseTranspose, *CONVOLUTIONS, *TRANSPOSED, *NORMALIZATIONS)


def fuses(layer: Layer) -> bool:
    """Whether its operation applies the activation of its output itself: where it is the only one."""
    return type(layer) in FUSING and not in_parts(layer)
