"""What training says while it runs, for other programs: lines of JSON, and TensorBoard's event files."""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict
from pathlib import Path
from types import MethodType
from typing import IO, Any

from chainrule.base.errors import FileError, MissingExtraError
from chainrule.base.keywords import teach
from chainrule.base.scalars import check_count, text_path
from chainrule.training.callbacks import Callback, Context


class _Log(Callback):
    """What the logs share: numbers after every epoch and, where asked for, after every so many steps."""

    reads_network = False

    def _keep(self, path: str | os.PathLike[str], every_steps: int | None) -> None:
        self.path = text_path(path)
        if every_steps is None:  # nothing to do after a step: parameters stay in the kernels
            vars(self)["on_step_end"] = MethodType(Callback.on_step_end, self)
        else:
            self.every_steps = check_count(f"{type(self).__name__} every_steps", every_steps)

    @staticmethod
    def _taken(context: Context) -> int:
        """Steps over all epochs."""
        return context.epoch * context.steps + context.step


class JSONLines(_Log):
    """A file of one JSON object a line, which other programs can read while training runs.

    After every epoch the columns of the history that have a value, {"epoch": 1, "loss": 0.69, ...}; with
    every_steps=100 after every hundredth step {"step": 100, "epoch": 1, "loss": 0.7, ...}, the means over the
    epoch so far, steps counted over all epochs; at the end {"stopped": null} or the reason. Numbers that are
    not finite are null. A training that goes on keeps the lines of the epochs before it; another one starts
    the file anew. FileError where it cannot be written.
    """

    @teach("the file: JSONLines('log.jsonl')")
    def __init__(self, path: str | os.PathLike[str], *, every_steps: int | None = None) -> None:
        self._keep(path, every_steps)
        self._stream: IO[str] | None = None

    def on_fit_begin(self, context: Context) -> None:
        kept = self._lines_before(context.epoch)
        try:
            Path(self.path).parent.mkdir(parents=True, exist_ok=True)
            self._stream = open(self.path, "w", encoding="utf-8")  # noqa: SIM115 - closed by on_fit_end
        except OSError as error:
            raise FileError(f"{self.path}: cannot be written ({error.strerror or error})") from error
        self._stream.writelines(kept)
        self._stream.flush()

    def _lines_before(self, epoch: int) -> list[str]:
        """What a file has of the epochs up to this one."""
        if not epoch or not Path(self.path).exists():
            return []
        kept = []
        with open(self.path, encoding="utf-8") as stream:
            for line in stream:
                try:
                    held = json.loads(line)
                except ValueError:
                    continue  # the last line of a training that was killed
                if isinstance(held, dict) and held.get("epoch", math.inf) <= epoch:
                    kept.append(line if line.endswith("\n") else f"{line}\n")
        return kept

    def on_step_end(self, context: Context) -> None:
        done = {"step": self._taken(context), "epoch": context.epoch + 1}
        self._write({**done, "loss": context.loss, "accuracy": context.accuracy})

    def on_epoch_end(self, context: Context) -> None:
        self._write(asdict(context.last))

    def on_fit_end(self, context: Context) -> None:
        if self._stream is not None:
            self._stream.write(json.dumps({"stopped": context.stopped}, ensure_ascii=False) + "\n")
            self._stream.close()
            self._stream = None

    def _write(self, numbers: dict[str, Any]) -> None:
        plain = {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in numbers.items()
            if value is not None
        }
        if self._stream is not None:
            self._stream.write(json.dumps(plain) + "\n")
            self._stream.flush()


class TensorBoard(_Log):
    """Event files in a folder, which `tensorboard --logdir` shows; needs the extra `tensorboard`.

    After every epoch "loss" and "accuracy" of training and validation each in one chart, "rate" and
    "seconds", by epochs; with every_steps=100 after every hundredth step "step/loss" and "step/accuracy", by
    steps. The files are written by tensorboardX.
    """

    @teach("the folder: TensorBoard('runs/a')")
    def __init__(self, path: str | os.PathLike[str], *, every_steps: int | None = None) -> None:
        self._keep(path, every_steps)
        self._writers: dict[str, Any] = {}

    def on_fit_begin(self, context: Context) -> None:
        try:
            from tensorboardX import SummaryWriter
        except ImportError:
            raise MissingExtraError("tensorboardX", "tensorboard", "TensorBoard") from None
        wanted = ("train", "validation") if context.validated else ("train",)
        self._writers = {name: SummaryWriter(str(Path(self.path) / name)) for name in wanted}

    def on_step_end(self, context: Context) -> None:
        self._add("train", "step/loss", context.loss, self._taken(context))
        self._add("train", "step/accuracy", context.accuracy, self._taken(context))

    def on_epoch_end(self, context: Context) -> None:
        for name, value in asdict(context.last).items():
            if name == "epoch":
                continue
            held = name.startswith("validation_")
            self._add(
                "validation" if held else "train", name.removeprefix("validation_"), value, context.epoch
            )
        for writer in self._writers.values():
            writer.flush()

    def on_fit_end(self, context: Context) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers = {}

    def _add(self, run: str, name: str, value: float | None, at: int) -> None:
        if value is not None and run in self._writers:
            self._writers[run].add_scalar(name, value, at)
