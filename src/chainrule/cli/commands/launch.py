"""`chainrule launch`: start the ranks of a training by mpiexec, and again from its checkpoint if one is
lost.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from chainrule.base.errors import DataError, MissingExtraError
from chainrule.cli.output import complain

# Another attempt ends as this one: success, wrong arguments, Ctrl-C, SIGTERM, SIGHUP.
FINAL = (0, 2, 130, 143, 129)
FAILED = 1  # of `train`: the network became NaN, or its gradients are wrong


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
        code = subprocess.call([*starter, "-n", str(ranks), *command])
        if code in FINAL or (code == FAILED and words[0] == "train"):
            break
    return code


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
