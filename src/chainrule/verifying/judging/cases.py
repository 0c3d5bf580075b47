"""What holds of an array beside what is right: that it is off nowhere, nearly nowhere, or in a part alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from chainrule.base.types import Array
from chainrule.verifying.judging.hypotheses import Case, agree
from chainrule.verifying.probes import symmetric

NEARLY = 1e-4  # of the largest entry: differences of a forward with a guard, beside a derivative without


def as_given(given: Array, exact: Array, slack: Array) -> Array:
    """What is right, with the digits of what was given where that is it, or all of it times n, n/2, 1/n or
    2/n: entries beside 0 are within what differences are off by, with the factor and without.
    """
    near = np.abs(given - exact) <= slack
    square, both = float(exact @ exact), float(given @ exact)
    if not near.all() and square and both and math.isfinite(both / square):
        ratio = both / square
        for by in (round(ratio), round(2 * ratio) / 2, *(n / (round(n / ratio) or math.inf) for n in (1, 2))):
            within = by and (np.abs(given - by * exact) <= abs(by) * slack).all()
            if within and abs(ratio - by) <= 1e-3 * abs(by):
                return given / by
    return np.where(near, given, exact)


def nearly_right(case: Case) -> bool:
    """Whether all is as near as a guard, log(a + 10⁻⁷), or a constant of six digits leaves it."""
    pairs = zip(case.theirs, case.right, strict=True)
    return all(
        theirs.shape == right.shape
        and bool(np.abs(theirs - right).max(initial=0.0) <= NEARLY * np.abs(right).max(initial=0.0))
        for theirs, right in pairs
    )


def symmetric_part_agrees(case: Case, args: Sequence[Array]) -> bool:
    """Whether, of symmetric arguments, theirs moves what it stands for as the right one does: a forward that
    reads one triangle alone, such as Cholesky's, has its differences there.
    """
    pairs = list(zip(case.theirs, case.right, strict=True))
    if not all(map(symmetric, args)) or any(theirs.shape != right.shape for theirs, right in pairs):
        return False
    both = [tuple(value + np.swapaxes(value, -1, -2) for value in pair) for pair in pairs]
    return all(bool((np.abs(a - b) <= 1e-6 * np.abs(b).max(initial=0.0)).all()) for a, b in both)


def right_of_one_sample(case: Case) -> bool:
    """Whether theirs is right but for the sum over samples: written for one alone, in a column."""
    pairs = zip(case.theirs, case.right, strict=True)
    return all(is_finite(theirs) and agree([_summed(theirs, right)], [right]) for theirs, right in pairs)


def _summed(theirs: Array, right: Array) -> Array:
    """The sum over axes of which `right` has one entry alone; as it is where that is no other shape."""
    if theirs.ndim != right.ndim or theirs.shape == right.shape:
        return theirs
    sizes = enumerate(zip(theirs.shape, right.shape, strict=True))
    return np.asarray(theirs.sum(axis=tuple(n for n, (a, b) in sizes if a != b == 1), keepdims=True))


def agree_where_finite(theirs: Sequence[Array], right: Sequence[Array]) -> bool:
    """On the probes on which theirs is no 0 / 0, as an unbiased variance of one sample is."""
    pairs = [(_summed(*pair), pair[1]) for pair in zip(theirs, right, strict=True) if is_finite(pair[0])]
    return bool(pairs) and agree(*(list(side) for side in zip(*pairs, strict=True)))


def is_finite(values: Array) -> bool:
    """Whether all are; whole numbers are."""
    return values.dtype.kind != "f" or bool(np.isfinite(values).all())


def wrong_probes(case: Case) -> list[int]:
    """The probes on which an array is off by more than a right one may be."""
    pairs = enumerate(zip(case.theirs, case.right, strict=True))
    return [n for n, (theirs, right) in pairs if theirs.shape != right.shape or case.any_wrong(n)]


def same_mass(case: Case, number: int) -> bool:
    """Whether at ties the same δ was handed on in all, only to other ones of the equal entries."""
    theirs, right = case.theirs[number], case.right[number]
    return theirs.shape == right.shape and bool(
        np.isclose(theirs.sum(), right.sum(), rtol=1e-6, atol=1e-9 * np.abs(right).sum())
    )
