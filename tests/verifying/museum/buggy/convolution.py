"""Convolutions of one and two dimensions, and transposed ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from tests.verifying.museum.case import Cases, Made, normal

CASES = Cases(__name__)
bug = CASES.bug
IMAGES = normal(31, (3, 2, 7, 6), (4, 2, 3, 2), (4,))  # samples, channels, rows, columns
EVEN = normal(32, (2, 2, 8, 7), (3, 2, 2, 3), (3,))


def padded(x, pad):
    return np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))


def windows(x, w, stride, pad, dilation=1):
    """(place, slices of it in the padded image) of every output pixel."""
    k1, k2 = (dilation * (k - 1) + 1 for k in w.shape[2:])
    for i in range((x.shape[2] + 2 * pad - k1) // stride + 1):
        for j in range((x.shape[3] + 2 * pad - k2) // stride + 1):
            rows = slice(i * stride, i * stride + k1, dilation)
            yield i, j, (slice(None), slice(None), rows, slice(j * stride, j * stride + k2, dilation))


def conv(stride=1, pad=0, dilation=1):
    """A forward that keeps x and w."""

    def forward(x, w, b):
        values = {
            (i, j): np.tensordot(padded(x, pad)[at], w, ((1, 2, 3), (1, 2, 3))) + b
            for i, j, at in windows(x, w, stride, pad, dilation)
        }
        rows, columns = (1 + max(place[axis] for place in values) for axis in (0, 1))
        out = np.stack([np.stack([values[i, j] for j in range(columns)], -1) for i in range(rows)], -2)
        return out, (x, w)

    return forward


def backward_of(stride=1, pad=0, dilation=1, dx=None, dw=None, db=None):
    """The right backward pass, but for what is given: a share of one window, or the whole of db."""

    def backward(dout, cache):
        x, w = cache
        image, below, kernel = padded(x, pad), np.zeros_like(padded(x, pad)), np.zeros_like(w)
        for i, j, at in windows(x, w, stride, pad, dilation):
            delta = dout[:, :, i, j]
            below[at] += np.tensordot(delta, w, 1) if dx is None else dx(delta, w)
            kernel += np.tensordot(delta, image[at], ((0,), (0,))) if dw is None else dw(delta, image[at])
        inner = below[:, :, pad : pad + x.shape[2], pad : pad + x.shape[3]]
        return inner, kernel, dout.sum(axis=(0, 2, 3)) if db is None else db(dout)

    return backward


@bug("community.deeplearning.ai rot180 thread, 2022", "rot180 in the scattering loop", "conv2d", "rotated")
def rotated_in_the_scatter() -> Made:
    def share(delta, w):
        return np.tensordot(delta, w[:, :, ::-1, ::-1], 1)

    return (conv(), backward_of(dx=share)), IMAGES


@bug("Kulbear/deep-learning-coursera#34", "the stride is missing in backward", "conv2d", "stride", stride=2)
def stride_missing() -> Made:
    def backward(dout, cache):
        x, w = cache
        dx, dw = np.zeros_like(x), np.zeros_like(w)
        for i in range(dout.shape[2]):
            for j in range(dout.shape[3]):
                at = np.s_[:, :, i : i + w.shape[2], j : j + w.shape[3]]
                dx[at] += np.tensordot(dout[:, :, i, j], w, 1)
                dw += np.tensordot(dout[:, :, i, j], x[at], ((0,), (0,)))
        return dx, dw, dout.sum((0, 2, 3))

    return (conv(2), backward), IMAGES


@bug(
    "enggen/Deep-Learning-Coursera#7",
    "the stride is missing for the rows alone",
    "conv2d",
    "stride",
    stride=2,
)
def stride_missing_for_rows() -> Made:
    def backward(dout, cache):
        x, w = cache
        dx, dw = np.zeros_like(x), np.zeros_like(w)
        for i in range(dout.shape[2]):
            for j in range(dout.shape[3]):
                at = np.s_[:, :, i : i + w.shape[2], 2 * j : 2 * j + w.shape[3]]
                dx[at] += np.tensordot(dout[:, :, i, j], w, 1)
                dw += np.tensordot(dout[:, :, i, j], x[at], ((0,), (0,)))
        return dx, dw, dout.sum((0, 2, 3))

    return (conv(2), backward), EVEN


@bug("sebgao/cTensor#3", "∂w is averaged over samples and places", "conv2d", ("1/m", "1/P", "mean"))
def kernel_gradient_averaged() -> Made:
    right = backward_of()

    def backward(dout, cache):
        dx, dw, db = right(dout, cache)
        return dx, dw / (dout.size / dout.shape[1]), db

    return (conv(), backward), IMAGES


@bug("course: conv_backward_naive", "db of the first sample", "conv2d", "first", pad=1)
def bias_of_the_first_sample() -> Made:
    return (conv(1, 1), backward_of(1, 1, db=lambda d: d[0].sum(axis=(1, 2)))), IMAGES


@bug("course: conv_backward_naive", "db is averaged over the image", "conv2d", ("1/P", "mean_positions"))
def bias_averaged_over_places() -> Made:
    return (conv(), backward_of(db=lambda d: d.mean(axis=(2, 3)).sum(axis=0))), IMAGES


@bug("course: conv_backward_naive", "db without the columns", "conv2d", ("wrong shape",))
def bias_not_summed_over_columns() -> Made:
    return (conv(), backward_of(db=lambda d: d.sum(axis=(0, 2)))), IMAGES


@bug("DCNv2#13", "padding is not cut off", "conv2d", "padding", pad=1)
def padding_not_cut() -> Made:
    def backward(dout, cache):
        x, w = cache
        big = np.zeros_like(padded(x, 1))
        for i, j, at in windows(x, w, 1, 1):
            big[at] += np.tensordot(dout[:, :, i, j], w, 1)
        _, dw, db = backward_of(1, 1)(dout, cache)
        return big[:, :, : x.shape[2], : x.shape[3]], dw, db

    return (conv(1, 1), backward), IMAGES


@bug("course: conv with padding", "∂w reads x without its padding", "conv2d", "padding", pad=1)
def kernel_gradient_without_padding() -> Made:
    def backward(dout, cache):
        x, w = cache
        dx, dw, db = backward_of(1, 1)(dout, cache)
        zeros = padded(np.pad(x, ((0, 0), (0, 0), (0, 2), (0, 2))), 0)
        dw = np.zeros_like(w)
        for i, j, at in windows(x, w, 1, 1):
            dw += np.tensordot(dout[:, :, i, j], zeros[at], ((0,), (0,)))
        return dx, dw, db

    return (conv(1, 1), backward), IMAGES


@bug(
    "course: dilated convolution",
    "the dilation is left out",
    "conv2d",
    ("dilation", "stride"),
    stride=1,
    dilation=2,
)
def dilation_left_out() -> Made:
    def backward(dout, cache):
        x, w = cache
        dx, dw = np.zeros_like(x), np.zeros_like(w)
        for i, j, _ in windows(x, w, 1, 0, 2):
            at = np.s_[:, :, i : i + w.shape[2], j : j + w.shape[3]]
            dx[at] += np.tensordot(dout[:, :, i, j], w, 1)
            dw += np.tensordot(dout[:, :, i, j], x[at], ((0,), (0,)))
        return dx, dw, dout.sum((0, 2, 3))

    return (conv(1, 0, 2), backward), IMAGES


@bug("course: col2im", "= for += where windows overlap", "conv2d", "overwritten")
def overlap_overwritten() -> Made:
    def backward(dout, cache):
        x, w = cache
        dx = np.zeros_like(x)
        for i, j, at in windows(x, w, 1, 0):
            dx[at] = np.tensordot(dout[:, :, i, j], w, 1)
        return dx, *backward_of()(dout, cache)[1:]

    return (conv(), backward), IMAGES


@bug("course: conv_backward_naive", "only the last filter reaches δ", "conv2d", ("last", "overwritten"))
def last_filter_only() -> Made:
    def backward(dout, cache):
        x, w = cache
        for f in range(len(w)):
            dx = np.zeros_like(x)
            for i, j, at in windows(x, w, 1, 0):
                dx[at] += dout[:, f, i, j][:, None, None, None] * w[f]
        return dx, *backward_of()(dout, cache)[1:]

    return (conv(), backward), IMAGES


@bug("course: full correlation", "δ is put back a row too low", "conv2d", ("padding", "shift"))
def shifted_by_one() -> Made:
    def backward(dout, cache):
        dx, dw, db = backward_of()(dout, cache)
        lower = np.zeros_like(dx)
        lower[:, :, 1:] = dx[:, :, :-1]
        return lower, dw, db

    return (conv(), backward), IMAGES


@bug(
    "stackoverflow 36628181",
    "channels of input and output exchanged",
    "conv2d",
    ("transpose", "turned", "exchanged", "swapped"),
)
def channels_exchanged() -> Made:
    def share(delta, w):
        return np.tensordot(delta, w.swapaxes(0, 1), 1)

    return (conv(), backward_of(dx=share)), normal(33, (2, 3, 6, 5), (3, 3, 2, 3), (3,))


@bug(
    "course: channels last",
    "channels last: ∂w of the transposed kernel",
    "conv2d",
    ("exchanged", "wrong shape", "reshaped"),
)
def kernel_axes_exchanged() -> Made:
    def backward(dout, cache):
        dx, dw, db = backward_of()(dout, cache)
        return dx, dw.swapaxes(2, 3).reshape(dw.shape), db

    return (conv(), backward), IMAGES


def conv_1d(x, w, b):
    """x (samples, steps, channels), w (width, channels, filters)."""
    count = x.shape[1] - len(w) + 1
    out = np.stack([np.tensordot(x[:, t : t + len(w)], w, ((1, 2), (0, 1))) for t in range(count)], 1)
    return out + b, (x, w)


SERIES = normal(34, (2, 9, 3), (4, 3, 5), (5,))


@bug("course: conv1d", "the kernel runs backwards in δ", "conv1d", "rotated")
def series_kernel_reversed() -> Made:
    def backward(dout, cache):
        x, w = cache
        dx, dw = np.zeros_like(x), np.zeros_like(w)
        for t in range(dout.shape[1]):
            dx[:, t : t + len(w)] += np.einsum("nf,kcf->nkc", dout[:, t], w[::-1])
            dw += np.einsum("nkc,nf->kcf", x[:, t : t + len(w)], dout[:, t])
        return dx, dw, dout.sum((0, 1))

    return (conv_1d, backward), SERIES


@bug("tangermeme#95, of a series", "= for += in a series", "conv1d", "overwritten")
def series_overlap_overwritten() -> Made:
    def backward(dout, cache):
        x, w = cache
        dx, dw = np.zeros_like(x), np.zeros_like(w)
        for t in range(dout.shape[1]):
            dx[:, t : t + len(w)] = np.einsum("nf,kcf->nkc", dout[:, t], w)
            dw += np.einsum("nkc,nf->kcf", x[:, t : t + len(w)], dout[:, t])
        return dx, dw, dout.sum((0, 1))

    return (conv_1d, backward), SERIES


def deconv(stride):
    """Transposed convolution: x (n, c, h, w), w (c, f, k, k)."""

    def forward(x, w, b):
        n, _, h, v = x.shape
        k1, k2 = w.shape[2:]
        out = np.zeros((n, w.shape[1], stride * (h - 1) + k1, stride * (v - 1) + k2))
        for i in range(h):
            for j in range(v):
                at = np.s_[:, :, i * stride : i * stride + k1, j * stride : j * stride + k2]
                out[at] += np.tensordot(x[:, :, i, j], w, 1)
        return out + b[:, None, None], (x, w)

    return forward


def deconv_back(read: Any, rotate: bool = False, grad: int = 1):
    """read: the stride with which δ is read; grad: that of ∂w."""

    def backward(dout, cache):
        x, w = cache
        k1, k2 = w.shape[2:]
        dx, dw = np.zeros_like(x), np.zeros_like(w)
        kernel = w[:, :, ::-1, ::-1] if rotate else w
        for i in range(x.shape[2]):
            for j in range(x.shape[3]):
                seen = dout[:, :, i * read : i * read + k1, j * read : j * read + k2]
                dx[:, :, i, j] = np.tensordot(seen, kernel, ((1, 2, 3), (1, 2, 3)))
                part = dout[:, :, i * grad : i * grad + k1, j * grad : j * grad + k2]
                dw += np.tensordot(x[:, :, i, j], part, ((0,), (0,)))
        return dx, dw, dout.sum((0, 2, 3))

    return backward


UP = normal(35, (2, 3, 4, 3), (3, 2, 3, 2), (2,))


@bug("pytorch/pytorch#63314", "δ is read with stride 1", "convtranspose2d", "stride", stride=2)
def deconvolution_stride_of_delta() -> Made:
    return (deconv(2), deconv_back(1, grad=2)), UP


@bug("huggingface/candle#2337", "∂w is taken with stride 1", "convtranspose2d", "stride", stride=2)
def deconvolution_stride_of_kernel() -> Made:
    return (deconv(2), deconv_back(2, grad=1)), UP


@bug("course: transposed convolution", "the kernel is turned in δ", "convtranspose2d", "rotated", stride=2)
def deconvolution_rotated() -> Made:
    return (deconv(2), deconv_back(2, rotate=True, grad=2)), UP
