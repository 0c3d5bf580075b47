"""Who the ranks are is read off how they were started, and what is missing is said."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.base.errors import ArgumentError, MissingExtraError, SettingError
from chainrule.distributed import Alone, gloo, init, started_by
from chainrule.distributed.watch import State, Watch
from chainrule.training.ranks.together import introduced
from tests.distributed.threads import Board, ThreadCommunicator

TORCHRUN = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "node", "MASTER_PORT": "29400"}


@pytest.mark.parametrize(
    ("environment", "engine"),
    [
        ({}, None),
        ({"PMI_SIZE": "4"}, "mpi"),
        ({"OMPI_COMM_WORLD_SIZE": "2", "PMI_SIZE": ""}, "mpi"),
        ({"PMI_SIZE": "1"}, None),
        ({"SLURM_STEP_NUM_TASKS": "8", "PMIX_RANK": "0"}, "mpi"),  # srun --mpi=pmix
        ({"SLURM_NTASKS": "8"}, None),  # in the script of sbatch, before srun
        ({**TORCHRUN, "SLURM_STEP_NUM_TASKS": "4"}, "gloo"),  # srun torchrun
        (TORCHRUN, "gloo"),
        ({**TORCHRUN, "WORLD_SIZE": "1"}, None),
        ({"WORLD_SIZE": "2", "RANK": "1"}, None),
    ],
)
def test_the_environment_says_how_ranks_were_started(environment: dict[str, str], engine: str | None) -> None:
    assert started_by(environment) == engine


@pytest.mark.parametrize(("engine", "package"), [("mpi", "mpi4py"), ("gloo", "torch")])
def test_what_is_not_installed_is_named_with_its_extra(
    engine: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    for name in gloo.VARIABLES:
        monkeypatch.setenv(name, "1")
    with pytest.raises(MissingExtraError, match=rf"needs {package}: pip install 'chainrule\[{engine}\]'"):
        init(engine)


def test_processes_that_nobody_has_introduced_are_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in gloo.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SettingError, match="MASTER_PORT are not set: start them by torchrun"):
        init("gloo")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"engine": "nccl"}, "engine must be 'auto', 'mpi', 'gloo' or None"),
        ({"shards": 6}, "a power of two, such as 8, received 6"),
        ({"timeout": 0}, "timeout"),
    ],
)
def test_arguments_that_cannot_be_used(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        init(**{"engine": None, **arguments})


def test_the_scripts_of_the_guide_can_be_read() -> None:
    page = (Path(__file__).parents[2] / "docs/guide/machines.rst").read_text(encoding="utf-8")
    blocks = re.findall(r"code-block:: (bash|yaml)\n\n((?:   .*\n|\n)+)", page)
    scripts = {kind: textwrap.dedent(text) for kind, text in blocks}
    done = subprocess.run(["bash", "-n"], input=scripts["bash"], text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    yaml = pytest.importorskip("yaml")
    service, job = yaml.safe_load_all(scripts["yaml"])
    pod = job["spec"]["template"]["spec"]
    assert service["metadata"]["name"] == pod["subdomain"]
    assert service["spec"]["selector"] == {"job-name": job["metadata"]["name"]}
    assert f"--nnodes={job['spec']['completions']}" in pod["containers"][0]["command"]


def test_what_is_no_communicator_is_refused() -> None:
    network = cr.Network([cr.Dense(2), cr.Softmax()], input_shape=3)
    with pytest.raises(TypeError, match=r"comm must be None or cr\.distributed\.init\(\), received 4"):
        cr.fit(network, np.ones((4, 3)), [0, 1, 0, 1], comm=4)


def test_small_batches_are_said_to_leave_ranks_without_work() -> None:
    comm = ThreadCommunicator(0, 4, 8, Board(1))
    assert introduced(comm, 512, 16) == "4 ranks (threads), 8 shards of a batch"
    assert introduced(comm, 32, 16).endswith("32 samples are 2 blocks of 16 lanes, so 2 of the ranks compute")
    assert introduced(Alone(2), 1, 16) == "1 ranks (alone), 2 shards of a batch"


def test_a_watch_ends_the_job_for_a_rank_that_is_silent_or_has_left(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, told = [100.0], list[str]()
    monkeypatch.setattr("chainrule.distributed.watch.time.monotonic", lambda: clock[0])
    heard: list[State | None] = []
    watch = Watch(3, 4.0, lambda state: None, lambda: heard.pop() if heard else None, told.append)

    def later(seconds: float, *signs: State, waiting: bool = False) -> list[str]:
        clock[0] += seconds
        heard.extend(signs)
        watch.look(waiting=waiting)
        return told

    watch.become(State.working)
    assert not later(100), "nothing has been heard of it: it has not begun"
    assert not later(5, State.working)
    assert not later(3.9)
    assert not later(1, State.working), "a sign that lay there while this rank was busy"
    assert not later(3, State.resting)
    assert not later(1000), "it rests"
    assert not later(1, State.working)
    assert "rank 3 has given no sign for 4 s" in later(4.1)[0]
    told.clear()
    assert not later(1, State.left)
    assert not later(10), "nobody waits for it"
    assert later(1, waiting=True) == ["rank 3 has ended, and the others wait for it"]
