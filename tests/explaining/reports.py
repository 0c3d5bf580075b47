"""Reports of every kind of network, made once for all tests of forms."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

import chainrule as cr

NAMES = ("dense", "conv", "residual", "recurrent", "deep")


@cache
def report(name: str, dtype: str = "float64") -> cr.Report:
    """The report of a network by its name."""
    rng = np.random.default_rng(0)
    options: dict[str, Any] = {"seed": 1, "dtype": dtype}
    if name == "dense":
        layers: list[Any] = [cr.Dense(4), cr.Sigmoid(), cr.Dense(3), cr.Softmax()]
        network = cr.Network(layers, input_shape=5, **options)
        return cr.explain(network, rng.standard_normal((4, 5)), np.array([0, 2, 1, 0]), penalty=cr.L2(0.01))
    if name == "conv":
        layers = [cr.Conv2D(3, 3), cr.ReLU(), cr.MaxPool2D(2), cr.Flatten(), cr.Dense(3), cr.Softmax()]
        network = cr.Network(layers, input_shape=(6, 6, 1), **options)
        return cr.explain(network, rng.standard_normal((4, 6, 6, 1)), np.array([0, 1, 2, 1]))
    if name == "residual":
        inside = cr.Residual([cr.Dense(5), cr.ReLU(), cr.Dense(5)])
        beside = cr.Parallel([[cr.Dense(2)], [cr.Dense(3), cr.Tanh()]], join="concat")
        network = cr.Network([cr.Dense(5), inside, beside, cr.Dense(2)], input_shape=5, **options)
        return cr.explain(network, rng.standard_normal((4, 5)), rng.standard_normal((4, 2)))
    if name == "recurrent":
        network = cr.Network([cr.LSTM(3), cr.Dense(1), cr.Sigmoid()], input_shape=(5, 2), **options)
        y, loss = np.array([0.0, 1.0, 1.0, 0.0]), cr.BinaryCrossEntropy()
        return cr.explain(network, rng.standard_normal((4, 5, 2)), y, loss=loss)
    layers = [layer for _ in range(100) for layer in (cr.Dense(6), cr.Tanh())]
    network = cr.Network(layers, input_shape=6, **options)
    return cr.explain(network, rng.standard_normal((2, 6)), rng.standard_normal((2, 6)), check=False)
