"""Reports with pictures: the files are written one by one, each as a whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from chainrule.base.errors import FileError
from chainrule.base.files.disk import PathLike, check_writable, write_text


def write_with_pictures(text: str, path: PathLike, pictures: Mapping[str, str], folder: str) -> None:
    """The text, and its pictures in a folder beside it, which is made where it is missing; the text last.

    Raises FileError that names the file and the reason.
    """
    if pictures:
        check_writable(path)
        place = Path(path).parent / folder
        try:
            place.mkdir(exist_ok=True)
        except OSError as error:
            raise FileError(f"{place}: cannot be made ({error.strerror or error})") from error
        for name, drawing in pictures.items():
            write_text(place / name, drawing)
    write_text(path, text)
