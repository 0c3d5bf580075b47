"""Layers: each is a shape rule, parameters, and formulas that compute and print; no kernels, no files.

In: options, and the shape of a sample.  Out: shapes, parameters, the formulas forward, delta and gradients.
Knows: base and formulas; never the engine.
"""

from __future__ import annotations

from typing import Any

from chainrule.layers.activations.gated import GLU, SwiGLU
from chainrule.layers.activations.hard import HardSigmoid, HardSwish, HardTanh, ReLU6
from chainrule.layers.activations.parametric import ParametricActivation
from chainrule.layers.activations.rectifiers import CELU, ELU, SELU, LeakyReLU, PReLU, ReLU, Threshold
from chainrule.layers.activations.shrinks import HardShrink, SoftShrink, TanhShrink
from chainrule.layers.activations.smooth import (
    GELU,
    Activation,
    Identity,
    LogSigmoid,
    Mish,
    Sigmoid,
    SiLU,
    Softplus,
    Softsign,
    Tanh,
)
from chainrule.layers.activations.softmax import LogSoftmax, Softmax
from chainrule.layers.activations.whole import Floor, Wrap
from chainrule.layers.axes import Flatten, Permute, Resample, Reshape
from chainrule.layers.base import Layer, Parameter, call_formula
from chainrule.layers.columns.clamp import Clamp
from chainrule.layers.columns.features import Features
from chainrule.layers.columns.periodic import PeriodicEmbedding
from chainrule.layers.columns.scale import Bias, Scale
from chainrule.layers.dense import Dense, DenseTranspose
from chainrule.layers.dropout import Dropout
from chainrule.layers.norms.batch import BatchNorm
from chainrule.layers.norms.groups import GroupNorm, InstanceNorm
from chainrule.layers.norms.last_axes import LayerNorm, RMSNorm
from chainrule.layers.norms.neighbours import LocalResponseNorm
from chainrule.layers.parts import Heads, Part
from chainrule.layers.sequences.attention import MultiHeadAttention
from chainrule.layers.sequences.bidirectional import Bidirectional
from chainrule.layers.sequences.decoder import TransformerDecoder
from chainrule.layers.sequences.embedding import Embedding, LearnedPositions, PositionalEncoding
from chainrule.layers.sequences.masking import Masking
from chainrule.layers.sequences.recurrent import GRU, LSTM, RNN, Recurrent
from chainrule.layers.structure import Composite, Parallel, Residual, Sequential, Skip
from chainrule.layers.windows.adaptive import (
    AdaptiveAveragePool1D,
    AdaptiveAveragePool2D,
    AdaptiveAveragePool3D,
    AdaptiveMaxPool1D,
    AdaptiveMaxPool2D,
    AdaptiveMaxPool3D,
)
from chainrule.layers.windows.convolution import Conv1D, Conv2D, Conv3D, DepthwiseConv2D
from chainrule.layers.windows.edges import Crop1D, Crop2D, Crop3D, Pad1D, Pad2D, Pad3D
from chainrule.layers.windows.growing import PixelShuffle, UpSample1D, UpSample2D, UpSample3D
from chainrule.layers.windows.pooling import (
    AveragePool1D,
    AveragePool2D,
    AveragePool3D,
    GlobalAveragePool,
    GlobalMaxPool,
    L2Pool1D,
    L2Pool2D,
    L2Pool3D,
    LpPool1D,
    LpPool2D,
    LpPool3D,
    MaxPool1D,
    MaxPool2D,
    MaxPool3D,
)
from chainrule.layers.windows.transposed import ConvTranspose1D, ConvTranspose2D, ConvTranspose3D
from chainrule.layers.windows.unpooling import MaxUnpool1D, MaxUnpool2D, MaxUnpool3D
from chainrule.layers.wiring import (
    Add,
    Concat,
    Divide,
    Maximum,
    Minimum,
    Multiply,
    Raise,
    Row,
    Wiring,
)

_built_in: tuple[type[Layer], ...] = (
    Dense,
    DenseTranspose,
    Conv1D,
    Conv2D,
    Conv3D,
    DepthwiseConv2D,
    ConvTranspose1D,
    ConvTranspose2D,
    ConvTranspose3D,
    MaxPool2D,
    AveragePool2D,
    L2Pool2D,
    MaxPool1D,
    AveragePool1D,
    L2Pool1D,
    LpPool2D,
    LpPool1D,
    MaxPool3D,
    AveragePool3D,
    L2Pool3D,
    LpPool3D,
    MaxUnpool1D,
    MaxUnpool2D,
    MaxUnpool3D,
    AdaptiveAveragePool1D,
    AdaptiveAveragePool2D,
    AdaptiveAveragePool3D,
    AdaptiveMaxPool1D,
    AdaptiveMaxPool2D,
    AdaptiveMaxPool3D,
    GlobalAveragePool,
    GlobalMaxPool,
    Pad1D,
    Pad2D,
    Pad3D,
    Crop1D,
    Crop2D,
    Crop3D,
    UpSample1D,
    UpSample2D,
    UpSample3D,
    PixelShuffle,
    Flatten,
    Permute,
    Reshape,
    Resample,
    BatchNorm,
    LayerNorm,
    GroupNorm,
    InstanceNorm,
    RMSNorm,
    LocalResponseNorm,
    Dropout,
    Identity,
    Sigmoid,
    Tanh,
    Softsign,
    ReLU,
    LeakyReLU,
    Softplus,
    GELU,
    ELU,
    SELU,
    SiLU,
    Mish,
    HardSigmoid,
    HardTanh,
    HardSwish,
    ReLU6,
    LogSigmoid,
    CELU,
    Threshold,
    HardShrink,
    SoftShrink,
    TanhShrink,
    Floor,
    Wrap,
    GLU,
    SwiGLU,
    PReLU,
    ParametricActivation,
    Softmax,
    LogSoftmax,
    Features,
    Scale,
    Bias,
    PeriodicEmbedding,
    Clamp,
    Masking,
    Embedding,
    PositionalEncoding,
    LearnedPositions,
    RNN,
    LSTM,
    GRU,
    MultiHeadAttention,
)
layer_classes: dict[str, type[Layer]] = {cls.__name__: cls for cls in _built_in}
# The ends of a graph of several inputs or outputs, which a Graph makes.
end_classes: dict[str, type[Layer]] = {cls.__name__: cls for cls in (Part, Heads)}
# Layers made of layers: they have branches instead of formulas of their own.
_joins = (Add, Concat, Multiply, Maximum, Minimum, Divide, Raise, Row)
_structures = (Sequential, Residual, Parallel, Skip, Bidirectional, Wiring, *_joins)
structure_classes: dict[str, type[Layer]] = {
    cls.__name__: cls for cls in (*_structures, TransformerDecoder)
}

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "GRU",
    "LSTM",
    "RNN",
    "SELU",
    "Activation",
    "AdaptiveAveragePool1D",
    "AdaptiveAveragePool2D",
    "AdaptiveAveragePool3D",
    "AdaptiveMaxPool1D",
    "AdaptiveMaxPool2D",
    "AdaptiveMaxPool3D",
    "Add",
    "AveragePool1D",
    "AveragePool2D",
    "AveragePool3D",
    "BatchNorm",
    "Bias",
    "Bidirectional",
    "Clamp",
    "Composite",
    "Concat",
    "Conv1D",
    "Conv2D",
    "Conv3D",
    "ConvTranspose1D",
    "ConvTranspose2D",
    "ConvTranspose3D",
    "Crop1D",
    "Crop2D",
    "Crop3D",
    "Dense",
    "DenseTranspose",
    "DepthwiseConv2D",
    "Divide",
    "Dropout",
    "Embedding",
    "Features",
    "Flatten",
    "Floor",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "GroupNorm",
    "HardShrink",
    "HardSigmoid",
    "HardSwish",
    "HardTanh",
    "Heads",
    "Identity",
    "InstanceNorm",
    "L2Pool1D",
    "L2Pool2D",
    "L2Pool3D",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "LearnedPositions",
    "LocalResponseNorm",
    "LogSigmoid",
    "LogSoftmax",
    "LpPool1D",
    "LpPool2D",
    "LpPool3D",
    "Masking",
    "MaxPool1D",
    "MaxPool2D",
    "MaxPool3D",
    "MaxUnpool1D",
    "MaxUnpool2D",
    "MaxUnpool3D",
    "Maximum",
    "Minimum",
    "Mish",
    "MultiHeadAttention",
    "Multiply",
    "PReLU",
    "Pad1D",
    "Pad2D",
    "Pad3D",
    "Parallel",
    "Parameter",
    "ParametricActivation",
    "Part",
    "PeriodicEmbedding",
    "Permute",
    "PixelShuffle",
    "PositionalEncoding",
    "RMSNorm",
    "Raise",
    "ReLU",
    "ReLU6",
    "Recurrent",
    "Resample",
    "Reshape",
    "Residual",
    "Row",
    "Scale",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Skip",
    "SoftShrink",
    "Softmax",
    "Softplus",
    "Softsign",
    "SwiGLU",
    "Tanh",
    "TanhShrink",
    "Threshold",
    "TransformerDecoder",
    "UpSample1D",
    "UpSample2D",
    "UpSample3D",
    "Wiring",
    "Wrap",
    "call_formula",
    "end_classes",
    "layer_classes",
    "structure_classes",
]


def __getattr__(name: str) -> Any:
    from chainrule.base.attributes import absent

    raise absent(__name__, name, __all__)
