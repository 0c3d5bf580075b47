"""What is known of a module of PyTorch while its calls are read, and sizes and axes as it has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.base.types import Array
from chainrule.networks.taking.building import Building
from chainrule.networks.taking.values import Value


def array_of(tensor: Any) -> Array:
    return np.asarray(tensor.detach().cpu().numpy())


class Reading:
    """What is known of a module while its calls are read."""

    def __init__(self, torch: Any, module: Any, building: Building) -> None:
        self.torch, self.module, self.building = torch, module, building
        self.values: dict[Any, Any] = {}
        self.tensors: dict[int, tuple[str, Any]] = {}  # a parameter -> the module that has it


def axes_of(m: Any) -> int:
    """Of a module that says it: Conv3d has 3."""
    last = type(m).__name__[-2:]
    return int(last[0]) if last in ("1d", "3d") else 2


def along(*kinds: str) -> list[str]:
    """The names of a kind along one axis, two and three: "Conv1d", ..."""
    return [f"{kind}{axes}d" for kind in kinds for axes in (1, 2, 3)]


def axis_of(name: str, x: Value, dim: int) -> int:
    """Which axis of a sample an axis of theirs is, whose samples are axis 0."""
    place = dim % (len(x.theirs) + 1) - 1
    if place < 0:
        raise ArgumentError(f"{name}: dim={dim} goes over the samples, which stay apart in chainrule")
    return place


def sizes_of(value: Any, axes: int) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, tuple | list) else (value,) * axes


class Steps:
    """What a recurrent module gives: (the outputs of all steps, the states after the last), of an LSTM these
    as (h, c).
    """

    def __init__(self, name: str, layers: Sequence[Value], ways: int, cells: bool) -> None:
        self.name, self.layers, self.ways, self.cells = name, layers, ways, cells

    def item(self, place: Any) -> Any:
        if place == 0:
            return self.layers[-1]
        states = States(self.name, self.layers, self.ways)
        return (states, States(self.name)) if self.cells else states


@dataclass(frozen=True)
class States:
    """The states after the last step, one of every layer and way: h by the steps of the layers; of c nothing
    is known.
    """

    name: str
    layers: Sequence[Value] = ()
    ways: int = 1

    def one(self, place: int) -> tuple[Value, int]:
        """(the steps of a layer, which of its ways)."""
        count = len(self.layers) * self.ways
        if not -count <= place < count:
            raise ArgumentError(
                f"{self.name}: of the states after the last step h[-1] and the others of h are taken"
            )
        layer, way = divmod(place % count, self.ways)
        return self.layers[layer], way
