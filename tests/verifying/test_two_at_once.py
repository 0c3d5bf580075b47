"""Two mistakes that only together make a gradient wrong: both are named, each with what to write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.verifying.test_patched import verdict_of, written
from tests.verifying.test_source import loaded

import chainrule as cr
from chainrule.verifying.source.changes.neighbours import Neighbours
from chainrule.verifying.source.scope import scopes_of
from chainrule.verifying.source.trying.directly import directly
from chainrule.verifying.source.trying.switched import Switchboard
from chainrule.verifying.source.written import ran
from chainrule.verifying.source.written import written as places_of

RNG = np.random.default_rng(31)


def normal(*shape: int) -> Any:
    return RNG.normal(size=shape)


CHAIN = """
def forward(x, g):
    s = np.tanh(x)
    return s * g, (x, s, g)
def backward(dy, cache):
    x, s, g = cache
    dg = (dy * s).sum(axis=0)
    t = dy * g
    dx = t * (1 - s ** 2)
    return dx, dg
"""
GATES = """
def forward(x, w, v):
    a, b = np.tanh(x @ w), 1 / (1 + np.exp(-(x @ v)))
    return a * b, (x, w, v, a, b)
def backward(d, cache):
    x, w, v, a, b = cache
    da = d * b * (1 - a ** 2)
    db = d * a * b * (1 - b)
    dz = np.hstack([da, db])
    whole = np.hstack([w, v])
    dboth = x.T @ dz
    return dz @ whole.T, dboth[:, :w.shape[1]], dboth[:, w.shape[1]:]
"""
LOSS = """
def forward(W, b, X, y, lam=0.3):
    m = len(y)
    e = X @ W + b - y
    J = 0.5 * (e ** 2).sum() / m + 0.5 * lam * (W ** 2).sum()
    return J, {'W': X.T @ e / m + lam * W, 'b': e.sum(axis=0) / m}
"""
CELL = (normal(3, 2), normal(2, 3), normal(2, 3))
PENALISED = (normal(4, 3), normal(3), normal(6, 4), normal(6, 3))
# (program, the two mistakes, arguments): one behind the other, beside each other, in one line, in two arrays.
PAIRS = [
    (CHAIN, (("t = dy * g", "t = dy"), ("1 - s ** 2", "1 - s")), (normal(4, 3), normal(3))),
    (GATES, (("d * b * (1 - a ** 2)", "d * (1 - a ** 2)"), ("b * (1 - b)", "b")), CELL),
    (LOSS, (("X.T @ e / m", "X.T @ e"), ("+ lam * W", "+ W")), PENALISED),
    (LOSS, (("X.T @ e / m", "X.T @ e"), ("sum(axis=0) / m", "sum(axis=0)")), PENALISED),
]


@pytest.mark.parametrize("number", range(len(PAIRS)))
def test_both_are_named_and_written_the_program_is_right(number: int, tmp_path: Path) -> None:
    program, mistakes, args = PAIRS[number]
    theirs = program
    for right, wrong in mistakes:
        assert theirs.count(right) == 1
        theirs = theirs.replace(right, wrong)

    def judged(text: str) -> cr.Verdict:
        if program is not LOSS:
            return verdict_of(text, tmp_path, args)
        return cr.verify(loaded(text, tmp_path).forward, args=args)

    verdict = judged(theirs)
    assert verdict.verdict == "wrong"
    assert all(verdict.why), str(verdict)
    patched = written(theirs, verdict)
    assert judged(patched).verdict == "right", f"{verdict}\n{patched}"
    assert judged(program).verdict == "right"


def test_one_of_many_runs_as_its_text_compiled_does(tmp_path: Path) -> None:
    module = loaded(GATES, tmp_path)
    args, d = CELL, normal(3, 3)
    _, cache = module.forward(*args)

    def run() -> Any:
        try:
            with np.errstate(all="ignore"):
                return module.backward(d, cache)
        except Exception:
            return None

    place = next(each for each in places_of(ran(run).values()) if b"def backward" in each.text)
    ((_, _, scope),) = scopes_of([place])
    changes = list(Neighbours(place, scope))[::5]
    board = Switchboard(place, changes)
    assert sum(slot is not None for slot in board.slots) > 20
    with board.standing() as possible:
        assert possible
        right = run()
        made = [(board.choose(number), run())[1] for number in range(len(changes))]
    for change, slot, given in zip(changes, board.slots, made, strict=True):
        if slot is not None:
            with place.changed(change.text(place.text)):
                alone = run()
            assert (alone is None) == (given is None), change
            for one, other in zip(alone or (), given or (), strict=True):
                np.testing.assert_array_equal(one, other)
    for one, other in zip(run(), right, strict=True):  # as it was
        np.testing.assert_array_equal(one, other)


class Kept:
    """Its gradient lies in an attribute, and its weights may be written on again."""

    def __init__(self) -> None:
        self.W = np.ones((2, 3))
        self.dW = np.zeros((2, 3))

    def backward(self, x: Any, d: Any) -> Any:
        self.dW = x.T @ d
        return d @ self.W.T


def test_a_backward_is_called_directly_and_what_it_keeps_is_as_it_was() -> None:
    layer, x, d = Kept(), normal(4, 2), normal(4, 3)
    before = layer.dW

    def run() -> object:
        return layer.backward(x, d)

    place = next(each for each in places_of(ran(run).values()) if b"class Kept" in each.text)
    run()
    right = [d @ layer.W.T, x.T @ d]
    layer.dW = before
    entries = [np.arange(each.size) for each in right]
    with directly(place, run, right, entries) as call:
        assert call is not None
        made = call()
        assert made is not None
        for one, other in zip(made, right, strict=True):
            np.testing.assert_array_equal(one, other.reshape(-1))
        with pytest.raises(ValueError, match="read-only"):
            layer.W += 1
    layer.W += 1
    x += 1


def test_a_gradient_of_another_shape_is_searched_as_before(tmp_path: Path) -> None:
    text = CHAIN.replace("(dy * s).sum(axis=0)", "np.array([(dy * s).sum()])")
    verdict = verdict_of(text, tmp_path, (normal(4, 3), normal(3)))
    assert verdict.verdict == "wrong"
    assert all(verdict.why), str(verdict)
