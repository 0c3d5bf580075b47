"""scikit-learn's MLPRegressor, a negative oracle: with three outputs its gradient is three times that of the
loss it reports, which averages over the outputs while the gradient does not.  Ours must be 1.

Its gradient is read off one step of plain gradient descent, so that only public attributes are used.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.base.errors import MissingExtraError
from chainrule.layers import Dense, Tanh
from chainrule.losses import SquaredError
from chainrule.networks.executor import Executor
from chainrule.oracles.numeric import central_differences, network, unrolled
from chainrule.oracles.rows import Measured, Row, Source

EPSILON = 1e-5


def problem() -> tuple[Any, Any]:
    rng = np.random.Generator(np.random.PCG64(0))
    return rng.standard_normal((20, 4)), rng.standard_normal((20, 3))


def scikit_learn_ratio() -> float:
    """gᵀg over the derivative along g of the loss that scikit-learn reports."""
    try:
        from sklearn.neural_network import MLPRegressor
    except ImportError:
        raise MissingExtraError("scikit-learn", "digits", "this comparison") from None
    X, y = problem()
    options = {"solver": "sgd", "momentum": 0.0, "nesterovs_momentum": False, "alpha": 0.0, "shuffle": False}
    rate = 1e-3
    model = MLPRegressor(
        hidden_layer_sizes=(5,),
        activation="tanh",
        batch_size=len(X),
        learning_rate_init=rate,
        random_state=0,
        **options,
    ).partial_fit(X, y)
    before = [array.copy() for array in (*model.coefs_, *model.intercepts_)]

    def reported(arrays: list[Any]) -> float:
        """The loss at these weights, which partial_fit reports before it takes its step."""
        count = len(model.coefs_)
        model.coefs_, model.intercepts_ = (
            [array.copy() for array in part] for part in (arrays[:count], arrays[count:])
        )
        model.partial_fit(X, y)
        return float(model.loss_)

    reported(before)
    after = [*model.coefs_, *model.intercepts_]
    g = [(old - new) / rate for old, new in zip(before, after, strict=True)]
    above = reported([array + EPSILON * d for array, d in zip(before, g, strict=True)])
    below = reported([array - EPSILON * d for array, d in zip(before, g, strict=True)])
    return sum(float(np.vdot(d, d)) for d in g) / ((above - below) / (2 * EPSILON))


def our_ratio(executor: Executor[Any], loss: SquaredError) -> float:
    """The same with our gradient and the loss that we report."""
    X, y = problem()
    net = network(executor, [Dense(5), Tanh(), Dense(3)], 4)
    g = unrolled(net.backpropagate(X, y, loss=loss).gradients)
    return float(g @ g / (g @ central_differences(net, lambda n: n.loss(X, y, loss=loss), EPSILON)))


def measure(executor: Executor[Any]) -> Measured:
    return {
        "∂ over ∂ of the reported loss: its own": scikit_learn_ratio(),
        "… ours, outputs summed": our_ratio(executor, SquaredError()),
        "… ours, outputs averaged": our_ratio(executor, SquaredError(mean_outputs=True)),
    }


SOURCE = Source(
    "scikit-learn (negative)",
    "scikit-learn 1.9.1, MLPRegressor with three outputs",
    measure,
    (
        Row("∂ over ∂ of the reported loss: its own", 3.0, 1e-6),
        Row("… ours, outputs summed", 1.0, 1e-8),
        Row("… ours, outputs averaged", 1.0, 1e-8),
    ),
)
