"""Labelled samples for a trained network: those its run held out, or a file's."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from chainrule.base.errors import FileError
from chainrule.cli.arguments import table_defaults
from chainrule.cli.folder import description_name, open_run, read_description
from chainrule.cli.runs.inputs import read_inputs
from chainrule.cli.runs.stored import penalty_of, problem_of
from chainrule.cli.samples import Samples
from chainrule.data import Preparation
from chainrule.data.task import known_labels
from chainrule.networks.network import Network


def labelled_samples(arguments: argparse.Namespace) -> Samples:
    """What `arguments.model` is to be looked at on: `arguments.data`, else what its run held out.

    Raises FileError where there are no labels or the run's data cannot be found.
    """
    network, preparation = open_run(arguments.model)
    if arguments.data is not None:
        return _from_file(network, preparation, arguments)
    place = Path(arguments.model)
    description = read_description((place if place.is_dir() else place.parent) / description_name)
    if description is None:
        raise FileError(
            f"{place}: its data is not known; say on which samples: --data digits, or --data FILE.csv"
        )
    problem = problem_of(description, place, network, download=arguments.download)
    penalty = penalty_of(description, place)
    return Samples(network, problem.X_test, problem.y_test, penalty, len(problem.X_train))


def _from_file(network: Network, preparation: Preparation, arguments: argparse.Namespace) -> Samples:
    named = argparse.Namespace(file=arguments.data, model=arguments.model, x=None, **table_defaults)
    inputs = read_inputs(named, network, preparation).labelled()
    if inputs.target is None:
        target = preparation.target_name or "y"
        raise FileError(
            f"{arguments.data}: has no labels (no column or array {target!r}), which δ starts from"
        )
    y = inputs.target
    if network.classes is not None and (labels := known_labels(y, network.classes)) is not None:
        y = labels  # else probabilities, or a label per step
    if preparation.targets is not None:
        y = np.asarray(y, np.float64).reshape(len(y), -1)
    return Samples(network, preparation(inputs.X, arguments.data), preparation.target(y))
