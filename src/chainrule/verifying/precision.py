"""How far a correct computation in their precision may be off, entry by entry: measured, not looked up.

The reference runs in float64 several times with every result off at random by as much as a rounding in their
precision may put it off; what comes out is spread as the answers of correct programs are. Sums are off by
their absolute terms, so cancellation, large means and saturation widen the spread where they widen theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from chainrule.base.errors import ChainruleError
from chainrule.base.languages import Say
from chainrule.base.types import Array
from chainrule.verifying.texts import TEXTS

# (arguments, δ) -> a gradient per argument, in float64, by operations of NumPy that keep subclasses.
Reference = Callable[[Sequence[Array], Array], Sequence[Array | None]]

DRAWS, FEW = 12, 4
LARGE = 200_000  # entries of all arguments, from which on FEW draws must do; their spread counts double
# Of the spread. Of 6,000 arrays by right programs (tests/verifying/test_precision.py) the worst entry was at
# 0.62 of this; at 6 there were false alarms.
SAFETY = 20.0
# Of a rounding of an array's largest entry: another algebra than ours rounds other intermediates.
FLOOR = 4.0
# A few draws show a tenth of the spread of all once in 5,000 entries; what is right is not off by all of it.
FAR = 10.0
TELLING = 3.0  # how many times its tolerance an entry must be for a missing factor to show


@dataclass(frozen=True)
class Precision:
    """A binary format: significant bits, the exponent of its smallest step, its largest number."""

    bits: int
    lowest: int
    largest: float

    @property
    def unit(self) -> float:
        """The largest relative error of a rounding."""
        return 2.0**-self.bits


PRECISIONS: Mapping[str, Precision] = {
    "float64": Precision(53, -1074, float(np.finfo(np.float64).max)),
    "float32": Precision(24, -149, float(np.finfo(np.float32).max)),
    "float16": Precision(11, -24, 65504.0),
    "bfloat16": Precision(8, -133, 3.3895313892515355e38),
    "TF32": Precision(11, -136, 3.4011621342146535e38),
}


def precision_of(array: Array, declared: str | None = None) -> str:
    """The format in which an array was computed: the declared one, else its type; float64 where neither is
    one.
    """
    if declared is not None:
        return declared
    return array.dtype.name if array.dtype.name in PRECISIONS else "float64"


def computed_in(args: Sequence[Array], declared: str | None = None) -> str:
    """The format of what is computed from these: the declared one, else that of the floating-point array
    of the fewest bits, wherever it stands; float64 where there is none.
    """
    formats = [precision_of(value, declared) for value in args if value.dtype.kind == "f"]
    return min(formats, key=lambda name: PRECISIONS[name].bits, default=declared or "float64")


def rounded(values: Array, precision: str) -> Array:
    """The nearest numbers of the format, of two the even one, in float64; beyond the largest: infinite."""
    if precision == "float64":
        return np.array(values, dtype=np.float64)
    form, wide = PRECISIONS[precision], np.array(values, dtype=np.float64)
    with np.errstate(all="ignore"):
        exponent = np.frexp(wide)[1]
        step = np.ldexp(1.0, np.maximum(exponent - form.bits, form.lowest))
        made = np.rint(wide / step) * step
        return np.asarray(np.where(np.abs(made) > form.largest, np.copysign(np.inf, made), made))


# -- what may differ
def close(
    theirs: Array, right: Array, allowed: Array | None = None, precision: str | None = None
) -> Array:
    """(shape of right) whether entries agree.

    allowed: what they may differ by, entry by entry, as of `allowances`; without it half of the digits of
    the largest entry.
    """
    if allowed is None:
        allowed = half_of_the_digits(right, precision_of(theirs, precision))
    with np.errstate(invalid="ignore"):
        near = np.abs(theirs.astype(np.float64) - right) <= allowed
    return np.asarray(near | (theirs == right))


def half_of_the_digits(right: Array, precision: str, share: float = 0.5) -> Array:
    """(shape of right) √unit of the largest entry: where there is no reference to measure with.

    share: of the digits that are left.
    """
    largest = float(np.abs(right[np.isfinite(right)]).max(initial=0.0))
    return np.full(right.shape, PRECISIONS[precision].unit**share * largest + 1e-300)


def allowances(
    reference: Reference, args: Sequence[Array], delta: Array, precision: str, seed: int = 0
) -> tuple[Array | None, ...]:
    """What each gradient may differ by, entry by entry, if it is computed in `precision` in any order.

    Infinite where numbers leave the format's range.
    """
    return Spread(reference, args, delta, PRECISIONS[precision], np.random.default_rng(seed)).allowed()


@dataclass(eq=False)
class Spread:
    """What comes out of the reference with roundings at random, draw by draw."""

    reference: Reference
    args: Sequence[Array]
    delta: Array
    form: Precision
    rng: np.random.Generator
    made: int = 0  # draws

    @cached_property
    def exact(self) -> Sequence[Array | None]:
        """The reference in float64."""
        wide = [value.astype(np.float64) if value.dtype.kind == "f" else value for value in self.args]
        return self.reference(wide, self.delta)

    @cached_property
    def squares(self) -> list[Array | None]:
        """Of the draws' distances from it, added up."""
        return [None if value is None else np.zeros(value.shape) for value in self.exact]

    def allowed(self, most: int = DRAWS) -> tuple[Array | None, ...]:
        """Per gradient what it may be off by, after `most` draws at the most."""
        large = sum(value.size for value in self.args) > LARGE
        draws, safety = (FEW, 2 * SAFETY) if large else (DRAWS, SAFETY)
        while self.made < min(draws, most):
            self._draw()
        made: list[Array | None] = []
        for total, middle in zip(self.squares, self.exact, strict=True):
            if total is None or middle is None:
                made.append(None)
                continue
            middle = np.asarray(middle, dtype=np.float64)
            largest = float(np.abs(middle[np.isfinite(middle)]).max(initial=0.0))
            floor = FLOOR * self.form.unit * largest + 2.0**self.form.lowest
            allowed = safety * np.sqrt(total / self.made) + floor
            made.append(np.where(np.isfinite(allowed), allowed, np.inf))
        return tuple(made)

    def _draw(self) -> None:
        noise = Noise(self.form, self.rng)
        wide = (value.astype(np.float64) if value.dtype.kind == "f" else value for value in self.args)
        values = [noise.of(value) if value.dtype.kind == "f" else value for value in wide]
        with np.errstate(all="ignore"):
            drawn = self.reference(values, noise.of(self.delta))
            for total, value, middle in zip(self.squares, drawn, self.exact, strict=True):
                if total is not None and value is not None and middle is not None:
                    total += (np.asarray(value, dtype=np.float64) - middle) ** 2
        self.made += 1


@dataclass(eq=False)
class Tolerances:
    """Of all gradients of a probe; measured where one is not right to the last digits."""

    reference: Reference
    args: Sequence[Array]
    delta: Array
    precision: str

    @cached_property
    def spread(self) -> Spread:
        form = PRECISIONS[self.precision]
        return Spread(self.reference, self.args, self.delta, form, np.random.default_rng(0))

    @cached_property
    def measured(self) -> tuple[Array | None, ...]:
        """None for all of them where operations of the reference take no subclass of NumPy's arrays."""
        return self._after(DRAWS)

    @cached_property
    def glimpsed(self) -> tuple[Array | None, ...]:
        """The same after a few of the draws."""
        return self._after(FEW)

    def _after(self, draws: int) -> tuple[Array | None, ...]:
        try:
            return self.spread.allowed(draws)
        except (TypeError, ValueError, AttributeError, ChainruleError):
            return (None,) * len(self.args)


@dataclass(frozen=True, eq=False)
class Tolerance:
    """Of gradient `number` of a probe."""

    of: Tolerances
    number: int

    def allowed(self, right: Array) -> Array:
        """(shape of right) what it may be off by, entry by entry."""
        measured = self.of.measured[self.number]
        return half_of_the_digits(right, self.of.precision) if measured is None else measured

    def last_digits(self, theirs: Array, right: Array) -> bool:
        """Whether it is right to the last digits of its largest entry, so that nothing need be measured."""
        form = PRECISIONS[self.of.precision]
        largest = float(np.abs(right).max(initial=0.0))
        with np.errstate(invalid="ignore"):
            return bool((np.abs(theirs.astype(np.float64) - right) <= FLOOR * form.unit * largest).all())

    def wrong(self, theirs: Array, right: Array) -> Array:
        """(shape of right) which entries are off by more than a right answer may be."""
        if self.last_digits(theirs, right):
            return np.zeros(right.shape, dtype=bool)
        return ~close(theirs, right, self.allowed(right))

    def any_wrong(self, theirs: Array, right: Array) -> bool:
        """Whether any entry is: after a few draws, where those settle it."""
        if self.last_digits(theirs, right):
            return False
        glimpsed = self.of.glimpsed[self.number]
        if glimpsed is not None:
            if not close(theirs, right, FAR * glimpsed).all():
                return True
            if close(theirs, right, glimpsed * (FEW / DRAWS) ** 0.5).all():  # all draws allow no less
                return False
        return bool(self.wrong(theirs, right).any())

    def ratio(self, theirs: Array, right: Array) -> float:
        """The worst error beside its tolerance, or beside rounding where nothing was measured."""
        if self.last_digits(theirs, right):
            form = PRECISIONS[self.of.precision]
            bound = FLOOR * form.unit * float(np.abs(right).max(initial=0.0)) + 2.0**form.lowest
            return worst(theirs, right, np.full(right.shape, bound))[1]
        return worst(theirs, right, self.allowed(right))[1]

    def cannot_tell(self, theirs: Array, right: Array, name: str) -> Say | None:
        """Why this probe says nothing; None where it does."""
        if right.any() and self.last_digits(theirs, right):
            return None
        return cannot_tell(right, self.allowed(right), name)


def fits(reference: Reference, args: Sequence[Array], delta: Array) -> bool:
    """Whether the reference takes arguments of these shapes, and gives gradients of the same."""
    try:
        with np.errstate(all="ignore"):
            made = reference(args, delta)
    except Exception:  # shapes that are not what is meant fail anywhere
        return False
    return all(v is None or v.shape == arg.shape for v, arg in zip(made, args, strict=True))


def cannot_tell(right: Array, allowed: Array, name: str) -> Say | None:
    """Why these numbers say nothing on whether an array is right; None where they do."""
    if right.size and not right.any():
        return TEXTS.say("unsure.zero", name=name)
    if not np.isfinite(allowed).any():
        return TEXTS.say("unsure.range", name=name)
    if not (np.abs(right) > TELLING * allowed).any():
        return TEXTS.say("unsure.rounding", name=name)
    return None


def worst(theirs: Array, right: Array, allowed: Array) -> tuple[tuple[int, ...], float]:
    """The entry that is farthest off beside its tolerance, and its error over its tolerance."""
    if not right.size:
        return (), 0.0
    with np.errstate(all="ignore"):
        error = np.abs(theirs.astype(np.float64) - right)
        ratio = np.where(error == 0, 0.0, error / allowed)
    ratio = np.where(np.isnan(ratio), np.inf, ratio)
    place = np.unravel_index(int(ratio.argmax()), ratio.shape)
    return tuple(int(number) for number in place), float(ratio[place])


# -- rounding at random
EXACT = {
    np.negative, np.positive, np.absolute, np.sign, np.maximum, np.minimum, np.fmax, np.fmin, np.rint,
    np.floor, np.ceil, np.trunc, np.copysign, np.heaviside,
}  # fmt: skip
SUMS = {
    "tensordot", "einsum", "dot", "inner", "outer", "vdot", "convolve", "correlate", "sum", "mean", "cumsum",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Noise:
    """Roundings of a format, each anywhere up to its largest."""

    form: Precision
    rng: np.random.Generator

    def of(self, values: Array) -> NoisyArray:
        """Numbers as the format holds them: off at random where it cannot."""
        wide = np.array(values, dtype=np.float64)
        name = next(name for name, form in PRECISIONS.items() if form is self.form)
        held = rounded(wide, name) == wide
        return self.wrapped(np.where(held, wide, wide + self.error(wide)))

    def error(self, values: Array, terms: Array | float | None = None, count: Array | float = 1.0) -> Array:
        """Of values; of sums of `count` terms by their absolute sum.

        A running sum of n terms of one sign is off by √n/6 units of it, one of changing signs by 1/4.
        """
        size = np.abs(values) if terms is None else np.abs(terms) * (0.5 + np.sqrt(count) / 4)
        off = self.form.unit * size + 2.0 ** (self.form.lowest - 1)
        return np.asarray(self.rng.uniform(-1.0, 1.0, np.shape(values)) * off)

    def wrapped(self, values: Any) -> NoisyArray:
        wide = np.asarray(values, dtype=np.float64)
        over = np.abs(wide) > self.form.largest
        made = (np.where(over, np.copysign(np.inf, wide), wide) if over.any() else wide).view(NoisyArray)
        made.noise = self
        return made


class NoisyArray(np.ndarray[Any, Any]):
    """Numbers in float64 of which every operation's result is off by a rounding of another format."""

    noise: Noise | None

    def __array_finalize__(self, other: Any) -> None:
        self.noise = getattr(other, "noise", None)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        plain = [as_plain(value) for value in inputs]
        options = {name: as_plain(value) for name, value in options.items()}
        (target,) = options.pop("out", None) or (None,)
        result = self._of_ufunc(ufunc, method, plain, options, carried(inputs, "noise") or self.noise)
        if target is None:
            return result
        target[...] = result
        return target.view(NoisyArray)

    def _of_ufunc(self, ufunc: Any, method: str, plain: Any, options: Any, noise: Noise | None) -> Any:
        result = getattr(ufunc, method)(*plain, **options)
        if noise is None or not is_real(result):
            return result
        if ufunc in EXACT:
            return noise.wrapped(result)
        summed = ufunc is np.matmul or (ufunc is np.add and method == "reduce")
        if not summed:
            return noise.wrapped(result + noise.error(result))
        run = getattr(ufunc, method)
        terms, count = _terms(lambda *values: run(*values, **options), plain)
        return noise.wrapped(result + noise.error(result, terms, count))

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        noise = carried((args, tuple(options.values())), "noise") or self.noise
        plain, options = as_plain(args), {name: as_plain(value) for name, value in options.items()}
        result = function(*plain, **options)
        if noise is None:
            return result
        if function.__name__ in SUMS and is_real(result):
            terms, count = _terms(lambda *values: function(*values, **options), list(plain))
            return noise.wrapped(result + noise.error(result, terms, count))
        if isinstance(result, (list, tuple)):
            return type(result)(noise.wrapped(each) if is_real(each) else each for each in result)
        return noise.wrapped(result) if is_real(result) else result


def _terms(run: Callable[..., Any], plain: list[Any]) -> tuple[Array, Array]:
    """The sums of absolute terms, and how many terms there are."""
    absolute = [np.abs(value) if is_real(value) else value for value in plain]
    ones = [np.ones_like(value) if is_real(value) else value for value in plain]
    return np.asarray(run(*absolute)), np.asarray(run(*ones))


# -- arrays of a kind of their own, among the operands of a function
def is_real(value: Any) -> bool:
    return isinstance(value, (np.ndarray, np.floating)) and value.dtype.kind == "f"


def as_plain(value: Any) -> Any:
    """The same numbers as NumPy's own arrays, also in lists and tuples."""
    if isinstance(value, np.ndarray) and type(value) is not np.ndarray:
        return value.view(np.ndarray)
    if isinstance(value, (list, tuple)):
        return type(value)(as_plain(each) for each in value)
    return value


def carried(values: Sequence[Any], attribute: str) -> Any:
    """The attribute of the first array that has it, also in lists and tuples; None where none has."""
    for value in values:
        nested = isinstance(value, (list, tuple))
        held = carried(value, attribute) if nested else getattr(value, attribute, None)
        if held is not None:
            return held
    return None
