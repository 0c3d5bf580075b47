"""From losses to native ones: the number of the kernel and the numbers it is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

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

# Numbers of native/kernels/api.hpp, enum LossKind. By the exact class: a subclass may have other formulas.
LOSSES: dict[type[Loss], Callable[[Any], int]] = {
    SquaredError: lambda loss: 0,
    BinaryCrossEntropy: lambda loss: 1,
    CrossEntropy: lambda loss: 2,
    MeanAbsoluteError: lambda loss: 3,
    Huber: lambda loss: 4,
    Poisson: lambda loss: 6 if loss.log_input else 5,
    Hinge: lambda loss: 8 if loss.squared else 7,
    CategoricalHinge: lambda loss: 10 if loss.squared else 9,
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
