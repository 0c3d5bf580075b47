"""`chainrule bench`: the multiply-add peak, the kernels against it, and the workloads' training steps.

In: nothing, or a workload's name.  Out: tables of figures, and JSON.
Knows: everything up to training.

NumPy only. Beside PyTorch, JAX and others: `make bench`, in `benchmarks/`. Times are medians of many
repetitions; the peak is measured before and after, in the same run, and the higher of the two counts.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from chainrule import _native
from chainrule.base.errors import NonFiniteError
from chainrule.base.tables import text_table
from chainrule.bench import figures, machine
from chainrule.bench.workloads import WORKLOADS, Workload, data, network
from chainrule.engine import isa
from chainrule.engine.lowering.values import Value
from chainrule.engine.plan import Plan
from chainrule.layers import Composite, Conv2D, Dense, Layer
from chainrule.layers.sequences.recurrent import Recurrent
from chainrule.layers.structure import Chain, run_branches, shape_after
from chainrule.layers.windows.convolution import Convolution
from chainrule.layers.windows.transposed import ConvTranspose
from chainrule.losses import CrossEntropy, Loss, SquaredError
from chainrule.networks.network import Network
from chainrule.training.optimizers import SGD

PASSES = ("forward", "gradients", "δ")


# -- the peak


def peak(rounds: int = 3) -> float:
    """GFLOP/s of independent float32 multiply-adds on all the engine's threads: the highest of the rounds."""
    return max(float(_native.peak_float32(isa.usable_level())) for _ in range(rounds))


# -- kernels


@dataclass(frozen=True)
class Kernel:
    """A layer to time in all three passes; `below` makes its input, so that there is a δ to send down."""

    title: str
    input_shape: tuple[int, ...]
    batch: int
    below: Layer
    layer: Layer


@dataclass(frozen=True)
class KernelTime:
    """Seconds of one pass of one kernel, and its direct arithmetic per second."""

    kernel: str
    direction: str
    seconds: float
    gflops: float


def kernels() -> tuple[Kernel, ...]:
    """The kernels whose share of the peak is a target; the last, by Winograd, counted as done directly."""
    return (
        Kernel("dense 128×1024×1024", (1024,), 128, Dense(1024), Dense(1024)),
        Kernel("conv 20→40 5×5 on 12×12, batch 128", (16, 16, 1), 128, Conv2D(20, 5), Conv2D(40, 5)),
        Kernel("conv 64→64 3×3 on 16×16, batch 64", (16, 16, 1), 64, Conv2D(64, 1), Conv2D(64, 3, padding=1)),
    )


def operations(layer: Layer, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> int:
    """Multiplications and additions of one sample in one pass, done directly; 0 for layers without weights.

    Forward, gradients and δ pair each weight with the same inputs and outputs, so they have equally many.
    """
    if not isinstance(layer, (Dense, Convolution, Recurrent)):
        return 0
    shapes = [spec.shape for spec in layer.parameters(input_shape).values()]
    weights = sum(math.prod(shape) for shape in shapes if len(shape) > 1)
    slides = isinstance(layer, Convolution) and not isinstance(layer, ConvTranspose)
    positions = (output_shape if slides else input_shape)[:-1]
    return 2 * weights * math.prod(positions)  # every weight once per pixel or step


def time_kernel(kernel: Kernel, repetitions: int) -> list[KernelTime]:
    """Medians over single training steps of two layers; the profile tells the second's passes apart."""
    net = Network([kernel.below, kernel.layer], input_shape=kernel.input_shape, seed=0, dtype="float32")
    plan = Plan(net, SquaredError(), None, SGD(0.1), batch_size=kernel.batch)
    X = np.random.default_rng(0).standard_normal((kernel.batch, *kernel.input_shape), dtype=np.float32)
    targets = np.zeros((kernel.batch, *net.output_shape), np.float32)
    order, rates = np.arange(kernel.batch), np.zeros(1)
    samples = []
    for repetition in range(-2, repetitions):  # two to warm up
        plan._native.set_profiling(True)
        plan.train_epoch(X, targets, order, rates)
        if repetition >= 0:
            samples.append(plan._native.profile()[6:9])
    shape = net.shapes[str(net.layers[0].name)]
    work = operations(kernel.layer, shape, net.output_shape) * kernel.batch
    times = [median(sample[place] for sample in samples) for place in range(3)]
    return [
        KernelTime(kernel.title, title, seconds, work / seconds * 1e-9)
        for title, seconds in zip(PASSES, times, strict=True)
    ]


# -- training steps


@dataclass(frozen=True)
class Part:
    """One row of a profile: a layer (or gather, loss, update) and its seconds per step."""

    name: str
    seconds: tuple[float, ...]  # forward, gradients, δ; one number for what is no layer
    operations: int = 0  # of the whole batch in one pass
    lanes: str = ""  # what lies in the lanes of its output, and how many of them hold something


@dataclass(frozen=True)
class StepTime:
    """Seconds per training step of a workload."""

    workload: str
    median: float
    fastest: float
    rounds: int
    profile: tuple[Part, ...] = ()


@dataclass(frozen=True, eq=False)
class Given:
    """What a trainer takes instead of a workload's own: a network, its loss, and samples for it."""

    network: Network
    loss: Loss
    X: np.ndarray
    y: np.ndarray


class Trainer:
    """A workload's plan with its data: one call of `epoch` is its task on each of the batches in memory."""

    def __init__(self, workload: Workload, rate: float = 0.001, given: Given | None = None) -> None:
        given = given or Given(network(workload), CrossEntropy(), *data(workload))
        self.workload, self.network, self.X, self.y = workload, given.network, given.X, given.y
        norms = workload.task == "norms"
        self.plan = Plan(
            self.network, given.loss, None, SGD(rate), batch_size=workload.batch, per_sample=norms
        )
        self.order, self.rates = np.arange(len(self.X)), np.full(workload.steps, rate)
        self.epoch = self._norms if norms else self._train

    def _train(self) -> None:
        result = self.plan.train_epoch(self.X, self.y, self.order, self.rates)
        if result.outcome != "done":  # an epoch that stopped early would pass for a fast one
            raise NonFiniteError(f"{self.workload.name} diverged: its time would mean nothing")

    def _norms(self) -> None:
        for number in range(self.workload.steps):
            self.plan.norms(*self.batch(number))

    def batch(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """X and y of one step."""
        rows = slice(number * self.workload.batch, (number + 1) * self.workload.batch)
        return self.X[rows], self.y[rows]

    def check(self) -> float:
        """What is the same for everybody who does the same: the first batch's loss; of norms, their mean."""
        if self.workload.task == "norms":
            return float(self.plan.norms(*self.batch(0))[1].mean())
        return self.plan.evaluate(*self.batch(0), training=True).loss

    def seconds(self, least: float) -> float:
        """Seconds per step, over as many epochs as last `least` seconds together."""
        epochs, begin = 0, time.perf_counter()
        while True:
            self.epoch()
            epochs += 1
            passed = time.perf_counter() - begin
            if passed >= least:
                return passed / (epochs * self.workload.steps)

    def profile(self, epochs: int) -> tuple[Part, ...]:
        """Where a step's time goes: mean seconds per step of every operation's passes."""
        self.plan._native.set_profiling(True)
        for _ in range(epochs):
            self.epoch()
        seconds = np.array(self.plan._native.profile()) / (epochs * self.workload.steps)
        self.plan._native.set_profiling(False)
        alone = [
            Part(name, (float(spent),))
            for name, spent in zip(("gather", "loss", "update"), seconds[:3], strict=True)
        ]
        passes = [tuple(float(value) for value in row) for row in seconds[3:].reshape(-1, 3)]
        return (*self._parts(passes), *alone)

    def _parts(self, passes: Sequence[tuple[float, ...]]) -> list[Part]:
        """The operations by the layer whose output they write; a fused activation is a part of its layer."""
        names = {number: name for name, number in reversed(self.plan._built.values.items())}
        work = dict(operations_by_layer(self.network.layers, self.network.input_shape, self.network.shapes))
        written, parts = {"input"}, []
        for row, number in zip(passes, self.plan._native.outputs(), strict=True):
            name = (
                names.get(number) or f"{self.plan._built.parts[number]} ({number})"
            )  # a layer of several operations
            if name in written:
                name = f"readers of {name}"  # the sum of their δ
            written.add(name)
            lanes = self._lanes(self.plan._built.held[number])
            parts.append(Part(name, row, self.workload.batch * work.get(name, 0), lanes))
        return parts

    def _lanes(self, value: Value) -> str:
        """What a value has in its lanes, as "samples 10/16": of a block's 16 lanes 10 are not empty."""
        size, samples = self.plan.lanes, value.lanes == _native.InLanes.samples
        count = self.workload.batch * value.bands if samples else math.prod(value.shape[:-1])
        held = f"{value.bands} bands" if value.bands > 1 else value.lanes.name
        return f"{held} {count / -(-count // size):.3g}/{size}"


def operations_by_layer(
    layers: Sequence[Layer], shape: tuple[int, ...], shapes: Mapping[str, tuple[int, ...]]
) -> Iterator[tuple[str, int]]:
    """`operations` of every layer by name, also of those within others."""
    for layer in layers:
        name = str(layer.name)
        if isinstance(layer, Composite):
            parts: list[tuple[str, int]] = []

            def branch(_: int, chain: Chain, on: Any, parts: list[tuple[str, int]] = parts) -> Any:
                parts += operations_by_layer(chain, on[0], shapes)
                return shape_after(chain, on[0], shapes)

            run_branches(None, layer, [shape], branch)
            yield from parts
        else:
            yield name, operations(layer, shape, shapes[name])
        shape = shapes[name]


def time_step(workload: Workload, rounds: int, least: float, with_profile: bool) -> StepTime:
    """Median and fastest of `rounds` measurements of at least `least` seconds each, after one to warm up."""
    trainer = Trainer(workload)
    trainer.epoch()
    times = [trainer.seconds(least) for _ in range(rounds)]
    profile = trainer.profile(epochs=rounds) if with_profile else ()
    return StepTime(workload.name, median(times), min(times), rounds, profile)


# -- tables


def percent(gflops: float, highest: float) -> str:
    return f"{100 * gflops / highest:.0f} %"


def kernel_table(times: Iterable[KernelTime], highest: float) -> str:
    rows = [("kernel", "pass", "ms", "GFLOP/s", "of peak")]
    for t in times:
        share = percent(t.gflops, highest)
        rows.append((t.kernel, t.direction, f"{t.seconds * 1e3:.3f}", f"{t.gflops:.0f}", share))
    return text_table(rows, right=(2, 3, 4))


def step_table(times: Iterable[StepTime]) -> str:
    titles = {workload.name: workload.title for workload in WORKLOADS}
    rows = [("workload", "one step", "median µs", "fastest µs")]
    for t in times:
        rows.append((t.workload, titles[t.workload], f"{t.median * 1e6:.1f}", f"{t.fastest * 1e6:.1f}"))
    return text_table(rows, right=(2, 3))


def profile_table(parts: Sequence[Part], highest: float) -> str:
    """µs per step of each pass, and for layers with weights its share of the peak, as direct arithmetic."""
    head = (cell for title in PASSES for cell in (f"{title} µs", "of peak"))
    rows: list[tuple[str, ...]] = [("", "lanes", *head)]
    for part in parts:
        cells = []
        for seconds in part.seconds:
            share = percent(part.operations / seconds * 1e-9, highest) if part.operations and seconds else ""
            cells += [f"{seconds * 1e6:.1f}" if seconds else "", share]
        rows.append((part.name, part.lanes, *cells, *[""] * (6 - len(cells))))
    total = sum(sum(part.seconds) for part in parts)
    rows.append(("sum", "", f"{total * 1e6:.1f}", *[""] * 5))
    return text_table(rows, right=range(2, 8), rule_after=(0, len(rows) - 2))


# -- the command


def run(
    *,
    quick: bool = False,
    profile: bool = False,
    json_file: str | Path | None = None,
    show: Callable[[str], object] = print,
) -> dict[str, Any]:
    """Measure, show each table as it is done, and return (and write) everything as plain data.

    quick: few repetitions, for a first look: about two seconds instead of about fifteen.
    """
    figures.reserve(json_file)
    repetitions, rounds, least = (5, 3, 0.02) if quick else (60, 15, 0.05)
    about = machine.describe()
    show("\n".join(f"{name:<10} {value}" for name, value in _facts(about)))
    before = peak()
    kernel_times = [timing for kernel in kernels() for timing in time_kernel(kernel, repetitions)]
    step_times = [time_step(workload, rounds, least, profile) for workload in WORKLOADS]
    after = peak()
    highest = max(before, after)
    show(f"{'peak':<10} {highest:.0f} GFLOP/s, float32 (before {before:.0f}, after {after:.0f})")
    show("\n" + kernel_table(kernel_times, highest))
    show("\n" + step_table(step_times))
    for timing in step_times:
        if timing.profile:
            show(f"\n{timing.workload}\n" + profile_table(timing.profile, highest))
    results = {
        "machine": about,
        "quick": quick,
        "peak_gflops": {"before": before, "after": after},
        "kernels": [asdict(timing) for timing in kernel_times],
        "steps": [asdict(timing) for timing in step_times],
    }
    figures.write(json_file, results)
    return results


def _facts(about: dict[str, Any]) -> list[tuple[str, str]]:
    sizes = ", ".join(f"{name} {size}" for name, size in about["caches"].items())
    return [
        ("machine", f"{about['processor']}, {about['cores']} cores{', ' + sizes if sizes else ''}"),
        ("engine", f"chainrule {about['chainrule']}, {about['ISA level']}, {about['threads']} threads"),
    ]
