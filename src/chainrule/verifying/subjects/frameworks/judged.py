"""Which of several outputs is judged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule.base.errors import ArgumentError, DataError, describe
from chainrule.base.languages import Say
from chainrule.verifying.texts import TEXTS


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
