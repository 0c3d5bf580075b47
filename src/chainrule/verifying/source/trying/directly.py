"""Their backward called as it was called once, without what reads its arguments and its answer every time.

That takes ten times as long as the few products of a small cell.  What it is called with is not written on
meanwhile: a backward that does that is not called so.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any

import numpy as np

from chainrule.base.types import Array
from chainrule.verifying.source.written import Written
from chainrule.verifying.subjects.calls.effort import profiled

DEEP = 5  # lists of objects of arrays
VARIOUS = 0x04 | 0x08  # flags of code that takes *args or **kwargs


@dataclass(frozen=True, eq=False)
class Directly:
    """leaves: per gradient, its place among the arrays of what comes back and of what objects keep."""

    function: FunctionType
    given: Sequence[Any]
    named: Mapping[str, Any]
    leaves: Sequence[int]
    shapes: Sequence[tuple[int, ...]]
    kept: Sequence[Array]  # which entries of each

    def __call__(self) -> list[Array] | None:
        try:
            made = _leaves((self.function(*self.given, **self.named), _attributes(self.given)))
            arrays = [np.asarray(made[number], dtype=np.float64) for number in self.leaves]
        except Exception:  # their code may raise whatever it likes
            return None
        if any(value.shape != shape for value, shape in zip(arrays, self.shapes, strict=True)):
            return None
        return [value.reshape(-1)[kept] for value, kept in zip(arrays, self.kept, strict=True)]


@contextlib.contextmanager
def directly(
    place: Written, run: Callable[[], object], right: Sequence[Array], kept: Sequence[Array]
) -> Iterator[Directly | None]:
    """The outermost function of a place that `run` calls, called as `run` does; None where its answer has not
    all gradients.  right: those of `run`, in their shapes; kept: which entries are looked at.
    """
    living: dict[CodeType, list[FunctionType]] = {}
    for held in place.functions.values():
        for each in held:
            living.setdefault(each.__code__, []).append(each)
    frames = list[tuple[FunctionType, list[Any], dict[str, Any]]]()

    def note(frame: FrameType, event: str, argument: object) -> None:
        code = frame.f_code
        if event == "call" and not frames and len(living.get(code, ())) == 1 and not code.co_flags & VARIOUS:
            names, more = code.co_varnames[: code.co_argcount], code.co_kwonlyargcount
            named = code.co_varnames[code.co_argcount : code.co_argcount + more]
            local = frame.f_locals
            frames.append((living[code][0], [local[n] for n in names], {n: local[n] for n in named}))

    profiled(run, note)
    if not frames:
        yield None
        return
    function, given, named = frames[0]
    objects = [each for each in given if _is_object(each)]
    before = [dict(vars(each)) for each in objects]
    written_on = list(frozen([*given, *named.values()], DEEP))
    try:
        with np.errstate(all="ignore"):
            yield _placed(function, given, named, right, kept)
    finally:
        for array in written_on:
            array.setflags(write=True)
        for each, attributes in zip(objects, before, strict=True):
            vars(each).clear()
            vars(each).update(attributes)


def _placed(
    function: FunctionType,
    given: Sequence[Any],
    named: Mapping[str, Any],
    right: Sequence[Array],
    kept: Sequence[Array],
) -> Directly | None:
    try:
        made = _leaves((function(*given, **named), _attributes(given)))
    except Exception:  # what is written on is not called so
        return None
    places = []
    for wanted in right:
        same = (n for n, each in enumerate(made) if np.array_equal(each, wanted))
        place = next(same, None)
        if place is None:
            return None
        places.append(place)
    return Directly(function, given, named, places, [each.shape for each in right], kept)


def _leaves(value: Any, deep: int = DEEP) -> list[Array]:
    if isinstance(value, (np.ndarray, float)):
        return [np.asarray(value)]
    if deep and isinstance(value, (tuple, list)):
        return [leaf for each in value for leaf in _leaves(each, deep - 1)]
    if deep and isinstance(value, dict):
        return [leaf for each in value.values() for leaf in _leaves(each, deep - 1)]
    return []


def _attributes(given: Sequence[Any]) -> list[Any]:
    return [vars(each) for each in given if _is_object(each)]


def _is_object(value: Any) -> bool:
    apart = (type, FunctionType, ModuleType, np.ndarray)
    return hasattr(value, "__dict__") and not isinstance(value, apart)


def frozen(value: Any, deep: int) -> Iterator[Array]:
    """The arrays in it, none of which can be written on any more."""
    if isinstance(value, np.ndarray):
        if value.flags.writeable:
            value.setflags(write=False)
            yield value
    elif deep and isinstance(value, (list, tuple, dict)):
        for each in list(value.values()) if isinstance(value, dict) else value:
            yield from frozen(each, deep - 1)
    elif deep and _is_object(value):
        yield from frozen(vars(value), deep - 1)
