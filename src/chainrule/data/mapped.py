"""Inputs that lie in a file and are not read as they are, or are sparse: checked in pieces, and made batch by
batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import NoneType
from typing import Any

import numpy as np

from chainrule.base.errors import DataError, NonFiniteError, ShapeError
from chainrule.base.types import Array
from chainrule.data.arrays import is_sparse
from chainrule.data.door import Receiver, inputs_of, learned_preparation
from chainrule.data.preparation import Preparation
from chainrule.data.preparation.scales import PICTURES, Numbers, Pixels

# Of a file more than this is not copied, bytes: one epoch of Dense(8) on a 1 GB map of float64 took 1.4 s
# batch by batch, and 5.2 s with a copy of the whole.
LARGEST_COPY = 2**26
# A sparse matrix of more entries, zeros counted, is made an array batch by batch: 1 GiB of float32.
_LARGEST_DENSE = 2**28
_PIECE = 2**22  # entries that are checked together


@dataclass(frozen=True, eq=False)
class Inputs:
    """Inputs (N, ...) for training, and what the network is to remember of them.

    make: some rows as a batch of the network holds them; None: all of them are such already.
    """

    array: Array
    preparation: Preparation | None
    make: Callable[[Array], Array] | None = None


def training_inputs(X: Any, network: Receiver) -> Inputs:
    """X checked; what lies in a file and would have to be copied stays there. Raises as `inputs_of`."""
    if is_sparse(X):
        X = X.tocsr()  # of which rows are taken
    parts = pieces(X, network)
    if parts is None:
        made = inputs_of(X, network)
        return Inputs(made, learned_preparation(X, made, network))
    preparation: Preparation | None = None
    for rows in parts:
        with counted_from(rows):
            made = inputs_of(X[rows], network, "X", preparation)
        first = rows.start == 0
        preparation = learned_preparation(X[rows], made, network) if first else joined(preparation, made)
    return Inputs(X, preparation, lambda piece: inputs_of(piece, network, "X", preparation))


def pieces(X: Any, network: Receiver) -> list[slice] | None:
    """The rows of X in pieces, where it lies in a file and is not read as it is, or is sparse and large;
    None: take it as a whole.
    """
    if is_sparse(X):
        entries = math.prod(X.shape)
        return None if X.ndim != 2 or entries <= _LARGEST_DENSE else _of_rows(X.shape[0], entries)
    if not _mapped(X) or X.ndim < 2 or X.nbytes <= LARGEST_COPY or not X.size:
        return None
    if math.prod(X.shape[1:]) != math.prod(network.input_shape) or _read_as_it_is(X, network):
        return None
    return _of_rows(len(X), X.size)


def _of_rows(count: int, entries: int) -> list[slice] | None:
    rows = max(_PIECE * count // entries, 1)
    if rows >= count:  # one piece: of a piece, which is asked for its own
        return None
    return [slice(start, min(start + rows, count)) for start in range(0, count, rows)]


def in_pieces(X: Any, parts: list[slice], of: Callable[[Any], Array]) -> Array:
    """What `of` makes of every piece of the rows, one behind the other."""
    X, made = X.tocsr() if is_sparse(X) else X, []
    for rows in parts:
        with counted_from(rows):
            made.append(of(X[rows]))
    return np.concatenate(made)


@contextmanager
def counted_from(rows: slice) -> Iterator[None]:
    """An error about a piece says which samples it is about."""
    try:
        yield
    except (DataError, ShapeError, NonFiniteError) as error:
        said = f"of the samples {rows.start:,} to {rows.stop - 1:,}, counted from the first of them: {error}"
        raise type(error)(said) from None


def joined(preparation: Preparation | None, batch: Array) -> Preparation | None:
    """What a fit has learned from one batch, with the range of another."""
    scale = None if preparation is None else preparation.inputs
    if preparation is None or not isinstance(scale, Numbers) or scale.low is None or batch.dtype == np.uint8:
        return preparation
    wider = scale.joined(Numbers.learn(batch))
    return preparation if wider == scale else replace(preparation, inputs=wider)


def _mapped(X: Any) -> bool:
    """Whether an array is a view of a memory map."""
    while isinstance(X, np.ndarray):
        if isinstance(X, np.memmap):
            return True
        X = X.base
    return False


def _read_as_it_is(X: Array, network: Receiver) -> bool:
    """Whether the engine reads the rows where they lie."""
    scale = None if network.preparation is None else network.preparation.inputs
    if X.dtype == np.uint8 and len(network.input_shape) in PICTURES and isinstance(scale, (Pixels, NoneType)):
        return True  # pixels, if one of all values is above 1
    if X.dtype not in (np.uint8, network.dtype):
        return False
    made = inputs_of(X[:1], network)
    return np.shares_memory(made, X[:1]) and X.flags.c_contiguous
