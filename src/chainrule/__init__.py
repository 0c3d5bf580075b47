"""chainrule: neural networks by explicit, hand-derived backpropagation.

    import chainrule as cr
    net = cr.Network([cr.Dense(100), cr.ReLU(), cr.Dense(10), cr.Softmax()], input_shape=784)
    history = cr.fit(net, X, y, epochs=5)

Every layer owns its formulas (`chainrule.formulas`, `chainrule.layers`); the compiled engine runs them one
sample per SIMD lane; `check_gradients` proves them against finite differences.

Nothing is loaded before it is asked for: the command line handles signals before NumPy is there, and a
network is looked at without what trains or explains it.
"""

# ruff: noqa: I001 - a line per name otherwise, of names that are imported as themselves

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # "X as X" is what type checkers take as exported
    from chainrule import data as data, distributed as distributed, formulas as formulas
    from chainrule.data.on_disk import batches as batches
    from chainrule.checking.gradients import check_gradients as check_gradients
    from chainrule.checking.single import check_layer as check_layer
    from chainrule.losses.constraints import MaxNorm as MaxNorm
    from chainrule.engine.isa import info as info, set_threads as set_threads, threads as threads
    from chainrule.engine.plan import Plan as Plan
    from chainrule.base.errors import (
        ChainruleError as ChainruleError,
        DataError as DataError,
        FileError as FileError,
        MissingExtraError as MissingExtraError,
        NonFiniteError as NonFiniteError,
        PairError as PairError,
        ShapeError as ShapeError,
    )
    from chainrule.data.arrays import Prepared as Prepared
    from chainrule.data.preparation.preparation import Preparation as Preparation
    from chainrule.data.tables.reader import read_table as read_table
    from chainrule.diagnosing.doctor import Diagnosis as Diagnosis, diagnose as diagnose
    from chainrule.diagnosing.callback import Doctor as Doctor
    from chainrule.explaining.report import Report as Report, explain as explain
    from chainrule.verifying.verdict import Verdict as Verdict
    from chainrule.verifying.verify import assert_backward as assert_backward, verify as verify
    from chainrule.layers.initializers import (
        Constant as Constant,
        Glorot as Glorot,
        He as He,
        Initializer as Initializer,
        Normal as Normal,
        Ones as Ones,
        Orthogonal as Orthogonal,
        ScaledNormal as ScaledNormal,
        Uniform as Uniform,
        Zeros as Zeros,
    )
    from chainrule.layers.activations.smooth import (
        GELU as GELU,
        Activation as Activation,
        Identity as Identity,
        LogSigmoid as LogSigmoid,
        Mish as Mish,
        Sigmoid as Sigmoid,
        SiLU as SiLU,
        Softplus as Softplus,
        Softsign as Softsign,
        Tanh as Tanh,
    )
    from chainrule.layers.sequences.attention import MultiHeadAttention as MultiHeadAttention
    from chainrule.layers.sequences.bidirectional import Bidirectional as Bidirectional
    from chainrule.layers.sequences.decoder import TransformerDecoder as TransformerDecoder
    from chainrule.layers.base import Layer as Layer, Parameter as Parameter
    from chainrule.layers.windows.convolution import (
        Conv1D as Conv1D,
        Conv2D as Conv2D,
        Conv3D as Conv3D,
        DepthwiseConv2D as DepthwiseConv2D,
    )
    from chainrule.layers.dense import Dense as Dense
    from chainrule.layers.dense import DenseTranspose as DenseTranspose
    from chainrule.layers.dropout import Dropout as Dropout
    from chainrule.layers.sequences.embedding import (
        Embedding as Embedding,
        LearnedPositions as LearnedPositions,
        PositionalEncoding as PositionalEncoding,
    )
    from chainrule.layers.axes import Flatten as Flatten
    from chainrule.layers.activations.hard import (
        HardSigmoid as HardSigmoid,
        HardSwish as HardSwish,
        HardTanh as HardTanh,
        ReLU6 as ReLU6,
    )
    from chainrule.layers.activations.gated import GLU as GLU, SwiGLU as SwiGLU
    from chainrule.layers.activations.shrinks import (
        HardShrink as HardShrink,
        SoftShrink as SoftShrink,
        TanhShrink as TanhShrink,
    )
    from chainrule.layers.activations.whole import Floor as Floor, Wrap as Wrap
    from chainrule.layers.sequences.masking import Masking as Masking
    from chainrule.layers.norms.batch import BatchNorm as BatchNorm
    from chainrule.layers.norms.groups import (
        GroupNorm as GroupNorm,
        InstanceNorm as InstanceNorm,
    )
    from chainrule.layers.norms.last_axes import (
        LayerNorm as LayerNorm,
        RMSNorm as RMSNorm,
    )
    from chainrule.layers.norms.neighbours import LocalResponseNorm as LocalResponseNorm
    from chainrule.layers.windows.adaptive import (
        AdaptiveAveragePool1D as AdaptiveAveragePool1D,
        AdaptiveAveragePool2D as AdaptiveAveragePool2D,
        AdaptiveAveragePool3D as AdaptiveAveragePool3D,
        AdaptiveMaxPool1D as AdaptiveMaxPool1D,
        AdaptiveMaxPool2D as AdaptiveMaxPool2D,
        AdaptiveMaxPool3D as AdaptiveMaxPool3D,
    )
    from chainrule.layers.windows.pooling import (
        AveragePool1D as AveragePool1D,
        AveragePool2D as AveragePool2D,
        AveragePool3D as AveragePool3D,
        GlobalAveragePool as GlobalAveragePool,
        GlobalMaxPool as GlobalMaxPool,
        L2Pool1D as L2Pool1D,
        L2Pool2D as L2Pool2D,
        L2Pool3D as L2Pool3D,
        LpPool1D as LpPool1D,
        LpPool2D as LpPool2D,
        LpPool3D as LpPool3D,
        MaxPool1D as MaxPool1D,
        MaxPool2D as MaxPool2D,
        MaxPool3D as MaxPool3D,
    )
    from chainrule.layers.activations.parametric import ParametricActivation as ParametricActivation
    from chainrule.layers.axes import Permute as Permute
    from chainrule.layers.axes import Resample as Resample
    from chainrule.layers.axes import Reshape as Reshape
    from chainrule.layers.columns.clamp import Clamp as Clamp
    from chainrule.layers.columns.features import Features as Features
    from chainrule.layers.columns.periodic import PeriodicEmbedding as PeriodicEmbedding
    from chainrule.layers.columns.scale import Bias as Bias
    from chainrule.layers.columns.scale import Scale as Scale
    from chainrule.layers.activations.rectifiers import (
        CELU as CELU,
        ELU as ELU,
        SELU as SELU,
        LeakyReLU as LeakyReLU,
        PReLU as PReLU,
        ReLU as ReLU,
        Threshold as Threshold,
    )
    from chainrule.layers.sequences.recurrent import (
        GRU as GRU,
        LSTM as LSTM,
        RNN as RNN,
        Recurrent as Recurrent,
    )
    from chainrule.layers.activations.softmax import LogSoftmax as LogSoftmax, Softmax as Softmax
    from chainrule.layers.windows.unpooling import MaxUnpool1D as MaxUnpool1D
    from chainrule.layers.windows.unpooling import MaxUnpool2D as MaxUnpool2D
    from chainrule.layers.windows.unpooling import MaxUnpool3D as MaxUnpool3D
    from chainrule.layers.wiring import Add as Add, Concat as Concat, Divide as Divide, Maximum as Maximum
    from chainrule.layers.wiring import Minimum as Minimum, Multiply as Multiply, Raise as Raise
    from chainrule.losses.several import Losses as Losses
    from chainrule.networks.graphs.graph import Graph as Graph
    from chainrule.layers.structure import (
        Parallel as Parallel,
        Residual as Residual,
        Sequential as Sequential,
        Skip as Skip,
    )
    from chainrule.layers.windows.edges import (
        Crop1D as Crop1D,
        Crop2D as Crop2D,
        Crop3D as Crop3D,
        Pad1D as Pad1D,
        Pad2D as Pad2D,
        Pad3D as Pad3D,
    )
    from chainrule.layers.windows.growing import (
        PixelShuffle as PixelShuffle,
        UpSample1D as UpSample1D,
        UpSample2D as UpSample2D,
        UpSample3D as UpSample3D,
    )
    from chainrule.layers.windows.transposed import (
        ConvTranspose1D as ConvTranspose1D,
        ConvTranspose2D as ConvTranspose2D,
        ConvTranspose3D as ConvTranspose3D,
    )
    from chainrule.losses.base import Loss as Loss
    from chainrule.losses.counts import Poisson as Poisson
    from chainrule.losses.cross_entropy import (
        BinaryCrossEntropy as BinaryCrossEntropy,
        CrossEntropy as CrossEntropy,
    )
    from chainrule.losses.distances import (
        CosineDistance as CosineDistance,
        Huber as Huber,
        MeanAbsoluteError as MeanAbsoluteError,
        SquaredError as SquaredError,
    )
    from chainrule.losses.likelihoods import (
        GaussianNLL as GaussianNLL,
        KLDivergence as KLDivergence,
        NegativeLogLikelihood as NegativeLogLikelihood,
    )
    from chainrule.losses.sequences.ctc import CTC as CTC
    from chainrule.losses.margins import (
        CategoricalHinge as CategoricalHinge,
        Hinge as Hinge,
        MultiMargin as MultiMargin,
        SoftMargin as SoftMargin,
    )
    from chainrule.networks.network import Network as Network, load as load
    from chainrule.networks.taking.multilayer import from_sklearn as from_sklearn
    from chainrule.networks.taking.onnx.model import from_onnx as from_onnx
    from chainrule.networks.taking.torch.module import from_torch as from_torch
    from chainrule.losses.penalties import L1 as L1, L2 as L2, ElasticNet as ElasticNet, Penalty as Penalty
    from chainrule.networks.step import Step as Step
    from chainrule.training.callbacks import (
        AverageWeights as AverageWeights,
        Callback as Callback,
        Checkpoint as Checkpoint,
        EarlyStopping as EarlyStopping,
        ExponentialAverage as ExponentialAverage,
        ReduceOnPlateau as ReduceOnPlateau,
    )
    from chainrule.training.methods.logs import JSONLines as JSONLines, TensorBoard as TensorBoard
    from chainrule.training.fit import fit as fit
    from chainrule.training.full_batch import fit_full_batch as fit_full_batch
    from chainrule.training.history import History as History
    from chainrule.training.optimizers import (
        LAMB as LAMB,
        SGD as SGD,
        Adadelta as Adadelta,
        Adagrad as Adagrad,
        Adam as Adam,
        AdamW as AdamW,
        Lion as Lion,
        NAdam as NAdam,
        Optimizer as Optimizer,
        RAdam as RAdam,
        RMSProp as RMSProp,
    )
    from chainrule.training.methods.range_test import (
        RangeTest as RangeTest,
        rate_range_test as rate_range_test,
    )
    from chainrule.training.schedules import (
        CosineDecay as CosineDecay,
        CosineLog as CosineLog,
        ExponentialDecay as ExponentialDecay,
        FlatCosine as FlatCosine,
        OneCycle as OneCycle,
        Schedule as Schedule,
        StepDecay as StepDecay,
        Warmup as Warmup,
    )
    from chainrule.version import __version__ as __version__

# Every public name and the module it is loaded from.
HOMES = {
    "CELU": "chainrule.layers.activations.rectifiers",
    "ELU": "chainrule.layers.activations.rectifiers",
    "GELU": "chainrule.layers.activations.smooth",
    "GLU": "chainrule.layers.activations.gated",
    "GRU": "chainrule.layers.sequences.recurrent",
    "L1": "chainrule.losses.penalties",
    "L2": "chainrule.losses.penalties",
    "LAMB": "chainrule.training.optimizers",
    "LSTM": "chainrule.layers.sequences.recurrent",
    "RNN": "chainrule.layers.sequences.recurrent",
    "SELU": "chainrule.layers.activations.rectifiers",
    "SGD": "chainrule.training.optimizers",
    "Activation": "chainrule.layers.activations.smooth",
    "Add": "chainrule.layers.wiring",
    "Adadelta": "chainrule.training.optimizers",
    "Adagrad": "chainrule.training.optimizers",
    "Adam": "chainrule.training.optimizers",
    "AdamW": "chainrule.training.optimizers",
    "AdaptiveAveragePool1D": "chainrule.layers.windows.adaptive",
    "AdaptiveAveragePool2D": "chainrule.layers.windows.adaptive",
    "AdaptiveAveragePool3D": "chainrule.layers.windows.adaptive",
    "AdaptiveMaxPool1D": "chainrule.layers.windows.adaptive",
    "AdaptiveMaxPool2D": "chainrule.layers.windows.adaptive",
    "AdaptiveMaxPool3D": "chainrule.layers.windows.adaptive",
    "AveragePool1D": "chainrule.layers.windows.pooling",
    "AveragePool2D": "chainrule.layers.windows.pooling",
    "AveragePool3D": "chainrule.layers.windows.pooling",
    "AverageWeights": "chainrule.training.callbacks",
    "BatchNorm": "chainrule.layers.norms.batch",
    "Bias": "chainrule.layers.columns.scale",
    "Bidirectional": "chainrule.layers.sequences.bidirectional",
    "BinaryCrossEntropy": "chainrule.losses.cross_entropy",
    "Callback": "chainrule.training.callbacks",
    "CTC": "chainrule.losses.sequences.ctc",
    "CategoricalHinge": "chainrule.losses.margins",
    "ChainruleError": "chainrule.base.errors",
    "Checkpoint": "chainrule.training.callbacks",
    "Clamp": "chainrule.layers.columns.clamp",
    "Concat": "chainrule.layers.wiring",
    "Constant": "chainrule.layers.initializers",
    "Conv1D": "chainrule.layers.windows.convolution",
    "Conv2D": "chainrule.layers.windows.convolution",
    "Conv3D": "chainrule.layers.windows.convolution",
    "ConvTranspose1D": "chainrule.layers.windows.transposed",
    "ConvTranspose2D": "chainrule.layers.windows.transposed",
    "ConvTranspose3D": "chainrule.layers.windows.transposed",
    "CosineDecay": "chainrule.training.schedules",
    "CosineLog": "chainrule.training.schedules",
    "CosineDistance": "chainrule.losses.distances",
    "Crop1D": "chainrule.layers.windows.edges",
    "Crop2D": "chainrule.layers.windows.edges",
    "Crop3D": "chainrule.layers.windows.edges",
    "CrossEntropy": "chainrule.losses.cross_entropy",
    "DataError": "chainrule.base.errors",
    "Dense": "chainrule.layers.dense",
    "DenseTranspose": "chainrule.layers.dense",
    "DepthwiseConv2D": "chainrule.layers.windows.convolution",
    "Diagnosis": "chainrule.diagnosing.doctor",
    "Divide": "chainrule.layers.wiring",
    "Doctor": "chainrule.diagnosing.callback",
    "Dropout": "chainrule.layers.dropout",
    "EarlyStopping": "chainrule.training.callbacks",
    "ElasticNet": "chainrule.losses.penalties",
    "Embedding": "chainrule.layers.sequences.embedding",
    "ExponentialAverage": "chainrule.training.callbacks",
    "ExponentialDecay": "chainrule.training.schedules",
    "Features": "chainrule.layers.columns.features",
    "FileError": "chainrule.base.errors",
    "FlatCosine": "chainrule.training.schedules",
    "Flatten": "chainrule.layers.axes",
    "Floor": "chainrule.layers.activations.whole",
    "GaussianNLL": "chainrule.losses.likelihoods",
    "GlobalAveragePool": "chainrule.layers.windows.pooling",
    "GlobalMaxPool": "chainrule.layers.windows.pooling",
    "Glorot": "chainrule.layers.initializers",
    "Graph": "chainrule.networks.graphs.graph",
    "GroupNorm": "chainrule.layers.norms.groups",
    "HardShrink": "chainrule.layers.activations.shrinks",
    "HardSigmoid": "chainrule.layers.activations.hard",
    "HardSwish": "chainrule.layers.activations.hard",
    "HardTanh": "chainrule.layers.activations.hard",
    "He": "chainrule.layers.initializers",
    "Hinge": "chainrule.losses.margins",
    "History": "chainrule.training.history",
    "Huber": "chainrule.losses.distances",
    "Identity": "chainrule.layers.activations.smooth",
    "Initializer": "chainrule.layers.initializers",
    "JSONLines": "chainrule.training.methods.logs",
    "KLDivergence": "chainrule.losses.likelihoods",
    "L2Pool1D": "chainrule.layers.windows.pooling",
    "L2Pool2D": "chainrule.layers.windows.pooling",
    "L2Pool3D": "chainrule.layers.windows.pooling",
    "Layer": "chainrule.layers.base",
    "InstanceNorm": "chainrule.layers.norms.groups",
    "LayerNorm": "chainrule.layers.norms.last_axes",
    "LeakyReLU": "chainrule.layers.activations.rectifiers",
    "LearnedPositions": "chainrule.layers.sequences.embedding",
    "Lion": "chainrule.training.optimizers",
    "LocalResponseNorm": "chainrule.layers.norms.neighbours",
    "LogSigmoid": "chainrule.layers.activations.smooth",
    "LogSoftmax": "chainrule.layers.activations.softmax",
    "Loss": "chainrule.losses.base",
    "Losses": "chainrule.losses.several",
    "LpPool1D": "chainrule.layers.windows.pooling",
    "LpPool2D": "chainrule.layers.windows.pooling",
    "LpPool3D": "chainrule.layers.windows.pooling",
    "Masking": "chainrule.layers.sequences.masking",
    "MaxNorm": "chainrule.losses.constraints",
    "MaxPool1D": "chainrule.layers.windows.pooling",
    "MaxPool2D": "chainrule.layers.windows.pooling",
    "MaxPool3D": "chainrule.layers.windows.pooling",
    "MaxUnpool1D": "chainrule.layers.windows.unpooling",
    "MaxUnpool2D": "chainrule.layers.windows.unpooling",
    "MaxUnpool3D": "chainrule.layers.windows.unpooling",
    "Maximum": "chainrule.layers.wiring",
    "MeanAbsoluteError": "chainrule.losses.distances",
    "Minimum": "chainrule.layers.wiring",
    "Mish": "chainrule.layers.activations.smooth",
    "MissingExtraError": "chainrule.base.errors",
    "MultiHeadAttention": "chainrule.layers.sequences.attention",
    "Multiply": "chainrule.layers.wiring",
    "MultiMargin": "chainrule.losses.margins",
    "NAdam": "chainrule.training.optimizers",
    "NegativeLogLikelihood": "chainrule.losses.likelihoods",
    "Network": "chainrule.networks.network",
    "NonFiniteError": "chainrule.base.errors",
    "Normal": "chainrule.layers.initializers",
    "OneCycle": "chainrule.training.schedules",
    "Ones": "chainrule.layers.initializers",
    "Optimizer": "chainrule.training.optimizers",
    "Orthogonal": "chainrule.layers.initializers",
    "PReLU": "chainrule.layers.activations.rectifiers",
    "PairError": "chainrule.base.errors",
    "Pad1D": "chainrule.layers.windows.edges",
    "Pad2D": "chainrule.layers.windows.edges",
    "Pad3D": "chainrule.layers.windows.edges",
    "Parallel": "chainrule.layers.structure",
    "Parameter": "chainrule.layers.base",
    "ParametricActivation": "chainrule.layers.activations.parametric",
    "Penalty": "chainrule.losses.penalties",
    "PeriodicEmbedding": "chainrule.layers.columns.periodic",
    "Permute": "chainrule.layers.axes",
    "Plan": "chainrule.engine.plan",
    "PixelShuffle": "chainrule.layers.windows.growing",
    "Poisson": "chainrule.losses.counts",
    "PositionalEncoding": "chainrule.layers.sequences.embedding",
    "Preparation": "chainrule.data.preparation.preparation",
    "Prepared": "chainrule.data.arrays",
    "RAdam": "chainrule.training.optimizers",
    "RMSNorm": "chainrule.layers.norms.last_axes",
    "RMSProp": "chainrule.training.optimizers",
    "Raise": "chainrule.layers.wiring",
    "RangeTest": "chainrule.training.methods.range_test",
    "ReLU": "chainrule.layers.activations.rectifiers",
    "ReLU6": "chainrule.layers.activations.hard",
    "Recurrent": "chainrule.layers.sequences.recurrent",
    "ReduceOnPlateau": "chainrule.training.callbacks",
    "Report": "chainrule.explaining.report",
    "Resample": "chainrule.layers.axes",
    "Reshape": "chainrule.layers.axes",
    "Residual": "chainrule.layers.structure",
    "Scale": "chainrule.layers.columns.scale",
    "ScaledNormal": "chainrule.layers.initializers",
    "Schedule": "chainrule.training.schedules",
    "Sequential": "chainrule.layers.structure",
    "ShapeError": "chainrule.base.errors",
    "SiLU": "chainrule.layers.activations.smooth",
    "Sigmoid": "chainrule.layers.activations.smooth",
    "Skip": "chainrule.layers.structure",
    "SoftMargin": "chainrule.losses.margins",
    "SoftShrink": "chainrule.layers.activations.shrinks",
    "Softmax": "chainrule.layers.activations.softmax",
    "Softplus": "chainrule.layers.activations.smooth",
    "Softsign": "chainrule.layers.activations.smooth",
    "SquaredError": "chainrule.losses.distances",
    "Step": "chainrule.networks.step",
    "StepDecay": "chainrule.training.schedules",
    "SwiGLU": "chainrule.layers.activations.gated",
    "Tanh": "chainrule.layers.activations.smooth",
    "TanhShrink": "chainrule.layers.activations.shrinks",
    "TensorBoard": "chainrule.training.methods.logs",
    "Threshold": "chainrule.layers.activations.rectifiers",
    "Uniform": "chainrule.layers.initializers",
    "Verdict": "chainrule.verifying.verdict",
    "TransformerDecoder": "chainrule.layers.sequences.decoder",
    "UpSample1D": "chainrule.layers.windows.growing",
    "UpSample2D": "chainrule.layers.windows.growing",
    "UpSample3D": "chainrule.layers.windows.growing",
    "Warmup": "chainrule.training.schedules",
    "Wrap": "chainrule.layers.activations.whole",
    "Zeros": "chainrule.layers.initializers",
    "__version__": "chainrule.version",
    "assert_backward": "chainrule.verifying.verify",
    "batches": "chainrule.data.on_disk",
    "check_gradients": "chainrule.checking.gradients",
    "check_layer": "chainrule.checking.single",
    "data": "chainrule.data",
    "diagnose": "chainrule.diagnosing.doctor",
    "distributed": "chainrule.distributed",
    "explain": "chainrule.explaining.report",
    "fit": "chainrule.training.fit",
    "fit_full_batch": "chainrule.training.full_batch",
    "formulas": "chainrule.formulas",
    "from_sklearn": "chainrule.networks.taking.multilayer",
    "from_onnx": "chainrule.networks.taking.onnx.model",
    "from_torch": "chainrule.networks.taking.torch.module",
    "info": "chainrule.engine.isa",
    "load": "chainrule.networks.network",
    "rate_range_test": "chainrule.training.methods.range_test",
    "read_table": "chainrule.data.tables.reader",
    "set_threads": "chainrule.engine.isa",
    "threads": "chainrule.engine.isa",
    "verify": "chainrule.verifying.verify",
}
__all__ = [*HOMES]
# Parts that people reach from here, and that are at home in a room: chainrule.initializers.He().
PARTS = {
    "constraints": "chainrule.losses.constraints",
    "errors": "chainrule.base.errors",
    "initializers": "chainrule.layers.initializers",
    "penalties": "chainrule.losses.penalties",
}


def __getattr__(name: str) -> Any:
    home = PARTS.get(name, f"{__name__}.{name}")
    if HOMES.get(name, home) == home and name.isidentifier() and find_spec(home):  # a part: chainrule.layers
        return import_module(home)
    if name not in HOMES:
        raise AttributeError(_refusal(name), name=name)
    value = globals()[name] = getattr(import_module(HOMES[name]), name)
    return value


def _refusal(name: str) -> str:
    from chainrule.base.foreign import answer
    from chainrule.base.foreign.names import NAMES
    from chainrule.base.shown import clipped

    same = next((held for held in HOMES if held.lower() == name.lower()), "")
    advice = answer(
        NAMES.get(name, f"chainrule.{same}{_kind(same) if name.islower() else ''}" if same else "")
    )
    return f"module 'chainrule' has no attribute {clipped(repr(name))}{advice}"


def _kind(title: str) -> str:
    """What the class is, to end a sentence: small letters name functions of arrays elsewhere."""
    held = __getattr__(title)
    kinds = {"Layer": "a layer", "Loss": "a loss", "Initializer": "an initializer", "Penalty": "a penalty"}
    bases = held.__mro__ if isinstance(held, type) else ()
    return next((f", {kind}" for name, kind in kinds.items() if __getattr__(name) in bases), "")


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
