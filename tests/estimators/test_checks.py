"""scikit-learn's common checks: nothing fails, nothing is expected to fail, nothing is skipped for want of a
package; for every solver and activation, of ours and of scikit-learn's names.
"""

from __future__ import annotations

from typing import Any

import pytest
from sklearn.utils.estimator_checks import check_estimator

import chainrule as cr
from chainrule.estimators import MLPClassifier, MLPRegressor, NetworkClassifier, NetworkRegressor
from chainrule.estimators.hidden import ACTIVATIONS
from tests.pairwise import each

# What a check needs that an estimator may well lack: neither has both, probabilities and decisions.
ABSENT = ("does not have a decision_function", "does not have a predict_proba", "has no attribute")

THEIR_CASES = each(("sgd", "adam", "lbfgs"), ("relu", "identity", "logistic", "tanh"))
OUR_CASES = each(
    tuple({"solver": name} for name in ("adamw", "sgd", "rmsprop", "lbfgs")),
    ({}, {"loss": "hinge"}, {"loss": "cross_entropy"}),
)
REGRESSIONS = each(
    ({"solver": "adam"}, {"solver": cr.SGD(0.05, momentum=0.9)}, {"solver": "cg"}),
    ({}, {"loss": "huber"}),
)
SWEEP: list[Any] = [
    *(MLPClassifier(solver=solver, activation=name, max_iter=100) for solver, name in THEIR_CASES[1:2]),
    *(MLPRegressor(solver=solver, activation=name, max_iter=100) for solver, name in THEIR_CASES[:1]),
    *(NetworkClassifier(**solver, **loss) for solver, loss in OUR_CASES[-2:]),
    *(NetworkRegressor(**solver, **loss) for solver, loss in REGRESSIONS[:1]),
]
WHOLE: list[Any] = [
    *(MLPClassifier(solver=solver, activation=name, max_iter=100) for solver, name in THEIR_CASES),
    *(MLPRegressor(solver=solver, activation=name, max_iter=100) for solver, name in THEIR_CASES),
    *(NetworkClassifier(**solver, **loss) for solver, loss in OUR_CASES),
    *(NetworkRegressor(**solver, **loss) for solver, loss in REGRESSIONS),
    *(NetworkClassifier(activation=name) for name in ACTIVATIONS),
]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "estimator" in metafunc.fixturenames:
        cases = WHOLE if metafunc.config.getoption("--whole") else SWEEP
        metafunc.parametrize("estimator", cases, ids=[str(case).replace("\n", "") for case in cases])


@pytest.mark.filterwarnings("ignore")
def test_all_checks_pass(estimator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")  # or the check of arrays of other libraries is skipped
    results = check_estimator(estimator, on_fail=None)
    assert len(results) > 55
    wrong = [
        (result["check_name"], result["status"], str(result["exception"]))
        for result in results
        if result["status"] != "passed"
        and not (result["status"] == "skipped" and any(what in str(result["exception"]) for what in ABSENT))
    ]
    assert not wrong
    assert not any(result["expected_to_fail"] for result in results)
