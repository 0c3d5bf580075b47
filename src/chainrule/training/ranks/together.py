"""What the ranks of one fit agree on: the same beginning, the same end, and the same parameters between
them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.base.types import Array
from chainrule.data.fingerprints import array_sha256
from chainrule.distributed import Communicator
from chainrule.distributed.order import shards_of
from chainrule.networks.batch import Batch
from chainrule.training.callbacks import Callback, Context, changes_rates
from chainrule.training.parts import FitData
from chainrule.version import __version__

if TYPE_CHECKING:
    from chainrule.training.checkpoints.keeper import Keeper


# Of arrays of more bytes so many rows are compared: 0.25 s, and no more of a file than that is read for it.
LARGEST_COMPARED, ROWS_COMPARED = 2**28, 1024


def check_call(comm: Communicator, checkpoint: Any, resume: Any, epochs: Any) -> None:
    """RankError where the ranks would not even do the same things together."""
    asked = resume if resume is None or isinstance(resume, (bool, str)) else type(resume).__name__
    given = "no checkpoint" if checkpoint is None else "a checkpoint"
    comm.check_same("the arguments checkpoint and resume of fit", f"{given}, {asked}".encode())
    comm.check_same("the argument epochs of fit", repr(epochs).encode())


def check_beginning(
    comm: Communicator,
    parameters: Mapping[str, Array],
    data: FitData,
    arguments: Mapping[str, Any],
    callbacks: Sequence[Callback],
    rhythm: Any,
) -> None:
    """RankError where the ranks would not train the same model: it says what differs, and where.

    callbacks: of those of chainrule, and of those that change rates, all ranks need the same.  rhythm: when
    checkpoints are written.
    """
    from chainrule.engine import level
    from chainrule.training.checkpoints.sameness import callbacks_text, texts

    comm.check_same("the versions of chainrule and NumPy", f"{__version__} {np.__version__}".encode())
    comm.check_same("the level of instructions (CHAINRULE_ISA)", level.encode())
    for name, text in texts(arguments).items():
        comm.check_same(f"the argument {name} of fit", text.encode())
    own = [callback for callback in callbacks if type(callback).__module__.startswith("chainrule")]
    deciding = [*own, *(other for other in callbacks if other not in own and changes_rates(other))]
    comm.check_same("what decides among the callbacks of fit", callbacks_text(deciding).encode())
    comm.check_same("when checkpoints are written", repr(rhythm).encode())
    comm.check_same("the parameters before training", digest(parameters))
    check_data(comm, data)


def check_data(comm: Communicator, data: FitData) -> None:
    """RankError where the ranks have others: all are given the whole, and compute their parts of it."""
    part, held_out = data.training, data.validation
    whole = ": every rank is given the whole data, and computes its part of every batch"
    comm.check_same("the shape and type of X", f"{part.inputs.shape} {part.inputs.dtype}".encode(), whole)
    rest = {"y": part.targets, "rows": data.rows}
    comm.check_same("y", digest(rest if part.weights is None else {**rest, "weights": part.weights}), whole)
    comm.check_same("X", digest({"X": compared(part.inputs)}), whole)
    classes = None if data.classes is None else data.classes.tolist()
    comm.check_same("the labels of y", repr(classes).encode())
    held = {} if held_out is None else {"X": compared(held_out.inputs), "y": held_out.targets}
    comm.check_same("the validation data", digest(held))


def compared(array: Any) -> Array:
    """All of an array, or some of its rows where it is large; dense where it is sparse."""
    count = array.shape[0]
    if getattr(array, "nbytes", LARGEST_COMPARED + 1) > LARGEST_COMPARED:
        array = array[np.linspace(0, count - 1, min(count, ROWS_COMPARED)).astype(np.int64)]
    return np.asarray(array.toarray() if hasattr(array, "toarray") else array)


def same_batches(comm: Communicator | None, batches: Iterator[Batch], where: str) -> Iterator[Batch]:
    """The batches of a source; RankError where another rank is given another one, or has none left.

    Without a word each would compute its shards of another batch, or wait for a step that nobody takes.
    """
    if comm is None or comm.size == 1:
        yield from batches
        return
    from chainrule.training.checkpoints.sameness import batch_record

    whole = ": a source gives every rank the whole batches, of which it computes its part"
    number, batch = 0, next(batches, None)
    while True:
        number += 1
        record = "none is left" if batch is None else batch_record(batch)
        comm.check_same(f"batch {number} of {where}, or that there is none,", record.encode(), whole)
        if batch is None:
            return
        yield batch
        batch = next(batches, None)


def introduced(comm: Communicator, batch_size: int, lanes: int) -> str:
    """Who trains together, for people; and that some have nothing to do, where batches are that small."""
    blocks = -(-batch_size // lanes)
    ends = [blocks * shard // comm.shards for shard in range(comm.shards + 1)]
    runs = [shards_of(rank, comm.size, comm.shards) for rank in range(comm.size)]
    busy = sum(ends[run.stop] > ends[run.start] for run in runs)
    told = f"{comm.size} ranks ({comm.kind}), {comm.shards} shards of a batch"
    if busy == comm.size:
        return told
    of_blocks = "one block" if blocks == 1 else f"{blocks} blocks"
    return f"{told}: {batch_size} samples are {of_blocks} of {lanes} lanes, so {busy} of the ranks compute"


def check_parameters(comm: Communicator, parameters: Mapping[str, Array], when: str) -> None:
    """RankError where the parameters have come apart."""
    comm.check_same(f"the parameters {when}", digest(parameters))


def agree(comm: Communicator, context: Context, keeper: Keeper | None) -> None:
    """Whoever was asked to stop, by a callback or by a signal: all are."""
    signal = None if keeper is None else keeper.asked.number
    told = [json.loads(data) for data in comm.gather(json.dumps([context.stopped, signal]).encode())]
    for stopped, number in told:
        context.stopped = context.stopped or stopped
        if keeper is not None and number is not None:
            keeper.agreed = True
            if keeper.asked.number is None:
                keeper.asked.note(number, None)


def spread(comm: Communicator | None, count: int, work: Callable[[int], Any]) -> list[Any]:
    """work(0), work(1), ..., each by one of the ranks; the results, which JSON holds, on all of them."""
    if comm is None:
        return [work(number) for number in range(count)]
    own = {}
    for number in range(comm.rank, count, comm.size):
        comm.alive()
        own[number] = work(number)
    results: dict[str, Any] = {}
    for data in comm.gather(json.dumps(own).encode()):
        results |= json.loads(data)
    return [results[str(number)] for number in range(count)]


def digest(arrays: Mapping[str, Array]) -> bytes:
    """SHA-256 of arrays and their names."""
    told = "\n".join(f"{name} {array_sha256(array)}" for name, array in arrays.items())
    return hashlib.sha256(told.encode()).digest()
