"""The rows of the notation table: quantities and formulas of a network, which every notation can write."""

from __future__ import annotations

from collections.abc import Iterator

from chainrule.base.languages import Catalogue, say_json
from chainrule.explaining.facts.equations import (
    SAMPLE_WEIGHT,
    activation,
    dense,
    equation_json,
    recursion,
    residual,
)
from chainrule.explaining.facts.shares import data_gradient, with_penalty
from chainrule.explaining.references.features import features_of
from chainrule.explaining.references.slips import concerns
from chainrule.explaining.schema import LetterRow, NotationTable
from chainrule.formulas import Equation, Expression, Symbol
from chainrule.formulas.exchange import pack
from chainrule.losses import Loss, loss_for
from chainrule.losses.penalties import Penalty
from chainrule.networks.network import Network

_TEXTS = Catalogue("chainrule.explaining.references", "letters")
# The meaning's key, the symbol, and the networks it concerns, as in slip_table.py.
_LETTERS: tuple[tuple[str, Symbol, tuple[str, ...]], ...] = (
    ("input", Symbol("x", "input"), ("any",)),
    ("input_with_positions", Symbol("X", "image", "image"), ("image",)),
    ("weights", Symbol("W", "parameter W"), ("dense", "conv")),
    ("bias", Symbol("b", "parameter b"), ("bias",)),
    ("preactivation", Symbol("z", "preactivation"), ("dense", "conv")),
    ("activation", Symbol("a", "activation"), ("activation", "softmax")),
    ("residual", Symbol("dz", "gradient of preactivation"), ("dense", "conv")),
    ("residual_below", Symbol("dz below", "gradient of preactivation below"), ("hidden",)),
    ("slope", Symbol("f'", "slope of preactivation"), ("activation",)),
    ("prediction", Symbol("a", "prediction"), ("any",)),
    ("target", Symbol("y", "target"), ("any",)),
    ("cost", Symbol("J", "loss", "scalar"), ("any",)),
    ("data_cost", Symbol("J data", "data loss", "scalar"), ("penalty",)),
    ("batch_size", Symbol("m", "batch size", "scalar"), ("any",)),
    ("training_size", Symbol("m", "training size", "scalar"), ("per sample",)),
    ("sample_weights", SAMPLE_WEIGHT, ("sample weights",)),
)


def notation_rows(
    network: Network, loss: Loss | None = None, penalty: Penalty | None = None, weighted: bool = False
) -> NotationTable:
    """Trees, which are laid out in any notation.  weighted: whether samples have weights."""
    features = features_of(network, loss or loss_for(network.layers[-1]), penalty)
    features |= {"sample weights"} if weighted else set()
    letters: list[LetterRow] = []
    for key, symbol, when in _LETTERS:
        if concerns(when, features):
            nodes, (root,) = pack([symbol])
            letters.append({"meaning": say_json(_TEXTS[key]), "nodes": nodes, "root": root})
    return {
        "letters": letters,
        "formulas": [equation_json(equation) for equation in _formulas(features, penalty)],
    }


def _formulas(features: frozenset[str], penalty: Penalty | None) -> Iterator[Equation]:
    """What the same step looks like in every notation: forward, δ, δ handed down, ∂W, ∂b."""
    if "dense" not in features:
        return
    yield dense("forward")
    if "activation" in features:
        yield activation()
    yield residual()
    if "hidden" in features:
        yield recursion()
    if penalty is None:
        yield dense("W")
    else:
        yield data_gradient(dense("W"))
        yield with_penalty(penalty)
    if "bias" in features:
        yield dense("b")


def symbols_in_order(tree: Expression) -> tuple[Symbol, ...]:
    """The symbols of a tree, each once, in the order in which they are read."""
    symbols: dict[Symbol, None] = {}
    stack = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, Symbol):
            symbols[node] = None
        stack.extend(reversed(node.children))
    return tuple(symbols)
