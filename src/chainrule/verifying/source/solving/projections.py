"""What is missing where a mean, a variance or a norm was taken for a constant: sums of δ, spread again.

Along the axes what is lacking is then a number, a number times one array h, or both, for every row its own:
-h · mean(g · h) / r, -mean(g). Each of these numbers is fitted by itself, then written by what is at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, product

import numpy as np

from chainrule.base.types import Array
from chainrule.verifying.source.solving.vocabulary import Values, Vocabulary, firm

MOST_ARRAYS, MOST_ROWS = 14, 12
LEAST_ALONE, LEAST_BOTH = 3, 4  # entries along the axes, from which on a fit tells something
OFF = 4e-5  # of what is lacking: how far what is the same may be off
POWERS = ("{0} * ", "{0} ** 2 * ", "{0} ** 3 * ")
Scaled = Callable[[str, float], Iterator[tuple[str, str, int]]]
Axes = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Projections:
    """At one place.  lacking: what it lacks, at all of its runs one behind the other.  scaled: (sign, text,
    how far-fetched) of a text times a number.  torch: whether theirs is PyTorch's.  known: 1 where what is
    lacking is known, else 0.
    """

    words: Vocabulary
    lacking: Array
    known: Array
    scaled: Scaled
    torch: bool

    def terms(self) -> Iterator[tuple[str, int]]:
        """(a sum of terms, how far-fetched) that is what is lacking."""
        size = float(np.linalg.norm(self.lacking))
        for axes in self.axes() if size else ():
            each = [value.shape for value in self.parts]
            along = min(int(np.prod([shape[axis] for axis in axes])) for shape in each)
            for (text, h), both in product(self.arrays, (False, True)):
                if along < (LEAST_BOTH if both else LEAST_ALONE):
                    continue
                each_run = zip(self.parts, h, self.weights, strict=True)
                fitted = [_fitted(a, b, weight, axes, both) for a, b, weight in each_run]
                off = np.sqrt(sum(left for *_, left in fitted))
                if not off <= OFF * size:
                    continue
                times = list(self.named(text, h, axes, [slope for _, slope, _ in fitted]))
                alone = list(self.named("", None, axes, [at for at, _, _ in fitted])) if both else [("", 0)]
                for (one, far), (other, farther) in product(times[:4], alone[:4]):
                    yield " ".join(filter(None, (other, one))), far + farther + both

    @cached_property
    def parts(self) -> list[Array]:
        """What is lacking, at each run."""
        return self.runs(self.lacking)

    @cached_property
    def weights(self) -> list[Array]:
        return self.runs(self.known)

    def runs(self, values: Array) -> list[Array]:
        places = self.words.places
        ends = np.cumsum([0, *(each.size for each in places)])
        pairs = zip(pairwise(ends), places, strict=True)
        return [values[a:b].reshape(each.shape) for (a, b), each in pairs]

    def axes(self) -> Iterator[Axes]:
        dimensions = self.words.places[0].ndim
        if dimensions:
            yield from dict.fromkeys(((dimensions - 1,), (0,)))
        if dimensions > 2:
            yield from ((dimensions - 2, dimensions - 1), (0, *range(2, dimensions)))
            yield from dict.fromkeys(((*range(dimensions - 1),), (*range(1, dimensions),)))

    @cached_property
    def arrays(self) -> list[tuple[str, Values]]:
        """Of the shape of what stands there, with products of two, without calls."""
        shapes = [value.shape for value in self.words.places]
        plain = ((text, value) for text, value in self.words.known if "(" not in text)
        fitting = [(text, v) for text, v in plain if [each.shape for each in v] == shapes]
        return fitting[:MOST_ARRAYS]

    def rows(self, axes: Axes) -> Iterator[tuple[str, Values]]:
        """What has one number for all along the axes: (how it stands before a product, its values)."""
        count = 0
        for text, value in self.words.known:
            if "(" in text or not value[0].ndim or count >= MOST_ROWS:
                continue
            spread = list(_spread(text, value, self.parts, axes))
            count += bool(spread)
            for written, values in spread[:1] if all(each.all() for each in value) else ():
                for power, form in enumerate(POWERS, 1):
                    yield form.format(written), [each**power for each in values]
                    yield form.format(written)[:-2] + "/ ", [each**-power for each in values]

    def named(
        self, text: str, h: Values | None, axes: Axes, wanted: Sequence[Array]
    ) -> Iterator[tuple[str, int]]:
        """(a term with its sign, how far-fetched), of h times numbers of the rows."""
        if not max(float(np.abs(each).max(initial=0.0)) for each in wanted):
            return
        for other, g in self.arrays:
            whole = g if h is None else [a * b for a, b in zip(g, h, strict=True)]
            inner = other if h is None else f"{firm(other)} * {firm(text)}"
            inner = f"{firm(text)} ** 2" if other == text else inner
            for reduce in ("mean", "sum"):
                made = [getattr(np, reduce)(each, axis=axes, keepdims=True) for each in whole]
                total = f"{firm(inner)}.{reduce}({self.over(axes)})"
                for factor, values in [("", None), *self.rows(axes)]:
                    number = _constant(wanted, made, values)
                    if number is None:
                        continue
                    front = f"{firm(text)} * " if text else ""
                    divided = factor.endswith(" / ")
                    by = factor.removesuffix(" / ").removesuffix(" * ")
                    written = f"{front}{total} / {by}" if divided else f"{front}{factor}{total}"
                    for sign, scaled, more in self.scaled(written, number):
                        yield f"{sign} {scaled}", 2 * more + bool(factor)

    def over(self, axes: Axes) -> str:
        last = self.words.places[0].ndim - 1
        shown = "-1" if axes == (last,) else str(axes[0]) if len(axes) == 1 else str(axes)
        return f"dim={shown}, keepdim=True" if self.torch else f"axis={shown}, keepdims=True"


def _fitted(
    lacking: Array, h: Array, known: Array, axes: Axes, both: bool
) -> tuple[Array, Array, float]:
    """(a, b, what is left, squared) of a + b · h, a and b of the rows; a is 0 where not `both`."""

    def total(values: Array) -> Array:
        return np.asarray((known * values).sum(axis=axes, keepdims=True))

    with np.errstate(all="ignore"):
        count = total(np.ones_like(h))
        mean, middle = (total(each) / count if both else np.zeros_like(count) for each in (lacking, h))
        part = h - middle
        slope = total((lacking - mean) * part) / total(part * part)
        at = mean - slope * middle
        left = float((known * (lacking - at - slope * h) ** 2).sum())
    return at, slope, left if np.isfinite(left) else np.inf


def _spread(text: str, value: Values, parts: Sequence[Array], axes: Axes) -> Iterator[tuple[str, Values]]:
    """Of what has a number for each row: as it is, or with an axis more."""
    rows = [np.delete(each.shape, axes) for each in parts]
    kept = [tuple(1 if n in axes else size for n, size in enumerate(each.shape)) for each in parts]
    if all(v.ndim <= len(k) and _fits(v.shape, k) for v, k in zip(value, kept, strict=True)):
        yield firm(text), value
    elif axes == (parts[0].ndim - 1,) and all(v.shape == tuple(r) for v, r in zip(value, rows, strict=True)):
        yield f"{text}[..., None]", [each[..., None] for each in value]


def _fits(shape: tuple[int, ...], whole: tuple[int, ...]) -> bool:
    """Whether it is spread over the whole without another axis."""
    try:
        return np.broadcast_shapes(shape, whole) == whole
    except ValueError:
        return False


def _constant(wanted: Sequence[Array], made: Sequence[Array], factors: Values | None) -> float | None:
    """The one number by which all are apart."""
    with np.errstate(all="ignore"):
        scaled = made if factors is None else [a * b for a, b in zip(made, factors, strict=True)]
        ones, others = (np.concatenate([each.reshape(-1) for each in values]) for values in (scaled, wanted))
        number = float((ones @ others) / (ones @ ones)) if ones.shape == others.shape else np.nan
        if not np.isfinite(number) or number == 0 or (len(ones) == 1 and factors is not None):
            return None
        return number if np.linalg.norm(ones * number - others) <= OFF * np.linalg.norm(others) else None
