"""Losses: value, gradient and residual belong together, at ordinary and at saturated outputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import layers as L
from chainrule.base.errors import PairError
from chainrule.formulas import adjoint, evaluate, trace
from chainrule.losses import (
    CTC,
    BinaryCrossEntropy,
    CategoricalHinge,
    CosineDistance,
    CrossEntropy,
    GaussianNLL,
    Hinge,
    Huber,
    KLDivergence,
    Loss,
    MeanAbsoluteError,
    MultiMargin,
    NegativeLogLikelihood,
    Poisson,
    SoftMargin,
    SquaredError,
    loss_for,
    loss_from,
)
from chainrule.reference import ReferenceExecutor

RNG = np.random.default_rng(5)
Z = RNG.standard_normal((4, 3))
SIGMOID, SOFTMAX = L.Sigmoid().forward(Z), L.Softmax().forward(Z)
ONE_HOT = np.eye(4)[:, [2, 0, 3]]
SOFT = SOFTMAX[:, ::-1]
LEVELS = RNG.uniform(0, 1, (4, 3))
COUNTS = np.array([[0.0, 2, 1], [3, 0, 0], [1, 7, 2], [0, 1, 4]])

WEIGHTED = CrossEntropy(0.1, class_weight=[1.0, 0.5, 3.0, 0.0])
POSITIVE = BinaryCrossEntropy(pos_weight=[2.0, 0.5, 1.0, 4.0], output_weight=[1.0, 2.0, 0.0, 0.5])
NAMED = BinaryCrossEntropy(pos_weight=3.0, mean_outputs=True)
UNLABELLED = CrossEntropy(ignore_index=-1, mean_steps=True)
WITHOUT = ONE_HOT * np.array([1.0, 0.0, 1.0])
LOG_SOFTMAX = L.LogSoftmax().forward(Z)

WAYS = L.LogSoftmax().forward(np.random.default_rng(1).standard_normal((5, 3, 3)))
READ = np.moveaxis(
    CTC().rows([[1, 1, 2], [], [2]], (5, 3), input_lengths=np.array([5, 2, 3])), 0, -1
)

CASES: list[tuple[Loss, Any, Any]] = [
    (CTC(), WAYS, READ),
    (CTC(mean_labels=True, zero_infinity=True), WAYS, READ),
    (WEIGHTED, SOFTMAX, WEIGHTED.prepared(ONE_HOT)),
    (WEIGHTED, SOFTMAX, WEIGHTED.prepared(SOFT)),
    (UNLABELLED, SOFTMAX, UNLABELLED.prepared(WITHOUT)),
    (POSITIVE, SIGMOID, LEVELS),
    (NAMED, SIGMOID, ONE_HOT),
    (BinaryCrossEntropy(output_weight=[1.0, 2.0, 0.0, 0.5]), SIGMOID, LEVELS),
    (NegativeLogLikelihood(), LOG_SOFTMAX, SOFT),
    (NegativeLogLikelihood(ignore_index=-1), LOG_SOFTMAX, WITHOUT),
    (KLDivergence(), LOG_SOFTMAX, SOFT),
    (KLDivergence(), LOG_SOFTMAX, ONE_HOT),
    (MultiMargin(), Z, ONE_HOT),
    (MultiMargin(squared=True, margin=0.4, mean_outputs=True), Z, ONE_HOT),
    (SoftMargin(), Z, 2 * ONE_HOT - 1),
    (SoftMargin(mean_outputs=True), 30 * Z, 2 * ONE_HOT - 1),
    (CosineDistance(), Z, LEVELS),
    (GaussianNLL(), Z, np.concatenate([LEVELS[:2], LEVELS[:2]])),
    (SquaredError(), Z, LEVELS),
    (SquaredError(mean_outputs=True), Z, LEVELS),
    (BinaryCrossEntropy(), SIGMOID, LEVELS),
    (BinaryCrossEntropy(), SIGMOID, ONE_HOT),
    (CrossEntropy(), SOFTMAX, ONE_HOT),
    (CrossEntropy(), SOFTMAX, SOFT),
    (CrossEntropy(0.1), SOFTMAX, CrossEntropy(0.1).prepared(ONE_HOT)),
    (MeanAbsoluteError(), Z, LEVELS),
    (MeanAbsoluteError(mean_outputs=True), Z, LEVELS),
    (Huber(), Z, LEVELS),
    (Huber(0.3, mean_outputs=True), Z, LEVELS),
    (Poisson(), np.exp(Z), COUNTS),
    (Poisson(log_input=True), Z, COUNTS),
    (Hinge(), Z, 2 * ONE_HOT - 1),
    (Hinge(squared=True), Z, 2 * ONE_HOT - 1),
    (CategoricalHinge(), Z, ONE_HOT),
    (CategoricalHinge(squared=True), Z, ONE_HOT),
]
cases = pytest.mark.parametrize(("loss", "a", "y"), CASES)
pairs = pytest.mark.parametrize(("loss", "a", "y"), [case for case in CASES if case[0].output is not None])


def slope(function: Callable[[Any], Any], at: Any, direction: Any, step: float = 1e-3) -> Any:
    """Fourth-order derivative of a per-sample value along a direction."""
    at_ = [function(at + k * step * direction) for k in (1, -1, 2, -2)]
    return (8 * (at_[0] - at_[1]) - at_[2] + at_[3]) / (12 * step)


@cases
def test_gradient_is_the_derivative_of_the_value(loss: Loss, a: Any, y: Any) -> None:
    direction = 0.05 * RNG.standard_normal(a.shape)
    numeric = slope(lambda a: loss.value(a, y), a, direction)
    slopes = (loss.gradient(a, y) * direction).sum(axis=(*range(a.ndim - 1),))
    np.testing.assert_allclose(slopes, numeric, rtol=1e-8, atol=1e-11)


@cases
def test_trees_evaluate_to_the_functions_and_derive_the_gradient(loss: Loss, a: Any, y: Any) -> None:
    formulas = trace(loss)
    given = {"a": a, "y": y, "z": Z, "one": np.ones(3)}
    for name in formulas:
        method = getattr(loss, name)
        first = Z if name == "value_from_z" else a
        np.testing.assert_allclose(evaluate(formulas[name], given), method(first, y), rtol=1e-12)
    one = type(formulas.symbols["a"])("one")
    derived = adjoint(formulas["value"], formulas.symbols["a"], one)
    np.testing.assert_allclose(evaluate(derived, given), loss.gradient(a, y), rtol=1e-12, atol=1e-14)


@pairs
def test_pair_is_a_minus_y_and_its_value_comes_from_z(loss: Any, a: Any, y: Any) -> None:
    np.testing.assert_allclose(loss.value_from_z(Z, y), loss.value(a, y), rtol=1e-12)
    activation = loss.output()
    chain = activation.delta(
        **({"a": a} if isinstance(activation, L.Softmax) else {"x": Z}), d=loss.gradient(a, y)
    )
    np.testing.assert_allclose(chain, loss.residual(a, y), atol=1e-14)
    formulas = trace(loss)
    derived = adjoint(formulas["value_from_z"], formulas.symbols["z"], type(formulas.symbols["a"])("one"))
    numbers = evaluate(derived, {"z": Z, "y": y, "one": np.ones(3)})
    np.testing.assert_allclose(numbers, loss.residual(a, y), atol=1e-14)
    if loss.affine and not getattr(loss, "weighs", False):
        np.testing.assert_allclose(numbers, a - y, atol=1e-14)


def test_softmax_with_binary_cross_entropy_is_not_a_minus_y() -> None:
    """Dezeming 2-04: why the wrong pair is refused."""
    chain = L.Softmax().delta(BinaryCrossEntropy().gradient(SOFTMAX, ONE_HOT), SOFTMAX)
    assert np.abs(chain - (SOFTMAX - ONE_HOT)).max() > 0.1


def test_saturated_outputs_have_finite_losses() -> None:
    z = np.array([[1e4, -1e4], [-1e4, 1e4]])
    y = np.array([[0.0, 0.0], [1.0, 1.0]])
    np.testing.assert_array_equal(CrossEntropy().value_from_z(z, y), [2e4, 0])
    np.testing.assert_array_equal(BinaryCrossEntropy().value_from_z(z, y), [2e4, 0])
    for loss, layer in ((CrossEntropy(), L.Softmax()), (BinaryCrossEntropy(), L.Sigmoid())):
        a = layer.forward(z)
        assert np.isfinite(loss.residual(a, y)).all()
        assert loss.value(a, y)[1] == 0  # 0 log 0 = 0
        assert loss.value(a, y)[0] == np.inf  # honest: a is exactly 0 where y is 1


def test_float32_stays_float32() -> None:
    for loss, a, y in CASES:
        single = a.astype(np.float32), y.astype(np.float32)
        methods = [loss.value, loss.gradient] + ([loss.residual, loss.value_from_z] if loss.output else [])
        assert {method(*single).dtype for method in methods} == {np.dtype(np.float32)}


def test_values_by_hand() -> None:
    a, y = np.array([[0.5], [1.0]]), np.array([[0.0], [3.0]])
    assert SquaredError().value(a, y) == 0.5 * (0.25 + 4)
    assert SquaredError(mean_outputs=True).value(a, y) == 0.25 * (0.25 + 4)
    half = np.full((3, 1), 0.5)
    np.testing.assert_allclose(BinaryCrossEntropy().value(half, np.eye(3)[:, [0]]), 3 * np.log(2))
    np.testing.assert_allclose(CrossEntropy().value(half, np.eye(3)[:, [0]]), np.log(2))


def test_mazur() -> None:
    """The 2-2-2 network of Mazur's worked example: outputs, loss and output δ."""
    x = np.array([[0.05], [0.10]])
    W, V = np.array([[0.15, 0.20], [0.25, 0.30]]), np.array([[0.40, 0.45], [0.50, 0.55]])
    sigmoid, y = L.Sigmoid(), np.array([[0.01], [0.99]])
    z1 = L.Dense(2).forward(x, W, np.full(2, 0.35))
    h = sigmoid.forward(z1)
    z2 = L.Dense(2).forward(h, V, np.full(2, 0.60))
    a = sigmoid.forward(z2)
    np.testing.assert_allclose(a.ravel(), [0.7513650696, 0.7729284653], atol=5e-11)
    np.testing.assert_allclose(SquaredError().value(a, y), 0.29837110876, atol=5e-12)
    d2 = sigmoid.delta(SquaredError().gradient(a, y), z2)
    np.testing.assert_allclose(d2.ravel(), [0.1384985616, -0.0380982365], atol=5e-11)
    d1 = sigmoid.delta(L.Dense(2).delta(d2, V), z1)
    np.testing.assert_allclose(d1.ravel(), [0.0087713547, 0.0099542547], atol=5e-11)
    np.testing.assert_allclose(L.Dense(2).gradients(d2, h)["W"][0, 0], 0.0821670406, atol=5e-11)


@pytest.mark.parametrize(
    ("loss", "last", "message"),
    [
        (BinaryCrossEntropy(), L.Softmax(), r"ends in Softmax\(\).* write CrossEntropy\(\) for a network"),
        (CrossEntropy(), L.Sigmoid(), r"ends in Sigmoid\(\).* write BinaryCrossEntropy\(\) for a network"),
        (CrossEntropy(), L.Dense(3), r"ends in Dense\(3\): .* end the network in Softmax\(\)$"),
        (BinaryCrossEntropy(), L.ReLU(), r"a - y; end the network in Sigmoid\(\)$"),
    ],
)
def test_wrong_pairs_are_refused_with_the_reason(loss: Loss, last: L.Layer, message: str) -> None:
    with pytest.raises(PairError, match=message):
        loss.check_output([L.Dense(3), last])


def test_right_pairs_pass_and_are_the_default() -> None:
    for last, loss in (
        (L.Softmax(), CrossEntropy()),
        (L.Sigmoid(), BinaryCrossEntropy()),
        (L.Dense(2), SquaredError()),
    ):
        assert loss_for(last) == loss
        loss.check_output([last])
        SquaredError().check_output([last])


def test_a_loss_without_a_pair_says_so() -> None:
    with pytest.raises(NotImplementedError, match="SquaredError forms no pair"):
        SquaredError().residual(Z, Z)
    with pytest.raises(NotImplementedError, match="Loss must define value"):
        Loss().value(Z, Z)


# -- values and kinks, by hand -------------------------------------------------------------------------------


def column(*values: float) -> Any:
    return np.array(values, dtype=np.float64)[:, None]


def test_values_of_distances_and_margins_by_hand() -> None:
    a, y = column(0.5, -2.0, 1.0), column(0.0, 1.0, 1.0)
    assert MeanAbsoluteError().value(a, y) == 3.5
    assert MeanAbsoluteError(mean_outputs=True).value(a, y) * 3 == 3.5
    assert Huber().value(a, y) == 0.125 + (3 - 0.5)
    assert Huber(4.0).value(a, y) == SquaredError().value(a, y)
    assert Huber(1e-3).value(a, y) / 1e-3 == pytest.approx(3.5, abs=2e-3)  # δ |e| for small δ
    np.testing.assert_array_equal(Huber(2.0).gradient(a, y), column(0.5, -2, 0))
    assert Hinge().value(a, column(1, 1, -1)) == 0.5 + 3 + 2
    assert Hinge(squared=True).value(a, column(1, 1, -1)) == 0.25 + 9 + 4
    assert CategoricalHinge().value(a, column(1, 0, 0)) == 1 + 1.0 - 0.5
    assert CategoricalHinge().value(column(3, 1, 2), column(1, 0, 0)) == 0  # the margin is 1: nothing to gain
    np.testing.assert_array_equal(CategoricalHinge().gradient(a, column(1, 0, 0)), column(-1, 0, 1))
    assert Poisson().value(column(2.0, 0.0), column(0.0, 0.0)) == 2
    np.testing.assert_allclose(Poisson().value(column(2.0), column(3.0)), 2 - 3 * np.log(2))
    np.testing.assert_array_equal(Poisson().gradient(column(0.0, 2.0), column(0.0, 3.0)), column(1, -0.5))
    np.testing.assert_allclose(
        Poisson(log_input=True).value(np.log(a**2), COUNTS[:3, :1]), Poisson().value(a**2, COUNTS[:3, :1])
    )


def test_derivatives_at_the_kinks_are_the_stated_values() -> None:
    one = column(1.0)
    assert MeanAbsoluteError().gradient(one, one) == 0
    assert Huber().gradient(one, 0 * one) == 1
    assert Hinge().gradient(one, one) == 0
    assert Hinge().gradient(-one, -one) == 0
    for loss, a, y in CASES:
        pattern = loss.branches(a, y)
        smooth = SquaredError | BinaryCrossEntropy | CrossEntropy | Poisson | SoftMargin | CosineDistance
        assert (pattern is None) == isinstance(
            loss, smooth | NegativeLogLikelihood | KLDivergence | GaussianNLL | CTC
        )


def test_label_smoothing_moves_targets_towards_equal_shares() -> None:
    np.testing.assert_allclose(CrossEntropy(0.2).prepared(ONE_HOT), 0.8 * ONE_HOT + 0.05)
    np.testing.assert_allclose(CrossEntropy(0.2).prepared(ONE_HOT).sum(axis=0), 1)
    np.testing.assert_allclose(BinaryCrossEntropy(0.2).prepared(ONE_HOT), 0.8 * ONE_HOT + 0.1)
    assert CrossEntropy().prepared(ONE_HOT) is ONE_HOT
    for bad in (-0.1, 1.0, True, "0.1"):
        with pytest.raises(ValueError, match="label_smoothing must be a number at least 0 and less than 1"):
            CrossEntropy(bad)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="BinaryCrossEntropy label_smoothing"):
            BinaryCrossEntropy(bad)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "loss"),
    [
        ("mae", MeanAbsoluteError()),
        ("mean_absolute_error", MeanAbsoluteError()),
        ("huber", Huber()),
        ("poisson", Poisson()),
        ("hinge", Hinge()),
        ("squared_hinge", Hinge(squared=True)),
        ("categorical_hinge", CategoricalHinge()),
        ("multi_margin", MultiMargin()),
        ("negative_log_likelihood", NegativeLogLikelihood()),
        ("gaussian_nll", GaussianNLL()),
    ],
)
def test_names(name: str, loss: Loss) -> None:
    assert loss_from(name, L.Dense(2)) == loss


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Huber(0), "Huber delta must be a positive number, received 0"),
        (lambda: Huber(beta=2.0), r"Huber\(\) has no argument 'beta'; write delta=1.0"),  # type: ignore[call-arg]
        (lambda: SquaredError(reduction="mean"), "write mean_outputs=True"),  # type: ignore[call-arg]
        (lambda: CrossEntropy(from_logits=True), "end the network in its Softmax"),  # type: ignore[call-arg]
        (lambda: Hinge(margin=2), "no other margin"),  # type: ignore[call-arg]
        (lambda: CrossEntropy(weight=[1, 2]), "write class_weight="),  # type: ignore[call-arg]
        (lambda: CrossEntropy(class_weight={0: 1.0}), "a number for each, in the order of the outputs"),
        (lambda: CrossEntropy(class_weight=[1, -2]), r"class_weight\[1\] must be a number of at least 0"),
        (lambda: CrossEntropy(class_weight=[1, 2]).prepared(ONE_HOT), "2 weights and there are 4 outputs"),
        (lambda: CrossEntropy(ignore_index=0.5), "ignore_index must be a label"),
        (lambda: BinaryCrossEntropy(pos_weight="5"), "pos_weight must be a number"),
        (lambda: NegativeLogLikelihood().check_output([L.Softmax()]), r"end it in LogSoftmax\(\)"),
        (lambda: CrossEntropy().check_output([L.LogSoftmax()]), r"write NegativeLogLikelihood\(\)"),
        (lambda: GaussianNLL().check_output([L.Sigmoid()]), "end it in its last Dense layer"),
        (lambda: MultiMargin(margin=0), "MultiMargin margin must be"),
        (lambda: Hinge().check_output([L.Sigmoid()]), "end the network in its last Dense layer"),
        (lambda: Poisson().check_output([L.Dense(1)]), r"write Poisson\(log_input=True\)"),
        (lambda: loss_from("binary_crossentropy", L.Sigmoid()), "write 'binary_cross_entropy'"),
    ],
)
def test_mistakes_are_answered(make: Callable[[], Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError, PairError), match=message):
        make()


def test_what_is_left_at_its_default_is_not_printed() -> None:
    assert repr(CrossEntropy()) == "CrossEntropy()"
    assert repr(BinaryCrossEntropy(label_smoothing=0.1)) == "BinaryCrossEntropy(label_smoothing=0.1)"


# -- what counts, and how much -------------------------------------------------------------------------------


def test_weights_of_classes_and_steps_that_do_not_count() -> None:
    """By hand: w_t (−log a_t) of the steps that count, divided by their number where mean_steps says so."""
    z = RNG.standard_normal((5, 3, 2))  # 5 steps, 3 classes, 2 samples
    labels = np.array([[0, 2], [1, -100], [-100, -100], [2, 1], [0, -100]])
    rows = np.stack(
        [np.eye(3)[np.maximum(labels, 0)[:, s]] * (labels[:, s] >= 0)[:, None] for s in (0, 1)], -1
    )
    weights = np.array([0.5, 1.0, 2.0])
    log_a = L.LogSoftmax().forward(z)
    for mean in (False, True):
        loss = CrossEntropy(class_weight=weights, ignore_index=-100, mean_steps=mean)
        expected = [
            sum(-weights[t] * log_a[i, t, s] for i, t in enumerate(labels[:, s]) if t >= 0)
            / ((labels[:, s] >= 0).sum() if mean else 1)
            for s in (0, 1)
        ]
        np.testing.assert_allclose(loss.value_from_z(z, loss.prepared(rows)), expected, rtol=1e-12)
        assert not loss.residual(np.exp(log_a), loss.prepared(rows))[2].any()


def test_a_positive_weight_counts_what_is_there_so_many_times() -> None:
    z, y = RNG.standard_normal((1, 4)), np.array([[1.0, 0, 1, 0]])
    plain, weighted = BinaryCrossEntropy(), BinaryCrossEntropy(pos_weight=3)
    np.testing.assert_allclose(
        weighted.value_from_z(z, y), plain.value_from_z(z, y) * np.array([3, 1, 3, 1]), rtol=1e-14
    )
    assert plain == BinaryCrossEntropy()
    assert "pos_weight" not in repr(plain)


def test_multi_margin_of_cs231n() -> None:
    """The scores of the notes: 13, -7, 11 of class 0 have a loss of 0 + 8 at margin 10; squared 64."""
    scores, y = column(13, -7, 11), column(1, 0, 0)
    assert MultiMargin(margin=10.0).value(scores, y) == 8
    assert MultiMargin(margin=10.0, squared=True).value(scores, y) == 64
    np.testing.assert_array_equal(MultiMargin(margin=10.0).gradient(scores, y), column(-1, 0, 1))


def test_a_likelihood_of_mean_and_variance() -> None:
    """½ (log v + (μ - y)²/v), smallest at v = (μ - y)²."""
    mean, y = 2.0, 3.5
    values = [GaussianNLL().value(column(mean, np.log(v)), column(y, y)) for v in (0.5, (mean - y) ** 2, 9.0)]
    np.testing.assert_allclose(values[0], 0.5 * (np.log(0.5) + (mean - y) ** 2 / 0.5))
    assert np.argmin(values) == 1
    assert not GaussianNLL().gradient(column(mean, np.log((mean - y) ** 2)), column(y, y))[1].round(15)


def test_directions_at_their_ends() -> None:
    a = column(3.0, 4.0)
    assert CosineDistance().value(a, 2 * a) == 0
    assert CosineDistance().value(a, -a) == 2
    assert CosineDistance().value(0 * a, a) == 1
    assert not CosineDistance().gradient(0 * a, a).any()
    assert abs((CosineDistance().gradient(a, column(1.0, 0.0)) * a).sum()) < 1e-15  # none along a itself


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("formulas", [False, True])
def test_only_directions_count_for_the_cosine_however_long_the_vectors(dtype: str, formulas: bool) -> None:
    network = cr.Network([L.Identity()], input_shape=3, dtype=dtype)
    if formulas:
        network.set_executor(ReferenceExecutor())
    a, y = (RNG.standard_normal((4, 3)).astype(dtype) for _ in range(2))
    a[2], y[3] = 0, 0
    unit = network.backpropagate(a, y, loss=CosineDistance())
    largest = 110 if dtype == "float32" else 1000
    for first in (-largest, 0, largest):
        for second in (-largest, 0, largest):
            s, t = np.ldexp(np.ones(1, dtype), first), np.ldexp(np.ones(1, dtype), second)
            step = network.backpropagate(a * s, y * t, loss=CosineDistance())
            assert step.loss == network.loss(a * s, y * t, loss=CosineDistance()) == unit.loss
            assert np.array_equal(step.deltas["input"] * s, unit.deltas["input"])
