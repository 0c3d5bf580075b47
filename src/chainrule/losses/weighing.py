"""What weighs a target before a loss takes it: its class, whether it counts, and the number of steps."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Any, ClassVar

import numpy as np

from chainrule.base.errors import ArgumentError, describe
from chainrule.base.scalars import check_number, entries, finite_number
from chainrule.formulas import count_features, sum_features
from chainrule.losses.base import Loss, Takes


def check_weights_of(loss: Loss, name: str) -> None:
    """The option `name`: None, or a number of at least 0 for every class or output, kept as a tuple."""
    value = getattr(loss, name)
    if value is None:
        return
    title = f"{type(loss).__name__} {name}"
    given = None if isinstance(value, dict) else entries(value)
    if given is None:
        raise ArgumentError(
            f"{title} must be a number for each, in the order of the outputs, such as [1.0, 5.0], received "
            f"{describe(value)}"
        )
    for place, weight in enumerate(given):
        if not finite_number(weight) or weight < 0:
            raise ArgumentError(
                f"{title}[{place}] must be a number of at least 0, received {describe(weight)}"
            )
    if not any(given):
        raise ArgumentError(f"{title} is 0 for all: at least one must count, received {describe(value)}")
    object.__setattr__(loss, name, tuple(map(float, given)))


def check_length(loss: Loss, name: str, outputs: int) -> None:
    """Raise ArgumentError where there are weights, and not one for each output."""
    weights = getattr(loss, name)
    if weights is not None and np.ndim(weights) and len(weights) != outputs:
        what = f"{len(weights)} weight" + "s" * (len(weights) != 1)
        raise ArgumentError(
            f"{type(loss).__name__} {name} has {what} and there are {outputs} outputs: write one for each"
        )


@dataclass(frozen=True, repr=False)
class OfClasses(Loss):
    """Base of the losses that are linear in y, a row of probabilities for every sample or step.

    class_weight: a number for every class, in the order of the outputs: y'_k = w_k y_k, also of soft targets.
    ignore_index: the label of steps or samples that do not count; rows of zeros count nowhere either.
    mean_steps: divide by the number of steps (positions) of the sample that count, instead of adding them up.
    """

    label_smoothing: float = 0.0
    class_weight: Any = None
    ignore_index: Any = None
    mean_steps: bool = False

    takes: ClassVar[Takes] = "probabilities"

    def __post_init__(self) -> None:
        super().__post_init__()
        name = f"{type(self).__name__} label_smoothing"
        check_number(name, self.label_smoothing, 0, 1, include_low=True, hint="write 0.1")
        check_weights_of(self, "class_weight")
        ignored = self.ignore_index
        integer = isinstance(ignored, Integral) and not isinstance(ignored, bool)
        whole = integer and -(2**63) <= int(ignored) < 2**63
        if ignored is not None and not whole and not isinstance(ignored, str):
            raise ArgumentError(
                f"{type(self).__name__} ignore_index must be a label, such as -100 or 'none', or None, "
                f"received {describe(ignored)}"
            )
        if whole:
            object.__setattr__(self, "ignore_index", int(ignored))

    @property
    def affine(self) -> bool:
        return self.class_weight is None and self.ignore_index is None and not self.mean_steps

    @property
    def ignored(self) -> Any:
        return self.ignore_index

    def prepared(self, y: Any) -> Any:
        if self.affine:
            if not self.label_smoothing:
                return y
            return (1 - self.label_smoothing) * y + self.label_smoothing / count_features(y)
        there = sum_features(y)  # 1, or 0 of what does not count
        if self.label_smoothing:
            y = (1 - self.label_smoothing) * y + self.label_smoothing / count_features(y) * there
        if self.class_weight is not None:
            check_length(self, "class_weight", y.shape[-2])
            y = y * np.asarray(self.class_weight, y.dtype)[:, None]
        if self.mean_steps:
            steps = there.sum(axis=tuple(range(there.ndim - 1)))
            y = y / np.maximum(steps, 1).astype(y.dtype)
        return y
