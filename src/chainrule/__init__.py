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
    from chainrule import data as data, formulas as formulas
    from chainrule.checking.gradients import check_gradients as check_gradients
    from chainrule.checking.single import check_layer as check_layer
    from chainrule.constraints import MaxNorm as MaxNorm
    from chainrule.engine.isa import info as info, set_threads as set_threads, threads as threads
    from chainrule.engine.plan import Plan as Plan
    from chainrule.errors import (
        ChainruleError as ChainruleError,
        DataError as DataError,
        FileError as FileError,
        MissingExtraError as MissingExtraError,
        NonFiniteError as NonFiniteError,
        PairError as PairError,
        ShapeError as ShapeError,
    )
    from chainrule.explaining.doctor import Diagnosis as Diagnosis, diagnose as diagnose
    from chainrule.explaining.doctor_callback import Doctor as Doctor
    from chainrule.explaining.report import Report as Report, explain as explain
    from chainrule.initializers import (
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
    from chainrule.layers.activations import (
        GELU as GELU,
        Activation as Activation,
        Identity as Identity,
        Mish as Mish,
        Sigmoid as Sigmoid,
        SiLU as SiLU,
        Softplus as Softplus,
        Tanh as Tanh,
    )
    from chainrule.layers.attention import MultiHeadAttention as MultiHeadAttention
    from chainrule.layers.base import Layer as Layer, Parameter as Parameter
    from chainrule.layers.convolution import (
        Conv1D as Conv1D,
        Conv2D as Conv2D,
        DepthwiseConv2D as DepthwiseConv2D,
    )
    from chainrule.layers.dense import Dense as Dense
    from chainrule.layers.dropout import Dropout as Dropout
    from chainrule.layers.embedding import (
        Embedding as Embedding,
        LearnedPositions as LearnedPositions,
        PositionalEncoding as PositionalEncoding,
    )
    from chainrule.layers.flatten import Flatten as Flatten
    from chainrule.layers.hard_activations import (
        HardSigmoid as HardSigmoid,
        HardSwish as HardSwish,
        HardTanh as HardTanh,
    )
    from chainrule.layers.masking import Masking as Masking
    from chainrule.layers.normalization import (
        BatchNorm as BatchNorm,
        GroupNorm as GroupNorm,
        LayerNorm as LayerNorm,
        RMSNorm as RMSNorm,
    )
    from chainrule.layers.pooling import (
        AveragePool1D as AveragePool1D,
        AveragePool2D as AveragePool2D,
        GlobalAveragePool as GlobalAveragePool,
        GlobalMaxPool as GlobalMaxPool,
        L2Pool1D as L2Pool1D,
        L2Pool2D as L2Pool2D,
        MaxPool1D as MaxPool1D,
        MaxPool2D as MaxPool2D,
    )
    from chainrule.layers.rectifiers import (
        ELU as ELU,
        SELU as SELU,
        LeakyReLU as LeakyReLU,
        PReLU as PReLU,
        ReLU as ReLU,
    )
    from chainrule.layers.recurrent import GRU as GRU, LSTM as LSTM, RNN as RNN, Recurrent as Recurrent
    from chainrule.layers.softmax import Softmax as Softmax
    from chainrule.layers.structure import (
        Parallel as Parallel,
        Residual as Residual,
        Sequential as Sequential,
    )
    from chainrule.layers.transposed import (
        ConvTranspose1D as ConvTranspose1D,
        ConvTranspose2D as ConvTranspose2D,
    )
    from chainrule.losses.base import Loss as Loss
    from chainrule.losses.counts import Poisson as Poisson
    from chainrule.losses.cross_entropy import (
        BinaryCrossEntropy as BinaryCrossEntropy,
        CrossEntropy as CrossEntropy,
    )
    from chainrule.losses.distances import (
        Huber as Huber,
        MeanAbsoluteError as MeanAbsoluteError,
        SquaredError as SquaredError,
    )
    from chainrule.losses.margins import CategoricalHinge as CategoricalHinge, Hinge as Hinge
    from chainrule.network import Network as Network, load as load
    from chainrule.penalties import L1 as L1, L2 as L2, ElasticNet as ElasticNet, Penalty as Penalty
    from chainrule.step import Step as Step
    from chainrule.training.callbacks import (
        Callback as Callback,
        Checkpoint as Checkpoint,
        EarlyStopping as EarlyStopping,
    )
    from chainrule.training.fit import fit as fit
    from chainrule.training.full_batch import fit_full_batch as fit_full_batch
    from chainrule.training.history import History as History
    from chainrule.training.optimizers import (
        SGD as SGD,
        Adam as Adam,
        AdamW as AdamW,
        Optimizer as Optimizer,
        RMSProp as RMSProp,
    )
    from chainrule.training.schedules import (
        CosineDecay as CosineDecay,
        ExponentialDecay as ExponentialDecay,
        Schedule as Schedule,
        StepDecay as StepDecay,
    )
    from chainrule.version import __version__ as __version__

# Every public name and the module it is loaded from.
HOMES = {
    "ELU": "chainrule.layers.rectifiers",
    "GELU": "chainrule.layers.activations",
    "GRU": "chainrule.layers.recurrent",
    "L1": "chainrule.penalties",
    "L2": "chainrule.penalties",
    "LSTM": "chainrule.layers.recurrent",
    "RNN": "chainrule.layers.recurrent",
    "SELU": "chainrule.layers.rectifiers",
    "SGD": "chainrule.training.optimizers",
    "Activation": "chainrule.layers.activations",
    "Adam": "chainrule.training.optimizers",
    "AdamW": "chainrule.training.optimizers",
    "AveragePool1D": "chainrule.layers.pooling",
    "AveragePool2D": "chainrule.layers.pooling",
    "BatchNorm": "chainrule.layers.normalization",
    "BinaryCrossEntropy": "chainrule.losses.cross_entropy",
    "Callback": "chainrule.training.callbacks",
    "CategoricalHinge": "chainrule.losses.margins",
    "ChainruleError": "chainrule.errors",
    "Checkpoint": "chainrule.training.callbacks",
    "Constant": "chainrule.initializers",
    "Conv1D": "chainrule.layers.convolution",
    "Conv2D": "chainrule.layers.convolution",
    "ConvTranspose1D": "chainrule.layers.transposed",
    "ConvTranspose2D": "chainrule.layers.transposed",
    "CosineDecay": "chainrule.training.schedules",
    "CrossEntropy": "chainrule.losses.cross_entropy",
    "DataError": "chainrule.errors",
    "Dense": "chainrule.layers.dense",
    "DepthwiseConv2D": "chainrule.layers.convolution",
    "Diagnosis": "chainrule.explaining.doctor",
    "Doctor": "chainrule.explaining.doctor_callback",
    "Dropout": "chainrule.layers.dropout",
    "EarlyStopping": "chainrule.training.callbacks",
    "ElasticNet": "chainrule.penalties",
    "Embedding": "chainrule.layers.embedding",
    "ExponentialDecay": "chainrule.training.schedules",
    "FileError": "chainrule.errors",
    "Flatten": "chainrule.layers.flatten",
    "GlobalAveragePool": "chainrule.layers.pooling",
    "GlobalMaxPool": "chainrule.layers.pooling",
    "Glorot": "chainrule.initializers",
    "GroupNorm": "chainrule.layers.normalization",
    "HardSigmoid": "chainrule.layers.hard_activations",
    "HardSwish": "chainrule.layers.hard_activations",
    "HardTanh": "chainrule.layers.hard_activations",
    "He": "chainrule.initializers",
    "Hinge": "chainrule.losses.margins",
    "History": "chainrule.training.history",
    "Huber": "chainrule.losses.distances",
    "Identity": "chainrule.layers.activations",
    "Initializer": "chainrule.initializers",
    "L2Pool1D": "chainrule.layers.pooling",
    "L2Pool2D": "chainrule.layers.pooling",
    "Layer": "chainrule.layers.base",
    "LayerNorm": "chainrule.layers.normalization",
    "LeakyReLU": "chainrule.layers.rectifiers",
    "LearnedPositions": "chainrule.layers.embedding",
    "Loss": "chainrule.losses.base",
    "Masking": "chainrule.layers.masking",
    "MaxNorm": "chainrule.constraints",
    "MaxPool1D": "chainrule.layers.pooling",
    "MaxPool2D": "chainrule.layers.pooling",
    "MeanAbsoluteError": "chainrule.losses.distances",
    "Mish": "chainrule.layers.activations",
    "MissingExtraError": "chainrule.errors",
    "MultiHeadAttention": "chainrule.layers.attention",
    "Network": "chainrule.network",
    "NonFiniteError": "chainrule.errors",
    "Normal": "chainrule.initializers",
    "Ones": "chainrule.initializers",
    "Optimizer": "chainrule.training.optimizers",
    "Orthogonal": "chainrule.initializers",
    "PReLU": "chainrule.layers.rectifiers",
    "PairError": "chainrule.errors",
    "Parallel": "chainrule.layers.structure",
    "Parameter": "chainrule.layers.base",
    "Penalty": "chainrule.penalties",
    "Plan": "chainrule.engine.plan",
    "Poisson": "chainrule.losses.counts",
    "PositionalEncoding": "chainrule.layers.embedding",
    "RMSNorm": "chainrule.layers.normalization",
    "RMSProp": "chainrule.training.optimizers",
    "ReLU": "chainrule.layers.rectifiers",
    "Recurrent": "chainrule.layers.recurrent",
    "Report": "chainrule.explaining.report",
    "Residual": "chainrule.layers.structure",
    "ScaledNormal": "chainrule.initializers",
    "Schedule": "chainrule.training.schedules",
    "Sequential": "chainrule.layers.structure",
    "ShapeError": "chainrule.errors",
    "SiLU": "chainrule.layers.activations",
    "Sigmoid": "chainrule.layers.activations",
    "Softmax": "chainrule.layers.softmax",
    "Softplus": "chainrule.layers.activations",
    "SquaredError": "chainrule.losses.distances",
    "Step": "chainrule.step",
    "StepDecay": "chainrule.training.schedules",
    "Tanh": "chainrule.layers.activations",
    "Uniform": "chainrule.initializers",
    "Zeros": "chainrule.initializers",
    "__version__": "chainrule.version",
    "check_gradients": "chainrule.checking.gradients",
    "check_layer": "chainrule.checking.single",
    "data": "chainrule.data",
    "diagnose": "chainrule.explaining.doctor",
    "explain": "chainrule.explaining.report",
    "fit": "chainrule.training.fit",
    "fit_full_batch": "chainrule.training.full_batch",
    "formulas": "chainrule.formulas",
    "info": "chainrule.engine.isa",
    "load": "chainrule.network",
    "set_threads": "chainrule.engine.isa",
    "threads": "chainrule.engine.isa",
}
__all__ = [*HOMES]


def __getattr__(name: str) -> Any:
    own = f"{__name__}.{name}"
    if HOMES.get(name, own) == own and name.isidentifier() and find_spec(own):  # a part: chainrule.layers
        return import_module(own)
    if name not in HOMES:
        raise AttributeError(_refusal(name), name=name)
    value = globals()[name] = getattr(import_module(HOMES[name]), name)
    return value


def _refusal(name: str) -> str:
    from chainrule.foreign import answer
    from chainrule.foreign.names import NAMES
    from chainrule.shown import clipped

    same = next((own for own in HOMES if own.lower() == name.lower()), "")
    advice = answer(
        NAMES.get(name, f"chainrule.{same}{_kind(same) if name.islower() else ''}" if same else "")
    )
    return f"module 'chainrule' has no attribute {clipped(repr(name))}{advice}"


def _kind(own: str) -> str:
    """What the class is, to end a sentence: small letters name functions of arrays elsewhere."""
    found = __getattr__(own)
    kinds = {"Layer": "a layer", "Loss": "a loss", "Initializer": "an initializer", "Penalty": "a penalty"}
    bases = found.__mro__ if isinstance(found, type) else ()
    return next((f", {kind}" for name, kind in kinds.items() if __getattr__(name) in bases), "")


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
