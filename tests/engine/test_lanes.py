"""A prediction has the same bits whatever lies in the lanes, however many samples stand beside it, and for
any number of threads; and what lies in the lanes is chosen by what it costs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest

import chainrule as cr
from chainrule import engine, reference
from chainrule.engine import Plan
from chainrule.engine.executor import _least_batch
from chainrule.engine.lowering.lanes import CHANNELS, SAMPLES, chosen
from tests.engine.harness import (
    LEVELS,
    MACHINES,
    SAFETY,
    Array,
    choosing,
    moved_away,
    residual,
    same_bits,
    summed_terms,
)
from tests.engine.problems import ATTENDING
from tests.pairwise import pairwise

IDS = 23  # of the networks that begin with an Embedding


# Sizes beside every number of lanes; every layer that has a form for channels, and some that have none.
NETWORKS: dict[str, tuple[tuple[int, ...], list[cr.Layer]]] = {
    "dense": ((37,), [cr.Dense(65), cr.ReLU(), cr.Dense(18), cr.GELU(), cr.Dense(3), cr.Softmax()]),
    "long sums": ((600,), [cr.Dense(17), cr.Tanh(), cr.Dense(5), cr.Sigmoid()]),
    "dense on pixels": ((3, 5, 4), [cr.Flatten(), cr.Dense(9), cr.LayerNorm(), cr.Dense(2)]),
    "direct": (
        (13, 11, 3),
        [cr.Conv2D(20, 5), cr.ReLU(), cr.MaxPool2D(2), cr.Conv2D(9, (2, 3)), cr.Flatten(), cr.Dense(5)],
    ),
    "long windows": (
        (9, 10, 40),
        [cr.Conv2D(7, 3, padding=1), cr.Tanh(), cr.Conv2D(4, (3, 8)), cr.GlobalMaxPool()],
    ),
    "strides": (
        (15, 14, 2),
        [
            cr.Conv2D(18, 3, stride=(2, 1), dilation=(1, 2), padding=2),
            cr.GELU(),
            cr.AveragePool2D(3, stride=2, padding=1),
            cr.Conv2D(5, 2, dilation=2),
            cr.L2Pool2D(2),
            cr.Flatten(),
            cr.Dense(4),
        ],
    ),
    "winograd": (
        (9, 12, 8),
        [
            cr.Conv2D(17, 3, padding=1),
            cr.ReLU(),
            cr.Conv2D(8, 3),
            cr.BatchNorm(),
            cr.Tanh(),
            cr.GlobalAveragePool(),
        ],
    ),
    "normalised": (
        (8, 8, 5),
        [
            cr.Conv2D(6, 3),
            cr.BatchNorm(),
            cr.LeakyReLU(0.1),
            cr.GroupNorm(2),
            residual(cr.Conv2D(6, 1), cr.Dropout(0.5), cr.LayerNorm(), cr.Softplus()),
            cr.Flatten(),
            cr.Dense(4),
            cr.BatchNorm(),
        ],
    ),
    "branches": (
        (6, 7, 18),
        [
            cr.Parallel(
                [[cr.Conv2D(5, 1), cr.ReLU()], [cr.MaxPool2D(3, stride=1, padding=1)], []], join="concat"
            ),
            cr.Conv2D(4, 2),
            cr.Softmax(),
        ],
    ),
    "other forms": (
        (8, 9, 4),
        [
            cr.DepthwiseConv2D(3),
            cr.Conv2D(8, 1, groups=2),
            cr.SiLU(),
            cr.ConvTranspose2D(6, 2, stride=2),
            cr.Flatten(),
            cr.Dense(3),
        ],
    ),
    "encoder": (
        (19, 24),
        [
            cr.PositionalEncoding(),
            residual(cr.LayerNorm(), cr.MultiHeadAttention(3)),
            residual(cr.RMSNorm(), cr.Dense(33), cr.GELU(), cr.Dense(24)),
            cr.MultiHeadAttention(1, causal=True),
            cr.Dense(5),
            cr.Softmax(),
        ],
    ),
    "steps": (
        (50, 7),
        [cr.Dense(32), cr.MultiHeadAttention(2, causal=True), cr.GlobalAveragePool(), cr.Dense(3)],
    ),
    "text": ((21,), [cr.Embedding(IDS, 10), cr.Conv1D(19, 3), cr.ReLU(), cr.GlobalMaxPool(), cr.Dense(2)]),
    "padded text": (
        (12,),
        [
            cr.Embedding(IDS, 16, padding=0),
            residual(cr.MultiHeadAttention(2)),
            cr.GlobalAveragePool(),
            cr.Dense(2),
        ],
    ),
    "masked": ((9, 5), [cr.Masking(0.0), cr.LSTM(19, outputs="all"), cr.GRU(6), cr.Dense(3)]),
    "recurrent": (
        (8, 6),
        [
            cr.LSTM(18, outputs="all"),
            cr.GRU(17, outputs="all", reverse=True),
            cr.RNN(5),
            cr.Dense(3),
            cr.Softmax(),
        ],
    ),
    "wide recurrence": ((3, 4), [cr.RNN(257)]),
}

NETWORKS |= {
    f"attention, {name}": ((19, 24), [cr.Masking(0.0), cr.MultiHeadAttention(4, **options), cr.Dense(3)])
    for name, options in ATTENDING.items()
}
NETWORKS["attention to others"] = (
    (17 * 12 + 33 * 6 + 17 * 33,),
    [
        cr.MultiHeadAttention(
            3, seen="given", key_value_bias=True, causal=True, sources=((17, 12), (33, 6), (17, 33))
        ),
        cr.Dense(3),
    ],
)


def _network(name: str, dtype: str) -> tuple[cr.Network, Array]:
    """The network, every parameter moved away from where it starts, and 40 samples."""
    shape, layers = NETWORKS[name]
    network = cr.Network(layers, input_shape=shape, dtype=dtype, seed=1)
    rng = np.random.default_rng(0)
    moved_away(network, rng)
    if isinstance(layers[0], cr.Embedding):
        return network, rng.integers(0, IDS, (40, *shape)).astype(dtype)
    X = rng.standard_normal((40, *shape)).astype(dtype)
    if isinstance(layers[0], cr.MultiHeadAttention) and layers[0].seen:
        X[:, -17 * 33 :] *= rng.random((40, 17 * 33)) > 0.4
    if isinstance(layers[0], cr.Masking):
        X[:, 5:] *= rng.random((40, shape[0] - 5, 1)) > 0.5
    return network, X


@pytest.fixture
def lanes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """What lies in the lanes of the plans that are made: its last entry."""
    yield from choosing(monkeypatch, "chosen", SAMPLES)


@pytest.mark.parametrize(("name", "machine"), pairwise(NETWORKS, MACHINES))
def test_the_bits_are_the_same(name: str, machine: tuple[str, str], lanes: list[object]) -> None:
    level, dtype = machine
    network, X = _network(name, dtype)
    expected = reference.ReferenceExecutor().predict(network, X.astype(np.float64))
    engine.set_threads(1)
    outputs = Plan(network, batch_size=40, level=level).predict(X)
    tolerance = SAFETY * np.finfo(dtype).eps * summed_terms(network, 1) * np.abs(expected).max()
    np.testing.assert_allclose(outputs, expected, rtol=0, atol=tolerance)
    for held, capacity, threads in pairwise((SAMPLES, CHANNELS), (40, 16), (1, 2, 3, 4)):
        lanes.append(held)
        engine.set_threads(threads)
        plan = Plan(network, batch_size=capacity, level=level)
        assert same_bits({"all": plan.predict(X)}, {"all": outputs})
        for begin, end in ((0, 1), (1, 3), (3, 10), (10, 23), (23, 40)):
            assert same_bits({"some": plan.predict(X[begin:end])}, {"some": outputs[begin:end]})


@pytest.mark.parametrize(("name", "dtype"), pairwise(NETWORKS, ("float32", "float64")))
def test_a_prediction_does_not_depend_on_its_neighbours(name: str, dtype: str) -> None:
    """By the network itself, which takes other plans for other numbers of samples."""
    network, X = _network(name, dtype)
    outputs = network.predict(X)
    for n in (1, 2, 5, 9, 16, 17, 33):
        assert same_bits({"some": network.predict(X[40 - n :])}, {"some": outputs[40 - n :]})


def test_numbers_beyond_float32s_squares_stay_with_their_sample(lanes: list[object]) -> None:
    network = cr.Network([cr.LayerNorm()], input_shape=(2, 5), seed=0)
    X = np.random.default_rng(0).standard_normal((3, 2, 5)).astype("float32")
    alone = Plan(network, batch_size=1).predict(X[:1])
    X[1] *= 1e25
    for held in (SAMPLES, CHANNELS):
        lanes.append(held)
        assert same_bits({"first": Plan(network, batch_size=3).predict(X)[:1]}, {"first": alone})


LONG_SUMS: tuple[tuple[list[cr.Layer], tuple[int, ...]], ...] = (  # of float32: few runs, and many
    ([cr.Dense(3)], (1500,)),
    ([cr.Dense(3)], (2500,)),
    ([cr.Conv1D(3, 7, dilation=2)], (20, 150)),
    ([cr.MultiHeadAttention(1)], (530, 2)),
)


@pytest.mark.parametrize("level", LEVELS)
def test_long_sums_are_taken_in_the_same_runs(level: str, lanes: list[object]) -> None:
    for layers, shape in LONG_SUMS:
        network = cr.Network(layers, input_shape=shape, dtype="float32", seed=1)
        X = np.random.default_rng(0).standard_normal((5, *shape)).astype("float32")
        found = {}
        for held in (SAMPLES, CHANNELS):
            lanes.append(held)
            found[held] = Plan(network, batch_size=5, level=level).predict(X)
        assert same_bits({"all": found[SAMPLES]}, {"all": found[CHANNELS]}), layers


@pytest.mark.parametrize("level", LEVELS)
def test_pixels(level: str, lanes: list[object]) -> None:
    network, _ = _network("direct", "float32")
    X = np.random.default_rng(0).integers(0, 256, (19, 13, 11, 3), dtype=np.uint8)
    outputs = Plan(network, batch_size=19, level=level).predict(X)
    lanes.append(CHANNELS)
    for samples in (1, 19):
        assert same_bits(
            {"a": Plan(network, batch_size=19, level=level).predict(X[:samples])}, {"a": outputs[:samples]}
        )


# -- the choice ------------------------------------------------------------------------------------------


def _choice(layers: Sequence[cr.Layer], shape: tuple[int, ...], batch: int, width: int = 16) -> object:
    network = cr.Network([*layers], input_shape=shape)
    return chosen(network.layers, network.input_shape, network.shapes, batch, width)


@pytest.mark.parametrize("width", [4, 8, 16])
def test_few_samples_leave_the_lanes_to_channels(width: int) -> None:
    wide = [cr.Dense(1024), cr.ReLU(), cr.Dense(10)]
    assert _choice(wide, (784,), 1, width) is CHANNELS
    assert _choice(wide, (784,), 16 * width, width) is SAMPLES
    images = [cr.Conv2D(20, 5), cr.ReLU(), cr.MaxPool2D(2), cr.Flatten(), cr.Dense(10)]
    assert _choice(images, (28, 28, 1), 1, width) is CHANNELS
    assert _choice(images, (28, 28, 1), 16 * width, width) is SAMPLES


def test_steps_fill_the_lanes_that_few_samples_leave_empty() -> None:
    block = [
        residual(cr.LayerNorm(), cr.MultiHeadAttention(8)),
        residual(cr.Dense(1024), cr.GELU(), cr.Dense(256)),
    ]
    for batch in (1, 4):
        assert _choice(block, (128, 256), batch) is CHANNELS
    for batch in (16, 256):
        assert _choice(block, (128, 256), batch) is SAMPLES


@pytest.mark.parametrize("name", ATTENDING)
def test_attention_of_every_kind_has_channels(name: str) -> None:
    for batch, held in ((1, CHANNELS), (64, SAMPLES)):
        assert _choice([cr.MultiHeadAttention(4, **ATTENDING[name]), cr.Dense(5)], (19, 24), batch) is held


def test_gates_of_few_units_leave_the_lanes_to_samples() -> None:
    """Four samples fill four lanes, and eight units eight: but one by one they begin every step anew."""
    for cell, inputs, held in ((cr.GRU(6), 3, SAMPLES), (cr.LSTM(8), 3, SAMPLES), (cr.LSTM(32), 8, CHANNELS)):
        assert _choice([cell, cr.Dense(3)], (12, inputs), 8) is held


def test_half_a_block_of_samples_is_no_whole_one() -> None:
    """Five have channels in the lanes, where the plan for sixteen has samples."""
    layers = [cr.Conv1D(64, 5), cr.ReLU(), cr.Flatten(), cr.Dense(3)]
    for samples, held in ((5, CHANNELS), (16, SAMPLES)):
        assert _choice(layers, (30, 16), _least_batch(np.zeros((samples, 30, 16)))) is held


def test_a_single_filter_leaves_them_to_samples() -> None:
    assert _choice([cr.Conv2D(1, 3)], (9, 9, 1), 16) is SAMPLES


def test_what_has_no_other_form_counts_its_way_there_and_back() -> None:
    """A layer of formulas alone between two small layers: not worth it from a few samples on."""
    thin = [cr.DepthwiseConv2D(3), cr.SiLU(), cr.DepthwiseConv2D(3)]
    assert _choice(thin, (20, 20, 32), 16) is SAMPLES


def test_a_training_has_no_channels_in_the_lanes() -> None:
    """Its δ needs samples or steps there, whatever a prediction does."""
    network, X = _network("dense", "float32")
    plan = Plan(network, cr.CrossEntropy(), batch_size=1)
    assert np.isfinite(plan.gradients(X[:1], np.array([1]))[0])
