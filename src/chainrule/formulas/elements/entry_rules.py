"""Which entries of its operands an entry of a primitive's result is made of: one rule per primitive.

A rule receives the reader `at` (entry.py, Reading), the node, and the place in the node's value; it returns
an Element.  `@entry_rule` enters it under its name, which is what a primitive's declaration says.  Most
primitives only move entries: their rule, under `@moving`, says where to.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from chainrule.formulas.elements.entry import (
    NOTHING,
    ONE,
    Element,
    Place,
    Reading,
    largest,
    minus,
    number,
    share,
    times,
    total,
)
from chainrule.formulas.expression import Expression, Operation, Over, Symbol
from chainrule.formulas.primitives.arrays import winner
from chainrule.formulas.primitives.axes import boxes
from chainrule.formulas.primitives.distances import places
from chainrule.formulas.primitives.edges import source
from chainrule.formulas.primitives.grid import Grid, parts
from chainrule.formulas.primitives.steps import turns

ONES = "a_0"  # the name of the entry 1 that with_ones puts in front

EntryRule = Callable[[Reading, Any, Place], Element]
entry_rules: dict[str, EntryRule] = {}


def entry_rule(rule: EntryRule) -> EntryRule:
    """Enter a rule under its name."""
    entry_rules[rule.__name__] = rule
    return rule


def moving(to: Callable[[Reading, Operation, Place], Place | None]) -> EntryRule:
    """Enter a rule for what only moves entries: the place in the first operand, None where nothing is."""

    @entry_rule
    @functools.wraps(to)
    def rule(at: Reading, node: Operation, place: Place) -> Element:
        source = to(at, node, place)
        return NOTHING if source is None else at.read(node.operands[0], source)

    return rule


def _over_axes(shape: Place, axes: Sequence[int], place: Place) -> Iterator[Place]:
    """Places of an array: `place` with every combination of indices at the `axes`."""
    for indices in product(*(range(shape[axis]) for axis in axes)):
        full = list(place)
        for axis, i in zip(axes, indices, strict=True):
            full[axis] = i
        yield tuple(full)


# -- entry by entry ------------------------------------------------------------------------------------------


@entry_rule
def add(at: Reading, node: Operation, place: Place) -> Element:
    return total(at.read(operand, place) for operand in node.operands)


@entry_rule
def subtract(at: Reading, node: Operation, place: Place) -> Element:
    left, right = (at.read(operand, place) for operand in node.operands)
    return total((left, minus(right)))


@entry_rule
def negative(at: Reading, node: Operation, place: Place) -> Element:
    return minus(at.read(node.operands[0], place))


@entry_rule
def multiply(at: Reading, node: Operation, place: Place) -> Element:
    return times(*(at.read(operand, place) for operand in node.operands))


@entry_rule
def call(at: Reading, node: Operation, place: Place) -> Element:
    """A function of the operands' numbers, which goes by the primitive's name."""
    of = tuple(at.read(operand, place) for operand in node.operands)
    exponent = node.options.get("exponent")
    extra = () if exponent is None else (number(exponent),)
    return Element("call", at.value_at(node, place), (*of, *extra), name=node.rule.name, index=place)


@entry_rule
def where(at: Reading, node: Operation, place: Place) -> Element:
    """The branch taken at this place."""
    condition, yes, no = node.operands
    chosen = np.broadcast_to(at.value(condition), at.shape(node))[place]
    return at.read(yes if chosen else no, place)


@entry_rule
def nothing(at: Reading, node: Operation, place: Place) -> Element:
    return NOTHING


@entry_rule
def one(at: Reading, node: Operation, place: Place) -> Element:
    return ONE


# -- products of matrices ------------------------------------------------------------------------------------


@entry_rule
def matmul(at: Reading, node: Operation, place: Place) -> Element:
    a, x = node.operands
    *here, k, s = place
    return total(times(at.read(a, (k, c)), at.read(x, (*here, c, s))) for c in range(at.shape(x)[-2]))


@entry_rule
def correlate(at: Reading, node: Operation, place: Place) -> Element:
    a, b = node.operands
    k, c = place
    *positions, _, samples = at.shape(a)
    places = product(*map(range, (*positions, samples)))
    return total(times(at.read(a, (*here, k, s)), at.read(b, (*here, c, s))) for *here, s in places)


@entry_rule
def step_products(at: Reading, node: Operation, place: Place) -> Element:
    a, b = node.operands
    *heads, t, k, s = place
    return total(
        times(at.read(a, (*heads, t, n, s)), at.read(b, (*heads, k, n, s))) for n in range(at.shape(a)[-2])
    )


@entry_rule
def mix_steps(at: Reading, node: Operation, place: Place) -> Element:
    a, x = node.operands
    *heads, t, n, s = place
    return total(
        times(at.read(a, (*heads, t, k, s)), at.read(x, (*heads, k, n, s))) for k in range(at.shape(x)[-3])
    )


@entry_rule
def turned(at: Reading, node: Operation, place: Place) -> Element:
    (x,) = node.operands
    *heads, t, n, s = place
    half = at.shape(x)[-2] // 2
    cosine, sine = turns(at.shape(x)[-3], 2 * half, node.options["base"], node.options.get("back", False))
    k, other = n % half, n + half if n < half else n - half
    weights = cosine[t, k], sine[t, k] if n >= half else -sine[t, k]
    return total(
        times(number(float(weight)), at.read(x, (*heads, t, feature, s)))
        for weight, feature in zip(weights, (n, other), strict=True)
    )


@entry_rule
def sum_heads(at: Reading, node: Operation, place: Place) -> Element:
    (x,) = node.operands
    head, times_ = place[0], node.options["times"]
    return total(at.read(x, (head * times_ + n, *place[1:])) for n in range(times_))


@entry_rule
def sum_distances(at: Reading, node: Operation, place: Place) -> Element:
    x, P = node.operands
    head, r = place
    *_, steps, keys, samples = at.shape(x)
    pairs = np.argwhere(places(steps, keys, at.shape(P)[1], **node.options) == r).tolist()
    return total(at.read(x, (head, i, k, s)) for i, k in pairs for s in range(samples))


# -- sums, means and maxima along axes -----------------------------------------------------------------------


def _summed(at: Reading, x: Expression, axes: Sequence[int], place: Place) -> Element:
    """The sum of x over the axes, where `place` may hold anything."""
    return total(at.read(x, here) for here in _over_axes(at.shape(x), axes, place))


@entry_rule
def sum_positions(at: Reading, node: Operation, place: Place) -> Element:
    (x,) = node.operands
    positions = len(at.shape(x)) - 2
    return _summed(at, x, range(positions), (0,) * positions + place)


@entry_rule
def sum_samples(at: Reading, node: Operation, place: Place) -> Element:
    (x,) = node.operands
    return _summed(at, x, (len(place),), (*place, 0))


@entry_rule
def sum_features(at: Reading, node: Operation, place: Place) -> Element:
    (x,) = node.operands
    return _summed(at, x, (len(place) - 2,), place)


@entry_rule
def sum_outputs(at: Reading, node: Operation, place: Place) -> Element:
    (x,) = node.operands
    outputs = len(at.shape(x)) - 1
    return _summed(at, x, range(outputs), (0,) * outputs + place)


@entry_rule
def sum_entries(at: Reading, node: Operation, place: Place) -> Element:
    (x,) = node.operands
    axes = len(at.shape(x))
    return _summed(at, x, range(axes), (0,) * axes)


@entry_rule
def sum_near(at: Reading, node: Operation, place: Place) -> Element:
    (x,) = node.operands
    *here, c, s = place
    first, last = max(c - node.options["before"], 0), min(c + node.options["after"], at.shape(x)[-2] - 1)
    return total(at.read(x, (*here, j, s)) for j in range(first, last + 1))


@entry_rule
def mean_features(at: Reading, node: Operation, place: Place) -> Element:
    return _mean(at, node, sum_features(at, node, place))


@entry_rule
def mean_samples(at: Reading, node: Operation, place: Place) -> Element:
    (x,) = node.operands
    positions = len(at.shape(x)) - 2
    axes = (*range(positions), positions + 1)
    return _mean(at, node, _summed(at, x, axes, (*(0,) * positions, *place, 0)))


def _mean(at: Reading, node: Operation, summed: Element) -> Element:
    """(1/n) · sum, n as the primitive's own value has it."""
    count = at.value(node.operands[0]).size // np.asarray(at.value(node)).size
    return summed if count == 1 else times(share(count), summed)


@entry_rule
def mean_groups(at: Reading, node: Operation, place: Place) -> Element:
    (x,) = node.operands
    *positions, channels, _ = at.shape(x)
    width = channels // (node.options["groups"] or channels)
    first = place[-2] // width * width
    places = list(product(*map(range, positions), range(first, first + width), (place[-1],)))
    return times(share(len(places)), total(at.read(x, here) for here in places))


@entry_rule
def fit(at: Reading, node: Operation, place: Place) -> Element:
    """What broadcasting repeated is summed."""
    x, _ = node.operands
    shape, like = at.shape(x), at.shape(node)
    front = len(shape) - len(like)
    axes = [a for a, size in enumerate(shape) if a < front or (size > 1 and like[a - front] == 1)]
    return _summed(at, x, axes, (0,) * front + place)


@entry_rule
def max_features(at: Reading, node: Operation, place: Place) -> Element:
    (x,) = node.operands
    return largest(at.read(x, here) for here in _over_axes(at.shape(x), (len(place) - 2,), place))


@entry_rule
def max_positions(at: Reading, node: Operation, place: Place) -> Element:
    (x,) = node.operands
    positions = len(at.shape(x)) - 2
    places = _over_axes(at.shape(x), range(positions), (0,) * positions + place)
    return largest(at.read(x, here) for here in places)


# -- entries that only move: other shapes --------------------------------------------------------------------


@moving
def same_place(at: Reading, node: Operation, place: Place) -> Place:
    return place


@moving
def transpose(at: Reading, node: Operation, place: Place) -> Place:
    return place[::-1]


@moving
def broadcast_samples(at: Reading, node: Operation, place: Place) -> Place:
    return place[:-1]


@moving
def every_feature(at: Reading, node: Operation, place: Place) -> Place:
    return (place[0], place[-1])


@moving
def reshaped(at: Reading, node: Operation, place: Place) -> Place:
    """The same entry, row by row, of another shape."""
    number = np.ravel_multi_index(place, at.shape(node))
    return tuple(int(i) for i in np.unravel_index(number, at.shape(node.operands[0])))


@moving
def split_heads(at: Reading, node: Operation, place: Place) -> Place:
    head, t, f, s = place
    return t, head * at.shape(node)[-2] + f, s


@moving
def join_heads(at: Reading, node: Operation, place: Place) -> Place:
    t, f, s = place
    width = at.shape(node.operands[0])[-2]
    return f // width, t, f % width, s


@moving
def repeat_heads(at: Reading, node: Operation, place: Place) -> Place:
    return (place[0] // node.options["times"], *place[1:])


@moving
def swap_steps(at: Reading, node: Operation, place: Place) -> Place:
    *heads, t, k, s = place
    return (*heads, k, t, s)


# -- entries that only move: windows, kernels and blocks -----------------------------------------------------


@moving
def window(at: Reading, node: Operation, place: Place) -> Place | None:
    x, *offset = node.operands
    grid: Grid = node.options["grid"]
    axes = len(offset)
    size = at.shape(x)[:axes]
    pixel = tuple(
        step * i + apart * m - before
        for step, i, apart, m, (before, _) in zip(
            grid.stride, place, grid.dilation, at.offset(offset), grid.pads(size), strict=False
        )
    )
    inside = all(0 <= u < length for u, length in zip(pixel, size, strict=True))
    return (*pixel, *place[axes:]) if inside else None


@moving
def place(at: Reading, node: Operation, place: Place) -> Place | None:
    x, like, *offset = node.operands
    grid: Grid = node.options["grid"]
    axes = len(offset)
    size, positions = at.shape(like)[:axes], at.shape(x)[:axes]
    windows = []
    for u, step, apart, m, (before, _), count in zip(
        place, grid.stride, grid.dilation, at.offset(offset), grid.pads(size), positions, strict=False
    ):
        i, left = divmod(u + before - apart * m, step)
        if left or not 0 <= i < count:
            return None
        windows.append(i)
    return (*windows, *place[axes:])


@moving
def framed(at: Reading, node: Operation, place: Place) -> Place:
    pads, size = node.options["pads"], at.shape(node.operands[0])
    mode = node.options["mode"]
    axes = zip(place, size, pads, strict=False)
    return (*(int(source(i - before, n, mode)) for i, n, (before, _) in axes), *place[len(pads) :])


@entry_rule
def unframed(at: Reading, node: Operation, place: Place) -> Element:
    pads, size, mode = node.options["pads"], at.shape(node), node.options["mode"]
    copies = [
        [i for i in range(before + n + after) if source(i - before, n, mode) == u]
        for u, n, (before, after) in zip(place, size, pads, strict=False)
    ]
    return total(at.read(node.operands[0], (*here, *place[len(pads) :])) for here in product(*copies))


@entry_rule
def tent(at: Reading, node: Operation, place: Place) -> Element:
    return number(node.rule.evaluate(*at.offset(node.operands), **node.options))


@moving
def shuffled(at: Reading, node: Operation, place: Place) -> Place:
    r, (u, v, c, s) = node.options["block"], place
    return u // r, v // r, c * r**2 + u % r * r + v % r, s


@moving
def unshuffled(at: Reading, node: Operation, place: Place) -> Place:
    r, (i, j, c, s) = node.options["block"], place
    return i * r + c % r**2 // r, j * r + c % r, c // r**2, s


@moving
def permuted(at: Reading, node: Operation, place: Place) -> Place:
    order = node.options["order"]
    return (*(place[order.index(axis)] for axis in range(len(order))), place[-1])


@entry_rule
def along(at: Reading, node: Operation, place: Place) -> Element:
    axis = node.options["axis"]
    row = node.options["taps"][place[axis]]
    return total(
        times(number(weight), at.read(node.operands[0], (*place[:axis], i, *place[axis + 1 :])))
        for i, weight in row
    )


def _windows_of(at: Reading, node: Operation, place: Place) -> Iterator[tuple[Place, list[Place]]]:
    """The windows that a pixel lies in, each with its pixels, of the second operand."""
    sizes = node.options["sizes"]
    for here, box in boxes(at.shape(node.operands[1]), sizes):
        pixels = list(product(*(range(axis.start, axis.stop) for axis in box)))
        if place[: len(sizes)] in pixels:
            yield here, pixels


def _pixels_of(at: Reading, node: Operation, place: Place) -> list[Place]:
    """The pixels of a window."""
    sizes = node.options["sizes"]
    axes = zip(at.shape(node.operands[-1]), sizes, place, strict=False)
    return list(product(*(parts(size, count)[i] for size, count, i in axes)))


def _largest_of(at: Reading, like: Expression, pixels: Sequence[Place], rest: Place) -> Place:
    """Of a window's pixels the one where `like` is largest."""
    values = at.value(like)
    return pixels[int(winner(np.array([values[(*pixel, *rest)] for pixel in pixels])))]


@entry_rule
def mean_parts(at: Reading, node: Operation, place: Place) -> Element:
    pixels, rest = _pixels_of(at, node, place), place[len(node.options["sizes"]) :]
    summed = total(at.read(node.operands[0], (*pixel, *rest)) for pixel in pixels)
    return summed if len(pixels) == 1 else times(share(len(pixels)), summed)


@entry_rule
def spread_parts(at: Reading, node: Operation, place: Place) -> Element:
    rest = place[len(node.options["sizes"]) :]
    return total(
        times(*([share(len(pixels))] if len(pixels) > 1 else []), at.read(node.operands[0], (*here, *rest)))
        for here, pixels in _windows_of(at, node, place)
    )


@entry_rule
def largest_parts(at: Reading, node: Operation, place: Place) -> Element:
    (x, like), pixels = node.operands, _pixels_of(at, node, place)
    rest = place[len(node.options["sizes"]) :]
    if x == like:
        return largest(at.read(x, (*pixel, *rest)) for pixel in pixels)
    return at.read(x, (*_largest_of(at, like, pixels, rest), *rest))


@entry_rule
def placed_parts(at: Reading, node: Operation, place: Place) -> Element:
    (x, like), axes = node.operands, len(node.options["sizes"])
    pixel, rest = place[:axes], place[axes:]
    return total(
        at.read(x, (*here, *rest))
        for here, pixels in _windows_of(at, node, place)
        if _largest_of(at, like, pixels, rest) == pixel
    )


@moving
def kernel_at(at: Reading, node: Operation, place: Place) -> Place:
    return (place[0], *at.offset(node.operands[1:]), place[1])


@moving
def kernel_place(at: Reading, node: Operation, place: Place) -> Place | None:
    k, *here, c = place
    return (k, c) if tuple(here) == at.offset(node.operands[2:]) else None


@moving
def block_diagonal(at: Reading, node: Operation, place: Place) -> Place | None:
    rows, columns = at.shape(node)
    width = at.shape(node.operands[0])[1]
    first = place[0] // (rows // (columns // width)) * width
    return (place[0], place[1] - first) if first <= place[1] < first + width else None


@moving
def diagonal_blocks(at: Reading, node: Operation, place: Place) -> Place:
    rows, columns = at.shape(node.operands[0])
    width = at.shape(node)[1]
    return (place[0], place[0] // (rows // (columns // width)) * width + place[1])


# -- entries that only move: features side by side -----------------------------------------------------------


@entry_rule
def beside(at: Reading, node: Operation, place: Place) -> Element:
    above, below = node.operands
    *here, k, s = place
    size = at.shape(above)[-2]
    return at.read(above, place) if k < size else at.read(below, (*here, k - size, s))


@moving
def other_features(at: Reading, node: Operation, place: Place) -> Place:
    *here, k, s = place
    return (*here, k + at.shape(node.operands[1])[-2], s)


@moving
def even_features(at: Reading, node: Operation, place: Place) -> Place:
    return (*place[:-2], 2 * place[-2], place[-1])


@moving
def odd_features(at: Reading, node: Operation, place: Place) -> Place:
    return (*place[:-2], 2 * place[-2] + 1, place[-1])


@entry_rule
def interleave(at: Reading, node: Operation, place: Place) -> Element:
    *here, k, s = place
    return at.read(node.operands[k % 2], (*here, k // 2, s))


@moving
def features_between(at: Reading, node: Operation, place: Place) -> Place:
    return (*place[:-2], place[-2] + node.options["start"], place[-1])


@moving
def features_placed(at: Reading, node: Operation, place: Place) -> Place | None:
    start, stop = node.options["start"], node.options["stop"]
    return (*place[:-2], place[-2] - start, place[-1]) if start <= place[-2] < stop else None


def _gate_rows(node: Operation, rows: int) -> tuple[int, int]:
    """(first row of the gate, rows of a gate)."""
    size = rows // len(node.options["gates"])
    return node.options["gates"].index(node.options["gate"]) * size, size


@moving
def by_distance(at: Reading, node: Operation, place: Place) -> Place:
    P, s = node.operands
    head, i, k, _ = place
    steps, keys = at.shape(s)[-3:-1]
    return head, int(places(steps, keys, at.shape(P)[1], **node.options)[i, k])


@moving
def gate(at: Reading, node: Operation, place: Place) -> Place:
    first, _ = _gate_rows(node, at.shape(node.operands[0])[-2])
    return (*place[:-2], place[-2] + first, place[-1])


@moving
def gate_place(at: Reading, node: Operation, place: Place) -> Place | None:
    first, size = _gate_rows(node, at.shape(node)[-2])
    row = place[-2] - first
    return (*place[:-2], row, place[-1]) if 0 <= row < size else None


@entry_rule
def per_feature(at: Reading, node: Operation, place: Place) -> Element:
    return number(node.options["weights"][place[-2]])


@entry_rule
def with_ones(at: Reading, node: Operation, place: Place) -> Element:
    """a_0, the 1 in front: an entry with the letter of the others, of no array."""
    k, s = place
    (x,) = node.operands
    if k > 0:
        return at.read(x, (k - 1, s))
    symbol = replace(x, name=ONES) if isinstance(x, Symbol) else None
    return Element("entry", 1.0, symbol=symbol, name=ONES, index=(0, s))


@moving
def without_bias(at: Reading, node: Operation, place: Place) -> Place:
    return (place[0], place[1] + 1)


@moving
def with_zero_bias(at: Reading, node: Operation, place: Place) -> Place | None:
    row, column = place
    return (row, column - 1) if column else None


# -- reductions over index ranges ----------------------------------------------------------------------------


@entry_rule
def sum_over(at: Reading, node: Over, place: Place) -> Element:
    return total(inner.read(node.body, place) for inner in at.inner(node))


@entry_rule
def mean_over(at: Reading, node: Over, place: Place) -> Element:
    return times(share(math.prod(node.ranges)), sum_over(at, node, place))


@entry_rule
def max_over(at: Reading, node: Over, place: Place) -> Element:
    return largest(inner.read(node.body, place) for inner in at.inner(node))


@entry_rule
def stack_over(at: Reading, node: Over, place: Place) -> Element:
    """(K, m, n, C): the matrix at its own offset (m, n)."""
    k, *offset, c = place
    return at.moved(node.indices, offset).read(node.body, (k, c))
