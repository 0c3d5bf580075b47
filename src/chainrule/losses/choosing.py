"""A loss by its name, or the one that belongs to the last layer."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from chainrule.base.errors import ArgumentError, describe
from chainrule.layers import Layer
from chainrule.layers.parts import Heads
from chainrule.losses.base import PAIRS, Loss
from chainrule.losses.counts import Poisson
from chainrule.losses.cross_entropy import BinaryCrossEntropy, CrossEntropy
from chainrule.losses.distances import CosineDistance, Huber, MeanAbsoluteError, SquaredError
from chainrule.losses.likelihoods import GaussianNLL, KLDivergence, NegativeLogLikelihood
from chainrule.losses.margins import CategoricalHinge, Hinge, MultiMargin, SoftMargin
from chainrule.losses.sequences.ctc import CTC
from chainrule.losses.several import several_losses


def loss_for(last_layer: Layer) -> Loss:
    """What belongs to an output: softmax CrossEntropy, sigmoid BinaryCrossEntropy, log softmax
    NegativeLogLikelihood, else SquaredError.
    """
    for layer, loss in PAIRS.items():
        if isinstance(last_layer, layer):
            return loss()
    return SquaredError()


_LOSSES: dict[str, Callable[[], Loss]] = {
    "cross_entropy": CrossEntropy,
    "binary_cross_entropy": BinaryCrossEntropy,
    "squared_error": SquaredError,
    "mse": SquaredError,
    "mean_absolute_error": MeanAbsoluteError,
    "mae": MeanAbsoluteError,
    "huber": Huber,
    "poisson": Poisson,
    "hinge": Hinge,
    "squared_hinge": functools.partial(Hinge, squared=True),
    "categorical_hinge": CategoricalHinge,
    "multi_margin": MultiMargin,
    "soft_margin": SoftMargin,
    "negative_log_likelihood": NegativeLogLikelihood,
    "kl_divergence": KLDivergence,
    "gaussian_nll": GaussianNLL,
    "cosine_distance": CosineDistance,
    "ctc": CTC,
}
# Keras, PyTorch, scikit-learn.
_OTHER_NAMES = {
    "categorical_crossentropy": "cross_entropy",
    "sparse_categorical_crossentropy": "cross_entropy",
    "binary_crossentropy": "binary_cross_entropy",
    "log_loss": "cross_entropy",
    "crossentropy": "cross_entropy",
    "crossentropyloss": "cross_entropy",
    "softmax_cross_entropy": "cross_entropy",
    "ce": "cross_entropy",
    "bce": "binary_cross_entropy",
    "bceloss": "binary_cross_entropy",
    "bcewithlogitsloss": "binary_cross_entropy",
    "mseloss": "mse",
    "l1loss": "mae",
    "l2": "mse",
    "mean_squared_error": "mse",
    "l1": "mae",
    "absolute_error": "mae",
    "smooth_l1": "huber",
    "nll": "negative_log_likelihood",
    "nll_loss": "negative_log_likelihood",
    "nllloss": "negative_log_likelihood",
    "kl": "kl_divergence",
    "kld": "kl_divergence",
    "kl_div": "kl_divergence",
    "kldivloss": "kl_divergence",
    "kullback_leibler_divergence": "kl_divergence",
    "cosine_similarity": "cosine_distance",
    "cosine": "cosine_distance",
    "multimarginloss": "multi_margin",
    "multi_margin_loss": "multi_margin",
    "softmarginloss": "soft_margin",
    "soft_margin_loss": "soft_margin",
    "gaussiannllloss": "gaussian_nll",
    "gaussian_nll_loss": "gaussian_nll",
}


def loss_from(value: Any, last_layer: Layer) -> Loss:
    """A loss from an object, a name or None: the one that belongs to the network's last layer; of several
    outputs from these by name.

    "mse" and "squared_error" are SquaredError(): ½‖a−y‖², summed over the outputs, "mae" is
    MeanAbsoluteError(), summed too. Errors name what to write.
    """
    if isinstance(last_layer, Heads):
        return several_losses(value, last_layer, loss_from)
    if value is None:
        return loss_for(last_layer)
    if isinstance(value, Loss):
        return value
    names = ", ".join(repr(name) for name in _LOSSES)
    if isinstance(value, str):
        if value.lower() not in _LOSSES:  # in any case, as names of optimizers are
            if value.lower() in _OTHER_NAMES:
                raise ArgumentError(f"loss {value!r} is unknown: write {_OTHER_NAMES[value.lower()]!r}")
            raise ArgumentError(
                f"loss {describe(value)} is unknown: write one of {names}, or an object: CrossEntropy()"
            )
        return _LOSSES[value.lower()]()
    hint = f": write {value.__name__}()" if isinstance(value, type) and issubclass(value, Loss) else ""
    raise TypeError(
        f"loss must be an object such as CrossEntropy() or one of {names}, received {describe(value)}{hint}"
    )
