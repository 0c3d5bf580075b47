"""Inputs for a trained network, from the files in which they may come, as its own preparation takes them."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.base.errors import DataError, FileError, ShapeError
from chainrule.base.types import Array
from chainrule.cli.folder import description_name, read_description
from chainrule.cli.output import complain, remark
from chainrule.cli.training.raw import is_table, known_columns, reading_of, unknown
from chainrule.data import Preparation, load_digits, load_idx, load_npy
from chainrule.data.frames import Column, Frame, listed
from chainrule.data.preparation.preparation import READING, matrix
from chainrule.data.readers.npz import open_npz
from chainrule.data.sets.idx_sets import is_idx
from chainrule.data.sets.image_folder import SUFFIXES, class_folders, images_in, load_images

if TYPE_CHECKING:
    from chainrule.networks.network import Network


@dataclass(frozen=True, eq=False)
class Inputs:
    """X as the network's preparation takes it, the target where the file happens to hold it, and the file's
    columns, which may be kept beside the predictions.

    known (N,): where the target is there; None: everywhere.
    """

    X: Frame | Array
    target: Array | None = None
    known: Array | None = None
    columns: Frame | None = None

    def labelled(self) -> Inputs:
        """The samples whose target is there."""
        if self.known is None or self.target is None:
            return self
        return Inputs(self.X[np.flatnonzero(self.known)], self.target)


def read_inputs(arguments: argparse.Namespace, network: Network, preparation: Preparation) -> Inputs:
    """The inputs from a table, NPZ, NPY or IDX file, an image or a folder of images, or digits."""
    if arguments.file == "digits":
        return Inputs(*load_digits())
    path = Path(arguments.file)
    shape = tuple(network.input_shape)
    if path.is_dir() and (sets := [str(entry) for entry in sorted(path.iterdir()) if is_idx(entry)]):
        raise FileError(f"{path}: a folder of IDX files: name the one to predict, of {listed(sets)}")
    if path.is_dir() or path.suffix.lower() in SUFFIXES:
        return _images(path, shape)
    if path.suffix.lower() == ".npz":
        inputs = _npz(path, arguments.x or trained_array(arguments.model), preparation.target_name or "y")
    elif path.suffix.lower() == ".npy":
        inputs = Inputs(load_npy(path))
    elif is_table(path):
        return _table(path, arguments, shape, preparation)
    elif is_idx(path) or path.suffix.lower() == ".gz":
        inputs = Inputs(load_idx(path))
    else:
        raise FileError(
            f"{path}: is no table (.csv, .tsv, .txt, .parquet, also compressed), .npz, .npy or IDX file, and "
            f"no image, so it is not known how to read it{unknown(path)}"
        )
    assert isinstance(inputs.X, np.ndarray)
    return replace(inputs, X=fit_shape(checked(inputs.X), shape, arguments.file))


def trained_array(model: str) -> str:
    """The name of the array that a run learned from, X where none is told."""
    place = Path(model)
    description = read_description((place if place.is_dir() else place.parent) / description_name) or {}
    told = description.get("arguments")
    name = told.get("x") if isinstance(told, dict) else None
    return name if isinstance(name, str) else "X"


def _images(path: Path, shape: tuple[int, ...]) -> Inputs:
    """One image, or those of a folder by name, brought to the network's size and channels."""
    files, target = [path], None
    if path.is_dir():
        files = images_in(path)
        if not files:  # as it was trained on
            files = [file for entry in class_folders(path) for file in images_in(entry)]
            target = np.array([file.parent.name for file in files])
    if not files:
        below = [str(entry) for entry in sorted(path.iterdir()) if entry.is_dir() and class_folders(entry)]
        named = f"; name one of its folders: {listed(below)}" if below else ""
        raise FileError(f"{path}: holds no images, whose names end in {', '.join(SUFFIXES)}{named}")
    if len(shape) != 3 or shape[2] not in (1, 3):
        raise ShapeError(f"{path}: holds images, the model takes samples of shape {list(shape)}")
    names = np.array([str(file.relative_to(path)) if path.is_dir() else file.name for file in files], object)
    column = Column("file", "text", names, np.zeros(len(files), dtype=bool))
    return Inputs(load_images(files, size=shape[:2], channels=shape[2]), target, columns=Frame((column,)))


def _npz(path: Path, x: str, target: str) -> Inputs:
    """The inputs, and the target where the file holds one of that name."""
    with open_npz(path) as archive:
        if x not in archive.names:
            raise FileError(
                f"{path}: has no array named '{x}': say which holds the inputs, --x NAME; its arrays are "
                f"{listed(archive.names) or 'none'}"
            )
        inputs = archive.read(x)
        if target not in archive.names:
            return Inputs(inputs)
        try:
            return Inputs(inputs, archive.read(target, len(inputs), x))
        except FileError as error:
            complain(f"not compared with the target: {error}")
            return Inputs(inputs)


def _table(
    path: Path, arguments: argparse.Namespace, shape: tuple[int, ...], preparation: Preparation
) -> Inputs:
    """Columns by name where the model knows their names, else all of them."""
    names = preparation.feature_names
    told = {name: getattr(arguments, name) for name in READING}
    now = {name: value for name, value in told.items() if value not in (None, "auto")}
    options = argparse.Namespace(**{**told, **preparation.reading, **now})
    known_names = known_columns(preparation)
    kept = getattr(arguments, "keep", None) or []
    beside: list[str] | None = [*kept, *filter(None, [preparation.target_name])]
    if kept == ["all"] or all(re.fullmatch(r"column \d+", name) for name in known_names):
        beside = None  # names that are made up tell a place, for which all columns count
    reading = reading_of(path, options, known_names, beside)
    frame = reading.frame
    for line in reading.remarks:  # rows that are passed over have no line in the output
        remark(f"{path}: {line}")
    if names is None:
        count = int(np.prod(shape))
        if len(frame.columns) != count:
            raise FileError(f"{path}: has {len(frame.columns)} columns, the model takes {count}")
        X: Frame | Array = fit_shape(matrix(frame, str(path)), shape, str(path))
        return Inputs(X, columns=frame)
    target = preparation.target_name
    features = _features(frame, names, tuple(known_names), target, path)
    by_position = not frame.named and len(frame.columns) <= len(names)  # none of these is the target
    if target is None or target not in frame.names or by_position:
        return Inputs(features, columns=frame)
    column = frame.column(target)
    known = ~column.missing
    if not known.any():
        return Inputs(features, columns=frame)
    try:
        values = column[np.flatnonzero(known)].labels()
    except DataError as error:
        complain(f"not compared with the target: {error}")
        return Inputs(features, columns=frame)
    every = np.zeros(len(frame), dtype=values.dtype)
    every[known] = values
    return Inputs(features, every, known, frame)


def _features(
    frame: Frame, names: tuple[str, ...], needed: tuple[str, ...], target: str | None, path: Path
) -> Frame:
    """The columns that the model needs, by name; without names, by position."""
    if not frame.named and len(frame.columns) in (len(names), len(needed)):
        read_names = names if len(frame.columns) == len(names) else needed
        if read_names != frame.names:
            order = listed(read_names)
            remark(f"{path}: no header, so the columns are taken in the order of training: {order}")
        pairs = zip(frame.columns, read_names, strict=True)
        return Frame(tuple(replace(column, name=name) for column, name in pairs)).select(needed)
    missing = [name for name in needed if name not in frame.names]
    if missing:
        count = len(frame.columns)
        received = f"its columns are {listed(frame.names)}" if frame.named else f"it has {count} columns"
        raise FileError(f"{path}: has no column '{missing[0]}', which the model was trained on; {received}")
    return frame.select(needed)


def checked(X: Array) -> Array:
    """(N, ...) of numbers; (N,) is one feature."""
    if X.dtype.kind not in "fiub":
        raise DataError(f"the inputs are of type {X.dtype}: give numbers")
    return X[:, np.newaxis] if X.ndim == 1 else X


def fit_shape(X: Array, input_shape: tuple[int, ...], file: str) -> Array:
    """X with the model's shape; rows of as many numbers as an image has pixels are read row by row."""
    if X.shape[1:] == input_shape:
        return X
    if int(np.prod(X.shape[1:])) != int(np.prod(input_shape)):
        raise ShapeError(
            f"{file}: a sample has shape {list(X.shape[1:])}, the model takes {list(input_shape)}"
        )
    return X.reshape(len(X), *input_shape)


def compared(inputs: Inputs) -> Any:
    """The target of the samples that have one."""
    assert inputs.target is not None
    return inputs.target if inputs.known is None else inputs.target[inputs.known]
