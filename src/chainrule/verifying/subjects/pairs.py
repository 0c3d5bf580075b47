"""Two functions as a Subject: forward and backward as CS231n has them, or a function and its derivative."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, DataError, ShapeError
from chainrule.base.languages import Say
from chainrule.base.types import Array
from chainrule.verifying.subjects.calls.arguments import Arguments, Kept, check_real, parameters_of
from chainrule.verifying.subjects.calls.carriers import as_array, is_array, like_output
from chainrule.verifying.subjects.calls.passing import Passed, call_of, deltas_of, without_delta
from chainrule.verifying.subjects.calls.returned import Wanted, by_argument, taken_as
from chainrule.verifying.subjects.calls.running import call
from chainrule.verifying.subjects.subject import (
    Gradients,
    Steps,
    Subject,
    cut_deltas,
    joined_outputs,
    with_outputs,
)
from chainrule.verifying.texts import TEXTS

OUTPUT = "the output of forward"


@dataclass(frozen=True, eq=False)
class Pass:
    """One call of forward. outputs: those that backward takes a δ of; chosen: the one that is judged, None:
    all of real numbers, joined.

    bundle: tuple or list, where they come as one value, (h, c), and so do their δ.
    """

    outputs: tuple[Any, ...]
    passed: Passed
    chosen: int | None
    bundle: Callable[[Any], Any] | None = None

    def output(self) -> Array:
        if self.chosen is not None:
            return as_array(self.outputs[self.chosen], OUTPUT)
        return joined_outputs([as_array(self.outputs[place], OUTPUT) for place in self.real()])

    def real(self) -> list[int]:
        """The places of the outputs that are of real numbers."""
        return [n for n, out in enumerate(self.outputs) if as_array(out, OUTPUT).dtype.kind == "f"]

    def deltas(self, delta: Array) -> list[Any]:
        """δ of every output: 0 of those that are not judged."""
        outputs = [as_array(out, OUTPUT) for out in self.outputs]
        each: list[Array] = [np.zeros_like(out) for out in outputs]
        if self.chosen is None:
            real = self.real()
            for place, part in zip(real, cut_deltas(delta, [outputs[n] for n in real]), strict=True):
                each[place] = part
        else:
            each[self.chosen] = delta
        return [like_output(out, part) for out, part in zip(self.outputs, each, strict=True)]


@dataclass(frozen=True, eq=False)
class Pair:
    """How two functions are called. output: which of several is judged, None: the first; together: all of
    them; names: of both; rate: for a backward pass that takes a learning rate; numbers: whether floats among
    what forward returns are outputs, too, where backward has a δ for each.
    """

    arguments: Arguments
    output: int | None = None
    names: tuple[str, str] = ("forward", "backward")
    rate: float = 1.0
    together: bool = False
    last: bool = False
    numbers: bool = False

    def forward(
        self,
        function: Callable[..., Any],
        backward: Any,
        values: Sequence[Array],
        kept: Callable[[], Any] = lambda: None,
    ) -> Pass:
        """A call of forward.  kept: the output where it returns None, as an object keeps it."""
        built = self.arguments.build(values)
        given = call(self.names[0], function, *built)
        given = kept() if given is None else given
        inputs = dict(zip(self.arguments.outer, built, strict=True))
        options = [
            n
            for n, node in zip(self.arguments.outer, self.arguments.tree, strict=True)
            if isinstance(node, Kept)
        ]
        listed = tuple(given) if isinstance(given, tuple) and len(given) >= 2 else (given,)
        count = self._outputs(listed, backward, tuple(inputs))
        outputs, bundle = listed[:count], None
        if count == 1 and _is_bundle(listed[0]):
            outputs, bundle = tuple(listed[0]), type(listed[0])
        chosen = None if self.together else self.output or 0
        if chosen is not None and chosen >= len(outputs):
            raise ArgumentError(
                f"output is {chosen}, and forward returns {len(outputs)} that backward takes a δ of"
            )
        pieces = listed[-1:] if self.last else listed[count:]
        return Pass(outputs, Passed(pieces, listed[0], inputs, options), chosen, bundle)

    def reading(self, forward: Any, backward: Any, run: Pass) -> Pair:
        """How (out, extra, cache) is read for backward(dout, cache): the cache is the last, or all behind the
        first; the one under which backward runs.
        """
        *extra, cache = run.passed.pieces or (None,)
        whole = not isinstance(cache, (tuple, list, Mapping)) and not hasattr(cache, "__dict__")
        if not extra or whole or not all(is_array(value) or _is_bundle(value) for value in extra):
            return self
        made = replace(self, last=True)
        try:
            again = made.forward(forward, backward, [value.copy() for value in self.arguments.arrays])
            made.backward(backward, again, np.ones_like(again.output()))
        except (ArgumentError, DataError):
            return self
        return made

    def backward(self, function: Any, run: Pass, delta: Array) -> Any:
        """What backward returned for δ of the judged output, 0 of the others."""
        without = without_delta(function, tuple(run.passed.inputs), by_place=False)
        if without is not None:
            return call(self.names[1], function, *(run.passed.inputs[name] for name in without))
        each = run.deltas(delta)
        if run.bundle is not None:
            each = [run.bundle(each)]
        taken = deltas_of(function, tuple(run.passed.inputs))[: len(each)]
        if not taken:  # its parameters are not known: written in C
            return call(self.names[1], function, *each, *run.passed.pieces)
        deltas = dict(zip(taken, each, strict=False))
        positional, named = call_of(function, deltas, run.passed, self.names[1], self.rate)
        return call(self.names[1], function, *positional, **named)

    def _outputs(self, listed: tuple[Any, ...], backward: Any, inputs: tuple[str, ...]) -> int:
        """How many of the returned values backward takes a δ of: dh, dc for (h, c, cache), and for (h, c)
        where it takes nothing else.
        """
        taken = len(deltas_of(backward, inputs))
        alone = taken == len(listed) == len(parameters_of(backward))
        count = min(taken, len(listed) - (not alone)) if taken > 1 else 1
        fits = _is_output if self.numbers else is_array
        return count if count > 1 and all(map(fits, listed[:count])) else 1

    def with_numbers(self, forward: Any, backward: Any) -> Pair:
        """The same with floats as outputs, (z, kl, cache), where each of them depends on the arguments: a
        step dt that forward hands on is none. Itself where there are none or forward does not run.
        """
        made, arrays = replace(self, numbers=True), self.arguments.arrays
        other = [value * 0.9 if value.dtype.kind == "f" else value.copy() for value in arrays]
        try:
            one, two = (
                made.forward(forward, backward, values).outputs
                for values in ([value.copy() for value in arrays], other)
            )
        except (ArgumentError, DataError):
            return self
        pairs = zip(one, two, strict=False)
        moved = [not np.array_equal(a, b) for a, b in pairs if not is_array(a)]
        return made if moved and all(moved) and len(one) == len(two) else self

    def notes(self, run: Pass) -> tuple[Say, ...]:
        count = len(run.outputs)
        extra = (TEXTS.say("subject.extra", count=count),) if self.last else ()
        if count == 1 or (self.output is None and len(run.real()) > 1):  # all are judged
            return extra
        return (TEXTS.say("subject.output", number=run.chosen, count=count), *extra)

    def of(self, place: int | None) -> Pair:
        """The same with another output judged, None: all."""
        return replace(self, output=place, together=place is None)


def _is_output(value: Any) -> bool:
    """An array or a number with a fraction: what a sum over an array is."""
    return is_array(value) or isinstance(value, (float, np.floating))


def _is_bundle(value: Any) -> bool:
    """Several arrays that are handed on as one."""
    several = isinstance(value, (tuple, list)) and len(value) > 1
    return several and all(is_array(entry) and entry.ndim for entry in value)


def of_pair(forward: Any, backward: Any, arguments: Arguments, output: int | None = None) -> Subject:
    """forward(*args) -> out, (out, cache) or (out, x, w); backward(dout, ...) -> gradients.

    Where backward is called as forward is, it is the derivative: of a number, or entry by entry.
    """
    names = _name(forward, "forward"), _name(backward, "backward")
    pair = Pair(arguments, output, names)
    check_real(arguments.names, arguments.arrays)
    wanted = Wanted(arguments.names, arguments.arrays, arguments.tree)
    title = f"{names[0]}, {names[1]}"
    trial = pair.forward(forward, backward, [value.copy() for value in arguments.arrays])
    if any(_is_output(value) and not is_array(value) for value in (*trial.outputs, *trial.passed.pieces)):
        pair = pair.with_numbers(forward, backward)
        trial = pair.forward(forward, backward, [value.copy() for value in arguments.arrays])
    pair = pair.reading(forward, backward, trial)
    out = trial.output()
    taken = without_delta(backward, arguments.outer, by_place=not trial.passed.pieces, forward=forward)
    if taken is not None and not trial.passed.pieces:
        floats = wanted.floats()
        if out.size == 1:
            return _of_derivative(forward, backward, arguments, wanted, title, taken)
        if len(floats) == 1 and out.shape == arguments.arrays[floats[0]].shape and taken:
            return _of_slopes(forward, backward, arguments, wanted, title, taken)
        check_takes_delta(names[1], out)

    def of_output(of: Pair) -> Any:
        def gradients(values: Sequence[Array], delta: Array) -> Gradients:
            run = of.forward(forward, backward, values)
            return by_argument(of.backward(backward, run, delta), wanted, names[1])

        return lambda values: of.forward(forward, backward, values).output(), gradients

    def apart(values: Sequence[Array]) -> tuple[Array, Pass]:
        run = pair.forward(forward, backward, values)
        return run.output(), run

    def back(run: Pass, delta: Array) -> Gradients:
        return by_argument(pair.backward(backward, run, delta), replace(wanted, copy=False), names[1])

    output_of, gradients_of = of_output(pair)
    subject = Subject(
        title,
        arguments.names,
        output_of,
        gradients_of,
        precision=arguments.precision,
        args=arguments.arrays,
        notes=(*pair.notes(trial), *reading(pair, backward, trial, wanted)),
        steps=lambda: Steps(apart, back),
    )
    return with_outputs(subject, trial.real(), lambda place: of_output(pair.of(place)))


def reading(pair: Pair, backward: Any, run: Pass, wanted: Wanted) -> tuple[Say, ...]:
    """The note on whose gradients come back, nothing where backward raises."""
    if not wanted.alike():
        return ()
    try:
        return taken_as(pair.backward(backward, run, np.ones_like(run.output())), wanted)
    except (ArgumentError, DataError):  # told where it is asked for
        return ()


def _of_derivative(
    function: Any, derivative: Any, arguments: Arguments, wanted: Wanted, title: str, taken: list[str]
) -> Subject:
    """f(θ), a number, and its gradient, as SciPy takes them: fun and jac."""

    def value(values: Sequence[Array]) -> Array:
        return as_array(call(_name(function, "f"), function, *arguments.build(values)), OUTPUT).reshape(())

    def derived(values: Sequence[Array]) -> Any:
        inputs = dict(zip(arguments.outer, arguments.build(values), strict=True))
        return call(name, derivative, *(inputs[each] for each in taken))

    def gradients(values: Sequence[Array], delta: Array) -> Gradients:
        return times(float(delta), by_argument(derived(values), wanted, name, guess=False))

    arrays, name = arguments.arrays, _name(derivative, "its gradient")
    notes = taken_as(derived([array.copy() for array in arrays]), wanted) if wanted.alike() else ()
    return Subject(title, arguments.names, value, gradients, False, arguments.precision, arrays, notes=notes)


def _of_slopes(
    function: Any, slope: Any, arguments: Arguments, wanted: Wanted, title: str, taken: list[str]
) -> Subject:
    """f entry by entry, and f′, which δ multiplies here."""
    place = wanted.floats()[0]

    def gradients(values: Sequence[Array], delta: Array) -> Gradients:
        inputs = dict(zip(arguments.outer, arguments.build(values), strict=True))
        made = call(_name(slope, "f′"), slope, *(inputs[name] for name in taken))
        made = as_array(made, f"what {_name(slope, 'f′')} returned")
        if made.shape not in ((), delta.shape):
            raise ShapeError(
                f"{_name(slope, 'f′')} returned the shape {made.shape}, its argument has {delta.shape}"
            )
        return tuple(delta * made if number == place else None for number in range(len(wanted.names)))

    def forward(values: Sequence[Array]) -> Array:
        return as_array(call(_name(function, "f"), function, *arguments.build(values)), OUTPUT)

    notes = (TEXTS.say("subject.slopes", name=_name(slope, "backward")),)
    return Subject(
        title, arguments.names, forward, gradients, True, arguments.precision, arguments.arrays, notes=notes
    )


def check_takes_delta(name: str, out: Array) -> None:
    """DataError unless the output is a number."""
    if out.size != 1:
        raise DataError(
            f"{name} takes no δ, and forward returns the shape {out.shape}: of an array δ = ∂J/∂out comes "
            "in, backward(dout, cache); of a number it may be left out"
        )


def times(factor: float, gradients: Gradients) -> Gradients:
    """Each multiplied, in its type."""
    if factor == 1:
        return gradients
    return tuple(None if value is None else value * factor for value in gradients)


def _name(function: Any, otherwise: str) -> str:
    name = str(getattr(function, "__name__", otherwise))
    return otherwise if name == "<lambda>" else name
