"""`chainrule bench`: the kernels and the training steps, or a network's own, measured on this machine."""

from __future__ import annotations

import argparse

import numpy as np

from chainrule.base.errors import DataError
from chainrule.cli.output import say

MEASURED = ("steps", "per-sample", "reuse")


def run(arguments: argparse.Namespace) -> int:
    """Measure and print; with --json also write the figures."""
    if arguments.what not in MEASURED:
        return own(arguments)
    if arguments.batch_size is not None:
        raise DataError(
            f"--batch-size belongs to a network, bench FILE.toml --batch-size {arguments.batch_size}: "
            f"leave it out beside {arguments.what}"
        )
    if arguments.what != "steps":
        from chainrule.bench import per_sample, reuse

        if arguments.profile:
            raise DataError(
                f"--profile belongs to the training steps: leave it out, or leave out {arguments.what}"
            )
        measured = {"per-sample": per_sample.run, "reuse": reuse.run}[arguments.what]
        measured(quick=arguments.quick, json_file=arguments.json)
        return 0
    from chainrule import bench

    bench.run(quick=arguments.quick, profile=arguments.profile, json_file=arguments.json)
    return 0


def own(arguments: argparse.Namespace) -> int:
    """A network's training step and predictions, on random samples of its shapes."""
    from chainrule.bench import own as bench_own
    from chainrule.cli.commands.check import subject

    batch = arguments.batch_size or 32
    count = bench_own.samples_for(batch)
    network, X, y = subject(arguments.what, count, dtype="float32")
    again = np.arange(count) % len(X)  # of the digits there are 1797
    options = {"quick": arguments.quick, "profile": arguments.profile, "json_file": arguments.json}
    bench_own.run(network, X[again], y[again], batch, arguments.what, **options, show=say)
    return 0
