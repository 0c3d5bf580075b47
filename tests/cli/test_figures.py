"""What a training says of its test, by class and by column, and the weights of classes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule.cli.training.figures import class_rows, class_table, errors_of
from tests.cli.cli_result import Run

BRIEF = ("--quiet", "--no-check", "--no-report", "--overwrite", "--out", "run")


def kept() -> dict[str, Any]:
    content = json.loads(Path("run/run.json").read_text())
    assert isinstance(content, dict)
    return content


def test_precision_and_recall() -> None:
    actual = np.array(["a", "a", "a", "b", "b", "c"])
    predicted = np.array(["a", "a", "b", "b", "a", "a"])
    rows = class_rows(actual, predicted, np.array(["a", "b", "c", "d"]))
    assert [row["samples"] for row in rows] == [3, 2, 1, 0]
    assert [row["precision"] for row in rows] == [2 / 4, 1 / 2, None, None]
    assert [row["recall"] for row in rows] == [2 / 3, 1 / 2, 0.0, None]
    assert [row["f1"] for row in rows] == [4 / 7, 2 / 4, 0.0, None]
    assert class_table(rows).splitlines()[3:] == [
        "b          0.500   0.500  0.500        2",
        "c              -   0.000  0.000        1",
        "d              -       -      -        0",
    ]


def test_precision_as_scikit_learn_has_it() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    actual, predicted = rng.integers(0, 5, 300), rng.integers(0, 5, 300)
    rows = class_rows(actual, predicted, np.arange(5))
    expected = metrics.precision_recall_fscore_support(actual, predicted)
    for name, values in zip(("precision", "recall", "f1", "samples"), expected, strict=True):
        np.testing.assert_allclose([row[name] for row in rows], values)


def test_of_many_classes_the_worst_are_shown() -> None:
    actual = np.repeat(np.arange(30), 2)
    predicted = actual.copy()
    predicted[[14, 15, 40]] = 0
    lines = class_table(class_rows(actual, predicted, np.arange(30))).splitlines()
    assert len(lines) == 2 + 20 + 1
    assert [line.split()[0] for line in lines[2:5]] == ["7", "0", "20"]
    assert lines[-1] == "the worst 20 of 30 classes"


def test_errors_by_column() -> None:
    actual = np.array([[0.0, 10.0], [2.0, 30.0], [4.0, 20.0]])
    predicted = actual + np.array([[1.0, 0.0], [-1.0, 0.0], [1.0, 3.0]])
    figures, lines = errors_of(predicted, actual, ["a", "b"])
    assert figures["test_rmse"] == pytest.approx(np.sqrt(12 / 6))
    assert figures["test_mae"] == pytest.approx(1.0)
    assert figures["test_r2"] == pytest.approx(1 - 12 / 208)
    assert [column["test_r2"] for column in figures["columns"]] == pytest.approx([1 - 3 / 8, 1 - 9 / 200])
    assert lines[0].splitlines()[2].split() == ["a", "1", "1", "0.625"]
    assert errors_of(predicted[:, :1], actual[:, :1], ["a"])[1] == []


def test_of_classes(run: Run, flowers: Path) -> None:
    result = run("train", flowers, "--target", "species", "--epochs", 30, *BRIEF)
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    head = next(number for number, line in enumerate(lines) if line.startswith("class "))
    assert lines[head].split() == ["class", "precision", "recall", "F1", "samples"]
    assert [line.split()[0] for line in lines[head + 2 : head + 5]] == ["aster", "bellis", "crocus"]
    recorded = kept()["result"]
    assert [row["class"] for row in recorded["classes"]] == ["aster", "bellis", "crocus"]
    assert sum(row["samples"] for row in recorded["classes"]) == 18
    assert f"test log-loss {recorded['test_log_loss']:.4g}" in lines
    assert lines[-1].startswith("test accuracy ")
    rows = run("predict", "run", flowers, "--probabilities")
    assert rows.code == 0


def test_of_numbers(run: Run, prices: Path) -> None:
    result = run("train", prices, "--target", "price", "--epochs", 5, *BRIEF)
    assert result.code == 0, result.err
    recorded = kept()["result"]
    assert f"mean absolute error {recorded['test_mae']:.4g}" in result.out.splitlines()
    assert 0 < recorded["test_mae"] <= recorded["test_rmse"]
    assert result.out.splitlines()[-1].startswith(
        f"test error {recorded['test_rmse']:.4g} (root mean square), R2"
    )


def test_of_several_numbers(run: Run) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 3))
    np.savez("data.npz", X=X, y=np.stack([X[:, 0], X[:, 1] * 100.0], 1))
    result = run("train", "data.npz", "--epochs", 5, *BRIEF)
    assert result.code == 0, result.err
    assert [column["column"] for column in kept()["result"]["columns"]] == ["y_0", "y_1"]
    assert "column  " in result.out


@pytest.fixture
def rare(tmp_path: Path) -> Path:
    """Two classes that overlap, one of them in a tenth of the samples."""
    rng = np.random.default_rng(0)
    y = np.arange(300) % 10 == 0
    X = rng.normal(y[:, None] * 1.0, 1.0, (300, 2))
    path = tmp_path / "rare.csv"
    rows = [
        f"{a:.4f},{b:.4f},{'ill, badly' if label else 'well'}" for (a, b), label in zip(X, y, strict=True)
    ]
    path.write_text(
        "a,b,state\n" + "\n".join(f'{a},{b},"{c}"' for a, b, c in (row.split(",", 2) for row in rows)) + "\n"
    )
    return path


def recall_of(run: Run, rare: Path, *options: object) -> tuple[float, str]:
    result = run("train", rare, "--target", "state", "--epochs", 20, *BRIEF, *options)
    assert result.code == 0, result.err
    row = next(row for row in kept()["result"]["classes"] if row["class"] == "ill, badly")
    return row["recall"], result.out


def test_weights_of_classes(run: Run, rare: Path) -> None:
    plain, out = recall_of(run, rare)
    assert "class weights" not in out
    balanced, out = recall_of(run, rare, "--class-weights", "balanced")
    assert balanced > plain
    assert "class weights: ill, badly 5, well 0.5556" in out.splitlines()
    assert kept()["class_weights"] == [
        {"class": "ill, badly", "weight": 5.0},
        {"class": "well", "weight": pytest.approx(5 / 9)},
    ]
    named, out = recall_of(run, rare, "--class-weights", 'well=0.1, "ill, badly=2"')
    assert named > plain
    assert "class weights: well 0.1, ill, badly 2" in out.splitlines()


WRONG = {
    "unknown": (
        "rose=2",
        "'rose' is no class; write balanced, or NAME=WEIGHT,NAME=WEIGHT with the classes aster",
    ),
    "no weight": ("aster", "'aster' is no class"),
    "empty": ("", "is no class"),
    "text": ("aster=much", "'much' is no weight for 'aster': write a number of at least 0"),
    "negative": ("aster=-1", "'-1' is no weight"),
    "NaN": ("aster=nan", "'nan' is no weight"),
    "nothing": ("aster=0,bellis=0,crocus=0", "makes every class 0"),
}


@pytest.mark.parametrize("name", WRONG)
def test_weights_that_are_none(run: Run, flowers: Path, name: str) -> None:
    said, expected = WRONG[name]
    result = run("train", flowers, "--target", "species", "--class-weights", said, *BRIEF)
    assert result.code == 2
    assert expected in result.err
    assert not Path("run").exists()


def test_weights_of_numbers_and_labels_that_are_numbers(run: Run, prices: Path, pictures: Path) -> None:
    result = run("train", prices, "--target", "price", "--class-weights", "balanced", *BRIEF)
    assert "the target is a quantity: leave it out" in result.err
    result = run("train", pictures, "--epochs", 1, "--class-weights", "1=3", *BRIEF)
    assert result.code == 0, result.err
    assert "class weights: 1 3" in result.out.splitlines()
    assert kept()["class_weights"] == [{"class": 1, "weight": 3.0}]
