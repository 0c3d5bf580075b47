"""What kind of quantity a node is: an image with positions, a number, something broadcasting repeats."""

from __future__ import annotations

from chainrule.formulas.expression import Expression, Number, Symbol
from chainrule.formulas.rules import Trait

# Kinds of symbols that have positions, and how many axes of them.
POSITIONS = {"sequence": 1, "image": 2, "volume": 3}


def is_image(node: Expression) -> bool:
    """Whether the value has positions: (i, j), (i) of a sequence, or (h, i, j) of a volume."""
    if isinstance(node, Symbol):
        return node.kind in POSITIONS
    if Trait.DROPS_POSITIONS in node.traits:
        return False
    if Trait.LIKE_SECOND in node.traits:
        return is_image(node.children[1])
    return any(map(is_image, node.children))


def axes(node: Expression) -> int:
    """How many axes of positions its quantities have: 1 (a sequence), 2, or 3 (a volume)."""
    return min((POSITIONS[s.kind] for s in node.symbols if s.kind in POSITIONS), default=2)


def is_scalar(node: Expression) -> bool:
    """Whether the value is a single number, so that its products need no ⊙."""
    if isinstance(node, Symbol):
        return node.kind == "scalar"
    if Trait.NUMBER in node.traits:
        return True
    return isinstance(node, Number) or (bool(node.children) and all(map(is_scalar, node.children)))


def is_thin(node: Expression) -> bool:
    """Whether the value may have fewer features or samples than x, so that arithmetic with x repeats it."""
    if isinstance(node, Symbol):
        return node.kind == "scalar" or node.role.startswith("parameter ")
    if Trait.THIN in node.traits:
        return True
    return all(map(is_thin, node.children))
