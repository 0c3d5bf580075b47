"""Ten networks of different layers, losses, penalties, batch sizes and notations."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

import numpy as np

import chainrule as cr

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, eq=False)
class Case:
    """What is explained, and the report on it."""

    network: cr.Network
    X: Array
    y: Array
    notation: str = "tutorial"
    options: dict[str, Any] = field(
        default_factory=dict
    )  # loss, penalty, weights: of `backpropagate` as well

    @cached_property
    def report(self) -> cr.Report:
        return cr.explain(self.network, self.X, self.y, notation=self.notation, language="en", **self.options)


def _made(layers: list[Any], shape: Any, samples: int, outputs: Any, notation: str, **options: Any) -> Case:
    """outputs: how many classes, or the shape of real targets."""
    network = cr.Network(layers, input_shape=shape, seed=3, dtype="float64")
    rng = np.random.default_rng(samples)
    for name, value in network.parameters.items():  # biases that are 0 would hide in every sum
        if name.endswith(".b"):
            network.parameters[name] = value + rng.normal(0, 0.2, value.shape)
    X = rng.standard_normal((samples, *network.input_shape))
    y = (
        rng.integers(outputs, size=samples)
        if isinstance(outputs, int)
        else rng.standard_normal((samples, *outputs))
    )
    return Case(network, X, y, notation, options)


@cache
def case(name: str) -> Case:
    """A network by its name."""
    softmax, sigmoid = cr.Softmax, cr.Sigmoid
    match name:
        case "dense, L2":
            layers = [cr.Dense(4), sigmoid(), cr.Dense(3), softmax()]
            return _made(layers, 5, 4, 3, "tutorial", penalty=cr.L2(0.1))
        case "one sample, λ/m":
            layers = [cr.Dense(3), cr.Tanh(), cr.Dense(2), sigmoid()]
            options = {"loss": cr.SquaredError(), "penalty": cr.L2(0.3, per_sample=True), "training_size": 20}
            return _made(layers, 3, 1, (2,), "nielsen", **options)
        case "regression, L1, weights":
            layers = [cr.Dense(4), cr.LeakyReLU(), cr.Dense(2)]
            return _made(layers, 3, 5, (2,), "ufldl", penalty=cr.L1(0.02), sample_weight=[1, 2, 0.5, 3, 1])
        case "conv, elastic net":
            layers = [cr.Conv2D(2, 3, stride=(1, 2), padding=1), cr.ReLU(), cr.AveragePool2D(2), cr.Flatten()]
            penalty = cr.ElasticNet(0.01, 0.1)
            return _made([*layers, cr.Dense(3), softmax()], (6, 7, 2), 3, 3, "tutorial", penalty=penalty)
        case "overlapping max pool, groups":
            layers = [cr.Conv2D(4, 2, groups=2), cr.Tanh(), cr.MaxPool2D(3, 2), cr.GlobalAveragePool()]
            return _made([*layers, cr.Dense(2)], (8, 8, 2), 2, (2,), "tutorial")
        case "residual":
            layers = [cr.Dense(4), cr.Residual([cr.Dense(4), cr.Tanh()]), cr.Dense(3), softmax()]
            return _made(layers, 3, 6, 3, "matrix", penalty=cr.L2(0.05))
        case "branches":
            beside = cr.Parallel([[cr.Dense(2)], [cr.Dense(3), cr.ReLU()]], join="concat")
            layers = [cr.Dense(4), beside, cr.Dense(1), sigmoid()]
            return _made(layers, 3, 5, 2, "tutorial", learning_rate=0.5)
        case "norms":
            layers = [
                cr.Dense(4, bias=False),
                cr.BatchNorm(),
                cr.PReLU(),
                cr.LayerNorm(),
                cr.Dense(3),
                softmax(),
            ]
            return _made(layers, 3, 6, 3, "ufldl", penalty=cr.L2(0.02))
        case "lstm":
            return _made([cr.LSTM(3), cr.Dense(2), softmax()], (4, 2), 3, 2, "tutorial", penalty=cr.L2(0.01))
        case "transposed conv":
            layers = [cr.ConvTranspose2D(2, 3, stride=2), cr.HardTanh(), cr.Flatten(), cr.Dense(2)]
            return _made(layers, (3, 3, 1), 4, (2,), "ufldl", penalty=cr.L2(0.2))
    raise LookupError(name)


NAMES = (
    "dense, L2", "one sample, λ/m", "regression, L1, weights", "conv, elastic net",
    "overlapping max pool, groups", "residual", "branches", "norms", "lstm", "transposed conv",
)  # fmt: skip
