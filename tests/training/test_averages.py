"""Averages of the weights, gradients of several batches, and the range test of the rate."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr

R = np.random.default_rng(0)
X, Y = R.standard_normal((48, 5)), R.integers(0, 3, 48)


def network(dtype: str = "float64") -> cr.Network:
    return cr.Network([cr.Dense(4), cr.Tanh(), cr.Dense(3), cr.Softmax()], input_shape=5, seed=1, dtype=dtype)


def trained(net: cr.Network, **options: Any) -> cr.Network:
    chosen = {"epochs": 3, "batch_size": 8, "optimizer": cr.SGD(0.5, momentum=0.9), "progress": False}
    cr.fit(net, X, Y, **{**chosen, **options})
    return net


class Watch(cr.Callback):
    """The parameters after every step, and after every epoch."""

    def on_fit_begin(self, context: Any) -> None:
        self.steps: list[Any] = []
        self.epochs: list[Any] = []

    def on_step_end(self, context: Any) -> None:
        self.steps.append(context.network.copy().parameters)

    def on_epoch_end(self, context: Any) -> None:
        self.epochs.append(context.network.copy().parameters)


def test_the_network_has_the_mean_of_its_epochs() -> None:
    watch, average = Watch(), cr.AverageWeights(start_epoch=2)
    net = trained(network(), epochs=4, callbacks=[watch, average])
    for name, value in net.parameters.items():
        np.testing.assert_allclose(value, np.mean([epoch[name] for epoch in watch.epochs[1:]], axis=0))
        np.testing.assert_array_equal(value, average.parameters[name])


def test_an_exponential_average_of_steps() -> None:
    watch, average = Watch(), cr.ExponentialAverage(0.8, apply=False)
    net = trained(network(), callbacks=[watch, average])
    for name, last in net.parameters.items():
        expected = watch.steps[0][name]
        for step in watch.steps[1:]:
            expected = 0.8 * expected + 0.2 * step[name]
        np.testing.assert_allclose(average.parameters[name], expected, rtol=1e-13)
        np.testing.assert_array_equal(last, watch.steps[-1][name])  # not applied


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("optimizer", [cr.SGD(0.5, momentum=0.9, clip_norm=0.1), cr.Adam(0.01)], ids=repr)
def test_gradients_of_several_batches_are_one(dtype: str, optimizer: Any) -> None:
    """The same steps as of a batch four times as large, the last of an epoch being smaller."""
    whole = trained(network(dtype), batch_size=32, optimizer=optimizer, penalty=cr.L2(0.01))
    parts = trained(network(dtype), batch_size=8, accumulate=4, optimizer=optimizer, penalty=cr.L2(0.01))
    watched = trained(
        network(dtype),
        batch_size=8,
        accumulate=4,
        optimizer=optimizer,
        penalty=cr.L2(0.01),
        callbacks=[Watch()],
    )
    for name, value in whole.parameters.items():
        tolerance = 1e-12 if dtype == "float64" else 2e-5
        np.testing.assert_allclose(parts.parameters[name], value, rtol=tolerance, atol=tolerance)
        np.testing.assert_array_equal(parts.parameters[name], watched.parameters[name])


def test_a_range_test_leaves_the_network_and_finds_where_the_loss_falls() -> None:
    net = network()
    before = net.copy().parameters
    seen = cr.rate_range_test(net, X, Y, low=1e-4, high=1e3, steps=60, batch_size=16, optimizer=cr.SGD(1.0))
    assert all(np.array_equal(net.parameters[name], value) for name, value in before.items())
    assert len(seen.rates) == len(seen.losses) == len(seen.smoothed) <= 60
    assert seen.rates[0] == 1e-4
    np.testing.assert_allclose(np.diff(np.log(seen.rates)), np.log(1e7) / 59)
    assert seen.losses[0] == pytest.approx(net.loss(X, Y), abs=0.4)  # of 16 samples
    assert 1e-3 < seen.steepest <= seen.lowest * 1.001 < 1e3
    svg = seen.to_svg()
    assert "1e-2" in svg
    assert "learning rate" in svg
    assert svg.count("<polyline") == 2
    assert "falls fastest" in str(seen)


def test_a_rate_that_is_far_too_high_ends_the_range_test() -> None:
    net = cr.Network([cr.Dense(8), cr.Dense(1)], input_shape=5, seed=0)
    seen = cr.rate_range_test(net, X, X.sum(axis=1), low=1e-3, high=1e30, steps=100, optimizer=cr.SGD(1.0))
    assert len(seen.rates) < 100


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: cr.AverageWeights(0), "start_epoch must be a whole number of at least 1"),
        (lambda: cr.ExponentialAverage(1.0), "decay must be a number greater than 0 and less than 1"),
        (lambda: trained(network(), accumulate=0), "accumulate must be a whole number of at least 1"),
        (lambda: cr.rate_range_test(network(), X, Y, low=1.0, high=0.1), "low must be below high"),
    ],
)
def test_wrong_arguments_name_what_to_write(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()
