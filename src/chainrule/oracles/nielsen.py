"""Nielsen, chapter 5: in a deep network of sigmoids δ grows from the first hidden layer to the last.

His lengths of δ on MNIST for [784, 30, 30, 30, 30, 10] are 0.003, 0.017, 0.070, 0.285 (N(0, 1/n) weights,
mean over the training set).  Lengths depend on the data; how they grow from layer to layer does not much, and
is compared on scikit-learn's digits.
"""

from __future__ import annotations

import numpy as np

from chainrule.data.digits import load_digits
from chainrule.executor import Executor
from chainrule.initializers import Normal, ScaledNormal
from chainrule.layers import Dense, Layer, Sigmoid
from chainrule.losses import BinaryCrossEntropy
from chainrule.network import Network
from chainrule.oracles.rows import Measured, Row, Source

SEEDS = 10  # one start's ratios scatter by a factor of about 1.3
SAMPLES = 500
TOLERANCE = (
    1.5  # his 0.003 has one digit (4.7 to 7), and the data is another; without vanishing ratios are near 1
)


def measure(executor: Executor) -> Measured:
    X, y = load_digits()
    X, y = X[:SAMPLES].reshape(SAMPLES, 64), y[:SAMPLES]
    layers: list[Layer] = []
    for units in (30, 30, 30, 30, 10):
        layers += [Dense(units, initializer=ScaledNormal(), bias_initializer=Normal(1.0)), Sigmoid()]
    net = Network(layers, input_shape=64, dtype="float64")
    net.set_executor(executor)
    lengths = []
    for seed in range(SEEDS):
        net.reinitialise(seed)
        step = net.backpropagate(X, np.eye(10)[y], loss=BinaryCrossEntropy())
        hidden = [step.deltas[f"dense{number}"].mean(axis=0) for number in (1, 2, 3, 4)]
        lengths.append([float(np.linalg.norm(SAMPLES * delta)) for delta in hidden])
    length = np.exp(np.log(lengths).mean(axis=0))
    return {"‖δ‖ of hidden layers 2:1, 3:2, 4:3": length[1:] / length[:-1]}


SOURCE = Source(
    "Nielsen, chapter 5",
    "M. Nielsen, Neural Networks and Deep Learning (2015), chapter 5",
    measure,
    (Row("‖δ‖ of hidden layers 2:1, 3:2, 4:3", (5.7, 4.1, 4.1), TOLERANCE),),
)
