"""Which of several outputs is judged, and whether they are outputs, or a value and its gradients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, DataError, describe
from chainrule.base.languages import Say
from chainrule.verifying.subjects.calls.arguments import Arguments
from chainrule.verifying.subjects.calls.returned import key_of
from chainrule.verifying.texts import TEXTS

TARGETS = frozenset(("y", "t", "target", "targets", "label", "labels", "y_true", "truth"))


def judged(out: Sequence[Any], likely: Sequence[int], output: int | None, title: str, kind: str) -> int:
    """The number that is asked for, else the first of the likely.

    Raises ArgumentError where there are not so many, DataError where none is a `kind`, "a tensor".
    """
    if output is None and likely:
        return likely[0]
    if output is None:
        raise DataError(f"{title} returned {describe(out[0])}: verify takes functions that return {kind}")
    if output >= len(out):
        raise ArgumentError(f"output is {output}, and {title} returns {len(out)}")
    return output


def told(out: Sequence[Any], place: int) -> tuple[Say, ...]:
    """The note on which it is, where there are several."""
    return (TEXTS.say("subject.output", number=place, count=len(out)),) if len(out) > 1 else ()


def gradients_follow(out: Sequence[Any], arguments: Arguments) -> bool:
    """Whether what was returned is a number and gradients of arguments: a dict with their names, or arrays of
    their shapes in their order, axes exchanged or not.

    What has the shape of the target alone is a prediction; numbers are gradients of numbers alone.
    """
    if len(out) < 2 or _shape(out[0]) is None or np.prod(_shape(out[0]) or ()) != 1:
        return False
    floats = {
        name: array.shape
        for name, array in zip(arguments.names, arguments.arrays, strict=True)
        if array.dtype.kind == "f"
    }
    rest = out[1] if len(out) == 2 else tuple(out[1:])
    if isinstance(rest, Mapping):
        keys = {name: key_of(name, rest) for name in floats}
        return any(key is not None and _alike(_shape(rest[key]), floats[n]) for n, key in keys.items())
    left, matched = iter(floats.items()), []
    for shape in map(_shape, _leaves(rest)):
        name = None if shape is None else next((name for name, of in left if _alike(shape, of)), None)
        if name is None:
            return False
        matched.append(name)
    of_numbers = all(floats[name] == () for name in matched) and any(floats.values())
    of_target = set(map(str.lower, matched)) <= TARGETS and len(floats) > len(matched)
    return bool(matched) and not of_numbers and not of_target


def _leaves(value: Any) -> Iterator[Any]:
    """The arrays in lists and dicts, None left out."""
    if isinstance(value, (Mapping, list, tuple)):
        for entry in value.values() if isinstance(value, Mapping) else value:
            yield from _leaves(entry)
    elif value is not None:
        yield value


def _shape(value: Any) -> tuple[int, ...] | None:
    """Of an array or a number, None of anything else."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return ()
    shape = getattr(value, "shape", None)
    return None if shape is None or "float" not in str(getattr(value, "dtype", "")) else tuple(shape)


def _alike(shape: tuple[int, ...] | None, other: tuple[int, ...]) -> bool:
    return shape is not None and sorted(shape) == sorted(other)
