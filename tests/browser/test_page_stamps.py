"""Gather and scatter: both ways give the δ that NumPy finds, for every kind of convolution."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.base.numbers import short
from chainrule.explaining.facts.tensors import decode
from tests.browser.page import Page

CASES: list[tuple[Any, tuple[int, ...], tuple[int, ...]]] = [
    (cr.Conv2D(2, 3), (6, 5, 2), (2, 3)),
    (cr.Conv2D(3, 3, stride=2, padding=1), (7, 6, 2), (3, 0)),
    (cr.Conv2D(2, 3, padding=2, dilation=2), (6, 6, 1), (0, 5)),
    (cr.Conv2D(4, 3, groups=2), (6, 5, 4), (5, 4)),
    (cr.Conv1D(3, 4, stride=2, padding=1), (9, 2), (4,)),
    (cr.Conv1D(2, 3, dilation=2), (9, 2), (8,)),
]


def opened(page: Page, folder: Path, layer: Any, shape: tuple[int, ...]) -> dict[str, Any]:
    layers = [layer, cr.Tanh(), cr.Flatten(), cr.Dense(2)]
    network = cr.Network(layers, input_shape=shape, seed=3)
    rng = np.random.default_rng(1)
    report = cr.explain(network, rng.standard_normal((2, *shape)), rng.standard_normal((2, 2)), check=False)
    report.html(folder / "report.html")
    page.open(folder / "report.html")
    arrays: dict[str, Any] = {name: decode(one) for name, one in report.document["tensors"].items()}
    return {"delta": arrays["delta:input"][..., report.document["meta"]["sample"]], **arrays}


def choose(page: Page, place: tuple[int, ...], size: tuple[int, ...]) -> None:
    """Click at an entry of the map of the input."""
    row, column = place if len(place) == 2 else (0, place[0])
    rows, columns = size if len(size) == 2 else (1, size[0])
    box = page.box(".stamps .input .map", scroll=True)
    page.click(box.point((column + 0.5) / columns, (row + 0.5) / rows))


def slide(page: Page, count: int) -> None:
    page.evaluate(
        f"(s => {{ s.value = {count}; s.dispatchEvent(new Event('input')); }})"
        "(document.querySelector('.stamps input[type=range]'))"
    )


@pytest.mark.turns(2)
@pytest.mark.parametrize(("layer", "shape", "place"), CASES, ids=lambda case: str(case))
def test_both_end_in_the_same_number(
    layer: Any, shape: tuple[int, ...], place: tuple[int, ...], page: Page, tmp_path: Path
) -> None:
    arrays = opened(page, tmp_path, layer, shape)
    size = shape[:-1]
    page.click(".stamps [data-view='gather']")
    for channel in range(shape[-1]):
        if shape[-1] > 1:
            chosen = f"(s => {{ s.value = {channel}; s.dispatchEvent(new Event('change')); }})"
            page.evaluate(f"{chosen}(document.querySelector('.stamps .content select'))")
        choose(page, place, size)
        expected = float(arrays["delta"][(*place, channel)])
        assert page.text(".stamps .result .number") == short(expected)
        rows = page.evaluate(
            "[...document.querySelectorAll('.stamps .terms:not(.all) .product')].map(e => e.textContent)"
        )
        printed = [Decimal(row.replace("−", "-")) for row in rows]
        assert sum(printed[:-1]) == printed[-1]
        assert float(printed[-1]) == pytest.approx(expected, abs=1e-3)

        page.click(".stamps [data-view='scatter']")
        count = page.evaluate("Number(document.querySelector('.stamps input[type=range]').max)")
        slide(page, 0)
        assert page.text(".stamps .result .number") == "0"
        slide(page, count)
        assert page.text(".stamps .result .number") == short(expected)
        assert short(expected) in page.text(".stamps .same")
        page.click(".stamps [data-view='gather']")
    assert page.errors == page.requests == []


def test_the_kernel_lies_on_the_deltas_that_reach_the_entry(page: Page, tmp_path: Path) -> None:
    """Stride 2, padding 1: between the δ's is a hole, and the 3 x 3 kernel lies on 3 x 3 places."""
    opened(page, tmp_path, cr.Conv2D(1, 3, stride=2, padding=1), (7, 7, 1))
    page.click(".stamps [data-view='gather']")
    choose(page, (3, 2), (7, 7))
    cells = page.evaluate("document.querySelector('.stamps .spread .outline').dataset.cells")
    # the spread δ begins at u + p - (kernel - 1) = -1 for u = 0: row 3 lies under places 3 … 5 of the map
    assert set(cells.split()) == {f"{r},{c}" for r in (3, 4, 5) for c in (2, 3, 4)}
    there = page.evaluate(
        "(s => [...s.querySelectorAll('.cells rect')].filter(e => !e.classList.contains('hole'))"
        ".map(e => [+e.getAttribute('y'), +e.getAttribute('x')]))(document.querySelector('.stamps .spread'))"
    )
    assert there == [[r, c] for r in (1, 3, 5, 7) for c in (1, 3, 5, 7)]


def test_a_stamp_adds_weight_times_delta(page: Page, tmp_path: Path) -> None:
    arrays = opened(page, tmp_path, cr.Conv2D(2, 3, stride=2, padding=1), (5, 5, 1))
    sample = page.evaluate("chainrule.page.document.meta.sample")
    W, d = arrays["conv1.W"], arrays["delta:conv1"][..., sample]
    page.click(".stamps [data-view='scatter']")
    choose(page, (2, 2), (5, 5))
    slide(page, 5)  # the windows (0, 0) … (1, 1) of kernel 0 have stamped
    canvas = np.zeros((7, 7))
    for i, j in [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]:
        canvas[2 * i : 2 * i + 3, 2 * j : 2 * j + 3] += W[0, :, :, 0] * d[i, j, 0]
    assert page.text(".stamps .result .number") == short(float(canvas[3, 3]))
    text = page.text(".stamps .sum")
    assert f"{short(float(W[0, 1, 1, 0]))} · {short(float(d[1, 1, 0]))}" in text
    outlines = page.evaluate(
        "[...document.querySelectorAll('.stamps .input .outline.source')].map(e => e.dataset.cells)"
    )
    assert set(" ".join(outlines).split()) == {f"{r},{c}" for r in (1, 2, 3) for c in (1, 2, 3)}


def test_play_runs_to_the_end_and_respects_reduced_motion(page: Page, tmp_path: Path) -> None:
    arrays = opened(page, tmp_path, cr.Conv2D(2, 3), (5, 5, 1))
    total = "Number(document.querySelector('.stamps input[type=range]').max)"
    at = "Number(document.querySelector('.stamps input[type=range]').value)"
    page.click(".stamps [data-view='scatter']")
    page.click(".stamps .play")
    page.wait_for(f"{at} > 0 && {at} < {total}")
    page.wait_for(f"{at} === {total}")
    page.wait_for("document.querySelector('.stamps .same') !== null")
    slide(page, 0)
    page.media(prefers_reduced_motion="reduce")
    page.click(".stamps .play")
    assert page.evaluate(f"{at} === {total}")
    delta = arrays["delta"][..., 0].ravel()  # chosen at first: the largest
    assert page.text(".stamps .result .number") == short(float(delta[np.abs(delta).argmax()]))
    assert page.errors == page.requests == []


def test_a_transposed_convolution_does_not_stamp_its_delta(page: Page, tmp_path: Path) -> None:
    """Its δ is a correlation; what it places is its output."""
    layers = [cr.Conv2D(2, 3), cr.ConvTranspose2D(1, 4, stride=2, padding=1), cr.Flatten(), cr.Dense(2)]
    network = cr.Network(layers, input_shape=(5, 5, 1), seed=0)
    rng = np.random.default_rng(0)
    report = cr.explain(network, rng.standard_normal((2, 5, 5, 1)), rng.standard_normal((2, 2)), check=False)
    report.html(tmp_path / "report.html")
    page.open(tmp_path / "report.html", "selftest")
    assert page.count(".stamps") == page.count(".stamps[data-layer=conv1]") == 1
    assert set(json.loads(page.text("#selftest"))["handlers"].values()) == {True}
    assert page.errors == []
