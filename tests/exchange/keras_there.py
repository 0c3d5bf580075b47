"""Keras's weights, with the real library: `KERAS_BACKEND=torch python -m tests.exchange.keras_there`.

The suite has no Keras. Models with drawn weights beside networks of the same layers that take them: as a
list, from .npz, .h5, .weights.h5 and .keras; and networks whose weights the models take.
"""

# mypy: ignore-errors

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import keras
import numpy as np
from keras import layers as K

import chainrule as cr

TOLERANCE = 1e-5


def pairs():
    """name -> (Keras's layers, ours, a sample's shape)"""
    image, steps = (8, 7, 3), (6, 4)
    yield "mlp", [K.Dense(5, activation="tanh"), K.Dense(3)], [cr.Dense(5), cr.Tanh(), cr.Dense(3)], (4,)
    yield (
        "cnn",
        [
            K.Conv2D(4, 3),
            K.BatchNormalization(epsilon=1e-5),
            K.PReLU(shared_axes=[1, 2]),
            K.Flatten(),
            K.Dense(5),
        ],
        [cr.Conv2D(4, 3), cr.BatchNorm(), cr.PReLU(), cr.Flatten(), cr.Dense(5)],
        image,
    )
    yield (
        "parts",
        [K.Conv2D(4, 3), K.AdaptiveMaxPooling2D((4, 7)), K.AdaptiveAveragePooling2D(3), K.Conv2D(5, 3)],
        [cr.Conv2D(4, 3), cr.AdaptiveMaxPool2D((4, 7)), cr.AdaptiveAveragePool2D(3), cr.Conv2D(5, 3)],
        image,
    )
    yield (
        "windows",
        [
            K.DepthwiseConv2D(2, depth_multiplier=2),
            K.Conv2D(6, 2, groups=2),
            K.Conv2DTranspose(3, 2, strides=2),
        ],
        [cr.DepthwiseConv2D(2, multiplier=2), cr.Conv2D(6, 2, groups=2), cr.ConvTranspose2D(3, 2, stride=2)],
        image,
    )
    yield (
        "steps",
        [K.Conv1D(6, 2, use_bias=False), K.LayerNormalization(epsilon=1e-5),
         K.SimpleRNN(5, return_sequences=True), K.Bidirectional(K.LSTM(3, return_sequences=True)),
         K.GRU(4), K.Dense(2)],
        [cr.Conv1D(6, 2, bias=False), cr.LayerNorm(), cr.RNN(5, outputs="all"),
         cr.Bidirectional(cr.LSTM(3, outputs="all")), cr.GRU(4), cr.Dense(2)],
        steps,
    )  # fmt: skip
    yield (
        "gru before",
        [K.GRU(4, reset_after=False, return_sequences=True), K.GRU(3, use_bias=False)],
        [cr.GRU(4, reset_after=False, outputs="all"), cr.GRU(3, bias=False)],
        steps,
    )
    yield "norms", [K.GroupNormalization(2, epsilon=1e-5)], [cr.GroupNorm(2)], (3, 4)


def drawn(model):
    r = np.random.default_rng(1)
    arrays = []
    for variable, array in zip(model.weights, model.get_weights(), strict=True):
        signs = [1] if "variance" in variable.path else [-1, 1]
        arrays.append(r.uniform(0.2, 1, array.shape) * r.choice(signs, array.shape))
    model.set_weights(arrays)
    return model


def main() -> int:
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, theirs, ours, shape in pairs():
            model = drawn(keras.Sequential([K.Input(shape), *theirs]))
            X = np.random.default_rng(0).normal(size=(3, *shape)).astype(np.float32)
            expected = np.asarray(model.predict(X, verbose=0))
            network = cr.Network(ours, input_shape=shape)
            np.savez(Path(folder) / "w.npz", *model.get_weights())
            files = [str(Path(folder) / f"w{suffix}") for suffix in (".npz", ".weights.h5", ".h5", ".keras")]
            model.save_weights(files[1])
            model.save(files[2])
            model.save(files[3])
            for source in (model.get_weights(), *files):
                fresh = network.copy()
                fresh.set_parameters({key: 0 * array for key, array in fresh.parameters.items()})
                fresh.set_keras_weights(source)
                apart = np.abs(fresh.predict(X) - expected).max() / max(1, np.abs(expected).max())
                wrong += not apart < TOLERANCE
                print("ok   " if apart < TOLERANCE else "WRONG", name, str(source)[-12:], f"{apart:.1e}")
            model.set_weights(cr.Network(ours, input_shape=shape, seed=3).keras_weights())
            apart = np.abs(
                cr.Network(ours, input_shape=shape, seed=3).predict(X) - model.predict(X, verbose=0)
            ).max()
            wrong += not apart < TOLERANCE
            print("ok   " if apart < TOLERANCE else "WRONG", name, "and back", f"{apart:.1e}")
    x = K.Input((5, 8))
    attending = drawn(keras.Model(x, K.MultiHeadAttention(2, 4)(x, x)))
    X = np.random.default_rng(0).normal(size=(3, 5, 8)).astype(np.float32)
    network = cr.Network([cr.MultiHeadAttention(2)], input_shape=(5, 8))
    network.set_keras_weights(attending.get_weights())
    apart = np.abs(network.predict(X) - attending.predict(X, verbose=0)).max()
    wrong += not apart < TOLERANCE
    print("ok   " if apart < TOLERANCE else "WRONG", "attention", f"{apart:.1e}")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
