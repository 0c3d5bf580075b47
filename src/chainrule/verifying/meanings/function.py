"""A function of several inputs as a meaning, each input with a formula of its gradient."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import permutations, product
from typing import Any

import numpy as np

from chainrule.base.types import Array
from chainrule.formulas.evaluation import evaluate
from chainrule.formulas.expression import Expression, Symbol
from chainrule.verifying.meanings.forms import Form, output_form
from chainrule.verifying.meanings.functions.function import Function, Layout
from chainrule.verifying.meanings.layer import PER_COST
from chainrule.verifying.meanings.meaning import (
    NONE,
    Argument,
    Bound,
    Edit,
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
    """function: of ours.  numbers: its inputs' arguments, in its order.  layout: how they lie.  shapes: of
    the arguments that were given.
    """

    function: Function
    numbers: tuple[int, ...]
    layout: Layout
    shapes: tuple[tuple[int, ...], ...]
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
        own = self.layout.samples([self.shapes[number] for number in self.numbers])
        return [(self.numbers[place], axis) for place, axis in own]

    @cached_property
    def formulas(self) -> dict[str, Expression]:
        return interned(traced(self.function.gradients))

    @cached_property
    def ways(self) -> list[FunctionMeaning]:
        """The same, its gradients written in other ways."""
        functions = [replace(self.function, gradients=way, ways=()) for way in self.function.ways]
        return [replace(self, function=function) for function in functions]

    @cached_property
    def cost(self) -> int:
        return 1 + size_of(self.formulas.values()) // PER_COST

    def bind(self, probe: Probe) -> Bound:
        arrays = [probe.args[number] for number in self.numbers]
        forms = self.layout.forms([array.shape for array in arrays])
        pairs = zip(self.function.inputs, forms, arrays, strict=True)
        values = {name: form.to_ours(array.astype(np.float64)) for name, form, array in pairs}
        values |= self.function.constants(values)
        taken = inspect.signature(self.function.forward).parameters
        with np.errstate(all="ignore"):
            z = np.asanyarray(self.function.forward(**{n: v for n, v in values.items() if n in taken}))
        known: dict[str, Any] = {**values, "z": z}
        if self.outputs is not None:
            known["d"] = self.outputs.delta(probe.delta, z)
        by_number = dict(zip(self.numbers, forms, strict=True))
        return Bound(known, by_number, {"m": z.shape[-1], "n": z.shape[-2]})

    def gradient(self, bound: Bound, name: str, edits: Edits = NONE) -> Array:
        wrong = edited(edits, name)
        with np.errstate(all="ignore"):
            if wrong is not None:
                ways = [tree for way in self.ways for tree in way.formulas.values()]
                return evaluated(wrong, bound, [*self.formulas.values(), *ways])
            return np.asanyarray(evaluate(self.formulas[name], bound.values), dtype=np.float64)

    def places(self, name: str) -> Iterable[str]:
        return (name,)

    def together(self, place: str) -> Sequence[str]:
        return list(self.formulas)

    def formula(self, place: str) -> Expression:
        return self.formulas[place]

    def symbols(self, place: str, bound: Bound) -> Sequence[Symbol]:
        used = inspect.signature(self.function.gradients).parameters
        saved = (name for name in self.function.saved if name in used)
        return [DELTA, *(Symbol(name) for name in (*self.function.inputs, *saved))]

    def _in_formulas(self, name: str, bound: Bound) -> Iterator[Edit]:
        yield from super()._in_formulas(name, bound)
        for way in self.ways:
            yield from (replace(edit, right=way.formulas) for edit in way.edits(name, bound))

    def _in_several(self, name: str, bound: Bound) -> Iterator[Edit]:
        yield from super()._in_several(name, bound)
        for way in self.ways:
            yield from (replace(edit, right=way.formulas) for edit in way.shared(name, bound))

    def instead(self, name: str, bound: Bound) -> Iterator[Edit]:
        for other, gradients in self.function.mistaken:
            trees = traced(gradients)
            if all(symbol.name in bound.values for tree in trees.values() for symbol in tree.symbols):
                yield Edit(name, "instead", {name: trees[name]}, self.title, other)


DELTA = Symbol("d", "gradient of output")


def traced(gradients: Callable[..., dict[str, Any]]) -> dict[str, Expression]:
    """The formulas that it gives of symbols by the names of its parameters."""
    wanted = inspect.signature(gradients).parameters
    return gradients(**{name: DELTA if name == "d" else Symbol(name) for name in wanted})


def function_meaning(
    functions: Iterable[Function], args: Sequence[Array], out: Array, tolerance: float
) -> FunctionMeaning | None:
    """The first of the functions, orders of the arguments and layouts that gives `out`."""
    shapes = tuple(value.shape for value in args)
    for function in functions:
        if len(function.inputs) != len(args):
            continue
        for numbers, layout in product(permutations(range(len(args))), function.layouts):
            meaning = FunctionMeaning(function, numbers, layout, shapes)
            try:
                bound = meaning.bind(Probe(tuple(args), out))
            except (ValueError, TypeError, IndexError):
                continue
            meaning.outputs = _outputs(meaning, bound, out, tolerance)
            if meaning.outputs is not None:
                return meaning
    return None


def _outputs(meaning: FunctionMeaning, bound: Bound, out: Array, tolerance: float) -> Form | None:
    """As the first input lies, or in another order of the axes."""
    z, first = bound.values["z"], bound.forms[meaning.numbers[0]]
    if len(first.axes) == out.ndim and out.size == z.size:
        form = Form(first.axes, z.shape, out.shape)
        scale = float(np.abs(z).max(initial=0.0)) or 1.0
        moved = form.to_ours(out.astype(np.float64))
        if np.abs(moved - z).max(initial=0.0) <= tolerance * scale:
            return form
    return output_form(out, z, tolerance)
