"""Two mistakes at once: in two layers of a network that somebody wrote, each is named."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from tests.pairwise import some

import chainrule as cr
from chainrule.verifying.verify import verify

RNG = np.random.default_rng(2)
ARGS = (
    RNG.normal(size=(7, 4)), RNG.integers(0, 3, 7), *(
        RNG.normal(size=shape) for shape in ((4, 5), (5,), (5, 6), (6,), (6, 3), (3,))
    ),
)  # fmt: skip
LIKE = [cr.Dense(5), cr.Tanh(), cr.Dense(6), cr.ReLU(), cr.Dense(3), cr.Softmax()]


def network(wrong: dict[str, Callable[..., Any]]) -> Any:
    """Dense, tanh, dense, ReLU, dense, softmax and cross-entropy; `wrong` has other pieces of it."""

    def of(piece: str, right: Callable[..., Any], *values: Any) -> Any:
        return wrong.get(piece, right)(*values)

    def J(X: Any, y: Any, W1: Any, b1: Any, W2: Any, b2: Any, W3: Any, b3: Any) -> Any:
        h1 = np.tanh(X @ W1 + b1)
        h2 = np.maximum(0, h1 @ W2 + b2)
        e = np.exp(h2 @ W3 + b3)
        p = e / e.sum(axis=1, keepdims=True)
        t = np.eye(3)[y]
        d3 = of("loss", lambda p, t: (p - t) / len(p), p, t)
        d2 = of("relu", lambda d, a: d * (a > 0), of("dense3", lambda d, W: d @ W.T, d3, W3), h2)
        d1 = of("tanh", lambda d, a: d * (1 - a**2), of("dense2", lambda d, W: d @ W.T, d2, W2), h1)
        gradients = {
            "W3": of("W3", lambda x, d: x.T @ d, h2, d3), "b3": d3.sum(0),
            "W2": of("W2", lambda x, d: x.T @ d, h1, d2), "b2": of("b2", lambda d: d.sum(0), d2),
            "W1": X.T @ d1, "b1": of("b1", lambda d: d.sum(0), d1),
        }  # fmt: skip
        return -np.log(p[range(len(y)), y]).mean(), gradients

    return J


MISTAKES: dict[str, tuple[Callable[..., Any], str]] = {
    "loss": (lambda p, t: p - t, "factor m"),
    "relu": (lambda d, a: d, "multiply only"),
    "dense3": (lambda d, W: -(d @ W.T), "minus"),
    "tanh": (lambda d, a: d * (1 - a), "power only"),
    "dense2": (lambda d, W: 2 * d @ W.T, "factor 2"),
    "W3": (lambda x, d: x.T @ d / len(d), "factor 1/m"),
    "W2": (lambda x, d: x[1:].T @ d[1:], "rest"),
    "b2": (lambda d: d.mean(0), "factor 1/m"),
    "b1": (lambda d: d[-1], "last"),
}


@pytest.mark.parametrize("names", some(combinations(MISTAKES, 2), 6), ids="-".join)
def test_mistakes_in_two_layers_are_both_named(names: tuple[str, str]) -> None:
    J = network({name: MISTAKES[name][0] for name in names})
    verdict = verify(J, args=ARGS, like=LIKE, loss="cross_entropy")
    assert verdict.verdict == "wrong"
    assert all(verdict.why), str(verdict)
    said = " ".join(verdict.why)
    for name in names:
        words = (MISTAKES[name][1], "factor", "minus", "negative", "twice", "swapped")
        assert any(word in said for word in words), str(verdict)


def test_two_mistakes_behind_the_same_arrays() -> None:
    """Of tanh and of the layer above: nothing stands between them that would show one alone."""
    wrong = {"tanh": lambda d, a: d * (1 + a**2), "dense2": lambda d, W: abs(d) @ W.T}
    verdict = verify(network(wrong), args=ARGS, like=LIKE, loss="cross_entropy")
    assert verdict.verdict == "wrong"  # |δ| is no mistake that a formula offers: no cause is invented
    known = {"tanh": lambda d, a: d * (1 + a**2), "relu": lambda d, a: d * a}
    verdict = verify(network(known), args=ARGS, like=LIKE, loss="cross_entropy")
    assert all(verdict.why), str(verdict)


def test_the_right_one_is_right() -> None:
    assert verify(network({}), args=ARGS, like=LIKE, loss="cross_entropy")
