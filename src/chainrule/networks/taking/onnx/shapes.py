"""A sample's axes cut anew, turned, put in and left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.networks.taking.onnx.reading import (
    SAMPLES,
    Attributes,
    BesideDirections,
    Known,
    Reading,
    Recurred,
    StepsFirst,
    constant_of,
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
    if isinstance(x, BesideDirections) and len(sizes) == 3 and sizes[2] in (-1, x.held.theirs[-1]):
        return StepsFirst(x.held)
    whole, zero = int(np.prod(value.theirs)), not at.get("allowzero", 0)
    rest = [
        value.theirs[axis - r.lead] if size == 0 and zero and axis >= r.lead else size
        for axis, size in enumerate(sizes)
    ][r.lead :]
    known = int(np.prod([size for size in rest if size != -1]))
    fits = whole % known == 0 if -1 in rest and known else known == whole
    if (
        not fits
        or (-1 in rest and r.lead and sizes[:1] not in ([0], [1], [-1], [SAMPLES]))
        or (r.lead and not sizes)
    ):
        raise refuse(name, f"the shape {sizes} of samples of {value.theirs}")
    made = tuple(whole // known if size == -1 else size for size in rest)
    if len(made) == 1 and r.lead:
        return r.building.flatten(name, value)
    return r.building.reshaped(name, value, made)


def squeeze(r: Reading, name: str, at: Attributes, x: Known, axes: Known = None) -> Value:
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


def _unsqueeze(r: Reading, name: str, at: Attributes, x: Known, axes: Known = None) -> Value:
    value = value_of(name, x)
    given = at["axes"] if axes is None else constant_of(name, axes, "axes").tolist()
    rank = len(value.theirs) + r.lead + len(given)
    places = sorted(axis % rank - r.lead for axis in given)
    if list(given) == [0] and r.lead and len(value.theirs) == 1:
        return Recurred(value, 0)  # a recurrence's first state
    if places[0] < 0:
        raise refuse(name, f"the axes {given}")
    sizes = list(value.theirs)
    for place in places:
        sizes.insert(place, 1)
    return r.building.reshaped(name, value, tuple(sizes))


def _transpose(r: Reading, name: str, at: Attributes, x: Known) -> Any:
    value = x
    if isinstance(value, StepsFirst):
        return value.turned(r, name, at.get("perm", (2, 1, 0)))
    value = value_of(name, value)
    perm = at.get("perm", [*range(len(value.theirs) + r.lead)][::-1])
    if not r.lead:
        return r.building.permuted(name, value, perm)
    if list(perm) == [1, 0, 2] and len(value.theirs) == 2:
        return StepsFirst(value)
    if perm[0]:
        raise refuse(name, f"perm={list(perm)}, which moves the samples,")
    return r.building.transpose(name, value, perm)


NODES: dict[str, Callable[..., Any]] = {
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Unsqueeze": _unsqueeze,
    "Transpose": _transpose,
    "Identity": lambda r, name, at, x: x,
    "Cast": lambda r, name, at, x: x,
}
