"""RealMLP for tables: the network, where it starts, and how it is trained, with the published figures.

Source: Holzmüller, Grinsztajn & Steinwart, Better by Default: Strong Pre-Tuned MLPs and Boosted Trees on
Tabular Data, 2024; the figures are those of RealMLP-TD in its authors' package pytabkit 1.8.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.base.types import Array
from chainrule.data.door import inputs_of
from chainrule.data.preparation import Preparation
from chainrule.data.preparation.table import Columns
from chainrule.formulas.calling import call_formula
from chainrule.layers import (
    Clamp,
    Dense,
    Dropout,
    Embedding,
    Features,
    Flatten,
    Layer,
    Parallel,
    ParametricActivation,
    PeriodicEmbedding,
    Scale,
    Softmax,
)
from chainrule.layers.randomness import random_bits
from chainrule.losses import CrossEntropy, Loss, SquaredError
from chainrule.networks.network import Network
from chainrule.training.callbacks import EarlyStopping
from chainrule.training.fit import fit
from chainrule.training.history import History
from chainrule.training.optimizers import AdamW
from chainrule.training.schedules import CosineLog, FlatCosine

UNITS = (256, 256, 256)
EPOCHS, BATCH_SIZE = 256, 256
DROPOUT, WEIGHT_DECAY, LABEL_SMOOTHING, BETA2 = 0.15, 0.02, 0.1, 0.95
RATES = {"selu": 0.04, "mish": 0.2}  # of classes, and of a quantity
EMBEDDING = 8  # features of a level that is an id
# What multiplies the rate. The weight decay of these has the same factor a second time, as published; that of
# biases is 0 as everywhere.
FACTORS = {"periodic": 0.1, "scale": 6.0, "parametric": 0.1}
BIAS_FACTOR = 0.1
# Rows that the start is computed from: the deviations of 256 units are known to a percent.
START_ROWS = 16_384
SIMPLEX = 5  # rows, between which a unit's bias puts its 0


@dataclass(frozen=True)
class Tabular:
    """What a table's network is trained with; `epochs` alone may be another than published."""

    classify: bool
    epochs: int = EPOCHS

    @property
    def activation(self) -> str:
        return "selu" if self.classify else "mish"

    @property
    def loss(self) -> Loss:
        return CrossEntropy(label_smoothing=LABEL_SMOOTHING) if self.classify else SquaredError()

    @property
    def monitor(self) -> str:
        return "validation_accuracy" if self.classify else "validation_loss"

    def layers(self, columns: Any, outputs: int, clamp: tuple[float, float] | None = None) -> list[Layer]:
        """The layers for what `columns`, the inputs of a preparation, makes of a table; clamp: the range of a
        quantity, as it is scaled.  Raises ArgumentError where they are not grouped.
        """
        if not isinstance(columns, Columns) or not columns.grouped:
            raise ArgumentError("a table's network needs Preparation.learn(X, robust=True)")
        hidden: list[Layer] = []
        for units in UNITS:
            hidden += [Dense(units, ntk=True), ParametricActivation(self.activation), Dropout(DROPOUT)]
        end: list[Layer] = [Softmax()] if self.classify else [Clamp(*clamp)] if clamp else []
        return [*_first(columns), Scale(), *hidden, Dense(outputs, ntk=True), *end]

    def network(
        self,
        preparation: Preparation,
        outputs: int,
        *,
        clamp: tuple[float, float] | None = None,
        classes: Any = None,
        seed: int = 0,
        dtype: Any = "float32",
    ) -> Network:
        """The network, as its layers start; `start` moves it to the data."""
        layers = self.layers(preparation.inputs, outputs, clamp)
        return Network(
            layers,
            input_shape=preparation.width,
            seed=seed,
            dtype=dtype,
            classes=classes,
            preparation=preparation,
        )

    def fit(
        self,
        network: Network,
        X: Any,
        y: Any,
        validation: tuple[Any, Any] | None,
        *,
        seed: int = 0,
        **options: Any,
    ) -> History:
        """Train from the start that the data give; the best epoch by `validation` stays, of equals the last.

        options: of `fit`, such as sample_weight, class_weight, callbacks, threads, progress, comm.
        """
        start(network, X, seed)
        rate_factors, decay_factors = factors(network)
        rate = RATES[self.activation]
        stopping = None
        if validation is not None:
            stopping = EarlyStopping(self.epochs, monitor=self.monitor, last_of_ties=True)
        return fit(
            network,
            X,
            y,
            loss=self.loss,
            optimizer=AdamW(
                CosineLog(rate),
                beta2=BETA2,
                weight_decay=FlatCosine(WEIGHT_DECAY),
                decay_factors=decay_factors,
            ),
            batch_size=BATCH_SIZE,
            drop_last=True,
            epochs=self.epochs,
            validation=validation,
            early_stopping=stopping,
            rate_factors=rate_factors,
            dropout_schedule=FlatCosine(1.0),
            seed=seed,
            **options,
        )


def _first(columns: Columns) -> list[Layer]:
    """Waves for the numbers, levels as they are, vectors for the ids."""
    numbers = columns.sorts.count("number")
    beside = columns.sorts.count("level")
    if numbers == len(columns.sorts):
        return [PeriodicEmbedding()]
    if beside == len(columns.sorts):
        return []
    branches: list[list[Layer]] = []
    if numbers:
        branches.append([Features(0, numbers), PeriodicEmbedding()])
    if beside:
        branches.append([Features(numbers, numbers + beside)])
    for place, vocabulary in enumerate(columns.vocabularies, numbers + beside):
        branches.append([Features(place, place + 1), Embedding(vocabulary, EMBEDDING), Flatten()])
    return [Parallel(branches, join="concat")] if len(branches) > 1 else branches[0]


def factors(network: Network) -> tuple[dict[str, float], dict[str, float]]:
    """By parameter: what multiplies the rate, and what the weight decay."""
    rates, decays = {}, {}
    for name in network.parameter_specs:
        layer, _, parameter = name.rpartition(".")
        kind = next((kind for kind in FACTORS if layer.rpartition(".")[2].startswith(kind)), None)
        if kind is not None:
            rates[name] = decays[name] = FACTORS[kind]
        elif parameter == "b":
            rates[name] = BIAS_FACTOR
    return rates, decays


def start(network: Network, X: Any, seed: int = 0) -> None:
    """Parameters of the Dense layers as the data want them: every unit's z has deviation 1 over the rows of X
    without its bias, and is 0 at a random point between five of them ("he+5", after Steinwart 2019).

    Entries that Dropout would drop are dropped here, too.
    """
    rows = inputs_of(X, network)
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0, 2)))
    if len(rows) > START_ROWS:
        rows = rows[rng.permutation(len(rows))[:START_ROWS]]
    layers = list(network.layers)
    first = next(place for place, layer in enumerate(layers) if isinstance(layer, Dense))
    x = rows.astype(np.float64).T
    if first:
        below = str(layers[first - 1].name)
        x = network.executor().activations(network, rows, [below])[below].astype(np.float64).T
    for layer in layers[first:]:
        given: dict[str, Any] = dict(network.layer_parameters(layer))
        if isinstance(layer, Dense):
            moved = _started(layer, x, given, rng)
            network.set_parameters({f"{layer.name}.{name}": value for name, value in moved.items()})
            given |= moved
        given |= layer.draw(x.shape, partial(random_bits, seed, 0, str(layer.name)))
        x = call_formula(layer.forward, {"x": x, **given})


def _started(
    layer: Dense, x: Array, given: Mapping[str, Array], rng: np.random.Generator
) -> dict[str, Array]:
    W = given["W"].astype(np.float64)
    z = call_formula(layer.forward, {"x": x, "W": W, "b": np.zeros(layer.units)})
    deviation = z.std(axis=1, keepdims=True)
    deviation = np.where(deviation > 0, deviation, 1.0)
    z /= deviation
    shares = rng.exponential(size=(layer.units, SIMPLEX))
    shares /= shares.sum(axis=1, keepdims=True)
    chosen = rng.integers(0, x.shape[1], (layer.units, SIMPLEX))
    b = -(np.take_along_axis(z, chosen, axis=1) * shares).sum(axis=1)
    return {"W": W / deviation, "b": b}
