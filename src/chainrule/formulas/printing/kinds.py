"""What kind of quantity a node is: an image with positions, a number, something broadcasting repeats."""

from __future__ import annotations

from chainrule.formulas.expression import Expression, Number, Operation, Over, Symbol

POSITIONS = {"sequence": 1, "image": 2}  # kinds of symbols that have positions, and how many axes of them

# Primitives whose result has no positions although an operand has.
_DROPS_POSITIONS = {
    "correlate",
    "sum_positions",
    "max_positions",
    "sum_outputs",
    "sum_entries",
    "flatten",
    "stack_over",
    "block_diagonal",
    "diagonal_blocks",
}
_SHAPED_LIKE_SECOND = {"fit", "stretch", "unflatten"}
_THIN = {
    "broadcast_samples",
    "sum_features",
    "mean_features",
    "max_features",
    "sum_positions",
    "max_positions",
}
_COUNTS = {"count_features", "count_positions", "count_outputs", "count_values", "sum_entries"}


def is_image(node: Expression) -> bool:
    """Whether the value has positions: (i, j), or (i) of a sequence."""
    if isinstance(node, Symbol):
        return node.kind in POSITIONS
    if isinstance(node, Operation | Over) and node.rule.name in _DROPS_POSITIONS:
        return False
    if isinstance(node, Operation) and node.rule.name in _SHAPED_LIKE_SECOND:
        return is_image(node.operands[1])
    return any(map(is_image, node.children))


def axes(node: Expression) -> int:
    """How many axes of positions its quantities have: 1 (a sequence) or 2."""
    return min((POSITIONS[s.kind] for s in node.symbols if s.kind in POSITIONS), default=2)


def is_scalar(node: Expression) -> bool:
    """Whether the value is a single number, so that its products need no ⊙."""
    if isinstance(node, Symbol):
        return node.kind == "scalar"
    if isinstance(node, Operation) and node.rule.name in _COUNTS:
        return True
    return isinstance(node, Number) or (bool(node.children) and all(map(is_scalar, node.children)))


def is_thin(node: Expression) -> bool:
    """Whether the value may have fewer features or samples than x, so that arithmetic with x repeats it."""
    if isinstance(node, Symbol):
        return node.kind == "scalar" or node.role.startswith("parameter ")
    if isinstance(node, Operation) and node.rule.name in _THIN:
        return True
    return all(map(is_thin, node.children))
