"""From losses to native ones: the kind of the kernel and the numbers it is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule._native import LossKind
from chainrule.losses import (
    BinaryCrossEntropy,
    CategoricalHinge,
    CrossEntropy,
    Hinge,
    Huber,
    Loss,
    MeanAbsoluteError,
    Poisson,
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


def native_options(loss: Loss, output_shape: tuple[int, ...]) -> dict[str, float]:
    """What LossArgs holds beside the kind. `prepared` is affine in y, so two points of it are all of it."""
    ends = loss.prepared(np.stack([np.zeros(output_shape), np.ones(output_shape)], axis=-1)).reshape(-1, 2)
    shift = float(ends[0, 0])
    return {
        "scale": 1 / int(np.prod(output_shape)) if getattr(loss, "mean_outputs", False) else 1.0,
        "delta_cut": float(getattr(loss, "delta", 1.0)),
        "target_scale": float(ends[0, 1]) - shift,
        "target_shift": shift,
    }
