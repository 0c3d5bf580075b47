"""Forwards and backwards as people write them, right ones and others with one mistake in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.base.types import Array

RNG = np.random.default_rng(7)
Pair = tuple[Callable[..., Any], Callable[..., Any]]


# -- dense
def affine(x: Array, w: Array, b: Array) -> Any:
    return x @ w + b, (x, w, b)


def affine_of(dx: Any = None, dw: Any = None, db: Any = None) -> Callable[..., Any]:
    """The backward pass with other formulas in place of the right ones."""

    def backward(dout: Array, cache: Any) -> Any:
        x, w, _ = cache
        return (
            dout @ w.T if dx is None else dx(dout, x, w),
            x.T @ dout if dw is None else dw(dout, x, w),
            dout.sum(axis=0) if db is None else db(dout, x, w),
        )

    return backward


AFFINE = (RNG.normal(size=(3, 4)), RNG.normal(size=(4, 5)), RNG.normal(size=5))
SQUARE = (RNG.normal(size=(3, 4)), RNG.normal(size=(4, 4)), RNG.normal(size=4))


# -- entry by entry
def relu(x: Array) -> Any:
    return np.maximum(x, 0), x


def sigmoid(x: Array) -> Any:
    s = 1 / (1 + np.exp(-x))
    return s, (x, s)


def tanh(x: Array) -> Any:
    t = np.tanh(x)
    return t, (x, t)


def softmax(x: Array) -> Any:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    return p, p


def softmax_right(dout: Array, p: Array) -> Array:
    return np.asarray(p * (dout - (p * dout).sum(axis=1, keepdims=True)))


X = RNG.normal(size=(3, 4))


# -- convolution
def convolution(stride: int, pad: int) -> Callable[..., Any]:
    def forward(x: Array, w: Array, b: Array) -> Any:
        padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
        rows, columns = ((x.shape[2 + i] + 2 * pad - w.shape[2 + i]) // stride + 1 for i in range(2))
        out = np.zeros((len(x), len(w), rows, columns), x.dtype)
        for i in range(rows):
            for j in range(columns):
                patch = padded[
                    :, :, i * stride : i * stride + w.shape[2], j * stride : j * stride + w.shape[3]
                ]
                out[:, :, i, j] = np.tensordot(patch, w, ((1, 2, 3), (1, 2, 3))) + b
        return out, (x, w)

    return forward


def convolution_back(stride: int, pad: int, mistake: str = "") -> Callable[..., Any]:
    def backward(dout: Array, cache: Any) -> Any:
        x, w = cache
        k1, k2 = w.shape[2:]
        padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
        dpadded, dw = np.zeros_like(padded), np.zeros_like(w)
        kernel = w[:, :, ::-1, ::-1] if mistake == "rotated" else w
        step = 1 if mistake == "stride" else stride
        for i in range(dout.shape[2]):
            for j in range(dout.shape[3]):
                at = (
                    slice(None),
                    slice(None),
                    slice(i * step, i * step + k1),
                    slice(j * step, j * step + k2),
                )
                dw += np.tensordot(dout[:, :, i, j], padded[at], ((0,), (0,)))
                share = np.tensordot(dout[:, :, i, j], kernel, ((1,), (0,)))
                dpadded[at] = share if mistake == "overwritten" else dpadded[at] + share
        rows, columns = x.shape[2:]
        dx = dpadded[:, :, pad : pad + rows, pad : pad + columns]
        if mistake == "padding":
            dx = dpadded[:, :, :rows, :columns]
        db = dout.sum(axis=(2, 3))[0] if mistake == "first" else dout.sum(axis=(0, 2, 3))
        return dx, dw, db

    return backward


IMAGES = (RNG.normal(size=(3, 2, 7, 6)), RNG.normal(size=(4, 2, 3, 3)), RNG.normal(size=4))


# -- pooling
def _each(values: Array) -> Array:
    return values.repeat(2, axis=2).repeat(2, axis=3)


def max_pool(x: Array) -> Any:
    n, c, h, w = x.shape
    out = x.reshape(n, c, h // 2, 2, w // 2, 2).max(axis=(3, 5))
    return out, (x, out)


def mean_pool(x: Array) -> Any:
    n, c, h, w = x.shape
    return x.reshape(n, c, h // 2, 2, w // 2, 2).mean(axis=(3, 5)), x


def max_pool_split(dout: Array, x: Array, out: Array) -> Array:
    """Of equal entries each gets its share of δ."""
    chosen = x == _each(out)
    n, c, h, w = x.shape
    count = chosen.reshape(n, c, h // 2, 2, w // 2, 2).sum(axis=(3, 5))
    return np.asarray(chosen * _each(dout / count.astype(dout.dtype)))


def max_pool_all(dout: Array, x: Array, out: Array) -> Array:
    return np.asarray((x == _each(out)) * _each(dout))


POOLED = (RNG.normal(size=(2, 3, 4, 6)),)


# -- batch normalisation
def batch_norm(x: Array, gamma: Array, beta: Array) -> Any:
    mean, variance = x.mean(axis=0), x.var(axis=0)
    hat = (x - mean) / np.sqrt(variance + 1e-5)
    return gamma * hat + beta, (gamma, hat, variance)


def batch_norm_back(mistake: str = "") -> Callable[..., Any]:
    def backward(dout: Array, cache: Any) -> Any:
        gamma, hat, variance = cache
        e, r = dout * gamma, np.sqrt(variance + 1e-5)
        dx = (e - e.mean(axis=0) - hat * (e * hat).mean(axis=0)) / r
        if mistake == "constants":
            dx = e / r
        if mistake == "variance constant":
            dx = (e - e.mean(axis=0)) / r
        if mistake == "sum":
            dx = (e - e.sum(axis=0) - hat * (e * hat).mean(axis=0)) / r
        if mistake == "no root":
            dx = dx / r
        dgamma = dout.sum(axis=0) if mistake == "gamma" else (dout * hat).sum(axis=0)
        return dx, dgamma, dout.sum(axis=0)

    return backward


NORMED = (RNG.normal(size=(5, 4)), RNG.normal(size=4), RNG.normal(size=4))
