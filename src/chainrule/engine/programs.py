"""Formulas as native programs: the fifth reading of a tree.

A program (compiler.py) is written for formulas that act entry by entry, that reduce over features, and that
repeat a parameter over samples or positions; and for gradients that are sums of such an entry over the
samples. `layer_programs` and `loss_programs` return None for everything else, which then runs on the host.

Constants of a layer (`self.slope`) are read once, when the plan is made.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping
from typing import Any

from chainrule.base.types import Shape
from chainrule.engine.compiler import Compiler, NoProgramError, Program
from chainrule.formulas import sum_features
from chainrule.formulas.calling import declared
from chainrule.formulas.expression import Expression, Named, Number, Operation, Symbol
from chainrule.layers import Layer, call_formula

# -- sums over samples -----------------------------------------------------------------------------------


def summed(node: Expression) -> list[tuple[Expression, str]]:
    """[(E, axes)] of a sum of sums of E: over "samples", over samples and "positions", or over all axes.

    Where over all, axes tells by which primitive ("entries", "outputs", "fit p"), hence the shape of the
    result. A sum may be negated and scaled by numbers.
    """
    match node:
        case Named(_, value):
            return summed(value)
        case Operation(rule, (inner,)) if rule.name == "sum_samples":
            return [_under_sum_samples(inner)]
        case Operation(rule, (inner,)) if rule.name in ("sum_entries", "sum_outputs"):
            return [(inner, rule.name.removeprefix("sum_"))]
        case Operation(rule, (inner, Symbol(name))) if rule.name == "fit":
            return [(inner, f"fit {name}")]
        case Operation(rule, (inner,)) if rule.name == "negative":
            return [(-tree, axes) for tree, axes in summed(inner)]
        case Operation(rule, (left, right)) if rule.name in ("add", "subtract"):
            other = summed(right)
            return summed(left) + (
                [(-tree, axes) for tree, axes in other] if rule.name == "subtract" else other
            )
        case Operation(rule, (left, right)) if rule.name in ("multiply", "divide"):
            if rule.name == "multiply" and _is_number(left):
                left, right = right, left
            if _is_number(right):
                return [(node.rebuild((tree, right)), axes) for tree, axes in summed(left)]
    raise NoProgramError


def _is_number(node: Expression) -> bool:
    """Made of numbers and counts alone."""
    if isinstance(node, Operation) and node.rule.name in ("count_features", "count_outputs"):
        return True
    return isinstance(node, Number) or (bool(node.children) and all(map(_is_number, node.children)))


def _under_sum_samples(node: Expression) -> tuple[Expression, str]:
    axes, features = "samples", False
    while isinstance(node, Named) or (
        isinstance(node, Operation) and node.rule.name in ("sum_positions", "sum_features")
    ):
        if isinstance(node, Operation):
            axes = "positions" if node.rule.name == "sum_positions" else axes
            features = features or node.rule.name == "sum_features"
        node = node.children[0]
    return (sum_features(node) if features else node), axes


# -- entries, layers and losses ------------------------------------------------------------------------------


Formula = Callable[[Any], Any]


def entry_programs(f: Formula, df: Formula | None, shape: Shape, *, delta: bool) -> tuple[Program, Program]:
    """(forward, backward) of f, entry by entry, with its derivative df; None: f is linear. Of factors that df
    gives δ is multiplied by one after the other: their product may be below the type's range.
    """
    ahead, back = Compiler(shape[:-1], shape[-1]), Compiler(shape[:-1], shape[-1])
    for compiler in (ahead, back):
        compiler.bind("x", 0, shape)
    ahead.store(f(Symbol("x")), 1, shape)
    back.bind("d", 2, shape)
    if delta:
        d: Any = Symbol("d")
        derivative = () if df is None else df(Symbol("x"))
        factors = derivative if isinstance(derivative, tuple) else (derivative,)
        back.store(f(d) if df is None else functools.reduce(operator.mul, factors, d), 3, shape)
    return ahead.program(), back.program()


def layer_programs(
    layer: Layer, x: Shape, z: Shape, parameters: Mapping[str, Shape], *, delta: bool, gradients: bool
) -> tuple[Program, Program, Program] | None:
    """(forward, backward, infer) of a layer from x to z, or None if its formulas are no programs.

    infer: what a prediction computes; without steps where that is `forward`.

    delta: whether ∂J/∂x is wanted; gradients: whether there is a δ of z at all.
    """
    for halved in (False, True) if x[-1] == 2 * z[-1] else (False,):
        try:
            return _layer_programs(layer, x, z, parameters, delta and gradients, gradients, halved)
        except Exception:  # a stranger's code, on symbols: NumPy functions raise there, and the host computes
            continue
    return None


def _layer_programs(
    layer: Layer,
    x: Shape,
    z: Shape,
    parameters: Mapping[str, Shape],
    delta: bool,
    gradients: bool,
    halved: bool,
) -> tuple[Program, Program, Program]:
    if not _is_plain(layer):
        raise NoProgramError
    channels = z[-1] if halved else max(x[-1], z[-1])

    def compiler() -> Compiler:
        fresh = Compiler(x[:-1], channels, halved)
        fresh.parameters = {name: (index, shape) for index, (name, shape) in enumerate(parameters.items())}
        fresh.bind("x", 0, x)
        return fresh

    symbols = {name: Symbol(name) for name in ("x", *parameters)}
    ahead = compiler()
    ahead.store(_tree(layer.forward, symbols), 1, z)
    back = compiler()
    symbols |= {name: Symbol(name) for name in ("z", "a", "d")}
    for name, index in (("z", 1), ("a", 1), ("d", 2)):
        back.bind(name, index, z)
    if delta:
        back.store(_tree(layer.delta, symbols), 3, x)
    if gradients and parameters:
        trees = _trees(layer.gradients, symbols)
        for index, (name, shape) in enumerate(parameters.items()):
            for tree, axes in summed(trees[name]):
                if not _fits(shape, axes, x[:-1], parameters):
                    raise NoProgramError
                back.accumulate(tree, index, shape, whole=axes not in ("samples", "positions"))
    predicted = compiler()
    if layer.infer is not None:
        predicted.store(_tree(layer.infer, {name: Symbol(name) for name in ("x", *parameters)}), 1, z)
    return ahead.program(), back.program(), predicted.program()


def _fits(shape: Shape, axes: str, positions: Shape, parameters: Mapping[str, Shape]) -> bool:
    """Whether a sum over `axes` has the shape of its parameter; the features are compared later."""
    if axes == "entries":
        return shape == ()
    if axes.startswith("fit "):
        return shape in ((), (1,)) and parameters.get(axes.removeprefix("fit ")) == shape
    return len(shape) > 0 and shape[:-1] == {"samples": positions, "positions": ()}.get(axes)


def _is_plain(layer: Layer) -> bool:
    """Whether its formulas are all: nothing drawn, masked or kept."""
    methods = ("draw", "running", "mask")
    if any(getattr(type(layer), name) is not getattr(Layer, name) for name in methods):
        return False
    formulas = [layer.forward, layer.delta, layer.gradients, *([layer.infer] if layer.infer else [])]
    return not any(name == "mask" for formula in formulas for name, _ in declared(formula))


def loss_programs(loss: Any, output: Shape, activation: Any = None) -> list[Program] | None:
    """(value, value and gradient) of a loss of outputs of this shape, or None where they are no programs.

    Targets are prepared in the program where the loss is `affine`, otherwise they are before they come.
    activation: a formula of what the loss reads, which both programs write too, and a third one alone.
    """
    for halved in (False, True) if output[-1] % 2 == 0 else (False,):
        try:
            return _loss_programs(loss, output, halved, activation)
        except Exception:  # as above
            continue
    return None


def _loss_programs(loss: Any, output: Shape, halved: bool, activation: Any) -> list[Program]:
    names = ("a", "y")
    symbols: dict[str, Expression] = {name: Symbol(name) for name in names}
    if loss.affine:
        symbols["y"] = _tree(loss.prepared, symbols)
    values = summed(_tree(loss.value, symbols))
    if any(axes != "outputs" for _, axes in values):
        raise NoProgramError
    channels = output[-1] // 2 if halved else output[-1]
    compilers = [Compiler(output[:-1], channels, halved) for _ in range(3)]
    alone, both, _ = compilers
    for compiler in compilers:
        for index, name in enumerate(names):
            compiler.bind(name, index, output)
    for compiler in (alone, both):
        for value, _ in values:
            compiler.accumulate(value, 0, (), whole=True)
    if activation is not None:
        for compiler in compilers:
            compiler.store(_tree(activation, {"x": symbols["a"]}), 2, output)
    both.store(_tree(loss.gradient, symbols), 3, output)
    return [compiler.program() for compiler in (compilers if activation is not None else (alone, both))]


def _tree(formula: Any, symbols: Mapping[str, Expression]) -> Expression:
    tree = call_formula(formula, symbols)
    if not isinstance(tree, Expression) or tree != call_formula(formula, symbols):
        raise NoProgramError  # not twice the same: it draws numbers, say
    return tree


def _trees(formula: Any, symbols: Mapping[str, Symbol]) -> Mapping[str, Expression]:
    trees, again = call_formula(formula, symbols), call_formula(formula, symbols)
    if not all(isinstance(tree, Expression) for tree in trees.values()) or trees != again:
        raise NoProgramError
    return trees  # type: ignore[no-any-return]
