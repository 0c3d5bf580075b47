"""`chainrule predict`: a trained model on new inputs."""

from __future__ import annotations

import argparse
import csv
import io
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO, TextIO

import numpy as np

from chainrule.base.errors import DataError, FileError, NonFiniteError
from chainrule.base.files.disk import descriptor, write_whole
from chainrule.base.shown import quoted, shown, storable
from chainrule.base.types import Array
from chainrule.cli.folder import open_run
from chainrule.cli.output import remark, standard_output, tell
from chainrule.cli.runs.inputs import read_inputs
from chainrule.cli.training.ensemble import Ensemble, mean_of, open_ensemble
from chainrule.data import Preparation
from chainrule.data.door import inputs_of
from chainrule.data.frames import Column, Frame, listed
from chainrule.data.task import known_labels
from chainrule.networks.executor import suspected
from chainrule.networks.finite import problem_of


def run(arguments: argparse.Namespace) -> int:
    """Write one line per sample; say on stderr how many were right where the file knows."""
    network, preparation = open_run(arguments.model)
    network.preparation = preparation  # of an older file it stands in run.json alone
    ensemble = open_ensemble(arguments.model, network)
    inputs = read_inputs(arguments, network, preparation)
    kept = columns_kept(inputs.columns, arguments)
    X = inputs_of(inputs.X, network, arguments.file)
    several = []
    for member in ensemble.members:
        with suspected() as parts:
            several.append(member.executor().predict(member, X))
        if arguments.allow_nonfinite:
            continue
        if (problem := problem_of(member, X, several[-1], parts)) is not None:
            raise NonFiniteError(
                f"{problem}; scale the inputs, or train the model again; "
                "--allow-nonfinite writes what there is"
            )
    outputs = mean_of(several)
    rows = Rows(ensemble, preparation, outputs, kept, probabilities=arguments.probabilities)
    if arguments.output is None:
        with standard_output() as stream:
            if isinstance(stream, io.TextIOWrapper) and not stream.isatty():
                stream.reconfigure(encoding="utf-8")  # a file, whatever the locale: no class becomes "?"
            write(stream, rows, shown)
    else:
        write_whole(arguments.output, lambda stream: write_to(stream, rows))
        if descriptor(arguments.output) is None:  # /dev/stdout: the line would stand among the predictions
            tell(f"{len(outputs)} predictions written to {arguments.output}")
    if inputs.target is not None:
        try:
            remark(rows.compare(inputs.target, inputs.known))
        except DataError as error:
            remark(f"not compared with the target in the file: {error}")
    return 0


def columns_kept(columns: Frame | None, arguments: argparse.Namespace) -> list[Column]:
    """The columns of the file that --keep names."""
    if arguments.keep is None:  # of images nothing else says which is which
        return list(columns.columns) if columns is not None and columns.names == ("file",) else []
    if columns is None:
        raise FileError(f"{arguments.file}: has no columns with names, of which --keep could keep some")
    if arguments.keep == ["all"]:
        return list(columns.columns)
    for name in arguments.keep:
        if name not in columns.names:
            raise FileError(
                f"{arguments.file}: --keep: has no column '{quoted(name)}'; --keep all writes all it has"
            )
    return [columns.column(name) for name in arguments.keep]


class Rows:
    """The predictions as lines of text."""

    def __init__(
        self,
        ensemble: Ensemble,
        preparation: Preparation,
        outputs: Array,
        kept: Sequence[Column],
        *,
        probabilities: bool,
    ) -> None:
        self.outputs = outputs.reshape(len(outputs), -1)
        self.kept = [(column.name, cells_of(column)) for column in kept]
        self.classes = classes = ensemble.first.classes
        self.labels = None if classes is None else ensemble.labels(outputs)
        if classes is None and preparation.targets is not None:
            self.outputs = preparation.targets.undo(self.outputs)
        if classes is None:
            name = preparation.target_name or "prediction"
            count = self.outputs.shape[1]
            self.heading = [name] if count == 1 else [f"{name}_{number}" for number in range(count)]
        elif probabilities and self.outputs.shape[1] == len(classes):
            self.heading = ["prediction", *(str(label) for label in classes)]
        else:
            self.heading = ["prediction", "probability"]
            self.outputs = certainty(self.outputs)
        self.heading = [*(name for name, _ in self.kept), *self.heading]

    def __iter__(self) -> Any:
        digits = "{:.6f}" if self.labels is not None else "{:.9g}"
        for number, values in enumerate(self.outputs.tolist()):
            kept = [cells[number] for _, cells in self.kept]
            label = [] if self.labels is None else [str(self.labels[number])]
            yield [*kept, *label, *(digits.format(value) for value in values)]

    def compare(self, target: Array, there: Array | None) -> str:
        """How well the predictions meet the target that the file holds, in the rows where it does."""
        rows = np.flatnonzero(np.ones(len(target), dtype=bool) if there is None else there)
        labels, outputs, target = self.labels, self.outputs[rows], target[rows]
        known = None if self.classes is None else known_labels(target, self.classes)
        if labels is not None and known is not None and known.shape == (labels := labels[rows]).shape:
            assert self.classes is not None  # of which the labels are
            right = int(np.sum(labels.astype(str) == known.astype(str)))
            told = f"{right} of {len(target)} right, accuracy {100 * right / len(target):.1f} %"
            others = known[~np.isin(known.astype(str), self.classes.astype(str))].astype(str)
            if not len(others):
                return told
            held = listed([quoted(name, 40) for name in np.unique(others)[:20]])
            if len(others) == len(known):
                return (
                    f"not compared with the target in the file: it holds {held}, the model's classes are "
                    f"{listed([quoted(str(name), 40) for name in self.classes])}"
                )
            return f"{told}; {len(others):,} of them hold what is no class of the model: {held}"
        values = target.reshape(len(target), -1)
        if labels is not None or values.shape != outputs.shape or values.dtype.kind not in "fiub":
            kind = f"shape {target.shape}, {target.dtype}"
            return f"the target in the file ({kind}) is not what the model predicts"
        error = float(np.sqrt(np.mean((outputs - values.astype(np.float64)) ** 2)))
        return f"error {error:.4g} (root mean square) over {len(target)} samples"


def cells_of(column: Column) -> list[str]:
    """The cells of a column as text: whole numbers without a point, what is missing empty."""
    if column.kind == "number":
        written = (repr(value).removesuffix(".0") for value in column.values.tolist())
    elif column.kind == "date":
        written = (str(value).removesuffix(".000000").removesuffix("T00:00:00") for value in column.values)
    elif column.kind == "truth":
        written = (column.words[int(value)] for value in column.values)
    else:
        written = (str(value) for value in column.values)
    return ["" if gone else cell for cell, gone in zip(written, column.missing, strict=True)]


def certainty(outputs: Array) -> Array:
    """The probability of the predicted class, (N, 1); one output is the probability of the second of two."""
    several = outputs.shape[1] > 1
    best: Array = outputs.max(axis=1) if several else np.maximum(outputs[:, 0], 1 - outputs[:, 0])
    return best.reshape(-1, 1)


def write_to(stream: BinaryIO, rows: Rows) -> None:
    """The lines in UTF-8; the stream stays open."""
    file = io.TextIOWrapper(stream, encoding="utf-8", newline="")
    write(file, rows)
    file.detach()


def write(file: TextIO, rows: Rows, fit: Callable[[str], str] = storable) -> None:
    """The lines as CSV; what `fit` makes of a label is written."""
    usual = csv.writer(file, lineterminator="\n")
    every = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)  # the other leaves \r without quotes
    for row in (rows.heading, *rows):
        cells = [fit(cell) for cell in row]
        (every if any("\r" in cell for cell in cells) else usual).writerow(cells)
