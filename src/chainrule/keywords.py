"""Arguments by the names of other libraries: the TypeError says what to write here."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


def teach(advice: Mapping[str, str], positions: str = "the others by name") -> Callable[[F], F]:
    """Decorate a function, an __init__ or a class: an unknown keyword raises TypeError with its `advice`, too
    many arguments without a name one with `positions`; both complete "write ...".
    """

    def decorate(target: F) -> F:
        if isinstance(target, type):
            target.__init__ = _taught(target.__init__, advice, positions)  # type: ignore[misc]
            return target
        return _taught(target, advice, positions)  # type: ignore[return-value]

    return decorate


def _taught(function: Callable[..., Any], advice: Mapping[str, str], positions: str) -> Callable[..., Any]:
    parameters = inspect.signature(function).parameters
    method = next(iter(parameters)) == "self"
    known = [name for name in parameters if name != "self"]
    most = sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters.values())

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        unknown = next((name for name in kwargs if name not in known), None)
        if unknown is None and len(args) <= most:
            return function(*args, **kwargs)
        name = type(args[0]).__name__ if method else function.__name__
        if unknown is None:
            taken = f"{name}() takes {most - method} by position, received {len(args) - method}"
            raise TypeError(f"{taken}; write {positions}")
        close = difflib.get_close_matches(unknown, known, 1)
        instead = advice.get(unknown) or (f"{close[0]}=..." if close else "")
        end = f"; write {instead}" if instead else f"; it takes {', '.join(known)}"
        raise TypeError(f"{name}() has no argument {unknown!r}{end}")

    return call


def by_name(instead: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """What to write, by every name that stands for it."""
    return {name: advice for advice, names in instead.items() for name in names}
