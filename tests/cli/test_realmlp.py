"""`chainrule train --network realmlp`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import chainrule as cr
from tests.cli.cli_result import Run

SHORT = ("--network", "realmlp", "--epochs", 3, "--no-report", "--no-check", "--quiet", "--out", "run")
LAST = ("--target", -1)


def test_classes_and_what_follows(run: Run, flowers: Path, tmp_path: Path) -> None:
    done = run("train", flowers, *LAST, *SHORT, "--class-weights", "balanced", "--ensemble", 2)
    assert done.code == 0, done.err
    assert "softly clipped" in done.out
    network = cr.load(tmp_path / "run" / "model.safetensors")
    assert [layer.kind for layer in network.layers][:4] == ["periodic", "scale", "dense", "parametric"]
    settings = json.loads((tmp_path / "run" / "run.json").read_text())["settings"]
    assert (settings["epochs"], settings["batch_size"], settings["rate"]) == (3, 256, 0.04)
    predicted = run("predict", "run", flowers)
    assert predicted.code == 0, predicted.err
    assert predicted.out.count("\n") > 90


def test_a_quantity_stays_within_the_training_data(run: Run, prices: Path, tmp_path: Path) -> None:
    done = run("train", prices, *LAST, *SHORT)
    assert done.code == 0, done.err
    network = cr.load(tmp_path / "run" / "model.safetensors")
    assert isinstance(network.layers[-1], cr.Clamp)
    assert run("doctor", "run").code in (0, 1)


@pytest.mark.parametrize(
    "options", [("--rate", "0.1"), ("--patience", "3", "--validation", "0.2"), ("--penalty", "0.1")]
)
def test_published_figures_are_not_changed(run: Run, flowers: Path, options: tuple[str, ...]) -> None:
    done = run("train", flowers, *LAST, *SHORT, *options)
    assert done.code == 2
    assert f"{options[0]} does not go with --network realmlp" in done.err


def test_it_takes_tables_alone(run: Run) -> None:
    done = run("train", "digits", *SHORT)
    assert done.code == 2
    assert "takes the rows of a table" in done.err
