"""Probes of other sizes than the given, and whether a factor is such a size: 3 is 2/m of six rows alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain

import numpy as np

from chainrule.verifying.contract.calls import attempt, output
from chainrule.verifying.factors import factor
from chainrule.verifying.judging.findings import finding
from chainrule.verifying.judging.hypotheses import Case, Mistake, agree, factors
from chainrule.verifying.probes import Probe, different_sizes, linked_sizes
from chainrule.verifying.subjects.subject import Subject
from chainrule.verifying.texts import TEXTS
from chainrule.verifying.verdict import Finding

MANY, MOST_OF_MANY = 67, 20_000  # samples, no multiple of any block; entries of all arguments with so many
COMMON = ("2", "1/2")  # factors that are hardly a size


@dataclass(eq=False)
class Sizes:
    """Of one subject.  beside: an array, by its name, beside the differences of a probe; None where these
    cannot be taken.
    """

    subject: Subject
    seed: int
    beside: Callable[[str, Probe], Case | None]

    @cached_property
    def resized(self) -> Probe | None:
        """`of_other_sizes` where it is not too large and backward takes it; else None."""
        probe = self.of_other_sizes
        if probe is None or sum(value.size for value in probe.args) > MOST_OF_MANY:
            return None
        return None if attempt(self.subject, probe.args, probe.delta) is None else probe

    @cached_property
    def of_other_sizes(self) -> Probe | None:
        """A probe of sizes that all differ; None where forward takes none."""
        subject, rng = self.subject, np.random.default_rng(self.seed + 1)
        args = different_sizes(subject.args, subject.forward, rng, subject.precision)
        return None if args is None else Probe(args, subject.drawn_delta(output(subject, args), rng))

    @cached_property
    def linked(self) -> list[Probe]:
        """Probes of other sizes, as far as forward takes them, and of many samples: all axes of one size are
        taken to be one, for a forward may take some that belong to no layer, and ignore what is too much.
        """
        subject, rng, made = self.subject, np.random.default_rng(self.seed + 2), []
        first = list(subject.args[0].shape[:1])
        for sizes in (None, *({size: MANY} for size in first)):
            most = MOST_OF_MANY // 4
            args = linked_sizes(subject.args, subject.forward, rng, subject.precision, sizes, most)
            if args is None or sum(value.size for value in args) > most:
                continue
            delta = subject.drawn_delta(output(subject, args), rng)
            given = attempt(subject, args, delta)
            pairs = zip(given or (), args, strict=False)
            if given is not None and all(g is None or g.shape == value.shape for g, value in pairs):
                made.append(Probe(args, delta))
        return made

    def counted(self, found: Finding, case: Case, tried: Sequence[Probe]) -> Finding:
        """With a factor named that is a size of the first argument only if it follows that size, and one that
        is a number only if it stays where sizes change: 3 is 2/m of six rows alone, 1/2 is 1/m of two.
        """
        if found.mistake and not found.mistake.startswith("factor "):
            return found
        plain = replace(case, sizes=[{}] * len(tried))
        constant = next(chain(factors(plain), factors(plain, rare=True)), None)
        stays = constant is not None and self._follows(found.name, plain, constant, None)
        if constant is not None and (stays or (stays is None and constant.values.get("factor") in COMMON)):
            return finding(found.name, plain, 0, None)
        for letter, axis in self._axes():
            again = replace(case, sizes=[{letter: _count(probe, axis)} for probe in tried])
            other = next(chain(factors(again), factors(again, rare=True)), None)
            if other is None or letter not in other.values.get("factor", ""):
                continue
            follows = self._follows(found.name, again, other, axis)
            if follows or (follows is None and letter == "m"):
                made = finding(found.name, again, 0, None)
                if letter == "m":
                    return made
                of = {"letter": letter, "axis": axis, "name": self.subject.names[0]}
                why = TEXTS.within("mistake")["factor_counted"].format(**other.values, **of)
                return replace(made, why=why)
        if constant is not None and stays is None:
            return finding(found.name, plain, 0, None)
        return replace(found, why=None, fix=None, mistake="")

    def _axes(self) -> list[tuple[str, int]]:
        """(letter, axis) of what the first argument counts: samples, features; of ids behind them, steps."""
        first = self.subject.args[0]
        last = max(first.ndim - 1, 0)
        if first.dtype.kind == "i":
            return [("m", 0), ("T", last)]
        return [("m", last), ("n", 0)] if self._samples_last else [("m", 0), ("n", last)][: 1 + (last > 0)]

    @cached_property
    def _samples_last(self) -> bool:
        """Whether columns of the first argument are samples: of rows the output mixes several."""
        first, out = self.subject.args[0], output(self.subject, self.subject.args)
        if first.ndim != 2 or out.ndim != 2 or first.dtype.kind != "f" or out.shape[1] != first.shape[1]:
            return False
        row, column = first.copy(), first.copy()
        row[0], column[:, 0] = row[0] + 1, column[:, 0] + 1
        try:
            by_row, by_column = (output(self.subject, [v, *self.subject.args[1:]]) for v in (row, column))
        except Exception:  # their code may raise whatever it likes
            return False
        alone = out.shape[0] == first.shape[0] and np.array_equal(by_row[1:], out[1:])
        return not alone and np.array_equal(by_column[:, 1:], out[:, 1:])

    def _follows(self, array: str, case: Case, mistake: Mistake, axis: int | None) -> bool | None:
        """Whether the same factor is there with other sizes, too; None where none can be had."""
        probe = self.resized
        if probe is None or not probe.args[0].ndim:
            return None
        other = self.beside(array, probe)
        if other is None:
            return None
        sizes = {} if axis is None else {next(iter(case.sizes[0])): _count(probe, axis)}
        by = factor("-1" if mistake.kind == "minus" else mistake.values.get("factor", "0"), sizes)
        theirs, right = other.theirs[0], other.right[0]
        known = theirs != right  # what is not differenced there stands as it came back
        return bool(known.any()) and agree([theirs[known]], [by * right[known]])


def _count(probe: Probe, axis: int) -> int:
    """The size of an axis of the first argument."""
    shape = probe.args[0].shape
    return shape[axis] if axis < len(shape) else 1
