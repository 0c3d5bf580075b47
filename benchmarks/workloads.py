"""A workload as every peer receives it: the network in words, the batches, the weights to start from.

Written once per run by the harness, read by each worker, so that all train the same network on the same data.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

RATE = 0.001  # of plain gradient descent, for everybody; at 0.01 the VGG-ish network's loss rises at first


@dataclass(frozen=True)
class Problem:
    """What a worker trains.

    layers: ("conv", filters, kernel, padding), ("pool", window), ("flatten",), ("dense", units), ("relu",)
    X, y: batch * steps samples as rows, images (N, H, W, C); y are class numbers.
    weights: (W, b) per conv and dense layer; W (units, inputs) or (filters, kernel, kernel, channels).
    """

    name: str
    input_shape: tuple[int, ...]
    batch: int
    steps: int
    layers: tuple[tuple[Any, ...], ...]
    X: np.ndarray
    y: np.ndarray
    weights: tuple[tuple[np.ndarray, np.ndarray], ...]

    @property
    def convolutional(self) -> bool:
        return len(self.input_shape) == 3


def write(workload: Any, folder: Path) -> Path:
    """Save one of chainrule.bench.workloads: description, data, and the weights chainrule starts from."""
    from chainrule.bench.workloads import data, network

    X, y = data(workload)
    arrays = {name.replace(".", "_"): value for name, value in network(workload).parameters.items()}
    path = folder / f"{workload.name}.npz"
    np.savez(path, description=np.array(json.dumps(asdict(workload))), X=X, y=y, **arrays)
    return path


def read(path: str | Path) -> Problem:
    with np.load(path) as file:
        told = json.loads(str(file["description"]))
        names = [name for name in file.files if name.endswith("_W")]
        weights = tuple((file[name], file[name.removesuffix("W") + "b"]) for name in names)
        X, y = file["X"], file["y"]
    layers = tuple(tuple(layer) for layer in told["layers"])
    return Problem(
        told["name"], tuple(told["input_shape"]), told["batch"], told["steps"], layers, X, y, weights
    )
