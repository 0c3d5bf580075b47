"""Forward passes beside ours: forms that people write, and those that are another than was said."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np
import pytest
from tests.verifying import backwards as b

import chainrule as cr
from chainrule.base.types import Array

RNG = np.random.default_rng(3)


def normal(*shape: int) -> Array:
    return RNG.normal(size=shape)


def sigma(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


# -- normalisations ------------------------------------------------------------------------------------------
def norm(
    like: str, outside: bool, less: int, epsilon: float
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """less: 1 for the unbiased variance."""
    axis = 0 if like == "batchnorm" else -1

    def forward(x: Array, *learned: Array) -> Any:
        c = x if like == "rmsnorm" else x - x.mean(axis, keepdims=True)
        n = x.shape[axis]
        s = np.sqrt((c * c).sum(axis, keepdims=True) / (n - less))
        root = s + epsilon if outside else np.sqrt(s * s + epsilon)
        out = c / root
        for value, use in zip(learned, (np.multiply, np.add), strict=False):
            out = use(out, value)
        return out, (c, s, root, learned, n / (n - less))

    def backward(d: Array, cache: Any, mean: float = 1.0) -> Any:
        c, s, root, learned, k = cache
        unit, e = c / root, d * learned[0] if learned else d
        centre = 0 if like == "rmsnorm" else e.mean(axis, keepdims=True)
        through = k * (c / s if outside else unit) * (e * unit).mean(axis, keepdims=True)
        of_learned = [(d * unit).sum(axis=0), d.sum(axis=0)][: len(learned)]
        return (e - centre - mean * through) / root, *of_learned

    return forward, backward


@pytest.mark.turns(4)
@pytest.mark.parametrize(
    ("like", "learned"),
    [*product(["layernorm", "batchnorm"], [0, 1, 2]), ("rmsnorm", 0), ("rmsnorm", 1)],
)
@pytest.mark.parametrize("outside", [False, True])
def test_a_norm_however_it_is_written(like: str, learned: int, outside: bool) -> None:
    for less, epsilon, dtype in ((0, 1e-5, "float64"), (1, 1e-8, "float64"), (1, 1e-5, "float32")):
        forward, backward = norm(like, outside, less, epsilon)
        args = tuple(value.astype(dtype) for value in (normal(5, 7), normal(7), normal(7))[: 1 + learned])
        assert cr.verify((forward, backward), args=args, like=like), (less, epsilon, dtype)
        wrong = cr.verify((forward, lambda d, cache: backward(d, cache, 0.0)), args=args, like=like)  # noqa: B023
        assert wrong.verdict == "wrong"
        assert all(wrong.why), wrong


# -- cells ---------------------------------------------------------------------------------------------------
GATES = "fico"
CELL = {"f": sigma, "i": sigma, "c": np.tanh, "o": sigma}


def lstm_of(
    read: Callable[[Sequence[Array]], tuple[Array, Array, Array]],
    written: Callable[[Array, Array, Array], Sequence[Array]],
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """A step of rows x, h, c.  read: W (4H, F), U (4H, H), b (4H,) of what is learned; written: back."""

    def forward(x: Array, h: Array, c: Array, *learned: Array) -> Any:
        W, U, bias = read(learned)
        z = np.split(x @ W.T + h @ U.T + bias, 4, axis=1)
        gates = {name: CELL[name](part) for name, part in zip(GATES, z, strict=True)}
        after = gates["f"] * c + gates["i"] * gates["c"]
        return gates["o"] * np.tanh(after), (x, h, c, gates, after, W, U)

    def backward(d: Array, cache: Any, mistake: str = "") -> Any:
        x, h, c, g, after, W, U = cache
        dc = d * g["o"] * (1 - np.tanh(after) ** 2)
        slope = (1 - g["c"]) ** 2 if mistake == "raised" else 1 - g["c"] ** 2
        parts = {
            "f": dc * c * g["f"] * (1 - g["f"]),
            "i": dc * g["c"] * g["i"] * (1 - g["i"]),
            "c": dc * g["i"] * slope,
            "o": d * np.tanh(after) * g["o"] * (1 - g["o"]),
        }
        dz = np.concatenate([parts[name] for name in GATES], axis=1)
        return dz @ W, dz @ U, dc * g["f"], *written(dz.T @ x, dz.T @ h, dz.sum(axis=0))

    return forward, backward


FEATURES, UNITS, SAMPLES = 3, 5, 4


def stacked(order: str, turned: bool) -> tuple[Any, Any]:
    """One matrix for what stands side by side, W, U and b (1)."""
    sizes = {"W": FEATURES, "U": UNITS, "b": 1}
    cuts = np.cumsum([sizes[name] for name in order])[:-1]

    def read(learned: Sequence[Array]) -> tuple[Array, Array, Array]:
        matrix = learned[0] if turned else learned[0].T
        parts = dict(zip(order, np.split(matrix, cuts, axis=1), strict=True))
        return parts["W"], parts["U"], parts["b"][:, 0] if "b" in order else learned[1]

    def written(W: Array, U: Array, bias: Array) -> Sequence[Array]:
        parts = {"W": W, "U": U, "b": bias[:, None]}
        matrix = np.concatenate([parts[name] for name in order], axis=1)
        return [matrix if turned else matrix.T, *([] if "b" in order else [bias])]

    return read, written


def by_gate(order: str) -> tuple[Any, Any]:
    """Four arrays of W, of U and of b, gate by gate or one kind after the other."""
    together = order == "WUb WUb WUb WUb"

    def read(learned: Sequence[Array]) -> tuple[Array, Array, Array]:
        W, U, bias = (learned[k::3] if together else learned[4 * k : 4 * k + 4] for k in range(3))
        return np.concatenate(W), np.concatenate(U), np.concatenate(bias)

    def written(W: Array, U: Array, bias: Array) -> Sequence[Array]:
        parts = [np.split(value, 4) for value in (W, U, bias)]
        return (
            [parts[k][n] for n in range(4) for k in range(3)] if together else [v for p in parts for v in p]
        )

    return read, written


@pytest.mark.turns(3)
@pytest.mark.parametrize(
    "form",
    [stacked("UW", True), stacked("WU", False), stacked("bWU", False), stacked("UWb", True),
     by_gate("WUb WUb WUb WUb"), by_gate("WWWW UUUU bbbb")],
)  # fmt: skip
def test_a_cell_however_its_parameters_lie(form: tuple[Any, Any]) -> None:
    forward, backward = lstm_of(*form)
    learned = form[1](normal(4 * UNITS, FEATURES), normal(4 * UNITS, UNITS), normal(4 * UNITS))
    args = (normal(SAMPLES, FEATURES), normal(SAMPLES, UNITS), normal(SAMPLES, UNITS), *learned)
    assert cr.verify((forward, backward), args=args, like="lstm")
    wrong = cr.verify((forward, lambda d, cache: backward(d, cache, "raised")), args=args, like="lstm")
    assert wrong.why
    assert set(wrong.why) == {"raised"}, wrong


def seeing_cell(
    projects: bool, mistake: str = ""
) -> tuple[Callable[..., Any], Callable[..., Any], tuple[Array, ...]]:
    """A step whose gates see the cell, P in front of V of a projection, and its arguments."""
    size = 2 if projects else UNITS

    def forward(x: Array, h: Array, c: Array, W: Array, U: Array, b: Array, P: Array, *V: Array) -> Any:
        zi, zf, zg, zo = np.split(x @ W.T + h @ U.T + b, 4, axis=1)
        of_i, of_f, of_o = np.split(P, 3)
        i, f, g = sigma(zi + of_i * c), sigma(zf + of_f * c), np.tanh(zg)
        after = f * c + i * g
        o = sigma(zo + of_o * after)
        q = o * np.tanh(after)
        return (q @ V[0].T if V else q), (x, h, c, W, U, P, V, i, f, g, o, after, q)

    def backward(d: Array, cache: Any) -> Any:
        x, h, c, W, U, P, V, i, f, g, o, after, q = cache
        of_i, of_f, of_o = np.split(P, 3)
        dq, s = (d @ V[0] if V else d), np.tanh(after)
        do = dq * s * o * (1 - o)
        e = dq * o * (1 - s**2) + (0 if mistake == "unseen" else of_o * do)
        di, df = e * g * i * (1 - i), e * c * f * (1 - f)
        dz = np.concatenate([di, df, e * i * (1 - g**2), do], axis=1)
        by_cell = np.concatenate([(di * c).sum(0), (df * c).sum(0), (do * after).sum(0)])
        of_V = [d.T @ (s if mistake == "o is missing" else q)] if V else []
        return dz @ W, dz @ U, e * f + of_i * di + of_f * df, dz.T @ x, dz.T @ h, dz.sum(0), by_cell, *of_V

    rows = 4 * UNITS
    shapes = [(SAMPLES, FEATURES), (SAMPLES, size), (SAMPLES, UNITS), (rows, FEATURES), (rows, size), (rows,)]
    shapes += [(3 * UNITS,), *([(size, UNITS)] if projects else [])]
    return forward, backward, tuple(normal(*shape) for shape in shapes)


@pytest.mark.parametrize(("projects", "mistake"), [(False, "unseen"), (True, "o is missing")])
def test_a_cell_with_peepholes_and_a_projection(projects: bool, mistake: str) -> None:
    forward, backward, args = seeing_cell(projects)
    assert cr.verify((forward, backward), args=args, like="lstm")
    wrong = cr.verify((forward, seeing_cell(projects, mistake)[1]), args=args, like="lstm")
    assert wrong.verdict == "wrong"
    assert {*wrong.why} <= {"add only", "symbol"}, wrong
    assert all(wrong.why), wrong


def gru_of(
    read: Any, written: Any, after: bool, keeps: bool
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """A step of rows x, h.  after: whether it resets behind U; keeps: whether the update gate keeps h."""

    def forward(x: Array, h: Array, *learned: Array) -> Any:
        W, U, bias, of_u = read(learned)
        (ar, az, an), (Ur, Uz, Un), (br, bz, bn) = (
            np.split(x @ W.T + bias, 3, axis=1),
            *map(_thirds, (U, of_u)),
        )
        r, z = sigma(ar + h @ Ur.T + br), sigma(az + h @ Uz.T + bz)
        s = h @ Un.T + bn if after else r * h
        n = np.tanh(an + (r * s if after else s @ Un.T + bn))
        return z * h + (1 - z) * n if keeps else (1 - z) * h + z * n, (x, h, W, U, r, z, n, s)

    def backward(d: Array, cache: Any, mistake: bool = False) -> Any:
        x, h, W, U, r, z, n, s = cache
        Ur, Uz, Un = _thirds(U)
        dn = d * ((1 - z) if keeps else z) * (1 - n**2)
        dz = d * ((h - n) if keeps else (n - h)) * (1 - z) * (1 if mistake else z)
        past, ds = d * (z if keeps else 1 - z), dn * r if after else dn @ Un
        dr = (dn * s if after else ds * h) * r * (1 - r)
        of_candidate = ds if after else dn
        dh = past + dr @ Ur + dz @ Uz + (ds @ Un if after else ds * r)
        gates, of_u = np.concatenate([dr, dz, dn], axis=1), [dr, dz, of_candidate]
        dU = np.concatenate([part.T @ by for part, by in zip(of_u, (h, h, h if after else s), strict=True)])
        sums = gates.sum(axis=0), np.concatenate([part.sum(axis=0) for part in of_u])
        return gates @ W, dh, *written(gates.T @ x, dU, *sums)

    return forward, backward


def _thirds(value: Array) -> list[Array]:
    return np.split(value, 3)


GRUS = {
    "two biases": (lambda p: p, lambda *made: made),
    "whole": (lambda p: (*p, np.zeros(3 * UNITS)), lambda W, U, b, of_u: (W, U, b)),
    "by gate": (
        lambda p: (*(np.concatenate(p[k::3]) for k in range(3)), np.zeros(3 * UNITS)),
        lambda W, U, b, of_u: [v for gate in zip(*map(_thirds, (W, U, b)), strict=True) for v in gate],
    ),
}


@pytest.mark.turns(4)
@pytest.mark.parametrize("form", GRUS)
@pytest.mark.parametrize(("after", "keeps"), [(True, True), (True, False), (False, True), (False, False)])
def test_every_gated_unit(form: str, after: bool, keeps: bool) -> None:
    read, written = GRUS[form]
    forward, backward = gru_of(read, written, after, keeps)
    shapes = (3 * UNITS, FEATURES), (3 * UNITS, UNITS), (3 * UNITS,), (3 * UNITS,)
    args = normal(SAMPLES, FEATURES), normal(SAMPLES, UNITS), *written(*(normal(*shape) for shape in shapes))
    assert cr.verify((forward, backward), args=args, like="gru")
    wrong = cr.verify((forward, lambda d, cache: backward(d, cache, True)), args=args, like="gru")
    assert set(wrong.why) == {"multiply only"}


# -- another forward -----------------------------------------------------------------------------------------
def test_a_forward_that_nobody_knows_is_no_mistake() -> None:
    right = (lambda x: (np.sin(x), x), lambda d, x: d * np.cos(x))
    verdict = cr.verify(right, args=(normal(4, 5),), like="sigmoid")
    assert (verdict.verdict, verdict.why) == ("cannot tell", ())
    assert "The forward pass is not that of sigmoid()" in str(verdict)
    doubled = cr.verify((right[0], lambda d, x: 2 * d * np.cos(x)), args=(normal(4, 5),), like="sigmoid")
    assert doubled.why == ("factor 2",)


def conv(stride: int, padding: int, turned: bool) -> tuple[Callable[..., Any], Callable[..., Any]]:
    def windows(x: Array, w: Array) -> Any:
        padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
        seen = np.lib.stride_tricks.sliding_window_view(padded, w.shape[2:], axis=(2, 3))
        return seen[:, :, ::stride, ::stride]

    def forward(x: Array, w: Array) -> Any:
        kernel = w[:, :, ::-1, ::-1] if turned else w
        return np.einsum("ncijpq,kcpq->nkij", windows(x, w), kernel), (x, w, kernel)

    def backward(d: Array, cache: Any) -> Any:
        x, w, kernel = cache
        dw = np.einsum("ncijpq,nkij->kcpq", windows(x, w), d)
        dx = np.zeros(np.add(x.shape, (0, 0, 2 * padding, 2 * padding)))
        for i, j in np.ndindex(*d.shape[2:]):
            rows, columns = (
                slice(stride * n, stride * n + k) for n, k in zip((i, j), w.shape[2:], strict=True)
            )
            dx[:, :, rows, columns] += np.einsum("nk,kcpq->ncpq", d[:, :, i, j], kernel)
        inner = slice(padding, -padding or None)
        return dx[:, :, inner, inner], dw[:, :, ::-1, ::-1] if turned else dw

    return forward, backward


@pytest.mark.parametrize(
    ("forward", "like", "found"),
    [
        ((1, 0, True), {"like": "conv2d", "bias": False}, "turned by 180°"),
        ((2, 0, False), {"like": "conv2d", "stride": 1, "bias": False}, "stride=2"),
        ((1, 1, False), {"like": cr.Conv2D(4, (3, 2), bias=False)}, "padding=1"),
    ],
)
def test_what_the_forward_is_instead(forward: Any, like: dict[str, Any], found: str) -> None:
    verdict = cr.verify(conv(*forward), args=(normal(2, 3, 7, 6), normal(4, 3, 3, 2)), **like)
    assert (verdict.verdict, verdict.why) == ("wrong", ("forward",))
    assert found in str(verdict)


def test_another_activation_is_named() -> None:
    verdict = cr.verify((b.relu, lambda d, x: d * (x > 0)), args=(b.X,), like="sigmoid")
    assert verdict.why == ("forward",)
    assert "It is the forward pass of ReLU()" in str(verdict)


@pytest.mark.parametrize(("like", "axes"), [("batchnorm", 0), ("layernorm", (1, 2, 3))])
@pytest.mark.parametrize("kept", [(2, 4, 3), (1, 2, 4, 3)])
def test_every_entry_of_a_sample_a_feature(like: str, axes: Any, kept: tuple[int, ...]) -> None:
    def forward(x: Array, gamma: Array, beta: Array) -> Any:
        root = np.sqrt(x.var(axes, keepdims=True) + 1e-5)
        unit = (x - x.mean(axes, keepdims=True)) / root
        return gamma * unit + beta, (unit, root, gamma)

    def backward(d: Array, cache: Any, centre: float = 1.0) -> Any:
        unit, root, gamma = cache
        e = d * gamma
        mean, through = (value.mean(axes, keepdims=True) for value in (e, e * unit))
        return (e - centre * mean - unit * through) / root, *(
            value.sum(axis=0).reshape(gamma.shape) for value in (d * unit, d)
        )

    args = normal(5, 2, 4, 3), normal(*kept), normal(*kept)
    assert cr.verify((forward, backward), args=args, like=like)
    wrong = cr.verify((forward, lambda d, cache: backward(d, cache, 0.0)), args=args, like=like)
    assert wrong.why == ("subtract only",)


@pytest.mark.parametrize(("by", "word"), [(2, "factor 2"), (-1, "minus"), (0.25, "factor 1/4")])
def test_a_factor_shows_beside_entries_near_0(by: float, word: str) -> None:
    def backward(d: Array, x: Array) -> Array:
        return by * d * (3 * np.sin(x) ** 2 * np.cos(x) * x + np.sin(x) ** 3)

    x = normal(4, 5)
    x[0, 0] = 1e-6
    assert cr.verify((lambda x: (np.sin(x) ** 3 * x, x), backward), args=(x,)).why == (word,)


def test_an_activation_of_a_multiple_of_its_input() -> None:
    """β of a swish, the temperature of a softmax: no other activation, and nothing of another shape."""
    x = np.random.default_rng(3).normal(size=(3, 4))

    def swish(x: Array, beta: Array) -> tuple[Array, tuple[Array, ...]]:
        s = 1 / (1 + np.exp(-beta * x))
        return x * s, (x, s, beta)

    def swish_backward(d: Array, cache: tuple[Array, ...]) -> tuple[Array, Array]:
        x, s, beta = cache
        return d * (s + beta * x * s * (1 - s)), np.array([(d * x * x * s * (1 - s)).sum()])

    def softmax(x: Array) -> tuple[Array, Array]:
        e = np.exp((x - x.max(axis=1, keepdims=True)) / 3)
        p = e / e.sum(axis=1, keepdims=True)
        return p, p

    right = cr.verify(swish, swish_backward, args=(x, np.array([1.7])), like="swish")
    assert right
    assert "swish() of 1.7 times the input" in str(right)
    plain = lambda d, p: p * (d - (d * p).sum(1, keepdims=True))  # noqa: E731
    wrong = cr.verify(softmax, plain, args=(x,), like="softmax")
    assert wrong.why == ("factor 3",)
    assert cr.verify(lambda x: (np.tanh(x) + x, x), lambda d, x: d, args=(x,), like="tanh").verdict == "wrong"
