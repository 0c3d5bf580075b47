"""One command: run, and what it raises told in a line."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from contextlib import suppress

from chainrule.base.errors import ChainruleError, NonFiniteError
from chainrule.base.shown import quoted
from chainrule.cli import ending
from chainrule.cli.arguments import build_parser
from chainrule.cli.output import complain, drop_output, flush_output, reason, streams, told_warnings

failed, refused, own_error = 1, 2, 3
TRACEBACK = "CHAINRULE_TRACEBACK"


def run(argv: Sequence[str] | None) -> int:
    """The exit code of a command; standard output may be closed."""
    with streams() as closed, told_warnings():
        return command(argv, closed=closed)


def command(argv: Sequence[str] | None, *, closed: bool) -> int:
    """The exit code of the command, whose errors are told in a line."""
    try:
        arguments, code = argparse.Namespace(), 0
        try:
            arguments = build_parser().parse_args(argv)
            code = arguments.run(arguments)
        except SystemExit as leaving:  # argparse: --help, --version and wrong arguments
            if leaving.code:
                return leaving.code if isinstance(leaving.code, int) else failed
        flush_output()
        if closed and not has_product(arguments):
            complain("standard output is closed, so the result is lost")
            return failed
        return code
    except KeyboardInterrupt as error:
        complain(str(error) or "interrupted")
        return ending.code_of(error)
    except NonFiniteError as error:
        complain(error)
        return failed
    except ChainruleError as error:
        complain(error)
        return refused
    except BrokenPipeError:  # `chainrule predict ... | head` has read enough
        drop_output()
        return failed
    except MemoryError as error:
        complain(f"not enough memory: {error}" if str(error) else "not enough memory")
        return refused
    except OSError as error:
        with suppress(OSError):
            flush_output()  # what is still to be written has no room either: it goes nowhere
        complain(f"{error.filename}: {error.strerror}" if error.filename else reason(error))
        return refused
    except UnicodeEncodeError as error:
        complain(f"'{quoted(error.object)}' holds a character that no name of a file holds")
        return refused
    except Exception as error:
        if os.environ.get(TRACEBACK):
            raise
        complain(f"an error of chainrule itself, {reason(error)}; {TRACEBACK}=1 shows where")
        return own_error


def has_product(arguments: argparse.Namespace) -> bool:
    """Whether the command makes a file, so that what it prints is not its result."""
    files = (getattr(arguments, name, None) for name in ("output", "json"))
    run = getattr(arguments, "run", None)  # none of --help and --version
    return (run is not None and run.module == "train") or any(isinstance(name, str) for name in files)
