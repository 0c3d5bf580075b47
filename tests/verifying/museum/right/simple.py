"""Dense layers and activations, in many hands."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import erf, expit
from tests.verifying.museum.right.style import Draw, Made, Styles

STYLES = Styles()
style = STYLES.style


def affine(x, w, b):
    return x @ w + b, (x, w)


@style("dense")
def affine_of_rows(r: Draw) -> Made:
    def backward(dout, cache):
        x, w = cache
        return dout @ w.T, x.T @ dout, dout.sum(axis=0)

    return (affine, backward), (r.normal(r.m, r.i), r.normal(r.i, r.o), r.normal(r.o)), "dense", {}


@style("dense")
def affine_by_loops(r: Draw) -> Made:
    def backward(dout, cache):
        x, w = cache
        dx, dw, db = np.zeros_like(x), np.zeros_like(w), np.zeros_like(w[0])
        for n in range(len(x)):
            dx[n] = w @ dout[n]
            dw += np.outer(x[n], dout[n])
            db += dout[n]
        return dx, dw, db

    return (affine, backward), (r.normal(r.m, r.i), r.normal(r.i, r.o), r.normal(r.o)), "affine", {}


@style("dense")
def linear_of_columns(r: Draw) -> Made:
    def forward(A, W, b):
        return W @ A + b, (A, W)

    def backward(dZ, cache):
        A, W = cache
        return W.T @ dZ, dZ @ A.T, dZ.sum(axis=1, keepdims=True)

    return (forward, backward), (r.normal(r.i, r.m), r.normal(r.o, r.i), r.normal(r.o, 1)), "linear", {}


@style("dense")
def linear_as_torch_has_it(r: Draw) -> Made:
    def forward(x, weight, bias):
        return np.einsum("mi,oi->mo", x, weight) + bias, (x, weight)

    def backward(grad, x, weight):
        return {"x": np.einsum("mo,oi->mi", grad, weight), "weight": np.einsum("mo,mi->oi", grad, x),
                "bias": np.einsum("mo->o", grad)}  # fmt: skip

    return (forward, backward), (r.normal(r.m, r.i), r.normal(r.o, r.i), r.normal(r.o)), "linear", {}


@style("dense")
def matrix_without_bias(r: Draw) -> Made:
    return (
        (lambda x, w: (x.dot(w), (x, w)), lambda d, c: (d.dot(c[1].T), c[0].T.dot(d))),
        (r.normal(r.m, r.i), r.normal(r.i, r.o)),
        "dense",
        {},
    )


class Affine:
    """As a book writes it."""

    def __init__(self, W, b):
        self.W, self.b = W, b

    def forward(self, x):
        self.x = x
        return np.dot(x, self.W) + self.b

    def backward(self, dout):
        self.dW, self.db = np.dot(self.x.T, dout), np.sum(dout, axis=0)
        return np.dot(dout, self.W.T)


@style("dense")
def affine_as_a_class(r: Draw) -> Made:
    return Affine(r.normal(r.i, r.o), r.normal(r.o)), (r.normal(r.m, r.i),), "affine", {}


@style("dense")
def bias_as_a_row(r: Draw) -> Made:
    def backward(dout, cache):
        x, w = cache
        return dout @ w.T, x.T @ dout, dout.sum(axis=0, keepdims=True)

    return (affine, backward), (r.normal(r.m, r.i), r.normal(r.i, r.o), r.normal(1, r.o)), "dense", {}


def gelu(x):
    return x * (1 + erf(x / np.sqrt(x.dtype.type(2)))) / 2


def d_gelu(d, x):
    density = np.exp(-x * x / 2) / x.dtype.type(np.sqrt(2 * np.pi))
    return d * ((1 + erf(x / np.sqrt(x.dtype.type(2)))) / 2 + x * density)


def elu(alpha):
    return lambda x: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def d_elu(alpha):
    return lambda d, x: np.where(x > 0, d, d * (elu(alpha)(x) + alpha))


LAMBDA, ALPHA = 1.0507009873554805, 1.6732632423543772


def selu(x):
    return LAMBDA * np.where(x > 0, x, ALPHA * (np.exp(np.minimum(x, 0)) - 1))


def d_selu(d, x):
    return LAMBDA * d * np.where(x > 0, x.dtype.type(1), ALPHA * np.exp(np.minimum(x, 0)))


def mish_gate(x):
    return np.tanh(np.logaddexp(x, x.dtype.type(0)))


def d_mish(d, x):
    t = mish_gate(x)
    return d * (t + x * expit(x) * (1 - t * t))


def d_silu(d, x):
    return d * (expit(x) + x * expit(x) * expit(-x))


def hard_swish(x):
    return x * np.clip(x + 3, 0, 6) / 6


def d_hard_swish(d, x):
    return np.where(x <= -3, 0 * d, np.where(x >= 3, d, d * (2 * x + 3) / 6))


# name of the layer -> (f, δ from the input, options)
BY_INPUT: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "relu": (lambda x: x * (x > 0), lambda d, x: d * (x > 0), {}),
    "leakyrelu": (
        lambda x: np.maximum(x, 0) + 0.1 * np.minimum(x, 0),
        lambda d, x: np.where(x < 0, 0.1 * d, d),
        {"slope": 0.1},
    ),
    "elu": (elu(0.8), d_elu(0.8), {"alpha": 0.8}),
    "selu": (selu, d_selu, {}),
    "gelu": (gelu, d_gelu, {}),
    "silu": (lambda x: x * expit(x), d_silu, {}),
    "mish": (lambda x: x * mish_gate(x), d_mish, {}),
    "softplus": (lambda x: np.logaddexp(x, x.dtype.type(0)), lambda d, x: d * expit(x), {}),
    "softsign": (lambda x: x / (1 + np.abs(x)), lambda d, x: d / np.square(1 + np.abs(x)), {}),
    "sigmoid": (expit, lambda d, x: d * expit(x) * expit(-x), {}),
    "tanh": (np.tanh, lambda d, x: d / np.cosh(x) ** 2, {}),
    "hardsigmoid": (lambda x: np.clip((x + 3) / 6, 0, 1), lambda d, x: d * (np.abs(x) < 3) / 6, {}),
    "hardtanh": (lambda x: np.clip(x, -1, 1), lambda d, x: d * ((x > -1) & (x < 1)), {}),
    "hardswish": (hard_swish, d_hard_swish, {}),
}
# from the output
BY_OUTPUT: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "relu": (lambda x: np.maximum(x, 0), lambda d, a: np.where(a > 0, d, 0 * d), {}),
    "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), lambda d, a: d * a * (1 - a), {}),
    "tanh": (np.tanh, lambda d, a: d * (1 - a**2), {}),
    "softplus": (lambda x: np.log1p(np.exp(x)), lambda d, a: -d * np.expm1(-a), {}),
    "elu": (elu(1.0), lambda d, a: d * np.where(a > 0, a * 0 + 1, a + 1), {}),
    "leakyrelu": (
        lambda x: np.where(x > 0, x, 0.01 * x),
        lambda d, a: d * np.where(a > 0, a * 0 + 1, a * 0 + 0.01),
        {},
    ),
}


def _enter(name: str, table: Any, how: str, shape: str) -> None:
    f, df, options = table[name]

    def make(r: Draw) -> Made:
        sizes = {"rows": (r.m, r.i), "columns": (r.o, r.m), "images": (r.m, r.c, r.h, r.v)}[shape]

        def forward(x):
            return (f(x), x) if how == "input" else (f(x), f(x))

        return (forward, df), (2 * r.normal(*sizes),), name, dict(options)

    make.__name__ = f"{name} of {shape} by the {how}"
    style("activations")(make)


for _number, _name in enumerate(BY_INPUT):
    _enter(_name, BY_INPUT, "input", ("rows", "columns", "images")[_number % 3])
for _number, _name in enumerate(BY_OUTPUT):
    _enter(_name, BY_OUTPUT, "output", ("columns", "rows")[_number % 2])


class Sigmoid:
    def forward(self, x):
        self.out = expit(x)
        return self.out

    def backward(self, dout):
        return dout * (1.0 - self.out) * self.out


@style("activations")
def sigmoid_as_a_class(r: Draw) -> Made:
    return Sigmoid(), (r.normal(r.m, r.o),), "sigmoid", {}


@style("activations", without=["one sample"])
def prelu_of_rows(r: Draw) -> Made:
    def forward(x, alpha):
        return np.maximum(x, 0) + alpha * np.minimum(x, 0), (x, alpha)

    def backward(d, cache):
        x, alpha = cache
        return d * np.where(x > 0, x * 0 + 1, alpha), (d * np.minimum(x, 0)).sum(axis=0)

    return (forward, backward), (r.normal(r.m, r.i), r.positive(r.i)), "prelu", {}


def softmax(x, axis):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


@style("softmax", without=["one feature"])
def softmax_of_rows(r: Draw) -> Made:
    def forward(x):
        return softmax(x, 1), softmax(x, 1)

    return (
        (forward, lambda d, p: p * (d - np.sum(p * d, 1, keepdims=True))),
        (r.normal(r.m, r.o),),
        "softmax",
        {},
    )


@style("softmax", without=["one feature"])
def softmax_by_jacobians(r: Draw) -> Made:
    def forward(x):
        return softmax(x, 1), softmax(x, 1)

    def backward(d, p):
        dx = np.empty_like(p)
        for n in range(len(p)):
            s = p[n].reshape(-1, 1)
            dx[n] = (np.diagflat(s) - s @ s.T) @ d[n]
        return dx

    return (forward, backward), (r.normal(r.m, r.i),), "softmax", {}


@style("softmax", without=["one feature", "one sample"])
def softmax_of_columns(r: Draw) -> Made:
    def forward(z):
        return softmax(z, 0), softmax(z, 0)

    return (
        (forward, lambda d, p: p * d - p * np.einsum("km,km->m", p, d)),
        (r.normal(r.o, r.m),),
        "softmax",
        {},
    )
