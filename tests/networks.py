"""A network that several tests are about."""

from __future__ import annotations

from typing import Any

from chainrule.layers import Conv2D, Dense, Flatten, MaxPool2D, ReLU, Softmax, Tanh
from chainrule.networks.network import Network


def lenet(**options: Any) -> Network:
    """Two convolutions, two dense layers, every one followed by an activation."""
    layers = [
        Conv2D(4, 3),
        ReLU(),
        MaxPool2D(2),
        Conv2D(6, 2),
        ReLU(),
        Flatten(),
        Dense(10),
        Tanh(),
        Dense(3),
        Softmax(),
    ]
    return Network(layers, input_shape=(10, 8, 2), **options)
