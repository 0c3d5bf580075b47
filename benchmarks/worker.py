"""One peer in one configuration, in a process of its own: `python -m benchmarks.worker torch compile 2`.

Reads one request per line from standard input and answers with one line; in between it is blocked on the pipe
and uses no processor. Whatever a library prints goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

from benchmarks.workloads import read

LONG = 0.5  # seconds


class Worker:
    def __init__(self, peer: str, configuration: str, threads: int) -> None:
        self.peer, self.configuration, self.threads = peer, configuration, threads
        self.session: Any = None
        self.steps = 0
        self.epoch_seconds = 0.0  # of the last epoch or measurement

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        module = import_module(f"benchmarks.peers.{self.peer}_peer")
        match request["do"]:
            case "versions":
                return {"versions": module.versions()}
            case "source":
                return {"source": str(import_module(self.peer).__file__)}
            case "prepare":
                self.session = None  # frees the last workload's memory first
                problem = read(request["problem"])
                self.session, self.steps = (
                    module.Session(problem, self.configuration, self.threads),
                    problem.steps,
                )
                before, begin = self.session.check(), time.perf_counter()
                self.session.epoch()
                self.epoch_seconds = time.perf_counter() - begin
                return {"check": [before, self.session.check()]}
            case "measure":
                clock = time.process_time if request["processor"] else time.perf_counter
                return {"seconds": self.measure(request["least"], clock)}
            case "profile":
                return {"profile": self.session.profile()}
            case "machine":
                return module.machine(request["repetitions"])
        raise ValueError(f"unknown request {request['do']}")

    def measure(self, least: float, clock: Callable[[], float]) -> float:
        """Seconds per step over whole epochs of at least `least` seconds, after one that is not timed.

        The latter wakes the threads and fills the caches; where an epoch is long that changes nothing.
        """
        if self.epoch_seconds < LONG:
            self.session.epoch()
        epochs, begin = 0, clock()
        while True:
            self.session.epoch()
            epochs += 1
            passed = clock() - begin
            if passed >= least:
                self.epoch_seconds = passed / epochs
                return self.epoch_seconds / self.steps


def main(peer: str, configuration: str, threads: str) -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    worker = Worker(peer, configuration, int(threads))
    for line in sys.stdin:
        try:
            answer = worker.answer(json.loads(line))
        except Exception as error:  # the harness reports it beside the other peers' times
            answer = {"error": " ".join(f"{type(error).__name__}: {error}".split())[:500]}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
