"""A sample's axes cut anew, turned, put in and left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.networks.taking.torch.reading import Reading, axis_of
from chainrule.networks.taking.values import Flags, Value


def _told(sizes: Sequence[Any]) -> Sequence[Any]:
    """Sizes, one by one or as one tuple."""
    return sizes[0] if len(sizes) == 1 and isinstance(sizes[0], tuple | list) else sizes


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
    sizes = _told(shape)
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
    given = _told(dims)
    perm = [d % (len(x.theirs) + 1) for d in given]
    if perm[0]:
        raise ArgumentError(f"{name}: the samples stay the first axis, received the order {tuple(given)}")
    return r.building.transpose(name, x, perm)


def _swap(r: Reading, name: str, x: Value, a: int, b: int) -> Value:
    perm = [*range(len(x.theirs) + 1)]
    perm[a], perm[b] = perm[b], perm[a]
    return _permute(r, name, x, perm)


def squeeze(r: Reading, name: str, x: Value, dim: int | None = None) -> Value:
    """An axis of length 1 left out, by default all of a sample's."""
    if dim is None:
        kept = tuple(size for size in x.theirs if size != 1)
        return r.building.flatten(name, x) if len(kept) == 1 else r.building.reshaped(name, x, kept)
    axis = axis_of(name, x, dim)
    if x.theirs[axis] != 1:
        return x
    return r.building.reshaped(name, x, (*x.theirs[:axis], *x.theirs[axis + 1 :]))


def unsqueeze(r: Reading, name: str, x: Any, dim: int) -> Any:
    """An axis of one entry; behind a comparison of ids it stays one."""
    if isinstance(x, Flags):
        if dim not in (-1, len(x.of.theirs) + x.axes + 1):
            raise ArgumentError(f"{name}: a comparison of ids is taken with an axis behind, unsqueeze(-1)")
        return replace(x, axes=x.axes + 1)
    place = dim % (len(x.theirs) + 2) - 1
    if place < 0:
        raise ArgumentError(f"{name}: unsqueeze({dim}) stands in front of the samples")
    return r.building.reshaped(name, x, (*x.theirs[:place], 1, *x.theirs[place:]))


class Samples(int):
    """How many samples there are, -1: not known, and nothing to calculate with."""


def _size(r: Reading, name: str, x: Value, dim: Any = None) -> Any:
    sizes = (Samples(-1), *x.theirs)
    return sizes if dim is None else sizes[dim]


def _attribute(r: Reading, name: str, x: Any, what: str) -> Any:
    if what == "shape":
        return _size(r, name, x)
    if what == "values" and isinstance(x, tuple):
        return x[0]
    if what in ("device", "dtype"):
        return None
    raise ArgumentError(f"{name}: the attribute {what!r} of a value is not taken")


def _plain_sizes(sizes: Any) -> tuple[int, ...]:
    """Sizes of a constant; that of the samples, -1, is 1."""
    return tuple(abs(int(size)) for size in _told(sizes))


def _stack(r: Reading, name: str, tensors: Sequence[Value], dim: int = 0) -> Value:
    """One beside the other along a new axis."""
    parts = [unsqueeze(r, f"{name}_{n}", value, dim) for n, value in enumerate(tensors)]
    return r.building.join(name, parts, "concat", dim % (len(tensors[0].theirs) + 2) - 1)


def _repeat(r: Reading, name: str, x: Value, *times: Any) -> Value:
    told = _told(times)
    if len(told) != len(x.theirs) + 1 or told[0] != 1:
        raise ArgumentError(f"{name}: repeat is taken of a sample's axes, repeat(1, ...), received {told}")
    for axis, count in enumerate(told[1:]):
        taps = tuple(((place, 1.0),) for place in range(x.theirs[axis])) * int(count)
        x = r.building.along(f"{name}_{axis}", x, axis, taps)
    return x


def _expand(r: Reading, name: str, x: Value, *sizes: Any) -> Value:
    told = _told(sizes)
    if len(told) != len(x.theirs) + 1:
        raise ArgumentError(f"{name}: expand is taken with as many axes as there are, received {told}")
    for axis, size in enumerate(told[1:]):
        if size not in (-1, x.theirs[axis]):
            x = r.building.along(f"{name}_{axis}", x, axis, (((0, 1.0),),) * int(size))
    return x


MODULES: dict[str, Callable[..., Any]] = {
    "Flatten": _flatten,
    "Unflatten": lambda r, name, m, x: _unflatten(r, name, x, m.dim, m.unflattened_size),
}


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "flatten": _flat,
    **dict.fromkeys(("view", "reshape"), _view),
    "unflatten": _unflatten,
    "unsqueeze": unsqueeze,
    "permute": _permute,
    **dict.fromkeys(("transpose", "swapaxes"), _swap),
    "size": _size,
    "getattr": _attribute,
    "stack": _stack,
    "repeat": _repeat,
    "expand": _expand,
    "zeros": lambda r, name, *sizes, **_: np.zeros(_plain_sizes(sizes)),
    "ones": lambda r, name, *sizes, **_: np.ones(_plain_sizes(sizes)),
    "arange": lambda r, name, *ends, **_: np.arange(*ends),
    "contiguous": lambda r, name, x: x,
}
