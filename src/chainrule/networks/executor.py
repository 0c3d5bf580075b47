"""What computes the passes of a network: the interface, and the default for all networks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from typing import Any, Protocol, TypeVar

import numpy as np

from chainrule.base.types import Array
from chainrule.losses import Loss
from chainrule.networks.batch import Batch
from chainrule.networks.objective import Objective
from chainrule.networks.step import Step

M = TypeVar("M", contravariant=True)  # what a network is: model.py, which knows this file


class Executor(Protocol[M]):
    """Computes the passes of a network.  Batches have passed the door."""

    def predict(self, network: M, X: Array) -> Array:
        """a^L, (N, *output_shape), in the network's dtype."""

    def activations(self, network: M, X: Array, names: Sequence[str]) -> dict[str, Array]:
        """The outputs of these layers in a prediction for X, (N, *shape); "input" is X, as numbers."""

    def backpropagate(self, network: M, batch: Batch, objective: Objective) -> Step:
        """One forward and backward pass over all samples, as in training."""

    def loss(self, network: M, batch: Batch, loss: Loss) -> float:
        """(1/m) Σ w_i · value_i of the predictions."""

    def losses(self, network: M, batch: Batch, loss: Loss) -> Array:
        """w_i · value_i of the predictions, (N,) float64."""

    def sample_norms(self, network: M, batch: Batch, loss: Loss) -> Array:
        """‖∂(w_i · value_i)/∂θ‖ of every sample, (N,) float64."""

    def first_nonfinite(self, network: M, X: Array) -> str | None:
        """Where NaN or infinity begins in a prediction for X: "parameter dense1.W", "output of dense1"."""

    def first_overflow(
        self, network: M, X: Array, outputs: Mapping[str, Array] | None
    ) -> tuple[int, str, str] | None:
        """The first sample of X for which a number beyond the range has made an output wrong, the layer, and
        what its output is; None: no output is wrong.  outputs: those of a training pass, by layer; None: of
        a prediction.
        """


_suspects: ContextVar[list[slice] | None] = ContextVar("suspects", default=None)


@contextmanager
def suspected() -> Iterator[list[slice]]:
    """The samples of which executors say within it that a number beyond the range may be behind what they
    return; it need not be: the side of a choice that is not taken overflows too.
    """
    parts: list[slice] = []
    outer = _suspects.get()
    token = _suspects.set(parts)
    try:
        yield parts
    finally:
        _suspects.reset(token)
        if outer is not None:
            outer += parts


def noticing(notice: Callable[[], None], *, under: bool = False) -> Any:
    """Within it `notice` is called where an operation of NumPy overflows; under: or comes below the range, as
    a square does whose root is within it.
    """
    return np.errstate(
        over="call", invalid="call", divide="call", under="call" if under else "ignore",
        call=lambda kind, flag: notice(),
    )  # fmt: skip


def suspect(samples: slice) -> None:
    """Called by executors, of a pass over X[samples]."""
    if (suspects := _suspects.get()) is not None:
        suspects.append(samples)


# Named, not imported: nothing down here knows the engine, and a network that is only looked at needs none.
_ENGINE = "chainrule.engine.executor"
_default: list[Executor[Any]] = []


def executor() -> Executor[Any]:
    """The executor of every network that has none of its own; the engine, unless another was set."""
    if not _default:
        set_executor(import_module(_ENGINE).NativeExecutor())
    return _default[-1]


def set_executor(chosen: Executor[Any]) -> None:
    """Make `chosen` the executor of every network that has none of its own, such as
    `chainrule.reference.ReferenceExecutor()`: the formulas in float64.
    """
    _default[:] = [chosen]
