"""Normalization in many hands; residual branches, gates, dropout, embeddings."""

from __future__ import annotations

import numpy as np
from tests.verifying.museum.right.style import Draw, Made, Styles

import chainrule as cr

STYLES = Styles()
style = STYLES.style
EPS = 1e-5
SMALL = ["one sample", "one feature"]


def batch_norm(x, gamma, beta):
    mu, var = x.mean(0), x.var(0)
    hat = (x - mu) / np.sqrt(var + EPS)
    return gamma * hat + beta, (x, hat, mu, var, gamma)


def batch_args(r: Draw):
    return r.normal(r.m + 1, r.i), r.positive(r.i), r.normal(r.i)


@style("normalization", without=SMALL)
def batch_norm_in_steps(r: Draw) -> Made:
    def backward(dout, cache):
        x, hat, mu, var, gamma = cache
        n, xmu, ivar = len(x), x - mu, 1 / np.sqrt(var + EPS)
        dhat = dout * gamma
        dsq = 0.5 * ivar * (-(ivar**2) * (dhat * xmu).sum(0)) / n
        dx1 = dhat * ivar + 2 * xmu * dsq
        return dx1 - dx1.sum(0) / n, (dout * hat).sum(0), dout.sum(0)

    return (batch_norm, backward), batch_args(r), "batchnorm", {}


@style("normalization", without=SMALL)
def batch_norm_in_one_line(r: Draw) -> Made:
    def backward(dout, cache):
        _, hat, _, var, gamma = cache
        n = len(dout)
        dbeta, dgamma = dout.sum(0), (dout * hat).sum(0)
        return gamma / np.sqrt(var + EPS) / n * (n * dout - dbeta - hat * dgamma), dgamma, dbeta

    return (batch_norm, backward), batch_args(r), "batchnorm", {"eps": 1e-5}


@style("normalization", without=SMALL)
def batch_norm_of_columns(r: Draw) -> Made:
    def forward(X, gamma, beta):
        mu, var = X.mean(1, keepdims=True), X.var(1, keepdims=True)
        hat = (X - mu) / np.sqrt(var + EPS)
        return gamma * hat + beta, (hat, var, gamma)

    def backward(d, cache):
        hat, var, gamma = cache
        e = gamma * d
        dX = (e - e.mean(1, keepdims=True) - hat * (e * hat).mean(1, keepdims=True)) / np.sqrt(var + EPS)
        return dX, (d * hat).sum(1, keepdims=True), d.sum(1, keepdims=True)

    return (
        (forward, backward),
        (r.normal(r.o, r.m + 2), r.positive(r.o, 1), r.normal(r.o, 1)),
        "batchnorm",
        {},
    )


@style("normalization", without=["one sample"])
def batch_norm_of_images(r: Draw) -> Made:
    def forward(x, gamma, beta):
        flat, cache = batch_norm(x.transpose(0, 2, 3, 1).reshape(-1, x.shape[1]), gamma, beta)
        n, c, h, w = x.shape
        return flat.reshape(n, h, w, c).transpose(0, 3, 1, 2), cache

    def backward(dout, cache):
        _, hat, _, var, gamma = cache
        n, c, h, w = dout.shape
        d = dout.transpose(0, 2, 3, 1).reshape(-1, c)
        e = d * gamma
        dx = (e - e.mean(0) - hat * (e * hat).mean(0)) / np.sqrt(var + EPS)
        return dx.reshape(n, h, w, c).transpose(0, 3, 1, 2), (d * hat).sum(0), d.sum(0)

    return (forward, backward), (r.normal(r.m, r.c, 3, 4), r.positive(r.c), r.normal(r.c)), "batchnorm", {}


def layer_norm(x, gamma, beta):
    mu = x.mean(-1, keepdims=True)
    std = np.sqrt(((x - mu) ** 2).mean(-1, keepdims=True) + EPS)
    return gamma * (x - mu) / std + beta, ((x - mu) / std, std, gamma)


def layer_back(d, cache):
    hat, std, gamma = cache
    e, n = d * gamma, d.shape[-1]
    dx = (n * e - e.sum(-1, keepdims=True) - hat * (e * hat).sum(-1, keepdims=True)) / (n * std)
    axes = tuple(range(d.ndim - 1))
    return dx, (d * hat).sum(axes), d.sum(axes)


@style("normalization", without=["one feature"])
def layer_norm_of_rows(r: Draw) -> Made:
    return (layer_norm, layer_back), (r.normal(r.m, r.o), r.positive(r.o), r.normal(r.o)), "layernorm", {}


@style("normalization", without=["one feature"])
def layer_norm_of_sequences(r: Draw) -> Made:
    return (
        (layer_norm, layer_back),
        (r.normal(r.m, r.t, r.i), r.positive(r.i), r.normal(r.i)),
        "layernorm",
        {},
    )


def rms_norm(x, w):
    rstd = (np.square(x).mean(-1, keepdims=True) + EPS) ** -0.5
    return x * rstd * w, (x, w, rstd)


@style("normalization", without=["one feature"])
def rms_norm_of_rows(r: Draw) -> Made:
    def backward(d, cache):
        x, w, rstd = cache
        m = d * w
        return rstd * m - rstd**3 * x * (m * x).mean(-1, keepdims=True), (d * x * rstd).sum(0)

    return (rms_norm, backward), (r.normal(r.m, r.o), r.positive(r.o)), "rmsnorm", {}


@style("normalization", without=["one feature"])
def rms_norm_of_sequences(r: Draw) -> Made:
    def backward(d, cache):
        x, w, rstd = cache
        hat = x * rstd
        dot = np.einsum("...d,...d->...", d * w, hat)[..., None] / x.shape[-1]
        return rstd * (d * w - hat * dot), np.einsum("mtd,mtd->d", d, hat)

    return (rms_norm, backward), (r.normal(r.m, r.t, r.i), r.positive(r.i)), "rmsnorm", {}


@style("normalization", without=["one feature"])
def group_norm_of_images(r: Draw) -> Made:
    groups = 2

    def parts(x):
        return x.reshape(len(x), groups, -1)

    def forward(x, gamma, beta):
        p = parts(x)
        std = np.sqrt(p.var(2, keepdims=True) + EPS)
        hat = ((p - p.mean(2, keepdims=True)) / std).reshape(x.shape)
        return gamma[:, None, None] * hat + beta[:, None, None], (hat, std, gamma)

    def backward(d, cache):
        hat, std, gamma = cache
        e, h = parts(d * gamma[:, None, None]), parts(hat)
        dx = (e - e.mean(2, keepdims=True) - h * (e * h).mean(2, keepdims=True)) / std
        return dx.reshape(d.shape), (d * hat).sum((0, 2, 3)), d.sum((0, 2, 3))

    return (
        (forward, backward),
        (r.normal(r.m, 4, 3, 2), r.positive(4), r.normal(4)),
        "groupnorm",
        {"groups": 2},
    )


@style("gates")
def residual_of_a_dense_layer(r: Draw) -> Made:
    def forward(x, w, b):
        h = np.maximum(x @ w + b, 0)
        return x + h, (x, w, h)

    def backward(d, cache):
        x, w, h = cache
        dz = d * (h > 0)
        return d + dz @ w.T, x.T @ dz, dz.sum(0)

    like = cr.Residual([cr.Dense(r.i), cr.ReLU()])
    return (forward, backward), (r.normal(r.m, r.i), r.normal(r.i, r.i), r.normal(r.i)), like, {}


def sigma(x):
    return 1 / (1 + np.exp(-x))


@style("gates")
def swiglu_of_two_arguments(r: Draw) -> Made:
    def forward(gate, up):
        return gate * sigma(gate) * up, (gate, up)

    def backward(d, cache):
        gate, up = cache
        s = sigma(gate)
        return d * up * (s + gate * s * (1 - s)), d * gate * s

    return (forward, backward), (r.normal(r.m, r.o), r.normal(r.m, r.o)), "swiglu", {}


@style("gates", without=["one feature"])
def rotary_by_halves(r: Draw) -> Made:
    def turn(x, sign):
        half = x.shape[-1] // 2
        rate = 10000.0 ** (-np.arange(half) / half)
        angle = np.arange(x.shape[1])[:, None] * rate
        cos, sin = np.cos(angle).astype(x.dtype), sign * np.sin(angle).astype(x.dtype)
        a, b = x[..., :half], x[..., half:]
        return np.concatenate([a * cos - b * sin, a * sin + b * cos], -1)

    return (lambda x: (turn(x, 1), None), lambda d, _: turn(d, -1)), (r.normal(r.m, r.t, 6),), "rotary", {}


@style("gates", without=["one feature"])
def rotary_with_its_angles(r: Draw) -> Made:
    def forward(x, cos, sin):
        a, b = np.split(x, 2, axis=-1)
        return np.concatenate([a * cos - b * sin, a * sin + b * cos], -1), (cos, sin)

    def backward(d, cache):
        cos, sin = cache
        a, b = np.split(d, 2, axis=-1)
        return np.concatenate([a * cos + b * sin, b * cos - a * sin], -1)

    angle = np.arange(r.t)[:, None] * np.array([1, 0.1, 0.01])
    args = r.normal(r.m, r.t, 6), np.cos(angle).astype(r.dtype), np.sin(angle).astype(r.dtype)
    return (forward, backward), args, "rotary", {}


@style("gates")
def dropout_with_its_mask(r: Draw) -> Made:
    def forward(x, mask):
        return x * mask / 0.75, mask

    mask = (r.rng.random((r.m, r.o)) > 0.25).astype(r.dtype)
    mask.flat[0] = 1
    return (forward, lambda d, mask: d * mask / 0.75), (r.normal(r.m, r.o), mask), "dropout", {"rate": 0.25}


@style("gates")
def embedding_by_add_at(r: Draw) -> Made:
    def backward(d, cache):
        ids, table = cache
        dtable = np.zeros_like(table)
        np.add.at(dtable, ids, d)
        return None, dtable

    ids = r.labels((r.m, r.t), 6)
    ids.flat[0], ids.flat[-1] = 0, 5
    return (lambda ids, table: (table[ids], (ids, table)), backward), (ids, r.normal(6, r.o)), "embedding", {}


@style("gates")
def embedding_by_one_hot(r: Draw) -> Made:
    def forward(ids, table):
        hot = np.eye(len(table), dtype=table.dtype)[ids]
        return hot @ table, hot

    ids = r.labels((r.m, r.t), 7)
    ids.flat[0], ids.flat[-1] = 0, 6
    return (
        (forward, lambda d, hot: (None, np.einsum("mtv,mtf->vf", hot, d))),
        (ids, r.normal(7, r.i)),
        "embedding",
        {},
    )
