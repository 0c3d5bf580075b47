"""What the training loop knows of the other processes."""

from __future__ import annotations

import os
import pickle
import socket
import sys
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from itertools import accumulate, pairwise
from typing import Any, NoReturn, TypeVar, cast

import numpy as np

from chainrule.base.errors import RankError, describe
from chainrule.base.types import Array
from chainrule.distributed.order import Node, nodes_of_all, total_of
from chainrule.distributed.watch import Sign, State, Watch
from chainrule.distributed.witness import LEFT, SAID, tell

T = TypeVar("T")
Asked = Callable[[], bool]  # whether what has begun is done; it moves while it is asked

# Up to so many bytes in all, every rank gets all nodes and adds them up itself: one message's delay, not two.
SMALL_SUM = 1 << 16

# Seconds of a wait: until others get the processor and the watch looks, until it sleeps, and of such a sleep.
UNWATCHED, ATTENTIVE, LONGEST_PAUSE = 2e-5, 2e-3, 2e-3
LITTLE = 1 << 16  # bytes
yield_processor = getattr(os, "sched_yield", lambda: time.sleep(0))

LOST = 75  # exit code where a rank was lost, which another attempt may not meet: EX_TEMPFAIL
SECONDS_OF_DELAY, MOST_DELAYED = 0.25, 4
HEARD = 0.1  # seconds that the last line has to pass through mpiexec, which loses it where ranks end at once

# Whoever has started a rank may have left it a pipe, in which it says what it has come to.
PIPE = "CHAINRULE_PIPE"
MEETING, BEGUN, ENDED = b"m", b"b", b"e"  # and LEFT; behind the first, whole seconds of patience


def tell_starter(word: bytes) -> None:
    """Into the pipe, if there is one."""
    with suppress(OSError, ValueError):
        os.write(int(os.environ.get(PIPE, "")), word)


def say(message: str) -> None:
    """A line on stderr in one piece: mpiexec mixes those of the ranks."""
    sys.stderr.write(f"chainrule: {message}\n")
    sys.stderr.flush()


class Sum:
    """An ordered sum that is under way: every rank adds up one part of the entries, of all nodes, and hands
    the sum round.  Of a small one every rank gets all nodes.
    """

    def __init__(self, comm: Communicator, nodes: Sequence[Node], out: Array) -> None:
        held = nodes_of_all(comm.size, comm.shards)
        self.comm, self.out = comm, out
        self.places = [place for of_rank in held for place in of_rank]
        self.small = len(self.places) * out.nbytes <= SMALL_SUM
        mine = [array for _, array in nodes]
        cuts = [out.size * rank // comm.size for rank in range(comm.size + 1)]
        parts = [slice(*cut) for cut in pairwise(cuts)]
        self.lengths = [part.stop - part.start for part in parts]
        length = out.size if self.small else self.lengths[comm.rank]
        self.rows = np.empty((len(self.places), length), out.dtype)
        from_each = [len(of_rank) * length for of_rank in held]
        if self.small:
            self._first = comm._collect(_joined(mine, out), self.rows.reshape(-1), from_each)
        else:
            sent = _joined([array[part] for part in parts for array in mine], out)
            to_each = [len(mine) * length for length in self.lengths]
            self._first = comm._exchange(sent, to_each, self.rows.reshape(-1), from_each)
        self._second: Asked | None = None

    def added(self) -> bool:
        """Whether this rank has added up what it was sent; if it has come by now, it does."""
        if self._second is None and self._first():
            total = total_of([*zip(self.places, self.rows, strict=True)])
            if self.small:
                np.copyto(self.out, total)
                self._second = self._first
            else:
                self._second = self.comm._collect(total, self.out, self.lengths, line=1)
        return self._second is not None

    def done(self) -> bool:
        """Whether `out` holds the sum, of one that was added up here."""
        return self.small or (self._second is not None and self._second())


class Communicator(ABC):
    """One of `size` processes, the one of number `rank`, that call the same methods in the same order.

    shards: into how many a batch is cut, a power of two, whatever `size` is.  kind: how messages are carried.
    neighbours: ranks on the same cores of the same machine, this one among them.  machines: of all ranks.
    """

    kind: str
    watch: Watch | None = None
    witness: int | None = None  # the pipe to it, where mpiexec ends all ranks with the first
    neighbours = machines = 1
    moves_alone = False  # whether messages move also while nobody asks

    def __init__(self, rank: int, size: int, shards: int) -> None:
        self.rank, self.size, self.shards = rank, size, shards
        self._sums: list[Sum] = []  # that are under way, in the order in which they have begun

    # -- what carries the messages; counts are of entries, in the order of the ranks.  All ranks make the
    # calls of one line, 0 or 1, in one order; how those of the other come between them is each rank's affair.

    @abstractmethod
    def _exchange(
        self, sent: Array, counts: Sequence[int], received: Array, from_each: Sequence[int], line: int = 0
    ) -> Asked:
        """Begin to hand of `sent` a part to every rank, and into `received` a part of every rank."""

    @abstractmethod
    def _collect(self, sent: Array, received: Array, counts: Sequence[int], line: int = 0) -> Asked:
        """Begin to hand `sent` of every rank into `received` of every rank."""

    @abstractmethod
    def _end(self, code: int) -> NoReturn:
        """End every process of the job."""

    def _speaks(self) -> bool:
        """Whether no other rank has said why the job ends."""
        return True

    # -- what training asks for

    def reduce(self, nodes: Sequence[Node], out: Array) -> None:
        """Into `out`, on every rank, the sum of what all shards are, in the order of the tree (order.py).

        nodes: of this rank's shards.  out: (n,), of their dtype.  The nodes' arrays are overwritten.
        """
        under_way = self.begin(nodes, out)
        if under_way is not None:
            self._wait(lambda: self._gone_on() or under_way not in self._sums, self._moved())

    def begin(self, nodes: Sequence[Node], out: Array) -> Sum | None:
        """The same without waiting: `out` is to be left alone until `finish`.  None: it is done already."""
        if self.size == 1:
            np.copyto(out, total_of(nodes))
            return None
        self._sums.append(Sum(self, nodes, out))
        return self._sums[-1]

    def advance(self) -> None:
        """Go on with the sums that have begun, as far as that takes no waiting."""
        self._gone_on()

    def finish(self) -> None:
        """Wait for all sums that have begun."""
        if self._sums:
            self._wait(self._gone_on, self._moved())

    def _gone_on(self) -> bool:
        """Whether all are done now.  They are handed round in the order in which they have begun."""
        for under_way in [*self._sums]:
            if not under_way.added():
                return False
            if under_way.done():
                self._sums.remove(under_way)
        return not self._sums

    def _moved(self) -> int:
        return sum(under_way.out.nbytes for under_way in self._sums)

    def gather(self, data: bytes) -> list[bytes]:
        """The data of every rank, on every rank, in the order of the ranks."""
        lengths = np.empty(self.size, np.int64)
        with nullcontext() if self.watch is None else self.watch.meeting():
            self._wait(self._collect(np.array([len(data)], np.int64), lengths, [1] * self.size), 0)
        counts = lengths.tolist()
        received = np.empty(sum(counts), np.uint8)
        self._wait(self._collect(np.frombuffer(data, np.uint8), received, counts), received.nbytes)
        ends = [*accumulate(counts)]
        return [received[end - count : end].tobytes() for end, count in zip(ends, counts, strict=True)]

    def broadcast(self, data: bytes | None) -> bytes:
        """The data of rank 0; that of the others counts for nothing."""
        return self.gather(data if self.rank == 0 and data is not None else b"")[0]

    def of_first(self, work: Callable[[], T]) -> T:
        """What `work` returns on rank 0, on every rank; what it raises there is raised on every rank."""
        told = b""
        if self.rank == 0:
            try:
                told = pickle.dumps((work(), None))
            except Exception as error:
                told = pickle.dumps((None, error))
        result, raised = pickle.loads(self.broadcast(told))  # of this very program, by the way it came
        if raised is not None:
            raise raised
        return cast(T, result)

    def barrier(self) -> None:
        """Wait until every rank is here."""
        self.gather(b"")

    def check_same(self, what: str, data: bytes, advice: str = "") -> None:
        """RankError, on every rank, where the data differ; it names the ranks that have others than rank 0,
        and ends in the advice.
        """
        first, *others = self.gather(data)
        differing = [rank for rank, other in enumerate(others, 1) if other != first]
        if differing:
            those = f"{named(differing)} others than rank 0"
            raise RankError(f"{what} must be the same on all {self.size} ranks, and {those}{advice}")

    def abort(self, message: str, code: int = LOST) -> NoReturn:
        """End the whole job, also the ranks that wait or hang, with one message on stderr and an exit
        code.
        """
        if self._speaks():
            say(message)
            if self.witness is not None:
                tell(self.witness, SAID)
        time.sleep(HEARD)
        tell_starter(ENDED)
        self._end(code)

    def fail(self, error: BaseException, code: int = 1, *, trace: bool = False) -> NoReturn:
        """End the whole job because of what was raised here.

        What is raised on every rank is told by the first of them, who ends the others meanwhile.
        """
        time.sleep(min(self.rank, MOST_DELAYED) * SECONDS_OF_DELAY)
        if trace:
            traceback.print_exception(error)
        self.abort(f"{self} has ended by {type(error).__name__}: {str(error) or 'no message'}", code)

    # -- signs of life

    def watched(
        self,
        before: int,
        seconds: float,
        patience: float,
        send: Callable[[Sign], None],
        last: Callable[[], Sign | None],
    ) -> None:
        """Watch the rank before this one from now on."""
        self.watch = Watch(before, seconds, patience, send, last, say, self.abort)

    def alive(self) -> None:
        """Give a sign of life: to be called every few seconds while `working`, cheap enough for every 50
        ms.
        """
        if self.watch is not None:
            self.watch.look()

    def working(self) -> AbstractContextManager[None]:
        """Within, every rank gives signs of life, and one that gives none ends the job."""
        return self._being(State.working)

    def resting(self) -> AbstractContextManager[None]:
        """Within `working`: it may take as long as it takes."""
        return self._being(State.resting)

    @contextmanager
    def _being(self, state: State) -> Iterator[None]:
        if self.watch is None:
            yield
            return
        before = self.watch.state
        self.watch.become(state)
        try:
            yield
        finally:
            self.watch.become(before)

    def _wait(self, done: Asked, moved: int) -> None:
        """Until `done`.  Messages move while `done` is asked, so where many bytes are `moved` it is asked at
        every moment; else, after a while, at leisure: a rank may be slow.
        """
        began = time.perf_counter()
        while not done():
            waited = time.perf_counter() - began
            if waited < UNWATCHED:
                continue
            if self.watch is not None:
                self.watch.look(waited)
            if (moved > LITTLE and not self.moves_alone) or waited < ATTENTIVE:
                yield_processor()
            else:
                time.sleep(min(waited / 8, LONGEST_PAUSE))

    def leave(self) -> None:
        """At the end of the program: say so to those who may still wait for this rank."""
        if self.watch is not None:
            self.watch.become(State.left)
        if self.witness is not None:
            tell(self.witness, LEFT)
        tell_starter(LEFT)

    def __str__(self) -> str:
        """ "rank 2 of 4 (MPI, PID 12 on node7)" """
        return f"rank {self.rank} of {self.size} ({self.kind}, PID {os.getpid()} on {socket.gethostname()})"


class Alone(Communicator):
    """The only rank: the same model as several train, in one process and without any library."""

    kind = "alone"

    def __init__(self, shards: int) -> None:
        super().__init__(0, 1, shards)

    def _exchange(
        self, sent: Array, counts: Sequence[int], received: Array, from_each: Sequence[int], line: int = 0
    ) -> Asked:
        return self._collect(sent, received, counts)

    def _collect(self, sent: Array, received: Array, counts: Sequence[int], line: int = 0) -> Asked:
        np.copyto(received, sent)
        return lambda: True

    def _end(self, code: int) -> NoReturn:
        raise SystemExit(code)


def check_communicator(comm: Any) -> None:
    """TypeError unless it is one, or None."""
    if not (comm is None or isinstance(comm, Communicator)):
        raise TypeError(f"comm must be None or cr.distributed.init(), received {describe(comm)}")


def _joined(arrays: Sequence[Array], like: Array) -> Array:
    """One after the other; of none, nothing."""
    return np.concatenate(arrays) if arrays else np.empty(0, like.dtype)


def named(ranks: Sequence[int]) -> str:
    """ "rank 1 has", "ranks 1, 2 have" """
    told = ", ".join(map(str, ranks))
    return f"rank {told} has" if len(ranks) == 1 else f"ranks {told} have"
