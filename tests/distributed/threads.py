"""Ranks that are threads of this process: the communicator's arithmetic without any library of messages."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from chainrule.distributed import Communicator

SECONDS = 20  # a rank that fails must not let the others wait for ever


class Board:
    """Where the ranks lay down what the others take: of every call of a line, in the order of its calls."""

    def __init__(self, size: int) -> None:
        self.laid: list[dict[int, list[Any]]] = [{}, {}]
        self.broken, self.news = False, threading.Condition()


class Broken(Exception):
    """Another rank has failed."""


class ThreadCommunicator(Communicator):
    """Messages come when they like: whoever asks is told now and then that they have not come, though they
    have.
    """

    kind = "threads"
    machines = 2  # so that gradients are summed in parts, where they are large enough

    def __init__(self, rank: int, size: int, shards: int, board: Board) -> None:
        super().__init__(rank, size, shards)
        self.board, self.bytes, self.calls = board, 0, [0, 0]
        self.whims, self.waits = random.Random(rank), False

    def _lay(self, parts: list[Any], line: int, take: Callable[[list[Any]], None]) -> Callable[[], bool]:
        laid = self.board.laid[line].setdefault(self.calls[line], [None] * self.size)
        self.calls[line] += 1
        laid[self.rank] = parts
        with self.board.news:
            self.board.news.notify_all()
        until = time.monotonic() + SECONDS

        def done() -> bool:
            if self.board.broken or time.monotonic() > until:
                raise Broken
            if any(of_rank is None for of_rank in laid) or (self.whims.random() < 0.3 and not self.waits):
                return False
            take([of_rank[self.rank] for of_rank in laid])
            return True

        return done

    def _wait(self, done: Callable[[], bool], moved: int) -> None:
        self.waits = True
        while not done():
            with self.board.news:
                self.board.news.wait(1e-3)
        self.waits = False

    def _exchange(
        self, sent: Any, counts: Sequence[int], received: Any, from_each: Sequence[int], line: int = 0
    ) -> Callable[[], bool]:
        assert sent.size == sum(counts)
        self.bytes += sent.nbytes

        def take(mine: list[Any]) -> None:
            assert [part.size for part in mine] == list(from_each)
            received[:] = np.concatenate(mine)

        return self._lay([part.copy() for part in np.split(sent, np.cumsum(counts)[:-1])], line, take)

    def _collect(self, sent: Any, received: Any, counts: Sequence[int], line: int = 0) -> Callable[[], bool]:
        self.bytes += sent.nbytes

        def take(mine: list[Any]) -> None:
            assert [part.size for part in mine] == list(counts)
            received[:] = np.concatenate(mine)

        return self._lay([sent.copy()] * self.size, line, take)

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
            if not isinstance(error, Broken) or not board.broken:
                errors.append(error)
            board.broken = True

    ranks = [threading.Thread(target=one, args=(rank,)) for rank in range(size)]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join()
    if errors:
        raise errors[0]
    return results
