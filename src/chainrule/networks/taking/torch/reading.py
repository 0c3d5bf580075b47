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

    def __init__(self, torch: Any, module: Any, building: Building, dtype: str, alone: bool = False) -> None:
        """dtype: of the network.  alone: whether it is one layer, whose samples may be anywhere."""
        self.torch, self.module, self.building, self.alone = torch, module, building, alone
        self.dtype = dtype
        self.values: dict[Any, Any] = {}
        self.tensors: dict[int, tuple[str, Any]] = {}  # a parameter -> the module that has it
        self.ids: list[Value] = []  # what embeddings read
        self.compared: list[tuple[str, Value]] = []  # what is compared as ids, and where


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
    """What a recurrent module gives: (the outputs of all steps, the states after the last). layers:
    of every layer what it puts out at all steps, of one that begins with states of every direction.
    """

    def __init__(self, name: str, every: Value, kind: str, layers: Sequence[Value]) -> None:
        self.name, self.every, self.kind, self.layers = name, every, kind, layers

    def __getitem__(self, place: int) -> Any:
        states = [States(self, state) for state in ("hc" if self.kind == "LSTM" else "h")]
        return (self.every, tuple(states) if self.kind == "LSTM" else states[0])[place]


@dataclass(frozen=True)
class States:
    """(layers and directions, samples, units): h or c after the last step."""

    of: Steps
    state: str


def constant_beside(name: str, value: Value, array: Array) -> Array:
    """A tensor of the module as a constant beside every sample of a value."""
    if array.ndim == len(value.theirs) + 1 and array.shape[0] == 1:
        array = array[0]
    if not value.holds(array):
        raise ArgumentError(f"{name}: a tensor of the shape {array.shape} beside samples of {value.theirs}")
    return array
