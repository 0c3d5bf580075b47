"""Conventions in force: in both languages, only those that concern the network, and they can be written."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.explaining.references.convention_table import CONVENTIONS, TEXTS
from chainrule.explaining.references.conventions import conventions_of
from chainrule.explaining.references.features import features_of
from chainrule.explaining.references.slips import concerns
from chainrule.formulas import sum_entries, sum_outputs
from tests.explaining.languages import check_text, texts
from tests.explaining.networks import problems

PROBLEMS = problems()


def choice(name: str, convention: str) -> str:
    """The English text of the choice in force."""
    found = {one["id"]: one["choice"]["text"]["en"] for one in conventions_of(*PROBLEMS[name])}
    return str(found.get(convention, ""))


def test_every_convention_speaks_both_languages_and_stands_once() -> None:
    assert len({one.key for one in CONVENTIONS}) == len(CONVENTIONS) > 20
    keys = {f"{one.key}.{option.key}" for one in CONVENTIONS for option in (*one.own, *one.others)}
    options = {f"{one.key}.option" for one in CONVENTIONS}
    assert keys | options == set(TEXTS)
    for key in options:
        check_text({"en": TEXTS[key].en, "zh": TEXTS[key].zh})
    for key in keys:
        assert TEXTS[key].en.endswith(".")
        assert TEXTS[key].zh.endswith("。")
    for one in CONVENTIONS:
        for option in (*one.own, *one.others):
            assert option.write.count("`") in (0, 2)


def test_every_condition_can_hold() -> None:
    features = [features_of(*problem) for problem in PROBLEMS.values()]
    for one in CONVENTIONS:
        own = [found for found in features if concerns(one.when, found)]
        assert own, one.key
        for found in own:
            assert any(concerns(option.when, found) for option in one.own), one.key
        for number, option in enumerate(one.own):  # each is the one in force somewhere
            before = one.own[:number]
            assert any(
                concerns(option.when, found) and not any(concerns(other.when, found) for other in before)
                for found in own
            ), (one.key, option.key)
        for option in one.others:
            assert any(concerns(option.when, found) for found in own), (one.key, option.key)


@pytest.mark.parametrize("name", PROBLEMS)
def test_json(name: str) -> None:
    found = conventions_of(*PROBLEMS[name])
    assert set(found[0]) == {"id", "option", "choice", "others"}
    assert len(list(texts(found))) == sum(2 + len(one["others"]) for one in found)
    for one in found:  # what is in force is not named again as something else
        assert one["choice"]["text"] not in [other["text"] for other in one["others"]]


def test_a_namesake_is_not_taken_for_ours() -> None:
    """Losses and penalties of the same names with formulas of their own."""

    class L2(cr.Penalty):
        def value(self, W: Any, training_size: Any) -> Any:
            return sum_entries(W**4) / 4

        def gradient(self, W: Any, training_size: Any) -> Any:
            return W**3

    class SquaredError(cr.Loss):
        def value(self, a: Any, y: Any) -> Any:
            return sum_outputs((a - y) ** 4)

        def gradient(self, a: Any, y: Any) -> Any:
            return 4 * (a - y) ** 3

    network = PROBLEMS["line"][0]
    of_ours = features_of(network, cr.SquaredError(), cr.L2(0.1))
    assert of_ours - features_of(network, SquaredError(), L2()) == {"squared", "l2"}


def test_what_can_be_asked_for_can_be_written() -> None:
    network = cr.Network([cr.Dense(2), cr.Softmax()], input_shape=3, seed=0)
    X, y = np.zeros((2, 3)), np.array([0, 1])
    layers: dict[str, Any] = {
        "count_padding=True": cr.AveragePool2D,
        "truncate=k": cr.RNN,
        "label_smoothing=0": cr.CrossEntropy,
    }
    names = {name: getattr(cr, name) for name in cr.__all__}
    names |= {"X": X, "y": y, "lam": 0.1, "k": 2, "network": network}
    names["backpropagate"] = network.backpropagate
    for one in CONVENTIONS:
        for option in (*one.own, *one.others):
            code = option.write.strip("`")
            if re.fullmatch(r"\w+=\w+", code):
                made: Any = layers.get(code, cr.L1)
                positional = {cr.AveragePool2D: "2, padding=1, ", cr.RNN: "3, ", cr.L1: "0.1, "}.get(made, "")
                code = f"{made.__name__}({positional}{code})"
            if code:
                eval(code, names)


def test_the_choice_follows_the_network() -> None:
    assert choice("deep", "output delta").startswith("Activation and loss are one formula")
    assert choice("softmax-squared", "output delta").startswith("∂J/∂a through the whole Jacobian")
    assert choice("squared", "output delta").startswith("∂J/∂a ⊙ f′(z)")
    assert choice("line", "output delta").startswith("∂J/∂a as it is")
    assert choice("squared", "loss reduction").startswith("Mean over the outputs")
    assert choice("line", "loss reduction").startswith("Sum over the outputs")
    assert choice("sigmoids", "penalty scale").startswith("λ/2m")
    assert choice("deep", "penalty scale").startswith("λ/2 ")
    assert choice("line", "penalty scale") == choice("line", "flip") == ""
    assert choice("lenet", "flip").startswith("Not flipped going forward")
    assert choice("steps", "time").endswith("that the layer states.")
    assert choice("norms", "engine")
