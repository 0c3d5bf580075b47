"""The losses at their extremes: saturated and huge outputs, targets in every form, NaN that must not be
lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import reference
from chainrule.engine import Plan
from tests import by_formula
from tests.engine.harness import MACHINES, Array, Problem, assert_like_reference, batch_sizes, width

machines = pytest.mark.parametrize(("level", "dtype"), MACHINES)
CLASSES = 5
HUGE = 1e4  # its exponential overflows float64

# Rows of z: ordinary, saturated, and so far apart that all but one probability are 0.
LOGITS = np.array(
    [
        [0.0, 0.0, 0.0, 0.0, 0.0],
        [HUGE, -HUGE, 0.0, HUGE, 1.0],
        [-HUGE, -HUGE, -HUGE, -HUGE, -HUGE],
        [HUGE, HUGE, HUGE, HUGE, HUGE],
        [88.0, 89.0, -103.0, -104.0, 40.0],
        [710.0, -745.0, 16.0, -17.0, 0.5],
        [1e-30, -1e-30, 1e-8, -1e-8, 1e30],
        [-30.0, -20.0, 20.0, 30.0, 37.0],
    ]
)
LABELS = np.array([4, 1, 2, 3, 2, 1, 0, 0])  # among them classes of probability 0
ROUNDINGS = 8  # of the type, in the value relative to max(|value|, 1), and in δ relative to 1/m


def logits(last: cr.Layer, values: Array, dtype: str) -> cr.Network:
    """A network whose z is its input: W is the identity."""
    width = values.shape[1]
    layers = [cr.Dense(width, name="z"), last]
    return cr.Network.from_parameters(
        layers, {"z.W": np.eye(width), "z.b": np.zeros(width)}, input_shape=width, dtype=dtype
    )


def compare(network: cr.Network, X: Array, y: Array, loss: cr.Loss, level: str, dtype: str) -> None:
    X = X.astype(dtype)
    step = by_formula.backpropagate(network, X, y, loss)
    assert np.isfinite(step.loss)
    eps = float(np.finfo(dtype).eps)
    for row in range(len(X)):  # each alone: a small loss must not hide behind a large one
        one = slice(row, row + 1)
        alone = by_formula.backpropagate(network, X[one], y[one], loss)
        plan = Plan(network, loss, batch_size=1, dtype=dtype, level=level, keep=True)
        value, activations, deltas, _ = plan.inspect(X[one], y[one])
        # A difference of two logits is rounded as they are.
        assert abs(value - alone.loss) <= ROUNDINGS * eps * max(abs(alone.loss), 1.0), (
            row,
            value,
            alone.loss,
        )
        last = str(network.layers[-1].name)
        np.testing.assert_allclose(activations[last], alone.activations[last], rtol=0, atol=ROUNDINGS * eps)
        np.testing.assert_allclose(deltas["z"], alone.deltas["z"], rtol=0, atol=ROUNDINGS * eps)
    plan = Plan(network, loss, batch_size=len(X), dtype=dtype, level=level)
    assert plan.gradients(X, y)[0] == pytest.approx(step.loss, rel=ROUNDINGS * eps)
    assert plan.evaluate(X, y).loss == pytest.approx(step.loss, rel=ROUNDINGS * eps)


@machines
def test_cross_entropy_of_extreme_logits(level: str, dtype: str) -> None:
    network = logits(cr.Softmax(), LOGITS, dtype)
    soft = np.random.default_rng(0).random(LOGITS.shape)
    soft /= soft.sum(axis=1, keepdims=True)
    for y in (LABELS, np.eye(CLASSES)[LABELS], soft):
        compare(network, LOGITS, y, cr.CrossEntropy(), level, dtype)


@machines
def test_binary_cross_entropy_of_saturated_outputs(level: str, dtype: str) -> None:
    network = logits(cr.Sigmoid(), LOGITS, dtype)
    levels = np.random.default_rng(0).random(LOGITS.shape).astype(np.float32)
    for y in (np.eye(CLASSES)[LABELS], 1 - np.eye(CLASSES)[LABELS], levels):
        compare(network, LOGITS, y, cr.BinaryCrossEntropy(), level, dtype)


@machines
def test_squared_error_of_large_numbers(level: str, dtype: str) -> None:
    values = np.array([[1e18, -1e18, 3.0], [0.0, 1e-20, -1e-20], [1e4, -1e4, 0.0]])
    compare(
        logits(cr.Identity(), values, dtype), values, np.zeros((3, 3)), cr.SquaredError(), level, "float64"
    )
    moderate = values[1:]
    compare(
        logits(cr.Identity(), values, dtype),
        moderate,
        np.ones((2, 3)),
        cr.SquaredError(mean_outputs=True),
        level,
        "float64",
    )


@machines
def test_classes_and_one_hot_rows_are_the_same(level: str, dtype: str) -> None:
    """To the bit: value, accuracy and gradients; and neither form leaves anything behind for the other."""
    r = np.random.default_rng(1)
    network = cr.Network(
        [cr.Dense(7), cr.Tanh(), cr.Dense(CLASSES), cr.Softmax()], input_shape=6, dtype=dtype
    )
    X, y = r.standard_normal((21, 6)).astype(np.float32), r.integers(0, CLASSES, 21)
    plan = Plan(network, cr.CrossEntropy(), batch_size=21, dtype=dtype, level=level)
    results = [
        (plan.gradients(X, t), plan.evaluate(X, t)) for t in (y, np.eye(CLASSES)[y], y, np.eye(CLASSES)[y])
    ]
    (first, gradients), measured = results[0]
    for (value, other), evaluated in results[1:]:
        assert (value, evaluated) == (first, measured)
        assert all(np.array_equal(other[key], gradients[key]) for key in gradients)
    expected = (reference.forward(network, X).argmax(axis=1) == y).mean()
    assert measured.accuracy == pytest.approx(expected, abs=1e-12)


@machines
def test_ties_of_the_largest_output_go_to_the_first(level: str, dtype: str) -> None:
    z = np.array([[1.0, 1.0, 0.0], [0.0, 2.0, 2.0], [0.0, 0.0, 0.0]])
    plan = Plan(logits(cr.Softmax(), z, dtype), cr.CrossEntropy(), batch_size=3, dtype=dtype, level=level)
    for labels, share in (([0, 1, 0], 1.0), ([1, 2, 1], 0.0), ([0, 2, 2], 1 / 3)):
        assert plan.evaluate(z, np.array(labels)).accuracy == pytest.approx(share)


@machines
@pytest.mark.parametrize("weight", [0.0, 2.0])
def test_a_sample_of_weight_zero_is_not_there(level: str, dtype: str, weight: float) -> None:
    """Even if its output is huge: 0 times its loss is 0."""
    r = np.random.default_rng(2)
    network = cr.Network([cr.Dense(3), cr.Softmax()], input_shape=4, dtype=dtype)
    X, y = r.standard_normal((6, 4)), np.array([0, 1, 2, 0, 1, 2])
    X[2] *= 1e30 if weight == 0.0 else 1.0
    weights = np.array([1.0, 1, weight, 1, 1, 1])
    plan = Plan(network, cr.CrossEntropy(), batch_size=6, dtype=dtype, level=level)
    value, gradients = plan.gradients(X, y, weights)
    step = by_formula.backpropagate(network, X.astype(dtype), y, cr.CrossEntropy(), weights=weights)
    assert value == pytest.approx(step.loss, rel=1e-5 if dtype == "float32" else 1e-12)
    for key, expected in step.gradients.items():
        np.testing.assert_allclose(
            gradients[key], expected, rtol=0, atol=1e-5 if dtype == "float32" else 1e-13
        )


@machines
def test_empty_lanes_add_nothing_whatever_they_hold(level: str, dtype: str) -> None:
    """Where there is no sample the input is 0: here that overflows the output, while those of samples are
    1.
    """
    huge = float(np.finfo(dtype).max) / 2
    parameters = {
        "p.W": np.full((1, 1, 1, 1), -huge),
        "p.b": [huge],
        "q.W": np.full((1, 1, 1, 1), 8.0),
        "q.b": [1.0],
    }
    layers = [cr.Conv2D(1, 1, name="p"), cr.Conv2D(1, 1, name="q")]
    network = cr.Network.from_parameters(layers, parameters, input_shape=(1, 1, 1), dtype=dtype)
    X, y = np.ones((3, 1, 1, 1), dtype), np.zeros((3, 1, 1, 1))
    for batch_size in (3, 40):
        plan = Plan(network, cr.SquaredError(), batch_size=batch_size, level=level)
        value, gradients = plan.gradients(X, y)
        assert value == plan.evaluate(X, y).loss == pytest.approx(0.5)
        for key, expected in {"p.W": 8.0, "p.b": 8.0, "q.W": 0.0, "q.b": 1.0}.items():
            np.testing.assert_allclose(gradients[key], expected, rtol=1e-6, err_msg=key)


IMAGE = (4, 4, 8)
CARRIERS: dict[str, tuple[tuple[int, ...], list[cr.Layer]]] = {
    "relu": ((6,), [cr.Dense(5), cr.ReLU(), cr.Dense(3)]),
    "relu alone": ((6,), [cr.ReLU(), cr.Dense(3)]),
    "leaky relu": ((6,), [cr.Dense(5), cr.LeakyReLU(), cr.Dense(3)]),
    "smooth": (
        (6,),
        [cr.Dense(5), cr.Sigmoid(), cr.Tanh(), cr.Softplus(), cr.GELU(), cr.Softmax(), cr.Dense(3)],
    ),
    "conv and max pool": (IMAGE, [cr.Conv2D(3, 2), cr.ReLU(), cr.MaxPool2D(2, 1), cr.Flatten(), cr.Dense(3)]),
    "winograd and pools": (
        IMAGE,
        [cr.Conv2D(8, 3, padding=1), cr.ReLU(), cr.MaxPool2D(2), cr.AveragePool2D(2), cr.Flatten()],
    ),
    "max pool": (IMAGE, [cr.MaxPool2D(3, 1), cr.Flatten(), cr.Dense(3)]),
}
PAIRS: list[tuple[list[cr.Layer], cr.Loss]] = [
    ([], cr.SquaredError()),
    ([cr.Softmax()], cr.CrossEntropy()),
    ([cr.Sigmoid()], cr.BinaryCrossEntropy()),
]


@pytest.mark.parametrize("name", CARRIERS)
@machines
def test_nan_reaches_the_loss(name: str, level: str, dtype: str) -> None:
    """Never dropped by max(z, 0) or a maximum: the loss is the alarm. The other samples do not notice."""
    shape, layers = CARRIERS[name]
    for last, loss in PAIRS:
        network = cr.Network([*layers, *last], input_shape=shape, dtype=dtype, seed=3)
        X = np.abs(np.random.default_rng(4).standard_normal((5, *shape)))
        X[3].flat[X[3].size // 2] = np.nan
        y: Any = np.zeros((5, *network.output_shape))
        if isinstance(loss, cr.CrossEntropy):
            y = np.zeros(5, np.int64)
        for keep in (True, False):
            plan = Plan(network, loss, batch_size=5, dtype=dtype, level=level, keep=keep)
            value, _ = plan.gradients(X, y)
            assert np.isnan(value), f"{loss} keep={keep}: NaN became {value}"
            a = plan.predict(X)
            assert np.isnan(a[3]).any()
            assert np.isfinite(np.delete(a, 3, axis=0)).all()


@dataclass(frozen=True)
class Smoothed(cr.CrossEntropy):
    """Label smoothing as a user writes it: value and gradient replaced, the pair's formulas inherited."""

    def value(self, a, y):
        return cr.CrossEntropy.value(self, a, 0.9 * y + 0.1 / 3)

    def gradient(self, a, y):
        return cr.CrossEntropy.gradient(self, a, 0.9 * y + 0.1 / 3)


def test_a_subclass_with_its_own_value_is_not_computed_as_the_pair() -> None:
    rng = np.random.default_rng(0)
    network = cr.Network([cr.Dense(3), cr.Softmax()], input_shape=4, dtype="float64")
    X, y = rng.standard_normal((5, 4)), np.array([0, 1, 2, 1, 0])
    step = network.backpropagate(X, y, loss=Smoothed())
    expected = by_formula.backpropagate(network, X, y, Smoothed())
    a = expected.activations["softmax1"]
    by_hand = -np.sum((0.9 * np.eye(3)[y] + 0.1 / 3) * np.log(a), axis=1).mean()
    assert expected.loss == pytest.approx(by_hand, rel=1e-12)
    assert step.loss == pytest.approx(by_hand, rel=1e-12)
    np.testing.assert_allclose(step.gradients["dense1.W"], expected.gradients["dense1.W"], rtol=1e-10)


def test_empty_lanes_do_nothing_that_the_samples_do_not() -> None:
    """A zero in an empty lane would overflow here where the samples do not, and 0 times infinity is NaN."""
    network = cr.Network([cr.Conv2D(1, 1), cr.Conv2D(1, 1), cr.Conv2D(1, 1)], input_shape=(1, 1, 1))
    numbers = {"conv1.W": -3e38, "conv1.b": 3e38, "conv2.W": 2, "conv2.b": 1, "conv3.W": 1, "conv3.b": 0}
    for name, number in numbers.items():
        network.parameters[name] = np.full(network.parameters[name].shape, number)
    X = np.ones((3, 1, 1, 1))
    step = network.backpropagate(X, np.zeros((3, 1, 1, 1)))
    assert step.gradients["conv3.W"].item() == 1


@machines
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_label_for_every_position(level: str, dtype: str, smoothing: float) -> None:
    """Labels (N, T) and (N, H, W) by the kernel as they are, and as one-hot numbers: the same bits."""
    for shape in ((7, 3), (2, 3, 4)):
        first = cr.Dense(5) if len(shape) == 2 else cr.Conv2D(5, 1)
        network = cr.Network([first, cr.Softmax()], input_shape=shape)
        r = np.random.default_rng(6)
        X = r.standard_normal((35, *shape)).astype(np.float32)
        labels = r.integers(0, 5, (35, *shape[:-1]))
        problem = Problem(network, X, labels, cr.CrossEntropy(label_smoothing=smoothing))
        for samples in batch_sizes(width(level, dtype)):
            part = problem.first(samples)
            assert_like_reference(part, level, dtype, samples, part.step())
        plan = problem.plan(level, dtype, keep=False, batch_size=16)
        one_hot = np.eye(5, dtype=dtype)[labels]
        assert plan.evaluate(X, labels) == plan.evaluate(X, one_hot)
        right = (plan.predict(X).argmax(axis=-1) == labels).mean()
        assert abs(plan.evaluate(X, labels).accuracy - right) < 1e-6
