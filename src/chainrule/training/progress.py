"""Progress on stderr: a line that rewrites itself on a terminal, one line per epoch elsewhere, or tqdm.

It is told about steps only when the compiled loop polls (about every 50 ms), so it costs training nothing.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TextIO

from chainrule.base.errors import ArgumentError, MissingExtraError, describe
from chainrule.training.history import Row, format_cell

Clock = Callable[[], float]

# Every finished epoch stays on screen; of a run of many epochs only one per second, lest they scroll away.
MANY_EPOCHS = 20
SECONDS_BETWEEN_LINES = 1.0
SECONDS_BETWEEN_REWRITES = 0.05


class Progress:
    """Silence, and the base of all others: what the training loop calls.

    `begin` once, `step` when polled, `end_epoch` after each epoch, `close` once, however training ended.
    """

    unit = "epoch"  # what a row of the history is called

    def note(self, text: str) -> None:
        """Something that was inferred, before training begins."""

    def begin(self, epochs: int, steps: int, samples: int, finished: int = 0) -> None:
        """epochs of `steps` steps over `samples` samples (0: not known) are about to run; so many are
        `finished` already.
        """

    def step(self, epoch: int, step: int, loss: float, accuracy: float | None) -> None:
        """`step` steps of the epoch (from 1) are done; means over the epoch so far."""

    def end_epoch(self, row: Row) -> None:
        """The epoch is finished and validated."""

    def close(self) -> None:
        """Training has ended."""


class LineProgress(Progress):
    """One line per epoch; of more than 20 epochs at most one per second, and the last."""

    def __init__(self, stream: TextIO | None = None, clock: Clock = time.perf_counter) -> None:
        self.stream = sys.stderr if stream is None else stream  # None where the program has no stderr
        self.clock = clock
        self.epochs = self.steps = self.samples = self.finished = 0
        self.started = self.epoch_started = self.kept = 0.0
        self.unkept: Row | None = None

    def note(self, text: str) -> None:
        self.write(text + "\n")

    def begin(self, epochs: int, steps: int, samples: int, finished: int = 0) -> None:
        self.epochs, self.steps, self.samples, self.finished = epochs, steps, samples, finished
        self.started = self.epoch_started = self.clock()
        self.kept = -SECONDS_BETWEEN_LINES

    def end_epoch(self, row: Row) -> None:
        now = self.clock()
        self.epoch_started = now
        self.unkept = row
        keep = self.epochs <= MANY_EPOCHS or row.epoch == self.epochs
        if keep or now - self.kept >= SECONDS_BETWEEN_LINES:
            self.keep(row)
            self.kept = now

    def close(self) -> None:
        if self.unkept is not None:  # an early stop: its last epoch is the one to see
            self.keep(self.unkept)

    def keep(self, row: Row) -> None:
        """Print the epoch on a line that stays."""
        self.write(self.epoch_text(row) + "\n")
        self.unkept = None

    def write(self, text: str) -> None:
        """Write to the stream; one that is closed, full or read by nobody any more ends no training."""
        try:
            if self.stream is not None:
                self.stream.write(text)
                self.stream.flush()
        except (OSError, ValueError):  # ValueError: a stream that is closed
            self.stream = None

    def heading(self, epoch: int) -> str:
        return f"{self.unit} {epoch:{len(str(self.epochs))}}/{self.epochs}"

    def epoch_text(self, row: Row) -> str:
        parts = [self.heading(row.epoch), *measures("loss", row.loss, row.accuracy)]
        if row.validation_loss is not None:
            parts += measures("validation loss", row.validation_loss, row.validation_accuracy)
        for name, reached in row.outputs.items():
            if reached.validation_loss is None:
                parts += measures(f"{name} loss", reached.loss, reached.accuracy)
            else:
                title = f"{name} validation loss"
                parts += measures(title, reached.validation_loss, reached.validation_accuracy)
        return "  ".join([*parts, f"{row.seconds:.1f} s"])


class TerminalProgress(LineProgress):
    """A line that rewrites itself: epoch, step, loss, accuracy, samples per second and the time left."""

    def __init__(self, stream: TextIO | None = None, clock: Clock = time.perf_counter) -> None:
        super().__init__(stream, clock)
        self.shown = 0  # characters of the line on screen
        self.written = -SECONDS_BETWEEN_REWRITES

    def step(self, epoch: int, step: int, loss: float, accuracy: float | None) -> None:
        now = self.clock()
        if now - self.written >= SECONDS_BETWEEN_REWRITES:
            parts = self.step_parts(epoch, step, loss, accuracy, now)
            if len("  ".join(parts)) > line_width():
                parts = [part for part in parts if not part.endswith("samples/s")]
            self.rewrite("  ".join(parts))
            self.written = now

    def step_parts(self, epoch: int, step: int, loss: float, accuracy: float | None, now: float) -> list[str]:
        if not self.steps:
            return [self.heading(epoch), f"step {step}", *(measures("loss", loss, accuracy) if step else [])]
        parts = [self.heading(epoch), f"step {step:{len(str(self.steps))}}/{self.steps}"]
        if step:  # within the first step there is no loss yet
            parts += measures("loss", loss, accuracy)
        done = (epoch - 1) * self.steps + step
        if step and now > self.epoch_started:
            if self.samples:
                seen = self.samples * step / self.steps
                parts.append(f"{seen / (now - self.epoch_started):,.0f} samples/s")
            pace = (now - self.started) / (done - self.finished * self.steps)
            left = pace * (self.epochs * self.steps - done)
            parts.append(f"{duration(max(left, 0))} left")
        return parts

    def end_epoch(self, row: Row) -> None:
        super().end_epoch(row)
        if self.unkept is not None and self.clock() - self.written >= SECONDS_BETWEEN_REWRITES:
            self.rewrite(self.epoch_text(row))
            self.written = self.clock()

    def keep(self, row: Row) -> None:
        text = self.epoch_text(row)  # may wrap: it is not rewritten any more
        self.write("\r" + text + " " * (self.shown - len(text)) + "\n")
        self.shown, self.unkept = 0, None

    def close(self) -> None:
        super().close()
        if self.shown:
            self.write("\n")  # interrupted: what follows starts on a line of its own
            self.shown = 0

    def rewrite(self, text: str) -> None:
        """Put text over the current line; cut to the terminal's width, since a wrapped line stays."""
        text = text[: line_width()]
        self.write("\r" + text + " " * (self.shown - len(text)))
        self.shown = len(text)


class TqdmProgress(Progress):
    """tqdm's bar over all steps of all epochs."""

    def __init__(self, stream: TextIO | None = None) -> None:
        try:
            from tqdm import tqdm  # type: ignore[import-untyped, unused-ignore]
        except ImportError:
            raise MissingExtraError("tqdm", "progress", "progress='tqdm'") from None
        self.make: Callable[..., Any] = tqdm
        self.stream = stream
        self.bar: Any = None
        self.steps = 0
        self.done = 0  # steps of finished epochs, where nobody knows how many an epoch has
        self.last = 0

    def note(self, text: str) -> None:
        LineProgress(self.stream).note(text)

    def begin(self, epochs: int, steps: int, samples: int, finished: int = 0) -> None:
        self.steps = steps
        self.bar = self.make(
            total=epochs * steps or None,
            initial=finished * steps,
            unit="step",
            file=self.stream,
            dynamic_ncols=True,
        )

    def step(self, epoch: int, step: int, loss: float, accuracy: float | None) -> None:
        shown = measures("loss", loss, accuracy) if step else []
        try:
            self.bar.set_description_str(", ".join([f"{self.unit} {epoch}", *shown]), refresh=False)
            before = (epoch - 1) * self.steps if self.steps else self.done
            self.last = step
            self.bar.update(before + step - self.bar.n)
        except (OSError, ValueError):  # its stream is closed, full or read by nobody any more
            self.bar.disable = True

    def end_epoch(self, row: Row) -> None:
        self.step(row.epoch, self.steps or self.last, row.loss, row.accuracy)
        self.done += self.last

    def close(self) -> None:
        if self.bar is not None:
            with suppress(OSError, ValueError):
                self.bar.close()


def line_width() -> int:
    """Characters that fit on a line of the terminal without wrapping it."""
    return max(shutil.get_terminal_size().columns - 1, 20)


def measures(name: str, loss: float, accuracy: float | None) -> list[str]:
    """["loss 0.1234", "accuracy 96.52 %"]; without the accuracy where there is none."""
    parts = [f"{name} {format_cell('loss', loss)}"]
    return parts if accuracy is None else [*parts, f"accuracy {format_cell('accuracy', accuracy)}"]


def duration(seconds: float) -> str:
    """0:42, 12:05, 1:02:03."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def progress_from(value: bool | str | Progress | None) -> Progress:
    """What the `progress` argument asks for: None is on where somebody watches, a terminal or a notebook.

    Raises ValueError for anything else, MissingExtraError without tqdm.
    """
    if isinstance(value, Progress):
        return value
    if isinstance(value, str) and value == "tqdm":
        return TqdmProgress()
    if not (value is None or isinstance(value, bool)):
        raise ArgumentError(
            f"progress must be True, False, None (automatic) or 'tqdm', received {describe(value)}"
        )
    terminal = sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    if value is not False and terminal:
        return TerminalProgress()
    return LineProgress() if value or (value is None and "ipykernel" in sys.modules) else Progress()
