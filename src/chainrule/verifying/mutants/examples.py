"""A layer of every class on a small sample, of sizes that differ from each other: what has the same size
cannot always be told apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from chainrule.base.errors import ChainruleError
from chainrule.formulas.primitives.edges import MODES
from chainrule.layers import Layer, layer_classes
from chainrule.verifying.meanings.named import called, layer_class, own_options

SAMPLES = 3
VECTOR, SEQUENCE, IMAGE = (4,), (9, 4), (8, 7, 4)


@dataclass(frozen=True)
class Example:
    """The options of a layer, and the shape of a sample that it takes.

    empty: how many of the first sample's steps are 0, for a layer that looks for them.
    """

    shape: tuple[int, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    empty: int = 0

    def layer(self, kind: str) -> Layer:
        """The layer itself."""
        return layer_classes[kind](**self.options)


CONVOLUTION, KERNELS = {"filters": 5, "kernel_size": (2, 3)}, {"filters": 5, "kernel_size": 3}
# The first of a class is the plain one; the others have what else its formulas can have.
EXAMPLES: dict[str, tuple[Example, ...]] = {
    "Dense": (Example(VECTOR, {"units": 5}),),
    "DenseTranspose": (Example(VECTOR, {"units": 5}),),
    "Conv1D": (Example(SEQUENCE, KERNELS), Example(SEQUENCE, {**KERNELS, "stride": 2, "padding": 1})),
    "Conv2D": (
        Example(IMAGE, CONVOLUTION),
        Example((7, 6, 4), {**CONVOLUTION, "stride": 2, "padding": 1}),
        Example((7, 6, 4), {"filters": 5, "kernel_size": (2, 3), "dilation": 2}),
        Example((6, 5, 4), {"filters": 6, "kernel_size": (2, 3), "groups": 2}),
    ),
    "DepthwiseConv2D": (
        Example(IMAGE, {"kernel_size": (2, 3)}),
        Example((7, 6, 4), {"kernel_size": (2, 3), "stride": 2, "padding": 1, "multiplier": 2}),
    ),
    "ConvTranspose1D": (Example((6, 4), KERNELS), Example((5, 4), {**KERNELS, "stride": 2, "padding": 1})),
    "ConvTranspose2D": (
        Example((6, 7, 4), CONVOLUTION),
        Example((5, 6, 4), {**CONVOLUTION, "stride": 2, "padding": 1}),
    ),
    **{
        kind: (
            Example((8, 6, 4), {"window": 2}),
            Example((7, 8, 4), {"window": 3, "stride": 2}),
            Example((5, 6, 4), {"window": (2, 3), "stride": 1, "padding": 1}),
        )
        for kind in ("MaxPool2D", "AveragePool2D", "L2Pool2D")
    },
    **{
        kind: (Example((8, 4), {"window": 2}), Example((9, 4), {"window": 3, "stride": 2, "padding": 1}))
        for kind in ("MaxPool1D", "AveragePool1D", "L2Pool1D")
    },
    **{
        f"Adaptive{kind}Pool{n}D": (Example((*shape, 3), {"size": size}),)
        for kind in ("Average", "Max")
        for n, shape, size in ((1, (7,), 3), (2, (5, 7), (3, 4)), (3, (3, 4, 2), (2, 3, "same")))
    },
    "Conv3D": (Example((4, 3, 5, 2), {"filters": 3, "kernel_size": (2, 1, 3)}),),
    "ConvTranspose3D": (Example((2, 3, 4, 2), {"filters": 3, "kernel_size": (1, 2, 3)}),),
    **{
        kind: (Example((4, 3, 4, 2), {"window": (2, 1, 2)}),)
        for kind in ("MaxPool3D", "AveragePool3D", "L2Pool3D")
    },
    "MaxUnpool1D": (Example((18,), {"window": 3, "sources": ((2, 2), (7, 2))}),),
    "MaxUnpool2D": (Example((72,), {"window": 2, "sources": ((2, 2, 3), (5, 4, 3))}),),
    "MaxUnpool3D": (Example((52,), {"window": 2, "sources": ((1, 2, 1, 2), (2, 4, 3, 2))}),),
    "LpPool3D": (Example((4, 2, 2, 3), {"p": 3, "window": 2}),),
    "Pad3D": (Example((2, 3, 4, 2), {"padding": (0, 1, 2)}),),
    "Crop3D": (Example((3, 5, 4, 2), {"cropping": (1, 2, 0)}),),
    "UpSample3D": (Example((2, 3, 2, 2), {"size": (2, 1, 3)}),),
    "LpPool1D": (Example((9, 4), {"p": 3, "window": 3, "stride": 2}),),
    "LpPool2D": (Example((4, 6, 3), {"p": 3, "window": 2}),),
    "Pad1D": (Example((6, 4), {"padding": (2, 1)}), Example((6, 4), {"padding": 2, "mode": "reflect"})),
    "Pad2D": (
        Example((5, 6, 4), {"padding": (1, 2)}),
        *(Example((5, 6, 4), {"padding": (1, 2), "mode": mode}) for mode in MODES),
    ),
    "Crop1D": (Example((7, 4), {"cropping": (2, 1)}),),
    "Crop2D": (Example((6, 7, 4), {"cropping": (1, 2)}),),
    "UpSample1D": (Example((5, 4), {"size": 3}),),
    "UpSample2D": (Example((4, 5, 3), {"size": (2, 3)}),),
    "Permute": (Example((3, 4, 2), {"order": (2, 0, 1)}),),
    "Reshape": (Example((3, 4, 2), {"shape": (2, 12)}),),
    "Resample": (Example((4, 3), {"axis": 0, "weights": ((0.5, 0.5, 0, 0), (0, 0, 1, 0), (0, 0, 0.25, 2))}),),
    "PixelShuffle": (Example((3, 4, 8), {"block": 2}),),
    "GlobalAveragePool": (Example((5, 6, 4)),),
    "GlobalMaxPool": (Example((5, 6, 4)),),
    "Flatten": (Example((5, 6, 4)),),
    "BatchNorm": (Example(VECTOR), Example((5, 6, 4))),
    "LayerNorm": (Example(VECTOR),),
    "GroupNorm": (Example((6,), {"groups": 2}),),
    "InstanceNorm": (Example((5, 6, 4)),),
    "RMSNorm": (Example(VECTOR),),
    "Dropout": (Example(VECTOR, {"rate": 0.4}),),
    "Features": (Example((6,), {"start": 2, "stop": 5}),),
    "PeriodicEmbedding": (Example((3,), {"hidden": 5, "features": 3}),),
    "Clamp": (Example(VECTOR, {"low": -0.5, "high": 0.5}),),
    "ParametricActivation": (Example(VECTOR, {"activation": "tanh"}),),
    "Masking": (Example((5, 4), empty=2),),
    "Embedding": (Example((5,), {"vocabulary": 7, "features": 4}),),
    "PositionalEncoding": (Example((5, 4)),),
    "LearnedPositions": (Example((5, 4)),),
    "RNN": (Example((6, 4), {"units": 5}), Example((6, 4), {"units": 5, "outputs": "all", "reverse": True})),
    "LSTM": (Example((6, 4), {"units": 5}),),
    "GRU": (Example((6, 4), {"units": 5}),),
    "MultiHeadAttention": (Example((5, 6), {"heads": 2}), Example((5, 4), {"heads": 2, "causal": True})),
}
EXAMPLES |= {kind: (Example(VECTOR),) for kind in layer_classes if kind not in EXAMPLES}  # activations


def example_of(
    name: str, options: Mapping[str, Any]
) -> tuple[str, list[tuple[tuple[int, ...], Layer]]] | None:
    """The class that a name means, and (shape of a sample, layer) with these options: of kernels first one
    that is not square.  None: no layer's, or not with these options.
    """
    word, told = called(name)
    made_of = layer_class(word)
    if made_of is None:
        return None
    kind, named = made_of.__name__, own_options(made_of, word, {**told, **options})
    shape, plain = EXAMPLES[kind][0].shape, EXAMPLES[kind][0].options
    made: list[tuple[tuple[int, ...], Layer]] = []
    for kernel in (None, 3):
        chosen = {**plain, **({"kernel_size": kernel} if kernel and "kernel_size" in plain else {}), **named}
        try:
            layer = layer_classes[kind](**chosen)
            layer.output_shape(shape)
        except (ChainruleError, TypeError, ValueError):
            continue
        if repr(layer) not in {repr(other) for _, other in made}:
            made.append((shape, layer))
    return (kind, made) if made else None
