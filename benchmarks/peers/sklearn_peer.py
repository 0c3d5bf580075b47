"""scikit-learn's MLPClassifier: `partial_fit`, its own loop over the batches; no momentum, no L2."""

from __future__ import annotations

import numpy as np
import sklearn
from sklearn.neural_network import MLPClassifier

from benchmarks.workloads import RATE, Problem


def versions() -> dict[str, str]:
    return {"scikit-learn": sklearn.__version__}


class Session:
    def __init__(self, problem: Problem, configuration: str, threads: int) -> None:
        units = [layer[1] for layer in problem.layers if layer[0] == "dense"]
        activation = {"relu": "relu", "sigmoid": "logistic"}[problem.layers[1][0]]
        self.model = MLPClassifier(
            units[:-1],
            activation=activation,
            solver="sgd",
            alpha=0.0,
            batch_size=problem.batch,
            learning_rate_init=RATE,
            momentum=0.0,
            nesterovs_momentum=False,
            shuffle=False,
        )
        self.X, self.y, self.batch = problem.X, problem.y, problem.batch
        self.model.partial_fit(self.X[: self.batch], self.y[: self.batch], classes=np.arange(units[-1]))
        for number, own in enumerate(problem.weights):
            self.model.coefs_[number][...] = own["W"].T
            self.model.intercepts_[number][...] = own["b"]

    def epoch(self) -> None:
        self.model.partial_fit(self.X, self.y)

    def check(self) -> float:
        probabilities = self.model.predict_proba(self.X[: self.batch])
        return float(-np.log(probabilities[np.arange(self.batch), self.y[: self.batch]]).mean())
