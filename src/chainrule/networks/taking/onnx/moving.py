"""Pixels that move along axes: frames, slices, other sizes; and sums over axes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule.formulas.primitives.axes import Taps
from chainrule.formulas.primitives.edges import source
from chainrule.networks.taking.onnx.reading import Attributes, Known, Reading, constant_of, refuse, value_of
from chainrule.networks.taking.resizing import COORDINATES, REACH, Resizing
from chainrule.networks.taking.values import Value

PADDINGS = {"constant": "zeros", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}


def _of_positions(r: Reading, value: Value, of_axes: Mapping[int, Any], none: Any) -> list[Any] | None:
    """What is told of positions, from what is told of a sample's axes; None where it is of others."""
    count = len(value.theirs)
    if value.ones or value.columns is not None or count not in (2, 3, 4) or not r.lead:
        return None
    r.building.suppose(value, of_axes.get(0, none) == none)
    places = range(1, count) if value.layout.first else range(count - 1)
    if any(told != none for axis, told in of_axes.items() if axis not in places):
        return None
    return [of_axes.get(axis, none) for axis in places]


def along_axes(r: Reading, name: str, value: Value, of_axes: Mapping[int, Taps]) -> Value:
    """Sums along several axes."""
    for axis, taps in sorted(of_axes.items()):
        value = r.building.along(f"{name}_{axis}" if len(of_axes) > 1 else name, value, axis, taps)
    return value


def _pad(
    r: Reading, name: str, at: Attributes, x: Known, pads: Known = None, value: Known = None,
    axes: Known = None,
) -> Value:  # fmt: skip
    held, mode = value_of(name, x), at.get("mode", "constant")
    given = at["pads"] if pads is None else constant_of(name, pads, "pads").tolist()
    number = at.get("value", 0.0) if value is None else float(constant_of(name, value, "value").ravel()[0])
    if mode not in PADDINGS:
        raise refuse(name, f"mode={mode!r}")
    half = len(given) // 2
    told = range(half) if axes is None else constant_of(name, axes, "axes").tolist()
    sides = zip(given[:half], given[half:], strict=True)
    by_axis = {r.place(name, held, axis): side for axis, side in zip(told, sides, strict=True) if any(side)}
    if number and mode == "constant":
        return r.building.framed(name, held, by_axis, number)
    wanted = _of_positions(r, held, by_axis, (0, 0))
    if wanted is None or (mode != "constant" and min(map(min, wanted), default=0) < 0):
        return along_axes(r, name, held, _pad_taps(held, by_axis, PADDINGS[mode]))
    return r.building.pad(name, held, wanted, PADDINGS[mode]) if by_axis else held


def _pad_taps(held: Value, by_axis: Mapping[int, tuple[int, int]], mode: str) -> dict[int, Taps]:
    made: dict[int, Taps] = {}
    for axis, (before, after) in by_axis.items():
        size = held.theirs[axis]
        places = range(-before, size + after)
        inside = [0 <= place < size for place in places]
        where = list(places) if mode == "zeros" else [int(source(place, size, mode)) for place in places]
        there = [mode != "zeros" or held_ for held_ in inside]
        made[axis] = tuple(
            ((place, 1.0),) if is_there else () for place, is_there in zip(where, there, strict=True)
        )
    return made


def _slice(
    r: Reading, name: str, at: Attributes, x: Known, starts: Known = None, ends: Known = None,
    axes: Known = None, steps: Known = None,
) -> Value:  # fmt: skip
    held = value_of(name, x)
    first, last = (
        at[word] if given is None else constant_of(name, given, word).tolist()
        for word, given in (("starts", starts), ("ends", ends))
    )
    told = at.get("axes", range(len(first))) if axes is None else constant_of(name, axes, "axes").tolist()
    by = [1] * len(first) if steps is None else constant_of(name, steps, "steps").tolist()
    sides, taps = {}, {}
    for axis, start, end, step in zip(told, first, last, by, strict=True):
        rank = len(held.theirs) + r.lead
        if axis % rank < r.lead and (start, step) == (0, 1) and end >= 2**31 - 1:
            continue  # all of the samples
        place = r.place(name, held, axis)
        size = held.theirs[place]
        kept = range(*slice(start, end, step).indices(size))
        if not kept:
            raise refuse(name, "a slice of nothing")
        taps[place] = tuple(((i, 1.0),) for i in kept)
        sides[place] = (-kept[0], kept[-1] + 1 - size)
    wanted = _of_positions(r, held, sides, (0, 0)) if set(by) == {1} else None
    if wanted is None or not any(map(any, wanted)):
        return along_axes(r, name, held, taps)
    return r.building.pad(name, held, wanted, "zeros")


def _split(r: Reading, name: str, at: Attributes, x: Known, sizes: Known = None) -> tuple[Value, ...]:
    held = value_of(name, x)
    axis, count = r.place(name, held, at.get("axis", 0)), len(r.node.output)
    whole, told = held.theirs[axis], at.get("split") if sizes is None else constant_of(name, sizes, "sizes")
    if told is None:
        each = -(-whole // count)
        told = [min(each, whole - each * number) for number in range(count)]
    return r.building.split(name, held, axis, [int(size) for size in told])


def _resize(
    r: Reading, name: str, at: Attributes, x: Known, roi: Known = None, scales: Known = None,
    sizes: Known = None,
) -> Value:  # fmt: skip
    held = value_of(name, x)
    how = Resizing(
        at.get("mode", "nearest"),
        at.get("coordinate_transformation_mode", "half_pixel"),
        at.get("nearest_mode", "round_prefer_floor"),
        at.get("cubic_coeff_a", -0.75),
        bool(at.get("exclude_outside", 0)),
        bool(at.get("antialias", 0)),
    )
    if r.node.op_type == "Upsample" or (r.opset < 11 and r.node.op_type == "Resize"):
        given = roi if "scales" not in at else np.asarray(at["scales"])
        roi, scales = None, given
        how = replace(how, mode=how.mode, coordinates="asymmetric", nearest="floor")
    if how.mode not in ("nearest", *REACH) or how.coordinates not in COORDINATES:
        raise refuse(name, f"mode={how.mode!r} with {how.coordinates}")
    rank = len(held.theirs) + r.lead
    told = [axis % rank for axis in at.get("axes", range(rank))]
    factors, made = _new_sizes(r, name, at, held, told, scales, sizes)
    whole = {
        r.place(name, held, axis): factor
        for axis, factor in factors.items()
        if factor != 1.0 or axis >= r.lead
    }
    grows = {axis: int(factor) for axis, factor in whole.items() if factor >= 1 and factor == int(factor)}
    wanted = _of_positions(r, held, grows, 1) if len(grows) == len(whole) else None
    if wanted is not None and _as_upsample(how):
        between = how.mode == "linear"
        return r.building.upsample(name, held, wanted, between) if set(wanted) != {1} else held
    if roi is not None and how.coordinates == "tf_crop_and_resize":
        region = constant_of(name, roi, "roi").astype(float).tolist()
        regions = dict(zip(told, zip(region[: len(told)], region[len(told) :], strict=True), strict=True))
    else:
        regions = dict.fromkeys(told, (0.0, 1.0))
    taps = {}
    for axis, factor in factors.items():
        if axis >= r.lead:
            place = axis - r.lead
            one = replace(how, region=regions[axis])
            taps[place] = one.taps(held.theirs[place], made[axis], factor)
    done = along_axes(r, name, held, taps)
    beyond = float(at.get("extrapolation_value", 0.0))
    if how.coordinates != "tf_crop_and_resize" or not beyond:
        return done
    inside = np.ones(done.theirs, bool)
    for axis, of_axis in taps.items():
        there = np.array([bool(row) for row in of_axis])
        inside &= np.expand_dims(there, [other for other in range(inside.ndim) if other != axis])
    return r.building.plus(f"{name}_beyond", done, np.where(inside, 0.0, beyond))


def _as_upsample(how: Resizing) -> bool:
    """Whether UpSample2D computes it, images being a whole number of times as large."""
    half = how.coordinates.endswith(("half_pixel", "half_pixel_symmetric"))
    if how.antialias or how.exclude_outside:
        return False
    if how.mode == "linear":
        return half
    right = (how.coordinates, how.nearest) == ("asymmetric", "floor")
    return how.mode == "nearest" and (right or (half and how.nearest.startswith("round")))


def _new_sizes(
    r: Reading, name: str, at: Attributes, held: Value, told: Sequence[int], scales: Known, sizes: Known
) -> tuple[dict[int, float], dict[int, int]]:
    """(how many times larger, how large) of every axis of the model that is told; that of samples stays."""
    old = {axis: held.theirs[axis - r.lead] if axis >= r.lead else 1 for axis in told}
    if scales is not None and np.size(constant_of(name, scales, "scales")):
        factors = dict(zip(told, constant_of(name, scales, "scales").astype(float).tolist(), strict=True))
        return factors, {axis: math.floor(factors[axis] * old[axis]) for axis in told}
    made = dict(zip(told, constant_of(name, sizes, "sizes").tolist(), strict=True))
    if r.lead and 0 in made:
        made[0] = 1
    factors = {axis: made[axis] / old[axis] for axis in told}
    policy = at.get("keep_aspect_ratio_policy", "stretch")
    if policy != "stretch":
        given = [factor for axis, factor in factors.items() if axis >= r.lead]
        one = min(given) if policy == "not_larger" else max(given)
        factors = {axis: one if axis >= r.lead else 1.0 for axis in told}
        made = {axis: math.floor(factors[axis] * old[axis] + 0.5) for axis in told}
    return factors, made


def _depth_to_space(r: Reading, name: str, at: Attributes, x: Known) -> Value:
    value, block = value_of(name, x), at["blocksize"]
    if at.get("mode", "DCR") == "CRD" and r.lead:
        return r.building.shuffle(name, value, block)
    *front, channels, height, width = value.theirs
    kept = channels // block**2
    crd = at.get("mode", "DCR") == "CRD"
    cut = (kept, block, block) if crd else (block, block, kept)
    parts = r.building.reshaped(f"{name}_blocks", value, (*front, *cut, height, width))
    order = (0, 3, 1, 4, 2) if crd else (2, 3, 0, 4, 1)
    turned = r.building.permuted(name, parts, [*range(len(front)), *(axis + len(front) for axis in order)])
    return r.building.reshaped(f"{name}_image", turned, (*front, kept, height * block, width * block))


def _reduced_to(kind: str) -> Callable[..., Value]:
    return lambda r, name, at, x, axes=None: _reduced(r, name, at, x, axes, kind)


def _reduced(r: Reading, name: str, at: Attributes, x: Known, axes: Known, kind: str) -> Value:
    """The "sum", the "average" or the "max" over axes."""
    value = value_of(name, x)
    given = at.get("axes") if axes is None else constant_of(name, axes, "axes").tolist()
    count, keep = len(value.theirs), bool(at.get("keepdims", 1))
    if not given and at.get("noop_with_empty_axes", 0):
        return value
    places = r.places(name, value, given or None)
    sizes = value.theirs
    if kind == "sum":
        taps = {axis: (tuple((i, 1.0) for i in range(sizes[axis])),) for axis in places}
        return _without(r, name, along_axes(r, name, value, taps), places, keep)
    if count > 1 and places == [*range(1, count)] and value.layout.first is not False and not value.ones:
        return r.building.global_pool(name, value, kind, keep)
    steps = count == 2 and places == [0] and value.layout.first is not True and not value.ones
    if steps and (kind == "max" or not keep):
        turned = r.building.transpose(name, value, (0, 2, 1))
        made = r.building.global_pool(name, turned, kind, keep=False)
        return r.building.reshaped(f"{name}_axes", made, (1, sizes[1])) if keep else made
    if kind == "max":  # those axes as the steps of one sequence
        rest = [axis for axis in range(count) if axis not in places]
        rows = math.prod(sizes[axis] for axis in places), math.prod(sizes[axis] for axis in rest)
        turned = r.building.reshaped(
            f"{name}_rows", r.building.permuted(f"{name}_order", value, [*places, *rest]), rows
        )
        made = r.building.global_pool(name, r.building.transpose(name, turned, (0, 2, 1)), kind, keep=False)
        kept = tuple(1 if axis in places else size for axis, size in enumerate(sizes))
        return _without(r, name, r.building.reshaped(f"{name}_kept", made, kept), places, keep)
    taps = {axis: (tuple((i, 1 / sizes[axis]) for i in range(sizes[axis])),) for axis in places}
    return _without(r, name, along_axes(r, name, value, taps), places, keep)


def _without(r: Reading, name: str, made: Value, places: Sequence[int], keep: bool) -> Value:
    """A value whose axes at these places are 1, with them or not."""
    if keep:
        return made
    kept = tuple(size for axis, size in enumerate(made.theirs) if axis not in places)
    return r.building.reshaped(f"{name}_axes", made, kept)


NODES: dict[str, Callable[..., Any]] = {
    "Pad": _pad,
    "Split": _split,
    "Slice": _slice,
    **dict.fromkeys(("Resize", "Upsample"), _resize),
    "DepthToSpace": _depth_to_space,
    "ReduceMean": _reduced_to("average"),
    "ReduceMax": _reduced_to("max"),
    "ReduceSum": _reduced_to("sum"),
}
