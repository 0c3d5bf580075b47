"""What stands around an image, blocks of pixels, and convolutions that pad otherwise than with zeros."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.formulas import text, trace
from chainrule.formulas.primitives.edges import MODES

RNG = np.random.default_rng(7)
NUMPY = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def alone(layer: cr.Layer, shape: tuple[int, ...], dtype: str = "float64") -> cr.Network:
    return cr.Network([layer], input_shape=shape, dtype=dtype)


@pytest.mark.parametrize("mode", NUMPY)
def test_pads_are_those_of_numpy(mode: str) -> None:
    for shape in ((3, 4, 2), (5, 2, 1), (2, 7, 3)):
        X = RNG.standard_normal((2, *shape))
        most = [size - (mode == "reflect") for size in shape[:2]]
        pads = tuple(tuple(int(n) for n in RNG.integers(0, size + 1, 2)) for size in most)
        expected = np.pad(X, ((0, 0), *pads, (0, 0)), mode=NUMPY[mode])  # type: ignore[call-overload]
        np.testing.assert_array_equal(alone(cr.Pad2D(pads, mode=mode), shape).predict(X), expected)
        flat = X.reshape(2, shape[0], -1)
        expected = np.pad(flat, ((0, 0), pads[0], (0, 0)), mode=NUMPY[mode])  # type: ignore[call-overload]
        made = alone(cr.Pad1D(pads[0], mode=mode), flat.shape[1:])
        np.testing.assert_array_equal(made.predict(flat), expected)


def test_blocks_are_repeated_and_shuffled() -> None:
    X = RNG.standard_normal((2, 3, 2, 12))
    np.testing.assert_array_equal(
        alone(cr.UpSample2D((2, 3)), X.shape[1:]).predict(X), X.repeat(2, axis=1).repeat(3, axis=2)
    )
    whole = alone(cr.UpSample1D(2, mode="linear"), (3, 1)).predict(np.array([[[0.0], [1.0], [4.0]]]))
    np.testing.assert_array_equal(whole[0, :, 0], [0, 0.25, 0.75, 1.75, 3.25, 4])
    both = alone(cr.UpSample2D((3, 2), mode="bilinear"), X.shape[1:]).predict(X)
    rows = alone(cr.UpSample2D((3, 1), mode="bilinear"), X.shape[1:]).predict(X)
    columns = alone(cr.UpSample2D((1, 2), mode="bilinear"), rows.shape[1:])
    np.testing.assert_allclose(both, columns.predict(rows))
    shuffled = alone(cr.PixelShuffle(2), X.shape[1:]).predict(X)
    for i, j, c in np.ndindex(*shuffled.shape[1:]):
        np.testing.assert_array_equal(shuffled[:, i, j, c], X[:, i // 2, j // 2, c * 4 + i % 2 * 2 + j % 2])
    np.testing.assert_array_equal(alone(cr.Crop2D(((1, 0), (0, 1))), X.shape[1:]).predict(X), X[:, 1:, :-1])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("padding", ["same", 1, ((2, 0), (1, 2))])
def test_a_convolution_pads_by_a_layer_in_front_of_it(mode: str, padding: Any) -> None:
    layer = cr.Conv2D(3, (3, 4), padding=padding, padding_mode=mode)
    net = cr.Network([layer], input_shape=(5, 6, 2), seed=1)
    assert [type(layer).__name__ for layer in net.layers] == ["Pad2D", "Conv2D"]
    frame = net.layers[0].frame
    other = cr.Network([cr.Conv2D(3, (3, 4))], input_shape=net.shapes["pad1"], seed=1)
    X = RNG.standard_normal((2, 5, 6, 2)).astype(np.float32)
    padded = np.pad(X, ((0, 0), *frame, (0, 0)), mode=NUMPY[mode])  # type: ignore[call-overload]
    other.set_parameters(dict(net.parameters))
    np.testing.assert_allclose(net.predict(X), other.predict(padded), rtol=1e-5, atol=1e-6)
    assert net.output_shape == cr.Conv2D(3, (3, 4), padding=padding).output_shape((5, 6, 2))


def test_other_convolutions_and_names() -> None:
    made = cr.Network(
        [
            cr.Conv1D(2, 3, padding=(2, 0), padding_mode="replicate", name="causal"),
            cr.Sequential([cr.Conv1D(2, 3, padding=1, padding_mode="circular")]),
            cr.Conv1D(2, 3, padding_mode="reflect"),
        ],
        input_shape=(8, 2),
    )
    names = [str(layer.name) for layer in made.layers]
    assert names == ["causal.pad1", "causal.conv1", "sequential1.pad1", "sequential1.conv1", "conv1"]
    depthwise = cr.Network([cr.DepthwiseConv2D(3, padding=1, padding_mode="reflect")], input_shape=(4, 4, 3))
    assert list(depthwise.shapes) == ["input", "pad1", "depthwise1"]
    layer = cr.Conv1D(2, 3, padding="same", padding_mode="reflect")
    within = cr.Network([cr.Residual([layer])], input_shape=(8, 2))
    assert within.output_shape == (8, 2)


def test_a_unet_trains_and_comes_back(tmp_path: Path) -> None:
    """Down, up and across: a shortcut as a branch beside what goes down."""
    wider = cr.Conv2D(6, 3, padding="same", padding_mode="reflect")
    down = [cr.MaxPool2D(2), wider, cr.ReLU(), cr.UpSample2D(2)]
    net = cr.Network(
        [
            cr.Conv2D(4, 3, padding=1, padding_mode="replicate"),
            cr.ReLU(),
            cr.Parallel([[], down], join="concat"),
            cr.Conv2D(8, 3, padding="same"),
            cr.PixelShuffle(2),
            cr.Crop2D(2),
        ],
        input_shape=(6, 4, 1),
        seed=2,
    )
    X = RNG.standard_normal((20, 6, 4, 1)).astype(np.float32)
    y = RNG.standard_normal((20, *net.output_shape)).astype(np.float32)
    before = net.loss(X, y)
    cr.fit(net, X, y, epochs=4, batch_size=5, optimizer=cr.Adam(0.01), seed=0)
    assert net.loss(X, y) < 0.98 * before
    assert cr.check_gradients(net.copy(dtype="float64"), X[:2], y[:2]).ok
    net.save(tmp_path / "net.npz")
    np.testing.assert_array_equal(cr.load(tmp_path / "net.npz").predict(X), net.predict(X))


def test_formulas_say_where_a_pixel_stands() -> None:
    equations = trace(cr.Pad2D(((1, 0), (2, 3)), mode="reflect")).equations
    forward, delta = equations["forward"], equations["delta"]
    assert text(forward) == "zˡ_{i,j} = Xˡ⁻¹_{ρ(i−1),ρ(j−2)}"
    assert text(delta) == "∂J/∂Xˡ⁻¹_{u,v} = Σ_{ρ(i−1)=u,ρ(j−2)=v} δˡ_{i,j}"
    assert forward.remarks == ("ρ(i) is the pixel that stands at i, beyond the edges by reflect",)
    assert text(trace(cr.Crop1D((1, 2))).equations["forward"]) == "zˡ_i = Xˡ⁻¹_{i+1}"


def test_errors_say_what_to_write() -> None:
    for make, words in (
        (lambda: alone(cr.Pad2D(3, mode="reflect"), (3, 5, 1)), r"more than 3 pixels.*mode='replicate'"),
        (lambda: alone(cr.Pad1D(6, mode="circular"), (5, 1)), r"more than 5 pixels"),
        (lambda: alone(cr.Crop2D(2), (4, 9, 1)), "leaves nothing of an input"),
        (lambda: cr.Pad2D("same"), "must be a number of pixels, received 'same'"),
        (lambda: cr.Crop1D(-1), r"cropping must be an integer of at least 0, \(before, after\), received -1"),
        (lambda: alone(cr.PixelShuffle(2), (3, 3, 6)), r"2² = 4 divides, received .*; write 4 filters"),
        (lambda: alone(cr.UpSample2D(2), (4, 3)), "needs an image"),
        (
            lambda: cr.Conv2D(3, 3, stride=2, padding="same", padding_mode="reflect"),
            "depends on the size of the image.*padding=1",
        ),
        (lambda: cr.Conv2D(3, 3, padding="reflect"), "write padding='same', padding_mode='reflect'"),
        (lambda: cr.Conv1D(3, 4, padding="causal"), r"write padding=\(3, 0\)"),
        (lambda: cr.Conv2D(3, 3, padding=4), "write at most 2, or a Pad layer in front"),
    ):
        with pytest.raises(cr.ShapeError, match=words):
            make()
    layer = cr.Conv2D(3, 3, padding=1, padding_mode="reflect")
    for refused in (lambda: trace(layer), lambda: cr.check_layer(layer, (5, 5, 2))):
        with pytest.raises(ValueError, match=r"short for several layers, Pad2D\(.*Network\(\[Conv2D\(3, 3"):
            refused()
