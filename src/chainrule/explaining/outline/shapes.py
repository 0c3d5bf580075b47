"""The line of shapes under a formula: every symbol replaced by its shape, (16×8)·(8×5) → (16×5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from chainrule.formulas import Equation, Named, Operation, Over, Symbol
from chainrule.formulas.expression import Expression, Number, walk
from chainrule.formulas.printing.boxes import ATOM, PRODUCT, Box, Numeral, Row, Sign, Word, row, tight
from chainrule.formulas.printing.compose import Composer, place_of
from chainrule.formulas.printing.kinds import is_image
from chainrule.formulas.printing.notation import Notation
from chainrule.formulas.printing.places import NOWHERE, At
from chainrule.formulas.rules import Trait

Shapes = Mapping[str, list[int]]
# A sum over the samples is a product with a column of ones (Matrix notes §6): (16×5) (5×1) → (16×1).
ONES = "sum_samples"


def shape_box(equation: Equation, shapes: Shapes, notation: Notation, linear: bool) -> Box | None:
    """The line of shapes; None where no matrix is multiplied: entry by entry all shapes are the same."""
    if not any(_is_product(node) for _, node in walk(equation.right)):
        return None
    seen = {node.name for _, node in walk(equation.right) if isinstance(node, Symbol | Named)}
    if any(name not in shapes for name in seen):
        return None
    right = equation.right
    at = place_of(right)
    if isinstance(right, Over) and right.rule.name == "stack_over":
        right = right.body
    composer = ShapeComposer(notation, linear, shapes=shapes)
    result, added = shapes["="], summed(right)
    if added is not None:
        if len(shapes[added.name]) > 2 and not is_image(added):
            return None  # positions that the formula does not write would be left over
        result = [*result, 1]  # the array of a bias has one axis; as a product it is a column
    return row(composer.box(right, at), Sign("→"), shape(result))


def _is_product(node: Expression) -> bool:
    return Trait.PRODUCT in node.traits or summed(node) is not None


def summed(node: Expression) -> Symbol | None:
    """The symbol whose samples are added up, at every position or at none; None where it is another sum."""
    if not isinstance(node, Operation) or node.rule.name != ONES:
        return None
    (inner,) = node.operands
    if isinstance(inner, Operation) and inner.rule.name == "sum_positions":
        (inner,) = inner.operands
    return inner if isinstance(inner, Symbol) else None


@dataclass(frozen=True)
class ShapeComposer(Composer):
    """Lays out a formula with the shapes of its symbols for their letters."""

    shapes: Shapes = field(default_factory=dict)

    def _layout(self, node: Expression, at: At) -> Box:
        match node:
            case Symbol(name) | Named(name):
                sizes = self.shapes[name]
                # Looked at in one position a quantity is its features times its samples.
                return shape(sizes[-2:] if is_image(node) and at.position else sizes)
            case Number(value) if value != int(value):
                return Numeral("1")
            case Operation(rule, operands) if rule.name == "kernel_at" and isinstance(operands[0], Symbol):
                sizes = self.shapes[operands[0].name]
                return shape([sizes[0], sizes[-1]])
            case Operation(_, (inner,)) if (matrix := summed(node)) is not None:
                ones = shape([self.shapes[matrix.name][-1], 1])
                return row(self.box(inner, at), ones, binds=PRODUCT)
            case Operation(rule, (Symbol() as inner,)) if Trait.AUGMENTED in rule.traits:
                # a with a_0, Θ without column 0 (Dezeming)
                return shape(list(rule.evaluate(np.zeros(self.shapes[inner.name], bool)).shape))
            case Operation(rule, operands) if rule.name == "broadcast_samples":
                return self.box(operands[0], NOWHERE)
        return super()._layout(node, at)


def shape(sizes: list[int]) -> Box:
    """(16×5); a single size as such."""
    if len(sizes) < 2:
        return Word("()") if not sizes else Row((Numeral(str(sizes[0])),), ATOM)
    parts: list[Box] = [Sign("(")]
    for number, size in enumerate(sizes):
        parts += [Sign("×")] if number else []
        parts.append(Numeral(str(size)))
    return tight(*parts, Sign(")"), binds=max(ATOM, PRODUCT))
