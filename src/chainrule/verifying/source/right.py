"""What is right on a probe: by a formula, or by the differences of their forward."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from chainrule.base.types import Array
from chainrule.verifying.contract.calls import attempt, differences_of, output
from chainrule.verifying.differences import MOST_ENTRIES
from chainrule.verifying.precision import PRECISIONS, Reference, computed_in
from chainrule.verifying.probes import Probe
from chainrule.verifying.subjects.subject import Gradients, Subject

CLOSE, ROUNDINGS = 1e-6, 64  # of the largest entry: how far what is right may be off
EXACT = 1e-5  # of the largest entry: as far may what is solved for be off


@dataclass(frozen=True, eq=False)
class Right:
    """What is right on a probe.  values: per argument, None where none is known; known: which entries of it
    are; slack: what they may be off by.
    """

    probe: Probe
    out: Array
    values: Sequence[Array | None]
    known: Sequence[Array | None]
    slack: Sequence[Array | float]

    def wrong(self, given: Gradients | None) -> set[int]:
        """The arguments whose gradients are not that; all of them where there is no answer."""
        wanted = {number for number, value in enumerate(self.values) if value is not None}
        if given is None:
            return wanted
        return {number for number in wanted if not self.fits(number, given[number])}

    def exact(self, number: int) -> Array:
        """Which entries of what is right of an argument are known to more digits than others."""
        right = self.values[number]
        assert right is not None
        most = EXACT * np.abs(right).max(initial=1e-30)
        return np.asarray(np.broadcast_to(self.slack[number], right.shape) <= most)

    def looked(self, number: int) -> Array:
        """(every entry) whether `exact` knows it."""
        known, exact = self.known[number], self.exact(number)
        if known is None:
            return exact
        made = np.zeros(self.probe.args[number].size, dtype=bool)
        made[known[exact]] = True
        return made

    def rows(self, given: Gradients | None) -> list[Array] | None:
        """Of all that came back what is known to many digits; None where one of them is missing."""
        made = []
        for number, right in enumerate(self.values):
            value, known = None if given is None else given[number], self.known[number]
            if right is not None:
                if value is None or value.shape != self.probe.args[number].shape:
                    return None
                flat = np.asarray(value, dtype=np.float64).reshape(-1)
                made.append((flat if known is None else flat[known])[self.exact(number)])
        return made

    def fits(self, number: int, value: Array | None) -> bool:
        right, known = self.values[number], self.known[number]
        if value is None or right is None or value.shape != self.probe.args[number].shape:
            return False
        flat = np.asarray(value, dtype=np.float64).reshape(-1)
        flat = flat if known is None else flat[known]
        with np.errstate(all="ignore"):
            return bool((np.abs(flat - right) <= self.slack[number]).all())


def by_formula(subject: Subject, reference: Reference, probes: Sequence[Probe]) -> list[Right]:
    """What is right by a formula."""
    unit = PRECISIONS[computed_in(subject.args, subject.precision)].unit
    made = []
    for probe in probes:
        given = list(reference(probe.args, probe.delta))
        if not subject.takes_delta:  # a loss, of which nobody gives the gradient of the data
            theirs = attempt(subject, probe.args, probe.delta) or (None,) * len(given)
            given = [v if other is not None else None for v, other in zip(given, theirs, strict=True)]
        values = [None if v is None else np.asarray(v, np.float64).reshape(-1) for v in given]
        slack = [
            0.0 if v is None else (CLOSE + ROUNDINGS * unit) * np.abs(v).max(initial=1e-30) for v in values
        ]
        made.append(Right(probe, output(subject, probe.args), values, [None] * len(values), slack))
    return made


def by_differences(
    subject: Subject,
    probes: Sequence[Probe],
    numbers: Collection[int] | None = None,
    anew: bool = False,
    most: int = MOST_ENTRIES,
    given: Gradients | None = None,
) -> list[Right]:
    """What is right by the differences of their forward.  numbers: of the arguments, None: all.  anew: their
    forward is not what it was.  most: entries of each.  given: their gradients of the only probe, if known.
    """
    unit = PRECISIONS[computed_in(subject.args, subject.precision)].unit
    made = []
    for probe in probes:
        given = attempt(subject, probe.args, probe.delta) if given is None or len(probes) > 1 else given
        values: list[Array | None] = [None] * len(probe.args)
        entries: list[Array | None] = [None] * len(probe.args)
        slack: list[Array | float] = [0.0] * len(probe.args)
        for number, argument in enumerate(probe.args):
            if argument.dtype.kind != "f" or given is None or given[number] is None:
                continue
            if numbers is not None and number not in numbers:
                continue
            taken = differences_of(subject, probe, number, most, anew)
            plain = ~taken.kinks & np.isfinite(taken.values)
            values[number], entries[number] = taken.values[plain], taken.entries[plain]
            largest = np.abs(taken.values[plain]).max(initial=0.0)
            slack[number] = 20 * taken.errors[plain] + max(1e-6, 16 * unit) * largest
        made.append(Right(probe, output(subject, probe.args), values, entries, slack))
    return made
