"""A report on a telephone: nothing but a formula or a table scrolls sideways, whatever the network."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from tests.browser.page import Page

CLASSES = [cr.Dense(3), cr.Softmax()]
RESIDUAL = cr.Residual([cr.Dense(6), cr.ReLU(), cr.Dense(6)])
BRANCHES: list[Any] = [[cr.Dense(4), cr.Tanh()], [cr.Dense(4)], RESIDUAL]
LONG = "the_layer_of_a_name_that_is_long_enough"
NETWORKS: dict[str, tuple[list[Any], tuple[int, ...]]] = {
    "dense": ([cr.Dense(4), cr.Tanh(), *CLASSES], (5,)),
    "deep": ([*(layer for _ in range(12) for layer in (cr.Dense(6), cr.Tanh())), *CLASSES], (5,)),
    "very deep": ([*(layer for _ in range(60) for layer in (cr.Dense(6), cr.ReLU())), *CLASSES], (6,)),
    "wide": ([cr.Dense(500, name=LONG), cr.LeakyReLU(0.125), *CLASSES], (1000,)),
    "conv": (
        [cr.Conv2D(16, 3, padding="same"), cr.ReLU(), cr.MaxPool2D(2), cr.Flatten(), *CLASSES],
        (8, 8, 3),
    ),
    "conv, up": (
        [cr.ConvTranspose2D(8, 3, stride=2, padding=1), cr.BatchNorm(), cr.GlobalAveragePool(), *CLASSES],
        (4, 4, 2),
    ),
    "recurrent": ([cr.LSTM(4, outputs="all", reverse=True), cr.GRU(3), *CLASSES], (5, 3)),
    "attention": (
        [cr.Residual([cr.LayerNorm(), cr.MultiHeadAttention(2, causal=True)]), cr.GlobalMaxPool(), *CLASSES],
        (6, 8),
    ),
    "branches": ([cr.Dense(6), cr.Parallel(BRANCHES, join="concat"), *CLASSES], (5,)),
    "branches within branches": (
        [cr.Dense(4), cr.Parallel([[cr.Dense(4)], [cr.Residual([cr.Dense(4)])], [cr.Tanh()], []]), *CLASSES],
        (5,),
    ),
}
# Of these only the picture is opened: hundreds of formulas, as others have them, would be set at every width.
ALONE = ("deep", "very deep", "branches within branches")
# How far the page reaches beyond the window, and the picture that is shown beyond its figure; its scale.
BEYOND = """(() => {
  const figure = document.querySelector("figure.network");
  const shown = [...figure.querySelectorAll("svg")].filter((svg) => svg.getBoundingClientRect().width > 0);
  const inner = shown.map((svg) => svg.getBoundingClientRect());
  return {
    page: document.documentElement.scrollWidth - innerWidth,
    forms: shown.length,
    picture: inner[0].right - figure.getBoundingClientRect().right,
    figure: figure.scrollWidth - figure.clientWidth,
    scale: inner[0].width / shown[0].viewBox.baseVal.width,
    texts: Math.max(...[...shown[0].querySelectorAll("text")].map((text) =>
      text.getBoundingClientRect().right - inner[0].right)),
    covered: [...shown[0].querySelectorAll(".node text:not(.sign)")].filter((text) => {
      const first = shown[0].querySelector(".rule");
      return first && text.getBoundingClientRect().right > first.getBoundingClientRect().left;
    }).map((text) => text.textContent),
  };
})()"""


def picture(source: str) -> str:
    """The page without what stands before and behind the section of the network."""
    places = [found.start() for found in re.finditer('<section[^>]* id="(network|notation)"', source)]
    assert len(places) == 2
    return f'{source[: source.index("<main")]}<main>{source[places[0] : places[1]]}</main></body></html>'


@pytest.mark.parametrize("name", NETWORKS)
def test_no_picture_of_a_network_scrolls_the_page(name: str, page: Page) -> None:
    layers, shape = NETWORKS[name]
    network = cr.Network(layers, input_shape=shape, seed=1)
    X = np.random.default_rng(0).standard_normal((3, *shape))
    source = cr.explain(network, X, [0, 1, 2], check=False).html()
    page.show(picture(source) if name in ALONE else source, scripts=name not in ALONE)
    for width, smallest in ((1000, 0.75), (400, 0.75), (320, 0.6)):  # 1000 is that of a new page
        page.resize(width, 800)
        found = page.evaluate(BEYOND)
        assert found["forms"] == 1, width
        assert max(found[key] for key in ("page", "picture", "figure", "texts")) <= 0.5, (width, found)
        assert found["scale"] > smallest, (width, found)
        assert not found["covered"], (width, found)
