"""A line of a terminal that is written again while something takes its time."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress

from chainrule.base.shown import shown
from chainrule.training.progress import line_width

SECONDS_BETWEEN = 0.2


class Line:
    """On standard error where that is a terminal, else nothing.  after: seconds from which on it is shown."""

    def __init__(self, after: float = 0.0) -> None:
        self.started = time.perf_counter()
        self.next = self.started + after
        self.written = False
        self.on = sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"

    @property
    def seconds(self) -> float:
        """Since it was made."""
        return time.perf_counter() - self.started

    def show(self, text: str) -> None:
        """Another text, unless there was one just now."""
        now = time.perf_counter()
        if self.on and now >= self.next:
            self.next = now + SECONDS_BETWEEN
            self._write(text)

    def close(self) -> None:
        """The line is empty again."""
        if self.written:
            self._write("")

    def erase(self) -> None:
        """Whatever another process has left on it is gone."""
        if self.on:
            self._write("")

    def _write(self, text: str) -> None:
        self.written = True
        with suppress(OSError, ValueError):  # ValueError: a stream that is closed
            sys.stderr.write("\r\x1b[K" + shown(text)[: line_width()])
            sys.stderr.flush()
