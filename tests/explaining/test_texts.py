"""What is said beside the formulas: the tutorials' rules in words, and where they stand."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule.explaining.blocks.kinds import Card, Paragraph
from chainrule.explaining.words import derivations as texts
from tests.explaining.reports import report


def said(name: str, step: str) -> str:
    """The English paragraphs of a card."""
    sections = report(name).outline().sections
    cards = [block for one in sections for block in one.blocks if isinstance(block, Card)]
    card = next(card for card in cards if card.step == step)
    return " ".join(block.text.en for block in card.blocks if isinstance(block, Paragraph))


def test_the_rule_in_words_of_ning_yu() -> None:
    """Weights into the next layer times its residuals, added up, times the derivative of the activation."""
    rule = said("dense", "B3")
    for words in ("the sum over them of weight times δ", "then times f′ of the one below at its own z"):
        assert words in rule


def test_what_delta_means() -> None:
    """Wang: how far from the ideal, 0; and which way J falls (Dezeming)."""
    words = said("dense", "L")
    assert "how far an output is from its ideal" in words
    assert "J falls when the output moves against the sign of δ" in words
    assert "1/m is here, once, and nowhere below" in words


def test_below_the_first_layer_there_is_no_derivative_of_an_activation() -> None:
    assert "no z and no f′. The result is ∂J/∂x itself" in said("dense", "B1")


@pytest.mark.parametrize(
    ("layer", "part", "where"),
    [
        (cr.Dense(1), "W", "Tutorial FC ①"),
        (cr.Dense(1), "b", "Tutorial FC ②"),
        (cr.Dense(1), "delta", "Tutorial FC ③"),
        (cr.Conv2D(1, 2), "delta", "Tutorial conv ①"),
        (cr.Conv2D(1, 2), "W", "Tutorial conv ②"),
        (cr.Conv2D(1, 2), "b", "Tutorial conv ③"),
        (cr.MaxPool2D(2), "delta", "Tutorial pooling"),
        (cr.LSTM(2), "delta", "Dezeming 3.2"),
        (cr.BatchNorm(), "delta", ""),  # beyond the tutorials
    ],
)
def test_circled_numbers_name_their_layer(layer: cr.Layer, part: str, where: str) -> None:
    """The Tutorial numbers dense layers and convolutions with the same ①②③."""
    found = texts.reference(layer, part)
    assert found.startswith(where) if where else found == ""


def test_pooling_says_whose_derivative_its_delta_is() -> None:
    layers = [cr.AveragePool2D(2, 1), cr.Flatten(), cr.Dense(1)]
    network = cr.Network(layers, input_shape=(4, 4, 1), seed=0)
    card = cr.explain(network, np.ones((2, 4, 4, 1)), np.zeros((2, 1)), check=False).document["cards"][0]
    delta = next(one for one in card["backward"] if one["part"] == "delta")
    assert "δ is ∂J/∂X here" in texts.why(layers[0], "delta").en
    assert "windows that overlap add up" in texts.why(layers[0], "delta").en
    assert delta["reference"] == "Tutorial pooling · Wang"


def test_braces_of_formulas_in_the_sentences_are_no_placeholders() -> None:
    """A_{u,i} of a Resample and z^{p-1} of an LpPool ended explain with a KeyError."""
    of_a_part = [key for key in texts.DERIVATIONS if key.startswith(("why.", "general."))]
    assert len(of_a_part) > 50
    for key in of_a_part:
        said = texts.DERIVATIONS[key].format(at_a_tie=texts.DERIVATIONS["at_a_tie"])
        assert "{{" not in said.en + said.zh, key
    assert "A_{u,i}" in texts.why(cr.Resample(0, np.eye(2)), "delta").en
