"""Random networks, data and settings, each trained by 1, 2, 3, 4 and 8 ranks: one model, to the last bit.

`python -m tests.distributed.random_fits --count 500` is the long form.
"""

from __future__ import annotations

import argparse
import warnings
from typing import Any

import numpy as np

import chainrule as cr
from chainrule.distributed import Alone, Communicator
from tests.distributed.threads import on_ranks

SIZES = (2, 3, 4, 8)
CLASSES = 3
Problem = tuple[cr.Network, Any, Any, dict[str, Any]]


def layers_of(kind: str, rng: np.random.Generator) -> tuple[list[Any], tuple[int, ...]]:
    """All but the head, and the shape of a sample."""

    def norm() -> list[Any]:
        return [[], [cr.BatchNorm()], [cr.LayerNorm()]][rng.integers(3)]

    def act() -> Any:
        return [cr.ReLU, cr.Tanh, cr.GELU, cr.Sigmoid][rng.integers(4)]()

    drop = [cr.Dropout(0.3)] if rng.random() < 0.5 else []
    width = int(rng.integers(4, 40))
    if kind == "dense":
        return [cr.Dense(width), *norm(), act(), *drop, cr.Dense(7), *norm(), act()], (6,)
    if kind == "images":
        padding = ["same", "valid"][rng.integers(2)]
        convolved = [cr.Conv2D(width % 8 + 2, 3, padding=padding), *norm(), act(), *drop]
        return [*convolved, cr.MaxPool2D(2), cr.Flatten(), *norm()], (6, 6, 2)
    return [[cr.LSTM, cr.GRU][rng.integers(2)](width % 8 + 2), *drop], (5, 4)


def problem(seed: int) -> Problem:
    rng = np.random.default_rng(seed)

    def often(options: dict[str, Any], share: float) -> dict[str, Any]:
        return options if rng.random() < share else {}

    kind = ["dense", "images", "sequences"][seed % 3]
    layers, shape = layers_of(kind, rng)
    rows, batch = int(rng.choice([5, 50, 131, 203])), int(rng.choice([2, 7, 33, 64, 128]))
    while 1 in (rows % batch, (rows - round(0.2 * rows)) % batch):  # BatchNorm refuses a batch of one
        batch += 1
    X, labels = rng.standard_normal((rows, *shape)), np.arange(rows) % CLASSES
    classify = rng.random() < 0.7
    layers += [cr.Dense(CLASSES), cr.Softmax()] if classify else [cr.Dense(2)]
    y = labels if classify else rng.standard_normal((rows, 2))
    rate: Any = [0.02, cr.CosineDecay(0.02)][rng.integers(2)]
    clip = often({"clip_norm": 0.3}, 0.4)
    makers = [
        lambda: cr.Adam(rate, **clip),
        lambda: cr.SGD(rate, momentum=0.9, **clip),
        lambda: cr.AdamW(rate, **clip),
        lambda: cr.RMSProp(rate, **clip),
    ]
    options = {
        "batch_size": batch, "epochs": 2, "seed": int(rng.integers(9)),
        "optimizer": makers[rng.integers(4)](),
        **often({"validation": 0.2, "early_stopping": 1}, 0.4 * (rows > 5)),
        **often({"penalty": cr.L2(1e-3)}, 0.3),
        **often({"constraint": cr.MaxNorm(0.8)}, 0.3),
        **often({"accumulate": 2}, 0.25),
        **often({"sample_weight": rng.random(rows) + 0.01}, 0.3),
        **often({"class_weight": "balanced"}, 0.3 * classify),
        **often({"shuffle": False}, 0.2),
    }  # fmt: skip
    of_network = {"input_shape": shape, "seed": seed, "dtype": ["float32", "float64"][rng.integers(2)]}
    return cr.Network(layers, **of_network), X.astype(np.float32), y, options


def trained(comm: Communicator, seed: int) -> list[bytes]:
    network, X, y, options = problem(seed)
    history = cr.fit(network, X, y, comm=comm, threads=1, progress=False, **options)
    told = repr([history.loss, history.accuracy, history.validation_loss, history.stopped])
    return [told.encode(), *(array.tobytes() for array in network.parameters.values())]


def assert_same_bits(seed: int) -> None:
    shards = (2, 4, 8, 16)[seed % 4]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of fit, on labels and sizes
        expected = trained(Alone(shards), seed)
        for size in SIZES:
            found = on_ranks(size, lambda comm: trained(comm, seed), shards)
            assert found == [expected] * size, (seed, size, problem(seed))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--first", type=int, default=0)
    asked = parser.parse_args()
    for seed in range(asked.first, asked.first + asked.count):
        assert_same_bits(seed)
    print(f"{asked.count} networks, each by 1, {', '.join(map(str, SIZES))} ranks: the same bits")


if __name__ == "__main__":
    main()
