"""python -m tests.verifying.museum.sweep [buggy | unseen | right] [family ...]: all cases, and a table."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterable

from tests.verifying.museum.case import Case

OUTCOMES = ("named", "other", "unnamed", "right", "cannot tell", "not accepted", "crash")


def run(cases: Iterable[Case], verbose: bool = True) -> dict[str, Counter[str]]:
    """Family -> how many of its cases had which outcome; what is not named is printed."""
    table: dict[str, Counter[str]] = {}
    for case in cases:
        start = time.perf_counter()
        outcome, said = case.outcome()
        table.setdefault(case.family, Counter())[outcome] += 1
        if verbose and outcome != "named":
            seconds = time.perf_counter() - start
            print(f"{case.family}.{case.name}: {outcome} ({seconds:.1f} s), meant: {case.mistake}")
            print("    " + said.replace("\n", "\n    ")[:1200])
    return table


def show(title: str, table: dict[str, Counter[str]]) -> None:
    print(f"\n{title:14}" + "".join(f"{outcome:>14}" for outcome in OUTCOMES))
    for family, counts in [*table.items(), ("all", sum(table.values(), Counter()))]:
        print(f"{family:14}" + "".join(f"{counts[outcome]:>14}" for outcome in OUTCOMES))


def main(words: list[str]) -> None:
    wanted = [word for word in words if word in ("buggy", "unseen", "right")] or ["buggy", "unseen", "right"]
    families = set(words) - {"buggy", "unseen", "right"}
    if "buggy" in wanted:
        from tests.verifying.museum.buggy import CASES

        show("buggy", run(case for case in CASES if not families or {case.family, case.name} & families))
    if "unseen" in wanted:
        from tests.verifying.museum.unseen import CASES as UNSEEN

        show("unseen", run(case for case in UNSEEN if not families or {case.family, case.name} & families))
    if "right" in wanted:
        from tests.verifying.museum.right import report

        report(families)


if __name__ == "__main__":
    main(sys.argv[1:])
