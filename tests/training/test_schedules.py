"""Schedules against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from chainrule.training.schedules import (
    ConstantRate,
    CosineDecay,
    ExponentialDecay,
    OneCycle,
    Schedule,
    StepDecay,
    Warmup,
)

HALF = 0.1 * math.sqrt(0.5)
# schedule, steps per epoch, epochs of the fit, {step: rate}
CASES = [
    (ConstantRate(0.3), 4, 5, {0: 0.3, 19: 0.3, 400: 0.3}),
    (StepDecay(0.8, 0.5, 2), 3, 10, {0: 0.8, 5: 0.8, 6: 0.4, 11: 0.4, 12: 0.2}),
    (StepDecay(1.0, 0.1, 1), 1, 3, {0: 1.0, 1: 0.1, 2: 0.01}),
    (ExponentialDecay(0.1, 0.25), 2, 3, {0: 0.1, 1: 0.05, 2: 0.025, 4: 0.00625}),
    (CosineDecay(0.2), 4, 2, {0: 0.2, 2: 0.1 + HALF, 4: 0.1, 6: 0.1 - HALF, 8: 0.0}),
    (CosineDecay(0.2, epochs=1, floor=0.02), 4, 9, {0: 0.2, 2: 0.11, 4: 0.02, 30: 0.02}),
    # 10 steps: up to step 4, down to step 9, half a cosine each
    (OneCycle(0.5, up=0.5, start_factor=5), 5, 2, {0: 0.1, 2: 0.3, 4: 0.5, 9: 1e-5}),
    (OneCycle(0.5, up=0.5, start_factor=5, end_factor=1, linear=True), 5, 2, {1: 0.2, 4: 0.5, 9: 0.1}),
    (Warmup(0.8, steps=4), 10, 2, {0: 0.2, 1: 0.4, 3: 0.8, 15: 0.8}),
    (Warmup(StepDecay(0.8, 0.5, 1), epochs=1.5), 4, 3, {0: 0.8 / 6, 4: 0.4 * 5 / 6, 6: 0.4, 8: 0.2}),
    (CosineDecay(0.6, warmup_epochs=1), 3, 3, {0: 0.2, 1: 0.4, 2: 0.6, 3: 0.6, 6: 0.3}),
]


@pytest.mark.parametrize(("schedule", "per_epoch", "epochs", "expected"), CASES)
def test_exact_values(schedule: Schedule, per_epoch: int, epochs: int, expected: dict[int, float]) -> None:
    for step, rate in expected.items():
        got = schedule.rates(step, 1, per_epoch, epochs)
        assert got.dtype == np.float64
        np.testing.assert_allclose(got, [rate], rtol=1e-14, atol=1e-16)


@pytest.mark.parametrize(("schedule", "per_epoch", "epochs", "expected"), CASES)
def test_epoch_by_epoch_equals_all_at_once(
    schedule: Schedule, per_epoch: int, epochs: int, expected: dict[int, float]
) -> None:
    whole = schedule.rates(0, per_epoch * epochs, per_epoch, epochs)
    parts = [schedule.rates(e * per_epoch, per_epoch, per_epoch, epochs) for e in range(epochs)]
    np.testing.assert_array_equal(whole, np.concatenate(parts))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ConstantRate(0.0), "rate must be a number greater than 0, received 0.0"),
        (lambda: ConstantRate(float("nan")), "rate must be a number greater than 0, received nan"),
        (lambda: ConstantRate("fast"), "received 'fast'"),  # type: ignore[arg-type]
        (lambda: StepDecay(0.1, 1.5), "factor must be a number greater than 0 and at most 1"),
        (lambda: StepDecay(0.1, 0.5, 0), "every_epochs must be a whole number of at least 1"),
        (lambda: ExponentialDecay(0.1, 0.0), "factor_per_epoch must be"),
        (lambda: CosineDecay(0.1, floor=0.2), "floor must be a number at least 0 and at most 0.1"),
        (lambda: CosineDecay(0.1, epochs=2, warmup_epochs=2), "epochs must be a whole number of at least 3"),
        (lambda: OneCycle(0.1, up=1.0), "up must be a number greater than 0 and less than 1"),
        (lambda: OneCycle(0.1, start_factor=0.5), "start_factor must be"),
        (lambda: Warmup("fast"), "rate must be"),
        (lambda: Warmup(0.1, steps=0), "steps must be a whole number of at least 1"),
        (lambda: CosineDecay(0.1, warmup_epochs=3).rates(0, 5, 5, 3), "leaves no epoch for the cosine"),
    ],
)
def test_wrong_arguments_name_what_to_write(make: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()  # type: ignore[operator]


def test_a_users_own_schedule_needs_rates_only() -> None:
    class Halving(Schedule):
        def rates(self, first_step: int, steps: int, steps_per_epoch: int, epochs: int) -> np.ndarray:
            return self.rate * 0.5 ** np.arange(first_step, first_step + steps)

    np.testing.assert_array_equal(Halving(1.0).rates(1, 2, 1, 1), [0.5, 0.25])
    with pytest.raises(NotImplementedError, match="Schedule must define rates"):
        Schedule(0.1).rates(0, 1, 1, 1)
