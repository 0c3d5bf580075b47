"""RealMLP for tables: schedules, decays and dropout by steps, the last batch, the start from data."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.engine import Plan
from chainrule.training.tabular import Tabular, factors, start

TWO = ("float32", "float64")


def problem(classes: int = 3, samples: int = 50, seed: int = 0) -> tuple[Any, Any]:
    r = np.random.default_rng(seed)
    X = r.normal(size=(samples, 4))
    return X, np.argmax(X[:, :classes], axis=1)


@pytest.mark.parametrize(("periods", "epochs", "steps"), [(1, 4, 3), (4, 256, 2), (2, 7, 5)])
def test_cosine_log_is_so_many_waves_each_twice_as_long(periods: int, epochs: int, steps: int) -> None:
    rates = cr.CosineLog(0.04, periods=periods).rates(0, epochs * steps, steps, epochs)
    t = np.arange(epochs * steps) / (epochs * steps)
    ends = [(2**n - 1) / (2**periods - 1) for n in range(periods + 1)]
    assert rates[0] == 0
    assert (rates >= 0).all()
    assert rates.max() <= 0.04
    for low, high in pairwise(ends):
        inside = (t >= low) & (t < high)
        expected = np.sin(np.pi * np.log2((1 + (2**periods - 1) * t[inside]) * 2.0 ** -ends.index(low))) ** 2
        np.testing.assert_allclose(rates[inside], 0.04 * expected, atol=1e-15)


def test_flat_cosine_is_flat_then_half_a_cosine() -> None:
    rates = cr.FlatCosine(0.02, flat=0.25).rates(0, 400, 4, 100)
    assert (rates[:101] == 0.02).all()
    assert (np.diff(rates[101:]) < 0).all()
    np.testing.assert_allclose(rates[250], 0.01)
    np.testing.assert_array_equal(cr.FlatCosine(0.02, flat=0.25).rates(40, 8, 4, 100), rates[40:48])
    for schedule in (cr.CosineLog(1.0, epochs=2), cr.FlatCosine(1.0, epochs=2)):
        assert schedule.rates(100, 3, 4, 100).max() < 1e-12  # behind its own end


def test_decay_by_schedule_and_by_parameter_is_that_of_the_formulas() -> None:
    X, y = problem()
    optimizer = cr.AdamW(
        0.05, weight_decay=cr.FlatCosine(0.3), decay_factors={"scale1": 4.0, "dense*.b": 0.5, "dense2.W": 0}
    )
    layers = [cr.Scale(), cr.Dense(5, ntk=True), cr.Tanh(), cr.Dense(3), cr.Softmax()]
    network = cr.Network(layers, input_shape=4, dtype="float64", seed=1)
    theta = {name: value.copy() for name, value in network.parameters.items()}
    state = {name: {slot: np.zeros_like(value) for slot in optimizer.slots} for name, value in theta.items()}
    decay_of = {"scale1.s": 4.0, "dense1.W": 1.0, "dense1.b": 0.5, "dense2.W": 0.0, "dense2.b": 0.5}
    other = network.copy()
    decays = cr.FlatCosine(0.3).rates(0, 15, 5, 3)
    for step in range(15):
        rows = slice(step % 5 * 10, step % 5 * 10 + 10)
        gradients = other.backpropagate(X[rows], y[rows]).gradients
        for name in theta:
            theta[name] = optimizer.update(
                theta[name], gradients[name], state[name], 0.05, step + 1, decay=decays[step] * decay_of[name]
            )
        other.set_parameters(theta)
    cr.fit(network, X, y, optimizer=optimizer, batch_size=10, epochs=3, shuffle=False, progress=False)
    for name, value in network.parameters.items():
        np.testing.assert_allclose(value, theta[name], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", TWO)
@pytest.mark.parametrize("factor", [0.0, 0.25, 1.0])
def test_dropout_by_steps_is_the_layer_of_that_rate(dtype: str, factor: float) -> None:
    X, y = problem()

    def trained(rate: float, dropouts: Any) -> dict[str, Any]:
        layers = [cr.Dense(9), cr.Tanh(), cr.Dropout(rate), cr.Dense(3), cr.Softmax()]
        network = cr.Network(layers, input_shape=4, dtype=dtype)
        plan = Plan(network, cr.CrossEntropy(), None, cr.SGD(), batch_size=16)
        plan.set_seed(5)
        plan.train_epoch(X.astype(dtype), y, np.arange(50), np.full(4, 0.1), dropouts=dropouts)
        return plan.parameters()

    by_factor, by_rate = trained(0.4, np.full(4, factor)), trained(0.4 * factor, None)
    for name, value in by_rate.items():
        np.testing.assert_array_equal(by_factor[name], value)


def test_dropout_schedule_ends_without_dropout() -> None:
    X, y = problem()
    layers = [cr.Dense(9), cr.Tanh(), cr.Dropout(0.5), cr.Dense(3), cr.Softmax()]
    both, first = (cr.Network(layers, input_shape=4, dtype="float64") for _ in range(2))
    plain = cr.Network([*layers[:2], *layers[3:]], input_shape=4, dtype="float64")
    options: dict[str, Any] = {"optimizer": cr.SGD(0.1), "shuffle": False, "progress": False}
    falling = cr.FlatCosine(1.0, flat=0.0, epochs=1)
    cr.fit(both, X, y, epochs=2, dropout_schedule=falling, **options)
    cr.fit(first, X, y, epochs=1, dropout_schedule=falling, **options)
    plain.set_parameters(first.parameters)
    cr.fit(plain, X, y, epochs=1, **options)  # in the second epoch nothing is dropped any more
    for name, value in plain.parameters.items():
        np.testing.assert_allclose(both.parameters[name], value, rtol=1e-12)
    with pytest.raises(ValueError, match=r"write 1\.0 where it says 3"):
        cr.fit(first, X, y, dropout_schedule=cr.FlatCosine(3.0))
    with pytest.raises(TypeError, match="must be a schedule"):
        cr.fit(first, X, y, dropout_schedule=0.5)  # type: ignore[arg-type]


def test_the_last_smaller_batch_is_left_out() -> None:
    X, y = problem()
    layers = [cr.Dense(6), cr.ReLU(), cr.Dense(3), cr.Softmax()]
    arrays, batches = (cr.Network(layers, input_shape=4) for _ in range(2))
    options: dict[str, Any] = {"optimizer": cr.Adam(0.01), "epochs": 3, "progress": False}
    history = cr.fit(arrays, X, y, batch_size=16, drop_last=True, shuffle=False, **options)
    cr.fit(batches, [(X[i : i + 16], y[i : i + 16]) for i in (0, 16, 32)], **options)
    for name, value in arrays.parameters.items():
        np.testing.assert_array_equal(value, batches.parameters[name])
    assert history.optimizer_state is not None
    assert history.optimizer_state["steps"] == 9


def test_of_equal_epochs_the_last_is_kept() -> None:
    X, y = problem()
    stoppings = [cr.EarlyStopping(30, "validation_accuracy", last_of_ties=last) for last in (False, True)]
    for stopping in stoppings:
        network = cr.Network([cr.Dense(3), cr.Softmax()], input_shape=4)
        history = cr.fit(
            network, X, y, epochs=20, validation=0.3, optimizer=cr.Adam(0.05), early_stopping=stopping,
            progress=False,
        )  # fmt: skip
        best = [row.epoch for row in history.rows if row.validation_accuracy == stopping.best_value]
        assert stopping.best_epoch == best[-1 if stopping is stoppings[1] else 0]
        assert max(history.column("validation_accuracy")) == stopping.best_value
        assert len(best) > 1


@pytest.mark.parametrize("classify", [True, False])
def test_the_start_gives_every_unit_deviation_one_and_a_zero_within_the_data(classify: bool) -> None:
    r = np.random.default_rng(0)
    table = {
        "a": r.normal(5, 3, 300),
        "b": r.exponential(size=300),
        "s": r.choice([*"xyz"], 300).astype(object),
        "u": r.choice([f"l{i}" for i in range(12)], 300).astype(object),
    }
    preparation = cr.Preparation.learn(table, robust=True)
    tabular = Tabular(classify)
    network = tabular.network(preparation, 3 if classify else 1, dtype="float64")
    start(network, table)
    z = network.activations(table, ["scale1", "dense1", "dense2"])
    plain = (z["scale1"] @ network.parameters["dense1.W"].T) / np.sqrt(z["scale1"].shape[1])
    np.testing.assert_allclose(plain.std(axis=0), 1, rtol=1e-9)
    b = network.parameters["dense1.b"]
    assert (plain.min(axis=0) <= -b).all()
    assert (-b <= plain.max(axis=0)).all()
    assert 0.8 < z["dense2"].std() < 1.2  # with dropout in the start, without it here
    rates, decays = factors(network)
    assert rates["dense3.b"] == 0.1
    assert rates["scale1.s"] == decays["scale1.s"] == 6
    assert {name for name in rates if name not in decays} == {f"dense{number}.b" for number in range(1, 5)}
    checked = cr.check_gradients(
        network, preparation(table)[:6], np.arange(6) % 3 if classify else np.arange(6.0)
    )
    assert checked.ok, str(checked)
