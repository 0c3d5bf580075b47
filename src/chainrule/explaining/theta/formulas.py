"""The equations of a dense layer in the form of Dezeming, z = Θ a: trees, and elements that were worked out.

    z = Θ a with a_0 = 1        δ = (Θ without column 0)ᵀ δ ⊙ g'        D = δ aᵀ

with Θ = [b, W].  A layer without a bias has Θ = W, and no a_0.
"""

from __future__ import annotations

from collections.abc import Iterator

from chainrule.explaining.facts.equations import dense, recursion, recursion_above
from chainrule.explaining.schema import ElementRecord
from chainrule.formulas import (
    Equation,
    Expression,
    Symbol,
    correlate,
    substitute,
    trace,
    with_ones,
    with_zero_bias,
    without_bias,
)
from chainrule.formulas.elements.entry_rules import ONES
from chainrule.formulas.exchange import JsonNumber
from chainrule.layers import Dense

THETA = Symbol("Θ", "parameter Θ")
DATA = Symbol("data dΘ", "data gradient of parameter Θ")  # D
TOTAL = Symbol("dΘ", "gradient of parameter Θ")
_W = Symbol("W", "parameter W")
_X = Symbol("x", "input")
_D = Symbol("d", "gradient of preactivation")
_ONE: ElementRecord = {"kind": "entry", "value": 1.0, "symbol": [ONES, "input", "array"], "name": ONES}


def plain_equations(bias: bool) -> dict[str, Equation]:
    """What is replaced: the equations of a dense layer with W and b."""
    return dict(trace(Dense(1, bias=bias)).equations)


def theta_equations(bias: bool) -> dict[str, Equation]:
    """ "forward", "delta" and "Θ", the gradient of the data: D = (1/m) Σ Δ, the 1/m in δ."""
    plain = plain_equations(bias)
    a = with_ones(_X) if bias else _X
    return {
        "forward": Equation(plain["forward"].left, THETA @ a),
        "delta": Equation(plain["delta"].left, weights(bias).T @ _D),
        "Θ": Equation(DATA, correlate(_D, a)),
    }


def weights(bias: bool, theta: Expression = THETA) -> Expression:
    """What of Θ the inputs are multiplied by: all but column 0."""
    columns: Expression = without_bias(theta) if bias else theta
    return columns


def in_theta(tree: Expression, bias: bool = True, theta: Expression = THETA) -> Expression:
    """A tree with W as Θ without column 0."""
    return substitute(tree, {_W: weights(bias, theta)})


def with_penalty(gradient: Expression, bias: bool) -> Equation:
    """∂J/∂Θ = D + the penalty's gradient, which column 0 has not (Dezeming, 3.1.3)."""
    return Equation(TOTAL, DATA + penalty_gradient(gradient, bias, THETA))


def penalty_gradient(gradient: Expression, bias: bool, theta: Expression) -> Expression:
    """The gradient of a penalty by Θ from that by W."""
    by_theta = in_theta(gradient, bias, theta)
    whole: Expression = with_zero_bias(by_theta) if bias else by_theta
    return whole


def in_general(equation: Equation) -> Equation | None:
    """A general equation of dense layers (explaining/facts/equations.py) in this form; None for ∂J/∂b, which
    is in D.

    That of ∂J/∂Θ with a penalty is the one for the columns j ≥ 1: a cell of a table has one line.
    """
    theta = theta_equations(bias=True)
    if any(symbol.name == "data dW" for symbol in equation.right.symbols):
        return Equation(TOTAL, DATA + in_theta(equation.right.children[1]))
    for name, other in (("forward", "forward"), ("W", "Θ")):
        if equation.right == dense(name).right:
            return theta[other]
    if equation.right == dense("b").right:
        return None
    above: dict[Expression, Expression] = {
        Symbol("W above", "parameter W above"): without_bias(Symbol("Θ above", "parameter Θ above")),
        _W: without_bias(THETA),
    }
    return Equation(equation.left, substitute(equation.right, above))


def is_recursion(tree: Expression) -> bool:
    """Whether a tree hands δ down through a dense layer, in general."""
    return tree in (recursion().right, recursion_above().right)


# -- elements ------------------------------------------------------------------------------------------------


def element_in_theta(element: ElementRecord, first: int) -> ElementRecord:
    """An element of a forward pass or of δ: entries of W and b as those of Θ, the bias first and times a_0.

    first: the column of Θ in which W begins.
    """
    symbol = element.get("symbol", [None])[0]
    if symbol == "W":
        row, column = element["index"]
        return _entry(element, [row, column + first])
    if symbol == "b":
        return bias_term(element["value"], element["index"][0], 0)
    if "of" not in element:
        return {**element}
    parts = [element_in_theta(part, first) for part in element["of"]]
    if element["kind"] == "sum":
        parts.sort(key=lambda part: not _has_ones(part))
    return {**element, "of": parts}


def bias_term(value: JsonNumber, row: int, sample: int) -> ElementRecord:
    """Θ_{k,0} a_0."""
    theta = _entry({"kind": "entry", "value": value}, [row, 0])
    return {"kind": "product", "value": value, "of": [theta, {**_ONE, "index": [0, sample]}]}


def bias_gradient(element: ElementRecord) -> ElementRecord:
    """An element of Σ δ, what b gets, as one of δ aᵀ in column 0: every δ times a_0."""
    if element["kind"] == "sum":
        return {**element, "of": [bias_gradient(part) for part in element["of"]]}
    sample = element["index"][-1] if element.get("index") else 0
    bias_unit: ElementRecord = {**_ONE, "index": [0, sample]}
    return {"kind": "product", "value": element["value"], "of": [{**element}, bias_unit]}


def at_sample(element: ElementRecord, sample: int) -> ElementRecord:
    """An element in which a_0 is that of this sample."""
    if element.get("name") == ONES:
        return {**element, "index": [0, sample]}
    if "of" not in element:
        return {**element}
    return {**element, "of": [at_sample(part, sample) for part in element["of"]]}


def _entry(element: ElementRecord, index: list[int]) -> ElementRecord:
    return {**element, "symbol": [THETA.name, THETA.role, THETA.kind], "name": THETA.name, "index": index}


def _has_ones(element: ElementRecord) -> bool:
    return any(part.get("name") == ONES for part in _all(element))


def _all(element: ElementRecord) -> Iterator[ElementRecord]:
    yield element
    for part in element.get("of", ()):
        yield from _all(part)
