"""The tables of operations: all there is to know of a primitive or a reduction, under its name.

Every reader of a formula (evaluation, adjoints, printers, elements, engine, tests) looks an operation up
here and asks its entry; the entries are made where operations are declared (primitives/declaring.py).
Imports no other module of the package, so that all may import it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

# adjoint(d, y, *operands, **static) -> one cotangent per operand, None where nothing flows (indices, shapes,
# conditions). Written with primitives: y is the result, d the cotangent of y.
Adjoint = Callable[..., tuple[Any, ...]]
# The name of a layout (printing/layouts.py, printing/window_layouts.py), or (name of one that takes a word,
# the word).
LayoutName = str | tuple[str, str]


class Trait(Enum):
    """What readers ask of an operation's result without knowing the operation's name."""

    ENTRYWISE = "acts entry by entry"
    PRODUCT = "multiplies matrices"
    ADDS_MANY = "adds up over positions or samples"
    DROPS_POSITIONS = "has no positions although an operand has"
    LIKE_SECOND = "has the shape of its second operand"
    THIN = "may have fewer features or samples than its operand, so that arithmetic with that repeats it"
    NUMBER = "is a single number"
    AUGMENTED = "prints as its operand, with a row or column more or fewer"
    COUNTS_FEATURES = "is, or divides by, the number of features"
    COUNTS_VALUES = "is, or divides by, the number of values of a feature"
    COUNTS_POSITIONS = "is, or divides by, the number of positions"
    COUNTS_OUTPUTS = "is, or divides by, the number of outputs of a sample"
    CHOOSES = "jumps where a comparison or a winner changes"
    AVERAGES_GROUPS = "averages over groups of features"


NO_TRAITS: frozenset[Trait] = frozenset()


@dataclass(frozen=True, eq=False)
class Rule:
    """A primitive operation.

    evaluate: its NumPy meaning.  layout: how it prints.  entry: the name of its rule in
    elements/entry_rules.py, None where an entry of the result is one number.  remark: what its print leaves
    unsaid, of {letter}, under a window {fill}, beyond edges {mode}.  wrong: what people write in its place by
    mistake, as formulas/neighbours.py reads it.
    """

    name: str
    evaluate: Callable[..., Any]
    adjoint: Adjoint
    layout: LayoutName
    entry: str | None = None
    traits: frozenset[Trait] = NO_TRAITS
    remark: str = ""
    wrong: tuple[str, ...] = ()

    @property
    def meaning(self) -> str:
        """First line of the definition's docstring."""
        return (inspect.getdoc(self.evaluate) or "").partition("\n")[0]


@dataclass(frozen=True, eq=False)
class Binder:
    """A reduction over index ranges.  `combine(values, ranges)` has the body's values in row-major order;
    `flow(d, over, indices)` is the cotangent of the body at the given indices.  The rest as in Rule."""

    name: str
    combine: Callable[[Sequence[Any], tuple[int, ...]], Any]
    flow: Callable[[Any, Any, tuple[Any, ...]], Any]
    layout: LayoutName
    entry: str | None = None
    traits: frozenset[Trait] = NO_TRAITS
    wrong: tuple[str, ...] = ()


rules: dict[str, Rule] = {}
binders: dict[str, Binder] = {}
