"""Generators of random numbers that somebody's code keeps, such as self.rng: every call draws the same."""

from __future__ import annotations

import contextlib
import random
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from chainrule.verifying.subjects.calls.running import installed

MOST_SEEN = 2000  # values that are looked at


def generators_in(given: Any) -> list[Any]:
    """Those that an object, a function, what it closes over or the globals that it names hold."""
    of_torch = getattr(sys.modules.get("torch"), "Generator", random.Random)
    kinds = (np.random.Generator, np.random.RandomState, random.Random, of_torch)
    found: list[Any] = []
    seen: set[int] = set()
    waiting = [given]
    while waiting and len(seen) < MOST_SEEN:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, kinds):
            found.append(value)
        else:
            waiting += _held_by(value)
    return found


@contextlib.contextmanager
def again(generators: Sequence[Any]) -> Iterator[None]:
    """Afterwards the generators are as they were before."""
    undo = [_undo(generator) for generator in generators]
    try:
        yield
    finally:
        for put_back in undo:
            put_back()


def drawing_again(generators: Sequence[Any], function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, run within `again`."""

    def run(*args: Any) -> Any:
        with again(generators):
            return function(*args)

    return run if generators else function


def _undo(generator: Any) -> Callable[[], None]:
    if isinstance(generator, np.random.Generator):
        bits, state = generator.bit_generator, generator.bit_generator.state
        return lambda: setattr(bits, "state", state)
    if isinstance(generator, random.Random):
        known = generator.getstate()
        return lambda: generator.setstate(known)
    kept = generator.get_state()
    return lambda: generator.set_state(kept)


def _held_by(value: Any) -> list[Any]:
    if isinstance(value, (ModuleType, np.ndarray, str, bytes, int, float)):
        return []
    if isinstance(value, MethodType):
        return [value.__self__, value.__func__]
    if isinstance(value, FunctionType):
        return [] if installed(value.__code__.co_filename) else _held_by_function(value)
    if isinstance(value, Mapping):
        return list(value.values()) if type(value) is dict else []
    if isinstance(value, (tuple, list)):
        return list(value)
    if isinstance(value, type):
        of_theirs = not installed(getattr(sys.modules.get(value.__module__), "__file__", None) or "")
        return list(vars(value).values()) if of_theirs and value.__module__ != "builtins" else []
    if isinstance(value, (staticmethod, classmethod)):
        return [value.__func__]
    held = getattr(value, "__dict__", None)
    return [*(held.values() if type(held) is dict else ()), type(value)]


def _held_by_function(function: FunctionType) -> list[Any]:
    made: list[Any] = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    for cell in function.__closure__ or ():
        with contextlib.suppress(ValueError):  # empty as yet
            made.append(cell.cell_contents)
    names = _names(function.__code__)
    return made + [function.__globals__[name] for name in names if name in function.__globals__]


def _names(code: CodeType) -> list[str]:
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return [*code.co_names, *(name for each in inner for name in _names(each))]
