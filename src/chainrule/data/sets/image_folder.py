"""Folders of images, a folder per class, read by Pillow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.base.errors import DataError, FileError, MissingExtraError
from chainrule.base.types import Array

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm")
_EXTRA = ("Pillow", "images", "images from files")
_GREY = ("1", "L", "I;16", "I", "F", "LA")


def load_image_folder(
    folder: str | Path,
    *,
    size: tuple[int, int] | None = None,
    channels: int | None = None,
    least_classes: int = 2,
) -> tuple[Array, Array, list[Path]]:
    """X (N, H, W, C) uint8, y (N,) the names of the folders, and the files, of FOLDER/CLASS/image.

    size: (H, W) to which every image is brought; without it all must have one. channels: 1 grey, 3 colours;
    without it 1 where all images are grey. What begins with a point is passed over. Raises FileError that
    names the file and what to write, and MissingExtraError without Pillow.
    """
    folder = Path(folder)
    classes = class_folders(folder)
    if len(classes) < least_classes:
        shown = ", ".join(entry.name for entry in classes) or "none"
        raise FileError(
            f"{folder}: needs a folder of images for every class, at least {least_classes}; folders with "
            f"images: {shown}"
        )
    files = [path for entry in classes for path in images_in(entry)]
    labels = np.array([path.parent.name for path in files])
    return load_images(files, size=size, channels=channels), labels, files


def class_folders(folder: Path) -> list[Path]:
    """The folders in it that hold images, by name."""
    return [entry for entry in _seen(folder) if entry.is_dir() and images_in(entry)]


def images_in(folder: Path) -> list[Path]:
    """The images of a folder, by name."""
    return [path for path in _seen(folder) if path.suffix.lower() in SUFFIXES and path.is_file()]


def images_not_read(folder: Path, read: Sequence[Path]) -> list[Path]:
    """The images anywhere below a folder that are not among those read."""
    known = set(read)
    below = [entry for entry in _seen(folder) if entry.is_dir() and not entry.is_symlink()]
    rest = [path for path in images_in(folder) if path not in known]
    return [*rest, *(path for entry in below for path in images_not_read(entry, read))]


def _seen(folder: Path) -> list[Path]:
    """What a folder shows, by name: not .ipynb_checkpoints, ._01.png, nor what macOS puts into archives."""
    entries = sorted(folder.iterdir())
    return [entry for entry in entries if not entry.name.startswith(".") and entry.name != "__MACOSX"]


def load_images(
    files: Sequence[Path], *, size: tuple[int, int] | None = None, channels: int | None = None
) -> Array:
    """(N, H, W, C) uint8; arguments and errors as for `load_image_folder`."""
    if not files:
        raise FileError(f"no images: their names end in {', '.join(SUFFIXES)}")
    pictures = [_opened(path) for path in files]
    if channels is None:
        channels = 1 if all(picture.mode in _GREY for picture in pictures) else 3
    if channels not in (1, 3):
        raise DataError(f"channels is {channels}: images have 1 (grey) or 3 (colours)")
    if size is None:
        shape = (pictures[0].height, pictures[0].width)
        for path, picture in zip(files, pictures, strict=True):
            if (picture.height, picture.width) != shape:
                raise FileError(
                    f"{path}: has {picture.height} x {picture.width} pixels, {files[0].name} {shape[0]} x "
                    f"{shape[1]}: bring all to one size, --size {shape[0]}x{shape[1]}, or size=({shape[0]}, "
                    f"{shape[1]})"
                )
    arrays = [_pixels(path, picture, size, channels) for path, picture in zip(files, pictures, strict=True)]
    return np.stack(arrays)


def _opened(path: Path) -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise MissingExtraError(*_EXTRA) from None
    try:
        with Image.open(path) as picture:
            picture.load()
            return picture
    except Exception as error:  # Pillow's own kinds, by format
        raise FileError(f"{path}: is no image that can be read ({error})") from None


def _pixels(path: Path, picture: Any, size: tuple[int, int] | None, channels: int) -> Array:
    if picture.mode in ("I;16", "I", "F"):
        raise FileError(
            f"{path}: has pixels of mode {picture.mode}, more than 0 to 255: save it with 8 bits each"
        )
    transparent = "transparency" in picture.info or picture.mode in ("PA", "LA")
    made = picture.convert("RGBA") if transparent else picture
    if made.mode == "RGBA":  # what is behind a transparent image is white, as viewers show it
        from PIL import Image

        ground = Image.new("RGBA", made.size, (255, 255, 255, 255))
        made = Image.alpha_composite(ground, made)
    made = made.convert("L" if channels == 1 else "RGB")
    if size is not None:
        made = made.resize((size[1], size[0]))
    return np.asarray(made, dtype=np.uint8).reshape(made.height, made.width, channels)
