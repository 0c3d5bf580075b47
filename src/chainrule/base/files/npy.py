"""NumPy's array format from an open stream: a header, and the values behind it.  Nothing is evaluated or
unpickled, and no memory is taken for what a header promises before it is there.

All that is wrong raises ValueError, or what the stream raises; who knows the file says which it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import prod
from typing import Any, Protocol

import numpy as np

from chainrule.base.types import Array

_MAGIC = b"\x93NUMPY"
_LONGEST_HEADER = 10_000  # NumPy's own limit; its headers of plain arrays have some 120 bytes
_PIECE = 2**20
_ENTRY = re.compile(
    r"""\s* (?P<quote>['"]) (?P<key>\w+) (?P=quote) \s* : \s*
    (?: (?P<flag>True|False) | ['"] (?P<type>[^'"]*) ['"] | \( (?P<shape>[\s\d,]*) \) )
    \s* (?: , | $ )""",
    re.VERBOSE,
)
_TYPE = re.compile(r"[<>|=]?[?bBiufcSUmMO]\d{0,9}(?:\[\w+\])?")


class Readable(Protocol):
    """A stream of bytes: a file, a member of an archive, an unpacked file."""

    def read(self, size: int = ..., /) -> bytes: ...


@dataclass(frozen=True)
class Header:
    """What a stream says it holds: an array of this shape and dtype, `size` bytes of header before it."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool
    size: int

    @property
    def whole(self) -> int:
        """Bytes of header and values together; Python's integers, which do not overflow."""
        return self.size + prod(self.shape) * self.dtype.itemsize


def read_header(stream: Readable) -> Header:
    """The header that a stream begins with.  ValueError for what is none, and for arrays of objects."""
    start = stream.read(8)
    if start[:6] != _MAGIC or len(start) < 8:
        raise ValueError(f"it starts with {start[:6].hex(' ') or 'nothing'}, an array with {_MAGIC.hex(' ')}")
    if start[6] not in (1, 2, 3):
        raise ValueError(f"NumPy's format has no version {start[6]}")
    counted = stream.read(2 if start[6] == 1 else 4)
    length = int.from_bytes(counted, "little")
    if length > _LONGEST_HEADER:
        raise ValueError(f"its header would have {length:,} bytes, and that of an array has a hundred")
    text = stream.read(length)
    if len(text) < length:
        raise ValueError("it ends within its header")
    return Header(*_parsed(text.decode("latin-1")), 8 + len(counted) + length)


def read_values(stream: Readable, header: Header) -> Array:
    """The array behind a header, in this machine's byte order.  EOFError where the stream ends before."""
    raw = np.empty(header.whole - header.size, np.uint8)
    done = fill(stream, raw)
    if done < len(raw):
        raise EOFError(f"it ends after {done:,} of {len(raw):,} bytes of values")
    array = native(raw.view(header.dtype))
    return array.reshape(header.shape[::-1]).T if header.fortran else array.reshape(header.shape)


def fill(stream: Readable, raw: Array) -> int:
    """Read bytes into an array of bytes until it is full or the stream ends; how many there were.

    Memory is touched as the stream fills it: a promise of more than there is costs nothing.
    """
    done = 0
    while done < len(raw):
        piece = stream.read(min(_PIECE, len(raw) - done))
        if not piece:
            break
        raw[done : done + len(piece)] = np.frombuffer(piece, np.uint8)
        done += len(piece)
    return done


def native(array: Array) -> Array:
    """The array in this machine's byte order, numbers in place."""
    if array.dtype.isnative:
        return array
    if array.dtype.kind == "U":
        return array.astype(array.dtype.newbyteorder("="))
    return array.byteswap(inplace=True).view(array.dtype.newbyteorder("="))


def _parsed(text: str) -> tuple[tuple[int, ...], np.dtype[Any], bool]:
    """Shape, dtype and order of {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }."""
    inside = re.fullmatch(r"\s*\{(.*)\}\s*", text, re.DOTALL)
    fields: dict[str, str] = {}
    place = 0
    while inside is not None and inside[1][place:].strip():
        entry = _ENTRY.match(inside[1], place)
        if entry is None or entry["key"] in fields:
            break
        values = entry.group("flag", "type", "shape")
        fields[entry["key"]] = next(value for value in values if value is not None)
        place = entry.end()
    else:
        if fields.keys() == {"descr", "fortran_order", "shape"} and _TYPE.fullmatch(fields["descr"]):
            return _shape(fields["shape"]), _dtype(fields["descr"]), fields["fortran_order"] == "True"
    raise ValueError("its header is not that of one array of numbers or texts")


def _dtype(text: str) -> np.dtype[Any]:
    try:
        dtype = np.dtype(text)
    except TypeError as error:
        raise ValueError(str(error)) from None
    if dtype.hasobject:
        raise ValueError("it holds Python objects")
    if not dtype.itemsize:
        raise ValueError("its entries have no bytes")
    return dtype


def _shape(text: str) -> tuple[int, ...]:
    words = [word.strip() for word in text.split(",")]
    sizes = words[:-1] if not words[-1] else words
    if not all(word.isdecimal() and len(word) < 20 for word in sizes):
        raise ValueError(f"its shape is ({text.strip()[:40]})")
    return tuple(int(word) for word in sizes)
