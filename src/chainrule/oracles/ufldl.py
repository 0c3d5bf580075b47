"""UFLDL, Stanford's tutorial: gradient checking, the convolutional network's check, mean-pooling."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.layers import AveragePool2D, Conv2D, Dense, Flatten, Layer, Sigmoid, Softmax
from chainrule.layers.initializers import Normal
from chainrule.losses import CrossEntropy, SquaredError
from chainrule.losses.penalties import L2
from chainrule.networks.executor import Executor
from chainrule.oracles.numeric import central_differences, network, relative_difference, unrolled
from chainrule.oracles.rows import Measured, Row, Source


def measure(executor: Executor[Any]) -> Measured:
    rng = np.random.Generator(np.random.PCG64(0))
    # The autoencoder's cost: sigmoids, ½‖h(x) - x‖², λ/2·ΣW².
    X = rng.random((10, 8))
    net = network(executor, [Dense(3), Sigmoid(), Dense(8), Sigmoid()], 8)
    penalty, loss = L2(1e-4), SquaredError()
    numeric = central_differences(net, lambda n: n.loss(X, X, loss=loss, penalty=penalty))
    analytic = unrolled(net.backpropagate(X, X, loss=loss, penalty=penalty).gradients)
    digits = np.abs(numeric - analytic) / np.maximum(np.abs(analytic), 1e-6)

    # The check of its convolutional exercise: 2 filters, mean-pooling of 5 by 5, 10 images.
    # Like handwriting most pixels are 0, and the filters start small, as there.
    images = rng.random((10, 24, 24, 1)) * (rng.random((10, 24, 24, 1)) < 0.2)
    labels = np.arange(10)
    layers: list[Layer] = [Conv2D(2, 5, initializer=Normal(0.1)), Sigmoid(), AveragePool2D(5)]
    layers += [Flatten(), Dense(10), Softmax()]
    conv = network(executor, layers, (24, 24, 1))
    conv_numeric = central_differences(conv, lambda n: n.loss(images, labels, loss=CrossEntropy()))
    conv_analytic = unrolled(conv.backpropagate(images, labels, loss=CrossEntropy()).gradients)

    counted = np.arange(1.0, 65).reshape(8, 8, order="F")[np.newaxis, :, :, np.newaxis]
    pooled = network(executor, [AveragePool2D(4)], (8, 8, 1)).predict(counted)
    return {
        "gradient check: largest relative error": digits.max(),
        "conv net: ‖n - g‖ / ‖n + g‖": relative_difference(conv_numeric, conv_analytic),
        "mean-pooling 4×4 of 1:64 in 8×8": pooled[0, :, :, 0].ravel(order="F"),
    }


SOURCE = Source(
    "UFLDL",
    "Unsupervised Feature Learning and Deep Learning tutorial: gradient checking, pooling, ConvNet",
    measure,
    (
        Row("gradient check: largest relative error", 1e-4, None),
        Row("conv net: ‖n - g‖ / ‖n + g‖", 1e-9, None),
        Row("mean-pooling 4×4 of 1:64 in 8×8", (14.5, 18.5, 46.5, 50.5), 1e-13),
    ),
)
