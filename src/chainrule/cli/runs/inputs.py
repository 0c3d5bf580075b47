"""Inputs for a trained network, from the files in which they may come."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from chainrule.base.errors import FileError, ShapeError
from chainrule.base.types import Array
from chainrule.cli.output import complain
from chainrule.data import Preparation, load_csv, load_digits, load_idx, load_npy
from chainrule.data.readers.npz import open_npz
from chainrule.data.readers.table import column_name, numbers_of
from chainrule.data.tables.reader import read_table

if TYPE_CHECKING:
    from chainrule.networks.network import Network


@dataclass(eq=False)
class Inputs:
    """X as the file holds it, and the target's column where the file happens to hold it too."""

    X: Array
    target: Array | None = None


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
        reading = read_table(path, header=True)
        target = preparation.target_name if preparation.target_name in reading.frame.names else None
        for name in names:
            column_name(reading, name)  # its error names the columns there are
        if target is not None and reading.frame.column(target).missing.any():
            target = None  # rows whose answer is not known yet
        table = numbers_of(reading, target, names)
        return Inputs(table.features, table.target)
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
