"""Losses: one object with the value, its gradient, and the residual a - y of its pair.

In: options.  Out: value, gradient and residual of a sample; penalties and constraints of weights.
Knows: base, formulas and layers.

    J = (1/m) Σ_i w_i · value_i,  w the sample weights with mean 1.  1/m enters once, in the δ of the output.

The formulas take a, z and y with samples as the last axis, y as numbers of the same shape (classes as one-hot
columns). The pairs sigmoid + BinaryCrossEntropy and softmax + CrossEntropy are computed as one: value from z,
residual a - y, so that nothing is ever divided by a (Dezeming, 2.4.6).
"""

from __future__ import annotations

from typing import Any

from chainrule.losses.base import Loss
from chainrule.losses.choosing import loss_for, loss_from
from chainrule.losses.counts import Poisson
from chainrule.losses.cross_entropy import BinaryCrossEntropy, CrossEntropy
from chainrule.losses.distances import CosineDistance, Huber, MeanAbsoluteError, SquaredError
from chainrule.losses.likelihoods import GaussianNLL, KLDivergence, NegativeLogLikelihood
from chainrule.losses.margins import CategoricalHinge, Hinge, MultiMargin, SoftMargin
from chainrule.losses.sequences.ctc import CTC
from chainrule.losses.several import Losses

__all__ = [
    "CTC",
    "BinaryCrossEntropy",
    "CategoricalHinge",
    "CosineDistance",
    "CrossEntropy",
    "GaussianNLL",
    "Hinge",
    "Huber",
    "KLDivergence",
    "Loss",
    "Losses",
    "MeanAbsoluteError",
    "MultiMargin",
    "NegativeLogLikelihood",
    "Poisson",
    "SoftMargin",
    "SquaredError",
    "loss_for",
    "loss_from",
]


def __getattr__(name: str) -> Any:
    from chainrule.base.attributes import absent

    raise absent(__name__, name, __all__)
