"""The conventions in force for a network, loss and penalty, each with what other sources do, as JSON."""

from __future__ import annotations

from chainrule.base.languages import say_json
from chainrule.explaining.references.convention_table import CONVENTIONS, TEXTS, Choice, Convention
from chainrule.explaining.references.features import features_of
from chainrule.explaining.references.slips import concerns
from chainrule.explaining.schema import ChoiceRecord, ConventionRecord
from chainrule.explaining.words.catalogues import DERIVATIONS
from chainrule.losses import Loss, loss_for
from chainrule.losses.penalties import Penalty
from chainrule.networks.network import Network


def conventions_of(
    network: Network, loss: Loss | None = None, penalty: Penalty | None = None
) -> list[ConventionRecord]:
    """In order, only those which concern the network.  Letters are none of them: see notation_rows.py.

    loss None: the one of the last layer.
    """
    features = features_of(network, loss or loss_for(network.layers[-1]), penalty)
    return [_json(convention, features) for convention in CONVENTIONS if concerns(convention.when, features)]


def _json(convention: Convention, features: frozenset[str]) -> ConventionRecord:
    def choice(picked: Choice) -> ChoiceRecord:
        text = TEXTS[f"{convention.key}.{picked.key}"].format(at_a_tie=DERIVATIONS["at_a_tie"])
        return {"text": say_json(text), "source": picked.source, "write": picked.write}

    ours = next(candidate for candidate in convention.own if concerns(candidate.when, features))
    return {
        "id": convention.key.replace("_", " "),
        "option": say_json(TEXTS[f"{convention.key}.option"]),
        "choice": choice(ours),
        "others": [choice(other) for other in convention.others if concerns(other.when, features)],
    }
