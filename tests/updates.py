"""What an update starts from and how it is clipped, in NumPy: the engine is tested against it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from chainrule.training.optimizers import Optimizer


def clip_factor(gradients: Iterable[Any], clip_norm: float | None) -> float:
    """min(1, clip_norm / ‖g‖), ‖g‖ the norm over all parameters together, in float64; 1 for None."""
    if clip_norm is None:
        return 1.0
    norm = math.sqrt(sum(float(np.sum(np.square(g, dtype=np.float64))) for g in gradients))
    return clip_norm / norm if norm > clip_norm else 1.0


def new_state(optimizer: Optimizer, theta: Any) -> dict[str, Any]:
    """The state before the first step: zeros of theta's shape and dtype."""
    return {slot: np.zeros_like(theta) for slot in optimizer.slots}
