"""The door: what is accepted as it is, what is converted, and what each refusal tells to write instead."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule.base.errors import DataError, ShapeError
from chainrule.data.door import check_inputs, check_weights

IMAGE = (4, 5, 3)
VOLUME = (2, 4, 5, 3)


# -- inputs
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
def test_three_types_pass_without_a_copy(dtype) -> None:
    for shape in (IMAGE, VOLUME):
        X = np.full((2, *shape), 2, dtype)
        assert check_inputs(X, shape) is X  # uint8 is pixels, which every pass divides


@pytest.mark.parametrize(
    ("X", "dtype"),
    [
        ([[1, 2], [3, 4]], "float32"),
        (((1.5, 2), (3, 4)), "float64"),
        (np.ones((2, 2), bool), "float32"),
        (np.ones((2, 2), "int8"), "float32"),
        (np.array([[0, 255], [7, 1]], "uint8"), "float32"),  # rows of numbers are no pixels
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
        ((60, 3, 2, 4, 5), VOLUME, r"the channels come first: write X\.transpose\(0, 2, 3, 4, 1\)"),
        ((2, 4, 5, 3), VOLUME, r"for a single volume write X\[None\]"),
        ((60, 2, 4, 5), VOLUME, "the channel axis is missing: the network was built for 3 channels"),
        ((60, 120), VOLUME, r"the volumes are flat: write X\.reshape\(-1, 2, 4, 5, 3\)"),
        ((60, 2, 4, 6, 3), VOLUME, "volumes of 2 x 4 x 5 pixels and 3 channels"),
        ((), (2,), r"received \(\)"),
    ],
)
def test_wrong_shapes_say_what_to_write(shape, expected, words) -> None:
    with pytest.raises(ShapeError, match=words):
        check_inputs(np.ones(shape, "float32"), expected)


def test_what_the_errors_advise_is_accepted() -> None:
    assert check_inputs(np.ones((6, 2, 4, 5)), (2, 4, 5, 1)).shape == (6, 2, 4, 5, 1)
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


def test_float64_networks_take_integers_that_float32_would_round() -> None:
    for number in (2**24 + 1, -(2**53), 2**53):
        found = check_inputs(np.array([[1, number]]), (2,), dtype="float64")
        assert found.dtype == np.float64
        assert int(found[0, 1]) == number
    with pytest.raises(
        DataError, match=r"float64 is exact for integers up to 9007199254740992: scale X first; X"
    ):
        check_inputs(np.array([[1, 2**53 + 1]]), (2,), dtype="float64")
    words = r"with dtype='float64'; X\.astype\('float64'\) has it rounded to float32"
    with pytest.raises(DataError, match=words):
        check_inputs(np.array([[1, 2**24 + 1]]), (2,))


def test_numbers_beyond_float64_are_refused_as_such() -> None:
    beyond = np.longdouble(2) ** 1100
    if not np.isfinite(beyond):
        return  # a long double is a double here
    with pytest.raises(DataError, match="which float64 cannot: scale it"):
        check_inputs(np.array([[1, beyond]]), (2,), dtype="float64")


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
