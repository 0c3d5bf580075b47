"""Losses: value, gradient and residual belong together, at ordinary and at saturated outputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from chainrule import layers as L
from chainrule.errors import PairError
from chainrule.formulas import adjoint, evaluate, trace
from chainrule.losses import BinaryCrossEntropy, CrossEntropy, Loss, SquaredError, loss_for

RNG = np.random.default_rng(5)
Z = RNG.standard_normal((4, 3))
SIGMOID, SOFTMAX = L.Sigmoid().forward(Z), L.Softmax().forward(Z)
ONE_HOT = np.eye(4)[:, [2, 0, 3]]
SOFT = SOFTMAX[:, ::-1]
LEVELS = RNG.uniform(0, 1, (4, 3))

CASES: list[tuple[Loss, Any, Any]] = [
    (SquaredError(), Z, LEVELS),
    (SquaredError(mean_outputs=True), Z, LEVELS),
    (BinaryCrossEntropy(), SIGMOID, LEVELS),
    (BinaryCrossEntropy(), SIGMOID, ONE_HOT),
    (CrossEntropy(), SOFTMAX, ONE_HOT),
    (CrossEntropy(), SOFTMAX, SOFT),
]
cases = pytest.mark.parametrize(("loss", "a", "y"), CASES)
pairs = pytest.mark.parametrize(("loss", "a", "y"), CASES[2:])


def slope(function: Callable[[Any], Any], at: Any, direction: Any, step: float = 1e-3) -> Any:
    """Fourth-order derivative of a per-sample value along a direction."""
    at_ = [function(at + k * step * direction) for k in (1, -1, 2, -2)]
    return (8 * (at_[0] - at_[1]) - at_[2] + at_[3]) / (12 * step)


@cases
def test_gradient_is_the_derivative_of_the_value(loss: Loss, a: Any, y: Any) -> None:
    direction = 0.05 * RNG.standard_normal(a.shape)
    numeric = slope(lambda a: loss.value(a, y), a, direction)
    np.testing.assert_allclose((loss.gradient(a, y) * direction).sum(axis=0), numeric, rtol=1e-8, atol=1e-11)


@cases
def test_trees_evaluate_to_the_functions_and_derive_the_gradient(loss: Loss, a: Any, y: Any) -> None:
    formulas = trace(loss)
    given = {"a": a, "y": y, "z": Z, "one": np.ones(3)}
    for name in formulas:
        method = getattr(loss, name)
        first = Z if name == "value_from_z" else a
        np.testing.assert_allclose(evaluate(formulas[name], given), method(first, y), rtol=1e-12)
    one = type(formulas.symbols["a"])("one")
    derived = adjoint(formulas["value"], formulas.symbols["a"], one)
    np.testing.assert_allclose(evaluate(derived, given), loss.gradient(a, y), rtol=1e-12, atol=1e-14)


@pairs
def test_pair_is_a_minus_y_and_its_value_comes_from_z(loss: Any, a: Any, y: Any) -> None:
    np.testing.assert_allclose(loss.value_from_z(Z, y), loss.value(a, y), rtol=1e-12)
    activation = loss.output()
    chain = activation.delta(
        **({"a": a} if isinstance(activation, L.Softmax) else {"x": Z}), d=loss.gradient(a, y)
    )
    np.testing.assert_allclose(chain, loss.residual(a, y), atol=1e-14)
    formulas = trace(loss)
    derived = adjoint(formulas["value_from_z"], formulas.symbols["z"], type(formulas.symbols["a"])("one"))
    numbers = evaluate(derived, {"z": Z, "y": y, "one": np.ones(3)})
    np.testing.assert_allclose(numbers, a - y, atol=1e-14)


def test_softmax_with_binary_cross_entropy_is_not_a_minus_y() -> None:
    """Seed 002 2-04: why the wrong pair is refused."""
    chain = L.Softmax().delta(BinaryCrossEntropy().gradient(SOFTMAX, ONE_HOT), SOFTMAX)
    assert np.abs(chain - (SOFTMAX - ONE_HOT)).max() > 0.1


def test_saturated_outputs_have_finite_losses() -> None:
    z = np.array([[1e4, -1e4], [-1e4, 1e4]])
    y = np.array([[0.0, 0.0], [1.0, 1.0]])
    np.testing.assert_array_equal(CrossEntropy().value_from_z(z, y), [2e4, 0])
    np.testing.assert_array_equal(BinaryCrossEntropy().value_from_z(z, y), [2e4, 0])
    for loss, layer in ((CrossEntropy(), L.Softmax()), (BinaryCrossEntropy(), L.Sigmoid())):
        a = layer.forward(z)
        assert np.isfinite(loss.residual(a, y)).all()
        assert loss.value(a, y)[1] == 0  # 0 log 0 = 0
        assert loss.value(a, y)[0] == np.inf  # honest: a is exactly 0 where y is 1


def test_float32_stays_float32() -> None:
    for loss, a, y in CASES:
        single = a.astype(np.float32), y.astype(np.float32)
        methods = [loss.value, loss.gradient] + ([loss.residual, loss.value_from_z] if loss.output else [])
        assert {method(*single).dtype for method in methods} == {np.dtype(np.float32)}


def test_values_by_hand() -> None:
    a, y = np.array([[0.5], [1.0]]), np.array([[0.0], [3.0]])
    assert SquaredError().value(a, y) == 0.5 * (0.25 + 4)
    assert SquaredError(mean_outputs=True).value(a, y) == 0.25 * (0.25 + 4)
    half = np.full((3, 1), 0.5)
    np.testing.assert_allclose(BinaryCrossEntropy().value(half, np.eye(3)[:, [0]]), 3 * np.log(2))
    np.testing.assert_allclose(CrossEntropy().value(half, np.eye(3)[:, [0]]), np.log(2))


def test_mazur() -> None:
    """The 2-2-2 network of Mazur's worked example: outputs, loss and output δ."""
    x = np.array([[0.05], [0.10]])
    W, V = np.array([[0.15, 0.20], [0.25, 0.30]]), np.array([[0.40, 0.45], [0.50, 0.55]])
    sigmoid, y = L.Sigmoid(), np.array([[0.01], [0.99]])
    z1 = L.Dense(2).forward(x, W, np.full(2, 0.35))
    h = sigmoid.forward(z1)
    z2 = L.Dense(2).forward(h, V, np.full(2, 0.60))
    a = sigmoid.forward(z2)
    np.testing.assert_allclose(a.ravel(), [0.7513650696, 0.7729284653], atol=5e-11)
    np.testing.assert_allclose(SquaredError().value(a, y), 0.29837110876, atol=5e-12)
    d2 = sigmoid.delta(SquaredError().gradient(a, y), z2)
    np.testing.assert_allclose(d2.ravel(), [0.1384985616, -0.0380982365], atol=5e-11)
    d1 = sigmoid.delta(L.Dense(2).delta(d2, V), z1)
    np.testing.assert_allclose(d1.ravel(), [0.0087713547, 0.0099542547], atol=5e-11)
    np.testing.assert_allclose(L.Dense(2).gradients(d2, h)["W"][0, 0], 0.0821670406, atol=5e-11)


@pytest.mark.parametrize(
    ("loss", "last", "message"),
    [
        (BinaryCrossEntropy(), L.Softmax(), r"ends in Softmax\(\).* write CrossEntropy\(\) for a network"),
        (CrossEntropy(), L.Sigmoid(), r"ends in Sigmoid\(\).* write BinaryCrossEntropy\(\) for a network"),
        (CrossEntropy(), L.Dense(3), r"ends in Dense\(3\): .* end the network in Softmax\(\)$"),
        (BinaryCrossEntropy(), L.ReLU(), r"a - y; end the network in Sigmoid\(\)$"),
    ],
)
def test_wrong_pairs_are_refused_with_the_reason(loss: Loss, last: L.Layer, message: str) -> None:
    with pytest.raises(PairError, match=message):
        loss.check_output([L.Dense(3), last])


def test_right_pairs_pass_and_are_the_default() -> None:
    for last, loss in (
        (L.Softmax(), CrossEntropy()),
        (L.Sigmoid(), BinaryCrossEntropy()),
        (L.Dense(2), SquaredError()),
    ):
        assert loss_for(last) == loss
        loss.check_output([last])
        SquaredError().check_output([last])


def test_a_loss_without_a_pair_says_so() -> None:
    with pytest.raises(NotImplementedError, match="SquaredError forms no pair"):
        SquaredError().residual(Z, Z)
    with pytest.raises(NotImplementedError, match="Loss must define value"):
        Loss().value(Z, Z)
