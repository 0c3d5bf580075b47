"""The model part of a document, without a report around it."""

from __future__ import annotations

from typing import Any

import chainrule as cr
from chainrule.explaining.facts.model import PassFacts, model_of
from chainrule.reference import derive

LARGE = 10**8


def modelled(network: cr.Network, X: Any, y: Any, budget: int = LARGE, **options: Any) -> PassFacts:
    """options: as of `Network.problem`."""
    batch, objective = network.problem(X, y, **options)
    derived = derive(network, batch, objective)
    return model_of(network, batch, objective, derived, budget_bytes=budget)
