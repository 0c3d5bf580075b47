"""SIGTERM, Ctrl-C and SIGHUP while a training keeps checkpoints: noted at once, obeyed once one is written.

A handler of the calling program's is called then, as if the signal came at that moment.  A second signal
finds the handlers that were there before, so that whoever cannot wait is not made to.  A signal that the
program was started to ignore stays ignored.

Of several ranks each may be told by whoever ends them all, by mpiexec, and by the others: for a second
these are one signal.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SECONDS_OF_ONE = 1.0
NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # there is no SIGHUP on Windows


class Asked:
    """What has been asked for: the number of a signal, None so far."""

    number: int | None = None

    def __init__(self, several: bool = False) -> None:
        self.before: dict[int, Any] = {}
        self.several, self.since = several, 0.0

    def note(self, number: int, _: FrameType | None) -> None:
        now = time.monotonic()
        if self.number is not None and now - self.since < SECONDS_OF_ONE:
            return
        again, self.number, self.since = self.number is not None, number, now
        if again or not self.several:
            self.put_back()
        if again:
            signal.raise_signal(number)

    def put_back(self) -> None:
        """The handlers that were there before."""
        for number, handler in self.before.items():
            if signal.getsignal(number) == self.note:
                signal.signal(number, handler)

    def obey(self) -> None:
        """Do what the signal does without checkpoints; of one that would kill the process, SystemExit with
        the code that shells give, so that `finally` blocks run.
        """
        number, self.number = self.number, None
        if number is None:
            return
        self.put_back()
        if self.before.get(number) is signal.SIG_DFL:
            raise SystemExit(128 + number)
        signal.raise_signal(number)
        self.listen()  # a handler of the program's has let training go on

    def listen(self) -> None:
        """Note the signals from now on."""
        for number in self.before:
            signal.signal(number, self.note)


@contextmanager
def listening(asked: Asked) -> Iterator[None]:
    """Let `asked` note the signals within; afterwards their handlers are what they were.

    In threads other than the main one nothing is handled: it alone gets signals.
    """
    if threading.current_thread() is threading.main_thread():
        for name in NAMES:
            number = getattr(signal, name, None)
            handler = None if number is None else signal.getsignal(number)
            if number is not None and handler not in (None, signal.SIG_IGN):
                asked.before[number] = handler
        asked.listen()
    try:
        yield
    finally:
        asked.put_back()
