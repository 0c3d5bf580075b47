"""The loop over samples (Dezeming §3.1, Nielsen) against the full matrix (Matrix notes): one gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.reference import ReferenceExecutor
from tests.engine.problems import random_problem
from tests.pairwise import pairwise

ENGINES = {"kernels": None, "formulas": ReferenceExecutor()}


def both(network: cr.Network, X: Any, y: Any, **options: Any) -> tuple[cr.Step, cr.Step]:
    loop = network.backpropagate(X, y, mode="per_sample", **options)
    return network.backpropagate(X, y, **options), loop


@pytest.mark.parametrize(
    ("seed", "family", "engine"), pairwise(range(6), ["dense", "direct", "winograd"], ENGINES)
)
def test_random_networks(family: str, seed: int, engine: str) -> None:
    """To 1e-12 of the largest entry, with penalty, weights and another training size; δ differ by the 1/m."""
    problem = random_problem(seed, family).first(7)
    network = problem.network.copy(dtype="float64")
    network.set_executor(ENGINES[engine])
    matrix, loop = both(
        network,
        problem.X,
        problem.y,
        loss=problem.loss,
        penalty=problem.penalty,
        sample_weight=problem.weights,
        training_size=problem.training_size,
    )
    assert loop.loss == pytest.approx(matrix.loss, rel=1e-12)
    assert loop.data_loss == pytest.approx(matrix.data_loss, rel=1e-12)
    assert list(loop.gradients) == list(matrix.gradients)
    for name, gradient in matrix.gradients.items():
        assert gradient == pytest.approx(loop.gradients[name], abs=1e-12 * max(1, np.abs(gradient).max()))
    for name, delta in matrix.deltas.items():
        single = loop.deltas[name] / len(problem.X)
        assert delta == pytest.approx(single, abs=1e-12 * max(1, np.abs(delta).max()))
    for name, activation in matrix.activations.items():
        assert activation == pytest.approx(loop.activations[name], rel=1e-12, abs=1e-12)


def small(dtype: str) -> tuple[cr.Network, Any, Any]:
    rng = np.random.default_rng(0)
    net = cr.Network([cr.Dense(5), cr.Tanh(), cr.Dense(3), cr.Softmax()], input_shape=4, dtype=dtype, seed=0)
    return net, rng.standard_normal((9, 4)), rng.integers(0, 3, 9)


def test_dtypes_and_one_sample() -> None:
    net, X, y = small("float32")
    matrix, loop = both(net, X, y, penalty=cr.L2(0.1))
    for name, gradient in loop.gradients.items():
        assert gradient.dtype == np.float32
        assert gradient == pytest.approx(matrix.gradients[name], abs=1e-6)
    matrix, loop = both(net, X[:1], y[:1])
    for name, gradient in loop.gradients.items():
        assert np.array_equal(gradient, matrix.gradients[name])
    assert np.array_equal(loop.deltas["dense1"], matrix.deltas["dense1"])


@pytest.mark.parametrize("mode", ["loop", None, "Matrix"])
def test_other_modes_are_refused(mode: Any) -> None:
    net, X, y = small("float64")
    with pytest.raises(ValueError, match="mode must be 'matrix' or 'per_sample', received"):
        net.backpropagate(X, y, mode=mode)


class Halved(cr.Layer):
    """A layer whose prediction is another than its training pass."""

    def forward(self, x: Any) -> Any:
        return x

    def infer(self, x: Any) -> Any:  # type: ignore[override]
        return 0.5 * x

    def delta(self, d: Any) -> Any:
        return d


@pytest.mark.parametrize("layers", [[Halved()], [cr.Residual([cr.Dense(4), Halved()])]])
def test_layers_whose_training_pass_differs_are_refused(layers: list[cr.Layer]) -> None:
    net = cr.Network([*layers, cr.Dense(3), cr.Softmax()], input_shape=4)
    _, X, y = small("float32")
    with pytest.raises(ValueError, match=r"the training pass of Halved\(\) is another"):
        net.backpropagate(X, y, mode="per_sample")
    pytest.importorskip("scipy")
    with pytest.raises(ValueError, match=r"that of Halved\(\) in training .* train this network by fit"):
        cr.fit_full_batch(net, X, y)


def test_networks_with_branches() -> None:
    _, X, y = small("float64")
    layers = [cr.Residual([cr.Dense(4), cr.Tanh()]), cr.Dense(3), cr.Softmax()]
    net = cr.Network(layers, input_shape=4, dtype="float64", seed=1)
    matrix, loop = both(net, X, y, penalty=cr.L2(0.3))
    for name, gradient in matrix.gradients.items():
        assert gradient == pytest.approx(loop.gradients[name], abs=1e-14)
    pytest.importorskip("scipy")
    before = net.loss(X, y)
    cr.fit_full_batch(net, X, y)
    assert net.loss(X, y) < before / 10
