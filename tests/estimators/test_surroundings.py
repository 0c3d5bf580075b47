"""Where scikit-learn's users have their estimators: pipelines, searches, calibration, frames, workers."""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from scipy import sparse
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    cross_val_predict,
    cross_validate,
    learning_curve,
    validation_curve,
)
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import chainrule as cr
from chainrule.base.foreign import answer
from chainrule.base.foreign.attributes import ESTIMATOR
from chainrule.estimators import MLPClassifier, MLPRegressor, NetworkClassifier, NetworkRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
rng = np.random.default_rng(5)
FRAME = pd.DataFrame(
    {"size": rng.normal(10, 3, 90), "weight": rng.normal(0, 1, 90), "colour": rng.choice(["red", "blue"], 90)}
)
Y = np.where((FRAME["size"] > 10) ^ (FRAME["colour"] == "red"), "large", "small")
X = FRAME[["size", "weight"]].to_numpy()
EVERY: list[Any] = [
    NetworkClassifier(epochs=3, random_state=0),
    NetworkRegressor(epochs=3, random_state=0),
    MLPClassifier(max_iter=3, random_state=0),
    MLPRegressor(max_iter=3, random_state=0),
]


def target(model: Any) -> Any:
    return Y if sklearn.base.is_classifier(model) else X[:, 0]


def columns() -> ColumnTransformer:
    return ColumnTransformer(
        [("numbers", StandardScaler(), ["size", "weight"]), ("colour", OneHotEncoder(), ["colour"])],
        sparse_threshold=1.0,
    )


@pytest.mark.parametrize("library", [pd.DataFrame, pl.DataFrame])
@pytest.mark.parametrize("model", EVERY, ids=lambda model: type(model).__name__)
def test_frames_are_known_by_their_columns(library: Any, model: Any) -> None:
    frame = library({name: FRAME[name].to_numpy() for name in ("size", "weight")})
    fitted = clone(model).fit(frame, target(model))
    assert [*fitted.feature_names_in_] == ["size", "weight"]
    plain = clone(model).fit(X, target(model))
    assert np.array_equal(fitted.predict(frame), plain.predict(X))
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(frame[["weight", "size"]])
    with pytest.raises(ValueError, match="3 features, but"):
        plain.predict(rng.normal(size=(4, 3)))


def threads_of_the_worker(*_: Any) -> float:
    return float(cr.threads())


@pytest.mark.parametrize(
    "model", [NetworkClassifier(epochs=30, learning_rate=0.03), MLPClassifier(max_iter=40)]
)
def test_searches_in_workers_that_share_the_processors(model: Any) -> None:
    steps = make_pipeline(columns(), model)
    name = type(model).__name__.lower()
    sizes = "hidden_layers" if isinstance(model, NetworkClassifier) else "hidden_layer_sizes"
    grid = {f"{name}__{sizes}": [(8,), (16, 8)], f"{name}__random_state": [0]}
    scoring = {"accuracy": "accuracy", "threads": threads_of_the_worker}
    search = GridSearchCV(steps, grid, cv=2, n_jobs=2, scoring=scoring, refit="accuracy")
    search.fit(FRAME, Y)
    assert search.best_score_ > 0.5
    allowed = max(len(os.sched_getaffinity(0)) // 2, 1)
    assert (search.cv_results_["mean_test_threads"] <= allowed).all()
    alone = clone(search).set_params(n_jobs=1).fit(FRAME, Y)
    assert np.array_equal(
        alone.cv_results_["mean_test_accuracy"], search.cv_results_["mean_test_accuracy"]
    )  # the same bits in a process of its own
    with joblib.parallel_config(backend="threading"):
        threads = clone(search).fit(FRAME, Y)
    assert np.array_equal(alone.cv_results_["mean_test_accuracy"], threads.cv_results_["mean_test_accuracy"])


def test_halving_calibration_several_targets_and_curves() -> None:
    model = NetworkClassifier(epochs=15, random_state=0, learning_rate=0.02)
    halving = HalvingGridSearchCV(
        model, {"hidden_layers": [(4,), (8,)]}, cv=2, random_state=0, min_resources=20
    )
    assert halving.fit(X, Y).predict(X).shape == (90,)
    for loss in (None, "hinge"):  # by probabilities, by decisions
        calibrated = CalibratedClassifierCV(clone(model).set_params(loss=loss), cv=2).fit(X, Y)
        np.testing.assert_allclose(calibrated.predict_proba(X).sum(axis=1), 1)
    two = np.stack([Y, FRAME["colour"]], axis=1)
    assert MultiOutputClassifier(model).fit(X, two).predict(X).shape == two.shape
    scores = validation_curve(model, X, Y, param_name="epochs", param_range=[1, 5], cv=2)
    assert scores[0].shape == (2, 2)
    learning_curve(
        NetworkClassifier(epochs=2), X, Y, train_sizes=[20, 40], cv=2, exploit_incremental_learning=True
    )
    scaled = TransformedTargetRegressor(
        NetworkRegressor(epochs=60, learning_rate=0.02, random_state=0), transformer=StandardScaler()
    )
    assert cross_val_predict(scaled, X, 1000 + 50 * X[:, 0], cv=3).mean() == pytest.approx(1500, rel=0.2)


@pytest.mark.parametrize("model", EVERY, ids=lambda model: type(model).__name__)
def test_read_only_memory_maps_and_files_of_models(model: Any, tmp_path: Path) -> None:
    joblib.dump(X, tmp_path / "X.joblib")
    mapped = joblib.load(tmp_path / "X.joblib", mmap_mode="r")
    fitted = clone(model).fit(mapped, target(model))
    plain = clone(model).fit(X, target(model))
    assert np.array_equal(fitted.predict(mapped), plain.predict(X))
    joblib.dump(plain, tmp_path / "model.joblib")
    stored = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
    assert np.array_equal(stored.predict(X), plain.predict(X))
    assert np.array_equal(
        stored.partial_fit(X, target(model)).predict(X), plain.partial_fit(X, target(model)).predict(X)
    )


@pytest.mark.parametrize("model", EVERY, ids=lambda model: type(model).__name__)
def test_weights_are_routed_where_they_are_asked_for(model: Any) -> None:
    weights = np.where(np.arange(90) < 45, 1.0, 0.0)
    with sklearn.config_context(enable_metadata_routing=True):
        asked = clone(model).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        done = cross_validate(
            asked, X, target(model), cv=[(np.arange(90), np.arange(90))], params={"sample_weight": weights},
            return_estimator=True,
        )  # fmt: skip
    alone = clone(model).fit(X, target(model), sample_weight=weights)
    assert np.array_equal(done["estimator"][0].predict(X), alone.predict(X))
    score = alone.score(X, target(model), sample_weight=weights)
    assert done["test_score"][0] == pytest.approx(score)


@pytest.mark.parametrize("model", EVERY, ids=lambda model: type(model).__name__)
def test_it_is_shown_and_cloned(model: Any) -> None:
    fitted = clone(model).fit(X, target(model))
    assert type(model).__name__ in fitted._repr_html_()
    assert "random_state=0" in repr(fitted)
    again = clone(fitted)
    assert again.get_params() == model.get_params()
    assert not hasattr(again, "network_")
    pipeline = make_pipeline(StandardScaler(), clone(model)).set_output(transform="pandas")
    assert [*pipeline.fit(FRAME[["size", "weight"]], target(model))[-1].feature_names_in_] == [
        "size",
        "weight",
    ]


@pytest.mark.parametrize("model", EVERY, ids=lambda model: type(model).__name__)
def test_the_network_of_an_estimator_is_the_librarys(model: Any, tmp_path: Path) -> None:
    fitted = clone(model).fit(X, target(model))
    fitted.network_.save(tmp_path / "net.npz")
    network = cr.load(tmp_path / "net.npz")
    assert np.array_equal(network.predict(X), fitted.network_.predict(X))
    if sklearn.base.is_classifier(model):
        assert np.array_equal(network.classify(X), fitted.predict(X))
        assert network.accuracy(X, Y) == pytest.approx(fitted.score(X, Y))
    else:
        assert np.array_equal(network.predict(X).ravel(), fitted.predict(X))
    assert cr.check_gradients(network, X[:5], target(model)[:5]).ok


def test_large_sparse_rows_are_made_dense_batch_by_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    from chainrule.data import mapped

    rows = sparse.random(90, 40, density=0.2, random_state=0, format="csr")
    found = []
    for largest in (2**28, 100):
        monkeypatch.setattr(mapped, "_LARGEST_DENSE", largest)
        monkeypatch.setattr(mapped, "_PIECE", 40 * 17)
        for model in [*EVERY, MLPClassifier(solver="lbfgs", max_iter=3, random_state=0)]:
            found.append(clone(model).fit(rows, target(model)).predict(rows))
    assert all(np.array_equal(a, b) for a, b in zip(found[:5], found[5:], strict=True))


def test_attributes_of_other_libraries_are_answered() -> None:
    rows, labels = np.eye(3), [0, 1, 2]
    model = NetworkClassifier(hidden_layers=2, epochs=1).fit(rows, labels)
    for name, advice in ESTIMATOR.items():
        if name in dir(model):
            continue
        with pytest.raises(AttributeError) as caught:
            getattr(model, name)
        assert str(caught.value).endswith(answer(advice)), name
        for path in re.findall(r"model\.(\w+(?:\.\w+)?)", advice):
            assert functools.reduce(getattr, path.split("."), model) is not None, advice
    with pytest.raises(AttributeError, match=r"no attribute 'history_'; write model.fit\(X, y\) first"):
        len(NetworkClassifier().history_)
    with pytest.raises(AttributeError, match="'partial_fit': partial_fit is of mini-batches") as why:
        NetworkClassifier(solver="lbfgs").partial_fit(rows, labels)
    assert isinstance(why.value.__cause__, AttributeError)
    assert not hasattr(model, "__array__")


def test_without_scikit_learn_the_message_says_what_to_install() -> None:
    script = "import sys; sys.modules['sklearn'] = None\nimport chainrule\nchainrule.estimators.MLPClassifier"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "scikit-learn: pip install 'chainrule[estimators]'" in done.stderr


def test_unknown_names_are_answered() -> None:
    with pytest.raises(AttributeError, match="no attribute 'MLPClasifier'"):
        cr.estimators.MLPClasifier  # noqa: B018
    assert "NetworkRegressor" in dir(cr.estimators)
