"""Whole numbers: where a backward pass only adds, multiplies and chooses, small ones make every order of
summation exact, so that answers are compared bit for bit and no tolerance plays a part.

Whether it is of that kind is seen on the reference: it runs on whole numbers, and every result on its way
must be whole and its absolute terms must fit into the format. Numbers of more digits than a smaller format
holds then show that something was computed in that: they are rounded there, and only there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from chainrule.base.languages import Say
from chainrule.base.types import Array
from chainrule.verifying.contract.calls import attempt
from chainrule.verifying.precision import (
    PRECISIONS,
    Reference,
    as_plain,
    carried,
    computed_in,
    is_real,
    rounded,
)
from chainrule.verifying.probes import Probe
from chainrule.verifying.subjects.subject import Gradients, Subject
from chainrule.verifying.texts import TEXTS
from chainrule.verifying.verdict import Finding

SMALLER = {"float32": ("bfloat16", "TF32"), "float64": ("bfloat16", "TF32", "float32")}
# An answer that is off by less, in roundings of its largest entry, is of another algorithm: the transforms of
# Winograd and Fourier are right and not exact.
ANOTHER_ALGORITHM = 256.0
BEYOND = 2.0**17  # float16's range; products of three are within float32's

# Whole numbers, the reference's gradients of them, and theirs.
Run = tuple[Probe, Sequence[Array | None], Gradients]


@dataclass(frozen=True, eq=False)
class Whole:
    """tried: how many arrays were compared bit for bit; findings, notes: as of the contract."""

    tried: int
    findings: tuple[Finding, ...]
    notes: tuple[Say, ...]


def compared_whole(subject: Subject, reference: Reference, probe: Probe, seed: int = 0) -> Whole | None:
    """Their answers on whole numbers of the shapes of `probe` beside the reference's; None where the backward
    pass is of another kind.

    A difference beyond rounding is left to the other judges: it is no matter of precision.
    """
    rng = np.random.default_rng(seed)
    if all(value.dtype.kind != "f" for value in probe.args):
        return None
    precision = computed_in(probe.args, subject.precision)
    drawn = _fitting(reference, probe, precision, rng)
    theirs = None if drawn is None else attempt(subject, drawn[0].args, drawn[0].delta)
    if drawn is None or theirs is None:
        return None
    exact = drawn[1]
    wide = cache(lambda: list(_on_wide(subject, reference, probe, precision, rng)))
    findings: list[Finding] = []
    notes: list[Say] = []
    tried = 0
    for number, (name, value, right) in enumerate(zip(subject.names, theirs, exact, strict=True)):
        if value is None or right is None or value.shape != right.shape or not right.any():
            continue
        tried += 1
        if np.array_equal(value, right):
            smaller = _smaller(subject, reference, wide(), number, precision)
            if smaller:
                smaller = _of_range(subject, drawn[0], number, smaller)
                findings.append(_computed_in(name, smaller))
            continue
        form = _format_of(subject, reference, drawn[0], number, value, right, precision)
        if form is not None:
            form = _of_range(subject, drawn[0], number, form)
            findings.append(_computed_in(name, form))
        elif _off(value, right, precision) <= ANOTHER_ALGORITHM:
            notes.append(TEXTS.say("whole.inexact", name=name))
    if tried and not findings and not notes:
        notes.append(TEXTS["whole.exact"])
    return Whole(tried, tuple(findings), tuple(notes))


def _computed_in(name: str, form: str) -> Finding:
    what = TEXTS.say("whole.computed_in", name=name, form=form)
    return Finding(name, what, mistake=f"computed in {form}", evidence={"format": form})


# -- numbers
def _fitting(
    reference: Reference, probe: Probe, precision: str, rng: np.random.Generator
) -> tuple[Probe, Sequence[Array | None]] | None:
    """The widest range of whole numbers that the format is exact for, and the reference's answer: arguments
    without ties, then up to 3, then ±1; in multiples of what the reference divides by.
    """
    for most in (0, 3, 1):
        drawn = _small(probe, most, 1, rng)
        watch = _Watch(0.0)
        exact = run_exact(reference, drawn, precision, watch)
        if exact is None and watch.divisor > 1:
            drawn = _small(probe, most, watch.divisor, rng)
            exact = run_exact(reference, drawn, precision)
        if exact is not None:
            return drawn, exact
    return None


def _small(probe: Probe, most: int, factor: int, rng: np.random.Generator) -> Probe:
    """Whole numbers up to `most` but 0, or 0: all different; in multiples of `factor`; what is no real number
    as it is.
    """

    def draw(value: Array, most: int) -> Array:
        if value.dtype.kind != "f":
            return value.copy()
        sign = rng.choice([-1, 1], value.shape)
        if most:
            numbers = rng.integers(1, most + 1, value.shape)
        else:
            numbers = rng.permutation(value.size).reshape(value.shape) + 1
        with np.errstate(over="ignore"):
            return np.asarray(factor * numbers * sign, dtype=value.dtype)

    return Probe(tuple(draw(value, most) for value in probe.args), draw(probe.delta, most or 3), most > 0)


def _wide(probe: Probe, place: int, bits: int, rng: np.random.Generator) -> Probe:
    """One argument, or at -1 δ, of odd numbers of more than `bits` bits; the others ±1."""

    def draw(value: Array, wide: bool) -> Array:
        if value.dtype.kind != "f":
            return value.copy()
        sign = rng.choice([-1.0, 1.0], value.shape)
        if not wide:
            return np.asarray(sign, dtype=value.dtype)
        size = 2.0**bits + 2.0 * rng.integers(0, 2 ** (bits - 1), value.shape) + 1
        return np.asarray(sign * size, dtype=value.dtype)

    args = tuple(draw(value, number == place) for number, value in enumerate(probe.args))
    return Probe(args, draw(probe.delta, place == -1), tied=True)


# -- smaller formats
def _on_wide(
    subject: Subject, reference: Reference, probe: Probe, precision: str, rng: np.random.Generator
) -> Iterator[Run]:
    """Numbers of more digits than each smaller format holds, in every argument and in δ, and both answers."""
    for form in SMALLER.get(precision, ()):
        for place in range(-1, len(probe.args)):
            if place >= 0 and probe.args[place].dtype.kind != "f":
                continue
            wide = _wide(probe, place, PRECISIONS[form].bits, rng)
            exact = run_exact(reference, wide, precision)
            theirs = None if exact is None else attempt(subject, wide.args, wide.delta)
            if exact is not None and theirs is not None:
                yield wide, exact, theirs


def _smaller(
    subject: Subject, reference: Reference, runs: Sequence[Run], number: int, precision: str
) -> str | None:
    """The format smaller than theirs in which gradient `number` is computed; None where there is none."""
    for wide, exact, theirs in runs:
        right, value = exact[number], theirs[number]
        if right is None or value is None or not right.any():
            continue
        if value.shape != right.shape or np.array_equal(value, right):
            continue
        by_size = _format_of(subject, reference, wide, number, value, right, precision)
        if by_size is not None:
            return by_size
    return None


def _with_rounded(probe: Probe, form: str) -> Probe:
    args = tuple(rounded(v, form) if v.dtype.kind == "f" else v for v in probe.args)
    return Probe(args, rounded(probe.delta, form), True)


def _format_of(
    subject: Subject,
    reference: Reference,
    probe: Probe,
    number: int,
    value: Array,
    right: Array,
    precision: str,
) -> str | None:
    """The smaller format whose roundings the errors of gradient `number` are: the answer rounded to it, that
    of rounded arguments, or errors of its size that do not add up as those of a wrong formula would.
    """
    forms = SMALLER.get(precision, ())
    for form in forms:
        narrowed = _with_rounded(probe, form)
        args = [np.asarray(v, dtype=np.float64) if v.dtype.kind == "f" else v for v in narrowed.args]
        other = reference(args, narrowed.delta)[number]
        if np.array_equal(value, rounded(right, form)) or np.array_equal(value, np.asarray(other)):
            return form
    off = _off(value, right, precision)
    steps = {form: off * PRECISIONS[precision].unit / PRECISIONS[form].unit for form in forms}
    fitting = [form for form in forms if off > ANOTHER_ALGORITHM and 2.0**-6 < steps[form] <= 16]
    if fitting and _rounds(subject, probe, number, value, right):
        return min(fitting, key=lambda form: abs(math.log2(steps[form])))
    return None


def _of_range(subject: Subject, probe: Probe, number: int, form: str) -> str:
    """The format: of those of 11 bits float16 alone ends at 65504."""
    if form != "TF32":
        return form
    args = [value * value.dtype.type(BEYOND) if value.dtype.kind == "f" else value for value in probe.args]
    given = attempt(subject, args, probe.delta * probe.delta.dtype.type(BEYOND))
    value = None if given is None else given[number]
    return form if value is None or np.isfinite(value).all() else "float16"


def _rounds(subject: Subject, probe: Probe, number: int, value: Array, right: Array) -> bool:
    """Whether the answers to two δ do not add up to that of their sum: roundings do not, formulas do."""
    turned = np.flip(probe.delta.reshape(-1)).reshape(probe.delta.shape)
    answers = [attempt(subject, probe.args, delta) for delta in (turned, probe.delta + turned)]
    apart, together = (None if given is None else given[number] for given in answers)
    if apart is None or together is None or not apart.shape == together.shape == value.shape:
        return False
    gap = np.abs(together.astype(np.float64) - value - apart).max(initial=0.0)
    return bool(gap > np.abs(value.astype(np.float64) - right).max(initial=0.0) / 64)


def _off(value: Array, right: Array, precision: str) -> float:
    """The largest error, in roundings of the largest entry."""
    with np.errstate(all="ignore"):
        error = float(np.abs(value.astype(np.float64) - right).max(initial=0.0))
    largest = float(np.abs(right).max(initial=0.0))
    return error / (PRECISIONS[precision].unit * largest) if np.isfinite(error) else np.inf


# -- the reference on whole numbers
def run_exact(
    reference: Reference, probe: Probe, precision: str, watch: _Watch | None = None
) -> Sequence[Array | None] | None:
    """The reference's gradients where every result on the way is whole and of at most the format's bits in
    whatever order it is summed; None where one is not.
    """
    form, watch = PRECISIONS[precision], watch or _Watch(0.0)
    watch.most = min(2.0**form.bits, form.largest)
    args = [watch.of(value) if value.dtype.kind == "f" else value for value in probe.args]
    try:
        with np.errstate(all="ignore"):
            made = reference(args, watch.of(probe.delta))
    except (ArithmeticError, ValueError, TypeError):
        return None
    values = [None if value is None else np.asarray(value, dtype=np.float64) for value in made]
    for value in values:
        if value is not None and not watch.holds(value, np.abs(value)):
            return None
    return values if watch.whole else None


@dataclass(eq=False)
class _Watch:
    """whole: so far; most: the largest whole number up to which every one is in the format; divisor: the
    product of the numbers that were divided by.
    """

    most: float
    whole: bool = True
    divisor: int = 1

    def of(self, values: Array) -> WholeArray:
        made = np.array(values, dtype=np.float64).view(WholeArray)
        made.watch = self
        return made

    def holds(self, values: Array, terms: Array) -> bool:
        finite = np.isfinite(values)
        fits = bool(np.all(np.rint(values[finite]) == values[finite]))
        self.whole = self.whole and fits and bool(np.all(terms[finite] <= self.most))
        return self.whole


SUMMED = {"tensordot", "einsum", "dot", "inner", "outer", "sum"}
ENTRYWISE = {np.add, np.subtract, np.multiply, np.matmul}
CHOICES = {
    np.negative, np.positive, np.absolute, np.sign, np.maximum, np.minimum, np.greater, np.less, np.equal,
    np.greater_equal, np.less_equal, np.not_equal, np.logical_and, np.logical_or, np.logical_not,
    np.isfinite, np.isnan,
}  # fmt: skip


class WholeArray(np.ndarray[Any, Any]):
    """Whole numbers in float64 that tell their watch of a result that is none, or too large."""

    watch: _Watch

    def __array_finalize__(self, other: Any) -> None:
        if hasattr(other, "watch"):
            self.watch = other.watch

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        plain = [as_plain(value) for value in inputs]
        (target,) = options.pop("out", None) or (None,)
        options = {name: as_plain(value) for name, value in options.items()}
        run = getattr(ufunc, method)
        result = run(*plain, **options)
        watch = carried(inputs, "watch") or self.watch
        if ufunc is np.true_divide:
            if np.ndim(plain[1]) == 0 and 1 < plain[1] == int(plain[1]):
                watch.divisor *= int(plain[1])
            watch.holds(np.asarray(result, dtype=np.float64), np.abs(result))
        elif ufunc in ENTRYWISE:
            added = np.add if ufunc is np.subtract else run
            terms = _of_absolute(lambda *values: added(*values, **options), plain)
            watch.holds(np.asarray(result), terms)
        elif ufunc not in CHOICES:
            watch.whole = False
        if target is not None:
            target[...] = result
            return target
        return watch.of(result) if is_real(result) else result

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        plain, named = as_plain(args), {name: as_plain(value) for name, value in options.items()}
        watch = carried((args, tuple(options.values())), "watch") or self.watch
        result = function(*plain, **named)
        if function.__name__ in SUMMED and is_real(result):
            terms = _of_absolute(lambda *values: function(*values, **named), list(plain))
            watch.holds(np.asarray(result), terms)
        if isinstance(result, (list, tuple)):
            return type(result)(watch.of(each) if is_real(each) else each for each in result)
        return watch.of(result) if is_real(result) else result


def _of_absolute(run: Callable[..., Any], plain: Sequence[Any]) -> Array:
    return np.asarray(run(*(np.abs(value) if is_real(value) else value for value in plain)))
