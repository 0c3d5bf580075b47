"""The learning-rate range test: the loss of single steps while the rate grows, and its curve (Smith 2017)."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, NonFiniteError
from chainrule.base.files.disk import write_text
from chainrule.base.keywords import teach
from chainrule.base.scalars import check_count, check_number
from chainrule.losses import Loss, loss_from
from chainrule.losses.penalties import Penalty
from chainrule.networks.network import Network
from chainrule.training.callbacks import Callback, Context
from chainrule.training.curves import CurvePanel, draw_panels
from chainrule.training.fit import fit
from chainrule.training.optimizers import Optimizer, optimizer_from
from chainrule.training.parts import by_name
from chainrule.training.schedules import Rates, Schedule

_DIVERGED = 4.0  # times the smallest smoothed loss: the test ends there, as fastai's does
_KEPT = 0.95  # of the smoothed loss at every step, fastai's 0.98 being for thousands of them


@dataclass(frozen=True)
class _Growing(Schedule):
    """rate · growth^step"""

    growth: float = 1.0

    def rates(self, first_step: int, steps: int, steps_per_epoch: int, epochs: int) -> Rates:
        return np.asarray(self.rate * self.growth ** np.arange(first_step, first_step + steps))


@dataclass(frozen=True)
class RangeTest:
    """What a range test has seen: the rate of every step, its loss, and the loss smoothed.

    smoothed: an exponential mean of the losses without its bias towards the start.
    """

    rates: Sequence[float]
    losses: Sequence[float]
    smoothed: Sequence[float]

    @property
    def steepest(self) -> float:
        """The rate at which the smoothed loss falls fastest by the log of the rate: a good one to try.

        The first tenth of the steps, whose means are of few, does not count, nor what lies behind the lowest.
        """
        first = len(self.rates) // 10
        last = int(np.argmin(self.smoothed)) + 1
        if last - first < 3:
            return self.lowest
        slope = np.gradient(np.asarray(self.smoothed[first:last]), np.log(self.rates[first:last]))
        return float(self.rates[first + int(np.argmin(slope))])

    @property
    def lowest(self) -> float:
        """The rate at which the smoothed loss is smallest; a tenth of it is what many take as the highest."""
        return float(self.rates[int(np.argmin(self.smoothed))])

    def __str__(self) -> str:
        return (
            f"{len(self.rates)} steps from rate {self.rates[0]:.3g} to {self.rates[-1]:.3g}: the loss falls "
            f"fastest at {self.steepest:.3g} and is lowest at {self.lowest:.3g}"
        )

    def to_svg(self) -> str:
        """The loss by the rate, which is drawn by its logarithm, as an SVG picture, a text."""
        first, last = (math.log10(rate) for rate in (self.rates[0], self.rates[-1]))
        span = max(len(self.rates) - 1, 1)
        ticks = {
            round((decade - first) / max(last - first, 1e-9) * span): f"1e{decade}"
            for decade in range(math.ceil(first - 1e-9), math.floor(last + 1e-9) + 1)
        }
        steps = list(range(len(self.rates)))
        curves = {"of a step": self.losses, "smoothed": self.smoothed}
        return draw_panels([CurvePanel("Loss", steps, curves, ticks=ticks)], x_label="learning rate")

    def save_svg(self, path: str | os.PathLike[str]) -> None:
        """Write `to_svg()` to a file."""
        write_text(path, self.to_svg())

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write a line per step: rate, loss, smoothed loss."""
        rows = zip(self.rates, self.losses, self.smoothed, strict=True)
        lines = ["rate,loss,smoothed", *(",".join(map(repr, map(float, row))) for row in rows)]
        write_text(path, "\n".join(lines) + "\n")


class _Recorder(Callback):
    """The loss of every step, from the means over the epoch that `fit` tells."""

    losses: list[float]
    smoothed: list[float]

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self._told, self._mean = 0.0, 0.0

    def on_fit_begin(self, context: Context) -> None:
        self.losses, self.smoothed = [], []

    def on_step_end(self, context: Context) -> None:
        before = 0.0 if context.step == 1 else self._told * (context.step - 1)
        self._told = context.loss
        loss = context.loss * context.step - before
        self.losses.append(loss)
        self._mean = _KEPT * self._mean + (1 - _KEPT) * loss
        self.smoothed.append(self._mean / (1 - _KEPT ** len(self.losses)))
        if len(self.losses) >= self.steps:
            context.stop("the range test has made its steps")
        elif len(self.losses) > 10 and self.smoothed[-1] > _DIVERGED * max(min(self.smoothed), 0.0):
            context.stop("the loss has grown beyond four times its smallest")


@teach("rate_range_test(network, X, y) and the rest by name")
def rate_range_test(
    network: Network,
    X: Any,
    y: Any,
    *,
    low: float = 1e-6,
    high: float = 1.0,
    steps: int = 100,
    optimizer: Optimizer | str | None = None,
    loss: Loss | str | None = None,
    penalty: Penalty | None = None,
    batch_size: int = 32,
    seed: int = 0,
) -> RangeTest:
    """Train a copy of the network while the rate grows from `low` to `high`, the same factor at every step.

    The network itself is left as it is. optimizer: as for `fit`; its rate does not matter. It ends early
    where the smoothed loss is four times its smallest, or is no number any more. `print` of what is returned
    says at which rate the loss falls fastest; `save_svg` draws it.
    """
    if not isinstance(network, Network):
        raise TypeError("rate_range_test takes the network first, rate_range_test(network, X, y)")
    check_number("low", low)
    check_number("high", high)
    if not low < high:
        raise ArgumentError(f"low must be below high, received {low:g} and {high:g}")
    steps = check_count("steps", steps, 3)
    batch_size = check_count("batch_size", batch_size)
    chosen = optimizer_from(optimizer)
    growing = _Growing(low, (high / low) ** (1 / (steps - 1)))
    recorder = _Recorder(steps)
    X, y, _ = by_name(network, loss_from(loss, network.layers[-1]), X, y, None)
    samples = min(batch_size, len(y))
    whole = len(y) // samples * samples  # a smaller last batch would be a step of another kind
    try:
        fit(
            network.copy(),
            X[:whole],
            y[:whole],
            loss=loss,
            penalty=penalty,
            optimizer=replace(chosen, rate=growing),  # type: ignore[type-var]
            batch_size=samples,
            epochs=-(-steps // (whole // samples)),
            callbacks=[recorder],
            progress=False,
            seed=seed,
        )
    except NonFiniteError:  # the last rates are too high, and that is what was asked
        if not recorder.losses:
            raise
    count = len(recorder.losses)
    rates = growing.rates(0, count, 1, 1)
    return RangeTest(tuple(map(float, rates)), tuple(recorder.losses), tuple(recorder.smoothed))


def __getattr__(name: str) -> Any:
    from chainrule.base.attributes import absent

    raise absent(__name__, name, ("RangeTest", "rate_range_test"))
