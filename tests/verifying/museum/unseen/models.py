"""The examiner's losses, sequences and networks."""

from __future__ import annotations

import numpy as np
from tests.verifying.museum.case import Cases, Made, normal
from tests.verifying.museum.meant import network

import chainrule as cr
from chainrule.losses.penalties import L2

CASES = Cases(__name__)
seen = CASES.seen


@seen("the loss is a mean, its gradient that of the sum", "cross_entropy", ("1/m", "multiplied by m"))
def loop_cross_entropy_float32() -> Made:
    def criterion(logits, target):
        grad, loss = np.zeros_like(logits), 0.0
        for row, t, g in zip(logits, target, grad, strict=True):
            e = np.exp(row - row.max())
            g[:] = e / e.sum()
            loss -= np.log(g[t])
            g[t] -= 1
        return loss / len(target), grad

    return criterion, (normal(131, (7, 4))[0].astype(np.float32), np.array([0, 1, 2, 3, 3, 1, 0]))


@seen("y - σ(z): the opposite sign", "bce_with_logits", ("sign", "opposite", "minus"))
def logits_sum_sign() -> Made:
    def loss(z, y):
        return np.logaddexp(0, z).sum() - (z * y).sum(), y - 1 / (1 + np.exp(-z))

    return loss, (normal(132, (5, 1))[0], np.array([[1.0], [0], [0], [1], [1]]))


@seen("divided by the number of outputs, it must be the number of samples", "mse", ("m", "n", "factor"))
def squares_of_columns() -> Made:
    def loss(A, Y):
        features, m = A.shape
        return np.sum((A - Y) ** 2) / (2 * m), (A - Y) / features

    return loss, normal(133, (3, 8), (3, 8))


@seen("the square's 2 is missing", "squared_hinge", ("1/2", "factor 2", "2"))
def squared_hinge_without_two() -> Made:
    def loss(s, y):
        gap = np.maximum(0, 1 - y * s)
        return np.mean(gap**2), -y * gap / s.size

    return loss, (normal(134, (6,))[0], np.array([1.0, -1, -1, 1, 1, -1]))


@seen("sign(y - a) for sign(a - y)", "mae", ("sign", "opposite"))
def absolute_error_sign() -> Made:
    return (lambda a, y: (np.abs(y - a).mean(), np.sign(y - a) / a.size)), normal(135, (5, 2), (5, 2))


@seen("the penalty's gradient is twice as large as it must be",
      network(cr.Dense(3, bias=False), cr.Softmax(), inputs=4),
      ("penalty", "λ"), loss="cross_entropy", penalty=L2(0.25))  # fmt: skip
def softmax_classifier_penalty() -> Made:
    def loss(W, X, y, reg=0.25):
        scores = X @ W
        p = np.exp(scores - scores.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        value = -np.log(p[np.arange(len(y)), y]).mean() + 0.5 * reg * np.sum(W**2)
        p[np.arange(len(y)), y] -= 1
        return value, X.T @ p / len(y) + 2 * reg * W

    return loss, (*normal(136, (4, 3), (6, 4)), np.array([0, 1, 2, 2, 1, 0]))


@seen("the penalty reaches the intercept, too", network(cr.Dense(1), inputs=3), ("bias", "b", "penal"),
      loss="mse", penalty=L2(0.4))  # fmt: skip
def ridge_intercept() -> Made:
    def objective(w, b, X, y):
        e = X @ w + b - y
        value = 0.5 * np.mean(e**2) + 0.2 * np.sum(w**2)
        return value, {"w": X.T @ e / len(X) + 0.4 * w, "b": e.mean(0) + 0.4 * b}

    return objective, normal(137, (3, 1), (1,), (7, 3), (7, 1))


@seen("ids that repeat in the batch count once", "embedding", ("overwrit", "+=", "twice", "first", "repeat"))
def unique_ids_only() -> Made:
    def forward(ids, table):
        return np.take(table, ids, axis=0), (ids, table.shape)

    def backward(grad, cache):
        ids, shape = cache
        dtable = np.zeros(shape)
        known, where = np.unique(ids, return_index=True)
        dtable[known] = grad.reshape(-1, shape[1])[where]
        return None, dtable

    return (forward, backward), (np.array([[2, 0, 2], [3, 3, 1]]), normal(138, (5, 4))[0])


@seen("1/(1 - p) is applied twice", "dropout", ("1 - p", "divi", "factor", "scale", "0.75"), p=0.25)
def dropout_scaled_twice() -> Made:
    def forward(x, keep):
        scale = keep / 0.75
        return x * scale, scale

    keep = (np.random.default_rng(8).random((4, 5)) > 0.25).astype(float)
    return (forward, lambda grad, scale: grad * scale / 0.75), (normal(139, (4, 5))[0], keep)


@seen("the last step is left out of the recurrent weights' gradient", "rnn", ("step",), outputs="last")
def time_major_many_to_one() -> Made:
    def forward(x, W, U, b):  # x (T, N, D), W (H, D), U (H, H)
        hs = [np.zeros((x.shape[1], len(U)))]
        for step in x:
            hs.append(np.tanh(step @ W.T + hs[-1] @ U.T + b))
        return hs[-1], (x, W, U, hs)

    def backward(dh, cache):
        x, W, U, hs = cache
        dx, dW, dU, db = np.zeros_like(x), 0 * W, 0 * U, np.zeros(len(U))
        for t in reversed(range(len(x))):
            dz = dh * (1 - hs[t + 1] ** 2)
            dx[t], dW, db, dh = dz @ W, dW + dz.T @ x[t], db + dz.sum(0), dz @ U
            dU += dz.T @ hs[t] if t < len(x) - 1 else 0
        return dx, dW, dU, db

    return (forward, backward), normal(140, (4, 3, 2), (5, 2), (5, 5), (5,))


@seen(
    "ReLU's derivative is missing in time",
    "rnn",
    ("factor", "f'", "derivative"),
    outputs="all",
    activation="relu",
)
def recurrent_relu_not_derived() -> Made:
    def forward(x, W, U, b):
        h, out = np.zeros((len(x), len(U))), []
        for t in range(x.shape[1]):
            h = np.maximum(x[:, t] @ W + h @ U + b, 0)
            out.append(h)
        return np.stack(out, 1), (x, W, U, np.stack(out, 1))

    def backward(d, cache):
        x, W, U, h = cache
        dz, below = np.zeros_like(d), 0
        for t in reversed(range(d.shape[1])):
            dz[:, t] = d[:, t] + below
            below = dz[:, t] @ U.T
        before = np.concatenate([np.zeros_like(h[:, :1]), h[:, :-1]], 1)
        return dz @ W.T, np.einsum("nti,nto->io", x, dz), np.einsum("nti,nto->io", before, dz), dz.sum((0, 1))

    return (forward, backward), normal(141, (3, 4, 2), (2, 5), (5, 5), (5,))


def sigma(x):
    return 1 / (1 + np.exp(-x))


@seen("what the next step hands to the cell is lost", "lstm", ("cell", "carr", "term", "c "), outputs="last")
def lstm_cell_gradient_lost() -> Made:
    def forward(x, W, U, b):
        h = c = np.zeros((len(x), len(b) // 4))
        tape = []
        for t in range(x.shape[1]):
            i, f, g, o = np.split(x[:, t] @ W.T + h @ U.T + b, 4, 1)
            i, f, g, o = sigma(i), sigma(f), np.tanh(g), sigma(o)
            tape.append((i, f, g, o, c, h, f * c + i * g))
            c = f * c + i * g
            h = o * np.tanh(c)
        return h, (x, W, U, tape)

    def backward(dh, cache):
        x, W, U, tape = cache
        dx, dW, dU, db = np.zeros_like(x), 0 * W, 0 * U, 0
        for t in reversed(range(len(tape))):
            i, f, g, o, c, h, new = tape[t]
            dc = dh * o * (1 - np.tanh(new) ** 2)
            gates = [
                dc * g * i * (1 - i),
                dc * c * f * (1 - f),
                dc * i * (1 - g * g),
                dh * np.tanh(new) * o * (1 - o),
            ]
            dz = np.hstack(gates)
            dx[:, t], dh, dW, dU, db = dz @ W, dz @ U, dW + dz.T @ x[:, t], dU + dz.T @ h, db + dz.sum(0)
        return dx, dW, dU, db

    return (forward, backward), normal(142, (3, 4, 2), (12, 2), (12, 3), (12,))


def weights(q, k, scale=True):
    s = np.einsum("bqd,bkd->bqk", q, k) / (np.sqrt(q.shape[2]) if scale else 1)
    e = np.exp(s - s.max(2, keepdims=True))
    return e / e.sum(2, keepdims=True)


def attention(q, k, v):
    p = weights(q, k)
    return np.einsum("bqk,bkd->bqd", p, v), (q, k, v, p)


@seen("the sums of dK run over the keys, they must run over the queries", "attention", ("transpose", "order"))
def einsum_key_gradient() -> Made:
    def backward(do, cache):
        q, k, v, p = cache
        dp = np.einsum("bqd,bkd->bqk", do, v)
        ds = p * (dp - np.einsum("bqk,bqk->bq", p, dp)[..., None]) / np.sqrt(q.shape[2])
        return (
            np.einsum("bqk,bkd->bqd", ds, k),
            np.einsum("bkq,bqd->bkd", ds, q),
            np.einsum("bqk,bqd->bkd", p, do),
        )

    return (attention, backward), normal(143, (2, 4, 3), (2, 4, 3), (2, 4, 3))


@seen("1/√d stands twice", "attention", ("√", "scale", "root", "twice", "divi"))
def attention_scaled_twice() -> Made:
    def backward(do, cache):
        q, k, v, p = cache
        dp = do @ np.swapaxes(v, 1, 2)
        ds = p * (dp - np.sum(p * dp, 2, keepdims=True)) / q.shape[2]
        return ds @ k, np.swapaxes(ds, 1, 2) @ q, np.swapaxes(p, 1, 2) @ do

    return (attention, backward), normal(144, (2, 4, 3), (2, 5, 3), (2, 5, 2))


@seen("the two branches' gradients are exchanged", "swiglu", ("exchanged", "swapped", "mixed"))
def swiglu_branches() -> Made:
    def forward(g, u):
        return g * sigma(g) * u, {"g": g, "u": u}

    def backward(d, cache):
        g, u = cache["g"], cache["u"]
        s = sigma(g)
        return {"dg": d * g * s, "du": d * u * (s + g * s * (1 - s))}

    return (forward, backward), normal(145, (3, 4), (3, 4))


@seen("the skip's δ is missing", cr.Residual([cr.Dense(3), cr.Tanh()]), ("term", "branch", "skip"))
def residual_tanh() -> Made:
    def forward(x, W, b):
        t = np.tanh(W @ x + b)
        return x + t, (x, W, t)

    def backward(d, cache):
        x, W, t = cache
        dz = d * (1 - t * t)
        return W.T @ dz, dz @ x.T, dz.sum(1, keepdims=True)

    return (forward, backward), normal(146, (3, 5), (3, 3), (3, 1))


TANH = network(cr.Dense(4), cr.Tanh(), cr.Dense(2), inputs=3)


@seen(
    "tanh' is taken of z, it must be of the activation",
    TANH,
    ("another quantity", "stands where", "z"),
    loss="mse",
)
def dict_of_parameters_tanh() -> Made:
    def loss(X, Y, W1, b1, W2, b2):
        z = X @ W1 + b1
        a = np.tanh(z)
        e = (a @ W2 + b2 - Y) / len(X)
        dz = e @ W2.T * (1 - z**2)
        grads = {"W1": X.T @ dz, "b1": dz.sum(0), "W2": a.T @ e, "b2": e.sum(0)}
        return 0.5 * np.sum((a @ W2 + b2 - Y) ** 2) / len(X), grads

    return loss, normal(147, (5, 3), (5, 2), (3, 4), (4,), (4, 2), (2,))


THREE = network(cr.Dense(4), cr.Sigmoid(), cr.Dense(4), cr.Sigmoid(), cr.Dense(2), cr.Softmax(), inputs=3)


@seen(
    "δ of layer 1 comes through the weights of layer 3... of another layer",
    THREE,
    ("layer", "weights", "W", "quantity"),
    loss="cross_entropy",
)
def weights_of_another_layer() -> Made:
    def loss(X, T, W1, b1, W2, b2, W3, b3):
        a1 = sigma(X @ W1 + b1)
        a2 = sigma(a1 @ W2 + b2)
        p = np.exp(a2 @ W3 + b3)
        p /= p.sum(1, keepdims=True)
        d3 = (p - T) / len(X)
        d2 = d3 @ W3.T * a2 * (1 - a2)
        d1 = d2 @ W2 * a1 * (1 - a1)
        pairs = {
            "W1": X.T @ d1,
            "W2": a1.T @ d2,
            "W3": a2.T @ d3,
            "b1": d1.sum(0),
            "b2": d2.sum(0),
            "b3": d3.sum(0),
        }
        return -np.sum(T * np.log(p)) / len(X), pairs

    args = normal(148, (5, 3), (3, 4), (4,), (4, 4), (4,), (4, 2), (2,))
    return loss, (args[0], np.eye(2)[[0, 1, 1, 0, 1]], *args[1:])


@seen("the bias' gradient is summed over everything", TANH, ("shape",), loss="mse")
def bias_summed_over_everything() -> Made:
    def loss(X, Y, W1, b1, W2, b2):
        m = X.shape[1]
        A = np.tanh(W1 @ X + b1)
        E = (W2 @ A + b2 - Y) / m
        dZ = W2.T @ E * (1 - A**2)
        value = 0.5 * np.sum((W2 @ A + b2 - Y) ** 2) / m
        return value, {"W1": dZ @ X.T, "b1": np.sum(dZ), "W2": E @ A.T, "b2": E.sum(1, keepdims=True)}

    return loss, normal(149, (3, 5), (2, 5), (4, 3), (4, 1), (2, 4), (2, 1))
