"""Images cut into bands of rows, each in a lane of its own as a sample is: in training, where samples leave
lanes empty (docs/decisions/0019-bands.md).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from chainrule.base.types import Shape
from chainrule.engine.lowering.convolutions import CONVOLUTIONS, image_pads, neighbours, winograd_applies
from chainrule.engine.lowering.lanes import PASSING, cost
from chainrule.engine.lowering.operations import GLOBAL_POOLS
from chainrule.engine.lowering.values import ACTIVATIONS, has_kernel
from chainrule.layers import (
    AveragePool2D,
    BatchNorm,
    Composite,
    Conv2D,
    ConvTranspose2D,
    DepthwiseConv2D,
    L2Pool2D,
    Layer,
    LayerNorm,
    MaxPool2D,
    RMSNorm,
    UpSample2D,
)

Leaf = tuple[Layer, Shape, Shape]  # no composite, with the shapes of its input and output
MOST = 16
WINOGRAD = 1.6  # of 2.25 times fewer products
REARRANGING = 40.0  # to whole samples, and back: 25 cycles a vector, as measured
LEAST_GAIN = 0.12  # of the time of the layers that are cut, as it is estimated


def takes_bands(layer: Layer, x: Shape, z: Shape, count: int) -> bool:
    """Whether each of `count` bands of a layer's output is made of the same band of its input, and at most of
    rows of the two beside it; and the same of δ.
    """
    if len(x) != 3 or len(z) != 3 or x[0] % count or z[0] % count:
        return False
    kind = type(layer)
    if kind in (Conv2D, DepthwiseConv2D):
        (above, below), _ = image_pads(layer, x)
        in_bands = z[0] * layer.grid.stride[0] == x[0]  # type: ignore[attr-defined]
        return (
            in_bands and max(above, below) <= x[0] // count and max(neighbours(layer, x, z)) <= z[0] // count
        )
    if kind is ConvTranspose2D:
        grid = layer.grid  # type: ignore[attr-defined]
        apart = grid.kernel[0] == grid.stride[0] and z[0] == x[0] * grid.stride[0]
        return apart and not any(map(any, layer.pads(z)))  # type: ignore[attr-defined]
    if kind in (MaxPool2D, AveragePool2D, L2Pool2D):
        grid = layer.grid  # type: ignore[attr-defined]
        padded = any(map(any, layer.pads(x)))  # type: ignore[attr-defined]
        return not padded and grid.kernel[0] <= grid.stride[0] and z[0] * grid.stride[0] == x[0]
    if isinstance(layer, UpSample2D):
        return layer.mode == "nearest"
    return kind in (BatchNorm, LayerNorm, RMSNorm) or (kind in ACTIVATIONS and has_kernel(layer))


def chosen_bands(
    layers: Sequence[Layer], shape: Shape, shapes: Mapping[str, Shape], batch: int, lanes: int
) -> tuple[int, frozenset[str]]:
    """How many bands, 1 for none, and the names of the layers that are cut: the first ones of a network."""
    most, best = 0.0, (1, frozenset[str]())
    if len(shape) != 3:
        return best
    for count in range(2, MOST + 1):
        names, whole, cut = set[str](), 0.0, 0.0
        for place, (layer, inner) in enumerate(first_layers(layers, shape, shapes, count)):
            names |= {str(layer.name), *(str(one[0].name) for one in inner)}
            for number, one in enumerate(inner):
                first = place + number == 0
                whole += _vectors(*one, batch, lanes, 1, first)
                cut += _vectors(*one, batch, lanes, count, first)
            behind = layers[place + 1] if place + 1 < len(layers) else None
            z = shapes[str(layer.name)]
            if type(behind) in GLOBAL_POOLS:
                z = (count, 1, z[-1])  # each band has its own
            gain = whole - cut - REARRANGING * -(-batch // lanes) * math.prod(z)
            if gain > max(most, LEAST_GAIN * whole):
                most, best = gain, (count, frozenset(names))
    return best


def first_layers(
    layers: Sequence[Layer], x: Shape, shapes: Mapping[str, Shape], count: int
) -> Iterator[tuple[Layer, list[Leaf]]]:
    """The first layers of a network, while they take so many bands, with those within each, or itself."""
    for layer in layers:
        inner = list(_leaves([layer], x, shapes))
        if not all(takes_bands(*one, count) for one in inner):
            return
        yield layer, inner
        x = shapes[str(layer.name)]


def _vectors(layer: Layer, x: Shape, z: Shape, batch: int, lanes: int, count: int, first: bool) -> float:
    """What a layer takes in all passes, in bands or, of 1, with samples in the lanes; `first`: it sends no δ
    down.
    """
    blocks, (of_block, _) = -(-batch * count // lanes), cost(layer, x, z, 1, lanes)
    forward = of_block * blocks / count
    if type(layer) not in CONVOLUTIONS:
        return 2 * forward
    by_filters = cost(layer, x, z, batch, lanes)[1]  # only samples that exist are multiplied
    rows = sum(image_pads(layer, x)[0]) if count > 1 else 0
    beside = PASSING * blocks * rows * math.prod(x[1:])
    gradients = min(forward, by_filters)
    if winograd_applies(layer, x, z, blocks, count):
        forward, gradients = forward / WINOGRAD, min(gradients, forward / WINOGRAD)
    return gradients + forward * (1 if first else 2) + beside


def _leaves(layers: Sequence[Layer], x: Shape, shapes: Mapping[str, Shape]) -> Iterator[Leaf]:
    for layer in layers:
        if isinstance(layer, Composite):
            for chain in layer.chains:
                yield from _leaves(chain, x, shapes)
        else:
            yield layer, x, shapes[str(layer.name)]
        x = shapes[str(layer.name)]
