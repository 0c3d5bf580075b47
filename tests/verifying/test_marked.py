"""Two formulas with what differs marked: in text under the signs themselves, in MathML, in JSON."""

from __future__ import annotations

import pytest
from tests.pairwise import some

from chainrule.base.tables import cell_width
from chainrule.formulas.neighbours import neighbours
from chainrule.formulas.printing import Equation, text
from chainrule.formulas.tracing import trace
from chainrule.layers import layer_classes
from chainrule.networks.network import Network
from chainrule.verifying.mutants.examples import EXAMPLES
from chainrule.verifying.saying.marked import Line, marked

MOST = 4  # wrong neighbours of a formula that are looked at: those of a recurrence have hundreds


@pytest.mark.parametrize("kind", layer_classes)
def test_every_wrong_neighbour_of_every_formula(kind: str) -> None:
    for example in EXAMPLES[kind]:
        network = Network([example.layer(kind)], input_shape=example.shape, dtype="float64")
        formulas = trace(network.layers[0])
        for name in formulas:
            tree = formulas[name]
            listed = list(neighbours(tree))
            for neighbour in some(listed, MOST):
                both = marked(tree, neighbour.tree)
                assert both.right[0].text == text(tree)
                assert both.wrong[0].text == text(neighbour.tree)
                assert sum(len(line.spans) for line in (*both.right, *both.wrong))
                for line in (*both.right, *both.wrong):
                    assert all(0 <= first < last <= len(line.text) for first, last in line.spans)
                    assert all(a[1] <= b[0] for a, b in zip(line.spans, line.spans[1:], strict=False))
                    assert line.math.count('data-ref="marked"') >= len(line.spans)
                    assert not {"\ue000", "\ue001"} & {*line.text, *line.math}
                for language in ("en", "zh"):
                    assert all(row.strip() for row in both.rows(language, 60))


def test_definitions_stand_with_the_right_formula() -> None:
    network = Network([layer_classes["BatchNorm"]()], input_shape=4)
    tree = trace(network.layers[0]).delta
    wrong = next(n for n in neighbours(tree) if n.kind == "mean_samples as sum_samples")
    both = marked(tree, wrong.tree)
    assert len(both.right) > 5
    assert len(both.wrong) == 2  # its formula, and the definition that differs
    assert both.wrong[1].spans
    assert {line.text for line in both.right[1:]} == {text(e) for e in Equation(None, tree).definitions}  # type: ignore[arg-type]


LONG = "W + " * 30 + "x"


@pytest.mark.parametrize("width", [30, 40, 77, 500])
@pytest.mark.parametrize("lead", ["write  ", "应写作  "])
def test_rows_are_broken_and_the_signs_stay_below(width: int, lead: str) -> None:
    line = Line(LONG, ((8, 33), (120, 121)), "")
    rows = line.rows(lead, width)
    assert max(map(cell_width, rows)) <= width
    room = cell_width(lead)
    marks = ""
    for row, below in zip(rows, [*rows[1:], ""], strict=True):
        if below.strip() and set(below) <= {"^", " "}:
            shown = row[len(lead) :] if row.startswith(lead) else row[room:]
            under = below[room:].ljust(len(shown))
            marks += "".join(sign for sign, mark in zip(shown, under, strict=True) if mark == "^")
    assert marks.replace(" ", "") == (LONG[8:33] + LONG[120:121]).replace(" ", "")


def test_wide_signs_have_two_marks() -> None:
    assert Line("a 卷积 b", ((2, 4),), "").rows("") == ["a 卷积 b", "  ^^^^"]
    assert Line("x\N{COMBINING CIRCUMFLEX ACCENT} y", ((0, 2),), "").rows("") == ["x̂ y", "^"]
