"""What gives batches: an iterable that can be begun anew, a function of the epoch, or an iterator that runs
once.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from chainrule.base.errors import ArgumentError, DataError, describe
from chainrule.base.scalars import finite_number

FORMS = (
    "a list of batches (X, y), an object with __iter__ such as a DataLoader, or a function f(epoch) that "
    "returns or yields the batches of one epoch"
)
_ANEW = "def batches(epoch): ... yield X, y and fit(network, batches, epochs=3)"


def gives_batches(value: Any) -> bool:
    """Whether a value, given without targets, is what batches come from, and not an array or a table."""
    if value is None or isinstance(value, (str, bytes, dict, set, frozenset, type)) or finite_number(value):
        return False
    if isinstance(value, (list, tuple)):
        return bool(value) and _is_batch(value[0])
    if any(hasattr(value, name) for name in ("__array__", "shape", "columns", "__dataframe__")):
        return False
    return callable(value) or hasattr(value, "__iter__") or _is_sequence(value)


def lists_batches(value: Any) -> bool:
    """Whether a validation set is batches: a list or tuple may be (X, y) of arrays as well."""
    if isinstance(value, (list, tuple)):
        return bool(value) and all(_is_batch(entry) and hasattr(entry[0], "shape") for entry in value)
    return gives_batches(value)


def _is_batch(entry: Any) -> bool:
    """(X, y) or (X, y, weights): X is no number, and so no row of a table."""
    return isinstance(entry, (list, tuple)) and len(entry) in (2, 3) and not finite_number(entry[0])


def _is_sequence(value: Any) -> bool:
    return hasattr(value, "__getitem__") and hasattr(value, "__len__")


@dataclass(eq=False)
class Source:
    """What batches come from, and what is known of an epoch before it is run.

    once: an iterator, which goes on from epoch to epoch and cannot be begun anew.  steps: batches of an
    epoch, None where nobody says.  limit: an epoch ends after so many.
    """

    given: Any
    argument: str = "batches"
    limit: int | None = None
    once: bool = field(init=False)
    steps: int | None = field(init=False)

    def __post_init__(self) -> None:
        self.once = isinstance(self.given, Iterator)
        length = None if self.once else _length(self.given)
        self.steps = self.limit if length is None else min(length, self.limit or length)

    @property
    def samples(self) -> int | None:
        """Samples of an epoch, where a list holds them all or the source says so."""
        if self.limit is None and isinstance(self.given, (list, tuple)):
            return sum(_rows(entry[0]) for entry in self.given if _is_batch(entry))
        said = getattr(self.given, "samples", None)
        return said if isinstance(said, int) and self.limit is None else None

    def open(self, epoch: int) -> Iterator[Any]:
        """The batches of an epoch, from 1; DataError where there are none."""
        batches = iter(self._begun(epoch))
        if self.limit is not None:
            batches = itertools.islice(batches, self.limit)
        try:
            first = next(batches)
        except StopIteration:
            raise DataError(self._empty(epoch)) from None
        return itertools.chain([first], batches)

    def _begun(self, epoch: int) -> Any:
        if hasattr(self.given, "of_epoch"):  # chainrule's own Batches
            return self.given.of_epoch(epoch)
        if not callable(self.given) or hasattr(self.given, "__iter__") or self.once:
            if hasattr(self.given, "__iter__"):
                return self.given
            return (self.given[i] for i in range(len(self.given)))
        made = self.given(epoch) if _takes_epoch(self.given) else self.given()
        if not hasattr(made, "__iter__") or isinstance(made, (str, bytes, dict)):
            raise TypeError(
                f"the function given as {self.argument} must return or yield the batches of an epoch, each "
                f"(X, y), received {describe(made)}"
            )
        return made

    def _empty(self, epoch: int) -> str:
        if self.once:
            again = f"it gives its batches once: write a function that begins anew, {_ANEW}"
            return f"{self.argument}: the iterator is exhausted in epoch {epoch}; {again}"
        return (
            f"{self.argument}: there is no batch in epoch {epoch}; every epoch must begin anew, so __iter__ "
            "must return a new iterator, and a function a new generator"
        )

    def check_repeats(self, argument: str) -> None:
        """ArgumentError for what cannot be begun anew where a fit with `resume` or `checkpoint` goes on."""
        if self.once:
            where = "at the beginning of an epoch" if argument == "resume" else "where training was ended"
            raise ArgumentError(
                f"{argument} goes on {where}, and an iterator cannot be put there: give {FORMS}"
            )


def _rows(X: Any) -> int:
    return len(next(iter(X.values()), ())) if isinstance(X, dict) else len(X)


def _length(given: Any) -> int | None:
    try:
        return len(given)
    except Exception:  # a stranger's __len__: a DataLoader over an IterableDataset raises TypeError
        return None


def _takes_epoch(function: Any) -> bool:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return True
    try:
        signature.bind(1)
    except TypeError:
        return False
    return True
