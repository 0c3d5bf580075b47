"""Probes: other numbers, other sizes, one sample, large numbers, ties; and what sizes leave untold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from tests.verifying import backwards as b

from chainrule.base.types import Array
from chainrule.verifying.precision import rounded
from chainrule.verifying.probes import (
    Probe,
    apart,
    different_sizes,
    fresh,
    has_ties,
    held,
    linked_sizes,
    not_told_apart,
    probes,
)
from chainrule.verifying.verify import verify


def affine(args: Sequence[Array]) -> Array:
    return np.asarray(args[0] @ args[1] + args[2])


def convolution(args: Sequence[Array]) -> Array:
    x, w, c = args
    if x.shape[1] != w.shape[1] or c.shape != w.shape[:1]:
        raise ValueError("shapes")
    return np.asarray(b.convolution(1, 0)(*args)[0])


SQUARE = (*(np.random.default_rng(seed).normal(size=(4, 4)) for seed in (0, 1)), np.zeros(4))
IMAGES = tuple(np.random.default_rng(0).normal(size=s) for s in ((3, 3, 3, 3), (3, 3, 3, 3), (3,)))


def test_sizes_that_are_equal_become_different_as_far_as_forward_takes_them() -> None:
    made = different_sizes(SQUARE, affine, np.random.default_rng(0))
    assert made is not None
    (m, inputs), (_, units), _ = (value.shape for value in made)
    assert len({m, inputs, units, 4}) == 4
    assert affine(made).shape == (m, units)


def test_sizes_of_images_and_kernels_change() -> None:
    made = different_sizes(IMAGES, convolution, np.random.default_rng(0))
    assert made is not None
    x, w, c = (value.shape for value in made)
    assert convolution(made).ndim == 4
    assert len({*x, w[0]}) == 5
    assert c == w[:1]


@pytest.mark.parametrize("seed", range(12))
def test_sizes_come_with_numbers_that_forward_takes(seed: int) -> None:
    """Positions, of which floor is an index, may lie outside where they are drawn anew."""

    def sampled(args: Sequence[Array]) -> Array:
        low = np.floor(args[1]).astype(int)
        return np.asarray(args[0][low] + args[0][low + 1])

    given = np.random.default_rng(seed).normal(size=(9, 3)), np.array([0.3, 2.6, 2.2, 5.9, 7.4])
    for make in (linked_sizes, different_sizes):
        made = make(given, sampled, np.random.default_rng(seed))
        if made is not None:
            sampled(made)


def test_a_forward_of_one_size_keeps_it() -> None:
    def fixed(args: Sequence[Array]) -> Array:
        if args[0].shape != (4, 4):
            raise ValueError("shape")
        return args[0]

    assert different_sizes(SQUARE[:1], fixed, np.random.default_rng(0)) is None
    tried = probes(SQUARE[:1], fixed, [(0, 0)], 0, accepts=lambda probe, out, resized: True)
    assert {probe.args[0].shape for probe in tried} == {(4, 4)}
    (note,) = not_told_apart(tried, ["x"])
    assert "the axes 0 and 1 of x have the size 4 on every probe" in note.en
    tried = probes(SQUARE, affine, [(0, 0)], 0, accepts=lambda probe, out, resized: True)
    assert not not_told_apart(tried, ["x", "w", "b"])


def test_the_kinds_of_probes() -> None:
    tried = probes(b.AFFINE, affine, [(0, 0)], 0, accepts=lambda probe, out, resized: True)
    assert np.array_equal(tried[0].args[0], b.AFFINE[0])
    counts = {len(probe.args[0]) for probe in tried}
    assert {1, 3, 4, 5} <= counts
    assert [probe.tied for probe in tried] == [False] * (len(tried) - 1) + [True]
    assert max(np.abs(p.args[0]).max() for p in tried) > 2 * np.abs(b.AFFINE[0]).max()
    assert all(probe.delta.shape == affine(probe.args).shape for probe in tried)
    again = probes(b.AFFINE, affine, [(0, 0)], 0, accepts=lambda probe, out, resized: True)
    assert all(np.array_equal(one.args[0], other.args[0]) for one, other in zip(tried, again, strict=True))


def test_probes_of_other_sizes_that_mean_something_else_are_left_out() -> None:
    def accepts(probe: Probe, out: Array, resized: bool) -> bool:
        return not resized or probe.args[0].shape[1] == 4

    tried = probes(b.AFFINE, affine, [(0, 0)], 0, accepts=accepts)
    assert all(probe.args[0].shape[1] == 4 for probe in tried)
    assert {len(probe.args[0]) for probe in tried} == {1, 3, 4, 5}


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
@pytest.mark.parametrize("size", [3, 40, 900])
def test_in_small_formats_numbers_are_held_and_differ(precision: str, size: int) -> None:
    dtype = np.float16 if precision == "float16" else np.float32
    value = held(np.random.default_rng(size).normal(size=(size,)).astype(dtype), precision)
    made = apart(value, precision)
    assert made.dtype == dtype
    assert not has_ties(made)
    assert np.array_equal(rounded(made, precision), made)
    assert np.abs(made - value).max() < 0.5


def test_given_numbers_with_ties_are_probes_with_ties() -> None:
    x = np.array([[1.0, 1.0], [0.0, 2.0]])
    assert probes((x,), lambda args: np.maximum(args[0], 0), [(0, 0)], 0)[0].tied


def test_a_mistake_that_equal_sizes_hide_shows_on_other_sizes() -> None:
    args = tuple(np.resize(np.cos(np.arange(40.0)), (4,) * a.ndim) for a in b.AFFINE)
    pair = (b.affine, b.affine_of(dw=lambda d, x, w: x.T @ d * (len(w) / len(d))))
    assert not verify(pair, args=args, like="dense")


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_scale_of_ones_and_a_bias_of_zeros_get_other_numbers(value: float) -> None:
    """With which a missing factor shows; flags stay flags."""
    rng = np.random.default_rng(0)
    assert np.unique(fresh(np.full(6, value), (6,), rng)).size == 6
    assert set(fresh(np.array([0.0, 1, 1, 0, 1]), (20,), rng)) == {0.0, 1.0}
