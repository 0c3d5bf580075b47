"""Epochs and penalty of a table's network, chosen by inner splits of its training part.

The usual settings are a candidate among the others; the test part is never looked at.  What is tried is
bounded by work, not by time, so that the same seed gives the same bits on every machine.  The figures behind
the numbers here are in docs/decisions/0012-settings-by-size.md.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.base.errors import NonFiniteError
from chainrule.base.types import Array
from chainrule.cli.training.choices import Settings, choose_optimizer, choose_penalty, settings_for
from chainrule.cli.training.recipes import Recipe
from chainrule.cli.training.sources import Problem
from chainrule.data import split

if TYPE_CHECKING:
    from chainrule.losses import Loss
    from chainrule.networks.network import Network

EPOCHS, PENALTIES = (10, 30, 120, 250), (1e-4, 1e-3, 1e-2, 3e-2)
SMALLEST, LARGEST = 50, 50_000  # samples: with fewer nothing is tried; of more, so many are looked at
INNER_PART = 0.2  # of the samples is held out in an inner split
FINALISTS, MOST_SPLITS = 3, 4  # the best of the first split, and the usual, are tried on further splits
# Work is counted in samples that pass forward and backward, times 1 + parameters / 10 000: 1.4 million a
# second on two cores.  Of one training from 0.01 to 1.5 million; of all together about 6 million.
LEAST_OF_ONE, MOST_OF_ONE, WORK = 1e4, 1.5e6, 6e6
CLEARLY = 1.0  # standard errors by which a candidate must be better than the usual settings
ERROR_SHARE = 0.5  # of a wrong class in the score, beside its log-loss


@dataclass(frozen=True, eq=False)
class Search:
    """The settings chosen; lines and entries say what else was tried, nothing where nothing was."""

    settings: Settings
    lines: tuple[str, ...] = ()
    facts: dict[str, Any] | None = None


def is_searched(problem: Problem, arguments: argparse.Namespace, recipe: Recipe | None) -> bool:
    """Whether epochs and penalty are chosen by trying: for a table's rows where no argument says either."""
    decided = recipe is not None or arguments.source in settings_for
    told = arguments.epochs is not None or arguments.penalty is not None or arguments.patience is not None
    return not decided and not told and len(problem.input_shape) == 1 and len(problem.X_train) >= SMALLEST


def candidates(usual: Settings, samples: int, parameters: int) -> list[Settings]:
    """The usual settings, and those around them that are not too much work, in a fixed order."""
    cost = 1 + parameters / 10_000
    epochs = [count for count in EPOCHS if LEAST_OF_ONE <= count * samples <= MOST_OF_ONE / cost]
    penalties = [value for value in PENALTIES if usual.penalty / 20 <= value <= usual.penalty * 5]
    return [usual, *(replace(usual, epochs=count, penalty=value) for count in epochs for value in penalties)]


def search(
    network: Network,
    X: Array,
    y: Array,
    loss: Loss,
    usual: Settings,
    arguments: argparse.Namespace,
    class_weight: Mapping[Any, float] | None = None,
) -> Search:
    """The candidate with the least mean score over the inner splits; the usual settings, where no candidate
    is clearly better than these.

    network: as it starts; it stays so. y: labels, where the network has classes, else numbers (N, K).
    """
    started = time.perf_counter()
    if len(X) > LARGEST:
        chosen = np.random.default_rng(arguments.seed).permutation(len(X))[:LARGEST]
        X, y = X[chosen], y[chosen]
    parameters = network.count_parameters()
    tried = candidates(usual, len(X), parameters)
    if len(tried) == 1:
        return Search(usual)

    def score(candidate: Settings, number: int) -> Array:
        from chainrule.training.fit import fit

        seed, stratify = arguments.seed + number, network.classes is not None
        X_train, X_held, y_train, y_held = split(X, y, INNER_PART, seed=seed, stratify=stratify)
        trial = network.copy()
        try:
            fit(
                trial, X_train, y_train, loss=loss, penalty=choose_penalty(candidate, None),
                optimizer=choose_optimizer(candidate, arguments), batch_size=candidate.batch_size,
                epochs=candidate.epochs, class_weight=class_weight, seed=seed, threads=arguments.threads,
                progress=False,
            )  # fmt: skip
            return scores(trial, X_held, y_held, class_weight)
        except NonFiniteError:
            return np.full(len(X_held), np.inf)

    def work(some: list[int]) -> float:
        epochs = sum(tried[index].epochs for index in some)
        return (1 + parameters / 10_000) * (1 - INNER_PART) * len(X) * epochs

    everyone = list(range(len(tried)))
    first = [score(candidate, 0) for candidate in tried]
    finalists = sorted(everyone[1:], key=lambda index: float(first[index].mean()))[:FINALISTS]
    left = (WORK - work(everyone)) / work([0, *finalists])
    splits = 1 + int(min(max(left, 0), MOST_SPLITS - 1))
    measured = {
        index: np.concatenate([first[index], *(score(tried[index], number) for number in range(1, splits))])
        for index in (0, *finalists)
    }
    return outcome(tried, first, measured, splits, time.perf_counter() - started)


def scores(network: Network, X: Array, y: Array, class_weight: Mapping[Any, float] | None) -> Array:
    """What a candidate is judged by, of every sample (N,): squared error; of classes -log of the probability
    of the true one, and a half more where another one is predicted.
    """
    outputs = network.predict(X).astype(np.float64)
    if network.classes is None:
        scaled = outputs if network.preparation is None else network.preparation.target(outputs)
        return np.asarray(((np.asarray(scaled, np.float64) - y) ** 2).mean(axis=1))
    wrong = network.classify(X) != y
    certain = log_loss_of(network, outputs, y)
    values = ERROR_SHARE * wrong + (wrong if certain is None else certain)
    if class_weight is None:
        return np.asarray(values)
    return np.asarray(values * np.array([class_weight.get(label, 1.0) for label in y.tolist()]))


def log_loss_of(network: Network, outputs: Array, y: Array) -> Array | None:
    """-log of the probability of the true class (N,), at most 16; None where outputs are no probabilities."""
    from chainrule.layers import Sigmoid, Softmax

    assert network.classes is not None
    last = network.layers[-1]
    ids = np.searchsorted(network.classes, y)
    if outputs.shape[1] == 1 and isinstance(last, Sigmoid):
        certain = np.where(ids == 1, outputs[:, 0], 1 - outputs[:, 0])
    elif isinstance(last, Softmax):
        certain = outputs[np.arange(len(y)), ids]
    else:
        return None
    return np.asarray(-np.log(np.maximum(certain, 1e-7)))


def choose(measured: Mapping[int, Array]) -> int:
    """The candidate to take, 0 for the usual settings: its index in `measured`."""
    best = min(measured, key=lambda index: float(measured[index].mean()))
    if not np.isfinite(measured[0]).all():
        return best
    better = measured[0] - measured[best]
    return best if better.mean() > CLEARLY * better.std() / np.sqrt(len(better)) else 0


def outcome(
    tried: list[Settings], first: list[Array], measured: Mapping[int, Array], splits: int, seconds: float
) -> Search:
    """The search with its lines for the terminal and its entries for run.json."""
    chosen, usual = choose(measured), tried[0]
    means = {index: float(values.mean()) for index, values in measured.items()}
    by = "an inner split" if splits == 1 else f"{splits} inner splits"
    heading = f"epochs and penalty by {by} of the training part: {len(tried)} tried in {seconds:.1f} s"
    if chosen:
        why = (
            f"score {means[chosen]:.4g}, with the usual {usual.epochs} and {usual.penalty:.2g} {means[0]:.4g}"
        )
    else:
        best = min((index for index in means if index), key=lambda index: means[index])
        rival = f"{tried[best].epochs} and {tried[best].penalty:.2g}"
        why = f"the usual, score {means[0]:.4g}, as none is clearly better ({rival}: {means[best]:.4g})"
    line = f"{tried[chosen].epochs} epochs, penalty {tried[chosen].penalty:.2g}: {why}"
    entries = [
        {
            "epochs": candidate.epochs,
            "penalty": candidate.penalty,
            "first_split": float(values.mean()),
            "score": means.get(index),
        }
        for index, (candidate, values) in enumerate(zip(tried, first, strict=True))
    ]
    return Search(tried[chosen], (heading, line), {"splits": splits, "tried": entries})
