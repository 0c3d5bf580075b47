"""What every rank of the tests runs: trains, and comes to harm if it is told to."""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import time
from typing import Any

import numpy as np

import chainrule as cr
from chainrule.distributed import Communicator
from chainrule.engine import sharing


def fit(comm: Communicator, callback: Any = None, **options: Any) -> str:
    """A hash of what a training ends in."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((150, 6)).astype(np.float32), rng.integers(0, 3, 150)
    layers = [cr.Dense(40), cr.ReLU(), cr.Dropout(0.2), cr.Dense(3), cr.Softmax()]
    network = cr.Network(layers, input_shape=6, seed=0)
    callbacks = [] if callback is None else [callback]
    history = cr.fit(network, X, y, batch_size=64, validation=0.2, progress=False, comm=comm,
                     callbacks=callbacks, **options)  # fmt: skip
    held = hashlib.sha256(np.array(history.loss + history.validation_loss).tobytes())
    for array in network.parameters.values():
        held.update(array.tobytes())
    return held.hexdigest()


def say(text: str) -> None:
    """A line in one piece, beside those of the other ranks."""
    os.write(1, f"{text}\n".encode())


def main(engine: str, harm: str, folder: str) -> None:
    comm = cr.distributed.init(engine, shards=4, timeout=1.5)
    if harm == "introduced before":  # as by Ray Train
        comm, harm = cr.distributed.init(engine, shards=4), "none"
    if harm == "none":  # sums beside the backward pass, as on several machines
        comm.machines, sharing.LEAST_PART = 2, 256
        say(f"{comm.size} {fit(comm, epochs=3)}")
        return

    if harm == "is stopped before" and comm.rank == 1:
        os.kill(os.getpid(), signal.SIGSTOP)

    def suffer(context: Any) -> None:
        if context.epoch != 2 or comm.rank != 1 or os.path.exists(folder):
            return
        if harm == "throws":
            raise ValueError("a mistake")
        if harm == "exits":
            sys.exit(0)
        if harm == "hangs":
            time.sleep(60)
        if harm == "is killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if harm == "is killed once":
            os.mkdir(folder)
            os.kill(os.getpid(), signal.SIGKILL)

    kept = {"checkpoint": f"{folder}-kept"} if harm == "is killed once" else {}
    say(f"{comm.size} {fit(comm, suffer, epochs=4, **kept)}")


def kept(folder: str, epochs: int) -> None:
    """Trains with checkpoints, on whatever ranks there are."""
    comm = cr.distributed.init("auto", shards=4)
    say(fit(comm, epochs=epochs, checkpoint=cr.Checkpoint(folder, every_steps=20)))


if __name__ == "__main__":
    main(*sys.argv[1:4])
