"""Two functions as a Subject: however backward takes δ and what forward kept, and however it returns."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.verifying import backwards as b

import chainrule as cr
from chainrule.base.errors import ArgumentError, DataError, ShapeError
from chainrule.base.types import Array
from chainrule.verifying.subjects.calls.running import quiet
from chainrule.verifying.subjects.door import subject_from
from chainrule.verifying.verify import verify

RNG = np.random.default_rng(3)
X, W, B = RNG.normal(size=(3, 4)), RNG.normal(size=(4, 5)), RNG.normal(size=5)
Gradients = tuple[Array, Array, Array]


def product(dout: Array, x: Array, w: Array, wrong: bool) -> Gradients:
    """The gradients of x @ w + b; wrong: db is a mean."""
    return dout @ w.T, x.T @ dout, dout.mean(axis=0) if wrong else dout.sum(axis=0)


class Cache:
    """Anything may be a cache."""

    def __init__(self, x: Array, w: Array) -> None:
        self.x, self.w = x, w


# name -> (what forward returns, the backward pass for wrong or right)
Backward = Callable[..., Any]
STYLES: dict[str, tuple[Callable[[Array, Array, Array, Array], Any], Callable[[bool], Backward]]] = {
    "(dout, cache)": (
        lambda o, x, w, b: (o, (x, w, b)),
        lambda k: lambda dout, cache: product(dout, *cache[:2], k),
    ),
    "cache, an object": (
        lambda o, x, w, b: (o, Cache(x, w)),
        lambda k: lambda dout, cache: product(dout, cache.x, cache.w, k),
    ),
    "cache, a dict": (
        lambda o, x, w, b: (o, {"x": x, "w": w}),
        lambda k: lambda dout, cache: product(dout, cache["x"], cache["w"], k),
    ),
    "cache, a dict spread by name": (
        lambda o, x, w, b: (o, {"w": w, "x": x}),
        lambda k: lambda dout, x, w: product(dout, x, w, k),
    ),
    "cache, a list": (
        lambda o, x, w, b: (o, [x, w]),
        lambda k: lambda dout, cache: product(dout, *cache, k),
    ),
    "(dout, *cache)": (
        lambda o, x, w, b: (o, (x, w, b)),
        lambda k: lambda dout, *cache: product(dout, *cache[:2], k),
    ),
    "(out, x, w), (dout, *cache)": (
        lambda o, x, w, b: (o, x, w),
        lambda k: lambda dout, *cache: product(dout, *cache, k),
    ),
    "(out, x, w), (dout, cache)": (
        lambda o, x, w, b: (o, x, w),
        lambda k: lambda dout, cache: product(dout, *cache, k),
    ),
    "(cache, dout)": (
        lambda o, x, w, b: (o, (x, w)),
        lambda k: lambda cache, dout: product(dout, *cache, k),
    ),
    "(ctx, grad_output)": (
        lambda o, x, w, b: (o, (x, w)),
        lambda k: lambda ctx, grad_output: product(grad_output, *ctx, k),
    ),
    "(dout, x, w, b), out alone": (
        lambda o, x, w, b: o,
        lambda k: lambda dout, x, w, b: product(dout, x, w, k),
    ),
    "(x, w, b, dout), out alone": (
        lambda o, x, w, b: o,
        lambda k: lambda x, w, b, dout: product(dout, x, w, k),
    ),
    "(dout, w, x), out alone": (
        lambda o, x, w, b: o,
        lambda k: lambda dout, w, x: product(dout, x, w, k),
    ),
    "(dout, one, two, three), out alone": (
        lambda o, x, w, b: o,
        lambda k: lambda dout, one, two, three: product(dout, one, two, k),
    ),
    "(dout, cache), out alone": (
        lambda o, x, w, b: o,
        lambda k: lambda dout, cache: product(dout, *cache[:2], k),
    ),
    "by keyword": (
        lambda o, x, w, b: (o, (x, w)),
        lambda k: lambda *, cache, dout: product(dout, *cache, k),
    ),
    "a cache that may be left out": (
        lambda o, x, w, b: (o, (x, w)),
        lambda k: lambda dout, cache=None: product(dout, *cache, k),
    ),
    "(dZ, cache) of Ng": (
        lambda o, x, w, b: (o, (x, w, b)),
        lambda k: lambda dZ, cache: product(dZ, *cache[:2], k),
    ),
    "x beside the cache": (
        lambda o, x, w, b: (o, w),
        lambda k: lambda dout, cache, x: product(dout, x, cache, k),
    ),
}


@pytest.mark.turns(2)
@pytest.mark.parametrize("style", STYLES)
def test_every_style_of_a_call(style: str) -> None:
    kept, made = STYLES[style]

    def forward(x: Array, w: Array, b: Array) -> Any:
        return kept(x @ w + b, x, w, b)

    for like in (None, "dense"):
        assert verify((forward, made(False)), args=(X, W, B), like=like), style
        verdict = verify((forward, made(True)), args=(X, W, B), like=like)
        assert [finding.name for finding in verdict.findings] == ["b"]
        assert verdict.why == ("factor 1/m",)


RETURNS: dict[str, Callable[[Gradients], Any]] = {
    "a tuple": lambda g: g,
    "a list": list,
    "a dict": lambda g: {"dx": g[0], "dw": g[1], "db": g[2]},
    "grad_x": lambda g: {"grad_x": g[0], "grad_w": g[1], "grad_b": g[2]},
    "capitals": lambda g: {"dX": g[0], "dW": g[1], "dB": g[2]},
    "in another order": lambda g: {"b": g[2], "w": g[1], "x": g[0]},
    "an array of objects": lambda g: np.array([*g, None], dtype=object)[:3],
}
FEWER: dict[str, tuple[Callable[[Gradients], Any], list[str]]] = {
    "dx, dw": (lambda g: g[:2], ["b"]),
    "dw, db": (lambda g: g[1:], ["x"]),
    "dx alone": (lambda g: g[0], ["w", "b"]),
    "dw alone": (lambda g: g[1], ["x", "b"]),
    "db, a list": (lambda g: [g[2]], ["x", "w"]),
    "None for dw": (lambda g: (g[0], None, g[2]), ["w"]),
    "a dict without dx": (lambda g: {"dw": g[1], "db": g[2]}, ["x"]),
}


@pytest.mark.parametrize("form", RETURNS)
def test_every_form_of_gradients(form: str) -> None:
    for wrong in (False, True):
        backward = lambda dout, cache, wrong=wrong: RETURNS[form](product(dout, *cache, wrong))  # noqa: E731
        verdict = verify((lambda x, w, b: (x @ w + b, (x, w)), backward), args=(X, W, B))
        assert verdict.verdict == ("wrong" if wrong else "right"), str(verdict)
        assert [finding.name for finding in verdict.findings] == (["b"] if wrong else [])


@pytest.mark.parametrize("form", FEWER)
def test_fewer_gradients_than_arguments_are_told_by_their_shapes(form: str) -> None:
    returned, missing = FEWER[form]
    pair = (lambda x, w, b: (x @ w + b, (x, w)), lambda dout, cache: returned(product(dout, *cache, False)))
    verdict = verify(pair, args=(X, W, B))
    assert verdict
    for name in "xwb":
        assert (f"no gradient of {name} came back" in str(verdict)) == (name in missing)


def test_a_gradient_of_the_wrong_shape_is_that_of_its_place() -> None:
    pair = (lambda x, w, b: (x @ w + b, (x, w)), lambda d, c: (d @ c[1].T, d.T @ c[0], d.sum(0)))
    verdict = verify(pair, args=(X, W, B))
    assert [(finding.name, finding.mistake) for finding in verdict.findings] == [("w", "wrong shape")]


# -- options and dicts
def conv_forward(x: Array, w: Array, b: Array, conv_param: dict[str, int]) -> Any:
    out, _ = b_conv(conv_param)[0](x, w, b)
    return out, (x, w, b, conv_param)


def b_conv(options: dict[str, int]) -> Any:
    return b.convolution(options["stride"], options["pad"]), b.convolution_back(
        options["stride"], options["pad"]
    )


def conv_backward(dout: Array, cache: Any) -> Any:
    x, w, _, conv_param = cache
    return b_conv(conv_param)[1](dout, (x, w))


def test_a_dict_of_options_is_handed_on() -> None:
    options = {"stride": 2, "pad": 1}
    assert verify((conv_forward, conv_backward), args=(*b.IMAGES, options), like="conv2d", stride=2, pad=1)
    wrong = (conv_forward, lambda d, c: (*conv_backward(d, c)[:2], d[0].sum(axis=(1, 2))))
    verdict = verify(wrong, args=(*b.IMAGES, options), like="conv2d", stride=2, pad=1)
    assert verdict.why == ("first",)


def batchnorm_forward(x: Array, gamma: Array, beta: Array, bn_param: dict[str, Any]) -> Any:
    """CS231n's, which keeps running statistics in bn_param."""
    bn_param["calls"] = bn_param.get("calls", 0) + 1
    running = bn_param.get("running_mean", np.zeros(x.shape[1]))
    bn_param["running_mean"] = 0.9 * running + 0.1 * x.mean(axis=0)
    out, cache = b.batch_norm(x, gamma, beta)
    return out + 0 * bn_param["calls"], cache


def test_what_is_kept_in_an_option_does_not_leak() -> None:
    given: dict[str, Any] = {"mode": "train", "eps": 1e-5}
    args = (*b.NORMED, given)
    assert verify((batchnorm_forward, b.batch_norm_back()), args=args, like="batchnorm")
    assert given == {"mode": "train", "eps": 1e-5}
    seen: list[int] = []

    def counting(x: Array, option: dict[str, int]) -> Any:
        option["calls"] += 1
        seen.append(option["calls"])
        return x * 2

    assert verify((counting, lambda dout: 2 * dout), args=(X, {"calls": 0, "name": "n"}))  # type: ignore[dict-item]
    assert set(seen) == {1}


@pytest.mark.parametrize("seeded", [True, False])
def test_dropout_draws_the_same_mask_in_every_call(seeded: bool) -> None:
    def forward(x: Array, dropout_param: dict[str, Any]) -> Any:
        if "seed" in dropout_param:
            np.random.seed(dropout_param["seed"])  # noqa: NPY002
        mask = (np.random.rand(*x.shape) < dropout_param["p"]) / dropout_param["p"]  # noqa: NPY002
        return x * mask, (dropout_param, mask)

    options = {"mode": "train", "p": 0.7, **({"seed": 123} if seeded else {})}
    assert verify((forward, lambda dout, cache: dout * cache[1]), args=(X, options))
    unscaled = verify((forward, lambda dout, cache: dout * (cache[1] > 0)), args=(X, options))
    assert unscaled.verdict == "wrong"

    def another(dout: Array, cache: Any) -> Array:
        return np.asarray(dout * (np.random.rand(*dout.shape) < 0.7) / 0.7)  # noqa: NPY002

    assert verify((forward, another), args=(X, options)).verdict == "wrong"


@pytest.mark.parametrize("drawn", range(4))
@pytest.mark.parametrize("kind", [np.random.MT19937, np.random.PCG64])
def test_random_numbers_are_as_they_were(kind: Any, drawn: int) -> None:
    """Also where half of a pair of normal numbers is left, which the generator's memory does not show."""
    generator = np.random.mtrand.get_bit_generator()
    try:
        np.random.set_bit_generator(kind(5))
        np.random.randn(drawn)  # noqa: NPY002
        before = str(np.random.get_state(legacy=False))  # noqa: NPY002
        seen = []
        for _ in range(3):
            with quiet():
                first = np.random.randn(), np.random.rand(2).tolist()  # noqa: NPY002
            with quiet():
                second = np.random.randn(3).tolist()  # noqa: NPY002
            seen.append((first, second))
        assert seen[0] == seen[1] == seen[2]
        assert str(np.random.get_state(legacy=False)) == before  # noqa: NPY002
    finally:
        np.random.set_bit_generator(generator)


@pytest.mark.parametrize(
    "extra", [None, 3, "relu", 0.5, True, (2, 2), {"a": 1}, {}, [], ["a"], {"w": None}, np.float64(0.5)]
)
def test_what_is_no_array_is_handed_on_as_it_is(extra: Any) -> None:
    def forward(x: Array, option: Any) -> Any:
        assert option == extra
        assert type(option) is type(extra)
        return 2 * x, None

    for backward in (lambda dout, cache: 2 * dout, lambda dout, cache: (2 * dout, None)):
        assert verify((forward, backward), args=(X, extra))
    assert not verify((forward, lambda dout, cache: dout), args=(X, extra))


@pytest.mark.parametrize("taken", ["name", "place", "default"])
def test_options_reach_backward_too(taken: str) -> None:
    """linear_activation_backward(dA, cache, activation)."""

    def forward(a: Array, activation: str) -> Any:
        return (np.tanh(a) if activation == "tanh" else np.maximum(a, 0)), a

    def by_name(dA: Array, cache: Array, activation: str) -> Array:
        return np.asarray(dA * (1 - np.tanh(cache) ** 2) if activation == "tanh" else dA * (cache > 0))

    def by_place(dA: Array, cache: Array, kind: str) -> Array:
        return by_name(dA, cache, kind)

    def by_default(dA: Array, cache: Array, activation: str = "relu") -> Array:
        return by_name(dA, cache, activation)

    backward = {"name": by_name, "place": by_place, "default": by_default}[taken]
    for activation in ("tanh", "relu"):
        assert verify((forward, backward), args=(X, activation), like=activation)


PARAMETERS: dict[str, tuple[Any, Callable[[Gradients], Any], list[str]]] = {
    "a dict": ({"W": W, "b": B}, lambda g: (g[0], {"dW": g[1], "db": g[2]}), ["x", "W", "b"]),
    "a dict of the same names": ({"W": W, "b": B}, lambda g: (g[0], {"W": g[1], "b": g[2]}), ["x", "W", "b"]),
    "a dict, flat": ({"W": W, "b": B}, lambda g: g, ["x", "W", "b"]),
    "a dict, all by name": (
        {"W": W, "b": B},
        lambda g: {"dx": g[0], "dW": g[1], "db": g[2]},
        ["x", "W", "b"],
    ),
    "a list": ([W, B], lambda g: (g[0], [g[1], g[2]]), ["x", "params[0]", "params[1]"]),
    "a tuple": ((W, B), lambda g: (g[0], g[1:]), ["x", "params[0]", "params[1]"]),
    "a list, flat": ([W, B], lambda g: g, ["x", "params[0]", "params[1]"]),
}


@pytest.mark.parametrize("form", PARAMETERS)
def test_parameters_in_a_dict_or_a_list_are_an_argument_each(form: str) -> None:
    given, returned, names = PARAMETERS[form]

    def forward(x: Array, params: Any) -> Any:
        w, c = (params["W"], params["b"]) if isinstance(given, dict) else params
        return x @ w + c, (x, w)

    for wrong in (False, True):
        pair = (forward, lambda dout, cache, wrong=wrong: returned(product(dout, *cache, wrong)))
        assert list(subject_from(pair, (X, given)).names) == names
        verdict = verify(pair, args=(X, given), like="dense")
        assert [finding.name for finding in verdict.findings] == (names[2:] if wrong else [])


def test_names_are_given_or_those_of_forward() -> None:
    pair = (lambda x, w, b: (x @ w + b, (x, w)), lambda d, c: product(d, *c, True))
    assert subject_from(pair, (X, W, B)).names == ("x", "w", "b")
    assert subject_from(pair, (X, W, B), names=["input", "kernel", "bias"]).names == (
        "input",
        "kernel",
        "bias",
    )
    verdict = verify(pair, args=(X, W, B), names=["input", "kernel", "bias"])
    assert [finding.name for finding in verdict.findings] == ["bias"]


# -- several outputs, slopes and derivatives
def step(x: Array, h: Array) -> Any:
    return x * h, x + h, (x, h)


def step_back(dout: Array, dnext: Array, cache: Any) -> Any:
    x, h = cache
    return dout * h + dnext, dout * x + 2 * dnext


def test_of_several_outputs_all_are_judged_or_the_one_asked_for() -> None:
    args = (X, RNG.normal(size=X.shape))
    first = verify((step, step_back), args=args, output=0)
    assert first
    assert "judged by output 0 of 2" in str(first)
    both = verify((step, step_back), args=args)
    assert [finding.name for finding in both.findings] == ["h"]
    assert both.why == ("factor 2",)
    assert "With a δ of output 1 alone: The gradient of h is wrong" in str(both)
    assert "judged by all 2 outputs" in str(both)
    second = verify((step, step_back), args=args, output=1)
    assert [finding.name for finding in second.findings] == ["h"]
    with pytest.raises(ArgumentError, match="output is 2, and forward returns 2"):
        verify((step, step_back), args=args, output=2)


def heads(right: bool, bundle: bool) -> Any:
    """Two products with x; wrong: dx lacks what comes by the second."""

    def forward(x: Array, w: Array, v: Array) -> Any:
        return ((x @ w, x @ v), (x, w, v)) if bundle else (x @ w, x @ v, (x, w, v))

    def backward(dw: Any, dv: Any, cache: Any) -> Any:
        x, w, v = cache
        return dw @ w.T + (dv @ v.T if right else 0), x.T @ dw, x.T @ dv

    return forward, (lambda d, cache: backward(*d, cache)) if bundle else backward


@pytest.mark.parametrize("bundle", [False, True], ids=["outputs", "one tuple"])
def test_what_an_output_s_delta_does_not_reach_is_named(bundle: bool) -> None:
    args = (X, W, RNG.normal(size=(4, 2)))
    assert verify(heads(True, bundle), args=args)
    assert verify(heads(False, bundle), args=args, output=0)
    for output in (None, 1):
        verdict = verify(heads(False, bundle), args=args, output=output)
        assert [finding.name for finding in verdict.findings] == ["x"]
        assert verdict.why == ("output unused",)
        assert "The δ of output 1, counted from 0, is not used" in str(verdict)
        assert "0 everywhere" not in str(verdict)


def test_beside_the_formula_of_one_output_the_others_are_judged() -> None:
    def forward(x: Array) -> Any:
        p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
        return p, x**3, (x, p)

    def backward(dshare: Array, dcube: Array, cache: Any, by: float = 1.0) -> Array:
        x, p = cache
        through = p * (dshare - (dshare * p).sum(axis=1, keepdims=True))
        return np.asarray(through + by * 3 * x**2 * dcube)

    right = verify((forward, backward), args=(X,), like="softmax")
    assert right
    assert "with a δ for all 2 outputs" in str(right)
    minus = lambda dshare, dcube, cache: backward(dshare, dcube, cache, -1.0)  # noqa: E731
    verdict = verify((forward, minus), args=(X,), like="softmax")
    assert verdict.why == ("minus",)
    assert "With a δ of output 1 alone" in str(verdict)


CACHES: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "a tuple": (lambda x, w, h: (x, w, h), lambda c: c),
    "a dict": (lambda x, w, h: {"x": x, "w": w, "h": h}, lambda c: (c["x"], c["w"], c["h"])),
    "a list": (lambda x, w, h: [x, w, h], lambda c: c),
}


@pytest.mark.parametrize("kind", CACHES)
@pytest.mark.parametrize("output", [None, 0])
def test_a_cache_behind_outputs_without_a_delta(kind: str, output: int | None) -> None:
    pack, unpack = CACHES[kind]

    def forward(x: Array, w: Array) -> Any:
        h = np.tanh(x @ w)
        return h, h**2, pack(x, w, h)

    def backward(dh: Array, cache: Any, by: float = 1.0) -> Any:
        x, w, h = unpack(cache)
        dz = dh * (1 - h**2)
        return dz @ w.T, by * (x.T @ dz)

    right = verify((forward, backward), args=(X, W), output=output)
    assert right
    assert "the last is taken as the cache" in str(right)
    assert verify((forward, lambda d, cache: backward(d, cache, 2.0)), args=(X, W)).why == ("factor 2",)


def test_values_behind_the_output_are_the_cache_where_backward_unpacks_them() -> None:
    def backward(d: Array, cache: Any) -> Any:
        x, (w, _) = cache
        return d @ w.T, x.T @ d, d.sum(axis=0)

    verdict = verify((lambda x, w, b: (x @ w + b, x, (w, b)), backward), args=(X, W, B), like="dense")
    assert verdict
    assert "the last is taken" not in str(verdict)


# -- arguments by keyword, two arguments of verify
def by_keyword(x: Array, *, w: Array, b: Array, scale: float) -> Any:
    return (x @ w + b) * scale, (x, w, scale)


def by_keyword_back(d: Array, cache: Any, by: float = 1.0) -> Any:
    x, w, scale = cache
    return scale * d @ w.T, scale * x.T @ d, by * scale * d.sum(axis=0)


@pytest.mark.parametrize("like", [None, "dense"])
def test_what_forward_takes_by_keyword(like: Any) -> None:
    told = {"args": (X,), "w": W, "b": B, "scale": 2.0 if like is None else 1}
    if like is not None:
        with pytest.raises(ArgumentError, match="takes no 'scale'"):
            verify((by_keyword, by_keyword_back), like=like, **told)

        def forward(x: Array, *, w: Array, b: Array) -> Any:
            return by_keyword(x, w=w, b=b, scale=1.0)

        told.pop("scale")
    else:
        forward = by_keyword
    assert verify((forward, by_keyword_back), like=like, **told)
    verdict = verify((forward, lambda d, cache: by_keyword_back(d, cache, 2.0)), like=like, **told)
    assert ([finding.name for finding in verdict.findings], verdict.why) == (["b"], ("factor 2",))
    with pytest.raises(ArgumentError, match="width is no argument of verify"):
        verify((forward, by_keyword_back), **told, width=3)


def test_forward_and_backward_as_two_arguments() -> None:
    def backward(d: Array, cache: Any) -> Any:
        return product(d, *cache, True)

    def forward(x: Array, w: Array, b: Array) -> Any:
        return x @ w + b, (x, w)

    assert verify(forward, backward, args=(X, W, B)).why == ("factor 1/m",)
    with pytest.raises(AssertionError, match="multiplied by 1/m"):
        cr.assert_backward(forward, backward, args=(X, W, B))
    with pytest.raises(ArgumentError, match=r"verify\(\(forward, backward\), args=\(x, W, b\)\)"):
        verify(forward, X, args=(X, W, B))


def test_a_derivative_entry_by_entry() -> None:
    assert verify((np.tanh, lambda x: 1 - np.tanh(x) ** 2), args=(X,), like="tanh")

    def sigmoid(z: Array) -> Array:
        return np.asarray(1 / (1 + np.exp(-z)))

    def sigmoid_prime(z: Array) -> Array:
        return np.asarray(sigmoid(z) * (1 - sigmoid(z)))

    verdict = verify((sigmoid, sigmoid_prime), args=(X,), like="sigmoid")
    assert verdict
    assert "sigmoid_prime takes what forward takes" in str(verdict)
    assert verify((sigmoid, lambda z: sigmoid(z)), args=(X,), like="sigmoid").why == ("multiply only",)


# -- nothing leaks
def test_nothing_of_theirs_leaks(capsys: pytest.CaptureFixture[str]) -> None:
    def forward(x: Array) -> Any:
        print("forward")
        warnings.warn("careful", stacklevel=1)
        np.seterr(all="raise")
        np.random.seed(1)  # noqa: NPY002
        random.seed(1)
        return x / (1 + 0 * x), None

    before = np.random.get_state()[1].copy(), random.getstate(), np.geterr()  # noqa: NPY002
    assert verify((forward, lambda dout, cache: dout), args=(X,))
    after = np.random.get_state()[1], random.getstate(), np.geterr()  # noqa: NPY002
    assert np.array_equal(before[0], after[0])
    assert before[1:] == after[1:]
    assert capsys.readouterr() == ("", "")


# -- what cannot be run
def raising(x: Array) -> Any:
    y = x @ x
    return y, None


def none(x: Array) -> Any:
    return None


PAIR = (lambda x, w, b: (x @ w + b, (x, w)), lambda d, c: product(d, *c, False))
REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "forward raises": (
        lambda: verify((raising, lambda d, c: d), args=(X,)),
        r"raising raised ValueError: matmul.*in raising, line \d+ of test_subjects_pairs.py: 'y = x @ x'|"
        r"raising raised ValueError: matmul.*in raising, line \d+ of test_subjects_pairs.py: y = x @ x",
    ),
    "backward raises": (
        lambda: verify((b.relu, lambda d, c: d[10]), args=(X,)),
        r"backward raised IndexError: .*line \d+ of test_subjects_pairs.py",
    ),
    "forward takes fewer": (
        lambda: verify(PAIR, args=(X, W)),
        r"forward raised TypeError: .*missing 1 required",
    ),
    "exit": (lambda: verify((lambda x: exit(), lambda d: d), args=(X,)), "forward raised SystemExit"),
    "None": (lambda: verify((none, lambda d: d), args=(X,)), "the output of forward is None, no array"),
    "complex output": (lambda: verify((lambda x: x + 1j, lambda d: d), args=(X,)), "holds complex numbers"),
    "complex argument": (lambda: verify(PAIR, args=(X, W + 1j, B)), r"args\[1\] \(w\) holds complex numbers"),
    "too many": (
        lambda: verify((lambda x: (x, x), lambda d, c: (d, d)), args=(X,)),
        r"backward returned 2 gradients for 1 argument \(x\)",
    ),
    "unknown parameter": (
        lambda: verify((b.affine, lambda dout, cache, mode, other: dout), args=b.AFFINE),
        r"backward takes cache, mode, other beside δ, and forward returned 1 value .* \(x, w, b\)",
    ),
    "an unknown key": (
        lambda: verify((PAIR[0], lambda d, c: {"dx": d @ c[1].T, "dweight": c[0].T @ d}), args=(X, W, B)),
        "returned a dict with dweight, of which none is a gradient of x, w, b: call them dw",
    ),
    "an empty array": (
        lambda: verify(PAIR, args=(X[:0], W, B)),
        r"args\[0\] \(x\) is empty, of shape \(0, 4\)",
    ),
    "whole numbers alone": (
        lambda: verify((b.relu, lambda d, x: d * (x > 0)), args=(np.arange(6),)),
        r"no floating-point array \(x of int64\).*write x.astype\(float\), of a single number np.array\(3",
    ),
    "no array": (lambda: verify((lambda x: np.ones(2), lambda d: d), args=("x",)), r"\(no array at all\)"),
    "an array as args": (
        lambda: verify((b.relu, lambda d, x: d), args=X),
        r"write a tuple .* args=\(x, W, b\)",
    ),
    "names, a text": (
        lambda: verify(PAIR, args=(X, W, B), names="xwb"),
        "names is 'xwb': write a list of texts",
    ),
    "names, too many": (
        lambda: verify(PAIR, args=(X, W, B), names=["a", "b", "c", "d"]),
        "names has 4 names, and args 3",
    ),
    "names, twice": (lambda: verify(PAIR, args=(X, W, B), names=["a", "a", "b"]), "names has a name twice"),
    "output": (lambda: verify(PAIR, args=(X, W, B), output=-1), "output must be a whole number"),
    "a number": (
        lambda: verify(lambda a: (a**2, 2 * a), args=(3.0,)),
        r"\(no array at all\).*of a single number np.array\(3.0\)",
    ),
    "a layer of ours": (
        lambda: verify(cr.Dense(3), args=(X,)),
        r"Dense\(3\) is chainrule's: chainrule.check_layer\(layer, input_shape\) checks it",
    ),
    "a network of ours": (
        lambda: verify(cr.Network([cr.Dense(3)], input_shape=4), args=(X,)),
        r"is chainrule's: chainrule.check_gradients\(network, X, y\) checks it",
    ),
    "a backward pass of an array without δ": (
        lambda: verify((lambda x, w: x @ w, lambda x, w: (x, w)), args=(X, W)),
        r"backward takes no δ, and forward returns the shape \(3, 5\)",
    ),
    "an array that is no argument": (
        lambda: verify((lambda x: (x @ W, x), lambda d, x: (d @ W.T, x.T @ d)), args=(X,)),
        r"returned 2 gradients for 1 argument \(x\): give in args every array that has a gradient",
    ),
    "something else": (lambda: verify(3, args=(X,)), r"verify takes \(forward, backward\).*Received 3"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_run_is_an_error_that_says_what_to_write(name: str) -> None:
    call, words = REFUSED[name]
    with pytest.raises((ArgumentError, DataError, ShapeError), match=words):
        call()


def test_the_cause_of_an_error_is_kept() -> None:
    with pytest.raises(DataError) as caught:
        verify((raising, lambda d, c: d), args=(X,))
    assert isinstance(caught.value.__cause__, ValueError)


def test_the_two_calls_apart_are_the_subject_s() -> None:
    """`steps`, for what is kept between calls."""
    subject = subject_from(PAIR, (X, W, B))
    assert subject.steps is not None
    steps = subject.steps()
    out, kept = steps.forward([X, W, B])
    delta = np.ones_like(out)
    for apart, together in zip(steps.backward(kept, delta), subject.backward([X, W, B], delta), strict=True):
        assert apart is not None
        assert together is not None
        assert np.array_equal(apart, together)


@pytest.mark.parametrize("bundle", [tuple, list])
def test_outputs_that_come_as_one_value_have_their_delta_as_one(bundle: Any) -> None:
    rng = np.random.default_rng(0)
    args = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))

    def forward(h: Array, c: Array) -> Any:
        n = h * c
        return bundle([np.tanh(n), n]), (h, c, n)

    def backward(d: Any, cache: Any, wrong: float = 1.0) -> Any:
        assert isinstance(d, bundle)
        h, c, n = cache
        dn = d[1] + wrong * d[0] * (1 - np.tanh(n) ** 2)
        return dn * c, dn * h

    for output in (0, 1):
        assert verify((forward, backward), args=args, output=output)
    assert "judged by all 2 outputs" in str(verify((forward, backward), args=args))
    verdict = verify((forward, lambda d, cache: backward(d, cache, 2.0)), args=args)
    assert verdict.why == ("factor 2", "factor 2")
    with pytest.raises(ArgumentError, match="output is 2, and forward returns 2"):
        verify((forward, backward), args=args, output=2)


def test_nan_in_an_argument_is_refused() -> None:
    x = np.ones((2, 3))
    x[1, 2] = np.nan
    with pytest.raises(DataError, match=r"x holds NaN, first at \[1, 2\]"):
        verify((lambda x: (2 * x, None), lambda d, cache: 2 * d), args=(x,))


def test_weights_of_an_output_that_is_not_judged_are_handed_in_with_the_others() -> None:
    """As in dl.ai's rnn_cell, whose backward takes the δ of the state alone."""

    def forward(x: Any, h: Any, weights: Any) -> Any:
        out = np.tanh(weights["W"] @ x + weights["U"] @ h + weights["b"])
        return out, weights["V"] @ out, (out, x, h, weights)

    def backward(d: Any, cache: Any) -> Any:
        out, x, h, weights = cache
        dz = (1 - out**2) * d
        below = {"dx": weights["W"].T @ dz, "dh": weights["U"].T @ dz}
        return below | {"dW": dz @ x.T, "dU": dz @ h.T, "db": dz.sum(axis=1, keepdims=True)}

    shapes = {"W": (5, 3), "U": (5, 5), "b": (5, 1), "V": (2, 5)}
    rng = np.random.default_rng(4)
    weights = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    args = rng.normal(size=(3, 4)), rng.normal(size=(5, 4)), weights
    verdict = cr.verify((forward, backward), args=args, like="rnn")
    assert verdict, str(verdict)


@pytest.mark.parametrize("kind", [float, np.float32, np.float64, np.array])
@pytest.mark.parametrize("first", [False, True])
def test_a_number_that_depends_on_the_arguments_is_an_output_with_a_delta(kind: Any, first: bool) -> None:
    """(h, penalty, cache), the penalty as a sum gives it; what leaves its δ out is wrong."""

    def forward(x: Any, w: Any) -> Any:
        h, penalty = np.tanh(x @ w), kind((w**2).sum())
        return (penalty, h, (x, w, h)) if first else (h, penalty, (x, w, h))

    def gradients(dh: Any, dp: Any, cache: Any) -> Any:
        x, w, h = cache
        dz = dh * (1 - h * h)
        return dz @ w.T, x.T @ dz + dp * w

    def backward(dh: Any, dp: Any, cache: Any) -> Any:
        return gradients(dh, 2 * dp, cache)

    def backward_first(dp: Any, dh: Any, cache: Any) -> Any:
        return backward(dh, dp, cache)

    def lost(dh: Any, dp: Any, cache: Any) -> Any:
        return gradients(dh, 0, cache)

    args = X, W
    verdict = verify((forward, backward_first if first else backward), args=args)
    assert verdict.verdict == "right", str(verdict)
    if not first:
        assert verify((forward, lost), args=args).why == ("output unused",)


def test_what_stands_behind_several_deltas_may_have_any_name() -> None:
    """(dloss, dpenalty, c): two numbers, and what forward kept."""

    def forward(x: Any, w: Any) -> Any:
        r = x @ w
        return (r**2).mean(), (w**2).sum(), (x, w, r)

    def backward(dloss: Any, dpenalty: Any, c: Any) -> Any:
        x, w, r = c
        dr = dloss * 2 * r / r.size
        return dr @ w.T, x.T @ dr + 2 * dpenalty * w

    def lost(dloss: Any, dpenalty: Any, c: Any) -> Any:
        x, w, r = c
        dr = dloss * 2 * r / r.size
        return dr @ w.T, x.T @ dr

    verdict = verify((forward, backward), args=(X, W))
    assert verdict.verdict == "right", str(verdict)
    assert verify((forward, lost), args=(X, W)).verdict == "wrong"


def test_a_number_that_forward_hands_on_is_no_output() -> None:
    """A step dt, whose name could be that of a δ."""

    def forward(x: Any, k: Any) -> Any:
        dt = 0.1
        return x + dt * np.tanh(k * x), dt, (x, k)

    def backward(dout: Any, dt: Any, cache: Any) -> Any:
        x, k = cache
        slope = dout * dt * (1 - np.tanh(k * x) ** 2)
        return dout + slope * k, slope * x

    verdict = verify((forward, backward), args=(X, X[::-1].copy()))
    assert verdict.verdict == "right", str(verdict)
