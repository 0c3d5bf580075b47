"""Every layer where its inputs, parameters or δ are very large or very small: what the formulas say in
a wider type, wherever that lies within the type of the network.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import reference
from chainrule.formulas import sum_outputs
from chainrule.networks.batch import Batch
from chainrule.networks.objective import Objective
from tests.cases import LAYER_CASES, LayerCase

ONE_OF_EACH = {type(case.make()): case for case in reversed(LAYER_CASES)}
# float32 squares 1e15, float64 1e100; the error is that of the largest entry.
MAGNITUDES = {"float32": (1e-15, 1e15), "float64": (1e-100, 1e100)}
TOLERANCE = {"float32": 1e-3, "float64": 1e-9}

# What does not hold there, and why.
EXCEPTIONS: dict[type[cr.Layer], str] = {
    **dict.fromkeys((cr.LpPool1D, cr.LpPool2D, cr.LpPool3D), "x^p, p up to 64, leaves the range"),
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
