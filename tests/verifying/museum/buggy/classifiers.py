"""Linear classifiers as courses set them, loss(W, X, y, reg), and penalties."""

from __future__ import annotations

import numpy as np
from tests.verifying.museum.case import Cases, Made, normal
from tests.verifying.museum.meant import network

import chainrule as cr
from chainrule.losses.penalties import L1, L2

CASES = Cases(__name__)
bug = CASES.bug
W, X = normal(21, (4, 3), (5, 4))
Y = np.array([2, 0, 1, 1, 2])
REG = 0.3
LINEAR = network(cr.Dense(3, bias=False), inputs=4)
SCORES = network(cr.Dense(3, bias=False), cr.Softmax(), inputs=4)
SOFTMAX = {"loss": "cross_entropy", "penalty": L2(2 * REG)}  # cs231n: reg ΣW², our λ/2 ΣW²
THETA, DESIGN = normal(22, (4, 1), (6, 4))
T = np.array([[0.0], [1], [1], [0], [1], [1]])


def probabilities(scores):
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def softmax_value(W, X, y, reg):
    p = probabilities(X @ W)
    return -np.log(p[np.arange(len(y)), y]).mean() + reg * (W * W).sum(), p - np.eye(W.shape[1])[y]


@bug("jingtinghuang/CS231n-Spring-2017#3", "the 2 of reg W² is missing", SCORES, ("penalty", "λ"), **SOFTMAX)
def penalty_without_two() -> Made:
    def softmax_loss(W, X, y):
        loss, dscores = softmax_value(W, X, y, REG)
        return loss, X.T @ dscores / len(y) + REG * W

    return softmax_loss, (W, X, Y)


@bug("course: cs231n softmax", "the penalty has no gradient", SCORES, ("penalty", "λ"), **SOFTMAX)
def penalty_in_the_loss_alone() -> Made:
    def softmax_loss(W, X, y, reg):
        loss, dscores = softmax_value(W, X, y, reg)
        return loss, X.T @ dscores / len(y)

    return softmax_loss, (W, X, Y, REG)


@bug(
    "course: cs231n softmax", "the penalty is divided by N with the rest", SCORES, ("penalty", "λ"), **SOFTMAX
)
def penalty_over_samples() -> Made:
    def softmax_loss(W, X, y, reg):
        loss, dscores = softmax_value(W, X, y, reg)
        dW = X.T @ dscores
        dW += 2 * reg * W
        dW /= len(y)
        return loss, dW

    return softmax_loss, (W, X, Y, REG)


@bug(
    "course: cs231n softmax",
    "the data term is not divided by N, the penalty is right",
    SCORES,
    ("factor m", "1/m"),
    **SOFTMAX,
)
def data_not_averaged() -> Made:
    def softmax_loss(W, X, y):
        loss, dscores = softmax_value(W, X, y, REG)
        return loss, X.T @ dscores + 2 * REG * W

    return softmax_loss, (W, X, Y)


@bug(
    "stackoverflow 41663874",
    "the label's 1 is subtracted for every class",
    SCORES,
    ("subtract", "symbol"),
    **SOFTMAX,
)
def one_from_every_class() -> Made:
    def softmax_loss(W, X, y):
        loss, _ = softmax_value(W, X, y, REG)
        p, dW = probabilities(X @ W), np.zeros_like(W)
        for i in range(len(X)):
            for j in range(W.shape[1]):
                dW[:, j] += (p[i, j] - 1) * X[i]
        return loss, dW / len(X) + 2 * REG * W

    return softmax_loss, (W, X, Y)


@bug(
    "course: cs231n softmax", "= for += in the loop over samples", SCORES, ("last", "overwritten"), **SOFTMAX
)
def last_sample() -> Made:
    def softmax_loss(W, X, y):
        loss, dscores = softmax_value(W, X, y, REG)
        for i in range(len(X)):
            dW = np.outer(X[i], dscores[i])
        return loss, dW / len(X) + 2 * REG * W

    return softmax_loss, (W, X, Y)


def svm_value(W, X, y, reg):
    scores = X @ W
    margins = np.maximum(0, scores - scores[np.arange(len(y)), y][:, None] + 1)
    margins[np.arange(len(y)), y] = 0
    return margins.sum() / len(y) + reg * (W * W).sum(), margins


SVM = {"loss": "multiclass_hinge", "penalty": L2(2 * REG)}


@bug(
    "stackoverflow: Gradient of a Loss Function for an SVM",
    "the correct class gets nothing",
    LINEAR,
    ("subtract only", "label"),
    **SVM,
)
def svm_wrong_classes_alone() -> Made:
    def svm_loss(W, X, y):
        loss, margins = svm_value(W, X, y, REG)
        return loss, X.T @ (margins > 0) / len(y) + 2 * REG * W

    return svm_loss, (W, X, Y)


@bug(
    "course: cs231n svm",
    "the margins in place of their indicator",
    LINEAR,
    ("greater as maximum",),
    **SVM,
)
def svm_margins_not_counted() -> Made:
    def svm_loss(W, X, y):
        loss, margins = svm_value(W, X, y, REG)
        margins[np.arange(len(y)), y] = -margins.sum(axis=1)
        return loss, X.T @ margins / len(y) + 2 * REG * W

    return svm_loss, (W, X, Y)


@bug("course: cs231n svm", "dW not divided by N", LINEAR, ("factor m", "1/m"), **SVM)
def svm_not_averaged() -> Made:
    def svm_loss(W, X, y):
        loss, margins = svm_value(W, X, y, REG)
        counts = (margins > 0).astype(float)
        counts[np.arange(len(y)), y] = -counts.sum(axis=1)
        return loss, X.T @ counts + 2 * REG * W

    return svm_loss, (W, X, Y)


# logistic regression of Ng's course: λ/2m Σθ², θ_0 not penalised
LOGISTIC = {"loss": "binary_cross_entropy", "penalty": L2(0.7)}
BIASED = network(cr.Dense(1), cr.Sigmoid(), inputs=4)


def logistic_value(theta, b, X, y, lam):
    a = 1 / (1 + np.exp(-(X @ theta + b)))
    data = -(y * np.log(a) + (1 - y) * np.log(1 - a)).mean()
    return data + lam / 2 / len(y) * (theta**2).sum(), a - y


@bug("community.deeplearning.ai 14612", "λ in place of λ/m", BIASED, ("penalty", "λ"), **LOGISTIC)
def lambda_not_over_m() -> Made:
    def cost(theta, b, X, y):
        J, e = logistic_value(theta, b, X, y, 0.7)
        return J, {"theta": X.T @ e / len(y) + 0.7 * theta, "b": e.mean(axis=0)}

    return cost, (THETA, np.array([0.2]), DESIGN, T)


@bug(
    "stats.stackexchange 357145",
    "the bias is penalised in the gradient alone",
    BIASED,
    ("bias", "penalty"),
    **LOGISTIC,
)
def bias_penalised() -> Made:
    def cost(theta, b, X, y):
        J, e = logistic_value(theta, b, X, y, 0.7)
        lam = 0.7 / len(y)
        return J, {"theta": X.T @ e / len(y) + lam * theta, "b": e.mean(axis=0) + lam * b}

    return cost, (THETA, np.array([0.2]), DESIGN, T)


@bug(
    "community.deeplearning.ai 384064",
    "2λ/m: the ½ of the penalty is forgotten",
    BIASED,
    ("penalty", "λ"),
    **LOGISTIC,
)
def penalty_doubled() -> Made:
    def cost(theta, b, X, y):
        J, e = logistic_value(theta, b, X, y, 0.7)
        return J, {"theta": X.T @ e / len(y) + 2 * 0.7 / len(y) * theta, "b": e.mean(axis=0)}

    return cost, (THETA, np.array([0.2]), DESIGN, T)


@bug(
    "Burton2000/CS231n-2017#9", "the bias is penalised in the loss alone", "l2", ("zeros", "penalty"), lam=0.5
)
def penalty_of_the_bias_without_gradient() -> Made:
    return (lambda b: (0.25 * (b**2).sum(), 0 * b)), normal(23, (5,))


@bug("course: lasso", "w in place of sign w", "l1", ("instead",), lam=0.5)
def lasso_without_sign() -> Made:
    return (lambda w: (0.5 * np.abs(w).sum(), 0.5 * w)), normal(24, (4, 3))


@bug("course: ridge", "λ w for λ Σw²", "l2", ("factor 1/2",), lam=1.0)
def ridge_without_two() -> Made:
    return (lambda w: (0.5 * (w**2).sum(), 0.5 * w)), normal(25, (4, 3))


@bug("course: lasso", "the l1 part is missing", LINEAR, ("penalty", "λ"), loss="mse", penalty=L1(0.4))
def lasso_missing() -> Made:
    def loss(W, X, Y):
        e = X @ W - Y
        return 0.5 * (e**2).sum() / len(X) + 0.4 * np.abs(W).sum(), X.T @ e / len(X)

    return loss, (W, X, normal(26, (5, 3))[0])
