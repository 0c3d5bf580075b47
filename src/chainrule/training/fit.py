"""`fit`: epochs of compiled training steps, with validation, callbacks and a history between them.

The steps themselves run in the engine's plan; nothing here runs once per step.
"""

from __future__ import annotations

import math
import time
import warnings
from contextlib import ExitStack
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.base.errors import ArgumentError, DataError, NonFiniteError, describe
from chainrule.base.keywords import teach
from chainrule.base.scalars import check_count, check_flag
from chainrule.losses import Loss, SquaredError, loss_from
from chainrule.losses.constraints import MaxNorm, constraint_from
from chainrule.losses.penalties import Penalty, penalty_from
from chainrule.networks.batch import Batch
from chainrule.networks.executor import suspect, suspected
from chainrule.networks.finite import inside_problem, quiet
from chainrule.networks.network import Network
from chainrule.networks.objective import Objective
from chainrule.networks.several_labels import remember
from chainrule.training.callbacks import (
    Callback,
    Callbacks,
    Context,
    EarlyStopping,
    callbacks_from,
    early_stopping_from,
    watches_steps,
)
from chainrule.training.history import History, Row
from chainrule.training.optimizers import Optimizer, optimizer_from
from chainrule.training.parts import FitData, Rows, Validation, prepare, random_stream
from chainrule.training.progress import Progress, progress_from
from chainrule.training.schedules import Rates

if TYPE_CHECKING:  # at run time inside fit: to look at `cr.fit` loads no kernels
    from chainrule.engine import Plan

# The network's arrays follow the plan's this often, and whenever somebody looks at them: copying the weights
# after every epoch would double the time of a full-batch epoch of a large network.
SECONDS_BETWEEN_STORES = 0.25

# Validation runs in pieces of this many samples or one batch, between which Ctrl-C is seen: 0.1 s of the
# largest network we measure, and calls cost 2 % of the time of the smallest.
EVALUATION_PIECE = 512


@teach("fit(network, X, y) and the rest by name: epochs=10, batch_size=32")
def fit(
    network: Network,
    X: Any,
    y: Any,
    *,
    loss: Loss | str | None = None,
    penalty: Penalty | None = None,
    constraint: MaxNorm | None = None,
    optimizer: Optimizer | str | None = None,
    batch_size: int = 32,
    epochs: int = 10,
    validation: Validation = None,
    shuffle: bool = True,
    seed: int = 0,
    sample_weight: Any = None,
    class_weight: Any = None,
    classes: Any = None,
    early_stopping: EarlyStopping | int | None = None,
    callbacks: Callbacks | None = (),
    progress: bool | str | Progress | None = None,
    threads: int | None = None,
    resume: History | None = None,
    allow_nonfinite: bool = False,
) -> History:
    """Train a network in place and return what each epoch reached; `network.history` holds the same object.

    Parameters
    ----------
    X: (N, *input_shape), numbers, or a data frame. Images of uint8 with a value above 1 are pixels, which
        every pass divides by 255, without a copy. What X was, pixels or numbers and the names of a frame's
        columns, the network remembers as `network.preparation`, if it was not made with one: later X are
        taken in the same way or refused.
    y: (N,) labels (integers or strings), (N, K) one-hot or soft rows, or numbers (N, *output_shape).
    loss: a loss, "cross_entropy", "binary_cross_entropy", "squared_error" ("mse"), "mae", "huber", "poisson",
        "hinge", "squared_hinge" or "categorical_hinge"; None: the one that fits the network's last layer.
    penalty: such as L2(1e-4); biases are never penalised.
    constraint: MaxNorm(3.0): after every step no unit's incoming weights have a larger norm; biases are free.
    optimizer: such as Adam(1e-3), "sgd", "adam", "adamw", "rmsprop"; None: Adam(1e-3), or that of `resume`.
    batch_size: samples per step; the last batch of an epoch may be smaller, and so is the only one if N is.
    epochs: at least 1.
    validation: (X_val, y_val), (X_val, y_val, weights), or a fraction f between 0 and 1: round(N·f) samples
        chosen by the seed are held out; where the targets are classes, of every class in its proportion.
    shuffle: whether every epoch takes the samples in a new order.
    seed: fixes the orders, the held-out part and what dropout draws. The same seed gives the same bits for
        any number of threads.
    sample_weight: (N,), at least 0; only ratios matter (they are scaled to mean 1 over the training part). A
        fraction held out keeps its samples' weights. Accuracies count every sample once.
    class_weight: {label: weight}, a label not named weighs 1, or "balanced": N / (K · samples of the class),
        so that every class weighs the same. It multiplies sample_weight in training only: validation is not
        weighted by it, whichever way it is given.
    classes: the labels in the order of the network's outputs, such as range(10), also those that y lacks;
        None: those of `network.classes`, and for new ones the outputs that are free.
    early_stopping: EarlyStopping(...), or a number of epochs: EarlyStopping(patience).
    callbacks: functions of one `Context`, called after every epoch, or `Callback` objects, which may be
        called after every step as well: EarlyStopping(...), Checkpoint(...), ReduceOnPlateau(...), your own.
    progress: True, False, "tqdm"; None shows it where stderr is a terminal, and in notebooks.
    threads: for this fit and what its callbacks call; None leaves the engine's choice.

    resume: the history that an earlier fit returned; see below.
    allow_nonfinite: go on where finite outputs hide a number beyond the range, or a squared gradient is one.
        A loss or a parameter that is itself NaN or infinite ends training all the same.

    Calling fit again continues from the current parameters with a fresh optimizer and schedule. It repeats
    the orders of the first call unless it is given another seed. With `resume` the optimizer's moments and
    steps, the orders and the numbers of the epochs go on too, and the history returned begins with the epochs
    of the earlier one: with the same data and arguments, two fits of 5 epochs are one of 10, bit for bit. A
    schedule sees all epochs, so one that spans them must say how many: CosineDecay(0.1, epochs=10). Where
    early stopping has given the parameters of an earlier epoch back, training goes on from that epoch, with
    its moments and steps, and the history returned begins with the epochs up to it.

    Ctrl-C ends training at once: KeyboardInterrupt is raised, the network keeps the parameters of the last
    whole step (with early stopping the best ones), and `network.history` holds the finished epochs; its
    `stopped` says where training was.

    Raises
    ------
    NonFiniteError: the loss, a δ or a parameter became NaN or infinite, finite outputs hide a number beyond
        the range, or an optimizer's squared gradient is one; the message names epoch, step and layer or
        parameter, and the network keeps finite parameters.
    DataError, ShapeError, PairError, TypeError, ValueError: an argument cannot be used; nothing was changed.
    """
    if not isinstance(network, Network):
        raise TypeError(f"fit takes the network first, fit(network, X, y): received {describe(network)}")
    chosen_loss = loss_from(loss, network.layers[-1])
    chosen_loss.check_output(network.layers)
    check_resume(resume)
    if optimizer is None and resume is not None:
        optimizer = resume.optimizer
    chosen_penalty, chosen_optimizer = penalty_from(penalty), optimizer_from(optimizer)
    chosen_constraint = constraint_from(constraint)
    batch_size, epochs = check_count("batch_size", batch_size), check_count("epochs", epochs)
    seed = check_count("seed", seed, 0, math.inf)
    allowed = check_flag("allow_nonfinite", allow_nonfinite)
    if not isinstance(shuffle, (bool, np.bool_)):
        raise TypeError(f"shuffle must be True or False, received {describe(shuffle)}")
    chosen_callbacks = [*early_stopping_from(early_stopping), *callbacks_from(callbacks)]
    shown = progress_from(progress)
    data = prepare(network, chosen_loss, X, y, sample_weight, validation, seed, class_weight, classes)
    if loss is None:
        warn_of_labels(network, chosen_loss, data)

    from chainrule.engine import Plan, threads_of_call

    samples = len(data.rows)
    batch_size = min(batch_size, samples)
    plan = Plan(
        network,
        loss=chosen_loss,
        penalty=chosen_penalty,
        optimizer=chosen_optimizer,
        batch_size=batch_size,
        training_size=samples,
        constraint=chosen_constraint,
    )
    plan.check_batches(samples)
    plan.set_seed(seed)
    rows = [] if resume is None else resume.resumed_rows()
    if resume is not None and resume.optimizer_state is not None:
        plan.set_optimizer_state(resume.optimizer_state)
        if not allowed and (where := plan.first_at_rest()) is not None:
            raise NonFiniteError(
                f"resume holds a squared gradient of {where} beyond the range of {network.dtype}: the "
                "parameter would stand still. Go on without resume; fit(..., allow_nonfinite=True) goes on "
                "all the same"
            )
    history = History(rows, loss_function=chosen_loss, optimizer=chosen_optimizer)
    order_seed = seed if shuffle else None
    run = _Run(network, plan, data, history, chosen_optimizer, batch_size, epochs, order_seed, allowed)
    with threads_of_call(threads):
        return run.train(chosen_callbacks, shown)


def check_resume(resume: Any) -> None:
    """Refuse what training cannot go on from."""
    if resume is None:
        return
    if not isinstance(resume, History):
        raise TypeError(f"resume must be the history that fit returned, received {describe(resume)}")
    if resume.optimizer_state is None:
        raise ArgumentError(
            "resume holds no state of an optimizer: give the history that fit returned; one read from a "
            "file, or of a fit that ended in NaN, has none"
        )


def warn_of_labels(network: Network, loss: Loss, data: FitData) -> None:
    """Class labels that are trained by the squared error, because the network has no softmax at its end."""
    labels = data.training.targets.dtype.kind in "iu"  # labels of several classes; anything else is floats
    if labels and isinstance(loss, SquaredError):
        warnings.warn(
            f"the network ends in {network.layers[-1]!r}, so fit trains these class labels by SquaredError: "
            "end the network in Softmax() for cross-entropy, or pass loss=SquaredError() if that is meant",
            stacklevel=4,  # the caller of fit, past `teach`
        )


class _Run:
    """One call of fit: the loop over epochs and what must hold when it is left in whatever way."""

    def __init__(
        self,
        network: Network,
        plan: Plan,
        data: FitData,
        history: History,
        optimizer: Optimizer,
        batch_size: int,
        epochs: int,
        seed: int | None,
        allowed: bool,
    ) -> None:
        self.network, self.plan, self.data, self.optimizer = network, plan, data, optimizer
        finished = len(history)  # epochs of the fit that is resumed
        self.batch_size, self.finished, self.epochs = batch_size, finished, finished + epochs
        self.rng = None if seed is None else random_stream(seed, "order")
        for _ in range(finished if self.rng else 0):
            self.order()
        self.steps = math.ceil(len(data.rows) / batch_size)
        self.context = Context(
            network,
            history,
            self.epochs,
            data.validation is not None,
            epoch=finished,
            steps=self.steps,
            classified=plan.counts(data.training.targets),
            state=plan.optimizer_state,
        )
        self.number = finished + 1  # the current epoch
        self.step = 0  # its finished steps, as far as the plan has told
        self.ahead = False  # whether the plan's parameters are newer than the network's
        self.stored, self.stored_at = "before this fit", time.perf_counter()  # what the network holds
        self.used = self.rates(self.number)  # of the steps of the epoch; refuses a schedule that does not fit
        self.suspects = 0  # steps that may have gone beyond the range, so far
        self.allowed = allowed  # numbers beyond the range that finite outputs hide

    def train(self, callbacks: list[Callback], progress: Progress) -> History:
        context, history = self.context, self.context.history
        with ExitStack() as ending:  # runs every on_fit_end in the order of the callbacks, whatever is raised
            for callback in reversed(callbacks):
                ending.callback(callback.on_fit_end, context)
            for callback in callbacks:
                callback.on_fit_begin(context)
            if self.data.classes is not None:
                self.network.classes = self.data.classes
            self.network.preparation = self.data.preparation
            remember(self.network, history.loss_function, self.data.training.targets)
            self.network.history = history
            try:
                self.plan.load()
                progress.begin(self.epochs, self.steps, len(self.data.rows), self.finished)
                while context.epoch < self.epochs and context.stopped is None:
                    self.run_epoch(callbacks, progress)
                if not self.store():
                    raise self.nonfinite()
                history.optimizer_state = self.plan.optimizer_state()
            except BaseException as error:
                if not isinstance(error, NonFiniteError) and self.store():
                    history.optimizer_state = self.plan.optimizer_state()
                what = "interrupted" if isinstance(error, KeyboardInterrupt) else type(error).__name__
                context.stopped = f"{what} {self.place()}"
                raise
            finally:
                history.stopped = context.stopped
                progress.close()
        return history

    def run_epoch(self, callbacks: list[Callback], progress: Progress) -> None:
        context, training = self.context, self.data.training
        self.number = number = context.epoch + 1
        started = time.perf_counter()
        self.used = rates = self.changed_rates(callbacks)
        order = self.order()
        self.step = 0
        first = self.context.epoch * self.steps
        watching = [callback for callback in callbacks if watches_steps(callback)]
        self.ahead = True
        seen = self.suspects

        def look(step: int) -> None:
            """Into an epoch's first suspected step, and the 1st, 2nd, 4th, ... of the fit: a look takes as
            long as some ten steps, and all may be suspected wrongly.
            """
            self.suspects += 1
            if self.suspects == seen + 1 or self.suspects & (self.suspects - 1) == 0:
                self.look_inside_step(step, order[step * self.batch_size : (step + 1) * self.batch_size])

        def poll(step: int, steps: int, loss: float, accuracy: float | None) -> bool:
            self.step = step
            progress.step(number, step, loss, accuracy)
            return context.stopped is not None

        def after(step: int, loss: float, accuracy: float | None) -> bool:
            due = [callback for callback in watching if (first + step) % callback.every_steps == 0]
            if due:
                self.step = step
                context.step, context.loss, context.accuracy = step, loss, accuracy
                if not self.store():
                    raise self.nonfinite()  # the update overflowed
                for callback in due:
                    callback.on_step_end(context)
                self.plan.load()  # a callback may have changed the parameters
                self.ahead = True
            return context.stopped is not None

        result = self.plan.train_epoch(
            training.inputs,
            training.targets,
            order,
            rates,
            weights=training.weights,
            poll=poll,
            look=None if self.allowed else look,
            after=after if watching else None,
        )
        self.step = result.steps
        if result.outcome == "nonfinite":
            raise self.nonfinite()
        if result.outcome == "at_rest":
            raise self.at_rest()
        if result.outcome == "stopped" and result.steps < self.steps:
            return
        context.step = 0
        validation_loss, validation_accuracy = self.validate()
        measured = (result.loss, result.accuracy, validation_loss, validation_accuracy)
        row = Row(number, *measured, rate=float(rates[0]), seconds=time.perf_counter() - started)
        context.history.append(row)
        context.epoch = number
        progress.end_epoch(row)
        if (callbacks or time.perf_counter() - self.stored_at > SECONDS_BETWEEN_STORES) and not self.store():
            raise self.nonfinite()  # the last update overflowed
        for callback in callbacks:
            callback.on_epoch_end(context)
        if callbacks:
            self.plan.load()  # a callback may have changed the parameters

    def order(self) -> Rows:
        """The samples of the next epoch in the order they are taken."""
        return self.data.rows if self.rng is None else self.rng.permutation(self.data.rows)

    def rates(self, epoch: int) -> Rates:
        """The rate of every step of the epoch, checked: a schedule may be the user's own."""
        given = self.optimizer.rates((epoch - 1) * self.steps, self.steps, self.steps, self.epochs)
        return self.checked_rates(given, repr(self.optimizer.rate), epoch)

    def changed_rates(self, callbacks: list[Callback]) -> Rates:
        """The same for the current epoch, by the callbacks."""
        rates = self.rates(self.number)
        for callback in callbacks:
            given = callback.change_rates(rates, self.context)
            if given is not rates:
                name = f"{type(callback).__name__}.change_rates"
                rates = self.checked_rates(given, name, self.number)
        return rates

    def checked_rates(self, given: Any, whose: str, epoch: int) -> Rates:
        rates = np.ascontiguousarray(given, dtype=np.float64)
        if rates.shape != (self.steps,) or not (np.isfinite(rates) & (rates >= 0)).all():
            raise ArgumentError(
                f"{whose} must give {self.steps} finite rates >= 0 for epoch {epoch}, it gave {rates}"
            )
        return rates

    def validate(self) -> tuple[float | None, float | None]:
        """Loss and accuracy on the validation part, None where there is none."""
        part = self.data.validation
        if part is None:
            return None, None
        piece = self.batch_size * math.ceil(EVALUATION_PIECE / self.batch_size)
        with suspected() as parts:
            loss, accuracy = evaluate(self.plan, part, piece)
        if not math.isfinite(loss):
            raise NonFiniteError(
                f"the validation loss became {loss} after epoch {self.number} while the training "
                "loss is finite: look for extreme values in the validation data, or lower the rate"
            )
        for rows in () if self.allowed else parts:
            if not self.store():
                raise self.nonfinite()
            found = inside_problem(self.network, part.inputs, rows)
            self.refuse(found, f"after epoch {self.number}", "the validation data")
        return loss, accuracy

    def look_inside_step(self, step: int, rows: Rows) -> None:
        """NonFiniteError where the step, before its update, hides a number beyond the range."""
        network, batch = self.as_trained, self.data.training[rows]
        network.set_parameters(self.plan.parameters())
        loss = self.context.history.loss_function
        assert loss is not None  # fit has told the history
        with quiet():
            passed = network.executor().backpropagate(network, batch, Objective(loss))
        every = slice(0, len(batch))
        found = inside_problem(network, batch.inputs, every, passed.activations)
        when = f"in epoch {self.number}, step {step + 1} of {self.steps},"
        self.refuse(found, when, "the batch of the step")

    @cached_property
    def as_trained(self) -> Network:
        """Takes the plan's parameters where a step is looked into."""
        return self.network.copy()

    def refuse(self, found: tuple[str, bool] | None, when: str, what: str) -> None:
        """NonFiniteError for what `inside_problem` found."""
        if found is not None:
            raise NonFiniteError(
                f"{when} {found[0]} (X: {what}). Lower the rate, or check the scale of the data and of the "
                "initial weights; fit(..., allow_nonfinite=True) goes on all the same"
            )

    def store(self) -> bool:
        """Give the network the plan's parameters, if newer; False and no change if they are not finite."""
        if self.ahead:
            try:
                self.plan.store()
            except DataError:  # an update overflowed
                return False
            self.ahead = False
            at_end = self.context.epoch == self.number
            self.stored = f"after {'' if at_end else f'step {self.step} of '}epoch {self.number}"
            self.stored_at = time.perf_counter()
        return True

    def nonfinite(self) -> NonFiniteError:
        """The error to raise; the network gets the last finite parameters that there are."""
        kept = "after the last finite step"
        where = self.plan.first_nonfinite() or "the loss"
        step = min(self.step + 1, self.steps)  # the loss shows it first, or the last update did it
        rate = float(self.used[step - 1])
        if not self.store():
            kept = self.stored
        lower = float(f"{min(rate / 10, 0.1):.1g}")
        clip = "" if self.optimizer.clip_norm else ", clip the gradients (clip_norm=1.0)"
        return NonFiniteError(
            f"training became NaN or infinite in epoch {self.number}, step {step} of {self.steps}, first in "
            f"{where}; the network keeps its parameters from {kept}. Lower the rate (it was {rate:g}, try "
            f"{lower:g}){clip}, or check the scale of the data and of the initial weights"
        )

    def at_rest(self) -> NonFiniteError:
        """The error to raise where an update by g / √s did nothing, s being infinite."""
        where, step = self.plan.first_at_rest(), min(self.step + 1, self.steps)
        if not self.store():
            return self.nonfinite()
        clip = "" if self.optimizer.clip_norm else "clip the gradients (clip_norm=1.0), "
        double = "" if self.network.dtype == np.float64 else ", or write dtype='float64'"
        ways = f"{clip}scale the data{double}".capitalize()
        return NonFiniteError(
            f"in epoch {self.number}, step {step} of {self.steps}, the squared gradient of {where} is beyond "
            f"the range of {self.network.dtype}, and {type(self.optimizer).__name__} divides by its root: "
            f"the parameter would stand still. {ways}; fit(..., allow_nonfinite=True) goes on all the same"
        )

    def place(self) -> str:
        """Where training is, for people: the plan tells the step every 50 ms only."""
        if self.context.epoch == self.number:
            return f"after epoch {self.number}"
        return f"in epoch {self.number}" + (f", near step {self.step} of {self.steps}" if self.step else "")


def evaluate(plan: Plan, part: Batch, piece: int) -> tuple[float, float | None]:
    """Mean loss and accuracy over a part, in pieces between which Python sees Ctrl-C."""
    losses, hits = [], []
    for start in range(0, len(part), piece):
        rows = slice(start, start + piece)
        own = part[rows]
        result = plan.evaluate(own.inputs, own.targets, own.weights)
        for first in plan.overflows():
            suspect(slice(start + first, min(start + first + plan.batch_size, len(part))))
        samples = len(own)
        losses.append(result.loss * samples)
        if result.accuracy is not None:
            hits.append(result.accuracy * samples)
    return math.fsum(losses) / len(part), math.fsum(hits) / len(part) if hits else None
