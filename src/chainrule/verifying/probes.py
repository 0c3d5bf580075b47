"""Probes: arguments and δ on which a backward pass is tried, chosen so that mistakes differ on them.

The first are the given arguments with a random δ; then come fresh numbers, one sample more and two more where
the samples' axes are known, and small whole numbers with zeros among them, which make ties and kinks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from chainrule.base.types import Array

FRESH, MORE = 2, (1, 2)


@dataclass(frozen=True, eq=False)
class Probe:
    """args as their code takes them, delta of the output's shape; tied: with equal numbers among them."""

    args: tuple[Array, ...]
    delta: Array
    tied: bool = False


def probes(
    args: Sequence[Array],
    forward: Callable[[Sequence[Array]], Array],
    samples: Sequence[tuple[int, int]],
    seed: int,
) -> list[Probe]:
    """The probes for these arguments, the same for the same seed.

    samples: (argument, axis) wherever samples are counted; the first is x.
    """
    rng = np.random.default_rng(seed)
    kept = tuple(np.array(value) for value in args)
    place = samples[0][0] if samples else 0
    sets = [(kept, False)]
    sets += [(tuple(fresh(value, value.shape, rng) for value in kept), False) for _ in range(FRESH)]
    for more in MORE if samples else ():
        grown = [fresh(value, value.shape, rng) for value in kept]
        for number, axis in samples:
            shape = list(kept[number].shape)
            shape[axis] += more
            grown[number] = fresh(kept[number], shape, rng)
        sets.append((tuple(grown), False))
    tied = list(kept)
    if kept[place].dtype.kind == "f":
        tied[place] = rng.integers(-1, 2, kept[place].shape).astype(kept[place].dtype)
    sets.append((tuple(tied), True))
    made = []
    for values, ties in sets:
        try:
            out = forward([value.copy() for value in values])
        except Exception:  # their code may take one number of samples alone
            if values is sets[0][0]:
                raise
            continue
        delta = rng.normal(size=out.shape).astype(out.dtype)
        made.append(Probe(values, delta, ties))
    return made


def fresh(value: Array, shape: Sequence[int], rng: np.random.Generator) -> Array:
    """Other numbers of the same kind: around the same mean, as far apart, whole where those are."""
    if value.dtype.kind in "iub":
        return rng.integers(int(value.min()), int(value.max()) + 1, tuple(shape)).astype(value.dtype)
    if value.size >= 4 and len(kinds := np.unique(value)) <= 2:  # flags, such as a mask
        return rng.choice(kinds, tuple(shape))
    spread = float(value.std()) or 1.0
    made = rng.normal(float(value.mean()), spread, tuple(shape))
    if value.min() >= 0:  # scales, probabilities, counts
        made = np.abs(made) + 1e-3 * spread
    return made.astype(value.dtype)
