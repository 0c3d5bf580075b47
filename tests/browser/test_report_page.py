"""The page of a report in a browser: it computes itself again, its keys work, and it asks for nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from tests.browser.chromium import Browser
from tests.browser.page import Page


def dense() -> tuple[cr.Network, Any, Any]:
    network = cr.Network([cr.Dense(4), cr.Tanh(), cr.Dense(3), cr.Softmax()], input_shape=5, seed=1)
    return network, np.random.default_rng(0).standard_normal((4, 5)), np.array([0, 1, 2, 1])


def conv() -> tuple[cr.Network, Any, Any]:
    layers = [cr.Conv2D(3, 3), cr.Sigmoid(), cr.MaxPool2D(2), cr.Flatten(), cr.Dense(3), cr.Sigmoid()]
    network = cr.Network(layers, input_shape=(6, 6, 1), seed=1)
    return network, np.random.default_rng(0).standard_normal((5, 6, 6, 1)), np.eye(3)[[0, 1, 2, 1, 0]]


def residual() -> tuple[cr.Network, Any, Any]:
    branches = cr.Parallel([[cr.Dense(3)], [cr.Dense(4), cr.ReLU()]], join="concat")
    layers = [cr.Dense(6), cr.Residual([cr.Dense(6), cr.Tanh()]), branches, cr.Dense(2)]
    network = cr.Network(layers, input_shape=5, seed=1)
    rng = np.random.default_rng(0)
    return network, rng.standard_normal((4, 5)), rng.standard_normal((4, 2))


def recurrent() -> tuple[cr.Network, Any, Any]:
    layers = [cr.LSTM(4, outputs="all"), cr.GRU(3), cr.Dense(2), cr.Softmax()]
    network = cr.Network(layers, input_shape=(5, 3), seed=1)
    return network, np.random.default_rng(0).standard_normal((4, 5, 3)), np.array([0, 1, 1, 0])


def attention() -> tuple[cr.Network, Any, Any]:
    embedded = [cr.Embedding(7, 8, padding=0), cr.PositionalEncoding()]
    layers = [*embedded, cr.Residual([cr.MultiHeadAttention(2)]), cr.GlobalAveragePool(), cr.Dense(3)]
    network = cr.Network([*layers, cr.Softmax()], input_shape=(6,), seed=1)
    return network, np.random.default_rng(0).integers(1, 7, (4, 6)), np.array([0, 1, 2, 0])


def pooled() -> tuple[cr.Network, Any, Any]:
    """Without parameters."""
    network = cr.Network([cr.MaxPool2D(2), cr.Flatten(), cr.Softmax()], input_shape=(4, 4, 1))
    return network, np.random.default_rng(0).standard_normal((4, 4, 4, 1)), np.array([0, 1, 2, 3])


@pytest.fixture(scope="module")
def tested(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Any], dict[str, Any]]:
    """What the page of a network tells of itself, asked once; nothing went wrong meanwhile."""

    @cache
    def ask(make: Any) -> dict[str, Any]:
        network, X, y = make()
        path = tmp_path_factory.mktemp("tested") / "report.html"
        cr.explain(network, X, y, penalty=cr.L2(0.01), check=False).html(path)
        page = browser.page()
        page.open(path, "selftest")
        result: dict[str, Any] = json.loads(page.text("#selftest"))
        assert page.errors == page.requests == []
        page.close()
        return result

    return ask


@pytest.mark.turns(2)
@pytest.mark.parametrize("make", [dense, conv, residual, recurrent, attention])
def test_the_page_computes_the_batch_again(make: Any, tested: Any) -> None:
    result = tested(make)
    assert result["frozen"] is None
    assert result["compared"] > 10
    assert result["worst"]["error"] < 1e-12


@pytest.mark.parametrize("make", [dense, conv, residual, recurrent, attention, pooled])
def test_the_handlers_test_themselves(make: Any, tested: Any) -> None:
    handlers = tested(make)["handlers"]
    assert {"steps", "pointing", "gather and scatter", "change and undo", "nudge", "quiz"} <= set(handlers)
    assert set(handlers.values()) == {True}


def test_steps_by_keys_and_by_address(page: Page, tmp_path: Path) -> None:
    network, X, y = dense()
    cr.explain(network, X, y, check=False).html(tmp_path / "report.html")
    page.open(tmp_path / "report.html", "step=B3")
    assert page.evaluate("document.querySelector('article.current').dataset.step") == "B3"
    page.press("ArrowRight")
    assert page.evaluate("location.hash") == "#step=B2"
    page.press("ArrowLeft")
    assert page.evaluate("document.querySelector('nav a[aria-current]').dataset.step") == "B3"
    assert page.errors == page.requests == []


def test_without_javascript_all_is_there(page: Page, tmp_path: Path) -> None:
    network, X, y = conv()
    cr.explain(network, X, y, check=False).html(tmp_path / "report.html")
    page.open(tmp_path / "report.html", scripts=False)
    assert page.count("article.card") == 13
    assert page.count("svg.map rect") > 100
    box = page.box("#F1-forward-sized math", scroll=True)
    assert box.width > 50
    assert box.height > 15
