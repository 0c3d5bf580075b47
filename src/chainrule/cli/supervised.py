"""`python -m chainrule.cli.supervised COMMAND ...`: run one rank, and say so if it is killed.

mpiexec ends the other ranks at once when one of them dies, so that none of them is left to tell which it was;
MPICH's names a process by its number, and not always the right one.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time

from chainrule.cli.output import complain

PIPE, BEGUN = "CHAINRULE_PIPE", b"b"  # as in distributed/communicator.py, which would load NumPy
RANKS = ("PMI_RANK", "OMPI_COMM_WORLD_RANK", "PMIX_RANK", "SLURM_PROCID")
WRONG_ARGUMENTS = 2  # those of one rank are those of all
SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux


def main(words: list[str]) -> int:
    """The exit code of the rank, as shells give it."""
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    environment = {**os.environ, PIPE: str(writing)}
    process = subprocess.Popen(words, env=environment, close_fds=False, preexec_fn=die_with_parent)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: process.send_signal(number))
    os.close(writing)
    code = process.wait()
    os.set_blocking(reading, False)  # a child of the rank's may still have the other end
    try:
        told = os.read(reading, 16)
    except BlockingIOError:
        told = b""
    rank = next((os.environ[name] for name in RANKS if name in os.environ), "?")
    who = f"rank {rank} (PID {process.pid} on {socket.gethostname()})"
    # Where mpiexec ends all ranks it ends this one, before it takes that for a death of its own.
    time.sleep(0.1)
    if code < 0 and code not in (-signal.SIGTERM, -signal.SIGINT):
        complain(f"{who} was killed by {signal.Signals(-code).name}")
    elif told == BEGUN:
        complain(f"{who} has left in the midst, with exit code {code}")
        code = code or 1
    elif not told and code not in (0, WRONG_ARGUMENTS):
        complain(f"{who} has ended with exit code {code} before it had met the others")
        code = -signal.SIGTERM
    if code < 0:  # a signal ends the others as well, who may be waiting for the first word of this one
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


def die_with_parent() -> None:
    """mpiexec knows the parent only: whoever kills that means this process."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SET_DEATH_SIGNAL, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
