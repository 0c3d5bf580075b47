"""Which of the ranks of a machine was the first to end: a process of its own sees it, which mpiexec does not
end.

MPICH's mpiexec ends all ranks at once when one of them dies, by SIGKILL, so that none is left to tell which
it was, and names another as often, or nobody.  Every rank has a pipe to the witness, and the kernel says in
which order the pipes were closed, however late it is asked.  Of a process it closes what was opened last
first: this pipe before that by which mpiexec sees the death.

The process is this file by itself, without NumPy.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
from collections.abc import Mapping

# What ranks say in their pipes: that they have come to their end, that people have been told why.
LEFT, SAID = b"l", b"s"


class Witness:
    """As rank 0 holds it, which has started it.  `pipes`: of every rank, the witness's end."""

    def __init__(self, processes: Mapping[int, int]) -> None:
        """processes: by their ranks.  OSError, AttributeError where the system has not what it takes."""
        os.close(os.pidfd_open(os.getpid()))
        both = {rank: os.pipe() for rank in processes}
        self.pipes = {rank: reading for rank, (reading, _) in both.items()}
        self.held = [writing for _, writing in both.values()]
        told = [f"{rank} {processes[rank]} {reading}" for rank, reading in self.pipes.items()]
        try:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", __file__, *told], pass_fds=[*self.pipes.values()],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        finally:
            for reading in self.pipes.values():
                os.close(reading)
        process.returncode = 0  # nobody waits for it
        self.process = process.pid

    def let_go(self) -> None:
        """Once every rank has its pipe: from now on it closes with the rank."""
        for writing in self.held:
            os.close(writing)


def pipe_to(witness: int, end: int) -> int | None:
    """A pipe to the witness, or None where the system does not hand it out."""
    try:
        return os.open(f"/proc/{witness}/fd/{end}", os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return None


def tell(pipe: int, word: bytes) -> None:
    """LEFT or SAID."""
    with contextlib.suppress(OSError):
        os.write(pipe, word)


def main(told: list[str]) -> None:
    """Name the first that has ended without a word, once all are gone."""
    order: list[str] = []
    ends: dict[int, str] = {}  # pipes, and processes: a child of a rank may have its pipe
    pipes = {}
    with select.epoll() as waiting:
        for words in told:
            _, process, pipe = map(int, words.split())
            pipes[words] = pipe
            ends[pipe] = words
            waiting.register(pipe, 0)
            with contextlib.suppress(ProcessLookupError):
                handle = os.pidfd_open(process)
                ends[handle] = words
                waiting.register(handle, select.EPOLLIN)
        while len(order) < len(told):
            for end, _ in waiting.poll():
                waiting.unregister(end)
                if ends[end] not in order:
                    order.append(ends[end])
    said = {}
    for words, pipe in pipes.items():
        os.set_blocking(pipe, False)
        said[words] = b""
        with contextlib.suppress(BlockingIOError):
            said[words] = os.read(pipe, 64)
    first = next((words for words in order if LEFT not in said[words]), None)
    if first is None or any(SAID in word for word in said.values()):
        return
    rank, number, _ = first.split()
    sys.stderr.write(
        f"chainrule: rank {rank} (PID {number}) was the first to end, in the midst: it was killed or left "
        "by os._exit, and the others were ended with it. chainrule launch says more, and begins again\n"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
