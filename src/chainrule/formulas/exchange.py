"""Trees as JSON and back: how a formula travels into a report, where other readers evaluate it again.

A forest of trees becomes one table of nodes, children before parents, equal nodes once:
    {"symbol": "W", "role": "parameter W", "kind": "array"}      {"number": 0.5}      {"index": "m"}
    {"apply": "matmul", "to": [3, 7], "with": {"heads": 2}}      {"named": "σ", "is": 4}
    {"over": "sum_over", "indices": ["m", "n"], "ranges": [3, 3], "is": 9}
and every tree the number of its root.  Infinity and NaN, which JSON lacks, are "inf", "-inf", "nan".
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NotRequired, TypedDict, final

from chainrule.formulas.expression import Expression, Index, Named, Number, Operation, Over, Symbol
from chainrule.formulas.primitives.grid import Grid
from chainrule.formulas.rules import binders, rules

JsonNumber = float | str  # a number; "inf", "-inf" or "nan" where it is one that JSON lacks


@final
class SymbolNode(TypedDict):
    """A symbol."""

    symbol: str
    role: str
    kind: str


@final
class NumberNode(TypedDict):
    """A number."""

    number: JsonNumber


@final
class IndexNode(TypedDict):
    """A letter that counts."""

    index: str


# "is" and "with" are no names of fields in Python, so these two are written as calls.
Body = TypedDict("Body", {"is": int})
Options = TypedDict("Options", {"with": NotRequired[dict[str, Any]]})


@final
class NamedNode(Body):
    """An intermediate with a name of its own."""

    named: str


@final
class OverNode(Body):
    """What binds indices: a sum over them."""

    over: str
    indices: list[str]
    ranges: list[int]


@final
class ApplyNode(Options):
    """A primitive and its operands."""

    apply: str
    to: list[int]


Node = SymbolNode | NumberNode | IndexNode | NamedNode | OverNode | ApplyNode
_GRID = ("kernel", "stride", "padding", "dilation", "outside")


def pack(trees: Iterable[Expression]) -> tuple[list[Node], list[int]]:
    """(table of nodes, the root of every tree)."""
    table: list[Node] = []
    known: dict[Expression, int] = {}

    def add(tree: Expression) -> int:
        if tree not in known:
            children = [add(child) for child in tree.children]
            table.append(_node(tree, children))
            known[tree] = len(table) - 1
        return known[tree]

    return table, [add(tree) for tree in trees]


def unpack(nodes: Sequence[Node]) -> list[Expression]:
    """The expression of every node of a table.

    Raises ValueError for a node that is none: unknown primitives, children that do not come before.
    """
    built: list[Expression] = []
    for number, node in enumerate(nodes):
        try:
            built.append(_expression(node, built))
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise ValueError(f"node {number} is no node of a formula: {node!r} ({error})") from error
    return built


def _node(tree: Expression, children: list[int]) -> Node:
    match tree:
        case Symbol(name, role, kind):
            return {"symbol": name, "role": role, "kind": kind}
        case Number(value):
            return {"number": plain(value)}
        case Index(name):
            return {"index": name}
        case Named(name):
            return {"named": name, "is": children[0]}
        case Over(rule, indices, ranges):
            return {"over": rule.name, "indices": list(indices), "ranges": list(ranges), "is": children[0]}
        case Operation(rule):
            node: ApplyNode = {"apply": rule.name, "to": children}
            if tree.static:
                node["with"] = {name: plain(value) for name, value in tree.static}
            return node
    raise TypeError(f"{type(tree).__name__} has no form in JSON")


def _expression(node: Node, built: list[Expression]) -> Expression:
    def child(number: int) -> Expression:
        if number < 0:
            raise IndexError(number)
        return built[number]

    if "symbol" in node:
        return Symbol(node["symbol"], node["role"], node["kind"])
    if "number" in node:
        return Number(_number(node["number"]))
    if "index" in node:
        return Index(node["index"])
    if "named" in node:
        return Named(node["named"], child(node["is"]))
    if "over" in node:
        return Over(binders[node["over"]], tuple(node["indices"]), tuple(node["ranges"]), child(node["is"]))
    options = {name: _option(value) for name, value in node.get("with", {}).items()}
    return Operation(rules[node["apply"]], tuple(map(child, node["to"])), tuple(sorted(options.items())))


def plain(value: Any) -> Any:
    """A number, text, grid or tuple as JSON has it."""
    if isinstance(value, Grid):
        named = {name: plain(getattr(value, name)) for name in _GRID}
        return {**named, "ceil": True} if value.ceil else named
    if isinstance(value, tuple | list):
        return [plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    return value


def _number(value: Any) -> float:
    return float(value) if isinstance(value, str) else value


def _option(value: Any) -> Any:
    if isinstance(value, Mapping):
        return Grid(**{name: _tuples(value[name]) for name in _GRID}, ceil=value.get("ceil", False))
    if value in ("inf", "-inf", "nan"):
        return float(value)
    return _tuples(value)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
