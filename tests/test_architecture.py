"""Structure and start of a network: names, shapes, errors that teach, initial parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule.base.errors import ShapeError
from chainrule.layers import (
    GELU,
    AveragePool2D,
    Conv2D,
    Dense,
    Flatten,
    Layer,
    MaxPool2D,
    Parameter,
    ReLU,
    Residual,
    Sequential,
    Sigmoid,
    Softmax,
    Softplus,
    Tanh,
)
from chainrule.layers.initializers import Constant, Glorot, He, Normal
from chainrule.networks.architecture import architecture
from chainrule.networks.network import Network
from tests.networks import lenet


# -- structure
def test_names_shapes_and_counts() -> None:
    net = lenet()
    names = [
        "conv1",
        "relu1",
        "maxpool1",
        "conv2",
        "relu2",
        "flatten1",
        "dense1",
        "tanh1",
        "dense2",
        "softmax1",
    ]
    assert [layer.name for layer in net.layers] == names
    assert net.shapes["input"] == net.input_shape == (10, 8, 2)
    assert net.shapes["conv1"] == (8, 6, 4)
    assert net.shapes["maxpool1"] == (4, 3, 4)
    assert net.shapes["flatten1"] == (36,)
    assert net.output_shape == (3,)
    assert list(net.parameters) == [
        f"{layer}.{own}" for layer in ("conv1", "conv2", "dense1", "dense2") for own in "Wb"
    ]
    assert net.parameters["conv1.W"].shape == (4, 3, 3, 2)
    assert net.count_parameters() == 4 * 19 + 6 * 17 + 10 * 37 + 3 * 11


def test_given_names_are_kept_and_avoided() -> None:
    net = Network([Dense(2, name="dense2"), Dense(2), Dense(2), Dense(2, name="head")], input_shape=2)
    assert [layer.name for layer in net.layers] == ["dense2", "dense1", "dense3", "head"]


def test_an_integer_is_a_vector_shape() -> None:
    assert Network([Dense(1)], input_shape=np.int64(7)).input_shape == (7,)
    assert Network([Dense(1)], input_shape=[7]).input_shape == (7,)


def test_one_layer_object_in_two_places_is_one_layer_and_in_two_networks_two() -> None:
    shared, activation = Dense(3), ReLU()
    net = Network([shared, activation, shared, activation], input_shape=3)
    other = Network([shared], input_shape=5)
    assert [layer.name for layer in net.layers] == ["dense1", "relu1", "dense2", "relu2"]
    assert shared.name is None
    assert list(net.parameters) == ["dense1.W", "dense1.b"]
    assert other.parameters["dense1.W"].shape == (3, 5)


@pytest.mark.parametrize(
    ("layers", "error", "words"),
    [
        ([], ShapeError, "layers is empty"),
        ([ReLU], TypeError, r"layers\[0\] is the class ReLU: write ReLU\(\.\.\.\), with parentheses"),
        ([Dense(2), [ReLU()]], TypeError, r"layers\[1\] is a list: write one flat list"),
        (
            [Dense(2), "relu"],
            TypeError,
            r"layers\[1\] must be a layer such as Dense\(10\) or ReLU\(\), received 'relu'",
        ),
        (Dense(2), TypeError, r"layers must be a list"),
        ("dense", TypeError, r"layers must be a list"),
        (None, TypeError, r"layers must be a list"),
        ([Dense(2, name="a"), Dense(2, name="a")], ShapeError, "two layers are named 'a'"),
        (
            [Residual([Dense(4, name="b")], name="a"), Dense(2, name="a.b")],
            ShapeError,
            r"two layers are named 'a\.b'",
        ),
        ([Dense(2, name="a..b")], ShapeError, "the name of a layer must be a letter"),
        ([Dense(2, name="input")], ShapeError, "not 'input'"),
        ([Conv2D(2, 3)], ShapeError, r"layer 1 of 1, conv1 = Conv2D\(2, 3\): Conv2D needs an image"),
    ],
)
def test_wrong_layers(layers, error, words) -> None:
    with pytest.raises(error, match=words):
        Network(layers, input_shape=4)


def test_a_shape_error_names_the_layer_the_way_and_the_cure() -> None:
    with pytest.raises(ShapeError) as caught:
        Network([Conv2D(4, 3), ReLU(), Dense(10)], input_shape=(8, 8, 1))
    message = str(caught.value)
    assert "layer 3 of 3, dense1 = Dense(10)" in message
    assert "put Flatten() before it" in message
    assert "conv1 (6, 6, 4) → relu1 (6, 6, 4)" in message


@pytest.mark.parametrize("shape", [0, -1, (), (2, 0), "8", 2.5, (2.0, 3), True])
def test_wrong_input_shape(shape) -> None:
    with pytest.raises(ShapeError, match="input_shape must be the shape of one sample"):
        Network([Flatten()], input_shape=shape)


@pytest.mark.parametrize("dtype", ["float16", int, "double64", object()])
def test_wrong_dtype(dtype) -> None:
    with pytest.raises(ValueError, match="dtype must be 'float32' or 'float64'"):
        Network([Dense(1)], input_shape=1, dtype=dtype)


class BadShape(Layer):
    def output_shape(self, input_shape):
        return [3]


class BadParameter(Layer):
    def parameters(self, input_shape):
        return {"x": Parameter((2,))}


class Unpacking(Layer):
    def output_shape(self, input_shape):
        height, _ = input_shape
        return (height,)


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (BadShape(), r"badshape1 .*output_shape must return a tuple of positive integers, it returned \[3\]"),
        (BadParameter(), "names other than x, z, a, d"),
        (Unpacking(), r"unpacking1 .*not enough values to unpack"),
    ],
)
def test_layers_of_ones_own_are_checked(layer, words) -> None:
    with pytest.raises(ShapeError, match=words):
        Network([layer], input_shape=2)


# -- where it starts
def test_the_start_depends_on_the_seed_alone() -> None:
    a, b, c = lenet(seed=5), lenet(seed=5, dtype="float64"), lenet(seed=6)
    for name, array in a.parameters.items():
        assert array.dtype == np.float32
        assert np.array_equal(array, b.parameters[name].astype(np.float32))
        if name.endswith("W"):
            assert not np.array_equal(array, c.parameters[name])


def test_every_parameter_has_its_own_stream() -> None:
    a = Network([Dense(4), ReLU(), Dense(3)], input_shape=2)
    b = Network([Dense(400), ReLU(), Dense(3)], input_shape=2)
    narrow = Network([Dense(4), ReLU(), Dense(3), Tanh(), Dense(9)], input_shape=2)
    assert np.array_equal(a.parameters["dense2.W"], narrow.parameters["dense2.W"])
    assert b.parameters["dense2.W"].shape == (3, 400)


def test_the_start_is_pinned() -> None:
    """A seed is a promise: these numbers must not change between versions."""
    net = Network([Dense(2), Sigmoid()], input_shape=2, dtype="float64", seed=0)
    stream = np.random.Generator(np.random.PCG64(np.random.SeedSequence(0, spawn_key=(0,))))
    assert np.array_equal(net.parameters["dense1.W"], stream.uniform(-np.sqrt(1.5), np.sqrt(1.5), (2, 2)))
    assert net.parameters["dense1.b"].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("between", "std"),
    [
        ([ReLU()], np.sqrt(2 / 400)),
        ([MaxPool2D(2), ReLU()], np.sqrt(2 / 400)),
        ([GELU()], np.sqrt(2 / 400)),
        ([AveragePool2D(2), Flatten(), Softplus()], np.sqrt(2 / 400)),
        ([Tanh()], np.sqrt(2 / (400 + 2500))),
        ([Conv2D(2, 1), ReLU()], np.sqrt(2 / (400 + 2500))),
        ([Flatten(), Softmax()], np.sqrt(2 / (400 + 2500))),
        ([], np.sqrt(2 / (400 + 2500))),
    ],
)
def test_the_start_suits_the_activation_that_follows(between, std) -> None:
    net = Network([Conv2D(100, 5), *between], input_shape=(8, 8, 16), dtype="float64")
    weights = net.parameters["conv1.W"]
    assert weights.std() == pytest.approx(std, rel=0.02)  # 40 000 numbers: relative error of std 0.0035
    assert abs(weights.mean()) < 4 * std / np.sqrt(weights.size)


def test_a_given_initializer_wins() -> None:
    net = Network(
        [Dense(50, initializer=Normal(3.0), bias_initializer=Constant(0.5)), ReLU()], input_shape=400
    )
    assert net.parameters["dense1.W"].std() == pytest.approx(3, rel=0.05)
    assert (net.parameters["dense1.b"] == 0.5).all()
    assert isinstance(net.parameter_specs["dense1.W"].initializer, Normal)
    assert {He(), Glorot()}.isdisjoint({net.parameter_specs["dense1.W"].initializer})


def test_reinitialise() -> None:
    net, fresh = lenet(seed=1), lenet(seed=2)
    assert net.reinitialise(2) is net
    assert all(np.array_equal(net.parameters[name], fresh.parameters[name]) for name in net.parameters)
    net.parameters["dense1.b"] = np.ones(10)
    net.reinitialise()
    assert net.seed == 2
    assert (net.parameters["dense1.b"] == 0).all()
    with pytest.raises(ValueError, match="seed must be an integer of at least 0, received -1"):
        net.reinitialise(-1)


@pytest.mark.parametrize("layer", [Conv2D(8, 3, padding="same"), Conv2D(8, 3), MaxPool2D(2)])
@pytest.mark.parametrize(
    ("shape", "last"), [((1, 28, 28), r"\(28, 28, 1\)"), ((3, 32, 32), r"\(32, 32, 3\)")]
)
def test_channels_first_is_refused(layer: Layer, shape: tuple[int, ...], last: str) -> None:
    with pytest.raises(ShapeError, match=f"channels last.*write {last}, and X.transpose"):
        architecture([layer], shape)


def test_one_row_of_several_channels_is_an_image() -> None:
    assert architecture([Conv2D(8, (1, 3)), Conv2D(2, (1, 3))], (1, 8, 8)).shapes["conv1"] == (1, 6, 8)
    assert architecture([Conv2D(4, 3)], (3, 4, 4)).shapes["conv1"] == (1, 2, 4)


@pytest.mark.parametrize(
    ("layers", "shape"),
    [
        ([Dense(2**31 - 1)], 2**40),
        ([Dense(3)], 2**62),
        ([Dense(2**31 - 1), Dense(2**31 - 1)], 2**40),
        ([Conv2D(3, 2**20 + 1, padding="same")], (5, 5, 1)),
    ],
)
def test_a_parameter_that_no_memory_holds_is_an_error_at_once(layers: list[Layer], shape: Any) -> None:
    with pytest.raises(ShapeError, match=r"layer 1 of .* its parameter W .* larger than any memory"):
        Network(layers, input_shape=shape)


def test_nesting_has_an_end() -> None:
    block: Any = Dense(3)
    for _ in range(64):
        block = Residual([block])
    assert len(architecture([block], 3).specs) == 2
    for outer in (Residual([block]), Sequential([block])):
        with pytest.raises(ShapeError, match="nested more than 64 deep"):
            architecture([outer], 3)
