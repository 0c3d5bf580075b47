"""Fingerprints of data: of whole files, and of single rows, by which held-out rows are recognised later."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chainrule.base.files.disk import opened
from chainrule.base.types import Array
from chainrule.data.frames import Frame

Prints = NDArray[np.uint64]
_PIECE = 2**24  # bytes that are read at once
_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: odd, so that no bit is lost


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes. Raises FileError where it cannot be read."""
    digest = hashlib.sha256()
    with opened(path) as (stream, _):
        while piece := stream.read(2**20):
            digest.update(piece)
    return digest.hexdigest()


def array_sha256(array: Array) -> str:
    """SHA-256 of an array's type, shape and numbers, some at a time: it may be larger than the memory."""
    digest = hashlib.sha256(f"{array.dtype.newbyteorder('<').str} {array.shape}".encode())
    array = array if array.ndim else array.reshape(1)
    rows = max(1, _PIECE // max(1, array.nbytes // max(1, len(array))))
    for start in range(0, len(array), rows):
        piece = np.asarray(array[start : start + rows])
        stored = np.asarray(piece, piece.dtype.newbyteorder("<"), order="C")
        digest.update(stored.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def row_prints(*parts: Frame | Array) -> Prints:
    """64 bits for every row of the parts side by side, frames and arrays (N, ...): equal rows have equal bits
    whatever the order of rows in the file; different ones have different bits but for one chance in 2^64.
    """
    mixed = np.zeros(len(parts[0]), dtype=np.uint64)
    for part in parts:
        columns = part.columns if isinstance(part, Frame) else ()
        for column in columns:
            values = column.values.astype("datetime64[us]") if column.kind == "date" else column.values
            mixed = _mixed(mixed, np.where(column.missing, np.uint64(1), _prints(values)))
        if isinstance(part, np.ndarray):
            mixed = _mixed(mixed, _prints(part))
    return mixed


def _mixed(before: Prints, prints: Prints) -> Prints:
    """Both in one, in their order (the steps of splitmix64)."""
    with np.errstate(over="ignore"):
        x = (before * _FACTOR) ^ (prints + _FACTOR)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return np.asarray(x ^ (x >> np.uint64(31)), dtype=np.uint64)


def _prints(values: Array) -> Prints:
    """64 bits per row of an array (N, ...) of numbers, dates or texts."""
    if values.dtype.kind in "OU":
        known = {text: _digest(str(text).encode("utf-8", "surrogatepass")) for text in set(values.tolist())}
        return np.array([known[text] for text in values.tolist()], dtype=np.uint64)
    if values.ndim > 1:
        rows = np.ascontiguousarray(values).reshape(len(values), -1)
        return np.array([_digest(row.tobytes()) for row in rows], dtype=np.uint64)
    if values.dtype.kind == "M":
        return values.astype(np.int64).view(np.uint64)
    numbers = values.astype(np.float64) + 0.0  # -0.0 is 0.0
    return numbers.view(np.uint64)


def _digest(raw: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(raw, digest_size=8).digest(), "little")
