"""`chainrule doctor` on runs that went well and badly."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.cli_result import Run


def train(run: Run, flowers: Path, *more: object) -> None:
    brief = ("--quiet", "--no-check", "--no-report")
    result = run("train", flowers, "--target", "species", "--out", "out", *brief, *more)
    assert result.code == 0, result.err


def test_healthy_run(run: Run, flowers: Path) -> None:
    train(run, flowers, "--epochs", 60)
    result = run("doctor", "out")
    assert result.code == 0, result.out
    first = result.out.splitlines()[0]
    assert first.startswith("diagnosis: 1 note; J ≈ ")  # of a penalty that outweighs fitted data
    assert "(data 0.0" in first
    assert "72 samples; Adam" in result.out  # four fifths of 90: what it was trained on


def test_rate_far_too_high(run: Run, flowers: Path) -> None:
    worse = ("--optimizer", "sgd", "--rate", 3, "--schedule", "constant", "--epochs", 9)
    trained = run("train", flowers, "--target", "species", "--out", "out", "--quiet", "--no-check", *worse)
    assert trained.code == 1  # NaN in epoch 4; the parameters of the step before are kept
    result = run("doctor", "out", "--language", "zh")
    assert result.code == 1
    assert "✗ `" not in result.out
    assert "的输出不是有限数。" in result.out


def test_json_and_other_samples(run: Run, flowers: Path) -> None:
    train(run, flowers, "--epochs", 2)
    result = run("doctor", "out", "--data", flowers, "--samples", 50, "--json")
    content = json.loads(result.out)
    assert set(content) == {"findings", "flow"}
    assert content["flow"]["samples"] == 50
    assert content["flow"]["history"]["epochs"] == 2
    assert content["flow"]["has_penalty"]


def test_model_alone_needs_data(run: Run, flowers: Path) -> None:
    train(run, flowers, "--epochs", 2)
    Path("out/run.json").unlink()
    model = next(path for path in Path("out").iterdir() if path.name.startswith("model."))
    result = run("doctor", model)
    assert result.code == 2
    assert "--data" in result.err
    assert run("doctor", model, "--data", flowers).code in (0, 1)


@pytest.mark.parametrize(
    "arguments", [("nothing",), ("out", "--data", "nothing.csv"), ("out", "--samples", 0)]
)
def test_wrong_arguments(run: Run, flowers: Path, arguments: tuple[object, ...]) -> None:
    train(run, flowers, "--epochs", 1)
    result = run("doctor", *arguments)
    assert result.code == 2
    assert len(result.err.splitlines()) == 1
