"""Which argument a returned gradient belongs to: by a dict's keys, by order, or by shape where that tells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, islice
from numbers import Number
from typing import Any

import numpy as np

from chainrule.base.errors import DataError, ShapeError, describe
from chainrule.base.languages import Say
from chainrule.base.shown import quoted
from chainrule.base.types import Array, Shape
from chainrule.verifying.subjects.calls.arguments import Kept, Leaf, Node
from chainrule.verifying.subjects.calls.carriers import as_array
from chainrule.verifying.texts import TEXTS

# What people call the gradient of an argument, as a key or as an attribute: dW, grad_W, W_grad, ...
FORMS = (
    "d{0}",
    "d_{0}",
    "grad_{0}",
    "{0}_grad",
    "grad{0}",
    "{0}.grad",
    "g{0}",
    "g_{0}",
    "∂{0}",
    "{0}_gradient",
)
KEY_FORMS = (*FORMS, "{0}")
_MOST_ORDERS = 2000

Gradients = tuple[Array | None, ...]


@dataclass(frozen=True, eq=False)
class Wanted:
    """The arrays that gradients may belong to. tree: the arguments as the function takes them; copy: whether
    gradients are copied.
    """

    names: tuple[str, ...]
    arrays: Sequence[Array]
    tree: tuple[Node, ...]
    copy: bool = True

    def floats(self) -> list[int]:
        return [number for number, array in enumerate(self.arrays) if array.dtype.kind == "f"]

    def alike(self) -> bool:
        """Whether two arrays that may have gradients have one shape."""
        shapes = [self.arrays[number].shape for number in self.floats()]
        return len(set(shapes)) < len(shapes)

    def label(self) -> str:
        return ", ".join(self.names)


def by_argument(given: Any, wanted: Wanted, what: str = "backward", *, guess: bool = True) -> Gradients:
    """One gradient per array, None where there is none.

    Of fewer gradients than arguments the first ones are meant where the shapes leave it open (`taken_as`);
    guess False: of two or more that is a DataError. Raises ShapeError for more than there are, DataError for
    what is no array.
    """
    made: list[Array | None] = [None] * len(wanted.names)
    if isinstance(given, Mapping):
        return _by_key(given, wanted, what)
    floats = wanted.floats()
    listed = _listed(given, wanted, floats)
    if len(listed) == len(wanted.tree) and _fits(listed, wanted.tree):
        for number, value in _leaves(listed, wanted.tree, wanted, what):
            made[number] = _gradient(value, wanted.names[number], wanted.copy)
        return tuple(made)
    if len(listed) == 1 and len(floats) > 1 and (pieces := _cut(listed[0], wanted, floats)):
        return tuple(pieces.get(number) for number in range(len(made)))
    if len(listed) in (len(made), len(floats)):
        places: Sequence[int] = range(len(made)) if len(listed) == len(made) else floats
    elif len(listed) < len(made):
        places = _by_shape(listed, wanted, what, guess)
    else:
        raise ShapeError(
            f"{what} returned {len(listed)} gradients for {len(wanted.names)} argument"
            f"{'s' * (len(wanted.names) != 1)} ({wanted.label()}): give in args every array that has a "
            "gradient"
        )
    for number, value in zip(places, listed, strict=False):
        made[number] = _gradient(value, wanted.names[number], wanted.copy)
    return tuple(made)


def taken_as(given: Any, wanted: Wanted) -> tuple[Say, ...]:
    """A note on whose gradients these are taken to be, where their shapes fit other arguments, too."""
    floats = wanted.floats()
    if isinstance(given, Mapping):
        return ()
    listed = _listed(given, wanted, floats)
    if len(listed) == len(wanted.tree) and _fits(listed, wanted.tree):
        return ()
    if len(listed) in (len(wanted.names), len(floats)):
        return ()
    if len(listed) == 1 and _cut(listed[0], wanted, floats):
        return ()
    fitting = _fitting(listed, wanted)
    if len(fitting) < 2:
        return ()
    names = [wanted.names[number] for number in fitting[0]]
    other = next(wanted.names[number] for number in fitting[1] if number not in fitting[0])
    if len(names) == 1:
        return (TEXTS.say("subject.taken", name=names[0], other=f"{{'d{other}': ...}}"),)
    said = {"count": len(names), "names": ", ".join(names), "other": f"{{'d{other}': ...}}"}
    return (TEXTS.say("subject.taken_first", **said),)


@lru_cache(maxsize=512)
def _keys(name: str, forms: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """What a gradient of `name` may be called, as it is written and in small letters."""
    keys = [form.format(name) for form in forms]
    return keys, [key.lower() for key in keys]


def key_of(name: str, store: Mapping[Any, Any], forms: tuple[str, ...] = KEY_FORMS) -> Any:
    """The key of the gradient of `name`, None where there is none; case matters where it tells."""
    keys, small = _keys(name, forms)
    for key in keys:
        if key in store:
            return key
    lower = {str(key).lower(): key for key in store}
    if len(lower) == len(store):
        for key in small:
            if key in lower:
                return lower[key]
    return None


def _by_key(given: Mapping[Any, Any], wanted: Wanted, what: str) -> Gradients:
    keys: dict[int, Any] = {}
    for number, name in enumerate(wanted.names):
        key = key_of(name, given)
        if key is not None and key not in keys.values():
            keys[number] = key
    missing = [number for number in wanted.floats() if number not in keys]
    rest = {
        key: np.shape(value) for key, value in given.items() if key not in keys.values() and _number(value)
    }
    lost = [key for key, shape in rest.items() if any(shape == wanted.arrays[n].shape for n in missing)]
    if not keys or lost:
        unknown = ", ".join(quoted(key, 60) for key in (lost or given))
        raise DataError(
            f"{what} returned a dict with {unknown or 'nothing in it'}, of which none is a gradient of "
            f"{wanted.label()}: call them d{wanted.names[missing[0] if missing else 0]}, ..."
        )
    return tuple(
        _gradient(given[keys[n]], name, wanted.copy) if n in keys else None
        for n, name in enumerate(wanted.names)
    )


def _listed(given: Any, wanted: Wanted, floats: list[int]) -> list[Any]:
    """What was returned as a list of gradients; a list of numbers is one gradient where one is wanted."""
    if isinstance(given, np.ndarray) and given.dtype == object and given.ndim == 1:
        return list(given)
    if not isinstance(given, (tuple, list)):
        return [given]
    if len(floats) == 1 and len(given) != 1 and not isinstance(given, tuple):
        shape = wanted.arrays[floats[0]].shape
        if shape and len(given) == shape[0] and _shape(given) == shape:
            return [np.array(given)]
    if len(given) > len(wanted.names) and all(isinstance(entry, Number) for entry in given):
        return [np.array(given)]
    return list(given)


def _fits(listed: Sequence[Any], tree: Sequence[Node]) -> bool:
    """Whether each value may be the gradient of the argument at its place."""
    for value, node in zip(listed, tree, strict=True):
        if isinstance(node, Kept) and value is not None:
            return False
        if isinstance(node, (dict, list)) and not isinstance(value, (Mapping, list, tuple, type(None))):
            return False
        if isinstance(node, Leaf) and isinstance(value, Mapping):
            return False
    return True


def _leaves(
    listed: Sequence[Any], tree: Sequence[Node], wanted: Wanted, what: str
) -> Iterator[tuple[int, Any]]:
    for value, node in zip(listed, tree, strict=True):
        if isinstance(node, Leaf):
            yield node.number, value
        elif isinstance(node, (dict, list)) and value is not None:
            entries = list(node.values()) if isinstance(node, dict) else node
            if isinstance(value, Mapping) and isinstance(node, dict):
                keys = [key_of(str(name), value) for name in node]
                yield from _leaves(
                    [None if key is None else value[key] for key in keys], entries, wanted, what
                )
            elif len(value) == len(entries):
                yield from _leaves(list(value), entries, wanted, what)
            else:
                raise ShapeError(
                    f"{what} returned {len(value)} gradients for a list of {len(entries)} arrays"
                )


def _cut(value: Any, wanted: Wanted, floats: list[int]) -> dict[int, Array]:
    """A flat vector of all gradients, in pieces; nothing where it is none."""
    shapes = [wanted.arrays[number].shape for number in floats]
    sizes = [int(np.prod(shape)) for shape in shapes]
    if np.ndim(value) != 1 or np.size(value) != sum(sizes) or np.shape(value) in shapes:
        return {}
    parts = np.split(as_array(value, "the gradient"), np.cumsum(sizes)[:-1])
    return {n: part.reshape(shape) for n, part, shape in zip(floats, parts, shapes, strict=True)}


def _by_shape(listed: list[Any], wanted: Wanted, what: str, guess: bool) -> Sequence[int]:
    """The arguments, in their order, that have the gradients' shapes."""
    numbers = _candidates(listed, wanted)
    fitting = _fitting(listed, wanted)
    if not fitting:
        return numbers[: len(listed)]
    if len(fitting) == 1 or guess or len(listed) == 1:
        return fitting[0]
    raise DataError(
        f"{what} returned {len(listed)} gradients for {len(wanted.names)} arguments ({wanted.label()}), and "
        f"their shapes fit several of them: give arrays of different sizes, return a dict, "
        f"{{'d{wanted.names[numbers[0]]}': ...}}, or give a function of that argument alone"
    )


def _candidates(listed: Sequence[Any], wanted: Wanted) -> Sequence[int]:
    floats = wanted.floats()
    return floats if len(listed) <= len(floats) else range(len(wanted.names))


def _fitting(listed: Sequence[Any], wanted: Wanted) -> list[tuple[int, ...]]:
    """All choices of arguments, in their order, that have the gradients' shapes."""
    shapes = [_shape(value) for value in listed]

    def fits(places: Sequence[int]) -> bool:
        return all(
            value is None or shape == wanted.arrays[number].shape
            for value, shape, number in zip(listed, shapes, places, strict=True)
        )

    orders = islice(combinations(_candidates(listed, wanted), len(listed)), _MOST_ORDERS)
    return [places for places in orders if fits(places)]


def _gradient(value: Any, name: str, copy: bool) -> Array | None:
    if value is None:
        return None
    if isinstance(value, (Mapping, str)):
        raise DataError(f"the gradient of {name} is {describe(value)}, no array of numbers")
    return as_array(value, f"the gradient of {name}", copy=copy)


def _number(value: Any) -> bool:
    return value is not None and not isinstance(value, (str, Mapping))


def _shape(value: Any) -> Shape:
    try:
        return tuple(np.shape(value))
    except Exception:  # rows of different lengths, or another library's own error
        return ()
