"""Batches of a file that memory need not hold: NumPy arrays where they lie, and Parquet by row groups."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from chainrule.base.errors import ArgumentError, DataError, FileError, MissingExtraError, describe
from chainrule.base.files.disk import first_line, opened
from chainrule.base.files.npy import Header, read_header
from chainrule.base.keywords import teach
from chainrule.base.scalars import check_count, check_flag
from chainrule.base.shown import quoted
from chainrule.base.types import Array
from chainrule.data.frames import Frame, frame_of

_FORMS = (
    "batches('data.npz'), batches('X.npy', y), batches('table.parquet', target='label'), or batches(X, y) of "
    "arrays"
)


class _Rows(Protocol):
    """Samples in groups, each of which is taken into memory as a whole."""

    samples: int
    groups: list[slice]

    def read(self, group: int, rows: Array | slice) -> tuple[Any, Any]:
        """Inputs and targets of some rows of a group, counted within it."""

    def joined(self, parts: list[tuple[Any, Any]]) -> tuple[Any, Any]:
        """Several of them, one behind the other."""


class Batches:
    """(X, y) batch by batch, from the beginning every time it is gone through; `fit(network, batches)`.

    samples: in all.  batch_size: of every batch but the last.  shuffle: every epoch in an order of its own,
    by the seed and the epoch's number; of a Parquet file the row groups and the rows within each.
    """

    def __init__(self, rows: _Rows, batch_size: int, shuffle: bool, seed: int, title: str) -> None:
        self.samples, self.batch_size, self.shuffle, self.seed = rows.samples, batch_size, shuffle, seed
        self._rows, self._title = rows, title

    def __len__(self) -> int:
        """How many batches."""
        return -(-self.samples // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return self.of_epoch(1)

    def of_epoch(self, epoch: int) -> Iterator[tuple[Any, Any]]:
        """The batches in the order of an epoch, from 1."""
        rows, held, count = self._rows, [], 0
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(self.seed, spawn_key=(epoch,))))
        numbers = np.arange(len(rows.groups))
        for group in rng.permutation(numbers) if self.shuffle else numbers:
            length = rows.groups[group].stop - rows.groups[group].start
            order = rng.permutation(length) if self.shuffle else None
            start = 0
            while start < length:
                stop = min(start + self.batch_size - count, length)
                held.append(rows.read(int(group), slice(start, stop) if order is None else order[start:stop]))
                count, start = count + stop - start, stop
                if count == self.batch_size:
                    yield rows.joined(held)
                    held, count = [], 0
        if held:
            yield rows.joined(held)

    def __repr__(self) -> str:
        shuffled = f", shuffle=True, seed={self.seed}" if self.shuffle else ""
        size = f"{self.samples:,} samples in {len(self):,} batches of {self.batch_size}"
        return f"Batches({self._title}: {size}{shuffled})"


@teach("batches('table.parquet', target='label') or batches(X, y), and the others by name")
def batches(
    source: Any,
    y: Any = None,
    *,
    target: str | None = None,
    columns: Any = None,
    batch_size: int = 32,
    shuffle: bool = False,
    seed: int = 0,
) -> Batches:
    """Batches of samples that need not fit into memory, for `fit(network, batches(...))`.

    source: an .npz file with X and y that numpy.savez wrote, which is read where it lies; an .npy file, with
        y an array or another one; a .parquet file, one row group in memory at a time; or an array, such as a
        numpy.memmap. Small files are read faster as a whole.
    y: the targets of an .npy file or of an array.
    target: of a Parquet file the column that is predicted; of an .npz the array, else "y".
    columns: of a Parquet file the inputs by name, all others by default. Each batch is a table with their
        names, which the network remembers; texts and dates need Network(..., preparation=...).
    batch_size: samples of a batch.
    shuffle: every epoch in another order, by seed; of a Parquet file the row groups and the rows in them.

    Raises FileError, DataError and ArgumentError for what cannot be read so, MissingExtraError without
    pyarrow (the extra `tables`) for Parquet.
    """
    size = check_count("batch_size", batch_size)
    shuffled, seed = check_flag("shuffle", shuffle), check_count("seed", seed, 0, np.inf)
    of_file = isinstance(source, (str, os.PathLike))
    title = repr(quoted(Path(source).name)) if of_file else describe(source)
    suffix = Path(source).suffix.lower() if of_file else None
    if suffix != ".parquet" and columns is not None:
        raise ArgumentError("columns is of a Parquet file, whose columns have names: leave it out")
    if suffix not in (".parquet", ".npz") and target is not None:
        raise ArgumentError("target is of a Parquet or an .npz file: give y, batches(X, y)")
    if suffix in (".parquet", ".npz") and y is not None:
        raise ArgumentError(f"y is in the file: write batches({title}, target=...)")
    if suffix == ".parquet":
        rows: _Rows = _Parquet(Path(source), target, columns)
    elif suffix == ".npz":
        arrays = _stored(Path(source), ("X", "y" if target is None else target))
        rows = _Arrays(*arrays)
    elif suffix in (".npy", None):
        X = _npy(Path(source)) if suffix else source
        rows = _Arrays(X, _npy(Path(y)) if isinstance(y, (str, os.PathLike)) else y)
    else:
        raise ArgumentError(f"batches reads no {suffix or 'such'} files: write {_FORMS}")
    return Batches(rows, size, shuffled, seed, title)


class _Arrays:
    """Arrays in one group; of a memory map only the rows of a batch are read."""

    def __init__(self, X: Any, y: Any) -> None:
        if y is None:
            raise ArgumentError(f"y is missing, the targets: write {_FORMS}")
        if hasattr(X, "columns"):
            raise DataError("X is a data frame, which is in memory: write fit(network, X, y)")
        self.X, self.y = (part if isinstance(part, np.ndarray) else np.asarray(part) for part in (X, y))
        lengths = [len(part) if part.ndim else 0 for part in (self.X, self.y)]
        if 0 in lengths or lengths[0] != lengths[1]:
            given = f"X has {lengths[0]:,} samples but y has {lengths[1]:,}"
            raise DataError(f"{given}: give one target per sample")
        self.samples = lengths[0]
        self.groups = [slice(0, self.samples)]

    def read(self, group: int, rows: Array | slice) -> tuple[Any, Any]:
        return self.X[rows], self.y[rows]

    def joined(self, parts: list[tuple[Any, Any]]) -> tuple[Any, Any]:
        return parts[0]  # one group: a batch is never in several parts


class _Parquet:
    """The columns of a Parquet file, by row groups."""

    def __init__(self, path: Path, target: str | None, columns: Any) -> None:
        try:
            from pyarrow import parquet  # type: ignore[import-untyped, unused-ignore]
        except ImportError:
            raise MissingExtraError("pyarrow", "tables", "batches of a Parquet file") from None
        with opened(path):  # says in words what is wrong with the path
            pass
        try:
            self.file = parquet.ParquetFile(path)
        except Exception as error:  # pyarrow's own kinds
            raise FileError(f"{path}: not a Parquet file, or a damaged one ({first_line(error)})") from None
        names = list(self.file.schema_arrow.names)
        listed = ", ".join(map(quoted, names[:20])) + (", …" if len(names) > 20 else "")
        if target is None:
            raise ArgumentError(f"target is missing, the column to predict: {path} has {listed}")
        chosen = [name for name in names if name != target] if columns is None else list(columns)
        for name in (target, *chosen):
            if name not in names:
                raise FileError(f"{path}: has no column {quoted(name)}; its columns are {listed}")
        if target in chosen or not chosen or len(set(chosen)) < len(chosen):
            raise ArgumentError("columns must be the inputs, each once and at least one, without the target")
        self.target, self.columns = target, chosen
        counts = [self.file.metadata.row_group(i).num_rows for i in range(self.file.num_row_groups)]
        ends = np.cumsum([0, *counts]).tolist()
        self.groups = [slice(a, b) for a, b in pairwise(ends)]
        self.samples = int(ends[-1])
        if not self.samples:
            raise FileError(f"{path}: holds no row")
        self.path = path
        self._held: tuple[int, Frame, Array] | None = None

    def read(self, group: int, rows: Array | slice) -> tuple[Any, Any]:
        if self._held is None or self._held[0] != group:
            self._held = None  # not two of them at once
            try:
                table = self.file.read_row_group(group, columns=[*self.columns, self.target])
            except Exception as error:
                raise FileError(f"{self.path}: row group {group} is damaged ({first_line(error)})") from None
            frame = frame_of(table, str(self.path))
            assert frame is not None  # pyarrow's tables are frames
            inputs = Frame(tuple(frame.column(name) for name in self.columns))
            self._held = group, inputs, frame.column(self.target).labels()
        _, inputs, labels = self._held
        return inputs[rows], labels[rows]

    def joined(self, parts: list[tuple[Any, Any]]) -> tuple[Any, Any]:
        if len(parts) == 1:
            return parts[0]
        columns = []
        for same in zip(*(frame.columns for frame, _ in parts), strict=True):
            values = np.concatenate([column.values for column in same])
            missing = np.concatenate([column.missing for column in same])
            whole = all(column.whole for column in same)
            columns.append(replace(same[0], values=values, missing=missing, whole=whole))
        return Frame(tuple(columns)), np.concatenate([labels for _, labels in parts])


def _npy(path: Path) -> Array:
    """The array of an .npy file, where it lies."""
    with opened(path) as (stream, size):
        header = _header(path, stream, "an .npy file")
        if header.whole != size:
            raise FileError(f"{path}: its header promises {header.whole:,} bytes in all, it has {size:,}")
    return _map(path, header, header.size)


def _stored(path: Path, names: tuple[str, str]) -> list[Array]:
    """Arrays of an .npz file, where they lie."""
    arrays = []
    with opened(path) as (stream, _):
        try:
            archive = zipfile.ZipFile(stream)
            members = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
        except Exception as error:
            raise FileError(f"{path}: not an .npz file, or a damaged one ({first_line(error)})") from None
        for name in names:
            member = members.get(name)
            if member is None:
                listed = ", ".join(map(quoted, members)) or "none"
                raise FileError(f"{path}: has no array named {quoted(name)}; its arrays are {listed}")
            if member.compress_type != zipfile.ZIP_STORED:
                raise FileError(
                    f"{path}: {quoted(name)} is compressed, and cannot be read where it lies: write it with "
                    "numpy.savez, or load it as a whole with chainrule.data.load_npz"
                )
            stream.seek(member.header_offset)
            local = stream.read(30)
            if local[:4] != b"PK\x03\x04":
                raise FileError(f"{path}: the array {quoted(name)} is damaged")
            lengths = int.from_bytes(local[26:28], "little") + int.from_bytes(local[28:30], "little")
            begin = member.header_offset + 30 + lengths
            stream.seek(begin)
            header = _header(path, stream, quoted(name))
            if header.whole != member.file_size:
                raise FileError(f"{path}: the array {quoted(name)} is damaged")
            arrays.append(_map(path, header, begin + header.size))
    return arrays


def _header(path: Path, stream: Any, what: str) -> Header:
    try:
        return read_header(stream)
    except Exception as error:
        raise FileError(f"{path}: not {what}, or a damaged one ({first_line(error)})") from None


def _map(path: Path, header: Header, offset: int) -> Array:
    order: Any = "F" if header.fortran else "C"
    if not header.shape or 0 in header.shape:
        raise FileError(f"{path}: an array of shape {header.shape} holds no sample")
    return np.memmap(path, header.dtype, "r", offset, header.shape, order)
