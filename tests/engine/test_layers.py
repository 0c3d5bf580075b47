"""Every layer through the kernels: each case of tests/cases.py at every ISA level and at batches around the
lanes.

Kept apart (outputs, δ of the input, gradients), and fused between a layer below and an activation above.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.engine import Plan
from chainrule.engine.lowering.operations import OPERATIONS
from chainrule.layers import end_classes, layer_classes
from tests.cases import LAYER_CASES, LayerCase, inputs, output_delta, parameters
from tests.engine.harness import (
    MACHINES,
    Problem,
    assert_like_reference,
    away_from_kinks,
    batch_sizes,
    width,
)
from tests.pairwise import CHOICE

LARGEST_BATCH = 2 * 16 + 3  # of AVX-512 in float32


class Inner(cr.Loss):
    """⟨a, y⟩: its δ is y itself, so that a layer can be given any δ."""

    def value(self, a: Any, y: Any) -> Any:
        return (a * y).reshape(-1, a.shape[-1]).sum(axis=0)

    def gradient(self, a: Any, y: Any) -> Any:
        return y


@cache
def alone(case: LayerCase) -> Problem:
    """The layer as a network; the largest batch."""
    network = cr.Network([case.make()], input_shape=case.input_shape)
    network.set_parameters({f"{network.layers[0].name}.{key}": W for key, W in parameters(case).items()})
    X = inputs(case, LARGEST_BATCH).astype(np.float32)
    return Problem(network, X, output_delta(case, LARGEST_BATCH).astype(np.float32), Inner())


@cache
def between(case: LayerCase) -> Problem:
    """The layer between one with parameters, whose δ it must deliver, and an activation."""
    shape = case.input_shape
    below: list[cr.Layer] = {
        1: lambda: [cr.Dense(shape[0]), cr.Softplus()],
        2: lambda: [cr.Conv1D(shape[-1], 1), cr.Tanh()],
        3: lambda: [cr.Conv2D(shape[-1], 1), cr.Tanh()],
        4: lambda: [cr.Scale(), cr.Tanh()],
    }[len(shape)]()
    if case.ids:  # they stand at the input
        network = cr.Network([case.make(), cr.LeakyReLU(0.25)], input_shape=shape, seed=1)
        y = output_delta(case, LARGEST_BATCH).astype(np.float32)
        return Problem(network, inputs(case, LARGEST_BATCH).astype(np.float32), y, cr.SquaredError())
    own = case.make()
    # z - tanh z of a small z is all but 0, where the LeakyReLU has its kink.
    above: cr.Layer = cr.Tanh() if isinstance(own, cr.TanhShrink) else cr.LeakyReLU(0.25)
    network = cr.Network([*below, own, above], input_shape=shape, seed=1)
    y = output_delta(case, LARGEST_BATCH).astype(np.float32)
    for seed in range(100):
        X = np.random.default_rng(seed).standard_normal((LARGEST_BATCH, *shape)).astype(np.float32)
        if away_from_kinks(network, X):
            return Problem(network, X, y, cr.SquaredError())
    raise AssertionError(f"no batch of {case.id} is away from its kinks")


@cache
def expected(make: Any, case: LayerCase, samples: int) -> cr.Step:
    return make(case).first(samples).step()


def cases() -> Iterator[Any]:
    """Every case on every machine, by turns alone and between others; with --whole both."""
    for number, case in enumerate(LAYER_CASES):
        for place, machine in enumerate(MACHINES):
            turn = (number + place + place // 2 + CHOICE["draw"]) % 2
            for make in (alone, between) if CHOICE["whole"] else ((alone, between)[turn],):
                sizes = batch_sizes(width(*machine))
                if not CHOICE["whole"]:  # every case meets every size, on three of six machines, or of four
                    sizes = tuple(sizes[(number + place + 2 * step) % len(sizes)] for step in range(3))
                name = f"{case.id}-{'-'.join(machine)}-{make.__name__}"
                yield pytest.param(case, *machine, make, sizes, id=name)


@pytest.mark.parametrize(("case", "level", "dtype", "make", "sizes"), list(cases()))
def test_the_kernels_compute_the_formulas(
    case: LayerCase, level: str, dtype: str, make: Any, sizes: tuple[int, ...]
) -> None:
    for samples in {max(samples, case.fewest) for samples in sizes}:
        problem, step = make(case).first(samples), expected(make, case, samples)
        assert_like_reference(problem, level, dtype, samples, step)
    # a plan made for more: blocks that hold nothing, and a last one that holds one sample
    assert_like_reference(problem, level, dtype, 3 * samples, step)


@pytest.mark.parametrize("keep", [True, False])
def test_every_layer_is_native_and_has_cases(keep: bool) -> None:
    """One without an operation, or formulas that compile, would silently run on the host, or untested."""
    for case in LAYER_CASES:
        network = cr.Network([case.make()], input_shape=case.input_shape)
        assert not Plan(network, cr.SquaredError(), keep=keep)._built.hosts, case.id
    assert set(OPERATIONS) <= {*layer_classes.values(), *end_classes.values()}
    assert {type(case.make()) for case in LAYER_CASES} == set(layer_classes.values())
