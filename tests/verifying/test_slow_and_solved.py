"""Slow programs are judged on smaller arrays; what is missing is solved for where nothing near is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from tests.verifying.test_source import loaded

import chainrule as cr

RNG = np.random.default_rng(11)


def normal(*shape: int) -> Any:
    return RNG.normal(size=shape)


POOL = """
def forward(x, k=3):
    h, w = x.shape[1:]
    padded, ones = np.pad(x, ((0, 0), (1, 1), (1, 1))), np.pad(np.ones((h, w)), 1)
    out, count = np.zeros(x.shape), np.zeros((h, w))
    for a in range(h):
        for b in range(w):
            count[a, b] = ones[a:a + k, b:b + k].sum()
            out[:, a, b] = padded[:, a:a + k, b:b + k].sum(axis=(1, 2)) / count[a, b]
    return out, (x.shape, k, count)
def backward(g, cache):
    (n, h, w), k, count = cache
    dx = np.zeros((n, h + 2, w + 2))
    for a in range(h):
        for b in range(w):
            dx[:, a:a + k, b:b + k] += (g[:, a, b] / count[a, b])[:, None, None]
    return dx[:, 1:-1, 1:-1]
"""
GROUPS = """
def forward(x, groups=2):
    n, c, h = x.shape
    y = x.reshape(n, groups, -1)
    return (y - y.mean(-1, keepdims=True)).reshape(x.shape) ** 2, (x, y, groups)
def backward(d, cache):
    x, y, groups = cache
    n, c, h = x.shape
    e = (2 * (y - y.mean(-1, keepdims=True)) * d.reshape(y.shape))
    size = c // groups * h
    return (e - e.sum(-1, keepdims=True) / size).reshape(x.shape)
"""
ROOT = """
def forward(x, eps=1e-3):
    return np.sqrt(x * x + eps), (x, eps)
def backward(d, cache):
    x, eps = cache
    return d * x / np.sqrt(x * x + eps)
"""
SHARED = """
def forward(q, k):
    n = len(q) // len(k)
    big = np.repeat(k, n, axis=0)
    return q * np.tanh(big), (q, big, n)
def backward(d, cache):
    q, big, n = cache
    db = d * q * (1 - np.tanh(big) ** 2)
    return d * np.tanh(big), db.reshape(len(db) // n, n, -1).sum(1)
"""
PEEPHOLE = """
def forward(x, p, w):
    c = np.tanh(x @ w)
    o = 1 / (1 + np.exp(-(x @ w + p[2] * c)))
    return o * c, (x, p, w, c, o)
def backward(d, cache):
    x, p, w, c, o = cache
    do = d * c * o * (1 - o)
    dc = d * o + do * p[2]
    dz = dc * (1 - c ** 2) + do
    dp = np.zeros_like(p)
    dp[2] = (do * c).sum(0)
    return dz @ w.T, dp, x.T @ dz
"""
PAIRS = """
def forward(w, a=np.array([0, 1, 0, 2, 0]), b=np.array([1, 1, 1, 0, 1])):
    return np.exp(w).sum() - w[a, b].sum(), (w, a, b)
def backward(d, cache):
    w, a, b = cache
    dw = np.exp(w)
    np.add.at(dw, (a, b), -1)
    return d * dw
"""
CARRY = """
def forward(x, a):
    h, c, kept = [], np.zeros(x.shape[1]), []
    for t in range(len(x)):
        f = 1 / (1 + np.exp(-a[t]))
        kept.append((c, f))
        c = f * c + np.tanh(x[t])
        h.append(c ** 2)
    return np.array(h), (x, kept, np.array(h), c)
def backward(d, cache):
    x, kept, h, last = cache
    dx, da, dc, now = np.zeros_like(x), np.zeros_like(x), np.zeros(x.shape[1]), last
    for t in range(len(x) - 1, -1, -1):
        c, f = kept[t]
        dc = dc + 2 * d[t] * now
        dx[t] = dc * (1 - np.tanh(x[t]) ** 2)
        da[t] = dc * c * f * (1 - f)
        dc = dc * f
        now = c
    return dx, da
"""
BENT = """
def forward(x, b):
    z = b * x
    return np.log1p(np.exp(z)), (x, b, z)
def backward(d, cache):
    x, b, z = cache
    g = d / (1 + np.exp(-z))
    return g * b, (g * x).sum(0)
"""
WEIGHTS = """
def forward(z, w, y=np.array([0, 2, 1, 1, 0])):
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    m = w[y].sum()
    return -(w[y] * np.log(p[np.arange(len(y)), y])).sum() / m, (p, w, y, m)
def backward(d, cache):
    p, w, y, m = cache
    g = p.copy()
    g[np.arange(len(y)), y] -= 1
    return d * g * w[y][:, None] / m, None
"""
HEADS, CLASSES = (normal(6, 4), normal(2, 4)), np.array([0.2, 1.0, 2.0])
# (program, right, wrong, what stands in the patch, arguments)
MISTAKES = [
    (POOL, "/ count[a, b])[:", "/ (k * k))[:", "count[a, b]", (normal(2, 5, 4),)),
    (GROUPS, "size = c // groups * h", "size = c * h", "// groups", (normal(2, 4, 3),)),
    (ROOT, "/ np.sqrt(x * x + eps)", "/ (np.sqrt(x * x) + eps)", "np.sqrt(x * x + eps)", (normal(5, 3),)),
    (SHARED, "len(db) // n, n, -1).sum(1)", "n, len(db) // n, -1).sum(0)", ".sum(1)", HEADS),
    (PEEPHOLE, "d * o + do * p[2]", "d * o", "do * p[2]", (normal(4, 2), normal(3, 3), normal(2, 3))),
    (PAIRS, "np.add.at(dw, (a, b), -1)", "dw[a, b] -= 1", "np.add.at", (normal(3, 2),)),
    (CARRY, "dc = dc * f\n", "dc = dc\n", "dc * f", (normal(5, 3), normal(5, 3))),
    (BENT, "d / (1 + np.exp(-z))", "d / (1 + np.exp(z))", "-z", (normal(5, 3), normal(3))),
    (WEIGHTS, "g * w[y][:, None] / m", "g * w / m", "w[y][:, None]", (normal(5, 3), CLASSES)),
]


def test_what_is_wrong_is_named_with_what_must_stand_there(tmp_path: Path) -> None:
    for program, right, wrong, patch, args in MISTAKES:
        assert program.count(right) == 1, right
        module = loaded(program.replace(right, wrong), tmp_path)
        verdict = cr.verify(module.forward, module.backward, args=args)
        sources = [each.source for each in verdict.findings if each.source is not None]
        assert verdict.verdict == "wrong", f"{wrong}: {verdict}"
        assert len(sources) == 1, f"{wrong}: {verdict}"
        assert patch in sources[0].write, f"{wrong}: {verdict}"
        module = loaded(program, tmp_path)
        assert cr.verify(module.forward, module.backward, args=args), right


SLOW = """
def forward(x, w):
    out = np.zeros((len(x), len(w), x.shape[1] - w.shape[1] + 1))
    for n in range(len(x)):
        for f in range(len(w)):
            for i in range(out.shape[2]):
                for k in range(w.shape[1]):
                    out[n, f, i] += x[n, i + k] * w[f, k]
    return out, (x, w)
def backward(d, cache):
    x, w = cache
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for n in range(len(x)):
        for f in range(len(w)):
            for i in range(d.shape[2]):
                for k in range(w.shape[1]):
                    dx[n, i + k] += d[n, f, i] * w[f, k]
                    dw[f, k] += d[n, f, i] * x[n, i + k]
    return dx, dw
"""


def test_slow_loops_are_judged_on_smaller_arrays_and_along_directions_on_the_given(tmp_path: Path) -> None:
    args = normal(5, 30), normal(6, 3)
    module = loaded(SLOW, tmp_path)
    verdict = cr.verify(module.forward, module.backward, args=args)
    assert verdict, str(verdict)
    assert any("it is slow" in note.en for note in verdict.notes), str(verdict)
    turned = SLOW.replace("d[n, f, i] * w[f, k]", "d[n, f, i] * w[f, -1 - k]")
    module = loaded(turned, tmp_path)
    verdict = cr.verify(module.forward, module.backward, args=args)
    assert [each.source.write for each in verdict.findings if each.source] == ["k"], str(verdict)
    module = loaded(SLOW.replace("dx[n, i + k] +=", "dx[n, i + k] += (1 + (n == 4)) *"), tmp_path)
    assert cr.verify(module.forward, module.backward, args=args).verdict == "wrong"  # on these alone


class Kept:
    """Keeps the mask of its first forward."""

    mask: Any = None

    def __init__(self, W: Any) -> None:
        self.W = W

    def forward(self, x: Any) -> Any:
        self.x, z = x, x @ self.W
        if self.mask is None:
            self.mask = z > 0
        return z * (z > 0)

    def backward(self, d: Any) -> Any:
        dz = d * self.mask
        self.dW = self.x.T @ dz
        return dz @ self.W.T


def test_what_forward_has_not_set_anew_is_named() -> None:
    verdict = cr.verify(Kept(normal(3, 5)), args=(normal(4, 3),))
    assert verdict.why == ("stale cache", "stale cache")
    assert "mask is still that of the first call" in str(verdict)
