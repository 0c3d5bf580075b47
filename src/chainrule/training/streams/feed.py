"""Feeds: one batch for every step, of an epoch's order over large arrays or of a source."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from chainrule.networks.batch import Batch
from chainrule.training.parts import FitData, Rows
from chainrule.training.streams.door import BatchDoor, as_type
from chainrule.training.streams.source import Source


class Feed(Protocol):
    """What training takes its batches from where they are not arrays in the network's type."""

    @property
    def steps(self) -> int | None:
        """Of an epoch; None: not known."""

    def batches(self, epoch: int, order: Rows) -> Iterator[Batch]:
        """The batches of an epoch."""


class SourceFeed:
    """Batches of a source; the first one is taken in advance, to know its size and its classes."""

    def __init__(self, source: Source, door: BatchDoor, epoch: int) -> None:
        self.source, self.door = source, door
        self.steps = source.steps
        self._opened: Iterator[Any] | None = source.open(epoch)
        self._first: Batch | None = door(next(self._opened), f"batch 1 of epoch {epoch}")
        self.first = self._first

    def batches(self, epoch: int, order: Rows) -> Iterator[Batch]:
        """As the source gives them; `order` is none of its own."""
        opened, first = self._opened or self.source.open(epoch), self._first
        self._opened = self._first = None
        if first is not None:
            yield first
        for number, entry in enumerate(opened, 1 + (first is not None)):
            yield self.door(entry, f"batch {number} of epoch {epoch}")


class ConvertedFeed:
    """Batches of arrays whose copy in the network's type would be too large: converted one by one."""

    def __init__(self, data: FitData, batch_size: int, dtype: Any) -> None:
        self.data, self.batch_size, self.dtype = data, batch_size, dtype
        self.steps: int | None = -(-len(data.rows) // batch_size)

    def batches(self, epoch: int, order: Rows) -> Iterator[Batch]:
        for start in range(0, len(order), self.batch_size):
            batch = self.data.training[order[start : start + self.batch_size]]
            yield Batch(as_type(self.dtype, batch.inputs), batch.targets, batch.weights)


class ValidationFeed:
    """Validation batches, from their beginning after every epoch."""

    def __init__(self, source: Source, door: BatchDoor) -> None:
        self.source, self.door = source, door

    def batches(self, epoch: int) -> Iterator[Batch]:
        for number, entry in enumerate(self.source.open(epoch), 1):
            yield self.door(entry, f"batch {number} of the validation after epoch {epoch}")
