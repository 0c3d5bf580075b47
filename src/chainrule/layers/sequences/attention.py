r"""Multi-head attention: every step of a sequence reads all, weighted by how its query meets their keys.

Within every sample and head, steps as rows, n = features of a head:
    Q, K, V = x W_qᵀ, x W_kᵀ, x W_vᵀ        A = softmax_k(Q Kᵀ / √n)        O = A V        z = O W_oᵀ
Backward, with D = ∂J/∂O and B = D Vᵀ = ∂J/∂A, softmax gives G = ∂J/∂(Q Kᵀ) = A ⊙ (B - Σ_k A_k B_k) / √n, and
    ∂J/∂Q = G K        ∂J/∂K = Gᵀ Q        ∂J/∂V = Aᵀ D
Source: Vaswani et al., Attention Is All You Need, 2017, 3.2.
"""

from __future__ import annotations

from typing import NamedTuple

from chainrule.base.errors import ShapeError
from chainrule.base.keywords import teach
from chainrule.base.scalars import check_flag
from chainrule.formulas import (
    broadcast_samples,
    correlate,
    count_features,
    exp,
    join_heads,
    max_features,
    maximum,
    mix_steps,
    named,
    not_later,
    split_heads,
    step_products,
    sum_features,
    sum_positions,
    sum_samples,
    swap_steps,
    where,
)
from chainrule.layers.base import Layer, Parameter, Shape, Value, Values
from chainrule.layers.checks import whole
from chainrule.layers.initializers import Glorot, InitializerLike, Zeros, given_initializer
from chainrule.layers.sequences.embedding import sequence
from chainrule.layers.sequences.masking import UNSEEN

PROJECTIONS, BIASED = ("q", "k", "v", "o"), ("q", "v", "o")


class _Parts(NamedTuple):
    Q: Value
    K: Value
    V: Value
    A: Value
    O: Value  # noqa: E741


class MultiHeadAttention(Layer):
    """Self-attention: (T, F) -> (T, F), with W_q, W_k, W_v, W_o (F, F) and biases b_q, b_v, b_o (F,).

    heads: the features are divided among them, F / heads each. causal: a step sees itself and those before
    it only. Steps that a mask calls padding are seen by none; a step that sees none gets A = 0.

    Keys have no bias: q · b_k is the same for every key, and softmax cancels it. Weights from a library that
    has one (PyTorch's in_proj_bias is b_q, b_k, b_v in a row) are taken without it and compute the same.
    """

    kind = "attention"
    family = "attention"

    @teach("the number of heads only, MultiHeadAttention(4): it finds out the features")
    def __init__(
        self,
        heads: int,
        *,
        causal: bool = False,
        bias: bool = True,
        initializer: InitializerLike = None,
        name: str | None = None,
    ) -> None:
        self.heads = whole(heads, "MultiHeadAttention heads")
        self.causal = check_flag("MultiHeadAttention causal", causal)
        self.bias = check_flag("MultiHeadAttention bias", bias)
        self.initializer = given_initializer(initializer)
        self.name = name

    def _project(self, x: Value, W: Value, b: Value) -> Value:
        return W @ x if b is None or not self.bias else W @ x + broadcast_samples(b)

    def _softmax(self, S: Value, mask: Value) -> Value:
        """Over the keys; mask (keys, m) and [k ≤ i] say which of them are seen."""
        if mask is None and not self.causal:
            E = named("E", exp(S - max_features(S)))
            return E / sum_features(E)
        M = not_later(S) if self.causal else mask
        M = named("M", M * mask if self.causal and mask is not None else M)
        R = named("R", where(M, S, UNSEEN))
        E = named("E", where(M, exp(S - max_features(R)), 0))  # where no key is seen, max R is −∞
        return E / maximum(sum_features(E), 0.5)  # the sum is at least 1, or 0 where nothing is seen

    def _parts(
        self, x: Value, W: tuple[Value, Value, Value], b: tuple[Value, Value, Value], mask: Value
    ) -> _Parts:
        Q, K, V = (
            named(name, split_heads(self._project(x, matrix, bias), heads=self.heads))
            for name, matrix, bias in zip("QKV", W, b, strict=True)
        )
        S = named("S", step_products(Q, K) / count_features(Q) ** 0.5)
        A = named("A", self._softmax(S, mask))
        return _Parts(Q, K, V, A, named("O", join_heads(mix_steps(A, V), heads=self.heads)))

    def _deltas(self, d: Value, p: _Parts, W_o: Value) -> tuple[Value, Value, Value]:
        """∂J/∂ of the three projections."""
        D = named("D", split_heads(W_o.T @ d, heads=self.heads))
        B = named("B", step_products(D, p.V))
        G = named("G", p.A * (B - sum_features(p.A * B)) / count_features(p.Q) ** 0.5)
        of_heads = mix_steps(G, p.K), mix_steps(swap_steps(G), p.Q), mix_steps(swap_steps(p.A), D)
        of_q, of_k, of_v = (join_heads(delta, heads=self.heads) for delta in of_heads)
        return of_q, of_k, of_v

    def forward(
        self,
        x: Value,
        W_q: Value,
        W_k: Value,
        W_v: Value,
        W_o: Value,
        b_q: Value = None,
        b_v: Value = None,
        b_o: Value = None,
        mask: Value = None,
    ) -> Value:
        p = self._parts(x, (W_q, W_k, W_v), (b_q, None, b_v), mask)
        return self._project(p.O, W_o, b_o)

    def delta(
        self,
        d: Value,
        x: Value,
        W_q: Value,
        W_k: Value,
        W_v: Value,
        W_o: Value,
        b_q: Value = None,
        b_v: Value = None,
        mask: Value = None,
    ) -> Value:
        p = self._parts(x, (W_q, W_k, W_v), (b_q, None, b_v), mask)
        of_q, of_k, of_v = self._deltas(d, p, W_o)
        return W_q.T @ of_q + W_k.T @ of_k + W_v.T @ of_v

    def gradients(
        self,
        d: Value,
        x: Value,
        W_q: Value,
        W_k: Value,
        W_v: Value,
        W_o: Value,
        b_q: Value = None,
        b_v: Value = None,
        mask: Value = None,
    ) -> Values:
        p = self._parts(x, (W_q, W_k, W_v), (b_q, None, b_v), mask)
        deltas = dict(zip(PROJECTIONS, (*self._deltas(d, p, W_o), d), strict=True))
        gradients = {f"W_{key}": correlate(delta, p.O if key == "o" else x) for key, delta in deltas.items()}
        if self.bias:
            gradients |= {f"b_{key}": sum_samples(sum_positions(deltas[key])) for key in BIASED}
        return gradients

    def parameters(self, input_shape: Shape) -> dict[str, Parameter]:
        n = input_shape[-1]
        start = self.initializer or Glorot()
        specs = {f"W_{key}": Parameter((n, n), n, n, start) for key in PROJECTIONS}
        if self.bias:
            specs |= {f"b_{key}": Parameter((n,), n, n, Zeros(), penalised=False) for key in BIASED}
        return specs

    def output_shape(self, input_shape: Shape) -> Shape:
        _, features = sequence(input_shape, "MultiHeadAttention")
        if features % self.heads:
            raise ShapeError(
                f"MultiHeadAttention divides the features among its heads, and {features} is no multiple of "
                f"{self.heads}: write heads={_divisor(features, self.heads)}"
            )
        return input_shape


def _divisor(features: int, heads: int) -> int:
    """The largest number of heads up to `heads` that divides the features."""
    return next(count for count in range(heads, 0, -1) if features % count == 0)
