"""The reference, as tests call it: inputs, targets and options one by one."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import reference
from chainrule.losses import Loss, loss_for
from chainrule.losses.penalties import Penalty
from chainrule.networks.batch import Batch
from chainrule.networks.network import Network
from chainrule.networks.objective import Objective
from chainrule.networks.step import Step


def objective(
    network: Network,
    samples: int,
    loss: Loss | None = None,
    penalty: Penalty | None = None,
    training_size: int | None = None,
) -> Objective:
    """The loss of the last layer where none is given; m is the number of samples."""
    chosen = loss_for(network.layers[-1]) if loss is None else loss
    return Objective(chosen, penalty, training_size or samples)


def backpropagate(
    network: Network,
    X: Any,
    y: Any,
    loss: Loss | None = None,
    penalty: Penalty | None = None,
    weights: Any = None,
    training_size: int | None = None,
    parameters: Any = None,
    dtype: Any = np.float64,
) -> Step:
    """One forward and backward pass by the formulas."""
    chosen = objective(network, len(X), loss, penalty, training_size)
    return reference.backpropagate(network, Batch(X, y, weights), chosen, parameters, dtype)


def data_loss(network: Network, X: Any, y: Any, loss: Loss, weights: Any = None, **options: Any) -> float:
    """The data's loss by the formulas."""
    return reference.data_loss(network, Batch(X, y, weights), loss, **options)
