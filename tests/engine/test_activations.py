"""The activations' own exp, log, tanh and erf, measured: f and f' at every ISA level, against decimal
arithmetic.

The bounds below are the errors that native/kernels/arithmetic/math.inl and erf.inl state.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import cache
from math import erfc, pi, sqrt
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.engine import Plan
from chainrule.layers import Activation
from tests.engine.exact import FUNCTIONS, evaluate
from tests.engine.harness import MACHINES, Array

machines = pytest.mark.parametrize(("level", "dtype"), MACHINES)
names = pytest.mark.parametrize("name", FUNCTIONS)

# Measured over all points, levels and types: f 2.7 (sigmoid), 2.3 (tanh), 2.6 (softplus) units in the last
# place, subnormal results included; GELU 1.1 eps·max(1, |z|); f', computed from a = f(z) (GELU: from z), 1.3
# eps absolute.
VALUE_ULPS = 3.0
GELU_EPS = 1.25
SLOPE_EPS = 1.5
EXP_ULPS = 2.0  # of exp itself: σ(z) is e^z to the last place where z is below -40
DENSE_POINTS = 40_001


class Inner(cr.Loss):
    """δ of the output is 1 for y = 1, whatever the batch: δ of the input is f'."""

    def value(self, a: Any, y: Any) -> Any:
        return np.zeros(a.shape[-1])

    def gradient(self, a: Any, y: Any) -> Any:
        return y * a.shape[-1]


def native(layer: cr.Layer, z: Array, level: str) -> tuple[Array, Array]:
    """(f, f') of one row of numbers."""
    network = cr.Network([layer], input_shape=len(z), dtype=z.dtype)
    plan = Plan(network, Inner(), batch_size=1, keep=True, level=level)
    _, activations, deltas, _ = plan.inspect(z[None], np.ones((1, len(z))))
    return activations[str(network.layers[0].name)][0], deltas["input"][0]


@cache
def points(dtype: str) -> Array:
    """Around 0, where the formulas of tanh, erf and erfc meet, where exp under- and overflows, and
    subnormal numbers.
    """
    r, info = np.random.default_rng(0), np.finfo(dtype)
    small = 10 ** r.uniform(-12, 1, 60)
    meet = np.array([0.35, 1.0, sqrt(2.0), 6.3, 6.3 * sqrt(2), 87.3, 88.7, 103.9, 708.3, 745.1, 1e4])
    meet = np.concatenate(
        [meet, np.nextafter(meet.astype(dtype), 0), [info.tiny, info.smallest_subnormal, 1e-30]]
    )
    wide = [
        np.linspace(-20, 20, 161),
        r.uniform(-120, 120, 60),
        r.uniform(-760, 760, 20),
        r.uniform(-1, 1, 60),
    ]
    return np.unique(np.concatenate([*wide, small, -small, meet, -meet, [0.0]]).astype(dtype))


@cache
def exact(name: str, dtype: str) -> tuple[list[Decimal], list[Decimal]]:
    f, df = FUNCTIONS[name]
    return [evaluate(f, float(z)) for z in points(dtype)], [evaluate(df, float(z)) for z in points(dtype)]


def errors(actual: Array, expected: list[Decimal]) -> tuple[Array, Array]:
    """Absolute, and in units in the last place of the right result."""
    absolute = np.array([abs(float(Decimal(float(a)) - e)) for a, e in zip(actual, expected, strict=True)])
    place = np.spacing(np.abs(np.array([float(e) for e in expected]).astype(actual.dtype))).astype(np.float64)
    return absolute, absolute / place


@names
@machines
def test_values_and_derivatives_are_exact_to_a_few_places(name: str, level: str, dtype: str) -> None:
    z = points(dtype)
    f, slope = native(getattr(cr, name)(), z, level)
    eps = float(np.finfo(dtype).eps)
    absolute, ulps = errors(f, exact(name, dtype)[0])
    if name == "GELU":
        assert (absolute <= GELU_EPS * eps * np.maximum(1, np.abs(z))).all(), f"{absolute.max() / eps} eps"
    else:
        assert (ulps <= VALUE_ULPS).all(), f"{ulps.max()} ulp at {z[ulps.argmax()]}"
    if name == "Sigmoid":
        assert (ulps[z < -40] <= EXP_ULPS).all(), f"exp: {ulps[z < -40].max()} ulp"
    absolute, _ = errors(slope, exact(name, dtype)[1])
    assert (absolute <= SLOPE_EPS * eps).all(), f"f': {absolute.max() / eps} eps at {z[absolute.argmax()]}"


SINGLE: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "Sigmoid": (lambda z: 1 / (1 + np.exp(-z)), lambda z: 1 / (2 + np.exp(-z) + np.exp(z))),
    "Tanh": (np.tanh, lambda z: 1 / np.cosh(z) ** 2),
    "Softplus": (lambda z: np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z))), lambda z: 1 / (1 + np.exp(-z))),
    "GELU": (
        lambda z: z * np.array([erfc(-u / sqrt(2)) / 2 for u in z]),
        lambda z: np.array([erfc(-u / sqrt(2)) / 2 for u in z]) + z * np.exp(-z * z / 2) / sqrt(2 * pi),
    ),
}


@names
@machines
def test_float32_densely(name: str, level: str, dtype: str) -> None:
    """Against float64; NumPy's and the C library's errors are 1e-9 of what is measured."""
    if dtype != "float32":
        return
    reach = 100.0 if name != "GELU" else 20.0
    z = np.linspace(-reach, reach, DENSE_POINTS).astype(np.float32)
    f, df = SINGLE[name]
    expected, slope = f(z.astype(np.float64)), df(z.astype(np.float64))
    actual, actual_slope = native(getattr(cr, name)(), z, level)
    eps = float(np.finfo(np.float32).eps)
    error = np.abs(actual - expected)
    if name == "GELU":
        share = error / (eps * np.maximum(1, np.abs(z)))
        assert (share <= GELU_EPS).all(), f"{share.max()} eps at {z[share.argmax()]}"
    else:
        ulps = error / np.spacing(np.abs(expected).astype(np.float32))
        assert (ulps <= VALUE_ULPS).all(), f"{ulps.max()} ulp at {z[ulps.argmax()]}"
    wrong = np.abs(actual_slope - slope) / eps
    assert (wrong <= SLOPE_EPS).all(), f"{wrong.max()} eps at {z[wrong.argmax()]}"


LAYERS: list[Activation] = [
    cr.Identity(),
    cr.Sigmoid(),
    cr.Tanh(),
    cr.ReLU(),
    cr.LeakyReLU(0.25),
    cr.LeakyReLU(-0.5),
    cr.Softplus(),
    cr.GELU(),
    cr.ELU(0.5),
    cr.SiLU(),
]


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
@machines
def test_the_ends_of_the_numbers(layer: Activation, level: str, dtype: str) -> None:
    """At 0, ±1e4, the largest numbers and infinity the limits of the formulas; NaN gives NaN."""
    info = np.finfo(dtype)
    z = np.array([0.0, -0.0, 1e4, -1e4, info.max, -info.max, np.inf, -np.inf, np.nan], dtype)
    f, slope = native(layer, z, level)
    with np.errstate(all="ignore"):
        expected, expected_slope = layer.f(z.astype(np.longdouble)), layer.df(z.astype(np.longdouble))
    known, known_slope = ~np.isnan(expected), ~np.isnan(expected_slope)  # ∞·0 in GELU is nothing to compare
    np.testing.assert_allclose(f[known], expected[known].astype(dtype), rtol=2 * info.eps)
    np.testing.assert_allclose(
        slope[known_slope], expected_slope[known_slope].astype(dtype), rtol=2 * info.eps
    )
    assert np.isnan(f[-1])
    if not isinstance(layer, cr.Identity | cr.ReLU | cr.LeakyReLU):  # piecewise: the derivative is a constant
        assert np.isnan(slope[-1])


@machines
def test_softmax_of_everything(level: str, dtype: str) -> None:
    """Sums to 1, and every entry is right to a few roundings, however far apart the inputs are."""
    r = np.random.default_rng(5)
    z = (r.standard_normal((64, 11)) * 10.0 ** r.integers(-3, 5, (64, 1))).astype(dtype)
    network = cr.Network([cr.Softmax()], input_shape=11, dtype=dtype)
    a = Plan(network, batch_size=64, level=level).predict(z)
    e = np.exp(z.astype(np.longdouble) - z.max(axis=1, keepdims=True))
    exact_a = e / e.sum(axis=1, keepdims=True)
    eps = float(np.finfo(dtype).eps)
    distance = z.max(axis=1, keepdims=True) - z  # rounded, and its rounding multiplies the exponential
    assert (np.abs(a - exact_a) <= (4 + distance) * eps * exact_a + float(np.finfo(dtype).tiny)).all()
    np.testing.assert_allclose(a.sum(axis=1), 1, atol=8 * eps)


@machines
def test_gelu_by_tanh_far_out(level: str, dtype: str) -> None:
    """f' was 0·inf where z² is beyond the type; the kernel and the formula."""
    z = np.array([1.0, 5.0, 10.0, 1e13, 2e19, 1e25, 1e38, float(np.finfo(dtype).max)], dtype=dtype)
    layer = cr.GELU(approximate="tanh")
    for at, limit in ((z, 1.0), (-z, 0.0)):
        slope = native(layer, at, level)[1]
        with np.errstate(over="ignore"):
            np.testing.assert_array_equal(layer.df(at)[2:], np.full(6, limit))
        np.testing.assert_array_equal(slope[2:], np.full(6, limit))
        np.testing.assert_allclose(slope[:2], layer.df(at[:2].astype(float)), atol=8 * np.finfo(dtype).eps)


@machines
def test_parametric_activations_keep_their_digits(level: str, dtype: str) -> None:
    """z + α (f(z) - z) lost f(z) where z is large: tanh of 1e10 was 0."""
    z = np.array([-1e10, -1e6, -1e3, -1.0, 0.0, 1.0, 1e3, 1e10], dtype=dtype)
    for name in ("tanh", "selu", "sigmoid", "softsign"):
        layer = cr.ParametricActivation(name)
        expected = layer.f.f(z.astype(float))
        found = (native(layer, z, level)[0], layer.forward(z[:, None], np.ones(8, dtype))[:, 0])
        for values in found:
            np.testing.assert_allclose(values, expected, rtol=8 * np.finfo(dtype).eps, err_msg=name)
