"""The two conventions of L2, and the factor between them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.formulas import Symbol, adjoint, evaluate, text, trace
from chainrule.losses.penalties import L1, L2, ElasticNet

W = np.array([[1.0, -2.0], [3.0, 0.5]])


def test_ning_yu_and_dezeming_differ_by_m() -> None:
    whole, per_sample = L2(0.3), L2(0.3, per_sample=True)
    np.testing.assert_allclose(whole.value(W, 60), 0.15 * 14.25)
    np.testing.assert_allclose(whole.gradient(W, 60), 0.3 * W)
    np.testing.assert_allclose(per_sample.value(W, 60) * 60, whole.value(W, 60))
    np.testing.assert_allclose(per_sample.gradient(W, 60) * 60, whole.gradient(W, 60))


@pytest.mark.parametrize("penalty", [
    L2(0.3), L2(0.3, per_sample=True), L1(0.3), L1(0.3, per_sample=True),
    ElasticNet(0.2, 0.3), ElasticNet(0.2, 0.3, per_sample=True),
])  # fmt: skip
def test_gradient_is_the_derivative_of_the_value(penalty: Any) -> None:
    formulas = trace(penalty)
    given: dict[str, Any] = {"W": W, "training_size": 7, "lam": 0.3, "l1": 0.2, "l2": 0.3, "one": np.ones(())}
    np.testing.assert_allclose(evaluate(formulas["value"], given), penalty.value(W, 7))
    np.testing.assert_allclose(evaluate(formulas["gradient"], given), penalty.gradient(W, 7))
    derived = adjoint(formulas["value"], formulas.symbols["W"], Symbol("one", kind="scalar"))
    np.testing.assert_allclose(evaluate(derived, given), penalty.gradient(W, 7))
    single = W.astype(np.float32)
    assert penalty.gradient(single, 7).dtype == penalty.value(single, 7).dtype == np.float32


def test_printed_with_lambda_and_m() -> None:
    formulas = trace(L2(0.3, per_sample=True))
    assert text(formulas.equations["value"]) == "Ω = (λ / (2 m)) Σ_{j,k} (Wˡ_{j,k})²"
    assert text(formulas.equations["gradient"]) == "∂Ω/∂Wˡ = (λ / m) Wˡ"
    assert text(trace(L2(0.3)).equations["gradient"]) == "∂Ω/∂Wˡ = λ Wˡ"


@pytest.mark.parametrize("bad", [-1, float("nan"), float("inf"), True, "1", None])
def test_lambda_is_checked(bad: Any) -> None:
    with pytest.raises(ValueError, match="L2 lam must be a number at least 0, received"):
        L2(bad)


def test_l1_by_hand_and_elastic_net_is_the_sum() -> None:
    values = np.array([[1.0, -2.0], [0.0, 0.5]])
    assert L1(0.3).value(values, 60) == 0.3 * 3.5
    np.testing.assert_array_equal(L1(0.3).gradient(values, 60), 0.3 * np.array([[1, -1], [0, 1]]))
    np.testing.assert_allclose(
        60 * L1(0.3, per_sample=True).gradient(values, 60), L1(0.3).gradient(values, 60)
    )
    both = ElasticNet(0.3, 0.7)
    assert both.value(values, 60) == pytest.approx(
        L1(0.3).value(values, 60) + L2(0.7).value(values, 60), rel=1e-15
    )
    with pytest.raises(ValueError, match="ElasticNet l2 must be a number at least 0, received -1"):
        ElasticNet(0.1, -1)


def test_gradient_check_with_kinks_of_the_penalty() -> None:
    network = cr.Network([cr.Dense(3), cr.Tanh(), cr.Dense(2)], input_shape=2, seed=1, dtype="float64")
    W = network.parameters["dense1.W"].copy()
    W[0] = 1e-9
    network.parameters["dense1.W"] = W
    r = np.random.default_rng(0)
    X, y = r.standard_normal((4, 2)), r.standard_normal((4, 2))
    for engine in ("native", "reference"):
        assert cr.check_gradients(network, X, y, penalty=ElasticNet(0.3, 0.1), engine=engine)
