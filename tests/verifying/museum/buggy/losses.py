"""Losses on scores and on labels: a function that returns (loss, gradient), or a pair where every sample has
its own loss.
"""

from __future__ import annotations

import numpy as np
from tests.verifying.museum.case import Cases, Made, normal

CASES = Cases(__name__)
bug = CASES.bug
(SCORES,) = normal(11, (5, 4))
LABELS = np.array([0, 3, 1, 1, 2])
ONE_HOT = np.eye(4)[LABELS]
OUTPUTS, WANTED = normal(12, (5, 3), (5, 3))
LOGITS = normal(13, (6,))[0]
FLAGS = np.array([0.0, 1.0, 1.0, 0.0, 1.0, 0.0])
SIGNS = 2 * FLAGS - 1


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def sigma(z):
    return 1 / (1 + np.exp(-z))


def mean_log(p, y):
    return -np.log(p[np.arange(len(y)), y]).mean()


@bug("course: cs231n softmax_loss", "the gradient is not divided by N", "cross_entropy", ("factor m", "1/m"))
def cross_entropy_not_averaged() -> Made:
    def softmax_loss(x, y):
        p = softmax(x)
        dx = p.copy()
        dx[np.arange(len(y)), y] -= 1
        return mean_log(p, y), dx

    return softmax_loss, (SCORES, LABELS)


@bug("tech-srl/code2seq#9", "divided by N twice", "cross_entropy", "factor 1/m")
def cross_entropy_averaged_twice() -> Made:
    def softmax_loss(x, y):
        n, p = len(y), softmax(x)
        dx = p.copy()
        dx[np.arange(n), y] -= 1
        dx /= n
        return mean_log(p, y), dx / n

    return softmax_loss, (SCORES, LABELS)


@bug("course: cs231n softmax_loss", "1 is not subtracted at the label", "cross_entropy", "subtract only")
def cross_entropy_without_the_label() -> Made:
    def softmax_loss(x, y):
        p = softmax(x)
        return mean_log(p, y), p / len(y)

    return softmax_loss, (SCORES, LABELS)


@bug("iamtrask/Grokking-Deep-Learning#37", "y - p: the sign", "cross_entropy", ("minus", "swapped"))
def cross_entropy_sign() -> Made:
    def loss(z, y):
        p = softmax(z)
        return -(y * np.log(p)).sum() / len(y), (y - p) / len(y)

    return loss, (SCORES, ONE_HOT)


# the derivative of an elementwise f where softmax and the loss cancel to p - y
@bug("ai.stackexchange 35741", "(p - y) times p(1 - p)", "cross_entropy", ("slope twice",))
def cross_entropy_times_derivative() -> Made:
    def loss(z, y):
        p = softmax(z)
        return -(y * np.log(p)).sum() / len(y), (p - y) * p * (1 - p) / len(y)

    return loss, (SCORES, ONE_HOT)


@bug("mlpack/mlpack#2360", "p + y: added for subtracted", "cross_entropy", "subtract as add")
def cross_entropy_added() -> Made:
    def loss(z, y):
        p = softmax(z)
        return -(y * np.log(p)).sum() / len(y), (p + y) / len(y)

    return loss, (SCORES, ONE_HOT)


@bug(
    "course: softmax loss",
    "only the label's entry gets a gradient",
    "cross_entropy",
    ("times",),
)
def cross_entropy_of_the_label_alone() -> Made:
    def loss(z, y):
        p = softmax(z)
        return -(y * np.log(p)).sum() / len(y), y * (p - 1) / len(y)

    return loss, (SCORES, ONE_HOT)


@bug("chainer/chainer#1175", "δ of the losses is not used", "cross_entropy", "δ not used")
def cross_entropy_ignores_delta() -> Made:
    def forward(z, y):
        p = softmax(z)
        return -np.log(p[np.arange(len(y)), y]), (p, y)

    def backward(dloss, cache):
        p, y = cache
        return p - np.eye(p.shape[1])[y]

    return (forward, backward), (SCORES, LABELS)


@bug(
    "course: cross-entropy on probabilities", "1/p is missing", "cross_entropy", ("divide only", "ratio only")
)
def log_loss_without_division() -> Made:
    def forward(p, y):
        return -(y * np.log(p)).sum(axis=1), (p, y)

    def backward(d, cache):
        return -d[:, None] * cache[1]

    return (forward, backward), (softmax(SCORES), ONE_HOT)


@bug(
    "linkedin/Liger-Kernel#198",
    "smoothing is left out of the gradient",
    "cross_entropy",
    ("unprepared",),
    label_smoothing=0.2,
)
def smoothing_in_the_loss_alone() -> Made:
    def loss(z, y):
        p, m = softmax(z), len(y)
        soft = 0.8 * y + 0.2 / y.shape[1]
        return -(soft * np.log(p)).sum() / m, (p - y) / m

    return loss, (SCORES, ONE_HOT)


def bce(z, y):
    return (np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z)))).mean()


@bug(
    "hunkim/DeepLearningZeroToAll#113",
    "σ' beside a - y, which has it already",
    "bce_with_logits",
    ("slope twice",),
)
def logits_times_derivative() -> Made:
    def loss(z, y):
        a = sigma(z)
        return bce(z, y), (a - y) * a * (1 - a) / len(y)

    return loss, (LOGITS, FLAGS)


@bug("course: logistic loss", "the sum's gradient of a mean", "bce_with_logits", ("factor m", "1/m"))
def logits_not_averaged() -> Made:
    return (lambda z, y: (bce(z, y), sigma(z) - y)), (LOGITS, FLAGS)


@bug("course: logistic regression", "z - y: σ is forgotten", "bce_with_logits", ("symbol", "ratio only", "σ"))
def logits_without_sigmoid() -> Made:
    return (lambda z, y: (bce(z, y), (z - y) / len(y))), (LOGITS, FLAGS)


@bug("course: log-loss", "the minus of y/a is missing", "binary_cross_entropy", ("negative only", "subtract"))
def binary_without_minus() -> Made:
    def loss(a, y):
        value = -(y * np.log(a) + (1 - y) * np.log(1 - a)).mean()
        return value, (y / a + (1 - y) / (1 - a)) / len(y)

    return loss, (sigma(LOGITS), FLAGS)


@bug(
    "course: log-loss",
    "the branch of y = 0 is missing: -y/a",
    "binary_cross_entropy",
    ("add only", "subtract only"),
)
def binary_of_the_ones_alone() -> Made:
    def loss(a, y):
        value = -(y * np.log(a) + (1 - y) * np.log(1 - a)).mean()
        return value, -(y / a) / len(y)

    return loss, (sigma(LOGITS), FLAGS)


@bug("fetchai/ledger#343", "the 2 of the square is missing", "mse", "factor 1/2")
def squares_without_two() -> Made:
    def mse(a, y):
        return ((a - y) ** 2).mean(), (a - y) / a.size

    return mse, (OUTPUTS, WANTED)


@bug("tiny-dnn/tiny-dnn#159", "½ in the loss, 2 in the gradient", "mse", "factor 2")
def squares_with_two_and_half() -> Made:
    def loss(a, y):
        return 0.5 * ((a - y) ** 2).sum() / len(a), 2 * (a - y) / len(a)

    return loss, (OUTPUTS, WANTED)


@bug(
    "course: mean squared error",
    "mean over all numbers, gradient over the samples",
    "mse",
    ("factor n", "factor K"),
)
def squares_over_the_wrong_count() -> Made:
    def loss(a, y):
        return ((a - y) ** 2).mean(), 2 * (a - y) / len(a)

    return loss, (OUTPUTS, WANTED)


@bug("course: mean squared error", "sum in place of mean", "mse", ("factor", "1/m"))
def squares_summed() -> Made:
    def loss(a, y):
        return ((a - y) ** 2).mean(), 2 * (a - y)

    return loss, (OUTPUTS, WANTED)


@bug("course: target minus output", "the sign of the squared error", "mse", ("minus", "swapped"))
def squares_sign() -> Made:
    return (lambda a, y: (0.5 * ((a - y) ** 2).sum() / len(a), (y - a) / len(a))), (OUTPUTS, WANTED)


@bug("course: absolute error", "the difference in place of its sign", "mae", ("instead",))
def absolute_without_sign() -> Made:
    return (lambda a, y: (np.abs(a - y).mean(), (a - y) / a.size)), (OUTPUTS, WANTED)


def huber(e, delta=1.0):
    return np.where(np.abs(e) <= delta, 0.5 * e**2, delta * (np.abs(e) - 0.5 * delta))


@bug(
    "BobMcDear/attorch#13",
    "|e| forgotten: large negative differences count as small",
    "huber",
    ("maximum only", "abs"),
)
def huber_threshold_signed() -> Made:
    def loss(a, y):
        e = a - y
        return huber(e).sum() / len(a), np.where(e <= 1, e, 1) / len(a)

    return loss, (3 * OUTPUTS, WANTED)


@bug("course: huber", "not cut off at all", "huber", ("instead", "maximum only"))
def huber_not_cut() -> Made:
    return (lambda a, y: (huber(a - y).sum() / len(a), (a - y) / len(a))), (3 * OUTPUTS, WANTED)


@bug(
    "course: huber",
    "beyond δ the sign without δ",
    "huber",
    ("maximum sign",),
    delta=2.0,
)
def huber_without_delta() -> Made:
    def loss(a, y):
        e = a - y
        return huber(e, 2.0).sum() / len(a), np.where(np.abs(e) <= 2, e, np.sign(e)) / len(a)

    return loss, (3 * OUTPUTS, WANTED)


@bug(
    "course: hinge", "y is forgotten: -1 where the margin is violated", "hinge", ("multiply only", "negative")
)
def hinge_without_label() -> Made:
    def loss(s, y):
        return np.maximum(0, 1 - y * s).mean(), np.where(y * s < 1, -1.0, 0) / len(s)

    return loss, (LOGITS, SIGNS)


@bug(
    "course: hinge",
    "-y for every sample, also beyond the margin",
    "hinge",
    ("mask", "multiply only", "greater"),
)
def hinge_of_all() -> Made:
    return (lambda s, y: (np.maximum(0, 1 - y * s).mean(), -y / len(s))), (LOGITS, SIGNS)


def margins_of(s, y):
    margins = np.maximum(0, s - s[np.arange(len(y)), y][:, None] + 1)
    margins[np.arange(len(y)), y] = 0
    return margins


@bug(
    "stackoverflow: Gradient of a Loss Function for an SVM",
    "-1 in place of the number of violations",
    "multiclass_hinge",
    ("multiply only",),
)
def svm_correct_class_once() -> Made:
    def svm_loss(s, y):
        margins = margins_of(s, y)
        ds = (margins > 0).astype(float)
        ds[np.arange(len(y)), y] = -1
        return margins.sum() / len(y), ds / len(y)

    return svm_loss, (SCORES, LABELS)


@bug(
    "course: cs231n svm_loss",
    "nothing is subtracted at the label",
    "multiclass_hinge",
    ("subtract only", "label"),
)
def svm_without_correct_class() -> Made:
    def svm_loss(s, y):
        margins = margins_of(s, y)
        return margins.sum() / len(y), (margins > 0) / len(y)

    return svm_loss, (SCORES, LABELS)


@bug("course: poisson", "y/a without the division", "poisson", ("divide only", "ratio only"))
def poisson_without_division() -> Made:
    def loss(a, y):
        return (a - y * np.log(a)).mean(), (1 - y) / len(a)

    return loss, (np.exp(LOGITS), np.array([0.0, 2, 1, 4, 0, 1]))


@bug("paper: t-SNE", "1/(1 + |y_i - y_j|²) is left out of the gradient", None, ("factor missing",))
def tsne_without_kernel() -> Made:
    P = np.exp(normal(65, (5, 5))[0])
    P = (P + P.T) * (1 - np.eye(5))
    P = P / P.sum()

    def cost(Y):
        near = (1 - np.eye(5)) / (1 + ((Y[:, None] - Y) ** 2).sum(-1))
        Q = near / near.sum()
        value = (P * np.log((P + np.eye(5)) / (Q + np.eye(5)))).sum()
        PQ = P - Q
        return value, 4 * (PQ[:, :, None] * (Y[:, None] - Y)).sum(1)

    return cost, (normal(66, (5, 2))[0],)
