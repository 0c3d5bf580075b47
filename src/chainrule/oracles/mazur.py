"""Mazur's worked example: a 2-2-2 network of sigmoids with ½ squared error, one sample."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.layers import Dense, Sigmoid
from chainrule.losses import SquaredError
from chainrule.networks.executor import Executor
from chainrule.oracles.numeric import network
from chainrule.oracles.rows import Measured, Row, Source

RATE = 0.5
STEPS = 10_000

PARAMETERS = {
    "dense1.W": [[0.15, 0.20], [0.25, 0.30]],
    "dense1.b": [0.35, 0.35],
    "dense2.W": [[0.40, 0.45], [0.50, 0.55]],
    "dense2.b": [0.60, 0.60],
}


def measure(executor: Executor[Any]) -> Measured:
    net = network(executor, [Dense(2), Sigmoid(), Dense(2), Sigmoid()], 2, PARAMETERS)
    X, y = np.array([[0.05, 0.10]]), np.array([[0.01, 0.99]])
    measured: dict[str, Any] = {}
    for number in range(STEPS + 1):
        step = net.backpropagate(X, y, loss=SquaredError())
        if number == 0:
            measured |= {
                "outputs": step.output.ravel(),
                "J": step.loss,
                "δ of the output": step.deltas["dense2"].ravel(),
                "δ of the hidden layer": step.deltas["dense1"].ravel(),
                "∂J/∂v₁": step.gradients["dense2.W"][0, 0],
            }
        if number == 1:
            measured |= {
                "v after one step": net.parameters["dense2.W"].flatten(),
                "w after one step": net.parameters["dense1.W"].flatten(),
                "J after one step": step.loss,
            }
        for name in ("dense1.W", "dense2.W"):  # his biases stay as they are
            net.parameters[name][...] -= RATE * step.gradients[name]
    return {**measured, "J after 10 000 steps": step.loss}


SOURCE = Source(
    "Mazur",
    "M. Mazur, A step by step backpropagation example (2015)",
    measure,
    (
        Row("outputs", (0.7513650696, 0.7729284653), 5e-11),
        Row("J", 0.29837110876, 5e-12),
        Row("δ of the output", (0.1384985616, -0.0380982365), 5e-11),
        Row("δ of the hidden layer", (0.0087713547, 0.0099542547), 5e-11),
        Row("∂J/∂v₁", 0.0821670406, 5e-11),
        Row("v after one step", (0.35891648, 0.408666186, 0.511301270, 0.561370121), 5e-9),
        Row("w after one step", (0.1497807161, 0.1995614323, 0.2497511436, 0.2995022873), 5e-11),
        Row("J after one step", 0.2910277737, 5e-11),
        Row("J after 10 000 steps", 3.5102e-5, 5e-10),
    ),
)
