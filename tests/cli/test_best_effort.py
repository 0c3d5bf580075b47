"""After training: what matters is written first, and nothing that fails later loses it or the exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule.base.errors import FileError
from chainrule.training.history import History, Row
from tests.cli.cli_result import Run

NOTEBOOK = "module://matplotlib_inline.backend_inline"  # what notebooks export to the programs they start


def training(flowers: Path, *more: object) -> tuple[object, ...]:
    return (
        "train",
        flowers,
        "--target",
        "species",
        "--epochs",
        1,
        "--quiet",
        "--no-check",
        "--out",
        "run",
        *more,
    )


def raising(error: BaseException) -> Any:
    def call(*_: object, **__: object) -> None:
        raise error

    return call


@pytest.mark.turns(2)
@pytest.mark.parametrize("backend", [NOTEBOOK, "no such backend", "tkagg"])
def test_a_backend_that_is_not_installed_is_not_needed(flowers: Path, tmp_path: Path, backend: str) -> None:
    pytest.importorskip("matplotlib")
    result = subprocess.run(
        [sys.executable, "-m", "chainrule", *map(str, training(flowers, "--no-report"))],
        cwd=tmp_path,
        env={**os.environ, "MPLBACKEND": backend},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        *("run.json", "rows.npz", "history.csv", "curves.png", "model.safetensors"),
    }
    assert (tmp_path / "run" / "curves.png").read_bytes().startswith(b"\x89PNG")


ERRORS = [
    ValueError("Key backend: 'x' is not a valid value"),
    ImportError("libfreetype.so.6: cannot open shared object file"),
    RuntimeError("no fonts"),
    OSError(28, "No space left on device"),
    MemoryError(),
    RecursionError("maximum recursion depth exceeded"),
    AttributeError("module 'matplotlib' has no attribute 'x'"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_matplotlib_that_fails_gives_an_svg_and_a_line(
    run: Run, flowers: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(History, "plot", raising(error))
    result = run(*training(flowers, "--no-report"))
    assert result.code == 0
    assert result.err.startswith("chainrule: run/curves.png was not written (")
    assert result.err.count("\n") == 1
    assert {path.name for path in Path("run").iterdir()} >= {"run.json", "history.csv", "curves.svg"}
    assert result.out.splitlines()[-1].startswith("test accuracy")


@pytest.mark.turns(2)
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
    ("place", "missing"),
    [
        ("chainrule.cli.training.job.save_curves", "curves"),
        ("chainrule.cli.samples.explained", "report.html"),
    ],
)
def test_a_picture_or_a_report_that_fails_is_a_line(
    run: Run, flowers: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, place: str, missing: str
) -> None:
    monkeypatch.setattr(place, raising(error))
    result = run(*training(flowers))
    assert result.code == 0
    assert "not written" in result.err or "no picture" in result.err
    assert missing in result.err
    assert result.err.count("\n") == 1
    assert not any(path.name.startswith(missing) for path in Path("run").iterdir())
    assert json.loads(Path("run/run.json").read_text())["result"]["test_accuracy"] > 0.2
    assert run("predict", "run", flowers).code == 0


def test_the_run_is_on_disk_before_pictures_and_reports(
    run: Run, flowers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[set[str]] = []
    for place in ("save_curves", "measure", "write_report"):
        monkeypatch.setattr(
            f"chainrule.cli.training.job.{place}",
            lambda *_: seen.append({path.name for path in Path("run").iterdir()}),
        )
    run(*training(flowers))
    assert len(seen) >= 2
    assert all({"run.json", "history.csv"} <= names for names in seen)
    assert all(any(name.startswith("model.") for name in names) for names in seen)


def test_a_test_that_fails_is_told_and_the_run_kept(
    run: Run, flowers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chainrule.base.errors import NonFiniteError

    monkeypatch.setattr(
        "chainrule.cli.training.job.measure", raising(NonFiniteError("the output is infinite"))
    )
    result = run(*training(flowers))
    assert (result.code, result.err) == (1, "chainrule: the output is infinite\n")
    assert json.loads(Path("run/run.json").read_text())["result"]["epochs"] == 1
    assert run("predict", "run", flowers).code == 0


@pytest.mark.usefixtures("drawn_curves")
def test_a_figure_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    history = History([Row(1, 0.5), Row(2, 0.25)])
    for name in ("curves.png", "curves.svg", "curves.pdf"):
        history.plot(tmp_path / name)
        before = (tmp_path / name).read_bytes()

        def half(_: Figure, stream: Any, **__: object) -> None:
            stream.write(b"half")
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(Figure, "savefig", half)
            with pytest.raises(FileError, match="No space left"):
                history.plot(tmp_path / name)
        assert (tmp_path / name).read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 3


def test_a_result_that_is_not_finite_is_null_in_run_json(
    run: Run, flowers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import chainrule.cli.training.job as job

    def measure(_: job.Job, result: dict[str, Any]) -> list[str]:
        result |= {"test_rmse": float("nan"), "test_r2": -float("inf")}
        return ["test error nan"]

    monkeypatch.setattr(job, "measure", measure)
    assert run(*training(flowers, "--no-report")).code == 0
    result = json.loads(Path("run/run.json").read_text())["result"]
    assert (result["test_rmse"], result["test_r2"]) == (None, None)


@pytest.mark.skipif(os.name == "nt", reason="bytes as names of files")
def test_a_folder_whose_name_is_not_utf8(run: Run, flowers: Path) -> None:
    name = os.fsdecode(b"r\xff")
    argv = [*training(flowers, "--no-report")]
    argv[argv.index("run")] = name
    result = run(*argv)
    assert result.code == 0
    assert r"run folder r\udcff" in result.out
    assert json.loads((Path(name) / "run.json").read_text())["arguments"]["out"] == name
    assert np.isfinite(float(run("predict", name, flowers).out.splitlines()[1].split(",")[1]))
