"""A trained network and labelled samples for it, to be explained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.base.types import Array

if TYPE_CHECKING:
    from chainrule.explaining.report import Report
    from chainrule.losses.penalties import Penalty
    from chainrule.networks.network import Network


@dataclass(frozen=True, eq=False)
class Samples:
    """A network, samples as it takes them, and what its training added to J."""

    network: Network
    X: Array
    y: Array
    penalty: Penalty | None = None
    training_size: int | None = None


def hardest(samples: Samples, count: int) -> list[int]:
    """The rows with the largest loss, largest first."""
    from chainrule.reference import target_columns

    network = samples.network
    batch, objective = network.problem(samples.X, samples.y)
    loss = objective.loss
    a = np.moveaxis(network.executor().predict(network, batch.inputs), 0, -1).astype(np.float64)
    with np.errstate(all="ignore"):
        values = loss.value(a, loss.prepared(target_columns(batch.targets, network, np.float64)))
    return [int(row) for row in np.argsort(-np.nan_to_num(values, nan=np.inf), kind="stable")[:count]]


def explained(samples: Samples, rows: list[int], **options: Any) -> Report:
    """The report on these rows; options as of `chainrule.explain`."""
    from chainrule.explaining.report import explain

    return explain(
        samples.network,
        samples.X[rows],
        samples.y[rows],
        penalty=samples.penalty,
        training_size=samples.training_size,
        **options,
    )
