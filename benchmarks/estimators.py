"""`MLPClassifier` beside scikit-learn's: time per epoch (L-BFGS: per iteration) and accuracy, same settings.

    python -m benchmarks.estimators [--repeats 5] [--rows 100000] [--threads 1]

The two take turns, and the least time of each counts: what else the machine does lengthens times and shortens
none. With one thread it is the processor's time, with more the clock's, which only a machine without others
tells rightly.
"""

from __future__ import annotations

import argparse
import time
import warnings
from typing import Any

import numpy as np
import sklearn.neural_network
from sklearn.datasets import load_digits
from threadpoolctl import threadpool_limits

from chainrule import estimators, set_threads

SETTINGS: dict[str, dict[str, Any]] = {
    "sgd": {"solver": "sgd", "learning_rate_init": 0.05},
    "adam": {"solver": "adam"},
    "lbfgs": {"solver": "lbfgs"},
}


def data(rows: int) -> dict[str, tuple[Any, Any]]:
    """The digits, and rows of 50 columns in 5 classes."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((rows, 50))
    hidden = np.tanh(X @ rng.standard_normal((50, 20)) / 5)
    digits, labels = load_digits(return_X_y=True)
    return {
        "digits (1,797 x 64)": (digits / 16, labels),
        f"{rows:,} x 50": (X, (hidden @ rng.standard_normal((20, 5))).argmax(axis=1)),
    }


def seconds(model: Any, X: Any, y: Any, threads: int) -> float:
    """Of an epoch or iteration, what a fit does once included."""
    clock = time.process_time if threads == 1 else time.perf_counter
    began = clock()
    model.fit(X, y)
    return (clock() - began) / float(model.n_iter_)


def main() -> None:
    """The table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--threads", type=int, default=1, help="of either")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    set_threads(given.threads)
    threadpool_limits(given.threads)  # of scikit-learn's BLAS
    columns = ("data", "dtype", "solver", "scikit-learn", "chainrule", "ratio", "accuracies")
    print("{:<20} {:<8} {:<6} {:>13} {:>10} {:>6}  {}".format(*columns))
    for name, (X, y) in data(given.rows).items():
        for dtype in ("float64", "float32"):
            for solver, setting in SETTINGS.items():
                epochs = 40 if len(X) < 10_000 else 3
                options = {**setting, "max_iter": epochs, "tol": 0.0, "n_iter_no_change": 1000}
                rows, least, scores = X.astype(dtype), [np.inf, np.inf], [0.0, 0.0]
                for _ in range(given.repeats):
                    for place, module in enumerate((sklearn.neural_network, estimators)):
                        model = module.MLPClassifier(**options, random_state=0)
                        least[place] = min(least[place], seconds(model, rows, y, given.threads))
                        scores[place] = model.score(rows, y)
                theirs, ours = (1000 * value for value in least)
                both = f"{scores[0]:.4f} {scores[1]:.4f}"
                times = f"{theirs:>10.2f} ms {ours:>7.2f} ms {theirs / ours:>6.1f}"
                print(f"{name:<20} {dtype:<8} {solver:<6} {times}  {both}", flush=True)


if __name__ == "__main__":
    main()
