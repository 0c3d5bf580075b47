"""The conventions in force for a network, loss and penalty, each with what other sources do, as JSON."""

from __future__ import annotations

from chainrule.base.languages import say_json
from chainrule.explaining.references.convention_table import AVERAGES, DENSE, PENALTIES, Choice, Convention
from chainrule.explaining.references.convention_table_layers import FUNCTIONS, IMAGES
from chainrule.explaining.references.features import features_of
from chainrule.explaining.references.slips import concerns
from chainrule.explaining.schema import ChoiceRecord, ConventionRecord
from chainrule.losses import Loss, loss_for
from chainrule.losses.penalties import Penalty
from chainrule.networks.network import Network

CONVENTIONS: tuple[Convention, ...] = (*DENSE, *AVERAGES, *PENALTIES, *IMAGES, *FUNCTIONS)


def conventions_of(
    network: Network, loss: Loss | None = None, penalty: Penalty | None = None
) -> list[ConventionRecord]:
    """In order, only those which concern the network.  Letters are none of them: see notation_rows.py.

    loss None: the one of the last layer.
    """
    features = features_of(network, loss or loss_for(network.layers[-1]), penalty)
    return [_json(one, features) for one in CONVENTIONS if concerns(one.when, features)]


def _json(convention: Convention, features: frozenset[str]) -> ConventionRecord:
    own = next(choice for choice in convention.own if concerns(choice.when, features))
    return {
        "id": convention.id,
        "option": say_json(convention.option),
        "choice": _choice(own),
        "others": [_choice(other) for other in convention.others if concerns(other.when, features)],
    }


def _choice(choice: Choice) -> ChoiceRecord:
    return {"text": say_json(choice.text), "source": choice.source, "write": choice.write}
