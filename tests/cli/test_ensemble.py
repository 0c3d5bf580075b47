"""`chainrule train --ensemble N`: N networks by seeds, whose mean predicts."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule.networks.network import load
from tests.cli.cli_result import Result, Run

BRIEF = ("--epochs", 3, "--quiet", "--no-check", "--no-report", "--overwrite")


def trained(run: Run, file: Path, target: str, *options: object) -> tuple[Result, dict[str, Any]]:
    result = run("train", file, "--target", target, "--out", "run", *BRIEF, *options)
    assert result.code == 0, result.err
    content = json.loads(Path("run/run.json").read_text())
    assert isinstance(content, dict)
    return result, content


def rows_of(result: Result) -> list[dict[str, str]]:
    assert result.code == 0, result.err
    return list(csv.DictReader(io.StringIO(result.out)))


def test_members_are_trained_from_the_seeds_that_follow(run: Run, flowers: Path) -> None:
    result, content = trained(run, flowers, "species", "--ensemble", 3, "--seed", 5)
    told = [line for line in result.out.splitlines() if line.startswith("network ") and "seed" in line]
    assert told == [f"network {number} of 3, seed {4 + number}" for number in (1, 2, 3)]
    names = content["members"]
    assert [Path(name).stem for name in names] == ["model", "model-2", "model-3"]
    members = [load(Path("run") / name) for name in names]
    assert content["model"] == names[0]
    alone, _ = trained(run, flowers, "species", "--seed", 5)
    for name, values in load(Path("run") / names[0]).parameters.items():
        np.testing.assert_array_equal(values, members[0].parameters[name])
        if not name.endswith("b"):
            assert not np.array_equal(members[1].parameters[name], members[0].parameters[name])
    assert [path.name for path in Path("run").glob("model*")] == [names[0]]  # those of the ensemble are gone
    assert "network 1 of" not in alone.out


def test_predict_averages_probabilities(run: Run, flowers: Path) -> None:
    _, content = trained(run, flowers, "species", "--ensemble", 3)
    mean = rows_of(run("predict", "run", flowers, "--probabilities"))
    single = [
        rows_of(run("predict", Path("run") / name, flowers, "--probabilities")) for name in content["members"]
    ]
    labels = ["aster", "bellis", "crocus"]
    for row, *others in zip(mean, *single, strict=True):
        for label in labels:
            average = np.mean([float(other[label]) for other in others])
            assert float(row[label]) == pytest.approx(average, abs=2e-6)
        assert row["prediction"] == max(labels, key=lambda label: float(row[label]))
    assert any(row != other for row, other in zip(mean, single[0], strict=True))
    result = content["result"]
    said = run("predict", "run", flowers).err
    assert "of 90 right" in said
    assert len(result["members"]) == 3
    single_accuracy = np.mean([member["test_accuracy"] for member in result["members"]])
    assert result["single"]["test_accuracy"] == pytest.approx(single_accuracy)
    assert result["test_log_loss"] <= result["single"]["test_log_loss"] + 1e-9  # Jensen: -log is convex


def test_predict_averages_numbers(run: Run, prices: Path) -> None:
    result, content = trained(run, prices, "price", "--ensemble", 2)
    mean = rows_of(run("predict", "run", prices))
    single = [rows_of(run("predict", Path("run") / name, prices)) for name in content["members"]]
    for row, *others in zip(mean, *single, strict=True):
        average = np.mean([float(other["price"]) for other in others])
        assert float(row["price"]) == pytest.approx(average, rel=1e-6)
    line = next(line for line in result.out.splitlines() if line.startswith("a single one of the 2 networks"))
    assert "error" in line
    assert "R2" in line
    assert content["result"]["test_rmse"] <= content["result"]["single"]["test_rmse"]
    assert result.out.splitlines()[-1].startswith("test error ")


@pytest.mark.parametrize("command", ["explain", "doctor", "check"])
def test_commands_say_that_they_look_at_the_first(run: Run, flowers: Path, command: str) -> None:
    trained(run, flowers, "species", "--ensemble", 2)
    said = run(command, "run").err
    assert "run is an ensemble of 2 networks; this looks at the first, model." in said
    trained(run, flowers, "species")
    assert "ensemble" not in run(command, "run").err


def test_interrupted_ensemble_keeps_what_is_whole(
    run: Run, flowers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chainrule.training import fit as fitting

    real, calls = fitting.fit, []

    def fit(*given: Any, **named: Any) -> Any:
        calls.append(named["seed"])
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*given, **named)

    monkeypatch.setattr(fitting, "fit", fit)
    argv = ("train", flowers, "--target", "species", "--out", "run", *BRIEF)
    assert run(*argv, "--ensemble", 4).code == 130
    content = json.loads(Path("run/run.json").read_text())
    assert content["result"]["stopped"] == "interrupted"
    assert [Path(name).stem for name in content["members"]] == ["model", "model-2"]
    assert run("predict", "run", flowers).code == 0


def test_missing_and_foreign_members_are_refused(run: Run, flowers: Path, prices: Path) -> None:
    _, content = trained(run, flowers, "species", "--ensemble", 2)
    second = Path("run") / content["members"][1]
    whole = second.read_bytes()
    second.unlink()
    assert (
        f"names the model '{second.name}', which is not in the folder" in run("predict", "run", flowers).err
    )
    alone = run("train", prices, "--target", "price", "--out", "other", *BRIEF)
    assert alone.code == 0
    second.write_bytes((Path("other") / content["model"]).read_bytes())
    refused = run("predict", "run", flowers)
    assert refused.code == 2
    assert "has other inputs, outputs or classes" in refused.err
    second.write_bytes(whole)
    for members in ("model", [1], ["../a", "b"], [content["model"], "../x.npz"], [content["model"], "a\0b"]):
        Path("run/run.json").write_text(json.dumps(content | {"members": members}))
        refused = run("predict", "run", flowers)
        assert refused.code == 2
        assert "run.json" in refused.err
        assert refused.err.count("\n") == 1


@pytest.mark.parametrize("size", ["0", "-1", "two", "1001"])
def test_sizes_that_are_none(run: Run, size: str) -> None:
    assert run("train", "digits", "--ensemble", size).code == 2
