"""Attention of Q, K, V (Vaswani et al. 2017, 3.2.1) as a Function: by its weights A, and as flash kernels
have it, by the log-sum-exp L of every row and D, the row sums of δ ⊙ O (Dao et al. 2022, appendix B).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, describe
from chainrule.base.languages import Say
from chainrule.formulas import (
    count_features,
    exp,
    fit,
    join_heads,
    log,
    max_features,
    mix_steps,
    named,
    not_later,
    split_heads,
    step_products,
    sum_features,
    swap_steps,
    where,
)
from chainrule.verifying.meanings.forms import Form
from chainrule.verifying.meanings.functions.function import Function, Layout, Shape

WORDS = {
    "attention", "scaleddotproductattention", "sdpa", "dotproductattention", "groupedqueryattention", "gqa",
    "multiqueryattention", "mqa", "attn",
}  # fmt: skip
FLASH = {"flashattention", "flash"}
MASKS = ("keep", "drop", "add")  # 1 where a key is seen; 1 where it is not; 0 and -∞, added to the scores


UNSOFTENED = Say("attention without the derivative of its softmax", "没有对 softmax 求导的注意力")


@dataclass(frozen=True)
class Scores:
    """What people choose.  causal: a step sees none behind it.  scale: a number, "root" for 1/√d, None.
    mask: how M hides keys, of MASKS; None: there is no M.  heads: joined in the features, so many; shared:
    whether several heads of Q have one of K and V.
    """

    causal: bool = False
    scale: float | str | None = "root"
    mask: str | None = None
    heads: int | None = None
    shared: bool = False

    def scaled(self, S: Any, Q: Any) -> Any:
        if self.scale is None:
            return S
        return S / count_features(Q) ** 0.5 if self.scale == "root" else S * self.scale

    def of(self, Q: Any, K: Any, M: Any) -> Any:
        S = self.scaled(step_products(Q, K), Q)
        return named("S", S + M if self.mask == "add" else S)

    def seen(self, S: Any, M: Any) -> Callable[[Any], Any]:
        """What hides keys from numbers of their shape."""
        earlier = named("C" if self.mask else "M", not_later(S)) if self.causal else None

        def shown(E: Any) -> Any:
            if self.mask in ("keep", "drop"):
                E = where(M, E, 0) if self.mask == "keep" else where(M, 0, E)
            return E if earlier is None else where(earlier, E, 0)

        return shown

    def weights(self, Q: Any, K: Any, M: Any) -> Any:
        S = self.of(Q, K, M)
        E = named("E", self.seen(S, M)(exp(S - max_features(S))))
        return named("A", E / sum_features(E))

    def kept(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """What forward keeps: its output O, of every head, and the log-sum-exp L of every row of scores."""
        Q, K, V = self.split(*(values[name] for name in "QKV"))
        M = values.get("M")
        S = self.of(Q, K, M)
        largest = max_features(S)
        L = log(sum_features(self.seen(S, M)(exp(S - largest)))) + largest
        return {"O": mix_steps(self.weights(Q, K, M), V), "L": L}

    # -- Q, K, V with their heads, and what goes back into their form
    def split(self, *values: Any) -> list[Any]:
        return [value if self.heads is None else split_heads(value, heads=self.heads) for value in values]

    def joined(self, value: Any) -> Any:
        return value if self.heads is None else join_heads(value, heads=self.heads)

    def own(self, d: Any, K: Any) -> Any:
        """Of keys that several heads have in common the sum over these."""
        return self.joined(fit(d, K) if self.shared else d)

    def forward(self, Q: Any, K: Any, V: Any, M: Any = None) -> Any:
        Q, K, V = self.split(Q, K, V)
        return self.joined(mix_steps(self.weights(Q, K, M), V))

    def plain(self, d: Any, Q: Any, K: Any, V: Any, M: Any = None) -> dict[str, Any]:
        d, Q, K, V = self.split(d, Q, K, V)
        A, B = self.weights(Q, K, M), named("B", step_products(d, V))
        G = named("G", self.scaled(A * (B - sum_features(A * B)), Q))
        return self._back(d, Q, K, V, A, G)

    def flash(self, d: Any, Q: Any, K: Any, V: Any, O: Any, L: Any, M: Any = None) -> dict[str, Any]:  # noqa: E741
        d, Q, K, V = self.split(d, Q, K, V)
        S = self.of(Q, K, M)
        P, B = named("P", self.seen(S, M)(exp(S - L))), named("B", step_products(d, V))
        D = named("D", sum_features(d * O))
        return self._back(d, Q, K, V, P, named("G", self.scaled(P * (B - D), Q)))

    def unsoftened(self, d: Any, Q: Any, K: Any, V: Any, M: Any = None) -> dict[str, Any]:
        """As if δ went through the softmax as it is."""
        d, Q, K, V = self.split(d, Q, K, V)
        G = self.scaled(named("B", step_products(d, V)), Q)
        return self._back(d, Q, K, V, self.weights(Q, K, M), named("G", G))

    def _back(self, d: Any, Q: Any, K: Any, V: Any, A: Any, G: Any) -> dict[str, Any]:
        return {
            "Q": self.joined(mix_steps(G, K)),
            "K": self.own(mix_steps(swap_steps(G), Q), K),
            "V": self.own(mix_steps(swap_steps(A), d), V),
        }

    def function(self, flash: bool, shown: Any = None) -> Function:
        """shown: a mask that all calls have, None: it is an argument."""
        takes_mask = self.mask is not None and shown is None
        inputs = ("Q", "K", "V", "M") if takes_mask else ("Q", "K", "V")
        ways: list[Callable[..., dict[str, Any]]] = [self.plain, self.flash]
        if self.mask is None:  # their signature says which symbols there are
            ways = [self._plain_without_mask, self._flash_without_mask]
        if flash:
            ways.reverse()
        layouts = tuple(_layouts(self, takes_mask))
        fixed = {} if shown is None else {"M": np.asarray(shown, dtype=np.float64)[..., None]}

        def constants(values: Mapping[str, Any]) -> dict[str, Any]:
            return {**fixed, **self.kept({**values, **fixed})}

        through = self.unsoftened if self.mask is not None else self._unsoftened_without_mask
        mistaken = ((UNSOFTENED, through),)
        return Function(
            "attention", inputs, self.forward, ways[0], constants, (ways[1],), layouts, mistaken, ("O", "L")
        )

    def _plain_without_mask(self, d: Any, Q: Any, K: Any, V: Any) -> dict[str, Any]:
        return self.plain(d, Q, K, V)

    def _unsoftened_without_mask(self, d: Any, Q: Any, K: Any, V: Any) -> dict[str, Any]:
        return self.unsoftened(d, Q, K, V)

    def _flash_without_mask(self, d: Any, Q: Any, K: Any, V: Any, O: Any, L: Any) -> dict[str, Any]:  # noqa: E741
        return self.flash(d, Q, K, V, O, L)


# -- how the arrays lie: ours are (heads, T, features, m), of grouped heads (heads of K, those of Q each, ...)
Axes = tuple[int, ...]
# axes of theirs as (heads, T, features, m), without an axis for what they have not; which of theirs counts
# samples, None: none does.
ORDERS: dict[int, tuple[tuple[Axes, int | None], ...]] = {
    4: (((1, 2, 3, 0), 0), ((2, 1, 3, 0), 0), ((1, 3, 2, 0), 0)),
    3: (((1, 2, 0), 0), ((0, 1, 2), None), ((1, 0, 2), None), ((2, 1, 0), 0), ((0, 1, 2), 2)),
    2: (((0, 1), None),),
}


def _layouts(scores: Scores, takes_mask: bool) -> Iterator[Layout]:
    for dimensions, orders in ORDERS.items():
        for (axes, samples), by_key in product(orders, (False, True) if takes_mask else (False,)):
            yield _layout(scores, dimensions, axes, samples, by_key)


def _layout(scores: Scores, dimensions: int, axes: Axes, samples: int | None, by_key: bool) -> Layout:
    """by_key: a mask of two axes is (m, keys) in place of (T, keys)."""

    def forms(shapes: Sequence[Shape]) -> list[Form]:
        if any(len(shape) != dimensions for shape in shapes[:3]):
            raise ValueError("another number of axes")
        made = []
        for shape in shapes[:3]:
            ours = tuple(shape[axis] for axis in axes)
            made.append(Form(axes, ours if samples is not None else (*ours, 1), tuple(shape)))
        if scores.shared:
            made = grouped(made)
        elif len({form.ours[:-3] for form in made}) > 1:
            raise ValueError("other heads")
        return [*made, *(mask(shape, made[0]) for shape in shapes[3:])]

    def grouped(made: list[Form]) -> list[Form]:
        """Heads as (those of K, those of Q that each has)."""
        queries, keys = made[0].ours, made[1].ours
        if len(queries) != 4 or queries[0] <= keys[0] or queries[0] % keys[0]:
            raise ValueError("no heads that are shared")
        splits = (keys[0], queries[0] // keys[0]), (keys[0], 1), (keys[0], 1)
        pairs = zip(made, splits, strict=True)
        return [Form(form.axes, (*heads, *form.ours[1:]), form.theirs) for form, heads in pairs]

    def mask(shape: Shape, queries: Form) -> Form:
        if by_key and len(shape) <= 2:
            keys, many = shape[-1], shape[0] if len(shape) == 2 else 1
            return Form((1, 0)[-len(shape) :], (1, keys, many), tuple(shape))
        if len(shape) == 2:
            return Form((0, 1), (*shape, 1), tuple(shape))
        if len(shape) == 3:  # of every sample
            return Form((1, 2, 0), (shape[1], shape[2], shape[0]), tuple(shape))
        if len(shape) == 4:
            ours: tuple[int, ...] = (shape[1], shape[2], shape[3], shape[0])
            of_keys = queries.ours[:-3]
            if scores.shared:
                ours = (*(of_keys if shape[1] > 1 else (1, 1)), *ours[1:])
            return Form((1, 2, 3, 0), ours, tuple(shape))
        raise ValueError("no mask of these axes")

    def counted(shapes: Sequence[Shape]) -> list[tuple[int, int]]:
        if samples is None:
            return []
        many = shapes[0][samples]
        of_mask = (
            [(3, 0)] if len(shapes) > 3 and shapes[3][0] == many and _of_samples(shapes[3], by_key) else []
        )
        return [(number, samples) for number in range(3)] + of_mask

    return Layout(forms, counted)


def _of_samples(mask: Shape, by_key: bool) -> bool:
    return len(mask) > 2 or (by_key and len(mask) == 2)


def attention(word: str, options: dict[str, Any]) -> list[Function]:
    """The functions that the name and its options may mean; what was read is taken out of the options.

    causal: None, either.  scale: None, 1/√d or none.  heads: of joined features.  mask: an array for every
    call; without, a fourth argument is one.
    """
    causal = options.pop("causal", options.pop("is_causal", None))
    scale = options.pop("scale", options.pop("softmax_scale", options.pop("sm_scale", None)))
    heads = options.pop("heads", options.pop("num_heads", None))
    shown = options.pop("mask", options.pop("attn_mask", None))
    if scale is not None and not isinstance(scale, (int, float)):
        raise ArgumentError(f"scale is {describe(scale)}: write the number that the scores are multiplied by")
    causals = (False, True) if causal is None else (bool(causal),)
    scales: tuple[Any, ...] = ("root", None) if scale is None else (float(scale),)
    masks = MASKS if shown is not None else (None, *MASKS)
    made = product(masks, causals, scales, (False, True) if heads is None else (False,))
    return [
        Scores(hidden, size, mask, heads, shared).function(word in FLASH, shown)
        for mask, hidden, size, shared in made
    ]
