"""What is told to write is written, and the program is right then: kinds of mistakes and their patches."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest
from tests.verifying.test_source import loaded

import chainrule as cr

RNG = np.random.default_rng(23)


def normal(*shape: int) -> Any:
    return RNG.normal(size=shape)


def verdict_of(text: str, folder: Path, args: tuple[Any, ...]) -> cr.Verdict:
    module = loaded(text, folder)
    given = module.Layer() if hasattr(module, "Layer") else (module.forward, module.backward)
    return cr.verify(given, args=args)


def written(text: str, verdict: cr.Verdict) -> str:
    """With what every finding says is to be written."""
    lines = ["", *text.split("\n")]  # the import stands before it
    places = {each.source for each in verdict.findings if each.source is not None}
    for place in sorted(places, key=lambda each: -each.line):
        stands, count = place.stands.split("\n"), place.stands.count("\n") + 1
        now, lead = lines[place.line - 1], re.match(r" *", lines[place.line - 1])
        if dedent("\n".join(lines[place.line - 1 : place.line - 1 + count])).strip() == place.stands:
            assert lead is not None
            new = [lead[0] + line for line in (place.write or "pass").split("\n")]
            lines[place.line - 1 : place.line - 1 + count] = new
        else:
            assert len(stands) == 1
            assert stands[0] in now
            pattern = rf"(?<![\w.]){re.escape(stands[0])}(?!\w)"
            lines[place.line - 1] = re.sub(pattern, lambda found, place=place: place.write, now, count=1)  # type: ignore[misc]
    return "\n".join(lines[1:])


def check(text: str, right: str, wrong: str, folder: Path, args: tuple[Any, ...]) -> cr.Verdict:
    """The right program is right; the wrong one wrong, and right with what is to be written."""
    assert right in text
    assert verdict_of(text, folder, args).verdict == "right"
    theirs = text.replace(right, wrong, 1)
    verdict = verdict_of(theirs, folder, args)
    assert verdict.verdict == "wrong", str(verdict)
    assert all(verdict.why), str(verdict)
    patched = written(theirs, verdict)
    assert patched != theirs, str(verdict)
    assert verdict_of(patched, folder, args).verdict == "right", f"{verdict}\n{patched}"
    return verdict


# -- the contract
LAYER = """
class Layer:
    def __init__(self):
        self.W = np.linspace(-1, 1, 20).reshape(4, 5) ** 3
        self.dW = np.zeros_like(self.W)
    def forward(self, x):
        self.x = x
        self.s = np.tanh(x @ self.W)
        return self.s
    def backward(self, dout):
        dz = dout * (1 - self.s ** 2)
        self.dW = self.x.T @ dz
        return dz @ self.W.T
"""
LOOP = """
class Layer:
    def __init__(self):
        self.k = np.array([0.3, -1.2, 0.7])
        self.dk = np.zeros(3)
    def forward(self, x):
        self.x = x
        return np.stack([x[:, i:i + 3] @ self.k for i in range(x.shape[1] - 2)], axis=1)
    def backward(self, d):
        self.dk = np.zeros(3)
        dx = np.zeros_like(self.x)
        for i in range(d.shape[1]):
            dx[:, i:i + 3] += d[:, i, None] * self.k
            self.dk += d[:, i] @ self.x[:, i:i + 3]
        return dx
"""
SCALED = """
def forward(x, w):
    return np.tanh(x) * w, (x, w)
def backward(dy, cache):
    x, w = cache
    s = np.tanh(x)
    dx = dy * w * (1 - s ** 2)
    dw = (dy * s).sum(axis=0)
    return dx, dw
"""
CONTRACT = {
    "δ modified": (LAYER, "dz = dout * (1 - self.s ** 2)", "dout *= 1 - self.s ** 2\n        dz = dout"),
    "cache changed": (
        LAYER,
        "dz = dout * (1 - self.s ** 2)",
        "self.s **= 2\n        dz = dout * (1 - self.s)",
    ),
    "input modified": (LAYER, "self.x.T @ dz", "self.x.T @ dz\n        self.x *= 0.5"),
    "accumulated": (LOOP, "        self.dk = np.zeros(3)\n        dx", "        dx"),
    "δ not used": (LAYER, "self.x.T @ dz", "self.x.T @ (1 - self.s ** 2)"),
    "writes into its arguments": (SCALED, "s = np.tanh(x)", "x += 0\n    s = np.tanh(x)"),
}


@pytest.mark.turns(2)
@pytest.mark.parametrize("mistake", CONTRACT)
def test_what_breaks_the_contract_has_its_place(mistake: str, tmp_path: Path) -> None:
    text, right, wrong = CONTRACT[mistake]
    rows = 7 if text is LOOP else 4
    args = (normal(3, 4), normal(4)) if text is SCALED else (normal(2, rows),)
    assert mistake in check(text, right, wrong, tmp_path, args).why


TYPES = {
    "zeros": ("dw = (dy * s).sum(axis=0)", "dw = np.zeros(x.shape[1])\n    dw += (dy * s).sum(axis=0)"),
    "sum": ("(dy * s).sum(axis=0)", "(dy * s).sum(axis=0, dtype=np.float64)"),
    "number": ("dy * w * (1 - s ** 2)", "dy * w * np.float64(1) * (1 - s ** 2)"),
}


@pytest.mark.parametrize("kind", TYPES)
def test_a_type_that_is_another_has_its_place(kind: str, tmp_path: Path) -> None:
    args = normal(3, 4).astype(np.float32), normal(4).astype(np.float32)
    assert "wrong dtype" in check(SCALED, *TYPES[kind], tmp_path, args).why


def test_an_order_of_memory_has_its_place(tmp_path: Path) -> None:
    flat = "dx = (2 * x.ravel() * dy.ravel()).reshape(x.shape)"
    text = f"\ndef forward(x):\n    return x ** 2, x\ndef backward(dy, x):\n    {flat}\n    return dx\n"
    verdict = check(text, "x.ravel()", "x.ravel(order='K')", tmp_path, (normal(3, 4),))
    assert "contiguous only" in verdict.why


# -- guards
ROOT = """
EPS = 1e-6
def forward(x, g):
    v = (x * x).mean(axis=-1, keepdims=True)
    return x / np.sqrt(v + EPS) * g, (x, g, v)
def backward(d, cache):
    x, g, v = cache
    r = 1 / np.sqrt(v + EPS)
    u = d * g
    return r * u - x * r ** 3 * (u * x).mean(axis=-1, keepdims=True), (d * x * r).sum(axis=0)
"""
GUARDS = {
    "outside": "1 / (np.sqrt(v) + EPS)",
    "twice": "1 / np.sqrt(v + 2 * EPS)",
    "another": "1 / np.sqrt(v + 1e-5)",
    "minus": "1 / np.sqrt(v - EPS)",
    "squared": "1 / np.sqrt(v + EPS ** 2)",
}
ALONE = """
def forward(p, y):
    return -(y * np.log(p + 1e-7)).sum() / len(p), (p, y)
def backward(d, cache):
    p, y = cache
    return -d * y / p / len(p), None
"""


@pytest.mark.turns(2)
@pytest.mark.parametrize("kind", GUARDS)
def test_a_guard_at_the_wrong_place_is_named(kind: str, tmp_path: Path) -> None:
    check(ROOT, "1 / np.sqrt(v + EPS)", GUARDS[kind], tmp_path, (normal(4, 3), normal(3)))


def test_a_guard_of_forward_alone_is_no_mistake(tmp_path: Path) -> None:
    args = RNG.uniform(0.1, 0.9, (4, 3)), np.eye(3)[[0, 2, 1, 1]]
    assert verdict_of(ALONE, tmp_path, args).verdict == "right"


# -- places that hold indices, parts, comparisons, letters
WINDOWS = """
TOP, LEFT = 2, 1
def forward(x, k):
    n, h, w = x.shape
    a, b = k.shape
    big = np.pad(x, ((0, 0), (TOP, TOP), (LEFT, LEFT)))
    y = np.zeros((n, h + 2 * TOP - a + 1, w + 2 * LEFT - b + 1))
    for i in range(a):
        for j in range(b):
            y += k[i, j] * big[:, i:i + y.shape[1], j:j + y.shape[2]]
    return y, (big, k, h, w)
def backward(dy, cache):
    big, k, h, w = cache
    a, b = k.shape
    dbig, dk = np.zeros_like(big), np.zeros_like(k)
    for i in range(a):
        for j in range(b):
            dbig[:, i:i + dy.shape[1], j:j + dy.shape[2]] += k[i, j] * dy
            dk[i, j] = (big[:, i:i + dy.shape[1], j:j + dy.shape[2]] * dy).sum()
    return dbig[:, TOP:-TOP, LEFT:-LEFT], dk
"""
CROPPED, INNER = "dbig[:, TOP:-TOP, LEFT:-LEFT]", "(big[:, i:i + dy.shape[1], j:j + dy.shape[2]]"


@pytest.mark.turns(2)
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (CROPPED, "dbig[:, :h, :w]"),
        (CROPPED, "dbig[:, -h:, -w:]"),
        (CROPPED, "dbig[:, :h, LEFT:-LEFT]"),  # b is TOP in the given sizes alone
        (INNER, "(big[:, :dy.shape[1], :dy.shape[2]]"),
        ("dk[i, j] =", "dk[a - 1 - i, b - 1 - j] ="),
    ],
)
def test_parts_of_two_axes_at_once(right: str, wrong: str, tmp_path: Path) -> None:
    check(WINDOWS, right, wrong, tmp_path, (normal(2, 5, 6), normal(3, 2)))


GROUPS = """
LOW, HIGH = -0.4, 1.1
def forward(x, w):
    g, o, c = w.shape
    y = np.zeros((len(x), g * o))
    for k in range(g):
        xs, ys = slice(k * c, (k + 1) * c), slice(k * o, (k + 1) * o)
        y[:, ys] = x[:, xs] @ w[k].T
    return np.clip(y, LOW, HIGH), (x, w, y)
def backward(dz, cache):
    x, w, y = cache
    g, o, c = w.shape
    dy = dz * ((y > LOW) & (y < HIGH))
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for k in range(g):
        xs, ys = slice(k * c, (k + 1) * c), slice(k * o, (k + 1) * o)
        dx[:, xs] = dy[:, ys] @ w[k]
        dw[k] = dy[:, ys].T @ x[:, xs]
    return dx, dw
"""


@pytest.mark.turns(2)
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("dy[:, ys].T @ x[:, xs]", "dy[:, ys].T @ x[:, :c]"),
        ("dy[:, ys].T @ x[:, xs]", "dy[:, :o].T @ x[:, xs]"),
        ("y < HIGH", "y < -LOW"),
        ("y > LOW", "y > 0"),
        ("(y > LOW) & (y < HIGH)", "(y > LOW) | (y < HIGH)"),
    ],
)
def test_parts_by_name_and_bounds_of_comparisons(right: str, wrong: str, tmp_path: Path) -> None:
    check(GROUPS, right, wrong, tmp_path, (normal(5, 6), normal(2, 4, 3)))


SUMS = """
def forward(a, b, W):
    return np.einsum("ni,ijk,nj->nk", a, W, b), (a, b, W)
def backward(d, cache):
    a, b, W = cache
    da = np.einsum("nk,ijk,nj->ni", d, W, b)
    db = np.einsum("nk,ijk,ni->nj", d, W, a)
    return da, db, np.einsum("nk,ni,nj->ijk", d, a, b)
"""


def test_a_factor_of_einsum_and_its_letters(tmp_path: Path) -> None:
    args = normal(3, 4), normal(3, 5), normal(4, 5, 6)
    check(SUMS, '"nk,ijk,ni->nj", d, W, a', '"nk,ijk,nj->nj", d, W, b', tmp_path, args)


TOTAL = """
def forward(u, k):
    r = k * ((u[:, 1:, :] - u[:, :-1, :]) ** 2).sum() + ((u[:, :, 1:] - u[:, :, :-1]) ** 2).sum()
    return r, (u, k)
def backward(dr, cache):
    u, k = cache
    gx, gy = 2 * dr * k * (u[:, 1:, :] - u[:, :-1, :]), 2 * dr * (u[:, :, 1:] - u[:, :, :-1])
    du = np.zeros_like(u)
    du[:, 1:, :] += gx
    du[:, :-1, :] -= gx
    du[:, :, 1:] += gy
    du[:, :, :-1] -= gy
    return du, dr * ((u[:, 1:, :] - u[:, :-1, :]) ** 2).sum()
"""


def test_the_other_half_of_a_difference(tmp_path: Path) -> None:
    check(TOTAL, "    du[:, :, :-1] -= gy\n", "", tmp_path, (normal(2, 4, 5), np.array(0.7)))


# -- two mistakes, of which the first makes the arrays of the second wrong, too
CHAIN = """
def forward(x, w1, b1, w2, b2):
    h = np.maximum(x @ w1 + b1, 0)
    y = 1 / (1 + np.exp(-(h @ w2 + b2)))
    return y, (x, w1, w2, h, y)
def backward(dy, cache):
    x, w1, w2, h, y = cache
    dz = dy * y * (1 - y)
    dh = dz @ w2.T
    dh = dh * (h > 0)
    return dh @ w1.T, x.T @ dh, dh.sum(axis=0), h.T @ dz, dz.sum(axis=0)
"""


@pytest.mark.parametrize(
    ("right", "wrong"), [("dh.sum(axis=0)", "dh.mean(axis=0)"), ("dh * (h > 0)", "dh * (h >= 0)")]
)
def test_two_mistakes_along_a_chain(right: str, wrong: str, tmp_path: Path) -> None:
    args = normal(3, 4), normal(4, 5), normal(5), normal(5, 2), normal(2)
    text = CHAIN.replace(right, wrong, 1).replace("dy * y * (1 - y)", "dy * (1 - y)")
    verdict = verdict_of(text, tmp_path, args)
    assert len({each.source.line for each in verdict.findings if each.source is not None}) == 2, str(verdict)
    assert verdict_of(written(text, verdict), tmp_path, args).verdict == "right", str(verdict)
