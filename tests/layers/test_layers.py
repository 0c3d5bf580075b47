"""Shapes and constructors of the layers, and a layer of one's own."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

from chainrule import layers as L
from chainrule.base.errors import ShapeError
from chainrule.formulas import adjoint, broadcast_samples, evaluate, sum_samples, trace
from chainrule.layers.initializers import He, Normal, Zeros

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
        (L.MaxPool1D(2, 1, padding=2, dilation=3), (2, 3), r"see nothing but padding of a sequence of shape"),
        (L.AveragePool2D(2, 1, padding=1, dilation=2), (5, 1, 3), r"write a smaller dilation or padding"),
        (L.L2Pool3D(2, 1, padding=1, dilation=2, mean=True), (3, 1, 3, 2), r"see nothing but padding"),
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


@pytest.mark.parametrize("cls", [L.ReLU, L.Softmax, L.Flatten, L.GlobalMaxPool])
def test_layers_without_arguments_take_a_name(cls: Any) -> None:
    assert cls(name="own").name == "own"
    assert repr(cls(name="own")) == f"{cls.__name__}()"
    with pytest.raises(TypeError, match=r"has no argument 'inplace'; write nothing: what goes in is kept"):
        cls(inplace=True)
    with pytest.raises(TypeError, match=r"takes 0 by position, received 1; write nothing in the parentheses"):
        cls(1)


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
    assert layer.config() == {"name": None}
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


@pytest.mark.parametrize("layer", [L.Softmax, L.Dense, L.Conv2D, L.LSTM, L.Dropout])
def test_the_signature_of_a_layer_is_that_of_its_init(layer: Any) -> None:
    """Of every Python: some say that of the inherited __new__, (*args, **kwargs)."""
    said = inspect.signature(layer)
    assert layer.__signature__ == said
    assert [*said.parameters] == [*inspect.signature(layer.__init__).parameters][1:]
