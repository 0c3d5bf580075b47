"""Masks of sequences: which steps are padding goes from the layer that finds out to those that read it."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import reference
from chainrule.networks.finite import quiet
from tests.engine.harness import (
    MACHINES,
    Array,
    Problem,
    assert_like_reference,
    batch_sizes,
    machines_by_turns,
    width,
)

machines = pytest.mark.parametrize(("level", "dtype"), MACHINES)
STEPS, FEATURES = 5, 3


class Weigh(cr.Layer):
    """Twice what is there: a layer of one's own that reads the mask."""

    def forward(self, x: Any, mask: Any = None) -> Any:
        return 3.0 * x if mask is None else x * (1 + mask[:, None, :])

    def delta(self, d: Any, mask: Any = None) -> Any:
        return 3.0 * d if mask is None else d * (1 + mask[:, None, :])


class FirstFeature(cr.Layer):
    """A layer of one's own that says which steps are there: those that begin with a positive number."""

    def forward(self, x: Any) -> Any:
        return 1.0 * x

    def delta(self, d: Any) -> Any:
        return d

    def mask(self, x: Any) -> Any:
        return (x[:, 0, :] > 0).astype(x.dtype)


def sequences(count: int) -> Array:
    """Padding of any number of steps, behind and between the others; none, and nothing else."""
    r = np.random.default_rng(3)
    X = r.standard_normal((count, STEPS, FEATURES)).astype(np.float32)
    X[r.random((count, STEPS)) < 0.4] = 0
    X[::7], X[3::7] = 0, 1
    return X


NETWORKS: dict[str, list[cr.Layer]] = {
    "through a dense layer": [cr.Masking(), cr.Dense(4), cr.Tanh(), Weigh()],
    "into attention": [cr.Masking(), cr.MultiHeadAttention(3), Weigh(), cr.Dense(2)],
    "into causal attention": [
        cr.Masking(),
        cr.Residual([cr.Dense(3), cr.MultiHeadAttention(1, causal=True)]),
        cr.Dense(4),
        cr.MultiHeadAttention(2),
    ],
    "through a host layer": [cr.Masking(), Weigh(), Weigh()],
    "behind layers": [cr.Dense(3, bias=False), cr.Masking(), Weigh(), cr.Dense(2)],
    "from a host layer": [cr.Dense(3), FirstFeature(), cr.Dense(2), Weigh()],
    "the last one says it": [cr.Masking(), FirstFeature(), Weigh()],
    "rnn, last": [cr.Dense(3), cr.Masking(), cr.RNN(5), cr.Dense(2)],
    "rnn, all": [cr.Masking(), cr.RNN(5, outputs="all", activation="relu"), cr.RNN(2, outputs="all")],
    "lstm": [cr.Masking(), cr.LSTM(9, outputs="all", truncate=2), cr.LSTM(3, reverse=True), cr.Dense(2)],
    "lstm, all": [cr.Masking(), cr.LSTM(3, outputs="all", reverse=True), Weigh()],
    "gru": [cr.Masking(), cr.GRU(6, outputs="all", reverse=True, truncate=3), cr.Tanh(), cr.GRU(3)],
    "gru, all": [cr.Masking(), cr.Dense(4), cr.Tanh(), cr.GRU(4, outputs="all")],
    "both ways": [
        cr.Masking(),
        cr.Parallel([cr.LSTM(3, outputs="all"), cr.LSTM(3, outputs="all", reverse=True)], join="concat"),
        cr.Parallel([cr.GRU(2), cr.GRU(2, reverse=True)], join="concat"),
    ],
    "beside a convolution": [
        cr.Masking(),
        cr.Parallel([cr.LSTM(3, outputs="all"), cr.Conv1D(3, 3, padding="same")]),
        cr.Parallel([cr.GRU(3), [cr.Conv1D(2, 4, padding="same"), cr.RNN(3)]]),
    ],
    "behind a transposed convolution": [cr.ConvTranspose1D(4, 3, padding=1), cr.LSTM(5), cr.Dense(2)],
    "ends with the steps": [cr.Masking(), cr.Conv1D(3, 2), Weigh(), cr.Flatten(), cr.Dense(3), Weigh()],
    "mean of the steps": [cr.Masking(), cr.Dense(9), cr.Tanh(), cr.GlobalAveragePool(), cr.Dense(2)],
    "largest step": [cr.Masking(), cr.Dense(17), cr.GELU(), cr.GlobalMaxPool(), cr.Dense(2)],
    "into branches": [cr.Masking(), cr.Parallel([[Weigh(), cr.Dense(3)], []]), Weigh()],
    "out of a branch": [cr.Parallel([cr.Dense(3), [cr.Masking(), Weigh()]], join="concat"), Weigh()],
    "not into the next branch": [cr.Parallel([[cr.Masking(), Weigh()], Weigh()]), Weigh()],
    "not out of steps that ended": [
        cr.Masking(),
        cr.Parallel([[cr.Conv1D(2, 2), Weigh()], [cr.Conv1D(2, 2)]]),
        Weigh(),
    ],
}


@pytest.mark.parametrize("name", NETWORKS)
def test_masks_reach_the_same_layers_as_by_the_formulas(name: str) -> None:
    network = cr.Network(NETWORKS[name], input_shape=(STEPS, FEATURES), seed=2)
    r = np.random.default_rng(5)
    X = sequences(35)
    y = r.standard_normal((35, *network.output_shape)).astype(np.float32)
    problem = Problem(network, X, y, cr.SquaredError())
    expected = cache(lambda samples: problem.first(samples).step())
    for level, dtype in machines_by_turns([*NETWORKS].index(name)):
        for samples in batch_sizes(width(level, dtype)):
            assert_like_reference(problem.first(samples), level, dtype, samples, expected(samples))


def test_where_a_mask_is_read() -> None:
    """The expected factors by hand: 2 where a step is there, 1 where not, 3 where no mask is known."""
    X = np.array([[[1.0], [0.0], [2.0]]])

    def factors(*layers: cr.Layer) -> list[float]:
        network = cr.Network(layers, input_shape=(3, 1), dtype="float64")
        for name in network.parameters:
            network.parameters[name] = np.full(network.parameters[name].shape, 1.0 * name.endswith("W"))
        found = network.predict(X)
        np.testing.assert_allclose(reference.forward(network, X), found)
        return [float(v) for v in found.ravel()]

    assert factors(Weigh()) == [3, 0, 6]
    assert factors(cr.Masking(), Weigh()) == [2, 0, 4]
    assert factors(cr.Masking(2.0), Weigh()) == [2, 0, 0]
    assert factors(cr.Masking(), cr.Dense(1), Weigh()) == [2, 0, 4]
    assert factors(cr.Masking(), cr.Flatten(), Weigh()) == [3, 0, 6]
    assert factors(cr.Masking(), cr.Conv1D(1, 2), Weigh()) == [3, 6]
    assert factors(cr.Parallel([[cr.Masking(2.0)], []]), Weigh()) == [4, 0, 2]


@machines
def test_masking_hands_down_no_delta_to_padding(level: str, dtype: str) -> None:
    network = cr.Network([cr.Dense(3), cr.ReLU(), cr.Masking()], input_shape=(STEPS, FEATURES), seed=1)
    problem = Problem(network, sequences(9), np.ones((9, STEPS, 3), np.float32), cr.SquaredError())
    assert_like_reference(problem, level, dtype, 9, problem.step())


def test_masking_refuses_what_it_cannot_be() -> None:
    with pytest.raises(ValueError, match=r"float32 holds exactly.*received 0\.1"):
        cr.Masking(0.1)
    for value in ("0", None, True, np.nan, 1e300, 10**400):
        with pytest.raises(ValueError, match="Masking value must be a number"):
            cr.Masking(value)  # type: ignore[arg-type]
    with pytest.raises(cr.ShapeError, match="Masking needs a sequence"):
        cr.Network([cr.Masking()], input_shape=(4,))
    with pytest.raises(TypeError, match="write value="):
        cr.Masking(mask_value=-1.0)  # type: ignore[call-arg]


@pytest.mark.parametrize("pool", [cr.GlobalAveragePool, cr.GlobalMaxPool])
def test_pooling_over_steps_is_that_of_the_shorter_sequence(pool: type[cr.Layer]) -> None:
    network = cr.Network([cr.Masking(), cr.Dense(4), pool()], input_shape=(STEPS, FEATURES), seed=1)
    network.parameters["dense1.b"] = np.array([0.5, -0.5, 2, 0])
    X = np.random.default_rng(0).standard_normal((3, STEPS, FEATURES)).astype(np.float32)
    X[0, 2:] = 0
    X[1] = 0
    short = cr.Network.from_parameters(
        [cr.Dense(4), pool()], dict(network.parameters), input_shape=(2, FEATURES)
    )
    found = network.predict(X)
    np.testing.assert_allclose(found[0], short.predict(X[:1, :2])[0], rtol=1e-6)
    np.testing.assert_array_equal(found[1], 0)  # nothing is there
    assert cr.check_gradients(network, X + 0.0, found + 1, loss=cr.SquaredError())


def test_an_embedding_masks_for_a_recurrence() -> None:
    network = cr.Network([cr.Embedding(6, 3, padding=2), cr.GRU(4), cr.Dense(2)], input_shape=STEPS, seed=3)
    r = np.random.default_rng(9)
    X, y = r.integers(0, 6, (35, STEPS)).astype(np.float32), r.standard_normal((35, 2)).astype(np.float32)
    problem = Problem(network, X, y, cr.SquaredError())
    step = problem.step()
    for level, dtype in MACHINES:
        assert_like_reference(problem, level, dtype, 35, step)
    padded = np.array([[2, 1, 2, 4, 2], [1, 4, 2, 2, 2]])
    one, other = network.predict(padded)
    np.testing.assert_array_equal(one, other)


class StepsThatCount(cr.Loss):
    """The guide's cross-entropy, for one-hot rows that are 0 where a step does not count."""

    def value(self, a: Any, y: Any) -> Any:
        return -cr.formulas.sum_outputs(cr.formulas.xlogy(y, a))

    def gradient(self, a: Any, y: Any) -> Any:
        return -cr.formulas.ratio(y, a)


def test_a_loss_of_the_steps_that_are_there() -> None:
    """As if every sequence were trained by itself, as long as it is."""
    r = np.random.default_rng(4)
    lengths, labels = np.array([5, 1, 3, 4, 2, 5, 2]), r.integers(0, 3, (7, STEPS))
    there = np.arange(STEPS) < lengths[:, None]
    X, y = r.standard_normal((7, STEPS, 2)) * there[..., None], np.eye(3)[labels] * there[..., None]
    layers = [cr.LSTM(4, outputs="all"), cr.Dense(3), cr.Softmax()]
    network = cr.Network([cr.Masking(), *layers], input_shape=(STEPS, 2), dtype="float64")
    step = network.backpropagate(X, y, loss=StepsThatCount())
    alone = []
    for i, n in enumerate(lengths):
        own = cr.Network(layers, input_shape=(int(n), 2), dtype="float64")
        own.set_flat_parameters(network.flat_parameters())
        alone.append(own.backpropagate(X[i : i + 1, :n], labels[i : i + 1, :n]))
    assert step.loss == pytest.approx(np.mean([one.loss for one in alone]), rel=1e-13)
    for name, gradient in step.gradients.items():
        assert gradient == pytest.approx(np.mean([one.gradients[name] for one in alone], axis=0), abs=1e-14)
    assert not step.deltas["dense1"][~there].any()


def test_pytorchs_mark_for_steps_that_do_not_count_is_refused() -> None:
    network = cr.Network([cr.LSTM(4, outputs="all"), cr.Dense(3), cr.Softmax()], input_shape=(STEPS, 2))
    X, y = np.ones((2, STEPS, 2)), np.array([[0, 1, 1, 0, 1], [1, 0, -100, -100, -100]])
    said = r"y holds -100 at \[1, 2\].*write loss=CrossEntropy\(ignore_index=-100\)"
    with pytest.raises(cr.DataError, match=said):
        cr.fit(network, X, y)
    network.classes = [0, 1, -100]  # whoever says that it is a class may have it
    assert np.isfinite(network.loss(X, y))


@pytest.mark.parametrize("scale", [1.0, 1e5, 1e15, 1e150])
def test_what_a_mask_hides_is_hidden_from_scores_of_any_size(scale: float) -> None:
    """Formulas put a number for what is hidden: it must lie below every score, and below every maximum."""
    X = np.random.default_rng(0).standard_normal((3, 5, 4)) * scale
    X[2, 3:] = X[0, 1] = 0.0  # padding
    for layers, inputs in (
        ([cr.MultiHeadAttention(2, causal=True)], X),
        ([cr.Masking(), cr.MultiHeadAttention(2)], X),
        ([cr.Masking(), cr.GlobalMaxPool()], -np.abs(X)),
    ):
        network = cr.Network(layers, input_shape=(5, 4), seed=1, dtype="float64")
        expected = reference.forward(network, inputs)
        largest = np.abs(expected).max()
        np.testing.assert_allclose(network.predict(inputs), expected, rtol=0, atol=1e-13 * largest)
    assert (expected < 0).all()  # of what is there, not of what is hidden


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("dtype", "largest"), [("float64", 1e300), ("float32", 3.3e38)])
def test_the_lowest_scores_lie_above_what_is_hidden(dtype: str, largest: float, causal: bool) -> None:
    """Scores of ±`largest` and half of it: the weights are 0 and 1, and halves where two scores are equal."""
    network = cr.Network(
        [cr.Masking(), cr.MultiHeadAttention(1, causal=causal, bias=False, name="own")],
        input_shape=(3, 1),
        dtype=dtype,
    )
    network.set_parameters({f"own.W_{key}": np.ones((1, 1)) for key in "kvo"})
    X = np.array([[1.0, 0.5, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])[..., None]
    # The step of zeros scores 0 with every key and sees all as one; a sample of nothing but padding gives 0.
    expected = {
        1: [[1, 1, 0.75], [1, 1, 1], [0, 0, 0]],
        -1: [[1 if causal else 0.5, 0.5, 0.75], [1, 1, 1], [0, 0, 0]],
    }
    for sign, rows in expected.items():
        network.parameters["own.W_q"] = np.full((1, 1), sign * largest)
        with quiet():
            by_formulas = reference.forward(network, X, dtype=np.dtype(dtype))
        np.testing.assert_array_equal(by_formulas[..., 0], rows)
        np.testing.assert_array_equal(network.predict(X)[..., 0], rows)


@pytest.mark.parametrize(("dtype", "largest"), [("float64", 1e300), ("float32", 3.3e38)])
def test_the_lowest_steps_lie_above_those_that_are_hidden(dtype: str, largest: float) -> None:
    layers = [cr.Masking(), cr.Dense(1, bias=False, name="own"), cr.GlobalMaxPool()]
    network = cr.Network(layers, input_shape=(3, 1), dtype=dtype)
    network.parameters["own.W"] = np.full((1, 1), -largest)
    X = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])[..., None]
    expected = np.array([[-0.5], [-1.0], [0.0]]) * -network.parameters["own.W"][0, 0]
    np.testing.assert_array_equal(reference.forward(network, X, dtype=np.dtype(dtype)), expected)
    np.testing.assert_array_equal(network.predict(X), expected)


def test_a_causal_attention_never_sees_what_comes_later() -> None:
    X = np.random.default_rng(0).standard_normal((3, 5, 4)) * 1e5
    later = X.copy()
    later[:, 3:] *= -1.5
    network = cr.Network([cr.MultiHeadAttention(2, causal=True)], input_shape=(5, 4), seed=1, dtype="float64")
    for run in (network.predict, lambda batch: reference.forward(network, batch)):
        np.testing.assert_array_equal(run(X)[:, :3], run(later)[:, :3])
