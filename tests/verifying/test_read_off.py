"""What the forward pass tells and nobody has to: ε, slopes, rates, masks drawn within it, a larger type."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.base.types import Array

RNG = np.random.default_rng(5)


def normal(*shape: int) -> Array:
    return RNG.normal(size=shape)


def normalised(epsilon: float) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Layer normalisation over the last axis."""

    def forward(x: Array, gamma: Array, beta: Array) -> Any:
        r = 1 / np.sqrt(x.var(axis=-1, keepdims=True) + x.dtype.type(epsilon))
        unit = (x - x.mean(axis=-1, keepdims=True)) * r
        return gamma * unit + beta, (unit, r, gamma)

    def backward(d: Array, cache: Any) -> Any:
        unit, r, gamma = cache
        e = d * gamma
        inner = e - e.mean(axis=-1, keepdims=True) - unit * (e * unit).mean(axis=-1, keepdims=True)
        return r * inner, (d * unit).sum(axis=0), d.sum(axis=0)

    return forward, backward


@pytest.mark.parametrize("epsilon", [1e-3, 1e-5, 1e-8, 1e-12, 0.0])
@pytest.mark.parametrize(("dtype", "size"), [("float64", 1.0), ("float64", 200.0), ("float32", 1.0)])
def test_epsilon_is_read_off(epsilon: float, dtype: str, size: float) -> None:
    args = [value.astype(dtype) for value in (size * normal(4, 7), normal(7), normal(7))]
    verdict = cr.verify(normalised(epsilon), args=tuple(args), like="layernorm")
    assert verdict, verdict


def test_an_epsilon_that_is_told_is_meant() -> None:
    verdict = cr.verify(
        normalised(1e-2), args=(normal(4, 7), normal(7), normal(7)), like="layernorm", eps=1e-5
    )
    assert verdict.why == ("forward",)


@pytest.mark.parametrize("slope", [0.2, 0.3, 0.01])
def test_the_slope_below_0_is_read_off(slope: float) -> None:
    def forward(x: Array) -> Any:
        return np.where(x > 0, x, slope * x), x

    right = (forward, lambda d, x: d * np.where(x > 0, 1, slope))
    assert cr.verify(right, args=(normal(4, 6),), like="leaky_relu")
    wrong = cr.verify((forward, lambda d, x: d * (x > 0)), args=(normal(4, 6),), like="leaky_relu")
    assert all(wrong.why)
    assert "forward" not in wrong.why


def test_the_place_of_hubers_kink_is_read_off() -> None:
    def loss(p: Array, t: Array) -> Any:
        e = p - t
        return np.where(abs(e) < 2, 0.5 * e * e, 2 * abs(e) - 2).mean(), np.clip(e, -2, 2) / e.size

    assert cr.verify(loss, args=(5 * normal(5, 3), normal(5, 3)), like="huber")


class Drop:
    """Its own generator of random numbers."""

    def __init__(self, rng: Any) -> None:
        self.rng = rng

    def forward(self, x: Array) -> Array:
        drawn = [self.rng.random() for _ in range(x.size)]
        self.mask = (np.reshape(drawn, x.shape) > 0.4) / 0.6
        return x * self.mask

    def backward(self, dout: Array) -> Array:
        return dout * self.mask


GENERATORS = {
    "Generator": lambda: np.random.default_rng(3),
    "RandomState": lambda: np.random.RandomState(3),
    "random.Random": lambda: random.Random(3),
}


@pytest.mark.turns(2)
@pytest.mark.parametrize("kind", GENERATORS)
@pytest.mark.parametrize("like", [None, "dropout"])
def test_generators_that_are_kept(kind: str, like: str | None) -> None:
    generator = GENERATORS[kind]()
    before = repr(getattr(generator, "bit_generator", generator))
    verdict = cr.verify(Drop(generator), args=(normal(5, 8),), like=like)
    assert verdict, verdict
    assert repr(getattr(generator, "bit_generator", generator)) == before

    def forward(x: Array) -> Any:  # closed over
        mask = np.reshape([generator.random() for _ in range(x.size)], x.shape) > 0.4
        return x * mask / 0.6, mask

    next_one = generator.random()
    again = GENERATORS[kind]()
    again.random()
    assert cr.verify((forward, lambda d, m: d * m / 0.6), args=(normal(5, 8),), like=like)
    assert next_one != generator.random() == again.random()


def dropped(x: Array) -> Any:
    mask = np.random.rand(*x.shape) > 0.3  # noqa: NPY002
    return x * mask / 0.7, mask


def fresh_mask(d: Array, mask: Array) -> Array:
    return d * (np.random.rand(*d.shape) > 0.3) / 0.7  # noqa: NPY002


MISTAKES = {
    "scale": (lambda d, m: d * m, "divide only"),
    "mask": (lambda d, m: d / 0.7, "multiply only"),
    "another mask": (fresh_mask, "random"),
}


@pytest.mark.parametrize("options", [{}, {"rate": 0.3}])
@pytest.mark.parametrize("name", MISTAKES)
def test_dropout_that_draws_its_mask(name: str, options: dict[str, float]) -> None:
    wrong, word = MISTAKES[name]
    assert cr.verify((dropped, wrong), args=(normal(5, 8),), like="dropout", **options).why == (word,)
    assert cr.verify((dropped, lambda d, m: d * m / 0.7), args=(normal(5, 8),), like="dropout", **options)


def test_a_forward_that_computes_in_a_larger_type() -> None:
    def forward(x: Array) -> Any:
        return np.tanh(x / np.sqrt(np.float64(8))), x

    def backward(d: Array, x: Array) -> Array:
        return d * (1 - np.tanh(x / np.sqrt(np.float64(8))) ** 2) / np.sqrt(np.float64(8))

    verdict = cr.verify((forward, backward), args=(normal(4, 6).astype(np.float32),))
    assert verdict
    assert "float64" in str(verdict)
    smaller = cr.verify((forward, lambda d, x: backward(d, x).astype(np.float32)), args=(normal(4, 6),))
    assert "wrong dtype" in smaller.why


def test_a_single_number() -> None:
    def forward(x: Array) -> Any:
        return np.tanh(x), x

    x = np.array(0.3)
    assert cr.verify((forward, lambda d, x: d * (1 - np.tanh(x) ** 2)), args=(x,), like="tanh")
    wrong = cr.verify((forward, lambda d, x: d * (1 - np.tanh(x))), args=(x,), like="tanh")
    assert wrong.why == ("power only",)


def test_gelu_by_its_approximation() -> None:
    k = float(np.sqrt(2 / np.pi))

    def forward(x: Array) -> Any:
        return 0.5 * x * (1 + np.tanh(k * (x + 0.044715 * x**3))), x

    def backward(d: Array, x: Array, inner: float = 3 * 0.044715) -> Array:
        t = np.tanh(k * (x + 0.044715 * x**3))
        return d * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * k * (1 + inner * x * x))

    assert cr.verify((forward, backward), args=(normal(3, 5),), like="gelu")
    wrong = cr.verify((forward, lambda d, x: backward(d, x, 0.0)), args=(normal(3, 5),), like="gelu")
    assert wrong.verdict == "wrong"
    assert "forward" not in wrong.why
