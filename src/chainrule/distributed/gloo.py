"""Messages by Gloo, through torch.distributed, for where torchrun, Ray Train or Kubernetes start the
processes.

Signs of life lie in the store by which the processes have found each other: it outlives a connection.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Sequence
from datetime import timedelta
from itertools import count
from typing import Any, NoReturn

import numpy as np

from chainrule.base.errors import MissingExtraError, SettingError
from chainrule.base.types import Array
from chainrule.distributed.communicator import Communicator
from chainrule.distributed.watch import SECONDS_AFTER_LEAVING, State

# What torchrun and its like tell every process.
VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
ENDED = "chainrule/ended"
numbers = count()  # of the communicators of this process, which every rank makes in the same order


class GlooCommunicator(Communicator):
    """The processes of `torchrun`."""

    kind = "Gloo"

    def __init__(self, shards: int, timeout: float) -> None:
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
        patience = timedelta(days=365)  # who is gone is seen by his signs
        self._group: Any = None
        if torch_distributed.is_initialized():  # by Ray Train, or by this program
            store = torch_distributed.distributed_c10d._get_default_store()
            self._group = torch_distributed.new_group(backend="gloo", timeout=patience)
        else:
            store, _, _ = next(torch_distributed.rendezvous("env://", self.rank, self.size))
            torch_distributed.init_process_group(
                "gloo", store=store, rank=self.rank, world_size=self.size, timeout=patience
            )
        self._store = torch_distributed.PrefixStore(f"chainrule {next(numbers)}", store)
        self._given, self._seen, self._timeout = 0, "", timeout
        if self.size > 1:
            self.watched((self.rank - 1) % self.size, timeout, self._send, self._last)

    def _exchange(
        self, sent: Array, counts: Sequence[int], received: Array, from_each: Sequence[int]
    ) -> None:
        tensor = self._torch.from_numpy
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # memory that cannot be written to is only read
            to, given = tensor(received), tensor(sent)
        try:
            work = self._library.all_to_all_single(
                to, given, [*from_each], [*counts], group=self._group, async_op=True
            )
            self._wait(work.is_completed, 0)  # its own thread moves them
            work.wait()
        except RuntimeError as error:
            self._lost(error)

    def _collect(self, sent: Array, received: Array, counts: Sequence[int]) -> None:
        self._exchange(np.tile(sent, self.size), [sent.size] * self.size, received, counts)

    def _send(self, state: State) -> None:
        self._given += 1
        try:
            self._store.set(f"sign {self.rank}", f"{self._given} {int(state)}")
            ended = self._store.check([ENDED])
        except RuntimeError:  # whoever holds the store is gone: the one behind it sees that it gives no signs
            return
        if ended:
            os._exit(1)  # another rank has said why

    def _last(self) -> State | None:
        assert self.watch is not None
        key = f"sign {self.watch.before}"
        try:
            told = self._store.get(key).decode() if self._store.check([key]) else ""
        except RuntimeError:
            return None
        if not told or told == self._seen:
            return None
        self._seen = told
        return State(int(told.split()[1]))

    def _lost(self, error: Exception) -> NoReturn:
        """A connection is closed: whose it was is seen by who gives no signs any more."""
        assert self.watch is not None
        until = time.monotonic() + self._timeout + SECONDS_AFTER_LEAVING
        while time.monotonic() < until:
            self.watch.look(waiting=True)
            time.sleep(0.05)
        self.abort(f"{self} has lost its connection: {str(error).splitlines()[0]}")

    def leave(self) -> None:
        super().leave()
        if self._group is None:
            self._library.destroy_process_group()

    def _end(self, code: int) -> NoReturn:
        try:
            self._store.set(ENDED, str(code))
        finally:
            os._exit(code)
