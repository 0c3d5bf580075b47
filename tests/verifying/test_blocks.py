"""Kernels as models write them: blocks of Transformers, gates, norms, losses; with `like=` and without."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from chainrule.verifying.subjects.frameworks.compiled import Compiled
from chainrule.verifying.verdict import Verdict
from chainrule.verifying.verify import verify

RNG = np.random.default_rng(13)


def drawn(*shapes: tuple[int, ...], dtype: str = "float64") -> tuple[Any, ...]:
    return tuple(RNG.normal(size=shape).astype(dtype) for shape in shapes)


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def softmax(x: Any) -> Any:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def named(verdict: Verdict, *mistakes: str) -> None:
    assert tuple(dict.fromkeys(verdict.why)) == mistakes, str(verdict)


# -- recurrent cells
def lstm(x: Any, h: Any, c: Any, W: Any, U: Any, b: Any) -> Any:
    i, f, o, g = np.split(x @ W + h @ U + b, 4, axis=1)
    i, f, o, g = sigmoid(i), sigmoid(f), sigmoid(o), np.tanh(g)
    after = f * c + i * g
    return o * np.tanh(after), after, (x, h, c, W, U, i, f, o, g, after)


def lstm_backward(mistake: str) -> Callable[..., Any]:
    def backward(dh: Any, dc: Any, cache: Any) -> Any:
        x, h, c, W, U, i, f, o, g, after = cache
        t = np.tanh(after)
        e = dc + dh * o * (1 - t**2)
        first, second = (i, g) if mistake == "definitions" else (g, i)
        do = dh * (after if mistake == "symbol" else t)
        slope = g * (1 - g) if mistake == "logistic derivative" else 1 - g**2
        parts = e * first * i * (1 - i), e * c * f * (1 - f), do * o * (1 - o), e * second * slope
        dz = np.concatenate(parts, axis=1)
        return dz @ W.T, dz @ U.T, e * f, x.T @ dz, h.T @ dz, dz.sum(axis=0)

    return backward


@pytest.mark.parametrize("mistake", ["definitions", "symbol", "logistic derivative"])
def test_an_lstm(mistake: str) -> None:
    args = drawn((3, 4), (3, 5), (3, 5), (4, 20), (5, 20), (20,))
    named(verify(lstm, lstm_backward(mistake), args=args, like="lstm"), mistake)


# -- gates and feed-forwards
def gelu_tanh(x: Any) -> tuple[Any, Any]:
    k = np.sqrt(2 / np.pi).astype(x.dtype)
    t = np.tanh(k * (x + 0.044715 * x**3))
    return 0.5 * x * (1 + t), 0.5 * (1 + t) + 0.5 * x * (1 - t**2) * k * (1 + 3 * 0.044715 * x**2)


def silu_slope(x: Any) -> Any:
    return sigmoid(x) * (1 + x * (1 - sigmoid(x)))


def gated(f: Callable[[Any], Any], slope: Callable[[Any], Any]) -> tuple[Any, Any]:
    return (lambda g, x: (f(g) * x, (g, x))), (lambda d, c: (d * c[1] * slope(c[0]), d * f(c[0])))


def test_gates() -> None:
    args = drawn((4, 7), (4, 7), dtype="float32")
    right = gated(lambda g: gelu_tanh(g)[0], lambda g: gelu_tanh(g)[1])
    assert verify(*right, args=args, like="geglu")  # the nearest of two that float32 hardly tells apart
    silu = gated(lambda g: g * sigmoid(g), lambda g: sigmoid(g) * (1 - sigmoid(g)))
    verdict = verify(*silu, args=args, like="swiglu")
    named(verdict, "instead")
    assert "a gate with the derivative of Sigmoid" in str(verdict)
    assert verify(*gated(lambda g: g * sigmoid(g), silu_slope), args=args, like="swiglu")


def test_a_mistake_in_few_digits() -> None:
    def forward(g: Any, x: Any) -> Any:
        return g * sigmoid(g) * x, (g, x)

    def twice(d: Any, c: Any) -> Any:
        return d * c[1] * silu_slope(c[0]), d * sigmoid(c[0])

    args = drawn((4, 7), (4, 7), dtype="float16")
    named(verify(forward, twice, args=args), "multiply only")


@pytest.mark.parametrize("mistake", ["", "add only", "symbol", "another"])
def test_a_feed_forward(mistake: str) -> None:
    def forward(x: Any, W: Any, V: Any, U: Any) -> Any:
        g, u = x @ W, x @ V
        return (g * sigmoid(g) * u) @ U, (x, W, V, U, g, u)

    def backward(d: Any, cache: Any) -> Any:
        x, W, V, U, g, u = cache
        dh = d @ U.T
        du, dg = dh * (g if mistake == "symbol" else g * sigmoid(g)), dh * u * silu_slope(g)
        dW, dV = x.T @ dg, x.T @ du
        dW, dV = (dV, dW) if mistake == "another" else (dW, dV)
        dx = dg @ W.T + (0 if mistake == "add only" else du @ V.T)
        return dx, dW, dV, (g * sigmoid(g) * u).T @ d

    args = drawn((4, 5), (5, 7), (5, 7), (7, 5))
    named(verify(forward, backward, args=args, like="swiglu"), *([mistake] if mistake else []))


def test_learned_positions() -> None:
    def forward(ids: Any, table: Any, places: Any) -> Any:
        return table[ids] + places[: ids.shape[1]], (ids, table, places)

    def backward(share: float) -> Callable[..., Any]:
        def of_delta(d: Any, cache: Any) -> Any:
            ids, table, places = cache
            dtable, dplaces = np.zeros_like(table), np.zeros_like(places)
            np.add.at(dtable, ids, d)
            dplaces[: d.shape[1]] = d.sum(axis=0) * (share if share == 1 else 1 / len(d))
            return None, dtable, dplaces

        return of_delta

    args = np.array([[0, 2, 2, 1], [1, 0, 5, 3], [4, 4, 1, 0]]), *drawn((6, 3), (8, 3))
    assert verify(forward, backward(1), args=args, like="learned_positions")
    named(verify(forward, backward(0), args=args, like="gpt_embedding"), "factor 1/m")


# -- norms
def test_norms_by_one_and_gamma_and_of_groups() -> None:
    def forward(x: Any, w: Any) -> Any:
        r = np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-6)
        return x / r * (1 + w), (x, w, r)

    def backward(one: float) -> Callable[..., Any]:
        def of_delta(d: Any, cache: Any) -> Any:
            x, w, r = cache
            e, unit = d * (one + w), x / r
            return (e - unit * (e * unit).mean(axis=-1, keepdims=True)) / r, (d * unit).sum(axis=0)

        return of_delta

    args = drawn((4, 6), (6,))
    assert verify(forward, backward(1), args=args, like="rmsnorm")
    named(verify(forward, backward(0), args=args, like="rmsnorm"), "add only")
    named(verify(forward, backward(0), args=args), "add only")  # guessed

    def groups(x: Any) -> Any:
        by_group = x.reshape(len(x), 3, -1)
        m = by_group.mean(axis=-1, keepdims=True)
        r = np.sqrt(by_group.var(axis=-1, keepdims=True) + 1e-5)
        return ((by_group - m) / r).reshape(x.shape), (by_group - m, r)

    def over(count: int, axes: Any) -> Callable[..., Any]:
        def of_delta(d: Any, cache: Any) -> Any:
            c, r = cache
            e, unit = d.reshape(c.shape), c / r
            s, t = (v.mean(axis=axes, keepdims=True) / count for v in (e, e * unit))
            return ((e - s - unit * t) / r).reshape(d.shape)

        return of_delta

    (images,) = drawn((2, 6, 4, 5))
    options = {"groups": 3, "scale": False, "shift": False}
    assert verify(groups, over(1, -1), args=(images,), like="groupnorm", **options)
    named(verify(groups, over(3, -1), args=(images,), like="groupnorm", **options), "overcounted")
    named(verify(groups, over(1, (0, -1)), args=(images,), like="groupnorm", **options), "with samples")


# -- fused queries, keys and values
@pytest.mark.parametrize("mistake", ["", "sum_features only", "swap_steps only"])
def test_queries_keys_and_values_of_one_matrix(mistake: str) -> None:
    def heads(t: Any) -> Any:
        return t.reshape(*t.shape[:2], 2, -1).transpose(0, 2, 1, 3)

    def merged(t: Any) -> Any:
        return t.transpose(0, 2, 1, 3).reshape(len(t), t.shape[2], -1)

    def forward(x: Any, W: Any, b: Any, O: Any, o: Any) -> Any:  # noqa: E741
        q, k, v = map(heads, np.split(x @ W + b, 3, axis=-1))
        a = softmax(q @ k.swapaxes(2, 3) / np.sqrt(q.shape[-1]))
        y = merged(a @ v)
        return y @ O + o, (x, W, O, q, k, v, a, y)

    def backward(d: Any, cache: Any) -> Any:
        x, W, O, q, k, v, a, y = cache  # noqa: E741
        dy = heads(d @ O.T)
        da = dy @ v.swapaxes(2, 3)
        inner = a * da if mistake == "sum_features only" else (a * da).sum(axis=-1, keepdims=True)
        ds = a * (da - inner) / np.sqrt(q.shape[-1])
        dk = (ds if mistake == "swap_steps only" else ds.swapaxes(2, 3)) @ q
        dz = np.concatenate([merged(t) for t in (ds @ k, dk, a.swapaxes(2, 3) @ dy)], axis=-1)
        flat = [t.reshape(-1, t.shape[-1]) for t in (x, dz, y, d)]
        return dz @ W.T, flat[0].T @ flat[1], flat[1].sum(axis=0), flat[2].T @ flat[3], flat[3].sum(axis=0)

    args = drawn((2, 5, 6), (6, 18), (18,), (6, 6), (6,))
    verdict = verify(forward, backward, args=args, like="mha", heads=2)
    named(verdict, *([mistake] if mistake else []))
    assert "judged by the formulas of MultiHeadAttention" in str(verdict)


# -- losses
def test_losses() -> None:
    def smoothed(z: Any, y: Any) -> Any:
        logs = np.log(softmax(z))
        return (-0.9 * logs[range(len(y)), y] - 0.1 * logs.mean(axis=1)).mean(), (z, y)

    def backward(other: float, target: float) -> Callable[..., Any]:
        def of_delta(d: Any, cache: Any) -> Any:
            z, y = cache
            q = np.full(z.shape, other)
            q[range(len(y)), y] = target
            return d * (softmax(z) - q) / len(y), None

        return of_delta

    args = *drawn((6, 5)), np.array([0, 4, 1, 2, 3, 2])
    assert verify(smoothed, backward(0.02, 0.92), args=args, like="cross_entropy")
    named(verify(smoothed, backward(0.02, 0.9), args=args, like="cross_entropy"), "smoothed beside")
    named(verify(smoothed, backward(0.025, 0.9), args=args, like="cross_entropy"), "smoothed otherwise")

    def counted(z: Any, y: Any) -> Any:
        there = y != -100
        return -(np.log(softmax(z))[range(len(y)), y * there] * there).sum() / there.sum(), (z, y, there)

    def all_learn(d: Any, cache: Any) -> Any:
        z, y, there = cache
        return d * (softmax(z) - np.eye(z.shape[1])[y * there]) / there.sum(), None

    args = *drawn((6, 5)), np.array([0, 4, -100, 2, 3, -100])
    named(verify(counted, all_learn, args=args, like="cross_entropy"), "ignored learn")

    def forgets(d: Any, cache: Any) -> Any:
        z, y = cache
        return softmax(z) / len(y), None

    args = *drawn((6, 5)), np.array([0, 4, 1, 2, 3, 2])

    def forward(z: Any, y: Any) -> Any:
        return -np.log(softmax(z))[range(len(y)), y].mean(), (z, y)

    verdict = verify(forward, forgets, args=args, like="ce")
    named(verdict, "subtract only")
    assert "δ is not used: judged with the δ of a loss, 1" in str(verdict)


# -- JAX
def test_functions_of_jax_are_compiled_once_for_each_kind_of_arguments(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compiled: list[Any] = []

    class TracingError(Exception):
        pass

    def jit(function: Any, **options: Any) -> Any:
        compiled.append(options)
        return function

    errors = SimpleNamespace(JAXTypeError=TracingError)
    monkeypatch.setitem(sys.modules, "jax", SimpleNamespace(jit=jit, errors=errors))
    calls: list[tuple[int, ...]] = []

    def function(values: Any) -> Any:
        calls.append(values[0].shape)
        if values[0].ndim > 2:
            raise ValueError("other sizes")
        if len(values[0]) == 7:
            raise TracingError
        return values[0] * values[1]

    run = Compiled(function)
    x, y = np.ones((2, 3)), np.array(2)
    for values in ((x, y), (x + 1, y), (x, y + 1), (np.ones((4, 3)), y)):
        assert (run(values) == values[0] * values[1]).all()
    assert len(compiled) == 3  # other real numbers run the same
    with pytest.raises(ValueError, match="other sizes"):
        run((np.ones((1, 1, 1)), y))
    assert calls.count((1, 1, 1)) == 1  # and do not run a second time as they are
    assert run.falling.works
    with pytest.raises(TracingError):
        run((np.ones((7, 3)), y))
    assert calls.count((7, 3)) == 2
