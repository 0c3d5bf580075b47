"""Newton's method, for places in which the gradients are not linear."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from chainrule.base.types import Array

MOST_TURNS, NUDGE, SOLVED = 7, 1e-5, 1e-6  # turns, the step of a derivative, of what is lacking where it ends
DETERMINED = 1e-9  # what is no rank, at least
SHARES, NEARER = (1.0, 0.25), 0.9  # of a step, and of what is lacking before it
At = Callable[[Array], "Array | None"]


def by_newton(at: At, there: Array, lacking: Array) -> tuple[Array, Array] | None:
    """(what must be added to what stands there, (n,), which entries of it move anything, (n,)); None where
    there is no such, or more than one.

    at: what gradients move by, as `lacking` is, when so much is added; None where there is no answer.
    """
    solution, moved = np.zeros_like(there), np.zeros_like(lacking)
    for _ in range(MOST_TURNS):
        system = _slopes(at, there, solution, moved)
        if system is None or lacking[~system.any(axis=1)].any():
            return None
        live = np.asarray(system.any(axis=0))
        way, _, rank, _ = np.linalg.lstsq(system, lacking - moved, rcond=DETERMINED)
        nearer = _nearer(at, solution, way, lacking, moved) if rank >= live.sum() else None
        if nearer is None:
            return None
        solution, moved = nearer
        if np.linalg.norm(moved - lacking) <= SOLVED * np.linalg.norm(lacking):
            return solution, live
    return None


def _slopes(at: At, there: Array, solution: Array, moved: Array) -> Array | None:
    """The derivatives of `at`, a column for each entry, where it gives `moved`."""
    columns = []
    for entry in range(len(there)):
        nudge = NUDGE * (abs(there[entry] + solution[entry]) or 1.0)
        step = solution.copy()
        step[entry] += nudge
        made = at(step)
        if made is None:
            return None
        columns.append((made - moved) / nudge)
    return np.stack(columns, axis=1)


def _nearer(
    at: At, solution: Array, way: Array, lacking: Array, moved: Array
) -> tuple[Array, Array] | None:
    """(the solution, what it moves) a step further, or a part of it; None where that brings nothing."""
    for share in SHARES:
        step = solution + share * way
        made = at(step)
        if made is not None and np.linalg.norm(made - lacking) < NEARER * np.linalg.norm(moved - lacking):
            return step, made
    return None
