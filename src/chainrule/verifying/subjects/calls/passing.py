"""What a backward pass is called with: its parameters are recognised by their names, else by their places.

(dout, cache), (dout, *cache), (cache, dout), (dout, x, w, b), (dA, cache, activation), (dh, dc, cache),
(output_gradient, learning_rate), and the same by keyword.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from chainrule.base.errors import ArgumentError
from chainrule.verifying.subjects.calls.arguments import parameters_of, signature_of

# Names of δ, of what forward kept, and of the step that some take within backward.
DELTA = re.compile(
    r"d\d*|d_?[a-z]{1,2}\d*|d_?(out|next|prev|up|val|loss|act|cost|score|logit|top|hidden|cell|last|final)\w*"
    r"|dl_?d\w*|∂\w*|\w*(grad|delta|δ|upstream|error)\w*|err|out_?delta|top_?diff|g|gy|gz|ga|go|gout",
    re.IGNORECASE,
)
CACHE = re.compile(
    r"(cache|ctx|context|saved|memory|mem|tape|fwd|state|kept|residuals$|res$)\w*", re.IGNORECASE
)
RATES = ("learning_rate", "learningrate", "lr", "eta", "rate", "step_size")
_WORDS = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True, eq=False)
class Passed:
    """What forward left for backward.

    pieces: what it returned behind its output; out: the output; inputs: what it was called with, by name;
    options: the names of those that are no arrays.
    """

    pieces: tuple[Any, ...]
    out: Any
    inputs: Mapping[str, Any]
    options: Sequence[str]


def deltas_of(backward: Any, inputs: Sequence[str]) -> list[str]:
    """The parameters that take δ: those with such a name; several before a cache that begin with a d,
    dfirst and dsecond, or before one thing of any name that forward has not, dloss, dpen and c; else the
    first that is neither a cache nor one of forward's.
    """
    names = [parameter.name for parameter in parameters_of(backward) if _taken(parameter)]
    begin = list(takewhile(lambda name: name[:1] == "d" and name not in inputs, names))
    behind = names[len(begin) :]
    alone = len(behind) == 1 and behind[0] not in inputs
    if len(begin) > 1 and behind and (alone or CACHE.fullmatch(behind[0])):
        return begin
    named = [name for name in names if DELTA.fullmatch(name) and name not in inputs]
    others = [name for name in names if name not in inputs and not CACHE.fullmatch(name)]
    return named or others[:1] or names[:1]


def without_delta(
    backward: Any, inputs: Sequence[str], *, by_place: bool, forward: Any = None
) -> list[str] | None:
    """Forward's arguments that it is called with where it takes no δ, a derivative; None where it takes one.

    It takes none where it takes nothing, or only what forward has by name; by_place: or as much as forward.
    forward: whose parameters these are, where backward may have all of them, those with a default, too.
    """
    try:
        parameters = list(signature_of(backward).parameters.values())
    except (TypeError, ValueError):
        return list(inputs) if by_place else None
    if not parameters:
        return []
    names = [parameter.name for parameter in parameters]
    if forward is not None and names == [each.name for each in parameters_of(forward)]:
        inputs = names  # Huber's delta, which forward has, too
    needed = [parameter.name for parameter in parameters if parameter.default is parameter.empty]
    if any(name not in inputs and (DELTA.fullmatch(name) or CACHE.fullmatch(name)) for name in names):
        return None
    if not needed or not all(map(_taken, parameters)):
        return None
    if all(name in inputs for name in needed):
        return needed
    return list(inputs) if by_place and len(needed) == len(inputs) else None


def call_of(
    backward: Any, deltas: Mapping[str, Any], passed: Passed, what: str = "backward", rate: float = 1.0
) -> tuple[list[Any], dict[str, Any]]:
    """Positional and named arguments of backward.  deltas: by parameter, of `deltas_of`.  rate: for learning.

    Raises ArgumentError for a parameter of which it is not known what it takes.
    """
    parameters = parameters_of(backward)
    if not parameters:
        return [*deltas.values(), *passed.pieces], {}
    chosen = dict(deltas)
    rest = [p for p in parameters if _taken(p) and p.name not in chosen]
    for parameter in rest:
        if parameter.name.lower() in RATES and parameter.name not in passed.inputs:
            chosen[parameter.name] = rate
    needed = [p.name for p in rest if p.default is p.empty and p.name not in chosen]
    spread = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    optional = [p.name for p in rest if p.default is not p.empty]
    chosen |= _filled(needed, passed, optional, spread, what)
    positional: list[Any] = []
    named: dict[str, Any] = {}
    for parameter in parameters:
        if parameter.kind is parameter.VAR_POSITIONAL:
            positional += _spread(passed.pieces)[len(needed) :]
        elif parameter.name in chosen:
            if parameter.kind in _WORDS and not named:
                positional.append(chosen[parameter.name])
            else:
                named[parameter.name] = chosen[parameter.name]
        elif parameter.kind in _WORDS and parameter.default is not parameter.empty:
            positional.append(parameter.default)  # what follows keeps its place
    return positional, named


def _filled(
    needed: list[str], passed: Passed, optional: list[str], spread: bool, what: str
) -> dict[str, Any]:
    """The values of the parameters that must be given, and of optional ones that forward has, too."""
    made = _from_pieces(needed, passed, optional, spread) if passed.pieces else _from_inputs(needed, passed)
    if made is None:
        count = len(passed.pieces)
        kept = f"{count} value{'s' * (count > 1)} behind its output" if count else "its output alone"
        raise ArgumentError(
            f"{what} takes {', '.join(needed)} beside δ, and forward returned {kept}: return (out, cache) "
            f"from forward and write backward(dout, cache), or name its parameters as those of forward "
            f"({', '.join(passed.inputs)})"
        )
    return {name: passed.inputs[name] for name in optional if name in passed.options} | made


def _from_inputs(needed: list[str], passed: Passed) -> dict[str, Any] | None:
    """Where forward kept nothing: its arguments by name, in order, or all of them as the cache."""
    values = list(passed.inputs.values())
    by_name = {name: passed.out for name in needed if name in ("out", "output", "y", "a", "z", "result")}
    by_name |= {name: passed.inputs[name] for name in needed if name in passed.inputs}
    if len(by_name) == len(needed):
        return by_name
    if len(values) == len(needed):
        return dict(zip(needed, values, strict=True))
    return {needed[0]: tuple(values)} if len(needed) == 1 else None


def _from_pieces(
    needed: list[str], passed: Passed, optional: list[str], spread: bool
) -> dict[str, Any] | None:
    """What forward kept, as it is, unpacked or packed; beside it forward's arguments by name."""
    inputs, pieces = passed.inputs, list(passed.pieces)
    if isinstance(pieces[0], Mapping) and len(pieces) == 1 and needed and all(n in pieces[0] for n in needed):
        return {name: pieces[0][name] for name in needed}
    beside = [name for name in needed if name in inputs]
    caches = [name for name in needed if CACHE.fullmatch(name) and name not in inputs]
    if len(caches) == len(pieces) == 1:
        rest = [name for name in needed if name not in (*caches, *beside)]
        options = [inputs[name] for name in passed.options if name not in beside]
        if len(rest) > len(options):
            return None
        named = {name: inputs[name] for name in beside}
        return {caches[0]: pieces[0]} | named | dict(zip(rest, options, strict=False))
    if not needed:
        return {} if spread else dict(zip(optional, pieces, strict=False))
    if len(needed) == 1 < len(pieces):
        return {needed[0]: tuple(pieces)}
    if len(needed) != len(pieces):
        pieces = _spread(pieces, len(needed))
    missing = len(needed) - len(pieces)
    if missing == 0 or (spread and missing < 0):
        return dict(zip(needed, pieces, strict=False))
    late = beside[-missing:] if 0 < missing <= len(beside) else []
    first = [name for name in needed if name not in late]
    if len(first) == len(pieces):
        return dict(zip(first, pieces, strict=True)) | {name: inputs[name] for name in late}
    values = [*pieces, *(inputs[name] for name in passed.options)]
    return dict(zip(needed, values, strict=True)) if len(values) == len(needed) else None


def _spread(pieces: Sequence[Any], wanted: int | None = None) -> list[Any]:
    """A single tuple's or list's entries, where so many are wanted."""
    if len(pieces) == 1 and isinstance(pieces[0], (tuple, list)) and wanted in (None, len(pieces[0])):
        return list(pieces[0])
    return list(pieces)


def _taken(parameter: inspect.Parameter) -> bool:
    return parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
