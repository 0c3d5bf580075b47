"""RNN, LSTM and GRU through time; x (samples, steps, features) as CS231n has it, W (features, units)."""

from __future__ import annotations

import numpy as np
from tests.verifying.museum.case import Cases, Made, normal

CASES = Cases(__name__)
bug = CASES.bug
RNN_ARGS = normal(71, (3, 5, 2), (2, 4), (4, 4), (4,))
ALL = {"outputs": "all"}


def rnn(x, Wx, Wh, b):
    h, states = np.zeros((len(x), len(b))), []
    for t in range(x.shape[1]):
        h = np.tanh(x[:, t] @ Wx + h @ Wh + b)
        states.append(h)
    return np.stack(states, 1), (x, Wx, Wh, np.stack(states, 1))


def rnn_back(last=0, carry=True, same_h=False, derive=True, average=False, transpose=True, add=True):
    """Backward through time; every argument is one thing that people do otherwise."""

    def backward(dout, cache):
        x, Wx, Wh, h = cache
        dx, dWx, dWh, db = np.zeros_like(x), np.zeros_like(Wx), np.zeros_like(Wh), np.zeros(len(Wh))
        below, steps = 0, x.shape[1]
        for t in range(steps - 1, last - 1, -1):
            before = h[:, t] if same_h else h[:, t - 1] if t else np.zeros_like(h[:, 0])
            dh = dout[:, t] + below
            dz = dh * (1 - h[:, t] ** 2) if derive else dh
            shares = x[:, t].T @ dz, before.T @ dz, dz.sum(0)
            if not add:
                dWx, dWh, db = 0 * dWx, 0 * dWh, 0 * db
            dWx, dWh, db = dWx + shares[0], dWh + shares[1], db + shares[2]
            dx[:, t] = dz @ Wx.T
            below = (dz @ Wh.T if transpose else dz @ Wh) if carry else 0
        count = steps if average else 1
        return dx, dWx / count, dWh / count, db / count

    return backward


@bug(
    "datascience.stackexchange 30850",
    "the gradients are averaged over the steps",
    "rnn",
    ("1/T", "average", "mean"),
    **ALL,
)
def averaged_over_time() -> Made:
    return (rnn, rnn_back(average=True)), RNN_ARGS


@bug("course: bptt", "δ is not handed to the step before", "rnn", ("carry", "step", "add only"), **ALL)
def no_carry() -> Made:
    return (rnn, rnn_back(carry=False)), RNN_ARGS


@bug("course: range(T - 1, 0, -1)", "the first step is left out", "rnn", ("step", "first"), **ALL)
def first_step_dropped() -> Made:
    return (rnn, rnn_back(last=1)), RNN_ARGS


@bug("course: bptt", "h_t in place of h_{t-1} in ∂U", "rnn", ("symbol", "h"), **ALL)
def state_after_for_before() -> Made:
    return (rnn, rnn_back(same_h=True)), RNN_ARGS


@bug("course: bptt", "tanh' is left out", "rnn", "multiply only", **ALL)
def derivative_left_out() -> Made:
    return (rnn, rnn_back(derive=False)), RNN_ARGS


@bug("course: bptt", "U where Uᵀ must be", "rnn", ("transpose", "turned", "swapped"), **ALL)
def recurrent_weights_not_transposed() -> Made:
    return (rnn, rnn_back(transpose=False)), RNN_ARGS


@bug("course: bptt", "= for += over the steps", "rnn", ("overwritten", "first", "step"), **ALL)
def parameters_assigned() -> Made:
    return (rnn, rnn_back(add=False)), RNN_ARGS


@bug("course: only the last output is read", "δ of the last step alone", "rnn", ("last", "step"), **ALL)
def last_delta_only() -> Made:
    def backward(dout, cache):
        kept = np.zeros_like(dout)
        kept[:, -1] = dout[:, -1]
        return rnn_back()(kept, cache)

    return (rnn, backward), RNN_ARGS


@bug("course: truncated too far", "one step of carry alone", "rnn", ("walk short",), **ALL)
def one_step_of_carry() -> Made:
    def backward(dout, cache):
        x, Wx, Wh, h = cache
        slope, zero = 1 - h**2, np.zeros_like(h[:, :1])
        near = dout * slope
        later = np.concatenate([near[:, 1:] @ Wh.T, zero], 1)
        dz = (dout + later) * slope
        before = np.concatenate([zero, h[:, :-1]], 1)
        dWh = np.einsum("nti,nto->io", before, dz)
        return dz @ Wx.T, np.einsum("nti,nto->io", x, dz), dWh, dz.sum((0, 1))

    return (rnn, backward), RNN_ARGS


def sigma(x):
    return 1 / (1 + np.exp(-x))


LSTM_ARGS = normal(72, (3, 4, 2), (2, 12), (3, 12), (12,))


def lstm(x, Wx, Wh, b):
    n, steps, _ = x.shape
    h = c = np.zeros((n, len(Wh)))
    out, kept = [], []
    for t in range(steps):
        before, held = h, c
        zi, zf, zg, zo = np.split(x[:, t] @ Wx + h @ Wh + b, 4, axis=1)
        i, f, g, o = sigma(zi), sigma(zf), np.tanh(zg), sigma(zo)
        c = f * c + i * g
        h = o * np.tanh(c)
        out.append(h)
        kept.append((i, f, g, o, c, held, before))
    return np.stack(out, 1), (x, Wx, Wh, kept)


def lstm_back(**wrong):
    """wrong: by the name of a quantity a function of (right value, everything known) in place of it."""

    def put(name, value, known):
        return wrong[name](value, known) if name in wrong else value

    def backward(dout, cache):
        x, Wx, Wh, kept = cache
        dx, dWx, dWh, db, dh_next, dc_next = np.zeros_like(x), 0, 0, 0, 0, 0
        for t in range(x.shape[1] - 1, -1, -1):
            i, f, g, o, c, held, before = kept[t]
            dh = dout[:, t] + dh_next
            known = {"i": i, "f": f, "g": g, "o": o, "c": c, "held": held, "dh": dh, "dc_next": dc_next}
            dc = known["dc"] = put("dc", dc_next + dh * o * (1 - np.tanh(c) ** 2), known)
            do = put("do", dh * np.tanh(c) * o * (1 - o), known)
            df = put("df", dc * held * f * (1 - f), known)
            gates = put("gates", [dc * g * i * (1 - i), df, put("dg", dc * i * (1 - g**2), known), do], known)
            dz = np.concatenate(gates, 1)
            dx[:, t], dh_next = dz @ Wx.T, dz @ Wh.T
            dc_next = put("dc_next", dc * f, known)
            dWx, dWh, db = dWx + x[:, t].T @ dz, dWh + before.T @ dz, db + dz.sum(0)
        return dx, dWx, dWh, db

    return backward


@bug(
    "cthorey/CS231#1, mxnet#4057",
    "= for += in ∂c: what comes from step t + 1 is lost",
    "lstm",
    ("add only", "carry", "c"),
    **ALL,
)
def cell_carry_lost() -> Made:
    return (lstm, lstm_back(dc=lambda dc, k: dc - k["dc_next"])), LSTM_ARGS


@bug("CaptainE/RNN-LSTM-in-numpy#1", "∂c is never handed on", "lstm", ("carry", "add only", "c"), **ALL)
def cell_never_handed_on() -> Made:
    return (lstm, lstm_back(dc_next=lambda dc, k: 0 * dc)), LSTM_ARGS


@bug("CaptainE/RNN-LSTM-in-numpy#1", "σ for σ' in the forget gate", "lstm", "multiply only", **ALL)
def forget_gate_not_derived() -> Made:
    return (lstm, lstm_back(df=lambda df, k: k["dc"] * k["held"] * k["f"])), LSTM_ARGS


@bug("course: lstm", "∂c is handed on without f", "lstm", ("multiply only", "carry"), **ALL)
def cell_handed_on_without_forgetting() -> Made:
    return (lstm, lstm_back(dc_next=lambda dc, k: k["dc"])), LSTM_ARGS


@bug(
    "community.deeplearning.ai 67533",
    "c_t in place of c_{t-1} in the forget gate",
    "lstm",
    ("symbol", "c"),
    **ALL,
)
def cell_after_for_before() -> Made:
    return (lstm, lstm_back(df=lambda df, k: k["dc"] * k["c"] * k["f"] * (1 - k["f"]))), LSTM_ARGS


@bug("hanbt/learn_dl#53", "the gradients of i and o are those of f", "lstm", ("gate", "symbol"), **ALL)
def gates_take_the_wrong_list() -> Made:
    return (lstm, lstm_back(gates=lambda d, k: [d[1], d[1], d[2], d[1]])), LSTM_ARGS


@bug("course: lstm", "i and f are exchanged", "lstm", ("gate", "exchanged"), **ALL)
def gates_exchanged() -> Made:
    return (lstm, lstm_back(gates=lambda d, k: [d[1], d[0], d[2], d[3]])), LSTM_ARGS


@bug("jinzishuai/learn2deeplearn#44", "tanh' of the candidate: 1 - g", "lstm", ("power only",), **ALL)
def candidate_not_squared() -> Made:
    return (lstm, lstm_back(dg=lambda dg, k: k["dc"] * k["i"] * (1 - k["g"]))), LSTM_ARGS


@bug("lhnguyen102/cuTAGI#77", "tanh' is missing on the way from h to c", "lstm", ("multiply only",), **ALL)
def tanh_of_cell_not_derived() -> Made:
    return (lstm, lstm_back(dc=lambda dc, k: k["dc_next"] + k["dh"] * k["o"])), LSTM_ARGS


@bug("course: lstm", "the output gate reads c in place of tanh c", "lstm", ("tanh only", "symbol"), **ALL)
def output_gate_of_the_cell() -> Made:
    return (lstm, lstm_back(do=lambda do, k: k["dh"] * k["c"] * k["o"] * (1 - k["o"]))), LSTM_ARGS


GRU_ARGS = normal(73, (3, 4, 2), (2, 9), (3, 9), (9,), (3,))


def gru(x, Wx, Wh, b, v):
    """PyTorch's: r, u, n; the reset stands behind Wh."""
    h, out, kept = np.zeros((len(x), len(Wh))), [], []
    for t in range(x.shape[1]):
        before = h
        (pr, pu, pn), (qr, qu, qn) = np.split(x[:, t] @ Wx + b, 3, 1), np.split(h @ Wh, 3, 1)
        r, u, s = sigma(pr + qr), sigma(pu + qu), qn + v
        n = np.tanh(pn + r * s)
        h = u * h + (1 - u) * n
        out.append(h)
        kept.append((r, u, s, n, before))
    return np.stack(out, 1), (x, Wx, Wh, kept)


def gru_back(du=None, dr=None, past=None, ds=None):
    def backward(dout, cache):
        x, Wx, Wh, kept = cache
        dx, dWx, dWh, db, dv, below = np.zeros_like(x), 0, 0, 0, 0, 0
        for t in range(x.shape[1] - 1, -1, -1):
            r, u, s, n, before = kept[t]
            dh = dout[:, t] + below
            dn = dh * (1 - u) * (1 - n**2)
            of_u = dh * (before - n) * u * (1 - u) if du is None else du(dh, before, n, u)
            of_r = dn * s * r * (1 - r) if dr is None else dr(dn, s, r)
            of_s = dn * r if ds is None else ds(dn, r)
            dp, dq = np.concatenate([of_r, of_u, dn], 1), np.concatenate([of_r, of_u, of_s], 1)
            dx[:, t], below = dp @ Wx.T, dq @ Wh.T + (dh * u if past is None else past(dh, u))
            dWx, dWh, db, dv = dWx + x[:, t].T @ dp, dWh + before.T @ dq, db + dp.sum(0), dv + of_s.sum(0)
        return dx, dWx, dWh, db, dv

    return backward


@bug(
    "keras-team/keras#14649",
    "u and 1 - u are exchanged in backward",
    "gru",
    ("complement",),
    **ALL,
)
def update_gate_the_other_way() -> Made:
    return (gru, gru_back(past=lambda dh, u: dh * (1 - u))), GRU_ARGS


@bug("course: gru", "the direct way to h_{t-1} is missing", "gru", ("add only", "carry"), **ALL)
def direct_way_missing() -> Made:
    return (gru, gru_back(past=lambda dh, u: 0 * dh)), GRU_ARGS


@bug("course: gru", "the update gate sees n alone: -n for h - n", "gru", ("subtract", "only"), **ALL)
def update_gate_without_state() -> Made:
    return (gru, gru_back(du=lambda dh, h, n, u: -dh * n * u * (1 - u))), GRU_ARGS


@bug("ooples/AiDotNet#722", "the reset is left out on the way to h", "gru", ("multiply only",), **ALL)
def reset_left_out() -> Made:
    return (gru, gru_back(ds=lambda dn, r: dn)), GRU_ARGS


@bug("course: gru", "the sign of the update gate", "gru", ("swapped", "sign", "minus"), **ALL)
def update_gate_sign() -> Made:
    return (gru, gru_back(du=lambda dh, h, n, u: dh * (n - h) * u * (1 - u))), GRU_ARGS
