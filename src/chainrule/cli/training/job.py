"""A training that `chainrule train` has prepared: run it, and keep what it reached, however it ends.

First of all the network, `run.json` and the history are written; a signal waits for them.  Then the test's
result is added.  The picture of the curves and the report come last and are best effort: a line says why one
was not written, and the run is as good without it.
"""

from __future__ import annotations

import argparse
import contextlib
import platform
import shlex
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.base.errors import ArgumentError, DataError, FileError
from chainrule.base.files.disk import write_text
from chainrule.base.types import Array
from chainrule.cli.ending import at_once, deferred
from chainrule.cli.folder import (
    checkpoints_name,
    create_run_folder,
    remove_checkpoints,
    remove_history,
    save_curves,
    save_description,
    save_ensemble,
    save_training,
    training_name,
)
from chainrule.cli.output import complain, reason, tell
from chainrule.cli.training.choices import Settings, choose_optimizer, choose_penalty
from chainrule.cli.training.ensemble import Ensemble
from chainrule.cli.training.figures import class_rows, class_table, errors_of
from chainrule.cli.training.recipes import Recipe
from chainrule.cli.training.rows import rows_name
from chainrule.cli.training.search import Search, log_loss_of
from chainrule.cli.training.sources import Problem
from chainrule.data import Preparation
from chainrule.data.fingerprints import file_sha256
from chainrule.version import __version__

if TYPE_CHECKING:
    from chainrule.distributed import Communicator
    from chainrule.losses import Loss
    from chainrule.losses.penalties import Penalty
    from chainrule.networks.network import Network
    from chainrule.training.history import History
    from chainrule.training.methods.tabular import Tabular

most_confusions = 5
samples_explained = 8
most_fingerprints = 8  # of a source's files; a folder of images has a row for each of them in rows.npz
report_name = "report.html"


@dataclass(frozen=True, eq=False)
class TrainingData:
    """What `fit` gets: the training part without the validation samples and with the shifted copies."""

    X: Array
    y: Array
    validation: tuple[Array, Array] | None


@dataclass(frozen=True, eq=False)
class Job:
    """Everything `train` needs, chosen.

    network: the first one. members: those whose training is done or under way, the first among them.
    """

    problem: Problem
    data: TrainingData
    network: Network
    loss: Loss
    search: Search
    recipe: Recipe | None = None
    class_weight: Mapping[Any, float] | None = None
    tabular: Tabular | None = None
    members: list[Network] = field(default_factory=list)

    @property
    def settings(self) -> Settings:
        return self.search.settings

    @property
    def penalty(self) -> Penalty | None:
        return choose_penalty(self.settings, self.recipe)


def train(job: Job, arguments: argparse.Namespace, comm: Communicator | None = None) -> None:
    """Train; whatever ends it, the run folder gets the network, run.json and the history.

    Of several ranks the first one has the run folder; the others train with it.

    Raises what ended the training, once they are written.
    """
    lines: list[str] = []
    with deferred():  # what a signal ends is the training, the test, the picture and the report
        run = Run(job, arguments, comm)
        if comm is not None and comm.rank:
            with at_once():
                run.fit()
            return
        try:
            try:
                with at_once():
                    run.fit()
            finally:
                run.keep()
            remove_checkpoints(run.checkpoints)
            with at_once():
                lines = measure(job, run.result)
            run.describe()
            if not arguments.no_report:
                lines[-1:-1] = run.report()
        finally:
            if not run.refused:
                tell("\n".join([*lines[:-1], *run.said(), f"run folder {run.folder}", *lines[-1:]]))


class Run:
    """A job and its run folder, which is made here."""

    def __init__(self, job: Job, arguments: argparse.Namespace, comm: Communicator | None) -> None:
        self.job, self.arguments, self.comm = job, arguments, comm
        over = arguments.overwrite or arguments.resume
        make = partial(create_run_folder, job.problem.name, arguments.out, overwrite=over)
        if comm is not None:
            comm.barrier()  # every rank has looked at the folder before there is something in it
        self.folder = make() if comm is None else comm.of_first(make)
        self.checkpoints = self.folder / checkpoints_name
        self.refused, self.before = False, ""  # a training that was to go on; what said how it was begun
        if comm is None or not comm.rank:
            self.keep_training()
            (self.folder / report_name).unlink(missing_ok=True)  # an earlier run's would pass for this one's
        self.result: dict[str, Any] = {"stopped": "failed"}
        self.started = time.perf_counter()
        self.models: list[Path] = []

    def keep_training(self) -> None:
        """Write what a resumed training is to be, beside its checkpoints to come."""
        if not self.arguments.resume:  # those of an earlier one would pass for this one's
            remove_checkpoints(self.checkpoints)
        if self.arguments.checkpoint != "never":
            self.checkpoints.mkdir(exist_ok=True)
            if self.arguments.resume and (stored := self.checkpoints / training_name).exists():
                self.before = stored.read_text("utf-8")
            search = {"settings": vars(self.job.settings), "search": self.job.search.facts}
            save_training(self.checkpoints, {"arguments": plain_arguments(self.arguments), **search})

    def said(self) -> list[str]:
        """How to go on with a training that was ended; of one that had not begun nothing is kept."""
        if not any(self.checkpoints.glob("[0-9]*/checkpoint-*.npz")):
            remove_checkpoints(self.checkpoints)
            return []
        return [f"to go on with it: chainrule train {shlex.quote(str(self.folder))} --resume"]

    @property
    def history(self) -> History:
        from chainrule.training.history import History

        return getattr(self.job.network, "history", None) or History()

    def fit(self) -> None:
        """Train the job's network, and those of an ensemble after it, each from a seed of its own."""
        job, count = self.job, self.arguments.ensemble
        job.members.append(job.network)
        try:
            for number in range(count):
                seed = self.arguments.seed + number
                network = job.network.copy().reinitialise(seed) if number else job.network
                if count > 1:
                    tell(f"network {number + 1} of {count}, seed {seed}")
                self.result["stopped"] = self.fit_one(network, seed, self.checkpoints / str(number + 1))
                if number:
                    job.members.append(network)  # one that was interrupted would spoil the mean
        except KeyboardInterrupt:
            self.result["stopped"] = "interrupted"
            raise
        finally:
            seconds = round(time.perf_counter() - self.started, 3)
            self.result |= {"epochs": len(self.history.epoch), "seconds": seconds}

    def fit_one(self, network: Network, seed: int, checkpoints: Path) -> str | None:
        """Train a network; what ended it."""
        from chainrule.training.callbacks import Checkpoint
        from chainrule.training.fit import fit

        job, arguments = self.job, self.arguments
        if job.tabular is not None:
            return job.tabular.fit(
                network,
                job.data.X,
                job.data.y,
                job.data.validation,
                seed=seed,
                class_weight=job.class_weight,
                threads=arguments.threads,
                progress=not arguments.quiet,
                comm=self.comm,
            ).stopped
        kept = rhythm_of(arguments.checkpoint)
        folder = None
        if kept is not None:
            folder = Checkpoint(checkpoints, **kept, allow_changes=arguments.allow_changes)
        with self.going_on(network):
            history = fit(
                network,
                job.data.X,
                job.data.y,
                loss=job.loss,
                penalty=job.penalty,
                optimizer=choose_optimizer(job.settings, arguments),
                batch_size=job.settings.batch_size,
                epochs=job.settings.epochs,
                validation=job.data.validation,
                class_weight=job.class_weight,
                early_stopping=arguments.patience,
                seed=seed,
                threads=arguments.threads,
                progress=not arguments.quiet,
                checkpoint=folder,
                resume=None if folder is None else bool(arguments.resume) and "auto",
                comm=self.comm,
            )
        return history.stopped

    @contextlib.contextmanager
    def going_on(self, network: Network) -> Iterator[None]:
        """A fit that does not begin, since its checkpoints are of another one, says so in the words of the
        command line.
        """
        from chainrule.training.checkpoints.folder import ANEW
        from chainrule.training.checkpoints.sameness import ALLOW

        try:
            yield
        except (ArgumentError, DataError, FileError) as error:
            if not self.arguments.resume or getattr(network, "history", None) is not None:
                raise
            self.refused = True
            said = str(error).replace(ANEW, "The command that began it, with --overwrite, begins anew")
            raise type(error)(said.replace(ALLOW, "--allow-changes goes on all the same")) from None

    def keep(self) -> None:
        """Write what was reached; where it does not go on the folder stays as it was."""
        if self.refused:
            write_text(self.checkpoints / training_name, self.before)
        else:
            self.save()
            self.draw_curves()

    def save(self) -> None:
        """Write the networks, the rows, run.json and the history of the first network."""
        self.models = save_ensemble(self.job.members or [self.job.network], self.folder)
        (self.folder / rows_name).unlink(missing_ok=True)
        if self.job.problem.rows is not None:
            self.job.problem.rows.save(self.folder)
        remove_history(self.folder)
        self.describe()
        if len(self.history.epoch):
            self.history.to_csv(self.folder / "history.csv")

    def describe(self) -> None:
        """Write run.json, with the result as far as it is known."""
        from chainrule.engine import level

        job, arguments = self.job, self.arguments
        versions = {"chainrule": __version__, "numpy": np.__version__, "python": platform.python_version()}
        facts = {
            "data": {
                "source": arguments.source,
                "input_shape": list(job.problem.input_shape),
                "held_out": len(job.problem.X_test),
                "rows": len(job.problem.X_train) + len(job.problem.X_test),
                "sha256": fingerprints(job.problem.files),
                "target": job.problem.why or None,
            },
            "arguments": plain_arguments(arguments),
            "settings": vars(job.settings),
            "search": job.search.facts,
            "class_weights": None if job.class_weight is None else named_weights(job.class_weight),
            "members": [path.name for path in self.models] if len(self.models) > 1 else None,
            "versions": versions,
            "isa_level": level,
            "seed": arguments.seed,
            "result": self.result,
        }
        save_description(self.folder, self.models[0], job.network.preparation or Preparation(), facts)

    def draw_curves(self) -> None:
        """The picture of the history, or a line that says why there is none."""
        if not len(self.history.epoch):
            return
        try:
            with at_once():
                said = save_curves(self.history, self.folder)
            if said is not None:
                complain(said)
        except Exception as error:
            complain(f"{self.folder}: no picture of the curves was written ({reason(error)})")

    def report(self) -> list[str]:
        """Write report.html; the line to print, none where it could not be written, of which a line tells."""
        path = self.folder / report_name
        try:
            with at_once():
                write_report(self.job, path)
        except Exception as error:  # no report is worth a run
            complain(f"{path} was not written ({reason(error)})")
            return []
        return [f"how it computes, step by step: {path}"]


def plain_arguments(arguments: argparse.Namespace) -> dict[str, Any]:
    """Of `chainrule train`, as JSON holds them."""
    return {name: value for name, value in vars(arguments).items() if name != "run"}


def rhythm_of(text: str) -> dict[str, Any] | None:
    """The options of `Checkpoint` that --checkpoint says; None: no checkpoints."""
    if text in ("never", "epoch"):
        return {"every": 1} if text == "epoch" else None
    if text.endswith("m"):
        return {"every_minutes": float(text[:-1])}
    return {"every_steps": int(text)}


def fingerprints(files: tuple[Path, ...]) -> dict[str, str]:
    """The SHA-256 of the files of a source, as far as they are few."""
    if len(files) > most_fingerprints:
        return {}
    prints = {}
    for path in files:
        with contextlib.suppress(FileError):  # a pipe, or gone by now: the run is as good without
            prints[path.name] = file_sha256(path)
    return prints


def write_report(job: Job, path: Path) -> None:
    """The report on the held-out samples with the largest loss."""
    from chainrule.cli.samples import Samples, explained, hardest

    problem = job.problem
    samples = Samples(job.network, problem.X_test, problem.y_test, job.penalty, len(problem.X_train))
    rows = hardest(samples, min(samples_explained, len(problem.X_test)))
    explained(samples, rows, sample=0, history=job.network.history).html(path)


def named_weights(weights: Mapping[Any, float]) -> list[dict[str, Any]]:
    """Weights of classes as run.json holds them, whose labels may be numbers."""
    return [{"class": label, "weight": weight} for label, weight in weights.items()]


def measure(job: Job, result: dict[str, Any]) -> list[str]:
    """Test the networks on what was held out: lines to print, the result last; `result` gets the figures."""
    return measure_classes(job, result) if job.problem.classes is not None else measure_numbers(job, result)


def measure_classes(job: Job, result: dict[str, Any]) -> list[str]:
    """A table by class, what was taken for what, the log-loss where there are probabilities, the accuracy."""
    problem, ensemble = job.problem, Ensemble(job.members)
    assert problem.classes is not None
    outputs = ensemble.predict(problem.X_test)
    predicted = ensemble.labels(outputs)
    accuracy = float(np.mean(predicted == problem.y_test))
    rows = class_rows(problem.y_test, predicted, problem.classes)
    result |= {"test_accuracy": accuracy, "classes": rows}
    lines = [class_table(rows), confusions(problem.y_test, predicted)]
    losses = log_loss_of(job.network, outputs, problem.y_test)
    if losses is not None:
        result["test_log_loss"] = float(losses.mean())
        lines.append(f"test log-loss {result['test_log_loss']:.4g}")
    if len(job.members) > 1:
        single = []
        for member in job.members:
            outputs = member.predict(problem.X_test)
            right = float(np.mean(Ensemble([member]).labels(outputs) == problem.y_test))
            certain = log_loss_of(member, outputs, problem.y_test)
            single.append({"test_accuracy": right})
            if certain is not None:
                single[-1]["test_log_loss"] = float(certain.mean())
        lines.append(of_single(single, result))
    line = f"test accuracy {100 * accuracy:.1f} %"
    if job.recipe is not None:
        result["published_accuracy"] = job.recipe.accuracy / 100
        line = f"test accuracy {100 * accuracy:.2f} % ({job.recipe.published()})"
    return [*lines, line]


def measure_numbers(job: Job, result: dict[str, Any]) -> list[str]:
    """The errors in the target's own unit, by column where there are several."""
    problem = job.problem
    targets = problem.preparation.targets
    assert targets is not None  # a regression's target has been scaled
    actual = targets.undo(problem.y_test)
    target = problem.preparation.target_name or "target"
    names = [f"{target}_{index}" for index in range(actual.shape[1])]
    figures, lines = errors_of(Ensemble(job.members).predict(problem.X_test), actual, names)
    result |= figures
    lines.append(f"mean absolute error {figures['test_mae']:.4g}")
    if len(job.members) > 1:
        single = []
        for member in job.members:
            entry, _ = errors_of(member.predict(problem.X_test), actual, names)
            single.append({name: entry[name] for name in ("test_rmse", "test_r2")})
        lines.append(of_single(single, result))
    error, explained = figures["test_rmse"], figures["test_r2"]
    return [*lines, f"test error {error:.4g} (root mean square), R2 {explained:.3f}"]


def of_single(single: list[dict[str, float]], result: dict[str, Any]) -> str:
    """A line with the mean figures of an ensemble's members, which go into `result` with those of each."""
    means = {name: float(np.mean([figures[name] for figures in single])) for name in single[0]}
    result |= {"single": means, "members": single}
    shown = {
        "test_accuracy": lambda value: f"accuracy {100 * value:.1f} %",
        "test_log_loss": lambda value: f"log-loss {value:.4g}",
        "test_rmse": lambda value: f"error {value:.4g}",
        "test_r2": lambda value: f"R2 {value:.3f}",
    }
    said = ", ".join(shown[name](value) for name, value in means.items())
    return f"a single one of the {len(single)} networks, on average: {said}"


def confusions(actual: Array, predicted: Array) -> str:
    """One line that says which classes were taken for which, the most frequent first."""
    wrong = actual != predicted
    pairs, counts = np.unique(np.stack([actual[wrong], predicted[wrong]]), axis=1, return_counts=True)
    if not counts.size:
        return "no mistake on the held-out samples"
    order = np.argsort(-counts, kind="stable")[:most_confusions]
    times = ["" if counts[i] == 1 else f" ({counts[i]} times)" for i in order]
    named = ", ".join(f"{pairs[0, i]} as {pairs[1, i]}{often}" for i, often in zip(order, times, strict=True))
    more = "" if len(counts) <= most_confusions else ", ..."
    return f"{int(wrong.sum())} of {len(actual)} mistaken: {named}{more}"
