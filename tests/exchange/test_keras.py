"""Keras's weights by their own formulas and there and back; with the real library: keras_there.py."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.base.errors import ArgumentError, FileError, MissingExtraError, ShapeError

R = np.random.default_rng(3)
LAYERS: dict[str, tuple[tuple[int, ...], list[cr.Layer]]] = {
    "image": (
        (6, 7, 4),
        [
            *(
                cr.Conv2D(6, (2, 3), groups=2),
                cr.BatchNorm(),
                cr.PReLU(),
                cr.DepthwiseConv2D(2, multiplier=2),
            ),
            *(cr.ConvTranspose2D(3, 2, bias=False), cr.GroupNorm(3), cr.Flatten(), cr.Dense(2)),
        ],
    ),
    "steps": (
        (5, 4),
        [
            *(cr.Conv1D(6, 2), cr.RMSNorm(), cr.MultiHeadAttention(2), cr.LayerNorm(shift=False)),
            *(cr.Bidirectional(cr.GRU(3, outputs="all")), cr.Residual([cr.LSTM(6, outputs="all")])),
            *(cr.RNN(2, bias=False, outputs="all"), cr.GRU(2, reset_after=False)),
        ],
    ),
}


def drawn(name: str) -> cr.Network:
    shape, layers = LAYERS[name]
    network = cr.Network(layers, input_shape=shape)
    network.set_parameters({key: R.random(array.shape) for key, array in network.parameters.items()})
    return network


@pytest.mark.parametrize("name", LAYERS)
def test_there_and_back(name: str, tmp_path: Path) -> None:
    network = drawn(name)
    weights = network.keras_weights()
    np.savez(tmp_path / "w.npz", *weights)
    for source in (weights, tmp_path / "w.npz"):
        back = drawn(name)
        back.set_keras_weights(source)
        assert all(
            np.array_equal(back.parameters[key], network.parameters[key]) for key in network.parameters
        )


def sigma(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


def test_gates_as_keras_has_them() -> None:
    """Its own formulas: a GRU that resets behind U, gates z, r, h; an LSTM, gates i, f, c, o."""
    x, n = R.normal(size=(2, 3, 4)), 5
    K, U, b = R.normal(size=(4, 3 * n)), R.normal(size=(n, 3 * n)), R.normal(size=(2, 3 * n))
    h = np.zeros((2, n))
    for t in range(3):
        (xz, xr, xh), (hz, hr, hh) = (np.split(v, 3, 1) for v in (x[:, t] @ K + b[0], h @ U + b[1]))
        z = sigma(xz + hz)
        h = z * h + (1 - z) * np.tanh(xh + sigma(xr + hr) * hh)
    network = cr.Network([cr.GRU(n)], input_shape=(3, 4), dtype="float64")
    network.set_keras_weights([K, U, b])
    np.testing.assert_allclose(network.predict(x), h, atol=1e-12)

    K, U, b = R.normal(size=(4, 4 * n)), R.normal(size=(n, 4 * n)), R.normal(size=4 * n)
    h, c = np.zeros((2, n)), np.zeros((2, n))
    for t in range(3):
        i, f, g, o = np.split(x[:, t] @ K + h @ U + b, 4, 1)
        c = sigma(f) * c + sigma(i) * np.tanh(g)
        h = sigma(o) * np.tanh(c)
    network = cr.Network([cr.LSTM(n)], input_shape=(3, 4), dtype="float64")
    network.set_keras_weights([K, U, b])
    np.testing.assert_allclose(network.predict(x), h, atol=1e-12)


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    network = cr.Network([cr.Conv2D(4, 3), cr.Flatten(), cr.Dense(2)], input_shape=(5, 5, 3))
    weights = network.keras_weights()
    before = network.parameters["conv1.W"].copy()
    with pytest.raises(ShapeError, match=r"4 arrays of Keras's, 2 of conv1, 2 of dense1; received 3"):
        network.set_keras_weights(weights[:3])
    with pytest.raises(ShapeError, match=r"dense1, Dense\(2\): Keras's kernel must have the shape \(36, 2\)"):
        network.set_keras_weights([weights[0] + 1, weights[1], weights[2].T, weights[3]])
    assert np.array_equal(network.parameters["conv1.W"], before)
    with pytest.raises(ArgumentError, match=r"scale1 has no like in Keras: weights go both ways of Dense"):
        cr.Network([cr.Scale()], input_shape=3).keras_weights()
    with pytest.raises(ArgumentError, match=r"write GRU\(2, reset_after=False\)"):
        cr.Network([cr.GRU(2)], input_shape=(3, 1)).set_keras_weights(
            cr.Network([cr.GRU(2, reset_after=False)], input_shape=(3, 1)).keras_weights()
        )
    for option in ({"projection": 1}, {"peepholes": True}):
        with pytest.raises(ArgumentError, match=r"no projections and no peepholes: LSTM\(2\)"):
            cr.Network([cr.LSTM(2, **option)], input_shape=(3, 1)).keras_weights()
    np.savez(tmp_path / "named.npz", W=weights[0])
    for path, said in (
        ("named.npz", "arr_0, arr_1"),
        ("w.txt", "end in .npz"),
        ("absent.npz", "cannot be read"),
    ):
        with pytest.raises(FileError, match=said):
            network.set_keras_weights(tmp_path / path)
    with pytest.raises(ArgumentError, match=r"model.get_weights\(\)"):
        network.set_keras_weights(3)


class Group(dict[str, Any]):
    """What h5py gives of a group: its entries by paths, and attributes."""

    attrs: dict[str, Any]

    def __enter__(self) -> Group:
        return self

    def __exit__(self, *error: object) -> None: ...


def test_files_of_keras(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    network = cr.Network([cr.Dense(3), cr.Bidirectional(cr.LSTM(2)), cr.Dense(1)], input_shape=(4, 2))
    arrays = network.keras_weights()
    file = Group(layers=["dense", "bidirectional", "dense_1"])
    file.attrs = {}
    ways = [f"layers/bidirectional/{way}_layer/cell" for way in ("forward", "backward")]
    taken = iter(arrays)
    for place, count in (("layers/dense", 2), (ways[0], 3), (ways[1], 3), ("layers/dense_1", 2)):
        held = {str(n): next(taken) for n in range(count)}
        file |= {place: {}, f"{place}/vars": held, f"{place}/vars/0": held["0"]}
    h5py: Any = types.ModuleType("h5py")
    h5py.File = lambda source, mode: file
    monkeypatch.setitem(sys.modules, "h5py", h5py)
    back = cr.Network([cr.Dense(3), cr.Bidirectional(cr.LSTM(2)), cr.Dense(1)], input_shape=(4, 2), seed=9)
    back.set_keras_weights(tmp_path / "w.weights.h5")
    assert all(np.array_equal(back.parameters[key], network.parameters[key]) for key in network.parameters)
    with pytest.raises(
        FileError, match=r"has no 'layers/dense_2' for dense3; of layers it holds bidirectional"
    ):
        cr.Network([cr.Dense(3), cr.Dense(3), cr.Dense(1)], input_shape=2).set_keras_weights(
            tmp_path / "w.h5"
        )
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtraError, match=r"chainrule\[keras\]"):
        back.set_keras_weights(tmp_path / "w.h5")
