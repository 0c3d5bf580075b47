"""Formulas as markup: a long one may be broken where its right side allows it."""

from __future__ import annotations

from chainrule.explaining.render.markup import display_lines, display_math
from chainrule.formulas.printing import render_mathml
from chainrule.formulas.printing.boxes import Row, Sign, Word


def test_a_long_formula_is_broken_before_its_outermost_signs() -> None:
    factor = Row((Word("a" * 40), Sign("⊙"), Word("b" * 20)), binds=0, tight=True)
    formula = Row((Word("d"), Sign("="), Row((factor, Sign("⊙"), Word("f")))))
    pieces = display_lines(formula).split("</math>")[:-1]
    assert len(pieces) == 2, "the ⊙ within the factor is no place to break"
    assert pieces[0].endswith(f"{render_mathml.render(factor)}</mrow>")
    assert ">⊙<" in pieces[1]


def test_a_short_formula_is_one() -> None:
    formula = Row((Word("d"), Sign("="), Row((Word("a"), Sign("⊙"), Word("f")))))
    assert display_lines(formula) == display_math(formula)
