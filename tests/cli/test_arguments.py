"""Wrong arguments and files: exit code 2 and one line on stderr."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.cli_result import Run

wrong_arguments = {
    "no command": ([], "COMMAND"),
    "unknown command": (["fly"], "invalid choice"),
    "no source": (["train"], "required"),
    "unknown source": (["train", "letters"], "no such file or folder"),
    "unknown ending": (["train", "data.xyz"], "nothing to train on"),
    "missing csv": (["train", "none.csv", "--target", "y"], "none.csv: no such file"),
    "missing npz": (["train", "none.npz"], "none.npz: no such file"),
    "csv without target": (
        ["train", "flowers.csv"],
        "--target NAME, or --target -1 for the last; its columns are length, width, weight, species",
    ),
    "csv without header or target": (["train", "bare.csv"], "it has 3 columns, 0 to 2"),
    "empty csv": (["train", "empty.csv"], "empty.csv: holds no line of values"),
    "no csv and no target": (["train", "none.csv"], "none.csv: no such file"),
    "seed too large": (
        ["train", "digits", "--seed", str(2**63)],
        "is too large: write a whole number from 0 to 9223372036854775807",
    ),
    "seed of thousands of digits": (["train", "digits", "--seed", "9" * 5000], "is too large"),
    "unknown target": (
        ["train", "flowers.csv", "--target", "colour"],
        "its columns are length, width, weight, species",
    ),
    "target index": (["train", "flowers.csv", "--target", "9"], "no column 9"),
    "epochs zero": (["train", "digits", "--epochs", "0"], "whole number of at least 1"),
    "epochs text": (["train", "digits", "--epochs", "many"], "whole number of at least 1"),
    "rate negative": (["train", "digits", "--rate", "-1"], "not a number above 0"),
    "rate nan": (["train", "digits", "--rate", "nan"], "not a finite number"),
    "test of everything": (["train", "digits", "--test", "1"], "from 0 to below 1"),
    "test of nothing": (["train", "digits", "--test", "0"], "nothing to test on"),
    "patience alone": (["train", "digits", "--patience", "3"], "add --validation"),
    "optimizer": (["train", "digits", "--optimizer", "magic"], "invalid choice"),
    "momentum with adam": (["train", "digits", "--momentum", "0.5"], "does not go with adam"),
    "threads": (["train", "digits", "--threads", "257"], "more than 256 threads"),
    "shift on features": (["train", "flowers.csv", "--target", "species", "--shift", "1"], "moves images"),
    "shift too far": (["train", "digits", "--shift", "8"], "more than 8 rows and columns"),
    "network": (["train", "digits", "--network", "deep"], "write dense, conv"),
    "missing network": (["train", "digits", "--network", "none.toml"], "none.toml: no such file"),
    "conv on features": (
        ["train", "flowers.csv", "--target", "species", "--network", "conv"],
        "needs images",
    ),
    "regress names": (["train", "flowers.csv", "--target", "species", "--task", "regress"], "holds names"),
    "classify fractions": (["train", "prices.csv", "--target", "price", "--task", "classify"], "fractions"),
    "npz array": (["train", "pictures.npz", "--x", "Z"], "its arrays are X, y"),
    "no mnist": (["train", "mnist", "--data", "nowhere", "--no-download"], "leave out --no-download"),
    "no network connection": (
        ["train", "mnist", "--data", "nowhere", "--url", "http://127.0.0.1:9"],
        "Where there is no network",
    ),
    "predict without model": (["predict", "none", "flowers.csv"], "no such run folder or model file"),
    "predict with a file that is no model": (["predict", "pictures.npz", "flowers.csv"], "pictures.npz"),
    "predict with a folder that is no run": (["predict", ".", "flowers.csv"], "is no run folder"),
    "check without model": (["check", "none"], "no such run folder or model file"),
    "as in PyTorch": (["train", "digits", "--dtype", "float64"], "did you mean --precision"),
    "abbreviated": (["train", "digits", "--epo", "3"], "unrecognized arguments"),
}


@pytest.mark.parametrize("case", wrong_arguments)
@pytest.mark.usefixtures("flowers", "prices", "pictures")
def test_one_line_and_exit_code_2(run: Run, case: str) -> None:
    Path("bare.csv").write_text("1,2,cat\n3,4,dog\n")
    Path("empty.csv").write_text("")
    argv, reason = wrong_arguments[case]
    result = run(*argv)
    assert result.code == 2
    assert reason in result.err
    assert result.err.startswith("chainrule")
    assert result.err.count("\n") == 1
    assert not Path("runs").exists()


@pytest.mark.parametrize("argv", [["--help"], ["train", "--help"], ["predict", "--help"], ["--version"]])
def test_help_and_version(run: Run, argv: list[str]) -> None:
    result = run(*argv)
    assert result.code == 0
    assert "chainrule" in result.out
    assert not result.err


def test_info(run: Run) -> None:
    result = run("info")
    assert result.code == 0
    lines = result.out.splitlines()
    for name in ("version", "lanes", "threads", "numpy", "python"):
        assert any(name in line.lower() or "chainrule" in line for line in lines), name
    starts = {len(line) - len(line.split("  ", 1)[1].lstrip()) for line in lines}
    assert len(starts) == 1


def test_bench_passes_its_options_on(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    received: dict[str, object] = {}
    monkeypatch.setattr("chainrule.bench.run", lambda **options: received.update(options))
    assert run("bench", "--quick", "--json", "figures.json").code == 0
    assert received == {"quick": True, "profile": False, "json_file": "figures.json"}


def test_bench_per_sample(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chainrule.bench.per_sample.BATCHES", (2, 3))
    result = run("bench", "per-sample", "--quick", "--json", "figures.json")
    assert result.code == 0
    rows = [line.split() for line in result.out.splitlines() if line.startswith(("formulas", "kernels"))]
    assert [row[2] for row in rows] == ["2", "3", "2", "3"]
    pairs = json.loads(Path("figures.json").read_text())["pairs"]
    assert all(pair["ratio"] > 0 and pair["largest_difference"] < 1e-12 for pair in pairs)
    assert run("bench", "per-sample", "--profile").code == 2


def test_as_a_program() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "chainrule", "train", "nothing.csv", "--target", "y"],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert result.returncode == 2
    assert result.stderr == "chainrule: nothing.csv: no such file\n"
    assert result.stdout == ""
