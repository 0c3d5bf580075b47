"""Arguments by the names of other libraries: the TypeError says what to write here.

What it says is loaded with the first such error: right calls need none of it.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from chainrule.base.shown import clipped

F = TypeVar("F", bound=Callable[..., Any])

# How alike a slip of the pen is: "unit" for units 0.89, "stide" for stride 0.91. At difflib's 0.6 words with
# a meaning of their own passed for one: "initial_state" for initializer.
SPELLING = 0.8


def teach(positions: str = "the others by name", **meanings: str) -> Callable[[F], F]:
    """Decorate a function, an __init__ or a class: an unknown keyword raises TypeError with what
    `chainrule.base.foreign` says of it, too many arguments without a name one with `positions`, which
    completes "write ...", and a missing one says which, and what it is where `meanings` has it. In the
    `positions` of a base's __init__ {name} is the class that was called.
    """

    def decorate(target: F) -> F:
        if isinstance(target, type):
            target.__init__ = _taught(target.__init__, positions, meanings)  # type: ignore[misc]
            return target
        return _taught(target, positions, meanings)  # type: ignore[return-value]

    return decorate


def depth_of_caller() -> int:
    """The `stacklevel` of a warning, given by the function that asks, that belongs to the first line outside
    this package, however many calls lie between, those of its context managers among them.
    """
    own = ("chainrule", "contextlib")
    frame, depth = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").split(".")[0] in own:
        frame, depth = frame.f_back, depth + 1
    return depth


def _taught(function: Callable[..., Any], positions: str, meanings: Mapping[str, str]) -> Callable[..., Any]:
    parameters = inspect.signature(function).parameters
    method = next(iter(parameters)) in ("self", "cls")
    known = [name for name in parameters if name not in ("self", "cls")]
    most = sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters.values())
    needed = [name for name in known if parameters[name].default is inspect.Parameter.empty]

    enough = method + max((known.index(name) + 1 for name in needed), default=0)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if not kwargs and enough <= len(args) <= most:
            return function(*args)
        unknown = next((name for name in kwargs if name not in known), None)
        missing = [name for name in needed if name not in kwargs and name not in known[: len(args) - method]]
        if unknown is None and len(args) <= most and not missing:
            return function(*args, **kwargs)
        constructor = method and function.__name__ == "__init__"
        name = type(args[0]).__name__ if constructor else function.__name__
        written = positions.replace("{name}", name)
        if unknown is not None:
            bases = _names(function, args[0] if method and args else None)
            said = _answer(unknown, kwargs[unknown], known, bases)
            raise TypeError(f"{name}() has no argument {clipped(repr(unknown))}{said}")
        if len(args) > most:
            taken = f"{name}() takes {most - method} by position, received {len(args) - method}"
            by_value = vars(type(args[0])).get("_by_position") if constructor else None  # of that very class
            raise TypeError(f"{taken}; write {by_value(args[1]) if by_value else written}")
        whole = written.split()[0].removeprefix("network.").startswith(f"{name}(")  # the call itself
        form = written if whole else f"{name}({_call(needed)})"
        what = ", ".join(f"{m}, {meanings[m]}" if m in meanings else m for m in missing)
        raise TypeError(f"{name}() needs {what}: write {form}")

    return call


def _names(function: Callable[..., Any], owner: Any) -> list[str]:
    """What the tables know it by: a function's name, a class and its bases, a method of one of them."""
    if owner is None:
        return [function.__qualname__]
    classes = (owner if isinstance(owner, type) else type(owner)).__mro__
    ending = "" if function.__name__ == "__init__" else f".{function.__name__}"
    return [f"{base.__name__}{ending}" for base in classes]


def advice_on(cls: type[Any], unknown: str, value: Any, known: Iterable[str]) -> str:
    """What an error on an unknown argument of a class ends with: "; write epochs=100"; "" where nothing is
    known of it.
    """
    said = _answer(unknown, value, list(known), [base.__name__ for base in cls.__mro__])
    return "" if said.startswith("; it takes") else said


def _answer(unknown: str, value: Any, known: Sequence[str], bases: Sequence[str]) -> str:
    """What ends the sentence: the advice, the argument that is spelt nearly so, or those that there are."""
    import difflib

    from chainrule.base.foreign import KNOWN, advice_for, answer
    from chainrule.base.foreign.words import of_value

    words = advice_for(bases)
    if unknown in words:
        return answer(of_value(words[unknown], value))
    same = [name for name in known if name.lower() == unknown.lower()]
    close = same if same or unknown in KNOWN else difflib.get_close_matches(unknown, known, 1, SPELLING)
    return f"; write {close[0]}=..." if close else f"; it takes {', '.join(known) or 'none'}"


def _call(needed: Sequence[str]) -> str:
    return ", ".join(f"{name}=..." for name in needed)
