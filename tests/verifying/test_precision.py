"""What a right computation may be off by: never less than right programs are, less than a mistake makes."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from tests.pairwise import CHOICE
from tests.verifying.right_programs import DRAWN, Program, in_precision, program

from chainrule.base.types import Array
from chainrule.losses.penalties import penalty_from
from chainrule.verifying.meanings.matching import Like
from chainrule.verifying.precision import (
    PRECISIONS,
    Reference,
    allowances,
    cannot_tell,
    close,
    half_of_the_digits,
    precision_of,
    rounded,
    worst,
)
from chainrule.verifying.verify import verify

FORMATS = ("float64", "float32", "float16", "bfloat16")
PROGRAMS = 120 if CHOICE["whole"] else 60


def reference_of(drawn: Program) -> Reference:
    args, out = list(drawn.args), drawn.forward(*drawn.args)
    names = [f"arg{number}" for number in range(len(args))]
    like = Like(drawn.like, dict(drawn.options), None, penalty_from(None))
    meaning = like.meaning(args, names, out, lambda values: drawn.forward(*values), None)
    assert meaning is not None, drawn.name
    return meaning.reference(len(args))


@cache
def _case(seed: int) -> tuple[Program, Reference, Array]:
    drawn = program(seed)
    delta = np.random.default_rng(seed).normal(size=drawn.forward(*drawn.args).shape)
    return drawn, reference_of(drawn), delta


@cache
def answers(seed: int, precision: str) -> list[tuple[Array, Array, Array]]:
    """(theirs, right, allowed) of every gradient of a program that computes in `precision`."""
    drawn, reference, wide = _case(seed)
    args, (delta,) = in_precision(drawn.args, precision), in_precision([wide], precision)
    with np.errstate(all="ignore"):
        theirs = drawn.backward(delta, *args)
    exact = [np.asarray(value, dtype=np.float64) for value in args]
    exact_delta = np.asarray(delta, dtype=np.float64)
    allowed = allowances(reference, exact, exact_delta, precision)
    right = reference(exact, exact_delta)
    each = zip(theirs, right, allowed, strict=True)
    return [(np.asarray(t, dtype=np.float64), np.asarray(r), np.asarray(a)) for t, r, a in each]


@pytest.mark.turns(2)
@pytest.mark.parametrize("precision", FORMATS)
def test_right_programs_raise_no_alarm(precision: str, request: pytest.FixtureRequest) -> None:
    draw = request.config.getoption("--draw")
    ratios = []
    for seed in range(draw * PROGRAMS, (draw + 1) * PROGRAMS):
        for theirs, right, allowed in answers(seed, precision):
            assert theirs.shape == right.shape, _case(seed)[0].name
            place, ratio = worst(theirs, right, allowed)
            ratios.append(ratio)
            assert close(theirs, right, allowed).all(), (_case(seed)[0].name, seed, place, ratio)
    assert len(ratios) >= PROGRAMS


@pytest.mark.parametrize(
    ("precision", "share", "seen"), [("float64", 0.01, 1.0), ("float32", 0.01, 1.0), ("float16", 0.3, 0.93)]
)
def test_a_term_that_is_off_is_seen(precision: str, share: float, seen: float) -> None:
    """The right answer with one percent more of its largest entry, of every program."""
    found, missed = 0, []
    for seed in range(PROGRAMS):
        for _, right, allowed in answers(seed, precision):
            if cannot_tell(right, allowed, "x") is not None:
                continue
            wrong = right.copy()
            place = np.unravel_index(int(np.abs(right).argmax()), right.shape)
            wrong[place] *= 1 + share
            if close(wrong, right, allowed).all():
                missed.append(_case(seed)[0].name)
            else:
                found += 1
    assert found >= seen * (found + len(missed)), missed


@pytest.mark.parametrize("precision", FORMATS)
def test_twice_the_gradient_is_seen_or_nothing_can_be_told(precision: str) -> None:
    for seed in range(PROGRAMS):
        for _, right, allowed in answers(seed, precision):
            if cannot_tell(right, allowed, "x") is None:
                assert not close(2 * right, right, allowed).all(), _case(seed)[0].name
                assert not close(0 * right, right, allowed).all()


@pytest.mark.parametrize("kind", range(len(DRAWN)))
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_verify_raises_no_alarm(kind: int, dtype: str) -> None:
    drawn = program(kind + len(DRAWN) * 3)

    def backward(d: Array, cache: Any) -> Any:
        return tuple(drawn.backward(d, *cache))

    pair = (lambda *args: (drawn.forward(*args), args), backward)
    args = tuple(value.astype(dtype) for value in drawn.args)
    verdict = verify(pair, args=args, like=drawn.like, **drawn.options)
    assert verdict.verdict != "wrong", f"{drawn.name}: {verdict}"


# -- digits that get lost
def moments(x: Array) -> tuple[Array, Array]:
    """A variance by E[x²] - E[x]², which is right and loses digits where the mean is large."""
    return x.mean(axis=0), (x * x).mean(axis=0) - x.mean(axis=0) ** 2


def unstable(far: float) -> tuple[Any, tuple[Array, ...]]:
    """Batch normalisation whose backward takes the variance by moments."""

    def forward(x: Array, gamma: Array, beta: Array) -> Any:
        centre = x - x.mean(axis=0)
        hat = centre / np.sqrt((centre**2).mean(axis=0) + 1e-5)
        return gamma * hat + beta, (x, gamma)

    def backward(d: Array, cache: Any) -> Any:
        x, gamma = cache
        mean, variance = moments(x)
        root = np.sqrt(np.maximum(variance, 0) + x.dtype.type(1e-5))
        hat, e = (x - mean) / root, d * gamma
        below = (e - e.mean(axis=0) - hat * (e * hat).mean(axis=0)) / root
        return below, (d * hat).sum(axis=0), d.sum(axis=0)

    rng = np.random.default_rng(3)
    args = far + rng.normal(size=(6, 4)), rng.normal(size=4), rng.normal(size=4)
    return (forward, backward), tuple(value.astype(np.float32) for value in args)


def cross_entropy(y: Array, z: Array) -> Any:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    return -np.log(p[range(len(y)), y]).mean(), (y, p)


def cross_entropy_gradient(d: Any, cache: Any) -> Any:
    y, p = cache
    gradient = p.copy()
    gradient[range(len(y)), y] -= 1
    return None, d * gradient / len(y)


@pytest.mark.turns(3)
@pytest.mark.parametrize("like", ["cross_entropy", None])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_whole_numbers_in_front_say_nothing_of_the_format(dtype: str, like: str | None) -> None:
    """Labels before scores, a number of Python's in the end: the scores' type is that of the digits."""
    rng = np.random.default_rng(0)
    args = rng.integers(0, 5, 60), (3 * rng.normal(size=(60, 5))).astype(dtype)
    right = verify((cross_entropy, cross_entropy_gradient), args=args, like=like)
    assert right.verdict == "right", str(right)

    def both(y: Array, z: Array) -> Any:
        J, cache = cross_entropy(y, z)
        return float(J), cross_entropy_gradient(1, cache)

    right = verify(both, args=args, like=like)
    assert right.verdict == "right", str(right)

    def wrong(y: Array, z: Array) -> Any:
        J, cache = cross_entropy(y, z)
        return float(J), (None, 2 * cross_entropy_gradient(1, cache)[1])

    blamed = verify(wrong, args=args, like=like)
    assert blamed.verdict == "wrong"
    assert like is None or blamed.why == ("factor 2",)


@pytest.mark.parametrize("declared", ["float64", "float32", "float16", "bfloat16"])
def test_a_forward_is_recognised_in_every_format(declared: str) -> None:
    x = rounded(np.random.default_rng(0).normal(size=(6, 7)), declared)
    out = rounded(x * rounded(1 / rounded(1 + rounded(np.exp(-x), declared), declared), declared), declared)
    for name, there in (("silu", True), ("relu", False), ("tanh", False), ("gelu", False)):
        assert (Like(name, {}).meaning([x], ("x",), out, lambda values: out, declared) is not None) == there


def test_digits_that_another_algebra_loses_are_no_wrong_formula() -> None:
    pair, args = unstable(30.0)
    verdict = verify(pair, args=args, like="batchnorm")
    assert verdict, str(verdict)
    assert "loses more digits in float32" in str(verdict)
    pair, args = unstable(3000.0)
    verdict = verify(pair, args=args, like="batchnorm")
    assert set(verdict.why) == {"float64 only"}, str(verdict)
    assert "is right in float64" in str(verdict)


# -- what cannot be told
def test_what_rounding_hides_is_not_told() -> None:
    right = np.array([1e-3, 2e-3])
    reason = cannot_tell(right, np.array([1.0, 1.0]), "x")
    assert reason is not None
    assert "off by as much as the gradient is large" in reason.en
    reason = cannot_tell(np.zeros(3), np.ones(3), "x")
    assert reason is not None
    assert "must be 0" in reason.en
    reason = cannot_tell(right, np.full(2, np.inf), "x")
    assert reason is not None
    assert "leaves the range" in reason.en
    assert cannot_tell(right, np.full(2, 1e-9), "x") is None


def test_a_softmax_in_bfloat16_of_one_sure_class_cannot_be_told() -> None:
    def forward(x: Array) -> Any:
        e = np.exp(x - x.max(axis=1, keepdims=True))
        p = e / e.sum(axis=1, keepdims=True)
        return p, p

    def backward(d: Array, p: Array) -> Array:
        return np.asarray(p * (d - (p * d).sum(axis=1, keepdims=True)))

    x = np.float16(np.array([[30, 0, -20], [-25, 40, 3], [0, 5, 60]]))
    verdict = verify((forward, backward), args=(x,), like="softmax")
    assert verdict.verdict in ("cannot tell", "right")


# -- formats
@pytest.mark.parametrize("name", ["float32", "float16"])
def test_rounded_is_what_numpy_rounds_to(name: str) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=2000) * 10.0 ** rng.integers(-48, 39, 2000)
    with np.errstate(all="ignore"):
        assert np.array_equal(rounded(values, name), values.astype(name).astype(np.float64))


def test_bfloat16_is_the_upper_half_of_float32() -> None:
    values = np.random.default_rng(0).normal(size=2000)
    bits = rounded(values, "bfloat16").astype(np.float32).view(np.uint32)
    assert not (bits & 0xFFFF).any()
    off = np.abs(rounded(values, "bfloat16") - values)
    assert (off <= PRECISIONS["bfloat16"].unit * np.abs(values)).all()
    assert (np.abs(rounded(values, "TF32") - values) <= PRECISIONS["TF32"].unit * np.abs(values)).all()


def test_the_precision_is_the_declared_one_or_that_of_the_type() -> None:
    assert precision_of(np.zeros(1, np.float32)) == "float32"
    assert precision_of(np.zeros(1, np.float32), "bfloat16") == "bfloat16"
    assert precision_of(np.zeros(1, np.int64)) == "float64"


def test_without_a_reference_half_of_the_digits_are_left() -> None:
    right = np.array([1.0, -4.0])
    assert close(right * (1 + 1e-9), right).all()
    assert not close(right * (1 + 1e-6), right).all()
    assert (half_of_the_digits(right, "float32") == half_of_the_digits(right, "float32")[0]).all()
