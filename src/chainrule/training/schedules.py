"""Schedules: the learning rate of every step, as one array per epoch.

A schedule is a small frozen value.  The training loop asks it once per epoch for the rates of the steps to
come and hands the array to the compiled loop, so that a rate may change at every step without Python being
entered.

Steps count from 0 over the whole fit; below, epoch is step // steps_per_epoch and position is
step / steps_per_epoch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.base.errors import ArgumentError
from chainrule.base.keywords import teach
from chainrule.base.scalars import check_count, check_flag, check_number

Rates = NDArray[np.float64]


@dataclass(frozen=True)
class Schedule:
    """Base of the schedules; a subclass defines `rates`. `rate` is the highest rate, where it starts."""

    rate: float

    def __post_init__(self) -> None:
        check_number("rate", self.rate)

    def rates(self, first_step: int, steps: int, steps_per_epoch: int, epochs: int) -> Rates:
        """The rates of steps first_step .. first_step + steps - 1, float64 (steps,).

        `epochs` is what the fit was asked for; a schedule without a length of its own spans them.
        """
        signature = "rates(first_step, steps, steps_per_epoch, epochs)"
        raise NotImplementedError(f"{type(self).__name__} must define {signature}")


@dataclass(frozen=True)
class ConstantRate(Schedule):
    """The same rate at every step."""

    def rates(self, first_step: int, steps: int, steps_per_epoch: int, epochs: int) -> Rates:
        return np.full(steps, self.rate, dtype=np.float64)


@teach()
@dataclass(frozen=True)
class StepDecay(Schedule):
    """rate * factor ** (epoch // every_epochs): falls by `factor` each time `every_epochs` have passed."""

    factor: float = 0.1
    every_epochs: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("factor", self.factor, high=1.0, include_high=True, hint="0.1 divides the rate by ten")
        check_count("every_epochs", self.every_epochs)

    def rates(self, first_step: int, steps: int, steps_per_epoch: int, epochs: int) -> Rates:
        epoch = np.arange(first_step, first_step + steps) // steps_per_epoch
        return np.asarray(self.rate * np.power(float(self.factor), epoch // self.every_epochs))


@teach()
@dataclass(frozen=True)
class ExponentialDecay(Schedule):
    """rate * factor_per_epoch ** position: a smooth fall by `factor_per_epoch` over every epoch.

    At the first step of an epoch it equals the staircase that changes between epochs only.
    """

    factor_per_epoch: float = 0.95

    def __post_init__(self) -> None:
        super().__post_init__()
        hint = "0.95 takes off 5 % per epoch"
        check_number("factor_per_epoch", self.factor_per_epoch, high=1.0, include_high=True, hint=hint)

    def rates(self, first_step: int, steps: int, steps_per_epoch: int, epochs: int) -> Rates:
        position = np.arange(first_step, first_step + steps) / steps_per_epoch
        return np.asarray(self.rate * np.power(float(self.factor_per_epoch), position))


@teach()
@dataclass(frozen=True)
class CosineDecay(Schedule):
    """Half a cosine from `rate` to `floor` over `epochs`, after a linear warm-up (Loshchilov & Hutter 2017).

    warm-up   rate * (step + 1) / W                             for step < W = warmup_epochs * steps_per_epoch
    then      floor + (rate - floor) * (1 + cos(pi * t)) / 2    with t = (step - W) / (T - W), T = all steps
    after     floor                                             once step >= T

    `epochs=None` spans the epochs the fit was asked for, warm-up included.
    """

    epochs: int | None = None
    floor: float = 0.0
    warmup_epochs: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("floor", self.floor, high=self.rate, include_low=True, include_high=True)
        check_count("warmup_epochs", self.warmup_epochs, 0)
        if self.epochs is not None:
            check_count("epochs", self.epochs, self.warmup_epochs + 1, hint="it counts the warm-up too")

    def rates(self, first_step: int, steps: int, steps_per_epoch: int, epochs: int) -> Rates:
        span = epochs if self.epochs is None else self.epochs
        if span <= self.warmup_epochs:
            raise ArgumentError(
                f"warmup_epochs={self.warmup_epochs} leaves no epoch for the cosine when epochs={span}: "
                "write fewer warm-up epochs or more epochs"
            )
        step = np.arange(first_step, first_step + steps, dtype=np.float64)
        warmup, total = self.warmup_epochs * steps_per_epoch, span * steps_per_epoch
        t = np.clip((step - warmup) / (total - warmup), 0.0, 1.0)
        rates = self.floor + (self.rate - self.floor) * (1.0 + np.cos(np.pi * t)) / 2.0
        return np.where(step < warmup, self.rate * (step + 1.0) / max(warmup, 1), rates)


@teach()
@dataclass(frozen=True)
class CosineLog(Schedule):
    """`periods` full waves from 0 up to `rate` and back, each twice as long as the one before.

    rate * (1 - cos(2 pi log2(1 + (2^periods - 1) t))) / 2        with t = step / T, T = all steps

    Source: coslog4 of Holzmüller, Grinsztajn & Steinwart, Better by Default, 2024. `epochs=None` spans the
    epochs the fit was asked for.
    """

    periods: int = 4
    epochs: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("periods", self.periods, maximum=50)
        if self.epochs is not None:
            check_count("epochs", self.epochs)

    def rates(self, first_step: int, steps: int, steps_per_epoch: int, epochs: int) -> Rates:
        t = _progress(first_step, steps, steps_per_epoch, self.epochs or epochs)
        return np.asarray(self.rate * (1 - np.cos(2 * np.pi * np.log2(1 + (2.0**self.periods - 1) * t))) / 2)


@teach()
@dataclass(frozen=True)
class OneCycle(Schedule):
    """Up to `rate` and down again over all epochs (Smith & Topin 2018), half a cosine each way, as PyTorch
    has it.

    up     from rate / start_factor to rate     over the first `up` of the steps
    down   from rate to rate / start_factor / end_factor     over the rest

    `rate` is the highest rate, as a rule ten times what would do without: see `rate_range_test`. linear=True:
    straight lines. `epochs=None` spans the epochs the fit was asked for. The momentum stays as it is.
    """

    epochs: int | None = None
    up: float = 0.3
    start_factor: float = 25.0
    end_factor: float = 1e4
    linear: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.epochs is not None:
            check_count("epochs", self.epochs)
        check_number("up", self.up, high=1.0, hint="0.3 rises over the first 30 % of the steps")
        check_number("start_factor", self.start_factor, low=1.0, include_low=True)
        check_number("end_factor", self.end_factor, low=1.0, include_low=True)
        check_flag("linear", self.linear)

    def rates(self, first_step: int, steps: int, steps_per_epoch: int, epochs: int) -> Rates:
        total = (epochs if self.epochs is None else self.epochs) * steps_per_epoch
        top, end = self.up * total - 1, total - 1
        start = self.rate / self.start_factor
        step = np.arange(first_step, first_step + steps, dtype=np.float64)
        rising = self._between(start, self.rate, np.clip(step / top if top > 0 else np.ones(steps), 0.0, 1.0))
        falling = self._between(
            self.rate, start / self.end_factor, np.clip((step - top) / max(end - top, 1e-9), 0.0, 1.0)
        )
        return np.where(step <= top, rising, falling)

    def _between(self, first: float, last: float, share: Rates) -> Rates:
        if self.linear:
            return np.asarray(first + (last - first) * share)
        return np.asarray(last + (first - last) / 2.0 * (1.0 + np.cos(np.pi * share)))


@teach()
@dataclass(frozen=True)
class FlatCosine(Schedule):
    """`rate` for a share `flat` of the steps, then half a cosine down to 0.

    rate * (1 + cos(pi u)) / 2        with u = (t - flat) / (1 - flat) from t = flat on, t = step / T

    Source: flat_cos of Holzmüller, Grinsztajn & Steinwart, Better by Default, 2024, for weight decay and
    dropout. `epochs=None` spans the epochs the fit was asked for.
    """

    flat: float = 0.5
    epochs: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("flat", self.flat, high=1.0, include_low=True, hint="0.5 falls in the second half")
        if self.epochs is not None:
            check_count("epochs", self.epochs)

    def rates(self, first_step: int, steps: int, steps_per_epoch: int, epochs: int) -> Rates:
        t = _progress(first_step, steps, steps_per_epoch, self.epochs or epochs)
        u = np.clip((t - self.flat) / (1 - self.flat), 0.0, 1.0)
        return np.asarray(self.rate * (1 + np.cos(np.pi * u)) / 2)


@teach()
@dataclass(frozen=True)
class Warmup(Schedule):
    """A linear rise in front of a rate or another schedule: its rates times (step + 1) / W in the first W
    steps.

    rate: Warmup(0.1, epochs=2), or a schedule, Warmup(StepDecay(0.1), steps=500), which goes on meanwhile.
    W is `steps`, or `epochs`, which may be a part of one.
    """

    rate: Any
    epochs: float = 1.0
    steps: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.rate, Schedule):
            check_number("rate", self.rate, hint="write 0.1, say, or a schedule such as CosineDecay(0.1)")
        check_number("epochs", self.epochs)
        if self.steps is not None:
            check_count("steps", self.steps)

    def rates(self, first_step: int, steps: int, steps_per_epoch: int, epochs: int) -> Rates:
        after = self.rate if isinstance(self.rate, Schedule) else ConstantRate(self.rate)
        rates = after.rates(first_step, steps, steps_per_epoch, epochs)
        warm = max(1, round(self.epochs * steps_per_epoch)) if self.steps is None else self.steps
        step = np.arange(first_step, first_step + steps, dtype=np.float64)
        return np.asarray(rates * np.minimum((step + 1.0) / warm, 1.0))


def _progress(first_step: int, steps: int, steps_per_epoch: int, epochs: int) -> Rates:
    """Which share of all steps lies before each of these; at most 1."""
    step = np.arange(first_step, first_step + steps, dtype=np.float64)
    return np.minimum(step / (steps_per_epoch * epochs), 1.0)


def __getattr__(name: str) -> Any:
    if name == "Constant":  # an initializer's name too
        raise AttributeError(
            "the schedule is called ConstantRate: a rate that is a number is constant already, SGD(0.1); "
            "chainrule.Constant is an initializer"
        )
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
