"""RealMLP for the rows of a table: `chainrule train --network realmlp`, with the published figures."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from chainrule.cli.training.choices import Settings
from chainrule.cli.training.networks import REALMLP, no_table

if TYPE_CHECKING:
    from chainrule.cli.training.sources import Problem
    from chainrule.training.tabular import Tabular

VALIDATION = 0.2  # of the training part, by which the epoch is chosen where --validation does not say


def tabular_of(problem: Problem, arguments: argparse.Namespace) -> Tabular | None:
    """How the problem's network is trained, where that is RealMLP."""
    from chainrule.training.tabular import EPOCHS, Tabular

    if arguments.network != REALMLP:
        return None
    if not getattr(problem.preparation.inputs, "grouped", False):
        raise no_table(arguments)
    return Tabular(problem.classes is not None, arguments.epochs or EPOCHS)


def settings_of(tabular: Tabular) -> Settings:
    """What `run.json` says of it."""
    from chainrule.training.tabular import BATCH_SIZE, RATES

    return Settings(tabular.epochs, BATCH_SIZE, "adamw", RATES[tabular.activation], schedule="coslog")


def clamp_of(problem: Problem) -> tuple[float, float] | None:
    """The range of a quantity in the training part, as it is scaled."""
    if problem.classes is not None:
        return None
    return float(problem.y_train.min()), float(problem.y_train.max())
