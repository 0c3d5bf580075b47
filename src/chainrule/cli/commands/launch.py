"""`chainrule launch`: start the ranks of a training by mpiexec, and again from its checkpoint if one is
lost.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from chainrule.base.errors import DataError, MissingExtraError
from chainrule.cli.ending import code_of
from chainrule.cli.output import complain
from chainrule.cli.supervised import FOLDER, GONE

# Another attempt ends as this one: success, wrong arguments, Ctrl-C, SIGTERM, SIGHUP.
FINAL = (0, 2, 130, 143, 129)
FAILED = 1  # of `train`: the network became NaN, or its gradients are wrong

LOST = 75  # as in distributed/communicator.py, which would load NumPy
WAITS = re.compile(r"m(\d+)")  # of a rank that waits in `init`, and how many seconds it may
SECONDS_BETWEEN_LOOKS, SECONDS_AFTER_LEAVING, SECONDS_UNTIL_SAID = 0.25, 3, 10


def run(arguments: argparse.Namespace) -> int:
    """The exit code of the last attempt."""
    words = arguments.words[1:] if arguments.words[:1] == ["--"] else arguments.words
    if not words:
        raise DataError("launch starts a command: chainrule launch -n 4 -- train digits --out runs/a")
    least = arguments.ranks if arguments.at_least is None else min(arguments.at_least, arguments.ranks)
    starter = starter_of(arguments.mpiexec)
    code = 0
    for attempt in range(arguments.max_restarts + 1):
        ranks = max(arguments.ranks - attempt, least)
        if attempt:
            again = f"attempt {attempt + 1} of {arguments.max_restarts + 1}, with {ranks} ranks"
            complain(f"the ranks have ended with exit code {code}: {again}")
        command = command_of(words, arguments.max_restarts, again=attempt > 0)
        code = ended([*starter, "-n", str(ranks), *command], ranks)
        if code in FINAL or (code == FAILED and words[0] == "train"):
            break
    return code


def ended(command: list[str], ranks: int) -> int:
    """The exit code of a job: of mpiexec, or LOST if it waited for a rank that has left or does not come."""
    with tempfile.TemporaryDirectory(prefix="chainrule-") as folder:
        process = subprocess.Popen(command, env={**os.environ, FOLDER: folder})
        meeting = Meeting(Path(folder), ranks)
        while True:
            try:
                return process.wait(SECONDS_BETWEEN_LOOKS)
            except subprocess.TimeoutExpired:
                lost = meeting.lost()
            except KeyboardInterrupt as error:
                if code_of(error) != 128 + signal.SIGINT:  # Ctrl-C comes to all that the terminal shows
                    process.terminate()
                process.wait()
                raise
            if lost:
                complain(lost)
                process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(SECONDS_AFTER_LEAVING)
                process.kill()
                process.wait()
                return LOST


class Meeting:
    """Whether ranks wait in `init` for one that does not come: nobody else can say so of MPI."""

    def __init__(self, folder: Path, ranks: int) -> None:
        self.folder, self.ranks = folder, ranks
        self.since: float | None = None
        self.said = False

    def lost(self) -> str:
        """Why the job has to be ended, or nothing."""
        told = {path.name: path.read_text(encoding="utf-8") for path in self.folder.iterdir()}
        patience = next((int(found[1]) for text in told.values() if (found := WAITS.fullmatch(text))), None)
        if patience is None or len(told) < self.ranks:  # or on other machines, where this folder is not
            self.since = None
            return ""
        self.since = self.since or time.monotonic()
        waited = time.monotonic() - self.since
        left = sorted(rank for rank, text in told.items() if text.endswith(GONE))
        if left and waited > SECONDS_AFTER_LEAVING:
            return f"rank {left[0]} has ended before it had met the others, and they wait for it"
        missing = sorted(rank for rank, text in told.items() if not text)
        if not missing:
            return ""
        who = f"rank {', '.join(missing)} has not come to init for {waited:.0f} s"
        if waited > min(SECONDS_UNTIL_SAID, patience / 2) and not self.said:
            self.said = True
            complain(
                f"{who}, and the others wait for it as long as init(patience=...), which is {patience} s here"
            )
        return f"{who}: it hangs, or needs a longer init(patience=...)" if waited > patience else ""


def starter_of(told: str | None) -> list[str]:
    """What starts several processes.  MissingExtraError where there is nothing."""
    if told is not None:
        return shlex.split(told)
    beside = Path(sys.executable).with_name("mpiexec")
    found = str(beside) if beside.exists() else shutil.which("mpiexec")
    if found is None:
        raise MissingExtraError("mpiexec", "mpi", "launch")
    return [found]


def command_of(words: list[str], restarts: int, *, again: bool) -> list[str]:
    """What every rank runs, under the eyes of `supervised`."""
    own = [sys.executable, "-m", "chainrule.cli.supervised", sys.executable]
    if words[0].endswith(".py"):
        return [*own, *words]
    if words[0] == "train":
        given = {word.partition("=")[0] for word in words}
        if "--out" not in given and restarts:
            raise DataError(
                "launch goes on in the run folder that --out names: add --out runs/a behind train, or "
                "--max-restarts 0 before it"
            )
        words = [*words, *(["--resume"] if again and "--resume" not in given else [])]
    return [*own, "-m", "chainrule", *words]
