"""How a convolution runs: directly or by Winograd, and the zeros that its kernels want around values."""

from __future__ import annotations

import math
from typing import Any

from chainrule.base.types import Shape
from chainrule.engine.lowering.values import NO_HALO, Halo
from chainrule.layers import (
    AveragePool1D,
    AveragePool2D,
    AveragePool3D,
    Conv1D,
    Conv2D,
    Conv3D,
    ConvTranspose1D,
    ConvTranspose2D,
    ConvTranspose3D,
    Dense,
    DepthwiseConv2D,
    L2Pool1D,
    L2Pool2D,
    L2Pool3D,
    Layer,
    MaxPool1D,
    MaxPool2D,
    MaxPool3D,
    UpSample2D,
)
from chainrule.layers.windows.convolution import Convolution

# Where Winograd pays, by docs/decisions/0003-winograd.md: the transforms want channels, the transformed
# kernels want tiles (2x2 outputs of a block); the weight gradient wants more of both.
WINOGRAD_CHANNELS, WINOGRAD_TILES = 8, 16
WINOGRAD_GRADIENT_CHANNELS, WINOGRAD_GRADIENT_TILES = 16, 64
# Of volumes, where all planes of a kernel share a transformed x (docs/decisions/0027-volumes.md).
WINOGRAD_GRADIENT_OF_PLANES = 10


CONVOLUTIONS = (Conv2D, Conv1D, DepthwiseConv2D, Conv3D)
TRANSPOSED = (ConvTranspose2D, ConvTranspose1D, ConvTranspose3D)
# Pools which may be cut into bands; of volumes, of planes.
SLIDING_POOLS = (MaxPool1D, AveragePool1D, L2Pool1D, MaxPool2D, AveragePool2D, L2Pool2D)
VOLUME_POOLS = (MaxPool3D, AveragePool3D, L2Pool3D)
Pair = tuple[int, int]


def two(sizes: tuple[Any, ...], along: Any = 1, cut: bool = False) -> tuple[Any, Any]:
    """A size per row and column; a sequence is an image of one row, or of one column where it is cut, the
    planes of a volume are images.
    """
    if len(sizes) == 1:
        return (*sizes, along) if cut else (along, *sizes)
    return sizes[-2], sizes[-1]


def image_pads(layer: Any, shape: Shape, cut: bool = False) -> tuple[Pair, Pair]:
    """((top, bottom), (left, right)) of a convolution or pooling."""
    return two(layer.pads(shape), (0, 0), cut)


def zeros_around(layer: Any, shape: Shape, cut: bool = False) -> Halo:
    """The zeros that a convolution wants around its image: of volumes at both sides of their rows alone; no
    plane or row of a volume is read that is not there.
    """
    (top, bottom), (left, right) = image_pads(layer, shape, cut)
    return (0, 0, left, right) if len(shape) == 4 else (top, bottom, left, right)


def rows_beside(layer: Any, x: Shape, rows: int) -> tuple[Pair, Pair]:
    """Of bands of `rows` rows of an image x: those above and below one that the windows of a convolution or a
    pool read; and those of windows that the δ of a convolution reads. A transposed convolution has the image
    behind it. Bands of a volume are of whole planes.
    """
    grid = layer.grid
    line = x[1] if len(x) == 4 else 1  # rows of a plane
    made = grid.positions_along(1, line) if len(x) == 4 else 1
    (top, _), *_ = layer.pads(x)
    stride, reach = grid.stride[0], (grid.kernel[0] - 1) * grid.dilation[0] - top
    size = rows // line
    above, below = max(reach // stride, 0), max((size - 1 + top) // stride - (size // stride - 1), 0)
    return (top * line, max(reach + 1 - stride, 0) * line), (above * made, below * made)


def winograd_applies(
    layer: Layer,
    input_shape: Shape,
    output_shape: Shape,
    blocks: int,
    bands: int = 1,
    rows: int = 0,
    *,
    gradient: bool = False,
) -> bool:
    """Whether a convolution runs by Winograd: 3x3 at stride 1, of volumes in each plane, and large enough; in
    bands of `rows` rows, which are whole tiles.
    """
    if type(layer) not in (Conv2D, Conv3D):
        return False
    assert isinstance(layer, Convolution)
    grid = layer.grid
    if grid.kernel[-2:] != (3, 3) or {*grid.stride, *grid.dilation} != {1} or layer.groups != 1:
        return False
    *deep, of_rows, of_columns = layer.pads(input_shape)
    least_channels = least_filters = WINOGRAD_GRADIENT_CHANNELS if gradient else WINOGRAD_CHANNELS
    if gradient and deep and grid.kernel[0] > 1:
        least_channels, least_filters = WINOGRAD_GRADIENT_OF_PLANES, WINOGRAD_CHANNELS
    *planes, height, width, filters = output_shape
    if bands > 1 and planes:
        planes = [rows // input_shape[1]]
    elif bands > 1:
        height = rows
    tiles = blocks * math.prod(planes) * -(-height // 2) * -(-width // 2)
    return (
        (bands == 1 or bool(planes) or height % 2 == 0)
        and max(*of_rows, *of_columns) <= 2
        and input_shape[-1] >= least_channels
        and filters >= least_filters
        and min(output_shape[-3:-1]) >= 2
        and tiles >= (WINOGRAD_GRADIENT_TILES if gradient else WINOGRAD_TILES)
    )


def at_each_position(layer: Layer, x: Shape) -> bool:
    """Whether a layer is a product of every position's features with W: a dense layer on a sequence, or a
    convolution of one pixel.
    """
    if type(layer) is Dense:
        return len(x) > 1
    if type(layer) not in (Conv1D, Conv2D, Conv3D):
        return False
    assert isinstance(layer, Convolution)
    grid = layer.grid
    single = {*grid.kernel, *grid.stride} == {1} and not any(map(any, layer.pads(x)))
    return single and layer.groups_of(x[-1]) == 1


def input_halo(
    layer: Layer | None, input_shape: Shape, output_shape: Shape, blocks: int, bands: int = 1, rows: int = 0
) -> Halo:
    """The zeros a layer wants around its input, or the rows of the bands beside it."""
    if bands > 1 and type(layer) in (*SLIDING_POOLS, *VOLUME_POOLS):
        return *rows_beside(layer, input_shape, rows)[0], 0, 0
    if bands > 1 and type(layer) in TRANSPOSED:
        return *rows_beside(layer, output_shape, rows * layer.grid.stride[0])[1], 0, 0  # type: ignore[union-attr]
    if bands > 1 and isinstance(layer, UpSample2D) and layer.mode != "nearest":
        return 1, 1, 0, 0
    if type(layer) not in CONVOLUTIONS:
        return NO_HALO
    assert isinstance(layer, Convolution)
    top, bottom, left, right = zeros_around(layer, input_shape, bands > 1)
    if winograd_applies(layer, input_shape, output_shape, blocks, bands, rows):
        right += output_shape[-2] % 2
        bottom += output_shape[0] % 2 if len(input_shape) == 3 else 0
    if bands > 1:
        top, bottom = rows_beside(layer, input_shape, rows)[0]
    return top, bottom, left, right


def output_delta_halo(
    layer: Layer, input_shape: Shape, output_shape: Shape, blocks: int, bands: int = 1, rows: int = 0
) -> Halo:
    """The zeros a layer wants around the δ of its output."""
    if type(layer) in TRANSPOSED:
        assert isinstance(layer, Convolution)
        top, bottom, left, right = zeros_around(layer, output_shape, bands > 1)
        if bands > 1:
            top, bottom = rows_beside(layer, output_shape, rows * layer.grid.stride[0])[0]
        return top, bottom, left, right
    if not winograd_applies(layer, input_shape, output_shape, blocks, bands, rows):
        if bands == 1 or type(layer) not in CONVOLUTIONS:
            return NO_HALO
        return *rows_beside(layer, input_shape, rows)[1], 0, 0
    (top, bottom), (left, right) = image_pads(layer, input_shape)
    beside = 2 - left, max(2 - right + input_shape[-2] % 2, output_shape[-2] % 2)
    if len(input_shape) == 4:
        return *(rows_beside(layer, input_shape, rows)[1] if bands > 1 else (0, 0)), *beside
    below = max(2 - bottom + input_shape[0] % 2, output_shape[0] % 2) if bands == 1 else top
    return 2 - top, below, *beside
