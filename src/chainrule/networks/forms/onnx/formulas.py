"""From a formula to nodes: the tree of a layer's own forward formula, one operator of ONNX per primitive.

So every activation, and a layer of one's own that is written with these primitives, can go without a line
about it here. Parameters are arrays of the formula until they meet a value: a product or `broadcast_samples`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from chainrule.base.types import Array, Shape
from chainrule.formulas.expression import Expression, Named, Number, Operation, Symbol
from chainrule.networks.forms.onnx.graph import Graph
from chainrule.networks.forms.written import Unwritable

Term = str | Array | float  # a value (N, ..., features), an array of parameters, or a number


def _no_operator(primitive: str) -> Unwritable:
    return Unwritable(f"the primitive {primitive}, which has no operator here")


class Formula:
    """Writes one formula's nodes; `shapes`: of one sample, of the symbols that are values."""

    def __init__(self, graph: Graph, bindings: Mapping[str, Term], shapes: Mapping[str, Shape]) -> None:
        self.graph, self.bindings, self.shapes = graph, bindings, shapes
        self.memory: dict[Expression, Term] = {}

    def value(self, tree: Expression) -> str:
        """The name of the formula's value."""
        return self.name(self.term(tree))

    def term(self, tree: Expression) -> Term:
        match tree:
            case Number(value):
                return value
            case Symbol(name):
                return self.bindings[name]
            case Named(_, value):
                return self.term(value)
        if tree not in self.memory:
            self.memory[tree] = self._operation(tree)
        return self.memory[tree]

    def name(self, term: Term) -> str:
        return term if isinstance(term, str) else self.graph.constant(term)

    def _operation(self, tree: Expression) -> Term:
        if not isinstance(tree, Operation):
            raise _no_operator(getattr(getattr(tree, "rule", None), "name", type(tree).__name__))
        rule, terms = tree.rule.name, [self.term(operand) for operand in tree.operands]
        if rule == "broadcast_samples" and not isinstance(terms[0], str):
            return terms[0]  # with the features last, a vector is added to every position and sample as it is
        if rule == "gate" and isinstance(terms[0], np.ndarray) and terms[0].ndim == 1:
            return tree.rule.evaluate(terms[0][:, None], **tree.options)[:, 0]  # type: ignore[no-any-return]
        if rule == "sinusoids":
            shape = self.shapes[tree.operands[0].name]  # type: ignore[attr-defined]
            return np.asarray(tree.rule.evaluate(np.zeros((*shape, 1))))[..., 0]
        if not any(isinstance(term, str) for term in terms):
            return tree.rule.evaluate(*terms, **tree.options)  # type: ignore[no-any-return]
        if rule == "matmul":
            return self._product(*terms)
        if rule not in WRITTEN:
            raise _no_operator(rule)
        return WRITTEN[rule](self.graph, *map(self.name, terms), **tree.options)

    def _product(self, matrix: Term, x: Term) -> str:
        if isinstance(matrix, str) or not isinstance(x, str):
            raise _no_operator("matmul")
        return self.graph.add("MatMul", x, self.graph.constant(np.asarray(matrix).T))


def _plain(operator: str) -> Callable[..., str]:
    return lambda graph, *terms: graph.add(operator, *terms)


def _expm1(graph: Graph, x: str) -> str:
    return graph.add("Sub", graph.add("Exp", x), graph.constant(1))


def _log1p(graph: Graph, x: str) -> str:
    return graph.add("Log", graph.add("Add", graph.constant(1), x))


def _ratio(graph: Graph, a: str, b: str) -> str:
    zero, one = graph.constant(0), graph.constant(1)
    empty = graph.add("Equal", b, zero)
    return graph.add("Where", empty, zero, graph.add("Div", a, graph.add("Where", empty, one, b)))


def _xlogy(graph: Graph, w: str, x: str) -> str:
    zero = graph.constant(0)
    return graph.add("Where", graph.add("Equal", w, zero), zero, graph.add("Mul", w, graph.add("Log", x)))


def _features(operator: str) -> Callable[..., str]:
    return lambda graph, x: graph.reduce(operator, x, [-1])


def _gate(graph: Graph, z: str, *, gate: str, gates: str) -> str:
    parts = graph.several("Split", z, outputs=len(gates), axis=-1, **_parts(graph, len(gates)))
    return parts[gates.index(gate)]


def _parts(graph: Graph, count: int) -> dict[str, int]:
    return {"num_outputs": count} if graph.opset >= 18 else {}


WRITTEN: dict[str, Callable[..., str]] = {
    "add": _plain("Add"),
    "subtract": _plain("Sub"),
    "multiply": _plain("Mul"),
    "divide": _plain("Div"),
    "ratio": _ratio,
    "negative": _plain("Neg"),
    "power": lambda graph, x, *, exponent: (
        graph.add("Mul", x, x) if exponent == 2 else graph.add("Pow", x, graph.constant(exponent))
    ),
    "raised": _plain("Pow"),
    "floor": _plain("Floor"),
    "sqrt": _plain("Sqrt"),
    "exp": _plain("Exp"),
    "expm1": _expm1,
    "log": _plain("Log"),
    "log1p": _log1p,
    "xlogy": _xlogy,
    "tanh": _plain("Tanh"),
    "cos": _plain("Cos"),
    "sin": _plain("Sin"),
    "erf": _plain("Erf"),
    "absolute": _plain("Abs"),
    "maximum": _plain("Max"),
    "minimum": _plain("Min"),
    "greater": lambda graph, a, b: graph.number(graph.add("Greater", a, b)),
    "where": lambda graph, condition, yes, no: graph.add("Where", graph.holds(condition), yes, no),
    "sum_features": _features("ReduceSum"),
    "mean_features": _features("ReduceMean"),
    "max_features": _features("ReduceMax"),
    "beside": lambda graph, a, b: graph.add("Concat", a, b, axis=-1),
    "gate": _gate,
}
