"""`chainrule check`: every gradient of a network against finite differences."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import numpy as np

from chainrule.base.errors import FileError
from chainrule.base.types import Array
from chainrule.cli.folder import open_run
from chainrule.cli.output import say
from chainrule.cli.training.ensemble import say_first
from chainrule.cli.training.networks import check_network, named_layers, read_network_file
from chainrule.data.arrays import prepared

if TYPE_CHECKING:
    from chainrule.networks.network import Network


def run(arguments: argparse.Namespace) -> int:
    """Print the table of verdicts; exit code 1 when a gradient is wrong."""
    from chainrule.checking import check_gradients

    network, X, y = subject(arguments.model, arguments.samples, arguments.seed)
    report = check_gradients(network, X, y)
    say(report)
    return 0 if report.ok else 1


def subject(model: str, samples: int, seed: int = 0, dtype: str = "float64") -> tuple[Network, Array, Array]:
    """A network and samples for it: digits themselves, else random ones of its shapes. model: "digits", a
    network file, or what was trained; dtype: of what was not.
    """
    from chainrule.networks.network import Network

    rng = np.random.default_rng(seed)
    if model == "digits":
        from chainrule.data import load_digits

        X, y = load_digits()
        chosen = rng.permutation(len(X))[:samples]
        layers = named_layers("conv", (8, 8, 1), 10, classify=True)
        return Network(layers, input_shape=(8, 8, 1), seed=seed), X[chosen], y[chosen]
    if model.lower().endswith(".toml"):
        layers, input_shape = read_network_file(model)
        if input_shape is None:
            raise FileError(
                f"{model}: needs an input_shape, with no data to tell it, such as input_shape = [28, 28, 1]"
            )
        check_network(layers, input_shape, samples, model)
        network = Network(layers, input_shape=input_shape, seed=seed, dtype=dtype)
    else:
        network, _ = open_run(model)
        say_first(model)
        check_network(list(network.layers), network.input_shape, samples, model)
    shape = (samples, *network.input_shape)
    count = network.vocabulary
    X = prepared(rng.standard_normal(shape)) if count is None else rng.integers(count, size=shape)
    return network, X, random_targets(network, samples, rng)


def random_targets(network: Network, samples: int, rng: np.random.Generator) -> Array:
    """Targets that the network's own loss takes."""
    from chainrule.losses import BinaryCrossEntropy, CrossEntropy, loss_for

    loss = loss_for(network.layers[-1])
    shape = (samples, *network.output_shape)
    if isinstance(loss, CrossEntropy) and len(network.output_shape) == 1:
        ids = rng.integers(network.output_shape[0], size=samples)
        return ids if network.classes is None else np.asarray(network.classes)[ids]
    if isinstance(loss, BinaryCrossEntropy):
        return rng.integers(2, size=shape).astype(np.float64)
    return prepared(rng.standard_normal(shape))
