"""The six training workloads that `chainrule bench` and `benchmarks/` time.

Networks are plain data, so that a peer builds the same one without importing chainrule.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from chainrule.layers import Conv2D, Dense, Flatten, Layer, MaxPool2D, ReLU, Sigmoid, Softmax
from chainrule.network import Network

# ("conv", filters, kernel, padding), ("pool", window), ("flatten",), ("dense", units), ("relu",), ...
Description = tuple[str | int, ...]


@dataclass(frozen=True)
class Workload:
    """A network, a batch size, and how many batches lie in memory: one measurement is one pass over them."""

    name: str
    title: str
    input_shape: tuple[int, ...]
    batch: int
    steps: int
    layers: tuple[Description, ...]

    @property
    def convolutional(self) -> bool:
        return any(layer[0] == "conv" for layer in self.layers)


def _conv(*filters: int, kernel: int, padding: int) -> tuple[Description, ...]:
    """conv-ReLU per number of filters, then a pool of 2."""
    stages = [part for count in filters for part in (("conv", count, kernel, padding), ("relu",))]
    return (*stages, ("pool", 2))


_MLP: tuple[Description, ...] = (("dense", 100), ("sigmoid",), ("dense", 10), ("softmax",))
_BIG: tuple[Description, ...] = (
    *(("dense", 1024), ("relu",)),
    *(("dense", 1024), ("relu",)),
    *(("dense", 10), ("softmax",)),
)
_LENET: tuple[Description, ...] = (
    *_conv(20, kernel=5, padding=0),
    *_conv(40, kernel=5, padding=0),
    *(("flatten",), ("dense", 100), ("relu",), ("dense", 10), ("softmax",)),
)
_VGG: tuple[Description, ...] = (
    *_conv(32, 32, kernel=3, padding=1),
    *_conv(64, 64, kernel=3, padding=1),
    *(("flatten",), ("dense", 128), ("relu",), ("dense", 10), ("softmax",)),
)

WORKLOADS: tuple[Workload, ...] = (
    Workload("mlp-10", "MLP 784-100-10, batch 10", (784,), 10, 300, _MLP),
    Workload("mlp-128", "MLP 784-100-10, batch 128", (784,), 128, 60, _MLP),
    Workload("mlp-big-128", "MLP 784-1024-1024-10, batch 128", (784,), 128, 12, _BIG),
    Workload("lenet-10", "LeNet conv20-conv40-100-10, batch 10", (28, 28, 1), 10, 40, _LENET),
    Workload("lenet-128", "LeNet conv20-conv40-100-10, batch 128", (28, 28, 1), 128, 8, _LENET),
    Workload("vgg-64", "VGG-ish 3→32→32→64→64→128→10, batch 64", (32, 32, 3), 64, 2, _VGG),
)

_BUILDERS: dict[str, Callable[..., Layer]] = {
    "dense": Dense,
    "conv": lambda filters, kernel, padding: Conv2D(filters, kernel, padding=padding),
    "pool": MaxPool2D,
    "flatten": Flatten,
    "relu": ReLU,
    "sigmoid": Sigmoid,
    "softmax": Softmax,
}


def network(workload: Workload) -> Network:
    """The workload's network in chainrule, float32, seed 0."""
    layers = [_BUILDERS[str(kind)](*sizes) for kind, *sizes in workload.layers]
    return Network(layers, input_shape=workload.input_shape, seed=0, dtype="float32")


def data(workload: Workload) -> tuple[np.ndarray, np.ndarray]:
    """`steps` batches: inputs from N(0, 1) as float32 rows, and class numbers."""
    rng = np.random.default_rng(0)
    samples = workload.batch * workload.steps
    X = rng.standard_normal((samples, *workload.input_shape), dtype=np.float32)
    classes = int([layer for layer in workload.layers if layer[0] == "dense"][-1][1])
    return X, rng.integers(0, classes, samples, dtype=np.int64)
