"""Where an array is wrong, as a rule of its entries: all of them, one row, the edge, what is not wrong
anywhere else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from chainrule.base.languages import Say
from chainrule.base.types import Array
from chainrule.verifying.texts import TEXTS


def place(wrong: Array, about: Mapping[str, Array]) -> Say:
    """The rule that tells the wrong entries from the right ones; else how many they are.

    about: rule -> mask of the same shape, such as entries that a kink excludes.
    """
    if wrong.all():
        return TEXTS["where.all"]
    for name, mask in about.items():
        if mask.shape == wrong.shape and (mask == wrong).all():
            return TEXTS.within("where")[name]
    for axis, index in _slices(wrong):
        return TEXTS.say("where.slice", axis=axis, index=index)
    if wrong.ndim >= 2 and (edge := _edge(wrong)).any() and (edge == wrong).all():
        return TEXTS["where.edge"]
    if wrong.ndim == 2 and wrong.shape[0] == wrong.shape[1]:
        diagonal = np.eye(len(wrong), dtype=bool)
        if (diagonal == wrong).all():
            return TEXTS["where.diagonal"]
        if (~diagonal == wrong).all():
            return TEXTS["where.off_diagonal"]
    return TEXTS.say("where.some", count=int(wrong.sum()), of=wrong.size)


def _slices(wrong: Array) -> Iterator[tuple[int, int]]:
    """(axis, index) of the single slice that all wrong entries fill."""
    for axis in range(wrong.ndim):
        others = tuple(number for number in range(wrong.ndim) if number != axis)
        some, every = wrong.any(axis=others), wrong.all(axis=others)
        if some.sum() == 1 and (some == every).all():
            yield axis, int(some.argmax())


def _edge(wrong: Array) -> Array:
    """The entries that lie at the end of one of the two axes that are most often the image's."""
    shape, edge = wrong.shape, np.zeros(wrong.shape, dtype=bool)
    rows, columns = (
        (1, 2) if wrong.ndim == 4 and not wrong[:, 1:-1, 1:-1].all() else (wrong.ndim - 2, wrong.ndim - 1)
    )
    for axis in (rows, columns):
        for end in (0, shape[axis] - 1):
            edge[(slice(None),) * axis + (end,)] = True
    return edge
