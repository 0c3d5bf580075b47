"""BatchNorm of the batch, LayerNorm, RMSNorm, GroupNorm."""

from __future__ import annotations

import numpy as np
from tests.verifying.museum.case import Cases, Made, normal

CASES = Cases(__name__)
bug = CASES.bug
BATCH = normal(51, (6, 4), (4,), (4,))
EPS = 1e-5


def batch_norm(x, gamma, beta):
    mu, var = x.mean(0), x.var(0)
    hat = (x - mu) / np.sqrt(var + EPS)
    return gamma * hat + beta, (x, hat, mu, var, gamma)


def batch_gradients(dout, hat):
    return (dout * hat).sum(0), dout.sum(0)


@bug("mlpack/mlpack#1923", "mean and variance are taken as constants", "batchnorm", ("subtract only",))
def statistics_as_constants() -> Made:
    def backward(dout, cache):
        _, hat, _, var, gamma = cache
        return dout * gamma / np.sqrt(var + EPS), *batch_gradients(dout, hat)

    return (batch_norm, backward), BATCH


@bug(
    "course: cs231n batchnorm_backward",
    "the path through the variance is missing",
    "batchnorm",
    "subtract only",
)
def path_through_variance_missing() -> Made:
    def backward(dout, cache):
        _, hat, _, var, gamma = cache
        dhat = dout * gamma
        return (dhat - dhat.mean(0)) / np.sqrt(var + EPS), *batch_gradients(dout, hat)

    return (batch_norm, backward), BATCH


@bug(
    "course: cs231n batchnorm_backward", "the path through the mean is missing", "batchnorm", "subtract only"
)
def path_through_mean_missing() -> Made:
    def backward(dout, cache):
        x, hat, mu, var, gamma = cache
        dhat, std = dout * gamma, np.sqrt(var + EPS)
        dvar = (dhat * (x - mu) * -0.5 / std**3).sum(0)
        return dhat / std + dvar * 2 * (x - mu) / len(x), *batch_gradients(dout, hat)

    return (batch_norm, backward), BATCH


@bug(
    "datascience.stackexchange 10741",
    "the exponent of the variance is -1/2 for -3/2",
    "batchnorm",
    ("divide", "power", "multiply", "x̂"),
)
def exponent_of_variance() -> Made:
    def backward(dout, cache):
        x, hat, mu, var, gamma = cache
        dhat, std = dout * gamma, np.sqrt(var + EPS)
        dvar = (dhat * (x - mu) * -0.5 / std).sum(0)
        dmu = -(dhat / std).sum(0)
        return dhat / std + dvar * 2 * (x - mu) / len(x) + dmu / len(x), *batch_gradients(dout, hat)

    return (batch_norm, backward), BATCH


@bug(
    "course: batchnorm in steps",
    "1/N is forgotten in the step of the mean",
    "batchnorm",
    "mean_samples as sum_samples",
)
def mean_step_not_divided() -> Made:
    def backward(dout, cache):
        x, hat, _mu, var, gamma = cache
        dhat, std = dout * gamma, np.sqrt(var + EPS)
        dxmu = dhat / std - hat * (dhat * hat).sum(0) / std / len(x)
        return dxmu - (dhat / std).sum(0), *batch_gradients(dout, hat)

    return (batch_norm, backward), BATCH


@bug("jax-ml/jax#442", "variance in place of its root", "batchnorm", ("sqrt only", "root again"))
def root_forgotten() -> Made:
    def backward(dout, cache):
        _, hat, _, var, gamma = cache
        dhat = dout * gamma
        dx = (dhat - dhat.mean(0) - hat * (dhat * hat).mean(0)) / (var + EPS)
        return dx, *batch_gradients(dout, hat)

    return (batch_norm, backward), BATCH


@bug("course: batchnorm", "∂γ without x̂", "batchnorm", "multiply only")
def scale_without_normed_input() -> Made:
    def backward(dout, cache):
        _, hat, _, var, gamma = cache
        dhat = dout * gamma
        dx = (dhat - dhat.mean(0) - hat * (dhat * hat).mean(0)) / np.sqrt(var + EPS)
        return dx, dout.sum(0), dout.sum(0)

    return (batch_norm, backward), BATCH


@bug("azret: karpathy/llm.c#763", "γ is left out of δ", "batchnorm", ("multiply only", "γ"))
def scale_left_out() -> Made:
    def backward(dout, cache):
        _, hat, _, var, _ = cache
        dx = (dout - dout.mean(0) - hat * (dout * hat).mean(0)) / np.sqrt(var + EPS)
        return dx, *batch_gradients(dout, hat)

    return (batch_norm, backward), BATCH


@bug("course: batchnorm", "x in place of x̂ in ∂γ", "batchnorm", ("symbol", "divide", "subtract", "x̂"))
def raw_input_in_scale() -> Made:
    def backward(dout, cache):
        x, hat, _, var, gamma = cache
        dhat = dout * gamma
        dx = (dhat - dhat.mean(0) - hat * (dhat * hat).mean(0)) / np.sqrt(var + EPS)
        return dx, (dout * x).sum(0), dout.sum(0)

    return (batch_norm, backward), BATCH


@bug(
    "course: batchnorm of images",
    "averaged over the samples alone, not the pixels",
    "batchnorm",
    ("uncounted",),
)
def spatial_counted_as_samples() -> Made:
    def forward(x, gamma, beta):
        mu, var = x.mean((0, 2, 3), keepdims=True), x.var((0, 2, 3), keepdims=True)
        hat = (x - mu) / np.sqrt(var + EPS)
        return gamma[:, None, None] * hat + beta[:, None, None], (hat, var, gamma)

    def backward(dout, cache):
        hat, var, gamma = cache
        e, n = dout * gamma[:, None, None], len(dout)
        sums = e.sum((0, 2, 3), keepdims=True) + hat * (e * hat).sum((0, 2, 3), keepdims=True)
        return (e - sums / n) / np.sqrt(var + EPS), (dout * hat).sum((0, 2, 3)), dout.sum((0, 2, 3))

    return (forward, backward), normal(52, (2, 3, 4, 5), (3,), (3,))


ROWS = normal(53, (5, 6), (6,), (6,))


def layer_norm(x, gamma, beta):
    mu = x.mean(-1, keepdims=True)
    rstd = 1 / np.sqrt(x.var(-1, keepdims=True) + EPS)
    hat = (x - mu) * rstd
    return gamma * hat + beta, (hat, rstd, gamma)


def layer_back(dx):
    """The backward pass with dx(e, x̂, 1/σ) in place of its δ."""

    def backward(dout, cache):
        hat, rstd, gamma = cache
        return dx(dout * gamma, hat, rstd), (dout * hat).sum(0), dout.sum(0)

    return backward


def mean(values):
    return values.mean(-1, keepdims=True)


@bug(
    "tenstorrent/tt-metal#53204",
    "the mean of δγ is subtracted twice",
    "layernorm",
    ("twice", "factor", "subtract"),
)
def mean_subtracted_twice() -> Made:
    return (layer_norm, layer_back(lambda e, hat, rstd: rstd * (e - 2 * mean(e) - hat * mean(e * hat)))), ROWS


@bug("course: layernorm", "sums in place of means", "layernorm", "mean_features as sum_features")
def layer_sums_for_means() -> Made:
    def dx(e, hat, rstd):
        return rstd * (e - e.sum(-1, keepdims=True) - hat * (e * hat).sum(-1, keepdims=True))

    return (layer_norm, layer_back(dx)), ROWS


@bug("flagos-ai/FlagGems#5392", "the means run over the samples", "layernorm", ("across",))
def layer_means_over_samples() -> Made:
    return (
        layer_norm,
        layer_back(lambda e, hat, rstd: rstd * (e - e.mean(0) - hat * (e * hat).mean(0))),
    ), ROWS


@bug(
    "Oneflow-Inc/oneflow#6149",
    "∂γ and ∂β are exchanged",
    "layernorm",
    ("another",),
)
def scale_and_shift_exchanged() -> Made:
    def backward(dout, cache):
        hat, rstd, gamma = cache
        e = dout * gamma
        dx = rstd * (e - mean(e) - hat * mean(e * hat))
        return dx, dout.sum(0), (dout * hat).sum(0)

    return (layer_norm, backward), ROWS


@bug(
    "deepspeedai/DeepSpeed#692",
    "∂γ from (out - β)/γ without the division",
    "layernorm",
    ("times",),
)
def scale_from_the_output() -> Made:
    def forward(x, gamma, beta):
        out, cache = layer_norm(x, gamma, beta)
        return out, (*cache, out, beta)

    def backward(dout, cache):
        *rest, out, beta = cache
        dx, _, dbeta = layer_back(lambda e, hat, r: r * (e - mean(e) - hat * mean(e * hat)))(dout, rest)
        return dx, (dout * (out - beta)).sum(0), dbeta

    return (forward, backward), ROWS


@bug(
    "tenstorrent/tt-metal#53204",
    "only the last block of features reaches the sum",
    "layernorm",
    ("part from",),
)
def only_the_last_block() -> Made:
    def dx(e, hat, rstd):
        part = (e * hat)[:, 3:].sum(-1, keepdims=True) / e.shape[-1]
        return rstd * (e - mean(e) - hat * part)

    return (layer_norm, layer_back(dx)), ROWS


@bug(
    "karpathy/llm.c#408",
    "∂γ is written, not accumulated, over the samples",
    "layernorm",
    ("last", "overwritten"),
)
def scale_of_the_last_sample() -> Made:
    def backward(dout, cache):
        hat, rstd, gamma = cache
        e = dout * gamma
        for i in range(len(dout)):
            dgamma, dbeta = dout[i] * hat[i], dout[i]
        return rstd * (e - mean(e) - hat * mean(e * hat)), dgamma, dbeta

    return (layer_norm, backward), ROWS


def rms_norm(x, g):
    r = 1 / np.sqrt((x**2).mean(-1, keepdims=True) + EPS)
    return x * r * g, (x, r, g)


RMS = normal(54, (5, 6), (6,))


@bug("azret: karpathy/llm.c#763", "the weight is forgotten in δ", "rmsnorm", ("multiply only", "γ"))
def rms_weight_forgotten() -> Made:
    def backward(dout, cache):
        x, r, _ = cache
        return r * (dout - x * r**2 * mean(dout * x)), (dout * x * r).sum(0)

    return (rms_norm, backward), RMS


@bug(
    "BobMcDear/attorch#17",
    "every row has the correction of another row",
    "rmsnorm",
    ("keepdims",),
)
def rms_correction_broadcast_wrongly() -> Made:
    def backward(dout, cache):
        x, r, g = cache
        e = dout * g
        correction = (e * x * r).mean(-1)  # (n,), broadcast along the last axis
        dx = r * (e - x * r * correction) if x.shape[0] == x.shape[1] else r * (e - x * r * mean(e * x * r))
        return dx, (dout * x * r).sum(0)

    return (rms_norm, backward), normal(55, (5, 5), (5,))


@bug("linkedin/Liger-Kernel#117", "dw is not summed over the rows", "rmsnorm", ("wrong shape",))
def rms_weight_not_summed() -> Made:
    def backward(dout, cache):
        x, r, g = cache
        e = dout * g
        return r * (e - x * r**2 * mean(e * x)), dout * x * r

    return (rms_norm, backward), RMS


@bug(
    "flagos-ai/FlagGems#5771",
    "the variance where 1/rms must be",
    "rmsnorm",
    ("symbol", "only", "divide", "as multiply"),
)
def rms_variance_for_inverse_root() -> Made:
    def backward(dout, cache):
        x, _r, g = cache
        e, v = dout * g, (x**2).mean(-1, keepdims=True)
        return v * (e - x * v**2 * mean(e * x)), (dout * x * v).sum(0)

    return (rms_norm, backward), RMS


@bug("course: rmsnorm", "the correction is summed, not averaged", "rmsnorm", "mean_features as sum_features")
def rms_sum_for_mean() -> Made:
    def backward(dout, cache):
        x, r, g = cache
        e = dout * g
        return r * (e - x * r**2 * (e * x).sum(-1, keepdims=True)), (dout * x * r).sum(0)

    return (rms_norm, backward), RMS


@bug("course: rmsnorm", "1/rms constant", "rmsnorm", "subtract only")
def rms_constant() -> Made:
    def backward(dout, cache):
        x, r, g = cache
        return dout * g * r, (dout * x * r).sum(0)

    return (rms_norm, backward), RMS


@bug("course: groupnorm", "groups: means over all channels", "groupnorm", ("group", "mean", "axis"), groups=2)
def group_means_over_all() -> Made:
    def forward(x, gamma, beta):
        parts = x.reshape(len(x), 2, -1)
        rstd = 1 / np.sqrt(parts.var(-1, keepdims=True) + EPS)
        hat = ((parts - parts.mean(-1, keepdims=True)) * rstd).reshape(x.shape)
        return gamma * hat + beta, (hat, np.repeat(rstd[:, :, 0], 3, axis=1), gamma)

    return (forward, layer_back(lambda e, hat, rstd: rstd * (e - mean(e) - hat * mean(e * hat)))), ROWS


@bug("paper: weight normalisation", "the part of dW along V is not taken out", None, ("term missing",))
def weight_norm_without_projection() -> Made:
    def forward(x, V, g):
        size = np.sqrt((V**2).sum(axis=0))
        return x @ (g * V / size), (x, V, g, size)

    def backward(d, cache):
        x, V, g, size = cache
        dW = x.T @ d
        dg = (dW * V).sum(axis=0) / size
        return d @ (g * V / size).T, dW * g / size, dg

    return (forward, backward), normal(57, (5, 4), (4, 3), (3,))
