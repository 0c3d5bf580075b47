"""The examiner's second forty, in the style of public reports: layers, normalisations, losses, networks."""

from __future__ import annotations

import numpy as np
from scipy.special import erf
from tests.verifying.museum.case import Cases, Made, normal
from tests.verifying.museum.meant import network

import chainrule as cr

CASES = Cases(__name__)
seen = CASES.seen


def sigma(x):
    return 1 / (1 + np.exp(-x))


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


# -- gated units, activations
@seen("silu'(g) is σ alone, x σ (1 - σ) is forgotten", "swiglu", ("missing", "alone", "stands"))
def swiglu_slope() -> Made:
    def forward(g, x):
        return g * sigma(g) * x, (g, x)

    def backward(d, cache):
        g, x = cache
        return d * x * sigma(g), d * g * sigma(g)

    return (forward, backward), normal(201, (3, 4), (3, 4))


@seen("the gate's gradient is not multiplied by the value", "swiglu", ("missing",))
def swiglu_value_missing() -> Made:
    def forward(g, x):
        return g * sigma(g) * x, (g, x)

    def backward(d, cache):
        g, _ = cache
        s = sigma(g)
        return d * s * (1 + g * (1 - s)), d * g * s

    return (forward, backward), normal(202, (5, 3), (5, 3))


@seen("GLU's two gradients are exchanged", "glu", ("exchanged",))
def glu_exchanged() -> Made:
    def forward(g, x):
        return sigma(g) * x, (g, x)

    def backward(d, cache):
        g, x = cache
        s = sigma(g)
        return d * s, d * x * s * (1 - s)

    return (forward, backward), normal(203, (4, 3), (4, 3))


C = np.sqrt(2 / np.pi)


@seen(
    "the derivative of the tanh form's inner x³ is 0.044715 x², not three times that",
    "gelu_tanh",
    ("0.134", "number", "stands", "exponent"),
)
def gelu_tanh_three_forgotten() -> Made:
    def forward(x):
        return 0.5 * x * (1 + np.tanh(C * (x + 0.044715 * x**3))), x

    def backward(d, x):
        t = np.tanh(C * (x + 0.044715 * x**3))
        return d * (0.5 * (1 + t) + 0.5 * x * (1 - t**2) * C * (1 + 0.044715 * x**2))

    return (forward, backward), normal(204, (4, 5))


@seen("GELU's density is not multiplied by x", "gelu", ("missing", "zˡ"))
def gelu_density() -> Made:
    def forward(x):
        return 0.5 * x * (1 + erf(x / np.sqrt(2))), x

    def backward(d, x):
        return d * (0.5 * (1 + erf(x / np.sqrt(2))) + np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi))

    return (forward, backward), normal(205, (3, 6))


# -- normalisations
def rms(x, g):
    r = np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6)
    return x / r * g, (x, g, r)


@seen("the second term is divided by r², not r³", cr.RMSNorm(epsilon=1e-6), ("divi", "exponent", "r"))
def rms_norm_power() -> Made:
    def backward(d, cache):
        x, g, r = cache
        e = d * g
        return e / r - x * (e * x).mean(-1, keepdims=True) / r**2, (d * x / r).sum(0)

    return (rms, backward), normal(206, (4, 5), (5,))


@seen("the mean in the second term is a sum", cr.RMSNorm(epsilon=1e-6), ("sum", "mean"))
def rms_norm_sum() -> Made:
    def backward(d, cache):
        x, g, r = cache
        e, u = d * g, x / r
        return (e - u * (e * u).sum(-1, keepdims=True)) / r, (d * u).sum(0)

    return (rms, backward), normal(207, (4, 3), (3,))


@seen("γ's gradient is of x, not of x / r", cr.RMSNorm(epsilon=1e-6), ("division", "divided", "stands", "r"))
def rms_norm_gain() -> Made:
    def backward(d, cache):
        x, g, r = cache
        e, u = d * g, x / r
        return (e - u * (e * u).mean(-1, keepdims=True)) / r, (d * x).sum(0)

    return (rms, backward), normal(208, (2, 7, 4), (4,))


def layer_norm(x, g, b):
    c = x - x.mean(-1, keepdims=True)
    s = np.sqrt((c**2).mean(-1, keepdims=True) + 1e-5)
    return g * c / s + b, (c / s, s, g)


@seen("γ is not multiplied into δ before the means", "layernorm", ("γ", "missing"))
def layer_norm_gain_outside() -> Made:
    def backward(d, cache):
        u, s, _ = cache
        inner = d - d.mean(-1, keepdims=True) - u * (d * u).mean(-1, keepdims=True)
        return inner / s, (d * u).sum(0), d.sum(0)

    return (layer_norm, backward), normal(209, (4, 5), (5,), (5,))


@seen("the mean of δ goes over the batch", "layernorm", ("samples", "axis"))
def layer_norm_over_batch() -> Made:
    def backward(d, cache):
        u, s, g = cache
        e = d * g
        inner = e - e.mean(0, keepdims=True) - u * (e * u).mean(-1, keepdims=True)
        return inner / s, (d * u).sum(0), d.sum(0)

    return (layer_norm, backward), normal(210, (4, 5), (5,), (5,))


@seen("β's gradient is a mean over the steps", "layernorm", ("1/", "mean"))
def layer_norm_steps_mean() -> Made:
    def backward(d, cache):
        u, s, g = cache
        e = d * g
        inner = e - e.mean(-1, keepdims=True) - u * (e * u).mean(-1, keepdims=True)
        return inner / s, (d * u).sum((0, 1)), d.mean(1).sum(0)

    return (layer_norm, backward), normal(211, (3, 6, 5), (5,), (5,))


def group_norm(x, g, b):
    y = x.reshape(len(x), 2, -1)
    s = np.sqrt(y.var(-1, keepdims=True) + 1e-5)
    u = ((y - y.mean(-1, keepdims=True)) / s).reshape(x.shape)
    return g[:, None, None] * u + b[:, None, None], (u, s, g)


@seen("the means go over a channel, not over a group", "groupnorm", ("channel", "group"), groups=2)
def group_norm_by_channel() -> Made:
    def backward(d, cache):
        u, s, g = cache
        e = d * g[:, None, None]
        n = len(d)
        inner = e - e.mean((2, 3), keepdims=True) - u * (e * u).mean((2, 3), keepdims=True)
        return (inner.reshape(n, 2, -1) / s).reshape(d.shape), (d * u).sum((0, 2, 3)), d.sum((0, 2, 3))

    return (group_norm, backward), normal(212, (2, 4, 3, 5), (4,), (4,))


def batch_norm(x, g, b, axes=0):
    mu, var = x.mean(axes), x.var(axes)
    u = (x - mu) / np.sqrt(var + 1e-5)
    return g * u + b, (u, np.sqrt(var + 1e-5), g)


@seen("the term of the mean is missing", "batchnorm", ("missing",))
def batch_norm_mean_missing() -> Made:
    def backward(d, cache):
        u, s, g = cache
        e = d * g
        return (e - u * (e * u).mean(0)) / s, (d * u).sum(0), d.sum(0)

    return (batch_norm, backward), normal(213, (6, 4), (4,), (4,))


@seen("of images divided by the number of samples alone", "batchnorm", ("number of samples",))
def batch_norm_images_count() -> Made:
    def forward(x, g, b):
        return batch_norm(x, g, b, (0, 1, 2))

    def backward(d, cache):
        u, s, g = cache
        e = d * g
        inner = e - e.sum((0, 1, 2)) / len(d) - u * (e * u).sum((0, 1, 2)) / len(d)
        return inner / s, (d * u).sum((0, 1, 2)), d.sum((0, 1, 2))

    return (forward, backward), normal(214, (3, 4, 5, 2), (2,), (2,))


class FrozenBack:
    """Normalises with the batch's statistics, goes back as if they were running ones."""

    def __init__(self, gamma, beta):
        self.gamma, self.beta = gamma, beta

    def forward(self, x):
        self.s = np.sqrt(x.var(0) + 1e-5)
        self.u = (x - x.mean(0)) / self.s
        return self.gamma * self.u + self.beta

    def backward(self, d):
        self.dgamma, self.dbeta = (d * self.u).sum(0), d.sum(0)
        return d * self.gamma / self.s


@seen("the batch's statistics are taken for constants", "batchnorm", ("missing", "only", "constant"))
def batch_norm_frozen_back() -> Made:
    x, g, b = normal(215, (5, 3), (3,), (3,))
    return FrozenBack(g, b), (x,)


# -- losses
def cross_entropy(z, y, smooth=0.0):
    p, t = softmax(z), np.eye(z.shape[1])[y] * (1 - smooth) + smooth / z.shape[1]
    return p, t, -(t * np.log(p)).sum() / len(z)


LABELS = np.array([0, 3, 1, 1, 2])


@seen("the labels are smoothed in forward alone", cr.CrossEntropy(label_smoothing=0.2), ("smooth",))
def smoothing_in_forward_alone() -> Made:
    def loss(z, y):
        p, _, value = cross_entropy(z, y, 0.2)
        return value, (p - np.eye(4)[y]) / len(z)

    return loss, (normal(216, (5, 4))[0], LABELS)


@seen(
    "the smoothed rest is shared by K - 1 classes, forward has K",
    cr.CrossEntropy(label_smoothing=0.2),
    ("ε", "smooth", "K", "number", "features", "classes"),
)
def smoothing_of_the_others() -> Made:
    def loss(z, y):
        p, _, value = cross_entropy(z, y, 0.2)
        t = np.full(z.shape, 0.2 / 3)
        t[range(len(y)), y] = 0.8
        return value, (p - t) / len(z)

    return loss, (normal(217, (5, 4))[0], LABELS)


@seen("ignored samples are counted in the mean", "cross_entropy", ("ignor",), ignore_index=-1)
def ignored_are_counted() -> Made:
    def loss(z, y):
        kept = y >= 0
        p = softmax(z)
        value = -np.log(p[kept, y[kept]]).sum() / kept.sum()
        p[kept, y[kept]] -= 1
        p[~kept] = 0
        return value, p / len(y)

    return loss, (normal(218, (6, 4))[0], np.array([0, -1, 2, 3, -1, 1]))


@seen("ignored samples get a gradient", "cross_entropy", ("ignor",), ignore_index=-1)
def ignored_get_gradients() -> Made:
    def loss(z, y):
        kept = y >= 0
        p = softmax(z)
        value = -np.log(p[kept, y[kept]]).sum() / kept.sum()
        p[kept, y[kept]] -= 1
        return value, p / kept.sum()

    return loss, (normal(219, (6, 4))[0], np.array([0, -1, 2, 3, -1, 1]))


@seen(
    "the classes' weights are in the loss alone",
    "cross_entropy",
    ("weight",),
    weight=np.array([0.5, 2.0, 1.0, 3.0]),
)
def weights_in_the_loss_alone() -> Made:
    w = np.array([0.5, 2.0, 1.0, 3.0])

    def loss(z, y):
        p = softmax(z)
        value = -(w[y] * np.log(p[range(len(y)), y])).sum() / w[y].sum()
        p[range(len(y)), y] -= 1
        return value, p / len(y)

    return loss, (normal(220, (5, 4))[0], LABELS)


@seen(
    "divided by the number of samples, not by the weights",
    "cross_entropy",
    ("weight",),
    weight=np.array([0.5, 2.0, 1.0, 3.0]),
)
def weights_not_in_the_mean() -> Made:
    w = np.array([0.5, 2.0, 1.0, 3.0])

    def loss(z, y):
        p = softmax(z)
        value = -(w[y] * np.log(p[range(len(y)), y])).sum() / w[y].sum()
        p[range(len(y)), y] -= 1
        return value, w[y][:, None] * p / len(y)

    return loss, (normal(221, (5, 4))[0], LABELS)


@seen("the derivative of (1 - p)^γ is forgotten", "focal", ("missing",), gamma=2.0)
def focal_of_the_factor() -> Made:
    def loss(z, y):
        p = softmax(z)
        q = p[range(len(y)), y]
        value = -((1 - q) ** 2 * np.log(q)).mean()
        p[range(len(y)), y] -= 1
        return value, ((1 - q) ** 2)[:, None] * p / len(y)

    return loss, (normal(222, (5, 4))[0], LABELS)


@seen("beyond δ the error itself stands", "huber", ("stands", "missing", "cut", "alone"), delta=0.7)
def huber_not_cut() -> Made:
    def loss(a, y):
        e = a - y
        small = np.abs(e) <= 0.7
        return np.where(small, e**2 / 2, 0.7 * (np.abs(e) - 0.35)).sum() / len(a), e / len(a)

    return loss, normal(223, (6, 3), (6, 3))


@seen("beyond δ the sign is not multiplied by δ", "huber", ("stands", "must be", "missing"), delta=0.7)
def huber_sign() -> Made:
    def loss(a, y):
        e = a - y
        small = np.abs(e) <= 0.7
        value = np.where(small, e**2 / 2, 0.7 * (np.abs(e) - 0.35)).sum() / len(a)
        return value, np.where(small, e, np.sign(e)) / len(a)

    return loss, normal(224, (6, 3), (6, 3))


@seen("q - p: the opposite sign of the divergence's", "kl_div", ("sign", "minus", "opposite"))
def divergence_sign() -> Made:
    def loss(z, p):
        q = softmax(z)
        return (p * (np.log(p) - np.log(q))).sum() / len(z), (p - q) / len(z)

    return loss, (normal(225, (4, 5))[0], softmax(normal(226, (4, 5))[0]))


# -- embeddings, recurrences
@seen("the padding's row gets a gradient", cr.Embedding(7, 3, padding=0), ("padding", "row"))
def padding_row_learns() -> Made:
    def forward(ids, E):
        return E[ids] * (ids != 0)[..., None], (ids, E)

    def backward(d, cache):
        ids, E = cache
        made = np.zeros_like(E)
        np.add.at(made, ids, d)
        return None, made

    return (forward, backward), (np.array([[1, 0, 4], [4, 6, 0]]), normal(227, (7, 3))[0])


@seen("the embedding's scale √d is in forward alone", None, ("0.5", "1/2", "multiplied"))
def scaled_embedding() -> Made:
    def forward(ids, E):
        return 2.0 * E[ids], (ids, E)

    def backward(d, cache):
        ids, E = cache
        made = np.zeros_like(E)
        np.add.at(made, ids, d)
        return None, made

    return (forward, backward), (np.array([[1, 0, 4], [4, 6, 0]]), normal(228, (7, 4))[0])


def gru(x, Wx, Wh, b, v):
    h, tape = np.zeros((len(x), len(Wh))), []
    for t in range(x.shape[1]):
        (pr, pu, pn), (qr, qu, qn) = np.split(x[:, t] @ Wx + b, 3, 1), np.split(h @ Wh, 3, 1)
        r, u, s = sigma(pr + qr), sigma(pu + qu), qn + v
        n = np.tanh(pn + r * s)
        tape.append((r, u, s, n, h))
        h = (1 - u) * n + u * h
    return h, (x, Wx, Wh, b, v, tape)


def gru_back(dh, cache, kept=True, reset=True):
    x, Wx, Wh, b, v, tape = cache
    dx, dWx, dWh, db, dv = (np.zeros_like(a) for a in (x, Wx, Wh, b, v))
    for t in reversed(range(len(tape))):
        r, u, s, n, h = tape[t]
        dn = dh * (1 - u) * (1 - n**2)
        dr, du = dn * s * r * (1 - r), dh * (h - n) * u * (1 - u)
        dp, dq = np.hstack([dr, du, dn]), np.hstack([dr, du, dn * r if reset else dn])
        dx[:, t], dh = dp @ Wx.T, dq @ Wh.T + (dh * u if kept else 0)
        dWx += x[:, t].T @ dp
        dWh += h.T @ dq
        db += dp.sum(0)
        dv += dq[:, -len(v) :].sum(0)
    return dx, dWx, dWh, db, dv


GRU = (3, 4, 2), (2, 9), (3, 9), (9,), (3,)


@seen(
    "what the update gate keeps of the state is not handed on", "gru", ("missing", "left out"), outputs="last"
)
def gru_state_not_kept() -> Made:
    return (gru, lambda d, cache: gru_back(d, cache, kept=False)), normal(229, *GRU)


@seen("the reset gate is missing on the way to the state", "gru", ("missing", "left out"), outputs="last")
def gru_reset_missing() -> Made:
    return (gru, lambda d, cache: gru_back(d, cache, reset=False)), normal(230, *GRU)


# -- convolutions, pools
WINDOWS = np.lib.stride_tricks.sliding_window_view


@seen("the dilation is forgotten in δ", "conv1d", ("dilation",), dilation=2)
def dilated_series() -> Made:
    def forward(x, w, b):
        cols = np.stack([x[:, 2 * k : x.shape[1] - 2 * (len(w) - 1 - k)] for k in range(len(w))], 2)
        return np.einsum("ntkc,kcf->ntf", cols, w) + b, (x, w, cols)

    def backward(d, cache):
        x, w, cols = cache
        dx = np.zeros_like(x)
        for k in range(len(w)):
            dx[:, k : k + d.shape[1]] += d @ w[k].T
        return dx, np.einsum("ntkc,ntf->kcf", cols, d), d.sum((0, 1))

    return (forward, backward), normal(231, (2, 9, 3), (3, 3, 4), (4,))


@seen("δ of the groups is mixed up: every group reads the first", "conv1d", ("group", "entry"), groups=2)
def grouped_series() -> Made:
    def forward(x, w, b):  # (n, c, t), (f, c / 2, k)
        cols = WINDOWS(x, w.shape[2], axis=2)
        half, many = len(w) // 2, x.shape[1] // 2
        parts = [
            np.einsum("nctk,fck->nft", cols[:, g * many : (g + 1) * many], w[g * half : (g + 1) * half])
            for g in (0, 1)
        ]
        return np.concatenate(parts, 1) + b[:, None], (x, w, cols)

    def backward(d, cache):
        x, w, cols = cache
        half, many = len(w) // 2, x.shape[1] // 2
        dx, dw = np.zeros_like(x), np.zeros_like(w)
        for g in (0, 1):
            of, at = slice(g * half, (g + 1) * half), slice(g * many, (g + 1) * many)
            for t in range(d.shape[2]):
                dx[:, at, t : t + w.shape[2]] += np.einsum("nf,fck->nck", d[:, of, t], w[:half])
            dw[of] = np.einsum("nctk,nft->fck", cols[:, at], d[:, of])
        return dx, dw, d.sum((0, 2))

    return (forward, backward), normal(232, (2, 4, 7), (6, 2, 3), (6,))


@seen(
    "the transposed convolution's ∂W is turned by 180°",
    "convtranspose2d",
    ("180", "turned", "reversed", "entry"),
    stride=2,
)
def transposed_kernel_gradient() -> Made:
    def forward(x, w, b):  # NHWC, (C, k, k, F)
        k = w.shape[1]
        out = np.zeros((len(x), 2 * (x.shape[1] - 1) + k, 2 * (x.shape[2] - 1) + k, w.shape[3]))
        for i in range(x.shape[1]):
            for j in range(x.shape[2]):
                out[:, 2 * i : 2 * i + k, 2 * j : 2 * j + k] += np.einsum("nc,cklf->nklf", x[:, i, j], w)
        return out + b, (x, w)

    def backward(d, cache):
        x, w = cache
        k, dx, dw = w.shape[1], np.zeros_like(x), np.zeros_like(w)
        for i in range(x.shape[1]):
            for j in range(x.shape[2]):
                part = d[:, 2 * i : 2 * i + k, 2 * j : 2 * j + k]
                dx[:, i, j] = np.einsum("nklf,cklf->nc", part, w)
                dw += np.einsum("nc,nklf->cklf", x[:, i, j], part)
        return dx, dw[:, ::-1, ::-1], d.sum((0, 1, 2))

    return (forward, backward), normal(233, (2, 3, 4, 2), (2, 3, 3, 5), (5,))


@seen(
    "the places of padding's windows are counted from the picture: one off",
    "maxpool1d",
    ("shift", "padding"),
    window=3,
    stride=2,
    padding=1,
)
def padded_pool_one_off() -> Made:
    def forward(x):
        big = np.pad(x, ((0, 0), (1, 1), (0, 0)), constant_values=-np.inf)
        parts = WINDOWS(big, 3, axis=1)[:, ::2]
        return parts.max(-1), (x, parts.argmax(-1))

    def backward(d, cache):
        x, places = cache
        dx = np.zeros((x.shape[0], x.shape[1] + 2, x.shape[2]))
        for n, t, c in np.ndindex(d.shape):
            dx[n, 2 * t + places[n, t, c], c] += d[n, t, c]
        return dx[:, : x.shape[1]]

    return (forward, backward), normal(234, (2, 9, 3))


@seen("the global mean is not divided", "globalavgpool", ("division", "divided", "multiplied", "mean", "P"))
def global_mean_not_divided() -> Made:
    def backward(d, x):
        return np.broadcast_to(d[:, None, None], x.shape).copy()

    return (lambda x: (x.mean((1, 2)), x), backward), normal(235, (2, 3, 5, 4))


# -- dropout, branches, networks
@seen(
    "the mask is drawn, and 1 / keep is forgotten on the way back",
    cr.Dropout(0.4),
    ("missing", "divi", "0.6"),
)
def dropout_not_rescaled() -> Made:
    mask = (np.random.default_rng(236).random((4, 5)) < 0.6).astype(float)
    return (lambda x, m: (x * m / 0.6, m), lambda d, m: (d * m, None)), (normal(236, (4, 5))[0], mask)


RESIDUAL = [cr.Residual([cr.Dense(4), cr.Tanh()]), cr.Dense(3)]


@seen("the way past the layers is forgotten", network(*RESIDUAL, inputs=4), ("branch",))
def residual_branch_missing() -> Made:
    def forward(x, W1, b1, W2, b2):
        h = np.tanh(x @ W1 + b1)
        return (x + h) @ W2 + b2, (x, h, W1, W2)

    def backward(d, cache):
        x, h, W1, W2 = cache
        dy = d @ W2.T
        dz = dy * (1 - h**2)
        return dz @ W1.T, x.T @ dz, dz.sum(0), (x + h).T @ d, d.sum(0)

    return (forward, backward), normal(237, (5, 4), (4, 4), (4,), (4, 3), (3,))


@seen(
    "λW for λW/m: the penalty is shared by the samples in J",
    [cr.Dense(3), cr.Softmax()],
    ("penalty",),
    loss="cross_entropy",
)
def penalty_not_shared() -> Made:
    def loss(X, y, W, b):
        p, m = softmax(X @ W + b), len(X)
        value = -np.log(p[range(m), y]).mean() + 0.3 / (2 * m) * (W**2).sum()
        d = (p - np.eye(3)[y]) / m
        return value, {"W": X.T @ d + 0.3 * W, "b": d.sum(0)}

    return loss, (*normal(238, (6, 4)), np.array([0, 1, 2, 2, 1, 0]), *normal(239, (4, 3), (3,)))


TIED = [cr.Dense(5), cr.Tanh(), cr.Dense(4)]


@seen("of two layers' weights in one the encoder's share alone", None, ("unknown",))
def tied_weights_one_share() -> Made:
    def forward(x, W):
        h = np.tanh(x @ W)
        return h @ W.T, (x, W, h)

    def backward(d, cache):
        x, W, h = cache
        dz = d @ W * (1 - h**2)
        return dz @ W.T, x.T @ dz

    return (forward, backward), normal(240, (3, 4), (4, 5))
