"""What people write who come from other libraries is answered with what to write here."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr


def network() -> cr.Network:
    return cr.Network([cr.Dense(3), cr.Softmax()], input_shape=2)


WRONG: list[tuple[Callable[[], Any], str]] = [
    (lambda: cr.Dense(3, activation="relu"), r"Dense\(\) has no argument 'activation'; .* ReLU\(\)"),
    (lambda: cr.Dense(4, 3), r"Dense\(\) takes 1 by position, received 2; write the number of outputs only"),
    (lambda: cr.Dense(3, unit=3), r"'unit'; write units="),
    (lambda: cr.Conv2D(8, 3, strides=2), r"'strides'; write stride=2"),
    (lambda: cr.Conv2D(8, (3, 3), 1, "same"), r"received 4; write .*stride=1, padding='same'"),
    (lambda: cr.MaxPool2D(pool_size=2), r"MaxPool2D\(\) has no argument 'pool_size'; write window=2"),
    (lambda: cr.LeakyReLU(negative_slope=0.1), "write slope=0.01"),
    (lambda: cr.Adam(lr=0.1), r"Adam\(\) has no argument 'lr'; write rate=0.001$"),
    (lambda: cr.Adam(learning_rate=0.1), "write rate=0.001$"),
    (lambda: cr.AdamW(lr=0.1), "write rate=0.001$"),
    (lambda: cr.SGD(lr=0.1), "write rate=0.1$"),
    (lambda: cr.Network([cr.Dense(3)], input_shape=2, epochs=3), r"write it in chainrule\.fit\(network"),
    (lambda: cr.load(file="net.npz"), r"load\(\) has no argument 'file'; write path='net\.npz'"),
    (lambda: network().save(file="net.npz"), r"save\(\) has no argument 'file'; write path='net\.npz'"),
    (lambda: network().copy(deep=True), "write nothing: a copy shares nothing"),
    (lambda: network().summary(depth=1), "write nothing: every layer is listed"),
    (lambda: cr.Network.from_theta(thetas=[]), r"write values=\[Theta1, Theta2\]"),
    (lambda: cr.AdamW(betas=(0.9, 0.99)), "write beta1=0.9, beta2=0.999"),
    (lambda: cr.SGD(0.1, colour=1), "has no argument 'colour'; it takes rate, momentum"),
    (lambda: cr.fit(network(), np.ones((3, 2)), [0, 1, 2], 3), r"received 4; write .*epochs=10"),
    (
        lambda: cr.fit(network(), np.ones((3, 2)), [0, 1, 2], clip_per_sample=1.0),
        r"write optimizer=SGD\(0.1, clip_sample_norm=1.0\)",
    ),
    (lambda: cr.Network([cr.Dense(3)], 2), r"write Network\(\[\.\.\.\], input_shape=784\)"),
    (lambda: network()(np.ones((3, 2))), r"write network\.predict\(X\)"),
]


@pytest.mark.parametrize(("call", "message"), WRONG)
def test_arguments_of_other_libraries(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        call()


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("fit", "chainrule.fit(network, X, y)"),
        ("train", "chainrule.fit(network, X, y); every other pass is a prediction"),
        ("predict_proba", "network.predict(X)"),
        ("forward", "network.predict(X)"),
        ("evaluate", "network.loss(X, y) or network.accuracy(X, y)"),
        ("score", "network.accuracy(X, y)"),
        ("eval", "network.predict(X), which drops nothing and takes the running statistics"),
    ],
)
def test_methods_of_other_libraries(name: str, instead: str) -> None:
    with pytest.raises(AttributeError) as caught:
        getattr(network(), name)
    assert str(caught.value) == f"a network has no attribute {name!r}; write {instead}"
    assert not hasattr(network(), name)


def test_what_is_right_is_left_alone() -> None:
    assert list(inspect.signature(cr.Dense).parameters)[:2] == ["units", "bias"]
    assert next(iter(inspect.signature(cr.SGD).parameters)) == "rate"
    assert list(inspect.signature(cr.fit).parameters)[:3] == ["network", "X", "y"]
    assert repr(cr.Conv2D(8, 3, stride=2)) == "Conv2D(8, 3, stride=2)"
    for twin in (copy.deepcopy(network()), pickle.loads(pickle.dumps(network()))):
        assert np.array_equal(twin.predict(np.ones((1, 2))), network().predict(np.ones((1, 2))))


def test_dir_lists_what_is_meant_for_users() -> None:
    names = set(dir(cr))
    assert set(cr.__all__) <= names
    assert all(name in cr.__all__ or name.startswith("__") for name in names)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("Swish", r"write chainrule.SiLU\(\)"),
        ("Hardtanh", "write chainrule.HardTanh"),
        ("Linear", r"write chainrule.Dense\(units\)"),
        ("MaxPooling2D", r"write chainrule.MaxPool2D\(2\)"),
        ("AvgPool2d", r"write chainrule.AveragePool2D\(2\)"),
        ("GlobalAveragePooling2D", r"write chainrule.GlobalAveragePool\(\)"),
        ("Input", "without a layer for the input"),
    ],
)
def test_names_of_other_libraries_are_answered_by_the_module(name: str, advice: str) -> None:
    with pytest.raises(AttributeError, match=advice):
        getattr(cr, name)


@pytest.mark.parametrize("name", [name for name in dir(cr) if name[-2:] in ("1D", "2D", "3D")])
def test_too_many_by_position_names_the_layer_of_as_many_dimensions(name: str) -> None:
    others = {name[:-2] + dimensions for dimensions in ("1D", "2D", "3D")} - {name}
    with pytest.raises(TypeError, match="by position, received") as told:
        getattr(cr, name)(*[2] * 9)
    assert not [other for other in others if other in str(told.value)]


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_unpooling_without_its_pool_names_the_pool_of_as_many_dimensions(dimensions: int) -> None:
    layer = getattr(cr, f"MaxUnpool{dimensions}D")(2)
    with pytest.raises(
        cr.ChainruleError, match=rf"\(MaxUnpool{dimensions}D\(2\), .* 'pool' is a MaxPool{dimensions}D with"
    ):
        cr.Network([layer], input_shape=(4,) * dimensions + (2,))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cr.MultiHeadAttention(2, relative_positions="RoPE"), "write rotary=True$"),
        (lambda: cr.TransformerDecoder(2, 3, relative_positions="rope"), "^TransformerDecoder .*rotary=True"),
        (lambda: cr.TransformerDecoder(2, 3, relative_positions="x"), "^TransformerDecoder relative_pos"),
        (lambda: cr.TransformerDecoder(2, 3, max_distance=3), "^TransformerDecoder max_distance is of"),
        (lambda: cr.TransformerDecoder(2, 3, dropout=2), "^TransformerDecoder dropout must be"),
        (lambda: cr.GRU(3, peepholes=True), r"there is no peephole: an LSTM\(64, peepholes=True\) has them"),
        (lambda: cr.Conv3D(2, 3, padding=(1, 1)), r"padding .*\(planes, rows, columns\) or .* \(1, 1\)"),
        (lambda: cr.MaxPool3D(2, padding=(1, 0)), r"padding .*\(planes, rows, columns\) or .* \(1, 0\)"),
        (lambda: cr.Pad3D((1, 0)), r"padding .*\(planes, rows, columns\) or .* \(1, 0\)"),
    ],
)
def test_the_error_names_what_was_written(make: Callable[[], Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        make()


def test_arrays_are_sizes() -> None:
    """grid=np.array([3, 3]) was told "must be a positive integer"."""
    pair = np.array([2, 3])
    assert cr.MultiHeadAttention(2, relative_positions="learned", grid=pair).grid == (2, 3)
    for layer in (cr.Conv2D(2, pair), cr.MaxPool2D(pair), cr.UpSample2D(pair), cr.AdaptiveMaxPool2D(pair)):
        again = type(layer)(**layer.config())  # plain numbers, which a file holds
        assert repr(again) == repr(layer)
        assert "(2, 3)" in repr(layer)
    assert cr.Conv2D(2, 3, padding=np.array([[1, 0], [2, 1]])).padding == ((1, 0), (2, 1))
    with pytest.raises(cr.ShapeError, match=r"must be a positive integer, received 2\.5"):
        cr.MaxPool2D(np.array([2.5, 2.0]))


def test_a_momentum_that_nothing_reads_is_told() -> None:
    with pytest.raises(cr.ChainruleError, match=r"momentum=0\.3 is read by nothing: write tracked=True"):
        cr.InstanceNorm(momentum=0.3)
    assert cr.InstanceNorm(momentum=0.3, tracked=True).momentum == 0.3
