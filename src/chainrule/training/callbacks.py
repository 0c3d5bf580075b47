"""Callbacks: your code between epochs and steps, early stopping, rates by plateaus, averages of the weights,
checkpoints.
"""

from __future__ import annotations

import inspect
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from string import Formatter
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from chainrule.base.attributes import Attributes
from chainrule.base.errors import ArgumentError, describe
from chainrule.base.keywords import SPELLING, teach
from chainrule.base.scalars import check_choice, check_count, check_flag, check_number, entries, text_path
from chainrule.base.shown import clipped
from chainrule.base.types import Array
from chainrule.training.history import (
    COLUMNS,
    MEASURES,
    History,
    Row,
    columns_of,
    format_cell,
    higher_is_better,
    of_output,
)
from chainrule.training.schedules import Rates

if TYPE_CHECKING:
    from chainrule.networks.network import Network


@dataclass
class Context:
    """What a callback sees of the running fit.

    network: with the parameters after the epoch, in `on_step_end` after the step; a callback may change them,
        and training goes on from there.
    history: the epochs finished so far. epoch: the last of them, 0 at first. epochs: how many were asked for.
    validated: whether there is validation data. stopped: why training is to end, None while it runs.
    steps: of an epoch. In `on_step_end` also step: the finished ones of the running epoch, epoch + 1, from 1;
        loss, accuracy: their means over the samples of that epoch so far, as in `Row`; step is 0 elsewhere.
    classified: whether there are classes, and so an accuracy; outputs: of several the same by name.
    state: gives what `History.optimizer_state` will hold, as it is now; set_state takes such, in
        `change_rates` and `on_epoch_end`, and training goes on from it; parameters gives copies of those that
        training is at, penalty what the penalty adds to J with these. None outside a fit.
    """

    network: Network
    history: History
    epochs: int
    validated: bool
    epoch: int = 0
    stopped: str | None = None
    steps: int = 0
    step: int = 0
    loss: float = float("nan")
    accuracy: float | None = None
    classified: bool = True
    outputs: Mapping[str, bool] = field(default_factory=dict)
    state: Callable[[], dict[str, Any]] | None = None
    set_state: Callable[[Mapping[str, Any]], None] | None = None
    parameters: Callable[[], dict[str, Array]] | None = None
    penalty: Callable[[], float] | None = None

    @property
    def last(self) -> Row:
        """Loss, accuracy and the other columns of the epoch just finished."""
        return self.history.last

    def stop(self, reason: str = "stopped by a callback") -> None:
        """End training after this epoch; in `on_step_end` and from another thread: after this step. The
        first reason counts.
        """
        if self.stopped is None:
            self.stopped = reason


class Callback(Attributes):
    """Base of the callbacks; override what you need. A plain function stands for its `on_epoch_end`.

    every_steps: how often `on_step_end` is called, in steps counted over all epochs.
    reads_network: whether `on_epoch_end` looks at the network. Where no callback does, its parameters may be
        those of an earlier epoch, and are not copied out of the kernels and back: 0.1 ms an epoch of a
        network of 7,500. `context.parameters()` gives those of now; a change to the network is lost.
    only_watches: whether training is the same without it, so that one goes on from a checkpoint with it or
        without.  False is meant of a callback that keeps a state or changes rates.
    """

    every_steps: int = 1
    reads_network: bool = True
    only_watches: bool = False

    def on_fit_begin(self, context: Context) -> None:
        """Before the first step; the arguments of fit are valid."""

    def change_rates(self, rates: Rates, context: Context) -> Rates:
        """Before every epoch: the learning rates of its steps, (steps,) float64, from those of the
        optimizer's schedule, which earlier callbacks may have changed.
        """
        return rates

    def change_order(self, order: Array, context: Context) -> Array:
        """Before every epoch of arrays: the rows of X in the order they are taken, int64, from the order of
        `fit`, which earlier callbacks may have changed; as many as there were, and any of them repeatedly.
        """
        return order

    def on_step_end(self, context: Context) -> None:
        """After every `every_steps`-th step: `context.step`, `context.loss`, and the network's parameters,
        which are copied out of the kernels and back for it.
        """

    def on_epoch_end(self, context: Context) -> None:
        """After every finished epoch and its validation; `context.last` holds its numbers."""

    def on_fit_end(self, context: Context) -> None:
        """Once, however training ended; `context.stopped` says why, None if all epochs were run."""

    def on_checkpoint(self, context: Context) -> dict[str, Any] | None:
        """What a checkpoint is to hold of this callback, so that a resumed fit goes on with it: a dict of
        numbers, texts, arrays, lists, tuples and dicts of these. None: nothing.
        """

    def on_resume(self, context: Context, state: dict[str, Any]) -> None:
        """After `on_fit_begin` of a fit that goes on from a checkpoint, with what `on_checkpoint` gave."""


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
            _check_callback(entry)
            callbacks.append(entry)
        elif callable(entry) and not isinstance(entry, type):
            callbacks.append(_Function(entry))
        else:
            hint = f": write {entry.__name__}(...)" if isinstance(entry, type) else ""
            if not hint and any(callable(getattr(entry, name, None)) for name in _CALLED):
                hint = f": write class {type(entry).__name__}(chainrule.Callback)"
            raise TypeError(
                "callbacks takes functions of one argument and Callback objects, received "
                f"{describe(entry)}{hint}"
            )
    return callbacks


# The methods that fit calls with the context alone.
_CALLED = ("on_fit_begin", "on_step_end", "on_epoch_end", "on_fit_end")
_KEEPING = ("on_checkpoint", "on_resume")  # of a fit that keeps checkpoints


def watches_steps(callback: Callback) -> bool:
    """Whether it has an `on_step_end` of its own."""
    return getattr(callback.on_step_end, "__func__", None) is not Callback.on_step_end


def keeps_state(callback: Callback) -> bool:
    """Whether it has an `on_checkpoint` of its own."""
    return getattr(callback.on_checkpoint, "__func__", None) is not Callback.on_checkpoint


def changes_rates(callback: Callback) -> bool:
    """Whether it has a `change_rates` of its own."""
    return getattr(callback.change_rates, "__func__", None) is not Callback.change_rates


# Classes whose methods have been looked at, and the functions that an object of them held besides: a look
# takes 0.4 ms, a tenth of a short fit.
_known: WeakKeyDictionary[type, frozenset[str]] = WeakKeyDictionary()


def _check_callback(callback: Callback) -> None:
    """Refuse a callback that fit would not call as it is meant."""
    own = frozenset(name for name, value in getattr(callback, "__dict__", {}).items() if callable(value))
    if _known.get(type(callback)) != own or any(name.startswith("on_") for name in own):
        _check_methods(callback)
        _known[type(callback)] = own
    if watches_steps(callback):
        check_count("every_steps", callback.every_steps)
    if isinstance(callback, Checkpoint):
        callback.check_network_file()


def _check_methods(callback: Callback) -> None:
    """Refuse methods that fit would never call, foreign or misspelt, and ours with other arguments."""
    import difflib

    from chainrule.base.foreign import answer
    from chainrule.base.foreign.callbacks import HOOKS

    kind = type(callback).__name__
    for name in dir(callback):
        if name in HOOKS or (name.startswith("on_") and name not in (*_CALLED, *_KEEPING)):
            if not callable(getattr(callback, name)):
                continue
            close = difflib.get_close_matches(name, _CALLED, 1, SPELLING)
            advice = HOOKS.get(name, f"{close[0]}(self, context)" if close else "")
            said = answer(advice) or f"; it calls {', '.join(_CALLED)}, each with the context"
            raise TypeError(f"fit calls no {clipped(name)} of a callback, as {kind} has one{said}")
    for name in _CALLED:
        method = getattr(callback, name)
        if getattr(method, "__func__", None) is getattr(Callback, name):
            continue
        parameters = inspect.signature(method).parameters.values()
        needed = [p for p in parameters if p.default is p.empty and p.kind in _POSITIONAL]
        some = any(p.kind in (*_POSITIONAL, p.VAR_POSITIONAL) for p in parameters)
        by_name = any(p.default is p.empty and p.kind is p.KEYWORD_ONLY for p in parameters)
        logs = any(p.name == "logs" for p in parameters)  # of Keras, where the context holds them
        if len(needed) > 1 or not some or by_name or logs:
            raise TypeError(
                f"fit calls {name} with the context alone: write def {name}(self, context) in {kind}; "
                "context.epoch and context.last are the epoch and its numbers"
            )


_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


# What may be a column of one of several outputs, or Keras' word for it, which the fit knows.
_maybe_of_output = re.compile(rf".+\.({'|'.join(MEASURES)})|.+_(loss|accuracy|acc)")


class _Monitor:
    """The best value of a column so far, and in which epoch."""

    def __init__(
        self,
        column: str | None,
        min_delta: float = 0.0,
        without: str = "monitor='loss'",
        last_of_ties: bool = False,
    ) -> None:
        from chainrule.base.foreign.callbacks import CHECKPOINT_FIELDS

        self.without = without  # what to write where there is no validation data
        if isinstance(column, str) and column in CHECKPOINT_FIELDS:
            raise ArgumentError(
                f"monitor must be one of {', '.join(COLUMNS[1:5])}, received {column!r}, which is "
                f"{CHECKPOINT_FIELDS[column]!r} here"
            )
        told = f"one of {', '.join(COLUMNS[1:5])}"
        if column is not None and not (isinstance(column, str) and _maybe_of_output.fullmatch(column)):
            check_choice("monitor", column, COLUMNS[1:5], meaning=told)
        self.column = column
        self.min_delta, self.last_of_ties = min_delta, last_of_ties
        self.value, self.epoch = float("nan"), 0

    def begin(self, context: Context) -> None:
        self.name = self.column or ("validation_loss" if context.validated else "loss")
        if self.name not in COLUMNS:
            self._check_output(context)
        if self.name.rpartition(".")[2].startswith("validation") and not context.validated:
            raise ArgumentError(
                f"monitor={self.name!r} needs validation data: give fit validation=0.1 or (X_val, y_val), "
                f"or write {self.without}"
            )
        if self.name in ("accuracy", "validation_accuracy") and not context.classified:
            other = f"monitor={self.name.replace('accuracy', 'loss')!r}"
            raise ArgumentError(_NO_ACCURACY.format(f"monitor={self.name!r}", other))
        self.value, self.epoch = float("nan"), 0

    def _check_output(self, context: Context) -> None:
        """ArgumentError unless the column is that of one of several outputs."""
        known = columns_of(context.outputs)
        if self.name not in known:
            meant = of_output(self.name, context.outputs)
            advice = f": write {meant!r}" if meant else f": write one of {', '.join((*COLUMNS[1:5], *known))}"
            raise ArgumentError(f"monitor={self.name!r} is no column of this fit{advice}")
        output, _, measure = self.name.rpartition(".")
        if measure.endswith("accuracy") and not context.outputs[output]:
            raise ArgumentError(
                _NO_ACCURACY.format(
                    f"monitor={self.name!r}", f"monitor='{output}.{measure.replace('accuracy', 'loss')}'"
                )
            )

    def improved(self, row: Row) -> bool:
        """Whether the row is better than every one before by more than min_delta, or as good where the last
        of ties counts; then it is the best.
        """
        value = row.value(self.name)
        if higher_is_better(self.name):
            better = value > self.value + self.min_delta
        else:
            better = value < self.value - self.min_delta
        if self.epoch and not better and not (self.last_of_ties and value == self.value):
            return False
        self.value, self.epoch = value, row.epoch
        return True

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds of it."""
        return {"value": self.value, "epoch": self.epoch}

    def resume(self, state: dict[str, Any]) -> None:
        self.value, self.epoch = state["value"], state["epoch"]

    def __str__(self) -> str:
        return f"{self.name.replace('_', ' ')} {format_cell(self.name, self.value)} in epoch {self.epoch}"


class EarlyStopping(Callback):
    """Stop when the monitored column has not improved for `patience` epochs (Prechelt 1998).

    min_delta: how much better counts as an improvement. restore_best: however the fit ends, Ctrl-C included,
    the network gets the parameters of the best epoch back, bit for bit, and the history the optimizer's
    moments and steps of that epoch, so that `fit(..., resume=history)` goes on from it.
    last_of_ties: an epoch as good as the best one is the best one, and `patience` counts from there.
    After the fit `best_epoch` and `best_value` say which one that was.
    """

    @teach()
    def __init__(
        self,
        patience: int = 5,
        monitor: str = "validation_loss",
        min_delta: float = 0.0,
        restore_best: bool = True,
        last_of_ties: bool = False,
    ) -> None:
        self.patience = check_count("patience", patience)
        check_number("min_delta", min_delta, include_low=True)
        self.restore_best = check_flag("restore_best", restore_best)
        without = f"EarlyStopping({patience}, monitor='loss')"
        self._best = _Monitor(monitor, min_delta, without, check_flag("last_of_ties", last_of_ties))
        self._parameters: dict[str, NDArray[Any]] = {}
        self._state: dict[str, Any] | None = None

    @property
    def monitor(self) -> str:
        """The column that is looked at."""
        return self._best.column or "validation_loss"

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
        self._parameters, self._state = {}, None

    def on_epoch_end(self, context: Context) -> None:
        if self._best.improved(context.last):
            if self.restore_best:
                self._state = None if context.state is None else context.state()
                self._parameters = {
                    name: np.array(value) for name, value in context.network.parameters.items()
                }
        elif context.epoch - self._best.epoch >= self.patience:
            plural = "epoch" if self.patience == 1 else "epochs"
            context.stop(f"no improvement for {self.patience} {plural}, best {self._best}")

    def on_fit_end(self, context: Context) -> None:
        if self._parameters:
            context.network.set_parameters(self._parameters)
            if self._state is not None:
                context.history.optimizer_state = self._state
                context.history.restored_epoch = self._best.epoch
            self._parameters, self._state = {}, None

    def on_checkpoint(self, context: Context) -> dict[str, Any]:
        return {**self._best.state(), "parameters": self._parameters, "optimizer": self._state}

    def on_resume(self, context: Context, state: dict[str, Any]) -> None:
        self._best.resume(state)
        self._parameters, self._state = state["parameters"], state["optimizer"]


class ReduceOnPlateau(Callback):
    """Multiply the learning rate by `factor` when a column has not improved for `patience` epochs.

    The rates are those of the optimizer's schedule, a constant one as a rule, times factor^(number of
    reductions), and not below min_rate where the schedule is above it.
    monitor: None is the validation loss, without validation data the loss. min_delta: how much better counts
    as an improvement. cooldown: so many epochs after a reduction are not counted.
    It is computed from `context.history` alone: with `resume` it goes on as if there had been one fit.

    The rule is PyTorch's ReduceLROnPlateau with threshold_mode="abs", but for `patience`: as in
    `EarlyStopping` and Keras the epoch that is the patience-th without improvement is the last at the old
    rate; PyTorch waits for one more.
    """

    reductions: int = 0  # so far

    @teach()
    def __init__(
        self,
        factor: float = 0.1,
        patience: int = 10,
        monitor: str | None = None,
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_rate: float = 0.0,
    ) -> None:
        check_number("factor", factor, high=1.0, hint="0.1 divides the rate by ten")
        check_number("min_delta", min_delta, include_low=True)
        check_number("min_rate", min_rate, include_low=True)
        self.factor, self.min_rate = float(factor), float(min_rate)
        self.patience, self.cooldown = check_count("patience", patience), check_count("cooldown", cooldown, 0)
        self._best = _Monitor(monitor, min_delta, f"ReduceOnPlateau({factor:g}, monitor='loss')")

    def on_fit_begin(self, context: Context) -> None:
        self._best.begin(context)
        self.reductions, self._waited, self._cooling = 0, 0, 0  # so many epochs, so many to come
        for row in context.history:
            if row.value(self._best.name) is not None:  # of a fit that had no validation data
                self._count(row)

    def on_epoch_end(self, context: Context) -> None:
        self._count(context.last)

    def _count(self, row: Row) -> None:
        self._waited = 0 if self._best.improved(row) else self._waited + 1
        if self._cooling:
            self._cooling, self._waited = self._cooling - 1, 0
        if self._waited >= self.patience:
            self.reductions, self._waited, self._cooling = self.reductions + 1, 0, self.cooldown

    def change_rates(self, rates: Rates, context: Context) -> Rates:
        return np.maximum(rates * self.factor**self.reductions, np.minimum(rates, self.min_rate))


Weights = dict[str, NDArray[np.float64]]


class _Average(Callback):
    """What the two share: `parameters` is the average so far, by the parameters' names, in float64."""

    apply: bool

    def on_fit_begin(self, context: Context) -> None:
        self._mean: Weights = {}
        self._count = 0

    @property
    def parameters(self) -> Weights:
        """The average so far, BatchNorm's running statistics too; empty before its first term."""
        return {name: mean.copy() for name, mean in self._mean.items()}

    def _add(self, context: Context, share: float) -> None:
        """mean ← mean + share · (θ - mean)"""
        self._count += 1
        for name, value in context.network.parameters.items():
            theta = np.asarray(value, dtype=np.float64)
            mean = self._mean.get(name)
            self._mean[name] = theta.copy() if mean is None else mean + share * (theta - mean)

    def on_checkpoint(self, context: Context) -> dict[str, Any]:
        return {"mean": self._mean, "count": self._count}

    def on_resume(self, context: Context, state: dict[str, Any]) -> None:
        self._mean, self._count = state["mean"], state["count"]

    def on_fit_end(self, context: Context) -> None:
        if self._mean and self.apply:
            network = context.network
            network.set_parameters({name: mean.astype(network.dtype) for name, mean in self._mean.items()})


class AverageWeights(_Average):
    """The mean of the parameters after every epoch from `start_epoch` on (Polyak 1992; Izmailov et al. 2018,
    SWA).

    The network has the average when the fit ends, unless apply=False; the numbers of the history are those
    of the parameters in training.
    """

    @teach()
    def __init__(self, start_epoch: int = 1, *, apply: bool = True) -> None:
        self.start_epoch = check_count("AverageWeights start_epoch", start_epoch)
        self.apply = check_flag("AverageWeights apply", apply)
        self._mean, self._count = {}, 0

    def on_epoch_end(self, context: Context) -> None:
        if context.epoch >= self.start_epoch:
            self._add(context, 1 / (self._count + 1))


class ExponentialAverage(_Average):
    """θ̄ ← decay · θ̄ + (1 - decay) · θ after every `every_steps`-th step, from the parameters after the first.

    The network has the average when the fit ends, unless apply=False; the numbers of the history are those
    of the parameters in training. Every step is copied out of the kernels for it: every_steps=10 with
    decay ** 10 costs a tenth.
    """

    @teach()
    def __init__(self, decay: float = 0.999, *, every_steps: int = 1, apply: bool = True) -> None:
        check_number("ExponentialAverage decay", decay, high=1.0, hint="0.999 remembers some 1000 steps")
        self.decay = float(decay)
        self.every_steps = check_count("ExponentialAverage every_steps", every_steps)
        self.apply = check_flag("ExponentialAverage apply", apply)
        self._mean, self._count = {}, 0

    def on_step_end(self, context: Context) -> None:
        self._add(context, 1 - self.decay)


# What may stand in braces in a checkpoint's name, and a value of it to try the format with.
_FIELDS: dict[str, float] = {
    "epoch": 1, "loss": 0.5, "accuracy": 0.5, "validation_loss": 0.5, "validation_accuracy": 0.5,
}  # fmt: skip
_NO_ACCURACY = "{} has no value: this loss has no classes; write {}"


def checkpoint_path(path: str | os.PathLike[str]) -> str:
    """The path as text; ArgumentError where a field cannot be put into it or `network.save` refuses it."""
    from chainrule.base.foreign.callbacks import CHECKPOINT_FIELDS
    from chainrule.networks.forms.storage import SUFFIXES

    text = text_path(path)
    try:
        for part in Path(text).parts:
            fields_of(part)
        made = text.format(**_FIELDS)
    except (LookupError, ValueError, TypeError, AttributeError) as error:
        named = error.args[0] if isinstance(error, KeyError) else ""
        advice = f"; {named} is {{{CHECKPOINT_FIELDS[named]}}} here" if named in CHECKPOINT_FIELDS else ""
        reason = f"{type(error).__name__}: {error}"
        raise ArgumentError(
            "path must be a file name with nothing but {epoch} or {epoch:03} in braces, {loss:.3f} or "
            f"another of {', '.join(_FIELDS)}, received {describe(text)} ({reason}){advice}; a brace itself "
            "is written twice, {{"
        ) from None
    if Path(made).suffix not in SUFFIXES:
        endings = " or ".join(SUFFIXES)
        raise ArgumentError(f"path must be a model file, which ends in {endings}, received {describe(text)}")
    for folder in Path(text).parents:
        name = folder.name
        if fields_of(name) and os.path.lexists(Path(str(folder.parent).format(**_FIELDS)) / name):
            raise ArgumentError(
                f"there is a folder that is called {describe(name)}: write "
                f"{describe(name.replace('{', '{{').replace('}', '}}'))} in path for it, or rename it if "
                "every epoch is to have a folder of its own"
            )
    return text


def fields_of(text: str) -> set[str]:
    """The names in braces of a pattern; KeyError for one that there is not, ValueError where it is none."""
    names = {name for _, name, _, _ in Formatter().parse(text) if name is not None}
    unknown = sorted(names - _FIELDS.keys())
    if unknown:
        raise KeyError(unknown[0])
    return names


class Checkpoint(Callback):
    """What is written while training runs: in `callbacks` the network, as `fit(checkpoint=...)` all of the
    training, so that it goes on after whatever ended it.

    callbacks=[Checkpoint("net.npz")]: the network after every `every`-th epoch; best_only=True: only if the
    monitored column is the best so far.

    path: as for `network.save`; "{epoch}" in it is replaced, also in a folder's name, and so are the columns
    of the history: "net-{epoch:03}.npz" and "net-{epoch:03}-{validation_loss:.3f}.npz" keep every one. A
    brace itself is written twice. The file is replaced as a whole: a crash while writing leaves the one
    before.
    monitor: None is the validation loss, without validation data the loss.

    checkpoint=Checkpoint("runs/a", every_steps=1000, keep=3): path is a folder, which holds the last `keep`
    checkpoints. One is written at the start and at the end, where SIGTERM or Ctrl-C ends training, after
    every `every_steps`-th step, counted over all epochs, when `every_minutes` have passed, and after every
    `every`-th epoch; where none of these is given, after every epoch and every 5 minutes.
    allow_changes: go on although the data or the arguments are not those of the checkpoint.
    """

    @teach()
    def __init__(
        self,
        path: str | os.PathLike[str],
        every: int | None = None,
        best_only: bool = False,
        monitor: str | None = None,
        *,
        every_steps: int | None = None,
        every_minutes: float | None = None,
        keep: int | None = None,
        allow_changes: bool = False,
    ) -> None:
        of_training = {"every_steps": every_steps, "every_minutes": every_minutes, "keep": keep}
        of_training["allow_changes"] = check_flag("allow_changes", allow_changes) or None
        self._of_training = [name for name, value in of_training.items() if value is not None]
        bare = not Path(text_path(path)).suffix
        self.path = text_path(path) if bare or self._of_training else checkpoint_path(path)
        self.every = 1 if every is None else check_count("every", every)
        self.best_only = check_flag("best_only", best_only)
        self._best = _Monitor(monitor)
        self._of_network = "best_only" if self.best_only else "" if monitor is None else "monitor"
        if every_steps is not None:
            check_count("every_steps", every_steps)
        if every_minutes is not None:
            check_number("every_minutes", every_minutes)
        unsaid = every is None and every_steps is None and every_minutes is None
        self._epochs = 1 if unsaid else every
        self._steps, self._minutes = every_steps, 5.0 if unsaid else every_minutes
        self.keep = 2 if keep is None else check_count("keep", keep)
        self.allow_changes = allow_changes

    @property
    def rhythm(self) -> tuple[int | None, int | None, float]:
        """Of a whole training's checkpoints: every so many epochs, steps, seconds; None and ∞: never."""
        return self._epochs, self._steps, math.inf if self._minutes is None else 60.0 * self._minutes

    def check_network_file(self) -> None:
        """ArgumentError for one that is not for `callbacks`."""
        if self._of_training:
            raise ArgumentError(
                f"{self._of_training[0]} is of checkpoints that hold the whole training: write "
                f"fit(..., checkpoint=Checkpoint({self.path!r}, {self._of_training[0]}=...)); one among the "
                "callbacks writes the network alone"
            )
        checkpoint_path(self.path)

    def check_folder(self) -> None:
        """ArgumentError for one that is not for `checkpoint`."""
        if self._of_network:
            raise ArgumentError(
                f"{self._of_network} is of networks that are written: write "
                f"callbacks=[Checkpoint('net.npz', {self._of_network}=...)]; checkpoint=Checkpoint(...) "
                "keeps the last ones of the whole training"
            )
        from chainrule.networks.forms.storage import SUFFIXES

        path = Path(self.path)
        if path.suffix in SUFFIXES:
            raise ArgumentError(
                "checkpoint takes a folder, which holds the last checkpoints of the whole training: write "
                f"checkpoint={str(path.with_suffix(''))!r}; callbacks=[Checkpoint('net.npz')] writes the "
                "network alone"
            )

    def on_checkpoint(self, context: Context) -> dict[str, Any]:
        return self._best.state()

    def on_resume(self, context: Context, state: dict[str, Any]) -> None:
        self._best.resume(state)

    def on_fit_begin(self, context: Context) -> None:
        if self.best_only:
            self._best.begin(context)
        for name in fields_of(self.path):
            field = f"{{{name}}} in path"
            if name.startswith("validation") and not context.validated:
                raise ArgumentError(
                    f"{field} needs validation data: give fit validation=0.1 or (X_val, y_val), or write "
                    f"{{{name.removeprefix('validation_')}}}"
                )
            if name.endswith("accuracy") and not context.classified:
                raise ArgumentError(_NO_ACCURACY.format(field, name.replace("accuracy", "loss").join("{}")))
        folders = reversed(Path(self.path).parents)
        for folder in takewhile(lambda folder: not fields_of(folder.name), folders):
            Path(str(folder).format()).mkdir(parents=True, exist_ok=True)

    def on_epoch_end(self, context: Context) -> None:
        if context.epoch % self.every == 0 and (not self.best_only or self._best.improved(context.last)):
            self.save(context)

    def save(self, context: Context) -> None:
        """Write the network as it is now."""
        row = context.last
        path = self.path.format(**{name: getattr(row, name) for name in _FIELDS})
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        context.network.save(path)


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
