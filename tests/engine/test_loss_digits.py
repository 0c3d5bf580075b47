"""The cross-entropies to the digits of their type, against decimal arithmetic: certain and right predictions
too.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from functools import cache
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.engine import Plan
from tests import by_formula
from tests.engine.harness import MACHINES

machines = pytest.mark.parametrize(("level", "dtype"), MACHINES)

# From -1000 to 1000, closely around 0 and where the exponential leaves either type; numbers of float32.
Z = np.unique(
    np.concatenate([np.linspace(-1000, 1000, 21), np.linspace(-40, 40, 17), [16, -16, 88.5, -103.5, 1e-3]])
).astype(np.float32)
# exp: 2.5 ulp, log1p 3, a few more for products and the rounding of weights and targets.
ROUNDINGS = 12


def exact_log1p_exp(z: Decimal) -> Decimal:
    """log(1 + e^z) without a loss of digits."""
    return max(z, Decimal(0)) + (1 + (-abs(z)).exp()).ln()


@cache
def exact_binary(z: float, y: float, smoothing: float) -> tuple[Decimal, Decimal]:
    """The value and ∂/∂z of one output."""
    with localcontext() as context:
        context.prec = 40 + int(abs(z) / 2.3)  # the digits 0 of 1 + e^-|z|
        e, target, at = Decimal(smoothing), Decimal(y), Decimal(z)
        target = (1 - e) * target + e / 2
        value = target * exact_log1p_exp(-at) + (1 - target) * exact_log1p_exp(at)
        # (1 - y) a - y (1 - a)
        a, rest = 1 / (1 + (-at).exp()), 1 / (1 + at.exp())
        return value, (1 - target) * a - target * rest


@cache
def exact_categorical(logits: tuple[float, ...], y: tuple[float, ...]) -> tuple[Decimal, list[Decimal]]:
    with localcontext() as context:
        context.prec = 40 + int((max(logits) - min(logits)) / 2.3)
        z, t = [Decimal(v) for v in logits], [Decimal(v) for v in y]
        total = sum(v.exp() for v in z)
        value = sum(w * (total.ln() - v) for w, v in zip(t, z, strict=True))
        mass = sum(t)
        return Decimal(value), [mass * v.exp() / total - w for w, v in zip(t, z, strict=True)]


def assert_digits(found: float, exact: Decimal, dtype: str, what: Any) -> None:
    allowed = ROUNDINGS * float(np.finfo(dtype).eps) * abs(float(exact)) + 4 * float(np.finfo(dtype).tiny)
    assert abs(found - float(exact)) <= allowed, (what, found, float(exact))


def given_logits(outputs: int, last: cr.Layer, dtype: str) -> cr.Network:
    parameters = {"z.W": np.eye(outputs), "z.b": np.zeros(outputs)}
    layers = [cr.Dense(outputs, name="z"), last]
    return cr.Network.from_parameters(layers, parameters, input_shape=outputs, dtype=dtype)


@machines
@pytest.mark.parametrize("smoothing", [0.0, 0.125, 2.0**-30])
def test_binary_cross_entropy_keeps_its_digits_at_either_label(
    level: str, dtype: str, smoothing: float
) -> None:
    network, loss = given_logits(1, cr.Sigmoid(), dtype), cr.BinaryCrossEntropy(label_smoothing=smoothing)
    plan = Plan(network, loss, batch_size=1, dtype=dtype, level=level, keep=True)
    for y in (0.0, 1.0, 0.25, 1 - 2.0**-12):
        for z in Z:
            value, deltas = plan.inspect(z.reshape(1, 1), np.array([[y]]))[::2]
            exact, slope = exact_binary(float(z), y, smoothing)
            assert_digits(value, exact, dtype, (z, y))
            if y in (0.0, 1.0) and not smoothing:  # of other targets a - y is 0 somewhere
                assert_digits(float(deltas["z"][0, 0]), slope, dtype, ("δ", z, y))


@machines
def test_binary_cross_entropy_is_a_mirror(level: str, dtype: str) -> None:
    """-z and 1 - y are the same loss, to the bit, whatever the form of the labels and the weights."""
    network, loss = given_logits(3, cr.Sigmoid(), dtype), cr.BinaryCrossEntropy()
    r = np.random.default_rng(0)
    X, y = 30 * r.standard_normal((20, 3)), r.integers(0, 2, (20, 3)).astype(np.float64)
    weights = r.random(20) + 0.1
    plan = Plan(network, loss, batch_size=8, dtype=dtype, level=level)
    for w in (None, weights / weights.mean()):
        assert plan.evaluate(X, y, w).loss == plan.evaluate(-X, 1 - y, w).loss


@machines
def test_cross_entropy_keeps_the_digits_of_a_certain_prediction(level: str, dtype: str) -> None:
    network, loss = given_logits(3, cr.Softmax(), dtype), cr.CrossEntropy()
    plan = Plan(network, loss, batch_size=1, dtype=dtype, level=level, keep=True)
    for far in (0.0, 0.5, 3, 8, 16, 20, 40, 80, 300, 1000):
        for logits in ((far, 0.0, -1.0), (-far, -far, 0.0), (0.0, far, far)):
            for y in ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.25, 0.75, 0.0)):
                value, deltas = plan.inspect(np.array([logits]), np.array([y]))[::2]
                exact, slopes = exact_categorical(logits, y)
                assert_digits(value, exact, dtype, (logits, y))
                for found, slope in zip(deltas["z"][0], slopes, strict=True):
                    if max(y) == 1:
                        assert_digits(float(found), slope, dtype, ("δ", logits, y))


def test_the_formulas_keep_them_too() -> None:
    for y in (0.0, 1.0, 0.25):
        for z in Z:
            found = float(cr.BinaryCrossEntropy().value_from_z(np.array([[float(z)]]), np.array([[y]]))[0])
            assert_digits(found, exact_binary(float(z), y, 0.0)[0], "float64", (z, y))
    for far in (0.0, 8, 40, 300, 1000):
        for logits in ((far, 0.0, -1.0), (-far, -far, 0.0), (0.0, far, far)):
            for y in ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.25, 0.75, 0.0)):
                columns = np.array(logits)[:, None], np.array(y)[:, None]
                found = float(cr.CrossEntropy().value_from_z(*columns)[0])
                assert_digits(found, exact_categorical(logits, y)[0], "float64", (logits, y))


@machines
def test_squares_of_errors_beyond_the_type(level: str, dtype: str) -> None:
    """The loss is a Python float: an error of 1e25 has the value 5e49, in float32 networks as well."""
    network = given_logits(2, cr.Identity(), dtype)
    X, y = np.array([[1e25, -3.0]]), np.array([[0.0, 1.0]])
    losses = (cr.SquaredError(), cr.SquaredError(mean_outputs=True), cr.Huber(1e20), cr.MeanAbsoluteError())
    for loss in losses:
        plan = Plan(network, loss, batch_size=1, dtype=dtype, level=level)
        expected = by_formula.data_loss(network, X.astype(dtype), y, loss)
        assert plan.evaluate(X, y).loss == pytest.approx(expected, rel=4 * float(np.finfo(dtype).eps))
