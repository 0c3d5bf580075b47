"""`python -m tests.training.kills --kills 1000`: trainings killed at random moments by SIGKILL, again and
again, until each is finished; every one ends with the bits of the training that nobody kills.

A training is a forked process, so that it begins at once; this one starts no threads.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

import chainrule as cr
from chainrule.training.checkpoints.folder import Folder

OPTIONS: dict[str, Any] = {
    "epochs": 6, "batch_size": 8, "optimizer": cr.Adam(cr.CosineDecay(0.05)), "validation": 0.2,
    "early_stopping": 4, "threads": 2, "progress": False,
}  # fmt: skip
MOST_SECONDS = 120.0  # of one training of a fraction of a second: more is no progress


def network() -> cr.Network:
    layers = [cr.Dense(32), cr.BatchNorm(), cr.Tanh(), cr.Dropout(0.2), cr.Dense(3), cr.Softmax()]
    return cr.Network(layers, input_shape=6, seed=1)


def data() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 6)).astype(np.float32)
    return X, np.argmax(X[:, :3] + 0.3 * rng.normal(size=(90, 3)), axis=1)


def forked(result: Path, **checkpoint: Any) -> int:
    """A training in a process of its own, which writes the network and the history; its number."""
    process = os.fork()
    if process == 0:
        code = 1
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # a kill damages no file
                trained = network()
                history = cr.fit(trained, *data(), **OPTIONS, **checkpoint)
            columns = [history.column(name) for name in ("epoch", "loss", "validation_loss", "rate")]
            np.savez(result, history=np.array(columns), **trained.parameters)
            code = 0
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
        finally:
            os._exit(code)
    return process


def ended(process: int) -> int:
    """How a process has ended: its exit code, or minus the signal."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def fail(said: str) -> NoReturn:
    raise SystemExit(said)


def same(one: Path, other: Path) -> bool:
    with np.load(one) as mine, np.load(other) as theirs:
        alike = mine.files == theirs.files
        return alike and all(np.array_equal(mine[name], theirs[name]) for name in mine.files)


class Killing:
    """Trainings in one folder after the other, until so many kills have hit one."""

    def __init__(self, place: Path, kills: int, seed: int) -> None:
        self.place, self.kills, self.rng = place, kills, np.random.default_rng(seed)
        self.hits = self.trainings = self.before_any = 0
        self.expected = place / "expected.npz"
        began = time.perf_counter()
        if ended(forked(self.expected, checkpoint=cr.Checkpoint(place / "timed", every_steps=1))) != 0:
            fail("the training that nobody kills has failed")
        self.seconds = time.perf_counter() - began

    def run(self) -> None:
        while self.hits < self.kills:
            self.training(self.place / f"training-{self.trainings}")
            self.trainings += 1

    def training(self, folder: Path) -> None:
        rhythm = int(self.rng.integers(1, 5))
        result, newest, began = self.place / "result.npz", 0, time.monotonic()
        while True:
            process = forked(result, checkpoint=cr.Checkpoint(folder, every_steps=rhythm))
            if self.hits < self.kills:
                time.sleep(float(self.rng.uniform(0.0, self.seconds / 3)))
                os.kill(process, signal.SIGKILL)
            code = ended(process)
            if code == 0:
                break
            if code != -signal.SIGKILL:
                fail(f"training {self.trainings} after {self.hits} kills: exit code {code}")
            self.hits += 1
            kept = Folder(str(folder), 2)
            saved = kept.newest()
            if saved is None and newest:
                fail(f"after {self.hits} kills: checkpoint {newest} is gone")
            if kept.number < newest:
                fail(f"after {self.hits} kills: {kept.number} is the newest, {newest} was")
            self.before_any += saved is None
            newest = kept.number
            if time.monotonic() - began > MOST_SECONDS:
                self.seconds *= 1.5  # this machine is slower now than it was
                began = time.monotonic()
        if not same(result, self.expected):
            fail(f"training {self.trainings} after {self.hits} kills: other bits")
        left = [path.name for path in folder.iterdir() if not path.name.startswith("checkpoint-")]
        if left:
            fail(f"training {self.trainings}: left behind: {left}")
        shutil.rmtree(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        killing = Killing(Path(place), asked.kills, asked.seed)
        began = time.perf_counter()
        killing.run()
    print(
        f"{killing.hits} kills, {killing.before_any} of them before the first checkpoint; "
        f"{killing.trainings} trainings, all with the bits of the one that nobody killed; "
        f"{time.perf_counter() - began:.0f} s"
    )


if __name__ == "__main__":
    main()
