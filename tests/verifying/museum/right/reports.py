"""Layers of transformers, normalisations, losses that leave samples out, in hands of public reports."""

from __future__ import annotations

import numpy as np
from tests.verifying.museum.right.style import Draw, Made, Styles

import chainrule as cr

STYLES = Styles()
style = STYLES.style


def sigma(x):
    return 1 / (1 + np.exp(-x))


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


# -- attention and positions
def flash(q, k, v, hidden=None):
    """Blocks of keys, one after the other; heads of K in common where there are fewer."""
    share = q.shape[1] // k.shape[1]
    k, v = np.repeat(k, share, 1), np.repeat(v, share, 1)
    scale = q.dtype.type(1 / np.sqrt(q.shape[-1]))
    best = np.full((*q.shape[:3], 1), -np.inf, q.dtype)
    total, out = np.zeros_like(best), np.zeros((*q.shape[:3], v.shape[3]), q.dtype)
    for at in range(0, k.shape[2], 2):
        s = q @ k[:, :, at : at + 2].swapaxes(2, 3) * scale
        if hidden is not None:
            s = np.where(hidden[:, at : at + 2], -np.inf, s)
        new = np.maximum(best, s.max(3, keepdims=True))
        p, old = np.exp(s - new), np.exp(best - new)
        total = total * old + p.sum(3, keepdims=True)
        out = out * old + p @ v[:, :, at : at + 2]
        best = new
    return out / total, (best + np.log(total)), scale, k, v, share


def flash_back(d, q, k, v, out, lse, scale, share, hidden=None):
    rows = (d * out).sum(3, keepdims=True)
    dq, dk, dv = np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)
    for at in range(0, k.shape[2], 2):
        of = slice(at, at + 2)
        s = q @ k[:, :, of].swapaxes(2, 3) * scale
        if hidden is not None:
            s = np.where(hidden[:, of], -np.inf, s)
        p = np.exp(s - lse)
        ds = p * (d @ v[:, :, of].swapaxes(2, 3) - rows)
        dq += ds @ k[:, :, of] * scale
        dk[:, :, of] = ds.swapaxes(2, 3) @ (q * scale)
        dv[:, :, of] = p.swapaxes(2, 3) @ d

    def added(x):
        return x.reshape(x.shape[0], -1, share, *x.shape[2:]).sum(2)

    return dq, added(dk), added(dv)


@style("attention", without=["one feature"])
def flash_attention_in_blocks_with_shared_heads(r: Draw) -> Made:
    def forward(q, k, v):
        out, lse, scale, K, V, share = flash(q, k, v)
        return out, (q, K, V, out, lse, scale, share)

    def backward(d, cache):
        return flash_back(d, *cache)

    args = r.normal(r.m, 4, r.t, r.i), r.normal(r.m, 2, r.t + 1, r.i), r.normal(r.m, 2, r.t + 1, r.o)
    return (forward, backward), args, "attention", {}


@style("attention")
def flash_attention_steps_before_heads_causal(r: Draw) -> Made:
    def forward(q, k, v):
        q, k, v = (a.swapaxes(1, 2) for a in (q, k, v))
        hidden = ~np.tri(q.shape[2], dtype=bool)
        out, lse, scale, K, V, share = flash(q, k, v, hidden)
        return out.swapaxes(1, 2), (q, K, V, out, lse, scale, share, hidden)

    def backward(d, cache):
        return tuple(a.swapaxes(1, 2) for a in flash_back(d.swapaxes(1, 2), *cache))

    args = r.normal(r.m, r.t, 2, r.i), r.normal(r.m, r.t, 2, r.i), r.normal(r.m, r.t, 2, r.o)
    return (forward, backward), args, "flash_attention", {"causal": True}


@style("attention")
def attention_with_a_mask_of_keys(r: Draw) -> Made:
    def forward(q, k, v, keep):
        s = np.einsum("btd,bsd->bts", q, k) / q.dtype.type(np.sqrt(q.shape[-1]))
        a = softmax(np.where(keep[:, None], s, -1e9).astype(q.dtype))
        return a @ v, (q, k, v, a)

    def backward(d, cache):
        q, k, v, a = cache
        da = np.einsum("btd,bsd->bts", d, v)
        ds = a * (da - (a * da).sum(-1, keepdims=True)) / q.dtype.type(np.sqrt(q.shape[-1]))
        return ds @ k, ds.swapaxes(1, 2) @ q, a.swapaxes(1, 2) @ d, None

    keep = r.rng.random((r.m, r.t)) < 0.7
    keep[:, 0], keep[:, -1] = True, False
    args = r.normal(r.m, r.t + 1, r.i), r.normal(r.m, r.t, r.i), r.normal(r.m, r.t, r.o)
    return (forward, backward), (*args, keep), "attention", {"causal": False}


@style("attention")
def rotary_interleaved_by_complex_numbers(r: Draw) -> Made:
    def turned(x, sign):
        half = x.shape[-1] // 2
        angle = np.outer(np.arange(x.shape[-2]), 10_000.0 ** (-np.arange(half) / half))
        pairs = (x[..., 0::2] + 1j * x[..., 1::2]) * np.exp(1j * sign * angle)
        return np.stack([pairs.real, pairs.imag], -1).reshape(x.shape).astype(x.dtype)

    def backward(d, cache):
        return turned(d, -1)

    return (lambda x: (turned(x, 1), None), backward), (r.normal(r.m, 2, r.t, 6),), "rope", {}


@style("attention")
def rotary_of_a_part_from_an_offset(r: Draw) -> Made:
    def turned(x, sign):
        angle = np.outer(3 + np.arange(x.shape[1]), 500.0 ** (-np.arange(2) / 2))
        c, s = np.cos(angle)[:, None], sign * np.sin(angle)[:, None]
        a, b = x[..., :2], x[..., 2:4]
        return np.concatenate([a * c - b * s, b * c + a * s, x[..., 4:]], -1).astype(x.dtype)

    options = {"base": 500, "offset": 3, "rotary_dim": 4}
    pair = (lambda x: (turned(x, 1), None), lambda d, cache: turned(d, -1))
    return pair, (r.normal(r.m, r.t, 3, 7),), "rotary", options


# -- gates
@style("gates")
def gelu_by_tanh(r: Draw) -> Made:
    c = np.sqrt(2 / np.pi)

    def forward(x):
        t = np.tanh(c * x * (1 + 0.044715 * x * x))
        return (0.5 * x * (1 + t)).astype(x.dtype), (x, t)

    def backward(d, cache):
        x, t = cache
        return (d * (0.5 + 0.5 * t + 0.5 * c * x * (1 - t * t) * (1 + 0.134145 * x * x))).astype(x.dtype)

    return (forward, backward), (r.normal(r.m, r.i),), "gelu_tanh", {}


@style("gates")
def swiglu_with_recomputation(r: Draw) -> Made:
    def backward(d, cache):
        g, x = cache
        s = sigma(g)
        return d * x * (s + g * s * (1 - s)), d * g * s

    return (
        (lambda g, x: (g * sigma(g) * x, (g, x)), backward),
        (r.normal(r.m, r.i), r.normal(r.m, r.i)),
        "swiglu",
        {},
    )


# -- normalisations
@style("norms", without=["one feature"])
def rms_norm_of_steps(r: Draw) -> Made:
    def forward(x, g):
        rate = (np.mean(x * x, -1, keepdims=True) + x.dtype.type(1e-6)) ** -0.5
        return x * rate * g, (x, g, rate)

    def backward(d, cache):
        x, g, rate = cache
        e = d * g
        dot = np.einsum("btc,btc->bt", e, x)[..., None] / x.shape[-1]
        return rate * e - rate**3 * x * dot, np.einsum("btc,btc->c", d, x * rate)

    return (forward, backward), (r.normal(r.m, r.t, r.i), r.normal(r.i)), cr.RMSNorm(epsilon=1e-6), {}


@style("norms", without=["one feature"])
def group_norm_channels_first(r: Draw) -> Made:
    def forward(x, g, b):
        y = x.reshape(x.shape[0], 2, -1)
        s = np.sqrt(y.var(-1, keepdims=True) + x.dtype.type(1e-5))
        u = ((y - y.mean(-1, keepdims=True)) / s).reshape(x.shape)
        return g[:, None, None] * u + b[:, None, None], (u, s, g)

    def backward(d, cache):
        u, s, g = cache
        e, v = (a.reshape(d.shape[0], 2, -1) for a in (d * g[:, None, None], u))
        inner = e - e.mean(-1, keepdims=True) - v * (e * v).mean(-1, keepdims=True)
        return (inner / s).reshape(d.shape), (d * u).sum((0, 2, 3)), d.sum((0, 2, 3))

    args = r.normal(r.m, 2 * r.c, r.t, r.v), r.normal(2 * r.c), r.normal(2 * r.c)
    return (forward, backward), args, "groupnorm", {"groups": 2}


# -- losses
@style("losses", without=["one feature"])
def cross_entropy_that_ignores_a_class(r: Draw) -> Made:
    def loss(z, y):
        kept = y != -100
        p = softmax(z)
        value = -np.log(p[kept, y[kept]]).sum() / kept.sum()
        p[kept, y[kept]] -= 1
        return value, (p * kept[:, None] / kept.sum()).astype(z.dtype)

    y = np.append(r.labels(r.m, r.o), [-100, 0])
    return loss, (r.normal(r.m + 2, r.o), y), "cross_entropy", {"ignore_index": -100}


@style("losses", without=["one feature"])
def cross_entropy_with_weights(r: Draw) -> Made:
    w = 0.5 + np.arange(r.o) / 2

    def loss(z, y):
        p, many = softmax(z), w[y].sum()
        value = -(w[y] * np.log(p[range(len(y)), y])).sum() / many
        p[range(len(y)), y] -= 1
        return value, (p * w[y][:, None] / many).astype(z.dtype)

    return loss, (r.normal(r.m, r.o), r.labels(r.m, r.o)), "cross_entropy", {"weight": w}


@style("losses", without=["one feature"])
def focal_loss_of_scores(r: Draw) -> Made:
    def loss(z, y):
        p = softmax(z)
        at = range(len(y)), y
        q = p[at]
        slope = 2 * (1 - q) * q * np.log(q) - (1 - q) ** 2
        d = -p
        d[at] += 1
        return -np.mean((1 - q) ** 2 * np.log(q)), (slope[:, None] * d / len(y)).astype(z.dtype)

    return loss, (r.normal(r.m, r.o), r.labels(r.m, r.o)), "focal", {"gamma": 2.0}


@style("losses", without=["one feature"])
def divergence_of_scores(r: Draw) -> Made:
    def loss(z, p):
        q = softmax(z)
        return (p * (np.log(p) - np.log(q))).sum() / len(z), ((q - p) / len(z)).astype(z.dtype), None

    return loss, (r.normal(r.m, r.o), softmax(r.normal(r.m, r.o))), "kl_div", {}


@style("losses")
def embedding_with_padding(r: Draw) -> Made:
    def forward(ids, E):
        return E[ids] * (ids != 0)[..., None].astype(E.dtype), (ids, E)

    def backward(d, cache):
        ids, E = cache
        made = np.zeros_like(E)
        np.add.at(made, ids, d)
        made[0] = 0
        return None, made

    return (
        (forward, backward),
        (r.labels((r.m, r.t), 7), r.normal(7, r.o)),
        cr.Embedding(7, r.o, padding=0),
        {},
    )
