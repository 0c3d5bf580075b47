"""Backward passes that cheat or break the contract, each with the word it is refused by.

Every entry makes a fresh pair (forward, backward) of the affine layer, since some remember calls.
"""

from __future__ import annotations

import gc
import inspect
import random
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from tests.verifying import backwards as b

import chainrule as cr
from chainrule.base.types import Array
from chainrule.reference.passes import layer_backward

Pair = tuple[Callable[..., Any], Callable[..., Any]]
DX = Callable[[Array, Array, Array], Array]


def dx(function: DX) -> Pair:
    """The affine layer with another gradient of x."""
    return b.affine, b.affine_of(dx=function)


def right(d: Array, x: Array, w: Array) -> Array:
    return np.asarray(d @ w.T)


# -- what is kept
def first_call() -> Pair:
    kept: list[Array] = []

    def below(d: Array, x: Array, w: Array) -> Array:
        kept.append(right(d, x, w))
        return kept[0] if kept[0].shape == x.shape else kept[-1]

    return dx(below)


def by_shape() -> Pair:
    kept: dict[Any, Array] = {}
    return dx(lambda d, x, w: kept.setdefault(x.shape, right(d, x, w)))


def by_identity() -> Pair:
    kept: dict[int, tuple[Array, Array]] = {}  # with the array, so that its identity is not given away
    return dx(lambda d, x, w: kept.setdefault(id(x), (x, right(d, x, w)))[1])


def by_value() -> Pair:
    shown = b.AFFINE[0].copy()

    def below(d: Array, x: Array, w: Array) -> Array:
        return right(d, x, w) * (1.0 if np.array_equal(x, shown) else 0.5)

    return dx(below)


def adding_up() -> Pair:
    total = np.zeros(b.AFFINE[1].shape)

    def weights(d: Array, x: Array, w: Array) -> Array:
        nonlocal total
        total = total + x.T @ d
        return total

    return b.affine, b.affine_of(dw=weights)


def one_cache() -> Pair:
    kept: dict[str, Any] = {}

    def forward(x: Array, w: Array, c: Array) -> Any:
        kept["x"] = x
        return x @ w + c, (x, w, c)

    return forward, b.affine_of(dw=lambda d, x, w: kept["x"].T @ d if kept["x"].shape == x.shape else x.T @ d)


def used_up() -> Pair:
    def forward(x: Array, w: Array, c: Array) -> Any:
        return x @ w + c, [x.copy(), w, c]

    def backward(d: Array, cache: Any) -> Any:
        x, w, _ = cache
        made = d @ w.T, x.T @ d, d.sum(axis=0)
        x *= 0
        return made

    return forward, backward


# -- what is asked of us
def asks_a_layer() -> Pair:
    layer = cr.Dense(5)
    return dx(lambda d, x, w: np.asarray(layer.delta(d.T, w.T)).T)


def asks_the_reference() -> Pair:
    layer = cr.Dense(5)

    def below(d: Array, x: Array, w: Array) -> Array:
        given = {"W": w.T, "b": np.zeros(w.shape[1])}
        return layer_backward(layer, d.T, x.T, (x @ w).T, given)[0].T

    return dx(below)


def asks_a_network() -> Pair:
    network = cr.Network([cr.Dense(5)], input_shape=4, dtype="float64")

    def below(d: Array, x: Array, w: Array) -> Array:
        network.backpropagate(x, np.zeros((len(x), 5)), loss=cr.SquaredError())
        return right(d, x, w)

    return dx(below)


def looks(way: str) -> Pair:
    def below(d: Array, x: Array, w: Array) -> Array:
        frames = sys._getframe() if way == "frame" else inspect.stack()
        return right(d, x, w) if frames else x

    return dx(below)


class Zeros:
    """A function that is equal to any."""

    def __call__(self, value: Array, *rest: Any, **more: Any) -> Array:
        return np.zeros_like(value)

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


def replaces() -> Pair:
    def below(d: Array, x: Array, w: Array) -> Array:
        np.abs = Zeros()  # type: ignore[assignment]
        return np.asarray(3 * right(d, x, w))

    return dx(below)


def spies() -> Pair:
    return dx(lambda d, x, w: right(d, x, w) if gc.get_objects() else x)


# -- what depends on what must not matter
def as_in_memory(value: Array) -> Array:
    """The numbers in the order in which they lie in memory, as a kernel reads them that knows no strides."""
    return value.ravel(order="K").reshape(value.shape)


CHEATS: dict[str, tuple[Callable[[], Pair], str]] = {
    "zeros": (lambda: dx(lambda d, x, w: np.zeros_like(x)), "zeros"),
    "a constant": (lambda: dx(lambda d, x, w: np.full_like(x, 0.3)), "constant"),
    "ones": (lambda: dx(lambda d, x, w: np.ones_like(x)), "constant"),
    "the input": (lambda: dx(lambda d, x, w: x), "input returned"),
    "a copy of the input": (lambda: dx(lambda d, x, w: x.copy()), "input returned"),
    "the first call": (first_call, "kept result"),
    "kept by shape": (by_shape, "kept result"),
    "kept by identity": (by_identity, "kept result"),
    "right for the shown numbers": (by_value, "given numbers only"),
    "right for the shown shapes": (
        lambda: dx(lambda d, x, w: right(d, x, w) if len(x) == 3 else 0.5 * right(d, x, w)),
        "given shapes only",
    ),
    "raises for other shapes": (
        lambda: dx(lambda d, x, w: right(d, x, w) + np.zeros((3, 4))),
        "given shapes only",
    ),
    "the input changed": (lambda: dx(lambda d, x, w: (x.__imul__(2), right(d, x, w))[1]), "input modified"),
    "the input written on": (
        lambda: dx(lambda d, x, w: (x.__imul__(1), right(d, x, w))[1]),
        "writes into its arguments",
    ),
    "δ changed": (lambda: dx(lambda d, x, w: (right(d, x, w), d.__imul__(2))[0]), "δ modified"),
    "a layer asked": (asks_a_layer, "reference called"),
    "the reference asked": (asks_the_reference, "reference called"),
    "a network asked": (asks_a_network, "reference called"),
    "looks at frames": (lambda: looks("frame"), "looks at its caller"),
    "looks at the stack": (lambda: looks("stack"), "looks at its caller"),
    "looks at all objects": (spies, "looks at its caller"),
    "replaces NumPy's functions": (replaces, "functions replaced"),
    "right for one block of samples": (
        lambda: dx(lambda d, x, w: np.concatenate([right(d[:16], x, w), 0 * x[16:]])),
        "given shapes only",
    ),
    "NumPy's random numbers": (
        lambda: dx(lambda d, x, w: right(d, x, w) * (1 + 1e-3 * np.random.normal())),  # noqa: NPY002
        "random",
    ),
    "Python's random numbers": (lambda: dx(lambda d, x, w: right(d, x, w) * random.random()), "random"),
    "a generator's": (
        lambda: dx(lambda d, x, w: right(d, x, w) * np.random.default_rng().random()),
        "not repeatable",
    ),
    "adds up": (adding_up, "accumulated"),
    "one cache for all": (one_cache, "stale cache"),
    "a cache that is used up": (used_up, "cache changed"),
    "as it lies in memory": (
        lambda: (b.affine, b.affine_of(dw=lambda d, x, w: as_in_memory(x).T @ d)),
        "contiguous only",
    ),
    "δ as it lies in memory": (lambda: dx(lambda d, x, w: as_in_memory(d) @ w.T), "contiguous only"),
    "float64 alone": (
        lambda: dx(lambda d, x, w: right(d, x, w) * (1 if x.dtype == np.float64 else 7).__int__()),
        "float64 only",
    ),
    "no derivative of |δ|": (lambda: dx(lambda d, x, w: np.abs(d) @ w.T), "not additive in δ"),
    "δ clipped": (lambda: dx(lambda d, x, w: np.clip(d, -0.5, 0.5) @ w.T), "not linear in δ"),
    "δ normed": (lambda: dx(lambda d, x, w: d / np.linalg.norm(d) @ w.T), "not linear in δ"),
    "samples mixed": (lambda: dx(lambda d, x, w: (d - d.mean(axis=0)) @ w.T), "samples mixed"),
}  # fmt: skip


class Adding:
    """An object that never clears its gradient."""

    def __init__(self) -> None:
        self.W, self.b = np.array(b.AFFINE[1]), np.array(b.AFFINE[2])
        self.dW, self.db = np.zeros_like(self.W), np.zeros_like(self.b)

    def forward(self, x: Array) -> Array:
        self.x = x
        return np.asarray(x @ self.W + self.b)

    def backward(self, dout: Array) -> Array:
        self.dW = self.dW + self.x.T @ dout
        self.db = dout.sum(axis=0)
        return np.asarray(dout @ self.W.T)


class Clearing(Adding):
    """As PyTorch: it adds up, and has a way to clear."""

    def zero_grad(self) -> None:
        self.dW = np.zeros_like(self.W)
