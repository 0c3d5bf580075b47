"""Networks that need not talk to each other, spread over processes or machines by joblib.

    python examples/spread.py [loky|threading|dask|ray] [ADDRESS]

An ensemble, the folds of a cross-validation and a search, by the backend that is named: loky, joblib's own,
starts processes on this machine, threading threads; Dask and Ray have the processes of a cluster, at ADDRESS
(a scheduler's tcp://node0:8786; Ray's node0:6379 or auto), or start some here where none is given.  Which of
them it is changes no bit of what is trained.

loky, threading   come with scikit-learn: pip install 'chainrule[estimators]'
dask              pip install 'dask[distributed]'
ray               pip install ray
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

import joblib
import numpy as np
from sklearn.model_selection import GridSearchCV, cross_val_score

import chainrule as cr
from chainrule.data import load_digits, split
from chainrule.estimators import NetworkClassifier

WORKERS = 2  # that are started here


@contextlib.contextmanager
def spread(backend: str, address: str | None = None) -> Iterator[None]:
    """Within, joblib's `Parallel`, and with it scikit-learn's `n_jobs`, runs on these workers."""
    with contextlib.ExitStack() as started:
        if backend == "dask":
            distributed = imported("dask.distributed", "dask[distributed]")
            local = {"n_workers": WORKERS, "threads_per_worker": 1, "dashboard_address": None}
            started.enter_context(distributed.Client(address, **({} if address else local)))
        elif backend == "ray":
            ray = imported("ray", "ray")
            ray.init(address=address, num_cpus=None if address else WORKERS, log_to_driver=False)
            started.callback(ray.shutdown)
            imported("ray.util.joblib", "ray").register_ray()
        elif backend not in ("loky", "threading"):
            sys.exit(f"write loky, threading, dask or ray, not {backend}")
        n_jobs = -1 if address else WORKERS
        started.enter_context(joblib.parallel_config(backend=backend, n_jobs=n_jobs))
        yield


def imported(module: str, package: str) -> Any:
    try:
        return __import__(module, fromlist=["_"])
    except ImportError as error:
        sys.exit(f"{error}: pip install '{package}', here and on every machine that computes")


def member(seed: int, X: np.ndarray, y: np.ndarray, epochs: int) -> cr.Network:
    """One network of the ensemble, from a seed of its own; a worker sends it back."""
    layers = [cr.Conv2D(8, 3), cr.ReLU(), cr.MaxPool2D(2), cr.Flatten(), cr.Dense(10), cr.Softmax()]
    network = cr.Network(layers, input_shape=(8, 8, 1), seed=seed)
    cr.fit(network, X, y, epochs=epochs, seed=seed, progress=False, threads=1)
    return network


def main(backend: str = "loky", address: str | None = None, epochs: int = 8) -> list[float]:
    """The accuracy of the ensemble, the mean of the folds', and the best of the search."""
    X, y = load_digits()
    X_train, X_test, y_train, y_test = split(X, y, 0.2, stratify=True)
    rows = X_train.reshape(len(X_train), -1)
    with spread(backend, address):
        members = joblib.Parallel()(
            joblib.delayed(member)(seed, X_train, y_train, epochs) for seed in range(4)
        )
        mean = np.mean([network.predict(X_test) for network in members], axis=0)
        ensemble = float(np.mean(members[0].classes[mean.argmax(axis=1)] == y_test))

        network = NetworkClassifier(hidden_layers=[32], epochs=epochs, learning_rate=0.01, random_state=0)
        folds = cross_val_score(network, rows, y_train, cv=4)

        grid = {"hidden_layers": [[16], [32]], "learning_rate": [3e-3, 1e-2]}
        search = GridSearchCV(network, grid, cv=2).fit(rows, y_train)
    print(f"ensemble of 4     {ensemble:.4f}")
    print(f"folds             {' '.join(f'{fold:.4f}' for fold in folds)}")
    print(f"search            {search.best_score_:.4f} with {search.best_params_}")
    return [ensemble, float(folds.mean()), float(search.best_score_)]


if __name__ == "__main__":
    asked: dict[str, Any] = dict(zip(("backend", "address"), sys.argv[1:3], strict=False))
    main(**asked)
