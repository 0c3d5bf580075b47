"""`chainrule predict`: a trained model on new inputs."""

from __future__ import annotations

import argparse
import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO

import numpy as np

from chainrule.base.errors import FileError, NonFiniteError, ShapeError
from chainrule.base.files.disk import descriptor, write_whole
from chainrule.base.shown import shown, storable
from chainrule.cli.folder import open_run
from chainrule.cli.output import complain, remark, standard_output, tell
from chainrule.cli.training.sources import check_features
from chainrule.data import Preparation, load_csv, load_digits, load_idx, load_npy
from chainrule.data.readers.npz import open_npz
from chainrule.data.readers.table import read_table
from chainrule.networks.passes.executor import suspected
from chainrule.networks.passes.finite import problem_of

if TYPE_CHECKING:
    from chainrule.networks.network import Network

Array = np.ndarray[Any, Any]


@dataclass(eq=False)
class Inputs:
    """X as the file holds it, and the target's column where the file happens to hold it too."""

    X: Array
    target: Array | None = None


def run(arguments: argparse.Namespace) -> int:
    """Write one line per sample; say on stderr how many were right where the file knows."""
    network, preparation = open_run(arguments.model)
    inputs = read_inputs(arguments, network, preparation)
    X = fit_shape(check_features(inputs.X), tuple(network.input_shape), arguments.file)
    if preparation.inputs is not None:
        X = preparation.inputs(X)
    with suspected() as parts:
        outputs = network.predict(X, allow_nonfinite=True)
    if not arguments.allow_nonfinite and (problem := problem_of(network, X, outputs, parts)) is not None:
        raise NonFiniteError(
            f"{problem}; scale the inputs, or train the model again; --allow-nonfinite writes what there is"
        )
    rows = Rows(network, preparation, outputs, X, arguments.probabilities)
    if arguments.output is None:
        with standard_output() as stream:
            write(stream, rows, shown)
    else:
        write_whole(arguments.output, lambda stream: write_to(stream, rows))
        if descriptor(arguments.output) is None:  # /dev/stdout: the line would stand among the predictions
            tell(f"{len(outputs)} predictions written to {arguments.output}")
    if inputs.target is not None:
        remark(rows.compare(inputs.target))
    return 0


def read_inputs(arguments: argparse.Namespace, network: Network, preparation: Preparation) -> Inputs:
    """The inputs from a CSV, NPZ, NPY or IDX file."""
    if arguments.file == "digits":
        return Inputs(*load_digits())
    path = Path(arguments.file)
    suffix = path.suffix.lower()
    if suffix == ".csv":
        return read_csv(path, arguments.header, int(np.prod(network.input_shape)), preparation)
    if suffix == ".npz":
        return read_npz(path, arguments.x, preparation.target_name or "y")
    if suffix == ".npy":
        return Inputs(load_npy(path))
    if suffix == ".gz" or "idx" in path.name:
        return Inputs(load_idx(path))
    raise FileError(
        f"{path}: ends in none of .csv, .npz, .npy, -ubyte or .gz, so it is not known how to read it"
    )


def read_npz(path: Path, x: str, target: str) -> Inputs:
    """The inputs, and the target where the file holds one of that name."""
    with open_npz(path) as archive:
        inputs = archive.read(x)
        if target not in archive.names:
            return Inputs(inputs)
        try:
            return Inputs(inputs, archive.read(target, len(inputs), x))
        except FileError as error:
            complain(f"not compared with the target: {error}")
            return Inputs(inputs)


def read_csv(path: Path, header: str, width: int, preparation: Preparation) -> Inputs:
    """Columns by name where the model knows their names, else all of them."""
    told = {"auto": None, "yes": True, "no": False}[header]
    names = preparation.feature_names
    if names is not None and told is not False:
        name = preparation.target_name
        found = read_table(path, lambda cells: name if name in cells else None, header=True, columns=names)
        return Inputs(found.features, found.target)
    table = load_csv(path, header=told)
    if table.features.shape[1] != width:
        raise FileError(f"{path}: has {table.features.shape[1]} columns, the model takes {width}")
    return Inputs(table.features)


def fit_shape(X: Array, input_shape: tuple[int, ...], file: str) -> Array:
    """X with the model's shape; rows of as many numbers as an image has pixels are read row by row."""
    if X.shape[1:] == input_shape:
        return X
    if int(np.prod(X.shape[1:])) != int(np.prod(input_shape)):
        raise ShapeError(
            f"{file}: a sample has shape {list(X.shape[1:])}, the model takes {list(input_shape)}"
        )
    return X.reshape(len(X), *input_shape)


class Rows:
    """The predictions as lines of text."""

    def __init__(
        self, network: Network, preparation: Preparation, outputs: Array, X: Array, probabilities: bool
    ) -> None:
        self.outputs = outputs.reshape(len(outputs), -1)
        classes = network.classes
        self.labels = None if classes is None else network.classify(X, allow_nonfinite=True)
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

    def __iter__(self) -> Any:
        digits = "{:.6f}" if self.labels is not None else "{:.9g}"
        for number, values in enumerate(self.outputs.tolist()):
            cells = [digits.format(value) for value in values]
            yield cells if self.labels is None else [str(self.labels[number]), *cells]

    def compare(self, target: Array) -> str:
        """How well the predictions meet the target that the file holds."""
        if self.labels is not None and target.shape == self.labels.shape:
            if self.labels.dtype.kind in "iu" and target.dtype.kind in "fb":  # 1.0 and True are class 1
                right = int(np.sum(self.labels == target))
            else:
                right = int(np.sum(self.labels.astype(str) == target.astype(str)))
            return f"{right} of {len(target)} right, accuracy {100 * right / len(target):.1f} %"
        values = target.reshape(len(target), -1)
        if self.labels is not None or values.shape != self.outputs.shape or values.dtype.kind not in "fiub":
            kind = f"shape {target.shape}, {target.dtype}"
            return f"the target in the file ({kind}) is not what the model predicts"
        error = float(np.sqrt(np.mean((self.outputs - values.astype(np.float64)) ** 2)))
        return f"error {error:.4g} (root mean square) over {len(target)} samples"


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
