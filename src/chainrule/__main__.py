"""`python -m chainrule`: the command line."""

from __future__ import annotations

import sys


def run() -> int:
    """The command line; Ctrl-C while it is still being loaded ends it with a line, too."""
    try:
        from chainrule.cli import main

        return main()
    except KeyboardInterrupt:
        print("chainrule: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(run())
