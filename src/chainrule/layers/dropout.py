r"""Dropout: in training every entry is set to 0 with probability `rate`, the others are divided by 1 - rate.

    z = r ⊙ x / (1 - rate)        ∂J/∂x = r ⊙ δ / (1 - rate),        r = 1 with probability 1 - rate, else 0
The mean of z is x, so a prediction is x itself ("inverted" dropout).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np

from chainrule.base.keywords import teach
from chainrule.base.scalars import check_count, check_number
from chainrule.layers.base import Layer, Shape, Value, Values


class Dropout(Layer):
    """Every entry dropped with probability `rate`, at least 0 and less than 1 (Srivastava et al. 2014).

    What is dropped is fixed by fit's `seed`, the step, the layer's name, its own `seed` if it has one, and
    the entry's place in the batch: the same for any number of threads, and in NumPy and the kernels.
    `network.backpropagate` and `check_gradients` take the seed 0, and every time the same entries.
    """

    kind = "dropout"
    passage = "dropout"
    family = "dropout"
    output: ClassVar[str] = "output"

    @teach()
    def __init__(self, rate: float, *, seed: int | None = None, name: str | None = None) -> None:
        hint = "it is the share that is dropped, 1 would leave nothing"
        check_number("Dropout rate", rate, 0, 1, include_low=True, hint=hint)
        self.rate = float(rate)
        self.seed = None if seed is None else check_count("Dropout seed", seed, 0)
        self.name = name

    @property
    def threshold(self) -> int:
        """Of 2^32: a 32-bit number below it drops its entry."""
        return int(self.rate * 2**32)

    @property
    def stream(self) -> str:
        return f"{self.name}" if self.seed is None else f"{self.name}/{self.seed}"

    def draw(self, shape: Shape, bits: Callable[[Shape], Value]) -> Values:
        return {"r": bits(shape) >= np.uint32(self.threshold)}

    def forward(self, x: Value, r: Value) -> Value:
        return r * x / (1 - self.rate)

    def delta(self, d: Value, r: Value) -> Value:
        return r * d / (1 - self.rate)

    def infer(self, x: Value) -> Value:
        return x
