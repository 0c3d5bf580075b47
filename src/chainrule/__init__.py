"""chainrule: neural networks by explicit, hand-derived backpropagation.

    import chainrule as cr
    net = cr.Network([cr.Dense(100), cr.ReLU(), cr.Dense(10), cr.Softmax()], input_shape=784)
    history = cr.fit(net, X, y, epochs=5)

Every layer owns its formulas (`chainrule.formulas`, `chainrule.layers`); the compiled engine runs them one
sample per SIMD lane; `check_gradients` proves them against finite differences.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from chainrule import data, formulas
from chainrule.constraints import MaxNorm
from chainrule.engine import Plan, info, set_threads, threads
from chainrule.engine.executor import NativeExecutor
from chainrule.engine.isa import register_with_threadpoolctl
from chainrule.errors import (
    ChainruleError,
    DataError,
    FileError,
    MissingExtraError,
    NonFiniteError,
    PairError,
    ShapeError,
)
from chainrule.executor import set_executor
from chainrule.foreign import answer
from chainrule.foreign.names import NAMES
from chainrule.initializers import (
    Constant,
    Glorot,
    He,
    Initializer,
    Normal,
    Ones,
    Orthogonal,
    ScaledNormal,
    Uniform,
    Zeros,
)
from chainrule.layers import (
    ELU,
    GELU,
    GRU,
    LSTM,
    RNN,
    SELU,
    Activation,
    AveragePool1D,
    AveragePool2D,
    BatchNorm,
    Conv1D,
    Conv2D,
    ConvTranspose1D,
    ConvTranspose2D,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Embedding,
    Flatten,
    GlobalAveragePool,
    GlobalMaxPool,
    GroupNorm,
    HardSigmoid,
    HardSwish,
    HardTanh,
    Identity,
    L2Pool1D,
    L2Pool2D,
    Layer,
    LayerNorm,
    LeakyReLU,
    LearnedPositions,
    Masking,
    MaxPool1D,
    MaxPool2D,
    Mish,
    MultiHeadAttention,
    Parallel,
    Parameter,
    PositionalEncoding,
    PReLU,
    Recurrent,
    ReLU,
    Residual,
    RMSNorm,
    Sequential,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from chainrule.losses import (
    BinaryCrossEntropy,
    CategoricalHinge,
    CrossEntropy,
    Hinge,
    Huber,
    Loss,
    MeanAbsoluteError,
    Poisson,
    SquaredError,
)
from chainrule.network import Network, load
from chainrule.penalties import L1, L2, ElasticNet, Penalty
from chainrule.shown import clipped
from chainrule.step import Step
from chainrule.version import __version__

if TYPE_CHECKING:
    from chainrule.checking import check_gradients, check_layer
    from chainrule.explaining.doctor import Diagnosis, diagnose
    from chainrule.explaining.doctor_callback import Doctor
    from chainrule.explaining.report import Report, explain
    from chainrule.training.callbacks import Callback, Checkpoint, EarlyStopping
    from chainrule.training.fit import fit
    from chainrule.training.full_batch import fit_full_batch
    from chainrule.training.history import History
    from chainrule.training.optimizers import SGD, Adam, AdamW, Optimizer, RMSProp
    from chainrule.training.schedules import CosineDecay, ExponentialDecay, Schedule, StepDecay

# Imported when first used: `import chainrule` is for looking at a network as much as for training one.
_LATER = {
    "check_gradients": "chainrule.checking",
    "check_layer": "chainrule.checking",
    **dict.fromkeys(("explain", "Report"), "chainrule.explaining.report"),
    **dict.fromkeys(("diagnose", "Diagnosis"), "chainrule.explaining.doctor"),
    "Doctor": "chainrule.explaining.doctor_callback",
    "fit": "chainrule.training.fit",
    "fit_full_batch": "chainrule.training.full_batch",
    "History": "chainrule.training.history",
    **dict.fromkeys(("SGD", "Adam", "AdamW", "RMSProp", "Optimizer"), "chainrule.training.optimizers"),
    **dict.fromkeys(
        ("Schedule", "StepDecay", "CosineDecay", "ExponentialDecay"), "chainrule.training.schedules"
    ),
    **dict.fromkeys(("Callback", "EarlyStopping", "Checkpoint"), "chainrule.training.callbacks"),
}

__all__ = [
    "ELU",
    "GELU",
    "GRU",
    "L1",
    "L2",
    "LSTM",
    "RNN",
    "SELU",
    "SGD",
    "Activation",
    "Adam",
    "AdamW",
    "AveragePool1D",
    "AveragePool2D",
    "BatchNorm",
    "BinaryCrossEntropy",
    "Callback",
    "CategoricalHinge",
    "ChainruleError",
    "Checkpoint",
    "Constant",
    "Conv1D",
    "Conv2D",
    "ConvTranspose1D",
    "ConvTranspose2D",
    "CosineDecay",
    "CrossEntropy",
    "DataError",
    "Dense",
    "DepthwiseConv2D",
    "Diagnosis",
    "Doctor",
    "Dropout",
    "EarlyStopping",
    "ElasticNet",
    "Embedding",
    "ExponentialDecay",
    "FileError",
    "Flatten",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "Glorot",
    "GroupNorm",
    "HardSigmoid",
    "HardSwish",
    "HardTanh",
    "He",
    "Hinge",
    "History",
    "Huber",
    "Identity",
    "Initializer",
    "L2Pool1D",
    "L2Pool2D",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "LearnedPositions",
    "Loss",
    "Masking",
    "MaxNorm",
    "MaxPool1D",
    "MaxPool2D",
    "MeanAbsoluteError",
    "Mish",
    "MissingExtraError",
    "MultiHeadAttention",
    "Network",
    "NonFiniteError",
    "Normal",
    "Ones",
    "Optimizer",
    "Orthogonal",
    "PReLU",
    "PairError",
    "Parallel",
    "Parameter",
    "Penalty",
    "Plan",
    "Poisson",
    "PositionalEncoding",
    "RMSNorm",
    "RMSProp",
    "ReLU",
    "Recurrent",
    "Report",
    "Residual",
    "ScaledNormal",
    "Schedule",
    "Sequential",
    "ShapeError",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "SquaredError",
    "Step",
    "StepDecay",
    "Tanh",
    "Uniform",
    "Zeros",
    "__version__",
    "check_gradients",
    "check_layer",
    "data",
    "diagnose",
    "explain",
    "fit",
    "fit_full_batch",
    "formulas",
    "info",
    "load",
    "set_threads",
    "threads",
]

set_executor(NativeExecutor())
register_with_threadpoolctl()


def __getattr__(name: str) -> Any:
    if name in _LATER:
        value = getattr(import_module(_LATER[name]), name)
        globals()[name] = value
        return value
    same = next((own for own in __all__ if own.lower() == name.lower()), "")
    advice = answer(
        NAMES.get(name, f"chainrule.{same}{_kind(same) if name.islower() else ''}" if same else "")
    )
    raise AttributeError(f"module 'chainrule' has no attribute {clipped(repr(name))}{advice}", name=name)


def _kind(own: str) -> str:
    """What the class is, to end a sentence: small letters name functions of arrays elsewhere."""
    found = globals().get(own)
    kinds = {Layer: "a layer", Loss: "a loss", Initializer: "an initializer", Penalty: "a penalty"}
    bases = found.__mro__ if isinstance(found, type) else ()
    return next((f", {kinds[base]}" for base in bases if base in kinds), "")


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
