"""A function of one variable as a C function: the tree of an activation's own formula f(z)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.formulas.expression import Expression, Named, Number, Operation, Symbol
from chainrule.networks.forms.written import Unwritable, traced


def function(name: str, f: Callable[[Any], Any]) -> str:
    """`static float name(float z)` that computes f."""
    tree = traced(lambda: f(Symbol("z", kind="scalar")))
    lines = _Lines()
    value = lines.value(tree)
    body = "".join(f"    {line}\n" for line in (*lines.lines, f"return {value};"))
    return f"static float {name}(float z) {{\n{body}}}\n"


def number(value: float) -> str:
    """A constant of C's type float."""
    with np.errstate(over="ignore"):
        held = float(np.float32(value))  # of a float64 network a bound may be beyond it
    if math.isinf(held):
        return "INFINITY" if value > 0 else "-INFINITY"
    text = repr(held) if abs(value) < 1e30 else f"{held:.9e}"
    return f"{text}f"


class _Lines:
    """Every sub-tree that occurs is a line of its own, once."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.known: dict[Expression, str] = {}

    def value(self, tree: Any) -> str:
        match tree:
            case int() | float():
                return number(tree)
            case Number(value):
                return number(value)
            case Symbol(name):
                return name
            case Named(_, value):
                return self.value(value)
        if not isinstance(tree, Operation) or tree.rule.name not in C:
            raise Unwritable(f"the primitive {getattr(getattr(tree, 'rule', None), 'name', tree)}")
        if tree not in self.known:
            operands = [self.value(operand) for operand in tree.operands]
            text = C[tree.rule.name](*operands, **tree.options)
            self.known[tree] = f"t{len(self.lines) + 1}"
            self.lines.append(f"const float {self.known[tree]} = {text};")
        return self.known[tree]


def _infix(sign: str) -> Callable[[str, str], str]:
    return lambda a, b: f"{a} {sign} {b}"


def _call(name: str) -> Callable[..., str]:
    return lambda *operands: f"{name}({', '.join(operands)})"


C: dict[str, Callable[..., str]] = {
    "add": _infix("+"),
    "subtract": _infix("-"),
    "multiply": _infix("*"),
    "divide": _infix("/"),
    "ratio": lambda a, b: f"{b} == 0.0f ? 0.0f : {a} / {b}",
    "negative": lambda x: f"-{x}" if not x.startswith("-") else x[1:],
    "power": lambda x, *, exponent: f"{x} * {x}" if exponent == 2 else f"powf({x}, {number(exponent)})",
    "raised": _call("powf"),
    "floor": _call("floorf"),
    "sqrt": _call("sqrtf"),
    "exp": _call("expf"),
    "expm1": _call("expm1f"),
    "log": _call("logf"),
    "log1p": _call("log1pf"),
    "xlogy": lambda w, x: f"{w} == 0.0f ? 0.0f : {w} * logf({x})",
    "tanh": _call("tanhf"),
    "cos": _call("cosf"),
    "sin": _call("sinf"),
    "erf": _call("erff"),
    "absolute": _call("fabsf"),
    "maximum": lambda a, b: f"{a} > {b} ? {a} : {b}",
    "minimum": lambda a, b: f"{a} < {b} ? {a} : {b}",
    "greater": lambda a, b: f"{a} > {b} ? 1.0f : 0.0f",
    "where": lambda condition, yes, no: f"{condition} != 0.0f ? {yes} : {no}",
}
