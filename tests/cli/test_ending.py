"""Signals: a training that is asked to end leaves a run folder that can be used, whatever asks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chainrule.cli import ending
from chainrule.networks.network import load
from tests.cli.cli_result import Run

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals")

ENDS = {
    "SIGINT": (130, "interrupted"),
    "SIGTERM": (143, "ended by SIGTERM"),
    "SIGHUP": (129, "ended by SIGHUP"),
}


@pytest.fixture(autouse=True)
def usual_handlers() -> Iterator[None]:
    """The handlers a program starts with, even where the tests run in the background; put back afterwards."""
    before = {name: signal.getsignal(getattr(signal, name)) for name in ENDS}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)


def send(name: str) -> None:
    os.kill(os.getpid(), getattr(signal, name))


def training(flowers: Path, *more: object) -> list[str]:
    argv = ["train", flowers, "--target", "species", "--no-check", "--out", "run", *more]
    return [str(argument) for argument in argv]


@pytest.mark.turns(2)
@pytest.mark.parametrize("name", ENDS)
def test_a_training_program_ends_with_a_usable_run(
    run: Run, flowers: Path, tmp_path: Path, name: str
) -> None:
    code, said = ENDS[name]
    program = subprocess.Popen(
        [sys.executable, "-m", "chainrule", *training(flowers, "--epochs", 10**8)],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert program.stderr is not None
        program.stderr.readline()  # the first epoch's line: training runs
        program.send_signal(getattr(signal, name))
        out, err = program.communicate(timeout=600)
    finally:
        program.kill()
        program.wait()
        for pipe in (program.stdout, program.stderr):
            assert pipe is not None
            pipe.close()
    assert program.returncode == code, err
    assert err.splitlines()[-1] == f"chainrule: {said}"
    assert "Traceback" not in err
    assert out.splitlines()[-1] == "run folder run"
    content = json.loads((tmp_path / "run" / "run.json").read_text())
    assert content["result"]["stopped"] == "interrupted"
    assert (tmp_path / "run" / "history.csv").exists()
    assert run("predict", "run", flowers).code == 0


@pytest.mark.parametrize("name", ENDS)
def test_a_signal_while_the_program_itself_is_loaded_ends_it_with_a_line(name: str) -> None:
    code, said = ENDS[name]
    script = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "signal.signal(signal.SIGTERM, signal.SIG_DFL)\n"
        "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"
        "class Interrupting:\n    def find_spec(self, name, *_):\n"
        f"        if name == 'numpy':\n            os.kill(os.getpid(), signal.{name})\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "from chainrule.__main__ import run\nsys.exit(run())"
    )
    argv = [sys.executable, "-c", script, "train", "digits"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (code, f"chainrule: {said}\n")


@pytest.mark.parametrize("name", ENDS)
def test_a_signal_while_the_data_is_loaded_leaves_no_folder(
    run: Run, flowers: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("chainrule.cli.commands.train.load_problem", lambda *_, **__: send(name))
    result = run(*training(flowers))
    assert (result.code, result.err) == (ENDS[name][0], f"chainrule: {ENDS[name][1]}\n")
    assert not Path("run").exists()


@pytest.mark.parametrize("place", ["save_ensemble", "save_description", "remove_history"])
@pytest.mark.parametrize("name", ENDS)
def test_a_signal_waits_until_the_files_are_written(
    run: Run, flowers: Path, monkeypatch: pytest.MonkeyPatch, name: str, place: str
) -> None:
    import chainrule.cli.training.job as job

    original = getattr(job, place)

    def signalled(*arguments: object) -> object:
        if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:  # the first call; a second signal ends
            send(name)
        return original(*arguments)

    monkeypatch.setattr(job, place, signalled)
    result = run(*training(flowers, "--epochs", 1, "--quiet"))
    assert result.code == ENDS[name][0]
    assert result.err.splitlines()[-1] == f"chainrule: {ENDS[name][1]}"
    assert {"history.csv", "run.json"} <= {path.name for path in Path("run").iterdir()}
    assert run("predict", "run", flowers).code == 0


@pytest.mark.parametrize("place", ["write_report", "measure", "save_curves"])
def test_a_signal_after_the_files_are_written_keeps_them(
    run: Run, flowers: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setattr(f"chainrule.cli.training.job.{place}", lambda *_: send("SIGTERM"))
    result = run(*training(flowers, "--epochs", 1, "--quiet"))
    assert result.code == 143
    assert "run folder run" in result.out
    assert json.loads(Path("run/run.json").read_text())["result"]["epochs"] == 1
    assert not Path("run/report.html").exists()
    assert run("predict", "run", flowers).code == 0


def test_a_second_signal_ends_at_once(flowers: Path, tmp_path: Path) -> None:
    slow = (
        "import sys, time, chainrule.cli.ending as ending, chainrule.cli.training.job as job\n"
        "def save(*_):\n    print('saving', flush=True)\n"
        "    while ending._state.pending is None:\n        time.sleep(0.01)\n"
        "    print('asked', flush=True)\n    time.sleep(600)\n"
        "job.save_ensemble = save\n"
        "from chainrule.cli import main\nsys.exit(main(sys.argv[1:]))"
    )
    program = subprocess.Popen(
        [sys.executable, "-c", slow, *training(flowers, "--epochs", 1, "--quiet")],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert program.stdout is not None
        assert "saving\n" in iter(program.stdout.readline, "")
        program.send_signal(signal.SIGTERM)
        assert program.stdout.readline() == "asked\n"  # it waits for the file
        program.send_signal(signal.SIGHUP)  # a terminal that closes sends several; they do not count
        with pytest.raises(subprocess.TimeoutExpired):
            program.wait(0.2)
        program.send_signal(signal.SIGTERM)
        assert program.wait(600) == -signal.SIGTERM
    finally:
        program.kill()
        program.wait()
        assert program.stdout is not None
        program.stdout.close()


def test_handlers_are_put_back(run: Run) -> None:
    before = [signal.getsignal(getattr(signal, name)) for name in ENDS]
    assert run("info").code == 0
    assert run("train", "none.csv").code == 2
    assert [signal.getsignal(getattr(signal, name)) for name in ENDS] == before


def test_an_ignored_signal_and_a_handler_of_ones_own_stay(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job in the background and `nohup` ignore signals; a program that calls `main` may handle them."""
    seen: list[object] = []

    def own(*_: object) -> None:
        raise AssertionError

    def facts() -> dict[str, str]:
        seen.extend(signal.getsignal(getattr(signal, name)) for name in ENDS)
        return {"a": "b"}

    monkeypatch.setattr("chainrule.cli.commands.info.facts", facts)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, own)
    assert run("info").code == 0
    assert seen == [signal.SIG_IGN, own, signal.SIG_IGN]


def test_signals_wait_only_within_deferred() -> None:
    order: list[str] = []

    def waiting() -> None:
        with ending.handled():
            with ending.deferred():
                send("SIGTERM")
                order.append("written")
            order.append("never")

    with pytest.raises(ending.Ended) as raised:
        waiting()
    assert order == ["written"]
    assert raised.value.code == 143


def test_another_thread_runs_commands_and_leaves_the_handlers(run: Run, flowers: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(run, *training(flowers, "--epochs", 1, "--quiet")).result()
    assert result.code == 0
    assert load(Path("run/model.safetensors")).output_shape == (3,)
