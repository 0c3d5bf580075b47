"""The search for the mistake behind one array: every mistake that its meaning offers, made and compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import combinations

import numpy as np

from chainrule.base.errors import ChainruleError
from chainrule.base.types import Array
from chainrule.formulas.expression import Number, substitute, walk
from chainrule.formulas.neighbours import RARE
from chainrule.verifying.factors import factor, factor_names
from chainrule.verifying.judging.hypotheses import Case, Mistake, agree
from chainrule.verifying.meanings.meaning import Argument, Bound, Edit, Edits, Meaning
from chainrule.verifying.precision import Tolerance, close
from chainrule.verifying.probes import Probe

# Formulas of a layer that are computed in the search for the causes of one verdict, 4 to 5 s of work.
# Counted, not timed: so the answer is the same on a busy machine.
MOST_TRIED = 12_000
TOLD_EVERY = 100  # of them
# What a formula with a mistake in it may raise: shapes that do not fit.
MISFITS = (
    *(ValueError, TypeError, IndexError, KeyError, AttributeError, NotImplementedError, ArithmeticError),
    ChainruleError,
)
SOLVING_STEPS = 12  # of Newton, for a constant
PAIRED = 200  # single mistakes of a formula that is still searched for two at once


@dataclass(eq=False)
class Budget:
    """How many formulas may still be computed.  told: of how many were, now and then."""

    left: int = MOST_TRIED
    told: Callable[[int], None] = lambda count: None
    spent: int = 0

    def spend(self, count: int) -> None:
        """So many are computed."""
        before = self.spent // TOLD_EVERY
        self.left -= count
        self.spent += count
        if self.spent // TOLD_EVERY > before:
            self.told(self.spent)


@dataclass(eq=False)
class Search:
    """The search for the mistake behind one array.  kept: arrays that are right, which a mistake must leave
    so; wrong: others that are wrong, which it may explain, too.  made: mistakes known to be made before it;
    found: what the search has found.  budget: of the whole verdict.  names: of the subject's arguments.
    """

    meaning: Meaning
    argument: Argument
    probes: Sequence[Probe]
    bounds: Sequence[Bound]
    theirs: Sequence[Array]
    budget: Budget
    tolerances: Sequence[Tolerance]
    names: Sequence[str]
    kept: Sequence[tuple[Argument, Sequence[Array]]] = ()
    wrong: Sequence[tuple[Argument, Sequence[Array]]] = ()
    made: dict[str, Edit] = field(default_factory=dict)
    found: list[Edit] = field(default_factory=list)
    known: dict[tuple[Edit, bool], str | None] = field(default_factory=dict)  # what `gives` has said

    def only(self, kept: Sequence[int]) -> Search:
        """The same on some of the probes; what it finds is found by both."""
        bounds, theirs = [self.bounds[n] for n in kept], [self.theirs[n] for n in kept]
        probes_ = [self.probes[n] for n in kept]
        tolerances = [self.tolerances[n] for n in kept]
        right, wrong = (
            [(argument, [arrays[n] for n in kept]) for argument, arrays in group]
            for group in (self.kept, self.wrong)
        )
        made = replace(self, probes=probes_, bounds=bounds, theirs=theirs, tolerances=tolerances)
        made.kept, made.wrong, made.known = right, wrong, {}
        return made

    def right(self, edits: Edits) -> list[Array]:
        """What came back would be this, were these mistakes made."""
        return [self.value(bound, edits) for bound in self.bounds]

    def value(self, bound: Bound, edits: Edits, argument: Argument | None = None) -> Array:
        """The gradient of this argument, or of another, with these mistakes, as theirs lies."""
        argument = argument or self.argument
        return self.meaning.to_theirs(bound, argument, self.meaning.gradient(bound, argument.gradient, edits))

    def case(self, edits: Edits) -> Case:
        sizes, tied = [bound.sizes for bound in self.bounds], [probe.tied for probe in self.probes]
        return Case(self.theirs, self.right(edits), tied, sizes, self.tolerances)

    def gives(self, edit: Edit, scaled: bool = True, other: Edit | None = None) -> str | None:
        """Whether this mistake gives what came back: "" as it is, "2" with a factor beside, None not.

        scaled: whether a factor may stand beside.  other: made at another place, too.  Sizes of which it
        cannot be computed, but theirs is right, say nothing.
        """
        if other is not None:
            return self._gives(edit, scaled, other)
        key = edit, scaled
        if key not in self.known:
            self.known[key] = self._gives(edit, scaled)
        return self.known[key]

    def _gives(self, edit: Edit, scaled: bool, other: Edit | None = None) -> str | None:
        scale: str | None = None
        differs = False  # from what there is without it, on a probe
        self.budget.spend(1)
        for number in self.order:
            theirs, bound = self.theirs[number], self.bounds[number]
            edits = {**self.made, edit.place: edit, **({} if other is None else {other.place: other})}
            try:
                if self.meaning.rules_out(bound, self.argument, theirs, edits):
                    return None
                if number == self.order[0]:
                    self.budget.spend(self.meaning.cost - 1)
                made = self.value(bound, edits)
            except MISFITS:
                if not self.is_right[number]:
                    return None
                continue
            if made.shape != theirs.shape:
                return None
            whole = made
            finite = np.isfinite(made)
            if not finite.all():  # a division by 0, as theirs has it
                if not finite.any() or (finite != np.isfinite(theirs)).any():
                    return None
                theirs, made = theirs[finite], made[finite]
            if scale is None:
                scale = "" if close(theirs, made).all() else None
                if scale is None and scaled:
                    scale = _named_ratio(theirs, made, bound.sizes)
                if scale is None:
                    return None
            elif not close(theirs, made * (factor(scale, bound.sizes) if scale else 1.0)).all():
                return None
            unchanged, by = self.unchanged[number], factor(scale, bound.sizes) if scale else 1.0
            differs = differs or whole.shape != unchanged.shape or not close(by * whole, unchanged).all()
        if not differs:
            return None
        if len(edit.trees) != 1:
            return None if self.spoils(edit) else scale
        behind = (each for each in (edit, other) if each is not None and each.place not in self._own)
        return None if any(map(self.touches, behind)) else scale

    @cached_property
    def order(self) -> list[int]:
        """The probes, that of the fewest steps first: it rules out most of the mistakes."""
        return sorted(range(len(self.bounds)), key=lambda number: self.bounds[number].sizes.get("T", 0))

    @cached_property
    def unchanged(self) -> list[Array]:
        """What came back would be this, were no other mistake made."""
        return self.right(self.made)

    @cached_property
    def is_right(self) -> list[bool]:
        """On which probes what came back is right."""
        pairs = zip(self.theirs, self.unchanged, strict=True)
        return [theirs.shape == right.shape and bool(close(theirs, right).all()) for theirs, right in pairs]

    @cached_property
    def _own(self) -> set[str]:
        """Where the formula of this array alone stands."""
        return set(list(self.meaning.places(self.argument.gradient))[:1])

    def touches(self, edit: Edit) -> bool:
        """Whether this mistake changes an array that came back right."""
        for argument, _ in self.kept:
            for bound in self.bounds[:2]:
                try:
                    right = self.value(bound, self.made, argument)
                    made = self.value(bound, {**self.made, edit.place: edit}, argument)
                except MISFITS:
                    continue
                if made.shape != right.shape or not close(made, right).all():
                    return True
        return False

    def spoils(self, edit: Edit) -> bool:
        """Whether this mistake would make an array wrong that is right."""
        return not all(self.explains(edit, *pair) for pair in self.kept)

    def explained(self, edit: Edit) -> int:
        """How many of the other wrong arrays this mistake explains."""
        return sum(self.explains(edit, *pair) for pair in self.wrong)

    def explains(self, edit: Edit, argument: Argument, theirs: Sequence[Array]) -> bool:
        """Whether an array came back as this mistake makes it."""
        edits = {**self.made, edit.place: edit}
        for bound, value in zip(self.bounds, theirs, strict=True):
            try:
                made = self.value(bound, edits, argument)
            except MISFITS:
                return False
            if made.shape != value.shape or not close(value, made).all():
                return False
        return True

    def everywhere(self) -> Edit | None:
        """A mistake beside the formulas that gives this array, the one that explains most of the others."""
        given = [
            edit
            for edit in self.meaning.others(self.argument.gradient)
            if edit.place not in self.made and self.gives(edit) == ""
        ]
        return max(given, key=self.explained, default=None)

    def another(self) -> Iterator[Mistake]:
        """Another argument's gradient, of the same shape, with which this one is exchanged."""
        for argument, theirs in self.wrong:
            other = [self.value(bound, {}, argument) for bound in self.bounds]
            if agree(self.theirs, other) and agree(theirs, self.right({})):
                yield Mistake("another", {"other": argument.name})

    def misread(self) -> Iterator[Mistake]:
        """Another argument that is read in another order: two axes of one size exchanged, one reversed."""
        for number, (name, value) in enumerate(zip(self.names, self.probes[0].args, strict=True)):
            if number == self.argument.number or value.dtype.kind != "f" or value.ndim < 2:
                continue
            shapes = [probe.args[number].shape for probe in self.probes]
            alike = [p for p in combinations(range(value.ndim), 2) if all(s[p[0]] == s[p[1]] for s in shapes)]
            for first, second in alike:
                if self._gives_read(number, partial(np.swapaxes, axis1=first, axis2=second)):
                    yield Mistake("misread", {"other": name, "first": str(first), "second": str(second)})
            for axis in range(value.ndim):
                if self._gives_read(number, partial(np.flip, axis=axis)):
                    yield Mistake("misread_backwards", {"other": name, "axis": str(axis)})

    def _gives_read(self, number: int, reading: Callable[[Array], Array]) -> bool:
        for probe, theirs in zip(self.probes, self.theirs, strict=True):
            args = [reading(v) if place == number else v for place, v in enumerate(probe.args)]
            try:
                made = self.value(self.meaning.bind(replace(probe, args=tuple(args))), self.made)
            except MISFITS:
                return False
            if made.shape != theirs.shape or not close(theirs, made).all():
                return False
        return True

    def shared(self) -> Edit | None:
        """A mistake in a definition that explains other wrong arrays, too: the one that explains most."""
        best, most = None, 0
        for edit in self._shared() if self.wrong else ():
            if self.gives(edit) == "" and (count := self.explained(edit)) > most:
                best, most = edit, count
            if self.budget.left <= 0 or most == len(self.wrong):
                return best
        # Not all: it may be made in one formula behind this one alone, where others have it right.
        for edit in self.meaning.edits(self.argument.gradient, self.bounds[0]) if best else ():
            behind = not self._own.issuperset(edit.trees)
            if behind and self.gives(edit) == "" and (count := self.explained(edit)) > most:
                best, most = edit, count
            if self.budget.left <= 0 or most == len(self.wrong):
                break
        return best

    def _shared(self) -> Iterator[Edit]:
        """Those of a definition wherever it is used, then those at one of its uses in another."""
        for deep in (False, True):
            for edit in self.meaning.shared(self.argument.gradient, self.bounds[0]):
                if edit.deep == deep:
                    yield edit

    def stale(self) -> Iterator[Mistake]:
        """An argument of the first call in place of this call's, wherever the sizes are the same."""
        for argument in self.meaning.arguments:
            number, shown = argument.number, 0
            for n, (probe, theirs) in enumerate(zip(self.probes, self.theirs, strict=True)):
                args = list(probe.args)
                args[number] = self.probes[0].args[number]
                try:
                    bound = self.meaning.bind(Probe(tuple(args), probe.delta))
                    made = self.value(bound, self.made)
                except MISFITS:
                    continue
                if made.shape != theirs.shape or not close(theirs, made).all():
                    shown = 0
                    break
                shown += n > 0 and not close(theirs, self.value(self.bounds[n], self.made)).all()
            if shown:
                yield Mistake("stale", {"other": argument.name})

    def by_rate(self) -> Iterator[Edit]:
        """A parameter that is updated before it is used, by the learning rate that the first probe shows."""
        for make in self.meaning.updated(self.argument.gradient):
            trial = make(1.0)
            try:
                right = self.value(self.bounds[0], self.made)
                step = self.value(self.bounds[0], {**self.made, trial.place: trial}) - right
            except MISFITS:
                continue
            square = float((step * step).sum())
            if right.shape != self.theirs[0].shape or not square:
                continue
            rate = float(((self.theirs[0] - right) * step).sum()) / square
            for value in dict.fromkeys((float(f"{rate:.4g}"), rate)):
                if value and self.gives(edit := make(value)) == "":
                    yield edit
                    break

    def by_constant(self) -> Iterator[Edit]:
        """Another number in place of a constant of this array's own formula: 1/√π for 1/√(2π), a slope."""
        place = next(iter(self.meaning.places(self.argument.gradient)), "")
        if not place or place in self.made:
            return
        tree = self.meaning.formula(place)
        numbers = dict.fromkeys(node for _, node in walk(tree) if isinstance(node, Number))
        for number in numbers:

            def made(value: float, number: Number = number) -> Edit:
                wrong = substitute(tree, {number: Number(value)})
                return Edit(place, "constant", {place: wrong}, number, Number(float(f"{value:.6g}")))

            for start in (number.value, 1.0, -1.0):
                value = self._solved(made, start)
                if value is None:
                    continue
                for near in dict.fromkeys((float(f"{value:.6g}"), value)):
                    if near != number.value and self.gives(edit := made(near), scaled=False) == "":
                        yield edit
                        return

    def _solved(self, make: Callable[[float], Edit], start: float) -> float | None:
        """The number with which the first probe comes out as theirs; None where none is found."""

        def at(value: float) -> Array:
            edit = make(value)
            self.budget.spend(self.meaning.cost)
            return self.value(self.bounds[0], {**self.made, edit.place: edit})

        theirs, value = self.theirs[0], start
        try:
            for _ in range(SOLVING_STEPS):
                nudge = 1e-4 * (abs(value) or 1.0)
                here = at(value)
                slope = (at(value + nudge) - here) / nudge
                square = float((slope * slope).sum())
                if here.shape != theirs.shape or not 0 < square < np.inf:
                    return None
                step = float(((theirs - here) * slope).sum()) / square
                value += step
                if abs(step) <= 1e-14 * abs(value):
                    break
        except MISFITS:
            return None
        return value if np.isfinite(value) else None

    def mistakes(self) -> Iterator[tuple[list[Edit], str]]:
        """Mistakes, one or two at once, that give what came back on every probe, and a factor beside.

        Those in this array's own formula come before those in a definition, and these before one that is made
        in one of its uses alone, of which there are most: 2 300 of the 4 000 of an LSTM's x.
        """
        scaled, single = [], []
        meaning, about = self.meaning, (self.argument.gradient, self.bounds[0])
        own = (edit for edit in meaning.edits(*about) if not edit.deep)
        deep = (edit for edit in meaning.edits(*about) if edit.deep)
        for edits in (own, meaning.instead(*about), self._shared(), deep):
            for edit in edits:
                single.append(edit)
                scale = self.gives(edit)
                if scale == "":
                    yield [edit], ""
                elif scale is not None:
                    scaled.append((edit, scale))
                if self.budget.left <= 0:
                    break
        for edit in self.by_rate():
            if self.gives(edit) == "":
                yield [edit], ""
        yield from (([edit], scale) for edit, scale in scaled)
        yield from (([edit], "") for edit in self.by_constant())
        yield from self._pairs(single)

    def _pairs(self, single: Sequence[Edit]) -> Iterator[tuple[list[Edit], str]]:
        """Two in one formula, first the same left out at two of its uses; then in formulas of two layers."""
        nearest = next(iter(self.meaning.places(self.argument.gradient)), "")
        near = [edit for edit in single if edit.place == nearest and edit.kind not in RARE]
        near = [edit for edit in near if "use" not in edit.values]
        seen = {edit.trees[nearest] for edit in single if edit.place == nearest}
        twice = [edit for edit in near if edit.deep and edit.kind.endswith(" only")]
        for alike, firsts in ((True, twice), (False, near if len(near) <= PAIRED else [])):
            for edit in firsts:
                for second in self.meaning.second(edit, nearest, self.bounds[0], alike):
                    if second.trees[nearest] in seen:
                        continue
                    seen.add(second.trees[nearest])
                    if self.gives(second, scaled=False) == "":
                        yield [edit, second], ""
                    if self.budget.left <= 0:
                        return
        yield from (([first, second], "") for first, second in self._apart(single))

    def _apart(self, single: Sequence[Edit]) -> Iterator[tuple[Edit, Edit]]:
        """Two mistakes in formulas of different layers, through both of which δ comes."""
        plain = [edit for edit in single if len(edit.trees) == 1 and edit.kind not in RARE]
        plain = [edit for edit in plain if "use" not in edit.values]
        plain.sort(key=lambda edit: edit.kind == "symbol")  # of these there are most
        if len({edit.place for edit in plain}) < 2:
            return
        least = self.budget.left // 2  # the other arrays are searched, too
        for first, second in combinations(plain, 2):
            if self.budget.left <= least:
                return
            if first.place != second.place and self.gives(second, scaled=False, other=first) == "":
                yield first, second


def _named_ratio(theirs: Array, made: Array, sizes: Mapping[str, int]) -> str | None:
    """The name of the factor between them, if it is the same everywhere and has one."""
    square = float((made * made).sum())
    if not square:
        return None
    ratio = float((theirs * made).sum()) / square
    if not close(theirs, ratio * made).all():
        return None
    return next((n for n in factor_names(sizes) if abs(factor(n, sizes) - ratio) < 1e-3 * abs(ratio)), None)
