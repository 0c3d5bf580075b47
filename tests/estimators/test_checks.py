"""scikit-learn's common checks: nothing fails, nothing is skipped for want of a package; for every solver and
activation, of ours and of scikit-learn's names. What is expected to fail is said, with its reason.
"""

from __future__ import annotations

from typing import Any

import pytest
from sklearn.utils.estimator_checks import check_estimator

import chainrule as cr
from chainrule.estimators import (
    MLPClassifier,
    MLPRegressor,
    NetworkClassifier,
    NetworkRegressor,
    TabularClassifier,
    TabularRegressor,
)
from chainrule.estimators.hidden import ACTIVATIONS
from tests.pairwise import each

# What a check needs that an estimator may well lack: neither has both, probabilities and decisions.
ABSENT = ("does not have a decision_function", "does not have a predict_proba", "has no attribute")
# A row drops its own entries, is held out by itself, or counts as one in the statistics of a batch: a weight
# of two is a row twice on average only. scikit-learn's forests, boosting and SGD say the same of themselves.
DRAWN = {
    f"check_sample_weight_equivalence_on_{kind}_data": "what is drawn is drawn by rows"
    for kind in ("dense", "sparse")
}

THEIR_CASES = each(("sgd", "adam", "lbfgs"), ("relu", "identity", "logistic", "tanh"))
# By plain steps some of the checks' data, which no scaler has seen, make the squared error diverge, as
# scikit-learn's own does, or leave it halfway after 100 epochs.
SLOW_ONES = (("sgd", "identity"), ("sgd", "logistic"))
OUR_CASES = each(
    tuple({"solver": name} for name in ("adamw", "sgd", "rmsprop", "lbfgs")),
    ({}, {"loss": "hinge"}, {"loss": "cross_entropy"}),
)
REGRESSIONS = each(
    ({"solver": "adam"}, {"solver": cr.SGD(0.05, momentum=0.9, clip_norm=1.0)}, {"solver": "cg"}),
    ({}, {"loss": "huber"}),
)
FEW: dict[str, Any] = {"solver": "lbfgs", "epochs": 25}  # iterations, of which the checks want no minimum
SWEEP: list[Any] = [
    *(MLPClassifier(solver=solver, activation=name, max_iter=60) for solver, name in THEIR_CASES[1:2]),
    *(MLPRegressor(solver=solver, activation=name, max_iter=100) for solver, name in THEIR_CASES[:1]),
    NetworkClassifier(hidden_layers=(20,), **FEW),
    NetworkClassifier(loss="hinge", hidden_layers=(20,), epochs=60, learning_rate=0.01),
    NetworkRegressor(loss="poisson", hidden_layers=(20,), epochs=40, learning_rate=0.03),
    TabularClassifier(epochs=3),
]
WHOLE: list[Any] = [
    *(MLPClassifier(solver=solver, activation=name, max_iter=100) for solver, name in THEIR_CASES),
    *(
        MLPRegressor(solver=solver, activation=name, max_iter=100)
        for solver, name in THEIR_CASES
        if (solver, name) not in SLOW_ONES
    ),
    *(NetworkClassifier(**solver, **loss) for solver, loss in OUR_CASES),
    *(NetworkRegressor(**solver, **loss) for solver, loss in REGRESSIONS),
    *(NetworkClassifier(activation=name, learning_rate=0.01, epochs=200) for name in ACTIVATIONS),
    *(NetworkRegressor(activation=name, learning_rate=0.01) for name in ACTIVATIONS),
    *(NetworkClassifier(normalization=name, learning_rate=0.01) for name in ("batch", "layer", "rms")),
    NetworkClassifier([], learning_rate=0.01),
    NetworkClassifier([cr.Dense(20), cr.Tanh()], learning_rate=0.01),
    NetworkClassifier(class_weight="balanced"),
    NetworkClassifier(dropout=0.2),
    NetworkClassifier(validation_fraction=0.2),
    NetworkRegressor(early_stopping=20, learning_rate=0.01),
    MLPRegressor(loss="poisson", max_iter=100, learning_rate_init=0.03),
    TabularRegressor(epochs=60),
]


def drawn(estimator: Any) -> bool:
    """Whether weights are repetitions on average only."""
    options = estimator.get_params()
    held = options.get("validation_fraction") or options.get("early_stopping")
    of_batch = options.get("normalization") == "batch" or options.get("dropout")
    return "kinds" in options or (
        isinstance(estimator, NetworkClassifier | NetworkRegressor) and (held or of_batch)
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "estimator" in metafunc.fixturenames:
        cases = WHOLE if metafunc.config.getoption("--whole") else SWEEP
        metafunc.parametrize("estimator", cases, ids=[str(case).replace("\n", "") for case in cases])


@pytest.mark.turns(2)
@pytest.mark.filterwarnings("ignore")
def test_all_checks_pass(estimator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")  # or the check of arrays of other libraries is skipped
    expected = DRAWN if drawn(estimator) else {}
    results = check_estimator(estimator, on_fail=None, expected_failed_checks=expected)
    assert len(results) > 55
    wrong = [
        (result["check_name"], result["status"], str(result["exception"]))
        for result in results
        if result["status"] not in ("passed", "xfail")
        and not (result["status"] == "skipped" and any(what in str(result["exception"]) for what in ABSENT))
    ]
    assert not wrong
    assert {result["check_name"] for result in results if result["expected_to_fail"]} <= set(expected)
