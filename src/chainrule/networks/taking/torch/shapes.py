"""A sample's axes cut anew, turned, put in and left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.networks.taking.torch.reading import Reading, axis_of
from chainrule.networks.taking.values import Value


def _flatten(r: Reading, name: str, m: Any, x: Value) -> Value:
    return _flat(r, name, x, m.start_dim, m.end_dim)


def _flat(r: Reading, name: str, x: Value, start_dim: int = 0, end_dim: int = -1) -> Value:
    rank = len(x.theirs) + 1
    start, end = start_dim % rank, end_dim % rank
    if start == 1 and end == rank - 1:
        return r.building.flatten(name, x)
    if start < 1:
        raise ArgumentError(
            f"{name}: flatten(start_dim={start_dim}) puts samples together; write start_dim=1"
        )
    sizes = x.theirs
    return r.building.reshaped(
        name, x, (*sizes[: start - 1], int(np.prod(sizes[start - 1 : end])), *sizes[end:])
    )


def _view(r: Reading, name: str, x: Value, *shape: Any) -> Value:
    sizes = shape[0] if len(shape) == 1 and isinstance(shape[0], tuple | list) else shape
    whole, rest = int(np.prod(x.theirs)), [int(size) for size in sizes[1:]]
    if len(rest) == 1 and rest[0] in (-1, whole):
        return r.building.flatten(name, x)
    known = int(np.prod([size for size in rest if size != -1]))
    fits = rest and rest.count(-1) <= 1 and (whole % known == 0 if -1 in rest else known == whole)
    if not fits:  # of two -1 the first is x.size(0)
        raise ArgumentError(
            f"{name}: view and reshape are taken with the samples first, x.view(x.size(0), ...), received "
            f"{sizes}"
        )
    return r.building.reshaped(name, x, tuple(whole // known if size == -1 else size for size in rest))


def _unflatten(r: Reading, name: str, x: Value, dim: int, sizes: Any) -> Value:
    axis = axis_of(name, x, dim)
    given = [int(size) for size in sizes]
    known = int(np.prod([size for size in given if size != -1]))
    made = [x.theirs[axis] // known if size == -1 else size for size in given]
    return r.building.reshaped(name, x, (*x.theirs[:axis], *made, *x.theirs[axis + 1 :]))


def _permute(r: Reading, name: str, x: Value, *dims: Any) -> Value:
    perm = dims[0] if len(dims) == 1 else dims
    return r.building.transpose(name, x, [d % (len(x.theirs) + 1) for d in perm])


def _swap(r: Reading, name: str, x: Value, a: int, b: int) -> Value:
    perm = [*range(len(x.theirs) + 1)]
    perm[a], perm[b] = perm[b], perm[a]
    return r.building.transpose(name, x, perm)


def _squeeze(r: Reading, name: str, x: Value, dim: int) -> Value:
    axis = axis_of(name, x, dim)
    if x.theirs[axis] != 1:
        return x
    return r.building.reshaped(name, x, (*x.theirs[:axis], *x.theirs[axis + 1 :]))


def _unsqueeze(r: Reading, name: str, x: Value, dim: int) -> Value:
    place = dim % (len(x.theirs) + 2) - 1
    if place < 0:
        raise ArgumentError(f"{name}: unsqueeze({dim}) stands in front of the samples")
    return r.building.reshaped(name, x, (*x.theirs[:place], 1, *x.theirs[place:]))


def _size(r: Reading, name: str, x: Value, dim: Any = None) -> Any:
    sizes = (-1, *x.theirs)  # the samples: not known
    return sizes if dim is None else sizes[dim]


MODULES: dict[str, Callable[..., Any]] = {
    "Flatten": _flatten,
    "Unflatten": lambda r, name, m, x: _unflatten(r, name, x, m.dim, m.unflattened_size),
}


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "flatten": _flat,
    **dict.fromkeys(("view", "reshape"), _view),
    "unflatten": _unflatten,
    "squeeze": lambda r, name, x, dim: _squeeze(r, name, x, dim),
    "unsqueeze": lambda r, name, x, dim: _unsqueeze(r, name, x, dim),
    "permute": _permute,
    **dict.fromkeys(("transpose", "swapaxes"), _swap),
    "size": _size,
    "getattr": lambda r, name, x, what: _size(r, name, x) if what == "shape" else None,
    "contiguous": lambda r, name, x: x,
}
