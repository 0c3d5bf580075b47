"""Θ and the flat vector: exact both ways, and the same function as Dezeming writes it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.base.errors import DataError, ShapeError

R = np.random.default_rng(4)
THETAS = [R.standard_normal((5, 4)), R.standard_normal((2, 6)), R.standard_normal((3, 3))]


def dense(dtype: str = "float32") -> cr.Network:
    layers = [cr.Flatten(), cr.Dense(4), cr.Tanh(), cr.Dense(3), cr.Softmax()]
    return cr.Network(layers, input_shape=(2, 3, 1), seed=3, dtype=dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("order", ["parameters", "theta"])
def test_round_trips_are_exact(dtype: str, order: str) -> None:
    network, other = dense(dtype), dense(dtype).reinitialise(9)
    vector = network.flat_parameters(order)
    assert (vector.shape, vector.dtype) == ((network.count_parameters(),), np.float64)
    other.set_flat_parameters(vector, order)
    third = dense(dtype).reinitialise(5)
    third.set_theta(network.theta())
    for name, array in network.parameters.items():
        assert array.tobytes() == other.parameters[name].tobytes() == third.parameters[name].tobytes()


def test_theta_with_a_zero_is_the_network() -> None:
    """z = Θ [1; a], layer by layer, on columns."""
    network = cr.Network.from_theta(THETAS)
    X = R.standard_normal((7, 3))
    a = X.T
    for theta in THETAS:
        a = 1 / (1 + np.exp(-theta @ np.vstack([np.ones((1, 7)), a])))
    np.testing.assert_allclose(network.predict(X), a.T, rtol=1e-13)
    for given, found in zip(THETAS, network.theta(), strict=True):
        np.testing.assert_array_equal(found, given)


def test_the_orders() -> None:
    network = cr.Network.from_theta([np.array([[1.0, 2, 3], [4, 5, 6]])], output=cr.Identity())
    assert network.flat_parameters("theta").tolist() == [1, 4, 2, 5, 3, 6]
    assert network.flat_parameters().tolist() == [2, 3, 5, 6, 1, 4]
    assert [repr(layer) for layer in network.layers] == ["Dense(2)", "Identity()"]


def test_any_network_has_a_flat_vector() -> None:
    layers = [cr.Conv2D(2, 2), cr.PReLU(), cr.Flatten(), cr.Dense(2)]
    network = cr.Network(layers, input_shape=(3, 3, 1), seed=1)
    vector = network.flat_parameters()
    network.set_flat_parameters(2 * vector)
    np.testing.assert_array_equal(network.flat_parameters(), 2 * vector)
    empty = cr.Network([cr.Tanh()], input_shape=2)
    empty.set_flat_parameters(empty.flat_parameters())


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: cr.Network([cr.Conv2D(2, 2)], input_shape=(3, 3, 1)).theta(), "this one has conv1.W"),
        (lambda: cr.Network([cr.Tanh()], input_shape=2).theta(), "this one has none"),
        (lambda: cr.Network([cr.Dense(2, bias=False)], input_shape=2).theta(), r"write Dense\(2\)"),
        (lambda: dense().set_theta(dense().theta()[:1]), "has 2 dense layers, received 1"),
        (lambda: dense().set_theta([t.T for t in dense().theta()]), "looks transposed: write theta.T"),
        (lambda: dense().set_theta([t[:, 1:] for t in dense().theta()]), "the bias is missing"),
        (lambda: dense().set_theta(["a", "b"]), "theta 1 must be a matrix of numbers"),
        (lambda: cr.Network.from_theta([np.ones((3, 2)), np.ones((2, 3))]), "theta 2 must have 4 columns"),
        (lambda: cr.Network.from_theta([]), "at least one matrix"),
        (lambda: dense().set_flat_parameters(np.ones(4)), r"vector must have the shape \(43,\), received"),
        (lambda: dense().set_flat_parameters(np.ones((43, 1))), r"write vector.ravel\(\)"),
        (lambda: dense().flat_parameters("F"), "order must be 'parameters' or 'theta', received 'F'"),
    ],
)
def test_what_does_not_fit_is_told(act: Callable[[], Any], message: str) -> None:
    with pytest.raises((ShapeError, DataError, ValueError), match=message):
        act()


# -- files ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("suffix", [".mat", ".npz"])
def test_a_file_of_matrices_comes_back(tmp_path: Path, suffix: str) -> None:
    network = cr.Network([cr.Dense(4), cr.Sigmoid(), cr.Dense(1), cr.Sigmoid()], input_shape=3, seed=1)
    path = tmp_path / f"theta{suffix}"
    network.save_theta(path)
    back = cr.Network.from_theta(path)
    X = np.random.default_rng(0).normal(size=(5, 3))
    np.testing.assert_allclose(back.predict(X), network.copy(dtype="float64").predict(X), rtol=1e-12)
    other = network.copy()
    other.set_parameters({name: 0 * array for name, array in network.parameters.items()})
    other.set_theta(str(path))
    assert all(np.array_equal(other.parameters[name], array) for name, array in network.parameters.items())


def test_files_that_hold_no_matrices(tmp_path: Path) -> None:
    network = cr.Network([cr.Dense(2)], input_shape=3)
    with pytest.raises(cr.FileError, match=r"write 'theta.mat'"):
        network.save_theta(tmp_path / "theta.txt")
    np.savez(tmp_path / "other.npz", Theta1=np.ones((2, 4)), Theta3=np.ones((2, 3)), X=np.ones(2))
    with pytest.raises(cr.FileError, match=r"Theta1, Theta2, \.\.\.; it holds Theta1, Theta3, X"):
        network.set_theta(tmp_path / "other.npz")
    (tmp_path / "no.mat").write_bytes(b"nothing of the kind")
    with pytest.raises(cr.FileError, match=r"is no \.mat file"):
        network.set_theta(tmp_path / "no.mat")
    with pytest.raises(cr.FileError, match="cannot be read"):
        network.set_theta(tmp_path / "absent.npz")
