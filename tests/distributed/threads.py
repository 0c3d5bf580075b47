"""Ranks that are threads of this process: the communicator's arithmetic without any library of messages."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from chainrule.distributed import Communicator

SECONDS = 20  # a rank that fails must not let the others wait for ever


class Board:
    """Where the ranks lay down what the others take."""

    def __init__(self, size: int) -> None:
        self.barrier = threading.Barrier(size, timeout=SECONDS)
        self.laid: list[Any] = [None] * size


class ThreadCommunicator(Communicator):
    kind = "threads"

    def __init__(self, rank: int, size: int, shards: int, board: Board) -> None:
        super().__init__(rank, size, shards)
        self.board, self.bytes = board, 0

    def _swap(self, sent: Any) -> list[Any]:
        self.board.laid[self.rank] = sent
        self.board.barrier.wait()
        taken = list(self.board.laid)
        self.board.barrier.wait()
        return taken

    def _exchange(self, sent: Any, counts: Sequence[int], received: Any, from_each: Sequence[int]) -> None:
        assert sent.size == sum(counts)
        parts = np.split(sent, np.cumsum(counts)[:-1])
        mine = [of_rank[self.rank] for of_rank in self._swap(parts)]
        assert [part.size for part in mine] == list(from_each)
        received[:] = np.concatenate(mine)
        self.bytes += sent.nbytes

    def _collect(self, sent: Any, received: Any, counts: Sequence[int]) -> None:
        parts = self._swap(sent.copy())
        assert [part.size for part in parts] == list(counts)
        received[:] = np.concatenate(parts)
        self.bytes += sent.nbytes

    def _end(self, code: int) -> NoReturn:
        raise SystemExit(code)


def on_ranks(size: int, work: Callable[[Communicator], Any], shards: int = 8) -> list[Any]:
    """What `work` returns on every rank; raises what the first rank that failed has raised."""
    board, results = Board(size), [None] * size
    errors: list[BaseException] = []

    def one(rank: int) -> None:
        try:
            results[rank] = work(ThreadCommunicator(rank, size, shards, board))
        except BaseException as error:
            if not isinstance(error, threading.BrokenBarrierError):
                errors.append(error)
            board.barrier.abort()

    ranks = [threading.Thread(target=one, args=(rank,)) for rank in range(size)]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join()
    if errors:
        raise errors[0]
    return results
