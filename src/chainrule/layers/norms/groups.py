"""Normalisation of every sample over groups of channels and all positions."""

from __future__ import annotations

import math

from chainrule.base.errors import ArgumentError, ShapeError
from chainrule.base.keywords import teach
from chainrule.base.scalars import check_flag, check_number
from chainrule.formulas import count_positions, mean_groups, mean_samples, named
from chainrule.layers.base import Shape, Value, Values
from chainrule.layers.checks import whole
from chainrule.layers.norms.normalization import Normalization, always_beta


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
        return always_beta(self, input_shape, f"write GroupNorm({fewer})" if fewer else "leave it out")


MOMENTUM = 0.1  # of InstanceNorm, as PyTorch's


class InstanceNorm(Normalization):
    """Every channel of a sample by itself, over all positions (Ulyanov et al. 2016).

    γ and β as of the other norms; PyTorch's has none unless affine=True: InstanceNorm(scale=False,
    shift=False). ShapeError where a sample has one position, whose variance is 0.

    tracked: a prediction uses a running mean and variance, as that of BatchNorm does (PyTorch's
    track_running_stats); every training step, which normalises samples by themselves all the same, renews
    them by the means of the samples' means and unbiased variances, momentum being the weight of the newest.
    """

    kind = "instancenorm"

    @teach("InstanceNorm(): it finds out its channels")
    def __init__(
        self,
        *,
        epsilon: float = 1e-5,
        scale: bool = True,
        shift: bool = True,
        tracked: bool = False,
        momentum: float = MOMENTUM,
        name: str | None = None,
    ) -> None:
        self.tracked = check_flag("InstanceNorm tracked", tracked)
        hint = "it is the weight of the newest batch"
        check_number("InstanceNorm momentum", momentum, 0, 1, include_low=True, include_high=True, hint=hint)
        self.momentum = float(momentum)
        if not self.tracked and self.momentum != MOMENTUM:
            raise ArgumentError(
                f"InstanceNorm momentum={momentum:g} is read by nothing: write tracked=True beside it for "
                "running numbers, which predictions use, or leave it out"
            )
        self._keep(epsilon, scale, shift, name)

    def running(self, x: Value, mean: Value, variance: Value) -> Values:
        count, centre = count_positions(x), self.average("μ", x)
        unbiased = mean_samples((x - centre) ** 2) * (count / (count - 1))
        return {
            "mean": (1 - self.momentum) * mean + self.momentum * mean_samples(centre),
            "variance": (1 - self.momentum) * variance + self.momentum * unbiased,
        }

    def average(self, name: str, x: Value) -> Value:
        return named(name, mean_groups(x, groups=None))

    def constant(self, input_shape: Shape) -> str | None:
        if math.prod(input_shape[:-1]) > 1:
            return None
        several = input_shape[-1] > 1
        advice = "write LayerNorm(), which takes all channels together" if several else "leave it out"
        return always_beta(self, input_shape, advice)
