"""Signals that ask a command to end: Ctrl-C, and as it SIGTERM (Slurm, `docker stop`, `kill`) and SIGHUP (the
terminal was closed).

The first one raises `Ended` in the main thread, which ends a training as Ctrl-C does; where files are being
written, once they are.  The second Ctrl-C or SIGTERM ends the program at once; a second SIGHUP means nothing,
since a shell and the terminal both send one.  A signal that the program was started to ignore (`nohup`, a job
in the background of a script) stays ignored, and one that the calling program handles stays its own.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # there is no SIGHUP on Windows


class Ended(KeyboardInterrupt):
    """A signal asked the command to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    @property
    def code(self) -> int:
        """The exit code that shells give to a program that ended by this signal."""
        return 128 + self.number

    def __str__(self) -> str:
        name = signal.Signals(self.number).name
        return "interrupted" if name == "SIGINT" else f"ended by {name}"


def code_of(error: KeyboardInterrupt) -> int:
    """The exit code after Ctrl-C or another signal that asked the command to end."""
    return error.code if isinstance(error, Ended) else 128 + signal.SIGINT


class _State:
    """Of the command that runs: there is one at a time in the main thread."""

    handled: tuple[int, ...] = ()
    pending: int | None = None
    deferred = False


_state = _State()


@contextmanager
def handled() -> Iterator[None]:
    """Handle the signals within; afterwards their handlers are what they were."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers, and it alone gets the signals
        return
    numbers = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    defaults = (signal.SIG_DFL, signal.default_int_handler)
    free = {number: old for number, old in before.items() if old in defaults}
    outer = _state.handled, _state.pending, _state.deferred
    _state.handled, _state.pending, _state.deferred = tuple(free), None, False
    try:
        for number in free:
            signal.signal(number, _handle)
        yield
    finally:
        for number, old in free.items():
            signal.signal(number, old)
        _state.handled, _state.pending, _state.deferred = outer


@contextmanager
def deferred() -> Iterator[None]:
    """Let a signal wait until the block is done."""
    before, _state.deferred = _state.deferred, True
    try:
        yield
    finally:
        _state.deferred = before
    _raise_pending()


@contextmanager
def at_once() -> Iterator[None]:
    """Within `deferred`: a signal ends this block."""
    before, _state.deferred = _state.deferred, False
    try:
        _raise_pending()
        yield
    finally:
        _state.deferred = before


def _handle(number: int, _: FrameType | None) -> None:
    for other in _state.handled:  # the next one ends the program, even in the midst of compiled code
        signal.signal(other, signal.SIG_IGN if signal.Signals(other).name == "SIGHUP" else signal.SIG_DFL)
    if _state.deferred:
        _state.pending = number
    else:
        raise Ended(number)


def _raise_pending() -> None:
    number, _state.pending = _state.pending, None
    if number is not None and not _state.deferred:
        raise Ended(number)
