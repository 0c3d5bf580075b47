"""The backward rule of a function of JAX run on NumPy's arrays, in a small part of the time that JAX takes.

It stands in for JAX while changes of the rule are tried; what it finds is run by JAX itself.  Where the rule
as it is gives other numbers so than by JAX, or none, there is no stand-in.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

from chainrule.base.types import Array
from chainrule.verifying.subjects.subject import Gradients

SAME = 1e-4  # of the largest entry: how far JAX and NumPy may be apart, in float32


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
        if name in ("nn", "lax", "scipy", "special"):
            return _Library(getattr(self._given, name))
        own = _OWN.get(name)
        return getattr(self._given, name) if own is None else own


def _one_hot(classes: Any, count: int, dtype: Any = np.float32, axis: int = -1) -> Array:
    made = np.asarray(np.asarray(classes)[..., None] == np.arange(count), dtype=dtype)
    return np.moveaxis(made, -1, axis)


def _softmax(x: Array, axis: int = -1) -> Array:
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return np.asarray(e / e.sum(axis=axis, keepdims=True))


_OWN: dict[str, Callable[..., Any]] = {
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "logistic": lambda x: 1 / (1 + np.exp(-x)),
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "stop_gradient": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "one_hot": _one_hot,
    "softmax": _softmax,
}


class StandIn:
    """Of one probe: what their rule was called with when δ was pulled back, and which gradient is which.

    Calling it gives the gradients by the rule as it is then, None where it raises.
    """

    def __init__(self, function: FunctionType, given: Sequence[Any], places: Sequence[int | None]) -> None:
        self.function, self.given, self.places = function, given, places

    def __call__(self) -> Gradients | None:
        try:
            with _by_numpy(self.function.__globals__), np.errstate(all="ignore"):
                made = self.function(*map(_plain, self.given))
        except Exception:  # their code may raise whatever it likes
            return None
        listed = made if isinstance(made, (tuple, list)) else (made,)
        if len(listed) <= max((n for n in self.places if n is not None), default=-1):
            return None
        values = [None if place is None else listed[place] for place in self.places]
        if any(value is None for value, place in zip(values, self.places, strict=True) if place is not None):
            return None
        return tuple(None if value is None else np.array(value) for value in values)


def stand_in(
    pull: Callable[[], Gradients | None], functions: Sequence[FunctionType]
) -> StandIn | None:
    """Of the only function of theirs that pulling δ back calls by itself; None where there is no such.

    functions: those of theirs that run then.
    """
    codes = {each.__code__ for each in functions}
    calls: list[tuple[CodeType, list[Any], Any]] = []
    depth = 0

    def note(frame: Any, event: str, value: Any) -> None:
        nonlocal depth
        code = frame.f_code
        if code not in codes:
            return
        if event == "call":
            if depth == 0:
                plain = code.co_argcount == len(frame.f_locals) and not code.co_flags & 0x0C
                given = [frame.f_locals[name] for name in code.co_varnames[: code.co_argcount]]
                calls.append((code, given if plain else [], None))
            depth += 1
        elif event == "return":
            depth -= 1
            if depth == 0:
                calls[-1] = (*calls[-1][:2], value)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        wanted = pull()
    finally:
        sys.setprofile(before)
    function = next((each for each in functions if calls and each.__code__ is calls[0][0]), None)
    if len(calls) != 1 or not calls[0][1] or function is None or wanted is None:
        return None
    made = calls[0][2]
    listed = list(made) if isinstance(made, (tuple, list)) else [made]
    with contextlib.suppress(Exception):  # traced, or of another library's types
        values = [None if value is None else np.asarray(value) for value in listed]
        places: list[int | None] = []
        for w in wanted:
            places.append(None if w is None else _place(w, values, places))
        if any(w is not None and p is None for w, p in zip(wanted, places, strict=True)):
            return None
        found = StandIn(function, calls[0][1], places)
        return found if _same(wanted, found()) else None
    return None


def _place(wanted: Array, values: Sequence[Array | None], taken: Sequence[int | None]) -> int | None:
    fitting = (n for n, v in enumerate(values) if v is not None and v.shape == wanted.shape)
    fitting = (number for number in fitting if number not in taken)
    return next((n for n in fitting if np.array_equal(np.asarray(values[n], wanted.dtype), wanted)), None)


def _same(wanted: Gradients, made: Gradients | None) -> bool:
    pairs = zip(wanted, made or (None,) * len(wanted), strict=True)
    for w, m in pairs:
        if w is None:
            continue
        if m is None or m.shape != w.shape:
            return False
        if not np.abs(m - w).max(initial=0) <= SAME * np.abs(w).max(initial=0):
            return False
    return True


def _plain(value: Any) -> Any:
    """Arrays of JAX as NumPy's, in whatever holds them."""
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(_plain, value))
    if isinstance(value, (tuple, list)):
        return type(value)(map(_plain, value))
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if type(value).__module__.partition(".")[0] in ("jax", "jaxlib") and hasattr(value, "dtype"):
        return np.array(value).view(Updated)
    return value


@contextlib.contextmanager
def _by_numpy(world: dict[str, Any]) -> Iterator[None]:
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
