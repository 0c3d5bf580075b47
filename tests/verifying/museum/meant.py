"""What the cases mean by `like=`, where it is not a layer: losses, classifiers, networks."""

from __future__ import annotations

from typing import Any

import chainrule as cr
from chainrule.losses import (
    BinaryCrossEntropy,
    CrossEntropy,
    Hinge,
    Huber,
    MeanAbsoluteError,
    Poisson,
    SquaredError,
)
from chainrule.losses.penalties import L1, L2

# losses by the words that people use; of scores where the last letter says so
CROSS_ENTROPY, BINARY, SQUARES = CrossEntropy(), BinaryCrossEntropy(), SquaredError()
ABSOLUTE, HUBER, HINGE, POISSON = MeanAbsoluteError(), Huber(), Hinge(), Poisson()
RIDGE, LASSO = L2, L1


def network(*layers: Any, inputs: Any) -> Any:
    """A network of ours, as `like`."""
    return lambda: cr.Network(list(layers), input_shape=inputs, dtype="float64")
