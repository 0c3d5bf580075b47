"""Gradient checks: a network, a layer or a loss against finite differences in float64.

In: a network, a layer, a loss or a penalty, and data.  Out: a GradientReport.
Knows: everything up to the engine.
"""

from __future__ import annotations

from chainrule.checking.gradients import check_gradients
from chainrule.checking.report import GradientError, GradientReport, ParameterCheck, Worst
from chainrule.checking.single import check_layer, check_loss, check_penalty

__all__ = [
    "GradientError",
    "GradientReport",
    "ParameterCheck",
    "Worst",
    "check_gradients",
    "check_layer",
    "check_loss",
    "check_penalty",
]
