"""A function of JAX, with a custom_vjp or without, as a Subject: jax.vjp(f, *args)[1](δ)."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chainrule.base.types import Array
from chainrule.verifying.subjects.calls.arguments import Arguments, Leaf, arguments_of
from chainrule.verifying.subjects.calls.carriers import Maker, as_array, holds
from chainrule.verifying.subjects.calls.running import call
from chainrule.verifying.subjects.frameworks.judged import judged, told
from chainrule.verifying.subjects.subject import Gradients, Subject


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
    with _wide(arrays):
        out = calls.outputs(arrays)[0]
    likely = [n for n, value in enumerate(out) if "float" in getattr(value, "dtype", np.dtype(bool)).name]
    calls.place = judged(out, likely, output, title, "an array")
    precision = "float32" if low is None and not _wide_known() else low
    return Subject(
        title,
        arguments.names,
        calls.forward,
        calls.backward,
        precision=precision,
        args=arrays,
        notes=told(out, calls.place),
    )


def _maker(low: str | None) -> Maker:
    """Of arrays of JAX: of bfloat16 for float32 where that is theirs."""

    def made(array: Array) -> Any:
        kind: Any = "bfloat16" if low and array.dtype == np.float32 else array.dtype
        return sys.modules["jax"].numpy.asarray(array, dtype=kind)

    return made


@dataclass(eq=False)
class _Calls:
    """place: of the output that is judged."""

    title: str
    function: Any
    arguments: Arguments
    place: int = 0

    def outputs(self, values: Sequence[Array]) -> tuple[Any, Any, list[int]]:
        """What it returns, what pulls δ back, and the numbers of the arguments that this is of."""
        built = self.arguments.build(values)
        moving = [number for number, node in enumerate(self.arguments.tree) if _moves(node, values)]

        def of_moving(*inputs: Any) -> Any:
            whole = list(built)
            for number, value in zip(moving, inputs, strict=True):
                whole[number] = value
            return _listed(self.function(*whole))

        of_moving.__name__ = self.title
        moved = (built[number] for number in moving)
        out, pull = call(self.title, sys.modules["jax"].vjp, of_moving, *moved)
        return out, pull, moving

    def forward(self, values: Sequence[Array]) -> Array:
        with _wide(values):
            out = _listed(call(self.title, self.function, *self.arguments.build(values)))
            return as_array(out[self.place], f"the output of {self.title}")

    def backward(self, values: Sequence[Array], delta: Array) -> Gradients:
        jax = sys.modules["jax"]
        with _wide(values):
            out, pull, moving = self.outputs(values)
            deltas = tuple(
                jax.numpy.asarray(delta, dtype=value.dtype)
                if number == self.place
                else jax.numpy.zeros_like(value)
                for number, value in enumerate(out)
            )
            given_back = call(f"the backward pass of {self.title}", pull, deltas)
            gradients: list[Array | None] = [None] * len(self.arguments.names)
            for number, value in zip(moving, given_back, strict=True):
                _collect(self.arguments.tree[number], value, gradients, self.arguments)
            return tuple(gradients)


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
