"""Backward passes that were once called right, or by another mistake's name, or ended in an error."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.verifying import backwards as b

import chainrule as cr
from chainrule.base.types import Array
from chainrule.verifying.source import named

RNG = np.random.default_rng(6)


def normal(*shape: int) -> Array:
    return RNG.normal(size=shape)


ARGS = normal(5, 3), normal(3, 4), normal(4)


def right(d: Array, cache: Any) -> tuple[Array, ...]:
    x, w, _ = cache
    return d @ w.T, x.T @ d, d.sum(axis=0)


def affine(x: Array, w: Array, c: Array) -> Any:
    return x @ w + c, (x, w, c)


@pytest.mark.parametrize("like", [None, "dense"])
def test_no_gradient_at_all_is_wrong(like: str | None) -> None:
    assert cr.verify((affine, lambda d, cache: None), args=ARGS, like=like).why == ("nothing returned",)


def test_an_output_without_a_number_is_no_crash() -> None:
    def forward(x: Array, w: Array, c: Array) -> Any:
        return affine(x, w, c)[0] * np.inf, (x, w, c)

    assert "forward" in cr.verify((forward, right), args=ARGS, like="dense").why
    assert cr.verify((forward, right), args=ARGS).verdict != "right"


def test_right_for_a_delta_with_both_signs_only() -> None:
    def cheat(d: Array, cache: Any) -> Any:
        return right(d, cache) if (d < 0).any() else tuple(0 * value for value in right(d, cache))

    assert set(cr.verify((affine, cheat), args=ARGS, like="dense").why) == {"not additive in δ"}


def test_an_iterator_in_the_cache_serves_one_pass() -> None:
    def forward(x: Array) -> Any:
        kept = []
        for _ in range(3):
            x = np.tanh(x)
            kept.append(x)
        return x, iter(kept[::-1])

    def backward(d: Array, kept: Any) -> Array:
        for a in kept:
            d = d * (1 - a * a)
        return d

    assert cr.verify((forward, backward), args=(normal(4, 5),))


def test_a_return_within_the_loop() -> None:
    def backward(d: Array, cache: Any) -> Any:
        x, w, _ = cache
        dx = np.zeros_like(x)
        dx[0] = w @ d[0]
        return dx, x.T @ d, d.sum(axis=0)

    assert cr.verify((affine, backward), args=ARGS, like="dense").why == ("ended early",)


@pytest.mark.parametrize(("kept", "word"), [(slice(1), "first left out"), (slice(-1, None), "last left out")])
def test_a_loop_that_is_too_short(kept: slice, word: str) -> None:
    def backward(d: Array, cache: Any) -> Any:
        dx, dw, db = right(d, cache)
        dx[kept] = 0
        return dx, dw, db

    assert cr.verify((affine, backward), args=ARGS, like="dense").why == (word,)


def convolved(mistake: str) -> Any:
    back = b.convolution_back(1, 0)

    def backward(d: Array, cache: Any) -> Any:
        dx, dw, db = back(d, cache)
        if mistake == "turned and divided":
            return dx, dw[..., ::-1, ::-1] / len(dx), db
        x, w, *rest = cache
        read = w.swapaxes(2, 3) if mistake == "exchanged" else w[:, :, ::-1]
        return back(d, (x, read, *rest))[0], dw, db

    return backward


@pytest.mark.parametrize(
    ("mistake", "word"),
    [
        ("turned and divided", "turned round and factor 1/m"),
        ("exchanged", "misread"),
        ("reversed", "misread backwards"),
    ],
)
def test_orders_that_are_two_mistakes_or_of_another_argument(mistake: str, word: str) -> None:
    args = normal(3, 2, 7, 6), normal(4, 2, 3, 3), normal(4)
    verdict = cr.verify((b.convolution(1, 0), convolved(mistake)), args=args, like="conv2d")
    assert verdict.why == (word,), verdict


class RunningNorm:
    """Batch normalisation that goes back by its running variance."""

    def __init__(self) -> None:
        self.gamma, self.beta, self.running = np.linspace(0.5, 2, 4), np.zeros(4), np.ones(4)

    def forward(self, x: Array) -> Array:
        variance = x.var(axis=0)
        self.running = 0.9 * self.running + 0.1 * variance
        self.unit = (x - x.mean(axis=0)) / np.sqrt(variance + 1e-5)
        return self.gamma * self.unit + self.beta

    def backward(self, d: Array) -> Array:
        self.dgamma, self.dbeta = (d * self.unit).sum(axis=0), d.sum(axis=0)
        e = d * self.gamma
        inner = e - e.mean(axis=0) - self.unit * (e * self.unit).mean(axis=0)
        return inner / np.sqrt(self.running + 1e-5)


def test_running_statistics_in_place_of_the_batchs() -> None:
    assert cr.verify(RunningNorm(), args=(normal(6, 4),), like="batchnorm").why == ("running statistics",)


def test_one_less_than_the_samples_which_is_0_of_one_sample() -> None:
    def forward(x: Array, gamma: Array, beta: Array) -> Any:
        r = 1 / np.sqrt(x.var(axis=0) + 1e-5)
        unit = (x - x.mean(axis=0)) * r
        return gamma * unit + beta, (unit, r, gamma)

    def backward(d: Array, cache: Any) -> Any:
        unit, r, gamma = cache
        e, n = d * gamma, len(d)
        dx = r * (e - e.sum(axis=0) / n - unit * (e * unit).sum(axis=0) / (n - 1))
        return dx, (d * unit).sum(axis=0), d.sum(axis=0)

    args = normal(6, 4), normal(4), normal(4)
    assert cr.verify((forward, backward), args=args, like="batchnorm").why == ("less one",)


def test_sums_of_few_digits_in_any_order_are_right_without_a_formula() -> None:
    """float32 and a large mean; and as little off on purpose it is wrong."""

    def forward(x: Array) -> Any:
        return x.var(axis=0), x

    def backward(d: Array, x: Array) -> Any:
        return 2 * d * (x - x.mean(axis=0)) / len(x)

    def off(d: Array, x: Array) -> Any:
        return backward(d, x) * x.dtype.type(1.001 if x.dtype == np.float32 else 1)

    args = ((normal(50, 3) + 100).astype("f"),)
    verdict = cr.verify(forward, backward, args=args)
    assert verdict
    assert "the same code is right in float64" in str(verdict)
    assert cr.verify(forward, off, args=args).verdict == "wrong"


def test_symmetric_matrices_stay_symmetric() -> None:
    def forward(a: Array) -> Any:
        factor = np.linalg.cholesky(a)
        return factor, factor

    def backward(d: Array, factor: Array) -> Array:
        phi = np.tril(factor.T @ d)
        phi[np.diag_indices(len(phi))] /= 2
        inverse = np.linalg.inv(factor)
        made = inverse.T @ phi @ inverse
        return np.asarray((made + made.T) / 2)

    root = normal(4, 4)
    args = (root @ root.T + 4 * np.eye(4),)
    assert cr.verify(forward, backward, args=args)
    assert cr.verify(forward, lambda d, factor: 2 * backward(d, factor), args=args).verdict == "wrong"


def test_what_nothing_moves_cannot_be_told() -> None:
    verdict = cr.verify(lambda x: (np.zeros_like(x), x), lambda d, x: np.zeros_like(x), args=(normal(3, 4),))
    assert verdict.verdict == "cannot tell"


def test_without_a_formula_other_sizes_and_large_numbers_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(named, "MOST_LINES", 0)

    def first_rows(d: Array, cache: Any) -> Any:
        return *right(d, cache)[:2], d[:5].sum(axis=0)

    def clipped(d: Array, cache: Any) -> Any:
        x, w, _ = cache
        return d @ w.T, np.clip(x, -4, 4).T @ d, d.sum(axis=0)

    assert cr.verify(affine, first_rows, args=ARGS).why == ("given shapes only",)
    assert cr.verify(affine, clipped, args=ARGS).why == ("given numbers only",)


def test_a_forward_that_ignores_what_is_too_much_is_asked_for_matching_sizes() -> None:
    def loss(x: Array, y: Array) -> Any:
        rows = np.arange(len(y))
        p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
        d = p.copy()
        d[rows, y] -= 1
        return -np.log(p[rows, y]).mean(), d / len(y)

    assert cr.verify(loss, args=(normal(6, 4), RNG.integers(0, 4, 6)))
