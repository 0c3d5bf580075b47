"""The command line: `chainrule train | predict | check | oracles | bench | info`.

Exit codes: 0 all well; 1 a gradient check or an oracle failed, or training produced NaN or infinity; 2 wrong
arguments, missing or malformed files, with one line on stderr; 130 after Ctrl-C, with a usable model in the
run folder.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Sequence

from chainrule.cli.arguments import build_parser
from chainrule.errors import ChainruleError, NonFiniteError

__all__ = ["main"]

failed, refused, interrupted = 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; `argv` is sys.argv[1:] by default. Returns the exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors in ("strict", "surrogateescape"):
        sys.stdout.reconfigure(errors="replace")  # δ where the output is ASCII is a "?", not an end
    try:
        arguments = build_parser().parse_args(argv)
        code: int = arguments.run(arguments)
        sys.stdout.flush()
        return code
    except SystemExit as leaving:  # argparse: --help, --version and wrong arguments
        return leaving.code if isinstance(leaving.code, int) else failed
    except KeyboardInterrupt:
        complain("interrupted")
        return interrupted
    except NonFiniteError as error:
        complain(error)
        return failed
    except ChainruleError as error:
        complain(error)
        return refused
    except BrokenPipeError:  # `chainrule predict ... | head` has read enough
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return failed
    except MemoryError as error:
        complain(f"not enough memory: {error}")
        return refused
    except OSError as error:
        complain(f"{error.filename}: {error.strerror}" if error.filename else error)
        return refused


def complain(message: object) -> None:
    """One line on stderr."""
    print("chainrule:", " ".join(str(message).split()), file=sys.stderr)
