"""The tutorials' formulas as they print them, entry by entry in loops, beside what the kernels compute.

Elsewhere the tests compare matrices, differences and published numbers; here the indices are those of the
tutorials, corrected where one has a slip, so that its row can be found.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr

R = np.random.default_rng(3)
Array = Any


def sigmoid(z: Array) -> Array:
    return 1 / (1 + np.exp(-z))


def slope(z: Array) -> Array:
    return sigmoid(z) * (1 - sigmoid(z))


def dense(*, loss: Any, penalty: Any = None) -> tuple[cr.Network, Array, Array, cr.Step]:
    """3-4-2 sigmoids on five samples."""
    layers = [cr.Dense(4, bias_initializer=cr.Normal(1.0)), cr.Sigmoid(), cr.Dense(2), cr.Sigmoid()]
    network = cr.Network(layers, input_shape=3, dtype="float64", seed=4)
    X, y = R.standard_normal((5, 3)), R.integers(0, 2, (5, 2)).astype(float)
    return network, X, y, network.backpropagate(X, y, loss=loss, penalty=penalty)


# -- Tutorial ------------------------------------------------------------------------------------------------


def test_dense_formulas_of_seed_000() -> None:
    """FC ①-④ of one sample; δ of the input, (W²)ᵀ δ², has no f' (layer 1 is the input)."""
    network, X, y, _ = dense(loss="squared_error")
    step = network.backpropagate(X[:1], y[:1], loss="squared_error")
    W2, W3 = network.parameters["dense1.W"], network.parameters["dense2.W"]
    x1, x2, x3 = X[0], step.activations["sigmoid1"][0], step.output[0]
    z2, z3 = step.activations["dense1"][0], step.activations["dense2"][0]
    d3 = (x3 - y[0]) * slope(z3)  # ④
    d2 = (W3.T @ d3) * slope(z2)  # ③, f' of the layer below at its own z
    for name, d in (("dense2", d3), ("dense1", d2), ("input", W2.T @ d2)):
        np.testing.assert_allclose(step.deltas[name][0], d, rtol=1e-12)
    for name, d, x in (("dense2", d3, x2), ("dense1", d2, x1)):
        np.testing.assert_allclose(step.gradients[f"{name}.W"], np.outer(d, x), rtol=1e-12)  # ①
        np.testing.assert_allclose(step.gradients[f"{name}.b"], d, rtol=1e-12)  # ②


@pytest.fixture(scope="module")
def convolution() -> tuple[cr.Network, cr.Step, Array, Array]:
    """Two channels, a sigmoid in front of the convolution and three kernels of 2 x 3; z below it, its δ."""
    layers = [cr.Sigmoid(), cr.Conv2D(3, (2, 3), bias_initializer=cr.Normal(1.0))]
    network = cr.Network(layers, input_shape=(4, 5, 2), dtype="float64", seed=5)
    X = R.standard_normal((1, 4, 5, 2))
    step = network.backpropagate(X, R.standard_normal((1, 3, 3, 3)), loss="squared_error")
    return network, step, X[0], step.deltas["conv1"][0]


def test_convolution_forward_of_seed_000(convolution: Any) -> None:
    """z_ijk = Σ f(z_{i+m,j+n,c}) w_k(m, n, c) + b_k: no flip, a number b_k for a whole map."""
    network, step, z, _ = convolution
    W, b = network.parameters["conv1.W"], network.parameters["conv1.b"]
    assert b.shape == (3,)
    for i, j, k in np.ndindex(3, 3, 3):
        terms = [sigmoid(z[i + m, j + n, c]) * W[k, m, n, c] for m, n, c in np.ndindex(2, 3, 2)]
        assert step.output[0, i, j, k] == pytest.approx(sum(terms) + b[k], rel=1e-12)


def test_convolution_1_of_seed_000(convolution: Any) -> None:
    """δ below three ways: the raw sum with w = 0 out of its range, ① with δ = 0 out of its range, and the
    kernel turned by 180 degrees and slid over the padded δ; f' multiplies the finished sum.
    """
    network, step, z, d = convolution
    W = network.parameters["conv1.W"]
    padded = np.pad(d, ((1, 1), (2, 2), (0, 0)))  # full: kernel - 1 on every side
    turned = W[:, ::-1, ::-1]
    for u, v, c in np.ndindex(4, 5, 2):
        raw = sum(
            d[i, j, k] * W[k, u - i, v - j, c]
            for i, j, k in np.ndindex(3, 3, 3)
            if 0 <= u - i < 2 and 0 <= v - j < 3
        )
        first = sum(
            d[u - s, v - t, k] * W[k, s, t, c]
            for s, t, k in np.ndindex(2, 3, 3)
            if 0 <= u - s < 3 and 0 <= v - t < 3
        )
        flipped = sum((padded[u : u + 2, v : v + 3, k] * turned[k, :, :, c]).sum() for k in range(3))
        expected = step.deltas["input"][0, u, v, c]
        for value in (raw, first, flipped):
            assert value * slope(z[u, v, c]) == pytest.approx(expected, rel=1e-12, abs=1e-15)


def test_convolution_2_and_3_of_seed_000(convolution: Any) -> None:
    """∂w_k(m, n, c) = Σ_ij δ_ijk X_{i+m,j+n,c}, no flip; ∂b_k = Σ_ij δ_ijk."""
    _, step, z, d = convolution
    x = sigmoid(z)
    for k, m, n, c in np.ndindex(3, 2, 3, 2):
        total = (d[:, :, k] * x[m : m + 3, n : n + 3, c]).sum()
        assert step.gradients["conv1.W"][k, m, n, c] == pytest.approx(total, rel=1e-12)
    np.testing.assert_allclose(step.gradients["conv1.b"], d.sum(axis=(0, 1)), rtol=1e-12)


def test_a_kernel_touches_its_own_map_alone() -> None:
    network = cr.Network([cr.Conv2D(3, 2)], input_shape=(4, 4, 2), dtype="float64", seed=1)
    X = R.standard_normal((1, 4, 4, 2))
    before = network.predict(X)
    network.parameters["conv1.W"][1] += 1
    network.parameters["conv1.b"][1] += 1
    changed = (network.predict(X) != before).any(axis=(0, 1, 2))
    assert changed.tolist() == [False, True, False]


@pytest.mark.parametrize("kind", ["average", "max"])
def test_overlapping_pools_of_seed_000(kind: str) -> None:
    """Windows of two pixels, one apart: pixel u gets of the windows u - 1 and u, as far as there are any.
    What arrives is ∂J/∂X: the layer below multiplies by its f' to have its ∂J/∂z.
    """
    pool: Any = {"average": cr.AveragePool1D, "max": cr.MaxPool1D}[kind](2, 1)
    network = cr.Network([cr.Sigmoid(), pool], input_shape=(6, 1), dtype="float64")
    Z = np.array([0.3, 2.0, -1.0, -2.0, 1.5, 0.1])
    step = network.backpropagate(Z.reshape(1, 6, 1), R.standard_normal((1, 5, 1)), loss="squared_error")
    d, X = step.deltas[network.layers[-1].name][0, :, 0], sigmoid(Z)
    expected = np.zeros(6)
    for u in range(6):
        for i in (u - 1, u):
            if 0 <= i < 5:
                share = 0.5 if kind == "average" else float(X[u] == max(X[i], X[i + 1]))
                expected[u] += d[i] * share
    np.testing.assert_allclose(step.deltas["sigmoid1"][0, :, 0], expected, rtol=1e-13)
    np.testing.assert_allclose(step.deltas["input"][0, :, 0], expected * slope(Z), rtol=1e-13)


# -- Ning Yu and Dezeming ------------------------------------------------------------------------------------


def test_residuals_of_seed_001() -> None:
    """δ_i = -(y_i - a_i) f'(z_i), then (Σ_j δ_j W_ji) f'(z_i); ∂J/∂W_ij = a_j δ_i, target first; the mean
    over the samples, and λ W without 1/m, which biases have not.
    """
    lam = 0.7
    network, X, y, step = dense(loss="squared_error", penalty=cr.L2(lam))
    W1, b1, W2, b2 = network.parameters.values()
    dW1, db1, dW2, db2 = (np.zeros_like(array) for array in network.parameters.values())
    J = 0.0
    for a1, target in zip(X, y, strict=True):
        z2 = [sum(W1[i, j] * a1[j] for j in range(3)) + b1[i] for i in range(4)]
        a2 = [sigmoid(z) for z in z2]
        z3 = [sum(W2[i, j] * a2[j] for j in range(4)) + b2[i] for i in range(2)]
        d3 = [-(target[i] - sigmoid(z3[i])) * slope(z3[i]) for i in range(2)]
        d2 = [sum(d3[j] * W2[j, i] for j in range(2)) * slope(z2[i]) for i in range(4)]
        J += sum((sigmoid(z3[i]) - target[i]) ** 2 for i in range(2)) / 2 / len(X)
        for gradient, d, a in ((dW1, d2, a1), (dW2, d3, a2)):
            for i, j in np.ndindex(gradient.shape):
                gradient[i, j] += a[j] * d[i] / len(X)
        for gradient, d in ((db1, d2), (db2, d3)):
            gradient += np.array(d) / len(X)
    assert step.data_loss == pytest.approx(J, rel=1e-12)
    assert step.loss == pytest.approx(J + lam / 2 * ((W1**2).sum() + (W2**2).sum()), rel=1e-12)
    found = (dW1 + lam * W1, db1, dW2 + lam * W2, db2)
    for expected, name in zip(found, network.parameters, strict=True):
        np.testing.assert_allclose(step.gradients[name], expected, rtol=1e-11)


def test_theta_and_accumulation_of_seed_002() -> None:
    """z = Θ a with a_0 = 1; δ = a - y, then a (1 - a) Σ_d δ_d Θ_di for i ≠ 0; Δ of a sample, D = ΣΔ / m, and
    (λ/m) Θ but for i = 0, with m the training set.
    """
    lam, m = 0.7, 5
    network, X, y, step = dense(loss="binary_cross_entropy", penalty=cr.L2(lam, per_sample=True))
    theta1, theta2 = network.theta()
    assert theta1.shape == (4, 3 + 1)
    D1, D2 = np.zeros_like(theta1), np.zeros_like(theta2)
    J = 0.0
    for x, target in zip(X, y, strict=True):
        a1 = np.array([1, *x])
        a2 = np.array([1, *sigmoid(theta1 @ a1)])
        h = sigmoid(theta2 @ a2)
        J -= sum(target[k] * np.log(h[k]) + (1 - target[k]) * np.log(1 - h[k]) for k in range(2)) / m
        d3 = h - target
        d2 = [a2[i] * (1 - a2[i]) * sum(d3[d] * theta2[d, i] for d in range(2)) for i in range(1, 5)]
        D1 += np.outer(d2, a1) / m
        D2 += np.outer(d3, a2) / m
    assert step.data_loss == pytest.approx(J, rel=1e-12)
    for D, theta in ((D1, theta1), (D2, theta2)):
        D[:, 1:] += lam / m * theta[:, 1:]
    for D, name in ((D1, "dense1"), (D2, "dense2")):
        ours = np.column_stack([step.gradients[f"{name}.b"], step.gradients[f"{name}.W"]])
        np.testing.assert_allclose(ours, D, rtol=1e-11)


# -- Wang ----------------------------------------------------------------------------------------------------


def test_the_network_of_seed_003() -> None:
    """6 x 6 pixels, three filters of 3 x 3, 2 x 2 max pooling, three outputs: 30 + 39 parameters.  δ of a
    filter's unit is the sum over the three outputs, the paths through its pooled cell, where it won.
    """
    layers = [cr.Conv2D(3, 3), cr.Sigmoid(), cr.MaxPool2D(2), cr.Flatten(), cr.Dense(3), cr.Sigmoid()]
    network = cr.Network(layers, input_shape=(6, 6, 1), dtype="float64", seed=7)
    assert [network.shapes[name] for name in ("conv1", "maxpool1", "dense1")] == [(4, 4, 3), (2, 2, 3), (3,)]
    assert network.count_parameters() == 30 + 39
    x, t = R.random((6, 6)), np.array([0.0, 1.0, 0.0])
    step = network.backpropagate(x.reshape(1, 6, 6, 1), t[None], loss="squared_error")
    aF, zF = step.activations["sigmoid1"][0], step.activations["conv1"][0]
    aP, aO, zO = step.activations["maxpool1"][0], step.output[0], step.activations["dense1"][0]
    wO = network.parameters["dense1.W"].reshape(3, 2, 2, 3)  # output n, pooled cell, filter k
    dO = (aO - t) * slope(zO)
    assert step.loss == pytest.approx(((t - aO) ** 2).sum() / 2, rel=1e-13)
    dF = np.zeros((4, 4, 3))
    for i, j, k in np.ndindex(dF.shape):
        p, q = i // 2, j // 2  # the pooled cell, another pair of indices
        won = aF[i, j, k] == aF[2 * p : 2 * p + 2, 2 * q : 2 * q + 2, k].max() == aP[p, q, k]
        dF[i, j, k] = sum(dO[n] * wO[n, p, q, k] for n in range(3)) * won * slope(zF[i, j, k])
    np.testing.assert_allclose(step.deltas["dense1"][0], dO, rtol=1e-12)
    np.testing.assert_allclose(step.deltas["conv1"][0], dF, rtol=1e-12)
    for n, p, q, k in np.ndindex(wO.shape):
        ours = step.gradients["dense1.W"].reshape(wO.shape)[n, p, q, k]
        assert ours == pytest.approx(dO[n] * aP[p, q, k], rel=1e-12)
    np.testing.assert_allclose(step.gradients["dense1.b"], dO, rtol=1e-12)
    for k, i, j in np.ndindex(3, 3, 3):
        total = (dF[:, :, k] * x[i : i + 4, j : j + 4]).sum()
        assert step.gradients["conv1.W"][k, i, j, 0] == pytest.approx(total, rel=1e-12)
    np.testing.assert_allclose(step.gradients["conv1.b"], dF.sum(axis=(0, 1)), rtol=1e-12)


# -- Matrix notes --------------------------------------------------------------------------------------------


def test_matrices_of_seed_004() -> None:
    """Columns are samples and A⁰ = X; 1/M is in ∂C/∂A^L and in nothing below, db is ∂C/∂Z ones(M, 1), and
    every gradient has the shape of its variable.
    """
    network, X, y, step = dense(loss="squared_error")
    W1, b1, W2, b2 = network.parameters.values()
    M = len(X)
    A0, Y = X.T, y.T
    Z1 = W1 @ A0 + np.tile(b1[:, None], (1, M))
    A1 = sigmoid(Z1)
    Z2 = W2 @ A1 + np.tile(b2[:, None], (1, M))
    A2 = sigmoid(Z2)
    assert step.loss == pytest.approx(((Y - A2) ** 2).sum() / 2 / M, rel=1e-12)
    by_A2 = (A2 - Y) / M
    by_Z2 = by_A2 * slope(Z2)
    by_Z1 = (W2.T @ by_Z2) * slope(Z1)
    np.testing.assert_allclose(step.deltas["sigmoid2"].T, by_A2, rtol=1e-12)
    np.testing.assert_allclose(step.deltas["dense2"].T, by_Z2, rtol=1e-12)
    np.testing.assert_allclose(step.deltas["dense1"].T, by_Z1, rtol=1e-12)
    ones = np.ones((M, 1))
    for name, by_Z, A in (("dense2", by_Z2, A1), ("dense1", by_Z1, A0)):
        np.testing.assert_allclose(step.gradients[f"{name}.W"], by_Z @ A.T, rtol=1e-12)
        np.testing.assert_allclose(step.gradients[f"{name}.b"], (by_Z @ ones)[:, 0], rtol=1e-12)
    for name, array in network.parameters.items():
        assert step.gradients[name].shape == array.shape
    for samples in (1, M):  # X, Z and A grow with the batch, W and b do not
        part = network.backpropagate(X[:samples], y[:samples], loss="squared_error")
        assert part.deltas["dense1"].shape == (samples, 4)
        assert part.gradients["dense1.W"].shape == (4, 3)


@pytest.mark.parametrize("loss", ["squared_error", "mean_absolute_error", "huber"])
def test_any_loss_behind_an_elementwise_activation(loss: str) -> None:
    """∂C/∂Z^L = ∂C/∂A^L ⊙ σ'(Z^L); behind softmax that is wrong."""
    network, X, y, _ = dense(loss="squared_error")
    step = network.backpropagate(X, y, loss=loss)
    by_A, Z = step.deltas["sigmoid2"], step.activations["dense2"]
    np.testing.assert_allclose(step.deltas["dense2"], by_A * slope(Z), rtol=1e-12)
    other = cr.Network([cr.Dense(3), cr.Softmax()], input_shape=3, dtype="float64", seed=0)
    step = other.backpropagate(X, np.eye(3)[[0, 1, 2, 0, 1]], loss=loss)
    a = step.output
    assert np.abs(step.deltas["dense1"] - step.deltas["softmax1"] * a * (1 - a)).max() > 1e-3


def test_nielsens_decay_rule() -> None:
    """w ← (1 - ηλ/n) w - (η/m) Σ ∇ of single samples, n the training set and m the mini-batch; biases do not
    decay.  The rate is η, λ the penalty's alone (Dezeming has λ for both).
    """
    eta, lam, n, m = 0.3, 0.8, 8, 4
    network = cr.Network([cr.Dense(3), cr.Sigmoid(), cr.Dense(1)], input_shape=2, dtype="float64", seed=2)
    X, y = R.standard_normal((n, 2)), R.standard_normal((n, 1))
    own = network.copy()
    for start in (0, m):
        steps = [own.backpropagate(X[[i]], y[[i]]) for i in range(start, start + m)]
        for name, array in own.parameters.items():
            keep = 1 - eta * lam / n if name.endswith(".W") else 1.0
            summed = sum(step.gradients[name] for step in steps)
            array[...] = keep * array - eta / m * summed
    cr.fit(
        network, X, y, optimizer=cr.SGD(eta), penalty=cr.L2(lam, per_sample=True), batch_size=m, epochs=1,
        shuffle=False, progress=False,
    )  # fmt: skip
    for name, array in network.parameters.items():
        np.testing.assert_allclose(array, own.parameters[name], rtol=1e-12)
