"""Layer cases as data: every check of every suite (formulas, native kernels, gradient check) walks this list.

A case is a layer, the shape of one sample, and a number of samples.  `inputs`, `parameters` and
`output_delta` give deterministic float64 arrays at the face (samples first).  The values of `inputs` are
distinct and away from 0: no kink and no tie of a maximum lies within `GAP / (values per sample)` of them.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule import layers as L
from chainrule.layers.randomness import random_bits

Array = NDArray[np.float64]
SPREAD = 4.0  # inputs lie in (-2, 2)
GAP = (
    SPREAD / 4
)  # the value nearest to 0 is at least GAP / (values per sample) away; neighbours are 4 times as far


@dataclass(frozen=True)
class LayerCase:
    """id; how to make the layer; shape of one sample; samples; whether forward has kinks; its purpose."""

    id: str
    make: Callable[[], L.Layer]
    input_shape: tuple[int, ...]
    samples: int = 3
    kinked: bool = False
    note: str = ""
    spread: float = SPREAD  # wider for kinks that lie away from 0
    ids: int = 0  # inputs are whole numbers below this
    scale: float = 1.0  # of the parameters; a passage through steps is a smooth function only of small ones
    fewest: int = 1  # samples a training pass takes


def _conv(
    name: str, shape: tuple[int, int, int], *arguments: object, note: str = "", **options: object
) -> LayerCase:
    return LayerCase(f"conv-{name}", lambda: L.Conv2D(*arguments, **options), shape, note=note)  # type: ignore[arg-type]


def _conv1(name: str, shape: tuple[int, int], *arguments: Any, note: str = "", **options: Any) -> LayerCase:
    return LayerCase(f"conv1d-{name}", lambda: L.Conv1D(*arguments, **options), shape, note=note)


def _back(
    name: str, shape: tuple[int, int, int], *arguments: Any, note: str = "", **options: Any
) -> LayerCase:
    return LayerCase(
        f"convtranspose-{name}", lambda: L.ConvTranspose2D(*arguments, **options), shape, note=note
    )


def _depthwise(
    name: str, shape: tuple[int, int, int], *arguments: Any, note: str = "", **options: Any
) -> LayerCase:
    return LayerCase(f"depthwise-{name}", lambda: L.DepthwiseConv2D(*arguments, **options), shape, note=note)


def _pool(
    name: str, shape: tuple[int, int, int], window: object, stride: object, note: str = "", **options: Any
) -> list[LayerCase]:
    classes: list[Any] = [L.MaxPool2D, L.AveragePool2D, L.L2Pool2D]
    return [
        LayerCase(
            f"{cls.kind}-{name}",
            lambda cls=cls: cls(window, stride, **options),
            shape,
            kinked=cls is L.MaxPool2D,
            note=note,
        )
        for cls in classes
    ]


def _pool1(name: str, shape: tuple[int, int], *arguments: Any, **options: Any) -> list[LayerCase]:
    classes: list[Any] = [L.MaxPool1D, L.AveragePool1D, L.L2Pool1D]
    return [
        LayerCase(
            f"{cls.kind}1d-{name}",
            lambda cls=cls: cls(*arguments, **options),
            shape,
            kinked=cls is L.MaxPool1D,
        )
        for cls in classes
    ]


def _adaptive(
    name: str, shape: tuple[int, ...], size: Any, note: str = "", samples: int = 3
) -> list[LayerCase]:
    """Of both kinds, and of as many axes as the image has."""
    axes = len(shape) - 1
    classes = [getattr(L, f"Adaptive{kind}Pool{axes}D") for kind in ("Average", "Max")]
    return [
        LayerCase(
            f"{cls.kind}-{name}",
            lambda cls=cls: cls(size),
            shape,
            samples,
            kinked="max" in cls.kind,
            note=note,
        )
        for cls in classes
    ]


def _pool3(name: str, shape: tuple[int, ...], *arguments: Any, **options: Any) -> list[LayerCase]:
    classes: list[Any] = [L.MaxPool3D, L.AveragePool3D, L.L2Pool3D]
    return [
        LayerCase(
            f"{cls.kind}3d-{name}",
            lambda cls=cls: cls(*arguments, **options),
            shape,
            kinked=cls is L.MaxPool3D,
        )
        for cls in classes
    ]


def _recurrent(name: str, make: Any, shape: tuple[int, ...], samples: int = 3, note: str = "") -> LayerCase:
    return LayerCase(name, make, shape, samples, note=note, scale=0.4)


def _activation(cls: type[L.Activation]) -> list[LayerCase]:
    kinked = bool(cls.kinks)
    if (last := max(cls.kinks, default=0.0)) > 0:  # an even number of values in (-6, 6): none is at ±1 or ±3
        spread = 12.0 if last < 6 else 20.0
        return [
            LayerCase(f"{cls.kind}-vector", cls, (8,), kinked=True, spread=spread),
            LayerCase(f"{cls.kind}-image", cls, (3, 2, 2), samples=2, kinked=True, spread=spread),
        ]
    return [
        LayerCase(f"{cls.kind}-vector", cls, (7,), kinked=kinked),
        LayerCase(f"{cls.kind}-image", cls, (3, 2, 2), samples=2, kinked=kinked),
    ]


def _parametric(name: str, kinked: bool) -> list[LayerCase]:
    def make() -> L.Layer:
        return L.ParametricActivation(name)

    return [
        LayerCase(f"parametric-{name}", make, (7,), kinked=kinked),
        LayerCase(f"parametric-{name}-image", make, (3, 2, 3), samples=2, kinked=kinked),
    ]


LAYER_CASES: list[LayerCase] = [
    LayerCase("dense", lambda: L.Dense(3), (5,)),
    LayerCase("dense-wide", lambda: L.Dense(19), (17,), samples=5, note="more than one register tile, odd"),
    LayerCase("dense-one", lambda: L.Dense(1), (1,), samples=1, note="one input, one unit, one sample"),
    LayerCase("dense-no-bias", lambda: L.Dense(4, bias=False), (3,), samples=2),
    LayerCase("dense-steps", lambda: L.Dense(4), (6, 3), note="on every step of a sequence"),
    LayerCase("dense-steps-no-bias", lambda: L.Dense(17, bias=False), (1, 9), samples=2, note="one step"),
    LayerCase("dense-single", lambda: L.Dense(10), (33,), samples=1, note="batch of one"),
    LayerCase("densetranspose", lambda: L.DenseTranspose(19), (17,), samples=5),
    LayerCase("densetranspose-steps", lambda: L.DenseTranspose(4, bias=False), (6, 3), samples=2),
    LayerCase("dense-ntk", lambda: L.Dense(5, ntk=True), (7,)),
    LayerCase("dense-ntk-no-bias", lambda: L.Dense(17, ntk=True, bias=False), (1,), samples=1),
    LayerCase("dense-ntk-steps", lambda: L.Dense(3, ntk=True), (4, 5), samples=2),
    _conv("wang", (6, 6, 1), 3, 3, note="the net of Wang"),
    _conv("channels", (5, 6, 3), 4, 3, note="several channels, image not square"),
    _conv("one-by-one", (4, 3, 3), 5, 1, note="1x1 kernel"),
    _conv("rectangle", (6, 5, 2), 3, (3, 2), note="kernel not square"),
    _conv("even", (6, 7, 2), 3, (2, 4), note="even kernel"),
    _conv("whole", (4, 5, 2), 3, (4, 5), note="kernel as large as the image: one position"),
    _conv("row", (1, 9, 2), 3, (1, 3), note="one row"),
    _conv("no-bias", (5, 5, 2), 3, 2, bias=False),
    _conv("stride2", (7, 7, 2), 3, 3, stride=2),
    _conv(
        "stride2-ragged",
        (6, 8, 2),
        3,
        3,
        stride=2,
        note="the last row and column meet no window: their δ is 0",
    ),
    _conv("stride-pair", (9, 8, 1), 2, (2, 3), stride=(3, 2)),
    _conv("stride-beyond-kernel", (8, 9, 2), 3, 2, stride=3, note="pixels between windows get δ 0"),
    _conv("same", (5, 6, 2), 3, 3, padding="same"),
    _conv(
        "same-even", (5, 6, 2), 3, (2, 4), padding="same", note="the extra zero is at the bottom and right"
    ),
    _conv("same-stride2", (7, 6, 2), 3, 3, stride=2, padding="same"),
    _conv("same-stride2-even", (6, 7, 2), 3, (4, 2), stride=(2, 3), padding="same"),
    _conv("same-large-kernel", (3, 2, 2), 2, 5, padding="same", note="kernel larger than the image"),
    _conv("pad1", (5, 4, 2), 3, 3, padding=1),
    _conv("pad-full", (4, 4, 1), 2, 3, padding=2, note="full convolution: padding k - 1"),
    _conv("pad-pair-stride2", (6, 5, 2), 3, 3, stride=2, padding=(1, 0)),
    _conv("pad-explicit", (5, 5, 2), 3, (3, 2), stride=(2, 1), padding=((0, 2), (1, 0))),
    LayerCase("conv-single", lambda: L.Conv2D(3, 3), (6, 5, 2), samples=1, note="batch of one"),
    LayerCase(
        "conv-many-channels", lambda: L.Conv2D(17, 3, padding="same"), (4, 3, 9), samples=2, note="odd tiles"
    ),
    _conv("dilation", (7, 7, 1), 2, 3, dilation=2, note="i7 k3 d2 of the convolution arithmetic"),
    _conv("dilation-pair", (7, 6, 2), 5, (2, 3), dilation=(3, 2), padding=(1, 2), stride=(1, 2)),
    _conv("dilation-rows", (8, 3, 9), 2, (3, 2), dilation=(2, 1)),
    _conv("dilation-same", (5, 6, 2), 3, 3, dilation=2, padding="same", stride=2),
    _conv("groups", (5, 6, 4), 6, 3, groups=2, padding=1),
    _conv("groups-odd", (4, 5, 9), 15, (2, 3), groups=3, stride=(2, 1), dilation=(1, 2), bias=False),
    _conv("groups-wide", (3, 4, 14), 18, 2, groups=2, note="more than one tile in a group"),
    _conv("groups-depthwise", (4, 5, 5), 5, 3, groups=5, padding="same"),
    _depthwise("", (5, 6, 3), 3),
    _depthwise("multiplier", (6, 5, 5), (2, 3), multiplier=3, padding="same"),
    _depthwise("stride", (9, 8, 17), 3, stride=2, padding=1),
    _depthwise("ragged", (8, 9, 2), 2, stride=3, note="pixels between windows get δ 0"),
    _depthwise("dilation", (7, 11, 2), (3, 4), dilation=(2, 3), padding=((1, 2), (3, 0)), stride=(2, 1)),
    _depthwise("long", (3, 40, 2), (2, 19), padding="same", bias=False, note="many taps"),
    _depthwise("many-taps", (9, 9, 2), 9, padding=8, note="more taps than one pass takes"),
    _depthwise("one", (4, 4, 1), 2, multiplier=2, note="one channel"),
    LayerCase("depthwise-single", lambda: L.DepthwiseConv2D(3), (5, 9, 4), samples=1),
    _conv1("", (9, 2), 3, 3),
    _conv1("same", (10, 3), 5, 4, padding="same", stride=2),
    _conv1("causal", (11, 2), 3, 3, padding=(4, 0), dilation=2, note="no output sees what comes later"),
    _conv1("groups", (8, 6), 4, 2, groups=2, bias=False),
    _conv1("one", (1, 1), 1, 1),
    LayerCase("conv1d-single", lambda: L.Conv1D(9, 3), (7, 17), samples=1),
    _back("", (4, 3, 2), 3, 3, note="the full convolution"),
    _back("half", (5, 4, 2), 3, 3, padding=1),
    _back("stride", (3, 4, 2), 5, 4, stride=2, output_padding=1, note="i3 k4 s2 p0 a1 -> 9"),
    _back("pairs", (3, 4, 9), 17, (3, 2), stride=(3, 2), padding=((1, 0), (0, 1)), output_padding=(2, 0)),
    _back("same", (3, 4, 2), 3, (3, 2), stride=2, padding="same"),
    _back("stride-beyond-kernel", (3, 2, 2), 3, 1, stride=2, note="outputs that see nothing but the bias"),
    _back("dilation", (4, 3, 2), 3, 3, dilation=(2, 3), padding=(1, 2), stride=2, bias=False),
    _back("groups", (3, 4, 6), 4, 3, groups=2, stride=2, padding=1, output_padding=1),
    _back("depthwise", (3, 4, 6), 3, 3, groups=3, stride=2, padding=1, output_padding=1),
    LayerCase("convtranspose-single", lambda: L.ConvTranspose2D(2, 3), (3, 4, 5), samples=1),
    LayerCase("convtranspose1d", lambda: L.ConvTranspose1D(3, 4, stride=2, padding=1), (5, 2)),
    LayerCase(
        "convtranspose1d-groups",
        lambda: L.ConvTranspose1D(6, 3, groups=3, stride=3, output_padding=2, dilation=2, padding=(4, 1)),
        (4, 9),
    ),
    LayerCase("conv3d", lambda: L.Conv3D(3, 3, padding="same"), (3, 4, 5, 2)),
    LayerCase(
        "conv3d-options",
        lambda: L.Conv3D(
            4, (2, 1, 3), stride=(1, 2, 2), dilation=(2, 1, 1), padding=((1, 0), (0, 0), (2, 1)), groups=2
        ),
        (4, 3, 6, 6),
        samples=2,
        note="as an image of the rows of every window",
    ),
    LayerCase("conv3d-as-it-is", lambda: L.Conv3D(17, (1, 1, 2), bias=False), (2, 3, 4, 5), samples=1),
    LayerCase("conv3d-depthwise", lambda: L.Conv3D(3, 2, groups=3), (2, 3, 3, 3)),
    LayerCase(
        "convtranspose3d",
        lambda: L.ConvTranspose3D(4, (2, 3, 3), stride=2, padding=1, output_padding=(1, 0, 1)),
        (2, 3, 2, 3),
    ),
    LayerCase(
        "convtranspose3d-groups",
        lambda: L.ConvTranspose3D(4, (3, 2, 2), dilation=(1, 2, 1), padding="same", groups=4, bias=False),
        (3, 2, 4, 4),
        samples=2,
    ),
    *_pool3("", (4, 3, 5, 2), 2, 1),
    *_pool3("padded", (3, 4, 5, 3), (2, 3, 2), 2, padding=((1, 0), (1, 1), (0, 1)), ceil_mode=True),
    *_pool3("dilated", (3, 4, 5, 2), (2, 1, 2), dilation=(1, 2, 2), padding=(1, 0, 1)),
    LayerCase(
        "avgpool3d-counted", lambda: L.AveragePool3D(3, 2, padding=1, count_padding=True), (3, 4, 3, 2)
    ),
    LayerCase("l2pool3d-mean", lambda: L.L2Pool3D(2, padding=1, mean=True), (3, 2, 4, 2), samples=1),
    LayerCase("lppool3d", lambda: L.LpPool3D(3, (2, 1, 2), 1), (3, 2, 3, 2)),
    LayerCase(
        "maxunpool", lambda: L.MaxUnpool2D(2, sources=((2, 2, 3), (5, 4, 3))), (12 + 60,), kinked=True
    ),
    LayerCase(
        "maxunpool-options",
        lambda: L.MaxUnpool2D((2, 3), (3, 3), padding=(1, 1), ceil_mode=True, sources=((2, 2, 5), (4, 5, 5))),
        (20 + 100,),
        samples=2,
        kinked=True,
    ),
    LayerCase("maxunpool1d", lambda: L.MaxUnpool1D(3, sources=((2, 2), (7, 2))), (4 + 14,), kinked=True),
    LayerCase(
        "maxunpool3d", lambda: L.MaxUnpool3D(2, sources=((1, 2, 1, 2), (2, 4, 3, 2))), (4 + 48,), kinked=True
    ),
    LayerCase("batchnorm-volume", L.BatchNorm, (2, 3, 2, 5)),
    LayerCase("groupnorm-volume", lambda: L.GroupNorm(2), (2, 3, 2, 4), samples=2),
    LayerCase("globalmaxpool-volume", L.GlobalMaxPool, (2, 3, 2, 3), kinked=True),
    LayerCase("pad3d", lambda: L.Pad3D(((1, 0), (2, 1), (0, 2)), mode="reflect"), (2, 3, 4, 2)),
    LayerCase("crop3d", lambda: L.Crop3D((0, 1, 1)), (2, 3, 4, 3), samples=2),
    LayerCase("upsample3d", lambda: L.UpSample3D((1, 2, 3)), (2, 3, 2, 3), samples=2),
    LayerCase("upsample3d-between", lambda: L.UpSample3D(2, mode="trilinear"), (2, 3, 1, 2)),
    *_pool("wang", (4, 4, 3), 2, None, "the net of Wang"),
    *_pool("overlap", (5, 6, 2), 2, 1, "2x2, stride 1: δ accumulates (NNlib.jl #205)"),
    *_pool("overlap3", (5, 5, 2), 3, 1, "3x3, stride 1: δ accumulates (tangermeme #95)"),
    *_pool("overlap3-stride2", (7, 7, 1), 3, 2),
    *_pool("ragged", (5, 7, 2), 2, None, "the last row and column fit no window: δ 0"),
    *_pool("gaps", (7, 8, 2), 2, 3, "stride larger than the window: pixels in no window"),
    *_pool("rectangle", (6, 7, 1), (2, 3), (1, 2)),
    *_pool("whole", (3, 4, 3), (3, 4), None, "one window"),
    *_pool("one", (3, 3, 2), 1, None, "1x1 windows: the identity"),
    LayerCase(
        "maxpool-single", lambda: L.MaxPool2D(2), (4, 6, 5), samples=1, kinked=True, note="batch of one"
    ),
    *_pool("padded", (5, 6, 2), 3, 2, "padding never wins", padding=1),
    *_pool("padded-apart", (3, 4, 5), 2, 2, padding=1, note="windows that do not overlap, cut at the border"),
    *_pool("padded-uneven", (4, 5, 3), (3, 2), (2, 1), padding=((2, 0), (0, 1))),
    *_pool("padded-same", (5, 6, 2), (3, 4), (2, 3), padding="same"),
    *_pool("ceil", (5, 7, 2), 2, None, "a last window over the edge", ceil_mode=True),
    *_pool("ceil-padded", (6, 5, 3), 3, (2, 3), padding=((1, 0), (0, 1)), ceil_mode=True),
    *_pool("ceil-small", (2, 4, 2), (3, 2), (2, 3), "a window larger than the image", ceil_mode=True),
    *_pool1("ceil", (8, 2), 3, 2, ceil_mode=True),
    *_pool(
        "dilated",
        (7, 6, 2),
        (2, 3),
        (1, 2),
        "pixels that lie apart",
        dilation=(3, 2),
        padding=((1, 0), (2, 1)),
    ),
    *_pool("dilated-ceil", (6, 5, 3), 2, 3, dilation=2, ceil_mode=True),
    *_pool1("dilated", (9, 2), 3, 2, dilation=2, padding="same"),
    LayerCase(
        "avgpool-dilated-counted",
        lambda: L.AveragePool2D(2, 1, padding=1, dilation=2, count_padding=True),
        (4, 5, 17),
        samples=1,
    ),
    LayerCase("l2pool-dilated-mean", lambda: L.L2Pool2D(2, padding=1, dilation=2, mean=True), (4, 5, 2)),
    LayerCase("lppool", lambda: L.LpPool2D(3, 2, 1), (4, 5, 2)),
    LayerCase("lppool-one", lambda: L.LpPool2D(1, (2, 1)), (4, 3, 17), samples=1, kinked=True),
    LayerCase("l2pool-nothing-seen", lambda: L.L2Pool2D(2, 1, padding=1, dilation=2), (1, 4, 2)),
    LayerCase("lppool-dilated", lambda: L.LpPool2D(2.5, 2, padding=1, dilation=2), (5, 4, 2), samples=2),
    LayerCase("lppool1d", lambda: L.LpPool1D(4, 3, 2, ceil_mode=True), (6, 3)),
    *_pool1("pairs", (7, 3), 2),
    *_pool1("overlap", (9, 2), 3, 1),
    *_pool1("padded", (6, 2), 4, 3, padding=(3, 1)),
    LayerCase("avgpool-counted", lambda: L.AveragePool2D(3, 2, padding=1, count_padding=True), (5, 4, 2)),
    LayerCase("avgpool-divisor", lambda: L.AveragePool2D((2, 3), 2, padding=1, divisor=5), (5, 4, 3)),
    LayerCase("avgpool3d-divisor", lambda: L.AveragePool3D(2, 1, divisor=0.5), (3, 2, 4, 2), samples=2),
    LayerCase(
        "avgpool1d-divisor", lambda: L.AveragePool1D(2, 3, ceil_mode=True, dilation=2, divisor=-3), (8, 2)
    ),
    LayerCase("avgpool1d-counted", lambda: L.AveragePool1D(3, padding="same", count_padding=True), (4, 2)),
    LayerCase("l2pool-mean", lambda: L.L2Pool2D((2, 3), 1, mean=True), (4, 4, 2)),
    LayerCase("l2pool-mean-padded", lambda: L.L2Pool2D(3, 2, padding=1, mean=True), (4, 5, 2)),
    *_adaptive("equal", (6, 4, 2), (3, 2), "a pool of windows side by side"),
    *_adaptive("overlap", (7, 5, 3), (3, 2), "equal windows that overlap along the rows, and one at the end"),
    *_adaptive("unequal", (5, 7, 2), (4, 5), "windows of one pixel and of two"),
    *_adaptive("kept", (5, 6, 17), ("same", 4), "an axis that stays", samples=1),
    *_adaptive("growing", (2, 3, 2), (5, 4), "more windows than pixels"),
    *_adaptive("one", (3, 4, 2), 1),
    *_adaptive("sequence", (7, 3), 4),
    *_adaptive("volume", (3, 4, 2, 2), (2, 3, 1), samples=2),
    LayerCase("globalavgpool", L.GlobalAveragePool, (4, 3, 5)),
    LayerCase("globalavgpool-sequence", L.GlobalAveragePool, (7, 2), samples=1),
    LayerCase("globalmaxpool", L.GlobalMaxPool, (3, 5, 2), kinked=True),
    LayerCase("globalmaxpool-sequence", L.GlobalMaxPool, (6, 3), kinked=True),
    LayerCase("batchnorm", L.BatchNorm, (5,), samples=7, fewest=5, note="of few samples δ cancels"),
    LayerCase("batchnorm-image", L.BatchNorm, (4, 3, 5), note="positions count as samples do"),
    LayerCase("batchnorm-sequence", lambda: L.BatchNorm(0.3, epsilon=0.1), (6, 17), samples=2),
    LayerCase("batchnorm-single", L.BatchNorm, (3, 3, 2), samples=1, note="one sample, several positions"),
    LayerCase("layernorm", L.LayerNorm, (7,)),
    LayerCase("layernorm-steps", lambda: L.LayerNorm(epsilon=1e-3), (5, 6), note="every step by itself"),
    LayerCase("layernorm-image", L.LayerNorm, (3, 2, 5), samples=2, note="every pixel by itself"),
    LayerCase("layernorm-single", L.LayerNorm, (9,), samples=1),
    LayerCase("layernorm-all", lambda: L.LayerNorm(axes=3), (2, 3, 5), samples=2),
    LayerCase("layernorm-rows", lambda: L.LayerNorm(axes=2, shift=False), (3, 2, 5), note="every row"),
    LayerCase("rmsnorm-all", lambda: L.RMSNorm(axes=2, epsilon=0.01), (3, 5), samples=1),
    LayerCase("groupnorm", lambda: L.GroupNorm(3), (4, 3, 6)),
    LayerCase("groupnorm-all", lambda: L.GroupNorm(1, epsilon=0.01), (2, 5, 9), samples=2),
    LayerCase("groupnorm-each", lambda: L.GroupNorm(4), (3, 5, 4), note="every channel by itself"),
    LayerCase("groupnorm-vector", lambda: L.GroupNorm(2), (14,)),
    LayerCase("groupnorm-sequence", lambda: L.GroupNorm(2), (9, 10), samples=1),
    LayerCase("instancenorm", L.InstanceNorm, (4, 3, 5)),
    LayerCase("instancenorm-tracked", lambda: L.InstanceNorm(tracked=True), (4, 3, 5)),
    LayerCase("instancenorm-sequence", lambda: L.InstanceNorm(epsilon=0.01), (6, 17), samples=1),
    *(
        LayerCase(f"{name}-{g:d}{b:d}", partial(make, scale=g, shift=b), shape, 4, note="γ, β or neither")
        for name, make, shape in (
            ("batchnorm", L.BatchNorm, (3, 2, 4)),
            ("layernorm", L.LayerNorm, (5, 6)),
            ("groupnorm", partial(L.GroupNorm, 2), (3, 2, 4)),
            ("instancenorm", L.InstanceNorm, (5, 3)),
        )
        for g, b in ((False, True), (True, False), (False, False))
    ),
    LayerCase("batchnorm-all-batches", lambda: L.BatchNorm(None), (5, 3)),
    LayerCase("rmsnorm-no-scale", lambda: L.RMSNorm(scale=False), (4, 5)),
    LayerCase("rmsnorm", L.RMSNorm, (7,)),
    LayerCase("rmsnorm-steps", lambda: L.RMSNorm(epsilon=1e-3), (5, 6)),
    LayerCase("rmsnorm-image", L.RMSNorm, (3, 2, 5), samples=2),
    LayerCase("rmsnorm-single", lambda: L.RMSNorm(epsilon=0.01), (3,), samples=1),
    LayerCase("localnorm", lambda: L.LocalResponseNorm(3, alpha=0.5), (3, 2, 5)),
    LayerCase("localnorm-even", lambda: L.LocalResponseNorm(4, alpha=2, beta=0.5, k=2), (4, 7), samples=2),
    LayerCase("localnorm-sides", lambda: L.LocalResponseNorm((0, 9), alpha=1.0), (17,), samples=1),
    LayerCase("dropout", lambda: L.Dropout(0.4), (9,)),
    LayerCase("dropout-image", lambda: L.Dropout(0.25, seed=3), (5, 4, 3)),
    LayerCase("dropout-sequence", lambda: L.Dropout(0.9), (11, 3), samples=2),
    LayerCase("dropout-single", lambda: L.Dropout(0.5), (33,), samples=1),
    LayerCase("dropout-nothing", lambda: L.Dropout(0.0), (6,), note="rate 0: the identity"),
    LayerCase("flatten", L.Flatten, (3, 4, 2)),
    LayerCase("flatten-single", L.Flatten, (2, 3, 5), samples=1),
    LayerCase("flatten-vector", L.Flatten, (6,), note="nothing to do"),
    *(case for cls in L.layer_classes.values() if issubclass(cls, L.Activation) for case in _activation(cls)),
    LayerCase("celu-alpha", lambda: L.CELU(0.4), (9,), kinked=True),
    LayerCase("gelu-tanh", lambda: L.GELU(approximate="tanh"), (7,)),
    LayerCase("hardtanh-limits", lambda: L.HardTanh(-1.6, 0.7), (7,), kinked=True),
    LayerCase("hardsigmoid-slope", lambda: L.HardSigmoid(0.4, 0.45), (7,), kinked=True),
    LayerCase("softplus-beta", lambda: L.Softplus(2.5), (7,)),
    LayerCase("softplus-threshold", lambda: L.Softplus(2.0, 60.0), (7,), note="beyond it z itself"),
    LayerCase("threshold-value", lambda: L.Threshold(0.7, -3.0), (7,), kinked=True),
    LayerCase("selu-others", lambda: L.SELU(0.5, 2.0), (7,), kinked=True),
    LayerCase("glu", L.GLU, (8,)),
    LayerCase("glu-one", L.GLU, (2,), samples=1, note="one feature and its gate"),
    LayerCase("glu-image", lambda: L.GLU("gelu"), (3, 2, 6), samples=2),
    LayerCase("glu-wide", lambda: L.GLU("identity"), (2, 134), note="channels in more than one strip"),
    LayerCase("glu-relu", lambda: L.GLU("relu"), (8,), kinked=True),
    LayerCase("swiglu", L.SwiGLU, (5, 4), note="at every step"),
    LayerCase("prelu-shared", lambda: L.PReLU(shared=True), (3, 2, 3), samples=2, kinked=True),
    LayerCase("prelu-shared-vector", lambda: L.PReLU(shared=True), (7,), kinked=True),
    LayerCase("leakyrelu-slope", lambda: L.LeakyReLU(0.3), (9,), kinked=True),
    LayerCase("elu-alpha", lambda: L.ELU(0.4), (9,), kinked=True),
    LayerCase("prelu", L.PReLU, (7,), kinked=True),
    LayerCase("prelu-single", lambda: L.PReLU(0.0), (9,), samples=1, kinked=True, note="batch of one"),
    LayerCase("prelu-image", L.PReLU, (3, 2, 3), samples=2, kinked=True, note="α per channel, not per pixel"),
    *(
        case
        for name, kinked in (("selu", True), ("mish", False), ("relu", True), ("gelu", False))
        for case in _parametric(name, kinked)
    ),
    *(
        case
        for mode in ("zeros", "reflect", "replicate", "circular")
        for case in (
            LayerCase(f"pad-{mode}", lambda m=mode: L.Pad2D(((1, 2), (0, 3)), mode=m), (3, 4, 2)),
            LayerCase(f"pad-{mode}-wide", lambda m=mode: L.Pad2D(1, mode=m), (2, 3, 19), samples=1),
            LayerCase(f"pad1d-{mode}", lambda m=mode: L.Pad1D((3, 1), mode=m), (4, 3), samples=2),
        )
    ),
    LayerCase("pad-far", lambda: L.Pad2D((0, 5), mode="replicate"), (2, 1, 1), samples=2, note="one pixel"),
    LayerCase("crop", lambda: L.Crop2D(((1, 0), (2, 1))), (3, 6, 2)),
    LayerCase("crop-single", lambda: L.Crop2D(1), (3, 3, 17), samples=1),
    LayerCase("crop1d", lambda: L.Crop1D((0, 2)), (5, 3), samples=2),
    LayerCase("upsample", L.UpSample2D, (3, 2, 3)),
    LayerCase("upsample-rectangle", lambda: L.UpSample2D((1, 3)), (2, 2, 17), samples=1),
    LayerCase("upsample1d", lambda: L.UpSample1D(3), (4, 2), samples=2),
    LayerCase("upsample-bilinear", lambda: L.UpSample2D((2, 3), mode="bilinear"), (3, 4, 2), samples=2),
    LayerCase("upsample-bilinear-one", lambda: L.UpSample2D(3, mode="bilinear"), (1, 2, 17), samples=1),
    LayerCase("upsample1d-linear", lambda: L.UpSample1D(4, mode="linear"), (5, 3)),
    LayerCase("upsample1d-single", lambda: L.UpSample1D(1, mode="linear"), (2, 1), samples=1),
    LayerCase("pixelshuffle", lambda: L.PixelShuffle(2), (2, 3, 12), samples=2),
    LayerCase("pixelshuffle-three", lambda: L.PixelShuffle(3), (1, 2, 9), samples=1),
    LayerCase("permute", lambda: L.Permute((2, 0, 1)), (2, 3, 4), samples=2),
    LayerCase("permute-steps", lambda: L.Permute((1, 0)), (17, 3)),
    LayerCase("permute-four", lambda: L.Permute((1, 3, 0, 2)), (2, 3, 2, 4), samples=2, note="four axes"),
    LayerCase("reshape", lambda: L.Reshape((2, -1)), (3, 2, 4), samples=2),
    LayerCase("reshape-vector", lambda: L.Reshape((3, 2, 5)), (30,), samples=1),
    LayerCase("resample", lambda: L.Resample(0, [[0.5, 0.5, 0, 0], [0, 0, 2, -1], [0, 0, 0, 0]]), (4, 3)),
    LayerCase(
        "resample-columns", lambda: L.Resample(1, [[(2, 1.5)], [(0, 1), (1, 3)]], 3), (2, 3, 17), samples=2
    ),
    LayerCase("resample-features", lambda: L.Resample(1, [[1, 0, 2], [0, 0.25, 0]]), (5, 3), samples=1),
    LayerCase("resample-four", lambda: L.Resample(0, [[1, 1], [1, 0], [0, 3]]), (2, 3, 2, 2), samples=2),
    LayerCase("features", lambda: L.Features(1, 4), (6,)),
    LayerCase("features-one", lambda: L.Features(16, 17), (17,), samples=1),
    LayerCase("features-all", lambda: L.Features(0, 3), (3,), samples=2),
    LayerCase("features-image", lambda: L.Features(1, 3), (2, 3, 4), samples=2, note="channels"),
    LayerCase("bias", L.Bias, (5,)),
    LayerCase("bias-image", L.Bias, (3, 2, 17), samples=2, note="a number per channel"),
    LayerCase("scale", L.Scale, (5,)),
    LayerCase("scale-image", L.Scale, (3, 2, 17), samples=2, note="a factor per channel"),
    LayerCase("scale-single", L.Scale, (1,), samples=1),
    LayerCase("periodic", lambda: L.PeriodicEmbedding(hidden=5, features=3), (4,), scale=0.05),
    LayerCase("periodic-default", L.PeriodicEmbedding, (2,), samples=5, scale=0.02),
    LayerCase("periodic-one", lambda: L.PeriodicEmbedding(hidden=3, features=2), (1,), samples=1, scale=0.05),
    LayerCase(
        "periodic-wide", lambda: L.PeriodicEmbedding(hidden=17, features=4), (19,), samples=2, scale=0.05
    ),
    LayerCase("clamp", lambda: L.Clamp(-0.5, 0.75), (6,), note="training is the identity"),
    LayerCase("clamp-image", lambda: L.Clamp(-0.9, 1.0), (2, 3, 2), samples=2),
    *(
        case
        for cls in (L.RNN, L.LSTM, L.GRU)
        for case in (
            _recurrent(cls.kind, lambda cls=cls: cls(3), (5, 2)),
            _recurrent(f"{cls.kind}-all", lambda cls=cls: cls(4, outputs="all"), (4, 3), samples=2),
            _recurrent(f"{cls.kind}-reverse", lambda cls=cls: cls(2, reverse=True), (3, 2)),
            _recurrent(
                f"{cls.kind}-reverse-all", lambda cls=cls: cls(2, outputs="all", reverse=True), (3, 2)
            ),
            _recurrent(f"{cls.kind}-wide", lambda cls=cls: cls(9, outputs="all"), (3, 7), note="odd tiles"),
            _recurrent(
                f"{cls.kind}-one", lambda cls=cls: cls(1), (1, 1), samples=1, note="one of everything"
            ),
            _recurrent(f"{cls.kind}-single", lambda cls=cls: cls(5), (4, 6), samples=1, note="batch of one"),
        )
    ),
    *(
        _recurrent(
            f"{cls.kind}-no-bias-{outputs}", lambda cls=cls, o=outputs: cls(3, bias=False, outputs=o), (4, 2)
        )
        for cls in (L.RNN, L.LSTM, L.GRU)
        for outputs in ("last", "all")
    ),
    _recurrent("lstm-projected", lambda: L.LSTM(5, projection=3), (4, 2)),
    _recurrent(
        "lstm-projected-wide",
        lambda: L.LSTM(9, projection=17, outputs="all", reverse=True),
        (3, 7),
        samples=2,
        note="more than there are units",
    ),
    _recurrent("lstm-peepholes", lambda: L.LSTM(3, peepholes=True), (5, 2)),
    _recurrent(
        "lstm-peepholes-wide",
        lambda: L.LSTM(17, peepholes=True, outputs="all", bias=False),
        (3, 2),
        note="more than one vector",
    ),
    _recurrent("lstm-both-one", lambda: L.LSTM(1, projection=1, peepholes=True), (1, 1), samples=1),
    _recurrent(
        "lstm-both-states",
        lambda: L.LSTM(
            4, projection=2, peepholes=True, outputs="all", ends=True, sources=((5, 2), (2,), (4,))
        ),
        (16,),
    ),
    _recurrent("gru-before", lambda: L.GRU(3, reset_after=False), (5, 2)),
    _recurrent(
        "gru-before-all", lambda: L.GRU(4, reset_after=False, outputs="all", reverse=True), (3, 3), samples=2
    ),
    _recurrent("gru-before-no-bias", lambda: L.GRU(2, reset_after=False, bias=False), (3, 1), samples=1),
    _recurrent("rnn-sigmoid", lambda: L.RNN(3, activation="sigmoid"), (4, 2)),
    _recurrent("rnn-identity", lambda: L.RNN(3, activation="identity"), (4, 2)),
    LayerCase("masking", L.Masking, (5, 3)),
    LayerCase("masking-value", lambda: L.Masking(-3.0), (4, 1), samples=2),
    LayerCase("masking-single", L.Masking, (1, 7), samples=1),
    LayerCase("softmax", L.Softmax, (5,)),
    LayerCase("softmax-two", L.Softmax, (2,), samples=4),
    LayerCase("logsoftmax", L.LogSoftmax, (5,)),
    LayerCase("logsoftmax-image", L.LogSoftmax, (2, 3, 4), samples=2, note="over the channels of a position"),
    LayerCase("softmax-image", L.Softmax, (2, 3, 4), samples=2, note="over the channels of every position"),
    LayerCase(
        "embedding", lambda: L.Embedding(5, 3), (7,), ids=5, note="some ids more than once, some never"
    ),
    LayerCase(
        "embedding-wide", lambda: L.Embedding(9, 19), (4,), samples=5, ids=9, note="more than one vector"
    ),
    LayerCase("embedding-padding", lambda: L.Embedding(4, 16, padding=2), (6,), ids=4),
    LayerCase("embedding-images", lambda: L.Embedding(6, 2), (3, 4), samples=2, ids=6, note="ids in rows"),
    LayerCase("embedding-single", lambda: L.Embedding(3, 33), (1,), samples=1, ids=3, note="batch of one"),
    LayerCase("attention", lambda: L.MultiHeadAttention(2), (4, 6), scale=0.3),
    LayerCase("attention-causal", lambda: L.MultiHeadAttention(3, causal=True), (5, 6), samples=2, scale=0.3),
    LayerCase(
        "attention-one-head", lambda: L.MultiHeadAttention(1, bias=False), (3, 5), samples=2, scale=0.3
    ),
    LayerCase("attention-single", lambda: L.MultiHeadAttention(2), (7, 4), samples=1, scale=0.3),
    LayerCase("attention-long", lambda: L.MultiHeadAttention(2, causal=True), (19, 4), samples=2, scale=0.3),
    _recurrent(
        "lstm-states",
        lambda: L.LSTM(3, outputs="all", ends=True, sources=((5, 2), (3,), (3,))),
        (16,),
    ),
    _recurrent(
        "gru-states", lambda: L.GRU(2, ends=True, reverse=True, sources=((4, 1), (2,))), (6,), samples=1
    ),
    _recurrent("gru-before-begun", lambda: L.GRU(3, reset_after=False, sources=((3, 2), (3,))), (9,)),
    _recurrent("rnn-ends", lambda: L.RNN(2, outputs="all", ends=True), (3, 4)),
    LayerCase(
        "attention-of-another",
        lambda: L.MultiHeadAttention(
            4, causal=True, key_value_heads=2, rotary=True, sources=((18, 8), (17, 3))
        ),
        (18 * 8 + 17 * 3,),
        samples=2,
        scale=0.3,
    ),
    LayerCase(
        "attention-given",
        lambda: L.MultiHeadAttention(2, seen="given", sources=((3, 4), (2, 5), (2, 3), (3, 2))),
        (12 + 10 + 6 + 6,),
        scale=0.3,
    ),
    LayerCase(
        "attention-seen",
        lambda: L.MultiHeadAttention(3, key_value_heads=1, seen=[[1, 0, 1], [0, 0, 0], [1, 1, 0]]),
        (3, 6),
        samples=1,
        scale=0.3,
    ),
    LayerCase("attention-row", lambda: L.MultiHeadAttention(2, key_value_bias=True), (4, 6), scale=0.4),
    LayerCase("attention-zero", lambda: L.MultiHeadAttention(2, zero_key_value=True, bias=False), (3, 4)),
    LayerCase(
        "attention-rows",
        lambda: L.MultiHeadAttention(
            4, causal=True, key_value_heads=2, rotary=True, key_value_bias=True, zero_key_value=True
        ),
        (18, 8),
        samples=2,
        scale=0.4,
    ),
    LayerCase(
        "attention-rows-of-another",
        lambda: L.MultiHeadAttention(
            2, key_value_bias=True, zero_key_value=True, seen="given", sources=((3, 4), (2, 5), (3, 2))
        ),
        (12 + 10 + 6,),
        scale=0.4,
    ),
    LayerCase("attention-alibi", lambda: L.MultiHeadAttention(3, relative_positions="alibi"), (5, 6)),
    LayerCase(
        "attention-buckets",
        lambda: L.MultiHeadAttention(2, relative_positions="t5", buckets=6, max_distance=9, causal=True),
        (17, 4),
        samples=2,
        scale=0.4,
    ),
    LayerCase(
        "attention-distances",
        lambda: L.MultiHeadAttention(
            4, relative_positions="learned", max_distance=2, key_value_heads=1, key_value_bias=True,
            sources=((4, 8), (5, 3)),
        ),
        (32 + 15,),
        scale=0.4,
    ),
    LayerCase(
        "attention-pixels",
        lambda: L.MultiHeadAttention(2, relative_positions="learned", grid=(2, 3)),
        (6, 4),
        samples=1,
        scale=0.4,
    ),
    LayerCase("positions", L.PositionalEncoding, (5, 6)),
    LayerCase("positions-odd", L.PositionalEncoding, (9, 7), samples=2),
    LayerCase("positions-single", L.PositionalEncoding, (1, 1), samples=1),
    LayerCase("positions-learned", L.LearnedPositions, (4, 3)),
    LayerCase("positions-learned-single", L.LearnedPositions, (3, 17), samples=1),
]


def _generator(case: LayerCase, purpose: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(f"{case.id}/{purpose}".encode()))


def inputs(case: LayerCase, samples: int | None = None) -> Array:
    """(N, *input_shape): per sample a shuffled, evenly spaced set of values in (-2, 2), away from 0.

    A case with a `spread` of its own has values in (-spread/2, spread/2), one with `ids` whole numbers.
    """
    size = int(np.prod(case.input_shape))
    rng = _generator(case, "inputs")
    count = case.samples if samples is None else samples
    if case.ids:
        return rng.integers(0, case.ids, (count, *case.input_shape)).astype(np.float64)
    values = [(rng.permutation(size) + 0.25) * (case.spread / size) - case.spread / 2 for _ in range(count)]
    return np.array(values).reshape(count, *case.input_shape)


def parameters(case: LayerCase) -> dict[str, Array]:
    """Random values for the layer's parameters, by name; positive ones where they are kept, not learned."""
    rng = _generator(case, "parameters")
    specs = case.make().parameters(case.input_shape)
    drawn = {name: case.scale * rng.standard_normal(spec.shape) for name, spec in specs.items()}
    return {name: value if specs[name].learned else np.abs(value) + 0.5 for name, value in drawn.items()}


def drawn(case: LayerCase, samples: int | None = None) -> dict[str, Array]:
    """What a training pass draws, samples last as the formulas want it."""
    count = case.samples if samples is None else samples
    return case.make().draw((*case.input_shape, count), lambda shape: random_bits(0, 0, case.id, shape))


def output_delta(case: LayerCase, samples: int | None = None) -> Array:
    """(N, *output_shape): a random ∂J/∂(output)."""
    count = case.samples if samples is None else samples
    return _generator(case, "delta").standard_normal((count, *case.make().output_shape(case.input_shape)))


def to_formula(face: Array) -> Array:
    """Samples first (the face) -> samples last (the formulas)."""
    return np.moveaxis(face, 0, -1)


def to_face(formula: Array) -> Array:
    """Samples last (the formulas) -> samples first (the face)."""
    return np.moveaxis(formula, -1, 0)
