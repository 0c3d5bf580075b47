"""MaxNorm: after every native step no unit's weights are larger, and the rest of training stays as it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from training_problems import blobs, classifier, same_bits, train_by_formula

import chainrule as cr
from chainrule import _native
from chainrule.engine import Plan
from chainrule.layers import Layer, Parameter
from chainrule.losses.constraints import MaxNorm

NETWORKS: dict[str, tuple[list[Layer], tuple[int, ...]]] = {
    "rows, over and under a panel": ([cr.Dense(19), cr.Tanh(), cr.Dense(2)], (3,)),
    "filters": (
        [cr.Conv2D(5, 3, groups=1), cr.Tanh(), cr.Conv2D(4, 2), cr.Flatten(), cr.Dense(2)],
        (6, 5, 3),
    ),
    "depthwise": ([cr.DepthwiseConv2D(3), cr.Flatten(), cr.Dense(2)], (5, 5, 3)),
    "transposed": ([cr.ConvTranspose2D(6, 3, groups=2), cr.Tanh(), cr.Flatten(), cr.Dense(2)], (2, 3, 4)),
    "a wide transposed one": ([cr.ConvTranspose1D(37, 2), cr.Tanh(), cr.Flatten(), cr.Dense(2)], (3, 2)),
    "recurrent": ([cr.LSTM(3), cr.Dense(2)], (4, 3)),
    "every step": ([cr.Dense(5), cr.ReLU(), cr.Flatten(), cr.Dense(2)], (4, 3)),
}
OPTIMIZERS = [cr.SGD(0.05), cr.SGD(0.05, momentum=0.9, clip_norm=0.5), cr.Adam(0.05)]


def norms(network: cr.Network, name: str) -> Any:
    """‖w‖ of every unit, by the meaning of the layer's W alone."""
    W = network.parameters[name].astype(np.float64)
    layer = next(layer for layer in network.layers if f"{layer.name}.W" == name)
    if isinstance(layer, (cr.ConvTranspose1D, cr.ConvTranspose2D)):
        inputs = len(W) // layer.groups
        parts = [W[group * inputs : (group + 1) * inputs] for group in range(layer.groups)]
        return np.concatenate([np.sqrt((part**2).sum(axis=tuple(range(W.ndim - 1)))) for part in parts])
    return np.sqrt((W**2).sum(axis=tuple(range(1, W.ndim))))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_steps_are_those_of_the_formulas(name: str, optimizer: Any, dtype: str) -> None:
    layers, shape = NETWORKS[name]
    r = np.random.default_rng(0)
    X, y = r.standard_normal((21, *shape)).astype("f4"), r.standard_normal((21, 2)).astype("f4")
    network = cr.Network(layers, input_shape=shape, seed=1, dtype=dtype)
    limit = float(np.median(np.concatenate([norms(network, n) for n in network.parameters if n[-1] == "W"])))
    order, loss, constraint = r.permutation(21), cr.SquaredError(), MaxNorm(limit)
    exact = network.copy(dtype="float64")
    options: dict[str, Any] = {"optimizer": optimizer, "batch_size": 8, "loss": loss}
    expected = train_by_formula(
        exact, X.astype("f8"), y.astype("f8"), orders=[order] * 2, constraint=constraint, **options
    )
    tolerance = 2e-4 if dtype == "float32" else 1e-11  # six steps; Adam divides by small gradients
    for level in _native.supported_levels():
        plan = Plan(
            network, loss, None, optimizer, batch_size=8, dtype=dtype, level=level, constraint=constraint
        )
        for _ in range(2):
            plan.train_epoch(X, y, order, optimizer.rates(0, 3, 3, 2))
        trained = network.copy()
        trained.set_parameters(plan.parameters())
        for key, array in trained.parameters.items():
            np.testing.assert_allclose(array, expected[key], rtol=tolerance, atol=tolerance, err_msg=key)
            if key.endswith("W"):
                assert norms(trained, key).max() <= limit * (1 + 4 * np.finfo(dtype).eps)


def test_what_is_within_stays_to_the_bit_and_biases_are_free() -> None:
    X, y = blobs(40)
    free, wide, tight = classifier(), classifier(), classifier()
    cr.fit(free, X, y, epochs=3)
    cr.fit(wide, X, y, epochs=3, constraint=MaxNorm(1e30))
    assert same_bits(free.parameters, wide.parameters)
    cr.fit(tight, X, y, epochs=30, optimizer=cr.SGD(0.5), constraint=MaxNorm(0.01))
    assert norms(tight, "dense2.W").max() <= 0.01 * (1 + 1e-6)
    assert np.abs(tight.parameters["dense2.b"]).max() > 0.02


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bits_do_not_depend_on_the_number_of_threads(dtype: str) -> None:
    r = np.random.default_rng(0)
    X, y = r.standard_normal((40, 11, 11, 3)).astype(dtype), r.integers(0, 4, 40)
    layers = [cr.Conv2D(33, 3), cr.ReLU(), cr.Flatten(), cr.Dense(150), cr.ReLU(), cr.Dense(4), cr.Softmax()]
    trained = []
    for threads in (1, 2, 3, 4):
        network = cr.Network(layers, input_shape=(11, 11, 3), dtype=dtype)
        cr.fit(network, X, y, epochs=2, batch_size=17, constraint=MaxNorm(0.9), threads=threads)
        trained.append(network.parameters)
    assert all(same_bits(trained[0], other) for other in trained[1:])


def test_resume_and_early_stopping() -> None:
    X, y = blobs(60)
    whole, halves = classifier(), classifier()
    options: dict[str, Any] = {"constraint": MaxNorm(0.5), "validation": (X[:20], y[:20])}
    cr.fit(whole, X, y, epochs=4, **options)
    history = cr.fit(halves, X, y, epochs=2, **options)
    cr.fit(halves, X, y, epochs=2, resume=history, **options)
    assert same_bits(whole.parameters, halves.parameters)
    cr.fit(halves, X, y, epochs=9, early_stopping=1, optimizer=cr.SGD(3.0), **options)
    assert norms(halves, "dense2.W").max() <= 0.5 * (1 + 1e-6)


def test_a_layer_of_your_own() -> None:
    """On the host; its array of one axis is a unit per entry, its unpenalised one is free."""

    class Scale(Layer):
        def parameters(self, input_shape: tuple[int, ...]) -> dict[str, Parameter]:
            return {"g": Parameter(input_shape), "h": Parameter(input_shape, penalised=False)}

        def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
            return input_shape

        def forward(self, x: Any, g: Any, h: Any) -> Any:
            return (g * h)[:, None] * x

        def delta(self, d: Any, g: Any, h: Any) -> Any:
            return (g * h)[:, None] * d

        def gradients(self, d: Any, x: Any, g: Any, h: Any) -> Any:
            both = (d * x).sum(axis=-1)
            return {"g": h * both, "h": g * both}

    network = cr.Network.from_parameters(
        [Scale()], {"scale1.g": [3.0, -0.1, -4.0], "scale1.h": [5.0] * 3}, input_shape=3
    )
    X = np.ones((4, 3), np.float32)
    cr.fit(network, X, X, epochs=1, optimizer=cr.SGD(1e-9), constraint=MaxNorm(0.5))
    np.testing.assert_allclose(network.parameters["scale1.g"], [0.5, -0.1, -0.5], rtol=1e-6)
    np.testing.assert_allclose(network.parameters["scale1.h"], [5.0] * 3, rtol=1e-6)


def test_apply_on_arrays() -> None:
    W = np.array([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]])
    np.testing.assert_allclose(MaxNorm(1.0).apply(W), [[0.6, 0.8], [0.3, 0.4], [0.0, 0.0]])
    assert MaxNorm(1.0).apply(W.astype(np.float32)).dtype == np.float32
    last = Parameter((2, 1, 1), unit_groups=1)  # a filter over two channels of a transposed convolution
    np.testing.assert_allclose(MaxNorm(1.0).apply([[[3.0]], [[4.0]]], last), [[[0.6]], [[0.8]]])


@pytest.mark.parametrize("limit", [0, -1.0, float("nan"), float("inf"), True, "3"])
def test_the_limit_is_a_positive_number(limit: Any) -> None:
    with pytest.raises(
        ValueError, match=r"MaxNorm limit must be a number greater than 0.*write MaxNorm\(3.0\)"
    ):
        MaxNorm(limit)


def test_what_other_libraries_write() -> None:
    X, y = blobs(12)
    for wrong in (3, "max_norm", MaxNorm):
        with pytest.raises(TypeError, match=r"constraint must be MaxNorm\(3\.0\), say, or None, received"):
            cr.fit(classifier(), X, y, constraint=wrong)
    with pytest.raises(TypeError, match=r"write constraint=MaxNorm\(3\.0\)"):
        cr.fit(classifier(), X, y, max_norm=3)
    with pytest.raises(TypeError, match=r"write constraint=MaxNorm\(3\.0\) in fit"):
        cr.Dense(3, kernel_constraint=MaxNorm(2))
    with pytest.raises(TypeError, match=r"write MaxNorm\(3\.0\)"):
        MaxNorm(max_value=2)
    with pytest.raises(TypeError, match="write nothing: the norm is of a unit's incoming weights"):
        MaxNorm(2, axis=0)
    with pytest.raises(TypeError, match=r"nothing here: chainrule\.fit has it"):
        cr.fit_full_batch(classifier(), X, y, constraint=MaxNorm(2))
    with pytest.raises(ValueError, match="a max-norm of 1e-60 becomes 0 in float32"):
        cr.fit(classifier(), X, y, constraint=MaxNorm(1e-60))
