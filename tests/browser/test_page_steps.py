"""Steps of the page by slider, buttons and keys; the address restores step, entry and language."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.base.numbers import column, short
from chainrule.explaining.facts.tensors import decode
from tests.browser.page import Page

# The picture is there in two forms, of which one is shown.
SHOWN_AS_CURRENT = (
    "[...document.querySelectorAll('.node.current')].filter(e => e.getClientRects().length).length"
)
CURRENT = "document.querySelector('article.current')?.dataset.step"


@pytest.fixture
def report(tmp_path: Path) -> Any:
    layers = [cr.Conv2D(2, 3), cr.Tanh(), cr.Flatten(), cr.Dense(3), cr.Softmax()]
    network = cr.Network(layers, input_shape=(5, 5, 1), seed=1)
    X = np.random.default_rng(0).standard_normal((4, 5, 5, 1))
    made = cr.explain(network, X, np.array([0, 1, 2, 1]), check=False, sample=2)
    made.html(tmp_path / "report.html")
    return made


def test_the_order_of_steps_and_the_slider(report: Any, page: Page, tmp_path: Path) -> None:
    page.open(tmp_path / "report.html")
    order = ["F1", "F2", "F3", "F4", "F5", "L", "B4", "B3", "B2", "B1", "U"]
    assert page.evaluate("chainrule.page.steps.order") == order
    for step in order:
        page.click(".stepper button:last-of-type")
        assert page.evaluate(CURRENT) == step
        assert page.evaluate("location.hash") == f"#step={step}"
        assert page.count("article.current") == page.count("nav a[aria-current]") == 1
    page.click(".stepper button:last-of-type")
    assert page.evaluate(CURRENT) == "U"
    page.click(".stepper button:first-of-type")
    assert page.evaluate(CURRENT) == "B1"
    page.click(".stepper input")  # the middle of the slider
    number = page.evaluate("Number(document.querySelector('.stepper input').value)")
    assert page.evaluate(CURRENT) == order[number]
    assert page.evaluate(CURRENT) in ("F5", "L", "B4")
    page.press("ArrowRight")  # on the slider the browser's own
    assert page.evaluate(CURRENT) in ("L", "B4", "B3")
    assert page.errors == page.requests == []


def test_the_current_step_is_marked_in_picture_and_side(report: Any, page: Page, tmp_path: Path) -> None:
    page.open(tmp_path / "report.html", "step=B2")
    assert page.evaluate("document.querySelector('.node.current').dataset.layer") == "tanh1"
    assert page.text("nav a[aria-current]") == "B2"
    assert page.text(".stepper .name") == "B2 tanh1"
    page.press("ArrowRight")
    assert page.evaluate("document.querySelector('.node.current').dataset.layer") == "conv1"
    assert page.evaluate(SHOWN_AS_CURRENT) == 1


def test_an_address_restores_the_entry_and_the_language(report: Any, page: Page, tmp_path: Path) -> None:
    arrays = {name: decode(tensor) for name, tensor in report.document["tensors"].items()}
    page.open(tmp_path / "report.html", "step=B1&el=3,2,0&lang=zh")
    delta = arrays["delta:input"]
    assert delta is not None
    shown = page.evaluate("(d => [d.quantity, d.index])(document.querySelector('#reading').dataset)")
    assert shown == ["delta:input", "3,2,0,2"]  # without a sample that in focus
    assert page.text("#reading .value b") == short(float(delta[3, 2, 0, 2]))
    assert page.evaluate("document.querySelector('input[name=language]:checked').value") == "zh"
    assert "the derivation" not in page.text("h1").lower()
    assert page.evaluate(CURRENT) == "B1"
    page.press("Escape")
    assert page.evaluate("location.hash") == "#step=B1&lang=zh"
    assert page.errors == page.requests == []


def test_a_pinned_entry_is_in_the_address(report: Any, page: Page, tmp_path: Path) -> None:
    page.resize(1300, 900)
    page.open(tmp_path / "report.html", "step=F1")
    page.click("#card-F1 figure.maps[data-quantity='conv1'] rect")
    index = page.evaluate("chainrule.page.selected.index")
    address = page.evaluate("location.hash")
    assert address == f"#step=F1&el={','.join(map(str, index))}"
    page.click("#card-F1 figure.maps[data-quantity='conv1.W'] rect")
    address = page.evaluate("location.hash")
    assert address == "#step=F1&el=0,0,0,0&q=conv1.W"
    page.open(tmp_path / "report.html", address[1:])
    assert page.evaluate("chainrule.page.selected") == {"quantity": "conv1.W", "index": [0, 0, 0, 0]}
    worked = next(part for part in report.document["cards"][0]["forward"])["worked"][0]["index"]
    page.evaluate(f"location.hash = '#step=F1&el={','.join(map(str, worked))}'")
    page.wait_for("document.querySelector('#card-F1 .worked.current') !== null")
    for wrong in ("step=F1&el=9,9,9", "step=F1&el=x", "step=Z9", "el=1&q=nothing", "step=F1&el=0&q=nothing"):
        page.open(tmp_path / "report.html", wrong)
        assert page.evaluate("chainrule.page.selected") is None
        assert page.errors == []


def test_another_notation_is_asked_for_in_words(report: Any, page: Page, tmp_path: Path) -> None:
    page.open(tmp_path / "report.html", "step=F1&n=ng")
    assert 'report.html("report.html", notation="ng")' in page.text(".notice")
    page.press("ArrowRight")
    assert page.evaluate("location.hash") == "#step=F2&n=ng"
    page.open(tmp_path / "report.html", "n=greek")
    assert "There is no notation greek" in page.text(".notice")
    page.open(tmp_path / "report.html", "n=seed000")
    assert page.evaluate("document.querySelector('.notice').hidden")
    report.html(tmp_path / "english.html", language="en")
    page.open(tmp_path / "english.html", "lang=zh")
    assert 'language="en+zh"' in page.text(".notice")
    assert page.errors == []


def test_nothing_of_it_is_printed_or_needed(report: Any, page: Page, tmp_path: Path) -> None:
    page.open(tmp_path / "report.html", "step=F1&el=0,0,0&n=ng")
    page.media("print")
    for selector in (".stepper", "#reading", ".notice", ".stamps"):
        assert page.style(selector, "display") == "none"
    page.media()
    page.open(tmp_path / "report.html", scripts=False)
    assert page.count(".stepper, #reading, .stamps, .notice, [tabindex='0'].map") == 0


def test_numbers_are_printed_as_in_the_report(report: Any, page: Page, tmp_path: Path) -> None:
    page.open(tmp_path / "report.html")
    rng = np.random.default_rng(4)
    values = [*(rng.standard_normal(300) * 10.0 ** rng.integers(-9, 9, 300)), 0.0, 1.0625, 1.0635, 0.03125]
    values += [-1.03125, 2.5, 99999.5, 9.9996, 1e7, -1e-4, 9.99995e-5, 12345.5, 12346.5]
    printed = page.evaluate(f"{json.dumps(values)}.map(value => chainrule.page.number(value))")
    assert printed == [short(value) for value in values]
    for _ in range(40):
        terms = [*(rng.standard_normal(5) * 10.0 ** rng.integers(-4, 3)).tolist(), 0.03125, 0.15625]
        found = page.evaluate(f"chainrule.page.column({json.dumps(terms)}, {sum(terms)!r})")
        assert (found["terms"], found["total"]) == column(terms, sum(terms))
