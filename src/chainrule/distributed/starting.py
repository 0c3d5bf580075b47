"""`init`: find the other processes, and let an exception in one of them end them all."""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from types import TracebackType

from chainrule.base.errors import ArgumentError, describe
from chainrule.base.scalars import check_count, check_number
from chainrule.distributed.communicator import BEGUN, MEETING, PIPE, Alone, Communicator, tell_starter
from chainrule.distributed.gloo import VARIABLES, GlooCommunicator
from chainrule.distributed.mpi import SIZES, MPICommunicator
from chainrule.distributed.order import MOST_SHARDS
from chainrule.distributed.places import Place, beside, place_of
from chainrule.distributed.witness import Witness, pipe_to

ENGINES = ("auto", "mpi", "gloo", None)


def init(
    engine: str | None = "auto", *, shards: int = 8, timeout: float = 10.0, patience: float = 600.0
) -> Communicator:
    """The processes that were started together, to be called once in each of them.

    engine: "mpi": those of mpiexec, extra `mpi`; "gloo": those of torchrun, extra `gloo`; None: this process
        alone; "auto": as the environment says how it was started.
    shards: into how many parts a batch is cut, a power of two.  It fixes the bits of what is trained, which
        the number of processes does not; no more than so many of them compute.
    timeout: seconds without a sign of life in the midst of training, after which the job is ended.
    patience: seconds that ranks wait for one another outside training, where one may read data; after ten it
        is said who is waited for, after these the job is ended.

    From here on an exception that nothing catches, and a rank that leaves while others wait for it, end all.

    Raises
    ------
    MissingExtraError: mpi4py or torch is not installed.
    SettingError: what started the processes is another library than what they use, or says too little.
    ArgumentError, TypeError: an argument cannot be used.
    """
    if engine not in ENGINES:
        raise ArgumentError(f"engine must be 'auto', 'mpi', 'gloo' or None, received {describe(engine)}")
    shards = check_count("shards", shards, 1, MOST_SHARDS)
    if shards & (shards - 1):
        raise ArgumentError(f"shards must be a power of two, such as 8, received {shards}")
    check_number("timeout", timeout)
    check_number("patience", patience)
    chosen = started_by(os.environ) if engine == "auto" else engine
    if chosen is None:
        return Alone(shards)
    tell_starter(MEETING + str(int(patience)).encode())
    comm = (MPICommunicator if chosen == "mpi" else GlooCommunicator)(shards, float(timeout), float(patience))
    if comm.watch is not None:
        places = [Place(*json.loads(told)) for told in comm.gather(json.dumps(place_of(comm.rank)).encode())]
        comm.watch.beside = beside(comm.rank, places)
        comm.check_same("shards of init", str(shards).encode())
        cores = comm.gather(cores_here())
        comm.neighbours = cores.count(cores[comm.rank])
        comm.machines = len({told.split()[0] for told in cores})
        hydra = chosen == "mpi" and SIZES[0] in os.environ  # Open MPI's mpiexec names the rank, `launch` too
        if hydra and comm.machines == 1 and PIPE not in os.environ:
            _witnessed(comm, places)
        tell_starter(BEGUN)
        sys.excepthook = partial(_uncaught, comm)
        atexit.register(comm.leave)
    return comm


def _witnessed(comm: Communicator, places: Sequence[Place]) -> None:
    """One process for all ranks of this machine, of whose end each of them can tell it; or none."""
    witness = None
    if comm.rank == 0:
        with suppress(OSError, AttributeError):
            witness = Witness({place.rank: place.process for place in places})
    told = comm.broadcast(json.dumps(witness and [witness.process, witness.pipes]).encode())
    given = json.loads(told)
    pipe = None if given is None else pipe_to(given[0], given[1][str(comm.rank)])
    complete = b"" not in comm.gather(b"" if pipe is None else b"has it")
    if complete:
        comm.witness = pipe
    if witness is not None:
        if not complete:
            os.kill(witness.process, signal.SIGKILL)
        witness.let_go()


def started_by(environment: Mapping[str, str]) -> str | None:
    """ "mpi" or "gloo" where several processes were started together, else None."""
    if environment.get("WORLD_SIZE", "1") != "1" and all(name in environment for name in VARIABLES):
        return "gloo"
    several = any(environment.get(name, "1") not in ("", "1") for name in SIZES)
    return "mpi" if several else None


def cores_here() -> bytes:
    """The machine and the cores of it that this process may use."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else "all"
    return f"{socket.gethostname()} {cores}".encode()


def _uncaught(
    comm: Communicator, _: type[BaseException], error: BaseException, __: TracebackType | None
) -> None:
    """An exception that nothing has caught ends all ranks, which would wait for this one."""
    comm.fail(error, trace=True)
