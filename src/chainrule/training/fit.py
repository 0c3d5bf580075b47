"""`fit`: what is given is checked and understood once, then trained on epoch by epoch (loop/)."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.base.errors import ArgumentError, describe
from chainrule.base.keywords import depth_of_caller, teach
from chainrule.base.scalars import check_count, check_flag
from chainrule.distributed import Communicator, check_communicator
from chainrule.losses import Loss, SquaredError, loss_from
from chainrule.losses.constraints import MaxNorm, constraint_from
from chainrule.losses.penalties import Penalty, penalty_from
from chainrule.networks.names import frozen_parameters, parameter_factors
from chainrule.networks.names import rate_factors as rate_factors_from
from chainrule.networks.network import Network
from chainrule.training.callbacks import (
    Callback,
    Callbacks,
    Checkpoint,
    EarlyStopping,
    callbacks_from,
    early_stopping_from,
)
from chainrule.training.history import History
from chainrule.training.loop.job import Job
from chainrule.training.loop.run import Run
from chainrule.training.optimizers import AdamW, Optimizer, optimizer_from
from chainrule.training.parts import FitData, Validation, by_name, prepare
from chainrule.training.progress import Progress, progress_from
from chainrule.training.schedules import Schedule
from chainrule.training.streams.feed import (
    Prepared,
    prepared_arrays,
    prepared_batches,
    takes_arrays,
    validation_parts,
)

if TYPE_CHECKING:  # at run time inside fit: to look at `cr.fit` loads no kernels and no files
    from chainrule.training.checkpoints.keeper import Keeper


@teach("fit(network, X, y) and the rest by name: epochs=10, batch_size=32")
def fit(
    network: Network,
    X: Any,
    y: Any = None,
    *,
    loss: Loss | str | Mapping[str, Any] | None = None,
    penalty: Penalty | None = None,
    constraint: MaxNorm | None = None,
    optimizer: Optimizer | str | None = None,
    batch_size: int | None = None,
    drop_last: bool = False,
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
    checkpoint: Checkpoint | str | os.PathLike[str] | None = None,
    resume: History | bool | str | None = None,
    allow_nonfinite: bool = False,
    freeze: Any = None,
    rate_factors: Mapping[str, float] | None = None,
    dropout_schedule: Schedule | None = None,
    accumulate: int = 1,
    steps_per_epoch: int | None = None,
    training_size: int | None = None,
    comm: Communicator | None = None,
) -> History:
    """Train a network in place and return what each epoch reached; `network.history` holds the same object.

    Parameters
    ----------
    X: (N, *input_shape), numbers, or a data frame. Images and volumes of uint8 with a value above 1 are
        pixels, which every pass divides by 255, without a copy; memory maps are read as they are needed. Or
        batches, without y: see below. What X was, pixels or numbers and the names of a frame's columns, the
        network remembers as `network.preparation`, if it was not made with one: later X are taken in the same
        way or refused.
    y: (N,) labels (integers or strings), (N, K) one-hot or soft rows, or numbers (N, *output_shape).
        Of a Graph with several inputs X is {name: array} or a tuple of them, of one with several outputs so
        is y, and `loss` is {name: loss}, or Losses({...}, weights={...}): J is their weighted sum.
    loss: a loss, "cross_entropy", "binary_cross_entropy", "squared_error" ("mse"), "mae", "huber", "poisson",
        "hinge", "squared_hinge" or "categorical_hinge"; None: the one that fits the network's last layer.
    penalty: such as L2(1e-4); biases are never penalised.
    constraint: MaxNorm(3.0): after every step no unit's incoming weights have a larger norm; biases are free.
    optimizer: such as Adam(1e-3), "sgd", "adam", "adamw", "rmsprop"; None: Adam(1e-3), or that of `resume`.
    batch_size: samples per step, 32 of arrays; the last batch of an epoch may be smaller, and so is the only
        one if N is.
    drop_last: leave out the last batch of an epoch where it is smaller than the others.
    epochs: at least 1.
    validation: (X_val, y_val), (X_val, y_val, weights), or a fraction f between 0 and 1: round(N·f) samples
        chosen by the seed are held out; where the targets are classes, of every class in its proportion.
    shuffle: whether every epoch takes the samples in a new order.
    seed: fixes the orders, the held-out part and what dropout draws. The same seed gives the same bits for
        any number of threads.
    sample_weight: (N,), at least 0; only ratios matter (they are scaled to mean 1 over the training part). A
        fraction held out keeps its samples' weights. Accuracies count every sample once. Of several outputs
        one for all, or by their names, {"kind": (N,)}: an output that is not named weighs 1.
    class_weight: {label: weight}, a label not named weighs 1, or "balanced": N / (K · samples of the class),
        so that every class weighs the same. It multiplies sample_weight in training only: validation is not
        weighted by it, whichever way it is given. Of several outputs it is by their names.
    classes: the labels in the order of the network's outputs, such as range(10), also those that y lacks;
        None: those of `network.classes`, and for new ones the outputs that are free. Of several outputs by
        their names, {"kind": range(10)}.
    early_stopping: EarlyStopping(...), or a number of epochs: EarlyStopping(patience). Of several outputs it
        may look at one: EarlyStopping(5, monitor="kind.validation_loss").
    callbacks: functions of one `Context`, called after every epoch, or `Callback` objects, which may be
        called after every step as well: EarlyStopping(...), Checkpoint(...), ReduceOnPlateau(...), your own.
    progress: True, False, "tqdm"; None shows it where stderr is a terminal, and in notebooks.
    threads: for this fit and what its callbacks call; None leaves the engine's choice, of which ranks on the
        same cores have a part each.
    freeze: layers or parameters that training leaves as they are, bit for bit: "conv1", "block1" for all in a
        composite, "dense1.W", or patterns, ["conv*", "batchnorm*"]. A frozen BatchNorm normalises by its
        running statistics, as in a prediction. Frozen gradients count in no clip_norm, and δ goes no further
        down than the lowest layer that is trained. None with `resume`: as before; []: nothing.
    rate_factors: {"conv*": 0.1}: what multiplies the rate of these layers or parameters, a weight decay of
        AdamW with it; 0 freezes. Of several that fit the last one counts. None with `resume`: as before.
    dropout_schedule: from 0 to 1, what multiplies the rate of every Dropout at every step, FlatCosine(1.0).
    accumulate: batches to an update, which takes the mean gradient of their samples: batch_size=8,
        accumulate=4 is batch_size=32 in a quarter of the memory (BatchNorm sees 8). The rest of an epoch
        makes an update too. Steps, and the rates of a schedule, are those of batches.

    comm: the ranks that train together, cr.distributed.init(); every one calls this with the same arguments,
        and all get the same network. See below.
    steps_per_epoch, training_size: of batches, see below.
    checkpoint: a folder, or Checkpoint("runs/a", every_steps=1000, keep=3): the last checkpoints of the whole
        training are kept there; see below.
    resume: the history that an earlier fit returned, or, with checkpoint, "auto" (as None): go on from the
        newest checkpoint, or begin where there is none; True: go on; False: begin anew. See below.
    allow_nonfinite: go on where finite outputs hide a number beyond the range, or a squared gradient is one.
        A loss or a parameter that is itself NaN or infinite ends training all the same.

    Calling fit again continues from the current parameters with a fresh optimizer and schedule. It repeats
    the orders of the first call unless it is given another seed. With `resume` the optimizer's moments and
    steps, the orders and the numbers of the epochs go on too, and the history returned begins with the epochs
    of the earlier one: with the same data and arguments, two fits of 5 epochs are one of 10, bit for bit. A
    schedule sees all epochs, so one that spans them must say how many: CosineDecay(0.1, epochs=10). Where
    early stopping has given the parameters of an earlier epoch back, training goes on from that epoch, with
    its moments and steps, and the history returned begins with the epochs up to it.

    Checkpoints: the same call, with checkpoint="runs/a", goes on where the one before was ended, by whatever
    it was, and ends with the same bits as one that nothing ended: parameters, moments, position in the epoch,
    random numbers, history, early stopping and callbacks (`Callback.on_checkpoint`) are in every checkpoint.
    They are written as a whole or not at all, and read as they were written: a damaged one is set aside, a
    warning says so, and the one before is taken. Another network, other data or other arguments are refused;
    epochs may become more. SIGTERM and Ctrl-C end training behind the step, once a checkpoint is written. A
    training that is finished is not trained again: its network and history are restored. An iterator, which
    gives its batches once, cannot be put where training was, and is refused.

    Batches: X may be a list of batches, an object with __iter__ such as a DataLoader, or a function f(epoch)
    that returns or yields the batches of an epoch, from 1; each is (X, y) or (X, y, weights) of any size and
    makes one step, in the order given. So shuffle, batch_size and sample_weight are not of this fit, and
    weights and class_weight count as they are: give them mean 1 over an epoch. The labels of the first batch
    number the classes, and new ones are added while there are outputs; `network.classes = [...]` names them
    before. An iterator goes on from epoch to epoch; steps_per_epoch ends an epoch after so many batches, and
    tells schedules and the progress line how many there are where no __len__ does. training_size: the samples
    of an epoch, for a penalty that is divided by it. The same batches that arrays would be cut into give the
    same bits. What a generator raises comes out as it is. `validation` takes batches too.

    Several machines: with `comm` every batch of `batch_size` samples is cut into `comm.shards` shards, the
    ranks compute those that are theirs, and the gradients are summed in one order: the model is the same, to
    the last bit, for any number of ranks, one of them included, over MPI and Gloo, and a training that has
    checkpoints may go on with another number. The first rank shows progress and writes checkpoints;
    callbacks of your own are called on every rank. A memory-mapped X is read by every rank as far as it
    trains on it; a source of batches gives every rank all of them. A BatchNorm takes the whole batch.

    Ctrl-C ends training at once, with checkpoints once one is written: KeyboardInterrupt is raised, the
    network keeps the parameters of the last whole step (with early stopping the best ones), and
    `network.history` holds the finished epochs; its `stopped` says where training was.

    Raises
    ------
    NonFiniteError: the loss, a δ or a parameter became NaN or infinite, finite outputs hide a number beyond
        the range, or an optimizer's squared gradient is one; the message names epoch, step and layer or
        parameter, and the network keeps finite parameters.
    RankError: the ranks of `comm` do not train the same: their arguments, data or parameters differ.
    DataError, ShapeError, PairError, TypeError, ValueError: an argument cannot be used; nothing was changed.
    """
    if not isinstance(network, Network):
        raise TypeError(f"fit takes the network first, fit(network, X, y): received {describe(network)}")
    check_communicator(comm)
    chosen_loss = loss_from(loss, network.layers[-1])
    chosen_loss.check_output(network.layers)
    keeper = keeper_of(checkpoint, resume, comm, epochs)
    before = resumed_history(resume, keeper)
    if optimizer is None and before is not None:
        optimizer = before.optimizer
    chosen_penalty, chosen_optimizer = penalty_from(penalty), optimizer_from(optimizer)
    called, shown = watching(early_stopping, callbacks, progress, comm)
    job = Job(
        network,
        loss=chosen_loss,
        penalty=chosen_penalty,
        optimizer=chosen_optimizer,
        constraint=constraint_from(constraint),
        epochs=check_count("epochs", epochs),
        batch_size=None if batch_size is None else check_count("batch_size", batch_size),
        seed=check_count("seed", seed, 0, math.inf),
        allow_nonfinite=check_flag("allow_nonfinite", allow_nonfinite),
        accumulate=check_count("accumulate", accumulate, 1, 2**31 - 1),
        shuffle=checked_shuffle(shuffle),
        callbacks=called,
        progress=shown,
        rate_factors=factors_from(network, freeze, rate_factors, before),
        decay_factors=decay_factors_from(network, chosen_optimizer),
        drop_last=check_flag("drop_last", drop_last),
        dropout_schedule=checked_dropout_schedule(dropout_schedule),
        class_weight=class_weight,
        steps_per_epoch=steps_per_epoch,
        training_size=training_size,
        comm=comm,
        before=before,
        keeper=keeper,
    )
    prepared = prepared_data(job, X, y, validation, sample_weight, classes)
    if loss is None:
        warn_of_labels(network, chosen_loss, prepared.data)

    from chainrule.engine import threads_of_call

    run = Run(job, prepared)
    if keeper is not None or comm is not None:
        hold_together(run, job, prepared)
    with threads_of_call(job.threads(threads)):
        return run.train()


def keeper_of(checkpoint: Any, resume: Any, comm: Communicator | None, epochs: Any) -> Keeper | None:
    """The keeper of the checkpoints, None without; RankError where the ranks ask for different things."""
    if comm is not None:
        from chainrule.training.ranks.together import check_call

        check_call(comm, checkpoint, resume, epochs)
    if checkpoint is None:
        return None
    from chainrule.training.checkpoints.keeper import keeper_from

    return keeper_from(checkpoint, resume, comm)


def watching(
    early_stopping: Any, callbacks: Any, progress: Any, comm: Communicator | None
) -> tuple[list[Callback], Progress]:
    """The callbacks to call here, and the progress to show: what is shown and written is the first rank's."""
    chosen = [*early_stopping_from(early_stopping), *callbacks_from(callbacks)]
    shown = progress_from(progress)
    if comm is None or not comm.rank:
        return chosen, shown
    return [callback for callback in chosen if not isinstance(callback, Checkpoint)], Progress()


def prepared_data(
    job: Job, X: Any, y: Any, validation: Validation, sample_weight: Any, classes: Any
) -> Prepared:
    """The data of a fit, checked: arrays, or batches of which the first one is there."""
    network, loss = job.network, job.loss
    X, y, validation = by_name(network, loss, X, y, validation, classes)
    arrays, apart = validation_parts(validation)
    if takes_arrays(X, y, job.steps_per_epoch, job.training_size):
        data = prepare(network, loss, X, y, sample_weight, arrays, job.seed, job.class_weight, classes)
        return prepared_arrays(network, loss, data, job.batch_size, apart, job.drop_last)
    saved = None if job.keeper is None else job.keeper.saved
    return prepared_batches(
        network,
        loss,
        X,
        of_arrays={
            "y": y,
            "sample_weight": sample_weight,
            "batch_size": job.batch_size,
            "drop_last": job.drop_last or None,
        },
        validation=arrays,
        apart=apart,
        class_weight=job.class_weight,
        classes=classes,
        steps_per_epoch=job.steps_per_epoch,
        training_size=job.training_size,
        finished=job.finished,
        again=job.keeper is not None,
        known=None if saved is None else saved.known,
    )


def hold_together(run: Run, job: Job, prepared: Prepared) -> None:
    """Whoever trains with this process, and whoever trained before it, does so on the same terms: RankError
    and ArgumentError where not. Then the checkpoints are of this run.
    """
    arguments, keeper = job.compared(prepared), job.keeper
    if job.comm is not None:
        from chainrule.training.ranks.together import check_beginning

        rhythm = None if keeper is None else keeper.options.rhythm
        check_beginning(job.comm, job.network.parameters, prepared.data, arguments, job.callbacks, rhythm)
    if keeper is not None:
        keeper.keep(run, arguments, job.callbacks)


def factors_from(network: Network, freeze: Any, given: Any, resume: History | None) -> dict[str, float]:
    """Parameter name -> the factor of its rate, 0 of what is frozen; of an argument that is None those of the
    fit that is resumed.
    """
    before = (
        {} if resume is None else {k: f for k, f in resume.rate_factors.items() if k in network.parameters}
    )
    frozen = [name for name, factor in before.items() if factor == 0] if freeze is None else freeze
    scaled = {name: factor for name, factor in before.items() if factor} if given is None else given
    return rate_factors_from(network, scaled, frozen_parameters(network, frozen))


def decay_factors_from(network: Network, optimizer: Optimizer) -> dict[str, float]:
    """Parameter name -> the factor of its weight decay, of those that the optimizer names."""
    given = optimizer.decay_factors if isinstance(optimizer, AdamW) else None
    return parameter_factors(network, "decay_factors", {} if given is None else given)


def checked_shuffle(given: Any) -> bool:
    """True or False; TypeError for anything else, such as "batch"."""
    if not isinstance(given, bool | np.bool_):
        raise TypeError(f"shuffle must be True or False, received {describe(given)}")
    return bool(given)


def checked_dropout_schedule(given: Any) -> Schedule | None:
    """The schedule; refuse what says no factors from 0 to 1."""
    if given is None:
        return None
    if not isinstance(given, Schedule):
        raise TypeError(
            "dropout_schedule must be a schedule that begins with 1, such as FlatCosine(1.0), received "
            f"{describe(given)}"
        )
    if given.rate > 1:
        raise ArgumentError(
            f"dropout_schedule is {given!r}: it multiplies the rates of the Dropout layers, so write 1.0 "
            f"where it says {given.rate:g}"
        )
    return given


def resumed_history(resume: Any, keeper: Keeper | None) -> History | None:
    """The history that a fit goes on from, None where there is none; refuses what it cannot go on from."""
    if resume is None or (keeper is not None and not isinstance(resume, History)):
        return None
    if not isinstance(resume, History):
        advice = ""
        if isinstance(resume, bool) or resume == "auto":
            advice = (
                f"; resume={resume!r} is of checkpoints: fit(..., checkpoint='runs/a', resume={resume!r})"
            )
        elif isinstance(resume, str):
            advice = f"; of a folder of checkpoints write fit(..., checkpoint={resume!r}, resume=True)"
        raise TypeError(f"resume must be the history that fit returned, received {describe(resume)}{advice}")
    if resume.optimizer_state is None:
        raise ArgumentError(
            "resume holds no state of an optimizer: give the history that fit returned; one read from a "
            "file, or of a fit that ended in NaN, has none"
        )
    return resume


def warn_of_labels(network: Network, loss: Loss, data: FitData) -> None:
    """Class labels that are trained by the squared error, because the network has no softmax at its end."""
    labels = data.training.targets.dtype.kind in "iu"  # labels of several classes; anything else is floats
    if labels and isinstance(loss, SquaredError):
        warnings.warn(
            f"the network ends in {network.layers[-1]!r}, so fit trains these class labels by SquaredError: "
            "end the network in Softmax() for cross-entropy, or pass loss=SquaredError() if that is meant",
            stacklevel=depth_of_caller(),
        )
