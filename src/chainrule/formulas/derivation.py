"""The derivative of a formula, derived mechanically: a second proof of every formula derived by hand.

A reverse sweep.  The cotangent d of the result is handed down through the adjoint of each primitive (window ↔
place, W @ ↔ Wᵀ @, broadcast ↔ sum, ...), and what arrives at the same node from several sides is added.  A
sum over offsets hands its cotangent to the body under the same sum.  The result is a tree, so it prints,
evaluates and can be compared.
"""

from __future__ import annotations

from chainrule.formulas.expression import (
    Expression,
    Index,
    Named,
    Number,
    Operation,
    Over,
    Symbol,
    substitute,
)
from chainrule.formulas.rules import binders


def adjoint(tree: Expression, wrt: Symbol, cotangent: Expression) -> Expression:
    """∂J/∂(wrt), given cotangent = ∂J/∂(value of tree); the number 0 if the tree lacks it."""
    return _sweep(tree, cotangent, (wrt,)).get(wrt, Number(0))


def _sweep(tree: Expression, cotangent: Expression, wanted: tuple[Symbol, ...]) -> dict[Symbol, Expression]:
    """Cotangents of the wanted symbols."""
    arrived: dict[Expression, Expression] = {tree: cotangent}
    for node in _parents_first(tree):
        if node not in arrived or not node.symbols.intersection(wanted) or isinstance(node, Symbol):
            continue
        for receiver, share in _shares(node, arrived[node], wanted):
            arrived[receiver] = arrived[receiver] + share if receiver in arrived else share
    return {symbol: arrived[symbol] for symbol in wanted if symbol in arrived}


def _parents_first(tree: Expression) -> list[Expression]:
    """Distinct nodes of the tree, every node before its operands; bodies of sums are sums' own affair."""
    order: dict[Expression, None] = {}

    def visit(node: Expression) -> None:
        if node not in order:
            if not isinstance(node, Over):
                for child in node.children:
                    visit(child)
            order[node] = None

    visit(tree)
    return list(reversed(order)) + [symbol for symbol in tree.symbols if symbol not in order]


def _shares(
    node: Expression, d: Expression, wanted: tuple[Symbol, ...]
) -> list[tuple[Expression, Expression]]:
    """What each operand of `node` receives from the cotangent d."""
    match node:
        case Named(_, value):
            return [(value, d)]
        case Operation():
            cotangents = node.rule.adjoint(d, node, *node.operands, **node.options)
            return [
                (operand, share)
                for operand, share in zip(node.operands, cotangents, strict=True)
                if share is not None and operand.symbols.intersection(wanted)
            ]
        case Over():
            node = _renamed(node, d.free_indices)
            indices = tuple(map(Index, node.indices))
            inner = _sweep(node.body, node.rule.flow(d, node, indices), wanted)
            return [
                (symbol, Over(binders["sum_over"], node.indices, node.ranges, share))
                for symbol, share in inner.items()
            ]
    return []


def _renamed(node: Over, taken: frozenset[str]) -> Over:
    """The same reduction with index letters that do not occur in `taken`: Σ_m inside of Σ_m becomes Σ_m'."""
    fresh = []
    for name in node.indices:
        while name in taken:
            name += "'"
        fresh.append(name)
    if tuple(fresh) == node.indices:
        return node
    letters: dict[Expression, Expression] = {
        Index(a): Index(b) for a, b in zip(node.indices, fresh, strict=True)
    }
    return Over(node.rule, tuple(fresh), node.ranges, substitute(node.body, letters))
