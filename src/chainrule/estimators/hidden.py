"""Hidden layers from sizes, names of activations, dropout and normalisation."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral
from typing import Any

from chainrule.base.errors import ArgumentError, describe
from chainrule.layers import (
    ELU,
    GELU,
    SELU,
    BatchNorm,
    Dense,
    Dropout,
    HardSigmoid,
    HardSwish,
    HardTanh,
    Identity,
    Layer,
    LayerNorm,
    LeakyReLU,
    Mish,
    PReLU,
    ReLU,
    RMSNorm,
    Sigmoid,
    SiLU,
    Softplus,
    Softsign,
    Tanh,
)

# By name; "logistic" is scikit-learn's word for the sigmoid.
ACTIVATIONS: dict[str, type[Layer]] = {
    "identity": Identity,
    "logistic": Sigmoid,
    "tanh": Tanh,
    "relu": ReLU,
    "sigmoid": Sigmoid,
    "elu": ELU,
    "gelu": GELU,
    "hard_sigmoid": HardSigmoid,
    "hard_swish": HardSwish,
    "hard_tanh": HardTanh,
    "leaky_relu": LeakyReLU,
    "mish": Mish,
    "prelu": PReLU,
    "selu": SELU,
    "silu": SiLU,
    "softplus": Softplus,
    "softsign": Softsign,
}
_OTHER_NAMES = {"linear": "identity", "swish": "silu", "leakyrelu": "leaky_relu", "hardtanh": "hard_tanh"}
NORMALIZATIONS: dict[str, type[Layer]] = {"batch": BatchNorm, "layer": LayerNorm, "rms": RMSNorm}


def sizes_of(value: Any, argument: str) -> list[int]:
    """Units of every hidden layer from a number or several; ValueError where one is below 1."""
    sizes = [*value] if isinstance(value, Iterable) and not isinstance(value, str) else [value]
    if not all(isinstance(size, Integral) and not isinstance(size, bool) for size in sizes):
        raise ArgumentError(f"{argument} must be whole numbers such as (100, 50), received {describe(value)}")
    if any(size <= 0 for size in sizes):
        raise ArgumentError(f"{argument} must be > 0, got {sizes}.")
    return [int(size) for size in sizes]


def per_layer(value: Any, count: int, argument: str) -> list[Any]:
    """One entry for every hidden layer: the same for all, or a list of as many."""
    if isinstance(value, (str, Layer)) or value is None or not isinstance(value, Iterable):
        return [value] * count
    several = [*value]
    if len(several) != count:
        raise ArgumentError(
            f"{argument} has {len(several)} entries, and the hidden layers are {count}: give one for all, or "
            "one each"
        )
    return several


def activation_from(value: Any, argument: str = "activation") -> Layer:
    """An activation from its name or a layer; a layer is copied."""
    return _layer(value, ACTIVATIONS, argument)


def _layer(value: Any, known: dict[str, type[Layer]], argument: str) -> Layer:
    if isinstance(value, Layer):
        return value.another()
    if isinstance(value, str) and value.lower() in known:  # in any case, as names of optimizers are
        return known[value.lower()]()
    names, hint = ", ".join(map(repr, known)), ""
    if isinstance(value, str):
        word = value.lower().replace("-", "_")
        meant = _OTHER_NAMES.get(word, word.removesuffix("norm").removesuffix("_"))
        hint = f": write {meant!r}" if meant in known else ""
    elif isinstance(value, type) and issubclass(value, Layer):
        hint = f": write {value.__name__}()"
    raise ArgumentError(f"{argument} must be a layer or one of {names}, received {describe(value)}{hint}")


def hidden_layers(
    sizes: list[int], activation: Any, dropout: Any = 0.0, normalization: Any = None
) -> list[Layer]:
    """Dense, normalisation, activation, dropout for every hidden layer, the first always, the others where
    they are asked for.
    """
    count, layers = len(sizes), list[Layer]()
    activations = per_layer(activation, count, "activation")
    rates = per_layer(dropout, count, "dropout")
    normalizations = per_layer(normalization, count, "normalization")
    for units, function, rate, scaling in zip(sizes, activations, rates, normalizations, strict=True):
        layers.append(Dense(units))
        if scaling is not None:
            layers.append(_layer(scaling, NORMALIZATIONS, "normalization"))
        layers.append(activation_from(function))
        if rate != 0:
            layers.append(Dropout(rate))
    return layers
