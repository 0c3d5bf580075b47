"""A function of JAX that runs compiled as a whole, once for each kind of arguments.

As it is JAX compiles every operation by itself for every shape, and a loop (lax.scan) whose step is a
function of its own in every call again: a layer took up to 47 s so, a recurrent one minutes.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from chainrule.base.types import Array

_ways: list[int | None] = []  # None: as it is; a number: compiled, and nothing before it counts
_counted = itertools.count(1)


@contextlib.contextmanager
def as_it_is() -> Iterator[None]:
    """Within it nothing runs compiled: their code may be another at each call."""
    _ways.append(None)
    try:
        yield
    finally:
        _ways.pop()


@contextlib.contextmanager
def compiled_anew(number: int | None = None) -> Iterator[None]:
    """Within it their code, another than before, is compiled for as long as it lasts; as it is where what is
    compiled within it may be that of before.  number: 0 where it does what it did.
    """
    _ways.append(next(_counted) if number is None else number)
    try:
        yield
    finally:
        _ways.pop()


def is_as_it_is(kept: bool = False) -> bool:
    """Whether nothing is compiled here.  kept: whether JAX itself keeps what it compiled of a part."""
    return bool(_ways) and (_ways[-1] is None or (kept and _ways[-1] != 0))


@dataclass(eq=False)
class Falling:
    """Runs compiled, and as it is from the first call on that cannot be."""

    works: bool = True
    ran: bool = False  # compiled, at least once
    kept: bool = False  # whether JAX keeps what it compiled of a part

    def run(self, fast: Callable[[], Any], plain: Callable[[], Any]) -> Any:
        if is_as_it_is(self.kept) or not self.works or not hasattr(sys.modules["jax"], "jit"):
            return plain()
        try:
            made = fast()
        except Exception as error:  # their code may raise whatever it likes where it is traced
            if self.ran and not _of_tracing(error):  # as it would as it is, of sizes that do not fit
                raise
            made = plain()
            self.works = False  # what raises as it is says nothing on whether it can be traced
            return made
        self.ran = True
        return made


@dataclass(eq=False)
class Compiled:
    """function(values, *more), arrays of NumPy, compiled by the shapes and types of those of real numbers and
    by the numbers of all others, on which their code may branch; as it is where it cannot be compiled.
    """

    function: Callable[..., Any]
    known: dict[Any, Callable[..., Any]] = field(default_factory=dict)
    falling: Falling = field(default_factory=Falling)

    def __call__(self, values: Sequence[Array], *more: Array) -> Any:
        return self.falling.run(
            lambda: self._compiled(values, more), lambda: self.function(values, *more)
        )

    def _compiled(self, values: Sequence[Array], more: Sequence[Array]) -> Any:
        real = [number for number, value in enumerate(values) if value.dtype.kind == "f"]
        whole = [b"" if value.dtype.kind == "f" else value.tobytes() for value in values]
        kinds = [(value.shape, value.dtype.str) for value in (*values, *more)]
        key = tuple(kinds), tuple(whole), _ways[-1] if _ways else 0
        if key not in self.known:

            def run(traced: Sequence[Any], *deltas: Any) -> Any:
                filled: list[Any] = list(values)
                for number, value in zip(real, traced, strict=True):
                    filled[number] = value
                return self.function(filled, *deltas)

            self.known[key] = quickly(run)
        return self.known[key]([values[number] for number in real], *more)


def quickly(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiled with as little effort as their version of JAX can be asked for: it runs a few times."""
    jit: Callable[..., Any] = sys.modules["jax"].jit
    try:
        made: Callable[..., Any] = jit(function, compiler_options={"xla_backend_optimization_level": 0})
    except TypeError:  # older ones take no options
        made = jit(function)
    return made


def _of_tracing(error: BaseException) -> bool:
    """Whether it is raised because there are no numbers yet while it is traced."""
    errors = getattr(sys.modules["jax"], "errors", None)
    names = "JAXTypeError", "JAXIndexError", "UnexpectedTracerError"
    kinds = tuple(kind for name in names if (kind := getattr(errors, name, None)) is not None)
    return isinstance(error, kinds) or isinstance(error.__cause__, kinds)


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of anything that JAX takes, compiled; as it is from the first call on that cannot be."""
    falling, fast = Falling(), quickly(function) if hasattr(sys.modules["jax"], "jit") else function

    @functools.wraps(function)
    def run(*args: Any) -> Any:
        return falling.run(lambda: fast(*args), lambda: function(*args))

    return run
