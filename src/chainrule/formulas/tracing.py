"""From a layer, loss or penalty to its formulas: call the same functions with symbols."""

from __future__ import annotations

import copy
import functools
import operator
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from chainrule.base.errors import ArgumentError
from chainrule.formulas.calling import call_formula, declared
from chainrule.formulas.expression import Expression, Symbol
from chainrule.formulas.primitives.arrays import sum_steps
from chainrule.formulas.printing import Equation, mathml, text
from chainrule.formulas.printing.notation import TUTORIAL, Notation


@dataclass(frozen=True, repr=False)
class Formulas:
    """The formulas of one layer, loss or penalty as equations by name, and the symbols they are written in.

    Layers: "forward", "delta", and every gradient by its parameter's name.  Losses: "value", "gradient" and,
    with a pair, "residual" and "value_from_z".  Penalties: "value" and "gradient".
    """

    equations: Mapping[str, Equation]
    symbols: Mapping[str, Symbol]

    def __getitem__(self, name: str) -> Expression:
        """The right side of an equation."""
        return self.equations[name].right

    def __iter__(self) -> Iterator[str]:
        return iter(self.equations)

    @property
    def forward(self) -> Expression:
        return self["forward"]

    @property
    def delta(self) -> Expression:
        return self["delta"]

    @property
    def gradients(self) -> dict[str, Expression]:
        return {name: self[name] for name in self if name not in ("forward", "delta")}

    def lines(self, notation: Notation = TUTORIAL) -> list[str]:
        """Every equation as text, each followed by the definitions it needs and none before it needed."""
        shown = self._shown(lambda equation: text(equation, notation))
        return [f"    with {line}" if defines else line for line, defines in shown.items()]

    def __repr__(self) -> str:
        return "\n".join(self.lines())

    def _repr_html_(self) -> str:
        shown = self._shown(lambda equation: mathml(equation, display="block"))
        return "".join(f"<div>{line}</div>" for line in shown)

    def _shown(self, render: Callable[[Equation], str]) -> dict[str, bool]:
        """Every line once, where it is first needed, and whether it is a definition."""
        lines: dict[str, bool] = {}
        for equation in self.equations.values():
            lines[render(equation)] = False
            for definition in equation.definitions:
                lines.setdefault(render(definition), True)
        return lines


class FormulasByLayer(dict[str, Formulas]):
    """Layer name -> its formulas; prints as all of them, layer by layer."""

    def __repr__(self) -> str:
        parts = ("\n".join([name, *(f"    {line}" for line in f.lines())]) for name, f in self.items())
        return "\n".join(parts)

    def _repr_html_(self) -> str:
        return "".join(f"<h4>{escape(name)}</h4>{f._repr_html_()}" for name, f in self.items())


def trace(target: Any, given: Collection[str] = ()) -> Formulas:
    """The formulas of a layer, a loss or a penalty: its own functions called with symbols.

    given: arguments that a formula may be called without and is called with here, such as "mask".
    """
    refuse_several(target)
    if hasattr(target, "chains"):
        return _trace_composite(target)
    if hasattr(target, "step"):
        return _trace_recurrent(target)
    if hasattr(target, "forward"):
        return _trace_layer(target, given)
    return _trace_loss(target) if hasattr(target, "prepared") else _trace_penalty(target)


def refuse_several(target: Any) -> None:
    """ArgumentError for a layer whose options are short for several layers: each has formulas of its own."""
    parts = target.unfolded() if hasattr(target, "unfolded") else (target,)
    if parts != (target,):
        shown = ", ".join(map(repr, parts))
        raise ArgumentError(
            f"{target!r} is short for several layers, {shown}: take the network that has them, "
            f"Network([{target!r}], input_shape=...), or one of them"
        )


def _trace_layer(layer: Any, given: Collection[str]) -> Formulas:
    kind = layer.spatial if isinstance(layer.spatial, str) else "image" if layer.spatial else "array"
    roles = {"x": "image" if layer.spatial else "input", "z": layer.output, "a": layer.output, **layer.roles}
    roles["d"] = "gradient of " + layer.output
    methods = (layer.forward, layer.delta, layer.gradients)
    # A mask that may be left out is: the formula without one is the general reader's.
    left_out = {"mask"} - set(given)
    wanted = (name for m in methods for name, needed in declared(m) if needed or name not in left_out)
    names = dict.fromkeys(["x", "z", "d", *wanted])
    symbols = {
        name: Symbol(name, roles[name], kind) if name in roles else Symbol(name, f"parameter {name}")
        for name in names
    }
    equations = {
        "forward": Equation(symbols["z"], call_formula(layer.forward, symbols)),
        "delta": Equation(_gradient(symbols["x"]), call_formula(layer.delta, symbols)),
    }
    for name, tree in call_formula(layer.gradients, symbols).items():
        equations[name] = Equation(_gradient(symbols[name]), tree)
    return Formulas(equations, symbols)


def _trace_composite(composite: Any) -> Formulas:
    """Fk is what branch k puts out, δk what it hands down to a value that it reads; the δ of a value is the
    sum over its readers.
    """
    symbols = {"z": Symbol("z", composite.output), "d": Symbol("d", "gradient of " + composite.output)}
    numbers = range(1, len(composite.reads) + 1)
    branches = [Symbol(f"F{number}", f"F_{number}") for number in composite.ends]
    below = [Symbol(f"δ{number}", f"δ_{number}") for number in numbers]
    symbols |= {symbol.name: symbol for symbol in (*branches, *below, Symbol("x", "input"))}

    def arriving(value: int) -> Any:
        readers = [below[n] for n, sources in enumerate(composite.reads) if value in sources]
        return functools.reduce(operator.add, readers)

    equations = {"forward": Equation(symbols["z"], composite.forward(*branches))}
    for branch, part in zip(branches, composite.delta(symbols["d"], *branches), strict=True):
        equations[f"delta of {branch.name}"] = Equation(_gradient(branch), part)
    for number in reversed(numbers):
        if composite.uses(number) > 1:
            read = Symbol(f"F{number}", f"F_{number}")
            equations[f"delta of {read.name}"] = Equation(_gradient(read), arriving(number))
    if not composite.several:
        equations["delta"] = Equation(_gradient(symbols["x"]), arriving(0))
    return Formulas(equations, symbols)


def _trace_recurrent(layer: Any) -> Formulas:
    """The equations of step t; of the states "forward" is the one that is put out, others by their names.

    Backward: "delta" of x_t, "delta of <state>" of the state before, whose δ from above (of what step t-1
    puts out) comes on top.
    """
    symbols = {"x": Symbol("x", "input at t")}
    symbols |= {name: Symbol(name, f"state {name} at t-1") for name in layer.states}
    symbols |= {f"d{name}": Symbol(f"d{name}", f"gradient of state {name} at t") for name in layer.states}
    learned = [name for name, _ in declared(layer.step) if name not in symbols]
    symbols |= {name: Symbol(name, f"parameter {name}") for name in learned}
    after = call_formula(layer.step, symbols)
    equations = {
        name: Equation(Symbol(name, f"state {name} at t"), tree)
        for name, tree in zip(("forward", *layer.states[1:]), after, strict=True)
    }
    first = layer.states[0]
    equations["forward"] = Equation(Symbol(first, f"state {first} at t"), after[0])
    below = call_formula(layer.step_delta, symbols)
    equations["delta"] = Equation(_gradient(symbols["x"]), below["x"])
    equations |= {
        f"delta of {name}": Equation(_gradient(symbols[name]), below[name]) for name in layer.states
    }
    for name, tree in call_formula(layer.step_gradients, symbols).items():
        equations[name] = Equation(_gradient(symbols[name]), sum_steps(tree))
    return Formulas(equations, symbols)


def _gradient(symbol: Symbol) -> Symbol:
    return Symbol("d" + symbol.name, "gradient of " + symbol.role, symbol.kind)


def _trace_loss(loss: Any) -> Formulas:
    symbols = {
        name: Symbol(name, role) for name, role in {"a": "prediction", "z": "logits", "y": "target"}.items()
    }
    sides = {"value": Symbol("J", "loss"), "gradient": _gradient(symbols["a"])}
    if loss.output is not None:
        sides |= {"residual": _gradient(symbols["z"]), "value_from_z": Symbol("J", "loss")}
    return Formulas(
        {name: Equation(left, call_formula(getattr(loss, name), symbols)) for name, left in sides.items()},
        symbols,
    )


def _trace_penalty(penalty: Any) -> Formulas:
    """Constants of a penalty, such as λ, become symbols bound under the name of their field."""
    symbols = {
        "W": Symbol("W", "parameter W"),
        "training_size": Symbol("training_size", "training size", "scalar"),
    }
    general = copy.copy(penalty)
    for name, value in vars(penalty).items():
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            symbols[name] = Symbol(name, kind="scalar")
            object.__setattr__(general, name, symbols[name])
    sides = {"value": Symbol("Ω", "penalty"), "gradient": Symbol("dΩ", "gradient of penalty")}
    given = symbols["W"], symbols["training_size"]  # by place: whoever wrote it may call them otherwise
    return Formulas(
        {name: Equation(left, getattr(general, name)(*given)) for name, left in sides.items()}, symbols
    )
