"""Optimizers against sequences worked out by hand in PyTorch's formulas."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from tests.updates import new_state

from chainrule.training.optimizers import (
    LAMB,
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    AdamW,
    Lion,
    NAdam,
    Optimizer,
    RAdam,
    RMSProp,
    optimizer_from,
    optimizers,
)
from chainrule.training.schedules import CosineDecay


def walk(optimizer: Optimizer, gradients: list[float], rate: float, **options: Any) -> list[float]:
    """θ after every step on a single number that starts at 1."""
    theta = np.array([1.0])
    state = new_state(optimizer, theta)
    assert set(state) == set(optimizer.slots)
    path = []
    for step, gradient in enumerate(gradients, 1):
        theta = optimizer.update(theta, np.array([gradient]), state, rate, step, **options)
        path.append(float(theta[0]))
    return path


# Start 1 and rate 0.1 for all; the expected numbers are written out step by step.
# Adam's second step on gradients 1, −2: m̂ = (0.09·1 + 0.1·(−2)) / 0.19, ŝ = (0.000999 + 0.004) / 0.001999
ADAM_SECOND = (-0.11 / 0.19) / (math.sqrt(0.004999 / 0.001999) + 1e-8)
SEQUENCES = [
    (SGD(0.1), [1.0, -2.0, 0.5], [0.9, 1.1, 1.05]),
    # v = 1, −1.5, −0.25
    (SGD(0.1, momentum=0.5), [1.0, -2.0, 0.5], [0.9, 1.05, 1.075]),
    # steps g + v/2 = 1.5, −2.75, 0.375
    (SGD(0.1, momentum=0.5, nesterov=True), [1.0, -2.0, 0.5], [0.85, 1.125, 1.0875]),
    (Adam(0.1), [1.0, -2.0], [1 - 0.1 / (1 + 1e-8), 1 - 0.1 / (1 + 1e-8) - 0.1 * ADAM_SECOND]),
    # decay first: 1 → 0.95, then the Adam step of 0.1
    (AdamW(0.1, weight_decay=0.5), [1.0], [0.95 - 0.1 / (1 + 1e-8)]),
    # s = 0.25·16 = 4 → u = 4/2 = 2; s = 3 + 0.25·4 = 4 → u = 1
    (RMSProp(0.1, rho=0.75, epsilon=1e-300), [4.0, 2.0], [0.8, 0.7]),
    # v = 1 (the first is g itself), 0.5 − 1.5 = −1, −0.5 + 0.375 = −0.125
    (SGD(0.1, momentum=0.5, dampening=0.25), [1.0, -2.0, 0.5], [0.9, 1.0, 1.0125]),
    # s = 9, 25: u = 1, 0.8
    (Adagrad(0.1, epsilon=1e-300), [3.0, 4.0], [0.9, 0.82]),
    (Adagrad(0.1, epsilon=1e-300, start=7.0), [3.0, 4.0], [1 - 0.3 / 4, 1 - 0.3 / 4 - 0.4 / math.sqrt(32)]),
    # s = 0.25·16 = 4, q = 0, ε = 12: u = √(12/16) · 4
    (Adadelta(0.1, rho=0.75, epsilon=12.0), [4.0], [1 - 0.1 * math.sqrt(0.75) * 4]),
    # μ₁ = 0.9 · 0.5, μ₂ the same without decay of the momentum (ψ = 0), m = 0.1, ŝ = 1
    (NAdam(0.1, momentum_decay=0.0, epsilon=1e-300), [1.0], [1 - 0.1 * (0.045 / 0.7975 + 1.0)]),
    # the variance is not known yet: m̂ alone
    (RAdam(0.1), [4.0, 2.0], [0.6, 0.6 - 0.1 * (0.9 * 0.4 + 0.1 * 2) / 0.19]),
    # signs, and the decay of AdamW; the second sign is that of 0.9 · 0.01 − 0.1 · 0.1 < 0
    (Lion(0.1, weight_decay=0.5), [1.0, -0.1], [0.85, 0.85 * 0.95 + 0.1]),
    # u = 1 + λ θ = 1.5, ‖θ‖ = 1: a step of the rate
    (LAMB(0.1, epsilon=1e-300, weight_decay=0.5), [3.0], [0.9]),
    # v = 2, then 0.5·2 + 1 = 2
    (RMSProp(0.1, rho=0.75, momentum=0.5, epsilon=1e-300), [4.0, 2.0], [0.8, 0.6]),
]


@pytest.mark.parametrize(("optimizer", "gradients", "expected"), SEQUENCES)
def test_known_sequences(optimizer: Optimizer, gradients: list[float], expected: list[float]) -> None:
    np.testing.assert_allclose(walk(optimizer, gradients, 0.1), expected, rtol=1e-12)


def test_adam_first_step_is_the_rate_whatever_the_gradients_scale() -> None:
    for scale in (1e-4, 1.0, 1e6):
        assert walk(Adam(), [scale], 0.01)[0] == pytest.approx(0.99, rel=1e-5)


def test_adamw_leaves_biases_free_and_without_decay_is_adam() -> None:
    gradients = [0.3, -0.2, 0.9]
    plain = walk(Adam(), gradients, 0.05)
    assert walk(AdamW(weight_decay=0.5), gradients, 0.05, penalised=False) == plain
    assert walk(AdamW(weight_decay=0.0), gradients, 0.05) == plain
    assert walk(AdamW(weight_decay=0.5), gradients, 0.05) != plain


@pytest.mark.parametrize("kind", sorted(optimizers))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_update_keeps_the_type_and_leaves_its_arguments_alone(kind: str, dtype: type) -> None:
    optimizer = optimizers[kind]()
    rng = np.random.default_rng(0)
    theta, gradient = rng.standard_normal((2, 3, 4)).astype(dtype)
    before = theta.copy(), gradient.copy()
    state = new_state(optimizer, theta)
    after = optimizer.update(theta, gradient, state, 0.01, 1)
    assert {array.dtype for array in (after, *state.values())} == {np.dtype(dtype)}
    np.testing.assert_array_equal(theta, before[0])
    np.testing.assert_array_equal(gradient, before[1])
    assert not np.array_equal(after, theta)


def test_rates_come_from_the_schedule() -> None:
    np.testing.assert_array_equal(SGD(0.5).rates(7, 3, 10, 2), [0.5] * 3)
    schedule = CosineDecay(0.2)
    np.testing.assert_array_equal(Adam(schedule).rates(0, 4, 2, 2), schedule.rates(0, 4, 2, 2))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda: SGD(-0.1),
            "rate must be a number greater than 0, received -0.1: write 0.1, say, or a schedule",
        ),
        (lambda: SGD(True), "rate must be"),
        (lambda: SGD(momentum=1.0), "momentum must be a number at least 0 and less than 1, received 1.0"),
        (lambda: SGD(nesterov=True), "nesterov=True needs momentum"),
        (lambda: SGD(clip_norm=0.0), "clip_norm must be a number greater than 0, .*: None does not clip"),
        (lambda: Adam(beta1=1.0), "beta1 must be"),
        (lambda: Adam(beta2=-0.5), "beta2 must be"),
        (lambda: Adam(epsilon=0.0), "epsilon must be"),
        (lambda: AdamW(weight_decay=-1.0), "weight_decay must be"),
        (lambda: RMSProp(rho=2.0), "rho must be"),
        (lambda: RMSProp(momentum=-1.0), "momentum must be"),
        (lambda: SGD(dampening=0.1), "dampening belongs to momentum"),
        (lambda: Adagrad(start=-1.0), "start must be"),
        (lambda: NAdam(momentum_decay=-1.0), "momentum_decay must be"),
        (lambda: Lion(beta2=1.0), "beta2 must be"),
        (lambda: optimizer_from("momentum"), "optimizer 'momentum' is unknown: write one of 'sgd', 'adam'"),
    ],
)
def test_wrong_arguments_name_what_to_write(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


def test_optimizer_from() -> None:
    assert optimizer_from(None) == Adam(1e-3)
    assert optimizer_from("Adam") == Adam()
    mine = RMSProp(0.01)
    assert optimizer_from(mine) is mine
    with pytest.raises(TypeError, match="received the class SGD"):
        optimizer_from(SGD)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"received 0\.1"):
        optimizer_from(0.1)  # type: ignore[arg-type]


def test_an_optimizer_is_a_frozen_value() -> None:
    assert len({SGD(0.1), SGD(0.1), SGD(0.2)}) == 2
    with pytest.raises(AttributeError):
        SGD(0.1).rate = 0.2  # type: ignore[misc]
