"""Probes: arguments and δ on which a backward pass is tried, chosen so that mistakes differ on them.

The first are the given arguments with a random δ; then come fresh numbers, one sample more and two more
where the samples' axes are known, one alone, two steps of a recurrence, sizes that all differ as far as their
forward takes them, large numbers that saturate, and last small whole numbers with zeros among them, which
make ties and kinks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from chainrule.base.languages import Say
from chainrule.base.types import Array
from chainrule.verifying.precision import precision_of, rounded
from chainrule.verifying.texts import TEXTS

FRESH, MORE, LARGE = 2, (1, 2), 4.0
FEW_STEPS = 2
LINKED = 3  # axes of one size that may have to change together: features of x, W and a scale
# Forwards to find out which sizes can change: counted, not timed, so that a busy machine has the same probes.
MOST_TRIALS = 80
# What is slow is judged on sizes from here on, so many of them tried of each.
FEWEST, SMALLER_TRIED = 3, 4
Forward = Callable[[Sequence[Array]], Array]
Axis = tuple[int, int]  # (number of the argument, axis)


@dataclass(frozen=True, eq=False)
class Probe:
    """args as their code takes them, delta of the output's shape; tied: with equal numbers among them."""

    args: tuple[Array, ...]
    delta: Array
    tied: bool = False


def probes(
    args: Sequence[Array],
    forward: Forward,
    samples: Sequence[Axis],
    seed: int,
    precision: str | None = None,
    accepts: Callable[[Probe, Array, bool], bool] | None = None,
    steps: Sequence[Axis] = (),
) -> list[Probe]:
    """The probes for these arguments, the same for the same seed.

    samples: (argument, axis) wherever samples are counted; the first is x.  precision: in which they compute,
    where that is less than the arrays' type: numbers are such as it holds.  accepts: whether a probe with its
    output, and of other sizes or not, means the same; None: no other sizes are tried.  steps: as samples, of
    steps in time.
    """
    rng = np.random.default_rng(seed)
    kept = tuple(held(np.array(value), precision) for value in args)
    place = samples[0][0] if samples else 0
    sets = [(kept, kept[place].dtype.kind == "f" and has_ties(_once(kept[place])))]
    for _ in range(FRESH):
        sets.append((tuple(fresh(value, value.shape, rng, precision) for value in kept), False))
    for more in MORE if samples else ():
        sizes = {axis: _size(kept, axis) + more for axis in samples}
        sets.append((of_sizes(kept, sizes, rng, precision), False))
    if samples and _size(kept, samples[0]) > 1:
        sets.append((of_sizes(kept, dict.fromkeys(samples, 1), rng, precision), False))
    if steps and _size(kept, steps[0]) > FEW_STEPS:
        sets.append((of_sizes(kept, dict.fromkeys(steps, FEW_STEPS), rng, precision), False))
    if accepts is not None:
        other = different_sizes(kept, forward, rng, precision)
        sets += [] if other is None else [(other, False)]
    if kept[place].dtype.kind == "f":
        large = list(sets[1][0])
        large[place] = held((LARGE * large[place]).astype(large[place].dtype), precision)
        sets.append((tuple(large), False))
    tied = list(kept)
    if kept[place].dtype.kind == "f":
        tied[place] = rng.integers(-1, 2, kept[place].shape).astype(kept[place].dtype)
    sets.append((tuple(tied), True))
    made = []
    for number, (values, ties) in enumerate(sets):
        try:
            out = forward([value.copy() for value in values])
        except Exception:  # their code may take one number of samples alone
            if number == 0:
                raise
            continue
        delta = held(rng.normal(size=out.shape).astype(out.dtype), precision)
        probe = Probe(values, delta, ties)
        resized = [v.shape for v in values] != [v.shape for v in kept]
        if number == 0 or (np.isfinite(out).all() and (accepts is None or accepts(probe, out, resized))):
            made.append(probe)
    return made


# -- numbers
def fresh(
    value: Array, shape: Sequence[int], rng: np.random.Generator, precision: str | None = None
) -> Array:
    """Other numbers of the same kind: around the same mean, as far apart, whole where those are; flags stay
    flags, shares of 1 shares of 1, and what has every number twice, as angles of pairs, has so again.
    """
    if value.dtype.kind == "i" and value.size and value.min() < 0:  # classes, and a mark for what is ignored
        return rng.choice(np.unique(value), tuple(shape)).astype(value.dtype)
    if value.dtype.kind in "iub":
        return rng.integers(int(value.min()), int(value.max()) + 1, tuple(shape)).astype(value.dtype)
    kinds = np.unique(value)
    for axis in _shared_axes(value):
        shares = rng.exponential(size=tuple(shape))
        if len(kinds) == 2:  # a class each
            shares = (shares == shares.max(axis=axis, keepdims=True)).astype(np.float64)
        return held((shares / shares.sum(axis=axis, keepdims=True)).astype(value.dtype), precision)
    if value.size >= 4 and len(kinds) == 2:  # flags, such as a mask; a scale of ones gets other numbers
        return rng.choice(kinds, tuple(shape))
    twice = _twice(value, kinds) if shape[-1:] and shape[-1] % 2 == 0 else None
    if twice is not None:
        once = fresh(twice[0], (*shape[:-1], shape[-1] // 2), rng, precision)
        return twice[1](once)
    spread = float(value.std()) or 1.0
    made = rng.normal(float(value.mean()), spread, tuple(shape))
    if value.min() >= 0:  # scales, probabilities, counts
        made = np.abs(made) + 1e-3 * spread
    if value.min() > 0 and value.max() < 1:  # probabilities: folded back, for log(1 - p) has no value above 1
        made = np.clip(np.abs((made + 1) % 2 - 1), 1e-3 * spread, 1 - 1e-3 * spread)
    if tuple(shape) == value.shape and symmetric(value):
        return held(_symmetric_like(value, made), precision)
    return apart(held(made.astype(value.dtype), precision), precision)


def _twice(value: Array, kinds: Array) -> tuple[Array, Callable[[Array], Array]] | None:
    """(every number once, how they are there twice): halves side by side, or each beside its like."""
    if value.ndim < 2 or len(kinds) < 3 or value.shape[-1] % 2:
        return None
    half = value.shape[-1] // 2
    if np.array_equal(value[..., :half], value[..., half:]):
        return value[..., :half], lambda once: np.concatenate([once, once], axis=-1)
    if np.array_equal(value[..., 0::2], value[..., 1::2]):
        return value[..., 0::2], lambda once: np.repeat(once, 2, axis=-1)
    return None


def _shared_axes(value: Array) -> Iterator[int]:
    """The axis along which there are shares of 1: classes one-hot, probabilities."""
    for axis in (-1, 0) if value.ndim > 1 and value.size and value.min() >= 0 else ():
        if value.shape[axis] > 1 and np.allclose(value.sum(axis=axis), 1.0, atol=1e-3):
            yield axis


def held(value: Array, precision: str | None) -> Array:
    """Numbers as `precision` holds them, in their type: what their code rounds off is not there."""
    if precision is None or value.dtype.kind != "f":
        return value
    return rounded(value, precision).astype(value.dtype)


def apart(value: Array, precision: str | None = None) -> Array:
    """The same numbers, of equal ones all but one moved to the next that the format holds and none has."""
    name = precision_of(value, precision)
    if value.dtype.kind != "f" or name not in ("float16", "bfloat16") or not has_ties(value):
        return value
    places = _places_in_order(value, name)
    order = np.argsort(places, axis=None, kind="stable")
    steps = np.arange(value.size)
    spread = np.maximum.accumulate(places.reshape(-1)[order] - steps) + steps
    moved = np.empty(value.size, dtype=np.int64)
    moved[order] = spread
    return _at_places(moved.reshape(value.shape), name).astype(value.dtype)


def _places_in_order(value: Array, name: str) -> Array:
    """The number of every number among all of the format, 0 being 0."""
    if name == "float16":
        bits = value.astype(np.float16).view(np.int16).astype(np.int64)
        return np.where(bits >= 0, bits, -(bits & 0x7FFF))
    bits = value.astype(np.float32).view(np.int32).astype(np.int64) >> 16
    return np.where(bits >= 0, bits, -(bits & 0x7FFF))


def _at_places(places: Array, name: str) -> Array:
    bits = np.abs(places)
    if name == "float16":
        size = bits.astype(np.int16).view(np.float16).astype(np.float64)
    else:
        size = (bits << 16).astype(np.int32).view(np.float32).astype(np.float64)
    return np.where(places < 0, -size, size)


def symmetric(value: Array) -> bool:
    """Whether it is a symmetric matrix, or several."""
    square = value.ndim > 1 and value.dtype.kind == "f" and value.shape[-1] == value.shape[-2] > 1
    several = square and bool((value != value[..., :1, :1]).any())
    return several and np.array_equal(value, np.swapaxes(value, -1, -2))


def _once(value: Array) -> Array:
    """Of symmetric matrices the lower triangle; all of anything else."""
    return value[..., *np.tril_indices(value.shape[-1])] if symmetric(value) else value


def _symmetric_like(value: Array, made: Array) -> Array:
    """Symmetric matrices of these numbers, positive definite where those are."""
    size = value.shape[-1]
    if (np.linalg.eigvalsh(value.astype(np.float64)) > 0).all():
        diagonal = np.trace(value, axis1=-2, axis2=-1)[..., None, None] / size * np.eye(size)
        own = made @ np.swapaxes(made, -1, -2)
        made = diagonal / 2 + diagonal.max() / 2 * own / np.trace(own, axis1=-2, axis2=-1).max() * size
    return np.asarray((made + np.swapaxes(made, -1, -2)) / 2).astype(value.dtype)


def has_ties(value: Array) -> bool:
    """Whether two numbers are equal."""
    return bool(np.unique(value).size < value.size)


# -- sizes
def _size(args: Sequence[Array], axis: Axis) -> int:
    return int(args[axis[0]].shape[axis[1]])


def of_sizes(
    args: Sequence[Array], sizes: dict[Axis, int], rng: np.random.Generator, precision: str | None
) -> tuple[Array, ...]:
    """Fresh numbers of the same shapes but for these sizes."""
    made = []
    for number, value in enumerate(args):
        shape = [sizes.get((number, axis), size) for axis, size in enumerate(value.shape)]
        made.append(fresh(value, shape, rng, precision))
    return tuple(made)


def different_sizes(
    args: Sequence[Array], forward: Forward, rng: np.random.Generator, precision: str | None = None
) -> tuple[Array, ...] | None:
    """Fresh numbers of sizes that all differ from each other and from the given, as far as forward takes
    them; None where no size can change.
    """
    taken = {size for value in args for size in value.shape}
    sizes: dict[Axis, int] = {}
    ran: tuple[Array, ...] | None = None
    for group, step in _changeable(args, forward, rng, precision):
        if any(axis in sizes for axis in group):
            continue
        size = _size(args, group[0]) + step
        while size in taken:
            size += step
        trial = of_sizes(args, {**sizes, **dict.fromkeys(group, size)}, rng, precision)
        if _runs(forward, trial):
            sizes |= dict.fromkeys(group, size)
            taken.add(size)
            ran = trial
    return None if ran is None else _that_runs(of_sizes(args, sizes, rng, precision), ran, forward)


def linked_sizes(
    args: Sequence[Array],
    forward: Forward,
    rng: np.random.Generator,
    precision: str | None = None,
    sizes: Mapping[int, int] | None = None,
    most: int = 10**9,
) -> tuple[Array, ...] | None:
    """The same where all axes of one size are one: `sizes` in place of these, None: larger ones that differ,
    as far as forward takes them and there are no more entries than `most`; None where it takes none.
    """
    by_size = _axes_by_size(args)
    new: dict[Axis, int] = {}
    largest = max(by_size, default=0)
    ran: tuple[Array, ...] | None = None
    for size, axes in by_size.items():
        other = sizes.get(size, size) if sizes is not None else largest + 1 if size > 1 else size
        trial = {**new, **dict.fromkeys(axes, other)}
        if other == size or _entries(args, trial) > most:
            continue
        drawn = of_sizes(args, trial, rng, precision)
        if _runs(forward, drawn):
            new, largest, ran = trial, max(largest, other), drawn
    return None if ran is None else _that_runs(of_sizes(args, new, rng, precision), ran, forward)


def _that_runs(fresh: tuple[Array, ...], ran: tuple[Array, ...], forward: Forward) -> tuple[Array, ...]:
    """Fresh numbers, or those that ran where forward does not take these: positions of which floor is an
    index may lie outside.
    """
    return fresh if _runs(forward, fresh) else ran


def _axes_by_size(args: Sequence[Array]) -> dict[int, list[Axis]]:
    """Every size there is -> the axes that have it."""
    made: dict[int, list[Axis]] = {}
    for number, value in enumerate(args):
        for axis, size in enumerate(value.shape):
            made.setdefault(size, []).append((number, axis))
    return made


def _entries(args: Sequence[Array], sizes: Mapping[Axis, int]) -> int:
    """Of all arguments, were these their sizes."""
    each = (
        [sizes.get((n, axis), size) for axis, size in enumerate(v.shape)] for n, v in enumerate(args)
    )
    return sum(math.prod(shape) for shape in each)


def smaller_sizes(
    args: Sequence[Array],
    runs: Callable[[Sequence[Array]], bool],
    rng: np.random.Generator,
    precision: str | None = None,
) -> tuple[Array, ...] | None:
    """Fresh numbers of smaller sizes that differ, as far as `runs` takes them: all axes of one size are one,
    and those of a multiple of it, the gates of a cell, stay that; None where none can be smaller.
    """
    by_size = _axes_by_size(args)
    new: dict[Axis, int] = {}
    taken = {size for size in by_size if size <= FEWEST}
    done = set(taken)

    def smaller(size: int, together: Sequence[int]) -> int | None:
        """A size in its place, and in those of its multiples; the axes are set."""
        for other in [each for each in range(FEWEST, size) if each not in taken][:SMALLER_TRIED]:
            trial = {axis: other * (each // size) for each in together for axis in by_size[each]}
            if runs(of_sizes(args, {**new, **trial}, rng, precision)):
                new.update(trial)
                return other
        return None

    for size in sorted(by_size):
        multiples = [other for other in by_size if other > size and other % size == 0 and other not in done]
        for together in ([size], [size, *multiples]) if multiples else ([size],):
            if size not in done and (other := smaller(size, together)) is not None:
                taken.add(other)
                done.update(together)
    return of_sizes(args, new, rng, precision) if new else None


def _changeable(
    args: Sequence[Array], forward: Forward, rng: np.random.Generator, precision: str | None
) -> Iterator[tuple[tuple[Axis, ...], int]]:
    """Axes of one size that can change together while all others stay, and by how much: by one, or as many as
    they have, of what is dealt to groups; the fewest first.
    """
    by_size = {size: axes for size, axes in _axes_by_size(args).items() if size > 1}
    trials, done = 0, set[Axis]()
    for step_is_size in (False, True):
        for count in range(1, LINKED + 1):
            for size, axes in by_size.items():
                step = size if step_is_size else 1
                for group in combinations(axes, count):
                    if done & set(group) or trials >= MOST_TRIALS:
                        continue
                    trials += 1
                    if _runs(forward, of_sizes(args, dict.fromkeys(group, size + step), rng, precision)):
                        done |= set(group)
                        yield group, step


def _runs(forward: Forward, args: Sequence[Array]) -> bool:
    try:
        with np.errstate(all="ignore"):
            return bool(np.isfinite(forward([value.copy() for value in args])).all())
    except Exception:  # their code may raise whatever it likes
        return False


def not_told_apart(probes_: Sequence[Probe], names: Sequence[str]) -> list[Say]:
    """Notes on arrays with two axes that have the same size on every probe: exchanged, they look alike."""
    notes = []
    for number, name in enumerate(names):
        shapes = [probe.args[number].shape for probe in probes_]
        pairs = combinations(range(len(shapes[0])), 2)
        equal = [(a, b) for a, b in pairs if all(len(s) > b and s[a] == s[b] > 1 for s in shapes)]
        for first, second in equal:
            size = shapes[0][first]
            notes.append(TEXTS.say("unsure.sizes", name=name, first=first, second=second, size=size))
    return notes
