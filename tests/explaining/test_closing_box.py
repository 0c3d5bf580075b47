"""The closing box: the four formulas of Matrix notes, and those of the other layers that a network has."""

from __future__ import annotations

from typing import Any

import pytest

import chainrule as cr
from chainrule.explaining.references.closing_box import closing_boxes
from chainrule.formulas import notation_from, text


def printed(layers: list[Any], shape: Any, loss: cr.Loss, notation: str) -> dict[str, list[str]]:
    network = cr.Network(layers, input_shape=shape)
    letters = notation_from(notation)
    return {
        box.title.en: [text(equation, letters) for equation in box.equations]
        for box in closing_boxes(network, loss, notation)
    }


DENSE = "The backward pass of the dense layers"


def test_the_four_formulas_of_matrix_notes() -> None:
    layers = [cr.Dense(4), cr.Tanh(), cr.Dense(2), cr.Sigmoid()]
    assert printed(layers, 3, cr.SquaredError(), "matrix") == {
        DENSE: [
            "∂C/∂Zᴸ = ∂C/∂Aᴸ ⊙ σ'ᴸ(Zᴸ)",
            "∂C/∂Zˡ = ((Wˡ⁺¹)ᵀ ∂C/∂Zˡ⁺¹) ⊙ σ'ˡ(Zˡ)",
            "∂C/∂Wˡ = ∂C/∂Zˡ (Aˡ⁻¹)ᵀ",
            "∂C/∂bˡ = ∂C/∂Zˡ 𝟏",
        ]
    }


@pytest.mark.parametrize(
    ("notation", "lines"),
    [
        ("tutorial", ["δˡ⁻¹ = ((Wˡ)ᵀ δˡ) ⊙ f'(zˡ⁻¹)", "∂J/∂Wˡ = δˡ (xˡ⁻¹)ᵀ", "∂J/∂bˡ = δˡ 𝟏"]),
        ("ufldl", ["δˡ = ((Wˡ)ᵀ δˡ⁺¹) • f'(zˡ)", "∂J/∂Wˡ = δˡ⁺¹ (aˡ)ᵀ", "∂J/∂bˡ = δˡ⁺¹ 𝟏"]),
        ("nielsen", ["δˡ = ((wˡ⁺¹)ᵀ δˡ⁺¹) ⊙ σ'(zˡ)", "∂C/∂wˡ = δˡ (aˡ⁻¹)ᵀ", "∂C/∂bˡ = δˡ 𝟏"]),
    ],
)
def test_in_other_notations(notation: str, lines: list[str]) -> None:
    layers = [cr.Dense(4), cr.Tanh(), cr.Dense(2), cr.Softmax()]
    assert printed(layers, 3, cr.CrossEntropy(), notation)[DENSE][1:] == lines


def test_at_the_output() -> None:
    """a - y for a pair, all of the Jacobian behind softmax with another loss, ∂J/∂a without an activation."""
    for layers, loss, line in (
        ([cr.Dense(2), cr.Sigmoid()], cr.BinaryCrossEntropy(), "δᴸ = (1/m) (aᴸ − y)"),
        ([cr.Dense(2), cr.Softmax()], cr.CrossEntropy(), "δᴸ = (1/m) (aᴸ − y)"),
        ([cr.Dense(2)], cr.SquaredError(), "δᴸ = ∂J/∂aᴸ"),
    ):
        assert printed(layers, 3, loss, "tutorial")[DENSE][0] == line  # type: ignore[arg-type]
    softmax = printed([cr.Dense(2), cr.Softmax()], 3, cr.SquaredError(), "tutorial")[DENSE][0]
    assert "f'" not in softmax
    assert "Σ" in softmax


def test_other_layers_have_a_box_of_their_own() -> None:
    layers = [cr.Conv2D(2, 3), cr.Tanh(), cr.MaxPool2D(2), cr.Flatten(), cr.Dense(2, bias=False)]
    found = printed(layers, (6, 6, 1), cr.SquaredError(), "tutorial")
    assert list(found) == [DENSE, "Convolution ①②③", "Max pooling"]
    assert len(found[DENSE]) == 3  # no bias
    assert [len(found[name]) for name in list(found)[1:]] == [3, 1]
    layers = [cr.Conv2D(2, 3), cr.GlobalAveragePool(), cr.Softmax()]
    assert next(iter(printed(layers, (6, 6, 1), cr.CrossEntropy(), "tutorial"))) == "At the output"
