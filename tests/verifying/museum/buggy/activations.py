"""Activations, entry by entry, and softmax."""

from __future__ import annotations

import math

import numpy as np
from tests.verifying.museum.case import Cases, Made, normal

import chainrule as cr

CASES = Cases(__name__)
bug = CASES.bug
X = normal(5, (3, 4))
WIDE = (3 * X[0],)


def sigma(x):
    return 1 / (1 + np.exp(-x))


def kept(f):
    """f as a forward that keeps its input."""
    return lambda x: (f(x), x)


@bug("PacktPublishing/Neural-Network-Projects-with-Python#4", "x(1 - x) of the input", "sigmoid", "symbol")
def derivative_of_the_input() -> Made:
    return (kept(sigma), lambda d, x: d * x * (1 - x)), X


@bug("rasmusbergpalm/DeepLearnToolbox#165", "σ' of the activation: σ is applied twice", "sigmoid", "symbol")
def sigmoid_twice() -> Made:
    def backward(d, x):
        a = sigma(sigma(x))
        return d * a * (1 - a)

    return (kept(sigma), backward), X


@bug("CaptainE/RNN-LSTM-in-numpy#1", "σ for σ'", "sigmoid", "only")
def sigmoid_for_its_derivative() -> Made:
    return (kept(sigma), lambda d, x: sigma(x) * d), X


@bug("yizt/numpy_neural_network#3", "σ(1 - σ(δ)): not even linear in δ", "sigmoid", "not linear")
def sigmoid_of_delta() -> Made:
    return (kept(sigma), lambda d, x: sigma(1 - sigma(d))), X


@bug(
    "benoitfragit/libBrain#78", "the weighted sum in place of the activation", "tanh", ("symbol", "tanh only")
)
def tanh_of_the_weighted_sum() -> Made:
    return (kept(np.tanh), lambda d, x: d * (1 - x**2)), X


@bug("course: deconvnet rule", "δ is cut where δ < 0", "relu", ("not linear", "symbol"))
def relu_of_delta() -> Made:
    return (kept(lambda x: np.maximum(x, 0)), lambda d, x: d * (d > 0)), X


@bug("course: relu as a step", "1 where x > 0, without δ", "relu", ("δ not used", "multiply only"))
def relu_without_delta() -> Made:
    return (kept(lambda x: np.maximum(x, 0)), lambda d, x: (x > 0).astype(x.dtype)), X


@bug("course: the mask of the other side", "δ passes where x < 0", "relu", ("greater swapped",))
def relu_mask_inverted() -> Made:
    return (kept(lambda x: np.maximum(x, 0)), lambda d, x: d * (x < 0)), X


@bug(
    "deeplearning4j/deeplearning4j#8178",
    "the slope is not used",
    "leakyrelu",
    ("number", "where only"),
    slope=0.2,
)
def leaky_relu_without_slope() -> Made:
    return (kept(lambda x: np.where(x > 0, x, 0.2 * x)), lambda d, x: d * (x > 0)), X


@bug("course: leaky relu", "δ missing on the negative side", "leakyrelu", ("cases",), slope=0.2)
def leaky_relu_without_delta() -> Made:
    return (kept(lambda x: np.where(x > 0, x, 0.2 * x)), lambda d, x: np.where(x > 0, d, 0.2)), X


@bug("mlpack/mlpack#1540", "f(f(x)) + α: the output is taken for the input", "elu", ("symbol",), alpha=0.7)
def elu_of_the_output() -> Made:
    def elu(x):
        return np.where(x > 0, x, 0.7 * np.expm1(x))

    return (kept(elu), lambda d, x: d * np.where(x > 0, 1, elu(elu(x)) + 0.7)), X


@bug(
    "pytorch/pytorch#47671",
    "the sign of the output decides, and α < 0",
    "elu",
    ("symbol", "greater", "multiply only"),
    alpha=-2.0,
)
def elu_of_negative_alpha() -> Made:
    def forward(x):
        a = np.where(x > 0, x, -2 * np.expm1(x))
        return a, a

    return (forward, lambda d, a: d * np.where(a > 0, 1, a - 2)), X


@bug("course: selu", "λ missing where x > 0", "selu", "cases")
def selu_without_lambda() -> Made:
    scale, alpha = 1.0507009873554805, 1.6732632423543772

    def backward(d, x):
        return d * np.where(x > 0, 1, scale * alpha * np.exp(x))

    return (kept(lambda x: scale * np.where(x > 0, x, alpha * np.expm1(x))), backward), X


def gelu(x):
    return x * normal_cdf(x)


def normal_cdf(x):
    return 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


@bug("course: gelu", "the term z φ(z) is missing", "gelu", "add only")
def gelu_without_density() -> Made:
    return (kept(gelu), lambda d, x: d * normal_cdf(x)), X


@bug("course: gelu", "φ without √(2π)", "gelu", ("divide only", "ratio only"))
def gelu_density_not_divided() -> Made:
    return (kept(gelu), lambda d, x: d * (normal_cdf(x) + x * np.exp(-(x**2) / 2))), X


@bug("course: swish", "σ(1 - σ), as if it were the sigmoid", "silu", ("instead",))
def silu_as_sigmoid() -> Made:
    return (kept(lambda x: x * sigma(x)), lambda d, x: d * sigma(x) * (1 - sigma(x))), X


@bug("course: swish", "σ(1 + x) without 1 - σ", "silu", "only")
def silu_without_one_minus() -> Made:
    return (kept(lambda x: x * sigma(x)), lambda d, x: d * sigma(x) * (1 + x)), X


@bug("course: swish", "x σ(x) + σ(x) with a wrong sign: σ (1 - x (1 - σ))", "silu", "subtract")
def silu_with_minus() -> Made:
    return (kept(lambda x: x * sigma(x)), lambda d, x: d * sigma(x) * (1 - x * (1 - sigma(x)))), X


@bug("course: softplus", "σ of the output in place of the input", "softplus", "symbol")
def softplus_of_the_output() -> Made:
    def forward(x):
        a = np.log1p(np.exp(x))
        return a, a

    return (forward, lambda d, a: d * sigma(a)), X


@bug("course: softplus", "e^x / (1 + e^x) without the sum: e^x", "softplus", ("only", "divide"))
def softplus_without_denominator() -> Made:
    return (kept(lambda x: np.log1p(np.exp(x))), lambda d, x: d * np.exp(x)), X


@bug(
    "course: mish",
    "the sigmoid of the softplus' derivative is left out",
    "mish",
    ("divide only", "ratio only"),
)
def mish_without_sigmoid() -> Made:
    def backward(d, x):
        t = np.tanh(np.log1p(np.exp(x)))
        return d * (t + x * (1 - t**2))

    return (kept(lambda x: x * np.tanh(np.log1p(np.exp(x)))), backward), X


@bug("course: softsign", "1 / (1 + |x|) without the square", "softsign", "power only")
def softsign_not_squared() -> Made:
    return (kept(lambda x: x / (1 + np.abs(x))), lambda d, x: d / (1 + np.abs(x))), X


@bug("course: softsign", "|x| forgotten: 1 / (1 + x)²", "softsign", "absolute only")
def softsign_without_absolute() -> Made:
    return (kept(lambda x: x / (1 + np.abs(x))), lambda d, x: d / (1 + x) ** 2), (0.3 * X[0],)


@bug("tenstorrent/tt-metal#6534", "1/6 also where it is cut off", "hardsigmoid", ("always",))
def hard_sigmoid_not_cut_off() -> Made:
    return (kept(lambda x: np.clip(x / 6 + 0.5, 0, 1)), lambda d, x: d / 6), WIDE


@bug("course: hard tanh", "1 also where it is cut off", "hardtanh", ("multiply only", "mask"))
def hard_tanh_not_cut_off() -> Made:
    return (kept(lambda x: np.clip(x, -1, 1)), lambda d, x: d), WIDE


@bug("course: hard swish", "the middle's slope everywhere", "hardswish", ("where only", "always"))
def hard_swish_middle_everywhere() -> Made:
    return (kept(lambda x: x * np.clip(x / 6 + 0.5, 0, 1)), lambda d, x: d * (x / 3 + 0.5)), WIDE


@bug(
    "course: hard swish",
    "(x + 3) / 6: the factor 2 of x² is lost",
    "hardswish",
    ("number", "factor", "divide"),
)
def hard_swish_without_two() -> Made:
    def backward(d, x):
        return d * np.where(np.abs(x) < 3, x / 6 + 0.5, x > 0)

    return (kept(lambda x: x * np.clip(x / 6 + 0.5, 0, 1)), backward), WIDE


def prelu(x, alpha):
    return np.where(x > 0, x, alpha * x), (x, alpha)


@bug("course: prelu", "∂α counts the positive entries, too", "prelu", ("where only",))
def prelu_slope_of_all() -> Made:
    def backward(d, cache):
        x, alpha = cache
        return d * np.where(x > 0, 1, alpha), (d * x).sum(0)

    return (prelu, backward), (*X, np.array([0.1, 0.2, 0.3, 0.4]))


@bug("course: prelu", "∂α without x", "prelu", ("where", "multiply only", "number"))
def prelu_slope_without_input() -> Made:
    def backward(d, cache):
        x, alpha = cache
        return d * np.where(x > 0, 1, alpha), (d * (x <= 0)).sum(0)

    return (prelu, backward), (*X, np.array([0.1, 0.2, 0.3, 0.4]))


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    return p, p


@bug(
    "deeplearning4j/libnd4j#440",
    "softmax with an elementwise derivative",
    "softmax",
    ("sum_features only", "diagonal"),
)
def softmax_elementwise() -> Made:
    return (softmax, lambda d, p: d * p * (1 - p)), X


@bug("HomericIntelligence/Odyssey#2134", "the sum Σ δ_k p_k is missing", "softmax", "subtract only")
def softmax_without_the_sum() -> Made:
    return (softmax, lambda d, p: p * d), X


@bug("course: softmax", "the sum runs over the samples", "softmax", "across")
def softmax_sum_over_samples() -> Made:
    return (softmax, lambda d, p: p * (d - (p * d).sum(axis=0))), X


@bug("course: softmax", "the sum without p: Σ δ_k", "softmax", "multiply only")
def softmax_sum_without_p() -> Made:
    return (softmax, lambda d, p: p * (d - d.sum(axis=1, keepdims=True))), X


@bug("course: softmax", "the factor p in front is missing", "softmax", "multiply only")
def softmax_without_factor() -> Made:
    return (softmax, lambda d, p: d - (p * d).sum(axis=1, keepdims=True)), X


@bug("course: columns", "softmax of columns, summed over rows", cr.Softmax(), "across")
def softmax_columns_summed_over_samples() -> Made:
    def forward(z):
        e = np.exp(z - z.max(axis=0))
        return e / e.sum(axis=0), e / e.sum(axis=0)

    return (forward, lambda d, p: p * (d - (p * d).sum(axis=1, keepdims=True))), normal(6, (5, 3))
