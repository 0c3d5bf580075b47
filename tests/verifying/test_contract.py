"""What every backward pass owes: cheats are refused by name, right ones are not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.verifying import backwards as b
from tests.verifying.cheats import CHEATS, Adding, Clearing

import chainrule as cr
from chainrule.base.types import Array
from chainrule.verifying.contract import peeking
from chainrule.verifying.verify import verify


@pytest.mark.turns(2)
@pytest.mark.parametrize("like", ["dense", None])
@pytest.mark.parametrize("name", CHEATS)
def test_a_cheat_is_refused_by_name(name: str, like: str | None) -> None:
    make, word = CHEATS[name]
    if like is None and name in ("right for the shown shapes", "raises for other shapes"):
        return  # without a layer it is not known which sizes may change
    verdict = verify(make(), args=b.AFFINE, like=like)
    assert verdict.verdict == "wrong"
    if like is None and name == "right for the shown numbers":
        return
    assert word in verdict.why, (word, verdict.why, str(verdict))
    for language in ("en", "zh"):
        assert "{" not in verdict.text(language).replace("_{", "")


@pytest.mark.parametrize("like", ["dense", None])
def test_arrays_handed_back_are_named(like: str | None) -> None:
    square = tuple(np.resize(np.sin(np.arange(40.0)), (4,) * a.ndim) + i for i, a in enumerate(b.AFFINE))
    pair = (b.affine, b.affine_of(dx=lambda d, x, w: d + 0))
    verdict = verify(pair, args=square, like=like)
    assert verdict.why == ("δ returned",) or like == "dense", str(verdict)
    assert verdict.verdict == "wrong"


def test_what_an_object_adds_up_is_refused_unless_it_can_be_cleared() -> None:
    verdict = verify(Adding(), args=(b.AFFINE[0],), like="dense")
    assert verdict.why == ("accumulated",)
    assert "zero_grad" in str(verdict)
    assert verify(Clearing(), args=(b.AFFINE[0],), like="dense")


def test_differences_in_place_of_a_derivation_are_noted() -> None:
    def below(d: Array, x: Array, w: Array) -> Array:
        made = np.zeros_like(x)
        for place in np.ndindex(*x.shape):
            step = np.zeros_like(x)
            step[place] = 1e-3
            up, down = (b.affine(x + s, w, np.zeros(w.shape[1]))[0] for s in (step, -step))
            made[place] = (d * (up - down)).sum() / 2e-3
        return made

    verdict = verify((b.affine, b.affine_of(dx=below)), args=b.AFFINE)
    assert verdict
    assert "takes differences in place of a derivation" in str(verdict)


def test_a_gradient_that_is_the_memory_of_delta_is_noted() -> None:
    pair = (lambda x: (x + 0, None), lambda d, cache: (d,))
    verdict = verify(pair, args=b.AFFINE[:1])
    assert verdict
    assert "is the memory of δ" in str(verdict)


def test_code_made_of_our_formulas_may_be_allowed() -> None:
    make, _ = CHEATS["a layer asked"]
    with peeking.allowed():
        assert verify(make(), args=b.AFFINE, like="dense")
    assert not verify(make(), args=b.AFFINE, like="dense")


def test_a_forward_made_of_ours_is_no_cheat() -> None:
    layer = cr.Dense(5)

    def forward(x: Array, w: Array, c: Array) -> Any:
        return np.asarray(layer.forward(x.T, w.T, c)).T, (x, w, c)

    assert verify((forward, b.affine_of()), args=b.AFFINE, like="dense")


def test_batch_statistics_mix_samples_by_right() -> None:
    verdict = verify((b.batch_norm, b.batch_norm_back()), args=b.NORMED)
    assert verdict, str(verdict)


def test_the_last_digits_may_differ_from_call_to_call() -> None:
    calls = iter(range(10**6))

    def below(d: Array, x: Array, w: Array) -> Array:
        made = d @ w.T
        return np.nextafter(made, np.inf) if next(calls) % 2 else np.asarray(made)

    verdict = verify((b.affine, b.affine_of(dx=below)), args=b.AFFINE, like="dense")
    assert verdict, str(verdict)
    assert "last digits from call to call" in str(verdict)


LAYOUTS: dict[str, Any] = {
    "negative strides": lambda value: value[::-1],
    "transposed": lambda value: np.asfortranarray(value),
    "read-only": lambda value: np.frombuffer(value.tobytes()).reshape(value.shape),
    "a slice": lambda value: np.repeat(value, 2, axis=-1)[..., ::2],
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_arguments_may_lie_in_memory_as_they_like(name: str) -> None:
    args = tuple(LAYOUTS[name](value) for value in b.AFFINE)
    assert verify((b.affine, b.affine_of()), args=args, like="dense")


@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (3, 1)])
def test_single_numbers(shape: tuple[int, ...]) -> None:
    x = np.full(shape, 0.7)
    pair = (lambda x: (np.tanh(x), np.tanh(x)), lambda d, t: d * (1 - t**2))
    assert verify(pair, args=(x,))
    assert not verify((pair[0], lambda d, t: d * (1 - t)), args=(x,))
