"""Five reports: the derivation of five networks, with their numbers, as pages to be read.

    python examples/reports.py [FOLDER] [--markdown]

Pages that compute, or Markdown with pictures beside it: docs/reports holds the latter.

1  the dense network of the tutorials, tanh and softmax, on exclusive or with three classes
2  Ng's check network: 3-5-3 sigmoids, his weights, λ/2m
3  the convolutional network of 6x6 pixels and three digits, on 36 digits written for it below
4  a LeNet on scikit-learn's digits, if scikit-learn is installed
5  a residual network whose branches meet
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import chainrule as cr

CHOSEN = [0, 15, 27]  # a 1, a 2 and a 3
# 1, 2 and 3 as a person writes them into 6x6 boxes, four ways each.
DIGITS = """
..##.. ..#... ...#.. ..##..
..##.. .##... ..##.. .###..
...#.. ..#... ...#.. ..#...
...#.. ..#... ...#.. ..#...
...#.. ..#... ...#.. ..#...
..###. .###.. ..###. .####.

.####. ..##.. .###.. .####.
.#..#. .#..#. ....#. .....#
....#. ....#. ...##. ....#.
..##.. ...#.. ..#... ..##..
.#.... ..#... .#.... .#....
.####. .####. .####. .#####

.####. ..##.. .###.. .#####
....#. .#..#. ....#. ....#.
..##.. ...#.. ..##.. ...##.
....#. ....#. ....#. .....#
.#..#. .#..#. ....#. .#...#
.####. ..##.. .###.. ..###.
"""


def written_digits() -> tuple[np.ndarray, np.ndarray]:
    """(36, 6, 6, 1) and the labels: every digit as it is, and with two kinds of pale ink."""
    blocks = [block.split("\n") for block in DIGITS.strip().split("\n\n")]
    images, labels = [], []
    for digit, block in enumerate(blocks, 1):
        for way in range(4):
            pixels = np.array([[mark == "#" for mark in line.split()[way]] for line in block], float)
            for ink in (1.0, 0.8, 0.6):
                images.append(ink * pixels)
                labels.append(digit)
    return np.array(images)[..., None], np.array(labels)


def dense() -> cr.Report:
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (240, 2))
    y = np.where(np.hypot(X[:, 0], X[:, 1]) < 0.5, 2, (X[:, 0] > 0) ^ (X[:, 1] > 0)).astype(int)
    layers = [cr.Dense(8), cr.Tanh(), cr.Dense(3), cr.Softmax()]
    network = cr.Network(layers, input_shape=2, seed=1, name="Dense, tanh and softmax")
    cr.fit(network, X, y, optimizer=cr.Adam(0.03), epochs=40, progress=False)
    return cr.explain(network, X[:6], y[:6], penalty=cr.L2(1e-3))


def ng() -> cr.Report:
    def debug(rows: int, columns: int) -> np.ndarray:
        return np.sin(np.arange(1, rows * columns + 1)).reshape(columns, rows).T / 10

    network = cr.Network.from_theta([debug(5, 4), debug(3, 6)])
    network.name = "Ng's check network"
    X, y = debug(5, 3), 1 + np.arange(1, 6) % 3
    return cr.explain(network, X, np.eye(3)[y - 1], penalty=cr.L2(3.0, per_sample=True), notation="ng")


def conv() -> cr.Report:
    X, y = written_digits()
    layers = [cr.Conv2D(3, 3), cr.Sigmoid(), cr.MaxPool2D(2), cr.Flatten(), cr.Dense(3), cr.Sigmoid()]
    network = cr.Network(layers, input_shape=(6, 6, 1), seed=3, name="Three digits in 6x6 pixels")
    cr.fit(network, X, y, loss=cr.SquaredError(), optimizer=cr.Adam(0.02), epochs=300, progress=False)
    return cr.explain(network, X[CHOSEN], y[CHOSEN], loss=cr.SquaredError())


def lenet() -> cr.Report:
    X, y = cr.data.load_digits()
    layers = [
        *(cr.Conv2D(8, 3, padding="same"), cr.ReLU(), cr.MaxPool2D(2)),
        *(cr.Conv2D(16, 3, padding="same"), cr.ReLU(), cr.MaxPool2D(2)),
        *(cr.Flatten(), cr.Dense(32), cr.ReLU(), cr.Dense(10), cr.Softmax()),
    ]
    network = cr.Network(layers, input_shape=(8, 8, 1), seed=0, name="A LeNet on digits")
    cr.fit(network, X[:1400], y[:1400], optimizer=cr.Adam(2e-3), epochs=8, progress=False)
    wrong = np.flatnonzero(network.classify(X[1400:]) != y[1400:])[:3] + 1400
    return cr.explain(network, X[wrong], y[wrong], learning_rate=0.01)


def residual() -> cr.Report:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 6))
    y = np.stack([X[:, 0] * X[:, 1], np.sin(X[:, 2]) + X[:, 3]], axis=1)
    layers = [
        cr.Dense(8),
        cr.Residual([cr.Dense(8), cr.ReLU(), cr.Dense(8)]),
        cr.Parallel([[cr.Dense(4), cr.Tanh()], [cr.Dense(4), cr.ReLU()]], join="concat"),
        cr.Dense(2),
    ]
    network = cr.Network(layers, input_shape=6, seed=0, name="Residual and parallel branches")
    cr.fit(network, X, y, optimizer=cr.Adam(0.01), epochs=60, progress=False)
    return cr.explain(network, X[:4], y[:4], penalty=cr.L2(1e-4))


REPORTS = {"dense": dense, "ng": ng, "conv": conv, "lenet": lenet, "residual": residual}


def main(folder: Path, *, markdown: bool = False) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    ending = "md" if markdown else "html"
    for name, make in REPORTS.items():
        try:
            report = make()
        except cr.MissingExtraError as error:
            print(f"{name}: left out, {error}")
            continue
        path = folder / f"{name}.{ending}"
        if markdown:
            report.markdown(path)
        else:
            report.html(path)
        print(f"{path}: {report!r}")


if __name__ == "__main__":
    given = [argument for argument in sys.argv[1:] if argument != "--markdown"]
    main(Path(given[0] if given else "reports"), markdown="--markdown" in sys.argv)
