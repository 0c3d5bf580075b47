"""`chainrule bench`: the kernels and the training steps, measured on this machine."""

from __future__ import annotations

import argparse


def run(arguments: argparse.Namespace) -> int:
    """Measure and print; with --json also write the figures."""
    from chainrule import bench

    bench.run(quick=arguments.quick, profile=arguments.profile, json_file=arguments.json)
    return 0
