"""The form z = Θ a of notation "ng" in every form of a report, with the numbers of W and b elsewhere."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.explaining.blocks.kinds import Card, Formula, Matrix, Table, Worked
from chainrule.explaining.blocks.worked import element_from
from chainrule.explaining.facts.tensors import decode
from chainrule.explaining.theta.form import plain_form, theta_form
from chainrule.explaining.theta.formulas import theta_equations
from chainrule.formulas import Symbol, adjoint, evaluate
from chainrule.formulas.exchange import unpack
from chainrule.formulas.printing import render_text
from chainrule.formulas.printing.boxes import Box
from tests.explaining import node

Json = dict[str, Any]
# What the tutorial has not: W⁽ˡ⁾, b⁽ˡ⁾ and b̂⁽ˡ⁾ in any of the forms, and the program's names of them.
PLAIN = re.compile(
    "W⁽|b⁽|b̂⁽|b\u0302⁽|W\\^\\{\\(|b\\^\\{\\(|hat\\{b\\}\\^\\{\\(|bp[Wb]\\{\\(|dense\\d+[_.]\\{?[Wb]\\b|"
    r"<mi>[Wb]</mi>(?:</mover>)?<mrow><mo[^>]*>\("
)


def randomly(rng: np.random.Generator, number: int) -> tuple[cr.Network, Any, Any, Json]:
    """A dense network with random biases, a batch of 1 to 5 samples, and options of explain."""
    widths = [int(n) for n in rng.integers(2, 6, size=1 + number % 3)]
    outputs = int(rng.integers(2, 5))
    activation = (cr.Sigmoid, cr.Tanh, cr.ReLU, cr.Softplus)[number % 4]
    layers: list[Any] = [part for width in widths for part in (cr.Dense(width), activation())]
    ends: list[list[Any]] = [[cr.Softmax()], [cr.Sigmoid()], [], [cr.Tanh()]]
    network = cr.Network([*layers, cr.Dense(outputs), *ends[number % 4]], input_shape=int(rng.integers(2, 5)))
    network = network.copy(dtype="float64")
    for name, value in network.parameters.items():
        value[...] = rng.standard_normal(value.shape) * (0.7 if name.endswith(".W") else 0.4)
    m = (1, 5, 3)[number % 3]
    X = rng.standard_normal((m, *network.input_shape))
    y = np.eye(outputs)[rng.integers(0, outputs, m)] if number % 4 < 2 else rng.standard_normal((m, outputs))
    if number % 4 == 3:
        y = np.tanh(y)
    penalties = (
        None, cr.L2(0.3), cr.L2(0.7, per_sample=True), cr.L1(0.2), cr.ElasticNet(0.1, 0.4),
        cr.L1(0.3, per_sample=True), cr.ElasticNet(0.2, 0.1, per_sample=True),
    )  # fmt: skip
    options: Json = {"penalty": penalties[number % 7], "check": False}
    if number % 2 and m > 1:
        options["sample_weight"] = rng.uniform(0.5, 2.0, m)
    if number % 5 == 0:
        options["training_size"] = 11
    return network, X, y, options


NUMBERS = range(14)


@cache
def reports(number: int) -> tuple[cr.Report, cr.Report]:
    """The report of a random network in notation "ng", and in the default one."""
    network, X, y, options = randomly(np.random.default_rng(number), number)
    return cr.explain(network, X, y, notation="ng", **options), cr.explain(network, X, y, **options)


def arrays(report: cr.Report) -> dict[str, Any]:
    return {name: decode(tensor) for name, tensor in report.document["tensors"].items()}


def blocks(report: cr.Report, kind: type, **options: Any) -> list[Any]:
    cards = [
        block
        for section in report.outline(linear=True, **options).sections
        for block in section.blocks
        if isinstance(block, Card)
    ]
    return [block for card in cards for block in card.blocks if isinstance(block, kind)]


def line(cell: Any) -> str:
    return render_text.render(cell) if isinstance(cell, Box) else str(cell)


# -- the numbers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", NUMBERS)
def test_theta_is_b_beside_W_and_so_is_its_gradient(number: int) -> None:
    """Both forms have identical numbers: Θ = [b, W], ∂J/∂Θ = [∂J/∂b, ∂J/∂W], and everything else as it is."""
    ng, plain = reports(number)
    own, other = arrays(ng), arrays(plain)
    for name in [name for name in other if name.endswith(".W")]:
        bias = f"{name.removesuffix('.W')}.b"
        np.testing.assert_array_equal(
            own.pop(f"{name.removesuffix('.W')}.Θ"), np.column_stack([other.pop(bias), other.pop(name)])
        )
    assert own.keys() == other.keys()
    for name, value in own.items():
        np.testing.assert_array_equal(value, other[name])
    assert ng.document["loss"] == plain.document["loss"]
    assert ng.document["update"]["J_after"] == plain.document["update"]["J_after"]
    assert [list(row.values())[:4] for row in ng.document["update"]["rows"]] == [
        list(row.values())[:4] for row in plain.document["update"]["rows"]
    ]


@pytest.mark.parametrize("number", NUMBERS)
def test_formulas_of_theta_give_the_numbers_of_the_kernels(number: int) -> None:
    """z, δ handed down and ∂J/∂Θ, evaluated from the trees that are printed on the Θ that is printed."""
    network, X, y, options = randomly(np.random.default_rng(number), number)
    report = cr.explain(network, X, y, notation="ng", **options)
    kept = {name: options[name] for name in ("penalty", "sample_weight", "training_size") if name in options}
    step = network.backpropagate(X, y, **kept)
    found = arrays(report)
    cards = {card["layer"]: card for card in report.document["cards"]}
    for one in report.document["theta"]:
        card = cards[one["layer"]]
        reads = card["tensors"]["x"]
        bindings = {"Θ": found[f"{one['layer']}.Θ"], "x": found[reads], "d": found[f"delta:{one['layer']}"]}
        trees = {
            part["part"]: unpack(part["nodes"])[part["right"]] for part in card["forward"] + card["backward"]
        }
        ones = np.vstack([np.ones((1, len(X))), found[reads]])
        np.testing.assert_allclose(
            evaluate(trees["forward"], bindings), bindings["Θ"] @ ones, rtol=1e-14, atol=1e-14
        )
        np.testing.assert_allclose(evaluate(trees["forward"], bindings), found[one["layer"]], atol=1e-14)
        D = evaluate(trees["theta"], bindings)
        given = {
            "data dΘ": D,
            "Θ": bindings["Θ"],
            **(report.document["penalty"] or {}).get("constants", {}),
        }
        W, b = (step.gradients[f"{one['layer']}.{name}"] for name in "Wb")
        whole = evaluate(trees["theta and penalty"], given)
        np.testing.assert_allclose(whole, np.column_stack([b, W]), atol=1e-12)
        if kept["penalty"] is None:
            np.testing.assert_allclose(D, np.column_stack([b, W]), atol=1e-12)


@pytest.mark.parametrize("bias", [True, False])
def test_formulas_of_theta_are_derived_from_its_forward_formula(bias: bool) -> None:
    equations = theta_equations(bias)
    rng = np.random.default_rng(0)
    theta, x, d = rng.standard_normal((3, 4 + bias)), rng.standard_normal((4, 2)), rng.standard_normal((3, 2))
    arrays = {"Θ": theta, "x": x, "d": d}
    symbols = {symbol.name: symbol for symbol in equations["forward"].right.symbols}
    for name, key in (("x", "delta"), ("Θ", "Θ")):
        derived = adjoint(equations["forward"].right, symbols[name], Symbol("d"))
        np.testing.assert_allclose(evaluate(derived, arrays), evaluate(equations[key].right, arrays))


@pytest.mark.parametrize("number", NUMBERS)
def test_worked_elements_are_those_of_the_tensors(number: int) -> None:
    """Every entry that a worked element shows is the number of its tensor at that index."""
    ng, plain = reports(number)
    found, constants = arrays(ng), (ng.document["penalty"] or {}).get("constants", {})
    for card in ng.document["cards"]:
        for part in card["forward"] + card["backward"]:
            left = unpack(part["nodes"])[part["left"]]
            for worked in part["worked"]:
                element, index = element_from(worked["element"]), tuple(worked["index"])
                assert element.value == pytest.approx(worked["value"], rel=1e-12, abs=1e-14)
                if part["quantity"] in found:
                    assert found[part["quantity"]][index] == pytest.approx(
                        worked["value"], rel=1e-10, abs=1e-14
                    )
                for entry in element.entries():
                    id = card["tensors"].get(entry.name)
                    if entry.name == "a_0":
                        assert (entry.value, entry.index[0]) == (1.0, 0)
                    elif id in found and len(entry.index) == found[id].ndim:
                        assert found[id][entry.index] == entry.value, (left, entry)
                    elif entry.name in constants:
                        assert entry.value == constants[entry.name]
        assert part["part"] != "b"
    # The same entries are chosen in both forms, and the bias has one of its own.
    texts = {line(block.left): block.result for block in blocks(ng, Worked)}
    first = ng.document["theta"][0]["layer"]
    bias = next(part for part in theta_cards(plain)[first]["backward"] if part["part"] == "b")["worked"][0]
    row = bias["index"][0] + 1
    assert any(left.startswith(f"D⁽¹⁾_{{{row},0}}") for left in texts), texts


def theta_cards(report: cr.Report) -> dict[str, Json]:
    return {card["layer"]: card for card in report.document["cards"]}


# -- what is printed -----------------------------------------------------------------------------------------


def small(**options: Any) -> cr.Report:
    network = cr.Network([cr.Dense(3), cr.Sigmoid(), cr.Dense(2), cr.Softmax()], input_shape=2, seed=1)
    network.set_parameters({"dense1.b": [0.5, -0.25, 0.75], "dense2.b": [0.1, -0.2]})
    X, y = np.array([[1.0, 2.0], [-1.0, 0.5], [0.25, -2.0]]), np.array([0, 1, 1])
    return cr.explain(
        network, X, y, check=False, **{"notation": "ng", "penalty": cr.L2(0.6, per_sample=True), **options}
    )


def test_formulas_read_as_in_the_tutorial() -> None:
    printed = [line(block.box) for block in blocks(small(sample_weight=[1, 2, 1]), Formula)]
    for formula in (
        "z⁽ˡ⁺¹⁾ = Θ⁽ˡ⁾ a⁽ˡ⁾",
        "z⁽²⁾ = Θ⁽¹⁾ a⁽¹⁾",
        "a⁽¹⁾_0 = 1",
        "(3×3) (3×3) → (3×3)",  # S_2 x (S_1 + 1)
        "(2×4) (4×3) → (2×3)",
        "∂J/∂z⁽ˡ⁾ = ((Θ⁽ˡ⁾_{j≥1})ᵀ ∂J/∂z⁽ˡ⁺¹⁾) .* g'(z⁽ˡ⁾)",
        "((2×3)ᵀ (2×3)) .* (3×3) .* (1 − (3×3)) → (3×3)",
        "D⁽ˡ⁾ = ∂J/∂z⁽ˡ⁺¹⁾ (a⁽ˡ⁾)ᵀ",
        "Δ⁽²⁾(x⁽ᵇ⁾) = ∂J_b/∂z⁽³⁾ (a⁽²⁾)ᵀ",
        "D⁽²⁾ = 1/m Σ_b w_b Δ⁽²⁾(x⁽ᵇ⁾)",
        "∂J/∂Θ⁽²⁾ = D⁽²⁾ + {(λ / m) Θ⁽²⁾_{j≥1} if j ≥ 1; 0 if j = 0}",
        "Ω = Σ_{Θ⁽ˡ⁾} (λ / (2 m)) Σ_{i,j≥1} (Θ⁽ˡ⁾_{i,j})²",
    ):
        assert formula in printed, (formula, printed)
    without = [line(block.box) for block in blocks(small(penalty=None), Formula)]
    assert "∂J/∂Θ⁽²⁾ = D⁽²⁾" in without
    assert "D⁽²⁾ = 1/m Σ_b Δ⁽²⁾(x⁽ᵇ⁾)" in without


def test_an_element_has_the_bias_times_one() -> None:
    forward = next(block for block in blocks(small(), Worked) if line(block.left).startswith("z⁽²⁾_"))
    unit = line(forward.left).partition("_")[2]
    assert line(forward.symbols).startswith(f"Θ⁽¹⁾_{{{unit},0}} · a⁽¹⁾_0 + Θ⁽¹⁾_{{{unit},1}} · a⁽¹⁾_1 +")
    assert "· 1 +" in line(forward.numbers)


def test_one_matrix_per_layer_and_one_of_its_gradient() -> None:
    shown = {line(block.symbol): block for block in blocks(small(), Matrix)}
    report = small()
    for letter, name in (("Θ⁽¹⁾", "dense1.Θ"), ("∂J/∂Θ⁽²⁾", "gradient:dense2.Θ")):
        np.testing.assert_array_equal(shown[letter].values, decode(report.document["tensors"][name]))


def test_a_sum_too_long_for_its_table_still_shows_the_bias() -> None:
    network = cr.Network([cr.Dense(2), cr.Sigmoid()], input_shape=30, seed=0)
    network.set_parameters({"dense1.b": [1e-6, 2e-6]})
    X = np.random.default_rng(0).standard_normal((2, 30))
    report = cr.explain(network, X, np.array([[0, 1], [1, 0]]), notation="ng", check=False)
    worked = next(block for block in blocks(report, Worked) if line(block.left).startswith("z⁽²⁾"))
    assert re.match(r"Θ⁽¹⁾_\{\d,0\} · a⁽¹⁾_0", line(worked.terms[0][0]))
    total = sum(float(row[2].replace("−", "-")) for row in worked.terms)
    assert f"{total:.9f}".startswith(worked.total.replace("−", "-"))


@pytest.mark.parametrize(("number", "language"), [(0, "en"), (2, "zh"), (6, "en+zh")])
def test_no_w_and_no_b_are_left_in_any_form(number: int, language: str, tmp_path: Path) -> None:
    report, plain = reports(number)
    options = {"language": language, "notation": "ng"}
    texts = {
        "html": re.sub(r"<script>.*?</script>", "", report.html(language=language), flags=re.DOTALL),
        "markdown": report.markdown(language=language),
        **{form: report.latex(form=form, language=language) for form in ("article", "beamer", "fragment")},
        **{
            ending: report.worksheet(tmp_path / f"w.{ending}", language=language)
            for ending in ("tex", "html", "md", "txt")
        },
        "written later": plain.markdown(**options),
    }
    for form, text in texts.items():
        found = PLAIN.search(text)
        assert found is None, (form, text[max(found.start() - 80, 0) : found.end() + 80])
    kept = {key: value for key, value in report.document.items() if key not in ("apart", "slips", "notation")}
    found = re.search(r'"[^"]*dense\d+\.[Wb]"|"parameter [Wb]"', json.dumps(kept, ensure_ascii=False))
    # The penalty's own formulas, which other layers would be bound to, are in W.
    assert found is None or report.document["penalty"] is not None


def test_the_terminal_prints_it_too(capsys: pytest.CaptureFixture[str]) -> None:
    small().print()
    printed = capsys.readouterr().out
    assert "z⁽²⁾ = Θ⁽¹⁾ a⁽¹⁾" in printed
    assert PLAIN.search(printed) is None


@pytest.mark.turns(2)
@pytest.mark.parametrize("notation", ["tutorial", "ufldl", "matrix", "nielsen"])
def test_a_report_can_be_written_in_the_other_form_again(notation: str, tmp_path: Path) -> None:
    ng, plain = reports(3)
    assert plain_form(ng.document) == {
        **plain.document, "meta": {**plain.document["meta"], "notation": "ng"}
    }  # fmt: skip
    assert theta_form(ng.document) is ng.document
    ng.json(tmp_path / "report.json")
    read = cr.Report.from_json(tmp_path / "report.json")
    assert read.document == ng.document
    for report in (ng, read):
        text = report.markdown(notation=notation)
        assert text == plain.markdown(notation=notation).replace("notation='tutorial'", "notation='ng'")


# -- other layers --------------------------------------------------------------------------------------------

RNG = np.random.default_rng(5)
MIXED: dict[str, tuple[list[Any], tuple[int, ...], list[str], str]] = {
    "convolution": (
        [cr.Conv2D(2, 3), cr.ReLU(), cr.Flatten(), cr.Dense(3), cr.Softmax()], (5, 5, 1), ["dense1"],
        "conv1 lies beyond that text",
    ),
    "norm": (
        [cr.Dense(4), cr.BatchNorm(), cr.Dense(3), cr.Softmax()], (3,), ["dense1", "dense2"],
        "batchnorm1 lies",
    ),
    "recurrence": ([cr.LSTM(3), cr.Dense(3), cr.Softmax()], (4, 2), ["dense1"], "lstm1 lies"),
    "over steps": (
        [cr.Dense(4), cr.Tanh(), cr.GlobalAveragePool(), cr.Dense(3), cr.Softmax()], (4, 2), ["dense2"],
        "dense1 lies",
    ),
    "no bias": (
        [cr.Dense(4, bias=False), cr.Tanh(), cr.Dense(3), cr.Softmax()], (3,), ["dense1", "dense2"],
        "dense1 has no bias",
    ),
    "branches": (
        [cr.Dense(4), cr.Residual([cr.Dense(4), cr.ReLU()]), cr.Dense(3), cr.Softmax()], (3,),
        ["dense1", "residual1.dense1", "dense2"], "Θ = [b, W]",
    ),
    "embedding": (
        [cr.Embedding(7, 3), cr.GlobalAveragePool(), cr.Dense(3), cr.Softmax()], (4,), ["dense1"],
        "embedding1 lies",
    ),
}  # fmt: skip


def mixed(name: str) -> cr.Report:
    layers, shape, _, _ = MIXED[name]
    network = cr.Network(layers, input_shape=shape, seed=2, dtype="float64")
    rng = np.random.default_rng(1)
    X = rng.integers(0, 7, (4, *shape)) if name == "embedding" else rng.standard_normal((4, *shape))
    options: Json = {"penalty": cr.L2(0.2), "notation": "ng", "check": False}
    return cr.explain(network, X, np.array([0, 1, 2, 0]), **options)


@pytest.mark.turns(3)
@pytest.mark.parametrize("name", MIXED)
def test_layers_that_the_text_has_not_keep_their_letters_and_it_is_said(name: str) -> None:
    _, _, own, said = MIXED[name]
    report = mixed(name)
    assert [one["layer"] for one in report.document["theta"]] == own
    text = report.markdown(language="en").replace("\\", "")
    assert said in text
    assert re.search(r"\\Theta\}?\^\{\(\d\)\}", report.markdown(language="en"))
    assert report.latex(form="beamer")
    assert report.html(language="zh")
    layers = {layer["name"]: layer for layer in every(report.document["graph"]["layers"])}
    for layer in layers.values():
        assert ("Θ" in layer["parameters"]) == (layer["name"] in own)


def every(layers: list[Json]) -> list[Json]:
    return [
        one for layer in layers for one in (layer, *(i for b in layer.get("branches", ()) for i in every(b)))
    ]


def test_a_dense_layer_without_bias_has_no_column_0_and_no_a_0() -> None:
    report = mixed("no bias")
    assert report.document["tensors"]["dense1.Θ"]["shape"] == [4, 3]
    printed = [line(block.box) for block in blocks(report, Formula)]
    assert "∂J/∂a⁽¹⁾ = (Θ⁽¹⁾)ᵀ ∂J/∂z⁽²⁾" in printed
    assert "∂J/∂Θ⁽¹⁾ = D⁽¹⁾ + λ Θ⁽¹⁾" in printed
    assert "a⁽¹⁾_0 = 1" not in printed
    assert "a⁽²⁾_0 = 1" in printed
    left = [line(block.left) for block in blocks(report, Worked)]
    assert not any(re.match(r"(D⁽¹⁾|∂J/∂Θ⁽¹⁾)_\{(0,|\d,0)", one) for one in left)


def test_a_unit_has_the_same_number_wherever_it_stands() -> None:
    """a_i = g(z_i): where the input of a layer counts from 1, so do z, δ, the targets and the charts."""
    report = small()
    for block in blocks(report, Worked):
        left, symbols = line(block.left), line(block.symbols)
        unit = re.match(r"a⁽\d⁾_(\d+)$", left)
        if unit:
            assert f"_{unit[1]}" in symbols
            assert unit[1] != "0"
    table = next(block for block in blocks(report, Table) if block.id == "outputs")
    assert [row[0] for row in table.rows] == ["1", "2"]
    charts = re.findall(r'class="label" x="\d+" y="\d+">(\d+)<', report.html())
    assert charts
    assert "0" not in charts


@pytest.mark.parametrize("budget", [10_000, 30_000])
def test_what_has_no_room_in_a_document_still_prints(budget: int) -> None:
    network = cr.Network([cr.Dense(40), cr.Tanh(), cr.Dense(3), cr.Softmax()], input_shape=50, seed=2)
    X, y = np.random.default_rng(1).standard_normal((4, 50)), np.array([0, 1, 2, 0])
    report = cr.explain(network, X, y, check=False, budget=budget, notation="ng", penalty=cr.L2(0.1))
    full = cr.explain(network, X, y, check=False, notation="ng", penalty=cr.L2(0.1))
    for name, tensor in report.document["tensors"].items():
        wanted = full.document["tensors"][name]
        assert tensor["shape"] == wanted["shape"]
        assert tensor["stats"] == pytest.approx(wanted["stats"], rel=1e-12, abs=1e-12)
    frozen = [name for name, tensor in report.document["tensors"].items() if "data" not in tensor]
    assert any(name.endswith(".Θ") for name in frozen)
    assert report.html()
    assert report.markdown()


# -- the page's engine ---------------------------------------------------------------------------------------


def test_the_page_computes_the_same_with_theta() -> None:
    """Forward, δ, gradients, J, and J after a step: from the trees of Θ, in JavaScript."""
    documents = [reports(number)[0].document for number in NUMBERS] + [mixed(name).document for name in MIXED]
    answers = node.run({"do": "selftest", "document": document} for document in documents)
    for document, answer in zip(documents, answers, strict=True):
        assert answer["frozen"] is None
        assert answer["worst"]["error"] < 1e-12, answer
        assert answer["compared"] >= len(document["theta"]) * 2
