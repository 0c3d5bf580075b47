r"""Normalisation: x̂ has mean 0 and variance 1 over some of the values; then channels are scaled and shifted.

    z = γ̂ ⊙ x̂ + β̂        x̂ = (x - μ) / √(v + ε)        μ = ⟨x⟩,  v = ⟨(x - μ)²⟩
With e = δ ⊙ γ̂ = ∂J/∂x̂, the average ⟨ ⟩ being its own adjoint:
    ∂J/∂x = (e - ⟨e⟩ - x̂ ⊙ ⟨e ⊙ x̂⟩) / √(v + ε)        ∂J/∂γ = (δ ⊙ x̂) 1        ∂J/∂β = δ 1
The layers differ in what ⟨ ⟩ is over: samples and positions (BatchNorm; the one layer in which samples mix),
features, or the last axes together (LayerNorm), a group of channels and all positions (GroupNorm), or each
channel by itself (InstanceNorm). RMSNorm divides by √(⟨x²⟩ + ε) alone. scale=False leaves γ out, shift=False
β.
"""

from __future__ import annotations

from typing import Any

from chainrule.base.scalars import check_flag, check_number
from chainrule.formulas import broadcast_samples, named, sqrt, sum_positions, sum_samples
from chainrule.layers.base import Layer, Parameter, Shape, Value, Values
from chainrule.layers.initializers import Ones, Zeros


class Normalization(Layer):
    """Base: a subclass says over what values the mean and the variance are taken.

    scale, shift: whether there are γ and β, (channels,).  tracked: whether there are a running mean and
    variance, by which predictions go.
    """

    passage = "norm"
    epsilon: float
    scale: bool = True
    shift: bool = True
    tracked: bool = False

    @property
    def infer(self) -> Any:  # type: ignore[override]
        return self.by_running if self.tracked else None

    @property
    def keeps_running(self) -> bool:
        return self.tracked

    def _keep(self, epsilon: float, scale: bool, shift: bool, name: str | None) -> None:
        kind = type(self).__name__
        check_number(f"{kind} epsilon", epsilon)
        self.scale, self.shift = check_flag(f"{kind} scale", scale), check_flag(f"{kind} shift", shift)
        self.epsilon, self.name = float(epsilon), name

    def average(self, name: str, x: Value) -> Value:
        """⟨x⟩ where arithmetic with x repeats it; `name` is what it prints as."""
        raise NotImplementedError(f"{type(self).__name__} must define average(self, name, x)")

    def normal(self, x: Value) -> tuple[Value, Value]:
        """(x̂, √(v + ε))"""
        centred = named("c", x - self.average("μ", x))
        root = named("r", sqrt(self.average("v", centred**2) + self.epsilon))
        return named("x̂", centred / root), root

    def column(self, b: Value) -> Value:
        """γ̂ or β̂: the same for every sample."""
        return broadcast_samples(b)

    def forward(self, x: Value, gamma: Value = None, beta: Value = None) -> Value:
        return self._shifted(self._scaled(self.normal(x)[0], gamma), beta)

    def _scaled(self, normal: Value, gamma: Value) -> Value:
        return self.column(gamma) * normal if self.scale else normal

    def _shifted(self, scaled: Value, beta: Value) -> Value:
        return scaled + self.column(beta) if self.shift else scaled

    def delta(self, d: Value, x: Value, gamma: Value = None) -> Value:
        return self.from_normal(named("e", d * self.column(gamma)) if self.scale else d, *self.normal(x))

    def from_normal(self, e: Value, normal: Value, root: Value) -> Value:
        """∂J/∂x from e = ∂J/∂x̂."""
        return (e - self.average("s", e) - normal * self.average("t", e * normal)) / root

    def gradients(self, d: Value, x: Value) -> Values:
        gamma = {"gamma": sum_samples(sum_positions(d * self.normal(x)[0]))} if self.scale else {}
        return {**gamma, "beta": sum_samples(sum_positions(d))} if self.shift else gamma

    def by_running(
        self, x: Value, mean: Value, variance: Value, gamma: Value = None, beta: Value = None
    ) -> Value:
        """What a prediction computes where there are a running mean and variance."""
        root = sqrt(broadcast_samples(variance) + self.epsilon)
        return self._shifted(self._scaled(x - broadcast_samples(mean), gamma) / root, beta)

    def parameters(self, input_shape: Shape) -> dict[str, Parameter]:
        channels = input_shape[-1:]
        gamma = {"gamma": Parameter(channels, initializer=Ones(), penalised=False)} if self.scale else {}
        beta = {"beta": Parameter(channels, initializer=Zeros(), penalised=False)} if self.shift else {}
        return {**gamma, **beta, **(_running_parameters(channels) if self.tracked else {})}


def _running_parameters(channels: Shape) -> dict[str, Parameter]:
    """The running mean and variance of every channel."""
    kept: dict[str, Any] = {"penalised": False, "learned": False}
    return {
        "mean": Parameter(channels, initializer=Zeros(), **kept),
        "variance": Parameter(channels, initializer=Ones(), least=0, **kept),
    }


def always_beta(layer: Normalization, input_shape: Shape, advice: str) -> str:
    return (
        f"{layer!r} would normalise single values of its input {input_shape}: the mean of one value is the "
        f"value, its variance is 0, and the output is always {'β' if layer.shift else '0'}, whatever the "
        f"input; {advice}"
    )
