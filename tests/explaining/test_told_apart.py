"""One symbol stands for one quantity, and what a reader could mistake is told apart."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.base.numbers import equality, printed_value
from chainrule.diagnosing.texts import sentence
from chainrule.explaining.blocks.as_shown import line_of
from chainrule.explaining.blocks.kinds import Block, Card, Formula, Maps, Paragraph, Section, Table, Worked
from chainrule.explaining.blocks.printed import number_of
from chainrule.explaining.render.terminal import document as terminal
from chainrule.formulas.elements.entry import Element, minus, number, times, total
from chainrule.formulas.printing import render_text
from tests.explaining.audit import Audit
from tests.explaining.audit_networks import NAMES, case

NOTATIONS = ("tutorial", "ufldl", "matrix", "nielsen")


def blocks(report: cr.Report, **asked: Any) -> Iterator[Block]:
    def walk(found: tuple[Block, ...]) -> Iterator[Block]:
        for block in found:
            yield block
            yield from walk(getattr(block, "blocks", ()))

    yield from walk(report.outline(linear=True, **asked).sections)


def texts(report: cr.Report, kind: str, **asked: Any) -> list[str]:
    return [
        render_text.render(block.box)
        for block in blocks(report, **asked)
        if isinstance(block, Formula) and block.reading == kind
    ]


@pytest.mark.parametrize("notation", NOTATIONS)
def test_what_the_data_give_has_a_symbol_of_its_own(notation: str) -> None:
    """∂J_data/∂W = δ xᵀ and ∂J/∂W = ∂J_data/∂W + λ W; no formula says that ∂J/∂W is δ xᵀ."""
    report = case("dense, L2").report
    J, W = ("C" if notation in ("matrix", "nielsen") else "J"), ("w" if notation == "nielsen" else "W")
    for kind in ("general", "sized", "boxed"):
        every = texts(report, kind, notation=notation)
        found = [one for one in every if f"/∂{W}" in one.partition("=")[0] and not one.startswith("∂Ω")]
        assert found
        for text in found:
            left, _, right = text.partition(" = ")
            assert left.startswith(f"∂{J}_{{data}}") != (f"∂{J}_{{data}}" in right), text
            assert ("λ" in right) == left.startswith(f"∂{J}/"), text


@pytest.mark.turns(2)
@pytest.mark.parametrize(
    "penalty", [cr.L2(0.3), cr.L2(3.0, per_sample=True), cr.L1(0.1), cr.ElasticNet(0.1, 0.2)]
)
def test_the_penalty_is_a_term_of_the_worked_element(penalty: Any) -> None:
    """In the terminal, on the page, in Markdown and in LaTeX the entry worked out is that of ∂J/∂W."""
    base = case("dense, L2")
    report = cr.explain(base.network, base.X, base.y, penalty=penalty, language="en", check=False)
    step = base.network.backpropagate(base.X, base.y, penalty=penalty)
    own = next(block for block in blocks(report) if block.id == "B3-W-and-penalty-worked1")
    assert isinstance(own, Worked)
    W, value = step.gradients["dense2.W"], float(step.gradients["dense2.W"][own.index])
    assert abs(value) == np.abs(W).max()
    assert own.result == f"{value:.4g}".replace("-", "−")
    symbols = render_text.render(own.symbols)
    assert symbols.startswith("∂J_{data}/∂W³")
    assert "λ" in symbols
    assert own.result in str(report)
    assert f"<b>{own.result}</b>" in report.html()
    assert own.result.replace("−", "-") in report.markdown().replace("−", "-")
    assert r"J_{\operatorname{data}}" in report.latex()


def test_two_sizes_have_two_letters() -> None:
    """1/m of the batch of 1 and λ/m of the training set of 20."""
    base = case("one sample, λ/m")
    for notation, letter in (("tutorial", "m_{train}"), ("nielsen", "n"), ("matrix", "m")):
        added = [t for t in texts(base.report, "general", notation=notation) if "λ" in t and "Σ" not in t]
        assert added
        assert all(f"λ / {letter})" in text for text in added), added
    same = cr.explain(base.network, base.X, base.y, **{**base.options, "training_size": 1})
    assert not any("train" in text for text in texts(same, "general"))


def test_a_branch_hands_down_a_share_with_a_letter_of_its_own() -> None:
    """Under a sum of branches ∂J/∂x stands for the whole, δ_1 and δ_2 for what each branch gives."""
    found = texts(case("branches").report, "sized")
    whole = [text for text in found if text.startswith("∂J/∂x² = ")]
    assert whole == ["∂J/∂x² = δ_1 + δ_2"]
    assert [text for text in found if text.startswith("δ_1 = ")]
    assert [text for text in found if text.startswith("δ_2 = ")]


def test_a_stride_that_differs_has_a_letter_for_either_axis_and_all_letters_are_defined() -> None:
    report = case("conv, elastic net").report
    boxed = texts(report, "boxed")
    assert any("s_1" in text and "s_2" in text and "p" in text for text in boxed)
    said = [block.text.en for block in blocks(report) if isinstance(block, Paragraph)]
    assert any("s_1, s_2" in text and "conv1: s = (1, 2), p = 1, q = 1" in text for text in said)


def test_an_index_that_leads_nowhere_has_its_condition() -> None:
    """δ through a stride of two: (u − m)/2 is whole at every second pixel only."""
    for name in ("conv, elastic net", "overlapping max pool, groups", "transposed conv"):
        for block in blocks(case(name).report):
            if isinstance(block, Formula) and block.reading in ("sized", "boxed"):
                through = any(f")/{stride}" in render_text.render(block.box) for stride in ("2", "s", "s_2"))
                assert not through or (block.note is not None and "no whole number" in block.note.en)


def test_the_penalty_of_several_arrays_is_a_sum_over_them() -> None:
    (omega,) = [block for block in blocks(case("dense, L2").report) if block.id == "penalty-value"]
    assert isinstance(omega, Formula)
    assert render_text.render(omega.box) == "Ω = Σ_{Wˡ} (λ / 2) Σ_{j,k} (Wˡ_{j,k})²"
    assert omega.note is not None
    assert "dense1.W, dense2.W" in omega.note.en


def test_a_step_is_an_assignment() -> None:
    (step,) = [block for block in blocks(case("dense, L2").report) if block.id == "U-worked"]
    assert isinstance(step, Worked)
    assert step.signs[0] == "←"
    report = case("dense, L2").report
    assert "] ← θ" in str(report).replace("} ← θ", "] ← θ")
    assert r"\leftarrow" in report.markdown()
    assert '<span class="sign">←</span>' in report.html()


def test_only_a_maximum_has_winners() -> None:
    for name, winners in (("conv, elastic net", False), ("overlapping max pool, groups", True)):
        titles = [block.title.en for block in blocks(case(name).report) if isinstance(block, Maps)]
        assert any("winner" in title for title in titles) == winners


@pytest.mark.parametrize("name", NAMES)
def test_the_algorithm_has_a_row_for_every_card(name: str) -> None:
    found = list(blocks(case(name).report))
    assert len(found) > 40
    (trace,) = [block for block in found if isinstance(block, Table) and block.id == "trace"]
    steps = [block.step for block in found if isinstance(block, Card)]
    assert sorted(str(row[0]) for row in trace.rows if row[0]) == sorted(steps)


def test_no_mean_gradient_is_not_zero_of_a_variance() -> None:
    said = sentence("noisy", "why", {"snr": 0.0, "batch": 4, "text": "none"})
    assert "cannot be told from 0" in said.en
    assert "0.0" not in said.en


def test_a_saturated_share_has_its_threshold() -> None:
    found = [block for block in blocks(case("dense, L2").report) if block.id == "flow-text"]
    (said,) = [block for block in found if isinstance(block, Paragraph)]
    assert "Saturated: the share of entries with f′ below a limit: Sigmoid 0.01." in said.text.en


# -- equalities ----------------------------------------------------------------------------------------------


def _entry(value: float) -> Element:
    return Element("entry", value, name="x", index=(0,))


@pytest.mark.parametrize(
    ("element", "given", "gives", "result"),
    [
        (times(_entry(0.5), _entry(0.25)), True, "=", "0.125"),
        (times(_entry(0.50001), _entry(0.25)), False, "=", "0.125"),
        (total((_entry(0.1482), minus(number(1.0)))), True, "=", "−0.8518"),
        (times(_entry(1 / 3), _entry(0.5)), False, "≈", "0.1667"),
        (Element("call", np.e, (number(1.0),), name="exp"), True, "≈", "2.718"),
        (Element("call", 1.0, (_entry(0.0),), name="exp"), True, "=", "1"),
        (Element("call", 2.5, (_entry(2.5), number(0.0)), name="max"), True, "=", "2.5"),
        (Element("call", 0.75, (_entry(0.5625), number(0.5)), name="power"), True, "=", "0.75"),
    ],
)
def test_the_signs_of_a_line(element: Element, given: bool, gives: str, result: str) -> None:
    line = line_of(element)
    assert (line.is_exact(), equality(result, line.outcome())) == (given, gives)


def test_a_line_that_cancels_shows_the_digits_it_needs() -> None:
    """0.99994 − 1 = −6e−5 cannot be read off 0.9999 − 1."""
    line = line_of(total((_entry(0.99994), minus(number(1.0)))))
    assert line.digits == 5
    assert line.outcome() == Fraction(-6, 100_000)


@pytest.mark.parametrize("name", NAMES)
def test_no_equality_is_printed_before_a_rounded_number(name: str) -> None:
    """In every worked element "=" stands where the digits are the value, and the terms add up as printed."""
    shown = terminal.render(case(name).report.outline(linear=True), width=400)
    for block in blocks(case(name).report):
        if not isinstance(block, Worked):
            continue
        _, second, last = block.signs
        numbers = render_text.render(block.numbers)
        end = "" if numbers == block.result else f" {last} {block.result}"
        assert f" {second} {numbers}{end}\n" in f"{shown}\n"
        if block.terms:
            assert block.adds_up, block.id
            values = [printed_value(value) for *_, value in block.terms]
            assert sum(value for value in values if value is not None) == printed_value(block.total)


@pytest.mark.turns(2)
@pytest.mark.parametrize("name", NAMES)
def test_a_result_is_printed_once(name: str) -> None:
    """Where the line of numbers is the result alone - a long sum, an entry as it is - nothing follows it."""
    report = case(name).report
    if name == "dense, L2":  # there are such
        worked = [block for block in blocks(report) if isinstance(block, Worked)]
        assert any(number_of(block.numbers) == block.result for block in worked)
    number = r"[−-]?[\d.]+(?:e[−-]?\d+)?"
    assert not re.search(rf"[=≈] ({number}) [=≈] \1$", str(report), re.MULTILINE)
    assert not re.search(rf"[=≈] ({number}) \\\\\n&= \1$", report.markdown(), re.MULTILINE)
    html = re.sub(r"<m[a-z]+[^>]*>|</m[a-z]+>", "", report.html())
    line = r'<span class="sign">[=≈]</span><div class="line">'
    assert not re.search(rf"{line}({number})(?:<[^b][^>]*>)*</div>{line}<b>\1</b>", html)
    assert not re.search(rf"[=≈] ({number}) \\\\ &= \1 \\end", report.latex())


@pytest.mark.parametrize("notation", ["matrix", "nielsen", "ufldl"])
def test_the_numbers_are_the_same_in_every_notation(notation: str) -> None:
    for name in ("dense, L2", "conv, elastic net"):
        audit = Audit(case(name), notation=notation).run()
        assert not audit.wrong, "\n".join(audit.wrong)


def test_sections_are_walked() -> None:
    """The walk above reaches cards within sections."""
    kinds = {type(block) for block in blocks(case("dense, L2").report)}
    assert {Section, Card, Worked, Table} <= kinds


WEIGHTED = {"tutorial": "w", "ufldl": "w", "ng": "w", "matrix": "w", "nielsen": "ω"}


def classifier(**options: Any) -> cr.Report:
    layers = [cr.Dense(3), cr.Tanh(), cr.Dense(2), cr.Softmax()]
    network = cr.Network(layers, input_shape=2, seed=0)
    X = np.random.default_rng(0).standard_normal((2, 2))
    return cr.explain(network, X, [0, 1], check=False, **options)


@pytest.mark.turns(2)
@pytest.mark.parametrize(("notation", "letter"), WEIGHTED.items())
def test_the_weight_of_a_sample_has_one_letter_and_is_in_the_closing_box(notation: str, letter: str) -> None:
    report = classifier(sample_weight=[1, 3], notation=notation)
    i = "b" if notation == "ng" else "i"
    boxed = texts(report, "boxed")[0]
    assert f") {letter} (" in boxed  # (1/m) w (a − y)
    found = {block.id: block for block in blocks(report)}
    general = found["L-residual-general"]
    assert isinstance(general, Formula)
    assert f" = {letter} (" in render_text.render(general.box)
    assert f"Σ_{i} {letter}_{i} " in texts(report, "general")[0]
    table = found["outputs"]
    assert isinstance(table, Table)
    assert any(str(getattr(cell, "en", "")).startswith(f"δ_k = {letter}_{i} (…)/") for cell in table.head)
    worked = found["L-residual-worked1"]
    assert isinstance(worked, Worked)
    assert f"{letter}_1 · " in render_text.render(worked.symbols)
    flow = found["flow-text"]
    assert isinstance(flow, Paragraph)
    assert f"each times its sample weight {letter}_{i}" in flow.text.en
    assert f"样本权重 {letter}_{i}" in flow.text.zh
    for printed in (str(report), report.markdown(), report.html(), report.latex()):
        assert "is the weight of sample" in " ".join(printed.split())
        assert "sample weight (" not in printed


def test_without_weights_no_letter_stands_for_them() -> None:
    report = classifier()
    assert texts(report, "boxed")[0] == "δᴸ = (1/m) (aᴸ − y)"
    assert "is δ of single samples:" in str(report)


@pytest.mark.parametrize(
    ("notation", "letter"), [("ng", "l + 1"), ("ufldl", "l + 1"), ("nielsen", "l"), ("matrix", "l")]
)
def test_a_card_is_headed_with_the_l_of_its_formula(notation: str, letter: str) -> None:
    """z^(l+1) = Θ^(l) a^(l) with l = 1 makes z^(2): its card says l + 1 = 2, and the columns l + 1."""
    found = list(blocks(classifier(notation=notation)))
    heads = {block.step: block.head for block in found if isinstance(block, Card)}
    first = 0 if notation == "matrix" else 1
    for step, layer in (("F1", 1), ("F2", 1), ("F3", 2), ("F4", 2), ("B3", 2), ("B1", 1)):
        assert heads[step].startswith(f"{letter} = {layer + first}   ")
    columns = [block.head for block in found if isinstance(block, Table) and block.id in ("layers", "trace")]
    assert all(any(getattr(cell, "en", cell) == letter for cell in head) for head in columns)


def convolution(notation: str = "ufldl", **options: Any) -> cr.Report:
    layers = [
        cr.Conv2D(2, 3),
        cr.BatchNorm(),
        cr.ReLU(),
        cr.MaxPool2D(2),
        cr.Flatten(),
        cr.Dense(2, bias=False),
    ]
    network = cr.Network(layers, input_shape=(6, 6, 1), seed=0)
    X = np.random.default_rng(0).standard_normal((2, 6, 6, 1))
    loss = cr.SquaredError(mean_outputs=True)
    return cr.explain(network, X, np.ones((2, 2)), loss=loss, notation=notation, **options)


def test_a_scale_of_shades_is_no_range_of_values() -> None:
    printed = terminal.render(convolution(check=False, language="en").outline(linear=True))
    assert "the input of the network   (shades from −" in printed.replace("network (", "network   (")
    printed = terminal.render(convolution(check=False, language="zh").outline(linear=True))
    assert "深浅对应 −" in printed


def test_what_is_counted_is_said_with_its_number() -> None:
    report = convolution()
    notes = {
        block.id: block.note
        for block in blocks(report)
        if isinstance(block, Formula) and block.note is not None
    }
    assert notes["F2-forward-sized"].en == "N = 32: the values of a feature, samples times positions"
    assert notes["F2-forward-sized"].zh == "N = 32：每个特征的取值个数，即样本数 × 位置数"
    for identifier in ("L-value-general", "L-residual-general"):
        assert notes[identifier].en == "n_out = 2: the outputs of one sample"
    network = cr.Network([cr.Dense(3), cr.LayerNorm(), cr.Dense(1)], input_shape=2, seed=0)
    report = cr.explain(network, [[1.0, 2.0]], [[1.0]], check=False)
    found = [block for block in blocks(report) if block.id in ("F2-forward-sized", "B2-delta-sized")]
    assert len(found) == 2
    assert all(block.note.en == "H = 3: the features" for block in found)  # type: ignore[union-attr]


def test_the_check_has_no_n_of_outputs() -> None:
    printed = str(convolution(language="en"))
    assert "‖q − g‖ / ‖q + g‖" in printed
    assert "‖n − g‖" not in printed


def test_a_theta_without_a_bias_has_no_column_that_is_spared() -> None:
    for bias in (False, True):
        network = cr.Network([cr.Dense(2, bias=bias)], input_shape=2, seed=0)
        options: dict[str, Any] = {"penalty": cr.L2(0.1), "notation": "ng", "check": False, "language": "en"}
        printed = str(cr.explain(network, [[1.0, 2.0]], [[1.0, 0.0]], **options)).replace("\n", " ")
        assert ("every column but column 0" in printed) == bias
        assert ("every column: the layer has no bias" in printed) != bias


def test_the_entry_by_entry_reading_stands_beside_delta_with_its_own_share() -> None:
    """④ of ∂J/∂a has 1/m and the weight of the sample in it, as δ has."""
    report = classifier(sample_weight=[1, 3])
    table = report.document["loss_card"]["outputs"]
    sample, m = report.document["meta"]["sample"], 2
    weight = [0.5, 1.5][sample]
    for a, by_a, literal in zip(table["a"], table["by_a"], table["literal"], strict=True):
        assert literal == pytest.approx(by_a * a * (1 - a) * weight / m)


@pytest.mark.parametrize("language", ["en", "zh", "en+zh"])
def test_how_to_reproduce_a_report_names_its_language(language: str) -> None:
    assert f"language='{language}'," in str(classifier(language=language))


@pytest.mark.parametrize("notation", ["tutorial", "ufldl", "ng", "matrix", "nielsen"])
@pytest.mark.parametrize("made", [classifier, convolution])
def test_every_step_computes_one_quantity_and_reads_what_a_step_has_computed(
    made: Any, notation: str
) -> None:
    found = blocks(made(notation=notation, **({} if made is classifier else {"check": False})))
    (trace,) = [block for block in found if isinstance(block, Table) and block.id == "trace"]
    writer = terminal.TerminalWriter("en", 100, False)
    rows = [[str(getattr(cell, "en", "") or writer.line(cell)) for cell in row] for row in trace.rows]
    computed = [row[3] for row in rows]
    assert len(computed) == len(set(computed))
    step, known = "", set()
    for row in rows:
        step = row[0] or step
        for read in row[4].split(", "):
            if step.startswith("B") and ("δ" in read or "∂" in read or read.startswith("D")):
                assert read in known, (step, row)
        known.add(row[3])


@pytest.mark.turns(2)
@pytest.mark.parametrize(("notation", "loss", "x"), [
    ("tutorial", "J", "x"), ("ufldl", "J", "a"), ("matrix", "C", "A"), ("nielsen", "C", "a"),
])  # fmt: skip
def test_sentences_have_the_letters_of_the_notation(notation: str, loss: str, x: str) -> None:
    for language in ("en", "zh"):
        report = classifier(notation=notation, language=language)
        sections = report.outline(linear=True).sections
        texts = [
            getattr(block.text, language)
            for section in sections
            if section.id not in ("notation", "references")
            for outer in section.blocks
            for block in (outer.blocks if isinstance(outer, Card) else (outer,))
            if isinstance(block, Paragraph)
        ]
        said = " ".join(texts)
        other = "C" if loss == "J" else "J"
        assert not re.search(rf"(?<![A-Za-z]){other}(?![A-Za-z])", said), language
        assert f"{x}_j" in said
        assert f"∂{loss}/∂{x}" in said
        assert notation == "tutorial" or "x_j" not in said
        printed = report.markdown()
        assert f"损失 {loss}" in printed or f"loss {loss}" in printed
        assert f"‖{x if notation != 'tutorial' else 'x'}‖" in str(report)
        assert f'data-loss="{loss}"' in report.html()


def test_a_layer_is_not_renamed_with_the_loss() -> None:
    network = cr.Network([cr.Dense(1, name="J")], input_shape=1, seed=0)
    report = cr.explain(network, [[1.0]], [[2.0]], notation="nielsen", language="en")
    printed = str(report)
    assert "∂C/∂J.W" in printed
    assert "F1  J" in printed


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ([cr.Sigmoid()], "Times f′ it is the δ"),
        ([cr.Softmax()], "The Jacobian of softmax follows"),
        ([], "No activation follows"),
    ],
)
def test_the_derivative_by_the_output_is_no_delta_before_it_went_through_the_activation(
    end: list[cr.Layer], said: str
) -> None:
    network = cr.Network([cr.Dense(2), *end], input_shape=2, seed=0)
    X, y = [[1.0, 2.0]], [[1.0, 0.0]]
    report = cr.explain(network, X, y, loss=cr.SquaredError(), notation="nielsen", check=False, language="en")
    found = list(blocks(report))
    assert any(isinstance(block, Paragraph) and said in block.text.en for block in found)
    (table,) = [block for block in found if isinstance(block, Table) and block.id == "outputs"]
    assert getattr(table.head[-1], "en", "") == "∂C/∂a_k = (…)/m"


def test_what_is_worked_out_of_a_loss_is_its_sample() -> None:
    """One number per sample: there is no entry that is largest."""
    for block in blocks(classifier()):
        if isinstance(block, Worked) and block.id == "L-value-worked1":
            assert block.why is not None
            assert block.why.en == "of the sample in focus"
            return
    raise AssertionError("no worked loss")


def test_the_state_of_a_cell_is_no_gradient() -> None:
    network = cr.Network([cr.LSTM(2), cr.Dense(1)], input_shape=(3, 2), seed=0)
    options: dict[str, Any] = {"penalty": cr.L2(0.1), "notation": "nielsen", "check": False}
    shown = cr.explain(network, np.ones((1, 3, 2)), [[1.0]], **options).markdown()
    forward, backward = shown.partition("## Forward")[2].split("## Backward", 1)
    assert "The cell keeps the share f" in forward
    assert "What the parameter gets" not in forward
    assert r"What the data give is ∂C\_data/∂w" in backward


def test_a_network_with_and_without_theta_has_both_biases_in_its_table() -> None:
    (table,) = [
        block
        for block in blocks(case("conv, elastic net").report, notation="ng")
        if isinstance(block, Table) and block.id == "letters"
    ]
    (row,) = [row for row in table.rows if "copied into every column" in getattr(row[0], "en", "")]
    shown = render_text.render(row[1])  # type: ignore[arg-type]
    assert "₀ = 1" in shown.replace("_0", "₀")
    assert "b̂" in shown
