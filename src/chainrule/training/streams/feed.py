"""Feeds: one batch for every step, of an epoch's order over large arrays or of a source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from chainrule.base.errors import ArgumentError, describe
from chainrule.base.scalars import check_count
from chainrule.data.preparation import Preparation
from chainrule.losses import Loss
from chainrule.networks.batch import Batch
from chainrule.networks.network import Network
from chainrule.training.parts import FitData, Rows, Validation, given_validation, told_classes
from chainrule.training.streams.door import BatchDoor
from chainrule.training.streams.source import FORMS, Source, gives_batches, lists_batches

DEFAULT_BATCH = 32  # samples per step of arrays
_INSTEAD = {
    "y": "each batch is (X, y)",
    "sample_weight": "each batch is (X, y, weights)",
    "batch_size": "batches have the size they are given with",
}


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
        self._epoch, self._opened = epoch, source.open(epoch)
        self.first = door(next(self._opened), f"batch 1 of epoch {epoch}")
        self._first: Batch | None = self.first  # until its epoch has begun

    def first_of(self, epoch: int) -> Batch:
        """The first batch of an epoch that has been, from the source as it is now."""
        return self.door(next(self.source.open(epoch)), f"batch 1 of epoch {epoch}")

    def batches(self, epoch: int, order: Rows) -> Iterator[Batch]:
        """As the source gives them; `order` is none of its own."""
        first = self._first if epoch == self._epoch else None
        opened = self.source.open(epoch) if first is None else self._opened
        self._first = None
        if first is not None:
            yield first
        for number, entry in enumerate(opened, 1 + (first is not None)):
            yield self.door(entry, f"batch {number} of epoch {epoch}")


class ConvertedFeed:
    """Batches of arrays whose copy as the network reads it would be too large: made one by one."""

    def __init__(self, data: FitData, batch_size: int, dropped: int) -> None:
        self.data, self.batch_size = data, batch_size
        self.steps: int | None = -(-(len(data.rows) - dropped) // batch_size)

    def batches(self, epoch: int, order: Rows) -> Iterator[Batch]:
        for start in range(0, len(order), self.batch_size):
            batch = self.data.training[order[start : start + self.batch_size]]
            assert self.data.make is not None
            yield replace(batch, inputs=self.data.make(batch.inputs))


class ValidationFeed:
    """Validation batches, from their beginning after every epoch."""

    def __init__(self, source: Source, network: Network, loss: Loss, training: FitData | BatchDoor) -> None:
        self.source, self.network, self.loss, self.training = source, network, loss, training

    def batches(self, epoch: int) -> Iterator[Batch]:
        known = self.training  # of batches, classes may have become more since
        door = BatchDoor(self.network, self.loss, None, known.classes, known.preparation)
        door.grows = isinstance(known, BatchDoor)
        for number, entry in enumerate(self.source.open(epoch), 1):
            yield door(entry, f"batch {number} of the validation after epoch {epoch}")
            if isinstance(known, BatchDoor):
                known.classes = door.classes


@dataclass(frozen=True, eq=False)
class Prepared:
    """The data of a fit, checked.

    feed: where a step takes its batch from; None: from the arrays of `data`, of which a source has its first
    batch only.  validation: batches to validate on, where they are no arrays.  size: of the largest batch
    known.  samples: of an epoch; None: not known.  dropped: the last samples of every epoch's order, which it
    leaves out.
    """

    data: FitData
    feed: Feed | None
    validation: ValidationFeed | None
    size: int
    samples: int | None
    dropped: int = 0

    @property
    def of_arrays(self) -> bool:
        """Whether the data are arrays, all of which are known."""
        return not isinstance(self.feed, SourceFeed)

    @property
    def steps(self) -> int:
        """Of an epoch; 0: not known."""
        count = len(self.data.rows) - self.dropped
        return -(-count // self.size) if self.feed is None else self.feed.steps or 0

    @property
    def validated(self) -> bool:
        """Whether there is anything to validate on."""
        return self.validation is not None or self.data.validation is not None


def takes_arrays(X: Any, y: Any, steps_per_epoch: Any, training_size: Any) -> bool:
    """Whether fit is given arrays, and not batches; TypeError and ArgumentError where it is given neither."""
    if gives_batches(X) and not (y is not None and isinstance(X, (list, tuple))):
        return False
    for name, value in (("steps_per_epoch", steps_per_epoch), ("training_size", training_size)):
        if value is not None:
            raise ArgumentError(f"{name} is of batches, and fit was given arrays: leave it out")
    if y is None:
        raise TypeError(f"fit() needs y: write fit(network, X, y), or fit(network, batches) with {FORMS}")
    return True


def validation_parts(validation: Validation) -> tuple[Validation, Source | None]:
    """(arrays or a fraction, batches): one of them is None."""
    return (None, Source(validation, "validation")) if lists_batches(validation) else (validation, None)


def prepared_arrays(
    network: Network,
    loss: Loss,
    data: FitData,
    batch_size: int | None,
    apart: Source | None,
    drop_last: bool = False,
) -> Prepared:
    """Arrays that have been checked, and batches to validate on."""
    size = min(DEFAULT_BATCH if batch_size is None else batch_size, len(data.rows))
    dropped = len(data.rows) % size if drop_last else 0
    feed = None if data.make is None else ConvertedFeed(data, size, dropped)
    validating = None if apart is None else ValidationFeed(apart, network, loss, data)
    return Prepared(data, feed, validating, size, len(data.rows) - dropped, dropped)


def prepared_batches(
    network: Network,
    loss: Loss,
    X: Any,
    *,
    of_arrays: Mapping[str, Any],
    validation: Validation,
    apart: Source | None,
    class_weight: Any,
    classes: Any,
    steps_per_epoch: int | None,
    training_size: int | None,
    finished: int | None,
    again: bool = False,
    known: tuple[Any, Preparation | None] | None = None,
) -> Prepared:
    """A source of batches, of which the first has been checked; nothing of the network is changed.

    of_arrays: arguments that only arrays have.  finished: epochs of the fit that is resumed, None where there
    is none.  again: whether an epoch may have to be given again.  known: the labels and the preparation that
    the batches before have told.
    """
    for name, value in of_arrays.items():
        if value is not None:
            advice = _INSTEAD[name]
            raise ArgumentError(f"{name} is of arrays, and fit was given batches: leave it out, {advice}")
    if validation is not None and not isinstance(validation, (tuple, list)):
        raise ArgumentError(
            "validation must be (X_val, y_val) or batches where fit is given batches: they cannot be divided "
            f"before they are there; received {describe(validation)}"
        )
    limit = None if steps_per_epoch is None else check_count("steps_per_epoch", steps_per_epoch)
    source = Source(X, "batches", limit)
    if again or finished is not None:
        source.check_repeats("checkpoint" if again else "resume")
    samples = source.samples if training_size is None else check_count("training_size", training_size)
    door = BatchDoor(network, loss, class_weight, told_classes(classes, network))
    if known is not None:
        door.goes_on(*known)
    feed = SourceFeed(source, door, 1 + (finished or 0))
    held_out = None
    if validation is not None:
        held_out, door.classes = given_validation(network, loss, validation, door.classes, door.preparation)
    data = FitData(feed.first, np.arange(0), held_out, door.classes, door.preparation)
    validating = None if apart is None else ValidationFeed(apart, network, loss, door)
    return Prepared(data, feed, validating, len(feed.first), samples)
