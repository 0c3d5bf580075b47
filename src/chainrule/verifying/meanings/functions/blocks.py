"""Blocks of a Transformer that are no layer of ours: gated feed-forwards, tokens with learned positions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from chainrule.base.languages import Say
from chainrule.formulas import correlate, named, one_hot
from chainrule.verifying.meanings.forms import Form
from chainrule.verifying.meanings.functions.function import Function, Layout, Shape

FEED_FORWARD = ("swiglu", "geglu", "reglu", "bilinear")
POSITIONS = {
    "positionalembedding", "positionembedding", "learnedpositions", "learnedpositionalembedding",
    "tokenandpositionembedding", "gptembedding", "positionalembeddings", "learnedpositionembedding",
}  # fmt: skip


Slope = tuple[Say, Callable[[Any], Any]]


def feed_forward(name: str, activation: Any, slopes: Sequence[Slope]) -> Function:
    """(f(W x) ⊙ V x) behind U (Shazeer 2020), as of Llama: W gate, V up, U down.

    slopes: what stands for f′ by mistake.
    """

    def parts(x: Any, W: Any, V: Any) -> tuple[Any, Any, Any, Any]:
        g, u = named("g", W @ x), named("u", V @ x)
        a = named("a", activation.f(g))
        return g, u, a, named("h", a * u)

    def forward(x: Any, W: Any, V: Any, U: Any) -> Any:
        return U @ parts(x, W, V)[3]

    def by(slope: Callable[[Any], Any]) -> Callable[..., dict[str, Any]]:
        def gradients(d: Any, x: Any, W: Any, V: Any, U: Any) -> dict[str, Any]:
            g, u, a, h = parts(x, W, V)
            dh = named("dh", U.T @ d)
            du, dg = named("du", dh * a), named("dg", dh * u * slope(g))
            through = W.T @ dg + V.T @ du
            return {"x": through, "W": correlate(dg, x), "V": correlate(du, x), "U": correlate(d, h)}

        return gradients

    mistaken = tuple((said, by(slope)) for said, slope in slopes)
    inputs = "x", "W", "V", "U"
    ways = forward, by(activation.df)
    return Function(name, inputs, *ways, layouts=tuple(_layouts()), mistaken=mistaken)


def _layouts() -> Iterator[Layout]:
    """x with its features last, or first; every matrix either way."""
    for last, turned in product((True, False), product((True, False), repeat=3)):

        def forms(shapes: Sequence[Shape], last: bool = last, turned: Sequence[bool] = turned) -> list[Form]:
            x = shapes[0]
            axes = (len(x) - 1, *range(len(x) - 1)) if last else tuple(range(len(x)))
            ours = x[axes[0]], math.prod(x[axis] for axis in axes[1:])
            made = [Form(axes, ours, tuple(x))]
            for shape, is_turned in zip(shapes[1:], turned, strict=True):
                order = (1, 0) if is_turned else (0, 1)
                made.append(Form(order, (shape[order[0]], shape[order[1]]), tuple(shape)))
            w, v, u = (form.ours for form in made[1:])
            if not (w == v == u[::-1] and w[1] == ours[0]):
                raise ValueError("other sizes")
            return made

        def samples(shapes: Sequence[Shape], last: bool = last) -> list[tuple[int, int]]:
            return [(0, 0 if last else len(shapes[0]) - 1)]

        yield Layout(forms, samples)


def positions() -> list[Function]:
    """Of every token its row of E, and of its step its row of P (Radford et al. 2018)."""

    def forward(x: Any, E: Any, P: Any, t: Any) -> Any:
        return E.T @ one_hot(x, E) + P.T @ one_hot(t, P)

    def gradients(d: Any, x: Any, E: Any, P: Any, t: Any) -> dict[str, Any]:
        return {"E": correlate(one_hot(x, E), d), "P": correlate(one_hot(t, P), d)}

    def steps(values: Mapping[str, Any]) -> dict[str, Any]:
        x = values["x"]
        return {"t": np.broadcast_to(np.arange(float(x.shape[0]))[:, None], x.shape)}

    def layout(turned: tuple[bool, bool]) -> Layout:
        def forms(shapes: Sequence[Shape]) -> list[Form]:
            ids, *tables = shapes
            if len(ids) != 2 or any(len(shape) != 2 for shape in tables):
                raise ValueError("ids of samples and steps, and two tables")
            made = [Form((1, 0), (ids[1], ids[0]), tuple(ids))]
            for shape, is_turned in zip(tables, turned, strict=True):
                axes = (1, 0) if is_turned else (0, 1)
                made.append(Form(axes, (shape[axes[0]], shape[axes[1]]), tuple(shape)))
            if made[1].ours[1] != made[2].ours[1] or made[2].ours[0] < ids[1]:
                raise ValueError("other features, or fewer positions than steps")
            return made

        return Layout(forms, lambda shapes: [(0, 0)])

    layouts = tuple(map(layout, ((False, False), (True, True))))
    return [Function("positions", ("x", "E", "P"), forward, gradients, steps, layouts=layouts)]
