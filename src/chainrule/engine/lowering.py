"""From layers to native operations.

One table says which layer has which operation. A layer without an entry (a layer of your own) has its
formulas compiled to programs (programs.py); where they are no programs it becomes a host operation: its
formulas are evaluated on NumPy arrays for its part of the plan. The entry is looked up by the exact class,
because a subclass may have other formulas.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from chainrule.engine.programs import layer_programs
from chainrule.errors import ShapeError
from chainrule.layers import (
    GELU,
    GRU,
    LSTM,
    RNN,
    AveragePool1D,
    AveragePool2D,
    BatchNorm,
    Composite,
    Conv1D,
    Conv2D,
    ConvTranspose1D,
    ConvTranspose2D,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Embedding,
    Flatten,
    GlobalAveragePool,
    GlobalMaxPool,
    GroupNorm,
    Identity,
    L2Pool1D,
    L2Pool2D,
    Layer,
    LeakyReLU,
    Masking,
    MaxPool1D,
    MaxPool2D,
    MultiHeadAttention,
    PositionalEncoding,
    Recurrent,
    ReLU,
    Sigmoid,
    Softmax,
    Softplus,
    Tanh,
)
from chainrule.layers.attention import BIASED
from chainrule.layers.convolution import Convolution

Shape = tuple[int, ...]
Halo = tuple[int, int, int, int]  # top, bottom, left, right
NO_HALO: Halo = (0, 0, 0, 0)
LARGEST_VALUE = 2**30  # numbers per sample: the kernels count in 32 bits

# Numbers of native/kernels/api.hpp, enum Act.
ACTIVATIONS: dict[type[Layer], int] = {
    Identity: 0,
    ReLU: 1,
    LeakyReLU: 2,
    Sigmoid: 3,
    Tanh: 4,
    Softplus: 5,
    GELU: 6,
}
IDENTITY = 0
CELLS: dict[type[Layer], int] = {RNN: 0, LSTM: 1, GRU: 2}  # enum Cell


def as_image(shape: Shape) -> tuple[int, int, int]:
    """(height, width, channels) of one sample of any shape; a vector is one pixel."""
    height = 1
    for size in shape[:-2]:
        height *= size
    return height, shape[-2] if len(shape) > 1 else 1, shape[-1]


def in_panels(layer: Layer, name: str, input_shape: Shape) -> bool:
    """Whether a parameter lies in panels of outputs (docs/decisions/0004): W of a dense layer on vectors, W
    and U of a recurrence.
    """
    if type(layer) in CELLS:
        return name in "WU"
    return type(layer) is Dense and name == "W" and len(input_shape) == 1


def needs_z(layer: Layer) -> bool:
    """Whether f' cannot be computed from a alone: then z is kept beside a."""
    return isinstance(layer, GELU) or (isinstance(layer, LeakyReLU) and layer.slope < 0)


def slope(layer: Layer) -> float:
    return float(layer.slope) if isinstance(layer, LeakyReLU) else 0.0


@dataclass
class Value:
    """A value in the arena: its number, and the activation that was fused into its producer."""

    number: int
    shape: Shape
    halo: Halo
    delta_halo: Halo
    with_delta: bool
    activation: int = IDENTITY
    slope: float = 0.0
    saved: int = -1  # the value f' is computed from


class Hosted(NamedTuple):
    """A layer whose formulas are evaluated on the host: its input, its output, the mask it may read, and the
    value its own mask is written to.
    """

    layer: Layer
    x: Value
    z: Value
    mask: Value | None
    made: Value | None


@dataclass
class Lowering:
    """Walks the layers once and calls the native plan's builder."""

    native: Any
    keep: bool  # one value and one δ per layer, nothing fused: what `backpropagate` shows
    shapes: Mapping[str, Shape]  # layer name -> output shape
    parameters: dict[str, int] = field(default_factory=dict)  # name -> number
    values: dict[str, int] = field(default_factory=dict)  # layer name -> value (its output)
    hosts: list[Hosted] = field(default_factory=list)
    parts: dict[int, str] = field(default_factory=dict)  # values within a layer -> its name
    mask: Value | None = None  # (steps, 1): 1 where a step is there, as in the reference's Context

    @property
    def blocks(self) -> int:
        """Blocks of a full batch."""
        return -(-int(self.native.batch_size) // int(self.native.lanes))

    def value(self, shape: Shape, halo: Halo, delta_halo: Halo, with_delta: bool) -> Value:
        height, width, channels = as_image(shape)
        if height * width * channels > LARGEST_VALUE:
            raise ShapeError(f"a value of shape {shape} has more than {LARGEST_VALUE} numbers per sample")
        number = self.native.add_value(height, width, channels, halo, with_delta, delta_halo)
        return Value(number, shape, halo, delta_halo, with_delta)

    def steps_mask(self, steps: int) -> Value:
        """A value for a mask, which an operation fills in."""
        return self.value((steps, 1), NO_HALO, NO_HALO, False)

    def keep_mask(self, x: Value) -> None:
        """The mask goes on where x, which comes next, has its steps."""
        if self.mask and (len(x.shape) != 2 or x.shape[0] != self.mask.shape[0]):
            self.mask = None

    def parameter(self, name: str, shape: Shape, penalised: bool, panels: bool) -> int:
        size = 1
        for n in shape:
            size *= n
        outputs, inputs = shape if panels else (0, 0)
        self.parameters[name] = self.native.add_parameter(size, outputs, inputs, panels, penalised)
        return self.parameters[name]

    def parameter_of(self, layer: Layer, name: str, input_shape: Shape) -> int:
        """The parameter of a layer, for the operation that is added next."""
        spec = layer.parameters(input_shape)[name]
        panels = in_panels(layer, name, input_shape)
        return self.parameter(f"{layer.name}.{name}", spec.shape, spec.penalised, panels)

    def readers(self, x: Value, count: int) -> list[Value]:
        """x as several read it: its memory, with a δ of each one's own, which are added up."""
        own = [
            Value(self.native.add_reader(x.number), x.shape, x.halo, NO_HALO, x.with_delta)
            for _ in range(count)
        ]
        self.consume(x)
        self.native.add_branches(x.number, [reader.number for reader in own])
        return own

    def consume(self, x: Value) -> None:
        """Tell the next operation which f' multiplies the δ it sends down to x."""
        self.native.set_input_post(x.activation, x.slope, x.saved)

    def produce(self, layer: Layer | None, z: Value, halo: Halo) -> Value:
        """Fuse `layer` (an activation) into the next operation, which writes z; returns the value a."""
        if layer is None or type(layer) is Identity:
            return z
        kind, a = ACTIVATIONS[type(layer)], z
        if needs_z(layer):
            a = self.value(z.shape, halo, z.delta_halo, z.with_delta)
            if z.with_delta:
                self.native.share_delta(z.number, a.number)
        a.activation, a.slope, a.saved = kind, slope(layer), z.number
        self.native.set_post(kind, slope(layer), a.number)
        return a

    def wanted_halo(self, chain: Sequence[Layer], shape: Shape, after: Halo) -> Halo:
        """The zeros that the first operation of a chain wants around its input; `after`: what follows it."""
        for layer in chain:
            if not self.keep and type(layer) is Identity:
                continue  # no operation: what follows reads the same value
            if isinstance(layer, Composite):
                wanted = (self.wanted_halo(own, shape, NO_HALO) for own in layer.chains)
                return tuple(map(max, zip(NO_HALO, *wanted, strict=True)))
            return input_halo(layer, shape, self.shapes[str(layer.name)], self.blocks)
        return after

    def chain(self, layers: Sequence[Layer], x: Value, after: Halo, learned: bool) -> tuple[Value, bool]:
        """The operations of layers in order on x: their output, and whether something is learned in or below
        them (only then is δ needed).  `after`: the zeros wanted around the output.
        """
        place = 0
        while place < len(layers):
            layer, rest = layers[place], layers[place + 1 :]
            place += 1
            if isinstance(layer, Composite):
                shape = self.shapes[str(layer.name)]
                x, learned = self.composite(layer, x, self.wanted_halo(rest, shape, after), learned)
                self.keep_mask(x)
                continue
            same = self.view(layer, x)
            if same is not None:
                self.values[str(layer.name)], x = same.number, same
                self.keep_mask(x)
                continue
            learned = learned or self.keep or any(spec.learned for spec in layer.parameters(x.shape).values())
            activation = None
            if not self.keep and type(layer) in FUSING and rest and type(rest[0]) in ACTIVATIONS:
                activation, rest = rest[0], rest[1:]
                place += 1
            shape = self.shapes[str(layer.name)]
            x = self.operation(layer, activation, x, self.wanted_halo(rest, shape, after), learned)
            self.keep_mask(x)
        return x, learned

    def view(self, layer: Layer, x: Value) -> Value | None:
        """The value a layer puts out where that is the memory of x; None where it takes an operation."""
        if type(layer) is Identity and not self.keep:
            return x
        if type(layer) is not Flatten:
            return None
        shape = self.shapes[str(layer.name)]
        if shape == x.shape:  # already a vector; a view has no views
            return x
        if x.halo != NO_HALO or x.delta_halo != NO_HALO:
            return None
        view = Value(self.native.add_view(x.number), shape, NO_HALO, NO_HALO, x.with_delta)
        # The view shares the memory, so it is still the output of the activation in front of it.
        view.activation, view.slope, view.saved = x.activation, x.slope, x.saved
        if x.saved >= 0:
            view.saved = view.number if x.saved == x.number else self.native.add_view(x.saved)
        return view

    def operation(self, layer: Layer, activation: Layer | None, x: Value, halo: Halo, learned: bool) -> Value:
        """One layer, with the activation its kernel applies itself."""
        shape = self.shapes[str(layer.name)]
        names = () if type(layer) in IN_PARTS else layer.parameters(x.shape)
        numbers = [self.parameter_of(layer, name, x.shape) for name in names]
        separate = activation is not None and needs_z(activation)
        delta_halo = output_delta_halo(layer, x.shape, shape, self.blocks)
        z = self.value(shape, NO_HALO if separate else halo, delta_halo, learned)
        a = self.produce(activation, z, halo)
        self.consume(x)
        OPERATIONS.get(type(layer), _formulas)(self, layer, x, z, numbers)
        self.values[str(layer.name)] = z.number
        if activation is not None:
            self.values[str(activation.name)] = a.number
        return a

    def composite(self, layer: Composite, x: Value, halo: Halo, learned: bool) -> tuple[Value, bool]:
        """Branches on x, and the value that joins them."""
        readers = self.readers(x, len(layer.chains))
        ends, before, after = [], self.mask, []
        for own, reader in zip(layer.chains, readers, strict=True):
            self.mask = before
            ends.append(self.chain(own, reader, NO_HALO, learned))
            after.append(self.mask)
        self.mask = next((mask for mask in after if mask), None)
        learned = any(own for _, own in ends)
        z = self.value(self.shapes[str(layer.name)], halo, NO_HALO, learned)
        self.native.add_join(
            [end.number for end, _ in ends],
            [end.activation for end, _ in ends],
            [end.slope for end, _ in ends],
            [end.saved for end, _ in ends],
            z.number,
            layer.join == "concat",
        )
        self.values[str(layer.name)] = z.number
        return z, learned


# Where Winograd pays, by docs/decisions/0003-winograd.md: the transforms want channels, the transformed
# kernels want tiles (2x2 outputs of a block); the weight gradient wants more of both.
WINOGRAD_CHANNELS, WINOGRAD_TILES = 8, 16
WINOGRAD_GRADIENT_CHANNELS, WINOGRAD_GRADIENT_TILES = 16, 64


CONVOLUTIONS = (Conv2D, Conv1D, DepthwiseConv2D)
TRANSPOSED = (ConvTranspose2D, ConvTranspose1D)
Pair = tuple[int, int]


def two(sizes: tuple[Any, ...], along: Any = 1) -> tuple[Any, Any]:
    """A size per row and column; a sequence is an image of one row."""
    return (along, *sizes) if len(sizes) == 1 else (sizes[0], sizes[1])


def image_pads(layer: Any, shape: Shape) -> tuple[Pair, Pair]:
    """((top, bottom), (left, right)) of a convolution or pooling."""
    return two(layer.pads(shape), (0, 0))


def winograd_applies(
    layer: Convolution, input_shape: Shape, output_shape: Shape, blocks: int, *, gradient: bool = False
) -> bool:
    """Whether a convolution runs by Winograd: 3x3 at stride 1, and large enough."""
    if (
        layer.grid.kernel != (3, 3)
        or layer.grid.stride != (1, 1)
        or layer.grid.dilation != (1, 1)
        or layer.groups != 1
        or type(layer) is not Conv2D
    ):
        return False
    channels = WINOGRAD_GRADIENT_CHANNELS if gradient else WINOGRAD_CHANNELS
    tiles = blocks * -(-output_shape[0] // 2) * -(-output_shape[1] // 2)
    return (
        max(map(max, layer.pads(input_shape))) <= 2
        and min(input_shape[2], output_shape[2]) >= channels
        and min(output_shape[:2]) >= 2
        and tiles >= (WINOGRAD_GRADIENT_TILES if gradient else WINOGRAD_TILES)
    )


def input_halo(layer: Layer | None, input_shape: Shape, output_shape: Shape, blocks: int) -> Halo:
    """The zeros a layer wants around its input."""
    if type(layer) not in CONVOLUTIONS:
        return NO_HALO
    assert isinstance(layer, Convolution)
    (top, bottom), (left, right) = image_pads(layer, input_shape)
    if winograd_applies(layer, input_shape, output_shape, blocks):
        bottom, right = bottom + output_shape[0] % 2, right + output_shape[1] % 2
    return top, bottom, left, right


def output_delta_halo(layer: Layer, input_shape: Shape, output_shape: Shape, blocks: int) -> Halo:
    """The zeros a layer wants around the δ of its output."""
    if type(layer) in TRANSPOSED:
        assert isinstance(layer, Convolution)
        (top, bottom), (left, right) = image_pads(layer, output_shape)
        return top, bottom, left, right
    if type(layer) is not Conv2D or not winograd_applies(layer, input_shape, output_shape, blocks):
        return NO_HALO
    (top, bottom), (left, right) = image_pads(layer, input_shape)
    return (
        2 - top,
        max(2 - bottom + input_shape[0] % 2, output_shape[0] % 2),
        2 - left,
        max(2 - right + input_shape[1] % 2, output_shape[1] % 2),
    )


def _dense(low: Lowering, layer: Dense, x: Value, z: Value, parameters: list[int]) -> None:
    bias = parameters[1] if layer.bias else -1
    if len(x.shape) == 1:
        low.native.add_dense(x.number, z.number, parameters[0], bias)
    else:
        _at_every_step(low, x, z, parameters[0], bias)


def _at_every_step(low: Lowering, x: Value, z: Value, W: int, bias: int) -> None:
    """A dense layer on a sequence: a convolution of one pixel."""
    geometry = ((1, 1), (1, 1), (1, 1), (0, 0))
    low.native.add_convolution(x.number, z.number, W, bias, *geometry, 1, DIRECT, False)


# Numbers of native/plan/plan.hpp, enum ConvMethod.
DIRECT, WINOGRAD, WINOGRAD_GRADIENT, DEPTHWISE = range(4)


def _conv(low: Lowering, layer: Convolution, x: Value, z: Value, parameters: list[int]) -> None:
    channels = x.shape[-1]
    groups = layer.groups_of(channels)
    method = DEPTHWISE if groups == channels > 1 else DIRECT
    if winograd_applies(layer, x.shape, z.shape, low.blocks):
        by_gradient = winograd_applies(layer, x.shape, z.shape, low.blocks, gradient=True)
        method = WINOGRAD_GRADIENT if by_gradient else WINOGRAD
    _add_convolution(low, layer, x, z, parameters, x.shape, groups, method)


def _conv_transposed(low: Lowering, layer: Convolution, x: Value, z: Value, parameters: list[int]) -> None:
    """The geometry of the convolution whose image is z and whose windows are the pixels of x."""
    method = DEPTHWISE if layer.groups == layer.filters > 1 else DIRECT
    _add_convolution(low, layer, x, z, parameters, z.shape, layer.groups, method, True)


def _add_convolution(
    low: Lowering,
    layer: Convolution,
    x: Value,
    z: Value,
    parameters: list[int],
    image: Shape,
    groups: int,
    method: int,
    transposed: bool = False,
) -> None:
    (top, _), (left, _) = image_pads(layer, image)
    g = layer.grid
    geometry = (two(g.kernel), two(g.stride), two(g.dilation), (top, left))
    bias = parameters[1] if layer.bias else -1
    low.native.add_convolution(x.number, z.number, parameters[0], bias, *geometry, groups, method, transposed)


# Numbers of native/kernels/api.hpp, enum PoolKind.
POOLS: dict[type[Layer], int] = {
    MaxPool2D: 0,
    MaxPool1D: 0,
    AveragePool2D: 1,
    AveragePool1D: 1,
    L2Pool2D: 2,
    L2Pool1D: 2,
}
GLOBAL_POOLS: dict[type[Layer], int] = {GlobalMaxPool: 0, GlobalAveragePool: 1}


def _pool(low: Lowering, layer: Any, x: Value, z: Value, parameters: list[int]) -> None:
    kind = POOLS[type(layer)]
    (top, bottom), (left, right) = image_pads(layer, x.shape)
    sizes = (two(layer.grid.kernel), two(layer.grid.stride), (top, left), any((top, bottom, left, right)))
    mean = layer.mean if isinstance(layer, L2Pool2D) else kind == 1
    low.native.add_pool(x.number, z.number, *sizes, kind, mean, layer.count_padding)


def _global_pool(low: Lowering, layer: Layer, x: Value, z: Value, parameters: list[int]) -> None:
    """One window, as large as the image."""
    kind = GLOBAL_POOLS[type(layer)]
    if low.mask:
        low.native.add_masked_pool(x.number, z.number, low.mask.number, kind == 1)
        return
    whole = as_image(x.shape)[:2]
    low.native.add_pool(x.number, z.number, whole, whole, (0, 0), False, kind, kind == 1, False)


def _flatten(low: Lowering, layer: Flatten, x: Value, z: Value, parameters: list[int]) -> None:
    low.native.add_flatten(x.number, z.number)


def _activation(low: Lowering, layer: Layer, x: Value, z: Value, parameters: list[int]) -> None:
    low.native.add_activation(x.number, z.number, ACTIVATIONS[type(layer)], slope(layer))


def _recurrent(low: Lowering, layer: Recurrent, x: Value, z: Value, parameters: list[int]) -> None:
    activation = ACTIVATIONS[type(layer.f)] if isinstance(layer, RNN) else IDENTITY
    cell = (CELLS[type(layer)], len(layer.gates), layer.units, activation)
    mask = low.mask.number if low.mask else -1
    way = (layer.outputs == "all", layer.reverse, layer.truncate or 0)
    low.native.add_recurrent(x.number, z.number, parameters, mask, *cell, *way)


def _masking(low: Lowering, layer: Masking, x: Value, z: Value, parameters: list[int]) -> None:
    low.mask = low.steps_mask(x.shape[0])
    low.native.add_masking(x.number, z.number, low.mask.number, layer.value)


def _softmax(low: Lowering, layer: Softmax, x: Value, z: Value, parameters: list[int]) -> None:
    low.native.add_softmax(x.number, z.number)


def _norm(low: Lowering, layer: Any, x: Value, z: Value, parameters: list[int]) -> None:
    batch = isinstance(layer, BatchNorm)
    groups, momentum = (0, layer.momentum) if batch else (layer.groups, 0.0)
    low.native.add_norm(x.number, z.number, groups, layer.epsilon, momentum, parameters)


def _dropout(low: Lowering, layer: Dropout, x: Value, z: Value, parameters: list[int]) -> None:
    scale = 1 / (1 - layer.rate)
    low.native.add_dropout(x.number, z.number, zlib.crc32(layer.stream.encode()), layer.threshold, scale)


def _formulas(low: Lowering, layer: Layer, x: Value, z: Value, parameters: list[int]) -> None:
    specs = layer.parameters(x.shape)
    shapes = {name: spec.shape for name, spec in specs.items()}
    programs = layer_programs(layer, x.shape, z.shape, shapes, delta=x.with_delta, gradients=z.with_delta)
    if programs is None or not all(spec.learned for spec in specs.values()):
        _host(low, layer, x, z, parameters)
    else:
        forward, backward = programs
        low.native.add_program(x.number, z.number, forward.native(), backward.native(), parameters)


def _embedding(low: Lowering, layer: Embedding, x: Value, z: Value, parameters: list[int]) -> None:
    padding = -1 if layer.padding is None else layer.padding
    mask = -1
    if padding >= 0 and len(x.shape) == 1:
        low.mask = low.steps_mask(x.shape[0])
        mask = low.mask.number
    low.native.add_embedding(x.number, z.number, parameters[0], mask, layer.vocabulary, padding)


def _attention(low: Lowering, layer: MultiHeadAttention, x: Value, z: Value, parameters: list[int]) -> None:
    """Dense layers on x for queries, keys and values, what lies between, and a dense layer."""

    def dense(key: str, x: Value, z: Value) -> None:
        W = low.parameter_of(layer, f"W_{key}", x.shape)
        bias = low.parameter_of(layer, f"b_{key}", x.shape) if layer.bias and key in BIASED else -1
        _at_every_step(low, x, z, W, bias)

    readers = low.readers(x, 3)
    inner = [low.value(x.shape, NO_HALO, NO_HALO, z.with_delta) for _ in range(4)]
    for key, reader, own in zip("qkv", readers, inner, strict=False):
        dense(key, reader, own)
    mask = low.mask.number if low.mask else -1
    low.native.add_attention(*(own.number for own in inner), mask, layer.heads, layer.causal)
    dense("o", inner[3], z)
    low.parts.update({own.number: str(layer.name) for own in (*readers, *inner)})


def _positions(low: Lowering, layer: PositionalEncoding, x: Value, z: Value, parameters: list[int]) -> None:
    table = layer.forward(np.zeros((*x.shape, 1)))
    low.native.add_table(x.number, z.number, table.ravel().tolist())


def _host(low: Lowering, layer: Layer, x: Value, z: Value, parameters: list[int]) -> None:
    made = low.steps_mask(z.shape[0]) if type(layer).mask is not Layer.mask else None
    low.hosts.append(Hosted(layer, x, z, low.mask, made))
    low.mask = made or low.mask
    low.native.add_host(len(low.hosts) - 1, x.number, z.number)


OPERATIONS: dict[type[Layer], Callable[[Lowering, Any, Value, Value, list[int]], None]] = {
    Dense: _dense,
    **dict.fromkeys(CONVOLUTIONS, _conv),
    **dict.fromkeys(TRANSPOSED, _conv_transposed),
    **dict.fromkeys(POOLS, _pool),
    **dict.fromkeys(GLOBAL_POOLS, _global_pool),
    BatchNorm: _norm,
    GroupNorm: _norm,
    Dropout: _dropout,
    Flatten: _flatten,
    Masking: _masking,
    **dict.fromkeys(CELLS, _recurrent),
    Softmax: _softmax,
    Embedding: _embedding,
    PositionalEncoding: _positions,
    MultiHeadAttention: _attention,
    **dict.fromkeys(ACTIVATIONS, _activation),
}

# Layers of several operations, each of which takes its parameters.
IN_PARTS: tuple[type[Layer], ...] = (MultiHeadAttention,)

# Operations whose kernels apply the activation of their output themselves.
FUSING: tuple[type[Layer], ...] = (Dense, *CONVOLUTIONS, *TRANSPOSED, BatchNorm, GroupNorm)


def lower(network: Any, native: Any, *, keep: bool, paired: bool) -> tuple[Lowering, Value, Value]:
    """Build the operations of a network; `paired`: its last activation belongs to the loss.

    Returns the lowering, the value in front of the loss (z of a pair, a otherwise) and the value a^L.
    """
    low = Lowering(native, keep, network.shapes)
    layers = list(network.layers)
    body = layers[:-1] if paired else layers
    x = low.value(network.input_shape, low.wanted_halo(body, network.input_shape, NO_HALO), NO_HALO, keep)
    low.values["input"] = x.number
    native.set_input(x.number)
    x, _ = low.chain(body, x, NO_HALO, keep)
    if not paired:
        return low, x, x
    a = low.value(network.output_shape, NO_HALO, NO_HALO, False)
    low.values[str(layers[-1].name)] = a.number
    return low, x, a
