"""Dense networks as scikit-learn's multilayer perceptrons, fitted."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, DataError, MissingExtraError
from chainrule.base.types import Array
from chainrule.layers import Dense, Dropout, Identity, Layer, ReLU, Sigmoid, Softmax, Tanh
from chainrule.networks.model import Model

# What scikit-learn calls them; the end is that of the outputs.
ACTIVATIONS: dict[str, type[Layer]] = {
    "identity": Identity,
    "logistic": Sigmoid,
    "tanh": Tanh,
    "relu": ReLU,
}
ENDS: dict[str, type[Layer] | None] = {"identity": None, "logistic": Sigmoid, "softmax": Softmax}


def to_sklearn(network: Model) -> Any:
    """The fitted estimator of a dense network; arguments and errors as of `Network.to_sklearn`."""
    try:
        from sklearn.neural_network import MLPClassifier, MLPRegressor
        from sklearn.preprocessing import LabelBinarizer
    except ImportError:
        raise MissingExtraError("scikit-learn", "estimators", "to_sklearn") from None
    weights, biases, hidden, end = _parts(network)
    activation = hidden or "relu"
    sizes = tuple(W.shape[0] for W in weights[:-1])
    made: Any = (MLPRegressor if end == "identity" else MLPClassifier)(
        hidden_layer_sizes=sizes, activation=activation
    )
    made.coefs_, made.intercepts_ = [W.T.copy() for W in weights], [b.copy() for b in biases]
    made.n_features_in_, made.n_outputs_ = weights[0].shape[1], len(biases[-1])
    made.n_layers_, made.out_activation_ = len(weights) + 1, end
    made.n_iter_ = made.t_ = 0
    made.loss_ = made.best_loss_ = float("nan")
    made.loss_curve_, made._random_state, made._no_improvement_count = [], np.random.RandomState(0), 0
    if end != "identity":
        outputs = len(biases[-1])
        count = 2 if outputs == 1 else outputs
        classes = network.classes if network.classes is not None else np.arange(count)
        several = outputs > 1 and end == "logistic"
        made._label_binarizer = LabelBinarizer().fit(
            np.eye(outputs, dtype=int) if several else np.asarray(classes)
        )
        made.classes_ = made._label_binarizer.classes_
        if not several and made.classes_.tolist() != np.asarray(classes).tolist():
            raise DataError(
                f"to_sklearn: scikit-learn has its classes sorted, {made.classes_.tolist()}, and this "
                f"network's outputs are {np.asarray(classes).tolist()}: train it on labels in that order"
            )
    return made


def _parts(network: Model) -> tuple[list[Array], list[Array], str, str]:
    """(weights, biases, the activation of all hidden layers, that of the end)."""
    kinds = {cls: name for name, cls in ACTIVATIONS.items()}
    ends = {cls: name for name, cls in ENDS.items()}
    weights: list[Array] = []
    biases: list[Array] = []
    between: list[list[Layer]] = []
    if network.shares:
        shared = next(uses[-1] for uses in network.parameter_uses().values() if len(uses) > 1)
        layer = next(layer for layer in network.layers if layer.name == shared)
        raise _unlike(layer, "it shares parameters with another layer, and an MLP's layers have their own")
    for layer in network.layers:
        if type(layer) is Dense and not layer.ntk:
            given = network.layer_parameters(layer)
            weights.append(given["W"])
            biases.append(given.get("b", np.zeros(layer.units, given["W"].dtype)))
            between.append([])
        elif weights and (type(layer) in kinds or type(layer) in ends) and not between[-1]:
            between[-1].append(layer)
        elif not isinstance(layer, Dropout):  # which a prediction passes on
            raise _unlike(layer, "an MLP of scikit-learn is Dense layers with an activation behind each")
    if not weights or len(network.input_shape) != 1:
        raise ArgumentError(
            "to_sklearn takes a network of Dense layers on vectors, received samples of "
            f"{network.input_shape}"
        )
    chosen = [kinds.get(type(held[0]), "") if held else "identity" for held in between[:-1]]
    if "" in chosen or len(set(chosen)) > 1:
        at = next(n for n, name in enumerate(chosen) if name in ("", *(set(chosen) - {chosen[0]})))
        held = between[at][0] if between[at] else network.layers[-1]
        raise _unlike(held, "an MLP of scikit-learn has one activation, the same behind every hidden layer")
    last = type(between[-1][0]) if between[-1] else None
    if last not in ends and last is not Identity:
        raise _unlike(between[-1][0], "an MLP of scikit-learn ends in a Softmax, a Sigmoid or nothing")
    return weights, biases, chosen[0] if chosen else "", "identity" if last is Identity else ends[last]


def _unlike(layer: Layer, what: str) -> ArgumentError:
    return ArgumentError(f"to_sklearn cannot take {layer.name}, {layer!r}: {what}")
