"""Functions that are no layer or loss of ours and that people write backwards of: their formulas by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.formulas import (
    beside,
    count_features,
    exp,
    first_features,
    gate,
    max_features,
    mix_steps,
    named,
    not_later,
    other_features,
    step_products,
    sum_features,
    swap_steps,
    where,
)
from chainrule.layers.activations.rectifiers import ReLU
from chainrule.layers.activations.smooth import GELU, Identity, Sigmoid, SiLU


@dataclass(frozen=True)
class Function:
    """A function of several inputs, (forward, gradients) by hand.

    inputs: their names; `gradients` gives ∂J/∂ by these, of those that have one.  constants: what both take
    beside, by the first input's shape.
    """

    name: str
    inputs: tuple[str, ...]
    forward: Callable[..., Any]
    gradients: Callable[..., dict[str, Any]]
    constants: Callable[[Sequence[int]], dict[str, Any]] = lambda shape: {}


def _attention(causal: bool, scaled: bool) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """softmax(Q Kᵀ / √n) V (Vaswani et al. 2017, 3.2.1), with A the weights."""

    def divided(S: Any, Q: Any) -> Any:
        return S / count_features(Q) ** 0.5 if scaled else S

    def weights(Q: Any, K: Any) -> Any:
        S = named("S", divided(step_products(Q, K), Q))
        seen = named("M", not_later(S)) if causal else None
        grown = exp(S - max_features(S))
        E = named("E", grown if seen is None else where(seen, grown, 0))
        return named("A", E / sum_features(E))

    def forward(Q: Any, K: Any, V: Any) -> Any:
        return mix_steps(weights(Q, K), V)

    def gradients(d: Any, Q: Any, K: Any, V: Any) -> dict[str, Any]:
        A, B = weights(Q, K), named("B", step_products(d, V))
        G = named("G", divided(A * (B - sum_features(A * B)), Q))
        return {"Q": mix_steps(G, K), "K": mix_steps(swap_steps(G), Q), "V": mix_steps(swap_steps(A), d)}

    return forward, gradients


def _gated(activation: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """f(g) ⊙ x (Dauphin et al. 2017; Shazeer 2020)."""

    def forward(g: Any, x: Any) -> Any:
        return activation.f(g) * x

    def gradients(d: Any, g: Any, x: Any) -> dict[str, Any]:
        return {"g": d * x * activation.df(g), "x": d * activation.f(g)}

    return forward, gradients


def _rotary(x: Any, c: Any, s: Any) -> Any:
    """Every pair (x_k, x_{k+n/2}) turned by the angle of its step (Su et al. 2021), halves side by side."""
    first, second = first_features(x, c), other_features(x, c)
    return beside(first * c - second * s, second * c + first * s)


def _rotary_gradients(d: Any, c: Any, s: Any) -> dict[str, Any]:
    first, second = named("d1", first_features(d, c)), named("d2", other_features(d, c))
    return {"x": beside(first * c + second * s, second * c - first * s)}


def _rotary_whole(x: Any, c: Any, s: Any) -> Any:
    """The same with a cosine and a sine for every feature (transformers' apply_rotary_pos_emb)."""
    first, second = _halves(x)
    (c1, c2), (s1, s2) = _halves(c), _halves(s)
    return beside(first * c1 - second * s1, second * c2 + first * s2)


def _rotary_whole_gradients(d: Any, c: Any, s: Any) -> dict[str, Any]:
    (d1, d2), (c1, c2), (s1, s2) = (
        (named(f"{letter}1", first), named(f"{letter}2", second))
        for letter, (first, second) in (("d", _halves(d)), ("c", _halves(c)), ("s", _halves(s)))
    )
    return {"x": beside(d1 * c1 + d2 * s2, d2 * c2 - d1 * s1)}


def _halves(x: Any) -> tuple[Any, Any]:
    return gate(x, gate="1", gates="12"), gate(x, gate="2", gates="12")


def _angles(base: float, steps: int) -> Callable[[Sequence[int]], dict[str, Any]]:
    """cos and sin of t base^(-2k/n), t the step (axis `steps` of x) and k the pair."""

    def constants(shape: Sequence[int]) -> dict[str, Any]:
        half = shape[-2] // 2
        angles = np.outer(np.arange(shape[steps]), base ** (-np.arange(half) / half))
        spread = [1] * len(shape)
        spread[steps], spread[-2] = angles.shape
        return {"c": np.cos(angles).reshape(spread), "s": np.sin(angles).reshape(spread)}

    return constants


def functions(name: str, options: dict[str, Any]) -> list[Function]:
    """The functions that a name may mean; none: it is no name of a function."""
    if name in ("attention", "scaleddotproductattention", "sdpa", "dotproductattention", "flashattention"):
        causal = options.pop("causal", options.pop("is_causal", None))
        return [
            Function("attention", ("Q", "K", "V"), *_attention(hidden, scaled))
            for hidden in ([False, True] if causal is None else [bool(causal)])
            for scaled in (True, False)
        ]
    gates = {"swiglu": SiLU(), "geglu": GELU(), "glu": Sigmoid(), "reglu": ReLU(), "bilinear": Identity()}
    if name in gates:
        return [Function(name, ("g", "x"), *_gated(gates[name]))]
    if name in ("rotary", "rope", "rotarypositions", "rotarypositionembedding", "rotaryembedding"):
        base = float(options.pop("base", options.pop("theta", 10_000.0)))
        angles = [_angles(base, steps) for steps in (-3, -4)]  # the heads before the steps, or behind
        return [
            Function("rotary", ("x", "c", "s"), _rotary, _rotary_gradients),
            *(Function("rotary", ("x",), _rotary, _rotary_gradients, made) for made in angles),
            Function("rotary", ("x", "c", "s"), _rotary_whole, _rotary_whole_gradients),
        ]
    return []
