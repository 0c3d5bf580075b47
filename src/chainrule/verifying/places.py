"""Where an array is wrong, as a rule that all wrong entries keep and no right one: all of them, those at
which f is closed, one sample, the border, every second row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from chainrule.base.languages import AND, Say, same
from chainrule.base.types import Array
from chainrule.formulas.primitives.grid import Grid
from chainrule.verifying.texts import TEXTS

# What the axes of our form count, as texts name them, by how many there are.
INPUTS: Mapping[int, tuple[str, ...]] = {
    2: ("feature", "sample"), 3: ("step", "feature", "sample"), 4: ("row", "column", "channel", "sample"),
}  # fmt: skip
WEIGHTS: Mapping[int, tuple[str, ...]] = {
    2: ("unit", "feature"), 3: ("filter", "step", "channel"), 4: ("filter", "row", "column", "channel"),
}  # fmt: skip
SATURATED = 1e-3  # |f'| under which an entry counts as saturated


def place(wrong: Array, about: Mapping[str, Array], roles: Sequence[str] = ()) -> Say:
    """The rule that tells the wrong entries from the right ones; else how many they are.

    about: rule -> mask of the same shape, as of `facts`.  roles: what each axis counts; "" where unknown.
    """
    if wrong.all():
        return TEXTS["where.all"]
    for name, mask in about.items():
        if mask.shape == wrong.shape and mask.any() and (mask == wrong).all():
            return TEXTS.within("where")[name]
    named = [*roles[: wrong.ndim], *("" for _ in range(wrong.ndim - len(roles)))]
    for rule in (_block(wrong, named), _all_but(wrong, named), _triangle(wrong)):
        if rule is not None:
            return rule
    for name, mask in about.items():
        if mask.shape == wrong.shape and mask.any() and not (wrong & ~mask).any():
            within = wrong[mask].sum()
            said = {"count": int(within), "of": int(mask.sum()), "where": TEXTS.within("where")[name]}
            return TEXTS.say("where.among", **said)
    return TEXTS.say("where.some", count=int(wrong.sum()), of=wrong.size)


# -- blocks, lattices, borders
def _projections(mask: Array) -> list[Array] | None:
    """Per axis which indices occur, where the mask is all of their combinations; None where it is not."""
    axes = range(mask.ndim)
    shadows = [np.asarray(mask.any(axis=tuple(a for a in axes if a != axis))) for axis in axes]
    combined: Array = np.ones((), dtype=bool)
    for shadow in shadows:
        combined = combined[..., None] & shadow
    return shadows if mask.any() and (combined == mask).all() else None


def _block(wrong: Array, roles: Sequence[str]) -> Say | None:
    """All combinations of some indices of some axes."""
    shadows = _projections(wrong)
    if shadows is None:
        return None
    parts = list(_parts(shadows, roles))
    if any(part is None for part in parts):
        return None
    return TEXTS.say("where.exactly", where=AND.join(part for part in parts if part is not None))


def _all_but(wrong: Array, roles: Sequence[str]) -> Say | None:
    """What is left of a block: the border around an image, all samples but one."""
    shadows = _projections(~wrong)
    if shadows is None:
        return None
    inner = [axis for axis, shadow in enumerate(shadows) if not shadow.all()]
    frames = [_frame(shadows[axis]) for axis in inner]
    if len(inner) == 2 and all(frames) and (not any(roles) or _of_an_image([roles[a] for a in inner])):
        first, second = frames
        if first is not None and len({*first, *(second or ())}) == 1:
            return TEXTS.say("where.border", width=first[0])
        return TEXTS["where.frame"]
    parts = list(_parts(shadows, roles))
    if any(part is None for part in parts):
        return None
    return TEXTS.say("where.all_but", where=AND.join(part for part in parts if part is not None))


def _of_an_image(roles: Sequence[str]) -> bool:
    return set(roles) <= {"row", "column"}


def _frame(shadow: Array) -> tuple[int, int] | None:
    """How many indices are missing at both ends of a run; None where there is a gap or nothing is missing."""
    kept = np.flatnonzero(shadow)
    before, after = int(kept[0]), int(len(shadow) - 1 - kept[-1])
    return (before, after) if len(kept) == kept[-1] - kept[0] + 1 and before and after else None


def _parts(shadows: Sequence[Array], roles: Sequence[str]) -> Iterator[Say | None]:
    """What each axis that is not full contributes; None for indices without a rule."""
    for axis, shadow in enumerate(shadows):
        if not shadow.all():
            yield _indices(shadow, roles[axis], axis)


def _indices(shadow: Array, role: str, axis: int) -> Say | None:
    """The rule of some indices of an axis: one, the first or last few, every n-th."""
    kept, size = np.flatnonzero(shadow), len(shadow)
    what = TEXTS.within("role")[role] if role else TEXTS.say("role.axis", axis=axis)
    many = TEXTS.within("roles")[role] if role else TEXTS.say("roles.axis", axis=axis)
    if len(kept) == 1:
        end = {0: "first", size - 1: "last"}.get(int(kept[0])) if role in ("row", "column", "step") else None
        if end:
            return TEXTS.say(f"part.{end}", what=what)
        return TEXTS.say("part.one", what=what, index=int(kept[0]))
    steps = set(np.diff(kept).tolist())
    if steps == {1}:
        if kept[0] == 0:
            return TEXTS.say("part.firsts", many=many, count=len(kept))
        if kept[-1] == size - 1:
            return TEXTS.say("part.lasts", many=many, count=len(kept))
        return TEXTS.say("part.run", many=many, start=int(kept[0]), end=int(kept[-1]))
    if len(steps) == 1:
        (step,), start = steps, int(kept[0])
        if start < step and kept[-1] + step >= size:
            if step == 2:
                return TEXTS.say("part.odd" if start else "part.even", many=many)
            return TEXTS.say("part.every", many=many, step=int(step), start=start)
    left = np.flatnonzero(~shadow)
    if len(left) == 1:
        return TEXTS.say("part.but_one", many=many, index=int(left[0]))
    return None


def _triangle(wrong: Array) -> Say | None:
    """Of a matrix: the diagonal and what is off, above and below it."""
    if wrong.ndim < 2:
        return None
    rows, columns = np.indices(wrong.shape[-2:])
    rules = {
        "diagonal": rows == columns, "off_diagonal": rows != columns, "above": rows < columns,
        "below": rows > columns,
    }  # fmt: skip
    for name, mask in rules.items():
        if mask.any() and not mask.all() and (np.broadcast_to(mask, wrong.shape) == wrong).all():
            return TEXTS.within("where")[name]
    return None


# -- what axes count
def roles_of(name: str, dimensions: int) -> tuple[str, ...]:
    """Of the axes of our form of x, or of a parameter W."""
    known = INPUTS if name == "x" else WEIGHTS if name == "W" else {}
    return known.get(dimensions, ("",) * dimensions)


def in_their_order(roles: Sequence[str], axes: Sequence[int]) -> list[str]:
    """The same of their array, whose axes `axes` are ours in order; of none where there are others.

    Rows come before columns as theirs lies, also where our layer was found with both exchanged.
    """
    if len(roles) != len(axes):
        return []
    theirs = [roles[axes.index(axis)] for axis in range(len(axes))]
    across = [axis for axis, role in enumerate(theirs) if role in ("row", "column")]
    for axis, role in zip(across, ("row", "column"), strict=False):
        theirs[axis] = role
    return theirs


# -- what is known of entries
def facts(
    right: Array,
    delta: Array | None = None,
    x: Array | None = None,
    covered: Array | None = None,
    masked: Array | None = None,
) -> dict[str, Array]:
    """Rules on the entries of a gradient, all arrays of its shape.

    delta: δ, where f acts entry by entry.  x: the argument.  covered: by how many windows each pixel is.
    masked: which positions are left out.
    """
    made = {}
    if masked is not None:
        made["masked"] = masked.astype(bool)
    if x is not None and x.shape == right.shape:
        made |= {"closed": x <= 0, "open": x > 0, "at_zero": x == 0, "tied": _tied(x)}
    if delta is not None and delta.shape == right.shape:
        with np.errstate(all="ignore"):
            slope = np.where(delta != 0, right / delta, np.nan)
            made["saturated"] = np.abs(slope) < SATURATED
    if covered is not None and covered.shape == right.shape:
        made |= {"covered_twice": covered >= 2, "covered_once": covered == 1, "not_covered": covered == 0}
    return {**made, "zero": right == 0, "not_zero": right != 0}


def _tied(x: Array) -> Array:
    """Which entries are equal to another one."""
    _, inverse, counts = np.unique(x, return_inverse=True, return_counts=True)
    return np.asarray(counts[inverse.reshape(x.shape)] > 1)


def coverage(grid: Grid, shape: Sequence[int]) -> Array:
    """By how many windows of a grid each pixel of an image (H, W, ...) or sequence (T, ...) is covered."""
    size = tuple(shape[: len(grid.kernel)])
    counts = np.zeros(size, dtype=np.int64)
    for offset in np.ndindex(*grid.kernel):
        pixels, _ = grid.meet(size, offset)
        counts[pixels] += 1
    wide = counts.reshape(*size, *(1 for _ in shape[len(size) :]))
    return np.broadcast_to(wide, tuple(shape))


# -- the worst entry
def at(index: Sequence[int], roles: Sequence[str]) -> Say:
    """An entry's index with what its axes count: "sample 2, row 0"; as it is where that is not known."""
    if not index or not any(roles):
        return same("[" + ", ".join(str(number) for number in index) + "]")
    words = TEXTS.within("role")
    return AND.join(
        TEXTS.say("part.one", what=words.get(role) or TEXTS.say("role.axis", axis=axis), index=number)
        for axis, (number, role) in enumerate(zip(index, roles, strict=False))
    )
