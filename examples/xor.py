"""Exclusive or: the smallest problem that needs a hidden layer.

python examples/xor.py
"""

from __future__ import annotations

import numpy as np

import chainrule as cr


def main() -> None:
    X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.float64)
    y = np.array([0, 1, 1, 0], dtype=np.float64)
    network = cr.Network([cr.Dense(8), cr.Tanh(), cr.Dense(1), cr.Sigmoid()], input_shape=2, seed=1)
    history = cr.fit(network, X, y, optimizer=cr.Adam(0.05), batch_size=4, epochs=300, progress=False)
    print(f"loss {history.loss[0]:.3f} at the start, {history.loss[-1]:.3f} after {len(history)} epochs")
    for row, output in zip(X, network.predict(X), strict=True):
        print(f"{row[0]:.0f} xor {row[1]:.0f} = {output[0]:.3f}")


if __name__ == "__main__":
    main()
