"""A formula's signature is its declaration of what it needs; this reads it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any


@functools.cache
def formula_arguments(function: Callable[..., Any]) -> tuple[tuple[str, bool], ...]:
    """(name, required) of every argument the formula declares, without self."""
    parameters = list(inspect.signature(function).parameters.values())[1:]
    named = (p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD))
    return tuple((p.name, p.default is p.empty) for p in named)


def declared(method: Callable[..., Any]) -> tuple[tuple[str, bool], ...]:
    """(name, required) of the arguments of a bound method."""
    return formula_arguments(getattr(method, "__func__", method))


def call_formula(function: Callable[..., Any], available: Mapping[str, Any]) -> Any:
    """Call a formula such as `layer.delta` with the arguments its signature declares, taken by name.

    Raises TypeError that names a missing argument.
    """
    arguments = declared(function)
    missing = [name for name, required in arguments if required and name not in available]
    if missing:
        owner = type(getattr(function, "__self__", None)).__name__
        raise TypeError(
            f"{owner}.{function.__name__} declares {missing[0]!r}, which is not available; "
            f"a formula may declare {', '.join(available)}"
        )
    return function(**{name: available[name] for name, _ in arguments if name in available})
