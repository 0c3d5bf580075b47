"""What a network at hand has, as words: which conventions and slips of the tutorials concern its reader."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from chainrule.explaining.words.derivations import kinds
from chainrule.layers import Composite, Layer
from chainrule.losses import Loss
from chainrule.losses.penalties import Penalty
from chainrule.networks.architecture import all_layers
from chainrule.networks.network import Network

# The word that a class brings, by itself or a base of it.
_BY_KIND = {
    "Dense": "dense",
    "Convolution": "conv",
    "ConvTranspose": "transposed conv",
    "Pool": "pool",
    "MaxPool2D": "max pool",
    "AveragePool2D": "average pool",
    "L2Pool2D": "l2 pool",
    "GlobalPool": "global pool",
    "GlobalMaxPool": "max pool",
    "Activation": "activation",
    "PReLU": "activation",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "ReLU": "relu",
    "Softmax": "softmax",
    "BatchNorm": "batchnorm",
    "Dropout": "dropout",
    "Flatten": "flatten",
    "Composite": "composite",
    "Recurrent": "recurrent",
    "MultiHeadAttention": "attention",
    "Embedding": "embedding",
    "Masking": "masking",
}


def features_of(network: Network, loss: Loss, penalty: Penalty | None) -> frozenset[str]:
    """The words that hold: layers ("conv", "max pool"), what they do ("overlap", "padding"), the loss
    ("pair", "squared"), the penalty ("penalty", "l2"); "any" always.
    """
    layers = list(all_layers(network.layers))
    found = {"any"}
    for layer in layers:
        found |= set(_of_layer(layer))
    if len([layer for layer in layers if "dense" in set(_of_layer(layer))]) > 1:
        found.add("hidden")
    if any(name.endswith(".b") for name in network.parameter_specs):
        found.add("bias")
    if network.differentiable:
        found.add("input gradient")
    if not any(layer.mixes_samples for layer in layers):
        found.add("samples apart")
    return frozenset(found | set(_of_loss(network.layers[-1], loss)) | set(_of_penalty(penalty)))


def _of_layer(layer: Any) -> Iterator[str]:
    for kind in kinds(layer):
        if kind in _BY_KIND:
            yield _BY_KIND[kind]
    if getattr(layer, "kinks", ()) or "PReLU" in kinds(layer):
        yield "kinks"
    if layer.spatial is True:
        yield "image"
    if isinstance(layer, Composite):
        yield "concat" if layer.join == "concat" else "sum of branches"
    if getattr(layer, "truncate", None):
        yield "truncated"
    grid = getattr(layer, "grid", None)
    if grid is None:
        return
    if "Convolution" in kinds(layer):
        if grid.padded or max(*grid.stride, *grid.dilation, layer.groups) > 1:
            yield "beyond stride 1"
        if grid.padded:
            yield "padding"
    if "Pool" in kinds(layer):
        pairs = list(zip(grid.stride, grid.kernel, strict=True))
        if any(stride < size for stride, size in pairs):
            yield "overlap"
        if any((stride, size) != (1, 2) for stride, size in pairs):
            yield "other windows"  # than those of the Tutorial: two pixels, one apart
        if grid.padded:
            yield "padded pool"


def _of_loss(last: Layer, loss: Loss) -> Iterator[str]:
    name = type(loss).__name__
    yield "pair" if loss.pairs_with(last) else "no pair"
    if "Softmax" in kinds(last):
        yield "softmax output"
    elif "Activation" in kinds(last):
        yield "elementwise output"
    if name in ("CrossEntropy", "BinaryCrossEntropy"):
        yield "cross-entropy"
    if name == "BinaryCrossEntropy":
        yield "binary"
    if name == "SquaredError":
        yield "squared"
    yield "mean over outputs" if getattr(loss, "mean_outputs", False) else "sum over outputs"
    if getattr(loss, "label_smoothing", 0):
        yield "label smoothing"


def _of_penalty(penalty: Penalty | None) -> Iterator[str]:
    if penalty is None:
        return
    yield "penalty"
    yield {"L2": "l2", "L1": "l1", "ElasticNet": "elastic net"}.get(type(penalty).__name__, "other penalty")
    yield "per sample" if getattr(penalty, "per_sample", False) else "not per sample"
