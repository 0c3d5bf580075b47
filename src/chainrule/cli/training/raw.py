"""What a source holds before anything is learned from it: a table's columns, or arrays, and the target."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from chainrule.base.errors import DataError, FileError
from chainrule.base.shown import quoted
from chainrule.base.types import Array
from chainrule.cli.folder import how_to_go_on
from chainrule.data import Preparation, load_npz
from chainrule.data.arrays import all_finite, first_nonfinite
from chainrule.data.frames import Column, Frame, listed
from chainrule.data.readers.table import column_name
from chainrule.data.sets.idx_sets import is_idx, load_idx_set
from chainrule.data.sets.image_folder import images_in, images_not_read, load_image_folder
from chainrule.data.tables.reader import read_table
from chainrule.data.tables.understood import NAMELESS, Reading

# The last four are no tables that are read: the reader says what to do. ".test" is UCI's.
ENDINGS = (
    *(".csv", ".tsv", ".tab", ".txt", ".data", ".test", ".dat", ".psv", ".parquet", ".feather", ".arrow"),
    *(".arff", ".xlsx", ".xls", ".ods"),
)
PACKED = (".gz", ".bz2", ".xz", ".zip", ".zst")
MOST_REMARKS = 8  # on columns that are told before a training
SEQUENCES, IDS, IMAGES, TABLE = "sequences", "ids", "images", "table"


@dataclass(frozen=True, eq=False)
class Raw:
    """Inputs X as the source holds them, a table's columns or an array, the target y, and what is known of
    both.

    kind: "table", "images", "sequences" or "ids". X_test, y_test: where the source has a test part of its
        own.
    notes: lines that say what was understood. files: all that was read.
    """

    name: str
    kind: str
    X: Frame | Array
    y: Array
    target_name: str | None = None
    X_test: Array | None = None
    y_test: Array | None = None
    notes: tuple[str, ...] = ()
    files: tuple[Path, ...] = field(default=())
    target_remark: str = ""  # what the reader says about the target's column


def raw_of(
    arguments: argparse.Namespace,
    sequential: str | None = None,
    known: Mapping[str, Sequence[str]] | None = None,
) -> Raw:
    """What the file or folder that `arguments.source` names holds.

    sequential: "sequences" or "ids" where the network that is to be trained reads these. known: of a table
    that a model was trained on, its names and levels.
    """
    path = Path(arguments.source)
    if path.is_dir() or path.suffix.lower() == ".npz" or is_table(path) or is_idx(path):
        check_options(path, arguments)
    if path.is_dir():
        if how := how_to_go_on(path):
            raise FileError(f"{path}: is a run folder, no data{how}")
        return _folder(path, arguments)
    if path.suffix.lower() == ".npz":
        X, y = load_npz(path, arguments.x, arguments.target or "y")
        assert y is not None  # it was asked for
        kind, X = array_inputs(X, arguments.inputs, sequential, str(path))
        return Raw(path.stem, kind, X, y, arguments.target or "y", files=(path,))
    if is_table(path):
        return _table(path, arguments, known)
    if is_idx(path):
        return _idx(path, arguments)
    if not path.suffix and not path.exists():
        raise FileError(f"{path}: no such file or folder; digits and mnist are sets that need none")
    raise FileError(
        f"'{arguments.source}' is nothing to train on: write digits, mnist, a table (.csv, .tsv, .txt, "
        f".parquet, also compressed), an .npz file, IDX files, or a folder of images by class{unknown(path)}"
    )


def unknown(path: Path) -> str:
    """What to do with a file whose ending says nothing, for the end of an error."""
    if not path.is_file():
        return ""
    return f". If it is a table, copy it under a name that says so: {quoted(path.name, 60)}.csv"


def check_options(path: Path, arguments: argparse.Namespace) -> None:
    """Raise DataError for an option that the source has no use for."""
    unused: dict[str, str | None]
    if is_table(path) and not path.is_dir():
        unused = {"size": None, "x": "X"}
        if arguments.inputs not in ("auto", TABLE):
            told = f"--inputs {arguments.inputs} is for arrays"
            raise DataError(f"{path}: {told}, this is a table: leave it out")
    elif path.is_dir() or path.suffix.lower() == ".npz" or is_idx(path):
        tables = ("kind", "levels", "delimiter", "decimal", "encoding", "missing", "columns", "drop")
        unused = {**dict.fromkeys(tables), "header": "auto"}
        if path.is_dir() or path.suffix.lower() != ".npz":
            unused |= {"x": "X", "target": None}
        if not path.is_dir():
            unused["size"] = None
    else:
        return  # which is nothing to train on
    for name, usual in unused.items():
        given = getattr(arguments, name, usual)
        if given not in (usual, None, []):
            raise DataError(f"{path}: --{name} is for another kind of source: leave it out")


def is_table(path: Path) -> bool:
    """Whether a file's name is one of a table's, packed or not; .zip says enough, and a pipe holds one."""
    name = path.name.lower()
    if name.endswith(".zip") or path.is_fifo() or str(path) == "/dev/stdin":
        return True
    for packed in PACKED:
        name = name.removesuffix(packed)
    return name.endswith(ENDINGS)


def _folder(path: Path, arguments: argparse.Namespace) -> Raw:
    if any(is_idx(entry) for entry in path.iterdir()):
        return _idx(path, arguments)
    size = arguments.size
    parts = {entry.name.lower(): entry for entry in path.iterdir() if entry.is_dir() and not images_in(entry)}
    training = parts.get("train") or parts.get("training")
    tests = ("test", "testing", "val", "valid", "validation")
    test = next((parts[name] for name in tests if name in parts), None)
    X, y, files = load_image_folder(training or path, size=size)
    name, notes = path.resolve().name, []
    X_test = y_test = None
    if training is not None and test is not None:
        X_test, y_test, more = load_image_folder(
            test, size=size or (X.shape[1], X.shape[2]), channels=X.shape[3], least_classes=1
        )
        files += more
        notes.append(f"tested on the images in {test}")
    others = images_not_read(path, files)
    if others:
        count = f"{len(others):,}, such as {others[0]}"
        notes.append(f"images that are not read, in no folder of a class: {count}")
    return Raw(name, IMAGES, X, y, "folder", X_test, y_test, tuple(notes), tuple(files))


def _idx(path: Path, arguments: argparse.Namespace) -> Raw:
    held = load_idx_set(path)
    kind, X = array_inputs(held.X, arguments.inputs, None, str(path))
    name = path.resolve().name.split(".")[0]
    if held.X_test is None:
        return Raw(name, kind, X, held.y)
    X_test = array_inputs(held.X_test, arguments.inputs, None, str(path))[1]
    return Raw(name, kind, X, held.y, None, X_test, held.y_test, ("tested on the test files of the folder",))


def _table(path: Path, arguments: argparse.Namespace, known: Mapping[str, Sequence[str]] | None) -> Raw:
    reading = reading_of(path, arguments, known)
    frame_all = reading.frame
    target = frame_all.column(target_in(reading, arguments))
    frame = frame_all.without([target.name])
    if not frame.columns:
        raise FileError(f"{path}: has no column beside the target, so nothing to learn from")
    notes = [*reading.summary(), *said_of_columns(reading)]
    target_said = "; ".join(reading.notes[reading.frame.names.index(target.name)].remarks)
    gone = int(target.missing.sum())
    if gone == len(target):
        raise DataError(f"{path}: the column '{target.name}' holds nothing, so there is nothing to learn")
    if gone:
        marks = reading.notes[frame_all.names.index(target.name)].marks
        marked = f" ({listed([quoted(mark, 20) for mark in marks])})" if marks else ""
        told = f"{gone:,} of {len(target):,} rows have no {target.name}{marked}"
        a_class = f": where '{quoted(marks[0], 20)}' is a class, --missing ''" if marks else ""
        present = target.values[~target.missing]
        if (present == present[0]).all():
            raise DataError(
                f"{path}: {told}, and all others have the same, so there is nothing to tell apart{a_class}"
            )
        notes.append(f"{told}, and are left out{a_class}")
        kept = np.flatnonzero(~target.missing)
        frame, target = frame[kept], target[kept]
    name = path.name.split(".")[0]
    return Raw(
        name, TABLE, frame, _target_values(target, path), target.name,
        notes=tuple(notes), files=(path,), target_remark=target_said,
    )  # fmt: skip


def said_of_columns(reading: Reading) -> list[str]:
    """A line for each of the first remarks on columns: what stays text, what counts as missing."""
    columns: dict[str, list[str]] = {}
    for name, note in zip(reading.frame.names, reading.notes, strict=True):
        for remark in note.remarks:
            if remark != NAMELESS:
                columns.setdefault(remark, []).append(name)
    lines = [f"{listed(names)}: {remark}" for remark, names in columns.items()]
    more = len(lines) - MOST_REMARKS
    return [*lines[:MOST_REMARKS], *([f"{more} more: chainrule data {reading.path}"] if more > 0 else [])]


def known_columns(preparation: Preparation) -> dict[str, tuple[str, ...]]:
    """The columns that a model needs, each with its levels, none where it has no levels."""
    needed = getattr(preparation.inputs, "needed", preparation.feature_names) or ()
    levels = {way.name: getattr(way, "levels", ()) for way in getattr(preparation.inputs, "ways", ())}
    return {name: tuple(levels.get(name, ())) for name in needed}


def reading_of(
    path: Path,
    arguments: argparse.Namespace,
    known: Mapping[str, Sequence[str]] | None = None,
    beside: Sequence[str] | None = None,
) -> Reading:
    """A table as the options say; --columns chooses features, to which the target comes.

    known: the names that a model was trained on, with their levels. beside: which others are read with
        them, None: all.
    """
    target = getattr(arguments, "target", None)
    told = [] if target is None else [target]
    return read_table(
        path,
        delimiter=arguments.delimiter,
        decimal=arguments.decimal,
        encoding=arguments.encoding,
        header={"auto": None, "yes": True, "no": False}[arguments.header],
        missing=arguments.missing,
        columns=getattr(arguments, "columns", None),
        drop=getattr(arguments, "drop", None),
        asked=told,
        known=known,
        beside=beside,
        target=target,
    )


def target_in(reading: Reading, arguments: argparse.Namespace) -> str:
    """The name of the column to learn: a name first, else an index. Raises FileError with the columns."""
    frame, path, told = reading.frame, reading.path, arguments.target
    if told is None:
        say = "say which column to learn: --target NAME, or --target -1 for the last"
        if not frame.named:
            raise FileError(f"{path}: {say}; it has {len(frame.names)} columns, 0 to {len(frame.names) - 1}")
        raise FileError(f"{path}: {say}; its columns are {listed(frame.names)}")
    if arguments.columns is not None:
        return frame.names[-1]  # where reading_of has it put
    if told in frame.names:
        return str(told)
    number = re.fullmatch(r"-?\d{1,9}", told)
    return column_name(reading, told if number is None else int(told))


def _target_values(target: Column, path: Path) -> Array:
    try:
        return target.labels()
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def array_inputs(X: Array, told: str, sequential: str | None, place: str) -> tuple[str, Array]:
    """(kind, X) of an array: (N,) and (N, F) are a table, (N, H, W, C) images; (N, A, B) is asked for.

    Grey images get their channel axis. Raises DataError where the shape does not fit what is told, and where
    it fits two kinds.
    """
    if X.dtype.kind not in "fiub":
        raise DataError(f"{place}: the inputs are of type {X.dtype}: give numbers")
    if X.ndim == 1:
        X = X[:, np.newaxis]
    kind = told
    if told == "auto":
        kind = sequential or {2: TABLE, 4: IMAGES}.get(X.ndim, "")
        if X.ndim == 3 and sequential is None:
            if X.dtype != np.uint8:
                raise DataError(
                    f"{place}: the inputs have shape {X.shape}: --inputs images reads {X.shape[1]} x "
                    f"{X.shape[2]} pixels, --inputs sequences {X.shape[1]} steps of {X.shape[2]} numbers"
                )
            kind = IMAGES
    fits = {TABLE: (2,), IMAGES: (3, 4), SEQUENCES: (2, 3), IDS: (2,)}.get(kind)
    if fits is None or X.ndim not in fits:
        raise DataError(
            f"{place}: the inputs have shape {X.shape}: give (N, features), images (N, H, W, C) or (N, H, "
            "W), or sequences (N, steps, features)"
        )
    if kind == IMAGES and X.ndim == 3:
        X = X[..., np.newaxis]
    if kind == SEQUENCES and X.ndim == 2:
        X = X[..., np.newaxis]
    if not all_finite(X):
        raise DataError(f"{place}: the inputs hold NaN or infinity in sample {first_nonfinite(X)}")
    if kind == IDS and ((X < 0) | (np.rint(X) != X)).any():
        raise DataError(f"{place}: ids are whole numbers from 0 on, but the inputs hold others")
    return kind, X
