"""The two formats of a model file, .safetensors and .npz: opened once, and read no further than they reach.

Nothing is allocated for a length that the file itself does not have.  `Network.save` writes its arrays as
they are, so compressed members, which could unpack to anything, are refused.
"""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Any, NoReturn, TypeGuard

import numpy as np

from chainrule.base.errors import FileError
from chainrule.base.files.disk import first_line, opened
from chainrule.base.files.npy import Header, fill, native, read_header, read_values
from chainrule.base.types import Array

KEY = "chainrule"  # of the description: in the header of .safetensors, as an array of .npz
_LONGEST_HEADER = 100_000_000  # of .safetensors, by its definition
_TYPES: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F64": np.dtype("<f8")}


@dataclass(frozen=True)
class Contents:
    """An open model file: its description, the shapes and dtypes it says its arrays have, how to read one."""

    description: str | None
    arrays: Mapping[str, tuple[tuple[int, ...], str]]
    read: Callable[[str], Array]


@contextmanager
def open_container(source: Path) -> Iterator[Contents]:
    """What a model file holds, not read yet.  Raises FileError where it is none, or is damaged."""
    reader = _readers.get(source.suffix)
    if reader is None:
        raise FileError(f"{source}: a model file ends in .safetensors or .npz")
    with opened(source) as (stream, size):
        try:
            contents = reader(stream, size)
        except FileError as error:
            raise FileError(f"{source}: {error}") from None
        except Exception as error:  # zipfile and the headers' own mistakes are of a dozen kinds
            what = f"is damaged or no {source.suffix} file"
            raise FileError(f"{source}: {what} ({first_line(error)})") from error

        def read(name: str) -> Array:
            try:
                return contents.read(name)
            except Exception as error:
                what = f"the array {name!r} cannot be read"
                raise FileError(f"{source}: {what} ({first_line(error)})") from error

        yield Contents(contents.description, contents.arrays, read)


def strict_json(text: str | bytes) -> Any:
    """JSON with one value for a key, and no number that is none or has thousands of digits.

    Raises ValueError, and RecursionError where it is nested too deep.
    """
    return json.loads(
        text,
        object_pairs_hook=_without_twins,
        parse_constant=_no_number,
        parse_float=_finite,
        parse_int=_printable,
    )


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries: dict[str, Any] = {}
    for name, value in pairs:
        if name in entries:
            raise ValueError(f"{name!r} stands in it twice")
        entries[name] = value
    return entries


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]} is no finite number")
    return value


def _printable(text: str) -> int:
    if len(text) > 1000:  # Python itself refuses to read more than 4,300, and advises to change its limit
        raise ValueError(f"it holds an integer of {len(text):,} digits")
    return int(text)


# -- .npz ---------------------------------------------------------------------------------------------------
def _open_npz(stream: IO[bytes], size: int) -> Contents:
    if stream.read(2) != b"PK":  # what begins otherwise may be an .npy or a pickle
        raise FileError("is no .npz file")
    stream.seek(0)
    archive = zipfile.ZipFile(stream)
    members: dict[str, zipfile.ZipInfo] = {}
    headers: dict[str, Header] = {}
    for member in archive.infolist():
        name = member.filename.removesuffix(".npy")
        _check_member(member, name)
        if name in members:
            raise ValueError(f"it holds {name!r} twice")
        members[name] = member
        with archive.open(member) as opened_member:
            try:
                headers[name] = read_header(opened_member)
            except ValueError as error:
                said = "holds Python objects" if "Python objects" in str(error) else f"is no array: {error}"
                raise ValueError(f"{name} {said}") from None
        if headers[name].whole != member.file_size:
            raise ValueError(f"{name} has another length than its header says")
    if sum(member.file_size for member in members.values()) > size:
        raise ValueError("its members overlap")

    def read(name: str) -> Array:
        with archive.open(members[name]) as opened_member:
            return read_values(opened_member, read_header(opened_member))

    text = headers.pop(KEY, None)
    arrays = {name: (header.shape, header.dtype.name) for name, header in headers.items()}
    described = None
    if text is not None and text.shape == () and text.dtype.kind == "U":
        described = str(read(KEY))
    elif text is not None and len(text.shape) == 1 and text.dtype == np.uint8:  # a quarter of the bytes
        described = read(KEY).tobytes().decode("utf-8")
    return Contents(described, arrays, read)


def _check_member(member: zipfile.ZipInfo, name: str) -> None:
    """As `save` writes it: an array, not compressed, of a length that stands before it."""
    if not member.filename.endswith(".npy"):
        raise ValueError(f"{name} is no array")
    if member.compress_type != zipfile.ZIP_STORED:
        said = "is compressed, which Network.save does not do: it is not unpacked"
        raise FileError(f"its array {name!r} {said}")
    if member.flag_bits & 0x09 or member.compress_size != member.file_size:  # encrypted, length not declared
        raise ValueError(f"{name} does not say how long it is")


# -- .safetensors -------------------------------------------------------------------------------------------
def _open_safetensors(stream: IO[bytes], size: int) -> Contents:
    length = int.from_bytes(stream.read(8), "little")
    if size < 8 or length > min(size - 8, _LONGEST_HEADER):
        raise ValueError(f"it has {size:,} bytes, and its header would have {length:,}")
    start = 8 + length
    header = strict_json(stream.read(length).decode("utf-8"))
    if not isinstance(header, dict):
        raise ValueError("its header is no JSON object")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not isinstance(metadata.get(KEY), str | None):
        raise ValueError("its metadata is no object of texts")
    entries = {name: _entry(name, record, size - start) for name, record in header.items()}
    end = 0
    for name, (_, _, first, last) in sorted(entries.items(), key=lambda entry: entry[1][2:]):
        if first != end:
            raise ValueError(f"the array {name!r} does not begin where the one before it ends")
        end = last
    if end != size - start:
        raise ValueError(f"its arrays have {end:,} bytes, and {size - start:,} follow its header")

    def read(name: str) -> Array:
        shape, kind, first, last = entries[name]
        raw = np.empty(last - first, np.uint8)
        stream.seek(start + first)
        if fill(stream, raw) < len(raw):
            raise EOFError("the file became shorter while it was read")
        return native(raw.view(_TYPES[kind])).reshape(shape)

    arrays = {
        name: (shape, _TYPES[kind].name if kind in _TYPES else kind)
        for name, (shape, kind, _, _) in entries.items()
    }
    return Contents(metadata.get(KEY), arrays, read)


def _entry(name: str, record: Any, most: int) -> tuple[tuple[int, ...], str, int, int]:
    """Shape, type, first byte and end of an array, from its record in the header."""
    fields: dict[str, Any] = record if isinstance(record, dict) else {}
    kind, shape, offsets = (fields.get(key) for key in ("dtype", "shape", "data_offsets"))
    if isinstance(kind, str) and _sizes(shape) and _sizes(offsets) and len(fields) == 3 and len(offsets) == 2:
        first, last = offsets
        wanted = prod(shape) * _TYPES[kind].itemsize if kind in _TYPES else last - first
        if first <= last <= most and last - first == wanted:
            return tuple(shape), kind, first, last
    raise ValueError(f"the record of the array {name!r} is damaged")


def _sizes(value: Any) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(type(entry) is int and entry >= 0 for entry in value)


_readers = {".npz": _open_npz, ".safetensors": _open_safetensors}
