"""Activations, softmax and dropout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.layers import (
    CELU,
    ELU,
    GELU,
    SELU,
    Dropout,
    Floor,
    HardShrink,
    HardSigmoid,
    HardSwish,
    Layer,
    LeakyReLU,
    LogSoftmax,
    Mish,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    SoftShrink,
    Softsign,
    Tanh,
    Threshold,
)
from chainrule.layers.activations.rectifiers import SELU_ALPHA, SELU_SCALE
from chainrule.networks.taking.onnx.reading import Attributes, Known, Reading, constant_of, refuse, value_of
from chainrule.networks.taking.values import Value


def _dropout(
    r: Reading, name: str, at: Attributes, x: Known, ratio: Known = None, training: Known = None
) -> Any:
    rate = float(at.get("ratio", 0.5)) if ratio is None else float(constant_of(name, ratio, "ratio"))
    if training is not None and np.any(constant_of(name, training, "training_mode")) and rate:
        raise refuse(name, "training_mode=1, in which predictions are drawn,")
    if r.wanted(1):  # the mask of a prediction: nothing is left out
        if r.wanted(0):
            raise refuse(name, "a dropout that is read together with its mask")
        nothing = r.building.times(f"{name}_nothing", value_of(name, x), np.zeros(()))
        return (None, r.building.plus(name, nothing, np.ones(())))
    return r.building.entrywise(name, value_of(name, x), Dropout(rate)) if 0 < rate < 1 else value_of(name, x)


def _entrywise(make: Callable[[str, Attributes], Layer]) -> Callable[..., Value]:
    return lambda r, name, at, x: r.building.entrywise(name, value_of(name, x), make(name, at))


def _selu(name: str, at: Attributes) -> Layer:
    alpha, scale = at.get("alpha", SELU_ALPHA), at.get("gamma", SELU_SCALE)
    return SELU() if np.allclose((alpha, scale), (SELU_ALPHA, SELU_SCALE)) else SELU(alpha, scale)


def _hard_sigmoid(name: str, at: Attributes) -> Layer:
    alpha, beta = at.get("alpha", 0.2), at.get("beta", 0.5)
    return HardSigmoid() if np.allclose((alpha, beta), (1 / 6, 0.5)) else HardSigmoid(alpha, beta)


def _shrink(name: str, at: Attributes) -> Layer:
    limit, bias = at.get("lambd", 0.5), at.get("bias", 0.0)
    if bias not in (0.0, limit):
        raise refuse(name, f"bias={bias} with lambd={limit}")
    return HardShrink(limit) if bias == 0 else SoftShrink(limit)


def _gelu(name: str, at: Attributes) -> Layer:
    return GELU(approximate=at.get("approximate", "none"))


def _clip(r: Reading, name: str, at: Attributes, x: Known, low: Known = None, high: Known = None) -> Value:
    lowest = at.get("min", -np.inf) if low is None else float(constant_of(name, low, "limit"))
    highest = at.get("max", np.inf) if high is None else float(constant_of(name, high, "limit"))
    return r.building.clipped(name, value_of(name, x), lowest, highest, r.dtype)


def _prelu(r: Reading, name: str, at: Attributes, x: Known, slope: Known) -> Value:
    value = value_of(name, x)
    alpha = r.of_sample(name, value, constant_of(name, slope, "slope"))
    wide = [axis - alpha.ndim for axis, size in enumerate(alpha.shape) if size > 1]
    if not wide:
        return r.building.prelu(name, value, alpha, value.layout.first is not False)
    if wide in ([-1], [-len(value.theirs)]):
        return r.building.prelu(name, value, alpha, wide != [-1])
    flat = r.building.reshaped(f"{name}_entries", value, (int(np.prod(value.theirs)),))
    made = r.building.prelu(name, flat, np.broadcast_to(alpha, value.theirs).ravel(), False)
    return r.building.reshaped(f"{name}_shape", made, value.theirs)


def _softmax(r: Reading, name: str, at: Attributes, x: Known) -> Value:
    value, layer = value_of(name, x), LogSoftmax() if r.node.op_type == "LogSoftmax" else Softmax()
    axis = r.place(name, value, at.get("axis", -1 if r.opset >= 13 else 1))
    if r.opset >= 13 or axis == len(value.theirs) - 1:
        return r.building.over_axis(name, value, axis, layer)
    sizes = value.theirs  # up to version 12 over all axes from this one on
    rows = r.building.reshaped(f"{name}_rows", value, (*sizes[:axis], int(np.prod(sizes[axis:]))))
    return r.building.reshaped(f"{name}_axes", r.building.over_axis(name, rows, axis, layer), sizes)


def _swish(r: Reading, name: str, at: Attributes, x: Known) -> Value:
    """x σ(α x)"""
    alpha, value = at.get("alpha", 1.0), value_of(name, x)
    if alpha == 1:
        return r.building.entrywise(name, value, SiLU())
    if alpha == 0:
        return r.building.times(name, value, np.array(0.5))
    steeper = r.building.times(f"{name}_alpha", value, np.array(alpha))
    return r.building.times(name, r.building.entrywise(f"{name}_silu", steeper, SiLU()), np.array(1 / alpha))


def _swiglu(r: Reading, name: str, at: Attributes, gate: Known, linear: Known) -> Value:
    """The gate, and what it is on: both as values, or one as a constant."""
    if not isinstance(gate, Value):
        raise refuse(name, "a constant gate")
    made = _swish(r, f"{name}_gate", at, gate)
    if isinstance(linear, Value):
        return r.building.join(name, [made, linear], "product")
    return r.building.times(name, made, r.of_sample(name, made, constant_of(name, linear, "value")))


NODES: dict[str, Callable[..., Any]] = {
    "Dropout": _dropout,
    **dict.fromkeys(("Softmax", "LogSoftmax"), _softmax),
    "PRelu": _prelu,
    "Clip": _clip,
    "Relu": _entrywise(lambda name, at: ReLU()),
    "LeakyRelu": _entrywise(lambda name, at: LeakyReLU(at.get("alpha", 0.01))),
    "Elu": _entrywise(lambda name, at: ELU(at.get("alpha", 1.0))),
    "Selu": _entrywise(_selu),
    "Gelu": _entrywise(_gelu),
    "Mish": _entrywise(lambda name, at: Mish()),
    "Celu": _entrywise(lambda name, at: CELU(at.get("alpha", 1.0))),
    "ThresholdedRelu": _entrywise(lambda name, at: Threshold(at.get("alpha", 1.0), 0.0)),
    "Shrink": _entrywise(_shrink),
    "Sigmoid": _entrywise(lambda name, at: Sigmoid()),
    "Tanh": _entrywise(lambda name, at: Tanh()),
    "Softplus": _entrywise(lambda name, at: Softplus()),
    "Softsign": _entrywise(lambda name, at: Softsign()),
    "HardSigmoid": _entrywise(_hard_sigmoid),
    "Floor": _entrywise(lambda name, at: Floor()),
    "Swish": _swish,
    "SwiGLU": _swiglu,
    "HardSwish": _entrywise(lambda name, at: HardSwish()),
}
