"""Pointing at entries of the page: what is outlined and what adds up is what NumPy finds."""

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

Index = tuple[int, ...]


def opened(page: Page, folder: Path, layers: list[Any], shape: Any, **options: Any) -> dict[str, Any]:
    """The report of these layers on three samples, in the page at 1300 x 900; the arrays of its document."""
    network = cr.Network(layers, input_shape=shape, seed=1)
    rng = np.random.default_rng(2)
    X = rng.standard_normal((3, *((shape,) if isinstance(shape, int) else shape)))
    y = rng.standard_normal((3, *network.output_shape))
    report = cr.explain(network, X, y, check=False, sample=1, **options)
    report.html(folder / "report.html")
    page.resize(1300, 900)
    page.open(folder / "report.html")
    return {name: decode(tensor) for name, tensor in report.document["tensors"].items()}


def cell(page: Page, quantity: str, index: Index) -> tuple[float, float]:
    """The middle of the first cell that shows an entry, brought into the window."""
    place = page.evaluate(
        f"(c => {{ c.scrollIntoView({{block: 'center', behavior: 'instant'}});"
        " const b = c.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; })"
        f"(chainrule.page.cells({json.dumps(quantity)}, {list(index)})[0])"
    )
    return place[0], place[1]


def hover(page: Page, quantity: str, index: Index) -> None:
    page.hover(cell(page, quantity, index))
    page.wait_for("!document.querySelector('#reading').hidden")
    shown = page.evaluate("(d => [d.quantity, d.index])(document.querySelector('#reading').dataset)")
    assert shown == [quantity, ",".join(map(str, index))]


def value(page: Page) -> str:
    return str(page.evaluate("document.querySelector('#reading .value b').textContent"))


def terms(page: Page) -> tuple[list[str], str]:
    """The products and the sum as printed in the panel."""
    rows = page.evaluate(
        "[...document.querySelectorAll('#reading .terms:not(.all) .product')].map(e => e.textContent)"
    )
    return rows[:-1], rows[-1]


def adds_up(page: Page, expected: float) -> list[str]:
    """The printed products add up exactly to the printed sum, which is the expected one to its digits."""
    products, total = terms(page)
    numbers = [Decimal(product.replace("−", "-")) for product in products]
    printed = Decimal(total.replace("−", "-"))
    assert sum(numbers) == printed
    places = max(0, -int(printed.as_tuple().exponent))
    assert abs(float(printed) - expected) <= (len(numbers) + 1) * 0.5 * 10.0**-places
    assert value(page) == short(expected)
    return products


def outlined(page: Page, quantity: str, fixed: str, kind: str = "source") -> set[tuple[int, int]]:
    """The cells that are outlined on a map, in the report or in the panel."""
    cells = page.evaluate(
        f"[...document.querySelectorAll('figure.maps[data-quantity={json.dumps(quantity)}]"
        f' .panel[data-index="{fixed}"] .outline.{kind},'
        f' #reading .panel[data-quantity={json.dumps(quantity)}][data-fixed="{fixed}"] .outline.{kind}'
        "')].map(e => e.dataset.cells).join(' ')"
    )
    return {(int(row), int(column)) for row, column in (pair.split(",") for pair in cells.split())}


# -- convolution ---------------------------------------------------------------------------------------------

CONVOLUTIONS = [
    {"stride": 2, "padding": 1},
    {"padding": 2, "dilation": 2},
    {"groups": 2},
    {"stride": (2, 1), "padding": (1, 0)},
]


def geometry(options: dict[str, Any], axis: int) -> tuple[int, int, int]:
    """stride, padding, dilation along an axis."""
    defaults = {"stride": 1, "padding": 0, "dilation": 1}
    values = [options.get(name, default) for name, default in defaults.items()]
    return tuple(v[axis] if isinstance(v, tuple) else v for v in values)


def window(options: dict[str, Any], place: Index, size: Index) -> list[tuple[Index, Index]]:
    """(offset, pixel) of a window of a 3 x 3 kernel, in the image."""
    found = []
    for offset in np.ndindex(3, 3):
        pixel = []
        for axis in range(2):
            s, p, d = geometry(options, axis)
            pixel.append(s * place[axis] + d * offset[axis] - p)
        if all(0 <= u < length for u, length in zip(pixel, size, strict=True)):
            found.append((offset, tuple(pixel)))
    return found


@pytest.mark.parametrize("options", CONVOLUTIONS, ids=str)
def test_an_output_of_a_convolution_shows_its_receptive_field(
    options: dict[str, Any], page: Page, tmp_path: Path
) -> None:
    layers = [cr.ReLU(), cr.Conv2D(4, 3, **options), cr.Flatten(), cr.Dense(2)]
    arrays = opened(page, tmp_path, layers, (8, 7, 2))
    X, W = arrays["relu1"], arrays["conv1.W"]
    width = W.shape[-1]
    for i, j, k in ((0, 0, 0), (2, 1, 3)):
        hover(page, "conv1", (i, j, k, 1))
        assert value(page) == short(arrays["conv1"][i, j, k, 1])
        seen = window(options, (i, j), (8, 7))
        first = k // (4 * width // 2) * width  # the first channel of the group
        for c in range(2):
            expected = {pixel for _, pixel in seen} if first <= c < first + width else set()
            assert outlined(page, "relu1", f"{c},1") == expected
        products = [
            W[k, m, n, c] * X[u, v, first + c, 1] for (m, n), (u, v) in seen for c in range(width)
        ] + [arrays["conv1.b"][k]]
        assert sum(products) == pytest.approx(arrays["conv1"][i, j, k, 1], abs=1e-12)
        shown = adds_up(page, float(arrays["conv1"][i, j, k, 1]))
        largest = sorted(map(abs, products), reverse=True)[:3]
        for printed, size in zip(shown[:3], largest, strict=True):
            assert abs(float(printed.replace("−", "-"))) == pytest.approx(size, abs=1e-3)
        if len(products) > 8:
            assert len(shown) == 4
            assert f"other {len(products) - 3} terms" in page.text("#reading")
    assert page.errors == page.requests == []


@pytest.mark.parametrize("options", CONVOLUTIONS, ids=str)
def test_delta_of_an_input_shows_the_windows_it_lies_in(
    options: dict[str, Any], page: Page, tmp_path: Path
) -> None:
    # the δ of the first layer is a map of the report
    layers = [cr.Conv2D(2, 1), cr.Conv2D(4, 3, **options), cr.Tanh(), cr.Flatten(), cr.Dense(2)]
    arrays = opened(page, tmp_path, layers, (8, 7, 2))
    W, d = arrays["conv2.W"], arrays["delta:conv2"]
    width = W.shape[-1]
    for u, v, c in ((3, 2, 1), (0, 0, 0)):
        hover(page, "delta:conv1", (u, v, c, 1))
        kernels = [k for k in range(4) if k // (4 * width // 2) == c // width]
        expected, total = set(), 0.0
        for i, j in np.ndindex(*d.shape[:2]):
            for (m, n), pixel in window(options, (i, j), (8, 7)):
                if pixel == (u, v):
                    expected.add((i, j))
                    total += sum(W[k, m, n, c % width] * d[i, j, k, 1] for k in kernels)
        for k in range(4):
            assert outlined(page, "delta:conv2", f"{k},1") == (expected if k in kernels else set())
        adds_up(page, total)
    assert page.errors == page.requests == []


def test_a_gradient_of_a_kernel_shows_the_window_of_the_input(page: Page, tmp_path: Path) -> None:
    options: dict[str, Any] = {"stride": 2, "padding": 1}
    layers = [cr.ReLU(), cr.Conv2D(3, 3, **options), cr.Tanh(), cr.Flatten(), cr.Dense(2)]
    arrays = opened(page, tmp_path, layers, (8, 7, 2), penalty=cr.L2(0.1))
    X, d = arrays["relu1"], arrays["delta:conv1"]
    k, m, n, c = index = (2, 0, 1, 1)
    hover(page, "gradient:conv1.W", index)
    pixels, total = {}, 0.0
    for i, j in np.ndindex(*d.shape[:2]):
        for offset, pixel in window(options, (i, j), (8, 7)):
            if offset == (m, n):
                pixels[i, j] = pixel
                total += float(np.sum(d[i, j, k] * X[(*pixel, c)]))
    assert outlined(page, "relu1", f"{c},1") == set(pixels.values())
    assert outlined(page, "delta:conv1", f"{k},1") == set(pixels)
    penalty = 0.1 * arrays["conv1.W"][index]
    assert arrays["gradient:conv1.W"][index] == pytest.approx(total + penalty)
    products = adds_up(page, total + penalty)  # three products, the rest, the penalty
    assert len(products) == 5
    assert float(products[-1].replace("−", "-")) == pytest.approx(penalty, abs=1e-4)
    assert "the penalty" in page.text("#reading")
    assert page.errors == page.requests == []


# -- pooling -------------------------------------------------------------------------------------------------


def test_overlapping_pooling_shows_winners_and_those_that_lost(page: Page, tmp_path: Path) -> None:
    layers = [cr.Conv2D(2, 3), cr.MaxPool2D(3, 1), cr.Flatten(), cr.Dense(2)]
    arrays = opened(page, tmp_path, layers, (8, 8, 1))
    x, d = arrays["conv1"][..., 1], arrays["delta:maxpool1"][..., 1]
    wins = np.zeros(x.shape, int)
    where: dict[Index, set[tuple[int, int]]] = {}
    for i, j, c in np.ndindex(*d.shape):
        block = x[i : i + 3, j : j + 3, c]
        m, n = np.unravel_index(block.argmax(), block.shape)
        wins[i + m, j + n, c] += 1
        where.setdefault((i + m, j + n, c), set()).add((i, j))

    def windows(u: int, v: int) -> set[tuple[int, int]]:
        near = ((i, j) for i in range(u - 2, u + 1) for j in range(v - 2, v + 1))
        return {(i, j) for i, j in near if 0 <= i < 4 and 0 <= j < 4}

    u, v, c = next(p for p in np.ndindex(*wins.shape) if 1 < wins[p] < len(windows(*p[:2])))
    hover(page, "delta:conv1", (u, v, c, 1))
    covered = windows(u, v)
    assert outlined(page, "delta:maxpool1", f"{c},1") == where[u, v, c]
    assert outlined(page, "delta:maxpool1", f"{c},1", "silent") == covered - where[u, v, c]
    adds_up(page, float(sum(d[i, j, c] for i, j in where[u, v, c])))
    text = page.text("#reading")
    assert f"in {len(covered)} windows" in text
    assert f"wins {wins[u, v, c]}" in text

    i, j = next(iter(where[u, v, c]))
    hover(page, "maxpool1", (i, j, c, 1))
    assert value(page) == short(float(x[u, v, c]))
    assert outlined(page, "conv1", f"{c},1") == {(i + m, j + n) for m in range(3) for n in range(3)}
    assert page.evaluate("document.querySelector('#reading .won .product').textContent") == value(page)
    assert page.errors == page.requests == []


# -- dense, sequences, branches ------------------------------------------------------------------------------


def test_a_dense_layer_shows_row_and_column(page: Page, tmp_path: Path) -> None:
    arrays = opened(page, tmp_path, [cr.Dense(4), cr.Tanh(), cr.Dense(3)], 5)
    hover(page, "dense2", (2, 1))
    adds_up(page, float(arrays["dense2"][2, 1]))
    assert page.count(".matrix[data-quantity='dense2.W'] td.lit-source") == 4
    assert page.count(".chart[data-quantity='tanh1'] .bar.lit-source") == 4
    hover(page, "delta:tanh1", (3, 1))
    adds_up(page, float(arrays["dense2.W"][:, 3] @ arrays["delta:dense2"][:, 1]))
    lit = page.evaluate("[...document.querySelectorAll('td.lit-source')].map(e => e.dataset.index)")
    assert lit == ["0,3", "1,3", "2,3"]
    hover(page, "gradient:dense2.W", (0, 2))  # over all samples
    adds_up(page, float(arrays["delta:dense2"][0] @ arrays["tanh1"][2]))
    hover(page, "dense2.W", (1, 1))
    assert "given" in page.text("#reading")
    assert page.errors == page.requests == []


def test_every_entry_of_other_layers_adds_up(page: Page, tmp_path: Path) -> None:
    branches = cr.Parallel([[cr.Dense(3)], [cr.Dense(4), cr.ReLU()]], join="concat")
    residual = cr.Residual([cr.Dense(6), cr.Tanh()])
    reports: list[tuple[list[Any], Any]] = [
        ([cr.Dense(6), residual, branches, cr.BatchNorm(), cr.Dense(2)], 5),
        ([cr.Conv1D(3, 3, padding=1), cr.LSTM(3, outputs="all"), cr.GRU(2), cr.Dense(2)], (5, 2)),
    ]
    for layers, shape in reports:
        opened(page, tmp_path, layers, shape)
        failures = page.evaluate(
            "Object.keys(chainrule.page.document.tensors).flatMap(id => {"
            " const {shape} = chainrule.page.tensor(id);"
            " const size = chainrule.arrays.sizeOf(shape);"
            " return Array.from({length: size}, (_, n) => chainrule.arrays.unflat(shape, n))"
            ".filter((_, n) => n % 7 === 0).flatMap(index => {"
            "  const {value, parts, reason} = chainrule.page.derivation(id, index);"
            "  const sum = parts.reduce((total, part) => total + part.element.value, 0);"
            "  const given = id === 'input' || id === 'y' || /^[^:]*[.]/.test(id)"
            " && !chainrule.page.graph.layers.has(id);"
            "  const fine = given ? !parts.length : parts.length && Math.abs(sum - value) < 1e-12;"
            "  return reason || !fine ? [[id, index, reason]] : []; }); })"
        )
        assert failures == []


def test_a_frozen_tensor_says_so(page: Page, tmp_path: Path) -> None:
    layers = [cr.Conv2D(8, 3, padding=1), cr.ReLU(), cr.Flatten(), cr.Dense(200), cr.Dense(2)]
    arrays = opened(page, tmp_path, layers, (24, 24, 1))
    assert arrays["dense1.W"] is None
    page.hover("#card-F4 .bar")
    page.wait_for("!document.querySelector('#reading').hidden")
    assert "the numbers of dense1.W are not in this page" in page.text("#reading .reason")
    hover(page, "dense2", (1, 1))  # what is there is worked out
    adds_up(page, float(arrays["dense2"][1, 1]))
    assert page.errors == page.requests == []


# -- symbols, keys, clicks -----------------------------------------------------------------------------------


def test_a_symbol_lights_its_tensor_everywhere(page: Page, tmp_path: Path) -> None:
    opened(page, tmp_path, [cr.Conv2D(2, 3), cr.Tanh(), cr.Flatten(), cr.Dense(2)], (6, 6, 1))
    page.hover("#B2-delta-sized [data-ref='delta:conv1']")
    page.wait_for("document.querySelector('figure.lit') !== null")
    quantities = page.evaluate("[...document.querySelectorAll('figure.lit')].map(e => e.dataset.quantity)")
    assert set(quantities) == {"delta:conv1"}
    assert page.count("[data-ref='delta:conv1'].lit") == page.count("[data-ref='delta:conv1']") > 2
    assert page.evaluate("document.querySelector('.node.lit').dataset.layer") == "conv1"
    page.hover("h1")
    page.wait_for("document.querySelector('.lit') === null")
    assert page.errors == page.requests == []


def test_a_click_keeps_and_escape_lets_go(page: Page, tmp_path: Path) -> None:
    opened(page, tmp_path, [cr.Conv2D(2, 3), cr.Tanh(), cr.Flatten(), cr.Dense(2)], (6, 6, 1))
    page.click(cell(page, "conv1", (1, 2, 0, 1)))
    page.hover(cell(page, "tanh1", (0, 0, 0, 1)))
    page.evaluate("new Promise(requestAnimationFrame)")
    assert page.evaluate("document.querySelector('#reading').dataset.quantity") == "conv1"
    assert page.evaluate("chainrule.page.selected") == {"quantity": "conv1", "index": [1, 2, 0, 1]}
    page.press("Escape")
    assert page.evaluate("document.querySelector('#reading').hidden")
    assert page.count("main .outline") == 0
    assert page.evaluate("chainrule.page.selected") is None


def test_arrows_go_from_entry_to_entry(page: Page, tmp_path: Path) -> None:
    opened(page, tmp_path, [cr.Conv2D(2, 3), cr.Tanh(), cr.Flatten(), cr.Dense(2)], (6, 6, 1))
    page.evaluate("document.querySelector('#card-F1 .panel:nth-child(2) svg.map').focus()")
    page.press("ArrowRight", "ArrowDown", "ArrowDown", "Enter")
    shown = page.evaluate("(d => [d.quantity, d.index])(document.querySelector('#reading').dataset)")
    assert shown == ["conv1", "2,1,1,1"]
    assert page.evaluate("document.querySelector('#reading').classList.contains('pinned')")
    assert "step=" not in page.evaluate("location.hash")  # the arrows did not go to another step
    assert page.errors == page.requests == []
