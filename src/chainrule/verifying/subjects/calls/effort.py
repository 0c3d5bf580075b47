"""What a call of somebody's code costs: counted in lines, not timed: a busy machine answers the same."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from functools import partial
from types import CodeType, FrameType
from typing import Any

from chainrule.base.types import Array
from chainrule.verifying.subjects.calls.running import installed

# Calls within libraries, of which JAX makes thousands, are counted as this part of a line each; a line costs
# as much again where it is of arrays of so many entries.  A line is 2 us of work.
CALLS_PER_LINE, ENTRIES_PER_LINE = 2, 2_000


def effort(run: Callable[[], object], most: int, args: Iterable[Array] = ()) -> int:
    """Of a call, in lines, at most about `most`.  args: the arrays that it works on."""
    lines = 0

    def line(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal lines
        lines += event == "line"
        return line if lines < most else None

    def call(frame: FrameType, event: str, argument: object) -> Any:
        return line if lines < most and is_theirs(frame.f_code) else None

    calls = calls_run(partial(_hooked, sys.gettrace, sys.settrace, call, run))
    lines = max(lines, calls // CALLS_PER_LINE)
    return lines * (ENTRIES_PER_LINE + max((value.size for value in args), default=0)) // ENTRIES_PER_LINE


def calls_run(run: Callable[[], object]) -> int:
    """How many functions a call runs, those of libraries among them."""
    count = 0

    def note(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    profiled(run, note)
    return count


def profiled(run: Callable[[], object], note: Callable[[FrameType, str, object], None]) -> None:
    _hooked(sys.getprofile, sys.setprofile, note, run)


def _hooked(
    get: Callable[[], Any], put: Callable[[Any], object], hook: Callable[..., Any], run: Callable[[], object]
) -> None:
    before = get()
    put(hook)
    try:
        run()
    finally:
        put(before)


def is_theirs(code: CodeType) -> bool:
    return not installed(code.co_filename) and not code.co_filename.startswith("<frozen")
