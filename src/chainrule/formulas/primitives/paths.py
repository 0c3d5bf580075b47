"""Ways through the steps of a sequence that read the same labels (Graves et al. 2006), by their logarithms.

a (T, K, m) are logarithms of probabilities of K classes at every step, one of which, `blank`, is read as
nothing, and a class that follows itself is read once. y (T, K, m) says what is to be read: row s has a 1 at
the class of label s, rows behind the last label have none, and a 1 at the blank of row t says that step t is
not there.
"""

# mypy: disable-error-code="has-type"
# (mypy infers a primitive after its decorator's arguments, which name primitives further down; all are Any)

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from chainrule.formulas.primitives.declaring import primitive
from chainrule.formulas.rules import Trait


class _Lattice(NamedTuple):
    """Places of a way: 0 before the first step, then blank, label, blank, ..., label, blank; in float64."""

    classes: Any  # (places, m): which class is read there
    skips: Any  # (places, m): 0 where a way may come from two places before, else -inf
    read: Any  # (T, places, m): log of the probability of that class; -inf at place 0 and behind the end
    ends: Any  # (places, m): 0 at the places where a way may end, else -inf
    there: Any  # (T, m): whether the step is there


def _lattice(a: Any, y: Any, blank: int) -> _Lattice:
    samples = y.shape[-1]
    marked = y.copy()
    marked[:, blank] = 0
    lengths = (marked.max(axis=1) > 0).sum(axis=0)
    most, every = int(lengths.max(initial=0)), np.arange(samples)
    classes = np.full((2 * most + 2, samples), blank)
    classes[2::2] = marked[:most].argmax(axis=1)
    place = np.arange(len(classes))[:, None]
    skips = np.full(classes.shape, -np.inf)
    skips[2::2][(place[2::2] == 2) | (classes[2::2] != np.roll(classes, 2, axis=0)[2::2])] = 0.0
    read = a.astype(np.float64)[:, classes, every]
    read[:, (place == 0) | (place > 2 * lengths + 1)] = -np.inf
    ends = np.full(classes.shape, -np.inf)
    ends[2 * lengths + 1, every] = 0.0
    ends[2 * lengths, every] = 0.0  # the last label; without one before the first step, if no step is there
    return _Lattice(classes, skips, read, ends, y[:, blank] == 0)


def _ahead(before: Any, skips: Any, read: Any, there: Any) -> Any:
    """log α_t of every place from log α_{t-1}."""
    sums = before.copy()
    sums[1:] = np.logaddexp(sums[1:], before[:-1])
    sums[2:] = np.logaddexp(sums[2:], before[:-2] + skips[2:])
    return np.where(there, sums + read, before)


def _forward(on: _Lattice) -> tuple[list[Any], Any]:
    """(log α_t for t = 0 ... T, log P)"""
    start = np.full(on.classes.shape, -np.inf)
    start[0] = 0.0
    alpha = [start]
    for read, there in zip(on.read, on.there, strict=True):
        alpha.append(_ahead(alpha[-1], on.skips, read, there))
    return alpha, np.logaddexp.reduce(alpha[-1] + on.ends, axis=0)


@primitive(
    layout=("likelihood", "log P"), traits={Trait.DROPS_POSITIONS},
    adjoint=lambda d, y, a, labels, *, blank, nothing: (
        d * path_shares(a, labels, blank=blank, nothing=nothing), None
    ),
    remark="P(y | a) is the sum over all ways π through the steps that read y, repeats once and class "
    "{blank} not at all, of Π_t exp a_{{t,π_t}}",
)
def log_paths(a: Any, labels: Any, *, blank: int, nothing: bool) -> Any:
    """log P, (m,): of the sum over the ways that read the labels. Where there is none it is -inf, and with
    `nothing` 0.
    """
    with np.errstate(invalid="ignore"):
        _, total = _forward(_lattice(a, labels, blank))
    total = np.where(np.isneginf(total), 0.0, total) if nothing else total
    return total.astype(a.dtype)


@primitive(
    layout=("likelihood", "γ"),
    adjoint=lambda d, y, a, labels, *, blank, nothing: (None, None),
    remark="γ_{{t,k}} = Σ α_t(s) β_t(s) / P over the places s that read k: α_t(s) = (α_{{t−1}}(s) + "
    "α_{{t−1}}(s−1) + [s may follow s−2] α_{{t−1}}(s−2)) exp a_{{t,s}}, and β_t(s) the same of what follows",
)
def path_shares(a: Any, labels: Any, *, blank: int, nothing: bool) -> Any:
    """γ, (T, K, m): the share of P that goes through class k at step t, forward and backward; not a number
    where no way reads the labels, and with `nothing` 0.
    """
    on, places = _lattice(a, labels, blank), np.arange(a.shape[-1])
    with np.errstate(invalid="ignore"):
        alpha, total = _forward(on)
        beta, shares = on.ends, np.zeros(a.shape)
        for t in reversed(range(len(a))):
            ways = np.where(on.there[t], np.exp(alpha[t + 1] + beta - total), 0.0)
            np.add.at(shares[t], (on.classes, places), ways)
            passed = beta + on.read[t]
            back = passed.copy()
            back[:-1] = np.logaddexp(back[:-1], passed[1:])
            back[:-2] = np.logaddexp(back[:-2], passed[2:] + on.skips[2:])
            beta = np.where(on.there[t], back, beta)
    shares[..., np.isneginf(total)] = 0.0 if nothing else np.nan
    return shares.astype(a.dtype)


@primitive(
    layout=("function", "count"), traits={Trait.DROPS_POSITIONS},
    adjoint=lambda d, y, labels, *, blank: (None,),
)
def count_labels(labels: Any, *, blank: int) -> Any:
    """How many labels are to be read, (m,)."""
    return labels.sum(axis=(0, 1)) - labels[:, blank].sum(axis=0)
