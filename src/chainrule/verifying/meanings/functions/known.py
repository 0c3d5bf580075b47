"""The functions by the words that people use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.formulas import exp, named, tanh
from chainrule.layers.activations.rectifiers import ReLU
from chainrule.layers.activations.smooth import GELU, Identity, Sigmoid, SiLU
from chainrule.verifying.meanings.functions import attention, rotary
from chainrule.verifying.meanings.functions.function import Function, by_samples


def _gated(activation: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """f(g) ⊙ x (Dauphin et al. 2017; Shazeer 2020)."""

    def forward(g: Any, x: Any) -> Any:
        return activation.f(g) * x

    def gradients(d: Any, g: Any, x: Any) -> dict[str, Any]:
        return {"g": d * x * activation.df(g), "x": d * activation.f(g)}

    return forward, gradients


ROOT = np.sqrt(2 / np.pi)


def _gelu_tanh(x: Any) -> Any:
    """½ x (1 + tanh(√(2/π) (x + 0.044715 x³))) (Hendrycks, Gimpel 2016)."""
    return 0.5 * x * (1 + tanh(ROOT * (x + 0.044715 * x**3)))


def _gelu_tanh_gradients(d: Any, x: Any) -> dict[str, Any]:
    T = named("T", tanh(ROOT * (x + 0.044715 * x**3)))
    inner = named("u", ROOT * (1 + 3 * (0.044715 * x**2)))
    return {"x": d * (0.5 * (1 + T) + 0.5 * x * (1 - T**2) * inner)}


def _gelu_sigmoid(x: Any) -> Any:
    """x σ(1.702 x), the quick form."""
    return x / (1 + exp(-1.702 * x))


def _gelu_sigmoid_gradients(d: Any, x: Any) -> dict[str, Any]:
    s = named("s", 1 / (1 + exp(-1.702 * x)))
    return {"x": d * (s + 1.702 * x * s * (1 - s))}


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
    if name in GATES:
        return [Function(name, ("g", "x"), *_gated(GATES[name]), layouts=by_samples(2))]
    if name in ENTRYWISE:
        return [Function(name, ("x",), *ENTRYWISE[name], layouts=by_samples(1))]
    return []
