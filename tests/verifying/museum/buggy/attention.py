"""Attention of Q, K, V, as a layer with its projections, and with the log-sum-exp that flash kernels keep."""

from __future__ import annotations

import numpy as np
from tests.verifying.museum.case import Cases, Made, normal

CASES = Cases(__name__)
bug = CASES.bug
QKV = normal(81, (2, 5, 3), (2, 5, 3), (2, 5, 3))
CROSS = normal(82, (2, 4, 3), (2, 6, 3), (2, 6, 2))


def softmax(s):
    e = np.exp(s - s.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def attend(causal=False):
    def forward(q, k, v):
        s = q @ k.swapaxes(1, 2) / np.sqrt(q.shape[-1])
        if causal:
            s = np.where(np.tri(*s.shape[1:], dtype=bool), s, -np.inf)
        a = softmax(s)
        return a @ v, (q, k, v, a)

    return forward


def attend_back(scores=None, scale=None, dk=None, dv=None, dq=None):
    def backward(dout, cache):
        q, k, v, a = cache
        da = dout @ v.swapaxes(1, 2)
        ds = a * (da - (a * da).sum(-1, keepdims=True)) if scores is None else scores(a, da)
        ds = ds / np.sqrt(q.shape[-1]) if scale is None else ds * scale(q)
        of_q = ds @ k if dq is None else dq(ds, q, k)
        of_k = ds.swapaxes(1, 2) @ q if dk is None else dk(ds, q, k)
        return of_q, of_k, a.swapaxes(1, 2) @ dout if dv is None else dv(a, dout, ds)

    return backward


@bug(
    "ooples/AiDotNet.Tensors#49", "1/√d is missing", "attention", ("divide only", "ratio only", "scale", "√")
)
def scale_missing() -> Made:
    return (attend(), attend_back(scale=lambda q: 1)), CROSS


@bug("course: attention", "1/d in place of 1/√d", "attention", ("sqrt only", "power only", "√", "root again"))
def scale_without_root() -> Made:
    return (attend(), attend_back(scale=lambda q: 1 / q.shape[-1])), CROSS


@bug(
    "course: attention",
    "the diagonal of softmax' Jacobian alone",
    "attention",
    ("sum_features only", "diagonal"),
)
def softmax_diagonal() -> Made:
    return (attend(), attend_back(scores=lambda a, da: a * (1 - a) * da)), CROSS


@bug("Dao-AILab/flash-attention#2555", "the sum runs over the queries", "attention", ("across steps",))
def sum_over_queries() -> Made:
    return (attend(), attend_back(scores=lambda a, da: a * (da - (a * da).sum(1, keepdims=True)))), CROSS


@bug("HKUSTDial/flash-sparse-attention#109", "p dp without the subtraction", "attention", "subtract only")
def row_sum_missing() -> Made:
    return (attend(), attend_back(scores=lambda a, da: a * da)), CROSS


@bug(
    "Dao-AILab/flash-attention#373",
    "dK = dS Q in place of dSᵀ Q",
    "attention",
    ("transpose", "turned", "swap"),
)
def key_gradient_not_transposed() -> Made:
    return (attend(), attend_back(dk=lambda ds, q, k: ds @ q)), QKV


@bug("course: attention", "dV = A dO in place of Aᵀ dO", "attention", ("transpose", "turned", "swap"))
def value_gradient_not_transposed() -> Made:
    return (attend(), attend_back(dv=lambda a, dout, ds: a @ dout)), QKV


@bug("ooples/AiDotNet.Tensors#49", "dQ of Q in place of K", "attention", ("symbol", "exchanged", "another"))
def query_gradient_of_queries() -> Made:
    return (attend(), attend_back(dq=lambda ds, q, k: ds @ q)), QKV


@bug("fla-org/flash-linear-attention#6", "dV of dS in place of A", "attention", ("symbol", "another"))
def value_gradient_of_scores() -> Made:
    return (attend(), attend_back(dv=lambda a, dout, ds: ds.swapaxes(1, 2) @ dout)), CROSS


@bug("course: attention", "dK and dV are exchanged", "attention", ("exchanged", "another"))
def key_and_value_exchanged() -> Made:
    def backward(dout, cache):
        dq, dk, dv = attend_back()(dout, cache)
        return dq, dv, dk

    return (attend(), backward), QKV


@bug(
    "paiml/entrenar#310",
    "the causal mask is in the forward alone",
    "attention",
    ("mask", "where", "causal"),
    causal=True,
)
def mask_in_the_forward_alone() -> Made:
    def backward(dout, cache):
        q, k, v, _ = cache
        a = softmax(q @ k.swapaxes(1, 2) / np.sqrt(q.shape[-1]))
        return attend_back()(dout, (q, k, v, a))

    return (attend(True), backward), QKV


@bug(
    "course: causal attention",
    "the mask of the upper triangle in backward",
    "attention",
    ("masked",),
    causal=True,
)
def mask_of_the_other_triangle() -> Made:
    def backward(dout, cache):
        keep = np.triu(np.ones(cache[3].shape[1:]))
        return attend_back(scores=lambda a, da: keep * a * (da - (a * da).sum(-1, keepdims=True)))(
            dout, cache
        )

    return (attend(True), backward), QKV


# flash kernels keep out and the log-sum-exp L, recompute A = exp(S - L), and D = Σ dO ⊙ O for the row sums
def flash(q, k, v):
    s = q @ k.swapaxes(1, 2) / np.sqrt(q.shape[-1])
    top = s.max(-1, keepdims=True)
    lse = top + np.log(np.exp(s - top).sum(-1, keepdims=True))
    out = np.exp(s - lse) @ v
    return out, (q, k, v, out, lse)


def flash_back(row=None, scaled=True):
    def backward(dout, cache):
        q, k, v, out, lse = cache
        root = np.sqrt(q.shape[-1])
        a = np.exp(q @ k.swapaxes(1, 2) / (root if scaled else 1) - lse)
        sums = (dout * out).sum(-1, keepdims=True) if row is None else row(dout, out)
        ds = a * (dout @ v.swapaxes(1, 2) - sums) / root
        return ds @ k, ds.swapaxes(1, 2) @ q, a.swapaxes(1, 2) @ dout

    return backward


@bug("Dao-AILab/flash-attention#2555", "D is summed over the samples' rows", "attention", ("of steps",))
def flash_row_sum_over_steps() -> Made:
    return (flash, flash_back(row=lambda d, o: (d * o).sum(1, keepdims=True).mean(-1, keepdims=True))), CROSS


@bug("course: flash attention", "D of O alone, without dO", "attention", ("unit", "multiply only"))
def flash_row_sum_of_output() -> Made:
    return (flash, flash_back(row=lambda d, o: o.sum(-1, keepdims=True))), CROSS


@bug(
    "triton-lang/triton#4174",
    "S is recomputed without the scale",
    "attention",
    ("divide", "scale", "ratio", "√"),
)
def flash_recomputed_without_scale() -> Made:
    return (flash, flash_back(scaled=False)), CROSS


PROJECTED = normal(83, (2, 5, 4), (4, 4), (4, 4), (4, 4), (4, 4))
WIDE = normal(84, (2, 5, 6), (6, 6), (6, 6), (6, 6), (6, 6))
HEADS = {"heads": 2, "bias": False}


def split(x):
    return x.reshape(*x.shape[:2], 2, -1).swapaxes(1, 2)


def join(x):
    return x.swapaxes(1, 2).reshape(x.shape[0], x.shape[2], -1)


def heads(x, Wq, Wk, Wv, Wo):
    q, k, v = split(x @ Wq), split(x @ Wk), split(x @ Wv)
    a = softmax(q @ k.swapaxes(2, 3) / np.sqrt(q.shape[-1]))
    o = join(a @ v)
    return o @ Wo, (x, Wq, Wk, Wv, Wo, q, k, v, a, o)


def heads_back(width=None, dx=None, joined=join, source=None):
    def outer(x, d):
        return np.einsum("nti,nto->io", x, d)

    def backward(dout, cache):
        x, Wq, Wk, Wv, Wo, q, k, v, a, o = cache
        do = split(dout @ Wo.T)
        da = do @ v.swapaxes(2, 3)
        ds = a * (da - (a * da).sum(-1, keepdims=True)) / np.sqrt(width or q.shape[-1])
        dq, dk, dv = joined(ds @ k), joined(ds.swapaxes(2, 3) @ q), joined(a.swapaxes(2, 3) @ do)
        below = dq @ Wq.T + dk @ Wk.T + dv @ Wv.T if dx is None else dx(dq, dk, dv, Wq, Wk, Wv)
        return below, outer(x, dq), outer(x, dk), outer(x, dv), outer(source(cache) if source else o, dout)

    return backward


@bug(
    "course: multi-head attention",
    "√ of all features in place of a head's",
    "multiheadattention",
    ("counted",),
    **HEADS,
)
def scale_of_all_features() -> Made:
    return (heads, heads_back(width=6)), WIDE


@bug(
    "paiml/aprender#2203",
    "the way through the keys is missing in ∂x",
    "multiheadattention",
    "add only",
    **HEADS,
)
def keys_missing_below() -> Made:
    return (heads, heads_back(dx=lambda q, k, v, Wq, Wk, Wv: q @ Wq.T + v @ Wv.T)), PROJECTED


@bug(
    "course: multi-head attention",
    "heads are joined without exchanging the axes back",
    "multiheadattention",
    ("unmoved",),
    **HEADS,
)
def heads_joined_by_reshape() -> Made:
    def reshaped(x):
        return x.reshape(x.shape[0], x.shape[2], -1)

    return (heads, heads_back(joined=reshaped)), PROJECTED


@bug(
    "course: multi-head attention",
    "∂W_o of x in place of the heads' output",
    "multiheadattention",
    "symbol",
    **HEADS,
)
def output_weights_of_the_input() -> Made:
    return (heads, heads_back(source=lambda cache: cache[0])), PROJECTED
