"""scikit-learn's bundled handwritten digits: 1 797 images of 8x8 pixels, no network needed."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from chainrule.base.errors import MissingExtraError
from chainrule.base.types import Array


def load_digits() -> tuple[Array, Array]:
    """X (1797, 8, 8, 1) float32 in [0, 1], the pixels 0 to 16 divided by 16, and y (1797,) int64.

    Raises MissingExtraError where scikit-learn is not installed.
    """
    file = _installed_file()
    if file is not None:
        table = np.loadtxt(file, delimiter=",", dtype=np.float64)
        pixels, labels = table[:, :-1], table[:, -1]
    else:
        try:
            from sklearn.datasets import load_digits as bundled
        except ImportError:
            raise MissingExtraError("scikit-learn", "digits", "the digits data set") from None
        pixels, labels = bundled(return_X_y=True)
    return (pixels.reshape(-1, 8, 8, 1) / 16.0).astype(np.float32), labels.astype(np.int64)


def _installed_file() -> Path | None:
    """The data in the installed scikit-learn, if it lies where it has lain since its version 0.10.

    Importing sklearn.datasets brings SciPy's statistics and pandas, 1.8 s of processor time for a file
    that is read in 0.02 s; so that is left to installations which keep their files elsewhere.
    """
    if "sklearn" in sys.modules and sys.modules["sklearn"] is None:
        return None
    found = find_spec("sklearn")
    if found is None or found.origin is None:
        return None
    file = Path(found.origin).parent / "datasets" / "data" / "digits.csv.gz"
    return file if file.is_file() else None
