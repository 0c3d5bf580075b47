"""All peers side by side in one run.

Each peer in each configuration has a process of its own, which is set up once per workload and is blocked on
a pipe while others are measured. A round measures every peer once, one after the other; a time is the median
over the rounds. So what changes on the machine during the run changes it for everybody. What fails is kept,
with its reason.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.workloads import write

ROOT = Path(__file__).resolve().parent.parent
# Rounds for a configuration so many times slower than its peer's fastest: it cannot be the peer's best.
ROUNDS_OF_SLOWER = ((10.0, 1), (3.0, 3))
# Before a measurement everybody else must have stood still this long. OpenBLAS's threads spin for about 0.1 s
# after their last product: 784-100-10 at batch 128 took 420 µs instead of 300 when it was measured meanwhile.
PAUSE = 0.05
LONGEST_PAUSE = 1.0


@dataclass(frozen=True)
class Configuration:
    peer: str
    way: str
    suits: Callable[[Any], bool] = lambda workload: True

    @property
    def name(self) -> str:
        return f"{self.peer} {self.way}".strip()


DENSE = {"dense", "relu", "sigmoid", "softmax"}
PLAIN = DENSE | {"conv", "pool", "flatten"}  # what the JAX peer has
CONVOLUTIONS = {"conv", "depthwise"}


def training(workload: Any) -> bool:
    return bool(workload.task == "train")


def dense_only(workload: Any) -> bool:
    return training(workload) and bool(workload.kinds <= DENSE)


def conv_only(workload: Any) -> bool:
    return training(workload) and bool(workload.kinds & CONVOLUTIONS)


def plain(workload: Any) -> bool:
    return training(workload) and bool(workload.kinds <= PLAIN)


def apart(workload: Any) -> bool:
    """Pools whose windows do not overlap, behind convolutions."""
    pools = [sizes for kind, *sizes in workload.layers if kind == "pool"]
    return plain(workload) and conv_only(workload) and all(len(sizes) == 1 for sizes in pools)


def norms(workload: Any) -> bool:
    return bool(workload.task == "norms")


def predicting(workload: Any) -> bool:
    return bool(workload.task == "predict")


CONFIGURATIONS = (
    Configuration("chainrule", ""),
    Configuration("chainrule", "plain step", norms),
    Configuration("torch", "eager", lambda workload: not norms(workload)),
    Configuration(
        "torch", "channels_last", lambda workload: not norms(workload) and bool(workload.kinds & CONVOLUTIONS)
    ),
    Configuration("torch", "compile", training),
    Configuration("torch", "compile channels_last", conv_only),
    Configuration("torch", "vmap(grad)", norms),
    Configuration("torch", "vmap(grad) by 32", norms),
    Configuration("torch", "vmap(grad) compile", norms),
    Configuration("jax", "jit", plain),
    Configuration("jax", "scan", plain),
    Configuration("jax", "jit reshape-pool", apart),
    Configuration("sklearn", "", dense_only),
    Configuration("numpy", "", dense_only),
)


class PeerError(Exception):
    """A peer could not do what was asked; the message is the reason shown in the report."""


class Worker:
    """A configuration's process. A request that takes longer than `patience` seconds ends it.

    source: the folder that chainrule comes from; without it the one that is found.
    """

    def __init__(
        self, configuration: Configuration, threads: int, patience: float, source: Path | None = None
    ) -> None:
        self.configuration, self.patience = configuration, patience
        command = [
            sys.executable,
            "-m",
            "benchmarks.worker",
            configuration.peer,
            configuration.way,
            str(threads),
        ]
        self.complaints = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | thread_variables(threads) | ({"PYTHONPATH": str(source)} if source else {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.complaints,
            text=True,
            encoding="utf-8",
        )
        self.answers: queue.Queue[str] = queue.Queue()
        self.listener = threading.Thread(target=self._listen, daemon=True)
        self.listener.start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.answers.put(line)
        self.answers.put("")

    def ask(self, do: str, **details: Any) -> dict[str, Any]:
        """Send a request and wait for the answer; PeerError with the reason if there is none."""
        assert self.process.stdin is not None
        try:
            print(json.dumps({"do": do, **details}), file=self.process.stdin, flush=True)
            line = self.answers.get(timeout=self.patience)
        except queue.Empty:
            self.end()
            raise PeerError(f"no answer to '{do}' within {self.patience:.0f} s") from None
        except OSError:
            line = ""
        if not line:
            raise PeerError(f"the process ended with code {self.process.wait()}: {self._last_words()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise PeerError(answer["error"])
        return answer

    def _last_words(self) -> str:
        self.complaints.seek(0)
        lines = [line.strip() for line in self.complaints.read().splitlines() if line.strip()]
        return lines[-1][:300] if lines else "it wrote nothing"

    def end(self) -> None:
        """Kill the process; what it holds goes with it."""
        self.process.kill()
        self.process.wait()
        self.listener.join()
        for stream in (self.process.stdin, self.process.stdout, self.complaints):
            with suppress(OSError):  # a request that the process died on is still in the pipe's buffer
                if stream is not None:
                    stream.close()

    def processor_seconds(self) -> float:
        """Processor time the worker has used so far; 0 where the system does not tell."""
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def thread_variables(threads: int) -> dict[str, str]:
    """What tells OpenMP, BLAS libraries and XLA their number of threads; affinity says the same (`pin`)."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC")
    return {name: str(threads) for name in names} | {"JAX_PLATFORMS": "cpu"}


def pin(threads: int) -> None:
    """Give this process and its workers `threads` cores: the one setting that every library follows."""
    if hasattr(os, "sched_setaffinity"):
        allowed = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, allowed[:threads])


def busy_seconds() -> float | None:
    """Processor seconds used on this system since it started; None where it does not tell."""
    try:
        ticks = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:]
    except OSError:
        return None
    user, nice, system, _, _, irq, softirq, *_ = (int(value) for value in ticks)
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Settings:
    threads: int
    rounds: int = 15
    least: float = 0.1  # seconds one measurement lasts at least
    kernel_repetitions: int = 60
    patience: float = 600.0
    processor: bool = False  # measure the processor's time, not the clock's


class Run:
    """The workers of one run, and what they measured."""

    def __init__(
        self, configurations: Iterable[Configuration], settings: Settings, say: Callable[[str], None]
    ):
        self.settings, self.say = settings, say
        self.configurations = tuple(configurations)
        self.workers: dict[str, Worker] = {}
        self.versions: dict[str, str] = {}
        self.missing: dict[str, str] = {}  # peers that are not there at all, by name, with the reason
        self.peaks: list[float] = []
        self.machine: dict[str, Any] = {}
        self.kernels: list[dict[str, Any]] = []

    def start(self) -> None:
        for configuration in self.configurations:
            try:
                self.versions |= self.worker(configuration).ask("versions")["versions"]
            except PeerError as error:
                self.missing[configuration.name] = str(error)
                self.say(f"{configuration.name} is left out: {error}")
        self.look_at_machine(self.settings.kernel_repetitions)

    def worker(self, configuration: Configuration) -> Worker:
        """The configuration's process, a new one if the last has ended."""
        worker = self.workers.get(configuration.name)
        if worker is None or worker.process.poll() is not None:
            if worker is not None:
                worker.end()
            worker = Worker(configuration, self.settings.threads, self.settings.patience)
            self.workers[configuration.name] = worker
        return worker

    def look_at_machine(self, repetitions: int = 0) -> None:
        """The peak now, and once the kernels; chainrule's worker measures both."""
        worker = self.workers.get("chainrule")
        if worker is None or "chainrule" in self.missing:
            return
        try:
            answer = worker.ask("machine", repetitions=repetitions)
        except PeerError as error:
            self.say(f"the peak was not measured: {error}")
            return
        self.machine = answer["machine"]
        self.peaks.append(answer["peak"])
        self.kernels = answer["kernels"] or self.kernels

    def measure(self, workload: Any, folder: Path) -> dict[str, Any]:
        """One workload: all peers set up, then the rounds."""
        suited = [c for c in self.configurations if c.suits(workload)]
        errors = {c.name: self.missing[c.name] for c in suited if c.name in self.missing}
        problem, checks = write(workload, folder), {}

        def prepare(configuration: Configuration) -> None:
            try:
                answer = self.worker(configuration).ask("prepare", problem=str(problem))
                checks[configuration.name] = answer["check"]
            except PeerError as error:
                errors[configuration.name] = str(error)

        with ThreadPoolExecutor(self.settings.threads) as pool:  # set-up may overlap: nothing is being timed
            list(pool.map(prepare, [c for c in suited if c.name not in errors]))
        seconds, loads = self._rounds([c for c in suited if c.name not in errors], errors)
        times: dict[str, Any] = {
            c.name: {
                "median": median(seconds[c.name]),
                "fastest": min(seconds[c.name]),
                "rounds": seconds[c.name],
            }
            for c in suited
            if c.name not in errors
        }
        result = {
            "title": workload.title,
            "task": workload.task,
            "steps_per_pass": workload.steps,
            "times": times,
            "errors": errors,
            "losses": checks,
            "peers": list(dict.fromkeys(c.peer for c in CONFIGURATIONS if c.suits(workload))),
            **loads,
        }
        self.look_at_machine()
        if "chainrule" in times and workload.task != "predict":
            result["profile"] = self.workers["chainrule"].ask("profile")["profile"]
        return result

    def _rounds(
        self, configurations: Sequence[Configuration], errors: dict[str, str]
    ) -> tuple[dict[str, list[float]], dict[str, float | None]]:
        """Seconds per step of each round, and the load by waiting workers and by everybody else, in cores."""
        seconds: dict[str, list[float]] = {c.name: [] for c in configurations}
        begin, busy, used, waiting = time.perf_counter(), busy_seconds(), self._used(), 0.0
        for number in range(self.settings.rounds):
            for configuration in configurations:
                if configuration.name in errors or given_up(number, configuration, configurations, seconds):
                    continue
                before = self._settled()
                try:
                    answer = self.workers[configuration.name].ask(
                        "measure", least=self.settings.least, processor=self.settings.processor
                    )
                    seconds[configuration.name].append(answer["seconds"])
                except PeerError as error:
                    errors[configuration.name] = str(error)
                after = self._used()
                waiting += sum(after[name] - before[name] for name in after if name != configuration.name)
        wall, busy_after = time.perf_counter() - begin, busy_seconds()
        ours = sum(self._used().values()) - sum(used.values())
        foreign = None if busy is None or busy_after is None else max(0.0, busy_after - busy - ours) / wall
        return seconds, {"waiting_load": waiting / wall, "foreign_load": foreign}

    def _settled(self) -> dict[str, float]:
        """Wait until no worker uses the processor any more; the seconds they have used."""
        before = self._used()
        for _ in range(round(LONGEST_PAUSE / PAUSE)):
            time.sleep(PAUSE)
            after = self._used()
            if after == before:
                break
            before = after
        return before

    def _used(self) -> dict[str, float]:
        return {name: worker.processor_seconds() for name, worker in self.workers.items()}

    def end(self) -> None:
        for worker in self.workers.values():
            worker.end()


def given_up(
    round_number: int,
    configuration: Configuration,
    others: Iterable[Configuration],
    seconds: dict[str, list[float]],
) -> bool:
    """Whether a configuration has had the rounds that one so slow beside its peer's fastest gets."""
    if round_number == 0 or not seconds[configuration.name]:
        return False
    fastest = min(min(seconds[c.name]) for c in others if c.peer == configuration.peer and seconds[c.name])
    slower = min(seconds[configuration.name]) / fastest
    return any(slower > factor and round_number >= rounds for factor, rounds in ROUNDS_OF_SLOWER)


def run(
    workloads: Sequence[Any],
    settings: Settings,
    configurations: Iterable[Configuration] = CONFIGURATIONS,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Measure all workloads and return everything as plain data, ready for JSON."""
    begin, measured = time.perf_counter(), {}
    current = Run(configurations, settings, say)
    try:
        with tempfile.TemporaryDirectory() as folder:
            current.start()
            for workload in workloads:
                measured[workload.name] = current.measure(workload, Path(folder))
                shown = {name: value["median"] for name, value in measured[workload.name]["times"].items()}
                say(f"{workload.name}: " + ", ".join(f"{n} {t * 1e6:.0f} µs" for n, t in shown.items()))
    finally:
        current.end()
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": current.machine,
        "threads": settings.threads,
        "versions": current.versions,
        "conditions": {
            "rounds": settings.rounds,
            "least_seconds": settings.least,
            "processor": settings.processor,
            "minutes": (time.perf_counter() - begin) / 60,
        },
        "peak_gflops": current.peaks,
        "kernels": current.kernels,
        "missing": current.missing,
        "workloads": measured,
    }
