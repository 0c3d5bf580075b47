"""Sealed files: arrays and a JSON description that holds a SHA-256 of each, and one of itself.

What is read is what was written, or FileError says which part is not.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.base.errors import FileError
from chainrule.base.files.containers import KEY, Contents, strict_json
from chainrule.base.types import Array

SEAL = "sha256"  # of the description without this entry


def sha256(array: Array) -> str:
    """Of the numbers in C order, little-endian, whatever the machine."""
    import hashlib

    stored = np.asarray(array, array.dtype.newbyteorder("<"), order="C")
    return hashlib.sha256(stored.reshape(-1).view(np.uint8).data).hexdigest()


def seal(description: Mapping[str, Any]) -> str:
    """SHA-256 of all entries but the seal, in their order, as JSON in ASCII."""
    import hashlib

    plain = {key: value for key, value in description.items() if key != SEAL}
    return hashlib.sha256(json.dumps(plain).encode("ascii")).hexdigest()


def sealed_text(description: Mapping[str, Any]) -> str:
    """The description as JSON, with its seal: that of the values, not of the text."""
    sealed = {**description, SEAL: seal(description)}
    text = json.dumps(sealed, ensure_ascii=False)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # half a surrogate pair, in a class's name say, has no UTF-8 but an escape
        return json.dumps(sealed)
    return text


def parsed(text: str, source: Path) -> dict[str, Any]:
    """A description; FileError where it is none. Its seal is looked at by `check_seal`."""
    try:
        description = strict_json(text)
    except (ValueError, RecursionError) as error:
        raise FileError(f"{source}: its description is damaged ({error})") from error
    return description if isinstance(description, dict) else {}


def check_version(description: Mapping[str, Any], known: int, source: Path) -> None:
    """FileError for a version of the format that this program does not read."""
    version = description.get("version")
    if version != known:
        newer = isinstance(version, int) and version > known
        raise FileError(
            f"{source}: has the format version {version!r}, this chainrule reads {known}"
            + ("; a newer chainrule reads it" if newer else "")
        )


def check_seal(description: Mapping[str, Any], source: Path) -> None:
    """FileError unless the description is what was written."""
    try:
        right = seal(description)
    except RecursionError as error:
        raise FileError(f"{source}: its description is damaged (it is nested too deep)") from error
    if right != description.get(SEAL):
        raise FileError(f"{source}: its description is damaged: its SHA-256 is not the stated one")


def checked_array(contents: Contents, name: str, record: Any, dtype: str | None, source: Path) -> Array:
    """An array, with the shape, dtype and SHA-256 that its record states.

    dtype: of arrays whose record has none of their own.
    """
    if name not in contents.arrays:
        raise FileError(f"{source}: the array {name!r} is missing")
    fields: dict[str, Any] = record if isinstance(record, dict) else {}
    shape, dtype = fields.get("shape"), fields.get("dtype", dtype)
    if not isinstance(shape, list):
        raise FileError(f"{source}: its description is damaged ('shape' is {shape!r})")
    present = contents.arrays[name]
    if present != (tuple(shape), dtype):  # compared before anything of that size is read
        raise FileError(
            f"{source}: the array {name!r} is {present[1]} {present[0]}, its description says "
            f"{dtype} {tuple(shape)}"
        )
    array = contents.read(name)
    if sha256(array) != fields.get("sha256"):
        raise FileError(f"{source}: the array {name!r} is damaged: its SHA-256 is not the stated one")
    return array


def check_named(contents: Contents, names: Iterable[str], source: Path) -> None:
    """FileError where a file holds an array that its description does not name."""
    named = set(names)
    for name in contents.arrays:
        if name not in named:
            raise FileError(f"{source}: holds the array {name!r}, which its description does not name")


def write_npz(
    stream: Any, arrays: Mapping[str, Array], description: str, *, as_bytes: bool = False
) -> None:
    """The description and the arrays as an .npz, which needs NumPy alone.

    as_bytes: the description in UTF-8, not as a text of NumPy's, which takes four bytes a letter.
    """
    text = np.frombuffer(description.encode(), np.uint8) if as_bytes else np.array(description)
    entries: dict[str, Any] = {KEY: text, **arrays}
    np.savez(stream, **entries)
