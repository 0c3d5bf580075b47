"""Workloads in the form of the real ones, that take no time."""

from __future__ import annotations

from chainrule.bench.workloads import Workload

DENSE = Workload(
    "dense", "a dense network", (6,), 4, 3, (("dense", 5), ("relu",), ("dense", 3), ("softmax",))
)
CONV = Workload(
    "conv",
    "a convolutional network",
    (6, 6, 1),
    5,
    2,
    (("conv", 2, 3, 0), ("relu",), ("pool", 2), ("flatten",), ("dense", 3), ("softmax",)),
)
