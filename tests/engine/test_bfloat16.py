"""precision="bfloat16": every layer beside its formula of rounded factors, by whatever multiplies pairs here;
its numbers, its names, and where it goes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.base.errors import ArgumentError
from chainrule.engine import Plan, isa
from chainrule.layers.precision import is_rounded, rounded
from chainrule.reference import ReferenceExecutor, layer_backward, layer_forward
from tests.engine.harness import LEVELS, Array

# A kernel beside its formula in float64, both of the same rounded numbers, of the largest entry: 4e-7 is seen
# by shifts, and the instruction takes its two products in an order of its own. Without the rounding they are
# 1e-3 apart.
WITHIN, APART = 4e-6, 1e-4
SHAPES: dict[str, tuple[Any, Callable[[], list[cr.Layer]]]] = {
    "dense": (305, lambda: [cr.Dense(301), cr.Tanh(), cr.Dense(33, bias=False), cr.ReLU(), cr.Dense(3)]),
    "steps": ((11, 3), lambda: [cr.Conv1D(7, 3), cr.Tanh(), cr.Dense(9), cr.ReLU(), cr.LSTM(5), cr.Dense(2)]),
    "images": (
        (9, 12, 3),
        lambda: [
            cr.Conv2D(17, 3, padding="same"), cr.ReLU(), cr.Conv2D(16, 3, padding=1), cr.Tanh(),
            cr.Conv2D(10, (2, 3), stride=2), cr.ConvTranspose2D(6, 3, stride=2), cr.DepthwiseConv2D(3),
            cr.Conv2D(6, 3, groups=3, dilation=2, padding=2), cr.Conv2D(3, 3, groups=3), cr.Conv2D(2, 1),
        ],
    ),
    "volumes": ((4, 5, 6, 2), lambda: [cr.Conv3D(6, 2, padding=1), cr.Tanh(), cr.ConvTranspose3D(3, 2)]),
}  # fmt: skip


@pytest.fixture(autouse=True)
def said(monkeypatch: pytest.MonkeyPatch) -> None:
    """A warning is an error here, and that of a processor without the instruction is said once a process."""
    monkeypatch.setattr(isa, "_said", True)


def network(kind: str) -> cr.Network:
    shape, layers = SHAPES[kind]
    return cr.Network(layers(), input_shape=shape, seed=1, precision="bfloat16")


def columns(rows: Array) -> Array:
    return np.moveaxis(rows.astype(float), 0, -1)


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("samples", [1, 21])
def test_every_pass_of_a_layer_is_that_of_rounded_factors(kind: str, samples: int) -> None:
    net, rng = network(kind), np.random.default_rng(0)
    X, y = (rng.standard_normal((samples, *shape)) for shape in (net.input_shape, net.output_shape))
    for level in LEVELS if samples > 1 else LEVELS[-1:]:
        plan = Plan(net, cr.SquaredError(), batch_size=samples, keep=True, level=level)
        _, outputs, deltas, gradients = plan.inspect(X.astype(np.float32), y.astype(np.float32))
        x, below = columns(outputs["input"]), columns(deltas["input"])
        for layer in net.layers:
            name = str(layer.name)
            z, d = columns(outputs[name]), columns(deltas[name])
            given = {key: array.astype(float) for key, array in net.layer_parameters(layer).items()}
            if is_rounded(layer):
                _compare(layer, x, z, d, below, given, gradients)
            x, below = z, d


def _compare(layer: cr.Layer, x: Array, z: Array, d: Array, below: Array, given: Any, gradients: Any) -> None:
    right = {"z": (layer_forward(layer, x, given, rounds=True), z)}
    of_x, of_parameters = layer_backward(layer, d, x, z, given, rounds=True)
    right["x"] = (of_x, below)
    right |= {key: (value, gradients[f"{layer.name}.{key}"]) for key, value in of_parameters.items()}
    for what, (formula, kernel) in right.items():
        assert np.abs(formula - kernel).max() <= WITHIN * np.abs(formula).max(), (layer, what)
    assert np.abs(layer_forward(layer, x, given) - z).max() > APART * np.abs(z).max(), layer


def test_a_number_is_rounded_to_the_nearest_ties_to_even() -> None:
    """Through W = 1: pairs in a dense layer, a number alone in a convolution of one channel."""
    rng = np.random.default_rng(3)
    edges = [0x3F808000, 0x3F818000, 0x3F807FFF, 0x3F808001, 0, 0x7F7F0000]
    bits = np.concatenate([rng.integers(0x00800000, 0x7F000000, 4000), edges]).astype(np.uint32)
    x = np.concatenate([bits.view(np.float32), -bits.view(np.float32)])
    upper = (x.view(np.uint32) + 0x7FFF + (x.view(np.uint32) >> 16 & 1)) & 0xFFFF0000
    dense = cr.Network([cr.Dense(1, bias=False)], input_shape=1, precision="bfloat16")
    conv = cr.Network([cr.Conv2D(1, (1, 2), bias=False)], input_shape=(1, 2, 1), precision="bfloat16")
    dense.parameters["dense1.W"] = np.ones((1, 1))
    conv.parameters["conv1.W"] = np.array([1.0, 0.0]).reshape(1, 1, 2, 1)
    seen = dense.predict(x[:, None]).ravel()
    assert np.array_equal(seen.view(np.uint32)[seen != 0], upper[seen != 0])
    assert np.abs(x[seen == 0]).max() < 1e-37  # the instruction knows no subnormal numbers
    pixels = np.stack([x, np.zeros_like(x)], axis=1)[:, None, :, None]
    assert np.array_equal(conv.predict(pixels).ravel(), upper.view(np.float32))
    assert np.array_equal(rounded(x.astype(float)), upper.view(np.float32))
    for net, wide in ((dense, np.full((3, 1), 3.4e38)), (conv, np.full((3, 1, 2, 1), 3.4e38))):
        with pytest.raises(cr.NonFiniteError, match="sample 0"):  # beyond bfloat16's largest
            net.predict(wide.astype(np.float32))
        assert np.isposinf(net.predict(wide.astype(np.float32), allow_nonfinite=True)).all() or net is conv


def test_what_goes_beyond_the_range_within_is_noticed() -> None:
    """Where the output is finite: σ of an infinite z. The instruction itself raises no exception."""
    for first in (cr.Dense(4), cr.Conv1D(4, 1)):
        net = cr.Network(
            [first, cr.Sigmoid(), cr.Flatten(), cr.Dense(1)], input_shape=(2, 2), precision="bfloat16"
        )
        net.parameters[f"{net.layers[0].name}.W"] = np.full_like(next(iter(net.parameters.values())), 3e38)
        with pytest.raises(cr.NonFiniteError, match="sample 1"):
            net.predict(np.array([[[0, 0], [0, 0]], [[3, 3], [3, 3]]], np.float32))


def test_threads_and_neighbours_change_no_bit() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((77, 6, 6, 2)).astype(np.float32), rng.integers(0, 3, 77)
    layers = [cr.Conv2D(18, 3), cr.ReLU(), cr.Flatten(), cr.Dense(11), cr.ReLU(), cr.Dense(3), cr.Softmax()]
    trained = []
    for threads in (1, 2, 4):
        net = cr.Network(layers, input_shape=(6, 6, 2), precision="bfloat16")
        cr.fit(net, X, y, epochs=2, batch_size=20, threads=threads, progress=False)
        trained.append(net)
    for net in trained[1:]:
        assert all(
            np.array_equal(array, net.parameters[name]) for name, array in trained[0].parameters.items()
        )
    together = net.predict(X)
    for first, count in ((0, 1), (5, 3), (30, 17)):
        assert np.array_equal(net.predict(X[first : first + count]), together[first : first + count])
    away = net.copy(precision="float32").predict(X) - together
    net.set_executor(ReferenceExecutor())
    assert 0 < np.abs(net.predict(X) - together).max() < np.abs(away).max()


def test_names_files_copies_and_what_is_printed(tmp_path: Path) -> None:
    net = network("dense")
    assert (net.precision, net.copy().precision) == ("bfloat16", "bfloat16")
    assert net.copy(dtype="float64").precision == "float64"
    net.save(tmp_path / "net.npz")
    loaded = cr.load(tmp_path / "net.npz")
    X = np.ones((2, 305), np.float32)
    assert loaded.precision == "bfloat16"
    assert np.array_equal(loaded.predict(X), net.predict(X))
    assert "precision: products of bfloat16" in net.summary()
    assert "precision='bfloat16'" in repr(net)
    plain = net.copy(precision="float32")
    assert plain.precision == "float32"
    assert "bfloat16" not in repr(plain) + plain.summary()
    graph = cr.Graph({"a": cr.Dense(2)}, input_shape=3, precision="bfloat16")
    assert graph.copy().precision == "bfloat16"
    for options, message in (
        ({"precision": "bf16"}, "'float32' or 'bfloat16'"),
        ({"precision": "bfloat16", "dtype": "float64"}, "dtype='float32'"),
        ({"dtype": "bfloat16"}, "precision='bfloat16'"),
    ):
        with pytest.raises(ArgumentError, match=message):
            cr.Network([cr.Dense(2)], input_shape=3, **options)
    with pytest.raises(ArgumentError, match="this network has none"):
        cr.Network([cr.LSTM(2)], input_shape=(4, 3), precision="bfloat16")
    with pytest.raises(AttributeError, match="copy\\(precision="):
        net.precision = "float32"


def test_what_is_said_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    net = cr.Network([cr.Dense(3), cr.Tanh(), cr.Dense(2)], input_shape=4, precision="bfloat16")
    X, y = np.ones((2, 4), np.float32), np.ones((2, 2), np.float32)
    assert "without the rounding of precision='bfloat16'" in str(cr.check_gradients(net, X, y, entries=2))
    assert "rounds the factors" in cr.explain(net, X, y).markdown()
    with pytest.warns(UserWarning, match="to_c: the products of what is made are of float32"):
        net.to_c()
    with pytest.raises(ArgumentError, match="clip_sample_norm"):
        cr.fit(net, X, y, epochs=1, optimizer=cr.SGD(0.1, clip_sample_norm=1.0))
    if isa.bfloat16_by() != "vdpbf16ps":
        monkeypatch.setattr(isa, "_said", False)
        with pytest.warns(UserWarning, match="no instruction") as warned:
            net.predict(X)
        assert [Path(warning.filename) for warning in warned] == [Path(__file__)]  # the user's line
        net.copy().predict(X)  # nothing more, which would be an error here


@pytest.mark.parametrize("kind", ["bands", "positions"])
def test_what_lies_in_the_lanes_changes_no_more_than_the_order_of_sums(kind: str) -> None:
    """Beside the plan that keeps every layer apart, with samples in its lanes."""
    layers: list[cr.Layer] = [
        cr.Conv2D(16, 3, padding=1),
        cr.ReLU(),
        cr.Conv2D(17, 5, padding=2),
        cr.Flatten(),
    ]
    if kind == "positions":
        layers = [cr.Dense(32), cr.Residual([cr.LayerNorm(), cr.Dense(20), cr.ReLU(), cr.Dense(32)])]
    shape = (16, 16, 3) if kind == "bands" else (37, 5)
    net = cr.Network([*layers, cr.Dense(5)], input_shape=shape, precision="bfloat16")
    rng = np.random.default_rng(0)
    X, y = (
        rng.standard_normal((3, *shape)).astype(np.float32) for shape in (net.input_shape, net.output_shape)
    )
    of_layers = Plan(net, cr.SquaredError(), batch_size=3, keep=True).inspect(X, y)[3]
    plan = Plan(net, cr.SquaredError(), batch_size=3)
    for name, gradient in plan.gradients(X, y)[1].items():
        assert np.abs(gradient - of_layers[name]).max() <= WITHIN * np.abs(gradient).max(), name
    held = plan._built.held.values()
    assert any(value.bands > 1 if kind == "bands" else value.lanes.name == kind for value in held)
