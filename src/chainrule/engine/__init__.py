"""The engine: from a network and a batch size to native operations on one sample per SIMD lane.

In: a network, and a batch size.  Out: predictions, losses, gradients, trained parameters.
Knows: everything up to the reference.
"""

from __future__ import annotations

from chainrule.engine.isa import (
    info,
    lanes,
    level,
    register_with_threadpoolctl,
    set_threads,
    threads,
    threads_of_call,
)
from chainrule.engine.plan import EpochResult, Evaluation, Plan

__all__ = [
    "EpochResult",
    "Evaluation",
    "Plan",
    "info",
    "lanes",
    "level",
    "set_threads",
    "threads",
    "threads_of_call",
]

register_with_threadpoolctl()
