"""Where convolutions run by Winograd, pass by pass, and that the mixed choice computes the same."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule.engine import Plan
from chainrule.engine.lowering import convolutions
from chainrule.engine.lowering.convolutions import winograd_applies
from tests import by_formula


@pytest.fixture(autouse=True)
def winograd_on_small_maps() -> None:
    """Here the real limits hold."""


@pytest.mark.parametrize(
    ("layer", "channels", "size", "blocks", "passes", "gradient"),
    [
        (cr.Conv2D(16, 3, padding=1), 16, 16, 1, True, True),  # 64 tiles
        (cr.Conv2D(16, 3, padding=1), 16, 15, 1, True, True),  # ragged tiles count whole
        (cr.Conv2D(16, 3, padding=1), 16, 14, 1, True, False),
        (cr.Conv2D(8, 3, padding=1), 16, 16, 4, True, False),  # too few filters for the gradient
        (cr.Conv2D(16, 3, padding=1), 8, 8, 1, True, False),
        (cr.Conv2D(16, 3, padding=1), 8, 6, 1, False, False),  # 9 tiles
        (cr.Conv2D(16, 3, padding=1), 8, 6, 2, True, False),
        (cr.Conv2D(16, 3, padding=1), 7, 16, 4, False, False),
        (cr.Conv2D(16, 5, padding=2), 16, 16, 4, False, False),
        (cr.Conv2D(16, 3, stride=2), 16, 32, 4, False, False),
    ],
)
def test_where_winograd_applies(layer, channels, size, blocks, passes, gradient) -> None:
    before = (size, size, channels)
    after = layer.output_shape(before)
    assert winograd_applies(layer, before, after, blocks) is passes
    assert (passes and winograd_applies(layer, before, after, blocks, gradient=True)) is gradient


@pytest.mark.parametrize("samples", [3, 20])
def test_winograd_with_a_direct_gradient(samples: int) -> None:
    network = cr.Network(
        [cr.Conv2D(9, 3, padding="same"), cr.Tanh(), cr.Conv2D(8, 3)], input_shape=(9, 11, 8), dtype="float64"
    )
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((samples, 9, 11, 8)), rng.standard_normal((samples, 7, 9, 8))
    assert winograd_applies(network.layers[0], (9, 11, 8), (9, 11, 9), 1)
    assert convolutions.WINOGRAD_GRADIENT_CHANNELS > 9
    expected = by_formula.backpropagate(network, X, y)
    loss, gradients = Plan(network, cr.SquaredError(), batch_size=samples).gradients(X, y)
    assert loss == pytest.approx(expected.loss, rel=1e-12)
    for name, gradient in gradients.items():
        np.testing.assert_allclose(gradient, expected.gradients[name], rtol=1e-9, atol=1e-10)


def test_where_volumes_run_by_winograd() -> None:
    """As images do, in every plane; the gradient of a kernel of several planes from fewer channels on."""

    def applies(layer: cr.Conv3D, size: tuple[int, ...], blocks: int, channels: int = 8) -> bool:
        shape = (*size, channels)
        gradient = channels > 8
        return winograd_applies(layer, shape, layer.output_shape(shape), blocks, gradient=gradient)

    assert applies(cr.Conv3D(8, 3, padding=1), (4, 4, 4), 1)  # 16 tiles
    assert not applies(cr.Conv3D(8, 3, padding=1), (3, 4, 4), 1)
    assert applies(cr.Conv3D(8, (1, 3, 3)), (4, 6, 6), 1)
    assert not applies(cr.Conv3D(8, (3, 2, 3), padding=1), (4, 4, 4), 4)
    assert not applies(cr.Conv3D(8, 3, stride=(2, 1, 1), padding=1), (8, 8, 8), 4)
    assert not applies(cr.Conv3D(7, 3, padding=1), (4, 4, 4), 4)
    assert applies(cr.Conv3D(8, 3, padding=1), (4, 8, 8), 1, channels=10)
    assert not applies(cr.Conv3D(8, 3, padding=1), (4, 8, 8), 1, channels=9)
    assert not applies(cr.Conv3D(8, (1, 3, 3)), (4, 10, 10), 1, channels=15)
