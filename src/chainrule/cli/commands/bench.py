"""`chainrule bench`: the kernels and the training steps, measured on this machine."""

from __future__ import annotations

import argparse

from chainrule.base.errors import DataError


def run(arguments: argparse.Namespace) -> int:
    """Measure and print; with --json also write the figures."""
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
