"""What a report's numbers should be: recomputed from network and batch, samples last, beside the report."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import reference
from tests.explaining.audit_networks import Case

Array = np.ndarray[Any, np.dtype[Any]]


class Truth:
    """Arrays by the ids that a report's blocks name, from `backpropagate` with the penalty and without."""

    def __init__(self, case: Case) -> None:
        self.case, self.network, self.X, self.y = case, case.network, case.X, case.y
        options = dict(case.options)
        self.eta = options.pop("learning_rate", 0.1)
        self.options = options
        self.penalty = options.get("penalty")
        self.m = len(case.X)
        self.size = options.get("training_size", self.m)
        free = {name: value for name, value in options.items() if name not in ("penalty", "training_size")}
        self.step = self.network.backpropagate(self.X, self.y, **options)
        data = self.network.backpropagate(self.X, self.y, **free)
        last = {name: np.moveaxis(value, 0, -1) for name, value in self.step.activations.items()}
        deltas = {name: np.moveaxis(value, 0, -1) for name, value in self.step.deltas.items()}
        self.layers: dict[str, Any] = {}
        self.before: dict[str, str] = {}  # layer -> what it reads
        self._follow(self.network.layers, "input")
        self.arrays: dict[str, Array] = {**last, **self.network.parameters}
        self.arrays |= {f"delta:{name}": value for name, value in deltas.items()}
        self.arrays |= {f"gradient:{name}": value for name, value in self.step.gradients.items()}
        self.arrays |= {f"data gradient:{name}": value for name, value in data.gradients.items()}

    def _follow(self, chain: Any, reads: str) -> None:
        for layer in chain:
            self.layers[str(layer.name)], self.before[str(layer.name)] = layer, reads
            for branch in getattr(layer, "chains", ()):
                self._follow(branch, reads)
            reads = str(layer.name)

    @property
    def alone(self) -> dict[str, str]:
        """The layers whose input nothing else reads, and what that is."""
        read = list(self.before.values())
        return {name: reads for name, reads in self.before.items() if read.count(reads) == 1}

    @cached_property
    def weights(self) -> Array:
        given = np.asarray(self.options.get("sample_weight", np.ones(self.m)), float)
        return given * len(given) / given.sum()

    @cached_property
    def loss(self) -> Any:
        return self.network.problem(self.X, self.y, self.options.get("loss"))[1].loss

    @cached_property
    def targets(self) -> Array:
        """(outputs, samples)"""
        targets = self.network.problem(self.X, self.y, self.options.get("loss"))[0].targets
        return np.asarray(reference.target_columns(targets, self.network, np.float64))

    @cached_property
    def pair(self) -> bool:
        return bool(self.loss.pairs_with(self.network.layers[-1]))

    @cached_property
    def per_sample(self) -> Array:
        """The loss of every sample, written out."""
        a, y = self.arrays[str(self.network.layers[-1].name)], self.targets
        with np.errstate(divide="ignore", invalid="ignore"):
            if isinstance(self.loss, cr.CrossEntropy):
                return -np.where(y > 0, y * np.log(a), 0.0).sum(axis=0)
            if isinstance(self.loss, cr.BinaryCrossEntropy):
                return -np.where(y > 0, np.log(a), np.log(1 - a)).sum(axis=0)
        assert isinstance(self.loss, cr.SquaredError)
        return 0.5 * ((a - y) ** 2).sum(axis=0)

    @cached_property
    def by_prediction(self) -> Array:
        """∂J_i/∂a, written out."""
        a, y = self.arrays[str(self.network.layers[-1].name)], self.targets
        if isinstance(self.loss, cr.CrossEntropy):
            return -y / a
        if isinstance(self.loss, cr.BinaryCrossEntropy):
            return (a - y) / (a * (1 - a))
        return a - y

    @cached_property
    def data_loss(self) -> float:
        return float(self.weights @ self.per_sample) / self.m

    def penalty_of(self, W: Array) -> tuple[float, Array]:
        """(what W adds to J, its derivative), written out."""
        p, m = self.penalty, self.size
        if p is None:
            return 0.0, np.zeros_like(W)
        scale = 1 / m if p.per_sample else 1.0
        l1 = getattr(p, "l1", p.lam if isinstance(p, cr.L1) else 0.0)
        l2 = getattr(p, "l2", p.lam if isinstance(p, cr.L2) else 0.0)
        value = scale * float(l1 * np.abs(W).sum() + l2 / 2 * (W**2).sum())
        return value, scale * (l1 * np.sign(W) + l2 * W)

    @cached_property
    def penalised(self) -> list[str]:
        """Weights, not biases, shifts or slopes."""
        return [name for name in self.network.parameters if self.penalty and name.rpartition(".")[2] in "WU"]

    @cached_property
    def penalty_value(self) -> float:
        return sum(self.penalty_of(self.network.parameters[name])[0] for name in self.penalised)

    @cached_property
    def after(self) -> float:
        """J after the step."""
        moved = self.network.copy()
        for name, gradient in self.step.gradients.items():
            moved.parameters[name] = moved.parameters[name] - self.eta * gradient
        return float(moved.backpropagate(self.X, self.y, **self.options).loss)

    def rms(self, quantity: str) -> float:
        return float(np.sqrt(np.mean(self.arrays[quantity] ** 2)))

    @cached_property
    def groups(self) -> dict[str, Array] | None:
        """Gradients of the data by parameter, (groups, ...), of the batches that the noise is measured on:
        four of the samples in the order of PCG64(0); None of fewer than four groups, or where samples mix.
        """
        size = max(1, self.m // 4)
        count = min(16, self.m // size)
        if count < 4 or any(layer.mixes_samples for layer in self.network.layers):
            return None
        order = np.random.Generator(np.random.PCG64(0)).permutation(self.m)
        order = np.argsort(np.argsort(order))
        free = {name: value for name, value in self.options.items() if name == "loss"}
        found: dict[str, list[Array]] = {}
        for number in range(count):
            part = order[number * size : (number + 1) * size]
            sums: dict[str, Array] = {}
            for i in part:
                step = self.network.backpropagate(self.X[[i]], self.y[[i]], **free)
                for name, value in step.gradients.items():
                    sums[name] = sums.get(name, 0.0) + self.weights[i] * value / size
            for name, value in sums.items():
                found.setdefault(name, []).append(value)
        return {name: np.stack(values) for name, values in found.items()}

    def noise(self, names: list[str]) -> float | None:
        """‖mean‖² less what the spread alone would give, over the spread; None where it is not measured."""
        if self.groups is None:
            return None
        square = spread = 0.0
        for name in names:
            stack = self.groups[name]
            square += float((stack.mean(axis=0) ** 2).sum())
            spread += float(((stack - stack.mean(axis=0)) ** 2).sum()) / (len(stack) - 1)
            count = len(stack)
        return max(square - spread / count, 0.0) / spread if spread else None
