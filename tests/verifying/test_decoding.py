"""Where no cause is known: what single impulses of δ show is said, and no cause invented."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.verifying.decoding.impulses import responses
from chainrule.verifying.decoding.rules import number, observed
from chainrule.verifying.verify import verify

RNG = np.random.default_rng(0)
WINDOWS = np.lib.stride_tricks.sliding_window_view
IMAGES, KERNEL = RNG.normal(size=(2, 2, 6, 5)), RNG.normal(size=(4, 2, 3, 2))


def seen(forward: Any, backward: Any, shape: tuple[int, ...], others: dict[str, Any]) -> str:
    """The sentence on two backwards of δ alone."""
    made = responses(backward, forward, shape, others)
    assert made is not None
    said = observed(made)
    assert said.zh != said.en
    return said.en


def pool(d: Any, share: float = 1 / 6, first: int = 0, last: int = 0, step: int = 2) -> Any:
    """δ (2, 4, 3, 2) of windows of 2 x 3 into an image (2, 13, 9, 2)."""
    dx = np.zeros((2, 13, 9, 2))
    for i in range(d.shape[1] - last):
        for j in range(d.shape[2]):
            dx[:, step * i + first : step * i + first + 2, 3 * j : 3 * j + 3] += (
                share * d[:, i, j][:, None, None]
            )
    return dx


def conv(d: Any, w: Any = KERNEL, first: int = 0) -> Any:
    dx = np.zeros((2, 2, 9, 5))
    for i in range(d.shape[2]):
        for j in range(d.shape[3]):
            block = np.einsum("nf,fckl->nckl", d[:, :, i, j], w)
            dx[:, :, i + first : i + first + 3, j : j + 2] += block
    return dx


def kernel_gradient(d: Any, x: Any = IMAGES) -> Any:
    return np.einsum("ncijkl,nfij->fckl", WINDOWS(x, (3, 2), axis=(2, 3)), d)


POOLED, OUT = (2, 4, 3, 2), (2, 4, 4, 4)
CASES: dict[str, tuple[Any, Any, tuple[int, ...], dict[str, Any], str]] = {
    "share": (pool, lambda d: pool(d, 1 / 4), POOLED, {}, "every share is 1/4 where 1/6 is right"),
    "moved": (pool, lambda d: pool(d, first=3), POOLED, {},
        "[i, 2j + 3, 3k, l] on, right is from [i, 2j, 3k, l]"),
    "stride": (pool, lambda d: pool(d, step=1), POOLED, {},
        "from [i, j, 3k, l] on, right is from [i, 2j, 3k, l]"),
    "silent": (pool, lambda d: pool(d, last=1), POOLED, {}, "does not arrive"),
    "a number": (pool, lambda d: 1.0137 * pool(d), POOLED, {}, "every share is 0.1689 where 1/6"),
    "factor": (conv, lambda d: 1.0137 * conv(d), OUT, {"w": KERNEL}, "every entry is multiplied by 1.014"),
    "rows reversed": (
        conv, lambda d: conv(d, KERNEL[:, :, ::-1]), OUT, {"w": KERNEL},
        "entry [r, s, 2 − t, u] of w is used where [r, s, t, u] is right",
    ),
    "filters reversed": (
        conv, lambda d: conv(d, KERNEL[::-1]), OUT, {"w": KERNEL}, "entry [3 − r, s, t, u] of w",
    ),
    "columns moved on": (
        conv, lambda d: conv(d, np.roll(KERNEL, 1, axis=0)), OUT, {"w": KERNEL},
            "entry [(r − 1) mod 4, s, t, u] of w",
    ),
    "a tap twice": (
        conv, lambda d: conv(d, KERNEL * np.array([1, 2, 1])[:, None]), OUT, {"w": KERNEL},
        "index ... on axis 2 of the window, counted from its beginning, is multiplied by 1: 2",
    ),
    "rows moved": (conv, lambda d: conv(d, first=2), OUT, {"w": KERNEL}, "from [i, 0, k + 2, l] on"),
    "an output twice": (
        conv, lambda d: conv(d * np.array([1, 1, 2, 1])[:, None, None]), OUT, {"w": KERNEL},
        "on axis 1 of the output is multiplied by 2: 2",
    ),
    "inputs moved": (
        kernel_gradient, lambda d: kernel_gradient(d, np.roll(IMAGES, -2, axis=2)), OUT, {"x": IMAGES},
        "entry [r, s, (t + 2) mod 6, u] of x",
    ),
    "another function": (conv, lambda d: conv(d, np.sqrt(abs(KERNEL))), OUT, {"w": KERNEL},
        "gives 12 numbers"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_impulses_show(name: str) -> None:
    right, wrong, shape, others, words = CASES[name]
    assert words in seen(right, wrong, shape, others)


def test_rows_by_ids() -> None:
    ids = np.array([3, 0, 2, 2, 4])

    def rows(d: Any, by: int = 0) -> Any:
        made = np.zeros((6, 3))
        np.add.at(made, ids + by, d)
        return made

    assert "[1, 0] further, by axis" in seen(rows, lambda d: rows(d, 1), (5, 3), {})


def test_it_is_said_where_the_cause_is_unknown_and_only_there() -> None:
    def forward(x: Any, w: Any, b: Any) -> Any:
        return x @ w + b, (x, w)

    # Typed in, so that there is no source that could tell.
    backward = eval("lambda d, cache: (d @ np.roll(cache[1], 1, 1).T, cache[0].T @ d, d.sum(0))", {"np": np})
    args = RNG.normal(size=(3, 4)), RNG.normal(size=(4, 5)), RNG.normal(size=5)
    verdict = verify((forward, backward), args=args, like="dense")
    assert verdict.why == ("",)
    assert "The cause is unknown" in str(verdict)
    assert "entry [r, (s − 1) mod 5] of w is used where [r, s] is right" in str(verdict)
    assert "Write (Wˡ)ᵀ δˡ." in str(verdict)
    record = verdict.json()["findings"][0]
    assert record["mistake"] is None
    assert record["observed"] is not None
    assert "mod 5" in record["observed"]["zh"]
    hidden = verify((forward, backward), args=args, like="dense", hint_level=1)
    assert hidden.json()["findings"][0]["observed"] is None
    assert "mod 5" not in str(hidden)
    named = verify((forward, lambda d, c: (d @ c[1].T, c[0].T @ d, d.mean(0))), args=args, like=cr.Dense(5))
    assert named.json()["findings"][0]["observed"] is None


def test_what_cannot_be_asked_for() -> None:
    assert responses(lambda d: None, conv, OUT, {}) is None
    assert responses(lambda d: conv(d)[:1], conv, OUT, {}) is None
    assert responses(lambda d: conv(d) * np.nan, conv, OUT, {}) is None
    assert responses(pool, pool, (), {}) is None
    assert [number(value) for value in (0.25, 1 / 6, -2.0, 1.0137)] == ["1/4", "1/6", "-2", "1.014"]
