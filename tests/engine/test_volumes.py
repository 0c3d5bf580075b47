"""Volumes: convolutions and pools that know planes, in every pass beside the formulas; the same bits for any
number of threads, and a sample's prediction whatever stands beside it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import chainrule as cr
from chainrule import engine, reference
from chainrule.engine import Plan
from tests import by_formula
from tests.engine.harness import SAFETY, close, machines_by_turns, moved_away, same_bits, summed_terms

# The shape of a sample, how many of them, and the layers. Windows that begin in front of the first plane, row
# and column and end behind the last; kernels of one plane; sizes that are odd, for Winograd's tiles.
NETWORKS: dict[str, tuple[tuple[int, ...], int, list[cr.Layer]]] = {
    "winograd": (
        (4, 5, 7, 8),
        18,
        [
            *(cr.Conv3D(17, 3, padding=1), cr.ReLU(), cr.Conv3D(16, 3, padding=((2, 0), (0, 2), (1, 0)))),
            *(cr.Tanh(), cr.Conv3D(16, (1, 3, 3), padding=(0, 2, 1)), cr.SiLU(), cr.Conv3D(9, (2, 3, 3))),
        ],
    ),
    "winograd in bands": (
        (6, 6, 9, 16),
        5,
        [cr.Conv3D(16, 3, padding=1), cr.ReLU(), cr.MaxPool3D((1, 2, 2)), cr.Conv3D(16, 3, padding=1)],
    ),
    "kernels and strides": (
        (7, 6, 5, 3),
        17,
        [
            *(cr.Conv3D(9, (3, 4, 2), stride=(2, 1, 1), padding=((2, 1), (3, 0), (1, 1))), cr.GELU()),
            *(cr.Conv3D(6, 3, dilation=(1, 2, 1), padding=(1, 2, 1), groups=3), cr.ReLU()),
            *(cr.Conv3D(12, 2, groups=6, padding=1), cr.Sigmoid(), cr.Conv3D(5, 1, bias=False)),
        ],
    ),
    "long sums": (  # of 7 · 5 · 3 · 9 terms, in runs of which the zeros are no part
        (3, 6, 4, 9),
        3,
        [cr.Conv3D(20, (3, 5, 7), padding=(1, 2, 3)), cr.ReLU(), cr.Conv3D(4, (3, 1, 5), padding=(2, 0, 2))],
    ),
    "transposed": (
        (2, 3, 4, 5),
        20,
        [
            *(cr.ConvTranspose3D(6, (3, 2, 3), stride=(1, 2, 2), padding=1), cr.ReLU()),
            *(cr.ConvTranspose3D(12, 2, groups=6, bias=False), cr.ConvTranspose3D(4, 2, groups=2)),
        ],
    ),
    "pools": (
        (7, 6, 9, 5),
        18,
        [
            *(cr.MaxPool3D(3, 2, padding=((1, 0), (0, 2), (1, 1))), cr.Conv3D(5, 2, padding=1), cr.Tanh()),
            *(cr.MaxPool3D((2, 1, 2)), cr.AveragePool3D(2, 1, padding=1), cr.L2Pool3D((2, 3, 1), 1)),
        ],
    ),
    "gradients by filters": (  # strips of several blocks, and more sums than the cache holds
        (2, 3, 3, 40),
        67,
        [cr.Conv3D(40, 2, padding=1), cr.ReLU(), cr.Conv3D(20, (2, 3, 2))],
    ),
}


@pytest.fixture
def threads() -> Iterator[None]:
    before = engine.threads()
    yield
    engine.set_threads(before)


@pytest.mark.parametrize("number", range(len(NETWORKS)), ids=NETWORKS)
def test_every_pass_is_that_of_the_formulas(number: int, threads: None) -> None:
    shape, samples, layers = list(NETWORKS.values())[number]
    head = [cr.GlobalAveragePool(), cr.Dense(3)]
    body = [cr.Conv3D(shape[-1], 1), *layers]
    network = cr.Network([*body, *head], input_shape=shape, dtype="float64", seed=1)
    rng = np.random.default_rng(number)
    moved_away(network, rng)
    X, y = rng.standard_normal((samples, *shape)), rng.standard_normal((samples, 3))
    expected, outputs = by_formula.backpropagate(network, X, y), reference.forward(network, X)
    for level, dtype in machines_by_turns(number):
        tolerance = SAFETY * np.finfo(dtype).eps * summed_terms(network, samples)
        given = X.astype(dtype)
        plan = Plan(network, cr.SquaredError(), batch_size=samples, level=level, dtype=dtype)
        engine.set_threads(1)
        plan.gradients(given, y)  # what a pass leaves around the values is not read by the next
        found = plan.gradients(given, y)[1]
        close(found, expected.gradients, tolerance)
        engine.set_threads(3)
        assert same_bits(plan.gradients(given, y)[1], found)
        predicted = Plan(network, batch_size=samples, level=level, dtype=dtype).predict(given)
        close({"outputs": predicted}, {"outputs": outputs}, tolerance)
        alone = Plan(network, batch_size=1, level=level, dtype=dtype).predict(given[-1:])
        np.testing.assert_array_equal(alone, predicted[-1:])


def test_a_gradient_of_few_positions_and_many_weights() -> None:
    """Images: patches of many channels, whose sums of weights are more than the cache holds."""
    layers = [cr.Conv2D(40, 5, stride=5), cr.ReLU(), cr.Flatten(), cr.Dense(2), cr.Softmax()]
    network = cr.Network(layers, input_shape=(10, 15, 33), dtype="float64", seed=1)
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((101, 10, 15, 33)), rng.integers(0, 2, 101)
    expected = by_formula.backpropagate(network, X, y).gradients
    for dtype in ("float32", "float64"):
        plan = Plan(network, cr.CrossEntropy(), batch_size=101, dtype=dtype)
        tolerance = SAFETY * np.finfo(dtype).eps * summed_terms(network, 101)
        close(plan.gradients(X.astype(dtype), y)[1], expected, tolerance)
