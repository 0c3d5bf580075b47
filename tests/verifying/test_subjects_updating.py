"""Objects that make the step themselves: their gradients are read off what it changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.pairwise import each
from tests.verifying import backwards as b

from chainrule.base.errors import ArgumentError
from chainrule.base.types import Array
from chainrule.verifying.verify import verify


class Layer:
    """dW is kept nowhere: what a step changes is all there is."""

    def __init__(self, wrong: bool = False, dtype: str = "float64", size: float = 1.0) -> None:
        self.weights = (size * b.AFFINE[1]).astype(dtype)
        self.bias = b.AFFINE[2].astype(dtype)
        self.wrong = wrong

    def forward(self, x: Array) -> Array:
        self.x = x
        return x @ self.weights + self.bias

    def made(self, dout: Array) -> tuple[Array, Array, Array]:
        db = dout.mean(axis=0) if self.wrong else dout.sum(axis=0)
        return dout @ self.weights.T, self.x.T @ dout, db


class ByArgument(Layer):
    def backward(self, dout: Array, lr: float) -> Array:
        dx, dw, db = self.made(dout)
        self.weights -= lr * dw
        self.bias = self.bias - lr * db
        return dx


class ByDefault(Layer):
    def backward(self, grad: Array, learning_rate: float = 0.01) -> Array:
        dx, dw, db = self.made(grad)
        self.weights, self.bias = self.weights - learning_rate * dw, self.bias - learning_rate * db
        return dx


class ByAttribute(Layer):
    learning_rate: float

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.learning_rate = 0.1

    def backward(self, dout: Array) -> Array:
        dx, dw, db = self.made(dout)
        self.weights -= self.learning_rate * dw
        self.bias -= self.learning_rate * db
        return dx


class ByUpdate(Layer):
    def backward(self, dout: Array) -> Array:
        dx, *self.steps = self.made(dout)
        return dx

    def update(self, lr: float) -> None:
        self.weights -= lr * self.steps[0]
        self.bias -= lr * self.steps[1]


class ByStep(ByUpdate):
    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.lr = 1e-3

    update = None  # type: ignore[assignment]

    def step(self) -> None:
        ByUpdate.update(self, self.lr)


class Refusing(ByArgument):
    def backward(self, dout: Array, lr: float) -> Array:
        if not 0 < lr <= 1:
            raise ValueError("the learning rate must be at most 1")
        return ByArgument.backward(self, dout, lr)


FORMS = {kind.__name__: kind for kind in (ByArgument, ByDefault, ByAttribute, ByUpdate, ByStep, Refusing)}


CASES = each(FORMS, ["float64", "float32"], [1.0, 300.0], turns=2)


@pytest.mark.parametrize(("form", "dtype", "size"), CASES)
def test_gradients_are_read_off_the_step(form: str, dtype: str, size: float) -> None:
    if form == "Refusing":
        size = 1.0  # with a rate of 1 what is added to large weights is rounded off
    x = b.AFFINE[0].astype(dtype)
    verdict = verify(FORMS[form](False, dtype, size), args=(x,), like="dense")
    assert verdict, str(verdict)
    said = [note.en for note in verdict.notes if "divided by the rate" in note.en]
    assert len(said) == 1
    assert f"{form}." in said[0]
    verdict = verify(FORMS[form](True, dtype, size), args=(x,), like="dense")
    assert [finding.name for finding in verdict.findings] == ["bias"], str(verdict)
    assert verdict.why == ("factor 1/m",)


def test_a_step_before_the_gradient_of_the_input_is_named() -> None:
    class Early(ByArgument):
        def backward(self, dout: Array, lr: float) -> Array:
            super().backward(dout, lr)
            return dout @ self.weights.T

    verdict = verify(Early(), args=(b.AFFINE[0],), like="dense")
    assert verdict.why == ("updated before",), str(verdict)


def test_what_is_kept_is_read_and_no_step_is_made() -> None:
    class Kept(ByArgument):
        def backward(self, dout: Array) -> Array:  # type: ignore[override]
            dx, self.dweights, self.dbias = self.made(dout)
            return dx

        def update(self, lr: float) -> None:
            raise AssertionError("not asked for")

    verdict = verify(Kept(), args=(b.AFFINE[0],), like="dense")
    assert verdict, str(verdict)
    assert "divided by the rate" not in str(verdict)


def test_what_only_learns_is_told_what_to_write() -> None:
    class Model:
        def fit(self, x: Array, y: Array) -> None: ...

        def predict(self, x: Array) -> Array:
            return x

    with pytest.raises(ArgumentError, match=r"Model learns and shows no gradient.*backward\(dout, lr\)"):
        verify(Model(), args=(b.AFFINE[0],))


class Named:
    """Parameters whose names say nothing, beside what a step moves, too, and is none."""

    def __init__(self, wrong: bool = False, momentum: float = 0.0) -> None:
        self.lr, self.wrong, self.momentum = 0.01, wrong, momentum
        self.a, self.c = np.array([0.5, -1.2, 0.8, 1.1]), np.array([0.3, 0.1, -0.6, 0.2])
        self.pace, self.mean = np.zeros(4), np.zeros(4)

    def forward(self, x: Array) -> Array:
        self.x, self.mean = x, 0.9 * self.mean + 0.1 * x.mean(axis=0)
        self.s = np.tanh(self.a * x + self.c)
        return np.asarray(x * self.s)

    def backward(self, dout: Array) -> Array:
        dz = dout * self.x * (1 - self.s**2)
        dx = dout * self.s + dz * self.a
        self.pace = self.momentum * self.pace - self.lr * (dz * self.x).sum(axis=0)
        self.a += self.pace
        self.c -= self.lr * (dz.mean(axis=0) if self.wrong else dz.sum(axis=0))
        return np.asarray(dx)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_parameters_of_any_name_are_told_by_the_step(momentum: float) -> None:
    """They were no parameters, so that dx was another one behind the step: a false alarm."""
    verdict = verify(Named(False, momentum), args=(b.AFFINE[0],))
    assert verdict, str(verdict)
    assert "divided by the rate" in str(verdict)
    wrong = verify(Named(True, momentum), args=(b.AFFINE[0],))
    assert wrong.why == ("factor 1/m",), str(wrong)
    assert [found.name for found in wrong.findings] == ["c"]
