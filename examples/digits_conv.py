"""scikit-learn's handwritten digits with a small convolutional network, checked before it is trained.

python examples/digits_conv.py [EPOCHS]
"""

from __future__ import annotations

import sys

import chainrule as cr
from chainrule.data import load_digits, shifted, split


def main(epochs: int = 12) -> float:
    X, y = load_digits()
    X_train, X_test, y_train, y_test = split(X, y, 0.2, seed=0, stratify=True)
    network = cr.Network(
        [
            cr.Conv2D(16, 3, padding="same"),
            cr.ReLU(),
            cr.Conv2D(32, 3, padding="same"),
            cr.ReLU(),
            cr.MaxPool2D(2),
            cr.Flatten(),
            cr.Dense(64),
            cr.ReLU(),
            cr.Dense(10),
            cr.Softmax(),
        ],
        input_shape=(8, 8, 1),
        seed=0,
    )
    print(network.summary())
    print(cr.check_gradients(network, X_train[:8], y_train[:8]))
    history = cr.fit(
        network,
        *shifted(X_train, y_train),
        penalty=cr.L2(1e-3),
        optimizer=cr.Adam(cr.CosineDecay(3e-3)),
        batch_size=32,
        epochs=epochs,
        progress=False,
    )
    print(history)
    accuracy = network.accuracy(X_test, y_test)
    print(f"test accuracy {100 * accuracy:.1f} %")
    return accuracy


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
