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
from chainrule.keywords import by_name
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

# What Keras, PyTorch and scikit-learn call it.
_INSTEAD = by_name(
    {
        "chainrule.SiLU()": ("Swish",),
        "chainrule.ElasticNet(1e-5, 1e-4)": ("L1L2",),
        "chainrule.BatchNorm()": ("BatchNorm1d", "BatchNorm2d", "BatchNormalization"),
        "chainrule.LayerNorm()": ("LayerNormalization",),
        "chainrule.GroupNorm(groups)": ("GroupNormalization", "InstanceNorm2d"),
        "chainrule.RMSNorm()": ("RMSNormalization",),
        "chainrule.RNN(units)": ("SimpleRNN", "RNNCell"),
        "chainrule.LSTM(units)": ("LSTMCell",),
        "chainrule.GRU(units)": ("GRUCell",),
        "chainrule.Parallel([LSTM(8), LSTM(8, reverse=True)], join='concat')": ("Bidirectional",),
        "chainrule.Dense(units)": ("Linear", "LazyLinear"),
        "chainrule.MaxPool2D(2)": ("MaxPooling2D",),
        "chainrule.MaxPool1D(2)": ("MaxPooling1D",),
        "chainrule.AveragePool2D(2)": ("AveragePooling2D", "AvgPool2d"),
        "chainrule.AveragePool1D(2)": ("AveragePooling1D", "AvgPool1d"),
        "chainrule.GlobalAveragePool()": (
            "GlobalAveragePooling1D",
            "GlobalAveragePooling2D",
            "AdaptiveAvgPool1d",
            "AdaptiveAvgPool2d",
        ),
        "chainrule.GlobalMaxPool()": (
            "GlobalMaxPooling1D",
            "GlobalMaxPooling2D",
            "AdaptiveMaxPool1d",
            "AdaptiveMaxPool2d",
        ),
        "padding=1 in the layer that follows": ("ZeroPadding1D", "ZeroPadding2D", "ZeroPad1d", "ZeroPad2d"),
        "chainrule.ConvTranspose2D(filters, 3)": ("Conv2DTranspose",),
        "chainrule.ConvTranspose1D(filters, 3)": ("Conv1DTranspose",),
        "Network([...], input_shape=(28, 28, 1)), without a layer for the input": ("Input", "InputLayer"),
        "chainrule.Residual([...]), or chainrule.Parallel([...])": ("Add",),
        "chainrule.Parallel([...], join='concat')": ("Concatenate",),
        "chainrule.Dropout(0.5)": ("Dropout1d", "Dropout2d", "SpatialDropout2D"),
        "chainrule.SquaredError(mean_outputs=True)": ("MSE", "MSELoss", "MeanSquaredError"),
        "chainrule.MeanAbsoluteError()": ("MAE", "L1Loss", "AbsoluteError"),
        "chainrule.CrossEntropy()": ("CrossEntropyLoss", "CategoricalCrossentropy", "NLLLoss"),
        "chainrule.BinaryCrossEntropy()": ("BCELoss", "BCEWithLogitsLoss", "BinaryCrossentropy"),
        "chainrule.Huber()": ("HuberLoss", "SmoothL1Loss"),
        "chainrule.Poisson(log_input=True)": ("PoissonNLLLoss",),
        "chainrule.Hinge(squared=True)": ("SquaredHinge",),
        "chainrule.CategoricalHinge()": ("MultiMarginLoss",),
        "chainrule.Network([...], input_shape=784)": ("Model", "MLPClassifier", "MLPRegressor"),
    }
)

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
    same = [own for own in __all__ if own.lower() == name.lower()]
    instead = _INSTEAD.get(name) or (f"chainrule.{same[0]}" if same else "")
    advice = f"; write {instead}" if instead else ""
    raise AttributeError(f"module 'chainrule' has no attribute {name!r}{advice}", name=name)


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
