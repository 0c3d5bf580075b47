"""The report in the terminal: what is in the outline is in the text, and tables line up."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.base.tables import cell_width, text_table
from chainrule.explaining.render.terminal import document as terminal


@pytest.fixture(scope="module")
def report() -> cr.Report:
    layers = [cr.Conv2D(3, 3), cr.Sigmoid(), cr.MaxPool2D(2), cr.Flatten(), cr.Dense(3), cr.Softmax()]
    network = cr.Network(layers, input_shape=(6, 6, 1), seed=1)
    rng = np.random.default_rng(0)
    return cr.explain(network, rng.standard_normal((4, 6, 6, 1)), np.array([0, 1, 2, 1]), penalty=cr.L2(0.01))


def test_every_step_and_section(report: cr.Report) -> None:
    text = str(report)
    for step in ("L  CrossEntropy()", "F1  conv1", "F6  softmax1", "B5  dense1", "B1  conv1", "U  gradients"):
        assert f"▌ {step}" in text
    assert "反向传播" in text
    assert "\x1b" not in text


def test_one_language(report: cr.Report) -> None:
    text = terminal.render(report.outline(language="en", linear=True))
    assert not any("一" <= character <= "鿿" for character in text)


def test_a_step_alone(report: cr.Report) -> None:
    out = io.StringIO()
    terminal.show(report.outline(linear=True), step="B3", stream=out)
    assert "B3  maxpool1" in out.getvalue()
    assert "B2" not in out.getvalue()
    with pytest.raises(ValueError, match=r"step must be one of L, F1, .*received 'B9'"):
        terminal.show(report.outline(linear=True), step="B9", stream=out)


def test_without_a_terminal_all_steps_are_printed(report: cr.Report) -> None:
    out = io.StringIO()
    terminal.show(report.outline(linear=True), step=True, stream=out)
    assert out.getvalue().count("▌ ") == 13


@pytest.mark.parametrize("step", [0, 3, None, 1.5])
def test_a_step_is_a_name(report: cr.Report, step: Any) -> None:
    with pytest.raises(ValueError, match="step must be True or False, received"):
        report.print(step=step)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "gbk"])
@pytest.mark.parametrize("step", [False, True, "B1"])
def test_an_output_without_the_signs(report: cr.Report, encoding: str, step: Any) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    terminal.show(report.outline(linear=True), step=step, stream=stream)
    stream.flush()
    assert b"?" in stream.buffer.getvalue()  # type: ignore[attr-defined]


def test_terms_line_up_and_add_up(report: cr.Report) -> None:
    lines = terminal.render(report.outline(language="en", linear=True)).split("\n")
    totals = [number for number, line in enumerate(lines) if line.startswith("      Σ  ")]
    assert len(totals) > 5
    for number in totals:
        assert cell_width(lines[number]) == cell_width(lines[number - 2]), lines[number - 2 : number + 1]


def test_colour_maps_are_half_blocks(report: cr.Report) -> None:
    text = terminal.render(report.outline(linear=True), colour=True)
    assert "▀" in text
    assert text.count("\x1b[0m") > 10


@pytest.mark.parametrize("share", [-1.0, -0.3, 0.0, 0.3, 1.0])
def test_colours_are_colours(share: float) -> None:
    assert 16 <= terminal._code(share) <= 231


def test_chinese_counts_two_columns() -> None:
    assert cell_width("残差δ") == 5
    assert cell_width("b̂") == 1
    table = text_table([["名称", "x"], ["a", "y"]]).split("\n")
    assert table[0] == "名称  x"
    assert table[2] == "a     y"


def test_lines_fit_a_narrow_terminal() -> None:
    """Formulas, worked lines, titles, code and maps are broken or cut."""
    layers = [cr.Conv2D(4, 3), cr.ReLU(), cr.MaxPool2D(2, 1), cr.Flatten(), cr.Dense(3), cr.Softmax()]
    network = cr.Network(layers, input_shape=(12, 12, 1), seed=0)
    X = np.random.default_rng(0).standard_normal((3, 12, 12, 1))
    report = cr.explain(network, X, [0, 1, 2], check=False)
    text = terminal.render(report.outline(language="en", linear=True), width=80)
    assert [line for line in text.split("\n") if cell_width(line) > 80] == []
    assert "more terms" in text
    assert "…\n" in text  # a map of 3 x 324 weights is cut
