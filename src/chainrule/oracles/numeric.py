"""Helpers of the recipes: central differences as the texts write them, one entry after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.base.types import Array
from chainrule.layers import Layer
from chainrule.networks.executor import Executor
from chainrule.networks.network import Network


def network(
    executor: Executor[Any], layers: list[Layer], input_shape: Any, parameters: dict[str, Any] | None = None
) -> Network:
    """A float64 network whose passes this executor computes."""
    made = Network(layers, input_shape=input_shape, dtype="float64")
    made.set_parameters(parameters or {})
    made.set_executor(executor)
    return made


def unrolled(arrays: Any) -> Array:
    """All arrays in their order as one vector."""
    return np.concatenate([np.ravel(array) for array in arrays.values()])


def central_differences(net: Network, loss: Callable[[Network], float], epsilon: float = 1e-4) -> Array:
    """(J(θ + ε) - J(θ - ε)) / 2ε for every entry of every parameter, unrolled; the network ends unchanged."""
    differences = []
    for array in net.parameters.values():  # the network's own: changing one in place changes the network
        for index in np.ndindex(array.shape):
            kept = array[index]
            array[index] = kept + epsilon
            above = loss(net)
            array[index] = kept - epsilon
            below = loss(net)
            array[index] = kept
            differences.append((above - below) / (2 * epsilon))
    return np.array(differences)


def relative_difference(numeric: Array, analytic: Array) -> float:
    """‖n - g‖ / ‖n + g‖, the rule of Ng and UFLDL."""
    return float(np.linalg.norm(numeric - analytic) / np.linalg.norm(numeric + analytic))
