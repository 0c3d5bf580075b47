r"""Multi-head attention: every step of a sequence reads all steps of another, or of its own, weighted by how
its query meets their keys.

Within every sample and head, steps as rows, n = features of a head, Y = X where a sequence reads itself:
    Q, K, V = X W_qᵀ, Y W_kᵀ, Y W_vᵀ        A = softmax_k(Q Kᵀ / √n)        O = A V        z = O W_oᵀ
Backward, with D = ∂J/∂O and B = D Vᵀ = ∂J/∂A, softmax gives G = ∂J/∂(Q Kᵀ) = A ⊙ (B - Σ_k A_k B_k) / √n, and
    ∂J/∂Q = G K        ∂J/∂K = Gᵀ Q        ∂J/∂V = Aᵀ D
A key more that every query sees, with score S̃, takes its share of the softmax: with R₀ = max(max_k S_k, S̃),
    E = e^(S - R₀)      Ẽ = e^(S̃ - R₀)      A = E / (Σ_k E_k + Ẽ)      Ã = Ẽ / (Σ_k E_k + Ẽ)
A zero key has S̃ = 0 and a zero value: O = A V and G are as they were. A learned key k̃ and value ṽ have
S̃ = Q k̃ / √n, and
    O = A V + Ã ṽ      B̃ = D ṽ      C = Σ_k A_k B_k + Ã B̃      G = A ⊙ (B - C) / √n      G̃ = Ã ⊙ (B̃ - C) / √n
    ∂J/∂Q = G K + G̃ k̃      ∂J/∂k̃ = Σ G̃ ⊙ Q      ∂J/∂ṽ = Σ Ã ⊙ D, over queries and samples
Relative positions add P_{h, r} to the score of query i and key k in head h, r the number of distance k - i:
    ∂J/∂P_{h, r} = Σ A ⊙ (B - C), over the queries and keys of that distance, and over samples
Sources: Vaswani et al., Attention Is All You Need, 2017, 3.2; heads of keys that several share: Ainslie et
al., GQA, 2023; rotary positions: Su et al., RoFormer, 2021, the pairs being features k and k + n/2; slopes:
Press et al., Train Short, Test Long (ALiBi), 2022; distances in buckets: Raffel et al., T5, 2020; of windows:
Liu et al., Swin Transformer, 2021.
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
from chainrule.base.scalars import check_choice, check_flag, check_number, entries
from chainrule.formulas import (
    beside,
    broadcast_samples,
    by_distance,
    correlate,
    count_features,
    exp,
    fit,
    flatten,
    join_heads,
    max_features,
    maximum,
    mix_steps,
    named,
    not_later,
    repeat_heads,
    seen_by,
    sloped,
    split_heads,
    step_products,
    sum_distances,
    sum_features,
    sum_heads,
    sum_positions,
    sum_samples,
    swap_steps,
    turned,
    where,
    zeros_like,
)
from chainrule.formulas.primitives.distances import places as distance_places
from chainrule.formulas.primitives.distances import slopes
from chainrule.layers.base import Layer, Parameter, Shape, Value, Values
from chainrule.layers.checks import each, size, whole
from chainrule.layers.initializers import Glorot, InitializerLike, Normal, Zeros, given_initializer
from chainrule.layers.parts import part_of, places_of, shapes_from
from chainrule.layers.sequences.embedding import sequence
from chainrule.layers.sequences.masking import UNSEEN

PROJECTIONS = ("q", "k", "v", "o")
GIVEN = "given"  # as `seen`: the last source says it
ROTARY_BASE = 10000.0
RELATIVE = ("alibi", "t5", "learned")
ROTARY_NAMES = ("rope", "rotary", "xpos")
FARTHEST = 128  # of T5's buckets
BUCKETS = 32

_Three = tuple[Value, Value, Value]


class _Parts(NamedTuple):
    X: Value
    Y: Value
    Z: Value
    seen: Value
    Q: Value
    K: Value
    V: Value
    A: Value
    K_0: Value
    V_0: Value
    A_0: Value
    O: Value  # noqa: E741


class _Deltas(NamedTuple):
    q: Value
    k: Value
    v: Value
    k_0: Value
    v_0: Value
    scores: Value


class MultiHeadAttention(Layer):
    """Attention (T, F) -> (T, F): of a sequence to itself, or as a node of a `Graph` of one to another,
    `"read": (MultiHeadAttention(4), "queries", "keys_and_values")`, or with three sources: queries, keys and
    values, PyTorch's order. Keys and values have steps of their own number, (S, F_k) and (S, F_v).

    W_q, W_o (F, F), W_k (F', F_k), W_v (F', F_v), biases b_q, b_o (F,), b_v (F',), and b_k (F',) with
    rotary or a key more; F' is F, or the features of as many heads as keys have.

    heads: the features are divided among them, n = F / heads each.
    causal: step i sees steps up to i only, of the other sequence too, as PyTorch's is_causal.
    key_value_heads: fewer heads of keys and values, each read by heads / key_value_heads neighbours.
    rotary: whether queries and keys are turned by their places (RoPE), rotary_base the base of the angles.
    seen: which keys a query sees, (T, S) of True and False, True where it does (PyTorch's attn_mask is the
        other way round); or "given": every sample has its own, numbers (T, S) that are 0 where it does not,
        the last source of the node. They have no δ.
    key_value_bias: whether there is a learned key and value more, k_0 and v_0 (1, F'), that every query sees
        whatever masks say (PyTorch's add_bias_kv); they begin as N(0, 1/F').
    zero_key_value: whether there is a key and value of zeros more (PyTorch's add_zero_attn).
    relative_positions: what the distance of a query and a key adds to their score, by head. "alibi": less by
        a slope for every step between them. "t5": P (heads, buckets), learned; near distances have a bucket
        each, far ones share them, on a logarithmic scale up to max_distance, 128; keys behind the query have
        their own half, unless causal. "learned": P (heads, 2 · max_distance + 1), of distances -max_distance
        to max_distance, and what is farther as those; by itself as far as the steps go. With grid=(height,
        width) the steps are its pixels, row by row, and P (heads, (2 · height - 1)(2 · width - 1)) is of the
        distances along both, the transpose of Swin's relative_position_bias_table.

    Keys that a mask calls padding are seen by none; a query that sees none gets A = 0. The mask of the
    queries goes on.

    Without rotary, and with no key more, keys have no bias: q · b_k is the same for every key, and softmax
    cancels it. Weights from a library that has one (PyTorch's in_proj_bias is b_q, b_k, b_v in a row) are
    taken without it and compute the same.

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
        key_value_bias: bool = False,
        zero_key_value: bool = False,
        relative_positions: str | None = None,
        buckets: int = BUCKETS,
        max_distance: int | None = None,
        grid: Any = None,
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
        self.key_value_bias = check_flag("MultiHeadAttention key_value_bias", key_value_bias)
        self.zero_key_value = check_flag("MultiHeadAttention zero_key_value", zero_key_value)
        if relative_positions is not None:
            if isinstance(relative_positions, str) and relative_positions.lower() in ROTARY_NAMES:
                raise ArgumentError(
                    f"MultiHeadAttention relative_positions={relative_positions!r}: it adds nothing to "
                    "scores, it turns queries and keys by their places: write rotary=True"
                )
            check_choice("MultiHeadAttention relative_positions", relative_positions, RELATIVE)
        self.relative_positions = relative_positions
        self.buckets = whole(buckets, "MultiHeadAttention buckets", 4)
        if max_distance is not None:
            max_distance = whole(max_distance, "MultiHeadAttention max_distance")
        self.max_distance = max_distance
        self.grid = None if grid is None else each(size(grid, "MultiHeadAttention grid"), 2)
        self._check_relative()
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
        as_published = self.shared == 1 and not self.rotary and self.seen is None and not self.sources
        return as_published and not self.extra_rows and self.relative_positions is None

    @property
    def extra_rows(self) -> int:
        """How many keys there are more than the sequence has."""
        return self.key_value_bias + self.zero_key_value

    @property
    def learned_positions(self) -> bool:
        """Whether there is a P."""
        return self.relative_positions in ("t5", "learned")

    @property
    def of_distances(self) -> dict[str, Any]:
        """Which distances have a number of P together: what `by_distance` and `places` are told."""
        logarithmic = (self.max_distance or FARTHEST) if self.relative_positions == "t5" else 0
        return {"logarithmic": logarithmic, "both": not (logarithmic and self.causal), "grid": self.grid}

    @property
    def shared(self) -> int:
        """How many heads read the same keys and values."""
        return self.heads // (self.key_value_heads or self.heads)

    @property
    def biased(self) -> tuple[str, ...]:
        """The projections that have a bias."""
        if not self.bias:
            return ()
        return PROJECTIONS if self.rotary or self.extra_rows else ("q", "v", "o")

    def shapes(self, input_shape: Shape) -> tuple[Shape, Shape, Shape]:
        """(steps, features) of queries, keys and values."""
        values = self.sources[: len(self.sources) - (self.seen == GIVEN)] or (input_shape,)
        return values[0], values[min(1, len(values) - 1)], values[-1]

    # -- the formulas ----------------------------------------------------------------------------------------
    def _project(self, x: Value, W: Value, b: Value) -> Value:
        return W @ x if b is None or not self.bias else W @ x + broadcast_samples(b)

    def _softmax(self, S: Value, mask: Value, given: Value = None, S_0: Value = None) -> tuple[Value, Value]:
        """Over the keys, and what a learned key more, of score S_0, has of it; mask (keys, m), given
        (queries, keys, m), `seen` and [k ≤ i] say which keys are seen.
        """
        says = [not_later(S)] if self.causal else []
        if isinstance(self.seen, tuple):
            says.append(seen_by(S, mask=self.seen))
        says += [told for told in (given, mask) if told is not None]
        if not says and not self.extra_rows:
            E = named("E", exp(S - max_features(S)))
            return E / sum_features(E), None
        if not says:
            return self._shares(S, S, S_0)
        M = named("M", functools.reduce(operator.mul, says))
        if self.extra_rows:
            return self._shares(where(M, S, UNSEEN), S, S_0, M)
        R = named("R", where(M, S, UNSEEN))
        E = named("E", exp(where(M, S - max_features(R), UNSEEN)))  # where no key is seen, max R is −∞
        return E / maximum(sum_features(E), 0.5), None  # the sum is at least 1, or 0 where nothing is seen

    def _shares(self, seen: Value, S: Value, S_0: Value, M: Value = None) -> tuple[Value, Value]:
        """Where there are keys more, which all queries see; seen: scores, −∞ where M says that none is."""
        R = named("R", max_features(seen))
        most = R if S_0 is None else maximum(R, S_0)
        R_0 = named("R_0", maximum(most, 0.0) if self.zero_key_value else most)
        E = named("E", exp(S - R_0 if M is None else where(M, S - R_0, UNSEEN)))
        N = sum_features(E)
        if S_0 is None:
            return E / named("N", N + exp(-R_0)), None
        E_0 = named("E_0", exp(S_0 - R_0))
        N = N + E_0
        N = named("N", N + exp(-R_0) if self.zero_key_value else N)
        return E / N, named("A_0", E_0 / N)

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

    def _parts(self, x: Value, W: _Three, b: _Three, learned: _Three, mask: Value) -> _Parts:
        X, Y, Z, given = self._read(x)
        counts = (self.heads, *[self.heads // self.shared] * 2)
        Q, K, V = (
            split_heads(self._project(of, matrix, bias), heads=count)
            for of, matrix, bias, count in zip((X, Y, Z), W, b, counts, strict=True)
        )
        Q, K = named("Q", self._turned(Q)), self._turned(K)
        k_0, v_0, P = learned
        extra = (k_0, v_0) if self.key_value_bias else ()
        rows = [split_heads(broadcast_samples(row), heads=counts[1]) for row in extra]
        if self.shared > 1:
            K, V, *rows = (repeat_heads(of, times=self.shared) for of in (K, V, *rows))
        K, V = named("K", K), named("V", V)
        K_0, V_0 = map(named, ("K_0", "V_0"), rows) if rows else (None, None)
        S = step_products(Q, K) / count_features(Q) ** 0.5
        if self.relative_positions == "alibi":
            S = S - sloped(S)
        elif self.learned_positions:
            S = S + by_distance(P, S, **self.of_distances)
        S, S_0 = named("S", S), None
        if K_0 is not None:
            S_0 = named("S_0", sum_features(Q * K_0) / count_features(Q) ** 0.5)
        A, A_0 = self._softmax(S, mask, given, S_0)
        A = named("A", A)
        mixed = mix_steps(A, V) if A_0 is None else mix_steps(A, V) + A_0 * V_0
        O = named("O", join_heads(mixed, heads=self.heads))  # noqa: E741
        return _Parts(X, Y, Z, given, Q, K, V, A, K_0, V_0, A_0, O)

    def _deltas(self, d: Value, p: _Parts, W_o: Value) -> _Deltas:
        """∂J/∂ of the three projections, of the row of keys and that of values, and of every score."""
        D = named("D", split_heads(W_o.T @ d, heads=self.heads))
        B = named("B", step_products(D, p.V))
        C, of_row = sum_features(p.A * B), (None, None)
        root = count_features(p.Q) ** 0.5
        if self.key_value_bias:
            B_0 = named("B_0", sum_features(D * p.V_0))
            C = named("C", C + p.A_0 * B_0)
        of_scores = p.A * (B - C)
        G = named("G", of_scores / root)
        of_q, of_k, of_v = mix_steps(G, p.K), mix_steps(swap_steps(G), p.Q), mix_steps(swap_steps(p.A), D)
        if self.key_value_bias:
            G_0 = named("G_0", p.A_0 * (B_0 - C) / root)
            of_q = of_q + G_0 * p.K_0
            of_row = (fit(G_0 * p.Q, p.K_0), fit(p.A_0 * D, p.V_0))
        if self.shared > 1:
            of_k, of_v = (sum_heads(delta, times=self.shared) for delta in (of_k, of_v))
        fewer = self.heads // self.shared
        return _Deltas(
            join_heads(self._turned(of_q, back=True), heads=self.heads),
            join_heads(self._turned(of_k, back=True), heads=fewer),
            join_heads(of_v, heads=fewer),
            *(None if row is None else self._summed_row(row) for row in of_row),  # type: ignore[call-arg]
            of_scores,
        )

    def _summed_row(self, delta: Value) -> Value:
        """∂J/∂ of a row, (1, F'), from that of every head's."""
        if self.shared > 1:
            delta = sum_heads(delta, times=self.shared)
        return sum_samples(join_heads(delta, heads=self.heads // self.shared))

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
        k_0: Value = None,
        v_0: Value = None,
        P: Value = None,
        mask: Value = None,
    ) -> Value:
        p = self._parts(x, (W_q, W_k, W_v), (b_q, self._of_keys(b_k), b_v), (k_0, v_0, P), mask)
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
        k_0: Value = None,
        v_0: Value = None,
        P: Value = None,
        mask: Value = None,
    ) -> Value:
        p = self._parts(x, (W_q, W_k, W_v), (b_q, self._of_keys(b_k), b_v), (k_0, v_0, P), mask)
        of_q, of_k, of_v, *_ = self._deltas(d, p, W_o)
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
        k_0: Value = None,
        v_0: Value = None,
        P: Value = None,
        mask: Value = None,
    ) -> Values:
        p = self._parts(x, (W_q, W_k, W_v), (b_q, self._of_keys(b_k), b_v), (k_0, v_0, P), mask)
        made = self._deltas(d, p, W_o)
        deltas = dict(zip(PROJECTIONS, (*made[:3], d), strict=True))
        of = dict(zip(PROJECTIONS, (p.X, p.Y, p.Z, p.O), strict=True))
        gradients = {f"W_{key}": correlate(delta, of[key]) for key, delta in deltas.items()}
        gradients |= {f"b_{key}": sum_samples(sum_positions(deltas[key])) for key in self.biased}
        if self.key_value_bias:
            gradients |= {"k_0": made.k_0, "v_0": made.v_0}
        if self.learned_positions:
            gradients["P"] = sum_distances(made.scores, P, **self.of_distances)
        return gradients

    def _of_keys(self, b_k: Value) -> Value:
        return b_k if "k" in self.biased else None

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
        if self.key_value_bias:
            row = Parameter((1, fewer), fewer, fewer, Normal(fewer**-0.5), penalised=False)
            specs |= {"k_0": row, "v_0": row}
        if self.learned_positions:
            table = (self.heads, self.numbers_of(input_shape))
            specs["P"] = Parameter(table, table[1], self.heads, Normal(0.02), penalised=False)
        return specs

    def numbers_of(self, input_shape: Shape) -> int:
        """Of how many distances P is."""
        if self.relative_positions == "t5":
            return self.buckets
        if self.grid is not None:
            return math.prod(2 * length - 1 for length in self.grid)
        of_q, of_k, _ = self.shapes(input_shape)
        return 2 * (self.max_distance or max(of_q[0], of_k[0]) - 1) + 1

    def of_pairs(self, steps: int, keys: int, P: Any = None) -> tuple[Any, Any]:
        """(which number of its head is added to the score of every query and key, (steps, keys); the numbers,
        (heads, numbers): P, as it is given, or those of the slopes). (None, None) where nothing is added.
        """
        if self.relative_positions is None:
            return None, None
        if not self.learned_positions:
            reach = max(steps, keys) - 1
            far = np.abs(np.arange(2 * reach + 1) - reach)
            return distance_places(steps, keys, 2 * reach + 1), -np.outer(slopes(self.heads), far)
        count = self.buckets if P is None else P.shape[1]
        if P is None and self.relative_positions == "learned":
            count = self.numbers_of((steps, 0)) if not self.sources else self.numbers_of(())
        return distance_places(steps, keys, count, **self.of_distances), P

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
        if self.grid is not None and pairs != (math.prod(self.grid),) * 2:
            raise ShapeError(
                f"MultiHeadAttention grid={self.grid} has {math.prod(self.grid)} pixels, and queries and "
                f"keys are {pairs[0]} and {pairs[1]}: write a grid (height, width) of as many"
            )
        return of_q

    def _check_relative(self) -> None:
        """Arguments of relative positions that do not fit together."""
        kind = self.relative_positions
        wanted = {"max_distance": ("t5", "learned"), "grid": ("learned",)}
        for name, kinds in wanted.items():
            if getattr(self, name) is not None and kind not in kinds:
                raise ArgumentError(
                    f"MultiHeadAttention {name} is of relative_positions={' or '.join(map(repr, kinds))}, "
                    f"received relative_positions={kind!r}: leave {name} out or write "
                    f"relative_positions={kinds[-1]!r}"
                )
        if self.grid is not None and self.max_distance is not None:
            raise ArgumentError(
                "MultiHeadAttention grid has a number for every distance of its pixels, received "
                f"max_distance={self.max_distance}: leave max_distance out"
            )
        if kind != "t5" and self.buckets != BUCKETS:
            raise ArgumentError(
                f"MultiHeadAttention buckets is of relative_positions='t5', received buckets={self.buckets} "
                f"and relative_positions={kind!r}: leave buckets out or write relative_positions='t5'"
            )
        if kind == "t5":
            near = self.buckets // (2 if self.causal else 4)
            farthest = self.max_distance or FARTHEST
            if farthest <= near:
                raise ArgumentError(
                    f"MultiHeadAttention of {self.buckets} buckets has one for each distance below {near}, "
                    f"and max_distance must be beyond, received {farthest}: write max_distance={4 * near}"
                )

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
