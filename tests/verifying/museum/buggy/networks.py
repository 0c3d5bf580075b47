"""Whole networks as one function of their parameters that returns (loss, gradients)."""

from __future__ import annotations

import numpy as np
from tests.verifying.museum.case import Cases, Made, normal
from tests.verifying.museum.meant import network

import chainrule as cr
from chainrule.losses.penalties import L2

CASES = Cases(__name__)
bug = CASES.bug
X = normal(91, (6, 4))[0]
Y = np.array([0, 2, 1, 1, 2, 0])
W1, B1, W2, B2 = normal(92, (4, 5), (5,), (5, 3), (3,))
ARGS = (X, Y, W1, B1, W2, B2)


def two(units):
    return network(cr.Dense(units), cr.ReLU(), cr.Dense(3), cr.Softmax(), inputs=4)


TWO_LAYERS = two(5)
CE = {"loss": "cross_entropy"}


def probabilities(z):
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def cross_entropy(p, y):
    return -np.log(p[np.arange(len(y)), y]).mean()


def two_layers(wrong, f=lambda z: np.maximum(z, 0), df=lambda z, h: z > 0):
    """cs231n's two-layer network; wrong(names of everything) changes what it is given before it is used."""

    def loss(x, y, W1, b1, W2, b2):
        z = x @ W1 + b1
        h = f(z)
        p = probabilities(h @ W2 + b2)
        q = {"x": x, "z": z, "h": h, "W1": W1, "W2": W2, "dz2": (p - np.eye(p.shape[1])[y]) / len(y)}
        wrong(q, "δ²")
        q["dW2"], q["db2"], q["dh"] = q["h"].T @ q["dz2"], q["dz2"].sum(0), q["dz2"] @ q["W2"].T
        q["dz1"] = q["dh"] * df(q["z"], q["h"])
        wrong(q, "δ¹")
        q["dW1"], q["db1"] = q["x"].T @ q["dz1"], q["dz1"].sum(0)
        wrong(q, "end")
        return cross_entropy(p, y), {name: q["d" + name] for name in ("W1", "b1", "W2", "b2")}

    return loss


def at(place, **made):
    """A mistake at one place: quantities replaced by functions of all."""

    def wrong(q, here):
        if here == place:
            q.update({name: value(q) for name, value in made.items()})

    return wrong


@bug("bighuang624/Andrew-Ng-Deep-Learning-notes#10", "dW1 times 2", TWO_LAYERS, "factor 2", **CE)
def one_gradient_doubled() -> Made:
    return two_layers(at("end", dW1=lambda q: 2 * q["dW1"])), ARGS


@bug("XingxingHuang/deeplearning.ai#4", "db1 = 4/m Σ", TWO_LAYERS, "factor 4", **CE)
def bias_times_four() -> Made:
    return two_layers(at("end", db1=lambda q: 4 * q["db1"])), ARGS


@bug(
    "joelgrus/data-science-from-scratch#31",
    "W2 is updated before δ of layer 1",
    TWO_LAYERS,
    "updated before",
    **CE,
)
def updated_before_the_hidden_delta() -> Made:
    def wrong(q, here):
        if here == "δ²":
            q["W2"] = q["W2"] - 0.5 * q["h"].T @ q["dz2"]

    return two_layers(wrong), ARGS


@bug("course: two-layer network", "ReLU's derivative is forgotten", TWO_LAYERS, ("multiply only", "f'"), **CE)
def hidden_derivative_forgotten() -> Made:
    return two_layers(at("δ¹", dz1=lambda q: q["dh"])), ARGS


@bug("course: two-layer network", "1/m once more in dW and db", TWO_LAYERS, ("1/m",), **CE)
def averaged_twice() -> Made:
    names = ("dW1", "db1", "dW2", "db2")
    made = {name: (lambda q, name=name: q[name] / len(q["x"])) for name in names}
    return two_layers(at("end", **made)), ARGS


@bug(
    "course: two-layer network", "δ of the output is not divided by m", TWO_LAYERS, ("factor m", "1/m"), **CE
)
def never_averaged() -> Made:
    return two_layers(at("δ²", dz2=lambda q: len(q["x"]) * q["dz2"])), ARGS


@bug("course: two-layer network", "dW1 of the hidden layer's own output", two(4), ("symbol", "layer"), **CE)
def input_is_the_wrong_layer() -> Made:
    args = (X, Y, *normal(93, (4, 4), (4,), (4, 3), (3,)))
    return two_layers(at("δ¹", x=lambda q: q["h"])), args


@bug("deeplearning4j/deeplearning4j#355", "z in place of h in dW2", TWO_LAYERS, ("symbol", "z"), **CE)
def weighted_sum_for_activation() -> Made:
    return two_layers(at("end", dW2=lambda q: q["z"].T @ q["dz2"])), ARGS


@bug(
    "course: two-layer network",
    "δ of the output is used in layer 1, cut to its units",
    two(3),
    ("symbol",),
    **CE,
)
def delta_of_the_wrong_layer() -> Made:
    args = (X, Y, *normal(94, (4, 3), (3,), (3, 3), (3,)))
    return two_layers(at("δ¹", dz1=lambda q: q["dz2"])), args


@bug(
    "course: square hidden layer",
    "W2 where W2ᵀ must be",
    two(3),
    ("transpose", "turned", "swapped"),
    **CE,
)
def weights_between_not_transposed() -> Made:
    args = (X, Y, *normal(95, (4, 3), (3,), (3, 3), (3,)))
    return two_layers(at("δ²", W2=lambda q: q["W2"].T)), args


SIGMOID = network(cr.Dense(5), cr.Sigmoid(), cr.Dense(3), cr.Softmax(), inputs=4)


def sigma(z):
    return 1 / (1 + np.exp(-z))


@bug(
    "unda-ml/unda#1",
    "the derivative of another layer's activation",
    SIGMOID,
    ("instead",),
    **CE,
)
def derivative_of_the_wrong_layer() -> Made:
    return two_layers(at("none"), sigma, lambda z, h: z > 0), ARGS


@bug("udacity/sdc-issue-reports#134", "σ' of the activation", SIGMOID, ("symbol",), **CE)
def derivative_of_the_activation() -> Made:
    return two_layers(at("none"), sigma, lambda z, h: sigma(h) * (1 - sigma(h))), ARGS


@bug("PacktPublishing/Neural-Network-Projects-with-Python#4", "z(1 - z)", SIGMOID, ("symbol",), **CE)
def derivative_of_the_weighted_sum() -> Made:
    return two_layers(at("none"), sigma, lambda z, h: z * (1 - z)), ARGS


# np.maximum(h, 0, out=h): the mask is taken of what was already cut, and of the layer behind
@bug(
    "course: in-place ReLU",
    "the mask h >= 0 of an array cut in place",
    TWO_LAYERS,
    ("multiply only", "f'", "mask"),
    **CE,
)
def relu_in_place() -> Made:
    return two_layers(at("none"), df=lambda z, h: h >= 0), ARGS


MSE = network(cr.Dense(4), cr.Sigmoid(), cr.Dense(2), cr.Sigmoid(), inputs=3)


@bug("parasdahal/tinyml#1", "σ' of the output layer is left out", MSE, ("multiply only", "f'"), loss="mse")
def output_derivative_left_out() -> Made:
    def cost(x, y, W1, b1, W2, b2):
        h = sigma(x @ W1 + b1)
        a = sigma(h @ W2 + b2)
        d2 = (a - y) / len(x)
        d1 = d2 @ W2.T * h * (1 - h)
        value = 0.5 * ((a - y) ** 2).sum() / len(x)
        return value, (None, None, x.T @ d1, d1.sum(0), h.T @ d2, d2.sum(0))

    return cost, normal(96, (5, 3), (5, 2), (3, 4), (4,), (4, 2), (2,))


@bug("iamtrask/Grokking-Deep-Learning#37", "y - a at the output: every sign", MSE, ("minus",), loss="mse")
def every_sign() -> Made:
    def cost(x, y, W1, b1, W2, b2):
        h = sigma(x @ W1 + b1)
        a = sigma(h @ W2 + b2)
        d2 = (y - a) * a * (1 - a) / len(x)
        d1 = d2 @ W2.T * h * (1 - h)
        value = 0.5 * ((a - y) ** 2).sum() / len(x)
        return value, {"W1": x.T @ d1, "b1": d1.sum(0), "W2": h.T @ d2, "b2": d2.sum(0)}

    return cost, normal(97, (5, 3), (5, 2), (3, 4), (4,), (4, 2), (2,))


# Ng's exercise 4: Θ with the bias as column 0, which is not penalised
@bug(
    "community.deeplearning.ai 14612",
    "λ in place of λ/m in one layer",
    TWO_LAYERS,
    ("penalty", "λ"),
    loss="cross_entropy",
    penalty=L2(0.6),
)
def penalty_of_one_layer_not_averaged() -> Made:
    def loss(x, y, W1, b1, W2, b2):
        lam, m = 0.6, len(y)
        value, g = two_layers(at("none"))(x, y, W1, b1, W2, b2)
        value += lam / 2 / m * ((W1**2).sum() + (W2**2).sum())
        return value, {**g, "W1": g["W1"] + lam * W1, "W2": g["W2"] + lam / m * W2}

    return loss, ARGS


@bug(
    "Burton2000/CS231n-2017#9",
    "the biases' penalty has no gradient",
    TWO_LAYERS,
    ("penalty", "bias"),
    loss="cross_entropy",
    penalty=L2(0.2),
)
def penalty_missing_for_one_layer() -> Made:
    def loss(x, y, W1, b1, W2, b2):
        value, g = two_layers(at("none"))(x, y, W1, b1, W2, b2)
        value += 0.1 * ((W1**2).sum() + (W2**2).sum())
        return value, {**g, "W2": g["W2"] + 0.2 * W2}

    return loss, ARGS


# np.clip of the error as in the first DQN codes: outside the range the gradient is 0
@bug(
    "Karpathy: Yes you should understand backprop",
    "the error is clipped: no gradient beyond",
    "huber",
    ("minimum zeroed",),
)
def clipped_error() -> Made:
    def loss(a, y):
        e = a - y
        inside = np.abs(e) <= 1
        value = np.where(inside, 0.5 * e**2, np.abs(e) - 0.5).sum() / len(a)
        return value, e * inside / len(a)

    return loss, (3 * normal(98, (6, 2))[0], normal(99, (6, 2))[0])


def flat(W1, b1, W2, b2):
    return np.concatenate([W1.ravel(), b1, W2.ravel(), b2])


@bug(
    "course: scipy.optimize.minimize(jac=True)",
    "f(θ): the biases come before W in the gradient",
    None,
    ("exchanged", "order"),
)
def flat_in_another_order() -> Made:
    def f(theta):
        W1, b1, W2, b2 = theta[:20].reshape(4, 5), theta[20:25], theta[25:40].reshape(5, 3), theta[40:]
        value, g = two_layers(at("none"))(X, Y, W1, b1, W2, b2)
        return value, np.concatenate([g["b1"], g["W1"].ravel(), g["b2"], g["W2"].ravel()])

    return f, (flat(W1, B1, W2, B2),)


@bug("course: columns, deeplearning.ai week 4", "db is divided by m twice", SIGMOID, ("1/m",), **CE)
def columns_bias_averaged_twice() -> Made:
    def cost(X, Y, W1, b1, W2, b2):
        m = X.shape[1]
        A1 = sigma(W1 @ X + b1)
        P = probabilities((W2 @ A1 + b2).T).T
        dZ2 = (P - Y) / m
        dZ1 = W2.T @ dZ2 * A1 * (1 - A1)
        grads = {
            "W1": dZ1 @ X.T,
            "b1": dZ1.mean(1, keepdims=True),
            "W2": dZ2 @ A1.T,
            "b2": dZ2.sum(1, keepdims=True),
        }
        return -(Y * np.log(P)).sum() / m, grads

    return cost, (X.T, np.eye(3)[Y].T, W1.T, B1[:, None], W2.T, B2[:, None])


@bug("paper: denoising autoencoders", "the decoder's share of the tied weights", None, ("term missing",))
def tied_weights_once() -> Made:
    def loss(W, b, c):
        H = sigma(X @ W + b)
        dR = (H @ W.T + c - X) / len(X)
        dA = dR @ W * H * (1 - H)
        value = len(X) * (dR**2).sum() / 2
        return value, {"W": X.T @ dA, "b": dA.sum(0), "c": dR.sum(0)}

    return loss, (W1, B1, normal(93, (4,))[0])
