"""The formulas of a network's layers, loss and penalty as trees: traced with symbols for exactly what each
was given in this pass, and none where the code is not written with primitives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from chainrule.explaining.schema import PackedTrees
from chainrule.formulas import evaluate
from chainrule.formulas.calling import call_formula
from chainrule.formulas.exchange import pack
from chainrule.formulas.expression import Expression, as_expression
from chainrule.formulas.tracing import trace
from chainrule.layers import Composite, Layer, Recurrent
from chainrule.reference import Pass, Values, layer_backward

Trees = dict[str, Expression]
SAME = 1e-9  # a tree and the code it was traced from may differ in the order of a sum, not in the formula


def layer_trees(layer_pass: Pass, d: Any) -> Trees | None:
    """The trees of a layer by the names of the document; None where its code takes no symbols.

    d: ∂J/∂(output), None where there is none. The trees of a layer from outside the library are kept only
    where they give the numbers of its code: what looks at its arguments may do something else on symbols.
    """
    try:
        trees = _renamed(layer_pass.layer, trace(layer_pass.layer, tuple(layer_pass.given)).equations)
        if is_recurrent(layer_pass.layer) or isinstance(layer_pass.layer, Composite):
            return trees
        bound = {"x", "z", "a", "d", *layer_pass.given}
        if any(symbol.name not in bound for tree in trees.values() for symbol in tree.symbols):
            return None
        return trees if _is_ours(layer_pass.layer) or _agree(layer_pass, d, trees) else None
    except Exception:  # a stranger's code, on symbols: NumPy functions raise there
        return None


def loss_trees(loss: Any, pair: bool) -> Trees | None:
    """value and gradient of a loss, with `pair` also residual and value_from_z."""
    names = ("value", "gradient", *(("residual", "value_from_z") if pair else ()))
    return _traced(lambda: {name: trace(loss)[name] for name in names})


def penalty_trees(penalty: Any) -> Trees | None:
    """value and gradient of a penalty."""
    return _traced(lambda: {name: trace(penalty)[name] for name in ("value", "gradient")})


def packed(trees: Trees) -> PackedTrees:
    """Trees as the document has them."""
    nodes, roots = pack(trees.values())
    return {"nodes": nodes, "roots": dict(zip(trees, roots, strict=True))}


def is_recurrent(layer: Layer) -> bool:
    """Whether the layer is its step, and the passage through time that of all recurrent layers."""
    passage = ("forward", "delta", "gradients", "_passage", "backward_steps", "_order")
    return isinstance(layer, Recurrent) and all(
        getattr(type(layer), name) is getattr(Recurrent, name) for name in passage
    )


def _traced(make: Callable[[], Mapping[str, Any]]) -> Trees | None:
    try:
        return {name: as_expression(tree) for name, tree in make().items()}
    except Exception:  # as above
        return None


def _renamed(layer: Layer, equations: Mapping[str, Any]) -> Trees:
    """The names of `trace` as those of the document."""
    trees = {name: as_expression(equation.right) for name, equation in equations.items()}
    if isinstance(layer, Composite):
        return {name.replace("delta of ", "delta:"): tree for name, tree in trees.items()}
    if not isinstance(layer, Recurrent):
        fixed = ("forward", "delta")
        return {name if name in fixed else f"gradient:{name}": tree for name, tree in trees.items()}
    names = {"forward": f"step:{layer.states[0]}", "delta": "step_delta:x"}
    names |= {name: f"step:{name}" for name in layer.states[1:]}
    names |= {f"delta of {name}": f"step_delta:{name}" for name in layer.states}
    return {names.get(name, f"step_gradient:{name}"): tree for name, tree in trees.items()}


def _is_ours(layer: Layer) -> bool:
    return type(layer).__module__.startswith("chainrule.layers.")


def _agree(layer_pass: Pass, d: Any, trees: Trees) -> bool:
    bindings: Values = {"x": layer_pass.x, "z": layer_pass.output, "a": layer_pass.output, **layer_pass.given}
    if not _close(evaluate(trees["forward"], bindings), call_formula(layer_pass.layer.forward, bindings)):
        return False
    if d is None:
        return True
    below, gradients = layer_backward(layer_pass.layer, d, layer_pass.x, layer_pass.output, layer_pass.given)
    expected = {"delta": below, **{f"gradient:{name}": value for name, value in gradients.items()}}
    bindings = {**bindings, "d": d}
    return all(_close(evaluate(trees[name], bindings), value) for name, value in expected.items())


def _close(left: Any, right: Any) -> bool:
    if np.shape(left) != np.shape(right):
        return False
    return bool(np.allclose(left, right, rtol=SAME, atol=SAME, equal_nan=True))
