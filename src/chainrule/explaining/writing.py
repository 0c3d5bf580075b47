"""Files of a report: each is written as a whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from chainrule.errors import FileError
from chainrule.files import write_whole

PathLike = str | os.PathLike[str]


def write_text(text: str, path: PathLike) -> None:
    """The text as a file, in UTF-8; what was there stays until all of it is written.

    Raises FileError that names the file and the reason.
    """
    target = _checked(path)
    content = text.encode("utf-8", "backslashreplace")  # a lone surrogate has no bytes; JSON has the escape
    write_whole(target, lambda stream: stream.write(content))


def write_with_pictures(text: str, path: PathLike, pictures: Mapping[str, str], folder: str) -> None:
    """The text, and its pictures in a folder beside it, which is made where it is missing; the text last.

    Raises FileError as `write_text` does.
    """
    place = _checked(path).parent / folder
    if pictures:
        try:
            place.mkdir(exist_ok=True)
        except OSError as error:
            raise FileError(f"{place}: cannot be made ({error.strerror or error})") from error
        for name, drawing in pictures.items():
            write_text(drawing, place / name)
    write_text(text, path)


def _checked(path: PathLike) -> Path:
    """The path, if a file may stand there."""
    target = Path(path)
    if not target.name or "\0" in str(target):
        raise FileError(f"{str(path)!r}: not written, this is no name of a file")
    if not target.parent.is_dir():
        raise FileError(f"{target}: not written, there is no folder {target.parent}: make it first")
    if target.is_dir():
        raise FileError(f"{target}: not written, this is a folder")
    return target
