"""Arrays from NumPy's own files, without ever unpickling."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.errors import FileError

Array = np.ndarray[Any, Any]
unreadable = (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, MemoryError, NotImplementedError)


def load_npz(path: str | Path, x: str = "X", target: str | None = "y") -> tuple[Array, Array | None]:
    """The arrays `x` (N, ...) and `target` (N,) or (N, outputs) of a file; `target=None` reads `x` alone.

    Raises FileError when the file is missing or malformed, has no array of that name, holds Python
    objects, or when the two arrays have different numbers of samples.
    """
    path = Path(path)
    with opened(path, ".npz") as archive:
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise FileError(
                f"{path}: holds one array without a name; save it with numpy.savez(path, X=..., y=...)"
            )
        inputs = read_array(archive, x, path)
        targets = None if target is None else read_array(archive, target, path)
    if targets is not None and len(targets) != len(inputs):
        raise FileError(f"{path}: '{x}' has {len(inputs)} samples but '{target}' has {len(targets)}")
    return inputs, targets


def read_array(archive: Any, name: str, path: Path) -> Array:
    """One array of an open .npz archive: numbers, booleans or strings with a sample axis."""
    if name not in archive.files:
        names = ", ".join(archive.files) or "none"
        raise FileError(f"{path}: has no array named '{name}'; its arrays are {names}")
    try:
        array: Array = archive[name]
    except unreadable as error:
        raise FileError(f"{path}: the array '{name}' cannot be read ({first_line(error)})") from None
    if not isinstance(array, np.ndarray):
        raise FileError(f"{path}: '{name}' is not a NumPy array")
    if array.ndim == 0 or array.size == 0:
        raise FileError(f"{path}: the array '{name}' has shape {array.shape}, which is no sample at all")
    return decoded(array, f"{path}: the array '{name}'")


def decoded(array: Array, what: str) -> Array:
    """Bytes (what h5py and C write as text) as strings; anything else as it is."""
    if array.dtype.kind != "S":
        return array
    try:
        text: Array = np.char.decode(array, "utf-8")
    except UnicodeDecodeError:
        raise FileError(f"{what} holds bytes that are no UTF-8 text: save strings, y.astype(str)") from None
    return text


def load_npy(path: str | Path) -> Array:
    """The array of an .npy file. Raises FileError when it is missing, malformed, empty or of objects."""
    path = Path(path)
    with opened(path, ".npy") as array:
        pass
    if not isinstance(array, np.ndarray) or array.ndim == 0 or array.size == 0:
        raise FileError(f"{path}: does not hold one array with at least one sample")
    return decoded(array, f"{path}:")


@contextmanager
def opened(path: Path, kind: str) -> Iterator[Any]:
    """What np.load makes of the file, opened here because np.load leaves a damaged archive open."""
    try:
        with path.open("rb") as file:
            try:
                content = np.load(file, allow_pickle=False)
            except unreadable as error:
                raise FileError(f"{path}: not an {kind} file ({first_line(error)})") from None
            yield content
    except FileNotFoundError:
        raise FileError(f"{path}: no such file") from None
    except OSError as error:
        raise FileError(f"{path}: cannot be read ({error.strerror})") from None


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its name where it has none."""
    return (str(error).splitlines() or [type(error).__name__])[0]
