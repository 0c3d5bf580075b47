"""Holding samples out."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.base.errors import DataError, describe
from chainrule.base.scalars import check_count, check_flag, finite_number
from chainrule.base.types import Array
from chainrule.data.arrays import one_column, plain_array
from chainrule.data.frames import Frame


def split(
    X: Any, y: Any, fraction: float = 0.2, *, seed: int = 0, stratify: bool = False
) -> tuple[Any, Any, Any, Any]:
    """X_train, X_test, y_train, y_test: a random `fraction` of the samples is held out.

    `stratify=True` takes the fraction from every class of y (N,) separately, so that both parts hold the
    classes in the same proportions; a class with a single sample stays in the training part. Same seed,
    same split. round(N * fraction) samples are held out, at least one; both parts are returned in random
    order. A data frame stays one, with its rows; arrays of anything else are returned. Raises DataError when
    X and y differ in length or when a part would be empty.
    """
    X, y = rows_taken(X, "X"), rows_taken(y, "y")
    labels = plain_array(one_column(y), "y")
    if not (labels.ndim and (not isinstance(X, np.ndarray) or X.ndim)):
        raise DataError("split takes arrays with a sample in every row, X and y")
    seed, stratify = check_count("seed", seed, 0, np.inf), check_flag("stratify", stratify)
    if len(X) != len(y):
        raise DataError(f"X has {len(X)} samples but y has {len(y)}: give one target per sample")
    if not (finite_number(fraction) and 0.0 < fraction < 1.0):
        shown = describe(fraction)
        raise DataError(f"fraction is {shown}: write a number between 0 and 1, such as 0.2 for a fifth")
    if len(y) < 2:
        raise DataError(f"{len(y)} sample cannot be split into two parts: give at least 2")
    held_out = min(max(round(len(y) * fraction), 1), len(y) - 1)
    rng = np.random.default_rng(seed)
    test = stratified_choice(labels, held_out, rng) if stratify else rng.permutation(len(y))[:held_out]
    chosen = np.zeros(len(y), dtype=bool)
    chosen[test] = True
    train = rng.permutation(np.flatnonzero(~chosen))
    return take(X, train), take(X, test), take(y, train), take(y, test)


def rows_taken(value: Any, argument: str) -> Any:
    """What rows can be taken of: frames as they are, what read_table returned as its frame, else an array."""
    if isinstance(getattr(value, "frame", None), Frame):
        return value.frame
    frame = hasattr(value, "columns") or hasattr(value, "column_names")
    return value if isinstance(value, Frame) or frame else plain_array(value, argument)


def take(value: Any, rows: Array) -> Any:
    """Some rows of an array or a frame of any library, in this order."""
    if hasattr(value, "iloc"):
        return value.iloc[rows]
    if hasattr(value, "column_names"):  # of Arrow
        return value.take(rows)
    return value[rows]


def stratified_choice(labels: Array, held_out: int, rng: np.random.Generator) -> Array:
    """Indices of `held_out` samples, every class in its proportion (rounded by largest remainders)."""
    if labels.ndim != 1:
        raise DataError(f"stratify needs one label per sample, y (N,), but y has shape {labels.shape}")
    _, members, counts = np.unique(labels, return_inverse=True, return_counts=True)
    exact = counts * (held_out / len(labels))
    takes = np.minimum(np.floor(exact).astype(int), counts - 1)
    for index in np.argsort(takes - exact, kind="stable"):  # the largest remainder first
        if takes.sum() >= held_out:
            break
        takes[index] += takes[index] < counts[index] - 1
    chosen = [rng.permutation(np.flatnonzero(members == index))[:take] for index, take in enumerate(takes)]
    test = np.concatenate(chosen)
    if len(test) == 0:
        raise DataError("every class has a single sample: none can be held out with stratify=True")
    return rng.permutation(test)
