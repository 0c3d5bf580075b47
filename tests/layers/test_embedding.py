"""Ids: where they are checked, where they end, and what becomes of the padding."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.base.errors import DataError, ShapeError
from chainrule.formulas import sinusoids, text, trace
from tests import by_formula

IDS = np.array([[1, 0, 3, 3], [2, 2, 0, 0]])


def network(*, padding: int | None = None, **options: Any) -> cr.Network:
    layers = [cr.Embedding(4, 3, padding=padding), cr.Flatten(), cr.Dense(2), cr.Softmax()]
    return cr.Network(layers, input_shape=4, **options)


def test_rows_are_picked_and_their_gradients_are_sums_of_deltas() -> None:
    net = network(dtype="float64")
    step = net.backpropagate(IDS, [0, 1])
    E, d = net.parameters["embedding1.E"], step.deltas["embedding1"]
    np.testing.assert_array_equal(step.activations["embedding1"], E[IDS])
    np.testing.assert_allclose(step.gradients["embedding1.E"][3], d[0, 2] + d[0, 3], rtol=1e-13)
    assert not step.deltas["input"].any()


def test_the_padding_is_zeros_and_does_not_learn() -> None:
    net = network(padding=0)
    for X in (IDS, IDS.astype("uint8"), IDS.astype(float).tolist()):
        step = net.backpropagate(X, [0, 1])
        assert not step.activations["embedding1"][IDS == 0].any()
        assert step.activations["embedding1"][IDS != 0].all()
        assert not step.gradients["embedding1.E"][0].any()
    mask = cr.Embedding(4, 3, padding=0).mask(np.moveaxis(IDS, 0, -1).astype(float))
    np.testing.assert_array_equal(mask, (IDS != 0).T)
    assert cr.Embedding(4, 3).mask(IDS.T) is None


def test_every_way_in_checks_the_ids() -> None:
    net, wrong = network(), IDS + 1
    calls = [
        lambda: net.predict(wrong),
        lambda: net.loss(wrong, [0, 1]),
        lambda: net.backpropagate(wrong, [0, 1]),
        lambda: cr.fit(net, wrong, [0, 1]),
        lambda: cr.fit(net, IDS, [0, 1], validation=(wrong, [0, 1])),
        lambda: cr.check_gradients(net, wrong, [0, 1]),
    ]
    for call in calls:
        with pytest.raises(DataError, match=r"X must hold ids, .* 0 to 3 .* sample 0, position \[2\] is 4"):
            call()


@pytest.mark.parametrize("kind", ["i1", "u1", "i4", "u8", "i8", ">i8", "f4", "f8"])
def test_ids_of_every_type_are_the_same_ids_and_what_is_none_is_refused(kind: str) -> None:
    net, ids = network(), IDS.astype(kind)
    np.testing.assert_array_equal(net.predict(ids), net.predict(IDS))
    np.testing.assert_array_equal(net.predict(ids[:, ::-1]), net.predict(IDS[:, ::-1].copy()))
    outside = [4, 2**56 if kind[-2:] in ("i8", "u8") else 100] + ([] if "u" in kind else [-1])
    for number in outside:
        ids[1, 0] = number
        with pytest.raises(DataError, match=r"X must hold ids, .* sample 1, position \[0\] is"):
            net.predict(ids)


def test_the_smallest_vocabulary_of_those_that_read_the_input_counts() -> None:
    branches = [cr.Embedding(9, 2), [cr.Identity(), cr.Embedding(5, 2)]]
    assert cr.Network([cr.Parallel(branches)], input_shape=3).vocabulary == 5
    assert cr.Network([cr.Sequential([cr.Embedding(7, 2)])], input_shape=(2, 2)).vocabulary == 7
    assert cr.Network([cr.Dense(3)], input_shape=3).vocabulary is None


class First(cr.Layer):
    """The first feature, ids in it."""

    def forward(self, x: Any) -> Any:
        return x[:1]

    def delta(self, d: Any, x: Any) -> Any:
        return np.concatenate([d, 0 * x[1:]])

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return (1,)


def test_ids_may_come_from_a_layer_and_nothing_learned_may_stand_before_them() -> None:
    net = cr.Network([First(), cr.Embedding(3, 2), cr.Flatten(), cr.Dense(2)], input_shape=2, dtype="float64")
    assert net.vocabulary is None
    assert not net.differentiable
    X = np.array([[0, 0.5], [2, 1.5], [3, 0], [-1, 0], [0.5, 0], [np.float64(2**40), 0]])
    step = net.backpropagate(X, np.zeros((6, 2)))
    expected = by_formula.backpropagate(net, X, np.zeros((6, 2)), cr.SquaredError())
    np.testing.assert_array_equal(step.activations["embedding1"], expected.activations["embedding1"])
    assert not step.activations["embedding1"][2:].any()  # no ids: zeros, by the formula and by the kernel
    assert cr.check_gradients(net, X[:2], np.zeros((2, 2))).ok
    with pytest.raises(ShapeError, match=r"dense1.W in front of it would never learn: put Embedding first"):
        cr.Network([cr.Dense(3), cr.Embedding(3, 2)], input_shape=2)


def test_training_learns_what_only_the_order_tells() -> None:
    """Which of two ids stands first: a sum of embeddings alone cannot know."""
    rng = np.random.default_rng(0)
    X = rng.permuted(np.tile(np.arange(4), (400, 1)), axis=1)
    y = X.argmin(axis=1) < X.argmax(axis=1)
    layers = [cr.Embedding(4, 8), cr.LearnedPositions(), cr.Dense(16), cr.ReLU(), cr.Flatten(), cr.Dense(1)]
    net = cr.Network([*layers, cr.Sigmoid()], input_shape=4, seed=1)
    history = cr.fit(net, X, y, optimizer=cr.Adam(0.01), epochs=20, batch_size=32)
    assert history.accuracy[-1] == 1.0


def test_sinusoids() -> None:
    """Attention Is All You Need, 3.5."""
    P = sinusoids(np.zeros((50, 6, 1)))[..., 0]
    np.testing.assert_allclose(P[7, 4], np.sin(7 / 10000 ** (4 / 6)), rtol=1e-14)
    np.testing.assert_allclose(P[7, 5], np.cos(7 / 10000 ** (4 / 6)), rtol=1e-14)
    np.testing.assert_array_equal(P[0], [0, 1, 0, 1, 0, 1])


def test_print() -> None:
    lines = trace(cr.Embedding(4, 3)).lines()
    assert lines == ["zˡ = (Eˡ)ᵀ onehot(xˡ⁻¹)", "∂J/∂xˡ⁻¹ = 0", "∂J/∂Eˡ = onehot(xˡ⁻¹) (δˡ)ᵀ"]
    assert text(trace(cr.PositionalEncoding()).equations["forward"]) == "xˡ = xˡ⁻¹ + PE"
    assert "PE_{t,2k} = sin" in trace(cr.PositionalEncoding()).equations["forward"].remarks[0]
    assert trace(cr.LearnedPositions()).lines() == ["zˡ = xˡ⁻¹ + P̂ˡ", "∂J/∂xˡ⁻¹ = δˡ", "∂J/∂Pˡ = δˡ 𝟏"]


def test_arguments_teach() -> None:
    with pytest.raises(TypeError, match="write vocabulary=1000"):
        cr.Embedding(num_embeddings=3, features=2)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="write padding=0"):
        cr.Embedding(3, 2, padding_idx=0)  # type: ignore[call-arg]
    with pytest.raises(ShapeError, match="from 0 to 2, received 3"):
        cr.Embedding(3, 2, padding=3)
    with pytest.raises(ShapeError, match=r"at most 16777216"):
        cr.Embedding(2**24 + 1, 2)
    with pytest.raises(ShapeError, match=r"put Embedding\(vocabulary, features\) before it"):
        cr.Network([cr.PositionalEncoding()], input_shape=5)
    with pytest.raises(ShapeError, match=r"one sample is \(steps, features\)"):
        cr.Network([cr.LearnedPositions()], input_shape=(5, 4, 3))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_padding_in_any_lane(dtype: str) -> None:
    """In lanes of samples: the last lane may have a row where others have none."""
    network = cr.Network([cr.Embedding(3, 5, padding=0)], input_shape=7, dtype=dtype)
    ids = np.random.default_rng(0).integers(0, 3, (33, 7))
    expected = np.where((ids == 0)[..., None], 0, network.parameters["embedding1.E"][ids])
    for samples in (6, 33):
        np.testing.assert_array_equal(network.predict(ids[:samples]), expected[:samples])
