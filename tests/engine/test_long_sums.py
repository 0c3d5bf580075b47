"""Sums of very many float32 terms, wherever a kernel takes one, against the formulas in float64.

All terms are positive, so that relative errors mean something. Kernels sum runs of 256 terms (fold_terms in
native/kernels/api.hpp) and add these in double: a run is wrong by at most 256 halves of an eps, which equal
terms come near, and by about √256 of them for terms at random.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.engine import Plan
from chainrule.formulas import exp, sum_outputs
from tests import by_formula
from tests.cases import LAYER_CASES, LayerCase, parameters
from tests.engine.harness import LEVELS
from tests.engine.test_layers import alone
from tests.pairwise import pairwise

TERMS = 2**17
EPS = float(np.finfo(np.float32).eps)
EQUAL, RANDOM = 256 * EPS / 2, 16 * EPS


@dataclass(frozen=True)
class Exponential(cr.Loss):
    """A loss of one's own, which runs as a program."""

    def value(self, a: Any, y: Any) -> Any:
        return sum_outputs(exp(a - y))

    def gradient(self, a: Any, y: Any) -> Any:
        return exp(a - y)


# layers, shape of a sample, samples, loss
CASES: dict[str, tuple[list[cr.Layer], tuple[int, ...], int, cr.Loss]] = {
    "squared error": ([cr.ReLU()], (TERMS,), 1, cr.SquaredError()),
    "absolute error": ([cr.ReLU()], (TERMS,), 1, cr.MeanAbsoluteError()),
    "Huber": ([cr.ReLU()], (TERMS,), 1, cr.Huber(0.2)),
    "Poisson": ([cr.ReLU()], (TERMS,), 1, cr.Poisson(log_input=True)),
    "hinge": ([cr.ReLU()], (TERMS,), 1, cr.Hinge()),
    "binary cross-entropy": ([cr.Sigmoid()], (TERMS,), 1, cr.BinaryCrossEntropy()),
    "a loss of one's own": ([cr.ReLU()], (TERMS,), 1, Exponential()),
    "softmax": ([cr.Softmax()], (TERMS,), 1, cr.SquaredError()),
    "softmax of pixels": ([cr.Softmax()], (2, 2, TERMS // 8), 1, cr.SquaredError()),
    "dense, one sample": ([cr.Dense(2)], (TERMS,), 1, cr.SquaredError()),
    "dense, some samples": ([cr.Dense(2)], (TERMS // 4,), 35, cr.SquaredError()),
    "dense, many samples": ([cr.Dense(2)], (3,), TERMS // 2, cr.SquaredError()),
    "dense, δ": ([cr.Dense(TERMS // 4), cr.Dense(1)], (3,), 9, cr.SquaredError()),
    "convolution, one sample": ([cr.Conv1D(1, 3)], (TERMS, 1), 1, cr.SquaredError()),
    "convolution, some samples": ([cr.Conv1D(2, 3)], (TERMS // 8, 1), 17, cr.SquaredError()),
    "convolution of pixels": ([cr.Conv2D(3, 2)], (400, 400, 1), 1, cr.SquaredError()),
    "convolution of a tall image": ([cr.Conv2D(1, 2)], (TERMS // 4, 2, 1), 1, cr.SquaredError()),
    "Winograd": ([cr.Conv2D(16, 3)], (48, 48, 16), 3, cr.SquaredError()),
    "depthwise": ([cr.DepthwiseConv2D(3)], (400, 400, 1), 1, cr.SquaredError()),
    "transposed": ([cr.ConvTranspose1D(1, 3)], (TERMS, 1), 1, cr.SquaredError()),
    "global average": ([cr.GlobalAveragePool()], (TERMS, 1), 1, cr.SquaredError()),
    "average": ([cr.AveragePool1D(4096)], (8192, 1), 1, cr.SquaredError()),
    "L2": ([cr.L2Pool1D(4096)], (8192, 1), 1, cr.SquaredError()),
    "masked average": ([cr.Masking(), cr.GlobalAveragePool()], (TERMS, 1), 1, cr.SquaredError()),
    "RMSNorm": ([cr.RMSNorm()], (TERMS,), 1, cr.SquaredError()),
    "LayerNorm, β": ([cr.LayerNorm()], (TERMS // 4, 3), 1, cr.SquaredError()),
    "embedding": ([cr.Embedding(3, 5)], (TERMS,), 1, cr.SquaredError()),
    "embedding, many samples": ([cr.Embedding(3, 17)], (2,), TERMS // 2, cr.SquaredError()),
    "PReLU": ([cr.PReLU()], (TERMS, 1), 1, cr.SquaredError()),
}
# What is a difference of such sums, or a sum of positive and negative terms, is not among what is compared.
DIFFERENCES = {name: {"input"} for name in ("hinge", "softmax", "softmax of pixels", "RMSNorm")}
LEFT_OUT = {"LayerNorm, β": {"layernorm1", "layernorm1.gamma", "input"}, **DIFFERENCES}


@lru_cache(maxsize=1)  # for one level after the other; all of them together would be hundreds of MB
def problem(case: str, kind: str) -> tuple[cr.Network, Any, Any, cr.Step]:
    """A network, a batch, and what the formulas make of it."""
    layers, shape, samples, loss = CASES[case]
    network = cr.Network(layers, input_shape=shape, seed=0)
    for name, value in network.parameters.items():
        if value.ndim > 1:
            network.parameters[name] = np.full(value.shape, 0.1)
    X = np.full((samples, *shape), 0.1, np.float32)
    if isinstance(layers[0], cr.Embedding):
        X = np.zeros((samples, *shape))
        network.parameters["embedding1.E"] = np.full((3, layers[0].features), 0.1)
    elif kind == "random":
        X = np.random.default_rng(0).uniform(0.05, 1.05, X.shape).astype(np.float32)
    X = -X if case == "PReLU" else X  # where its slope is
    y = np.zeros((samples, *network.output_shape))
    return network, X, y, by_formula.backpropagate(network, X, y, loss)


@pytest.mark.parametrize(("kind", "case", "level"), pairwise(["equal", "random"], CASES, LEVELS))
def test_long_sums_keep_their_digits(case: str, kind: str, level: str) -> None:
    network, X, y, step = problem(case, kind)
    tolerance = (EQUAL if kind == "equal" else RANDOM) * (2 if case == "dense, δ" else 1) + 8 * EPS
    left_out = LEFT_OUT.get(case, set())
    plan = Plan(network, CASES[case][-1], batch_size=len(X), level=level, keep=True)
    value, activations, deltas, gradients = plan.inspect(X, y)
    assert value == pytest.approx(step.loss, rel=2 * tolerance)  # twice: of squares
    for found, expected in (
        (activations, step.activations),
        (deltas, step.deltas),
        (gradients, step.gradients),
    ):
        for name, array in expected.items():
            if name not in left_out:
                np.testing.assert_allclose(found[name], array, rtol=2 * tolerance, atol=0, err_msg=name)


COPIES = 2**12


@pytest.mark.parametrize("case", [case for case in LAYER_CASES if parameters(case)], ids=lambda case: case.id)
def test_many_copies_of_a_batch_have_its_gradients(case: LayerCase) -> None:
    """Every parameter of every layer: sums of 4,096 times as many terms, which are all alike."""
    problem = alone(case).first(max(case.samples, case.fewest))
    expected = problem.step().gradients
    X, y = (np.tile(rows, (COPIES, *[1] * (rows.ndim - 1))) for rows in (problem.X, problem.y))
    _, found = Plan(problem.network, problem.loss, batch_size=len(X)).gradients(X, y)
    for name, array in expected.items():
        scale = float(np.abs(array).max())
        np.testing.assert_allclose(found[name], array, rtol=0, atol=EQUAL * scale, err_msg=name)
