"""IDX files, the format MNIST comes in: a magic number, big-endian sizes, then the values.

The header is believed only after it has been compared with the size of the file. The product of the sizes
is formed with Python's integers, so a header that claims 2**32 by 2**32 values is refused and cannot
overflow; a compressed file is refused before it is unpacked when its compressed size cannot hold what the
header promises.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from chainrule.base.errors import FileError
from chainrule.base.files.disk import first_line, opened
from chainrule.base.files.npy import fill, native

# Third byte of the magic number -> type of one value (Y. LeCun's description of the format).
value_types: dict[int, str] = {
    0x08: "uint8",
    0x09: "int8",
    0x0B: ">i2",
    0x0C: ">i4",
    0x0D: ">f4",
    0x0E: ">f8",
}
# Deflate packs at most 258 bytes into two bits, that is 1032:1; a header cannot promise more than that.
largest_deflate_ratio = 1032
largest_dimensions = 32


def load_idx(path: str | Path) -> np.ndarray[Any, Any]:
    """Read an IDX file, gzip-compressed or not (told by its first two bytes, not by its name).

    Returns an array of the shape the header states: uint8, int8, int16, int32, float32 or float64, in
    native byte order. Raises FileError when the file is missing, is no IDX file, is shorter or longer
    than its header says, or is empty.
    """
    path = Path(path)
    with opened(path) as (file, packed_size):
        compressed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not compressed:
            return read_values(file, path, packed_size, "file")
        try:
            with gzip.GzipFile(fileobj=file) as unpacked:
                return read_values(unpacked, path, packed_size * largest_deflate_ratio, "unpacked file")
        except (OSError, EOFError, zlib.error) as error:
            raise FileError(f"{path}: cannot be read ({first_line(error)})") from None


def read_values(
    file: BinaryIO | gzip.GzipFile, path: Path, most_bytes: int, what: str
) -> np.ndarray[Any, Any]:
    """Read header and values from an open file that can hold `most_bytes` at most."""
    dtype, shape, header_size = read_header(file, path)
    wanted = prod(shape) * dtype.itemsize
    if wanted == 0:
        raise FileError(f"{path}: the header says {sizes(shape)}, which is no value at all")
    promise = (
        f"{path}: the header says {sizes(shape)} values of {dtype.name}, {header_size + wanted} bytes in all"
    )
    if header_size + wanted > most_bytes:
        raise FileError(
            f"{promise}, but the {what} has at most {most_bytes}: it is cut short, or the header is damaged"
        )
    try:
        values = np.empty(wanted, np.uint8)
    except MemoryError:
        raise FileError(f"{promise}: that is more memory than there is") from None
    done = fill(file, values)
    if done < wanted:
        raise FileError(f"{promise}, but the {what} ends after {header_size + done}: it is cut short")
    if file.read(1):
        raise FileError(f"{promise}, but the {what} goes on: the header is damaged, or two files were joined")
    return native(values.view(dtype)).reshape(shape)


def read_header(file: BinaryIO | gzip.GzipFile, path: Path) -> tuple[np.dtype[Any], tuple[int, ...], int]:
    """Read magic number and sizes; returns the type of a value, the shape and the number of bytes read."""
    magic = file.read(4)
    if len(magic) < 4 or magic[0] != 0 or magic[1] != 0:
        raise FileError(
            f"{path}: not an IDX file (it starts with {magic.hex(' ') or 'nothing'}, IDX with 00 00)"
        )
    code, dimensions = magic[2], magic[3]
    if code not in value_types:
        known = ", ".join(f"0x{known:02x}" for known in value_types)
        raise FileError(f"{path}: IDX knows no value type 0x{code:02x}; its types are {known}")
    if not 1 <= dimensions <= largest_dimensions:
        raise FileError(
            f"{path}: the IDX header says {dimensions} dimensions; 1 to {largest_dimensions} are read"
        )
    packed = file.read(4 * dimensions)
    if len(packed) < 4 * dimensions:
        raise FileError(
            f"{path}: the IDX header is cut short: {dimensions} sizes need {4 * dimensions} bytes"
        )
    return np.dtype(value_types[code]), struct.unpack(f">{dimensions}I", packed), 4 + len(packed)


def sizes(shape: tuple[int, ...]) -> str:
    """A shape as people write it: 60000x28x28."""
    return "x".join(str(size) for size in shape)
