"""The two conventions of L2, and the factor between them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule.formulas import Symbol, adjoint, evaluate, text, trace
from chainrule.penalties import L2

W = np.array([[1.0, -2.0], [3.0, 0.5]])


def test_seed_001_and_seed_002_differ_by_m() -> None:
    whole, per_sample = L2(0.3), L2(0.3, per_sample=True)
    np.testing.assert_allclose(whole.value(W, 60), 0.15 * 14.25)
    np.testing.assert_allclose(whole.gradient(W, 60), 0.3 * W)
    np.testing.assert_allclose(per_sample.value(W, 60) * 60, whole.value(W, 60))
    np.testing.assert_allclose(per_sample.gradient(W, 60) * 60, whole.gradient(W, 60))


@pytest.mark.parametrize("penalty", [L2(0.3), L2(0.3, per_sample=True)])
def test_gradient_is_the_derivative_of_the_value(penalty: L2) -> None:
    formulas = trace(penalty)
    given: dict[str, Any] = {"W": W, "training_size": 7, "lam": 0.3, "one": np.ones(())}
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
    with pytest.raises(ValueError, match="L2 lam must be a finite number of at least 0, received"):
        L2(bad)
