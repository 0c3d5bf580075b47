"""Numbers changed in the page of a report: all is recomputed, shown, marked and taken back; the nudge."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.base.numbers import short
from chainrule.explaining.facts.tensors import decode
from chainrule.explaining.render import scale
from tests.browser.page import Page
from tests.browser.test_report_page import attention, conv, recurrent, residual

Change = tuple[str, tuple[int, ...], float]
PENALTY = cr.L2(0.01)


def dense() -> tuple[cr.Network, Any, Any]:
    network = cr.Network([cr.Dense(4), cr.Tanh(), cr.Dense(3), cr.Softmax()], input_shape=5, seed=1)
    return network, np.random.default_rng(0).standard_normal((4, 5)), np.eye(3)[[0, 1, 2, 1]]


CHANGES: dict[Any, list[list[Change]]] = {
    dense: [
        [("dense1.W", (2, 3), 0.7)],
        [("input", (1, 2), -0.9)],
        [("y", (0, 0), 0.75), ("y", (2, 0), 0.25)],
    ],
    conv: [
        [("conv1.W", (1, 2, 0, 0), -1.5)],
        [("input", (2, 3, 0, 1), 2.0), ("dense1.b", (2,), 0.5)],
        [("y", (1, 4), 1.0)],
    ],
    residual: [
        [("residual1.dense1.W", (0, 5), 1.25)],
        [("y", (1, 3), -2.0), ("parallel1.dense2.b", (1,), 3.0)],
    ],
}


def changed(made: tuple[cr.Network, Any, Any], changes: list[Change]) -> tuple[cr.Network, Any, Any]:
    """The same network and batch with these numbers in them; indices as the page has them, samples last."""
    network, X, y = made
    network, X, y = network.copy(dtype="float64"), X.copy(), y.astype(float).copy()
    for name, index, value in changes:
        if name in ("input", "y"):
            (X if name == "input" else y)[(index[-1], *index[:-1])] = value
        else:
            network.parameters[name][index] = value
    return network, X, y


def choose(page: Page, name: str, index: tuple[int, ...]) -> None:
    """Choose an entry in the dock: the array in its list, the indices typed."""
    page.evaluate(
        f"(s => {{ s.value = '{name}'; s.dispatchEvent(new Event('change')); }})"
        "(document.querySelector('#dock select'))"
    )
    for axis, number in enumerate(index):
        field = f"#dock .fields label:nth-child({axis + 1}) input"
        if page.evaluate(f"document.querySelector({field!r}).disabled"):
            continue
        page.click(field)
        page.press("Control+a")
        page.type(str(number))


def enter(page: Page, value: float, field: str = ".value") -> None:
    page.click(f"#dock {field}")
    page.press("Control+a")
    page.type(str(value))


def open_report(page: Page, report: cr.Report, path: Path, fragment: str = "") -> None:
    report.html(path / "report.html")
    page.open(path / "report.html", fragment)


def settled(page: Page, steps: int) -> None:
    """Wait until the page has computed with so many steps of change."""
    page.wait_for(f"chainrule.page.edit.steps() === {steps}")
    page.evaluate("chainrule.page.edit.settle()")


STATE = """(() => {
  const found = chainrule.page.edit.now();
  const listed = (arrays) => Object.fromEntries(Object.entries(arrays).map(([id, x]) => [id, [...x.data]]));
  return {J: found.J, J_after: found.J_after, outputs: listed(found.outputs), deltas: listed(found.deltas),
    gradients: listed(found.gradients)};
})()"""

SHOWN = """chainrule.page.figures.map(({figure, quantity, picture}) => ({
  quantity, kind: figure.classList[0], picture,
  stats: [...figure.querySelectorAll(".stats > span")].map((one) => one.textContent),
  cells: [...figure.querySelectorAll("td[data-index]")].map((td) => [td.dataset.index, td.textContent]),
  bars: [...figure.querySelectorAll(".bar")].map(({dataset: d, nextElementSibling: t}) =>
    [Number(d.row), Number(d.group), t.textContent]),
  axes: figure.dataset.axes ?? "", scale: Number(figure.dataset.scale),
  panels: [...figure.querySelectorAll(".panel")].map((panel) => ({
    index: panel.dataset.index,
    levels: [...panel.querySelectorAll(".cells rect")].map((rect) =>
      Number(/k(\\d+)/.exec(rect.getAttribute("class"))[1])),
  })),
}))"""

LOOKS = """[document.querySelector("main").textContent,
  [...document.querySelectorAll("main :is(.cells rect, .bar, .axis, td)")].map((e) =>
    ["class", "x", "width", "d", "title"].map((name) => e.getAttribute(name) ?? "").join()).join("|"),
  document.querySelector("#dock .objective").textContent]"""


@pytest.mark.turns(3)
@pytest.mark.parametrize("make", CHANGES)
def test_a_change_recomputes_everything(make: Any, page: Page, tmp_path: Path) -> None:
    """One after another on the same page, each taken back before the next."""
    options: dict[str, Any] = {"penalty": PENALTY, "check": False, "sample": 0}
    network, X, y = make()
    before = cr.explain(network, X, y, **options)
    open_report(page, before, tmp_path)
    looks = page.evaluate(LOOKS)
    page.click('[data-tab="change"]')
    for changes in CHANGES[make]:
        for name, index, value in changes:
            choose(page, name, index)
            enter(page, value)
        settled(page, len(changes))
        expected = cr.explain(*changed(make(), changes), **options).document
        tensors = {name: decode(tensor) for name, tensor in expected["tensors"].items()}
        _compare_state(page.evaluate(STATE), expected, tensors)
        _compare_shown(page.evaluate(SHOWN), tensors)
        assert short(expected["loss"]["J"], 6) in page.text("#dock .objective")
        assert short(expected["loss"]["J"], 8) in page.text("#dock .outcome")
        assert short(expected["update"]["J_after"], 8) in page.text("#dock .outcome")
        for _ in changes:
            page.click("#dock .undo")
        settled(page, 0)
        assert page.evaluate(LOOKS) == looks
    assert page.errors == page.requests == []


THETA: list[tuple[Any, list[Change]]] = [
    (dense, [("dense1.Θ", (3, 0), 0.7), ("dense2.Θ", (1, 4), -1.25)]),
    (conv, [("dense1.Θ", (3, 0), 0.5), ("input", (2, 3, 0, 1), 2.0)]),
]


def plainly(changes: list[Change]) -> list[Change]:
    """Changes of entries of Θ, as they are printed (from 1, column 0 the bias), as those of W and b."""
    found: list[Change] = []
    for name, index, value in changes:
        layer, _, own = name.rpartition(".")
        if own != "Θ":
            found.append((name, index, value))
        elif index[1] == 0:
            found.append((f"{layer}.b", (index[0] - 1,), value))
        else:
            found.append((f"{layer}.W", (index[0] - 1, index[1] - 1), value))
    return found


@pytest.mark.parametrize(("make", "changes"), THETA)
def test_an_entry_of_theta_is_a_weight_or_the_bias(
    make: Any, changes: list[Change], page: Page, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"penalty": PENALTY, "check": False, "sample": 0, "notation": "ng"}
    open_report(page, cr.explain(*make(), **options), tmp_path)
    page.click('[data-tab="change"]')
    for name, index, value in changes:
        choose(page, name, index)
        enter(page, value)
    settled(page, len(changes))
    name, index, _ = changes[-1]
    printed = ", ".join(map(str, index))
    assert f"{name}[{printed}]" in page.text("#dock .outcome")
    expected = cr.explain(*changed(make(), plainly(changes)), **options).document
    tensors = {name: decode(tensor) for name, tensor in expected["tensors"].items()}
    _compare_state(page.evaluate(STATE), expected, tensors)
    _compare_shown(page.evaluate(SHOWN), tensors)
    page.click("#dock .reset")
    settled(page, 0)
    assert page.evaluate('document.querySelectorAll("main .stale").length') == 0
    assert page.errors == page.requests == []


def _compare_state(state: Any, expected: Any, tensors: dict[str, Any]) -> None:
    assert state["J"] == pytest.approx(expected["loss"]["J"], rel=1e-9)
    assert state["J_after"] == pytest.approx(expected["update"]["J_after"], rel=1e-9)
    named = {f"delta:{name}": values for name, values in state["deltas"].items()}
    named |= {f"gradient:{name}": values for name, values in state["gradients"].items()} | state["outputs"]
    assert set(named) == {
        name for name in tensors if name in state["outputs"] or name.startswith(("delta:", "gradient:"))
    }
    for name, values in named.items():
        np.testing.assert_allclose(values, tensors[name].ravel(), rtol=1e-9, atol=1e-12, err_msg=name)


def _compare_shown(figures: Any, tensors: dict[str, Any]) -> None:
    """Every number and every colour on the screen beside Python's numbers."""
    seen = 0
    for figure in figures:
        value = tensors[figure["quantity"]]
        for index, text in figure["cells"]:
            assert text == short(float(value[tuple(map(int, index.split(",")))]))
            seen += 1
        if figure["stats"]:
            named = {"min": value.min(), "mean": value.mean(), "max": value.max()}
            for name, number in named.items():
                assert any(one.startswith(name) and short(number) in one for one in figure["stats"])
        for row, group, text in figure["bars"]:
            place = figure["picture"]["entries"][row], figure["picture"]["samples"][group]
            assert text == short(float(value[place]))
            seen += 1
        axes = [int(axis) for axis in figure["axes"].split(",") if axis]
        maps = [_panel(value, axes, panel.get("index")) for panel in figure["panels"]]
        largest = max([figure["scale"], *(float(np.abs(one).max()) for one in maps)])
        for panel, one in zip(figure["panels"], maps, strict=True):
            assert panel["levels"] == scale.levels(one, largest).ravel().tolist()
            seen += one.size
    assert seen > 60


def _panel(value: Any, axes: list[int], index: str | None) -> Any:
    others = iter(int(i) for i in (index or "").split(",") if i)
    return value[tuple(slice(None) if axis in axes else next(others) for axis in range(value.ndim))]


def test_what_is_not_recomputed_says_so(page: Page, tmp_path: Path) -> None:
    network, X, y = conv()
    open_report(page, cr.explain(network, X, y, check=False, sample=0), tmp_path)
    page.click('[data-tab="change"]')
    page.click('#card-F1 figure[data-quantity="conv1.W"] .panel rect:nth-child(5)')
    assert page.evaluate("chainrule.page.chosen()") == {"id": "conv1.W", "index": [0, 1, 1, 0]}
    enter(page, 2)
    settled(page, 1)
    assert page.count('figure[data-quantity="conv1.W"] rect.edited') == 1
    expected = cr.explain(*changed(conv(), [("conv1.W", (0, 1, 1, 0), 2.0)]), check=False, sample=0)
    now = decode(expected.document["tensors"]["conv1"])
    assert now is not None
    block = "#F1-forward-worked1"
    index = page.evaluate(f"document.querySelector('{block}').dataset.index")
    said = page.text(f"{block}.stale > .chip")
    assert "before the change" in said
    assert short(float(now[tuple(map(int, index.split(",")))])) in said
    for section in ("#verdict", "#network", "#check", "#flow"):
        assert page.evaluate(f"document.querySelector('{section}').matches('.stale')")
    assert page.count("#update-loss p.stale") == 2
    # Nothing about the other layers' formulas or the versions is in doubt.
    assert page.count("#reproduce .stale, .formula .stale, #notation .stale") == 0
    page.click("#dock .reset")
    page.wait_for("document.querySelector('main .stale') === null")
    assert page.errors == []


def test_another_rate_changes_the_step_alone(page: Page, tmp_path: Path) -> None:
    network, X, y = dense()
    open_report(page, cr.explain(network, X, y, check=False), tmp_path)
    page.click('[data-tab="change"]')
    enter(page, 0.5, ".eta")
    page.wait_for("chainrule.page.edit.eta() === 0.5")
    page.evaluate("chainrule.page.edit.settle()")
    expected = cr.explain(network, X, y, check=False, learning_rate=0.5).document["update"]["J_after"]
    assert page.evaluate("chainrule.page.edit.now().J_after") == pytest.approx(expected, rel=1e-12)
    assert short(expected, 8) in page.text("#dock .outcome")
    assert page.count("#update .stale") > 0
    assert page.count("#forward .stale, #backward .stale, #loss .stale, main > .stale") == 0


def test_a_drag_and_a_typed_number_are_steps_of_undo(page: Page, tmp_path: Path) -> None:
    network, X, y = dense()
    open_report(page, cr.explain(network, X, y, check=False), tmp_path)
    page.click('[data-tab="change"]')
    choose(page, "dense2.W", (1, 2))
    box = page.box("#dock .slide", scroll=True)
    page.drag(box.point(0.5), box.point(0.8))
    settled(page, 1)
    moved = page.evaluate("chainrule.page.edit.value('dense2.W', [1, 2])")
    assert moved > 0.3
    expected, inputs, targets = changed(dense(), [("dense2.W", (1, 2), moved)])
    found = page.evaluate("chainrule.page.passes().J")
    assert found == pytest.approx(expected.loss(inputs, targets), rel=1e-9)
    enter(page, 0.25)
    page.press("Enter")
    enter(page, 0.75)
    page.press("Enter")
    settled(page, 3)
    for steps, value in ((2, 0.25), (1, moved), (0, float(network.parameters["dense2.W"][1, 2]))):
        page.click("#dock .undo")
        settled(page, steps)
        assert page.evaluate("chainrule.page.edit.value('dense2.W', [1, 2])") == value
    assert page.evaluate("chainrule.page.edit.count()") == 0


def test_frozen_pages_say_why(page: Page, tmp_path: Path) -> None:
    network, X, y = dense()
    document = cr.explain(network, X, y, check=False).document
    del document["tensors"]["dense1.b"]["data"]  # as where the budget has no room for it
    open_report(page, cr.Report(document), tmp_path)
    for tab in ("change", "nudge", "quiz"):
        page.click(f'[data-tab="{tab}"]')
        said = page.text(f"#dock-{tab}")
        assert "Frozen. The numbers of dense1.b did not fit into this page" in said
        assert "放不进本页" in said
        assert page.count(f"#dock-{tab} input") == 0
    layers = [cr.Conv2D(64, 3), cr.GlobalAveragePool(), cr.Dense(1)]
    wide = cr.Network(layers, input_shape=(30, 30, 64), seed=1)
    images = np.random.default_rng(0).standard_normal((1, 30, 30, 64))
    open_report(page, cr.explain(wide, images, [[1.0]], check=False, budget="9MB"), tmp_path)
    page.click('[data-tab="change"]')
    assert "29.0 million products per sample" in page.text("#dock-change")
    many = cr.Network(layers, input_shape=(12, 12, 36), seed=1)
    images = np.random.default_rng(0).standard_normal((20, 12, 12, 36))
    open_report(page, cr.explain(many, images, np.ones((20, 1)), check=False, budget="9MB"), tmp_path)
    page.click('[data-tab="change"]')
    assert "A forward pass of 20 samples takes 41.6 million products" in page.text("#dock-change")
    assert page.errors == page.requests == []


def test_nudge_beside_numpy(page: Page, tmp_path: Path) -> None:
    network, X, y = dense()
    open_report(page, cr.explain(network, X, y, check=False, penalty=PENALTY), tmp_path)
    page.click('[data-tab="nudge"]')
    choose(page, "dense1.W", (3, 1))
    page.evaluate("chainrule.page.nudge.finish()")
    run = page.evaluate("(r => ({...r, results: [...r.results.values()]}))(chainrule.page.nudge.results())")
    found = {round(-np.log10(one["epsilon"])): one for one in run["results"]}
    assert sorted(found) == list(range(1, 13))
    w = float(network.parameters["dense1.W"][3, 1])

    def J(value: float) -> float:
        moved, inputs, targets = changed(dense(), [("dense1.W", (3, 1), value)])
        return moved.loss(inputs, targets, penalty=PENALTY)

    formula = network.copy(dtype="float64").backpropagate(X, y, penalty=PENALTY).gradients["dense1.W"][3, 1]
    assert run["formula"] == pytest.approx(formula, rel=1e-12)
    for exponent, one in found.items():
        epsilon = 10.0**-exponent
        quotient = (J(w + epsilon) - J(w - epsilon)) / (2 * epsilon)
        assert one["quotient"] == pytest.approx(quotient, abs=1e-15 / epsilon)
        assert one["error"] == abs(one["quotient"] - run["formula"])
    # Truncation on one side, rounding on the other.
    assert found[1]["error"] > 30 * found[2]["error"] > 30 * found[4]["error"]
    assert found[12]["error"] > 100 * found[5]["error"]
    shown = page.text("#dock-nudge tbody")
    assert short(formula, 12) in shown
    assert short(found[4]["error"], 3) in shown
    assert page.count("#dock .errors circle") == 12
    box = page.box("#dock .epsilon", scroll=True)
    page.click(box.point(0.999))
    assert "ε = 10⁻¹" in page.text("#dock-nudge")
    assert short(found[1]["error"], 3) in page.text("#dock-nudge tbody")
    assert page.errors == page.requests == []


def test_nudge_at_a_kink(page: Page, tmp_path: Path) -> None:
    network = cr.Network([cr.Dense(1), cr.ReLU(), cr.Dense(1)], input_shape=1, seed=0)
    for name, value in (("dense1.W", 0.0), ("dense1.b", 0.0), ("dense2.W", 2.0), ("dense2.b", 0.0)):
        network.parameters[name][...] = value
    open_report(page, cr.explain(network, [[1.5]], [[1.0]], check=False), tmp_path)
    page.click('[data-tab="nudge"]')
    page.evaluate("chainrule.page.nudge.finish()")
    said = page.text("#dock-nudge .warning")
    # J = (2 max(1.5 w, 0) - 1)² / 2: flat on the left of 0, slope -3 on its right.
    assert "kink of relu1" in said
    assert "0 on its left and −3 on its right" in said
    assert page.count("#dock .errors .kink") == 12
    network.parameters["dense1.W"][...] = 0.005  # a kink between w - 0.01 and w + 0.01, none closer
    open_report(page, cr.explain(network, [[1.5]], [[1.0]], check=False), tmp_path)
    page.click('[data-tab="nudge"]')
    page.evaluate("chainrule.page.nudge.finish()")
    assert page.count("#dock .errors .kink") == 2
    assert page.text("#dock-nudge .warning") == ""
    page.click(page.box("#dock .epsilon", scroll=True).point(0.999))
    assert "relu1 changes sides" in page.text("#dock-nudge .warning")


@pytest.mark.turns(2)
@pytest.mark.parametrize(
    ("make", "language"),
    [(dense, "zh"), (conv, "en"), (residual, "zh"), (recurrent, "en"), (attention, "zh")],
)
def test_the_page_tests_its_dock(make: Any, language: str, page: Page, tmp_path: Path) -> None:
    """In one language; in both, test_report_page.py asks the pages of the same networks."""
    network, X, y = make()
    report = cr.explain(network, X, y, penalty=PENALTY, check=False, language=language)
    open_report(page, report, tmp_path, "selftest")
    handlers = json.loads(page.text("#selftest"))["handlers"]
    assert [handlers[name] for name in ("change and undo", "nudge", "quiz")] == [True] * 3, handlers
    assert page.errors == page.requests == []


def test_nothing_of_the_dock_is_printed(page: Page, tmp_path: Path) -> None:
    network, X, y = dense()
    open_report(page, cr.explain(network, X, y, check=False), tmp_path)
    page.media("print")
    assert page.style("#dock", "display") == "none"
