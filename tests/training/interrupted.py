"""Trainings that are ended again and again, beside the same ones that nothing ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule.networks.network import Network
from chainrule.training.checkpoints.keeper import Keeper
from chainrule.training.fit import fit
from chainrule.training.history import History


class Ended(Exception):
    """A training was ended, as by a kill: nothing after it runs."""


@contextmanager
def ended_at(writes: int, *, before: bool) -> Iterator[None]:
    """End every training at its so many-th checkpoint, before or after it is written."""
    write, count = Keeper.write, 0

    def ending(self: Keeper, *arguments: Any) -> None:
        nonlocal count
        count += 1
        if count < writes or not before:
            write(self, *arguments)
        if count == writes:
            raise Ended

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Keeper, "write", ending)
        yield


def run_to_the_end(
    make: Callable[[], Network],
    data: Callable[[], tuple[Any, ...]],
    options: Callable[[], dict[str, Any]],
    checkpoint: Callable[[], Any],
    rng: np.random.Generator,
    most: int = 60,
) -> tuple[Network, History, int]:
    """The network and the history of a training that is ended at random, and how often it was."""
    for times in range(most):
        network = make()
        try:
            with ended_at(int(rng.integers(2, 5)), before=bool(rng.integers(2))):
                history = fit(
                    network, *data(), checkpoint=checkpoint(), threads=int(rng.integers(1, 5)), **options()
                )
                return network, history, times
        except Ended:
            continue
    raise AssertionError(f"ended {most} times")


def rows(history: History) -> list[Any]:
    """All columns but the seconds."""
    return [replace(row, seconds=0.0) for row in history]


def same_state(one: Any, other: Any) -> bool:
    """Whether two optimizers' states are the same bits."""
    return one.keys() == other.keys() and all(np.array_equal(one[key], other[key]) for key in one)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
