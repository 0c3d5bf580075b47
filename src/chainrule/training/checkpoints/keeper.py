"""The checkpoints of one fit: when one is due, what it holds, and how a fit goes on from it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

import numpy as np

from chainrule.base.errors import ArgumentError, FileError, describe
from chainrule.base.scalars import text_path
from chainrule.distributed import Communicator
from chainrule.networks.batch import Batch
from chainrule.networks.network import Network
from chainrule.training.callbacks import Callback, Checkpoint, Context, keeps_state
from chainrule.training.checkpoints.folder import Folder
from chainrule.training.checkpoints.packing import check_packs
from chainrule.training.checkpoints.sameness import (
    batch_record,
    callbacks_text,
    check_batch,
    check_network,
    check_order,
    check_same,
    check_schedule,
    data_record,
    record,
    texts,
)
from chainrule.training.checkpoints.schema import Saved
from chainrule.training.checkpoints.signals import Asked, listening
from chainrule.training.history import History
from chainrule.training.optimizers import Optimizer
from chainrule.training.parts import Rows
from chainrule.training.schedules import Rates
from chainrule.training.streams.feed import Prepared, SourceFeed

T = TypeVar("T")

# What may be given as `resume`.
_RESUME = "'auto', True, False, or the history that fit returned"


class Training(Protocol):
    """What a running fit is made of, as far as it has to be there again.

    reached: of the epoch that is under way, steps and sums, a named tuple.  used: the rates of its steps.
    order_from: the generator's state before its order was drawn.  spent: seconds of it before this fit.
    taken: steps of the epochs before.
    """

    network: Network
    context: Context
    plan: Any
    prepared: Prepared
    optimizer: Optimizer
    keeper: Any
    rng: np.random.Generator | None
    order_from: Mapping[str, Any] | None
    reached: Any
    used: Rates
    epochs: int
    finished: int
    number: int
    step: int
    steps: int
    taken: int
    suspects: int
    spent: float
    started: float

    def order(self) -> Rows: ...
    def rates(self, epoch: int) -> Rates: ...
    def begin_epoch(self) -> None: ...


class Keeper:
    """Writes the checkpoints of one fit.

    saved: what it goes on from, None where it begins.  done: whether the training is finished.
    last: the batch that was trained on last, where batches come from a source.
    """

    training: Training

    def __init__(
        self, options: Checkpoint, folder: Folder, saved: Saved | None, comm: Communicator | None = None
    ) -> None:
        self.comm = comm
        self.options, self.folder, self.saved = options, folder, saved
        self.epochs, self.steps, self.seconds = options.rhythm
        self.asked = Asked(several=comm is not None and comm.size > 1)
        self.agreed = False  # all ranks know of a signal that one of them has got
        self.taken, self.epoch, self.at = 0, 0, time.monotonic()  # of the last one
        self.done = False
        self.order = ""  # a record of that of the epoch under way
        self.first = ""  # of the first batch of the last epoch
        self.last: Batch | None = None

    # -- when

    def listening(self) -> AbstractContextManager[None]:
        """Note signals within, which are obeyed behind a checkpoint."""
        return listening(self.asked)

    def next_stop(self, taken: int, step: int, steps: int) -> int:
        """The step of the epoch, `steps` at most, behind which the compiled loop is left, where `taken` steps
        were taken before the epoch and `step` are done of it.
        """
        return steps if self.steps is None else min(steps, step + self.steps - (taken + step) % self.steps)

    def due(self, taken: int) -> bool:
        """Whether to write one now, in the midst of an epoch, with so many steps taken of all epochs."""
        asked = self.agreed if self.comm is not None else self.asked.number is not None
        passed = self.steps is not None and taken // self.steps > self.taken // self.steps
        return asked or self.late or passed

    @property
    def pressing(self) -> bool:
        """Whether a signal or the clock asks for one, here."""
        return self.asked.number is not None or self.late

    @property
    def late(self) -> bool:
        return time.monotonic() - self.at >= self.seconds

    def due_after(self, epoch: int, taken: int) -> bool:
        """The same behind an epoch."""
        passed = self.epochs is not None and epoch // self.epochs > self.epoch // self.epochs
        return passed or self.due(taken)

    # -- what

    def keep(self, training: Training, arguments: Mapping[str, Any], callbacks: Sequence[Callback]) -> None:
        """Keep the checkpoints of this training, and go on from the one that there is.  Nothing is changed
        where that is another's.
        """
        self.training = training
        self.callbacks = [callback for callback in callbacks if keeps_state(callback)]
        self.settings = {**texts(arguments), "callbacks": callbacks_text(callbacks)}
        prepared = training.prepared
        self.data = self._of_first(lambda: data_record(prepared.data)) if prepared.of_arrays else None
        self.began = training.finished  # epochs before the first fit
        if self.saved is not None:
            self._go_on(self.saved)
        training.keeper = self

    def write(self) -> None:
        """Write one of this moment, and then do what a signal has asked for meanwhile."""
        state = self._state()
        if self.comm is None:
            self.folder.write(self.training.network, state)
        elif self.comm.rank == 0:
            with self.comm.resting():  # a disk takes as long as it takes
                self.folder.write(self.training.network, state)
        self._count_from(state)
        if self.comm is None or self.agreed or self.done:  # else the next agreement tells the others first
            self.agreed = False
            self.asked.obey()

    def _of_first(self, work: Callable[[], T]) -> T:
        """What only one rank needs to do, for all."""
        return work() if self.comm is None else self.comm.of_first(work)

    def drew(self, order: Rows) -> None:
        """The order of the epoch, which must be the one that it began with."""
        drawn = record(order)
        if self.training.reached.steps and self.saved is not None:
            check_order(self.saved, drawn, self.order)
        self.order = drawn

    def begins_with(self, batch: Batch) -> None:
        """The first batch of an epoch of a source, which must begin with it again."""
        if not self.training.prepared.of_arrays:
            self.first = batch_record(batch)

    def check_last(self, batch: Batch) -> None:
        """DataError unless the batch before the position is the one that was trained on."""
        if self.saved is not None and not self.training.prepared.of_arrays and not self.options.allow_changes:
            step = self.training.reached.steps
            check_batch(self.saved.path, batch, self.saved.state["last"], step, self.training.number)

    def _state(self) -> dict[str, Any]:
        """All that training goes on from, beside the network."""
        it, context = self.training, self.training.context
        within = it.reached.steps > 0  # an epoch
        drawing = None if it.rng is None else it.rng.bit_generator.state
        of_source = self.last is not None and not it.prepared.of_arrays
        return {
            "settings": self.settings,
            "data": self.data,
            "numpy": np.__version__,
            "began": self.began,
            "epochs": it.epochs,
            "epoch": context.epoch,
            "position": [it.reached.steps, *it.reached[:4]],
            "parts": [list(part) for part in it.reached.parts],
            "seconds": time.perf_counter() - it.started if within else 0.0,
            "taken": it.taken,
            "rates": it.used if within else None,
            "random": it.order_from if within else drawing,
            "order": self.order if within else "",
            "first": self.first,
            "last": batch_record(self.last) if of_source and within and self.last is not None else "",
            "suspects": it.suspects,
            "optimizer": it.plan.optimizer_state(),
            "history": context.history.columns(),
            "callbacks": [self._held(callback) for callback in self.callbacks],
            "stopped": context.stopped,
            "done": self.done,
        }

    def _held(self, callback: Callback) -> list[Any]:
        """A callback's class and what it keeps."""
        name, held = type(callback).__name__, callback.on_checkpoint(self.training.context)
        check_packs(held, f"on_checkpoint of {name}")
        return [name, held]

    def _count_from(self, state: Mapping[str, Any]) -> None:
        self.taken, self.epoch = state["taken"] + state["position"][0], state["epoch"]
        self.at = time.monotonic()

    # -- from where

    def _go_on(self, saved: Saved) -> None:
        """From a checkpoint: everything is as it was when it was written."""
        it, state, context = self.training, saved.state, self.training.context
        allowed, rounds = self.options.allow_changes, it.epochs
        check_network(saved, it.network)
        changed = check_same(saved, self.settings, self.data, allowed=allowed)
        epoch, (steps, loss, hits, judged, samples) = state["epoch"], state["position"]
        self.began, it.epochs = state["began"], state["began"] + rounds
        if it.epochs < epoch + (steps > 0):
            raise ArgumentError(
                f"{saved.path}: is of epoch {epoch + (steps > 0)}, and epochs={rounds} ends before it: write "
                f"epochs={state['epochs'] - self.began}, or more"
            )
        if not allowed:
            check_schedule(saved, it.optimizer, it.steps, it.epochs)
            self._check_source(saved)
        it.plan.set_optimizer_state(state["optimizer"])
        it.network.set_parameters(saved.parameters)
        it.network.several_labels = saved.network.get("several_labels") is True
        it.network.output_labels = saved.network.get("output_labels", {})
        context.history.rows[:] = History.rows_of(state["history"])
        context.epoch, context.epochs, context.stopped = epoch, it.epochs, state["stopped"]
        it.finished, it.number, self.done = epoch, epoch + 1, state["done"]
        if it.rng is not None and state["random"] is not None and not changed.names & {"seed", "shuffle"}:
            it.rng.bit_generator.state = state["random"]
        else:
            for _ in range(epoch if it.rng is not None else 0):
                it.order()
        it.begin_epoch()
        it.taken, it.suspects, self.first = state["taken"], state["suspects"], state["first"]
        if steps and not changed.of_epoch:
            parts = tuple(map(tuple, state.get("parts", ())))
            it.reached = type(it.reached)(loss, hits, judged, samples, steps, "done", parts)
            it.spent, it.step, self.order = state["seconds"], steps, state["order"]
            it.used = it.rates(it.number) if "optimizer" in changed.names else state["rates"]
        self._count_from(state)

    def _check_source(self, saved: Saved) -> None:
        """DataError where a source begins the last epoch, finished or not, with another batch than it did."""
        feed, state = self.training.prepared.feed, saved.state
        if isinstance(feed, SourceFeed) and state["first"]:
            within = state["position"][0] > 0 and not state["done"]
            batch = feed.first if within else feed.first_of(state["epoch"])
            check_batch(saved.path, batch, state["first"], 1, state["epoch"] + within)

    def resume_callbacks(self) -> None:
        """Give the callbacks their state back, each the next one of its class."""
        held = [] if self.saved is None else [*self.saved.state["callbacks"]]
        for callback in self.callbacks:
            names = [name for name, _ in held]
            if type(callback).__name__ in names:
                _, state = held.pop(names.index(type(callback).__name__))
                if state is not None:
                    callback.on_resume(self.training.context, state)

    def said(self) -> str | None:
        """Where training goes on, for people."""
        it = self.training
        if self.saved is None:
            return None
        if self.done and (it.context.stopped is not None or it.finished >= it.epochs):
            return f"{self.saved.path}: this training is finished; resume=False begins anew"
        step = f"epoch {it.number}, step {it.reached.steps}"
        at = step if it.reached.steps else f"epoch {it.finished}" if it.finished else "its start"
        return f"{self.saved.path}: training goes on behind {at}"


def keeper_from(checkpoint: Any, resume: Any, comm: Communicator | None = None) -> Keeper:
    """What the arguments `checkpoint` and `resume` of fit ask for; of several ranks the first one reads."""
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
        return Keeper(checkpoint, folder, None, comm)
    if not (resume is None or isinstance(resume, bool) or (isinstance(resume, str) and resume == "auto")):
        raise TypeError(f"resume must be {_RESUME}, received {describe(resume)}")
    saved = None
    if resume is not False:
        saved = folder.newest() if comm is None else comm.of_first(folder.newest)
    if resume is True and saved is None:
        raise FileError(
            f"{folder.path} holds no checkpoint to go on from: write resume='auto', which begins where there "
            "is none"
        )
    return Keeper(checkpoint, folder, saved, comm)
