"""How a training by several ranks scales: measured sums, and a model of a step by latency and bandwidth.

    mpiexec -n 4 python -m benchmarks.scaling measure          # the ordered sum beside MPI_Allreduce
    mpiexec -n 4 python -m benchmarks.scaling step             # a training step beside the model's
    python -m benchmarks.scaling model --step 30 --parameters 1e6 --latency 2 --gigabits 100

The model of a step of P ranks, a batch in S shards, n bytes of gradients, k nodes of all ranks (order.py), a
message of b bytes taking α + b/β:

    compute    step · ceil(S / P) / S, of the slowest rank
    add up     (P - 1) α + k/P · n (P - 1)/P / β       a part of the entries to every rank
    hand round (P - 1) α + n (P - 1)/P / β             its sum to every rank
    numbers    (P - 1) α                               losses, and whether to stop

The library of messages may send fewer and larger ones than P - 1; the model takes the most.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.distributed import init
from chainrule.distributed.communicator import SMALL_SUM
from chainrule.distributed.order import Shards, nodes_of, shards_of


@dataclass(frozen=True)
class Machine:
    """latency: seconds of a message.  bandwidth: bytes a second of one rank.  spread: of the ranks' speeds, a
    standard deviation as a share of the mean.
    """

    latency: float
    bandwidth: float
    spread: float = 0.0


def step_seconds(ranks: int, shards: int, alone: float, size: int, machine: Machine) -> float:
    """Of a step that takes `alone` seconds in one process, with `size` bytes of gradients."""
    busy = -(-shards // ranks) / shards * alone
    if machine.spread and ranks > 1:  # the expected slowest of so many, all of one normal distribution
        draws = np.random.default_rng(0).standard_normal((200, min(ranks, shards)))
        busy *= 1 + machine.spread * float(draws.max(axis=1).mean())
    return busy + sum_seconds(ranks, shards, 48, machine) + sum_seconds(ranks, shards, size, machine)


def sum_seconds(ranks: int, shards: int, size: int, machine: Machine) -> float:
    """Of one ordered sum."""
    if ranks == 1:
        return 0.0
    nodes = sum(len(nodes_of(shards_of(rank, ranks, shards))) for rank in range(ranks))
    others = ranks - 1
    if nodes * size <= SMALL_SUM:
        return others * machine.latency + nodes * size * others / ranks / machine.bandwidth
    moved = (nodes / ranks + 1) * size * others / ranks
    return 2 * others * machine.latency + moved / machine.bandwidth


def table(options: argparse.Namespace) -> None:
    """The model's steps for more and more ranks."""
    machine = Machine(options.latency * 1e-6, options.gigabits * 1e9 / 8, options.spread)
    size = int(options.parameters * 4)
    print("ranks  step (ms)  speed-up  efficiency")
    ranks = 1
    while ranks <= options.ranks:
        seconds = step_seconds(ranks, options.shards, options.step / 1e3, size, machine)
        gain = options.step / 1e3 / seconds
        print(f"{ranks:5}  {seconds * 1e3:9.3f}  {gain:8.1f}  {gain / ranks:10.0%}")
        ranks *= 2


def best(work: Callable[[], Any], rounds: int, wait: Callable[[], Any]) -> float:
    """Seconds of the quickest of some rounds, which every rank begins together."""
    seconds = []
    for _ in range(rounds):
        wait()
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return min(seconds)


def measure(options: argparse.Namespace) -> None:
    """The ordered sum of a rank's shards, added up already, beside MPI_Allreduce of the same bytes."""
    from mpi4py import MPI

    comm, world = init("mpi", shards=options.shards), MPI.COMM_WORLD
    if comm.rank == 0:
        print(f"{comm.size} ranks, {options.shards} shards\n    bytes  ordered (µs)  Allreduce (µs)  ratio")
    for size in (48, 4096, 65536, 2**20, 2**22, 2**24):
        values = np.ones(size // 4, np.float32)
        out, held = np.empty_like(values), Shards()

        def ordered(values: Any = values, out: Any = out, held: Shards = held) -> None:
            if not held.nodes:
                for shard in shards_of(comm.rank, comm.size, comm.shards):
                    held.add(shard, values)
            comm.reduce(held.nodes, out)

        def theirs(values: Any = values, out: Any = out) -> None:
            world.Allreduce(values, out)

        ordered()
        pairs = [
            (best(ordered, 5, world.Barrier), best(theirs, 5, world.Barrier)) for _ in range(options.rounds)
        ]
        mine, other = (max(world.allgather(min(column))) * 1e6 for column in zip(*pairs, strict=True))
        if comm.rank == 0:
            print(f"{size:9}  {mine:12.0f}  {other:14.0f}  {mine / other:5.2f}")


def step(options: argparse.Namespace) -> None:
    """A training step of a multilayer perceptron on these ranks, by the clock."""
    import chainrule as cr

    comm = init("auto", shards=options.shards)
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((4096, 784)).astype(np.float32), rng.integers(0, 10, 4096)
    network = cr.Network([cr.Dense(1024), cr.ReLU(), cr.Dense(10), cr.Softmax()], input_shape=784, seed=0)
    told = {"batch_size": 1024, "epochs": options.rounds, "threads": 1, "progress": False}
    history = cr.fit(network, X, y, comm=comm, **told)
    if comm.rank == 0:
        print(f"{comm.size} ranks: {min(history.seconds) / 4 * 1e3:.1f} ms a step")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=("model", "measure", "step"))
    parser.add_argument("--ranks", type=int, default=1024, help="the most of the table")
    parser.add_argument("--shards", type=int, help="default: as many as --ranks in the table, else 8")
    parser.add_argument("--step", type=float, default=30.0, help="milliseconds of a step in one process")
    parser.add_argument("--parameters", type=float, default=1e6)
    parser.add_argument("--latency", type=float, default=2.0, help="microseconds of a message")
    parser.add_argument("--gigabits", type=float, default=100.0, help="a second, of one rank's network")
    parser.add_argument("--spread", type=float, default=0.0, help="of the ranks' speeds, 0.05 for 5 %%")
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    if options.shards is None:
        options.shards = options.ranks if options.what == "model" else 8
    {"model": table, "measure": measure, "step": step}[options.what](options)


if __name__ == "__main__":
    main()
