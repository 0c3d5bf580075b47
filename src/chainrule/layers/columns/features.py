r"""Features: some features that lie side by side, so that columns of a table go different ways.

z = x_{a:b}        ∂J/∂x = δ at these features, 0 at the others
"""

from __future__ import annotations

from typing import ClassVar

from chainrule.base.errors import ShapeError
from chainrule.base.keywords import teach
from chainrule.formulas import features_between, features_placed
from chainrule.layers.base import Layer, Shape, Value
from chainrule.layers.checks import whole


class Features(Layer):
    """The features from number `start` to the one before `stop`, from 0: (..., n) -> (..., stop - start).

    In a `Parallel` every branch may begin with its own: numbers, levels and ids of one table.
    """

    kind = "features"
    family = "features"
    output: ClassVar[str] = "output"

    @teach("Features(0, 4)")
    def __init__(self, start: int, stop: int, *, name: str | None = None) -> None:
        self.start = whole(start, "Features start", 0)
        self.stop = whole(stop, "Features stop")
        if self.stop <= self.start:
            raise ShapeError(f"Features stop must be above start={self.start}, received {self.stop}")
        self.name = name

    def forward(self, x: Value) -> Value:
        return features_between(x, start=self.start, stop=self.stop)

    def delta(self, d: Value, x: Value) -> Value:
        return features_placed(d, x, start=self.start, stop=self.stop)

    def output_shape(self, input_shape: Shape) -> Shape:
        if self.stop > input_shape[-1]:
            raise ShapeError(
                f"Features({self.start}, {self.stop}) needs at least {self.stop} features, received "
                f"{input_shape}"
            )
        return (*input_shape[:-1], self.stop - self.start)
