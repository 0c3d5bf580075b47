"""Right forwards and backwards in several styles, shapes and sizes of numbers, drawn at random, and a NumPy
that rounds every result to bfloat16.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.base.types import Array
from chainrule.verifying.precision import rounded

Forward = Callable[..., Array]
Backward = Callable[..., Sequence[Array]]


@dataclass(frozen=True, eq=False)
class Program:
    """forward(*args) -> output; backward(δ, *args) -> a gradient per argument."""

    name: str
    forward: Forward
    backward: Backward
    args: tuple[Array, ...]
    like: str
    options: dict[str, Any]


# -- dense
def _dense(rng: np.random.Generator) -> Program:
    m, inputs, units = rng.integers(2, 7), int(2 ** rng.uniform(1, 9)), rng.integers(2, 9)
    args = (rng.normal(size=(m, inputs)), rng.normal(size=(inputs, units)), rng.normal(size=units))
    styles: list[Backward] = [
        lambda d, x, w, b: (d @ w.T, x.T @ d, d.sum(axis=0)),
        lambda d, x, w, b: (
            np.einsum("mo,io->mi", d, w),
            np.einsum("mi,mo->io", x, d),
            np.einsum("mo->o", d),
        ),
        lambda d, x, w, b: (
            np.stack([(w * row).sum(axis=1) for row in d]),
            _added([np.outer(a, row) for a, row in zip(x, d, strict=True)]),
            _added(list(d)),
        ),
        lambda d, x, w, b: (
            np.tensordot(d, w, ((1,), (1,))),
            np.tensordot(x, d, ((0,), (0,))),
            np.ones_like(d[:, 0]) @ d,
        ),
    ]
    style = int(rng.integers(len(styles)))
    return Program(f"dense {style}", lambda x, w, b: x @ w + b, styles[style], args, "dense", {})


def _added(values: list[Array]) -> Array:
    """One after the other, in the precision that they have."""
    total = np.zeros_like(values[0])
    for value in values:
        total = total + value
    return total


def _dense_columns(rng: np.random.Generator) -> Program:
    m, inputs, units = rng.integers(2, 7), int(2 ** rng.uniform(1, 7)), rng.integers(2, 9)
    args = (rng.normal(size=(inputs, m)), rng.normal(size=(units, inputs)), rng.normal(size=(units, 1)))
    return Program(
        "dense of columns",
        lambda x, w, b: w @ x + b,
        lambda d, x, w, b: (w.T @ d, d @ x.T, d.sum(axis=1, keepdims=True)),
        args,
        "dense",
        {},
    )


# -- convolution and pooling
def _windows(x: Array, k: tuple[int, int], stride: int, pad: int) -> tuple[Array, list[Any]]:
    """Padded x, and per window (rows, columns, slices)."""
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    rows, columns = ((padded.shape[2 + i] - k[i]) // stride + 1 for i in range(2))
    at = [
        (i, j, (..., slice(i * stride, i * stride + k[0]), slice(j * stride, j * stride + k[1])))
        for i in range(rows)
        for j in range(columns)
    ]
    return padded, at


def _convolution(rng: np.random.Generator) -> Program:
    k = (int(rng.integers(1, 4)), int(rng.integers(2, 4)))
    stride, pad = int(rng.integers(1, 3)), int(rng.integers(0, min(k)))
    m, channels, filters = rng.integers(2, 4), rng.integers(1, 4), rng.integers(2, 5)
    height, width = rng.integers(4, 8, 2)
    args = (
        rng.normal(size=(m, channels, height, width)),
        rng.normal(size=(filters, channels, *k)),
        rng.normal(size=filters),
    )

    def forward(x: Array, w: Array, b: Array) -> Array:
        padded, at = _windows(x, k, stride, pad)
        rows, columns = at[-1][0] + 1, at[-1][1] + 1
        out = np.zeros_like(x, shape=(len(x), len(w), rows, columns))
        for i, j, window in at:
            out[:, :, i, j] = np.tensordot(padded[window], w, ((1, 2, 3), (1, 2, 3))) + b
        return out

    def scattered(d: Array, x: Array, w: Array, b: Array) -> tuple[Array, ...]:
        padded, at = _windows(x, k, stride, pad)
        below, dw = np.zeros_like(padded), np.zeros_like(w)
        for i, j, window in at:
            dw += np.tensordot(d[:, :, i, j], padded[window], ((0,), (0,)))
            below[window] += np.tensordot(d[:, :, i, j], w, ((1,), (0,)))
        inner = below[:, :, pad : below.shape[2] - pad, pad : below.shape[3] - pad]
        return inner, dw, d.sum(axis=(0, 2, 3))

    def by_columns(d: Array, x: Array, w: Array, b: Array) -> tuple[Array, ...]:
        padded, at = _windows(x, k, stride, pad)
        columns = np.stack([padded[window].reshape(len(x), -1) for _, _, window in at], axis=1)
        flat = np.moveaxis(d, 1, -1).reshape(-1, len(w))
        dw = (flat.T @ columns.reshape(len(flat), -1)).reshape(w.shape)
        back = (flat @ w.reshape(len(w), -1)).reshape(len(x), len(at), *w.shape[1:])
        below = np.zeros_like(padded)
        for number, (_, _, window) in enumerate(at):
            below[window] += back[:, number]
        return (
            below[:, :, pad : below.shape[2] - pad, pad : below.shape[3] - pad],
            dw,
            flat.sum(axis=0),
        )

    style = [scattered, by_columns][int(rng.integers(2))]
    options = {"stride": stride, "pad": pad}
    return Program(f"convolution {style.__name__}", forward, style, args, "conv2d", options)


def _pooling(rng: np.random.Generator) -> Program:
    size, stride = int(rng.integers(2, 4)), int(rng.integers(1, 4))
    args = (rng.normal(size=(rng.integers(2, 4), rng.integers(1, 4), *rng.integers(4, 8, 2))),)
    mean = bool(rng.integers(2))

    def forward(x: Array) -> Array:
        _, at = _windows(x, (size, size), stride, 0)
        out = np.zeros_like(x, shape=(*x.shape[:2], at[-1][0] + 1, at[-1][1] + 1))
        for i, j, window in at:
            out[:, :, i, j] = x[window].mean(axis=(2, 3)) if mean else x[window].max(axis=(2, 3))
        return out

    def backward(d: Array, x: Array) -> tuple[Array, ...]:
        _, at = _windows(x, (size, size), stride, 0)
        below = np.zeros_like(x)
        for i, j, window in at:
            share = d[:, :, i, j][:, :, None, None]
            if mean:
                below[window] += np.broadcast_to(share / size**2, x[window].shape)
            else:
                flat = x[window].reshape(*x.shape[:2], -1)
                first = np.arange(flat.shape[-1]) == np.asarray(flat).argmax(axis=-1)[..., None]
                below[window] += share * first.reshape(x[window].shape)
        return (below,)

    like = "averagepool2d" if mean else "maxpool2d"
    return Program(like, forward, backward, args, like, {"window": size, "stride": stride})


# -- normalisation
def _normalised(rng: np.random.Generator, axis: int) -> Program:
    m, n = int(rng.integers(3, 9)), int(rng.integers(3, 9))
    far = float(rng.choice([0.0, 1.0, 30.0]))
    args = (far + rng.normal(size=(m, n)), rng.normal(size=n), rng.normal(size=n))
    epsilon = 1e-5

    def forward(x: Array, gamma: Array, beta: Array) -> Array:
        centre = x.mean(axis=axis, keepdims=True)
        variance = ((x - centre) ** 2).mean(axis=axis, keepdims=True)
        return gamma * ((x - centre) / np.sqrt(variance + epsilon)) + beta

    def staged(d: Array, x: Array, gamma: Array, beta: Array) -> tuple[Array, ...]:
        count = x.shape[axis]
        centred = x - x.mean(axis=axis, keepdims=True)
        root = np.sqrt((centred**2).mean(axis=axis, keepdims=True) + epsilon)
        inverse = 1 / root
        hat = centred * inverse
        dhat = d * gamma
        dinverse = (dhat * centred).sum(axis=axis, keepdims=True)
        dcentred = dhat * inverse
        dvariance = -0.5 * dinverse * inverse * inverse * inverse
        dcentred = dcentred + 2 * centred * dvariance / count
        dx = dcentred - dcentred.sum(axis=axis, keepdims=True) / count
        return dx, (d * hat).sum(axis=0), d.sum(axis=0)

    def at_once(d: Array, x: Array, gamma: Array, beta: Array) -> tuple[Array, ...]:
        count = x.shape[axis]
        centred = x - x.mean(axis=axis, keepdims=True)
        root = np.sqrt((centred**2).mean(axis=axis, keepdims=True) + epsilon)
        hat, e = centred / root, d * gamma
        sums = count * e - e.sum(axis=axis, keepdims=True) - hat * (e * hat).sum(axis=axis, keepdims=True)
        return sums / (count * root), (d * hat).sum(axis=0), d.sum(axis=0)

    style = [staged, at_once][int(rng.integers(2))]
    like = "batchnorm" if axis == 0 else "layernorm"
    return Program(f"{like} {style.__name__}, mean {far:g}", forward, style, args, like, {})


# -- entry by entry, and softmax
def _softmax(rng: np.random.Generator) -> Program:
    large = float(rng.choice([1.0, 10.0, 60.0]))
    args = (large * rng.normal(size=(int(rng.integers(2, 6)), int(rng.integers(3, 12)))),)

    def forward(x: Array) -> Array:
        e = np.exp(x - x.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def short(d: Array, x: Array) -> tuple[Array, ...]:
        p = forward(x)
        return (p * (d - (p * d).sum(axis=1, keepdims=True)),)

    def split(d: Array, x: Array) -> tuple[Array, ...]:
        p = forward(x)
        g = p * d
        return (g - p * g.sum(axis=1, keepdims=True),)

    style = [short, split][int(rng.integers(2))]
    return Program(f"softmax {style.__name__}, scores {large:g}", forward, style, args, "softmax", {})


ENTRYWISE: dict[str, tuple[Forward, list[Backward]]] = {
    "relu": (
        lambda x: np.maximum(x, 0),
        [lambda d, x: (d * (x > 0),), lambda d, x: (np.where(x >= 0, d, np.zeros_like(d)),)],
    ),
    "sigmoid": (
        lambda x: 1 / (1 + np.exp(-x)),
        [
            lambda d, x: (d * (1 / (1 + np.exp(-x))) * (1 - 1 / (1 + np.exp(-x))),),
            lambda d, x: (d * (1 / (1 + np.exp(-x))) * (1 / (1 + np.exp(x))),),
        ],
    ),
    "tanh": (
        lambda x: np.tanh(x),
        [lambda d, x: (d * (1 - np.tanh(x) ** 2),), lambda d, x: (d / np.cosh(x) ** 2,)],
    ),
    "silu": (
        lambda x: x / (1 + np.exp(-x)),
        [lambda d, x: (d * ((1 / (1 + np.exp(-x))) * (1 + x * (1 - 1 / (1 + np.exp(-x))))),)],
    ),
}


def _entrywise(rng: np.random.Generator) -> Program:
    name = str(rng.choice(list(ENTRYWISE)))
    forward, styles = ENTRYWISE[name]
    number = int(rng.integers(len(styles)))
    large = float(rng.choice([1.0, 4.0]))
    args = (large * rng.normal(size=(int(rng.integers(2, 6)), int(rng.integers(2, 9)))),)
    return Program(f"{name} {number}, numbers {large:g}", forward, styles[number], args, name, {})


DRAWN: list[Callable[[np.random.Generator], Program]] = [
    _dense, _dense_columns, _convolution, _pooling, lambda rng: _normalised(rng, 0),
    lambda rng: _normalised(rng, 1), _softmax, _entrywise,
]  # fmt: skip


def program(seed: int) -> Program:
    """A right program; every kind in turn."""
    return DRAWN[seed % len(DRAWN)](np.random.default_rng(seed))


# -- bfloat16
class Bfloat16(np.ndarray[Any, Any]):
    """Every operation's result rounded to bfloat16; sums add up in float64, as of a kernel."""

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        (target,) = options.pop("out", None) or (None,)
        result = getattr(ufunc, method)(*map(_wide, inputs), **options)
        if target is not None:
            target[...] = bfloat16(result)
            return target
        return bfloat16(result)

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        return bfloat16(function(*_wide(args), **{name: _wide(value) for name, value in options.items()}))


def bfloat16(values: Any) -> Any:
    """Real numbers as bfloat16; anything else as it is."""
    if not isinstance(values, (np.ndarray, np.floating)) or values.dtype.kind != "f":
        return values
    return rounded(np.asarray(values), "bfloat16").view(Bfloat16)


def _wide(value: Any) -> Any:
    if isinstance(value, Bfloat16):
        return value.view(np.ndarray)
    if isinstance(value, (list, tuple)):
        return type(value)(_wide(each) for each in value)
    return value


def in_precision(arrays: Sequence[Array], precision: str) -> list[Array]:
    """The numbers in a type that computes in `precision`."""
    if precision == "bfloat16":
        return [bfloat16(value.astype(np.float64)) for value in arrays]
    return [value.astype(precision) for value in arrays]
