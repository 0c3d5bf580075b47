"""An object with forward and backward as a Subject: its parameters are arguments, every call has a copy."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from types import MethodType
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, DataError
from chainrule.base.types import Array
from chainrule.verifying.subjects.calls.arguments import Arguments, Leaf, arguments_of, parameters_of
from chainrule.verifying.subjects.calls.passing import RATES, without_delta
from chainrule.verifying.subjects.calls.returned import Wanted, by_argument
from chainrule.verifying.subjects.calls.running import call
from chainrule.verifying.subjects.held import (
    PARAMETERS,
    Held,
    at,
    attribute_gradient,
    clear,
    clearing,
    copy_with,
    fit_gradients,
    gradient_of,
    held_by,
    put,
)
from chainrule.verifying.subjects.pairs import Pair, Pass, check_takes_delta, of_pair, reading, times
from chainrule.verifying.subjects.subject import Gradients, Steps, Subject

FORWARD = ("forward", "__call__", "fprop", "forward_pass")
BACKWARD = ("backward", "bprop", "backprop", "backward_pass")
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
    """forward(x, ...) and backward(dout, ...), bound; gradients returned, or kept as attributes."""
    title = type(given).__name__
    arguments = arguments_of(getattr(given, methods[0]), args, names)
    _check_count(given, methods[0], arguments, title)
    pair = Pair(arguments, output, (f"{title}.{methods[0]}", f"{title}.{methods[1]}"))
    updates = any(p.name.lower() in RATES for p in parameters_of(getattr(given, methods[1])))

    takes_delta = without_delta(getattr(given, methods[1]), arguments.outer, by_place=False) is None

    def run(held: Sequence[Held], values: Sequence[Array]) -> tuple[Any, Pass]:
        inputs, arrays = values[: len(arguments.arrays)], values[len(arguments.arrays) :]
        fresh = copy_with(given, held, arrays)
        call(title, clear, fresh, held, arrays)
        forward, backward = (getattr(fresh, name) for name in methods)
        return fresh, pair.forward(forward, backward, inputs)

    def after(held: Sequence[Held], values: Sequence[Array], delta: Array) -> tuple[Gradients, Any]:
        count = len(arguments.arrays)
        if updates:  # it changes its parameters itself, by a step of 1 here
            values = [*values[:count], *(np.array(value) for value in values[count:])]
        before = [np.array(value) for value in values[count:]]
        fresh, passed = run(held, values)
        made = gradients(fresh, passed, held, values, before, delta)
        return made if takes_delta else times(float(delta.reshape(())), made), fresh

    def gradients(
        fresh: Any,
        passed: Pass,
        held: Sequence[Held],
        values: Sequence[Array],
        before: list[Array],
        delta: Array,
    ) -> Gradients:
        count = len(arguments.arrays)
        labels = (*arguments.names, *(entry.name for entry in held))
        given_back = pair.backward(getattr(fresh, methods[1]), passed, delta)
        tree = (*arguments.tree, *(Leaf(number) for number in range(count, len(labels))))
        wanted = Wanted(labels, values, tree)
        made = _returned(given_back, wanted, arguments, pair.names[1])
        for number, name in enumerate(arguments.names):
            if made[number] is None:
                words = (name, *(INPUT_GRADIENTS if number == 0 else ()))
                kept = [attribute_gradient(fresh, word) for word in (name,)]
                kept += [getattr(fresh, word, None) for word in words[1:]]
                made[number] = next((value for value in kept if isinstance(value, np.ndarray)), None)
        for number, entry in enumerate(held, count):
            if made[number] is None:
                made[number] = gradient_of(fresh, entry)
            if made[number] is None and updates:
                now = at(fresh, entry.paths[0])
                made[number] = None if now is None else before[number - count] - now
        return tuple(made)

    def steps() -> Steps:
        copies = [np.array(entry.array) for entry in held]
        kept = copy_with(given, held, copies)
        call(title, clear, kept, held, copies)

        def apart(values: Sequence[Array]) -> tuple[Array, Any]:
            fit_gradients(kept, held, values[len(arguments.arrays) :])
            put(kept, held, values[len(arguments.arrays) :])
            inputs = values[: len(arguments.arrays)]
            forward, backward = (getattr(kept, name) for name in methods)
            passed = pair.forward(forward, backward, inputs)
            return passed.output(), (passed, values)

        def back(run: Any, delta: Array) -> Gradients:
            before = [np.array(value) for value in run[1][len(arguments.arrays) :]]
            return gradients(kept, run[0], held, run[1], before, delta)

        return Steps(apart, back, keeps=False, clear=clearing(kept, held, methods[1]))

    held = _parameters(held_by(given), run, after, arguments)
    labels = (*arguments.names, *(entry.name for entry in held))
    arrays = (*arguments.arrays, *(np.array(entry.array) for entry in held))
    fresh, trial = run(held, [array.copy() for array in arrays])
    if not takes_delta:
        check_takes_delta(pair.names[1], trial.output())

    inputs = Wanted(arguments.names, arguments.arrays, arguments.tree)

    def output_of(values: Sequence[Array]) -> Array:
        out = run(held, values)[1].output()
        return out if takes_delta else out.reshape(())

    return Subject(
        title,
        labels,
        output_of,
        lambda values, delta: after(held, values, delta)[0],
        takes_delta=takes_delta,
        precision=arguments.precision,
        args=arrays,
        notes=(*pair.notes(trial), *reading(pair, getattr(fresh, methods[1]), trial, inputs)),
        steps=None if updates or not takes_delta else steps,
    )


def _parameters(held: list[Held], run: Any, after: Any, arguments: Arguments) -> list[Held]:
    """Those that forward takes as they are and that have a gradient, or a parameter's name.

    What forward sets anew (its input, kept for backward) is none.
    """
    if not held:
        return []
    inputs = [array.copy() for array in arguments.arrays]
    fresh, passed = run(held, [*inputs, *(values := [np.array(entry.array) for entry in held])])
    kept = [entry for entry, value in zip(held, values, strict=True) if at(fresh, entry.paths[0]) is value]
    parameters = [entry for entry in kept if _named(entry)]
    delta = np.ones_like(passed.output())
    inputs = [array.copy() for array in arguments.arrays]
    try:
        _, fresh = after(parameters, [*inputs, *(np.array(e.array) for e in parameters)], delta)
    except DataError:  # told where it is asked for
        return parameters
    beside = [entry for entry in kept if entry not in parameters and gradient_of(fresh, entry) is not None]
    return [entry for entry in kept if entry in parameters or entry in beside]


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

    def from_context(grad_output: Any, ctx: Any) -> Any:
        return backward(ctx, grad_output)

    with_context.__name__ = f"{given.__name__}.{methods[0]}"
    from_context.__name__ = f"{given.__name__}.{methods[1]}"
    labels = names or parameters[1 : len(args) + 1]
    return of_pair(with_context, from_context, arguments_of(with_context, args, labels), output)
