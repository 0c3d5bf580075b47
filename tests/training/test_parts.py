"""What fit trains and validates on: held-out fractions, weights, copies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from training_problems import blobs, classifier, regressor

from chainrule.errors import DataError
from chainrule.layers import Dense, Sigmoid
from chainrule.losses import BinaryCrossEntropy, CrossEntropy, SquaredError
from chainrule.network import Network
from chainrule.training.parts import FitData, class_labels, prepare


def held_out(data: FitData) -> set[int]:
    return set(range(len(data.training.X))) - set(data.rows.tolist())


def split(y: Any, fraction: Any, *, seed: int = 0, weights: Any = None, loss: Any = None) -> FitData:
    y = np.asarray(y)
    network = classifier() if y.ndim == 1 else regressor()
    X = np.arange(4 * len(y), dtype=np.float32).reshape(-1, 4)
    return prepare(network, loss or CrossEntropy(), X, y, weights, fraction, seed)


@pytest.mark.parametrize(
    ("count", "fraction", "expected"), [(100, 0.2, 20), (7, 0.5, 4), (5, 0.01, 1), (5, 0.99, 4)]
)
def test_the_fraction_is_rounded_and_both_parts_keep_a_sample(
    count: int, fraction: float, expected: int
) -> None:
    data = split(np.zeros((count, 2)), fraction, loss=SquaredError())
    assert data.validation is not None
    assert len(data.validation.X) == expected
    assert len(data.rows) == count - expected
    np.testing.assert_array_equal(data.validation.X, data.training.X[sorted(held_out(data))])


def test_classes_are_held_out_in_their_proportions() -> None:
    y = np.repeat([0, 1, 2], [60, 30, 10])
    for seed in range(5):
        data = split(y, 0.1, seed=seed)
        assert data.validation is not None
        assert np.bincount(data.validation.targets).tolist() == [6, 3, 1]


def test_the_seed_decides_what_is_held_out() -> None:
    y = np.arange(60) % 3
    assert held_out(split(y, 0.2)) == held_out(split(y, 0.2))
    assert held_out(split(y, 0.2)) != held_out(split(y, 0.2, seed=1))


def test_one_sample_per_class_can_still_be_held_out() -> None:
    assert len(held_out(split(np.arange(3), 0.4))) == 1


def test_one_sample_cannot_be_divided() -> None:
    with pytest.raises(DataError, match=r"validation=0\.1 needs at least 2 samples to divide, X has 1"):
        split([0], 0.1)


def test_weights_have_mean_one_over_each_part() -> None:
    weights = np.random.default_rng(0).uniform(0.0, 5.0, 40)
    data = split(np.arange(40) % 3, 0.25, weights=weights)
    assert data.validation is not None
    assert data.training.weights is not None
    assert data.validation.weights is not None
    assert data.training.weights[data.rows].mean() == pytest.approx(1.0, rel=1e-14)
    assert data.validation.weights.mean() == pytest.approx(1.0, rel=1e-14)
    ratios = data.validation.weights / weights[sorted(held_out(data))]
    np.testing.assert_allclose(ratios, ratios[0])


def test_weights_that_leave_a_part_empty() -> None:
    weights = np.zeros(40)
    weights[0] = 1.0
    with pytest.raises(DataError, match=r"sample_weight is 0 for all (10|30) samples of a part"):
        split(np.arange(40) % 3, 0.25, weights=weights)


def test_pixels_and_fitting_floats_are_not_copied() -> None:
    for dtype in (np.uint8, np.float32):
        X = np.zeros((9, 4), dtype)
        data = prepare(classifier(), CrossEntropy(), X, np.arange(9) % 3, None, 0.3, 0)
        assert np.shares_memory(data.training.X, X)
        assert data.training.X.dtype == dtype
    data = prepare(classifier(), CrossEntropy(), np.zeros((9, 4)), np.arange(9) % 3, None, None, 0)
    assert data.training.X.dtype == np.float32  # converted once, not in every epoch


def test_nothing_of_the_network_is_changed() -> None:
    X, y = blobs(9)
    network = classifier()
    data = prepare(network, CrossEntropy(), X, np.array(["a", "b", "c"])[y], None, None, 0)
    assert data.classes is not None
    assert data.classes.tolist() == ["a", "b", "c"]
    assert network.classes is None


def test_binary_labels_are_stratified() -> None:
    network = Network([Dense(1), Sigmoid()], input_shape=4)
    y = np.repeat([0.0, 1.0], [30, 10])
    data = prepare(network, BinaryCrossEntropy(), np.zeros((40, 4)), y, None, 0.1, 0)
    assert data.validation is not None
    assert data.validation.targets.sum() == 1


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        (np.array([2, 0, 1]), [2, 0, 1]),
        (np.array([[0.0, 1.0], [1.0, 0.0]]), [1, 0]),
        (np.array([[0.0], [1.0]]), [0, 1]),
        (np.array([[0.5], [1.0]]), None),
        (np.array([[1.0, 1.0], [1.0, 0.0]]), None),  # several labels per sample
        (np.array([0.0, 1.0]), None),
    ],
)
def test_class_labels(targets: np.ndarray, expected: list[int] | None) -> None:
    labels = class_labels(targets)
    assert (None if labels is None else labels.tolist()) == expected
