"""Arguments: the arrays among what their function is called with, by name; the rest is handed on as it is.

A dict or list of floating-point arrays is one argument per array.  Numbers, texts, None, flags, tuples of
numbers and dicts that hold anything else (CS231n's conv_param, bn_param) are options: every call gets a copy.
"""

from __future__ import annotations

import contextlib
import copy
import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Number
from types import FunctionType, MethodType
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from chainrule.base.errors import ArgumentError, DataError, describe
from chainrule.base.types import Array
from chainrule.data.arrays import plain_array
from chainrule.verifying.subjects.calls.carriers import Maker, carried


@dataclass(frozen=True)
class Leaf:
    """The array of this number."""

    number: int


@dataclass(frozen=True, eq=False)
class Kept:
    """What is no array."""

    value: Any


Node = Leaf | Kept | dict[Any, Any] | list[Any]


class Otherwise:
    """Other real numbers in place of those that are no arrays.  used: whether there was one."""

    used = False

    def of(self, value: Any) -> Any:
        """A number but 0, and those in a dict; anything else as it is."""
        if isinstance(value, dict):
            return {key: self.of(entry) for key, entry in value.items()}
        if type(value) is not float or value == 0.0:
            return value
        self.used = True
        return value * 0.9


_otherwise: list[Otherwise] = []


@contextlib.contextmanager
def other_options() -> Iterator[Otherwise]:
    """Within it their code is called with other numbers: what is right with one of them alone shows."""
    _otherwise.append(Otherwise())
    try:
        yield _otherwise[-1]
    finally:
        _otherwise.pop()


@dataclass(frozen=True, eq=False)
class Arguments:
    """names, arrays: of all arrays. outer: names of the arguments as the function takes them, each with its
    node in `tree`. precision: "bfloat16" where a tensor is of it. foreign: whether any is a tensor or JAX's.
    """

    names: tuple[str, ...]
    arrays: tuple[Array, ...]
    outer: tuple[str, ...]
    tree: tuple[Node, ...]
    makers: tuple[Maker, ...]
    precision: str | None = None
    foreign: bool = False

    def build(self, values: Sequence[Array]) -> list[Any]:
        """What the function is called with, these arrays in it."""
        return self.filled([maker(value) for maker, value in zip(self.makers, values, strict=True)])

    def filled(self, things: Sequence[Any]) -> list[Any]:
        """The same with anything in the arrays' places."""
        return [self._filled(node, things) for node in self.tree]

    def _filled(self, node: Node, things: Sequence[Any]) -> Any:
        if isinstance(node, Leaf):
            return things[node.number]
        if isinstance(node, Kept):
            try:
                value = copy.deepcopy(node.value)
            except Exception:  # a generator, a lock: there is one of it
                return node.value
            return _otherwise[-1].of(value) if _otherwise else value
        if isinstance(node, dict):
            return {key: self._filled(entry, things) for key, entry in node.items()}
        return [self._filled(entry, things) for entry in node]


def arguments_of(function: Any, args: Sequence[Any], names: Sequence[str] | None) -> Arguments:
    """`args` of `function`. Raises ArgumentError where `names` do not fit, DataError for what is no array."""
    if isinstance(args, (str, bytes, Mapping, np.ndarray)) or not isinstance(args, Sequence):
        if not isinstance(args, Mapping):
            raise ArgumentError(
                f"args is {describe(args)}: write a tuple of what forward is called with, args=(x, W, b)"
            )
        args = (args,)
    outer = _outer(function, len(args), names if names is not None and len(names) <= len(args) else None)
    leaves: list[tuple[str, Array, Maker, str | None, bool]] = []
    pairs = enumerate(zip(args, outer, strict=True))
    tree = tuple(_node(value, name, f"args[{number}]", leaves) for number, (value, name) in pairs)
    labels = _distinct([leaf[0] for leaf in leaves])
    if names is not None:
        labels = _checked(names, labels, len(args))
    lows = [low for _, _, _, low, _ in leaves if low]
    return Arguments(
        tuple(labels),
        tuple(array for _, array, _, _, _ in leaves),
        outer,
        tree,
        tuple(maker for _, _, maker, _, _ in leaves),
        lows[0] if lows else None,
        any(foreign for *_, foreign in leaves),
    )


def check_real(names: Sequence[str], arrays: Sequence[Array]) -> None:
    """DataError where none of the arrays is of floating-point numbers, which alone have a gradient."""
    if not any(array.dtype.kind == "f" for array in arrays):
        held = ", ".join(f"{name} of {array.dtype}" for name, array in zip(names, arrays, strict=True))
        raise DataError(
            f"args holds no floating-point array ({held or 'no array at all'}), and nothing else has a "
            "gradient: write x.astype(float), of a single number np.array(3.0)"
        )


def check_known(names: Sequence[str], arrays: Sequence[Array]) -> None:
    """DataError for NaN in what was handed in; infinities may be a mask's."""
    for name, value in zip(names, arrays, strict=True):
        if value.dtype.kind == "f" and (missing := np.isnan(value)).any():
            place = ", ".join(str(int(index)) for index in np.argwhere(missing)[0])
            raise DataError(f"{name} holds NaN, first at [{place}]: nothing can be told of gradients there")


Signatures = WeakKeyDictionary[FunctionType, inspect.Signature]
_OF_FUNCTIONS: Signatures = WeakKeyDictionary()
_OF_METHODS: Signatures = WeakKeyDictionary()  # bound, by their functions


def signature_of(function: Any) -> inspect.Signature:
    """inspect.signature, which raises TypeError and ValueError, of a function or method once."""
    bound = isinstance(function, MethodType)
    plain, known = (function.__func__, _OF_METHODS) if bound else (function, _OF_FUNCTIONS)
    if not isinstance(plain, FunctionType):
        return inspect.signature(function)
    signature = known.get(plain)
    if signature is None:
        signature = known[plain] = inspect.signature(function)
    return signature


def parameters_of(function: Any) -> list[inspect.Parameter]:
    """Of a function, without self; none where it does not tell, as what is written in C."""
    try:
        return list(signature_of(function).parameters.values())
    except (TypeError, ValueError):
        return []


def _outer(function: Any, count: int, names: Sequence[str] | None) -> tuple[str, ...]:
    if names is None:
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        names = [parameter.name for parameter in parameters_of(function) if parameter.kind in kinds]
    return (*names[:count], *(f"argument {number}" for number in range(len(names), count)))


def _checked(names: Sequence[str], labels: list[str], count: int) -> list[str]:
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise ArgumentError(f"names is {describe(names)}: write a list of texts, names=['x', 'W', 'b']")
    if len(set(names)) < len(names):
        raise ArgumentError(f"names has a name twice: {', '.join(names)}")
    if len(names) > max(len(labels), count):
        raise ArgumentError(
            f"names has {len(names)} names, and args {len(labels)} arrays ({', '.join(labels)})"
        )
    return [*names, *labels[len(names) :]] if len(names) == len(labels) > count else labels


def _itself(array: Array) -> Any:
    return array


def _distinct(labels: list[str]) -> list[str]:
    """Names as they are; of what stands in groups and has the name of another the longer one."""
    short = [label.rpartition("\0")[2] for label in labels]
    made = []
    for label, name in zip(labels, short, strict=True):
        group, _, key = label.rpartition("\0")
        made.append(f"{group}[{key}]".replace("\0", ".") if group and short.count(name) > 1 else name)
    return made


def _node(value: Any, name: str, what: str, leaves: list[tuple[str, Array, Maker, str | None, bool]]) -> Node:
    kind = carried(value)
    if kind is not None:
        leaves.append((name, *kind, True))
        return Leaf(len(leaves) - 1)
    if isinstance(value, Mapping) and _arrays(list(value.values())):
        return {
            key: _node(entry, f"{name}\0{key}", f"{what}[{key!r}]", leaves) for key, entry in value.items()
        }
    if isinstance(value, (list, tuple)) and _arrays(list(value)):
        return [_node(v, f"{name}\0{name}[{i}]", f"{what}[{i}]", leaves) for i, v in enumerate(value)]
    if not _numeric(value):
        return Kept(value)
    array = np.array(plain_array(value, what))
    if array.dtype.kind == "c":
        raise DataError(f"{what} ({name}) holds complex numbers: verify takes real ones")
    if array.dtype.kind not in "fiub":
        return Kept(value)
    check_known([name.rpartition("\0")[2]], [array])
    if array.size == 0:
        raise DataError(f"{what} ({name}) is empty, of shape {array.shape}: give an array with numbers in it")
    leaves.append((name, array, _itself, None, False))
    return Leaf(len(leaves) - 1)


def _numeric(value: Any) -> bool:
    """Whether it is an array, or a list of numbers. A tuple of numbers is an option: (2, 2), (0.9, 0.999)."""
    if isinstance(value, (list, tuple)):
        nested = any(isinstance(entry, (list, tuple, np.ndarray)) for entry in value)
        return bool(value) and (nested or isinstance(value, list)) and _numbers(value)
    key = str(getattr(value, "dtype", "")).startswith("key<")  # of JAX's random numbers: handed on as it is
    return isinstance(value, np.ndarray) or (
        hasattr(value, "__array__") and not isinstance(value, np.generic) and not key
    )


def _numbers(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_numbers, value))
    return isinstance(value, (Number, np.ndarray))


def _arrays(values: list[Any]) -> bool:
    """Whether they are floating-point arrays, or dicts and lists of such."""
    if not values:
        return False
    for value in values:
        if isinstance(value, Mapping):
            value = list(value.values())
        if isinstance(value, (list, tuple)):
            if not _arrays(list(value)):
                return False
        elif not (carried(value) or isinstance(value, np.ndarray)) or "float" not in str(value.dtype):
            return False
    return True
