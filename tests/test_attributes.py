"""Attributes that there are not are refused on objects of chainrule, and free on those of one's own."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from tests.public_classes import ABSTRACT, CLASSES, LAYERS, OTHERS, arguments


def made(name: str) -> Any:
    options = LAYERS[name][0] if name in LAYERS else OTHERS.get(name, {})
    return getattr(cr, name)(**options)


class Scaled(cr.Dense):
    """A layer of one's own made from one of ours."""

    def __init__(self, units: int, *, gain: float = 1.0, name: str | None = None) -> None:
        super().__init__(units, name=name)
        self.gain = gain
        self.seen = 0
        self.trainable = False


class Own(cr.Layer):
    def __init__(self, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.calls = 0

    def forward(self, x: Any) -> Any:
        self.calls += 1
        self.last_shape = x.shape
        return x * 2

    def delta(self, d: Any) -> Any:
        return d * 2


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize(
    "attribute", ["foo", "trainable", "learning_rate", "requires_grad", "Units", "kernel_size_"]
)
def test_an_unknown_attribute_is_refused(name: str, attribute: str) -> None:
    thing = made(name)
    with pytest.raises(AttributeError):
        setattr(thing, attribute, 1)
    assert attribute not in vars(thing)


@pytest.mark.parametrize("name", [name for name in CLASSES if issubclass(getattr(cr, name), cr.Layer)])
def test_what_a_layer_has_may_be_set_and_is_copied_and_pickled(name: str) -> None:
    layer = made(name)
    for option in arguments(type(layer)):
        if option != "self" and not isinstance(getattr(type(layer), option, None), property):
            setattr(layer, option, getattr(layer, option))
    layer.name = "mine"
    layer._own_business = 3
    for other in (copy.copy(layer), copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert repr(other) == repr(layer)
        assert vars(other).keys() == vars(layer).keys()
        with pytest.raises(AttributeError):
            other.foo = 1


@pytest.mark.parametrize("attribute", ["trainable", "requires_grad", "frozen"])
def test_what_is_to_stay_fixed_is_said_in_fit(attribute: str) -> None:
    network = cr.Network([cr.Dense(2)], input_shape=3)
    for thing in (network, network.layers[0], cr.Conv2D(2, 3), cr.Sequential([cr.Dense(2)])):
        with pytest.raises(
            AttributeError, match=r"write chainrule.fit\(network, X, y, freeze=\['dense1'\]\)"
        ):
            setattr(thing, attribute, False)


@pytest.mark.parametrize(
    ("attribute", "said"),
    [
        ("layers", r"write Network\(\[...\], input_shape=784\) anew"),
        ("parameters", r"write network.set_parameters\("),
        ("input_shape", "anew"),
        ("shapes", "its options are"),
        ("weights", r"write network.set_parameters\("),
        ("loss", r"write chainrule.fit\(network, X, y, loss="),
        ("optimizer", "optimizer='adam'"),
        ("training", r"write chainrule.fit\(network, X, y\)"),
        ("dtype", r"write network.copy\(dtype='float64'\)"),
        ("foo", "its options are layers, input_shape, seed"),
    ],
)
def test_a_network_says_what_to_write(attribute: str, said: str) -> None:
    network = cr.Network([cr.Dense(2)], input_shape=3)
    before = repr(network)
    with pytest.raises(AttributeError, match=said):
        setattr(network, attribute, "x")
    assert repr(network) == before


def test_what_a_network_has_may_be_set() -> None:
    network = cr.Network([cr.Dense(2), cr.Softmax()], input_shape=3)
    network.name, network.classes, network.history, network.seed = "mine", ["a", "b"], None, 3
    network.preparation = None
    network._note = 1
    for other in (
        copy.copy(network),
        copy.deepcopy(network),
        pickle.loads(pickle.dumps(network)),
        network.copy(),
    ):
        assert other.name == "mine"
        with pytest.raises(AttributeError):
            other.foo = 1


def test_classes_of_ones_own_keep_what_they_like() -> None:
    class Mine(cr.Network):
        def __init__(self, units: int) -> None:
            super().__init__([cr.Dense(units), cr.Softmax()], input_shape=3)
            self.units = units

        def count(self) -> int:
            self.counted = self.units + 1
            return self.counted

    network = Mine(2)
    assert network.count() == 3
    network.anything = 4
    layer = Scaled(3, gain=2.0)
    layer.more = 1
    assert (layer.gain, layer.seen, layer.trainable, layer.more) == (2.0, 0, False, 1)
    assert pickle.loads(pickle.dumps(layer)).gain == 2.0
    with_own = cr.Network([Own(), layer], input_shape=3)
    with_own.backpropagate(np.ones((2, 3)), np.ones((2, 3)))
    assert with_own.layers[0].calls > 0


def test_what_is_asked_and_not_there_is_answered() -> None:
    layer = cr.Dense(2)
    for name in ("weight", "trainable", "grad", "in_features"):
        with pytest.raises(AttributeError, match=rf"Dense\(\) has no attribute '{name}'; write "):
            getattr(layer, name)
    with pytest.raises(AttributeError, match=r"Dense\(\) has no attribute 'nothing'$"):
        layer.nothing  # noqa: B018
    assert not hasattr(layer, "as_layer")
    assert getattr(layer, "grid", None) is None


@pytest.mark.parametrize("name", sorted(ABSTRACT - {"Activation", "Layer", "Callback", "Optimizer"}))
def test_values_are_frozen(name: str) -> None:
    kind = getattr(cr, name)
    thing = kind(0.1) if name == "Schedule" else kind()
    with pytest.raises((AttributeError, TypeError)):
        thing.foo = 1
