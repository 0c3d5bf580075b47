"""Epochs of compiled training steps, with validation, callbacks and a history between them.

The steps themselves run in the engine's plan; nothing here runs once per step.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.base.errors import ArgumentError, DataError, NonFiniteError, describe
from chainrule.base.types import Array
from chainrule.data.preparation import Pixels, Preparation
from chainrule.distributed import Communicator
from chainrule.networks.batch import Batch
from chainrule.networks.executor import suspect, suspected
from chainrule.networks.finite import broken_before, inside_problem, quiet
from chainrule.networks.forms.several_labels import remember as remember_labels
from chainrule.networks.network import Network
from chainrule.networks.objective import Objective
from chainrule.training.callbacks import Callback, Context, watches_steps
from chainrule.training.history import History, OutputRow, Row
from chainrule.training.loop.job import Job
from chainrule.training.optimizers import AdamW
from chainrule.training.parts import Rows, random_stream
from chainrule.training.ranks.together import agree, check_parameters, introduced, same_batches, spread
from chainrule.training.schedules import ConstantRate, Rates, Schedule
from chainrule.training.streams.feed import Prepared, SourceFeed

if TYPE_CHECKING:  # at run time inside a fit: to look at `cr.fit` loads no kernels and no files
    from chainrule.engine.plan import EpochResult, Evaluation, Plan
    from chainrule.training.checkpoints.keeper import Keeper

# The network's arrays follow the plan's this often, and whenever somebody looks at them: copying the weights
# after every epoch would double the time of a full-batch epoch of a large network.
SECONDS_BETWEEN_STORES = 0.25

# Between batches the progress line is told this often, as within an epoch of arrays.
SECONDS_BETWEEN_POLLS = 0.05

# Validation runs in pieces of this many samples or one batch, between which Ctrl-C is seen: 0.1 s of the
# largest network we measure, and calls cost 2 % of the time of the smallest.
EVALUATION_PIECE = 512


class Run:
    """One call of fit: the loop over epochs and what must hold when it is left in whatever way."""

    def __init__(self, job: Job, prepared: Prepared) -> None:
        self.job, self.prepared, self.data = job, prepared, prepared.data
        self.network, self.optimizer, self.comm = job.network, job.optimizer, job.comm
        self.callbacks, self.progress = job.callbacks, job.progress
        self.plan, history = job.first_plan(prepared), job.history()
        decay = job.optimizer.decay if isinstance(job.optimizer, AdamW) else None
        self.decay = decay if isinstance(decay, Schedule) else None
        finished = len(history)  # epochs of the fit that is resumed
        self.batch_size, self.finished, self.epochs = prepared.size, finished, finished + job.epochs
        self.rng = random_stream(job.seed, "order") if job.shuffle else None
        for _ in range(finished if self.rng else 0):
            self.order()
        self.steps = prepared.steps  # of an epoch; 0: not known
        self.taken = finished * self.steps  # steps of the epochs before
        self.context = self.new_context(history)
        self.keeper: Keeper | None = None
        self.constant = isinstance(job.optimizer.schedule, ConstantRate)
        self.order_from: Mapping[str, Any] | None = None  # the generator's state before the epoch's order
        self.number = finished + 1  # the current epoch
        self.step = 0  # its finished steps, as far as the plan has told
        self.classes: Array | None = None  # what the network has been given
        self.ahead = False  # whether the plan's parameters are newer than the network's
        self.stored, self.stored_at = "before this fit", time.perf_counter()  # what the network holds
        self.strengths = self.strengths_of(self.number)
        self.constant_rates: Rates | None = None  # of every epoch, once they are known
        self.used = self.rates(self.number)  # of the steps of the epoch; refuses a schedule that does not fit
        self.begin_epoch()
        self.suspects = 0  # steps that may have gone beyond the range, so far
        self.allowed = job.allow_nonfinite  # numbers beyond the range that finite outputs hide
        self.share()

    def new_context(self, history: History) -> Context:
        """What callbacks see, before the first step."""
        return Context(
            self.network,
            history,
            self.epochs,
            self.prepared.validated,
            epoch=self.finished,
            steps=self.steps,
            classified=self.plan.counts(self.data.training.targets),
            outputs=self.plan.outputs_classified,
            state=lambda: self.plan.optimizer_state(),  # a larger batch has another plan
            set_state=lambda state: self.plan.set_optimizer_state(state),
            parameters=lambda: self.plan.parameters(),
            penalty=lambda: self.plan.penalty_value(),
        )

    def asked_to_stop(self) -> bool:
        """Whether a callback, a signal or the clock asks to leave the compiled loop."""
        return self.context.stopped is not None or (self.keeper is not None and self.keeper.pressing)

    def share(self) -> None:
        """Let the plan ask behind every step, so that all ranks stop behind the same one."""
        if self.plan.sharing is not None:
            self.plan.sharing.asked = self.asked_to_stop

    def whole(self, steps: int) -> bool:
        """Whether no gradient waits for those of other batches: none is in a checkpoint."""
        return (steps % self.plan.accumulate) == 0

    def begin_epoch(self) -> None:
        """Nothing is done of the epoch to come."""
        from chainrule.engine.plan import EpochResult

        self.reached = EpochResult(0.0, 0.0, 0.0, 0.0, 0, "done")
        self.spent = 0.0  # seconds of the epoch before this fit
        if self.rng is not None and (self.keeper is not None or self.number == self.finished + 1):
            self.order_from = self.rng.bit_generator.state  # 5 µs, which only a checkpoint asks for

    def keep(self) -> None:
        """Write a checkpoint of this moment; then what a signal has asked for is done."""
        assert self.keeper is not None
        if not self.store():
            raise self.nonfinite()
        self.keeper.write()

    def train(self) -> History:
        """Train; whatever ends it, the network and the history hold what was reached."""
        context, history, callbacks = self.context, self.context.history, self.callbacks
        if (broken := broken_before(self.network)) is not None:
            raise broken
        with ExitStack() as ending:  # runs every on_fit_end in the order of the callbacks, whatever is raised
            ending.callback(self.let_go)
            for callback in reversed(callbacks):
                ending.callback(callback.on_fit_end, context)
            for callback in callbacks:
                callback.on_fit_begin(context)
            if self.keeper is not None:
                self.keeper.resume_callbacks()
            self.introduce()
            self.remember(self.data.classes, self.data.preparation)
            remember_labels(self.network, history.loss_function, self.data.training.targets)
            self.network.history = history
            try:
                self.plan.load()
                self.progress.begin(self.epochs, self.steps, self.prepared.samples or 0, self.finished)
                watched = nullcontext() if self.comm is None else self.comm.working()
                with watched, nullcontext() if self.keeper is None else self.keeper.listening():
                    self.run_epochs()
            except BaseException as error:
                if not isinstance(error, NonFiniteError) and self.store():
                    history.optimizer_state = self.plan.optimizer_state()
                ended = isinstance(error, (KeyboardInterrupt, SystemExit))
                context.stopped = f"{'interrupted' if ended else type(error).__name__} {self.place()}"
                raise
            finally:
                history.stopped = context.stopped
                self.progress.close()
        return history

    def introduce(self) -> None:
        """What was inferred, where training goes on, and who trains together, for people."""
        inputs = None
        if self.data.preparation is not None and self.network.preparation is None:
            inputs = self.data.preparation.inputs
        if isinstance(inputs, Pixels):
            self.progress.note(f"inputs: {inputs.title}")
        if self.keeper is not None and (said := self.keeper.said()) is not None:
            self.progress.note(said)
        if self.comm is not None and self.comm.size > 1:
            self.progress.note(introduced(self.comm, self.batch_size, self.plan.lanes))

    def let_go(self) -> None:
        """Nothing outside this fit reaches into it any more. The context's functions are in a circle with it,
        which keeps the plan and the data until Python looks for circles, long after the fit.
        """
        context = self.context
        context.state = context.set_state = context.parameters = context.penalty = None

    def run_epochs(self) -> None:
        """All that are to come, and the checkpoints before the first and behind the last."""
        context, keeper = self.context, self.keeper
        if keeper is not None and keeper.saved is None:
            self.keep()
        left = context.epoch < self.epochs and context.stopped is None
        while context.epoch < self.epochs and context.stopped is None:
            self.run_epoch()
        if not self.store():
            raise self.nonfinite()
        context.history.optimizer_state = self.plan.optimizer_state()
        if keeper is not None and (left or keeper.saved is None):
            keeper.done = True
            self.keep()

    def run_epoch(self) -> None:
        """One epoch, or what is left of it: its steps, then its row, and what is done behind it."""
        self.number = self.context.epoch + 1
        self.started = time.perf_counter() - self.spent
        result = self.run_steps()
        self.step = result.steps
        if result.outcome == "nonfinite":
            raise self.nonfinite()
        if result.outcome == "at_rest":
            raise self.at_rest()
        if result.outcome == "stopped" and result.steps != self.steps:
            return
        self.taken += result.steps
        self.begin_epoch()
        self.context.step = 0
        self.end_epoch(self.row(result.evaluation))

    def run_steps(self) -> EpochResult:
        """The steps of the epoch that are still to come, in the order and by the rates of the callbacks; what
        the epoch reached, or how it ended.
        """
        if not self.reached.steps:  # else they are those that the epoch has begun with
            self.used = self.changed_rates()
        rates = self.used
        self.strengths = self.strengths_of(self.number)
        order = self.changed_order()
        if self.keeper is not None:
            self.keeper.drew(order)
        self.step = self.reached.steps
        watching = [callback for callback in self.callbacks if watches_steps(callback)]
        self.ahead = True
        look = None if self.allowed else self.looking(order)
        if self.prepared.feed is None and not watching:
            return self.run_arrays(order, rates, look)
        return self.run_batches(self.batches(order), rates, look, watching)

    def poll(self, step: int, steps: int, loss: float, accuracy: float | None) -> bool:
        """Note and show that so many steps of the epoch are done; whether to leave the compiled loop."""
        self.step = step
        self.progress.step(self.number, step, loss, accuracy)
        return self.asked_to_stop()

    def looking(self, order: Rows) -> Callable[[int, Batch | None], None]:
        """What looks into an epoch's suspected steps: into its first, and the 1st, 2nd, 4th, ... of the fit.
        A look takes as long as some ten steps, and all may be suspected wrongly.
        """
        seen = self.suspects

        def look(step: int, batch: Batch | None) -> None:
            self.suspects += 1
            if self.suspects == seen + 1 or self.suspects & (self.suspects - 1) == 0:
                start = step * self.batch_size
                batch = batch or self.data.training[order[start : start + self.batch_size]]
                with nullcontext() if self.comm is None else self.comm.resting():  # on all ranks at once
                    self.look_inside_step(step, batch)

        return look

    def batches(self, order: Rows) -> Iterator[Batch]:
        """The batches of the epoch that are still to come."""
        feed, size, first = self.prepared.feed, self.batch_size, self.reached.steps
        if feed is None:
            starts = range(first * size, len(order), size)
            return (self.data.training[order[start : start + size]] for start in starts)
        parts = feed.batches(self.number, order)
        if isinstance(feed, SourceFeed):
            parts = same_batches(self.comm, parts, f"epoch {self.number}")
        return self.rest(parts, first)

    def row(self, reached: Evaluation) -> Row:
        """The epoch's row, once its validation is done."""
        validated = self.validate()
        outputs = {
            name: OutputRow(*_measures(part, None if validated is None else validated.parts[place]))
            for place, (name, part) in enumerate(zip(self.network.outputs, reached.parts, strict=False))
        }
        return Row(
            self.number,
            *_measures(reached, validated),
            rate=float(self.used[0]),
            seconds=time.perf_counter() - self.started,
            outputs=outputs,
        )

    def end_epoch(self, row: Row) -> None:
        """What is done behind an epoch: progress, callbacks, what the ranks agree on, a checkpoint."""
        context, number = self.context, self.number
        context.history.append(row)
        context.epoch = number
        self.progress.end_epoch(row)
        read = any(callback.reads_network for callback in self.callbacks)
        if (read or time.perf_counter() - self.stored_at > SECONDS_BETWEEN_STORES) and not self.store():
            raise self.nonfinite()  # the last update overflowed
        for callback in self.callbacks:
            callback.on_epoch_end(context)
        if read:
            self.plan.load()  # a callback may have changed the parameters
        if self.comm is not None:
            check_parameters(self.comm, self.plan.parameters(), f"after epoch {number}")
            self.agree()
        goes_on = context.stopped is None and number < self.epochs
        if self.keeper is not None and goes_on and self.keeper.due_after(number, self.taken):
            self.keep()

    def run_arrays(
        self, order: Rows, rates: Rates, look: Callable[[int, Batch | None], None] | None
    ) -> EpochResult:
        """The steps of an epoch that are still to come, in one piece but for checkpoints."""
        training, size = self.data.training, self.batch_size
        while True:
            at = self.reached
            end = self.steps
            if self.keeper is not None:
                end = self.keeper.next_stop(self.taken, at.steps, self.steps)

            def told(step: int, _: int, loss: float, accuracy: float | None, first: int = at.steps) -> bool:
                return self.poll(first + step, self.steps, loss, accuracy)

            def looked(step: int, first: int = at.steps) -> None:
                assert look is not None
                look(first + step, None)

            self.reached = self.plan.train_epoch(
                training.inputs,
                training.targets,
                order[at.steps * size : end * size],
                rates[at.steps : end],
                weights=training.weights,
                poll=told,
                look=None if look is None else looked,
                last=end == self.steps,
                before=at,
                **{name: array[at.steps : end] for name, array in self.strengths.items()},
            )
            outcome, steps = self.reached.outcome, self.reached.steps
            agreed = self.comm is None or (outcome == "stopped" and self.agree())
            stopped = agreed and self.context.stopped is not None
            failed = outcome not in ("done", "stopped")
            if failed or steps == self.steps or stopped or self.keeper is None:
                return self.reached
            self.step = steps
            if self.whole(steps) and self.keeper.due(self.taken + steps):
                self.keep()
                self.ahead = True

    def rest(self, batches: Iterator[Batch], done: int) -> Iterator[Batch]:
        """The batches behind those that are done; DataError where these are not given again as they were."""
        last: Batch | None = None
        for number in range(done):
            last = next(batches, None)
            if last is None:
                raise DataError(
                    f"epoch {self.number} has {number} batches now, and the checkpoint is behind batch {done}"
                )
        if last is not None and self.keeper is not None:
            self.keeper.check_last(last)
        return batches

    def run_batches(
        self,
        batches: Iterator[Batch],
        rates: Rates,
        look: Callable[[int, Batch | None], None] | None,
        watching: list[Callback],
    ) -> EpochResult:
        """A step for every batch of an epoch; what the epoch reached, or how it ended. The sums are those
        that the plan makes of a whole epoch, to the bit.
        """
        told = time.perf_counter()

        def poll_within(_: int, __: int, loss: float, accuracy: float | None) -> bool:
            self.poll(self.reached.steps, self.steps, self.reached.loss, self.reached.accuracy)
            return False  # the step is finished

        for batch in batches:
            self.enlarge(len(batch))
            if isinstance(self.prepared.feed, SourceFeed):
                self.remember(self.prepared.feed.door.classes, self.prepared.feed.door.preparation)
                remember_labels(self.network, self.context.history.loss_function, batch.targets)
            step = self.reached.steps

            def look_at(_: int, batch: Batch = batch, step: int = step) -> None:
                assert look is not None
                look(step, batch)

            if self.keeper is not None and not step:
                self.keeper.begins_with(batch)
            self.reached = reached = self.plan.train_epoch(
                batch.inputs,
                batch.targets,
                np.arange(len(batch)),
                np.array([self.rate_at(rates, step)]),
                weights=batch.weights,
                poll=poll_within,
                look=None if look is None else look_at,
                last=step + 1 == self.steps,
                before=self.reached,
                **{name: array[step : step + 1] for name, array in self.strengths.items()},
            )
            agreed = self.comm is None
            if self.comm is not None and reached.outcome == "stopped":  # the step is finished
                agreed = self.agree()
                self.reached = reached = reached._replace(outcome="done")
            self.step = step = reached.steps
            if reached.outcome != "done":
                break
            due = [callback for callback in watching if (self.taken + step) % callback.every_steps == 0]
            if due:
                self.call(due, step, reached.loss, reached.accuracy)
                agreed = agreed or self.agree()
            if agreed and self.context.stopped is not None and step != self.steps:
                self.reached = reached._replace(outcome="stopped")
                break
            keeper = self.keeper if step != self.steps and self.whole(step) else None
            if keeper is not None and keeper.due(self.taken + step):
                keeper.last = batch
                self.keep()
                self.ahead = True
            if time.perf_counter() - told > SECONDS_BETWEEN_POLLS:
                told = time.perf_counter()
                poll_within(0, 0, 0.0, None)
        return self.reached

    def agree(self) -> bool:
        """All ranks are behind the same step: where one was asked to stop, all are."""
        assert self.comm is not None
        agree(self.comm, self.context, self.keeper)
        return True

    def call(self, due: list[Callback], step: int, loss: float, accuracy: float | None) -> None:
        """The callbacks behind a step, with what the epoch has reached so far."""
        context = self.context
        context.step, context.loss, context.accuracy = step, loss, accuracy
        if not self.store():
            raise self.nonfinite()  # the update overflowed
        for callback in due:
            callback.on_step_end(context)
        self.plan.load()  # a callback may have changed the parameters
        self.ahead = True

    def remember(self, classes: Array | None, preparation: Preparation | None) -> None:
        """The labels and how inputs are made, of which batches may tell more than those before."""
        self.network.preparation = preparation
        if classes is not None and classes is not self.classes:
            self.network.classes = self.classes = classes

    def enlarge(self, samples: int) -> None:
        """A plan for batches of so many samples, which goes on where the one before was."""
        if samples <= self.plan.batch_size:
            return
        before, self.plan = self.plan, self.job.plan(self.prepared, samples)
        self.plan.load(before.parameters())
        self.plan.set_optimizer_state(before.optimizer_state())
        self.share()

    def order(self) -> Rows:
        """The samples of the next epoch in the order they are taken."""
        rows = self.data.rows
        order = rows if self.rng is None else self.rng.permutation(rows)
        return order[: len(order) - self.prepared.dropped]

    def strengths_of(self, epoch: int) -> dict[str, Rates]:
        """What else has a schedule, for every step of the epoch: "decays" and "dropouts", where they have."""
        strengths = {}
        for name, schedule in (("decays", self.decay), ("dropouts", self.job.dropout_schedule)):
            if schedule is None:
                continue
            if not self.steps:
                raise ArgumentError(
                    f"{schedule!r} needs to know the steps of an epoch, and these batches have no length: "
                    "write steps_per_epoch=..., or give an object with __len__"
                )
            given = schedule.rates((epoch - 1) * self.steps, self.steps, self.steps, self.epochs)
            strengths[name] = checked_rates(given, self.steps, repr(schedule), epoch)
        return strengths

    def changed_order(self) -> Rows:
        """The same by the callbacks; batches have an order of their own."""
        order = self.order()
        for callback in self.callbacks if len(order) else ():
            given = callback.change_order(order, self.context)
            if given is not order:
                whose = f"{type(callback).__name__}.change_order"
                order = checked_order(given, order, len(self.data.training), whose)
        return order

    def rates(self, epoch: int) -> Rates:
        """The rate of every step of the epoch, checked: a schedule may be the user's own."""
        if self.constant_rates is not None:
            return self.constant_rates.copy()  # a callback may write into it
        if not self.steps and not self.constant:
            raise ArgumentError(
                f"{self.optimizer.rate!r} needs to know the steps of an epoch, and these batches have no "
                "length: write steps_per_epoch=..., or give an object with __len__"
            )
        steps = self.steps or 1  # of a constant rate one is as good as all
        given = self.optimizer.rates((epoch - 1) * steps, steps, steps, self.epochs)
        rates = checked_rates(given, steps, repr(self.optimizer.rate), epoch)
        if self.constant:
            self.constant_rates = rates.copy()
        return rates

    def changed_rates(self) -> Rates:
        """The same for the current epoch, by the callbacks."""
        rates = self.rates(self.number)
        for callback in self.callbacks:
            given = callback.change_rates(rates, self.context)
            if given is not rates:
                whose = f"{type(callback).__name__}.change_rates"
                rates = checked_rates(given, len(rates), whose, self.number)
        return rates

    def rate_at(self, rates: Rates, step: int) -> float:
        """The rate of a step, from 0; a constant one is that of all."""
        if step < len(rates):
            return float(rates[step])
        if isinstance(self.optimizer.schedule, ConstantRate):
            return float(rates[0])
        raise ArgumentError(
            f"epoch {self.number} has more batches than the {self.steps} that __len__ says, and "
            f"{self.optimizer.rate!r} depends on it: write steps_per_epoch={self.steps}, or a right __len__"
        )

    def validate(self) -> Evaluation | None:
        """Loss and accuracy on the validation part, None where there is none."""
        if self.prepared.validation is not None:
            batches = self.prepared.validation.batches(self.number)
            title = f"the validation after epoch {self.number}"
            return mean([(len(b), self.validate_on(b)) for b in same_batches(self.comm, batches, title)])
        return None if self.data.validation is None else self.validate_on(self.data.validation)

    def validate_on(self, part: Batch) -> Evaluation:
        """Loss and accuracy on some samples; NonFiniteError where the loss is none."""
        piece = self.batch_size * math.ceil(EVALUATION_PIECE / self.batch_size)
        with suspected() as parts:
            reached = evaluate(self.plan, part, piece, self.comm)
        if not math.isfinite(reached.loss):
            raise NonFiniteError(
                f"the validation loss became {reached.loss} after epoch {self.number} while the training "
                "loss is finite: look for extreme values in the validation data, or lower the rate"
            )
        for rows in () if self.allowed else parts:
            if not self.store():
                raise self.nonfinite()
            problem = inside_problem(self.network, part.inputs, rows)
            self.refuse(problem, f"after epoch {self.number}", "the validation data")
        return reached

    def look_inside_step(self, step: int, batch: Batch) -> None:
        """NonFiniteError where the step, before its update, hides a number beyond the range."""
        network = self.as_trained
        network.set_parameters(self.plan.parameters())
        loss = self.context.history.loss_function
        assert loss is not None  # fit has told the history
        outputs = None
        if all(network.parameter_specs[name].learned for name in self.plan.frozen):
            with quiet():
                outputs = network.executor().backpropagate(network, batch, Objective(loss)).activations
        # Where running statistics are frozen, the formulas of a prediction are nearer to those of the step.
        problem = inside_problem(network, batch.inputs, slice(0, len(batch)), outputs)
        when = f"in epoch {self.number}, step {self.of_all(step + 1)},"
        self.refuse(problem, when, "the batch of the step")

    @cached_property
    def as_trained(self) -> Network:
        """Takes the plan's parameters where a step is looked into."""
        return self.network.copy()

    def refuse(self, problem: tuple[str, bool] | None, when: str, what: str) -> None:
        """NonFiniteError for what `inside_problem` found."""
        if problem is not None:
            raise NonFiniteError(
                f"{when} {problem[0]} (X: {what}). Lower the rate, or check the scale of the data and of the "
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
        step = self.next_step()  # the loss shows it first, or the last update did it
        rate = self.rate_at(self.used, step - 1)
        if not self.store():
            kept = self.stored
        lower = float(f"{min(rate / 10, 0.1):.1g}")
        clip = "" if self.optimizer.clip_norm else ", clip the gradients (clip_norm=1.0)"
        return NonFiniteError(
            f"training became NaN or infinite in epoch {self.number}, step {self.of_all(step)}, first in "
            f"{where}; the network keeps its parameters from {kept}. Lower the rate (it was {rate:g}, try "
            f"{lower:g}){clip}, or check the scale of the data and of the initial weights"
        )

    def at_rest(self) -> NonFiniteError:
        """The error to raise where an update by g / √s did nothing, s being infinite."""
        where, step = self.plan.first_at_rest(), self.next_step()
        if not self.store():
            return self.nonfinite()
        clip = "" if self.optimizer.clip_norm else "clip the gradients (clip_norm=1.0), "
        double = "" if self.network.dtype == np.float64 else ", or write dtype='float64'"
        ways = f"{clip}scale the data{double}".capitalize()
        return NonFiniteError(
            f"in epoch {self.number}, step {self.of_all(step)}, the squared gradient of {where} is beyond "
            f"the range of {self.network.dtype}, and {type(self.optimizer).__name__} divides by its root: "
            f"the parameter would stand still. {ways}; fit(..., allow_nonfinite=True) goes on all the same"
        )

    def next_step(self) -> int:
        """The step behind those that are done, from 1."""
        return min(self.step + 1, self.steps) if self.steps else self.step + 1

    def of_all(self, step: int) -> str:
        """ "3 of 10", and "3" where nobody knows how many there are."""
        return f"{step} of {self.steps}" if self.steps else str(step)

    def place(self) -> str:
        """Where training is, for people: the plan tells the step every 50 ms only."""
        if self.context.epoch == self.number:
            return f"after epoch {self.number}"
        return f"in epoch {self.number}" + (f", near step {self.of_all(self.step)}" if self.step else "")


def checked_rates(given: Any, steps: int, whose: str, epoch: int) -> Rates:
    """The rates of an epoch's steps; ArgumentError where they are none."""
    rates = np.ascontiguousarray(given, dtype=np.float64)
    if rates.shape != (steps,) or not (np.isfinite(rates) & (rates >= 0)).all():
        raise ArgumentError(f"{whose} must give {steps} finite rates >= 0 for epoch {epoch}, it gave {rates}")
    return rates


def checked_order(given: Any, before: Rows, samples: int, whose: str) -> Rows:
    """The rows of an epoch; ArgumentError where they are none of X, or not as many as there were."""
    order = np.asarray(given)
    if order.shape != before.shape or order.dtype.kind not in "iu":
        raise ArgumentError(
            f"{whose} must return {len(before)} rows of X, an array of whole numbers, it returned "
            f"{describe(given)}" + (f" of shape {order.shape}" if order.shape != before.shape else "")
        )
    order = order.astype(np.int64, copy=False)
    if not order.view(np.uint64).max() < samples:  # one below 0 is a large one without its sign
        raise ArgumentError(f"{whose} must return rows of X, from 0 to {samples - 1}, it returned {order}")
    return order


def _measures(training: Evaluation, validation: Evaluation | None) -> tuple[float, *tuple[float | None, ...]]:
    after = (None, None) if validation is None else (validation.loss, validation.accuracy)
    return training.loss, training.accuracy, *after


def mean(pieces: Sequence[tuple[int, Evaluation]]) -> Evaluation:
    """Of pieces of so many samples each."""
    samples = sum(count for count, _ in pieces)
    loss = math.fsum(reached.loss * count for count, reached in pieces) / samples
    hits = [reached.accuracy * count for count, reached in pieces if reached.accuracy is not None]
    of_parts = zip(*([(count, part) for part in reached.parts] for count, reached in pieces), strict=True)
    parts = tuple(mean(part) for part in of_parts)
    accuracy = math.fsum(hits) / samples if hits else None
    return pieces[0][1]._replace(loss=loss, accuracy=accuracy, parts=parts)


def evaluate(plan: Plan, part: Batch, piece: int, comm: Communicator | None = None) -> Evaluation:
    """Mean loss and accuracy over a part, in pieces between which Python sees Ctrl-C, each by one rank."""

    from chainrule.engine.plan import Evaluation

    def of_piece(number: int) -> tuple[int, Evaluation, list[int]]:
        start = number * piece
        batch = part[start : start + piece]
        result = plan.evaluate(batch.inputs, batch.targets, batch.weights)
        return len(batch), result, [start + first for first in plan.overflows()]

    results = spread(comm, -(-len(part) // piece), of_piece)
    for first in (first for _, _, firsts in results for first in firsts):
        suspect(slice(first, min(first + plan.batch_size, len(part))))
    return mean([(count, Evaluation.again(reached)) for count, reached, _ in results])
