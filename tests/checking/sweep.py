"""`python -m tests.checking.sweep [NUMBER]`: how often the gradient check is right, on random networks.

Every network is checked as it is, where every WRONG is a false alarm, and with a mistake in one formula: it
is found, or the check says that it cannot tell, or it is missed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from chainrule.base.errors import ChainruleError
from tests.checking.random_problems import Planted, Problem, plant, problem

FEW: dict[str, Any] = {"entries": 6, "direction": True}  # per array: four times as fast as the default


def verdict_of_correct(of: Problem) -> str:
    """ "ok", "cannot tell" or "false alarm"; "refused" where J is not finite."""
    try:
        report = of.check(**FEW)
    except ChainruleError:
        return "refused"
    return "false alarm" if report.wrong else "ok" if report.ok else "cannot tell"


def verdict_of_wrong(of: Problem, planted: Planted, changes: dict[str, float]) -> str:
    """ "found", "cannot tell" where no array with the mistake is called ok without a remark, or "missed"."""
    with planted.made():
        report = of.check(engine="reference", **FEW)
    if report.wrong:
        return "found"
    unsaid = [name for name in changes if report[name].kind == "ok" and not report[name].reason]
    return "missed" if unsaid else "cannot tell"


def sweep(seeds: Iterable[int], counts: Counter[tuple[str, str, str]]) -> None:
    """Count the verdicts on the seeds' networks; print a line where one is not what it should be."""
    for seed in seeds:
        for ordinary in (False, True)[: 1 + (seed % 4 == 0)]:
            of = problem(seed, ordinary)
            place = f"seed {seed}{', ordinary' * ordinary}: {of.data} data, {of.weights} weights"
            where = "ordinary" if of.ordinary else "extreme"
            found = verdict_of_correct(of)
            counts["correct", where, found] += 1
            if found == "false alarm":
                print(f"false alarm: {place}")
            if found == "refused" or (drawn := plant(of)) is None:
                continue
            planted, changes = drawn
            found = verdict_of_wrong(of, planted, changes)
            counts["wrong", where, found] += 1
            if found == "missed" or (found == "cannot tell" and of.ordinary):
                print(f"{found}: {place}; {planted}; changes {changes}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.checking.sweep", description=__doc__)
    parser.add_argument("number", nargs="?", type=int, default=2000, help="of networks (default: 2000)")
    parser.add_argument("--from", type=int, default=0, dest="start", help="the first seed")
    arguments = parser.parse_args()
    counts: Counter[tuple[str, str, str]] = Counter()
    begin = time.monotonic()
    with suppress(KeyboardInterrupt):  # Ctrl-C: the counts so far
        sweep(range(arguments.start, arguments.start + arguments.number), counts)
    for (what, where, found), count in sorted(counts.items()):
        print(f"{what:8} {where:9} {found:12} {count}")
    print(f"{time.monotonic() - begin:.0f} s")
    return int(any(found in ("false alarm", "missed") for _, _, found in counts))


if __name__ == "__main__":
    sys.exit(main())
