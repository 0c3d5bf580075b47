"""The numbers of `MLPClassifier` and `MLPRegressor` are those of scikit-learn, to rounding: start, orders,
splits, steps, rates, when training ends.  Where they differ is said, and by how much.
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
import sklearn.neural_network as theirs
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from chainrule import estimators as ours
from tests.pairwise import pairwise

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
rng = np.random.default_rng(7)
X = rng.normal(size=(120, 5))
TARGETS: dict[str, Any] = {
    "two": X[:, 0] > X[:, 1],
    "three": np.array(["b", "a", "c"])[np.argmax(X[:, :3], axis=1)],
    "several labels": (X[:, :4] > 0.3).astype(int),
    "number": np.sin(X[:, 0]) + X[:, 1],
    "three numbers": np.stack([X[:, 0], X[:, 1] ** 2, X[:, 2] * X[:, 3]], axis=1),
    "counts": np.floor(np.exp(X[:, 0].clip(-1, 1))),
}
SOLVERS: list[dict[str, Any]] = [
    {"solver": "adam"},
    {"solver": "adam", "learning_rate_init": 0.02, "beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-6},
    {"solver": "sgd", "learning_rate_init": 0.05},
    {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.1, "power_t": 0.3},
    {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.05, "n_iter_no_change": 2},
    {"solver": "sgd", "nesterovs_momentum": False, "shuffle": False},
    {"solver": "sgd", "momentum": 0, "learning_rate_init": 0.1},
    {"solver": "lbfgs", "alpha": 0.01},
]
ACTIVATIONS = ("relu", "identity", "logistic", "tanh")


def pair(target: str, **options: Any) -> tuple[Any, Any]:
    """Theirs and ours, not fitted."""
    options = {"hidden_layer_sizes": (7, 4), "max_iter": 12, "random_state": 3, **options}
    if target in ("two", "three", "several labels"):
        return theirs.MLPClassifier(**options), ours.MLPClassifier(**options)
    if target == "counts":
        options["loss"] = "poisson"
    return theirs.MLPRegressor(**options), ours.MLPRegressor(**options)


def close(a: Any, b: Any, tolerance: float) -> None:
    assert np.shape(a) == np.shape(b)
    np.testing.assert_allclose(b, a, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    ("target", "solver", "activation", "batch", "dtype"),
    pairwise(TARGETS, SOLVERS, ACTIVATIONS, ("auto", 40), ("float64", "float32")),
)
def test_the_same_numbers(
    target: str, solver: dict[str, Any], activation: str, batch: Any, dtype: str
) -> None:
    if target == "three numbers" and solver["solver"] == "lbfgs":
        return  # their J and its gradient do not belong together: see below
    rows, y = X.astype(dtype), TARGETS[target]
    both = pair(target, activation=activation, batch_size=batch, **solver)
    expected, found = (each.fit(rows, y) for each in both)
    tolerance = 1e-9 if dtype == "float64" else 2e-2 if solver["solver"] == "lbfgs" else 2e-4
    for name in ("coefs_", "intercepts_"):
        for a, b in zip(getattr(expected, name), getattr(found, name), strict=True):
            assert b.dtype == dtype
            close(a, b, tolerance)
    if dtype == "float64":
        assert found.n_iter_ == expected.n_iter_
    assert (found.t_, found.n_layers_, found.n_outputs_) == (
        expected.t_, expected.n_layers_, expected.n_outputs_,
    )  # fmt: skip
    assert found.out_activation_ == expected.out_activation_
    factor = 3 if target == "three numbers" else 1  # theirs is the mean over the targets, ours the sum
    close(factor * expected.loss_, found.loss_, 1e-4)
    if solver["solver"] != "lbfgs":
        close(factor * np.array(expected.loss_curve_), found.loss_curve_, 1e-4)
        close(factor * expected.best_loss_, found.best_loss_, 1e-4)
    if hasattr(expected, "classes_"):
        assert np.array_equal(found.classes_, expected.classes_)
        close(expected.predict_proba(rows), found.predict_proba(rows), max(tolerance, 1e-9) * 5)
        assert np.mean(found.predict(rows) == expected.predict(rows)) > (
            0.95 if dtype == "float32" else 0.9999
        )
    else:
        close(expected.predict(rows), found.predict(rows), tolerance * 20)
    assert found.predict(rows).dtype == expected.predict(rows).dtype


@pytest.mark.parametrize("target", TARGETS)
def test_early_stopping_holds_the_same_rows_out(target: str) -> None:
    options = {"early_stopping": True, "validation_fraction": 0.25, "batch_size": 30, "max_iter": 20}
    options |= {"learning_rate_init": 0.02, "tol": 1e-3, "n_iter_no_change": 4}
    expected, found = (each.fit(X, TARGETS[target]) for each in pair(target, **options))
    close(expected.validation_scores_, found.validation_scores_, 1e-9)
    close(expected.best_validation_score_, found.best_validation_score_, 1e-9)
    assert found.best_loss_ is None
    for a, b in zip(expected.coefs_, found.coefs_, strict=True):
        close(a, b, 1e-9)
    assert len(found.history_.validation_loss) == found.n_iter_  # which theirs has not


@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("target", ["two", "three", "number"])
def test_partial_fit_and_warm_start_go_on_alike(target: str, solver: str) -> None:
    both = pair(target, solver=solver, learning_rate="invscaling", batch_size=30, max_iter=3)
    given = {"classes": np.unique(TARGETS[target])} if target != "number" else {}
    for each in both:
        for part in range(3):
            rows = slice(part * 30, (part + 2) * 30)
            each.partial_fit(X[rows], TARGETS[target][rows], **given)
        each.set_params(warm_start=True).fit(X, TARGETS[target]).fit(X, TARGETS[target])
    for a, b in zip(both[0].coefs_, both[1].coefs_, strict=True):
        close(a, b, 1e-9)
    close(both[0].loss_curve_, both[1].loss_curve_, 1e-4)
    assert both[0].t_ == both[1].t_


@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csc_array, sparse.coo_array])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_sparse_rows_are_the_same_bits_as_dense_ones(form: Any, solver: str) -> None:
    rows = np.where(np.abs(X) > 1, X, 0)
    dense, thin = pair("three", solver=solver)[1], pair("three", solver=solver)[1]
    dense.fit(rows, TARGETS["three"])
    thin.fit(form(rows), TARGETS["three"])
    for a, b in zip(dense.coefs_, thin.coefs_, strict=True):
        assert np.array_equal(a, b)
    assert np.array_equal(dense.predict_proba(rows), thin.predict_proba(form(rows)))


@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
def test_the_constructor_is_theirs(name: str) -> None:
    expected, found = (inspect.signature(getattr(module, name)).parameters for module in (theirs, ours))
    assert [*found] == [*expected]
    for parameter in expected:
        assert found[parameter].default == expected[parameter].default
        assert found[parameter].kind == expected[parameter].kind
    assert getattr(ours, name)().get_params() == getattr(theirs, name)().get_params()


@pytest.mark.parametrize(
    "options",
    [
        {"hidden_layer_sizes": -1}, {"hidden_layer_sizes": (3, 0)}, {"solver": "newton"}, {"alpha": -1},
        {"activation": "linear"}, {"batch_size": 0}, {"learning_rate": "falling"}, {"tol": -1},
        {"learning_rate_init": 0}, {"max_iter": 0}, {"momentum": 2}, {"validation_fraction": 1.0},
        {"beta_1": 1.0}, {"n_iter_no_change": -1}, {"epsilon": 0}, {"max_fun": 0}, {"shuffle": "yes"},
        {"early_stopping": True, "validation_fraction": 0.0}, {"random_state": -1},
    ],
    ids=str,
)  # fmt: skip
def test_what_they_refuse_is_refused_alike(options: dict[str, Any]) -> None:
    raised = []
    for each in pair("two", **options):
        with pytest.raises((ValueError, TypeError)) as caught:
            each.fit(X, TARGETS["two"])
        raised.append(caught)
    assert isinstance(raised[1].value, raised[0].type) or options in ({"activation": "linear"},)


def test_the_same_warnings() -> None:
    for each in pair("two", max_iter=1, batch_size=200):
        with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(1\) reached"):  # noqa: SIM117
            with pytest.warns(UserWarning, match="Got `batch_size` less than 1 or larger than sample size"):
                each.fit(X, TARGETS["two"])
    for each in pair("two", max_iter=2, solver="lbfgs"):
        with pytest.warns(ConvergenceWarning, match="lbfgs failed to converge after 2 iteration"):
            each.fit(X, TARGETS["two"])


def along_the_gradient(model: Any) -> float:
    """gᵀg over the derivative along g of the loss that the model reports, g read off one plain step."""
    rate, y = 1e-3, TARGETS["three numbers"]
    model.set_params(solver="sgd", momentum=0, learning_rate_init=rate, alpha=0.0)
    model.set_params(shuffle=False, batch_size=120)

    def at(arrays: list[Any]) -> float:
        model.coefs_, model.intercepts_ = ([a.copy() for a in part] for part in (arrays[:3], arrays[3:]))
        model.partial_fit(X, y)
        return float(model.loss_)

    model.partial_fit(X, y)
    before = [np.array(array) for array in (*model.coefs_, *model.intercepts_)]
    at(before)
    g = [(old - new) / rate for old, new in zip(before, (*model.coefs_, *model.intercepts_), strict=True)]
    ends = [at([array + step * d for array, d in zip(before, g, strict=True)]) for step in (1e-5, -1e-5)]
    return sum(float(np.vdot(d, d)) for d in g) / ((ends[0] - ends[1]) / 2e-5)


def test_the_gradient_of_several_targets_is_that_of_the_loss() -> None:
    expected, found = pair("three numbers", activation="tanh")
    assert along_the_gradient(expected) == pytest.approx(3.0, rel=1e-4)
    assert along_the_gradient(found) == pytest.approx(1.0, rel=1e-4)
