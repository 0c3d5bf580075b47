"""A function of JAX, with a custom_vjp or without, as a Subject: jax.vjp(f, *args)[1](δ)."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, DataError, describe
from chainrule.base.types import Array
from chainrule.verifying.subjects.calls.arguments import Arguments, Leaf, arguments_of
from chainrule.verifying.subjects.calls.carriers import as_array, holds
from chainrule.verifying.subjects.calls.running import call
from chainrule.verifying.subjects.subject import Gradients, Subject
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
    jax = sys.modules["jax"]
    title = str(getattr(given, "__name__", type(given).__name__))
    arguments = arguments_of(given, args, names)
    arrays = arguments.arrays
    if not jax.config.jax_enable_x64:
        arrays = tuple(a.astype(np.float32) if a.dtype == np.float64 else a for a in arrays)
    lows = arguments.precision

    def made(array: Array) -> Any:
        low = lows and array.dtype == np.float32
        return jax.numpy.asarray(array, dtype="bfloat16" if low else array.dtype)

    leaves = replace(arguments, makers=(made,) * len(arguments.makers))

    def outputs(values: Sequence[Array]) -> tuple[Any, Any, list[Any]]:
        built = leaves.build(values)
        moving = [number for number, node in enumerate(leaves.tree) if _moves(node, values)]

        def of_moving(*inputs: Any) -> Any:
            whole = list(built)
            for number, value in zip(moving, inputs, strict=True):
                whole[number] = value
            out = given(*whole)
            return tuple(out) if isinstance(out, (tuple, list)) else (out,)

        of_moving.__name__ = title
        out, pull = call(title, jax.vjp, of_moving, *(built[number] for number in moving))
        return out, pull, moving

    def chosen(out: tuple[Any, ...]) -> int:
        if output is not None:
            if output >= len(out):
                raise ArgumentError(f"output is {output}, and {title} returns {len(out)}")
            return output
        for number, value in enumerate(out):
            if hasattr(value, "dtype") and "float" in value.dtype.name:
                return number
        raise DataError(f"{title} returned {describe(out[0])}: verify takes functions that return an array")

    def forward(values: Sequence[Array]) -> Array:
        with _wide(values):
            out = call(title, given, *leaves.build(values))
            listed = tuple(out) if isinstance(out, (tuple, list)) else (out,)
            return as_array(listed[place], f"the output of {title}")

    def backward(values: Sequence[Array], delta: Array) -> Gradients:
        with _wide(values):
            out, pull, moving = outputs(values)
            deltas = tuple(
                jax.numpy.asarray(delta, dtype=value.dtype)
                if number == place
                else jax.numpy.zeros_like(value)
                for number, value in enumerate(out)
            )
            given_back = call(f"the backward pass of {title}", pull, deltas)
            gradients: list[Array | None] = [None] * len(leaves.names)
            for number, value in zip(moving, given_back, strict=True):
                _collect(leaves.tree[number], value, gradients, leaves)
            return tuple(gradients)

    with _wide(arrays):
        out = outputs(arrays)[0]
    place = chosen(out)
    precision = lows
    if precision is None and not _wide_known():
        precision = "float32"
    notes = (TEXTS.say("subject.output", number=place, count=len(out)),) if len(out) > 1 else ()
    return Subject(title, leaves.names, forward, backward, precision=precision, args=arrays, notes=notes)


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
