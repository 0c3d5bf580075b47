"""An object with forward and backward as a Subject: its parameters are arguments, every call has a copy."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from types import MethodType
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, DataError
from chainrule.base.types import Array
from chainrule.verifying.subjects.calls.arguments import Arguments, arguments_of, parameters_of
from chainrule.verifying.subjects.calls.drawing import generators_in
from chainrule.verifying.subjects.calls.passing import without_delta
from chainrule.verifying.subjects.calls.returned import Wanted, by_argument
from chainrule.verifying.subjects.calls.running import call
from chainrule.verifying.subjects.held import (
    PARAMETERS,
    Held,
    at,
    attribute_gradient,
    behind,
    clear,
    clearing,
    copy_with,
    fit_gradients,
    gradient_of,
    held_by,
    put,
)
from chainrule.verifying.subjects.pairs import Pair, Pass, check_takes_delta, of_pair, reading, times
from chainrule.verifying.subjects.subject import Gradients, Steps, Subject, with_outputs
from chainrule.verifying.subjects.updating import Updating, change, rate_for, updating_of

FORWARD = ("forward", "__call__", "fprop", "forward_pass")
BACKWARD = ("backward", "bprop", "backprop", "backward_pass")
OUTPUTS = ("output", "outputs", "out", "result", "activation", "activations", "y", "a", "A", "z", "Z")
INPUT_GRADIENTS = ("dx", "dX", "dinputs", "dinput", "grad_input", "input_gradient", "dA_prev")


def methods_of(given: Any) -> tuple[str, str] | None:
    """The names of its forward and its backward; None where it has not both."""
    forward = next((name for name in FORWARD if callable(getattr(given, name, None))), None)
    backward = next((name for name in BACKWARD if callable(getattr(given, name, None))), None)
    return None if forward is None or backward is None else (forward, backward)


def of_class(given: type, args: Sequence[Any], names: Sequence[str] | None, output: int | None) -> Subject:
    """A class: of static methods, with `ctx` or without; else an object of it where it takes no arguments."""
    methods = methods_of(given)
    if methods is None:
        raise ArgumentError(f"{given.__name__} has no methods forward and backward")
    if isinstance(inspect.getattr_static(given, methods[0]), (staticmethod, classmethod)):
        return _of_static(given, methods, args, names, output)
    needed = [
        parameter.name
        for parameter in parameters_of(given)
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    if needed:
        raise ArgumentError(
            f"{given.__name__} is a class: give an object of it, "
            f"verify({given.__name__}({', '.join(needed)}), ...)"
        )
    arguments_of(MethodType(getattr(given, methods[0]), given), args, names)  # before their code runs
    return of_object(call(given.__name__, given), methods, args, names, output)


def of_object(
    given: Any, methods: tuple[str, str], args: Sequence[Any], names: Sequence[str] | None, output: int | None
) -> Subject:
    """forward(x, ...) and backward(dout, ...), bound; gradients returned, kept as attributes, or told by the
    step that it makes itself.
    """
    title = type(given).__name__
    arguments = arguments_of(getattr(given, methods[0]), args, names)
    _check_count(given, methods[0], arguments, title)
    pair = Pair(arguments, output, (f"{title}.{methods[0]}", f"{title}.{methods[1]}"))
    takes_delta = without_delta(getattr(given, methods[1]), arguments.outer, by_place=False) is None
    calls = _Calls(given, methods, pair, takes_delta, updating_of(given, methods[1]))
    calls.find_parameters()
    every = behind(arguments, calls.held)
    fresh, trial = calls.run([array.copy() for array in every.arrays])
    if not takes_delta:
        check_takes_delta(pair.names[1], trial.output())
    inputs = Wanted(arguments.names, arguments.arrays, arguments.tree)
    changes = calls.updating is not None and not calls.updating.behind
    read = () if calls.updating is None or not calls.told else (calls.updating.note(title),)
    subject = Subject(
        title,
        every.names,
        calls.output,
        calls.gradients,
        takes_delta=takes_delta,
        precision=arguments.precision,
        args=tuple(every.arrays),
        notes=(*pair.notes(trial), *reading(pair, getattr(fresh, methods[1]), trial, inputs), *read),
        steps=None if changes or not takes_delta else calls.steps,
    )

    def of_output(place: int | None) -> Any:
        of = replace(calls, pair=pair.of(place))
        return of.output, of.gradients

    return with_outputs(subject, trial.real(), of_output) if takes_delta else subject


@dataclass(eq=False)
class _Calls:
    """The calls of an object: every one is of a copy, with the arrays asked for in the place of its own.

    held: its parameters, which stand behind the arguments.  updating: how it makes the step; told: whether
    the gradients of some are told by that alone.
    """

    given: Any
    methods: tuple[str, str]
    pair: Pair
    takes_delta: bool
    updating: Updating | None
    held: list[Held] = field(default_factory=list)
    told: bool = False

    @property
    def count(self) -> int:
        """How many of the arrays are arguments."""
        return len(self.pair.arguments.arrays)

    def run(self, values: Sequence[Array]) -> tuple[Any, Pass]:
        """A copy of the object and its forward pass."""
        fresh = copy_with(self.given, self.held, values[self.count :])
        call(type(self.given).__name__, clear, fresh, self.held, values[self.count :])
        return fresh, self._forward(fresh, values)

    def _forward(self, owner: Any, values: Sequence[Array]) -> Pass:
        forward, backward = (getattr(owner, name) for name in self.methods)
        return self.pair.forward(forward, backward, values[: self.count], lambda: _kept_output(owner))

    def output(self, values: Sequence[Array]) -> Array:
        out = self.run(values)[1].output()
        return out if self.takes_delta else out.reshape(())

    def gradients(self, values: Sequence[Array], delta: Array) -> Gradients:
        return self.after(values, delta)[0]

    def after(self, values: Sequence[Array], delta: Array) -> tuple[Gradients, Any]:
        """The gradients, and the object behind its backward pass."""
        if self.updating is not None:  # it changes its parameters itself
            values = [*values[: self.count], *(np.array(value) for value in values[self.count :])]
        before = [np.array(value) for value in values[self.count :]]
        fresh, passed = self.run(values)
        made = self._read(fresh, passed, values, delta)
        missing = [number for number, value in enumerate(made[self.count :]) if value is None]
        if self.updating is not None and missing:
            stepped = self._stepped(values, before, delta)
            for number in missing:
                made[self.count + number] = stepped[number]
        whole = tuple(made)
        return whole if self.takes_delta else times(float(delta.reshape(())), whole), fresh

    def _read(self, owner: Any, passed: Pass, values: Sequence[Array], delta: Array) -> list[Array | None]:
        """What backward returns and keeps."""
        arguments = self.pair.arguments
        given_back = self.pair.backward(getattr(owner, self.methods[1]), passed, delta)
        wanted = replace(behind(arguments, self.held), arrays=values)
        made = _returned(given_back, wanted, arguments, self.pair.names[1])
        for number, name in enumerate(arguments.names):
            if made[number] is None:
                words = INPUT_GRADIENTS if number == 0 else ()
                kept = [attribute_gradient(owner, name), *(getattr(owner, word, None) for word in words)]
                made[number] = next((value for value in kept if isinstance(value, np.ndarray)), None)
        for number, entry in enumerate(self.held, self.count):
            if made[number] is None:
                made[number] = gradient_of(owner, entry)
        return made

    def _stepped(
        self,
        values: Sequence[Array],
        before: Sequence[Array],
        delta: Array,
        rates: Sequence[float] = (),
    ) -> list[Array | None]:
        """The parameters' gradients by what a step changes."""
        assert self.updating is not None
        inputs = [np.array(value) for value in values[: self.count]]
        for rate in rates or (rate_for(self.held), 1.0):  # some refuse large ones
            try:
                fresh, passed = self.run([*inputs, *(np.array(value) for value in before)])
                self.updating.set_rate(fresh, rate)
                replace(self.pair, rate=rate).backward(getattr(fresh, self.methods[1]), passed, delta)
                self.updating.finish(fresh, rate)
                break
            except DataError:
                if rates or rate == 1.0:
                    raise
        return [change(fresh, entry, old, rate) for entry, old in zip(self.held, before, strict=True)]

    def steps(self) -> Steps:
        """The two calls as they are, on one copy."""
        copies = [np.array(entry.array) for entry in self.held]
        kept = copy_with(self.given, self.held, copies, generators_in(self.given))
        call(type(self.given).__name__, clear, kept, self.held, copies)

        def apart(values: Sequence[Array]) -> tuple[Array, Any]:
            fit_gradients(kept, self.held, values[self.count :])
            put(kept, self.held, values[self.count :])
            passed = self._forward(kept, values)
            return passed.output(), (passed, values)

        def back(run: Any, delta: Array) -> Gradients:
            return tuple(self._read(kept, run[0], run[1], delta))

        return Steps(apart, back, keeps=False, clear=clearing(kept, self.held, self.methods[1]), holder=kept)

    def find_parameters(self) -> None:
        """Those that forward takes as they are and that have a gradient, or a parameter's name.

        What forward sets anew (its input, kept for backward) is none.  A learning rate that tells no
        gradient, since all are kept or nothing is changed by it, is forgotten, but that of backward itself.
        """
        self.held = held_by(self.given)
        if not self.held:
            self.updating = None
            return
        values = [np.array(entry.array) for entry in self.held]
        inputs = [array.copy() for array in self.pair.arguments.arrays]
        fresh, passed = self.run([*inputs, *values])
        pairs = zip(self.held, values, strict=True)
        kept = [entry for entry, value in pairs if at(fresh, entry.paths[0]) is value]
        self.held = [entry for entry in kept if _named(entry)]
        delta = np.ones_like(passed.output())
        inputs = [array.copy() for array in self.pair.arguments.arrays]
        own = [np.array(entry.array) for entry in self.held]
        try:
            with_step, fresh = self.after([*inputs, *own], delta)
        except DataError:  # told where it is asked for
            return
        beside = [e for e in kept if e not in self.held and gradient_of(fresh, e) is not None]
        moved = self._moved([e for e in kept if e not in self.held and e not in beside])
        read = [gradient_of(fresh, entry) is not None for entry in self.held]
        changed = [g is not None and g.any() for g in with_step[self.count :]]
        self.told = any(now and not known for now, known in zip(changed, read, strict=True)) or bool(moved)
        of_backward = self.updating is not None and not (self.updating.kept or self.updating.behind)
        if not self.told and not of_backward:
            self.updating = None
        self.held = [entry for entry in kept if entry in self.held or entry in beside or entry in moved]

    def _moved(self, entries: Sequence[Held]) -> list[Held]:
        """Of arrays whose names say nothing those that are parameters: a step changes them as much as its
        rate says, and the output depends on them.  A mean that runs along or a velocity is none.
        """
        if self.updating is None or not entries:
            return []
        trial, before = replace(self, held=list(entries)), [np.array(entry.array) for entry in entries]
        inputs = [array.copy() for array in self.pair.arguments.arrays]
        try:
            out = trial.output([*inputs, *map(np.array, before)])
            delta = np.linspace(1.0, 2.0, out.size).reshape(out.shape).astype(out.dtype)
            small, large = (trial._stepped(inputs, before, delta, [rate]) for rate in (1.0, 16.0))
            made = []
            for number, (entry, by, by_more) in enumerate(zip(entries, small, large, strict=True)):
                if by is None or by_more is None or not by.any() or not np.allclose(by, by_more, rtol=1e-2):
                    continue
                other = [1.5 * v + 0.25 if n == number else np.array(v) for n, v in enumerate(before)]
                if not np.array_equal(out, trial.output([*inputs, *other]), equal_nan=True):
                    made.append(entry)
        except DataError:  # told where it is asked for
            return []
        return made


def _kept_output(owner: Any) -> Any:
    kept = (getattr(owner, name, None) for name in OUTPUTS)
    return next((np.array(value) for value in kept if isinstance(value, (np.ndarray, float))), None)


def _named(entry: Held) -> bool:
    name = entry.name.rpartition(".")[2].partition("[")[0]
    return bool(PARAMETERS.fullmatch(name)) or name in ("params", "parameters")


def _returned(given: Any, wanted: Wanted, arguments: Arguments, what: str) -> list[Array | None]:
    """By argument: as many as inputs are the inputs', as many as all are all of them."""
    none: list[Array | None] = [None] * len(wanted.names)
    if given is None:
        return none
    count = len(arguments.names)
    listed = list(given) if isinstance(given, (tuple, list)) else [given]
    if isinstance(given, dict) or len(listed) > len(arguments.tree):
        return list(by_argument(given, wanted, what))
    inputs = Wanted(wanted.names[:count], wanted.arrays[:count], arguments.tree)
    return [*by_argument(given, inputs, what), *none[count:]]


def _check_count(given: Any, name: str, arguments: Arguments, title: str) -> None:
    method = getattr(given, name)
    try:
        inspect.signature(method).bind(*arguments.tree)
    except TypeError:
        taken = ", ".join(parameter.name for parameter in parameters_of(method))
        raise ArgumentError(
            f"{title}.{name} takes ({taken}), and args has {len(arguments.tree)}: give what {name} is called "
            f"with; parameters are read from the object"
        ) from None
    except ValueError:
        return


class Context:
    """`ctx` of static methods, as PyTorch's functions take it."""

    def __init__(self, count: int) -> None:
        self.saved_tensors: tuple[Any, ...] = ()
        self.needs_input_grad = (True,) * count

    def save_for_backward(self, *values: Any) -> None:
        self.saved_tensors = values

    @property
    def saved_values(self) -> tuple[Any, ...]:
        return self.saved_tensors

    def mark_dirty(self, *values: Any) -> None: ...

    def mark_non_differentiable(self, *values: Any) -> None: ...

    def set_materialize_grads(self, value: bool) -> None: ...


def _of_static(
    given: type,
    methods: tuple[str, str],
    args: Sequence[Any],
    names: Sequence[str] | None,
    output: int | None,
) -> Subject:
    forward, backward = (getattr(given, name) for name in methods)
    parameters = [parameter.name for parameter in parameters_of(forward)]
    if not parameters or parameters[0] not in ("ctx", "context", "cache"):
        return of_pair(forward, backward, arguments_of(forward, args, names), output)

    def with_context(*values: Any) -> Any:
        context = Context(len(values))
        return forward(context, *values), context

    taken = parameters_of(backward)[1:]
    several = len(taken) > 1 or any(parameter.kind is parameter.VAR_POSITIONAL for parameter in taken)

    def from_context(grad_output: Any, ctx: Any) -> Any:
        of_each = several and isinstance(grad_output, tuple)
        return backward(ctx, *grad_output) if of_each else backward(ctx, grad_output)

    with_context.__name__ = f"{given.__name__}.{methods[0]}"
    from_context.__name__ = f"{given.__name__}.{methods[1]}"
    labels = names or parameters[1 : len(args) + 1]
    return of_pair(with_context, from_context, arguments_of(with_context, args, labels), output)
