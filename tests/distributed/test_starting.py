"""Who the ranks are is read off how they were started, and what is missing is said."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.base.errors import ArgumentError, MissingExtraError, SettingError
from chainrule.cli.commands import launch
from chainrule.distributed import Alone, gloo, init, places, started_by
from chainrule.distributed.places import Place, beside, place_of, told
from chainrule.distributed.watch import Sign, State, Watch
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
        ({"patience": 0}, "patience"),
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


class Observed:
    """A watch of rank 3 with a clock of its own: what it says and what it ends the job with."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock, self.said, self.ended = 100.0, list[str](), list[str]()
        monkeypatch.setattr("chainrule.distributed.watch.time.monotonic", lambda: self.clock)
        self.heard: list[Sign] = []
        last = lambda: self.heard.pop() if self.heard else None  # noqa: E731
        self.watch = Watch(3, 4.0, 60.0, lambda sign: None, last, self.said.append, self.ended.append)

    def later(self, seconds: float, *signs: State, waited: float = 0, met: int = 0) -> list[str]:
        self.clock += seconds
        self.heard.extend(Sign(state, met) for state in signs)
        self.watch.look(waited)
        return self.ended


def test_a_watch_ends_the_job_for_a_rank_that_is_silent_or_has_left(monkeypatch: pytest.MonkeyPatch) -> None:
    observed = Observed(monkeypatch)
    later, told = observed.later, observed.ended
    observed.watch.become(State.working)
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
    assert later(1, waited=1) == ["rank 3 has ended, and the others wait for it"]


def test_outside_training_a_watch_says_who_is_waited_for_and_ends_after_its_patience(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    observed = Observed(monkeypatch)
    later, said = observed.later, observed.said
    with observed.watch.meeting():
        assert not later(9, waited=9)
        assert not said
        assert not later(2, waited=11)
        assert ["the ranks have waited 11 s for rank 3" in line for line in said] == [True]
        assert not later(40, waited=51)
        assert not later(1, State.resting, waited=61, met=1), "it has come, and waits for another"
        assert len(said) == 1, "once for a meeting"
    with observed.watch.meeting():
        assert "rank 3 has not come for 61 s" in later(1, waited=61)[0]
        assert "patience=...), which is 60 s here" in observed.ended.pop()
    assert not later(1, waited=61), "a wait in which nobody is known to be missing: others speak first"
    assert "waited 66 s for one of them" in later(1, waited=66)[0]
    observed.ended.clear()
    observed.watch.become(State.working)
    with observed.watch.meeting():
        assert not later(1, waited=1000), "in training it may write a checkpoint"


@pytest.mark.skipif(sys.platform != "linux", reason="another kernel tells nothing of its processes")
def test_the_kernel_tells_of_a_rank_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        began = place_of(0).began
        place = Place(3, "here", process.pid, "")
        place = place._replace(began=told(process.pid)[places.BEGAN])
        assert place.fate() == "", "it is busy, or asleep"
        assert place._replace(began=began).fate() == "ended", "its number is another process's now"
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        observed = Observed(monkeypatch)
        observed.watch.beside = place
        assert not observed.later(1, waited=1)
        assert not observed.later(3, waited=4)
        assert "has been stopped for 5 s" in observed.later(2, waited=6)[0]
        observed.ended.clear()
        process.kill()
    assert place.fate() == "ended"
    observed.later(1, waited=1)
    assert not observed.later(2, waited=3)
    assert f"rank 3 (PID {process.pid}) has ended" in observed.later(2, waited=5)[0]


def test_a_rank_looks_at_the_one_before_it_on_its_machine() -> None:
    ranks = [Place(rank, "ab"[rank % 2], 100 + rank, "1") for rank in range(5)]
    seen = [beside(rank, ranks) for rank in range(5)]
    assert [place and place.rank for place in seen] == [4, 3, 0, 1, 2]
    assert beside(0, [ranks[0], ranks[1]]) is None, "alone on its machine"
    assert beside(0, [place._replace(began="") for place in ranks]) is None


def test_launch_knows_for_whom_ranks_wait_in_init(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = [100.0]
    monkeypatch.setattr("chainrule.cli.commands.launch.time.monotonic", lambda: clock[0])
    meeting = launch.Meeting(tmp_path, 3)

    def later(seconds: float, *told: str) -> str:
        clock[0] += seconds
        for rank, text in enumerate(told):
            (tmp_path / str(rank)).write_text(text)
        return meeting.lost()

    assert later(0) == "", "nobody has begun"
    assert later(99, "m60", "", "m60") == ""
    assert later(9) == capsys.readouterr().err == ""
    assert later(2) == ""
    assert "rank 1 has not come to init for 11 s" in capsys.readouterr().err
    assert later(40) == capsys.readouterr().err == ""
    assert later(10).startswith("rank 1 has not come to init for 61 s: it hangs")
    assert later(1, "m60b", "m60b", "m60b") == ""
    assert later(1000) == ""
    assert later(1, "m60", "m60", "x") == ""
    assert later(4) == "rank 2 has ended before it had met the others, and they wait for it"
