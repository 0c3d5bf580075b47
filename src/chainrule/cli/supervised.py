"""`python -m chainrule.cli.supervised COMMAND ...`: run one rank, and say so if it is killed.

mpiexec ends the other ranks at once when one of them dies, so that none of them is left to tell which it was;
MPICH's names a process by its number, and not always the right one.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable

from chainrule.cli.output import complain

FOLDER, GONE = "CHAINRULE_FOLDER", "x"  # of `launch`; behind what one has told that has ended
# As in distributed/communicator.py, which would load NumPy.
PIPE, BEGUN, ENDED, LEFT = "CHAINRULE_PIPE", b"b", b"e", b"l"
RANKS = ("PMI_RANK", "OMPI_COMM_WORLD_RANK", "PMIX_RANK", "SLURM_PROCID")
WRONG_ARGUMENTS = 2  # those of one rank are those of all
# Later than a watch within the ranks by its usual time-out of 10 s, which knows more.
SECONDS_STOPPED, SECONDS_BETWEEN_LOOKS = 13, 0.05
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
    os.set_blocking(reading, False)  # a child of the rank's may still have the other end
    rank = next((os.environ[name] for name in RANKS if name in os.environ), "?")
    who = f"rank {rank} (PID {process.pid} on {socket.gethostname()})"
    code, told = followed(process, reading, who, Noted(rank))
    # Where mpiexec ends all ranks it ends this one, before it takes that for a death of its own.
    time.sleep(0.1)
    if code is None:
        code = -signal.SIGKILL
    elif code < 0 and code not in (-signal.SIGTERM, -signal.SIGINT):
        complain(f"{who} was killed by {signal.Signals(-code).name}")
    elif told[-1:] == BEGUN:
        complain(f"{who} has left in the midst, with exit code {code}")
        code = code or 1
    elif told[-1:] not in (ENDED, LEFT) and code > 0 and code != WRONG_ARGUMENTS:
        complain(f"{who} has ended with exit code {code} before it had met the others")
        code = -signal.SIGTERM
    if code < 0:  # a signal ends the others as well, who may be waiting for the first word of this one
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


def followed(
    process: subprocess.Popen[bytes], reading: int, who: str, note: Callable[[bytes, bool], None]
) -> tuple[int | None, bytes]:
    """The exit code of the rank, None of one that was stopped for long, and what it has told."""
    told, stopped = b"", 0
    while True:
        found, status = os.waitpid(process.pid, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
        with contextlib.suppress(BlockingIOError):
            told += os.read(reading, 64)
        ended = found != 0 and (os.WIFEXITED(status) or os.WIFSIGNALED(status))
        note(told, ended)
        if ended:
            process.returncode = os.waitstatus_to_exitcode(status)
            return process.returncode, told
        if found:
            stopped = int(os.WIFSTOPPED(status) and os.WSTOPSIG(status) == signal.SIGSTOP)
        elif stopped:  # counted, not timed: whoever stops a whole job, and lets it go on, stops this as well
            stopped += 1
        if stopped * SECONDS_BETWEEN_LOOKS > SECONDS_STOPPED:
            complain(f"{who} has been stopped for {SECONDS_STOPPED} s, and is ended")
            process.kill()
            return None, told
        time.sleep(SECONDS_BETWEEN_LOOKS)


class Noted:
    """What a rank has told, in the folder of `launch`, where that is on this machine."""

    def __init__(self, rank: str) -> None:
        folder = os.environ.get(FOLDER, "")
        self.path = os.path.join(folder, rank) if os.path.isdir(folder) else None
        self.written = ""

    def __call__(self, told: bytes, ended: bool) -> None:
        text = told.decode() + (GONE if ended else "")
        if self.path is not None and (text != self.written or not os.path.exists(self.path)):
            self.written = text
            with contextlib.suppress(OSError), open(self.path, "w", encoding="utf-8") as file:
                file.write(text)


def die_with_parent() -> None:
    """mpiexec knows the parent only: whoever kills that means this process."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SET_DEATH_SIGNAL, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
