"""The same seed gives the same bits: for any number of threads, on every run, for rows picked in any
order; and pixels.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import chainrule as cr
from chainrule import engine
from chainrule.engine import Plan
from tests.engine import own_layers as own
from tests.engine.harness import LEVELS, MACHINES, Array, same_bits

machines = pytest.mark.parametrize(("level", "dtype"), MACHINES)

# Large enough that every loop is cut for the threads (native/plan/parallel.hpp, least_parallel_work).
NETWORKS: dict[str, tuple[tuple[int, ...], list[cr.Layer]]] = {
    "dense": ((200,), [cr.Dense(150), cr.ReLU(), cr.Dense(100), cr.Tanh(), cr.Dense(10), cr.Softmax()]),
    "direct": (
        (14, 14, 1),
        [
            cr.Conv2D(9, 5),
            cr.ReLU(),
            cr.MaxPool2D(2),
            cr.Conv2D(17, (2, 3), stride=(1, 2), padding=1),
            cr.GELU(),
            cr.Flatten(),
            cr.Dense(10),
            cr.Softmax(),
        ],
    ),
    "winograd": (
        (12, 12, 8),
        [
            cr.Conv2D(16, 3, padding=1),
            cr.ReLU(),
            cr.MaxPool2D(3, 2),
            cr.Conv2D(17, 3),
            cr.LeakyReLU(-0.1),
            cr.Flatten(),
            cr.Dense(10),
            cr.Softmax(),
        ],
    ),
    "ids": (
        (40,),
        [
            cr.Embedding(30, 37, padding=4),
            cr.PositionalEncoding(),
            cr.Dense(20),
            cr.Tanh(),
            cr.LearnedPositions(),
            cr.Flatten(),
            cr.Dense(10),
            cr.Softmax(),
        ],
    ),
    "recurrences": (
        (11, 6),
        [
            cr.LSTM(19, outputs="all"),
            cr.Parallel([cr.GRU(17), cr.RNN(8, reverse=True)], join="concat"),
            cr.Dense(10),
            cr.Softmax(),
        ],
    ),
    "attention": (
        (37, 30),
        [
            cr.Residual([cr.MultiHeadAttention(3, causal=True)]),
            cr.Dense(20),
            cr.MultiHeadAttention(2),
            cr.MultiHeadAttention(2, key_value_bias=True, relative_positions="t5"),
            cr.Flatten(),
            cr.Dense(10),
            cr.Softmax(),
        ],
    ),
    "programs": (
        (14, 14, 6),
        [
            own.LayerNorm(),
            own.Swish(),
            own.Everywhere(),
            cr.Flatten(),
            own.ScaleShift(),
            cr.Dense(10),
            cr.Softmax(),
        ],
    ),
    "elementwise and pools": (
        (16, 16, 6),
        [
            cr.Conv2D(8, 1),
            cr.AveragePool2D(3, 1),
            cr.Sigmoid(),
            cr.Tanh(),
            cr.MaxPool2D(2),
            cr.Softplus(),
            cr.Softmax(),
            cr.MaxPool2D(2, 1),
            cr.Flatten(),
            cr.Dense(10),
            cr.Softmax(),
        ],
    ),
}
SAMPLES = 150


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = engine.threads()
    yield
    engine.set_threads(before)


def data(shape: tuple[int, ...], samples: int = SAMPLES) -> tuple[Array, Array]:
    r = np.random.default_rng(7)
    return r.standard_normal((samples, *shape)).astype(np.float32), r.integers(0, 10, samples)


def trained(network: cr.Network, batch_size: int, level: str, threads: int) -> dict[str, Array]:
    """Everything an epoch leaves: parameters, moments, loss, predictions."""
    engine.set_threads(threads)
    X, y = data(network.input_shape)
    optimizer = cr.Adam(clip_norm=1.0)
    plan = Plan(network, cr.CrossEntropy(), cr.L2(1e-3), optimizer, batch_size=batch_size, level=level)
    steps = -(-SAMPLES // batch_size)
    result = plan.train_epoch(X, y, np.random.default_rng(1).permutation(SAMPLES), np.full(steps, 1e-2))
    state = plan.optimizer_state()
    state.pop("steps")
    measured = plan.evaluate(X, y)
    numbers = np.array([result.loss, result.accuracy, measured.loss, measured.accuracy])
    return {**plan.parameters(), **state, "numbers": numbers, "a": plan.predict(X)}


@pytest.mark.parametrize("batch_size", [10, 64])
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("level", LEVELS)
def test_threads_and_runs_do_not_change_a_bit(name: str, batch_size: int, level: str) -> None:
    shape, layers = NETWORKS[name]
    network = cr.Network(layers, input_shape=shape, seed=1)
    expected = trained(network, batch_size, level, 1)
    assert all(np.isfinite(array).all() for array in expected.values())
    for threads in (2, 3, 4, 4, 1):
        actual = trained(network, batch_size, level, threads)
        assert same_bits(actual, expected), (
            f"{threads} threads: {[k for k in actual if actual[k].tobytes() != expected[k].tobytes()]}"
        )


def test_threads_are_set_between_runs() -> None:
    for count in (1, 3, 2):
        engine.set_threads(count)
        assert engine.threads() == count == engine.info()["threads"]
    for bad in (0, -1, 257, True, 2.0, "2"):
        with pytest.raises(ValueError, match="threads must be a whole number from 1 to 256"):
            engine.set_threads(bad)  # type: ignore[arg-type]


# -- rows and pixels -----------------------------------------------------------------------------------------

SHAPES = [(1,), (5,), (33,), (300,), (3, 5, 1), (7, 6, 3), (4, 4, 17)]


def small(shape: tuple[int, ...], dtype: str) -> cr.Network:
    layers: list[cr.Layer] = [cr.Flatten()] if len(shape) == 3 else []
    if len(shape) == 3 and shape[0] > 3:
        layers = [cr.Conv2D(3, 3, padding=1), cr.Tanh(), cr.Flatten()]  # the input has zeros around it
    return cr.Network([*layers, cr.Dense(10), cr.Softmax()], input_shape=shape, dtype=dtype, seed=2)


@pytest.mark.parametrize("shape", SHAPES)
@machines
def test_pixels_are_numbers_over_255(shape: tuple[int, ...], level: str, dtype: str) -> None:
    r = np.random.default_rng(3)
    pixels = r.integers(0, 256, (37, *shape), dtype=np.uint8)
    y = r.integers(0, 10, 37)
    numbers = pixels.astype(np.float64) / 255
    plan = Plan(small(shape, dtype), cr.CrossEntropy(), batch_size=37, level=level, keep=True)
    _, seen, _, gradients = plan.inspect(pixels, y)
    eps = float(np.finfo(dtype).eps)
    np.testing.assert_allclose(seen["input"], numbers, rtol=1.5 * eps)  # times 1/255, rounded
    _, _, _, expected = plan.inspect(numbers.astype(dtype), y)
    for key, gradient in expected.items():
        np.testing.assert_allclose(gradients[key], gradient, atol=64 * eps * np.abs(gradient).max())
    assert seen["input"].max() <= 1
    np.testing.assert_allclose(plan.predict(pixels), plan.predict(numbers.astype(dtype)), atol=64 * eps)


@pytest.mark.parametrize("pixels", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
@machines
def test_an_order_picks_rows(shape: tuple[int, ...], pixels: bool, level: str, dtype: str) -> None:
    """An epoch over `order` is an epoch over the rows so ordered, weights and targets included, to the
    bit; rows may repeat.
    """
    r = np.random.default_rng(4)
    X = r.integers(0, 256, (41, *shape)).astype(np.uint8 if pixels else dtype)
    X = X if pixels else X / X.dtype.type(64)
    weights = r.random(41)
    labels = r.integers(0, 10, 41)
    soft = r.random((41, 10))
    order = r.integers(0, 41, 23)
    for y in (labels, soft / soft.sum(axis=1, keepdims=True)):
        results = []
        for rows, picked in ((np.arange(41), order), (order, np.arange(23))):
            plan = Plan(small(shape, dtype), cr.CrossEntropy(), None, cr.SGD(), batch_size=9, level=level)
            result = plan.train_epoch(X[rows], y[rows], picked, np.full(3, 0.1), weights[rows])
            results.append((result, plan.parameters()))
        assert results[0][0] == results[1][0]
        assert same_bits(results[0][1], results[1][1])


@machines
def test_a_partial_batch_is_a_batch_of_a_smaller_plan(level: str, dtype: str) -> None:
    for shape in SHAPES:
        network = small(shape, dtype)
        X, y = data(shape, 21)
        for samples in (1, 5, 8, 9, 17):
            large, exact = (
                Plan(network, cr.CrossEntropy(), batch_size=n, level=level) for n in (21, samples)
            )
            (loss, gradients), (expected_loss, expected) = (
                p.gradients(X[:samples], y[:samples]) for p in (large, exact)
            )
            assert loss == expected_loss
            one, other = ({value.bands for value in p._built.held.values()} for p in (large, exact))
            assert one != other or same_bits(gradients, expected)  # sums over bands have another order
            assert large.predict(X[:samples]).tobytes() == exact.predict(X[:samples]).tobytes()
