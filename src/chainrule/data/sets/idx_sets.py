"""Sets of images or vectors in pairs of IDX files, as MNIST and its many successors come: of any size and
number of classes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from chainrule.base.errors import FileError
from chainrule.base.types import Array
from chainrule.data.readers.idx import load_idx

_IMAGES = re.compile(r"images|idx[2-9]", re.IGNORECASE)
_TEST = re.compile(r"(^|[^a-z])(t10k|test|val|valid|validation)([^a-z]|$)", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class IdxSet:
    """X (N, ...) and y (N,) to train on, and those to test on where there are files of them."""

    X: Array
    y: Array
    X_test: Array | None = None
    y_test: Array | None = None


def load_idx_set(place: str | Path) -> IdxSet:
    """The set of a folder, or of one file of images with its labels beside it.

    A file of images has "images" in its name, that of its labels "labels" and one dimension ("idx1") in the
    same place; the pair to test on has "t10k", "test" or "val" in its names. Raises FileError with the files
    that are there where the pairs are not clear, or where images and labels differ in number.
    """
    place = Path(place)
    if place.is_file():
        return IdxSet(*_pair(place))
    pairs = [path for path in sorted(place.iterdir()) if path.is_file() and _is_images(path)]
    training = [path for path in pairs if not _TEST.search(path.name)]
    test = [path for path in pairs if _TEST.search(path.name)]
    if len(training) != 1 or len(test) > 1:
        shown = ", ".join(path.name for path in pairs) or "none"
        raise FileError(
            f"{place}: needs one IDX file of images to train on, and one to test on at most; it has {shown}: "
            "name the file to train on"
        )
    if not test:
        return IdxSet(*_pair(training[0]))
    chosen = IdxSet(*_pair(training[0]), *_pair(test[0]))
    assert chosen.X_test is not None
    if chosen.X.shape[1:] != chosen.X_test.shape[1:]:
        raise FileError(
            f"{place}: samples to train on have shape {chosen.X.shape[1:]}, those to test on "
            f"{chosen.X_test.shape[1:]}: the files do not belong together"
        )
    return chosen


def is_idx(path: Path) -> bool:
    """Whether a file's name is one of an IDX file's."""
    return re.search(r"idx[1-9]|ubyte", path.name, re.IGNORECASE) is not None


def _is_images(path: Path) -> bool:
    return is_idx(path) and _IMAGES.search(path.name) is not None and "idx1" not in path.name.lower()


def _pair(images: Path) -> tuple[Array, Array]:
    """The samples of a file and their labels from the file beside it."""
    stem = re.sub(r"images", "labels", images.name, flags=re.IGNORECASE)
    stem = re.sub(r"idx[2-9]", "idx1", stem, flags=re.IGNORECASE)
    names = {stem, f"{stem}.gz", stem.removesuffix(".gz")}
    beside = (images.with_name(name) for name in sorted(names))
    labels = next((path for path in beside if path.is_file()), None)
    if labels is None or labels == images:
        shown = " or ".join(sorted(names))
        raise FileError(f"{images}: its labels are not beside it, in a file called {shown}")
    X, y = load_idx(images), load_idx(labels)
    if y.ndim != 1 or len(X) != len(y):
        raise FileError(
            f"{labels}: has the shape {y.shape}, but {images.name} has {len(X):,} samples: give one label "
            "each"
        )
    return X, y
