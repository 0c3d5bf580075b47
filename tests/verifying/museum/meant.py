"""What the cases mean by `like=`: names, layers, and networks, which are made anew for every case."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import chainrule as cr


@dataclass(frozen=True, eq=False)
class Later:
    """Made when it is needed."""

    make: Callable[[], Any]


def network(*layers: Any, inputs: Any) -> Later:
    """A network of ours."""
    return Later(lambda: cr.Network(list(layers), input_shape=inputs, dtype="float64"))


def resolved(like: Any) -> Any:
    return like.make() if isinstance(like, Later) else like
