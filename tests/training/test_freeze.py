"""freeze and rate_factors: what stays keeps its bits, and all else learns as if nothing were frozen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests import cases
from tests.cases import LAYER_CASES, LayerCase
from training_problems import blobs, classifier, same_bits, snapshot, train_by_formula

from chainrule import layers as L
from chainrule.base.errors import ArgumentError, DataError
from chainrule.engine import Plan
from chainrule.losses import CrossEntropy, SquaredError
from chainrule.losses.constraints import MaxNorm
from chainrule.losses.penalties import L1, L2, ElasticNet
from chainrule.networks.names import frozen_parameters, rate_factors
from chainrule.networks.network import Network
from chainrule.training.fit import fit
from chainrule.training.full_batch import fit_full_batch
from chainrule.training.optimizers import SGD, Adam, AdamW, RMSProp

LEARNING = [
    case for case in LAYER_CASES if any(s.learned for s in case.make().parameters(case.input_shape).values())
]
OPTIMIZERS = [
    SGD(0.1),
    SGD(0.05, momentum=0.9),
    SGD(0.05, momentum=0.9, nesterov=True, clip_norm=0.1),
    Adam(0.01),
    Adam(0.01, clip_norm=0.1),
    AdamW(0.02, weight_decay=0.3),
    RMSProp(0.01),
    RMSProp(0.01, momentum=0.5, clip_norm=0.05),
]


def sandwich(case: LayerCase, below: bool, dtype: str) -> tuple[Network, str]:
    """The case's layer between layers that learn, or at the bottom; the network and the layer's name."""
    layer = case.make()
    first: list[L.Layer] = [L.PReLU()] if below else []
    network = Network(
        [*first, layer, L.Flatten(), L.Dense(3)], input_shape=case.input_shape, seed=3, dtype=dtype
    )
    name = str(network.layers[len(first)].name)
    network.set_parameters({f"{name}.{key}": value for key, value in cases.parameters(case).items()})
    return network, name


def one_step(network: Network, X: Any, frozen: Any) -> dict[str, Any]:
    """The parameters after a step of plain descent."""
    factors = dict.fromkeys(frozen_parameters(network, frozen), 0.0)
    plan = Plan(network, SquaredError(), optimizer=SGD(0.01), batch_size=len(X), rate_factors=factors)
    y = np.random.default_rng(0).standard_normal((len(X), 3))
    result = plan.train_epoch(X.astype(network.dtype), y, np.arange(len(X)), np.ones(1) * 0.01)
    assert result.outcome == "done"
    return plan.parameters()


@pytest.mark.parametrize("below", [False, True], ids=["bottom", "between"])
@pytest.mark.parametrize("case", LEARNING, ids=lambda case: case.id)
def test_a_frozen_layer_stays_and_hands_the_same_delta_down(case: LayerCase, below: bool) -> None:
    if case.ids and below:
        return  # ids have no δ
    for dtype in ("float32", "float64"):
        network, name = sandwich(case, below, dtype)
        X = cases.inputs(case, max(case.samples, case.fewest))
        before = snapshot(network)
        free, frozen = one_step(network, X, []), one_step(network, X, [name])
        by_running = isinstance(network.layers[below], L.BatchNorm)
        for key, array in frozen.items():
            if key.startswith(f"{name}."):
                assert np.array_equal(array, before[key]), key
            elif not by_running:  # which is another function
                assert np.array_equal(array, free[key]), key
                assert not np.array_equal(array, before[key]) or not below, key


@pytest.mark.parametrize("case", LEARNING, ids=lambda case: case.id)
def test_a_single_frozen_parameter_stays_and_the_others_learn_as_before(case: LayerCase) -> None:
    network, name = sandwich(case, not case.ids, "float32")
    X = cases.inputs(case, max(case.samples, case.fewest))
    before, free = snapshot(network), one_step(network, X, [])
    specs = network.parameter_specs
    for own in [key for key in specs if key.startswith(f"{name}.") and specs[key].learned]:
        after = one_step(network, X, own)
        for key, array in after.items():
            assert np.array_equal(array, before[key] if key == own else free[key]), (own, key)


@pytest.mark.parametrize("penalty", [None, L2(0.05), L1(0.01), ElasticNet(l1=0.01, l2=0.02)], ids=repr)
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_frozen_bits_stay_under_every_rule(optimizer: Any, penalty: Any) -> None:
    X, y = blobs(40)
    for name in ("dense1", "dense2", "dense1.W", "dense2.b"):
        network = classifier()
        network.parameters["dense1.W"] = network.parameters["dense1.W"] * 3
        before = snapshot(network)
        fit(
            network, X, y, optimizer=optimizer, penalty=penalty, constraint=MaxNorm(0.5), epochs=3,
            batch_size=7, freeze=name,
        )  # fmt: skip
        for key, array in network.parameters.items():
            stays = key == name or key.startswith(f"{name}.")
            assert np.array_equal(array, before[key]) == stays, (name, key)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_factors_are_the_formulas_step_by_step(optimizer: Any) -> None:
    """Frozen gradients count in no norm; those of a small factor do, as they are."""
    X, y = blobs(23)
    X = X.astype(np.float64)
    orders = [np.arange(23)] * 3
    for factors in ({"dense1.W": 0.0, "dense1.b": 0.0}, {"dense1.W": 0.1, "dense2.b": 3.0, "dense2.W": 0.0}):
        network = classifier(dtype="float64")
        options: dict[str, Any] = {"optimizer": optimizer, "batch_size": 5}
        penalty, limit = L2(0.01), MaxNorm(0.7)
        expected = train_by_formula(
            network, X, y, orders=orders, penalty=penalty, constraint=limit, rate_factors=factors, **options
        )
        fit(
            network, X, y, epochs=3, shuffle=False, penalty=penalty, constraint=limit, rate_factors=factors,
            **options,
        )  # fmt: skip
        for name, array in network.parameters.items():
            np.testing.assert_allclose(array, expected[name], rtol=1e-9, atol=1e-11, err_msg=name)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_a_factor_of_one_is_none_and_of_nought_is_frozen(optimizer: Any) -> None:
    X, y = blobs(30)
    trained = []
    for options in ({}, {"rate_factors": {"*": 1}}, {"rate_factors": {"dense1": 0}}, {"freeze": "dense1"}):
        network = classifier()
        fit(network, X, y, optimizer=optimizer, epochs=2, penalty=L2(0.1), **options)  # type: ignore[arg-type]
        trained.append(snapshot(network))
    assert same_bits(trained[0], trained[1])
    assert same_bits(trained[2], trained[3])
    assert not same_bits(trained[0], trained[2])


def images() -> tuple[Any, Any]:
    rng = np.random.default_rng(2)
    return rng.standard_normal((30, 6, 6, 2)).astype(np.float32), np.arange(30) % 3


def normed(**options: Any) -> Network:
    layers: list[L.Layer] = [
        L.Conv2D(4, 3),
        L.BatchNorm(),
        L.ReLU(),
        L.Residual([L.Conv2D(4, 3, padding="same"), L.BatchNorm(), L.ReLU()]),
        L.Flatten(),
        L.Dense(3),
        L.Softmax(),
    ]
    network = Network(layers, input_shape=(6, 6, 2), seed=4, **options)
    rng = np.random.default_rng(7)
    for name in network.parameters:
        if name.endswith(("mean", "variance")):
            network.parameters[name] = rng.uniform(0.5, 2.0, network.parameters[name].shape)
    return network


def test_a_frozen_batchnorm_is_that_of_predictions() -> None:
    """With a trained layer below it, its gradient is that of the network with the statistics as constants."""
    X, y = images()
    network = normed(dtype="float64")
    frozen = ["batchnorm1", "residual1.batchnorm1"]
    factors = dict.fromkeys(frozen_parameters(network, frozen), 0.0)
    plan = Plan(network, CrossEntropy(), optimizer=SGD(), batch_size=30, rate_factors=factors)
    loss, gradients = plan.gradients(X.astype(np.float64), y)
    assert loss == pytest.approx(network.loss(X, y), rel=1e-12)
    rng = np.random.default_rng(0)
    for name in ("conv1.W", "residual1.conv1.W", "dense1.W", "conv1.b"):
        way = rng.standard_normal(network.parameters[name].shape)
        ends = []
        for step in (1e-5, -1e-5):
            other = network.copy()
            other.parameters[name] = other.parameters[name] + step * way
            ends.append(other.loss(X, y))
        assert np.sum(gradients[name] * way) == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-6, abs=1e-9)


def test_statistics_alone_may_be_frozen_while_gamma_learns() -> None:
    X, y = images()
    for names in (["batchnorm1.mean"], ["batchnorm1.variance"], ["batchnorm1.mean", "batchnorm1.variance"]):
        network = normed()
        before = snapshot(network)
        fit(network, X, y, epochs=2, freeze=names)
        for kept in ("batchnorm1.mean", "batchnorm1.variance"):
            assert np.array_equal(network.parameters[kept], before[kept])
        assert not np.array_equal(network.parameters["batchnorm1.gamma"], before["batchnorm1.gamma"])
        moved = network.parameters["residual1.batchnorm1.mean"]
        assert not np.array_equal(moved, before["residual1.batchnorm1.mean"])


def test_a_frozen_batchnorm_takes_a_single_sample() -> None:
    X, y = blobs(9)

    def made() -> Network:
        return Network([L.BatchNorm(), L.Dense(3), L.Softmax()], input_shape=4)

    with pytest.raises(DataError, match="BatchNorm"):
        fit(made(), X, y, batch_size=8, epochs=1)
    fit(made(), X, y, batch_size=8, epochs=1, freeze="batchnorm1")


def test_gamma_and_beta_alone_leave_the_batch_to_normalise() -> None:
    X, y = images()
    network = normed()
    before = snapshot(network)
    fit(network, X, y, epochs=1, freeze=["batchnorm1.gamma", "batchnorm1.beta"])
    assert not np.array_equal(network.parameters["batchnorm1.mean"], before["batchnorm1.mean"])
    assert not np.array_equal(network.parameters["conv1.W"], before["conv1.W"])
    assert np.array_equal(network.parameters["batchnorm1.gamma"], before["batchnorm1.gamma"])


@pytest.mark.parametrize("frozen", [["conv1"], ["conv1", "batchnorm1"], ["residual1"], ["*conv1*", "*norm*"]])
def test_any_number_of_threads_gives_the_same_bits(frozen: list[str]) -> None:
    X, y = images()
    results = []
    for threads in (1, 2, 3, 4):
        network = normed()
        fit(network, X, y, epochs=2, batch_size=8, freeze=frozen, threads=threads, optimizer=Adam(0.01))
        results.append(snapshot(network))
    assert all(same_bits(results[0], other) for other in results)


def test_clipping_of_samples_measures_what_is_trained() -> None:
    """Each sample's own gradient over the parameters that are not frozen, whole layers and parts of them."""
    X, y = blobs(12)
    X = X.astype(np.float64)
    limit = 0.05
    for frozen in (["dense1"], ["dense1.W"], ["dense2.b", "dense1.b"], ["dense2"]):
        network = classifier(dtype="float64")
        expected = snapshot(network)
        factors = dict.fromkeys(frozen, 0.0)
        gone = frozen_parameters(network, frozen)
        totals = {name: np.zeros_like(array) for name, array in expected.items() if name not in gone}
        for i in range(len(X)):
            own = network.backpropagate(X[i : i + 1], y[i : i + 1]).gradients
            norm = np.sqrt(sum(float((own[name] ** 2).sum()) for name in totals))
            for name in totals:
                totals[name] += own[name] * min(1.0, limit / norm) / len(X)
        fit(
            network, X, y, batch_size=12, epochs=1, shuffle=False, rate_factors=factors,
            optimizer=SGD(0.5, clip_sample_norm=limit),
        )  # fmt: skip
        for name, array in network.parameters.items():
            change = 0.5 * totals[name] if name in totals else 0.0
            np.testing.assert_allclose(array, expected[name] - change, rtol=1e-10, atol=1e-12, err_msg=name)


def test_resume_keeps_what_was_frozen() -> None:
    X, y = blobs(30)
    options: dict[str, Any] = {"optimizer": Adam(0.01), "batch_size": 8}
    whole, parts = classifier(), classifier()
    fit(whole, X, y, epochs=4, freeze=["dense1"], rate_factors={"dense2.b": 0.1}, **options)
    first = fit(parts, X, y, epochs=2, freeze=["dense1"], rate_factors={"dense2.b": 0.1}, **options)
    second = fit(parts, X, y, epochs=2, resume=first, batch_size=8)
    assert same_bits(snapshot(whole), snapshot(parts))
    assert second.rate_factors == first.rate_factors == {"dense2.b": 0.1, "dense1.W": 0.0, "dense1.b": 0.0}
    before = snapshot(parts)
    third = fit(parts, X, y, epochs=1, resume=second, freeze=[], rate_factors={}, batch_size=8)
    assert not third.rate_factors
    assert not np.array_equal(parts.parameters["dense1.W"], before["dense1.W"])


def test_a_history_says_what_was_frozen() -> None:
    X, y = blobs(30)
    assert "2 of the parameters frozen" in repr(fit(classifier(), X, y, epochs=1, freeze="dense1"))
    assert "frozen" not in repr(fit(classifier(), X, y, epochs=1))


@pytest.mark.parametrize("method", ["L-BFGS-B", "CG"])
def test_fit_full_batch_leaves_them_too(method: str) -> None:
    X, y = blobs(40)
    for frozen in (["dense1"], ["dense2.W"], "dense?.b"):
        network = classifier(dtype="float64")
        before, loss = snapshot(network), network.loss(X, y)
        fit_full_batch(network, X, y, method=method, iterations=5, freeze=frozen, penalty=L2(1e-3))
        gone = frozen_parameters(network, frozen)
        for name, array in network.parameters.items():
            assert np.array_equal(array, before[name]) == (name in gone), name
        assert network.loss(X, y) < loss


def test_fit_full_batch_takes_a_frozen_batchnorm() -> None:
    X, y = images()
    network = normed(dtype="float64")
    with pytest.raises(ArgumentError, match="train this network by fit"):
        fit_full_batch(network, X, y)
    loss, before = network.loss(X, y), snapshot(network)
    fit_full_batch(network, X, y, iterations=3, freeze=["*batchnorm1"])
    assert network.loss(X, y) < loss
    assert np.array_equal(network.parameters["batchnorm1.mean"], before["batchnorm1.mean"])


@pytest.mark.parametrize(
    ("names", "parameters"),
    [
        ("conv1", ["conv1.W", "conv1.b"]),
        ("residual1.conv1", ["residual1.conv1.W", "residual1.conv1.b"]),
        ("residual1.conv1.b", ["residual1.conv1.b"]),
        ("conv*", ["conv1.W", "conv1.b"]),
        ("*conv?.W", ["conv1.W", "residual1.conv1.W"]),
        (["dense1.b", "conv1.b"], ["conv1.b", "dense1.b"]),
        ([], []),
    ],
)
def test_names_and_patterns(names: Any, parameters: list[str]) -> None:
    assert sorted(frozen_parameters(normed(), names)) == parameters


def test_a_composite_stands_for_all_in_it() -> None:
    inside = frozen_parameters(normed(), "residual1")
    assert inside == {name for name in normed().parameters if name.startswith("residual1.")}


def test_the_last_factor_that_fits_counts() -> None:
    given = {"*": 0.5, "conv1": 2, "conv1.b": 3}
    factors = rate_factors(normed(), given, frozenset())
    assert (factors["conv1.W"], factors["conv1.b"], factors["dense1.W"]) == (2.0, 3.0, 0.5)
    assert "batchnorm1.mean" not in factors  # has no rate


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"freeze": "conv2"}, "names no layer or parameter 'conv2': did you mean 'conv1'"),
        ({"freeze": "dense1.w"}, "did you mean 'dense1.W'"),
        ({"freeze": ["x*"]}, "there are 'conv1', 'batchnorm1', 'residual1.conv1'"),
        ({"freeze": "relu1"}, "'relu1', which has no parameters: there are 'conv1'"),
        ({"freeze": "*"}, "no parameter that is learned"),
        ({"rate_factors": {"*": 0}}, "no parameter that is learned"),
        ({"freeze": "conv1", "rate_factors": {"batchnorm*": 0, "dense1": 0, "residual1": 0}}, "no parameter"),
        ({"rate_factors": {"dense2": 0.1}}, "rate_factors names no layer or parameter 'dense2'"),
        ({"rate_factors": {"dense1": -1}}, "at least 0, received -1"),
        ({"rate_factors": {"dense1": float("nan")}}, "at least 0, received nan"),
        ({"rate_factors": {"dense1": True}}, "at least 0"),
    ],
)
def test_what_cannot_be_meant_is_refused(options: dict[str, Any], said: str) -> None:
    X, y = images()
    network = normed()
    before = snapshot(network)
    with pytest.raises(ArgumentError) as refused:
        fit(network, X, y, **options)
    assert said in str(refused.value)
    assert same_bits(before, snapshot(network))


@pytest.mark.parametrize("options", [{"freeze": 3}, {"freeze": [0]}, {"rate_factors": [0.1]}])
def test_other_types_are_refused(options: dict[str, Any]) -> None:
    X, y = images()
    with pytest.raises(TypeError, match=r"freeze|rate_factors"):
        fit(normed(), X, y, **options)
