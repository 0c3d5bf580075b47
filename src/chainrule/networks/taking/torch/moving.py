"""Frames around images, and other sizes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from chainrule.base.errors import ArgumentError
from chainrule.networks.taking.resizing import Resizing
from chainrule.networks.taking.torch.reading import Reading, along, axes_of, sizes_of
from chainrule.networks.taking.values import Value


def _padded(mode: str) -> Callable[..., Value]:
    """Modules, whose padding is (left, right, top, bottom)."""

    def read(r: Reading, name: str, m: Any, x: Value) -> Value:
        sides = _by_axis(sizes_of(m.padding, 2 * axes_of(m)))
        if getattr(m, "value", 0):
            if len(x.theirs) != len(sides) + 1:
                raise ArgumentError(
                    f"{name}: {type(m).__name__} is taken of a sample of {len(sides) + 1} axes, channels in "
                    f"front, received {x.theirs}"
                )
            return r.building.framed(name, r.building.read(name, x, True), dict(enumerate(sides, 1)), m.value)
        return r.building.pad(name, x, sides, mode)

    return read


def _by_axis(sizes: Sequence[int]) -> list[tuple[int, int]]:
    """(left, right, top, bottom) as ((top, bottom), (left, right))."""
    return list(zip(sizes[::2], sizes[1::2], strict=True))[::-1]


def _pad(
    r: Reading, name: str, x: Value, pad: Sequence[int], mode: str = "constant", value: Any = None
) -> Value:
    """F.pad of positions."""
    axes = len(x.theirs) - 1
    every = [*pad, *(0 for _ in range(2 * axes - len(pad)))]
    if any(every[2 * axes :]) or axes not in (1, 2, 3):
        raise ArgumentError(f"{name}: a padding of the axes of channels or samples has no layer in chainrule")
    x = r.building.read(name, x, True)
    if value:
        return r.building.framed(name, x, dict(enumerate(_by_axis(every), 1)), float(value))
    return r.building.pad(name, x, _by_axis(every), "zeros" if mode == "constant" else mode)


def _upsample(r: Reading, name: str, m: Any, x: Value) -> Value:
    return _interpolate(r, name, x, m.size, m.scale_factor, m.mode, m.align_corners)


def _interpolate(
    r: Reading, name: str, x: Value, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
    align_corners: bool | None = None, **options: Any,
) -> Value:  # fmt: skip
    if mode not in RESIZED or options.get("antialias"):
        raise ArgumentError(f"{name}: mode={mode!r} with {options} has no layer in chainrule")
    x = r.building.read(name, x, True)
    *positions, _ = x.ours
    if scale_factor is None:
        sizes = [int(n) for n in sizes_of(size, len(positions))]
        factors = [new / old for new, old in zip(sizes, positions, strict=True)]
    else:
        given = [float(factor) for factor in sizes_of(scale_factor, len(positions))]
        sizes = [int(old * factor) for old, factor in zip(positions, given, strict=True)]
        kept = options.get("recompute_scale_factor")
        factors = [n / old for n, old in zip(sizes, positions, strict=True)] if kept else given
    whole = all(factor >= 1 and factor == int(factor) for factor in factors)
    if whole and mode in ("nearest", "nearest-exact", *LINEAR) and not align_corners:
        return r.building.upsample(name, x, [int(factor) for factor in factors], "linear" in mode)
    kind, coordinates, rounds = RESIZED[mode]
    how = Resizing(kind, "align_corners" if align_corners else coordinates, rounds)
    for axis, (old, new, factor) in enumerate(zip(positions, sizes, factors, strict=True), 1):
        scale = new / old if align_corners else factor
        x = r.building.along(f"{name}_{axis}", x, axis, how.taps(old, new, scale))
    return x


LINEAR = ("linear", "bilinear", "trilinear")
# (mode, where a pixel lies, how it is rounded), as ONNX names them.
RESIZED = {
    "nearest": ("nearest", "asymmetric", "floor"),
    "nearest-exact": ("nearest", "half_pixel", "round_prefer_ceil"),
    **dict.fromkeys(LINEAR, ("linear", "half_pixel", "floor")),
    "bicubic": ("cubic", "half_pixel", "floor"),
}


MODULES: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(along("ZeroPad", "ConstantPad"), _padded("zeros")),
    **dict.fromkeys(along("ReflectionPad"), _padded("reflect")),
    **dict.fromkeys(along("ReplicationPad"), _padded("replicate")),
    **dict.fromkeys(along("CircularPad"), _padded("circular")),
    **dict.fromkeys(("Upsample", "UpsamplingNearest2d", "UpsamplingBilinear2d"), _upsample),
    "PixelShuffle": lambda r, name, m, x: r.building.shuffle(name, x, m.upscale_factor),
    "ChannelShuffle": lambda r, name, m, x: r.building.channel_shuffle(name, x, m.groups),
    "PixelUnshuffle": lambda r, name, m, x: r.building.unshuffle(name, x, m.downscale_factor),
}


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "channel_shuffle": lambda r, name, x, groups: r.building.channel_shuffle(name, x, groups),
    "pixel_unshuffle": lambda r, name, x, downscale_factor: r.building.unshuffle(name, x, downscale_factor),
    "pad": _pad,
    "interpolate": _interpolate,
    "pixel_shuffle": lambda r, name, x, upscale_factor: r.building.shuffle(name, x, upscale_factor),
}
