"""`like=`: a layer as it is, or a name and options as people write them, and what only the arrays tell."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import permutations, product
from typing import Any

from chainrule.base.errors import ArgumentError, ChainruleError
from chainrule.base.types import Array
from chainrule.layers import Layer, layer_classes

# Names of layers as other libraries write them.
ALIASES = {
    "linear": "Dense", "affine": "Dense", "fc": "Dense", "fullyconnected": "Dense", "conv": "Conv2D",
    "convolution": "Conv2D", "convolution2d": "Conv2D", "convtranspose": "ConvTranspose2D",
    "deconv": "ConvTranspose2D", "maxpool": "MaxPool2D", "maxpooling2d": "MaxPool2D", "max_pool": "MaxPool2D",
    "avgpool": "AveragePool2D", "averagepool": "AveragePool2D", "avgpool2d": "AveragePool2D",
    "meanpool": "AveragePool2D", "averagepooling2d": "AveragePool2D", "l2pool": "L2Pool2D",
    "avgpool1d": "AveragePool1D", "batchnorm1d": "BatchNorm", "batchnorm2d": "BatchNorm",
    "batchnormalization": "BatchNorm", "layernormalization": "LayerNorm", "groupnormalization": "GroupNorm",
    "swish": "SiLU", "leaky": "LeakyReLU", "rectifier": "ReLU", "logistic": "Sigmoid", "elman": "RNN",
    "vanillarnn": "RNN", "simplernn": "RNN", "selfattention": "MultiHeadAttention",
    "multiheadattention": "MultiHeadAttention", "mha": "MultiHeadAttention", "hardswish": "HardSwish",
    "positional": "PositionalEncoding", "globalavgpool": "GlobalAveragePool", "inverteddropout": "Dropout",
}  # fmt: skip
WORDS = {
    "pad": ("padding",), "kernel": ("kernel_size", "window"), "kernel_size": ("window",),
    "pool_size": ("window",), "size": ("window",), "eps": ("epsilon",), "p": ("rate",), "drop": ("rate",),
    "num_heads": ("heads",), "n_heads": ("heads",), "num_groups": ("groups",), "hidden_size": ("units",),
    "num_embeddings": ("vocabulary",), "embedding_dim": ("features",), "negative_slope": ("slope",),
    "alpha": ("slope",), "is_causal": ("causal",), "strides": ("stride",), "dilation_rate": ("dilation",),
    "G": ("groups",), "margin": ("delta",), "reg": ("lam",),
    "weights": ("weight",), "class_weight": ("weight",), "padding_idx": ("padding",),
}  # fmt: skip


def plain(name: str) -> str:
    """A name without what libraries differ in: case, underscores, blanks, hyphens."""
    return "".join(letter for letter in name.lower() if letter not in "_- ")


def layer_class(name: str) -> type[Layer] | None:
    """The class of layers that a name means; None: no layer's."""
    by_word = {plain(known): kind for known, kind in layer_classes.items()}
    word = plain(name)
    return by_word.get(word) or by_word.get(plain(ALIASES.get(word, "")))


def own_options(make: Any, title: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options by our names. Raises ArgumentError for one that `make` does not take."""
    accepted = [name for name in inspect.signature(make).parameters if name != "name"]
    named = {}
    for name, value in options.items():
        word = next((word for word in (name, *WORDS.get(name, ())) if word in accepted), None)
        if word is None:
            raise ArgumentError(
                f"verify takes no {name!r} for {title}; its options are {', '.join(accepted)}"
            )
        named[word] = value
    return named


def layers_like(
    make: Callable[..., Layer], options: dict[str, Any], args: Sequence[Array]
) -> Iterator[Layer]:
    """The layers that a class and options may mean, its sizes read off the arguments."""
    made = set()
    for words in _sizes(make.__name__, args, options):
        for bias in _biases(make, words, options, len(args)):
            try:
                layer = make(**{**words, **bias, **options})
            except (TypeError, ValueError, ChainruleError):
                continue
            if repr(layer) not in made:
                made.add(repr(layer))
                yield layer


def _biases(make: Any, words: Any, options: Any, count: int) -> list[dict[str, bool]]:
    if "bias" in options or "bias" not in inspect.signature(make).parameters:
        return [{}]
    if make.__name__ == "MultiHeadAttention":
        return [{"bias": count > 5}]
    return [{"bias": count > 2}]


def _sizes(name: str, args: Sequence[Array], options: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Arguments that only the arrays tell: units of a dense layer, filters and kernel of a convolution."""
    rest = [value for value in args[1:] if value.ndim] or list(args[1:])
    axes = list(dict.fromkeys(size for value in args for size in value.shape))
    if name == "Dense":
        yield from ({"units": size} for size in axes)
    elif name in ("Conv1D", "Conv2D", "ConvTranspose1D", "ConvTranspose2D", "DepthwiseConv2D"):
        spatial = 1 if name.endswith("1D") else 2
        for weights in (value for value in rest if value.ndim == spatial + 2 or value.ndim == spatial + 1):
            kernels = dict.fromkeys(permutations(weights.shape, spatial))
            for kernel in kernels:
                size = kernel if spatial == 2 else kernel[0]
                if name == "DepthwiseConv2D":
                    yield {"kernel_size": size}
                else:
                    yield from (
                        {"filters": filters, "kernel_size": size} for filters in dict.fromkeys(weights.shape)
                    )
    elif name in ("RNN", "LSTM", "GRU"):
        outputs = [options["outputs"]] if "outputs" in options else ["all", "last"]
        yield from ({"units": size, "outputs": what} for size, what in product(axes, outputs))
    elif name == "Embedding":
        tables = [value for value in args if value.dtype.kind == "f" and value.ndim == 2]
        for table, order in product(tables, (1, -1)):
            yield dict(zip(("vocabulary", "features"), table.shape[::order], strict=True))
    elif name == "MultiHeadAttention" and "heads" not in options:
        yield {"heads": 1}
    else:
        yield {}
