"""Dense layers, rows and columns of samples."""

from __future__ import annotations

from typing import Any

import numpy as np
from tests.verifying.museum.case import Cases, Made, normal

CASES = Cases(__name__)
bug = CASES.bug
ROWS = normal(1, (3, 4), (4, 5), (5,))
SQUARE = normal(2, (3, 4), (4, 4), (4,))
COLUMNS = normal(3, (4, 3), (5, 4), (5, 1))  # A_prev, W, b as deeplearning.ai has them


def affine(x, w, b):
    return x @ w + b, (x, w)


def linear(A, W, b):
    return W @ A + b, (A, W)


# every layer divides by m, while δ already has 1/m: community.deeplearning.ai 536725, keract#30
@bug("philipperemy/keract#30", "1/m in the layer's dW and db, where δ has it", "dense", "1/m")
def one_over_m_in_every_layer() -> Made:
    def backward(dZ, cache):
        A, W = cache
        m = A.shape[1]
        return W.T @ dZ, dZ @ A.T / m, dZ.sum(axis=1, keepdims=True) / m

    return (linear, backward), COLUMNS


@bug("bighuang624/Andrew-Ng-Deep-Learning-notes#10", "dW times 2", "dense", "factor 2")
def doubled_weights() -> Made:
    def backward(dZ, cache):
        A, W = cache
        return np.dot(W.T, dZ), np.dot(dZ, A.T) * 2, np.sum(dZ, axis=1, keepdims=True)

    return (linear, backward), COLUMNS


@bug("community.deeplearning.ai 484651", "db is summed over the units", "dense", "wrong shape")
def bias_over_the_wrong_axis() -> Made:
    def backward(dZ, cache):
        A, W = cache
        return W.T @ dZ, dZ @ A.T, dZ.sum(axis=0)

    return (linear, backward), COLUMNS


@bug("datascience.stackexchange 20139", "keepdims left out: db is (n,), b is (n, 1)", "dense", "wrong shape")
def bias_without_keepdims() -> Made:
    def backward(dZ, cache):
        A, W = cache
        return W.T @ dZ, dZ @ A.T, np.sum(dZ, axis=1)

    return (linear, backward), COLUMNS


@bug("datascience.stackexchange 76545", "W where Wᵀ must be", "dense", ("transpose", "turned", "swapped"))
def weights_not_transposed() -> Made:
    def backward(dout, cache):
        x, w = cache
        return dout @ w, x.T @ dout, dout.sum(0)

    return (affine, backward), SQUARE


@bug("course: loop over samples", "= for += over the samples", "dense", ("last", "overwritten"))
def last_sample_only() -> Made:
    def backward(dout, cache):
        x, w = cache
        dw = np.zeros_like(w)
        for i in range(len(x)):
            dw = np.outer(x[i], dout[i])
        return dout @ w.T, dw, dout.sum(0)

    return (affine, backward), ROWS


@bug("paiml/entrenar#312", "dW half as large as it must be", "dense", "factor 1/2")
def half_of_the_weights() -> Made:
    def backward(dout, cache):
        x, w = cache
        return dout @ w.T, 0.5 * x.T @ dout, dout.sum(0)

    return (affine, backward), ROWS


# the output was kept in place of the input
@bug("deeplearning4j/deeplearning4j#355", "the layer's output in place of its input", "dense", "symbol")
def output_for_input() -> Made:
    def forward(x, w, b):
        z = x @ w + b
        return z, (z, w)

    def backward(dout, cache):
        z, w = cache
        return dout @ w.T, z.T @ dout, dout.sum(0)

    return (forward, backward), SQUARE


@bug("pytorch/executorch#21687", "a buffer is not cleared between calls", "dense", ("accumulated", "stale"))
def buffer_not_zeroed() -> Made:
    held = np.zeros((4, 5))

    def backward(dout, cache):
        x, w = cache
        np.add(held, x.T @ dout, out=held)
        return dout @ w.T, held.copy(), dout.sum(0)

    return (affine, backward), ROWS


@bug("course: cache of the first batch", "the input of the first call is used for ever", "dense", "stale")
def stale_input() -> Made:
    kept: list[Any] = []

    def forward(x, w, b):
        kept.append(x)
        return x @ w + b, w

    def backward(dout, w):
        x = kept[0] if len(kept[0]) == len(dout) else kept[-1]
        return dout @ w.T, x.T @ dout, dout.sum(0)

    return (forward, backward), ROWS


@bug("cs231n temporal_affine", "db is averaged over the steps", "dense", ("1/P", "1/T", "mean_positions"))
def bias_averaged_over_steps() -> Made:
    def forward(x, w, b):
        return x @ w + b, (x, w)

    def backward(dout, cache):
        x, w = cache
        dw = np.tensordot(x, dout, ((0, 1), (0, 1)))
        return dout @ w.T, dw, dout.mean(axis=1).sum(axis=0)

    return (forward, backward), normal(4, (2, 6, 3), (3, 4), (4,))


@bug("kim-marcel/basic_neural_network#7", "W is updated before δ is handed on", "dense", "updated before")
def updated_before_delta() -> Made:
    def backward(dout, cache):
        x, w = cache
        dw = x.T @ dout
        w = w - 0.1 * dw
        return dout @ w.T, dw, dout.sum(0)

    return (affine, backward), ROWS


@bug("course: in place", "W itself is updated in backward", "dense", "input modified")
def updated_in_place() -> Made:
    def backward(dout, cache):
        x, w = cache
        dw = x.T @ dout
        w -= 0.1 * dw
        return dout @ w.T, dw, dout.sum(0)

    return (affine, backward), ROWS
