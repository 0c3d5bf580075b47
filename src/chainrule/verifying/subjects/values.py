"""One function that returns a number and its gradients, f(params) -> (loss, grad), as a Subject.

SciPy's form (jac=True), CS231n's softmax_loss(x, y) and svm_loss(W, X, y, reg), a method net.loss(X, y) whose
gradients are those of the object's parameters.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from inspect import signature
from types import ModuleType
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, DataError, describe
from chainrule.base.types import Array
from chainrule.verifying.subjects.calls.arguments import Arguments, arguments_of, check_real
from chainrule.verifying.subjects.calls.carriers import as_array
from chainrule.verifying.subjects.calls.returned import by_argument, key_of, taken_as
from chainrule.verifying.subjects.calls.running import call
from chainrule.verifying.subjects.held import (
    PARAMETERS,
    Held,
    at,
    behind,
    clear,
    copy_with,
    gradient_of,
    held_by,
)
from chainrule.verifying.subjects.pairs import times
from chainrule.verifying.subjects.subject import Gradients, Subject


def of_function(
    given: Any,
    args: Sequence[Any],
    names: Sequence[str] | None,
    read: Arguments | None = None,
    within: Callable[[Sequence[Array]], AbstractContextManager[Any]] = lambda values: nullcontext(),
) -> Subject:
    """f(*args) -> (value, gradients). Raises ArgumentError for one that returns anything else.

    read: args as a framework has them, None: as they are; within: what it is called within, by its arrays.
    """
    arguments = arguments_of(given, _learned(given, args, names), names) if read is None else read
    title = str(getattr(given, "__name__", type(given).__name__))
    try:
        signature(given).bind(*arguments.build(arguments.arrays))
    except ValueError:  # it shows no signature
        pass
    except TypeError as error:
        raise ArgumentError(
            f"{title} is called as {title}(*args), to return (value, gradients), and args does "
            f"not fit: {error}. If it is a backward pass, give the forward pass with it: "
            f"verify((forward, {title}), args=...)"
        ) from error
    owner = owner_of(given)
    held = [] if owner is None else _parameters(owner, given.__name__, arguments, title)
    wanted, count = behind(arguments, held), len(arguments.arrays)
    check_real(wanted.names, wanted.arrays)

    def run(values: Sequence[Array]) -> tuple[Array, Any]:
        function = given
        if owner is not None:
            fresh = copy_with(owner, held, values[count:])
            function = getattr(fresh, given.__name__)
        with within(values):
            return split(call(title, function, *arguments.build(values[:count])), title)

    def gradients(values: Sequence[Array], delta: Array) -> Gradients:
        asked = replace(wanted, arrays=values)
        return times(float(delta), by_argument(run(values)[1], asked, title, guess=False))

    subject = Subject(
        title,
        wanted.names,
        lambda values: run(values)[0],
        gradients,
        takes_delta=False,
        precision=arguments.precision,
        args=tuple(wanted.arrays),
    )
    copies = [array.copy() for array in wanted.arrays]
    gradients(copies, np.array(1.0))
    return replace(subject, notes=taken_as(run(copies)[1], wanted)) if wanted.alike() else subject


def _learned(given: Any, args: Sequence[Any], names: Sequence[str] | None) -> Sequence[Any]:
    """args with the numbers as arrays of which a gradient comes back by name, as db of b = 0.3."""
    if not isinstance(args, (tuple, list)) or not any(type(value) in (int, float) for value in args):
        return args
    outer = arguments_of(given, args, names).outer
    try:
        returned = split(given(*copy.deepcopy(args)), "it")[1]
    except Exception:  # it is told where it is called in earnest
        return args
    if not isinstance(returned, Mapping):
        return args
    return tuple(
        np.array(float(value)) if type(value) in (int, float) and key_of(name, returned) else value
        for name, value in zip(outer, args, strict=False)
    )


def of_methods(value: Any, gradient: Any, args: Sequence[Any], names: Sequence[str] | None) -> Subject:
    """net.loss(X, t), a number, and net.gradient(X, t), the gradients of the parameters, of one object."""
    owner, title = owner_of(value), f"{value.__name__}, {gradient.__name__}"
    arguments = arguments_of(value, args, names)
    count = len(arguments.arrays)

    def run(name: str, held: Sequence[Held], values: Sequence[Array]) -> tuple[Any, Any]:
        fresh = copy_with(owner, held, values[count:])
        call(title, clear, fresh, held, values[count:])
        return fresh, call(name, getattr(fresh, name), *arguments.build(values[:count]))

    def gradients(values: Sequence[Array], delta: Array) -> Gradients:
        fresh, given = run(gradient.__name__, held, values)
        if given is None:
            kept = (gradient_of(fresh, entry) for entry in held)
            return times(float(delta), (*(None for _ in arguments.names), *kept))
        asked = replace(wanted, arrays=values)
        return times(float(delta), by_argument(given, asked, gradient.__name__, guess=False))

    held = _untouched(owner, arguments, lambda entries, values: run(value.__name__, entries, values)[0])
    returned = run(gradient.__name__, held, behind(arguments, held).arrays)[1]
    held = [entry for entry in held if _meant(entry, returned)]
    wanted = behind(arguments, held)

    def forward(values: Sequence[Array]) -> Array:
        out = as_array(run(value.__name__, held, values)[1], f"the value of {value.__name__}")
        if out.size != 1:
            raise DataError(f"{value.__name__} returned the shape {out.shape}: it must be a number")
        return out.reshape(())

    notes = () if returned is None else taken_as(returned, wanted)
    arrays = tuple(wanted.arrays)
    return Subject(title, wanted.names, forward, gradients, takes_delta=False, args=arrays, notes=notes)


def split(given: Any, title: str) -> tuple[Array, Any]:
    """The value, of shape (), and the gradients behind it."""
    forms = "verify takes (forward, backward), or one function that returns (value, gradients)"
    if not isinstance(given, (tuple, list)) or len(given) < 2:
        raise ArgumentError(f"{forms}; {title} returned {describe(given)} alone")
    if isinstance(given[0], Mapping) and len(given) == 2 and np.ndim(given[1]) == 0:
        given = given[::-1]  # (gradients, value), as deeplearning.ai's propagate
    value = as_array(given[0], f"the value of {title}")
    if value.size != 1:
        raise ArgumentError(
            f"{forms}; {title} returned an array of shape {value.shape} first, and the value is a number. "
            f"Of a forward pass write verify(({title}, backward), ...)"
        )
    return value.reshape(()), given[1] if len(given) == 2 else tuple(given[1:])


def owner_of(function: Any) -> Any:
    """The object that a method belongs to; None for functions and for methods of classes."""
    owner = getattr(function, "__self__", None)
    return None if isinstance(owner, (type, ModuleType, type(None))) else owner


def _parameters(owner: Any, method: str, arguments: Arguments, title: str) -> list[Held]:
    """Those of which the method returns a gradient, or which have a parameter's name."""
    given: list[Any] = []

    def run(held: Sequence[Held], values: Sequence[Array]) -> Any:
        count = len(arguments.arrays)
        fresh = copy_with(owner, held, values[count:])
        given.append(call(title, getattr(fresh, method), *arguments.build(values[:count])))
        return fresh

    held = _untouched(owner, arguments, run)
    returned = split(given[-1], title)[1] if given else None
    return [entry for entry in held if _meant(entry, returned)]


def _untouched(owner: Any, arguments: Arguments, run: Any) -> list[Held]:
    """The arrays that are still there after a call."""
    held = held_by(owner)
    values = [np.array(entry.array) for entry in held]
    fresh = run(held, [*(array.copy() for array in arguments.arrays), *values])
    return [entry for entry, value in zip(held, values, strict=True) if at(fresh, entry.paths[0]) is value]


def _meant(entry: Held, returned: Any) -> bool:
    if isinstance(returned, Mapping):
        return key_of(entry.name, returned) is not None
    return bool(PARAMETERS.fullmatch(entry.name)) or entry.name.startswith("params")
