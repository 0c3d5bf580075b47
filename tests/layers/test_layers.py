"""Values at the edge, shapes and constructors of the layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule import layers as L
from chainrule.errors import ShapeError
from chainrule.formulas import adjoint, broadcast_samples, evaluate, sum_samples, trace
from chainrule.initializers import He, Normal, Zeros


def column(*values: float) -> Any:
    return np.array(values, dtype=np.float64)[:, None]


# -- values --------------------------------------------------------------------------------------------------


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


def test_overlapping_average_pooling_of_seed_000() -> None:
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
    """Conv ① of seed 000: one δ at a corner puts the kernel, not its flip, onto the image."""
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


# -- shapes --------------------------------------------------------------------------------------------------


# The fourteen relations of the convolution arithmetic of Theano's guide: 1-7 forward, 8-14 transposed.
# (relation, size, options, expected); i input, k kernel, s stride, p padding, a output padding, d dilation
FORWARD: list[tuple[int, int, dict[str, Any], int]] = [
    (1, 4, {"kernel_size": 3}, 2),  # i - k + 1
    (2, 5, {"kernel_size": 4, "padding": 2}, 6),  # i - k + 2p + 1
    (3, 5, {"kernel_size": 3, "padding": 1}, 5),  # half padding, k odd: i
    (4, 5, {"kernel_size": 3, "padding": 2}, 7),  # full padding, p = k - 1: i + k - 1
    (5, 5, {"kernel_size": 3, "stride": 2}, 2),  # floor((i - k) / s) + 1
    (6, 5, {"kernel_size": 3, "stride": 2, "padding": 1}, 3),  # floor((i + 2p - k) / s) + 1
    (6, 6, {"kernel_size": 3, "stride": 2, "padding": 1}, 3),  # ... the same for two sizes
    (7, 7, {"kernel_size": 3, "dilation": 2}, 3),  # floor((i + 2p - k - (k-1)(d-1)) / s) + 1
    (7, 9, {"kernel_size": 3, "dilation": 3, "stride": 2, "padding": 2}, 4),
]
TRANSPOSED: list[tuple[int, int, dict[str, Any], int]] = [
    (8, 2, {"kernel_size": 3}, 4),  # i' + k - 1
    (9, 6, {"kernel_size": 4, "padding": 2}, 5),  # i' + k - 1 - 2p
    (10, 5, {"kernel_size": 3, "padding": 1}, 5),  # half padding: i'
    (11, 7, {"kernel_size": 3, "padding": 2}, 5),  # full padding: i' - (k - 1)
    (12, 2, {"kernel_size": 3, "stride": 2}, 5),  # s(i' - 1) + k
    (13, 3, {"kernel_size": 3, "stride": 2, "padding": 1}, 5),  # s(i' - 1) + k - 2p
    (14, 3, {"kernel_size": 3, "stride": 2, "padding": 1, "output_padding": 1}, 6),  # ... + a
    (14, 3, {"kernel_size": 4, "stride": 2, "output_padding": 1}, 9),
]
SAME = [(7, 3, 2, 4), (6, 3, 2, 3), (5, 4, 1, 5)]


@pytest.mark.parametrize(("relation", "size", "options", "expected"), FORWARD)
def test_convolution_arithmetic(relation: int, size: int, options: dict[str, Any], expected: int) -> None:
    assert L.Conv2D(2, **options).output_shape((size, size, 3)) == (expected, expected, 2)
    assert L.Conv1D(2, **options).output_shape((size, 3)) == (expected, 2)
    assert L.DepthwiseConv2D(**options).output_shape((size, size, 3)) == (expected, expected, 3)


@pytest.mark.parametrize(("relation", "size", "options", "expected"), TRANSPOSED)
def test_transposed_arithmetic(relation: int, size: int, options: dict[str, Any], expected: int) -> None:
    """And the convolution with the same kernel, stride and padding leads back to the input's size."""
    assert L.ConvTranspose2D(2, **options).output_shape((size, size, 3)) == (expected, expected, 2)
    assert L.ConvTranspose1D(2, **options).output_shape((size, 3)) == (expected, 2)
    forward = {name: value for name, value in options.items() if name != "output_padding"}
    assert L.Conv1D(3, **forward).output_shape((expected, 2)) == (size, 3)
    left_over = (expected + 2 * options.get("padding", 0) - options["kernel_size"]) % options.get("stride", 1)
    assert left_over == options.get("output_padding", 0)  # a = (i + 2p - k) mod s


def test_all_fourteen_relations_are_here() -> None:
    assert {relation for relation, *_ in FORWARD + TRANSPOSED} == set(range(1, 15))


@pytest.mark.parametrize(("size", "kernel", "stride", "expected"), SAME)
def test_same_padding_keeps_the_size(size: int, kernel: int, stride: int, expected: int) -> None:
    layer = L.Conv2D(2, kernel, stride=stride, padding="same")
    assert layer.output_shape((size, size, 3)) == (expected, expected, 2)
    back = L.ConvTranspose2D(2, kernel, stride=stride, padding="same")
    assert back.output_shape((size, size, 3)) == (size * stride, size * stride, 2)


def test_parameter_shapes_fans_and_penalties() -> None:
    conv = L.Conv2D(20, (5, 3)).parameters((28, 28, 4))
    assert conv["W"].shape == (20, 5, 3, 4)
    assert (conv["W"].fan_in, conv["W"].fan_out) == (60, 300)
    assert conv["b"].shape == (20,)
    dense = L.Dense(3, initializer="he", bias_initializer=Normal(0.1)).parameters((7,))
    assert dense["W"] == L.Parameter((3, 7), 7, 3, He())
    assert dense["b"] == L.Parameter((3,), 7, 3, Normal(0.1), penalised=False)
    assert L.Dense(3).parameters((7,))["W"].initializer is None
    assert L.Dense(3).parameters((7,))["b"].initializer == Zeros()
    assert set(L.Dense(3, bias=False).parameters((7,))) == {"W"}


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (
            L.Dense(10),
            (28, 28, 1),
            r"Dense needs a vector or .* per sample, received \(28, 28, 1\); put Flatten\(\) before it",
        ),
        (L.Conv2D(2, 3), (784,), r"Conv2D needs an image .* received \(784,\)"),
        (L.Conv2D(2, 3), (28, 28), r"a grey image has one channel: write \(28, 28, 1\)"),
        (
            L.Conv2D(2, 5),
            (4, 9, 1),
            r"as large as its kernel \(5, 5\), received \(4, 9, 1\); .*padding='same'",
        ),
        (L.MaxPool2D(3), (2, 5, 1), r"as large as its window \(3, 3\), received \(2, 5, 1\)"),
        (L.AveragePool2D(), (12,), r"AveragePool2D needs an image"),
        (
            L.Conv1D(2, 3),
            (12,),
            r"Conv1D needs a sequence .* a plain series has one channel: write \(12, 1\)",
        ),
        (L.Conv1D(2, 4), (3, 2), r"needs a sequence at least as large as its kernel 4, received \(3, 2\)"),
        (L.Conv2D(2, 3, dilation=2), (4, 9, 1), r"kernel \(3, 3\) \(with its dilation \(5, 5\)\), received"),
        (L.Conv2D(4, 3, groups=2), (5, 5, 3), r"2 groups do not divide the 3 channels of its input"),
        (L.Conv2D(3, 3, groups=2), (5, 5, 4), r"2 groups do not divide the 3 filters"),
        (L.ConvTranspose2D(3, 3, padding=2), (2, 5, 4), r"makes nothing of an input of shape \(2, 5, 4\)"),
    ],
)
def test_shape_errors_teach(layer: L.Layer, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        layer.output_shape(shape)


# -- constructors --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [0, -1, 2.0, "3", None, True])
def test_sizes_are_positive_integers(bad: Any) -> None:
    with pytest.raises(ShapeError, match="Dense units must be a positive integer, received"):
        L.Dense(bad)
    with pytest.raises(ShapeError, match="Conv2D filters"):
        L.Conv2D(bad, 3)
    with pytest.raises(ShapeError, match="kernel_size"):
        L.Conv2D(3, bad)
    with pytest.raises(ShapeError, match="stride"):
        L.Conv2D(3, 3, stride=bad)
    with pytest.raises(ShapeError, match="window"):
        L.MaxPool2D(bad)
    with pytest.raises(ShapeError, match="kernel_size"):
        L.Conv2D(3, (3, bad))


@pytest.mark.parametrize("bad", ["full", -1, 1.5, True, None, (1, 2, 3), ((1, 2), (0, -1)), "SAME"])
def test_padding_is_checked(bad: Any) -> None:
    with pytest.raises(ShapeError, match="padding must be"):
        L.Conv2D(3, 3, padding=bad)


def test_output_padding_is_less_than_the_stride() -> None:
    with pytest.raises(ShapeError, match="output_padding must be smaller than the stride 2, received 2"):
        L.ConvTranspose2D(3, 3, stride=2, output_padding=2)
    with pytest.raises(ShapeError, match="output_padding must be 0 with padding='same', received 1"):
        L.ConvTranspose1D(3, 3, stride=2, padding="same", output_padding=1)
    with pytest.raises(ShapeError, match=r"the kernel with its dilation must be .* at most"):
        L.Conv1D(3, 2**20, dilation=2**20)


def test_one_axis_takes_one_size_and_a_pair_of_pads() -> None:
    with pytest.raises(ShapeError, match=r"kernel_size must be an integer, received \(3, 3\)"):
        L.Conv1D(3, (3, 3))
    with pytest.raises(ShapeError, match=r"padding must be smaller than the kernel 3, received \(3, 0\)"):
        L.Conv1D(3, 3, padding=(3, 0))
    with pytest.raises(ShapeError, match=r"an integer, \(before, after\) with integers"):
        L.Conv1D(3, 3, padding=(1, 2, 3))  # type: ignore[arg-type]
    assert L.Conv1D(3, 3, padding=(2, 0)).pads((9, 1)) == ((2, 0),)


def test_padding_beyond_the_kernel_is_refused() -> None:
    with pytest.raises(ShapeError, match="padding must be smaller than the kernel"):
        L.Conv2D(3, 2, padding=2)


def test_other_arguments_are_checked() -> None:
    with pytest.raises(ShapeError, match="pair"):
        L.Conv2D(3, (3, 3, 3))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="slope must be a finite number"):
        L.LeakyReLU(float("nan"))
    with pytest.raises(ValueError, match="initializer must be"):
        L.Dense(3, initializer="best")
    with pytest.raises(ValueError, match="bias_initializer must be"):
        L.Dense(3, bias_initializer="best")


def test_repr_shows_what_differs_from_the_default() -> None:
    shown = {
        "Dense(100)": L.Dense(100, name="head"),
        "Dense(3, bias=False)": L.Dense(3, bias=False),
        "Dense(3, initializer=He())": L.Dense(3, initializer="he"),
        "Conv2D(20, 5)": L.Conv2D(20, 5),
        "Conv2D(20, (5, 3), stride=2, padding='same')": L.Conv2D(20, [5, 3], stride=2, padding="same"),  # type: ignore[arg-type]
        "MaxPool2D()": L.MaxPool2D(2),
        "AveragePool2D(window=3, stride=1)": L.AveragePool2D(3, 1),
        "LeakyReLU(slope=0.2)": L.LeakyReLU(0.2),
        "Softmax()": L.Softmax(),
    }
    for text, layer in shown.items():
        assert repr(layer) == text


def test_kinds() -> None:
    kinds = "dense conv maxpool avgpool flatten identity sigmoid tanh relu leakyrelu softplus gelu softmax"
    later = "elu selu silu mish hardsigmoid hardtanh hardswish prelu depthwise convtranspose "
    later += "l2pool globalavgpool globalmaxpool masking embedding positions attention rnn lstm gru"
    assert {cls.kind for cls in L.layer_classes.values()} >= {*kinds.split(), *later.split()}


# -- a layer of one's own ------------------------------------------------------------------------------------


class Scale(L.Layer):
    """a = γ ⊙ x, one factor per feature: formulas and nothing else."""

    def parameters(self, input_shape: L.base.Shape) -> dict[str, L.Parameter]:
        return {"gamma": L.Parameter(input_shape)}

    def forward(self, x: Any, gamma: Any) -> Any:
        return broadcast_samples(gamma) * x

    def delta(self, d: Any, gamma: Any) -> Any:
        return broadcast_samples(gamma) * d

    def gradients(self, d: Any, x: Any) -> dict[str, Any]:
        return {"gamma": sum_samples(d * x)}


def test_a_layer_of_ones_own_computes_prints_and_is_proved() -> None:
    layer = Scale()
    assert layer.kind == "scale"
    assert repr(layer) == "Scale()"
    assert layer.config() == {}
    formulas = trace(layer)
    assert str(formulas).splitlines() == ["zˡ = γ̂ˡ ⊙ xˡ⁻¹", "∂J/∂xˡ⁻¹ = γ̂ˡ ⊙ δˡ", "∂J/∂γˡ = (δˡ ⊙ xˡ⁻¹) 𝟏"]
    given = {"x": np.array([[1.0, 2.0], [3.0, 4.0]]), "gamma": np.array([2.0, 5.0]), "d": np.ones((2, 2))}
    for name, expected in {"x": [[2, 2], [5, 5]], "gamma": [3, 7]}.items():
        derived = adjoint(formulas.forward, formulas.symbols[name], formulas.symbols["d"])
        np.testing.assert_array_equal(evaluate(derived, given), expected)


def test_config_says_what_a_constructor_forgot_to_keep() -> None:
    class Shift(L.Layer):
        def __init__(self, by: float) -> None:
            self.amount = by

    assert repr(Shift(2)) == "Shift(...)"
    with pytest.raises(AttributeError, match=r"Shift.__init__ takes 'by' .* write self.by = by"):
        Shift(2).config()


def test_a_missing_formula_or_argument_is_named() -> None:
    class Half(L.Layer):
        def forward(self, x: Any, w: Any) -> Any:
            return w * x

    with pytest.raises(NotImplementedError, match=r"Half must define delta\(self, d, ...\)"):
        Half().delta()
    with pytest.raises(TypeError, match=r"Half.forward declares 'w', which is not available; .* declare x"):
        L.call_formula(Half().forward, {"x": 1.0})
