"""Functions of scalars that keep their graph, as micrograd's Value: with .data, .grad and .backward()."""

from __future__ import annotations

import contextlib
import copy
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from numbers import Number
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, DataError, describe
from chainrule.base.types import Array
from chainrule.verifying.subjects.calls.arguments import Arguments, Leaf, Node, arguments_of
from chainrule.verifying.subjects.calls.carriers import as_array
from chainrule.verifying.subjects.calls.running import call
from chainrule.verifying.subjects.held import slots_of
from chainrule.verifying.subjects.pairs import times
from chainrule.verifying.subjects.subject import Gradients, Subject

PARAMETERS = "parameters"


def of_scalars(given: Any, args: Sequence[Any], names: Sequence[str] | None, kind: Any) -> Subject:
    """f(*args) of scalars, lists where lists were given, arrays of objects where arrays were.

    An object with parameters(), as micrograd's MLP, has these as one more argument. Of several outputs the
    sum weighted by δ is formed with their own operators.
    """
    _check(kind)
    if not callable(given):
        raise ArgumentError(
            f"with scalars={kind.__name__} verify takes a function of them; received {describe(given)}"
        )
    title = str(getattr(given, "__name__", type(given).__name__))
    listed = [_as_numbers(value) for value in (args if isinstance(args, (tuple, list)) else (args,))]
    arguments = arguments_of(given, listed, names)
    leaves = _leaves(list(arguments.tree), listed)
    arguments = replace(
        arguments,
        arrays=tuple(array.astype(np.float64) for array in arguments.arrays),
        makers=tuple(_wrapping(kind, isinstance(value, np.ndarray)) for value in leaves),
    )
    several = callable(getattr(given, PARAMETERS, None))
    held = list(call(f"{title}.{PARAMETERS}", given.parameters)) if several else []
    arrays = arguments.arrays
    if held:
        arrays = (*arrays, np.array([float(value.data) for value in held]))
    calls = _Calls(title, given, kind, arguments, bool(held))
    trial = calls.forward(arrays)
    subject = Subject(title, calls.labels, calls.forward, calls.backward, trial.size > 1, args=arrays)
    if isinstance(inspect.getattr_static(kind, "grad", None), property):
        return subject
    adding = replace(calls, adding=True)
    return replace(subject, without={"overwritten_scalars": replace(subject, backward=adding.backward)})


def taken_from(args: Sequence[Any]) -> tuple[Any, Sequence[Any]]:
    """(the class of the scalars among the arguments, None where there are none; the arguments as numbers)."""
    listed = args if isinstance(args, (tuple, list)) else ()
    kinds = {type(value) for value in listed if _is_scalar(value)}
    if len(kinds) != 1:
        return None, args
    kind = kinds.pop()
    return kind, tuple(float(value.data) if type(value) is kind else value for value in listed)


def _is_scalar(value: Any) -> bool:
    if isinstance(value, np.ndarray) or hasattr(value, "detach") or isinstance(value, type):
        return False
    return _plain(getattr(value, "data", None)) and hasattr(value, "grad") and hasattr(value, "backward")


@dataclass(frozen=True, eq=False)
class _Calls:
    """kind: the class of scalars.  held: whether the function has parameters, which stand behind the
    arguments as one array.  adding: whether what is assigned to .grad is added to it.
    """

    title: str
    function: Any
    kind: Any
    arguments: Arguments
    held: bool
    adding: bool = False

    @property
    def labels(self) -> tuple[str, ...]:
        return (*self.arguments.names, *((PARAMETERS,) if self.held else ()))

    def run(self, values: Sequence[Array]) -> tuple[list[Any], Array, list[Any]]:
        """The outputs, flat, their numbers, and the scalars of every argument."""
        makers = self.arguments.makers
        leaves = [make(array) for make, array in zip(makers, values[: len(makers)], strict=True)]
        built = self.arguments.filled(leaves)
        function = copy.deepcopy(self.function) if self.held else self.function
        if self.held:
            inner = list(function.parameters())
            for value, number in zip(inner, values[-1], strict=True):
                value.data, value.grad = float(number), 0.0
            leaves.append(inner)
        out = call(self.title, function, *built)
        flat = _flat(out)
        if not flat or not all(isinstance(value, self.kind) for value in flat):
            wanted = f"{self.kind.__name__} or a list of them"
            raise DataError(f"{self.title} returned {describe(out)}: it must return {wanted}")
        shape = () if len(flat) == 1 else np.shape(out) if isinstance(out, np.ndarray) else _shape_of(out)
        numbers = as_array([value.data for value in flat], f"the output of {self.title}")
        return flat, numbers.reshape(shape), leaves

    def forward(self, values: Sequence[Array]) -> Array:
        return self.run(values)[1]

    def backward(self, values: Sequence[Array], delta: Array) -> Gradients:
        with adding_up(self.kind) if self.adding else nullcontext():
            return self._backward(values, delta)

    def _backward(self, values: Sequence[Array], delta: Array) -> Gradients:
        flat, _, leaves = self.run(values)
        if len(flat) == 1:
            total, factor = flat[0], float(delta.reshape(()))
        else:
            total, factor = flat[0] * float(delta.flat[0]), 1.0
            for value, number in zip(flat[1:], delta.ravel()[1:].tolist(), strict=True):
                total = call(self.title, lambda a, b: a + b, total, value * number)
        _in_order(total, self.kind, [scalar for leaf in leaves for scalar in _flat(leaf)])
        call(f"{self.kind.__name__}.backward", total.backward)
        gradients = []
        for leaf, name, value in zip(leaves, self.labels, values, strict=True):
            made = as_array([_gradient(each) for each in _flat(leaf)], f"the gradient of {name}")
            gradients.append(made.reshape(value.shape))
        return times(factor, tuple(gradients))


class _InOrder(set[Any]):
    """A set with an order."""

    def __init__(self, entries: Sequence[Any]) -> None:
        super().__init__(entries)
        self.order = tuple(entries)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.order)


def _in_order(total: Any, kind: Any, leaves: Sequence[Any]) -> None:
    """The sets of scalars in a graph get an order that their numbers tell: that of a set is by addresses,
    another in each run, and what one overwrites of the other would be chance.
    """
    known = {id(leaf): hash((number, 0.5)) for number, leaf in enumerate(leaves)}
    waiting, inner = [(total, False)], dict[int, dict[str, list[Any]]]()
    while waiting:
        node, done = waiting.pop()
        if done:
            for name, entries in inner[id(node)].items():
                entries.sort(key=lambda entry: known.get(id(entry), 0))
                with contextlib.suppress(AttributeError):  # of a frozen one
                    setattr(node, name, _InOrder(entries))
            marks = [known.get(id(entry), 0) for entries in inner[id(node)].values() for entry in entries]
            known.setdefault(id(node), hash((float(node.data), *marks)))
        elif id(node) not in inner:
            names = dict.fromkeys([*getattr(node, "__dict__", {}), *slots_of(node)])
            held = {name: getattr(node, name, None) for name in names}
            inner[id(node)] = sets = {
                name: list(value)
                for name, value in held.items()
                if isinstance(value, set) and value and all(isinstance(entry, kind) for entry in value)
            }
            waiting.append((node, True))
            waiting += [(entry, False) for entries in sets.values() for entry in entries]


@contextlib.contextmanager
def adding_up(kind: Any) -> Iterator[None]:
    """Within it what is assigned to .grad without being read first, `=`, is added to it, as by `+=`."""
    slot, read = kind.__dict__.get("grad"), set[int]()
    stored = slot if hasattr(slot, "__set__") else None

    def get(scalar: Any) -> Any:
        read.add(id(scalar))
        return scalar.__dict__["grad"] if stored is None else stored.__get__(scalar)

    def put(scalar: Any, value: Any) -> None:
        if id(scalar) not in read and value:
            known = scalar.__dict__.get("grad") if stored is None else stored.__get__(scalar)
            value = value if known is None else known + value
        read.discard(id(scalar))
        if stored is None:
            scalar.__dict__["grad"] = value
        else:
            stored.__set__(scalar, value)

    kind.grad = property(get, put)
    try:
        yield
    finally:
        if slot is None:
            del kind.grad
        else:
            kind.grad = slot


def _as_numbers(value: Any) -> Any:
    """A number as an array of one, a tuple of numbers as a list: both have gradients here."""
    if _plain(value):
        return np.array(float(value))
    if isinstance(value, tuple) and value and all(map(_plain, value)):
        return [float(entry) for entry in value]
    return value


def _check(kind: Any) -> None:
    if not isinstance(kind, type):
        raise ArgumentError(f"scalars is {describe(kind)}: write the class of the scalars, scalars=Value")
    try:
        value = kind(1.0)
    except Exception as error:
        raise ArgumentError(
            f"scalars: {kind.__name__}(1.0) raised {type(error).__name__}: {error}"
        ) from error
    missing = [name for name in ("data", "grad", "backward") if not hasattr(value, name)]
    if missing:
        raise ArgumentError(
            f"scalars: {kind.__name__} has no {', '.join(missing)}: verify reads .data "
            "and .grad, and calls .backward()"
        )


def _plain(value: Any) -> bool:
    return isinstance(value, Number) and not isinstance(value, (bool, complex))


def _wrapping(kind: Any, as_arrays: bool) -> Callable[[Array], Any]:
    def make(array: Array) -> Any:
        if array.ndim == 0:
            return kind(float(array))
        wrapped = np.empty(array.shape, dtype=object)
        for index in np.ndindex(array.shape):
            wrapped[index] = kind(float(array[index]))
        return wrapped if as_arrays else wrapped.tolist()

    return make


def _leaves(node: Node, value: Any) -> Iterator[Any]:
    """The value behind each array."""
    if isinstance(node, Leaf):
        yield value
    elif isinstance(node, dict):
        for key, entry in node.items():
            yield from _leaves(entry, value[key])
    elif isinstance(node, list):
        for entry, part in zip(node, value, strict=True):
            yield from _leaves(entry, part)


def _flat(value: Any) -> list[Any]:
    if isinstance(value, np.ndarray):
        return list(value.ravel())
    if isinstance(value, (list, tuple)):
        return [leaf for entry in value for leaf in _flat(entry)]
    return [value]


def _shape_of(value: Any) -> tuple[int, ...]:
    if isinstance(value, (list, tuple)):
        inner = _shape_of(value[0]) if value else ()
        return (len(value), *inner)
    return ()


def _gradient(value: Any) -> float:
    return 0.0 if value.grad is None else float(value.grad)
