"""Paths of forward that a gradient leaves out or takes otherwise: named by the expression of forward."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.verifying.test_source import loaded

import chainrule as cr
from chainrule.base.types import Array
from chainrule.verifying.source import named

RNG = np.random.default_rng(3)
X, V, T = RNG.normal(size=(3, 4)), RNG.normal(size=(5, 4)), np.array([0, 2, 2])
Given = tuple[Callable[..., Any], Callable[..., Any], tuple[Array, ...]]
TEXT = """
import numpy as np

def normed(x, v):
    n = np.sqrt((v * v).sum(axis=1, keepdims=True))
    return x @ (v / n).T, (x, v, n)
def normed_backward(d, cache):
    x, v, n = cache
    return d @ (v / n), {normed}

def leaky(x):
    return 2 * np.where(x > 0, x, 0.01 * x), x
def leaky_backward(d, x):
    return 2 * d * {leaky}

def tied(table, h, ids):
    return (table[ids] * h) @ table.T, (table, h, ids)
def tied_backward(d, cache):
    table, h, ids = cache
    dtable = d.T @ (table[ids] * h)
    {tied}
    return dtable, (d @ table) * table[ids]

def capped(x, cap=3.5):
    t = np.tanh(x / cap)
    return t, (t, cap)
def capped_backward(d, cache):
    t, cap = cache
    return d * {capped}

def squared(x):
    z = np.log(np.exp(x).sum(axis=1))
    p = np.exp(x - z[:, None])
    return z + 0.3 * z ** 2, (z, p)
def squared_backward(d, cache):
    z, p = cache
    return p * (d * (1 + {squared}))[:, None]
"""
RIGHT = {
    "leaky": "np.where(x > 0, 1, 0.01)",
    "normed": "(d.T @ x - (v / n) * ((d.T @ x) * (v / n)).sum(axis=1, keepdims=True)) / n",
    "tied": "np.add.at(dtable, ids, (d @ table) * h)",
    "capped": "(1 - t * t) / cap",
    "squared": "0.6 * z",
}
ARGS = {"leaky": (X,), "normed": (X, V), "tied": (V, X, T), "capped": (4 * X,), "squared": (X,)}
MISTAKES = [
    ("normed", "d.T @ x / n", "path constant", "comes through `n` is missing: in line 7"),
    ("tied", "pass", "path constant", "`table[ids] * h`"),
    ("leaky", "(x > 0)", "path other", "derivative is taken as that of"),
]


@pytest.fixture(autouse=True)
def few_lines(monkeypatch: pytest.MonkeyPatch, shorter_search: None) -> None:
    """What is tested is what comes behind the search for another text."""
    monkeypatch.setattr(named, "MOST_LINES", 20_000)


def judged(name: str, written: dict[str, str], folder: Path) -> cr.Verdict:
    module = loaded(TEXT.format(**written), folder)
    functions = getattr(module, name), getattr(module, f"{name}_backward")
    before = [dict(vars(module)), *(function.__code__ for function in functions)]
    verdict = cr.verify(functions, args=ARGS[name])
    assert [dict(vars(module)), *(function.__code__ for function in functions)] == before  # theirs again
    return verdict


@pytest.mark.turns(3)
@pytest.mark.parametrize(("name", "wrong", "word", "said"), MISTAKES)
def test_what_comes_through_an_expression_is_named(
    name: str, wrong: str, word: str, said: str, tmp_path: Path
) -> None:
    assert judged(name, RIGHT, tmp_path)
    verdict = judged(name, {**RIGHT, name: wrong}, tmp_path)
    assert verdict.why == (word,), str(verdict)
    assert said in str(verdict)
    assert str(verdict.evidence[0]["line"]) in verdict.fix[0]
    assert "第" in verdict.text("zh")


def test_no_path_is_named_for_numbers_that_are_none(tmp_path: Path) -> None:
    verdict = judged("capped", {**RIGHT, "capped": "(1 - t * t) * 1.0137"}, tmp_path)
    assert not any(word.startswith("path") for word in verdict.why), str(verdict)
