"""Normalisations as people write them beside ours: ε outside the root, the unbiased variance, no γ or β."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from inspect import Parameter, Signature
from itertools import product
from typing import Any

from chainrule.formulas import (
    broadcast_samples,
    mean_features,
    mean_samples,
    named,
    sqrt,
    sum_positions,
    sum_samples,
)
from chainrule.verifying.meanings.forms import Form, input_forms
from chainrule.verifying.meanings.functions.function import Constants, Function, Layout, Shape

Average = Callable[[str, Any], Any]
LEARNED = ("gamma", "beta")


def _features(name: str, x: Any) -> Any:
    return named(name, mean_features(x))


def _samples(name: str, x: Any) -> Any:
    return broadcast_samples(named(name, mean_samples(x)))


# By our names of the layers: ⟨ ⟩, how many values it is over, whether the mean is taken off.
NORMS: dict[str, tuple[Average, Callable[[tuple[int, ...]], int], bool]] = {
    "LayerNorm": (_features, lambda shape: shape[-2], True),
    "RMSNorm": (_features, lambda shape: shape[-2], False),
    "BatchNorm": (_samples, lambda shape: math.prod(shape[:-2]) * shape[-1], True),
}


def norms(layer: str, args: Sequence[Any], epsilon: float) -> Iterator[Function]:
    """What a normalisation may be with this ε of so many arguments: x, then γ, then β.

    With c = x - ⟨x⟩ (c = x of RMSNorm), s = √(k ⟨c²⟩) and k = 1, or n/(n - 1) for the unbiased variance:
        x̂ = c / (s + ε):     ∂J/∂x = (e - ⟨e⟩ - k c/s ⟨e ⊙ x̂⟩) / (s + ε)
        x̂ = c / √(s² + ε):   ∂J/∂x = (e - ⟨e⟩ - k x̂ ⟨e ⊙ x̂⟩) / √(s² + ε)
    The first is that of The Annotated Transformer (Rush 2018), there with the unbiased variance.  γ may stand
    as 1 + γ.
    """
    _, count, _ = NORMS[layer]
    names = ("x", *LEARNED[: len(args) - 1])
    orders = [form.axes for form in input_forms(args[0])]
    several = orders[:2] if args[0].ndim > 2 else []  # all axes but the samples' are features
    layouts = (*map(_layout, orders), *(_layout(order, flat=True) for order in several))

    def correction(values: Any) -> dict[str, Any]:
        n = count(values["x"].shape)
        return {"k": n / (n - 1) if n > 1 else math.nan}

    ways = [(False, False), (True, False), (True, True), (False, True)]
    for (outside, unbiased), moved in product(ways, (False, True) if "gamma" in names else (False,)):
        constants: Constants = correction if unbiased else lambda values: {}
        v = "k v" if unbiased else "v"
        written = f"c / (√({v}) + {epsilon:g})" if outside else f"c / √({v} + {epsilon:g})"
        forward, gradients = _formulas(layer, epsilon, outside, "beta" in names, moved)
        taken = (*names, "k") if unbiased else names
        yield Function(
            f"{layer} by {f'(1 + γ) {written}' if moved else written}",
            names,
            _taking(forward, taken),
            _taking(gradients, ("d", *(name for name in taken if name != "beta"))),
            constants,
            layouts=layouts,
        )


def _formulas(
    layer: str, epsilon: float, outside: bool, shifted: bool, moved: bool
) -> tuple[Callable[..., Any], Callable[..., dict[str, Any]]]:
    """moved: whether 1 + γ stands for γ, as in Gemma."""
    average, _, centring = NORMS[layer]

    def scale(gamma: Any) -> Any:
        return 1 + broadcast_samples(gamma) if moved else broadcast_samples(gamma)

    def parts(x: Any, k: Any) -> tuple[Any, Any, Any]:
        """(x̂, what c is divided by, c/s or x̂)"""
        c = named("c", x - average("μ", x)) if centring else x
        v = average("v", c**2)
        v = v if k is None else k * v
        if not outside:
            root = named("r", sqrt(v + epsilon))
            return named("x̂", c / root), root, named("x̂", c / root)
        s = named("s", sqrt(v))
        return named("x̂", c / (s + epsilon)), s + epsilon, c / s

    def forward(x: Any, gamma: Any = None, beta: Any = None, k: Any = None) -> Any:
        made = parts(x, k)[0]
        made = made if gamma is None else scale(gamma) * made
        return made if beta is None else made + broadcast_samples(beta)

    def gradients(d: Any, x: Any, gamma: Any = None, k: Any = None) -> dict[str, Any]:
        normal, root, along = parts(x, k)
        e = d if gamma is None else named("e", d * scale(gamma))
        through = along * average("t", e * normal)
        through = through if k is None else k * through
        made = {"x": ((e - average("p", e) if centring else e) - through) / root}
        made |= {} if gamma is None else {"gamma": sum_samples(sum_positions(d * normal))}
        return made | ({"beta": sum_samples(sum_positions(d))} if shifted else {})

    return forward, gradients


def _taking(function: Callable[..., Any], names: Sequence[str]) -> Callable[..., Any]:
    """The same with these parameters alone, as its signature tells."""

    def taken(**values: Any) -> Any:
        return function(**values)

    parameters = [Parameter(name, Parameter.KEYWORD_ONLY) for name in names]
    taken.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    return taken


def _layout(order: tuple[int, ...], flat: bool = False) -> Layout:
    """x by this order of its axes, γ and β with a number per feature.

    flat: every entry of a sample is a feature, as in LayerNorm over (C, H, W).
    """

    def forms(shapes: Sequence[Shape]) -> list[Form]:
        x = shapes[0]
        moved = tuple(x[axis] for axis in order)
        if flat:
            moved = math.prod(moved[:-1]), moved[-1]
        if len(moved) < 2 or any(math.prod(shape) != moved[-2] for shape in shapes[1:]):
            raise ValueError
        learned = [Form(tuple(range(len(shape))), moved[-2:-1], tuple(shape)) for shape in shapes[1:]]
        return [Form(order, moved, tuple(x)), *learned]

    return Layout(forms, lambda shapes: [(0, order[-1])])
