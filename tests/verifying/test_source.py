"""A mistake in the source: named by the one place of it that, written otherwise, makes everything right."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from pathlib import Path
from textwrap import indent
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.verifying import outputs
from chainrule.verifying.differences import differences
from chainrule.verifying.judging.guesses import guesses
from chainrule.verifying.probes import Probe
from chainrule.verifying.source.mended import plain_signs, tidy
from chainrule.verifying.source.mending import Mending
from chainrule.verifying.source.named import NO_CAUSE
from chainrule.verifying.source.outside import Outside
from chainrule.verifying.source.right import by_differences
from chainrule.verifying.source.trying.stand_in import stand_in
from chainrule.verifying.source.written import ran
from chainrule.verifying.subjects.door import subject_from
from chainrule.verifying.texts import TEXTS

RNG = np.random.default_rng(5)
NUMBERS = itertools.count()


def normal(*shape: int) -> Any:
    return RNG.normal(size=shape)


def loaded(text: str, folder: Path) -> ModuleType:
    """A program as a file."""
    path = folder / f"theirs{next(NUMBERS)}.py"
    path.write_text(f"import numpy as np\n{text}", encoding="utf-8")
    module = ModuleType(path.stem)
    exec(compile(path.read_text("utf-8"), str(path), "exec"), module.__dict__)
    return module


LOOPS = """
def forward(x, w, b):
    out = np.zeros((x.shape[0], w.shape[1]))
    for n in range(x.shape[0]):
        for m in range(w.shape[1]):
            out[n, m] = np.tanh(x[n] @ w[:, m] + b[m])
    return out, (x, w, out)
def backward(dout, cache):
    x, w, out = cache
    dx, dw, db = np.zeros_like(x), np.zeros_like(w), np.zeros(w.shape[1])
    for n in range(x.shape[0]):
        for m in range(w.shape[1]):
            dz = dout[n, m] * (1 - out[n, m] ** 2)
            db[m] += dz
            for d in range(x.shape[1]):
                dx[n, d] += dz * w[d, m]
                dw[d, m] += dz * x[n, d]
    return dx, dw, db
"""
STEPS = """
def forward(x, h, W, U):
    hs, states = [], []
    for t in range(x.shape[1]):
        states.append(h)
        h = np.tanh(x[:, t] @ W + h @ U)
        hs.append(h)
    return np.stack(hs, axis=1), (x, W, U, hs, states)
def backward(dhs, cache):
    x, W, U, hs, states = cache
    dx, dW, dU = np.zeros_like(x), np.zeros_like(W), np.zeros_like(U)
    dnext = np.zeros_like(states[0])
    for t in reversed(range(x.shape[1])):
        dh = dhs[:, t] + dnext
        dz = dh * (1 - hs[t] * hs[t])
        dx[:, t] = dz @ W.T
        dW += x[:, t].T @ dz
        dU += states[t].T @ dz
        dnext = dz @ U.T
    return dx, dnext, dW, dU
"""
LOSS = """
def loss(x, y):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    probs = e / e.sum(axis=1, keepdims=True)
    n = len(x)
    dx = probs.copy()
    dx[np.arange(n), y] -= 1
    dx /= n
    return -np.log(probs[np.arange(n), y]).mean(), dx
"""
NETWORK = """
def f(X, y, W1, b1, W2, b2):
    n = len(X)
    z = X @ W1 + b1
    h = np.maximum(z, 0)
    d = (h @ W2 + b2 - y) / n
    dh = d @ W2.T
    dz = dh * (z > 0)
    value = n * np.sum(d ** 2) / 2
    return value, {"W1": X.T @ dz, "b1": dz.sum(axis=0), "W2": h.T @ d, "b2": d.sum(axis=0)}
"""
POOL = """
def forward(x):
    out = np.lib.stride_tricks.sliding_window_view(x, 3, axis=1).max(axis=-1)
    return out, x
def backward(d, x):
    dx = np.zeros_like(x)
    for n in range(x.shape[0]):
        for i in range(d.shape[1]):
            k = np.argmax(x[n, i:i + 3])
            dx[n, i + k] += d[n, i]
    return dx
"""
HIGHWAY = """
def forward(X, W, V):
    T = 1 / (1 + np.exp(-X @ V))
    H = np.tanh(X @ W)
    return T * H + (1 - T) * X, (X, W, V, T, H)
def backward(dY, cache):
    X, W, V, T, H = cache
    dA = dY * T * (1 - H ** 2)
    dB = dY * (H - X) * T * (1 - T)
    dX = dA @ W.T + dB @ V.T
    dX += dY * (1 - T)
    return dX, X.T @ dA, X.T @ dB
"""
SCAN = """
def forward(a, x):
    hs = [x[0]]
    for t in range(1, len(x)):
        hs.append(a[t] * hs[-1] + x[t])
    return np.stack(hs), (a, x, hs)
def backward(dy, cache):
    a, x, hs = cache
    da, dx, dh = np.zeros_like(a), np.zeros_like(x), np.zeros(x.shape[1])
    for t in reversed(range(len(x))):
        dh = dh + dy[t]
        dx[t] = dh
        da[t] = dh * hs[t - 1] if t > 0 else 0
        dh = dh * a[t]
    return da, dx
"""
ELMAN = """
def loss(U, b):
    h = [np.ones(3)]
    for t in range(3):
        h.append(np.tanh(U @ h[-1] + b))
    dU, db, da = 0 * U, 0 * b, 0 * b
    for t in (3, 2, 1):
        dh = h[t].copy()
        dh += U.T @ da
        da = dh * (1 - h[t] ** 2)
        dU += np.outer(da, h[t - 1])
        db += da
    return sum(s @ s for s in h[1:]) / 2, {"U": dU, "b": db}
"""
SVM = """
def svm(W, X, y):
    J, dW = 0.0, np.zeros_like(W)
    for i in range(len(X)):
        s = X[i] @ W
        for j in range(W.shape[1]):
            if j != y[i] and s[j] - s[y[i]] + 1 > 0:
                J += s[j] - s[y[i]] + 1
                dW[:, j] += X[i]
                dW[:, y[i]] -= X[i]
    return J, {"W": dW}
"""
GATE = """
def forward(s, v):
    e = np.exp(s)
    g = e / e.sum(axis=1, keepdims=True)
    return g * v, (g, v)
def backward(d, cache):
    g, v = cache
    dg = d * v
    return g * (dg - (g * dg).sum(axis=1, keepdims=True)), d * g
"""
KL = """
def kl(m, v):
    value = np.sum(np.exp(v) + m ** 2 - v) / 2 + 2 * np.sum(m * v)
    return value, {"m": m + 2 * v, "v": 2 * m + 0.5 * (np.exp(v) - 1)}
"""
GROUPS = """
def forward(x, g):
    n, c, l = x.shape
    u = x.reshape(n, 2, -1)
    r = np.sqrt((u ** 2).mean(axis=2, keepdims=True))
    z = (u / r).reshape(x.shape)
    return z * g, (z, g, r)
def backward(d, cache):
    z, g, r = cache
    n, c, l = d.shape
    count = c // 2 * l
    u, e = z.reshape(n, 2, -1), (d * g).reshape(n, 2, -1)
    dx = (e - u * (e * u).sum(axis=2, keepdims=True) / count) / r
    return dx.reshape(d.shape), (d * z).sum(axis=(0, 2), keepdims=True)
"""
DECAY = """
def forward(x, a):
    hs = [x[0]]
    for t in range(1, len(x)):
        hs.append(a * hs[-1] + (1 - a) * x[t])
    return np.stack(hs), (x, a, hs)
def backward(d, cache):
    x, a, hs = cache
    dh, da, dxs = 0 * x[0], 0 * a, []
    for t in reversed(range(len(x))):
        dh = dh + d[t]
        da = da + dh * (hs[t - 1] - x[t] if t > 0 else 0)
        dxs.append(dh * (1 - a if t > 0 else 1))
        dh = a * dh
    return np.stack(dxs[::-1]), da
"""
QUADRATIC = """
def value(x, A, b):
    r = b - x
    return r @ A @ r + np.sum(np.exp(x) / (1 + b ** 2)), {
        "x": -(A + A.T) @ r + np.exp(x) / (1 + b ** 2),
    }
"""
COUNT = """
def value(x):
    n, k = x.shape
    c = n * k
    return np.sum(np.exp(x / x.size)), {"x": np.exp(x / c) / c}
"""
REPEATED = """
def forward(k, r):
    return np.repeat(k, r, axis=1), (k.shape, r)
def backward(d, cache):
    (b, h, t), r = cache
    return np.sum(d.reshape(b, h, r, t), axis=2)
"""
CROPPED = """
def forward(x, w, options):
    p, s = options["pad"], options["stride"]
    xp = np.pad(x, ((0, 0), (p, p), (p, p)))
    h, v = (xp.shape[1] - w.shape[2]) // s + 1, (xp.shape[2] - w.shape[3]) // s + 1
    out = np.zeros((len(w), h, v))
    for f in range(len(w)):
        for i in range(h):
            for j in range(v):
                out[f, i, j] = (xp[:, i * s:i * s + w.shape[2], j * s:j * s + w.shape[3]] * w[f]).sum()
    return out, (x, w, options)
def backward(d, cache):
    x, w, options = cache
    p, s = options["pad"], options["stride"]
    c, h, v = x.shape
    xp = np.pad(x, ((0, 0), (p, p), (p, p)))
    dxp, dw = np.zeros_like(xp), np.zeros_like(w)
    for f in range(len(w)):
        for i in range(d.shape[1]):
            for j in range(d.shape[2]):
                a, b = i * s, j * s
                dw[f] += d[f, i, j] * xp[:, a:a + w.shape[2], b:b + w.shape[3]]
                dxp[:, a:a + w.shape[2], b:b + w.shape[3]] += d[f, i, j] * w[f]
    return dxp[:, p:p + h, p:p + v], dw
"""
PAIR = ("forward", "backward")
PROGRAMS: dict[str, tuple[str, Any, tuple[Any, ...]]] = {
    "loops": (LOOPS, PAIR, (normal(3, 4), normal(4, 5), normal(5))),
    "steps": (STEPS, PAIR, (normal(2, 3, 3), normal(2, 4), normal(3, 4), normal(4, 4))),
    "loss": (LOSS, "loss", (normal(6, 4), RNG.integers(0, 4, 6))),
    "network": (NETWORK, "f", (normal(6, 3), normal(6, 2), normal(3, 5), normal(5), normal(5, 2), normal(2))),
    "pool": (POOL, PAIR, (normal(2, 8),)),
    "highway": (HIGHWAY, PAIR, (normal(3, 4), normal(4, 4), normal(4, 4))),
    "scan": (SCAN, PAIR, (normal(4, 2), normal(4, 2))),
    "elman": (ELMAN, "loss", (0.6 * normal(3, 3), normal(3))),
    "svm": (SVM, "svm", (normal(3, 4), normal(5, 3), np.array([0, 3, 2, 1, 1]))),
    "kl": (KL, "kl", (normal(3, 2), normal(3, 2))),
    "gate": (GATE, PAIR, (normal(3, 4), normal(3, 4))),
    "count": (COUNT, "value", (normal(3, 4),)),
    "groups": (GROUPS, PAIR, (normal(2, 6, 4), normal(1, 6, 1))),
    "decay": (DECAY, PAIR, (normal(4, 3), normal(3))),
    "cropped": (CROPPED, PAIR, (normal(2, 5, 4), normal(3, 2, 3, 2), {"pad": 2, "stride": 2})),
    "repeated": (REPEATED, PAIR, (normal(2, 3, 4), 2)),
    "quadratic": (QUADRATIC, "value", (normal(4), normal(4, 4), normal(4))),
}
# (program, what stands there, what is written instead, the word, what must be said to write)
MISTAKES = [
    ("loops", "db[m] += dz", "db[m] = dz", "overwritten", "db[m] += dz"),
    ("loops", "x[n, d]\n", "x[0, d]\n", "index", "x[n, d]"),
    ("loops", "dz * w[d, m]", "dz * w[d, 0]", "index", "w[d, m]"),
    ("loops", "[1]):\n            dz", "[1] - 1):\n            dz", "last left out", "`w.shape[1]` for"),
    ("loops", "(1 - out[n, m] ** 2)", "(1 - out[n, m])", "squared", "out[n, m] ** 2"),
    ("steps", "dhs[:, t] + dnext", "dhs[:, t]", "term missing", "dhs[:, t] + dnext"),
    ("steps", "dU += states", "dU = states", "overwritten", "dU += states[t].T @ dz"),
    ("steps", "states[t].T @ dz", "hs[t].T @ dz", "name", "`states` for `hs`"),
    ("steps", "dz @ U.T", "dz @ U", "transposed", "`U.T` for `U`"),
    ("steps", "reversed(range(x.shape[1]))", "range(x.shape[1])", "reversed", "reversed(range(x.shape[1]))"),
    ("loss", "] -= 1\n    dx /= n", "] -= 1 / n", "divisor missing", "/ n"),
    ("loss", "dx[np.arange(n), y]", "dx[:, y]", "index", "`dx[np.arange(n), y]` for"),
    ("loss", "dx = probs.copy()", "dx = e.copy()", "name", "`probs.copy()` for `e.copy()`"),
    ("network", "dz = dh * (z > 0)", "dz = dh * (z > 0.5)", "number", "`z > 0` for"),
    ("network", '"b1": dz.sum', '"b1": dh.sum', "name", "`dz.sum(axis=0)` for"),
    ("network", "dh = d @", "W2 = W2 - d.mean() * W2\n    dh = d @", "line extra", "W2 = W2 - d.mean() * W2"),
    ("pool", "argmax", "argmin", "function", "np.argmax(x[n, i:i + 3])"),
    ("pool", "i + k] += d", "k] += d", "index", "`i + k` for `k`"),
    ("svm", "                dW[:, y[i]] -= X[i]\n", "", "line missing", "dW[:, y[i]] -= X[i]"),
    ("groups", "(d * g)", "(d * z)", "name", "(d * g).reshape(n, 2, -1)"),
    ("decay", "dxs[::-1]", "dxs", "reversed", "`dxs[::-1]` for `dxs`"),
    ("cropped", "p:p + h, p:p + v", ":h, :v", "slice", "`dxp[:, p:p + h, p:p + v]` for"),
    ("repeated", "h, r, t), axis=2", "r, h, t), axis=1", "exchanged", "d.reshape(b, h, r, t), axis=2"),
    ("quadratic", "-(A + A.T) @ r", "-2 * A @ r", "symmetric", "(A + A.T) / 2"),
    ("quadratic", "+ np.exp(x) / (1 + b ** 2),", "+ np.exp(x) / 1 + b ** 2,", "parentheses", "(1 + b ** 2)"),
]  # fmt: skip


# What is solved for: a term that is a product or a sum, one of what the step before leaves, an entry of the
# step before, the whole of a softmax's Jacobian, a count.
SOLVED = [
    ("kl", "2 * m + 0.5 * (np.exp(v) - 1)", "2 * m", "term missing", "np.exp(v) / 2 - 0.5"),
    ("highway", "    dX += dY * (1 - T)\n", "", "term missing", "dX + dY * (1 - T)"),
    ("scan", "hs[t - 1] if t > 0 else 0", "hs[t]", "name", "`(hs[t - 1] if t > 0 else 0)` for"),
    ("elman", "        dh += U.T @ da\n", "", "term missing", "h[t].copy() + U.T @ da"),
    ("gate", "g * (dg - (g * dg).sum(axis=1, keepdims=True))", "g * (1 - g) * dg", "diagonal", "(g * dg)"),
    ("count", "c = n * k", "c = n", "name", "`x.size` for `n`"),
]


def judged(program: str, old: str, new: str, folder: Path, **options: Any) -> cr.Verdict:
    text, given, args = PROGRAMS[program]
    assert old in text
    module = loaded(text.replace(old, new, 1), folder)
    names = given if isinstance(given, tuple) else (given,)
    functions = [getattr(module, name) for name in names]
    before = [function.__code__ for function in functions]
    verdict = cr.verify(*functions, args=args, **options)
    assert [function.__code__ for function in functions] == before  # their functions are theirs again
    return verdict


@pytest.mark.parametrize("program", PROGRAMS)
def test_what_is_right_is_right(program: str, tmp_path: Path) -> None:
    assert judged(program, "", "", tmp_path)


@pytest.mark.turns(2)
@pytest.mark.parametrize(("program", "old", "new", "word", "written"), SOLVED)
def test_what_a_place_lacks_is_solved_for(
    program: str, old: str, new: str, word: str, written: str, tmp_path: Path
) -> None:
    verdict = judged(program, old, new, tmp_path)
    assert verdict.why == (word,), str(verdict)
    assert written in verdict.fix[0]


@pytest.mark.turns(3)
@pytest.mark.parametrize(("program", "old", "new", "word", "written"), MISTAKES)
def test_a_kind_of_mistake_is_named_and_where(
    program: str, old: str, new: str, word: str, written: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no formula is guessed, which would name most of these by its own words."""
    monkeypatch.setattr(outputs, "guesses", lambda *asked: iter(()))
    verdict = judged(program, old, new, tmp_path)
    assert verdict.why == (word,), str(verdict)
    assert written in verdict.fix[0]
    assert "line" in verdict.evidence[0]
    assert written.partition("` for")[0] in verdict.text("zh")


@pytest.mark.parametrize(("written", "finite"), [("2 * d", True), ("2 * d * (d / d)", False)])
def test_a_change_gives_numbers_for_a_delta_of_zero(written: str, finite: bool, tmp_path: Path) -> None:
    text = f"def forward(x):\n    return 2 * x, None\ndef backward(d, c):\n    return {written}\n"
    module = loaded(text, tmp_path)
    subject = subject_from((module.forward, module.backward), (normal(3, 4),))
    probe = Probe(subject.args, normal(3, 4))
    assert Mending(subject, by_differences(subject, [probe])).finite_at_zero() is finite


NORM = """
def forward(x, g, eps=1e-5):
    v = x.var(axis=1, keepdims=True)
    h = (x - x.mean(axis=1, keepdims=True)) / np.sqrt(v + eps)
    return g * h, (h, g, v, eps)
def backward(d, cache):
    h, g, v, eps = cache
    e = d * g
    dg = (d * h).sum(axis=0)
    e = e - e.mean(axis=1, keepdims=True) - h * (e * h).mean(axis=1, keepdims=True)
    return e / np.sqrt(v + eps), dg
"""


@pytest.mark.parametrize(
    ("old", "new", "line", "stands", "write"),
    [
        ("e / np.sqrt(v + eps), dg", "e / np.sqrt(v), dg", 12, "np.sqrt(v)", "np.sqrt(v + eps)"),
        ("(d * h).sum(axis=0)", "(d * h).mean(axis=0)", 10, "(d * h).mean(axis=0)", "(d * h).sum(axis=0)"),
        ("e = d * g", "e = d", 9, "d", "d * g"),
    ],
)
def test_the_place_of_a_mistake_that_a_formula_names(
    old: str, new: str, line: int, stands: str, write: str, tmp_path: Path
) -> None:
    module = loaded(NORM.replace(old, new), tmp_path)
    verdict = cr.verify(module.forward, module.backward, args=(normal(3, 4), normal(4)), like="layernorm")
    (finding,) = verdict.findings
    assert finding.formulas or finding.fix  # by our formula
    assert finding.source is not None, str(verdict)
    assert (finding.source.line, finding.source.stands, finding.source.write) == (line, stands, write)
    assert verdict.json()["findings"][0]["source"] is not None
    for text in (str(verdict), verdict.text("zh"), verdict._repr_html_()):
        assert f"`{write}`" in text
    assert f"`{write}`" not in str(replace(verdict, hint_level=2))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_lines_that_must_be_others_are_printed_as_lines(language: str, tmp_path: Path) -> None:
    """With their indents, whole statements, no comment and no `pass`, in text, JSON and a notebook."""
    text = """
def forward(x, w):
    return x @ w, (x, w)
def backward(d, cache):
    x, w = cache
    dw = np.zeros_like(w)
    for i in range(len(x)):
        p = np.outer(
            x[i],  # of one
            d[i],
        )
    # outside
    dw += p
    return d @ w.T, dw
"""
    module = loaded(text, tmp_path)
    verdict = cr.verify(module.forward, module.backward, args=(normal(3, 4), normal(4, 5)), like="dense")
    before = "    p = np.outer(\n        x[i],\n        d[i],\n    )\n"
    stands, write = f"{before}dw += p", f"{before}    dw += p"
    source = verdict.json()["findings"][0]["source"]
    assert source is not None
    assert (source["stands"], source["write"]) == (stands, write)
    assert source["line"] == 9
    for lines in (stands, write):
        assert indent(lines, " " * 6) in verdict.text(language, 40)
        assert indent(lines, " " * 4) in verdict._repr_html_()
    hidden = replace(verdict, hint_level=1)
    assert not {"file", "line"} & set(hidden.json()["findings"][0]["evidence"])
    assert {"file", "line"} <= set(verdict.json()["findings"][0]["evidence"])


def test_signs_are_written_as_a_person_writes_them() -> None:
    """One for two in a row, where it is the same number and reaches into the place; what is theirs stays."""
    for text, write in {
        "y = np.exp(v) * (-(-0.5))": "y = np.exp(v) * 0.5",
        "y = x - (-z)": "y = x + z",
        "y = x--z": "y = x+z",
        "y = x + (-z) * q": "y = x - z * q",
        "y = x + (-(z - q))": "y = x - (z - q)",
        "y = x + (-z - q)": "y = x + (-z - q)",
        "y = -(-x) ** 2": "y = -(-x) ** 2",
        "y -= (-x)": "y += x",
        "y = (x -\n (-z))": "y = (x +\n z)",
        "y = '--' + f(-(-x), -1)": "y = '--' + f(x, -1)",
    }.items():
        made, begin, end = plain_signs(text.encode(), 0, len(text))
        assert tidy(made, begin, end).decode() == write, text
    theirs = b"y = a - -b + f(c)"
    assert plain_signs(theirs, 13, 17) == (theirs, 13, 17)


@pytest.mark.parametrize(
    ("stands", "write"),
    [
        ("0.5 * np.exp(v) - -0.5", "0.5 * np.exp(v) - 0.5"),
        ("np.exp(v) * -0.5 + 0.5", None),
        ("-(-np.exp(v) * -0.5) - 0.5", None),
    ],
)
def test_a_patch_has_no_two_signs_in_a_row(stands: str, write: str | None, tmp_path: Path) -> None:
    text = f"""
def forward(m, v):
    return np.sum(m ** 2 + np.exp(v) - v - 1) / 2, (m, v)
def backward(d, cache):
    m, v = cache
    return d * m, d * ({stands})
"""
    module = loaded(text, tmp_path)
    verdict = cr.verify(module.forward, module.backward, args=(normal(3, 4), normal(3, 4)))
    source = verdict.findings[0].source
    assert source is not None, str(verdict)
    assert source.write == write or (write is None and not re.search(r"[-+]\s*\(*[-+]", source.write))
    right = text.replace(source.stands, source.write)
    module = loaded(right, tmp_path)
    assert cr.verify(module.forward, module.backward, args=(normal(3, 4), normal(3, 4))), right
    for language in ("en", "zh"):
        assert f"`{source.write}`" in verdict.text(language)


@pytest.mark.parametrize(
    "line",
    ["open('nothing')", "import os", "while n < 0: n += 1", "eval('1')", "exit"],
    ids=lambda line: line[:5],
)
def test_code_that_reaches_outside_is_never_run_otherwise(line: str, tmp_path: Path) -> None:
    """It is run as it is, and a place of it is not tried: the cause is unknown then."""
    new = f"    if n < -5:\n        {line}\n    dx = e.copy()"
    verdict = judged("loss", "    dx = probs.copy()", new, tmp_path)
    assert verdict.why == ("",)


def test_a_source_that_is_not_what_runs_says_nothing(tmp_path: Path) -> None:
    text = LOSS.replace("dx = probs.copy()", "dx = e.copy()")
    module = loaded(text, tmp_path)
    Path(module.loss.__code__.co_filename).write_text(
        "import numpy as np\n" + LOSS.replace("n = len", "m = n = len")
    )
    assert cr.verify(module.loss, args=PROGRAMS["loss"][2]).why == ("",)


def test_every_kind_has_words_in_both_languages() -> None:
    said = TEXTS.within("source")
    assert all(text.en and text.zh for text in said.values())
    assert "" in NO_CAUSE


NIELSEN = """
def f(x, y, W1, b1, W2, b2):
    a1 = 1 / (1 + np.exp(-(W1 @ x + b1)))
    a2 = 1 / (1 + np.exp(-(W2 @ a1 + b2)))
    d2 = (a2 - y) * a2 * (1 - a2)
    d1 = W2.T @ d2 * a1 * (1 - a1)
    return np.sum((a2 - y) ** 2) / 2, {"W1": d1 @ x.T, "b1": d1, "W2": d2 @ a1.T, "b2": d2}
"""


def test_what_is_written_for_one_sample_is_right_for_one(tmp_path: Path) -> None:
    args = normal(3, 1), normal(2, 1), normal(4, 3), normal(4, 1), normal(2, 4), normal(2, 1)
    layers = [cr.Dense(4), cr.Sigmoid(), cr.Dense(2), cr.Sigmoid()]
    verdict = cr.verify(loaded(NIELSEN, tmp_path).f, args=args, like=layers, loss="mse")
    assert verdict, str(verdict)
    assert "one sample at a time" in str(verdict)
    wrong = loaded(NIELSEN.replace("(a2 - y) * a2", "(y - a2) * a2"), tmp_path).f
    assert cr.verify(wrong, args=args, like=layers, loss="mse").why == ("minus",)


def huber(a: Any, y: Any, delta: float = 0.7) -> Any:
    r = np.abs(a - y)
    return np.where(r <= delta, 0.5 * r * r, delta * (r - 0.5 * delta)).mean()


def huber_gradient(a: Any, y: Any, delta: float = 0.7) -> Any:
    return np.clip(a - y, -delta, delta) / a.size


def test_an_option_of_the_name_delta_is_no_delta() -> None:
    """With like=, it is read off."""
    for like in (None, "huber"):
        assert cr.verify(huber, huber_gradient, args=(normal(6, 3), normal(6, 3)), like=like)


def propagate(w: Any, b: Any, X: Any, Y: Any) -> Any:
    A = 1 / (1 + np.exp(-(w.T @ X + b)))
    cost = -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))
    return {"dw": X @ (A - Y).T / X.shape[1], "db": np.sum(A - Y)}, cost


def test_gradients_before_the_value_and_of_a_number() -> None:
    args = normal(4, 1), 0.3, normal(4, 7), RNG.integers(0, 2, (1, 7))
    verdict = cr.verify(propagate, args=args, like=[cr.Dense(1), cr.Sigmoid()], loss="bce")
    assert [(finding.name, finding.mistake) for finding in verdict.findings] == [("b", "factor m")]


def test_several_probabilities_a_sample() -> None:
    def bce(p: Any, y: Any) -> Any:
        return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))

    def gradient(p: Any, y: Any) -> Any:
        return (p - y) / (p * (1 - p)) / len(p)  # and not of all numbers

    args = RNG.uniform(0.1, 0.9, (6, 3)), RNG.integers(0, 2, (6, 3)).astype(float)
    assert cr.verify(bce, gradient, args=args, like="bce").why == ("factor n",)


def test_what_changed_code_writes_outside_is_undone(tmp_path: Path) -> None:
    """`e` for `marks`, tried in the line that clears it, would spoil all that is tried behind it."""
    text = LOSS.replace("def loss", "marks = np.arange(6)\ndef loss").replace("n = len(x)", "n = len(marks)")
    module = loaded(text, tmp_path)
    there = Outside(ran(lambda: module.loss(*PROGRAMS["loss"][2])).values())
    module.marks[:] = 0
    there.restore()
    assert module.marks.tolist() == [0, 1, 2, 3, 4, 5]


def test_where_forward_is_flat_up_to_a_kink_the_slope_is_0() -> None:
    x = np.array([0.3, -0.4, 1.0])
    measured = differences(lambda values: np.clip(values[0], 0.5, 2.0) ** 2, [x], 0, np.ones(3))
    assert np.allclose(measured.values, [0, 0, 2], atol=1e-9)
    assert measured.errors.max() < 1e-8
    assert not measured.kinks.any()


def test_a_convolution_is_guessed_at_its_stride() -> None:
    titles = [like.title for like in guesses("conv_forward, conv_backward", normal(2, 3), np.zeros(3))]
    assert "conv2d(stride=2, padding=1)" in titles


FOCUSED = """
def forward(p, gamma=2):
    return -((1 - p) ** gamma) * np.log(p), (p, gamma)
def backward(d, cache):
    p, gamma = cache
    return d * (gamma * (1 - p) ** gamma * np.log(p) - (1 - p) ** gamma / p)
"""


@pytest.mark.turns(2)
def test_what_is_right_for_one_number_alone_is_not_named(tmp_path: Path) -> None:
    """At γ = 2 γ / γ is the power that is right, too."""
    wrong = FOCUSED.replace("gamma * (1 - p) ** gamma", "gamma * (1 - p) ** (gamma * gamma)")
    module = loaded(wrong, tmp_path)
    p = np.random.default_rng(3).uniform(0.2, 0.8, size=(3, 4))
    verdict = cr.verify(module.forward, module.backward, args=(p,))
    assert verdict.verdict == "wrong"
    assert "gamma / gamma" not in str(verdict)
    assert module.forward.__defaults__ == (2,)


def test_a_rule_of_jax_runs_on_numpys_arrays() -> None:
    """Once it has been called by JAX itself; two equal gradients are told apart by their order."""
    jnp = ModuleType("jax.numpy")
    jnp.exp = np.exp  # type: ignore[attr-defined]
    world: dict[str, Any] = {"jnp": jnp}
    exec("def rule(kept, d):\n    return d * jnp.exp(kept), None, d * jnp.exp(kept)", world)
    kept, d = normal(2, 3), normal(2, 3)

    def pull() -> tuple[Any, ...]:
        first, _, last = world["rule"](kept, d)
        return first, last

    made = stand_in(pull, [world["rule"]])
    jnp.exp = None  # type: ignore[attr-defined]
    assert made is not None
    assert [place and place.number for place in made.places] == [0, 2]
    given = made()
    assert given is not None
    assert all(np.allclose(each, d * np.exp(kept)) for each in given)
    assert world["jnp"] is jnp


# (the program, what is wrong in it, what must stand there, args, what the answer says)
KINDS = (
    (
        "def forward(input, b):\n    return input + b, (input.shape,)\n"
        "def backward(d, cache):\n    input = cache\n    return d, {0}",
        "d.mean(0)", "d.sum(0)", ((4, 3), (3,)), "d.sum(0)",
    ),
    (
        "def forward(x, a):\n    return np.maximum(x, 0) + a * np.minimum(x, 0), (x, a)\n"
        "def backward(d, cache):\n    x, a = cache\n"
        "    return d * np.where(x > 0, 1.0, a), (d * np.clip(x, {0}=0)).sum(0)",
        "min", "max", ((4, 3), (3,)), "`min=` stands where `max=` must",
    ),
    (
        "def forward(x, w):\n    return np.einsum('bti,io->bto', x, w), (x, w)\n"
        "def backward(d, cache):\n    x, w = cache\n"
        "    return d @ w.T, np.einsum('bti,bto->io', x{0}, d{0})",
        "[:, -1:]", "", ((2, 4, 3), (3, 5)), "The index `:, -1:` must not be there",
    ),
    (
        "def forward(x):\n    return np.cumsum(x, 1), None\ndef backward(d, _):\n    return ({0},)",
        "np.cumsum(d, 1)", "np.cumsum(d[:, ::-1], 1)[:, ::-1]", ((3, 5),),
        "np.flip(np.cumsum(np.flip(d, 1), 1), 1)",
    ),
    (
        "def forward(x, n):\n    return x.sum(1) / n[:, 0], (x, n)\n"
        "def backward(d, cache):\n    x, n = cache\n"
        "    return d[:, None] * np.ones_like(x) / {0}, -(d * x.sum(1) / n[:, 0] ** 2)[:, None]",
        "x.shape[1]", "n", ((3, 4), (3, 1)), "`x.shape[1]` stands where `n` must",
    ),
)  # fmt: skip


LEFT_OUT = (
    (  # one bound of two
        "def forward(x):\n    return np.clip(x, -0.5, 0.8), x\n"
        "def backward(d, x):\n    return d * (x >= -0.5)",
        ((5, 6),), "The factor `(x < 0.8)`",
    ),
    (  # exp for softmax
        "def forward(x):\n    m = x.max(1)\n    return m + np.log(np.exp(x - m[:, None]).sum(1)), (x, m)\n"
        "def backward(d, c):\n    x, m = c\n    return d[:, None] * np.exp(x - m[:, None])",
        ((5, 4),), ".sum(-1, keepdims=True)` is missing",
    ),
    (  # the factor of the step behind
        "def forward(a, x):\n    h, every = np.zeros(x.shape[1]), []\n    for t in range(len(x)):\n"
        "        h = a[t] * h + x[t]\n        every.append(h)\n    h = np.array(every)\n"
        "    return h, (a, h)\n"
        "def backward(d, kept):\n    a, h = kept\n    da, dx, g = 0 * a, 0 * d, np.zeros(d.shape[1])\n"
        "    for t in reversed(range(len(d))):\n        g = a[t] * g + d[t]\n        dx[t] = g\n"
        "        if t:\n            da[t] = g * h[t - 1]\n    return da, dx",
        ((6, 3), (6, 3)), "`g = a[t] * g` belongs at the end of the loop",
    ),
    (  # the first column belongs to the bias; two joined by np.c_, which must not be left without its index
        "def both(X, T):\n    m = len(X)\n    a = np.c_[np.ones(m), X]\n    z = a @ T.T\n"
        "    J = 0.5 * (z ** 2).sum() / m + 0.25 / m * (T[:, 1:] ** 2).sum()\n"
        "    return J, (z @ T[:, 1:] / m, z.T @ a / m + 0.5 / m * T)",
        ((6, 3), (2, 4)), "`(np.arange(T.shape[1]) > 0)`",
    ),
    (  # backwards through time, by a loop that takes its direction by a keyword
        "def scan(step, carry, xs, reverse=False):\n    made = []\n"
        "    for x in xs[::-1] if reverse else xs:\n        carry, out = step(carry, x)\n"
        "        made.append(out)\n    return carry, np.array(made[::-1] if reverse else made)\n"
        "def forward(x):\n    return np.array([x[:n + 1].sum(0) for n in range(len(x))]), None\n"
        "def backward(d, _):\n    return scan(lambda c, g: (c + g, c + g), 0 * d[0], d)[1]",
        ((5, 3),), "`reverse=True` is missing in the call of `scan`",
    ),
)  # fmt: skip


def test_what_is_left_out_is_named(tmp_path: Path) -> None:
    """A bound, a sum, a step's own factor, a bias that is spared, a keyword."""
    for text, shapes, said in LEFT_OUT:
        module = loaded(text, tmp_path)
        given = module.both if "both" in text else (module.forward, module.backward)
        verdict = cr.verify(given, args=tuple(normal(*shape) for shape in shapes))
        assert verdict.verdict == "wrong", (said, str(verdict))
        assert said in str(verdict), (said, str(verdict))


def test_more_kinds_of_places(tmp_path: Path) -> None:
    """A tensor called input, keywords, one index of two arrays, sums from the end, sizes for counts."""
    for text, wrong, right, shapes, said in KINDS:
        args = tuple(normal(*shape) for shape in shapes)
        module = loaded(text.format(wrong), tmp_path)
        verdict = cr.verify(module.forward, module.backward, args=args)
        assert verdict.verdict == "wrong", (said, str(verdict))
        assert said in str(verdict), (said, str(verdict))
        module = loaded(text.format(right), tmp_path)
        assert cr.verify(module.forward, module.backward, args=args).verdict == "right", right


def test_a_rule_of_jax_with_a_loop_and_a_dict_runs_on_numpys_arrays() -> None:
    jnp, lax = ModuleType("jax.numpy"), ModuleType("jax.lax")
    jnp.outer = np.outer  # type: ignore[attr-defined]

    def scan(step: Any, carry: Any, xs: Any) -> tuple[Any, Any]:
        made = []
        for row in xs:
            carry, out = step(carry, row)
            made.append(out)
        return carry, np.stack(made)

    lax.scan = scan  # type: ignore[attr-defined]
    world: dict[str, Any] = {"jnp": jnp, "lax": lax}
    text = "def rule(kept, d):\n    last, all = lax.scan(lambda c, row: (c + row, row * 2), 0 * d[0], d)\n"
    exec(text + "    return {'b': last, 'a': jnp.outer(kept, last)}, all", world)
    kept, d = normal(2), normal(4, 3)

    def pull() -> tuple[Any, ...]:
        first, last = world["rule"](kept, d)
        return first["a"], first["b"], last

    made = stand_in(pull, [world["rule"]])
    assert made is not None
    given = made()
    assert given is not None
    assert all(np.allclose(a, b) for a, b in zip(given, pull(), strict=True))


def test_numbers_that_code_is_called_with_vary(tmp_path: Path) -> None:
    """At γ = 2 a square is right, too, and a factor 2 is γ."""
    text = FOCUSED.replace("gamma=2", "gamma").replace("d * (gamma * (1", "d * ((1")
    module = loaded(text.replace("(1 - p) ** gamma * np", "(1 - p) ** (gamma - 1) * np"), tmp_path)
    p = np.random.default_rng(3).uniform(0.2, 0.8, size=(3, 4))
    verdict = cr.verify(module.forward, module.backward, args=(p, 2.0))
    assert verdict.verdict == "wrong"
    assert "** 2" not in "".join(verdict.fix), str(verdict)
    assert "The factor `gamma`" in str(verdict), str(verdict)


def test_an_array_of_their_file_is_not_advised_in_place_of_an_argument(tmp_path: Path) -> None:
    """A script has x; the backward pass, which is not handed it, must keep it."""
    text = "import numpy as np\nx = None\ndef forward(x):\n    return np.maximum(x, 0)\n"
    module = loaded(text + "def backward(d):\n    r = d\n    return r\n", tmp_path)
    module.x = normal(3, 4)
    verdict = cr.verify(module.forward, module.backward, args=(module.x,))
    assert verdict.verdict == "wrong"
    assert "(x > 0)" not in str(verdict), str(verdict)


def test_no_gradient_of_a_parameter_is_wrong_where_a_layer_is_named() -> None:
    pair = (lambda x, w, b: (x @ w + b, (x, w)), lambda d, c: (d @ c[1].T, c[0].T @ d, None))
    args = normal(4, 3), normal(3, 5), normal(5)
    assert cr.verify(pair, args=args)
    assert cr.verify(pair, args=args, like="dense").why == ("no gradient",)


def test_a_loss_that_is_guessed_at_and_gives_one_number_is_no_error() -> None:
    """Of two arrays of one shape and an output with axes."""
    pair = (lambda x, y: (x * np.exp(y), (x, y)), lambda d, c: (d * np.exp(c[1] * 1.1 + c[0]), d * c[0]))
    verdict = cr.verify(pair, args=(normal(2, 3), normal(2, 3)))
    assert verdict.verdict == "wrong", str(verdict)
