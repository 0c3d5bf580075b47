"""A layer of your own: formulas only. It trains, its gradient is checked, and its formulas print.

The layer is x -> s * x + t with one scale and one shift per feature. Inside a layer samples are columns: x is
(features, m), and a vector of one value per feature is added to all of them with `broadcast_samples`.

    python examples/own_layer.py
"""

from __future__ import annotations

from typing import Any

import numpy as np

import chainrule as cr
from chainrule.formulas import broadcast_samples, sum_samples, trace
from chainrule.layers import Layer, Parameter
from chainrule.layers.initializers import Ones, Zeros


class Scale(Layer):
    """s * x + t, one s and one t per feature: (features, m) -> (features, m)."""

    kind = "scale"

    def parameters(self, input_shape: tuple[int, ...]) -> dict[str, Parameter]:
        return {
            "s": Parameter(input_shape, initializer=Ones(), penalised=False),
            "t": Parameter(input_shape, initializer=Zeros(), penalised=False),
        }

    def forward(self, x: Any, s: Any, t: Any) -> Any:
        return broadcast_samples(s) * x + broadcast_samples(t)

    def delta(self, d: Any, s: Any) -> Any:
        return broadcast_samples(s) * d

    def gradients(self, d: Any, x: Any) -> dict[str, Any]:
        return {"s": sum_samples(d * x), "t": sum_samples(d)}


def main() -> bool:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3)) * [1.0, 10.0, 0.1]
    y = (X[:, 0] + X[:, 1] / 10 > 0).astype(np.int64)
    layers = [Scale(), cr.Dense(16), cr.Tanh(), cr.Dense(2), cr.Softmax()]
    network = cr.Network(layers, input_shape=3, seed=0)
    print(trace(Scale()))
    report = cr.check_gradients(network, X[:8], y[:8])
    print(report)
    cr.fit(network, X, y, optimizer=cr.Adam(0.01), batch_size=20, epochs=20, progress=False)
    print(f"training accuracy {100 * network.accuracy(X, y):.1f} %")
    return bool(report.ok)


if __name__ == "__main__":
    main()
