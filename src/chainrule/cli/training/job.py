"""A training that `chainrule train` has prepared: run it, and keep what it reached, however it ends.

First of all the network, `run.json` and the history are written; a signal waits for them.  Then the test's
result is added.  The picture of the curves and the report come last and are best effort: a line says why one
was not written, and the run is as good without it.
"""

from __future__ import annotations

import argparse
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.base.types import Array
from chainrule.cli.ending import at_once, deferred
from chainrule.cli.folder import create_run_folder, remove_history, save_curves, save_description, save_model
from chainrule.cli.output import complain, reason, tell
from chainrule.cli.training.choices import Settings
from chainrule.cli.training.recipes import Recipe
from chainrule.cli.training.rows import rows_name
from chainrule.cli.training.sources import Problem
from chainrule.data import Preparation
from chainrule.data.fingerprints import file_sha256
from chainrule.version import __version__

if TYPE_CHECKING:
    from chainrule.losses import Loss
    from chainrule.losses.penalties import Penalty
    from chainrule.networks.network import Network
    from chainrule.training.history import History
    from chainrule.training.optimizers import Optimizer

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
    """Everything `train` needs, chosen."""

    problem: Problem
    data: TrainingData
    network: Network
    loss: Loss
    settings: Settings
    optimizer: Optimizer
    penalty: Penalty | None
    recipe: Recipe | None


def train(job: Job, arguments: argparse.Namespace) -> None:
    """Train; whatever ends it, the run folder gets the network, run.json and the history.

    Raises what ended the training, once they are written.
    """
    lines: list[str] = []
    with deferred():  # what a signal ends is the training, the test, the picture and the report
        run = Run(job, arguments)
        try:
            try:
                with at_once():
                    run.fit()
            finally:
                run.save()
                run.draw_curves()
            with at_once():
                lines = measure(job, run.result)
            run.describe()
            if not arguments.no_report:
                lines[-1:-1] = run.report()
        finally:
            tell("\n".join([*lines[:-1], f"run folder {run.folder}", *lines[-1:]]))


class Run:
    """A job and its run folder, which is made here."""

    def __init__(self, job: Job, arguments: argparse.Namespace) -> None:
        self.job, self.arguments = job, arguments
        self.folder = create_run_folder(job.problem.name, arguments.out, overwrite=arguments.overwrite)
        (self.folder / report_name).unlink(missing_ok=True)  # an earlier run's would pass for this one's
        self.result: dict[str, Any] = {"stopped": "failed"}
        self.started = time.perf_counter()
        self.model: Path | None = None

    @property
    def history(self) -> History:
        from chainrule.training.history import History

        return getattr(self.job.network, "history", None) or History()

    def fit(self) -> None:
        """Train the job's network."""
        from chainrule.training.fit import fit

        job, arguments = self.job, self.arguments
        try:
            history = fit(
                job.network,
                job.data.X,
                job.data.y,
                loss=job.loss,
                penalty=job.penalty,
                optimizer=job.optimizer,
                batch_size=job.settings.batch_size,
                epochs=job.settings.epochs,
                validation=job.data.validation,
                early_stopping=arguments.patience,
                seed=arguments.seed,
                threads=arguments.threads,
                progress=not arguments.quiet,
            )
            self.result["stopped"] = history.stopped
        except KeyboardInterrupt:
            self.result["stopped"] = "interrupted"
            raise
        finally:
            seconds = round(time.perf_counter() - self.started, 3)
            self.result |= {"epochs": len(self.history.epoch), "seconds": seconds}

    def save(self) -> None:
        """Write the network, run.json and the history."""
        self.model = save_model(self.job.network, self.folder)
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
        assert self.model is not None  # it is saved first
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
            "arguments": {name: value for name, value in vars(arguments).items() if name != "run"},
            "settings": vars(job.settings),
            "versions": versions,
            "isa_level": level,
            "seed": arguments.seed,
            "result": self.result,
        }
        save_description(self.folder, self.model, job.network.preparation or Preparation(), facts)

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


def fingerprints(files: tuple[Path, ...]) -> dict[str, str]:
    """The SHA-256 of the files of a source, as far as they are few."""
    return {path.name: file_sha256(path) for path in files} if len(files) <= most_fingerprints else {}


def write_report(job: Job, path: Path) -> None:
    """The report on the held-out samples with the largest loss."""
    from chainrule.cli.samples import Samples, explained, hardest

    problem = job.problem
    samples = Samples(job.network, problem.X_test, problem.y_test, job.penalty, len(problem.X_train))
    rows = hardest(samples, min(samples_explained, len(problem.X_test)))
    explained(samples, rows, sample=0, history=job.network.history).html(path)


def measure(job: Job, result: dict[str, Any]) -> list[str]:
    """Test the network on the held-out samples: lines to print, the result last; figures go into `result`."""
    problem, network = job.problem, job.network
    if problem.classes is not None:
        predicted = network.classify(problem.X_test)
        accuracy = float(np.mean(predicted == problem.y_test))
        result["test_accuracy"] = accuracy
        line = f"test accuracy {100 * accuracy:.1f} %"
        if job.recipe is not None:
            result["published_accuracy"] = job.recipe.accuracy / 100
            line = f"test accuracy {100 * accuracy:.2f} % ({job.recipe.published()})"
        return [*confusions(problem.y_test, predicted), line]
    predicted, targets = network.predict(problem.X_test), problem.preparation.targets
    assert targets is not None  # a regression's target has been scaled
    actual = targets.undo(problem.y_test)
    error = float(np.sqrt(np.mean((predicted - actual) ** 2)))
    spread = float(np.sum((actual - actual.mean(axis=0)) ** 2))
    explained = 1.0 - float(np.sum((predicted - actual) ** 2)) / spread if spread > 0 else 0.0
    result |= {"test_rmse": error, "test_r2": explained}
    return [f"test error {error:.4g} (root mean square), R2 {explained:.3f}"]


def confusions(actual: Array, predicted: Array) -> list[str]:
    """One line that says which classes were taken for which, the most frequent first."""
    wrong = actual != predicted
    pairs, counts = np.unique(np.stack([actual[wrong], predicted[wrong]]), axis=1, return_counts=True)
    if not counts.size:
        return ["no mistake on the held-out samples"]
    order = np.argsort(-counts, kind="stable")[:most_confusions]
    times = ["" if counts[i] == 1 else f" ({counts[i]} times)" for i in order]
    named = ", ".join(f"{pairs[0, i]} as {pairs[1, i]}{often}" for i, often in zip(order, times, strict=True))
    more = "" if len(counts) <= most_confusions else ", ..."
    return [f"{int(wrong.sum())} of {len(actual)} mistaken: {named}{more}"]
