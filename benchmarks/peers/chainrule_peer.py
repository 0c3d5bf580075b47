"""chainrule itself: `Plan.train_epoch`, what `cr.fit` calls once per epoch."""

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
        workload = Workload(
            problem.name, "", problem.input_shape, problem.batch, problem.steps, problem.layers
        )
        self.trainer = bench.Trainer(workload, RATE)
        names = [name for name in self.trainer.network.parameters if name.endswith(".W")]
        for name, (W, b) in zip(names, problem.weights, strict=True):
            self.trainer.network.set_parameters({name: W, name.removesuffix("W") + "b": b})
        self.trainer.X, self.trainer.y = problem.X, problem.y
        self.trainer.plan.load()
        self.epoch = self.trainer.epoch

    def loss(self) -> float:
        batch = self.trainer.workload.batch
        return self.trainer.plan.evaluate(self.trainer.X[:batch], self.trainer.y[:batch]).loss

    def profile(self) -> list[dict[str, Any]]:
        return [asdict(part) for part in self.trainer.profile(epochs=10)]
