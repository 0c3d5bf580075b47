"""What functions of theirs reach without being handed it: what is written there is undone, numbers vary."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from chainrule.base.types import Array
from chainrule.verifying.source.written import Ran

DEEP = 3  # lists of objects of arrays
MOST_ENTRIES = 100_000  # of one that is kept


@contextlib.contextmanager
def other_numbers(functions: Iterable[FunctionType], read: Iterable[str]) -> Iterator[bool]:
    """Within it other numbers are there for defaults and globals of these names; whether there are any."""
    names, defaults, worlds = set(read), list[tuple[FunctionType, Any]](), dict[tuple[int, str], Any]()
    for function in functions:
        code, given = function.__code__, function.__defaults__ or ()
        labels = code.co_varnames[code.co_argcount - len(given) : code.co_argcount]
        made = tuple(
            _other(value) if name in names else value for name, value in zip(labels, given, strict=True)
        )
        if any(other is not value for other, value in zip(made, given, strict=True)):
            defaults.append((function, given))
            function.__defaults__ = made
        world = function.__globals__
        for name in names.intersection(code.co_names):
            value = world.get(name)
            other = _other(value)
            if other is not value and (id(world), name) not in worlds:
                worlds[id(world), name] = world, value
                world[name] = other
    try:
        yield bool(defaults or worlds)
    finally:
        for function, given in defaults:
            function.__defaults__ = given
        for (_, name), (world, value) in worlds.items():
            world[name] = value


def _other(value: Any) -> Any:
    """Another number than one that is neither 0 nor 1, an array of other ones, in another order and above 0
    where they were; anything else as it is.
    """
    if isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.size > 1:
        return np.flip(value) * value.dtype.type(1.25)
    if type(value) is int and abs(value) > 1:
        return value + 1
    return value * 1.25 if type(value) is float and value not in (0.0, 1.0) else value


class Outside:
    """Those of global names, closures and objects."""

    def __init__(self, functions: Iterable[Ran]) -> None:
        self.kept: dict[int, tuple[Array, Array]] = {}
        for ran in functions:
            for name in ran.code.co_names:
                self._keep(ran.world.get(name), DEEP)
            for name in (*ran.code.co_freevars, *ran.given):
                self._keep(ran.names.get(name), DEEP)

    def restore(self) -> None:
        """Back to what they were."""
        for array, before in self.kept.values():
            if not np.array_equal(array, before, equal_nan=before.dtype.kind == "f"):
                array[...] = before

    def _keep(self, value: Any, deep: int) -> None:
        if isinstance(value, np.ndarray):
            writes = value.flags.writeable and value.dtype.kind in "fiub" and value.size <= MOST_ENTRIES
            if writes and id(value) not in self.kept:
                self.kept[id(value)] = (value, value.copy())
        elif deep == 0 or isinstance(value, (type, ModuleType, FunctionType)):
            return
        elif isinstance(value, dict):
            for each in list(value.values()):
                self._keep(each, deep - 1)
        elif isinstance(value, (list, tuple)):
            for each in value:
                self._keep(each, deep - 1)
        elif hasattr(value, "__dict__"):
            self._keep(vars(value), deep - 1)
