"""Progress lines, captured, with a clock that the test turns."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import Any

import pytest

from chainrule.base.errors import MissingExtraError
from chainrule.training.history import Row
from chainrule.training.progress import (
    LineProgress,
    Progress,
    TerminalProgress,
    TqdmProgress,
    duration,
    progress_from,
)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def row(epoch: int, **changes: Any) -> Row:
    return Row(epoch, **{"loss": 0.5 / epoch, "accuracy": 0.75, "seconds": 1.5, **changes})


def start(kind: Callable[..., Any], epochs: int) -> tuple[Any, io.StringIO, Clock]:
    stream, clock = io.StringIO(), Clock()
    progress = kind(stream, clock)
    progress.begin(epochs, steps=200, samples=6400)
    return progress, stream, clock


def test_lines_one_per_epoch() -> None:
    progress, stream, clock = start(LineProgress, 2)
    for epoch, extra in ((1, {}), (2, {"validation_loss": 0.3, "validation_accuracy": 0.8})):
        progress.step(epoch, 50, 0.6, 0.7)
        clock.now += 1.5
        progress.end_epoch(row(epoch, **extra))
    progress.close()
    assert stream.getvalue().splitlines() == [
        "epoch 1/2  loss 0.5000  accuracy 75.00 %  1.5 s",
        "epoch 2/2  loss 0.2500  accuracy 75.00 %  validation loss 0.3000  accuracy 80.00 %  1.5 s",
    ]


def test_lines_are_throttled_to_one_per_second_and_the_last_is_always_shown() -> None:
    progress, stream, clock = start(LineProgress, 1000)
    for epoch in range(1, 28):
        clock.now += 0.125
        progress.end_epoch(row(epoch, accuracy=None))
    shown = [int(line.split("/")[0].split()[1]) for line in stream.getvalue().splitlines()]
    assert shown == [1, 9, 17, 25]
    progress.close()  # stopped early
    assert stream.getvalue().splitlines()[-1] == "epoch   27/1000  loss 0.0185  1.5 s"
    size = len(stream.getvalue())
    progress.close()
    assert len(stream.getvalue()) == size


def test_terminal_rewrites_one_line_with_speed_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    progress, stream, clock = start(TerminalProgress, 10)
    clock.now += 2.0
    progress.step(1, 50, 0.6, 0.7)  # 50 of 2000 steps in 2 s, 1600 samples
    shown = "epoch  1/10  step  50/200  loss 0.6000  accuracy 70.00 %  800 samples/s  1:18 left"
    assert stream.getvalue() == "\r" + shown
    clock.now += 0.01
    progress.step(1, 51, 0.6, 0.7)  # too soon
    assert stream.getvalue() == "\r" + shown
    clock.now += 6.0
    progress.end_epoch(row(1))
    final = "epoch  1/10  loss 0.5000  accuracy 75.00 %  1.5 s"
    assert stream.getvalue() == "\r" + shown + "\r" + final + " " * (len(shown) - len(final)) + "\n"


def test_terminal_within_the_first_step_shows_no_loss() -> None:
    progress, stream, clock = start(TerminalProgress, 1)
    clock.now += 1.0
    progress.step(1, 0, 0.0, 0.0)
    assert stream.getvalue() == "\repoch 1/1  step   0/200"


def test_terminal_line_never_wraps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    progress, stream, clock = start(TerminalProgress, 10)
    clock.now += 2.0
    progress.step(1, 50, 0.6, 0.7)
    assert stream.getvalue() == "\repoch  1/10  step  50/200  loss 0.6000  "[:40]
    monkeypatch.setenv("COLUMNS", "80")  # the speed is what is left out first
    progress, stream, clock = start(TerminalProgress, 10)
    clock.now += 2.0
    progress.step(1, 50, 0.6, 0.7)
    assert stream.getvalue().endswith("accuracy 70.00 %  1:18 left")


def test_terminal_keeps_short_epochs_on_one_line_and_ends_on_a_fresh_one() -> None:
    progress, stream, clock = start(TerminalProgress, 100)
    for epoch in range(1, 5):
        clock.now += 0.2
        progress.end_epoch(row(epoch))
    assert stream.getvalue().count("\n") == 1
    progress.step(5, 10, 0.1, 0.9)
    progress.close()
    assert stream.getvalue().endswith("1.5 s\n")
    progress, stream, clock = start(TerminalProgress, 100)
    clock.now += 1
    progress.step(1, 10, 0.1, 0.9)
    progress.close()  # interrupted within the first epoch
    assert stream.getvalue().endswith("left\n")


def test_tqdm_counts_all_steps() -> None:
    pytest.importorskip("tqdm")
    stream = io.StringIO()
    progress = TqdmProgress(stream)
    progress.begin(2, steps=10, samples=320)
    progress.step(1, 0, 0.0, 0.0)
    progress.step(1, 4, 0.5, 0.5)
    progress.end_epoch(row(1))
    progress.step(2, 5, 0.25, 0.9)
    progress.end_epoch(row(2))
    assert progress.bar.n == progress.bar.total == 20
    progress.close()
    assert "epoch 2, loss 0.2500, accuracy 75.00 %" in stream.getvalue()


def test_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stderr", io.StringIO())
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    assert type(progress_from(None)) is Progress
    assert type(progress_from(False)) is Progress
    assert type(progress_from(True)) is LineProgress
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    assert type(progress_from(None)) is LineProgress
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    assert type(progress_from(None)) is TerminalProgress
    assert type(progress_from(False)) is Progress
    monkeypatch.setenv("TERM", "dumb")
    assert type(progress_from(True)) is LineProgress
    mine = Progress()
    assert progress_from(mine) is mine
    with pytest.raises(ValueError, match="progress must be True, False, None"):
        progress_from("bar")
    monkeypatch.setitem(sys.modules, "tqdm", None)
    with pytest.raises(MissingExtraError, match="progress='tqdm' needs tqdm"):
        progress_from("tqdm")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0:00"), (42, "0:42"), (725, "12:05"), (3723.4, "1:02:03")]
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text
