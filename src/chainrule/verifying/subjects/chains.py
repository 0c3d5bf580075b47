"""A whole hand-written network as its layers, each a Subject with its true input: only one that is wrong by
itself is blamed, whatever comes to it from the layers above.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from chainrule.base.errors import ArgumentError, DataError, ShapeError
from chainrule.base.types import Array
from chainrule.verifying.subjects.door import subject_from
from chainrule.verifying.subjects.objects import methods_of
from chainrule.verifying.subjects.subject import Subject

_ATTRIBUTES = ("layers", "modules", "_layers", "steps", "blocks")


def layers_in(given: Any) -> dict[str, Any]:
    """The layers of a network by name, of a list of them or of the attribute that holds one; else nothing."""
    if isinstance(given, (list, tuple)):
        if len(given) == 2 and all(callable(entry) and methods_of(entry) is None for entry in given):
            return {}  # (forward, backward)
        return _named("layer", given)
    for name in _ATTRIBUTES:
        held = getattr(given, name, None)
        if isinstance(held, (list, tuple, Mapping)) and (layers := _named(name, held)):
            return layers
    return {}


def layers_of(given: Any, args: Sequence[Any], names: Sequence[str] | None = None) -> list[Subject]:
    """One Subject per layer, whose args are what reaches it when `args` go into the first.

    The layers' titles say where they are. Raises what `subject_from` raises, naming the layer.
    """
    layers = layers_in(given)
    if not layers:
        raise ArgumentError(
            "there is no list of layers: give a list of them, or an object with the attribute layers"
        )
    made: list[Subject] = []
    values: Sequence[Any] = tuple(args)
    for number, (name, layer) in enumerate(layers.items()):
        try:
            subject = subject_from(layer, values, names if number == 0 else None)
        except (ArgumentError, DataError, ShapeError) as error:
            raise type(error)(f"{name}: {error}") from error
        label = f"{name} ({subject.title})" if subject.title not in ("", name) else name
        made.append(replace(subject, title=label))
        values = (_output(subject),)
    return made


def _output(subject: Subject) -> Array:
    return subject.forward([value.copy() for value in subject.args])


def _named(name: str, held: Sequence[Any] | Mapping[Any, Any]) -> dict[str, Any]:
    entries = held.items() if isinstance(held, Mapping) else enumerate(held)
    layers = {f"{name}[{key}]": layer for key, layer in entries}
    return layers if len(layers) > 0 and all(map(_is_layer, layers.values())) else {}


def _is_layer(layer: Any) -> bool:
    if isinstance(layer, (tuple, list)):
        return len(layer) == 2 and all(map(callable, layer))
    return not isinstance(layer, type) and methods_of(layer) is not None
