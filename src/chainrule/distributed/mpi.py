"""Messages by MPI, through mpi4py, which takes NumPy's memory as it is."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from chainrule.base.errors import MissingExtraError, SettingError
from chainrule.base.types import Array
from chainrule.distributed.communicator import Asked, Communicator
from chainrule.distributed.watch import Sign, State

# How many processes the starters of the MPI libraries say that there are: MPICH and Intel, Open MPI, and
# PMIx.
SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS")
SECONDS_OF_LEAVING, SECONDS_BETWEEN_LOOKS = 1.0, 0.01


class MPICommunicator(Communicator):
    """The processes of `mpiexec`.  The calling thread waits, and so can see that a rank is gone."""

    kind = "MPI"

    def __init__(self, shards: int, timeout: float, patience: float) -> None:
        try:
            from mpi4py import MPI
        except (
            ImportError
        ) as error:  # without an MPI library it is a RuntimeError, which tells more than we could
            raise MissingExtraError("mpi4py", "mpi", "training by MPI") from error
        self._mpi: Any = MPI
        self._lines = [MPI.COMM_WORLD.Dup(), MPI.COMM_WORLD.Dup()]
        super().__init__(self._lines[0].Get_rank(), self._lines[0].Get_size(), shards)
        told = next((os.environ[name] for name in SIZES if os.environ.get(name, "").isdigit()), "1")
        if self.size == 1 and int(told) > 1:
            raise SettingError(
                f"{told} processes were started, and to each mpi4py says that it is alone: `mpiexec` belongs "
                f"to another MPI library than mpi4py's, {MPI.Get_library_version().splitlines()[0].strip()}. "
                "Use the mpiexec beside this Python, which pip install 'chainrule[mpi]' brings"
            )
        if self.size > 1:
            self._signs = MPI.COMM_WORLD.Dup()
            self._sign, self._sending = np.zeros(2, np.int64), MPI.REQUEST_NULL
            self._behind, before = (self.rank + 1) % self.size, (self.rank - 1) % self.size
            self._before = before
            self.watched(before, timeout, patience, self._send, self._last)

    def _exchange(
        self, sent: Array, counts: Sequence[int], received: Array, from_each: Sequence[int], line: int = 0
    ) -> Asked:
        request = self._lines[line].Ialltoallv([sent, counts], [received, from_each])
        return request.Test

    def _collect(self, sent: Array, received: Array, counts: Sequence[int], line: int = 0) -> Asked:
        return self._lines[line].Iallgatherv(sent, [received, counts]).Test

    def _send(self, sign: Sign) -> None:
        if self._sending.Test():  # else the rank behind has not yet taken the last one
            self._sign[:] = sign
            self._sending = self._signs.Isend(self._sign, self._behind)

    def _last(self) -> Sign | None:
        sign, taken = None, np.empty(2, np.int64)
        while self._signs.Iprobe(source=self._before):
            self._signs.Recv(taken, source=self._before)
            sign = Sign(State(int(taken[0])), int(taken[1]))
        return sign

    def leave(self) -> None:
        super().leave()
        if self.watch is not None:
            request = self._signs.Ibarrier()  # MPI_Finalize waits for all, and could not tell for whom
            while not request.Test():
                self.watch.see_beside()
                time.sleep(SECONDS_BETWEEN_LOOKS)
        # Until the last sign is taken, here and behind: UCX complains of one that nobody has taken.
        until, heard = time.monotonic() + SECONDS_OF_LEAVING, self.watch is None
        while time.monotonic() < until and not (heard and self._sending.Test()):
            signs = () if self.watch is None else (self.watch.other, self._last())
            heard = heard or any(sign is not None and sign.state == State.left for sign in signs)
            time.sleep(0.001)

    def _end(self, code: int) -> NoReturn:
        self._mpi.COMM_WORLD.Abort(code)
        os._exit(code)
