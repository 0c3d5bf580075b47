"""Arguments that forward takes by keyword, and verify, too: f(x, *, W, b) with args=(x,), W=W, b=b."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.verifying.subjects.calls.arguments import parameters_of
from chainrule.verifying.subjects.calls.carriers import carried


@dataclass(frozen=True, eq=False)
class ByKeyword:
    """The function, its last arguments by their place here. count: of those that it takes by place."""

    function: Any
    count: int
    words: tuple[str, ...]

    def __call__(self, *values: Any) -> Any:
        named = dict(zip(self.words, values[self.count :], strict=True))
        return self.function(*values[: self.count], **named)

    @property
    def __name__(self) -> str:
        return str(getattr(self.function, "__name__", type(self.function).__name__))

    @property
    def __signature__(self) -> inspect.Signature:
        by_place = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        known = [p.name for p in parameters_of(self.function) if p.kind in by_place]
        names = [*known[: self.count], *(f"argument_{n}" for n in range(len(known), self.count)), *self.words]
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        return inspect.Signature([inspect.Parameter(name, kind) for name in names])


def with_keywords(
    given: Any, args: Sequence[Any], names: Any, options: Mapping[str, Any], like: Any
) -> tuple[Any, Sequence[Any], Any, dict[str, Any]]:
    """(what was handed in, args, names, what is left of the options) with forward's keywords among args.

    Of what `like` may take, too, arrays are forward's, and what it cannot do without is both's.
    """
    pair = isinstance(given, (tuple, list)) and len(given) == 2 and all(map(callable, given))
    forward = given[0] if pair else given
    if not options or not (inspect.isroutine(forward) or pair) or not isinstance(args, Sequence):
        return given, args, names, dict(options)
    known = [p for p in parameters_of(forward) if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    behind = [p for n, p in enumerate(known) if n >= len(args) or p.kind is p.KEYWORD_ONLY]
    told = [p for p in behind if p.name in options]
    needed = {p.name for p in told if p.default is p.empty}
    taken = [p.name for p in told if like is None or p.name in needed or _is_array(options[p.name])]
    if not taken:
        return given, args, names, dict(options)
    kept = [name for name in taken if like is not None and not _is_array(options[name])]
    made = ByKeyword(forward, len(args), tuple(taken))
    rest = {name: value for name, value in options.items() if name not in taken or name in kept}
    values = (*args, *(options[name] for name in taken))
    labels = names if names is None or len(names) != len(args) else [*names, *taken]
    return ((made, given[1]) if pair else made), values, labels, rest


def _is_array(value: Any) -> bool:
    return isinstance(value, (np.ndarray, list)) or carried(value) is not None
