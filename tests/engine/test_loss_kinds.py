"""Every loss of the library by its kernel: random networks at every ISA level and batch, kinks and limits
exactly, accuracies, smoothed labels.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import losses as losses_module
from chainrule.data.door import encode_targets
from chainrule.engine import Plan
from chainrule.engine.lowering.loss_kinds import LOSSES
from chainrule.engine.programs import loss_programs
from tests import by_formula
from tests.engine.harness import (
    MACHINES,
    Array,
    Problem,
    assert_like_reference,
    away_from_kinks,
    batch_sizes,
    width,
)

machines = pytest.mark.parametrize(("level", "dtype"), MACHINES)
SAMPLES = 2 * 16 + 3
OUTPUTS = 5

# loss, last layers, targets from (generator, shape)
CASES: dict[str, tuple[cr.Loss, list[Any], Any]] = {
    "mae": (cr.MeanAbsoluteError(), [], lambda r, shape: r.standard_normal(shape)),
    "mae-mean": (
        cr.MeanAbsoluteError(mean_outputs=True),
        [cr.Tanh],
        lambda r, shape: r.standard_normal(shape),
    ),
    "huber": (cr.Huber(), [], lambda r, shape: 2 * r.standard_normal(shape)),
    "huber-mean": (cr.Huber(0.25, mean_outputs=True), [], lambda r, shape: r.standard_normal(shape)),
    "poisson": (cr.Poisson(), [cr.Softplus], lambda r, shape: r.poisson(1.0, shape)),
    "poisson-log": (cr.Poisson(log_input=True), [], lambda r, shape: r.poisson(1.0, shape)),
    "hinge": (cr.Hinge(), [], lambda r, shape: r.choice([-1, 1], shape)),
    "hinge-labels": (cr.Hinge(), [], lambda r, shape: r.integers(0, shape[-1], shape[:-1])),
    "squared-hinge": (cr.Hinge(squared=True), [cr.LeakyReLU], lambda r, shape: r.choice([-1, 1], shape)),
    "categorical-hinge": (cr.CategoricalHinge(), [], lambda r, shape: r.integers(0, shape[-1], shape[:-1])),
    "squared-categorical-hinge": (
        cr.CategoricalHinge(squared=True),
        [],
        lambda r, shape: np.eye(shape[-1])[r.integers(0, shape[-1], shape[:-1])],
    ),
    "smoothed": (cr.CrossEntropy(0.1), [cr.Softmax], lambda r, shape: r.integers(0, shape[-1], shape[:-1])),
    "smoothed-soft": (
        cr.CrossEntropy(0.3),
        [cr.Softmax],
        lambda r, shape: r.dirichlet([1] * shape[-1], shape[:-1]),
    ),
    "class-weights": (
        cr.CrossEntropy(0.1, class_weight=[1, 0.5, 2, 3, 0.1]),
        [cr.Softmax],
        lambda r, shape: r.dirichlet([1] * shape[-1], shape[:-1]),
    ),
    "ignored": (
        cr.CrossEntropy(ignore_index=-100, mean_steps=True),
        [cr.Softmax],
        lambda r, shape: np.where(r.random(shape[:-1]) < 0.3, -100, r.integers(0, shape[-1], shape[:-1])),
    ),
    "positive": (
        cr.BinaryCrossEntropy(0.1, pos_weight=[2, 1, 0.5, 4, 9], output_weight=[1, 2, 3, 0, 0.5]),
        [cr.Sigmoid],
        lambda r, shape: r.random(shape),
    ),
    "positive-mean": (
        cr.BinaryCrossEntropy(pos_weight=5.0, mean_outputs=True),
        [cr.Sigmoid],
        lambda r, shape: r.integers(0, 2, shape),
    ),
    "nll": (
        cr.NegativeLogLikelihood(0.1, class_weight=[1, 0.5, 2, 3, 0.1], ignore_index=-1),
        [cr.LogSoftmax],
        lambda r, shape: r.integers(-1, shape[-1], shape[:-1]),
    ),
    "kl": (cr.KLDivergence(), [cr.LogSoftmax], lambda r, shape: r.dirichlet([1] * shape[-1], shape[:-1])),
    "multi-margin": (
        cr.MultiMargin(margin=0.7, mean_outputs=True),
        [],
        lambda r, shape: r.integers(0, shape[-1], shape[:-1]),
    ),
    "soft-margin": (cr.SoftMargin(), [], lambda r, shape: r.choice([-1, 1], shape)),
    "cosine": (cr.CosineDistance(), [], lambda r, shape: r.standard_normal(shape)),
    "smoothed-binary": (cr.BinaryCrossEntropy(0.1), [cr.Sigmoid], lambda r, shape: r.integers(0, 2, shape)),
}
cases = pytest.mark.parametrize("case", CASES)


@cache
def problem(case: str, image: bool) -> Problem:
    loss, last, targets = CASES[case]
    r = np.random.default_rng(len(case))
    shape = (3, 4, 2) if image else (6,)
    body: list[cr.Layer] = [cr.Conv2D(OUTPUTS, 2)] if image else [cr.Dense(7), cr.Tanh(), cr.Dense(OUTPUTS)]
    network = cr.Network([*body, *(cls() for cls in last)], input_shape=shape, seed=3)
    y, _ = encode_targets(targets(r, (SAMPLES, *network.output_shape)), network, loss, SAMPLES)
    weights = r.random(SAMPLES) + 0.1
    for _ in range(100):
        X = r.standard_normal((SAMPLES, *shape)).astype(np.float32)
        if away_from_kinks(network, X):
            return Problem(network, X, y, loss, cr.L2(0.01), weights / weights.mean())
    raise AssertionError(f"no batch of {case} is away from its kinks")


@cache
def expected(case: str, image: bool, samples: int) -> cr.Step:
    return problem(case, image).first(samples).step()


@cases
@machines
@pytest.mark.parametrize("image", [False, True], ids=["vector", "image"])
def test_the_kernels_compute_the_formulas(case: str, level: str, dtype: str, image: bool) -> None:
    for samples in batch_sizes(width(level, dtype)):
        part = problem(case, image).first(samples)
        assert_like_reference(part, level, dtype, samples, expected(case, image, samples))


def test_every_loss_has_a_kernel_and_a_case() -> None:
    public = {getattr(losses_module, name) for name in losses_module.__all__}
    sums = (cr.Loss, cr.Losses)  # of several outputs a sum of the others: tests/graphs/test_ends.py
    own = {cls for cls in public if isinstance(cls, type) and cls not in sums}
    own -= {cr.CTC}  # which Python evaluates: tests/test_ctc.py
    programs = own - set(LOSSES) - {cr.GaussianNLL}
    assert set(LOSSES) <= own
    assert all(loss_programs(cls(), (5,)) and loss_programs(cls(), (2, 3, 4)) for cls in programs)
    assert loss_programs(cr.GaussianNLL(), (6,))
    assert loss_programs(cr.GaussianNLL(), (2, 3, 2))
    assert own - {type(loss) for loss, _, _ in CASES.values()} == {cr.SquaredError, cr.GaussianNLL}


def at(values: Array, dtype: str) -> cr.Network:
    """A network whose output is its input."""
    width = values.shape[1]
    made = {"z.W": np.eye(width), "z.b": np.zeros(width)}
    return cr.Network.from_parameters([cr.Dense(width, name="z")], made, input_shape=width, dtype=dtype)


@machines
@pytest.mark.parametrize(
    ("loss", "a", "y"),
    [
        (cr.MeanAbsoluteError(), [[1.0, -2.0, 0.0]], [[1.0, -2.0, 1.0]]),
        (cr.Huber(0.5), [[0.5, -0.5, 0.75]], [[0.0, 0.0, 0.0]]),
        (cr.Hinge(), [[1.0, -1.0, 1.5]], [[1.0, 0.0, 0.0]]),
        (cr.Hinge(squared=True), [[1.0, -1.0, 1.5]], [[1.0, 0.0, 0.0]]),
        (cr.CategoricalHinge(), [[2.0, 1.0, 1.0]], [[1.0, 0.0, 0.0]]),
        (cr.CategoricalHinge(squared=True), [[1.0, 1.0, 1.0]], [[0.0, 1.0, 0.0]]),
        (cr.Poisson(), [[1.0, 0.0, 0.25]], [[0.0, 0.0, 2.0]]),
        (cr.Poisson(), [[2e-39, 1e-30, 1e30]], [[0.25, 1.0, 1.0]]),  # 2e-39: subnormal in float32
        (cr.Poisson(log_input=True), [[-200.0, 0.0, 40.0]], [[1.0, 0.0, 2.0]]),
    ],
    ids=repr,
)
def test_kinks_and_limits(level: str, dtype: str, loss: cr.Loss, a: Any, y: Any) -> None:
    """Where the formulas state a value the kernels have the same."""
    X, targets = np.array(a, dtype), np.array(y)
    network = at(X, dtype)
    step = by_formula.backpropagate(network, X, targets, loss)
    plan = Plan(network, loss, batch_size=1, dtype=dtype, level=level, keep=True)
    value, _, deltas, _ = plan.inspect(X, targets)
    eps = float(np.finfo(dtype).eps)
    assert value == pytest.approx(step.loss, rel=4 * eps)
    np.testing.assert_allclose(deltas["z"], step.deltas["z"], rtol=4 * eps)


@machines
@pytest.mark.parametrize(
    "loss", [cr.MeanAbsoluteError(), cr.Huber(), cr.Poisson(), cr.Hinge(), cr.CategoricalHinge()]
)
def test_nan_reaches_the_loss(level: str, dtype: str, loss: cr.Loss) -> None:
    X = np.array([[np.nan, 1.0, 2.0]], dtype)
    plan = Plan(at(X, dtype), loss, batch_size=1, dtype=dtype, level=level)
    assert np.isnan(plan.evaluate(X, np.array([[1.0, 0.0, 0.0]])).loss)


@machines
def test_poisson_of_a_negative_output_is_not_a_number(level: str, dtype: str) -> None:
    X = np.array([[-1.0]], dtype)
    plan = Plan(at(X, dtype), cr.Poisson(), batch_size=1, dtype=dtype, level=level)
    assert np.isnan(plan.evaluate(X, np.array([[1.0]])).loss)
    assert plan.evaluate(0 * X, np.array([[1.0]])).loss == np.inf


@machines
def test_accuracy_of_the_margins(level: str, dtype: str) -> None:
    a = np.array([[2.0, 1.0, 0.0], [0.0, 1.0, 3.0], [1.0, 1.0, 0.0]], dtype)
    plan = Plan(at(a, dtype), cr.CategoricalHinge(), batch_size=3, dtype=dtype, level=level)
    assert plan.evaluate(a, np.array([0, 1, 0])).accuracy == pytest.approx(2 / 3)
    plan = Plan(at(a, dtype), cr.Hinge(), batch_size=3, dtype=dtype, level=level)
    assert plan.evaluate(a, np.array([0, 1, 0])).accuracy == pytest.approx(
        2 / 3
    )  # of labels: the largest output
    signs = np.array([[1.0, 1, 0], [0, 1, 0], [1, 0, 0]])
    assert plan.evaluate(a, signs).accuracy == pytest.approx(7 / 9)  # of rows: every output by itself


def test_smoothing_keeps_the_accuracy_and_the_pair() -> None:
    r = np.random.default_rng(0)
    network = cr.Network([cr.Dense(4), cr.Softmax()], input_shape=3, dtype="float64")
    X, y = r.standard_normal((9, 3)), r.integers(0, 4, 9)
    plain = Plan(network, cr.CrossEntropy(), batch_size=9).evaluate(X, y)
    smooth = Plan(network, cr.CrossEntropy(0.1), batch_size=9).evaluate(X, y)
    assert smooth.accuracy == plain.accuracy
    step = network.backpropagate(X, y, loss=cr.CrossEntropy(label_smoothing=0.1))
    targets = 0.9 * np.eye(4)[y] + 0.1 / 4
    np.testing.assert_allclose(step.deltas["dense1"], (network.predict(X) - targets) / 9, atol=1e-15)


@machines
@pytest.mark.parametrize("shape", [(5,), (3, 4), (2, 3, 2)])
def test_a_likelihood_whose_outputs_are_halves(level: str, dtype: str, shape: tuple[int, ...]) -> None:
    """As many targets as means: one for every two outputs, at every position."""
    r = np.random.default_rng(1)
    for targets in (1, 3, 40):
        last = cr.Dense(2 * targets) if len(shape) < 3 else cr.Conv2D(2 * targets, 1)
        network = cr.Network([last], input_shape=shape, seed=2)
        X, y = r.standard_normal((SAMPLES, *shape)), r.standard_normal((SAMPLES, *shape[:-1], targets))
        y, _ = encode_targets(y, network, cr.GaussianNLL(), SAMPLES)
        part = Problem(network, X.astype(np.float32), y, cr.GaussianNLL())
        assert_like_reference(part, level, dtype, SAMPLES, part.step())


def test_what_does_not_count_is_in_no_accuracy() -> None:
    r = np.random.default_rng(3)
    network = cr.Network([cr.Dense(3), cr.Softmax()], input_shape=(4, 2), dtype="float64")
    X, y = r.standard_normal((11, 4, 2)), r.integers(0, 3, (11, 4))
    y[r.random(y.shape) < 0.5] = -100
    y[5] = -100
    loss = cr.CrossEntropy(ignore_index=-100)
    targets, _ = encode_targets(y, network, loss, len(X))
    right = network.predict(X).argmax(axis=-1) == y
    counted = (y >= 0).sum(axis=1)
    shares = [right[i].sum() / counted[i] for i in range(11) if counted[i]]
    for size in (3, 11):
        accuracy = Plan(network, loss, batch_size=size).evaluate(X, targets).accuracy
        assert accuracy == pytest.approx(np.mean(shares), abs=1e-12)
    history = cr.fit(network, X, y, loss=loss, optimizer=cr.SGD(1e-12), epochs=1, progress=False)
    assert history.last.accuracy == pytest.approx(np.mean(shares), abs=1e-12)
    log_network = cr.Network([cr.Dense(3), cr.LogSoftmax()], input_shape=(4, 2), dtype="float64")
    log_network.set_parameters(network.parameters)
    nll = cr.NegativeLogLikelihood(ignore_index=-100)
    theirs = Plan(log_network, nll, batch_size=4).evaluate(X, targets)
    assert theirs.accuracy == pytest.approx(np.mean(shares), abs=1e-12)
    assert theirs.loss == pytest.approx(Plan(network, loss, batch_size=4).evaluate(X, targets).loss)


def test_the_loss_of_every_sample_their_sum_and_their_mean() -> None:
    r = np.random.default_rng(3)
    X, y, w = r.standard_normal((300, 4)), r.integers(0, 3, 300), r.uniform(0, 2, 300)
    network = cr.Network([cr.Dense(3), cr.Softmax()], input_shape=4)
    for weights in (None, w):
        each = network.loss(X, y, reduction="none", sample_weight=weights)
        scaled = np.ones(300) if weights is None else w / w.mean()
        np.testing.assert_allclose(each, -scaled * np.log(network.predict(X)[np.arange(300), y]), rtol=1e-4)
        mean = network.loss(X, y, sample_weight=weights)
        assert each.mean() == pytest.approx(mean, rel=1e-6)
        assert network.loss(X, y, reduction="sum", sample_weight=weights) == pytest.approx(300 * mean)
    with pytest.raises(ValueError, match="a penalty is of no single sample"):
        network.loss(X, y, reduction="none", penalty=cr.L2(0.1))
    with pytest.raises(ValueError, match="reduction must be one of 'mean', 'sum', 'none'"):
        network.loss(X, y, reduction="batchmean")
