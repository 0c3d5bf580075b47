"""The parameters of a network by name; what is assigned is checked."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.base.errors import ArgumentError, DataError, ShapeError, describe
from chainrule.base.tables import text_table
from chainrule.base.types import Array
from chainrule.layers import Parameter

_DTYPES = ("float32", "float64")
_moments = itertools.count(1)


def _references(arrays: Mapping[str, Any], name: str) -> int:
    return sys.getrefcount(arrays[name])


_ALONE = _references({"": object()}, "")  # of what only its mapping holds


def checked(name: str, value: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """A C-contiguous copy of `value` for the parameter `name`; ShapeError or DataError if it does not fit."""
    array = np.asarray(value)
    if array.dtype.kind not in "fiu":
        raise DataError(f"{name} must hold real numbers, received an array of dtype {array.dtype}")
    if array.shape != shape:
        advice = ""
        if array.shape == shape[::-1]:
            advice = "; it looks transposed: write array.T"
        elif array.size == np.prod(shape):
            advice = f"; the number of entries fits: write array.reshape{shape}, if their order is right"
        raise ShapeError(f"{name} has the shape {shape}, received {array.shape}{advice}")
    with np.errstate(over="ignore"):
        converted = np.array(array, dtype=dtype, order="C")
    finite = np.isfinite(converted)
    if not finite.all():
        first = tuple(int(index) for index in np.argwhere(~finite)[0])
        what = "does not fit into" if np.isfinite(array[first]) else "is not finite in"
        raise DataError(f"{name} must be finite: entry {first} is {array[first]}, which {what} {dtype}")
    return converted


def _within(name: str, values: Array, spec: Parameter) -> Array:
    """The values; DataError where one is below the least that there is, as a variance below 0."""
    if spec.least is not None and values.size and values.min() < spec.least:
        first = tuple(int(index) for index in np.argwhere(values < spec.least)[0])
        raise DataError(f"{name} must be at least {spec.least:g}: entry {first} is {values[first]:g}")
    return values


def dtype_from(value: Any) -> np.dtype[Any]:
    """float32 or float64 as a NumPy dtype."""
    try:
        dtype = None if value is None else np.dtype(value)
    except (TypeError, ValueError):
        dtype = None
    if dtype is None or dtype.name not in _DTYPES:
        advice = ", or precision='bfloat16' beside float32" if "bfloat16" in describe(value) else ""
        raise ArgumentError(f"dtype must be 'float32' or 'float64'{advice}, received {describe(value)}")
    chosen: np.dtype[Any] = np.dtype(dtype.name)
    return chosen


def check_named(values: Any) -> None:
    """TypeError unless `values` is a mapping, name -> array."""
    if not isinstance(values, Mapping):
        form = "parameters must be given by name, {'dense1.W': array}"
        raise TypeError(f"{form}, received {describe(values)}")


class Parameters(Mapping[str, Array]):
    """name -> array, in the order of the layers.

    The arrays are the network's own: changing one in place changes the network.  Assigning,
    `parameters["dense1.W"] = array`, puts a checked copy in its place; names cannot be added or removed.

    Whoever keeps a copy of them elsewhere learns here when it is out of date, without looking at the numbers:
    an array can change while somebody else holds it, or once it has been handed out again; `moment` tells
    the latter, and `in_other_hands` the former.
    """

    moment = 0  # another one after every array that was handed out or replaced

    def __init__(
        self, specs: Mapping[str, Parameter], dtype: np.dtype[Any], names: Mapping[str, Mapping[str, str]]
    ) -> None:
        """names: layer -> its own name of a parameter -> the parameter, as in an `Architecture`."""
        self._specs, self._names = specs, names
        self._dtype = dtype
        self._arrays: dict[str, Array] = {}

    def __getitem__(self, name: str) -> Array:
        if name not in self._specs:
            raise KeyError(self._unknown(name))
        array = self._arrays[name]
        self.moment = next(_moments)  # once it is held: see `in_other_hands`
        return array

    def __contains__(self, name: object) -> bool:
        return name in self._specs

    def __setitem__(self, name: str, value: Any) -> None:
        self.update({name: value})

    def __iter__(self) -> Iterator[str]:
        return iter(self._specs)

    def __len__(self) -> int:
        return len(self._specs)

    def within(self, layer: str) -> dict[str, Array]:
        """Those of one layer by their own names, "W"; of a composite "dense1.W"."""
        return {own: self[name] for own, name in self.names_within(layer).items()}

    def names_within(self, layer: str) -> Mapping[str, str]:
        """A layer's own names of its parameters -> the parameters, another layer's where they share them."""
        return self._by_layer.get(layer, {})

    def in_other_hands(self, names: Iterable[str]) -> list[str]:
        """Those of the names whose arrays may change though nobody asks for them here.

        An array or a view of it is held by somebody, or its memory is another's (what pickle makes of buffers
        out of band). One that neither holds for, and whose `moment` was read before and is still the same
        later, is what it was.
        """
        arrays = self._arrays
        return [
            name for name in names if _references(arrays, name) != _ALONE or not arrays[name].flags.owndata
        ]

    def copied(self, name: str, copy: Callable[[Array], None]) -> None:
        """Have an array copied, which `copy` must not keep."""
        copy(self._arrays[name])

    @cached_property
    def _by_layer(self) -> dict[str, dict[str, str]]:
        """Of every layer and composite: a network of 200 layers asks 200 times a pass."""
        parameters: dict[str, dict[str, str]] = {}
        for layer, own in self._names.items():
            for key, name in own.items():
                held, within = layer, key
                while held:
                    parameters.setdefault(held, {})[within] = name
                    held, _, last = held.rpartition(".")
                    within = f"{last}.{within}"
        return parameters

    def update(self, values: Mapping[str, Any]) -> None:
        """Assign several at once: either all of them fit or nothing changes."""
        check_named(values)
        unknown = [name for name in values if name not in self._specs]
        if unknown:
            raise ShapeError(self._unknown(unknown[0]))
        new = {
            name: _within(name, checked(name, value, spec.shape, self._dtype), spec)
            for name, value, spec in ((name, value, self._specs[name]) for name, value in values.items())
        }
        self._arrays.update(new)
        self.moment = next(_moments)

    if not TYPE_CHECKING:

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            raise TypeError(
                "network.parameters is a dict by name and no method; write network.parameters['dense1.W'], "
                "or network.parameters.values() for all arrays"
            )

    def _unknown(self, name: object) -> str:
        import difflib

        from chainrule.base.foreign.attributes import PARAMETERS

        layer, _, last = str(name).rpartition(".")
        if shared := self._names.get(layer, {}).get(last):
            return f"{layer} shares its {last}, which is the parameter {shared!r}"
        called = [f"{layer}.{key}" for key in PARAMETERS.get(last, ()) if f"{layer}.{key}" in self._specs]
        if called:
            return f"the network has no parameter {describe(name)}; did you mean {called[0]!r}?"
        if within := [key for key in self._specs if key.startswith(f"{name}.")]:
            return f"the network has no parameter {describe(name)}, which is a layer: {', '.join(within)}"
        same = [key for key in self._specs if key.lower() == str(name).lower()]
        close = same or difflib.get_close_matches(str(name), self._specs, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(self._specs) or 'none'}"
        return f"the network has no parameter {describe(name)}; {hint}"

    def __repr__(self) -> str:
        if not self._specs:
            return "Parameters: none"
        rows = [["parameter", "shape", "mean", "std"]]
        rows += [[n, str(a.shape), f"{a.mean():.4g}", f"{a.std():.4g}"] for n, a in self.items()]
        return text_table(rows, right=(2, 3))
