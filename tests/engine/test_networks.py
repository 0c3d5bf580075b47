"""Whole networks through the engine: random ones, and those in which some part of the lowering is at its
edge.
"""

from __future__ import annotations

import gc
import weakref
from functools import cache
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import reference
from chainrule.engine import Plan
from chainrule.engine.lowering.convolutions import winograd_applies
from tests import by_formula
from tests.engine.harness import (
    MACHINES,
    SAFETY,
    Array,
    Problem,
    assert_close,
    assert_like_reference,
    away_from_kinks,
    machines_by_turns,
    same_bits,
    summed_terms,
)
from tests.engine.problems import random_problem

FAMILIES = {"dense": 24, "direct": 36, "winograd": 30, "apart": 30, "sequence": 24, "normalized": 30}
NETWORKS = [(family, seed) for family, count in FAMILIES.items() for seed in range(count)]
machines = pytest.mark.parametrize(("level", "dtype"), MACHINES)

problem_of = cache(random_problem)


@pytest.mark.parametrize(("family", "seed"), NETWORKS)
def test_random_networks(family: str, seed: int) -> None:
    problem = problem_of(seed, family)
    step = problem.step()
    for level, dtype in machines_by_turns(seed):
        assert_like_reference(problem, level, dtype, len(problem.X), step)


@pytest.mark.parametrize(("family", "seed"), [(family, seed) for family in FAMILIES for seed in range(3)])
@machines
def test_prediction_and_evaluation_in_parts(family: str, seed: int, level: str, dtype: str) -> None:
    """47 samples in batches of 10: four whole ones and a ragged one."""
    problem = problem_of(seed, family)
    r = np.random.default_rng(seed)
    pick = r.integers(0, len(problem.X), 47)
    X, y, weights = problem.X[pick], problem.y[pick], r.random(47)
    weights /= weights.mean()
    plan = problem.plan(level, dtype, keep=False, batch_size=10)
    tolerance = SAFETY * float(np.finfo(dtype).eps) * summed_terms(problem.network, 10)
    expected = reference.forward(problem.network, X)
    assert_close({"a": plan.predict(X)}, {"a": expected}, tolerance, "predicted")

    result = plan.evaluate(X, y, weights)
    assert result.loss == pytest.approx(
        by_formula.data_loss(problem.network, X, y, problem.loss, weights), rel=tolerance, abs=tolerance
    )
    if isinstance(problem.loss, cr.SquaredError):
        assert result.accuracy is None
    else:
        assert result.accuracy == pytest.approx(accuracy(problem.loss, expected, y), abs=1e-6)


def accuracy(loss: cr.Loss, a: Array, y: Array) -> float:
    if isinstance(loss, cr.BinaryCrossEntropy):
        return float(((a > 0.5) == (y > 0.5)).mean())
    classes = y if y.ndim < a.ndim else y.argmax(axis=-1)
    return float((a.argmax(axis=-1) == classes).mean())


def test_the_random_networks_reach_everything() -> None:
    """Every layer but those that want sequences, every loss, both kinds of convolution, with and without
    biases, penalties and weights.
    """
    problems = [problem_of(seed, family) for family, seed in NETWORKS]
    layers = {type(layer) for problem in problems for layer in problem.network.layers}
    sequences = {
        cr.Masking,
        cr.Embedding,
        cr.PositionalEncoding,
        cr.LearnedPositions,
        cr.MultiHeadAttention,
        cr.RNN,
        cr.LSTM,
        cr.GRU,
    }
    # Programs, which the cases of single layers and tests/engine/test_programs.py are about.
    programs = {
        *(cr.ReLU6, cr.LogSigmoid, cr.LogSoftmax, cr.CELU, cr.Threshold, cr.GLU, cr.SwiGLU),
        *(cr.HardShrink, cr.SoftShrink, cr.TanhShrink, cr.ParametricActivation, cr.Floor, cr.Wrap),
        *(cr.Features, cr.Scale, cr.PeriodicEmbedding, cr.Clamp),
    }
    # And what moves pixels, by tests/layers/test_edges.py.
    programs |= {cr.Pad1D, cr.Pad2D, cr.Crop1D, cr.Crop2D, cr.UpSample1D, cr.UpSample2D, cr.PixelShuffle}
    programs |= {cr.Permute, cr.Reshape, cr.Resample, cr.Bias, cr.LpPool1D, cr.LpPool2D}
    programs |= {cr.InstanceNorm, cr.LocalResponseNorm, cr.DenseTranspose}
    # Adaptive pools are the pools of equal windows, or gathers: tests/layers/test_adaptive.py.
    programs |= {layer for name, layer in cr.layers.layer_classes.items() if "Adaptive" in name}
    # Volumes are lowered to images, and unpooling to gathers: the cases of single layers.
    programs |= {layer for name, layer in cr.layers.layer_classes.items() if "3D" in name or "Unpool" in name}
    assert layers - programs == set(cr.layers.layer_classes.values()) - sequences - programs  # tested apart
    losses = {(type(problem.loss), problem.y.dtype == np.int64) for problem in problems}
    assert losses == {
        (cr.SquaredError, False),
        (cr.BinaryCrossEntropy, False),
        (cr.CrossEntropy, False),
        (cr.CrossEntropy, True),
    }
    assert {problem.penalty for problem in problems} == {None, cr.L2(0.03), cr.L2(0.7, per_sample=True)}
    assert {problem.weights is None for problem in problems} == {True, False}
    pads = set()
    for problem in problems:
        shapes = [problem.network.input_shape, *list(problem.network.shapes.values())[1:]]
        for layer, before, after in zip(problem.network.layers, shapes, shapes[1:], strict=False):
            if isinstance(layer, cr.Conv2D) and winograd_applies(layer, before, after, 1):
                pads.update((pad, before[0] % 2, after[0] % 2) for pad in layer.pads(before)[0])
    assert {pad for pad, _, _ in pads} == {0, 1, 2}
    assert {(odd, ragged) for _, odd, ragged in pads} == {(0, 0), (0, 1), (1, 0), (1, 1)}


# -- parts of the lowering at their edge ---------------------------------------------------------------------

C, D, I = cr.Conv2D, cr.Dense, cr.Identity  # noqa: E741
IMAGE = (5, 6, 9)
SPECIAL: dict[str, tuple[tuple[int, ...], list[cr.Layer]]] = {
    "identity before padding": (IMAGE, [C(8, 3), cr.ReLU(), I(), I(), C(3, 3, padding=1)]),
    "identity before winograd": (IMAGE, [C(3, 1), I(), cr.Tanh(), I(), C(8, 3), C(8, 3, padding=2)]),
    "identity first": (IMAGE, [I(), C(3, 3, padding=1)]),
    "identity fused before padding": (IMAGE, [C(8, 2), I(), C(9, 3, padding=1)]),
    "identity everywhere": ((4,), [I(), D(3), I(), I(), cr.ReLU(), I(), D(2), I()]),
    "pool before padding": (IMAGE, [cr.MaxPool2D(2, 1), C(8, 3, padding=2), cr.GELU(), C(8, 3, padding=1)]),
    "flatten first": (IMAGE, [cr.Flatten(), D(3)]),
    "flatten last": (IMAGE, [C(8, 3, padding=1), cr.GELU(), cr.Flatten()]),
    "flatten twice": (IMAGE, [C(8, 3, padding=1), cr.Flatten(), cr.Flatten(), D(3)]),
    "flatten a vector": ((4,), [D(3), cr.Flatten(), cr.Flatten(), D(2)]),
    "flatten alone": (IMAGE, [cr.Flatten()]),
    "flatten behind winograd": (IMAGE, [C(8, 3), cr.Flatten(), cr.Tanh(), D(3)]),
    "flatten between": (IMAGE, [C(8, 3), cr.GELU(), cr.Flatten(), I(), cr.GELU(), D(5), cr.Flatten()]),
    "flatten a fused z": (IMAGE, [C(3, 2), cr.LeakyReLU(-0.5), cr.Flatten(), D(3)]),
    "only an activation": ((7,), [cr.GELU()]),
    "only a softmax": ((7,), [cr.Softmax()]),
    "only an identity": ((7,), [I()]),
    "activations without weights": ((7,), [cr.Tanh(), cr.Softplus(), cr.Sigmoid()]),
    "activation first": (IMAGE, [cr.GELU(), C(8, 3, padding=1)]),
    "pool first": (IMAGE, [cr.AveragePool2D(2, 1), C(8, 3), cr.MaxPool2D(2)]),
    "pool of pool": (
        IMAGE,
        [C(8, 2), cr.ReLU(), cr.MaxPool2D(2, 1), cr.AveragePool2D(2, 1), cr.MaxPool2D(2)],
    ),
    "gelu into pool": (
        IMAGE,
        [C(8, 2), cr.GELU(), cr.MaxPool2D(2), C(3, 2), cr.LeakyReLU(-0.3), cr.AveragePool2D(1)],
    ),
    "softmax inside": ((9,), [D(17), cr.Softmax(), D(5), cr.Softmax(), cr.Tanh()]),
    "softmax of channels": (IMAGE, [C(8, 3), cr.Softmax(), C(8, 3, padding=2), cr.Softmax()]),
    "activation upon activation": (
        (9,),
        [D(17), cr.ReLU(), cr.Tanh(), cr.GELU(), cr.Softplus(), D(3), cr.Sigmoid(), cr.ReLU()],
    ),
    "one pixel": (
        (1, 1, 8),
        [C(8, 3, padding=1), cr.ReLU(), C(8, 3, padding=2), cr.MaxPool2D(3), cr.Flatten(), D(2)],
    ),
}
ENDS: dict[str, tuple[list[cr.Layer], cr.Loss]] = {
    "squared": ([], cr.SquaredError()),
    "mean squared": ([], cr.SquaredError(mean_outputs=True)),
    "binary": ([cr.Sigmoid()], cr.BinaryCrossEntropy()),
    "relu into softmax": ([cr.ReLU(), cr.Softmax()], cr.CrossEntropy()),
    "gelu into softmax": ([cr.GELU(), cr.Softmax()], cr.CrossEntropy()),
    "flatten into softmax": ([cr.Flatten(), cr.Softmax()], cr.CrossEntropy()),
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("name", SPECIAL)
def test_special_networks(name: str, end: str) -> None:
    shape, layers = SPECIAL[name]
    last, loss = ENDS[end]
    network = cr.Network([*layers, *last], input_shape=shape, seed=2)
    r = np.random.default_rng(3)
    y: Any = r.random((5, *network.output_shape)).astype(np.float32)
    if isinstance(loss, cr.CrossEntropy):
        y = r.integers(0, network.output_shape[-1], y.shape[:-1])
    X = next(
        X
        for X in (r.standard_normal((5, *shape)).astype(np.float32) for _ in range(200))
        if away_from_kinks(network, X)
    )
    problem = Problem(network, X, y, loss)
    step = problem.step()
    for level, dtype in machines_by_turns([*SPECIAL].index(name) + [*ENDS].index(end)):
        assert_like_reference(problem, level, dtype, 5, step)


# -- exactly at the kinks ------------------------------------------------------------------------------------

QUARTERS = (
    4  # weights and inputs are small multiples of 1/4, so that float32 and float64 compute without rounding
)
EXACT: dict[str, tuple[tuple[int, ...], list[cr.Layer]]] = {
    "dense": ((9,), [D(33), cr.ReLU(), D(17), cr.LeakyReLU(0.25), D(3), cr.ReLU()]),
    "direct": (
        (6, 5, 3),
        [C(5, 2, padding=1), cr.ReLU(), cr.MaxPool2D(3, 1), C(3, 2), cr.LeakyReLU(0.5), cr.MaxPool2D(2)],
    ),
    "winograd": (
        (7, 6, 8),
        [C(9, 3, padding=1), cr.LeakyReLU(0.5), cr.MaxPool2D(2), C(8, 3, padding=2), cr.ReLU()],
    ),
    "pools": (
        (6, 7, 3),
        [C(8, 1), cr.ReLU(), cr.MaxPool2D(2), cr.AveragePool2D((1, 2)), I(), cr.MaxPool2D((3, 1), 1)],
    ),
}


@pytest.mark.parametrize("name", EXACT)
@machines
def test_exact_at_zeros_and_ties(name: str, level: str, dtype: str) -> None:
    """f'(0) and the first of equal maxima, as the formulas say: sums are exact, so the results are equal
    to the bit.
    """
    shape, layers = EXACT[name]
    network = cr.Network(layers, input_shape=shape)
    r = np.random.default_rng(11)
    small = {key: r.integers(-2, 3, array.shape) / QUARTERS for key, array in network.parameters.items()}
    network.set_parameters(small)
    X = (r.integers(-2, 3, (16, *shape)) / QUARTERS).astype(np.float32)
    y = (r.integers(-2, 3, (16, *network.output_shape)) / QUARTERS).astype(np.float32)
    problem = Problem(network, X, y, cr.SquaredError())
    passes = reference.run_forward(network, reference.to_columns(X, np.float64), None, np.float64)
    kinked = [one.x for one in passes if isinstance(one.layer, cr.ReLU | cr.LeakyReLU)]
    assert sum((x == 0).sum() for x in kinked) > 20, "the test has no kinks to test"

    step = problem.step()
    loss, activations, deltas, gradients = problem.plan(level, dtype, keep=True).inspect(X, y)
    _, fused = problem.plan(level, dtype, keep=False).gradients(X, y)
    assert loss == step.loss
    for actual, expected in (
        (activations, step.activations),
        (deltas, step.deltas),
        (gradients, step.gradients),
        (fused, step.gradients),
    ):
        for key in expected:
            np.testing.assert_array_equal(actual[key], expected[key], err_msg=key)


# -- what must not change anything ---------------------------------------------------------------------------


@machines
def test_a_batch_does_not_see_the_one_before(level: str, dtype: str) -> None:
    """A partial batch after a full one of huge values: the same bits as on a fresh plan."""
    for family, seed in (("dense", 1), ("direct", 1), ("direct", 4), ("winograd", 2)):
        problem = problem_of(seed, family)
        few = problem.first(max(1, len(problem.X) // 2))
        for keep in (True, False):
            used, fresh = (problem.plan(level, dtype, keep=keep, batch_size=45) for _ in range(2))
            huge = np.full((45, *problem.network.input_shape), 3e37, np.float32)
            targets = np.resize(problem.y, (45, *problem.y.shape[1:])).astype(problem.y.dtype)
            used.gradients(huge, targets)
            _, poisoned = used.gradients(few.X, few.y, few.weights)
            _, clean = fresh.gradients(few.X, few.y, few.weights)
            assert same_bits(poisoned, clean), f"{family} {seed} keep={keep}"
            assert all(np.isfinite(array).all() for array in clean.values())
            assert used.predict(few.X).tobytes() == fresh.predict(few.X).tobytes()


@machines
def test_strides_of_the_callers_arrays_do_not_matter(level: str, dtype: str) -> None:
    problem = problem_of(0, "direct")
    plan = problem.plan(level, dtype, keep=False)
    _, expected = plan.gradients(problem.X, problem.y, problem.weights)
    turned = np.asfortranarray(problem.X)
    wide = np.empty((2 * len(turned), *turned.shape[1:]), np.float64)
    wide[::2] = turned
    targets = np.repeat(problem.y, 2, axis=0)[::2]
    for X in (turned, wide[::2], problem.X.astype(np.float64)):
        _, actual = plan.gradients(X, targets, problem.weights)
        assert same_bits(actual, expected)


def test_parameters_come_back_as_they_went_in() -> None:
    """Dense weights are kept in panels: every shape around the lanes survives the way there and back."""
    for units in (1, 7, 8, 9, 16, 17, 33):
        network = cr.Network([C(units, 3), cr.Flatten(), D(units), D(3)], input_shape=(4, 4, 2), seed=4)
        for level, dtype in MACHINES:
            plan = Plan(network, dtype=dtype, level=level, batch_size=3)
            assert all(np.array_equal(plan.parameters()[key], W) for key, W in network.parameters.items())


def test_a_network_that_was_used_can_be_freed() -> None:
    """The plans that `predict` and `backpropagate` keep must not keep the network."""
    network = cr.Network([cr.Dense(3), cr.Softmax()], input_shape=4)
    X, y = np.zeros((5, 4)), np.zeros(5, int)
    network.predict(X)
    network.backpropagate(X, y)
    network.predict(X)
    gone = weakref.ref(network)
    del network
    gc.collect()
    assert gone() is None
