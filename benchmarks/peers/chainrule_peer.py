"""chainrule itself: `Plan.train_epoch`, what `cr.fit` calls once per epoch.

Norms of the samples' gradients: `Plan.norms`, what `step.per_sample_norms()` calls, and beside it ("plain
step") a training step of the same network, in a process of its own. Predictions: `network.predict`.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

import chainrule
from benchmarks.workloads import RATE, Problem
from chainrule import bench
from chainrule.bench import machine as here
from chainrule.bench.workloads import Task, Workload, network
from chainrule.engine import isa


def versions() -> dict[str, str]:
    return {"chainrule": chainrule.__version__}


def machine(repetitions: int) -> dict[str, Any]:
    """The machine, its peak now, and the kernels (none if repetitions is 0)."""
    kernels = (
        [asdict(t) for k in bench.kernels() for t in bench.time_kernel(k, repetitions)] if repetitions else []
    )
    return {"machine": here.describe(), "peak": bench.peak(), "kernels": kernels}


class Predictor:
    """Calls of `network.predict`, one per batch."""

    def __init__(self, problem: Problem) -> None:
        workload = Workload(
            problem.name, "", problem.input_shape, problem.batch, problem.steps, problem.layers
        )
        self.network = network(workload)
        self.network.set_parameters(problem.parameters)
        firsts = range(0, len(problem.X), problem.batch)
        self.batches = [problem.X[first : first + problem.batch] for first in firsts]

    def epoch(self) -> None:
        for batch in self.batches:
            self.network.predict(batch)

    def check(self) -> float:
        return float(np.square(self.network.predict(self.batches[0])).mean())


class Session:
    trainer: bench.Trainer | None

    def __init__(self, problem: Problem, configuration: str, threads: int) -> None:
        isa.set_threads(threads)
        if problem.task == "predict":
            predictor = Predictor(problem)
            self.epoch, self.check = predictor.epoch, predictor.check
            self.trainer = None
            return
        task: Task = "norms" if problem.task == "norms" and configuration != "plain step" else "train"
        workload = Workload(
            problem.name, "", problem.input_shape, problem.batch, problem.steps, problem.layers, task
        )
        self.trainer = trainer = bench.Trainer(workload, RATE)
        trainer.network.set_parameters(problem.parameters)
        trainer.X, trainer.y = problem.X, problem.y
        trainer.plan.load()
        self.epoch, self.check = trainer.epoch, trainer.check

    def profile(self) -> list[dict[str, Any]]:
        if self.trainer is None:
            return []
        return [asdict(part) for part in self.trainer.profile(epochs=10)]
