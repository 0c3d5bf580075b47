"""Holding samples out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from chainrule.base.errors import DataError, describe
from chainrule.base.keywords import teach
from chainrule.base.scalars import check_count, check_flag, finite_number
from chainrule.base.types import Array
from chainrule.data.arrays import one_column, plain_array
from chainrule.data.frames import Frame


@teach("split(X, y, 0.2, seed=0)")
def split(
    X: Any, y: Any, fraction: float = 0.2, *, seed: int = 0, stratify: bool = False
) -> tuple[Any, Any, Any, Any]:
    """X_train, X_test, y_train, y_test: a random `fraction` of the samples is held out.

    `stratify=True` takes the fraction from every class of y (N,) separately, so that both parts hold the
    classes in the same proportions; a class with a single sample stays in the training part. Same seed,
    same split. round(N * fraction) samples are held out, at least one; both parts are returned in random
    order. A data frame stays one, with its rows, and so does a {name: array} of columns, inputs or outputs;
    arrays of anything else are returned. Raises DataError when X and y differ in length or when a part would
    be empty.
    """
    X, y = rows_taken(X, "X"), rows_taken(y, "y")
    labels: Any = y if isinstance(y, Mapping) else plain_array(one_column(y), "y")
    seed, stratify = check_count("seed", seed, 0, np.inf), check_flag("stratify", stratify)
    if stratify and isinstance(y, Mapping):
        raise DataError("stratify=True needs one label per sample, y (N,), and y is by output: leave it out")
    samples = _samples(labels, "y")
    if _samples(X, "X") != samples:
        raise DataError(f"X has {_samples(X, 'X')} samples but y has {samples}: give one target per sample")
    if not (finite_number(fraction) and 0.0 < fraction < 1.0):
        shown = describe(fraction)
        raise DataError(f"fraction is {shown}: write a number between 0 and 1, such as 0.2 for a fifth")
    if samples < 2:
        raise DataError(f"{samples} sample cannot be split into two parts: give at least 2")
    held_out = min(max(round(samples * fraction), 1), samples - 1)
    rng = np.random.default_rng(seed)
    test = stratified_choice(labels, held_out, rng) if stratify else rng.permutation(samples)[:held_out]
    chosen = np.zeros(samples, dtype=bool)
    chosen[test] = True
    train = rng.permutation(np.flatnonzero(~chosen))
    return take(X, train), take(X, test), take(y, train), take(y, test)


def rows_taken(value: Any, argument: str) -> Any:
    """What rows can be taken of: frames as they are, what read_table returned as its frame, arrays by name,
    or else an array.
    """
    if isinstance(value, Mapping):
        return {name: plain_array(one, f"{argument}[{name!r}]") for name, one in value.items()}
    if isinstance(getattr(value, "frame", None), Frame):
        return value.frame
    frame = hasattr(value, "columns") or hasattr(value, "column_names")
    return value if isinstance(value, Frame) or frame else plain_array(value, argument)


def _samples(value: Any, argument: str) -> int:
    """How many rows there are; DataError where there are none to speak of."""
    arrays = list(value.values()) if isinstance(value, Mapping) else [value]
    if not arrays or any(isinstance(one, np.ndarray) and not one.ndim for one in arrays):
        raise DataError("split takes arrays with a sample in every row, X and y")
    if len({len(one) for one in arrays}) > 1:
        lengths = {name: len(one) for name, one in value.items()}
        raise DataError(f"the arrays of {argument} must have one length, received {lengths}")
    return len(arrays[0])


def take(value: Any, rows: Array) -> Any:
    """Some rows of an array, of arrays by name or of a frame of any library, in this order."""
    if isinstance(value, Mapping):
        return {name: one[rows] for name, one in value.items()}
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
