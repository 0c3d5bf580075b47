"""Pooling: maximum, mean and root of squares, with and without overlap."""

from __future__ import annotations

import numpy as np
from tests.verifying.museum.case import Cases, Made, normal

CASES = Cases(__name__)
bug = CASES.bug
X = normal(41, (2, 3, 7, 7))
EVEN = normal(42, (2, 3, 6, 4))


def windows(x, size, stride):
    for i in range((x.shape[2] - size) // stride + 1):
        for j in range((x.shape[3] - size) // stride + 1):
            yield i, j, np.s_[:, :, i * stride : i * stride + size, j * stride : j * stride + size]


def pool(reduce, size, stride):
    """A forward that keeps x."""

    def forward(x):
        shape = [(side - size) // stride + 1 for side in x.shape[2:]]
        out = np.zeros((*x.shape[:2], *shape), x.dtype)
        for i, j, at in windows(x, size, stride):
            out[:, :, i, j] = reduce(x[at])
        return out, x

    return forward


def maximum(part):
    return part.max(axis=(2, 3))


def mean(part):
    return part.mean(axis=(2, 3))


def root(part):
    return np.sqrt((part**2).sum(axis=(2, 3)))


def winners(part):
    return part == part.max(axis=(2, 3), keepdims=True)


@bug(
    "FluxML/NNlib.jl#205", "= for += where windows overlap", "maxpool2d", "overwritten", pool_size=3, stride=2
)
def max_overlap_assigned() -> Made:
    def backward(dout, x):
        dx = np.zeros_like(x)
        for i, j, at in windows(x, 3, 2):
            dx[at] = np.where(winners(x[at]), dout[:, :, i, j, None, None], dx[at])
        return dx

    return (pool(maximum, 3, 2), backward), X


@bug(
    "jmschrei/tangermeme#95",
    "the whole window is overwritten, zeros too",
    "maxpool2d",
    "overwritten",
    pool_size=3,
    stride=1,
)
def max_window_overwritten() -> Made:
    def backward(dout, x):
        dx = np.zeros_like(x)
        for i, j, at in windows(x, 3, 1):
            dx[at] = winners(x[at]) * dout[:, :, i, j, None, None]
        return dx

    return (pool(maximum, 3, 1), backward), X


@bug(
    "ahrefs/ocannl#512", "the last window that wins writes", "maxpool2d", "overwritten", pool_size=2, stride=1
)
def last_write_wins() -> Made:
    def backward(dout, x):
        dx = np.zeros_like(x)
        for i, j, at in windows(x, 2, 1):
            place = winners(x[at])
            dx[at][place] = np.broadcast_to(dout[:, :, i, j, None, None], place.shape)[place]
        return dx

    return (pool(maximum, 2, 1), backward), X


@bug(
    "riccardoandreoni0/CNN-from-scratch#1",
    "return stands inside the loop",
    "maxpool2d",
    ("first window",),
    pool_size=2,
)
def return_inside_the_loop() -> Made:
    def backward(dout, x):
        dx = np.zeros_like(x)
        for i, j, at in windows(x, 2, 2):
            dx[at] += winners(x[at]) * dout[:, :, i, j, None, None]
            return dx

    return (pool(maximum, 2, 2), backward), EVEN


@bug("Theano/Theano#4568", "every one of equal values gets all of δ", "maxpool2d", "every tie", pool_size=2)
def every_tie() -> Made:
    def backward(dout, x):
        dx = np.zeros_like(x)
        for i, j, at in windows(x, 2, 2):
            dx[at] += winners(x[at]) * dout[:, :, i, j, None, None]
        return dx

    return (pool(maximum, 2, 2), backward), (np.round(EVEN[0]),)


@bug(
    "makalo/CornerNet#14",
    "δ stays where it is, masked",
    "maxpool2d",
    ("one offset",),
    pool_size=3,
    stride=1,
)
def delta_masked_in_place() -> Made:
    def backward(dout, x):
        dx = np.zeros_like(x)
        centre = x[:, :, 1:-1, 1:-1]
        top = pool(maximum, 3, 1)(x)[0]
        dx[:, :, 1:-1, 1:-1] = dout * (centre == top)
        return dx

    return (pool(maximum, 3, 1), backward), X


@bug("mni-ml/framework#22", "the mask is of values near the maximum", "maxpool2d", ("near",), pool_size=2)
def near_is_equal() -> Made:
    def backward(dout, x):
        dx = np.zeros_like(x)
        for i, j, at in windows(x, 2, 2):
            near = np.abs(x[at] - x[at].max(axis=(2, 3), keepdims=True)) < 0.5
            dx[at] += near * dout[:, :, i, j, None, None]
        return dx

    return (pool(maximum, 2, 2), backward), EVEN


@bug("course: max pooling", "δ is multiplied by the maximum", "maxpool2d", ("times",), pool_size=2)
def times_the_maximum() -> Made:
    def backward(dout, x):
        dx = np.zeros_like(x)
        for i, j, at in windows(x, 2, 2):
            dx[at] += winners(x[at]) * x[at] * dout[:, :, i, j, None, None]
        return dx

    return (pool(maximum, 2, 2), backward), EVEN


@bug("course: stride in pooling", "the stride is left out", "maxpool2d", "stride", pool_size=2, stride=2)
def max_without_stride() -> Made:
    def backward(dout, x):
        dx = np.zeros_like(x)
        for i in range(dout.shape[2]):
            for j in range(dout.shape[3]):
                part = x[:, :, i : i + 2, j : j + 2]
                dx[:, :, i : i + 2, j : j + 2] += winners(part) * dout[:, :, i, j, None, None]
        return dx

    return (pool(maximum, 2, 2), backward), EVEN


@bug("course: average pooling", "not divided by the window's size", "avgpool2d", "as sum_over", pool_size=2)
def mean_not_divided() -> Made:
    return (pool(mean, 2, 2), lambda d, x: d.repeat(2, axis=2).repeat(2, axis=3)), EVEN


@bug(
    "tracel-ai/burn#5604",
    "divided by the width alone",
    "avgpool2d",
    ("factor", "number", "divide"),
    pool_size=2,
)
def mean_divided_by_the_side() -> Made:
    return (pool(mean, 2, 2), lambda d, x: d.repeat(2, axis=2).repeat(2, axis=3) / 2), EVEN


@bug(
    "course: average pooling",
    "divided by the number of all pixels",
    "avgpool2d",
    ("factor", "P"),
    pool_size=2,
)
def mean_over_the_image() -> Made:
    def backward(d, x):
        return d.repeat(2, axis=2).repeat(2, axis=3) / (x.shape[2] * x.shape[3])

    return (pool(mean, 2, 2), backward), EVEN


@bug(
    "course: average pooling",
    "= for += in overlapping means",
    "avgpool2d",
    "overwritten",
    pool_size=3,
    stride=2,
)
def mean_overlap_assigned() -> Made:
    def backward(dout, x):
        dx = np.zeros_like(x)
        for i, j, at in windows(x, 3, 2):
            dx[at] = dout[:, :, i, j, None, None] / 9
        return dx

    return (pool(mean, 3, 2), backward), X


@bug(
    "course: mean as maximum",
    "all of δ to the largest value",
    "avgpool2d",
    ("instead",),
    pool_size=2,
)
def mean_as_maximum() -> Made:
    def backward(dout, x):
        dx = np.zeros_like(x)
        for i, j, at in windows(x, 2, 2):
            dx[at] += winners(x[at]) * dout[:, :, i, j, None, None]
        return dx

    return (pool(mean, 2, 2), backward), EVEN


@bug("course: l2 pooling", "not divided by the root", "l2pool2d", ("divide only", "ratio only"), window=2)
def root_not_divided() -> Made:
    def backward(dout, x):
        dx = np.zeros_like(x)
        for i, j, at in windows(x, 2, 2):
            dx[at] += x[at] * dout[:, :, i, j, None, None]
        return dx

    return (pool(root, 2, 2), backward), EVEN


@bug("course: l2 pooling", "2x / (2√) with the 2 forgotten below", "l2pool2d", "factor 2", window=2)
def root_doubled() -> Made:
    def backward(dout, x):
        dx = np.zeros_like(x)
        for i, j, at in windows(x, 2, 2):
            dx[at] += 2 * x[at] / root(x[at])[:, :, None, None] * dout[:, :, i, j, None, None]
        return dx

    return (pool(root, 2, 2), backward), EVEN


@bug(
    "course: global average pooling",
    "not divided by the number of pixels",
    "globalaveragepool",
    ("divide only", "factor P"),
)
def global_mean_not_divided() -> Made:
    def forward(x):
        return x.mean(axis=(2, 3)), x

    return (forward, lambda d, x: np.ones_like(x) * d[:, :, None, None]), X
