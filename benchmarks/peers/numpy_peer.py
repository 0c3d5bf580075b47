"""NumPy by hand: the formulas of a dense network with samples as rows, one line per product."""

from __future__ import annotations

import numpy as np

from benchmarks.workloads import RATE, Problem


def versions() -> dict[str, str]:
    return {"NumPy": np.__version__}


class Session:
    def __init__(self, problem: Problem, configuration: str, threads: int) -> None:
        self.batch, self.X, self.y = problem.batch, problem.X, problem.y
        self.sigmoid = problem.layers[1][0] == "sigmoid"
        self.W = [np.ascontiguousarray(own["W"].T) for own in problem.weights]
        self.b = [own["b"].copy() for own in problem.weights]
        self.rows = np.arange(self.batch)

    def forward(self, x: np.ndarray) -> list[np.ndarray]:
        """The input, the hidden activations, and the softmax of the last layer."""
        activations = [x]
        last = len(self.W) - 1
        for number, (W, b) in enumerate(zip(self.W, self.b, strict=True)):
            z = activations[-1] @ W
            z += b
            if number == last:
                z -= z.max(axis=1, keepdims=True)
                np.exp(z, out=z)
                z /= z.sum(axis=1, keepdims=True)
            elif self.sigmoid:
                np.negative(z, out=z)
                np.exp(z, out=z)
                z += 1
                np.reciprocal(z, out=z)
            else:
                np.maximum(z, 0, out=z)
            activations.append(z)
        return activations

    def step(self, x: np.ndarray, y: np.ndarray) -> None:
        activations = self.forward(x)
        d = activations.pop()
        d[self.rows, y] -= 1  # a − y of softmax and cross-entropy
        d /= self.batch
        for number in range(len(self.W) - 1, -1, -1):
            a = activations[number]
            W, b = a.T @ d, d.sum(axis=0)
            if number:
                d = d @ self.W[number].T
                d *= a * (1 - a) if self.sigmoid else a > 0
            W *= RATE
            b *= RATE
            self.W[number] -= W
            self.b[number] -= b

    def epoch(self) -> None:
        for first in range(0, len(self.X), self.batch):
            self.step(self.X[first : first + self.batch], self.y[first : first + self.batch])

    def check(self) -> float:
        probabilities = self.forward(self.X[: self.batch])[-1]
        return float(-np.log(probabilities[self.rows, self.y[: self.batch]]).mean())
