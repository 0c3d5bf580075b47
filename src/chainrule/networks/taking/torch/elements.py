"""Linear layers, activations, softmax, dropout and gates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, describe
from chainrule.layers import (
    CELU,
    ELU,
    GELU,
    GLU,
    SELU,
    Dropout,
    HardShrink,
    HardSigmoid,
    HardSwish,
    HardTanh,
    Layer,
    LeakyReLU,
    LogSigmoid,
    LogSoftmax,
    Mish,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softplus,
    SoftShrink,
    Softsign,
    Tanh,
    TanhShrink,
    Threshold,
)
from chainrule.networks.taking.torch.reading import Reading, array_of, axis_of
from chainrule.networks.taking.values import Layout, Value


def linear(r: Reading, name: str, m: Any, x: Value) -> Value:
    return r.building.dense(name, x, array_of(m.weight), None if m.bias is None else array_of(m.bias))


def _entrywise(make: Callable[[Any], Layer]) -> Callable[..., Value]:
    return lambda r, name, m, x: r.building.entrywise(name, x, make(m))


def _only(name: str, condition: bool, meant: str) -> None:
    if not condition:
        raise ArgumentError(f"{name} is taken with {meant}")


def _softplus(m: Any) -> Layer:
    return _softplus_of(m.beta, m.threshold)


def _softplus_of(beta: float = 1.0, threshold: float = 20.0) -> Layer:
    """Beyond βz = 20 the formula itself is z to 2e-9."""
    return Softplus() if (beta, threshold) == (1, 20) else Softplus(beta, threshold)


def _gelu(m: Any) -> Layer:
    return GELU(approximate=m.approximate)


def _hardtanh(m: Any) -> Layer:
    return HardTanh(m.min_val, m.max_val)


def _prelu(r: Reading, name: str, m: Any, x: Value) -> Value:
    return r.building.prelu(name, x, array_of(m.weight), True)


def _softmax(r: Reading, name: str, m: Any, x: Value) -> Value:
    return r.building.softmax(name, x, axis_of(name, x, 1 if m.dim is None else m.dim))


def _function(make: Callable[..., Layer]) -> Callable[..., Value]:
    def read(
        r: Reading, name: str, x: Value, *arguments: Any, inplace: bool = False, **options: Any
    ) -> Value:
        return r.building.entrywise(name, x, make(*arguments, **options))

    return read


def _dropout(
    r: Reading, name: str, x: Value, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Value:
    return r.building.entrywise(name, x, Dropout(p)) if training and p else x


def _glu(r: Reading, name: str, x: Value, dim: int = -1) -> Value:
    """The gate reads halves of the last axis."""
    b, axis = r.building, axis_of(name, x, dim)
    if axis == 0 and len(x.theirs) > 1:
        read = b.read(name, x, True)
    else:
        read = b.plain(name, x)
        if axis != len(x.theirs) - 1:
            raise ArgumentError(f"{name}: GLU goes over the channels or the last axis, received dim={dim}")
    theirs = list(x.theirs)
    theirs[axis] //= 2
    return Value(tuple(theirs), Layout(read.layout.first), b.node(name, read, GLU()))


def _softmaxed(r: Reading, name: str, x: Value, dim: int = 1, **options: Any) -> Value:
    return r.building.softmax(name, x, axis_of(name, x, dim))


def _clamp(r: Reading, name: str, x: Value, min: Any = None, max: Any = None) -> Value:
    if min is None and max is None:
        raise ArgumentError(f"{name}: clamp takes min, max or both")
    if not all(given is None or isinstance(given, int | float) for given in (min, max)):
        raise ArgumentError(f"{name}: clamp is taken with numbers, received {describe((min, max))}")
    low, high = -np.inf if min is None else float(min), np.inf if max is None else float(max)
    return r.building.clipped(name, x, low, high, r.dtype)


MODULES: dict[str, Callable[..., Any]] = {
    "Linear": linear,
    "LogSoftmax": lambda r, name, m, x: r.building.over_axis(
        name, x, axis_of(name, x, 1 if m.dim is None else m.dim), LogSoftmax()
    ),
    "GLU": lambda r, name, m, x: _glu(r, name, x, m.dim),
    "Softmax": _softmax,
    "Softmax2d": lambda r, name, m, x: r.building.softmax(name, x, 0),
    "Softmin": lambda r, name, m, x: _softmax(
        r, name, m, r.building.times(f"{name}_negative", x, np.array(-1.0))
    ),
    "PReLU": _prelu,
    "Identity": lambda r, name, m, x: x,
    "Dropout": _entrywise(lambda m: Dropout(m.p)),
    "ReLU": _entrywise(lambda m: ReLU()),
    "LeakyReLU": _entrywise(lambda m: LeakyReLU(m.negative_slope)),
    "ELU": _entrywise(lambda m: ELU(m.alpha)),
    "SELU": _entrywise(lambda m: SELU()),
    "GELU": _entrywise(_gelu),
    "SiLU": _entrywise(lambda m: SiLU()),
    "Mish": _entrywise(lambda m: Mish()),
    "Sigmoid": _entrywise(lambda m: Sigmoid()),
    "Tanh": _entrywise(lambda m: Tanh()),
    "Softplus": _entrywise(_softplus),
    "Softsign": _entrywise(lambda m: Softsign()),
    "Hardtanh": _entrywise(_hardtanh),
    "ReLU6": _entrywise(lambda m: ReLU6()),
    "CELU": _entrywise(lambda m: CELU(m.alpha)),
    "LogSigmoid": _entrywise(lambda m: LogSigmoid()),
    "Threshold": _entrywise(lambda m: Threshold(m.threshold, m.value)),
    "Hardshrink": _entrywise(lambda m: HardShrink(m.lambd)),
    "Softshrink": _entrywise(lambda m: SoftShrink(m.lambd)),
    "Tanhshrink": _entrywise(lambda m: TanhShrink()),
    "Hardsigmoid": _entrywise(lambda m: HardSigmoid()),
    "Hardswish": _entrywise(lambda m: HardSwish()),
}


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "glu": _glu,
    "log_softmax": lambda r, name, x, dim=1, **options: r.building.over_axis(
        name, x, axis_of(name, x, dim), LogSoftmax()
    ),
    "dropout": _dropout,
    **dict.fromkeys(("softmax", "_softmax"), _softmaxed),
    **dict.fromkeys(("relu", "relu_"), _function(ReLU)),
    "leaky_relu": _function(lambda negative_slope=0.01: LeakyReLU(negative_slope)),
    "elu": _function(lambda alpha=1.0: ELU(alpha)),
    "selu": _function(SELU),
    "gelu": _function(lambda approximate="none": GELU(approximate=approximate)),
    "silu": _function(SiLU),
    "mish": _function(Mish),
    **dict.fromkeys(("sigmoid", "sigmoid_"), _function(Sigmoid)),
    **dict.fromkeys(("tanh", "tanh_"), _function(Tanh)),
    "softplus": _function(_softplus_of),
    "relu6": _function(ReLU6),
    "logsigmoid": _function(LogSigmoid),
    "softsign": _function(Softsign),
    "hardswish": _function(HardSwish),
    "hardsigmoid": _function(HardSigmoid),
    "celu": _function(lambda alpha=1.0: CELU(alpha)),
    "hardtanh": _function(lambda min_val=-1.0, max_val=1.0: HardTanh(min_val, max_val)),
    **dict.fromkeys(("threshold", "_threshold"), _function(lambda above, value: Threshold(above, value))),
    "hardshrink": _function(lambda lambd=0.5: HardShrink(lambd)),
    "softshrink": _function(lambda lambd=0.5: SoftShrink(lambd)),
    "tanhshrink": _function(TanhShrink),
    **dict.fromkeys(("clamp", "clip", "clamp_"), _clamp),
    "softmin": lambda r, name, x, dim=1, **_: _softmaxed(
        r, name, r.building.times(f"{name}_negative", x, np.array(-1.0)), dim
    ),
    "prelu": lambda r, name, x, weight: r.building.prelu(name, x, weight, True),
    "linear": lambda r, name, x, W, b=None: r.building.dense(name, x, W, b),
}
