"""Callbacks: your code between epochs, early stopping, checkpoints."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from chainrule.base.errors import ArgumentError, describe
from chainrule.base.keywords import teach
from chainrule.base.scalars import check_choice, check_count, check_flag, check_number, entries, text_path
from chainrule.training.history import COLUMNS, History, Row, format_cell, higher_is_better

if TYPE_CHECKING:
    from chainrule.networks.network import Network


@dataclass
class Context:
    """What a callback sees of the running fit.

    network: with the parameters after the epoch; a callback may change them, and training goes on from there.
    history: the epochs finished so far. epoch: the last of them, 0 at first. epochs: how many were asked for.
    validated: whether there is validation data. stopped: why training is to end, None while it runs.
    """

    network: Network
    history: History
    epochs: int
    validated: bool
    epoch: int = 0
    stopped: str | None = None

    @property
    def last(self) -> Row:
        """Loss, accuracy and the other columns of the epoch just finished."""
        return self.history.last

    def stop(self, reason: str = "stopped by a callback") -> None:
        """End training after this epoch (from another thread: after this step). The first reason counts."""
        if self.stopped is None:
            self.stopped = reason


class Callback:
    """Base of the callbacks; override what you need. A plain function stands for its `on_epoch_end`."""

    def on_fit_begin(self, context: Context) -> None:
        """Before the first step; the arguments of fit are valid."""

    def on_epoch_end(self, context: Context) -> None:
        """After every finished epoch and its validation; `context.last` holds its numbers."""

    def on_fit_end(self, context: Context) -> None:
        """Once, however training ended; `context.stopped` says why, None if all epochs were run."""


class _Function(Callback):
    def __init__(self, function: Callable[[Context], Any]) -> None:
        self.function = function

    def on_epoch_end(self, context: Context) -> None:
        self.function(context)


Callbacks = Callback | Callable[[Context], Any] | Iterable[Callback | Callable[[Context], Any]]


def callbacks_from(value: Callbacks | None) -> list[Callback]:
    """The callbacks from one or several objects or functions. Raises TypeError for anything else."""
    given = [] if value is None else entries(value)
    given = [value] if given is None else given
    callbacks: list[Callback] = []
    for entry in given:
        if isinstance(entry, Callback):
            callbacks.append(entry)
        elif callable(entry) and not isinstance(entry, type):
            callbacks.append(_Function(entry))
        else:
            hint = f": write {entry.__name__}(...)" if isinstance(entry, type) else ""
            raise TypeError(
                "callbacks takes functions of one argument and Callback objects, received "
                f"{describe(entry)}{hint}"
            )
    return callbacks


class _Monitor:
    """The best value of a column so far, and in which epoch."""

    def __init__(self, column: str | None, min_delta: float = 0.0, without: str = "monitor='loss'") -> None:
        self.without = without  # what to write where there is no validation data
        if column is not None:
            check_choice("monitor", column, COLUMNS[1:5], meaning=f"one of {', '.join(COLUMNS[1:5])}")
        self.column = column
        self.min_delta = min_delta
        self.value, self.epoch = float("nan"), 0

    def begin(self, context: Context) -> None:
        self.name = self.column or ("validation_loss" if context.validated else "loss")
        if self.name.startswith("validation") and not context.validated:
            raise ArgumentError(
                f"monitor={self.name!r} needs validation data: give fit validation=0.1 or (X_val, y_val), "
                f"or write {self.without}"
            )
        self.value, self.epoch = float("nan"), 0

    def improved(self, row: Row) -> bool:
        """Whether the row is better than every one before by more than min_delta; then it is the best."""
        value = getattr(row, self.name)
        if value is None:
            raise ArgumentError(
                f"monitor={self.name!r} has no value: this loss has no classes; write monitor='loss'"
            )
        gain = value - self.value if higher_is_better(self.name) else self.value - value
        if self.epoch and not gain > self.min_delta:
            return False
        self.value, self.epoch = value, row.epoch
        return True

    def __str__(self) -> str:
        return f"{self.name.replace('_', ' ')} {format_cell(self.name, self.value)} in epoch {self.epoch}"


class EarlyStopping(Callback):
    """Stop when the monitored column has not improved for `patience` epochs (Prechelt 1998).

    min_delta: how much better counts as an improvement. restore_best: however the fit ends, Ctrl-C included,
    the network gets the parameters of the best epoch back, bit for bit.
    After the fit `best_epoch` and `best_value` say which one that was.
    """

    @teach()
    def __init__(
        self,
        patience: int = 5,
        monitor: str = "validation_loss",
        min_delta: float = 0.0,
        restore_best: bool = True,
    ) -> None:
        self.patience = check_count("patience", patience)
        check_number("min_delta", min_delta, include_low=True)
        self.restore_best = check_flag("restore_best", restore_best)
        self._best = _Monitor(monitor, min_delta, f"EarlyStopping({patience}, monitor='loss')")
        self._parameters: dict[str, NDArray[Any]] = {}

    @property
    def best_epoch(self) -> int:
        """The epoch with the best value, 0 before the first."""
        return self._best.epoch

    @property
    def best_value(self) -> float:
        """The best value of the monitored column, NaN before the first epoch."""
        return self._best.value

    def on_fit_begin(self, context: Context) -> None:
        self._best.begin(context)
        self._parameters = {}

    def on_epoch_end(self, context: Context) -> None:
        if self._best.improved(context.last):
            if self.restore_best:
                self._parameters = {
                    name: np.array(value) for name, value in context.network.parameters.items()
                }
        elif context.epoch - self._best.epoch >= self.patience:
            plural = "epoch" if self.patience == 1 else "epochs"
            context.stop(f"no improvement for {self.patience} {plural}, best {self._best}")

    def on_fit_end(self, context: Context) -> None:
        if self._parameters:
            context.network.set_parameters(self._parameters)
            self._parameters = {}


def checkpoint_path(path: str | os.PathLike[str]) -> str:
    """The path as text; ArgumentError where "{epoch}" cannot be put into it or `network.save` refuses it."""
    from chainrule.networks.forms.storage import SUFFIXES

    text = text_path(path)
    try:
        made = text.format(epoch=1)
    except (LookupError, ValueError, TypeError, AttributeError) as error:
        raise ArgumentError(
            "path must be a file name with nothing but {epoch} or {epoch:03} in braces, received "
            f"{describe(text)} ({type(error).__name__}: {error}); a brace itself is written twice, {{{{"
        ) from None
    if Path(made).suffix not in SUFFIXES:
        endings = " or ".join(SUFFIXES)
        raise ArgumentError(f"path must be a model file, which ends in {endings}, received {describe(text)}")
    return text


class Checkpoint(Callback):
    """Save the network every `every` epochs; best_only=True: only if the monitored column is the best so far.

    path: as for `network.save`; "{epoch}" in it is replaced: "net-{epoch:03}.npz" keeps every one. The file
    is replaced as a whole: a crash while writing leaves the one before. monitor: None is the validation loss,
    without validation data the loss.
    """

    @teach()
    def __init__(
        self,
        path: str | os.PathLike[str],
        every: int = 1,
        best_only: bool = False,
        monitor: str | None = None,
    ) -> None:
        self.path = checkpoint_path(path)
        self.every = check_count("every", every)
        self.best_only = check_flag("best_only", best_only)
        self._best = _Monitor(monitor)

    def on_fit_begin(self, context: Context) -> None:
        if self.best_only:
            self._best.begin(context)
        Path(self.path).parent.mkdir(parents=True, exist_ok=True)

    def on_epoch_end(self, context: Context) -> None:
        if context.epoch % self.every == 0 and (not self.best_only or self._best.improved(context.last)):
            self.save(context)

    def save(self, context: Context) -> None:
        """Write the network as it is now."""
        context.network.save(self.path.format(epoch=context.epoch))


def early_stopping_from(value: EarlyStopping | int | None) -> list[Callback]:
    """What the `early_stopping` argument asks for: nothing, an object, or a number of epochs of patience."""
    if value is None or value is False:
        return []
    if isinstance(value, EarlyStopping):
        return [value]
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        what = "a number of epochs to wait, such as 5, or EarlyStopping(...)"
        raise TypeError(f"early_stopping must be {what}, received {describe(value)}")
    return [EarlyStopping(int(value))]
