"""scikit-learn's bundled handwritten digits: 1 797 images of 8x8 pixels, no network needed."""

from __future__ import annotations

import numpy as np

from chainrule.base.errors import MissingExtraError
from chainrule.base.types import Array


def load_digits() -> tuple[Array, Array]:
    """X (1797, 8, 8, 1) float32 in [0, 1], the pixels 0 to 16 divided by 16, and y (1797,) int64.

    Raises MissingExtraError where scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits as bundled
    except ImportError:
        raise MissingExtraError("scikit-learn", "digits", "the digits data set") from None
    pixels, labels = bundled(return_X_y=True)
    return (pixels.reshape(-1, 8, 8, 1) / 16.0).astype(np.float32), labels.astype(np.int64)
