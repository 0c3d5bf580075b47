"""Batch: samples that have passed the door, with what belongs to each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.base.types import Array


@dataclass(frozen=True, eq=False)
class Batch:
    """Inputs, targets and weights, as whoever computes a pass takes them.

    inputs: (N, *input_shape).  targets: as `encode_targets` returns them, samples first.  weights: (N,), with
    mean 1 over the data they were given for, of several outputs also (N, outputs), a column for each; None:
    every sample weighs the same.
    """

    inputs: Array
    targets: Array
    weights: Array | None = None

    def __len__(self) -> int:
        return int(self.inputs.shape[0])  # a sparse matrix has no length

    def __getitem__(self, rows: slice | Array) -> Batch:
        """Some of the samples; their weights are as they were."""
        weights = None if self.weights is None else self.weights[rows]
        return Batch(self.inputs[rows], self.targets[rows], weights)

    def shares(self, dtype: Any = np.float64) -> Array:
        """w_i / m, (m,): what a sample's loss counts in J; (outputs, m) where every output has weights."""
        weights = np.ones(len(self)) if self.weights is None else self.weights
        return np.asarray(weights).T.astype(dtype) / len(self)

    @property
    def of_all(self) -> Array | None:
        """(N,): the mean of its weights for a sample; None: the same for all."""
        return self.weights if self.weights is None or self.weights.ndim == 1 else self.weights.mean(axis=1)
