"""How a training by several ranks scales: measured sums, and a model of a step by latency and bandwidth.

    mpiexec -n 4 python -m benchmarks.scaling measure          # the ordered sum beside MPI_Allreduce
    mpiexec -n 4 python -m benchmarks.scaling step             # training steps beside the model's
    python -m benchmarks.scaling check                         # the same with 1, 2, 3 and 4 ranks
    python -m benchmarks.scaling model --step 30 --parameters 1e6 --latency 2 --gigabits 100
    python -m benchmarks.scaling parts --latency 20 --gigabits 10   # sums beside the backward pass

The model of a step of P ranks, a batch in S shards, n bytes of gradients, k nodes of all ranks (order.py), a
message of b bytes taking α + b/β:

    compute    step · ceil(S / P) / S, of the slowest rank
    add up     (P - 1) α + k/P · n (P - 1)/P / β       a part of the entries to every rank
    hand round (P - 1) α + n (P - 1)/P / β             its sum to every rank
    numbers    (P - 1) α                               losses, and whether to stop

The library of messages may send fewer and larger ones than P - 1; the model takes the most.

Sums that begin while the backward pass still runs could hide no more of their time than the backward pass of
a rank's last shard takes, 2/3 of step / S: until then every entry lacks a term.  `overlap` is the share of a
step that this would save, were all of it hidden.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from chainrule.distributed import Alone, Communicator, init
from chainrule.distributed.communicator import SMALL_SUM
from chainrule.distributed.order import Shards, nodes_of, shards_of

BACKWARD = 2 / 3  # of a step's time, about
NETWORKS = ("mlp-big-128", "lenet-128", "cifar")  # whose steps are measured


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


def overlap(ranks: int, shards: int, alone: float, size: int, machine: Machine) -> float:
    """The share of a step that sums beside the backward pass could save at best."""
    hidden = min(sum_seconds(ranks, shards, size, machine), BACKWARD * alone / shards)
    return hidden / step_seconds(ranks, shards, alone, size, machine)


def table(options: argparse.Namespace) -> None:
    """The model's steps for more and more ranks."""
    machine = Machine(options.latency * 1e-6, options.gigabits * 1e9 / 8, options.spread)
    size = int(options.parameters * 4)
    print("ranks  step (ms)  speed-up  efficiency  overlap")
    ranks = 1
    while ranks <= options.ranks:
        seconds = step_seconds(ranks, options.shards, options.step / 1e3, size, machine)
        gain = options.step / 1e3 / seconds
        saved = overlap(ranks, options.shards, options.step / 1e3, size, machine)
        print(f"{ranks:5}  {seconds * 1e3:9.3f}  {gain:8.1f}  {gain / ranks:10.0%}  {saved:7.0%}")
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


def ordered_sum(comm: Communicator, values: Any) -> Callable[[], None]:
    """Of these values of every shard, added up within a rank already."""
    out, held = np.empty_like(values), Shards()
    for shard in shards_of(comm.rank, comm.size, comm.shards):
        held.add(shard, values)
    return lambda: comm.reduce(held.nodes, out)


def measure(options: argparse.Namespace) -> None:
    """The ordered sum of a rank's shards, added up already, beside MPI_Allreduce of the same bytes."""
    from mpi4py import MPI

    comm, world = init("mpi", shards=options.shards), MPI.COMM_WORLD
    if comm.rank == 0:
        print(f"{comm.size} ranks, {options.shards} shards\n    bytes  ordered (µs)  Allreduce (µs)  ratio")
    for size in (48, 4096, 65536, 2**20, 2**22, 2**24):
        values = np.ones(size // 4, np.float32)
        out = np.empty_like(values)
        ordered = ordered_sum(comm, values)

        def theirs(values: Any = values, out: Any = out) -> None:
            world.Allreduce(values, out)

        ordered()
        pairs = [
            (best(ordered, 5, world.Barrier), best(theirs, 5, world.Barrier)) for _ in range(options.rounds)
        ]
        mine, other = (max(world.allgather(min(column))) * 1e6 for column in zip(*pairs, strict=True))
        if comm.rank == 0:
            print(f"{size:9}  {mine:12.0f}  {other:14.0f}  {mine / other:5.2f}")


def ordered_seconds(comm: Communicator, size: int, rounds: int) -> float:
    """Of the quickest of some ordered sums of so many bytes, of the slowest rank."""
    ordered = ordered_sum(comm, np.ones(size // 4, np.float32))
    ordered()
    return slowest(comm, best(ordered, rounds, comm.barrier))


def slowest(comm: Communicator, seconds: float) -> float:
    return max(float(told) for told in comm.gather(repr(seconds).encode()))


def this_machine(comm: Communicator, rounds: int) -> Machine:
    """Latency by a sum of 48 bytes, bandwidth by one of 4 MB."""
    size = 2**22
    empty = Machine(0.0, 1.0)
    if comm.size == 1:
        return empty
    latency = ordered_seconds(comm, 48, rounds) / (comm.size - 1)
    moved = sum_seconds(comm.size, comm.shards, size, empty)
    return Machine(latency, moved / (ordered_seconds(comm, size, rounds) - 2 * (comm.size - 1) * latency))


def step(options: argparse.Namespace) -> None:
    """Training steps of three networks on these ranks, and what the model makes of them: of the time of a
    step that every rank takes for itself, all at once, and of two measured sums.
    """
    import chainrule as cr
    from chainrule.bench.workloads import WORKLOADS, data, network

    comm = init("auto", shards=options.shards)
    machine = this_machine(comm, options.rounds)
    for workload in WORKLOADS:
        if workload.name not in NETWORKS:
            continue
        X, y = data(workload)
        told: Any = {"batch_size": workload.batch, "epochs": options.rounds, "threads": 1, "progress": False}

        seconds = []
        for ranks in (Alone(comm.shards), comm):
            comm.barrier()
            history = cr.fit(network(workload), X, y, comm=ranks, **told)
            seconds.append(slowest(comm, min(history.seconds) / workload.steps))
        alone, measured = seconds
        size = sum(array.nbytes for array in network(workload).parameters.values())
        predicted = step_seconds(comm.size, comm.shards, alone, size, machine)
        summed = ordered_seconds(comm, size, options.rounds) if comm.size > 1 else 0.0
        if comm.rank == 0:
            numbers = (alone, predicted, measured, summed)
            shown = "  ".join(f"{number * 1e3:9.2f}" for number in numbers)
            saved = min(summed, BACKWARD * alone / comm.shards) / measured
            print(
                f"{workload.name:12} {size / 1e6:5.1f}  {comm.size:5}  {shown}  {measured / predicted:6.2f}  "
                f"{summed / measured:6.0%}  {saved:7.0%}",
                flush=True,
            )


def check(options: argparse.Namespace) -> None:
    """`step` with 1, 2, 3 and 4 ranks."""
    beside = Path(sys.executable).with_name("mpiexec")
    starter = str(beside) if beside.exists() else shutil.which("mpiexec")
    if starter is None:
        sys.exit("mpiexec is missing: pip install 'chainrule[mpi]'")
    print(
        "network         MB  ranks  alone, ms  predicted   measured        sum   ratio   sum  overlap",
        flush=True,
    )
    for ranks in range(1, options.most + 1):
        own = [sys.executable, "-m", "benchmarks.scaling", "step"]
        told = ["--rounds", str(options.rounds), "--shards", str(options.shards)]
        subprocess.run([starter, "-n", str(ranks), *own, *told], check=True)


class OnPaper(Communicator):
    """Rank 0 of `size` equal ones, and the only one there is: it computes its shards, and what would come
    from the others comes when the model says, one message after the other.  The clock is this process's time
    of the processor, which waiting takes as well: so it does not matter who else is on the machine.
    """

    kind = "on paper"

    def __init__(self, size: int, shards: int, machine: Machine) -> None:
        super().__init__(0, size, shards)
        self.machine, self.free, self.machines = machine, 0.0, size

    def _exchange(
        self, sent: Any, counts: Sequence[int], received: Any, from_each: Sequence[int], line: int = 0
    ) -> Callable[[], bool]:
        moved = max(received.size - from_each[0], sent.size - counts[0]) * sent.itemsize
        return self._coming(moved, received, None)

    def _collect(self, sent: Any, received: Any, counts: Sequence[int], line: int = 0) -> Callable[[], bool]:
        return self._coming((received.size - sent.size) * sent.itemsize, received, sent)

    def _coming(self, moved: int, received: Any, values: Any) -> Callable[[], bool]:
        self.free = max(time.process_time(), self.free) + moved / self.machine.bandwidth
        here = self.free + (self.size - 1) * self.machine.latency

        def done() -> bool:
            if time.process_time() < here:
                return False
            received[:] = np.resize(values, received.size) if values is not None else 0
            return True

        return done

    def _end(self, code: int) -> NoReturn:
        raise SystemExit(code)


def parts(options: argparse.Namespace) -> None:
    """Steps whose gradients are summed in parts, beside those that are summed in one, in turns."""
    import chainrule as cr
    from chainrule.bench.workloads import WORKLOADS, data, network
    from chainrule.engine import sharing

    machine = Machine(options.latency * 1e-6, options.gigabits * 1e9 / 8)
    sizes = [0, *(size << 10 for size in options.kilobytes)]
    print(f"network         ranks  in one, ms  {'  '.join(f'{size >> 10:6} KB' for size in sizes[1:])}")
    ended: list[float] = []
    for workload in (workload for workload in WORKLOADS if workload.name in options.networks):
        X, y = data(workload)
        X, y = X[: 6 * workload.batch], y[: 6 * workload.batch]
        told: Any = {"batch_size": workload.batch, "epochs": 4, "threads": 1, "progress": False}
        told["callbacks"] = [lambda _: ended.append(time.process_time())]
        for ranks in (2, 4, 8):
            seconds: dict[int, list[float]] = {size: [] for size in sizes}
            for number in range(options.rounds):
                for size in sizes if number % 2 else sizes[::-1]:
                    sharing.LEAST_PART = size
                    comm = OnPaper(ranks, options.shards, machine)
                    ended.clear()
                    cr.fit(network(workload), X, y, comm=comm, **told)
                    seconds[size].append(float(min(np.diff(ended))) * workload.batch / len(X))
            whole = seconds[0]
            shares = (float(np.median(np.divide(seconds[size], whole))) for size in sizes[1:])
            told_shares = "  ".join(f"{share:9.3f}" for share in shares)
            print(f"{workload.name:14}  {ranks:5}  {np.median(whole) * 1e3:10.2f}  {told_shares}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=("model", "measure", "step", "check", "parts"))
    parser.add_argument("--ranks", type=int, default=1024, help="the most of the table")
    parser.add_argument("--most", type=int, default=4, help="ranks of check")
    parser.add_argument("--shards", type=int, help="default: as many as --ranks in the table, else 8")
    parser.add_argument("--step", type=float, default=30.0, help="milliseconds of a step in one process")
    parser.add_argument("--parameters", type=float, default=1e6)
    parser.add_argument("--latency", type=float, default=2.0, help="microseconds of a message")
    parser.add_argument("--gigabits", type=float, default=100.0, help="a second, of one rank's network")
    parser.add_argument("--spread", type=float, default=0.0, help="of the ranks' speeds, 0.05 for 5 %%")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--networks", nargs="+", default=NETWORKS, help="of parts")
    parser.add_argument("--kilobytes", nargs="+", type=int, default=(256, 1024, 4096), help="of parts")
    options = parser.parse_args()
    if options.shards is None:
        options.shards = options.ranks if options.what == "model" else 8
    {"model": table, "measure": measure, "step": step, "check": check, "parts": parts}[options.what](options)


if __name__ == "__main__":
    main()
