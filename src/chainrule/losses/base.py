"""What every loss is: the value of a sample, its gradient, and for a pair the residual a - y and the value
from z.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from chainrule.base.errors import PairError
from chainrule.base.scalars import check_flags
from chainrule.layers import Layer

# What a loss takes as y beside numbers of its range: labels or probabilities of one class among all, labels
# alone, 0 and 1 of every output, -1 and +1 of every output, or rows of labels with an end of their own.
Takes = Literal["numbers", "probabilities", "classes", "levels", "signs", "sequences"]
# The loss that belongs to an output activation; every pair registers itself where it is defined.
PAIRS: dict[type[Layer], type[Loss]] = {}


@dataclass(frozen=True)
class Loss:
    """Base of all losses; one of your own defines `value` and `gradient`.

    `output` is the activation it forms a pair with; a loss with a pair also defines `residual` and
    `value_from_z`. `targets` is the range of y that it is defined for, `takes` what it takes beside numbers,
    and `outputs_per_target` how many outputs belong to one target.
    """

    output: ClassVar[type[Layer] | None] = None
    targets: ClassVar[tuple[float, float]] = (-math.inf, math.inf)
    takes: ClassVar[Takes] = "numbers"
    outputs_per_target: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check_flags(self)

    def __repr__(self) -> str:
        told = [f.name for f in fields(self) if getattr(self, f.name) != f.default]
        return f"{type(self).__qualname__}({', '.join(f'{n}={getattr(self, n)!r}' for n in told)})"

    if not TYPE_CHECKING:

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            raise TypeError(
                f"{type(self).__name__}() is not called as a function; write network.loss(X, y, "
                f"loss={self!r}), or its formula, loss.value(a, y), with the samples as the last axis"
            )

    def value(self, a: Any, y: Any) -> Any:
        """Loss of every sample: (..., m), (..., m) -> (m,)."""
        raise NotImplementedError(f"{type(self).__name__} must define value(self, a, y)")

    def gradient(self, a: Any, y: Any) -> Any:
        """∂(value of the sample)/∂a, of a's shape."""
        raise NotImplementedError(f"{type(self).__name__} must define gradient(self, a, y)")

    def residual(self, a: Any, y: Any) -> Any:
        """∂(value of the sample)/∂z where the output layer is the pair's activation."""
        raise NotImplementedError(f"{type(self).__name__} forms no pair with an output activation")

    def value_from_z(self, z: Any, y: Any) -> Any:
        """`value` computed from z, finite however saturated a = f(z) is."""
        raise NotImplementedError(f"{type(self).__name__} forms no pair with an output activation")

    def prepared(self, y: Any) -> Any:
        """The targets that the formulas take, from numbers as they are given: smoothed labels, ±1 for 0 and
        1.
        """
        return y

    @property
    def affine(self) -> bool:
        """Whether `prepared` is α y + β with the same two numbers for all entries, which kernels do
        themselves.
        """
        return True

    @property
    def ignored(self) -> Any:
        """The label of what does not count, whose target is a row of zeros; None: all count."""
        return None

    def branches(self, a: Any, y: Any) -> Any:
        """Which branch of a piecewise formula is taken, as `Layer.branches`; None if the loss is smooth."""
        return None

    @classmethod
    def pair_is_whole(cls) -> bool:
        """Whether `residual` and `value_from_z` still belong to `gradient` and `value`: not where a subclass
        has replaced one and inherited the other.
        """
        return all(
            next(c for c in cls.__mro__ if fused in c.__dict__)
            is next(c for c in cls.__mro__ if plain in c.__dict__)
            for fused, plain in (("residual", "gradient"), ("value_from_z", "value"))
        )

    def pairs_with(self, last: Layer) -> bool:
        """Whether output activation and loss are computed as one, a - y.

        Only the very class the loss names: a subclass may have another f, which the fused formula would
        ignore; and only where the loss's own formulas are one set.
        """
        return self.output is not None and type(last) is self.output and self.pair_is_whole()

    def check_output(self, network_layers: Sequence[Layer]) -> None:
        """Raise PairError if the network's last layer does not belong to this loss."""
        last = network_layers[-1]
        if self.output is None or isinstance(last, self.output):
            return
        name, pair = type(self).__name__, self.output.__name__
        other = PAIRS.get(type(last))
        reason = f"{name} is defined for the outputs of {pair}(), and the network ends in {last!r}"
        advice = f"end the network in {pair}()"
        if other is not None:
            advice += f", or write {other.__name__}() for a network that ends in {type(last).__name__}()"
        raise PairError(f"{reason}: the output δ would not be a - y; {advice}")
