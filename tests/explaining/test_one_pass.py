"""A report runs the formulas once forward and backward on its batch, and once forward behind its step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import reference
from chainrule.reference import backpropagation


def test_one_report_is_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    layers = [cr.Dense(4), cr.BatchNorm(), cr.ReLU(), cr.Residual([cr.Dense(4)]), cr.Dense(3), cr.Softmax()]
    network = cr.Network(layers, input_shape=3)
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((6, 3)), rng.integers(3, size=6)
    calls: list[str] = []
    for name in ("run_forward", "run_backward"):
        original = getattr(backpropagation, name)

        def counted(*arguments: Any, name: str = name, original: Any = original, **options: Any) -> Any:
            calls.append(name)
            return original(*arguments, **options)

        monkeypatch.setattr(backpropagation, name, counted)
    cr.explain(network, X, y, penalty=cr.L2(0.1), check=False)
    # Behind the step there are three: of the report's own step, and of the doctor's first and later ones.
    assert calls == ["run_forward", "run_backward", *["run_forward"] * 3]
    assert reference.derive is backpropagation.derive
