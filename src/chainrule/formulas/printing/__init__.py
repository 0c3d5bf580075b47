"""Formulas in print: `latex`, `mathml` and `text` of a tree or an equation, in any notation.

In: a tree or an equation, and a notation.  Out: boxes, and from them LaTeX, MathML, a line of text.
Knows: expression, rules and primitives beside it; loaded when a formula is first shown.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from chainrule.formulas.expression import Expression, Named, Operation, Over, Symbol, walk
from chainrule.formulas.printing import render_latex, render_mathml, render_text
from chainrule.formulas.printing.boxes import Box, Sign, row
from chainrule.formulas.printing.compose import Composer, Reference, definitions, place_of
from chainrule.formulas.printing.notation import TUTORIAL, Notation
from chainrule.formulas.printing.places import At
from chainrule.formulas.rules import rules


@dataclass(frozen=True, repr=False)
class Equation:
    """left = right, and the definitions of the named intermediates on the right."""

    left: Symbol | Named
    right: Expression

    @property
    def definitions(self) -> tuple[Equation, ...]:
        """An equation for each named intermediate, in the order in which they are needed."""
        return tuple(Equation(named, named.value) for named in definitions(self.right))

    def __repr__(self) -> str:
        return text(self)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What the index notation leaves unsaid."""
        said: dict[str, str] = {}
        for _, node in walk(self.right):
            if isinstance(node, Operation) and node.rule.remark and node.rule.name not in said:
                derived = any(symbol.role.startswith("gradient of ") for symbol in node.operands[0].symbols)
                fill = "−∞" if node.options.get("fill") == -math.inf else "0"
                told = {**node.options, "letter": "δ" if derived else "X", "fill": fill}
                said[node.rule.name] = node.rule.remark.format(**told)
        return tuple(said[name] for name in rules if name in said)


Formula = Expression | Equation


def latex(formula: Formula, notation: Notation = TUTORIAL) -> str:
    """LaTeX (amsmath), without $: W^{l} x^{l-1} + \\hat{b}^{l}."""
    return render_latex.render(compose(formula, Composer(notation)))


def mathml(
    formula: Formula,
    notation: Notation = TUTORIAL,
    *,
    display: str = "inline",
    reference: Reference | None = None,
) -> str:
    """A <math> element of MathML Core.

    display: "inline" or "block".  reference(node) -> text or None puts data-ref on the elements of a node.
    """
    return render_mathml.math(
        render_mathml.render(compose(formula, Composer(notation, reference=reference))), display
    )


def text(formula: Formula, notation: Notation = TUTORIAL) -> str:
    """One line of Unicode text: Wˡ xˡ⁻¹ + b̂ˡ."""
    return render_text.render(compose(formula, Composer(notation, linear=True)))


def compose(formula: Formula, composer: Composer) -> Box:
    """The boxes of a formula: images are shown at a position, a stack over (m, n) at one of its offsets."""
    if not isinstance(formula, Equation):
        return composer.box(formula, place_of(formula))
    right = formula.right
    at = place_of(right)
    if isinstance(right, Over) and right.rule.name == "stack_over":
        at, right = At(feature=composer.indices(right)), right.body
        return row(_left(formula.left, composer, at), Sign("="), composer.box(right))
    return row(_left(formula.left, composer, at), Sign("="), composer.box(right, at))


def _left(left: Symbol | Named, composer: Composer, at: At) -> Box:
    subscripts = composer.subscripts(at)
    if isinstance(left, Named):
        return composer.name(left.name, subscripts)
    return composer.tagged(left, composer.letter(composer.notation.letter(left), subscripts))
