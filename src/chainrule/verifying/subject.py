"""Subject: what somebody wrote, as one form: an output from arguments, and a gradient for each from δ.

Their code runs as it is, in the process that asks: isolating it is the caller's job.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, DataError, ShapeError, describe
from chainrule.base.types import Array

Gradients = tuple[Array | None, ...]
# What people call the gradient of an argument, in a dict or as an attribute: dW, grad_W, W_grad, ...
GRADIENT_NAMES = ("d{0}", "grad_{0}", "{0}_grad", "{0}.grad", "{0}")
PARAMETERS = ("W", "w", "weight", "weights", "kernel", "b", "bias", "gamma", "beta", "scale", "shift")


@dataclass(frozen=True, eq=False)
class Subject:
    """forward(args) is the output; backward(args, δ) one gradient per argument, None where it gives none.

    names: of the arguments, as messages call them.  takes_delta: False where it gives gradients of a number.
    precision: in which it computes where that is less than its arrays' type.  steps: makes the two calls as
    they are, on one object; None where they cannot be told apart.
    """

    title: str
    names: tuple[str, ...]
    forward: Callable[[Sequence[Array]], Array]
    backward: Callable[[Sequence[Array], Array], Gradients]
    takes_delta: bool = True
    precision: str | None = None
    steps: Callable[[], Steps] | None = None


@dataclass(frozen=True, eq=False)
class Steps:
    """forward(args) -> (output, what it keeps); backward(what was kept, δ) -> gradients, not copied.

    keeps: False where an object keeps it itself, so that a second forward replaces what the first kept.
    clear: sets gradients to zero where their code has a way to, such as zero_grad().
    """

    forward: Callable[[Sequence[Array]], tuple[Array, Any]]
    backward: Callable[[Any, Array], Gradients]
    keeps: bool = True
    clear: Callable[[], Any] | None = None


def subject_from(given: Any, args: Sequence[Array], names: Sequence[str] | None = None) -> Subject:
    """A pair (forward, backward), or an object with these methods, as a Subject.

    Raises ArgumentError for anything else, naming the forms.
    """
    if isinstance(given, tuple) and len(given) == 2 and all(map(callable, given)):
        return _of_pair(*given, _names(given[0], args, names))
    if callable(getattr(given, "forward", None)) and callable(getattr(given, "backward", None)):
        return _of_object(given, args, names)
    raise ArgumentError(
        f"verify takes (forward, backward), two functions, or an object with these methods; received "
        f"{describe(given)}"
    )


def _names(function: Any, args: Sequence[Array], names: Sequence[str] | None) -> tuple[str, ...]:
    """Of the arguments: as given, else as the function calls them."""
    if names is None:
        code = getattr(function, "__code__", None)
        names = () if code is None else code.co_varnames[: code.co_argcount]
    named = [*names[: len(args)], *(f"argument {number}" for number in range(len(names), len(args)))]
    return tuple(named)


def _of_pair(forward: Any, backward: Any, names: tuple[str, ...]) -> Subject:
    """CS231n's style: forward(*args) -> out or (out, cache); backward(dout, cache) -> gradients."""

    def run(args: Sequence[Array]) -> tuple[Array, tuple[Any, ...]]:
        given = forward(*args)
        if isinstance(given, tuple) and len(given) >= 2:
            return _array(given[0], "the output of forward"), given[1:]
        return _array(given, "the output of forward"), tuple(args)

    code = getattr(backward, "__code__", None)
    taken = 0 if code is None else code.co_argcount - 1

    def gradients(args: Sequence[Array], delta: Array) -> Gradients:
        _, cache = run(args)
        if len(cache) == 1 and isinstance(cache[0], tuple) and taken == len(cache[0]) > 1:
            cache = cache[0]  # backward(dout, x, w) of a cache (x, w)
        return _gradients(backward(delta, *cache), names)

    def back(cache: tuple[Any, ...], delta: Array) -> Gradients:
        if len(cache) == 1 and isinstance(cache[0], tuple) and taken == len(cache[0]) > 1:
            cache = cache[0]
        given = backward(delta, *cache)
        if isinstance(given, tuple) and len(given) == len(names):
            return tuple(None if value is None else np.asarray(value) for value in given)
        return _gradients(given, names)

    title = f"{getattr(forward, '__name__', 'forward')}, {getattr(backward, '__name__', 'backward')}"
    steps = Steps(run, back)
    return Subject(title, names, lambda args: run(args)[0], gradients, steps=lambda: steps)


def _of_object(given: Any, args: Sequence[Array], names: Sequence[str] | None) -> Subject:
    """An object: forward(x) and backward(dout), parameters and their gradients as attributes.

    args: x alone, whose parameters are those that the object has.
    """
    held = [name for name in PARAMETERS if isinstance(getattr(given, name, None), np.ndarray)]
    attributes = held if len(args) == 1 else []
    labels = (*_names(given.forward.__func__, args, names or ("x",)), *attributes)

    def made(values: Sequence[Array]) -> tuple[Any, Sequence[Array]]:
        fresh = copy.deepcopy(given)
        for name, value in zip(attributes, values[len(args) :], strict=False):
            setattr(fresh, name, value)
        return fresh, values[: len(args)]

    def forward(values: Sequence[Array]) -> Array:
        fresh, inputs = made(values)
        return _array(fresh.forward(*inputs), "the output of forward")

    def gradients(values: Sequence[Array], delta: Array) -> Gradients:
        fresh, inputs = made(values)
        fresh.forward(*inputs)
        below = _gradients(fresh.backward(delta), labels[: len(args)])
        return (*below, *(_attribute(fresh, name) for name in attributes))

    def steps() -> Steps:
        kept = copy.deepcopy(given)

        def run(values: Sequence[Array]) -> tuple[Array, None]:
            for name, value in zip(attributes, values[len(args) :], strict=False):
                setattr(kept, name, value)
            return _array(kept.forward(*values[: len(args)]), "the output of forward"), None

        def back(_: None, delta: Array) -> Gradients:
            below = _gradients(kept.backward(delta), labels[: len(args)])
            return (*below, *(_attribute(kept, name) for name in attributes))

        return Steps(run, back, keeps=False, clear=getattr(kept, "zero_grad", None))

    return Subject(type(given).__name__, tuple(labels), forward, gradients, steps=steps)


def parameters_of(given: Any) -> list[Array]:
    """The arrays that an object keeps as its parameters, in the order in which a Subject takes them."""
    return [getattr(given, name) for name in PARAMETERS if isinstance(getattr(given, name, None), np.ndarray)]


def _attribute(owner: Any, name: str) -> Array | None:
    for store in (getattr(owner, "grads", None), getattr(owner, "gradients", None)):
        if isinstance(store, Mapping):
            for form in GRADIENT_NAMES:
                if form.format(name) in store:
                    return _array(store[form.format(name)], f"the gradient of {name}")
    for form in GRADIENT_NAMES[:3]:
        value = getattr(owner, form.format(name), None)
        if value is not None:
            return _array(value, f"the gradient of {name}")
    return None


def _gradients(given: Any, names: tuple[str, ...]) -> Gradients:
    """What backward returned, by argument; a dict is read by its keys."""
    if isinstance(given, Mapping):
        by_name = {}
        for name in names:
            for form in GRADIENT_NAMES:
                if form.format(name) in given:
                    by_name[name] = _array(given[form.format(name)], f"the gradient of {name}")
                    break
        if not by_name:
            raise DataError(
                f"backward returned a dict with {', '.join(map(str, given))}, of which none is a gradient of "
                f"{', '.join(names)}: call them d{names[0]}, ..."
            )
        return tuple(by_name.get(name) for name in names)
    listed = list(given) if isinstance(given, (tuple, list)) else [given]
    if len(listed) > len(names):
        raise ShapeError(
            f"backward returned {len(listed)} gradients for {len(names)} arguments ({', '.join(names)})"
        )
    made = [
        None if value is None else _array(value, f"the gradient of {name}")
        for name, value in zip(names, listed, strict=False)
    ]
    return (*made, *(None for _ in range(len(names) - len(made))))


def _array(value: Any, what: str) -> Array:
    try:
        array = np.array(value)
    except (ValueError, TypeError):
        array = np.array(None)
    if array.dtype.kind not in "fiub":
        raise DataError(f"{what} is {describe(value)}, no array of numbers")
    return array
