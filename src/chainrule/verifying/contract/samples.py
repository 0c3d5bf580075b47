"""Where an output's slices depend on one slice of an argument each, so do that argument's gradients.

Which axes these are, samples or others, is derived from their forward: of BatchNorm the samples are not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from chainrule.base.types import Array
from chainrule.verifying.contract.calls import answer, attempt, jitters, output, roughly
from chainrule.verifying.precision import Reference, close
from chainrule.verifying.probes import Probe
from chainrule.verifying.subjects.subject import Subject
from chainrule.verifying.texts import TEXTS
from chainrule.verifying.verdict import Finding

MOST_SLICES = 5  # of an axis, spread evenly
AGAIN = 2  # other numbers on which axes must be kept apart, too: a saturated output hides what it depends on


def mixed(subject: Subject, probe: Probe, reference: Reference | None = None) -> Iterator[Finding]:
    """The first argument, whose gradient mixes slices that its forward keeps apart.

    reference: what is right where that is known; a mask of what is 0 may mix, too.
    """
    number = next((n for n, value in enumerate(probe.args) if value.dtype.kind == "f"), None)
    if number is None or not subject.takes_delta:
        return
    x, first = probe.args[number], answer(subject, probe.args, probe.delta)[number]
    if first is None or first.shape != x.shape or not np.isfinite(first).all():
        return
    jitter = None
    rng, pairs = np.random.default_rng(0), list(_kept_apart(subject, probe.args, number))
    for _ in range(AGAIN if pairs else 0):
        args = list(probe.args)
        numbers = rng.normal(size=x.shape).astype(x.dtype)
        args[number] = np.abs(numbers) if x.size and x.min() >= 0 else numbers
        also = list(_kept_apart(subject, args, number))
        pairs = [pair for pair in pairs if pair in also]
    for axis, along in pairs:
        for index in _spread(x.shape[axis]):
            args, delta = list(probe.args), probe.delta.copy()
            args[number] = changed(x, axis, index)
            delta[(slice(None),) * along + (index,)] *= -2
            after = attempt(subject, args, delta)
            value = None if after is None else after[number]
            if value is None or value.shape != first.shape:
                continue
            before, now = (np.delete(array, index, axis=axis) for array in (first, value))
            if roughly(subject, before, now, float(np.abs(first).max(initial=0.0))):
                continue
            jitter = jitters(subject, probe)[number] if jitter is None else jitter
            if not roughly(subject, before, now, float(np.abs(first).max(initial=0.0)), jitter):
                right = None if reference is None else reference(args, delta)[number]
                if right is not None and close(value, right).all():
                    continue
                said = {"name": subject.names[number], "axis": str(axis), "index": str(index)}
                yield Finding(
                    said["name"], TEXTS.say("contract.mixed", **said), mistake="samples mixed", evidence=said
                )
                return


def _kept_apart(subject: Subject, args: Sequence[Array], number: int) -> Iterator[tuple[int, int]]:
    """(axis of the argument, axis of the output): slice i of the one changes only slice i of the other."""
    x = args[number]
    try:
        out = output(subject, args)
    except Exception:  # their code may raise whatever it likes
        return
    for axis in range(x.ndim):
        if x.shape[axis] < 2:
            continue
        along = None
        for index in _spread(x.shape[axis]):
            changed_args = list(args)
            changed_args[number] = changed(x, axis, index)
            try:
                other = output(subject, changed_args)
            except Exception:  # their code may raise whatever it likes
                along = None
                break
            axes = [
                candidate
                for candidate in range(out.ndim)
                if out.shape[candidate] == x.shape[axis]
                and other.shape == out.shape
                and np.array_equal(np.delete(out, index, candidate), np.delete(other, index, candidate))
            ]
            if index == 0:
                along = axes[0] if axes else None
            elif along not in axes:
                along = None
            if along is None:
                break
        if along is not None:
            yield axis, along


def changed(x: Array, axis: int, index: int) -> Array:
    """Other numbers of the same kind in one slice."""
    made = x.copy()
    at = (slice(None),) * axis + (index,)
    made[at] = x[at] * np.asarray(-0.5, dtype=x.dtype) + np.asarray(0.25, dtype=x.dtype)
    return made


def _spread(size: int) -> list[int]:
    return sorted({int(place) for place in np.linspace(0, size - 1, min(size, MOST_SLICES))})
