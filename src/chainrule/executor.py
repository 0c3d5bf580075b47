"""What computes the passes of a network: the interface, and the default for all networks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import NDArray

from chainrule.losses import Loss
from chainrule.penalties import Penalty
from chainrule.step import Step

if TYPE_CHECKING:
    from chainrule.network import Network

Array = NDArray[Any]


class Executor(Protocol):
    """Computes the passes of a network.  Inputs and targets have passed the door; weights have mean 1 over
    the data.
    """

    def predict(self, network: Network, X: Array) -> Array:
        """a^L, (N, *output_shape), in the network's dtype."""

    def backpropagate(
        self,
        network: Network,
        X: Array,
        y: Array,
        loss: Loss,
        penalty: Penalty | None,
        weights: Array | None,
        training_size: int,
    ) -> Step:
        """One forward and backward pass over all samples, as in training."""

    def loss(self, network: Network, X: Array, y: Array, loss: Loss, weights: Array | None) -> float:
        """(1/m) Σ w_i · value_i of the predictions."""

    def sample_norms(self, network: Network, X: Array, y: Array, loss: Loss, weights: Array | None) -> Array:
        """‖∂(w_i · value_i)/∂θ‖ of every sample, (N,) float64."""

    def first_nonfinite(self, network: Network, X: Array) -> str | None:
        """Where NaN or infinity begins in a prediction for X: "parameter dense1.W", "output of dense1"."""


_default: list[Executor] = []


def executor() -> Executor:
    """The executor of every network that has none of its own; `import chainrule` sets the engine."""
    return _default[-1]


def set_executor(chosen: Executor) -> None:
    """Make `chosen` the executor of every network that has none of its own, such as
    `chainrule.reference.ReferenceExecutor()`: the formulas in float64.
    """
    _default[:] = [chosen]
