"""Slips of the tutorials: in both languages, and only those that concern the network."""

from __future__ import annotations

import re
from typing import Any

import pytest

from chainrule.explaining.references.features import features_of
from chainrule.explaining.references.slip_table import SLIPS, TEXTS
from chainrule.explaining.references.slips import slips_of
from chainrule.explaining.references.sources import TUTORIALS
from chainrule.losses.penalties import L2
from tests.explaining.languages import check_text, texts
from tests.explaining.networks import problems

PROBLEMS = problems()
# The list of what a report must not repeat: the row, and what of the right reading its text must name.
NAMED = {
    "2-03b": "Θ⁽¹⁾",
    "2-10": "z_1",
    "2-09": "y_i",
    "2-11": "unit 3",
    "2-14": "size of layer l.",
    "2-15": "i = 0",
    "2-07": "η",
    "0-08": "K−1",
    "0-06": "softmax",
    "4-12": "softmax",
    "0-20": "∂J/∂X",
    "0-18": "wrong",
    "1-06": "n_l − 1",
    "4-09": "layer l",
    "4-07": "1/M",
    "3-09": "f′(z)",
    "2-19": "z ≤ 0",
    "3-12": "need not be the lowest",
    "4-04": "batch normalisation",
}


def ids(name: str, penalty: Any = None) -> set[str]:
    network, loss, own = PROBLEMS[name]
    return {slip["id"] for slip in slips_of(network, loss, penalty or own)}


def test_every_slip_speaks_both_languages_and_stands_once() -> None:
    assert len({slip.id for slip in SLIPS}) == len(SLIPS) > 40
    assert [slip.id for slip in SLIPS] == sorted(slip.id for slip in SLIPS)
    assert len({slip.key for slip in SLIPS}) == len(SLIPS)
    for slip in SLIPS:
        assert re.fullmatch(r"[0-4]-\d\d[a-z]?", slip.id)
        assert slip.reference == TUTORIALS[int(slip.id[0])].name
        assert slip.kind in ("slip", "limit", "overclaim")
        for text in (slip.printed, slip.read_as):
            check_text({"en": text.en, "zh": text.zh})
            assert text.en.endswith(".")
            assert text.zh.endswith("。")
            assert "$" not in text.en
            assert "\\" not in text.en


def test_every_sentence_is_of_a_slip() -> None:
    parts = {f"{slip.key}.{part}" for slip in SLIPS for part in ("printed", "read_as")}
    words = {f"{slip.key}.where" for slip in SLIPS if not slip.section}
    assert parts | words == set(TEXTS)


def test_what_a_report_must_not_repeat_is_named() -> None:
    by_id = {slip.id: slip for slip in SLIPS}
    for row, name in NAMED.items():
        assert name.lower() in by_id[row].read_as.en.lower(), row
    assert {row for row, slip in by_id.items() if slip.kind == "overclaim"} == {"2-19", "3-12", "4-04"}


def test_every_condition_can_hold_and_fail() -> None:
    features = [features_of(*problem) for problem in PROBLEMS.values()]
    for slip in SLIPS:
        held = [any(set(one.split("+")) <= found for one in slip.when) for found in features]
        assert any(held), slip.id
        assert slip.when == ("any",) or not all(held), slip.id


@pytest.mark.parametrize("name", PROBLEMS)
def test_json(name: str) -> None:
    network, loss, penalty = PROBLEMS[name]
    found = slips_of(network, loss, penalty)
    assert len(list(texts(found))) == 3 * len(found) > 0
    assert set(found[0]) == {"id", "reference", "where", "kind", "printed", "read_as"}


def test_without_a_loss_it_is_that_of_the_last_layer() -> None:
    network, loss, penalty = PROBLEMS["sigmoids"]
    assert slips_of(network, penalty=penalty) == slips_of(network, loss, penalty)


def test_dense_networks_hear_nothing_of_convolutions() -> None:
    for name in ("line", "deep", "sigmoids", "steps"):
        assert not {"0-08", "0-11", "0-13", "0-15", "0-18", "0-20", "3-01", "3-09"} & ids(name)
    assert {"0-08", "0-11", "0-13", "0-15", "0-20", "0-21", "3-09", "3-09b"} <= ids("lenet")


def test_pooling() -> None:
    assert "0-18" in ids("lenet")  # windows of 2, 2 apart: the Tutorial's range gives wrong numbers
    assert "0-19" in ids("lenet")
    assert "0-19" in ids("pools")
    assert "0-08b" in ids("pools")
    assert "0-08b" not in ids("lenet")


def test_output_and_loss() -> None:
    assert {"0-06", "4-12", "2-04"} <= ids("deep")
    assert not {"0-06", "4-12"} & ids("sigmoids")  # elementwise
    assert "2-13" in ids("sigmoids")
    assert "2-13" not in ids("squared")
    assert "1-05" in ids("squared")
    assert "1-05" not in ids("deep")
    assert not {"0-05", "1-06", "2-11", "2-14", "4-09"} & ids("line")  # one layer: no recursion


def test_penalty() -> None:
    assert not {"2-07", "2-15"} & ids("line")
    assert {"2-07", "2-15"} <= ids("line", L2(0.1))


def test_claims_that_go_too_far() -> None:
    assert "4-04" in ids("norms")
    assert "4-04" not in ids("deep")
    assert "2-19" in ids("lenet")
    assert "2-19" not in ids("deep")
    assert all("3-12" in ids(name) for name in PROBLEMS)
    assert {"2-19b", "4-15"} <= ids("steps")
    assert "4-15" in ids("sequence")
