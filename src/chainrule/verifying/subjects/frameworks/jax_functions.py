"""A function of JAX, with a custom_vjp or without, as a Subject: jax.vjp(f, *args)[1](δ)."""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from chainrule.base.errors import DataError
from chainrule.base.types import Array
from chainrule.verifying.subjects.calls.arguments import Arguments, Leaf, arguments_of
from chainrule.verifying.subjects.calls.carriers import Maker, as_array, holds
from chainrule.verifying.subjects.calls.running import call
from chainrule.verifying.subjects.frameworks.compiled import (
    Compiled,
    Falling,
    as_it_is,
    compiled,
    is_as_it_is,
)
from chainrule.verifying.subjects.frameworks.judged import gradients_follow, judged, told
from chainrule.verifying.subjects.subject import (
    Gradients,
    Subject,
    cut,
    joined_outputs,
    with_outputs,
)
from chainrule.verifying.subjects.values import of_function
from chainrule.verifying.texts import TEXTS


def meant(given: Any, args: Sequence[Any]) -> bool:
    """Whether it is JAX's, or a function among whose arguments is an array of JAX. Never loads JAX."""
    jax = sys.modules.get("jax")
    if jax is None or not callable(given) or isinstance(given, type):
        return False
    home = str(getattr(type(given), "__module__", ""))
    return home.partition(".")[0] in ("jax", "jaxlib") or holds(args, jax.Array)


def of_jax(given: Any, args: Sequence[Any], names: Sequence[str] | None, output: int | None) -> Subject:
    """float64 arrays are computed in float64 here; without jax_enable_x64 those given are float32."""
    title = str(getattr(given, "__name__", type(given).__name__))
    arguments = arguments_of(given, args, names)
    arrays, low = arguments.arrays, arguments.precision
    if not sys.modules["jax"].config.jax_enable_x64:
        arrays = tuple(a.astype(np.float32) if a.dtype == np.float64 else a for a in arrays)
    calls = _Calls(title, given, replace(arguments, makers=(_maker(low),) * len(arrays)))
    out = calls.tried(arrays, output is None)
    by_hand = calls.has(arrays, "custom_vjp")
    calls.kept = calls.has(arrays, "scan") or calls.has(arrays, "while") or _jitted(given)
    wide = bool(sys.modules["jax"].config.jax_enable_x64)
    calls.narrow = not wide and calls.has(arrays, "random_bits")  # float64 draws others than float32 does
    within = _by_operations if calls.kept else calls.within
    if output is None and not by_hand and gradients_follow(out, arguments):
        read = replace(calls.arguments, arrays=arrays, precision=calls.precision)
        subject = of_function(compiled(given), args, names, read, _wide)
        notes = *subject.notes, TEXTS.say("subject.value", name=title)
        as_is = of_function(given, args, names, read, within)
        return replace(subject, notes=notes, as_is=as_is)
    likely = [n for n, value in enumerate(out) if "float" in getattr(value, "dtype", np.dtype(bool)).name]
    calls.places = (judged(out, likely, output, title, "an array"),)
    calls.absent = calls.left_out(arrays)
    several = likely if by_hand else []
    single = () if output is None and len(several) > 1 else told(out, calls.places[0])
    subject = Subject(
        title,
        arguments.names,
        calls.forward,
        calls.backward,
        precision=calls.precision,
        args=arrays,
        notes=(*single, *(() if by_hand else (TEXTS.say("subject.jax", name=title),))),
        pulled=calls.pulled,
    )
    plain = replace(calls, compiles=False, within=within)
    subject = replace(subject, as_is=replace(subject, forward=plain.forward, backward=plain.backward))

    def of_output(place: int | None) -> Any:
        of = replace(calls, places=tuple(several) if place is None else (place,))
        return of.forward, of.backward, of.pulled

    return with_outputs(subject, several, of_output)


def _maker(low: str | None) -> Maker:
    """Of arrays of JAX: of bfloat16 for float32 where that is theirs."""

    def made(array: Array) -> Any:
        kind: Any = "bfloat16" if low and array.dtype == np.float32 else array.dtype
        return sys.modules["jax"].numpy.asarray(array, dtype=kind)

    return made


@dataclass(eq=False)
class _Calls:
    """places: of the outputs that are judged, several joined.  compiles: whether it runs compiled.  within:
    what it is called within, by its arrays.  kept: whether something in it is compiled by their own code.
    narrow: whether it is computed in float32 alone.  absent: the arguments whose gradient is None.
    """

    title: str
    function: Any
    arguments: Arguments
    places: tuple[int, ...] = (0,)
    compiles: bool = True
    kept: bool = False
    narrow: bool = False
    absent: frozenset[int] = frozenset()
    within: Callable[[Sequence[Array]], Any] = lambda values: _wide(values)

    def _around(self, values: Sequence[Array]) -> Any:
        values = () if self.narrow else values
        return (_by_operations if self.kept and is_as_it_is(self.kept) else self.within)(values)

    def _compiled(self, function: Callable[..., Any]) -> Compiled:
        return Compiled(function, falling=Falling(kept=self.kept))

    @cached_property
    def _forward(self) -> Callable[..., Any]:
        return self._compiled(self._out) if self.compiles else self._out

    @cached_property
    def _backward(self) -> Callable[..., Any]:
        return self._compiled(self._back) if self.compiles else self._back

    @property
    def precision(self) -> str | None:
        """In which it computes, where that is less than the arrays' type."""
        low = self.arguments.precision
        return "float32" if low is None and (self.narrow or not _wide_known()) else low

    def tried(self, values: Sequence[Array], plain: bool) -> tuple[Any, ...]:
        """What the given arguments give, traced; plain: as they are, where their code cannot be traced."""
        with _wide(values):
            try:
                return tuple(self.outputs(values)[0])
            except DataError:
                built = self.arguments.build(values)
                out = _listed(call(self.title, self.function, *built)) if plain else ()
                if gradients_follow(out, self.arguments):
                    return out
                raise

    def has(self, values: Sequence[Array], word: str) -> bool:
        """Whether an operation of that name is in it: a custom_vjp of somebody's, a loop."""
        with _wide(values):
            of_moving, moved, _ = self._of_moving(values)
            try:
                return _holds(call(self.title, sys.modules["jax"].make_jaxpr(of_moving), *moved).jaxpr, word)
            except DataError:  # it cannot be traced
                return False

    def outputs(self, values: Sequence[Array]) -> tuple[Any, Any, list[int]]:
        """What it returns, what pulls δ back, and the numbers of the arguments that this is of."""
        of_moving, moved, moving = self._of_moving(values)
        out, pull = call(self.title, sys.modules["jax"].vjp, of_moving, *moved)
        return out, pull, moving

    def _of_moving(self, values: Sequence[Array]) -> tuple[Any, list[Any], list[int]]:
        """The function of what has gradients alone, these arguments, and their numbers."""
        built = self.arguments.build(values)
        moving = [number for number, node in enumerate(self.arguments.tree) if _moves(node, values)]

        def of_moving(*inputs: Any) -> Any:
            whole = list(built)
            for number, value in zip(moving, inputs, strict=True):
                whole[number] = value
            return _listed(self.function(*whole))

        of_moving.__name__ = self.title
        return of_moving, [built[number] for number in moving], moving

    def forward(self, values: Sequence[Array]) -> Array:
        with self._around(values):
            made = [as_array(out, f"the output of {self.title}") for out in self._forward(values)]
            return made[0] if len(made) == 1 else joined_outputs(made)

    def _out(self, values: Sequence[Any]) -> list[Any]:
        """What is judged of what it returns."""
        out = _listed(call(self.title, self.function, *self.arguments.build(values)))
        return [out[place] for place in self.places]

    def backward(self, values: Sequence[Array], delta: Array) -> Gradients:
        with self._around(values):
            return self._collected(*self._backward(values, delta))

    def pulled(self, values: Sequence[Array]) -> Callable[[Array], Gradients]:
        """Their forward once; what their backward gives of a δ, anew at each call."""
        with self._around(values):
            out, pull, moving = self.outputs(values)

        def of_delta(delta: Array) -> Gradients:
            with self._around(values):
                return self._collected(moving, self._given_back(out, pull, delta))

        return of_delta

    def left_out(self, values: Sequence[Array]) -> frozenset[int]:
        """The arguments for which a custom_vjp's backward returns None, of which JAX makes zeros."""
        inner = self.function
        while not hasattr(inner, "bwd") and hasattr(inner, "__wrapped__"):
            inner = inner.__wrapped__
        code = getattr(getattr(inner, "bwd", None), "__code__", None)
        made: list[Any] = []

        def note(frame: Any, event: str, value: Any) -> None:
            if event == "return" and frame.f_code is code and isinstance(value, (tuple, list)):
                made.append(value)

        if code is None:
            return frozenset()
        with contextlib.suppress(Exception), as_it_is():  # their code may raise whatever it likes
            shapes = [np.shape(out) for out in self.forward_of(values)]
            pull = self.pulled(values)
            before = sys.getprofile()
            sys.setprofile(note)
            try:
                pull(np.ones(sum(map(math.prod, shapes))) if len(shapes) > 1 else np.ones(shapes[0]))
            finally:
                sys.setprofile(before)
        apart = {int(n) for n in getattr(inner, "nondiff_argnums", ()) or () if isinstance(n, int)}
        places = [n for n in range(len(self.arguments.tree)) if n not in apart]
        given = made[-1] if made else ()
        return frozenset(n for n, value in zip(places, given, strict=False) if value is None)

    def forward_of(self, values: Sequence[Array]) -> list[Array]:
        with self._around(values):
            return [as_array(out, f"the output of {self.title}") for out in self._out(values)]

    def _collected(self, moving: Any, given_back: Any) -> Gradients:
        gradients: list[Array | None] = [None] * len(self.arguments.names)
        for number, value in zip(map(int, moving), given_back, strict=True):
            if number in self.absent:
                continue
            _collect(self.arguments.tree[number], value, gradients, self.arguments)
        return tuple(gradients)

    def _back(self, values: Sequence[Any], delta: Any) -> tuple[list[int], Any]:
        """The numbers of the arguments that have gradients, and these."""
        out, pull, moving = self.outputs(values)
        return moving, self._given_back(out, pull, delta)

    def _given_back(self, out: Any, pull: Any, delta: Any) -> Any:
        jax = sys.modules["jax"]
        shapes = [tuple(out[place].shape) for place in self.places]
        parts = [delta] if len(shapes) == 1 else cut(delta, shapes)
        by_place = dict(zip(self.places, parts, strict=True))
        deltas = tuple(
            jax.numpy.asarray(by_place[number], dtype=value.dtype)
            if number in by_place
            else jax.numpy.zeros_like(value)
            for number, value in enumerate(out)
        )
        return call(f"the backward pass of {self.title}", pull, deltas)


def _jitted(given: Any) -> bool:
    """Whether it, or a function that its file names, is one that their code has compiled."""
    inner = given
    while hasattr(inner, "__wrapped__"):
        inner = inner.__wrapped__
    named = getattr(inner, "__globals__", {}).values()
    kinds = (each for each in (given, *named) if type(each).__name__ == "PjitFunction")
    return any(not str(getattr(each, "__module__", "")).startswith("jax") for each in kinds)


def _holds(jaxpr: Any, word: str) -> bool:
    """Whether an operation is in a program of JAX or in one within it."""
    for equation in jaxpr.eqns:
        if word in equation.primitive.name:
            return True
        held = equation.params.values()
        parts = [part for value in held for part in (value if isinstance(value, (list, tuple)) else (value,))]
        inner = [getattr(part, "jaxpr", part) for part in parts]
        if any(hasattr(part, "eqns") and _holds(part, word) for part in inner):
            return True
    return False


def _listed(out: Any) -> tuple[Any, ...]:
    return tuple(out) if isinstance(out, (tuple, list)) else (out,)


def _moves(node: Any, values: Sequence[Array]) -> bool:
    """Whether it holds floating-point arrays alone: what jax.vjp takes."""
    if isinstance(node, Leaf):
        return values[node.number].dtype.kind == "f"
    return isinstance(node, (dict, list))


def _collect(node: Any, value: Any, gradients: list[Array | None], leaves: Arguments) -> None:
    if isinstance(node, Leaf):
        gradients[node.number] = as_array(value, f"the gradient of {leaves.names[node.number]}")
    elif isinstance(node, dict):
        for key, entry in node.items():
            _collect(entry, value[key], gradients, leaves)
    elif isinstance(node, list):
        for entry, part in zip(node, value, strict=True):
            _collect(entry, part, gradients, leaves)


def _enable() -> Any:
    jax = sys.modules["jax"]
    here = getattr(jax, "enable_x64", None)  # of older versions in jax.experimental
    return getattr(getattr(jax, "experimental", None), "enable_x64", None) if here is None else here


def _wide_known() -> bool:
    return bool(sys.modules["jax"].config.jax_enable_x64) or _enable() is not None


def _wide(values: Sequence[Array]) -> Any:
    """Within it float64 is computed in float64, where the arrays are of it."""
    enable = _enable()
    if enable is None or not any(value.dtype == np.float64 for value in values):
        return contextlib.nullcontext()
    return enable(True)


@contextlib.contextmanager
def _by_operations(values: Sequence[Array]) -> Iterator[None]:
    """Within it their code runs in Python to its last line, each time: a loop's step is not compiled."""
    apart = getattr(sys.modules["jax"], "disable_jit", contextlib.nullcontext)
    with _wide(values), apart():
        yield
