"""Gradients are the same, but for rounding, whatever lies in the lanes of a step of training; the same bits
for any number of threads; and what lies there is chosen by what it costs. Weight gradients of convolutions by
filters, and the δ of overlapping pools, are those of the formulas.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest

import chainrule as cr
from chainrule import engine
from chainrule.engine import Plan
from chainrule.engine.isa import threads
from chainrule.engine.lowering import lanes as lanes_of_layers
from chainrule.engine.lowering import walk
from chainrule.engine.lowering.lanes import (
    POSITIONS,
    SAMPLES,
    chosen_for_training,
    chosen_steps,
    costs_of_training,
    has_units,
)
from chainrule.engine.lowering.values import reads_units
from tests import by_formula
from tests.engine.harness import (
    MACHINES,
    SAFETY,
    Array,
    choosing,
    close,
    moved_away,
    residual,
    same_bits,
    summed_terms,
)
from tests.engine.problems import ATTENDING
from tests.pairwise import pairwise

IDS = 23  # of the network that begins with an Embedding
ROWS = "rows"  # steps of all samples one behind the other


# Steps beside every number of lanes; every layer that has a form for steps, beside some that have none.
NETWORKS: dict[str, tuple[tuple[int, ...], list[cr.Layer]]] = {
    "encoder": (
        (19, 24),
        [
            cr.PositionalEncoding(),
            residual(cr.LayerNorm(), cr.MultiHeadAttention(3)),
            residual(cr.RMSNorm(), cr.Dense(33), cr.GELU(), cr.Dropout(0.3), cr.Dense(24)),
            cr.GlobalAveragePool(),
            cr.Dense(5),
            cr.Softmax(),
        ],
    ),
    "causal": (
        (200, 8),
        [
            cr.MultiHeadAttention(2, causal=True),
            cr.Dense(6),
            cr.SwiGLU(),
            *(cr.Dense(5), cr.Tanh(), cr.Dense(4), cr.SiLU(), cr.GELU(approximate="tanh")),
            *(cr.Conv1D(4, 200), cr.Dense(5), cr.ReLU()),  # a single step
            cr.Flatten(),
            cr.Dense(3),
            cr.Softmax(),
        ],
    ),
    "an answer a step": ((16, 6), [cr.Dense(20), cr.ReLU(), cr.LeakyReLU(0.1), cr.Dense(5), cr.Softmax()]),
    "between others": (
        (9, 6),
        [
            cr.Dense(20),
            cr.Dropout(0.4),
            cr.Softmax(),
            cr.Conv1D(7, 3, padding=1),
            cr.Dense(4),
            cr.GELU(),
            cr.LSTM(6, outputs="all"),
            cr.Dense(17),
            cr.RNN(3),
            cr.Softmax(),
        ],
    ),
    "masked": (
        (23, 5),
        [
            cr.Masking(0.0),
            cr.Dense(8),
            residual(cr.MultiHeadAttention(2)),
            cr.Parallel([[cr.Dense(3)], [cr.Conv1D(4, 1), cr.ReLU()], [cr.LayerNorm()]], join="concat"),
            cr.GlobalAveragePool(),
            cr.Dense(3),
            cr.Softmax(),
        ],
    ),
    "text": (
        (21,),
        [
            cr.Embedding(IDS, 16, padding=0),
            residual(cr.MultiHeadAttention(4)),
            cr.Dense(12),
            cr.LayerNorm(),
            cr.ReLU(),
            cr.GlobalMaxPool(),
            cr.Dense(2),
            cr.Softmax(),
        ],
    ),
    "pixels": (
        (6, 5, 4),
        [
            cr.Conv2D(18, 1),
            cr.ReLU(),
            cr.Conv2D(5, 1),
            cr.GELU(),
            cr.Conv2D(3, 3),
            cr.Flatten(),
            cr.Dense(3),
            cr.Softmax(),
        ],
    ),
}

# What attention may be told besides.
NETWORKS |= {
    name: (
        (19, 24),
        [
            cr.Masking(0.0),
            residual(cr.MultiHeadAttention(4, **options)),
            cr.Dense(5),
            cr.GlobalAveragePool(),
            cr.Dense(3),
            cr.Softmax(),
        ],
    )
    for name, options in ATTENDING.items()
}
NETWORKS["pixels that know their distance"] = (
    (4, 9, 6),
    [
        *(cr.Reshape((36, 6)), cr.MultiHeadAttention(3, relative_positions="learned", grid=(4, 9))),
        *(cr.Flatten(), cr.Dense(3), cr.Softmax()),
    ],
)

# Sequences that read others, of more and of fewer steps, and of other features.
CROSSING: dict[str, tuple[tuple[int, ...], dict[str, object]]] = {
    "decoder": (
        (35, 6),
        {
            "memory": ([cr.Conv1D(10, 3, stride=2), cr.Dense(9)], "input"),
            "target": (cr.Dense(8), "input"),
            "decoder": (cr.TransformerDecoder(2, 12), "target", "memory"),
            "back": (cr.MultiHeadAttention(3, causal=True), "memory", "decoder", "target"),
            "out": ([cr.GlobalAveragePool(), cr.Dense(3), cr.Softmax()], "back"),
        },
    ),
    "masked keys": (
        (23, 6),
        {
            "keys": ([cr.Masking(0.0), cr.Dense(6)], "input"),
            "queries": (cr.Conv1D(6, 7), "input"),
            "read": (cr.MultiHeadAttention(2), "queries", "keys"),
            "seen": (cr.MultiHeadAttention(2, key_value_heads=1), "read", "keys"),
            "out": ([cr.Flatten(), cr.Dense(3), cr.Softmax()], "seen"),
        },
    ),
    "with all options": (
        (39, 6),
        {
            "keys": ([cr.Crop1D((0, 20)), cr.Dense(6)], "input"),
            "queries": ([cr.Crop1D((22, 0)), cr.Dense(8)], "input"),
            "shown": ([cr.Crop1D((22, 0)), cr.Dense(19), cr.ReLU()], "input"),
            "given": (
                cr.MultiHeadAttention(4, seen="given", rotary=True, key_value_heads=2, causal=True),
                *("queries", "keys", "shown"),
            ),
            "rows": (
                cr.MultiHeadAttention(2, key_value_bias=True, relative_positions="t5", buckets=8),
                *("given", "keys"),
            ),
            "slopes": (
                cr.MultiHeadAttention(2, zero_key_value=True, relative_positions="alibi"),
                *("keys", "rows"),
            ),
            "out": ([cr.Flatten(), cr.Dense(3), cr.Softmax()], "slopes"),
        },
    ),
}


def _problem(name: str, dtype: str, samples: int) -> tuple[cr.Network, Array, Array]:
    """The network, every parameter moved away from where it starts, and samples."""
    shape, layers = {**NETWORKS, **CROSSING}[name]
    kind = cr.Graph if isinstance(layers, dict) else cr.Network
    network = kind(layers, input_shape=shape, dtype=dtype, seed=1)
    rng = np.random.default_rng(0)
    moved_away(network, rng)
    X = rng.standard_normal((samples, *shape)).astype(dtype)
    first = type(network.layers[0])
    if first is cr.Embedding:
        X = rng.integers(0, IDS, X.shape).astype(dtype)
    if first is cr.Masking or name == "masked keys":
        X[:, 15:] = 0
    *positions, classes = network.output_shape
    return network, X, rng.integers(0, classes, (samples, *positions))


@pytest.fixture
def lanes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """What lies in the lanes of the plans that are made, where there is a choice: its last entry."""
    monkeypatch.setattr(lanes_of_layers, "_GAINS", (np.inf, np.inf))  # rows whatever they cost
    chosen = choosing(monkeypatch, "chosen_for_training", SAMPLES)
    wanted = next(chosen)
    monkeypatch.setattr(walk, "chosen_steps", lambda *of: chosen_steps(*of) if wanted[-1] == ROWS else ())
    yield wanted
    next(chosen, None)


@pytest.mark.parametrize(("name", "machine"), pairwise({**NETWORKS, **CROSSING}, MACHINES))
def test_gradients_do_not_depend_on_what_lies_in_the_lanes(
    name: str, machine: tuple[str, str], lanes: list[object]
) -> None:
    level, dtype = machine
    network, X, y = _problem(name, dtype, 11)
    tolerance = SAFETY * np.finfo(dtype).eps * summed_terms(network, 11)

    def gradients(samples: int, threads: int = 1) -> dict[str, Array]:
        engine.set_threads(threads)
        plan = Plan(network, cr.CrossEntropy(), batch_size=11, level=level)
        plan.set_seed(5)
        loss, found = plan.gradients(X[:samples], y[:samples])
        return {"loss": np.array(loss), **found}

    for samples in (1, 11):
        lanes.append(SAMPLES)
        expected = gradients(samples)
        for held in (POSITIONS, ROWS):
            lanes.append(held)
            found = gradients(samples)
            close(found, expected, tolerance)
            assert same_bits(gradients(samples, threads=3), found)


def test_whole_steps_of_training(lanes: list[object]) -> None:
    """Epochs by order, with a last batch that is smaller, and what the plan predicts behind them."""
    network, X, y = _problem("an answer a step", "float64", 7)
    outputs = {}
    for held in (SAMPLES, POSITIONS, ROWS):
        lanes.append(held)
        plan = Plan(network, cr.CrossEntropy(), optimizer=cr.SGD(0.1), batch_size=3)
        for epoch in range(2):
            plan.train_epoch(X, y, np.random.default_rng(epoch).permutation(7), np.full(3, 0.1))
        outputs[held] = plan.predict(X)
    for held in (POSITIONS, ROWS):
        np.testing.assert_allclose(outputs[held], outputs[SAMPLES], rtol=1e-12)


def test_pixels_as_bytes(lanes: list[object]) -> None:
    network, _, y = _problem("an answer a step", "float32", 5)
    X = np.random.default_rng(0).integers(0, 256, (5, 16, 6), dtype=np.uint8)
    expected = Plan(network, cr.CrossEntropy(), batch_size=5).gradients(X, y)[1]
    for held in (POSITIONS, ROWS):
        lanes.append(held)
        close(Plan(network, cr.CrossEntropy(), batch_size=5).gradients(X, y)[1], expected, 1e-4)


@pytest.mark.parametrize("steps", [2, 3, 5, 8, 15, 16, 17, 31, 33, 50])
def test_rows_of_all_samples(steps: int, lanes: list[object]) -> None:
    """Which begin anywhere in a vector, end anywhere, and are in parts of it; in a last batch of fewer."""
    layers = [residual(cr.MultiHeadAttention(1)), cr.Dense(4), cr.Flatten(), cr.Dense(3)]
    network = cr.Network([*layers, cr.Softmax()], input_shape=(steps, 3), dtype="float64", seed=1)
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((9, steps, 3)), rng.integers(0, 3, 9)
    for samples in (1, 2, 7, 9):
        found, outputs = [], []
        for held in (SAMPLES, ROWS):
            lanes.append(held)
            plan = Plan(network, cr.CrossEntropy(), batch_size=9)
            plan.gradients(X, y)  # of which nothing remains
            found.append(plan.gradients(X[:samples], y[:samples])[1])
            outputs.append(plan.predict(X[:samples]))
        close(found[1], found[0], 1e-11)
        assert np.array_equal(*outputs)
        assert max(value.bands for value in plan._built.held.values()) == steps


@pytest.mark.parametrize("machine", MACHINES)
def test_rows_of_wide_data_have_room_for_their_zeros(machine: tuple[str, str], lanes: list[object]) -> None:
    """A wide Dense that reads the data notes which of them are 0, for every vector of steps: there are more
    than vectors of samples.
    """
    level, dtype = machine
    network = cr.Network([cr.Dense(48), cr.Dense(6)], input_shape=(5, 33), dtype=dtype, seed=1)
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((33, 5, 33)).astype(dtype), rng.standard_normal((33, 5, 6))
    sparse, few = X.copy(), X.copy()
    sparse[:, :, 4:29] = 0
    few[:, :2], few[9:, :, ::2] = 0, 0
    tolerance = SAFETY * np.finfo(dtype).eps * summed_terms(network, 33)
    for data in (X, sparse, few):
        for samples in (33, 1, 17):
            found = []
            for held in (SAMPLES, ROWS):
                lanes.append(held)
                plan = Plan(network, cr.SquaredError(), batch_size=33, level=level)
                loss, gradients = plan.gradients(data[:samples], y[:samples])
                found.append({"loss": np.array(loss), **gradients})
            close(found[1], found[0], tolerance)


@pytest.mark.parametrize("machine", MACHINES)
def test_bands_behind_units_in_the_lanes(machine: tuple[str, str]) -> None:
    """What a recurrence hands on with units in the lanes becomes bands by way of whole samples."""
    level, dtype = machine
    for steps, width, units, samples in ((4, 16, 20, 8), (8, 64, 64, 8), (4, 96, 5, 5), (16, 96, 20, 2)):
        layers = [cr.GRU(units, outputs="all"), cr.Dense(48), cr.Dense(2)]
        network = cr.Network([*layers, cr.MultiHeadAttention(1)], input_shape=(steps, width), dtype=dtype)
        rng = np.random.default_rng(0)
        X = rng.standard_normal((samples, steps, width)).astype(dtype)
        y = rng.standard_normal((samples, steps, 2))
        step = by_formula.backpropagate(network, X, y, cr.SquaredError())
        plan = Plan(network, cr.SquaredError(), batch_size=samples, level=level)
        loss, found = plan.gradients(X, y)
        tolerance = SAFETY * np.finfo(dtype).eps * summed_terms(network, samples)
        close({"loss": np.array(loss), **found}, {"loss": np.array(step.loss), **step.gradients}, tolerance)


# Recurrences with units in the lanes: on the input, masked, both ways, behind and in front of others; of more
# rows than are multiplied together.
RECURRENCES: dict[str, tuple[tuple[int, ...], list[cr.Layer]]] = {
    "on the input": ((5, 3), [cr.LSTM(17, outputs="all"), cr.GRU(33, bias=False), cr.Dense(3), cr.Softmax()]),
    "masked": (
        (23, 5),
        [
            *(cr.Masking(0.0), cr.Bidirectional(cr.GRU(7, outputs="all")), cr.Tanh()),
            *(cr.LSTM(16, reverse=True, truncate=4, outputs="all"), cr.Conv1D(6, 3, padding=1)),
            *(cr.RNN(5, activation="relu", outputs="all"), cr.Flatten(), cr.Dense(3), cr.Softmax()),
        ],
    ),
    "long": ((190, 2), [cr.LSTM(9, bidirectional=True), cr.Dense(2), cr.Softmax()]),
}


@pytest.mark.parametrize(("name", "machine"), pairwise(RECURRENCES, MACHINES))
def test_gradients_do_not_depend_on_units_in_the_lanes(
    name: str, machine: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    level, dtype = machine
    shape, layers = RECURRENCES[name]
    network = cr.Network(layers, input_shape=shape, dtype=dtype, seed=1)
    rng = np.random.default_rng(0)
    moved_away(network, rng)
    X, y = rng.standard_normal((11, *shape)).astype(dtype), rng.integers(0, 2, 11)
    X[:, 15:] = 0
    X[4] = 0  # no step at all
    before = threads()

    def gradients(units: bool, samples: int, count: int = 1) -> dict[str, Array]:
        monkeypatch.setattr(walk, "has_units", lambda layer, *rest: units and reads_units(layer))
        engine.set_threads(count)
        plan = Plan(network, cr.CrossEntropy(), batch_size=11, level=level)
        plan.gradients(X, y)  # of which nothing remains
        loss, found = plan.gradients(X[:samples], y[:samples])
        return {"loss": np.array(loss), "outputs": plan.predict(X), **found}

    for samples in (2, 11):
        expected, found = (gradients(units, samples) for units in (False, True))
        close(found, expected, SAFETY * np.finfo(dtype).eps * summed_terms(network, 11))
        assert same_bits({"outputs": found["outputs"]}, {"outputs": expected["outputs"]})
        assert same_bits(gradients(True, samples, 3), found)
    engine.set_threads(before)


# -- the choice ------------------------------------------------------------------------------------------


def _choice(layers: Sequence[cr.Layer], shape: tuple[int, ...], batch: int, width: int = 16) -> object:
    network = cr.Network([*layers], input_shape=shape)
    of = (network.layers, network.input_shape, network.shapes, batch, width)
    return chosen_for_training(costs_of_training(*of))


def test_steps_fill_the_lanes_that_samples_leave_empty() -> None:
    block = [
        residual(cr.LayerNorm(), cr.MultiHeadAttention(8)),
        residual(cr.Dense(1024), cr.GELU(), cr.Dense(256)),
        cr.GlobalAveragePool(),
        cr.Dense(10),
    ]
    assert _choice(block, (128, 256), 8) is POSITIONS
    assert _choice(block, (4, 256), 64) is SAMPLES  # four steps would leave twelve lanes empty


@pytest.mark.parametrize("name", ATTENDING)
def test_attention_of_every_kind_has_steps(name: str) -> None:
    for batch, held in ((2, POSITIONS), (64, SAMPLES)):
        assert _choice([cr.MultiHeadAttention(4, **ATTENDING[name]), cr.Dense(5)], (19, 24), batch) is held


def test_what_attention_reads_is_no_row_that_it_takes_apart(lanes: list[object]) -> None:
    """But where samples are in the lanes, and where numbers say what is seen, which have no δ."""
    network, _, _ = _problem("with all options", "float32", 2)
    row, given = (network.shapes[f"{name}.sources"] for name in ("rows", "given"))
    for held, made in ((SAMPLES, {row, given}), (POSITIONS, {given}), (ROWS, {given})):
        lanes.append(held)
        held_values = Plan(network, cr.CrossEntropy(), batch_size=2)._built.held.values()
        assert {value.shape for value in held_values} & {row, given} == made


def test_rows_where_steps_leave_lanes_empty() -> None:
    block = [residual(cr.LayerNorm(), cr.MultiHeadAttention(4)), cr.Dense(64), cr.GELU(), cr.Dense(32)]

    def rows(steps: int, batch: int) -> dict[int, set[str]]:
        network = cr.Network([*block, cr.Flatten(), cr.Dense(3)], input_shape=(steps, 32))
        of = (network.layers, network.input_shape, network.shapes, batch, 16)
        return {cut.bands: {*cut.layers} for cut in chosen_steps(costs_of_training(*of))}

    layers = {"residual1", "residual1.layernorm1", "residual1.attention1", "dense1", "gelu1", "dense2"}
    assert rows(20, 20) == rows(20, 3) == {20: layers}  # of 32 lanes 20
    assert rows(32, 20) == rows(47, 9) == {}
    assert rows(5, 64) == {}  # samples fill them
    assert rows(5, 9) == {5: layers}


def test_convolutions_between_steps_have_bands() -> None:
    """One sequence: steps in the lanes for attention, and bands for what reads steps beside each other."""
    layers = [residual(cr.MultiHeadAttention(4)), cr.Conv1D(32, 5, padding=2), cr.ReLU(), cr.Conv1D(32, 3)]
    network = cr.Network([*layers, cr.Flatten(), cr.Dense(3)], input_shape=(100, 32))
    held = Plan(network, cr.SquaredError(), batch_size=1)._built.held.values()
    assert POSITIONS in {value.lanes for value in held}
    assert max(value.bands for value in held) > 8


def test_what_has_no_steps_has_samples() -> None:
    assert _choice([cr.Dense(100), cr.ReLU(), cr.Dense(10)], (784,), 1) is SAMPLES
    assert _choice([cr.Conv2D(8, 3), cr.Flatten(), cr.Dense(10)], (9, 9, 3), 1) is SAMPLES


def test_units_fill_the_lanes_that_samples_leave_empty() -> None:
    x = (60, 40)
    taken = [has_units(cr.LSTM(80), x, batch, 16) for batch in (1, 3, 12, 16, 100)]
    assert taken == [True, True, True, False, False]
    others = (cr.RNN(1), cr.LSTM(80, ends=True), cr.Dense(80))  # the first fills one lane, either way
    assert not any(has_units(layer, x, 1, 16) for layer in others)


# -- gradients and δ of windows --------------------------------------------------------------------------

# More than the cache holds of x and δ, so that the lanes of a weight gradient are filters; or samples, in
# strips of rows or of images, where too many lanes would be empty.
WINDOWS: dict[str, tuple[tuple[int, int, int], list[cr.Layer]]] = {
    "5x5": ((22, 19, 16), [cr.Conv2D(32, 5, padding=1)]),
    "few channels": ((45, 30, 3), [cr.Conv2D(16, (3, 5), stride=(1, 2))]),
    "taps apart": ((9, 11, 10), [cr.Conv2D(30, 3, dilation=(1, 2), padding=1)]),
    "groups": ((8, 9, 6), [cr.Conv2D(48, 3, groups=3, bias=False), cr.Conv2D(20, (2, 3), groups=2)]),
    "strips of rows": ((30, 31, 3), [cr.Conv2D(20, 5, padding=2), cr.ReLU(), cr.Conv2D(6, (3, 2), stride=2)]),
    "strips of images": ((9, 10, 12), [cr.Conv2D(20, 5, padding=2), cr.ReLU(), cr.Conv2D(24, 2, groups=4)]),
    "overlapping pools": (
        (19, 19, 20),
        [cr.Tanh(), cr.MaxPool2D(3, stride=2), cr.AveragePool2D((3, 4), stride=1, padding=1)],
    ),
}


@pytest.mark.turns(2)
@pytest.mark.parametrize(("name", "machine"), pairwise(WINDOWS, MACHINES))
def test_windows_of_many_samples(name: str, machine: tuple[str, str]) -> None:
    level, dtype = machine
    shape, layers = WINDOWS[name]
    head = [cr.Conv2D(20, 1)] if name == "overlapping pools" else []
    network = cr.Network(
        [*head, *layers, cr.GlobalAveragePool(), cr.Dense(3), cr.Softmax()],
        input_shape=shape,
        dtype=dtype,
        seed=1,
    )
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((67, *shape)).astype(dtype), rng.integers(0, 3, 67)
    step = by_formula.backpropagate(network, X, y, cr.CrossEntropy(), None, None, None)
    terms = summed_terms(network, 67)
    found = Plan(network, cr.CrossEntropy(), batch_size=67, level=level).gradients(X, y)[1]
    close(found, dict(step.gradients), SAFETY * np.finfo(dtype).eps * terms)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_strips_are_the_same_for_any_threads_and_in_a_larger_plan(dtype: str) -> None:
    network = cr.Network(
        [cr.Conv2D(20, 5, padding=2), cr.ReLU(), cr.GlobalAveragePool(), cr.Dense(3), cr.Softmax()],
        input_shape=(30, 31, 3),
        dtype=dtype,
        seed=1,
    )
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((67, 30, 31, 3)).astype(dtype), rng.integers(0, 3, 67)
    plan = Plan(network, cr.CrossEntropy(), batch_size=67)
    before = threads()
    try:
        for samples in (67, 35):
            rows, of = slice(samples), Plan(network, cr.CrossEntropy(), batch_size=samples)
            engine.set_threads(1)
            alone = of.gradients(X[rows], y[rows])[1]
            for count in (1, 3):
                engine.set_threads(count)
                assert same_bits(plan.gradients(X[rows], y[rows])[1], alone)
    finally:
        engine.set_threads(before)
