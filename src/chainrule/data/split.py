"""Holding samples out, and features brought to one scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.base.errors import DataError, NonFiniteError, describe
from chainrule.base.scalars import check_count, check_flag, finite_number
from chainrule.base.types import Array
from chainrule.data.arrays import all_finite, first_nonfinite, plain_array


def split(
    X: Array, y: Array, fraction: float = 0.2, *, seed: int = 0, stratify: bool = False
) -> tuple[Array, Array, Array, Array]:
    """X_train, X_test, y_train, y_test: a random `fraction` of the samples is held out.

    `stratify=True` takes the fraction from every class of y (N,) separately, so that both parts hold the
    classes in the same proportions; a class with a single sample stays in the training part. Same seed,
    same split. round(N * fraction) samples are held out, at least one; both parts are returned in random
    order. Raises DataError when X and y differ in length or when a part would be empty.
    """
    X, y = plain_array(X, "X"), plain_array(y, "y")
    if not (X.ndim and y.ndim):
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
    test = stratified_choice(y, held_out, rng) if stratify else rng.permutation(len(y))[:held_out]
    chosen = np.zeros(len(y), dtype=bool)
    chosen[test] = True
    train = rng.permutation(np.flatnonzero(~chosen))
    return X[train], X[test], y[train], y[test]


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


@dataclass(frozen=True, eq=False)
class Standardizer:
    """(x - mean) / scale per feature; learned on the training part, applied wherever the model is used.

    `mean` and `scale` hold one value per entry of the last axis: per feature of vectors (N, features),
    per channel of images (N, H, W, C). A feature that never changes has scale 1.
    """

    mean: Array
    scale: Array

    @classmethod
    def learn(cls, X: Array) -> Standardizer:
        """Mean and standard deviation of each feature or channel of X, in float64."""
        values = np.asarray(X, dtype=np.float64).reshape(-1, np.shape(X)[-1])
        with np.errstate(over="ignore", invalid="ignore"):
            deviation = values.std(axis=0)
        if not all_finite(deviation):
            column = first_nonfinite(deviation)
            raise DataError(
                f"the values of feature {column} are too large to be brought to one scale: rescale them"
            )
        # A constant column leaves a deviation of a few rounding errors of its mean, not always exactly 0.
        constant = deviation <= 1e-12 * np.abs(values).max(axis=0)
        return cls(values.mean(axis=0), np.where(constant, 1.0, deviation))

    def __call__(self, X: Array) -> Array:
        """X with the training part's mean taken off, divided by its deviation; float32."""
        X = np.asarray(X)
        if X.shape[-1:] != self.mean.shape:
            raise DataError(f"X has {X.shape[-1]} features, the training data had {self.mean.size}")
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = ((X - self.mean) / self.scale).astype(np.float32)
        if not all_finite(scaled) and all_finite(X):
            i = first_nonfinite(scaled)
            raise DataError(
                f"sample {i} is so far from the training data that float32 cannot hold it once it is scaled: "
                "look at its values, or leave it out"
            )
        return scaled

    def undo(self, Z: Array) -> Array:
        """The X of which Z is the standardized form; float64.  NonFiniteError where that overflows."""
        Z = np.asarray(Z, dtype=np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            restored = Z * self.scale + self.mean
        if not all_finite(restored) and all_finite(Z):
            raise NonFiniteError("a standardized value is too large to be brought back to its own scale")
        return restored

    def to_json(self) -> dict[str, list[float]]:
        """Plain lists, exact: Python writes a float so that reading it gives the same float."""
        return {"mean": self.mean.tolist(), "scale": self.scale.tolist()}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Standardizer:
        """The standardizer that `to_json` described. Raises DataError when the description is damaged."""
        values: list[Any] = [
            stored.get(part) if isinstance(stored, Mapping) else None for part in ("mean", "scale")
        ]
        if not all(isinstance(value, list) for value in values):
            raise DataError("the stored standardization does not hold 'mean' and 'scale'")
        finite = all(finite_number(one) for value in values for one in value)
        if not finite or len(values[0]) != len(values[1]):
            raise DataError("the stored standardization is damaged: mean and scale must be as many numbers")
        mean, scale = (np.array(value, dtype=np.float64) for value in values)
        if not (scale > 0).all():
            raise DataError("the stored standardization is damaged: scale must be positive")
        return cls(mean, scale)
