"""Whole hand-written networks, layer by layer: only the layer that is wrong by itself is blamed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from itertools import product
from operator import itemgetter
from typing import Any

import numpy as np
import pytest
from tests.pairwise import some

import chainrule as cr
from chainrule.base.errors import ArgumentError, DataError
from chainrule.base.types import Array
from chainrule.verifying.subjects.chains import layers_in, layers_of
from chainrule.verifying.verify import assert_backward, verify

RNG = np.random.default_rng(2)
X = RNG.normal(size=(5, 4))


class Dense:
    def __init__(self, inputs: int, outputs: int, wrong: bool = False) -> None:
        rng = np.random.default_rng(inputs)
        self.W, self.b, self.wrong = rng.normal(size=(inputs, outputs)), rng.normal(size=outputs), wrong

    def forward(self, x: Array) -> Array:
        self.x = x
        return np.asarray(x @ self.W + self.b)

    def backward(self, dout: Array) -> Array:
        self.dW, self.db = self.x.T @ dout, dout.sum(axis=0)
        return np.asarray(dout @ self.W.T / (2 if self.wrong else 1))


class Tanh:
    def __init__(self, wrong: bool = False) -> None:
        self.wrong = wrong

    def forward(self, x: Array) -> Array:
        self.t = np.tanh(x)
        return np.asarray(self.t)

    def backward(self, dout: Array) -> Array:
        return np.asarray(dout * (1 - self.t ** (1 if self.wrong else 2)))


def layers(wrong: int | None) -> list[Any]:
    kinds: list[Callable[[bool], Any]] = [
        lambda k: Dense(4, 6, k), Tanh, lambda k: Dense(6, 3, k), Tanh, lambda k: Dense(3, 2, k),
    ]  # fmt: skip
    return [kind(number == wrong) for number, kind in enumerate(kinds)]


class Net:
    """As courses write them; loop: whether its own backward walks the right way."""

    def __init__(self, held: Any, name: str = "layers", loop: bool = True) -> None:
        setattr(self, name, held)
        self.name, self.loop = name, loop

    def _all(self) -> list[Any]:
        held = getattr(self, self.name)
        return list(held.values()) if isinstance(held, dict) else list(held)

    def forward(self, x: Array) -> Array:
        for layer in self._all():
            x = layer.forward(x)
        return x

    def backward(self, dout: Array) -> Array:
        for layer in reversed(self._all()):
            dout = layer.backward(dout)
        return dout if self.loop else 2 * dout


FORMS: dict[str, tuple[Callable[[list[Any]], Any], str]] = {
    "a list": (lambda held: held, "layer"),
    "layers": (lambda held: Net(held), "layers"),
    "modules": (lambda held: Net(held, "modules"), "modules"),
    "a tuple": (lambda held: Net(tuple(held)), "layers"),
    "a dict": (lambda held: Net(OrderedDict((str(n), layer) for n, layer in enumerate(held))), "layers"),
    "pairs": (lambda held: [(layer.forward, layer.backward) for layer in held], "layer"),
}


CASES = some(product(FORMS, [None, 0, 1, 2, 3, 4]), 13, itemgetter(0), itemgetter(1))


@pytest.mark.turns(3)
@pytest.mark.parametrize(("form", "wrong"), CASES)
def test_only_the_layer_that_is_wrong_is_blamed(form: str, wrong: int | None) -> None:
    made, name = FORMS[form]
    verdict = verify(made(layers(wrong)), args=(X,))
    assert verdict.verdict == ("right" if wrong is None else "wrong"), str(verdict)
    blamed = {finding.name.partition(" ")[0] for finding in verdict.findings}
    assert blamed == (set() if wrong is None else {f"{name}[{wrong}]"})
    if wrong in (0, 2, 4):
        assert verdict.why == ("factor 1/2",)
        assert f"{name}[{wrong}] (Dense): The gradient of x is wrong" in str(verdict)
        assert f"{name}[{wrong}] (Dense)：x 的梯度有错" in verdict.text("zh")


@pytest.mark.parametrize("form", ["a list", "layers"])
def test_a_layer_that_is_meant_is_judged_by_its_formula(form: str) -> None:
    meant = ["dense", "tanh", None, cr.Tanh(), "dense"]
    assert_backward(FORMS[form][0](layers(None)), args=(X,), like=meant)
    verdict = verify(FORMS[form][0](layers(3)), args=(X,), like=meant)
    (wrong,) = verdict.findings
    assert wrong.name.startswith(f"{FORMS[form][1]}[3]")
    assert wrong.mistake == "power only"
    assert str(verdict).count("judged by the formulas of") == 3


@pytest.mark.parametrize("like", ["dense", ["dense", "tanh"], cr.Dense(3)])
def test_one_meaning_for_each_layer(like: Any) -> None:
    with pytest.raises(ArgumentError, match=r"there are 5 layers: write one for each in their order"):
        verify(layers(None), args=(X,), like=like)


def test_the_layers_are_right_and_the_network_s_own_loop_is_not() -> None:
    assert_backward(Net(layers(None)), args=(X,))
    verdict = verify(Net(layers(None), loop=False), args=(X,))
    assert {finding.name for finding in verdict.findings} == {"Net: x"}
    assert verdict.why == ("factor 2",)


def test_every_layer_gets_its_true_input() -> None:
    held = layers(None)
    subjects = layers_of(held, (X,))
    x = X
    for layer, subject in zip(held, subjects, strict=True):
        assert np.array_equal(subject.args[0], x)
        x = layer.forward(x)
    assert [subject.title for subject in subjects][:2] == ["layer[0] (Dense)", "layer[1] (Tanh)"]


def test_two_functions_are_a_pair_and_no_network() -> None:
    assert layers_in((np.tanh, np.cosh)) == {}
    assert layers_in(Dense(2, 3)) == {}
    assert layers_in(Net([])) == {}
    assert layers_in(Net([1, 2])) == {}
    assert list(layers_in([Dense(4, 3), Dense(3, 2)])) == ["layer[0]", "layer[1]"]
    with pytest.raises(ArgumentError, match="there is no list of layers"):
        layers_of(Dense(2, 3), (X,))


def test_an_error_of_a_layer_names_it() -> None:
    held = [Dense(4, 6), Dense(5, 2)]
    with pytest.raises(DataError, match=r"layer\[1\]: Dense.forward raised ValueError: matmul"):
        verify(held, args=(X,))
