"""The formulas as the executor of networks: `net.set_executor(ReferenceExecutor())`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np

from chainrule.base.types import Array
from chainrule.data.arrays import all_finite
from chainrule.losses import Loss
from chainrule.networks.architecture import INPUT, computed_together
from chainrule.networks.batch import Batch
from chainrule.networks.executor import noticing, suspect
from chainrule.networks.model import Model
from chainrule.networks.objective import Objective
from chainrule.networks.per_sample import norms_of_gradients
from chainrule.networks.step import Step
from chainrule.reference.backpropagation import backpropagate, data_loss, forward, head_of
from chainrule.reference.overflow import first_overflow
from chainrule.reference.passes import PassContext, all_passes, run_forward, to_columns, to_rows

_PREDICT_BATCH = 256  # samples per pass of `predict` and `loss`: memory for the activations of this many only


def _pieces(network: Model, samples: int) -> Iterator[slice]:
    """The samples of every pass: all of them where a layer computes with them together."""
    length = samples if computed_together(network.layers) else _PREDICT_BATCH
    for start in range(0, samples, max(length, 1)):
        yield slice(start, min(start + length, samples))


@contextmanager
def _watched(samples: int) -> Iterator[None]:
    """What goes beyond the range within it, or below, makes these samples suspect."""
    noticed: list[bool] = []
    with noticing(lambda: noticed.append(True), under=True):
        yield
    if noticed:
        suspect(slice(0, samples))


class ReferenceExecutor:
    """Executes networks by the formulas, in float64 whatever the network's dtype; predictions have the
    network's dtype.
    """

    def predict(self, network: Model, X: Array) -> Array:
        parts = (forward(network, X[rows]) for rows in _pieces(network, len(X)))
        with _watched(len(X)):
            return np.concatenate(list(parts)).astype(network.dtype, copy=False)

    def activations(self, network: Model, X: Array, names: Sequence[str]) -> dict[str, Array]:
        parts: dict[str, list[Array]] = {name: [] for name in names}
        with _watched(len(X)):
            for piece in _pieces(network, len(X)):
                x = to_columns(X[piece], np.float64)
                passes = all_passes(run_forward(network, x, None, np.float64, PassContext(training=False)))
                outputs = {INPUT: x, **{passed.name: passed.output for passed in passes}}
                for name, rows in parts.items():
                    rows.append(to_rows(outputs[name]).astype(network.dtype, copy=False))
        return {name: np.concatenate(rows) for name, rows in parts.items()}

    def backpropagate(self, network: Model, batch: Batch, objective: Objective) -> Step:
        with _watched(len(batch)):
            return backpropagate(network, batch, objective)

    def loss(self, network: Model, batch: Batch, loss: Loss) -> float:
        total = 0.0
        with _watched(len(batch)):
            for rows in _pieces(network, len(batch)):
                part = batch[rows]
                total += data_loss(network, part, loss) * len(part)
        return total / len(batch)

    def losses(self, network: Model, batch: Batch, loss: Loss) -> Array:
        parts = []
        for rows in _pieces(network, len(batch)):
            part = batch[rows]
            x = to_columns(part.inputs, np.float64)
            last = run_forward(network, x, None, np.float64, PassContext(training=False))[-1]
            values = head_of(network, part, loss, last).values * part.shares() * len(part)
            parts.append(values if values.ndim == 1 else values.sum(axis=0))
        return np.concatenate(parts)

    def sample_norms(self, network: Model, batch: Batch, loss: Loss) -> Array:
        return norms_of_gradients(network, self, batch, loss)

    def first_nonfinite(self, network: Model, X: Array) -> str | None:
        context = PassContext(training=False)
        for name, array in network.parameters.items():
            if not all_finite(array):
                return f"parameter {name}"
        passes = run_forward(network, to_columns(X, np.float64), None, np.float64, context)
        for layer_pass in all_passes(passes):
            if not all_finite(layer_pass.output.astype(network.dtype)):
                return f"output of {layer_pass.name}"
        return None

    def first_overflow(
        self, network: Model, X: Array, outputs: Mapping[str, Array] | None
    ) -> tuple[int, str, str] | None:
        training = outputs is not None
        if outputs is None:
            context = PassContext(training=False)
            passes = all_passes(run_forward(network, to_columns(X, np.float64), None, np.float64, context))
            outputs = {layer_pass.name: to_rows(layer_pass.output) for layer_pass in passes}
        return first_overflow(network, X, outputs, np.float64, training=training)
