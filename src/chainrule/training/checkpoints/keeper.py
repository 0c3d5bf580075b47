"""When a checkpoint is due, and where a fit goes on from."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from chainrule.base.errors import ArgumentError, FileError, describe
from chainrule.base.scalars import text_path
from chainrule.networks.network import Network
from chainrule.training.callbacks import Checkpoint
from chainrule.training.checkpoints.folder import Folder
from chainrule.training.checkpoints.schema import Saved
from chainrule.training.checkpoints.signals import Asked
from chainrule.training.history import History

# What may be given as `resume` beside a history.
_RESUME = "'auto', True, False, or the history that fit returned"


class Keeper:
    """Writes the checkpoints of one fit.

    saved: what it goes on from, None where it begins.
    """

    def __init__(self, options: Checkpoint, folder: Folder, saved: Saved | None) -> None:
        self.options, self.folder, self.saved = options, folder, saved
        self.epochs, self.steps, self.seconds = options.rhythm
        self.asked = Asked()
        self.taken, self.epoch, self.at = 0, 0, time.monotonic()  # of the last one

    def next_stop(self, taken: int, step: int, steps: int) -> int:
        """The step of the epoch, `steps` at most, behind which the compiled loop is left, where `taken` steps
        were taken before the epoch and `step` are done of it.
        """
        return steps if self.steps is None else min(steps, step + self.steps - (taken + step) % self.steps)

    def due(self, taken: int) -> bool:
        """Whether to write one now, in the midst of an epoch, with so many steps taken of all epochs."""
        return self.pressing or (self.steps is not None and taken // self.steps > self.taken // self.steps)

    @property
    def pressing(self) -> bool:
        """Whether a signal or the clock asks for one."""
        return self.asked.number is not None or time.monotonic() - self.at >= self.seconds

    def due_after(self, epoch: int, taken: int) -> bool:
        """The same behind an epoch."""
        return self.due(taken) or (
            self.epochs is not None and epoch // self.epochs > self.epoch // self.epochs
        )

    def write(self, network: Network, state: Mapping[str, Any]) -> None:
        """Write one, and then do what a signal has asked for meanwhile."""
        self.folder.write(network, state)
        self.begin_at(state)
        self.asked.obey()

    def begin_at(self, state: Mapping[str, Any]) -> None:
        """Count from this state on."""
        self.taken, self.epoch = state["taken"] + state["position"][0], state["epoch"]
        self.at = time.monotonic()


def keeper_from(checkpoint: Any, resume: Any) -> Keeper | None:
    """What the arguments `checkpoint` and `resume` of fit ask for; None where no checkpoints are kept."""
    if checkpoint is None:
        return None
    if not isinstance(checkpoint, Checkpoint):
        try:
            checkpoint = Checkpoint(text_path(checkpoint), keep=2)
        except TypeError:
            raise TypeError(
                "checkpoint must be the path of a folder or Checkpoint('runs/a', every_steps=1000), received "
                f"{describe(checkpoint)}"
            ) from None
    checkpoint.check_folder()
    folder = Folder(checkpoint.path, checkpoint.keep)
    if isinstance(resume, History):
        if folder.files():
            raise ArgumentError(
                f"{folder.path} holds the checkpoints of a training, and resume is a history: name another "
                "folder, or go on from the checkpoints, resume='auto'"
            )
        return Keeper(checkpoint, folder, None)
    if not (resume is None or isinstance(resume, bool) or (isinstance(resume, str) and resume == "auto")):
        raise TypeError(f"resume must be {_RESUME}, received {describe(resume)}")
    saved = None if resume is False else folder.newest()
    if resume is True and saved is None:
        raise FileError(
            f"{folder.path} holds no checkpoint to go on from: write resume='auto', which begins where there "
            "is none"
        )
    return Keeper(checkpoint, folder, saved)
