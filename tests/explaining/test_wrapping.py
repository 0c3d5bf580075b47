"""Lines and tables that fit a terminal."""

from __future__ import annotations

import pytest

from chainrule.base.tables import cell_width, wrapped
from chainrule.explaining.render.terminal.wrapping import fitted_table

CHINESE = "样本相互影响（批归一化），预测时用滑动平均：其余各层中样本互不影响。"
MIXED = f"W is (outputs, inputs) {CHINESE} z = W x."


@pytest.mark.parametrize("text", ["", "one", "three little words", CHINESE, MIXED])
@pytest.mark.parametrize("width", [14, 20, 33, 200])
def test_lines_fit_and_lose_nothing(text: str, width: int) -> None:
    lines = wrapped(text, width)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(cell_width(line) <= width for line in lines)
    assert all(line == line.strip() for line in lines)
    assert not any(line[:1] in "。，；：！？）》”、" for line in lines if line)


def test_a_word_longer_than_a_line_stays_whole() -> None:
    assert wrapped("a backpropagation b", 6) == ["a", "backpropagation", "b"]


def test_a_table_that_fits_is_left() -> None:
    rows = [["l", "name"], ["1", "dense"]]
    assert fitted_table(rows, 80, right=(0,)) == "l  name\n────────\n1  dense"


def test_columns_of_text_are_broken() -> None:
    rows = [["l", "what", "z"], ["1", "one two three four five six", "0.5"]]
    assert fitted_table(rows, 26, text=(1,)).split("\n") == [
        "l  what                z",
        "──────────────────────────",
        "1  one two three four  0.5",
        "   five six",
    ]  # fmt: skip


def test_a_head_is_broken_between_words_before_the_cells() -> None:
    rows = [["l", "parameters 参数", "in the loss 损失"], ["1", "80", "0.5"]]
    assert fitted_table(rows, 28, right=(1, 2)).split("\n") == [
        "l  parameters 参数  in the",
        "                      loss",
        "                      损失",
        "──────────────────────────",
        "1               80     0.5",
    ]
    assert max(map(cell_width, fitted_table(rows, 24).split("\n"))) <= 24


def test_a_table_that_cannot_be_narrowed_becomes_lines() -> None:
    rows = [["S0", "Ng"], ["δ = (Wᵀ δ) ⊙ f'(z)", "∂J/∂z = (Θᵀ ∂J/∂z) .* g'(z)"], ["x", ""]]
    assert fitted_table(rows, 32).split("\n") == [
        "S0: δ = (Wᵀ δ) ⊙ f'(z)",
        "Ng: ∂J/∂z = (Θᵀ ∂J/∂z) .* g'(z)",
        "",
        "S0: x",
    ]
