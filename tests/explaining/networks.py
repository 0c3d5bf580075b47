"""Networks which between them have everything that conventions, slips and the algorithm speak of."""

from __future__ import annotations

from typing import Any

from chainrule import layers as L
from chainrule.losses import BinaryCrossEntropy, CrossEntropy, Loss, SquaredError
from chainrule.losses.penalties import L1, L2, ElasticNet, Penalty
from chainrule.networks.network import Network
from tests.networks import lenet

Problem = tuple[Network, Loss, Penalty | None]


def problems() -> dict[str, Problem]:
    """Name -> network, loss, penalty."""
    return {
        "line": (Network([L.Dense(2)], input_shape=3), SquaredError(), None),
        "deep": (_chain(3, L.Tanh(), L.Softmax()), CrossEntropy(), L2(0.1)),
        "sigmoids": (_chain(1, L.Sigmoid(), L.Sigmoid()), BinaryCrossEntropy(), L2(0.1, per_sample=True)),
        "squared": (_chain(1, L.Sigmoid(), L.Sigmoid()), SquaredError(mean_outputs=True), L1(0.1)),
        "softmax-squared": (_chain(1, L.ReLU(), L.Softmax()), SquaredError(), ElasticNet(0.1, 0.2)),
        "smoothed": (_chain(0, None, L.Softmax()), CrossEntropy(label_smoothing=0.1), None),
        "lenet": (lenet(), CrossEntropy(), L2(0.1)),
        "pools": (_pools(), SquaredError(), None),
        "norms": (_norms(), CrossEntropy(), None),
        "branches": (_branches(), SquaredError(), L1(0.1, per_sample=True)),
        "sequence": (_sequence(), CrossEntropy(), None),
        "steps": (_steps(), BinaryCrossEntropy(), None),
        "whole-sequence": (_whole_sequence(), SquaredError(), None),
        "no-dense": (_no_dense(), CrossEntropy(), None),
        "upwards": (_upwards(), SquaredError(), None),
    }


def _chain(hidden: int, between: Any, last: Any) -> Network:
    layers: list[Any] = []
    for _ in range(hidden):
        layers += [L.Dense(4), between]
    return Network([*layers, L.Dense(3), last], input_shape=5)


def _pools() -> Network:
    layers = [
        L.Conv2D(3, 3, stride=2, padding=1),
        L.LeakyReLU(),
        L.AveragePool2D(3, 1, padding=1),
        L.L2Pool2D(2, 1),
        L.MaxPool2D(2, 1),
        L.GlobalMaxPool(),
        L.Dense(2),
    ]
    return Network(layers, input_shape=(12, 12, 1))


def _no_dense() -> Network:
    return Network([L.Conv2D(3, 3, bias=False), L.GlobalAveragePool(), L.Softmax()], input_shape=(5, 5, 1))


def _norms() -> Network:
    layers = [L.Dense(4, bias=False), L.BatchNorm(), L.PReLU(), L.Dropout(0.5), L.Dense(3), L.Softmax()]
    return Network(layers, input_shape=5)


def _branches() -> Network:
    residual = L.Residual([L.Dense(5), L.ReLU(), L.Dense(5)])
    beside = L.Parallel([[L.Dense(2)], [L.Dense(3), L.Tanh()]], join="concat")
    return Network([residual, L.ReLU(), beside, L.Dense(2)], input_shape=5)


def _sequence() -> Network:
    reading = [L.Embedding(7, 4, padding=0), L.MultiHeadAttention(2), L.GlobalAveragePool()]
    return Network([*reading, L.Dense(3), L.Softmax()], input_shape=6)


def _steps() -> Network:
    layers = [L.Masking(), L.RNN(3, outputs="all", truncate=2), L.LSTM(3), L.Dense(1), L.Sigmoid()]
    return Network(layers, input_shape=(5, 2))


def _whole_sequence() -> Network:
    return Network([L.GRU(3), L.Dense(2)], input_shape=(4, 2))


def _upwards() -> Network:
    layers = [L.ConvTranspose2D(2, 3, stride=2), L.HardTanh(), L.Flatten(), L.Dense(2)]
    return Network(layers, input_shape=(3, 3, 1))
