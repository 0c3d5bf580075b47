"""`chainrule bench`: the measurements that come with the engine."""

from __future__ import annotations

import argparse


def run(arguments: argparse.Namespace) -> int:
    """Measure on this machine and print the tables."""
    from chainrule import engine
    from chainrule.engine import bench

    if arguments.threads is not None:
        engine.set_threads(arguments.threads)
    bench.run(quick=arguments.quick, profile=arguments.profile, json_file=arguments.json)
    return 0
