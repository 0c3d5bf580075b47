"""The public classes, with arguments that each can be made with, and the shape of an input for the layers."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

import chainrule as cr

LAYERS: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "Dense": ({"units": 2}, (3,)),
    "DenseTranspose": ({"units": 2}, (3,)),
    "Conv1D": ({"filters": 2, "kernel_size": 2}, (5, 2)),
    "Conv2D": ({"filters": 2, "kernel_size": 2}, (5, 5, 2)),
    "ConvTranspose1D": ({"filters": 2, "kernel_size": 2}, (4, 2)),
    "ConvTranspose2D": ({"filters": 2, "kernel_size": 2}, (3, 3, 2)),
    "DepthwiseConv2D": ({"kernel_size": 2}, (5, 5, 2)),
    **{f"{kind}Pool1D": ({"window": 2}, (6, 2)) for kind in ("Max", "Average", "L2")},
    **{f"{kind}Pool2D": ({"window": 2}, (6, 6, 2)) for kind in ("Max", "Average", "L2")},
    "LpPool1D": ({"p": 3}, (6, 2)),
    "LpPool2D": ({"p": 3}, (6, 6, 2)),
    **{
        f"Adaptive{kind}Pool{n}D": ({"size": 3}, (*(5, 4, 3)[-n:], 2))
        for kind in ("Average", "Max")
        for n in (1, 2, 3)
    },
    **{f"Conv{of}3D": ({"filters": 2, "kernel_size": 2}, (2, 3, 3, 2)) for of in ("", "Transpose")},
    **{f"{kind}Pool3D": ({"window": 2}, (2, 4, 4, 2)) for kind in ("Max", "Average", "L2")},
    "LpPool3D": ({"p": 3}, (2, 4, 4, 2)),
    **{f"{kind}3D": ({arg: 1}, (3, 4, 3, 2)) for kind, arg in (("Pad", "padding"), ("Crop", "cropping"))},
    "UpSample3D": ({}, (2, 3, 2, 2)),
    **{
        f"MaxUnpool{n}D": ({"sources": (((1,) * n + (2,)), (2,) * n + (2,))}, (2 + 2 ** (n + 1),))
        for n in (1, 2, 3)
    },
    **{kind: ({"units": 2}, (3, 2)) for kind in ("RNN", "LSTM", "GRU")},
    **{f"{kind}1D": ({arg: 1}, (4, 2)) for kind, arg in (("Pad", "padding"), ("Crop", "cropping"))},
    **{f"{kind}2D": ({arg: 1}, (4, 3, 2)) for kind, arg in (("Pad", "padding"), ("Crop", "cropping"))},
    "UpSample1D": ({}, (4, 2)),
    "UpSample2D": ({}, (3, 4, 2)),
    "Permute": ({"order": (1, 0)}, (3, 2)),
    "Reshape": ({"shape": (2, 3)}, (3, 2)),
    "Resample": ({"axis": 0, "weights": [[0.5, 0.5, 0.0]]}, (3, 2)),
    "PixelShuffle": ({"block": 2}, (3, 2, 8)),
    "Bidirectional": ({"layer": cr.LSTM(2)}, (3, 2)),
    "MultiHeadAttention": ({"heads": 1}, (3, 2)),
    "TransformerDecoder": ({"heads": 1, "hidden": 2}, (3, 2)),
    "Embedding": ({"vocabulary": 3, "features": 2}, (4,)),
    "GroupNorm": ({"groups": 1}, (4,)),
    "InstanceNorm": ({}, (3, 2)),
    "LocalResponseNorm": ({"alpha": 0.5}, (3, 6)),
    "Residual": ({"layers": [cr.Dense(4)]}, (4,)),
    "Skip": ({"source": "input"}, (4,)),
    "Parallel": ({"chains": [[cr.Dense(4)]]}, (4,)),
    "Sequential": ({"layers": [cr.Dense(4)]}, (4,)),
    "Dropout": ({"rate": 0.5}, (4,)),
    "Features": ({"start": 0, "stop": 9}, (9,)),
    "Clamp": ({"low": -2.0, "high": 2.0}, (4,)),
    "ParametricActivation": ({"activation": "selu"}, (4,)),
    **{kind: ({}, (3, 2)) for kind in ("Masking", "PositionalEncoding", "LearnedPositions", "Flatten")},
    **{kind: ({}, (4, 4, 2)) for kind in ("GlobalAveragePool", "GlobalMaxPool")},
}
_RATED = (
    *("SGD", "Adam", "AdamW", "RMSProp", "Adagrad", "Adadelta", "NAdam", "RAdam", "Lion", "LAMB"),
    *("StepDecay", "CosineDecay", "OneCycle", "Warmup"),
)
OTHERS: dict[str, dict[str, Any]] = {
    **{name: {"rate": 0.1} for name in _RATED},
    **{name: {"rate": 0.1} for name in ("CosineLog", "FlatCosine")},
    "ExponentialDecay": {"rate": 0.1, "factor_per_epoch": 0.9},
    **{name: {"lam": 0.1} for name in ("L1", "L2")},
    "ElasticNet": {"l1": 0.1, "l2": 0.1},
    "MaxNorm": {"limit": 1.0},
    "Graph": {"nodes": {"a": cr.Dense(2)}, "input_shape": 3},
    "Constant": {"value": 0.1},
    "Normal": {"std": 0.1},
    "Uniform": {"limit": 0.1},
    "Checkpoint": {"path": "net.npz"},
    "JSONLines": {"path": "log.jsonl"},
    "TensorBoard": {"path": "runs/a"},
    "Doctor": {"X": np.ones((2, 3)), "y": np.ones((2, 2)), "say": None},
}
BASES = (cr.Layer, cr.Loss, cr.Optimizer, cr.Schedule, cr.Penalty, cr.Initializer, cr.Callback, cr.MaxNorm)
ABSTRACT = {"Activation", "Layer", "Loss", "Optimizer", "Schedule", "Penalty", "Initializer", "Callback"}
CLASSES = sorted(
    name
    for name in cr.__all__
    if isinstance(getattr(cr, name), type)
    and issubclass(getattr(cr, name), BASES)
    and name not in ABSTRACT | {"Recurrent"}
)


def arguments(target: Any) -> list[str]:
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return [name for name, one in inspect.signature(target).parameters.items() if one.kind not in kinds]
