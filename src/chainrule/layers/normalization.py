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

import math
import warnings
from dataclasses import replace

from chainrule.base.errors import DataError, ShapeError
from chainrule.base.keywords import teach
from chainrule.base.scalars import check_flag, check_number
from chainrule.formulas import (
    broadcast_samples,
    count_values,
    mean_features,
    mean_groups,
    mean_samples,
    merged,
    named,
    sqrt,
    sum_positions,
    sum_samples,
    unflatten,
)
from chainrule.layers.base import Layer, Parameter, Shape, Value, Values
from chainrule.layers.checks import whole
from chainrule.layers.initializers import Initializer, Ones, Zeros


class Normalization(Layer):
    """Base: a subclass says over what values the mean and the variance are taken.

    scale, shift: whether there are γ and β, (channels,).
    """

    passage = "norm"
    epsilon: float
    scale: bool = True
    shift: bool = True

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

    def parameters(self, input_shape: Shape) -> dict[str, Parameter]:
        channels = input_shape[-1:]
        gamma = {"gamma": Parameter(channels, initializer=Ones(), penalised=False)} if self.scale else {}
        beta = Parameter(channels, initializer=Zeros(), penalised=False)
        return {**gamma, "beta": beta} if self.shift else gamma


class BatchNorm(Normalization):
    """Every channel by its mean and variance over the batch, samples and positions (Ioffe & Szegedy 2015).

    A prediction uses a running mean and variance, which every training step renews:
        running ← (1 - momentum) · running + momentum · batch
    as in PyTorch. Keras calls 1 - momentum the momentum; from 0.9 on a warning says so. The batch is divided
    by √(v + ε) with v = Σ(x - μ)²/N; the running variance takes Σ(x - μ)²/(N - 1), the unbiased estimate of
    that of the data, which is what a prediction needs. momentum=None: the mean of all batches so far, whose
    number is kept beside. γ and β are learned and never penalised. Steps of a sequence count as positions,
    also those of padding.

    A training pass raises DataError for a single value per channel (one sample, one position): its variance
    is 0. `network.backpropagate` and `check_gradients` normalise by the batch and leave the running numbers.
    """

    kind = "batchnorm"
    family = "batchnorm"
    mixes_samples = True

    @teach("BatchNorm(): it finds out its channels; the momentum is what stands first")
    def __init__(
        self,
        momentum: float | None = 0.1,
        *,
        epsilon: float = 1e-5,
        scale: bool = True,
        shift: bool = True,
        name: str | None = None,
    ) -> None:
        hint = "it is the weight of the newest batch (Keras's momentum=0.99 is 0.01 here), not the channels"
        if momentum is not None:
            check_number("BatchNorm momentum", momentum, 0, 1, include_low=True, include_high=True, hint=hint)
        if momentum is not None and 0.9 <= momentum < 1:  # 1 takes the newest batch alone, and is meant
            warnings.warn(
                f"BatchNorm momentum={momentum:g} is the weight of the newest batch, and the running numbers "
                f"of predictions hardly remember another: what Keras calls momentum={momentum:g} is "
                f"momentum={1 - momentum:.3g} here",
                stacklevel=3,  # the caller, past `teach`
            )
        self.momentum = None if momentum is None else float(momentum)
        self._keep(epsilon, scale, shift, name)

    def average(self, name: str, x: Value) -> Value:
        return broadcast_samples(named(name, mean_samples(x)))

    def infer(self, x: Value, mean: Value, variance: Value, gamma: Value = None, beta: Value = None) -> Value:
        root = sqrt(broadcast_samples(variance) + self.epsilon)
        return self._shifted(self._scaled(x - broadcast_samples(mean), gamma) / root, beta)

    def running(self, x: Value, mean: Value, variance: Value, batches: Value = None) -> Values:
        count, centre = count_values(x), mean_samples(x)
        unbiased = mean_samples((x - broadcast_samples(centre)) ** 2) * (count / (count - 1))
        newest = 1 / (batches + 1) if self.momentum is None else self.momentum
        renewed = {
            "mean": (1 - newest) * mean + newest * centre,
            "variance": (1 - newest) * variance + newest * unbiased,
        }
        return {**renewed, "batches": batches + 1} if self.momentum is None else renewed

    def parameters(self, input_shape: Shape) -> dict[str, Parameter]:
        def kept(shape: Shape, start: Initializer) -> Parameter:
            return Parameter(shape, initializer=start, penalised=False, learned=False)

        channels = input_shape[-1:]
        running = {"mean": kept(channels, Zeros()), "variance": kept(channels, Ones())}
        if self.momentum is None:
            running["batches"] = kept((1,), Zeros())
        return super().parameters(input_shape) | running

    def check_batch(self, shape: Shape) -> None:
        if math.prod(shape[:-2]) * shape[-1] < 2:
            raise DataError(
                f"{self!r} ({self.name}) normalises every channel by its variance over the batch, and a "
                "batch of one sample with one position has one value per channel: its variance is 0. Train "
                "on batches of at least 2, and where one sample is left over at the end of an epoch, with "
                "another batch_size"
            )


class OverLastAxes(Normalization):
    """What LayerNorm and RMSNorm share: the last `axes` axes of a sample as the features of its rows, with γ
    and β of their shape.
    """

    axes: int = 1

    def _keep_axes(self, axes: int) -> None:
        self.axes = whole(axes, f"{type(self).__name__} axes")

    def average(self, name: str, x: Value) -> Value:
        return named(name, mean_features(x))

    def rows(self, x: Value) -> Value:
        return x if self.axes == 1 else named("U", merged(x, axes=self.axes))

    def column(self, b: Value) -> Value:
        column = broadcast_samples(b)
        return column if self.axes == 1 else merged(column, axes=self.axes)

    def forward(self, x: Value, gamma: Value = None, beta: Value = None) -> Value:
        z = super().forward(self.rows(x), gamma, beta)
        return z if self.axes == 1 else unflatten(z, x)

    def delta(self, d: Value, x: Value, gamma: Value = None) -> Value:
        below = super().delta(self.rows(d), self.rows(x), gamma)
        return below if self.axes == 1 else unflatten(below, x)

    def gradients(self, d: Value, x: Value, gamma: Value = None, beta: Value = None) -> Values:
        by_name = super().gradients(self.rows(d), self.rows(x))
        if self.axes == 1:
            return by_name
        likes = {"gamma": gamma, "beta": beta}
        return {name: unflatten(gradient, likes[name]) for name, gradient in by_name.items()}

    def parameters(self, input_shape: Shape) -> dict[str, Parameter]:
        return {
            name: replace(parameter, shape=input_shape[-self.axes :])
            for name, parameter in super().parameters(input_shape).items()
        }

    def output_shape(self, input_shape: Shape) -> Shape:
        if self.axes > len(input_shape):
            raise ShapeError(
                f"{self!r} needs a sample of at least {self.axes} axes, received {input_shape}; write "
                f"axes={len(input_shape)} or fewer"
            )
        return input_shape

    def rows_of(self, input_shape: Shape) -> Shape:
        """(rows, features): what the norm is over."""
        return (
            *((math.prod(input_shape[: -self.axes]),) if len(input_shape) > self.axes else ()),
            math.prod(input_shape[-self.axes :]),
        )


class LayerNorm(OverLastAxes):
    """Every sample by its own features: of a vector, of each step of a sequence, of each pixel's channels.

    axes: how many of the last axes of a sample are normalised together, with γ and β of their shape: of an
    image (H, W, C) 1 takes the channels of every pixel, 3 everything. ShapeError for a single feature, whose
    variance is 0, and where a sample has fewer axes. Source: Ba, Kiros, Hinton, Layer Normalization, 2016.
    """

    kind = "layernorm"

    @teach("LayerNorm(), which normalises the last axis whatever its size, LayerNorm(axes=3) the last three")
    def __init__(
        self,
        *,
        axes: int = 1,
        epsilon: float = 1e-5,
        scale: bool = True,
        shift: bool = True,
        name: str | None = None,
    ) -> None:
        self._keep(epsilon, scale, shift, name)
        self._keep_axes(axes)

    def constant(self, input_shape: Shape) -> str | None:
        if math.prod(input_shape[-self.axes :]) > 1:
            return None
        advice = "write GroupNorm(1), which takes all positions together"
        return _always_beta(self, input_shape, advice if math.prod(input_shape) > 1 else "leave it out")


class GroupNorm(Normalization):
    """Every sample by groups of neighbouring channels, over all positions (Wu & He 2018).

    groups=1 takes all channels together, groups equal to the channels each by itself, as InstanceNorm does.
    ShapeError where `groups` does not divide the channels, and where a group is a single
    value, whose variance is 0.
    """

    kind = "groupnorm"

    @teach("the number of groups only, GroupNorm(3): it finds out its channels")
    def __init__(
        self,
        groups: int,
        *,
        epsilon: float = 1e-5,
        scale: bool = True,
        shift: bool = True,
        name: str | None = None,
    ) -> None:
        self.groups = whole(groups, "GroupNorm groups")
        self._keep(epsilon, scale, shift, name)

    def average(self, name: str, x: Value) -> Value:
        return named(name, mean_groups(x, groups=self.groups))

    def output_shape(self, input_shape: Shape) -> Shape:
        channels = input_shape[-1]
        if channels % self.groups:
            divisors = [str(n) for n in range(1, channels + 1) if channels % n == 0]
            shown = divisors if len(divisors) < 9 else [*divisors[:4], "...", *divisors[-3:]]
            raise ShapeError(
                f"GroupNorm groups={self.groups} does not divide the {channels} channels of its input "
                f"{input_shape}; write one of {', '.join(shown)}"
            )
        return input_shape

    def constant(self, input_shape: Shape) -> str | None:
        if math.prod(input_shape) != self.groups:
            return None
        fewer = max((n for n in range(1, self.groups) if self.groups % n == 0), default=0)
        return _always_beta(self, input_shape, f"write GroupNorm({fewer})" if fewer else "leave it out")


class InstanceNorm(Normalization):
    """Every channel of a sample by itself, over all positions (Ulyanov et al. 2016).

    γ and β as of the other norms; PyTorch's has none unless affine=True: InstanceNorm(scale=False,
    shift=False). ShapeError where a sample has one position, whose variance is 0.
    """

    kind = "instancenorm"

    @teach("InstanceNorm(): it finds out its channels")
    def __init__(
        self, *, epsilon: float = 1e-5, scale: bool = True, shift: bool = True, name: str | None = None
    ) -> None:
        self._keep(epsilon, scale, shift, name)

    def average(self, name: str, x: Value) -> Value:
        return named(name, mean_groups(x, groups=None))

    def constant(self, input_shape: Shape) -> str | None:
        if math.prod(input_shape[:-1]) > 1:
            return None
        several = input_shape[-1] > 1
        advice = "write LayerNorm(), which takes all channels together" if several else "leave it out"
        return _always_beta(self, input_shape, advice)


class RMSNorm(OverLastAxes):
    """Every sample's features by their root mean square, without a mean and without β.

    As `LayerNorm`: of a vector, of each step, of each pixel, or over several axes. Of a single feature,
    x / √(x² + ε), hardly more than the sign is left. Source: Zhang & Sennrich 2019.
    """

    kind = "rmsnorm"

    @teach("RMSNorm(), which normalises the last axis whatever its size, RMSNorm(axes=3) the last three")
    def __init__(
        self, *, axes: int = 1, epsilon: float = 1e-5, scale: bool = True, name: str | None = None
    ) -> None:
        self._keep(epsilon, scale, False, name)
        self._keep_axes(axes)

    def normal(self, x: Value) -> tuple[Value, Value]:
        root = named("r", sqrt(self.average("v", x**2) + self.epsilon))
        return named("x̂", x / root), root

    def from_normal(self, e: Value, normal: Value, root: Value) -> Value:
        return (e - normal * self.average("t", e * normal)) / root


def _always_beta(layer: Normalization, input_shape: Shape, advice: str) -> str:
    return (
        f"{layer!r} would normalise single values of its input {input_shape}: the mean of one value is the "
        f"value, its variance is 0, and the output is always {'β' if layer.shift else '0'}, whatever the "
        f"input; {advice}"
    )
