"""The command line: `chainrule train | data | predict | check | explain | doctor | verify | oracles | ...`.

In: the command line.  Out: files, results on standard output, an exit status.
Knows: everything.

Exit codes: 0 all well; 1 a gradient check or an oracle failed, training produced NaN or infinity, or `verify`
says wrong; 2 wrong arguments, missing or malformed files, code for `verify` that could not be run, with one
line on stderr; 3 an error of chainrule itself, with one line as well; 4 `verify` cannot tell; 130 after
Ctrl-C, 143 after SIGTERM and 129 after SIGHUP, with a usable model in the run folder.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from chainrule.cli import ending

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; `argv` is sys.argv[1:] by default. Returns the exit code."""
    try:
        with ending.handled():
            from chainrule.cli.running import run

            return run(argv)
    except KeyboardInterrupt as error:  # while that was loaded, or as the last line was about to be left
        print(f"chainrule: {str(error) or 'interrupted'}", file=sys.stderr)
        return ending.code_of(error)
