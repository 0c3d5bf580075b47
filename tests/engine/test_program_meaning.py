"""A program means what its formulas mean: on values, on targets, in lanes without a sample, and later."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.engine import Plan
from chainrule.engine.programs import layer_programs, loss_programs
from chainrule.formulas import broadcast_samples, sqrt, sum_entries, sum_features, sum_outputs, sum_samples
from tests import by_formula
from tests.engine.harness import MACHINES
from tests.engine.own_layers import learned

machines = pytest.mark.parametrize(("level", "dtype"), MACHINES)


class Steered(cr.Layer):
    """Which formula it is depends on the value of a parameter."""

    def parameters(self, input_shape: Any) -> dict[str, cr.Parameter]:
        return {"alpha": learned(())}

    def forward(self, x: Any, alpha: Any) -> Any:
        return -x if alpha == 0 else broadcast_samples(alpha) * x

    def delta(self, d: Any, alpha: Any) -> Any:
        return broadcast_samples(alpha) * d if alpha != 0 else -d

    def gradients(self, d: Any, x: Any) -> dict[str, Any]:
        return {"alpha": sum_entries(d * x)}


class Normalised(cr.Layer):
    """The δ of every sample is brought to length 1, so that it is 0/0 where there is no sample."""

    def parameters(self, input_shape: Any) -> dict[str, cr.Parameter]:
        return {"shift": learned(input_shape)}

    def forward(self, x: Any, shift: Any) -> Any:
        return x + broadcast_samples(shift)

    def delta(self, d: Any) -> Any:
        return d / sqrt(sum_features(d**2))

    def gradients(self, d: Any) -> dict[str, Any]:
        return {"shift": sum_samples(d / sqrt(sum_features(d**2)))}


class Gain(cr.Layer):
    def __init__(self, gain: float = 2.0, *, name: str | None = None) -> None:
        self.gain, self.name = gain, name

    def forward(self, x: Any) -> Any:
        return self.gain * x

    def delta(self, d: Any) -> Any:
        return self.gain * d


class Signs(cr.Loss):
    """Squared distance from 2 y - 1."""

    factor = 1.0

    def prepared(self, y: Any) -> Any:
        return 2 * y - 1

    def value(self, a: Any, y: Any) -> Any:
        return self.factor * sum_outputs((a - y) ** 2)

    def gradient(self, a: Any, y: Any) -> Any:
        return self.factor * 2 * (a - y)


class OwnCrossEntropy(cr.CrossEntropy):
    """A subclass inherits what prepares the targets."""


def compare(network: cr.Network, X: Any, y: Any, loss: cr.Loss) -> None:
    step, expected = (
        network.backpropagate(X, y, loss=loss),
        by_formula.backpropagate(network, X, y, loss),
    )
    assert step.loss == pytest.approx(expected.loss, rel=1e-12)
    np.testing.assert_allclose(network.predict(X), expected.output, rtol=1e-12, atol=1e-13)
    for name, gradient in expected.gradients.items():
        np.testing.assert_allclose(step.gradients[name], gradient, rtol=1e-11, atol=1e-13, err_msg=name)
    np.testing.assert_allclose(step.deltas["input"], expected.deltas["input"], rtol=1e-11, atol=1e-13)


def arrays(network: cr.Network, samples: int = 5) -> tuple[Any, Any]:
    r = np.random.default_rng(1)
    X, y = (r.standard_normal((samples, *shape)) for shape in (network.input_shape, network.output_shape))
    return X, y


def test_a_formula_that_compares_values_is_no_program() -> None:
    assert layer_programs(Steered(), (3,), (3,), {"alpha": ()}, delta=True, gradients=True) is None
    network = cr.Network([cr.Dense(3), Steered()], input_shape=4, dtype="float64")
    for alpha in (0.0, -2.0):
        network.parameters["steered1.alpha"] = alpha
        compare(network, *arrays(network), cr.SquaredError())


@pytest.mark.parametrize("loss", [Signs(), OwnCrossEntropy(label_smoothing=0.25)])
def test_losses_take_prepared_targets(loss: cr.Loss) -> None:
    assert loss_programs(loss, (3,)) is not None
    network = cr.Network([cr.Dense(3), cr.Softmax()], input_shape=4, dtype="float64")
    X, _ = arrays(network)
    compare(network, X, np.array([0, 2, 1, 1, 0]), loss)


@machines
def test_lanes_without_a_sample_add_nothing(level: str, dtype: str) -> None:
    layers = [cr.Conv2D(3, 3, padding="same"), Normalised(), cr.Conv2D(2, 2)]
    network = cr.Network(layers, input_shape=(3, 4, 2), dtype=dtype)
    for samples in (1, 5, 35):
        X, y = arrays(network, samples)
        plan = Plan(network, cr.SquaredError(), batch_size=samples, level=level)
        assert not plan._built.hosts
        expected = by_formula.backpropagate(network, X, y, cr.SquaredError()).gradients
        for name, gradient in plan.gradients(X, y)[1].items():
            scale = np.abs(expected[name]).max()
            tolerance = scale * (1e-4 if dtype == "float32" else 1e-11)
            np.testing.assert_allclose(gradient, expected[name], rtol=0, atol=tolerance, err_msg=name)


@pytest.mark.parametrize(
    ("layer", "attribute", "value"), [(Gain(), "gain", 5.0), (cr.LeakyReLU(0.1), "slope", 0.5)]
)
def test_layers_may_be_changed_between_calls(layer: cr.Layer, attribute: str, value: float) -> None:
    network = cr.Network([cr.Dense(3), cr.Parallel([[layer], []])], input_shape=4, dtype="float64")
    X, y = arrays(network)
    compare(network, X, y, cr.SquaredError())
    setattr(network.layers[1].chains[0][0], attribute, value)  # type: ignore[attr-defined]
    compare(network, X, y, cr.SquaredError())


def test_losses_may_be_changed_between_calls() -> None:
    network, loss = cr.Network([cr.Dense(3)], input_shape=4, dtype="float64"), Signs()
    X, y = arrays(network)
    compare(network, X, y, loss)
    object.__setattr__(loss, "factor", 3.0)
    compare(network, X, y, loss)
