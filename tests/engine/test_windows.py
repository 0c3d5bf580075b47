"""Windows over small images: a random thousandth of the sweep (windows.py), and what once was wrong."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule import reference
from chainrule.engine import Plan, isa
from tests import by_formula
from tests.engine.harness import MACHINES
from tests.engine.windows import Sweep, axes, disagreements

machines = pytest.mark.parametrize(("level", "dtype"), MACHINES)


def test_a_random_thousandth_of_all_small_windows_agrees(request: pytest.FixtureRequest) -> None:
    sweep = Sweep()
    numbers = sweep.drawn(0.001, request.config.getoption("--draw"))
    wrong = [line for number in numbers for line in disagreements(sweep[number], number)]
    assert not wrong, "\n".join(wrong[:10])


def test_every_option_of_an_axis_occurs_on_rows_and_on_columns() -> None:
    """The pairing of the axes of an image leaves out none."""
    sweep = Sweep(rounds=2)
    family = next(family for family in sweep.families if family.title == "MaxPool2D ")
    seen = [family.case(number).layers[0].grid for number in range(family.count)]
    assert family.count == 2 * len(axes("pool"))
    for axis in (0, 1):
        options = {(g.kernel[axis], g.stride[axis], g.padding[axis]) for g in seen}
        assert options == {(o.kernel, o.stride, (o.before, o.after)) for o in axes("pool")}
    pairs = {(g.kernel, g.stride, g.padding) for g in seen}
    assert len(pairs) > len(axes("pool"))  # the second round pairs otherwise


@machines
@pytest.mark.parametrize("width", range(1, 10))
@pytest.mark.parametrize(("stride", "dilation"), [(1, 3), (1, 4), (3, 2), (2, 3)])
def test_neighbouring_pixels_of_a_depthwise_convolution_have_their_own_taps(
    level: str, dtype: str, width: int, stride: int, dilation: int
) -> None:
    """Fewer windows than a kernel spans: some pixels meet its middle only, their neighbours only its ends."""
    layer = cr.ConvTranspose1D(2, 3, stride=stride, dilation=dilation, groups=2, initializer="ones")
    network = cr.Network([layer], input_shape=(width, 2))
    X = np.ones((3, width, 2), np.float32)
    plan = Plan(network, batch_size=3, level=level, dtype=dtype)
    np.testing.assert_array_equal(plan.predict(X), reference.forward(network, X))


@machines
def test_delta_of_a_small_dilated_depthwise_convolution(level: str, dtype: str) -> None:
    network = cr.Network(
        [cr.Conv2D(2, 1), cr.DepthwiseConv2D(3, dilation=3, bias=False, initializer="ones")],
        input_shape=(7, 7, 2),
    )
    X, y = np.ones((1, 7, 7, 2), np.float32), np.zeros((1, 1, 1, 2), np.float32)
    plan = Plan(network, cr.SquaredError(), batch_size=1, level=level, dtype=dtype, keep=True)
    deltas = plan.inspect(X, y)[2]
    expected = by_formula.backpropagate(network, X, y, cr.SquaredError()).deltas
    row = deltas["conv1"][0, 0, :, 0]
    assert (row != 0).tolist() == [True, False, False, True, False, False, True]
    np.testing.assert_allclose(deltas["conv1"], expected["conv1"], rtol=1e-5)


@pytest.mark.parametrize(("level", "dtype"), MACHINES)
def test_the_sign_of_zero_does_not_depend_on_the_batch(
    level: str, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a bias is −0 and products are −0 or left out: few samples run with channels in the lanes."""
    monkeypatch.setattr(isa, "level", level)
    first = cr.Conv2D(5, (2, 3), dilation=(3, 2), padding=(1, 2), stride=(1, 2))
    for last in ([cr.Flatten(), cr.Dense(4)], [cr.DepthwiseConv2D(3, padding=1)]):
        network = cr.Network([first, *last], input_shape=(7, 6, 2), dtype=dtype)
        for name, value in network.parameters.items():
            if name.endswith(".b"):
                value[...] = -0.0
        X = np.full((40, 7, 6, 2), -0.0, dtype)
        X[::2, ::2] = 0
        whole = network.predict(X)
        for samples in (1, 3, 8, 17):
            assert np.array_equal(np.signbit(network.predict(X[:samples])), np.signbit(whole[:samples]))
