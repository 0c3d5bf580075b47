"""Digits, NPZ and NPY files, splitting and standardization."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule.base.errors import DataError, FileError, MissingExtraError
from chainrule.data import Standardizer, load_digits, load_npy, load_npz, shifted, split


def test_digits() -> None:
    pytest.importorskip("sklearn")
    X, y = load_digits()
    assert X.shape == (1797, 8, 8, 1)
    assert X.dtype == np.float32
    assert (X.min(), X.max()) == (0.0, 1.0)
    assert np.unique(y).tolist() == list(range(10))
    np.testing.assert_array_equal(X * 16, np.rint(X * 16))


def test_digits_need_the_file_or_the_function(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is enough; an installation that keeps it elsewhere is asked by its own function."""
    bundled = pytest.importorskip("sklearn.datasets")
    by_function = bundled.load_digits(return_X_y=True)
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "sklearn.datasets", None)
        X, y = load_digits()
    np.testing.assert_array_equal(X.reshape(-1, 64) * 16, by_function[0])
    np.testing.assert_array_equal(y, by_function[1])
    monkeypatch.setattr("chainrule.data.sets.digits._installed_file", lambda: None)
    np.testing.assert_array_equal(load_digits()[0], X)
    np.testing.assert_array_equal(load_digits()[1], y)


def test_digits_without_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'chainrule\[digits\]'"):
        load_digits()


def test_npz(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    np.savez(path, X=np.ones((3, 2)), y=np.arange(3), other=np.zeros((3, 4)))
    X, y = load_npz(path)
    assert X.shape == (3, 2)
    assert y.tolist() == [0, 1, 2]
    assert load_npz(path, "other", None)[0].shape == (3, 4)
    with pytest.raises(FileError, match="no array named 'z'; its arrays are X, y, other"):
        load_npz(path, "z")


def test_malformed_npz(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    np.savez(path, X=np.ones((3, 2)), y=np.arange(4))
    with pytest.raises(FileError, match="'X' has 3 samples but 'y' has 4"):
        load_npz(path)
    whole = path.read_bytes()
    for content in (b"", b"hello", whole[:50], whole[: len(whole) // 2], b"PK\x03\x04" + whole[4:60]):
        path.write_bytes(content)
        with pytest.raises(FileError, match=r"data\.npz"):
            load_npz(path)
    np.savez(path, X=np.array([{}, None], dtype=object), y=np.arange(2))
    with pytest.raises(FileError, match="'X' cannot be read"):
        load_npz(path)
    np.savez(path, X=np.ones((0, 2)), y=np.arange(0))
    with pytest.raises(FileError, match="no sample"):
        load_npz(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "X.npy", b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (99999"
        )
        archive.writestr("y", b"text")
    with pytest.raises(FileError, match="cannot be read"):
        load_npz(path)
    with pytest.raises(FileError, match="not a NumPy array"):
        load_npz(path, "y", None)
    with pytest.raises(FileError, match="no such file"):
        load_npz(tmp_path / "none.npz")


def test_npy(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.ones((3, 2)))
    assert load_npy(path).shape == (3, 2)
    with pytest.raises(FileError, match=r"numpy\.savez"):
        load_npz(path)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(FileError, match="not an"):
        load_npy(path)
    np.save(path, np.float64(3))
    with pytest.raises(FileError, match="at least one sample"):
        load_npy(path)


def test_split_is_a_partition_by_seed() -> None:
    X, y = np.arange(50).reshape(25, 2), np.arange(25)
    _, X_test, y_train, y_test = split(X, y, 0.2, seed=1)
    assert len(X_test) == len(y_test) == 5
    assert sorted([*y_train, *y_test]) == list(range(25))
    np.testing.assert_array_equal(X_test[:, 0], 2 * y_test)
    np.testing.assert_array_equal(split(X, y, 0.2, seed=1)[3], y_test)
    assert split(X, y, 0.2, seed=2)[3].tolist() != y_test.tolist()


def test_split_of_arrays_by_name() -> None:
    table, y = {"a": np.arange(25), "b": list("xyxyx" * 5)}, {"kind": np.arange(25), "price": np.ones(25)}
    table_train, table_test, y_train, y_test = split(table, y, 0.2, seed=1)
    assert {name: len(values) for name, values in table_test.items()} == {"a": 5, "b": 5}
    np.testing.assert_array_equal(table_train["a"], y_train["kind"])
    np.testing.assert_array_equal(np.array(table["b"])[y_test["kind"]], table_test["b"])
    with pytest.raises(DataError, match="leave it out"):
        split(table, y, stratify=True)
    with pytest.raises(DataError, match=r"arrays of X must have one length, received \{'a': 2, 'b': 1\}"):
        split({"a": [1, 2], "b": [1]}, [0, 1])


def test_stratified_split_keeps_proportions() -> None:
    y = np.repeat(["a", "b", "c", "d"], [50, 30, 19, 1])
    X = np.arange(100)
    _, _, y_train, y_test = split(X, y, 0.2, stratify=True)
    assert len(y_test) == 20
    assert {label: int((y_test == label).sum()) for label in "abc"} == {"a": 10, "b": 6, "c": 4}
    assert "d" in y_train


def test_split_that_cannot_be() -> None:
    X, y = np.zeros((4, 1)), np.arange(4)
    with pytest.raises(DataError, match="4 samples but y has 3"):
        split(X, y[:3])
    with pytest.raises(DataError, match="between 0 and 1"):
        split(X, y, 1.0)
    with pytest.raises(DataError, match="cannot be split"):
        split(X[:1], y[:1])
    with pytest.raises(DataError, match="single sample"):
        split(X, y, stratify=True)
    assert [len(part) for part in split(X[:2], y[:2], 0.01)] == [1, 1, 1, 1]


def test_standardizer_learns_on_the_training_part_and_is_stored_exactly() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(5.0, 3.0, (200, 3)) * [1, 1e6, 0] + [0, 0, 0.1]
    scale = Standardizer.learn(X)
    Z = scale(X)
    assert Z.dtype == np.float64
    np.testing.assert_allclose(Z.mean(axis=0), 0, atol=1e-14)
    np.testing.assert_allclose(Z.std(axis=0), [1, 1, 0], atol=1e-14)
    np.testing.assert_allclose(scale.undo(Z), X, rtol=1e-14)
    stored = Standardizer.from_json(scale.to_json())
    np.testing.assert_array_equal(stored.mean, scale.mean)
    np.testing.assert_array_equal(stored.scale, scale.scale)
    with pytest.raises(DataError, match="2 features, the training data had 3"):
        scale(X[:, :2])


@pytest.mark.parametrize("dtype", ["float16", "float32", ">f8", "int8", "uint8", "bool", "object", "list"])
def test_standardizer_of_one_number_per_sample(dtype: str) -> None:
    """(N,) numbers were taken for one sample of N features."""
    values = np.array([1, 0, 1, 1, 0])
    given = values.tolist() if dtype == "list" else values.astype(dtype)
    if dtype == "object":
        with pytest.raises(DataError, match="X has dtype object"):
            Standardizer.learn(given)
        return
    learned = Standardizer.learn(given)
    assert (learned.mean.tolist(), learned.scale.shape) == ([0.6], (1,))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([[1.0, np.nan]], r"X has 1 NaN among its 2 entries, the first at \[0, 1\]"),
        (np.zeros((0, 2)), r"X must have a number per sample, received the shape \(0, 2\)"),
        (3.0, r"X must have a number per sample, received the shape \(\)"),
        ([["a"]], "X must hold numbers"),
    ],
)
def test_a_standardizer_of_no_numbers_is_refused(given: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        Standardizer.learn(given)


def test_standardizer_of_values_whose_squares_overflow() -> None:
    with pytest.raises(DataError, match="feature 1 are too large"):
        Standardizer.learn(np.array([[1.0, 1e300], [2.0, -1e300]]))


def test_shifted_images() -> None:
    X = np.arange(1, 13).reshape(1, 3, 4, 1)
    copies, y = shifted(X, np.array(["a"]))
    assert copies.shape == (5, 3, 4, 1)
    assert y.tolist() == ["a"] * 5
    np.testing.assert_array_equal(copies[0], X[0])
    rows = copies[..., 0]
    np.testing.assert_array_equal(rows[1], [[0, 0, 0, 0], [1, 2, 3, 4], [5, 6, 7, 8]])
    np.testing.assert_array_equal(rows[2], [[5, 6, 7, 8], [9, 10, 11, 12], [0, 0, 0, 0]])
    np.testing.assert_array_equal(rows[3], [[0, 1, 2, 3], [0, 5, 6, 7], [0, 9, 10, 11]])
    np.testing.assert_array_equal(rows[4], [[2, 3, 4, 0], [6, 7, 8, 0], [10, 11, 12, 0]])
    for bad in (0, 3, -1):
        with pytest.raises(DataError, match="write a number from 1 to 2"):
            shifted(X, np.array(["a"]), bad)
    with pytest.raises(DataError, match="only images"):
        shifted(np.ones((2, 3)), np.ones(2))


def test_standardizer_of_images_works_by_channel() -> None:
    X = np.random.default_rng(0).normal([0, 100], [1, 10], (5, 4, 4, 2))
    assert Standardizer.learn(X).mean.shape == (2,)
    np.testing.assert_allclose(Standardizer.learn(X)(X).std(axis=(0, 1, 2)), 1, rtol=1e-5)


@pytest.mark.parametrize(
    "stored",
    [
        {},
        {"mean": [1]},
        {"mean": [1], "scale": [0]},
        {"mean": ["x"], "scale": [1]},
        {"mean": [1, 2], "scale": [1]},
        {"mean": [float("nan")], "scale": [1]},
    ],
)
def test_damaged_standardizer(stored: dict[str, object]) -> None:
    with pytest.raises(DataError, match="stored standardization"):
        Standardizer.from_json(stored)
