"""Which judge has the word: formulas where the forward pass is theirs, its differences with their noise, and
when neither can tell a cause.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.base.types import Array
from chainrule.verifying.differences import differences

RNG = np.random.default_rng(4)


def normal(*shape: int) -> Array:
    return RNG.normal(size=shape)


def softened(z: Array) -> Array:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


# -- the formula, only where the forward pass is its own -----------------------------------------------------
def attention(aligned: str) -> tuple[Any, Any]:
    """Causal, of any numbers of queries and keys: the first sees the first, or the last the last."""

    def forward(q: Array, k: Array, v: Array) -> Any:
        hidden = np.triu_indices(len(q), 1, len(k)) if aligned == "first" else None
        scores = q @ k.T / np.sqrt(q.shape[1])
        if hidden is not None:
            scores[hidden] = -np.inf
        else:
            scores[np.tril(np.ones_like(scores), len(k) - len(q)) == 0] = -np.inf
        A = softened(scores)
        return A @ v, (q, k, v, A)

    def backward(d: Array, cache: Any) -> Any:
        q, k, v, A = cache
        g = d @ v.T
        ds = A * (g - (g * A).sum(axis=1, keepdims=True)) / np.sqrt(q.shape[1])
        return ds @ k, ds.T @ q, A.T @ d

    return forward, backward


@pytest.mark.parametrize("aligned", ["first", "last"])
def test_a_mask_that_agrees_for_the_given_sizes_alone(aligned: str) -> None:
    args = normal(5, 4), normal(5, 4), normal(5, 3)
    forward, backward = attention(aligned)
    assert cr.verify((forward, backward), args=args, like="attention", causal=True)

    def cheat(d: Array, cache: Any) -> Any:  # elsewhere its own differences see it
        made = backward(d, cache)
        return made if len(cache[0]) == len(cache[1]) else tuple(2 * value for value in made)

    if aligned == "last":
        assert cr.verify((forward, cheat), args=args, like="attention", causal=True).verdict == "wrong"


def test_ids_that_come_as_real_numbers() -> None:
    def backward(d: Array, cache: Any) -> Any:
        ids, shape = cache
        made = np.zeros(shape)
        np.add.at(made, ids.astype(int), d)
        return None, made

    def forward(ids: Array, W: Array) -> Any:
        return W[ids.astype(int)], (ids, W.shape)

    args = np.array([[0.0, 2, 2], [1, 4, 2]]), normal(5, 4)
    assert cr.verify((forward, backward), args=args, like="embedding")


def test_a_backward_that_raises_for_other_sizes_of_the_features_is_noted() -> None:
    def backward(d: Array, cache: Any) -> Any:
        x, w = cache
        return (d @ w.T).reshape(-1, 3), x.T @ d

    args = normal(5, 3), normal(3, 4)
    verdict = cr.verify((lambda x, w: (x @ w, (x, w)), backward), args=args, like="dense")
    assert verdict.verdict in ("right", "wrong")

    def fixed(d: Array, cache: Any) -> Any:
        x, w = cache
        return (d @ w.T).reshape(5, 3), x.T @ d

    verdict = cr.verify((lambda x, w: (x @ w, (x, w)), fixed), args=args, like="dense")
    assert "given shapes only" in verdict.why  # the samples' axis is everybody's


# -- differences and their noise -----------------------------------------------------------------------------
def saturated(z: float, wrong: float = 1.0) -> Any:
    """(J, gradients) of dl.ai's cross-entropy by log(1 - A), whose digits are few where A is near 1."""

    def f(w: Array, b: Array) -> Any:
        A = 1 / (1 + np.exp(-(w * z + b)))
        return -np.log(1 - A).sum(), (wrong * z * A, A)

    return f


@pytest.mark.parametrize("z", [5.0, 15.0, 25.0, 30.0])
def test_noise_of_a_forward_pass_is_no_mistake(z: float) -> None:
    args = 1 + 0.01 * normal(3), 0.1 * normal(3)
    assert cr.verify(saturated(z), args=args).verdict != "wrong"
    doubled = cr.verify(saturated(z, 2.0), args=args)
    assert doubled.why == ("factor 2",) if z < 20 else doubled.verdict != "right"


def test_a_forward_in_float32_is_measured_with_its_noise() -> None:
    W = normal(4, 3)

    def forward(args: Any) -> Array:
        return np.tanh(args[0].astype(np.float32) @ W.astype(np.float32)).astype(np.float64)

    x, d = normal(5, 4), normal(5, 3)
    right = (d * (1 - np.tanh(x @ W) ** 2)) @ W.T
    measured = differences(forward, [x], 0, d)
    assert (np.abs(measured.values - right.ravel()) <= 20 * measured.errors).all()
    assert (measured.errors < 1e-2).all()


# -- causes --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("rows", [5, 6, 7])
@pytest.mark.parametrize(("count", "word"), [(3, "factor 3"), (6, "factor 6")])
def test_a_constant_is_no_size(rows: int, count: int, word: str) -> None:
    pair = (lambda x: (np.sin(x) / count, x), lambda d, x: d * np.cos(x))
    assert cr.verify(pair, args=(normal(rows, 4),)).why == (word,)


@pytest.mark.parametrize("columns", [False, True])
def test_a_factor_follows_the_samples_on_whichever_side_they_are(columns: bool) -> None:
    axis = -1 if columns else 0

    def f(X: Array, b: Array) -> Any:
        return np.tanh(X + b).sum() / X.shape[axis], (
            (1 - np.tanh(X + b) ** 2) / X.shape[axis],
            (1 - np.tanh(X + b) ** 2).sum(axis=axis, keepdims=True),
        )

    X = normal(4, 7) if columns else normal(7, 4)
    verdict = cr.verify(f, args=(X, normal(4, 1) if columns else normal(1, 4)))
    assert verdict.why == ("factor n" if columns else "factor m",)
    assert ("n is the size of axis 1 of X" in str(verdict)) == columns


def test_numbers_nearer_than_mistakes_are_told_apart_by_have_no_cause() -> None:
    given = {"by": np.float32(1.0001)}  # which no source tells
    backward = eval("lambda d, cache: (d @ cache[1].T, by * (cache[0].T @ d))", given)
    args = normal(5, 3).astype(np.float32), normal(3, 4).astype(np.float32)
    verdict = cr.verify((lambda x, w: (x @ w, (x, w)), backward), args=args, like="dense")
    assert (verdict.verdict, verdict.why) == ("wrong", ("",))


def test_a_softmax_with_a_temperature_is_not_called_another_mistake() -> None:
    def backward(d: Array, a: Array) -> Array:
        return a * (d - (d * a).sum(axis=-1, keepdims=True)) / 2

    pair = (lambda x: (softened(x / 2), softened(x / 2)), backward)
    verdict = cr.verify(pair, args=(normal(4, 3),), like="softmax")
    assert verdict
    assert "softmax() of 0.5 times the input" in str(verdict)


def test_impulses_of_an_output_with_more_axes_than_the_argument() -> None:
    def backward(d: Array, cache: Any) -> Any:
        x, w = cache
        return np.arange(1.0, len(d) + 1)[:, None] * (d @ w.T), x.T @ d, d[0]

    pair = (lambda x, w, c: (x @ w + c, (x, w)), backward)
    assert cr.verify(pair, args=(normal(5, 3), normal(3, 4), normal(4)), like="dense").verdict == "wrong"


# -- small constants -----------------------------------------------------------------------------------------
@pytest.mark.turns(2)
@pytest.mark.parametrize("guard", [1e-12, 1e-8, 1e-6])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_guarded_quotient_with_its_own_derivative_is_right(guard: float, dtype: str) -> None:
    def forward(x: Array) -> Any:
        e = np.exp(x - x.max(axis=-1, keepdims=True))
        a = e / (e.sum(axis=-1, keepdims=True) + np.asarray(guard, dtype))
        return a, a

    def backward(d: Array, a: Array) -> Array:
        return a * (d - (d * a).sum(axis=-1, keepdims=True))

    x = np.random.default_rng(1).normal(size=(4, 3)).astype(dtype)
    assert cr.verify((forward, backward), args=(x,), like="softmax")
    wrong = cr.verify((forward, lambda d, a: a * d), args=(x,), like="softmax")
    assert wrong.verdict == "wrong"


@pytest.mark.parametrize("guard", [1e-15, 1e-7, 1e-6])
def test_a_guarded_logarithm_with_the_plain_derivative_is_right(guard: float) -> None:
    def loss(x: Array, t: Array) -> Any:
        a = softened(x)
        return -np.log((a * t).sum(axis=1) + guard).mean(), (a - t) / len(x)

    args = normal(5, 4), np.eye(4)[[0, 2, 1, 3, 1]]
    assert cr.verify(loss, args=args, like="cross_entropy")
    assert cr.verify(loss, args=args).verdict != "wrong"  # a guard in forward alone
    assert cr.verify(lambda x, t: (loss(x, t)[0], softened(x) - t), args=args, like="cross_entropy").why


def test_a_constant_of_few_digits_in_backward_alone_is_a_mistake() -> None:
    alpha, scale = 1.6732632423543772, 1.0507009873554805

    def forward(x: Array) -> Any:
        return scale * np.where(x > 0, x, alpha * np.expm1(x)), x

    def backward(d: Array, x: Array, digits: int = 17) -> Array:
        return d * round(scale, digits) * np.where(x > 0, 1, round(alpha, digits) * np.exp(x))

    x = normal(4, 5)
    assert cr.verify((forward, backward), args=(x,), like="selu")
    assert cr.verify((forward, lambda d, x: backward(d, x, 4)), args=(x,), like="selu").verdict == "wrong"


@pytest.mark.turns(3)
@pytest.mark.parametrize("like", ["batchnorm", "layernorm"])
@pytest.mark.parametrize(("theirs", "word"), [(0.0, "add only"), (1e-8, "epsilon"), (1e-3, "epsilon")])
def test_another_epsilon_in_backward(like: str, theirs: float, word: str) -> None:
    axis = 0 if like == "batchnorm" else -1

    def forward(x: Array, g: Array, b: Array) -> Any:
        c, v = x - x.mean(axis, keepdims=True), x.var(axis, keepdims=True)
        return g * c / np.sqrt(v + 1e-5) + b, (c, v, g)

    def backward(d: Array, cache: Any) -> Any:
        c, v, g = cache
        root, e = np.sqrt(v + theirs), d * g
        unit = c / root
        inner = e - e.mean(axis, keepdims=True) - unit * (e * unit).mean(axis, keepdims=True)
        return inner / root, (d * c / np.sqrt(v + 1e-5)).sum(axis=0), d.sum(axis=0)

    with np.errstate(all="ignore"):
        verdict = cr.verify((forward, backward), args=(normal(6, 4), normal(4), normal(4)), like=like)
    assert verdict.why == (word,)


def test_the_mean_that_a_course_takes_in_every_layer_is_told() -> None:
    def backward(d: Array, cache: Any) -> Any:
        x, w = cache
        return d @ w.T, x.T @ d / len(x), d.mean(axis=0)

    pair = (lambda x, w, c: (x @ w + c, (x, w)), backward)
    verdict = cr.verify(pair, args=(normal(5, 3), normal(3, 4), normal(4)), like="dense")
    assert verdict.why == ("factor 1/m", "factor 1/m")
    assert "δ comes without 1/m" in str(verdict)


ROOT = float(np.sqrt(2 / np.pi))


def gelu_tanh(x: Array) -> Any:
    return 0.5 * x * (1 + np.tanh(ROOT * (x + 0.044715 * x**3))), x


def gelu_tanh_back(d: Array, x: Array, cubed: float = 0.134145) -> Array:
    t = np.tanh(ROOT * (x + 0.044715 * x**3))
    return d * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * ROOT * (1 + cubed * x * x))


def hard_sigmoid(x: Array) -> Any:
    return np.clip(x / 6 + 0.5, 0, 1), x


@pytest.mark.parametrize(
    ("pair", "like"),
    [
        ((gelu_tanh, lambda d, x: gelu_tanh_back(d, x, 0.14145)), "gelu_tanh"),
        ((hard_sigmoid, lambda d, x: d * np.where(abs(x) < 3, 0.21, 0)), "hard_sigmoid"),
    ],
)
def test_another_constant_is_solved_for(pair: Any, like: str) -> None:
    assert cr.verify(pair, args=(2 * normal(4, 5),), like=like).why == ("constant",)


def test_a_mask_that_is_drawn_anew() -> None:
    def forward(x: Array) -> Any:
        rng = np.random.default_rng(3)
        return x * (rng.random(x.shape) > 0.3) / 0.7, rng

    def backward(d: Array, rng: np.random.Generator) -> Array:
        return d * (np.random.default_rng(4).random(d.shape) > 0.3) / 0.7

    verdict = cr.verify((forward, backward), args=(normal(6, 7),), like="dropout", rate=0.3)
    assert verdict.why == ("another mask",)
