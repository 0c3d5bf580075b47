"""`chainrule verify`: what it takes, what it prints, its exit codes, and code that misbehaves."""

from __future__ import annotations

import inspect
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule.base.tables import cell_width
from chainrule.cli.arguments import build_parser, layer_options
from chainrule.cli.commands import verify
from chainrule.cli.given import progress
from chainrule.layers import layer_classes
from chainrule.verifying.meanings.losses import CountedCrossEntropy
from chainrule.verifying.meanings.matching import LOSSES, PENALTIES
from chainrule.verifying.meanings.named import WORDS
from chainrule.verifying.saying.schema import CommandRecord, MutantsRecord
from tests.cli.cli_result import Result, Run
from tests.explaining.test_schema import faults

DENSE = """
import numpy as np

def affine_forward(x, w, b):
    return x @ w + b, (x, w)

def affine_backward(dout, cache):
    x, w = cache
    return dout @ w.T, x.T @ dout, dout.{bias}(axis=0)
"""
SOFTMAX = """
import numpy as np

def forward(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    return p, p

def backward(dout, p):
    return {formula}

args = (np.arange(12.0).reshape(3, 4) % 5,)
"""
RIGHT = "p * (dout - (p * dout).sum(axis=1, keepdims=True))"


@pytest.fixture
def files(run: Run) -> None:
    """In the folder where `run` works."""
    Path("dense.py").write_text(DENSE.format(bias="sum"))
    Path("mean.py").write_text(DENSE.format(bias="mean"))
    Path("softmax.py").write_text(SOFTMAX.format(formula=RIGHT))
    Path("diagonal.py").write_text(SOFTMAX.format(formula="dout * p * (1 - p)"))


def clean(result: Result) -> None:
    """No traceback, and at most one complaint, on one line."""
    assert "Traceback" not in result.err
    assert sum(line.startswith("chainrule") for line in result.err.splitlines()) <= 1


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (("softmax.py",), 0, "right."),
        (("softmax.py", "--like", "softmax"), 0, "judged by the formulas of Softmax()"),
        (("diagonal.py", "--like", "softmax"), 1, "The sum Σ_k aˡ_k ∂J/∂aˡ_k is missing"),
        (("diagonal.py:forward,backward", "--like", "softmax"), 1, "is missing"),
        (("diagonal:forward,backward", "--like", "softmax"), 1, "is missing"),
        (("dense.py", "--like", "dense"), 0, "x (3, 4), w (4, 5), b (5,)"),
        (("mean.py", "--like", "dense"), 1, "multiplied by 1/m"),
        (("mean.py:affine", "--shapes", "x=3,4 w=4,5 b=5"), 1, "random arrays: x (3, 4), w (4, 5), b (5,)"),
        (("mean.py:affine_forward", "--shapes", "b=5 w=4,5 x=3,4"), 1, "x (3, 4), w (4, 5), b (5,)"),
        (("mean.py", "--like", "dense", "--dtype", "float32"), 1, "multiplied by 1/m"),
        (("mean.py", "--like", "dense", "--language", "zh"), 1, "所有元素都多乘了 1/m"),
        (("mean.py", "--like", "dense", "--names", "x,W,bias"), 1, "The gradient of bias"),
        (("dense.py", "--like", "relu"), 2, "takes x, w, b"),
        (("softmax.py", "--like", "relu"), 1, "The forward pass is not that of"),
    ],
)  # fmt: skip
def test_verdicts_and_their_exit_codes(run: Run, argv: tuple[str, ...], code: int, words: str) -> None:
    result = run("verify", *argv)
    assert result.code == code, result
    assert words in result.out + result.err
    clean(result)


@pytest.mark.usefixtures("files")
def test_what_a_hint_level_withholds(run: Run) -> None:
    """In the text and in JSON: 0 that it is wrong, 1 and where, 2 and why, 3 and what to write."""
    lengths = []
    for level in range(4):
        argv = ("verify", "diagonal.py", "--like", "softmax", "--hint-level", level)
        lengths.append(run(*argv).out.count("\n"))
        finding = json.loads(run(*argv, "--json").out)["findings"][0]
        told = [finding[key] is not None for key in ("where", "why", "fix")]
        assert told == [level > 0, level > 1, level > 2]
        assert (finding["mistake"] is not None) == (level > 1)
        assert (finding["formulas"] is not None) == (level > 2)
        assert bool(finding["evidence"]) == (level > 0)
    assert lengths == sorted(set(lengths))


@pytest.mark.usefixtures("files")
def test_the_differing_node_is_underlined(run: Run) -> None:
    rows = run("verify", "diagonal.py", "--like", "softmax").out.splitlines()
    write = next(number for number, row in enumerate(rows) if row.lstrip().startswith("write "))
    for row, part in ((write, "Σ_k aˡ_k ∂J/∂aˡ_k"), (write + 2, "aˡ ⊙ ∂J/∂aˡ")):
        first, last = rows[row + 1].index("^"), rows[row + 1].rindex("^")
        assert rows[row][first : last + 1] == part
    chinese = run("verify", "diagonal.py", "--like", "softmax", "--language", "zh").out.splitlines()
    row = next(number for number, row in enumerate(chinese) if "应写作" in row)
    before = chinese[row][: chinese[row].index("Σ")]
    assert cell_width(before) == chinese[row + 1].index("^")


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("columns", [40, 60, 80, 200])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_line_is_wider_than_the_terminal(
    run: Run, monkeypatch: pytest.MonkeyPatch, columns: int, language: str
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    result = run("verify", "diagonal.py", "--like", "softmax", "--language", language)
    assert max(map(cell_width, result.out.splitlines())) <= columns
    assert "^" in result.out
    assert result.out.count("\n") >= 8


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("timeout", [(), ("--timeout", 60)])
def test_json_is_one_object_and_of_its_schema(run: Run, timeout: tuple[object, ...]) -> None:
    Path("loud.py").write_text(
        "import os, sys\nprint('loaded')\nos.write(1, b'raw')\n"
        + Path("diagonal.py").read_text().replace("return p, p", "print('forward'); return p, p")
    )
    for argv, verdict, code in (
        (("diagonal.py", "--like", "softmax"), "wrong", 1),
        (("loud.py", "--like", "softmax"), "wrong", 1),
        (("dense.py", "--like", "dense"), "right", 0),
        (("mean.py:nothing",), "not run", 2),
        (("missing.py:f",), "not run", 2),
        (("dense.py", "--like", "denze"), "not run", 2),
        (("dense.py", "--args", "a.npz"), "not run", 2),
    ):
        result = run("verify", *argv, "--json", *timeout)
        assert result.code == code
        record = json.loads(result.out)
        assert (record["error"] is None) == (code != 2)
        assert (result.err != "") >= (code == 2)
        assert result.out.count("\n") == 1
        assert record["verdict"] == verdict
        assert not list(faults(record, CommandRecord))


@pytest.mark.usefixtures("files")
def test_files_are_written(run: Run) -> None:
    argv = ("verify", "diagonal.py", "--like", "softmax", "-o")
    assert run(*argv, "v.txt").code == 1
    assert "is missing" in Path("v.txt").read_text()
    assert run(*argv, "v.json").code == 1
    assert json.loads(Path("v.json").read_text())["verdict"] == "wrong"
    result = run(*argv, "v.html")
    page = Path("v.html").read_text()
    assert result.out == "verdict v.html\n"
    assert page.count('data-ref="marked"') == 2  # in the right formula and in theirs
    for name in ("v.pdf", "v"):
        result = run(*argv, name)
        assert result.code == 2
        assert "ends in none of" in result.err
    assert "name a file that ends in .json" in run(*argv, "v.txt", "--json").err


# -- arrays
@pytest.mark.usefixtures("files")
def test_arrays_of_a_file_by_name_and_by_order(run: Run) -> None:
    rng = np.random.default_rng(0)
    x, w, b = rng.normal(size=(3, 4)), rng.normal(size=(4, 5)), rng.normal(size=5)
    np.savez("named.npz", b=b, other=x, w=w, x=x)
    np.savez("ordered.npz", first=x, second=w, third=b)
    for name in ("named.npz", "ordered.npz"):
        result = run("verify", "mean.py", "--args", name)
        assert result.code == 1
        assert f"run on the arrays of {name}" in result.out
        assert "The gradient of b " in result.out or "The gradient of third " in result.out
    np.save("one.npy", x)
    assert run("verify", "softmax.py", "--args", "one.npy").code == 0


@pytest.mark.parametrize(
    ("definition", "code"),
    [
        ("args = (X,)", 0), ("ARGS = [X]", 0), ("args = X", 0), ("args = {'x': X}", 0),
        ("args = lambda: (X,)", 0), ("def args():\n    return {'x': X}", 0),
        ("args = ()", 2), ("args = ('x',)", 2), ("args = None", 2),
        ("def args():\n    raise ValueError('no')", 2),
    ],
)  # fmt: skip
def test_arrays_that_the_file_defines(run: Run, definition: str, code: int) -> None:
    source = SOFTMAX.format(formula=RIGHT).partition("args")[0]
    Path("own.py").write_text(f"{source}\nX = np.arange(12.0).reshape(3, 4) % 5\n{definition}\n")
    result = run("verify", "own.py")
    assert result.code == code, result
    clean(result)


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        ("x=3,,4", "is no shape"), ("x", "is no shape"), ("=3", "is no shape"), ("x=3,4 x=3,4", "twice"),
        ("x=0,4", "size 0"), ("x=99999,99999", "more than"), ("x=9999999999", "more than"),
        ("", "is no shape"), ("x=3:1..0", "LOW..HIGH"), ("x=3:many", "LOW..HIGH"), ("x=-3", "is no shape"),
        ("x=3.5", "is no shape"),
        ("x=3,4:\x1b[31m", "LOW..HIGH"), ("x=" + "9," * 5000 + "9", "more than"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("files")
def test_shapes_that_are_none(run: Run, shapes: str, words: str) -> None:
    result = run("verify", "dense.py", "--shapes", shapes)
    assert result.code == 2
    assert words in result.err
    assert "\x1b" not in result.err
    clean(result)


def test_labels_and_positive_numbers_are_drawn(run: Run) -> None:
    Path("loss.py").write_text(
        "import numpy as np\n"
        "def forward(z, y, v):\n"
        "    assert y.dtype.kind == 'i' and set(y) <= {0, 1, 2} and v.min() > 0, (y, v)\n"
        "    return z[np.arange(len(y)), y] * v, (z, y, v)\n"
        "def backward(dout, cache):\n"
        "    z, y, v = cache\n"
        "    dz = np.zeros_like(z)\n"
        "    dz[np.arange(len(y)), y] = dout * v\n"
        "    return dz, None, dout * z[np.arange(len(y)), y]\n"
    )
    result = run("verify", "loss.py", "--shapes", "z=4,3 y=4:0..2 v=4:positive")
    assert result.code == 0, result


LIKE = {
    "relu": "return np.maximum(x, 0), x\ndef backward(d, x): return d * (x > 0)",
    "tanh": "return np.tanh(x), x\ndef backward(d, x): return d / np.cosh(x) ** 2",
    "layernorm": "m = x.mean(1, keepdims=True); s = np.sqrt(x.var(1, keepdims=True) + 1e-5)\n"
    "    h = (x - m) / s\n"
    "    return g * h + b, (h, s, g)\n"
    "def backward(d, c):\n    h, s, g = c; e = d * g\n"
    "    dx = (e - e.mean(1, keepdims=True) - h * (e * h).mean(1, keepdims=True)) / s\n"
    "    return dx, (d * h).sum(0), d.sum(0)",
}


@pytest.mark.parametrize("name", LIKE)
def test_sizes_are_drawn_for_a_layer(run: Run, name: str) -> None:
    names = "x, g, b" if name == "layernorm" else "x"
    Path("layer.py").write_text(f"import numpy as np\ndef forward({names}):\n    {LIKE[name]}\n")
    result = run("verify", "layer.py", "--like", name)
    assert result.code == 0, result
    assert "judged by the formulas of" in result.out
    assert "of the sizes of" in result.out


@pytest.mark.parametrize(
    ("order", "options"),
    [
        ("nchw", ("--stride", 2, "--pad", 1)),
        ("nhwc", ("--option", "stride=2", "--option", "padding=1")),
    ],
)
def test_a_convolution_with_its_options(run: Run, order: str, options: tuple[object, ...]) -> None:
    """Whichever axis the channels are, and though its kernel has to be square."""
    axes = "(0, 3, 1, 2)" if order == "nhwc" else "(0, 1, 2, 3)"
    Path("conv.py").write_text(
        "import numpy as np, sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parents[2])!r})\n"
        "from tests.verifying import backwards as b\n"
        "first, last = b.convolution(2, 1), b.convolution_back(2, 1, 'rotated')\n"
        f"A = {axes}\n"
        "B = tuple(np.argsort(A))\n"
        "def forward(x, w, bias):\n"
        "    assert w.shape[2] == w.shape[3]\n"
        "    out, cache = first(x.transpose(A), w, bias)\n"
        "    return out.transpose(B), cache\n"
        "def backward(dout, cache):\n"
        "    dx, dw, db = last(dout.transpose(A), cache)\n"
        "    return dx.transpose(B), dw, db\n"
    )
    result = run("verify", "conv.py", "--like", "conv2d", *options)
    assert result.code == 1, result
    assert "turned by 180°" in result.out
    assert "The gradient of w " not in result.out


def test_classes_and_objects(run: Run) -> None:
    Path("layers.py").write_text(
        "import numpy as np\n"
        "class Linear:\n"
        "    def __init__(self, outputs=2):\n"
        "        self.W, self.b = np.arange(12.0).reshape(6, 2) % 5, np.zeros(outputs)\n"
        "    def forward(self, x):\n"
        "        self.x = x\n"
        "        return x @ self.W + self.b\n"
        "    def backward(self, d):\n"
        "        self.dW, self.db = self.x.T @ d, d.mean(0)\n"
        "        return d @ self.W.T\n"
        "layer = Linear()\n"
        "class Sized(Linear):\n"
        "    def __init__(self, outputs): super().__init__(outputs)\n"
    )
    for name in ("Linear", "layer"):
        result = run("verify", f"layers.py:{name}", "--like", "dense")
        assert result.code == 1, result
        assert "The gradient of b " in result.out
        assert "x (3, 6)" in result.out
    result = run("verify", "layers.py:Sized", "--like", "dense")
    assert result.code == 2
    assert "the class Sized needs outputs" in result.err
    result = run("verify", "layers.py", "--like", "dense")
    assert "say which, layers.py:Linear, layers.py:layer, layers.py:Sized" in result.err


# -- what goes wrong
PAIR = "def forward(x): return x, x\ndef backward(d, c): return d\n"
BAD: dict[str, tuple[str | bytes, str]] = {
    "syntax": ("def forward(x:\n    pass\n", "line 1: not Python: "),
    "no import": ("import nonsuch_module\n" + PAIR, "line 1: No module named 'nonsuch_module'"),
    "no name of a module": ("from math import nonsuch\n" + PAIR, "line 1: ImportError"),
    "raises when loaded": ("x = 1\n1 / 0\n" + PAIR, "line 2: ZeroDivisionError: division by zero (1 / 0)"),
    "raises in forward": (PAIR.replace("x, x", "x.nonsuch"), "line 1, in forward: AttributeError"),
    "raises in backward": (PAIR.replace("return d", "return d @ d"), "line 2, in backward: ValueError"),
    "raises in a helper": (
        "def help(x): return [][1]\n" + PAIR.replace("return d", "return help(d)"), "line 1, in help"
    ),
    "sys.exit": ("import sys\nsys.exit(0)\n", "line 2: ends the program, sys.exit(0)"),
    "sys.exit within": ("import sys\n" + PAIR.replace("return d", "sys.exit()"), "line 3, in backward: ends"),
    "reads": (PAIR.replace("return d", "return float(input()) * d"), "reads standard input, which is empty"),
    "recursion": (PAIR.replace("return d", "return backward(d, c)"), "RecursionError"),
    "latin-1": (b"x = '\xe9'\n" + PAIR.encode(), "not UTF-8 text: save it as UTF-8"),
    "null bytes": (b"x = 1\0\n", "null bytes"),
    "nothing": ("", "has no forward and backward"),
    "a text as output": (PAIR.replace("x, x", "'x'"), "is 'x', no array of numbers"),
    "no backward": ("def forward(x): return x\n", "it has forward"),
    "an error without words": (PAIR.replace("return d", "raise KeyError"), "line 2, in backward: KeyError"),
    "a strange error": (
        "class E(Exception):\n    def __str__(self): raise self\n" + PAIR.replace("return d", "raise E"),
        "in backward: E",
    ),
    "control characters": (PAIR.replace("return d", "raise ValueError('\\x1b[31m')"), "ValueError"),
    "far too long": (PAIR.replace("return d", "raise ValueError('x' * 10**6)"), "ValueError: xxx"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_goes_wrong_in_their_code_is_a_line(run: Run, case: str) -> None:
    source, words = BAD[case]
    Path("bad.py").write_bytes(source.encode() if isinstance(source, str) else source)
    for more in ((), ("--json",)):
        result = run("verify", "bad.py", "--shapes", "x=3,4", *more)
        assert result.code == 2, result
        assert words in result.err
        assert "bad.py" in result.err or "output of forward" in result.err
        assert len(result.err) < 2500
        assert "\x1b" not in result.err + result.out
        clean(result)
        if result.out:
            record = json.loads(result.out)
            assert record["verdict"] == "not run"
            assert record["error"]["message"] in result.err
            assert not list(faults(record, CommandRecord))


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ((), "say what is to be verified"),
        (("nothing.py",), "nothing.py: no such file"),
        (("nothing_module:f",), "No module named 'nothing_module'"),
        ((".",), "is a folder"),
        (("notes.ipynb:f",), "a notebook"),
        (("plain",), "names no code: write FILE.py:NAME"),
        (("dense.py:affine_forwrd",), "did you mean affine_forward"),
        (("dense.py:a,b,c",), "names 3 things"),
        (("dense.py:np.nonsuch",), "has no 'nonsuch'"),
        (("dense.py",), "on which arrays? Give --args FILE.npz"),
        (("dense.py", "--like", "denze", "--shapes", "x=3,4 w=4,5 b=5"), "denze"),
        (("dense.py", "--stride", "2"), "say which, --like"),
        (("dense.py", "--like", "conv2d", "--stride", "2", "--option", "stride=1"), "told twice"),
        (("dense.py", "--like", "conv2d", "--strid", "2"), "did you mean --stride"),
        (("dense.py", "--like", "conv2d", "--stride", "?!"), "is no number"),
        (("dense.py", "--like", "conv2d", "--option", "stride"), "not NAME=VALUE"),
        (("dense.py", "--like", "dense", "--stride", "2"), "stride"),
        (("dense.py", "--shapes", "x=3", "--args", "a.npz"), "leave one out"),
        (("dense.py", "--args", "a.npz"), "a.npz: no such file"),
        (("dense.py", "--args", "dense.py"), "not an .npz file"),
        (("dense.py", "--shapes", "x=3,4 w=4,5 b=5", "--timeout", "0"), "not a number above 0"),
        (("dense.py", "--hint-level", "4"), "invalid choice"),
        (("dense.py", "--lang", "zh"), "did you mean --language"),
        (("dense.py", "--mutants"), "leave out dense.py"),
        (("--mutants", "denze"), "denze"),
    ],
)
def test_wrong_arguments(run: Run, argv: tuple[str, ...], words: str) -> None:
    result = run("verify", *argv)
    assert result.code == 2, result
    assert words in result.err
    assert result.out == ""
    clean(result)


def test_a_huge_file_is_refused(run: Run) -> None:
    with open("huge.py", "wb") as file:
        file.truncate(10**9)
    result = run("verify", "huge.py")
    assert result.code == 2
    assert "1,000,000,000 bytes" in result.err


def test_a_file_beside_it_is_imported_and_ours_stay_ours(run: Run) -> None:
    Path("sub").mkdir()
    Path("sub/helpers_of_theirs.py").write_text("def twice(x): return 2 * x\n")
    Path("sub/json.py").write_text("raise ValueError('not the json that is meant')\n")
    Path("sub/numpy_pair.py").write_text(
        "from helpers_of_theirs import twice\n"
        "def forward(x): return twice(x), x\n"
        "def backward(d, c): return twice(d)\n"
    )
    before = list(sys.path)
    try:
        result = run("verify", "sub/numpy_pair.py", "--shapes", "x=3,4", "--json")
        assert json.loads(result.out)["verdict"] == "right"
    finally:
        sys.path[:] = before


# -- a process of its own
def program(tmp_path: Path, source: str, *argv: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "theirs.py").write_text(source)
    return subprocess.run(
        [sys.executable, "-m", "chainrule", "verify", "theirs.py", "--shapes", "x=3,4", *argv],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


MISBEHAVE = {
    "never ends": (PAIR.replace("return d", "\n    while True: pass"), "did not end within 3 s", "3"),
    "never loads": ("import time\ntime.sleep(1000)\n", "did not end within 3 s", "3"),
    "crashes": (
        "import ctypes\n" + PAIR.replace("return d", "ctypes.string_at(0)"),
        "SIGSEGV, a crash in compiled code",
        "60",
    ),
    "aborts": ("import os\n" + PAIR.replace("return d", "os.abort()"), "SIGABRT", "60"),
    "leaves": ("import os\n" + PAIR.replace("return d", "os._exit(0)"), "ended its process itself", "60"),
    "raises": (PAIR.replace("return d", "return d @ d"), "theirs.py, line 2, in backward: ValueError", "60"),
}


@pytest.mark.turns(3)
@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize("case", MISBEHAVE)
def test_code_that_never_ends_or_crashes(tmp_path: Path, case: str) -> None:
    source, words, seconds = MISBEHAVE[case]
    result = program(tmp_path, source, "--timeout", seconds, "--json")
    assert result.returncode == 2
    assert words in result.stderr
    record = json.loads(result.stdout)
    assert record["verdict"] == "not run"
    assert words in record["error"]["message"]
    assert not list(faults(record, CommandRecord))


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize("timeout", [(), ("--timeout", "600")])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_and_what_it_started(
    tmp_path: Path, timeout: tuple[str, ...], number: signal.Signals, code: int
) -> None:
    (tmp_path / "theirs.py").write_text(
        "import os, time\n"
        "def forward(x): return x\n"
        "def backward(d, c):\n"
        "    with open('pid.new', 'w') as file: file.write(str(os.getpid()))\n"
        "    os.replace('pid.new', 'pid')\n"
        "    while True: time.sleep(0.01)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "chainrule", "verify", "theirs.py", "--shapes", "x=3,4", *timeout],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    pid = tmp_path / "pid"
    for _ in range(1200):
        if pid.exists():
            break
        time.sleep(0.05)
    worker = int(pid.read_text())
    assert (worker == process.pid) == (not timeout)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert out == ""
    assert len(err.splitlines()) == 1
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)


def test_options_reach_the_other_process(run: Run) -> None:
    Path("pool.py").write_text(
        "import numpy as np\n"
        "def forward(x):\n"
        "    n, c, h, w = x.shape\n"
        "    return x.reshape(n, c, h // 2, 2, w // 3, 3).mean((3, 5)), x\n"
        "def backward(d, x): return d.repeat(2, 2).repeat(3, 3) / 6\n"
    )
    argv = ("verify", "pool.py", "--like", "averagepool2d", "--window", "2,3", "--shapes", "x=3,2,4,9")
    for more in ((), ("--timeout", 60)):
        result = run(*argv, *more)
        assert result.code == 0, result
        assert "AveragePool2D(window=(2, 3))" in result.out


# -- what it is at
class Terminal(io.StringIO):
    """Standard error as a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("after", [0.0, 1e9])
@pytest.mark.usefixtures("files")
def test_what_is_looked_at_is_shown_where_it_takes_longer(
    run: Run, monkeypatch: pytest.MonkeyPatch, after: float, language: str
) -> None:
    monkeypatch.setattr(verify, "SHOWN_AFTER", after)
    monkeypatch.setattr(progress, "SECONDS_BETWEEN", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", terminal)
        result = run("verify", "dense.py", "--like", "dense", "--language", language)
    assert result.code == 0
    assert result.out == run("verify", "dense.py", "--like", "dense", "--language", language).out
    written = terminal.getvalue()
    if after:
        assert written == ""
    else:
        assert {"en": "linearity in δ", "zh": "对 δ 的线性"}[language] in written
        assert written.endswith("\r\x1b[K")


# -- mutants
def test_the_table_of_mutants(run: Run) -> None:
    result = run("verify", "--mutants", "flatten", "L2")
    assert result.code == 0, result
    lines = result.out.splitlines()
    assert lines[0].split() == ["layer", "array", "mistake", "at", "is"]
    record: Any = json.loads(run("verify", "--mutants", "Flatten", "l2", "--json").out)
    assert not list(faults(record, MutantsRecord))
    assert sum(record["counts"].values()) == len(record["mutants"]) > record["counts"]["named"] > 0
    assert lines[-1].startswith(f"{len(record['mutants'])} mistakes: {record['counts']['named']} named")


# -- the table of options
def test_every_option_of_every_layer_is_an_argument() -> None:
    own = {"name", "seed", "initializer", "bias_initializer", "recurrent_initializer"}  # by --option, or not
    losses = {loss for known in LOSSES.values() for loss in known}
    kinds = [*layer_classes.values(), *losses, CountedCrossEntropy, *PENALTIES.values()]
    named = {name for kind in kinds for name in inspect.signature(kind).parameters}
    assert set(layer_options) == (named | set(WORDS)) - own
    assert len(layer_options) == len(set(layer_options))
    parser = build_parser()
    for name in layer_options:
        for word in {name, name.replace("_", "-")}:
            arguments = parser.parse_args(["verify", "f.py", f"--{word}", "2,3"])
            assert getattr(arguments, f"layer_{name}") == (2, 3)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2", 2), ("-1", -1), ("0.5", 0.5), ("1e-5", 1e-5), ("2,3", (2, 3)), ("(2,3)", (2, 3)),
        ("true", True), ("False", False),
        ("none", None), ("same", "same"), ("((0,2),(1,0))", ((0, 2), (1, 0))),
    ],
)  # fmt: skip
def test_values_of_options(text: str, value: object) -> None:
    arguments = build_parser().parse_args(["verify", "f.py", "--option", f"padding={text}"])
    assert arguments.option == [("padding", value)]


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--like", "denze"), "did you mean 'Dense'"),
        (("--like", "Dense(actvation=relu)"), "takes no 'actvation'"),
        (("--like", "conv2d", "--option", "strid=2"), "did you mean 'stride'"),
        (("--like", "maxpool2d", "--window", "-1"), "window"),
        (("--like", "dense", "--shapes", "x=3,?"), "is no shape"),
        (("--like", "dense", "--shapes", "x=3:odd"), "is no kind of numbers"),
        (("--like", "dense", "--args", "a.npz"), "no such file"),
    ],
)
def test_what_is_wrong_with_an_option_is_told_before_their_file_runs(
    run: Run, tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    mark = tmp_path / "ran"
    (tmp_path / "marking.py").write_text(f"open({str(mark)!r}, 'w').close()\nraise ValueError('ran')\n")
    result = run("verify", str(tmp_path / "marking.py"), *options)
    assert result.code == 2
    assert words in result.err, result.err
    assert not mark.exists()
