"""network.activations: outputs of layers in a prediction, by name, natively and by the formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule import layers as L
from chainrule.base.errors import ArgumentError, DataError, NonFiniteError, ShapeError
from chainrule.engine import executor as native
from chainrule.networks.architecture import INPUT
from chainrule.networks.network import Network
from chainrule.networks.step import Arrays
from chainrule.reference import ReferenceExecutor
from chainrule.reference import executor as by_formulas
from chainrule.reference.passes import PassContext, all_passes, run_forward, to_columns, to_rows
from tests import cases
from tests.cases import LAYER_CASES, LayerCase


def network_of(case: LayerCase, dtype: str) -> Network:
    """The case's layer in a branch, and behind it layers with activations."""
    layer = case.make()
    network = Network(
        [
            L.Parallel([[layer, L.Flatten()], [L.Flatten()]], join="concat"),
            L.Dense(4),
            L.ReLU(),
            L.Dropout(0.4),
            L.Dense(2),
            L.Softmax(),
        ],
        input_shape=case.input_shape,
        seed=2,
        dtype=dtype,
    )
    name = str(network.layers[0].chains[0][0].name)  # type: ignore[attr-defined]
    network.set_parameters({f"{name}.{key}": value for key, value in cases.parameters(case).items()})
    return network


def formulas(network: Network, X: Any) -> dict[str, Any]:
    context = PassContext(training=False)
    passes = all_passes(run_forward(network, to_columns(X, np.float64), None, np.float64, context))
    return {INPUT: np.asarray(X, dtype=np.float64), **{one.name: to_rows(one.output) for one in passes}}


@pytest.mark.parametrize("case", LAYER_CASES, ids=lambda case: case.id)
def test_every_layer_is_that_of_the_formulas(case: LayerCase) -> None:
    X = cases.inputs(case)
    for dtype, tolerance in (("float32", 2e-4), ("float64", 1e-10)):
        network = network_of(case, dtype)
        given = X.astype(dtype)
        expected, found = formulas(network, given), network.activations(given)
        assert list(found) == list(network.shapes)
        for name, array in found.items():
            assert array.dtype == dtype
            assert array.shape == (len(X), *network.shapes[name])
            scale = max(float(np.abs(expected[name]).max()), 1.0)
            np.testing.assert_allclose(array, expected[name], atol=tolerance * scale, err_msg=name)
        network.set_executor(ReferenceExecutor())
        for name, array in network.activations(given).items():
            assert array.dtype == dtype
            np.testing.assert_array_equal(array, expected[name].astype(dtype), err_msg=name)


def images(**options: Any) -> Network:
    layers: list[L.Layer] = [
        L.Conv2D(4, 3, padding="same"),
        L.ReLU(),
        L.Residual([L.Conv2D(4, 3, padding="same"), L.Tanh()]),
        L.Parallel([L.Conv2D(2, 1), []], join="concat"),
        L.MaxPool2D(2),
        L.Flatten(),
        L.Dense(5),
        L.Sigmoid(),
        L.Dense(3),
        L.Softmax(),
    ]
    return Network(layers, input_shape=(6, 6, 2), seed=4, **options)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("reference", [False, True])
def test_they_are_those_of_a_step_where_nothing_is_drawn(dtype: str, reference: bool) -> None:
    X, y = np.random.default_rng(0).standard_normal((9, 6, 6, 2)).astype(dtype), np.arange(9) % 3
    network = images(dtype=dtype)
    network.set_executor(ReferenceExecutor() if reference else None)
    step, found = network.backpropagate(X, y).activations, network.activations(X)
    assert set(step) == set(found)
    for name in step:
        if name == "softmax1":  # the loss has its own
            continue
        np.testing.assert_array_equal(step[name].astype(dtype), found[name], err_msg=name)
    np.testing.assert_allclose(found["softmax1"], network.predict(X), rtol=1e-6)


@pytest.mark.parametrize("samples", [1, 2, 7, 8, 9, 33])
@pytest.mark.parametrize("reference", [False, True])
def test_pieces_are_the_whole(samples: int, reference: bool, monkeypatch: Any) -> None:
    X = np.random.default_rng(1).standard_normal((samples, 6, 6, 2)).astype(np.float32)
    network = images()
    network.set_executor(ReferenceExecutor() if reference else None)
    whole = network.activations(X)
    if reference:
        monkeypatch.setattr(by_formulas, "_PREDICT_BATCH", 4)
    else:
        monkeypatch.setattr(native, "_PREDICT_BATCHES", (1, 4))
    for name, array in network.activations(X).items():
        np.testing.assert_allclose(array, whole[name], rtol=1e-6, atol=1e-6, err_msg=name)


def test_names_lists_and_patterns() -> None:
    X = np.random.default_rng(1).standard_normal((4, 6, 6, 2)).astype(np.float32)
    network = images()
    alone = network.activations(X, "residual1.tanh1")
    assert isinstance(alone, np.ndarray)
    assert alone.shape == (4, 6, 6, 4)
    several = network.activations(X, ["dense1", "input", "relu1", "dense1"])
    assert isinstance(several, Arrays)
    assert list(several) == ["dense1", "input", "relu1"]
    np.testing.assert_array_equal(several["input"], X)
    assert list(network.activations(X, "dense*")) == ["dense1", "dense2"]
    assert list(network.activations(X, ["softmax1"])) == ["softmax1"]
    assert list(network.activations(X, "*conv?")) == ["conv1", "residual1.conv1", "parallel1.conv1"]
    assert list(network.activations(X, ())) == []


def test_they_change_with_parameters_and_leave_no_trace() -> None:
    X = np.random.default_rng(1).standard_normal((4, 6, 6, 2)).astype(np.float32)
    network = images()
    before = network.activations(X, "dense1")
    network.parameters["dense1.b"] = network.parameters["dense1.b"] + 1
    np.testing.assert_allclose(network.activations(X, "dense1"), before + 1, rtol=1e-5, atol=1e-5)
    before[:] = 0
    assert network.activations(X, "dense1").any()


def test_pixels_are_seen_as_the_network_reads_them() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (3, 6, 6, 2)).astype(np.uint8)
    for reference in (False, True):
        network = images()
        network.set_executor(ReferenceExecutor() if reference else None)
        np.testing.assert_allclose(network.activations(pixels, "input"), pixels / 255, rtol=1e-6)


@pytest.mark.parametrize(
    ("names", "kind", "said"),
    [
        ("dens1", ArgumentError, "names no layer 'dens1': did you mean 'dense1'"),
        ("dense1.W", ArgumentError, "names no layer 'dense1.W': did you mean 'dense1'"),
        (["relu1", "zzz"], ArgumentError, "'zzz': there are 'input', 'conv1'"),
        ("q*", ArgumentError, "'q*': there are"),
        (3, TypeError, "a name or a list of names"),
        ([3], TypeError, "names of layers"),
    ],
)
def test_what_is_no_layer_is_refused(names: Any, kind: type[Exception], said: str) -> None:
    with pytest.raises(kind) as refused:
        images().activations(np.zeros((1, 6, 6, 2)), names)
    assert said in str(refused.value)


def test_inputs_pass_the_door() -> None:
    with pytest.raises(ShapeError, match="images"):
        images().activations(np.zeros((1, 6, 7, 2)))
    with pytest.raises(DataError, match="NaN"):
        images().activations(np.full((1, 6, 6, 2), np.nan))


@pytest.mark.parametrize("reference", [False, True])
def test_numbers_beyond_the_range_are_refused_with_the_layer(reference: bool) -> None:
    network = Network([L.Dense(3, name="wide"), L.ReLU(), L.Dense(2)], input_shape=2)
    network.set_executor(ReferenceExecutor() if reference else None)
    network.parameters["wide.W"] = np.full((3, 2), 3e38)
    X = np.array([[0.0, 0.0], [10.0, 10.0]])
    with pytest.raises(NonFiniteError, match=r"activations: the output of wide for sample 1 of X is inf"):
        network.activations(X)
    shown = network.activations(X, "wide", allow_nonfinite=True)
    assert np.isinf(shown[1]).all()
