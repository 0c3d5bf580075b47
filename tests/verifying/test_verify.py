"""`verify`: mistakes are named, right backwards are right, cheats and broken contracts are refused."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from tests.pairwise import each, some
from tests.verifying import backwards as b

import chainrule as cr
from chainrule.base.errors import ArgumentError, DataError
from chainrule.base.languages import Say
from chainrule.base.types import Array
from chainrule.verifying.judging import search
from chainrule.verifying.judging.findings import apart
from chainrule.verifying.meanings.matching import Like
from chainrule.verifying.texts import TEXTS
from chainrule.verifying.verdict import Verdict
from chainrule.verifying.verify import assert_backward, verify

# name -> (pair, args, like, options, the mistakes by words)
CONV, STEPS = {"stride": 2, "pad": 1}, {"stride": 1, "pad": 2}
TIED = (b.POOLED[0].round(),)
MUSEUM: dict[str, tuple[Any, Any, str, dict[str, Any], tuple[str, ...]]] = {
    "W not transposed": (
        (b.affine, b.affine_of(dx=lambda d, x, w: d @ w)),
        b.SQUARE,
        "dense",
        {},
        ("transpose only",),
    ),
    "1/m in the bias": (
        (b.affine, b.affine_of(db=lambda d, x, w: d.mean(0))),
        b.AFFINE,
        "dense",
        {},
        ("factor 1/m",),
    ),
    "1/m in both": (
        (b.affine, b.affine_of(dw=lambda d, x, w: x.T @ d / len(x), db=lambda d, x, w: d.mean(0))),
        b.AFFINE,
        "linear",
        {},
        ("factor 1/m", "factor 1/m"),
    ),
    "doubled": (
        (b.affine, b.affine_of(dw=lambda d, x, w: 2 * x.T @ d)),
        b.AFFINE,
        "dense",
        {},
        ("factor 2",),
    ),
    "halved": (
        (b.affine, b.affine_of(dw=lambda d, x, w: x.T @ d / 2)),
        b.AFFINE,
        "dense",
        {},
        ("factor 1/2",),
    ),
    "minus": ((b.affine, b.affine_of(dx=lambda d, x, w: -d @ w.T)), b.AFFINE, "dense", {}, ("minus",)),
    "first sample": ((b.affine, b.affine_of(db=lambda d, x, w: d[0])), b.AFFINE, "dense", {}, ("first",)),
    "gradient transposed": (
        (b.affine, b.affine_of(dw=lambda d, x, w: d.T @ x)),
        b.SQUARE,
        "dense",
        {},
        ("exchanged",),
    ),
    "reshape for a transpose": (
        (b.affine, b.affine_of(dw=lambda d, x, w: (d.T @ x).reshape(w.shape))),
        b.AFFINE,
        "dense",
        {},
        ("reshaped",),
    ),
    "f' missing": ((b.relu, lambda d, x: d), (b.X,), "relu", {}, ("multiply only",)),
    "f for f'": ((b.sigmoid, lambda d, x, s: d * s), (b.X,), "sigmoid", {}, ("multiply only",)),
    "f' without 1 -": ((b.sigmoid, lambda d, x, s: d * (1 - s)), (b.X,), "sigmoid", {}, ("multiply only",)),
    "tanh' not squared": ((b.tanh, lambda d, x, t: d * (1 - t)), (b.X,), "tanh", {}, ("power only",)),
    "tanh' of plus": ((b.tanh, lambda d, x, t: d * (1 + t**2)), (b.X,), "tanh", {}, ("subtract as add",)),
    "softmax's diagonal": (
        (b.softmax, lambda d, p: d * p * (1 - p)),
        (b.X,),
        "softmax",
        {},
        ("sum_features only",),
    ),
    "softmax without the sum": ((b.softmax, lambda d, p: d * p), (b.X,), "softmax", {}, ("subtract only",)),
    "softmax's sum added": (
        (b.softmax, lambda d, p: p * (d + (p * d).sum(1, keepdims=True))),
        (b.X,),
        "softmax",
        {},
        ("subtract as add",),
    ),
    "kernel rotated": (
        (b.convolution(2, 1), b.convolution_back(2, 1, "rotated")),
        b.IMAGES,
        "conv2d",
        CONV,
        ("rotated",),
    ),
    "overlap overwritten": (
        (b.convolution(2, 1), b.convolution_back(2, 1, "overwritten")),
        b.IMAGES,
        "conv2d",
        CONV,
        ("overwritten",),
    ),
    "stride": (
        (b.convolution(2, 1), b.convolution_back(2, 1, "stride")),
        b.IMAGES,
        "conv2d",
        CONV,
        ("stride", "stride"),
    ),
    "padding not cut": (
        (b.convolution(2, 1), b.convolution_back(2, 1, "padding")),
        b.IMAGES,
        "conv2d",
        CONV,
        ("padding",),
    ),
    "padding of two": (
        (b.convolution(1, 2), b.convolution_back(1, 2, "padding")),
        b.IMAGES,
        "conv2d",
        STEPS,
        ("padding",),
    ),
    "bias of one sample": (
        (b.convolution(2, 1), b.convolution_back(2, 1, "first")),
        b.IMAGES,
        "conv2d",
        CONV,
        ("first",),
    ),
    "mean for maximum": (
        (b.max_pool, lambda d, x, o: b._each(d) / 4),
        b.POOLED,
        "maxpool2d",
        {"pool_size": 2},
        ("instead",),
    ),
    "every tie": ((b.max_pool, b.max_pool_all), TIED, "maxpool2d", {"pool_size": 2}, ("every tie",)),
    "mean not divided": (
        (b.mean_pool, lambda d, x: b._each(d)),
        b.POOLED,
        "avgpool",
        {"pool_size": 2},
        ("as sum_over",),
    ),
    "statistics constant": (
        (b.batch_norm, b.batch_norm_back("constants")),
        b.NORMED,
        "batchnorm",
        {},
        ("subtract only and subtract only",),
    ),
    "variance constant": (
        (b.batch_norm, b.batch_norm_back("variance constant")),
        b.NORMED,
        "batchnorm",
        {},
        ("subtract only",),
    ),
    "sum for mean": (
        (b.batch_norm, b.batch_norm_back("sum")),
        b.NORMED,
        "batchnorm",
        {},
        ("mean_samples as sum_samples",),
    ),
    "γ without x̂": (
        (b.batch_norm, b.batch_norm_back("gamma")),
        b.NORMED,
        "batchnorm",
        {},
        ("multiply only",),
    ),
}


@cache
def verdict_on(name: str) -> Verdict:
    pair, args, like, options, _ = MUSEUM[name]
    return verify(pair, args=args, like=like, **options)


@pytest.mark.turns(2)
@pytest.mark.parametrize("name", MUSEUM)
def test_the_mistake_is_named(name: str) -> None:
    words, verdict = MUSEUM[name][-1], verdict_on(name)
    assert verdict.verdict == "wrong"
    said = tuple(
        word.split(" ", 2)[0] if word.startswith(("exchanged", "reshaped")) else word for word in verdict.why
    )
    assert said == words, str(verdict)
    for language in ("en", "zh"):
        text = verdict.text(language)
        assert "{" not in text.replace("_{", "")
        assert len(text.splitlines()) >= 3
    assert replace(verdict, hint_level=0).text().count("\n") < str(verdict).count("\n")
    content = json.loads(json.dumps(verdict.json()))
    assert content["verdict"] == "wrong"
    assert all(finding["mistake"] for finding in content["findings"])


def test_a_level_of_hints_is_that_of_the_verdict() -> None:
    pair, args, like, options, _ = MUSEUM["doubled"]
    for level in range(4):
        made = verify(pair, args=args, like=like, hint_level=level, **options)
        assert str(made) == str(replace(verdict_on("doubled"), hint_level=level))


@pytest.mark.turns(4)
@pytest.mark.parametrize("name", some(MUSEUM, 15, lambda name: MUSEUM[name][2]))
def test_it_is_wrong_also_by_differences_alone(name: str) -> None:
    pair, args, _, _, words = MUSEUM[name]
    verdict = verify(pair, args=args)
    if words == ("every tie",):  # which these probes do not have
        return
    assert verdict.verdict == "wrong", str(verdict)
    assert "judged by the differences" in str(verdict) or "like= was not given" in str(verdict)


def columns(pair: Any) -> Any:
    """A pair on rows as one on columns: samples last, W (out, in)."""
    forward, backward = pair

    def turned(x: Array, w: Array, c: Array) -> Any:
        out, cache = forward(x.T, w.T, c.ravel())
        return out.T, (cache, c.shape)

    def back(dout: Array, cache: Any) -> Any:
        dx, dw, db = backward(dout.T, cache[0])
        return dx.T, dw.T, db.reshape(cache[1])

    return turned, back


RIGHT: dict[str, tuple[Any, Any, str, dict[str, Any]]] = {
    "dense": ((b.affine, b.affine_of()), b.AFFINE, "dense", {}),
    "dense of columns": (
        columns((b.affine, b.affine_of())),
        (b.AFFINE[0].T, b.AFFINE[1].T, b.AFFINE[2][:, None]),
        "dense",
        {},
    ),
    "dense, all square": (
        (b.affine, b.affine_of()),
        tuple(np.resize(a, (4,) * a.ndim) + i for i, a in enumerate(b.AFFINE)),
        "dense",
        {},
    ),
    "einsum": (
        (b.affine, b.affine_of(dw=lambda d, x, w: np.einsum("mi,mo->io", x, d))),
        b.AFFINE,
        "affine",
        {},
    ),
    "relu, ≥": ((b.relu, lambda d, x: d * (x >= 0)), (b.X,), "relu", {}),
    "relu, where": ((b.relu, lambda d, x: np.where(x > 0, d, 0)), (b.X,), cr.ReLU(), {}),
    "sigmoid": ((b.sigmoid, lambda d, x, s: d * s * (1 - s)), (b.X,), "sigmoid", {}),
    "tanh": ((b.tanh, lambda d, x, t: d / np.cosh(x) ** 2), (b.X,), "tanh", {}),
    "softmax": ((b.softmax, b.softmax_right), (b.X,), "softmax", {}),
    "softmax by Jacobians": (
        (
            b.softmax,
            lambda d, p: np.stack([(np.diag(q) - np.outer(q, q)) @ e for q, e in zip(p, d, strict=True)]),
        ),
        (b.X,),
        "softmax",
        {},
    ),
    "convolution": ((b.convolution(2, 1), b.convolution_back(2, 1)), b.IMAGES, "conv2d", CONV),
    "convolution, no padding": ((b.convolution(1, 0), b.convolution_back(1, 0)), b.IMAGES, "conv2d", {}),
    "maximum, split": ((b.max_pool, b.max_pool_split), b.POOLED, "maxpool2d", {"pool_size": 2}),
    "mean": ((b.mean_pool, lambda d, x: b._each(d) / 4), b.POOLED, "averagepool2d", {"window": 2}),
    "batch normalisation": ((b.batch_norm, b.batch_norm_back()), b.NORMED, "batchnorm", {}),
}


@pytest.mark.parametrize(("name", "dtype", "seed"), each(RIGHT, ["float64", "float32"], [0, 1, 2], turns=2))
def test_right_is_right(name: str, dtype: str, seed: int) -> None:
    pair, args, like, options = RIGHT[name]
    arrays = tuple(value.astype(dtype) for value in args)
    verdict = verify(pair, args=arrays, like=like, seed=seed, **options)
    assert verdict, str(verdict)


@pytest.mark.turns(3)
@pytest.mark.parametrize("name", RIGHT)
def test_right_is_right_by_differences_alone(name: str) -> None:
    pair, args, like, options = RIGHT[name]
    assert_backward(pair, args=args)
    if name == "dense":
        assert_backward(pair, args=args, like=like, **options)
        with pytest.raises(AssertionError, match="The gradient of b is wrong"):
            assert_backward((pair[0], b.affine_of(db=lambda d, x, w: d.mean(0))), args=args, like=like)


@pytest.mark.turns(3)
@pytest.mark.parametrize("factor", [1.0137, 0.93, 1.2])
def test_a_cause_is_never_invented(factor: float) -> None:
    pair = (b.affine, b.affine_of(dx=lambda d, x, w: factor * d @ w.T))
    for like in ("dense", None):
        verdict = verify(pair, args=b.AFFINE, like=like)
        assert verdict.verdict == "wrong"
        assert verdict.why == ("",)
        assert "The cause is unknown" in str(verdict)


COUNT = iter(range(10**6))
CHEATS: dict[str, Any] = {
    "zeros": lambda d, x, w: np.zeros_like(x),
    "a constant": lambda d, x, w: np.ones_like(x),
    "its input": lambda d, x, w: x,
    "another each time": lambda d, x, w: d @ w.T + next(COUNT),
    "not linear": lambda d, x, w: np.abs(d) @ w.T,
    "another shape": lambda d, x, w: (d @ w.T).T,
    "NaN": lambda d, x, w: d @ w.T * np.nan,
    "the input changed": lambda d, x, w: (x.__imul__(2), d @ w.T)[1],
    "these shapes alone": lambda d, x, w: d @ w.T if len(x) == 3 else 0 * x,
}


@pytest.mark.turns(2)
@pytest.mark.parametrize("like", ["dense", None])
@pytest.mark.parametrize("name", CHEATS)
def test_cheats_are_refused(name: str, like: str | None) -> None:
    verdict = verify((b.affine, b.affine_of(dx=CHEATS[name])), args=b.AFFINE, like=like)
    assert verdict.verdict == "wrong", str(verdict)


class Affine:
    """As courses write layers."""

    def __init__(self, mistake: bool = False) -> None:
        self.W, self.b, self.mistake = np.array(b.AFFINE[1]), np.array(b.AFFINE[2]), mistake
        self.dW = self.db = np.zeros(1)

    def forward(self, x: Array) -> Array:
        self.x = x
        return np.asarray(x @ self.W + self.b)

    def backward(self, dout: Array) -> Array:
        self.dW, self.db = self.x.T @ dout, dout.mean(axis=0) if self.mistake else dout.sum(axis=0)
        return np.asarray(dout @ self.W.T)


def test_an_object_with_its_parameters() -> None:
    assert verify(Affine(), args=(b.AFFINE[0],), like="dense")
    verdict = verify(Affine(mistake=True), args=(b.AFFINE[0],), like="dense")
    assert [finding.name for finding in verdict.findings] == ["b"]
    assert verdict.why == ("factor 1/m",)


def test_a_forward_that_is_another_is_said_first() -> None:
    verdict = verify((b.relu, lambda d, x: d * (x > 0)), args=(b.X,), like="sigmoid")
    assert verdict.verdict == "wrong"
    assert verdict.why == ("forward",)
    assert "The forward pass is not that of sigmoid()" in str(verdict)


@pytest.mark.parametrize("lying", ["channels first", "channels last"])
@pytest.mark.parametrize("sizes", [(4, 2, 3, 2), (3, 2, 2, 3), (5, 3, 3, 2), (2, 2, 1, 3)])
def test_a_kernel_is_called_by_its_rows_first(sizes: tuple[int, ...], lying: str) -> None:
    """Whatever else in W has the size of its rows or columns."""
    rng = np.random.default_rng(0)
    filters, channels, rows, columns = sizes
    x, w = rng.normal(size=(3, channels, 7, 6)), rng.normal(size=sizes)
    windows = np.lib.stride_tricks.sliding_window_view(x, (rows, columns), axis=(2, 3))
    out = np.einsum("ncijkl,fckl->nfij", windows, w)
    args = [x, w]
    if lying == "channels last":
        args, out = [x.transpose(0, 2, 3, 1), w.transpose(2, 3, 1, 0)], out.transpose(0, 2, 3, 1)
    meaning = Like("conv2d", {}).meaning(args, ("x", "w"), out, lambda values: out)
    assert meaning is not None
    assert meaning.title == f"Conv2D({filters}, ({rows}, {columns}), bias=False)"


@pytest.mark.parametrize("like", ["dense", None])
def test_what_is_looked_at_is_told(like: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every check once and in its order, the search for a cause while it lasts; the verdict is the same."""
    monkeypatch.setattr(search, "TOLD_EVERY", 10)
    told: list[Say] = []
    pair = b.affine, b.affine_of(dw=lambda d, x, w: np.sqrt(np.abs(x.T @ d)) * np.sign(x.T @ d))
    given: dict[str, Any] = {"args": b.AFFINE, "like": like}
    verdict = verify(pair, **given, progress=told.append)
    assert verdict.json() == verify(pair, **given).json()
    english = [step.en for step in told]
    checks = [step.en for step in TEXTS.within("step").values() if step.en in english]
    assert [text for text in english if text in checks] == checks
    assert {"linearity in δ", "layouts in memory", "other arguments to try"} <= set(checks)
    if like is None:
        assert "the differences of the gradient of w" in english
    else:
        assert "the gradients beside the formulas" in checks
        searched = [text for text in english if text not in checks]
        assert len(set(searched)) == len(searched) > 1
        assert all("of at most 12000 formulas" in text for text in searched)
    assert all(step.zh for step in told)


def test_gradients_in_a_dict_and_none() -> None:
    pair = (b.affine, lambda d, c: {"dw": c[0].T @ d, "db": d.sum(0)})
    verdict = verify(pair, args=b.AFFINE, like="dense")
    assert verdict
    assert "no gradient of x came back" in str(verdict)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: verify(b.affine, args=b.AFFINE), r"verify takes \(forward, backward\)"),
        (lambda: verify((b.affine, b.affine_of()), args=()), "args is empty"),
        (
            lambda: verify((b.affine, b.affine_of()), args=b.AFFINE, like="denze"),
            "like is 'denze': did you mean 'Dense'",
        ),
        (
            lambda: verify((b.affine, b.affine_of()), args=b.AFFINE, like="dense", stride=2),
            "takes no 'stride' for dense",
        ),
        (lambda: verify((b.affine, lambda d, c: {"a": d}), args=b.AFFINE), "of which none is a gradient of"),
        (lambda: verify((b.affine, lambda d, c: "dx"), args=b.AFFINE), "no array of numbers"),
    ],
)
def test_what_cannot_be_run_is_refused(call: Any, words: str) -> None:
    with pytest.raises((ArgumentError, DataError), match=words):
        call()


RNG = np.random.default_rng(8)


def least_squares(W: Array, X: Array, y: Array, reg: float = 0.3, by: float = 2.0) -> Any:
    r = X @ W - y
    return (r * r).mean() + reg * (W * W).sum(), 2 * X.T @ r / r.size + by * reg * W


def test_a_penalty_may_be_a_name() -> None:
    args = (RNG.normal(size=(4, 3)), RNG.normal(size=(6, 4)), RNG.normal(size=(6, 3)))
    wanted: dict[str, Any] = {"like": [cr.Dense(3, bias=False)], "loss": "mse", "penalty": "l2"}
    right = verify(least_squares, args=args, **wanted)
    assert right
    assert "L2(lam=0.6" in str(right)
    assert not verify(lambda W, X, y: least_squares(W, X, y, by=1.0), args=args, **wanted)


def test_one_negative_class_of_cross_entropy_is_what_is_ignored() -> None:
    def loss(x: Array, y: Array, by: float = 1.0) -> Any:
        p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
        kept = np.flatnonzero(y != -100)
        d = np.where((y != -100)[:, None], p, 0)
        d[kept, y[kept]] -= 1
        return -np.log(p[kept, y[kept]]).mean(), by * d / len(kept)

    args = (RNG.normal(size=(6, 4)), np.array([0, -100, 2, 3, -100, 1]))
    right = verify(loss, args=args, like="cross_entropy")
    assert right
    assert "ignore_index=-100" in str(right)
    assert verify(lambda x, y: loss(x, y, -1.0), args=args, like="cross_entropy").why == ("minus",)


def test_numbers_have_the_digits_that_tell_them_apart() -> None:
    for off in 10.0 ** -np.arange(1, 16):
        yours, right = apart(-1.61985, -1.61985 * (1 + off))
        assert yours != right
        assert len(yours) >= 6
    assert apart(1.0, 1.0) == ("1", "1")
    assert apart(1.25, 3.5) == ("1.25", "3.5")
