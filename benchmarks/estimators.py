"""`MLPClassifier` beside scikit-learn's, and beside skorch: time per epoch (L-BFGS: iteration) and accuracy.

    python -m benchmarks.estimators [--repeats 5] [--rows 100000] [--threads 1] [--skorch]

The two take turns, and the least time of each counts: what else the machine does lengthens times and
shortens none. With one thread it is the processor's time, with more the clock's, which only a machine without
others tells rightly. `--skorch` is beside skorch, which needs PyTorch: the same network, batches and Adam in
float32, on small networks, where what surrounds a step counts.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Iterator
from itertools import pairwise
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
SMALL = (((), 32), ((32,), 32), ((100,), 32), ((100,), 200))  # units of the hidden layers, and batch sizes
ROWS_OF_SKORCH = 20_000  # at most


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


def in_turns(
    made: tuple[Callable[[], Any], ...], X: Any, y: Any, epochs: int | None, repeats: int, threads: int
) -> Iterator[tuple[float, float]]:
    """Of each the least time of an epoch, what a fit does once included, in ms, and its accuracy.

    epochs: how many a fit has; None: as many as the model says.
    """
    clock = time.process_time if threads == 1 else time.perf_counter
    least, scores = [np.inf] * len(made), [0.0] * len(made)
    for _ in range(repeats):
        for place, make in enumerate(made):
            model = make()
            began = clock()
            model.fit(X, y)
            taken = (clock() - began) / float(epochs or model.n_iter_)
            least[place], scores[place] = min(least[place], taken), model.score(X, y)
    return zip((1000 * value for value in least), scores, strict=True)


def show(name: str, dtype: str, kind: str, theirs: tuple[float, float], ours: tuple[float, float]) -> None:
    times = f"{theirs[0]:>10.2f} ms {ours[0]:>7.2f} ms {theirs[0] / ours[0]:>6.1f}"
    print(f"{name:<20} {dtype:<8} {kind:<10} {times}  {theirs[1]:.4f} {ours[1]:.4f}", flush=True)


def heading(peer: str) -> None:
    columns = ("data", "dtype", "solver", peer, "chainrule", "ratio", "accuracies")
    print("{:<20} {:<8} {:<10} {:>13} {:>10} {:>6}  {}".format(*columns))


def beside_skorch(name: str, X: Any, y: Any, given: argparse.Namespace) -> None:
    """Adam on small networks, no validation part, nothing printed."""
    import torch
    from skorch import NeuralNetClassifier

    torch.set_num_threads(given.threads)
    rows, labels = X[:ROWS_OF_SKORCH].astype("float32"), y[:ROWS_OF_SKORCH].astype(np.int64)
    outputs = int(y.max()) + 1
    epochs = max(2, 40_000 // len(rows))
    for hidden, batch in SMALL:

        def peer(hidden: tuple[int, ...] = hidden, batch: int = batch) -> Any:
            layers: list[Any] = []
            for inputs, units in pairwise((rows.shape[1], *hidden)):
                layers += [torch.nn.Linear(inputs, units), torch.nn.ReLU()]
            layers.append(torch.nn.Linear((rows.shape[1], *hidden)[-1], outputs))
            torch.manual_seed(0)
            options = {"optimizer": torch.optim.Adam, "lr": 1e-3, "iterator_train__shuffle": True}
            return NeuralNetClassifier(
                torch.nn.Sequential(*layers),
                criterion=torch.nn.CrossEntropyLoss,
                max_epochs=epochs,
                batch_size=batch,
                train_split=None,
                verbose=0,
                **options,
            )

        def own(hidden: tuple[int, ...] = hidden, batch: int = batch) -> Any:
            return estimators.NetworkClassifier(
                hidden_layers=hidden, epochs=epochs, batch_size=batch, random_state=0
            )

        theirs, ours = in_turns((peer, own), rows, labels, epochs, given.repeats, given.threads)
        units = "-".join(map(str, hidden)) or "none"
        show(name, f"of {batch}", units, theirs, ours)


def main() -> None:
    """The tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--threads", type=int, default=1, help="of either")
    parser.add_argument("--skorch", action="store_true", help="beside skorch alone, which needs PyTorch")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    set_threads(given.threads)
    threadpool_limits(given.threads)  # of scikit-learn's BLAS
    heading("skorch" if given.skorch else "scikit-learn")
    for name, (X, y) in data(given.rows).items():
        if given.skorch:
            beside_skorch(name, X, y, given)
            continue
        for dtype in ("float64", "float32"):
            for solver, setting in SETTINGS.items():
                epochs = 40 if len(X) < 10_000 else 3
                options = {**setting, "max_iter": epochs, "tol": 0.0, "n_iter_no_change": 1000}
                made = tuple(
                    lambda module=module, options=options: module.MLPClassifier(**options, random_state=0)
                    for module in (sklearn.neural_network, estimators)
                )
                theirs, ours = in_turns(made, X.astype(dtype), y, None, given.repeats, given.threads)
                show(name, dtype, solver, theirs, ours)


if __name__ == "__main__":
    main()
