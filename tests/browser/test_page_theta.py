"""The page of notation "ng": pointing, the nudge and the quiz speak of Θ, whose column 0 is the bias."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.base.numbers import short
from chainrule.explaining.facts.tensors import decode
from tests.browser.page import Page


def report(**options: Any) -> cr.Report:
    network = cr.Network([cr.Dense(4), cr.Tanh(), cr.Dense(3), cr.Softmax()], input_shape=5, seed=1)
    rng = np.random.default_rng(0)
    for name in ("dense1.b", "dense2.b"):
        network.set_parameters({name: rng.standard_normal(network.parameters[name].shape)})
    X, y = rng.standard_normal((4, 5)), np.eye(3)[[0, 1, 2, 1]]
    return cr.explain(
        network,
        X,
        y,
        **{"check": False, "notation": "ng", "language": "en", "penalty": cr.L2(0.4), **options},
    )


def mixed() -> cr.Report:
    layers = [cr.Conv2D(2, 3), cr.ReLU(), cr.Flatten(), cr.Dense(3, bias=False), cr.Tanh(), cr.Dense(2)]
    network = cr.Network(layers, input_shape=(5, 5, 1), seed=1)
    X, y = np.random.default_rng(0).standard_normal((2, 5, 5, 1)), np.eye(2)
    return cr.explain(network, X, y, notation="ng", check=False, penalty=cr.L1(0.1))


@pytest.fixture
def opened(page: Page, tmp_path: Path) -> Page:
    report().html(tmp_path / "report.html")
    page.open(tmp_path / "report.html")
    return page


@pytest.mark.parametrize(
    "make", [report, lambda: report(penalty=None), mixed], ids=["penalty", "none", "mixed"]
)
def test_the_page_tests_itself(make: Any, page: Page, tmp_path: Path) -> None:
    make().html(tmp_path / "report.html")
    page.open(tmp_path / "report.html", "selftest")
    result = json.loads(page.text("#selftest"))
    assert result["frozen"] is None
    assert result["worst"]["error"] < 1e-12
    assert set(result["handlers"].values()) == {True}, result
    assert page.errors == page.requests == []


def test_pointing_at_the_bias_shows_delta_times_one(opened: Page) -> None:
    made = report()
    D = decode(made.document["tensors"]["gradient:dense2.Θ"])
    opened.evaluate("chainrule.page.explain({quantity: 'gradient:dense2.Θ', index: [2, 0]}, true)")
    assert opened.text("#reading .what code") == "[3, 0]"
    assert opened.text("#reading .value b") == short(D[2, 0])
    factors = opened.evaluate(
        "[...document.querySelectorAll('#reading .terms td:nth-child(2)')].map(e => e.textContent)"
    )
    assert [one.endswith("· 1") for one in factors[:4]] == [True] * 4
    opened.evaluate("chainrule.page.explain({quantity: 'dense2', index: [0, 1]}, true)")
    letters = opened.evaluate("document.querySelector('#reading .terms th math').textContent")
    assert letters == "Θ(2)1, 0·a(2)0" or sorted(letters) == sorted("Θ(2)1, 0·a(2)0")


def test_d_and_the_whole_gradient_are_told_apart_after_a_change(opened: Page) -> None:
    """A worked entry of either says what it is now: D without what the penalty adds."""
    opened.evaluate(
        "chainrule.page.edit.set('dense2.Θ', [0, 0], chainrule.page.edit.value('dense2.Θ', [0, 0]) + 1)"
    )
    opened.evaluate("chainrule.page.edit.settle()")
    found = opened.evaluate(
        """[...document.querySelectorAll('.worked')].map(({dataset: d, className: c, textContent: t}) =>
          [d.quantity, d.index, c.includes('stale'), /now(−?[\\d.e−]+)/.exec(t.replaceAll(' ', ''))?.[1]])"""
    )
    state = "chainrule.page.edit.now().gradients['dense1.Θ']"
    gradient = np.reshape(opened.evaluate(f"[...{state}.data]"), opened.evaluate(f"{state}.shape"))
    theta = decode(report().document["tensors"]["dense1.Θ"])
    shown = {(quantity, index): now for quantity, index, stale, now in found if stale and quantity}
    for (quantity, index), now in shown.items():
        place = tuple(map(int, index.split(",")))
        added = 0.4 * theta[place] if len(place) == 2 and place[1] and quantity.endswith("dense1.Θ") else 0.0
        if quantity == "gradient:dense1.Θ":
            assert now == short(gradient[place])
        if quantity == "data gradient:dense1.Θ":
            assert now == short(gradient[place] - added)
    assert {quantity for quantity, _ in shown} >= {"gradient:dense1.Θ", "data gradient:dense1.Θ"}


def test_the_quiz_knows_what_is_done_wrong_with_column_0(opened: Page) -> None:
    """The bias penalised too, the penalty forgotten, the bias left out: each is told by its number."""
    opened.evaluate("chainrule.page.dock.open('quiz')")
    asked = {}
    for seed in range(1, 30):
        opened.evaluate(f"chainrule.page.quiz.start({seed})")
        for question in opened.evaluate("chainrule.page.quiz.round()"):
            names = {one["name"] for one in question["mistakes"]}
            asked.setdefault((question["kind"], question["index"][1:2] == [0]), set()).update(names)
            if question["kind"] == "∇Θ":
                found = decode(report().document["tensors"][question["quantity"]])
                assert question["value"] == pytest.approx(found[tuple(question["index"])], rel=1e-9)
    assert "penalised" in asked["∇Θ", True]
    assert "penalty" not in asked["∇Θ", True]
    assert "penalty" in asked["∇Θ", False]
    assert "penalised" not in asked["∇Θ", False]
    assert "bias" in asked.get(("z", False), set()) | asked.get(("z", True), set())
    assert "penalised" in asked["J", False]
    opened.evaluate("chainrule.page.quiz.start(7)")
    hints = opened.evaluate(
        """(() => { const quiz = chainrule.page.quiz;
          for (let n = 0; n < 10 && quiz.question()?.kind !== "∇Θ"; n++) quiz.next();
          quiz.hint(); quiz.hint(); return document.querySelector("#dock .clues").textContent; })()"""
    )
    assert "D" in hints
    assert opened.errors == []
