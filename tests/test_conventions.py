"""Conventions that differ between the tutorials by a factor or a form: each is an argument, and the factor is
exact.

The rows are an option table: W index, sample axis, bias, λ, where 1/m enters, reduction of the loss, meaning
of δ, convolution, ties.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr

SAMPLES, OUTPUTS = 8, 4  # powers of 2: the factors below are exact
R = np.random.default_rng(6)
X, Y = R.standard_normal((SAMPLES, 3)), R.standard_normal((SAMPLES, OUTPUTS))


@pytest.fixture
def network() -> cr.Network:
    layers = [cr.Dense(5), cr.Tanh(), cr.Dense(OUTPUTS, name="last")]
    return cr.Network(layers, input_shape=3, seed=2, dtype="float64")


def same(one: cr.Step, other: cr.Step, factor: float) -> None:
    """All gradients of `one` are `factor` times those of `other`."""
    for name, gradient in other.gradients.items():
        np.testing.assert_array_equal(one.gradients[name], factor * gradient)


def penalty_part(network: cr.Network, penalty: Any, training_size: int | None = None) -> dict[str, Any]:
    plain = network.backpropagate(X, Y)
    step = network.backpropagate(X, Y, penalty=penalty, training_size=training_size)
    return {name: step.gradients[name] - plain.gradients[name] for name in plain.gradients}


def test_lambda_over_2_and_lambda_over_2m_differ_by_m(network: cr.Network) -> None:
    """m is the size of the training set, and that of the batch only where nothing else is said."""
    whole = penalty_part(network, cr.L2(0.5))
    for size in (None, 64):
        divided = penalty_part(network, cr.L2(0.5, per_sample=True), size)
        for name in network.parameters:
            np.testing.assert_allclose((size or SAMPLES) * divided[name], whole[name], rtol=1e-12, atol=1e-13)


def test_biases_are_not_penalised(network: cr.Network) -> None:
    part = penalty_part(network, cr.L2(0.5))
    for name, array in network.parameters.items():
        expected = 0 * array if name.endswith(".b") else 0.5 * array
        np.testing.assert_allclose(part[name], expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("loss", [cr.SquaredError, cr.MeanAbsoluteError, cr.Huber])
def test_sum_and_mean_over_outputs_differ_by_their_number(network: cr.Network, loss: Any) -> None:
    summed = network.backpropagate(X, Y, loss=loss())
    mean = network.backpropagate(X, Y, loss=loss(mean_outputs=True))
    assert summed.loss == pytest.approx(OUTPUTS * mean.loss, rel=1e-15)
    same(summed, mean, OUTPUTS)


def test_the_half_of_the_squared_error(network: cr.Network) -> None:
    """½ ‖a - y‖²: half of the sum that scikit-learn and PyTorch call squared error, and its gradient has no
    2.
    """
    error = network.predict(X) - Y
    assert 2 * network.loss(X, Y) == pytest.approx((error**2).sum(axis=1).mean(), rel=1e-14)
    np.testing.assert_allclose(network.backpropagate(X, Y).deltas["last"], error / SAMPLES, rtol=1e-14)


def test_cross_entropy_is_summed_over_outputs_and_averaged_over_samples() -> None:
    network = cr.Network([cr.Dense(OUTPUTS), cr.Sigmoid()], input_shape=3, dtype="float64")
    y = R.integers(0, 2, (SAMPLES, OUTPUTS))
    a = network.predict(X)
    terms = -(y * np.log(a) + (1 - y) * np.log(1 - a))
    assert network.loss(X, y) == pytest.approx(OUTPUTS * terms.mean(), rel=1e-13)
    assert network.loss(X, y) == pytest.approx(terms.sum() / SAMPLES, rel=1e-13)


def test_one_over_m_is_in_the_delta_of_the_output_and_nowhere_else(network: cr.Network) -> None:
    """Twice the batch, the same data twice: δ is half, the gradients, sums over samples, are the same."""
    once, twice = network.backpropagate(X, Y), network.backpropagate(np.tile(X, (2, 1)), np.tile(Y, (2, 1)))
    np.testing.assert_array_equal(2 * twice.deltas["last"][:SAMPLES], once.deltas["last"])
    np.testing.assert_array_equal(2 * twice.deltas["dense1"][:SAMPLES], once.deltas["dense1"])
    for name, gradient in once.gradients.items():
        np.testing.assert_allclose(twice.gradients[name], gradient, rtol=1e-12, atol=1e-15)
    d, a = once.deltas["last"], once.activations["tanh1"]
    np.testing.assert_allclose(once.gradients["last.W"], d.T @ a, rtol=1e-12)  # not divided again


def test_dividing_at_the_end_is_the_same_gradient(network: cr.Network) -> None:
    """Dezeming's loop over samples: Δ is accumulated and divided by m once."""
    steps = [network.backpropagate(X[[i]], Y[[i]]) for i in range(SAMPLES)]
    for name, gradient in network.backpropagate(X, Y).gradients.items():
        accumulated = sum(step.gradients[name] for step in steps)
        np.testing.assert_allclose(accumulated / SAMPLES, gradient, rtol=1e-12, atol=1e-14)


def test_delta_is_of_z_and_the_activation_says_of_a(network: cr.Network) -> None:
    """δ of a dense layer is ∂J/∂z, that of its activation ∂J/∂a: they differ by f'(z)."""
    step = network.backpropagate(X, Y)
    slope = 1 - step.activations["tanh1"] ** 2
    np.testing.assert_allclose(step.deltas["dense1"], step.deltas["tanh1"] * slope, rtol=1e-13)


def test_samples_are_rows_at_the_face_and_columns_in_the_formulas(network: cr.Network) -> None:
    W, b = network.parameters["dense1.W"], network.parameters["dense1.b"]
    z = cr.Dense(5).forward(X.T, W, b)
    np.testing.assert_allclose(network.backpropagate(X, Y).activations["dense1"], z.T, rtol=1e-13)
    assert W.shape == (5, 3)  # W_jk from k to j: units x inputs


def test_bias_vector_and_column_0_of_theta(network: cr.Network) -> None:
    for theta, name in zip(network.theta(), ("dense1", "last"), strict=True):
        np.testing.assert_array_equal(theta[:, 0], network.parameters[f"{name}.b"])
        np.testing.assert_array_equal(theta[:, 1:], network.parameters[f"{name}.W"])


def test_convolution_is_not_flipped() -> None:
    """A true convolution is the cross-correlation with the kernel turned by 180 degrees."""
    image, kernel = R.standard_normal((5, 6)), R.standard_normal((2, 3))
    layer = cr.Conv2D(1, (2, 3), bias=False)

    def correlate(weights: Any) -> Any:
        network = cr.Network.from_parameters(
            [layer], {"conv1.W": weights[None, :, :, None]}, input_shape=(5, 6, 1), dtype="float64"
        )
        return network.predict(image[None, :, :, None])[0, :, :, 0]

    windows = np.lib.stride_tricks.sliding_window_view(image, (2, 3))
    np.testing.assert_allclose(correlate(kernel), (windows * kernel).sum(axis=(2, 3)), rtol=1e-12, atol=1e-14)
    turned = (windows * kernel[::-1, ::-1]).sum(axis=(2, 3))
    np.testing.assert_allclose(correlate(kernel[::-1, ::-1]), turned, rtol=1e-12, atol=1e-14)


def test_a_tie_of_max_pooling_goes_to_the_first() -> None:
    network = cr.Network([cr.MaxPool2D(2)], input_shape=(2, 2, 1), dtype="float64")
    step = network.backpropagate(np.ones((1, 2, 2, 1)), np.zeros((1, 1, 1, 1)))
    assert step.deltas["input"][0, :, :, 0].tolist() == [[1, 0], [0, 0]]


def test_sample_weights_have_mean_1(network: cr.Network) -> None:
    weights = R.random(SAMPLES) + 0.5
    one, other = (network.backpropagate(X, Y, sample_weight=factor * weights) for factor in (1, 4))
    same(one, other, 1)
