"""Clipping and constraints where squares of the numbers are beyond their type, and the numbers are not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import reference
from chainrule.engine import Plan
from chainrule.formulas import sum_outputs
from chainrule.networks.batch import Batch
from tests.engine.harness import MACHINES

machines = pytest.mark.parametrize(("level", "dtype"), MACHINES)
SCALES = {
    "float32": (1e-32, 1e-28, 1e-20, 1e-5, 1.0, 1e10, 1e19, 1e25, 1e30, 1e34),
    "float64": (1e-300, 1e-200, 1e-100, 1.0, 1e19, 1e100, 1e160, 1e200, 1e300),
}
# Each has a way of its own: dense, direct convolution, and what is taken sample by sample.
NETWORKS: dict[str, tuple[tuple[int, ...], list[cr.Layer]]] = {
    "dense": ((3,), [cr.Dense(9), cr.Dense(2)]),
    "convolution": ((5, 5, 2), [cr.Conv2D(5, 3), cr.Flatten(), cr.Dense(2)]),
    "one by one": ((5, 5, 2), [cr.DepthwiseConv2D(3), cr.PReLU(), cr.Flatten(), cr.Dense(2)]),
}
SAMPLES = 11


@dataclass(frozen=True)
class Times(cr.Loss):
    """s Σ a: δ is s, however large or small."""

    s: float = 1.0

    def value(self, a: Any, y: Any) -> Any:
        return sum_outputs(self.s * a)

    def gradient(self, a: Any, y: Any) -> Any:
        return self.s + 0 * a


def problem(name: str, dtype: str) -> tuple[cr.Network, Any, Any]:
    shape, layers = NETWORKS[name]
    network = cr.Network(layers, input_shape=shape, dtype=dtype, seed=1)
    X = np.random.default_rng(2).standard_normal((SAMPLES, *shape)).astype(np.float32)
    return network, X, np.zeros((SAMPLES, 2))


def tolerance(dtype: str) -> float:
    return 300 * float(np.finfo(dtype).eps)


@machines
@pytest.mark.parametrize("name", NETWORKS)
def test_norms_of_samples_at_every_scale(name: str, level: str, dtype: str) -> None:
    network, X, y = problem(name, dtype)
    unit = reference.ReferenceExecutor().sample_norms(network, Batch(X, y), Times())
    for scale in SCALES[dtype]:
        plan = Plan(network, Times(scale), batch_size=SAMPLES, dtype=dtype, level=level, per_sample=True)
        np.testing.assert_allclose(plan.norms(X, y)[1] / scale, unit, rtol=tolerance(dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_step_has_the_norms_of_its_samples_at_every_scale(dtype: str) -> None:
    network, X, y = problem("dense", dtype)
    unit = network.backpropagate(X, y, loss=Times()).per_sample_norms()
    for scale in SCALES[dtype]:
        for executor in (None, reference.ReferenceExecutor()):
            own = network.copy()
            own.set_executor(executor)
            found = own.backpropagate(X, y, loss=Times(scale)).per_sample_norms()
            np.testing.assert_allclose(found / scale, unit, rtol=tolerance(dtype))


@machines
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("option", ["clip_norm", "clip_sample_norm"])
def test_a_clipped_step_is_as_long_as_the_limit_at_every_scale(
    name: str, option: str, level: str, dtype: str
) -> None:
    network, X, y = problem(name, dtype)
    before = {k: v.copy() for k, v in network.parameters.items()}
    moved = {}
    for scale in (own for own in SCALES[dtype] if own >= 1):  # otherwise nothing is clipped
        options: dict[str, Any] = {option: 1e-3}
        plan = Plan(
            network,
            Times(scale),
            optimizer=cr.SGD(1.0, **options),
            batch_size=SAMPLES,
            dtype=dtype,
            level=level,
        )
        plan.train_epoch(X, y.astype(dtype), np.arange(SAMPLES), np.ones(1))
        steps = [(before[k] - v).astype(np.float64).ravel() for k, v in plan.parameters().items()]
        moved[scale] = np.concatenate(steps)
    first = next(iter(moved.values()))
    assert np.linalg.norm(first) == pytest.approx(1e-3, rel=1e-3 if option == "clip_norm" else 1.0)
    for scale, step in moved.items():  # only the direction counts
        np.testing.assert_allclose(step, first, atol=2 * tolerance(dtype) * 1e-2, err_msg=str(scale))


@machines
def test_a_small_gradient_is_clipped_to_a_smaller_limit(level: str, dtype: str) -> None:
    network, X, y = problem("dense", dtype)
    network.parameters.update({name: 0 * value for name, value in network.parameters.items()})
    scale = SCALES[dtype][0]
    plan = Plan(
        network,
        Times(scale),
        optimizer=cr.SGD(1.0, clip_norm=scale / 100),
        batch_size=SAMPLES,
        dtype=dtype,
        level=level,
    )
    plan.train_epoch(X, y.astype(dtype), np.arange(SAMPLES), np.ones(1))
    length = np.linalg.norm(np.concatenate([v.ravel() / scale for v in plan.parameters().values()]))
    assert length == pytest.approx(0.01, rel=tolerance(dtype))


@machines
def test_max_norm_at_every_scale(level: str, dtype: str) -> None:
    """Weights of any size come to the limit in their own direction, those within it stay as they are."""
    for name, shape, layer in (("dense1.W", (5,), cr.Dense(19)), ("conv1.W", (4, 4, 2), cr.Conv2D(3, 2))):
        for scale in SCALES[dtype]:
            network = cr.Network([layer], input_shape=shape, dtype=dtype, seed=3)
            W = network.parameters[name].astype(np.float64)
            network.parameters[name] = W * scale
            spec = network.parameter_specs[name]
            for limit in (scale / 10, scale * 100):
                expected = cr.MaxNorm(limit / scale).apply(W, spec) * scale
                np.testing.assert_allclose(
                    cr.MaxNorm(limit).apply(network.parameters[name], spec) / scale,
                    expected / scale,
                    rtol=tolerance(dtype),
                )
                plan = Plan(
                    network,
                    cr.SquaredError(),
                    optimizer=cr.SGD(1.0),
                    batch_size=2,
                    dtype=dtype,
                    level=level,
                    constraint=cr.MaxNorm(limit),
                )
                zeros = np.zeros((2, *shape), dtype), np.zeros((2, *network.output_shape), dtype)
                plan.train_epoch(*zeros, np.arange(2), np.zeros(1))
                np.testing.assert_allclose(
                    plan.parameters()[name] / scale, expected / scale, rtol=tolerance(dtype)
                )
