"""`chainrule explain`: a run's own held-out samples, or a file's, in every form."""

from __future__ import annotations

import io
import json
import shutil
import sys
from pathlib import Path

import pytest

from chainrule.cli import main
from tests.cli.cli_result import Run


@pytest.fixture(scope="module")
def kept_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first test that wants a trained run leaves it for the others."""
    return tmp_path_factory.mktemp("kept")


@pytest.fixture
def flower_run(run: Run, flowers: Path, kept_run: Path) -> Path:
    if not (kept_run / "run").exists():
        shutil.copy(flowers, kept_run)  # the run says where its data is
        argv = ("train", kept_run / flowers.name, "--target", "species", "--epochs", 3)
        result = run(*argv, "--quiet", "--no-check", "--out", "run")
        assert result.code == 0
        assert "how it computes, step by step: run/report.html" in result.out
        assert result.out.splitlines()[-1].startswith("test accuracy")
        shutil.copytree("run", kept_run / "run")
    else:
        shutil.copytree(kept_run / "run", "run")
    return Path("run")


def test_training_ends_with_a_report(flower_run: Path) -> None:
    page = (flower_run / "report.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in page


def test_training_without_a_report(run: Run, flowers: Path) -> None:
    argv = ("train", flowers, "--target", "species", "--epochs", 1, "--quiet", "--no-check", "--out", "bare")
    assert "report.html" not in run(*argv, "--no-report").out
    assert not (Path("bare") / "report.html").exists()


@pytest.mark.parametrize("name", ["page.html", "paper.tex", "document.json", "text.md", "text.txt"])
def test_every_form(run: Run, flower_run: Path, name: str) -> None:
    result = run("explain", flower_run, "-o", name)
    assert (result.code, result.out) == (0, f"report {name}\n")
    assert Path(name).stat().st_size > 5000


def test_the_penalty_of_the_run_is_in_it(run: Run, flower_run: Path) -> None:
    run("explain", flower_run, "-o", "document.json", "--samples", 3)
    document = json.loads(Path("document.json").read_text(encoding="utf-8"))
    told = json.loads((flower_run / "run.json").read_text(encoding="utf-8"))
    assert document["meta"]["penalty"] == f"L2(lam={told['settings']['penalty']}, per_sample=False)"
    assert document["meta"]["samples"] == 3
    assert document["meta"]["training_size"] == 72


def test_errata_are_asked_for(run: Run, flower_run: Path) -> None:
    assert "Errata of the references" not in run("explain", flower_run, "--language", "en").out
    assert "Errata of the references" in run("explain", flower_run, "--language", "en", "--errata").out


def test_a_notation_by_its_former_name(run: Run, flower_run: Path) -> None:
    run("explain", flower_run, "-o", "document.json", "--notation", "seed000")
    assert json.loads(Path("document.json").read_text(encoding="utf-8"))["meta"]["notation"] == "tutorial"


def test_in_the_terminal(run: Run, flower_run: Path) -> None:
    result = run("explain", flower_run, "--language", "en")
    assert result.code == 0
    assert "F1" in result.out
    assert "δ" in result.out


def test_on_a_file(run: Run, flower_run: Path, flowers: Path) -> None:
    result = run("explain", flower_run, "--data", flowers, "--sample", 5, "-o", "page.html")
    assert result.code == 0


def test_markdown_has_its_pictures_beside_it(run: Run, flower_run: Path) -> None:
    run("explain", flower_run, "-o", "notes.md", "--language", "en")
    text = Path("notes.md").read_text(encoding="utf-8")
    pictures = sorted(Path("notes_files").glob("*.svg"))
    assert len(pictures) > 3
    assert all(f"(notes_files/{picture.name})" in text for picture in pictures)


@pytest.mark.parametrize("name", ["sheet.html", "sheet.tex", "sheet.md", "sheet.txt"])
def test_a_worksheet(run: Run, flower_run: Path, name: str) -> None:
    argv = ("explain", flower_run, "--worksheet", "--language", "en", "-o")
    result = run(*argv, name, "--blanks", 0.5, "--seed", 2)
    assert (result.code, result.out) == (0, f"report {name}\n")
    first = Path(name).read_text(encoding="utf-8")
    assert "Answer key" in first
    run(*argv, name, "--blanks", 0.5, "--seed", 3)
    assert Path(name).read_text(encoding="utf-8") != first


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("run", "--worksheet"), "--worksheet writes a file: add -o sheet.html"),
        (("run", "--worksheet", "-o", "w.json"), "--worksheet writes a file: add -o sheet.html"),
        (("run", "--worksheet", "-o", "w.tex", "--form", "beamer"), "leave out --form beamer"),
        (("run", "--blanks", "0.5", "-o", "w.tex"), "write --worksheet -o sheet.html as well"),
        (("run", "--seed", "1"), "write --worksheet -o sheet.html as well"),
        (("run", "--worksheet", "--blanks", "0", "-o", "w.tex"), "'0' is not a share, above 0 and at most 1"),
        (("run", "--form", "beamer", "-o", "w.md"), "write -o report.tex --form beamer"),
        (("run", "--step", "-o", "w.md"), "leave out -o"),
        (("run", "-o", "page.doc"), "ends in none of .html"),
        (("run", "--sample", "1000"), "--sample 1000: the data has the rows 0 to"),
        (("run/model.npz",), "no such run folder or model file"),
        (("run", "--data", "unlabelled.csv"), "has no labels"),
        (("run", "--data", "missing.csv"), "missing.csv"),
    ],
)
def test_what_is_refused(run: Run, flower_run: Path, argv: tuple[str, ...], words: str) -> None:
    Path("unlabelled.csv").write_text("length,width,weight\n1,2,3\n")
    result = run("explain", *argv)
    assert result.code == 2
    assert words in result.err


def test_a_model_alone_does_not_know_its_data(run: Run, flower_run: Path) -> None:
    model = next(flower_run.glob("model.*"))
    alone = Path(f"alone{model.suffix}")
    alone.write_bytes(model.read_bytes())
    result = run("explain", alone)
    assert result.code == 2
    assert "--data FILE.csv" in result.err


@pytest.mark.parametrize("ending", ["html", "md", "tex", "txt", "json"])
def test_a_missing_folder(run: Run, flower_run: Path, ending: str) -> None:
    result = run("explain", flower_run, "-o", f"none/report.{ending}")
    assert result.code == 2
    assert f"none/report.{ending}: cannot be written (there is no folder none: make it first)" in result.err


@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])  # the second: of LANG=C
@pytest.mark.parametrize("command", ["explain", "doctor"])
def test_an_output_that_is_ascii(
    command: str, errors: str, flower_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors=errors)
    monkeypatch.setattr(sys, "stdout", stream)
    assert main([command, str(flower_run), "--language", "en+zh"]) in (0, 1)
    stream.flush()
    assert b"?" in stream.buffer.getvalue()  # type: ignore[attr-defined]
