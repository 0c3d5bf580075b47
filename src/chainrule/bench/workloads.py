"""What `chainrule bench` and `benchmarks/` time: training steps, norms of the samples' own gradients, and
predictions.

Networks are plain data, so that a peer builds the same one without importing chainrule.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from chainrule.layers import (
    GELU,
    GRU,
    LSTM,
    BatchNorm,
    Conv1D,
    Conv2D,
    ConvTranspose2D,
    Dense,
    DepthwiseConv2D,
    Embedding,
    Flatten,
    GlobalAveragePool,
    GlobalMaxPool,
    Layer,
    LayerNorm,
    MaxPool2D,
    MultiHeadAttention,
    Parallel,
    ReLU,
    Residual,
    Sigmoid,
    Softmax,
    Tanh,
    UpSample2D,
)
from chainrule.networks.network import Network

# A layer in words, as `_BUILDERS` takes it: ("conv", filters, kernel, padding, stride=1), ("relu",), ...
Description = tuple[Any, ...]
Task = Literal["train", "norms", "predict"]


@dataclass(frozen=True)
class Workload:
    """A network, a batch size, and how many batches lie in memory: one measurement is one pass over them."""

    name: str
    title: str
    input_shape: tuple[int, ...]
    batch: int
    steps: int
    layers: tuple[Description, ...]
    task: Task = "train"

    @property
    def kinds(self) -> set[str]:
        """The kinds of layers in it."""
        return _kinds(self.layers)


def _kinds(layers: Collection[Description]) -> set[str]:
    chains = [
        chain
        for kind, *within in layers
        if kind in ("residual", "concat")
        for chain in (within if kind == "concat" else [within])
    ]
    return {str(kind) for kind, *_ in layers}.union(*map(_kinds, chains))


def _conv(
    *filters: int, kernel: int, padding: int, after: tuple[Description, ...] = (("relu",),)
) -> tuple[Description, ...]:
    """conv-ReLU per number of filters, then a pool of 2."""
    stages = [part for count in filters for part in (("conv", count, kernel, padding), *after)]
    return (*stages, ("pool", 2))


def _separable(filters: int, stride: int) -> tuple[Description, ...]:
    """A depthwise convolution, then one of one pixel, each with ReLU (MobileNet)."""
    return (("depthwise", 3, 1, stride), ("relu",), ("conv", filters, 1, 0), ("relu",))


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
_NORMALISED: tuple[Description, ...] = (
    *_conv(32, 32, kernel=3, padding=1, after=(("batchnorm",), ("relu",))),
    *_conv(64, 64, kernel=3, padding=1, after=(("batchnorm",), ("relu",))),
    *(("flatten",), ("dense", 128), ("relu",), ("dense", 10), ("softmax",)),
)
_LSTM: tuple[Description, ...] = (("lstm", 128), ("dense", 10), ("softmax",))
_ENCODER: tuple[Description, ...] = (
    ("residual", ("layernorm",), ("attention", 4)),
    ("residual", ("layernorm",), ("dense", 512), ("gelu",), ("dense", 128)),
    *(("average",), ("dense", 10), ("softmax",)),
)
_MOBILE: tuple[Description, ...] = (
    *(("conv", 32, 3, 1, 2), ("relu",)),
    *_separable(64, stride=1),
    *_separable(64, stride=2),
    *_separable(64, stride=1),
    *(("average",), ("dense", 10), ("softmax",)),
)

_CIFAR: tuple[Description, ...] = (  # of the tutorials
    *(("conv", 64, 5, 2), ("relu",), ("pool", 3, 2)),
    *(("conv", 64, 5, 2), ("relu",), ("pool", 3, 2)),
    *(("flatten",), ("dense", 384), ("relu",), ("dense", 192), ("relu",), ("dense", 10), ("softmax",)),
)
_BLOCK: tuple[Description, ...] = (
    ("residual", ("layernorm",), ("attention", 8)),
    ("residual", ("layernorm",), ("dense", 1024), ("gelu",), ("dense", 256)),
    *(("average",), ("dense", 10), ("softmax",)),
)

WORKLOADS: tuple[Workload, ...] = (
    Workload("mlp-10", "MLP 784-100-10, batch 10", (784,), 10, 300, _MLP),
    Workload("mlp-128", "MLP 784-100-10, batch 128", (784,), 128, 60, _MLP),
    Workload("mlp-big-128", "MLP 784-1024-1024-10, batch 128", (784,), 128, 12, _BIG),
    Workload("lenet-10", "LeNet conv20-conv40-100-10, batch 10", (28, 28, 1), 10, 40, _LENET),
    Workload("lenet-128", "LeNet conv20-conv40-100-10, batch 128", (28, 28, 1), 128, 8, _LENET),
    Workload("vgg-64", "VGG-ish 3→32→32→64→64→128→10, batch 64", (32, 32, 3), 64, 2, _VGG),
    Workload("depthwise", "MobileNet-like 3→32→64→64→64→10, batch 64", (32, 32, 3), 64, 4, _MOBILE),
    Workload("batchnorm", "VGG-ish with batch normalisation, batch 64", (32, 32, 3), 64, 2, _NORMALISED),
    Workload("lstm", "LSTM 64→128→10 over 64 steps, batch 64", (64, 64), 64, 2, _LSTM),
    Workload("transformer", "Transformer encoder block, width 128, batch 32", (64, 128), 32, 4, _ENCODER),
    Workload("cifar", "CIFAR net 64-64-384-192-10, batch 128", (32, 32, 3), 128, 1, _CIFAR),
    Workload("encoder", "encoder block, width 256, 8 heads, 128 steps, batch 8", (128, 256), 8, 2, _BLOCK),
    Workload(
        "lenet-norms", "samples' gradient norms, LeNet, batch 128", (28, 28, 1), 128, 8, _LENET, "norms"
    ),
)

_RESNET: tuple[Description, ...] = (
    *(("conv", 16, 3, 1), ("batchnorm",), ("relu",)),
    *(
        part
        for _ in range(3)
        for part in (
            (
                "residual",
                *(("conv", 16, 3, 1), ("batchnorm",), ("relu",), ("conv", 16, 3, 1), ("batchnorm",)),
            ),
            ("relu",),
        )
    ),
    *(("average",), ("dense", 10), ("softmax",)),
)
_TEXT: tuple[Description, ...] = (
    *(("embedding", 5000, 64), ("conv1d", 128, 5), ("relu",), ("largest",)),
    *(("dense", 64), ("relu",), ("dense", 2), ("softmax",)),
)
_STEPS: tuple[Description, ...] = (("lstm", 64), ("dense", 10), ("softmax",))

# Calls of `predict` for one sample, for a vector of samples, and for many.
PREDICTIONS: tuple[Workload, ...] = tuple(
    Workload(f"predict-{name}-{batch}", f"{title}, {batch}", shape, batch, calls, layers, "predict")
    for name, title, shape, layers in (
        ("mlp", "MLP 784-100-10", (784,), _MLP),
        ("mlp-big", "MLP 784-1024-1024-10", (784,), _BIG),
        ("cifar", "CIFAR net 64-64-384-192-10", (32, 32, 3), _CIFAR),
        ("resnet", "ResNet of 16 channels, 7 convolutions", (32, 32, 3), _RESNET),
        ("text", "convolution over text of 200 words", (200,), _TEXT),
        ("encoder", "encoder block, width 256, 8 heads, 128 steps", (128, 256), _BLOCK),
        ("lstm", "LSTM 16→64→10 over 64 steps", (64, 16), _STEPS),
    )
    for batch, calls in ((1, 64), (16, 8), (1000, 1))
)

_BUILDERS: dict[str, Callable[..., Layer]] = {
    "dense": Dense,
    "conv": lambda filters, kernel, padding, stride=1: Conv2D(
        filters, kernel, padding=padding, stride=stride
    ),
    "depthwise": lambda kernel, padding, stride: DepthwiseConv2D(kernel, padding=padding, stride=stride),
    "pool": MaxPool2D,
    "convtranspose": lambda filters, kernel, stride: ConvTranspose2D(filters, kernel, stride=stride),
    "upsample": UpSample2D,
    "conv1d": lambda filters, kernel, padding=0, stride=1, dilation=1: Conv1D(
        filters, kernel, padding=padding, stride=stride, dilation=dilation
    ),
    "embedding": Embedding,
    "average": GlobalAveragePool,
    "largest": GlobalMaxPool,
    "flatten": Flatten,
    "batchnorm": BatchNorm,
    "lstm": lambda units, layers=1: LSTM(units, layers=layers),
    "gru": lambda units, layers=1: GRU(units, layers=layers),
    "layernorm": LayerNorm,
    "attention": MultiHeadAttention,
    "gelu": GELU,
    "residual": lambda *layers: Residual(built(layers)),
    "concat": lambda *chains: Parallel([built(chain) for chain in chains], join="concat"),
    "relu": ReLU,
    "sigmoid": Sigmoid,
    "tanh": Tanh,
    "softmax": Softmax,
}


def _build(description: Description) -> Layer:
    kind, *sizes = description
    return _BUILDERS[kind](*sizes)


def built(descriptions: Collection[Description]) -> list[Layer]:
    """Layers from words."""
    return [_build(description) for description in descriptions]


def network(workload: Workload) -> Network:
    """The workload's network in chainrule, float32, seed 0."""
    return Network(built(workload.layers), input_shape=workload.input_shape, seed=0, dtype="float32")


def data(workload: Workload) -> tuple[np.ndarray, np.ndarray]:
    """`steps` batches: inputs from N(0, 1) as float32 rows, or ids, and class numbers."""
    rng = np.random.default_rng(0)
    samples = workload.batch * workload.steps
    shape = (samples, *workload.input_shape)
    kind, *sizes = workload.layers[0]
    if kind == "embedding":
        X = rng.integers(0, sizes[0], shape).astype(np.float32)
    else:
        X = rng.standard_normal(shape, dtype=np.float32)
    classes = int([layer for layer in workload.layers if layer[0] == "dense"][-1][1])
    return X, rng.integers(0, classes, samples, dtype=np.int64)
