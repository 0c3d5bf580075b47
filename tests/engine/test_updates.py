"""The fused updates against the optimizers' formulas on NumPy arrays."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.engine import Plan
from chainrule.formulas import sum_outputs
from chainrule.training.optimizers import Optimizer
from tests import by_formula
from tests.engine.harness import LEVELS, MACHINES, Array, same_bits
from tests.updates import clip_factor, new_state

STEPS = 6
RATES = np.array([0.05, 0.1, 0.02, 0.2, 0.1, 0.03])
BATCH = 10
SAMPLES = STEPS * BATCH - 3  # the last batch is partial
EXACT = 1e-12  # float64: six steps of a few roundings each

OPTIMIZERS: dict[str, Optimizer] = {
    "sgd": cr.SGD(),
    "momentum": cr.SGD(momentum=0.9),
    "nesterov": cr.SGD(momentum=0.9, nesterov=True),
    "adam": cr.Adam(),
    "adam, no first moment": cr.Adam(beta1=0.0, beta2=0.5, epsilon=1e-3),
    "adamw": cr.AdamW(weight_decay=0.3),
    "rmsprop": cr.RMSProp(),
    "dampening": cr.SGD(momentum=0.9, dampening=0.4),
    "adagrad": cr.Adagrad(),
    "adagrad from 0.1": cr.Adagrad(start=0.1, epsilon=1e-7),
    "adadelta": cr.Adadelta(),
    "nadam": cr.NAdam(weight_decay=0.1, momentum_decay=0.2),
    "radam": cr.RAdam(beta2=0.9, weight_decay=0.1),
    "radam, at its start": cr.RAdam(),
    "lamb": cr.LAMB(),
    "lion": cr.Lion(weight_decay=0.1),
    "rmsprop with momentum": cr.RMSProp(rho=0.5, momentum=0.8, epsilon=1e-3),
}
CLIPS = {"not clipped": None, "clipped": 0.05, "sometimes clipped": 1.5}
PENALTIES = [None, cr.L2(0.1), cr.L2(3.0, per_sample=True)]
# Slots of the native state, by the names the formulas give them.
SLOTS = {"velocity": "first", "mean": "first", "move": "first", "square": "second"}


def problem(dtype: str) -> tuple[cr.Network, Array, Array]:
    """Dense panels, convolutions and biases; 3 and 17 units, so that parameters end inside a vector."""
    layers = [
        cr.Conv2D(3, 2),
        cr.Tanh(),
        cr.Flatten(),
        cr.Dense(17),
        cr.Softplus(),
        cr.Dense(3),
        cr.Softmax(),
    ]
    network = cr.Network(layers, input_shape=(4, 4, 2), seed=1, dtype=dtype)
    r = np.random.default_rng(2)
    return network, r.standard_normal((SAMPLES, 4, 4, 2)).astype(np.float32), r.integers(0, 3, SAMPLES)


def one_step(
    network: cr.Network, gradients: Any, theta: Any, states: Any, optimizer: Optimizer, rate: float, step: int
) -> dict[str, Array]:
    clip = clip_factor(gradients.values(), optimizer.clip_norm)
    return {
        name: optimizer.update(
            theta[name],
            clip * gradients[name],
            states[name],
            rate,
            step,
            penalised=network.parameter_specs[name].penalised,
        )
        for name in theta
    }


@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_epoch_in_float64(name: str, penalty: cr.L2 | None, clip: str) -> None:
    """Six steps by `Optimizer.update` on the gradients of the formulas, and the state they leave."""
    optimizer = replace(OPTIMIZERS[name], clip_norm=CLIPS[clip])
    network, X, y = problem("float64")
    order = np.random.default_rng(3).permutation(SAMPLES)
    theta: dict[str, Array] = dict(network.parameters)
    states = {key: new_state(optimizer, array) for key, array in theta.items()}
    for step, rate in enumerate(RATES):
        rows = order[step * BATCH : (step + 1) * BATCH]
        gradients = by_formula.backpropagate(
            network, X[rows], y[rows], None, penalty, training_size=SAMPLES, parameters=theta
        ).gradients
        theta = one_step(network, gradients, theta, states, optimizer, rate, step + 1)

    for level in LEVELS:
        plan = Plan(
            network,
            cr.CrossEntropy(),
            penalty,
            optimizer,
            batch_size=BATCH,
            training_size=SAMPLES,
            level=level,
        )
        result = plan.train_epoch(X, y, order, RATES)
        assert (result.outcome, result.steps) == ("done", STEPS)
        actual, state = plan.parameters(), plan.optimizer_state()
        assert state["steps"] == STEPS
        kept = {f"{SLOTS[slot]}/{key}" for key in theta for slot in optimizer.slots}
        assert {key for key in state if "/" in key} == kept
        for key, expected in theta.items():
            np.testing.assert_allclose(
                actual[key], expected, rtol=EXACT, atol=EXACT, err_msg=f"{level} {key}"
            )
            for slot, moment in states[key].items():
                np.testing.assert_allclose(state[f"{SLOTS[slot]}/{key}"], moment, rtol=EXACT, atol=EXACT)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_step_in_float32(name: str, level: str) -> None:
    """From the native parameters, state and gradients of every step the formulas give the next, to a few
    roundings.

    1 - β in float32 carries the rounding of β: eps / (1 - β) of it.
    """
    optimizer = replace(OPTIMIZERS[name], clip_norm=0.5)
    penalty = cr.L2(0.1)
    network, X, y = problem("float32")
    plan = Plan(network, cr.CrossEntropy(), penalty, optimizer, batch_size=BATCH, level=level)
    probe = Plan(network, cr.CrossEntropy(), penalty, batch_size=BATCH, level=level)
    forgotten = max(getattr(optimizer, key, 0.0) for key in ("beta1", "beta2", "rho"))
    tolerance = float(np.finfo(np.float32).eps) * (8 + 1 / (1 - forgotten))
    for step, rate in enumerate(RATES):
        rows = np.arange(step * BATCH, min((step + 1) * BATCH, SAMPLES))
        before, state = plan.parameters(), plan.optimizer_state()
        probe.load(before)
        _, gradients = probe.gradients(X[rows], y[rows])
        wide = {key: array.astype(np.float64) for key, array in before.items()}
        states = {
            key: {
                slot: state.get(f"{SLOTS[slot]}/{key}", np.zeros_like(array)).astype(np.float64)
                for slot in optimizer.slots
            }
            for key, array in before.items()
        }
        exact = {key: array.astype(np.float64) for key, array in gradients.items()}
        expected = one_step(network, exact, wide, states, optimizer, rate, step + 1)
        plan.train_epoch(X, y, rows, RATES[step : step + 1])
        for key, after in plan.parameters().items():
            moved = np.abs(expected[key] - wide[key])
            allowed = tolerance * (moved + np.abs(wide[key]) + float(np.finfo(np.float32).tiny))
            # A gradient entry is itself a sum, rounded on the scale of the largest.
            allowed += 4 * tolerance * moved.max()
            assert (np.abs(after - expected[key]) <= allowed).all(), f"step {step} {key}"


@pytest.mark.parametrize(("level", "dtype"), MACHINES)
def test_only_weights_decay_and_are_penalised(level: str, dtype: str) -> None:
    """With a rate so small that the data do nothing, AdamW's decay and L2 change the weights and no bias."""
    network, X, _ = problem(dtype)
    network.set_parameters({key: np.full(array.shape, 0.5) for key, array in network.parameters.items()})
    targets = np.full((SAMPLES, 3), 1 / 3)  # all outputs are equal: the data's δ is 0
    optimizer = cr.AdamW(weight_decay=0.25, epsilon=1.0)
    plan = Plan(network, cr.CrossEntropy(), None, optimizer, batch_size=SAMPLES, level=level)
    plan.train_epoch(X, targets, np.arange(SAMPLES), np.array([0.1]))
    for key, array in plan.parameters().items():
        np.testing.assert_allclose(
            array, 0.5 if key.endswith("b") else 0.5 * (1 - 0.1 * 0.25), rtol=1e-6, err_msg=key
        )
    plan = Plan(network, cr.CrossEntropy(), cr.L2(0.5), cr.SGD(), batch_size=SAMPLES, level=level)
    plan.train_epoch(X, targets, np.arange(SAMPLES), np.array([0.1]))
    for key, array in plan.parameters().items():
        np.testing.assert_allclose(
            array, 0.5 if key.endswith("b") else 0.5 * (1 - 0.1 * 0.5), rtol=1e-6, err_msg=key
        )


@pytest.mark.parametrize(("level", "dtype"), MACHINES)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_state_taken_out_and_put_back_goes_on_to_the_bit(name: str, level: str, dtype: str) -> None:
    network, X, y = problem(dtype)
    order = np.arange(SAMPLES)

    def make() -> Plan:
        return Plan(network, cr.CrossEntropy(), cr.L2(0.01), OPTIMIZERS[name], batch_size=BATCH, level=level)

    through, first, second = make(), make(), make()
    for half in (slice(0, 30), slice(30, None)):
        through.train_epoch(X, y, order[half], RATES[:3])
    first.train_epoch(X, y, order[:30], RATES[:3])
    second.load(first.parameters())
    second.set_optimizer_state(first.optimizer_state())
    second.train_epoch(X, y, order[30:], RATES[:3])
    assert same_bits(second.parameters(), through.parameters())
    one, other = second.optimizer_state(), through.optimizer_state()
    assert one.pop("steps") == other.pop("steps") == STEPS
    assert same_bits(one, other)


def test_a_huge_gradient_is_clipped_and_not_lost() -> None:
    """Its square is beyond float32, its norm is not: the clipped step has the norm asked for."""
    network = cr.Network([cr.Dense(3)], input_shape=2, seed=1)
    X, y = np.full((4, 2), 1e15, np.float32), np.full((4, 3), -1e15, np.float32)
    for level in LEVELS:
        plan = Plan(network, cr.SquaredError(), None, cr.SGD(clip_norm=0.5), batch_size=4, level=level)
        assert plan.train_epoch(X, y, np.arange(4), np.array([1.0])).outcome == "done"
        moved = [array - network.parameters[key] for key, array in plan.parameters().items()]
        assert np.sqrt(sum(float((m.astype(np.float64) ** 2).sum()) for m in moved)) == pytest.approx(
            0.5, rel=1e-5
        )


@pytest.mark.parametrize(
    "optimizer", [cr.Adam(0.01, beta1=0.9999999999, beta2=0.9999999999), cr.RMSProp(0.01, rho=0.9999999999)]
)
def test_decays_that_float32_rounds_to_one(optimizer: Optimizer) -> None:
    """1 - β is not 0 then: the moments still follow the gradient."""
    network = cr.Network([cr.Dense(1)], input_shape=1, seed=1)
    X, y = np.ones((1, 1), np.float32), np.full((1, 1), 3, np.float32)
    double = Plan(network, cr.SquaredError(), optimizer=optimizer, batch_size=1, dtype="float64")
    single = Plan(network, cr.SquaredError(), optimizer=optimizer, batch_size=1)
    for plan in (double, single):
        plan.train_epoch(X, y, np.zeros(5, np.int64), np.full(5, 0.01))
    for name, array in single.parameters().items():
        np.testing.assert_allclose(array, double.parameters()[name], rtol=1e-5)


class Given(cr.Loss):
    """Its δ is y whatever a: with one sample of 1 the gradient of a dense layer's weights is y itself."""

    def value(self, a: Any, y: Any) -> Any:
        return sum_outputs(0 * a)

    def gradient(self, a: Any, y: Any) -> Any:
        return y


def from_zero(dtype: str) -> cr.Network:
    dense = cr.Dense(19, bias=False, initializer=cr.Zeros())
    return cr.Network([dense], input_shape=1, dtype=dtype)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_gradients_of_every_size_move_as_the_formulas_say_or_end_at_rest(
    name: str, dtype: str, level: str
) -> None:
    """At rest: where their squares are beyond the range of the type."""
    exponents = range(-30, 31, 3) if dtype == "float32" else range(-290, 291, 29)
    most = float(np.finfo(dtype).max)
    for exponent in exponents:
        for epsilon in (1e-8, 1e-12):
            optimizer = OPTIMIZERS[name]
            if hasattr(optimizer, "epsilon"):
                optimizer = replace(optimizer, epsilon=epsilon)
            gradients = np.random.default_rng(abs(exponent)).uniform(-1, 1, (STEPS, 1, 19))
            gradients = (gradients * 10.0**exponent).astype(dtype)
            plan = Plan(from_zero(dtype), Given(), None, optimizer, batch_size=1, level=level)
            theta = np.zeros((19, 1))
            state = new_state(optimizer, theta)
            x, order = np.ones((1, 1), dtype), np.zeros(1, np.int64)
            for step, (g, rate) in enumerate(zip(gradients, RATES, strict=True)):
                result = plan.train_epoch(x, g, order, np.array([rate]), look=lambda step: None)
                if result.outcome == "at_rest":
                    break
                theta = optimizer.update(theta, g.T.astype(np.longdouble), state, rate, step + 1)
            squared = {"square"} & set(optimizer.slots)
            if result.outcome == "at_rest":
                assert squared
                assert float(np.abs(gradients).max()) > math.sqrt(most)
                assert plan.first_at_rest() == "dense1.W"
                continue
            assert plan.first_at_rest() is None
            (moved,) = plan.parameters().values()
            tolerance = 2e-5 if dtype == "float32" else 1e-12
            largest = np.abs(theta).max()
            assert largest > 0
            assert np.abs(moved - theta).max() <= tolerance * largest, (name, exponent, epsilon)


# RAdam does not correct its second moment: 0.001 · 1e40 is held.
SQUARED = [name for name in OPTIMIZERS if "square" in OPTIMIZERS[name].slots and "start" not in name]


@pytest.mark.parametrize("name", SQUARED)
def test_fit_ends_where_a_squared_gradient_is_beyond_the_range(name: str) -> None:
    optimizer: Any = OPTIMIZERS[name]
    X, y = np.ones((3, 1)), np.ones((3, 19))
    y[1] = 1e20
    settings: Any = {"loss": Given(), "batch_size": 1, "shuffle": False, "epochs": 1}
    single = from_zero("float32")
    refusal = (
        r"in epoch 1, step 2 of 3, the squared gradient of dense1\.W is beyond the range of float32, and "
        r"\w+ divides by its root: .*clip_norm=1\.0.* dtype='float64'; .*allow_nonfinite=True"
    )
    with pytest.raises(cr.NonFiniteError, match=refusal):
        cr.fit(single, X, y, optimizer=optimizer, **settings)
    assert np.isfinite(single.parameters["dense1.W"]).all()
    cr.fit(from_zero("float64"), X, y, optimizer=optimizer, **settings)
    cr.fit(single, X, y, optimizer=replace(optimizer, clip_norm=1.0), **settings)
    history = cr.fit(single, X, y, optimizer=optimizer, **settings, allow_nonfinite=True)
    with pytest.raises(cr.NonFiniteError, match=r"resume holds a squared gradient of dense1\.W"):
        cr.fit(single, X, y, resume=history, **settings)


def test_an_update_beyond_the_range_is_told() -> None:
    X, y = np.ones((2, 1)), np.full((2, 19), 2e38)
    with pytest.raises(cr.NonFiniteError, match=r"first in parameter dense1\.W"):
        cr.fit(from_zero("float32"), X, y, loss=Given(), optimizer=cr.SGD(0.9, momentum=0.9))


def test_nothing_that_decays_ends_in_subnormal_numbers() -> None:
    """A column that is 0 from the tenth row on leaves a velocity to itself; one that is always 0 leaves
    weights to the penalty, which Adam's ε makes fall by a factor with every step.
    """
    X, y = np.zeros((1500, 2), np.float32), np.ones((1500, 1), np.float32)
    X[:10, 0] = 1
    cases: list[tuple[Optimizer, Any, str | None]] = [
        (cr.SGD(0.01, momentum=0.9), None, "first"),
        (cr.RMSProp(0.01, momentum=0.9), None, "first"),
        (cr.SGD(0.5), cr.L2(0.1), "W"),
        (cr.Adam(0.01), cr.L2(1e-8), None),
    ]
    for optimizer, penalty, vanished in cases:
        network = cr.Network([cr.Dense(1)], input_shape=(2,), seed=0)
        history = cr.fit(
            network, X, y, loss=cr.SquaredError(), penalty=penalty, optimizer=optimizer, batch_size=1,
            epochs=1 if vanished else 8, shuffle=False, progress=False,
        )  # fmt: skip
        state = {name: value for name, value in history.optimizer_state.items() if name != "steps"}
        for array in (*network.parameters.values(), *state.values()):
            below = (np.abs(array) < np.finfo(np.float32).tiny) & (array != 0)
            assert not below.any(), f"{optimizer} leaves {array[below]}"
        if vanished == "first":
            assert state["first/dense1.W"][0, 0] == 0, str(optimizer)
        elif vanished:
            assert network.parameters["dense1.W"][0, 1] == 0, str(optimizer)
