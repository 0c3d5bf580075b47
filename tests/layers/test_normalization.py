"""Normalisation and dropout as layers: arguments, errors, print, files."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.formulas import latex, text, trace
from chainrule.layers.randomness import random_bits

REFUSED: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: cr.BatchNorm(momentum=1.5), ValueError, r"momentum .* at most 1, received 1.5: .*Keras"),
    (lambda: cr.BatchNorm(epsilon=0), ValueError, "BatchNorm epsilon must be a number greater than 0"),
    (lambda: cr.LayerNorm(epsilon=-1), ValueError, "LayerNorm epsilon"),
    (lambda: cr.RMSNorm(epsilon="small"), ValueError, "RMSNorm epsilon .* received 'small'"),
    (lambda: cr.GroupNorm(0), cr.ShapeError, "GroupNorm groups must be a positive integer, received 0"),
    (lambda: cr.Dropout(1), ValueError, r"Dropout rate .* less than 1, received 1: .* leave nothing"),
    (lambda: cr.Dropout(-0.1), ValueError, "Dropout rate must be a number at least 0"),
    (lambda: cr.Dropout(0.5, seed=-1), ValueError, "Dropout seed must be a whole number"),
    (lambda: cr.Dropout(p=0.5), TypeError, "write rate=0.5, the share that is dropped"),
    (lambda: cr.Dropout(0.5, noise_shape=(1,)), TypeError, "every entry is drawn by itself"),
    (lambda: cr.BatchNorm(eps=1e-3), TypeError, "write epsilon=1e-5"),
    (lambda: cr.BatchNorm(num_features=3), TypeError, "it finds out its channels"),
    (lambda: cr.LayerNorm(8), TypeError, "takes 0 by position"),
    (lambda: cr.LayerNorm(axis=-1), TypeError, "write nothing: that is the last axis"),
    (lambda: cr.LayerNorm(elementwise_affine=False), TypeError, "write scale=False, shift=False"),
    (lambda: cr.GroupNorm(num_groups=2), TypeError, "write groups=8"),
    (lambda: cr.BatchNorm2d(8), AttributeError, r"chainrule.BatchNorm\(\)"),
]


@pytest.mark.parametrize(("make", "error", "message"), REFUSED)
def test_wrong_arguments(make: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_a_momentum_of_keras_is_warned_of() -> None:
    with pytest.warns(UserWarning, match=r"Keras calls momentum=0.99 is momentum=0.01 here") as caught:
        cr.BatchNorm(momentum=0.99)
    assert caught[0].filename == __file__
    for meant in (0.0, 0.1, 0.5, 1.0):
        cr.BatchNorm(momentum=meant)


@pytest.mark.parametrize(
    ("channels", "divisors"), [(8, "1, 2, 4, 8"), (720, "1, 2, 3, 4, ..., 240, 360, 720")]
)
def test_groups_that_do_not_divide(channels: int, divisors: str) -> None:
    message = f"groups=7 does not divide the {channels} .*one of {divisors} "
    with pytest.raises(cr.ShapeError, match=message):
        cr.Network([cr.GroupNorm(7)], input_shape=(3, 3, channels))


def test_in_print() -> None:
    formulas = trace(cr.BatchNorm())
    assert text(formulas.equations["delta"]) == "∂J/∂xˡ⁻¹ = (e − ŝ − x̂ ⊙ t̂) / r"
    lines = {text(line) for line in formulas.equations["delta"].definitions}
    assert {"μ = (1/N) xˡ⁻¹ 𝟏", "v = (1/N) c² 𝟏", "r = √(v̂ + 10⁻⁵)", "x̂ = c / r"} <= lines
    assert r"\hat{x} = \frac{c}{r}" in map(latex, formulas.equations["forward"].definitions)
    assert formulas.equations["gamma"].remarks == ("N counts samples and positions, over which the sums go",)
    definitions = map(text, trace(cr.GroupNorm(2, epsilon=0.25)).equations["forward"].definitions)
    assert {"μ = mean_g(xˡ⁻¹)", "r = √(v + 0.25)"} <= set(definitions)
    assert text(trace(cr.Dropout(0.2)).equations["forward"]) == "xˡ = rˡ ⊙ xˡ⁻¹ / 0.8"


def test_files_keep_the_running_numbers(tmp_path: Path) -> None:
    layers = [cr.BatchNorm(0.2), cr.GroupNorm(2), cr.LayerNorm(), cr.RMSNorm(), cr.Dropout(0.5, seed=7)]
    network = cr.Network([*layers, cr.Dense(2)], input_shape=4)
    r = np.random.default_rng(0)
    X, y = r.standard_normal((40, 4)) + 5, r.standard_normal((40, 2))
    cr.fit(network, X, y, epochs=2, progress=False)
    assert network.parameters["batchnorm1.mean"].min() > 1
    network.save(tmp_path / "network.npz")
    loaded = cr.load(tmp_path / "network.npz")
    assert repr(loaded.layers) == repr(network.layers)
    for made in (loaded, network.copy(), cr.Network([network], input_shape=4)):
        np.testing.assert_array_equal(made.predict(X), network.predict(X))


def test_a_start_anew_forgets_the_running_numbers() -> None:
    network = cr.Network([cr.BatchNorm()], input_shape=4)
    network.parameters["batchnorm1.variance"] = np.full(4, 9.0)
    network.reinitialise()
    np.testing.assert_array_equal(network.parameters["batchnorm1.variance"], np.ones(4))


def test_dropout_draws_by_name_and_seed() -> None:
    def drawn(layer: cr.Dropout) -> Any:
        layer.name = layer.name or "dropout1"
        return layer.draw((50, 8), lambda shape: random_bits(1, 1, layer.stream, shape))["r"]

    first = drawn(cr.Dropout(0.5))
    np.testing.assert_array_equal(first, drawn(cr.Dropout(0.5)))
    for other in (cr.Dropout(0.5, name="other"), cr.Dropout(0.5, seed=0), cr.Dropout(0.5, seed=1)):
        assert 0.35 < (first != drawn(other)).mean() < 0.65
    assert (first >= drawn(cr.Dropout(0.7))).all()  # a higher rate drops more, of the same entries


@pytest.mark.parametrize(
    ("layer", "shape", "advice"),
    [
        (cr.LayerNorm(), (1,), "leave it out"),
        (cr.LayerNorm(), (6, 1), r"write GroupNorm\(1\), which takes all positions together"),
        (cr.LayerNorm(), (4, 5, 1), r"write GroupNorm\(1\)"),
        (cr.GroupNorm(1), (1,), "leave it out"),
        (cr.GroupNorm(6), (6,), r"write GroupNorm\(3\)"),
        (cr.GroupNorm(5), (1, 1, 5), r"write GroupNorm\(1\)"),
    ],
)
def test_a_mean_of_one_value_is_refused(layer: cr.Layer, shape: tuple[int, ...], advice: str) -> None:
    """Its variance is 0: the output would be β for every input."""
    with pytest.raises(cr.ShapeError, match=f"always β, whatever the input; {advice}"):
        cr.Network([layer, cr.Flatten(), cr.Dense(1)], input_shape=shape)


def test_what_the_refusal_advises_works() -> None:
    for layer, shape in ((cr.GroupNorm(1), (6, 1)), (cr.GroupNorm(3), (6,)), (cr.GroupNorm(1), (1, 1, 5))):
        network = cr.Network([layer, cr.Flatten()], input_shape=shape)
        X = np.random.default_rng(0).standard_normal((2, *shape))
        assert network.predict(X).std() > 0.5
    for layer, shape in ((cr.GroupNorm(6), (2, 6)), (cr.LayerNorm(), (2,)), (cr.RMSNorm(), (1,))):
        cr.Network([layer], input_shape=shape)  # two values, or no mean


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_a_file_with_a_mean_of_one_value_still_loads(tmp_path: Path, suffix: str) -> None:
    """Such networks were made before they were refused; they predict by β, and a warning says so."""
    layers = [cr.Dense(1), cr.LayerNorm(), cr.Residual([cr.GroupNorm(1)])]
    parameters = {"dense1.W": np.array([[1.0, 2.0]]), "dense1.b": np.zeros(1)}
    for name, beta in (("layernorm1", 0.5), ("residual1.groupnorm1", 0.25)):
        parameters |= {f"{name}.gamma": np.array([3.0]), f"{name}.beta": np.array([beta])}
    path = tmp_path / f"old.{suffix}"
    old = cr.Network._made(layers, parameters, 2, "float32", None)  # past the check
    old.save(path)
    with pytest.warns(UserWarning, match="always β, whatever the input; leave it out") as told:
        network = cr.load(path)
    assert len(told) == 2
    assert {Path(one.filename).name for one in told} == {Path(__file__).name}
    X = np.random.default_rng(0).standard_normal((5, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for own in (network, network.copy(), network.copy(dtype="float64")):
            np.testing.assert_array_equal(own.predict(X), np.full((5, 1), 0.75))
    with pytest.warns(UserWarning, match="always β"):
        cr.Network.from_parameters(layers, parameters, input_shape=2)
    with pytest.raises(cr.ShapeError, match="always β"):
        cr.Network(layers, input_shape=2)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_momentum_none_takes_the_mean_of_all_batches(dtype: Any, tmp_path: Path) -> None:
    net = cr.Network([cr.BatchNorm(None, scale=False), cr.Dense(1)], input_shape=3, dtype=dtype)
    X = np.random.default_rng(4).normal(2, 3, (24, 3)).astype(dtype)
    cr.fit(net, X, X[:, :1], batch_size=4, epochs=2, shuffle=False, optimizer=cr.SGD(1e-30))
    batches = X.reshape(6, 4, 3).astype(np.float64)
    p = net.parameters
    assert p["batchnorm1.batches"] == 12
    np.testing.assert_allclose(p["batchnorm1.mean"], batches.mean(axis=(0, 1)), rtol=1e-5)
    np.testing.assert_allclose(p["batchnorm1.variance"], batches.var(axis=1, ddof=1).mean(axis=0), rtol=1e-5)
    assert "batchnorm1.gamma" not in p
    assert np.abs(p["batchnorm1.beta"]).max() < 1e-20
    net.save(tmp_path / "net.npz")
    np.testing.assert_array_equal(cr.load(tmp_path / "net.npz").predict(X), net.predict(X))


def test_a_norm_without_scale_and_shift_has_no_parameters() -> None:
    for layer in (
        cr.LayerNorm(scale=False, shift=False),
        cr.GroupNorm(2, scale=False, shift=False),
        cr.InstanceNorm(scale=False, shift=False),
        cr.RMSNorm(scale=False),
    ):
        net = cr.Network([layer], input_shape=(5, 4), dtype="float64")
        assert not net.parameters
        other = type(layer)(**{**layer.config(), "scale": True})
        like = cr.Network([other], input_shape=(5, 4), dtype="float64")
        X = np.random.default_rng(1).normal(size=(3, 5, 4))
        np.testing.assert_allclose(net.predict(X), like.predict(X), rtol=1e-12)
    single = [cr.InstanceNorm(shift=False)]
    with pytest.raises(cr.ShapeError, match=r"always 0, whatever the input; write LayerNorm\(\)"):
        cr.Network(single, input_shape=(1, 3))
    with pytest.raises(cr.ShapeError, match=r"always β, whatever the input"):
        cr.Network([cr.InstanceNorm()], input_shape=1)


def test_instance_norm_takes_every_channel_by_itself() -> None:
    X = np.random.default_rng(2).normal(size=(2, 4, 3, 5))
    net = cr.Network([cr.InstanceNorm(epsilon=0.1)], input_shape=(4, 3, 5), dtype="float64")
    mean, variance = X.mean(axis=(1, 2), keepdims=True), X.var(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(net.predict(X), (X - mean) / np.sqrt(variance + 0.1), rtol=1e-12)
