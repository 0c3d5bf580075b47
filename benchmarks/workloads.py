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
    """What a worker does, and on what.

    layers: in words, as chainrule.bench.workloads has them: ("conv", filters, kernel, padding, stride=1).
    task: "train", or "norms" of the samples' own gradients.
    X, y: batch * steps samples as rows, images (N, H, W, C); y are class numbers.
    parameters: by chainrule's names, in its layouts: conv1.W (filters, kernel, kernel, channels / groups),
        dense1.W (units, inputs).
    """

    name: str
    input_shape: tuple[int, ...]
    batch: int
    steps: int
    layers: tuple[tuple[Any, ...], ...]
    task: str
    X: np.ndarray
    y: np.ndarray
    parameters: dict[str, np.ndarray]

    @property
    def weights(self) -> tuple[dict[str, np.ndarray], ...]:
        """The parameters of each layer that has any, in order."""
        grouped: dict[str, dict[str, np.ndarray]] = {}
        for full, array in self.parameters.items():
            layer, _, name = full.rpartition(".")
            grouped.setdefault(layer, {})[name] = array
        return tuple(grouped.values())


PARAMETER = "parameter/"


def write(workload: Any, folder: Path) -> Path:
    """Save one of chainrule.bench.workloads: description, data, and the weights chainrule starts from."""
    from chainrule.bench.workloads import data, network

    X, y = data(workload)
    arrays = {PARAMETER + name: value for name, value in network(workload).parameters.items()}
    path = folder / f"{workload.name}.npz"
    np.savez(path, description=np.array(json.dumps(asdict(workload))), X=X, y=y, **arrays)
    return path


def read(path: str | Path) -> Problem:
    with np.load(path) as file:
        told = json.loads(str(file["description"]))
        parameters = {
            name.removeprefix(PARAMETER): file[name] for name in file.files if name.startswith(PARAMETER)
        }
        X, y = file["X"], file["y"]
    shape, layers = tuple(told["input_shape"]), _tuples(told["layers"])
    return Problem(told["name"], shape, told["batch"], told["steps"], layers, told["task"], X, y, parameters)


def _tuples(value: Any) -> Any:
    """JSON's lists as the tuples they were."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
