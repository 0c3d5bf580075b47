"""The slips of the seeds that the reader of this network's derivation may meet, as JSON."""

from __future__ import annotations

from collections.abc import Iterable

from chainrule.base.languages import same, say_json
from chainrule.explaining.references.features import features_of
from chainrule.explaining.references.slip_table import SEED_000_SLIPS, SEED_001_SLIPS, Slip
from chainrule.explaining.references.slip_table_more import SEED_002_SLIPS, SEED_003_SLIPS, SEED_004_SLIPS
from chainrule.explaining.schema import SlipRecord
from chainrule.losses import Loss, loss_for
from chainrule.losses.penalties import Penalty
from chainrule.networks.network import Network

SLIPS: tuple[Slip, ...] = (
    *SEED_000_SLIPS,
    *SEED_001_SLIPS,
    *SEED_002_SLIPS,
    *SEED_003_SLIPS,
    *SEED_004_SLIPS,
)


def slips_of(network: Network, loss: Loss | None = None, penalty: Penalty | None = None) -> list[SlipRecord]:
    """In order.  loss None: the one that belongs to the last layer."""
    features = features_of(network, loss or loss_for(network.layers[-1]), penalty)
    return [
        {
            "id": slip.id,
            "seed": slip.seed,
            "where": say_json(same(slip.where) if isinstance(slip.where, str) else slip.where),
            "kind": slip.kind,
            "printed": say_json(slip.printed),
            "read_as": say_json(slip.read_as),
        }
        for slip in SLIPS
        if concerns(slip.when, features)
    ]


def concerns(when: Iterable[str], features: frozenset[str]) -> bool:
    """Whether one of the conditions holds; "a+b" needs both."""
    return any(set(condition.split("+")) <= features for condition in when)
