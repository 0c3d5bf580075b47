"""Images cut into bands of rows, each in a lane of its own as a sample is: in training, where samples leave
lanes empty (docs/decisions/0020-bands.md).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from chainrule.base.types import Shape
from chainrule.engine.lowering.builder import Bands, Cut
from chainrule.engine.lowering.convolutions import (
    CONVOLUTIONS,
    SLIDING_POOLS,
    VOLUME_POOLS,
    rows_beside,
    winograd_applies,
)
from chainrule.engine.lowering.lanes import PASSING, Held, cost
from chainrule.engine.lowering.operations import of_made_input, over_axes
from chainrule.engine.lowering.pools import GLOBAL_POOLS, lies_apart
from chainrule.engine.lowering.values import ACTIVATIONS, PROGRAMS, as_image
from chainrule.layers import (
    AveragePool2D,
    AveragePool3D,
    BatchNorm,
    Composite,
    Conv3D,
    ConvTranspose1D,
    ConvTranspose2D,
    Dense,
    Dropout,
    GlobalMaxPool,
    GroupNorm,
    InstanceNorm,
    L2Pool2D,
    L2Pool3D,
    Layer,
    LayerNorm,
    LocalResponseNorm,
    PixelShuffle,
    RMSNorm,
    Softmax,
    UpSample2D,
    UpSample3D,
)
from chainrule.layers.structure import Chain, run_branches

MOST = 16
STRIDES = (1, 2, 4, 8)  # that the rows of a band of the input are a multiple of
WINOGRAD = 1.6  # of 2.25 times fewer products
REARRANGING = 40.0  # to whole samples, and back: 25 cycles a vector, as measured
# Over a layer's numbers, forward and back; of others 2. Weights of a choice, which 0024 measures.
PASSES: dict[type[Layer], int] = {
    **dict.fromkeys((BatchNorm, GroupNorm, InstanceNorm, LayerNorm, RMSNorm), 7),
    **dict.fromkeys(PROGRAMS, 12),
    Dense: 3,
    Softmax: 12,
    LocalResponseNorm: 50,  # three programs, a sum of the channels beside and a product
}
BEGUN = 1000.0  # of a run, however small
LEAST_GAIN = 0.12  # of the time of the layers that are cut, as it is estimated


Rows = Held[int | None]  # of a band; None where a value cannot be cut


class Leaf(NamedTuple):
    """A layer that is cut, no composite: its input and output, and the rows of a band of either."""

    layer: Layer
    x: Shape
    z: Shape
    rows: int
    made: int


def rows_made(layer: Layer, x: Shape, z: Shape, rows: int, count: int) -> int | None:
    """The rows of each of `count` bands of a layer's output, made of so many of the same band of its input
    and at most of rows of the two beside it; None where they cannot be, or do not hold all of z. Rows beyond
    the image are zeros to those who read rows beside each other, and nothing else may look at them. Bands of
    a volume have whole planes, whose rows count; the rows of a sequence are its steps.
    """
    if len(x) not in (2, 3, 4) or len(z) != len(x):
        return None
    made = _rows_made(layer, x, z, rows, fills=rows * count == _height(x))
    return made if made is not None and made > 0 and _height(z) <= made * count else None


def _height(shape: Shape) -> int:
    return as_image(shape, cut=True)[0]


def _rows_made(layer: Layer, x: Shape, z: Shape, rows: int, fills: bool) -> int | None:
    kind = type(layer)
    if kind in (BatchNorm, GroupNorm, InstanceNorm, LayerNorm, RMSNorm):
        whole = over_axes(layer) or (isinstance(layer, InstanceNorm) and layer.tracked)
        return rows if fills and not whole else None
    if kind in (*ACTIVATIONS, *PROGRAMS, Dropout, LocalResponseNorm, Softmax):
        return rows
    if kind is Dense:
        return rows if not of_made_input(layer) else None
    if isinstance(layer, UpSample2D | UpSample3D):
        between = layer.mode != "nearest"
        factors = layer.factors if len(x) == 2 else layer.factors[:-1]
        return None if between and len(x) == 4 else rows * math.prod(factors)
    if isinstance(layer, PixelShuffle):
        return rows * layer.block
    if kind in (Conv3D, *VOLUME_POOLS):
        return _planes_made(layer, x, z, rows)
    if kind not in (*CONVOLUTIONS, ConvTranspose1D, ConvTranspose2D, *SLIDING_POOLS):
        return None
    stride = layer.grid.stride[0]  # type: ignore[attr-defined]
    if isinstance(layer, ConvTranspose1D | ConvTranspose2D):
        of_image, of_windows = rows_beside(layer, z, rows * stride)
        return rows * stride if max(of_image) <= rows * stride and max(of_windows) <= rows else None
    if rows % stride:
        return None
    made = rows // stride
    of_x, of_delta = rows_beside(layer, x, rows)
    if kind in CONVOLUTIONS:
        return made if max(of_x) <= rows and max(of_delta) <= made else None
    means = isinstance(layer, AveragePool2D) or (isinstance(layer, L2Pool2D) and layer.mean)
    counted = not (means and any(layer.pads(x)[0])) or layer.count_padding  # type: ignore[attr-defined]
    apart = lies_apart(layer)
    return made if max(of_x) <= rows and counted and not apart else None


def _planes_made(layer: Any, x: Shape, z: Shape, rows: int) -> int | None:
    """The same of a layer on volumes; of pools those whose windows begin and end in the volume."""
    planes, stride = rows // x[1], int(layer.grid.stride[0])
    if planes % stride:
        return None
    made = planes // stride * z[1]
    of_x, of_delta = rows_beside(layer, x, rows)
    if type(layer) is Conv3D:
        return made if max(of_x) <= rows and max(of_delta) <= made else None
    means = type(layer) is AveragePool3D or (type(layer) is L2Pool3D and layer.mean)
    deep, *across = layer.pads(x)
    counted = not means or layer.count_padding or not any(map(any, across))
    apart = lies_apart(layer)
    return made if max(of_x) <= rows and counted and not (any(deep) or apart) else None


def chosen_bands(
    layers: Sequence[Layer],
    shape: Shape,
    shapes: Mapping[str, Shape],
    batch: int,
    lanes: int,
    taken: Collection[str] = (),
) -> tuple[Cut, ...]:
    """The layers that are cut, in runs of which each begins behind what ended the one before.

    taken: by name, those that have something else in their lanes.
    """
    cuts, first = list[Cut](), 0
    while first < len(layers):
        run = [*itertools.takewhile(lambda layer: str(layer.name) not in taken, layers[first:])]
        found, end = _bands_from(run, shape, shapes, batch, lanes, first > 0) if run else ([], 1)
        cuts += found
        first += end
        shape = shapes[str(layers[first - 1].name)]
    return tuple(cuts)


def _bands_from(
    layers: Sequence[Layer], shape: Shape, shapes: Mapping[str, Shape], batch: int, lanes: int, within: bool
) -> tuple[list[Cut], int]:
    """The best for a run that begins with the first layer, if there is one, and where the next may begin.
    within: whole samples come in.
    """
    most, best, longest, taken = 0.0, list[Cut](), 0, 0
    if len(shape) not in (2, 3, 4):
        return best, 1
    blocks, height = -(-batch // lanes), _height(shape)
    brought = REARRANGING * blocks * math.prod(shape) if within else 0.0
    for count in range(2, MOST + 1):
        for units in {stride * -(-shape[0] // (stride * count)) for stride in STRIDES}:
            rows = units * height // shape[0]
            if -(-batch * count // lanes) * rows > (1 - LEAST_GAIN) * blocks * height:
                continue
            names, whole, cut = dict[str, Bands](), 0.0, 0.0
            for place, inner in enumerate(first_layers(layers, shape, shapes, count, rows, names)):
                longest = max(longest, place + 1)
                for number, leaf in enumerate(inner):
                    first = not within and place + number == 0
                    whole += _vectors(leaf, batch, lanes, 1, first)
                    cut += _vectors(leaf, batch, lanes, count, first)
                moved = _moved(layers, place, shapes, count, names)
                gain = whole - cut - brought - REARRANGING * blocks * moved - BEGUN
                if gain > max(most, LEAST_GAIN * whole):
                    most, best, taken = gain, [Cut(count, rows, dict(names))], place + 1
    return best, taken or min(longest + 1, len(layers))


def pools_bands(layer: Layer, x: Shape, count: int, rows: int) -> bool:
    """Whether a layer pools an image of so many bands band by band: of a maximum the last one may reach
    beyond the image, but has some of it.
    """
    if rows == 1 and len(x) == 2:  # nothing is left to pool
        return False
    if type(layer) is GlobalMaxPool:
        return (count - 1) * rows < _height(x)
    return type(layer) in GLOBAL_POOLS and count * rows == _height(x)


def _moved(
    layers: Sequence[Layer],
    place: int,
    shapes: Mapping[str, Shape],
    count: int,
    names: Mapping[str, Bands],
) -> int:
    """Numbers of a sample that are brought together behind a layer."""
    name = str(layers[place].name)
    z, rows = shapes[name], names[name][1]
    pooled = place + 1 < len(layers) and pools_bands(layers[place + 1], z, count, rows)
    return count * z[-1] if pooled else math.prod(z)


def _vectors(leaf: Leaf, batch: int, lanes: int, count: int, first: bool) -> float:
    """What a layer takes in all passes, in bands or, of 1, with samples in the lanes; `first`: it sends no δ
    down.
    """
    layer, x, z, rows, made = leaf
    blocks, (of_block, _) = -(-batch * count // lanes), cost(layer, x, z, 1, lanes)
    made = made if count > 1 else _height(z)
    forward = of_block * blocks * made / _height(z)
    if isinstance(layer, ConvTranspose1D | ConvTranspose2D):  # three passes of the same products
        products = math.prod(layer.grid.kernel) * x[-1] * z[-1] // layer.groups
        return 3.0 * products * blocks * math.prod(x[1:-1]) * (rows if count > 1 else x[0])
    if type(layer) not in CONVOLUTIONS:
        return PASSES.get(type(layer), 2) * forward
    gradients = min(forward, cost(layer, x, z, batch, lanes)[1])  # by filters: of samples that exist
    if winograd_applies(layer, x, z, blocks, count, rows):
        forward, gradients = forward / WINOGRAD, min(gradients, forward / WINOGRAD)
    beside = sum(rows_beside(layer, x, rows)[0]) if count > 1 else 0
    return gradients + forward * (1 if first else 2) + PASSING * blocks * beside * math.prod(x[-2:])


def first_layers(
    layers: Sequence[Layer],
    x: Shape,
    shapes: Mapping[str, Shape],
    count: int,
    rows: int,
    names: dict[str, Bands],
) -> Iterator[list[Leaf]]:
    """The first layers of a network, while they take so many bands, of so many rows of x: what is within
    each, or itself. names: where the rows of its bands go, in and out.
    """
    for layer in layers:
        leaves = list[Leaf]()
        found = dict[str, Bands]()
        _, made = _leaves([layer], ((x, rows),), shapes, count, leaves, found)
        if made is None:
            return
        names |= found
        yield leaves
        x, rows = shapes[str(layer.name)], made


def _leaves(
    layers: Sequence[Layer],
    given: tuple[Rows, ...],
    shapes: Mapping[str, Shape],
    count: int,
    leaves: list[Leaf],
    names: dict[str, Bands],
) -> Rows:
    """What comes out of a chain, and the rows of a band of it, None where a layer cannot be cut; given: what
    it reads, the first layer several values where it joins them; leaves, names: what is found.
    """
    x, rows = given[0]
    for layer in layers:
        if any(read != rows for _, read in given) or rows is None:
            return x, None
        z = shapes[str(layer.name)]
        if isinstance(layer, Composite):
            parts: list[int | None] = []

            def branch(_: int, inner: Chain, on: tuple[Rows, ...], parts: list[int | None] = parts) -> Rows:
                end = _leaves(inner, on, shapes, count, leaves, names)
                parts.append(end[1])
                return end

            ends = {rows for _, rows in run_branches(None, layer, given, branch)}
            made = ends.pop() if len(ends) == 1 and None not in parts else None
        else:
            made = rows_made(layer, x, z, rows, count)
            leaves.append(Leaf(layer, x, z, rows, made or 0))
        if made is not None:
            names[str(layer.name)] = rows, made
        x, rows = z, made
        given = ((x, rows),)
    return x, rows
