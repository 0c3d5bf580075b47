"""Several processes that train one model: who they are, and sums that come out the same however many they
are.

In: what started the processes.  Out: a `Communicator`, which `fit(comm=...)` takes.
Knows: base.

    comm = cr.distributed.init("auto")
    cr.fit(net, X, y, batch_size=1024, comm=comm)          # mpiexec -n 4 python train.py

Messages are carried by MPI (mpi4py) or by Gloo (torch.distributed); neither is loaded before it is asked for.
"""

from __future__ import annotations

from chainrule.distributed.communicator import Alone, Communicator, check_communicator
from chainrule.distributed.starting import init, started_by

__all__ = ["Alone", "Communicator", "check_communicator", "init", "started_by"]
