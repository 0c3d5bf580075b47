"""SIGTERM, Ctrl-C and SIGKILL: the step is finished and a checkpoint written, or the one before is there."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from interrupted import files, rows
from tests.pairwise import pairwise
from training_problems import blobs, classifier, same_bits, snapshot

import chainrule as cr
from chainrule.training.callbacks import Context
from chainrule.training.checkpoints.schema import read

X, Y = blobs(53)
OPTIONS: dict[str, Any] = {"epochs": 4, "batch_size": 8, "progress": False}
CODES = {"SIGINT": KeyboardInterrupt, "SIGTERM": SystemExit, "SIGHUP": SystemExit}


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Those of a program that handles none, and again those of before."""
    before = {name: signal.getsignal(getattr(signal, name)) for name in CODES}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # what runs in the background may ignore it
    yield
    for name, handler in before.items():
        signal.signal(getattr(signal, name), handler)


class Sending(cr.Callback):
    """Sends a signal to this process behind a step or an epoch."""

    def __init__(self, name: str, step: int | None = None, epoch: int | None = None) -> None:
        self.number, self.step, self.epoch = getattr(signal, name), step, epoch

    def on_epoch_end(self, context: Context) -> None:
        if context.epoch == self.epoch:
            signal.raise_signal(self.number)


class Stepping(Sending):
    def on_step_end(self, context: Context) -> None:
        if context.epoch == 1 and context.step == self.step:
            signal.raise_signal(self.number)


def handled() -> list[Any]:
    return [signal.getsignal(getattr(signal, name)) for name in CODES]


@pytest.mark.parametrize(("name", "place"), pairwise(CODES, ["step", "last step", "epoch", "last epoch"]))
def test_a_signal_writes_a_checkpoint_and_ends_training(name: str, place: str, tmp_path: Path) -> None:
    whole = classifier()
    expected = cr.fit(whole, X, Y, **OPTIONS)
    sending: dict[str, Callable[[], Sending]] = {
        "step": lambda: Stepping(name, step=3), "last step": lambda: Stepping(name, step=7),
        "epoch": lambda: Sending(name, epoch=2), "last epoch": lambda: Sending(name, epoch=4),
    }  # fmt: skip
    before, network = handled(), classifier()
    with pytest.raises(CODES[name]) as raised:
        cr.fit(network, X, Y, checkpoint=tmp_path, callbacks=sending[place](), **OPTIONS)
    if name != "SIGINT":
        assert raised.value.code == 128 + getattr(signal, name)  # type: ignore[attr-defined]
    assert handled() == before
    newest = read(max(tmp_path.iterdir()))
    at = {"step": (1, 3), "last step": (2, 0), "epoch": (2, 0), "last epoch": (4, 0)}[place]
    assert (newest.state["epoch"], newest.state["position"][0]) == at
    assert same_bits(snapshot(network), dict(newest.parameters))
    assert network.history.stopped.startswith("interrupted")
    again = classifier()
    history = cr.fit(again, X, Y, checkpoint=tmp_path, **OPTIONS)
    assert same_bits(snapshot(again), snapshot(whole))
    assert rows(history) == rows(expected)


def test_a_signal_within_the_compiled_loop(tmp_path: Path) -> None:
    """A timer sends it: the loop is left behind a step, without a callback."""
    options = {**OPTIONS, "epochs": 100_000, "batch_size": 1}
    timer = threading.Timer(0.5, signal.raise_signal, [signal.SIGTERM])
    timer.start()
    with pytest.raises(SystemExit):
        cr.fit(classifier(), X, Y, checkpoint=cr.Checkpoint(tmp_path, every_minutes=60), **options)
    timer.join()
    newest = read(max(tmp_path.iterdir()))
    epochs = newest.state["epoch"] + 2
    options["epochs"] = epochs
    whole, again = classifier(), classifier()
    expected = cr.fit(whole, X, Y, **options)
    history = cr.fit(again, X, Y, checkpoint=tmp_path, **options)
    assert same_bits(snapshot(again), snapshot(whole))
    assert rows(history) == rows(expected)


def test_minutes_within_an_epoch(tmp_path: Path) -> None:
    """The compiled loop is left when the time has come, at any step; the sums are the same."""
    big_X, big_y = blobs(60_000)
    options: dict[str, Any] = {"epochs": 1, "batch_size": 1, "progress": False}
    whole, parts = classifier(), classifier()
    expected = cr.fit(whole, big_X, big_y, **options)
    history = cr.fit(parts, big_X, big_y, checkpoint=cr.Checkpoint(tmp_path, every_minutes=1e-9), **options)
    assert int(files(tmp_path)[-1][11:16]) > 2  # one at the start, one at the end, and some between
    assert same_bits(snapshot(parts), snapshot(whole))
    assert rows(history) == rows(expected)


def test_a_second_signal_does_not_wait(tmp_path: Path) -> None:
    class Twice(cr.Callback):
        def on_step_end(self, context: Context) -> None:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            raise AssertionError

    with pytest.raises(KeyboardInterrupt):
        cr.fit(classifier(), X, Y, checkpoint=tmp_path, callbacks=Twice(), **OPTIONS)
    assert len(files(tmp_path)) == 1
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler


def test_a_handler_of_the_programs_own_is_called_behind_the_step(tmp_path: Path) -> None:
    """It may let training go on; then the next signal is noted again."""
    said: list[list[str]] = []

    def own(number: int, frame: Any) -> None:
        said.append(files(tmp_path))

    signal.signal(signal.SIGTERM, own)
    callbacks = [Stepping("SIGTERM", step=3), Sending("SIGTERM", epoch=3)]
    checkpoint = cr.Checkpoint(tmp_path, every_minutes=60, keep=9)
    cr.fit(classifier(), X, Y, checkpoint=checkpoint, callbacks=callbacks, **OPTIONS)
    assert [len(names) for names in said] == [2, 3]  # the one at the start, and one for every signal
    assert signal.getsignal(signal.SIGTERM) is own


def test_ignored_signals_stay_ignored(tmp_path: Path) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    assert cr.fit(
        classifier(), X, Y, checkpoint=tmp_path, callbacks=Stepping("SIGHUP", step=2), **OPTIONS
    ).epoch
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


def test_other_threads_leave_the_handlers(tmp_path: Path) -> None:
    seen: list[Any] = []
    before = handled()

    def train() -> None:
        callback = lambda context: seen.append(handled() == before)  # noqa: E731
        cr.fit(classifier(), X, Y, checkpoint=tmp_path, callbacks=callback, **OPTIONS)

    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert seen == [True] * 4
    assert len(files(tmp_path)) == 2


def test_without_checkpoints_ctrl_c_is_as_it_was() -> None:
    seen: list[Any] = []
    before = handled()
    cr.fit(classifier(), X, Y, callbacks=lambda context: seen.append(handled() == before), **OPTIONS)
    assert seen == [True] * 4


def test_the_process_ends_with_the_code_of_the_signal(tmp_path: Path) -> None:
    """`finally` blocks run, and the next start goes on."""
    program = (
        "import sys, chainrule as cr; sys.path.insert(0, sys.argv[2])\n"
        "from training_problems import blobs, classifier\n"
        "X, y = blobs(53)\n"
        "try:\n"
        "    cr.fit(classifier(), X, y, epochs=10**7, batch_size=8, checkpoint=sys.argv[1], progress=False,\n"
        "           callbacks=lambda c: print(c.epoch, flush=True))\n"
        "finally:\n"
        "    print('closed', flush=True)\n"
    )
    here = str(Path(__file__).parent)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, here])}
    for _ in range(2):
        command = [sys.executable, "-c", program, str(tmp_path / "a"), here]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
            assert process.stdout is not None
            begun = int(next(process.stdout))
            process.send_signal(signal.SIGTERM)
            *_, last = process.stdout
            assert last == "closed\n"
        assert process.returncode == 143
    assert begun > 1  # the second has gone on


def test_kills_at_random_moments() -> None:
    """`python -m tests.training.kills --kills 1000` is the long form."""
    command = [sys.executable, "-m", "tests.training.kills", "--kills", "20"]
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, str(root)])}
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert re.match(r"20 kills, .* all with the bits of the one that nobody killed", done.stdout)
