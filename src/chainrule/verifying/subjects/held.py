"""The arrays that an object keeps, by name, and where their gradients are; with other arrays in their place.

W as an attribute, in a dict `params`, in a list `params`, as `W.data` beside `W.grad`, or in a layer within.
"""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from chainrule.base.errors import DataError, describe
from chainrule.base.types import Array
from chainrule.verifying.subjects.calls.arguments import Arguments, Leaf
from chainrule.verifying.subjects.calls.carriers import as_array
from chainrule.verifying.subjects.calls.returned import FORMS, Wanted, key_of

# Arrays with such a name are parameters also where no gradient of them is found.
PARAMETERS = re.compile(
    r"(w|b|u|v|weights?|kernel|bias(es)?|gamma|beta|scale|shift|theta)_?\d*", re.IGNORECASE
)
_GRADIENTS = ("grads", "gradients", "grad", "dparams", "d_params", "gradient")
_CONTENTS = ("data", "value", "val")  # of an object that keeps an array beside its gradient
_CLEAR = (
    *("zero_grad", "zero_grads", "zero_gradient", "zero_gradients", "clear_grad", "clear_grads"),
    *("cleargrads", "clear_gradients", "reset_grad", "reset_grads", "reset_gradients", "clear"),
)
# In the words of a class: what it adds up is cleared elsewhere, by an optimizer.
_ADDS_UP = re.compile(r"accumulat|zero_?grad", re.IGNORECASE)
_DEEPEST = 6

# ("attribute", "W"), ("item", "W"), ("item", 0)
Step = tuple[str, Any]


@dataclass(frozen=True, eq=False)
class Held:
    """An array of an object. paths: all ways to it, the shortest first."""

    name: str
    array: Array
    paths: tuple[tuple[Step, ...], ...]


def held_by(owner: Any) -> list[Held]:
    """Its floating-point arrays, in the order in which they were made."""
    paths: dict[int, list[tuple[Step, ...]]] = {}
    arrays: dict[int, Array] = {}
    for path, array in _walk(owner, (), set()):
        paths.setdefault(id(array), []).append(path)
        arrays[id(array)] = array
    made = []
    for key, array in arrays.items():
        # The last word of the shortest path that ends in a name.
        ways = sorted(paths[key], key=len)
        made.append(Held(_label(ways), array, tuple(ways)))
    names = [held.name for held in made]
    return [h if names.count(h.name) == 1 else Held(_written(h.paths[0]), h.array, h.paths) for h in made]


def behind(arguments: Arguments, held: Sequence[Held]) -> Wanted:
    """The arguments, and behind them the arrays of an object: what may have gradients."""
    count = len(arguments.arrays)
    return Wanted(
        (*arguments.names, *(entry.name for entry in held)),
        (*arguments.arrays, *(np.array(entry.array) for entry in held)),
        (*arguments.tree, *(Leaf(count + number) for number in range(len(held)))),
    )


def copy_with(owner: Any, held: Sequence[Held], values: Sequence[Array], shared: Sequence[Any] = ()) -> Any:
    """A copy of the object with other arrays wherever it had these; it has what is `shared` in common.

    Raises DataError for an object that cannot be copied.
    """
    memo: dict[int, Any] = {id(entry.array): value for entry, value in zip(held, values, strict=True)}
    memo |= {id(value): value for value in shared}
    try:
        return copy.deepcopy(owner, memo)
    except Exception as error:
        raise DataError(
            f"{describe(owner)} cannot be copied ({type(error).__name__}: {error}), and each call needs a "
            f"copy: keep open files, locks and generators out of it"
        ) from error


def put(owner: Any, held: Sequence[Held], values: Sequence[Array]) -> None:
    """Other arrays in the object itself, wherever it has these."""
    for entry, value in zip(held, values, strict=True):
        for *before, (kind, key) in entry.paths:
            parent = at(owner, before)
            if kind == "attribute":
                setattr(parent, key, value)
            elif isinstance(parent, (dict, list)):
                parent[key] = value


def at(owner: Any, path: Sequence[Step]) -> Any:
    """What is there, None where the way ends."""
    for kind, key in path:
        try:
            owner = getattr(owner, key, None) if kind == "attribute" else owner[key]
        except (LookupError, TypeError):
            return None
    return owner


def clearing(owner: Any, held: Sequence[Held], backward: str) -> Callable[[], None] | None:
    """What sets its gradients to 0: a method of its own or of what holds its arrays, W.zero_grad(); ours
    where its words say that it adds up; None where it has no way to.
    """
    methods = _clearing(owner, held)
    words = inspect.getdoc(type(owner)) or "", inspect.getdoc(getattr(owner, backward, None)) or ""
    if methods or any(map(_ADDS_UP.search, words)):
        return lambda: clear(owner, held, [at(owner, entry.paths[0]) for entry in held])
    return None


def clear(owner: Any, held: Sequence[Held], values: Sequence[Array]) -> None:
    """Its gradients are set to 0, by its way to and by ours; values: its arrays, which stay in it."""
    for method in _clearing(owner, held):
        method()
    if any(at(owner, e.paths[0]) is not value for e, value in zip(held, values, strict=True)):
        put(owner, held, values)
    fit_gradients(owner, held, values, zero=True)


def fit_gradients(owner: Any, held: Sequence[Held], values: Sequence[Array], *, zero: bool = False) -> None:
    """What it keeps for gradients of arrays takes the shape and type of those that come in their place.

    zero: the others are set to 0, too. What never had an array's shape is left alone: it shows as it is.
    """
    ways: dict[int, list[tuple[Step, ...]]] = {}
    for entry, value in zip(held, values, strict=True):
        kept = _kept_gradient(owner, entry)
        now = at(owner, entry.paths[0])
        if kept is None or kept.shape not in (value.shape, entry.array.shape, np.shape(now)):
            continue
        if kept.shape == value.shape and kept.dtype in (value.dtype, np.float64):
            if zero and kept.flags.writeable:
                kept[...] = 0
            continue
        if not ways:
            for path, array in _walk(owner, (), set(), gradients=True):
                ways.setdefault(id(array), []).append(path)
        fitting = Held(entry.name, kept, tuple(ways.get(id(kept), ())))
        put(owner, [fitting], [np.zeros(value.shape, np.result_type(value.dtype, kept.dtype))])


def _clearing(owner: Any, held: Sequence[Held]) -> list[Callable[[], Any]]:
    parents = [owner]
    for entry in held:
        parents += [at(owner, path[:depth]) for path in entry.paths for depth in range(1, len(path))]
    methods: list[Callable[[], Any]] = []
    told: set[int] = set()
    for parent in parents:
        if parent is None or id(parent) in told or isinstance(parent, (Mapping, list, tuple, np.ndarray)):
            continue
        told.add(id(parent))
        named = (getattr(parent, name, None) for name in _CLEAR)
        methods += [method for method in named if callable(method)][:1]
        if methods and parent is owner:  # it clears what is within
            break
    return methods


def _kept_gradient(owner: Any, held: Held) -> Array | None:
    for path in held.paths:
        value = _beside(owner, path)
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            return value
    return None


def gradient_of(owner: Any, held: Held) -> Array | None:
    """The gradient of an array beside it: dW, grad_W, grads["W"], W.grad, grads[0] of params[0]."""
    for path in held.paths:
        value = _beside(owner, path)
        if value is not None and not callable(value):
            return as_array(value, f"the gradient of {held.name}")
    return None


def attribute_gradient(owner: Any, name: str) -> Array | None:
    """Of an argument, kept as an attribute: dx, dinputs, grad_input."""
    store = vars(owner) if hasattr(owner, "__dict__") else {}
    key = key_of(name, store, FORMS)
    if key is None or not isinstance(store[key], np.ndarray):
        return None
    return as_array(store[key], f"the gradient of {name}")


def _beside(owner: Any, path: tuple[Step, ...]) -> Any:
    (kind, name), before = path[-1], path[:-1]
    parent = at(owner, before)
    if kind == "attribute" and name in _CONTENTS and before:  # W.data and W.grad
        for word in ("grad", "gradient", "g"):
            if getattr(parent, word, None) is not None:
                return getattr(parent, word)
    if kind == "attribute":
        return _named(parent, name)
    grandparent = at(owner, before[:-1]) if before else None
    if before and before[-1][0] == "attribute":
        listing = before[-1][1]
        for word in (*_GRADIENTS, *(form.format(listing) for form in FORMS)):
            store = getattr(grandparent, word, None)
            if isinstance(store, Mapping) and (key := key_of(str(name), store)) is not None:
                return store[key]
            if isinstance(store, (list, tuple)) and isinstance(name, int) and len(store) == len(parent):
                return store[name]
        if isinstance(name, str):
            return _named(grandparent, name)
    return None


def _named(parent: Any, name: str) -> Any:
    """The gradient of an attribute, as an attribute or in a dict of gradients."""
    for word in _GRADIENTS:
        store = getattr(parent, word, None)
        if isinstance(store, Mapping) and (key := key_of(name, store)) is not None:
            return store[key]
    held = vars(parent) if hasattr(parent, "__dict__") else {}
    key = key_of(name, held, FORMS)
    return None if key is None else held[key]


def _walk(
    value: Any, path: tuple[Step, ...], seen: set[int], gradients: bool = False
) -> Iterator[tuple[tuple[Step, ...], Array]]:
    """Floating-point arrays and the ways to them. gradients: also those in stores of gradients."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "f" and value.size:
            yield path, value
        return
    if len(path) > _DEEPEST or isinstance(value, (type, ModuleType, str, bytes)) or id(value) in seen:
        return
    if isinstance(value, Mapping):
        entries: list[tuple[Step, Any]] = [(("item", key), entry) for key, entry in value.items()]
    elif isinstance(value, (list, tuple)):
        entries = [(("item", number), entry) for number, entry in enumerate(value)]
    elif isinstance(value, Callable) and not hasattr(value, "__dict__"):  # type: ignore[arg-type]
        return
    else:
        names = dict.fromkeys([*getattr(value, "__dict__", {}), *slots_of(value)])
        entries = [(("attribute", name), getattr(value, name, None)) for name in names]
    for step, entry in entries:
        if gradients or not _gradient_store(step):
            yield from _walk(entry, (*path, step), seen | {id(value)}, gradients)


def _gradient_store(step: Step) -> bool:
    return step[0] == "attribute" and str(step[1]) in _GRADIENTS


def slots_of(value: Any) -> list[str]:
    """The names of attributes that an object keeps in slots."""
    slots: list[str] = []
    for kind in type(value).__mro__:
        named = kind.__dict__.get("__slots__", ())
        slots += [named] if isinstance(named, str) else list(named)
    return [name for name in slots if name not in ("__dict__", "__weakref__")]


def _label(ways: Sequence[tuple[Step, ...]]) -> str:
    """As people call it: W for W, params["W"] and W.data, layers[0].W within a layer, params[0] in a list."""
    named = [way for way in ways if isinstance(way[-1][1], str)] or ways
    way = named[0]
    if len(way) > 1 and way[-1][0] == "attribute" and way[-1][1] in _CONTENTS:
        way = way[:-1]
    inner = [number for number, (kind, key) in enumerate(way) if kind == "item" and isinstance(key, int)]
    if inner and len(way) > inner[-1] + 1:
        return _written(way)
    return str(way[-1][1]) if isinstance(way[-1][1], str) else _written(way)


def _written(path: Sequence[Step]) -> str:
    text = ""
    for kind, key in path:
        text += f".{key}" if kind == "attribute" and text else str(key) if kind == "attribute" else f"[{key}]"
    return text
