"""`python -m tests.engine.sweep_windows`: every windowed layer over all small images, beside the formulas.

Without arguments all cases, some hours on one processor; --part 3/16 is the third of sixteen parts, to run
beside each other, --share 0.02 a random fiftieth.  Ends with 1 where a kernel disagrees.
"""

from __future__ import annotations

import argparse
import sys
import time

from tests.engine.windows import Sweep, disagreements

SHOWN = 20  # disagreements that are printed
SECONDS = 10  # between two lines of progress


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.engine.sweep_windows", description=__doc__, allow_abbrev=False
    )
    parser.add_argument("--part", default="1/1", metavar="I/N", help="part I of N, from 1; default: all")
    parser.add_argument("--share", type=float, default=1.0, help="a random share of the cases; default: all")
    parser.add_argument("--draw", type=int, default=0, help="which random share; default: %(default)s")
    parser.add_argument(
        "--rounds", type=int, default=1, help="pairings of rows with columns; default: %(default)s"
    )
    arguments = parser.parse_args()
    part, parts = (int(number) for number in arguments.part.split("/"))
    sweep = Sweep(arguments.rounds)
    numbers = range(len(sweep)) if arguments.share >= 1 else sweep.drawn(arguments.share, arguments.draw)
    numbers = numbers[part - 1 :: parts]
    began = said = time.monotonic()
    wrong: list[str] = []
    cases = 0
    for done, number in enumerate(numbers, 1):
        found = disagreements(sweep[number], number)
        for line in found[: max(0, SHOWN - len(wrong))]:
            print(f"case {number}: {line}", flush=True)
        cases += bool(found)
        wrong += found
        now = time.monotonic()
        if now - said >= SECONDS or done == len(numbers):
            left = (now - began) / done * (len(numbers) - done)
            print(f"{done} of {len(numbers)} cases, {cases} disagree, {left / 60:.0f} min left", flush=True)
            said = now
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
