"""Standard streams that are closed, full or read by nobody: a line at most, and no training is lost."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.cli_result import Run

pytestmark = pytest.mark.skipif(os.name == "nt", reason="a shell of POSIX")


FULL = "chainrule: standard output: No space left on device\n"
LOST = "chainrule: standard output is closed, so the result is lost\n"


def shell(line: str, place: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A line of sh in which $C is the command."""
    variables = {**os.environ, "C": f"{sys.executable} -m chainrule", **environment}
    program = subprocess.Popen(
        ["sh", "-c", line],
        cwd=place,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with program:
        try:
            out, err = program.communicate(timeout=600)
        finally:
            with contextlib.suppress(ProcessLookupError):  # what is left of the line, the command too
                os.killpg(program.pid, signal.SIGKILL)
    return subprocess.CompletedProcess(line, program.returncode, out, err)


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("$C info >&-", 1, LOST),
        ("$C info >&- 2>&-", 1, ""),
        ("$C info <&- 2>&- >/dev/null", 0, ""),
        ("$C train none.csv 2>&-", 2, ""),
        ("$C info >/dev/full", 2, FULL),
        ("$C --version >&-", 1, LOST),
        ("$C train --help >&-", 1, LOST),
        ("$C --version >/dev/full", 2, FULL),
        ("$C --help >/dev/full", 2, FULL),
        ("PYTHONUNBUFFERED=1 $C --help >/dev/full", 2, FULL),
        ("$C train >&- 2>&-", 2, ""),
        ("$C predict run flowers.csv >/dev/full", 2, FULL),
        ("$C predict run many.csv >/dev/full", 2, FULL),
        ("$C predict run many.csv >&-", 1, LOST),
        ("$C explain run --step <&- >&-", 1, LOST),
    ],
)
def test_streams_that_take_nothing(run: Run, flowers: Path, line: str, code: int, said: str) -> None:
    if " run " in line:
        train = ("train", flowers, "--target", "species", "--epochs", 1)
        run(*train, "--no-check", "--no-report", "--out", "run")
        Path("many.csv").write_text("length,width,weight\n" + "1,2,3\n" * 20_000)
    result = shell(line, flowers.parent)
    reading = [line for line in result.stderr.splitlines() if line.startswith("reading ")]
    assert result.returncode == code
    assert "".join(f"{line}\n" for line in result.stderr.splitlines() if line not in reading) == said


def test_output_that_is_cut_off(run: Run, flowers: Path) -> None:
    run("train", flowers, "--target", "species", "--epochs", 1, "--no-check", "--no-report", "--out", "run")
    many = "\n".join(["length,width,weight"] + ["1,2,3"] * 20000)
    Path("many.csv").write_text(many + "\n")
    for line in ("$C info | head -1", "$C predict run many.csv | head -1", "$C doctor run | head -1"):
        result = shell(line, flowers.parent)
        assert [one for one in result.stderr.splitlines() if not one.startswith("reading ")] == []
        assert result.stdout.count("\n") == 1


@pytest.mark.turns(2)
@pytest.mark.parametrize("output", [">&- 2>&-", ">/dev/full 2>/dev/full", "2>&1 | head -1 >first", "| true"])
def test_training_goes_on_without_anybody_who_reads(run: Run, flowers: Path, output: str) -> None:
    train = "$C train flowers.csv --target species --epochs 30 --no-check --no-report --out run"
    result = shell(f"{train} {output}; cat run/run.json", flowers.parent)
    assert '"epochs": 30' in result.stdout
    assert "Traceback" not in result.stderr
    assert run("predict", "run", flowers).code == 0


def test_progress_whose_stream_fails_is_silent_from_then_on() -> None:
    from chainrule.training.history import Row
    from chainrule.training.progress import LineProgress, TerminalProgress

    class Broken:
        calls = 0

        def write(self, _: str) -> None:
            self.calls += 1
            raise BrokenPipeError

        def flush(self) -> None: ...

    for kind in (LineProgress, TerminalProgress):
        stream = Broken()
        progress = kind(stream)  # type: ignore[arg-type]
        progress.begin(3, 1, 1)
        for epoch in (1, 2, 3):
            progress.step(epoch, 1, 0.5, None)
            progress.end_epoch(Row(epoch, 0.5, rate=0.1, seconds=0.1))
        progress.close()
        assert stream.calls == 1


@pytest.mark.parametrize(
    ("encoding", "commands"),
    [
        ({"PYTHONIOENCODING": "ascii"}, ("explain run --samples 2", "check run")),
        ({"LC_ALL": "C", "PYTHONUTF8": "0"}, ("explain run --samples 2", "doctor run", "info")),
    ],
)
def test_output_that_is_ascii(
    run: Run, flowers: Path, encoding: dict[str, str], commands: tuple[str, ...]
) -> None:
    run("train", flowers, "--target", "species", "--epochs", 1, "--no-check", "--no-report", "--out", "run")
    for command in commands:
        result = shell(f"$C {command}", flowers.parent, **encoding)
        assert result.returncode in (0, 1)
        assert "Traceback" not in result.stderr


@pytest.mark.parametrize("encoding", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}])
def test_predictions_in_a_file_are_utf_8_in_every_locale(
    run: Run, flowers: Path, encoding: dict[str, str]
) -> None:
    text = flowers.read_text().replace("aster", "紫菀").replace("crocus", "Šafrán")
    flowers.write_text(text, encoding="utf-8")
    run("train", flowers, "--target", "species", "--epochs", 20, "--no-check", "--no-report", "--out", "run")
    assert shell("$C predict run flowers.csv > out.csv", flowers.parent, **encoding).returncode == 0
    predicted = (flowers.parent / "out.csv").read_text(encoding="utf-8")
    assert "紫菀" in predicted
    assert "Šafrán" in predicted


def test_a_folder_that_is_gone(flowers: Path) -> None:
    train = f"$C train {flowers} --target species --out x --epochs 1"
    result = shell(f"mkdir gone && cd gone && rmdir ../gone && {train}", flowers.parent)
    assert result.returncode != 0
    assert result.stderr.startswith("chainrule: ")
    assert result.stderr.count("\n") == 1


def test_a_user_without_a_home(flowers: Path) -> None:
    """HOME cannot be made or written to; what is asked for needs it only for MNIST."""
    assert shell("HOME=/dev/null $C info", flowers.parent).returncode == 0
    line = "HOME=/dev/null XDG_CACHE_HOME= $C train mnist --url http://127.0.0.1:9"
    result = shell(line, flowers.parent)
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith("chainrule: ")
    assert "Traceback" not in result.stderr


def test_an_error_of_chainrule_itself_is_a_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def facts() -> None:
        raise KeyError("\x1b[31mlanes")

    monkeypatch.setattr("chainrule.cli.commands.info.facts", facts)
    result = run("info")
    assert result.code == 3
    assert result.err == (
        "chainrule: an error of chainrule itself, KeyError: '\\x1b[31mlanes'; "
        "CHAINRULE_TRACEBACK=1 shows where\n"
    )
    monkeypatch.setenv("CHAINRULE_TRACEBACK", "1")
    with pytest.raises(KeyError):
        run("info")
