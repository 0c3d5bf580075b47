"""Epochs and penalty of a table by inner splits: what is tried, what decides, and when nothing is tried."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule.base.errors import NonFiniteError
from chainrule.base.types import Array
from chainrule.cli.arguments import build_parser
from chainrule.cli.training import search as searching
from chainrule.cli.training.choices import Settings, choose_settings
from chainrule.cli.training.search import candidates, choose, is_searched
from chainrule.cli.training.sources import Problem
from chainrule.networks.network import load
from tests.cli.cli_result import Run


def usual_for(samples: int) -> Settings:
    X = np.zeros((samples, 3), np.float32)
    arguments = build_parser().parse_args(["train", "table.csv"])
    return choose_settings(Problem("table", X, X, X[:1], X[:1], None), arguments, None)


@pytest.mark.parametrize("samples", [50, 150, 400, 1500, 5000, 20_000, 50_000])
@pytest.mark.parametrize("parameters", [2500, 60_000])
def test_candidates_are_bounded_and_begin_with_the_usual(samples: int, parameters: int) -> None:
    usual = usual_for(samples)
    tried = candidates(usual, samples, parameters)
    assert tried[0] == usual
    assert len(tried) <= 1 + 4 * 3
    cost = 1 + parameters / 10_000
    assert sum(candidate.epochs for candidate in tried[1:]) * samples * cost <= 6e6
    assert len({(candidate.epochs, candidate.penalty) for candidate in tried}) == len(tried)
    if parameters == 2500 and samples <= 400:
        assert max(candidate.epochs for candidate in tried) == 250
    if parameters == 2500 and samples >= 20_000:
        assert min(candidate.epochs for candidate in tried) == 10


def noisy(mean: float) -> Array:
    return mean + np.random.default_rng(0).normal(size=400)


def test_the_usual_unless_another_is_clearly_better() -> None:
    rng = np.random.default_rng(1)
    other = noisy(1.0) + rng.normal(0, 0.5, 400)
    assert choose({0: noisy(1.0), 3: other - other.mean() + noisy(1.0).mean() - 0.005}) == 0
    assert choose({0: noisy(1.0), 3: noisy(0.8)}) == 3
    assert choose({0: noisy(1.0), 3: noisy(1.2)}) == 0
    assert choose({0: noisy(1.0), 3: noisy(0.8), 4: noisy(0.6)}) == 4
    assert choose({0: np.full(400, np.inf), 3: noisy(0.8)}) == 3
    assert choose({0: noisy(1.0), 3: np.full(400, np.inf)}) == 0


OPTIONS = (
    ([], True), (["--epochs", "3"], False), (["--penalty", "0"], False), (["--rate", "0.01"], True),
    (["--validation", "0.2", "--patience", "3"], False), (["--validation", "0.2"], True),
)  # fmt: skip


@pytest.mark.parametrize(("options", "expected"), OPTIONS, ids=lambda value: str(value))
def test_when_it_is_tried(options: list[str], expected: bool) -> None:
    def asked(source: str, *shape: int) -> bool:
        X = np.zeros(shape, np.float32)
        arguments = build_parser().parse_args(["train", source, *options])
        return is_searched(Problem("table", X, X, X, X, None), arguments, None)

    assert asked("table.csv", 400, 3) == expected
    assert not asked("table.csv", 40, 3)
    assert not asked("images.npz", 400, 6, 6, 1)
    assert not asked("digits", 400, 3)


@pytest.fixture
def moons(tmp_path: Path) -> Path:
    """Two classes that interlock: few epochs with a strong penalty do not tell them apart."""
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, np.pi, 200)
    y = np.arange(200) % 2
    x = np.stack([np.cos(angle) * (1 - 2 * y) + y, np.sin(angle) * (1 - 2 * y) + y / 2], 1)
    x += rng.normal(0, 0.1, x.shape)
    path = tmp_path / "moons.csv"
    rows = [f"{a:.4f},{b:.4f},{'up' if label else 'down'}" for (a, b), label in zip(x, y, strict=True)]
    path.write_text("a,b,side\n" + "\n".join(rows) + "\n")
    return path


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "EPOCHS", (120,))
    monkeypatch.setattr(searching, "MOST_SPLITS", 2)


def searched(run: Run, *argv: object) -> tuple[list[str], dict[str, Any]]:
    result = run("train", *argv, "--quiet", "--no-check", "--no-report", "--overwrite")
    assert result.code == 0, result.err
    folder = Path(str(argv[argv.index("--out") + 1]))
    content = json.loads((folder / "run.json").read_text())
    assert isinstance(content, dict)
    return result.out.splitlines(), content


@pytest.mark.usefixtures("brief")
def test_what_was_chosen_is_printed_kept_and_repeated(run: Run, moons: Path) -> None:
    lines, content = searched(run, moons, "--target", "side", "--out", "first")
    heading = next(line for line in lines if line.startswith("epochs and penalty by 2 inner splits"))
    chosen = lines[lines.index(heading) + 1]
    found = re.match(r"(\d+) epochs, penalty (\S+): (the usual, )?score ", chosen)
    assert found is not None, chosen
    assert int(found[1]) == content["settings"]["epochs"] == content["result"]["epochs"]
    tried = content["search"]["tried"]
    assert f"{len(tried)} tried" in heading
    best = min((entry for entry in tried if entry["score"] is not None), key=lambda entry: entry["score"])
    assert content["settings"]["penalty"] == (tried[0] if found[3] else best)["penalty"]
    again, repeated = searched(run, moons, "--target", "side", "--out", "second", "--threads", 1)
    assert repeated["search"] == content["search"]
    assert again[-1] == lines[-1]
    for name, values in load(Path("second") / content["model"]).parameters.items():
        np.testing.assert_array_equal(values, load(Path("first") / content["model"]).parameters[name])
    told = ("--epochs", content["settings"]["epochs"], "--penalty", content["settings"]["penalty"])
    lines, content = searched(run, moons, "--target", "side", "--out", "third", *told)
    assert content["search"] is None
    assert not any(line.startswith("epochs and penalty by") for line in lines)
    for name, values in load(Path("third") / content["model"]).parameters.items():
        np.testing.assert_array_equal(values, load(Path("first") / content["model"]).parameters[name])


@pytest.mark.usefixtures("brief")
def test_the_test_part_is_never_looked_at(run: Run, moons: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Array] = []
    whole: list[Problem] = []
    real, described = searching.search, Problem.describe
    monkeypatch.setattr(Problem, "describe", lambda self, seed: whole.append(self) or described(self, seed))

    def look(network: Any, X: Array, *rest: Any) -> Any:
        seen.append(X)
        return real(network, X, *rest)

    monkeypatch.setattr("chainrule.cli.commands.train.search", look)
    searched(run, moons, "--target", "side", "--out", "run", "--validation", "0.1")
    assert len(seen[0]) == 144  # of 200: a fifth held out, then a tenth of the rest
    held_out = {row.tobytes() for row in whole[0].X_test}
    assert not held_out & {row.tobytes() for row in seen[0]}


@pytest.mark.usefixtures("brief")
def test_numbers_and_networks_of_a_file(run: Run, prices: Path) -> None:
    Path("net.toml").write_text('layers = [{type = "Dense", units = 8}, "Tanh", {type = "Dense", units = 1}]')
    lines, content = searched(run, prices, "--target", "price", "--out", "run", "--network", "net.toml")
    assert content["search"]["tried"][0]["epochs"] == 60
    assert float(lines[-1].split()[-1]) > 0.9


@pytest.mark.usefixtures("brief")
def test_a_candidate_that_overflows_is_not_taken(
    run: Run, moons: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chainrule.training import fit as fitting

    real = fitting.fit

    def fit(*given: Any, **named: Any) -> Any:
        if named["epochs"] == 120:
            raise NonFiniteError("became NaN")
        return real(*given, **named)

    monkeypatch.setattr(fitting, "fit", fit)
    _, content = searched(run, moons, "--target", "side", "--out", "run")
    assert content["settings"]["epochs"] == 60
    assert content["search"]["tried"][1]["first_split"] is None  # infinite
