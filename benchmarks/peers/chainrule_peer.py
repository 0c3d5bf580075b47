"""chainrule itself: `Plan.train_epoch`, what `cr.fit` calls once per epoch.

Norms of the samples' gradients: `Plan.norms`, what `step.per_sample_norms()` calls, and beside it ("plain
step") a training step of the same network, in a process of its own.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import chainrule
from benchmarks.workloads import RATE, Problem
from chainrule import bench
from chainrule.bench import machine as here
from chainrule.bench.workloads import Workload
from chainrule.engine import isa


def versions() -> dict[str, str]:
    return {"chainrule": chainrule.__version__}


def machine(repetitions: int) -> dict[str, Any]:
    """The machine, its peak now, and the kernels (none if repetitions is 0)."""
    kernels = (
        [asdict(t) for k in bench.kernels() for t in bench.time_kernel(k, repetitions)] if repetitions else []
    )
    return {"machine": here.describe(), "peak": bench.peak(), "kernels": kernels}


class Session:
    def __init__(self, problem: Problem, configuration: str, threads: int) -> None:
        isa.set_threads(threads)
        task = "train" if configuration == "plain step" else problem.task
        workload = Workload(
            problem.name, "", problem.input_shape, problem.batch, problem.steps, problem.layers, task
        )
        self.trainer = bench.Trainer(workload, RATE)
        self.trainer.network.set_parameters(problem.parameters)
        self.trainer.X, self.trainer.y = problem.X, problem.y
        self.trainer.plan.load()
        self.epoch, self.check = self.trainer.epoch, self.trainer.check

    def profile(self) -> list[dict[str, Any]]:
        return [asdict(part) for part in self.trainer.profile(epochs=10)]
