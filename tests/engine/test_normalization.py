"""Batch normalisation and dropout in training: running numbers, drawn entries, predictions beside them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import reference
from chainrule.base.errors import ArgumentError
from chainrule.engine import Plan
from tests import by_formula
from tests.engine.harness import LEVELS, MACHINES, Array, same_bits, width

machines = pytest.mark.parametrize(("level", "dtype"), MACHINES)


def data(samples: int, *shape: int, seed: int = 0) -> tuple[Array, Array]:
    r = np.random.default_rng(seed)
    X = (r.standard_normal((samples, *shape)) * 2 + 3).astype(np.float32)
    return X, r.standard_normal((samples, 2)).astype(np.float32)


def train(network: cr.Network, X: Array, y: Array, batch: int, rate: float, level: str, dtype: str) -> Plan:
    plan = Plan(network, cr.SquaredError(), optimizer=cr.SGD(1.0), batch_size=batch, dtype=dtype, level=level)
    rates = np.full(-(-len(X) // batch), rate)
    plan.train_epoch(X, y.astype(dtype), np.arange(len(X)), rates)
    return plan


# -- the running numbers -------------------------------------------------------------------------------------


def by_formulas(network: cr.Network, X: Array, batch: int) -> dict[str, Array]:
    """The running numbers after an epoch in which nothing is learned, by the layers' own formulas."""
    values = {name: value.astype(np.float64) for name, value in network.parameters.items()}
    for start in range(0, len(X), batch):
        x = reference.to_columns(X[start : start + batch], np.float64)
        passes = reference.run_forward(network, x, values, np.float64)
        for one in reference.leaf_passes(passes):
            if isinstance(one.layer, cr.BatchNorm | cr.InstanceNorm):
                renewed = one.layer.running(one.x, one.given["mean"], one.given["variance"])
                values |= {f"{one.name}.{key}": value for key, value in renewed.items()}
    return {name: value for name, value in values.items() if name.endswith((".mean", ".variance"))}


def renewed(
    network: cr.Network, X: Array, y: Array, batch: int, level: str, dtype: str, roundings: int
) -> dict[str, Array]:
    """The parameters after an epoch in which nothing is learned; the running numbers are the formulas'."""
    found = train(network, X, y, batch, 0.0, level, dtype).parameters()
    tolerance = roundings * float(np.finfo(dtype).eps)
    for name, value in by_formulas(network, X, batch).items():
        np.testing.assert_allclose(found[name], value, rtol=tolerance, atol=tolerance, err_msg=name)
    return found


@machines
@pytest.mark.parametrize("shape", [(5,), (6, 3), (4, 3, 9)])
def test_an_epoch_renews_the_running_numbers(level: str, dtype: str, shape: tuple[int, ...]) -> None:
    """Over whole and partial blocks, and a smaller batch at the end; twice in a network, with a branch."""
    layers = [cr.BatchNorm(0.3), cr.Residual([cr.Tanh(), cr.BatchNorm()]), cr.Flatten(), cr.Dense(2)]
    network = cr.Network(layers, input_shape=shape, dtype=dtype)
    batch = 2 * width(level, dtype) + 3
    X, y = data(2 * batch + 5, *shape)
    found = renewed(network, X, y, batch, level, dtype, roundings=20)
    for name, value in network.parameters.items():  # the rate was 0
        if network.parameter_specs[name].learned:
            np.testing.assert_array_equal(found[name], value)


@machines
@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 9)])
def test_running_numbers_of_samples_by_themselves(level: str, dtype: str, shape: tuple[int, ...]) -> None:
    """An InstanceNorm's training pass takes no notice of them, its prediction nothing else."""
    layers = [cr.InstanceNorm(tracked=True, momentum=0.3), cr.Tanh(), cr.Flatten(), cr.Dense(2)]
    network = cr.Network(layers, input_shape=shape, dtype=dtype, seed=2)
    plain = cr.Network([cr.InstanceNorm(), *layers[1:]], input_shape=shape, dtype=dtype, seed=2)
    batch = 2 * width(level, dtype) + 3
    X, y = data(2 * batch + 5, *shape)
    found = renewed(network, X, y, batch, level, dtype, roundings=40)
    for name in ("mean", "variance"):
        network.set_parameters({f"instancenorm1.{name}": found[f"instancenorm1.{name}"]})
    plan = Plan(network, cr.SquaredError(), batch_size=batch, dtype=dtype, level=level)
    np.testing.assert_allclose(plan.predict(X), reference.forward(network, X), rtol=1e-4, atol=1e-4)
    gradients = plan.gradients(X[:batch], y[:batch].astype(dtype))[1]
    plain.set_parameters({name: network.parameters[name] for name in plain.parameters})
    expected = plain.backpropagate(X[:batch], y[:batch], loss=cr.SquaredError()).gradients
    assert gradients.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(gradients[name], value, rtol=1e-4, atol=1e-5, err_msg=name)


def test_frozen_numbers_of_samples_normalise_training_too() -> None:
    """δ goes straight through: it is a scale and a shift."""

    def network(layer: cr.Layer) -> cr.Network:
        layers = [cr.Dense(3), layer, cr.Flatten(), cr.Dense(2)]
        return cr.Network(layers, input_shape=(4, 2), dtype="float64", seed=2)

    X, y = data(12, 4, 2)
    first, second = network(cr.InstanceNorm(tracked=True)), network(cr.BatchNorm())
    for name in ("dense1.W", "dense2.W"):
        np.testing.assert_array_equal(first.parameters[name], second.parameters[name])
    kept = {"mean": np.array([0.5, -1, 2]), "variance": np.array([0.3, 2, 4])}
    for one, name in ((first, "instancenorm1"), (second, "batchnorm1")):
        one.set_parameters({f"{name}.{key}": value for key, value in kept.items()})
        cr.fit(one, X, y, freeze=[name], epochs=2, batch_size=5, progress=False)
    np.testing.assert_allclose(first.parameters["dense1.W"], second.parameters["dense1.W"], rtol=1e-12)
    np.testing.assert_array_equal(first.parameters["instancenorm1.mean"], kept["mean"])


def test_fit_keeps_them_and_predictions_use_them() -> None:
    network = cr.Network([cr.Dense(6), cr.BatchNorm(), cr.ReLU(), cr.Dense(2)], input_shape=5, seed=1)
    X, y = data(200, 5)
    cr.fit(network, X, y, loss="mse", epochs=30, batch_size=20, penalty=cr.L2(1e-3), progress=False)
    z = X @ network.parameters["dense1.W"].T + network.parameters["dense1.b"]
    mean, variance = network.parameters["batchnorm1.mean"], network.parameters["batchnorm1.variance"]
    np.testing.assert_allclose(mean, z.mean(axis=0), atol=0.3)
    np.testing.assert_allclose(variance, z.var(axis=0), rtol=0.3)
    np.testing.assert_allclose(network.predict(X), reference.forward(network, X), atol=1e-4)
    np.testing.assert_allclose(network.predict(X)[:7], network.predict(X[:7]), atol=1e-5)  # no others matter


def test_only_training_renews_them() -> None:
    network = cr.Network([cr.BatchNorm(), cr.Dense(2)], input_shape=5)
    X, y = data(20, 5)
    before = {name: value.copy() for name, value in network.parameters.items()}
    network.backpropagate(X, y)
    network.predict(X)
    network.loss(X, y)
    assert cr.check_gradients(network, X[:6], y[:6]).ok
    plan = Plan(network, cr.SquaredError(), batch_size=20)
    plan.gradients(X, y)
    plan.evaluate(X, y, training=True)
    assert same_bits(before, dict(network.parameters))
    assert same_bits(before, plan.parameters())


def test_they_are_neither_learned_nor_penalised() -> None:
    network = cr.Network([cr.BatchNorm(momentum=0.0), cr.Dense(2)], input_shape=5)
    assert network.count_parameters() == 5 + 5 + 12
    assert str(network.summary()).split()[-1] == "22"
    X, y = data(60, 5)
    before = {name: network.parameters[f"batchnorm1.{name}"].copy() for name in ("mean", "variance")}
    for optimizer in (cr.SGD(0.1, momentum=0.9), cr.AdamW(0.1, weight_decay=0.5), cr.RMSProp(0.1)):
        cr.fit(
            network, X, y, optimizer=optimizer, penalty=cr.L2(0.5), epochs=2, batch_size=16, progress=False
        )
        for name, value in before.items():  # momentum 0: the batches weigh nothing
            np.testing.assert_array_equal(network.parameters[f"batchnorm1.{name}"], value)
    step = network.backpropagate(X, y, penalty=cr.L2(0.5))
    assert set(step.gradients) == {"batchnorm1.gamma", "batchnorm1.beta", "dense1.W", "dense1.b"}


def test_large_means_do_not_cancel() -> None:
    """Two passes: E[x²] - E[x]² of values around 4000 would be wrong by their variance in float32."""
    X = (np.random.default_rng(0).standard_normal((64, 3)) + 4096).astype(np.float32)
    for layer in (cr.BatchNorm(), cr.GroupNorm(1), cr.LayerNorm()):
        network = cr.Network([layer], input_shape=(64, 3, 1) if layer.mixes_samples else (3, 3, 4))
        rows = X.reshape(1, 64, 3, 1) if layer.mixes_samples else X[:60].reshape(5, 3, 3, 4)
        step = network.backpropagate(rows, np.zeros_like(rows))
        exact = by_formula.backpropagate(network, rows, np.zeros_like(rows))
        np.testing.assert_allclose(step.output, exact.output, atol=2e-3)


@machines
@pytest.mark.parametrize("first", [0.0, 1e6])
def test_statistics_far_from_zero(first: float, level: str, dtype: str) -> None:
    """Variances have all digits at 1e6, where float32 has steps of 0.06; whatever the first value is."""
    X = (np.random.default_rng(0).standard_normal((33, 9, 40, 5)) + 1e6).astype(np.float32)
    X[0, 0, 0] = first
    network = cr.Network([cr.BatchNorm(1.0), cr.Flatten(), cr.Dense(2)], input_shape=(9, 40, 5), dtype=dtype)
    found = train(network, X, np.zeros((33, 2)), 33, 0.0, level, dtype).parameters()
    exact = X.astype(np.float64)
    np.testing.assert_allclose(found["batchnorm1.mean"], exact.mean(axis=(0, 1, 2)), rtol=1e-7)
    np.testing.assert_allclose(found["batchnorm1.variance"], exact.var(axis=(0, 1, 2), ddof=1), rtol=2e-6)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("epsilon", [1e-5, 1e-45])
@pytest.mark.parametrize("scale", [1e-30, 1e-22, 1e-18, 1.0, 1e18, 1e22, 1e30])
def test_squares_beyond_float32(scale: float, epsilon: float, level: str) -> None:
    """Where they overflow, and where they vanish and ε is no larger, sums are taken in double."""
    unit = np.random.default_rng(0).standard_normal((19, 4, 4, 6))
    X = (unit * scale).astype(np.float32)
    for layer in (cr.BatchNorm, cr.LayerNorm, cr.RMSNorm, lambda **o: cr.GroupNorm(2, **o)):
        network = cr.Network([layer(epsilon=epsilon)], input_shape=(4, 4, 6))
        plan = Plan(network, cr.SquaredError(), batch_size=19, level=level, keep=True)
        step = by_formula.backpropagate(network, X, np.zeros_like(X))
        output = plan.inspect(X, np.zeros_like(X))[1]
        for name, expected in step.activations.items():
            np.testing.assert_allclose(output[name], expected, rtol=2e-6, atol=2e-6 * np.abs(expected).max())


# -- dropout -------------------------------------------------------------------------------------------------


@machines
@pytest.mark.parametrize("shape", [(37,), (9, 5), (3, 4, 7)])
def test_the_kernels_drop_what_the_formulas_drop(level: str, dtype: str, shape: tuple[int, ...]) -> None:
    network = cr.Network([cr.Dropout(0.3), cr.Residual([cr.Dropout(0.8, seed=5)])], input_shape=shape)
    X, _ = data(2 * width(level, dtype) + 1, *shape)
    plan = Plan(network, cr.SquaredError(), batch_size=len(X), dtype=dtype, level=level, keep=True)
    activations, deltas = plan.inspect(X, X)[1:3]
    step = by_formula.backpropagate(network, X, X)
    for name in ("dropout1", "residual1.dropout1"):
        np.testing.assert_array_equal(activations[name] == 0, step.activations[name] == 0)
    assert ((deltas["input"] == 0) == (step.deltas["input"] == 0)).all()
    np.testing.assert_array_equal(plan.predict(X), 2 * X.astype(dtype))  # nothing is dropped


def test_the_share_that_is_kept() -> None:
    for rate in (0.0, 0.1, 0.5, 0.9):
        network = cr.Network([cr.Dropout(rate)], input_shape=(50, 40))
        kept = network.backpropagate(np.ones((20, 50, 40)), np.zeros((20, 50, 40))).output
        assert (kept != 0).mean() == pytest.approx(1 - rate, abs=0.01)
        assert kept.max() == pytest.approx(1 / (1 - rate))
        assert kept.mean() == pytest.approx(1, abs=0.02)


def trained(threads: int = 1, level: str = LEVELS[-1], **options: Any) -> dict[str, Array]:
    layers = [
        cr.Dense(40),
        cr.BatchNorm(),
        cr.ReLU(),
        cr.Dropout(0.4),
        cr.Dense(30),
        cr.GroupNorm(3),
        cr.Dense(2),
    ]
    network = cr.Network(layers, input_shape=(40, 50) if options.pop("long", False) else 50, seed=2)
    X, y = data(90, *network.input_shape)
    y = np.broadcast_to(y[:, None], (90, 40, 2)) if len(network.input_shape) > 1 else y
    with_options = {"epochs": 2, "batch_size": 40, "progress": False, "shuffle": False, **options}
    cr.fit(network, X, y, loss="mse", threads=threads, **with_options)
    return dict(network.parameters)


def test_the_seed_decides_what_is_dropped() -> None:
    first = trained(seed=1)
    assert same_bits(first, trained(seed=1))
    other = trained(seed=2)  # the same order: not shuffled
    assert all(not np.array_equal(first[name], other[name]) for name in ("dense1.W", "dense3.W"))


@pytest.mark.parametrize("threads", [2, 3, 4])
def test_the_same_bits_for_any_number_of_threads(threads: int) -> None:
    assert same_bits(trained(long=True), trained(threads, long=True))


def test_a_resumed_fit_draws_on() -> None:
    layers = [cr.Dense(12), cr.BatchNorm(), cr.Dropout(0.5), cr.Dense(2)]
    whole, parts = (cr.Network(layers, input_shape=5, seed=3) for _ in range(2))
    X, y = data(50, 5)
    options: dict[str, Any] = {"loss": "mse", "batch_size": 16, "progress": False, "seed": 4}
    cr.fit(whole, X, y, epochs=4, **options)
    history = cr.fit(parts, X, y, epochs=1, **options)
    cr.fit(parts, X, y, epochs=3, resume=history, **options)
    assert same_bits(dict(whole.parameters), dict(parts.parameters))


# -- refused -------------------------------------------------------------------------------------------------


def test_a_single_value_per_channel_is_refused() -> None:
    network = cr.Network([cr.Dense(3), cr.Residual([cr.BatchNorm()]), cr.Dense(2)], input_shape=5)
    X, y = data(33, 5)
    for run in (
        lambda: network.backpropagate(X[:1], y[:1]),
        lambda: by_formula.backpropagate(network, X[:1], y[:1]),
        lambda: cr.fit(network, X, y, batch_size=32, progress=False),
        lambda: cr.fit(network, X, y, batch_size=1, progress=False),
        lambda: Plan(network, cr.SquaredError(), batch_size=4).evaluate(X, y, training=True),
    ):
        with pytest.raises(cr.DataError, match="one value per channel: its variance is 0"):
            run()
    assert network.history is None
    network.predict(X[:1])
    cr.fit(network, X, y, batch_size=31, epochs=1, progress=False)  # 31 and 2
    pixels = cr.Network([cr.BatchNorm(), cr.Flatten(), cr.Dense(2)], input_shape=(2, 2, 3))
    pixels.backpropagate(data(1, 2, 2, 3)[0], y[:1])  # one sample, four positions


def test_samples_have_no_gradients_of_their_own() -> None:
    X, y = data(6, 5)
    network = cr.Network([cr.BatchNorm(), cr.Dense(2)], input_shape=5)
    with pytest.raises(ValueError, match="computes with all samples of a batch together"):
        network.backpropagate(X, y).per_sample_norms()
    for layer in (cr.LayerNorm(), cr.RMSNorm(), cr.GroupNorm(1), cr.Dropout(0.5)):
        network = cr.Network([layer, cr.Dense(2)], input_shape=5)
        norms = network.backpropagate(X, y).per_sample_norms()
        assert norms.shape == (6,)
        assert (norms > 0).all()


# -- without running numbers ---------------------------------------------------------------------------------
UNTRACKED: dict[str, tuple[list[cr.Layer], tuple[int, ...]]] = {
    "vector": ([cr.Dense(9), cr.BatchNorm(tracked=False), cr.ReLU(), cr.Dense(2)], (5,)),
    "image": (
        [cr.Conv2D(6, 3), cr.BatchNorm(tracked=False, scale=False), cr.Tanh(), cr.Flatten(), cr.Dense(2)],
        (9, 8, 3),
    ),
    "bands": (
        [cr.Conv2D(5, 3), cr.BatchNorm(tracked=False), cr.Conv2D(4, 3), cr.GlobalAveragePool(), cr.Dense(2)],
        (40, 40, 3),
    ),
    "steps": ([cr.Dense(6), cr.BatchNorm(tracked=False, shift=False), cr.GRU(2)], (12, 4)),
}


@pytest.mark.parametrize("name", UNTRACKED)
@machines
def test_without_running_numbers_predictions_go_by_the_samples_together(
    name: str, level: str, dtype: str
) -> None:
    layers, shape = UNTRACKED[name]
    network = cr.Network(layers, input_shape=shape, dtype=dtype, seed=2)
    assert not any(key.endswith((".mean", ".variance")) for key in network.parameters)
    rough = 1e-4 if dtype == "float32" else 1e-11
    for samples in (2, 5, width(level, dtype), 301):
        X, y = data(samples, *shape, seed=samples)
        X, y = X.astype(dtype), y.astype(dtype)
        predicted = Plan(network, batch_size=samples, dtype=dtype, level=level).predict(X)
        wanted = reference.ReferenceExecutor().predict(network, X)
        np.testing.assert_allclose(predicted, wanted, rtol=rough, atol=rough)
        # what a training pass computes of the same samples
        outputs = list(network.backpropagate(X, y).activations.values())[-1]
        np.testing.assert_allclose(network.predict(X), outputs, rtol=rough, atol=rough)
        assert np.isclose(network.loss(X, y), network.backpropagate(X, y).loss, rtol=1e-4)


def test_where_samples_are_parted_nothing_goes_by_them_together() -> None:
    network = cr.Network(UNTRACKED["vector"][0], input_shape=5)
    X, y = data(65, 5)
    for call in (network.predict, lambda one: network.loss(one, y[:1]), lambda one: network.activations(one)):
        with pytest.raises(cr.DataError, match="predict several samples together"):
            call(X[:1])
    with pytest.raises(ArgumentError, match="fit_full_batch adds up J over parts"):
        cr.fit_full_batch(network, X, y)
    with pytest.raises(cr.DataError, match="another batch_size"):
        cr.fit(network, X[:64], y[:64], batch_size=32, epochs=1, validation=(X[:33], y[:33]), progress=False)
    with pytest.raises(ArgumentError, match="to_c cannot write batchnorm1"):
        network.to_c("net.h")
    with pytest.raises(ArgumentError, match="read by nothing beside tracked=False"):
        cr.BatchNorm(0.2, tracked=False)
