"""Attention as flash kernels write it, in all its shapes, and rotary positions: right ones and mistakes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.pairwise import each, some

from chainrule.base.errors import ArgumentError
from chainrule.verifying.verify import verify

RNG = np.random.default_rng(3)


# -- attention -----------------------------------------------------------------------------------------------
def flash(
    *,
    layout: str = "BTD",
    causal: bool = False,
    scale: float | None = None,
    wrong: dict[str, Any] | None = None,
    mask: Any = None,
) -> tuple[Any, Any]:
    """forward -> (O, what is kept), backward by the kept log-sum-exp; `wrong` has other pieces of it.

    Inside everything is (B, H, T, D), heads of K and V as many as they are.
    """
    bad = wrong or {}

    def inner(x: Any) -> Any:
        if layout == "BTHD":
            return x.swapaxes(1, 2)
        return x[:, None] if layout == "BTD" else x[None] if layout == "HTD" else x

    def outer(x: Any) -> Any:
        if layout == "BTHD":
            return x.swapaxes(1, 2)
        return x[:, 0] if layout == "BTD" else x[0] if layout == "HTD" else x

    def scores(q: Any, k: Any) -> Any:
        return q @ k.swapaxes(2, 3) * (q.shape[3] ** -0.5 if scale is None else scale)

    def hidden(s: Any, shift: int = 0) -> Any:
        if mask is not None:
            s = np.where(mask, s, -np.inf)
        return np.where(np.tri(*s.shape[2:], shift, dtype=bool), s, -np.inf) if causal else s

    def shared(x: Any, q: Any) -> Any:
        return np.repeat(x, q.shape[1] // x.shape[1], axis=1)

    def forward(q: Any, k: Any, v: Any) -> Any:
        q, k, v = map(inner, (q, k, v))
        s = hidden(scores(q, shared(k, q)))
        top = s.max(3, keepdims=True)
        lse = top + np.log(np.exp(s - top).sum(3, keepdims=True))
        o = np.exp(s - lse) @ shared(v, q)
        return outer(o), (q, k, v, o, lse)

    def added(x: Any, k: Any) -> Any:
        return x.reshape(x.shape[0], k.shape[1], -1, *x.shape[2:]).sum(2)

    def backward(do: Any, cache: Any) -> Any:
        q, k, v, o, lse = cache
        do, sized = inner(do), q.shape[3] ** -0.5 if scale is None else scale
        K, V = shared(k, q), shared(v, q)
        s = bad.get("scores", lambda q, k: hidden(scores(q, k)))(q, K)
        p = bad.get("weights", lambda s, lse: np.exp(s - lse))(s, lse)
        if "after" in bad:
            p = bad["after"](p)
        dp = bad.get("dp", lambda do, v: do @ v.swapaxes(2, 3))(do, V)
        rows = bad.get("rows", lambda do, o: (do * o).sum(3, keepdims=True))(do, o)
        ds = bad.get("ds", lambda p, dp, rows: p * (dp - rows))(p, dp, rows)
        dq = bad.get("dq", lambda ds, k: ds @ k * sized)(ds, K)
        dk = bad.get("dk", lambda ds, q: ds.swapaxes(2, 3) @ q * sized)(ds, q)
        dv = bad.get("dv", lambda p, do: p.swapaxes(2, 3) @ do)(p, do)
        take = bad.get("added", added)
        return outer(dq), outer(take(dk, k)), outer(take(dv, k))

    return forward, backward


def of_layout(
    layout: str, heads: tuple[int, int] = (2, 2), steps: tuple[int, int] = (5, 6)
) -> tuple[Any, ...]:
    """q, k, v: 2 samples, `heads` of q and of k, `steps` of q and of k, 3 features, 4 of v."""
    made = []
    for head, step, size in ((heads[0], steps[0], 3), (heads[1], steps[1], 3), (heads[1], steps[1], 4)):
        shape = {
            "BTD": (2, step, size), "HTD": (head, step, size), "BHTD": (2, head, step, size),
            "BTHD": (2, step, head, size),
        }[layout]  # fmt: skip
        made.append(RNG.normal(size=shape))
    return tuple(made)


def square(layout: str = "BHTD", heads: tuple[int, int] = (2, 2)) -> tuple[Any, ...]:
    return of_layout(layout, heads, (5, 5))


KEEP = RNG.random((5, 6)) < 0.7
KEEP[:, 0] = True
RIGHT: dict[str, tuple[Any, tuple[Any, ...], dict[str, Any]]] = {
    "(B, T, D)": (flash(), of_layout("BTD"), {}),
    "(B, H, T, D)": (flash(layout="BHTD"), of_layout("BHTD"), {}),
    "(B, T, H, D)": (flash(layout="BTHD"), of_layout("BTHD"), {"causal": False}),
    "(H, T, D)": (flash(layout="HTD"), of_layout("HTD"), {}),
    "causal": (flash(layout="BHTD", causal=True), square(), {"causal": True}),
    "scale": (flash(layout="BHTD", scale=0.3), of_layout("BHTD"), {"scale": 0.3}),
    "mask": (flash(layout="BHTD", mask=KEEP), of_layout("BHTD"), {"mask": KEEP}),
    "heads that share keys": (flash(layout="BHTD"), of_layout("BHTD", (6, 2)), {}),
    "heads that share one": (flash(layout="BTHD", causal=True), square("BTHD", (3, 1)), {"is_causal": True}),
    "shared, of one sample": (flash(layout="HTD"), of_layout("HTD", (6, 3)), {}),
}


@pytest.mark.turns(2)
@pytest.mark.parametrize("like", ["attention", "flash_attention"])
@pytest.mark.parametrize("name", some(RIGHT, 6))
def test_right_attention(name: str, like: str) -> None:
    pair, args, options = RIGHT[name]
    verdict = verify(pair, args=args, like=like, **options)
    assert verdict, str(verdict)
    assert "judged by the formulas of attention" in str(verdict)


def tri(s: Any, shift: int = 0, lower: bool = True) -> Any:
    keep = np.tri(*s.shape[2:], shift, dtype=bool)
    return np.where(keep if lower else ~keep, s, -np.inf)


def plain(q: Any, k: Any) -> Any:
    return q @ k.swapaxes(2, 3) * q.shape[3] ** -0.5


# what is written instead -> a word of the answer
MISTAKES: dict[str, tuple[dict[str, Any], tuple[str, ...], dict[str, Any]]] = {
    "D missing": ({"ds": lambda p, dp, rows: p * dp}, ("subtract only",), {}),
    "D added": ({"ds": lambda p, dp, rows: p * (dp + rows)}, ("subtract as add",), {}),
    "D subtracted without P": ({"ds": lambda p, dp, rows: p * dp - rows}, ("one term",), {}),
    "D over the steps": (
        {"rows": lambda do, o: (do * o).sum(2, keepdims=True).mean(3, keepdims=True)}, ("of steps",), {}
    ),
    "D over steps and features": (
        {"rows": lambda do, o: (do * o).sum((2, 3), keepdims=True)}, ("steps too",), {}
    ),
    "D over all heads": ({"rows": lambda do, o: (do * o).sum((1, 3), keepdims=True)}, ("of heads",), {}),
    "D a mean": ({"rows": lambda do, o: (do * o).mean(3, keepdims=True)}, ("as mean_features",), {}),
    "D of O alone": ({"rows": lambda do, o: o.sum(3, keepdims=True)}, ("unit", "multiply only"), {}),
    "D of dO alone": ({"rows": lambda do, o: do.sum(3, keepdims=True)}, ("multiply only", "unit"), {}),
    "D of dO²": ({"rows": lambda do, o: (do * do).sum(3, keepdims=True)}, ("symbol",), {}),
    "the diagonal of softmax alone": ({"ds": lambda p, dp, rows: p * (1 - p) * dp},
        ("sum_features only",), {}),
    "no softmax backward": ({"ds": lambda p, dp, rows: dp}, ("instead",), {}),
    "dS without P": ({"ds": lambda p, dp, rows: dp - rows}, ("multiply only",), {}),
    "scale missing in dQ": ({"dq": lambda ds, k: ds @ k}, ("divide only",), {}),
    "scale missing in dK": ({"dk": lambda ds, q: ds.swapaxes(2, 3) @ q}, ("divide only",), {}),
    "scale missing in both": (
        {"dq": lambda ds, k: ds @ k, "dk": lambda ds, q: ds.swapaxes(2, 3) @ q}, ("divide only",), {}
    ),
    "scale twice in dQ": ({"dq": lambda ds, k: ds @ k / k.shape[3]}, ("root again",), {}),
    "scale twice in dK": ({"dk": lambda ds, q: ds.swapaxes(2, 3) @ q / q.shape[3]}, ("root again",), {}),
    "scale not undone": (
        {"dq": lambda ds, k: ds @ k * k.shape[3] ** 0.5}, ("divide as multiply", "factor"), {}
    ),
    "a given scale missing in dQ": ({"dq": lambda ds, k: ds @ k}, ("multiply only",
        "number"), {"scale": 0.3}),
    "a given scale twice": (
        {"dk": lambda ds, q: 0.09 * ds.swapaxes(2, 3) @ q}, ("number", "factor", "twice"), {"scale": 0.3}
    ),
    "S recomputed without the scale": (
        {"scores": lambda q, k: q @ k.swapaxes(2, 3)}, ("divide only",), {}
    ),
    "L not subtracted": ({"weights": lambda s, lse: np.exp(s)}, ("subtract only",), {}),
    "L of base 2": ({"weights": lambda s, lse: np.exp2(s - lse)}, ("of two",), {}),
    "P not normalised": (
        {"weights": lambda s, lse: np.exp(s - s.max(3, keepdims=True))}, ("divide only",), {}
    ),
    "the mask in forward alone": ({"scores": plain}, ("where only",), {"causal": True}),
    "the mask one off": ({"scores": lambda q, k: tri(plain(q, k), -1)}, ("strictly",), {"causal": True}),
    "the mask one off behind": ({"scores": lambda q, k: tri(plain(q, k), 1)},
        ("one more",), {"causal": True}),
    "a given mask in forward alone": ({"scores": plain}, ("where only",), {"mask": KEEP}),
    "dK not transposed": ({"dk": lambda ds, q: ds @ q * q.shape[3] ** -0.5},
        ("swap_steps only",), {"square": 1}),
    "dV not transposed": ({"dv": lambda p, do: p @ do}, ("swap_steps only",), {"square": 1}),
    "dV of dS": (
        {"ds": lambda p, dp, rows: p * (dp - rows), "dv": lambda p, do: (p * 0 + p) @ do},
            ("swap_steps only",),
        {"square": 1},
    ),
    "dP of dO V": ({"dp": lambda do, v: v @ do.swapaxes(2, 3)}, ("swapped",), {"square": 1}),
    "the first of the shared heads": (
        {"added": lambda x, k: x[:, :: x.shape[1] // k.shape[1]]}, ("one of many",), {"heads": (6, 2)}
    ),
    "the last of the shared heads": (
        {"added": lambda x, k: x[:, x.shape[1] // k.shape[1] - 1 :: x.shape[1] // k.shape[1]]},
        ("last of many",), {"heads": (6, 2)},
    ),
    "the mean of the shared heads": (
        {"added": lambda x, k: x.reshape(x.shape[0], k.shape[1], -1, *x.shape[2:]).mean(2)},
        ("mean of many",), {"heads": (6, 2)},
    ),
    "shared heads dealt in turn": (
        {"added": lambda x, k: x.reshape(x.shape[0], -1, k.shape[1], *x.shape[2:]).sum(1)},
        ("dealt",), {"heads": (6, 2)},
    ),
}  # fmt: skip


@pytest.mark.turns(3)
@pytest.mark.parametrize("name", some(MISTAKES, 9))
def test_a_mistake_of_flash_attention_is_named(name: str) -> None:
    wrong, words, options = MISTAKES[name]
    options = dict(options)
    heads = options.pop("heads", (2, 2))
    args = of_layout("BHTD", heads)
    if options.pop("square", None) or options.get("causal"):
        args = square("BHTD", heads)
    if name in ("dV not transposed", "dK not transposed", "dP of dO V", "dV of dS"):
        args = tuple(value[..., :3] for value in args)
    pair = flash(layout="BHTD", wrong=wrong, **options)
    verdict = verify(pair, args=args, like="attention", **options)
    assert verdict.verdict == "wrong"
    assert all(verdict.why), str(verdict)
    if words:
        assert any(word in ", ".join(verdict.why) for word in words), str(verdict)


# -- rotary positions ----------------------------------------------------------------------------------------
def angles(steps: int, features: int, base: float = 10_000.0, first: float = 0.0) -> tuple[Any, Any]:
    turn = np.outer(first + np.arange(steps), base ** (-np.arange(0, features, 2) / features))
    return np.cos(turn), np.sin(turn)


def turned(x: Any, c: Any, s: Any, interleaved: bool) -> Any:
    a, b = (x[..., 0::2], x[..., 1::2]) if interleaved else np.split(x, 2, -1)
    made = a * c - b * s, b * c + a * s
    return np.stack(made, -1).reshape(x.shape) if interleaved else np.concatenate(made, -1)


def rotary(
    interleaved: bool,
    heads: str = "",
    features: int | None = None,
    base: float = 10_000.0,
    first: float = 0.0,
    back: Callable[..., Any] | None = None,
) -> tuple[Any, Any]:
    """x (B, T, n), (B, H, T, n) for heads "first", (B, T, H,
    n) for "last"; the first `features` are turned."""

    def apart(x: Any) -> tuple[int, Any, Any, Any]:
        n = features or x.shape[-1]
        c, s = angles(x.shape[1 if heads == "last" else -2], n, base, first)
        return n, *((c[:, None], s[:, None]) if heads == "last" else (c, s)), x[..., :n]

    def forward(x: Any) -> Any:
        n, c, s, head = apart(x)
        return np.concatenate([turned(head, c, s, interleaved), x[..., n:]], -1), None

    def backward(d: Any, cache: Any) -> Any:
        n, c, s, head = apart(d)
        made = turned(head, c, -s, interleaved) if back is None else back(head, c, s, interleaved)
        return np.concatenate([made, d[..., n:]], -1)

    return forward, backward


X = RNG.normal(size=(2, 5, 6))
OF_HEADS = {"": X, "first": RNG.normal(size=(2, 3, 5, 6)), "last": RNG.normal(size=(2, 5, 3, 6))}
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {}, "base": {"base": 500.0}, "offset": {"first": 7.0}, "part": {"features": 4},
    "all": {"base": 500.0, "first": 3.0, "features": 4},
}  # fmt: skip


def like_of(options: dict[str, Any]) -> dict[str, Any]:
    return {"offset" if name == "first" else name: value for name, value in options.items()}


@pytest.mark.parametrize(("interleaved", "heads", "name"), each([False, True], OF_HEADS, OPTIONS))
def test_right_rotary_positions(interleaved: bool, heads: str, name: str) -> None:
    pair = rotary(interleaved, heads, **OPTIONS[name])
    verdict = verify(pair, args=(OF_HEADS[heads],), like="rope", **like_of(OPTIONS[name]))
    assert verdict, str(verdict)
    assert "judged by the formulas of rotary(x)" in str(verdict)


TURNS: dict[str, tuple[Callable[..., Any], tuple[str, ...], dict[str, Any]]] = {
    "not inverted": (turned, ("not its inverse",), {}),
    "the other pairs": (lambda d, c, s, i: turned(d, c, -s, not i), ("the turn of",), {}),
    "the other pairs, not inverted": (lambda d, c, s, i: turned(d, c, s, not i), ("not inverted",), {}),
    "cos and sin exchanged": (lambda d, c, s, i: turned(d, s, -c, i), ("cos and sin exchanged", "cos"), {}),
    "a step too early": (
        lambda d, c, s, i: turned(d, *(f(np.outer(np.arange(d.shape[-2]) - 1, 1e4 ** (-np.arange(3) / 3)))
                                       * (1, -1)[n] for n, f in enumerate((np.cos, np.sin))), i),
        ("the step before",), {},
    ),
    "a step too late": (
        lambda d, c, s, i: turned(d, *(f(np.outer(np.arange(d.shape[-2]) + 1, 1e4 ** (-np.arange(3) / 3)))
                                       * (1, -1)[n] for n, f in enumerate((np.cos, np.sin))), i),
        ("the step behind",), {},
    ),
    "from 0": (
        lambda d, c, s, i: turned(d, *(a * (1, -1)[n] for n, a in enumerate(angles(d.shape[-2], 6))), i),
        ("begin at 0",), {"first": 7.0},
    ),
    "another base": (
        lambda d, c, s, i: turned(d, *(a * (1, -1)[n] for n, a in enumerate(angles(d.shape[-2], 6))), i),
        ("the base 10000",), {"base": 500.0},
    ),
    "one sign": (
        lambda d, c, s, i: turned(d, c, -s, i) - 2 * turned(d, 0 * c, -s, i) * (np.arange(6) % 2 if i else
                                                                              np.arange(6) // 3),
        ("as", "subtract"), {},
    ),
    "δ": (lambda d, c, s, i: d, ("δ",), {}),
}  # fmt: skip


@pytest.mark.parametrize(("name", "interleaved"), each(TURNS, [False, True]))
def test_a_mistake_of_rotary_positions_is_named(name: str, interleaved: bool) -> None:
    back, words, options = TURNS[name]
    verdict = verify(rotary(interleaved, back=back, **options), args=(X,), like="rotary", **like_of(options))
    assert verdict.verdict == "wrong"
    assert all(verdict.why), str(verdict)
    assert any(word in verdict.text("en") for word in words), str(verdict)


@pytest.mark.parametrize("interleaved", [False, True])
def test_angles_and_positions_may_be_arguments(interleaved: bool) -> None:
    def forward(x: Any, c: Any, s: Any) -> Any:
        return turned(x, c, s, interleaved), (x, c, s)

    def backward(d: Any, cache: Any) -> Any:
        return turned(d, cache[1], -cache[2], interleaved), None, None

    assert verify((forward, backward), args=(X, *angles(5, 6)), like="rotary")

    def crossed(x: Any) -> Any:  # rotate_half, rotate_every_two
        a, b = (x[..., 0::2], x[..., 1::2]) if interleaved else np.split(x, 2, -1)
        return np.stack([-b, a], -1).reshape(x.shape) if interleaved else np.concatenate([-b, a], -1)

    def whole(x: Any, c: Any, s: Any) -> Any:
        return x * c + crossed(x) * s, (c, s)

    twice = [np.repeat(a, 2, 1) if interleaved else np.concatenate([a, a], 1) for a in angles(5, 6)]
    for sign in (-1, 1):

        def whole_back(d: Any, cache: Any, sign: int = sign) -> Any:
            return d * cache[0] + sign * crossed(d) * cache[1], None, None

        verdict = verify((whole, whole_back), args=(X, *twice), like="rotary")
        assert bool(verdict) if sign < 0 else "not its inverse" in str(verdict), str(verdict)

    def at(x: Any, p: Any) -> Any:
        c, s = (f(np.multiply.outer(p, 1e4 ** (-np.arange(3) / 3))) for f in (np.cos, np.sin))
        return turned(x, c, s, interleaved), (c, s)

    def back(d: Any, cache: Any) -> Any:
        return turned(d, cache[0], -cache[1], interleaved), None

    for positions in (np.array([0, 3, 1, 8, 2]), np.array([[0, 3, 1, 8, 2], [1, 2, 3, 4, 5]])):
        verdict = verify((at, back), args=(X, positions), like="rotary")
        assert verdict, str(verdict)
        assert "rotary(x, p)" in str(verdict)


def test_options_that_are_none() -> None:
    with pytest.raises(ArgumentError, match="verify takes no 'window'"):
        verify(flash(), args=of_layout("BTD"), like="attention", window=3)
    with pytest.raises(ArgumentError, match="scale is 'x'"):
        verify(flash(), args=of_layout("BTD"), like="attention", scale="x")
