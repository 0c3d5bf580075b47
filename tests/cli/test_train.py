"""`chainrule train` from a source to a run folder, and what is left when it is interrupted."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from chainrule.base.errors import NonFiniteError
from chainrule.cli.arguments import build_parser
from chainrule.cli.commands import train as train_command
from chainrule.cli.training.choices import choose_settings
from chainrule.cli.training.sources import Problem
from chainrule.engine import isa, level
from chainrule.networks.network import load
from chainrule.training.history import History
from chainrule.version import __version__
from tests.cli.cli_result import Result, Run


def folder_of(result: Result) -> Path:
    assert result.code == 0, result.err
    line = next(line for line in result.out.splitlines() if line.startswith("run folder "))
    return Path(line.removeprefix("run folder "))


def described(folder: Path) -> dict[str, object]:
    content = json.loads((folder / "run.json").read_text())
    assert isinstance(content, dict)
    return content


@pytest.mark.parametrize(("samples", "penalty"), [(40, 0.03), (1000, 0.01), (10**6, 1e-4)])
def test_small_tables_are_penalised_more(samples: int, penalty: float) -> None:
    arguments = build_parser().parse_args(["train", "table.csv"])
    X = np.zeros((samples, 3), np.float32)
    problem = Problem("table", X, X, X[:1], X[:1], None)
    assert choose_settings(problem, arguments, None).penalty == penalty
    told = build_parser().parse_args(["train", "table.csv", "--penalty", "0"])
    assert choose_settings(problem, told, None).penalty == 0
    problem.X_train = np.zeros((40, 8, 8, 1), np.float32)
    assert choose_settings(problem, arguments, None).penalty == 1e-4


@pytest.mark.usefixtures("drawn_curves")
def test_digits(run: Run) -> None:
    pytest.importorskip("sklearn")
    result = run("train", "digits", "--epochs", 2, "--out", "first", "--quiet")
    folder = folder_of(result)
    assert folder == Path("first")
    lines = result.out.splitlines()
    assert lines[0] == "digits: 1797 samples of 8x8x1, 10 classes; 1438 to train, 359 held out (seed 0)"
    assert "gradient check" in result.out
    assert re.fullmatch(r"test accuracy \d{2,3}\.\d %", lines[-1])
    assert float(lines[-1].split()[2]) > 85
    content = described(folder)
    assert content["result"]["epochs"] == 2
    assert 100 * content["result"]["test_accuracy"] == pytest.approx(float(lines[-1].split()[2]), abs=0.05)
    assert content["arguments"]["epochs"] == 2
    assert "version" not in content["arguments"]
    assert content["versions"]["chainrule"] == __version__
    assert content["isa_level"] == level
    network = load(folder / str(content["model"]))
    assert network.input_shape == (8, 8, 1)
    assert len(History.from_csv(folder / "history.csv").rows) == 2
    assert (folder / "curves.png").exists() or (folder / "curves.svg").exists()
    again = run("train", "digits", "--epochs", 2, "--out", "second", "--quiet", "--no-check")
    assert again.out.splitlines()[-1] == lines[-1]
    assert "gradient check" not in again.out
    for name, values in load(Path("second") / str(content["model"])).parameters.items():
        np.testing.assert_array_equal(values, network.parameters[name])


def test_default_run_folder_never_overwrites(run: Run, flowers: Path) -> None:
    argv = ("train", flowers, "--target", "species", "--epochs", 1, "--quiet", "--no-check")
    first, second = folder_of(run(*argv)), folder_of(run(*argv))
    assert first != second
    assert re.fullmatch(r"flowers-\d{8}-\d{6}(-\d+)?", second.name)
    assert first.parent == second.parent == Path("runs")


def test_out_is_kept_unless_told(run: Run, flowers: Path) -> None:
    argv = ("train", flowers, "--target", "species", "--epochs", 1, "--quiet", "--no-check", "--out", "mine")
    folder_of(run(*argv))
    refused = run(*argv)
    assert refused.code == 2
    assert "--overwrite" in refused.err
    assert refused.out == ""
    Path("mine/curves.svg").write_text("of an earlier run")
    folder_of(run(*argv, "--overwrite"))
    assert len(list(Path("mine").glob("curves.*"))) == 1
    Path("file").write_text("")
    assert run(*argv[:-1], "file").code == 2


def test_classes_by_name(run: Run, flowers: Path) -> None:
    result = run("train", flowers, "--target", "species", "--epochs", 20, "--quiet", "--out", "run")
    folder = folder_of(result)
    assert "3 classes" in result.out
    assert float(result.out.splitlines()[-1].split()[2]) == 100.0
    assert "no mistake on the held-out samples" in result.out
    content = described(folder)
    assert content["preparation"]["feature_names"] == ["length", "width", "weight"]
    assert load(folder / str(content["model"])).classes.tolist() == ["aster", "bellis", "crocus"]


def test_regression_in_the_targets_own_unit(run: Run, prices: Path) -> None:
    result = run("train", prices, "--target", -1, "--epochs", 40, "--quiet", "--out", "run")
    folder_of(result)
    assert "regression" in result.out
    found = re.fullmatch(r"test error (\S+) \(root mean square\), R2 (\S+)", result.out.splitlines()[-1])
    assert found is not None
    assert float(found[1]) < 1500
    assert float(found[2]) > 0.9


def test_images_of_bytes(run: Run, pictures: Path) -> None:
    result = run("train", pictures, "--epochs", 10, "--quiet", "--out", "run")
    folder = folder_of(result)
    assert "60 samples of 6x6x1, 2 classes" in result.out
    assert described(folder)["preparation"]["inputs"] == {"kind": "pixels"}
    assert float(result.out.splitlines()[-1].split()[2]) == 100.0


OPTIONS = (
    ["--optimizer", "sgd", "--rate", "0.01", "--momentum", "0.5", "--clip", "1"],
    ["--optimizer", "rmsprop", "--schedule", "constant", "--precision", "bfloat16"],
    ["--optimizer", "adamw", "--penalty", "0", "--precision", "float64"],
    ["--validation", "0.2", "--patience", "1", "--batch-size", "7", "--seed", "5"],
    ["--network", "dense", "--threads", "1", "--test", "0.5"],
)


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: options[1])
def test_options(run: Run, flowers: Path, options: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isa, "_said", {"of bfloat16"})  # a warning is an error here
    argv = ("train", flowers, "--target", "species", "--epochs", 2, "--quiet", "--no-check", "--out", "run")
    folder = folder_of(run(*argv, *options))
    settings = described(folder)["arguments"]
    for name, value in zip(options[::2], options[1::2], strict=True):
        assert str(settings[name[2:].replace("-", "_")]) == value or float(settings[name[2:]]) == float(value)
    assert load(folder).precision == settings["precision"]


def test_mnist_from_files(run: Run, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for part, count in (("train", 40), ("t10k", 10)):
        labels = np.arange(count, dtype=np.uint8) % 10
        images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        for name, array in (("images-idx3", images), ("labels-idx1", labels)):
            header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
            (tmp_path / f"{part}-{name}-ubyte").write_bytes(header + array.tobytes())
    argv = ("train", "mnist", "--data", ".", "--network", "dense", "--epochs", 1, "--quiet", "--no-check")
    result = run(*argv, "--out", "run")
    folder_of(result)
    assert "mnist: 50 samples of 28x28x1, 10 classes; 40 to train, 10 held out" in result.out


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (NonFiniteError("became NaN"), 1)])
def test_model_is_saved_however_training_ends(
    run: Run, flowers: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    def fit(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("chainrule.training.fit.fit", fit)
    argv = ("train", flowers, "--target", "species", "--epochs", 60, "--no-check", "--out", "run")
    result = run(*argv)
    assert result.code == code
    assert result.err.count("\n") == 1
    content = described(Path("run"))
    assert content["result"]["stopped"] == ("interrupted" if code == 130 else "failed")
    assert load(Path("run") / str(content["model"])).output_shape == (3,)
    assert run("predict", "run", flowers).code == 0


def test_old_history_goes_where_the_new_run_has_none(
    run: Run, flowers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    argv = ("train", flowers, "--target", "species", "--epochs", 1, "--quiet", "--no-check", "--out", "run")
    assert (folder_of(run(*argv)) / "history.csv").exists()

    def fit(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("chainrule.training.fit.fit", fit)
    assert run(*argv, "--overwrite").code == 130
    assert {path.stem for path in Path("run").iterdir()} == {"model", "run", "rows"}


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_interrupted_program_leaves_a_usable_model(run: Run, flowers: Path, tmp_path: Path) -> None:
    argv = [
        "train",
        str(flowers),
        "--target",
        "species",
        "--epochs",
        "100000000",
        "--no-check",
        "--out",
        "run",
    ]
    with subprocess.Popen(
        [sys.executable, "-m", "chainrule", *argv],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        try:
            assert program.stderr is not None
            program.stderr.readline()  # the first epoch's line: training runs
            time.sleep(0.05)
            program.send_signal(signal.SIGINT)
            out, err = program.communicate(timeout=600)
        finally:
            program.kill()  # nothing where it has ended
    assert program.returncode == 130, err
    assert "Traceback" not in err
    assert out.splitlines()[-1] == "run folder run"
    assert described(tmp_path / "run")["result"]["stopped"] == "interrupted"
    assert run("predict", "run", flowers).code == 0


def test_failed_gradient_check_stops_before_training(
    run: Run, flowers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_command, "passes_check", lambda *_: False)
    result = run("train", flowers, "--target", "species", "--out", "run")
    assert result.code == 1
    assert not Path("run").exists()
    assert run("train", flowers, "--target", "species").code == 1
    assert not Path("runs").exists()
