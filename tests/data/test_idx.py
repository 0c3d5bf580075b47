"""IDX files: every value type, and headers that lie."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from chainrule.base.errors import FileError
from chainrule.data import load_idx

values = {
    0x08: np.array([[0, 1, 255]], np.uint8),
    0x09: np.array([-128, 0, 127], np.int8),
    0x0B: np.array([[-32768], [32767]], ">i2"),
    0x0C: np.array([-(2**31), 2**31 - 1], ">i4"),
    0x0D: np.array([[[1.5, -2.25]]], ">f4"),
    0x0E: np.array([np.pi, 1e300], ">f8"),
}


def idx_bytes(array: np.ndarray, code: int = 0x08) -> bytes:
    return bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("code", values)
def test_every_value_type(tmp_path: Path, code: int, compressed: bool) -> None:
    path = tmp_path / "values"
    data = idx_bytes(values[code], code)
    path.write_bytes(gzip.compress(data) if compressed else data)
    read = load_idx(path)
    np.testing.assert_array_equal(read, values[code])
    assert read.shape == values[code].shape
    assert read.dtype == values[code].dtype.newbyteorder("=")
    assert read.flags.writeable


good = idx_bytes(np.arange(24, dtype=np.uint8).reshape(2, 3, 4))
malformed = {
    "empty": (b"", "not an IDX file"),
    "text": (b"hello world", "not an IDX file"),
    "unknown type": (b"\0\0\x0a\x01\0\0\0\x01\0", "no value type 0x0a"),
    "no dimension": (b"\0\0\x08\0", "0 dimensions"),
    "many dimensions": (b"\0\0\x08\xff" + b"\0\0\0\x01" * 255 + b"\0", "255 dimensions"),
    "header cut short": (good[:10], "header is cut short"),
    "values cut short": (good[:-1], "cut short"),
    "one byte too many": (good + b"\0", "goes on"),
    "no values": (b"\0\0\x08\x02\0\0\0\0\0\0\0\x05", "no value at all"),
    "sizes whose product overflows 64 bits": (
        b"\0\0\x08\x03" + b"\xff\xff\xff\xff" * 3 + b"\0" * 64,
        "at most 80",
    ),
    "sizes whose product is 2**32": (b"\0\0\x08\x02\0\x01\0\0\0\x01\0\0" + b"\0" * 64, "65536x65536"),
}


@pytest.mark.parametrize("name", malformed)
@pytest.mark.parametrize("compressed", [False, True])
def test_malformed_file_is_refused(tmp_path: Path, name: str, compressed: bool) -> None:
    data, reason = malformed[name]
    path = tmp_path / "bad.idx"
    path.write_bytes(gzip.compress(data) if compressed else data)
    if compressed and "2**" not in name and "overflows" not in name:
        reason = reason.replace("at most", "")
    with pytest.raises(FileError, match=reason if not compressed else "bad.idx") as caught:
        load_idx(path)
    assert str(path) in str(caught.value)


def test_compressed_file_that_promises_too_much_is_refused_before_unpacking(tmp_path: Path) -> None:
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(b"\0\0\x08\x02" + struct.pack(">2I", 2**31, 2**31) + b"\0" * 1000))
    with pytest.raises(FileError, match="at most"):
        load_idx(path)


@pytest.mark.parametrize("kept", [5, 20, -9, -1])
def test_truncated_gzip_is_refused(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "cut.gz"
    path.write_bytes(gzip.compress(good)[:kept])
    with pytest.raises(FileError, match=r"cut\.gz"):
        load_idx(path)


def test_damaged_gzip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "damaged.gz"
    packed = bytearray(gzip.compress(good))
    packed[-6] ^= 0xFF  # the checksum at the end
    path.write_bytes(packed)
    with pytest.raises(FileError, match="cannot be read"):
        load_idx(path)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no such file"):
        load_idx(tmp_path / "nothing")
    with pytest.raises(FileError, match="cannot be read"):
        load_idx(tmp_path)
