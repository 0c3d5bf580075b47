"""The examiner's layers: einsum, loops, im2col, columns, channels last, float32, classes, dicts."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import erf
from tests.verifying.museum.case import Cases, Made, normal

CASES = Cases(__name__)
seen = CASES.seen


def single(*arrays: Any) -> Any:
    return tuple(value.astype(np.float32) for value in arrays)


class Linear:
    """float32, gradients in a dict."""

    def __init__(self, W, b):
        self.W, self.b, self.grads = W, b, {}

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, grad):
        self.grads["W"] = np.einsum("ni,no->io", self.x, grad) / np.float32(len(grad))
        self.grads["b"] = grad.sum(axis=0)
        return grad @ self.W.T


@seen(
    "the gradient of W is a mean over the samples, it must be their sum",
    "dense",
    ("1/m", "mean over the samples"),
)
def class_float32_mean() -> Made:
    x, W, b = single(*normal(101, (6, 3), (3, 4), (4,)))
    return Linear(W, b), (x,)


@seen("W instead of its transpose in dX", "dense", ("transpose",))
def einsum_columns_square() -> Made:
    def forward(X, W, b):
        return np.einsum("oi,im->om", W, X) + b, (X, W)

    def backward(dY, cache):
        X, W = cache
        return np.einsum("io,om->im", W, dY), np.einsum("om,im->oi", dY, X), dY.sum(1, keepdims=True)

    return (forward, backward), normal(102, (4, 7), (4, 4), (4, 1))


@seen("the loop over the samples starts at 1", "dense", ("first sample", "index 0", "sample 0"))
def loop_skips_sample_zero() -> Made:
    def forward(x, w, b):
        return x @ w + b, (x, w)

    def backward(dout, cache):
        x, w = cache
        dx, dw = dout @ w.T, np.zeros_like(w)
        for n in range(1, x.shape[0]):
            for i in range(w.shape[0]):
                for j in range(w.shape[1]):
                    dw[i, j] += x[n, i] * dout[n, j]
        return dx, dw, dout.sum(0)

    return (forward, backward), normal(103, (4, 3), (3, 5), (5,))


def im2col(x, k, stride):
    """NHWC -> (n, rows, columns, k, k, c)."""
    n, h, w, c = x.shape
    rows, columns = (h - k) // stride + 1, (w - k) // stride + 1
    cols = np.empty((n, rows, columns, k, k, c), x.dtype)
    for i in range(rows):
        for j in range(columns):
            cols[:, i, j] = x[:, i * stride : i * stride + k, j * stride : j * stride + k]
    return cols


def conv_nhwc(stride, collect):
    """w (k, k, c, f); collect(dcols, x, k, stride) puts the columns' gradients into the image."""

    def forward(x, w, b):
        cols = im2col(x, w.shape[0], stride)
        return np.tensordot(cols, w, 3) + b, (x, w, cols)

    def backward(dout, cache):
        x, w, cols = cache
        dcols = np.tensordot(dout, w, ((3,), (3,)))
        dw = np.tensordot(cols, dout, ((0, 1, 2), (0, 1, 2)))
        return collect(dcols, x, w.shape[0], stride), dw, dout.sum((0, 1, 2))

    return forward, backward


def col2im(dcols, x, k, stride):
    dx = np.zeros_like(x)
    for i in range(dcols.shape[1]):
        for j in range(dcols.shape[2]):
            dx[:, i * stride : i * stride + k, j * stride : j * stride + k] += dcols[:, i, j]
    return dx


@seen("col2im overwrites where patches overlap", "conv2d", ("overwrit", "+="), stride=2)
def im2col_channels_last_overwrites() -> Made:
    def collect(dcols, x, k, stride):
        dx = np.zeros_like(x)
        for i in range(dcols.shape[1]):
            for j in range(dcols.shape[2]):
                dx[:, i * stride : i * stride + k, j * stride : j * stride + k] = dcols[:, i, j]
        return dx

    return conv_nhwc(2, collect), normal(104, (2, 7, 9, 2), (3, 3, 2, 4), (4,))


@seen(
    "the kernel's gradient is reshaped where its axes must be permuted",
    "conv2d",
    ("reshape", "order of the axes", "exchanged"),
)
def im2col_wrong_reshape() -> Made:
    forward, right = conv_nhwc(1, col2im)

    def backward(dout, cache):
        dx, dw, db = right(dout, cache)
        flat = np.moveaxis(dw, 3, 0)  # filters first, as the product of matrices gives it
        return dx, flat.reshape(dw.shape), db

    return (forward, backward), normal(105, (2, 6, 5, 3), (2, 2, 3, 4), (4,))


@seen("the padding is cut off one pixel too early", "conv2d", ("padding", "shift"), pad=2)
def padding_cut_too_early() -> Made:
    pad = 2

    def forward(x, w, b):
        big = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
        return np.tensordot(im2col(big, w.shape[0], 1), w, 3) + b, (big, w)

    def backward(dout, cache):
        big, w = cache
        dbig = col2im(np.tensordot(dout, w, ((3,), (3,))), big, w.shape[0], 1)
        dw = np.tensordot(im2col(big, w.shape[0], 1), dout, ((0, 1, 2), (0, 1, 2)))
        h, v = big.shape[1] - 2 * pad, big.shape[2] - 2 * pad
        return dbig[:, pad - 1 : pad - 1 + h, pad - 1 : pad - 1 + v], dw, dout.sum((0, 1, 2))

    return (forward, backward), normal(106, (2, 5, 6, 2), (3, 3, 2, 3), (3,))


@seen(
    "the kernels are turned by 180 degrees on the way back", "depthwiseconv2d", ("180", "turned", "rotated")
)
def depthwise_kernel_flipped() -> Made:
    def forward(x, w, b):
        cols = im2col(x, w.shape[0], 1)
        return np.einsum("nijklc,klc->nijc", cols, w) + b, (x, w, cols)

    def backward(dout, cache):
        x, w, cols = cache
        dcols = np.einsum("nijc,klc->nijklc", dout, w[::-1, ::-1])
        return col2im(dcols, x, w.shape[0], 1), np.einsum("nijklc,nijc->klc", cols, dout), dout.sum((0, 1, 2))

    return (forward, backward), normal(107, (2, 6, 5, 3), (2, 2, 3), (3,))


@seen("with stride 2 in one dimension δ is put back with stride 1", "conv1d", ("stride",), stride=2)
def series_with_stride() -> Made:
    def forward(x, w, b):
        k, steps = w.shape[2], (x.shape[2] - w.shape[2]) // 2 + 1
        cols = np.stack([x[:, :, 2 * t : 2 * t + k] for t in range(steps)], 2)
        return np.einsum("nctk,fck->nft", cols, w) + b[:, None], (x, w, cols)

    def backward(dout, cache):
        x, w, cols = cache
        dx = np.zeros_like(x)
        for t in range(dout.shape[2]):
            dx[:, :, t : t + w.shape[2]] += np.einsum("nf,fck->nck", dout[:, :, t], w)
        return dx, np.einsum("nctk,nft->fck", cols, dout), dout.sum((0, 2))

    return (forward, backward), normal(108, (2, 3, 11), (4, 3, 3), (4,))


@seen("δ is spread evenly over the window, as in a mean", "maxpool2d", ("mean",), pool_size=2)
def max_pool_spread_evenly() -> Made:
    def forward(x):
        n, h, w, c = x.shape
        return x.reshape(n, h // 2, 2, w // 2, 2, c).max((2, 4)), x

    def backward(dout, x):
        return np.kron(dout, np.ones((1, 2, 2, 1))) / 4

    return (forward, backward), normal(109, (2, 4, 6, 3))


@seen("the argmax of the first channel is used for all", "maxpool1d", ("channel",), window=3)
def argmax_of_one_channel() -> Made:
    def forward(x):
        n, t, c = x.shape
        parts = x.reshape(n, t // 3, 3, c)
        return parts.max(2), (parts, x.shape)

    def backward(dout, cache):
        parts, shape = cache
        places = parts.argmax(2)[..., :1]
        return ((np.arange(3)[:, None] == places[:, :, None]) * dout[:, :, None]).reshape(shape)

    return (forward, backward), normal(110, (2, 9, 4))


@seen(
    "the window's mean is handed back without being divided",
    "avgpool1d",
    ("division", "divided", "sum", "multiplied by 2"),
    window=2,
)
def series_mean_not_divided() -> Made:
    def forward(x):
        return 0.5 * (x[:, ::2] + x[:, 1::2]), x

    return (forward, lambda dout, x: np.repeat(dout, 2, axis=1)), normal(111, (3, 8, 2))


class BatchNormLast:
    """Of images with channels last."""

    def __init__(self, gamma, beta):
        self.gamma, self.beta, self.grads = gamma, beta, {}

    def forward(self, x):
        self.mu, self.var = x.mean((0, 1, 2)), x.var((0, 1, 2))
        self.hat = (x - self.mu) / np.sqrt(self.var + 1e-5)
        return self.gamma * self.hat + self.beta

    def backward(self, d):
        self.grads = {"gamma": (d * self.hat).sum((0, 1, 2)), "beta": d.sum((0, 1, 2))}
        e = d * self.gamma
        inner = e - e.mean((0, 1, 2)) + self.hat * (e * self.hat).mean((0, 1, 2))
        return inner / np.sqrt(self.var + 1e-5)


@seen("the last term is added, it must be subtracted", "batchnorm", ("sign", "subtract"))
def class_batch_norm_sign() -> Made:
    x, gamma, beta = normal(112, (2, 4, 3, 5), (5,), (5,))
    return BatchNormLast(gamma, beta), (x,)


@seen("∂γ is taken of x - μ, not divided by σ", "layernorm", ("division", "divided"))
def layer_norm_scale_not_divided() -> Made:
    def forward(x, gamma, beta):
        centred = x - x.mean(-1, keepdims=True)
        std = np.sqrt(np.mean(centred**2, -1, keepdims=True) + 1e-5)
        return gamma * centred / std + beta, (centred, std, gamma)

    def backward(d, cache):
        centred, std, gamma = cache
        hat, e = centred / std, d * gamma
        dx = (e - e.mean(-1, keepdims=True) - hat * (e * hat).mean(-1, keepdims=True)) / std
        return dx, np.einsum("nd,nd->d", d, centred), np.einsum("nd->d", d)

    return (forward, backward), normal(113, (4, 6), (6,), (6,))


@seen("the gradients of γ and β keep the axis of time", "layernorm", ("shape",))
def layer_norm_not_summed_over_time() -> Made:
    def forward(x, gamma, beta):
        mu, std = x.mean(-1, keepdims=True), np.sqrt(x.var(-1, keepdims=True) + 1e-5)
        return gamma * (x - mu) / std + beta, ((x - mu) / std, std, gamma)

    def backward(d, cache):
        hat, std, gamma = cache
        e = d * gamma
        dx = (e - e.mean(-1, keepdims=True) - hat * (e * hat).mean(-1, keepdims=True)) / std
        return dx, (d * hat).sum(0), d.sum(0)

    return (forward, backward), normal(114, (3, 4, 5), (5,), (5,))


@seen("the correction is added, it must be subtracted", "rmsnorm", ("sign", "subtract"))
def rms_norm_columns_sign() -> Made:
    def forward(x, g):
        r = np.sqrt((x * x).mean(0) + 1e-5)
        return g[:, None] * x / r, (x, g, r)

    def backward(d, cache):
        x, g, r = cache
        e, hat = d * g[:, None], x / r
        return (e + hat * (e * hat).mean(0)) / r, (d * hat).sum(1)

    return (forward, backward), normal(115, (5, 4), (5,))


class GELU:
    def forward(self, x):
        self.x = x
        return x * 0.5 * (1 + erf(x / np.sqrt(2)))

    def backward(self, grad):
        cdf = 0.5 * (1 + erf(self.x / np.sqrt(2)))
        pdf = np.exp(-0.5 * self.x**2) / np.sqrt(2 * np.pi)
        return grad * (cdf + pdf)


@seen("the density must be multiplied by x", "gelu", ("factor",))
def class_gelu_density_without_x() -> Made:
    return GELU(), normal(116, (3, 5))


@seen(
    "the derivative is taken at the output, it must be at the input",
    "silu",
    ("another quantity", "stands where"),
)
def silu_float32_at_the_output() -> Made:
    def forward(x):
        out = x / (1 + np.exp(-x))
        return out, out

    def backward(d, a):
        s = 1 / (1 + np.exp(-a))
        return d * (s + a * s * (1 - s))

    return (forward, backward), single(*normal(117, (4, 6)))


@seen("α is missing left of 0", "elu", ("factor", "α", "1.5"), alpha=1.5)
def elu_without_alpha() -> Made:
    def forward(x):
        return np.where(x > 0, x, 1.5 * (np.exp(x) - 1)), x

    return (forward, lambda d, x: np.where(x > 0, d, d * np.exp(x))), normal(118, (5, 4))


@seen("the outer product must be subtracted from the diagonal", "softmax", ("sign", "subtract"))
def softmax_jacobian_plus() -> Made:
    def forward(z):
        e = np.exp(z)
        p = e / e.sum(1, keepdims=True)
        return p, p

    def backward(d, p):
        jacobian = np.einsum("ni,ij->nij", p, np.eye(p.shape[1])) + np.einsum("ni,nj->nij", p, p)
        return np.einsum("nij,nj->ni", jacobian, d)

    return (forward, backward), normal(119, (4, 3))


@seen(
    "1 - s² is the derivative of tanh, of the sigmoid it is s - s²",
    "sigmoid",
    ("tanh", "1 -", "another quantity", "factor"),
)
def sigmoid_with_the_derivative_of_tanh() -> Made:
    def forward(x):
        s = 1 / (1 + np.exp(-x))
        return s, {"s": s}

    return (forward, lambda d, cache: d * (1 - cache["s"] ** 2)), normal(120, (3, 4))


@seen(
    "the kernel is not transposed back: filters and channels are mixed up",
    "convtranspose2d",
    ("transpose", "exchanged", "order"),
    stride=2,
)
def transposed_convolution_channels() -> Made:
    def forward(x, w):
        out = np.zeros((len(x), w.shape[1], 2 * x.shape[2], 2 * x.shape[3]))
        for i, j in np.ndindex(2, 2):
            out[:, :, i::2, j::2] = np.einsum("nchw,cf->nfhw", x, w[:, :, i, j])
        return out, (x, w)

    def backward(d, cache):
        x, w = cache
        dx = sum(np.einsum("nfhw,fc->nchw", d[:, :, i::2, j::2], w[:, :, i, j]) for i, j in np.ndindex(2, 2))
        dw = np.empty_like(w)
        for i, j in np.ndindex(2, 2):
            dw[:, :, i, j] = np.einsum("nchw,nfhw->cf", x, d[:, :, i::2, j::2])
        return dx, dw

    return (forward, backward), normal(121, (2, 3, 3, 4), (3, 3, 2, 2))
