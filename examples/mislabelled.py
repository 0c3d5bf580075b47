"""Find wrong labels by the gradients of single samples.

Every twentieth of scikit-learn's digits gets a wrong label. A small network trains for a few epochs, too few
to learn samples by heart; then a sample that pulls at the weights much harder than most is suspicious.

    python examples/mislabelled.py
"""

from __future__ import annotations

import numpy as np

import chainrule as cr
from chainrule.data import load_digits


def main(epochs: int = 10) -> float:
    X, y = load_digits()
    rng = np.random.default_rng(0)
    count = len(X) // 20
    flipped = rng.choice(len(X), count, replace=False)
    labels = y.copy()
    labels[flipped] = (y[flipped] + rng.integers(1, 10, count)) % 10

    layers = [cr.Conv2D(16, 3), cr.ReLU(), cr.MaxPool2D(2), cr.Flatten(), cr.Dense(10), cr.Softmax()]
    network = cr.Network(layers, input_shape=(8, 8, 1), seed=0)
    cr.fit(network, X, labels, epochs=epochs, progress=False)

    norms = network.backpropagate(X, labels).per_sample_norms()  # ‖∂J_i/∂θ‖ of every sample i, (1797,)
    suspects = np.argsort(norms)[::-1][:count]
    found = len(np.intersect1d(suspects, flipped))
    print(f"median norm {np.median(norms):.2f}, of the wrong labels {np.median(norms[flipped]):.2f}")
    print(f"of {count} wrong labels {found} are among the {count} largest norms")
    return found / count


if __name__ == "__main__":
    main()
