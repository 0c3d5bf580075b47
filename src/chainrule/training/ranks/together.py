"""What the ranks of one fit agree on: the same beginning, the same end, and the same parameters between
them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.base.types import Array
from chainrule.data.fingerprints import array_sha256
from chainrule.distributed import Communicator
from chainrule.distributed.order import shards_of
from chainrule.training.callbacks import Context
from chainrule.training.parts import FitData
from chainrule.version import __version__

if TYPE_CHECKING:
    from chainrule.training.checkpoints.keeper import Keeper


def check_beginning(
    comm: Communicator, parameters: Mapping[str, Array], data: FitData, arguments: Mapping[str, Any]
) -> None:
    """RankError where the ranks would not train the same model: it says what differs, and where."""
    from chainrule.engine import level
    from chainrule.training.checkpoints.sameness import texts

    part = data.training
    comm.check_same("the versions of chainrule and NumPy", f"{__version__} {np.__version__}".encode())
    comm.check_same("the level of instructions (CHAINRULE_ISA)", level.encode())
    for name, text in texts(arguments).items():
        comm.check_same(f"the argument {name} of fit", text.encode())
    comm.check_same("the parameters before training", digest(parameters))
    comm.check_same("the shape and type of X", f"{part.inputs.shape} {part.inputs.dtype}".encode())
    rest = {"y": part.targets, "rows": data.rows}
    comm.check_same("y", digest(rest if part.weights is None else {**rest, "weights": part.weights}))


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
        if keeper is not None and number is not None and keeper.asked.number is None:
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
