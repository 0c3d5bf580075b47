"""A function of JAX that runs compiled as a whole, once for each kind of arguments.

As it is JAX compiles every operation by itself for every shape, and a loop (lax.scan) whose step is a function
of its own in every call again: a layer took up to 47 s so, a recurrent one minutes.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.base.types import Array


@dataclass(eq=False)
class Compiled:
    """function(values, *more), arrays of NumPy, compiled by the shapes and types of those of real numbers and
    by the numbers of all others, on which their code may branch; as it is where it cannot be compiled.
    """

    function: Callable[..., Any]
    known: dict[Any, Callable[..., Any]] = field(default_factory=dict)
    works: bool = True

    def __call__(self, values: Sequence[Array], *more: Array) -> Any:
        if self.works and hasattr(sys.modules["jax"], "jit"):
            try:
                return self._compiled(values, more)
            except Exception:  # their code may raise whatever it likes where it is traced
                made = self.function(values, *more)
                self.works = False  # what raises as it is says nothing on whether it can be traced
                return made
        return self.function(values, *more)

    def _compiled(self, values: Sequence[Array], more: Sequence[Array]) -> Any:
        real = [number for number, value in enumerate(values) if value.dtype.kind == "f"]
        whole = [b"" if value.dtype.kind == "f" else value.tobytes() for value in values]
        kinds = [(value.shape, value.dtype.str) for value in (*values, *more)]
        key = tuple(kinds), tuple(whole)
        if key not in self.known:

            def run(traced: Sequence[Any], *deltas: Any) -> Any:
                filled: list[Any] = list(values)
                for number, value in zip(real, traced, strict=True):
                    filled[number] = value
                return self.function(filled, *deltas)

            self.known[key] = sys.modules["jax"].jit(run)
        return self.known[key]([values[number] for number in real], *more)


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of anything that JAX takes, compiled; as it is from the first call on that cannot be."""
    jit, works = getattr(sys.modules["jax"], "jit", None), [True]
    fast = None if jit is None else jit(function)

    @functools.wraps(function)
    def run(*args: Any) -> Any:
        if fast is not None and works[0]:
            try:
                return fast(*args)
            except Exception:  # their code may raise whatever it likes where it is traced
                made = function(*args)
                works[0] = False
                return made
        return function(*args)

    return run


def agrees(fast: Any, plain: Any) -> bool:
    """Whether two answers, arrays in tuples, lists and dicts, are the same but for another order of sums."""
    leaves = sys.modules["jax"].tree_util.tree_leaves
    pairs = list(zip(leaves(fast), leaves(plain), strict=False))
    return len(leaves(fast)) == len(leaves(plain)) and all(_near(a, b) for a, b in pairs)


def _near(fast: Any, plain: Any) -> bool:
    first, other = (np.asarray(value).astype(np.float64) for value in (fast, plain))
    return first.shape == other.shape and bool(np.allclose(first, other, rtol=0.02, atol=1e-3, equal_nan=True))
