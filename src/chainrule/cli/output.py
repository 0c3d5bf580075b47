"""What the commands say: results on standard output, one line on standard error for what went wrong.

Everything that a command prints passes here, so a label or a path cannot command the terminal.  The streams
may be closed, full, or read by nobody any more: `streams` sees to it that this ends no training.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import warnings
from collections.abc import Iterator
from typing import TextIO

from chainrule.base.shown import LONGEST_MESSAGE, clipped, shown


def say(text: object = "") -> None:
    """A line, or several, on standard output."""
    with standard_output():
        print(shown(str(text)))


def tell(text: object = "") -> None:
    """The same from a command whose product is a file, which is made whether or not somebody reads this."""
    try:
        say(text)
        flush_output()
    except OSError:
        drop_output()


def complain(message: object, program: str = "chainrule") -> None:
    """One line on standard error."""
    line = clipped(" ".join(shown(str(message)).split()), LONGEST_MESSAGE)
    with contextlib.suppress(OSError):
        print(f"{program}: {line}", file=sys.stderr)


def remark(text: str) -> None:
    """A line on standard error that is no complaint."""
    with contextlib.suppress(OSError):
        print(shown(text), file=sys.stderr)


def reason(error: BaseException) -> str:
    """What an error of any kind says, with its kind where it says little by itself."""
    from chainrule.base.errors import ChainruleError

    said = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
    if isinstance(error, ChainruleError | OSError) and said:
        return said
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def flush_output() -> None:
    """Raise OSError that names standard output where it did not take what was printed."""
    with standard_output():
        sys.stdout.flush()


@contextlib.contextmanager
def standard_output() -> Iterator[TextIO]:
    """The stream, an error of which gets its name."""
    try:
        yield sys.stdout
    except BrokenPipeError:
        raise
    except OSError as error:
        drop_output()
        raise OSError(error.errno, error.strerror, "standard output") from None


def drop_output() -> None:
    """Let what is still to be written to standard output go nowhere: it has no reader or no room."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


@contextlib.contextmanager
def told_warnings() -> Iterator[None]:
    """A warning is a line of its own, without the place in the program that it comes from."""
    with warnings.catch_warnings():
        warnings.filterwarnings("default", category=UserWarning)
        warnings.showwarning = lambda message, *_, **__: complain(f"warning: {message}")
        yield


@contextlib.contextmanager
def streams() -> Iterator[bool]:
    """Three open streams, whatever the program was started with; gives whether standard output was closed."""
    before = sys.stdin, sys.stdout, sys.stderr
    opened = [
        open(os.devnull, mode, encoding="utf-8") if stream is None else None  # noqa: SIM115 - closed below
        for stream, mode in zip(before, "rww", strict=True)
    ]
    sys.stdin, sys.stdout, sys.stderr = (mine or given for mine, given in zip(opened, before, strict=True))
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors in ("strict", "surrogateescape"):
        sys.stdout.reconfigure(errors="replace")  # δ where the output is ASCII is a "?", not an end
    try:
        yield before[1] is None
    finally:
        sys.stdin, sys.stdout, sys.stderr = before
        for mine in filter(None, opened):
            mine.close()
