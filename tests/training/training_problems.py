"""Small problems for the training tests: data, networks, and training written out step by step."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from tests.updates import clip_factor, new_state

from chainrule.layers import Dense, ReLU, Softmax, Tanh
from chainrule.losses import Loss
from chainrule.losses.constraints import MaxNorm
from chainrule.losses.penalties import L2
from chainrule.networks.network import Network
from chainrule.reference import ReferenceExecutor
from chainrule.training.optimizers import Optimizer

Array = NDArray[Any]


def blobs(count: int = 60, *, features: int = 4, classes: int = 3, seed: int = 0) -> tuple[Array, Array]:
    """Clouds around random centres, float32 (count, features), and their labels 0, 1, ... in turn."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    centres = 2.0 * rng.standard_normal((classes, features))
    return (centres[labels] + 0.3 * rng.standard_normal((count, features))).astype(np.float32), labels


def classifier(*, features: int = 4, classes: int = 3, seed: int = 1, dtype: str = "float32") -> Network:
    layers = [Dense(7), Tanh(), Dense(classes), Softmax()]
    return Network(layers, input_shape=features, seed=seed, dtype=dtype)


def regressor(*, seed: int = 1, dtype: str = "float32") -> Network:
    return Network([Dense(6), ReLU(), Dense(2)], input_shape=4, seed=seed, dtype=dtype)


def snapshot(network: Network) -> dict[str, Array]:
    return {name: array.copy() for name, array in network.parameters.items()}


def same_bits(one: dict[str, Array], other: dict[str, Array]) -> bool:
    return all(np.array_equal(one[name], other[name]) for name in one)


def train_by_formula(
    network: Network,
    X: Array,
    y: Array,
    *,
    optimizer: Optimizer,
    batch_size: int,
    orders: list[Array],
    loss: Loss | None = None,
    penalty: L2 | None = None,
    constraint: MaxNorm | None = None,
    weights: Array | None = None,
    rate_factors: dict[str, float] | None = None,
) -> dict[str, Array]:
    """The parameters after the epochs: every step is `backpropagate` by the formulas and `Optimizer.update`.

    weights have mean 1 over the data; a batch's gradient is (1/m) Σ w_i ∂(value_i), m samples in the batch.
    """
    network, factors = network.copy(), rate_factors or {}
    network.set_executor(ReferenceExecutor())
    states = {name: new_state(optimizer, array) for name, array in network.parameters.items()}
    steps_per_epoch = -(-len(orders[0]) // batch_size)
    step = 0
    for order in orders:
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            share = 1.0 if weights is None else float(weights[rows].mean())  # backpropagate wants mean 1
            gradients = network.backpropagate(
                X[rows], y[rows], loss=loss, sample_weight=None if weights is None else weights[rows]
            ).gradients
            total = {name: share * gradient for name, gradient in gradients.items()}
            total = {name: gradient for name, gradient in total.items() if factors.get(name, 1.0) != 0}
            for name, spec in network.parameter_specs.items():
                if name not in total:
                    continue
                if penalty is not None and spec.penalised:
                    total[name] = total[name] + penalty.gradient(network.parameters[name], len(order))
            clip = clip_factor(total.values(), optimizer.clip_norm)
            rate = float(optimizer.rates(step, 1, steps_per_epoch, len(orders))[0])
            step += 1
            for name, spec in network.parameter_specs.items():
                if name not in total:
                    continue
                own = rate * factors.get(name, 1.0)
                updated = optimizer.update(
                    network.parameters[name], clip * total[name], states[name], own, step,
                    penalised=spec.penalised,
                )  # fmt: skip
                limited = constraint is not None and spec.penalised
                network.parameters[name] = constraint.apply(updated, spec) if limited else updated
    return snapshot(network)
