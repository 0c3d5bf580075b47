"""What is written by mistake alone: evaluations of operations that no formula has.

Each prints as the operation that it stands for, and is not registered.  `neighbours.py` puts them into
formulas.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule.formulas.expression import Expression, Operation, replace_at, walk
from chainrule.formulas.primitives.axes import boxes
from chainrule.formulas.primitives.edges import sources
from chainrule.formulas.primitives.grid import KEPT as SAME
from chainrule.formulas.primitives.grid import Grid, Pads, Parts
from chainrule.formulas.rules import Binder, Rule, binders, rules


def _written_last(values: Sequence[Any], ranges: tuple[int, ...]) -> Any:
    """Of values that are 0 where nothing was written the last that was, as `=` in place of `+=` leaves it in
    a loop over the windows: the last window over a pixel has it at its smallest offset.
    """
    result = np.array(values[-1])
    for value in values[-2::-1]:
        result = np.where(value == 0, result, value)
    return result


def _met(grid: Grid, counts: Sequence[int], size: Sequence[int], offset: Sequence[int]) -> tuple[Any, Any]:
    """(pixels, windows), indices on each axis: where the first `counts` windows have their pixel."""
    pixels, windows = [], []
    for axis, count in enumerate(counts):
        shift = grid.dilation[axis] * offset[axis] - grid.pads(tuple(size))[axis][0]
        at = grid.stride[axis] * np.arange(count) + shift
        inside = (at >= 0) & (at < size[axis])
        pixels.append(at[inside])
        windows.append(np.arange(count)[inside])
    return np.ix_(*pixels), np.ix_(*windows)


def _window_as_many(x: Any, *offset: Any, grid: Grid, counts: Grid, fill: float = 0.0) -> Any:
    """`window` of another grid, as many windows as `counts` has."""
    size = x.shape[: len(offset)]
    many = counts.positions(size)
    pixels, windows = _met(grid, many, size, offset)
    out = np.full(many + x.shape[len(offset) :], fill, x.dtype)
    out[windows] = x[pixels]
    return out


def _place_as_many(x: Any, like: Any, *offset: Any, grid: Grid, counts: Grid) -> Any:
    """`place` of another grid, of as many windows as there are."""
    size = like.shape[: len(offset)]
    pixels, windows = _met(grid, x.shape[: len(offset)], size, offset)
    out = np.zeros(size + x.shape[len(offset) :], x.dtype)
    out[pixels] = x[windows]
    return out


def _first_window_alone(x: Any, like: Any, *offset: Any, grid: Grid) -> Any:
    """`place` of the first window alone: a loop that returns too early."""
    alone = np.zeros_like(x)
    alone[(0,) * len(offset)] = x[(0,) * len(offset)]
    return rules["place"].evaluate(alone, like, *offset, grid=grid)


def _place_marked(x: Any, like: Any, *offset: Any, grid: Grid) -> Any:
    """`place`, and NaN on pixels that no window has at this offset."""
    there = rules["place"].evaluate(np.ones_like(x), like, *offset, grid=grid)
    return np.where(there > 0, rules["place"].evaluate(x, like, *offset, grid=grid), np.nan)


def marked(body: Expression) -> Expression:
    """A sum's body in which every `place` says where nothing was placed."""
    for path, node in walk(body):
        if isinstance(node, Operation) and node.rule.name == "place":
            body = replace_at(body, path, Operation(MARK, node.operands, node.static))
    return body


def _written_last_whole(values: Sequence[Any], ranges: tuple[int, ...]) -> Any:
    result = values[-1]
    for value in values[-2::-1]:
        result = np.where(np.isnan(value), result, value)
    return np.nan_to_num(result)


def _one_hot_once(order: int) -> Any:
    """`one_hot` of the last step and sample with each id alone (order -1), what `rows[ids] = δ` leaves; or of
    the first (order 1).
    """

    def evaluate(x: Any, like: Any, *, skip: int | None = None) -> Any:
        hot = rules["one_hot"].evaluate(x, like, skip=skip)
        moved = np.moveaxis(hot, (-1, -2), (0, -1))  # (m, T, ids), the steps fastest
        flat = moved.reshape(-1, hot.shape[-2])[::order]
        kept = (flat * (np.cumsum(flat, axis=0) == 1))[::order].reshape(moved.shape)
        return np.moveaxis(kept, (0, -1), (-1, -2))

    return evaluate


# What is written by mistake alone, and is no formula's: it prints as what it stands for, and is not
# registered.
_sum = binders["sum_over"]
BINDERS = {
    "overwritten": Binder("overwritten", _written_last, _sum.flow, _sum.layout),
    "overwritten:mean": Binder(
        "overwritten_mean",
        lambda values, ranges: _written_last(values, ranges) / len(values),
        _sum.flow,
        _sum.layout,
    ),
    "overwritten_whole": Binder("overwritten_whole", _written_last_whole, _sum.flow, _sum.layout),
}
MARK = replace(rules["place"], name="place_marked", evaluate=_place_marked, wrong=())
FIRST_WINDOW = replace(rules["place"], name="first_window", evaluate=_first_window_alone, wrong=())
LAST_TERM = replace(
    rules["matmul"], name="last_term", evaluate=lambda a, x: a[:, -1:] @ x[..., -1:, :], wrong=()
)
AS_MANY = {
    "window": replace(rules["window"], evaluate=_window_as_many),
    "place": replace(rules["place"], evaluate=_place_as_many),
}
SOME = {"first": slice(0, 1), "last": slice(-1, None), "rest": slice(1, None)}


def _of_some(name: str, samples: slice) -> Rule:
    """A sum over the samples that counts some of them."""

    def evaluate(*operands: Any) -> Any:
        return rules[name].evaluate(*(value[..., samples] for value in operands))

    return replace(rules[name], name=f"{name} {samples}", evaluate=evaluate, wrong=())


OF_SAMPLES = {
    (name, word): _of_some(name, samples)
    for name in ("sum_samples", "correlate")
    for word, samples in SOME.items()
}
_BY = {
    "sum_features": lambda x: x.sum(axis=-1, keepdims=True),
    "mean_features": lambda x: x.mean(axis=-1, keepdims=True),
}
ACROSS = {
    name: replace(rules[name], name=f"{name} across", evaluate=_BY[name], wrong=())
    for name in ("sum_features", "mean_features")
}
ONCE_OF_ID = {
    "overwritten_rows": replace(rules["one_hot"], name="last_one_hot", evaluate=_one_hot_once(-1)),
    "first_rows": replace(rules["one_hot"], name="first_one_hot", evaluate=_one_hot_once(1)),
}


def _means_of_rows(x: Any, like: Any, *, skip: int | None = None) -> Any:
    """`one_hot`, every row divided by how often its id stands in x."""
    hot = rules["one_hot"].evaluate(x, like, skip=skip)
    times = hot.sum(axis=(*range(hot.ndim - 2), -1))
    return hot / np.maximum(times, 1)[:, None]


ONCE_OF_ID["averaged_rows"] = replace(
    rules["one_hot"], name="averaged_one_hot", evaluate=_means_of_rows, wrong=()
)


@functools.cache
def features_of(rule: Rule, word: str, count: int) -> Rule:
    """A sum or a mean over the features that counts some: "part_to" the first ones, "part_from" the rest."""
    some = slice(count, None) if word == "part_from" else slice(count)

    def evaluate(x: Any) -> Any:
        part = x[..., some, :]
        share = 1.0 if rule.name == "sum_features" else part.shape[-2] / x.shape[-2]
        return rule.evaluate(part) * share if part.shape[-2] else 0.0 * x[..., :1, :]

    return replace(rule, name=f"{rule.name} {word} {count}", evaluate=evaluate, wrong=())


def _by_steps(name: str) -> Callable[..., Any]:
    """Over the axis in front of the features: of attention's weights the queries."""

    def evaluate(x: Any) -> Any:
        if x.ndim < 3:
            return np.nan * x
        return x.sum(axis=-3, keepdims=True) if name == "sum_features" else x.mean(axis=-3, keepdims=True)

    return evaluate


def _spread_otherwise(name: str) -> Callable[..., Any]:
    """The same numbers along the other axis, as a result of keepdims=False is where both have one size."""

    def evaluate(x: Any) -> Any:
        made = rules[name].evaluate(x)
        return np.swapaxes(made, -2, -1) if made.ndim == 2 else np.swapaxes(made, -3, -2)

    return evaluate


def _heads_as_they_lie(x: Any, *, heads: int) -> Any:
    return x.reshape(x.shape[1], heads * x.shape[2], x.shape[-1])


def _divided_as_they_lie(x: Any, *, heads: int) -> Any:
    return x.reshape(heads, x.shape[0], x.shape[1] // heads, x.shape[-1])


def _without_copies(x: Any, like: Any, *, pads: Pads, mode: str) -> Any:
    axes = zip(like.shape, pads, strict=False)
    return x[tuple(slice(before, before + size) for size, (before, _) in axes)]


def _of_last_copy(x: Any, like: Any, *, pads: Pads, mode: str) -> Any:
    made = np.zeros_like(x, shape=like.shape, order="C")
    made[sources(like.shape[: len(pads)], pads, mode)] = x
    return made


def _blocks_as_they_lie(x: Any, *, block: int) -> Any:
    return x.reshape(x.shape[0] * block, x.shape[1] * block, -1, x.shape[-1])


def _axes_as_they_lie(x: Any, *, order: tuple[int, ...]) -> Any:
    return x.reshape(*(x.shape[axis] for axis in order), x.shape[-1])


def _channels_as_they_lie(x: Any, *, block: int) -> Any:
    return x.reshape(x.shape[0] // block, x.shape[1] // block, -1, x.shape[-1])


def _of_first_channel(winner: Any, *offset: Any, grid: Grid) -> Any:
    return rules["chosen"].evaluate(np.broadcast_to(winner[..., :1, :], winner.shape), *offset, grid=grid)


def _of_first_step(a: Any, b: Any) -> Any:
    return rules["correlate"].evaluate(a[:1], b[:1]) if a.ndim > 2 else np.nan * a


def _mean_by_samples(x: Any) -> Any:
    return x.sum(axis=(*range(x.ndim - 2), -1)) / x.shape[-1]


def _mean_of_all_groups(x: Any, *, groups: int | None) -> Any:
    return rules["mean_groups"].evaluate(x, groups=1)


def _by_one_less(mean: Any, count: int) -> Any:
    return mean * (count / max(count - 1, 0.5))


def _mean_of_groups_less_one(x: Any, *, groups: int | None) -> Any:
    count = x.size // x.shape[-1] // (groups or x.shape[-2])
    return _by_one_less(rules["mean_groups"].evaluate(x, groups=groups), count)


def _sum_of_group_by_all(x: Any, *, groups: int | None) -> Any:
    return rules["mean_groups"].evaluate(x, groups=groups) / (groups or x.shape[-2])


def _mean_with_samples(x: Any, *, groups: int | None) -> Any:
    means = rules["mean_groups"].evaluate(x, groups=groups)
    return np.broadcast_to(means.mean(axis=-1, keepdims=True), x.shape)


def _mean_of_channels(x: Any, *, groups: int | None) -> Any:
    return rules["mean_groups"].evaluate(x, groups=x.shape[-2])


def _of_first_block(w: Any, like: Any) -> Any:
    many = like.shape[-2] // w.shape[1]
    return rules["block_diagonal"].evaluate(np.concatenate([w[: w.shape[0] // many]] * many), like)


def _with_steps(x: Any) -> Any:
    return x.sum(axis=(-3, -2), keepdims=True) if x.ndim > 2 else np.nan * x


def _of_steps(x: Any) -> Any:
    return x.sum(axis=-3, keepdims=True).mean(axis=-2, keepdims=True) if x.ndim > 2 else np.nan * x


def _with_heads(x: Any) -> Any:
    heads = tuple(range(x.ndim - 3))
    return x.sum(axis=(*heads, -2), keepdims=True) if heads else np.nan * x


def _behind(by: Callable[[int, int], int]) -> Callable[..., Any]:
    """[k ≤ i + by(steps, keys)]"""

    def evaluate(s: Any) -> Any:
        steps, keys = np.shape(s)[-3:-1]
        return (np.arange(keys) <= np.arange(steps)[:, None] + by(steps, keys)).astype(s.dtype)[..., None]

    return evaluate


def _repeats(x: Any, like: Any) -> list[int]:
    """The axes that broadcasting repeats."""
    front = x.ndim - np.ndim(like)
    small = np.shape(like)
    return [axis for axis, size in enumerate(x.shape) if axis < front or small[axis - front] == 1 < size]


def _of_many(some: Callable[..., Any]) -> Callable[..., Any]:
    """One number of what was repeated for all of them, by some(x, axis=, keepdims=)."""

    def evaluate(x: Any, like: Any) -> Any:
        made = some(x, axis=tuple(_repeats(x, like)), keepdims=True)
        return made.reshape(np.shape(like))

    return evaluate


def _taken(which: int) -> Callable[..., Any]:
    def evaluate(x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
        for each in axis:
            x = np.take(x, [which], axis=each)
        return x

    return evaluate


def _dealt(x: Any, like: Any) -> Any:
    """Of heads that share keys: head h goes to the keys h mod n in place of h // (heads of each)."""
    if x.ndim < 2 or _repeats(x, like) != [1]:
        return np.nan * x
    keys, many = x.shape[:2]
    return x.reshape(many, keys, *x.shape[2:]).sum(axis=0)[:, None]


def _first_half(x: Any) -> Any:
    return x[..., : x.shape[-2] // 2, :]


def _second_half(x: Any) -> Any:
    return x[..., x.shape[-2] // 2 :, :]


def _ends_below(i: int, size: int, count: int) -> slice:
    """Part i of an axis where it ends before ⌊(i + 1) n/s⌋ in place of ⌈ ⌉; it has one pixel at least."""
    return slice(i * size // count, max((i + 1) * size // count, i * size // count + 1))


def _side_by_side(i: int, size: int, count: int) -> slice:
    """Part i of an axis in windows of ⌊n/s⌋, side by side."""
    length = max(size // count, 1)
    first = min(i * length, size - length)
    return slice(first, first + length)


def _in_other_windows(name: str, part: Callable[[int, int, int], slice]) -> Callable[..., Any]:
    """Parts of an image in other windows than theirs."""
    back = name in ("spread_parts", "placed_parts")

    def evaluate(x: Any, like: Any = None, *, sizes: Parts) -> Any:
        like, axes = x if like is None else like, len(sizes)
        made = like if back else rules["mean_parts"].evaluate(like, sizes=sizes)
        out = np.zeros_like(x, shape=(*made.shape[:axes], *x.shape[axes:]), order="C")
        alone: dict[str, Any] = {"sizes": (1,) * axes}
        for place, _ in boxes(like.shape, sizes):
            box = tuple(
                part(i, size, size if count == SAME else int(count))
                for i, size, count in zip(place, like.shape, sizes, strict=False)
            )
            if back:
                out[box] += rules[name].evaluate(x[place][(None,) * axes], like[box], **alone)
            else:
                seen = (like[box],) if name == "largest_parts" else ()
                out[place] = rules[name].evaluate(x[box], *seen, **alone)[(0,) * axes]
        return out

    return evaluate


def _of_even_windows(name: str, more: int) -> Callable[..., Any]:
    """Divided by ⌈n/s⌉ along every axis (more = 1), or ⌊n/s⌋, whatever the window has."""

    def evaluate(x: Any, *like: Any, sizes: Parts) -> Any:
        out = rules[name].evaluate(x, *like, sizes=sizes) * 0.0
        seen = like[0] if like else x
        each = [
            1 if s == SAME else max((n + more * (int(s) - 1)) // int(s), 1)
            for n, s in zip(seen.shape, sizes, strict=False)
        ]
        for place, box in boxes(seen.shape, sizes):
            if like:
                out[box] += x[place] / math.prod(each)
            else:
                out[place] = x[box].sum(axis=tuple(range(len(sizes)))) / math.prod(each)
        return out

    return evaluate


def _undivided(name: str) -> Callable[..., Any]:
    """Sums in place of means."""

    def evaluate(x: Any, *like: Any, sizes: Parts) -> Any:
        out = rules[name].evaluate(x, *like, sizes=sizes) * 0.0
        for place, box in boxes((like[0] if like else x).shape, sizes):
            if like:
                out[box] += x[place]
            else:
                out[place] = x[box].sum(axis=tuple(range(len(sizes))))
        return out

    return evaluate


def _overwritten_parts(name: str) -> Callable[..., Any]:
    """The last window over a pixel, of a maximum the last that it won, where they add up."""

    def evaluate(x: Any, like: Any, *, sizes: Parts) -> Any:
        axes = len(sizes)
        out = np.zeros_like(x, shape=(*like.shape[:axes], *x.shape[axes:]), order="C")
        for place, box in boxes(like.shape, sizes):
            one = rules[name].evaluate(x[place][(None,) * axes], like[box], sizes=(1,) * axes)
            out[box] = one if name == "spread_parts" else np.where(one == 0, out[box], one)
        return out

    return evaluate


def _won_by_first_channel(x: Any, like: Any, *, sizes: Parts) -> Any:
    return rules["placed_parts"].evaluate(x, np.broadcast_to(like[..., :1, :], like.shape), sizes=sizes)


KEPT = ("sum_features", "mean_features", "broadcast_samples")
MEANS_OF_PARTS = ("mean_parts", "spread_parts")
PARTS = (*MEANS_OF_PARTS, "largest_parts", "placed_parts")
_evaluations: tuple[tuple[str, str, Callable[..., Any]], ...] = (
    ("correlate", "first_step", _of_first_step),
    ("mean_samples", "uncounted", _mean_by_samples),
    ("mean_groups", "ungrouped", _mean_of_all_groups),
    ("mean_groups", "by_channel", _mean_of_channels),
    ("mean_groups", "overcounted", _sum_of_group_by_all),
    ("mean_groups", "with_samples", _mean_with_samples),
    ("mean_features", "less_one", lambda x: x.sum(axis=-2, keepdims=True) / max(x.shape[-2] - 1, 0.5)),
    (
        "mean_samples",
        "less_one",
        lambda x: _by_one_less(rules["mean_samples"].evaluate(x), x.size // x.shape[-2]),
    ),
    ("mean_groups", "less_one", _mean_of_groups_less_one),
    ("block_diagonal", "first_block", _of_first_block),
    ("unframed", "cropped", _without_copies),
    ("unframed", "last_copy", _of_last_copy),
    ("shuffled", "blocks_as_they_lie", _blocks_as_they_lie),
    ("unshuffled", "blocks_as_they_lie", _channels_as_they_lie),
    ("permuted", "blocks_as_they_lie", _axes_as_they_lie),
    ("join_heads", "unmoved", _heads_as_they_lie),
    ("split_heads", "unmoved", _divided_as_they_lie),
    ("chosen", "one_channel", _of_first_channel),
    *((name, "floored", _in_other_windows(name, _ends_below)) for name in PARTS),
    *((name, "side_by_side", _in_other_windows(name, _side_by_side)) for name in PARTS),
    *((name, "even", _of_even_windows(name, 1)) for name in MEANS_OF_PARTS),
    *((name, "even_less", _of_even_windows(name, 0)) for name in MEANS_OF_PARTS),
    *((name, "undivided_parts", _undivided(name)) for name in MEANS_OF_PARTS),
    *((name, "overwritten_parts", _overwritten_parts(name)) for name in ("spread_parts", "placed_parts")),
    ("placed_parts", "one_channel", _won_by_first_channel),
    ("sum_features", "steps_too", _with_steps),
    ("sum_features", "of_steps", _of_steps),
    ("sum_features", "of_heads", _with_heads),
    ("exp", "of_two", np.exp2),
    ("not_later", "strictly", _behind(lambda steps, keys: -1)),
    ("not_later", "one_more", _behind(lambda steps, keys: 1)),
    ("not_later", "aligned", _behind(lambda steps, keys: keys - steps)),
    ("fit", "one_of_many", _of_many(_taken(0))),
    ("fit", "last_of_many", _of_many(_taken(-1))),
    ("fit", "mean_of_many", _of_many(np.mean)),
    ("fit", "dealt", _dealt),
    ("even_features", "halved", _first_half),
    ("odd_features", "halved", _second_half),
    *((name, "across_steps", _by_steps(name)) for name in ("sum_features", "mean_features")),
    *((name, "keepdims", _spread_otherwise(name)) for name in KEPT),
)
OTHER_EVALUATIONS = frozenset(word for _, word, _ in _evaluations)
OTHERS = {
    (name, word): replace(rules[name], name=f"{name} {word}", evaluate=evaluate, wrong=())
    for name, word, evaluate in _evaluations
}
