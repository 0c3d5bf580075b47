"""Convolutions and pooling: loops, im2col, strides tricks, channels first and last."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from tests.verifying.museum.right.style import Draw, Made, Styles

STYLES = Styles()
style = STYLES.style


def naive(stride, pad, dilation=1):
    """cs231n's loops, channels first."""

    def reach(i, k):
        return slice(i * stride, i * stride + dilation * (k - 1) + 1, dilation)

    def forward(x, w, b):
        k1, k2 = w.shape[2:]
        big = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
        rows = (big.shape[2] - dilation * (k1 - 1) - 1) // stride + 1
        columns = (big.shape[3] - dilation * (k2 - 1) - 1) // stride + 1
        out = np.zeros((len(x), len(w), rows, columns), x.dtype)
        for n, f, i, j in np.ndindex(out.shape):
            out[n, f, i, j] = np.sum(big[n, :, reach(i, k1), reach(j, k2)] * w[f]) + b[f]
        return out, (x, w, big)

    def backward(dout, cache):
        x, w, big = cache
        dbig, dw, db = np.zeros_like(big), np.zeros_like(w), dout.sum(axis=(0, 2, 3))
        for n, f, i, j in np.ndindex(dout.shape):
            at = np.s_[n, :, reach(i, w.shape[2]), reach(j, w.shape[3])]
            dbig[at] += w[f] * dout[n, f, i, j]
            dw[f] += big[at] * dout[n, f, i, j]
        return dbig[:, :, pad : pad + x.shape[2], pad : pad + x.shape[3]], dw, db

    return forward, backward


def images(r: Draw, k1: int, k2: int, filters: int = 3):
    return r.normal(min(r.m, 3), r.c, r.h - 1, r.v - 2), r.normal(filters, r.c, k1, k2), r.normal(filters)


@style("convolution")
def convolution_by_loops(r: Draw) -> Made:
    return naive(1, 0), images(r, 3, 2), "conv2d", {}


@style("convolution")
def convolution_with_stride_and_padding(r: Draw) -> Made:
    return naive(2, 1), images(r, 3, 3), "conv2d", {"stride": 2, "pad": 1}


@style("convolution")
def convolution_dilated(r: Draw) -> Made:
    return naive(1, 1, 2), images(r, 2, 3, 2), "conv2d", {"padding": 1, "dilation": 2}


@style("convolution")
def convolution_of_one_pixel(r: Draw) -> Made:
    def forward(x, w, b):
        return np.einsum("nchw,fc->nfhw", x, w[:, :, 0, 0]) + b[:, None, None], (x, w)

    def backward(d, cache):
        x, w = cache
        dx = np.einsum("nfhw,fc->nchw", d, w[:, :, 0, 0])
        return dx, np.einsum("nfhw,nchw->fc", d, x)[:, :, None, None], d.sum((0, 2, 3))

    return (forward, backward), images(r, 1, 1), "conv2d", {}


@style("convolution")
def convolution_channels_last_by_views(r: Draw) -> Made:
    def forward(x, w, b):
        seen = sliding_window_view(x, w.shape[:2], (1, 2))  # n, rows, columns, c, k, k
        return np.einsum("nijckl,klcf->nijf", seen, w) + b, (x, w)

    def backward(d, cache):
        x, w = cache
        k1, k2 = w.shape[:2]
        dw = np.einsum("nijckl,nijf->klcf", sliding_window_view(x, (k1, k2), (1, 2)), d)
        full = np.pad(d, ((0, 0), (k1 - 1, k1 - 1), (k2 - 1, k2 - 1), (0, 0)))
        dx = np.einsum("nijfkl,klcf->nijc", sliding_window_view(full, (k1, k2), (1, 2)), w[::-1, ::-1])
        return dx, dw, d.sum((0, 1, 2))

    return (forward, backward), (r.normal(2, 5, 6, r.c), r.normal(2, 3, r.c, 4), r.normal(4)), "conv2d", {}


@style("convolution")
def series_by_taps(r: Draw) -> Made:
    def forward(x, w, b):
        steps = x.shape[2] - w.shape[2] + 1
        return sum(
            np.einsum("nct,fc->nft", x[:, :, s : s + steps], w[:, :, s]) for s in range(w.shape[2])
        ) + b[:, None], (x, w)

    def backward(d, cache):
        x, w = cache
        dx, dw = np.zeros_like(x), np.empty_like(w)
        for s in range(w.shape[2]):
            part = np.s_[:, :, s : s + d.shape[2]]
            dx[part] += np.einsum("nft,fc->nct", d, w[:, :, s])
            dw[:, :, s] = np.einsum("nft,nct->fc", d, x[part])
        return dx, dw, d.sum((0, 2))

    return (forward, backward), (r.normal(r.m, r.c, 9), r.normal(4, r.c, 3), r.normal(4)), "conv1d", {}


@style("convolution")
def transposed_by_scattering(r: Draw) -> Made:
    def forward(x, w, b):
        k = w.shape[2]
        out = np.zeros((len(x), w.shape[1], 2 * x.shape[2] - 2 + k, 2 * x.shape[3] - 2 + k), x.dtype)
        for i, j in np.ndindex(x.shape[2:]):
            out[:, :, 2 * i : 2 * i + k, 2 * j : 2 * j + k] += np.tensordot(x[:, :, i, j], w, 1)
        return out + b[:, None, None], (x, w)

    def backward(d, cache):
        x, w = cache
        k, dx, dw = w.shape[2], np.zeros_like(x), np.zeros_like(w)
        for i, j in np.ndindex(x.shape[2:]):
            part = d[:, :, 2 * i : 2 * i + k, 2 * j : 2 * j + k]
            dx[:, :, i, j] = np.tensordot(part, w, ((1, 2, 3), (1, 2, 3)))
            dw += np.tensordot(x[:, :, i, j], part, ((0,), (0,)))
        return dx, dw, d.sum((0, 2, 3))

    args = r.normal(min(r.m, 3), r.c, 3, 4), r.normal(r.c, 3, 3, 3), r.normal(3)
    return (forward, backward), args, "convtranspose2d", {"stride": 2}


def pooled(reduce, share, size, stride):
    """share(part, its reduced value): the weights with which δ is spread."""

    def forward(x):
        shape = [(side - size) // stride + 1 for side in x.shape[2:]]
        out = np.empty((*x.shape[:2], *shape), x.dtype)
        for i, j in np.ndindex(*shape):
            out[:, :, i, j] = reduce(x[:, :, i * stride : i * stride + size, j * stride : j * stride + size])
        return out, x

    def backward(dout, x):
        dx = np.zeros_like(x)
        for i, j in np.ndindex(dout.shape[2:]):
            at = np.s_[:, :, i * stride : i * stride + size, j * stride : j * stride + size]
            dx[at] += share(x[at]) * dout[:, :, i, j, None, None]
        return dx

    return forward, backward


def first_winner(part):
    flat = part.reshape(*part.shape[:2], -1)
    return (np.arange(flat.shape[2]) == flat.argmax(2)[..., None]).reshape(part.shape)


def maximum(part):
    return part.max((2, 3))


@style("pooling")
def max_by_first_winner(r: Draw) -> Made:
    return pooled(maximum, first_winner, 2, 2), (r.normal(r.m, r.c, 4, 6),), "maxpool2d", {"pool_size": 2}


@style("pooling")
def max_overlapping(r: Draw) -> Made:
    return (
        pooled(maximum, first_winner, 3, 2),
        (r.normal(2, r.c, 7, 5),),
        "maxpool2d",
        {"window": 3, "stride": 2},
    )


@style("pooling")
def max_split_among_ties(r: Draw) -> Made:
    def share(part):
        winners = part == part.max((2, 3), keepdims=True)
        return winners / winners.sum((2, 3), keepdims=True).astype(part.dtype)

    return pooled(maximum, share, 2, 2), (np.round(r.normal(r.m, r.c, 4, 4)),), "maxpool2d", {"pool_size": 2}


@style("pooling")
def max_channels_last(r: Draw) -> Made:
    def forward(x):
        n, h, w, c = x.shape
        parts = x.reshape(n, h // 2, 2, w // 2, 2, c).swapaxes(2, 3).reshape(n, h // 2, w // 2, 4, c)
        return parts.max(3), (x, parts.argmax(3))

    def backward(d, cache):
        x, winners = cache
        n, h, w, c = x.shape
        parts = np.where(
            np.arange(4)[:, None] == winners[:, :, :, None], d[:, :, :, None], 0 * d[:, :, :, None]
        )
        return parts.reshape(n, h // 2, w // 2, 2, 2, c).swapaxes(2, 3).reshape(x.shape)

    return (forward, backward), (r.normal(r.m, 6, 4, r.c),), "maxpool2d", {"pool_size": 2}


@style("pooling")
def mean_by_repeat(r: Draw) -> Made:
    def forward(x):
        n, c, h, w = x.shape
        return x.reshape(n, c, h // 2, 2, w // 2, 2).mean(axis=(3, 5)), x

    return (
        (forward, lambda d, x: d.repeat(2, 2).repeat(2, 3) / 4),
        (r.normal(r.m, r.c, 4, 6),),
        "avgpool",
        {"pool_size": 2},
    )


@style("pooling")
def mean_overlapping(r: Draw) -> Made:
    def share(part):
        return part.dtype.type(1 / 9)

    return (
        pooled(lambda part: part.mean((2, 3)), share, 3, 1),
        (r.normal(2, r.c, 5, 6),),
        "averagepool2d",
        {"window": 3, "stride": 1},
    )


@style("pooling")
def root_of_squares(r: Draw) -> Made:
    def root(part):
        return np.sqrt((part**2).sum((2, 3)))

    def share(part):
        norm = root(part)[:, :, None, None]
        return np.divide(part, norm, out=np.zeros_like(part), where=norm > 0)

    return pooled(root, share, 2, 2), (r.normal(r.m, r.c, 4, 6),), "l2pool2d", {"window": 2}


@style("pooling")
def global_mean(r: Draw) -> Made:
    def forward(x):
        return x.mean(axis=(2, 3)), x.shape

    def backward(d, shape):
        return np.broadcast_to(d[:, :, None, None] / (shape[2] * shape[3]), shape).copy()

    return (forward, backward), (r.normal(r.m, r.c, 5, 4),), "globalaveragepool", {}


@style("pooling")
def series_maximum(r: Draw) -> Made:
    def forward(x):
        parts = x.reshape(x.shape[0], -1, 2, x.shape[2])
        return parts.max(2), (parts, x.shape)

    def backward(d, cache):
        parts, shape = cache
        return ((np.arange(2)[:, None] == parts.argmax(2)[:, :, None]) * d[:, :, None]).reshape(shape)

    return (forward, backward), (r.normal(r.m, 8, r.i),), "maxpool1d", {"window": 2}
