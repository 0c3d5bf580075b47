"""scikit-learn's MLPs and networks: the same predictions, either way."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier, MLPRegressor

import chainrule as cr
from chainrule import estimators
from chainrule.base.errors import ArgumentError, DataError, MissingExtraError
from tests.pairwise import some

R = np.random.default_rng(2)
X = R.normal(size=(30, 4))
TARGETS: dict[str, Any] = {
    "two": np.where(X[:, 0] > 0, "yes", "no"),
    "three": R.integers(5, 8, 30),
    "labels": (X[:, :3] > 0).astype(int),
    "number": X[:, 0] ** 2,
    "numbers": X[:, :2] ** 2,
}


def fitted(seed: int) -> tuple[Any, Any]:
    """(an estimator of drawn options, its target)."""
    r = np.random.default_rng(seed)
    name = str(r.choice([*TARGETS]))
    sizes = tuple(int(n) for n in r.integers(1, 6, r.integers(1, 4)))
    options = {"activation": str(r.choice(["identity", "logistic", "tanh", "relu"])), "max_iter": 3}
    home: Any = estimators if r.integers(3) == 0 else sys.modules["sklearn.neural_network"]
    cls = home.MLPRegressor if name.startswith("number") else home.MLPClassifier
    kind = np.float32 if r.integers(2) else np.float64
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = cls(hidden_layer_sizes=sizes, random_state=seed, **options)
        return made.fit(X.astype(kind), TARGETS[name]), TARGETS[name]


@pytest.mark.parametrize("seed", some(range(60), 12))
def test_there_and_back(seed: int) -> None:
    estimator, y = fitted(seed)
    network = cr.from_sklearn(estimator)
    assert network.dtype == estimator.coefs_[0].dtype
    tolerance = 1e-12 if network.dtype == np.float64 else 1e-5
    rows = X.astype(network.dtype)
    predicts = hasattr(estimator, "predict_proba")
    expected = estimator.predict_proba(rows) if predicts else estimator.predict(rows)
    a = network.predict(rows)
    back = network.to_sklearn()
    assert type(back) is (MLPClassifier if predicts else MLPRegressor)
    if predicts and a.shape[1] == 1:
        a = np.column_stack([1 - a, a])
    np.testing.assert_allclose(a.reshape(expected.shape), expected, atol=tolerance)
    np.testing.assert_allclose(
        (back.predict_proba if predicts else back.predict)(rows), expected, atol=tolerance
    )
    if predicts:
        assert np.array_equal(back.predict(rows), estimator.predict(rows))
        if np.ndim(y) == 1:
            assert np.array_equal(network.classify(rows), estimator.predict(rows))
    if np.ndim(y) == 1 and predicts:
        cr.fit(network, rows, y, epochs=1, progress=False)  # and is trained on


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        ([cr.Dense(3), cr.GELU(), cr.Dense(1)], r"GELU\(\): an MLP of scikit-learn is Dense layers"),
        ([cr.Dense(3), cr.ReLU(), cr.Dense(3), cr.Tanh(), cr.Dense(1)], "one activation, the same"),
        ([cr.Dense(3), cr.Tanh()], "ends in a Softmax"),
        ([cr.Dense(3), cr.BatchNorm(), cr.Dense(2)], "BatchNorm"),
    ],
)
def test_what_cannot_go_is_named(layers: list[cr.Layer], said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        cr.Network(layers, input_shape=4).to_sklearn()


def test_what_is_no_fitted_mlp() -> None:
    with pytest.raises(ArgumentError, match="fit it first"):
        cr.from_sklearn(MLPClassifier())
    with pytest.raises(ArgumentError, match="received"):
        cr.from_sklearn(object())
    network = cr.Network([cr.Dense(2), cr.Softmax()], input_shape=4, classes=["b", "a"])
    with pytest.raises(DataError, match=r"\['a', 'b'\]"):
        network.to_sklearn()


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.neural_network", None)
    with pytest.raises(MissingExtraError, match=r"chainrule\[estimators\]"):
        cr.Network([cr.Dense(1)], input_shape=2).to_sklearn()
