"""What brings whole arrays to a network's scale: pixels / 255, (x - mean) / scale, or nothing.

Each is called with an array (N, ...) of numbers and the argument's name, gives the prepared array, says in
`title` what it does, and becomes plain JSON and back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from chainrule.base.errors import DataError, NonFiniteError
from chainrule.base.scalars import finite_number
from chainrule.base.types import Array
from chainrule.data.arrays import (
    Prepared,
    all_finite,
    finite,
    first_nonfinite,
    numbers,
    plain_array,
    prepared,
)

# Numbers up to here are taken as they are without a word: ages and percentages are no pixels.
NO_PIXELS = 127
PICTURES = (3, 4)  # axes of a sample that may be pixels: images (H, W, C) and volumes (D, H, W, C)


class Scale(Protocol):
    """What `Preparation.inputs` is."""

    def __call__(self, X: Any, argument: str = "X") -> Prepared: ...

    @property
    def title(self) -> str: ...

    def to_json(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Pixels:
    """Pixels from 0 to 255, which are divided by 255."""

    title = "pixels from 0 to 255, divided by 255"

    def __call__(self, X: Any, argument: str = "X") -> Prepared:
        """uint8 stays as it is, every pass divides it; whole numbers become uint8; others are divided here.

        Raises DataError for what is no pixel: below 0, above 255, or fractions from 0 to 1.
        """
        array = numbers(plain_array(X, argument), argument)
        if array.dtype == np.uint8 or not array.size:
            return prepared(array)
        if array.dtype.kind == "b":
            raise DataError(
                f"{argument} holds truth values, but the network was trained on {self.title}: write "
                f"{argument}.astype('uint8') * 255 where True is white"
            )
        finite(array, argument)
        low, high = array.min(), array.max()
        if low < 0 or high > 255:
            raise DataError(
                f"{argument} holds numbers from {low:g} to {high:g}, but the network was trained on "
                f"{self.title}: give pixels"
            )
        if array.dtype.kind == "f":
            if 0 < high <= 1:
                raise DataError(
                    f"{argument} holds numbers from {low:g} to {high:g}, but the network was trained on "
                    f"{self.title}, and divides by itself: where these have been divided, write {argument} * "
                    "255"
                )
            if (array != np.rint(array)).any():
                return prepared(array / np.float32(255) if array.dtype == np.float16 else array / 255)
        return prepared(array.astype(np.uint8))

    def is_made(self, X: Array, dtype: Any) -> bool:
        """Whether X is taken as it is: uint8, which every pass divides."""
        return bool(X.dtype == np.uint8)

    def to_json(self) -> dict[str, Any]:
        return {"kind": "pixels"}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Pixels:
        return cls()


@dataclass(frozen=True)
class Numbers:
    """Numbers as they are.  low, high: the least and the largest of the training data, where known."""

    low: float | None = None
    high: float | None = None

    @classmethod
    def learn(cls, X: Array) -> Numbers:
        """The range of X (N, ...)."""
        return cls(float(X.min()), float(X.max())) if X.size else cls()

    def joined(self, other: Numbers) -> Numbers:
        """The range of both."""
        if self.low is None or self.high is None or other.low is None or other.high is None:
            return other if self.low is None else self
        return Numbers(min(self.low, other.low), max(self.high, other.high))

    @property
    def title(self) -> str:
        seen = "" if self.low is None else f"; from {self.low:g} to {self.high:g} in training"
        return f"numbers as they are{seen}"

    def __call__(self, X: Any, argument: str = "X") -> Prepared:
        """X as it is, uint8 as float32.  Raises DataError for pixels where the training had none."""
        array = numbers(plain_array(X, argument), argument)
        if self.high is not None and self.high <= 1 and _are_pixels(array):
            raise DataError(
                f"{argument} holds {array.dtype} up to {array.max():g}, as pixels are, but the network was "
                f"trained on numbers from {self.low:g} to {self.high:g}: where these were pixels / 255, "
                f"write {argument} / 255; where all are pixels as they come, train Network(..., "
                "preparation='pixels'); where none are, network.preparation = "
                "chainrule.Preparation(inputs='numbers')"
            )
        return prepared(array.astype(np.float32) if array.dtype == np.uint8 else array)

    def is_made(self, X: Array, dtype: Any) -> bool:
        """Whether X is taken as it is by a network of this dtype, and plainly holds no pixels."""
        suspicious = self.high is not None and self.high <= 1 and X.ndim > 2
        return bool(X.dtype == dtype and (not suspicious or X.max() <= NO_PIXELS))

    def to_json(self) -> dict[str, Any]:
        return {"kind": "numbers", "low": self.low, "high": self.high}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Numbers:
        """As `to_json` wrote it. Raises DataError when it is damaged."""
        low, high = stored.get("low"), stored.get("high")
        if low is None and high is None:
            return cls()
        if not (finite_number(low) and finite_number(high)):
            raise DataError("the stored range of the inputs is damaged: low and high must be numbers")
        return cls(float(low), float(high))  # type: ignore[arg-type]


def _are_pixels(array: Array) -> bool:
    """Whether numbers look like pixels from 0 to 255: images and volumes of uint8 above 1, and above 127 flat
    uint8 and whole numbers in images. So are those of tables, but then the training had another scale.
    """
    if not array.size or array.ndim < 2 or not (array.dtype == np.uint8 or array.ndim > 2):
        return False
    high = array.max()
    if array.dtype == np.uint8:
        return bool(high > (1 if array.ndim - 1 in PICTURES else NO_PIXELS))
    return bool(NO_PIXELS < high <= 255 and array.min() >= 0 and (array == np.rint(array)).all())


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
        """Mean and standard deviation of each feature or channel of X, in float64; of (N,) numbers one each.

        Raises DataError: no numbers, NaN, nothing, or numbers too large.
        """
        values = numbers(plain_array(X, "X"), "X").astype(np.float64)
        if not (values.ndim and values.size):
            raise DataError(f"X must have a number per sample, received the shape {values.shape}")
        finite(values, "X")
        values = values.reshape(-1, values.shape[-1] if values.ndim > 1 else 1)
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

    @property
    def title(self) -> str:
        many = "feature" if self.mean.size == 1 else f"each of {self.mean.size} features or channels"
        return f"(x - mean) / standard deviation of {many}, as in training"

    def __call__(self, X: Any, argument: str = "X") -> Prepared:
        """X with the training part's mean taken off, divided by its deviation; float64."""
        X = numbers(plain_array(X, argument), argument)
        if X.shape[-1:] != self.mean.shape:
            received = X.shape[-1] if X.ndim else 0
            raise DataError(f"{argument} has {received} features, the training data had {self.mean.size}")
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = np.asarray((X - self.mean) / self.scale, dtype=np.float64)
        if not all_finite(scaled) and all_finite(X):  # NaN is told by the door
            i = first_nonfinite(scaled)
            raise DataError(
                f"sample {i} is so far from the training data that float64 cannot hold it once it is "
                "scaled: look at its values, or leave it out"
            )
        return prepared(scaled)

    def undo(self, Z: Array) -> Array:
        """The X of which Z is the standardized form; float64.  NonFiniteError where that overflows."""
        Z = np.asarray(Z, dtype=np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            restored = Z * self.scale + self.mean
        if not all_finite(restored) and all_finite(Z):
            raise NonFiniteError("a standardized value is too large to be brought back to its own scale")
        return restored

    def to_json(self) -> dict[str, Any]:
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
        finite = all(finite_number(entry) for value in values for entry in value)
        if not finite or len(values[0]) != len(values[1]):
            raise DataError("the stored standardization is damaged: mean and scale must be as many numbers")
        mean, scale = (np.array(value, dtype=np.float64) for value in values)
        if not (scale > 0).all():
            raise DataError("the stored standardization is damaged: scale must be positive")
        return cls(mean, scale)
