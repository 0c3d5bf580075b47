"""The functions by the words that people use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.base.languages import Say
from chainrule.formulas import exp, named, tanh
from chainrule.layers.activations.rectifiers import ReLU
from chainrule.layers.activations.smooth import GELU, Identity, Sigmoid, SiLU
from chainrule.verifying.meanings.functions import attention, blocks, rotary
from chainrule.verifying.meanings.functions.function import Function, by_samples


def _gated(activation: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """f(g) ⊙ x (Dauphin et al. 2017; Shazeer 2020)."""

    def forward(g: Any, x: Any) -> Any:
        return activation.f(g) * x

    def gradients(d: Any, g: Any, x: Any) -> dict[str, Any]:
        return {"g": d * x * activation.df(g), "x": d * activation.f(g)}

    return forward, gradients


ROOT = np.sqrt(2 / np.pi)


@dataclass(frozen=True)
class Approximated:
    """GELU as an activation: f, and its derivative by the formula of its gradient with δ = 1."""

    title: Say
    f: Callable[..., Any]
    of_delta: Callable[..., dict[str, Any]]

    def df(self, x: Any) -> Any:
        return self.of_delta(None, x)["x"]


def _gelu_tanh(x: Any) -> Any:
    """½ x (1 + tanh(√(2/π) (x + 0.044715 x³))) (Hendrycks, Gimpel 2016)."""
    return 0.5 * x * (1 + tanh(ROOT * (x + 0.044715 * x**3)))


def _gelu_tanh_gradients(d: Any, x: Any) -> dict[str, Any]:
    T = named("T", tanh(ROOT * (x + 0.044715 * x**3)))
    inner = named("u", ROOT * (1 + 3 * (0.044715 * x**2)))
    slope = 0.5 * (1 + T) + 0.5 * x * (1 - T**2) * inner
    return {"x": slope if d is None else d * slope}


def _gelu_sigmoid(x: Any) -> Any:
    """x σ(1.702 x), the quick form."""
    return x / (1 + exp(-1.702 * x))


def _gelu_sigmoid_gradients(d: Any, x: Any) -> dict[str, Any]:
    s = named("s", 1 / (1 + exp(-1.702 * x)))
    slope = s + 1.702 * x * s * (1 - s)
    return {"x": slope if d is None else d * slope}


GELUS = (
    Approximated(Say("GELU's approximation by tanh", "GELU 的 tanh 近似"), _gelu_tanh, _gelu_tanh_gradients),
    Approximated(Say("the quick GELU, x σ(1.702 x)", "quick GELU，x σ(1.702 x)"), _gelu_sigmoid, _gelu_sigmoid_gradients),
)


ENTRYWISE = {
    "gelutanh": (_gelu_tanh, _gelu_tanh_gradients), "gelunew": (_gelu_tanh, _gelu_tanh_gradients),
    "tanhgelu": (_gelu_tanh, _gelu_tanh_gradients), "quickgelu": (_gelu_sigmoid, _gelu_sigmoid_gradients),
    "geluquick": (_gelu_sigmoid, _gelu_sigmoid_gradients),
}  # fmt: skip
GATES = {"swiglu": SiLU(), "geglu": GELU(), "glu": Sigmoid(), "reglu": ReLU(), "bilinear": Identity()}


def functions(name: str, options: dict[str, Any]) -> list[Function]:
    """The functions that a name may mean; none: it is no name of a function.  What was read of the options
    is taken out.
    """
    if name in attention.WORDS | attention.FLASH:
        return attention.attention(name, options)
    if name in rotary.WORDS:
        return rotary.rotary(options)
    if name in blocks.POSITIONS:
        return blocks.positions()
    if name in GATES:
        activations = [GATES[name], *GELUS] if name == "geglu" else [GATES[name]]
        made = []
        for activation in activations:
            others = [(each.title, _gated(each)[1]) for each in GELUS if each is not activation]
            mistaken = tuple(others) if name == "geglu" else ()
            way = _gated(activation)
            made.append(Function(name, ("g", "x"), *way, layouts=by_samples(2), mistaken=mistaken))
        return made + [blocks.feed_forward(name, each) for each in activations if name in blocks.FEED_FORWARD]
    if name in ENTRYWISE:
        return [Function(name, ("x",), *ENTRYWISE[name], layouts=by_samples(1))]
    return []
