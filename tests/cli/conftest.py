"""The command line in this process, in a folder of its own."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule.base.files.disk import write_whole
from chainrule.cli import main
from chainrule.training import history
from tests.cli.cli_result import Result, Run


@pytest.fixture
def drawn_curves() -> None:
    """For tests that look at curves.png itself: it is drawn for every run."""


@pytest.fixture(autouse=True)
def curves_of_another_run(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """matplotlib makes the figure of every run, but draws one alone: nine tenths of a short training went
    there.
    """
    if "drawn_curves" not in request.fixturenames:
        monkeypatch.setattr(history, "_save_figure", save_picture)


@cache
def picture() -> bytes:
    figure = history.History([history.Row(1, 0.5, None, None, None, 0.1, 1.0)]).plot()
    drawn: bytes = figure._repr_png_()
    return drawn


def save_picture(figure: Any, path: Path) -> None:
    assert figure.axes
    write_whole(path, lambda stream: stream.write(picture()))


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Call `chainrule` with these arguments in tmp_path."""
    monkeypatch.chdir(tmp_path)

    def call(*argv: object) -> Result:
        capsys.readouterr()
        code = main([str(argument) for argument in argv])
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return call


@pytest.fixture
def flowers(tmp_path: Path) -> Path:
    """Three classes by name that two of the three features tell apart; the features differ in scale."""
    rng = np.random.default_rng(0)
    lines = ["length,width,weight,species"]
    for name, centre in (("aster", 0.0), ("bellis", 4.0), ("crocus", 8.0)):
        for length, width, weight in rng.normal([centre, -centre, 500], [0.5, 0.5, 100], (30, 3)):
            lines.append(f"{length:.4f},{width:.4f},{weight:.2f},{name}")
    path = tmp_path / "flowers.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def prices(tmp_path: Path) -> Path:
    """A target in the thousands, linear in two features."""
    rng = np.random.default_rng(0)
    X = rng.normal([10, 0.1], [3, 0.02], (120, 2))
    y = 2000 * X[:, 0] + 30000 * X[:, 1] + 50000 + rng.normal(0, 100, 120)
    path = tmp_path / "prices.csv"
    rows = (f"{area:.4f},{rate:.5f},{price:.2f}" for (area, rate), price in zip(X, y, strict=True))
    path.write_text("area,rate,price\n" + "\n".join(rows) + "\n")
    return path


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """uint8 images (N, 6, 6), bright above or below."""
    rng = np.random.default_rng(0)
    X = rng.integers(0, 60, (60, 6, 6), dtype=np.uint8)
    y = np.arange(60) % 2
    X[y == 0, :3] += 150
    X[y == 1, 3:] += 150
    path = tmp_path / "pictures.npz"
    np.savez(path, X=X, y=y)
    return path
