"""Initial weights: their scale, their names, their reproducibility."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from chainrule.layers import initializers as I
from chainrule.layers.initializers import initializer_from, initializers

SHAPE, FAN_IN, FAN_OUT = (400, 300), 300, 400
SIZE = 400 * 300


@pytest.mark.parametrize(
    ("initializer", "deviation"),
    [
        (I.He(), math.sqrt(2 / FAN_IN)),
        (I.Glorot(), math.sqrt(2 / (FAN_IN + FAN_OUT))),
        (I.Normal(), 1.0),
        (I.Normal(0.3), 0.3),
        (I.ScaledNormal(), 1 / math.sqrt(FAN_IN)),
        (I.Uniform(0.12), 0.12 / math.sqrt(3)),
    ],
)
def test_scale(initializer: I.Initializer, deviation: float) -> None:
    weights = initializer(SHAPE, FAN_IN, FAN_OUT, np.random.default_rng(0))
    assert weights.shape == SHAPE
    assert weights.dtype == np.float64
    # six standard errors of the mean, and of the deviation of a normal sample
    assert abs(weights.mean()) < 6 * deviation / math.sqrt(SIZE)
    assert abs(weights.std() / deviation - 1) < 6 / math.sqrt(2 * SIZE)
    np.testing.assert_array_equal(weights, initializer(SHAPE, FAN_IN, FAN_OUT, np.random.default_rng(0)))


def test_uniform_ones_stay_within_their_limits() -> None:
    rng = np.random.default_rng(0)
    assert np.abs(I.Uniform(0.12)(SHAPE, 1, 1, rng)).max() <= 0.12
    assert np.abs(I.Glorot()(SHAPE, FAN_IN, FAN_OUT, rng)).max() <= math.sqrt(6 / (FAN_IN + FAN_OUT))


def test_constants() -> None:
    rng = np.random.default_rng(0)
    assert not I.Zeros()((2, 3), 1, 1, rng).any()
    assert (I.Ones()((2, 3), 1, 1, rng) == 1).all()
    assert (I.Constant(-0.5)((2, 3), 1, 1, rng) == -0.5).all()


@pytest.mark.parametrize(
    "name", ["he", "He", "glorot", "xavier", "normal", "nielsen", "scaled_normal", "zeros", "ones"]
)
def test_names(name: str) -> None:
    assert isinstance(initializer_from(name), I.Initializer)


def test_config_makes_the_same_initializer() -> None:
    for cls in initializers.values():
        assert initializer_from(cls().config()) == cls()
    assert initializer_from(I.Normal(0.2).config()) == I.Normal(0.2)
    assert initializer_from(I.He()) == I.He()


def test_a_function_of_ones_own() -> None:
    own = initializer_from(lambda shape, fan_in, fan_out, rng: np.full(shape, fan_in))
    assert (own((2, 2), 3, 4, np.random.default_rng(0)) == 3).all()
    assert own.config() is None
    wrong = initializer_from(lambda shape, fan_in, fan_out, rng: np.zeros(1))
    with pytest.raises(ValueError, match=r"must return the shape \(2, 2\), it returned \(1,\)"):
        wrong((2, 2), 3, 4, np.random.default_rng(0))


@pytest.mark.parametrize("bad", ["best", 3, None, {"initializer": "he", "std": 1}, {}, I.He])
def test_unknown_initializers_list_the_names(bad: Any) -> None:
    with pytest.raises(
        ValueError, match=r"initializer must be an initializer such as He.*'glorot'.*received"
    ):
        initializer_from(bad)


@pytest.mark.parametrize("bad", [-1, float("nan"), True, "1"])
def test_scales_are_checked(bad: Any) -> None:
    with pytest.raises(ValueError, match="std must be a number at least 0"):
        I.Normal(bad)
    with pytest.raises(ValueError, match="limit must be a number at least 0"):
        I.Uniform(bad)
