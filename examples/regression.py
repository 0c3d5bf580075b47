"""A curve from noisy points: squared error, no activation at the end.

python examples/regression.py
"""

from __future__ import annotations

import numpy as np

import chainrule as cr


def main() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(-3, 3, (400, 1))
    y = np.sin(x) + rng.normal(0, 0.1, x.shape)
    layers = [cr.Dense(32), cr.Tanh(), cr.Dense(32), cr.Tanh(), cr.Dense(1)]
    network = cr.Network(layers, input_shape=1, seed=0)
    cr.fit(network, x, y, optimizer=cr.Adam(cr.CosineDecay(0.01)), batch_size=32, epochs=60, progress=False)
    grid = np.linspace(-3, 3, 13).reshape(-1, 1)
    for point, value in zip(grid[:, 0], network.predict(grid)[:, 0], strict=True):
        print(f"x {point:5.2f}   sin {np.sin(point):6.3f}   network {value:6.3f}")
    error = float(np.abs(network.predict(grid) - np.sin(grid)).max())
    print(f"largest difference {error:.3f}")


if __name__ == "__main__":
    main()
