"""The equations of backpropagation in general form, as trees: from the layers' own formulas where they have
them, with f and f' for any activation.
"""

from __future__ import annotations

from chainrule.explaining.schema import PackedEquation
from chainrule.formulas import Equation, Expression, Number, Symbol, substitute, trace
from chainrule.formulas.exchange import pack
from chainrule.layers import Activation, Dense, Layer, Softmax
from chainrule.losses import Loss

_SIZE = Symbol("m", "batch size", "scalar")
_LOGITS = Symbol("dz", "gradient of logits")
_PREDICTION = Symbol("da", "gradient of prediction")
SAMPLE_WEIGHT = Symbol("w", "sample weight", "scalar")


def dense(name: str) -> Equation:
    """ "forward", "delta", "W" or "b" of a dense layer: the Tutorial's FC ①② are the last two."""
    return trace(Dense(1)).equations[name]


def activation() -> Equation:
    """x^l = f(z^l)"""
    return Equation(Symbol("a", "output"), Symbol("f", "function of preactivation"))


def residual() -> Equation:
    """δ^l = ∂J/∂z^l; a notation without δ has the same on both sides."""
    return Equation(Symbol("d", "gradient of preactivation"), Symbol("e", "derivative by preactivation"))


def recursion(layer: Layer | None = None) -> Equation:
    """The Tutorial's ③, δ^{l-1} = ((W^l)ᵀ δ^l) ⊙ f'(z^{l-1}): what the layer hands down, by default a dense
    one, times f' of the activation below it.
    """
    delta = trace(Dense(1) if layer is None else layer).equations["delta"]
    kind = delta.left.kind if isinstance(delta.left, Symbol) else "array"
    slope = Symbol("f' below", "slope of preactivation below", kind)
    return Equation(Symbol("dz below", "gradient of preactivation below", kind), delta.right * slope)


def recursion_above() -> Equation:
    """The same one layer up, as Matrix notes and Nielsen have it: δ^l = ((W^{l+1})ᵀ δ^{l+1}) ⊙ f'(z^l)."""
    W = Symbol("W above", "parameter W above")
    d = Symbol("dz above", "gradient of preactivation above")
    slope = Symbol("f'", "slope of preactivation")
    return Equation(Symbol("dz", "gradient of preactivation"), (W.T @ d) * slope)


def output_delta(last: Layer, loss: Loss, weighted: bool = False) -> Equation:
    """δ at the output: (1/m) (a - y) for a pair, times w where samples have weights; the Tutorial's ④ behind
    an elementwise activation, the whole Jacobian behind softmax, ∂J/∂a^L as it is where there is no
    activation.
    """
    a, z = Symbol("a", "prediction"), Symbol("z", "logits")
    if loss.pairs_with(last):
        share = Number(1) / _SIZE
        share = share * SAMPLE_WEIGHT if weighted else share
        return Equation(_LOGITS, share * (a - Symbol("y", "target")))
    if isinstance(last, Activation):
        return Equation(_LOGITS, _PREDICTION * Symbol("f'", "slope of logits"))
    if isinstance(last, Softmax):
        formulas = trace(last)
        letters: dict[Expression, Expression] = {formulas.symbols["d"]: _PREDICTION, formulas.symbols["x"]: z}
        letters |= {formulas.symbols[name]: a for name in ("a", "z") if name in formulas.symbols}
        return Equation(_LOGITS, substitute(formulas.delta, letters))
    return Equation(_LOGITS, _PREDICTION)


def equation_json(equation: Equation) -> PackedEquation:
    """An equation as JSON."""
    nodes, (left, right) = pack([equation.left, equation.right])
    return {"nodes": nodes, "left": left, "right": right}
