"""scikit-learn's multilayer perceptrons as networks.

What is fitted is taken: coefs_, intercepts_, the activations and the classes. The network predicts with
`classify` what the estimator predicts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, describe
from chainrule.base.types import Array
from chainrule.layers import Dense, Layer
from chainrule.networks.forms.multilayer import ACTIVATIONS, ENDS
from chainrule.networks.network import Network
from chainrule.networks.taking.values import with_numbers


def from_sklearn(estimator: Any, *, dtype: str | None = None) -> Network:
    """The network of a fitted MLPClassifier or MLPRegressor, with its weights and classes; train it on.

    `network.predict(X)` is `predict_proba(X)`, of two classes the second one's, or `predict(X)` of a
    regressor, in columns; `network.classify(X)` is `predict(X)`.
    estimator: fitted; of scikit-learn, or chainrule.estimators' of the same names.
    dtype: by default that of its weights. Raises ArgumentError for another estimator or one not fitted.
    """
    names = ("coefs_", "intercepts_", "activation", "out_activation_")
    missing = [name for name in names if not hasattr(estimator, name)]
    if missing:
        advice = "fit it first" if hasattr(estimator, "hidden_layer_sizes") else "write one of these two"
        raise ArgumentError(
            f"from_sklearn takes a fitted MLPClassifier or MLPRegressor, received {describe(estimator)}; "
            f"{advice}"
        )
    weights, biases = estimator.coefs_, estimator.intercepts_
    end = estimator.out_activation_
    if estimator.activation not in ACTIVATIONS or end not in ENDS:
        raise ArgumentError(
            f"from_sklearn knows the activations {', '.join(ACTIVATIONS)} and the ends {', '.join(ENDS)}, "
            f"received {estimator.activation!r} and {end!r}"
        )
    layers: list[Layer] = []
    for number, (W, b) in enumerate(zip(weights, biases, strict=True), 1):
        layers.append(with_numbers(Dense(W.shape[1]), {"W": np.asarray(W).T, "b": np.asarray(b)}))
        if number < len(weights):
            layers.append(ACTIVATIONS[estimator.activation]())
    last = ENDS[end]
    layers += [] if last is None else [last()]
    chosen = dtype or ("float64" if weights[0].dtype == np.float64 else "float32")
    return Network(layers, input_shape=weights[0].shape[0], dtype=chosen, classes=_classes(estimator, biases))


def _classes(estimator: Any, biases: Sequence[Array]) -> list[Any] | None:
    """The labels; of several labels per sample there are as many, each 0 or 1, that have no names."""
    classes = getattr(estimator, "classes_", None)
    outputs = len(biases[-1])
    if classes is None or len(classes) != max(outputs, 2):
        return None
    several = outputs > 1 and estimator.out_activation_ == "logistic"
    return None if several else np.asarray(classes).tolist()
