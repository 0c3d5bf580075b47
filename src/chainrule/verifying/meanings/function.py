"""A function of several inputs as a meaning, each input with a formula of its gradient."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations
from typing import Any

import numpy as np

from chainrule.base.types import Array
from chainrule.formulas.evaluation import evaluate
from chainrule.formulas.expression import Expression, Symbol
from chainrule.verifying.meanings.forms import Form, output_form
from chainrule.verifying.meanings.known import Function
from chainrule.verifying.meanings.layer import PER_COST
from chainrule.verifying.meanings.meaning import (
    NONE,
    Argument,
    Bound,
    Edits,
    Meaning,
    edited,
    evaluated,
    interned,
    size_of,
)
from chainrule.verifying.probes import Probe


@dataclass(eq=False)
class FunctionMeaning(Meaning):
    """function: of ours.  numbers: its inputs' arguments, in its order.  layout: "first", samples on the
    first axis; "last"; or "none", one sample without an axis of its own.
    """

    function: Function
    numbers: tuple[int, ...]
    layout: str
    outputs: Form | None = None

    @property
    def title(self) -> str:  # type: ignore[override]
        return f"{self.function.name}({', '.join(self.function.inputs)})"

    @property
    def arguments(self) -> tuple[Argument, ...]:  # type: ignore[override]
        pairs = zip(self.function.inputs, self.numbers, strict=True)
        return tuple(Argument(number, name, name if name in self.formulas else "") for name, number in pairs)

    @property
    def samples(self) -> Sequence[tuple[int, int]]:
        if self.layout == "none":
            return []
        return [
            (argument.number, 0 if self.layout == "first" else -1)
            for argument in self.arguments
            if argument.gradient
        ]

    @cached_property
    def formulas(self) -> dict[str, Expression]:
        wanted = inspect.signature(self.function.gradients).parameters
        symbols = {name: Symbol(name) for name in wanted}
        symbols["d"] = Symbol("d", "gradient of output")
        made: dict[str, Expression] = self.function.gradients(**symbols)
        return interned(made)

    @cached_property
    def cost(self) -> int:
        return 1 + size_of(self.formulas.values()) // PER_COST

    def _form(self, shape: Sequence[int], fixed: bool) -> Form:
        axes = tuple(range(len(shape)))
        if fixed or self.layout == "none":  # constants of every sample
            return Form(axes, (*shape, 1), tuple(shape))
        if self.layout == "last":
            return Form(axes, tuple(shape), tuple(shape))
        return Form((*axes[1:], 0), (*shape[1:], shape[0]), tuple(shape))

    def bind(self, probe: Probe) -> Bound:
        forms, values = {}, {}
        for argument in self.arguments:
            array = probe.args[argument.number]
            longest = max(probe.args[number].ndim for number in self.numbers)
            forms[argument.number] = self._form(array.shape, not argument.gradient and array.ndim < longest)
            values[argument.name] = forms[argument.number].to_ours(array.astype(np.float64))
        values |= self.function.constants(values[self.function.inputs[0]].shape)
        with np.errstate(all="ignore"):
            z = np.asanyarray(self.function.forward(**values))
        known: dict[str, Any] = {**values, "z": z}
        if self.outputs is not None:
            known["d"] = self.outputs.delta(probe.delta, z)
        return Bound(known, forms, {"m": z.shape[-1], "n": z.shape[-2]})

    def gradient(self, bound: Bound, name: str, edits: Edits = NONE) -> Array:
        wrong = edited(edits, name)
        with np.errstate(all="ignore"):
            if wrong is not None:
                return evaluated(wrong, bound, self.formulas.values())
            return np.asanyarray(evaluate(self.formulas[name], bound.values), dtype=np.float64)

    def places(self, name: str) -> Iterable[str]:
        return (name,)

    def together(self, place: str) -> Sequence[str]:
        return list(self.formulas)

    def formula(self, place: str) -> Expression:
        return self.formulas[place]

    def symbols(self, place: str, bound: Bound) -> Sequence[Symbol]:
        return [Symbol("d", "gradient of output"), *(Symbol(name) for name in self.function.inputs)]


def function_meaning(
    functions: Iterable[Function], args: Sequence[Array], out: Array, tolerance: float
) -> FunctionMeaning | None:
    """The first of the functions, orders of the arguments and layouts that gives `out`."""
    for function in functions:
        if len(function.inputs) != len(args):
            continue
        for numbers in permutations(range(len(args))):
            for layout in ("first", "none", "last"):
                meaning = FunctionMeaning(function, numbers, layout)
                try:
                    z = meaning.bind(Probe(tuple(args), out)).values["z"]
                except (ValueError, TypeError, IndexError):
                    continue
                meaning.outputs = output_form(out, z, tolerance)
                if meaning.outputs is not None:
                    return meaning
    return None
