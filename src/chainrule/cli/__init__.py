"""The command line: `chainrule train | predict | check | explain | doctor | oracles | bench | info`.

Exit codes: 0 all well; 1 a gradient check or an oracle failed, or training produced NaN or infinity; 2 wrong
arguments, missing or malformed files, with one line on stderr; 3 an error of chainrule itself, with one line
as well; 130 after Ctrl-C, 143 after SIGTERM and 129 after SIGHUP, with a usable model in the run folder.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from contextlib import suppress

from chainrule.cli import ending
from chainrule.cli.arguments import build_parser
from chainrule.cli.output import complain, drop_output, flush_output, reason, streams, told_warnings
from chainrule.errors import ChainruleError, NonFiniteError
from chainrule.shown import quoted

__all__ = ["main"]

failed, refused, own_error, interrupted = 1, 2, 3, 130
TRACEBACK = "CHAINRULE_TRACEBACK"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; `argv` is sys.argv[1:] by default. Returns the exit code."""
    try:
        with streams() as closed, told_warnings(), ending.handled():
            return command(argv, closed=closed)
    except KeyboardInterrupt as error:  # as the last line was about to be left
        return code_of(error)


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
        return code_of(error)
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


def code_of(error: KeyboardInterrupt) -> int:
    return error.code if isinstance(error, ending.Ended) else interrupted


def has_product(arguments: argparse.Namespace) -> bool:
    """Whether the command makes a file, so that what it prints is not its result."""
    files = (getattr(arguments, name, None) for name in ("output", "json"))
    run = getattr(arguments, "run", None)  # none of --help and --version
    return (run is not None and run.module == "train") or any(isinstance(name, str) for name in files)
