"""check_gradients on whole networks: right ones pass, wrong terms are named, kinks are forgiven."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

import chainrule as cr
from chainrule.base.errors import DataError, PairError
from chainrule.checking import GradientError, check_gradients
from chainrule.checking.evaluators import NativeEvaluator
from chainrule.layers import (
    GELU,
    AveragePool2D,
    Conv2D,
    Dense,
    Flatten,
    Layer,
    LeakyReLU,
    MaxPool2D,
    ReLU,
    Sigmoid,
    Softmax,
    Softplus,
    Tanh,
)
from chainrule.losses import BinaryCrossEntropy, CrossEntropy, Loss, SquaredError
from chainrule.losses.penalties import L2, Penalty
from chainrule.networks.network import Network
from tests.test_reference import ng

ENGINES = ["reference", "native"]
rng = np.random.default_rng(0)
VECTORS, IMAGES = rng.standard_normal((6, 4)), rng.standard_normal((5, 7, 6, 2))


@dataclass(frozen=True)
class Case:
    id: str
    layers: list[Layer]
    X: np.ndarray
    y: np.ndarray
    loss: Loss | None = None
    penalty: Penalty | None = None


CASES = [
    Case("dense-softmax", [Dense(5), Tanh(), Dense(3), Softmax()], VECTORS, np.arange(6) % 3),
    Case("dense-sigmoid", [Dense(5), Softplus(), Dense(1), Sigmoid()], VECTORS, np.arange(6) % 2),
    Case("multi-label", [Dense(3), Sigmoid()], VECTORS, rng.random((6, 3)), BinaryCrossEntropy()),
    Case("regression", [Dense(5), GELU(), Dense(2)], VECTORS, rng.standard_normal((6, 2))),
    Case("mean-outputs", [Dense(2), Tanh()], VECTORS, rng.random((6, 2)), SquaredError(mean_outputs=True)),
    Case("softmax-squared", [Dense(3), Softmax()], VECTORS, np.arange(6) % 3, SquaredError()),
    Case("penalty", [Dense(5), LeakyReLU(0.1), Dense(2)], VECTORS, VECTORS[:, :2], None, L2(0.3)),
    Case(
        "penalty-per-sample",
        [Dense(5, bias=False), ReLU(), Dense(2)],
        VECTORS,
        VECTORS[:, :2],
        None,
        L2(3.0, per_sample=True),
    ),
    Case(
        "conv-max",
        [Conv2D(3, 3), ReLU(), MaxPool2D(2, stride=1), Flatten(), Dense(3), Softmax()],
        IMAGES,
        np.arange(5) % 3,
    ),
    Case(
        "conv-average",
        [Conv2D(3, (2, 3), stride=2, padding="same"), Sigmoid(), AveragePool2D(2), Flatten(), Dense(2)],
        IMAGES,
        rng.standard_normal((5, 2)),
    ),
    Case(
        "pixels",
        [Conv2D(2, 3), Tanh(), Flatten(), Dense(3), Softmax()],
        (IMAGES * 50 + 128).astype("u1"),
        np.arange(5) % 3,
    ),
    Case("no-parameters", [Tanh(), Softmax()], VECTORS, np.arange(6) % 4),
]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_right_networks_pass(case: Case, engine: str) -> None:
    net = Network(case.layers, input_shape=case.X.shape[1:], seed=1)
    before = {name: array.copy() for name, array in net.parameters.items()}
    report = check_gradients(net, case.X, case.y, case.loss, case.penalty, engine=engine)
    assert report, str(report)
    assert report.relative_difference < 1e-8
    assert [record.name for record in report.parameters][: len(before) + 1] == [*before, "input"]
    for record in report.parameters:
        assert record.kind == "ok", str(report)
    assert all(np.array_equal(net.parameters[name], before[name]) for name in before)
    assert net.dtype == np.float32


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("lam", "loss"), [(0.0, 2.100950569902), (3.0, 2.146359815024)])
def test_ngs_rule_on_ngs_check_network(engine: str, lam: float, loss: float) -> None:
    net, X, y = ng()
    penalty = L2(lam, per_sample=True)
    report = check_gradients(net, X, y, BinaryCrossEntropy(), penalty, entries="all", engine=engine)
    assert report.loss == pytest.approx(loss, abs=5e-13)
    assert report.relative_difference < 1e-10
    assert sum(record.entries for record in report.parameters) == 20 + 18 + 15


@pytest.mark.parametrize("engine", ENGINES)
def test_ufldls_rule_on_its_conv_net(engine: str) -> None:
    """2 filters, pooling 5, 10 images: norm(n - g) / norm(n + g) < 1e-9."""
    layers = [Conv2D(2, 9), Sigmoid(), AveragePool2D(5), Flatten(), Dense(10), Softmax()]
    net = Network(layers, input_shape=(28, 28, 1), seed=0)
    X, y = np.random.default_rng(1).random((10, 28, 28, 1)), np.arange(10)
    report = check_gradients(net, X, y, engine=engine)
    assert report, str(report)
    assert report.relative_difference < 1e-9


def test_a_loss_may_be_named() -> None:
    net = Network([Dense(3), Softmax()], input_shape=4)
    assert check_gradients(net, VECTORS, np.arange(6) % 3, loss="cross_entropy")
    with pytest.raises(TypeError, match=r"object such as CrossEntropy\(\)"):
        check_gradients(net, VECTORS, np.arange(6) % 3, loss=3)
    with pytest.raises(ValueError, match="'ce' is unknown: write 'cross_entropy'"):
        check_gradients(net, VECTORS, np.arange(6) % 3, loss="ce")


def test_weights_and_training_size_count() -> None:
    net = Network([Dense(3), Softmax()], input_shape=4, seed=1)
    weights = np.array([1, 2, 0, 3, 1, 1])
    options = {"sample_weight": weights, "training_size": 50, "penalty": L2(2.0, per_sample=True)}
    report = check_gradients(net, VECTORS, np.arange(6) % 3, **options)
    assert report
    assert report.loss == pytest.approx(net.loss(VECTORS, np.arange(6) % 3, **options), rel=1e-6)


# -- planted mistakes
class DroppedTranspose(Dense):
    def delta(self, d, W):
        return W @ d


class ForgottenDerivative(Tanh):
    def delta(self, d):
        return d


class WrongSign(Dense):
    def gradients(self, d, x):
        return {"W": -d @ x.T, "b": d.sum(axis=-1)}


class DividedAgain(Dense):
    def gradients(self, d, x):
        return {"W": d @ x.T / d.shape[-1], "b": d.sum(axis=-1)}


class WrongBias(Conv2D):
    def gradients(self, d, x):
        return {**super().gradients(d, x), "b": d[0, 0].sum(axis=-1)}


@pytest.mark.turns(3)
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("layers", "wrong", "formula"),
    [
        (
            [Dense(4), Tanh(), DroppedTranspose(4, name="mine"), Tanh(), Dense(3), Softmax()],
            {"dense1.W", "dense1.b", "input"},
            "mine: the formula DroppedTranspose.delta is wrong",
        ),
        (
            [Dense(4), Tanh(), Dense(4), ForgottenDerivative(), Dense(3), Softmax()],
            {"dense1.W", "dense1.b", "dense2.W", "dense2.b", "input"},
            "forgottenderivative1: the formula ForgottenDerivative.delta is wrong",
        ),
        (
            [Dense(4), Tanh(), WrongSign(4, name="mine"), ReLU(), Dense(3), Softmax()],
            {"mine.W"},
            "mine: the formula WrongSign.gradients()['W'] is wrong",
        ),
        (
            [DividedAgain(4, name="mine"), Tanh(), Dense(3), Softmax()],
            {"mine.W"},
            "mine: the formula DividedAgain.gradients()['W'] is wrong",
        ),
    ],
)
def test_wrong_terms_of_layers_are_named(layers, wrong, formula, engine) -> None:
    net = Network(layers, input_shape=4, seed=1)
    report = check_gradients(net, VECTORS, np.arange(6) % 3, engine=engine)
    assert not report
    assert {record.name for record in report.wrong} - {"everything"} == wrong, str(report)
    assert report.diagnosis == (formula,)
    assert formula in str(report)
    with pytest.raises(GradientError, match="WRONG"):
        report.raise_if_wrong()


def test_a_wrong_conv_bias_is_named() -> None:
    net = Network([WrongBias(3, 3), ReLU(), MaxPool2D(2), Flatten(), Dense(2)], input_shape=(7, 6, 2), seed=1)
    report = check_gradients(net, IMAGES, IMAGES[:, 0, 0])
    assert {record.name for record in report.wrong} - {"everything"} == {"wrongbias1.b"}, str(report)


@dataclass(frozen=True)
class FactorTwo(Loss):
    """½ forgotten in the value: the gradient is half of what it should be."""

    def value(self, a, y):
        return ((a - y) ** 2).sum(axis=0)

    def gradient(self, a, y):
        return a - y


@dataclass(frozen=True)
class HalfPenalty(L2):
    def gradient(self, W, training_size):
        return super().gradient(W, training_size) / 2


@pytest.mark.parametrize("engine", ENGINES)
def test_a_wrong_loss_is_named(engine) -> None:
    net = Network([Dense(3), Tanh(), Dense(2)], input_shape=4, seed=1)
    report = check_gradients(net, VECTORS, VECTORS[:, :2], FactorTwo(), engine=engine)
    assert len(report.wrong) == len(report.parameters)
    assert report.diagnosis == ("the formula FactorTwo.gradient is wrong",)


def test_a_wrong_penalty_is_named() -> None:
    net = Network([Dense(3), Tanh(), Dense(2)], input_shape=4, seed=1)
    report = check_gradients(net, VECTORS, VECTORS[:, :2], None, HalfPenalty(0.5))
    assert {record.name for record in report.wrong} - {"everything"} == {"dense1.W", "dense2.W"}
    assert report.computed_by == "reference"
    assert report.diagnosis[0].startswith("by the formulas: the engine has no kernel for the penalty")
    assert report.diagnosis[1:] == ("the formula HalfPenalty.gradient is wrong",)
    with pytest.raises(ValueError, match="engine='native' is not possible"):
        check_gradients(net, VECTORS, VECTORS[:, :2], None, HalfPenalty(0.5), engine="native")


@pytest.mark.turns(2)
@pytest.mark.parametrize("name", ["conv1.W", "dense1.b", "input"])
@pytest.mark.parametrize("error", [1e-5, -2.0, 0.2])
def test_wrong_kernels_are_told_from_wrong_formulas(name, error, monkeypatch) -> None:
    right = NativeEvaluator.loss_and_gradients

    def wrong(self, values):
        loss, gradients = right(self, values)
        return loss, {**gradients, name: gradients[name] * (1 + error)}

    monkeypatch.setattr(NativeEvaluator, "loss_and_gradients", wrong)
    net = Network([Conv2D(3, 3), ReLU(), Flatten(), Dense(2)], input_shape=(7, 6, 2), seed=1)
    report = check_gradients(net, IMAGES, IMAGES[:, 0, 0])
    assert {record.name for record in report.wrong} - {"everything"} == {name}, str(report)
    (line,) = report.diagnosis
    assert (
        line == f"every formula is right by itself; the compiled kernels differ from the formulas in {name}"
    )


def test_kernels_that_compute_another_loss_are_wrong(monkeypatch) -> None:
    """Loss and gradients doubled alike agree with each other, not with the formulas."""
    loss, both = NativeEvaluator.loss, NativeEvaluator.loss_and_gradients

    def doubled(self, values):
        value, gradients = both(self, values)
        return 2 * value, {name: 2 * gradient for name, gradient in gradients.items()}

    monkeypatch.setattr(NativeEvaluator, "loss", lambda self, values: 2 * loss(self, values))
    monkeypatch.setattr(NativeEvaluator, "loss_and_gradients", doubled)
    net = Network([Dense(3), Tanh(), Dense(2)], input_shape=4, seed=1)
    report = check_gradients(net, VECTORS, VECTORS[:, :2])
    assert [record.name for record in report.wrong] == ["loss"]
    assert report["loss"].worst.numeric == pytest.approx(2 * report["loss"].worst.analytic)
    assert "the compiled kernels compute another loss than the formulas" in str(report)


def test_one_wrong_entry_in_a_big_parameter_shows_along_the_direction(monkeypatch) -> None:
    right = NativeEvaluator.loss_and_gradients

    def wrong(self, values):
        loss, gradients = right(self, values)
        changed = gradients["dense1.W"].copy()
        changed[17, 3] += 0.1
        return loss, {**gradients, "dense1.W": changed}

    net = Network([Dense(100), Tanh(), Dense(3), Softmax()], input_shape=40, seed=1)
    X = np.random.default_rng(2).standard_normal((6, 40)) * 0.1
    monkeypatch.setattr(NativeEvaluator, "loss_and_gradients", wrong)
    report = check_gradients(net, X, np.arange(6) % 3, entries=1, seed=3)
    assert report["dense1.W"].kind == "WRONG"
    assert report["everything"].kind == "WRONG"
    assert report["dense1.b"].kind == "ok"


# -- kinks
@pytest.mark.turns(3)
@pytest.mark.parametrize(
    ("engine", "seed"), [*(("native", seed) for seed in range(5)), ("reference", 0), ("reference", 3)]
)
def test_data_full_of_kinks_raise_no_alarm(engine: str, seed: int) -> None:
    """Few pixel values, empty borders, biases at 0: ReLU at 0 and ties of the maximum everywhere."""
    numbers = np.random.default_rng(seed)
    X = numbers.integers(0, 3, (5, 8, 8, 1)) / 2
    X[:, :4] = 0
    layers = [Conv2D(3, 3), ReLU(), MaxPool2D(2), Conv2D(4, 2), LeakyReLU(), Flatten(), Dense(3), Softmax()]
    net = Network(layers, input_shape=(8, 8, 1), seed=seed)
    for name, array in net.parameters.items():
        net.parameters[name] = np.round(array * 4) / 4
    report = check_gradients(net, X, numbers.integers(0, 3, 5), engine=engine, seed=seed)
    assert report, str(report)
    assert all(record.kind == "ok" for record in report.parameters), str(report)
    assert any("kink" in record.verdict for record in report.parameters)


def test_mistakes_among_kinks_are_found() -> None:
    class WrongReLU(ReLU):
        def df(self, z):
            return (z > 0) * 1.0 + 0.01

    X = np.random.default_rng(0).integers(0, 3, (5, 8, 8, 1)) / 2
    X[:, :4] = 0
    net = Network(
        [Conv2D(3, 3), WrongReLU(), MaxPool2D(2), Flatten(), Dense(3), Softmax()], input_shape=(8, 8, 1)
    )
    report = check_gradients(net, X, [0, 1, 2, 0, 1])
    assert {"conv1.W", "conv1.b"} <= {record.name for record in report.wrong}
    assert report.diagnosis == ("wrongrelu1: the formula WrongReLU.delta is wrong",)


def test_dead_units_are_not_called_ok() -> None:
    net = Network([Dense(3), ReLU(), Dense(2)], input_shape=4, seed=1)
    net.parameters["dense1.b"] = np.full(3, -100.0)
    report = check_gradients(net, VECTORS, VECTORS[:, :2])
    assert report  # the output bias is right
    assert report["dense2.b"].kind == "ok"
    for name in ("dense1.W", "dense1.b", "dense2.W", "input"):
        assert report[name].verdict.startswith("not checkable (the loss does not depend on it here")


def test_saturated_and_badly_scaled_networks_raise_no_alarm() -> None:
    for scale in (1e-4, 1.0, 1e3):
        net = Network([Dense(5), Sigmoid(), Dense(3), Softmax()], input_shape=4, seed=1, dtype="float64")
        for name, array in net.parameters.items():
            net.parameters[name] = array * 30
        report = check_gradients(net, VECTORS * scale, np.arange(6) % 3)
        assert not report.wrong, str(report)


# -- the report and the door
def test_the_report_is_a_table_and_an_object() -> None:
    net = Network([Dense(50), ReLU(), Dense(3), Softmax()], input_shape=4, seed=1)
    report = cr.check_gradients(net, VECTORS, np.arange(6) % 3, entries=7, direction=True)
    lines = str(report).splitlines()
    assert lines[0] == "gradient check of 403 parameters on 6 samples: ok"
    assert lines[1].split() == [
        "shape",
        "entries",
        "max",
        "error",
        "direction",
        "worst",
        "entry",
        "formula",
        "numeric",
        "verdict",
    ]
    assert report.table() in str(report)
    assert repr(report) == str(report)
    record = report["dense1.W"]
    assert record.entries == 7
    assert record.shape == (50, 4)
    assert record.max_error < 1e-6
    assert record.direction_error < 1e-6
    assert record.worst.analytic == pytest.approx(record.worst.numeric)
    assert report["everything"].shape == (403 + 24,)
    assert "by the compiled kernels" in str(report)
    assert "<table>" in report._repr_html_()
    with pytest.raises(KeyError, match="'other' was not checked"):
        report["other"]


def test_the_same_seed_gives_the_same_report() -> None:
    net = Network([Dense(50), Tanh(), Dense(3), Softmax()], input_shape=4, seed=1)
    first, second = (check_gradients(net, VECTORS, np.arange(6) % 3, seed=4) for _ in range(2))
    assert str(first) == str(second)


def test_wrong_arguments() -> None:
    net = Network([Dense(3), Softmax()], input_shape=4)
    y = np.arange(6) % 3
    with pytest.raises(TypeError, match="takes the network first"):
        check_gradients(VECTORS, y, net)
    with pytest.raises(ValueError, match="engine must be 'native', 'reference' or None"):
        check_gradients(net, VECTORS, y, engine="gpu")
    with pytest.raises(PairError):
        check_gradients(net, VECTORS, y, BinaryCrossEntropy())
    with pytest.raises(DataError, match="NaN"):
        check_gradients(net, VECTORS * np.nan, y)
    with pytest.raises(ValueError, match="entries must be"):
        check_gradients(net, VECTORS, y, CrossEntropy(), entries=-1)


@pytest.mark.parametrize(
    "loss",
    [cr.MeanAbsoluteError(), cr.Huber(0.5), cr.Hinge(), cr.Hinge(squared=True), cr.Poisson(log_input=True)],
    ids=repr,
)
@pytest.mark.parametrize("engine", ["native", "reference"])
def test_losses_with_kinks(loss: cr.Loss, engine: str) -> None:
    """A target within the step's reach of its kink is recognised as one, and not taken for an error."""
    r = np.random.default_rng(3)
    network = cr.Network([cr.Dense(4), cr.Tanh(), cr.Dense(2)], input_shape=3, seed=2, dtype="float64")
    X = r.standard_normal((6, 3))
    y = (
        network.predict(X) + 1e-7
        if isinstance(loss, cr.MeanAbsoluteError)
        else r.integers(0, 2, (6, 2)).astype(float)
    )
    report = cr.check_gradients(network, X, y, loss=loss, engine=engine)
    assert report, str(report)


def test_a_kinked_loss_with_a_wrong_gradient_is_found() -> None:
    class Wrong(cr.MeanAbsoluteError):
        def gradient(self, a, y):
            return 2 * super().gradient(a, y)

    network = cr.Network([cr.Dense(2)], input_shape=3, dtype="float64")
    r = np.random.default_rng(0)
    report = cr.check_gradients(network, r.standard_normal((5, 3)), r.standard_normal((5, 2)), loss=Wrong())
    assert not report
    assert "Wrong.gradient is wrong" in str(report)
