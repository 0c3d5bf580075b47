"""Every layer where its inputs, parameters or δ are very large or very small: what the formulas say in
a wider type, wherever that lies within the type of the network.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import reference
from chainrule.engine import Plan
from chainrule.formulas import sum_outputs
from chainrule.networks.batch import Batch
from chainrule.networks.objective import Objective
from tests.cases import LAYER_CASES, LayerCase
from tests.engine.harness import MACHINES

ONE_OF_EACH = {type(case.make()): case for case in reversed(LAYER_CASES)}
# float32 squares 1e15, float64 1e100; the error is that of the largest entry.
MAGNITUDES = {"float32": (1e-15, 1e15), "float64": (1e-100, 1e100)}
TOLERANCE = {"float32": 1e-3, "float64": 1e-9}

# What does not hold there, and why.
EXCEPTIONS: dict[type[cr.Layer], str] = {
    cr.TanhShrink: "z - tanh z of small z is below their roundings",
    cr.Wrap: "turns are counted to the rounding of z",
    cr.PeriodicEmbedding: "sin and cos of an angle that is known to its rounding",
}


class Sum(cr.Loss):
    """Σ a y: δ is y, whatever the outputs are."""

    def value(self, a: Any, y: Any) -> Any:
        return sum_outputs(a * y)

    def gradient(self, a: Any, y: Any) -> Any:
        return y


def _steps(case: LayerCase, dtype: str, of: str, factor: float) -> tuple[cr.Step, cr.Step] | None:
    """Of the kernels and of the formulas in a wider type; None where there is nothing of the kind."""
    network = cr.Network([case.make()], input_shape=case.input_shape, dtype=dtype, seed=0)
    rng = np.random.default_rng(1)
    samples = max(case.samples, case.fewest, 2)
    if case.ids:
        X = rng.integers(0, case.ids, (samples, *case.input_shape)).astype(dtype)
    else:
        X = rng.uniform(-2, 2, (samples, *case.input_shape))
    learned = [name for name, spec in network.parameter_specs.items() if spec.learned]
    if (of == "x" and case.ids) or (of == "parameters" and not learned):
        return None
    y = rng.uniform(-1, 1, (samples, *network.output_shape)) * (factor if of == "delta" else 1)
    X, y = (X * (factor if of == "x" else 1)).astype(dtype), y.astype(dtype)
    if of == "parameters":
        network.set_parameters({name: network.parameters[name] * factor for name in learned})
    objective = Objective(Sum(), None, samples)
    wider: Any = np.float64 if dtype == "float32" else np.longdouble
    parameters = {name: np.asarray(array, wider) for name, array in network.parameters.items()}
    with np.errstate(all="ignore"):
        batch = Batch(X if case.ids else X.astype(wider), y.astype(wider), None)
        expected = reference.backpropagate(network, batch, objective, parameters, wider)
        return network.executor().backpropagate(network, Batch(X, y, None), objective), expected


def _differing(found: Any, expected: Any, dtype: str) -> bool:
    """Whether numbers are not there that the type could hold."""
    range_of = np.finfo(dtype)
    largest = np.abs(expected).max(initial=0.0)
    if not np.isfinite(expected).all() or not 1e3 * float(range_of.tiny) < largest < float(range_of.max) / 4:
        return False
    return not np.abs(found - expected).max() <= TOLERANCE[dtype] * largest  # NaN differs


@pytest.mark.parametrize("dtype", MAGNITUDES)
@pytest.mark.parametrize("cls", ONE_OF_EACH, ids=lambda cls: str(cls.__name__))
def test_a_layer_keeps_its_digits(cls: type[cr.Layer], dtype: str) -> None:
    wrong = []
    for of in ("x", "parameters", "delta"):
        for factor in MAGNITUDES[dtype]:
            steps = _steps(ONE_OF_EACH[cls], dtype, of, factor)
            for part in ("activations", "deltas", "gradients") if steps else ():
                found, expected = (getattr(step, part) for step in steps or ())
                wrong += [
                    f"{part} {name}, {of} times {factor:g}"
                    for name in expected
                    if name in found and _differing(found[name], expected[name], dtype)
                ]
    if cls in EXCEPTIONS:
        assert all(", delta" not in told for told in wrong), wrong
    else:
        assert not wrong, wrong


@pytest.mark.parametrize("dtype", MAGNITUDES)
@pytest.mark.parametrize(("low", "high"), [(-np.pi, np.pi), (0.0, 24.0), (-0.1, 0.3), (5.0, 6.0)])
def test_wrap_stays_within_its_range(low: float, high: float, dtype: str) -> None:
    """Also where a rounding of z is larger than the range, and just below `low`; NaN is NaN."""
    z = np.random.default_rng(0).uniform(-2, 2, 600) * 10.0 ** np.repeat(range(-30, 30), 10)
    ends = np.nextafter([low, high], -np.inf, dtype=dtype)
    z = np.concatenate([z, ends, [low, high, 0.0, 1e-30, -1e-30]]).astype(dtype)
    layer = cr.Wrap(low, high)
    network = cr.Network([layer], input_shape=len(z), dtype=dtype)
    low, high = (float(np.dtype(dtype).type(end)) for end in (low, high))
    for wrapped in (network.predict(z[None])[0], layer.f(z)):
        assert ((low <= wrapped) & (wrapped < high)).all()
        near = np.abs(z) < 100
        turns = (z[near] - wrapped[near]) / (high - low)
        within = 1e3 * float(np.finfo(dtype).eps) / min(high - low, 1.0)
        np.testing.assert_allclose(turns, np.rint(turns), rtol=0, atol=within)
    assert np.isnan(layer.f(np.array([np.nan]))).all()


POOLS: list[tuple[cr.Layer, tuple[int, ...]]] = [
    (cr.L2Pool2D(2), (4, 4, 3)),
    (cr.L2Pool2D(3, 1, mean=True, padding=1), (4, 5, 3)),
    (cr.L2Pool1D(2, dilation=2), (6, 3)),
    (cr.LpPool2D(3, 2), (4, 4, 3)),
    (cr.LpPool2D(1, 2), (4, 4, 3)),
    (cr.LpPool2D(2.5, 3, 1, padding=1), (4, 5, 3)),
    (cr.LpPool1D(1.7, 2, dilation=2), (6, 3)),
    (cr.LpPool3D(64, 2), (2, 4, 4, 2)),
]


@pytest.mark.parametrize(("level", "dtype"), MACHINES)
def test_roots_of_sums_of_powers_over_the_whole_range(level: str, dtype: str) -> None:
    """z of s x is s times z of x, and δ the same, also where squares and powers are beyond the type; and
    beside a window of another size.
    """
    exponents = (-36, -30, -15, 15, 30, 36) if dtype == "float32" else (-303, -250, -160, 160, 250, 305)
    eps = float(np.finfo(dtype).eps)
    for layer, shape in POOLS:
        network = cr.Network([layer], input_shape=shape, dtype=dtype)
        rng = np.random.default_rng(1)
        X = rng.uniform(-2, 2, (9, *shape)).astype(dtype)
        X[3] = 0
        y = rng.uniform(-1, 1, (9, *network.output_shape)).astype(dtype)
        plan = Plan(network, Sum(), batch_size=9, dtype=dtype, level=level, keep=True)
        _, activations, deltas, _ = plan.inspect(X, y)
        name = network.layers[0].name
        z, delta = activations[name], deltas["input"].copy()
        assert plan.overflows() == [], layer
        np.testing.assert_allclose(z, reference.forward(network, X), rtol=30 * eps)
        z = z.copy()
        for n in exponents:
            scale = 2.0 ** round(n / np.log10(2))
            _, activations, deltas, _ = plan.inspect(X * X.dtype.type(scale), y)
            what = f"{layer} {n}"
            np.testing.assert_allclose(activations[name] / scale, z, rtol=30 * eps, err_msg=what)
            np.testing.assert_allclose(deltas["input"], delta, rtol=0, atol=30 * eps, err_msg=what)


@pytest.mark.parametrize("special", [np.inf, -np.inf, np.nan])
def test_roots_of_what_is_no_finite_number(special: float) -> None:
    for layer, shape in POOLS:
        for dtype in MAGNITUDES:
            X = np.ones((2, *shape), dtype)
            X[0].flat[0] = special
            found = Plan(cr.Network([layer], input_shape=shape, dtype=dtype), batch_size=2).predict(X)
            assert (np.isnan(found[0]).any() if np.isnan(special) else np.isposinf(found[0]).any()), layer
            assert np.isfinite(found[1]).all()


def test_the_formulas_refuse_what_comes_below_their_range() -> None:
    """Squares of 1e-170 are 0 in float64: the kernels measure a window in its largest entry."""
    network = cr.Network([cr.L2Pool2D(2)], input_shape=(2, 2, 1), dtype="float64")
    X = np.full((2, 2, 2, 1), 1.0)
    X[1] *= 1e-170
    np.testing.assert_allclose(network.predict(X)[1], 2e-170)
    network.set_executor(reference.ReferenceExecutor())
    for call in (
        lambda: network.predict(X),
        lambda: network.backpropagate(X, np.zeros((2, 1, 1, 1))),
        lambda: network.loss(X, np.zeros((2, 1, 1, 1))),
    ):
        with pytest.raises(cr.NonFiniteError, match=r"sample 1 of X is 0 where the formula gives 2e-170"):
            call()
