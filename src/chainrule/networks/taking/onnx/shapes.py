"""A sample's axes cut anew, turned, put in and left out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.networks.taking.onnx.reading import (
    Attributes,
    Known,
    Reading,
    SamplesAt,
    behind,
    constant_of,
    opened,
    refuse,
    value_of,
)
from chainrule.networks.taking.values import Value


def _flatten(r: Reading, name: str, at: Attributes, x: Known) -> Value:
    value, axis = value_of(name, x), at.get("axis", 1)
    rank = len(value.theirs) + r.lead
    axis = axis + rank if axis < 0 else axis
    if r.lead and axis == 1:
        return r.building.flatten(name, value)
    if r.lead:
        raise refuse(name, f"axis={at['axis']}, which puts samples together,")
    sizes = int(np.prod(value.theirs[:axis])), int(np.prod(value.theirs[axis:]))
    return r.building.reshaped(name, value, sizes)


def _reshape(r: Reading, name: str, at: Attributes, x: Known, shape: Known = None) -> Value:
    value = value_of(name, x)
    sizes = [*at["shape"]] if shape is None else constant_of(name, shape, "shape").tolist()
    if isinstance(x, SamplesAt):
        return _reshape_behind(r, name, x, sizes, zero=not at.get("allowzero", 0))
    whole, zero = int(np.prod(value.theirs)), not at.get("allowzero", 0)
    rest = [
        value.theirs[axis - r.lead] if size == 0 and zero and axis >= r.lead else size
        for axis, size in enumerate(sizes)
    ][r.lead :]
    known = int(np.prod([size for size in rest if size != -1]))
    fits = whole % known == 0 if -1 in rest and known else known == whole
    if (
        not fits
        or (-1 in rest and r.lead and sizes[:1] not in ([0], [1], [-1], [r.samples]))
        or (r.lead and not sizes)
    ):
        raise refuse(name, f"the shape {sizes} of samples of {value.theirs}")
    made = tuple(whole // known if size == -1 else size for size in rest)
    if len(made) == 1 and r.lead:
        return r.building.flatten(name, value)
    return r.building.reshaped(name, value, made)


def _reshape_behind(r: Reading, name: str, x: SamplesAt, sizes: Sequence[int], zero: bool) -> Value:
    """Samples stay samples where what stands in front of them stays in front."""
    old = [*x.held.theirs[: x.at], r.samples, *x.held.theirs[x.at :]]
    told = [old[axis] if size == 0 and zero and axis < len(old) else size for axis, size in enumerate(sizes)]
    whole, front = math.prod(x.held.theirs), math.prod(x.held.theirs[: x.at])
    for at, size in enumerate(told):
        rest = [*told[:at], *told[at + 1 :]]
        known = math.prod(other for other in rest if other != -1)
        if size not in (r.samples, -1) or not known:
            continue
        made = tuple(whole // known if other == -1 else other for other in rest)
        if math.prod(made) == whole and math.prod(made[:at]) == front:
            return behind(r.building.reshaped(name, x.held, made), at)
    raise refuse(name, f"the shape {[*sizes]} of samples of {x.held.theirs} on axis {x.at}")


def _squeeze(r: Reading, name: str, at: Attributes, x: Known, axes: Known = None) -> Value:
    value = value_of(name, x)
    given = at.get("axes") if axes is None else constant_of(name, axes, "axes").tolist()
    if given is None:
        places = [axis for axis, size in enumerate(value.theirs) if size == 1]
    else:
        places = r.places(name, value, given)
    if value.ones and places == [*range(len(value.theirs) - value.ones, len(value.theirs))]:
        return r.building.flatten(name, value)
    if any(value.theirs[axis] != 1 for axis in places):
        raise refuse(name, f"the axes {given}")
    return r.building.reshaped(
        name, value, tuple(size for axis, size in enumerate(value.theirs) if axis not in places)
    )


def samples_behind(made: Sequence[int], at: int) -> int:
    """Which axis the samples are on once there are new ones, which are told as they are then."""
    for axis in made:
        at += axis <= at
    return at


def _unsqueeze(r: Reading, name: str, at: Attributes, x: Known, axes: Known = None) -> Value:
    value = value_of(name, x)
    given = at["axes"] if axes is None else constant_of(name, axes, "axes").tolist()
    rank = len(value.theirs) + r.lead + len(given)
    made = sorted(axis % rank for axis in given)
    samples = samples_behind(made, r.at)
    places = [axis - (r.lead if axis > samples else 0) for axis in made]
    sizes = list(value.theirs)
    for place in places:
        sizes.insert(place, 1)
    cut = r.building.reshaped(name, value, tuple(sizes))
    return behind(cut, samples) if r.lead and not r.at else cut


def _transpose(r: Reading, name: str, at: Attributes, x: Known) -> Any:
    held, samples = opened(x)
    value = value_of(name, held)
    perm = at.get("perm", [*range(len(value.theirs) + r.lead)][::-1])
    if not r.lead:
        return r.building.permuted(name, value, perm)
    if samples or perm[0]:
        order = [axis - (axis > samples) for axis in perm if axis != samples]
        return behind(r.building.permuted(name, value, order), list(perm).index(samples))
    return r.building.transpose(name, value, perm)


def _cast(r: Reading, name: str, at: Attributes, x: Known) -> Known:
    """A number of another type, where that is the same number: real ones are cut only where they are ids."""
    given, made = r.node.input[0], r.node.output[0]
    types = r.onnx.TensorProto
    readers = [node for node in r.graph.node if made in node.input]
    ids = bool(readers) and all(node.op_type == "Gather" and node.input[1] == made for node in readers)
    wide = at["to"] in (types.INT32, types.INT64, r.kind(given))
    if not r.whole(made) or (wide and (r.whole(given) or ids)):
        return x
    raise refuse(name, "a Cast to whole numbers, which cuts,")


NODES: dict[str, Callable[..., Any]] = {
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Transpose": _transpose,
    "Identity": lambda r, name, at, x: x,
    "Cast": _cast,
}
