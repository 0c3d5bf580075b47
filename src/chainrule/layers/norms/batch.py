"""Normalisation over the batch: the one layer in which samples mix."""

from __future__ import annotations

import math
import warnings

from chainrule.base.errors import ArgumentError, DataError
from chainrule.base.keywords import teach
from chainrule.base.scalars import check_flag, check_number
from chainrule.formulas import broadcast_samples, count_values, mean_samples, named
from chainrule.layers.base import Parameter, Shape, Value, Values
from chainrule.layers.initializers import Zeros
from chainrule.layers.norms.normalization import Normalization

MOMENTUM = 0.1  # as PyTorch's


class BatchNorm(Normalization):
    """Every channel by its mean and variance over the batch, samples and positions (Ioffe & Szegedy 2015).

    A prediction uses a running mean and variance, which every training step renews:
        running ← (1 - momentum) · running + momentum · batch
    as in PyTorch. Keras calls 1 - momentum the momentum; from 0.9 on a warning says so. The batch is divided
    by √(v + ε) with v = Σ(x - μ)²/N; the running variance takes Σ(x - μ)²/(N - 1), the unbiased estimate of
    that of the data, which is what a prediction needs. momentum=None: the mean of all batches so far, whose
    number is kept beside. tracked=False: no running numbers, a prediction goes by the mean and variance of
    the samples that it is asked for together (PyTorch's track_running_stats=False), and another sample beside
    them changes it; a validation within `fit` goes by its batches. γ and β are learned and never penalised.
    Steps of a sequence count as positions, also those of padding.

    A training pass raises DataError for a single value per channel (one sample, one position): its variance
    is 0. `network.backpropagate` and `check_gradients` normalise by the batch and leave the running numbers.
    """

    kind = "batchnorm"
    family = "batchnorm"
    mixes_samples = True

    @teach("BatchNorm(): it finds out its channels; the momentum is what stands first")
    def __init__(
        self,
        momentum: float | None = MOMENTUM,
        *,
        epsilon: float = 1e-5,
        scale: bool = True,
        shift: bool = True,
        tracked: bool = True,
        name: str | None = None,
    ) -> None:
        self.tracked = check_flag("BatchNorm tracked", tracked)
        if not tracked and momentum != MOMENTUM:
            raise ArgumentError(
                f"BatchNorm momentum={momentum} is read by nothing beside tracked=False, which keeps no "
                "running numbers: leave one of them out"
            )
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
        kept = super().parameters(input_shape)
        if self.momentum is None:
            kept["batches"] = Parameter((1,), initializer=Zeros(), penalised=False, learned=False)
        return kept

    def check_batch(self, shape: Shape) -> None:
        if math.prod(shape[:-2]) * shape[-1] < 2:
            also = "" if self.tracked else "; predict several samples together, too"
            raise DataError(
                f"{self!r} ({self.name}) normalises every channel by its variance over the batch, and a "
                "batch of one sample with one position has one value per channel: its variance is 0. Train "
                "on batches of at least 2, and where one sample is left over at the end of an epoch, with "
                f"another batch_size{also}"
            )
