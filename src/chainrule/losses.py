r"""Losses: one object with the value, its gradient, and the residual a - y of its pair.

    J = (1/m) Σ_i w_i · value_i,  w the sample weights with mean 1.  1/m enters once, in the δ of the output.

The formulas take a, z and y with samples as the last axis, y as numbers of the same shape (classes as one-hot
columns). The pairs sigmoid + BinaryCrossEntropy and softmax + CrossEntropy are computed as one: value from z,
residual a - y, so that nothing is ever divided by a (seed 002, 2.4.6).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from chainrule.errors import PairError, describe
from chainrule.formulas import (
    count_outputs,
    exp,
    log,
    log1p,
    max_features,
    maximum,
    named,
    sum_features,
    sum_outputs,
    xlogy,
)
from chainrule.layers import Layer, Sigmoid, Softmax


@dataclass(frozen=True)
class Loss:
    """Base of all losses; one of your own defines `value` and `gradient`.

    `output` is the activation it forms a pair with; a loss with a pair also defines `residual` and
    `value_from_z`.
    """

    output: ClassVar[type[Layer] | None] = None

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

    def check_output(self, network_layers: Sequence[Layer]) -> None:
        """Raise PairError if the network's last layer does not belong to this loss."""
        last = network_layers[-1]
        if self.output is None or isinstance(last, self.output):
            return
        name, pair = type(self).__name__, self.output.__name__
        other = _pairs.get(type(last))
        reason = f"{name} is defined for the outputs of {pair}(), and the network ends in {last!r}"
        advice = f"end the network in {pair}()"
        if other is not None:
            advice += f", or write {other.__name__}() for a network that ends in {type(last).__name__}()"
        raise PairError(f"{reason}: the output δ would not be a - y; {advice}")


@dataclass(frozen=True)
class SquaredError(Loss):
    """½ ‖a - y‖², summed over the outputs (seeds 001, 004); mean_outputs=True divides by their number."""

    mean_outputs: bool = False

    def value(self, a: Any, y: Any) -> Any:
        total = sum_outputs((a - y) ** 2)
        return total / (2 * count_outputs(a)) if self.mean_outputs else 0.5 * total

    def gradient(self, a: Any, y: Any) -> Any:
        return (a - y) / count_outputs(a) if self.mean_outputs else a - y


class BinaryCrossEntropy(Loss):
    """-Σ_k (y log a + (1 - y) log(1 - a)), summed over the outputs (seed 002); y in [0, 1]."""

    output = Sigmoid

    def value(self, a: Any, y: Any) -> Any:
        return -sum_outputs(xlogy(y, a) + xlogy(1 - y, 1 - a))

    def gradient(self, a: Any, y: Any) -> Any:
        return (1 - y) / (1 - a) - y / a

    def residual(self, a: Any, y: Any) -> Any:
        return a - y

    def value_from_z(self, z: Any, y: Any) -> Any:
        return sum_outputs(maximum(z, 0) - z * y + log1p(exp(-abs(z))))


class CrossEntropy(Loss):
    """-Σ_k y_k log a_k, categorical; every column of y sums to 1 (one-hot or soft)."""

    output = Softmax

    def value(self, a: Any, y: Any) -> Any:
        return -sum_outputs(xlogy(y, a))

    def gradient(self, a: Any, y: Any) -> Any:
        return -(y / a)

    def residual(self, a: Any, y: Any) -> Any:
        return a - y

    def value_from_z(self, z: Any, y: Any) -> Any:
        s = named("s", z - max_features(z))
        return sum_outputs(y * (log(sum_features(exp(s))) - s))


_pairs: dict[type[Layer], type[Loss]] = {Sigmoid: BinaryCrossEntropy, Softmax: CrossEntropy}


def loss_for(last_layer: Layer) -> Loss:
    """What belongs to an output: softmax CrossEntropy, sigmoid BinaryCrossEntropy, else SquaredError."""
    for layer, loss in _pairs.items():
        if isinstance(last_layer, layer):
            return loss()
    return SquaredError()


_LOSSES: dict[str, type[Loss]] = {
    "cross_entropy": CrossEntropy,
    "binary_cross_entropy": BinaryCrossEntropy,
    "squared_error": SquaredError,
    "mse": SquaredError,
}


def loss_from(value: Loss | str | None, last_layer: Layer) -> Loss:
    """A loss from an object, a name or None: the one that belongs to the network's last layer.

    "mse" and "squared_error" are SquaredError(): ½‖a−y‖², summed over the outputs. Errors name what to write.
    """
    if value is None:
        return loss_for(last_layer)
    if isinstance(value, Loss):
        return value
    names = ", ".join(repr(name) for name in _LOSSES)
    if isinstance(value, str):
        if value not in _LOSSES:
            raise ValueError(
                f"loss {value!r} is unknown: write one of {names}, or an object such as CrossEntropy()"
            )
        return _LOSSES[value]()
    raise TypeError(
        f"loss must be an object such as CrossEntropy() or one of {names}, received {describe(value)}"
    )
