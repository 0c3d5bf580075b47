"""The door: what is accepted as it is, what is converted, and what each refusal tells to write instead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from chainrule.data.door import check_inputs, check_weights, class_ids, classes_array, encode_targets
from chainrule.errors import DataError, ShapeError
from chainrule.losses import (
    BinaryCrossEntropy,
    CategoricalHinge,
    CrossEntropy,
    Hinge,
    Loss,
    Poisson,
    SquaredError,
)

IMAGE = (4, 5, 3)


@dataclass
class Net:
    output_shape: tuple[int, ...]
    classes: Any = None


# -- inputs
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
def test_three_types_pass_without_a_copy(dtype) -> None:
    X = np.ones((2, *IMAGE), dtype)
    assert check_inputs(X, IMAGE) is X


@pytest.mark.parametrize(
    ("X", "dtype"),
    [
        ([[1, 2], [3, 4]], "float32"),
        (((1.5, 2), (3, 4)), "float64"),
        (np.ones((2, 2), bool), "float32"),
        (np.ones((2, 2), "int8"), "float32"),
        (np.full((2, 2), 2**24), "float32"),
        (np.ones((2, 2), "float16"), "float32"),
        (np.ones((2, 2), "longdouble"), "float64"),
        (np.ones((2, 2), ">f8"), "float64"),
        (np.ones((2, 2), ">i2"), "float32"),
    ],
)
def test_other_numbers_are_converted(X, dtype) -> None:
    result = check_inputs(X, (2,))
    assert result.dtype == np.dtype(dtype)
    assert result.dtype.isnative
    assert np.array_equal(result, np.asarray(X))


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32", "float64", ">i4", "float16"])
def test_ids_become_floats_as_they_are(dtype) -> None:
    X = np.arange(6).reshape(2, 3).astype(dtype)
    ids = check_inputs(X, (3,), vocabulary=6)
    assert ids.dtype == (np.float64 if dtype == "float64" else np.float32)  # uint8 would be pixels
    np.testing.assert_array_equal(ids, X.astype(int))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (5, r"from 0 to 4 .* sample 1, position \[2\] is 5.0; give Embedding a larger vocabulary"),
        (-1, r"sample 1, position \[2\] is -1.0"),
        (0.5, r"X must hold ids, whole numbers .* is 0.5"),
        (np.nan, r"X has 1 NaN"),
        (2.0**40, r"is 1099511627776.0"),
    ],
)
def test_what_is_no_id_is_named_with_its_place(entry, message) -> None:
    X = np.zeros((2, 3))
    X[1, 2] = entry
    with pytest.raises(DataError, match=message):
        check_inputs(X, (3,), vocabulary=5)


def test_strided_views_become_contiguous() -> None:
    X = np.arange(24.0).reshape(4, 6)[::2, ::3]
    result = check_inputs(X, (2,))
    assert result.flags.c_contiguous
    assert np.array_equal(result, X)


def test_grey_images_need_no_channel_axis() -> None:
    assert check_inputs(np.ones((2, 4, 5)), (4, 5, 1)).shape == (2, 4, 5, 1)


class Frame:
    """What a pandas DataFrame or Series is to NumPy."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return self.array


class Sparse:
    nnz = 1

    def toarray(self) -> None: ...


def test_frames_are_arrays() -> None:
    assert check_inputs(Frame(np.ones((2, 2))), (2,)).shape == (2, 2)


@pytest.mark.parametrize(
    ("shape", "expected", "words"),
    [
        (
            (784, 60),
            (784,),
            r"received \(784, 60\); it looks transposed, with samples as columns: write X\.T",
        ),
        ((60, 700), (784,), "built for 784 features per sample, this has 700"),
        ((784,), (784,), r"for a single sample write X\[None\]"),
        ((60,), (1,), r"write X\.reshape\(-1, 1\)"),
        ((60,), (4,), r"must have the shape \(N, 4\), one row per sample, received \(60,\)$"),
        ((60, 28, 28), (784,), r"write X\.reshape\(len\(X\), -1\), or begin with Flatten\(\)"),
        ((60, 2, 2), (5,), r"received \(60, 2, 2\)$"),
        ((60, 3, 4, 5), IMAGE, r"the channels come first: write X\.transpose\(0, 2, 3, 1\)"),
        ((4, 5, 3, 60), IMAGE, r"the samples come last: write numpy\.moveaxis\(X, -1, 0\)"),
        ((4, 5, 3), IMAGE, r"for a single image write X\[None\]"),
        ((4, 5), (4, 5, 1), r"for a single image write X\[None\]"),
        ((60, 4, 5), IMAGE, "the channel axis is missing: the network was built for 3 channels"),
        ((60, 4, 5, 1), IMAGE, "built for 3 channels, these images have 1"),
        ((60, 60), IMAGE, r"the images are flat: write X\.reshape\(-1, 4, 5, 3\)"),
        ((60, 7), IMAGE, r"flat images with samples as columns: write X\.T\.reshape\(-1, 4, 5, 3\)"),
        ((60, 8, 8, 3), IMAGE, "images of 4 x 5 pixels and 3 channels"),
        ((), (2,), r"received \(\)"),
    ],
)
def test_wrong_shapes_say_what_to_write(shape, expected, words) -> None:
    with pytest.raises(ShapeError, match=words):
        check_inputs(np.ones(shape, "float32"), expected)


def test_what_the_errors_advise_is_accepted() -> None:
    chw = np.random.default_rng(0).random((6, 3, 4, 5))
    assert check_inputs(chw.transpose(0, 2, 3, 1), IMAGE).shape == (6, *IMAGE)
    last = np.moveaxis(chw.transpose(0, 2, 3, 1), 0, -1)
    assert np.array_equal(check_inputs(np.moveaxis(last, -1, 0), IMAGE), chw.transpose(0, 2, 3, 1))


@pytest.mark.parametrize(
    ("X", "words"),
    [
        (np.ones((0, 2)), r"X is empty: its shape is \(0, 2\)"),
        ([], "X is empty"),
        (None, "X is None"),
        ([[1, 2], [3]], "X cannot be made an array: its rows have different lengths"),
        ([["a", "b"]], "X must hold numbers, received dtype <U1, such as a"),
        (np.array([[1, "x"]], object), r"the first entry that is no number is 'x' at \[0, 1\]"),
        (np.array([[1, None]], object), r"no number is None at \[0, 1\]"),
        (np.array([[1, 2.5]], object), r"X has dtype object: write X\.astype\('float32'\)"),
        ([[10**30, 1]], "X has dtype object"),
        (np.ones((1, 2), complex), r"X is complex \(complex128\): write X\.real"),
        (np.ones((1, 2), "datetime64[s]"), "X must hold numbers, received dtype datetime64"),
        (np.ma.array([[1.0, 2.0]], mask=[[0, 1]]), r"masked array: write X\.filled"),
        (Sparse(), r"sparse matrix: write X\.toarray\(\)"),
        (np.array([[1, 2**24 + 1]]), r"the integer 16777217, .*X\.astype\('float64'\)"),
        (np.array([[-(2**40), 1]]), r"the integer -1099511627776"),
        (np.array([[np.iinfo("uint64").max, 1]], "uint64"), "the integer 18446744073709551615"),
        (np.array([[1.0, 1e39]]), r"holds 1e\+39, which float32 cannot"),
        (np.array([[-1e39, 1]]), r"holds 1e\+39, which float32 cannot"),
    ],
)
def test_what_is_no_data_is_refused(X, words) -> None:
    with pytest.raises(DataError, match=words):
        check_inputs(X, (2,))


def test_float64_networks_take_large_numbers() -> None:
    assert check_inputs([[1e39, 1.0]], (2,), dtype="float64")[0, 0] == 1e39


def test_nan_and_infinity_are_counted_and_placed() -> None:
    X = np.ones((50, 4, 5, 3), "float32")
    X[7, 1, 2, 0] = np.nan
    X[9, 0, 0, 1] = np.nan
    X[3, 3, 4, 2] = np.inf
    with pytest.raises(
        DataError,
        match=r"pixels has 2 NaN and 1 infinite among its 3,000 entries, the first at \[3, 3, 4, 2\]",
    ):
        check_inputs(X, IMAGE, argument="pixels")
    X[3, 3, 4, 2] = 0
    with pytest.raises(DataError, match=r"has 2 NaN among its 3,000 entries, the first at \[7, 1, 2, 0\]"):
        check_inputs(X, IMAGE)


def test_finite_numbers_whose_sum_overflows_are_finite() -> None:
    X = np.full((4, 2), 3e38, "float32")
    assert check_inputs(X, (2,)) is X


# -- weights
def test_weights_have_mean_one() -> None:
    weights = check_weights([1, 2, 3], 3)
    assert weights.dtype == np.float64
    assert weights == pytest.approx([0.5, 1, 1.5])
    assert np.array_equal(check_weights(weights, 3), weights)
    assert check_weights([1e308, 1e308, 0, 1e308], 4) == pytest.approx([4 / 3, 4 / 3, 0, 4 / 3])


@pytest.mark.parametrize(
    ("w", "error", "words"),
    [
        ([1, 2], ShapeError, r"one weight per sample, shape \(3,\), received \(2,\)"),
        ([[1], [2], [3]], ShapeError, r"write sample_weight\.ravel\(\)"),
        ([1, -2, 3], DataError, "must not be negative: entry 1 is -2"),
        ([0, 0, 0], DataError, "is 0 for every sample"),
        ([1, np.nan, 3], DataError, r"1 NaN among its 3 entries, the first at \[1\]"),
        (["a", "b", "c"], DataError, "must hold numbers"),
    ],
)
def test_wrong_weights(w, error, words) -> None:
    with pytest.raises(error, match=words):
        check_weights(w, 3)


# -- targets
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
        (Hinge(), 1, [1, 2, 3], "must have two different labels"),
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
