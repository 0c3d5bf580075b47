r"""Multi-head attention: every step of a sequence reads all steps of another, or of its own, weighted by how
its query meets their keys.

Within every sample and head, steps as rows, n = features of a head, Y = X where a sequence reads itself:
    Q, K, V = X W_qᵀ, Y W_kᵀ, Y W_vᵀ        A = softmax_k(Q Kᵀ / √n)        O = A V        z = O W_oᵀ
Backward, with D = ∂J/∂O and B = D Vᵀ = ∂J/∂A, softmax gives G = ∂J/∂(Q Kᵀ) = A ⊙ (B - Σ_k A_k B_k) / √n, and
    ∂J/∂Q = G K        ∂J/∂K = Gᵀ Q        ∂J/∂V = Aᵀ D
Sources: Vaswani et al., Attention Is All You Need, 2017, 3.2; heads of keys that several share: Ainslie et
al., GQA, 2023; rotary positions: Su et al., RoFormer, 2021, the pairs being features k and k + n/2.
"""

from __future__ import annotations

import copy
import functools
import math
import operator
import zlib
from typing import Any, NamedTuple

import numpy as np

from chainrule.base.errors import ArgumentError, ShapeError, describe
from chainrule.base.keywords import teach
from chainrule.base.scalars import check_flag, check_number, entries
from chainrule.formulas import (
    beside,
    broadcast_samples,
    correlate,
    count_features,
    exp,
    flatten,
    join_heads,
    max_features,
    maximum,
    mix_steps,
    named,
    not_later,
    repeat_heads,
    seen_by,
    split_heads,
    step_products,
    sum_features,
    sum_heads,
    sum_positions,
    sum_samples,
    swap_steps,
    turned,
    where,
    zeros_like,
)
from chainrule.layers.base import Layer, Parameter, Shape, Value, Values
from chainrule.layers.checks import whole
from chainrule.layers.initializers import Glorot, InitializerLike, Zeros, given_initializer
from chainrule.layers.parts import part_of, places_of, shapes_from
from chainrule.layers.sequences.embedding import sequence
from chainrule.layers.sequences.masking import UNSEEN

PROJECTIONS = ("q", "k", "v", "o")
GIVEN = "given"  # as `seen`: the last source says it
ROTARY_BASE = 10000.0


class _Parts(NamedTuple):
    X: Value
    Y: Value
    Z: Value
    seen: Value
    Q: Value
    K: Value
    V: Value
    A: Value
    O: Value  # noqa: E741


class MultiHeadAttention(Layer):
    """Attention (T, F) -> (T, F): of a sequence to itself, or as a node of a `Graph` of one to another,
    `"read": (MultiHeadAttention(4), "queries", "keys_and_values")`, or with three sources: queries, keys and
    values, PyTorch's order. Keys and values have steps of their own number, (S, F_k) and (S, F_v).

    W_q, W_o (F, F), W_k (F', F_k), W_v (F', F_v), biases b_q, b_o (F,), b_v (F',), and b_k (F',) with rotary;
    F' is F, or the features of as many heads as keys have.

    heads: the features are divided among them, n = F / heads each.
    causal: step i sees steps up to i only, of the other sequence too, as PyTorch's is_causal.
    key_value_heads: fewer heads of keys and values, each read by heads / key_value_heads neighbours.
    rotary: whether queries and keys are turned by their places (RoPE), rotary_base the base of the angles.
    seen: which keys a query sees, (T, S) of True and False, True where it does (PyTorch's attn_mask is the
        other way round); or "given": every sample has its own, numbers (T, S) that are 0 where it does not,
        the last source of the node. They have no δ.

    Keys that a mask calls padding are seen by none; a query that sees none gets A = 0. The mask of the
    queries goes on.

    Without rotary keys have no bias: q · b_k is the same for every key, and softmax cancels it. Weights from
    a library that has one (PyTorch's in_proj_bias is b_q, b_k, b_v in a row) are taken without it and compute
    the same.

    sources: the shapes of what the node reads, which a Graph fills in; they lie side by side then.
    """

    kind = "attention"
    family = "attention"
    mask_source = 1  # of several the keys' mask is what the formulas are given

    @teach("the number of heads only, MultiHeadAttention(4): it finds out the features")
    def __init__(
        self,
        heads: int,
        *,
        causal: bool = False,
        bias: bool = True,
        key_value_heads: int | None = None,
        rotary: bool = False,
        rotary_base: float = ROTARY_BASE,
        seen: Any = None,
        sources: Any = (),
        initializer: InitializerLike = None,
        name: str | None = None,
    ) -> None:
        self.heads = whole(heads, "MultiHeadAttention heads")
        self.causal = check_flag("MultiHeadAttention causal", causal)
        self.bias = check_flag("MultiHeadAttention bias", bias)
        if key_value_heads is not None:
            key_value_heads = whole(key_value_heads, "MultiHeadAttention key_value_heads")
            if self.heads % key_value_heads:
                raise ShapeError(
                    f"MultiHeadAttention key_value_heads must divide heads={self.heads}, received "
                    f"{key_value_heads}: write key_value_heads={_divisor(self.heads, key_value_heads)}"
                )
        self.key_value_heads = key_value_heads
        self.rotary = check_flag("MultiHeadAttention rotary", rotary)
        check_number("MultiHeadAttention rotary_base", rotary_base)
        self.rotary_base = float(rotary_base)
        self.seen = _seen(seen)
        self.sources = shapes_from(sources, "MultiHeadAttention")
        self.initializer = given_initializer(initializer)
        self.name = name

    def __repr__(self) -> str:
        shown = super().__repr__()
        if not isinstance(self.seen, tuple):
            return shown
        table = np.array(self.seen)
        rows, columns = table.shape
        return shown.replace(repr(self.seen), f"<{rows} × {columns}, {zlib.crc32(table.tobytes()):08x}>")

    @property
    def most_sources(self) -> int:
        """How many values a node of it may read; the fewest are 1, or 3 where one says what is seen."""
        return 4 if self.seen == GIVEN else 3

    def reading(self, shapes: tuple[Shape, ...]) -> MultiHeadAttention:
        """A copy for sources of these shapes; ShapeError where they do not fit."""
        made = copy.copy(self)
        made.sources = shapes
        made.output_shape((sum(map(math.prod, shapes)),))
        return made

    @property
    def plain(self) -> bool:
        """Whether a sequence reads itself with none of the options but causal."""
        return not self.sources and self.shared == 1 and not self.rotary and self.seen is None

    @property
    def shared(self) -> int:
        """How many heads read the same keys and values."""
        return self.heads // (self.key_value_heads or self.heads)

    @property
    def biased(self) -> tuple[str, ...]:
        """The projections that have a bias."""
        if not self.bias:
            return ()
        return PROJECTIONS if self.rotary else ("q", "v", "o")

    def shapes(self, input_shape: Shape) -> tuple[Shape, Shape, Shape]:
        """(steps, features) of queries, keys and values."""
        values = self.sources[: len(self.sources) - (self.seen == GIVEN)] or (input_shape,)
        return values[0], values[min(1, len(values) - 1)], values[-1]

    # -- the formulas ----------------------------------------------------------------------------------------
    def _project(self, x: Value, W: Value, b: Value) -> Value:
        return W @ x if b is None or not self.bias else W @ x + broadcast_samples(b)

    def _softmax(self, S: Value, mask: Value, given: Value = None) -> Value:
        """Over the keys; mask (keys, m), given (queries, keys, m), `seen` and [k ≤ i] say which are seen."""
        says = [not_later(S)] if self.causal else []
        if isinstance(self.seen, tuple):
            says.append(seen_by(S, mask=self.seen))
        says += [told for told in (given, mask) if told is not None]
        if not says:
            E = named("E", exp(S - max_features(S)))
            return E / sum_features(E)
        M = named("M", functools.reduce(operator.mul, says))
        R = named("R", where(M, S, UNSEEN))
        E = named("E", exp(where(M, S - max_features(R), UNSEEN)))  # where no key is seen, max R is −∞
        return E / maximum(sum_features(E), 0.5)  # the sum is at least 1, or 0 where nothing is seen

    def _read(self, x: Value) -> tuple[Value, Value, Value, Value]:
        """What queries, keys and values are made of, and what says which keys are seen."""
        if not self.sources:
            return x, x, x, None
        parts = [part_of(x, start, stop, shape) for start, stop, shape in self.places]
        given = parts.pop() if self.seen == GIVEN else None
        X, Y, *rest = (named(letter, part) for letter, part in zip("XYZ", parts, strict=False))
        return X, Y, rest[0] if rest else Y, given

    def _turned(self, x: Value, back: bool = False) -> Value:
        return turned(x, base=self.rotary_base, back=back) if self.rotary else x

    def _parts(self, x: Value, W: tuple[Value, ...], b: tuple[Value, ...], mask: Value) -> _Parts:
        X, Y, Z, given = self._read(x)
        counts = (self.heads, *[self.heads // self.shared] * 2)
        Q, K, V = (
            split_heads(self._project(of, matrix, bias), heads=count)
            for of, matrix, bias, count in zip((X, Y, Z), W, b, counts, strict=True)
        )
        Q, K = named("Q", self._turned(Q)), self._turned(K)
        if self.shared > 1:
            K, V = (repeat_heads(of, times=self.shared) for of in (K, V))
        K, V = named("K", K), named("V", V)
        S = named("S", step_products(Q, K) / count_features(Q) ** 0.5)
        A = named("A", self._softmax(S, mask, given))
        return _Parts(X, Y, Z, given, Q, K, V, A, named("O", join_heads(mix_steps(A, V), heads=self.heads)))

    def _deltas(self, d: Value, p: _Parts, W_o: Value) -> tuple[Value, Value, Value]:
        """∂J/∂ of the three projections."""
        D = named("D", split_heads(W_o.T @ d, heads=self.heads))
        B = named("B", step_products(D, p.V))
        G = named("G", p.A * (B - sum_features(p.A * B)) / count_features(p.Q) ** 0.5)
        of_q, of_k, of_v = mix_steps(G, p.K), mix_steps(swap_steps(G), p.Q), mix_steps(swap_steps(p.A), D)
        if self.shared > 1:
            of_k, of_v = (sum_heads(delta, times=self.shared) for delta in (of_k, of_v))
        fewer = self.heads // self.shared
        return (
            join_heads(self._turned(of_q, back=True), heads=self.heads),
            join_heads(self._turned(of_k, back=True), heads=fewer),
            join_heads(of_v, heads=fewer),
        )

    def forward(
        self,
        x: Value,
        W_q: Value,
        W_k: Value,
        W_v: Value,
        W_o: Value,
        b_q: Value = None,
        b_k: Value = None,
        b_v: Value = None,
        b_o: Value = None,
        mask: Value = None,
    ) -> Value:
        p = self._parts(x, (W_q, W_k, W_v), (b_q, b_k if self.rotary else None, b_v), mask)
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
        b_k: Value = None,
        b_v: Value = None,
        mask: Value = None,
    ) -> Value:
        p = self._parts(x, (W_q, W_k, W_v), (b_q, b_k if self.rotary else None, b_v), mask)
        of_q, of_k, of_v = self._deltas(d, p, W_o)
        of_x, of_y, of_z = W_q.T @ of_q, W_k.T @ of_k, W_v.T @ of_v
        if not self.sources:
            return of_x + of_y + of_z
        shares = [of_x, of_y, of_z] if p.Z is not p.Y else [of_x, of_y + of_z]
        if p.seen is not None:
            shares.append(zeros_like(p.seen))
        return functools.reduce(beside, map(flatten, shares))

    def gradients(
        self,
        d: Value,
        x: Value,
        W_q: Value,
        W_k: Value,
        W_v: Value,
        W_o: Value,
        b_q: Value = None,
        b_k: Value = None,
        b_v: Value = None,
        mask: Value = None,
    ) -> Values:
        p = self._parts(x, (W_q, W_k, W_v), (b_q, b_k if self.rotary else None, b_v), mask)
        deltas = dict(zip(PROJECTIONS, (*self._deltas(d, p, W_o), d), strict=True))
        of = dict(zip(PROJECTIONS, (p.X, p.Y, p.Z, p.O), strict=True))
        gradients = {f"W_{key}": correlate(delta, of[key]) for key, delta in deltas.items()}
        return gradients | {f"b_{key}": sum_samples(sum_positions(deltas[key])) for key in self.biased}

    # -- shapes ----------------------------------------------------------------------------------------------
    def parameters(self, input_shape: Shape) -> dict[str, Parameter]:
        queries, keys, values = (shape[-1] for shape in self.shapes(input_shape))
        fewer = queries // self.shared
        start = self.initializer or Glorot()
        sizes = {"q": (queries, queries), "k": (fewer, keys), "v": (fewer, values), "o": (queries, queries)}
        specs = {f"W_{key}": Parameter(size, size[1], size[0], start) for key, size in sizes.items()}
        for key in self.biased:
            units, inputs = sizes[key]
            specs[f"b_{key}"] = Parameter((units,), inputs, units, Zeros(), penalised=False)
        return specs

    @property
    def places(self) -> list[tuple[int, int, Shape]]:
        """Of every source the first of its numbers, the one behind its last, and its shape."""
        return places_of(self.sources)

    def output_shape(self, input_shape: Shape) -> Shape:
        if not self.sources:
            sequence(input_shape, "MultiHeadAttention")
        elif input_shape != (self.places[-1][1],):
            raise ShapeError(f"MultiHeadAttention reads {self.places[-1][1]} numbers, received {input_shape}")
        of_q, of_k, of_v = (sequence(shape, "MultiHeadAttention") for shape in self.shapes(input_shape))
        self._check_features(of_q[-1])
        if of_k[0] != of_v[0]:
            raise ShapeError(
                f"MultiHeadAttention reads as many keys as values, received {of_k} and {of_v}: its sources "
                "are queries, keys, values"
            )
        pairs = (of_q[0], of_k[0])
        if self.seen == GIVEN and (len(self.sources) < 3 or self.sources[-1] != pairs):
            raise ShapeError(
                f"MultiHeadAttention seen='given' takes its last source, of {pairs}, queries and keys, "
                f"received {self.sources[-1] if self.sources else 'none'}: write (MultiHeadAttention(..., "
                "seen='given'), 'queries', 'keys_and_values', 'seen') as a node of a Graph"
            )
        if isinstance(self.seen, tuple) and (len(self.seen), len(self.seen[0])) != pairs:
            raise ShapeError(
                f"MultiHeadAttention seen has a row for every query and a column for every key, {pairs}, "
                f"received {(len(self.seen), len(self.seen[0]))}"
            )
        return of_q

    def _check_features(self, features: int) -> None:
        if features % self.heads:
            raise ShapeError(
                f"MultiHeadAttention divides the features among its heads, and {features} is no multiple of "
                f"{self.heads}: write heads={_divisor(features, self.heads)}"
            )
        if self.rotary and features // self.heads % 2:
            raise ShapeError(
                "MultiHeadAttention rotary turns pairs of features, and a head has "
                f"{features // self.heads}: write heads that leave an even number"
            )


def _seen(given: Any) -> Any:
    """None, "given", or rows of True and False."""
    if given is None or (isinstance(given, str) and given == GIVEN):
        return given
    rows = None if isinstance(given, str) else entries(given)
    table = [entries(row) or [] for row in rows or ()]
    if not table or not all(row and len(row) == len(table[0]) for row in table):
        raise ArgumentError(
            "MultiHeadAttention seen must be True and False for every query and key, an array (T, S), or "
            f"'given', received {describe(given)}"
        )
    values = [[bool(value) if value in (0, 1) else None for value in row] for row in table]
    if any(None in row for row in values):
        raise ArgumentError(
            "MultiHeadAttention seen must be True where a query sees a key and False where not, of PyTorch's "
            f"numbers that are added seen = attn_mask == 0; received {describe(given)}"
        )
    return tuple(map(tuple, values))


def _divisor(features: int, heads: int) -> int:
    """The largest number of heads up to `heads` that divides the features."""
    return next(count for count in range(heads, 0, -1) if features % count == 0)
