"""What a terminal, an editor or a pipe brings: escapes, long names, marks, readers that are not there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule.base.errors import ChainruleError, FileError, NonFiniteError
from chainrule.base.files import disk as files
from chainrule.cli.training.networks import read_network_file


def test_a_name_commands_no_terminal() -> None:
    net = cr.Network([cr.Dense(1)], input_shape=1, name="\x1b[31mred")
    assert "\x1b" not in net.summary() + net._repr_html_()
    assert "\\x1b[31mred" in net.summary()


@pytest.mark.parametrize("ask", ["parameters", "attribute", "module", "keyword", "step"])
def test_a_huge_name_is_quoted_by_its_ends(ask: str) -> None:
    net, name = cr.Network([cr.Dense(1)], input_shape=1), "q" * 100_000
    asked = {
        "parameters": lambda: net.parameters[name],
        "attribute": lambda: getattr(net, name),
        "module": lambda: getattr(cr, name),
        "keyword": lambda: cr.Dense(3, **{name: 1}),
        "step": lambda: net.backpropagate([[1.0]], [[1.0]]).deltas[name],
    }
    with pytest.raises((KeyError, AttributeError, TypeError)) as caught:
        asked[ask]()
    assert len(str(caught.value)) < 2000


def test_a_network_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "net.toml").write_bytes('\ufefflayers = ["ReLU"]\r\ninput_shape = 3\r\n'.encode())
    layers, shape = read_network_file(tmp_path / "net.toml")
    assert (len(layers), shape) == (1, (3,))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with names")
def test_a_pipe_that_nobody_reads_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "READER_SECONDS", 0.0)
    os.mkfifo(tmp_path / "net.npz")
    with pytest.raises(FileError, match="nobody reads this pipe"):
        cr.Network([cr.Dense(1)], input_shape=1).save(tmp_path / "net.npz")


def test_ctrl_c_while_the_program_loads_is_one_line() -> None:
    code = (
        "import sys\n"
        "class Stop:\n    def find_spec(self, name, *_):\n"
        "        if name == 'chainrule.cli':\n            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Stop())\n"
        "from chainrule.__main__ import run\nsys.exit(run())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "chainrule: interrupted\n")


@pytest.mark.parametrize("ask", ["loss", "backpropagate"])
def test_what_overflows_is_what_is_to_be_scaled(ask: str) -> None:
    net = cr.Network([cr.Dense(1)], input_shape=1, dtype="float64")
    with pytest.raises(NonFiniteError, match="scale y "):
        getattr(net, ask)([[1.0], [2.0]], [[1e300], [0.0]])
    with pytest.raises(NonFiniteError, match="scale X and the parameters"):
        getattr(net, ask)([[1e300], [2.0]], [[1.0], [0.0]])
    net = cr.Network([cr.Dense(3), cr.Softmax()], input_shape=3)
    net.parameters["dense1.W"] = np.eye(3)
    with pytest.raises(NonFiniteError, match=r"dtype='float64'.*scale X"):
        getattr(net, ask)([[3e38, 0, -3e38], [3e38, 3e38, 3e38]], [2, 1])


def test_what_overflows_in_float32_is_said_to_do_so_there() -> None:
    net = cr.Network([cr.Dense(1)], input_shape=1)
    net.parameters["dense1.W"] = np.array([[3e38]])
    assert "1 overflow in float32" in str(cr.diagnose(net, [[1e3]], [[1.0]]))


def test_a_number_that_float32_does_not_hold_names_the_option() -> None:
    with pytest.raises(ChainruleError, match="--precision float64"):
        cr.Network([cr.LeakyReLU(1e300), cr.Dense(1)], input_shape=1).predict([[1.0]])


@pytest.mark.parametrize("scale", [1e-16, 1e-20, 1e-25, 1e-120])
def test_a_cone_nearer_than_every_step_accuses_nobody(scale: float) -> None:
    layers = [cr.BatchNorm(), cr.L2Pool1D(2), cr.Flatten(), cr.Dense(1), cr.Sigmoid()]
    net = cr.Network(layers, input_shape=(4, 1))
    X = np.random.default_rng(0).normal(size=(2, 4, 1)) * scale
    report = cr.check_gradients(net, X, [0, 1])
    assert not report.wrong, str(report)
    assert report["batchnorm1.beta"].kinks
    assert "arrays not judged" in str(report).splitlines()[0]
