"""The door for targets: labels, rows and numbers, as the loss takes them, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from chainrule.base.errors import DataError, ShapeError
from chainrule.data.door import class_ids, classes_array, encode_targets
from chainrule.losses import (
    BinaryCrossEntropy,
    CategoricalHinge,
    CrossEntropy,
    Hinge,
    Loss,
    Poisson,
    SquaredError,
)


@dataclass
class Net:
    output_shape: tuple[int, ...]
    classes: Any = None
    dtype: str = "float32"


def encoded(y: Any, outputs: int | tuple[int, ...], loss: Loss, classes: Any = None) -> tuple[Any, Any]:
    shape = outputs if isinstance(outputs, tuple) else (outputs,)
    return encode_targets(y, Net(shape, classes), loss, len(y))


@pytest.mark.parametrize(
    ("y", "ids", "classes"),
    [
        ([2, 0, 2], [2, 0, 2], [0, 1, 2]),
        (np.array([1, 1, 1], "uint8"), [1, 1, 1], [0, 1, 2]),
        (np.array([2.0, 0.0]), [2, 0], [0, 1, 2]),
        ([5, 7, 5], [0, 1, 0], [5, 7]),
        ([1, 2, 3], [0, 1, 2], [1, 2, 3]),
        ([-1, 0, 1], [0, 1, 2], [-1, 0, 1]),
        (["dog", "cat", "dog"], [1, 0, 1], ["cat", "dog"]),
        (np.array(["b", "a", "c"], object), [1, 0, 2], ["a", "b", "c"]),
        ([True, False], [1, 0], [False, True]),
    ],
)
def test_labels_are_numbered(y, ids, classes) -> None:
    targets, found = encoded(y, 3, CrossEntropy())
    assert targets.dtype == np.int64
    assert targets.tolist() == ids
    assert found.tolist() == classes


def test_known_classes_number_the_labels_in_their_order() -> None:
    known = np.array(["z", "a", "m"])
    targets, found = encoded(["m", "z", "z"], 3, CrossEntropy(), known)
    assert targets.tolist() == [2, 0, 0]
    assert found is known
    given = np.array([30, 10, 20])
    targets, found = encode_targets([10, 30], Net((3,), np.arange(3)), CrossEntropy(), 2, classes=given)
    assert targets.tolist() == [1, 0]
    assert found is given


@pytest.mark.parametrize(
    "y", [np.eye(3)[[0, 2]], np.eye(3, dtype=int)[[0, 2]], np.array([[0.2, 0.3, 0.5], [1, 0, 0]], "float32")]
)
def test_one_hot_and_soft_rows_stay(y) -> None:
    targets, found = encoded(y, 3, CrossEntropy())
    assert np.array_equal(targets, y)
    assert targets.dtype == (np.float32 if y.dtype == np.float32 else np.float64)
    assert found is None


def test_labels_of_image_outputs() -> None:
    labels = np.arange(8).reshape(2, 2, 2) % 3
    assert np.array_equal(encoded(labels, (2, 2, 3), CrossEntropy())[0], labels)
    assert encoded(np.eye(3)[labels], (2, 2, 3), CrossEntropy())[0].shape == (2, 2, 2, 3)


@pytest.mark.parametrize(
    ("y", "classes", "targets", "found"),
    [
        ([0, 1, 1], None, [[0], [1], [1]], [0, 1]),
        ([0, 0, 0], None, [[0], [0], [0]], [0, 1]),
        ([0.25, 1.0], None, [[0.25], [1.0]], None),
        (["no", "yes"], None, [[0], [1]], ["no", "yes"]),
        ([-1, 1, -1], None, [[0], [1], [0]], [-1, 1]),
        ([True, False], None, [[1], [0]], [False, True]),
        (["yes", "yes"], ["yes", "no"], [[0], [0]], ["yes", "no"]),
        ([[0.5], [1.0]], None, [[0.5], [1.0]], None),
    ],
)
def test_one_sigmoid_output(y, classes, targets, found) -> None:
    known = None if classes is None else np.array(classes)
    result, result_classes = encoded(y, 1, BinaryCrossEntropy(), known)
    assert result.dtype == np.float64
    assert result.tolist() == targets
    assert (None if result_classes is None else result_classes.tolist()) == found


@pytest.mark.parametrize("loss", [BinaryCrossEntropy(), SquaredError()])
def test_labels_stay_class_numbers_for_every_loss(loss) -> None:
    targets, classes = encoded([2, 0], 3, loss)
    assert targets.tolist() == [2, 0]
    assert targets.dtype == np.int64
    assert classes.tolist() == [0, 1, 2]
    targets, classes = encoded(["b", "a"], 2, loss)
    assert targets.tolist() == [1, 0]
    assert classes.tolist() == ["a", "b"]


def test_numbers_for_the_squared_error() -> None:
    assert encoded([1, 2, 3], 1, SquaredError())[0].tolist() == [[1.0], [2.0], [3.0]]
    assert encoded(np.ones((2, 4)), 4, SquaredError())[1] is None
    assert encoded(np.ones((2, 4, 5, 1)), (4, 5, 1), SquaredError())[0].shape == (2, 4, 5, 1)
    assert encoded(np.ones((2, 4, 5)), (4, 5, 1), SquaredError())[0].shape == (2, 4, 5, 1)


@pytest.mark.parametrize(
    ("y", "outputs", "loss", "classes", "error", "words"),
    [
        (
            range(11),
            10,
            CrossEntropy(),
            None,
            DataError,
            r"11 different labels \(0, 1, .* 10\) but the network has 10 outputs",
        ),
        (
            [0, 10],
            10,
            CrossEntropy(),
            range(10),
            DataError,
            r"must hold the classes 0, .*: entry \[1\] is 10$",
        ),
        ([0, -1, -1], 3, CrossEntropy(), range(3), DataError, r"entry \[1\] is -1 \(2 such labels\)"),
        (
            ["a", "x"],
            2,
            CrossEntropy(),
            ["a", "b"],
            DataError,
            r"must hold the classes 'a', 'b': entry \[1\] is 'x'",
        ),
        (
            [0, 1],
            2,
            CrossEntropy(),
            ["a", "b"],
            DataError,
            "y holds integers but the network's classes are strings",
        ),
        (
            ["0", "1"],
            2,
            CrossEntropy(),
            [0, 1],
            DataError,
            "y holds strings but the network's classes are integers",
        ),
        (
            ["no", "yes"],
            2,
            CrossEntropy(),
            [False, True],
            DataError,
            "y holds strings but the network's classes are bools: False, True",
        ),
        ([0.5, 1], 2, CrossEntropy(), None, DataError, r"labels, integers or strings: entry \[0\] is 0\.5"),
        ([0, np.nan], 2, CrossEntropy(), None, DataError, r"1 NaN among its 2 entries, the first at \[1\]"),
        (
            np.array(["a", None], object),
            2,
            CrossEntropy(),
            None,
            DataError,
            r"labels of one kind.*entry \[1\] is None",
        ),
        (np.array([b"a", b"b"]), 2, CrossEntropy(), None, DataError, r"write y\.astype\(str\)"),
        ([[0], [1]], 3, CrossEntropy(), None, ShapeError, r"write y\.ravel\(\)"),
        (np.ones((2, 4)), 3, CrossEntropy(), None, ShapeError, "the network has 3 outputs, y has 4 columns"),
        (
            [[0.5, 0.4], [1, 0]],
            2,
            CrossEntropy(),
            None,
            DataError,
            r"rows of y must sum to 1.*row \[0\] sums to 0\.9",
        ),
        ([[1.5, -0.5], [1, 0]], 2, CrossEntropy(), None, DataError, r"entry \[0, 1\] is -0\.5"),
        ([0, 1], 1, CrossEntropy(), None, ShapeError, r"Dense\(1\), Sigmoid\(\)"),
        (
            [[0.5], [2.0]],
            1,
            BinaryCrossEntropy(),
            None,
            DataError,
            r"must lie in \[0, 1\].*entry \[1, 0\] is 2\.0",
        ),
        (["a", "b", "c"], 1, BinaryCrossEntropy(), None, DataError, "it has 3: 'a', 'b', 'c'"),
        (["a", "a"], 1, BinaryCrossEntropy(), None, DataError, "it has 1: 'a'"),
        ([3, 4, 5], 1, BinaryCrossEntropy(), None, DataError, "it has 3: 3, 4, 5"),
        (["a", "b"], 1, SquaredError(), None, DataError, "y must hold numbers"),
        ([0.5, 1.5], 2, SquaredError(), None, DataError, "labels, integers or strings"),
        ([1.0, np.inf], 1, SquaredError(), None, DataError, r"1 infinite among its 2 entries"),
        ([1.0, 1e39], 1, SquaredError(), None, DataError, "float32 cannot"),
    ],
)
def test_wrong_targets(y, outputs, loss, classes, error, words) -> None:
    known = None if classes is None else np.array(list(classes))
    with pytest.raises(error, match=words):
        encoded(list(y) if isinstance(y, range) else y, outputs, loss, known)


@pytest.mark.parametrize(
    ("y", "words"),
    [
        ([1, 2], "X has 3 samples but y has 2"),
        (5, "X has 3 samples but y is the single value 5"),
        (None, "y is None"),
    ],
)
def test_every_sample_needs_a_target(y, words) -> None:
    with pytest.raises(DataError, match=words):
        encode_targets(y, Net((2,)), CrossEntropy(), 3)


@pytest.mark.parametrize(
    "y",
    [
        [2**70, 1, 0],
        np.array([0, 2**63, 1], np.uint64),
        [1e30, 1, 0],
        [0, -1e30, 1],
        np.array([2**70, 1, 0], object),
    ],
)
def test_labels_beyond_64_bits_are_refused(y) -> None:
    with pytest.raises(DataError, match=r"y must hold labels, integers of at most 64 bits or strings: entry"):
        encoded(y, 3, CrossEntropy())
    with pytest.raises(DataError, match="classes must hold labels"):
        classes_array(y, (3,))


def test_labels_of_half_precision() -> None:
    assert encoded(np.array([0, 2, 1], np.float16), 3, CrossEntropy())[0].tolist() == [0, 2, 1]


def test_class_ids_from_labels_rows_and_probabilities() -> None:
    assert class_ids(["b", "a"], Net((2,), np.array(["a", "b"])), 2).tolist() == [1, 0]
    assert class_ids([[0.1, 0.9], [1, 0]], Net((2,)), 2).tolist() == [1, 0]
    assert class_ids([1, 0, 1], Net((1,)), 3).tolist() == [1, 0, 1]
    with pytest.raises(DataError, match="must sum to 1"):
        class_ids([[3.0, 4.0]], Net((2,)), 1)


def test_classes_array() -> None:
    assert classes_array(["b", "a"], (2,)).tolist() == ["b", "a"]
    assert classes_array([1.0, 2.0], (3,)).dtype == np.int64
    for wrong, shape in (([1], (1,)), ([1, 2, 3], (2,)), ([], (2,)), ([1, 1], (2,))):
        with pytest.raises(DataError, match="classes"):
            classes_array(wrong, shape)


# -- targets of margins and counts ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("y", "classes", "targets", "found"),
    [
        ([-1, 1, 1], None, [0, 1, 1], [-1, 1]),
        ([-1.0, -1.0], None, [0, 0], [-1, 1]),
        ([1, 1], [-1, 1], [1, 1], [-1, 1]),
        ([0, 1], None, [0, 1], [0, 1]),
        (["yes", "no"], None, [1, 0], ["no", "yes"]),
        ([[-1], [1]], None, [0, 1], [-1, 1]),
        ([True, False], None, [1, 0], [False, True]),
    ],
)
def test_hinge_takes_any_two_labels(y: Any, classes: Any, targets: Any, found: Any) -> None:
    known = None if classes is None else np.array(classes)
    encoded, labels = encode_targets(np.array(y), Net((1,), known), Hinge(), len(y))
    np.testing.assert_array_equal(encoded[:, 0], targets)
    assert labels is not None
    assert labels.tolist() == found


def test_hinge_of_several_outputs_is_one_vs_rest() -> None:
    rows = np.array([[-1, 1, -1], [1, -1, -1]])
    for given in (rows, (rows + 1) // 2):
        encoded, _ = encode_targets(given, Net((3,)), Hinge(), 2)
        np.testing.assert_array_equal(encoded, (rows + 1) // 2)
    encoded, _ = encode_targets([2, 0], Net((3,)), Hinge(), 2)
    assert encoded.tolist() == [2, 0]


@pytest.mark.parametrize(
    ("loss", "outputs", "y", "message"),
    [
        (Hinge(), 1, [0.5, 1], "must be labels, -1 and 1 or 0 and 1, for Hinge: entry .0. is 0.5"),
        (
            Hinge(),
            1,
            [1, 2, 3],
            r"labels for Hinge and one output; it has 3: .* Dense\(3\) with CategoricalHinge\(\)",
        ),
        (Hinge(), 1, [7, 7], "two different labels for Hinge and one output; it has 1: 7$"),
        (
            BinaryCrossEntropy(),
            1,
            [1, 2, 3],
            r"one sigmoid output, or numbers in .0, 1.; it has 3: .* network in Dense\(3\), Softmax\(\)",
        ),
        (CategoricalHinge(), 2, [[0.5, 0.5]], "one-hot rows for CategoricalHinge, .* .0, 0. is 0.5"),
        (Hinge(), 2, [[0.5, 1.0]], "for Hinge: entry .0, 0. is 0.5"),
        (Poisson(), 2, [[1.0, -2.0]], "must be at least 0 for Poisson, entry .0, 1. is -2.0"),
        (
            CategoricalHinge(),
            1,
            [0, 1],
            r"CategoricalHinge needs at least two outputs.* Hinge\(\) for one output",
        ),
    ],
)
def test_targets_outside_of_what_a_loss_is_defined_for(loss: Any, outputs: int, y: Any, message: str) -> None:
    with pytest.raises((DataError, ShapeError), match=message):
        encode_targets(np.array(y), Net((outputs,)), loss, len(y))


@pytest.mark.parametrize("number", [3.3e38, 3.5e38, 1e39, -1e300])
def test_targets_are_those_that_the_network_holds(number: float) -> None:
    """What float32 cannot hold a float64 network takes, and is not told to become one."""
    for given in ([number, 0.0], np.array([[number], [0.0]])):
        wide = Net((1,), dtype="float64")
        assert encode_targets(given, wide, SquaredError(), 2)[0].ravel().tolist() == [number, 0.0]
        if abs(number) < 3.4e38:
            encode_targets(given, Net((1,)), SquaredError(), 2)
            continue
        with pytest.raises(DataError, match=r"float32 cannot: scale it, or write Network\(.*dtype='float64'"):
            encode_targets(given, Net((1,)), SquaredError(), 2)
