"""Kill ranks at random moments: `python -m tests.distributed.kills --count 200`.

`chainrule launch` starts a training on some ranks, of which one or two are killed.  It must end with the bits
of one that nothing ended.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from chainrule.distributed import Alone
from tests.distributed import program
from tests.distributed.test_processes import environment

EPOCHS = 120


def ranks_of(starter: int) -> list[int]:
    """The processes below `chainrule launch` that train."""
    parents, names = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state = (entry / "stat").read_text().rpartition(")")[2].split()
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            parents[int(entry.name)], names[int(entry.name)] = int(state[1]), words

    def below(process: int) -> bool:
        return process == starter or (process in parents and below(parents[process]))

    trains = [process for process, words in names.items() if words[1:2] and words[1].endswith(b"train.py")]
    return [process for process in trains if below(process)]


def one(folder: Path, ranks: int, kills: int, draw: random.Random) -> str:
    """What a training printed that lost a rank `kills` times."""
    module = folder / "train.py"
    module.write_text(
        "from tests.distributed.program import kept; import sys; kept(sys.argv[1], int(sys.argv[2]))"
    )
    words = (
        sys.executable,
        "-m",
        "chainrule",
        "launch",
        "-n",
        ranks,
        "--max-restarts",
        9,
        "--at-least",
        1,
        "--",
    )
    process = subprocess.Popen(
        [*map(str, (*words, module, folder / "kept", EPOCHS))],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment(),
    )  # fmt: skip
    for _ in range(kills):
        time.sleep(draw.uniform(0.1, 6))
        found = ranks_of(process.pid)
        if found:
            os.kill(draw.choice(found), signal.SIGKILL)
    printed, _ = process.communicate(timeout=600)
    return printed.split()[-1] if process.returncode == 0 else f"exit code {process.returncode}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    expected, draw = program.fit(Alone(4), epochs=EPOCHS), random.Random(options.seed)
    for number in range(1, options.count + 1):
        ranks, kills = draw.randint(2, 4), draw.randint(1, 2)
        with tempfile.TemporaryDirectory() as folder:
            ended = one(Path(folder), ranks, kills, draw)
        if ended != expected:
            sys.exit(f"{number}: {ranks} ranks, {kills} kills: {ended}, expected {expected}")
        print(f"{number} of {options.count}: {ranks} ranks, {kills} kills: the same bits", flush=True)


if __name__ == "__main__":
    main()
