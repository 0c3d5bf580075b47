"""What a rule of JAX's calls, on NumPy's arrays: its numpy, functions of nn, loops, maps over an axis."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from chainrule.base.types import Array


class Updated(np.ndarray):
    """An array with JAX's x.at[i].add(v)."""

    @property
    def at(self) -> _At:
        return _At(self)


class _At:
    def __init__(self, array: Array) -> None:
        self.array = array

    def __getitem__(self, index: Any) -> _Entries:
        return _Entries(self.array, index)


class _Entries:
    def __init__(self, array: Array, index: Any) -> None:
        self.array, self.index = array, index

    def set(self, value: Any) -> Array:
        made = self.array.copy()
        made[self.index] = value
        return made

    def _by(self, operation: Any, value: Any) -> Array:
        made = self.array.copy()
        operation.at(made, self.index, value)
        return made

    def add(self, value: Any) -> Array:
        return self._by(np.add, value)

    def multiply(self, value: Any) -> Array:
        return self._by(np.multiply, value)


class _Library:
    """JAX by the same names: its numpy is NumPy, what else it has is its own."""

    def __init__(self, given: ModuleType) -> None:
        self._given = given

    def __getattr__(self, name: str) -> Any:
        if name == "numpy":
            return np
        if name in ("nn", "lax", "scipy", "special", "tree", "tree_util"):
            return _Library(getattr(self._given, name))
        if name == "map" and self._given.__name__ in ("jax.tree", "jax.tree_util"):
            name = "tree_map"
        own = _OWN.get(name)
        return getattr(self._given, name) if own is None else own


def _one_hot(classes: Any, count: int, dtype: Any = np.float32, axis: int = -1) -> Array:
    made = np.asarray(np.asarray(classes)[..., None] == np.arange(count), dtype=dtype)
    return np.moveaxis(made, -1, axis)


def _softmax(x: Array, axis: int = -1) -> Array:
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return np.asarray(e / e.sum(axis=axis, keepdims=True))


# -- loops, and maps over an axis
def _scan(
    step: Callable[[Any, Any], Any], carry: Any, xs: Any = None, length: int | None = None,
    reverse: bool = False, **options: Any,
) -> tuple[Any, Any]:  # fmt: skip
    arrays = leaves(xs)
    count = len(arrays[0]) if arrays else int(length or 0)
    made = []
    for at in range(count)[:: -1 if reverse else 1]:
        carry, out = step(carry, _at(xs, at))
        made.append(out)
    return carry, _stacked(made[:: -1 if reverse else 1])


def _stacked(made: Sequence[Any]) -> Any:
    """Values of one structure as one, their arrays one above the other."""
    flat = [leaves(each) for each in made]
    columns = iter([np.stack(column).view(Updated) for column in zip(*flat, strict=True)])
    return mapped(lambda _: next(columns), made[0]) if made else None


def _fori_loop(lower: int, upper: int, body: Callable[[int, Any], Any], value: Any, **options: Any) -> Any:
    for at in range(int(lower), int(upper)):
        value = body(at, value)
    return value


def _cond(test: Any, one: Callable[..., Any], other: Callable[..., Any], *given: Any) -> Any:
    return (one if test else other)(*given)


def _vmap(function: Callable[..., Any], in_axes: Any = 0, out_axes: Any = 0) -> Callable[..., Any]:
    if out_axes != 0 or not (isinstance(in_axes, int) or all(axis in (0, None) for axis in in_axes)):
        raise NotImplementedError("maps over other axes than the first")

    def run(*given: Any) -> Any:
        axes = [in_axes] * len(given) if isinstance(in_axes, int) else in_axes
        pairs = list(zip(given, axes, strict=True))
        count = next(len(leaves(value)[0]) for value, axis in pairs if axis == 0)
        rows = ([_at(v, n) if axis == 0 else v for v, axis in pairs] for n in range(count))
        return _stacked([function(*row) for row in rows])

    return run


def _at(value: Any, number: int) -> Any:
    return mapped(lambda each: np.asarray(each)[number].view(Updated), value)


def mapped(function: Callable[[Any], Any], value: Any) -> Any:
    """A function of the leaves of tuples, lists and dicts, which stay what they are; of None none."""
    if value is None:
        return None
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(mapped(function, entry) for entry in value))
    if isinstance(value, (tuple, list)):
        return type(value)(mapped(function, entry) for entry in value)
    if isinstance(value, dict):
        return {key: mapped(function, value[key]) for key in sorted(value)}
    return function(value)


def leaves(value: Any) -> list[Any]:
    """Those of `mapped`, in its order, which is JAX's."""
    found: list[Any] = []
    mapped(found.append, value)
    return found


def _of_trees(function: Callable[..., Any], trees: Sequence[Any]) -> Any:
    columns = zip(*map(leaves, trees), strict=True)
    return mapped(lambda _: function(*next(columns)), trees[0])


_OWN: dict[str, Callable[..., Any]] = {
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "logistic": lambda x: 1 / (1 + np.exp(-x)),
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "stop_gradient": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "one_hot": _one_hot,
    "softmax": _softmax,
    "scan": _scan,
    "fori_loop": _fori_loop,
    "cond": _cond,
    "vmap": _vmap,
    "tree_map": lambda function, *trees: _of_trees(function, trees),
    "tree_leaves": leaves,
    "jit": lambda function, **options: function,
}


@dataclass(frozen=True, eq=False)
class Batched:
    """One row of an array that is mapped over its first axis, whichever it is."""

    array: Array


def plain(value: Any) -> Any:
    """Arrays of JAX as NumPy's, in whatever holds them; what is mapped over an axis as `Batched`."""

    def of_leaf(each: Any) -> Any:
        if type(each).__name__ == "BatchTracer":
            array = np.array(each.val)
            return array.view(Updated) if each.batch_dim is None else _batched(array, each.batch_dim)
        if type(each).__module__.partition(".")[0] in ("jax", "jaxlib") and hasattr(each, "dtype"):
            return np.array(each).view(Updated)
        return each

    return mapped(of_leaf, value)


def _batched(array: Array, axis: int) -> Batched:
    return Batched(np.moveaxis(array, axis, 0))


@contextlib.contextmanager
def by_numpy(world: dict[str, Any]) -> Iterator[None]:
    """Within it the names of their file for JAX and its numpy are NumPy's."""
    known = {
        name: value
        for name, value in world.items()
        if isinstance(value, ModuleType) and value.__name__.partition(".")[0] == "jax"
    }
    for name, value in known.items():
        world[name] = np if value.__name__ == "jax.numpy" else _Library(value)
    try:
        yield
    finally:
        world.update(known)
