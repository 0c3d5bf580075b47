"""`chainrule oracles`: numbers from the literature beside ours."""

from __future__ import annotations

import argparse

from chainrule.cli.output import say


def run(arguments: argparse.Namespace) -> int:
    """Print the table; exit code 1 when a number is not reproduced."""
    from chainrule import oracles

    sources = [oracles.exercise(arguments.ex4)] if arguments.ex4 else []
    comparisons = list(oracles.compare([*oracles.SOURCES, *sources]))
    say(oracles.table(comparisons))
    not_run = sum(comparison.missing is not None for comparison in comparisons)
    wrong = sum(not comparison.ok for comparison in comparisons) - not_run
    said = [f"{len(comparisons) - not_run - wrong} of {len(comparisons)} numbers reproduced"]
    said += [f"{wrong} WRONG"] if wrong else []
    said += [f"{not_run} not run"] if not_run else []
    names = dict.fromkeys((comparison.source.name, comparison.source.reference) for comparison in comparisons)
    say("\n".join(f"{name}: {reference}" for name, reference in names))
    say(", ".join(said) + "; by the compiled kernels and by the formulas, in float64")
    return 1 if wrong else 0
