"""Recurrences and attention in many hands."""

from __future__ import annotations

import numpy as np
from tests.verifying.museum.right.style import Draw, Made, Styles

STYLES = Styles()
style = STYLES.style


def zeros(*arrays):
    return [np.zeros_like(a) for a in arrays]


@style("recurrent")
def rnn_of_samples_first(r: Draw) -> Made:
    def forward(x, Wx, Wh, b):
        h, out = np.zeros((len(x), len(Wh)), x.dtype), []
        for t in range(x.shape[1]):
            h = np.tanh(x[:, t] @ Wx + h @ Wh + b)
            out.append(h)
        return np.stack(out, 1), (x, Wx, Wh, b, out)

    def backward(dout, cache):
        x, Wx, Wh, b, out = cache
        dx, dWx, dWh, db = zeros(x, Wx, Wh, b)
        dh = np.zeros_like(out[0])
        for t in range(len(out) - 1, -1, -1):
            dz = (dout[:, t] + dh) * (1 - out[t] ** 2)
            dx[:, t], dh = dz @ Wx.T, dz @ Wh.T
            dWx += x[:, t].T @ dz
            dWh += (out[t - 1] if t else 0 * out[0]).T @ dz
            db += dz.sum(0)
        return dx, dWx, dWh, db

    args = r.normal(r.m, r.t, r.i), r.normal(r.i, r.o), r.normal(r.o, r.o), r.normal(r.o)
    return (forward, backward), args, "rnn", {"outputs": "all"}


@style("recurrent")
def rnn_of_steps_first_last_state(r: Draw) -> Made:
    def forward(x, W, U, b):
        hs = [np.zeros((x.shape[1], len(U)), x.dtype)]
        for step in x:
            hs.append(np.tanh(step @ W.T + hs[-1] @ U.T + b))
        return hs[-1], (x, W, U, b, hs)

    def backward(dh, cache):
        x, W, U, b, hs = cache
        dx, dW, dU, db = zeros(x, W, U, b)
        for t in range(len(x))[::-1]:
            dz = dh * (1 - hs[t + 1] ** 2)
            dx[t] = dz @ W
            dW += dz.T @ x[t]
            dU += dz.T @ hs[t]
            db += dz.sum(0)
            dh = dz @ U
        return dx, dW, dU, db

    args = r.normal(r.t, r.m, r.i), r.normal(r.o, r.i), r.normal(r.o, r.o), r.normal(r.o)
    return (forward, backward), args, "rnn", {"outputs": "last"}


def sigma(x):
    return 1 / (1 + np.exp(-x))


@style("recurrent")
def lstm_of_samples_first(r: Draw) -> Made:
    def forward(x, Wx, Wh, b):
        h = c = np.zeros((len(x), len(Wh)), x.dtype)
        tape = []
        for t in range(x.shape[1]):
            i, f, g, o = np.split(x[:, t] @ Wx + h @ Wh + b, 4, 1)
            i, f, g, o = sigma(i), sigma(f), np.tanh(g), sigma(o)
            tape.append((i, f, g, o, c, h))
            c = f * c + i * g
            h = o * np.tanh(c)
        out = [step[5] for step in tape[1:]] + [h]
        return np.stack(out, 1), (x, Wx, Wh, b, tape)

    def backward(dout, cache):
        x, Wx, Wh, b, tape = cache
        dx, dWx, dWh, db = zeros(x, Wx, Wh, b)
        dh, dc = zeros(tape[0][4], tape[0][4])
        for t in reversed(range(len(tape))):
            i, f, g, o, c, h = tape[t]
            squashed = np.tanh(f * c + i * g)
            dh = dh + dout[:, t]
            dc = dc + dh * o * (1 - squashed**2)
            parts = (
                dc * g * i * (1 - i),
                dc * c * f * (1 - f),
                dc * i * (1 - g**2),
                dh * squashed * o * (1 - o),
            )
            dz = np.hstack(parts)
            dx[:, t], dh, dc = dz @ Wx.T, dz @ Wh.T, dc * f
            dWx += x[:, t].T @ dz
            dWh += h.T @ dz
            db += dz.sum(0)
        return dx, dWx, dWh, db

    h = min(r.o, 3)
    args = r.normal(r.m, r.t, r.i), r.normal(r.i, 4 * h), r.normal(h, 4 * h), r.normal(4 * h)
    return (forward, backward), args, "lstm", {"outputs": "all"}


@style("recurrent")
def gru_of_samples_first(r: Draw) -> Made:
    def forward(x, Wx, Wh, b, v):
        h, tape = np.zeros((len(x), len(Wh)), x.dtype), []
        for t in range(x.shape[1]):
            (pr, pu, pn), (qr, qu, qn) = np.split(x[:, t] @ Wx + b, 3, 1), np.split(h @ Wh, 3, 1)
            reset, u, s = sigma(pr + qr), sigma(pu + qu), qn + v
            n = np.tanh(pn + reset * s)
            tape.append((reset, u, s, n, h))
            h = (1 - u) * n + u * h
        return h, (x, Wx, Wh, b, v, tape)

    def backward(dh, cache):
        x, Wx, Wh, b, v, tape = cache
        dx, dWx, dWh, db, dv = zeros(x, Wx, Wh, b, v)
        for t in reversed(range(len(tape))):
            reset, u, s, n, h = tape[t]
            dn = dh * (1 - u) * (1 - n**2)
            dr, du = dn * s * reset * (1 - reset), dh * (h - n) * u * (1 - u)
            dp, dq = np.hstack([dr, du, dn]), np.hstack([dr, du, dn * reset])
            dx[:, t], dh = dp @ Wx.T, dq @ Wh.T + dh * u
            dWx += x[:, t].T @ dp
            dWh += h.T @ dq
            db += dp.sum(0)
            dv += (dn * reset).sum(0)
        return dx, dWx, dWh, db, dv

    h = min(r.o, 3)
    args = r.normal(r.m, r.t, r.i), r.normal(r.i, 3 * h), r.normal(h, 3 * h), r.normal(3 * h), r.normal(h)
    return (forward, backward), args, "gru", {"outputs": "last"}


def softmax(s):
    e = np.exp(s - s.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def attend(q, k, v, keep=None):
    s = q @ k.swapaxes(-1, -2) / q.dtype.type(np.sqrt(q.shape[-1]))
    a = softmax(s if keep is None else np.where(keep, s, -np.inf))
    return a @ v, (q, k, v, a)


def attend_back(d, cache):
    q, k, v, a = cache
    da = d @ v.swapaxes(-1, -2)
    ds = a * (da - (a * da).sum(-1, keepdims=True)) / q.dtype.type(np.sqrt(q.shape[-1]))
    return ds @ k, ds.swapaxes(-1, -2) @ q, a.swapaxes(-1, -2) @ d


def qkv(r: Draw):
    return r.normal(r.m, r.t, r.i), r.normal(r.m, r.t + 1, r.i), r.normal(r.m, r.t + 1, r.o)


@style("attention")
def attention_of_three_arguments(r: Draw) -> Made:
    return (attend, attend_back), qkv(r), "attention", {}


@style("attention")
def attention_with_log_sum_exp(r: Draw) -> Made:
    def forward(q, k, v):
        scale = q.dtype.type(q.shape[-1] ** -0.5)
        s = np.einsum("btd,bsd->bts", q, k) * scale
        lse = np.log(np.exp(s - s.max(2, keepdims=True)).sum(2, keepdims=True)) + s.max(2, keepdims=True)
        out = np.exp(s - lse) @ v
        return out, (q, k, v, out, lse, scale)

    def backward(do, cache):
        q, k, v, out, lse, scale = cache
        p = np.exp(np.einsum("btd,bsd->bts", q, k) * scale - lse)
        rows = np.sum(do * out, axis=-1, keepdims=True)
        ds = p * (np.einsum("btd,bsd->bts", do, v) - rows) * scale
        return (
            np.einsum("bts,bsd->btd", ds, k),
            np.einsum("bts,btd->bsd", ds, q),
            np.einsum("bts,btd->bsd", p, do),
        )

    return (forward, backward), qkv(r), "attention", {}


@style("attention")
def attention_causal(r: Draw) -> Made:
    def forward(q, k, v):
        return attend(q, k, v, np.tri(q.shape[1], dtype=bool))

    args = r.normal(r.m, r.t, r.i), r.normal(r.m, r.t, r.i), r.normal(r.m, r.t, r.o)
    return (forward, attend_back), args, "attention", {"causal": True}


@style("attention")
def attention_of_one_sequence(r: Draw) -> Made:
    return (
        (attend, attend_back),
        (r.normal(r.t, r.i), r.normal(r.t + 2, r.i), r.normal(r.t + 2, r.o)),
        "attention",
        {},
    )


@style("attention", without=["one feature"])
def heads_with_projections(r: Draw) -> Made:
    def split(x):
        return x.reshape(*x.shape[:2], 2, -1).swapaxes(1, 2)

    def join(x):
        return x.swapaxes(1, 2).reshape(x.shape[0], x.shape[2], -1)

    def forward(x, Wq, Wk, Wv, Wo):
        o, cache = attend(split(x @ Wq), split(x @ Wk), split(x @ Wv))
        return join(o) @ Wo, (x, Wq, Wk, Wv, Wo, join(o), cache)

    def backward(d, saved):
        x, Wq, Wk, Wv, Wo, o, cache = saved
        dq, dk, dv = (join(part) for part in attend_back(split(d @ Wo.T), cache))

        def outer(a, b):
            return np.einsum("nti,nto->io", a, b)

        return dq @ Wq.T + dk @ Wk.T + dv @ Wv.T, outer(x, dq), outer(x, dk), outer(x, dv), outer(o, d)

    args = r.normal(r.m, r.t, 4), *(r.normal(4, 4) for _ in range(4))
    return (forward, backward), args, "multiheadattention", {"heads": 2, "bias": False}
