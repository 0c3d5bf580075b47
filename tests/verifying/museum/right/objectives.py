"""Losses, classifiers with penalties and whole networks, in many hands."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, logsumexp
from tests.verifying.museum.meant import network
from tests.verifying.museum.right.style import Draw, Made, Styles

import chainrule as cr
from chainrule.losses.penalties import L2

STYLES = Styles()
style = STYLES.style
ONE = ["one feature"]


def softmax(z):
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


@style("losses", without=ONE)
def softmax_loss_of_labels(r: Draw) -> Made:
    def softmax_loss(x, y):
        n, p = len(x), softmax(x)
        dx = p.copy()
        dx[np.arange(n), y] -= 1
        return -np.sum(np.log(p[np.arange(n), y])) / n, dx / n

    return softmax_loss, (r.normal(r.m, r.o), r.labels(r.m, r.o)), "cross_entropy", {}


@style("losses", without=ONE)
def softmax_loss_of_one_hot_summed(r: Draw) -> Made:
    def loss(z, y):
        return (logsumexp(z, axis=1) - (z * y).sum(1)).sum(), softmax(z) - y

    y = np.eye(r.o, dtype=r.dtype)[r.labels(r.m, r.o)]
    return loss, (r.normal(r.m, r.o), y), "cross_entropy", {}


@style("losses", without=ONE)
def cross_entropy_of_every_sample(r: Draw) -> Made:
    def forward(z, y):
        p = softmax(z)
        return -np.log(p[np.arange(len(y)), y]), (p, y)

    def backward(d, cache):
        p, y = cache
        return d[:, None] * (p - (np.arange(p.shape[1]) == y[:, None]))

    return (forward, backward), (r.normal(r.m, r.o), r.labels(r.m, r.o)), "cross_entropy", {}


@style("losses")
def logits_of_yes_and_no(r: Draw) -> Made:
    def loss(z, y):
        value = np.mean(np.maximum(z, 0) - z * y + np.log1p(np.exp(-abs(z))))
        return value, (expit(z) - y) / len(z)

    return loss, (r.normal(r.m + 1), r.labels(r.m + 1, 2).astype(r.dtype)), "bce_with_logits", {}


@style("losses")
def mean_squared_error_over_everything(r: Draw) -> Made:
    def mse(a, y):
        return np.mean((a - y) ** 2), 2 * (a - y) / a.size

    return mse, (r.normal(r.m, r.o), r.normal(r.m, r.o)), "mse", {}


@style("losses")
def half_the_squares_of_columns(r: Draw) -> Made:
    def cost(A, Y):
        return np.sum((A - Y) ** 2) / 2 / A.shape[1], (A - Y) / A.shape[1]

    return cost, (r.normal(r.o, r.m), r.normal(r.o, r.m)), "mse", {}


@style("losses")
def absolute_error(r: Draw) -> Made:
    def mae(a, y):
        return np.abs(a - y).mean(), np.sign(a - y) / a.size

    return mae, (r.normal(r.m, r.o), r.normal(r.m, r.o)), "mae", {}


@style("losses")
def huber_in_two_pieces(r: Draw) -> Made:
    def loss(a, y):
        e = a - y
        small = np.abs(e) <= 1
        return np.sum(np.where(small, e * e / 2, np.abs(e) - 0.5)) / len(a), np.where(
            small, e, np.sign(e)
        ) / len(a)

    return loss, (2 * r.normal(r.m, r.o), r.normal(r.m, r.o)), "huber", {}


@style("losses")
def hinge_of_signs(r: Draw) -> Made:
    def loss(s, y):
        return np.maximum(0, 1 - y * s).mean(), -y * (y * s < 1) / len(s)

    return loss, (r.normal(r.m + 2), (2 * r.labels(r.m + 2, 2) - 1).astype(r.dtype)), "hinge", {}


@style("classifiers", without=ONE)
def softmax_classifier(r: Draw) -> Made:
    reg = 0.1

    def loss(W, X, y):
        p = softmax(X @ W)
        value = -np.log(p[np.arange(len(y)), y]).mean() + reg * np.sum(W * W)
        p[np.arange(len(y)), y] -= 1
        return value, X.T @ p / len(y) + 2 * reg * W

    like = network(cr.Dense(r.o, bias=False), cr.Softmax(), inputs=r.i)
    args = r.normal(r.i, r.o), r.normal(r.m, r.i), r.labels(r.m, r.o)
    return loss, args, like, {"loss": "cross_entropy", "penalty": L2(2 * reg)}


@style("classifiers", without=ONE)
def softmax_classifier_by_loops(r: Draw) -> Made:
    def loss(W, X, y):
        value, dW = 0.0, np.zeros_like(W)
        for i in range(len(X)):
            scores = X[i] @ W
            p = np.exp(scores - scores.max())
            p /= p.sum()
            value -= np.log(p[y[i]])
            for j in range(W.shape[1]):
                dW[:, j] += (p[j] - (j == y[i])) * X[i]
        return value / len(X) + 0.2 * np.sum(W**2), dW / len(X) + 0.4 * W

    like = network(cr.Dense(r.o, bias=False), cr.Softmax(), inputs=r.i)
    args = r.normal(r.i, r.o), r.normal(r.m, r.i), r.labels(r.m, r.o)
    return loss, args, like, {"loss": "cross_entropy", "penalty": L2(0.4)}


@style("classifiers")
def ridge_with_intercept(r: Draw) -> Made:
    def cost(w, b, X, y):
        e = X @ w + b - y
        value = np.sum(e * e) / 2 / len(X) + 0.15 * np.sum(w * w)
        return value, {"w": X.T @ e / len(X) + 0.3 * w, "b": e.mean(0)}

    args = r.normal(r.i, 1), r.normal(1), r.normal(r.m, r.i), r.normal(r.m, 1)
    return cost, args, network(cr.Dense(1), inputs=r.i), {"loss": "mse", "penalty": L2(0.3)}


FORMS = {
    "relu": (lambda z: np.maximum(z, 0), lambda z, a: z > 0, cr.ReLU),
    "sigmoid": (expit, lambda z, a: a * (1 - a), cr.Sigmoid),
    "tanh": (np.tanh, lambda z, a: 1 - a * a, cr.Tanh),
}


def _enter(name: str) -> None:
    f, df, layer = FORMS[name]

    def rows(r: Draw) -> Made:
        def loss(x, y, W1, b1, W2, b2):
            z = x @ W1 + b1
            a = f(z)
            p = softmax(a @ W2 + b2)
            d2 = p.copy()
            d2[np.arange(len(y)), y] -= 1
            d2 /= len(y)
            d1 = d2 @ W2.T * df(z, a)
            grads = {"W1": x.T @ d1, "b1": d1.sum(0), "W2": a.T @ d2, "b2": d2.sum(0)}
            return -np.log(p[np.arange(len(y)), y]).mean(), grads

        args = r.normal(r.i, r.o), r.normal(r.o), r.normal(r.o, 3), r.normal(3)
        like = network(cr.Dense(r.o), layer(), cr.Dense(3), cr.Softmax(), inputs=r.i)
        return loss, (r.normal(r.m, r.i), r.labels(r.m, 3), *args), like, {"loss": "cross_entropy"}

    def columns(r: Draw) -> Made:
        def cost(X, Y, W1, b1, W2, b2):
            m = X.shape[1]
            Z = W1 @ X + b1
            A = f(Z)
            out = W2 @ A + b2
            dZ2 = (out - Y) / m
            dZ1 = W2.T @ dZ2 * df(Z, A)
            grads = {"W1": dZ1 @ X.T, "b1": dZ1.sum(1, keepdims=True), "W2": dZ2 @ A.T,
                     "b2": dZ2.sum(1, keepdims=True)}  # fmt: skip
            return np.sum((out - Y) ** 2) / 2 / m, grads

        args = r.normal(r.o, r.i), r.normal(r.o, 1), r.normal(2, r.o), r.normal(2, 1)
        like = network(cr.Dense(r.o), layer(), cr.Dense(2), inputs=r.i)
        return cost, (r.normal(r.i, r.m), r.normal(2, r.m), *args), like, {"loss": "mse"}

    rows.__name__, columns.__name__ = f"two layers of rows {name}", f"two layers of columns {name}"
    style("networks")(rows)
    style("networks")(columns)


for _name in FORMS:
    _enter(_name)
