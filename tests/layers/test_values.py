"""Values of the layers at the edge: kinks, ties, extreme and tiny inputs, borders."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule import layers as L
from chainrule.base.errors import ShapeError


def column(*values: float) -> Any:
    return np.array(values, dtype=np.float64)[:, None]


def test_sigmoid_derivative_of_ng() -> None:
    """Andrew Ng, exercise 4."""
    expected = [0.196612, 0.235004, 0.25, 0.235004, 0.196612]
    np.testing.assert_allclose(L.Sigmoid().df(np.array([-1, -0.5, 0, 0.5, 1])), expected, atol=5e-7)


def test_derivative_at_a_kink_is_the_stated_value() -> None:
    zero = np.zeros(1)
    assert L.ReLU().df(zero) == 0
    assert L.LeakyReLU(0.1).df(zero) == 0.1
    assert L.ReLU().f(zero) == L.LeakyReLU().f(zero) == 0
    assert L.ELU(0.3).df(zero) == 0.3
    np.testing.assert_allclose(L.SELU().df(zero), 1.7580993408473766, rtol=1e-15)
    assert L.PReLU().delta(zero + 1, zero, np.array([0.2])) == 0.2
    three = np.array([-3.0, 3.0])
    np.testing.assert_array_equal(L.HardSigmoid().df(three), [0, 0])
    np.testing.assert_array_equal(L.HardTanh().df(three / 3), [0, 0])
    np.testing.assert_array_equal(L.HardSwish().df(three), [0, 1])
    np.testing.assert_array_equal(L.ReLU().branches(np.array([-1.0, 0.0, 1.0])), [[False, False, True]])
    assert L.Tanh().branches(zero) is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_activations_survive_extreme_inputs(dtype: Any) -> None:
    z = np.array([-1000, -100, 0, 100, 1000], dtype)
    limits: dict[type[L.Layer], tuple[list[float], list[float]]] = {
        L.Sigmoid: ([0, 0, 0.5, 1, 1], [0, 0, 0.25, 0, 0]),
        L.Tanh: ([-1, -1, 0, 1, 1], [0, 0, 1, 0, 0]),
        L.ReLU: ([0, 0, 0, 100, 1000], [0, 0, 0, 1, 1]),
        L.Softplus: ([0, 0, np.log(2), 100, 1000], [0, 0, 0.5, 1, 1]),
        L.Softsign: (
            [-1000 / 1001, -100 / 101, 0, 100 / 101, 1000 / 1001],
            [1001**-2, 101**-2, 1, 101**-2, 1001**-2],
        ),
        L.GELU: ([0, 0, 0, 100, 1000], [0, 0, 0.5, 1, 1]),
        L.SiLU: ([0, 0, 0, 100, 1000], [0, 0, 0.5, 1, 1]),
        L.Mish: ([0, 0, 0, 100, 1000], [0, 0, 0.6, 1, 1]),
        L.ELU: ([-1, -1, 0, 100, 1000], [0, 0, 1, 1, 1]),
        L.HardSigmoid: ([0, 0, 0.5, 1, 1], [0, 0, 1 / 6, 0, 0]),
        L.HardTanh: ([-1, -1, 0, 1, 1], [0, 0, 1, 0, 0]),
        L.HardSwish: ([0, 0, 0, 100, 1000], [0, 0, 0.5, 1, 1]),
    }
    for cls, (values, slopes) in limits.items():
        layer: Any = cls()
        np.testing.assert_allclose(layer.f(z), values, atol=1e-30, rtol=1e-6)
        np.testing.assert_allclose(layer.df(z), slopes, atol=1e-30, rtol=1e-6)
        assert layer.f(z).dtype == layer.df(z).dtype == dtype


def test_small_values_keep_their_relative_accuracy() -> None:
    """σ(-40) = e^-40 / (1 + e^-40), softplus(-40) = log(1 + e^-40): both 4.248354255291589e-18."""
    z = np.array([-40.0])
    np.testing.assert_allclose(L.Sigmoid().f(z), 4.248354255291589e-18, rtol=1e-14)
    np.testing.assert_allclose(L.Softplus().f(z), 4.248354255291589e-18, rtol=1e-14)
    np.testing.assert_allclose(L.GELU().f(np.array([1.0, -1.0])), [0.8413447460685429, -0.15865525393145707])


def test_small_values_of_the_new_activations_keep_their_accuracy() -> None:
    """e^z - 1 without cancellation; PyTorch's values at 1 and -1."""
    tiny = np.array([-1e-12])
    np.testing.assert_allclose(L.ELU().f(tiny), -9.999999999995e-13, rtol=1e-14)
    np.testing.assert_allclose(L.Mish().f(np.array([-40.0])), -40 * 4.248354255291589e-18, rtol=1e-14)
    at = np.array([1.0, -1.0])
    np.testing.assert_allclose(L.SiLU().f(at), [0.7310585786300049, -0.2689414213699951], rtol=1e-14)
    np.testing.assert_allclose(L.Mish().f(at), [0.8650983882673103, -0.3034014613741089], rtol=1e-14)
    np.testing.assert_allclose(L.Softsign().df(at), [0.25, 0.25], rtol=1e-14)
    np.testing.assert_allclose(L.ELU().f(at), [1, -0.6321205588285577], rtol=1e-14)
    np.testing.assert_allclose(L.SELU().f(at), [1.0507009873554805, -1.1113307378125625], rtol=1e-14)
    np.testing.assert_allclose(L.HardSwish().f(at), [2 / 3, -1 / 3], rtol=1e-14)


def test_selu_keeps_mean_0_and_variance_1() -> None:
    """The fixed point that λ and α are made for: E a = 0 and E a² = 1 for z from N(0, 1)."""
    z = np.linspace(-12, 12, 400_001)
    weight = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) * (z[1] - z[0])
    a = L.SELU().f(z)
    np.testing.assert_allclose([(weight * a).sum(), (weight * a**2).sum()], [0, 1], atol=1e-9)


def test_prelu_starts_as_leaky_relu_and_is_not_penalised() -> None:
    layer = L.PReLU(0.1)
    (spec,) = layer.parameters((4, 5, 3)).values()
    assert (spec.shape, spec.penalised) == ((3,), False)
    x = np.linspace(-2, 2, 12).reshape(2, 2, 3, 1)
    np.testing.assert_array_equal(layer.forward(x, np.full(3, 0.1)), L.LeakyReLU(0.1).f(x))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: L.ELU(True), "ELU alpha must be a finite number, received True"),
        (lambda: L.PReLU(float("inf")), "PReLU initial must be a finite number"),
        (lambda: L.PReLU(num_parameters=3), "one α per channel"),  # type: ignore[call-arg]
        (lambda: L.PReLU(init=0.1), "write initial=0.25"),  # type: ignore[call-arg]
    ],
)
def test_constructors_of_the_rectifiers_teach(make: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        make()


def test_softmax_of_large_inputs() -> None:
    softmax = L.Softmax()
    np.testing.assert_allclose(softmax.forward(column(1e4, 1e4, 0)), column(0.5, 0.5, 0))
    np.testing.assert_allclose(softmax.forward(column(-1e4, -1e4)), column(0.5, 0.5))
    a = softmax.forward(column(3, 1, -2, 1e4))
    assert a.sum() == 1
    assert np.isfinite(softmax.delta(column(1, 2, 3, 4), a)).all()


def test_softmax_delta_is_not_elementwise() -> None:
    """The full Jacobian diag(a) - a aᵀ, as in explain's example: a - y and not a Hadamard product."""
    a, y = column(0.226, 0.175, 0.378, 0.221), column(0, 1, 0, 0)
    np.testing.assert_allclose(L.Softmax().delta(-y / a, a), a - y, atol=1e-15)


def test_max_pooling_gives_a_tie_to_the_first() -> None:
    layer = L.MaxPool2D(2)
    x = np.ones((2, 2, 1, 1))
    delta = layer.delta(np.full((1, 1, 1, 1), 5.0), x)
    np.testing.assert_array_equal(delta[:, :, 0, 0], [[5, 0], [0, 0]])
    x[0, 0] = 0  # now (0, 1), (1, 0) and (1, 1) share the maximum
    np.testing.assert_array_equal(layer.delta(np.ones((1, 1, 1, 1)), x)[:, :, 0, 0], [[0, 1], [0, 0]])
    assert layer.branches(x).item() == 1


def test_overlapping_max_pooling_accumulates() -> None:
    """The centre wins all four windows and collects all four δ (NNlib.jl #205 kept only the last)."""
    x = np.zeros((3, 3, 1, 1))
    x[1, 1] = 1
    delta = L.MaxPool2D(2, 1).delta(np.arange(1.0, 5.0).reshape(2, 2, 1, 1), x)
    assert delta[1, 1, 0, 0] == 10
    assert delta.sum() == 10


def test_overlapping_3x3_max_pooling_accumulates() -> None:
    """5x5, stride 1: the centre wins all nine windows (tangermeme #95)."""
    x = np.zeros((5, 5, 1, 1))
    x[2, 2] = 1
    delta = L.MaxPool2D(3, 1).delta(np.arange(1.0, 10.0).reshape(3, 3, 1, 1), x)
    assert delta[2, 2, 0, 0] == delta.sum() == 45


def test_l2_pooling_has_delta_0_at_an_all_zero_window() -> None:
    x = np.array([3.0, 4.0, 0.0, 0.0]).reshape(4, 1, 1)
    d = np.array([10.0, 7.0]).reshape(2, 1, 1)
    for mean, root in ((False, 5.0), (True, 5.0 / np.sqrt(2))):
        layer = L.L2Pool1D(2, mean=mean)
        z = layer.forward(x)
        np.testing.assert_allclose(z.ravel(), [root, 0])
        share = 10 / root / (2 if mean else 1)
        np.testing.assert_allclose(layer.delta(d, x, z).ravel(), [3 * share, 4 * share, 0, 0])


def test_padding_never_wins_a_maximum_and_counts_in_a_mean_where_asked() -> None:
    x = -np.arange(1.0, 5.0).reshape(2, 2, 1, 1)
    np.testing.assert_array_equal(L.MaxPool2D(2, 1, padding=1).forward(x)[0, :, 0, 0], [-1, -1, -2])
    np.testing.assert_array_equal(L.AveragePool2D(2, 1, padding=1).forward(x)[0, :, 0, 0], [-1, -1.5, -2])
    counted = L.AveragePool2D(2, 1, padding=1, count_padding=True).forward(x)[0, :, 0, 0]
    np.testing.assert_array_equal(counted, [-0.25, -0.75, -0.5])


def test_global_pooling_of_images_and_sequences() -> None:
    x = np.arange(12.0).reshape(2, 3, 2, 1)
    for shape in ((2, 3, 2, 1), (6, 2, 1)):
        y = x.reshape(shape)
        np.testing.assert_array_equal(L.GlobalAveragePool().forward(y).ravel(), [5, 6])
        np.testing.assert_array_equal(L.GlobalMaxPool().forward(y).ravel(), [10, 11])
        tie = L.GlobalMaxPool().delta(np.ones((2, 1)), np.ones(shape)).reshape(6, 2)
        np.testing.assert_array_equal(tie, [[1, 1], *[[0, 0]] * 5])
    with pytest.raises(ShapeError, match="a vector has no positions to pool"):
        L.GlobalMaxPool().output_shape((7,))


def test_average_pooling_of_ufldl() -> None:
    """Mean pooling 4x4 of reshape(1:64, 8, 8), column-major."""
    x = np.arange(1.0, 65.0).reshape(8, 8).T[:, :, None, None]
    pooled = L.AveragePool2D(4).forward(x)[:, :, 0, 0]
    np.testing.assert_array_equal(pooled, [[14.5, 46.5], [18.5, 50.5]])


def test_overlapping_average_pooling_of_the_tutorial() -> None:
    """Window 2, stride 1 along one axis: δ_u = ½ (δ_{u-1} + δ_u), clipped at both borders."""
    layer = L.AveragePool2D((1, 2), 1)
    x = np.zeros((1, 4, 1, 1))
    delta = layer.delta(np.array([2.0, 4.0, 8.0]).reshape(1, 3, 1, 1), x)
    np.testing.assert_array_equal(delta.ravel(), [1, 3, 6, 4])


def test_ragged_border_gets_no_delta() -> None:
    for layer in (L.MaxPool2D(2), L.AveragePool2D(2)):
        x = np.arange(25.0).reshape(5, 5, 1, 1)
        delta = layer.delta(np.ones((2, 2, 1, 1)), x)
        assert not delta[4].any()
        assert not delta[:, 4].any()
        assert delta.sum() == 4


def test_convolution_is_a_cross_correlation() -> None:
    x = np.arange(9.0).reshape(3, 3, 1, 1)
    W = np.array([[1.0, 2.0], [3.0, 4.0]]).reshape(1, 2, 2, 1)
    z = L.Conv2D(1, 2).forward(x, W, np.array([10.0]))[:, :, 0, 0]
    assert z[0, 0] == 1 * 0 + 2 * 1 + 3 * 3 + 4 * 4 + 10  # no flip
    np.testing.assert_array_equal(z, [[37, 47], [67, 77]])


def test_convolution_delta_is_the_full_convolution() -> None:
    """Conv ① of the Tutorial: one δ at a corner puts the kernel, not its flip, onto the image."""
    layer = L.Conv2D(1, 2)
    W = np.array([[1.0, 2.0], [3.0, 4.0]]).reshape(1, 2, 2, 1)
    d = np.zeros((2, 2, 1, 1))
    d[0, 1] = 1
    delta = layer.delta(d, W, np.zeros((3, 3, 1, 1)))[:, :, 0, 0]
    np.testing.assert_array_equal(delta, [[0, 1, 2], [0, 3, 4], [0, 0, 0]])


def test_same_padding_puts_the_odd_zero_last() -> None:
    layer = L.Conv2D(1, 2, padding="same")
    assert layer.pads((3, 3, 1)) == ((0, 1), (0, 1))
    z = layer.forward(np.ones((3, 3, 1, 1)), np.ones((1, 2, 2, 1)), np.zeros(1))[:, :, 0, 0]
    np.testing.assert_array_equal(z, [[4, 4, 2], [4, 4, 2], [2, 2, 1]])
    assert L.Conv2D(1, 3, stride=2, padding="same").pads((6, 7, 1)) == ((0, 1), (1, 1))
