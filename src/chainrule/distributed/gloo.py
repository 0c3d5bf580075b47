"""Messages by Gloo, through torch.distributed, for where torchrun, Ray Train or Kubernetes start the
processes.

Signs of life lie in the store by which the processes have found each other: it outlives a connection.
"""

from __future__ import annotations

import os
import signal
import time
import warnings
from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import count
from typing import Any, NoReturn

import numpy as np

from chainrule.base.errors import MissingExtraError, RankError, SettingError
from chainrule.base.types import Array
from chainrule.distributed.communicator import Asked, Communicator, named, say
from chainrule.distributed.watch import SECONDS_AFTER_LEAVING, SECONDS_UNTIL_SAID, Sign, State

# What torchrun and its like tell every process.
VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
ENDED, SPOKEN = "chainrule/ended", "chainrule/spoken"
numbers = count()  # of the communicators of this process, which every rank makes in the same order


class GlooCommunicator(Communicator):
    """The processes of `torchrun`."""

    kind = "Gloo"
    moves_alone = True  # by threads of its own

    def __init__(self, shards: int, timeout: float, patience: float) -> None:
        missing = [name for name in VARIABLES if name not in os.environ]
        if missing:
            raise SettingError(
                f"init('gloo') finds its processes by {', '.join(VARIABLES)}, and {', '.join(missing)} "
                f"{'is' if len(missing) == 1 else 'are'} not set: start them by torchrun, or set these"
            )
        try:
            import torch
            import torch.distributed as torch_distributed
        except ImportError as error:
            raise MissingExtraError("torch", "gloo", "training by Gloo") from error
        self._torch: Any = torch
        self._library: Any = torch_distributed
        super().__init__(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]), shards)
        never = timedelta(days=365)  # who is gone is seen by his signs
        ready = torch_distributed.is_initialized()  # by Ray Train, or by this program
        store = torch_distributed.distributed_c10d._get_default_store() if ready else self._found(patience)
        self._store = torch_distributed.PrefixStore(f"chainrule {next(numbers)}", store)
        self._meet(patience)
        self._found_ready = ready
        if not ready:
            torch_distributed.init_process_group(
                "gloo", store=store, rank=self.rank, world_size=self.size, timeout=never
            )
        self._lines = [torch_distributed.new_group(backend="gloo", timeout=never) for _ in range(2)]
        self._given, self._seen, self._timeout = 0, "", timeout
        if self.size > 1:
            self.watched((self.rank - 1) % self.size, timeout, patience, self._send, self._last)

    def _found(self, patience: float) -> Any:
        """The store by which all find each other.  RankError where they do not."""
        try:
            seconds = timedelta(seconds=patience)
            return next(self._library.rendezvous("env://", self.rank, self.size, timeout=seconds))[0]
        except RuntimeError as error:
            where = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}, where rank 0 listens"
            told = str(error).splitlines()[0]
            raise RankError(
                f"the {self.size} ranks have not all come to {where}, within {patience:g} s: {told}"
            ) from error

    def _meet(self, patience: float) -> None:
        """Wait until all are here: in the library's own waiting nobody could say for whom."""
        keys = [f"here {rank}" for rank in range(self.size)]
        self._store.set(keys[self.rank], "")
        began, said = time.monotonic(), False
        while not self._store.check(keys):
            waited = time.monotonic() - began
            if self._store.check([ENDED]):
                os._exit(1)  # another rank has said why
            if waited > (patience if said else min(SECONDS_UNTIL_SAID, patience / 2)):
                missing = [rank for rank, key in enumerate(keys) if not self._store.check([key])]
                who = f"{named(missing)} not come to init for {waited:.0f} s"
                if said:
                    self.abort(f"{who}: they hang, were stopped or have ended, or need init(patience=...)")
                if min({*range(self.size)} - {*missing}) == self.rank:
                    say(f"{who}, and the others wait as long as init(patience=...), here {patience:g} s")
                said = True
            time.sleep(min(0.001 + waited / 8, 0.5))

    def _exchange(
        self, sent: Array, counts: Sequence[int], received: Array, from_each: Sequence[int], line: int = 0
    ) -> Asked:
        tensor = self._torch.from_numpy
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # memory that cannot be written to is only read
            to, given = tensor(received), tensor(sent)

        def begin() -> Any:
            group = self._lines[line]
            return self._library.all_to_all_single(
                to, given, [*from_each], [*counts], group=group, async_op=True
            )

        work = self._or_lost(begin)
        return lambda: work.is_completed() and (self._or_lost(work.wait), True)[1]

    def _collect(self, sent: Array, received: Array, counts: Sequence[int], line: int = 0) -> Asked:
        return self._exchange(np.tile(sent, self.size), [sent.size] * self.size, received, counts, line)

    def _or_lost(self, work: Callable[[], Any]) -> Any:
        try:
            return work()
        except RuntimeError as error:
            self._lost(error)

    def _send(self, sign: Sign) -> None:
        self._given += 1
        try:
            self._store.set(f"sign {self.rank}", f"{self._given} {int(sign.state)} {sign.met}")
            ended = self._store.check([ENDED])
        except RuntimeError:  # whoever holds the store is gone: the one behind it sees that it gives no signs
            return
        if ended:
            os._exit(1)  # another rank has said why

    def _last(self) -> Sign | None:
        assert self.watch is not None
        key = f"sign {self.watch.before}"
        try:
            told = self._store.get(key).decode() if self._store.check([key]) else ""
        except RuntimeError:
            return None
        if not told or told == self._seen:
            return None
        self._seen = told
        _, state, met = map(int, told.split())
        return Sign(State(state), met)

    def _lost(self, error: Exception) -> NoReturn:
        """A connection is closed: whose it was is seen by who gives no signs any more."""
        assert self.watch is not None
        began = time.monotonic()
        while (waited := time.monotonic() - began) < self._timeout + SECONDS_AFTER_LEAVING:
            if self.watch.behind() and waited > self._timeout:
                before = f"rank {self.watch.before}"
                self.abort(
                    f"{before} has given no sign since a connection was lost: it has ended or is cut off"
                )
            self.watch.look(max(waited, 1e-9))
            time.sleep(0.05)
        self.abort(f"{self} has lost its connection: {str(error).splitlines()[0]}")

    def leave(self) -> None:
        super().leave()
        if not self._found_ready:
            self._library.destroy_process_group()

    def _speaks(self) -> bool:
        try:
            return bool(self._store.add(SPOKEN, 1) == 1)
        except RuntimeError:
            return True

    def _end(self, code: int) -> NoReturn:
        try:
            self._store.set(ENDED, str(code))
            beside = None if self.watch is None else self.watch.beside
            if beside is not None and beside.fate() == "stopped":  # torchrun's SIGTERM would wait 30 s for it
                os.kill(beside.process, signal.SIGKILL)
        finally:
            os._exit(code)
