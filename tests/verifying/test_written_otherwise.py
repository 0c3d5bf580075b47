"""Places of a source written otherwise: widths, axes, sums that a norm depends on, lines of a loop."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.verifying import fake_frameworks as fake
from tests.verifying.test_patched import normal, verdict_of, written

from chainrule.verifying.source.changes.change import Rewriting
from chainrule.verifying.source.changes.entries import Entries
from chainrule.verifying.source.changes.names import Names
from chainrule.verifying.source.changes.operators import Operators
from chainrule.verifying.source.changes.widths import Widths
from chainrule.verifying.source.mended import folded, tidy
from chainrule.verifying.source.scope import Atom, Scope, axes_in, own
from chainrule.verifying.source.written import Written
from chainrule.verifying.subjects.calls.carriers import is_array

NUMBERS = {"k": Atom("k", "whole number"), "p": Atom("p", "whole number"), "x": Atom("x", "array", (2, 3))}
NUMBERS["c"] = Atom("c", "array", (2, 1))


def of(kind: type[Rewriting], text: str) -> Any:
    """That of a function, with a place of its own."""
    node = ast.parse(text).body[0]
    assert isinstance(node, ast.FunctionDef)
    none: frozenset[str] = frozenset()
    scope = Scope(node, NUMBERS, none, none, (), "np", "numpy", none, none, {}, none)
    return kind(Written("f.py", 1, text.encode(), 0, ""), scope)


def texts(kind: type[Rewriting], text: str) -> set[str]:
    """All that it makes of a function."""
    made = of(kind, text)
    changes = (change for node in own(made.scope.node) for change in made.beside(node))
    return {change.text(text.encode()).decode() for change in changes}


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("((0, 0), (1, 2))", "((0, 0), (2, 1))"),
        ("((0, 0), (1, 3))", "((0, 0), (4, 0))"),
        ("((0, 0), (1, 2))", "((0, 0), (1, 1))"),
        ("((p, p), (p, p))", "((p - 1, p + 1), (p - 1, p + 1))"),
        ("((p, p), (p, p))", "((p, p), (0, 2 * p))"),
        ("((0, 0), (k - 1, 0))", "((0, 0), (0, k - 1))"),
        ("((0, 0), (p, p))", "((0, 0), (k - 1 - p, k - 1 - p))"),
        ("((0, 0), (p, p - 1))", "((0, 0), (p - 1, p))"),
        ("(0, 2)", "(1, 1)"),  # PyTorch's
        ("(1, 1, 0, 2)", "(1, 1, 1, 1)"),
    ],
)
def test_widths_of_a_padding(wrong: str, right: str) -> None:
    text = f"def f(x, k, p):\n    return np.pad(x, {wrong})"
    made = texts(Widths, text)
    assert text.replace(wrong, right) in made
    for each in made:
        ast.parse(each)


def test_widths_of_anything_else_stay() -> None:
    for call in ("np.pad(x, k)", "np.pad(x)", "np.sum(x, (0, 1))", "np.pad(x, widths)", "np.pad(x, ())"):
        assert not texts(Widths, f"def f(x, k, p):\n    return {call}")


def test_no_size_stands_for_an_axis() -> None:
    body = "x.sum(1) + x.sum(axis=1) + x.mean((0, 1)) + x.shape[1] + x.size(1) + np.sum(x, 1) + x[1] * 1"
    text = f"def f(x, k, p):\n    return {body}"
    made = {each.partition("return ")[2] for each in texts(Names, text) | texts(Entries, text)}
    for part in ("x.sum({})", "axis={}", "x.mean((0, {}))", "x.shape[{}]", "x.size({})", "np.sum(x, {})"):
        assert not any(part.format(name) in each for name in "kp" for each in made)
    assert any("x[k]" in each for each in made)
    assert any("* k" in each for each in made)
    assert body.replace("x.shape[1]", "x.shape[-1]") in made
    named = texts(Names, "def f(x, k, p):\n    return x.sum(axis=k) + x.mean(axis=p) + x.max(1)")
    assert any("x.sum(axis=p)" in each for each in named)  # that stand for axes
    assert any("x.max(k)" in each for each in named)
    assert {ast.unparse(each) for each in axes_in(ast.parse(text).body[0])} == {"1", "0", "(0, 1)"}


def test_a_count_of_each_row_and_entries_that_are_taken_elsewhere() -> None:
    body = "x[:, :k] + x[:, k * p:(k + 1) * p] / (k - 1) + x[p, k] * c[k + 1, p]"
    text = f"def f(x, k, p, c):\n    return {body}"
    made = {each.partition("return ")[2] for each in texts(Names, text) | texts(Entries, text)}
    for wrong, right in (
        ("(k - 1)", "(c)"),
        ("x[:, :k]", "x[:, k * p:(k + 1) * p]"),
        ("x[p, k]", "x[k + 1, p]"),
        ("x[p, k]", "x[k, p - 1]"),
    ):
        assert {body.replace(wrong, each) for each in (right, right.strip("()"))} & made, right


def test_of_several_parts_those_that_differ_are_told() -> None:
    made = of(Entries, "def f(x, k, p):\n    return x[p:p + k, p:p + k]")
    parts = [each for each in own(made.scope.node) if isinstance(each, ast.Slice)]
    (change,) = made.together("slice", 3, parts, ["p:p + k", "k:k + k"])
    assert (change.wrong, change.right, len(change.pieces)) == ("p:p + k", "k:k + k", 1)
    assert not list(made.together("slice", 3, parts, ["p:p + k", "p:p + k"]))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("y = v ** (-0.5 - 1)", "y = v ** -1.5"),
        ("y = v ** (2 - 1) * a", "y = v ** 1 * a"),
        ("y = a - (1 - 3)", "y = a - (1 - 3)"),
        ("y = f(0.1 + 0.2, a)", "y = f(0.3, a)"),
        ("y = 3 * 0.5 * a", "y = 3 * 0.5 * a"),
        ("y = a + 1 - 1", "y = a + 1 - 1"),
    ],
)
def test_sums_of_numbers_are_one_number(before: str, after: str) -> None:
    assert folded(before.encode(), 4, 0).decode() == after
    assert folded(before.encode(), len(before), 0).decode() == before  # that were written so


def test_brackets_that_belong_together_go_together() -> None:
    assert tidy(b"y = 1 / ((v + e).sqrt())", 9, 24).decode() == "y = 1 / ((v + e).sqrt())"
    assert tidy(b"y = 1 / ((v + e).sqrt())", 8, 24).decode() == "y = 1 / (v + e).sqrt()"


# -- programs
NORM = """
class Layer:
    def __init__(self):
        self.kept = {}
    def forward(self, x):
        r = np.sqrt((x ** 2).sum(axis=-1, keepdims=True))
        self.kept = {"x": x, "r": r}
        return x / r
    def backward(self, g):
        x, r = self.kept["x"], self.kept["r"]
        return g / r - x * (x * g).sum(axis=-1, keepdims=True) / r ** 3
"""
SERIES = """
def forward(x, w):
    k = w.shape[0]
    xp = np.pad(x, ((0, 0), (k - 1, 0)))
    return sum(xp[:, i:i + x.shape[1]] * w[i] for i in range(k)), (xp, w)
def backward(d, cache):
    xp, w = cache
    k, t = w.shape[0], d.shape[1]
    dw = np.array([(d * xp[:, i:i + t]).sum() for i in range(k)])
    dp = np.pad(d, ((0, 0), (0, k - 1)))
    return sum(dp[:, k - 1 - i:k - 1 - i + t] * w[i] for i in range(k)), dw
"""
SCAN = """
def forward(x, a):
    c, out = np.zeros_like(x[0]), []
    for t in range(len(x)):
        c = c * a[t] + x[t]
        out.append(c)
    return np.array(out), (np.array(out), a)
def backward(d, cache):
    cs, a = cache
    dx, da = np.zeros_like(d), np.zeros_like(a)
    dc = np.zeros_like(d[0])
    for t in reversed(range(len(d))):
        f = a[t]
        dc = dc + d[t]
        dx[t] = dc
        da[t] = dc * (cs[t - 1] if t > 0 else 0)
        dc = dc * f
    return dx, da
"""


PROGRAMS = {
    "a norm taken for a constant": (
        *(NORM, "g / r - x * (x * g).sum(axis=-1, keepdims=True) / r ** 3", "g / r", "(normal(3, 5),)"),
        "mean|sum",
    ),
    "a step that hands on too much": (
        *(SCAN, "        dc = dc * f\n", "", "(normal(4, 2), normal(4, 2))", r"dc = dc \* f"),
    ),
    "a padding on the other side": (
        *(SERIES, "(0, k - 1))", "(1, k - 2))", "(normal(2, 5), normal(3))", "0, k - 1"),
    ),
}


@pytest.mark.parametrize("kind", PROGRAMS)
def test_a_place_and_its_column(kind: str, tmp_path: Path) -> None:
    text, right, wrong, args, said = PROGRAMS[kind]
    theirs, given = text.replace(right, wrong, 1), eval(args, {"normal": normal})
    verdict = verdict_of(theirs, tmp_path, given)
    source = verdict.json()["findings"][0]["source"]
    assert source is not None, str(verdict)
    line = ["", *theirs.split("\n")][source["line"] - 1]
    assert line[source["column"] - 1 :].startswith(source["stands"].partition("\n")[0])
    assert re.search(said, source["write"])
    assert verdict_of(written(theirs, verdict), tmp_path, given).verdict == "right"


def test_outputs_of_a_pair_are_arrays_of_any_library(monkeypatch: pytest.MonkeyPatch) -> None:
    jax = fake.jax()
    monkeypatch.setitem(sys.modules, "jax", jax)
    assert is_array(np.zeros(()))
    assert is_array(jax.numpy.asarray(np.zeros(3)))
    assert not any(map(is_array, (np.float64(1), 1.0, (1,), None)))


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("(a.T @ d) / n", "a.T @ (d / n)"),
        ("a.T @ (d / n)", "a.T @ d / n"),
        ("(d / n) @ w.T", "d @ w.T / n"),
        ("d @ w * s", "(d * s) @ w"),
        ("s * (d @ w)", "d @ (w * s)"),
        ("np.dot(a.T, d) / n", "np.dot(a.T, d / n)"),
        ("np.einsum('ij,ik->jk', a, d + s) / n", "np.einsum('ij,ik->jk', a, (d + s) / n)"),
    ],
)
def test_a_scaling_stands_before_a_product_of_matrices_or_behind_it(wrong: str, right: str) -> None:
    assert f"def f(a, d, n, s, w):\n    return {right}" in texts(
        Operators, f"def f(a, d, n, s, w):\n    return {wrong}"
    )


def test_the_degrees_of_the_neighbours_are_those_of_the_nodes_that_ask(tmp_path: Path) -> None:
    """Two that are square alike: sizes do not tell them apart."""
    source = """\
LINKS = (np.random.default_rng(1).random((6, 6)) < 0.4) + np.eye(6)
def forward(h, w):
    n = LINKS.sum(axis=1, keepdims=True)
    m = LINKS @ h / n
    return m @ w, (n, m, w)
def backward(dz, cache):
    n, m, w = cache
    dm = dz @ w.T
    return (LINKS.T @ dm) / n, m.T @ dz
"""
    verdict = verdict_of(source, tmp_path, (normal(6, 5), normal(5, 3)))
    assert verdict.why == ("parentheses",), str(verdict)
    assert "return LINKS.T @ (dm / n), m.T @ dz" in written(source, verdict)
