"""Memory maps: read where they lie, checked in pieces, with the bits of the same numbers in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule import layers as L
from chainrule.base.errors import DataError, NonFiniteError, ShapeError
from chainrule.base.memory import machine_memory
from chainrule.data import Standardizer, arrays, mapped
from chainrule.data.mapped import pieces, training_inputs
from chainrule.data.preparation import Preparation
from chainrule.networks.network import Network
from chainrule.training import parts
from chainrule.training.fit import fit
from chainrule.training.optimizers import Adam

SAMPLES = 70


def values(dtype: str, shape: tuple[int, ...]) -> Any:
    rng = np.random.default_rng(0)
    if np.dtype(dtype).kind == "f":
        return rng.standard_normal((SAMPLES, *shape)).astype(dtype)
    return rng.integers(0, 200, (SAMPLES, *shape)).astype(dtype)


def laid_out(path: Path, array: Any) -> Any:
    np.save(path, array)
    return np.load(path, mmap_mode="r")


def network_for(shape: tuple[int, ...], **options: Any) -> Network:
    layers = [L.Flatten(), L.Dense(5), L.BatchNorm(), L.Tanh(), L.Dense(3), L.Softmax()]
    return Network(layers, input_shape=shape, seed=1, **options)


CASES = [
    (dtype, shape, network)
    for network in ("float32", "float64")
    for dtype in ("float16", "float32", "float64", "uint8", "int16", "int64")
    for shape in ((4,), (3, 4, 1))
]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every map is too large to be copied, and a piece is few samples."""
    monkeypatch.setattr(mapped, "LARGEST_COPY", 0)
    monkeypatch.setattr(mapped, "_PIECE", 64)
    monkeypatch.setattr(arrays, "_PIECE", 64)


@pytest.mark.filterwarnings("ignore:X is uint8, rows of numbers")
@pytest.mark.parametrize(("dtype", "shape", "own"), CASES)
def test_a_map_gives_the_bits_of_an_array(
    dtype: str, shape: tuple[int, ...], own: str, tmp_path: Path, small: None
) -> None:
    X, y = values(dtype, shape), np.arange(SAMPLES) % 3
    lying = laid_out(tmp_path / "X.npy", X)
    options: dict[str, Any] = {"epochs": 3, "batch_size": 8, "validation": 0.2, "optimizer": Adam(0.01)}
    one, other = network_for(shape, dtype=own), network_for(shape, dtype=own)
    rows, same = fit(one, X, y, **options), fit(other, lying, y, **options)
    assert rows.loss == same.loss
    assert rows.validation_loss == same.validation_loss
    for name, array in one.parameters.items():
        np.testing.assert_array_equal(array, other.parameters[name], err_msg=name)
    assert one.preparation is not None
    assert other.preparation is not None
    assert one.preparation.to_json() == other.preparation.to_json()
    np.testing.assert_array_equal(one.predict(X), other.predict(lying))
    np.testing.assert_array_equal(one.classify(X), other.classify(lying))
    assert one.accuracy(X, y) == other.accuracy(lying, y)


@pytest.mark.parametrize("inputs", ["numbers", "standardized"])
def test_images_that_are_no_pixels_are_not_copied(inputs: str, tmp_path: Path, small: None) -> None:
    """A map of uint8 that is brought to another scale than pixels / 255 was copied as a whole."""
    X, y = values("uint8", (3, 4, 1)), np.arange(SAMPLES) % 3
    lying = laid_out(tmp_path / "X.npy", X)
    scale: Any = "numbers" if inputs == "numbers" else Standardizer.learn(X)
    networks = [network_for((3, 4, 1), preparation=Preparation(inputs=scale)) for _ in range(2)]
    assert mapped.pieces(lying, networks[0]) is not None
    for network, given in zip(networks, (X, lying), strict=True):
        fit(network, given, y, epochs=2, shuffle=False)
    assert networks[0].flat_parameters().tolist() == networks[1].flat_parameters().tolist()
    np.testing.assert_array_equal(networks[0].predict(X), networks[1].predict(lying))


def test_standardized_maps_too(tmp_path: Path, small: None) -> None:
    X, y = values("float32", (4,)), np.arange(SAMPLES) % 3
    lying = laid_out(tmp_path / "X.npy", X)
    networks = []
    for given in (X, lying):
        networks.append(network_for((4,), preparation=Preparation(inputs=Standardizer.learn(X))))
        fit(networks[-1], given, y, epochs=2, shuffle=False)
    for name, array in networks[0].parameters.items():
        np.testing.assert_array_equal(array, networks[1].parameters[name], err_msg=name)
    np.testing.assert_array_equal(networks[0].predict(X), networks[1].predict(lying))


@pytest.mark.filterwarnings("ignore:X is uint8, rows of numbers")
@pytest.mark.parametrize(
    ("dtype", "shape", "own", "whole"),
    [
        ("float32", (4,), "float32", True),
        ("float64", (4,), "float64", True),
        ("uint8", (3, 4, 1), "float32", True),
        ("float64", (4,), "float32", False),
        ("float32", (4,), "float64", False),
        ("uint8", (4,), "float32", False),
        ("int16", (4,), "float32", False),
        ("float16", (3, 4, 1), "float32", False),
    ],
)
def test_what_is_read_as_it_is_is_not_copied(
    dtype: str, shape: tuple[int, ...], own: str, whole: bool, tmp_path: Path, small: None
) -> None:
    lying = laid_out(tmp_path / "X.npy", values(dtype, shape))
    network = network_for(shape, dtype=own)
    assert (pieces(lying, network) is None) == whole
    made = training_inputs(lying, network)
    assert np.shares_memory(made.array, lying)
    assert (made.make is None) == whole
    assert pieces(np.array(lying), network) is None


def test_a_small_map_is_copied(tmp_path: Path) -> None:
    lying = laid_out(tmp_path / "X.npy", values("float64", (4,)))
    assert training_inputs(lying, network_for((4,))).make is None


def test_wrong_entries_are_found_before_anything_is_trained(tmp_path: Path, small: None) -> None:
    X, y = values("float64", (4,)), np.arange(SAMPLES) % 3
    for row, value in ((3, np.nan), (55, np.inf), (69, 1e300)):
        wrong = X.copy()
        wrong[row, 2] = value
        network = network_for((4,))
        before = network.flat_parameters()
        with pytest.raises(
            DataError, match=rf"of the samples {row // 16 * 16} to \d+, counted from the first"
        ):
            fit(network, laid_out(tmp_path / f"{row}.npy", wrong), y)
        np.testing.assert_array_equal(before, network.flat_parameters())
    with pytest.raises(ShapeError, match=r"received \(70, 5\)"):
        fit(network_for((4,)), laid_out(tmp_path / "wide.npy", np.ones((SAMPLES, 5))), y)
    network = Network([L.Dense(2), L.ReLU()], input_shape=4)
    network.parameters["dense1.W"] = np.full((2, 4), 3e38)
    with pytest.raises(NonFiniteError, match="of the samples 0 to 15"):
        network.predict(laid_out(tmp_path / "large.npy", np.abs(X)))


def test_an_array_too_large_to_be_copied_is_made_batch_by_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = values("float64", (4,)), np.arange(SAMPLES) % 3
    one, other = network_for((4,)), network_for((4,))
    rows = fit(one, X, y, epochs=2, validation=0.1)
    monkeypatch.setattr(parts, "LARGEST_COPY", 1 / machine_memory())
    same = fit(other, X, y, epochs=2, validation=0.1)
    assert rows.loss == same.loss
    for name, array in one.parameters.items():
        np.testing.assert_array_equal(array, other.parameters[name], err_msg=name)


@pytest.mark.parametrize("shape", [(), (3,), (100,), (50, 3), (7, 11, 5)])
@pytest.mark.parametrize("piece", [1, 7, 64, 10**6])
def test_checks_in_pieces_say_what_the_whole_does(
    shape: tuple[int, ...], piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(4)
    monkeypatch.setattr(arrays, "_PIECE", piece)
    for _ in range(8):
        array = rng.standard_normal(shape)
        flat = array.reshape(-1)
        places = sorted(rng.choice(array.size, rng.integers(0, min(4, array.size) + 1), replace=False))
        for place in places:
            flat[place] = rng.choice([np.nan, np.inf, -np.inf])
        array = flat.reshape(shape)
        assert arrays.all_finite(array) == (not places)
        if not places:
            arrays.finite(array, "X")
            continue
        nan, first = int(np.isnan(array).sum()), np.unravel_index(places[0], shape)
        with pytest.raises(DataError) as refused:
            arrays.finite(array, "X")
        said = str(refused.value)
        assert f"the first at [{', '.join(str(int(i)) for i in first)}]" in said
        assert (f"{nan} NaN" in said) == (nan > 0)
        assert (f"{len(places) - nan} infinite" in said) == (len(places) > nan)
