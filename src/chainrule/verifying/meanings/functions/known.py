"""The functions by the words that people use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.base.languages import Say, same
from chainrule.formulas import exp, greater, maximum, minimum, named, tanh
from chainrule.layers.activations.rectifiers import ReLU
from chainrule.layers.activations.smooth import GELU, Identity, Sigmoid, SiLU, Tanh
from chainrule.verifying.meanings.functions import attention, blocks, rotary
from chainrule.verifying.meanings.functions.function import Function, by_samples


def _gated(activation: Any, slope: Any = None) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """f(g) ⊙ x (Dauphin et al. 2017; Shazeer 2020).  slope: what stands for f′, None: that."""
    slope = activation.df if slope is None else slope

    def forward(g: Any, x: Any) -> Any:
        return activation.f(g) * x

    def gradients(d: Any, g: Any, x: Any) -> dict[str, Any]:
        return {"g": d * x * slope(g), "x": d * activation.f(g)}

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
    Approximated(
        Say("the quick GELU, x σ(1.702 x)", "quick GELU，x σ(1.702 x)"),
        _gelu_sigmoid,
        _gelu_sigmoid_gradients,
    ),
)


ENTRYWISE = {
    "gelutanh": (_gelu_tanh, _gelu_tanh_gradients), "gelunew": (_gelu_tanh, _gelu_tanh_gradients),
    "tanhgelu": (_gelu_tanh, _gelu_tanh_gradients), "quickgelu": (_gelu_sigmoid, _gelu_sigmoid_gradients),
    "geluquick": (_gelu_sigmoid, _gelu_sigmoid_gradients),
}  # fmt: skip
CHOSEN = ("maximum", "minimum")
GATES = {"swiglu": SiLU(), "geglu": GELU(), "glu": Sigmoid(), "reglu": ReLU(), "bilinear": Identity()}


def _slopes(activation: Any) -> Iterator[tuple[Say, Callable[[Any], Any]]]:
    """(what it is, f′) that stand for the derivative of a gate's activation: others', or that of a sigmoid or
    tanh by the activation's own output.
    """
    for other in (*GELUS, SiLU(), Sigmoid(), Tanh(), ReLU(), GELU()):
        if other not in (activation,) and (type(other) is not type(activation) or other in GELUS):
            said = other.title if isinstance(other, Approximated) else same(type(other).__name__)
            yield _derivative_of(said), other.df
    of_output = Say("a σ of which the activation is the output", "以激活值为输出的 σ")
    yield _derivative_of(of_output), lambda g: activation.f(g) * (1 - activation.f(g))
    of_tanh = Say("a tanh of which the activation is the output", "以激活值为输出的 tanh")
    yield _derivative_of(of_tanh), lambda g: 1 - activation.f(g) ** 2


def _chosen(largest: bool) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The larger, or smaller, of two values entry by entry; at a tie δ goes to the first."""

    def forward(a: Any, b: Any) -> Any:
        return maximum(b, a) if largest else minimum(b, a)

    def gradients(d: Any, a: Any, b: Any) -> dict[str, Any]:
        second = greater(b, a) if largest else greater(a, b)
        return {"a": d * (1 - second), "b": d * second}

    return forward, gradients


def _derivative_of(what: Say) -> Say:
    return Say(f"a gate with the derivative of {what.en}", f"用 {what.zh} 的导数的门")


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
            others = list(_slopes(activation))
            mistaken = tuple((said, _gated(activation, slope)[1]) for said, slope in others)
            way = _gated(activation)
            made.append(Function(name, ("g", "x"), *way, layouts=by_samples(2), mistaken=mistaken))
            if name in blocks.FEED_FORWARD:
                made.append(blocks.feed_forward(name, activation, others))
        return made
    if name in CHOSEN:
        way = _chosen(largest=name == "maximum")
        return [Function(name, ("a", "b"), *way, layouts=by_samples(2))]
    if name in ENTRYWISE:
        return [Function(name, ("x",), *ENTRYWISE[name], layouts=by_samples(1))]
    return []
