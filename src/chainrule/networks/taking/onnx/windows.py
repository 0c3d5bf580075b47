"""Convolutions and poolings."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.networks.taking.onnx.reading import (
    Attributes,
    Known,
    Reading,
    constant_of,
    only_with,
    refuse,
    value_of,
)
from chainrule.networks.taking.values import Places, Value


def _window(
    value: Value, at: Attributes, kernel: Sequence[int]
) -> tuple[list[int], list[tuple[int, int]] | str, list[int]]:
    """(strides, pads, dilations) of every axis."""
    axes = len(kernel)
    strides, dilations = at.get("strides", [1] * axes), at.get("dilations", [1] * axes)
    auto = at.get("auto_pad", "NOTSET")
    if auto == "SAME_UPPER":
        return strides, "same", dilations
    if auto == "SAME_LOWER":  # as many, an odd one in front
        told = zip(value.theirs[1:], kernel, strides, dilations, strict=True)
        totals = [max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0) for n, k, s, d in told]
        return strides, [(total - total // 2, total // 2) for total in totals], dilations
    pads = at.get("pads", [0] * 2 * axes) if auto == "NOTSET" else [0] * 2 * axes
    return strides, list(zip(pads[:axes], pads[axes:], strict=True)), dilations


def _conv(r: Reading, name: str, at: Attributes, x: Known, W: Known, b: Known = None) -> Value:
    kernel = constant_of(name, W, "kernel")
    strides, pads, dilations = _window(value_of(name, x), at, kernel.shape[2:])
    bias = None if b is None else constant_of(name, b, "bias")
    options: dict[str, Any] = {
        "stride": strides,
        "pads": pads,
        "dilation": dilations,
        "groups": at.get("group", 1),
    }
    return r.building.convolution(name, value_of(name, x), kernel, bias, **options)


def _conv_transposed(r: Reading, name: str, at: Attributes, x: Known, W: Known, b: Known = None) -> Value:
    kernel = constant_of(name, W, "kernel")
    value = value_of(name, x)
    strides, pads, dilations = _window(value, at, kernel.shape[2:])
    bias = None if b is None else constant_of(name, b, "bias")
    more = at.get("output_padding", [0] * len(strides))
    auto = at.get("auto_pad", "NOTSET")
    if "output_shape" in at or auto.startswith("SAME"):
        told = zip(value.theirs[1:], kernel.shape[2:], strides, dilations, strict=True)
        whole = [s * (n - 1) + (k - 1) * d + 1 for n, k, s, d in told]
        sizes = at.get("output_shape", [n * s for n, s in zip(value.theirs[1:], strides, strict=True)])
        totals = [w + o - n for w, o, n in zip(whole, more, sizes[-len(whole) :], strict=True)]
        more = [o - min(total, 0) for o, total in zip(more, totals, strict=True)]
        halves = [(max(total, 0) // 2, max(total, 0) - max(total, 0) // 2) for total in totals]
        pads = halves if auto == "SAME_UPPER" else [(after, before) for before, after in halves]
    options: dict[str, Any] = {
        "stride": strides,
        "pads": pads,
        "dilation": dilations,
        "groups": at.get("group", 1),
    }
    return r.building.transposed_convolution(
        name, value_of(name, x), kernel, bias, output_padding=more, **options
    )


def _pool(kind: str) -> Callable[..., Value]:
    def read(r: Reading, name: str, at: Attributes, x: Known) -> Any:
        kernel, value = at["kernel_shape"], value_of(name, x)
        if len(value.theirs) != len(kernel) + 1:
            raise refuse(name, f"kernel_shape={list(kernel)} of samples of {value.theirs}")
        strides, pads, dilations = _window(value, at, kernel)
        if r.wanted(1):
            only_with(name, at, storage_order=0)
        options: dict[str, Any] = {
            "ceil_mode": bool(at.get("ceil_mode", 0)),
            "count_padding": bool(at.get("count_include_pad", 0)),
            "norm": float(at.get("p", 2)) if kind == "l2" else 2.0,
        }
        made = r.building.pool(name, value, kind, kernel, strides, pads, dilation=dilations, **options)
        return (made, Places(value)) if r.wanted(1) else made

    return read


def _unpool(
    r: Reading, name: str, at: Attributes, x: Known, places: Any, output_shape: Known = None
) -> Value:
    """The places of a max pool, or constant ones, counted in all that is put out."""
    value, kernel = value_of(name, x), at["kernel_shape"]
    strides, pads, _ = _window(value, at, kernel)
    axes = len(kernel)
    if isinstance(pads, str):
        raise refuse(name, "an unpooling with auto_pad")
    told = zip(value.theirs[-axes:], strides, kernel, pads, strict=True)
    size = tuple(int((n - 1) * s + k - sum(p)) for n, s, k, p in told)
    wanted = size
    if output_shape is not None:
        wanted = tuple(constant_of(name, output_shape, "output_shape").tolist()[-axes:])
    front = value.theirs[:-axes]
    if isinstance(places, Places):
        if places.pooled.theirs != (*front, *wanted):
            raise refuse(name, f"an unpooling to {wanted} of what was {places.pooled.theirs[1:]}")
        return r.building.unpool(name, value, places, kernel, strides, pads)
    made = (*front, *size)
    taps: list[list[tuple[int, float]]] = [[] for _ in range(math.prod(made))]
    for number, place in enumerate(np.ravel(constant_of(name, places, "places")).tolist()):
        if number >= math.prod(value.theirs) or not 0 <= place < len(taps):
            raise refuse(name, "an unpooling to places that differ between samples")
        taps[place] = [(number, 1.0)]
    row = r.building.reshaped(f"{name}_row", value, (math.prod(value.theirs),))
    put = r.building.along(name, row, 0, tuple(map(tuple, taps)))
    put = r.building.reshaped(f"{name}_axes", put, made)
    for axis, (there, more) in enumerate(zip(size, wanted, strict=True), len(front)):
        rows = tuple(((n, 1.0),) if n < there else () for n in range(more))
        put = r.building.along(f"{name}_{axis}", put, axis, rows)
    return put


def _global_pool(kind: str) -> Callable[..., Value]:
    return lambda r, name, at, x: r.building.global_pool(name, value_of(name, x), kind, keep=True)


NODES: dict[str, Callable[..., Any]] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transposed,
    "MaxPool": _pool("max"),
    "MaxUnpool": _unpool,
    "AveragePool": _pool("average"),
    "LpPool": _pool("l2"),
    "GlobalAveragePool": _global_pool("average"),
    "GlobalMaxPool": _global_pool("max"),
}
