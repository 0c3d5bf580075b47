"""Finite outputs that hide a number beyond the range are refused; what is right stands, however it came."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import formulas as F
from chainrule import reference
from chainrule.engine import isa
from chainrule.reference import ReferenceExecutor
from tests.engine.harness import MACHINES

machines = pytest.mark.parametrize(("level", "dtype"), MACHINES)
LARGEST = {"float32": 3e38, "float64": 1.5e308}
HIDING: dict[str, tuple[list[cr.Layer], float]] = {  # and the value in truth, of z = 0
    "sigmoid": ([cr.Sigmoid()], 0.5),
    "tanh": ([cr.Tanh()], 0.0),
    "hard sigmoid": ([cr.HardSigmoid()], 0.5),
    "hard tanh": ([cr.HardTanh()], 0.0),
    "tanh within": ([cr.Sequential([cr.Tanh(), cr.Dense(2)])], 0.0),
    "sigmoid and another": ([cr.Sigmoid(), cr.Residual([cr.Dense(2)]), cr.Dense(2)], 0.0),
}


class Squashed(cr.Activation):
    """A layer of one's own, compiled to a program."""

    def f(self, z: Any) -> Any:
        return 1 / (1 + z**2)

    def df(self, z: Any) -> Any:
        return -2 * z / (1 + z**2) ** 2


class Clipped(cr.Layer):
    """A layer of one's own that calls NumPy, which the engine leaves to NumPy."""

    def forward(self, x: Any) -> Any:
        return np.clip(x * x.dtype.type(4), -1, 1)

    def delta(self, d: Any, x: Any) -> Any:
        return 4 * d * (np.abs(4 * x) < 1)


def network(*layers: cr.Layer, dtype: str, units: int = 2) -> cr.Network:
    """z = 2 (x₁ + x₂ + x₃) for every unit of the first layer."""
    first = cr.Dense(units, name="first", bias=False, initializer=cr.Constant(2.0))
    return cr.Network([first, *layers], input_shape=3, dtype=dtype, seed=3)


def hidden(dtype: str, samples: int = 700, at: tuple[int, ...] = (601,)) -> np.ndarray:
    X = np.random.default_rng(1).standard_normal((samples, 3)).astype(dtype)
    for i in at:  # 2 x₁ is beyond the range, 2 x₂ is not: z becomes ∞ where it is 0
        X[i] = LARGEST[dtype], -LARGEST[dtype] / 2, -LARGEST[dtype] / 2
    return X


@pytest.fixture(params=[1, 2, 3, 4])
def threads(request: pytest.FixtureRequest) -> Any:
    with isa.threads_of_call(request.param):
        yield request.param


@machines
@pytest.mark.parametrize("kind", HIDING)
def test_what_bounds_an_infinite_z_is_refused(
    kind: str, level: str, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isa, "level", level)
    net = network(*HIDING[kind][0], dtype=dtype)
    X = hidden(dtype)
    a = net.predict(X, allow_nonfinite=True)
    assert np.isfinite(a).all()
    with pytest.raises(cr.NonFiniteError, match=r"the output of first for sample 601 of X is inf"):
        net.predict(X)
    rest = np.delete(X, 601, axis=0)
    assert np.array_equal(net.predict(rest), np.delete(a, 601, axis=0))


def test_every_door_refuses_with_any_number_of_threads(threads: int) -> None:
    """The first layer is large enough to be shared among them."""
    net = network(cr.Sigmoid(), cr.Dense(40), cr.Sigmoid(), dtype="float32", units=256)
    X, y = hidden("float32", 300, at=(130, 290)), np.zeros((300, 40))
    for call in (
        lambda **o: net.predict(X, **o),
        lambda **o: net.loss(X, y, loss=cr.SquaredError(), **o),
        lambda **o: net.loss(X, y, **o),
        lambda **o: net.backpropagate(X, y, **o),
        lambda **o: net.accuracy(X, np.eye(40)[np.zeros(300, int)], **o),
        lambda **o: net.classify(X, **o),
        lambda **o: net.backpropagate(X, y, allow_nonfinite=True).per_sample_norms(**o),
        lambda **o: net.backpropagate(X, y, allow_nonfinite=True).per_sample_gradients(**o),
    ):
        with pytest.raises(cr.NonFiniteError, match=r"first for sample 130 of X is .*allow_nonfinite=True"):
            call()
        call(allow_nonfinite=True)


def test_the_advice_is_right_when_followed() -> None:
    net = network(cr.Sigmoid(), dtype="float32")
    with pytest.raises(cr.NonFiniteError, match=re.escape("network.copy(dtype='float64')")):
        net.predict(hidden("float32"))
    found = net.copy(dtype="float64").predict(hidden("float32"))
    assert found[601].tolist() == [0.5, 0.5]
    with pytest.raises(cr.NonFiniteError) as caught:
        network(cr.Sigmoid(), dtype="float64").predict(hidden("float64"))
    assert "float64'" not in str(caught.value)


@pytest.mark.parametrize("layer", [Squashed(), Clipped()], ids=["program", "host"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_layer_of_ones_own_that_hides_its_own_overflow(layer: cr.Layer, dtype: str) -> None:
    X = hidden(dtype, 40, at=(33,))
    with pytest.raises(cr.NonFiniteError, match=r"the output of first for sample 33"):
        network(layer, dtype=dtype).predict(X)
    alone = cr.Network([type(layer)()], input_shape=3, dtype=dtype)
    found = alone.predict(X)  # z² and 4 z overflow, and what the formulas give of them is right
    assert found[33].tolist() == ([0, 0, 0] if isinstance(layer, Squashed) else [1, -1, -1])


@pytest.mark.parametrize("cell", [cr.RNN, cr.LSTM, cr.GRU])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_gate_that_overflows_within_a_recurrence(cell: Any, dtype: str) -> None:
    """Its z is no layer's output: two products beyond the range whose sum is 0."""
    net = cr.Network([cell(3), cr.Dense(2)], input_shape=(4, 2), dtype=dtype, seed=1)
    name = next(name for name in net.parameters if name.endswith(".W"))
    net.parameters[name][:] = 2
    X = np.random.default_rng(1).standard_normal((20, 4, 2)).astype(dtype)
    net.predict(X)
    X[13, 2] = LARGEST[dtype], -LARGEST[dtype]
    with pytest.raises(cr.NonFiniteError, match=r"for sample 13 of X is (NaN|.* where the formula gives)"):
        net.predict(X)


def test_a_norm_whose_variance_overflows() -> None:
    """Divided by infinity everything is 0."""
    for layer in (cr.LayerNorm(), cr.RMSNorm(), cr.GroupNorm(1)):
        net = cr.Network([layer], input_shape=(2, 2, 2), dtype="float64")
        X = np.ones((3, 2, 2, 2)) * np.arange(1, 9).reshape(2, 2, 2)
        X[2] *= 1e160
        with pytest.raises(cr.NonFiniteError, match=r"for sample 2 of X is -?0 where the formula gives"):
            net.predict(X)


def test_the_formulas_refuse_too() -> None:
    net = network(cr.Sigmoid(), dtype="float64")
    net.set_executor(ReferenceExecutor())
    with pytest.raises(cr.NonFiniteError, match=r"the output of first for sample 601"):
        net.predict(hidden("float64"))


def test_what_is_right_stands() -> None:
    """An overflow on the side of a choice that is not taken, or that a division takes back."""
    for layer, expected in (
        (cr.ELU(), [1000.0, -1.0]),
        (cr.SELU(), [1050.7009873554805, -1.7580993408473766]),
        (cr.SiLU(), [1000.0, 0.0]),
        (cr.Mish(), [1000.0, 0.0]),
        (cr.Tanh(), [1.0, -1.0]),
        (cr.Sigmoid(), [1.0, 0.0]),
        (cr.Softplus(), [1000.0, 0.0]),
        (cr.GELU(), [1000.0, 0.0]),
        (Squashed(), [1 / 1000001, 1 / 1000001]),
    ):
        for dtype in ("float32", "float64"):
            net = cr.Network([layer], input_shape=2, dtype=dtype)
            assert np.allclose(net.predict([[1000.0, -1000.0]]), [expected], rtol=1e-6, atol=1e-30)
            net.predict([[LARGEST[dtype], -LARGEST[dtype]]], allow_nonfinite=True)
    attention = cr.Network([cr.Masking(), cr.MultiHeadAttention(2, causal=True)], input_shape=(5, 4), seed=1)
    X = np.random.default_rng(1).standard_normal((9, 5, 4))
    X[:4, 3:] = 0
    X[5] = 0  # no step is there
    assert np.isfinite(attention.predict(X)).all()
    assert not overflows(attention, X)


def overflows(net: cr.Network, X: Any) -> list[int]:
    plan = cr.Plan(net, batch_size=16)
    plan.predict(net._inputs(X))
    return plan.overflows()


class CELU(cr.Activation):
    """Its exponent is not z itself, and the condition is the other way round."""

    def f(self, z: Any) -> Any:
        return F.where(F.greater(0, z), 0.5 * F.expm1(z / 0.5), z)

    def df(self, z: Any) -> Any:
        return F.where(F.greater(0, z), F.exp(z / 0.5), 1)


@machines
@pytest.mark.parametrize("layer", [cr.ELU(), cr.ELU(0.3), cr.SELU(), CELU()])
def test_the_side_that_is_not_chosen_does_not_overflow(layer: cr.Layer, level: str, dtype: str) -> None:
    net = cr.Network([layer], input_shape=6, dtype=dtype)
    X = np.array([[100.0, 1e4, 1e30, -0.0, -1.5, -1e4]], dtype)
    plan = cr.Plan(net, batch_size=1, level=level)
    eps = float(np.finfo(dtype).eps)
    np.testing.assert_allclose(plan.predict(X), reference.forward(net, X), rtol=8 * eps)
    assert plan.overflows() == []
    assert np.isnan(plan.predict(np.full_like(X, np.nan))).all()


class Shared(cr.Layer):
    """Both sides use the exponentials of all features, whichever side those are on themselves."""

    def forward(self, x: Any) -> Any:
        return F.where(F.greater(x, 0), F.sum_features(F.exp(x)), F.exp(-F.max_features(x)))

    def delta(self, d: Any) -> Any:
        return d


@machines
def test_an_exponential_below_a_sum_belongs_to_both_sides(level: str, dtype: str) -> None:
    net = cr.Network([Shared()], input_shape=5, dtype=dtype)
    X = np.random.default_rng(0).standard_normal((9, 5)).astype(dtype)
    plan = cr.Plan(net, batch_size=9, level=level)
    eps = float(np.finfo(dtype).eps)
    assert plan._built.lost is None  # a program
    np.testing.assert_allclose(plan.predict(X), reference.forward(net, X), rtol=20 * eps)


def healthy() -> dict[str, tuple[list[cr.Layer], tuple[int, ...]]]:
    cells = {
        cell.__name__: ([cell(5, outputs="all"), cell(3), cr.Dense(2)], (6, 3))
        for cell in (cr.RNN, cr.LSTM, cr.GRU)
    }
    activations = [cr.ReLU(), cr.LeakyReLU(), cr.PReLU(), cr.ELU(), cr.SELU(), cr.GELU(), cr.SiLU()]
    activations += [cr.Sigmoid(), cr.Tanh(), cr.Softplus(), cr.HardSigmoid(), cr.HardTanh(), cr.HardSwish()]
    activations += [cr.Mish(), cr.Softsign()]
    dense = {type(one).__name__: ([cr.Dense(9), one, cr.Dense(3), cr.Softmax()], (7,)) for one in activations}
    image = (9, 9, 3)
    windows: dict[str, list[cr.Layer]] = {
        "winograd": [cr.Conv2D(8, 3, padding=1), cr.BatchNorm(), cr.ReLU(), cr.MaxPool2D(2)],
        "strided": [cr.Conv2D(5, 3, stride=2), cr.GroupNorm(5), cr.AveragePool2D(2, padding=1)],
        "depthwise": [cr.DepthwiseConv2D(3), cr.LayerNorm(), cr.L2Pool2D(2), cr.Flatten()],
        "transposed": [cr.ConvTranspose2D(4, 3, stride=2), cr.RMSNorm(), cr.MaxPool2D(3, padding=1)],
        "pools": [cr.Residual([cr.Conv2D(3, 1)]), cr.GlobalMaxPool(), cr.Dense(1), cr.Sigmoid()],
    }
    steps: dict[str, list[cr.Layer]] = {
        "attention": [cr.PositionalEncoding(), cr.MultiHeadAttention(2), cr.LayerNorm(), cr.Dense(3)],
        "masked": [cr.Masking(), cr.LSTM(4, outputs="all"), cr.GlobalAveragePool(), cr.Dense(2)],
        "one step": [cr.Conv1D(4, 3, padding=1), cr.L2Pool1D(2), cr.Flatten(), cr.Dense(2)],
    }
    return {
        **cells,
        **dense,
        **{name: (layers, image) for name, layers in windows.items()},
        **{name: (layers, (8, 4)) for name, layers in steps.items()},
    }


@machines
@pytest.mark.parametrize("scale", [0.0, 1e-30, 1.0, 10.0])
def test_healthy_networks_are_never_looked_into(level: str, dtype: str, scale: float) -> None:
    """No kernel raises what the processor notes where all numbers are ordinary, empty lanes included."""
    for name, (layers, shape) in healthy().items():
        net = cr.Network(layers, input_shape=shape, dtype=dtype, seed=1)
        X = (scale * np.random.default_rng(2).standard_normal((21, *shape))).astype(dtype)
        plan = cr.Plan(net, batch_size=16, level=level)
        plan.predict(X)
        assert plan.overflows() == [], name


def test_numpy_keeps_its_own_notice() -> None:
    """A prediction between two operations of NumPy changes nothing in what NumPy warns of."""
    net, X = network(cr.Sigmoid(), dtype="float32"), hidden("float32")
    net.predict(X, allow_nonfinite=True)
    with np.errstate(all="raise"):
        np.add(np.ones(4), 1)
        with pytest.raises(FloatingPointError):
            np.multiply(np.full(4, 1e308), 10)


def test_fit_ends_where_validation_or_training_hides_an_overflow() -> None:
    X, y = np.random.default_rng(1).standard_normal((40, 3)), np.zeros((40, 2))
    other = hidden("float32"), np.zeros((700, 2))
    with pytest.raises(cr.NonFiniteError, match=r"after epoch 1 the output of first for sample 601"):
        cr.fit(network(cr.Sigmoid(), dtype="float32"), X, y, loss=cr.SquaredError(), validation=other)
    X[17] = 3e38, -1.5e38, -1.5e38
    with pytest.raises(cr.NonFiniteError, match=r"in epoch 1, step \d of 2, the output of first for sample"):
        cr.fit(network(cr.Sigmoid(), dtype="float32"), X, y, loss=cr.SquaredError(), optimizer=cr.SGD(1e-9))


def test_fit_sees_an_overflow_that_is_gone_at_the_epochs_end() -> None:
    """The first step divides the weights by 10: 2 · 3e38 is beyond the range, 0.2 · 3e38 is not."""
    settings: Any = {
        "loss": cr.SquaredError(),
        "optimizer": cr.AdamW(1e-6, weight_decay=0.9e6),
        "batch_size": 1,
        "epochs": 1,
        "shuffle": False,
    }
    for step in (0, 1):
        X = np.array([[0.1, 0.2, 0.3]] * 4)
        X[step] = np.array([3e38, -1.5e38, -1.5e38])
        net = network(cr.Sigmoid(), dtype="float32")
        if step == 1:
            cr.fit(net, X, np.zeros((4, 2)), **settings)
            continue
        with pytest.raises(cr.NonFiniteError, match=r"in epoch 1, step 1 of 4, the output of first"):
            cr.fit(net, X, np.zeros((4, 2)), **settings)
        assert np.array_equal(net.parameters["first.W"], np.full((2, 3), 2))
        cr.fit(net, X, np.zeros((4, 2)), **settings, allow_nonfinite=True)
        net.predict(X)


def test_fit_looks_into_more_than_the_first_step_that_is_suspected() -> None:
    """The exponential of the ELU overflows where nothing depends on it, in every step but the second."""
    net = network(cr.ELU(), cr.Dense(2), cr.Sigmoid(), dtype="float32")
    X = np.full((4, 3), 1000.0)
    X[1] = -3e38, 1.5e38, 1.5e38
    with pytest.raises(cr.NonFiniteError, match=r"in epoch 1, step 2 of 4, the output of first for sample 0"):
        cr.fit(net, X, np.zeros((4, 2)), optimizer=cr.SGD(1e-9), batch_size=1, shuffle=False)


def test_fit_full_batch_refuses_at_the_start_and_avoids_it_later() -> None:
    X, y = hidden("float64", 40, at=(17,)), np.zeros((40, 2))
    net = network(cr.Sigmoid(), dtype="float64")
    with pytest.raises(cr.NonFiniteError, match=r"at the start the output of first for sample 17"):
        cr.fit_full_batch(net, X, y, loss=cr.SquaredError())
    cr.fit_full_batch(net, X, y, loss=cr.SquaredError(), iterations=1, allow_nonfinite=True)
