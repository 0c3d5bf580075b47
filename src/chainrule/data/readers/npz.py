"""Arrays from NumPy's own files, which are opened once; without ever unpickling.

What a file promises is compared with its length before memory is taken for it.  Compressed arrays, those of
numpy.savez_compressed, are read; deflate packs at most 1032 bytes into one: what promises more is refused.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from chainrule.base.errors import FileError
from chainrule.base.files.disk import first_line, opened
from chainrule.base.files.npy import read_header, read_values
from chainrule.base.types import Array
from chainrule.data.readers.idx import largest_deflate_ratio

_most_unpacked = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: largest_deflate_ratio}


def load_npz(path: str | Path, x: str = "X", target: str | None = "y") -> tuple[Array, Array | None]:
    """The arrays `x` (N, ...) and `target` (N,) or (N, outputs) of a file; `target=None` reads `x` alone.

    Raises FileError when the file is missing or malformed, has no array of that name, holds Python
    objects, or when the two arrays have different numbers of samples.
    """
    with open_npz(path) as archive:
        inputs = archive.read(x)
        targets = None if target is None else archive.read(target, len(inputs), x)
    return inputs, targets


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
    with opened(path) as (stream, size):
        try:
            header = read_header(stream)
            if header.whole != size:
                raise ValueError(f"its header promises {header.whole:,} bytes in all, it has {size:,}")
            array = read_values(stream, header)
        except Exception as error:  # of the file's own making, whatever it is: MemoryError, too
            raise FileError(f"{path}: not an .npy file, or a damaged one ({first_line(error)})") from None
    if array.ndim == 0 or array.size == 0:
        raise FileError(f"{path}: does not hold one array with at least one sample")
    return decoded(array, f"{path}")


class Archive:
    """An open .npz file: the names of its arrays, which are read when they are asked for."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self.path = path
        self._archive = archive
        self._members: dict[str, zipfile.ZipInfo] = {}
        for member in archive.infolist():
            name = member.filename.removesuffix(".npy")
            if name in self._members:
                raise FileError(f"{path}: holds '{name}' twice")
            self._members[name] = member

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._members)

    def read(self, name: str, samples: int | None = None, like: str = "X") -> Array:
        """One array: numbers, booleans or strings with a sample axis, of `samples` as `like` has them.

        Raises FileError where there is none of that name, or where it is damaged, empty or of another length.
        """
        member = self._members.get(name)
        if member is None:
            raise FileError(
                f"{self.path}: has no array named '{name}'; its arrays are {', '.join(self.names) or 'none'}"
            )
        if not member.filename.endswith(".npy"):
            raise FileError(f"{self.path}: '{name}' is not a NumPy array")
        try:
            array = self._values(member)
        except Exception as error:  # zipfile, zlib, bz2 and lzma raise a dozen kinds for a damaged file
            raise FileError(f"{self.path}: the array '{name}' cannot be read ({first_line(error)})") from None
        if array.ndim == 0 or array.size == 0:
            raise FileError(
                f"{self.path}: the array '{name}' has shape {array.shape}, which is no sample at all"
            )
        if samples not in (None, len(array)):
            raise FileError(f"{self.path}: '{like}' has {samples} samples but '{name}' has {len(array)}")
        return decoded(array, f"{self.path}: the array '{name}'")

    def _values(self, member: zipfile.ZipInfo) -> Array:
        if member.compress_type not in _most_unpacked:  # bzip2 and LZMA unpack to any length at once
            raise ValueError("it is packed as numpy.savez_compressed packs nothing: save it with that")
        said, most = member.file_size, member.compress_size * _most_unpacked[member.compress_type]
        if said > most:
            raise ValueError(f"it promises {said:,} bytes, and there are at most {most:,}")
        with self._archive.open(member) as stream:
            header = read_header(stream)
            if header.whole != said:
                raise ValueError(f"its header promises {header.whole:,} bytes in all, the archive {said:,}")
            return read_values(stream, header)


@contextmanager
def open_npz(path: str | Path) -> Iterator[Archive]:
    """An .npz file, opened once for all that is read from it.  Raises FileError for what is none."""
    path = Path(path)
    with opened(path) as (stream, _):
        start = stream.read(6)
        if start == b"\x93NUMPY":
            raise FileError(
                f"{path}: holds one array without a name; save it with numpy.savez(path, X=..., y=...)"
            )
        if start[:2] != b"PK":
            raise FileError(f"{path}: not an .npz file (it starts with {start[:2].hex(' ') or 'nothing'})")
        try:
            stream.seek(0)
            archive = zipfile.ZipFile(stream)
        except Exception as error:  # of the same dozen
            raise FileError(f"{path}: not an .npz file, or a damaged one ({first_line(error)})") from None
        with archive:
            yield Archive(path, archive)
