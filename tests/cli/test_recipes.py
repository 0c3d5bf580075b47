"""Nielsen's experiments, on small files in MNIST's format."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule.cli.training.recipes import RECIPES, listing
from tests.cli.cli_result import Run

# parameters by his layers: [784, 30, 10] has 784·30 + 30 + 30·10 + 10
COUNTS = {
    "nielsen-network1": 23_860,
    "nielsen-network1-100": 79_510,
    "nielsen-network2": 23_860,
    "nielsen-network2-l2": 79_510,
    "nielsen-network2-l2-slow": 79_510,
    "nielsen-conv": 20 * 26 + 2880 * 100 + 100 + 1010,
    "nielsen-conv2": 20 * 26 + 40 * 501 + 640 * 100 + 100 + 1010,
    "nielsen-conv2-relu": 20 * 26 + 40 * 501 + 640 * 100 + 100 + 1010,
    "nielsen-conv2-dropout": 520 + 20_040 + 641_000 + 1_001_000 + 10_010,
}

EXPLAINED = ("nielsen-network1", "nielsen-network2-l2", "nielsen-conv")  # others take seconds


@pytest.fixture
def mnist(tmp_path: Path) -> Path:
    """60 images to train and 10 to test: the digit is where the bright bar is."""
    rng = np.random.default_rng(0)
    for part, count in (("train", 60), ("t10k", 10)):
        labels = np.arange(count, dtype=np.uint8) % 10
        images = rng.integers(0, 60, (count, 28, 28), dtype=np.uint8)
        for image, label in zip(images, labels, strict=True):
            image[2 * label + 2 : 2 * label + 5] += 180
        for name, array in (("images-idx3", images), ("labels-idx1", labels)):
            header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
            (tmp_path / f"{part}-{name}-ubyte").write_bytes(header + array.tobytes())
    return tmp_path


@pytest.mark.parametrize("name", RECIPES)
def test_recipe(run: Run, mnist: Path, name: str) -> None:
    recipe = RECIPES[name]
    brief = [] if name in EXPLAINED else ["--no-check", "--no-report"]
    argv = ("train", "mnist", "--data", mnist, "--recipe", name, "--epochs", 2, "--quiet", "--out", "run")
    result = run(*argv, *brief)
    assert result.code == 0, result.err
    assert ("gradient check" in result.out) == Path("run/report.html").exists() == (not brief)
    last = result.out.splitlines()[-1]
    assert last.startswith("test accuracy ")
    assert f"(Nielsen: {recipe.accuracy:.2f} % after {recipe.epochs} epochs" in last
    content = json.loads(Path("run/run.json").read_text())
    assert content["arguments"]["recipe"] == name
    assert content["result"]["published_accuracy"] == recipe.accuracy / 100
    settings = {
        "epochs": 2,
        "batch_size": 10,
        "optimizer": "sgd",
        "rate": recipe.rate,
        "penalty": recipe.per_sample,
        "shift": recipe.shift,
    }
    assert settings.items() <= content["settings"].items()
    history = cr.History.from_csv("run/history.csv")
    assert history.rate == [recipe.rate] * 2
    assert None not in history.validation_accuracy
    assert cr.load(f"run/{content['model']}").count_parameters() == COUNTS[name]


def test_what_fit_gets(run: Run, mnist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The division into training and validation part, λ/2n, no momentum."""
    received = {}

    def fit(network: cr.Network, X: object, y: object, **options: object) -> cr.History:
        received.update(options, X=X, y=y)
        return cr.History()

    monkeypatch.setattr("chainrule.training.fit.fit", fit)
    argv = (
        "train",
        "mnist",
        "--data",
        mnist,
        "--recipe",
        "nielsen-network2-l2",
        "--no-check",
        "--out",
        "run",
    )
    assert run(*argv).code == 0
    assert len(received["X"]) == 50
    assert received["validation"][1].tolist() == list(range(10))
    assert received["optimizer"] == cr.SGD(0.5)
    assert received["penalty"] == cr.L2(5.0, per_sample=True)
    assert received["loss"] == cr.BinaryCrossEntropy()
    assert (received["batch_size"], received["epochs"]) == (10, 30)


def test_his_program_learns_the_bars(run: Run, mnist: Path) -> None:
    argv = ("train", "mnist", "--data", mnist, "--recipe", "nielsen-network2", "--epochs", 30, "--quiet")
    assert run(*argv, "--out", "run").out.splitlines()[-1].startswith("test accuracy 100.00 %")


def test_starts_are_his() -> None:
    network = cr.Network(RECIPES["nielsen-conv"].layers(), input_shape=(28, 28, 1), seed=0)
    values = network.parameters
    assert values["conv1.W"].std() == pytest.approx(np.sqrt(1 / 125), rel=0.1)
    assert values["dense1.W"].std() == pytest.approx(0.1, rel=0.01)
    assert values["dense1.b"].std() == pytest.approx(1.0, rel=0.2)
    assert not values["dense2.W"].any()
    assert not values["dense2.b"].any()
    network = cr.Network(RECIPES["nielsen-network1"].layers(), input_shape=(28, 28, 1), seed=0)
    assert network.parameters["dense1.W"].std() == pytest.approx(1.0, rel=0.02)
    network = cr.Network(RECIPES["nielsen-network2"].layers(), input_shape=(28, 28, 1), seed=0)
    assert network.parameters["dense1.W"].std() == pytest.approx(1 / 28, rel=0.02)


def test_the_last_ones_penalty_is_that_of_network3() -> None:
    """λ/2 over the number of mini-batches, 5000 of MNIST."""
    assert RECIPES["nielsen-conv2-relu"].per_sample / 50_000 == pytest.approx(0.1 / 5_000)


def test_list(run: Run) -> None:
    result = run("train", "mnist", "--recipe", "list")
    assert result.code == 0
    assert result.out == listing() + "\n"
    for name, recipe in RECIPES.items():
        line = next(line for line in result.out.splitlines() if line.startswith(f"{name} "))
        assert line.endswith(f"{recipe.accuracy:.2f} %")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["mnist", "--recipe", "lecun"], "--recipe lecun: write list, or one of nielsen-network1, "),
        (["digits", "--recipe", "nielsen-network1"], "write chainrule train mnist --recipe nielsen-network1"),
        (["mnist", "--recipe", "nielsen-network1", "--rate", "1"], "--rate does not go with --recipe"),
        (["mnist", "--recipe", "nielsen-network1", "--batch-size", "5"], "--batch-size does not go with"),
        (["mnist", "--recipe", "nielsen-network1", "--schedule", "cosine"], "--schedule does not go with"),
        (["mnist", "--recipe", "nielsen-network1", "--penalty", "0"], "--penalty does not go with"),
    ],
)
def test_what_does_not_go_together(run: Run, argv: list[str], words: str) -> None:
    result = run("train", *argv)
    assert result.code == 2
    assert words in result.err


def test_the_last_one_trains_on_shifted_copies(run: Run, mnist: Path) -> None:
    argv = ("train", "mnist", "--data", mnist, "--recipe", "nielsen-conv2-dropout", "--epochs", 1, "--quiet")
    result = run(*argv, "--no-check", "--no-report")
    assert "with the copies shifted by 1 pixel: 250 samples to train" in result.out
