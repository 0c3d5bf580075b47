"""Function: several inputs, one output, and a formula of every gradient; Layout: how its arrays may lie."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chainrule.base.languages import Say
from chainrule.verifying.meanings.forms import Form

Shape = Sequence[int]
Constants = Callable[[Mapping[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class Layout:
    """forms: of arrays of these shapes, in the order of the inputs; ValueError where they cannot lie so.

    samples: (input, axis) wherever samples are counted, of arrays of these shapes.
    """

    forms: Callable[[Sequence[Shape]], list[Form]]
    samples: Callable[[Sequence[Shape]], list[tuple[int, int]]]


@dataclass(frozen=True)
class Function:
    """A function of several inputs, (forward, gradients) by hand.

    inputs: their names; `gradients` gives ∂J/∂ by these, of those that have one.  constants: what both take
    beside, by the values of the inputs.  ways: other formulas of the same gradients.  layouts: tried in turn.
    mistaken: (what it is, gradients) of other functions that stand in its place.  saved: which of the
    constants forward computes and keeps.
    """

    name: str
    inputs: tuple[str, ...]
    forward: Callable[..., Any]
    gradients: Callable[..., dict[str, Any]]
    constants: Constants = lambda values: {}
    ways: tuple[Callable[..., dict[str, Any]], ...] = ()
    layouts: tuple[Layout, ...] = ()
    mistaken: tuple[tuple[Say, Callable[..., dict[str, Any]]], ...] = ()
    saved: tuple[str, ...] = ()


def by_samples(inputs: int, fixed: frozenset[int] = frozenset()) -> tuple[Layout, ...]:
    """Samples on the first axis; none, one sample without an axis of its own; samples on the last axis.

    fixed: inputs that all samples have in common where they have fewer axes than another.
    """

    def common(shapes: Sequence[Shape]) -> set[int]:
        longest = max(map(len, shapes))
        return {number for number in fixed if len(shapes[number]) < longest}

    def form(shape: Shape, layout: str) -> Form:
        axes = tuple(range(len(shape)))
        if layout == "none":
            return Form(axes, (*shape, 1), tuple(shape))
        if layout == "last":
            return Form(axes, tuple(shape), tuple(shape))
        return Form((*axes[1:], 0), (*shape[1:], shape[0]), tuple(shape))

    def made(layout: str) -> Layout:
        def forms(shapes: Sequence[Shape]) -> list[Form]:
            of_all = common(shapes)
            return [form(shape, "none" if n in of_all else layout) for n, shape in enumerate(shapes)]

        def samples(shapes: Sequence[Shape]) -> list[tuple[int, int]]:
            axis = 0 if layout == "first" else -1
            own = [n for n in range(inputs) if n not in fixed]
            return [] if layout == "none" else [(n, axis) for n in own]

        return Layout(forms, samples)

    return tuple(map(made, ("first", "none", "last")))
