"""From losses to native ones: the kind of the kernel and the numbers it is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule._native import Judged, LossKind
from chainrule.losses import (
    CTC,
    BinaryCrossEntropy,
    CategoricalHinge,
    CosineDistance,
    CrossEntropy,
    GaussianNLL,
    Hinge,
    Huber,
    KLDivergence,
    Loss,
    Losses,
    MeanAbsoluteError,
    MultiMargin,
    NegativeLogLikelihood,
    Poisson,
    SoftMargin,
    SquaredError,
)

# By the exact class: a subclass may have other formulas.
LOSSES: dict[type[Loss], Callable[[Any], LossKind]] = {
    SquaredError: lambda loss: LossKind.squared_error,
    BinaryCrossEntropy: lambda loss: LossKind.sigmoid_cross_entropy,
    CrossEntropy: lambda loss: LossKind.softmax_cross_entropy,
    MeanAbsoluteError: lambda loss: LossKind.absolute_error,
    Huber: lambda loss: LossKind.huber,
    Poisson: lambda loss: LossKind.poisson_log if loss.log_input else LossKind.poisson,
    Hinge: lambda loss: LossKind.squared_hinge if loss.squared else LossKind.hinge,
    CategoricalHinge: lambda loss: (
        LossKind.squared_categorical_hinge if loss.squared else LossKind.categorical_hinge
    ),
}
# Losses of classes whatever form the targets have, so that an accuracy means something.
CLASSIFYING = (BinaryCrossEntropy, CrossEntropy, Hinge, CategoricalHinge)
# Of those that are programs: what is counted.
JUDGED: dict[type[Loss], Judged] = {
    NegativeLogLikelihood: Judged.classes,
    KLDivergence: Judged.classes,
    MultiMargin: Judged.classes,
    SoftMargin: Judged.signs,
}

# All of the library: two that print alike are alike.
OWN = {*LOSSES, *JUDGED, GaussianNLL, CosineDistance, CTC}


def told_by_print(loss: Loss) -> bool:
    """Whether another loss that prints as this one is the same: not of those of your own."""
    if isinstance(loss, Losses):
        return all(type(part.loss) in OWN for part in loss.parts)
    return type(loss) in OWN


def native_options(loss: Loss, output_shape: tuple[int, ...]) -> dict[str, Any]:
    """What LossArgs holds beside the kind. Where `prepared` is affine in y two points of it are all of it;
    elsewhere the targets are prepared before they come.
    """
    if not loss.affine:
        return {}
    ends = loss.prepared(np.stack([np.zeros(output_shape), np.ones(output_shape)], axis=-1)).reshape(-1, 2)
    shift = float(ends[0, 0])
    options: dict[str, Any] = {}
    if isinstance(loss, BinaryCrossEntropy) and (loss.weighs or loss.mean_outputs):
        share = 1 / int(np.prod(output_shape)) if loss.mean_outputs else 1.0
        for name, weights in zip(("positive", "negative"), loss.shares(output_shape[-1]), strict=True):
            options[name] = [float(weight) * share for weight in weights]
    return options | {
        "scale": 1 / int(np.prod(output_shape)) if getattr(loss, "mean_outputs", False) else 1.0,
        "delta_cut": float(getattr(loss, "delta", 1.0)),
        "target_scale": float(ends[0, 1]) - shift,
        "target_shift": shift,
    }
