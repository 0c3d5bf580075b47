"""What fit trains and validates on: held-out fractions, weights, copies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from training_problems import blobs, classifier, regressor, same_bits, snapshot

from chainrule.base.errors import DataError
from chainrule.data import Preparation
from chainrule.layers import Dense, Sigmoid
from chainrule.losses import BinaryCrossEntropy, CrossEntropy, Hinge, SquaredError
from chainrule.networks.network import Network
from chainrule.training.class_weights import class_labels
from chainrule.training.fit import fit
from chainrule.training.parts import FitData, prepare


def held_out(data: FitData) -> set[int]:
    return set(range(len(data.training.inputs))) - set(data.rows.tolist())


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
    assert len(data.validation.inputs) == expected
    assert len(data.rows) == count - expected
    np.testing.assert_array_equal(data.validation.inputs, data.training.inputs[sorted(held_out(data))])


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
        network = classifier()
        network.preparation = Preparation(inputs="pixels") if dtype == np.uint8 else None
        data = prepare(network, CrossEntropy(), X, np.arange(9) % 3, None, 0.3, 0)
        assert np.shares_memory(data.training.inputs, X)
        assert data.training.inputs.dtype == dtype
    data = prepare(classifier(), CrossEntropy(), np.zeros((9, 4)), np.arange(9) % 3, None, None, 0)
    assert data.training.inputs.dtype == np.float32  # converted once, not in every epoch


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


# -- class weights -------------------------------------------------------------------------------------------


def weighted(
    y: Any, class_weight: Any, *, weights: Any = None, network: Network | None = None, loss: Any = None
) -> Any:
    network = network or classifier()
    X = np.zeros((len(y), 4), dtype=np.float32)
    data = prepare(network, loss or CrossEntropy(), X, y, weights, None, 0, class_weight)
    return data.training.weights


def test_class_weights_become_sample_weights_of_mean_1() -> None:
    np.testing.assert_allclose(weighted([0, 1, 1, 2], {0: 5.0}), np.array([5, 1, 1, 1]) / 2)
    np.testing.assert_allclose(weighted(["a", "b", "b"], {"b": 2.5, "a": 1}), np.array([1, 2.5, 2.5]) / 2)
    np.testing.assert_allclose(weighted(np.eye(3)[[0, 1, 1]], {1: 2.5}), np.array([1, 2.5, 2.5]) / 2)
    product = weighted([0, 1, 1], {0: 2}, weights=[1, 2, 0])
    np.testing.assert_allclose(product, [1.5, 1.5, 0])


def test_balanced_classes_weigh_the_same() -> None:
    y = np.repeat([0, 1, 2], [6, 3, 1])
    weights = weighted(y, "balanced")
    np.testing.assert_allclose([weights[y == k].sum() for k in range(3)], 10 / 3)
    np.testing.assert_allclose(weights[0], 10 / (3 * 6))  # as scikit-learn's compute_class_weight
    np.testing.assert_allclose(
        weighted([0, 0, 2], "balanced"), [0.75, 0.75, 1.5]
    )  # of two classes that occur


@pytest.mark.parametrize(("last", "loss", "y"), [
    ([Sigmoid()], BinaryCrossEntropy(), [0, 0, 1]),
    ([], Hinge(), [-1, -1, 1]),
    ([], Hinge(), [[-1], [-1], [1]]),
])  # fmt: skip
def test_class_weights_of_a_single_output(last: Any, loss: Any, y: Any) -> None:
    network = Network([Dense(1), *last], input_shape=4)
    np.testing.assert_allclose(weighted(y, {1: 4}, network=network, loss=loss), [0.5, 0.5, 2])


@pytest.mark.parametrize(
    ("y", "class_weight", "message"),
    [
        (
            [0, 1],
            "even",
            "class_weight must be 'balanced' or a dict such as {0: 1.0, 1: 5.0}, received 'even'",
        ),
        ([0, 1], [1, 2], "class_weight must be 'balanced' or a dict"),
        ([0, 1], {7: 2}, "class_weight has the label 7, and the classes are 0, 1, 2"),
        ([0, 1], {0: -1}, "class_weight of 0 must be finite and at least 0, received -1"),
        ([0, 1], {0: "2"}, "class_weight of 0 must be a number"),
        ([0, 1], {0: 0, 1: 0}, "class_weight is 0 for every sample"),
        ([[0.5, 0.5, 0], [1, 0, 0]], "balanced", "one class per sample; .* write sample_weight=w"),
    ],
)
def test_class_weights_that_cannot_be_used(y: Any, class_weight: Any, message: str) -> None:
    with pytest.raises((TypeError, DataError), match=message):
        weighted(y, class_weight)


def test_fit_takes_class_weights() -> None:
    X, y = blobs(30)
    one, other = classifier(), classifier()
    fit(one, X, y, class_weight={2: 3.0}, epochs=2, progress=False)
    fit(other, X, y, sample_weight=np.where(y == 2, 3.0, 1.0), epochs=2, progress=False)
    assert same_bits(snapshot(one), snapshot(other))


@pytest.mark.parametrize("validation", ["a part", "a fraction"])
def test_validation_is_not_weighted_by_class(validation: str) -> None:
    X, y = blobs(30)
    own = np.linspace(1, 2, 30)
    given = (X[:10], y[:10], own[:10]) if validation == "a part" else 0.4
    with_both = prepare(classifier(), CrossEntropy(), X, y, own, given, 0, {2: 5.0})
    plain = prepare(classifier(), CrossEntropy(), X, y, own, given, 0, None)
    assert with_both.validation is not None
    assert plain.validation is not None
    np.testing.assert_array_equal(with_both.validation.weights, plain.validation.weights)
    expected = own * np.where(y == 2, 5.0, 1.0)
    rows = with_both.rows
    np.testing.assert_allclose(with_both.training.weights[rows], (expected / expected[rows].mean())[rows])
