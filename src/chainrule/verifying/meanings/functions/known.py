"""The functions by the words that people use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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


GATES = {"swiglu": SiLU(), "geglu": GELU(), "glu": Sigmoid(), "reglu": ReLU(), "bilinear": Identity()}


def functions(name: str, options: dict[str, Any]) -> list[Function]:
    """The functions that a name may mean; none: it is no name of a function.  Options that were read are taken
    out.
    """
    if name in attention.WORDS | attention.FLASH:
        return attention.attention(name, options)
    if name in rotary.WORDS:
        return rotary.rotary(options)
    if name in GATES:
        return [Function(name, ("g", "x"), *_gated(GATES[name]), layouts=by_samples(2))]
    return []
